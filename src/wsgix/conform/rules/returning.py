"""Chapter A, second part: what the application returns (A9 to A13, A15, A16, A20 to A22).

The records and their observers at the points of an exchange. The chapter is put together in `calling`.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

from wsgix.conform import decisions
from wsgix.conform.observation import Finding
from wsgix.conform.rule import Level, Means, Profile, Rule, Side
from wsgix.conform.rules.sources import pep3333
from wsgix.conform.words import shown_short

if TYPE_CHECKING:
    from wsgix.conform.observation import Observation

_DETAILS: Final = pep3333("Specification Details")
_FILES: Final = pep3333("Optional Platform-Specific File Handling")

RETURNS_ITERABLE: Final = Rule(
    id="A9",
    slug="returns-iterable",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=_DETAILS,
    quote="must always return an iterable",
    says="The application returns an iterable, also when it has written all of its content by `write()`.",
    why=(
        "A server iterates over what it gets. With `None`, the usual value of a forgotten `return`, it "
        "fails after the application has done its work."
    ),
    good="""\
def app(environ, start_response):
    start_response("204 No Content", [])
    return ()
""",
    bad="""\
def app(environ, start_response):
    start_response("204 No Content", [])
""",
    profiles=frozenset({Profile.PEP3333, Profile.STDLIB}),
)

NO_BARE_STRING: Final = Rule(
    id="A10",
    slug="no-bare-string",
    level=Level.DE_FACTO,
    binds=Side.APPLICATION,
    source=pep3333("Buffering and Streaming"),
    quote="return a single-element iterable",
    says="The application returns its content in a list or another iterable, not as bare text or bytes.",
    why=(
        "Iterating over bytes gives numbers, and over text single characters: neither is a block. Servers "
        "that take them all the same send each byte by itself."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
""",
    bad="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return b"Hello"
""",
    profiles=frozenset({Profile.DE_FACTO, Profile.STDLIB}),
)

LEN_ACCURATE: Final = Rule(
    id="A11",
    slug="len-accurate",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=_DETAILS,
    quote="it must return an accurate result",
    says="Where the iterable has a `len()`, that is the number of blocks that it yields.",
    why=(
        "From a length of one a server derives a Content-Length, namely that of the first block. If there "
        "are more, the rest is cut off or read by the client as the start of the next response."
    ),
    good="""\
class Blocks:
    def __iter__(self):
        return iter([b"Hello, ", b"world"])

    def __len__(self):
        return 2

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Blocks()
""",
    bad="""\
class Blocks:
    def __iter__(self):
        return iter([b"Hello, ", b"world"])

    def __len__(self):
        return 12

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Blocks()
""",
)

EARLY_CLOSE: Final = Rule(
    id="A12",
    slug="early-close",
    level=Level.SHOULD_NOT,
    binds=Side.APPLICATION,
    source=_DETAILS,
    quote="should not assume the entire iterator will be consumed",
    says="The application copes with an iterable that is closed before it is exhausted, or before it began.",
    why=(
        "Browsers leave, and HEAD or a Content-Length let a server stop early. Then `close()` is the last "
        "that the iterable hears: it must not raise, and must free what would otherwise stay taken."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return blocks()

def blocks():
    for number in range(5):
        yield b"line %d\\n" % number
""",
    bad="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Blocks()

class Blocks:
    def __init__(self):
        self.rest = [b"one", b"two", b"three"]

    def __iter__(self):
        while self.rest:
            yield self.rest.pop(0)

    def close(self):
        if self.rest:
            raise RuntimeError("not everything was sent")
""",
)

EMPTY_ITERABLE: Final = Rule(
    id="A13",
    slug="empty-iterable",
    level=Level.MAY,
    binds=Side.APPLICATION,
    source=pep3333("The write() Callable"),
    quote="The returned iterable may be empty",
    says="The application may return an iterable that yields nothing, or nothing but empty blocks.",
    why="There are answers without content, and applications that have written all of theirs by `write()`.",
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "0")])
    return [b"", b""]
""",
    untestable="it is a permission: there is nothing to break",
)

NO_BARE_FILE: Final = Rule(
    id="A15",
    slug="no-bare-file",
    level=Level.SHOULD_NOT,
    binds=Side.APPLICATION,
    source=pep3333("Supporting Older (<2.2) Versions of Python"),
    quote="you shouldn't do this anyway, because it will perform quite poorly",
    says="The application does not return an open file itself, but wraps it.",
    why=(
        "A file iterates over its lines, which in a picture are of any length from one byte to all of it. "
        "`wsgi.file_wrapper` reads in blocks, and servers can leave the copying to the operating system."
    ),
    good="""\
import io

def app(environ, start_response):
    file = io.BytesIO(b"one\\ntwo\\nthree\\n")
    start_response("200 OK", [("Content-Type", "text/plain")])
    if "wsgi.file_wrapper" in environ:
        return environ["wsgi.file_wrapper"](file, 65536)
    return iter(lambda: file.read(65536), b"")
""",
    bad="""\
import io

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return io.BytesIO(b"one\\ntwo\\nthree\\n")
""",
)

