"""What a line of the access log looks like: a format is read once, and gives a function that makes lines.

Pure functions over a response and the text of a time; no clock and no file. Whatever a client sent stays
inside its field: a line is printable ASCII, and no field contains the character before or after it.
"""

import binascii
import json
import os
import re
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

FIELD_LIMIT: Final = 8192
"""Characters of one field, once it is escaped; the rest is cut."""

REQUEST_ID: Final = "wsgix.request_id"
"""The environ key of a request that the error log names; most requests have none."""

COMBINED: Final = "combined"
JSON: Final = "json"
COMBINED_TEXT: Final = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
"""The combined format as atoms."""

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_KNOWN_AGENTS: Final = 1024
_KNOWN_LENGTH: Final = 512

_ESCAPED: Final = [
    chr(code) if 0x20 <= code < 0x7F and chr(code) not in '"\\' else f"\\x{code:02x}" for code in range(256)
]


class FormatError(ValueError):
    """A format cannot be read; the message names what in it, and what there is instead."""


class Answered(Protocol):
    """A request and its response, as far as a log may look at them. A `Responder` is one after its `run`."""

    @property
    def request_line(self) -> str:
        """As received, latin-1; "-" if it could not be read."""

    @property
    def status_sent(self) -> str:
        """The status of the response, as in "200 OK"."""

    @property
    def content_sent(self) -> int:
        """Bytes of content sent."""

    @property
    def environ(self) -> Mapping[str, Any]:
        """The environ, with what the application did to it."""

    @property
    def head_sent(self) -> bytes:
        """The head of the response, latin-1, from the status line on; b"" if it is not known."""


class Refused(NamedTuple):
    """A request that was answered without the application."""

    request_line: str
    status_sent: str
    content_sent: int
    environ: Mapping[str, Any]
    head_sent: bytes = b""


def refused(environ: Mapping[str, Any], status: str, size: int) -> Refused:
    """Describe a refusal.

    Args:
        environ: that of the request, or a listener's template if no request could be read.
        status: the status sent.
        size: bytes of content sent.
    """
    line = "-"
    if "REQUEST_METHOD" in environ:
        line = f"{environ['REQUEST_METHOD']} {environ['REQUEST_URI']} {environ['SERVER_PROTOCOL']}"
    return Refused(line, status, size, environ)


Atom: TypeAlias = Callable[[str, str, Answered, float], str]
"""Makes a field, or a line, from the time as text, the client's address, the response, and its seconds."""


class Format(NamedTuple):
    """A format that was read.

    Attributes:
        line: makes a line, with its line end.
        time_text: makes the text of the time that `line` wants from the fields of `time.localtime()`.
        timed: whether `line` wants the seconds that the application took; otherwise 0 will do.
    """

    line: Atom
    time_text: Callable[[Any], str]
    timed: bool


def read_format(text: str) -> Format:
    """Read a format: "combined", "json", or a text with atoms such as `%(h)s`.

    Raises:
        FormatError: there is no such atom, or the text cannot be a line.
    """
    if text in (COMBINED, COMBINED_TEXT):
        return Format(_combined_line, common_time, timed=False)
    if text == JSON:
        return Format(_json_line, iso_time, timed=True)
    return _read_text(text)


# Times


def common_time(local: Any) -> str:
    """Write a time as the common log format does: "06/Nov/1994:08:49:37 +0000", in English everywhere.

    Args:
        local: what `time.localtime()` returns.
    """
    return (
        f"{local.tm_mday:02}/{_MONTHS[local.tm_mon - 1]}/{local.tm_year:04}"
        f":{local.tm_hour:02}:{local.tm_min:02}:{local.tm_sec:02} {_offset(local.tm_gmtoff)}"
    )


def iso_time(local: Any) -> str:
    """Write a time as RFC 3339 does: "1994-11-06T08:49:37+00:00".

    Args:
        local: what `time.localtime()` returns.
    """
    offset = _offset(local.tm_gmtoff)
    return (
        f"{local.tm_year:04}-{local.tm_mon:02}-{local.tm_mday:02}"
        f"T{local.tm_hour:02}:{local.tm_min:02}:{local.tm_sec:02}{offset[:3]}:{offset[3:]}"
    )


def _offset(seconds: int) -> str:
    minutes = abs(seconds) // 60
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02}{minutes % 60:02}"


# Fields


