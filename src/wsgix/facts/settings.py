"""One row for every knob of the server: its name, its kind, its default, what it means. A table only.

The options of the command line, the environment variables, the keyword arguments of `wsgix.serve()` and
docs/settings.md are derived from it. Defaults and bounds are written as a user writes them;
`server.settings` reads them with the same code as a user's.
"""

import enum
from collections.abc import Mapping
from typing import Final, NamedTuple


class Kind(enum.Enum):
    """What a setting holds; `server.settings` knows how to read each."""

    ADDRESS = enum.auto()
    COUNT = enum.auto()
    SIZE = enum.auto()
    """An int; text may end in k, m or g: 1024, 1024 ** 2 or 1024 ** 3."""
    SECONDS = enum.auto()
    """A float; text may end in ms, s, m or h."""
    SWITCH = enum.auto()
    CHOICE = enum.auto()
    MODE = enum.auto()
    """Permissions of a file; text is octal."""
    OWNER = enum.auto()
    FILE = enum.auto()
    NETWORK = enum.auto()
    LOG = enum.auto()
    """A switch, or the file that is written to."""
    FORMAT = enum.auto()
    """One of the choices, or a text with %( in it."""


METAVARS: Final[Mapping[Kind, str]] = {
    Kind.ADDRESS: "ADDRESS",
    Kind.COUNT: "N",
    Kind.SIZE: "SIZE",
    Kind.SECONDS: "TIME",
    Kind.CHOICE: "WORD",
    Kind.MODE: "MODE",
    Kind.OWNER: "USER:GROUP",
    Kind.FILE: "FILE",
    Kind.NETWORK: "CIDR",
    Kind.LOG: "FILE",
    Kind.FORMAT: "FORMAT",
}
"""What stands for a value in help; a switch takes none."""

NONE: Final = "none"
"""How the absence of a file, a network or an owner is written."""

ENVIRONMENT_PREFIX: Final = "WSGIX_"
"""An environment variable is this and the name of the setting in capitals."""


class Section(enum.Enum):
    """The headings of the help and of the documentation, in their order."""

    ADDRESSES = "Addresses"
    WORK = "Threads and buffers"
    LIMITS = "Limits"
    TIMES = "Time-outs"
    TLS = "TLS"
    PROXIES = "Trusted proxies"
    LOGS = "Logs"


class Setting(NamedTuple):
    """One knob. `name` is its keyword argument; its option is the name with dashes.

    Attributes:
        meaning: for help and documentation; goes on after a lower-case letter, without a full stop.
        unit: of the value, once read: bytes, seconds, bytes/s; "" where it has none.
        least, most: the bounds of a count, a size or a time.
        choices: the words that a choice or a format may be.
        several: whether the value is a tuple; the option may be repeated, a variable has commas.
    """

    name: str
    section: Section
    kind: Kind
    default: str
    meaning: str
    unit: str = ""
    least: str = ""
    most: str = ""
    choices: tuple[str, ...] = ()
    several: bool = False


_BYTES: Final = "bytes"
_SECONDS: Final = "seconds"

