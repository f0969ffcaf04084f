"""One request's response: the `Exchange` that speaks HTTP/1.1 to a `Connection`.

Runs on the thread that runs the application. Legality is `core.exchange`'s, framing is
`core.framing`'s, bytes are `wire.http1_response`'s; this joins them to a socket.
"""

import logging
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from wsgix.core.exchange import Environ, Exchange, ExcInfo
from wsgix.core.framing import (
    ABORT,
    CLOSE,
    HTTP_1_0,
    Outcome,
    ResponseFraming,
    parse_content_length,
    response_framing,
)
from wsgix.facts.refusals import INTERNAL_ERROR
from wsgix.server.clock import DateLine
from wsgix.wire.http1_response import (
    CHUNK_END,
    CONNECTION_CLOSE,
    CONNECTION_KEEP_ALIVE,
    LAST_CHUNK,
    TRANSFER_ENCODING_CHUNKED,
    chunk_start,
    response_head,
)

if TYPE_CHECKING:
    from wsgix.server.connection import Connection

SERVER_LINE: Final = b"Server: wsgix\r\n"
"""Without a version: it would tell attackers more than users."""

date_line: Final = DateLine()
_log: Final = logging.getLogger("wsgix.error")


class Responder(Exchange):
    """Runs the application for the request that *connection* has collected.

    Attributes:
        outcome: after `run`, what becomes of the connection.
        status_sent: the status of the response for the log, "" if none was sent.
        content_sent: bytes of content sent.
    """

    def __init__(self, connection: "Connection", environ: Environ, wish: Outcome) -> None:
        self._connection = connection
        self.environ = environ
        self._method: str = environ["REQUEST_METHOD"]
        self._version: str = environ["SERVER_PROTOCOL"]
        self.request_line = f"{self._method} {environ['REQUEST_URI']} {self._version}"
        self.outcome = wish
        self.status_sent = ""
        self.content_sent = 0
        self._declared: int | None = None
        self._own_lines = b""
        self._framing = ResponseFraming.BODILESS
        self._pieces: list[bytes] = []

    def setup_environ(self) -> None:
        """Do nothing: the connection has the environ ready."""

    def accept_head(self, status: str, headers: list[tuple[str, str]]) -> None:
        """Check the head by writing it, so that what is refused leaves no byte on the wire."""
        if type(status) is not str:
            raise AssertionError(f"the status must be a str, but the application gave {status!r}")
        if type(headers) is not list:
            raise AssertionError(
                f"the headers must be a list, but the application gave {type(headers).__name__}"
            )
        if status[:1] == "1":
            raise ValueError(f"the status {status!r} is not a final one")
        declared: int | None = None
        own_lines = b""
        has_date = has_server = False
        for name, value in headers:
            if type(name) is not str or type(value) is not str:
                raise AssertionError(
                    f"header names and values must be str, but the application gave {(name, value)!r}"
                )
            lower = name.lower()
            if lower == "content-length":
                length = parse_content_length(value)
                if length is None or declared is not None:
                    raise ValueError(f"malformed or repeated Content-Length {value!r}")
                declared = length
            elif lower == "date":
                has_date = True
            elif lower == "server":
                has_server = True
        if not has_date:
            own_lines = date_line.now()
        if not has_server:
            own_lines += SERVER_LINE
        response_head(status, headers, b"")
        self._declared = declared
        self._own_lines = own_lines
        self.status = status
        self.headers = headers.copy()

    def send_headers(self) -> None:
        """Keep the head for the first `_flush`, framed for this client."""
        status = self.status or ""
        declared = self._declared
        headers = self.headers
        own_lines = self._own_lines
        if declared is None and self._is_whole():
            declared = self.bytes_sent
            if declared or self._method != "HEAD":
                own_lines += b"Content-Length: %d\r\n" % declared
        elif declared is not None and status[:3] == "204":
            # "A server MUST NOT send a Content-Length header field in any response with a status code of
            # 1xx (Informational) or 204 (No Content)." RFC 9110, 8.6
            headers = [field for field in headers if field[0].lower() != "content-length"]
        framing, outcome = response_framing(self._method, status, self._version, declared, self.outcome)
        if self.outcome is not CLOSE:
            self.outcome = outcome
        if self._connection.closing:
            self.outcome = CLOSE
        if framing is ResponseFraming.CHUNKED:
            own_lines += TRANSFER_ENCODING_CHUNKED
        elif framing is ResponseFraming.BODILESS:
            self.bodiless = True
            self.remaining = 0
        elif framing is ResponseFraming.LENGTH:
            self.remaining = declared
        if self.outcome is CLOSE:
            own_lines += CONNECTION_CLOSE
        elif self._version == HTTP_1_0:
            own_lines += CONNECTION_KEEP_ALIVE
        self._framing = framing
        self._pieces.append(response_head(status, headers, own_lines))
        self.headers_sent = True
        self.status_sent = status

    def _is_whole(self) -> bool:
        """Tell whether the block at hand is all the content there will be."""
        if self._status_has_no_content():
            return False
        result = self.result
        if result is None:
            return False
        if self._exhausted:
            return True
        try:
            return len(result) == 1
        except (TypeError, AttributeError, NotImplementedError):
            return False

    def _status_has_no_content(self) -> bool:
        return (self.status or "")[:3] in ("204", "304")

    _exhausted = False

    def finish_content(self) -> None:
        """See that the head is sent, the content whole and its end marked."""
        self._exhausted = True
        super().finish_content()
        if self._framing is ResponseFraming.CHUNKED:
            self._pieces.append(LAST_CHUNK)
            self._flush()

    def _write(self, data: bytes) -> None:
        if self._framing is ResponseFraming.CHUNKED:
            if data:
                self._pieces += (chunk_start(len(data)), data, CHUNK_END)
        else:
            self._pieces.append(data)

    def _flush(self) -> None:
        pieces = self._pieces
        if pieces:
            self._pieces = []
            self._connection.send(pieces[0] if len(pieces) == 1 else b"".join(pieces))

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