def escape(value: object) -> str:
    r"""Return *value* as text that cannot leave its field: printable ASCII without quotes, 8 KiB at most.

    >>> escape('a"b')
    'a\\x22b'
    """
    text = value if type(value) is str else str(value)
    if (
        text.isascii()
        and text.isprintable()
        and '"' not in text
        and "\\" not in text
        and len(text) <= FIELD_LIMIT
    ):
        return text
    codes = text[:FIELD_LIMIT].encode("latin-1", "backslashreplace")
    escaped = "".join(map(_ESCAPED.__getitem__, codes))
    if len(escaped) <= FIELD_LIMIT:
        return escaped
    # Cut before an escape that the limit would split.
    split = escaped.rfind("\\", FIELD_LIMIT - 3, FIELD_LIMIT)
    return escaped[: FIELD_LIMIT if split < 0 else split]


_known_agents: Final[dict[str, str]] = {}


def _agent(environ: Mapping[str, Any]) -> str:
    """Return the escaped User-Agent: there are few, they are long, and they are no secret."""
    value = environ.get("HTTP_USER_AGENT", "-")
    try:
        known = _known_agents.get(value)
    except TypeError:  # an application put something unhashable there
        return escape(value)
    if known is not None:
        return known
    escaped = escape(value)
    if type(value) is str and len(value) <= _KNOWN_LENGTH:
        if len(_known_agents) >= _KNOWN_AGENTS:
            _known_agents.clear()
        _known_agents[value] = escaped
    return escaped


def user_name(environ: Mapping[str, Any]) -> str:
    """Return who the request says that it is from: REMOTE_USER, else the user of Basic credentials, else "-".

    The server checks no password: with the status 401, the name is only what somebody claimed.
    """
    user = environ.get("REMOTE_USER")
    if user is None:
        scheme, _, credentials = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        if scheme.lower() != "basic":
            return "-"
        try:
            user = binascii.a2b_base64(credentials).partition(b":")[0].decode("latin-1")
        except ValueError:
            return "-"
    return str(user) or "-"


def _target(answered: Answered) -> tuple[str, str]:
    """Return the request target, split at its query."""
    parts = answered.request_line.split(" ")
    path, _, query = (parts[1] if len(parts) == 3 else "-").partition("?")
    return path, query


def _sent_header(answered: Answered, start: bytes) -> str:
    for line in answered.head_sent.split(b"\r\n"):
        if line[: len(start)].lower() == start:
            return line[len(start) :].strip().decode("latin-1")
    return "-"


# The two formats that have a name


def _combined_line(time: str, client: str, answered: Answered, _seconds: float) -> str:
    environ = answered.environ
    user = "-"
    if "HTTP_AUTHORIZATION" in environ or "REMOTE_USER" in environ:
        user = escape(user_name(environ)).replace(" ", r"\x20")
    referer = escape(environ["HTTP_REFERER"]) if "HTTP_REFERER" in environ else "-"
    return (
        f'{client or "-"} - {user} [{time}] "{escape(answered.request_line)}" '
        f"{answered.status_sent[:3]} {answered.content_sent or '-'} "
        f'"{referer}" "{_agent(environ)}"\n'
    )


_quote: Final = json.JSONEncoder().encode
"""Writes a str as JSON: ASCII, and quoted."""


