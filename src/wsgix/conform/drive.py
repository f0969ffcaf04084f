"""Judge an application: drive it through every scenario of the battery, and sum up what came of it.

Here live the order of the scenarios, the watchdog over them and the report. The scenarios are in
`conform.scenarios`, what plays the server in `conform.play`. `wsgix check` and the pytest plugin call in, and
`conform.sandwich` for all but the scenarios.
**The application is really called**, with POST and DELETE too: what it does then, it does.
"""

from __future__ import annotations

import datetime
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from wsgix.conform.play import trace_of
from wsgix.conform.rule import (
    Evidence,
    Judgement,
    Level,
    Means,
    Profile,
    Report,
    Rule,
    Side,
    Subject,
    Verdict,
)
from wsgix.conform.rules import select_rules
from wsgix.conform.scenarios import SCENARIOS, Scenario
from wsgix.conform.stage import Stage
from wsgix.conform.words import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from wsgix.conform.play import Call
    from wsgix.types import WSGIApplication

PROFILES: Final = frozenset({Profile.PEP3333, Profile.HTTP, Profile.DE_FACTO})
"""What an application is held to where nothing else is asked for."""

IN_PROCESS: Final = frozenset({Means.WATCH, Means.DRIVE})
"""How rules are observed here."""

TIMEOUT: Final = 10.0
"""So many seconds one step of a scenario may take."""


def drive(
    application: WSGIApplication,
    *,
    name: str = "application",
    paths: Sequence[str] = ("/",),
    fields: Iterable[tuple[str, str]] = (),
    profiles: Iterable[Profile] = PROFILES,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    timeout: float = TIMEOUT,
    progress: Callable[[str], object] = lambda name: None,
) -> Report:
    """Judge an application by every rule that binds applications and that is observed in this process.

    Args:
        application: a WSGI application; it is called some hundred times.
        name: what the report calls it.
        paths: the paths to ask for, as they stand in a request line, with a query or without.
        fields: header fields to send in each request.
        profiles: what to hold it to.
        select, ignore: IDs of rules, or the letters of chapters, to judge by only, and to leave out.
        timeout: seconds that one call may take; a scenario in which one takes longer is abandoned, its
            thread goes on in the background, and what it was to find out counts as not judged.
        progress: is told the name of each scenario when it begins.

    Raises:
        ValueError: `select` or `ignore` names what is no rule and no chapter.
    """
    held_to, paths, fields = frozenset(profiles), tuple(paths), tuple(fields)
    rules = select_rules(Side.APPLICATION, held_to, means=IN_PROCESS, select=select, ignore=ignore)
    started = time.monotonic()
    found: list[Judgement] = []
    tally = Tally()
    fault = silence = ""
    for scenario in SCENARIOS:
        progress(scenario.name)
        stage = Stage(application, scenario.name, paths, fields, held_to)
        found += play(scenario, stage, timeout)
        found += tally.add(stage.calls)
        if scenario is SCENARIOS[0]:
            if stage.hung:
                fault = f"{stage.doing} was not answered within {timeout:g} s; give more by --timeout"
                rules = []
                break
            silence = _tell_silence(stage.calls)
        why = ""
        if any(one.rule.id == "A2" and one.verdict is Verdict.FAIL for one in found):
            why = "the application can be called once only (A2)"
        elif stage.hung and _answers_no_more(application, stage, timeout):
            why = f"the application answers no more since {scenario.name}: {stage.doing}"
        if why:
            left = SCENARIOS[SCENARIOS.index(scenario) + 1 :]
            found += [_unplayed(rule, one, why) for one in left for rule in one.rules()]
            break
    if not any(one.verdict is Verdict.FAIL and one.rule.level.weight >= _GRAVE for one in found):
        fault = fault or silence
    return make_report(name, Side.APPLICATION, rules, found, tally, held_to, started, fault)


_GRAVE: Final = Level.SHOULD.weight


def _tell_silence(calls: Sequence[Call]) -> str:
    """Say that plain requests are answered with server errors only; empty if one is not."""
    if any(not call.failed and call.code < 500 for call in calls):
        return ""
    first = calls[0]
    how = f"is answered with {first.status!r}"
    if first.error is not None:
        how = f"ends in an exception, {type(first.error).__name__}"
    return f"{first.request} {how}, and no other path goes better; see what the log says"


