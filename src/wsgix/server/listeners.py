"""Listening sockets: opened or taken over, described to the application, closed.

It runs before and after the worker. An address that cannot be had is a `ConfigurationError`; nothing is left
open then.
"""

import contextlib
import errno
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any, Final, NamedTuple

from wsgix.server.children import forget, leave_in_children
from wsgix.server.settings import ConfigurationError, SocketOptions
from wsgix.server.values import ABSTRACT_PREFIX, FD_PREFIX, UNIX_PREFIX, Address

_PROBE_SECONDS: Final = 1.0

_PORT_ATTEMPTS: Final = 16
"""How often a free port is asked for that is free on every address of a host."""

_TCP_FAULTS: Final = {
    errno.EADDRINUSE: "the address is in use; stop the other server or choose another port",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "permission denied; ports below 1024 need privileges",
}
_UNIX_FAULTS: Final = {
    errno.EADDRINUSE: "the address is in use: a server listens there, or it is no socket; take another path",
    errno.ENOENT: "its directory does not exist; create it",
    errno.EACCES: "permission denied; the directory must be writable",
}
_CANNOT_CHANGE_OWNER: Final = "its owner cannot be changed without privileges; choose another unix_owner"
_CANNOT_REMOVE: Final = "another user has left a socket there; have it removed, or take another path"
_CANNOT_ASK: Final = "a socket is there that this user may not connect to; take another path"
_FD_FAULTS: Final = {
    errno.EBADF: "no descriptor of that number is open; whoever starts the server must pass it on",
    errno.ENOTSOCK: "the descriptor is no socket",
}

_FAMILIES: Final = frozenset({socket.AF_INET, socket.AF_INET6, getattr(socket, "AF_UNIX", socket.AF_INET)})
"""Of the sockets that can be taken over."""

_ABSENT: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})
"""This machine does not have the address, or not its whole family."""

_making_file: Final = threading.Lock()
"""The file mode mask is the process's."""

_LOCK_SECONDS: Final = 2 * _PROBE_SECONDS
"""How long a directory is waited for: another server that starts holds it for a probe at most."""
_LOCK_RETRY_SECONDS: Final = 0.005

_WILDCARDS: Final = frozenset({"0.0.0.0", "::"})

_FIRST_INHERITED: Final = 3
"""SD_LISTEN_FDS_START of sd_listen_fds(3)."""
_INHERITED_VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


