"""`wsgix.simple_server`: the standard library's classes and hooks, over real sockets where sockets matter."""

import contextlib
import errno
import http.client
import io
import os
import re
import runpy
import socket
import socketserver
import ssl
import stat
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from platform import python_implementation
from types import SimpleNamespace

import pytest
import trustme

from wsgix import simple_server
from wsgix.handlers import SimpleHandler
from wsgix.simple_server import (
    ServerHandler,
    ThreadingWSGIServer,
    WSGIRequestHandler,
    WSGIServer,
    demo_app,
    make_server,
)

PAGE = ServerHandler.error_body
HELLO = b"Hello"
IN_USE = re.escape(os.strerror(errno.EADDRINUSE))


class Threads(ThreadingWSGIServer):
    """Waits for its threads, so that a test can look at what they left."""

    daemon_threads = False


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [HELLO]


def echo(environ, start_response):
    start_response("200 OK", [])
    return [environ["wsgi.input"].read()]


def ignore_content(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [HELLO]


class Recorder:
    """An application that keeps each environ."""

    def __init__(self):
        self.environs = []

    def __call__(self, environ, start_response):
        self.environs.append(environ)
        start_response("200 OK", [])
        return [HELLO]

    @property
    def environ(self):
        (environ,) = self.environs
        return environ


class MemoryServer(WSGIServer):
    """A server without a socket."""

    def __init__(self, address, handler_class):
        socketserver.BaseServer.__init__(self, address, handler_class)
        self.server_name, self.server_port = "server.example", 80
        self.setup_environ()


def in_memory(handler_class):
    """Make a handler class whose "socket" is a pair of files, and so needs no setup and no finish."""

    def setup(self):
        self.connection = self.request
        self.rfile, self.wfile = self.request

    return type("Memory", (handler_class,), {"setup": setup, "finish": lambda self: None})


def respond(data, app=hello, handler_class=WSGIRequestHandler, server_class=MemoryServer, **attributes):
    """Return the response to the bytes of a request."""
    server = make_server("", 80, app, server_class, in_memory(type("Handler", (handler_class,), attributes)))
    output = io.BytesIO()
    server.finish_request((io.BufferedReader(io.BytesIO(data)), output), ("192.0.2.1", 8888))
    return output.getvalue()


def environ_of(data, handler_class=WSGIRequestHandler, **attributes):
    app = Recorder()
    respond(data, app, handler_class, **attributes)
    return app.environ


def status_of(response):
    match = re.match(rb"HTTP/1\.[01] (\d{3}) ", response)
    return match and int(match[1])


@contextlib.contextmanager
def serving(app, handler_class=WSGIRequestHandler, server_class=Threads, address=("127.0.0.1", 0), **options):
    """Serve from a thread; when it ends, so have all connections."""
    server = server_class(address, handler_class, **options)
    server.set_app(app)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def connect(server):
    client = socket.socket(server.address_family)
    client.settimeout(20)
    client.connect(server.server_address)
    return client


def send_for_ever(client):
    while True:
        client.sendall(bytes(65536))


def read_all(client):
    return b"".join(iter(lambda: client.recv(65536), b""))


def ask(server, data):
    """Send the bytes of a request, return all that comes until the server closes."""
    with connect(server) as client:
        client.sendall(data)
        return read_all(client)


def request(text):
    return text.replace("\n", "\r\n").encode("latin-1")


GET = request("GET / HTTP/1.1\nHost: a.example\n\n")


# Names


def test_the_public_names_are_the_standard_library_s_and_one_more():
    assert set(simple_server.__all__) == {
        "ThreadingWSGIServer",
        "WSGIRequestHandler",
        "WSGIServer",
        "demo_app",
        "make_server",
    }


def test_the_strings_are_the_running_interpreter_s():
    assert simple_server.__version__ == "0.2"
    name = "WSGIServer/0.2" if sys.version_info < (3, 15) else "WSGIServer"
    assert simple_server.server_version == WSGIRequestHandler.server_version == name
    assert simple_server.sys_version == f"{python_implementation()}/{sys.version.split()[0]}"
    assert simple_server.software_version == ServerHandler.server_software
    assert simple_server.software_version == f"{name} {simple_server.sys_version}"


def test_the_classes_stand_where_the_standard_library_s_do():
    assert issubclass(WSGIServer, HTTPServer)
    assert issubclass(WSGIRequestHandler, BaseHTTPRequestHandler)
    assert issubclass(ServerHandler, SimpleHandler)
    assert ThreadingWSGIServer.__mro__[1:3] == (socketserver.ThreadingMixIn, WSGIServer)
    assert ThreadingWSGIServer.daemon_threads
    assert ServerHandler.http_version == "1.0"


# A request and its response


def test_a_request_is_answered_in_http_1_0_and_the_connection_closed():
    with serving(hello) as server:
        response = ask(server, GET)

    head, _, content = response.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.0 200 OK"
    assert lines[1].startswith(b"Date: ")
    assert lines[2] == b"Server: " + simple_server.software_version.encode()
    assert lines[3:] == [b"Content-Type: text/plain", b"Content-Length: 5"]
    assert content == HELLO


def test_head_and_first_block_leave_in_one_send():
    sent = []

    class Counting(WSGIRequestHandler):
        def setup(self):
            super().setup()
            write = self.wfile.write
            self.wfile.write = lambda data: (sent.append(data), write(data))[1]

    def blocks(environ, start_response):
        start_response("200 OK", [])
        return [b"one", b"two"]

    with serving(blocks, Counting) as server:
        ask(server, GET)

    assert len(sent) == 2
    assert sent[0].startswith(b"HTTP/1.0 200 OK\r\n")
    assert sent[0].endswith(b"\r\n\r\none")
    assert sent[1] == b"two"


def test_a_large_first_block_is_not_copied_behind_the_head():
    block = bytes(100_000)
    sent = []

    class Output(io.BytesIO):
        def write(self, data):
            sent.append(data)
            return len(data)

    def large(environ, start_response):
        start_response("200 OK", [])
        return [block]

    server = make_server("", 80, large, MemoryServer, in_memory(WSGIRequestHandler))
    server.finish_request((io.BytesIO(GET), Output()), ("192.0.2.1", 1))

    assert len(sent) == 2
    assert sent[1] is block


def test_a_head_without_content_leaves_when_it_is_sent():
    class OwnHead(ServerHandler):
        def finish_response(self):
            self.send_headers()
            self.close()

    class Handler(WSGIRequestHandler):
        def handle_one_request(self):
            self.raw_requestline = self.rfile.readline(65537)
            self.parse_request()
            handler = OwnHead(self.rfile, self.wfile, self.get_stderr(), self.get_environ())
            handler.request_handler = self
            handler.run(self.server.get_app())

    assert respond(GET, handler_class=Handler).endswith(b"\r\n\r\n")


def test_a_response_to_head_has_the_length_and_no_content():
    response = respond(b"HEAD / HTTP/1.1\r\n\r\n")

    assert b"Content-Length: 5\r\n" in response
    assert response.endswith(b"\r\n\r\n")


def test_each_request_is_one_line_of_the_access_log(capsys):
    respond(b"GET /a HTTP/1.0\r\n\r\n")

    line = capsys.readouterr().err
    assert re.fullmatch(r'192\.0\.2\.1 - - \[.*\] "GET /a HTTP/1\.0" 200 5\n', line)


def test_an_application_that_fails_is_answered_500_and_logged_once(capsys):
    def fail(environ, start_response):
        raise LookupError("no luck")

    response = respond(b"GET / HTTP/1.0\r\n\r\n", fail)

    assert status_of(response) == 500
    assert response.endswith(PAGE)
    log = capsys.readouterr().err
    assert "LookupError: no luck" in log
    assert log.count('"GET / HTTP/1.0" 500 59') == log.count('"GET / HTTP/1.0"') == 1


def test_an_application_that_fails_behind_the_head_is_logged_once_and_its_response_reset(capsys):
    def fail(environ, start_response):
        start_response("200 OK", [])
        yield b"half"
        raise LookupError("no luck")

    with serving(fail) as server, connect(server) as client:
        client.sendall(GET)
        with pytest.raises(ConnectionResetError):
            read_all(client)

    log = capsys.readouterr().err
    assert "LookupError: no luck" in log
    assert log.count('"GET / HTTP/1.1" 200 4') == 1


def test_a_response_short_of_its_length_is_closed_in_the_usual_way(capsys):
    def fail(environ, start_response):
        start_response("200 OK", [("Content-Length", "10")])
        yield b"half"
        raise LookupError("no luck")

    with serving(fail) as server:
        assert ask(server, GET).endswith(b"\r\n\r\nhalf")

    assert '"GET / HTTP/1.1" 200 4' in capsys.readouterr().err


def test_a_client_that_has_gone_is_logged_once(capsys):
    class Gone(io.BytesIO):
        def write(self, data):
            raise BrokenPipeError

    server = make_server("", 80, hello, MemoryServer, in_memory(WSGIRequestHandler))
    server.finish_request((io.BytesIO(GET), Gone()), ("192.0.2.1", 1))

    log = capsys.readouterr().err
    assert log.count("\n") == log.count('"GET / HTTP/1.1" 200 5') == 1


def test_an_error_page_that_fails_too_does_not_mask_the_error(capsys):
    class Handler(ServerHandler):
        def error_output(self, environ, start_response):
            raise ArithmeticError("worse")

    def fail(environ, start_response):
        raise LookupError("no luck")

    output = io.BytesIO()
    handler = Handler(io.BytesIO(), output, sys.stderr, {"REQUEST_METHOD": "GET"})
    logged = []
    handler.request_handler = type("", (), {"log_request": lambda self, *args: logged.append(args)})()
    with pytest.raises(ArithmeticError, match="worse"):
        handler.run(fail)
    handler.close()

    assert output.getvalue() == b""
    assert logged == [("-", 0)]


def test_a_server_handler_does_without_a_request_handler():
    output = io.BytesIO()
    stdin = io.BytesIO()
    handler = ServerHandler(stdin, output, sys.stderr, {"REQUEST_METHOD": "GET"})
    handler.run(hello)

    assert output.getvalue().endswith(HELLO)
    assert handler.get_stdin() is stdin


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("request_handler", [None, SimpleNamespace(log_request=lambda code, size: None)])
def test_a_server_handler_needs_no_more_of_its_request_handler_than_its_log(request_handler, version):
    def fail_midway(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"begun"
        raise ArithmeticError

    for application, content in ((hello, HELLO), (fail_midway, b"begun")):
        output = io.BytesIO()
        handler = ServerHandler(io.BytesIO(), output, io.StringIO(), {"REQUEST_METHOD": "GET"})
        handler.request_handler = request_handler
        handler.http_version = version
        handler.run(application)

        assert output.getvalue().startswith(f"HTTP/{version} 200 OK\r\n".encode())
        assert output.getvalue().endswith(content)


# The environ


def test_the_environ_has_the_variables_of_cgi():
    environ = environ_of(
        request("GET /p%61th/x?q=%20 HTTP/1.1\nHost: a.example\nX-Two-Words: one\nContent-Type: a/b\n\n")
    )

    for name, value in {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_NAME": "server.example",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": WSGIRequestHandler.server_version,
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/path/x",
        "QUERY_STRING": "q=%20",
        "REMOTE_ADDR": "192.0.2.1",
        "REMOTE_HOST": "",
        "CONTENT_TYPE": "a/b",
        "CONTENT_LENGTH": "",
        "HTTP_HOST": "a.example",
        "HTTP_X_TWO_WORDS": "one",
        "wsgi.url_scheme": "http",
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.input_terminated": True,
    }.items():
        assert environ[name] == value, name
    assert "HTTPS" not in environ


def test_without_content_type_the_variable_is_empty():
    assert environ_of(GET)["CONTENT_TYPE"] == ""


def test_variables_of_the_process_are_what_latin_1_can_hold():
    assert simple_server._as_latin_1("caf\xe9") == "caf\xe9"
    assert simple_server._as_latin_1("\u20ac") == "\u20ac".encode(sys.getfilesystemencoding()).decode(
        "latin-1"
    )


def test_bytes_outside_of_ascii_arrive_as_latin_1():
    assert environ_of(b"GET /\x80%80 HTTP/1.0\r\n\r\n")["PATH_INFO"] == "/\x80\x80"


def test_the_variables_of_the_process_are_in_the_environ_but_no_request_header_is():
    assert "PATH" in ServerHandler.os_environ
    assert not [name for name in ServerHandler.os_environ if name.startswith("HTTP_")]


def test_repeated_headers_are_joined_by_commas_and_cookies_by_semicolons():
    environ = environ_of(request("GET / HTTP/1.0\nX-A: 1\nCookie: a=1\nx-a: 2\ncookie: b=2\n\n"))

    assert environ["HTTP_X_A"] == "1,2"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"


def test_the_header_proxy_becomes_no_variable():
    assert "HTTP_PROXY" not in environ_of(request("GET / HTTP/1.0\nProxy: http://evil/\n\n"))


def test_a_header_cannot_take_the_place_of_a_variable():
    environ = environ_of(request("GET / HTTP/1.0\nScript-Name: /x\nRemote_Addr: 1\nContent_Length: 9\n\n"))

    assert environ["SCRIPT_NAME"] == ""
    assert environ["REMOTE_ADDR"] == "192.0.2.1"
    assert environ["CONTENT_LENGTH"] == ""
    assert not {"HTTP_SCRIPT_NAME", "HTTP_REMOTE_ADDR", "HTTP_CONTENT_LENGTH"} & set(environ)


@pytest.mark.parametrize("fields", ["X-A: real\nX_A: forged\n", "x_a: forged\nX-A: real\n"])
def test_a_header_with_an_underscore_never_joins_the_one_that_it_imitates(fields):
    assert environ_of(request(f"GET / HTTP/1.0\n{fields}\n"))["HTTP_X_A"] == "real"


def test_a_header_with_an_underscore_is_kept_if_it_imitates_none():
    environ = environ_of(request("GET / HTTP/1.0\nX_A: 1\nX_A: 2\n\n"))

    assert environ["HTTP_X_A"] == "1,2"


def test_headers_with_underscores_are_dropped_on_demand():
    environ = environ_of(request("GET / HTTP/1.0\nX_A: 1\n\n"), drop_underscore_headers=True)

    assert "HTTP_X_A" not in environ


def test_slashes_at_the_start_of_the_path_become_one():
    assert environ_of(b"GET //evil.example//x HTTP/1.0\r\n\r\n")["PATH_INFO"] == "/evil.example//x"


def test_slashes_at_the_start_of_the_path_are_kept_on_demand():
    environ = environ_of(b"GET //a//x HTTP/1.0\r\n\r\n", collapse_slashes=False)

    assert environ["PATH_INFO"] == "//a//x"


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("http://b.example/x?y", "/x", "y"),
        ("HTTPS://b.example", "/", ""),
        ("http://b.example?y=/", "/", "y=/"),
        ("http://b.example//x", "/x", ""),
    ],
)
def test_a_target_in_absolute_form_gives_the_host_and_the_path(target, path, query):
    environ = environ_of(request(f"GET {target} HTTP/1.1\nHost: a.example\n\n"))

    assert environ["HTTP_HOST"] == "b.example"
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == (path, query)


