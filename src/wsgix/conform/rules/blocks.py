"""Chapter B: the blocks of content, whether they come from the iterable or through `write()`.

The records and their observers at the points of an exchange. How the iterable itself behaves is chapter A.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from wsgix.conform.chunked import ChunkedLook
from wsgix.conform.observation import Finding
from wsgix.conform.rule import Level, Means, Profile, Rule, Side
from wsgix.conform.rules.sources import pep3333, rfc
from wsgix.conform.words import shown_short

if TYPE_CHECKING:
    from wsgix.conform.observation import Observation

_WRITE: Final = pep3333("The write() Callable")
_LENGTH: Final = pep3333("Handling the Content-Length Header")
_OTHER: Final = pep3333("Other HTTP Features")

BLOCKS_ARE_BYTES: Final = Rule(
    id="B1",
    slug="blocks-are-bytes",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=pep3333("Unicode Issues"),
    quote="the value must be of type bytes",
    says="Each block that the iterable yields is of the type `bytes` and of no subclass.",
    why=(
        "Only the application knows in which encoding its text is to go out, and what length that gives. "
        "Servers raise for text, and those in C for a `bytearray` too."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return ["Gr\\u00fc\\u00dfe".encode("utf-8")]
""",
    bad="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return ["Gr\\u00fc\\u00dfe"]
""",
    profiles=frozenset({Profile.PEP3333, Profile.STDLIB}),
)

WRITE_GETS_BYTES: Final = Rule(
    id="B2",
    slug="write-gets-bytes",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=pep3333("Unicode Issues"),
    quote="passed to write() or yielded by the application",
    says="What the application gives to `write()` is of the type `bytes` and of no subclass.",
    why="It is content like what the iterable yields, and the same reasons hold.",
    bad="""\
def app(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write("Hello")
    return []
""",
    profiles=frozenset({Profile.PEP3333, Profile.STDLIB}),
)

WRITE_POSITIONAL: Final = Rule(
    id="B3",
    slug="write-positional",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=pep3333("Specification Details"),
    quote="takes one positional parameter",
    says="The application calls `write()` with one positional argument.",
    why='"As with all WSGI callables", the name of the parameter is each server\'s own.',
    bad="""\
def app(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(data=b"Hello")
    return []
""",
)

NO_WRITE_WHILE_ITERATING: Final = Rule(
    id="B4",
    slug="no-write-while-iterating",
    level=Level.MUST_NOT,
    binds=Side.APPLICATION,
    source=_WRITE,
    quote="must not invoke write() from within their return iterable",
    says="`write()` is not called once the application has returned its iterable.",
    why=(
        "What is written goes out before what is yielded, and servers rely on it: one that has begun to "
        "send the iterable has no place left for what is written, and puts it anywhere or fails."
    ),
    bad="""\
def app(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])

    def blocks():
        yield b"Hello, "
        write(b"world")

    return blocks()
""",
)

NO_WRITE: Final = Rule(
    id="B5",
    slug="no-write",
    level=Level.SHOULD_NOT,
    binds=Side.APPLICATION,
    source=_WRITE,
    quote="should not use the write() callable if it is possible to avoid doing so",
    says="The application yields its content and does without `write()`.",
    why=(
        "Each call holds the server's thread until the block is on its way, and middleware that changes "
        "content has to cope with two ways in which it comes. Several servers do not offer it well, and "
        "asynchronous ones hardly can."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
""",
    bad="""\
def app(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"Hello")
    return []
""",
)

CONTENT_WITHIN_LENGTH: Final = Rule(
    id="B6",
    slug="content-within-length",
    level=Level.MUST_NOT,
    binds=Side.APPLICATION,
    source=_LENGTH,
    quote="should not transmit more bytes to the client than the header allows",
    says="The content is not longer than the `Content-Length` that the application gave.",
    why=(
        "A server cuts the excess off, so that a page ends in the middle of a word; one that does not has "
        "the client read the excess as the start of the next response."
    ),
    good="""\
def app(environ, start_response):
    page = "Gr\\u00fc\\u00dfe".encode("utf-8")
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(page)))]
    start_response("200 OK", headers)
    return [page]
""",
    bad="""\
def app(environ, start_response):
    page = "Gr\\u00fc\\u00dfe"
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(page)))]
    start_response("200 OK", headers)
    return [page.encode("utf-8")]
""",
    profiles=frozenset({Profile.PEP3333, Profile.HTTP}),
)

