"""Responses on the wire: how content is framed, what is checked, how every ending ends."""

import io
import logging
import sys
import threading

import h11
import pytest

from wsgix.server.connection import Connection
from wsgix.server.responder import Responder
from wsgix.util import FileWrapper

CONNECTION = {"KEEP": (None, False), "CLOSE": ("close", True), "OLD_KEEP": ("keep-alive", False)}


def answers(blocks, status="200 OK", headers=(), write=()):
    """An application that answers with what *blocks* makes, after calling write() for each of *write*."""

    def application(environ, start_response):
        send = start_response(status, list(headers))
        for block in write:
            send(block)
        return blocks()

    return application


class OneBlock:
    """An iterable that knows that it gives one block."""

    def __len__(self):
        return 1

    def __iter__(self):
        yield b"abc"


class ByIndex:
    """An iterable as they were before iterators."""

    def __getitem__(self, index):
        return [b"a", b"bc"][index]


def length(size):
    return [("Content-Length", str(size))]


# what it is: application, method, version; status, Content-Length, Transfer-Encoding, content, connection
FRAMINGS = {
    "declared": (
        answers(lambda: [b"abc"], headers=length(3)),
        "GET",
        "1.1",
        "200",
        "3",
        None,
        b"abc",
        "KEEP",
    ),
    "declared, by blocks": (
        answers(lambda: iter([b"a", b"", b"bc"]), headers=length(3)),
        *("GET", "1.1", "200", "3", None, b"abc", "KEEP"),
    ),
    "declared, by an iterator of one block": (
        answers(lambda: iter([b"", b"abc", b""]), headers=length(3)),
        *("GET", "1.1", "200", "3", None, b"abc", "KEEP"),
    ),
    "declared zero": (answers(list, headers=length(0)), "GET", "1.1", "200", "0", None, b"", "KEEP"),
    "declared with zeros": (
        answers(lambda: [b"abc"], headers=[("content-LENGTH", "003")]),
        *("GET", "1.1", "200", "3", None, b"abc", "KEEP"),
    ),
    "one block": (answers(lambda: [b"abc"]), "GET", "1.1", "200", "3", None, b"abc", "KEEP"),
    "one block, tuple": (answers(lambda: (b"abc",)), "GET", "1.1", "200", "3", None, b"abc", "KEEP"),
    "one block, own class": (answers(OneBlock), "GET", "1.1", "200", "3", None, b"abc", "KEEP"),
    "one empty block": (answers(lambda: [b""]), "GET", "1.1", "200", "0", None, b"", "KEEP"),
    "no block": (answers(list), "GET", "1.1", "200", "0", None, b"", "KEEP"),
    "empty blocks": (answers(lambda: iter([b"", b""])), "GET", "1.1", "200", "0", None, b"", "KEEP"),
    "several blocks": (
        answers(lambda: [b"a", b"bc"]),
        *("GET", "1.1", "200", None, "chunked", b"abc", "KEEP"),
    ),
    "generator": (
        answers(lambda: (b for b in [b"", b"a", b"", b"bc"])),
        *("GET", "1.1", "200", None, "chunked", b"abc", "KEEP"),
    ),
    "by index": (answers(ByIndex), "GET", "1.1", "200", None, "chunked", b"abc", "KEEP"),
    "file": (
        answers(lambda: FileWrapper(io.BytesIO(b"abc"), 2)),
        *("GET", "1.1", "200", None, "chunked", b"abc", "KEEP"),
    ),
    "file, declared shorter": (
        answers(lambda: FileWrapper(io.BytesIO(b"abcd"), 2), headers=length(3)),
        *("GET", "1.1", "200", "3", None, b"abc", "KEEP"),
    ),
    "write": (
        answers(list, write=[b"a", b"", b"bc"]),
        *("GET", "1.1", "200", None, "chunked", b"abc", "KEEP"),
    ),
    "write, then a block": (
        answers(lambda: [b"c"], write=[b"ab"]),
        *("GET", "1.1", "200", None, "chunked", b"abc", "KEEP"),
    ),
    "write, declared": (
        answers(lambda: [b"c"], write=[b"ab"], headers=length(3)),
        *("GET", "1.1", "200", "3", None, b"abc", "KEEP"),
    ),
    "HEAD, one block": (answers(lambda: [b"abc"]), "HEAD", "1.1", "200", "3", None, b"", "KEEP"),
    "HEAD, declared": (answers(list, headers=length(9)), "HEAD", "1.1", "200", "9", None, b"", "KEEP"),
    "HEAD, no block": (answers(list), "HEAD", "1.1", "200", None, None, b"", "KEEP"),
    "HEAD, generator": (answers(lambda: iter([b"a", b"b"])), "HEAD", "1.1", "200", None, None, b"", "KEEP"),
    "HEAD, write": (answers(list, write=[b"a", b"b"]), "HEAD", "1.1", "200", None, None, b"", "KEEP"),
    "204": (answers(list, "204 No Content"), "GET", "1.1", "204", None, None, b"", "KEEP"),
    "204, a block": (answers(lambda: [b"x"], "204 No Content"), "GET", "1.1", "204", None, None, b"", "KEEP"),
    "204, declared": (
        answers(lambda: [b"x"], "204 No Content", length(1)),
        *("GET", "1.1", "204", None, None, b"", "KEEP"),
    ),
    "304": (answers(list, "304 Not Modified"), "GET", "1.1", "304", None, None, b"", "KEEP"),
    "304, declared": (
        answers(lambda: [b"abc"], "304 Not Modified", length(3)),
        *("GET", "1.1", "304", "3", None, b"", "KEEP"),
    ),
    "no reason": (answers(lambda: [b"abc"], "299 "), "GET", "1.1", "299", "3", None, b"abc", "KEEP"),
    "1.0, one block": (answers(lambda: [b"abc"]), "GET", "1.0", "200", "3", None, b"abc", "CLOSE"),
    "1.0, generator": (
        answers(lambda: iter([b"a", b"bc"])),
        "GET",
        "1.0",
        "200",
        None,
        None,
        b"abc",
        "CLOSE",
    ),
    "1.0, HEAD": (answers(lambda: [b"abc"]), "HEAD", "1.0", "200", "3", None, b"", "CLOSE"),
    "1.0 kept, one block": (answers(lambda: [b"abc"]), "GET", "1.0k", "200", "3", None, b"abc", "OLD_KEEP"),
    "1.0 kept, generator": (
        answers(lambda: iter([b"a", b"bc"])),
        *("GET", "1.0k", "200", None, None, b"abc", "CLOSE"),
    ),
    "1.0 kept, 204": (answers(list, "204 No Content"), "GET", "1.0k", "204", None, None, b"", "OLD_KEEP"),
    "closed, one block": (answers(lambda: [b"abc"]), "GET", "1.1c", "200", "3", None, b"abc", "CLOSE"),
    "closed, generator": (
        answers(lambda: iter([b"a", b"bc"])),
        *("GET", "1.1c", "200", None, "chunked", b"abc", "CLOSE"),
    ),
}


