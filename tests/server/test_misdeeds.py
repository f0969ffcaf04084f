"""Applications that break their word: what they did give reaches the client, and nothing else does.

They give blocks of any size, call write() between them, give more or less than they declare or something that
is no bytes, or fail. A small model says what must come of it, the same for the first request of a connection
as for a later one: the server gathers blocks, sends them at once or keeps them, and none of that may show.
"""

import contextlib
import zlib
from typing import NamedTuple

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

DEEDS = ("block", "block", "block", "block", "write", "write anyway", "text", "failure")
"""What an application may do next; "write anyway" goes on if write() fails."""
SIZES = (0, 1, 5, 100, 1000, 9000, 40_000, 70_000)
OTHERS = (-1000, -5, -1, 7)
"""How many bytes more than it gives an application may declare."""


class Order(NamedTuple):
    deeds: tuple[tuple[str, int], ...]
    declares: int | None
    """How many bytes more than all of them; None if nothing."""
    is_list: bool
    """Whether it is a list that is returned, instead of a generator."""

    @property
    def length(self):
        if self.declares is None:
            return None
        return max(
            0, self.declares + sum(size for deed, size in self.deeds if deed not in {"text", "failure"})
        )

    @property
    def in_order(self):
        """The deeds in the order in which they are met: a list is made before the first block is."""
        if not self.is_list:
            return self.deeds
        first = [each for each in self.deeds if each[0] not in {"block", "text"}]
        return (*first, *(each for each in self.deeds if each[0] in {"block", "text"}))

    def outcome(self):
        """Return the content that must come, whether the response is whole, and whether the call fails."""
        length, content = self.length, b""
        for deed, size in self.in_order:
            if deed in {"text", "failure"}:
                return content, len(content) == length, True
            content += deed[:1].encode() * size
            if length is not None and len(content) > length:
                content = content[:length]
                if deed != "write anyway":
                    return content, True, deed == "write"
        return content, length is None or len(content) == length, False


def deeds():
    return st.lists(st.tuples(st.sampled_from(DEEDS), st.sampled_from(SIZES)), max_size=6).map(tuple)


def orders():
    declared = st.none() | st.just(0) | st.sampled_from(OTHERS)
    return st.builds(Order, deeds(), declared, st.booleans())


class Application:
    def __init__(self):
        self.order = None

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == "/first":
            start_response("200 OK", [])
            return [b"first"]
        order = self.order
        length = order.length
        write = start_response("200 OK", [("Content-Length", str(length))] if length is not None else [])
        blocks = self.do(order.deeds, write)
        return [*blocks] if order.is_list else blocks

    @staticmethod
    def do(deeds, write):
        for deed, size in deeds:
            match deed:
                case "block":
                    yield b"b" * size
                case "write":
                    write(b"w" * size)
                case "write anyway":
                    with contextlib.suppress(AssertionError):
                        write(b"w" * size)
                case "text":
                    yield "text"
                case _:
                    raise ZeroDivisionError


def read_chunks(data):
    """Return the content of what is chunked, and whether it has an end; nothing may follow that."""
    content = b""
    while data:
        size_line, _, data = data.partition(b"\r\n")
        size = int(size_line, 16)
        content += data[:size]
        if not size:
            assert data == b"\r\n"
            return content, True
        assert data[size : size + 2] == b"\r\n"
        data = data[size + 2 :]
    return content, False


@pytest.mark.parametrize("served_before", [0, 1, 2])
@pytest.mark.parametrize("options", [{}, {"threads": 1}], ids=["by default", "one thread"])
def test_what_an_application_gives_is_sent_and_nothing_else(request, serve, options, served_before):
    application = Application()
    site = serve(application, **options)

    @settings(max_examples=150)
    @seed(zlib.crc32(request.node.name.encode()))
    @given(orders(), st.sampled_from(["HTTP/1.1", "HTTP/1.1", "HTTP/1.0"]), st.booleans())
    def try_it(order, version, closes):
        application.order = order
        connection = "close" if closes else "keep-alive"
        with site.dial() as client:
            for _ in range(served_before):
                assert client.get("/first").content == b"first"
            client.send(f"GET / {version}\r\nHost: t\r\nConnection: {connection}\r\n\r\n".encode())
            with contextlib.suppress(OSError):  # it was reset already
                client.half_close()
            head, _, sent = client.rest().partition(b"\r\n\r\n")
        content, is_whole, fails = order.outcome()
        status_line, *fields = head.lower().split(b"\r\n")
        if status_line.split()[1] == b"500":
            assert fails
            assert not content
        elif b"transfer-encoding: chunked" in fields:
            assert read_chunks(sent) == (content, is_whole)
        elif version == "HTTP/1.0" and not is_whole:
            assert content.startswith(sent)  # the connection was reset, which may overtake it
        else:
            assert sent == content

    try_it()
