"""Chapter A: the application object, how it is called, how it calls, and what it returns.

Here stand the records of the first three, with their observers at the points of an exchange; what is
returned stands in `returning`, and `RULES` holds the whole chapter. What the application says in its head is
chapter H, the blocks of its content chapter B.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from wsgix.conform.observation import Finding
from wsgix.conform.rule import Level, Means, Profile, Rule, Side
from wsgix.conform.rules import returning
from wsgix.conform.rules.sources import pep3333
from wsgix.conform.words import said, shown_short

if TYPE_CHECKING:
    from wsgix.conform.observation import Observation

_DETAILS: Final = pep3333("Specification Details")

TWO_POSITIONAL_ARGUMENTS: Final = Rule(
    id="A1",
    slug="two-positional-arguments",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=_DETAILS,
    quote="must accept two positional arguments",
    says="The application object takes two positional arguments, whatever their names.",
    why=(
        "Servers call `application(environ, start_response)` and nothing else. A callable that takes more, "
        "fewer or only named arguments fails with every server, for every request."
    ),
    good="""\
def app(env, start):
    start("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
""",
    bad="""\
def app(environ, start_response, settings):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
""",
)

CALLABLE_AGAIN: Final = Rule(
    id="A2",
    slug="callable-again",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=pep3333("The Application/Framework Side"),
    quote="must be able to be invoked more than once",
    says="The application object answers its second request as it answered its first.",
    why=(
        "All servers but CGI gateways keep the object and call it for each request, and even "
        "`wsgi.run_once` is an expectation and no promise. An application that uses itself up works in a "
        "first test and fails in production."
    ),
    good="""\
PAGE = [b"Hello"]

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return iter(PAGE)
""",
    bad="""\
PAGE = [b"Hello"]

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [PAGE.pop()]
""",
)

INTERLEAVED_CALLS: Final = Rule(
    id="A3",
    slug="interleaved-calls",
    level=Level.DE_FACTO,
    binds=Side.APPLICATION,
    source=pep3333("Thread Support"),
    says="Calls of the application that overlap, in one thread or in several, do not disturb each other.",
    why=(
        "A server may ask one iterable for a block, then another, then the first again; one with threads "
        "calls while other calls run, and says so in `wsgi.multithread`. What belongs to a request must not "
        "be kept where the next request finds it."
    ),
    good="""\
def app(environ, start_response):
    path = environ.get("PATH_INFO", "")
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"You asked for "
    yield path.encode("latin-1")
""",
    bad="""\
current = {}

def app(environ, start_response):
    current["path"] = environ.get("PATH_INFO", "")
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"You asked for "
    yield current["path"].encode("latin-1")
""",
    profiles=frozenset({Profile.DE_FACTO}),
)

START_POSITIONALLY: Final = Rule(
    id="A4",
    slug="start-response-positional",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=_DETAILS,
    quote="the application must invoke the start_response callable using positional arguments",
    says="The application calls `start_response` with two or three positional arguments and none by keyword.",
    why=(
        "The names of the parameters belong to each server and each middleware. A call by keyword works "
        "with those that happen to use the same names and raises `TypeError` with the next."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")], None)
    return [b"Hello"]
""",
    bad="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")], exc_info=None)
    return [b"Hello"]
""",
    profiles=frozenset({Profile.PEP3333, Profile.STDLIB}),
)

START_OF_ANY_KIND: Final = Rule(
    id="A5",
    slug="start-response-of-any-kind",
    level=Level.MUST_NOT,
    binds=Side.APPLICATION,
    source=pep3333("Specification Overview"),
    quote="Callables are only to be called, not introspected upon",
    says="The application does not depend on what kind of callable `start_response` is.",
    why=(
        "It is a function in one server, a bound method in the next, an instance with `__call__` under "
        "middleware. Whoever reads its attributes is bound to one server."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
""",
    bad="""\
def app(environ, start_response):
    name = getattr(start_response, "__name__", "nobody")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello from ", name.encode("latin-1")]
""",
)

START_BEFORE_CONTENT: Final = Rule(
    id="A6",
    slug="start-before-content",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=_DETAILS,
    quote="before the iterable yields its first body bytestring",
    says="The application calls `start_response` before its iterable yields a block that is not empty.",
    why=(
        "The head goes first on the wire. A server that gets content without one can send neither, so it "
        "drops the answer. Empty blocks may come earlier: they are how asynchronous applications say that "
        "nothing is ready."
    ),
    good="""\
def app(environ, start_response):
    yield b""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"Hello"
""",
    bad="""\
def app(environ, start_response):
    yield b"Hello"
    start_response("200 OK", [("Content-Type", "text/plain")])
""",
    profiles=frozenset({Profile.PEP3333, Profile.STDLIB}),
)

START_BY_THE_END: Final = Rule(
    id="A7",
    slug="start-by-the-end",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=_DETAILS,
    quote="the application must invoke the start_response() callable",
    says="When its iterable is exhausted the application has called `start_response`, also without content.",
    why=(
        "An answer without content still has a head, which the server sends once the iterable is exhausted. "
        "Without a head there is no answer at all, and the client gets an error that the server had to make "
        "up."
    ),
    good="""\
def app(environ, start_response):
    start_response("204 No Content", [])
    return []
""",
    bad="""\
def app(environ, start_response):
    return []
""",
)

