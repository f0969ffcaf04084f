"""`core.streams`: `wsgi.input` ends where the content ends, and never takes a byte of the next request."""

import io

import pytest

from wsgix.core.streams import IncompleteBody, RefusedBody, bounded_input, chunked_input
from wsgix.facts.refusals import BAD_CHUNK_SIZE
from wsgix.wire.http1 import COMPLETE
from wsgix.wire.http1_body import ChunkedBody

CONTENT = b"first\nsecond line\n\nlast"
NEXT = b"GET /next HTTP/1.1\r\n\r\n"


class Trickle(io.RawIOBase):
    """A connection that gives few bytes at a time, and counts what was taken."""

    def __init__(self, data, step=3):
        self.data = data
        self.step = step
        self.taken = 0

    def readable(self):
        return True

    def readinto(self, buffer):
        piece = self.data[self.taken : self.taken + min(len(buffer), self.step)]
        buffer[: len(piece)] = piece
        self.taken += len(piece)
        return len(piece)


class OnlyRead:
    """A file object that has `read()` and no `read1()`."""

    def __init__(self, data):
        self.read = io.BytesIO(data).read


def chunked(content, size):
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def bounded(content, raw_type=io.BytesIO):
    return bounded_input(raw_type(content + NEXT), len(content))


def unchunked(content, size=7):
    return chunked_input(io.BytesIO(chunked(content, size) + NEXT), ChunkedBody(), COMPLETE)


def trickled(content):
    return bounded_input(io.BufferedReader(Trickle(content + NEXT)), len(content))


def only_read(content):
    return bounded(content, OnlyRead)


every_stream = pytest.mark.parametrize("stream_of", [bounded, only_read, trickled, unchunked])


@every_stream
def test_read_gives_all_and_then_nothing(stream_of):
    stream = stream_of(CONTENT)

    assert [stream.read(), stream.read(), stream.read(5), stream.readline()] == [CONTENT, b"", b"", b""]


@every_stream
@pytest.mark.parametrize("size", [-1, None])
def test_a_negative_size_means_all_that_is_left(stream_of, size):
    stream = stream_of(CONTENT)
    stream.read(2)

    assert stream.read(size) == CONTENT[2:]


@every_stream
def test_read_with_a_size_gives_that_many_bytes_until_the_end(stream_of):
    stream = stream_of(CONTENT)
    blocks = list(iter(lambda: stream.read(10), b""))

    assert blocks == [CONTENT[:10], CONTENT[10:20], CONTENT[20:]]
    assert stream_of(CONTENT).read(0) == b""
    assert stream_of(CONTENT).read(1000) == CONTENT


@every_stream
def test_readline_gives_lines_and_parts_of_lines(stream_of):
    stream = stream_of(CONTENT)

    assert [stream.readline() for _ in range(5)] == [*CONTENT.splitlines(keepends=True), b""]
    assert [part.readline(3) for part in [stream_of(CONTENT)] * 3] == [b"fir", b"st\n", b"sec"]


@every_stream
def test_readlines_gives_all_lines_or_as_many_as_the_hint_wants(stream_of):
    assert stream_of(CONTENT).readlines() == CONTENT.splitlines(keepends=True)
    assert stream_of(CONTENT).readlines(8) == [b"first\n", b"second line\n"]


@every_stream
def test_iteration_gives_lines(stream_of):
    assert list(stream_of(CONTENT)) == CONTENT.splitlines(keepends=True)


@every_stream
def test_content_larger_than_any_buffer_arrives_whole(stream_of):
    content = bytes(range(256)) * 800

    assert stream_of(content).read() == content
    assert b"".join(stream_of(content)) == content


@every_stream
def test_empty_content_ends_at_once(stream_of):
    assert stream_of(b"").read() == b""
    assert list(stream_of(b"")) == []


def test_a_bounded_stream_leaves_the_next_request_alone():
    raw = io.BytesIO(CONTENT + NEXT)
    stream = bounded_input(raw, len(CONTENT))
    list(stream)
    stream.close()

    assert raw.read() == NEXT


def test_a_chunked_stream_leaves_the_next_request_alone():
    raw = io.BytesIO(chunked(CONTENT, 5) + NEXT)
    stream = chunked_input(raw, ChunkedBody(), COMPLETE)
    list(stream)
    stream.close()

    assert raw.read() == NEXT


def test_without_content_the_connection_is_not_touched():
    assert bounded_input(None, 0).read() == b""


def test_a_bounded_stream_gives_what_has_arrived_without_waiting_for_the_rest():
    connection = Trickle(CONTENT, step=5)
    stream = bounded_input(io.BufferedReader(connection), len(CONTENT))

    assert stream.read1(100) == CONTENT[:5]
    assert connection.taken == 5


@pytest.mark.parametrize("read", [lambda s: s.read(), lambda s: s.read(100), list, lambda s: s.readlines()])
def test_content_that_ends_early_is_an_error_and_not_an_end(read):
    for stream in (
        bounded_input(io.BytesIO(b"abc"), 5),
        chunked_input(io.BytesIO(b"5\r\nabc"), ChunkedBody(), COMPLETE),
        chunked_input(io.BytesIO(b"3\r\nabc\r\n"), ChunkedBody(), COMPLETE),
    ):
        with pytest.raises(IncompleteBody, match=r"^the client closed the connection .*before "):
            read(stream)


def test_the_error_says_how_much_is_missing():
    stream = bounded_input(io.BytesIO(b"abc"), 5)

    with pytest.raises(IncompleteBody, match="2 bytes before the end of its request"):
        stream.read()


def test_an_incomplete_body_is_a_lost_connection():
    assert issubclass(IncompleteBody, ConnectionAbortedError)


def test_malformed_chunks_raise_the_refusal_again_and_again():
    raw = io.BytesIO(b"3\r\nabc\r\nnonsense\r\n" + NEXT)
    stream = chunked_input(raw, ChunkedBody(), COMPLETE)

    assert stream.read1(3) == b"abc"
    for _ in range(2):
        with pytest.raises(RefusedBody) as caught:
            stream.read(1)
        assert caught.value.refusal is BAD_CHUNK_SIZE
        assert str(caught.value) == BAD_CHUNK_SIZE.sentence
    assert raw.read() == NEXT


def test_both_streams_are_readable_and_not_writable():
    for stream in (bounded(CONTENT), unchunked(CONTENT)):
        assert stream.readable()
        assert not stream.writable()
