"""Scenarios about the request's method and content: what an application does with each, and HEAD."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from wsgix.conform.play import ClientVanished, EndlessReader
from wsgix.conform.rule import Means
from wsgix.conform.rules import rule_of
from wsgix.conform.stage import blamed
from wsgix.conform.words import said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsgix.conform.play import Call
    from wsgix.conform.rule import Judgement
    from wsgix.conform.stage import Stage

FORM: Final = b"name=Ada+Lovelace&text=Na%C3%AFve"
FORM_FIELD: Final = ("Content-Type", "application/x-www-form-urlencoded")
_FORM: Final[dict[str, Any]] = {"body": FORM, "fields": (FORM_FIELD,)}

_REQUESTS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("with an odd query", {"query": "q=a&q=b&=&%FF=%00&%zz"}),
    ("", {"method": "HEAD"}),
    ("with a form", {"method": "POST", **_FORM}),
    (
        "with JSON that was cut",
        {"method": "POST", "body": b'{"name": ', "fields": (("Content-Type", "application/json"),)},
    ),
    (
        "with a form in parts that has no boundary",
        {"method": "POST", "body": b"--", "fields": (("Content-Type", "multipart/form-data"),)},
    ),
    ("without content", {"method": "POST", "length": 0}),
    ("with a form", {"method": "PUT", **_FORM}),
    ("with a form", {"method": "PATCH", **_FORM}),
    ("", {"method": "DELETE"}),
    ("", {"method": "OPTIONS"}),
    ("", {"method": "BREW"}),
)

_TRAPS: Final = rule_of("A14")
_SAME_HEAD: Final = rule_of("H28")

_CHANGE_BY_THEMSELVES: Final = frozenset({"age", "date", "etag", "last-modified", "set-cookie"})
"""Fields that may differ between two requests of the same kind."""


@_TRAPS.observed_by(Means.DRIVE, "methods")
def methods(stage: Stage) -> Iterator[Judgement]:
    """Ask for each path in every way; an answer that refuses the request is as good as any."""
    for what, attributes in _REQUESTS:
        for request in stage.requests(**attributes):
            yield from escaped(stage, stage.run(request.but(title=f"{request} {what}".rstrip())))


def escaped(stage: Stage, call: Call) -> Iterator[Judgement]:
    """Judge an exception that an application let out before any content left.

    What the player or a breach of another rule brought about is none of the application's errors.
    """
    if error_of(call) is not None and not call.head_sent:
        yield stage.fail(
            _TRAPS,
            call,
            seen=describe_error(call),
            wanted="that the application answers its own errors, by a response with status 500",
        )


def error_of(call: Call) -> BaseException | None:
    """Return the exception that an application let out of its own accord."""
    error = call.error
    if error in call.refused or isinstance(error, ClientVanished | EndlessReader) or blamed(call):
        return None
    return error


def describe_error(call: Call) -> str:
    """Say in one line what escaped and from where."""
    steps = {"call": "its call", "iteration": "its iterable", "close": "its close()"}
    error = call.error
    words = said(error) if error is not None else ""
    return f"{type(error).__name__} came out of {steps[call.stage]}{f': {words}' if words else ''}"


@_SAME_HEAD.observed_by(Means.DRIVE, "head")
def head(stage: Stage) -> Iterator[Judgement]:
    """Compare the head that HEAD gets with that of a GET before and one after it."""
    for request, before in stage.sound():
        call = stage.run(request.but(method="HEAD"))
        after = stage.run(request)
        if call.failed or blamed(call) or after.code != before.code or call.code in (405, 501):
            continue
        if call.code != before.code and stage.is_steady(request, lambda one: one.code, before.code):
            seen = f"status {call.status!r} for HEAD, and {before.status!r} for GET"
            yield stage.fail(_SAME_HEAD, call, seen, "the status that GET gets")
            continue
        for name in dict.fromkeys(name for name, _ in before.fields):
            here, there = _values(call, name), _values(before, name)
            # "a server MAY omit header fields for which a value is determined only while generating the
            # content" (RFC 9110, 9.3.2)
            if not here or here == there or there != _values(after, name) or name in _CHANGE_BY_THEMSELVES:
                continue
            if not stage.is_steady(request, functools.partial(_values, name=name), there):
                continue
            seen = f"{name}: {', '.join(here)} for HEAD, and {', '.join(there)} for GET"
            yield stage.fail(_SAME_HEAD, call, seen, "the header fields that GET gets")


def _values(call: Call, name: str) -> list[str]:
    return [value for other, value in call.fields if other == name]
