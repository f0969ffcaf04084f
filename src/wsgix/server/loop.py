"""What the leader does: poll, accept, read, serve, flush, give up on the slow.

All methods run on the thread that has the lead, but those under the last banner. The threads themselves
are the scheduler's.
"""

import contextlib
import errno
import logging
import socket
import struct
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from wsgix.core.exchange import Application, Environ
from wsgix.core.framing import ABORT, CLOSE, HTTP_1_0, KEEP, Outcome
from wsgix.facts.refusals import BODY_TIMEOUT, HEAD_TIMEOUT, INCOMPLETE, Refusal
from wsgix.server.access_log import AccessLog
from wsgix.server.connection import BODY, BUSY, FLUSH, HEAD, LINGER, RECEIVE_SIZE, Connection
from wsgix.server.listeners import Listener
from wsgix.server.poller import READ, WRITE, Waker, make_poller
from wsgix.server.responder import Responder, date_and_server
from wsgix.server.scheduler import Member, Scheduler
from wsgix.wire.http1 import NEED_MORE
from wsgix.wire.http1_response import refusal_response
from wsgix.wire.limits import DEFAULT_LIMITS

HEAD_SECONDS: Final = 10.0
"""For a whole request head, from its first byte; also for the first request of a connection to begin."""
KEEP_ALIVE_SECONDS: Final = 75.0
"""For the next request to begin."""
BODY_GRACE_SECONDS: Final = 20.0
BODY_BYTES_PER_SECOND: Final = 500
"""Request content may take the grace and a second for each so many bytes."""
FLUSH_SECONDS: Final = 30.0
"""For the client to take more of a response that waits for it."""
LINGER_SECONDS: Final = 5.0
LINGER_BYTES: Final = 65536
"""How long and how much is still read, and forgotten, from a client that got its last answer."""
GRACEFUL_SECONDS: Final = 30.0
"""For requests to finish after `stop`."""
PAUSE_SECONDS: Final = 1.0
"""Between attempts to accept while descriptors are short."""
_SWEEP_SECONDS: Final = 1.0

_ACCEPTS: Final = 64
"""Connections taken from a listener before others get their turn."""
_BURST: Final = 32
"""Pipelined requests of one client served before others get their turn."""
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: on, zero seconds. Closing then resets the connection."""

_SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Of descriptors or memory: `accept` fails at once, and would fail again at once."""

_log: Final = logging.getLogger("wsgix.error")


