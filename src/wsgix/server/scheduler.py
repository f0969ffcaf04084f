"""Who leads, who runs an application, who waits: applications inline when fast, on threads when slow.

One thread *leads*: it polls, reads, and runs applications inline. If it stays inside one of them, the
*watchdog* takes the lead from it and gives it to a spare; the thread finishes its request and becomes a
spare itself. If calls have been slow lately, the leader gives the lead away before the call.

The fast path takes no lock: the leader puts a claim into a list before a call and takes it out afterwards.
The watchdog takes the lead by taking the claim out first; only one of them finds it. Everything else
happens under one lock.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol

from wsgix.core.framing import ABORT, Outcome
from wsgix.server.call_timeout import CallTimeout
from wsgix.server.connection import Connection
from wsgix.server.settings import ConfigurationError
from wsgix.server.sure_log import log

THREAD_NAME: Final = "wsgix"
"""Of all that lead and run applications."""

WATCH_SECONDS: Final = 0.005
"""The leader may be inside an application for so long, and at most twice that, before it loses the lead."""

_CHECK_SECONDS: Final = 0.1
"""Between looks at calls that may take too long."""

_MOST_AWAY: Final = 64
"""Threads that may wait for slow clients, beside those that are inside the application."""

_SLOW_SECONDS: Final = 0.001
_WEIGHT: Final = 1 / 8
_MOST_SECONDS: Final = 4 * _SLOW_SECONDS
"""What one slow call counts at most: a rare slow one must not send the fast ones to threads."""


class Room(Protocol):
    """What the scheduler needs of the loop."""

    def lead(self, member: "Member") -> None:
        """Poll and serve until the lead is lost or all is done."""

    def respond(self, connection: Connection) -> Outcome:
        """Run the application; on any thread."""

    def take_back(self, connection: Connection, outcome: Outcome) -> None:
        """Hand a connection to the leader after `respond`; from any thread."""

    def wake(self) -> None:
        """Have the leader look at the requests that are kept back, once more; from any thread."""

    def let_go(self, connection: Connection) -> None:
        """Poll a connection for no request; by whoever has the lead."""

    def turn_away(self, connection: Connection) -> None:
        """Refuse a request because too many wait; on the leader."""


class Member:
    """One thread of the worker."""

    __slots__ = ("claim", "ident", "signal", "stop")

    def __init__(self) -> None:
        self.claim: list[Connection] = []
        self.signal = threading.Semaphore(0)
        self.stop = False
        self.ident = 0


class Scheduler:
    """The threads of one worker and the lead among them.

    Args:
        room: the loop that is led.
        threads: how many of them may be inside the application at once.
        most_waiting: how many whole requests may wait for a thread.
        timeout: how long each may be there, in seconds; 0 is for ever.
    """

    def __init__(self, room: Room, threads: int, most_waiting: int = 1000, timeout: float = 0.0) -> None:
        self._room = room
        self._most_waiting = most_waiting
        self.call_timeout = CallTimeout(timeout, self.write_off, self._wake_watchdog) if timeout else None
        self._threads = threads
        self._lock = threading.Lock()
        self._leader = Member()
        self._spares: list[Member] = []
        self._started: list[threading.Thread] = []
        self._waiting: deque[Connection] = deque()
        self._running = 0
        self._written_off: set[int] = set()
        self._retired: set[int] = set()
        self._away: dict[Connection, None] = {}  # the first has waited for longest
        self._calls = 0
        self._calls_seen = 0
        self._overdue_call = 0  # the last that could not be counted out
        self._is_idle = False
        self._average = 0.0
        self._alarm = threading.Semaphore(0)
        self._watching = False
        self._stopped = False

    # On the leader

    def run(self, connection: Connection, member: Member) -> Outcome | None:
        """Run the application for a whole request.

        Returns the outcome if *member* still has the lead and the connection is its own; None if the request
        was kept back, or finished after the lead was lost: `leads` tells which.
        """
        if self._running and self._wait_for_thread(connection):
            return None
        if self._average > _SLOW_SECONDS and self._give_lead(connection):
            self._run_on_thread(connection)
            return None
        self._calls += 1
        # First the claim: who watches looks at it before going to sleep, and then sees it, or is woken here.
        member.claim.append(connection)
        if not self._watching:
            self._watching = True
            self._alarm.release()
        try:
            outcome = self._room.respond(connection)
        except BaseException:
            outcome = _not_responded(connection)
        try:
            member.claim.pop()
            return outcome
        except IndexError:
            pass
        # Not within the clause above: it would be the context of whatever the next applications raise.
        with self._lock:
            pass  # who took the lead has let the connection go, and will not touch it again
        self._finish(connection, outcome)
        return None

    def leads(self, member: Member) -> bool:
        """Tell whether *member* has the lead; asked by *member* itself."""
        return self._leader is member

    def note_duration(self, seconds: float, calls: int) -> None:
        """Take into account how long *calls* calls took together."""
        self._average += (min(seconds / calls, _MOST_SECONDS) - self._average) * _WEIGHT

    @property
    def calls(self) -> int:
        """How many applications ran inline so far."""
        return self._calls

    def _wait_for_thread(self, connection: Connection) -> bool:
        """Keep the request back if all threads are inside the application; turn it away if too many wait."""
        with self._lock:
            if self._running < self._threads:
                return False
            is_full = len(self._waiting) >= self._most_waiting
            if not is_full:
                self._room.let_go(connection)
                self._waiting.append(connection)
        if is_full:
            self._room.turn_away(connection)
        return True

    @property
    def kept_back(self) -> Sequence[Connection]:
        """The connections whose requests are kept back, now and later; any thread changes it."""
        return self._waiting

    def next_waiting(self) -> Connection | None:
        """Return a connection whose request was kept back and has its turn; None if there is none.

        For the leader, before it waits: a call that it was quick with has left no thread to go on with them.
        """
        with self._lock:
            return self._waiting.popleft() if self._waiting and self._running < self._threads else None

    def drop_waiting(self) -> list[Connection]:
        """Return the connections whose requests are kept back, and forget them."""
        with self._lock:
            waiting = [*self._waiting]
            self._waiting.clear()
        return waiting

    def _give_lead(self, connection: Connection) -> bool:
        """Pass the lead on before a call that is likely to be slow; False if no thread can take it."""
        spare = self._spare()
        if spare is None:
            return False
        self._room.let_go(connection)
        with self._lock:
            self._running += 1
            self._leader = spare
        spare.signal.release()
        return True

    # On a thread that has lost the lead

    def _run_on_thread(self, connection: Connection) -> None:
        begin = time.monotonic()
        outcome = self._respond(connection)
        self.note_duration(time.monotonic() - begin, 1)
        self._finish(connection, outcome)

    def _respond(self, connection: Connection) -> Outcome:
        try:
            return self._room.respond(connection)
        except BaseException:
            return _not_responded(connection)

    def _finish(self, connection: Connection, outcome: Outcome) -> None:
        """Give the connection back, and go on with requests that were kept back."""
        while True:
            self._room.take_back(connection, outcome)
            with self._lock:
                ident = threading.get_ident()
                if ident in self._written_off:
                    self._written_off.discard(ident)
                    self._retired.add(ident)
                    return
                # With those who have waited for their clients and are back there may be too many, and the
                # leader may be inside as well; it looks at those that are kept back when it comes out.
                if not self._waiting or self._running + len(self._leader.claim) > self._threads:
                    self._running -= 1
                    return
                connection = self._waiting.popleft()
            begin = time.monotonic()
            outcome = self._respond(connection)
            self.note_duration(time.monotonic() - begin, 1)

    def write_off(self, ident: int) -> None:
        """No longer count a thread that is stuck inside the application; on the thread that watches."""
        if self._leader.ident == ident:
            self._take_lead()
        with self._lock:
            if self._leader.ident == ident:
                # No other thread can lead, and the one that does is not counted; nor is it to be later on.
                self._overdue_call = self._calls
                return
            self._written_off.add(ident)
            self._running -= 1
        self._offer_turn()

    def may_wait(self) -> bool:
        """Tell whether another thread may wait for a client without taking a turn."""
        return self._threads > 1 and len(self._away) < _MOST_AWAY

    def waiting(self, connection: Connection, wait: Callable[[], Any]) -> Any:
        """Call *wait*, which waits for the client of *connection*, and count this thread as free meanwhile.

        On a thread that is inside an application. Slow clients cost threads then, but no turns. With more
        than `_MOST_AWAY` of them, the one that has made its thread wait for longest is cut off. The only
        thread keeps its turn: `wsgi.multithread` says that nobody else calls the application meanwhile.
        """
        if self.call_timeout is None:
            return self._wait_aside(connection, wait)
        # Its exception may come at any line, but not while this is left out: the count must stay right.
        return self.call_timeout.leave_out(partial(self._wait_aside, connection, wait))

    def _wait_aside(self, connection: Connection, wait: Callable[[], Any]) -> Any:
        is_away = self._step_aside(connection)
        try:
            return wait()
        finally:
            if is_away:
                with self._lock:
                    self._away.pop(connection, None)
                    self._running += 1

    def _step_aside(self, connection: Connection) -> bool:
        ident = threading.get_ident()
        if self._leader.ident == ident:
            self._take_lead()
        if self._threads == 1:
            return False
        with self._lock:
            if self._leader.ident == ident:
                return False  # no other thread can lead
            if ident in self._written_off:
                return False  # others have its turn already
            if len(self._away) >= _MOST_AWAY:
                longest = next(iter(self._away))
                del self._away[longest]
                longest.cut_off()
            self._away[connection] = None
            self._running -= 1
        self._offer_turn()
        return True

    def _offer_turn(self) -> None:
        """Tell the leader of a turn that this thread has given up, if a request was kept back."""
        if self._waiting:
            self._room.wake()

    # Threads

    def _spare(self) -> Member | None:
        """Return a thread that waits, started if need be; None if none can be started."""
        with self._lock:
            if self._stopped:
                return None
            if self._spares:
                return self._spares.pop()
        member = Member()
        return member if self._start(member) else None

    def _start(self, member: Member) -> bool:
        thread = threading.Thread(target=self._live, args=(member,), name=THREAD_NAME, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads to be had: serve with what there is
            return False
        self._started = [*filter(threading.Thread.is_alive, self._started), thread]
        return True

    def _live(self, member: Member) -> None:
        """The life of a thread: lead when called, else wait."""
        member.ident = threading.get_ident()
        while True:
            member.signal.acquire()
            if member.stop:
                return
            self._lead(member)
            with self._lock:
                if member.ident in self._retired:  # others have taken its place
                    self._retired.discard(member.ident)
                    return
                self._dismiss(member)

    def _lead(self, member: Member) -> None:
        """Lead until the lead is lost; a fault of the loop costs what it was at, not the server."""
        while True:
            try:
                self._room.lead(member)
            except BaseException:
                log.exception("the server's loop failed")
                if self.leads(member):
                    continue
            return

    def _dismiss(self, member: Member) -> None:
        """Let *member* wait, or end if there is nothing to wait for, or enough who do; under the lock."""
        if self._stopped or len(self._spares) > self._threads:
            member.stop = True
            member.signal.release()
        else:
            self._spares.append(member)

    def start(self) -> None:
        """Start the first leader.

        Raises:
            ConfigurationError: not even one thread can be started.
        """
        if not self._start(self._leader):
            raise ConfigurationError("cannot start a thread; raise the limit of processes, or stop some")
        self._leader.signal.release()

    def stop(self) -> None:
        """Let all threads end that wait; the leader calls it when all is done."""
        with self._lock:
            self._stopped = True
            spares, self._spares = self._spares, []
        for member in spares:
            member.stop = True
            member.signal.release()
        self._alarm.release()

    def nudge(self) -> None:
        """Wake the thread that watches: under `wsgix serve` it is the one that runs signal handlers."""
        self._alarm.release()

    def _wake_watchdog(self) -> None:
        """See that somebody watches a call that has just begun; on the thread that runs the application."""
        if not self._watching:
            self._watching = True
            self._alarm.release()

    # On the thread that watches

    def watch(self) -> None:
        """Watch the leader until `stop`: take the lead from it when it stays inside an application."""
        while not self._stopped:
            if self._is_idle and self._calls == self._calls_seen and not self._leader.claim:
                # The leader is not inside an application: sleep until the next call. A thread may have begun
                # one since, without seeing that nobody watches: look again.
                self._watching = False
                if self._calls == self._calls_seen and not self._leader.claim:
                    self._alarm.acquire(timeout=_CHECK_SECONDS if self._has_deadlines else None)
                self._watching = True
            else:
                self._alarm.acquire(timeout=WATCH_SECONDS)
            try:
                self._look()
            except Exception:  # without this thread, the first call that hangs would be the last one
                log.exception("the server's watchdog failed")

    def _look(self) -> None:
        """Do what is due for calls that go on."""
        calls = self._calls
        # To sleep at once, where the leader is between two calls, would have it wake this thread for each.
        self._is_idle = calls == self._calls_seen
        self._calls_seen = calls
        if self.call_timeout is not None:
            self.call_timeout.check()
        if self._is_idle and self._leader.claim:
            self._take_lead()

    @property
    def _has_deadlines(self) -> bool:
        """Whether a call is going on that may take too long, on the leader or on another thread."""
        return self.call_timeout is not None and self.call_timeout.is_busy

    def _take_lead(self) -> None:
        """Give the lead to a spare while the leader is inside an application."""
        spare = self._spare()
        if spare is None:
            return
        # All under the lock that `_finish` takes too: who finds its claim gone must find a new leader.
        with self._lock:
            try:
                connection = self._leader.claim.pop()
            except IndexError:  # it has just come back
                self._dismiss(spare)
                return
            self._room.let_go(connection)
            if self._calls == self._overdue_call:
                self._written_off.add(self._leader.ident)
            else:
                self._running += 1
            self._leader = spare
        self.note_duration(_MOST_SECONDS, 1)
        spare.signal.release()

    def join(self, seconds: float) -> None:
        """Wait for the threads to end, at most *seconds* in all."""
        deadline = time.monotonic() + seconds
        for thread in self._started:
            thread.join(max(0.0, deadline - time.monotonic()))

    # In a child that the application has forked

    def leave(self) -> None:
        """Have nobody lead any more; the thread that has forked ends once it comes back."""
        self._lock = threading.Lock()  # another thread may have held the old one, and is not there any more
        if self.call_timeout is not None:
            self.call_timeout.leave()
        self._stopped = True
        self._waiting.clear()
        self._leader.claim.clear()
        self._leader = Member()


def _not_responded(connection: Connection) -> Outcome:
    """Log what not even the answer to a failure could be given for; in an `except` clause."""
    log.exception("the response to %s failed", connection.name)
    return ABORT
