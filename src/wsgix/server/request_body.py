"""The content of a request while it arrives: in memory first, in a temporary file once it is large.

Used by the thread that leads; an application sees it whole or not at all.
"""

import contextlib
import io
from typing import IO, Any, Final

from wsgix.core.framing import CHUNKED
from wsgix.facts.refusals import Refusal
from wsgix.wire.http1 import COMPLETE, NEED_MORE, Step
from wsgix.wire.http1_body import ChunkedBody, LengthBody
from wsgix.wire.limits import Limits

_UNKNOWN_MOST: Final = 1 << 20
"""What is kept in memory of content of which nobody knows how much is to come."""
_SHARE: Final = 8
"""One request may take this part of the memory that all share."""


class Memory:
    """How much content of all requests together may be in memory beyond the buffer of each.

    Attributes:
        free: bytes that are left.
        most_each: bytes that one request may take.
    """

    def __init__(self, size: int) -> None:
        self.free = size
        self.most_each = size // _SHARE


class RequestBody:
    """Collects the content of one request.

    Args:
        framing: a length in bytes, or `CHUNKED`.
        limits: for chunks and trailers.
        buffer: how many bytes of content may stay in memory in any case.
        memory: where more is taken from.

    Attributes:
        size: bytes of content collected so far.
        end: where the content ended in the bytes fed last, once `feed` gave `COMPLETE`.
    """

    __slots__ = ("_decoder", "_file", "_memory", "_pieces", "_room", "_stream", "_taken", "end", "size")

    def __init__(self, framing: int, limits: Limits, buffer: int, memory: Memory) -> None:
        self.size = self.end = 0
        self._memory = memory
        self._taken = 0
        self._room = buffer
        self._pieces: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._decoder: LengthBody | ChunkedBody | None = None
        self._stream: io.BytesIO | None = None
        if framing == CHUNKED:
            self._decoder = ChunkedBody(limits)
        else:
            if framing <= buffer or self._take_memory(framing):
                # Bytes that arrive are put where the application will read them.
                try:
                    self._stream = io.BytesIO(bytes(framing))
                    self._room = framing
                    return
                except MemoryError:  # the process may not have so much: a file takes less at a time
                    self._give_memory()
            self._decoder = LengthBody(framing)

    @property
    def trailers(self) -> list[tuple[str, str]]:
        """The trailer fields of chunked content."""
        return self._decoder.trailers if isinstance(self._decoder, ChunkedBody) else []

    @property
    def room(self) -> memoryview | None:
        """The place of the bytes to come, to be received into and told to `fill`; None if there is none."""
        stream = self._stream
        return None if stream is None else stream.getbuffer()[self.size :]

    def fill(self, size: int) -> None:
        """Note that *size* bytes were received into `room`."""
        self.size += size

    def feed(self, data: bytes, start: int) -> Step | Refusal:
        """Take content from *data*, from index *start* on.

        Raises:
            OSError: the temporary file cannot be written.
        """
        stream = self._stream
        if stream is not None:
            taken = min(len(data) - start, self._room - self.size)
            if taken:
                with stream.getbuffer() as place:
                    place[self.size : self.size + taken] = memoryview(data)[start : start + taken]
                self.size += taken
            self.end = start + taken
            return COMPLETE if self.size == self._room else NEED_MORE
        decoder = self._decoder
        if decoder is None:
            raise AssertionError("content that is not put in its place is decoded")
        step = decoder.feed(data, start, self._write)
        self.end = decoder.end
        return step

    def _write(self, piece: bytes) -> None:
        self.size += len(piece)
        if self._file is not None:
            self._file.write(piece)
            return
        self._pieces.append(piece)
        if self.size > self._room:
            # More is taken in steps that double: it is not known how much is to come.
            wanted = max(self._room, self.size - self._room)
            is_chunked = isinstance(self._decoder, ChunkedBody)
            if is_chunked and self._room + wanted <= _UNKNOWN_MOST and self._take_memory(wanted):
                self._room += wanted
                return
            import tempfile  # it is large, and few ever come here

            self._file = tempfile.TemporaryFile(prefix="wsgix-")  # noqa: SIM115 (closed with the exchange)
            self._file.writelines(self._pieces)
            self._pieces.clear()
            self._give_memory()

    def open(self) -> Any:
        """Return the whole content as a binary stream, at its start."""
        if self._stream is not None:
            return self._stream
        if self._file is None:
            return io.BytesIO(b"".join(self._pieces))
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Give the temporary file and the memory back."""
        self._give_memory()
        if self._file is not None:
            with contextlib.suppress(
                OSError
            ):  # it flushes, and the disk may be full; it is closed all the same
                self._file.close()

    def _take_memory(self, size: int) -> bool:
        memory = self._memory
        if size > memory.free or self._taken + size > memory.most_each:
            return False
        memory.free -= size
        self._taken += size
        return True

    def _give_memory(self) -> None:
        self._memory.free += self._taken
        self._taken = 0
