"""The types of PEP 3333, for annotations: the names of the standard library's `wsgiref.types`.

Nothing here runs. Anything may import from here, and this module imports nothing of the package.
"""

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Protocol, TypeAlias

__all__ = ["ErrorStream", "FileWrapper", "InputStream", "StartResponse", "WSGIApplication", "WSGIEnvironment"]

_ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType]
_OptExcInfo: TypeAlias = _ExcInfo | tuple[None, None, None]


class StartResponse(Protocol):
    """What an application calls to begin its response (PEP 3333, "The start_response() Callable").

    `status` is text like "200 OK"; `headers` is a list of (name, value) pairs of latin-1 text;
    `exc_info` is what `sys.exc_info()` gave, when an error response replaces one already begun.
    Returns `write(data)`, for applications that cannot return their body as an iterable.
    """

    def __call__(
        self, status: str, headers: list[tuple[str, str]], exc_info: _OptExcInfo | None = ..., /
    ) -> Callable[[bytes], object]: ...


WSGIEnvironment: TypeAlias = dict[str, Any]
"""The request: CGI variables and `wsgi.*` keys. Exactly a dict (PEP 3333, "environ Variables")."""

WSGIApplication: TypeAlias = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]
"""Called once a request; returns the blocks of the body (PEP 3333, "The Application/Framework Side")."""


class InputStream(Protocol):
    """`wsgi.input`: the request body (PEP 3333, "Input and Error Streams").

    Sizes are in bytes; without one, or with a negative one, all that is left is meant.
    """

    def read(self, size: int = ..., /) -> bytes: ...
    def readline(self, size: int = ..., /) -> bytes: ...
    def readlines(self, hint: int = ..., /) -> list[bytes]: ...
    def __iter__(self) -> Iterator[bytes]: ...


class ErrorStream(Protocol):
    """`wsgi.errors`: text for the server's log (PEP 3333, "Input and Error Streams")."""

    def flush(self) -> object: ...
    def write(self, s: str, /) -> object: ...
    def writelines(self, seq: list[str], /) -> object: ...


class _Readable(Protocol):
    """What a file wrapper accepts. A `close()` is optional, and called if there is one."""

    def read(self, size: int = ..., /) -> bytes: ...


class FileWrapper(Protocol):
    """`wsgi.file_wrapper`: makes a response body of a file. `block_size`, in bytes, is a suggestion.

    Source: PEP 3333, "Optional Platform-Specific File Handling".
    """

    def __call__(self, file: _Readable, block_size: int = ..., /) -> Iterable[bytes]: ...
