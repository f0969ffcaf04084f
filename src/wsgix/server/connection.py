"""One client's connection: what has arrived, which request it makes, what still has to leave.

A connection belongs to one thread at a time: to the leader, or to the thread that runs the application
for it. Nothing here waits, but `send` once the client is far behind its response.
"""

import contextlib
import enum
import os
import socket
from collections import deque
from collections.abc import Callable
from io import BufferedReader, BytesIO
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from wsgix.core.exchange import Environ
from wsgix.core.framing import CHUNKED, HTTP_1_0, KEEP, NO_BODY, Outcome
from wsgix.facts.refusals import STORAGE_FULL, Refusal
from wsgix.server.poller import wait_writable
from wsgix.server.request_body import Memory, RequestBody
from wsgix.server.settings import Settings
from wsgix.server.streaming import RECEIVE_SIZE, LentSocket, StreamedBody
from wsgix.wire.http1 import COMPLETE, NEED_MORE, KnownHeads, RequestReader, Step
from wsgix.wire.http1_body import read_whole_chunks
from wsgix.wire.http1_response import CHUNK_END, CONTINUE, chunk_start, early_hints
from wsgix.wire.limits import Limits

if TYPE_CHECKING:
    from wsgix.server.certificates import Certificates
    from wsgix.server.lent_tls import LentTLSSocket
    from wsgix.server.trust import Trust
    from wsgix.wire.proxy_protocol import ProxyHeader

_MAPPED: Final = "::ffff:"

CONTENT_SIZE: Final = 1 << 18
"""Bytes received at a time, and of content that has turned out large: more would cost small requests."""
TOGETHER: Final = 65536
"""Bytes of small blocks that leave together."""

_NO_READER: Final = RequestReader()
"""Stands where a connection has been closed."""

_EMPTY: Final = memoryview(b"")
"""Stands where nothing is kept."""
_NOTHING: Final[deque[bytes]] = deque(maxlen=0)
"""Stands where nothing is gathered."""


class Phase(enum.Enum):
    """What a connection waits for."""

    PROXY = enum.auto()
    """The header in which a proxy tells who the client is."""
    HANDSHAKE = enum.auto()
    """The client's part of the TLS handshake."""
    HEAD = enum.auto()
    """Bytes of a request head; between two requests, too."""
    BODY = enum.auto()
    """Bytes of request content."""
    BUSY = enum.auto()
    """The application."""
    FLUSH = enum.auto()
    """The client to take the response."""
    SKIP = enum.auto()
    """Request content that the application did not read."""
    LINGER = enum.auto()
    """The client to close, so that it reads the answer before the connection is reset."""
    CLOSED = enum.auto()


PROXY: Final = Phase.PROXY
HANDSHAKE: Final = Phase.HANDSHAKE
HEAD: Final = Phase.HEAD
BODY: Final = Phase.BODY
BUSY: Final = Phase.BUSY
FLUSH: Final = Phase.FLUSH
SKIP: Final = Phase.SKIP
LINGER: Final = Phase.LINGER


class Common:
    """What all connections of a loop share.

    Args:
        settings: the deadlines and the sizes.
        limits: what a request may ask for.
        on_stall: called, on any thread, with a connection whose client does not take what it is sent.
        waiting: calls what waits for a client, on the thread of an application, which others may use
            meanwhile.
        may_wait: tells whether another thread of an application may wait for a client.
        memory: where content of requests finds room that is more than its buffer.
        trust: which peers are believed about the clients behind them, or None.
        certificates: what TLS begins with, or None where it is not spoken.

    Attributes:
        known_heads: how connections have begun so far.
        most_whole: bytes of content that are taken at once if they have come with their head.
    """

    __slots__ = (
        "certificates",
        "known_heads",
        "limits",
        "may_wait",
        "memory",
        "most_whole",
        "on_stall",
        "settings",
        "trust",
        "waiting",
    )

    def __init__(
        self,
        settings: Settings,
        limits: Limits,
        on_stall: "Callable[[Connection], object]",
        waiting: "Callable[[Connection, Callable[[], Any]], Any]",
        may_wait: "Callable[[], bool]",
        memory: Memory,
        trust: "Trust | None" = None,
        certificates: "Certificates | None" = None,
    ) -> None:
        self.settings = settings
        self.limits = limits
        self.on_stall = on_stall
        self.waiting = waiting
        self.may_wait = may_wait
        self.memory = memory
        self.trust = trust
        self.certificates = certificates
        self.known_heads = KnownHeads(limits)
        self.most_whole = min(settings.request_buffer, limits.body)


