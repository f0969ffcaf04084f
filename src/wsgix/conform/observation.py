"""What the strict watch knows of one call of an application, and what a rule finds in it.

Here lives bookkeeping only: it notes what passed each point, in the words that the rules need, and judges
nothing. `conform.strict` writes it; the observers of `conform.rules` read it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from wsgix.conform import decisions
from wsgix.conform.points import Checks, Exchange

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsgix.conform.rule import Judgement
    from wsgix.types import WSGIApplication


class Finding(NamedTuple):
    """What an observer returns when a rule was not kept; None when it was.

    `seen` and `wanted` are one line each.
    """

    seen: str
    wanted: str


class Observation(Exchange):
    """One call of an application, as far as it has come.

    Like every exchange it refers to no environ, no stream and no exception, so that nothing of the request
    outlives it. Sizes are in bytes.
    """

    __slots__ = (
        "begun",
        "bodiless",
        "breach",
        "code",
        "consumed",
        "content",
        "declared",
        "fields",
        "file_wrapper",
        "for_head",
        "found",
        "handled",
        "input_length",
        "is_bare",
        "items",
        "length",
        "made",
        "memory",
        "method",
        "path",
        "refusal",
        "returned",
        "status",
        "written",
    )

    def __init__(self, checks: Checks, application: WSGIApplication | None = None) -> None:
        super().__init__(checks, application)
        self.found: set[str] = set()
        """The IDs of the rules that this call has broken: each is told once."""
        self.breach: Judgement | None = None
        """What was raised into the application, which may have trapped it."""
        # The request
        self.method = self.path = ""
        self.for_head = False
        self.input_length: int | None = None
        """CONTENT_LENGTH; None where it tells none, or wsgi.input_terminated says that the end is safe."""
        self.consumed = 0
        """How much of wsgi.input was read."""
        self.handled = 0
        """The identity of the exception that was being handled when the server called."""
        self.file_wrapper: type | None = None
        """The server's wsgi.file_wrapper, where that is a class."""
        self.made: list[Any] = []
        """What it made, where it is a function."""
        # The head
        self.begun = 0
        """How often start_response was called, whatever came of it."""
        self.status: str | None = None
        """The latest status, if it is text; `code` are its first three characters."""
        self.code = ""
        self.fields: list[tuple[str, str]] = []
        """The latest header fields, names in lower case, without those that are no pairs of text."""
        self.declared: int | None = None
        """The Content-Length among them."""
        self.bodiless = False
        """Whether the status forbids content."""
        self.refusal = 0
        """The identity of the exception that start_response raised although it was given exc_info."""
        # The content
        self.returned = False
        """Whether the application has returned its iterable."""
        self.is_bare = False
        """Whether that is text or bytes, so that nothing need be said of its items."""
        self.length: int | None = None
        """The iterable's own len(), where it has one."""
        self.items = 0
        """How many items it has given."""
        self.content = self.written = 0
        """How much content there is so far, and how much of it came through write()."""
        self.memory: dict[str, Any] = {}
        """What a rule notes for itself, under its ID."""

    def note_request(self, environ: dict[str, Any]) -> None:
        """Note what the rules want of the request; what the server spelled wrongly is taken for absent."""
        method, path = environ.get("REQUEST_METHOD"), environ.get("PATH_INFO")
        self.method = method if isinstance(method, str) else ""
        self.path = path if isinstance(path, str) else ""
        self.for_head = method == "HEAD"
        if not environ.get("wsgi.input_terminated"):
            self.input_length = decisions.content_length(environ.get("CONTENT_LENGTH"))
        if (handled := sys.exc_info()[1]) is not None:
            self.handled = id(handled)
        file_wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(file_wrapper, type):
            self.file_wrapper = file_wrapper
        elif callable(file_wrapper):
            environ["wsgi.file_wrapper"] = self._recorded(file_wrapper)

    def _recorded(self, file_wrapper: Callable[..., Any]) -> Callable[..., Any]:
        def wrap(*args: Any, **kwargs: Any) -> Any:
            self.made.append(wrapped := file_wrapper(*args, **kwargs))
            return wrapped

        return wrap

    def is_wrapped_file(self, result: object) -> bool:
        """Tell whether the server will know a result for what its wsgi.file_wrapper made."""
        if self.file_wrapper is not None:
            return isinstance(result, self.file_wrapper)
        return any(result is made for made in self.made)

    def note_start(self, args: tuple[Any, ...]) -> None:
        """Note a head, as far as it can be read."""
        self.begun += 1
        status = args[0] if args else None
        headers = args[1] if len(args) > 1 else None
        if isinstance(status, str):
            self.status = status
            self.code = code = status[:3]
            self.bodiless = decisions.is_bodiless(code) or code == "205"
        else:
            self.status, self.code, self.bodiless = None, "", False
        self.declared = None
        self.fields = fields = []
        if not isinstance(headers, list | tuple):
            return  # an iterator, say: to look into it would empty it
        lengths = []
        for item in headers:
            if isinstance(item, tuple | list) and len(item) == 2:
                name, value = item
                if isinstance(name, str) and isinstance(value, str):
                    fields.append((name := name.lower(), value))
                    if name == "content-length":
                        lengths.append(value)
        if len(lengths) == 1:
            self.declared = decisions.content_length(lengths[0])

    def note_restart(self) -> None:
        """Note that the server iterates over the result, perhaps for a second time."""
        self.items = 0
        self.content = self.written

    @property
    def has_content(self) -> bool:
        """Whether the response may have content at all."""
        return not (self.bodiless or self.for_head)
