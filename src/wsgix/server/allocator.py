"""What the C library does with the memory of large blocks, as far as it lets itself be told.

Objects of Python take little from it, but what is received and sent comes from there. glibc only: elsewhere
nothing of this has an effect.
"""

import os
import sys
from typing import Final

_M_ARENA_MAX: Final = -8
"""Of malloc.h."""
_USERS_WORD: Final = ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")
"""Environment variables by which a user decides about arenas."""


def keep_blocks(size: int) -> None:
    """Have memory of blocks below *size* bytes kept, instead of asking the system for it each time.

    glibc maps large blocks one by one, and the kernel clears each of their pages anew: for 64 KiB that takes
    longer than receiving them. It maps only those that are larger than any mapped one that was freed
    (mallopt(3), M_MMAP_THRESHOLD): one of this size is freed here. No page of it is ever touched.
    """
    bytearray(size)


def share_one_arena() -> None:
    """Have all threads take memory from the same arena; for a process of our own, before threads start.

    Otherwise each thread that has once led keeps what its arena has grown to: with many large uploads, 64 MiB
    each. Who allocates holds the GIL nearly always, so that nobody waits for the one arena.
    """
    has_gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    if not has_gil or not sys.platform.startswith("linux") or any(name in os.environ for name in _USERS_WORD):
        return
    try:
        import ctypes

        mallopt = ctypes.CDLL(None).mallopt
    except (ImportError, OSError, AttributeError):
        return
    mallopt(_M_ARENA_MAX, 1)