def test_the_path_of_an_asterisk_form_is_empty():
    assert environ_of(b"OPTIONS * HTTP/1.0\r\n\r\n")["PATH_INFO"] == ""


def test_the_address_of_the_client_may_be_a_text():
    app = Recorder()
    server = make_server("", 80, app, MemoryServer, in_memory(WSGIRequestHandler))
    server.finish_request((io.BytesIO(GET), io.BytesIO()), "192.0.2.7")

    assert app.environ["REMOTE_ADDR"] == "192.0.2.7"


class Forks(socketserver.ForkingMixIn, MemoryServer):
    pass


class OwnThreads(socketserver.ThreadingMixIn, MemoryServer):
    pass


@pytest.mark.parametrize(
    ("server_class", "multithread", "multiprocess"),
    [(MemoryServer, False, False), (OwnThreads, True, False), (Forks, False, True)],
)
def test_the_environ_tells_of_threads_and_processes(server_class, multithread, multiprocess):
    environ = environ_of(GET, server_class=server_class)

    assert environ["wsgi.multithread"] is multithread
    assert environ["wsgi.multiprocess"] is multiprocess


def test_wsgi_errors_is_sys_stderr_as_it_is_now(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)

    assert environ_of(GET)["wsgi.errors"] is stream


# What is read from the wire


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.0\n\n",
        b"GET / HTTP/1.0",
        b"GET / HTTP/1.0\r\nSome-Header: x\r\n",
        b"\r\nGET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.2\r\nX: a\r\n  b\r\n\r\n",
        b"get / HTTP/1.0\r\n\r\n",
        b"GET /{a}|b%zz HTTP/1.0\r\n\r\n",
    ],
)
def test_requests_that_programs_rely_on_are_accepted(data):
    assert status_of(respond(data)) == 200


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n", 400),
        (b"GET /\r HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n fold: first\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: \0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET / HTTP/0.9\r\n\r\n", 400),
        (b"GET / HTTP/1\r\n\r\n", 400),
        (b"GET / http/1.1\r\n\r\n", 400),
        (b"POST /\r\n", 400),
        (b"GET  / HTTP/1.1\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\n\r\n", 400),
        (b"G<T / HTTP/1.1\r\n\r\n", 400),
        (b"GET x HTTP/1.1\r\n\r\n", 400),
        (b"GET * HTTP/1.1\r\n\r\n", 400),
        (b"GET /#f HTTP/1.1\r\n\r\n", 400),
        (b"GET http:///x HTTP/1.1\r\n\r\n", 400),
        (b"GET http://a@b/ HTTP/1.1\r\n\r\n", 400),
        (b"GET ftp://a/ HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT a.example:443 HTTP/1.1\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: a", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", 400),
        (b"GET / HTTP/1.1", 400),
        (b"GET /cut-of", 400),
        (b"GET / HTTP/1.0\r\nHost: a", 400),
        (b"GET /" + b"a" * 65536 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 65536 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: a\r\n" * 101 + b"\r\n", 431),
    ],
)
def test_a_malformed_request_is_refused_and_the_application_not_called(data, status, capsys):
    app = Recorder()

    response = respond(data, app)

    assert status_of(response) == status
    assert b"\r\nConnection: close\r\n" in response
    assert app.environs == []
    log = capsys.readouterr().err
    assert log.count(f"code {status}, message ") == 1
    assert log.count(f'" {status} -\n') == 1


