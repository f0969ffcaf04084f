"""The decoders of content: what they hand on, what they keep, where they stop."""

import pytest

from wsgix.facts.refusals import (
    BAD_CHUNK_END,
    BAD_CHUNK_EXTENSION,
    BAD_CHUNK_SIZE,
    BARE_LF,
    BODY_TOO_LARGE,
    CHUNK_OVERHEAD,
    FORBIDDEN_TRAILER,
    NO_COLON,
    TRAILERS_TOO_LARGE,
)
from wsgix.wire import http1_body
from wsgix.wire.http1 import COMPLETE, NEED_MORE
from wsgix.wire.http1_body import ChunkedBody, LengthBody, read_whole_chunks
from wsgix.wire.limits import Limits


def feed(body, *pieces):
    """Feed the pieces until the end; return the last step and all payload."""
    parts = []
    for piece in pieces:
        step = body.feed(piece, 0, parts.append)
        if step is not NEED_MORE:
            break
    assert all(parts)
    return step, b"".join(parts)


def single_bytes(raw):
    return [raw[i : i + 1] for i in range(len(raw))]


def test_counted_content_ends_after_its_length():
    body = LengthBody(5)
    assert feed(body, b"hel") == (NEED_MORE, b"hel")
    assert (body.end, body.remaining) == (3, 2)
    assert feed(body, b"") == (NEED_MORE, b"")
    assert feed(body, b"loGET /") == (COMPLETE, b"lo")
    assert (body.end, body.remaining) == (2, 0)


def test_counted_content_begins_where_it_is_told():
    body = LengthBody(2)
    parts = []
    assert body.feed(b"head--rest", 4, parts.append) is COMPLETE
    assert (parts, body.end) == ([b"--"], 6)


def test_empty_content_is_complete_at_once():
    body = LengthBody(0)
    assert feed(body, b"GET /") == (COMPLETE, b"")
    assert body.end == 0


def test_a_whole_buffer_of_counted_content_is_not_copied():
    data = b"x" * 1000
    parts = []
    LengthBody(1000).feed(data, 0, parts.append)
    assert parts[0] is data


CHUNKED = b"5;a=b\r\nhello\r\n006\r\n world\r\n0\r\nX: y\r\n\r\n"


def test_chunks_are_joined_and_trailers_kept():
    for pieces in ([CHUNKED], single_bytes(CHUNKED), [CHUNKED[:9], CHUNKED[9:]]):
        body = ChunkedBody()
        assert feed(body, *pieces) == (COMPLETE, b"hello world")
        assert (body.size, body.trailers) == (11, [("X", "y")])


def test_chunked_content_begins_and_ends_anywhere_in_the_bytes():
    body = ChunkedBody()
    parts = []
    assert body.feed(b"head" + CHUNKED + b"GET /", 4, parts.append) is COMPLETE
    assert body.end == 4 + len(CHUNKED)


def test_payload_is_handed_on_before_its_chunk_is_whole():
    body = ChunkedBody()
    assert feed(body, b"ff\r\nhello") == (NEED_MORE, b"hello")
    assert body.end == len(b"ff\r\nhello")
    assert feed(body, b" world") == (NEED_MORE, b" world")


@pytest.mark.parametrize(
    ("raw", "refusal"),
    [
        (b"\r\n", BAD_CHUNK_SIZE),
        (b"5 \r\n", BAD_CHUNK_SIZE),
        (b"0x5\r\n", BAD_CHUNK_SIZE),
        (b"00000000000000005\r\n", BAD_CHUNK_SIZE),
        (b"5\n", BARE_LF),
        (b"5;\r\n", BAD_CHUNK_EXTENSION),
        (b'5;a="b\r\n', BAD_CHUNK_EXTENSION),
        (b"1\r\naXY", BAD_CHUNK_END),
        (b"1\r\na\rX", BAD_CHUNK_END),
        (b"1\r\naX", BAD_CHUNK_END),
        (b"1\r\na\n", BAD_CHUNK_END),
        (b"0\r\n\n", BARE_LF),
        (b"0\r\nX\r\n", NO_COLON),
        (b"0\r\ncontent-length: 5\r\n", FORBIDDEN_TRAILER),
        (b"ffffffffffffffff\r\n", BODY_TOO_LARGE),
    ],
)
def test_a_fault_is_refused_however_it_is_cut_and_for_good(raw, refusal):
    for pieces in ([raw], single_bytes(raw), [raw + b"more"]):
        body = ChunkedBody()
        assert feed(body, *pieces)[0] == refusal
        assert feed(body, b"0\r\n\r\n") == (refusal, b"")


