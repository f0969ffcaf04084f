"""Judge middleware: a recorder below it, the player above it, and what the two saw held side by side.

Here lives what the rules of chapter M mean in what was recorded. Below is `conform.below`, which passes as an
application of many shapes; above is a `Stage`, whose watch sees what an application must not do. `wsgix check
--middleware` and the pytest plugin call in.
"""

from __future__ import annotations

import functools
import gc
import time
from dataclasses import replace
from reprlib import repr as short_repr
from typing import TYPE_CHECKING, Any, Final

from wsgix.conform import below
from wsgix.conform.below import Below, BelowFailed, Visit
from wsgix.conform.drive import IN_PROCESS, PROFILES, TIMEOUT, Tally, make_report, play
from wsgix.conform.play import END, Call, Request
from wsgix.conform.rule import Judgement, Means, Rule, Side, Verdict
from wsgix.conform.rules import middleware as m
from wsgix.conform.rules import select_rules
from wsgix.conform.scenarios import Scenario
from wsgix.conform.scenarios.methods import describe_error
from wsgix.conform.stage import Stage
from wsgix.conform.words import said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from wsgix.conform.rule import Profile, Report
    from wsgix.types import WSGIApplication

_COMPRESSED: Final = (("Accept-Encoding", "gzip, deflate"),)
_POST: Final[dict[str, Any]] = {
    "method": "POST",
    "body": b"name=Ada",
    "fields": (("Content-Type", "application/x-www-form-urlencoded"),),
}

SHAPES: Final[tuple[tuple[str, Any, dict[str, Any]], ...]] = (
    ("one-block", below.one_block, {}),
    ("one-block-compressed", below.one_block, {"fields": _COMPRESSED}),
    ("head", below.one_block, {"method": "HEAD"}),
    ("several-blocks", below.several_blocks, {}),
    ("several-blocks-compressed", below.several_blocks, {"fields": _COMPRESSED}),
    ("late-start", below.late_start, {}),
    ("empty-blocks", below.empty_blocks, {}),
    ("start-after-empty-block", below.start_after_empty_block, {}),
    ("no-block", below.no_block, {}),
    ("no-content", below.no_content, {}),
    ("redirect", below.redirect, {}),
    ("writer", below.writer, {}),
    ("echo", below.echo, _POST),
    ("file", below.file, {}),
    ("error-page", below.error_page, {}),
    ("late-error", below.late_error, {}),
    ("fails-at-once", below.fails_at_once, {}),
    ("fails-in-iteration", below.fails_in_iteration, {}),
)
"""What is put below the middleware: a name, the application, and the request that goes with it."""

STOPS: Final = (1000, 0, 1)
"""After how many blocks the player closes the response; first the whole of it."""

_OF_MIDDLEWARE: Final = {
    "content-within-length": m.LENGTH_FITS,
    "content-fills-length": m.LENGTH_FITS,
    "no-hop-by-hop": m.NO_TRANSFER_CODING,
    "no-transfer-encoding": m.NO_TRANSFER_CODING,
    "no-transfer-coding": m.NO_TRANSFER_CODING,
    "no-write": m.NOT_BY_WRITE,
    "no-write-while-iterating": m.NOT_BY_WRITE,
}
"""Rules of applications that middleware has a rule of its own for, by slug; any other MUST is part of M1."""