def receive_all(sock):
    while sock.recv(65536):
        pass


def request(method, version):
    option = {"1.0k": "Connection: keep-alive\r\n", "1.1c": "Connection: close\r\n"}.get(version, "")
    return f"{method} / HTTP/{version[:3]}\r\nHost: test\r\n{option}\r\n".encode("ascii")


@pytest.mark.parametrize("name", FRAMINGS)
def test_the_content_is_framed_as_the_table_says(name, serve):
    application, method, version, status, size, coding, content, connection = FRAMINGS[name]
    option, closes = CONNECTION[connection]
    client = serve(application).dial()
    client.send(request(method, version))
    response = client.response(method)
    assert response.version == "HTTP/1.1"
    assert response.status == status
    assert response.get("Content-Length") == size
    assert response.get("Transfer-Encoding") == coding
    assert response.content == content
    assert response.get("Connection") == option
    assert response.get("Date")
    assert response.get("Server") == "wsgix"
    if closes:
        assert client.ended
    else:
        client.send(request(method, "1.1c"))
        assert client.response(method).status == status
        assert client.ended


@pytest.mark.parametrize("name", FRAMINGS)
def test_an_independent_client_reads_the_same(name, serve):
    application, method, version, status, _, _, content, connection = FRAMINGS[name]
    client = serve(application).dial()
    peer = h11.Connection(h11.CLIENT)
    fields = [("Host", "test")]
    if version == "1.1c":
        fields.append(("Connection", "close"))
    elif version != "1.1":
        # h11 speaks only 1.1 as a client: let it believe so.
        fields.append(("Connection", "close"))
    client.send(request(method, version))
    peer.send(h11.Request(method=method, target="/", headers=fields))
    peer.send(h11.EndOfMessage())
    data = b""
    while True:
        event = peer.next_event()
        if event is h11.NEED_DATA:
            peer.receive_data(client.socket.recv(7))
        elif isinstance(event, h11.Response):
            assert event.status_code == int(status)
        elif isinstance(event, h11.Data):
            data += bytes(event.data)
        else:
            assert isinstance(event, h11.EndOfMessage)
            break
    assert data == content
    if CONNECTION[connection][1]:
        assert peer.their_state in {h11.MUST_CLOSE, h11.CLOSED, h11.DONE}


