"""The application below a middleware under judgement: of many shapes, and it records how it is treated.

Here live the shapes, each a small application that keeps every rule, and `Below`, which passes as all of them
and notes what the middleware, in the role of a server, does to it. What the notes mean is decided in
`conform.sandwich`, which alone calls in.
"""

from __future__ import annotations

import io
import sys
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from wsgix.conform.words import said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from wsgix.types import StartResponse, WSGIEnvironment

BLOCKS: Final = tuple(bytes(f"<p>{number}: {'block by block ' * 60}</p>\n", "ascii") for number in "1234")
"""Long enough that middleware which compresses finds it worth while."""

HTML: Final = ("Content-Type", "text/html; charset=utf-8")


class BelowFailed(Exception):
    """What the application below raises where its shape is one that fails."""


@dataclass(slots=True)
class Visit:
    """One call of the application below, as it saw it.

    Attributes:
        breaches: what the middleware did that no server may do, one line each.
        yielded: the blocks that were taken from the iterable so far.
        written: the blocks that it gave to `write()`.
        returned: whether it returned an iterable.
        closings: how often `close()` of that was called.
        raised: whether it raised an exception by its shape.
        error: a weak reference to the exception that it gave to `start_response`.
        changed_late: whether `start_response` took exc_info after a block of content had been taken.
    """

    breaches: list[str] = field(default_factory=list)
    yielded: list[bytes] = field(default_factory=list)
    written: list[bytes] = field(default_factory=list)
    returned: bool = False
    closings: int = 0
    raised: bool = False
    error: weakref.ref[BaseException] | None = None
    changed_late: bool = False

    def note(self, breach: str) -> None:
        """Note a breach once."""
        if breach not in self.breaches:
            self.breaches.append(breach)


class Below:
    """The application below: an application whose shape can be changed between two calls of it."""

    def __init__(self) -> None:
        self.shape: Callable[[WSGIEnvironment, StartResponse, Visit], Iterable[bytes]] = one_block
        self.visits: list[Visit] = []
        self.seen = False

    def taken(self) -> list[bytes]:
        """Return the blocks that were taken from all its iterables, in their order."""
        return [block for visit in self.visits for block in visit.yielded]

    def __call__(self, *arguments: Any, **keywords: Any) -> Iterable[bytes]:
        """Be called by the middleware."""
        visit = Visit()
        self.visits.append(visit)
        self.seen = True
        if len(arguments) != 2 or keywords:
            visit.note(
                f"it called the application with {len(arguments)} positional arguments, and {len(keywords)} "
                "by keyword"
            )
        given = (*arguments, *keywords.values())
        environ, start_response = given[0], given[1]
        _check_environ(environ, visit)
        try:
            blocks = self.shape(environ, _Start(start_response, visit), visit)
        except BelowFailed:
            visit.raised = True
            raise
        visit.returned = True
        return _Body(blocks, visit)


class _Start:
    """`start_response` as the middleware gave it, with an eye on what it does."""

    def __init__(self, start_response: Any, visit: Visit) -> None:
        self._start_response = start_response
        self._visit = visit

    def __call__(
        self, status: str, headers: list[tuple[str, str]], *exc_info: Any
    ) -> Callable[[bytes], object]:
        given_error = bool(exc_info)
        try:
            write = self._start_response(status, headers, *exc_info)
        except Exception as error:
            trace = error.__traceback__
            if not exc_info or (trace is not None and trace.tb_next is None and isinstance(error, TypeError)):
                self._visit.note(f"its start_response() raised {type(error).__name__}: {said(error)}")
            raise
        finally:
            del exc_info  # its traceback refers to the frame of the application, and so to itself
        if given_error and any(self._visit.yielded):
            self._visit.changed_late = True
        if not callable(write):
            self._visit.note(f"its start_response() returned {write!r}, which is no write() callable")

        def write_and_note(data: bytes) -> None:
            self._visit.written.append(data)
            if callable(write):
                write(data)

        return write_and_note


class _Body:
    """The iterable: `close()` is on it, and not on what `iter()` gives."""

    def __init__(self, blocks: Iterable[bytes], visit: Visit) -> None:
        self._blocks = blocks
        self._visit = visit

    def __iter__(self) -> Iterator[bytes]:
        return _Blocks(iter(self._blocks), self._visit)

    def close(self) -> None:
        self._visit.closings += 1
        close = getattr(self._blocks, "close", None)
        if close is not None:
            close()


class _Blocks:
    def __init__(self, blocks: Iterator[bytes], visit: Visit) -> None:
        self._blocks = blocks
        self._visit = visit

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._visit.closings:
            self._visit.note("it asked for a block after close()")
        try:
            block = next(self._blocks)
        except BelowFailed:
            self._visit.raised = True
            raise
        self._visit.yielded.append(block)
        return block


_REQUIRED: Final = {
    "REQUEST_METHOD": str,
    "SERVER_NAME": str,
    "SERVER_PORT": str,
    "SERVER_PROTOCOL": str,
    "wsgi.version": tuple,
    "wsgi.url_scheme": str,
    "wsgi.input": object,
    "wsgi.errors": object,
    "wsgi.multithread": object,
    "wsgi.multiprocess": object,
    "wsgi.run_once": object,
}
_METHODS: Final = {
    "wsgi.input": ("read", "readline", "readlines", "__iter__"),
    "wsgi.errors": ("write", "writelines", "flush"),
}


