"""One request's response: the `Exchange` that speaks HTTP/1.1 to a `Connection`.

Runs on the thread that runs the application. Legality is `core.exchange`'s, framing is
`core.framing`'s, bytes are `wire.http1_response`'s; this joins them to a socket.
"""

import contextlib
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from wsgix.core.exchange import CLIENT_GONE, Environ, Exchange, ExcInfo
from wsgix.core.files import FileWrapper, has_bytes_of_descriptor
from wsgix.core.framing import ABORT, CLOSE, HTTP_1_0, KEEP, ResponseFraming, response_framing
from wsgix.core.streams import IncompleteBody, RefusedBody
from wsgix.facts.refusals import INCOMPLETE, INTERNAL_ERROR, REQUEST_TIMEOUT, Refusal
from wsgix.server.clock import DateLine
from wsgix.server.connection import Connection
from wsgix.server.error_log import request_id
from wsgix.server.outgoing import FILE_FAULTS, TOGETHER
from wsgix.server.sure_log import log
from wsgix.wire.http1_response import (
    CHUNK_END,
    CONNECTION_CLOSE,
    CONNECTION_KEEP_ALIVE,
    HAS_DATE,
    HAS_SERVER,
    LAST_CHUNK,
    TRANSFER_ENCODING_CHUNKED,
    FinalHead,
    chunk_start,
    final_heads,
    length_line,
    refusal_response,
)

if TYPE_CHECKING:
    from wsgix.wire.http1 import KnownHead, RequestReader

_HAS_SENDFILE: Final = hasattr(os, "sendfile")

SERVER_LINE: Final = b"Server: wsgix\r\n"
"""Without a version: it would tell attackers more than users."""

date_and_server: Final = DateLine(SERVER_LINE)
_date: Final = DateLine()
# Few methods and statuses make up nearly all traffic.
_framing: Final = lru_cache(response_framing)

_LARGE: Final = 65536

_BODILESS: Final = ResponseFraming.BODILESS
_CHUNKED: Final = ResponseFraming.CHUNKED
_LENGTH: Final = ResponseFraming.LENGTH
_UNTIL_CLOSE: Final = ResponseFraming.UNTIL_CLOSE


def _own_lines(head: FinalHead) -> bytes:
    """Return what the server adds to every response, as far as the application has not done it."""
    notes = head.notes
    if not notes:
        return date_and_server.line
    return (b"" if notes & HAS_DATE else _date.now()) + (b"" if notes & HAS_SERVER else SERVER_LINE)