def test_own_date_and_server_are_kept_and_not_repeated(serve):
    own = [("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("SERVER", "mine")]
    response = serve(answers(lambda: [b""], headers=own)).get()
    assert response.get("Date") == own[0][1]
    assert response.get("Server") == "mine"


def test_the_application_keeps_its_header_list(serve):
    headers = [("Content-Type", "text/plain")]
    before = headers.copy()

    def application(environ, start_response):
        start_response("200 OK", headers)
        headers.append(("X-Late", "1"))
        return [b"abc"]

    response = serve(application).get()
    assert response.get("X-Late") is None
    assert headers == [*before, ("X-Late", "1")]


# Heads that no client may see


class ListSubclass(list):
    pass


REFUSED_HEADS = {
    "status is bytes": (b"200 OK", []),
    "status is a number": (200, []),
    "status has no digits": ("OK", []),
    "status is not final": ("103 Early Hints", []),
    "status holds a line": ("200 OK\r\nX-Evil: 1", []),
    "status outside latin-1": ("200 \u20ac", []),
    "status of four digits": ("2000 OK", []),
    "headers are a tuple": ("200 OK", (("A", "b"),)),
    "headers are None": ("200 OK", None),
    "headers are a subclass of list": ("200 OK", ListSubclass()),
    "headers hold a str": ("200 OK", ["A: b"]),
    "headers hold a str of two characters": ("200 OK", ["ab"]),
    "name is bytes": ("200 OK", [(b"A", "b")]),
    "value is bytes": ("200 OK", [("A", b"b")]),
    "value is a number": ("200 OK", [("Content-Length", 3)]),
    "value is None": ("200 OK", [("A", None)]),
    "value holds CR LF": ("200 OK", [("A", "b\r\nX-Evil: 1")]),
    "value holds LF": ("200 OK", [("A", "b\nX-Evil: 1")]),
    "value holds CR": ("200 OK", [("A", "b\rX-Evil: 1")]),
    "value holds NUL": ("200 OK", [("A", "b\0")]),
    "value outside latin-1": ("200 OK", [("A", "\u20ac")]),
    "name is empty": ("200 OK", [("", "b")]),
    "name holds a space": ("200 OK", [("A ", "b")]),
    "name holds a colon": ("200 OK", [("A:", "b")]),
    "name holds CR LF": ("200 OK", [("X-Evil: 1\r\nA", "b")]),
    "Connection": ("200 OK", [("Connection", "keep-alive")]),
    "Keep-Alive": ("200 OK", [("keep-alive", "timeout=5")]),
    "Transfer-Encoding": ("200 OK", [("Transfer-Encoding", "chunked")]),
    "Upgrade": ("200 OK", [("Upgrade", "websocket")]),
    "length is negative": ("200 OK", [("Content-Length", "-1")]),
    "length is a list": ("200 OK", [("Content-Length", "3, 3")]),
    "length is empty": ("200 OK", [("Content-Length", "")]),
    "length is huge": ("200 OK", [("Content-Length", "9" * 5000)]),
    "length is repeated": ("200 OK", [("Content-Length", "3"), ("content-length", "3")]),
}


@pytest.mark.parametrize("name", REFUSED_HEADS)
def test_a_head_that_is_not_allowed_raises_in_the_application_and_sends_nothing(name, serve, caplog):
    status, headers = REFUSED_HEADS[name]
    raised = []

    def application(environ, start_response):
        try:
            start_response(status, headers)
        except Exception as error:
            raised.append(error)
            raise
        return [b"abc"]

    client = serve(application).dial()
    response = client.get()
    assert response.status == "500"
    assert response.get("X-Evil") is None
    assert response.get("Connection") == "close"
    assert client.ended
    assert isinstance(raised[0], AssertionError | ValueError | TypeError)
    assert "the application failed" in caplog.text


def test_an_application_may_mend_a_refused_head_with_exc_info(serve):
    def application(environ, start_response):
        try:
            start_response("200 OK", [("A", "b\nc")])
        except ValueError:
            start_response("400 Bad Request", [], sys.exc_info())
        return [b"mended"]

    response = serve(application).get()
    assert (response.status, response.content) == ("400", b"mended")


# Content that is too short, too long, not bytes


@pytest.mark.parametrize("blocks", [[b"ab"], [b"a", b"b"], []])
def test_content_short_of_its_length_ends_the_connection_visibly(blocks, serve, caplog, truncated):
    client = serve(answers(lambda: blocks, headers=length(3))).dial()
    with pytest.raises(truncated):
        client.get()
    assert "declared 3 bytes of content" in caplog.text
    assert "'GET / HTTP/1.1' from 127.0.0.1" in caplog.text


@pytest.mark.parametrize("blocks", [[b"abcd"], [b"abc", b"d"], [b"a", b"bcd", b"e"]])
def test_content_past_its_length_is_cut_and_the_connection_closed(blocks, serve, caplog):
    client = serve(answers(lambda: blocks, headers=length(3))).dial()
    client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n" * 2)
    assert client.response().content == b"abc"
    assert client.ended
    assert "gave more" in caplog.text


def test_writing_past_the_length_raises_in_the_application(serve, eventually):
    raised = []

    def application(environ, start_response):
        write = start_response("200 OK", length(3))
        try:
            write(b"abcd")
        except AssertionError as error:
            raised.append(str(error))
        return []

    client = serve(application).dial()
    assert client.get().content == b"abc"
    eventually(lambda: raised)
    assert "gave more" in raised[0]


@pytest.mark.parametrize("written", [b"ef", b"efgh"])
def test_what_an_iterator_writes_counts_with_the_blocks_that_wait(written, serve, eventually):
    expected = b"abcdefgh"
    is_over = []

    def application(environ, start_response):
        write = start_response("200 OK", length(len(expected)))
        yield b"ab"
        yield b"cd"
        write(written)
        yield b"gh"
        is_over.append(True)

    client = serve(application).dial()
    client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
    assert client.response().content == expected
    if len(written) == 2:
        eventually(lambda: is_over)
        assert client.get().content == expected
    else:
        assert client.ended


def test_an_empty_write_behind_a_whole_response_stays_with_it(serve, eventually):
    is_over = []

    def application(environ, start_response):
        write = start_response("200 OK", length(3))
        yield b"abc"
        write(b"")
        is_over.append(True)

    client = serve(application).dial()
    assert client.get().content == b"abc"
    assert client.get().content == b"abc"
    eventually(lambda: len(is_over) == 2)
    assert Responder._pieces == []  # what all responses begin with


def test_an_iterator_that_goes_on_writing_past_the_length_is_logged_once(serve, caplog):
    def application(environ, start_response):
        write = start_response("200 OK", length(3))
        for _ in range(100):
            write(b"abcd")
        yield b"abcd"

    client = serve(application).dial()
    assert client.get().content == b"abc"
    assert client.ended
    serve.stop()
    (record,) = caplog.records
    assert "gave more" in record.message


def test_a_block_past_the_length_is_logged_though_a_write_before_it_has_raised(serve, caplog):
    def application(environ, start_response):
        write = start_response("200 OK", length(3))
        with pytest.raises(AssertionError):
            write(b"abcd")
        return [b"abcd"]

    client = serve(application).dial()
    assert client.get().content == b"abc"
    assert client.ended
    (record,) = caplog.records
    assert "gave more" in record.message


@pytest.mark.parametrize(
    "result", ["abc", b"abc", [None], ["abc"], [bytearray(b"abc")], [memoryview(b"abc")], None, 3]
)
def test_a_result_that_is_no_iterable_of_bytes_costs_a_500(result, serve, caplog):
    response = serve(answers(lambda: result)).get()
    assert response.status == "500"
    assert "the application failed: 'GET / HTTP/1.1' from 127.0.0.1" in caplog.text


@pytest.mark.parametrize("kind", [ZeroDivisionError, ConnectionResetError, BrokenPipeError])
def test_a_length_that_cannot_be_asked_for_costs_a_500(kind, serve, caplog):
    class Remote:
        def __len__(self):
            raise kind

        def __iter__(self):
            return iter([b"abc"])

    assert serve(answers(Remote)).get().status == "500"
    (record,) = caplog.records
    assert "the application failed" in record.message
    assert kind.__name__ in caplog.text


def test_an_application_that_never_starts_a_response_costs_a_500(serve, caplog):
    assert serve(lambda environ, start_response: [b"abc"]).get().status == "500"
    assert serve(lambda environ, start_response: []).get().status == "500"
    assert "start_response" in caplog.text


# Errors

EXCEPTIONS = [
    ZeroDivisionError,
    SystemExit,
    KeyboardInterrupt,
    MemoryError,
    GeneratorExit,
    RecursionError,
    BaseException,
]


@pytest.mark.parametrize("kind", EXCEPTIONS)
@pytest.mark.parametrize("where", ["call", "start", "first", "close"])
def test_what_an_application_raises_costs_one_response_never_the_server(
    kind, where, serve, eventually, caplog
):
    class Failing:
        def __iter__(self):
            return self

        def __next__(self):
            if where == "first":
                raise kind("secret")
            raise StopIteration

        def close(self):
            if where == "close":
                raise kind("secret")

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/fine":
            start_response("200 OK", [])
            return [b"fine"]
        if where == "call":
            raise kind("secret")
        start_response("200 OK", [])
        if where == "start":
            raise kind("secret")
        return Failing()

    site = serve(application)
    client = site.dial()
    response = client.get("/fails")
    assert response.status == ("200" if where == "close" else "500")
    assert b"secret" not in response.content
    eventually(lambda: caplog.records)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert caplog.records[0].exc_info[0] is kind
    assert site.get("/fine").content == b"fine"


def test_an_error_after_the_head_ends_the_connection_visibly(serve, truncated, caplog):
    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"begun"
        raise ZeroDivisionError

    site = serve(application)
    client = site.dial()
    with pytest.raises(truncated) as caught:
        client.get()
    assert b"begun" in caught.value.args[0] or client.received == b""
    assert "ZeroDivisionError" in caplog.text


def test_an_error_after_the_head_resets_an_old_client(serve):
    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"begun"
        raise ZeroDivisionError

    client = serve(application).dial()
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        receive_all(client.socket)


def test_exc_info_replaces_a_head_that_is_not_sent(serve):
    def application(environ, start_response):
        start_response("200 OK", length(100))
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            start_response("503 Service Unavailable", [("X-Second", "1")], sys.exc_info())
        return [b"sorry"]

    response = serve(application).get()
    assert (response.status, response.content, response.get("X-Second")) == ("503", b"sorry", "1")


def test_exc_info_after_the_head_is_raised_again(serve, truncated, caplog):
    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"begun"
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            start_response("500 Oops", [], sys.exc_info())
        yield b"never"

    with pytest.raises(truncated):
        serve(application).get()
    assert caplog.records[0].exc_info[0] is ZeroDivisionError


def test_a_second_start_without_exc_info_is_an_error(serve, caplog):
    def application(environ, start_response):
        start_response("200 OK", [])
        start_response("200 OK", [])
        return []

    assert serve(application).get().status == "500"
    assert "Headers already set!" in caplog.text


def test_an_application_may_do_what_it_likes_to_its_environ(serve, truncated, caplog):
    def application(environ, start_response):
        environ.clear()
        start_response("200 OK", [])
        yield b"begun"
        raise ZeroDivisionError

    site = serve(application, access_log=True)
    for _ in range(2):
        with pytest.raises(truncated):
            site.get()


# close()


class Counted:
    """An iterable that counts its close()."""

    def __init__(self, blocks):
        self.blocks = blocks
        self.closed = 0

    def __iter__(self):
        for block in self.blocks:
            if isinstance(block, Exception):
                raise block
            yield block

    def close(self):
        self.closed += 1


ENDINGS = {
    "whole": ([b"a", b"b"], [], b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"),
    "empty": ([], [], b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"),
    "HEAD": ([b"a", b"b"], [], b"HEAD / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"),
    "short": ([b"a"], length(3), b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"),
    "long": ([b"abcd"], length(3), b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"),
    "declared": ([b"abc"], length(3), b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"),
    "long, in two blocks": ([b"abc", b"abc"], length(3), b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"),
    "fails at once": ([ValueError()], [], b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"),
    "fails later": ([b"a", ValueError()], [], b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"),
    "not bytes": (["a"], [], b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"),
    "not bytes later": ([b"a", "b"], [], b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_close_is_called_once_however_the_response_ends(name, serve):
    blocks, headers, data = ENDINGS[name]
    result = Counted(blocks)
    client = serve(answers(lambda: result, headers=headers)).dial()
    client.send(data)
    client.rest()
    serve.stop()
    assert result.closed == 1


def test_close_is_called_once_when_the_client_vanishes(serve, eventually, caplog):
    result = Counted(b"x" * 65536 for _ in range(10_000))
    client = serve(answers(lambda: result)).dial()
    client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
    client.until(b"\r\n\r\n")
    client.reset()
    eventually(lambda: result.closed)
    serve.stop()
    assert result.closed == 1
    assert caplog.records == []


def test_an_error_in_close_does_not_cut_a_whole_response(serve, eventually, caplog):
    class Failing(Counted):
        def close(self):
            raise ZeroDivisionError

    size = 4 << 20
    blocks = [b"x" * (1 << 18)] * (size >> 18)
    client = serve(answers(lambda: Failing(blocks))).dial()
    assert len(client.get().content) == size
    eventually(lambda: "ZeroDivisionError" in caplog.text)


# After the end


def test_what_comes_behind_content_that_is_whole_is_not_sent_but_logged(serve, caplog):
    client = serve(answers(lambda: iter([b"abc", b"abc"]), headers=length(3))).dial()
    client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
    assert client.rest().endswith(b"\r\n\r\nabc")
    serve.stop()
    (record,) = caplog.records
    assert "the response has a Content-Length of 3, and the application gave more" in record.message


def test_what_fails_behind_content_that_is_whole_does_not_cut_it(serve, caplog):
    def application(environ, start_response):
        start_response("200 OK", length(3))
        yield b"abc"
        raise ZeroDivisionError

    client = serve(application).dial()
    assert client.get().content == b"abc"
    assert client.get().content == b"abc"
    serve.stop()
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError] * 2


def test_write_and_start_response_are_refused_once_the_response_is_over(serve):
    kept = []

    def application(environ, start_response):
        if not kept:
            kept.extend([start_response("200 OK", length(5)), start_response])
            return [b"first"]
        with pytest.raises(AssertionError):
            kept[0](b"evil")
        with pytest.raises(AssertionError):
            kept[1]("200 OK", [])
        try:
            raise ZeroDivisionError
        except ZeroDivisionError as error:
            with pytest.raises(ZeroDivisionError):
                kept[1]("200 OK", [], (type(error), error, None))
        with pytest.raises(AssertionError):
            kept[0](b"evil")
        start_response("200 OK", length(6))
        return [b"second"]

    client = serve(application).dial()
    assert client.get().content == b"first"
    assert client.get().content == b"second"


def test_a_block_leaves_before_the_next_one_is_made(serve):
    seen = threading.Event()

    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"first"
        assert seen.wait(20)
        yield b"second"

    client = serve(application).dial()
    client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
    client.until(b"5\r\nfirst\r\n")
    seen.set()
    assert client.until(b"6\r\nsecond\r\n0\r\n\r\n") == b""


def test_content_that_is_whole_leaves_before_more_is_asked_for(serve):
    seen = threading.Event()

    def application(environ, start_response):
        start_response("200 OK", length(5))
        yield b"whole"
        assert seen.wait(20)

    client = serve(application).dial()
    client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
    client.until(b"whole")
    seen.set()
    assert client.get().content == b"whole"


def test_the_head_waits_for_the_first_block_that_is_not_empty(serve):
    def application(environ, start_response):
        start_response("200 OK", [])
        yield b""
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            start_response("404 Not Found", [], sys.exc_info())
        yield b"second thoughts"

    response = serve(application).get()
    assert (response.status, response.content) == ("404", b"second thoughts")


def test_a_head_that_is_replaced_by_a_faulty_one_is_not_sent(serve):
    def application(environ, start_response):
        start_response("200 OK", [])
        try:
            raise ValueError("x")
        except ValueError:
            with pytest.raises(ValueError, match="malformed"):
                start_response("2", [], sys.exc_info())
        return [b"whatever"]

    assert serve(application).get("/").status == "500"


def test_a_head_that_is_replaced_by_one_with_content_has_its_content(serve):
    def application(environ, start_response):
        start_response("204 No Content", [])
        try:
            raise ValueError("x")
        except ValueError:
            start_response("200 OK", [], sys.exc_info())
        return [b"content"]

    assert serve(application).get("/").content == b"content"


def test_an_iterator_that_begins_anew_each_time_it_is_asked_for_one_is_asked_once(serve):
    class Restarting:
        def __iter__(self):
            self.left = iter([b"a", b"b", b"c"])
            return self

        def __next__(self):
            return next(self.left)

    assert serve(answers(Restarting)).get("/").content == b"abc"


def test_an_iterable_that_raises_stop_iteration_has_failed_and_is_not_empty(serve, caplog):
    class Stopping:
        def __iter__(self):
            raise StopIteration

    assert serve(answers(Stopping)).get("/").status == "500"
    assert [record.exc_info[0] for record in caplog.records] == [StopIteration]


@pytest.mark.parametrize("headers", [[], length(3)], ids=["no length", "a length"])
@pytest.mark.parametrize("blocks", [[b"abc"], [b"a", b"b", b"c"]], ids=["one block", "several"])
def test_what_comes_quickly_leaves_in_one_send(serve, faults, blocks, headers):
    sends = faults("send", 10**6)
    site = serve(answers(lambda: iter(blocks), headers=headers))
    assert site.get("/").content == b"abc"
    assert sends.calls == 1


def test_the_first_block_does_not_wait_for_a_slow_next_one(serve):
    goes_on = threading.Event()

    def blocks():
        yield b"one"
        goes_on.wait(20)
        yield b"two"

    client = serve(answers(blocks)).dial()
    client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
    client.until(b"\r\n\r\n")
    assert client.take(8) == b"3\r\none\r\n"
    goes_on.set()
    assert client.take(13) == b"3\r\ntwo\r\n0\r\n\r\n"


def test_a_quick_application_is_never_far_ahead_of_what_is_sent(serve, monkeypatch):
    kept = []
    real = Connection._keep

    def keep(self, *pieces):
        real(self, *pieces)
        kept.append(len(self.outbox))

    monkeypatch.setattr(Connection, "_keep", keep)
    response = serve(answers(lambda: (b"x" * 1000 for _ in range(3000)))).get("/")
    assert response.content == b"x" * 3_000_000
    assert max(kept) < 1 << 20


def test_what_an_application_gave_before_it_failed_reaches_the_client(serve):
    def blocks():
        yield b"one"
        yield b"two"
        raise ValueError("x")

    client = serve(answers(blocks)).dial()
    client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
    assert client.rest().endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n")
