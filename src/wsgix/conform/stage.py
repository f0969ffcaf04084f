"""What a scenario of the battery works with: the application under the watch, and its findings.

A scenario is a function that takes a `Stage` and yields judgements on its own rules. It calls the application
through the stage only, so that each call is watched, noted and seen by the watchdog. `conform.drive` makes
one stage for each scenario; nobody else does.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from wsgix.conform import watch
from wsgix.conform.play import Call, Request, place_of, trace_of
from wsgix.conform.rule import Evidence, Judgement, Rule, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from wsgix.conform.rule import Profile
    from wsgix.types import WSGIApplication


class Stage:
    """The application, ready to be called by one scenario.

    Attributes:
        scenario: the name of the scenario.
        paths: the paths to ask for, at least one.
        calls: every call made so far.
        unsound: why no path answered the plain request well, so that nothing could be compared; else empty.
        hung, broken: how it ended, where it did not end well; `conform.drive` notes it.
        seen_at: when the scenario last showed life, on the monotonic clock, in seconds.
        doing: what it does now, in words.
    """

    def __init__(
        self,
        application: WSGIApplication,
        scenario: str,
        paths: tuple[str, ...],
        fields: tuple[tuple[str, str], ...],
        profiles: frozenset[Profile],
    ) -> None:
        self.application = application
        self.scenario = scenario
        self.paths = paths
        self.calls: list[Call] = []
        self.unsound = ""
        self.hung = False
        self.broken: BaseException | None = None
        self.seen_at = time.monotonic()
        self.doing = ""
        self._compared = False
        self._fields = fields
        self.profiles = profiles

    def request(self, *, target: str = "", **attributes: Any) -> Request:
        """Return a request that has the fields that the user wants in each.

        Without a `path` it is for `target`, as it stands in a request line; the first of `paths` by default.
        """
        fields = (*self._fields, *attributes.pop("fields", ()))
        if "path" not in attributes:
            path, _, query = (target or self.paths[0]).partition("?")
            attributes = {"path": unquote_to_bytes(path).decode("latin-1"), "query": query, **attributes}
        return Request(**attributes, fields=fields)

    def requests(self, **attributes: Any) -> Iterator[Request]:
        """Yield the request for each path; what was answered to those before is forgotten."""
        for target in self.paths:
            yield self.request(target=target, **attributes)
            self.forget()

    def open(self, request: Request, *, watched: bool = True, **faults: Any) -> Call:
        """Make a call, the application under the watch, and take no step; `faults` are those of `Call`."""

        def report(judgement: Judgement) -> None:
            call.findings.append(replace(judgement, case=self.case_of(request)))

        application = self.application
        if watched:
            application = watch(application, profiles=self.profiles, report=report)
        call = Call(application, request, **faults)
        self.calls.append(call)
        self.show_life(str(request))
        return call

    def run(self, request: Request, **faults: Any) -> Call:
        """Make a call and take all its steps."""
        return self.open(request, **faults).begin().finish()

    def show_life(self, doing: str) -> None:
        """Tell the watchdog that the scenario is alive, and what it does."""
        self.seen_at = time.monotonic()
        self.doing = doing

    def forget(self) -> None:
        """Let go of the content of each call so far: kept to the end, that of many paths fills the memory."""
        for call in self.calls:
            call.forget()

    # Judgements

    def fail(self, rule: Rule, call: Call, seen: str, wanted: str) -> Judgement:
        """Judge that a call broke a rule; an exception that escaped is shown as evidence."""
        error = call.error
        return Judgement(
            rule,
            Verdict.FAIL,
            seen=seen,
            wanted=wanted,
            case=self.case_of(call.request),
            where=place_of(error) if error is not None else "",
            evidence=(Evidence(note=trace_of(error)),) if error is not None else (),
        )

    def tell(self, rule: Rule, call: Call, seen: str, wanted: str) -> Judgement:
        """Note what a call did where it may do either."""
        return Judgement(rule, Verdict.INFORMATION, seen=seen, wanted=wanted, case=self.case_of(call.request))

    def case_of(self, request: Request) -> str:
        """Return what a finding calls the case: the scenario and the request."""
        return f"{self.scenario}: {request}"

    def went_well(self, call: Call) -> bool:
        """Tell whether a call was answered, and not with a server error."""
        return not call.failed and call.code < 500 and not blamed(call)

    def sound(self, requests: Iterable[Request] = ()) -> Iterator[tuple[Request, Call]]:
        """Yield each request and a call with it that went well; by default the plain one for each path.

        The others are skipped: where all are, `unsound` tells.
        """
        for request in requests or self.requests():
            call = self.run(request)
            if self.went_well(call):
                self._compared = True
                self.unsound = ""
                yield request, call
            elif not self._compared:
                self.unsound = f"{request} is answered with {call.status or 'an exception'!r}"

    def is_steady(self, request: Request, value: Callable[[Call], object], wanted: object) -> bool:
        """Tell whether a request gets the same answer many times; what changes by itself proves nothing."""
        for _ in range(STEADY):
            call = self.run(request)
            if value(call) != wanted:
                return False
            call.forget()
        return True


STEADY: Final = 10
"""So often an answer must be the same before a difference is held against an application."""

UPSETTING: Final = frozenset({"A1", "A4", "A6", "A7", "A9", "A10", "B2", "B3", "H19", "I3", "I4"})
"""Rules whose breach upsets the call itself: no server can go on, or the application's own call fails."""


def blamed(call: Call) -> bool:
    """Tell whether the watch found what upsets a call, so that what follows from that is no finding more."""
    return any(one.rule.id in UPSETTING for one in call.findings)