def judge_middleware(
    factory: Callable[[WSGIApplication], WSGIApplication],
    *,
    name: str = "middleware",
    paths: Sequence[str] = ("/",),
    fields: Iterable[tuple[str, str]] = (),
    profiles: Iterable[Profile] = PROFILES,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    timeout: float = TIMEOUT,
    progress: Callable[[str], object] = lambda name: None,
) -> Report:
    """Judge middleware by the rules of chapter M.

    Args:
        factory: takes an application and returns one; it is called once, and again after a call that hung.
        name: what the report calls it.
        paths, fields, profiles, select, ignore, timeout, progress: as for `wsgix.conform.drive.drive`.

    Raises:
        ValueError: `select` or `ignore` names what is no rule and no chapter.
    """
    held_to, select, ignore = frozenset(profiles), frozenset(select), frozenset(ignore)
    paths, fields = tuple(paths), tuple(fields)
    rules = select_rules(Side.MIDDLEWARE, held_to, means=IN_PROCESS, select=select, ignore=ignore)
    started = time.monotonic()
    found: list[Judgement] = []
    tally = Tally()
    inner = Below()
    outer, fault = _wrap(factory, inner, name)
    visited = False
    for shape, application, attributes in () if fault else SHAPES:
        scenario = Scenario(
            f"sandwich/{shape}",
            str(application.__doc__),
            functools.partial(_serve_all, inner=inner, shape=application, attributes=attributes),
            hang_breaks=frozenset({m.BOTH_SIDES.id}),  # none of the applications below hangs
        )
        progress(scenario.name)
        stage = Stage(outer, scenario.name, paths, fields, held_to)
        found += play(scenario, stage, timeout)
        tally.add(stage.calls)
        visited = visited or inner.seen
        if stage.hung:
            inner = Below()  # the one that hangs may go on at any time, and note what it sees
            outer, fault = _wrap(factory, inner, name)
            if fault:
                break
    found = _without_consequences(found)
    if fault:
        rules = []
    rules += _extra_rules(found, held_to, select, ignore)
    if not visited:
        found += [_not_applicable(rule) for rule in rules]
    return make_report(name, Side.MIDDLEWARE, rules, found, tally, held_to, started, fault)


def _wrap(factory: Callable[[WSGIApplication], WSGIApplication], inner: Below, name: str) -> tuple[Any, str]:
    """Return what the factory makes of an application, and why that cannot be judged, or an empty string."""
    try:
        outer: Any = factory(inner)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: the end of the command would look like its verdict
        kind = type(error).__name__
        return None, f"{name} raised {kind} when it was given an application: {said(error)}"
    if not callable(outer):
        return None, f"{name} returned {short_repr(outer)} for an application, which cannot be called"
    return outer, ""


def _without_consequences(found: list[Judgement]) -> list[Judgement]:
    """Leave out that M3 is broken where M2 is: who waits for several blocks yields fewer than he takes."""
    if not any(one.rule is m.ONE_FOR_ONE and one.verdict is Verdict.FAIL for one in found):
        return found
    follows = Judgement(
        m.NO_BLOCK_SWALLOWED,
        Verdict.DEPENDENCY_FAILED,
        seen="it waits for several blocks (M2), and so yields fewer than it takes",
    )
    return [one for one in found if one.rule is not m.NO_BLOCK_SWALLOWED] + [follows]


def _extra_rules(
    found: list[Judgement], profiles: frozenset[Profile], select: Iterable[str], ignore: Iterable[str]
) -> list[Rule]:
    """Return the rules of applications that middleware broke and that M1 does not stand for."""
    broken = {finding.rule.id for finding in found}
    rules = select_rules(Side.APPLICATION, profiles, means=IN_PROCESS, select=select, ignore=ignore)
    return [rule for rule in rules if rule.id in broken]


def _not_applicable(rule: Rule) -> Judgement:
    return Judgement(
        rule,
        Verdict.NOT_APPLICABLE,
        seen="the application below was never called; give a --path that reaches it",
    )