def _json_text(value: object) -> str:
    text = value if type(value) is str else str(value)
    if len(text) <= FIELD_LIMIT // 12 - 1:  # a character takes twelve at most: two surrogates
        return _quote(text)
    kept = text[:FIELD_LIMIT]
    while len(quoted := _quote(kept)) > FIELD_LIMIT:
        kept = kept[: len(kept) * FIELD_LIMIT // len(quoted) - 1]
    return quoted


def _json_line(time: str, client: str, answered: Answered, seconds: float) -> str:
    environ = answered.environ
    parts = answered.request_line.split(" ")
    method, target, protocol = parts if len(parts) == 3 else ("-", "-", "-")
    optional = "".join(
        f', "{name}": {_json_text(environ[key])}'
        for name, key in (
            ("referer", "HTTP_REFERER"),
            ("user_agent", "HTTP_USER_AGENT"),
            ("request_id", REQUEST_ID),
        )
        if key in environ
    )
    if "HTTP_AUTHORIZATION" in environ or "REMOTE_USER" in environ:
        optional += f', "user": {_json_text(user_name(environ))}'
    return (
        f'{{"time": "{time}", "client": {_quote(client or "-")}, "method": {_json_text(method)}, '
        f'"target": {_json_text(target)}, "protocol": {_json_text(protocol)}, '
        f'"status": {answered.status_sent[:3]}, "bytes": {answered.content_sent}, '
        f'"seconds": {seconds:.6f}{optional}}}\n'
    )


# Formats of atoms, with the names that gunicorn gave them

_ATOMS: Final[dict[str, Atom]] = {
    "h": lambda time, client, answered, seconds: client or "-",
    "l": lambda time, client, answered, seconds: "-",
    "u": lambda time, client, answered, seconds: escape(user_name(answered.environ)),
    "t": lambda time, client, answered, seconds: f"[{time}]",
    "r": lambda time, client, answered, seconds: escape(answered.request_line),
    "m": lambda time, client, answered, seconds: escape(answered.request_line.partition(" ")[0]),
    "U": lambda time, client, answered, seconds: escape(_target(answered)[0]),
    "q": lambda time, client, answered, seconds: escape(_target(answered)[1]),
    "H": lambda time, client, answered, seconds: escape(answered.request_line.rpartition(" ")[2]),
    "s": lambda time, client, answered, seconds: answered.status_sent[:3],
    "B": lambda time, client, answered, seconds: str(answered.content_sent),
    "b": lambda time, client, answered, seconds: str(answered.content_sent or "-"),
    "f": lambda time, client, answered, seconds: escape(answered.environ.get("HTTP_REFERER", "-")),
    "a": lambda time, client, answered, seconds: _agent(answered.environ),
    "T": lambda time, client, answered, seconds: str(int(seconds)),
    "M": lambda time, client, answered, seconds: str(int(seconds * 1000)),
    "D": lambda time, client, answered, seconds: str(int(seconds * 1_000_000)),
    "L": lambda time, client, answered, seconds: f"{seconds:.6f}",
    "p": lambda time, client, answered, seconds: f"<{os.getpid()}>",
}
_OF_SERVER: Final = frozenset("hltsBbTMDLp")
"""Atoms that no request has a say in."""
_DURATIONS: Final = frozenset("TMDL")

_MARK: Final = re.compile(r"%(?:(%)|\((?:\{([^{}]+)\}([ioe])|([^()]*))\)s|.{0,12})", re.DOTALL)


def _read_text(text: str) -> Format:
    if not text.replace("\t", "").isprintable() or not text:
        raise FormatError(f"the format {text!r} must be one line of printable text")
    pieces: list[str] = [""]
    atoms: list[tuple[str, Atom]] = []
    end = 0
    for match in _MARK.finditer(text):
        pieces[-1] += text[end : match.start()]
        end = match.end()
        if match[1]:
            pieces[-1] += "%"
        else:
            atoms.append(_find_atom(match))
            pieces.append("")
    pieces[-1] += text[end:] + "\n"
    fields = tuple(
        atom if name in _OF_SERVER else _kept_inside(atom, before, after)
        for (name, atom), before, after in zip(atoms, accumulate(pieces), pieces[1:], strict=False)
    )
    template = "%s".join(piece.replace("%", "%%") for piece in pieces)

    def line(time: str, client: str, answered: Answered, seconds: float) -> str:
        return template % tuple([field(time, client, answered, seconds) for field in fields])

    return Format(line, common_time, timed=any(name in _DURATIONS for name, _ in atoms))


def _find_atom(match: re.Match[str]) -> tuple[str, Atom]:
    name, kind, letter = match[2], match[3], match[4]
    if kind == "i":
        return "", _variable(_request_key(name))
    if kind == "e":
        return "", _variable(name)
    if kind == "o":
        start = name.lower().encode("latin-1", "replace") + b":"
        return "", lambda time, client, answered, seconds: escape(_sent_header(answered, start))
    if letter in _ATOMS:
        return letter, _ATOMS[letter]
    raise FormatError(
        f"there is no atom {match[0]!r} (there are {', '.join(f'%({known})s' for known in _ATOMS)}, "
        "%({header}i)s, %({header}o)s, %({variable}e)s, and %% for a percent sign)"
    )


def _variable(key: str) -> Atom:
    return lambda time, client, answered, seconds: escape(answered.environ.get(key, "-"))


def _request_key(header: str) -> str:
    key = header.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


def _kept_inside(atom: Atom, before: str, after: str) -> Atom:
    """Return *atom* without the characters on both sides of its field, if these are not quotes.

    Args:
        atom: never gives quotes and controls.
        before: all the text of the format before the field.
        after: the text up to the next field.
    """
    if before.count('"') % 2:
        return atom
    for separator in {before[-1:], after[:1]}:
        if (
            separator.isascii()
            and separator.isprintable()
            and not separator.isalnum()
            and separator not in '"\\-'
        ):
            atom = _without(atom, separator)
    return atom


def _without(atom: Atom, separator: str) -> Atom:
    escaped = f"\\x{ord(separator):02x}"
    return lambda time, client, answered, seconds: atom(time, client, answered, seconds).replace(
        separator, escaped
    )
