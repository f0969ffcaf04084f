"""Behind real servers an application under watch is answered byte for byte as without."""

import io
import re
import socket
import wsgiref.handlers
from contextlib import contextmanager
from pathlib import Path

import pytest

import wsgix
import wsgix.handlers
from tests.conform.exchanges import ids
from wsgix.conform import watch

PLAIN = ("Content-Type", "text/plain")
ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
}


class Sized:
    def __init__(self, *blocks):
        self.blocks = blocks

    def __len__(self):
        return len(self.blocks)

    def __iter__(self):
        return iter(self.blocks)


def answering(make):
    def application(environ, start_response):
        start_response("200 OK", [PLAIN])
        return make()

    return application


def a_file(environ, start_response):
    start_response("200 OK", [PLAIN])
    return environ["wsgi.file_wrapper"](Path(__file__).open("rb"))


def a_generator(environ, start_response):
    yield b""
    start_response("200 OK", [PLAIN])
    yield b"one"
    yield b"two"


def written(environ, start_response):
    start_response("200 OK", [PLAIN])(b"one")
    return [b"two"]


def failing(environ, start_response):
    start_response("200 OK", [PLAIN])
    raise LookupError("on purpose")


APPLICATIONS = {
    "one-block": answering(lambda: [b"Hello"]),
    "no-block": answering(list),
    "two-blocks": answering(lambda: [b"one", b"two"]),
    "sized": answering(lambda: Sized(b"Hello")),
    "iterator": answering(lambda: iter([b"Hello"])),
    "generator": a_generator,
    "written": written,
    "file": a_file,
    "failing": failing,
}


@pytest.fixture(params=APPLICATIONS.values(), ids=APPLICATIONS)
def application(request):
    return request.param


@pytest.mark.parametrize("handlers", [wsgix.handlers, wsgiref.handlers], ids=["wsgix", "wsgiref"])
def test_a_handler_sends_the_same_bytes(handlers, application):
    class Handler(handlers.SimpleHandler):
        origin_server = False

        def result_is_file(self):
            files.append(super().result_is_file())
            return files[-1]

    def run(application):
        output = io.BytesIO()
        Handler(io.BytesIO(), output, io.StringIO(), ENVIRON).run(application)
        return output.getvalue()

    files = []

    assert run(watch(application, report=print)) == run(application)
    assert files == [] or files[0] == files[-1] == (application is a_file)


@contextmanager
def served(application):
    with wsgix.Server(application) as server:
        host, _, port = server.url.removeprefix("http://").rstrip("/").rpartition(":")
        yield lambda request: exchange((host, int(port)), request)


def exchange(address, request):
    with socket.create_connection(address, 20) as client:
        client.sendall(request)
        received = b""
        while block := client.recv(65536):
            received += block
    return re.sub(rb"Date: [^\r]*", b"Date:", received, count=1)


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_the_server_sends_the_same_bytes(application, method, capsys):
    request = method + b" / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    with (
        served(watch(application, report=lambda judgement: None)) as ask_with,
        served(application) as ask_without,
    ):
        assert ask_with(request) == ask_without(request)


def test_the_server_sends_a_wrapped_file_by_its_own_means(monkeypatch):
    seen = []
    known = wsgix.server.responder.Responder.result_is_file
    monkeypatch.setattr(
        wsgix.server.responder.Responder,
        "result_is_file",
        lambda self: seen.append(known(self)) or seen[-1],
    )

    with served(watch(a_file)) as ask:
        answer = ask(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    assert answer.endswith(Path(__file__).read_bytes())
    assert f"Content-Length: {Path(__file__).stat().st_size}\r\n".encode() in answer
    assert True in seen


def test_findings_come_from_the_threads_of_the_server():
    found = []

    def application(environ, start_response):
        start_response("200", [PLAIN])
        return [b"Hello"]

    with served(watch(application, report=found.append)) as ask:
        for _ in range(3):
            ask(b"GET /shop HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    assert ids(found) == ["H2"] * 3
    assert {judgement.case for judgement in found} == {"GET /shop"}
