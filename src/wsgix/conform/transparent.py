"""Stand-ins that hide as little as they can: both sides behave with them as without.

The strict watch puts them between a server and an application. They judge nothing: what passes is shown to
the checks of the exchange, as `conform.points` has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from wsgix.conform import decisions, points

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from wsgix.conform.observation import Observation


class _Lent:
    """What both streams share: attributes that PEP 3333 does not name are lent, and seen when used."""

    key: str
    exchange: Any

    def _lend(self, stream: object, name: str) -> Any:
        # The stream is None in a copy that is being made.
        value = getattr(stream, name)
        if name.startswith("__"):
            return value  # Python's own curiosity: copying, pickling, inspecting
        if not callable(value):
            self._use(name)
            return value
        # Who asks `hasattr(stream, "readinto")` first, as Werkzeug does, has another way where there is none:
        # to use it binds him to no server.
        asked = self.__dict__.setdefault("asked", set())
        if name in asked:
            return value
        asked.add(name)

        def method(*args: Any, **kwargs: Any) -> Any:
            self._use(name)
            return value(*args, **kwargs)

        return method

    def _use(self, name: str) -> None:
        for check in self.exchange.checks.attribute:
            check(self, self.key, name)


class Input(_Lent, points.Input):
    """`wsgi.input` with all that the server's stream has."""

    key = "wsgi.input"

    def __getattr__(self, name: str) -> Any:
        return self._lend(self.__dict__.get("input"), name)

    def __iter__(self) -> Iterator[bytes]:
        for check in self.exchange.checks.input_call:
            check(self, "__iter__", ())
        return self._lines(iter(self.input))

    def _lines(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        for line in lines:
            for check in self.exchange.checks.input_data:
                check(self, "__iter__", line)
            yield line

    def __next__(self) -> bytes:
        self._use("__next__")
        return next(self.input)  # type: ignore[call-overload, no-any-return]  # PEP 3333 names no such method

    def __enter__(self) -> Self:
        self._use("__enter__")
        self.input.__enter__()  # type: ignore[attr-defined]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        return self.input.__exit__(kind, error, traceback)  # type: ignore[attr-defined]


class Errors(_Lent, points.Errors):
    """`wsgi.errors` with all that the server's stream has."""

    key = "wsgi.errors"

    def __getattr__(self, name: str) -> Any:
        return self._lend(self.__dict__.get("errors"), name)


class Write(points.Write):
    """`write`, as the server takes it."""

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        checks = self.exchange.checks
        if len(args) == 1 and not kwargs:
            for check in checks.write:
                check(self, args[0])
        else:
            for look in checks.write_call:
                look(self, args, kwargs)
        self.writer(*args, **kwargs)


class Body:
    """The application's iterable for the server: iterates when the server does, and lends all attributes."""

    def __init__(self, iterable: Iterable[bytes], exchange: Observation) -> None:
        self.iterable = iterable
        self.exchange = exchange
        self.iterator: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        if self.iterator is not None:
            return self
        iterator = self._begin()
        if iterator is self.iterable:
            self.iterator = iterator
            return self
        # What can be iterated over twice gives an iterator of its own each time. That is its own iterator in
        # turn: a server that takes the first block, and then the others in a loop, begins once.
        body = Body(self.iterable, self.exchange)
        body.iterator = iterator
        return body

    def _begin(self) -> Iterator[bytes]:
        exchange = self.exchange
        try:
            iterator = iter(self.iterable)
        except BaseException as error:
            for failing in exchange.checks.failed:
                failing(exchange, error)
            raise
        exchange.note_restart()
        return iterator

    def __next__(self) -> bytes:
        exchange = self.exchange
        if self.iterator is None:
            self.iterator = self._begin()
        try:
            item = next(self.iterator, _END)
        except BaseException as error:
            for failing in exchange.checks.failed:
                failing(exchange, error)
            raise
        if item is _END:
            for look in exchange.checks.exhausted:
                look(self)
            raise StopIteration
        for check in exchange.checks.item:
            check(self, item)
        return item

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__.get("iterable"), name)


class SizedBody(Body):
    """One whose `len()` is the application's."""

    def __len__(self) -> int:
        return len(self.iterable)  # type: ignore[arg-type]  # it has one: that is what this class is for


_END: Any = object()


def stand_in_for(iterable: Any, exchange: Any) -> Iterable[bytes]:
    """Return what goes to the server: the result itself, if that is to be known again or is no iterable."""
    if exchange.is_wrapped_file(iterable) or not decisions.is_iterable(iterable):
        return iterable  # type: ignore[no-any-return]
    if hasattr(type(iterable), "__len__"):
        return SizedBody(iterable, exchange)
    return Body(iterable, exchange)
