"""Play the server, in this process: one call of an application, step by step.

Here live the request that a scenario makes up, the environ that it becomes, and `Call`, which does what
PEP 3333 asks of a server and no more, so that a scenario may stop, repeat or spoil any step. What is right
or wrong is not decided here: the watch around the application and the scenarios do that. `conform.drive` and
`conform.sandwich` call in. Nothing here has a socket, a thread or a clock.
"""

from __future__ import annotations

import inspect
import io
import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from wsgix.conform.words import shown_short
from wsgix.facts.names import UNPREFIXED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from wsgix.conform.rule import Judgement
    from wsgix.types import WSGIApplication

END: Final = object()
"""What `Call.next_block` returns when there is no block: the iterable is exhausted, or a step has failed."""

BLOCKS_AT_MOST: Final = 1000
"""After so many blocks of one response it counts as endless, and is closed early."""

BYTES_AT_MOST: Final = 4 * 1024 * 1024
"""After so many bytes of one response it is closed early."""


ENDS_AT_MOST: Final = 1000
"""So often `wsgi.input` says that there is no more, before it raises `EndlessReader`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as a scenario makes it up.

    Attributes:
        method: REQUEST_METHOD.
        path: PATH_INFO: the decoded bytes of the path, as latin-1.
        query: QUERY_STRING.
        fields: header fields, (name, value) in latin-1.
        body: what `wsgi.input` gives.
        length: the Content-Length that is declared; None: that of the body, and none without a body.
        without: environ variables to leave out.
        more: environ variables to add or to replace.
        title: what the request is called in a finding; empty: method and path.
    """

    method: str = "GET"
    path: str = "/"
    query: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    length: int | None = None
    without: frozenset[str] = frozenset()
    more: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""

    def __str__(self) -> str:
        return self.title or f"{self.method} {self.path}"

    def but(self, **changes: Any) -> Request:
        """Return this request with other attributes."""
        return replace(self, **changes)


class ClientVanished(Exception):
    """What the player raises where a scenario spoils a step: reading the input, starting or writing."""


class Errors(io.StringIO):
    """`wsgi.errors`: keeps what is written, and stays open."""

    def close(self) -> None:
        """Do nothing: the watch has seen the call, and what was written is still wanted."""


class EndlessReader(Exception):
    """What the player raises in an application that goes on reading although there is nothing any more."""


class Input(io.BytesIO):
    """`wsgi.input`: gives `body` and then the end, whatever length was declared.

    It has more than PEP 3333 names, as many servers' streams do: the watch sees who takes that for granted.

    Attributes:
        used: whether anything was read.
        ends: how often it said that there is no more.
    """

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.used = False
        self.ends = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes; b"" at the end."""
        self._begin()
        return self._seen(super().read(size), size)

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return the next line, of it up to `size` bytes; b"" at the end."""
        self._begin()
        return self._seen(super().readline(size), size)

    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        """Return the lines that are left, or some of them that come to about `hint` bytes."""
        self._begin()
        lines = super().readlines(hint)
        self._seen(b"".join(lines), hint)
        return lines

    def _begin(self) -> None:
        self.used = True

    def _seen(self, data: bytes, size: int | None) -> bytes:
        if not data and size != 0:
            self.ends += 1
            # A loop that waits for the rest would spin for ever, in a thread that nobody can stop.
            if self.ends > ENDS_AT_MOST:
                raise EndlessReader("the application goes on reading after the end of wsgi.input")
        return data

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line


class BrokenInput(Input):
    """`wsgi.input` of a client that vanished: each reading raises."""

    def __init__(self) -> None:
        super().__init__(b"")

    def _begin(self) -> None:
        super()._begin()
        raise ClientVanished("the client vanished before it had sent its content")