OLD_ITERATION: Final = Rule(
    id="A16",
    slug="old-iteration-protocol",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=pep3333("Supporting Older (<2.2) Versions of Python"),
    quote="must implement the pre-2.2 iterator protocol",
    says="An application for Python older than 2.2 returns an iterable that can be indexed.",
    why=(
        "Python 2.1 and before had no iterators: a `for` loop counts upwards and asks for one item after "
        "the other until there is none. An object that can only be iterated is an error there."
    ),
    untestable="wsgix runs on no Python that old, and neither does anything that it judges",
)

RETURNS_WRAPPED_FILE: Final = Rule(
    id="A20",
    slug="returns-wrapped-file",
    level=Level.MAY,
    binds=Side.APPLICATION,
    source=_FILES,
    quote='An application may use this "file wrapper"',
    says="The application may return what `wsgi.file_wrapper` made of a file.",
    why="Servers then send the file by `sendfile` or the like, without a copy in Python.",
    good="""\
import io

def app(environ, start_response):
    file = io.BytesIO(b"the content of a file")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "21")])
    if "wsgi.file_wrapper" in environ:
        return environ["wsgi.file_wrapper"](file)
    return [file.read()]
""",
    untestable="it is a permission: there is nothing to break",
)

FILE_WRAPPER_POSITIONAL: Final = Rule(
    id="A21",
    slug="file-wrapper-positional",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=_FILES,
    quote="accepts one required positional parameter, and one optional positional parameter",
    says="The application calls `wsgi.file_wrapper` with a file and perhaps a block size, both by position.",
    why="The parameters have another name in each server; as with all callables of WSGI they go by position.",
    good="""\
import io

def app(environ, start_response):
    file = io.BytesIO(b"the content of a file")
    start_response("200 OK", [("Content-Type", "text/plain")])
    if "wsgi.file_wrapper" in environ:
        return environ["wsgi.file_wrapper"](file, 4096)
    return [file.read()]
""",
    bad="""\
import io

def app(environ, start_response):
    file = io.BytesIO(b"the content of a file")
    start_response("200 OK", [("Content-Type", "text/plain")])
    if "wsgi.file_wrapper" in environ:
        return environ["wsgi.file_wrapper"](file, block_size=4096)
    return [file.read()]
""",
)

FILE_WRAPPER_GETS_FILE: Final = Rule(
    id="A22",
    slug="file-wrapper-gets-file",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=_FILES,
    quote="must have a read() method that takes an optional size argument",
    says="What the application gives to `wsgi.file_wrapper` has a `read()` that takes an optional size.",
    why="That is all that a server may rely on where it cannot hand the file to the operating system.",
    good="""\
import io

def app(environ, start_response):
    file = io.BytesIO(b"the content of a file")
    start_response("200 OK", [("Content-Type", "text/plain")])
    if "wsgi.file_wrapper" in environ:
        return environ["wsgi.file_wrapper"](file)
    return [file.read()]
""",
    bad="""\
class Whole:
    def read(self):
        return b"the content of a file"

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if "wsgi.file_wrapper" in environ:
        return environ["wsgi.file_wrapper"](Whole())
    return [Whole().read()]
""",
)

RULES: Final[tuple[Rule, ...]] = (
    RETURNS_ITERABLE,
    NO_BARE_STRING,
    LEN_ACCURATE,
    EARLY_CLOSE,
    EMPTY_ITERABLE,
    NO_BARE_FILE,
    OLD_ITERATION,
    RETURNS_WRAPPED_FILE,
    FILE_WRAPPER_POSITIONAL,
    FILE_WRAPPER_GETS_FILE,
)


@RETURNS_ITERABLE.observed_by(Means.WATCH, "result")
def _returns_no_iterable(exchange: Observation, result: Any) -> Finding | None:
    if decisions.is_iterable(result):
        return None
    return Finding(f"{shown_short(result)} was returned", "an iterable, if only an empty list")


@NO_BARE_STRING.observed_by(Means.WATCH, "result")
def _returns_string(exchange: Observation, result: Any) -> Finding | None:
    if not decisions.is_bare_string(result):
        return None
    exchange.is_bare = True
    return Finding(
        f"{shown_short(result)} was returned", "a list that holds the content as one item of bytes"
    )


@LEN_ACCURATE.observed_by(Means.WATCH, "item")
def _yields_more_than_len(exchange: Observation, item: Any) -> Finding | None:
    if exchange.length is None or exchange.items <= exchange.length:
        return None
    return Finding(
        f"len() is {exchange.length}, and block {exchange.items} came",
        "a len() that tells how many blocks come",
    )


@LEN_ACCURATE.observed_by(Means.WATCH, "exhausted")
def _yields_less_than_len(exchange: Observation) -> Finding | None:
    if exchange.length is None or exchange.items >= exchange.length:
        return None
    return Finding(
        f"len() is {exchange.length}, and {exchange.items} blocks came",
        "a len() that tells how many blocks come",
    )


@NO_BARE_FILE.observed_by(Means.WATCH, "result")
def _returns_file(exchange: Observation, result: Any) -> Finding | None:
    if not issubclass(type(result), io.IOBase):
        return None
    if exchange.is_wrapped_file(result):
        return None
    return Finding(
        f"a {type(result).__name__} was returned, which gives its lines",
        "the file in a wsgi.file_wrapper, or blocks",
    )
