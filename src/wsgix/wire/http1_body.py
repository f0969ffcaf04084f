"""The content of an HTTP/1.1 request: counted or chunked, from wire bytes to payload. Sans-I/O.

A decoder takes every byte it is shown, up to the end of the content, and hands payload on at once; it keeps
no more than one unfinished line. Bytes are checked before they are skipped.
"""

import re
from collections.abc import Callable
from typing import Final

from wsgix.facts.grammar import HEXDIG, OWS, QDTEXT, QUOTABLE, TCHAR
from wsgix.facts.names import TRAILER_FORBIDDEN_FIELDS
from wsgix.facts.refusals import (
    BAD_CHUNK_END,
    BAD_CHUNK_EXTENSION,
    BAD_CHUNK_SIZE,
    BARE_LF,
    BODY_TOO_LARGE,
    CHUNK_OVERHEAD,
    FORBIDDEN_TRAILER,
    TRAILERS_TOO_LARGE,
    Refusal,
)
from wsgix.wire.fields import Pair, parse_field_line
from wsgix.wire.http1 import COMPLETE, NEED_MORE, Step
from wsgix.wire.limits import DEFAULT_LIMITS, Limits


def _class(characters: str) -> bytes:
    return b"[" + re.escape(characters).encode("latin-1") + b"]"


# "recipients MUST anticipate potentially large hexadecimal numerals" (RFC 9112, 7.1): 16 digits are 64 bits.
_SIZE: Final = b"(" + _class(HEXDIG) + b"{1,16})"
_PLAIN_SIZE: Final = re.compile(_SIZE)
_PLAIN_CHUNK: Final = re.compile(_SIZE + b"\r\n")
_SIZE_AND_REST: Final = re.compile(_SIZE + b"(.*)", re.DOTALL)

# chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )     RFC 9112, 7.1.1
# chunk-ext-val = token / quoted-string
# Each repetition ends where the next class cannot go on, so the match is linear.
_BWS: Final = _class(OWS) + b"*+"
_TOKEN: Final = _class(TCHAR) + b"++"
_QUOTED: Final = b'"(?:' + _class(QDTEXT) + rb"|\\" + _class(QUOTABLE) + b')*+"'
_EXTENSIONS: Final = re.compile(
    b"(?:%b;%b%b(?:%b=%b(?:%b|%b))?)*+" % (_BWS, _BWS, _TOKEN, _BWS, _BWS, _TOKEN, _QUOTED)
)


_WHOLE_CHUNKS: Final = 64
_LAST: Final = b"\r\n0\r\n\r\n"
"""Ends the last chunk with payload and, if no trailers follow, the content."""
_SIZE_LINE: Final = 18
"""Bytes of the longest plain size line, its CR LF included."""
_SIZES_KEPT: Final = 1024

_sizes: Final[dict[bytes, int]] = {}
"""Size lines seen in whole content, without their CR LF, to the size: most clients use few sizes."""


def read_whole_chunks(data: bytes, start: int, most: int) -> tuple[bytes, int] | None:
    """Read chunked content of which all has arrived, in few plain chunks; None leaves it to `ChunkedBody`.

    Args:
        data: what has arrived.
        start: index of its first byte that belongs to the content.
        most: bytes of payload to read here.

    Returns:
        The payload, and where the content ends.
    """
    payloads: list[bytes | memoryview] = []
    view: bytes | memoryview = data
    position = start
    for _ in range(_WHOLE_CHUNKS):
        line_end = data.find(b"\r\n", position, position + _SIZE_LINE)
        if line_end < 0:
            return None
        line = data[position:line_end]
        size = _sizes.get(line)
        if size is None:
            size = _read_size(line)
            if size is None:
                return None
        begin = line_end + 2
        end = begin + size
        most -= size
        if most < 0:
            return None
        if not size:
            return (b"".join(payloads), begin + 2) if data.startswith(b"\r\n", begin) else None
        if payloads and view is data:
            view = memoryview(data)  # with more than one, each is copied once only
        payloads.append(view[begin:end])
        if data.startswith(_LAST, end):
            return b"".join(payloads), end + len(_LAST)
        if not data.startswith(b"\r\n", end):
            return None
        position = end + 2
    return None


def _read_size(line: bytes) -> int | None:
    """Read a size line and keep it; None if it is not plain."""
    if not _PLAIN_SIZE.fullmatch(line):
        return None
    if len(_sizes) >= _SIZES_KEPT:
        _sizes.clear()
    size = _sizes[line] = int(line, 16)
    return size


class LengthBody:
    """Content of a length known beforehand (RFC 9112, 6.2)."""

    __slots__ = ("end", "remaining")

    def __init__(self, length: int) -> None:
        """Take the length in bytes, 0 or more."""
        self.remaining = length
        self.end = 0

    def feed(self, data: bytes, start: int, write: Callable[[bytes], object]) -> Step | Refusal:
        """Take the bytes from `start` on; see `ChunkedBody.feed`. A counted body is never refused."""
        available = len(data) - start
        if available < self.remaining:
            self.remaining -= available
            self.end = len(data)
            if available:
                write(data[start:])
            return NEED_MORE
        self.end = start + self.remaining
        if self.remaining:
            write(data[start : self.end])
            self.remaining = 0
        return COMPLETE