class FileWrapper:
    """`wsgi.file_wrapper` (PEP 3333, "Optional Platform-Specific File Handling"); notes how it was called.

    It takes whatever it is given, since what the application gives it is what a scenario judges.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, *arguments: Any, **keywords: Any) -> Iterator[bytes]:
        """Return an iterable over a file, whose first argument it is and whose block size is the second."""
        self.calls.append((arguments, keywords))
        given: list[Any] = [*arguments, *keywords.values(), None, None]
        file, size = given[:2]
        if not can_be_read(file):
            return iter(())
        return _File(file, size if isinstance(size, int) and size > 0 else 8192)


def can_be_read(file: object) -> bool:
    """Tell whether an object has "a read() method that takes an optional size argument" (PEP 3333)."""
    read = getattr(file, "read", None)
    if not callable(read):
        return False
    try:
        signature = inspect.signature(read)
        signature.bind()
        signature.bind(8192)
    except TypeError:
        return False
    except ValueError:  # it is written in C and does not tell
        return True
    return True


class _File:
    def __init__(self, file: Any, block_size: int) -> None:
        self.file = file
        self.block_size = block_size
        if hasattr(file, "close"):
            self.close = file.close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block: bytes = self.file.read(self.block_size)
        if not block:
            raise StopIteration
        return block


def make_environ(request: Request, wsgi_input: Any, wsgi_errors: Any) -> dict[str, Any]:
    """Return the environ of a request, new and complete (PEP 3333, "environ Variables")."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": wsgi_input,
        "wsgi.errors": wsgi_errors,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper(),
    }
    if request.body or request.length is not None:
        length = len(request.body) if request.length is None else request.length
        environ["CONTENT_LENGTH"] = str(length)
    for name, value in request.fields:
        environ[variable_of(name)] = value
    environ.update(request.more)
    for variable in request.without:
        environ.pop(variable, None)
    return environ


def variable_of(name: str) -> str:
    """Return the environ variable of a request field: "Accept-Language" is HTTP_ACCEPT_LANGUAGE."""
    return UNPREFIXED.get(name.lower()) or "HTTP_" + name.upper().replace("-", "_")