def test_a_hundred_fields_are_accepted():
    assert status_of(respond(b"GET / HTTP/1.1\r\n" + b"A: a\r\n" * 100 + b"\r\n")) == 200


def test_a_refusal_says_why_and_repeats_nothing_of_the_request():
    response = respond(b"GET / HTTP/1.1\r\nA<script> : x\r\n\r\n")

    assert response.startswith(b"HTTP/1.0 400 A field name is not a token\r\n")
    assert b"script" not in response


def test_a_line_that_is_too_long_is_refused_in_http_server_s_words():
    reason = http.server.BaseHTTPRequestHandler.responses[414][0].encode()

    assert respond(b"GET /" + b"a" * 65536).startswith(b"HTTP/1.0 414 " + reason + b"\r\n")


def test_a_connection_needs_no_more_than_makefile():
    class Request:
        def makefile(self, mode, size):
            return io.BytesIO()

    WSGIRequestHandler(Request(), "192.0.2.1", None)


def test_no_request_is_no_line_in_the_log(capsys):
    assert respond(b"") == b""
    assert capsys.readouterr().err == ""


def test_a_request_of_http_0_9_is_answered_by_the_content_alone():
    app = Recorder()

    assert respond(b"GET /old\r\nHost: not read\r\n\r\n", app) == HELLO
    assert app.environ["SERVER_PROTOCOL"] == "HTTP/0.9"
    assert app.environ["PATH_INFO"] == "/old"
    assert "HTTP_HOST" not in app.environ