@m.BOTH_SIDES.observed_by(Means.DRIVE, "sandwich")
@m.ONE_FOR_ONE.observed_by(Means.DRIVE, "sandwich")
@m.NO_BLOCK_SWALLOWED.observed_by(Means.DRIVE, "sandwich")
@m.RETURNS_AT_ONCE.observed_by(Means.DRIVE, "sandwich")
@m.NOT_BY_WRITE.observed_by(Means.DRIVE, "sandwich")
@m.DELAYS_NOTHING.observed_by(Means.DRIVE, "sandwich")
@m.FORWARDS_CLOSE.observed_by(Means.DRIVE, "sandwich")
@m.NO_TRANSFER_CODING.observed_by(Means.DRIVE, "sandwich")
@m.HOLDS_NO_ERROR.observed_by(Means.DRIVE, "sandwich")
@m.LENGTH_FITS.observed_by(Means.DRIVE, "sandwich")
def _serve_all(
    stage: Stage, *, inner: Below, shape: Callable[..., Iterable[bytes]], attributes: dict[str, Any]
) -> Iterator[Judgement]:
    """Serve one shape through the middleware, for each path: wholly, and closed early."""
    inner.shape = shape
    for request in stage.requests(**attributes):
        own = _own_findings(stage, shape, request)
        for stop in STOPS:
            title = f"{request}{'' if stop > 1 else f' closed after {stop} blocks'}"
            yield from _serve(stage, inner, request.but(title=title), stop, own)


def _own_findings(stage: Stage, shape: Callable[..., Iterable[bytes]], request: Request) -> set[str]:
    """Return the IDs of the rules that the application below breaks by itself."""
    inner = Below()
    inner.shape = shape
    alone = Stage(inner, stage.scenario, stage.paths, (), stage.profiles)
    return {one.rule.id for one in alone.run(request).findings}


def _serve(stage: Stage, inner: Below, request: Request, stop: int, own: set[str]) -> Iterator[Judgement]:
    inner.visits.clear()
    call = stage.open(request).begin()
    in_call = inner.taken()
    steps: list[tuple[Any, list[bytes]]] = []
    for _ in range(stop):
        before = len(inner.taken())
        block = call.next_block()
        steps.append((block, inner.taken()[before:]))
        if block is END:
            break
    call.close()
    visits = list(inner.visits)
    yield from _judge_blocks(stage, call, visits, in_call, steps)
    yield from _judge_close(stage, call, visits)
    if not in_call:
        _note_late_change(visits, steps)
    yield from _judge_below(stage, call, visits)
    yield from _judge_above(stage, call, own)
    if call.error is None:
        yield from _judge_memory(stage, call, visits)


def _judge_blocks(
    stage: Stage, call: Call, visits: list[Visit], in_call: list[bytes], steps: list[tuple[Any, list[bytes]]]
) -> Iterator[Judgement]:
    """Hold the blocks that were taken below against those that came out above."""
    given = [block for _, blocks in steps for block in blocks]
    if in_call:
        seen = f"it took {len(in_call)} of the application's blocks before it returned"
        yield _fail(m.RETURNS_AT_ONCE, stage, call, seen, m.RETURNS_AT_ONCE.says)
    if call.written and given and not any(visit.written for visit in visits):
        seen = f"write() was called with {len(call.written)} blocks, and the application had written none"
        yield _fail(m.NOT_BY_WRITE, stage, call, seen, m.NOT_BY_WRITE.says)
    greedy = False
    for block, taken in [] if in_call else steps:
        what = "it ended" if block is END else "it yielded one"
        if len(list(filter(None, taken))) > 1:
            greedy = True
            seen = f"it took {len(taken)} blocks before {what}"
            yield _fail(m.ONE_FOR_ONE, stage, call, seen, "one block taken for each that it yields")
        elif len(taken) > 1 or (block is END and taken and call.ended):
            greedy = True
            seen = f"it took {len(taken)} blocks ({_lengths(taken)} bytes) before {what}"
            yield _fail(
                m.NO_BLOCK_SWALLOWED, stage, call, seen, "a block for each, b'' if there is nothing to give"
            )
    if greedy or in_call or call.written or not call.ended or b"".join(call.blocks) != b"".join(given):
        return
    taken_so_far = yielded_so_far = 0
    for number, (block, taken) in enumerate(steps):
        # Who yields a block in two parts holds nothing back, as long as he takes no other before.
        if taken and yielded_so_far < taken_so_far:
            seen = f"{taken_so_far - yielded_so_far} bytes were held back after the block number {number}"
            yield _fail(m.DELAYS_NOTHING, stage, call, seen, "every byte that it took, since it changes none")
            return
        taken_so_far += sum(map(len, taken))
        yielded_so_far += len(block) if isinstance(block, bytes) else 0


