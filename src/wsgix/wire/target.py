"""The request line and what stands in it: method, the four forms of target, authority, version.

Pure functions from bytes or text to a value or a refusal, with two bounded caches that hold no secrets.
The HTTP/1.1 reader calls `parse_request_line`; whoever needs to judge a Host calls `is_authority`.
"""

import re
from functools import partial
from typing import Final, NamedTuple

from wsgix.facts.grammar import ALPHA, DIGIT, HEXDIG, PATH_CHARACTERS, QUERY_CHARACTERS, TCHAR
from wsgix.facts.refusals import (
    BAD_AUTHORITY,
    BAD_METHOD,
    BAD_PATH,
    BAD_QUERY,
    BAD_REQUEST_LINE,
    BAD_TARGET,
    BAD_VERSION,
    METHOD_NOT_IMPLEMENTED,
    MISDIRECTED,
    VERSION_NOT_SUPPORTED,
    Refusal,
)


class RequestLine(NamedTuple):
    """What a request line says; all text is latin-1."""

    method: str
    path: str
    """Percent-decoded: PATH_INFO before any script name is taken off."""
    query: str
    """As received, without the question mark."""
    target: str
    """The whole request target as received."""
    version: str
    """The client's: "HTTP/1.0", "HTTP/1.1", or a later minor version of 1."""
    authority: str | None
    """The authority of an absolute-form, which takes the place of Host; otherwise None."""


_CACHE_SIZE: Final = 512
_CACHED_LENGTH: Final = 256
_FRAMES_SIZE: Final = 64

known_lines: Final[dict[bytes, RequestLine]] = {}
"""Request lines seen before, for all connections. None has a query: there the secrets of a URL are kept."""

_known_authorities: Final[set[str]] = set()

_known_frames: Final[dict[tuple[bytes, bytes], tuple[str, str]]] = {}
"""Methods and versions that were found together in a request line that is in order; the same as text."""


_new_line: Final = partial(tuple.__new__, RequestLine)
"""Makes a request line of a tuple, without a call in Python."""


def _class(characters: str) -> str:
    return f"[{re.escape(characters)}]"


_METHOD: Final = re.compile(f"{_class(TCHAR)}+")
_VERSION: Final = re.compile(f"HTTP/({_class(DIGIT)})\\.{_class(DIGIT)}")
_PATH: Final = re.compile(f"{_class(PATH_CHARACTERS)}*(?:%{_class(HEXDIG)}{{2}}{_class(PATH_CHARACTERS)}*)*")
_QUERY: Final = re.compile(f"{_class(QUERY_CHARACTERS)}*")
# What a path and a query may both hold, and neither needs to be decoded of.
_PLAIN: Final = PATH_CHARACTERS.encode("latin-1")
# absolute-URI = scheme ":" hier-part [ "?" query ], of which an origin server knows two schemes; the rest is
# judged piece by piece.                                                        RFC 3986, 4.3
_ABSOLUTE: Final = re.compile("(https?)://([^/?]*)(.*)", re.IGNORECASE | re.DOTALL)

# A method has upper-case letters: "The method token is case-sensitive" (RFC 9110, 9.1), all registered ones
# are upper-case, and "get" is a mistake that the next hop may read differently.
_MAXIMUM_METHOD: Final = 32
_REFUSED_METHODS: Final = frozenset({"CONNECT", "TRACE"})

# reg-name = *( unreserved / pct-encoded / sub-delims ) (RFC 3986, 3.2.2), here without sub-delims and without
# empty labels: no host has them, and a comma makes two hosts of one.
_LABEL: Final = f"(?:[{ALPHA}{DIGIT}_~-]|%[{HEXDIG}]{{2}})+"
_AUTHORITY: Final = re.compile(
    f"(?:{_LABEL}(?:\\.{_LABEL})*\\.?|\\[([{HEXDIG}:.]+)\\])(?::([{DIGIT}]{{0,5}}))?"
)
_HEXTET: Final = re.compile(f"[{HEXDIG}]{{1,4}}")
_IPV4: Final = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}")