class Tally:
    """What remains of the calls, when what was answered can be forgotten.

    Attributes:
        calls: how many there were.
        touched: the points of `_TOUCHES` that one of them passed.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.touched: set[str] = set()

    def add(self, calls: Sequence[Call]) -> list[Judgement]:
        """Count calls, and return what the watch found in them."""
        found: list[Judgement] = []
        for call in list(calls):  # a thread that was abandoned may still add to them
            self.calls += 1
            self.touched.update(point for point, touches in _TOUCHES.items() if touches(call))
            found += call.findings
        return found


_TOUCHES: Final[dict[str, Callable[[Call], bool]]] = {
    "write": lambda call: bool(call.written),
    "input_call": lambda call: call.input.used,
    "errors_call": lambda call: bool(call.errors.getvalue()),
}
"""The points of an exchange that not every application passes, and how a call tells that it did."""


def make_report(
    name: str,
    side: Side,
    rules: Iterable[Rule],
    found: Sequence[Judgement],
    tally: Tally,
    profiles: frozenset[Profile],
    started: float,
    fault: str,
) -> Report:
    """Sum up what was found about each rule; `started` is of the monotonic clock, in seconds."""
    return Report(
        Subject(name, side),
        tuple(judgement for rule in rules for judgement in sum_up(rule, found, tally)),
        profiles=profiles,
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        seconds=time.monotonic() - started,
        fault=fault,
    )


def play(scenario: Scenario, stage: Stage, timeout: float) -> list[Judgement]:
    """Play a scenario in a thread of its own; abandon it when no call of it ends for `timeout` seconds."""
    judged: list[Judgement] = []

    def run() -> None:
        try:
            for judgement in scenario.function(stage):
                judged.append(judgement)  # noqa: PERF402  # each is kept, even if the next never comes
        except BaseException as error:
            stage.broken = error

    thread = threading.Thread(target=run, name=f"wsgix-check-{scenario.name}", daemon=True)
    thread.start()
    while thread.is_alive():
        left = stage.seen_at + timeout - time.monotonic()
        if left <= 0:
            stage.hung = True
            break
        thread.join(left)
    found = list(judged)
    if stage.hung:
        seen = f"{stage.doing} did not end within {timeout:g} s"
        found += [_abandoned(rule, scenario, stage, seen) for rule in scenario.rules()]
    elif stage.unsound and stage.broken is None:
        seen = f"{stage.unsound}, so that there is nothing to compare with"
        found += [
            Judgement(rule, Verdict.SETUP_FAILED, seen=seen, case=scenario.name) for rule in scenario.rules()
        ]
    elif stage.broken is not None:
        found += [
            Judgement(
                rule,
                Verdict.HARNESS_FAILED,
                seen=f"the scenario failed: {shown(stage.broken)}",
                case=scenario.name,
                evidence=(Evidence(note=trace_of(stage.broken)),),
            )
            for rule in scenario.rules()
        ]
    return found


def _abandoned(rule: Rule, scenario: Scenario, stage: Stage, seen: str) -> Judgement:
    """Judge a rule whose scenario hung: a breach where to hang is one, else not judged."""
    verdict = Verdict.FAIL if rule.id in scenario.hang_breaks else Verdict.SETUP_FAILED
    return Judgement(rule, verdict, seen=seen, wanted=rule.says, case=f"{scenario.name}: {stage.doing}")


def _answers_no_more(application: WSGIApplication, after: Stage, timeout: float) -> bool:
    """Tell whether an application that hung in one scenario hangs now in a plain request too."""
    stage = Stage(application, "plain", after.paths, (), after.profiles)
    play(
        Scenario("again", "A plain request.", lambda stage: stage.run(stage.request()).findings),
        stage,
        timeout,
    )
    return stage.hung


def _unplayed(rule: Rule, scenario: Scenario, why: str) -> Judgement:
    return Judgement(rule, Verdict.DEPENDENCY_FAILED, seen=why, case=scenario.name)


def sum_up(rule: Rule, found: Sequence[Judgement], tally: Tally) -> list[Judgement]:
    """Return what was found out about one rule: its findings, each place once; else that it was kept."""
    own = [judgement for judgement in found if judgement.rule is rule]
    for verdict in _BY_GRAVITY:
        some = [judgement for judgement in own if judgement.verdict is verdict]
        if some:
            return _each_once(some)
    if not _came_by(rule, tally):
        return [Judgement(rule, Verdict.NOT_APPLICABLE, seen="no call of the application came by it")]
    return [Judgement(rule, Verdict.PASS, seen=f"kept in {tally.calls} calls")]


_BY_GRAVITY: Final = (
    Verdict.FAIL,
    Verdict.HARNESS_FAILED,
    Verdict.SETUP_FAILED,
    Verdict.DEPENDENCY_FAILED,
    Verdict.INFORMATION,
    Verdict.NOT_APPLICABLE,
)
"""One rule has the findings of the gravest verdict that it got; the others would only repeat them."""


def _each_once(found: Sequence[Judgement]) -> list[Judgement]:
    """Keep the first finding of each place in the application's code, with the other cases as evidence."""
    groups: dict[str, list[Judgement]] = {}
    for judgement in found:
        groups.setdefault(judgement.where, []).append(judgement)
    return [
        replace(first, evidence=(*first.evidence, Evidence(note=_list_cases(others)))) if others else first
        for first, *others in groups.values()
    ]


def _list_cases(found: Sequence[Judgement]) -> str:
    lines = [f"{one.case}: {one.seen}" for one in found[:_CASES_LISTED]]
    if len(found) > _CASES_LISTED:
        lines.append(f"and in {len(found) - _CASES_LISTED} more cases")
    return "\n".join(["also in", *lines])


_CASES_LISTED: Final = 20


def _came_by(rule: Rule, tally: Tally) -> bool:
    """Tell whether a call passed a point at which the rule is observed."""
    return any(
        observer.means is Means.DRIVE or observer.point not in _TOUCHES or observer.point in tally.touched
        for observer in rule.observers
        if observer.means in IN_PROCESS
    )
