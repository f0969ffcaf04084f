"""What the leader does: poll, accept, read, serve, flush, give up on the slow.

All methods run on the thread that has the lead, but those under the last banner. The threads themselves
are the scheduler's.
"""

import contextlib
import errno
import logging
import math
import socket
import struct
import time
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from wsgix.core.exchange import Application, Environ
from wsgix.core.framing import ABORT, CLOSE, HTTP_1_0, KEEP, Outcome
from wsgix.facts.refusals import BODY_TIMEOUT, HEAD_TIMEOUT, INCOMPLETE, OVERLOADED, PLAIN_HTTP, Refusal
from wsgix.server.connection import (
    BODY,
    BUSY,
    FLUSH,
    HANDSHAKE,
    HEAD,
    LINGER,
    PROXY,
    SKIP,
    Common,
    Connection,
)
from wsgix.server.handshake import Handshake
from wsgix.server.listeners import Listener
from wsgix.server.poller import READ, WRITE, Waker, make_poller
from wsgix.server.request_body import Memory
from wsgix.server.respond import make_respond
from wsgix.server.responder import date_and_server
from wsgix.server.scheduler import Member, Scheduler
from wsgix.server.settings import Settings
from wsgix.server.streaming import RECEIVE_SIZE
from wsgix.wire.http1 import COMPLETE, NEED_MORE
from wsgix.wire.http1_response import RETRY_AFTER, refusal_response

if TYPE_CHECKING:
    from wsgix.server.access_log import AccessLog
    from wsgix.server.certificates import Certificates
    from wsgix.server.proxied import ProxyHeaderReceiver
    from wsgix.server.tls import TLSSocket
    from wsgix.server.trust import Trust

SKIP_SECONDS: Final = 5.0
SKIP_BYTES: Final = 65536
"""How long and how much content that the application left is read, to keep the connection."""
LINGER_SECONDS: Final = 5.0
LINGER_MOST_SECONDS: Final = 30.0
"""How long a client that has got its last answer may be silent, and how long in all it may go on sending."""
PAUSE_SECONDS: Final = 1.0
"""Between attempts to accept while descriptors are short."""
_WARNING_SECONDS: Final = 60.0
_SWEEP_SECONDS: Final = 1.0

_ACCEPTS: Final = 64
"""Connections taken from a listener before others get their turn."""
_BURST: Final = 32
"""Pipelined requests of one client served before others get their turn."""
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: on, zero seconds. Closing then resets the connection."""

_BEFORE_REQUEST: Final = (PROXY, HANDSHAKE, HEAD)

_SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Of descriptors or memory: `accept` fails at once, and would fail again at once."""

_log: Final = logging.getLogger("wsgix.error")


