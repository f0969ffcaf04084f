"""Settings as the server holds them: checked once, then frozen. The table is `facts.settings`.

Whatever is wrong with a value is a `ConfigurationError` whose one line names the setting, what was seen and
what to write instead.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from wsgix.facts.settings import ENVIRONMENT_PREFIX, NONE, SETTINGS, Kind, Setting
from wsgix.server.values import Address, Owner, read_value, wanted
from wsgix.wire.limits import Limits


class ConfigurationError(Exception):
    """The server cannot start as it was asked to; the message is for the person who started it."""


class SocketOptions(NamedTuple):
    """How listening sockets are opened."""

    backlog: int = 2048
    reuse_port: bool = False
    unix_mode: int = 0o660
    unix_owner: Owner | None = None
    scheme: str = "http"


class Settings(NamedTuple):
    """The values of all rows of `facts.settings`, under their names; sizes in bytes, times in seconds."""

    bind: tuple[Address, ...]
    backlog: int
    reuse_port: bool
    unix_mode: int
    unix_owner: Owner | None
    threads: int
    request_buffer: int
    request_memory: int
    response_buffer: int
    stream_requests: bool
    limit_request_line: int
    limit_request_field: int
    limit_request_fields: int
    limit_request_head: int
    limit_request_body: int
    limit_connections: int
    limit_requests_per_connection: int
    limit_waiting: int
    refuse_underscores: bool
    head_timeout: float
    body_timeout: float
    body_rate: int
    handshake_timeout: float
    write_timeout: float
    keep_alive_timeout: float
    request_timeout: float
    graceful_timeout: float
    certfile: tuple[str, ...]
    keyfile: tuple[str, ...]
    ca_certs: str | None
    client_certs: str
    proxy_protocol: str
    proxy_protocol_from: tuple[str, ...]
    forwarded_from: tuple[str, ...]
    forwarded_header: str
    access_log: bool | str
    access_log_format: str
    log_level: str

    @property
    def limits(self) -> Limits:
        """What the codec is allowed to hold."""
        return Limits(
            request_line=self.limit_request_line,
            field=self.limit_request_field,
            fields=self.limit_request_fields,
            head=self.limit_request_head,
            body=self.limit_request_body,
            refuse_underscores=self.refuse_underscores,
        )

    @property
    def socket_options(self) -> SocketOptions:
        """How the addresses of `bind` are opened."""
        return SocketOptions(
            self.backlog,
            self.reuse_port,
            self.unix_mode,
            self.unix_owner,
            "https" if self.certfile else "http",
        )


# From all sources to one record


def make_settings(environ: Mapping[str, str] | None = None, /, **values: object) -> Settings:
    """Check what is given, fill in the defaults of the table, and freeze all.

    Args:
        environ: environment variables; those that begin with WSGIX_ are settings. None: there are none.
        values: settings by name, as text or as Python values; they win over *environ*.

    Raises:
        ConfigurationError: a value is not what its row wants, or a variable has no row.
        TypeError: there is no setting of the name of a keyword argument.
    """
    rows = {row.name: row for row in SETTINGS}
    for name in values:
        if name not in rows:
            raise TypeError(f"there is no setting {name!r}{_near(name, str)}")
    read = {name: _read(row, row.default, name) for name, row in rows.items()}
    for label, text in (environ or {}).items():
        if not label.startswith(ENVIRONMENT_PREFIX):
            continue
        name = label.removeprefix(ENVIRONMENT_PREFIX).lower()
        if name not in rows or label != variable_of(name):
            hint = _near(name, variable_of) or "; remove it"
            raise ConfigurationError(f"the environment variable {label} is no setting{hint}")
        # An empty variable is how many tools write one that is not set.
        if text and name not in values:
            row = rows[name]
            value = [part.strip() for part in text.split(",")] if row.several else text
            read[name] = _read(row, value, label)
    read |= {name: _read(rows[name], value, name) for name, value in values.items()}
    settings = Settings(**read)  # type: ignore[arg-type]  # each reader gives what its field holds
    _check_together(settings)
    return settings


def option_of(name: str) -> str:
    """Name the option of the setting *name*, as in "--reuse-port"."""
    return "--" + name.replace("_", "-")


def variable_of(name: str) -> str:
    """Name the environment variable of the setting *name*, as in "WSGIX_REUSE_PORT"."""
    return ENVIRONMENT_PREFIX + name.upper()


def _near(name: str, spell: Callable[[str], str]) -> str:
    question = did_you_mean(name, [row.name for row in SETTINGS], spell)
    return f"; {question}" if question else ""


def did_you_mean(name: str, known: Iterable[str], spell: Callable[[str], str] = str) -> str:
    """Ask which of *known* may have been meant by *name*, each as *spell* writes it; "" if none is near."""
    import difflib  # only a mistake pays for it

    names = [*known]
    longer = [one for one in names if name and one.startswith(name)]
    near = difflib.get_close_matches(name, longer or names, cutoff=0 if longer else 0.7)
    return f"did you mean {' or '.join(map(spell, near))}?" if near else ""


def _check_together(settings: Settings) -> None:
    """Refuse values that are right each by itself, but not together."""
    certificates, keys = len(settings.certfile), len(settings.keyfile)
    if keys not in (0, certificates):
        raise ConfigurationError(
            f"keyfile is given {keys} times and certfile {certificates} times; "
            "give a keyfile for each certfile, or none if the certfiles hold the keys"
        )
    if settings.client_certs != NONE and not (settings.certfile and settings.ca_certs):
        raise ConfigurationError(
            f"client_certs is {settings.client_certs}, which needs certfile and ca_certs; give both"
        )
    if settings.ca_certs is not None and not settings.certfile:
        raise ConfigurationError("ca_certs is given without certfile, so that there is no TLS; give both")
    if settings.ca_certs is not None and settings.client_certs == NONE:
        raise ConfigurationError(
            f"ca_certs is given and client_certs is {NONE}; write optional or required for client_certs"
        )
    if (settings.proxy_protocol != "off") != bool(settings.proxy_protocol_from):
        raise ConfigurationError(
            f"proxy_protocol is {settings.proxy_protocol} and proxy_protocol_from is "
            f"{' '.join(settings.proxy_protocol_from) or NONE}; give both, or neither"
        )


# From one value to what its row wants


def _read(row: Setting, value: object, label: str) -> object:
    """Read *value*, which the user knows as *label*."""
    if not row.several:
        return _read_one(row, value, label)
    if value is None:
        value = ()
    elif isinstance(value, str | os.PathLike) or not isinstance(value, Iterable) or _is_network(value):
        value = (value,)
    given = tuple(value)
    members = () if given == (NONE,) else tuple(_read_one(row, member, label) for member in given)
    if not members and row.kind is Kind.ADDRESS:
        raise ConfigurationError(f"{label} is empty, but must have at least one address")
    return members


def _is_network(value: object) -> bool:
    """Tell whether it is a network of `ipaddress`: to iterate over one gives each of its addresses."""
    return hasattr(value, "network_address")


def _read_one(row: Setting, value: object, label: str) -> object:
    try:
        return read_value(row, value)
    except ValueError as error:
        if row.kind is Kind.ADDRESS:
            raise ConfigurationError(
                f"cannot bind to {str(value)!r}: {error}; write {wanted(row)}, as in 127.0.0.1:8000"
            ) from None
        raise _wrong(row, value, label) from None
    except OSError as error:
        raise ConfigurationError(
            f"{label} is {str(value)!r}, but there is no current directory to look in "
            f"({error.strerror}); write an absolute path"
        ) from None


def _wrong(row: Setting, value: object, label: str) -> ConfigurationError:
    return ConfigurationError(f"{label} is {value!r}, but must be {wanted(row)}")
