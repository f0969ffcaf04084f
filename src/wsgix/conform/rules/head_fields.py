"""Chapter H, second part: what is said of particular header fields (H13 to H15, H22 to H28, H31).

The chapter is put together in `head`. Tables of names stand in `facts.names`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from wsgix.conform import decisions
from wsgix.conform.observation import Finding
from wsgix.conform.rule import Level, Means, Profile, Rule, Side
from wsgix.conform.rules.sources import VALIDATE, pep3333, rfc
from wsgix.facts.names import BODILESS_STATUSES, CONNECTION_FIELDS, RESPONSE_SINGLETON_FIELDS, STATUS_FIELDS

if TYPE_CHECKING:
    from wsgix.conform.observation import Observation

NO_HOP_BY_HOP: Final = Rule(
    id="H13",
    slug="no-hop-by-hop",
    level=Level.MUST_NOT,
    binds=Side.APPLICATION,
    source=pep3333("Other HTTP Features"),
    quote='must not generate any "hop-by-hop" headers',
    says=(
        "The application sends no field that belongs to one connection, such as `Connection` or `Keep-Alive`."
    ),
    why=(
        "The connection is the server's. It decides whether to keep it, and a field that says otherwise "
        "leaves client and server with different ideas of what comes next on the wire."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
""",
    bad="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("connection", "close")])
    return [b"Hello"]
""",
)

NO_TRANSFER_ENCODING: Final = Rule(
    id="H14",
    slug="no-transfer-encoding",
    level=Level.MUST_NOT,
    binds=Side.APPLICATION,
    source=pep3333("Handling the Content-Length Header"),
    quote="must not apply any kind of Transfer-Encoding to their output",
    says="The application sends no `Transfer-Encoding`.",
    why=(
        "Whether a response is chunked depends on the client's version and on the server. With the field "
        "from the application and the framing from the server, the client reads sizes as content or content "
        "as sizes."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello, ", b"world"]
""",
    bad="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Transfer-Encoding", "chunked")])
    return [b"Hello, ", b"world"]
""",
)

NO_STATUS_FIELD: Final = Rule(
    id="H15",
    slug="no-status-field",
    level=Level.DE_FACTO,
    binds=Side.APPLICATION,
    source=rfc(3875, "6.3.3"),
    says="The application sends no field named `Status`.",
    why=(
        "To a web server that runs the application by CGI, `Status` is the status line. There it would "
        "overrule the status that was given to `start_response`; elsewhere it means nothing."
    ),
    good="""\
def app(environ, start_response):
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"There is no such page."]
""",
    bad="""\
def app(environ, start_response):
    start_response("404 Not Found", [("Content-Type", "text/plain"), ("Status", "200 OK")])
    return [b"There is no such page."]
""",
    profiles=frozenset({Profile.DE_FACTO, Profile.STDLIB}),
)

CONTENT_TYPE_WITH_CONTENT: Final = Rule(
    id="H22",
    slug="content-type-with-content",
    level=Level.SHOULD,
    binds=Side.APPLICATION,
    source=rfc(9110, "8.3"),
    quote="that generates a message containing content SHOULD generate a Content-Type",
    says="A response with content tells its media type in `Content-Type`.",
    why=(
        "Without it a browser guesses from the first bytes. What was meant as text may then run as a "
        "script. The standard library's validator asks for the field at `start_response`; here it is missed "
        "when content comes."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("content-type", "text/plain")])
    return [b"Hello"]
""",
    bad="""\
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"Hello"]
""",
    profiles=frozenset({Profile.HTTP, Profile.STDLIB}),
)

NO_CONTENT_TYPE_WITHOUT_CONTENT: Final = Rule(
    id="H23",
    slug="no-content-type-without-content",
    level=Level.DE_FACTO,
    binds=Side.APPLICATION,
    source=VALIDATE,
    says="A 204 or 304 has no `Content-Type`.",
    why=(
        "The standard library's validator refuses it. HTTP lets a 204 describe its resource, and a 304 "
        "whatever guides a cache, so that frameworks which send the field do nothing wrong."
    ),
    good="""\
def app(environ, start_response):
    start_response("204 No Content", [])
    return []
""",
    bad="""\
def app(environ, start_response):
    start_response("204 No Content", [("Content-Type", "text/plain")])
    return []
""",
    profiles=frozenset({Profile.STDLIB}),
)

CONTENT_LENGTH_IS_NUMBER: Final = Rule(
    id="H24",
    slug="content-length-is-number",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=rfc(9110, "8.6"),
    quote="Content-Length = 1*DIGIT",
    says="The value of `Content-Length` is decimal digits and nothing else.",
    why=(
        "The number tells where the response ends. Signs, spaces and lists of numbers are read in different "
        "ways by different readers, and the difference is a way to smuggle one response into another."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"Hello"]
""",
    bad="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "+5")])
    return [b"Hello"]
""",
    profiles=frozenset({Profile.HTTP}),
)

