"""What a server has and a child that its application forks must not have: descriptors, and the lead.

A child has a copy of every descriptor. While it lives, what the server closes is not closed: clients do not
see where a response ends, and the addresses stay in use when the server has ended. Programs that are started
anew, as by `subprocess`, get no descriptors.
"""

import contextlib
import os
from collections.abc import Callable
from typing import Final

_leavers: Final[list[Callable[[], object]]] = []

_is_told_of_children: Final[list[bool]] = []


def leave_in_children(leave: Callable[[], object]) -> None:
    """Have *leave* called in each child that is forked from now on, until `forget`; on any thread."""
    # Once a process, as nothing can take it back.
    if not _is_told_of_children and hasattr(os, "register_at_fork"):
        _is_told_of_children.append(True)
        os.register_at_fork(after_in_child=_leave)
    _leavers.append(leave)


def forget(leave: Callable[[], object]) -> None:
    """Call *leave* no more; on any thread."""
    with contextlib.suppress(ValueError):  # it was called already: this is a child
        _leavers.remove(leave)


def _leave() -> None:
    while _leavers:
        with contextlib.suppress(OSError):
            _leavers.pop()()
