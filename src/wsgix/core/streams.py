"""`wsgi.input` over a stream that goes on after the request: it ends where the content ends.

PEP 3333, "Input and Error Streams": the server "should simulate an end-of-file condition" at
Content-Length. The streams read from any binary file object; they know no socket and no coding.
"""

import io
from collections.abc import Callable
from typing import Any, Final, Protocol

from wsgix.facts.refusals import Refusal

_LINE_LIMIT: Final = 65536


class IncompleteBody(ConnectionAbortedError):
    """The client closed the connection before the end of the request content."""


class RefusedBody(OSError):
    """The request content is malformed or too large: `refusal` says what to answer."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.sentence)
        self.refusal = refusal


class BodyDecoder(Protocol):
    """What `chunked_input` needs of a codec, such as `wire.http1_body.ChunkedBody`."""

    def feed(self, data: bytes, start: int, write: Callable[[bytes], object], /) -> object:
        """Take the bytes from *start* on, give content to *write*; return a refusal or a step."""


class _BoundedReader(io.RawIOBase):
    """The next *length* bytes of *raw*, then end of file."""

    def __init__(self, raw: Any, length: int) -> None:
        # read1() returns what is there; a plain read(n) would wait for all n bytes.
        self._read = raw.read1 if hasattr(raw, "read1") else raw.read
        self._remaining = length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        wanted = min(len(buffer), self._remaining)
        if not wanted:
            return 0
        data = self._read(wanted)
        size = len(data)
        if not size:
            raise IncompleteBody(
                f"the client closed the connection {self._remaining} bytes before the end of its request"
            )
        self._remaining -= size
        buffer[:size] = data
        return size


class _ChunkedReader(io.RawIOBase):
    """The content that *decoder* finds on *raw*, then end of file."""

    def __init__(self, raw: Any, decoder: BodyDecoder, complete: object) -> None:
        self._raw = raw
        self._decoder = decoder
        self._complete = complete
        self._outcome: object = None
        self._content = bytearray()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        content = self._content
        while not content and self._outcome is not self._complete:
            self._decode_line()
        size = min(len(buffer), len(content))
        buffer[:size] = content[:size]
        del content[:size]
        return size

    def _decode_line(self) -> None:
        if isinstance(self._outcome, Refusal):
            raise RefusedBody(self._outcome)
        # A chunked message ends with a line end, so that whole lines never reach into the next request.
        line = self._raw.readline(_LINE_LIMIT)
        if not line:
            raise IncompleteBody("the client closed the connection before the last chunk of its request")
        self._outcome = self._decoder.feed(line, 0, self._content.extend)


def bounded_input(raw: Any, length: int) -> io.BufferedIOBase:
    """Return a `wsgi.input` of the next *length* bytes of *raw*, a binary file object.

    Reading raises `IncompleteBody` if *raw* ends before them.
    """
    if length == 0:
        return io.BytesIO()
    return io.BufferedReader(_BoundedReader(raw, length))


def chunked_input(raw: Any, decoder: BodyDecoder, complete: object) -> io.BufferedIOBase:
    """Return a `wsgi.input` of the chunked content that comes next on *raw*, a binary file object.

    Args:
        raw: is left at the first byte after the content, once that has been read to its end.
        decoder: a new `ChunkedBody`, or what is like it.
        complete: what its `feed` returns at the end of the content.

    Reading raises `IncompleteBody` if *raw* ends before the last chunk, and `RefusedBody` if
    *decoder* refuses.
    """
    return io.BufferedReader(_ChunkedReader(raw, decoder, complete))
