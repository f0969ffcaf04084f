"""Chapter H: the head of the response, as the application gives it to `start_response`.

Here stand the rules for the types and the spelling of status and header fields (H1 to H12, H30). What HTTP
says of particular fields stands in `head_fields`, when and how often `start_response` is called in
`head_starts`; `RULES` holds the whole chapter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wsgix.conform import decisions
from wsgix.conform.observation import Finding
from wsgix.conform.rule import Level, Means, Profile, Rule, Side
from wsgix.conform.rules import head_fields, head_starts
from wsgix.conform.rules.sources import VALIDATE, pep3333, rfc
from wsgix.conform.words import shown, shown_short

if TYPE_CHECKING:
    from wsgix.conform.observation import Observation

_START: Final = pep3333("The start_response() Callable")
_UNICODE: Final = pep3333("Unicode Issues")

STATUS_IS_STR: Final = Rule(
    id="H1",
    slug="status-is-str",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=pep3333("A Note On String Types"),
    quote="an object of type str",
    says="The status is of the type `str` and of no subclass.",
    why=(
        "Servers written in C test for the type itself, and HTTP enumerations or bytes print as something "
        "else than they look like: `HTTPStatus.OK` is no status line, and neither is `b'200 OK'`."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
""",
    bad="""\
def app(environ, start_response):
    start_response(b"200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
""",
    profiles=frozenset({Profile.PEP3333, Profile.STDLIB}),
)

STATUS_SHAPE: Final = Rule(
    id="H2",
    slug="status-shape",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=_START,
    quote="separated by a single space, with no surrounding whitespace",
    says="The status is three digits, one space and a reason.",
    why=(
        "Servers put the text behind the protocol as it is, and take it apart at fixed places. `200` alone "
        "gives a status line that some clients refuse."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 All is well", [("Content-Type", "text/plain")])
    return [b"Hello"]
""",
    bad="""\
def app(environ, start_response):
    start_response("200", [("Content-Type", "text/plain")])
    return [b"Hello"]
""",
)

STATUS_NO_CONTROLS: Final = Rule(
    id="H3",
    slug="status-no-controls",
    level=Level.MUST_NOT,
    binds=Side.APPLICATION,
    source=_START,
    quote="must not contain control characters",
    says="The status contains no control character, and no line ending at its end.",
    why=(
        "A line ending in the status ends the status line: what follows becomes a header field, and who "
        "controls the reason controls the response."
    ),
    good="""\
def app(environ, start_response):
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"There is no such page."]
""",
    bad="""\
def app(environ, start_response):
    start_response("404 Not Found\\r\\n", [("Content-Type", "text/plain")])
    return [b"There is no such page."]
""",
)

STATUS_IN_RANGE: Final = Rule(
    id="H4",
    slug="status-in-range",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=rfc(9110, "15"),
    quote="within the range of 100 to 599, inclusive",
    says="The status code is a number from 100 to 599.",
    why=(
        "A client knows five classes of responses. It treats any other number as a 5xx, if it does not give "
        "up."
    ),
    good="""\
def app(environ, start_response):
    start_response("599 Unheard Of", [("Content-Type", "text/plain")])
    return [b"Sorry"]
""",
    bad="""\
def app(environ, start_response):
    start_response("600 Unheard Of", [("Content-Type", "text/plain")])
    return [b"Sorry"]
""",
    profiles=frozenset({Profile.HTTP}),
)

STATUS_IS_FINAL: Final = Rule(
    id="H5",
    slug="status-is-final",
    level=Level.MUST_NOT,
    binds=Side.APPLICATION,
    source=rfc(9110, "15.2"),
    quote="prior to completing the requested action and sending a final response",
    says="The application does not answer with an interim status, 1xx.",
    why=(
        "An interim response announces a final one, and WSGI has room for one response. The client goes on "
        "waiting. `100 Continue` is the server's to send, and `101` ends the connection's use for HTTP."
    ),
    good="""\
def app(environ, start_response):
    start_response("202 Accepted", [("Content-Type", "text/plain")])
    return [b"It will be done."]
""",
    bad="""\
def app(environ, start_response):
    start_response("102 Processing", [])
    return []
""",
    profiles=frozenset({Profile.HTTP}),
)

HEADERS_ARE_LIST: Final = Rule(
    id="H6",
    slug="headers-are-list",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=_START,
    quote="It must be a Python list",
    says="The headers are of the type `list` and of no subclass.",
    why=(
        "Servers and middleware append to the list, replace its items and look through it twice. A tuple "
        "refuses the first, an iterator the last, and servers written in C refuse all but a list."
    ),
    good="""\
def app(environ, start_response):
    headers = {"Content-Type": "text/plain"}
    start_response("200 OK", list(headers.items()))
    return [b"Hello"]
""",
    bad="""\
def app(environ, start_response):
    start_response("200 OK", (("Content-Type", "text/plain"),))
    return [b"Hello"]
""",
    profiles=frozenset({Profile.PEP3333, Profile.STDLIB}),
)

HEADERS_ARE_PAIRS: Final = Rule(
    id="H7",
    slug="headers-are-pairs",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=_START,
    quote="a list of (header_name, header_value) tuples",
    says="Each item of the headers is a tuple of two, a name and a value.",
    why="Servers take them apart by position and compare them with tuples; a list is equal to none.",
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Age", "3")])
    return [b"Hello"]
""",
    bad="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ["X-Age", "3"]])
    return [b"Hello"]
""",
    profiles=frozenset({Profile.PEP3333, Profile.STDLIB}),
)

HEADER_STRINGS_ARE_STR: Final = Rule(
    id="H8",
    slug="header-strings-are-str",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=_UNICODE,
    quote="must be of type str",
    says="The names and values of header fields are of the type `str` and of no subclass.",
    why=(
        "A number has to be made text by somebody, and each server does it otherwise or not at all. Bytes "
        "print with a `b` and quotes. Subclasses can answer `lower()` or `==` in ways of their own."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(5))])
    return [b"Hello"]
""",
    bad="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", 5)])
    return [b"Hello"]