class Loop:
    """The connections of one worker, and the work on them.

    Args:
        application: the WSGI application.
        templates: each listener with the variables that all its requests share.
        settings: the limits, the deadlines, and how many requests may be inside the application at once.
        access_log: where responses are noted, or None.
        trust: which peers are believed about the clients behind them, or None.
        certificates: what TLS begins with, or None to serve without.
    """

    def __init__(
        self,
        application: Application,
        templates: Sequence[tuple[Listener, Environ]],
        settings: Settings,
        access_log: "AccessLog | None",
        trust: "Trust | None" = None,
        certificates: "Certificates | None" = None,
    ) -> None:
        self._access_log = access_log
        self.scheduler = Scheduler(self, settings.threads, settings.limit_waiting, settings.request_timeout)
        self.respond = make_respond(application, access_log, self.scheduler.call_timeout)
        self._settings = settings
        # The request after this many is the last of its connection; 0 is never reached.
        self._last_but_one = settings.limit_requests_per_connection - 1
        self._common = Common(
            settings,
            settings.limits,
            self._note_stall,
            self.scheduler.waiting,
            self.scheduler.may_wait,
            Memory(settings.request_memory),
            trust,
            certificates,
        )
        self._receivers: dict[Connection, ProxyHeaderReceiver] = {}
        self._poller = make_poller()
        self._waker = Waker()
        self._listeners = {listener.socket.fileno(): (listener, template) for listener, template in templates}
        self._connections: dict[int, Connection] = {}
        # Who takes the lead over in the middle of it goes on with the same iterator.
        self._events: Iterator[tuple[int, int]] = iter(())
        self._ready: deque[Connection] = deque()
        self._returned: deque[tuple[Connection, Outcome]] = deque()
        self._stalled: deque[Connection] = deque()
        self._polling = False
        self._now = self._idle_deadline = time.monotonic()
        self._next_sweep = 0.0
        self._stop_deadline = math.inf
        self._is_over = False
        self._stopping = False
        self._accepting = True
        self._resume_accepting = self._next_warning = 0.0
        self._poller.register(self._waker.fileno(), READ)
        for fd in self._listeners:
            self._poller.register(fd, READ)

    # The cycle

    def lead(self, member: Member) -> None:
        """Serve until *member* loses the lead or all is done."""
        self._now = time.monotonic()
        while self._work(member):
            if self._stopping and self._wind_down():
                self._finish()
                return
            self._poll()

    def _work(self, member: Member) -> bool:
        """Do all that is ready; False if the lead is lost over it."""
        begin, calls = time.monotonic(), self.scheduler.calls
        self._now = begin
        self._idle_deadline = begin + self._settings.keep_alive_timeout
        date_and_server.now()
        connections, returned, stalled = self._connections, self._returned, self._stalled
        for fd, _ in self._events:
            connection = connections.get(fd)
            if connection is not None and connection.phase is HEAD:
                if not self._read(connection, member):
                    return False
            elif not self._dispatch(fd, connection, member):
                return False
            if returned or stalled:
                self._attend()
        while True:
            self._attend()
            if not self._ready:
                break
            if not self._resume(self._ready.popleft(), member):
                return False
        calls = self.scheduler.calls - calls
        if calls:
            self.scheduler.note_duration(time.monotonic() - begin, calls)
        if self._now >= self._next_sweep:
            self._sweep()
        if self._access_log is not None:
            self._access_log.flush()
        return True

    def _attend(self) -> None:
        """See to the connections that other threads have handed over."""
        while self._returned:
            self._take_back(*self._returned.popleft())
        while self._stalled:
            self._flush_meanwhile(self._stalled.popleft())

    def _poll(self) -> None:
        idle = not self._connections and self._accepting and not self._stopping
        timeout = None if idle else max(0.0, self._next_sweep - self._now)
        self._polling = True
        # Whoever hands over a connection after this looks at `_polling` and ends the wait.
        if self._returned or self._stalled or self._ready:
            timeout = 0
        self._events = iter(self._poller.poll(timeout))
        self._polling = False

    def _dispatch(self, fd: int, connection: Connection | None, member: Member) -> bool:
        """Go on with what waits for anything but bytes of a request."""
        if connection is None:
            if fd in self._listeners:
                self._accept(*self._listeners[fd])
            elif fd == self._waker.fileno() and self._waker.clear():
                self.scheduler.nudge()
            return True
        phase = connection.phase
        if phase is BODY:
            return self._read_content(connection, member)
        if phase is FLUSH:
            self._flush(connection)
        elif phase is LINGER or phase is SKIP:
            self._discard(connection)
        elif phase is BUSY:
            self._flush_meanwhile(connection)
        elif phase is HANDSHAKE:
            return self._shake_hands(connection, member)
        elif phase is PROXY:
            return self._read_proxy_header(connection, member)
        return True

    # Connections come

    def _accept(self, listener: Listener, template: Environ) -> None:
        for _ in range(_ACCEPTS):
            try:
                accepted, client = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _SHORTAGES:
                    self._pause(error)
                # Otherwise the client is gone already: the next one waits for the next poll.
                return
            accepted.setblocking(False)
            if listener.is_delaying:
                listener.set_no_delay(accepted)
            connection = Connection(accepted, client, template, self._common)
            self._connections[connection.fd] = connection
            self._open(connection, client)
            if len(self._connections) >= self._settings.limit_connections:
                self._listen(False)
                self._resume_accepting = self._now
                return

    def _open(self, connection: Connection, client: Any) -> None:
        """Begin with what comes before the first request: a PROXY header, a TLS handshake, or nothing."""
        connection.deadline = self._now + self._settings.head_timeout
        trust = self._common.trust
        receiver = trust.receiver(client) if trust is not None else None
        if receiver is not None:
            connection.phase = PROXY
            self._receivers[connection] = receiver
            self._want(connection, READ)
        else:
            self._begin_tls(connection)

    def _begin_tls(self, connection: Connection) -> None:
        certificates = self._common.certificates
        if certificates is None:
            connection.phase = HEAD
            # The first request may be there already: it is polled for only if it is not, or if others follow.
            self._ready.append(connection)
        else:
            self._want(connection, READ)
            connection.begin_tls(certificates)
            connection.phase = HANDSHAKE
            connection.deadline = self._now + self._settings.handshake_timeout

    def _read_proxy_header(self, connection: Connection, member: Member) -> bool:
        try:
            header = self._receivers[connection].receive(connection.socket)
        except BlockingIOError:
            return True
        except OSError:
            self._close(connection)
            return True
        if header is NEED_MORE:
            return True
        del self._receivers[connection]
        if isinstance(header, Refusal):
            self._refuse(connection, header)
            return True
        connection.accept_proxy_header(header)
        self._begin_tls(connection)
        # Bytes behind the header may have arrived with it.
        return self._shake_hands(connection, member) if connection.phase is HANDSHAKE else True

    def _shake_hands(self, connection: Connection, member: Member) -> bool:
        tls: TLSSocket = connection.socket  # type: ignore[assignment]  # begin_tls put it there
        try:
            state = tls.handshake()
        except OSError:
            self._close(connection)
            return True
        if state is Handshake.WANT_READ:
            self._want(connection, READ)
        elif state is Handshake.WANT_WRITE:
            self._want(connection, WRITE)
        elif state is Handshake.PLAIN:
            connection.socket = tls.raw
            self._refuse(connection, PLAIN_HTTP)
        elif state is Handshake.FAILED:
            _log.info("no TLS handshake with %s: %s", connection.name, tls.fault)
            # A reset would take the alert from the client.
            connection.socket = tls.raw
            self._linger(connection)
        else:
            connection.end_handshake(tls.variables())
            connection.phase = HEAD
            connection.deadline = self._now + self._settings.head_timeout
            self._want(connection, READ)
            return self._read(connection, member)
        return True

    def _pause(self, error: OSError) -> None:
        """Accept nothing for a while, and part with idle clients: they can come again."""
        if self._now >= self._next_warning:
            self._next_warning = self._now + _WARNING_SECONDS
            _log.warning("cannot accept connections, %d are open: %s", len(self._connections), error.strerror)
        self._listen(False)
        self._resume_accepting = self._now + PAUSE_SECONDS
        for connection in [*self._connections.values()]:
            if connection.served and connection.phase is HEAD and not connection.inbox:
                self._close(connection)

    def _go_on_accepting(self) -> None:
        """Accept again after a pause, if it is over and there is room."""
        has_room = len(self._connections) < self._settings.limit_connections
        if not self._accepting and has_room and not self._stopping and self._now >= self._resume_accepting:
            self._listen(True)

    def _listen(self, wanted: bool) -> None:
        """Poll the listeners, or do not."""
        if self._accepting != wanted:
            self._accepting = wanted
            for fd in self._listeners:
                if wanted:
                    self._poller.register(fd, READ)
                else:
                    self._poller.unregister(fd)

    # Requests

    def _read(self, connection: Connection, member: Member) -> bool:
        """Receive what begins with a head."""
        try:
            data = connection.socket.recv(RECEIVE_SIZE)
        except BlockingIOError:
            self._want(connection, READ)
            return True
        except OSError:
            self._close(connection)
            return True
        if not data:
            if connection.inbox:
                self._refuse(connection, INCOMPLETE)
            else:
                self._close(connection)
            return True
        if connection.inbox:
            connection.take(data)
        else:
            connection.inbox = data
        if not self._advance(connection, member):
            return False
        if len(data) == RECEIVE_SIZE and connection.phase is BODY:
            return self._read_content(connection, member)  # more of it must be there already
        return True

    def _read_content(self, connection: Connection, member: Member) -> bool:
        try:
            size = connection.receive_content()
        except BlockingIOError:
            return True
        except OSError:
            self._close(connection)
            return True
        if size:
            return self._advance(connection, member)
        self._refuse(connection, INCOMPLETE)
        return True

    def _resume(self, connection: Connection, member: Member) -> bool:
        """Go on with requests that have arrived already, or see whether one has."""
        if connection.phase is HEAD:
            return self._advance(connection, member) if connection.inbox else self._read(connection, member)
        if connection.phase is BUSY:
            outcome = self.scheduler.run(connection, member)
            if outcome is None:
                return self.scheduler.leads(member)
            self._take_back(connection, outcome)
        return True

    def _advance(self, connection: Connection, member: Member) -> bool:
        """Serve the requests that have arrived; False if the lead is lost over one."""
        burst = 0
        while True:
            try:
                result = connection.advance()
            except OSError:  # 100 (Continue) could not be sent
                self._close(connection)
                return True
            if result is not None:
                if result is NEED_MORE:
                    self._wait_for_request(connection)
                else:
                    self._refuse(connection, result)  # type: ignore[arg-type]  # no other step
                return True
            connection.phase = BUSY
            outcome = self.scheduler.run(connection, member)
            if outcome is None:
                return self.scheduler.leads(member)
            if outcome is KEEP and connection.is_simple and not connection.closing:
                # What `_settle` comes to for nearly all requests.
                connection.environ = connection.template
                connection.is_answering = connection.begun = False
                connection.phase = HEAD
                connection.deadline = self._idle_deadline
                connection.served += 1
                if connection.served == self._last_but_one:
                    connection.closing = True
            else:
                self._settle(connection, outcome)
                if connection.phase is not HEAD:
                    return True
            if not connection.inbox:
                return True
            burst += 1
            if burst == _BURST:
                self._postpone(connection)
                return True

    def _postpone(self, connection: Connection) -> None:
        """Let others have their turn before the requests of *connection* that have arrived."""
        connection.is_simple = False
        self._want(connection, 0)
        self._ready.append(connection)

    def _wait_for_request(self, connection: Connection) -> None:
        """Set the deadline of a request that has arrived in part."""
        if connection.phase is BODY:
            if not connection.since:
                connection.since = self._now
            settings = self._settings
            earned = connection.body_size / settings.body_rate
            connection.deadline = connection.since + settings.body_timeout + earned
        elif connection.inbox and not connection.begun:
            connection.begun = True
            connection.deadline = self._now + self._settings.head_timeout
        self._want(connection, READ)

    def turn_away(self, connection: Connection) -> None:
        """Refuse a whole request because too many wait already."""
        self._refuse(connection, OVERLOADED, RETRY_AFTER)

    def _refuse(self, connection: Connection, refusal: Refusal, further_lines: bytes = b"") -> None:
        """Answer without the application, and close."""
        _log.info("refused a request from %s: %s", connection.name, refusal.word)
        head_only = connection.environ.get("REQUEST_METHOD") == "HEAD"
        response = refusal_response(refusal, date_and_server.now() + further_lines, bodiless=head_only)
        if self._access_log is not None:
            size = 0 if head_only else len(refusal.sentence) + 1
            self._access_log.add_refusal(connection.client, connection.environ, refusal.status, size)
        try:
            connection.send(response)
        except OSError:
            self._close(connection)
            return
        connection.end_request()
        connection.outcome = CLOSE
        connection.unfinished = True
        self._after_response(connection)

    # Responses

    def _take_back(self, connection: Connection, outcome: Outcome) -> None:
        """Go on with a connection that another thread has served."""
        self._settle(connection, outcome)
        if connection.phase is HEAD and connection.inbox:
            self._postpone(connection)

    def _settle(self, connection: Connection, outcome: Outcome) -> None:
        """Do what follows from a response."""
        if outcome is ABORT or connection.lost is not None:
            self._abort(connection, connection.environ.get("SERVER_PROTOCOL"))
            return
        connection.outcome = outcome
        streamed = connection.streamed
        if streamed is None or streamed.is_complete:
            connection.end_request()
        self._after_response(connection)

    def _after_response(self, connection: Connection) -> None:
        if (connection.outbox or connection.file_left) and not self._flushed(connection):
            return
        if connection.streamed is not None:
            self._skip(connection)
        elif connection.outcome is KEEP and not connection.closing:
            connection.begun = False
            connection.phase = HEAD
            connection.deadline = self._idle_deadline
            connection.served += 1
            if connection.served == self._last_but_one:
                connection.closing = True
            if connection.interest != READ:
                self._want(connection, READ)
        elif connection.unfinished or connection.inbox:
            self._linger(connection)
        else:
            self._close(connection)

    def _flushed(self, connection: Connection) -> bool:
        """Send what is left of the response; if some stays, wait for the client to take it."""
        try:
            if connection.flush():
                return True
        except OSError:
            self._close(connection)
            return False
        connection.phase = FLUSH
        connection.deadline = self._now + self._settings.write_timeout
        self._want(connection, WRITE)
        return False

    def _flush_meanwhile(self, connection: Connection) -> None:
        """Send more of a response that another thread is producing."""
        if connection.phase is BUSY:
            self._want(connection, 0 if connection.flush_meanwhile() else WRITE)

    def _flush(self, connection: Connection) -> None:
        self._after_response(connection)
        if connection.phase is HEAD and connection.inbox:
            self._postpone(connection)

    def _skip(self, connection: Connection) -> None:
        """Read through content that the application left, if that is worth it, to the next request."""
        streamed = connection.streamed
        if connection.outcome is CLOSE or streamed is None or streamed.awaits_continue:
            connection.end_request()
            connection.outcome = CLOSE
            self._linger(connection)
            return
        connection.phase = SKIP
        connection.deadline = self._now + SKIP_SECONDS
        connection.skipped = 0
        self._want(connection, READ)
        self._go_on_skipping(connection)

    def _go_on_skipping(self, connection: Connection) -> None:
        step = connection.skip()
        if step is COMPLETE:
            connection.end_request()
            self._after_response(connection)
            if connection.phase is HEAD and connection.inbox:
                self._postpone(connection)
        elif step is not NEED_MORE or connection.skipped > SKIP_BYTES:
            connection.end_request()
            self._linger(connection)

    # Connections go

    def _linger(self, connection: Connection) -> None:
        """Half-close and read on a while: a reset would take the answer from the client (RFC 9112, 9.6)."""
        try:
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(connection)
            return
        connection.discard()
        connection.phase = LINGER
        connection.since = self._now
        connection.deadline = self._now + LINGER_SECONDS
        self._want(connection, READ)

    def _discard(self, connection: Connection) -> None:
        """Read what nobody wants: the rest of a request, or what comes after the last answer."""
        try:
            data = connection.socket.recv(RECEIVE_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(connection)
        elif connection.phase is SKIP:
            connection.skipped += len(data)
            connection.take(data)
            self._go_on_skipping(connection)
        else:
            connection.deadline = min(self._now + LINGER_SECONDS, connection.since + LINGER_MOST_SECONDS)

    def _abort(self, connection: Connection, version: str | None) -> None:
        """Close so that the client sees that the response is incomplete."""
        if version == HTTP_1_0:
            # Its responses may end with the connection: only a reset differs from an end.
            with contextlib.suppress(OSError):
                connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._close(connection)

    def _close(self, connection: Connection) -> None:
        self._want(connection, 0)
        self._connections.pop(connection.fd, None)
        self._receivers.pop(connection, None)
        connection.close()
        self._resume_accepting = self._now  # there is room for another
        self._go_on_accepting()

    def _sweep(self) -> None:
        """Give up the connections whose deadline has passed."""
        now = self._now
        self._next_sweep = now + _SWEEP_SECONDS
        self._go_on_accepting()
        for connection in [*self._connections.values()]:
            if connection.deadline > now or connection.phase is BUSY:
                continue
            if connection.phase is BODY:
                self._refuse(connection, BODY_TIMEOUT)
            elif connection.phase is HEAD and connection.inbox:
                self._refuse(connection, HEAD_TIMEOUT)
            elif connection.phase is FLUSH:
                self._abort(connection, HTTP_1_0)
            else:
                self._close(connection)

    def _want(self, connection: Connection, events: int) -> None:
        """Have the connection polled for *events*, 0 for not at all."""
        interest = connection.interest
        if interest == events:
            return
        connection.interest = events
        if not events:
            self._poller.unregister(connection.fd)
        elif interest:
            self._poller.modify(connection.fd, events)
        else:
            self._poller.register(connection.fd, events)

    # The end

    def _wind_down(self) -> bool:
        """Finish what was begun, after `stop`; True when nothing is left."""
        if self._listeners:
            self._stop_accepting()
            self._next_sweep = self._now  # for those who said nothing, the next look is the last
            return not self._connections
        for connection in [*self._connections.values()]:
            if connection.phase in _BEFORE_REQUEST and not connection.inbox:
                self._close(connection)
        return not self._connections or self._now >= self._stop_deadline

    def _stop_accepting(self) -> None:
        """Close the listeners, and look once more whether a request has arrived anywhere."""
        self._stop_deadline = min(self._stop_deadline, self._now + self._settings.graceful_timeout)
        for listener, template in self._listeners.values():
            self._accept(listener, template)  # who waits in the backlog was let in by the system
        self._listen(False)
        while self._listeners:
            self._listeners.popitem()[1][0].close()
        self._events = chain(self._events, [(fd, READ) for fd in self._connections])
        for connection in self._connections.values():
            connection.closing = True

    def _finish(self) -> None:
        self._is_over = True
        for connection in [*self._connections.values()]:
            if connection.phase is not BUSY:
                self._close(connection)
        if self._access_log is not None:
            self._access_log.flush()
        self.scheduler.stop()

    @property
    def is_empty(self) -> bool:
        """Whether all connections are closed, and so no thread is inside the application."""
        return not self._connections

    def close(self) -> None:
        """Give the descriptors of the loop itself back, once all threads have ended."""
        self._poller.close()
        self._waker.close()

    # On any thread

    def take_back(self, connection: Connection, outcome: Outcome) -> None:
        """Hand *connection* to the leader."""
        self._returned.append((connection, outcome))
        if self._polling:
            self._waker.wake()
        elif self._is_over:
            connection.close()

    def _note_stall(self, connection: Connection) -> None:
        """Have the leader send what the client of *connection* has not taken yet."""
        self._stalled.append(connection)
        if self._polling:
            self._waker.wake()

    def try_again(self, connection: Connection) -> None:
        """Hand *connection*, whose request is whole, to the leader."""
        self._ready.append(connection)
        if self._polling:
            self._waker.wake()

    def let_go(self, connection: Connection) -> None:
        """Stop polling *connection*; on the thread that has the lead, or just took it."""
        self._want(connection, 0)
        connection.let_go()

    @property
    def signal_fd(self) -> int:
        """The descriptor for `signal.set_wakeup_fd`, so that a signal is noticed whichever thread gets it."""
        return self._waker.signal_fd

    def stop(self) -> None:
        """Stop accepting, finish what was begun, end; a second call ends at once.

        On any thread, also in a signal handler.
        """
        if self._stopping:
            self._stop_deadline = 0.0
        self._stopping = True
        self._waker.wake()
