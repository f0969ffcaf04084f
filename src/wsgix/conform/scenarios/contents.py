"""Scenarios about the request's content: less, more, and none of what was declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wsgix.conform.play import ENDS_AT_MOST, BrokenInput, ClientVanished
from wsgix.conform.rule import Means
from wsgix.conform.rules import rule_of
from wsgix.conform.scenarios.methods import FORM, FORM_FIELD, escaped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wsgix.conform.play import Call
    from wsgix.conform.rule import Judgement
    from wsgix.conform.stage import Stage

_ENDS_EARLY: Final = rule_of("I11")

_METHODS: Final = ("POST", "PUT")


@_ENDS_EARLY.observed_by(Means.DRIVE, "input-short")
def short(stage: Stage) -> Iterator[Judgement]:
    """Declare more than `wsgi.input` holds: some of it, and nothing of it.

    The client is gone, so an application that raises an exception is as good as one that answers.
    """
    for method in _METHODS:
        for body in (FORM, b""):
            for request in stage.requests(method=method, body=body, length=1000, fields=(FORM_FIELD,)):
                call = stage.run(request)
                if call.input.ends > ENDS_AT_MOST:
                    yield stage.fail(
                        _ENDS_EARLY,
                        call,
                        f"wsgi.input was read {call.input.ends} times after it had ended",
                        "that b'' is taken for the end",
                    )


def long(stage: Stage) -> Iterator[Judgement]:
    """Declare less than `wsgi.input` holds: the watch sees who reads the request that follows."""
    for method in _METHODS:
        for request in stage.requests(
            method=method, body=FORM + b"&more=1", length=len(FORM), fields=(FORM_FIELD,)
        ):
            yield from escaped(stage, stage.run(request))


def failing(stage: Stage) -> Iterable[Judgement]:
    """Let the client vanish: the input raises, and so does `start_response` if an error is then begun."""

    def refuse(call: Call, with_exc_info: bool) -> None:
        if with_exc_info:
            raise ClientVanished("nobody is there any more to take an error response")

    for method in _METHODS:
        for request in stage.requests(method=method, body=FORM, fields=(FORM_FIELD,)):
            stage.run(request, wsgi_input=BrokenInput())
            stage.run(request, wsgi_input=BrokenInput(), on_start=refuse)
    return ()
