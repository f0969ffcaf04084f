"""What the leader does: poll, read, serve, give up on the slow; what comes before and after is below it.

All methods run on the thread that has the lead, but those under the last banner. The threads themselves
are the scheduler's.
"""

import contextlib
import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Final

from wsgix.core.exchange import Application, Environ
from wsgix.core.framing import ABORT, CLOSE, HTTP_1_0, KEEP, Outcome
from wsgix.facts.refusals import BODY_TIMEOUT, HEAD_TIMEOUT, INCOMPLETE, OVERLOADED
from wsgix.server.arrivals import Arrivals
from wsgix.server.connection import CONTENT_SIZE, Connection
from wsgix.server.listeners import Listener
from wsgix.server.phase import BODY, BUSY, FLUSH, HANDSHAKE, HEAD, LINGER, PROXY, READY, SKIP
from wsgix.server.poller import READ, WRITE, SelectorPoller, Waker
from wsgix.server.request_body import Memory
from wsgix.server.respond import make_respond
from wsgix.server.responder import date_and_server
from wsgix.server.scheduler import Member, Scheduler
from wsgix.server.settings import Settings
from wsgix.server.shared import Common
from wsgix.server.sure_log import log
from wsgix.wire.http1 import NEED_MORE
from wsgix.wire.http1_response import RETRY_AFTER

if TYPE_CHECKING:
    from wsgix.server.access_log import AccessLog
    from wsgix.server.certificates import Certificates
    from wsgix.server.trust import Trust

_SWEEP_SECONDS: Final = 1.0
_BURST: Final = 32
"""Pipelined requests of one client served before others get their turn."""

_BEFORE_REQUEST: Final = (PROXY, HANDSHAKE, HEAD)


