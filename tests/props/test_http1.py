"""HTTP/1.1 codecs under any bytes: they never raise, and the verdict never depends on the cuts."""

from hypothesis import given, settings
from hypothesis import strategies as st

from wsgix.core.framing import CHUNKED
from wsgix.facts.refusals import Refusal
from wsgix.wire.fields import Laxity, parse_field_line, read_fields
from wsgix.wire.http1 import NEED_MORE, KnownHeads, RequestReader
from wsgix.wire.http1_body import ChunkedBody, LengthBody
from wsgix.wire.http1_response import CHUNK_END, chunk_start, refusal_response, response_head
from wsgix.wire.limits import Limits

TIGHT = Limits(
    request_line=60,
    field=40,
    fields=5,
    head=150,
    body=50,
    chunk_line=20,
    chunk_overhead=30,
    trailers=40,
    trailer_fields=2,
    empty_lines=1,
)

# Bytes that are nearly a request: fragments of one, in any order, with faults between.
LINES = b"""\
GET / HTTP/1.1
POST /a?b HTTP/1.1
GET / HTTP/1.0
OPTIONS * HTTP/1.1
Host: a
X: v
X_Y: z
Cookie: a=b
Connection: close
Content-Length: 5
Transfer-Encoding: chunked
Expect: 100-continue
5
5;a=b
1;aaaaaaaaaaaaaaa
ff
0
hello
""".splitlines()
FAULTS = [b"\r", b"\n", b" ", b"\t", b":", b"\0", b"\xff", b"X-Long: " + b"a" * 30]
FRAGMENTS = st.sampled_from([*(line + b"\r\n" for line in LINES), b"\r\n", b"\r\n\r\n", *FAULTS])
NEARLY = st.lists(st.one_of(FRAGMENTS, st.binary(max_size=3)), max_size=16).map(b"".join)
WELL_BEGUN = st.builds(
    bytes.__add__,
    st.sampled_from(
        [
            b"",
            b"POST / HTTP/1.1\r\nHost: a\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        ]
    ),
    NEARLY,
)
WIRE = st.one_of(st.binary(max_size=100), NEARLY, WELL_BEGUN)
LIMITS = st.sampled_from([TIGHT, Limits()])


def converse(pieces, limits, offset=0):
    """All that comes of the pieces: each request with its content, then the refusal or what is missing."""
    reader = RequestReader(limits)
    queue = list(reversed(pieces))
    junk = b"\r\n\r\n"[:offset]
    held = junk
    seen = []
    while True:
        while (environ := reader.read(held, offset, {})) is NEED_MORE:
            if not queue:
                return [*seen, held != junk]
            held = bytearray(held) + queue.pop() if len(queue) % 2 else bytes(held) + queue.pop()
        seen.append(environ)
        if isinstance(environ, Refusal):
            return seen
        seen.append((reader.framing, reader.wish, reader.expects_continue))
        body = ChunkedBody(limits) if reader.framing == CHUNKED else LengthBody(reader.framing)
        parts = []
        piece = bytes(held[reader.end :])
        while (step := body.feed(piece, 0, parts.append)) is NEED_MORE:
            assert body.end == len(piece)
            if not queue:
                return [*seen, b"".join(parts), step]
            piece = queue.pop()
        seen += [b"".join(parts), step, getattr(body, "trailers", [])]
        if isinstance(step, Refusal):
            return seen
        held = junk + piece[body.end :]


@given(WIRE, st.data(), LIMITS)
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_the_same_however_they_are_cut(wire, data, limits):
    whole = converse([wire], limits)
    assert converse([wire[i : i + 1] for i in range(len(wire))], limits) == whole
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=4)))
    pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    assert converse([piece for piece in pieces if piece], limits) == whole
    assert converse([wire], limits, offset=len(cuts)) == whole


@given(WIRE, WIRE, LIMITS)
def test_what_a_reader_has_read_before_changes_nothing(before, wire, limits):
    """Neither the memory of the connection nor the caches of all connections."""
    reader = RequestReader(limits)
    alone = RequestReader(limits).read(wire, 0, {"A": "b"})
    if isinstance(reader.read(before, 0, {"A": "b"}), dict):
        assert reader.read(wire, 0, {"A": "b"}) == alone
    assert RequestReader(limits).read(wire, 0, {"A": "b"}) == alone