START_ON_FIRST_ITERATION: Final = Rule(
    id="A8",
    slug="start-on-first-iteration",
    level=Level.MAY,
    binds=Side.APPLICATION,
    source=_DETAILS,
    quote="this invocation may be performed by the iterable's first iteration",
    says="The application may call `start_response` as late as in the first iteration.",
    why=(
        "A generator function runs nothing of its body before the first block is asked for, and it is the "
        "shortest way to write a streaming application."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"Hello"
""",
    untestable="it is a permission: there is nothing to break",
)

TRAPS_OWN_ERRORS: Final = Rule(
    id="A14",
    slug="traps-own-errors",
    level=Level.SHOULD,
    binds=Side.APPLICATION,
    source=pep3333("Error Handling"),
    quote="should try to trap their own, internal errors",
    says=(
        "The application answers its own errors with a message, and lets none out before it has sent content."
    ),
    why=(
        "Only the application knows what to tell the reader and in which form. An exception that leaves it "
        "becomes the server's bare error page, or a closed connection."
    ),
    good="""\
def app(environ, start_response):
    try:
        page = b"page %d" % int(environ.get("QUERY_STRING") or 1)
    except ValueError:
        start_response("400 Bad Request", [("Content-Type", "text/plain")])
        return [b"Which page?"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [page]
""",
    bad="""\
def app(environ, start_response):
    page = b"page %d" % int(environ.get("QUERY_STRING") or 1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [page]
""",
)

DOCUMENTS_ITS_OBJECT: Final = Rule(
    id="A17",
    slug="documents-its-object",
    level=Level.SHOULD,
    binds=Side.APPLICATION,
    source=pep3333("Application Configuration"),
    quote="should document how to create an application object",
    says="A framework documents how to get at an application object.",
    why="Whoever deploys has to tell the server what to call.",
    untestable="it speaks of documents",
)

CACHES_CONFIGURATION: Final = Rule(
    id="A18",
    slug="caches-configuration",
    level=Level.SHOULD,
    binds=Side.APPLICATION,
    source=pep3333("Application Configuration"),
    quote="should cache such configuration",
    says="The application reads its configuration once, not with every request.",
    why="To read and parse a file with each request costs more than most requests do.",
    untestable="what an application reads cannot be told apart from what it has to read",
)

FEW_REQUIRED_VARIABLES: Final = Rule(
    id="A19",
    slug="few-required-variables",
    level=Level.SHOULD,
    binds=Side.APPLICATION,
    source=pep3333("Application Configuration"),
    quote="should try to keep such required variables to a minimum",
    says="The application requires few configuration variables in its environ, or none.",
    why="Not every server has an easy way to set them.",
    untestable="no number is a minimum; that it runs without any is seen by I7",
)

REBUILDS_ADDRESS: Final = Rule(
    id="A23",
    slug="rebuilds-address",
    level=Level.MAY,
    binds=Side.APPLICATION,
    source=pep3333("URL Reconstruction"),
    quote="it may do so using the following algorithm",
    says="The application may put the request's address together from the scheme, the host and the path.",
    why="Links and redirections to itself need it; `wsgix.util.request_uri` is that algorithm.",
    good="""\
def app(environ, start_response):
    host = environ.get("HTTP_HOST") or environ["SERVER_NAME"]
    address = environ["wsgi.url_scheme"] + "://" + host + environ.get("SCRIPT_NAME", "")
    start_response("303 See Other", [("Location", address + "/home"), ("Content-Length", "0")])
    return []
""",
    untestable="it is a permission: there is nothing to break",
)

RULES: Final[tuple[Rule, ...]] = tuple(
    sorted(
        (
            TWO_POSITIONAL_ARGUMENTS,
            CALLABLE_AGAIN,
            INTERLEAVED_CALLS,
            START_POSITIONALLY,
            START_OF_ANY_KIND,
            START_BEFORE_CONTENT,
            START_BY_THE_END,
            START_ON_FIRST_ITERATION,
            TRAPS_OWN_ERRORS,
            DOCUMENTS_ITS_OBJECT,
            CACHES_CONFIGURATION,
            FEW_REQUIRED_VARIABLES,
            REBUILDS_ADDRESS,
            *returning.RULES,
        ),
        key=lambda rule: int(rule.id[1:]),
    )
)


@TWO_POSITIONAL_ARGUMENTS.observed_by(Means.WATCH, "failed")
def _refused_call(exchange: Observation, error: BaseException) -> Finding | None:
    # A call whose arguments do not fit never reaches a frame of the application.
    if (
        not isinstance(error, TypeError)
        or error.__traceback__ is None
        or error.__traceback__.tb_next is not None
    ):
        return None
    try:
        signature = inspect.signature(exchange.application)  # type: ignore[arg-type]
        signature.bind(None, None)
    except (TypeError, ValueError):
        return Finding(said(error), "a callable that takes two positional arguments")
    return None


@START_POSITIONALLY.observed_by(Means.WATCH, "start_response")
def _misses_arguments(exchange: Observation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Finding | None:
    if len(args) in (2, 3) and not kwargs:
        return None
    names = f" and {', '.join(kwargs)} by keyword" if kwargs else ""
    return Finding(
        f"start_response was called with {len(args)} positional arguments{names}",
        "2 or 3 positional arguments: status, headers and perhaps exc_info",
    )


@START_BEFORE_CONTENT.observed_by(Means.WATCH, "item")
def _yields_too_early(exchange: Observation, item: Any) -> Finding | None:
    if exchange.begun or type(item) is not bytes or not item:
        return None
    return Finding(
        f"the block {shown_short(item)} came, and no head", "start_response before the first content"
    )


@START_BY_THE_END.observed_by(Means.WATCH, "exhausted")
def _never_starts(exchange: Observation) -> Finding | None:
    if exchange.begun or exchange.content:
        return None
    return Finding(
        "the iterable is exhausted, and start_response was not called", "one call of start_response"
    )
