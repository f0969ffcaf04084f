"""Applications that run too long: answered for, shown in the log, interrupted, and no longer waited for.

Only with `--request-timeout`; otherwise no call is registered and nothing here runs.
"""

import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from wsgix.server.error_log import stack_text
from wsgix.server.responder import Responder
from wsgix.server.sure_log import log


class RequestTimeout(Exception):
    """Raised inside an application that has run for longer than the request timeout."""


class Call(NamedTuple):
    """One call of an application."""

    responder: Responder
    deadline: float
    note: Callable[[], object]


class CallTimeout:
    """The calls that are going on, and the time each may take.

    Args:
        seconds: how long a call may take.
        write_off: called with the ident of a thread that is no longer waited for.
        wake: called after a call has begun; sees that a thread calls `check` now and then while `is_busy`.
    """

    def __init__(
        self, seconds: float, write_off: Callable[[int], object], wake: Callable[[], object]
    ) -> None:
        import ctypes  # noqa: F401  # later there may be no descriptor left to read it with

        self._seconds = seconds
        self._wake = wake
        self._write_off = write_off
        self._calls: dict[int, Call] = {}
        self._lock = threading.Lock()

    # On the thread that runs the application

    def begin(self, responder: Responder, note: Callable[[], object]) -> None:
        """Know that this thread calls an application; *note* notes the response, if it is answered for."""
        self._calls[threading.get_ident()] = Call(responder, time.monotonic() + self._seconds, note)
        # Only now: who watches looks at the calls before going to sleep, and then sees this one, or is woken.
        self._wake()

    def end(self) -> None:
        """Note that the call is over.

        Raises:
            RequestTimeout: it was sent to this thread and arrives only now; to be called again then.
        """
        ident = threading.get_ident()
        with self._lock:
            self._calls.pop(ident, None)
            # An exception that was sent to this thread, and has not arrived, would hit what comes next.
            _interrupt(ident, None)

    def leave_out(self, wait: Callable[[], Any]) -> Any:
        """Call *wait*, which waits for the client with deadlines of its own; its time is not counted."""
        ident = threading.get_ident()
        begin = time.monotonic()
        with self._lock:
            call = self._calls.pop(ident, None)
        try:
            return wait()
        finally:
            if call is not None:  # else its time is over already
                waited = time.monotonic() - begin
                self._calls[ident] = call._replace(deadline=call.deadline + waited)
                self._wake()  # as in `begin`

    # On the thread that watches

    @property
    def is_busy(self) -> bool:
        """Whether a call is going on."""
        return bool(self._calls)

    def check(self) -> None:
        """Put an end to the calls whose time is over."""
        now = time.monotonic()
        for ident, call in [*self._calls.items()]:
            if call.deadline <= now:
                self._give_up(ident, call)

    def _give_up(self, ident: int, call: Call) -> None:
        with self._lock:
            if self._calls.get(ident) is not call:
                return  # it has just ended
            del self._calls[ident]
            # Before the thread can come back, which would count it out itself: `end` waits for the lock.
            self._write_off(ident)
            frame = sys._current_frames().get(ident)
            stack = stack_text(frame) if frame is not None else ""
            call.responder.time_out(partial(_interrupt, ident, RequestTimeout))
        if call.responder.is_answered_for:
            call.note()
        log.error(
            "the application ran for more than %g seconds: %s\n%s", self._seconds, call.responder.name, stack
        )

    # In a child that the application has forked

    def leave(self) -> None:
        """Look after no call any more: nobody watches."""
        self._lock = threading.Lock()  # as in `Scheduler.leave`
        self._calls.clear()


def _interrupt(ident: int, error: type[BaseException] | None) -> None:
    """Have *error* raised in a thread once it runs Python code; None takes back one that was not yet."""
    import ctypes  # it is large, and only this needs it

    set_exception = getattr(getattr(ctypes, "pythonapi", None), "PyThreadState_SetAsyncExc", None)
    if set_exception is not None:  # CPython only
        set_exception(ctypes.c_ulong(ident), ctypes.py_object(error) if error is not None else None)