SETTINGS: Final = (
    Setting(
        "bind",
        Section.ADDRESSES,
        Kind.ADDRESS,
        "127.0.0.1:8000",
        "where to listen: HOST:PORT, [IPV6]:PORT, *:PORT for all addresses, unix:PATH, unix:@NAME for an "
        "abstract Unix socket, or fd://N for a socket that listens already; port 0: a free one",
        several=True,
    ),
    Setting(
        "backlog",
        Section.ADDRESSES,
        Kind.COUNT,
        "2048",
        "how many connections may wait to be accepted; the system may allow fewer",
        least="1",
        most="65535",
    ),
    Setting(
        "reuse_port",
        Section.ADDRESSES,
        Kind.SWITCH,
        "off",
        "whether other processes of the same user may listen on the same TCP port (SO_REUSEPORT)",
    ),
    Setting(
        "unix_mode",
        Section.ADDRESSES,
        Kind.MODE,
        "0660",
        "the permissions of Unix sockets, in octal; to connect takes the right to write",
        least="0",
        most="0777",
    ),
    Setting(
        "unix_owner",
        Section.ADDRESSES,
        Kind.OWNER,
        NONE,
        "who owns Unix sockets: USER, USER:GROUP or :GROUP, by name or number",
    ),
    Setting(
        "threads",
        Section.WORK,
        Kind.COUNT,
        "8",
        "how many requests may be inside the application at once, not counting those that wait for their "
        "client; with 1, no other is called meanwhile, and all wait with it; threads start when needed",
        least="1",
        most="10000",
    ),
    Setting(
        "request_buffer",
        Section.WORK,
        Kind.SIZE,
        "256k",
        "how much content of a request is kept in memory in any case",
        unit=_BYTES,
        least="0",
        most="1g",
    ),
    Setting(
        "request_memory",
        Section.WORK,
        Kind.SIZE,
        "64m",
        "how much more content all requests together may keep in memory, each at most an eighth of it; "
        "what finds no room goes to a temporary file",
        unit=_BYTES,
        least="0",
        most="1g",
    ),
    Setting(
        "response_buffer",
        Section.WORK,
        Kind.SIZE,
        "1m",
        "how far a response may be ahead of a slow client before the application waits",
        unit=_BYTES,
        least="0",
        most="1g",
    ),
    Setting(
        "stream_requests",
        Section.WORK,
        Kind.SWITCH,
        "off",
        "whether the application is called before all content of a request has arrived; chunked content has "
        "no CONTENT_LENGTH then, and an application that reads no further than that finds none",
    ),
    Setting(
        "limit_request_line",
        Section.LIMITS,
        Kind.SIZE,
        "8190",
        "the longest request line",
        unit=_BYTES,
        least="64",
        most="1m",
    ),
    Setting(
        "limit_request_field",
        Section.LIMITS,
        Kind.SIZE,
        "8190",
        "the longest header field line: name, colon and value",
        unit=_BYTES,
        least="64",
        most="1m",
    ),
    Setting(
        "limit_request_fields",
        Section.LIMITS,
        Kind.COUNT,
        "100",
        "the most header fields of a request",
        least="1",
        most="10000",
    ),
    Setting(
        "limit_request_head",
        Section.LIMITS,
        Kind.SIZE,
        "64k",
        "the longest request head: request line and all header fields",
        unit=_BYTES,
        least="128",
        most="16m",
    ),
    Setting(
        "limit_request_body",
        Section.LIMITS,
        Kind.SIZE,
        "1g",
        "the most content of a request",
        unit=_BYTES,
        least="1",
        most="1048576g",
    ),
    Setting(
        "limit_connections",
        Section.LIMITS,
        Kind.COUNT,
        "20000",
        "the most connections that are open at once; fewer where the limit of open files is lower, an eighth "
        "of which is left to the application; further ones wait in the backlog",
        least="1",
        most="1000000",
    ),
    Setting(
        "limit_requests_per_connection",
        Section.LIMITS,
        Kind.COUNT,
        "0",
        "after how many requests a connection is closed; 0: never for that reason",
        least="0",
        most="1000000000",
    ),
    Setting(
        "limit_waiting",
        Section.LIMITS,
        Kind.COUNT,
        "1000",
        "the most requests that wait for a thread; further ones are answered 503",
        least="1",
        most="1000000",
    ),
    Setting(
        "refuse_underscores",
        Section.LIMITS,
        Kind.SWITCH,
        "off",
        "whether a request with an underscore in a header field name is refused; else the field is dropped",
    ),
    Setting(
        "head_timeout",
        Section.TIMES,
        Kind.SECONDS,
        "10s",
        "for a whole request head, from its first byte; also for a new connection to send one",
        unit=_SECONDS,
        least="1ms",
        most="24h",
    ),
    Setting(
        "body_timeout",
        Section.TIMES,
        Kind.SECONDS,
        "20s",
        "for the content of a request, and more as it arrives: see body_rate",
        unit=_SECONDS,
        least="1ms",
        most="24h",
    ),
    Setting(
        "body_rate",
        Section.TIMES,
        Kind.SIZE,
        "500",
        "for each so many bytes of content that arrive, body_timeout is a second longer",
        unit="bytes/s",
        least="1",
        most="1g",
    ),
    Setting(
        "handshake_timeout",
        Section.TIMES,
        Kind.SECONDS,
        "10s",
        "for a whole TLS handshake",
        unit=_SECONDS,
        least="1ms",
        most="24h",
    ),
    Setting(
        "write_timeout",
        Section.TIMES,
        Kind.SECONDS,
        "30s",
        "for a client to take more of a response that waits for it",
        unit=_SECONDS,
        least="1ms",
        most="24h",
    ),
    Setting(
        "keep_alive_timeout",
        Section.TIMES,
        Kind.SECONDS,
        "75s",
        "for the next request on a connection to begin",
        unit=_SECONDS,
        least="1ms",
        most="24h",
    ),
    Setting(
        "request_timeout",
        Section.TIMES,
        Kind.SECONDS,
        "0",
        "for the application to answer a request, before it is interrupted; 0: no limit",
        unit=_SECONDS,
        least="0",
        most="24h",
    ),
    Setting(
        "graceful_timeout",
        Section.TIMES,
        Kind.SECONDS,
        "30s",
        "for requests to finish when the server is told to stop",
        unit=_SECONDS,
        least="0",
        most="24h",
    ),
    Setting(
        "certfile",
        Section.TLS,
        Kind.FILE,
        NONE,
        "a certificate chain in PEM, its own certificate first; makes all addresses speak TLS",
        several=True,
    ),
    Setting(
        "keyfile",
        Section.TLS,
        Kind.FILE,
        NONE,
        "the private key in PEM of the certfile at the same place; not needed where the certfile has it",
        several=True,
    ),
    Setting(
        "ca_certs",
        Section.TLS,
        Kind.FILE,
        NONE,
        "the certificates in PEM of those who may sign client certificates",
    ),
    Setting(
        "client_certs",
        Section.TLS,
        Kind.CHOICE,
        NONE,
        "whether clients are asked for a certificate, or must have one: none, optional or required",
        choices=(NONE, "optional", "required"),
    ),
    Setting(
        "proxy_protocol",
        Section.PROXIES,
        Kind.CHOICE,
        "off",
        "the version of the PROXY protocol that connections from proxy_protocol_from begin with: off, v1, "
        "v2 or auto for either",
        choices=("off", "v1", "v2", "auto"),
    ),
    Setting(
        "proxy_protocol_from",
        Section.PROXIES,
        Kind.NETWORK,
        NONE,
        "whose PROXY protocol is believed: a network, an address, or unix for all clients of Unix sockets",
        several=True,
    ),
    Setting(
        "forwarded_from",
        Section.PROXIES,
        Kind.NETWORK,
        NONE,
        "whose forwarded_header is believed: a network, an address, or unix for all clients of Unix sockets",
        several=True,
    ),
    Setting(
        "forwarded_header",
        Section.PROXIES,
        Kind.CHOICE,
        "x-forwarded",
        "the header fields that tell the client's address: x-forwarded for X-Forwarded-For and its "
        "companions, forwarded for Forwarded",
        choices=("x-forwarded", "forwarded"),
    ),
    Setting(
        "access_log",
        Section.LOGS,
        Kind.LOG,
        "-",
        "where a line per request is written: a file, - for standard output, or off",
    ),
    Setting(
        "access_log_format",
        Section.LOGS,
        Kind.FORMAT,
        "combined",
        "the lines of the access log: combined, json, or a text with atoms such as %(h)s",
        choices=("combined", "json"),
    ),
    Setting(
        "log_level",
        Section.LOGS,
        Kind.CHOICE,
        "info",
        "the least that the server's own log tells: debug, info, warning, error or critical",
        choices=("debug", "info", "warning", "error", "critical"),
    ),
)
