"""Whether content looks as if it had been chunked already: told block by block, without keeping any of it.

It serves one rule and decodes nothing: the referee does not share the server's decoder.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

_HEXADECIMAL: Final = frozenset(b"0123456789abcdefABCDEF")

# No sane sender writes a size with more digits.
_LONGEST_SIZE: Final = 8


class _At(Enum):
    SIZE = auto()
    SIZE_LF = auto()
    DATA = auto()
    DATA_CR = auto()
    DATA_LF = auto()
    END = auto()
    ELSEWHERE = auto()
    """This is no chunked content."""


class ChunkedLook:
    """Follows content as long as it could be chunks, `chunk-size CRLF chunk-data CRLF`, the last of size 0.

    Source: RFC 9112, 7.1. Chunk extensions and trailers are not looked for.
    """

    __slots__ = ("_at", "_digits", "_left", "_size", "count")

    def __init__(self) -> None:
        self._at = _At.SIZE
        self._digits = 0
        self._size = 0
        self._left = 0
        self.count = 0
        """How many chunks there were, the last, empty one included."""

    @staticmethod
    def may_begin(block: bytes) -> bool:
        """Tell whether content that begins with this block is worth a look."""
        return block[0] in _HEXADECIMAL if block else False

    @property
    def is_chunked(self) -> bool:
        """Whether all content so far was chunks, at least one of them with data, and the last chunk came."""
        return self._at is _At.END and self.count > 1

    def feed(self, block: bytes) -> None:
        """Look at the next block."""
        position, end = 0, len(block)
        while position < end:
            if self._at is _At.ELSEWHERE:
                return
            if self._at is _At.DATA:
                step = min(self._left, end - position)
                self._left -= step
                position += step
                if not self._left:
                    self._at = _At.DATA_CR
            else:
                self._at = self._after(block[position])
                position += 1

    def _after(self, byte: int) -> _At:
        if self._at is _At.SIZE:
            if byte in _HEXADECIMAL and self._digits < _LONGEST_SIZE:
                self._digits += 1
                self._size = self._size * 16 + int(chr(byte), 16)
                return _At.SIZE
            return _At.SIZE_LF if byte == 0x0D and self._digits else _At.ELSEWHERE
        if self._at is _At.SIZE_LF and byte == 0x0A:
            self._left, self._digits = self._size, 0
            self.count += 1
            return _At.DATA if self._size else _At.DATA_CR
        if self._at is _At.DATA_CR and byte == 0x0D:
            return _At.DATA_LF
        if self._at is _At.DATA_LF and byte == 0x0A:
            last, self._size = not self._size, 0
            return _At.END if last else _At.SIZE
        return _At.ELSEWHERE