class Listener:
    """One listening socket.

    Attributes:
        socket: listening and non-blocking.
        scheme: "http" or "https", the wsgi.url_scheme of its requests.
        url: where a client reaches it; unix:PATH or unix:@NAME for a Unix socket.
        server_name: the SERVER_NAME of its requests, never empty (PEP 3333, "environ Variables").
        server_port: their SERVER_PORT.
        is_unix: whether it is a Unix socket, whose clients have no address.
        is_delaying: whether what it accepts may hold small packets back until `set_no_delay`.
    """

    __slots__ = (
        "_accept",
        "_file",
        "_kind",
        "_path",
        "_process",
        "is_delaying",
        "is_unix",
        "scheme",
        "server_name",
        "server_port",
        "socket",
        "url",
    )

    def __init__(self, listening: socket.socket, address: Address, scheme: str) -> None:
        self.socket = listening
        self.scheme = scheme
        # The file of a socket that was passed on belongs to whoever made it.
        self._path = None if address.path is None or _is_abstract(address) else os.path.abspath(address.path)
        self._file = _file_at(self._path)
        self._process = os.getpid()
        name = listening.getsockname()
        self.is_unix = not isinstance(name, tuple)
        self.is_delaying = not self.is_unix
        self._kind = int(listening.family), int(listening.type), listening.proto
        # What `socket.accept` stands on gives the bare descriptor; elsewhere, `accept` will do.
        self._accept: Callable[[], tuple[int, Any]] | None = getattr(listening, "_accept", None)
        if self.is_unix:
            self.server_name, self.server_port = "localhost", "443" if scheme == "https" else "80"
            self.url = UNIX_PREFIX + _unix_name(name)
        else:
            host, port = address.host or name[0], name[1]
            # The host may spell it otherwise, as in 0:8000 or [::0]:8000.
            everywhere = name[0] in _WILDCARDS
            self.server_name = (socket.gethostname() if everywhere else _as_server_name(host)) or "localhost"
            self.server_port = str(port)
            self.url = f"{scheme}://{Address(_loopback(listening) if everywhere else host, port)}"
            with contextlib.suppress(OSError):
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        leave_in_children(listening.close)

    def accept(self) -> tuple[socket.SocketType, Any]:
        """Return the next connection, and its address as `socket.accept` gives it.

        Raises:
            OSError: there is none (BlockingIOError), or it cannot be had.
        """
        if self._accept is None:
            return self.socket.accept()
        fd, client = self._accept()
        # `socket.accept` looks up the names of family and type first, which takes longer than all of this.
        # `socket.socket` counts the files made of it, in Python; its base, which is in C, will do.
        return socket.SocketType(*self._kind, fd), client

    def set_no_delay(self, accepted: socket.SocketType) -> None:
        """Let small packets leave at once; on Linux, accepted sockets inherit that, and only one is asked."""
        with contextlib.suppress(OSError):  # some systems fail if the client is gone already
            if accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY):
                self.is_delaying = False
            else:
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Stop listening; the file of a Unix socket goes too, if this process made it."""
        path, self._path = self._path, None
        # Another server may have put its own socket there since. That is asked before the socket is closed:
        # until then, no other file gets its inode.
        if path is not None and self._process == os.getpid() and _file_at(path) == self._file:
            with contextlib.suppress(OSError):
                os.unlink(path)
        forget(self.socket.close)
        self.socket.close()


def open_listeners(
    addresses: Iterable[Address],
    options: SocketOptions = SocketOptions(),  # noqa: B008 (immutable)
) -> list[Listener]:
    """Listen on all *addresses*; a host with several of them gives several listeners, with one URL.

    Raises:
        ConfigurationError: one of them cannot be had; the others are closed again.
    """
    listeners: list[Listener] = []
    given: set[Address] = set()
    try:
        for address in addresses:
            # Port 0 is another one each time; else the address would seem to be another server's.
            if address in given and not address.is_any_port:
                raise _cannot(address, "it is given twice; give it once")
            given.add(address)
            listeners += [
                Listener(listening, address, options.scheme) for listening in _listen(address, options)
            ]
    except BaseException:
        close_listeners(listeners)
        raise
    return listeners


def close_listeners(listeners: Iterable[Listener]) -> None:
    """Close all of them."""
    for listener in listeners:
        listener.close()


def inherited_addresses(environ: MutableMapping[str, str]) -> list[str]:
    """Return the sockets that systemd passes to this process as addresses to bind to; often there are none.

    Programs that the application starts get neither the sockets nor the variables, which are removed from
    *environ*. See sd_listen_fds(3).

    Raises:
        ConfigurationError: the variables promise what is not there.
    """
    pid, count, *_ = [environ.pop(name, "") for name in _INHERITED_VARIABLES]
    if pid != str(os.getpid()) or count in ("", "0"):
        return []
    if not (count.isascii() and count.isdigit() and len(count) < 5):
        raise ConfigurationError(f"LISTEN_FDS is {count!r}, but must be the number of sockets passed on")
    descriptors = range(_FIRST_INHERITED, _FIRST_INHERITED + int(count))
    for fd in descriptors:
        try:
            os.set_inheritable(fd, False)
        except OSError:
            raise ConfigurationError(
                f"LISTEN_FDS is {count}, but descriptor {fd} is not open; start the server without a "
                "program between it and systemd that closes descriptors"
            ) from None
    return [f"{FD_PREFIX}{fd}" for fd in descriptors]


# To open and to take over


def _listen(address: Address, options: SocketOptions) -> list[socket.socket]:
    """Open what belongs to one address."""
    try:
        if address.fd is not None:
            return [_adopt(address, address.fd)]
        if address.path is not None:
            return [_listen_unix(address, address.path, options)]
        return _listen_tcp(address, options)
    except (OSError, UnicodeError) as error:  # UnicodeError: a host that cannot be a name in the DNS
        faults = _TCP_FAULTS
        if address.fd is not None:
            faults = _FD_FAULTS
        elif address.path is not None:
            faults = _UNIX_FAULTS
        number = getattr(error, "errno", None) or 0
        fault = faults.get(number) or getattr(error, "strerror", None) or str(error)
        raise _cannot(address, fault) from None


def _cannot(address: Address, fault: str) -> ConfigurationError:
    return ConfigurationError(f"cannot listen on {address}: {fault}")


def _start(listening: socket.socket, backlog: int) -> None:
    listening.listen(backlog)
    listening.setblocking(False)


class _Place(NamedTuple):
    """What a TCP socket is bound to; `name` as `bind` takes it, with the port at its index 1."""

    family: int
    name: tuple[Any, ...]
    dual_stack: bool = False


def _listen_tcp(address: Address, options: SocketOptions) -> list[socket.socket]:
    places = _places(address)
    attempts = _PORT_ATTEMPTS
    while True:
        try:
            return _bind_all(places, options)
        except OSError as error:
            attempts -= 1
            # The port that was free on the first address of the host may be taken on another.
            is_chance = error.errno == errno.EADDRINUSE and not address.port and len(places) > 1
            if not (is_chance and attempts):
                raise


def _places(address: Address) -> list[_Place]:
    """Find what the host stands for."""
    # Without a host: all addresses, of IPv4 too where the system maps them.
    if not address.host and socket.has_dualstack_ipv6():
        return [_Place(socket.AF_INET6, ("::", address.port), dual_stack=True)]
    found = socket.getaddrinfo(
        address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return [*dict.fromkeys(_Place(family, name) for family, _, _, _, name in found)]


def _bind_all(places: list[_Place], options: SocketOptions) -> list[socket.socket]:
    """Bind to every one of *places*, at the same port, but not to those that this machine lacks."""
    opened: list[socket.socket] = []
    lacking: OSError | None = None
    try:
        for place in places:
            port = opened[0].getsockname()[1] if opened else place.name[1]
            try:
                opened.append(_bind(place, port, options))
            except OSError as error:
                # A name such as "localhost" has an IPv6 address also where IPv6 is switched off.
                if error.errno not in _ABSENT:
                    raise
                lacking = error
    except BaseException:
        for listening in opened:
            listening.close()
        raise
    if not opened and lacking is not None:
        raise lacking
    return opened


def _bind(place: _Place, port: int, options: SocketOptions) -> socket.socket:
    listening = socket.socket(place.family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            # Connections of a server that was stopped linger; a server that runs keeps its address.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if options.reuse_port:
            if not hasattr(socket, "SO_REUSEPORT"):
                raise ConfigurationError(
                    "reuse_port is on, but this system has no SO_REUSEPORT; leave it off"
                )
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if place.family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if place.dual_stack else 1)
        listening.bind((place.name[0], port, *place.name[2:]))
        _start(listening, options.backlog)
    except BaseException:
        listening.close()
        raise
    return listening


def _as_server_name(host: str) -> str:
    """Put an IPv6 address into brackets, without its zone, which has a meaning on this machine only.

    server-name = hostname | ipv4-address | ( "[" ipv6-address "]" ) (RFC 3875, 4.1.14); applications put it
    into URLs as it stands (PEP 3333, "URL Reconstruction").
    """
    return f"[{host.partition('%')[0]}]" if ":" in host else host


def _loopback(listening: socket.socket) -> str:
    """Return where this machine reaches a socket that is bound to all addresses."""
    if listening.family == socket.AF_INET6 and listening.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        return "::1"
    return "127.0.0.1"


def _listen_unix(address: Address, path: str, options: SocketOptions) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise _cannot(address, "this system has no Unix sockets; listen on HOST:PORT")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_abstract(address):
            _bind_abstract(listening, address, path)
            _start(listening, options.backlog)
        else:
            with _making_file, _locked(os.path.dirname(path) or os.curdir):
                _remove_stale(address, path)
                _bind_file(listening, address, path, options)
                _start(listening, options.backlog)
    except BaseException:
        listening.close()
        raise
    return listening


def _bind_abstract(listening: socket.socket, address: Address, path: str) -> None:
    try:
        listening.bind(b"\0" + os.fsencode(path[len(ABSTRACT_PREFIX) :]))
    except FileNotFoundError:  # the system takes it for a path
        raise _cannot(address, "this system has no abstract Unix sockets; give a path") from None


def _bind_file(listening: socket.socket, address: Address, path: str, options: SocketOptions) -> None:
    """Make the socket's file, with its mode and owner; nobody can connect before `listen`."""
    # The mode is made with the file: to change it afterwards might hit what somebody has put in its place.
    mask = os.umask(0o777 & ~options.unix_mode)
    try:
        listening.bind(path)
    finally:
        os.umask(mask)
    if options.unix_owner is not None:
        try:
            os.chown(path, *options.unix_owner, follow_symlinks=False)
        except OSError as error:
            os.unlink(path)
            if error.errno == errno.EPERM:
                raise _cannot(address, _CANNOT_CHANGE_OWNER) from None
            raise


