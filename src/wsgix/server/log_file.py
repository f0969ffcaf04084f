"""Where log lines go: a file, or a stream of the process. It raises nothing and waits for nobody.

What cannot be written is lost; a warning says so once a minute, and at the end for what was still kept. One
thread at a time may `write`; any may `reopen`, also in a signal handler.
"""

import contextlib
import os
import select
import socket
import stat
import time
from collections.abc import Callable
from typing import Any, Final

from wsgix.server.sure_log import log

KEPT_BYTES: Final = 1 << 18
"""What is kept for a reader that is slow; then lines are lost."""
WARNING_SECONDS: Final = 60.0
"""Between two warnings about one log."""
CLOSE_SECONDS: Final = 1.0
"""How long `drain` waits for a reader that is slow."""

_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
_MODE: Final = 0o640
"""Of a new file: its lines tell who did what."""


class LogFile:
    """An open log.

    Args:
        name: what warnings call it, as in "the access log"; "" for no warnings.
        fd: the descriptor to write to, which `close` closes; -1 if *send* needs none.
        send: writes bytes to the descriptor, as `os.write` does.
        largest: bytes to give to *send* at once, as far as there is a line end among them.
        path: the file to `reopen`, None for a stream.
    """

    def __init__(
        self,
        name: str,
        fd: int,
        send: Callable[[int, bytes], int] = os.write,
        largest: int = KEPT_BYTES,
        path: str | None = None,
    ) -> None:
        self._name = name
        self._fd = fd
        self._send = send
        self._largest = largest
        self._path = path
        self._kept = b""
        self._inside_line = False
        self._lost = 0
        self._next_warning = 0.0

    def write(self, data: bytes) -> None:
        """Write what was kept, then *data*: whole lines with their ends, or nothing."""
        rest = self._kept + data
        if self._inside_line and not self._kept:
            # The end of the last line was lost: it must not swallow this one.
            rest = b"\n" + rest
        try:
            while rest:
                sent = self._send(self._fd, rest if len(rest) <= self._largest else self._first_lines(rest))
                if sent:
                    self._inside_line = rest[sent - 1] != ord("\n")
                rest = rest[sent:]
        except BlockingIOError as error:
            if len(rest) > KEPT_BYTES:
                end = rest.rfind(b"\n", 0, KEPT_BYTES) + 1
                self._lose(rest[end:], error)
                rest = rest[:end]
        except (OSError, ValueError) as error:  # ValueError: the stream is closed
            self._lose(rest, error)
            rest = b""
        self._kept = rest

    def _first_lines(self, data: bytes) -> bytes:
        """Return the lines of *data* that fit into one call; a line that does not fit, alone."""
        end = data.rfind(b"\n", 0, self._largest) + 1
        return data[: end or data.find(b"\n") + 1]

    def _lose(self, data: bytes, error: Exception) -> None:
        self._lost += _count_lines(data)
        now = time.monotonic()
        if now >= self._next_warning:
            self._next_warning = now + WARNING_SECONDS
            self._warn(getattr(error, "strerror", None) or error)

    def _warn(self, reason: object) -> None:
        if self._name:
            log.warning("%s cannot be written: %s; lines lost so far: %d", self._name, reason, self._lost)

    @property
    def is_behind(self) -> bool:
        """Whether something is kept for a reader that is slow."""
        return bool(self._kept)

    def reopen(self) -> None:
        """Go on in a new file if the path names one, after log rotation; a stream goes on as it is.

        No line is lost or torn: a write that has begun ends in the old file, and all later ones go to
        the new one. If the file cannot be opened, the old one stays.
        """
        if self._path is None or self._fd < 0:
            return
        try:
            fd = _open(self._path)
        except OSError as error:
            log.error("%s cannot be reopened: %s: %s", self._name, self._path, error.strerror)
            return
        if not os.fstat(fd).st_size:
            self._inside_line = False  # a line that was cut is in the old file
        # One step: no writer ever sees the descriptor closed.
        os.dup2(fd, self._fd, inheritable=False)
        os.close(fd)

    def drain(self) -> None:
        """Write what was kept if its reader is back within a second."""
        deadline = time.monotonic() + CLOSE_SECONDS
        while self._kept and self._fd >= 0:
            if not self.wait_for_reader(max(0.0, deadline - time.monotonic())):
                break
            self.write(b"")

    def wait_for_reader(self, seconds: float) -> bool:
        """Wait until the descriptor takes something, or fails; False if that lasts longer. On any thread."""
        if self._fd < 0:  # nobody can say when
            time.sleep(seconds)
            return False
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(seconds * 1000))

    def close(self) -> None:
        """Drain the log, lose what nobody reads, and close the descriptor."""
        self.drain()
        kept, self._kept = self._kept, b""
        if kept:
            self._lost += _count_lines(kept)
            # At once, however long ago the last warning was: there will be no other.
            self._warn("its reader stands still")
        fd, self._fd = self._fd, -1
        self._send = _send_nowhere
        if fd >= 0:
            os.close(fd)


def _count_lines(rest: bytes) -> int:
    """Return how many lines are lost with *rest*; a line end that it begins with is not one of them."""
    return rest.count(b"\n") - rest.startswith(b"\n")


def open_file(name: str, path: str) -> LogFile:
    """Open the file *path* to append to it.

    Raises:
        OSError: it cannot be opened.
    """
    return LogFile(name, _open(path), path=path)


def _open(path: str) -> int:
    return os.open(path, _FLAGS | os.O_CREAT, _MODE)


def open_stream(name: str, stream: Any) -> LogFile:
    """Return a log on *stream*: `sys.stdout` or `sys.stderr`, None if the process has none.

    The file below the stream is written to directly, so that nothing waits in a buffer and a reader that
    sleeps stops nobody.
    """
    if stream is None:
        return LogFile(name, -1, _send_nowhere)
    try:
        fd = stream.fileno()
        mode = os.fstat(fd).st_mode
    except (OSError, ValueError, AttributeError):  # a stream of the program's own, or a closed one

        def send(_fd: int, data: bytes) -> int:
            stream.write(data.decode("utf-8"))
            stream.flush()
            return len(data)

        return LogFile(name, -1, send)
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        # O_NONBLOCK on the stream itself would be on for all who share it, the user's shell too. Opened
        # anew, a pipe or a terminal is non-blocking for us alone. A pipe takes PIPE_BUF bytes whole or not
        # at all, so that other writers cut no line.
        with contextlib.suppress(OSError):
            return LogFile(name, os.open(f"/proc/self/fd/{fd}", _FLAGS), largest=select.PIPE_BUF)
    if stat.S_ISSOCK(mode):
        return LogFile(name, os.dup(fd), _send_to_socket)
    return LogFile(name, os.dup(fd))


def _send_to_socket(fd: int, data: bytes) -> int:
    borrowed = socket.socket(fileno=fd)
    try:
        return borrowed.send(data, socket.MSG_DONTWAIT)
    finally:
        borrowed.detach()


def _send_nowhere(_fd: int, _data: bytes) -> int:
    raise ValueError("it is closed")
