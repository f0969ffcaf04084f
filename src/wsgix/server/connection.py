"""One client's connection: what has arrived, and which request it makes. What leaves is `outgoing`'s.

A connection belongs to one thread at a time: to the leader, or to the thread that runs the application
for it. Nothing here waits.
"""

import contextlib
import errno
import os
import socket
from collections.abc import Callable
from io import BufferedReader, BytesIO
from typing import TYPE_CHECKING, Any, Final

from wsgix.core.exchange import Environ
from wsgix.core.framing import CHUNKED, HTTP_1_0, KEEP, NO_BODY, Outcome
from wsgix.facts.refusals import STORAGE_FULL, Refusal
from wsgix.server.outgoing import Outgoing
from wsgix.server.phase import BODY, BUSY, CLOSED, HEAD
from wsgix.server.request_body import RequestBody
from wsgix.server.shared import Common
from wsgix.server.streaming import RECEIVE_SIZE, StreamedBody
from wsgix.server.sure_log import log
from wsgix.wire.http1 import COMPLETE, NEED_MORE, KnownHead, RequestReader, Step
from wsgix.wire.http1_body import read_whole_chunks
from wsgix.wire.http1_response import CONTINUE, early_hints

if TYPE_CHECKING:
    from wsgix.server.certificates import Certificates
    from wsgix.server.lent import LentSocket
    from wsgix.server.lent_tls import LentTLSSocket
    from wsgix.server.tls import TLSSocket
    from wsgix.wire.proxy_protocol import ProxyHeader

_MAPPED: Final = "::ffff:"

CONTENT_SIZE: Final = 1 << 18
"""Bytes received at a time, and of content that has turned out large: more would cost small requests."""
_NO_READER: Final = RequestReader()
"""Stands where a connection has been closed."""