class Call:
    """One call of an application, as a server makes it.

    `begin`, `next_block` and `close` are the steps; `finish` takes all that are left. None of them raises:
    what comes out of the application is kept in `error`, and ends the call but for `close`.

    Attributes:
        request, environ: what the application was called with.
        errors: what it wrote to `wsgi.errors`.
        starts: (status, headers, whether exc_info was given) of each `start_response` that was accepted.
        written, blocks: the bytes that went through `write`, and that the iterable yielded.
        error: what escaped from the application; None where nothing did.
        stage: in which step it did: "call", "iteration" or "close"; "" where nothing did.
        ended: whether the iterable was exhausted.
        findings: what the watch has judged of this call.
        refused: what the player raised in `start_response` or `write` because the application broke the
            order of calls, or because a scenario wanted it.
    """

    def __init__(
        self,
        application: WSGIApplication,
        request: Request,
        *,
        wsgi_input: Input | None = None,
        on_start: Callable[[Call, bool], object] | None = None,
        on_write: Callable[[Call], object] | None = None,
    ) -> None:
        """Prepare a call.

        `on_start` and `on_write` run when the application calls `start_response` (the second argument tells
        whether with exc_info) or `write`, before the player does; what they raise reaches the application.
        """
        self.application = application
        self.request = request
        self.input = Input(request.body) if wsgi_input is None else wsgi_input
        self.errors = Errors()
        self.environ = make_environ(request, self.input, self.errors)
        self.starts: list[tuple[Any, Any, bool]] = []
        self.written: list[bytes] = []
        self.blocks: list[bytes] = []
        self.error: BaseException | None = None
        self.stage = ""
        self.ended = False
        self.findings: list[Judgement] = []
        self.refused: list[BaseException] = []
        self.head_sent = False
        self._on_start = on_start
        self._on_write = on_write
        self._result: Any = None
        self._iterator: Iterator[Any] | None = None
        self._closed = False

    # What was answered

    @property
    def status(self) -> str:
        """The status that stands, "200 OK"; empty where none was given."""
        if not self.starts:
            return ""
        status = self.starts[-1][0]
        return str.__str__(status) if isinstance(status, str) else shown_short(status)

    @property
    def code(self) -> int:
        """The status code; 0 where there is none."""
        digits = self.status[:3]
        return int(digits) if len(digits) == 3 and digits.isascii() and digits.isdigit() else 0

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The header fields that stand, names in lower case; what is no pair of str is left out."""
        if not self.starts:
            return []
        headers = self.starts[-1][1]
        pairs = [pair for pair in headers if type(pair) is tuple and len(pair) == 2] if headers else []
        return [(name.lower(), value) for name, value in pairs if type(name) is type(value) is str]

    @property
    def content(self) -> bytes:
        """All bytes of the content that came."""
        return b"".join(self.written + self.blocks)

    @property
    def failed(self) -> bool:
        """Whether the server would have had to answer instead of the application, or to abort."""
        return self.error is not None or not self.starts

    # The steps

    def begin(self, start_response: Callable[..., Any] | None = None) -> Call:
        """Call the application, with another `start_response` than this call's own where one is given."""
        start_response = start_response or self.start_response
        try:
            self._result = self.application(self.environ, start_response)
        except BaseException as error:
            self._note(error, "call")
        return self

    def next_block(self) -> Any:
        """Ask the iterable for its next block and return it, or `END`."""
        if self.error is not None or self.ended or self._closed or self._result is None:
            return END
        try:
            if self._iterator is None:
                self._iterator = iter(self._result)
            block = next(self._iterator)
        except StopIteration:
            self.ended = True
            return END
        except BaseException as error:
            self._note(error, "iteration")
            return END
        if isinstance(block, bytes):
            self.blocks.append(block)
            self.head_sent = self.head_sent or bytes.__len__(block) > 0
        return block

    def close(self) -> Call:
        """Call `close()` of the iterable, if it has one; once, however often this is called."""
        if self._result is not None and not self._closed:
            self._closed = True
            try:
                close = getattr(self._result, "close", None)
                if close is not None:
                    close()
            except BaseException as error:
                self._note(error, "close")
        # A result that is held would hide from the watch that it was let go.
        self._result = self._iterator = None
        return self

    def finish(self, blocks: int = BLOCKS_AT_MOST) -> Call:
        """Iterate over what is left, at most `blocks` blocks, and close."""
        size = 0
        for _ in range(blocks):
            block = self.next_block()
            if block is END:
                break
            size += bytes.__len__(block) if isinstance(block, bytes) else 0
            if size > BYTES_AT_MOST:
                break
        return self.close()

    def forget(self) -> None:
        """Let go of the content; how many blocks there were is still known."""
        self.written = [b""] * len(self.written)
        self.blocks = [b""] * len(self.blocks)

    # What the application calls

    def start_response(self, status: Any, headers: Any, exc_info: Any = None, /) -> Callable[[bytes], None]:
        """Take the head, as PEP 3333, "The start_response() Callable", has it."""
        try:
            if self._on_start is not None:
                self._spoil(self._on_start, bool(exc_info))
            if exc_info:
                if self.head_sent and isinstance(exc_info, tuple) and len(exc_info) == 3:
                    raise exc_info[1].with_traceback(exc_info[2])
            elif self.starts:
                self._refuse(AssertionError("start_response() was called again, without exc_info"))
        finally:
            started = bool(exc_info)
            exc_info = None  # it refers to a traceback, which refers to this frame
        self.starts.append((status, headers, started))
        return self.write

    def write(self, data: bytes) -> None:
        """Take a block of content."""
        if self._on_write is not None:
            self._spoil(self._on_write)
        if isinstance(data, bytes):
            self.written.append(data)
            self.head_sent = self.head_sent or bytes.__len__(data) > 0

    def _spoil(self, spoil: Callable[..., object], *arguments: object) -> None:
        try:
            spoil(self, *arguments)
        except BaseException as error:
            self.refused.append(error)
            raise

    def _refuse(self, error: BaseException) -> None:
        self.refused.append(error)
        raise error

    def _note(self, error: BaseException, stage: str) -> None:
        if self.error is None:
            self.error, self.stage = error, stage


def place_of(error: BaseException) -> str:
    """Return where an exception arose, "app.py:12 in index": the innermost place outside of the referee.

    Empty where all of it is the referee's.
    """
    return _place(error.__traceback__)


def _place(trace: TracebackType | None) -> str:
    place = ""
    for frame, line in traceback.walk_tb(trace):
        filename = frame.f_code.co_filename
        if not filename.startswith(_OWN_CODE):
            place = f"{_shorten(filename)}:{line} in {frame.f_code.co_qualname}"
    return place


_OWN_CODE: Final = str(Path(__file__).parent)


def _shorten(filename: str) -> str:
    try:
        return str(Path(filename).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return filename


def trace_of(error: BaseException) -> str:
    """Return the traceback of an exception as text, from where it enters the application."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OWN_CODE):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))
