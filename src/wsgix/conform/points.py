"""Stand between a WSGI server and an application, and look at every point of their exchange.

Here live the middleware and the stand-ins that it puts in the place of each side's objects. What is right
or wrong is not decided here: `Checks` carries that, one tuple of functions for each point, and the faces
(`wsgix.validate`, the referee) fill it. The stand-ins spell their attributes and parameters as the
standard library does, because `wsgix.validate` shows them to its users.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self, TypeAlias

    from wsgix.types import ErrorStream, InputStream, WSGIApplication

    Arguments: TypeAlias = tuple[Any, ...]
    Keywords: TypeAlias = dict[str, Any]

__all__ = ["Checks", "Errors", "Exchange", "Input", "Result", "StartResponse", "Write", "interpose"]


_END: Any = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What to check, by point of the exchange; the fields stand in the order in which the points are passed.

    The checks of one point run in their order. Each is called with the object that stands at the point and
    with what passes it, as the types below say. Its result is ignored. What it raises goes to the side whose
    call brought it about, the server or the application; what was to pass does not, `close()` excepted.
    """

    call: tuple[Callable[[Exchange, Arguments, Keywords], object], ...] = ()
    """The server calls the application. One of these must refuse anything but two positional arguments."""
    environ: tuple[Callable[[Exchange, Any], object], ...] = ()
    """The environ as it comes, before `wsgi.input` and `wsgi.errors` are replaced. One of these must refuse
    an environ that has not got both."""
    input_call: tuple[Callable[[Input, str, Arguments], object], ...] = ()
    """The application calls a method of `wsgi.input`, given by its name."""
    input_data: tuple[Callable[[Input, str, Any], object], ...] = ()
    """The server's stream answered that call."""
    errors_call: tuple[Callable[[Errors, str, Arguments], object], ...] = ()
    """The application calls a method of `wsgi.errors`; `writelines` arrives here as one `write` a line."""
    attribute: tuple[Callable[[Input | Errors, str, str], object], ...] = ()
    """The application uses an attribute of a stream, of which the key in the environ and the name of the
    attribute are told, that PEP 3333 does not name. The stand-ins here have none; a face may lend them."""
    start_response: tuple[Callable[[StartResponse, Arguments, Keywords], object], ...] = ()
    """The application calls `start_response`."""
    start_refused: tuple[Callable[[StartResponse, Arguments, BaseException], object], ...] = ()
    """The server's `start_response` raised; the exception goes on to the application."""
    write_call: tuple[Callable[[Write, Arguments, Keywords], object], ...] = ()
    """The application calls `write` with anything but one positional argument, where a face lets it."""
    write: tuple[Callable[[Write, Any], object], ...] = ()
    """The application calls the `write` that `start_response` returned, with this data."""
    result: tuple[Callable[[Exchange, Any], object], ...] = ()
    """The application returned. One of these must refuse what cannot be iterated over, unless the stand-in
    for the result can bear it. What is refused is closed here: nobody else gets to see it."""
    failed: tuple[Callable[[Exchange, BaseException], object], ...] = ()
    """The application or its iterable raised; the exception goes on to the server."""
    item: tuple[Callable[[Any, Any], object], ...] = ()
    """The iterable yielded, and the server has not seen the item yet. Called with the stand-in for the
    result, and the item."""
    exhausted: tuple[Callable[[Any], object], ...] = ()
    """The iterable has nothing more to yield. Called with the stand-in for the result."""
    item_after_close: tuple[Callable[[Result], object], ...] = ()
    """The server asks for an item although it called `close()`."""
    close: tuple[Callable[[Result], object], ...] = ()
    """The server calls `close()`; `Result.closed` still tells whether it had done so before."""
    discard: tuple[Callable[[Result], object], ...] = ()
    """The result is garbage collected and `close()` was never called. What is raised here cannot reach
    anybody: Python hands it to `sys.unraisablehook`."""