class Connection(Outgoing):
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
        receive_size: bytes received at a time where a head is expected: more once that has been too few.
        inbox: ends with what has arrived and belongs to no request yet; empty if there is nothing.
        served: how many requests were answered, and the connection kept.
        begun: whether the deadline is that of a head which has begun to arrive.
        unfinished: whether the client may still be sending a request that nobody will read.
        may_trail: whether an empty line may have come behind content, from those who send one.
        streamed: the content of the request at hand, if the application reads it while it arrives.
        is_answering: whether the head of the response has left.
        was_lent: whether a child that was forked may have a copy of its descriptor; see `leave`.
        skipped: bytes read of content that the application left, in the phase SKIP.
    """

    __slots__ = (
        "_body",
        "_reader",
        "_repeated",
        "_repeated_environ",
        "_rewrite",
        "_start",
        "begun",
        "client",
        "closing",
        "deadline",
        "environ",
        "inbox",
        "interest",
        "is_answering",
        "lent",
        "may_trail",
        "outcome",
        "phase",
        "reader",
        "receive_size",
        "served",
        "since",
        "skipped",
        "streamed",
        "template",
        "unfinished",
        "was_lent",
    )

    skipped: int

    def __init__(self, accepted: socket.SocketType, client: Any, template: Environ, common: Common) -> None:
        super().__init__(accepted, common)
        self.phase = HEAD
        self.outcome: Outcome = KEEP
        self.deadline = 0.0
        self.closing = common.settings.limit_requests_per_connection == 1
        self.begun = self.unfinished = self.may_trail = self.was_lent = False
        self.served = self.interest = self._start = 0
        self.template = {**template, "wsgi.early_hints": self._early_hints}
        # TCP gives (host, port, ...), a Unix socket a path, mostly empty. A socket for both versions of IP
        # maps IPv4 addresses.
        self.client = ""
        if isinstance(client, tuple):
            host = client[0]
            self._name_client(host.removeprefix(_MAPPED) if "." in host else host, str(client[1]))
        self.environ: Environ = self.template
        self._rewrite = common.trust.rewriter(client) if common.trust is not None else None
        self.reader: RequestReader | KnownHead = _NO_READER
        # Made for the first head that is not known.
        self._reader: RequestReader | None = None
        self.inbox: bytes | bytearray = b""
        # The last request, if the same bytes make the same request again and nothing else is to be done.
        self._repeated: bytes | None = None
        self._repeated_environ: Environ = {}
        self.receive_size = RECEIVE_SIZE
        self._body: RequestBody | None = None
        self.streamed: StreamedBody | None = None
        self.lent: LentSocket | LentTLSSocket | None = None
        self.is_answering = False

    @property
    def name(self) -> str:
        """The client, as the log names it."""
        return self.client or ("an unknown client" if "REMOTE_ADDR" in self.template else "a Unix socket")

    def describe_unread(self) -> None:
        """Put what is known of a request that could not be read into `environ` and `client`; to refuse it."""
        if self.environ is not self.template:
            return
        # A proxy has requests of many clients on one connection, and their fields tell whose each is.
        self.client = self.template.get("REMOTE_ADDR", "")
        line = self._reader.line_so_far if self._reader is not None else None
        if line is not None:
            known = {
                "REQUEST_METHOD": line.method,
                "REQUEST_URI": line.target,
                "SERVER_PROTOCOL": line.version,
            }
            self.environ = self.template | known

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

    @property
    def has_unread(self) -> bool:
        """Whether the client has sent something that was not received yet."""
        try:
            return bool(self._raw.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    @property
    def is_between_requests(self) -> bool:
        """Whether nothing of a next request has arrived, but for empty lines, which may follow the last one.

        "older HTTP/1.0 user agent implementations might send an extra CRLF after a POST request" (RFC 9112,
        2.2).
        """
        return not self.inbox or not bytes(self.inbox[self._start :]).strip(b"\r\n")

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
        self._repeated = None
        reader = self._reader
        if reader is None:
            known = self._common.known_heads.find(inbox) if self._rewrite is None else None
            if known is not None:
                # It is all that has come, and `_start` is 0 for want of a reader.
                self.reader = known
                environ = self.template | known.variables
                if self.served:  # who polls will do so again
                    self._repeated = bytes(inbox)
                    self._repeated_environ = environ
                    environ = environ.copy()
                environ["wsgi.input"] = BytesIO()
                self.environ = environ
                self.inbox = b""
                return None
            common = self._common
            scheme = self.template["wsgi.url_scheme"]
            reader = self._reader = RequestReader(common.limits, scheme, common.known_heads)
        self.reader = reader
        head = reader.read(inbox, self._start, self.template)
        if not isinstance(head, dict):
            return head
        environ = head
        if self._rewrite is not None:
            refusal = self._rewrite(environ)
            if refusal is not None:
                self.environ = environ
                self.client = self.template.get("REMOTE_ADDR", "")
                return refusal
            self.client = environ.get("REMOTE_ADDR", "")
        # "A server that receives an Upgrade header field in an HTTP/1.0 request MUST ignore that Upgrade
        # field" (RFC 9110, 7.8).
        may_change_protocol = "HTTP_UPGRADE" in environ and reader.line.version != HTTP_1_0
        if may_change_protocol:
            self._lend(environ, reader)
        self.environ = environ
        framing = reader.framing
        if framing == NO_BODY:
            environ["wsgi.input"] = BytesIO()
            end = reader.end
            if inbox == reader.request and self._rewrite is None and not may_change_protocol:
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
        # At once also where the content is chunked: to an application that reads no further than
        # CONTENT_LENGTH, as many do, it would be empty.
        common = self._common
        self._consume()
        awaits_continue = reader.expects_continue and not self.inbox
        may_wait = awaits_continue and reader.framing != CHUNKED and common.may_wait()
        if may_wait or common.settings.stream_requests:
            self._stream(reader, awaits_continue=awaits_continue)
            return None
        self._body = RequestBody(reader.framing, common.limits, common.settings.request_buffer, common.memory)
        self.phase = BODY
        self.since = 0.0
        # Nothing but content is received here: closing over what else has come would reset the client.
        self.may_trail = True
        if awaits_continue:
            self.send(CONTINUE, True)  # the leader must not wait
        return self._collect(self._body)

    def _stream(self, reader: RequestReader, *, awaits_continue: bool) -> None:
        """Let the application read the content while it arrives."""
        common = self._common
        body = StreamedBody(self, reader.framing, common.limits, common.settings, awaits_continue)
        self.streamed = body
        reader.is_usual = False
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

    def _lend(self, environ: Environ, reader: RequestReader) -> None:
        """Offer the socket to an application that the client asks to speak another protocol."""
        self.is_simple = False
        self.was_lent = True
        reader.is_usual = False
        if self.is_plain:
            from wsgix.server.lent import LentSocket

            try:
                self.lent = LentSocket(self.socket, self._hand_over)
            except OSError:  # no descriptor is left: the request is one that can be answered without
                return
        else:
            from wsgix.server.lent_tls import LentTLSSocket

            tls: TLSSocket = self.socket  # type: ignore[assignment]  # begin_tls put it there
            self.lent = LentTLSSocket(tls, self._hand_over)
        # gunicorn's name is the one that the WebSocket libraries for WSGI look for.
        environ["wsgix.socket"] = environ["gunicorn.socket"] = self.lent

    @property
    def is_plain(self) -> bool:
        """Whether bytes leave as they are: then the socket can be lent, and files go by `sendfile`."""
        return isinstance(self.socket, socket.SocketType)

    @property
    def _raw(self) -> socket.SocketType:
        """The socket below TLS."""
        return self.socket if self.is_plain else self.socket.raw  # type: ignore[attr-defined]  # a TLSSocket

    def _hand_over(self, lent: "LentSocket | LentTLSSocket") -> None:
        """Leave the client to the application, which has begun to use *lent*; on any thread."""
        if lent is self.lent:  # else it belongs to a request that is over
            self.fall_silent()

    def _collect(self, body: RequestBody) -> Step | Refusal | None:
        try:
            step = body.feed(bytes(self.inbox), self._start)
        except OSError as error:
            return self._not_stored(error)
        if step is NEED_MORE:
            self.discard()
            return step
        if isinstance(step, Refusal):
            return step
        self._start = body.end
        self._consume()
        if self.outbox:
            # Of 100 (Continue), which the client did not wait for: it leaves with the response.
            self._common.on_stall(self)
        environ = self.environ
        try:
            environ["wsgi.input"] = body.open()
        except OSError as error:  # the last bytes reach the disk only now
            return self._not_stored(error)
        if self.reader.framing == CHUNKED:
            self._measure_chunked(body.size, body.trailers)
        return None

    def _not_stored(self, error: OSError) -> Refusal:
        # The client has done nothing wrong; that no directory for temporary files can be written to is no
        # full disk, and only the system says which it was.
        log.error("cannot store the content of a request from %s: %s", self.name, error.strerror or error)
        return STORAGE_FULL

    def flush_interim(self) -> None:
        """Send more of 100 (Continue), which the client did not take at once.

        Raises:
            OSError: the client is gone.
        """
        if self.flush():
            self._stalled = None  # the response begins anew

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
        self._end_response()
        self.is_answering = False
        if self._body is not None:
            self._body.close()
            self._body = None
        self.streamed = None
        if self.lent is not None:
            self.lent.end()
            self.lent = None
            if self.is_plain:
                # Duplicates share it, and whoever had the descriptor may have changed it.
                self.socket.setblocking(False)

    @property
    def is_clear(self) -> bool:
        """Whether the response has left, and neither the request nor another has left anything to see to."""
        if self.is_simple:
            return not self.inbox
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

    def say_end(self) -> bool:
        """Tell the client that nothing more is to come, where TLS has a word for it.

        Returns whether that has left; else call it again once the client takes more.
        """
        return self.is_plain or self.socket.notify()  # type: ignore[attr-defined]  # begin_tls put it there

    def _early_hints(self, headers: list[tuple[str, str]]) -> None:
        """Send 103 (Early Hints) before the response (RFC 8297): `wsgi.early_hints`.

        Nothing is sent to HTTP/1.0, nor once the response has begun.
        """
        if self.phase is BUSY and not self.is_answering and self.reader.line.version != HTTP_1_0:
            with contextlib.suppress(OSError):  # the response will find out that the client is gone
                self.send(early_hints(headers))

    def close(self) -> None:
        """Close the socket, and what the request at hand holds."""
        self.phase = CLOSED
        if self.is_taken or self.was_lent:
            # The application may have left a thread behind that waits for the client, or a child with a copy
            # of the descriptor: closing this one would neither wake it nor tell the client.
            self.say_end()
            self.cut_off()
        if not self.is_simple:
            self.end_request()
        if self._file >= 0:
            self.file_left = 0
            self._close_file()
        # They lead back to this connection.
        self.template = self.environ = self._repeated_environ = {}
        self.reader = _NO_READER
        self._reader = None
        try:
            self.socket.close()
        except OSError:  # the descriptor is gone, whatever is reported
            pass

    # In a child that the application has forked

    def leave(self) -> None:
        """Give up this process's descriptor, without a word to the client."""
        self.renew_lock()
        if not self.is_plain:
            self.socket.renew_lock()  # type: ignore[attr-defined]  # begin_tls put it there
        if self.lent is None:
            self._raw.close()
        else:
            # The child may be there to talk to the client, but an answer is the parent's.
            self.lose(ConnectionAbortedError(errno.ECONNABORTED, os.strerror(errno.ECONNABORTED)))
