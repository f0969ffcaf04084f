"""Request content on its way: in memory, in a file, over the limit, on a full disk."""

import errno
import os
import tempfile
from types import SimpleNamespace

import pytest

from wsgix.core.framing import CHUNKED
from wsgix.facts.refusals import BODY_TOO_LARGE, Refusal
from wsgix.server import request_body as module
from wsgix.server.request_body import Memory, RequestBody
from wsgix.wire.http1 import COMPLETE, NEED_MORE
from wsgix.wire.limits import DEFAULT_LIMITS

REQUEST_BUFFER = 256 * 1024


@pytest.fixture
def files(monkeypatch):
    """The temporary files that were made."""
    made = []
    real = tempfile.TemporaryFile

    def temporary_file(*args, **kwargs):
        made.append(real(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", temporary_file)
    return made


@pytest.mark.parametrize("cut", range(13))
def test_counted_content_is_whole_however_it_is_cut(cut):
    body = RequestBody(10, DEFAULT_LIMITS, REQUEST_BUFFER, Memory(0))
    data = b"0123456789GET"
    steps = [body.feed(data[:cut], 0)]
    if steps[-1] is NEED_MORE:
        assert body.size == cut
        steps.append(body.feed(data[cut:], 0))
    assert steps[-1] is COMPLETE
    last = data if len(steps) == 1 and cut == 13 else data[:cut] if len(steps) == 1 else data[cut:]
    assert last[body.end :] == b"GET"[: len(last) - body.end]
    assert body.size == 10
    assert body.trailers == []
    assert body.open().read() == b"0123456789"
    body.close()


def test_content_may_begin_behind_a_head():
    body = RequestBody(3, DEFAULT_LIMITS, REQUEST_BUFFER, Memory(0))
    assert body.feed(b"head|abc|next", 5) is COMPLETE
    assert body.end == 8
    assert body.open().read() == b"abc"


def test_chunked_content_brings_its_trailers():
    body = RequestBody(CHUNKED, DEFAULT_LIMITS, REQUEST_BUFFER, Memory(0))
    assert body.feed(b"3\r\nabc\r\n2\r\nde\r", 0) is NEED_MORE
    assert body.feed(b"\n0\r\nX-Sum: 5\r\n\r\nGET", 0) is COMPLETE
    assert body.size == 5
    assert body.trailers == [("X-Sum", "5")]
    assert body.open().read() == b"abcde"


def test_malformed_chunks_are_refused():
    assert isinstance(
        RequestBody(CHUNKED, DEFAULT_LIMITS, REQUEST_BUFFER, Memory(0)).feed(b"xyz\r\n", 0), Refusal
    )


@pytest.mark.parametrize("framing", [REQUEST_BUFFER, CHUNKED])
def test_what_the_buffer_holds_stays_in_memory(files, framing):
    body = RequestBody(framing, DEFAULT_LIMITS, REQUEST_BUFFER, Memory(0))
    data = b"x" * REQUEST_BUFFER
    wire = data if framing != CHUNKED else b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
    assert body.feed(wire, 0) is COMPLETE
    assert body.open().read() == b"x" * REQUEST_BUFFER
    body.close()
    assert files == []


@pytest.mark.parametrize("step", [1 << 12, 1 << 16, 1 << 22])
def test_larger_content_goes_to_a_file_that_is_closed_with_it(files, step):
    data = os.urandom(REQUEST_BUFFER * 2 + 1)
    body = RequestBody(len(data), DEFAULT_LIMITS, REQUEST_BUFFER, Memory(0))
    for at in range(0, len(data), step):
        done = body.feed(data[at : at + step], 0)
    assert done is COMPLETE
    stream = body.open()
    assert stream.read() == data
    assert len(files) == 1
    body.close()
    assert files[0].closed


def test_content_that_was_given_up_closes_its_file(files):
    body = RequestBody(REQUEST_BUFFER * 4, DEFAULT_LIMITS, REQUEST_BUFFER, Memory(0))
    assert body.feed(b"x" * (REQUEST_BUFFER + 1), 0) is NEED_MORE
    body.close()
    assert files[0].closed


def test_a_file_that_cannot_be_made_is_an_os_error(monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    body = RequestBody(REQUEST_BUFFER * 4, DEFAULT_LIMITS, REQUEST_BUFFER, Memory(0))
    with pytest.raises(OSError, match="No space"):
        body.feed(b"x" * (REQUEST_BUFFER + 1), 0)
    body.close()


def test_chunks_over_the_limit_are_refused_when_they_begin():
    body = RequestBody(CHUNKED, DEFAULT_LIMITS._replace(body=10), REQUEST_BUFFER, Memory(0))
    assert body.feed(b"5\r\nabcde\r\n6\r\n", 0) is BODY_TOO_LARGE
    assert body.size == 5


@pytest.mark.parametrize("framing", [3 * REQUEST_BUFFER, CHUNKED])
def test_what_finds_room_in_the_common_memory_needs_no_file(files, framing):
    data = os.urandom(3 * REQUEST_BUFFER)
    memory = Memory(64 * REQUEST_BUFFER)
    body = RequestBody(framing, DEFAULT_LIMITS, REQUEST_BUFFER, memory)
    wire = data if framing != CHUNKED else b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
    for at in range(0, len(wire), 10_000):
        step = body.feed(wire[at : at + 10_000], 0)
    assert step is COMPLETE
    assert memory.free < 64 * REQUEST_BUFFER
    assert body.open().read() == data
    body.close()
    assert memory.free == 64 * REQUEST_BUFFER
    assert files == []


@pytest.mark.parametrize("framing", [9 * REQUEST_BUFFER, CHUNKED])
def test_one_request_cannot_take_all_of_the_common_memory(files, framing):
    memory = Memory(64 * REQUEST_BUFFER)
    body = RequestBody(framing, DEFAULT_LIMITS, REQUEST_BUFFER, memory)
    if framing == CHUNKED:
        body.feed(b"%x\r\n" % (10 * REQUEST_BUFFER), 0)
    for _ in range(10):
        body.feed(b"x" * (REQUEST_BUFFER - 1), 0)
    assert len(files) == 1
    assert memory.free == 64 * REQUEST_BUFFER
    body.close()


def test_without_memory_to_share_large_content_goes_to_a_file(files):
    memory = Memory(8 * REQUEST_BUFFER)
    first = RequestBody(REQUEST_BUFFER + 1, DEFAULT_LIMITS, REQUEST_BUFFER, memory)
    assert first.room is None
    memory.most_each = 8 * REQUEST_BUFFER
    second = RequestBody(8 * REQUEST_BUFFER, DEFAULT_LIMITS, REQUEST_BUFFER, memory)
    assert len(second.room) == 8 * REQUEST_BUFFER
    assert RequestBody(REQUEST_BUFFER + 1, DEFAULT_LIMITS, REQUEST_BUFFER, memory).room is None
    second.close()
    assert memory.free == 8 * REQUEST_BUFFER


@pytest.mark.parametrize("buffer", [0, REQUEST_BUFFER], ids=["shared", "own"])
def test_content_that_the_process_has_no_memory_for_goes_to_a_file(files, monkeypatch, buffer):
    def fail(*_):
        raise MemoryError

    memory = Memory(1 << 23)
    content = b"x" * (1 << 16)
    with monkeypatch.context() as context:
        context.setattr(module, "io", SimpleNamespace(BytesIO=fail))
        body = RequestBody(len(content), DEFAULT_LIMITS, buffer, memory)
    assert memory.free == 1 << 23
    assert body.feed(content, 0) is COMPLETE
    assert body.open().read() == content
    body.close()
    assert len(files) == (0 if buffer else 1)


def test_bytes_may_be_received_into_the_place_where_they_are_read():
    body = RequestBody(6, DEFAULT_LIMITS, REQUEST_BUFFER, Memory(0))
    assert body.feed(b"head|ab", 5) is NEED_MORE
    with body.room as room:
        room[:3] = b"cde"
    body.fill(3)
    assert body.feed(b"", 0) is NEED_MORE
    assert body.feed(b"fGET", 0) is COMPLETE
    assert (body.end, body.size) == (1, 6)
    assert body.open().read() == b"abcdef"
