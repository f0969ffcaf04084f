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
    # Python has None there: to print and to read would fail, in the application as in a command.
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(fd, mode, encoding="utf-8", closefd=False))
