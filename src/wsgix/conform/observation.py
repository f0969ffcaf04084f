"""What the strict watch knows of one call of an application, and what a rule finds in it.

Here lives bookkeeping only: it notes what passed each point, in the words that the rules need, and judges
nothing. `conform.strict` writes it; the observers of `conform.rules` read it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from wsgix.conform import decisions
from wsgix.conform.points import Exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet

    from wsgix.conform.chunked import ChunkedLook
    from wsgix.conform.rule import Judgement


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

    # What stands here is how every call begins; an object takes what differs as it comes.
    found: frozenset[str] = frozenset()
    """The IDs of the rules that this call has broken: each is told once."""
    breach: Judgement | None = None
    """What was raised into the application, which may have trapped it."""

    # The request
    method = path = ""
    for_head = False
    input_length: int | None = None
    """CONTENT_LENGTH; None where it tells none, or wsgi.input_terminated says that the end is safe."""
    consumed = 0
    """How much of wsgi.input was read."""
    handled = 0
    """The identity of the exception that was being handled when the server called."""
    file_wrapper: type | None = None
    """The server's wsgi.file_wrapper, where that is a class."""
    made: tuple[Any, ...] = ()
    """What it made, where it is a function."""

    # The head
    begun = 0
    """How often start_response was called, whatever came of it."""
    status: str | None = None
    """The latest status, if it is text; `code` are its first three characters."""
    code = ""
    fields: Sequence[tuple[str, str]] = ()
    """The latest header fields, names in lower case, without those that are no pairs of text."""
    names: AbstractSet[str] = frozenset()
    """The names among them."""
    odd = False
    """Whether any header was anything but a tuple of two `str`."""
    unread = False
    """Whether the headers could not be looked at, being no list and no tuple."""
    declared: int | None = None
    """The Content-Length among them, if there is one and it is a number."""
    bodiless = False
    """Whether the status forbids content."""
    refusal = 0
    """The identity of the exception that start_response raised although it was given exc_info."""

    # The content
    returned = False
    """Whether the application has returned its iterable."""
    is_bare = False
    """Whether that is text or bytes, so that nothing need be said of its items."""
    length: int | None = None
    """The iterable's own len(), where it has one."""
    items = 0
    """How many items it has given."""
    content = written = 0
    """How much content there is so far, and how much of it came through write()."""
    since = 0.0
    """When the second item came, in seconds of a monotonic clock."""
    chunks: ChunkedLook | None = None
    """Looks whether the content is chunked, as long as it may be."""

    def note_request(self, environ: dict[str, Any]) -> None:
        """Note what the rules want of the request; what the server spelled wrongly is taken for absent."""
        method, path = environ.get("REQUEST_METHOD"), environ.get("PATH_INFO")
        if type(method) is str:
            self.method = method
            self.for_head = method == "HEAD"
        if type(path) is str:
            self.path = path
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
            wrapped = file_wrapper(*args, **kwargs)
            self.made = (*self.made, wrapped)
            return wrapped

        return wrap

    def is_wrapped_file(self, result: object) -> bool:
        """Tell whether the server will know a result for what its wsgi.file_wrapper made."""
        if self.file_wrapper is not None:
            return issubclass(type(result), self.file_wrapper)
        return any(result is made for made in self.made)

    def note_start(self, args: tuple[Any, ...]) -> None:
        """Note a head, as far as it can be read."""
        self.begun += 1
        status = args[0] if args else None
        if issubclass(type(status), str):
            self.status = status = str.__str__(status)
            self.code = code = status[:3]
            self.bodiless = not decisions.may_have_content(code)
        else:
            self.status, self.code, self.bodiless = None, "", False
        self.odd = False
        self.declared = None
        self.fields = fields = []
        headers = args[1] if len(args) > 1 else ()
        if type(headers) is not list:
            headers = decisions.items_of(headers)
        self.unread = headers is None  # an iterator, say: to look into it would empty it
        for item in headers or ():
            if type(item) is tuple and len(item) == 2:
                name, value = item
                if type(name) is str and type(value) is str:
                    fields.append((name.lower(), value))
                    continue
            self.odd = True
            self._note_odd(item, fields)
        self.names = names = {name for name, _ in fields}
        if "content-length" in names:
            lengths = [value for name, value in fields if name == "content-length"]
            self.declared = decisions.content_length(lengths[0]) if len(lengths) == 1 else None

    @staticmethod
    def _note_odd(item: Any, fields: list[tuple[str, str]]) -> None:
        """Take a header for what it seems to mean, so that the other rules can look at it too."""
        parts = decisions.items_of(item)
        if parts is not None and len(parts) == 2 and all(issubclass(type(part), str) for part in parts):
            name, value = parts
            fields.append((str.lower(name), str.__str__(value)))

    def note_restart(self) -> None:
        """Note that the server iterates over the result, perhaps for a second time."""
        self.items = 0
        self.content = self.written

    def value_of(self, name: str) -> str | None:
        """Return the first value of a header field, its name given in lower case; None if there is none."""
        if name not in self.names:
            return None
        return next(value for other, value in self.fields if other == name)

    @property
    def exchange(self) -> Observation:
        """Itself: what stands at a point, be it a stand-in or the exchange, has an `exchange`."""
        return self

    @property
    def request(self) -> str:
        """The request in two words, for people."""
        return f"{self.method} {self.path}"

    @property
    def has_content(self) -> bool:
        """Whether the response may have content at all."""
        return not (self.bodiless or self.for_head)
