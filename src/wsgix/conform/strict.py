"""The strict face of the referee: `watch`, which holds an application to the rules while it serves.

Here lives how the rules that can be seen between server and application are put at the points of the
exchange, and stand-ins that hide as little as they can: both sides behave under watch as without it. What is
right or wrong is decided by the observers in `conform.rules`. Rules of servers are not looked at: what a
server does wrong is no fault of the application.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from wsgix.conform import decisions, places
from wsgix.conform.observation import Observation
from wsgix.conform.points import Checks, Errors, Input, Write, interpose
from wsgix.conform.rule import Judgement, Means, Profile, Side, Status, Verdict
from wsgix.conform.rules import all_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from types import TracebackType

    from wsgix.conform.observation import Finding
    from wsgix.conform.rule import Rule
    from wsgix.types import WSGIApplication

DEFAULT_PROFILES: Final = frozenset({Profile.PEP3333, Profile.HTTP, Profile.DE_FACTO})
"""All but `STDLIB`, whose own rules forbid what PEP 3333 allows."""


class Breach(AssertionError):
    """A rule was not kept. `judgement` tells which, what was seen and wanted, and where."""

    def __init__(self, judgement: Judgement) -> None:
        super().__init__(judgement)
        self.judgement = judgement

    def __str__(self) -> str:
        judgement = self.judgement
        place = f" ({judgement.where})" if judgement.where else ""
        return (
            f"{judgement.rule.id} {judgement.rule.slug}: seen: {judgement.seen}; "
            f"wanted: {judgement.wanted}{place}"
        )


def watch(
    application: WSGIApplication,
    *,
    profiles: Collection[Profile] = DEFAULT_PROFILES,
    report: Callable[[Judgement], object] | None = None,
) -> WSGIApplication:
    """Wrap an application so that each call of it is held to the rules of `profiles` that bind applications.

    With `report`, that is called with a `Judgement` for each rule that was not kept, once for each call of
    the application, from whichever thread saw it; what the application does goes on to the server unchanged.
    Without it a `Breach` is raised instead, from the call that commits it; if the application traps that, it
    is raised once more where the server asks for the application's result.

    The iterable keeps its `len()`, its `close()` and all other attributes, and what `wsgi.file_wrapper` made
    is returned as it is. `wsgi.input` and `wsgi.errors` are replaced in the server's environ.

    Returns an application that may be called many times and from many threads.
    """
    wanted = frozenset(profiles)
    rules = [
        rule
        for rule in all_rules()
        if rule.binds is Side.APPLICATION and rule.profiles & wanted and rule.status is not Status.REMOVED
    ]
    return interpose(
        application,
        _Bench(rules, report).checks(),
        exchange_class=Observation,
        input_class=_Input,
        errors_class=_Errors,
        write_class=_Write,
        result_class=_stand_in,
    )


class _Bench:
    """Puts rules at the points of an exchange, and says what they find."""

    def __init__(self, rules: Iterable[Rule], report: Callable[[Judgement], object] | None) -> None:
        self.report = report
        self.observers: dict[str, list[tuple[Rule, Callable[..., Finding | None]]]] = {}
        for rule in rules:
            for observer in rule.observers:
                if observer.means is Means.WATCH:
                    self.observers.setdefault(observer.point, []).append((rule, observer.function))

    def find(self, exchange: Observation, rule: Rule, finding: Finding, where: str) -> None:
        if rule.id in exchange.found:
            return
        exchange.found |= {rule.id}
        judgement = Judgement(
            rule=rule,
            verdict=Verdict.FAIL,
            seen=finding.seen,
            wanted=finding.wanted,
            case=f"{exchange.method} {exchange.path}",
            where=where,
        )
        if self.report is not None:
            self.report(judgement)
        else:
            exchange.breach = judgement
            raise Breach(judgement)

    def failed_itself(self, exchange: Observation, rule: Rule, error: Exception) -> None:
        """Tell that an observer failed: that is no fault of the application, and must not disturb it."""
        if self.report is None:
            raise error
        if rule.id not in exchange.found:
            exchange.found |= {rule.id}
            self.report(
                Judgement(
                    rule=rule,
                    verdict=Verdict.HARNESS_FAILED,
                    seen=f"the observer raised a {type(error).__name__}",
                    case=f"{exchange.method} {exchange.path}",
                )
            )

    def checks(self) -> Checks:
        """Return one check for each point; it does the bookkeeping, then asks the observers."""
        find = self.find
        failed_itself = self.failed_itself

        def looks(point: str) -> tuple[tuple[Rule, Callable[..., Finding | None]], ...]:
            return tuple(self.observers.get(point, ()))

        def from_application(point: str) -> Callable[..., None]:
            here = looks(point)

            def check(stand_in: Any, *passing: Any) -> None:
                exchange = stand_in.exchange
                for rule, look in here:
                    try:
                        finding = look(exchange, *passing)
                    except Exception as error:
                        failed_itself(exchange, rule, error)
                    else:
                        if finding is not None:
                            find(exchange, rule, finding, places.of_caller())

            return check

        def environ(exchange: Any, environ: Any) -> None:
            if type(environ) is dict:
                exchange.note_request(environ)

        def input_data(wsgi_input: Any, method: str, data: Any) -> None:
            if type(data) is bytes:
                wsgi_input.exchange.consumed += len(data)
            elif type(data) is list:
                wsgi_input.exchange.consumed += sum(len(line) for line in data if type(line) is bytes)

        started = looks("start_response")

        def start_response(stand_in: Any, args: Any, kwargs: Any) -> None:
            exchange = stand_in.exchange
            exchange.note_start(args)
            for rule, look in started:
                try:
                    finding = look(exchange, args, kwargs)
                except Exception as error:
                    failed_itself(exchange, rule, error)
                else:
                    if finding is not None:
                        find(exchange, rule, finding, places.of_caller())

        def start_refused(stand_in: Any, args: Any, error: BaseException) -> None:
            if len(args) > 2 and args[2] is not None:
                stand_in.exchange.refusal = id(error)

        written = from_application("write")

        def write(stand_in: Any, data: Any) -> None:
            exchange = stand_in.exchange
            if type(data) is bytes:
                exchange.content += len(data)
                exchange.written += len(data)
            written(stand_in, data)

        results = looks("result")

        def result(exchange: Any, iterable: Any) -> None:
            exchange.returned = True
            self.raise_again(exchange)
            if hasattr(type(iterable), "__len__"):
                try:
                    exchange.length = len(iterable)
                except Exception:  # "If a call to len(iterable) succeeds": this one did not
                    exchange.length = None
            for rule, look in results:
                try:
                    finding = look(exchange, iterable)
                except Exception as error:
                    failed_itself(exchange, rule, error)
                else:
                    if finding is not None:
                        find(exchange, rule, finding, places.of_application(exchange.application))

        failures = looks("failed")

        def failed(exchange: Any, error: BaseException) -> None:
            if isinstance(error, Breach):
                return
            self.raise_again(exchange)
            for rule, look in failures:
                try:
                    finding = look(exchange, error)
                except Exception as error:
                    failed_itself(exchange, rule, error)
                else:
                    if finding is not None:
                        find(exchange, rule, finding, places.of_application(exchange.application))

        def reached(stand_in: Any) -> str:
            return places.of_iterator(stand_in.iterator, stand_in.iterable, stand_in.exchange.application)

        items = looks("item")

        def item(stand_in: Any, block: Any) -> None:
            exchange = stand_in.exchange
            if exchange.breach is not None:
                self.raise_again(exchange)
            exchange.items += 1
            if type(block) is bytes:
                exchange.content += len(block)
            for rule, look in items:
                try:
                    finding = look(exchange, block)
                except Exception as error:
                    failed_itself(exchange, rule, error)
                else:
                    if finding is not None:
                        find(exchange, rule, finding, reached(stand_in))

        ends = looks("exhausted")

        def exhausted(stand_in: Any) -> None:
            exchange = stand_in.exchange
            if exchange.breach is not None:
                self.raise_again(exchange)
            for rule, look in ends:
                try:
                    finding = look(exchange)
                except Exception as error:
                    failed_itself(exchange, rule, error)
                else:
                    if finding is not None:
                        find(exchange, rule, finding, reached(stand_in))

        return Checks(
            environ=(environ,),
            input_call=(from_application("input_call"),),
            input_data=(input_data,),
            errors_call=(from_application("errors_call"),),
            attribute=(from_application("attribute"),),
            start_response=(start_response,),
            start_refused=(start_refused,),
            write_call=(from_application("write_call"),),
            write=(write,),
            result=(result,),
            failed=(failed,),
            item=(item,),
            exhausted=(exhausted,),
        )

    @staticmethod
    def raise_again(exchange: Observation) -> None:
        """Raise the breach that was raised before and did not come back: the application trapped it."""
        if exchange.breach is not None:
            raise Breach(exchange.breach)


# The stand-ins


class _Lent:
    """What both streams share: attributes that PEP 3333 does not name are lent, and seen when used."""

    key: str
    exchange: Any

    def _lend(self, stream: object, name: str) -> Any:
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


class _Input(_Lent, Input):
    """`wsgi.input` with all that the server's stream has."""

    key = "wsgi.input"

    def __getattr__(self, name: str) -> Any:
        return self._lend(self.input, name)

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