""",
    profiles=frozenset({Profile.PEP3333, Profile.STDLIB}),
)

NAME_IS_TOKEN: Final = Rule(
    id="H9",
    slug="name-is-token",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=_START,
    quote="must be a valid HTTP header field-name",
    says=(
        "Each header field has a name, of letters, digits and `` !#$%&'*+-.^_`|~ `` alone, and without its "
        "colon."
    ),
    why=(
        "A colon or a space in the name moves the border between name and value, and a line ending begins "
        "another field. Proxies answer with an error or take the line for something else."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Rate.Limit_2", "9")])
    return [b"Hello"]
""",
    bad="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Rate-Limit:", "9")])
    return [b"Hello"]
""",
    profiles=frozenset({Profile.PEP3333, Profile.STDLIB}),
)

NAME_ENDS_PLAINLY: Final = Rule(
    id="H10",
    slug="name-ends-plainly",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=_START,
    quote="without a trailing colon or other punctuation",
    says="The name of a header field ends in a letter or a digit.",
    why=(
        "HTTP would allow it. A hyphen or underscore at the end is a mistake wherever it was seen, and "
        "makes two names that readers and CGI variables hardly tell apart."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Part-2", "9")])
    return [b"Hello"]
""",
    bad="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Part-", "9")])
    return [b"Hello"]
""",
    profiles=frozenset({Profile.PEP3333, Profile.STDLIB}),
)

VALUE_NO_CONTROLS: Final = Rule(
    id="H11",
    slug="value-no-controls",
    level=Level.MUST_NOT,
    binds=Side.APPLICATION,
    source=_START,
    quote="must not include any control characters",
    says="The value of a header field contains no control character, not even a tab.",
    why=(
        "Text from outside that carries a line ending adds header fields or a whole response of the "
        "attacker's. The tab, which HTTP allows within a value, is forbidden here with the rest to keep "
        "parsers simple."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Note", "one; two")])
    return [b"Hello"]
""",
    bad="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Note", "one\\r\\n two")])
    return [b"Hello"]