class Exchange:
    """One call of an application: what the checks of later points may know of earlier ones.

    It refers neither to the environ nor to anything of the server. Both lead back to it, and a cycle would
    hold request bodies until the garbage collector runs, and hide results that nobody closed.
    """

    __slots__ = ("application", "checks", "starts")

    def __init__(self, checks: Checks, application: WSGIApplication | None = None) -> None:
        self.checks = checks
        self.application = application
        """The application under watch, or None where a stand-in was made by hand."""
        self.starts: list[Arguments] = []
        """(status, headers) of each `start_response` call that passed its checks, without the third
        argument: "no reference is held to the exc_info parameter" (PEP 3333, start_response)."""


class _StandIn:
    """What all stand-ins share: the exchange to which they belong.

    `watch` gives each its own; one that was made by hand finds here that nothing is checked.
    """

    exchange: Exchange = Exchange(Checks())


class Input(_StandIn):
    """`wsgi.input` for the application: the methods that PEP 3333 names, and `close` to see it called."""

    def __init__(self, wsgi_input: InputStream) -> None:
        self.input = wsgi_input

    # Each method is written out: one call less counts where a body is read in small pieces.

    def read(self, *args: Any) -> bytes:
        checks = self.exchange.checks
        for check in checks.input_call:
            check(self, "read", args)
        data = self.input.read(*args)
        for check in checks.input_data:
            check(self, "read", data)
        return data

    def readline(self, *args: Any) -> bytes:
        checks = self.exchange.checks
        for check in checks.input_call:
            check(self, "readline", args)
        line = self.input.readline(*args)
        for check in checks.input_data:
            check(self, "readline", line)
        return line

    def readlines(self, *args: Any) -> list[bytes]:
        checks = self.exchange.checks
        for check in checks.input_call:
            check(self, "readlines", args)
        lines = self.input.readlines(*args)
        for check in checks.input_data:
            check(self, "readlines", lines)
        return lines

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def close(self) -> None:
        for check in self.exchange.checks.input_call:
            check(self, "close", ())
        self.input.close()  # type: ignore[attr-defined]  # PEP 3333 names no such method


class Errors(_StandIn):
    """`wsgi.errors` for the application: the methods that PEP 3333 names, and `close` to see it called."""

    def __init__(self, wsgi_errors: ErrorStream) -> None:
        self.errors = wsgi_errors

    def write(self, s: str) -> None:
        for check in self.exchange.checks.errors_call:
            check(self, "write", (s,))
        self.errors.write(s)

    def flush(self) -> None:
        for check in self.exchange.checks.errors_call:
            check(self, "flush", ())
        self.errors.flush()

    def writelines(self, seq: Iterable[str]) -> None:
        for line in seq:
            self.write(line)

    def close(self) -> None:
        for check in self.exchange.checks.errors_call:
            check(self, "close", ())
        self.errors.close()  # type: ignore[attr-defined]  # PEP 3333 names no such method


class Write(_StandIn):
    """The `write` callable for the application."""

    def __init__(self, wsgi_writer: Callable[[bytes], object]) -> None:
        self.writer = wsgi_writer

    def __call__(self, s: bytes) -> None:
        for check in self.exchange.checks.write:
            check(self, s)
        self.writer(s)


class StartResponse(_StandIn):
    """The `start_response` callable for the application."""

    def __init__(
        self, start_response: Callable[..., Any], exchange: Exchange, write_class: type[Write] = Write
    ) -> None:
        self.start_response = start_response
        self.exchange = exchange
        self.write_class = write_class

    def __call__(self, *args: Any, **kwargs: Any) -> Write:
        exchange = self.exchange
        for check in exchange.checks.start_response:
            check(self, args, kwargs)
        # Noted before the server sees the call: one that the server refuses has been made all the same.
        exchange.starts.append(args[:2])
        try:
            writer = self.start_response(*args, **kwargs)
        except BaseException as error:
            for look in exchange.checks.start_refused:
                look(self, args, error)
            raise
        write = self.write_class(writer)
        write.exchange = exchange
        return write