def test_an_empty_response_of_http_0_9_is_nothing_at_all():
    def nothing(environ, start_response):
        start_response("200 OK", [])
        return []

    assert respond(b"GET /\r\n", nothing) == b""


def test_the_version_of_a_bare_request_is_the_default_request_version():
    environ = environ_of(b"GET /\r\nHost: a.example\r\n\r\n", default_request_version="HTTP/1.0")

    assert environ["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert environ["HTTP_HOST"] == "a.example"


def test_a_folded_field_is_joined_by_a_space():
    assert environ_of(b"GET / HTTP/1.0\r\nX: a\r\n\t b\r\n\r\n")["HTTP_X"] == "a b"


def test_the_headers_are_an_object_of_message_class():
    class Message(http.client.HTTPMessage):
        pass

    class Handler(WSGIRequestHandler):
        MessageClass = Message

        def get_environ(self):
            assert type(self.headers) is Message
            assert self.headers.get_all("x-a") == ["1", "2"]
            assert self.headers.get_content_type() == "a/b"
            assert self.headers.items() == [("X-A", "1"), ("x-a", "2"), ("Content-Type", "a/b; c=d")]
            return super().get_environ()

    data = request("GET / HTTP/1.0\nX-A: 1\nx-a: 2\nContent-Type: a/b; c=d\n\n")
    assert status_of(respond(data, handler_class=Handler)) == 200


@pytest.mark.parametrize(
    ("attributes", "data", "status"),
    [
        ({"accept_bare_lf": False}, b"GET / HTTP/1.0\n\r\n", 400),
        ({"accept_bare_lf": False}, b"GET / HTTP/1.0\r\n\n", 400),
        ({"accept_bare_lf": False}, b"GET / HTTP/1.0\r\nA: a\n\r\n", 400),
        ({"accept_bare_lf": False}, b"GET / HTTP/1.0\r\n\r\n", 200),
        ({"accept_folded_fields": False}, b"GET / HTTP/1.0\r\nA: a\r\n b\r\n\r\n", 400),
        ({"accept_unended_head": False}, b"GET / HTTP/1.0", 400),
        ({"accept_unended_head": False}, b"GET / HTTP/1.0\r\n", 400),
        ({"require_host": True}, b"GET / HTTP/1.1\r\n\r\n", 400),
        ({"require_host": True}, b"GET / HTTP/1.0\r\n\r\n", 200),
    ],
)
def test_each_laxity_can_be_turned_off(attributes, data, status):
    assert status_of(respond(data, **attributes)) == status


# The content


def test_the_input_ends_with_the_content():
    with serving(echo) as server, connect(server) as client:
        client.sendall(request("POST / HTTP/1.1\nContent-Length: 3\n\nabcdef"))
        assert read_all(client).endswith(b"\r\n\r\nabc")


def test_the_input_is_empty_without_content_length():
    with serving(echo) as server, connect(server) as client:
        client.sendall(b"POST / HTTP/1.1\r\n\r\n")
        assert read_all(client).endswith(b"Content-Length: 0\r\n\r\n")


def test_chunks_are_decoded():
    app = Recorder()

    def read(environ, start_response):
        app.content = environ["wsgi.input"].read()
        return app(environ, start_response)

    respond(request("POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n3\nabc\n2;x=y\nde\n0\nA: b\n\nGET"), read)

    assert app.content == b"abcde"
    assert app.environ["CONTENT_LENGTH"] == ""
    assert app.environ["wsgi.input_terminated"] is True


def test_the_input_is_the_same_object_each_time():
    seen = []

    def look(environ, start_response):
        seen.append(environ["wsgi.input"])
        handler = start_response.__self__
        seen.append(handler.get_stdin())
        return hello(environ, start_response)

    respond(request("POST / HTTP/1.1\nContent-Length: 3\n\nabc"), look)

    assert seen[0] is seen[1]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("Transfer-Encoding: chunked\n\nx\n", b"A chunk size is malformed."),
        ("Transfer-Encoding: chunked\n\n3\nab", b"The request ended before it was complete."),
        ("Content-Length: 3\n\nab", b"The request ended before it was complete."),
    ],
)
def test_content_that_the_client_broke_is_answered_400_without_a_traceback(content, sentence, capsys):
    response = respond(request(f"POST / HTTP/1.1\n{content}"), echo)

    assert status_of(response) == 400
    assert response.endswith(sentence)
    log = capsys.readouterr().err
    assert "Traceback" not in log
    assert log.count("Bad request content: ") == log.count('" 400 ') == 1