""",
    profiles=frozenset({Profile.PEP3333, Profile.STDLIB}),
)

HEAD_IN_LATIN_1: Final = Rule(
    id="H12",
    slug="head-in-latin-1",
    level=Level.MUST_NOT,
    binds=Side.APPLICATION,
    source=_UNICODE,
    quote="must contain only code points representable in ISO-8859-1 encoding",
    says="Status and header fields contain no character beyond U+00FF.",
    why=(
        "Each character stands for one byte on the wire. A server cannot encode others and fails, in the "
        "middle of a response at worst. Names of files and people have encodings of their own: RFC 8187, "
        "RFC 2047, percent signs."
    ),
    good="""\
def app(environ, start_response):
    disposition = "attachment; filename*=UTF-8''%E2%82%AC%20rates"
    start_response("200 OK", [("Content-Type", "text/csv"), ("Content-Disposition", disposition)])
    return [b"EUR,1"]
""",
    bad="""\
def app(environ, start_response):
    disposition = "attachment; filename=\\u20ac"
    start_response("200 OK", [("Content-Type", "text/csv"), ("Content-Disposition", disposition)])
    return [b"EUR,1"]
""",
)

HEADERS_ARE_EXACT_TUPLES: Final = Rule(
    id="H30",
    slug="headers-are-exact-tuples",
    level=Level.DE_FACTO,
    binds=Side.APPLICATION,
    source=VALIDATE,
    says="Each item of the headers is of the type `tuple` and of no subclass.",
    why=(
        "The standard library's validator compares the types. PEP 3333 asks for tuples, and a named tuple "
        "is one."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
""",
    bad="""\
from collections import namedtuple

Field = namedtuple("Field", "name value")

def app(environ, start_response):
    start_response("200 OK", [Field("Content-Type", "text/plain")])
    return [b"Hello"]
""",
    profiles=frozenset({Profile.STDLIB}),
)

RULES: Final[tuple[Rule, ...]] = tuple(
    sorted(
        (
            STATUS_IS_STR,
            STATUS_SHAPE,
            STATUS_NO_CONTROLS,
            STATUS_IN_RANGE,
            STATUS_IS_FINAL,
            HEADERS_ARE_LIST,
            HEADERS_ARE_PAIRS,
            HEADER_STRINGS_ARE_STR,
            NAME_IS_TOKEN,
            NAME_ENDS_PLAINLY,
            VALUE_NO_CONTROLS,
            HEAD_IN_LATIN_1,
            HEADERS_ARE_EXACT_TUPLES,
            *head_fields.RULES,
            *head_starts.RULES,
        ),
        key=lambda rule: int(rule.id[1:]),
    )
)


@STATUS_IS_STR.observed_by(Means.WATCH, "start_response")
def _status_of_other_type(exchange: Observation, args: tuple[Any, ...], kwargs: Any) -> Finding | None:
    if not args or type(args[0]) is str:
        return None
    return Finding(f"the status {shown_short(args[0])} is a {type(args[0]).__name__}", "a str")


@STATUS_SHAPE.observed_by(Means.WATCH, "start_response")
def _status_of_other_shape(exchange: Observation, args: tuple[Any, ...], kwargs: Any) -> Finding | None:
    status = exchange.status
    if status is None or decisions.is_status(status) or decisions.control_in(status):
        return None
    return Finding(f"the status {status!r}", 'three digits, a single space and a reason, like "200 OK"')


@STATUS_NO_CONTROLS.observed_by(Means.WATCH, "start_response")
def _status_with_control(exchange: Observation, args: tuple[Any, ...], kwargs: Any) -> Finding | None:
    status = exchange.status
    if status is None or not (control := decisions.control_in(status)):
        return None
    return Finding(f"{control!r} in the status {status!r}", "no control character")


@STATUS_IN_RANGE.observed_by(Means.WATCH, "start_response")
def _status_out_of_range(exchange: Observation, args: tuple[Any, ...], kwargs: Any) -> Finding | None:
    code = exchange.code
    if decisions.is_status_code(code) or not (code.isascii() and code.isdigit() and len(code) == 3):
        return None
    return Finding(f"the status code {code}", "a number from 100 to 599")


