"""`wsgi.file_wrapper`: a file as an iterable of blocks, which a gateway may know a faster way to send.

PEP 3333, "Optional Platform-Specific File Handling". It reads; sending is the gateway's part.
"""

import io
from collections.abc import Callable
from typing import Any


class FileWrapper:
    """Turn a file into an iterable of blocks: a plain `wsgi.file_wrapper`.

    Arguments:
        filelike: anything with `read(size)`; a file opened as text gives blocks of text.
        blksize: the size to ask for with each `read()`, in bytes. A block may be shorter.

    Both arguments stay readable as attributes. The wrapper has a `close` exactly if the file has one, and it
    is the file's. Reaching the end closes nothing and is not final: a file that has grown since goes on.

    Source: PEP 3333, "Optional Platform-Specific File Handling".

    >>> from io import BytesIO
    >>> list(FileWrapper(BytesIO(b"abcdefg"), 3))
    [b'abc', b'def', b'g']
    """

    __module__ = "wsgix.util"  # where users know it

    close: Callable[[], object]

    def __init__(self, filelike: Any, blksize: int = 8192) -> None:
        self.filelike = filelike
        self.blksize = blksize
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> "FileWrapper":
        return self

    def __next__(self) -> Any:
        if block := self.filelike.read(self.blksize):
            return block
        raise StopIteration

    def __getitem__(self, key: object) -> Any:
        """Return the next block, whatever the key: iteration as it was before Python 2.2.

        Raises:
            IndexError: at the end of the file.
        """
        if block := self.filelike.read(self.blksize):
            return block
        raise IndexError("the file has no further block")


def has_bytes_of_descriptor(filelike: Any) -> bool:
    """Tell whether reading *filelike* gives the bytes of the file that its `fileno()` names.

    "The semantics [...] should be the same as if the application had returned iter(filelike.read, '')" (PEP
    3333, "Optional Platform-Specific File Handling"). A file that is decompressed or decoded while it is read
    has a descriptor, too. So only what `open` gives in binary mode passes, and what reads through to such a
    file: a temporary file, or an object whose `read` is that of its `file`, as Django's are.
    """
    kind = type(filelike)
    if kind is io.BufferedReader or kind is io.BufferedRandom:
        return type(filelike.raw) is io.FileIO
    if kind is io.FileIO:
        return True
    inner = getattr(filelike, "file", None)
    if inner is None or inner is filelike:
        return False
    reads_through = kind.__module__ == "tempfile" or getattr(filelike, "read", None) == inner.read
    return reads_through and has_bytes_of_descriptor(inner)
