"""Chapter H, third part: when and how often `start_response` is called, and with what (H16 to H21, H29).

The chapter is put together in `head`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from wsgix.conform import decisions
from wsgix.conform.observation import Finding
from wsgix.conform.rule import Level, Means, Profile, Rule, Side
from wsgix.conform.rules.sources import pep3333
from wsgix.conform.words import shown_short

if TYPE_CHECKING:
    from wsgix.conform.observation import Observation

_START: Final = pep3333("The start_response() Callable")
_ERRORS: Final = pep3333("Error Handling")

EXC_INFO_IS_TRIPLE: Final = Rule(
    id="H16",
    slug="exc-info-is-triple",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=_START,
    quote="must be a Python sys.exc_info() tuple",
    says="The third argument of `start_response` is what `sys.exc_info()` returns, or None.",
    why=(
        "If the head has left, the server raises the exception again: `raise "
        "exc_info[1].with_traceback(exc_info[2])`. With `True` or a bare exception that line fails itself, "
        "and hides what went wrong."
    ),
    good="""\
import sys

def app(environ, start_response):
    try:
        page = {}["home"]
    except KeyError:
        start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"Sorry"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [page]
""",
    bad="""\
def app(environ, start_response):
    try:
        page = {}["home"]
    except KeyError as error:
        start_response("500 Oops", [("Content-Type", "text/plain")], error)
        return [b"Sorry"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [page]
""",
    profiles=frozenset({Profile.PEP3333, Profile.STDLIB}),
)

EXC_INFO_FROM_HANDLER: Final = Rule(
    id="H17",
    slug="exc-info-from-handler",
    level=Level.SHOULD,
    binds=Side.APPLICATION,
    source=_START,
    quote="only if start_response is being called by an error handler",
    says="The application gives exc_info only when an exception has happened.",
    why=(
        "Where none is handled, `sys.exc_info()` returns three times None, which is true. The server takes "
        "that for an error response, and if the head has left it has no exception to raise."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
""",
    bad="""\
import sys

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"Hello"]
""",
)

EXC_INFO_WITH_ERROR: Final = Rule(
    id="H18",
    slug="exc-info-with-error",
    level=Level.SHOULD,
    binds=Side.APPLICATION,
    source=_ERRORS,
    quote="Always provide exc_info when beginning an error response",
    says="A 5xx that is begun while an exception is handled passes `sys.exc_info()` to `start_response`.",
    why=(
        "Only then may the new head replace one that was given before; and only then does the server end a "
        "response that has left in part, instead of putting a page of apology into the middle of a file."
    ),
    good="""\
import sys

def app(environ, start_response):
    try:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"%d" % (1 // 0)]
    except ZeroDivisionError:
        start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"Sorry"]
""",
    bad="""\
def app(environ, start_response):
    try:
        page = b"%d" % (1 // 0)
    except ZeroDivisionError:
        start_response("500 Oops", [("Content-Type", "text/plain")])
        return [b"Sorry"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [page]
""",
)

START_ONCE: Final = Rule(
    id="H19",
    slug="start-once",
    level=Level.MUST_NOT,
    binds=Side.APPLICATION,
    source=_START,
    quote="a fatal error to call start_response without the exc_info argument if start_response has already",
    says="`start_response` is called a second time only with exc_info, even where the first call failed.",
    why=(
        "Two heads for one response mean that two parts of the application each believe the response to be "
        "theirs. The server refuses the second, or sends whichever it saw last."
    ),
    good="""\
def app(environ, start_response):
    found = environ.get("PATH_INFO") == "/"
    start_response("200 OK" if found else "404 Not Found", [("Content-Type", "text/plain")])
    return [b"Hello"]
""",
    bad="""\
def app(environ, start_response):
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    if environ.get("PATH_INFO") == "/":
        start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
""",
)

START_AGAIN: Final = Rule(
    id="H20",
    slug="start-again",
    level=Level.MAY,
    binds=Side.APPLICATION,
    source=_START,
    quote="may call start_response more than once, if and only if the exc_info argument is provided",
    says="The application may call `start_response` again with exc_info, to answer with an error instead.",
    why="The head stays with the server until there is content, so that the application can change its mind.",
    good="""\
import sys

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        yield b"%d" % (1 // 0)
    except ZeroDivisionError:
        start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
        yield b"Sorry"
""",
    untestable="it is a permission: there is nothing to break",
)

REFUSAL_PASSES: Final = Rule(
    id="H21",
    slug="refusal-passes",
    level=Level.MUST_NOT,
    binds=Side.APPLICATION,
    source=_START,
    quote="must not trap any exceptions raised by start_response, if it called start_response with exc_info",
    says="What `start_response` raises when it was given exc_info leaves the application as it is.",
    why=(
        "It is raised because content has left: the response cannot be saved, and the server must end it so "
        "that the client notices. An application that carries on makes half of one page and half of another "
        "look whole."
    ),
    good="""\
import sys

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"The answer is "
    try:
        yield b"%d" % (1 // 0)
    except ZeroDivisionError:
        start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
        yield b"not known"
""",
    bad="""\
import sys

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"The answer is "
    try:
        yield b"%d" % (1 // 0)
    except ZeroDivisionError:
        try:
            start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
        except ZeroDivisionError:
            pass
        yield b"not known"
""",
)