class ChunkedBody:
    """Content in the chunked transfer coding (RFC 9112, 7.1).

    Attributes:
        end: after `COMPLETE`, where the content ends in the bytes fed last.
        size: bytes of payload announced so far.
        trailers: the fields of the trailer section, (name, value) in latin-1, in the order received.
    """

    __slots__ = (
        "_chunks",
        "_in_trailers",
        "_limits",
        "_line",
        "_overhead",
        "_refusal",
        "_remaining",
        "_trailer_size",
        "end",
        "size",
        "trailers",
    )

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        """Take the limits: `body`, those of chunks and those of trailers apply."""
        self._limits = limits
        # Bytes until the end of the chunk, its CR LF included; 0 before a size line or a trailer line.
        self._remaining = 0
        self._line = bytearray()
        self._overhead = 0
        self._chunks = 0
        self._trailer_size = 0
        self._in_trailers = False
        self._refusal: Refusal | None = None
        self.end = 0
        self.size = 0
        self.trailers: list[Pair] = []

    def feed(self, data: bytes, start: int, write: Callable[[bytes], object]) -> Step | Refusal:
        """Take the bytes from `start` on, up to the end of the content.

        Args:
            data: what has arrived and was not fed before.
            start: index of its first byte that belongs to the content.
            write: called with each piece of payload, none of them empty.

        Returns:
            `NEED_MORE`: all was taken. `COMPLETE`: `end` tells where the content ended. Or the refusal, after
            which nothing of the connection may be read; it is given again by every further call.
        """
        position = start
        size = len(data)
        while self._refusal is None:
            if self._remaining:
                position = self._take_chunk(data, position, write)
                if self._remaining:
                    break
            elif not self._line and not self._in_trailers and (plain := _PLAIN_CHUNK.match(data, position)):
                position = plain.end()
                self._begin_chunk(int(plain[1], 16))
            else:
                newline = data.find(b"\n", position)
                stop = newline if newline >= 0 else size
                self._refusal = self._check_size(len(self._line) + stop - position)
                if self._refusal is not None:
                    break
                self._line += data[position:stop]
                if newline < 0:
                    position = size
                    break
                position = newline + 1
                if self._take_line():
                    self.end = position
                    return COMPLETE
        if self._refusal is not None:
            return self._refusal
        self.end = position
        return NEED_MORE

    def _take_chunk(self, data: bytes, position: int, write: Callable[[bytes], object]) -> int:
        """Take payload and the CR LF behind it, as far as they are there; return the new position."""
        payload = self._remaining - 2
        if payload > 0:
            piece = data[position : position + payload]
            if piece:
                write(piece)
            position += len(piece)
            self._remaining -= len(piece)
            if len(piece) < payload:
                return position
        # chunk = chunk-size [ chunk-ext ] CRLF chunk-data CRLF (RFC 9112, 7.1)
        expected = b"\r\n"[-self._remaining :]
        ending = data[position : position + self._remaining]
        if not expected.startswith(ending):
            self._refusal = BAD_CHUNK_END
        self._remaining -= len(ending)
        return position + len(ending)

    def _check_size(self, line: int) -> Refusal | None:
        """Judge the size of a line, whole or not, its CR included: sizes only grow, so the verdict lasts."""
        if self._in_trailers:
            too_large = self._trailer_size + line >= self._limits.trailers
            return TRAILERS_TOO_LARGE if too_large else None
        return CHUNK_OVERHEAD if line > self._limits.chunk_line + 1 else None

    def _take_line(self) -> bool:
        """Take the line that is now whole; tell whether it ended the content."""
        line = bytes(self._line)
        self._line.clear()
        # A single LF is recognised in start-line and fields only (RFC 9112, 2.2): where peers disagree on the
        # end of a size line, requests are smuggled. Here no line ends so.
        if line[-1:] != b"\r":
            self._refusal = BARE_LF
        elif not self._in_trailers:
            self._refusal = self._take_size_line(line[:-1])
        elif line == b"\r":
            return True
        else:
            self._refusal = self._take_trailer(line[:-1])
        return False

    def _take_size_line(self, line: bytes) -> Refusal | None:
        match = _SIZE_AND_REST.fullmatch(line)
        if match is None:
            return BAD_CHUNK_SIZE
        number, rest = match.groups()
        if rest:
            self._overhead += len(rest)
            if self._overhead > self._limits.chunk_overhead:
                return CHUNK_OVERHEAD
            if not _EXTENSIONS.fullmatch(rest):
                return BAD_CHUNK_EXTENSION if b";" in rest else BAD_CHUNK_SIZE
        self._begin_chunk(int(number, 16))
        return self._refusal

    def _begin_chunk(self, size: int) -> None:
        self.size += size
        self._chunks += 1
        if size == 0:
            self._in_trailers = True
        # The smallest chunk is as much work as a large one: some may be small, but not all of a large body.
        elif self._chunks > self._limits.chunk_overhead + self.size // 2:
            self._refusal = CHUNK_OVERHEAD
        elif self.size > self._limits.body:
            self._refusal = BODY_TOO_LARGE
        else:
            self._remaining = size + 2

    def _take_trailer(self, line: bytes) -> Refusal | None:
        self._trailer_size += len(line) + 2
        if len(self.trailers) == self._limits.trailer_fields:
            return TRAILERS_TOO_LARGE
        pair = parse_field_line(line)
        if isinstance(pair, Refusal):
            return pair
        # "Many fields cannot be processed outside the header section because their evaluation is necessary
        # prior to receiving the content" (RFC 9110, 6.5.1)
        if pair[0].lower() in TRAILER_FORBIDDEN_FIELDS:
            return FORBIDDEN_TRAILER
        self.trailers.append(pair)
        return None
