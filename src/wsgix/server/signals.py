"""The signal handlers of a process that serves: there as long as it does, and not in the children it forks.

`embedded` decides which they are. All runs on the main thread, which Python allows nobody else to do.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any, Final, TypeAlias

Handler: TypeAlias = Callable[[int, FrameType | None], Any]

_replaced: Final[list[Mapping[int, Any]]] = []
"""What was there before each server that now runs: one, or none."""

_is_told_of_children: Final[list[bool]] = []


@contextlib.contextmanager
def handling(handlers: Mapping[int, Handler]) -> Iterator[None]:
    """Have *handlers* called for their signals within the block, and those before them afterwards."""
    if not handlers:
        yield
        return
    before = {number: signal.getsignal(number) for number in handlers}
    _see_to_children()
    # First noted, then replaced, and at the end the other way round: another thread may fork in between.
    _replaced.append(before)
    try:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        yield
    finally:
        _restore(before)
        if before in _replaced:  # not in a child that a signal handler has forked
            _replaced.remove(before)


def _restore(before: Mapping[int, Any]) -> None:
    for number, handler in before.items():
        # None is a handler that is not Python's: only whoever has set it could set it again.
        signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _see_to_children() -> None:
    """Have `_leave_to_child` called in all children; once a process, as nothing can take it back."""
    if not _is_told_of_children and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_leave_to_child)
        _is_told_of_children.append(True)


def _leave_to_child() -> None:
    """Give a child that was just forked the handlers that the program had before it served.

    A child that an application forks has a copy of the server, but none of its threads: it could not be ended
    by SIGTERM. What its signals write into the descriptor for them would wake the parent's server.
    """
    if _replaced:
        signal.set_wakeup_fd(-1)
    while _replaced:
        _restore(_replaced.pop())