FRESH_HEADER_LIST: Final = Rule(
    id="H29",
    slug="fresh-header-list",
    level=Level.DE_FACTO,
    binds=Side.APPLICATION,
    source=_START,
    quote="the server may change its contents in any way it desires",
    says="Each call of `start_response` gets a list of its own.",
    why=(
        "The list belongs to the server from then on, and servers and middleware add their fields to it. A "
        "list that is kept for the next request brings them back: a cookie of one visitor in the response "
        "to another."
    ),
    good="""\
HEADERS = (("Content-Type", "text/plain"),)

def app(environ, start_response):
    start_response("200 OK", list(HEADERS))
    return [b"Hello"]
""",
    bad="""\
HEADERS = [("Content-Type", "text/plain")]

def app(environ, start_response):
    start_response("200 OK", HEADERS)
    return [b"Hello"]
""",
    profiles=frozenset({Profile.DE_FACTO}),
)

RULES: Final[tuple[Rule, ...]] = (
    EXC_INFO_IS_TRIPLE,
    EXC_INFO_FROM_HANDLER,
    EXC_INFO_WITH_ERROR,
    START_ONCE,
    START_AGAIN,
    REFUSAL_PASSES,
    FRESH_HEADER_LIST,
)


def _exc_info(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[2] if len(args) > 2 else kwargs.get("exc_info")


def _has_exc_info(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    # Servers ask `if exc_info:`, so that an empty tuple or False is none.
    exc_info = _exc_info(args, kwargs)
    return not (exc_info is None or exc_info is False or (type(exc_info) is tuple and not exc_info))


@EXC_INFO_IS_TRIPLE.observed_by(Means.WATCH, "start_response")
def _exc_info_is_something_else(
    exchange: Observation, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Finding | None:
    exc_info = _exc_info(args, kwargs)
    if exc_info is None or not (fault := decisions.exc_info_fault(exc_info)):
        return None
    return Finding(f"exc_info {fault}: {shown_short(exc_info)}", "what sys.exc_info() returns, or None")


@EXC_INFO_FROM_HANDLER.observed_by(Means.WATCH, "start_response")
def _exc_info_of_no_exception(
    exchange: Observation, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Finding | None:
    exc_info = _exc_info(args, kwargs)
    if type(exc_info) is not tuple or len(exc_info) != 3 or any(part is not None for part in exc_info):
        return None
    return Finding("exc_info is (None, None, None)", "exc_info only where an exception is being handled")


@EXC_INFO_WITH_ERROR.observed_by(Means.WATCH, "start_response")
def _error_without_exc_info(
    exchange: Observation, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Finding | None:
    if exchange.code[:1] != "5" or _has_exc_info(args, kwargs):
        return None
    error = sys.exc_info()[1]
    if error is None or id(error) == exchange.handled:
        return None
    return Finding(
        f"{exchange.status!r} was begun while a {type(error).__name__} is handled, without exc_info",
        "sys.exc_info() as third argument",
    )


@START_ONCE.observed_by(Means.WATCH, "start_response")
def _started_twice(exchange: Observation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Finding | None:
    if exchange.begun < 2 or _has_exc_info(args, kwargs):
        return None
    status = shown_short(args[0]) if args else "none"
    return Finding(
        f"call {exchange.begun} of start_response, with the status {status}, has no exc_info",
        "one call, or exc_info with each further one",
    )


@REFUSAL_PASSES.observed_by(Means.WATCH, "result")
@REFUSAL_PASSES.observed_by(Means.WATCH, "item")
def _trapped_and_gave(exchange: Observation, given: Any) -> Finding | None:
    return _trapped(exchange, f"{shown_short(given)} came") if exchange.refusal else None


@REFUSAL_PASSES.observed_by(Means.WATCH, "exhausted")
def _trapped_and_ended(exchange: Observation) -> Finding | None:
    return _trapped(exchange, "the iterable ended as if all were well") if exchange.refusal else None


@REFUSAL_PASSES.observed_by(Means.WATCH, "failed")
def _trapped_and_failed(exchange: Observation, error: BaseException) -> Finding | None:
    if not exchange.refusal or id(error) == exchange.refusal:
        return None
    return _trapped(exchange, f"a {type(error).__name__} came instead")


def _trapped(exchange: Observation, instead: str) -> Finding:
    return Finding(
        f"start_response raised, was trapped, and {instead}", "the exception that start_response raised"
    )
