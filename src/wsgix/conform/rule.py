"""What a rule is, what can be seen of it, and what that comes to: the records that all of the referee shares.

No rule stands here: each is a record in `conform.rules`, and the observers are attached to it there. Nothing
here runs an application, opens a socket or prints.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Function = TypeVar("Function", bound=Callable[..., Any])


class Level(enum.Enum):
    """How binding a rule is, in the words of RFC 2119; what only custom demands is de facto."""

    MUST = "MUST"
    MUST_NOT = "MUST NOT"
    SHOULD = "SHOULD"
    SHOULD_NOT = "SHOULD NOT"
    MAY = "MAY"
    DE_FACTO = "de facto"

    @property
    def weight(self) -> int:
        """3 for what must hold, 2 for what should, 1 for custom, 0 for what is merely allowed."""
        return _WEIGHTS[self]


_WEIGHTS: Final = {
    Level.MUST: 3,
    Level.MUST_NOT: 3,
    Level.SHOULD: 2,
    Level.SHOULD_NOT: 2,
    Level.DE_FACTO: 1,
    Level.MAY: 0,
}


class Side(enum.Enum):
    """Whom a rule binds."""

    APPLICATION = "application"
    SERVER = "server"
    MIDDLEWARE = "middleware"


class Profile(enum.Enum):
    """A body of rules that a subject may be held to."""

    PEP3333 = "pep3333"
    """What the text of PEP 3333 demands."""
    STDLIB = "stdlib"
    """What the standard library's `wsgiref.validate` refuses."""
    HTTP = "http"
    """What the RFCs of HTTP demand of the same exchange."""
    DE_FACTO = "de-facto"
    """What no text demands and the field relies on."""


class Status(enum.Enum):
    """Where a rule stands in its life. An ID is never used again."""

    STABLE = "stable"
    PREVIEW = "preview"
    DEPRECATED = "deprecated"
    REMOVED = "removed"


class Means(enum.Enum):
    """How a rule can be observed."""

    WATCH = "watch"
    """A check at one point of an exchange, by middleware between server and application."""
    DRIVE = "drive"
    """A scenario that plays the server, in this process."""
    PROBE = "probe"
    """A case that plays the client of a running server, and has the probe application behind it."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a rule is written: "PEP 3333", the title of the section, its address in the published text."""

    document: str
    section: str
    url: str = ""

    def __str__(self) -> str:
        return (
            f'{self.document}, "{self.section}"'
            if self.document == "PEP 3333"
            else f"{self.document}, {self.section}"
        )


@dataclass(frozen=True, slots=True)
class Observer:
    """One way in which a rule is observed.

    Attributes:
        means: how.
        point: where: a field of `points.Checks`, the name of a scenario or of a probe.
        function: what looks; its signature is that of `watch`, `drive` or `probe`.
    """

    means: Means
    point: str
    function: Callable[..., Any]


@dataclass(slots=True, kw_only=True, eq=False)
class Rule:
    """One obligation.

    Attributes:
        id: the letter of the chapter and a number, "H3"; stable for ever.
        slug: the rule in a few words, "status-has-reason"; for people.
        level: how binding it is.
        binds: whom.
        source: where it is written.
        quote: the words of the source that it rests on, short; empty where it rests on none.
        says: the rule in one sentence.
        why: one paragraph on what goes wrong without it.
        good: Python source that keeps the rule; how it is run is told in `conform.rules`.
        bad: Python source that breaks this rule and no other.
        profiles: the profiles that hold it.
        status, since: its life, and the version that brought it.
        untestable: why nothing can observe it; empty where something does.
        observers: what observes it, attached by `observed_by`.
    """

    id: str
    slug: str
    level: Level
    binds: Side
    source: Source
    says: str
    why: str
    good: str = ""
    bad: str = ""
    quote: str = ""
    profiles: frozenset[Profile] = frozenset({Profile.PEP3333})
    status: Status = Status.STABLE
    since: str = "0.1"
    untestable: str = ""
    observers: list[Observer] = field(default_factory=list)

    def observed_by(self, means: Means, point: str) -> Callable[[Function], Function]:
        """Attach the decorated function to this rule as an observer; it stays what it was."""

        def attach(function: Function) -> Function:
            self.observers.append(Observer(means, point, function))
            return function

        return attach

    @property
    def means(self) -> tuple[Means, ...]:
        """The means by which it is observed, each once, in the order of `Means`."""
        found = {observer.means for observer in self.observers}
        return tuple(means for means in Means if means in found)


class Verdict(enum.Enum):
    """What observing a rule came to. Only `FAIL` speaks against the subject."""

    PASS = "pass"
    FAIL = "fail"
    INFORMATION = "information"
    """The subject may do either; which it does is told."""
    SETUP_FAILED = "set-up failed"
    """The subject did not get as far as the question: it did not start, or refused what led there."""
    HARNESS_FAILED = "harness failed"
    """The referee is at fault."""
    DEPENDENCY_FAILED = "dependency failed"
    """Another rule that this one builds on was not kept."""
    NOT_APPLICABLE = "not applicable"
    """The subject has not got what the rule is about."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a judgement rests on: bytes as they went over the wire, and words for what no wire shows."""

    sent: bytes = b""
    received: bytes = b""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One rule held against one subject, once.

    Attributes:
        rule: the rule.
        verdict: what it came to.
        seen: what was seen, in one line.
        wanted: what was wanted, in one line.
        case: the scenario, probe or request in which it was seen.
        where: the place in the subject's code, "app.py:12 in index", where one is known.
        evidence: what it rests on.
        seconds: how long the case took.
    """

    rule: Rule
    verdict: Verdict
    seen: str = ""
    wanted: str = ""
    case: str = ""
    where: str = ""
    evidence: tuple[Evidence, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Subject:
    """What was judged: "gunicorn-gthread", a server, version "27.0.1"; or "shop:app", an application."""

    name: str
    side: Side
    version: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found out about one subject.

    Attributes:
        subject: what was judged.
        judgements: what was found, in the order of the rules, then of time. Of one rule there may be several.
        profiles: what it was held to.
        tool: the version of wsgix that judged.
        date: when, in UTC, ISO 8601.
        seconds: how long it took.
        fault: why nothing could be judged, in one line; empty otherwise.
    """

    subject: Subject
    judgements: tuple[Judgement, ...]
    profiles: frozenset[Profile] = frozenset(Profile)
    tool: str = ""
    date: str = ""
    seconds: float = 0.0
    fault: str = ""

    def failures(self, weight: int = 0) -> list[Judgement]:
        """List the failures of rules of at least this weight."""
        return [
            judgement
            for judgement in self.judgements
            if judgement.verdict is Verdict.FAIL and judgement.rule.level.weight >= weight
        ]


CLEAN: Final = 0
FINDINGS: Final = 1
NOT_JUDGED: Final = 2


def exit_status(reports: Iterable[Report], weight: int = Level.SHOULD.weight) -> int:
    """Return what a command exits with: `CLEAN`, `FINDINGS` at this weight or above, or `NOT_JUDGED`.

    Not judged is what has a fault, or nothing but set-ups and harnesses that failed.
    """
    status = CLEAN
    for report in reports:
        judged = any(
            judgement.verdict in (Verdict.PASS, Verdict.FAIL, Verdict.INFORMATION, Verdict.NOT_APPLICABLE)
            for judgement in report.judgements
        )
        if report.fault or not judged:
            return NOT_JUDGED
        if report.failures(weight):
            status = FINDINGS
    return status