def _check_environ(environ: Any, visit: Visit) -> None:
    """Note what PEP 3333, "environ Variables", lets no server do."""
    if type(environ) is not dict:
        visit.note(f"it gave an environ of type {type(environ).__name__}, not dict")
        return
    for key, kind in _REQUIRED.items():
        if key not in environ:
            visit.note(f"it gave an environ without {key}")
        elif not isinstance(environ[key], kind):
            visit.note(f"it gave an environ whose {key} is {environ[key]!r}")
    for key, methods in _METHODS.items():
        for method in methods:
            if key in environ and not hasattr(environ[key], method):
                visit.note(f"it gave a {key} without {method}")
    for key, value in environ.items():
        if type(key) is not str:
            visit.note(f"it gave an environ with the key {key!r}")
        elif "." not in key and key.isupper() and type(value) is not str:
            visit.note(f"it gave an environ whose {key} is {value!r}")
        elif key.isupper() and "." not in key and not _is_latin_1(value):
            visit.note(f"it gave an environ whose {key} holds what is not latin-1: {value!r}")


def _is_latin_1(text: str) -> bool:
    return all(character <= "\xff" for character in text)


# The shapes


def one_block(environ: WSGIEnvironment, start_response: StartResponse, visit: Visit) -> Iterable[bytes]:
    """Return a list of one block, with its length."""
    start_response("200 OK", [HTML, ("Content-Length", str(len(BLOCKS[0])))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [BLOCKS[0]]


def several_blocks(environ: WSGIEnvironment, start_response: StartResponse, visit: Visit) -> Iterable[bytes]:
    """Start at once, and return a generator of several blocks."""
    start_response("200 OK", [HTML])
    return iter(BLOCKS)


def late_start(environ: WSGIEnvironment, start_response: StartResponse, visit: Visit) -> Iterator[bytes]:
    """Call `start_response` when the first block is asked for."""
    start_response("200 OK", [HTML])
    yield from BLOCKS


def empty_blocks(environ: WSGIEnvironment, start_response: StartResponse, visit: Visit) -> Iterable[bytes]:
    """Yield empty blocks before, between and after the others."""
    start_response("200 OK", [HTML])
    return iter([b"", BLOCKS[0], b"", BLOCKS[1], b""])


def start_after_empty_block(
    environ: WSGIEnvironment, start_response: StartResponse, visit: Visit
) -> Iterator[bytes]:
    """Yield an empty block before `start_response` was called."""
    yield b""
    start_response("200 OK", [HTML])
    yield BLOCKS[0]


def no_block(environ: WSGIEnvironment, start_response: StartResponse, visit: Visit) -> Iterable[bytes]:
    """Return an empty list."""
    start_response("200 OK", [("Content-Length", "0")])
    return []


def no_content(environ: WSGIEnvironment, start_response: StartResponse, visit: Visit) -> Iterable[bytes]:
    """Answer with 204."""
    start_response("204 No Content", [])
    return []


def redirect(environ: WSGIEnvironment, start_response: StartResponse, visit: Visit) -> Iterable[bytes]:
    """Answer with a redirection, and two cookies."""
    start_response(
        "302 Found",
        [("Location", "/elsewhere"), ("Content-Length", "0"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")],
    )
    return []


def writer(environ: WSGIEnvironment, start_response: StartResponse, visit: Visit) -> Iterable[bytes]:
    """Write two blocks, then return a third."""
    write = start_response("200 OK", [HTML])
    write(BLOCKS[0])
    write(BLOCKS[1])
    return [BLOCKS[2]]


def echo(environ: WSGIEnvironment, start_response: StartResponse, visit: Visit) -> Iterable[bytes]:
    """Send back what came."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def file(environ: WSGIEnvironment, start_response: StartResponse, visit: Visit) -> Iterable[bytes]:
    """Return a file, by `wsgi.file_wrapper` if there is one."""
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", "3000")])
    content = io.BytesIO(b"0123456789" * 300)
    if "wsgi.file_wrapper" in environ:
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](content, 1000)
        return wrapped
    return iter(lambda: content.read(1000), b"")


def error_page(environ: WSGIEnvironment, start_response: StartResponse, visit: Visit) -> Iterable[bytes]:
    """Start a page, fail, and start an error page in its place, with exc_info."""
    start_response("200 OK", [HTML])
    try:
        raise BelowFailed("before there was any content")
    except BelowFailed as error:
        visit.error = weakref.ref(error)
        start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"Sorry"]


def late_error(environ: WSGIEnvironment, start_response: StartResponse, visit: Visit) -> Iterator[bytes]:
    """Fail after a block, and try to start an error page: `start_response` has to raise the error again."""
    start_response("200 OK", [HTML])
    yield BLOCKS[0]
    try:
        raise BelowFailed("after some content")
    except BelowFailed as error:
        visit.error = weakref.ref(error)
        start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
    yield b"Sorry"


def fails_at_once(environ: WSGIEnvironment, start_response: StartResponse, visit: Visit) -> Iterable[bytes]:
    """Raise an exception before anything else."""
    raise BelowFailed("at once")


def fails_in_iteration(
    environ: WSGIEnvironment, start_response: StartResponse, visit: Visit
) -> Iterator[bytes]:
    """Raise an exception after one block."""
    start_response("200 OK", [HTML])
    yield BLOCKS[0]
    raise BelowFailed("after a block")