def _fail(rule: Rule, stage: Stage, call: Call, seen: str, wanted: str) -> Judgement:
    """Judge that it broke a rule; what the application below raised by its shape is no evidence of that."""
    return Judgement(rule, Verdict.FAIL, seen=seen, wanted=wanted, case=stage.case_of(call.request))


def _lengths(blocks: list[bytes]) -> str:
    return ", ".join(str(len(block)) for block in blocks)


def _judge_close(stage: Stage, call: Call, visits: list[Visit]) -> Iterator[Judgement]:
    if call.stage == "call":
        return  # it never had an iterable that the server could close
    for visit in visits:
        if visit.returned and visit.closings != 1:
            how = "not called" if not visit.closings else f"called {visit.closings} times"
            seen = f"close() of the application's iterable was {how}"
            yield _fail(m.FORWARDS_CLOSE, stage, call, seen, "close() called once")


def _note_late_change(visits: list[Visit], steps: list[tuple[Any, list[bytes]]]) -> None:
    """Note a `start_response` that took exc_info once content was sent.

    "if exc_info is provided, and the HTTP headers have already been sent, start_response must raise an error"
    (PEP 3333, "The start_response() Callable"). They are sent where the first block was passed on by itself.
    """
    if steps and isinstance(steps[0][0], bytes) and steps[0][0] and len(steps[0][1]) == 1:
        for visit in visits:
            if visit.changed_late:
                visit.note("its start_response() took exc_info after content was sent, and raised nothing")


def _judge_below(stage: Stage, call: Call, visits: list[Visit]) -> Iterator[Judgement]:
    """Judge what it did to the application, in the role of a server."""
    breaches = [breach for visit in visits for breach in visit.breaches]
    for breach in breaches:
        yield _fail(m.BOTH_SIDES, stage, call, breach, "what a server must do for its application")
    if breaches or call.error is None or isinstance(call.error, BelowFailed) or call.error in call.refused:
        return
    if not any(visit.raised or visit.error for visit in visits):
        yield stage.fail(
            m.BOTH_SIDES, call, describe_error(call), "no exception where the application below raised none"
        )


def _judge_above(stage: Stage, call: Call, own: set[str]) -> Iterator[Judgement]:
    """Judge what the watch saw it do to the server, in the role of an application."""
    findings = [one for one in call.findings if one.rule.id not in own]
    special = {
        one.rule.id: _OF_MIDDLEWARE[one.rule.slug] for one in findings if one.rule.slug in _OF_MIDDLEWARE
    }
    # M1 is a MUST: to count a SHOULD by it would make more of that.
    binding = [
        one
        for one in findings
        if one.rule.id not in special and one.rule.level.weight == m.BOTH_SIDES.level.weight
    ]
    for one in binding:
        yield replace(one, rule=m.BOTH_SIDES, seen=f"{one.rule.id}: {one.seen}")
    if not binding:  # otherwise these only follow
        for one in findings:
            yield replace(one, rule=special.get(one.rule.id, one.rule))


def _judge_memory(stage: Stage, call: Call, visits: list[Visit]) -> Iterator[Judgement]:
    for visit in visits:
        if visit.error is None:
            continue
        gc.collect()
        if visit.error() is not None:
            seen = "the exception was still referred to after the response had ended"
            yield _fail(m.HOLDS_NO_ERROR, stage, call, seen, m.HOLDS_NO_ERROR.says)
