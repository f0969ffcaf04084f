"""The content of a request while it arrives: in memory first, in a temporary file once it is large.

Used by the thread that leads; an application sees it whole or not at all.
"""

import contextlib
import io
import tempfile
from typing import IO, Any

from wsgix.core.framing import CHUNKED
from wsgix.facts.refusals import Refusal
from wsgix.wire.http1 import Step
from wsgix.wire.http1_body import ChunkedBody, LengthBody
from wsgix.wire.limits import Limits


class RequestBody:
    """Collects the content of one request.

    Attributes:
        size: bytes of content collected so far.
    """

    __slots__ = ("_buffer", "_decoder", "_file", "_pieces", "size")

    def __init__(self, framing: int, limits: Limits, buffer: int) -> None:
        """Take the framing (a length in bytes, or `CHUNKED`) and how many bytes may stay in memory."""
        self._decoder = ChunkedBody(limits) if framing == CHUNKED else LengthBody(framing)
        self._pieces: list[bytes] = []
        self._file: IO[bytes] | None = None
        self.size = 0
        self._buffer = buffer

    @property
    def end(self) -> int:
        """Where the content ended in the bytes fed last, once `feed` gave `COMPLETE`."""
        return self._decoder.end

    @property
    def trailers(self) -> list[tuple[str, str]]:
        """The trailer fields of chunked content."""
        return self._decoder.trailers if isinstance(self._decoder, ChunkedBody) else []

    def feed(self, data: bytes, start: int) -> Step | Refusal:
        """Take content from *data*, from index *start* on.

        Raises:
            OSError: the temporary file cannot be written.
        """
        return self._decoder.feed(data, start, self._write)

    def _write(self, piece: bytes) -> None:
        self.size += len(piece)
        if self._file is not None:
            self._file.write(piece)
            return
        self._pieces.append(piece)
        if self.size > self._buffer:
            self._file = tempfile.TemporaryFile(prefix="wsgix-")  # noqa: SIM115 (closed with the exchange)
            self._file.writelines(self._pieces)
            self._pieces.clear()

    def open(self) -> Any:
        """Return the whole content as a binary stream, at its start."""
        if self._file is None:
            return io.BytesIO(b"".join(self._pieces))
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Give the temporary file back."""
        if self._file is not None:
            with contextlib.suppress(
                OSError
            ):  # it flushes, and the disk may be full; it is closed all the same
                self._file.close()