NO_LENGTH_WITHOUT_CONTENT: Final = Rule(
    id="H25",
    slug="no-length-without-content",
    level=Level.MUST_NOT,
    binds=Side.APPLICATION,
    source=rfc(9110, "8.6"),
    quote="MUST NOT send a Content-Length header field in any response with a status code of 1xx",
    says="A 204 has no `Content-Length`, not even one of zero.",
    why=(
        "A 204 ends with its head. Clients that honour the field wait for content, and old proxies took the "
        "next response for it."
    ),
    good="""\
def app(environ, start_response):
    start_response("204 No Content", [])
    return []
""",
    bad="""\
def app(environ, start_response):
    start_response("204 No Content", [("Content-Length", "0")])
    return []
""",
    profiles=frozenset({Profile.HTTP}),
)

SINGLETONS_ONCE: Final = Rule(
    id="H26",
    slug="singletons-once",
    level=Level.MUST_NOT,
    binds=Side.APPLICATION,
    source=rfc(9110, "5.3"),
    quote="MUST NOT generate multiple field lines with the same name",
    says="A field whose value is no list, such as `Content-Type` or `Location`, stands once.",
    why=(
        "Of two values some readers take the first, some the last, and some join them to one that is "
        "neither. Middleware that appends a field instead of setting it is the usual cause."
    ),
    good="""\
def app(environ, start_response):
    cookies = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    start_response("200 OK", [("Content-Type", "text/plain"), *cookies])
    return [b"Hello"]
""",
    bad="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("content-type", "text/html")])
    return [b"Hello"]
""",
    profiles=frozenset({Profile.HTTP}),
)

STATUS_HAS_ITS_FIELD: Final = Rule(
    id="H27",
    slug="status-has-its-field",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=rfc(9110, "15.5"),
    quote="MUST send a WWW-Authenticate header field",
    says=(
        "A 401 tells by `WWW-Authenticate` how to authenticate, and a 405 by `Allow` which methods there are."
    ),
    why=(
        "The field is what the status is about: without it a client knows that it was refused and not what "
        "it may do. Where the refusal has nothing to do with HTTP authentication, 403 is the status for it."
    ),
    good="""\
def app(environ, start_response):
    headers = [("Content-Type", "text/plain"), ("Allow", "GET, HEAD")]
    start_response("405 Method Not Allowed", headers)
    return [b"Only GET."]
""",
    bad="""\
def app(environ, start_response):
    start_response("405 Method Not Allowed", [("Content-Type", "text/plain")])
    return [b"Only GET."]
""",
    profiles=frozenset({Profile.HTTP}),
)

HEAD_AS_GET: Final = Rule(
    id="H28",
    slug="head-as-get",
    level=Level.SHOULD,
    binds=Side.APPLICATION,
    source=rfc(9110, "9.3.2"),
    quote="SHOULD send the same header fields in response to a HEAD request as it would have sent",
    says="HEAD is answered with the status and the header fields that GET would get.",
    why=(
        "HEAD is asked to learn about the answer to GET: whether it is there, how long it is, whether it "
        "has changed. An application that refuses the method, or leaves fields out, makes caches and link "
        "checkers err."
    ),
    good="""\
def app(environ, start_response):
    page = b"Hello"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(page)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [page]
""",
    bad="""\
def app(environ, start_response):
    page = b"" if environ["REQUEST_METHOD"] == "HEAD" else b"Hello"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(page)))])
    return [page]
""",
    profiles=frozenset({Profile.HTTP}),
)

TYPE_WITHOUT_CONTENT: Final = Rule(
    id="H31",
    slug="content-type-without-content",
    level=Level.DE_FACTO,
    binds=Side.APPLICATION,
    source=VALIDATE,
    says="A response that could have content has a `Content-Type` also when it has none.",
    why=(
        "The standard library's validator asks for the field when the head is given, and cannot know "
        "whether content will follow. A `Content-Length` of zero tells it that none will."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    return []
""",
    bad="""\
def app(environ, start_response):
    start_response("200 OK", [])
    return []
""",
    profiles=frozenset({Profile.STDLIB}),
)

RULES: Final[tuple[Rule, ...]] = (
    NO_HOP_BY_HOP,
    NO_TRANSFER_ENCODING,
    NO_STATUS_FIELD,
    CONTENT_TYPE_WITH_CONTENT,
    NO_CONTENT_TYPE_WITHOUT_CONTENT,
    CONTENT_LENGTH_IS_NUMBER,
    NO_LENGTH_WITHOUT_CONTENT,
    SINGLETONS_ONCE,
    STATUS_HAS_ITS_FIELD,
    HEAD_AS_GET,
    TYPE_WITHOUT_CONTENT,
)

