"""A TLS connection in the hands of the application, for protocols that begin with an Upgrade.

It is to `tls.TLSSocket` what `lent.LentSocket` is to a socket. Threads of the application call it, and
wait for the client here.
"""

import errno
import os
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from wsgix.server.poller import wait_readable, wait_writable
from wsgix.server.tls import TLSSocket

_WAIT: Final = 3600.0
"""Seconds of one wait among many, where there is no time-out."""

_Given = TypeVar("_Given")
_Result = TypeVar("_Result")


class LentTLSSocket:
    """A blocking socket over TLS, as far as WebSocket libraries use one.

    Once it has been read from or written to, the connection is the application's, and the server sends
    nothing more.

    Args:
        tls: the connection's socket.
        hand_over: called with this one before it is read from or written to.

    Attributes:
        used: whether that is so.

    Raises, from every method that talks to the client:
        OSError: the client is gone, or this was closed.
        TimeoutError: it took longer than `settimeout` allows.
    """

    def __init__(self, tls: TLSSocket, hand_over: Callable[["LentTLSSocket"], object]) -> None:
        self.used = False
        self._tls = tls
        self._hand_over = hand_over
        self._is_open = True
        self._timeout: float | None = None
        # What could not be sent at once is to be sent before anything else.
        self._sending = threading.Lock()

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive at most *size* bytes, b"" at the end; *flags* are without effect, here and below."""
        return self._repeat(self._tls.recv, size, wait_readable)

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        """Receive into *buffer*; return how many bytes."""
        view = memoryview(buffer).cast("B")
        data = self.recv(size or len(view))
        view[: len(data)] = data
        return len(data)

    def send(self, data: bytes, flags: int = 0) -> int:
        """Send all of *data*; return its size."""
        self.sendall(data)
        return len(data)

    def sendall(self, data: bytes, flags: int = 0) -> None:
        """Send all of *data*."""
        rest = memoryview(data).cast("B")
        with self._sending:
            while rest:
                rest = rest[self._repeat(self._tls.send, rest, wait_writable) :]

    def _repeat(
        self, act: Callable[[_Given], _Result], given: _Given, wait: Callable[[int, float], bool]
    ) -> _Result:
        """Do *act* as soon as it can be done."""
        self._use()
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        while True:
            self._check_open()
            fd = self._tls.fileno()
            try:
                return act(given)
            except BlockingIOError:
                if self._timeout == 0:
                    raise
            left = _WAIT if deadline is None else deadline - time.monotonic()
            # If the connection is closed meanwhile, the next turn says so.
            if not wait(fd, left) and deadline is not None:
                raise TimeoutError("timed out")

    def _use(self) -> None:
        """Note that the application talks to the client."""
        if not self.used:
            self._check_open()
            self._hand_over(self)
            self.used = True

    def _check_open(self) -> None:
        if not self._is_open:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def shutdown(self, how: int) -> None:
        """End one side, or both, as `TLSSocket.shutdown` does."""
        self._use()
        self._tls.shutdown(how)

    def close(self) -> None:
        """Be done with it; the connection itself is the server's to close."""
        self._is_open = False

    end = close

    def fileno(self) -> int:
        """Return the descriptor to poll, -1 once closed. Content may be there though nothing is readable."""
        return self._tls.fileno() if self._is_open else -1

    def setblocking(self, flag: bool) -> None:
        """Wait for the client, or not."""
        self._timeout = None if flag else 0.0

    def settimeout(self, seconds: float | None) -> None:
        """Wait so long for the client, None for ever."""
        self._timeout = seconds

    def gettimeout(self) -> float | None:
        """Return how long is waited."""
        return self._timeout

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        """Set an option of the socket below."""
        self._tls.setsockopt(level, option, value)

    def getpeername(self) -> Any:
        """Return the client's address."""
        return self._tls.raw.getpeername()

    def getsockname(self) -> Any:
        """Return the own address."""
        return self._tls.raw.getsockname()