def test_the_stream_of_a_subclass_is_left_alone():
    class Handler(ServerHandler):
        pass

    request_handler = type("", (), {"rfile": io.BytesIO(), "log_request": lambda self, *args: None})()
    stream = io.BytesIO(b"abc")
    handler = Handler(stream, io.BytesIO(), sys.stderr, {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "2"})
    handler.request_handler = request_handler
    seen = []

    def look(environ, start_response):
        seen.append(environ)
        return hello(environ, start_response)

    handler.run(look)

    assert seen[0]["wsgi.input"] is handler.get_stdin() is stream
    assert "wsgi.input_terminated" not in seen[0]


def test_under_a_subclass_s_own_parse_request_the_input_ends_at_content_length():
    class Handler(WSGIRequestHandler):
        def parse_request(self):
            return BaseHTTPRequestHandler.parse_request(self)

    response = respond(request("POST / HTTP/1.0\nContent-Length: 3\n\nabcdef"), echo, Handler)

    assert response.endswith(b"\r\n\r\nabc")


def test_a_connection_that_has_no_read1_is_read_all_the_same():
    class Raw(io.RawIOBase):
        def __init__(self, data):
            self.file = io.BytesIO(data)

        def readable(self):
            return True

        def readinto(self, buffer):
            return self.file.readinto(buffer)

    server = make_server("", 80, echo, MemoryServer, in_memory(WSGIRequestHandler))
    output = io.BytesIO()
    server.finish_request((Raw(request("POST / HTTP/1.1\nContent-Length: 3\n\nabcdef")), output), ("", 1))

    assert output.getvalue().endswith(b"\r\n\r\nabc")


def test_a_client_still_sending_can_read_the_answer():
    content = bytes(60_000)

    with serving(ignore_content) as server, connect(server) as client:
        client.sendall(request(f"POST / HTTP/1.1\nContent-Length: {len(content)}\n\n"))
        client.sendall(content)
        assert read_all(client).endswith(HELLO)


def test_a_refused_client_still_sending_can_read_the_answer():
    with serving(hello) as server, connect(server) as client:
        client.sendall(b"POST / HTTP/9.9\r\nContent-Length: 60000\r\n\r\n" + bytes(60_000))
        assert status_of(read_all(client)) == 505


def test_a_client_that_never_stops_sending_is_not_waited_for():
    with serving(ignore_content) as server, connect(server) as client:
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            send_for_ever(client)


def test_a_client_that_neither_sends_nor_closes_is_not_waited_for_long(monkeypatch):
    monkeypatch.setattr(simple_server, "_LINGER_SECONDS", 0.0)

    with serving(ignore_content) as server, connect(server) as client:
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n")
        assert read_all(client).endswith(HELLO)


# Time


def test_a_client_that_sends_nothing_is_given_up(capsys):
    class Impatient(WSGIRequestHandler):
        head_timeout = 0.02

    with serving(hello, Impatient) as server, connect(server) as client:
        assert read_all(client) == b""

    assert "No request: " in (log := capsys.readouterr().err)
    assert log.count("\n") == 1


def test_a_client_that_stops_in_the_head_is_told_so(capsys):
    class Impatient(WSGIRequestHandler):
        head_timeout = 0.02

    # What is sent before the server accepts is in time.
    with make_server("127.0.0.1", 0, hello, Threads, Impatient) as server, connect(server) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost:")
        server.handle_request()
        assert status_of(read_all(client)) == 408

    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [({}, None), ({"timeout": 9.0}, 9.0), ({"head_timeout": None}, None)],
)
def test_the_application_runs_without_the_timeout_of_the_head(attributes, expected):
    seen = []

    class Handler(WSGIRequestHandler):
        def get_environ(self):
            seen.append(self.connection.gettimeout())
            return super().get_environ()

    with serving(hello, type("Timed", (Handler,), attributes)) as server:
        ask(server, GET)

    assert seen == [expected]