@pytest.mark.parametrize("extension", [b";a", b" ;\ta = b", b';a="x;\\"\\\\"', b';a;b=c;d=""'])
def test_an_extension_that_keeps_its_grammar_is_ignored(extension):
    assert feed(ChunkedBody(), b"1" + extension + b"\r\na\r\n0" + extension + b"\r\n\r\n") == (COMPLETE, b"a")


def test_each_limit_lets_its_own_size_pass_and_no_more():
    extended = b"1;abc\r\na\r\n0;d\r\n\r\n"
    trailers = b"0\r\nX: 1\r\nY: 2\r\n\r\n"
    for limit, value, raw, refusal in (
        ("body", 11, CHUNKED, BODY_TOO_LARGE),
        ("chunk_line", 5, extended, CHUNK_OVERHEAD),
        ("chunk_overhead", 6, extended, CHUNK_OVERHEAD),
        ("trailers", 14, trailers, TRAILERS_TOO_LARGE),
        ("trailer_fields", 2, trailers, TRAILERS_TOO_LARGE),
    ):
        for pieces in ([raw], single_bytes(raw)):
            assert feed(ChunkedBody(Limits(**{limit: value})), *pieces)[0] is COMPLETE
            assert feed(ChunkedBody(Limits(**{limit: value - 1})), *pieces)[0] == refusal


@pytest.mark.parametrize(
    ("raw", "refusal"),
    [(b"5;" + b"a" * 100_000, CHUNK_OVERHEAD), (b"0\r\n" + b"a" * 100_000, TRAILERS_TOO_LARGE)],
)
def test_a_line_that_never_ends_is_refused_once_it_is_too_long(raw, refusal):
    assert feed(ChunkedBody(), raw)[0] == refusal


def test_a_flood_of_tiny_chunks_is_refused():
    limits = Limits(chunk_overhead=10)
    for pieces in (lambda raw: [raw], single_bytes):
        assert feed(ChunkedBody(limits), *pieces(b"1\r\na\r\n" * 20 + b"0\r\n\r\n")) == (COMPLETE, b"a" * 20)
        assert feed(ChunkedBody(limits), *pieces(b"1\r\na\r\n" * 21)) == (CHUNK_OVERHEAD, b"a" * 20)
        assert feed(ChunkedBody(limits), *pieces(b"2\r\naa\r\n" * 100)) == (NEED_MORE, b"aa" * 100)


def test_many_small_chunks_are_content_like_any_other():
    assert feed(ChunkedBody(), b"1\r\na\r\n" * 5000 + b"0\r\n\r\n") == (COMPLETE, b"a" * 5000)


def test_the_sizes_that_are_kept_are_bounded():
    for size in range(http1_body._SIZES_KEPT + 1):
        assert read_whole_chunks(b"%x\r\n%b\r\n0\r\n\r\n" % (size + 1, b"a" * (size + 1)), 0, 10000)
    assert len(http1_body._sizes) < http1_body._SIZES_KEPT


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b"0\r\n\r\n", (b"", 5)),
        (b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET", (b"abcde", 20)),
        (b"A\r\n0123456789\r\n0\r\n\r\n", (b"0123456789", 20)),
        (b"1\r\na\r\n" * 64 + b"0\r\n\r\n", (b"a" * 64, 389)),
        (b"1\r\na\r\n" * 65 + b"0\r\n\r\n", None),  # many chunks
        (b"B\r\n01234567890\r\n0\r\n\r\n", None),  # more than is to be read here
        (b"3\r\nabc\r\n", None),  # not whole
        (b"3\r\nabc\r\n0\r\n", None),
        (b"3\r\nab", None),
        (b"3;x\r\nabc\r\n0\r\n\r\n", None),  # an extension
        (b"3\r\nabc\r\n0\r\nX: y\r\n\r\n", None),  # a trailer
        (b"3\r\nabcd\r\n0\r\n\r\n", None),  # malformed
        (b"x\r\n", None),
        (b"-1\r\n\r\n", None),
    ],
)
def test_whole_plain_chunks_are_read_at_once_and_all_else_is_left(data, whole):
    most = 1000 if data.startswith(b"1\r") else 10
    assert read_whole_chunks(b"head" + data, 4, most) == (whole and (whole[0], whole[1] + 4))
    if whole:
        parts = []
        body = ChunkedBody()
        assert body.feed(data, 0, parts.append) is COMPLETE
        assert (b"".join(parts), body.end) == whole