def parse_request_line(line: bytes, scheme: str) -> RequestLine | Refusal:
    """Read a request line, its CR LF removed, on a connection that serves `scheme` ("http" or "https").

    `request-line = method SP request-target SP HTTP-version` (RFC 9112, 3).
    """
    # "recipients MAY instead parse on whitespace-delimited word boundaries" (RFC 9112, 3): we do not.
    parts = line.split(b" ")
    if len(parts) != 3 or not parts[1]:
        return BAD_REQUEST_LINE
    # Most targets are a path, and perhaps a query, in which nothing needs to be decoded.
    raw = parts[1]
    frame = _known_frames.get((parts[0], parts[2])) if raw[0] == 0x2F else None
    if frame is not None:
        rest = raw.translate(None, _PLAIN)
        if not rest or rest == b"?":
            method, version = frame
            target = raw.decode("latin-1")
            path, _, query = target.partition("?")
            plain = _new_line((method, path, query, target, version, None))
            if not rest:
                _keep(line, plain)
            return plain
    method, target, version = line.decode("latin-1").split(" ")
    if not _METHOD.fullmatch(method):
        return BAD_METHOD
    numbers = _VERSION.fullmatch(version)
    # HTTP/0.x never had a version in its request line.
    if numbers is None or numbers[1] == "0":
        return BAD_VERSION
    request_line = _parse_target(method, target, version, scheme)
    if isinstance(request_line, Refusal):
        return request_line
    if numbers[1] != "1":
        return VERSION_NOT_SUPPORTED
    # "A server that receives a method longer than any that it implements SHOULD respond with a 501 (Not
    # Implemented) status code" (RFC 9112, 3)
    if method in _REFUSED_METHODS or len(method) > _MAXIMUM_METHOD or method != method.upper():
        return METHOD_NOT_IMPLEMENTED
    if target[0] == "/":
        if len(_known_frames) >= _FRAMES_SIZE:
            _known_frames.clear()
        _known_frames[parts[0], parts[2]] = method, version
        if "?" not in target:
            _keep(line, request_line)
    return request_line


def _keep(line: bytes, request_line: RequestLine) -> None:
    if len(line) <= _CACHED_LENGTH:
        if len(known_lines) >= _CACHE_SIZE:
            known_lines.clear()
        known_lines[line] = request_line


def _parse_target(method: str, target: str, version: str, scheme: str) -> RequestLine | Refusal:
    if target[0] == "/" and method != "CONNECT":
        return _parse_path(method, target, target, version, None)
    # "The asterisk-form of request-target is only used for a server-wide OPTIONS request" (RFC 9112, 3.2.4);
    # "the target URI's combined path and query component is empty" (3.3)
    if target == "*" and method == "OPTIONS":
        return RequestLine(method, "", "", target, version, None)
    # "The authority-form of request-target is only used for CONNECT requests" (RFC 9112, 3.2.3)
    if method == "CONNECT":
        complete = is_authority(target) and not target.endswith((":", "]")) and ":" in target
        return RequestLine(method, "", "", target, version, None) if complete else BAD_AUTHORITY
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        return BAD_TARGET
    target_scheme, authority, rest = absolute.groups()
    # "A sender MUST NOT generate an "http" URI with an empty host identifier. A recipient that processes such
    # a URI reference MUST reject it as invalid" (RFC 9110, 4.2.1). Userinfo before an "@" is treated as an
    # error (4.2.4), as is all else that is no authority.
    if not is_authority(authority):
        return BAD_AUTHORITY
    # "An origin server ... sends 421 to reject a target URI that ... does not match the connection context"
    # (RFC 9110, 15.5.20)
    if target_scheme.lower() != scheme:
        return MISDIRECTED
    # "When not being used as the target of an OPTIONS request, an empty path component is equivalent to an
    # absolute path of "/"" (RFC 9110, 4.2.3); of OPTIONS it means the server as a whole (RFC 9112, 3.2.4).
    if method == "OPTIONS" and not rest:
        return RequestLine(method, "", "", target, version, authority)
    return _parse_path(method, rest if rest[:1] == "/" else "/" + rest, target, version, authority)


def _parse_path(
    method: str, path_and_query: str, target: str, version: str, authority: str | None
) -> RequestLine | Refusal:
    path, _, query = path_and_query.partition("?")
    # A fragment is never sent (RFC 9110, 4.1): "#" is in neither class.
    if not _PATH.fullmatch(path):
        return BAD_PATH
    if not _QUERY.fullmatch(query):
        return BAD_QUERY
    if "%" in path:
        first, *escaped = path.split("%")
        path = first + "".join(chr(int(piece[:2], 16)) + piece[2:] for piece in escaped)
        # No file name holds NUL, and what reads C strings would stop at it.
        if "\0" in path:
            return BAD_PATH
    return RequestLine(method, path, query, target, version, authority)


def is_authority(text: str) -> bool:
    """Tell whether the text is a host with an optional port, as Host and absolute-form have it.

    `Host = uri-host [ ":" port ]` (RFC 9110, 7.2). The port may be empty and is at most 65535.
    """
    if text in _known_authorities:
        return True
    match = _AUTHORITY.fullmatch(text)
    if match is None or int(match[2] or "0") > 65535 or not (match[1] is None or _is_ipv6(match[1])):
        return False
    if len(_known_authorities) >= _CACHE_SIZE:
        _known_authorities.clear()
    if len(text) <= _CACHED_LENGTH:
        _known_authorities.add(text)
    return True


def _is_ipv6(text: str) -> bool:
    """IPv6address (RFC 3986, 3.2.2): eight groups, or fewer with one "::", the last two perhaps as IPv4."""
    head, gap, tail = text.partition("::")
    groups = (head.split(":") if head else []) + (tail.split(":") if tail else [])
    size = len(groups)
    if groups and _IPV4.fullmatch(groups[-1]) and (tail or not gap):
        groups.pop()
        size += 1
    return all(map(_HEXTET.fullmatch, groups)) and (size <= 7 if gap else size == 8)