# Header sections that are alike: each line is one of a few, and now and then a faulty one.
SLOTS = (
    (
        [
            b"GET / HTTP/1.1",
            b"\r\nGET / HTTP/1.1",
            b"POST /a?b HTTP/1.1",
            b"GET http://c/ HTTP/1.1",
            b"GET / HTTP/1.0",
        ],
        [],
    ),
    ([b"Host: a", b"Host: b", b"host: a", b"Host:a "], [b"Host: a b", b"Host a", b"Host"]),
    (
        [
            b"Accept: v",
            b"Accept: w",
            b"X: v",
            b"X: w",
            b"X:",
            b"X: a\tb",
            b"X: \xa0",
            b"X_Y: v",
            b"Y: v",
            b"Cookie: a\r\nCookie: b",
        ],
        [b"X", b"X: \x01", b": v", b"X: v\nZ: w"],
    ),
    (
        [b"Accept-Language: a", b"Y: 1", b"Content-Length: 5", b"Content-Length: 06"],
        [b"Content-Length: x", b"Content-Length: 99"],
    ),
    ([b"Connection: close", b"Connection: keep-alive", b"Expect: 100-continue"], [b"Expect: x"]),
)
ALIKE = st.tuples(
    *(st.one_of(*[st.sampled_from(valid)] * 9, st.sampled_from(faulty or valid)) for valid, faulty in SLOTS)
).map(lambda lines: b"\r\n".join(lines) + b"\r\n\r\n")
CONVERSATIONS = st.lists(ALIKE, min_size=2, max_size=3).flatmap(
    lambda heads: st.lists(st.sampled_from(heads), min_size=2, max_size=9)
)


@given(CONVERSATIONS, LIMITS)
@settings(max_examples=500, deadline=None)
def test_a_head_like_the_last_one_is_read_as_if_there_had_been_none(heads, limits):
    known = KnownHeads(limits)
    template = {"A": "b"}
    for head in heads:
        RequestReader(limits, known=known).read(head, 0, template)
    reader = RequestReader(limits, known=known)
    kept = []
    for head in heads:
        alone = RequestReader(limits)
        environ = alone.read(head, 0, template)
        again = reader.read(head, 0, template)
        assert again == environ
        assert all(one == as_it_was for one, as_it_was in kept)
        if isinstance(environ, Refusal):
            assert {reader.read(any_head, 0, template) for any_head in heads} == {environ}
            return
        again["HTTP_X"] = again["CONTENT_LENGTH"] = "changed by the application"
        kept.append((again, again.copy()))
        for what in ("line", "framing", "wish", "expects_continue", "end"):
            assert getattr(reader, what) == getattr(alone, what)


@given(st.binary(max_size=60))
def test_a_field_line_that_is_accepted_can_be_written_and_is_read_the_same(line):
    pair = parse_field_line(line)
    if not isinstance(pair, Refusal):
        name, value = pair
        assert parse_field_line(f"{name}: {value}".encode("latin-1")) == pair


@given(
    st.lists(st.binary(max_size=12).map(lambda line: line + b"\n"), max_size=8), st.sampled_from(list(Laxity))
)
def test_laxity_never_refuses_what_is_strictly_right(lines, lax):
    strict = read_fields(lines, "HTTP/1.0")
    if not isinstance(strict, Refusal):
        assert read_fields(lines, "HTTP/1.0", lax) == strict


@given(st.text(max_size=20), st.lists(st.tuples(st.text(max_size=8), st.text(max_size=12)), max_size=4))
def test_no_text_writes_a_line_of_its_own_into_a_response(status, headers):
    try:
        head = response_head(status, headers, b"")
    except ValueError:
        return
    assert head.count(b"\r\n") == head.count(b"\n") == head.count(b"\r") == len(headers) + 2
    assert head.endswith(b"\r\n\r\n")


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
def test_chunks_that_are_written_are_read_back(blocks):
    parts = []
    wire = b"".join(chunk_start(len(block)) + block + CHUNK_END for block in blocks) + b"0\r\n\r\n"
    body = ChunkedBody()
    step = body.feed(wire + b"rest", 0, parts.append)
    assert (parts, body.end, step.name) == (blocks, len(wire), "COMPLETE")


@given(WIRE)
def test_a_refusal_never_echoes_the_request(wire):
    verdict = RequestReader(TIGHT).read(wire, 0, {})
    if isinstance(verdict, Refusal):
        assert refusal_response(verdict, b"").startswith(b"HTTP/1.1 4") or verdict.status.startswith("5")
        assert refusal_response(verdict, b"").isascii()
