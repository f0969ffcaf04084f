"""The gateways that keep the contract, each behind one call: application and request in, response out."""

import http.client
import importlib.util
import io
import os
import pathlib
import subprocess
import sys
import threading
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

import pytest

import wsgix
from wsgix.handlers import SimpleHandler

HERE = pathlib.Path(__file__).parent


def _load_applications():
    spec = importlib.util.spec_from_file_location("contract_applications", HERE / "applications.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


APPLICATIONS = _load_applications()


@dataclass
class Answer:
    """What a client gets: the status line's text, (name, value) pairs, content; and what was logged.

    `whole` is False where the response ended visibly short.
    """

    status: str
    fields: list
    content: bytes
    errors: str
    whole: bool = True

    def get(self, name):
        found = [value for key, value in self.fields if key.lower() == name.lower()]
        assert len(found) < 2
        return found[0] if found else None


class Gateway:
    """One gateway. `facts` is what is true of its environ; the rest comes from the request."""

    def __init__(self, name, facts):
        self.name = name
        self.facts = facts


def _cgi_variables(method, target, content):
    path, _, query = target.partition("?")
    variables = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "test",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "test",
        "HTTP_X_CUSTOM": "value",
    }
    if content is not None:
        variables |= {"CONTENT_LENGTH": str(len(content)), "CONTENT_TYPE": "application/octet-stream"}
    return variables


def _parse(output, errors):
    head, _, content = output.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    status = first.partition(" ")[2]
    fields = [tuple(line.split(": ", 1)) for line in lines]
    answer = Answer(status, fields, content, errors)
    length = answer.get("Content-Length")
    answer.whole = length is None or not content or int(length) == len(content)
    return answer


class InMemory(Gateway):
    """`handlers.SimpleHandler` over streams in memory."""

    def ask(self, application, method="GET", target="/", content=None):
        stdout, stderr = io.BytesIO(), io.StringIO()
        handler = SimpleHandler(
            io.BytesIO(content or b""), stdout, stderr, _cgi_variables(method, target, content)
        )
        handler.os_environ = {}
        handler.run(getattr(APPLICATIONS, application))
        return _parse(stdout.getvalue(), stderr.getvalue())


class CGI(Gateway):
    """`handlers.CGIHandler` in a process, as a web server starts it."""

    def ask(self, application, method="GET", target="/", content=None):
        variables = {
            os.fsencode(k): v.encode("latin-1") for k, v in _cgi_variables(method, target, content).items()
        }
        variables[b"WSGIX_CONTRACT_APPLICATION"] = application.encode("ascii")
        variables[b"PYTHONPATH"] = os.fsencode(os.pathsep.join(sys.path))
        variables[b"PYTHONIOENCODING"] = b":backslashreplace"
        process = subprocess.run(
            [sys.executable, str(HERE / "cgi_program.py")],
            input=(content or b"") + b"bytes behind the request",
            env=variables,
            capture_output=True,
            timeout=30,
        )
        return _parse(process.stdout, process.stderr.decode("utf-8", "backslashreplace"))


class HTTP(Gateway):
    """A server that is asked over a socket, by the standard library's client."""

    def __init__(self, name, facts, start, caplog, capsys):
        super().__init__(name, facts)
        self._application = None
        self._caplog = caplog
        self._capsys = capsys
        self._start = start

    def _call(self, environ, start_response):
        return self._application(environ, start_response)

    def ask(self, application, method="GET", target="/", content=None):
        self._application = getattr(APPLICATIONS, application)
        address, stop = self._start(self._call)
        connection = http.client.HTTPConnection(*address, timeout=30)
        whole = True
        try:
            connection.putrequest(method, target, skip_host=True)
            connection.putheader("Host", "test")
            connection.putheader("X-Custom", "value")
            if content is not None:
                connection.putheader("Content-Length", str(len(content)))
                connection.putheader("Content-Type", "application/octet-stream")
            connection.endheaders(content)
            response = connection.getresponse()
            try:
                body = response.read()
            except http.client.IncompleteRead as error:
                body, whole = error.partial, False
        finally:
            connection.close()
            stop()  # all that the gateway had to log is logged
        errors = self._capsys.readouterr().err + self._caplog.text
        return Answer(f"{response.status} {response.reason}", response.getheaders(), body, errors, whole)


def _start_server(application):
    server = wsgix.Server(application)
    server.__enter__()
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    return (host, int(port)), lambda: server.__exit__(None, None, None)


def _start_simple(application, **options):
    from wsgix import simple_server

    server = simple_server.make_server("127.0.0.1", 0, application, **options)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def stop():
        server.shutdown()
        thread.join()
        server.server_close()

    return server.server_address[:2], stop


def _start_threading(application):
    from wsgix import simple_server

    return _start_simple(application, server_class=simple_server.ThreadingWSGIServer)


def facts(*, multithread, multiprocess=False, run_once=False):
    return {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": multithread,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": run_once,
    }


GATEWAYS = {
    "SimpleHandler": lambda *_: InMemory("SimpleHandler", facts(multithread=True)),
    "CGIHandler": lambda *_: CGI("CGIHandler", facts(multithread=False, multiprocess=True, run_once=True)),
    "make_server": lambda *log: HTTP("make_server", facts(multithread=False), _start_simple, *log),
    "ThreadingWSGIServer": lambda *log: HTTP(
        "ThreadingWSGIServer", facts(multithread=True), _start_threading, *log
    ),
    "Server": lambda *log: HTTP("Server", facts(multithread=True), _start_server, *log),
}


@pytest.fixture(params=GATEWAYS)
def gateway(request, caplog, capsys):
    return GATEWAYS[request.param](caplog, capsys)


@pytest.fixture
def read_report():
    return APPLICATIONS.read_report
