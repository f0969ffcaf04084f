"""The standard streams of a command, which whoever started it may have closed.

It imports nothing of the package, so that every command can have it at no cost.
"""

import os
import sys


def ensure_standard_streams() -> None:
    """Put the null device where a standard stream is closed: else the next socket would take its number."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)
    # Python has None there: what the application prints, and what a command has to say, would fail.
    for fd, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(fd, "w", encoding="utf-8", closefd=False))
