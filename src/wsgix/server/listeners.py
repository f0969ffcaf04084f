"""Listening sockets: opened, described to the application, closed. Runs before and after the worker.

An address that cannot be had is a `ConfigurationError`; nothing is left open then.
"""

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterable
from typing import Final

from wsgix.server.settings import UNIX_PREFIX, Address, ConfigurationError

_BACKLOG: Final = 2048

_PROBE_SECONDS: Final = 1.0

_FAULTS: Final = {
    errno.EADDRINUSE: "the address is in use; stop the other server or choose another port",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "permission denied; ports below 1024 need privileges",
}
_UNIX_FAULTS: Final = {
    errno.EADDRINUSE: "a server listens there, or it is no socket; stop it, or choose another path",
    errno.ENOENT: "its directory does not exist; create it",
    errno.EACCES: "permission denied; the directory must be writable",
}


class Listener:
    """One listening socket.

    Attributes:
        socket: listening and non-blocking.
        url: where a client reaches it.
        server_name: the SERVER_NAME of its requests, never empty (PEP 3333, "environ Variables").
        server_port: their SERVER_PORT.
        is_unix: whether it is a Unix socket, whose clients have no address.
    """

    __slots__ = ("_inode", "_path", "is_unix", "server_name", "server_port", "socket", "url")

    def __init__(self, listening: socket.socket, address: Address) -> None:
        self.socket = listening
        self._path = address.path
        self._inode = _inode(address.path)
        self.is_unix = address.path is not None
        if address.path is not None:
            self.server_name, self.server_port = "localhost", "80"
            self.url = UNIX_PREFIX + address.path
        else:
            port = listening.getsockname()[1]
            self.server_name = address.host or socket.gethostname()
            self.server_port = str(port)
            self.url = f"http://{Address(address.host or '127.0.0.1', port)}"

    def close(self) -> None:
        """Stop listening; a Unix socket's file goes too."""
        self.socket.close()
        # Another server may have put its own socket there since.
        if self._path is not None and _inode(self._path) == self._inode:
            with contextlib.suppress(OSError):
                os.unlink(self._path)


def _inode(path: str | None) -> tuple[int, int] | None:
    """Return what tells the file at *path* from another, None if there is none."""
    if path is None:
        return None
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def open_listeners(addresses: Iterable[Address]) -> list[Listener]:
    """Listen on all *addresses*.

    Raises:
        ConfigurationError: one of them cannot be had; the others are closed again.
    """
    listeners: list[Listener] = []
    try:
        for address in addresses:
            listeners.append(Listener(_listen(address), address))
    except OSError as error:
        close_listeners(listeners)
        faults = _FAULTS if address.path is None else _UNIX_FAULTS
        fault = faults.get(error.errno or 0, error.strerror or str(error))
        raise ConfigurationError(f"cannot listen on {address}: {fault}") from None
    return listeners


def close_listeners(listeners: Iterable[Listener]) -> None:
    """Close all of them."""
    for listener in listeners:
        listener.close()


def _listen(address: Address) -> socket.socket:
    if address.path is not None:
        return _listen_unix(address.path)
    # Without a host: all addresses, of IPv4 too where the system maps them.
    if not address.host and socket.has_dualstack_ipv6():
        family, where = socket.AF_INET6, ("::", address.port)
    else:
        found = socket.getaddrinfo(
            address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, where = found[0][0], found[0][4][:2]  # type: ignore[assignment]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1 if address.host else 0)
        listening.bind(where)
        _start(listening)
    except OSError:
        listening.close()
        raise
    return listening


def _listen_unix(path: str) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        listening.bind(path)
        _start(listening)
    except OSError:
        listening.close()
        raise
    return listening


def _start(listening: socket.socket) -> None:
    listening.listen(_BACKLOG)
    listening.setblocking(False)


def _remove_stale(path: str) -> None:
    """Remove the socket file of a server that is gone; anything else there stays, and `bind` fails."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_SECONDS)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except OSError:  # a full backlog, say: somebody listens, and `bind` will say so
            return
