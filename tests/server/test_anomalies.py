"""Everything that can fail fails once, at every position of a conversation: the server goes on.

The faults are in the server's sockets and its temporary files. After each, a fresh connection is served,
every iterable that the application returned was closed once, and (see conftest) no thread and no descriptor
is left.
"""

import contextlib
import errno
import logging
import tempfile

import pytest

from tests.server.conftest import wait_until
from wsgix.server import arrivals, loop, respond
from wsgix.server.phase import BODY
from wsgix.server.responder import Responder
from wsgix.server.settings import make_settings
from wsgix.wire.http1 import RequestReader

GET = b"GET /g HTTP/1.1\r\nHost: t\r\n\r\n"
LARGE = make_settings().request_buffer + 20_000

SCRIPTS = {
    "keep-alive": [GET, GET, GET],
    "POST": [b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n", b"some body", GET],
    "continue": [b"POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", b"ok"],
    "chunked": [
        b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc",
        b"\r\n0\r\n\r\n",
        GET,
    ],
    "pipelined": [GET + GET, GET],
    "refused": [GET, b"GARBAGE\r\n\r\n"],
    "cut short": [GET, GET[:-3]],
    "stream": [b"GET /stream HTTP/1.1\r\nHost: t\r\n\r\n", GET],
    "old client": [b"GET /stream HTTP/1.0\r\n\r\n"],
    "truncated": [b"GET /short HTTP/1.0\r\n\r\n"],
}

POSITIONS = range(1, 8)
BLOCKS = [b"one", b"two", b"six"]


class Result:
    """An iterable that counts its close()."""

    def __init__(self, blocks):
        self.blocks = blocks
        self.closed = 0

    def __iter__(self):
        return iter(self.blocks)

    def close(self):
        self.closed += 1


@pytest.fixture
def application():
    def call(environ, start_response):
        content = environ["wsgi.input"].read()
        path = environ["PATH_INFO"]
        start_response("200 OK", [("Content-Length", "9")] if path == "/short" else [])
        blocks = {"/stream": [b"a", b"b", b"c"], "/short": [b"abc"]}.get(path, [b"got %d" % len(content)])
        call.results.append(Result(blocks))
        return call.results[-1]

    call.results = []
    return call


def converse(site, script):
    """Say the whole script, whatever the server does, and read to the end."""
    client = site.dial()
    try:
        for piece in script:
            client.send(piece)
        client.half_close()
        client.rest()
    except OSError:
        pass
    client.close()


def check(site, serve, application):
    for _ in range(2):
        assert site.get("/fresh").content == b"got 0"
    serve.stop()
    assert [result.closed for result in application.results] == [1] * len(application.results)


@pytest.mark.parametrize("error", [errno.ECONNRESET, errno.ETIMEDOUT, errno.ENOBUFS])
@pytest.mark.parametrize("name", ["recv", "send", "close", "shutdown", "setsockopt"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_call_on_a_socket_fails(serve, faults, application, script, name, error):
    for position in POSITIONS:
        fault = faults(name, position, error)
        site = serve(application)
        converse(site, SCRIPTS[script])
        fault.disarm()
        check(site, serve, application)
        if not fault.struck:
            break
    else:
        raise AssertionError("the script is longer than the positions tried")


@pytest.mark.parametrize("position", [1, 2, 3])
def test_nothing_is_sent_behind_what_could_not_be_sent(serve, faults, position, caplog):
    """Not even if the application goes on: the client would take the rest for the whole."""
    caplog.set_level(logging.INFO)

    def call(environ, start_response):
        write = start_response("200 OK", [])
        for block in BLOCKS:
            with contextlib.suppress(OSError):
                write(block)
        return []

    fault = faults("send", position, errno.ENOBUFS)
    client = serve(call).dial()
    client.send(GET)
    _, _, content = client.rest().partition(b"\r\n\r\n")
    assert fault.struck
    assert content == b"".join(b"3\r\n%b\r\n" % block for block in BLOCKS[: position - 1])
    serve.stop()
    (record,) = caplog.records
    assert record.getMessage().startswith("the response ended early, ")


@pytest.mark.parametrize("error", [errno.ECONNABORTED, errno.EMFILE, errno.ENOBUFS, errno.EPROTO])
def test_accept_fails(serve, faults, application, error, monkeypatch):
    monkeypatch.setattr(arrivals, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(loop, "_SWEEP_SECONDS", 0.005)
    for position in range(1, 4):
        fault = faults("accept", position, error)
        site = serve(application)
        assert site.get().content == b"got 0"
        check(site, serve, application)
        assert fault.struck


@pytest.mark.parametrize("name", ["send", "recv"])
def test_a_client_that_vanishes_is_not_blamed_on_the_application(serve, faults, application, name, caplog):
    fault = faults(name, 1, errno.ETIMEDOUT)
    site = serve(application)
    converse(site, [GET])
    fault.disarm()
    check(site, serve, application)
    assert "the application failed" not in caplog.text


class FailingFile:
    """A real temporary file of which one method fails once."""

    def __init__(self, name, position):
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (the server closes it)
        self._name = name
        self._left = position

    def __getattr__(self, name):
        method = getattr(self._file, name)
        if name != self._name:
            return method

        def failing(*args):
            self._left -= 1
            result = method(*args)
            if self._left == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return result

        return failing


@pytest.mark.parametrize("position", [1, 2, 3])
@pytest.mark.parametrize("name", ["make", "write", "writelines", "seek", "close"])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_temporary_file_fails(serve, application, monkeypatch, name, position, chunked):
    real = tempfile.TemporaryFile

    made = []

    def make(**kwargs):
        monkeypatch.setattr(tempfile, "TemporaryFile", real)
        made.append(name)
        if name == "make":
            raise OSError(errno.EMFILE, "Too many open files")
        return FailingFile(name, position)

    site = serve(application, request_memory=0)
    monkeypatch.setattr(tempfile, "TemporaryFile", make)
    client = site.dial()
    if chunked:
        head = b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
        message = head + b"%x\r\n%b\r\n0\r\n\r\n" % (LARGE, b"x" * LARGE)
    else:
        message = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % LARGE + b"x" * LARGE
    client.send(message)
    assert client.response().status in {"200", "507"}
    assert made
    check(site, serve, application)


def _recv(faults, _):
    faults("recv", 2).error = MemoryError()


def _read(_, monkeypatch):
    read = RequestReader.read

    def fail(reader, inbox, start, template):
        if b"/fault" in inbox:
            raise MemoryError
        return read(reader, inbox, start, template)

    monkeypatch.setattr(RequestReader, "read", fail)


def _respond(_, monkeypatch):
    def fail(connection, environ, reader):
        if environ["PATH_INFO"] == "/fault":
            raise MemoryError
        return Responder(connection, environ, reader)

    monkeypatch.setattr(respond, "Responder", fail)


def _settle(_, monkeypatch):
    settle = loop.Loop._settle

    def fail(self, connection, outcome):
        if connection.environ["PATH_INFO"] == "/fault":
            raise MemoryError
        settle(self, connection, outcome)

    monkeypatch.setattr(loop.Loop, "_settle", fail)


@pytest.mark.parametrize("place", [_recv, _read, _respond, _settle])
def test_the_loop_fails_at_a_connection_once(serve, application, faults, monkeypatch, caplog, place):
    place(faults, monkeypatch)
    site = serve(application)
    client = site.dial()
    assert client.get().content == b"got 0"
    # With "close" the loop sees to the connection, whichever thread has responded.
    client.send(b"POST /fault HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: 1\r\n\r\n1")
    client.rest()
    for _ in range(3):
        assert site.get().content == b"got 0"
    assert [record.exc_info[0] for record in caplog.records] == [MemoryError]


@pytest.mark.parametrize("phase", ["body", "head"])
def test_the_loop_fails_at_a_connection_that_has_timed_out(
    serve, application, clock, monkeypatch, caplog, phase
):
    refuse, faults = loop.Loop._refuse, [MemoryError()]

    def has_begun(connection):
        return connection.begun if phase == "head" else connection.phase is BODY and connection.since > 0

    def fail(self, *arguments):
        if faults:
            raise faults.pop()
        refuse(self, *arguments)

    monkeypatch.setattr(loop.Loop, "_refuse", fail)
    site = serve(application)
    head = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n"
    clients = [site.dial() for _ in range(2)]
    for client in clients:
        client.send(head if phase == "body" else head[:-2])
    wait_until(lambda: [*map(has_begun, [*site.loop._connections.values()])] == [True, True])
    clock.advance(1000)
    answers = sorted(client.rest()[:12] for client in clients)
    assert answers == [b"", b"HTTP/1.1 408"]
    assert [record.exc_info[0] for record in caplog.records] == [MemoryError]