class _Errors(_Lent, Errors):
    """`wsgi.errors` with all that the server's stream has."""

    key = "wsgi.errors"

    def __getattr__(self, name: str) -> Any:
        return self._lend(self.errors, name)


class _Write(Write):
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


class _Body:
    """The application's iterable for the server: iterates when the server does, and lends all attributes."""

    def __init__(self, iterable: Iterable[bytes], exchange: Observation) -> None:
        self.iterable = iterable
        self.exchange = exchange
        self.iterator: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        exchange = self.exchange
        try:
            self.iterator = iter(self.iterable)
        except BaseException as error:
            for failing in exchange.checks.failed:
                failing(exchange, error)
            raise
        exchange.note_restart()
        return self

    def __next__(self) -> bytes:
        exchange = self.exchange
        if self.iterator is None:
            iter(self)
        try:
            item = next(self.iterator, _END)  # type: ignore[arg-type]  # iter() has just set it
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
        return getattr(self.iterable, name)


class _SizedBody(_Body):
    """One whose `len()` is the application's."""

    def __len__(self) -> int:
        return len(self.iterable)  # type: ignore[arg-type]  # it has one: that is what this class is for


_END: Any = object()


def _stand_in(iterable: Any, exchange: Any) -> Iterable[bytes]:
    """Return what goes to the server: the result itself, if that is to be known again or is no iterable."""
    if exchange.is_wrapped_file(iterable) or not decisions.is_iterable(iterable):
        return iterable  # type: ignore[no-any-return]
    if hasattr(type(iterable), "__len__"):
        return _SizedBody(iterable, exchange)
    return _Body(iterable, exchange)
