"""The strict face of the referee: `watch`, which holds an application to the rules while it serves.

Here lives how the rules that can be seen between server and application are put at the points of the
exchange. What is right or wrong is decided by the observers in `conform.rules`; what stands between the two
sides is in `conform.transparent`. Rules of servers are not looked at: what a server does wrong is no fault of
the application.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wsgix.conform import decisions, places, transparent
from wsgix.conform.observation import Observation
from wsgix.conform.points import Checks, interpose
from wsgix.conform.rule import Judgement, Means, Profile, Side, Verdict
from wsgix.conform.rules import select_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

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
    ignore: Collection[str] = (),
    report: Callable[[Judgement], object] | None = None,
) -> WSGIApplication:
    """Wrap an application so that each call of it is held to the rules of `profiles` that bind applications.

    With `report`, that is called with a `Judgement` for each rule that was not kept, once for each call of
    the application, from whichever thread saw it; what the application does goes on to the server unchanged.
    What `report` itself raises goes to the side whose call brought the finding about.
    Without it a `Breach` is raised instead, from the call that commits it; if the application traps that, it
    is raised once more where the server asks for the application's result.

    The iterable keeps its `len()`, its `close()` and all other attributes, and what `wsgi.file_wrapper` made
    is returned as it is. `wsgi.input` and `wsgi.errors` are replaced in the server's environ.

    Rules whose IDs, or the letters of whose chapters, are in `ignore` are left out.

    Returns an application that may be called many times and from many threads. Raises `ValueError` if
    `ignore` names what is no rule and no chapter.
    """
    rules = select_rules(Side.APPLICATION, profiles, means={Means.WATCH}, ignore=ignore)
    return interpose(
        application,
        _Bench(rules, report).checks(),
        exchange_class=Observation,
        input_class=transparent.Input,
        errors_class=transparent.Errors,
        write_class=transparent.Write,
        result_class=transparent.stand_in_for,
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

    def checks(self) -> Checks:
        """Return one check for each point; it does the bookkeeping, then asks the observers."""
        ask_of_start = self.asking("start_response", 2, _called_from)
        ask_of_written = self.asking("write", 1, _called_from)
        ask_of_result = self.asking("result", 1, _begun_at)
        ask_of_failure = self.asking("failed", 1, _begun_at)
        ask_of_item = self.asking("item", 1, _reached_at)
        ask_of_end = self.asking("exhausted", 0, _reached_at)

        def environ(exchange: Any, environ: Any) -> None:
            if type(environ) is dict:
                exchange.note_request(environ)

        def input_data(wsgi_input: Any, method: str, data: Any) -> None:
            if type(data) is bytes:
                wsgi_input.exchange.consumed += len(data)
            elif type(data) is list:
                wsgi_input.exchange.consumed += sum(len(line) for line in data if type(line) is bytes)

        def start_response(stand_in: Any, args: Any, kwargs: Any) -> None:
            stand_in.exchange.note_start(args)
            ask_of_start(stand_in, args, kwargs)

        def start_refused(stand_in: Any, args: Any, error: BaseException) -> None:
            if len(args) > 2 and args[2] is not None:
                stand_in.exchange.refusal = id(error)

        def write(stand_in: Any, data: Any) -> None:
            size = len(data) if type(data) is bytes else decisions.size_of(data)
            stand_in.exchange.content += size
            stand_in.exchange.written += size
            ask_of_written(stand_in, data)

        def result(exchange: Any, iterable: Any) -> None:
            exchange.returned = True
            self.raise_again(exchange)
            if hasattr(type(iterable), "__len__"):
                try:
                    exchange.length = len(iterable)
                except Exception:  # "If a call to len(iterable) succeeds": this one did not
                    exchange.length = None
            ask_of_result(exchange, iterable)

        def failed(exchange: Any, error: BaseException) -> None:
            if not isinstance(error, Breach):
                self.raise_again(exchange)
                ask_of_failure(exchange, error)

        def item(stand_in: Any, block: Any) -> None:
            exchange = stand_in.exchange
            if exchange.breach is not None:
                self.raise_again(exchange)
            exchange.items += 1
            exchange.content += len(block) if type(block) is bytes else decisions.size_of(block)
            ask_of_item(stand_in, block)

        def exhausted(stand_in: Any) -> None:
            self.raise_again(stand_in.exchange)
            ask_of_end(stand_in)

        return Checks(
            environ=(environ,),
            input_call=(self.asking("input_call", 2, _called_from),),
            input_data=(input_data,),
            errors_call=(self.asking("errors_call", 2, _called_from),),
            attribute=(self.asking("attribute", 2, _called_from),),
            start_response=(start_response,),
            start_refused=(start_refused,),
            write_call=(self.asking("write_call", 2, _called_from),),
            write=(write,),
            result=(result,),
            failed=(failed,),
            item=(item,),
            exhausted=(exhausted,),
        )

    def asking(self, point: str, passing: int, place: Callable[[Any], str]) -> Callable[..., None]:
        """Return a check that asks the observers of one point; `place` tells where it happened.

        The check is called with the stand-in or the exchange that stands at the point, and with as many
        values as `passing` says. It is written out for each number, since each request makes some forty of
        these calls, and one by `*` costs a quarter more.
        """
        observers = tuple(self.observers.get(point, ()))

        def ask(standing: Any) -> None:
            exchange = standing.exchange
            for rule, look in observers:
                try:
                    finding = look(exchange)
                except Exception as error:
                    self.tell_of_fault(exchange, rule, error)
                else:
                    if finding is not None:
                        self.tell(exchange, rule, finding, place(standing))

        def ask_about(standing: Any, one: Any) -> None:
            exchange = standing.exchange
            for rule, look in observers:
                try:
                    finding = look(exchange, one)
                except Exception as error:
                    self.tell_of_fault(exchange, rule, error)
                else:
                    if finding is not None:
                        self.tell(exchange, rule, finding, place(standing))

        def ask_about_two(standing: Any, one: Any, two: Any) -> None:
            exchange = standing.exchange
            for rule, look in observers:
                try:
                    finding = look(exchange, one, two)
                except Exception as error:
                    self.tell_of_fault(exchange, rule, error)
                else:
                    if finding is not None:
                        self.tell(exchange, rule, finding, place(standing))

        return (ask, ask_about, ask_about_two)[passing]

    def tell(self, exchange: Observation, rule: Rule, finding: Finding, where: str) -> None:
        """Report a finding, or raise it where nobody is to be told; of one rule the first only."""
        if rule.id in exchange.found:
            return
        exchange.found |= {rule.id}
        judgement = Judgement(
            rule=rule,
            verdict=Verdict.FAIL,
            seen=finding.seen,
            wanted=finding.wanted,
            case=exchange.request,
            where=where,
        )
        if self.report is not None:
            self.report(judgement)
        else:
            exchange.breach = judgement
            raise Breach(judgement)

    def tell_of_fault(self, exchange: Observation, rule: Rule, error: Exception) -> None:
        """Report that an observer failed: that is no fault of the application, and must not disturb it."""
        if self.report is None:
            raise error
        if rule.id not in exchange.found:
            exchange.found |= {rule.id}
            seen = f"the observer raised a {type(error).__name__}"
            self.report(
                Judgement(rule=rule, verdict=Verdict.HARNESS_FAILED, seen=seen, case=exchange.request)
            )

    @staticmethod
    def raise_again(exchange: Observation) -> None:
        """Raise the breach that was raised before and did not come back: the application trapped it."""
        if exchange.breach is not None:
            raise Breach(exchange.breach)


def _called_from(stand_in: Any) -> str:
    return places.of_caller()


def _begun_at(exchange: Observation) -> str:
    return places.of_application(exchange.application)


def _reached_at(stand_in: Any) -> str:
    return places.of_iterator(stand_in.iterator, stand_in.iterable, stand_in.exchange.application)
