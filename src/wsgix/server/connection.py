"""One client's connection: what has arrived, which request it makes, what still has to leave.

A connection belongs to one thread at a time: to the leader, or to the thread that runs the application
for it. Nothing here waits, but `send` once the client is far behind its response.
"""

import enum
import socket
from io import BytesIO
from typing import Any, Final

from wsgix.core.exchange import Environ
from wsgix.core.framing import CHUNKED, KEEP, NO_BODY, Outcome
from wsgix.facts.refusals import STORAGE_FULL, Refusal
from wsgix.server.poller import wait_writable
from wsgix.server.request_body import RequestBody, too_large
from wsgix.wire.http1 import NEED_MORE, RequestReader, Step
from wsgix.wire.http1_response import CONTINUE
from wsgix.wire.limits import Limits

RECEIVE_SIZE: Final = 65536
RESPONSE_BUFFER: Final = 1 << 20
"""Bytes of response kept for a client that is slow to read; then the application waits."""
WRITE_STALL: Final = 30.0
"""Seconds that an application waits for such a client."""


class Phase(enum.Enum):
    """What a connection waits for."""

    HEAD = enum.auto()
    """Bytes of a request head; between two requests, too."""
    BODY = enum.auto()
    """Bytes of request content."""
    BUSY = enum.auto()
    """The application."""
    FLUSH = enum.auto()
    """The client to take the response."""
    LINGER = enum.auto()
    """The client to close, so that it reads the answer before the connection is reset."""
    CLOSED = enum.auto()


HEAD: Final = Phase.HEAD
BODY: Final = Phase.BODY
BUSY: Final = Phase.BUSY
FLUSH: Final = Phase.FLUSH
LINGER: Final = Phase.LINGER


