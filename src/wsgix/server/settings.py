"""Settings as the server holds them: checked once, then frozen. The table is `facts.settings`.

Whatever is wrong with a value is a `ConfigurationError` whose one line names the setting, what was seen and
what to write instead.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from wsgix.facts.settings import SETTINGS, Kind, Setting

UNIX_PREFIX: Final = "unix:"
_LARGEST_PORT: Final = 65535
_MOST: Final = 10_000


class ConfigurationError(Exception):
    """The server cannot start as it was asked to; the message is for the person who started it."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a host and a port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return UNIX_PREFIX + self.path
        host = f"[{self.host}]" if ":" in self.host else self.host or "*"
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Settings:
    """The values of all rows of `facts.settings`, under their names."""

    bind: tuple[Address, ...]
    threads: int
    access_log: bool


def make_settings(**values: object) -> Settings:
    """Check *values*, fill in the defaults of the table, and freeze both.

    Raises:
        ConfigurationError: a value is not what its row wants.
        TypeError: there is no setting of that name.
    """
    rows = {row.name: row for row in SETTINGS}
    unknown = values.keys() - rows.keys()
    if unknown:
        raise TypeError(f"there is no setting {min(unknown)!r}; there are: {', '.join(rows)}")
    return Settings(**{name: _read(row, values.get(name, row.default)) for name, row in rows.items()})  # type: ignore[arg-type]


def _read(row: Setting, value: object) -> object:
    if row.kind is Kind.ADDRESSES:
        addresses: Iterable[object] = (value,) if isinstance(value, str) else value  # type: ignore[assignment]
        return tuple(map(parse_address, addresses))
    if row.kind is Kind.COUNT:
        return _read_count(row.name, value)
    return bool(value)


def _read_count(name: str, value: object) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= _MOST:
        raise ConfigurationError(f"{name} is {value!r}, but must be a number from 1 to {_MOST}")
    return int(text)


def parse_address(value: object) -> Address:
    """Read an address to listen on from HOST:PORT, [IPV6]:PORT, *:PORT, :PORT or unix:PATH."""
    text = str(value)
    if text.startswith(UNIX_PREFIX):
        path = text[len(UNIX_PREFIX) :]
        if not path or "\0" in path:
            raise _bad_address(text, "the path of the Unix socket is missing")
        return Address(path=path)
    host, colon, port = text.rpartition(":")
    if not colon:
        raise _bad_address(text, "it has no port")
    if not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) > _LARGEST_PORT:
        raise _bad_address(text, f"the port {port!r} is not a number from 0 to {_LARGEST_PORT}")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise _bad_address(text, "an IPv6 address needs brackets")
    return Address("" if host == "*" else host, int(port))


def _bad_address(text: str, fault: str) -> ConfigurationError:
    return ConfigurationError(
        f"cannot bind to {text!r}: {fault}; write HOST:PORT, [IPV6]:PORT or unix:PATH, as in 127.0.0.1:8000"
    )