class Result(_StandIn):
    """The application's iterable for the server: an iterator over it, with `close()` and nothing else.

    There is no `len()`: the server cannot tell one that always answers from one that the application
    gave, and would derive a Content-Length from it.
    """

    closed = True  # Until the iterable has proved to be one, there is nothing to close.

    def __init__(self, wsgi_iterator: Iterable[bytes], check_start_response: list[Arguments] | None) -> None:
        self.original_iterator = wsgi_iterator
        self.check_start_response = check_start_response
        """A list that is empty until `start_response` was called; None when that is of no more interest."""
        self.iterator = iter(wsgi_iterator)
        self.closed = False

    @classmethod
    def of(cls, iterable: Iterable[bytes], exchange: Exchange) -> Self:
        """Return the stand-in for what the application of this exchange returned."""
        result = cls(iterable, exchange.starts)
        result.exchange = exchange
        return result

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self.closed:
            for look in self.exchange.checks.item_after_close:
                look(self)
        try:
            item = next(self.iterator, _END)
        except BaseException as error:
            for failing in self.exchange.checks.failed:
                failing(self.exchange, error)
            raise
        if item is _END:
            for look in self.exchange.checks.exhausted:
                look(self)
            raise StopIteration
        for check in self.exchange.checks.item:
            check(self, item)
        return item

    def close(self) -> None:
        try:
            for check in self.exchange.checks.close:
                check(self)
        finally:
            # "must call that method upon completion" (PEP 3333, Specification Details), whatever is found.
            self.closed = True
            if hasattr(self.original_iterator, "close"):
                self.original_iterator.close()

    def __del__(self) -> None:
        if not self.closed:
            for check in self.exchange.checks.discard:
                check(self)


def interpose(
    application: WSGIApplication,
    checks: Checks,
    *,
    exchange_class: type[Exchange] = Exchange,
    input_class: type[Input] = Input,
    errors_class: type[Errors] = Errors,
    write_class: type[Write] = Write,
    result_class: Callable[[Any, Exchange], Iterable[bytes]] = Result.of,
) -> WSGIApplication:
    """Wrap an application so that each call of it passes `checks`.

    `wsgi.input` and `wsgi.errors` are replaced in the environ that the server gave. The classes are those
    of the stand-ins, for a face that has names of its own for them; `result_class` may return anything that
    is to go to the server. What the checks let pass although it cannot be watched, a call with other
    arguments or a stream that is not there, is handed on as it is.

    Returns an application that may be called many times and from many threads. Raises what the checks
    raise, at the point where they do. Source: PEP 3333, "Middleware: Components that Play Both Sides".
    """

    def watched(*args: Any, **kwargs: Any) -> Iterable[bytes]:
        exchange = exchange_class(checks, application)
        for check in checks.call:
            check(exchange, args, kwargs)
        if len(args) != 2 or kwargs:
            return application(*args, **kwargs)
        environ, start_response = args
        for look in checks.environ:
            look(exchange, environ)
        if type(environ) is not dict:
            return application(environ, start_response)
        if "wsgi.input" in environ:
            environ["wsgi.input"] = wsgi_input = input_class(environ["wsgi.input"])
            wsgi_input.exchange = exchange
        if "wsgi.errors" in environ:
            environ["wsgi.errors"] = wsgi_errors = errors_class(environ["wsgi.errors"])
            wsgi_errors.exchange = exchange
        watched_start_response = StartResponse(start_response, exchange, write_class)
        try:
            iterable = application(environ, watched_start_response)
        except BaseException as error:
            for failing in checks.failed:
                failing(exchange, error)
            raise
        try:
            for look in checks.result:
                look(exchange, iterable)
        except BaseException as verdict:
            try:
                if hasattr(iterable, "close"):
                    iterable.close()
            except Exception as error:
                verdict.add_note(f"Its close() raised a {type(error).__name__}.")
            raise
        return result_class(iterable, exchange)

    watched.__wrapped__ = application  # type: ignore[attr-defined]  # as functools.wraps has it
    return watched
