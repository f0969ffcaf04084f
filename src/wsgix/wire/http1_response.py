"""Responses of HTTP/1.1 as bytes: head, chunks, interim responses and refusals. Sans-I/O.

What is written is checked here, whoever asks: no name, value or status can smuggle a line. How content is
framed is decided in `core.framing`; the caller passes the lines that follow from it. An offending status or
header raises ValueError.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from wsgix.core.framing import ABORT, Outcome, parse_content_length
from wsgix.facts.grammar import OWS
from wsgix.facts.names import BODILESS_STATUSES, CONNECTION_FIELDS, SECRET_RESPONSE_FIELDS
from wsgix.facts.refusals import Refusal
from wsgix.wire.fields import Pair, has_forbidden, is_token

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"
CHUNK_END: Final = b"\r\n"

CONNECTION_CLOSE: Final = b"Connection: close\r\n"
CONNECTION_KEEP_ALIVE: Final = b"Connection: keep-alive\r\n"
"""What an HTTP/1.0 client must be told; later ones take it for granted (RFC 9112, 9.3)."""
RETRY_AFTER: Final = b"Retry-After: 1\r\n"
"""In seconds: what an overloaded server asks for (RFC 9110, 15.6.4)."""
TRANSFER_ENCODING_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"

_CACHE_SIZE: Final = 1024
_CACHED_LENGTH: Final = 256
_CACHED_HEADS: Final = 256
_CACHED_HEAD: Final = 1024

HAS_DATE: Final = 1
HAS_SERVER: Final = 2
_NOTES: Final = {"date": HAS_DATE, "server": HAS_SERVER}

_status_lines: Final[dict[str, bytes]] = {}
_length_lines: Final[dict[int, bytes]] = {}

# status-code = 3DIGIT, of which the first is 1 to 5 (RFC 9110, 15). PEP 3333 wants a reason phrase behind one
# space; here it may be empty, as in RFC 9112, 4.
_is_status: Final = re.compile(r"[1-5][0-9]{2}(?: .*)?", re.DOTALL).fullmatch


def status_line(status: str) -> bytes:
    """Write the status line: three digits, a space, a reason phrase that may be empty.

    Raises:
        ValueError: the status is malformed.
    """
    line = _status_lines.get(status)
    if line is not None:
        return line
    if not _is_status(status) or has_forbidden(status):
        raise ValueError(f"malformed status {status!r}: it must be three digits, a space and a reason phrase")
    # "A server MUST send the space that separates the status-code from the reason-phrase even when the
    # reason-phrase is absent" (RFC 9112, 4)
    line = f"HTTP/1.1 {status if len(status) > 3 else status + ' '}\r\n".encode("latin-1")
    if len(_status_lines) >= _CACHE_SIZE:
        _status_lines.clear()
    if len(status) <= _CACHED_LENGTH:
        _status_lines[status] = line
    return line


def length_line(length: int) -> bytes:
    """Write the Content-Length field line."""
    line = _length_lines.get(length)
    if line is None:
        line = b"Content-Length: %d\r\n" % length
        if len(_length_lines) >= _CACHE_SIZE:
            _length_lines.clear()
        _length_lines[length] = line
    return line


def response_head(status: str, headers: Iterable[Pair], own_lines: bytes) -> bytes:
    """Write the head of a response, from the status line to the empty line.

    Args:
        status: three digits, a space, the reason phrase: "200 OK".
        headers: the application's (name, value) pairs, latin-1.
        own_lines: the server's field lines (Date, Server, framing, Connection), each with its CR LF. They go
            first and are not checked.

    Raises:
        ValueError: the status or a header is malformed, or a header belongs to the connection.
    """
    pairs = [*headers]
    lines, length, _ = _field_lines(status_line(status) + own_lines, pairs)
    if length is not None:
        lines[lines.index(b"")] = length_line(length)
    lines.append(b"\r\n")
    return b"".join(lines)


class FinalHead:
    """The head of a final response, as far as it is the application's; shared by all that are equal.

    Attributes:
        lines: the status line and the field lines, but that of Content-Length.
        length: the value of Content-Length in bytes, None where it is absent.
        notes: `HAS_DATE` and `HAS_SERVER`, added up as far as they are there.
        has_content: whether a response of this status may have content.
        whole: what the server made of it last, a place for its own use: the lines that it added, the length,
            whether the connection was kept, and the head from the status line to the empty line.
    """

    __slots__ = ("has_content", "length", "lines", "notes", "whole")

    def __init__(self, lines: bytes, length: int | None, notes: int, has_content: bool) -> None:
        self.lines = lines
        self.length = length
        self.notes = notes
        self.has_content = has_content
        self.whole: tuple[bytes, int, Outcome, bytes] = (b"", -1, ABORT, b"")


class _FinalHeads(dict[tuple[Any, ...], FinalHead]):
    """Status and headers, (status, *pairs), to what becomes of them; what is missing is read.

    What `_HeaderLines` would not keep, this does not either.

    Raises:
        ValueError: the status is malformed or an interim one; a header is malformed or belongs to the
            connection; or Content-Length is repeated.
        TypeError, AttributeError: the status is no str, or the headers are no pairs of them.
    """

    __slots__ = ()

    def __missing__(self, key: tuple[Any, ...]) -> FinalHead:
        status, *headers = key
        first_line = status_line(status)
        if status[:1] == "1":
            raise ValueError(f"the status {status!r} is not a final one")
        passed_by = _header_lines.passed_by
        lines, length, notes = _field_lines(first_line, headers)
        head = FinalHead(b"".join(lines), length, notes, status[:3] not in BODILESS_STATUSES)
        if _header_lines.passed_by == passed_by and len(head.lines) <= _CACHED_HEAD:
            if len(self) >= _CACHED_HEADS:
                self.clear()
            self[key] = head
        return head


final_heads: Final = _FinalHeads()


def _field_lines(first_line: bytes, headers: Sequence[Pair]) -> tuple[list[bytes], int | None, int]:
    """Check the (name, value) pairs of a response, and write their lines.

    Returns *first_line* and the lines of the pairs, with an empty one in the place of Content-Length; its
    value in bytes, None where it is absent; `HAS_DATE` and `HAS_SERVER`, added up as far as they are there.
    """
    notes = 0
    try:
        lines = [first_line, *map(_header_line, headers)]
    except _OwnLine:
        lines = [first_line]
        for pair in headers:
            try:
                lines.append(_header_line(pair))
            except _OwnLine as found:
                lines.append(found.line)
                notes |= found.note
    count = lines.count(b"")
    if not count:
        return lines, None, notes
    # Who reads the other of two lengths takes content for the next response (RFC 9112, 11.1).
    if count > 1:
        raise ValueError("Content-Length is repeated")
    return lines, int(headers[lines.index(b"") - 1][1]), notes


class _OwnLine(Exception):
    """A field that the server would send itself: *note* tells which, *line* is the application's."""

    def __init__(self, note: int, line: bytes) -> None:
        super().__init__(note, line)
        self.note = note
        self.line = line


