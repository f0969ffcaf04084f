"""Chapter I: what the application does with its environ, with `wsgi.input` and with `wsgi.errors`.

The records and their observers at the points of an exchange; scenarios are attached by `conform.drive`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wsgix.conform.observation import Finding
from wsgix.conform.rule import Level, Means, Profile, Rule, Side
from wsgix.conform.rules.sources import VALIDATE, pep3333
from wsgix.conform.words import shown_short

if TYPE_CHECKING:
    from wsgix.conform.observation import Observation

_STREAMS: Final = pep3333("Input and Error Streams")
_VARIABLES: Final = pep3333("environ Variables")

READS_WITHIN_LENGTH: Final = Rule(
    id="I1",
    slug="reads-within-length",
    level=Level.SHOULD_NOT,
    binds=Side.APPLICATION,
    source=_STREAMS,
    quote="should not attempt to read more data than is specified by the CONTENT_LENGTH variable",
    says="The application does not ask `wsgi.input` for more bytes than `CONTENT_LENGTH` leaves.",
    why=(
        "A server should pretend that the stream ends there, but need not. Where it does not, the read "
        "waits for bytes that the client will never send, until one of the two gives up."
    ),
    good="""\
method = "POST"
content = b"one=1&two=2"

def app(environ, start_response):
    form = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [form]
""",
    bad="""\
method = "POST"
content = b"one=1&two=2"

def app(environ, start_response):
    form = environ["wsgi.input"].read(65536)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [form]
""",
)

NO_OTHER_ATTRIBUTES: Final = Rule(
    id="I2",
    slug="no-other-attributes",
    level=Level.MUST_NOT,
    binds=Side.APPLICATION,
    source=_STREAMS,
    quote="must not use any other methods or attributes",
    says=(
        "The application relies only on those methods of `wsgi.input` and `wsgi.errors` that PEP 3333 lists."
    ),
    why=(
        "`seek()`, `fileno()` or `encoding` are there as long as a test puts a file in that place. A server "
        "reads from its connection, and has none of them or one that means something else. Who asks by "
        "`hasattr()` whether there is a method, and has another way where there is none, is not told of."
    ),
    good="""\
