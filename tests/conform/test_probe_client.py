"""The probe's reader of responses: strict, and exact to the byte. It is fed through a real socket."""

import socket
import threading

import pytest

from wsgix.conform.probe_client import Connection, MalformedResponse, NoAnswer, Refused


class Feeding:
    """A server that sends what it is given, and ends the connection or not."""

    def __init__(self, *pieces, end=True):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.pieces, self.end = pieces, end
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.serve)

    def serve(self):
        connection, _ = self.listener.accept()
        with connection:
            for piece in self.pieces:
                connection.sendall(piece)
            if not self.end:
                self.done.wait(10)

    def __enter__(self):
        self.thread.start()
        self.connection = Connection(self.address, 5.0 if self.end else 0.2)
        return self.connection

    def __exit__(self, *_):
        self.done.set()
        self.connection.close()
        self.thread.join()
        self.listener.close()


def read(data, method="GET"):
    with Feeding(data) as connection:
        return connection.read_response(method)


LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Twice: a\r\nx-twice: b\r\n\r\nhello"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nT: v\r\n\r\n"


def test_content_with_a_length_is_read():
    response = read(LENGTH)

    assert (response.version, response.status, response.reason) == ("1.1", 200, b"OK")
    assert (response.framing, response.content, response.complete) == ("length", b"hello", True)
    assert response.values("X-TWICE") == ["a", "b"]


def test_content_in_chunks_is_read():
    response = read(CHUNKS)

    assert (response.framing, response.content, response.complete) == ("chunked", b"hello", True)
    assert response.chunks == [3, 2]


def test_content_to_the_end_is_read():
    response = read(b"HTTP/1.0 200 \r\n\r\nhello")

    assert (response.framing, response.content, response.complete) == ("close", b"hello", True)
    assert response.closes


@pytest.mark.parametrize("data", [LENGTH, CHUNKS])
def test_a_response_is_the_same_byte_by_byte(data):
    with Feeding(*(data[index : index + 1] for index in range(len(data)))) as connection:
        response = connection.read_response()

    assert (response.content, response.complete) == (b"hello", True)


@pytest.mark.parametrize("data", [LENGTH, CHUNKS])
def test_a_response_that_is_cut_is_not_complete(data):
    head = data.index(b"\r\n\r\n") + 4
    for end in range(head, len(data)):
        with Feeding(data[:end]) as connection:
            response = connection.read_response()
        assert not response.complete
        assert b"hello".startswith(response.content)


@pytest.mark.parametrize(
    ("method", "status", "after"),
    [("HEAD", b"200 OK", b"hello"), ("GET", b"204 No Content", b"x"), ("GET", b"304 Not Modified", b"0\r\n")],
)
def test_what_follows_a_response_without_content_is_left_unread(method, status, after):
    with Feeding(b"HTTP/1.1 %s\r\nContent-Length: 5\r\n\r\n%s" % (status, after)) as connection:
        response = connection.read_response(method)
        ended = connection.is_ended()

        assert (response.content, response.framing, response.complete) == (b"", "none", True)
        assert connection.unread == after
        assert not ended


def test_interim_responses_are_kept_apart():
    response = read(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + LENGTH)

    assert [one.status for one in response.interim] == [100, 103]
    assert response.content == b"hello"


def test_two_responses_on_a_connection_are_told_apart():
    with Feeding(LENGTH + CHUNKS) as connection:
        assert connection.read_response().content == b"hello"
        assert connection.read_response().framing == "chunked"
        assert connection.is_ended()


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 600 OK\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"hello\r\n",
        b"HTTP/1.1 200 OK\r\nName : x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nName\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nName: a\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nName: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nName: a\rb\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n",
    ],
)
def test_what_is_not_http_is_malformed(data):
    with pytest.raises(MalformedResponse):
        read(data)


def test_an_end_before_a_response_is_no_answer():
    with Feeding() as connection, pytest.raises(NoAnswer, match="ended before there was a response"):
        connection.read_response()


def test_silence_is_no_answer():
    with Feeding(b"HTTP/1.1 200 OK\r\n", end=False) as connection:
        with pytest.raises(NoAnswer, match=r"nothing came for 0.2 s, within the head"):
            connection.read_response()
        assert not connection.ended


def test_both_directions_are_kept():
    with Feeding(LENGTH) as connection:
        connection.send(b"GET / HTTP/1.1\r\n\r\n")
        connection.read_response()

        assert bytes(connection.sent) == b"GET / HTTP/1.1\r\n\r\n"
        assert bytes(connection.received) == LENGTH


def test_no_server_is_a_refusal():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()

    with pytest.raises(Refused, match="no connection"):
        Connection(address, 1.0)