CONTENT_FILLS_LENGTH: Final = Rule(
    id="B7",
    slug="content-fills-length",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=_LENGTH,
    quote="if the application does not provide enough data to meet its stated Content-Length",
    says="An iterable that has come to its end has given as much content as `Content-Length` said.",
    why=(
        "The client waits for the rest. The server can only close the connection, and the client sees a "
        "download that broke off."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "12")])
    return [b"Hello, ", b"world"]
""",
    bad="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, ", b"world"]
""",
    profiles=frozenset({Profile.PEP3333, Profile.HTTP}),
)

NO_CONTENT_FOR_STATUS: Final = Rule(
    id="B8",
    slug="no-content-for-status",
    level=Level.MUST_NOT,
    binds=Side.APPLICATION,
    source=rfc(9110, "6.4.1"),
    quote=(
        "All 1xx (Informational), 204 (No Content), and 304 (Not Modified) responses do not include content"
    ),
    says="A 204, 205, 304 or 1xx comes without content.",
    why=(
        "Clients read no content after such a head. A server that sends it all the same spoils the next "
        "response on the connection; one that does not has discarded what somebody meant to say."
    ),
    good="""\
def app(environ, start_response):
    start_response("304 Not Modified", [("ETag", '"one"')])
    return []
""",
    bad="""\
def app(environ, start_response):
    start_response("304 Not Modified", [("ETag", '"one"')])
    return [b"Hello"]
""",
    profiles=frozenset({Profile.HTTP}),
)

NO_CONTENT_FOR_HEAD: Final = Rule(
    id="B9",
    slug="no-content-for-head",
    level=Level.DE_FACTO,
    binds=Side.APPLICATION,
    source=rfc(9110, "9.3.2"),
    quote="MUST NOT send content in the response",
    says="The answer to HEAD comes without content.",
    why=(
        "HTTP forbids it to whoever sends, which is the server, and nearly all servers drop what the "
        "application gives; the example in PEP 3333 relies on it too. Still the content was made in vain, "
        "and where one server does not drop it, the client takes it for the next response."
    ),
    good="""\
method = "HEAD"

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"Hello"]
""",
    bad="""\
method = "HEAD"

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"Hello"]
""",
    profiles=frozenset({Profile.DE_FACTO}),
)