# Transfer-Encoding has a rule of its own. What the application's own Connection nominates comes with that.
_CONNECTION_FIELDS: Final = CONNECTION_FIELDS - {"transfer-encoding"}


@NO_HOP_BY_HOP.observed_by(Means.WATCH, "start_response")
def _hop_by_hop(exchange: Observation, args: tuple[Any, ...], kwargs: Any) -> Finding | None:
    if exchange.names.isdisjoint(_CONNECTION_FIELDS):
        return None
    for name, value in exchange.fields:
        if name in _CONNECTION_FIELDS:
            return Finding(f"{name}: {value!r}", "no field that belongs to the connection")
    return None


@NO_TRANSFER_ENCODING.observed_by(Means.WATCH, "start_response")
def _transfer_encoding(exchange: Observation, args: tuple[Any, ...], kwargs: Any) -> Finding | None:
    value = exchange.value_of("transfer-encoding")
    if value is None:
        return None
    return Finding(f"transfer-encoding: {value!r}", "no transfer coding: that is the server's")


@NO_STATUS_FIELD.observed_by(Means.WATCH, "start_response")
def _status_field(exchange: Observation, args: tuple[Any, ...], kwargs: Any) -> Finding | None:
    value = exchange.value_of("status")
    return None if value is None else Finding(f"status: {value!r}", "no field of that name")


@CONTENT_TYPE_WITH_CONTENT.observed_by(Means.WATCH, "item")
@CONTENT_TYPE_WITH_CONTENT.observed_by(Means.WATCH, "write")
def _content_without_type(exchange: Observation, data: Any) -> Finding | None:
    if "content-type" in exchange.names or not exchange.content or not exchange.has_content:
        return None
    if not exchange.code or exchange.unread:
        return None  # the head did not come, or could not be read
    return Finding(f"content in a {exchange.code}, and no Content-Type", "the media type of the content")


@NO_CONTENT_TYPE_WITHOUT_CONTENT.observed_by(Means.WATCH, "start_response")
def _type_without_content(exchange: Observation, args: tuple[Any, ...], kwargs: Any) -> Finding | None:
    value = exchange.value_of("content-type")
    if value is None or exchange.code not in BODILESS_STATUSES:
        return None
    seen = f"content-type: {value!r} in a {exchange.code}"
    return Finding(seen, "no Content-Type where there is no content")


@TYPE_WITHOUT_CONTENT.observed_by(Means.WATCH, "exhausted")
def _no_type_and_no_content(exchange: Observation) -> Finding | None:
    if "content-type" in exchange.names or exchange.unread or not exchange.code:
        return None
    if not decisions.asks_for_type(exchange.code):
        return None
    if (exchange.content and exchange.has_content) or exchange.value_of("content-length") == "0":
        return None
    return Finding(f"a {exchange.code} without Content-Type", "a Content-Type, or a Content-Length of 0")


@CONTENT_LENGTH_IS_NUMBER.observed_by(Means.WATCH, "start_response")
def _length_is_no_number(exchange: Observation, args: tuple[Any, ...], kwargs: Any) -> Finding | None:
    if "content-length" not in exchange.names:
        return None
    for name, value in exchange.fields:
        if name == "content-length" and decisions.content_length(value) is None:
            return Finding(f"{name}: {value!r}", "decimal digits")
    return None


@NO_LENGTH_WITHOUT_CONTENT.observed_by(Means.WATCH, "start_response")
def _length_without_content(exchange: Observation, args: tuple[Any, ...], kwargs: Any) -> Finding | None:
    value = exchange.value_of("content-length")
    if value is None or (exchange.code != "204" and exchange.code[:1] != "1"):
        return None
    return Finding(f"content-length: {value!r} in a {exchange.code}", "no Content-Length")


@SINGLETONS_ONCE.observed_by(Means.WATCH, "start_response")
def _singleton_twice(exchange: Observation, args: tuple[Any, ...], kwargs: Any) -> Finding | None:
    fields = exchange.fields
    if len(exchange.names) == len(fields):
        return None
    for name, times in Counter(name for name, _ in fields).items():
        if times > 1 and name in RESPONSE_SINGLETON_FIELDS:
            values = ", ".join(repr(value) for other, value in fields if other == name)
            return Finding(f"{name} stands {times} times: {values}", "one field of that name")
    return None


@STATUS_HAS_ITS_FIELD.observed_by(Means.WATCH, "start_response")
def _status_without_its_field(exchange: Observation, args: tuple[Any, ...], kwargs: Any) -> Finding | None:
    field = STATUS_FIELDS.get(exchange.code)
    if field is None or field in exchange.names or exchange.unread:
        return None
    return Finding(f"a {exchange.code} without {field}", f"the field {field}")