def test_a_copied_handle_that_times_out_prints_no_traceback(capsys):
    class Copied(WSGIRequestHandler):
        head_timeout = 0.02

        def handle(self):
            self.raw_requestline = self.rfile.readline(65537)

    with serving(hello, Copied) as server, connect(server) as client:
        assert read_all(client) == b""

    log = capsys.readouterr().err
    assert "Traceback" not in log
    assert re.fullmatch(r"Connection from .* lost: timed out\n", log)


def test_another_error_of_a_handler_is_printed_with_its_traceback(capsys):
    class Broken(WSGIRequestHandler):
        def handle(self):
            raise LookupError("no luck")

    with serving(hello, Broken) as server:
        ask(server, b"")

    assert "LookupError: no luck" in capsys.readouterr().err


# Keep-alive


class Keeping(WSGIRequestHandler):
    keep_alive = True


def read_response(client):
    """Read one response that has a length."""
    response = http.client.HTTPResponse(client)
    response.begin()
    return response, response.read()


def test_connections_are_kept_on_demand():
    with serving(hello, Keeping) as server, connect(server) as client:
        for _ in range(3):
            client.sendall(GET)
            response, content = read_response(client)
            assert (response.version, response.status, content) == (11, 200, HELLO)
            assert response.headers["Connection"] is None
        client.sendall(request("GET / HTTP/1.1\nConnection: close\n\n"))
        response, _ = read_response(client)
        assert response.headers["Connection"] == "close"
        assert read_all(client) == b""


def test_pipelined_requests_are_answered_in_order():
    def path(environ, start_response):
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode()]

    data = b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nConnection: close\r\n\r\n"
    with serving(path, Keeping) as server:
        response = ask(server, data)

    assert re.findall(rb"\r\n\r\n(/\d)", response) == [b"/1", b"/2"]


def test_a_client_of_http_1_0_must_ask_for_keep_alive():
    with serving(hello, Keeping) as server, connect(server) as client:
        client.sendall(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        response, _ = read_response(client)
        assert response.headers["Connection"] == "keep-alive"
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        response, _ = read_response(client)
        assert response.headers["Connection"] == "close"
        assert read_all(client) == b""


def test_a_server_without_threads_keeps_no_connection():
    with serving(hello, Keeping, server_class=WSGIServer) as server:
        response = ask(server, GET)

    assert response.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in response


def test_a_handler_of_http_1_1_without_keep_alive_says_that_it_closes(monkeypatch):
    monkeypatch.setattr(ServerHandler, "http_version", "1.1")
    response = respond(GET)

    assert response.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in response


def test_content_of_unknown_length_ends_with_the_connection():
    def stream(environ, start_response):
        start_response("200 OK", [])
        yield b"one"
        yield b"two"

    with serving(stream, Keeping) as server:
        response = ask(server, GET)

    assert b"\r\nConnection: close\r\n" in response
    assert response.endswith(b"\r\n\r\nonetwo")


def test_a_bodiless_response_keeps_the_connection():
    def nothing(environ, start_response):
        start_response("204 No Content", [])
        return []

    with serving(nothing, Keeping) as server, connect(server) as client:
        for _ in range(2):
            client.sendall(GET)
            response, content = read_response(client)
            assert (response.status, content) == (204, b"")


@pytest.mark.parametrize(
    "content",
    ["Content-Length: 5\n\nabcde", "Transfer-Encoding: chunked\n\n5\nabcde\n0\n\n"],
)
def test_content_that_the_application_left_is_not_the_next_request(content):
    with serving(ignore_content, Keeping) as server, connect(server) as client:
        for _ in range(2):
            client.sendall(request(f"POST / HTTP/1.1\n{content}"))
            _, answer = read_response(client)
            assert answer == HELLO


def test_a_timeout_that_the_server_gave_the_connection_stays():
    seen = []

    class Timing(Threads):
        def get_request(self):
            connection, address = super().get_request()
            connection.settimeout(9.0)
            return connection, address

    class Handler(Keeping):
        def get_environ(self):
            seen.append(self.connection.gettimeout())
            return super().get_environ()

    with serving(ignore_content, Handler, server_class=Timing) as server, connect(server) as client:
        client.sendall(request("POST / HTTP/1.1\nContent-Length: 3\n\n") + b"abc")
        client.sendall(request("GET / HTTP/1.1\nConnection: close\n\n"))
        read_all(client)

    assert seen == [9.0, 9.0]


def test_after_content_that_was_read_the_connection_is_kept():
    with serving(echo, Keeping) as server, connect(server) as client:
        for _ in range(2):
            client.sendall(request("POST / HTTP/1.1\nContent-Length: 3\n\nabc"))
            _, answer = read_response(client)
            assert answer == b"abc"


def test_much_content_that_the_application_left_ends_the_connection():
    with serving(ignore_content, Keeping) as server, connect(server) as client:
        client.sendall(request("POST / HTTP/1.1\nContent-Length: 120000\n\n") + bytes(100_000))
        assert read_all(client).endswith(HELLO)


def test_broken_content_that_the_application_left_ends_the_connection():
    with serving(ignore_content, Keeping) as server, connect(server) as client:
        client.sendall(request("POST / HTTP/1.1\nTransfer-Encoding: chunked\n\nx\n"))
        assert read_all(client).endswith(HELLO)


def test_a_response_short_of_its_length_ends_the_connection(capsys):
    def short(environ, start_response):
        start_response("200 OK", [("Content-Length", "10")])
        return [b"half"]

    with serving(short, Keeping) as server:
        assert ask(server, GET).endswith(b"half")


def test_a_client_that_waits_for_100_continue_gets_it():
    with serving(echo, Keeping) as server, connect(server) as client:
        client.sendall(request("POST / HTTP/1.1\nContent-Length: 3\nExpect: 100-Continue\n\n"))
        interim = b""
        while not interim.endswith(b"\r\n\r\n"):
            interim += client.recv(1)
        assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        _, answer = read_response(client)
        assert answer == b"abc"


def test_a_subclass_may_refuse_to_let_the_client_continue():
    class Refusing(Keeping):
        def handle_expect_100(self):
            self.send_error(417)
            return False

    with serving(echo, Refusing) as server:
        response = ask(server, request("POST / HTTP/1.1\nExpect: 100-continue\nContent-Length: 1\n\n"))

    assert response.startswith(b"HTTP/1.1 417 ")


def test_a_kept_connection_that_idles_is_given_up(capsys):
    class Impatient(Keeping):
        head_timeout = 0.02

    with make_server("127.0.0.1", 0, hello, Threads, Impatient) as server, connect(server) as client:
        client.sendall(GET)
        server.handle_request()
        read_response(client)
        assert read_all(client) == b""


class OwnLoop(WSGIRequestHandler):
    """A subclass that keeps connections by itself, without our stream."""

    protocol_version = "HTTP/1.1"

    def handle(self):
        self.close_connection = False
        while not self.close_connection:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.parse_request():
                return
            handler = ServerHandler(io.BytesIO(), self.wfile, self.get_stderr(), self.get_environ())
            handler.http_version = "1.1"
            handler.request_handler = self
            handler.run(self.server.get_app())


def test_a_subclass_s_own_loop_keeps_connections():
    with serving(hello, OwnLoop) as server, connect(server) as client:
        for _ in range(2):
            client.sendall(GET)
            response, _ = read_response(client)
            assert response.headers["Connection"] is None


def test_chunks_that_a_subclass_s_own_loop_leaves_are_not_the_next_request():
    app = Recorder()
    smuggled = "POST /1 HTTP/1.1\nTransfer-Encoding: chunked\n\n5\nhello\n0\n\nGET /2 HTTP/1.1\n\n"
    with serving(app, OwnLoop) as server:
        response = ask(server, request(smuggled))

    assert response.count(b"HTTP/1.1 ") == 1
    assert app.environ["PATH_INFO"] == "/1"


# Addresses


def test_a_server_has_the_host_as_its_name_and_asks_no_dns(monkeypatch):
    monkeypatch.setattr(socket, "getfqdn", None)
    with make_server("127.0.0.1", 0, hello) as server:
        assert server.server_name == server.base_environ["SERVER_NAME"] == "127.0.0.1"
        assert server.server_port == server.server_address[1] == int(server.base_environ["SERVER_PORT"])


@pytest.mark.parametrize("host", ["", "0.0.0.0"])
def test_a_server_on_every_address_has_the_machine_s_name(host):
    with make_server(host, 0, hello) as server:
        assert server.server_name == socket.gethostname()


def test_the_base_environ_is_the_standard_library_s():
    with make_server("127.0.0.1", 0, hello) as server:
        assert server.base_environ == {
            "SERVER_NAME": "127.0.0.1",
            "GATEWAY_INTERFACE": "CGI/1.1",
            "SERVER_PORT": str(server.server_port),
            "REMOTE_HOST": "",
            "CONTENT_LENGTH": "",
            "SCRIPT_NAME": "",
        }


needs_ipv6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")


@needs_ipv6
def test_an_ipv6_address_is_served():
    app = Recorder()
    with serving(app, address=("::1", 0)) as server:
        assert server.address_family == socket.AF_INET6
        ask(server, b"GET / HTTP/1.0\r\n\r\n")

    assert app.environ["SERVER_NAME"] == app.environ["REMOTE_ADDR"] == "::1"
    assert WSGIServer.address_family == socket.AF_INET


@needs_ipv6
def test_two_colons_serve_both_families():
    with serving(hello, address=("::", 0)) as server:
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, server.server_port)) as client:
                client.sendall(GET)
                assert read_all(client).endswith(HELLO)