class Connection:
    """An accepted socket.

    Attributes:
        client: the client's address, "" where it has none or a proxy does not tell it.
        phase: what it waits for.
        outcome: what becomes of it once its response has left.
        deadline: when it is given up, in seconds of the monotonic clock.
        since: when the phase BODY or LINGER began; 0 until the loop has noted it.
        closing: whether no further request may follow.
        interest: the events it is registered for, 0 if it is not.
        template: the variables that all requests of the connection share.
        environ: of the request at hand, once `advance` gave None; `reader` has more of it.
        is_simple: whether nothing but its response is left to see to, once the request at hand is answered.
        receive_size: bytes received at a time where a head is expected: more once that has been too few.
        inbox: ends with what has arrived and belongs to no request yet; empty if there is nothing.
        served: how many requests were answered, and the connection kept.
        begun: whether the deadline is that of a head which has begun to arrive.
        unfinished: whether the client may still be sending a request that nobody will read.
        outbox, file_left: what the client has not taken yet of the response; bytes, and how many of a file.
        streamed: the content of the request at hand, if the application reads it while it arrives.
        is_inline: whether the application runs on the leader, when it runs for it.
        is_answering: whether the head of the response has left.
        lost: what sending to the client failed with while the application went on.
        skipped: bytes read of content that the application left, in the phase SKIP.
    """

    __slots__ = (
        "_body",
        "_common",
        "_file",
        "_file_offset",
        "_gathered",
        "_gathers_chunks",
        "_repeated",
        "_repeated_environ",
        "_rewrite",
        "_stalled",
        "_start",
        "begun",
        "client",
        "closing",
        "deadline",
        "environ",
        "fd",
        "file_left",
        "inbox",
        "interest",
        "is_answering",
        "is_inline",
        "is_simple",
        "lent",
        "lost",
        "outbox",
        "outcome",
        "phase",
        "reader",
        "receive_size",
        "served",
        "since",
        "skipped",
        "socket",
        "streamed",
        "template",
        "unfinished",
    )

    skipped: int

    def __init__(self, accepted: socket.socket, client: Any, template: Environ, common: Common) -> None:
        self.socket = accepted
        self.fd = accepted.fileno()
        self.phase = HEAD
        self.outcome: Outcome = KEEP
        self.deadline = 0.0
        self.closing = common.settings.limit_requests_per_connection == 1
        self.begun = self.unfinished = False
        self.served = self.interest = self.file_left = self._start = 0
        self.template = {**template, "wsgi.early_hints": self._early_hints}
        # TCP gives (host, port, ...), a Unix socket a path, mostly empty. A socket for both versions of IP
        # maps IPv4 addresses.
        self.client = ""
        if isinstance(client, tuple):
            host = client[0]
            self._name_client(host.removeprefix(_MAPPED) if "." in host else host, str(client[1]))
        self.environ: Environ = self.template
        self._common = common
        self._rewrite = common.trust.rewriter(client) if common.trust is not None else None
        self.reader = RequestReader(common.limits, template["wsgi.url_scheme"], common.known_heads)
        self.inbox: bytes | bytearray = b""
        # The last request, if the same bytes make the same request again and nothing else is to be done.
        self._repeated: bytes | None = None
        self._repeated_environ: Environ = {}
        self.receive_size = RECEIVE_SIZE
        self.is_simple = False  # it is not polled for yet
        self._body: RequestBody | None = None
        self.streamed: StreamedBody | None = None
        self.lent: LentSocket | LentTLSSocket | None = None
        self.is_answering = False
        self.is_inline = True
        self.outbox: bytearray | memoryview = _EMPTY
        self._stalled: Lock | None = None
        self._gathered: deque[bytes] = _NOTHING
        self.lost: OSError | None = None
        self._file = -1

    @property
    def name(self) -> str:
        """The client, as the log names it."""
        return self.client or "a Unix socket"

    # Before the first request: on the leader

    def accept_proxy_header(self, header: "ProxyHeader") -> None:
        """Take the client to be who a trusted proxy says."""
        source = header.source
        if source is not None:
            self._name_client(str(source.address), str(source.port))
        if self._common.trust is not None:
            self._rewrite = self._common.trust.rewriter_behind(source)

    def _name_client(self, host: str, port: str) -> None:
        """Have the client in the environ of each request."""
        self.client = host
        self.template["REMOTE_ADDR"] = host
        self.template["REMOTE_PORT"] = port

    def begin_tls(self, certificates: "Certificates") -> None:
        """Speak TLS from here on."""
        self.socket = certificates.wrap(self.socket)  # type: ignore[assignment]  # what is used of a socket

    def end_handshake(self, variables: dict[str, str]) -> None:
        """Have *variables*, which tell of the handshake, in the environ of each request."""
        self.template = {**self.template, **variables}
        self.environ = self.template

    # In: on the leader

    def take(self, data: bytes) -> None:
        """Add what has arrived to what belongs to no request yet."""
        if not self.inbox:
            self.inbox = data
            return
        # A buffer that grows in place keeps the work linear, however many pieces a head comes in.
        if type(self.inbox) is not bytearray:
            self.inbox = bytearray(self.inbox)
        if self._start:
            del self.inbox[: self._start]
            self._start = 0
        self.inbox += data

    def receive_content(self) -> int:
        """Receive more of the content of the request at hand; return how many bytes have come, 0 at the end.

        Raises:
            OSError: there is nothing yet (BlockingIOError), or the client is gone.
        """
        body = self._body
        if body is None:
            raise AssertionError("content is received only once its head is read")
        room = body.room
        if room is None or not self.is_plain:
            data = self.socket.recv(CONTENT_SIZE if body.size >= CONTENT_SIZE else RECEIVE_SIZE)
            self.take(data)
            return len(data)
        with room:
            size = self.socket.recv_into(room)
        body.fill(size)
        return size

    def discard(self) -> None:
        """Forget what belongs to no request yet."""
        self.inbox = b""
        self._start = 0

    def advance(self) -> Step | Refusal | None:
        """Go on with what has arrived; None once a whole request is at hand in `environ`."""
        if self._body is not None:
            return self._collect(self._body)
        inbox = self.inbox
        # Who polls asks for the same thing again and again. What is compared was all that had arrived when it
        # was read, so that `_start` is 0 while it stands.
        if inbox == self._repeated:
            environ = self._repeated_environ.copy()
            environ["wsgi.input"] = BytesIO()
            self.environ = environ
            self.inbox = b""
            return None
        reader = self.reader
        self._repeated = None
        head = reader.read(inbox, self._start, self.template)
        if not isinstance(head, dict):
            return head
        environ = head
        if self._rewrite is not None:
            refusal = self._rewrite(environ)
            if refusal is not None:
                return refusal
            self.client = environ.get("REMOTE_ADDR", "")
        if "HTTP_UPGRADE" in environ:
            self._lend(environ)
        self.environ = environ
        framing = reader.framing
        if framing == NO_BODY:
            environ["wsgi.input"] = BytesIO()
            end = reader.end
            if inbox == reader.request and self._rewrite is None and self.lent is None:
                self._repeated = reader.request
                self._repeated_environ = reader.merged
        else:
            end = self._whole_content(reader, framing, inbox)
            if not end:
                self._start = reader.end
                return self._begin_content(reader)
        if end == len(inbox):
            self.inbox = b""
            self._start = 0
        else:
            self._start = end
        return None

    def _whole_content(self, reader: RequestReader, framing: int, inbox: bytes | bytearray) -> int:
        """Take the content if all of it has come with the head; return where it ends, else 0."""
        most = self._common.most_whole
        if framing == CHUNKED:
            whole = read_whole_chunks(bytes(inbox), reader.end, most)
            if whole is None:
                return 0
            content, end = whole
            self._measure_chunked(len(content), [])
        else:
            end = reader.end + framing
            if end > len(inbox) or framing > most:
                return 0
            content = bytes(inbox[reader.end : end])
        self.environ["wsgi.input"] = BytesIO(content)
        return end

    def _measure_chunked(self, size: int, trailers: list[tuple[str, str]]) -> None:
        """Have the environ tell of content that was chunked: what the application reads has a length."""
        environ = self.environ
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ["CONTENT_LENGTH"] = str(size)
        environ["wsgix.trailers"] = trailers

    def _begin_content(self, reader: RequestReader) -> Step | Refusal | None:
        self.is_simple = False
        # "A server MAY omit sending a 100 (Continue) response if it has already received some or all of the
        # content for the corresponding request" (RFC 9110, 10.1.1). A client that waits for it is asked to go
        # on when the application reads, and not if it never does; if too many of them hold threads, at once.
        common = self._common
        self._consume()
        awaits_continue = reader.expects_continue and not self.inbox
        if (awaits_continue and common.may_wait()) or common.settings.stream_requests:
            self._stream(reader, awaits_continue=awaits_continue)
            return None
        self._body = RequestBody(reader.framing, common.limits, common.settings.request_buffer, common.memory)
        self.phase = BODY
        self.since = 0.0
        if awaits_continue:
            self.send(CONTINUE)
        return self._collect(self._body)

    def _stream(self, reader: RequestReader, *, awaits_continue: bool) -> None:
        """Let the application read the content while it arrives."""
        common = self._common
        body = StreamedBody(self, reader.framing, common.limits, common.settings, awaits_continue)
        self.streamed = body
        self.reader.is_usual = False
        environ = self.environ
        environ["wsgi.input"] = BufferedReader(body)
        if reader.framing == CHUNKED:
            environ.pop("HTTP_TRANSFER_ENCODING", None)
            environ["wsgix.trailers"] = body.trailers

    def wait_for_content(self, wait: "Callable[[], bytes]") -> bytes:
        """Call *wait*, which waits for more content, while others use this thread's turn."""
        content: bytes = self._common.waiting(self, wait)
        return content

    def unread(self) -> bytes:
        """Take what has arrived and belongs to no request yet."""
        data = bytes(self.inbox[self._start :])
        self.discard()
        return data

    def feed(self, body: StreamedBody, data: bytes) -> Step | Refusal:
        """Give content to *body*, and keep what is behind its end."""
        step = body.feed(data, 0)
        if step is COMPLETE:
            self.inbox = data
            self._start = body.end
            self._consume()
        return step

    def skip(self) -> Step | Refusal:
        """Go on with content that the application did not read."""
        body = self.streamed
        if body is None:
            raise AssertionError("there is content to skip only behind a streamed request")
        step = self.feed(body, self.unread())
        body.drop()
        return step

    def _lend(self, environ: Environ) -> None:
        """Offer the socket to an application that the client asks to speak another protocol."""
        self.is_simple = False
        if self.is_plain:
            self.lent = LentSocket(self.socket)
        else:
            from wsgix.server.lent_tls import LentTLSSocket

            self.lent = LentTLSSocket(self.socket)  # type: ignore[arg-type]  # begin_tls put it there
        # gunicorn's name is the one that the WebSocket libraries for WSGI look for.
        environ["wsgix.socket"] = environ["gunicorn.socket"] = self.lent

    @property
    def is_plain(self) -> bool:
        """Whether bytes leave as they are: then the socket can be lent, and files go by `sendfile`."""
        return isinstance(self.socket, socket.socket)

    @property
    def is_taken(self) -> bool:
        """Whether the application speaks to the client itself."""
        return self.lent is not None and self.lent.used

    def _collect(self, body: RequestBody) -> Step | Refusal | None:
        try:
            step = body.feed(bytes(self.inbox), self._start)
        except OSError:
            return STORAGE_FULL
        if step is NEED_MORE:
            self.discard()
            return step
        if isinstance(step, Refusal):
            return step
        self._start = body.end
        self._consume()
        environ = self.environ
        try:
            environ["wsgi.input"] = body.open()
        except OSError:  # the last bytes reach the disk only now
            return STORAGE_FULL
        if self.reader.framing == CHUNKED:
            self._measure_chunked(body.size, body.trailers)
        return None

    def _consume(self) -> None:
        """Drop the inbox if all of it is used."""
        if self._start == len(self.inbox):
            self.discard()

    @property
    def body_size(self) -> int:
        """Bytes of request content that have arrived."""
        return self._body.size if self._body is not None else 0

    def end_request(self) -> None:
        """Forget the request at hand: the next one may be read."""
        self.environ = self.template
        self.is_simple = self.is_inline = True
        self.is_answering = False
        self._stalled = None
        self._gathered = _NOTHING
        if self._body is not None:
            self._body.close()
            self._body = None
        self.streamed = None
        if self.lent is not None:
            self.lent.close()
            self.lent = None
            if self.is_plain:
                self.socket.setblocking(False)  # blocking is a property that duplicates share

    @property
    def is_clear(self) -> bool:
        """Whether the response has left, and neither the request nor another has left anything to see to."""
        return not (
            self.outbox
            or self.file_left
            or self.inbox
            or self._body is not None
            or self.streamed is not None
            or self.lent is not None
            or self.lost is not None
        )

    def wait_for_next(self, deadline: float, last_but_one: int) -> None:
        """Wait for the next request until *deadline*; it is the last if *last_but_one* were served."""
        self.begun = False
        self.deadline = deadline
        self.served += 1
        if self.served == last_but_one:
            self.closing = True
        self.phase = HEAD

    # Out: on the thread that owns the connection

    def send(self, data: bytes, is_last: bool = False) -> None:
        """Send what the socket takes and keep the rest; wait if the rest is too much and more is to come.

        Raises:
            OSError: the client is gone, or did not read for the write timeout.
        """
        if self._stalled is None:
            try:
                sent = self.socket.send(data)
            except BlockingIOError:
                sent = 0
            if sent == len(data):
                return
            self._stalled = Lock()
            self._keep(memoryview(data)[sent:])
            self._common.on_stall(self)
        else:
            with self._stalled:
                self._keep(data)
        self.push(is_last)

    def hold(self, data: bytes) -> None:
        """Keep *data*, the beginning of a response, to leave with what comes quickly behind it.

        As with `gather`, a new leader sends it if the application is not quick.
        """
        if self._stalled is None:
            self._stalled = Lock()
        with self._stalled:
            self._keep(data)
        self._common.on_stall(self)

    def gather(self, chunked: bool) -> "deque[bytes]":
        """Return where blocks may be put that are to leave together, while `is_inline`, until `push`.

        Blocks wait here only while the application runs on the leader and produces the next ones quickly. If
        it does not, it loses the lead, and the new leader sends them: "Use a different thread to ensure that
        the block continues to be transmitted while the application produces the next block" (PEP 3333,
        "Buffering and Streaming").

        Args:
            chunked: whether they are to be chunks: all that leave together are one.
        """
        self.is_simple = False
        self._gathers_chunks = chunked
        self._gathered = deque()
        if self._stalled is None:
            self._stalled = Lock()
            self._common.on_stall(self)
        return self._gathered

    def push(self, is_last: bool = False) -> None:
        """Send what the socket takes of what is kept or gathered; wait and raise as `send` does."""
        self.flush_meanwhile()
        # Waiting keeps the application from producing more; behind the last block there is no more.
        if not is_last and len(self.outbox) > self._common.settings.response_buffer:
            self._common.waiting(self, self._wait_for_client)
        if self.lost is not None:
            raise ConnectionAbortedError(*self.lost.args)

    def let_go(self) -> None:
        """Note that the application no longer runs on the leader; on whoever takes the lead from it."""
        self.is_simple = False
        if self._stalled is None:
            self.is_inline = False
        else:
            with self._stalled:
                self.is_inline = False

    def _keep(self, *pieces: bytes | memoryview) -> None:
        """Keep *pieces*, behind what was gathered; nothing is copied twice, and one piece not at all."""
        self.is_simple = False
        if self._gathered:
            pieces = (*self._take_gathered(), *pieces)
        outbox = self.outbox
        if not outbox:
            self.outbox = memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        elif isinstance(outbox, memoryview):
            self.outbox = bytearray().join((outbox, *pieces))
        else:
            for piece in pieces:
                outbox += piece

    def _take_gathered(self) -> list[bytes]:
        """Take what was gathered; only what is there now, as the application may be adding to it."""
        gathered = self._gathered
        blocks = [*islice(iter(gathered.popleft, None), len(gathered))]
        if self._gathers_chunks:
            size = sum(map(len, blocks))
            # An empty chunk would end the content.
            return [chunk_start(size), *blocks, CHUNK_END] if size else []
        return blocks

    def _wait_for_client(self) -> None:
        settings = self._common.settings
        while len(self.outbox) > settings.response_buffer:
            if not wait_writable(self.fd, settings.write_timeout):
                raise ConnectionAbortedError(
                    f"the client read nothing for {settings.write_timeout:g} seconds"
                )
            self.flush_meanwhile()

    def send_last(self, data: bytes) -> None:
        """Send as much of *data* as the client takes at once, and end this side of the connection.

        For the thread that watches, while the application is stuck.
        """
        with contextlib.suppress(OSError):
            self.socket.send(data)
            self.socket.shutdown(socket.SHUT_WR)

    def cut_off(self) -> None:
        """Let the client see that its response will not be complete."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def flush_meanwhile(self) -> bool:
        """Send more of what is kept while the application goes on; tell whether all has left.

        On the leader, or on the thread of the application: "guarantee that they will continue transmission
        even while the application is producing its next block" (PEP 3333, "Buffering and Streaming").
        """
        if self._stalled is None:
            return True
        with self._stalled:
            try:
                return self.flush()
            except OSError as error:
                self.lost = error
                self.outbox = bytearray()
                return True

    def send_file(self, fd: int, offset: int, size: int) -> None:
        """Send *size* bytes of the regular file *fd*, from *offset* on; keep what the socket does not take.

        The descriptor is duplicated: the application may close its own.

        Raises:
            OSError: the client is gone.
        """
        self.is_simple = False
        self._file = os.dup(fd)
        self._file_offset = offset
        self.file_left = size
        self.flush()

    def flush(self) -> bool:
        """Send more of what is kept; tell whether all has left.

        Raises:
            OSError: the client is gone, or a file is shorter than it was.
        """
        try:
            if self._gathered:
                self._keep()
            if self.outbox:
                sent = self.socket.send(self.outbox)
                if isinstance(self.outbox, memoryview):
                    self.outbox = self.outbox[sent:]
                else:
                    del self.outbox[:sent]
                if self.outbox:
                    return False
            while self.file_left:
                sent = os.sendfile(self.fd, self._file, self._file_offset, self.file_left)
                if not sent:
                    raise ConnectionAbortedError("a file became shorter while it was sent")
                self._file_offset += sent
                self.file_left -= sent
        except BlockingIOError:
            return False
        self._close_file()
        return True

    def _close_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _early_hints(self, headers: list[tuple[str, str]]) -> None:
        """Send 103 (Early Hints) before the response (RFC 8297): `wsgi.early_hints`.

        Nothing is sent to HTTP/1.0, nor once the response has begun.
        """
        if self.phase is BUSY and not self.is_answering and self.environ["SERVER_PROTOCOL"] != HTTP_1_0:
            self.send(early_hints(headers))

    def close(self) -> None:
        """Close the socket, and what the request at hand holds."""
        self.phase = Phase.CLOSED
        self.end_request()
        # They lead back to this connection.
        self.template = self.environ = self._repeated_environ = {}
        self.reader = _NO_READER
        self.file_left = 0
        if self._file >= 0:
            self._close_file()
        try:
            self.socket.close()
        except OSError:  # the descriptor is gone, whatever is reported
            pass