@contextlib.contextmanager
def _locked(directory: str) -> Iterator[None]:
    """Keep other servers that start from the socket files of *directory* meanwhile.

    A socket that is bound, but does not listen yet, looks stale; and what was found stale may be another by
    the time it is removed. Where the lock cannot be had in time, that chance is taken: whoever may read the
    directory could hold it for ever.
    """
    import fcntl  # which systems without Unix sockets lack

    with contextlib.ExitStack() as at_end:
        with contextlib.suppress(OSError):  # it cannot be read, is not there, or its file system has no locks
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            at_end.callback(os.close, fd)
            deadline = time.monotonic() + _LOCK_SECONDS
            while time.monotonic() < deadline:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(_LOCK_RETRY_SECONDS)
                else:
                    # Closing is not enough: a process that was forked meanwhile has the descriptor too.
                    at_end.callback(fcntl.flock, fd, fcntl.LOCK_UN)
                    break
        yield


def _remove_stale(address: Address, path: str) -> None:
    """Remove the socket file of a server that is gone; anything else there stays, and `bind` fails."""
    found = _file_at(path)
    if found is None or not found.is_socket:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_SECONDS)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            # Another server that starts may have replaced it meanwhile.
            if _file_at(path) == found:
                _unlink_stale(address, path)
        except PermissionError:
            raise _cannot(address, _CANNOT_ASK) from None
        except OSError:  # a full backlog, say: somebody listens, and `bind` will say so
            return