class Responder(Exchange):
    """Runs the application for the request that *connection* has collected.

    Attributes:
        outcome: after `run`, what becomes of the connection.
        status_sent: the status of the response for the log, "" if none was sent.
        head_sent: its head, from the status line to the empty line; b"" where that is not the server's, unset
            if there is no status.
        content_sent: after `run`, bytes of content sent.
        is_answered_for: whether `time_out` has sent the response.
    """

    # What every response needs is in slots: CPython is slow to look up, and to set, an attribute whose name
    # has a default in the class. What few need has its default there.
    __slots__ = (
        "_connection",
        "_finished",
        "_is_usual",
        "_line",
        "_started",
        "content_sent",
        "environ",
        "head_sent",
        "headers",
        "headers_sent",
        "outcome",
        "remaining",
        "result",
        "status",
        "status_sent",
    )

    _framing: ResponseFraming = _BODILESS
    _pieces: list[bytes] = []  # noqa: RUF012  replaced, never changed
    _at_end: bool = False
    _is_last: bool = False
    _may_gather: bool = False
    _gathered: list[bytes] | None = None
    _gathered_size: int = 0
    _refusal: Refusal = INTERNAL_ERROR
    _claim: list[None] | None = None
    is_answered_for: bool = False

    def __init__(self, connection: Connection, environ: Environ, reader: "RequestReader | KnownHead") -> None:
        self._connection = connection
        self.environ = environ
        self._line = reader.line
        self._is_usual = reader.is_usual
        self.outcome = reader.wish
        self.status_sent = ""
        self.status = self.headers = self.result = self.remaining = None
        self.headers_sent = self._started = self._finished = False

    @property
    def request_line(self) -> str:
        """The request line, as received; the application cannot change it."""
        return f"{self._line.method} {self._line.target} {self._line.version}"

    def setup_environ(self) -> None:
        """Do nothing: the connection has the environ ready."""

    def accept_head(self, status: str, headers: list[tuple[str, str]]) -> None:
        """Check the head by writing its lines, so that what is refused leaves no byte on the wire.

        They are kept as `headers`: whatever the application does to its list later, they stand.
        """
        self.headers = None
        if type(headers) is not list:
            raise AssertionError(
                f"the headers must be a list, but the application gave {type(headers).__name__}"
            )
        try:
            head = final_heads[status, *headers]
        except (TypeError, AttributeError):
            raise AssertionError(
                "the status must be a str and the headers (name, value) tuples of str, "
                f"but the application gave {status!r} and {headers!r}"
            ) from None
        self.status = status
        self.headers = head

    def _transmit(self, blocks: Iterable[bytes]) -> None:
        """Transmit block after block; small ones together if they come quickly."""
        # Two loops go over it, and the application's own iterator may begin anew with each. It is asked for
        # here: within the loop, a StopIteration of its `__iter__` would pass for the end of the blocks.
        blocks = islice(blocks, None)
        connection = self._connection
        for block in blocks:
            if block or type(block) is not bytes:
                head: FinalHead | None = self.headers
                is_declared = head is not None and type(block) is bytes and head.length == len(block)
                if is_declared and self._send_whole(block):
                    self.bytes_sent = self.content_sent
                    self._is_usual = False  # one more block would be too much
                    continue
                self._may_gather = connection.is_inline
                self.write(block)
                if self._gathered is not None:
                    self._gather(self._gathered, blocks)
                if self._stopped:
                    return
        self._may_gather = False
        # The last chunk is sent with them.
        if self._framing is not _CHUNKED:
            if self._gathered is not None:
                self._release(b"")
            elif not connection.is_simple:
                self._push(is_last=True)

    def _gather(self, gathered: list[bytes], blocks: Iterator[bytes]) -> None:
        """Let blocks leave together, until there is no more or the thread has lost the lead."""
        connection = self._connection
        put = gathered.append
        size = 0
        # Where a length is declared each block is counted at once: before the next one the application may
        # call write(), which must know what is left.
        most = TOGETHER if self.remaining is None else 0
        try:
            for block in blocks:
                if type(block) is not bytes:
                    break
                size += len(block)
                if size > most:
                    left = self.remaining
                    if left is None or len(block) > left or size > TOGETHER:
                        size -= len(block)
                        break
                    self.remaining = left - len(block)
                    self.bytes_sent += len(block)
                put(block)
                # Whoever takes the lead away looks at what is gathered afterwards: one of the two sends it.
                if not connection.is_inline:
                    self._gathered = None
                    self._push()
                    return
            else:
                self._gathered_size = size
                return
        finally:
            if self.remaining is None:
                self.bytes_sent += size
        # It is large, or too much, or no block at all.
        self._gathered = None
        connection.is_simple = False  # what is gathered has to leave even if this is refused
        self.write(block)

    def _release(self, ending: bytes) -> None:
        """Send what is gathered, and the *ending* of the response with it."""
        self._gathered = None
        try:
            self._connection.release(self._gathered_size, ending)
        except OSError as error:
            raise self._gone(error) from None

    def _push(self, *, is_last: bool = False) -> None:
        """Send what is gathered."""
        try:
            self._connection.push(is_last)
        except OSError as error:
            raise self._gone(error) from None

    def _gone(self, error: OSError) -> ConnectionAbortedError:
        """Note that the client is out of reach, whatever the system calls it; return what to raise for it."""
        gone = ConnectionAbortedError(*error.args)
        self._lose_client(gone)
        return gone

    def finish_response(self) -> None:
        """Transmit what the application returned: in one step what most return, a list of one block."""
        result = self.result
        if type(result) is list and len(result) == 1 and self._send_whole(result[0]):
            self._finished = True
            self.status = None  # from here on write() is refused: the connection is no longer ours
        else:
            super().finish_response()

    def _send_whole(self, block: bytes) -> bool:
        """Send the head and *block*, all the content there is, at once; False if anything is unusual."""
        head: FinalHead | None = self.headers
        if head is None or not self._is_usual:
            return False
        size = len(block) if type(block) is bytes else -1
        connection = self._connection
        outcome = CLOSE if connection.closing else self.outcome
        line, length, ending, whole = head.whole
        if size != length or outcome is not ending or line is not date_and_server.line:
            declared = head.length
            fits = declared is None or declared == size
            if not (fits and 0 <= size <= _LARGE and head.has_content):
                return False
            line = _own_lines(head)
            close = b"" if outcome is KEEP else CONNECTION_CLOSE
            whole = b"".join((head.lines, line, length_line(size), close, b"\r\n"))
            head.whole = line, size, outcome, whole
        self.outcome = outcome
        connection.is_answering = self.headers_sent = True
        self.status_sent = self.status  # type: ignore[assignment]  # there is a head, so there is a status
        self.head_sent = whole
        self.content_sent = size
        self.remaining = 0  # from here on the response is whole, or the client is gone
        try:
            connection.send(whole + block, True)
        except OSError as error:
            raise self._gone(error) from None
        return True

    def send_headers(self) -> None:
        """Keep the head for the next `_flush`, framed for this client."""
        status: str = self.status  # type: ignore[assignment]  # accept_head set it
        head: FinalHead = self.headers
        length = head.length
        # To HEAD belongs the length that GET would have: without a block, it is unknown.
        method, version = self._line.method, self._line.version
        if length is None and (self.bytes_sent or method != "HEAD") and status[:3] != "304":
            length = self._whole_length()
        # What the length is makes no difference, only whether there is one.
        known = None if length is None else 0
        framing, outcome = _framing(method, status, version, known, self.outcome)
        connection = self._connection
        if connection.is_taken:
            framing = (
                _BODILESS  # nothing of it leaves: the first block that the application gives is its last
            )
        if outcome is CLOSE or connection.closing:
            self.outcome = CLOSE
        elif connection.streamed is not None and connection.streamed.awaits_continue:
            # Whether the client now sends its content or not, nobody can tell: RFC 9110, 10.1.1.
            self.outcome = CLOSE
        lines = [head.lines, _own_lines(head)]
        # "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx
        # (Informational) or 204 (No Content)." RFC 9110, 8.6
        if length is not None and status[:3] != "204":
            lines.append(length_line(length))
        if framing is _LENGTH:
            self.remaining = length
        elif framing is _BODILESS:
            self.bodiless = True
            self.remaining = 0
        elif framing is _CHUNKED:
            lines.append(TRANSFER_ENCODING_CHUNKED)
        else:
            connection.is_until_close = True
        if self.outcome is CLOSE:
            lines.append(CONNECTION_CLOSE)
        elif version == HTTP_1_0:
            lines.append(CONNECTION_KEEP_ALIVE)
        lines.append(b"\r\n")
        if self._claim is not None:
            self._claim_response(self._claim)
        self._framing = framing
        self.head_sent = b"".join(lines)
        self._pieces = [self.head_sent]
        connection.is_answering = True
        self.headers_sent = True
        self._is_usual = False
        self.status_sent = status

    def _whole_length(self) -> int | None:
        """Return the size of the block at hand if it is all the content there is."""
        if not self._at_end:
            try:
                if len(self.result) != 1:
                    return None
            except (TypeError, AttributeError, NotImplementedError):
                return None
            except CLIENT_GONE as error:
                # Of a connection of the application's own: `write` would take it for the client's.
                raise RuntimeError("len() of what the application returned failed") from error
        return self.bytes_sent

    def finish_content(self) -> None:
        """See that the head is sent, the content whole and its end marked."""
        if not self.headers_sent:
            if self.status is None and self._connection.is_taken:
                return  # who speaks to the client itself need not start a response
            self._at_end = True
        super().finish_content()
        self.remaining = 0  # all is said: an error in close() must not cut what the client has yet to take
        if self._gathered is not None:
            self._release(LAST_CHUNK if self._framing is _CHUNKED else b"")
        elif self._framing is _CHUNKED:
            try:
                self._pieces.append(LAST_CHUNK)
                self._is_last = True
                self._flush()
            except CLIENT_GONE as error:
                self._lose_client(error)
                raise

    def result_is_file(self) -> bool:
        """Tell whether the application returned a `wsgi.file_wrapper`."""
        return isinstance(self.result, FileWrapper)

    def sendfile(self) -> bool:
        """Have the loop send a regular file; anything else is left to iteration."""
        file = self.result.filelike
        if not (_HAS_SENDFILE and self._connection.is_plain and has_bytes_of_descriptor(file)):
            return False
        # What derives from the wrapper may give other blocks than it reads.
        kind = type(self.result)
        if (kind.__iter__, kind.__next__) != (FileWrapper.__iter__, FileWrapper.__next__):
            return False
        try:
            fd = file.fileno()
            status = os.fstat(fd)
            offset = file.tell()
        except (AttributeError, OSError, ValueError):
            return False
        size = status.st_size - offset
        # Files of /proc have content but no size, those of /sys a size that says nothing. Neither takes room.
        is_stored = size > 0 and status.st_blocks > 0 and stat.S_ISREG(status.st_mode)
        if not is_stored or self.status is None:
            return False
        if not self.headers_sent:
            self._at_end = True
            self.bytes_sent = size
            self.send_headers()
            self.bytes_sent = 0
        if self._framing is _CHUNKED:
            return False
        if self.remaining is not None:
            size = min(size, self.remaining)
        self._flush()
        try:
            if size and not self._connection.send_file(fd, offset, size):
                return False
        except OSError as error:
            if error.errno in FILE_FAULTS:
                raise  # a file that cannot be read is the application's
            raise ConnectionAbortedError(*error.args) from None  # as in `_flush`
        self.bytes_sent += size
        if self.remaining is not None:
            self.remaining -= size
        self.finish_content()
        return True

    def _write(self, data: bytes) -> None:
        self._is_last = self.remaining == len(data)
        if not data:  # an empty chunk would end the content
            return
        if self._framing is not _CHUNKED:
            self._pieces.append(data)
        else:
            self._pieces += (chunk_start(len(data)), data, CHUNK_END)

    def _flush(self) -> None:
        pieces = self._pieces
        if pieces:
            self._pieces = []
            send = self._connection.send
            try:
                if len(pieces[-1]) > _LARGE:
                    # Copying this much costs more than another call of the system.
                    block = pieces.pop()
                    if pieces:
                        send(b"".join(pieces))
                    send(block, is_last=self._is_last)
                elif self._may_gather and not (self._is_last or self._stopped):
                    # The head and the first block leave with what comes quickly behind them.
                    self._may_gather = False
                    chunked = self._framing is _CHUNKED
                    self._gathered = self._connection.gather(b"".join(pieces), chunked)
                else:
                    send(b"".join(pieces), is_last=self._is_last)
            except OSError as error:
                # Whatever the system calls it: the client is out of reach, and the application not at fault.
                raise ConnectionAbortedError(*error.args) from None

    def close(self) -> None:
        """Close the iterable and note how the response ended."""
        self.content_sent = self.bytes_sent
        if self.incomplete:
            self.outcome = ABORT
        connection = self._connection
        if self._gathered is not None or not connection.is_simple:
            # However the response ended: what the application did give is the client's.
            with contextlib.suppress(OSError):
                connection.push(is_last=True)
            if connection.is_taken:
                # Whatever the application gave as its response, the client has got another one from it.
                self.outcome = ABORT
                self.status_sent = "101"
                self.head_sent = b""
                self.content_sent = 0
        self._finished = True
        self.status = None  # from here on write() is refused: the connection is no longer ours
        self._close_result()

    # A call that takes too long; on the thread that watches

    def share(self) -> None:
        """Prepare for `time_out`: from now on whoever is first to claim the response may send it."""
        self._claim = [None]
        self._is_usual = False

    def time_out(self, interrupt: Callable[[], object]) -> None:
        """Answer 504 in the place of the application; if its response has begun, cut it off.

        *interrupt* is called once it is settled who answers, and before the client learns of it: else what
        the client does next could be what ends the application's call.
        """
        connection = self._connection
        connection.is_given_up = True
        # Whoever has taken the connection over has answered.
        claim: list[None] = [] if connection.is_taken else self._claim or []
        try:
            claim.pop()
        except IndexError:
            interrupt()
            if self._framing is _UNTIL_CLOSE and self.remaining is None:
                connection.reset()
            else:
                connection.cut_off()
            return
        interrupt()
        bodiless = self._line.method == "HEAD"
        response = refusal_response(REQUEST_TIMEOUT, date_and_server.now(), bodiless=bodiless)
        self.status_sent = REQUEST_TIMEOUT.status
        self.head_sent = response[: response.index(b"\r\n\r\n") + 4]
        self.content_sent = len(response) - len(self.head_sent)
        self.is_answered_for = True
        connection.send_last(response)

    @staticmethod
    def _claim_response(claim: list[None]) -> None:
        try:
            claim.pop()
        except IndexError:
            raise ConnectionAbortedError("the request timed out") from None

    @property
    def name(self) -> str:
        """The request and who made it, for the log; without the query, where secrets are kept."""
        path = self._line.target.partition("?")[0]
        request = f"{self._line.method} {path} {self._line.version}"
        return f"{request!a} from {self._connection.name}, request {request_id(self.environ)}"

    def abandon(self) -> None:
        """Give the connection up: only so does the client see that something is missing."""
        self.outcome = ABORT
        self.status = None

    def handle_error(self) -> None:
        """Answer for the application, unless it speaks to the client itself or the client is at fault."""
        error = sys.exc_info()[1]
        if self._connection.is_taken:
            if not isinstance(error, StopIteration | ConnectionError):
                self.log_exception(sys.exc_info())  # type: ignore[arg-type]
        elif isinstance(error, RefusedBody | IncompleteBody):
            self._refusal = error.refusal if isinstance(error, RefusedBody) else INCOMPLETE
            super().handle_error()
        else:
            super().handle_error()

    def _lose_client(self, error: BaseException) -> None:
        # An application that goes on loses it again with each block.
        if self._client_gone is None:
            log.info("the response ended early, %s: %s", error, self.name)
        super()._lose_client(error)
        self._connection.lose(ConnectionAbortedError(*error.args))

    def log_exception(self, exc_info: ExcInfo) -> None:
        """Log a traceback below the request line; a client's fault is one line."""
        if self._refusal is not INTERNAL_ERROR:
            log.info("%s: %s", self._refusal.word, self.name)
            return
        log.error("the application failed: %s", self.name, exc_info=exc_info)

    def log_violation(self, message: str) -> None:
        """Log *message* with the request line; nothing is risked on a connection with a faulty response."""
        self.outcome = CLOSE
        log.error("%s: %s", message, self.name)

    def error_output(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer 500 with fixed words, or what a refused request deserves: what failed is for the log."""
        self.outcome = CLOSE
        content = self._refusal.sentence.encode("ascii") + b"\n"
        start_response(
            self._refusal.status,
            [
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Content-Length", str(len(content))),
                ("Cache-Control", "no-store"),
            ],
            sys.exc_info(),
        )
        return [content]
