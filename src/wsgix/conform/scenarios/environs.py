"""Scenarios about what the environ holds: odd paths, absent and empty variables, hop-by-hop fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wsgix.conform.play import variable_of
from wsgix.conform.rule import Means
from wsgix.conform.rules import rule_of
from wsgix.conform.scenarios.methods import FORM, describe_error, error_of
from wsgix.conform.stage import blamed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from wsgix.conform.play import Call, Request
    from wsgix.conform.rule import Judgement, Rule
    from wsgix.conform.stage import Stage

_ANY_PATH: Final = rule_of("I12")
_ABSENT: Final = rule_of("I7")
_EMPTY: Final = rule_of("I13")
_CONNECTION: Final = rule_of("I8")

ODD_PATHS: Final = (
    "//",
    "/a/b",  # from /a%2Fb
    "/%41",  # from /%2541
    "/%",
    "/a b",
    "/a;b=c",
    "/../x",
    "/caf\xc3\xa9",  # UTF-8, each byte a character
    "/\xe2\x82\xac\xf0\x9f\x90\x8d",
    "/\x80",
    "/\xc3",  # UTF-8 that was cut
    "/\xed\xa0\x80",  # a surrogate in UTF-8
    "/" + "".join(map(chr, range(1, 0x20))),
    "/" + "".join(map(chr, range(0x7F, 0x100))),
)
"""PATH_INFO as PEP 3333, "Unicode Issues", has it: the bytes, one character each. No NUL: many refuse it."""

_ABSENT_FROM_GET: Final = (
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
    "REMOTE_ADDR",
    "HTTP_HOST",
    "wsgi.file_wrapper",
)
_EMPTY_IN_GET: Final = ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE", "CONTENT_LENGTH")

HOP_BY_HOP: Final = (
    ("Connection", "close, TE"),
    ("Connection", "keep-alive"),
    ("Connection", "Upgrade"),
    ("Keep-Alive", "timeout=5"),
    ("Proxy-Authorization", "Basic QWRhOkxvdmVsYWNl"),
    ("Proxy-Connection", "keep-alive"),
    ("TE", "trailers"),
    ("Trailer", "X-Checksum"),
    ("Transfer-Encoding", "chunked"),
    ("Upgrade", "websocket"),
)


@_ANY_PATH.observed_by(Means.DRIVE, "odd-paths")
def odd_paths(stage: Stage) -> Iterator[Judgement]:
    """Ask for paths that nobody thought of."""
    requests = [stage.request(path=path, title=f"GET {_spell(path)}") for path in ODD_PATHS]
    yield from _endure(stage, _ANY_PATH, stage.request(), requests, "an answer; any that is no failure")


def _spell(path: str) -> str:
    spelled = ascii(path)[1:-1]
    return spelled if len(spelled) < 40 else f"{spelled[:36]}... ({len(path)} bytes)"


@_ABSENT.observed_by(Means.DRIVE, "absent-variables")
def absent_variables(stage: Stage) -> Iterator[Judgement]:
    """Leave out what "must be present, unless its value would be an empty string", and what is optional."""
    wanted = "a fallback for a variable that is absent"
    for request in stage.requests():
        variables = dict.fromkeys([*_ABSENT_FROM_GET, *_variables_of(request)])
        yield from _endure(stage, _ABSENT, request, _without(request, variables), wanted)
    for request in stage.requests(method="POST", length=0, title="POST without content"):
        yield from _endure(stage, _ABSENT, request, _without(request, ("CONTENT_LENGTH",)), wanted)
    untyped = ("Content-Type", "application/octet-stream")
    for request in stage.requests(method="POST", body=FORM, fields=(untyped,), title="POST of some bytes"):
        yield from _endure(stage, _ABSENT, request, _without(request, ("CONTENT_TYPE",)), wanted)


def _variables_of(request: Request) -> list[str]:
    return [variable_of(name) for name, _ in request.fields]


def _without(request: Request, variables: Collection[str]) -> Iterator[Request]:
    for variable in variables:
        yield request.but(without=frozenset({variable}), title=f"{request} without {variable}")
    every = frozenset(variables)
    if len(every) > 1:
        yield request.but(without=every, title=f"{request} without {', '.join(variables)}")


@_EMPTY.observed_by(Means.DRIVE, "empty-variables")
def empty_variables(stage: Stage) -> Iterator[Judgement]:
    """Give variables that are there and empty."""
    for method in ("GET", "POST"):
        for request in stage.requests(method=method):
            requests = [
                request.but(more={variable: ""}, title=f"{request} with {variable} empty")
                for variable in _EMPTY_IN_GET
            ]
            yield from _endure(stage, _EMPTY, request, requests, "an empty value taken as an absent one")


def _endure(
    stage: Stage, rule: Rule, usual: Request, odd: Iterable[Request], wanted: str
) -> Iterator[Judgement]:
    """Judge that an application fails on an odd request, if it does not on the usual one."""
    for _ in stage.sound([usual]):
        for request in odd:
            call = stage.run(request)
            seen = failure_of(call)
            if seen and stage.is_steady(usual, stage.went_well, True):
                yield stage.fail(rule, call, seen, wanted)


def failure_of(call: Call) -> str:
    """Say in one line how a call failed: an exception, or the application's own answer to one."""
    if error_of(call) is not None:
        return describe_error(call)
    if call.code == 500:
        return f"status {call.status!r}"
    return ""


@_CONNECTION.observed_by(Means.DRIVE, "hop-by-hop")
def hop_by_hop(stage: Stage) -> Iterator[Judgement]:
    """Add each hop-by-hop field to a request, between two without it, and compare the three answers."""
    for request, _ in stage.sound():
        for name, value in HOP_BY_HOP:
            stage.forget()
            before = stage.run(request)
            field = ((name, value),)
            call = stage.run(
                request.but(fields=request.fields + field, title=f"{request} with {name}: {value}")
            )
            after = stage.run(request)
            if blamed(call) or not stage.went_well(before) or not stage.went_well(after):
                continue
            differs = _difference(stage, before, call, after)
            if differs:
                yield stage.fail(
                    _CONNECTION, call, f"with {name}: {value}, {differs}", "the answer that it gives without"
                )


def _difference(stage: Stage, before: Call, call: Call, after: Call) -> str:
    """Say what two like answers have in common that the one between them has not."""
    if call.error is not None:
        return describe_error(call)
    for what, value in (
        ("status", lambda one: one.status),
        ("content", lambda one: one.content),
        ("header fields", lambda one: sorted(name for name, _ in one.fields)),
    ):
        if value(before) == value(after) != value(call) and stage.is_steady(
            before.request, value, value(before)
        ):
            return f"another {what}" if what != "header fields" else "other header fields"
    return ""
