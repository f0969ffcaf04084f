"""A connection's socket in the hands of the application, for protocols that begin with an Upgrade.

Over TLS `lent_tls.LentTLSSocket` stands in its place. Threads of the application call it, and wait for the
client here.
"""

import errno
import os
import socket
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

_USES: Final = (
    *("recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into"),
    *("send", "sendall", "sendto", "sendmsg", "sendfile", "shutdown"),
    "detach",
)
"""The methods that talk to the client, or let others do it. `makefile` calls some of them."""


class LentSocket(socket.socket):
    """A connection's socket once more, on a descriptor of its own.

    Once it has been read from or written to, the connection is the application's, and the server sends
    nothing more. What is done with the number from `fileno` alone goes unnoticed.

    To the application it is a blocking socket from the beginning. But duplicates share that property of a
    descriptor, and nearly all requests with an Upgrade field, which any client may send, are answered by the
    server, who must not wait. So the descriptor itself is blocking only from the first use on.

    Args:
        connected: the connection's socket.
        hand_over: called with this socket before its first use.

    Attributes:
        used: whether there was one.

    Raises:
        OSError: there is no descriptor left.
    """

    def __init__(self, connected: socket.SocketType, hand_over: Callable[["LentSocket"], object]) -> None:
        super().__init__(
            connected.family, connected.type, connected.proto, fileno=socket.dup(connected.fileno())
        )
        self.used = False
        self._hand_over = hand_over
        self._is_blocking = True

    def _use(self) -> None:
        """Note that the application talks to the client; the time-out that it wishes counts from here on."""
        if not self.used:
            if self.fileno() < 0:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            # First, so that the server sends nothing on what has become blocking.
            self._hand_over(self)
            if self._is_blocking:
                super().setblocking(True)
            # Last: another thread that finds it set goes on at once.
            self.used = True

    def end(self) -> None:
        """Close it for the application, too; on the thread that leads, or on the application's."""
        # `close` waits for the files that `makefile` has made, and they may outlive the request: what they
        # read would be the next one's.
        socket.SocketType.close(self)

    def dup(self) -> socket.socket:  # type: ignore[override]  # typeshed has Self
        """Return another socket for the same connection: a plain one, which is a use of this one."""
        self._use()
        duplicate = socket.socket(self.family, self.type, self.proto, fileno=socket.dup(self.fileno()))
        duplicate.settimeout(self.gettimeout())
        return duplicate

    def setblocking(self, flag: bool) -> None:
        """Wait for the client, or not."""
        self.settimeout(None if flag else 0.0)

    def settimeout(self, value: float | None) -> None:
        """Wait *value* seconds for the client, None for ever."""
        # With a time-out the descriptor is non-blocking, as it is already.
        if self.used or value is not None:
            super().settimeout(value)
        self._is_blocking = value is None

    def gettimeout(self) -> float | None:
        """Return how long is waited."""
        return None if self._is_blocking else super().gettimeout()

    def getblocking(self) -> bool:
        """Tell whether anything is waited for."""
        return self.gettimeout() != 0

    @property
    def timeout(self) -> float | None:
        """How long is waited."""
        return self.gettimeout()


def _noted(name: str) -> Any:
    """Return the method *name* of a socket, as a use."""
    method = getattr(socket.socket, name)

    @wraps(method)
    def use(lent: LentSocket, *arguments: Any, **named: Any) -> Any:
        lent._use()
        return method(lent, *arguments, **named)

    return use


for _name in _USES:
    if hasattr(socket.socket, _name):  # some systems lack some
        setattr(LentSocket, _name, _noted(_name))
