"""Scenarios that call an application more than once: again, in turn, and at the same time."""

from __future__ import annotations

import contextvars
import threading
from typing import TYPE_CHECKING, Final

from wsgix.conform.play import END
from wsgix.conform.rule import Means
from wsgix.conform.rules import rule_of
from wsgix.conform.scenarios.methods import describe_error, escaped
from wsgix.conform.stage import STEADY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsgix.conform.play import Call, Request
    from wsgix.conform.rule import Judgement
    from wsgix.conform.stage import Stage

_AGAIN: Final = rule_of("A2")
_APART: Final = rule_of("A3")
_TRAPS: Final = rule_of("A14")

THREADS: Final = 4


@_AGAIN.observed_by(Means.DRIVE, "plain")
@_TRAPS.observed_by(Means.DRIVE, "plain")
def plain(stage: Stage) -> Iterator[Judgement]:
    """Ask for each path; then again, and once more as the only request of the process."""
    for request in stage.requests():
        first = stage.run(request)
        yield from escaped(stage, first)
        if not stage.went_well(first):
            continue
        if first.code >= 400:
            seen = f"{request} is answered with {first.status!r}: what is behind other paths was not judged"
            yield stage.tell(
                _AGAIN, first, seen, "a path that it knows, by --path, or the --header that it wants"
            )
        for next_one in (request, request.but(more={"wsgi.run_once": True})):
            call = stage.run(next_one)
            trouble = compare(first, call)
            if trouble and not is_whim(stage, first):
                call.findings.clear()  # whatever else is wrong with it follows from this
                yield stage.fail(_AGAIN, call, f"{trouble} when called again", f"{first.status!r} as before")
                return


def compare(sound: Call, call: Call) -> str:
    """Return in words how a call went wrong that should have gone as a sound one; empty where it did not."""
    if call.error is not None:
        return describe_error(call)
    if not call.starts:
        return "start_response() was not called"
    if call.code >= 500:
        return f"status {call.status!r}"
    if sound.content and not call.content and call.code == sound.code:
        return "no content"
    return ""


def keeps_going_well(stage: Stage, sound: Call) -> bool:
    """Tell whether a request that went well does so each time, so that a trouble is more than a whim."""
    return stage.is_steady(sound.request, lambda one: compare(sound, one), "")


def is_whim(stage: Stage, sound: Call) -> bool:
    """Tell whether a request that went well, and then did not, goes now well and now not."""
    troubled = {bool(compare(sound, stage.run(sound.request))) for _ in range(STEADY)}
    return len(troubled) > 1


def compare_content(stage: Stage, before: Call, call: Call, after: Call) -> str:
    """Say that a call gave another content than one before and one after it, which gave the same."""
    if not (before.ended and call.ended and after.ended):
        return ""  # an endless response was closed somewhere
    if call.content == before.content or before.content != after.content:
        return ""
    steady = stage.is_steady(before.request, lambda one: one.content, before.content)
    return "other content" if steady else ""


@_APART.observed_by(Means.DRIVE, "interleaved")
def interleaved(stage: Stage) -> Iterator[Judgement]:
    """Begin two calls, then take a block of each in turn, each in a context of its own as a server would."""
    for request, _ in stage.sound():
        pair = [request, _another(request, 2)]
        alone = [stage.run(one) for one in pair]
        calls = [stage.open(one) for one in pair]
        contexts = [contextvars.copy_context() for _ in calls]
        for call, context in zip(calls, contexts, strict=True):
            context.run(call.begin)
        going = True
        while going:
            blocks = [context.run(call.next_block) for call, context in zip(calls, contexts, strict=True)]
            going = any(block is not END for block in blocks) and len(calls[0].blocks) < 100
        for call, context in zip(calls, contexts, strict=True):
            context.run(call.close)
        yield from _compare_all(stage, alone, calls, "while another was under way")


@_APART.observed_by(Means.DRIVE, "concurrent")
def concurrent(stage: Stage) -> Iterator[Judgement]:
    """Make the same request in several threads that start at the same time."""
    for request, _ in stage.sound():
        requests = [request, *(_another(request, number) for number in range(2, THREADS + 1))]
        alone = [stage.run(one) for one in requests]
        calls = [stage.open(one) for one in requests]
        line = threading.Barrier(THREADS)

        def run(call: Call, line: threading.Barrier = line) -> None:
            line.wait()
            call.begin().finish()

        threads = [threading.Thread(target=run, args=(call,), daemon=True) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        yield from _compare_all(stage, alone, calls, f"beside {THREADS - 1} others at the same time")


def _another(request: Request, number: int) -> Request:
    """Return a request whose answer is likely to be another; that it is not found will do."""
    return request.but(
        path=f"{request.path.rstrip('/')}/wsgix-check-{number}",
        query=f"{request.query}&call={number}".lstrip("&"),
    )


def _compare_all(stage: Stage, alone: list[Call], calls: list[Call], when: str) -> Iterator[Judgement]:
    if not all(map(stage.went_well, alone)):
        return
    again = [stage.run(call.request) for call in calls]
    for call, before, after in zip(calls, alone, again, strict=True):
        trouble = compare(before, call) or compare_content(stage, before, call, after)
        if trouble and stage.went_well(after) and keeps_going_well(stage, before):
            call.findings.clear()  # whatever else is wrong with it follows from this
            yield stage.fail(_APART, call, f"{trouble} {when}", "the answer that it gives alone")