@STATUS_IS_FINAL.observed_by(Means.WATCH, "start_response")
def _status_is_interim(exchange: Observation, args: tuple[Any, ...], kwargs: Any) -> Finding | None:
    code = exchange.code
    if code[:1] != "1" or not decisions.is_status_code(code):
        return None
    return Finding(f"the status code {code}", "that of a final response, 200 to 599")


def _headers(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Give the items of the headers, if they can be looked at without using them up."""
    return decisions.items_of(args[1] if len(args) > 1 else ()) or ()


@HEADERS_ARE_LIST.observed_by(Means.WATCH, "start_response")
def _headers_of_other_type(exchange: Observation, args: tuple[Any, ...], kwargs: Any) -> Finding | None:
    if len(args) < 2 or type(args[1]) is list:
        return None
    return Finding(f"the headers {shown_short(args[1])} are a {type(args[1]).__name__}", "a list")


@HEADERS_ARE_PAIRS.observed_by(Means.WATCH, "start_response")
def _headers_of_other_shape(exchange: Observation, args: tuple[Any, ...], kwargs: Any) -> Finding | None:
    if not exchange.odd:
        return None
    for item in _headers(args):
        if not issubclass(type(item), tuple):
            return Finding(
                f"the header {shown(item)} is a {type(item).__name__}", "a tuple of name and value"
            )
        if (parts := tuple.__len__(item)) != 2:
            return Finding(f"the header {shown(item)} has {parts} parts", "a tuple of name and value")
    return None


@HEADERS_ARE_EXACT_TUPLES.observed_by(Means.WATCH, "start_response")
def _headers_of_tuple_subclass(exchange: Observation, args: tuple[Any, ...], kwargs: Any) -> Finding | None:
    if not exchange.odd:
        return None
    for item in _headers(args):
        if issubclass(type(item), tuple) and type(item) is not tuple:
            return Finding(f"the header {shown(item)} is a {type(item).__name__}", "a tuple")
    return None


@HEADER_STRINGS_ARE_STR.observed_by(Means.WATCH, "start_response")
def _header_string_of_other_type(exchange: Observation, args: tuple[Any, ...], kwargs: Any) -> Finding | None:
    if not exchange.odd:
        return None
    for item in _headers(args):
        for part in decisions.items_of(item) or ():
            if type(part) is not str:
                return Finding(f"{shown(part)} in {shown(item)} is a {type(part).__name__}", "a str")
    return None


@NAME_IS_TOKEN.observed_by(Means.WATCH, "start_response")
def _name_is_no_token(exchange: Observation, args: tuple[Any, ...], kwargs: Any) -> Finding | None:
    for name in exchange.names:
        if not decisions.is_token(name) and not decisions.beyond_latin_1(name):
            return Finding(
                f"the field name {name!r}", "letters, digits and !#$%&'*+-.^_`|~ only, at least one"
            )
    return None


@NAME_ENDS_PLAINLY.observed_by(Means.WATCH, "start_response")
def _name_ends_in_punctuation(exchange: Observation, args: tuple[Any, ...], kwargs: Any) -> Finding | None:
    for name in exchange.names:
        if decisions.ends_in_punctuation(name) and decisions.is_token(name):
            return Finding(f"the field name {name!r}", "a letter or a digit at its end")
    return None


@VALUE_NO_CONTROLS.observed_by(Means.WATCH, "start_response")
def _value_with_control(exchange: Observation, args: tuple[Any, ...], kwargs: Any) -> Finding | None:
    for name, value in exchange.fields:
        if control := decisions.control_in(value):
            return Finding(f"{control!r} in {name}: {value!r}", "no control character")
    return None


@HEAD_IN_LATIN_1.observed_by(Means.WATCH, "start_response")
def _beyond_latin_1(exchange: Observation, args: tuple[Any, ...], kwargs: Any) -> Finding | None:
    if exchange.status is not None and (character := decisions.beyond_latin_1(exchange.status)):
        return Finding(f"{character!r} in the status {exchange.status!r}", "characters up to U+00FF")
    for name, value in exchange.fields:
        if character := decisions.beyond_latin_1(name) or decisions.beyond_latin_1(value):
            return Finding(f"{character!r} in {name}: {value!r}", "characters up to U+00FF")
    return None
