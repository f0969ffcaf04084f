"""One request's response: the `Exchange` that speaks HTTP/1.1 to a `Connection`.

Runs on the thread that runs the application. Legality is `core.exchange`'s, framing is
`core.framing`'s, bytes are `wire.http1_response`'s; this joins them to a socket.
"""

import logging
import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from wsgix.core.exchange import CLIENT_GONE, Environ, Exchange, ExcInfo
from wsgix.core.framing import ABORT, CLOSE, HTTP_1_0, Outcome, ResponseFraming, response_framing
from wsgix.facts.refusals import INTERNAL_ERROR
from wsgix.server.clock import DateLine
from wsgix.wire.http1_response import (
    CHUNK_END,
    CONNECTION_CLOSE,
    CONNECTION_KEEP_ALIVE,
    LAST_CHUNK,
    TRANSFER_ENCODING_CHUNKED,
    check_fields,
    chunk_start,
    known_status_lines,
    status_line,
)

if TYPE_CHECKING:
    from wsgix.server.connection import Connection

SERVER_LINE: Final = b"Server: wsgix\r\n"
"""Without a version: it would tell attackers more than users."""

date_and_server: Final = DateLine(SERVER_LINE)
_date: Final = DateLine()
_log: Final = logging.getLogger("wsgix.error")

# Few methods and statuses make up nearly all traffic.
_framing: Final = lru_cache(response_framing)

_BODILESS: Final = ResponseFraming.BODILESS
_CHUNKED: Final = ResponseFraming.CHUNKED
_LENGTH: Final = ResponseFraming.LENGTH


class Responder(Exchange):
    """Runs the application for the request that *connection* has collected.

    Attributes:
        outcome: after `run`, what becomes of the connection.
        status_sent: the status of the response for the log, "" if none was sent.
        content_sent: after `run`, bytes of content sent.
    """

    status_sent: str = ""
    content_sent: int = 0

    _own_lines: bytes = b""
    _length: int | None = None
    _framing: ResponseFraming = _BODILESS
    _at_end: bool = False

    def __init__(self, connection: "Connection", environ: Environ, wish: Outcome) -> None:
        self._connection = connection
        self.environ = environ
        self.outcome = wish
        self._method: str = environ["REQUEST_METHOD"]
        self._version: str = environ["SERVER_PROTOCOL"]
        self._target: str = environ["REQUEST_URI"]
        self._pieces: list[bytes] = []

    @property
    def request_line(self) -> str:
        """The request line, as received; the application cannot change it."""
        return f"{self._method} {self._target} {self._version}"

    def setup_environ(self) -> None:
        """Do nothing: the connection has the environ ready."""

    def accept_head(self, status: str, headers: list[tuple[str, str]]) -> None:
        """Check the head by writing its lines, so that what is refused leaves no byte on the wire.

        The lines are kept as `headers`: whatever the application does to its list later, they stand.
        """
        if type(headers) is not list:
            raise AssertionError(
                f"the headers must be a list, but the application gave {type(headers).__name__}"
            )
        try:
            line = known_status_lines.get(status) or status_line(status)
            lines, length, has_date, has_server = check_fields(headers)
        except (TypeError, AttributeError):
            raise AssertionError(
                "the status must be a str and the headers (name, value) tuples of str, "
                f"but the application gave {status!r} and {headers!r}"
            ) from None
        if status[:1] == "1":
            raise ValueError(f"the status {status!r} is not a final one")
        self._length = length
        if has_date or has_server:
            self._own_lines = (b"" if has_date else _date.now()) + (b"" if has_server else SERVER_LINE)
        else:
            self._own_lines = date_and_server.now()
        lines.insert(0, line)
        self.status = status
        self.headers = lines

    def send_headers(self) -> None:
        """Keep the head for the next `_flush`, framed for this client."""
        status: str = self.status  # type: ignore[assignment]  # accept_head set it
        length = self._length
        # To HEAD belongs the length that GET would have: without a block, it is unknown.
        if length is None and (self.bytes_sent or self._method != "HEAD") and status[:3] != "304":
            length = self._whole_length()
        # What the length is makes no difference, only whether there is one.
        known = None if length is None else 0
        framing, outcome = _framing(self._method, status, self._version, known, self.outcome)
        if outcome is CLOSE or self._connection.closing:
            self.outcome = CLOSE
        lines = self.headers
        lines.append(self._own_lines)
        # "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx
        # (Informational) or 204 (No Content)." RFC 9110, 8.6
        if length is not None and status[:3] != "204":
            lines.append(b"Content-Length: %d\r\n" % length)
        if framing is _LENGTH:
            self.remaining = length
        elif framing is _BODILESS:
            self.bodiless = True
            self.remaining = 0
        elif framing is _CHUNKED:
            lines.append(TRANSFER_ENCODING_CHUNKED)
        if self.outcome is CLOSE:
            lines.append(CONNECTION_CLOSE)
        elif self._version == HTTP_1_0:
            lines.append(CONNECTION_KEEP_ALIVE)
        lines.append(b"\r\n")
        self._framing = framing
        self._pieces = lines
        self.headers_sent = True
        self.status_sent = status

    def _whole_length(self) -> int | None:
        """Return the size of the block at hand if it is all the content there is."""
        if not self._at_end:
            try:
                if len(self.result) != 1:
                    return None
            except (TypeError, AttributeError, NotImplementedError):
                return None
        return self.bytes_sent

    def finish_content(self) -> None:
        """See that the head is sent, the content whole and its end marked."""
        if not self.headers_sent:
            self._at_end = True
        super().finish_content()
        if self._framing is _CHUNKED:
            try:
                self._pieces.append(LAST_CHUNK)
                self._flush()
            except CLIENT_GONE as error:
                self._lose_client(error)
                raise

    def _write(self, data: bytes) -> None:
        if self._framing is not _CHUNKED:
            self._pieces.append(data)
        elif data:  # an empty chunk would end the content
            self._pieces += (chunk_start(len(data)), data, CHUNK_END)

    def _flush(self) -> None:
        pieces = self._pieces
        if pieces:
            self._pieces = []
            self._connection.send(b"".join(pieces))

    def close(self) -> None:
        """Close the iterable and note how the response ended."""
        self.content_sent = self.bytes_sent
        if self.incomplete:
            self.outcome = ABORT
        self._finished = True
        self.status = None  # from here on write() is refused: the connection is no longer ours
        self._close_result()

    def abandon(self) -> None:
        """Give the connection up: only so does the client see that something is missing."""
        self.content_sent = self.bytes_sent
        self.outcome = ABORT
        self.status = None

    def log_exception(self, exc_info: ExcInfo) -> None:
        """Log a traceback below the request line."""
        _log.error(
            "the application failed: %s", self._connection.describe(self.request_line), exc_info=exc_info
        )

    def log_violation(self, message: str) -> None:
        """Log *message* with the request line; nothing is risked on a connection with a faulty response."""
        self.outcome = CLOSE
        _log.error("%s: %s", message, self._connection.describe(self.request_line))

    def error_output(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer 500 with fixed words: what failed is for the log."""
        self.outcome = CLOSE
        content = INTERNAL_ERROR.sentence.encode("ascii") + b"\n"
        start_response(
            INTERNAL_ERROR.status,
            [
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Content-Length", str(len(content))),
                ("Cache-Control", "no-store"),
            ],
            sys.exc_info(),
        )
        return [content]