class Loop:
    """The connections of one worker, and the work on them.

    Args:
        application: the WSGI application.
        templates: each listener with the variables that all its requests share.
        threads: how many requests may be inside the application at once.
        access_log: where responses are noted, or None.
    """

    def __init__(
        self,
        application: Application,
        templates: Sequence[tuple[Listener, Environ]],
        threads: int,
        access_log: AccessLog | None,
    ) -> None:
        self._application = application
        self._access_log = access_log
        self.scheduler = Scheduler(self, threads)
        self._poller = make_poller()
        self._waker = Waker()
        self._listeners = {listener.socket.fileno(): (listener, template) for listener, template in templates}
        self._connections: dict[int, Connection] = {}
        self._events: deque[tuple[int, int]] = deque()
        self._ready: deque[Connection] = deque()
        self._returned: deque[tuple[Connection, Outcome]] = deque()
        self._polling = False
        self._now = time.monotonic()
        self._next_sweep = 0.0
        self._stop_deadline: float | None = None
        self._stopping = False
        self._accepting = True
        self._resume_accepting = 0.0
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
        while True:
            if self._returned:
                self._take_back(*self._returned.popleft())
            elif self._events:
                if not self._dispatch(*self._events.popleft(), member):
                    return False
            elif self._ready:
                if not self._resume(self._ready.popleft(), member):
                    return False
            else:
                break
        calls = self.scheduler.calls - calls
        if calls:
            self.scheduler.note_duration(time.monotonic() - begin, calls)
        if self._now >= self._next_sweep:
            self._sweep()
        if self._access_log is not None:
            self._access_log.flush()
        return True

    def _poll(self) -> None:
        idle = not self._connections and self._accepting and not self._stopping
        timeout = None if idle else max(0.0, self._next_sweep - self._now)
        self._polling = True
        # Whoever returns a connection after this looks at `_polling` and ends the wait.
        self._events.extend(self._poller.poll(0 if self._returned else timeout))
        self._polling = False

    def _dispatch(self, fd: int, events: int, member: Member) -> bool:
        connection = self._connections.get(fd)
        if connection is None:
            if fd in self._listeners:
                self._accept(*self._listeners[fd])
            elif fd == self._waker.fileno():
                self._waker.clear()
            return True
        phase = connection.phase
        if phase is HEAD or phase is BODY:
            return self._read(connection, member)
        if phase is FLUSH:
            self._flush(connection)
        elif phase is LINGER:
            self._discard(connection)
        return True

    # Connections come

    def _accept(self, listener: Listener, template: Environ) -> None:
        for _ in range(_ACCEPTS):
            try:
                accepted, client = listener.socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _SHORTAGES:
                    self._pause(error)
                # Otherwise the client is gone already: the next one waits for the next poll.
                return
            accepted.setblocking(False)
            if not listener.is_unix:
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(accepted, client, template, DEFAULT_LIMITS)
            connection.deadline = self._now + HEAD_SECONDS
            self._connections[connection.fd] = connection
            self._want(connection, READ)

    def _pause(self, error: OSError) -> None:
        """Accept nothing for a while, and part with idle clients: they can come again."""
        _log.warning("cannot accept connections, %d are open: %s", len(self._connections), error.strerror)
        self._listen(False)
        self._resume_accepting = self._now + PAUSE_SECONDS
        for connection in [*self._connections.values()]:
            if connection.served and connection.phase is HEAD and not connection.has_unread:
                self._close(connection)

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
        try:
            data = connection.socket.recv(RECEIVE_SIZE)
        except BlockingIOError:
            return True
        except OSError:
            self._close(connection)
            return True
        if data:
            connection.take(data)
            return self._advance(connection, member)
        if connection.phase is BODY or connection.has_unread:
            self._refuse(connection, INCOMPLETE)
        else:
            self._close(connection)
        return True

    def _resume(self, connection: Connection, member: Member) -> bool:
        """Go on with pipelined requests that have arrived already."""
        if connection.phase is HEAD:
            return self._advance(connection, member)
        return True

    def _advance(self, connection: Connection, member: Member) -> bool:
        """Serve the requests that have arrived; False if the lead is lost over one."""
        for _ in range(_BURST):
            was_head = connection.phase is HEAD
            try:
                result = connection.advance()
            except OSError:  # 100 (Continue) could not be sent
                self._close(connection)
                return True
            if result is not None:
                if result is NEED_MORE:
                    self._wait_for_request(connection, was_head)
                else:
                    self._refuse(connection, result)  # type: ignore[arg-type]  # no other step
                return True
            connection.phase = BUSY
            outcome = self.scheduler.run(connection, member)
            if outcome is None:
                return self.scheduler.leads(member)
            self._settle(connection, outcome)
            if connection.phase is not HEAD or not connection.has_unread:
                return True
        self._postpone(connection)
        return True

    def _postpone(self, connection: Connection) -> None:
        """Let others have their turn before the requests of *connection* that have arrived."""
        self._want(connection, 0)
        self._ready.append(connection)

    def _wait_for_request(self, connection: Connection, was_head: bool) -> None:
        """Set the deadline of a request that has arrived in part."""
        if connection.phase is BODY:
            if was_head:
                connection.since = self._now
            earned = connection.body_size / BODY_BYTES_PER_SECOND
            connection.deadline = connection.since + BODY_GRACE_SECONDS + earned
        elif connection.has_unread and not connection.begun:
            connection.begun = True
            connection.deadline = self._now + HEAD_SECONDS
        self._want(connection, READ)

    def _refuse(self, connection: Connection, refusal: Refusal) -> None:
        """Answer without the application, and close."""
        _log.info("refused a request from %s: %s", connection.client or "a Unix socket", refusal.word)
        head_only = connection.environ.get("REQUEST_METHOD") == "HEAD"
        response = refusal_response(refusal, date_and_server.now(), bodiless=head_only)
        if self._access_log is not None:
            self._access_log.add(connection.client, "-", refusal.status, len(refusal.sentence) + 1, {})
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
        if connection.phase is HEAD and connection.has_unread:
            self._postpone(connection)

    def _settle(self, connection: Connection, outcome: Outcome) -> None:
        """Do what follows from a response."""
        if outcome is ABORT:
            self._abort(connection, connection.environ.get("SERVER_PROTOCOL"))
            return
        connection.end_request()
        connection.outcome = outcome
        self._after_response(connection)

    def _after_response(self, connection: Connection) -> None:
        if connection.outbox and not self._flushed(connection):
            return
        if connection.outcome is KEEP and not connection.closing:
            connection.phase = HEAD
            connection.begun = False
            connection.served = True
            connection.deadline = self._now + KEEP_ALIVE_SECONDS
            if connection.interest != READ:
                self._want(connection, READ)
        elif connection.unfinished or connection.has_unread:
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
        connection.deadline = self._now + FLUSH_SECONDS
        self._want(connection, WRITE)
        return False

    def _flush(self, connection: Connection) -> None:
        self._after_response(connection)
        if connection.phase is HEAD and connection.has_unread:
            self._postpone(connection)

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
        connection.deadline = self._now + LINGER_SECONDS
        connection.lingered = 0
        self._want(connection, READ)

    def _discard(self, connection: Connection) -> None:
        try:
            size = len(connection.socket.recv(RECEIVE_SIZE))
        except BlockingIOError:
            return
        except OSError:
            size = 0
        connection.lingered += size
        if not size or connection.lingered > LINGER_BYTES:
            self._close(connection)

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
        connection.close()

    def _sweep(self) -> None:
        """Give up the connections whose deadline has passed."""
        now = self._now
        self._next_sweep = now + _SWEEP_SECONDS
        if not self._accepting and not self._stopping and now >= self._resume_accepting:
            self._listen(True)
        for connection in [*self._connections.values()]:
            if connection.deadline > now or connection.phase is BUSY:
                continue
            if connection.phase is BODY:
                self._refuse(connection, BODY_TIMEOUT)
            elif connection.phase is HEAD and connection.has_unread:
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
        if self._stop_deadline is None:
            self._stop_deadline = self._now + GRACEFUL_SECONDS
        self._listen(False)
        while self._listeners:
            self._listeners.popitem()[1][0].close()
        for connection in [*self._connections.values()]:
            connection.closing = True
            if connection.phase is HEAD and not connection.has_unread:
                self._close(connection)
        return not self._connections or self._now >= self._stop_deadline

    def _finish(self) -> None:
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

    def respond(self, connection: Connection) -> Outcome:
        """Run the application for the request that *connection* has collected."""
        responder = Responder(connection, connection.environ, connection.wish)
        try:
            responder.run(self._application)
        except BaseException:
            _log.exception("the response failed: %s", connection.describe(responder.request_line))
            responder.outcome = ABORT
        if self._access_log is not None and responder.status_sent:
            self._access_log.add(
                connection.client,
                responder.request_line,
                responder.status_sent,
                responder.content_sent,
                connection.environ,
            )
        return responder.outcome

    def take_back(self, connection: Connection, outcome: Outcome) -> None:
        """Hand *connection* to the leader."""
        self._returned.append((connection, outcome))
        if self._polling:
            self._waker.wake()

    def let_go(self, connection: Connection) -> None:
        """Stop polling *connection*; on the thread that has the lead, or just took it."""
        self._want(connection, 0)

    def stop(self) -> None:
        """Stop accepting, finish what was begun, end; a second call ends at once.

        On any thread, also in a signal handler.
        """
        if self._stopping:
            self._stop_deadline = 0.0
        self._stopping = True
        self._waker.wake()