def _unlink_stale(address: Address, path: str) -> None:
    try:
        os.unlink(path)
    except OSError as error:
        # "EPERM or EACCES: The directory containing pathname has the sticky bit (S_ISVTX) set, and the
        # process's effective UID is neither ..." (unlink(2)); /tmp is one, and Linux says EPERM then.
        if error.errno == errno.EPERM:
            raise _cannot(address, _CANNOT_REMOVE) from None
        raise


def _adopt(address: Address, fd: int) -> socket.socket:
    """Take a socket over that listens already; it is closed like the others."""
    listening = socket.socket(fileno=fd)
    if listening.type != socket.SOCK_STREAM or not listening.getsockopt(
        socket.SOL_SOCKET, socket.SO_ACCEPTCONN
    ):
        listening.detach()
        raise _cannot(address, "the socket does not listen for connections")
    if listening.family not in _FAMILIES:  # AF_VSOCK, say, which systemd passes on like the others
        listening.detach()
        raise _cannot(address, "the socket is neither one of TCP nor a Unix socket")
    listening.set_inheritable(False)
    listening.setblocking(False)
    return listening


# Unix sockets and their files


class _File(NamedTuple):
    """What tells one file from another."""

    device: int
    inode: int
    is_socket: bool


def _file_at(path: str | None) -> _File | None:
    """Look at the file at *path*, a symbolic link itself; None if there is none."""
    if path is None:
        return None
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return _File(status.st_dev, status.st_ino, stat.S_ISSOCK(status.st_mode))


def _is_abstract(address: Address) -> bool:
    return address.path is not None and address.path.startswith(ABSTRACT_PREFIX)


def _unix_name(name: str | bytes) -> str:
    """Spell the name of a bound Unix socket; an abstract one begins with a zero byte."""
    if isinstance(name, bytes):
        return ABSTRACT_PREFIX + os.fsdecode(name[1:])
    return name
