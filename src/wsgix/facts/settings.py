"""One row for every knob of the server: its name, its flags, its default, what it means. A table only.

The command line, `wsgix.serve()` and the documentation are derived from it. Sizes are in bytes, times in
seconds.
"""

import enum
from typing import Final, NamedTuple


class Kind(enum.Enum):
    """What a setting holds; `server.settings` knows how to read each from text."""

    ADDRESSES = enum.auto()
    COUNT = enum.auto()
    SWITCH = enum.auto()


class Setting(NamedTuple):
    """One knob. `name` is its keyword argument; its flag is the name with dashes."""

    name: str
    kind: Kind
    default: object
    metavar: str
    meaning: str


SETTINGS: Final = (
    Setting(
        "bind",
        Kind.ADDRESSES,
        ("127.0.0.1:8000",),
        "ADDRESS",
        "where to listen: HOST:PORT, [IPV6]:PORT, *:PORT for all addresses, or unix:PATH; port 0: a free one",
    ),
    Setting(
        "threads",
        Kind.COUNT,
        8,
        "N",
        "how many requests may be inside the application at once; threads start when they are needed",
    ),
    Setting(
        "access_log",
        Kind.SWITCH,
        True,
        "",
        "whether to write a line per request to standard output",
    ),
)