class _HeaderLines(dict[Pair, bytes]):
    """Header to its line, b"" for Content-Length, which has a line of its own; what is missing is written.

    Secrets, long lines, and fields that the server has to know of are not kept.

    Attributes:
        passed_by: how many were not kept so far. Where threads count at once it may be too low, but never
            stays what it was.
    """

    __slots__ = ("passed_by",)

    def __init__(self) -> None:
        super().__init__()
        self.passed_by = 0

    def __missing__(self, pair: Pair) -> bytes:
        if not isinstance(pair, tuple):  # a str of two characters comes apart as well
            raise TypeError(f"a header must be a (name, value) tuple, not {pair!r}")
        name, value = pair
        if not is_token(name):
            raise ValueError(f"malformed header name {name!r}: it must be a token")
        lower = name.lower()
        if lower in CONNECTION_FIELDS:
            raise ValueError(f"header {name!r} belongs to the connection, which is the server's")
        # "Field values containing CR, LF, or NUL characters are invalid and dangerous" (RFC 9110, 5.5)
        if has_forbidden(value):
            raise ValueError(f"control character in the value of header {name!r}")
        value = value.strip(OWS)
        if lower == "content-length":
            if len(value) > _CACHED_LENGTH or parse_content_length(value) is None:
                raise ValueError(f"malformed Content-Length {value!r}: it must be a number of bytes")
            line = b""
        else:
            line = f"{name}: {value}\r\n".encode("latin-1")
            if lower in _NOTES:
                self.passed_by += 1
                raise _OwnLine(_NOTES[lower], line)
            if lower in SECRET_RESPONSE_FIELDS or len(line) > _CACHED_LENGTH:
                self.passed_by += 1
                return line
        if len(self) >= _CACHE_SIZE:
            self.clear()
        self[pair] = line
        return line


_header_lines: Final = _HeaderLines()
_header_line: Final = _header_lines.__getitem__


def early_hints(headers: Iterable[Pair]) -> bytes:
    """Write a 103 (Early Hints) response (RFC 8297). Raises ValueError as `response_head` does."""
    # "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx
    # (Informational) or 204 (No Content)" (RFC 9110, 8.6): who hints at what the response will say may name
    # it.
    lines, _, _ = _field_lines(status_line("103 Early Hints"), [*headers])
    lines.append(b"\r\n")
    return b"".join(lines)


def chunk_start(size: int) -> bytes:
    """Write the size line of a chunk whose payload (1 byte or more) goes out uncopied before `CHUNK_END`."""
    return b"%x\r\n" % size


def refusal_response(refusal: Refusal, own_lines: bytes, *, bodiless: bool = False) -> bytes:
    """Write the whole response to a refused request; the connection closes behind it.

    Args:
        refusal: what to answer.
        own_lines: Date and Server, each with its CR LF.
        bodiless: whether the request is known to be HEAD.
    """
    content = refusal.sentence.encode("ascii") + b"\n"
    # 405, 414 and 501 are among the statuses that a cache may keep unasked (RFC 9110, 15.1).
    head = response_head(
        refusal.status,
        [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(content))),
            ("Cache-Control", "no-store"),
        ],
        own_lines + CONNECTION_CLOSE,
    )
    return head if bodiless else head + content