def app(environ, start_response):
    print("a request", file=environ["wsgi.errors"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
""",
    bad="""\
method = "POST"
content = b"one=1&two=2"

def app(environ, start_response):
    environ["wsgi.input"].seek(0)
    form = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [form]
""",
)

STREAMS_STAY_OPEN: Final = Rule(
    id="I3",
    slug="streams-stay-open",
    level=Level.MUST_NOT,
    binds=Side.APPLICATION,
    source=_STREAMS,
    quote="must not attempt to close these streams",
    says="The application closes neither `wsgi.input` nor `wsgi.errors`.",
    why=(
        "They are the server's: the one may be its connection, the other the log of everybody. What a "
        "middleware has still to read or to write is lost with them."
    ),
    good="""\
def app(environ, start_response):
    environ["wsgi.errors"].flush()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
""",
    bad="""\
def app(environ, start_response):
    environ["wsgi.input"].close()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
""",
    profiles=frozenset({Profile.PEP3333, Profile.STDLIB}),
)

ERRORS_GET_STR: Final = Rule(
    id="I4",
    slug="errors-get-str",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=_VARIABLES,
    quote='This should be a "text mode" stream',
    says="What the application writes to `wsgi.errors` is text.",
    why="The stream encodes it. Bytes raise an error just where another one was to be recorded.",
    good="""\
def app(environ, start_response):
    environ["wsgi.errors"].writelines(["one \\u20ac\\n", "two\\n"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
""",
    bad="""\
def app(environ, start_response):
    try:
        environ["wsgi.errors"].write(b"a request\\n")
    except TypeError:
        pass
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
""",
    profiles=frozenset({Profile.PEP3333, Profile.STDLIB}),
)

ERRORS_LINES: Final = Rule(
    id="I5",
    slug="errors-lines",
    level=Level.SHOULD,
    binds=Side.APPLICATION,
    source=_VARIABLES,
    quote='applications should use "\\n" as a line ending',
    says="Lines for `wsgi.errors` end in a line feed alone.",
    why="The server turns it into what the platform wants; a carriage return before it stays in the log.",
    good="""\
def app(environ, start_response):
    environ["wsgi.errors"].write("a request\\n")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
""",
    bad="""\
def app(environ, start_response):
    environ["wsgi.errors"].write("a request\\r\\n")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
""",
)

ERRORS_FLUSHED: Final = Rule(
    id="I6",
    slug="errors-flushed",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=_STREAMS,
    quote="must call flush() if they need to ensure that output has in fact been written",
    says="An application that needs its messages to be written flushes `wsgi.errors`.",
    why=(
        "The stream may be buffered, and what several processes write to one log mixes at the edges of "
        "buffers."
    ),
    untestable="what an application needs is not to be seen",
)

VARIABLES_MAY_BE_ABSENT: Final = Rule(
    id="I7",
    slug="variables-may-be-absent",
    level=Level.SHOULD,
    binds=Side.APPLICATION,
    source=_VARIABLES,
    quote="should check for the presence of any variables they require",
    says="The application works without each variable that a server may leave out, or says what is missing.",
    why=(
        "Most variables may be absent: `QUERY_STRING` where there is none, `CONTENT_TYPE`, `REMOTE_ADDR` "
        "behind a socket file. `environ[...]` works with the server at hand and raises `KeyError` with the "
        "next."
    ),
    good="""\
def app(environ, start_response):
    query = environ.get("QUERY_STRING", "")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"You asked for ", query.encode("latin-1")]
""",
    bad="""\
def app(environ, start_response):
    query = environ["QUERY_STRING"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"You asked for ", query.encode("latin-1")]
""",
)

HOP_BY_HOP_NOT_RELIED_ON: Final = Rule(
    id="I8",
    slug="hop-by-hop-not-relied-on",
    level=Level.MUST_NOT,
    binds=Side.APPLICATION,
    source=pep3333("Other HTTP Features"),
    quote='rely on the content of any incoming "hop-by-hop" headers',
    says="The answer does not depend on fields of the request that belong to its connection.",
    why=(
        "They tell about the connection between client and server, or between a proxy and the server; a "
        "server may pass them on, drop them or have acted upon them."
    ),
    good="""\
def app(environ, start_response):
    language = environ.get("HTTP_ACCEPT_LANGUAGE", "en")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Vary", "Accept-Language")])
    return [b"Hallo" if language.startswith("de") else b"Hello"]
""",
    bad="""\
def app(environ, start_response):
    kept = environ.get("HTTP_CONNECTION", "").lower() == "keep-alive"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"See you" if kept else b"Good bye"]
""",
)

ENVIRON_MAY_BE_CHANGED: Final = Rule(
    id="I9",
    slug="environ-may-be-changed",
    level=Level.MAY,
    binds=Side.APPLICATION,
    source=pep3333("Specification Details"),
    quote="allowed to modify the dictionary in any way it desires",
    says="The application may change the environ as it likes.",
    why=(
        "It is made anew for each request, and routing to a part of an application moves path segments in it."
    ),
    good="""\
def app(environ, start_response):
    environ["example.user"] = object()
    environ.pop("QUERY_STRING", None)
    environ.clear()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
""",
    untestable="it is a permission: there is nothing to break",
)

READ_TAKES_SIZE: Final = Rule(
    id="I10",
    slug="read-takes-size",
    level=Level.DE_FACTO,
    binds=Side.APPLICATION,
    source=VALIDATE,
    says="`wsgi.input.read()` is called with a size, and no method of the stream with two arguments.",
    why=(
        "The standard library's validator refuses the bare call. PEP 3333 says that servers should allow it "
        "and return the rest; a few old ones wait until the client closes."
    ),
    good="""\
method = "POST"
content = b"one=1&two=2"

def app(environ, start_response):
    form = environ["wsgi.input"].read(11)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [form]
""",
    bad="""\
method = "POST"
content = b"one=1&two=2"

def app(environ, start_response):
    form = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [form]
""",
    profiles=frozenset({Profile.STDLIB}),
)

INPUT_MAY_END_EARLY: Final = Rule(
    id="I11",
    slug="input-may-end-early",
    level=Level.DE_FACTO,
    binds=Side.APPLICATION,
    source=_STREAMS,
    quote="return empty bytestrings from any attempt to read from an empty or exhausted input stream",
    says="The application ends although `wsgi.input` gives less than `CONTENT_LENGTH` promised.",
    why=(
        "Clients vanish in the middle of an upload. A loop that counts bytes and does not look for the "
        "empty read runs for ever, and takes a thread or the whole process with it."
    ),
    good="""\
method = "POST"
content = b"one=1&two=2"

def app(environ, start_response):
    left = int(environ.get("CONTENT_LENGTH") or 0)
    while left and (block := environ["wsgi.input"].read(min(left, 4))):
        left -= len(block)
    start_response("400 Bad Request" if left else "200 OK", [("Content-Type", "text/plain")])
    return [b"%d bytes are missing" % left]
""",
    bad="""\
method = "POST"
content = b"one=1&two=2"

def app(environ, start_response):
    left = int(environ.get("CONTENT_LENGTH") or 0)
    while left:
        left -= len(environ["wsgi.input"].read(min(left, 4)))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"All is there"]
""",
    profiles=frozenset({Profile.DE_FACTO}),
)

PATH_OF_ANY_BYTES: Final = Rule(
    id="I12",
    slug="path-of-any-bytes",
    level=Level.DE_FACTO,
    binds=Side.APPLICATION,
    source=pep3333("Unicode Issues"),
    quote="code points representable in ISO-8859-1 encoding",
    says="The application answers whatever bytes `PATH_INFO` stands for, if only with a 400 or 404.",
    why=(
        "Each character of the path is one byte of the request, and anyone can send any byte: UTF-8, half "
        "of it, or zero. What decodes it has to be ready for what is no text."
    ),
    good="""\
def app(environ, start_response):
    path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
    start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"There is no {path} here.".encode()]