@needs_ipv6
def test_the_family_that_a_subclass_chose_stays():
    class V6(WSGIServer):
        address_family = socket.AF_INET6

    with V6(("", 0), WSGIRequestHandler) as server:
        assert server.socket.family == socket.AF_INET6


def test_a_unix_socket_is_served_and_its_file_removed(tmp_path, capsys):
    path = tmp_path / "socket"
    app = Recorder()
    with serving(app, Keeping, address=path) as server:
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert (server.server_name, server.server_port) == ("localhost", 80)
        ask(server, request("GET / HTTP/1.1\nConnection: close\n\n"))

    assert app.environ["REMOTE_ADDR"] == ""
    assert capsys.readouterr().err.startswith("- - - [")
    assert not path.exists()


def test_a_host_with_a_slash_is_the_path_of_a_unix_socket(tmp_path):
    path = f"{tmp_path}/socket"
    with make_server(path, 0, hello) as server:
        assert server.server_address == path


def test_a_socket_file_that_nobody_serves_is_replaced(tmp_path):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(path)

    with serving(hello, address=path) as server:
        assert ask(server, GET).endswith(HELLO)


def test_a_socket_file_that_is_served_is_left_alone(tmp_path):
    path = str(tmp_path / "socket")
    with make_server(path, 0, hello), pytest.raises(OSError, match=IN_USE):
        make_server(path, 0, hello)


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(OSError, match=IN_USE):
        make_server(str(path), 0, hello)

    assert path.read_text() == "precious"


def test_a_socket_path_that_cannot_be_bound_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        make_server(str(tmp_path / "missing" / "socket"), 0, hello)


@pytest.mark.parametrize("replacement", [None, "another server's"])
def test_only_its_own_socket_file_is_removed(tmp_path, replacement):
    path = tmp_path / "socket"
    with make_server(str(path), 0, hello):
        path.rename(tmp_path / "elsewhere")  # so that the inode stays taken
        if replacement is not None:
            path.write_text(replacement)

    assert path.exists() is (replacement is not None)