class Loop(Arrivals):
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
        super().__init__(templates, settings, access_log)
        self.scheduler = Scheduler(self, settings.threads, settings.limit_waiting, settings.request_timeout)
        self._kept_back = self.scheduler.kept_back
        self.respond = make_respond(application, access_log, self.scheduler.call_timeout)
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
        self._waker = Waker()
        # Who takes the lead over in the middle of it goes on with the same iterator.
        self._events: Iterator[tuple[int, int]] = iter(())
        self._returned: deque[tuple[Connection, Outcome]] = deque()
        self._stalled: deque[Connection] = deque()
        self._polling = False
        # epoll takes registrations while another thread waits; a selector does not.
        self._is_shared = not isinstance(self._poller, SelectorPoller)
        self._next_sweep = 0.0
        self._is_told_to_stop = False
        self._stop_deadline = math.inf
        self._is_winding_down = False
        self._is_over = False
        self._poller.register(self._waker.fileno(), READ)

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
            try:
                if connection is not None and connection.phase is HEAD:
                    if not self._read(connection, member):
                        return False
                elif not self._dispatch(fd, connection, member):
                    return False
            except Exception:
                self._give_up(connection, member)
            if returned or stalled:
                self._attend(member)
        while True:
            self._attend(member)
            if not self._ready:
                kept_back = self.scheduler.next_waiting() if self._kept_back else None
                if kept_back is None:
                    break
                self._ready.append(kept_back)
            connection = self._ready.popleft()
            try:
                if not self._resume(connection, member):
                    return False
            except Exception:
                self._give_up(connection, member)
        calls = self.scheduler.calls - calls
        if calls:
            self.scheduler.note_duration(time.monotonic() - begin, calls)
        if self._now >= self._next_sweep:
            self._sweep(member)
        if self._access_log is not None:
            self._access_log.flush()
        return True

    def _attend(self, member: Member) -> None:
        """See to the connections that other threads have handed over."""
        while self._returned:
            connection, outcome = self._returned.popleft()
            try:
                self._take_back(connection, outcome)
            except Exception:
                self._give_up(connection, member)
        while self._stalled:
            self._flush_meanwhile(self._stalled.popleft())

    def _give_up(self, connection: Connection | None, member: Member) -> None:
        """Close the connection at which the loop has failed: it would fail there again, or never end.

        In an `except` clause. Memory may be short, for one. If the lead is lost, the connection is another's.
        """
        if connection is None or not self.scheduler.leads(member):
            raise  # noqa: PLE0704  # for the scheduler to log
        log.exception("the server's loop failed, and closes the connection of %s", connection.name)
        if self._connections.get(connection.fd) is connection:
            if connection.is_until_close:
                connection.will_reset()
            self._close(connection)

    def _poll(self) -> None:
        idle = not self._connections and self._accepting and not self._stopping
        if idle and self._access_log is not None:
            idle = not self._access_log.is_behind
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
                # The last connection that may be open may have come to another listener meanwhile.
                if self._accepting:
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
            self._shake_hands(connection)
        elif phase is PROXY:
            self._read_proxy_header(connection)
        return True

    # Requests

    def _read(self, connection: Connection, member: Member) -> bool:
        """Receive what begins with a head."""
        try:
            data = connection.socket.recv(connection.receive_size)
        except BlockingIOError:
            self._want(connection, READ)
            return True
        except OSError:
            self._close(connection)
            return True
        if not data:
            if connection.is_between_requests:
                self._close(connection)
            else:
                self._refuse(connection, INCOMPLETE)
            return True
        if connection.inbox:
            connection.take(data)
        else:
            connection.inbox = data
        if len(data) < connection.receive_size:
            return self._advance(connection, member)
        connection.receive_size = CONTENT_SIZE
        # More of its content must be there already.
        return self._advance(connection, member) and (
            connection.phase is not BODY or self._read_content(connection, member)
        )

    def _read_content(self, connection: Connection, member: Member) -> bool:
        try:
            if connection.outbox:
                connection.flush_interim()
            size = connection.receive_content()
        except BlockingIOError:
            self._wait_for_request(connection)
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
        if connection.phase is READY:
            connection.phase = HEAD
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
            # What is closing has another outcome; what has just been accepted is not polled for yet.
            if outcome is KEEP and connection.is_simple and connection.interest:
                # What `_settle` comes to for nearly all requests.
                connection.environ = connection.template
                connection.is_answering = False
                connection.phase = HEAD
                connection.deadline = self._idle_deadline
                connection.served = served = connection.served + 1
                if served == self._last_but_one:
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

    def _wait_for_request(self, connection: Connection) -> None:
        """Set the deadline of a request that has arrived in part."""
        if connection.phase is BODY:
            if not connection.since:
                connection.since = self._now
            settings = self._settings
            earned = connection.body_size / settings.body_rate
            connection.deadline = connection.since + settings.body_timeout + earned
            if connection.outbox:
                # The client has yet to take 100 (Continue), and may wait for it.
                self._want(connection, READ | WRITE)
                return
        elif not connection.begun and not connection.is_between_requests:
            connection.begun = True
            connection.is_simple = False
            connection.deadline = self._now + self._settings.head_timeout
        self._want(connection, READ)

    def turn_away(self, connection: Connection) -> None:
        """Refuse a whole request because too many wait already, or the server stops."""
        self._refuse(connection, OVERLOADED, RETRY_AFTER)

    # Responses

    def _take_back(self, connection: Connection, outcome: Outcome) -> None:
        """Go on with a connection that another thread has served."""
        self._settle(connection, outcome)
        if connection.phase is HEAD and connection.inbox:
            self._postpone(connection)

    def _settle(self, connection: Connection, outcome: Outcome) -> None:
        """Do what follows from a response."""
        if connection.is_taken:
            self._close(connection)
            return
        if outcome is ABORT or connection.lost is not None:
            if connection.is_given_up and not connection.is_answering:
                # It got 504 in the place of a response, perhaps while it was still sending.
                self._leave(connection)
                return
            if connection.lost is not None:
                self._note_file_fault(connection, connection.lost)
            self._abort(connection, connection.reader.line.version)
            return
        if (
            outcome is CLOSE
            and connection.is_clear
            and connection.is_plain
            and not self._may_send_more(connection)
        ):
            self._close(connection)
            return
        connection.outcome = outcome
        streamed = connection.streamed
        if streamed is None or streamed.is_complete:
            connection.end_request()
        self._after_response(connection)

    # Connections that do not go on

    def _sweep(self, member: Member) -> None:
        """Give up the connections whose deadline has passed."""
        now = self._now
        self._next_sweep = now + _SWEEP_SECONDS
        self._go_on_accepting()
        if self._unpolled:
            self._poll_the_rest()
        for connection in [*self._connections.values()]:
            # A thread that has it wait for its next request sets the deadline first, and then the phase.
            if connection.phase is BUSY or connection.deadline > now:
                continue
            try:
                self._expire(connection)
            except Exception:
                self._give_up(connection, member)

    def _expire(self, connection: Connection) -> None:
        if connection.phase is BODY:
            self._refuse(connection, BODY_TIMEOUT)
        elif connection.phase is HEAD and not connection.is_between_requests:
            self._refuse(connection, HEAD_TIMEOUT)
        elif connection.phase is FLUSH:
            self._abort(connection, HTTP_1_0)
        elif connection.phase is SKIP:
            self._leave(connection)
        else:
            self._close(connection)

    # The end

    def _wind_down(self) -> bool:
        """Finish what was begun, after `stop`; True when nothing is left."""
        if not self._is_winding_down:
            self._is_winding_down = True
            self._begin_to_stop()
            self._next_sweep = self._now  # for those who said nothing, the next look is the last
            return not self._connections
        with self._waiting_lock:
            for connection in [*self._connections.values()]:
                if connection.phase not in _BEFORE_REQUEST or not connection.is_between_requests:
                    continue
                # A request that takes a handshake first is no less on its way; and it has its deadlines.
                if not self._is_arriving(connection):
                    self._close(connection)
        # Who has got the answer to a request that timed out waits for nothing more.
        is_done = all(connection.is_given_up for connection in [*self._connections.values()])
        return is_done or self._now >= self._stop_deadline

    def _begin_to_stop(self) -> None:
        """Accept no more, and look whether a request has arrived anywhere."""
        self._stop_deadline = min(self._stop_deadline, self._now + self._settings.graceful_timeout)
        self._stop_accepting()
        # Everywhere: one poll of epoll tells of 1023 connections at most.
        for connection in [*self._connections.values()]:
            connection.closing = True
            if connection.phase is PROXY:
                self._read_proxy_header(connection)
            elif connection.phase is HANDSHAKE:
                self._shake_hands(connection)
            else:
                with self._waiting_lock:
                    if connection.phase is HEAD and not connection.inbox:
                        self._expect_request(connection)

    def _finish(self) -> None:
        self._is_over = True
        self._close_returned()  # who came back before it could know
        for connection in [*self.scheduler.drop_waiting(), *self._ready]:
            if connection.phase is BUSY:
                self.turn_away(connection)
        with self._waiting_lock:
            for connection in [*self._connections.values()]:
                if connection.phase is BUSY:
                    # The process may end before the application does, and all that is open with it; or go on,
                    # and the application with it, for ever.
                    if connection.is_until_close and not connection.is_given_up:
                        connection.reset()
                    elif connection.is_answering or connection.is_taken:
                        connection.cut_off()
                elif connection.has_all_left:
                    self._close(connection)
                else:
                    self._abort(connection, HTTP_1_0)
        if self._access_log is not None:
            self._access_log.flush()
        self.scheduler.stop()

    def close(self) -> None:
        """Give the descriptors of the loop itself back, once all threads have ended."""
        self._poller.close()
        self._waker.close()

    # On any thread

    def take_back(self, connection: Connection, outcome: Outcome) -> None:
        """Have *connection* wait for its next request, or hand it to the leader if there is more to do."""
        if (
            outcome is KEEP
            and self._is_shared
            and not connection.closing
            and connection.is_clear
            and self._poll_again(connection)
        ):
            return
        self._returned.append((connection, outcome))
        if self._polling:
            self._waker.wake()
        elif self._is_over:
            self._close_returned()

    def _close_returned(self) -> None:
        """Close what was handed over to a leader that there is no more; each by one thread."""
        with contextlib.suppress(IndexError):
            while True:
                connection, outcome = self._returned.popleft()
                if connection.is_until_close and (outcome is ABORT or not connection.has_all_left):
                    connection.will_reset()
                connection.close()

    def _poll_again(self, connection: Connection) -> bool:
        """Poll *connection* for its next request, without the leader; False once the loop is to stop."""
        connection.end_request()
        with self._waiting_lock:
            if self._stopping:
                return False
            # It may still be polled for the client to take more of the response, all of which has left since.
            self._want(connection, READ)
            # The leader's time may be as old as its last sweep.
            deadline = time.monotonic() + self._settings.keep_alive_timeout
            # From here on it is the leader's, who may read from it, or close it, at once.
            connection.wait_for_next(deadline, self._last_but_one)
        return True

    def _note_stall(self, connection: Connection) -> None:
        """Have the leader send what the client of *connection* has not taken yet."""
        self._stalled.append(connection)
        if self._polling:
            self._waker.wake()

    def wake(self) -> None:
        """End the leader's next wait, if not this one: it may just have looked what there is to do."""
        self._waker.wake()

    def let_go(self, connection: Connection) -> None:
        """Poll *connection* for no request; on the thread that has the lead, or just took it."""
        # It may have been kept back with something before its response that has not left.
        self._want(connection, WRITE if connection.outbox else 0)
        connection.let_go()

    @property
    def signal_fd(self) -> int:
        """The descriptor for `signal.set_wakeup_fd`, so that a signal is noticed whichever thread gets it."""
        return self._waker.signal_fd

    def stop(self) -> None:
        """Stop accepting, finish what was begun, end; a second call ends at once.

        On any thread, also in a signal handler.
        """
        if self._is_told_to_stop:
            self._stop_deadline = 0.0
        self._is_told_to_stop = self._stopping = True
        self._waker.wake()

    @property
    def seconds_left(self) -> float:
        """How much of the graceful timeout is left; 0 after a second `stop`."""
        left = min(self._stop_deadline - time.monotonic(), self._settings.graceful_timeout)
        return max(0.0, left)

    # In a child that the application has forked

    def leave(self) -> None:
        """Give up all that the child has of the server."""
        self.scheduler.leave()
        self._waiting_lock = Lock()  # as there
        self._stopping = True  # nothing is polled any more
        for connection in [*self._connections.values()]:
            connection.leave()
        self.close()