""",
    bad="""\
def app(environ, start_response):
    path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8")
    start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"There is no {path} here.".encode()]
""",
    profiles=frozenset({Profile.DE_FACTO}),
)

VARIABLES_MAY_BE_EMPTY: Final = Rule(
    id="I13",
    slug="variables-may-be-empty",
    level=Level.SHOULD,
    binds=Side.APPLICATION,
    source=_VARIABLES,
    quote="May be empty or absent",
    says="The application takes an empty variable for one that is absent.",
    why=(
        "Servers may do either, and CGI gateways usually set all. `int(environ['CONTENT_LENGTH'])` fails "
        "with the empty text, although nothing is wrong with the request."
    ),
    good="""\
def app(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d bytes" % length]
""",
    bad="""\
def app(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH", 0))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d bytes" % length]
""",
)

RULES: Final[tuple[Rule, ...]] = (
    READS_WITHIN_LENGTH,
    NO_OTHER_ATTRIBUTES,
    STREAMS_STAY_OPEN,
    ERRORS_GET_STR,
    ERRORS_LINES,
    ERRORS_FLUSHED,
    VARIABLES_MAY_BE_ABSENT,
    HOP_BY_HOP_NOT_RELIED_ON,
    ENVIRON_MAY_BE_CHANGED,
    READ_TAKES_SIZE,
    INPUT_MAY_END_EARLY,
    PATH_OF_ANY_BYTES,
    VARIABLES_MAY_BE_EMPTY,
)


@READS_WITHIN_LENGTH.observed_by(Means.WATCH, "input_call")
def _reads_beyond_length(exchange: Observation, method: str, args: tuple[Any, ...]) -> Finding | None:
    # Lines and whole streams are read until they end, which PEP 3333 lets a server find for the application;
    # a number of bytes is the application's own.
    length = exchange.input_length
    if length is None or method != "read" or not args:
        return None
    size = args[0]
    if type(size) is not int or size <= 0 or exchange.consumed + size <= length:
        return None
    return Finding(
        f"read({size}) after {exchange.consumed} bytes, and CONTENT_LENGTH is {length}",
        f"{length} bytes in all",
    )


@NO_OTHER_ATTRIBUTES.observed_by(Means.WATCH, "attribute")
def _other_attribute(exchange: Observation, key: str, name: str) -> Finding | None:
    return Finding(f"{name} of {key} was used", f"only what PEP 3333 lists for {key}")


@STREAMS_STAY_OPEN.observed_by(Means.WATCH, "input_call")
def _closes_input(exchange: Observation, method: str, args: tuple[Any, ...]) -> Finding | None:
    return Finding("wsgi.input was closed", "an open stream") if method == "close" else None


@STREAMS_STAY_OPEN.observed_by(Means.WATCH, "errors_call")
def _closes_errors(exchange: Observation, method: str, args: tuple[Any, ...]) -> Finding | None:
    return Finding("wsgi.errors was closed", "an open stream") if method == "close" else None


@ERRORS_GET_STR.observed_by(Means.WATCH, "errors_call")
def _writes_other_type(exchange: Observation, method: str, args: tuple[Any, ...]) -> Finding | None:
    if method != "write" or issubclass(type(args[0]), str):
        return None
    return Finding(f"{shown_short(args[0])}, a {type(args[0]).__name__}, was written to wsgi.errors", "a str")


@ERRORS_LINES.observed_by(Means.WATCH, "errors_call")
def _ends_in_carriage_return(exchange: Observation, method: str, args: tuple[Any, ...]) -> Finding | None:
    if method != "write" or type(args[0]) is not str or not args[0].endswith("\r\n"):
        return None
    return Finding(f"{shown_short(args[0])} was written to wsgi.errors", "a line that ends in \\n alone")


@READ_TAKES_SIZE.observed_by(Means.WATCH, "input_call")
def _reads_without_size(exchange: Observation, method: str, args: tuple[Any, ...]) -> Finding | None:
    if len(args) == 1 or (not args and method != "read"):
        return None
    return Finding(f"{method}() of wsgi.input with {len(args)} arguments", "one argument, the size")