@pytest.mark.skipif(sys.platform != "linux", reason="abstract addresses are Linux's")
def test_an_abstract_address_is_served(tmp_path):
    address = f"\0wsgix-{os.getpid()}"
    with serving(hello, address=address) as server:
        assert ask(server, GET).endswith(HELLO)


def test_server_classes_that_take_an_address_and_a_handler_are_enough():
    class Plain:
        def __init__(self, address, handler_class):
            self.given = address, handler_class

        def set_app(self, application):
            self.application = application

    server = make_server("a.example", 1, hello, Plain, WSGIRequestHandler)

    assert server.given == (("a.example", 1), WSGIRequestHandler)
    assert server.application is hello


def test_a_server_can_be_bound_later():
    with WSGIServer(("127.0.0.1", 0), WSGIRequestHandler, bind_and_activate=False) as server:
        server.server_bind()
        server.server_activate()
        assert server.server_port
        assert server.get_app() is None


# TLS


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def server_context(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def client_context(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def secured(client_context, server):
    return client_context.wrap_socket(
        connect(server), server_hostname="127.0.0.1", suppress_ragged_eofs=False
    )


def test_tls_is_served_and_its_scheme_is_https(server_context, client_context):
    app = Recorder()
    with serving(app, ssl_context=server_context) as server, secured(client_context, server) as client:
        client.sendall(GET)
        # Without close_notify at the end, this raises.
        assert read_all(client).endswith(HELLO)

    assert app.environ["wsgi.url_scheme"] == "https"
    assert app.environ["HTTPS"] == "on"
    assert server.ssl_context is server_context


def test_make_server_hands_the_ssl_context_on(server_context):
    with make_server("127.0.0.1", 0, hello, ssl_context=server_context) as server:
        assert server.ssl_context is server_context


@pytest.mark.parametrize("own", [("cert.pem", "key.pem"), "adhoc"])
def test_the_ssl_context_of_a_subclass_is_its_own(own):
    class Server(ThreadingWSGIServer):
        def __init__(self, address, handler_class):
            self.ssl_context = own
            super().__init__(address, handler_class)

    with make_server("127.0.0.1", 0, hello, Server) as server:
        assert server.ssl_context is own
        assert not isinstance(server.socket, ssl.SSLSocket)


def test_a_client_that_does_not_shake_hands_holds_nobody_up(server_context, client_context):
    with serving(hello, ssl_context=server_context) as server, connect(server) as silent:
        with secured(client_context, server) as client:
            client.sendall(GET)
            assert read_all(client).endswith(HELLO)
        silent.shutdown(socket.SHUT_WR)


def test_a_client_that_speaks_plain_http_is_turned_away(server_context, client_context, capsys):
    with serving(hello, server_class=WSGIServer, ssl_context=server_context) as server:
        with contextlib.suppress(ConnectionResetError):
            assert not status_of(ask(server, GET))
        with secured(client_context, server) as client:
            client.sendall(GET)
            assert read_all(client).endswith(HELLO)

    log = capsys.readouterr().err
    assert log.count("TLS handshake failed: ") == 1
    assert "Traceback" not in log


def test_a_server_whose_socket_was_wrapped_by_hand_does_not_shake_hands_in_its_loop(
    server_context, client_context
):
    app = Recorder()
    with serving(app) as server:
        server.socket = server_context.wrap_socket(server.socket, server_side=True)
        with secured(client_context, server) as client:
            client.sendall(GET)
            assert read_all(client).endswith(HELLO)
        assert not server.socket.do_handshake_on_connect

    assert app.environ["wsgi.url_scheme"] == "https"


def test_a_refused_request_over_tls_is_answered(server_context, client_context):
    with serving(hello, ssl_context=server_context) as server, secured(client_context, server) as client:
        client.sendall(b"GET / HTTP/9.9\r\n\r\n")
        assert status_of(read_all(client)) == 505


def test_a_context_that_is_no_server_s_is_an_error_and_leaves_no_socket(client_context):
    closed = []

    class Server(WSGIServer):
        def server_close(self):
            super().server_close()
            closed.append(self.socket.fileno())

    with pytest.raises(ValueError, match="server_hostname"):
        make_server("127.0.0.1", 0, hello, Server, ssl_context=client_context)

    assert closed == [-1]


# The demonstration


def test_the_demo_application_greets_and_lists_the_environ():
    started = []
    (content,) = demo_app({"b": "2", "a": [1], "wsgi.é": "é"}, lambda *args: started.append(args))

    assert started == [("200 OK", [("Content-Type", "text/plain; charset=utf-8")])]
    assert content.decode() == "Hello world!\n\na = [1]\nb = '2'\nwsgi.é = 'é'\n"


def test_the_module_as_a_program_serves_one_request_and_opens_a_browser(monkeypatch, capsys):
    bound = []
    pages = []

    class AnyPort(socket.socket):
        def bind(self, address):
            super().bind((address[0], 0))
            bound.append(self.getsockname()[1])

    def browse(url):
        assert url == f"http://localhost:{bound[0]}/xyz?abc"

        def visit():
            connection = http.client.HTTPConnection("127.0.0.1", bound[0], timeout=20)
            connection.request("GET", "/xyz?abc")
            pages.append(connection.getresponse().read().decode())
            connection.close()

        visitor = threading.Thread(target=visit)
        visitor.start()
        visitors.append(visitor)

    visitors = []
    monkeypatch.setattr(socket, "socket", AnyPort)
    monkeypatch.setattr("webbrowser.open", browse)
    runpy.run_path(str(Path(simple_server.__file__)), run_name="__main__")
    for visitor in visitors:
        visitor.join()

    assert pages[0].startswith("Hello world!\n\n")
    assert "PATH_INFO = '/xyz'" in pages[0]
    assert capsys.readouterr().out == f"Serving HTTP on 0.0.0.0 port {bound[0]} ...\n"
