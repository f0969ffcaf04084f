"""One value of a setting, from text or from Python to what the server holds. The table is `facts.settings`.

Whatever cannot be read is a ValueError, and `server.settings` tells the user. Nothing here opens a file or a
socket; only the current directory and the names of users and groups are looked up.
"""

import os
import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from wsgix.facts.settings import NONE, Kind, Setting

UNIX_PREFIX: Final = "unix:"
ABSTRACT_PREFIX: Final = "@"
FD_PREFIX: Final = "fd://"
ANY_UNIX_CLIENT: Final = "unix"
"""The member of a list of networks that stands for the clients of Unix sockets."""
_LARGEST_PORT: Final = 65535
_LARGEST_IDENTIFIER: Final = (1 << 32) - 2
"""Of a user or a group; the number above it means -1."""

_ON: Final = frozenset({"on", "true", "yes", "1"})
_OFF: Final = frozenset({"off", "false", "no", "0"})
_COUNT: Final = re.compile("[0-9]{1,18}")
_SIZE: Final = re.compile("([0-9]{1,18})([kKmMgG]?)")
_SECONDS: Final = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)(ms|s|m|h|)")
_SIZE_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_MILLISECONDS: Final = {"": 1000, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_OCTAL: Final = re.compile("(?:0o)?([0-7]{1,6})")


class Address(NamedTuple):
    """Where to listen: a host and a port, a Unix socket's path, or a descriptor that listens already.

    No host means all addresses; a path that begins with "@" is an abstract name.
    """

    host: str = ""
    port: int = 0
    path: str | None = None
    fd: int | None = None

    @property
    def is_any_port(self) -> bool:
        """Whether the system is to choose a free port."""
        return self.path is None and self.fd is None and not self.port

    def __str__(self) -> str:
        if self.path is not None:
            return UNIX_PREFIX + self.path
        if self.fd is not None:
            return f"{FD_PREFIX}{self.fd}"
        host = f"[{self.host}]" if ":" in self.host else self.host or "*"
        return f"{host}:{self.port}"


class Owner(NamedTuple):
    """Whom a file belongs to, as `os.chown` takes it: -1 leaves the user or the group as it is."""

    user: int
    group: int


def read_value(row: Setting, value: object) -> object:
    """Read one value of a setting; of one with several, one of them.

    Raises:
        ValueError: it is not what the row wants; for an address, the message tells why.
        OSError: it is a relative path, and there is no current directory.
    """
    return _READERS[row.kind](row, value)


def wanted(row: Setting) -> str:
    """Say what a setting accepts, as in "a number from 1 to 10000"."""
    match row.kind:
        case Kind.ADDRESS:
            return "HOST:PORT, [IPV6]:PORT, *:PORT, unix:PATH, unix:@NAME or fd://N"
        case Kind.COUNT:
            return f"a number from {row.least} to {row.most}"
        case Kind.SIZE:
            return f"a size from {row.least} to {row.most}, in bytes or with a unit as in 64k, 1m, 1g"
        case Kind.SECONDS:
            return (
                f"a time from {row.least} to {row.most}, in seconds or with a unit as in 250ms, 30s, 5m, 2h"
            )
        case Kind.SWITCH:
            return "on or off"
        case Kind.MODE:
            return f"octal permissions from {row.least} to {row.most} as in 0660"
        case Kind.OWNER:
            return f"USER, USER:GROUP or :GROUP, known to this system, or {NONE}"
        case Kind.FILE:
            return f"the path of a file, or {NONE}"
        case Kind.NETWORK:
            return f"a network as in 10.0.0.0/8 or 2001:db8::/32, an address, {ANY_UNIX_CLIENT}, or {NONE}"
        case Kind.LOG:
            return "the path of a file, - for standard output, on or off"
        case Kind.FORMAT:
            return f"{', '.join(row.choices)} or one line with atoms such as %(h)s"
        case Kind.CHOICE:
            return f"{', '.join(row.choices[:-1])} or {row.choices[-1]}"


def parse_address(value: object) -> Address:
    """Read where to listen from HOST:PORT, [IPV6]:PORT, *:PORT, :PORT, unix:PATH, unix:@NAME or fd://N.

    Raises:
        ValueError: it is none of these; the message tells why.
    """
    text = str(value)
    if text.startswith(ABSTRACT_PREFIX):
        text = UNIX_PREFIX + text
    if text.startswith(UNIX_PREFIX):
        return _parse_path(text[len(UNIX_PREFIX) :])
    if text.startswith(FD_PREFIX):
        return _parse_descriptor(text[len(FD_PREFIX) :])
    scheme, is_url, _ = text.partition("://")
    if is_url:
        raise ValueError(f"it is a URL; leave out {scheme}://")
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError("it has no port")
    if not _COUNT.fullmatch(port) or len(port) > 5 or int(port) > _LARGEST_PORT:
        raise ValueError(f"the port {port!r} is not a number from 0 to {_LARGEST_PORT}")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ":" not in host:
            raise ValueError("the brackets hold no IPv6 address")
    elif ":" in host:
        raise ValueError("an IPv6 address needs brackets")
    if "\0" in host:
        raise ValueError("the host is no name")
    return Address("" if host == "*" else host, int(port))


def _parse_path(path: str) -> Address:
    if path in ("", ABSTRACT_PREFIX) or "\0" in path:
        raise ValueError("the path of the Unix socket is missing")
    return Address(path=path)


def _parse_descriptor(number: str) -> Address:
    if not _COUNT.fullmatch(number) or len(number) > 9:
        raise ValueError(f"the descriptor {number!r} is not a number")
    return Address(fd=int(number))


# Each reader gives what a `Settings` field holds, or raises ValueError: then `wanted` says what it should be.


def _read_address(_row: Setting, value: object) -> Address:
    return parse_address(value)


def _read_count(row: Setting, value: object) -> int:
    text = str(value)
    if not _COUNT.fullmatch(text) or not int(row.least) <= int(text) <= int(row.most):
        raise ValueError
    return int(text)


def _read_size(row: Setting, value: object) -> int:
    size = _parse_size(str(value))
    if not _parse_size(row.least) <= size <= _parse_size(row.most):
        raise ValueError
    return size


def _parse_size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError
    return int(match[1]) * _SIZE_UNITS[match[2].lower()]


def _read_seconds(row: Setting, value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    seconds = value if is_number else _parse_seconds(str(value))
    # NaN is not between any bounds.
    if not _parse_seconds(row.least) <= seconds <= _parse_seconds(row.most):  # type: ignore[operator]
        raise ValueError
    return float(seconds)  # type: ignore[arg-type]


def _parse_seconds(text: str) -> float:
    match = _SECONDS.fullmatch(text)
    if not match:
        raise ValueError
    return float(match[1]) * _MILLISECONDS[match[2]] / 1000


def _read_switch(_row: Setting, value: object) -> bool:
    text = str(value).lower()
    if text in _ON:
        return True
    if text in _OFF:
        return False
    raise ValueError


def _read_choice(row: Setting, value: object) -> str:
    text = str(value).lower()
    if text not in row.choices:
        raise ValueError
    return text


def _read_format(row: Setting, value: object) -> str:
    text = str(value)
    # Tabs between fields are common, and no value can forge one.
    if text not in row.choices and ("%(" not in text or not text.replace("\t", "").isprintable()):
        raise ValueError
    return text


def _read_mode(row: Setting, value: object) -> int:
    mode = value if type(value) is int else _parse_mode(str(value))
    if not _parse_mode(row.least) <= mode <= _parse_mode(row.most):
        raise ValueError
    return mode


def _parse_mode(text: str) -> int:
    match = _OCTAL.fullmatch(text)
    if not match:
        raise ValueError
    return int(match[1], 8)


def _read_owner(_row: Setting, value: object) -> Owner | None:
    if value is None or value == NONE:
        return None
    if isinstance(value, Owner):
        return value
    user, colon, group = str(value).partition(":")
    if not (user or group) or (colon and not group):
        raise ValueError
    return Owner(_find_user(user) if user else -1, _find_group(group) if group else -1)


def _find_user(name: str) -> int:
    if _COUNT.fullmatch(name):
        return _check_identifier(int(name))
    try:
        import pwd

        return pwd.getpwnam(name).pw_uid
    except (ImportError, KeyError):
        raise ValueError from None


def _find_group(name: str) -> int:
    if _COUNT.fullmatch(name):
        return _check_identifier(int(name))
    try:
        import grp

        return grp.getgrnam(name).gr_gid
    except (ImportError, KeyError):
        raise ValueError from None


def _check_identifier(number: int) -> int:
    if number > _LARGEST_IDENTIFIER:
        raise ValueError
    return number


def _read_file(row: Setting, value: object) -> str | None:
    if value is None or value == NONE:
        if row.several:
            raise ValueError
        return None
    return _read_path(value)


def _read_path(value: object) -> str:
    if not isinstance(value, str | os.PathLike):
        raise ValueError
    path = os.fspath(value)
    if not isinstance(path, str) or not path or "\0" in path:
        raise ValueError
    # An application may change the current directory while it is loaded or later, and logs and certificates
    # are opened again. It is joined, not normalized: "link/.." may be elsewhere.
    return path if os.path.isabs(path) else os.path.join(os.getcwd(), path)


def _read_log(row: Setting, value: object) -> bool | str:
    if value == "-":
        return True
    try:
        return _read_switch(row, value)
    except ValueError:
        return _read_path(value)


def _read_network(_row: Setting, value: object) -> str:
    import ipaddress  # most servers trust nobody, and start without it

    text = str(value)
    # Strict: an address with bits beyond its prefix, as in 10.0.0.1/8, is more likely a slip than meant.
    return text if text == ANY_UNIX_CLIENT else str(ipaddress.ip_network(text))


_READERS: Final[Mapping[Kind, Callable[[Setting, object], object]]] = {
    Kind.ADDRESS: _read_address,
    Kind.COUNT: _read_count,
    Kind.SIZE: _read_size,
    Kind.SECONDS: _read_seconds,
    Kind.SWITCH: _read_switch,
    Kind.CHOICE: _read_choice,
    Kind.FORMAT: _read_format,
    Kind.MODE: _read_mode,
    Kind.OWNER: _read_owner,
    Kind.FILE: _read_file,
    Kind.LOG: _read_log,
    Kind.NETWORK: _read_network,
}