NO_TRANSFER_CODING: Final = Rule(
    id="B10",
    slug="no-transfer-coding",
    level=Level.MUST_NOT,
    binds=Side.APPLICATION,
    source=_LENGTH,
    quote="such as chunking or gzipping",
    says="The content is not chunked by the application.",
    why=(
        "Chunking is between the server and its client. If the application does it too, the client sees "
        "sizes between the lines of its page."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello, ", b"world"]
""",
    bad="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    for block in (b"Hello, ", b"world", b""):
        yield b"%x\\r\\n%s\\r\\n" % (len(block), block)
""",
)

BUFFERS_OUTPUT: Final = Rule(
    id="B11",
    slug="buffers-output",
    level=Level.SHOULD,
    binds=Side.APPLICATION,
    source=pep3333("Specification Details"),
    quote="applications should perform their own buffering",
    says="Content that is there at once comes in blocks of some size, not in crumbs.",
    why=(
        "A server sends each block before it asks for the next. Every block costs it a system call, and "
        "often a packet and a chunk of its own; a page that comes line by line can take ten times as long "
        "as the same page in one."
    ),
    good="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ["".join(f"line {number}\\n" for number in range(200)).encode()]
""",
    bad="""\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    for number in range(200):
        yield b"line %d\\n" % number
""",
)

OWN_CONTENT_CODING: Final = Rule(
    id="B12",
    slug="own-content-coding",
    level=Level.SHOULD,
    binds=Side.APPLICATION,
    source=_OTHER,
    quote="should use a suitable content encoding on its own",
    says="An application that wants its content compressed does that itself, or by middleware.",
    why=(
        "No server has to compress, and most do not. An application that leaves it to the server sends "
        "everything at full length as soon as it is moved to another."
    ),
    untestable="an application need not want it, and whether a coding is suitable is a matter of judgement",
)

OWN_BYTE_RANGES: Final = Rule(
    id="B13",
    slug="own-byte-ranges",
    level=Level.SHOULD,
    binds=Side.APPLICATION,
    source=_OTHER,
    quote="should perform this function on its own if desired",
    says="An application that wants to answer with byte ranges does that itself, or by middleware.",
    why=(
        "No server has to cut ranges out of a response. An application that counts on it sends a whole "
        "film each time somebody jumps to its end."
    ),
    untestable="an application need not want it: HTTP lets it ignore every Range",
)

OWN_CACHE_VALIDATION: Final = Rule(
    id="B14",
    slug="own-cache-validation",
    level=Level.SHOULD,
    binds=Side.APPLICATION,
    source=_OTHER,
    quote="should perform its own cache validation",
    says="An application that wants to answer 304 compares ETags and dates itself, or by middleware.",
    why=(
        "No server has to compare validators. An application that counts on it makes and sends each time "
        "what its client has already."
    ),
    untestable="an application need not want it: HTTP lets it send the whole again",
)

SUITS_THE_CLIENT: Final = Rule(
    id="B15",
    slug="suits-the-client",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=pep3333("Specification Details"),
    quote=(
        "responsible for ensuring that the bytestring(s) to be written are in a format suitable for the "
        "client"
    ),
    says="The content is in a form that the client can use.",
    why=(
        "The server sends the bytes as they are. Line endings, character encodings and formats that the "
        "client cannot read are mended by nobody on the way."
    ),
    untestable="what a client can use is between it and the application",
)

RULES: Final[tuple[Rule, ...]] = (
    BLOCKS_ARE_BYTES,
    WRITE_GETS_BYTES,
    WRITE_POSITIONAL,
    NO_WRITE_WHILE_ITERATING,
    NO_WRITE,
    CONTENT_WITHIN_LENGTH,
    CONTENT_FILLS_LENGTH,
    NO_CONTENT_FOR_STATUS,
    NO_CONTENT_FOR_HEAD,
    NO_TRANSFER_CODING,
    BUFFERS_OUTPUT,
    OWN_CONTENT_CODING,
    OWN_BYTE_RANGES,
    OWN_CACHE_VALIDATION,
    SUITS_THE_CLIENT,
)


@BLOCKS_ARE_BYTES.observed_by(Means.WATCH, "item")
def _block_of_other_type(exchange: Observation, item: Any) -> Finding | None:
    if type(item) is bytes or exchange.is_bare:
        return None
    return Finding(f"block {exchange.items} is {shown_short(item)}, a {type(item).__name__}", "bytes")


@WRITE_GETS_BYTES.observed_by(Means.WATCH, "write")
def _wrote_other_type(exchange: Observation, data: Any) -> Finding | None:
    if type(data) is bytes:
        return None
    return Finding(f"write() was given {shown_short(data)}, a {type(data).__name__}", "bytes")


@WRITE_POSITIONAL.observed_by(Means.WATCH, "write_call")
def _wrote_by_keyword(exchange: Observation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Finding | None:
    names = f" and {', '.join(kwargs)} by keyword" if kwargs else ""
    return Finding(f"write() was given {len(args)} positional arguments{names}", "one positional argument")


@NO_WRITE_WHILE_ITERATING.observed_by(Means.WATCH, "write")
def _wrote_too_late(exchange: Observation, data: Any) -> Finding | None:
    if not exchange.returned:
        return None
    return Finding("write() was called after the application had returned", "the block yielded instead")


@NO_WRITE.observed_by(Means.WATCH, "write")
def _wrote(exchange: Observation, data: Any) -> Finding | None:
    if exchange.returned or type(data) is not bytes:
        return None  # rules of their own
    return Finding("write() was called", "the content yielded by the iterable")


@CONTENT_WITHIN_LENGTH.observed_by(Means.WATCH, "item")
@CONTENT_WITHIN_LENGTH.observed_by(Means.WATCH, "write")
def _content_beyond_length(exchange: Observation, data: Any) -> Finding | None:
    declared = exchange.declared
    if declared is None or exchange.content <= declared or not exchange.has_content:
        return None
    return Finding(
        f"Content-Length is {declared}, and {exchange.content} bytes have come", f"{declared} bytes"
    )


@CONTENT_FILLS_LENGTH.observed_by(Means.WATCH, "exhausted")
def _content_short_of_length(exchange: Observation) -> Finding | None:
    declared = exchange.declared
    if declared is None or exchange.content >= declared or not exchange.has_content:
        return None
    return Finding(f"Content-Length is {declared}, and {exchange.content} bytes came", f"{declared} bytes")


@NO_CONTENT_FOR_STATUS.observed_by(Means.WATCH, "item")
@NO_CONTENT_FOR_STATUS.observed_by(Means.WATCH, "write")
def _content_for_status(exchange: Observation, data: Any) -> Finding | None:
    if not exchange.content or not exchange.bodiless:
        return None
    return Finding(f"{exchange.content} bytes of content in a {exchange.code}", "no content")


@NO_CONTENT_FOR_HEAD.observed_by(Means.WATCH, "item")
@NO_CONTENT_FOR_HEAD.observed_by(Means.WATCH, "write")
def _content_for_head(exchange: Observation, data: Any) -> Finding | None:
    if not exchange.content or not exchange.for_head or exchange.bodiless:
        return None
    return Finding(f"{exchange.content} bytes of content for HEAD", "no content")


@NO_TRANSFER_CODING.observed_by(Means.WATCH, "item")
@NO_TRANSFER_CODING.observed_by(Means.WATCH, "write")
def _look_for_chunks(exchange: Observation, data: Any) -> Finding | None:
    if type(data) is not bytes:
        return None
    if exchange.content == len(data) and ChunkedLook.may_begin(data):
        exchange.chunks = ChunkedLook()
    if exchange.chunks is not None:
        exchange.chunks.feed(data)
    return None


@NO_TRANSFER_CODING.observed_by(Means.WATCH, "exhausted")
def _content_is_chunked(exchange: Observation) -> Finding | None:
    look = exchange.chunks
    if look is None or not look.is_chunked:
        return None
    return Finding(
        f"the content is {look.count} chunks: sizes in hexadecimal, CRLF, and an empty one at the end",
        "the content itself",
    )


CRUMBS: Final = 64
"""So many blocks, and on average not more bytes in each, are crumbs."""

SECONDS: Final = 0.5
"""Content that takes longer than this is made as it goes, and small blocks are its nature."""

_LIVE_TYPES: Final = ("text/event-stream", "multipart/x-mixed-replace")


@BUFFERS_OUTPUT.observed_by(Means.WATCH, "item")
def _note_when_it_began(exchange: Observation, item: Any) -> Finding | None:
    if exchange.items == 2:
        exchange.since = monotonic()
    return None


@BUFFERS_OUTPUT.observed_by(Means.WATCH, "exhausted")
def _content_is_crumbs(exchange: Observation) -> Finding | None:
    blocks = exchange.items
    if blocks < CRUMBS or exchange.content > blocks * CRUMBS:
        return None
    if monotonic() - exchange.since > SECONDS:
        return None
    for name, value in exchange.fields:
        if name == "content-type" and value.lower().startswith(_LIVE_TYPES):
            return None
    return Finding(f"{exchange.content} bytes came in {blocks} blocks", "fewer and larger blocks")
