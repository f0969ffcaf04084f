"""Scenarios about how a call goes on and ends: what it is given to answer with, and close() at any time."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any, Final

from wsgix.conform.play import ClientVanished, can_be_read
from wsgix.conform.rule import Judgement, Means, Verdict
from wsgix.conform.rules import rule_of
from wsgix.conform.scenarios.methods import FORM, FORM_FIELD, describe_error
from wsgix.conform.scenarios.repeats import compare, compare_content, is_whim, keeps_going_well
from wsgix.conform.stage import blamed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from wsgix.conform.play import Call
    from wsgix.conform.stage import Stage

_EARLY_CLOSE: Final = rule_of("A12")
_ANY_KIND: Final = rule_of("A5")
_WRAPPER_POSITIONAL: Final = rule_of("A21")
_WRAPPER_FILE: Final = rule_of("A22")
_FRESH_LIST: Final = rule_of("H29")

_ADDED: Final = ("X-Wsgix-Check", "a server may change this list")


TIMES: Final = 12
"""So often a response is closed early: what is not given back comes to an end: a pool of connections."""


SECONDS: Final = 2.0
"""An application that is slow is closed early no more after this time."""


@_EARLY_CLOSE.observed_by(Means.DRIVE, "closed-early")
def closed_early(stage: Stage) -> Iterator[Judgement]:
    """Close after no block, one, and all; the same request must then go as before."""
    for request, sound in stage.sound():
        for blocks in dict.fromkeys((0, 1, len(sound.blocks))):
            until = time.monotonic() + SECONDS
            for _ in range(TIMES):
                call = stage.open(request.but(title=f"{request} closed after {blocks} blocks")).begin()
                call.finish(blocks)
                if time.monotonic() > until:
                    break
            if call.stage == "close" and not blamed(call):
                yield stage.fail(_EARLY_CLOSE, call, describe_error(call), "a close() that raises nothing")
                continue
            after = stage.run(request.but(title=f"{request} after one closed after {blocks} blocks"))
            trouble = compare(sound, after)
            if trouble and not blamed(after) and not is_whim(stage, sound):
                yield stage.fail(_EARLY_CLOSE, after, trouble, f"{sound.status!r}, as before")


def start_fails(stage: Stage) -> Iterable[Judgement]:
    """Refuse the head, each time; the watch sees whether that is trapped or tried again."""

    def refuse(call: Call, with_exc_info: bool) -> None:
        raise ClientVanished("start_response() refuses the head")

    for request in (*stage.requests(), *stage.requests(method="POST", body=FORM, fields=(FORM_FIELD,))):
        stage.run(request, on_start=refuse)
    return ()


def write_fails(stage: Stage) -> Iterable[Judgement]:
    """Refuse what is written, each time."""

    def refuse(call: Call) -> None:
        raise ClientVanished("write() finds nobody to send to")

    for request in stage.requests():
        stage.run(request, on_write=refuse)
    return ()


@_ANY_KIND.observed_by(Means.DRIVE, "kinds-of-start-response")
def kinds_of_start_response(stage: Stage) -> Iterator[Judgement]:
    """Give each kind of callable; the watch stays outside, since it would give its own."""
    for request, sound in stage.sound():
        for kind, wrap in _KINDS.items():
            call = stage.open(request.but(title=f"{request} with {kind} as start_response"), watched=False)
            call.begin(wrap(call.start_response)).finish()
            after = stage.run(request)
            trouble = compare(sound, call) or compare_content(stage, sound, call, after)
            if trouble and stage.went_well(after) and keeps_going_well(stage, sound):
                yield stage.fail(
                    _ANY_KIND, call, trouble, f"{sound.status!r}, whatever kind of callable it is"
                )


class _Instance:
    __slots__ = ("_start_response",)

    def __init__(self, start_response: Callable[..., Any]) -> None:
        self._start_response = start_response

    def __call__(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        return self._start_response(status, headers, exc_info)

    def method(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        return self._start_response(status, headers, exc_info)


def _function(start_response: Callable[..., Any]) -> Callable[..., Any]:
    def start(status: str, headers: Any, exc_info: Any = None) -> Any:
        return start_response(status, headers, exc_info)

    return start


_KINDS: Final[dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]]] = {
    "a function": _function,
    "a bound method": lambda start_response: _Instance(start_response).method,
    "a partial": functools.partial,
    "an instance": _Instance,
}


@_WRAPPER_POSITIONAL.observed_by(Means.DRIVE, "file-wrapper")
@_WRAPPER_FILE.observed_by(Means.DRIVE, "file-wrapper")
def file_wrapper(stage: Stage) -> Iterator[Judgement]:
    """Look at what `wsgi.file_wrapper` is called with."""
    used = False
    for request in stage.requests():
        call = stage.open(request)
        wrapper = call.environ["wsgi.file_wrapper"]
        call.begin().finish()
        for arguments, keywords in wrapper.calls:
            used = True
            if keywords or not 1 <= len(arguments) <= 2:
                seen = f"{len(arguments)} positional arguments" + "".join(f", {name}=" for name in keywords)
                yield stage.fail(_WRAPPER_POSITIONAL, call, seen, "the file, then perhaps a block size")
            elif not can_be_read(arguments[0]):
                seen = f"an object of type {type(arguments[0]).__name__}"
                yield stage.fail(_WRAPPER_FILE, call, seen, "a file: a read() method that takes a size")
    if not used:
        for rule in (_WRAPPER_POSITIONAL, _WRAPPER_FILE):
            yield Judgement(rule, Verdict.NOT_APPLICABLE, seen="wsgi.file_wrapper was not called")


@_FRESH_LIST.observed_by(Means.DRIVE, "changed-headers")
def changed_headers(stage: Stage) -> Iterator[Judgement]:
    """Change the list that `start_response` was given: "the server may change its contents in any way"."""
    for request, _ in stage.sound():
        call = stage.open(request).begin()
        call.next_block()
        if not call.starts or type(call.starts[-1][1]) is not list:
            continue
        call.starts[-1][1].append(_ADDED)
        call.finish()
        after = stage.run(request)
        if (_ADDED[0].lower(), _ADDED[1]) in after.fields:
            yield stage.fail(
                _FRESH_LIST, after, "what a server added to the list of headers came back", _FRESH_LIST.says
            )