class Connection:
    """An accepted socket.

    Attributes:
        phase: what it waits for.
        outcome: what becomes of it once its response has left.
        deadline: when it is given up, in seconds of the monotonic clock.
        since: when its phase began.
        closing: whether no further request may follow; the worker sets it when it stops.
        interest: the events it is registered for, 0 if it is not.
        environ, wish: the request at hand, once `advance` gave None.
        served: whether it waits for a further request, after one that was answered.
        begun: whether the deadline is that of a head which has begun to arrive.
        unfinished: whether the client may still be sending a request that nobody will read.
        outbox: what the client has not taken yet of the response.
        lingered: bytes read since the connection lingers.
    """

    __slots__ = (
        "_body",
        "_client",
        "_inbox",
        "_limits",
        "_reader",
        "_start",
        "_template",
        "begun",
        "closing",
        "deadline",
        "environ",
        "fd",
        "interest",
        "lingered",
        "outbox",
        "outcome",
        "phase",
        "served",
        "since",
        "socket",
        "unfinished",
        "wish",
    )

    def __init__(self, accepted: socket.socket, client: Any, template: Environ, limits: Limits) -> None:
        self.socket = accepted
        self.fd = accepted.fileno()
        self.phase = HEAD
        self.outcome: Outcome = KEEP
        self.deadline = self.since = 0.0
        self.closing = self.begun = self.served = self.unfinished = False
        self.lingered = 0
        self.interest = 0
        self.environ: Environ = template
        self.wish: Outcome = KEEP
        # TCP gives (host, port, ...), a Unix socket a path, mostly empty.
        self._client: tuple[str, str] | None = (
            (client[0], str(client[1])) if isinstance(client, tuple) else None
        )
        self._template = template
        self._limits = limits
        self._reader = RequestReader(limits, template["wsgi.url_scheme"])
        self._inbox: bytes | bytearray = b""
        self._start = 0
        self._body: RequestBody | None = None
        self.outbox = b""

    @property
    def client(self) -> str:
        """The client's address, "" where it has none."""
        return self._client[0] if self._client else ""

    def describe(self, request_line: str) -> str:
        """Name a request of this connection in the log."""
        return f"{request_line!a} from {self.client or 'a Unix socket'}"

    # In: on the leader

    def take(self, data: bytes) -> None:
        """Add what has arrived to what belongs to no request yet."""
        if not self._inbox:
            self._inbox = data
            return
        # A buffer that grows in place keeps the work linear, however many pieces a head comes in.
        if type(self._inbox) is not bytearray:
            self._inbox = bytearray(self._inbox)
        if self._start:
            del self._inbox[: self._start]
            self._start = 0
        self._inbox += data

    def discard(self) -> None:
        """Forget what belongs to no request yet."""
        self._inbox = b""
        self._start = 0

    @property
    def has_unread(self) -> bool:
        """Whether bytes have arrived that belong to no request yet."""
        return self._start < len(self._inbox)

    def advance(self) -> Step | Refusal | None:
        """Go on with what has arrived; None once a whole request is at hand in `environ`."""
        if self._body is not None:
            return self._collect(self._body)
        reader = self._reader
        environ = reader.read(self._inbox, self._start, self._template)
        if not isinstance(environ, dict):
            return environ
        if self._client is not None:
            environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = self._client
        self.environ = environ
        self.wish = reader.wish
        self._start = reader.end
        if reader.framing != NO_BODY:
            return self._begin_content(reader)
        self._consume()
        environ["wsgi.input"] = BytesIO()
        return None

    def _begin_content(self, reader: RequestReader) -> Step | Refusal | None:
        refusal = too_large(reader.framing, self._limits)
        if refusal is not None:
            return refusal
        self._body = RequestBody(reader.framing, self._limits)
        self.phase = BODY
        result = self._collect(self._body)
        # "A server MAY omit sending a 100 (Continue) response if it has already received some or all of the
        # content for the corresponding request" (RFC 9110, 10.1.1)
        if result is NEED_MORE and reader.expects_continue and self._body.size == 0:
            self.send(CONTINUE)
        return result

    def _collect(self, body: RequestBody) -> Step | Refusal | None:
        try:
            step = body.feed(bytes(self._inbox), self._start)
        except OSError:
            return STORAGE_FULL
        if step is NEED_MORE:
            self._inbox = b""
            self._start = 0
            return step
        if isinstance(step, Refusal):
            return step
        self._start = body.end
        self._consume()
        environ = self.environ
        environ["wsgi.input"] = body.open()
        if self._reader.framing == CHUNKED:
            # What the application reads is no longer chunked, and its length is known.
            environ.pop("HTTP_TRANSFER_ENCODING", None)
            environ["CONTENT_LENGTH"] = str(body.size)
            environ["wsgix.trailers"] = body.trailers
        return None

    def _consume(self) -> None:
        """Drop the inbox if all of it is used."""
        if self._start == len(self._inbox):
            self._inbox = b""
            self._start = 0

    @property
    def body_size(self) -> int:
        """Bytes of request content that have arrived."""
        return self._body.size if self._body is not None else 0

    def end_request(self) -> None:
        """Forget the request at hand: the next one may be read."""
        self.environ = self._template
        if self._body is not None:
            self._body.close()
            self._body = None

    # Out: on the thread that owns the connection

    def send(self, data: bytes) -> None:
        """Send what the socket takes and keep the rest; wait if the rest is too much.

        Raises:
            OSError: the client is gone, or did not read for `WRITE_STALL` seconds.
        """
        if self.outbox:
            self.outbox += data
        else:
            try:
                sent = self.socket.send(data)
            except BlockingIOError:
                sent = 0
            if sent == len(data):
                return
            self.outbox = data[sent:]
        while len(self.outbox) > RESPONSE_BUFFER:
            if not wait_writable(self.fd, WRITE_STALL):
                raise ConnectionAbortedError(f"the client read nothing for {WRITE_STALL:.0f} seconds")
            self.flush()

    def flush(self) -> bool:
        """Send more of what is kept; tell whether all has left.

        Raises:
            OSError: the client is gone.
        """
        if self.outbox:
            try:
                sent = self.socket.send(self.outbox)
            except BlockingIOError:
                return False
            self.outbox = self.outbox[sent:]
        return not self.outbox

    def close(self) -> None:
        """Close the socket, and what the request at hand holds."""
        self.phase = Phase.CLOSED
        self.end_request()
        self.socket.close()
