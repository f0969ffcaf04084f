"""Real code over `wsgiref` runs on wsgix: Bottle, Flask, Django, prometheus_client, google_auth_oauthlib.

Each scenario is a process to which `wsgiref` is wsgix (`alias.py`), with a server and a client over a socket.
This file is the program, too: as `__main__` it plays the scenario that its argument names.
"""

import contextlib
import http.client
import io
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

ALIAS = Path(__file__).with_name("alias.py")
DEADLINE = 30.0


# The tests


@pytest.mark.parametrize(
    "scenario",
    [
        "bottle_serves_by_its_wsgiref_adapter",
        "flask_runs_under_make_server",
        "django_keeps_connections_in_its_threaded_server",
        "django_closes_connections_in_its_plain_server",
        "django_sees_no_header_with_an_underscore",
        "django_leaves_no_chunks_to_be_the_next_request",
        "django_handles_a_request_of_stubs",
        "django_answers_a_line_that_is_too_long",
        "prometheus_exposes_its_metrics",
        "prometheus_exposes_its_metrics_over_tls",
        "google_waits_for_the_browser_to_come_back",
    ],
)
def test_what_subclasses_wsgiref_runs_on_wsgix(scenario, tmp_path):
    process = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", ALIAS, __file__, scenario, tmp_path],
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert (process.returncode, process.stdout) == (0, "played\n"), process.stderr
    assert "Traceback" not in process.stderr


# The means of the scenarios


def stands_on_wsgix(*classes):
    """Assert that the alias was in force when the classes were made."""
    for one in classes:
        modules = {base.__module__ for base in one.__mro__}
        assert "wsgix.simple_server" in modules, one.__mro__
        assert not {module for module in modules if module.startswith("wsgiref")}, one.__mro__


def wait_for(look):
    """Return what `look` finds, once it finds something."""
    deadline = time.monotonic() + DEADLINE
    while not (found := look()):
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)
    return found


@contextlib.contextmanager
def running(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def connected(port, context=None):
    if context is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    else:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=DEADLINE, context=context)
    with contextlib.closing(connection):
        yield connection


def ask(connection, method, target, body=None, headers=None, **options):
    connection.request(method, target, body, headers or {}, **options)
    with connection.getresponse() as response:
        return response, response.read()


def exchange(port, data):
    """Send bytes, return all that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as client:
        client.sendall(data)
        return b"".join(iter(lambda: client.recv(65536), b""))


# The scenarios


def bottle_serves_by_its_wsgiref_adapter(scratch):
    import bottle

    app = bottle.Bottle()

    @app.get("/hello/<name>")
    def greet(name):
        return f"Hello {name}"

    @app.post("/form")
    def form():
        return f"{bottle.request.forms['a']} {bottle.request.remote_addr}"

    adapter = bottle.WSGIRefServer("127.0.0.1", 0)
    thread = threading.Thread(target=bottle.run, args=(app,), kwargs={"server": adapter, "quiet": True})
    thread.start()
    server = wait_for(lambda: getattr(adapter, "srv", None))
    stands_on_wsgix(type(server), server.RequestHandlerClass)
    with connected(adapter.port) as connection:
        assert ask(connection, "GET", "/hello/x")[1] == b"Hello x"
        form_type = {"Content-Type": "application/x-www-form-urlencoded"}
        assert ask(connection, "POST", "/form", "a=b", form_type)[1] == b"b 127.0.0.1"
        response, content = ask(connection, "HEAD", "/hello/x")
        assert (response.headers["Content-Length"], content) == ("7", b"")
    server.shutdown()
    thread.join()
    server.server_close()


def flask_runs_under_make_server(scratch):
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    import flask

    app = flask.Flask(__name__)

    @app.post("/upload")
    def upload():
        file = flask.request.files["file"]
        return {"name": file.filename, "size": len(file.read()), "note": flask.request.form["note"]}

    @app.post("/echo")
    def echo():
        return flask.request.get_data()

    @app.get("/stream")
    def stream():
        return flask.Response(iter(["one", "two"]), mimetype="text/plain")

    with make_server("127.0.0.1", 0, app) as server:
        stands_on_wsgix(type(server), WSGIRequestHandler)
        with running(server) as port, connected(port) as connection:
            parts = (
                '--B\r\nContent-Disposition: form-data; name="note"\r\n\r\nhi\r\n'
                '--B\r\nContent-Disposition: form-data; name="file"; filename="f.bin"\r\n'
                "Content-Type: application/octet-stream\r\n\r\n" + "x" * 100_000 + "\r\n--B--\r\n"
            )
            response, content = ask(
                connection, "POST", "/upload", parts, {"Content-Type": "multipart/form-data; boundary=B"}
            )
            assert response.status == 200, content
            assert re.sub(rb"\s", b"", content) == b'{"name":"f.bin","note":"hi","size":100000}'
            chunks = iter([b"in ", b"chunks"])
            assert ask(connection, "POST", "/echo", chunks, encode_chunked=True)[1] == b"in chunks"
            assert ask(connection, "GET", "/stream")[1] == b"onetwo"
            response, content = ask(connection, "GET", "/missing")
            assert response.status == 404


def django_application():
    """Configure Django in this process; return its WSGI application."""
    import django
    from django.conf import settings
    from django.http import HttpResponse, StreamingHttpResponse
    from django.urls import path

    def echo(request):
        return HttpResponse(f"{request.method} {request.path} {request.body.decode()}")

    def stream(request):
        return StreamingHttpResponse([b"one", b"two"])

    def headers(request):
        names = sorted(name for name in request.META if name.startswith("HTTP_X"))
        return HttpResponse(" ".join(f"{name}={request.META[name]}" for name in names))

    settings.configure(
        ALLOWED_HOSTS=["*"],
        DEBUG=False,
        LOGGING_CONFIG=None,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        ROOT_URLCONF=(path("echo", echo), path("stream", stream), path("headers", headers)),
        SECRET_KEY="no secret",
    )
    django.setup()
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


def django_server(class_name):
    from django.core.servers import basehttp

    app = django_application()
    server = getattr(basehttp, class_name)(("127.0.0.1", 0), basehttp.WSGIRequestHandler)
    stands_on_wsgix(type(server), basehttp.WSGIRequestHandler, basehttp.ServerHandler)
    server.daemon_threads = False
    server.set_app(app)
    return server


def django_keeps_connections_in_its_threaded_server(scratch):
    with running(django_server("ThreadedWSGIServer")) as port, connected(port) as connection:
        connection.connect()
        own_port = connection.sock.getsockname()
        for _ in range(2):
            response, content = ask(connection, "GET", "/echo")
            assert (response.version, content) == (11, b"GET /echo ")
            assert response.headers["Connection"] is None
            response, content = ask(connection, "POST", "/echo", "a=b")
            assert content == b"POST /echo a=b"
            response, content = ask(connection, "HEAD", "/echo")
            assert (response.status, content) == (200, b"")
            assert connection.sock.getsockname() == own_port
        response, content = ask(connection, "GET", "/stream")
        assert (response.headers["Connection"], content) == ("close", b"onetwo")


def django_closes_connections_in_its_plain_server(scratch):
    with running(django_server("WSGIServer")) as port, connected(port) as connection:
        for _ in range(2):
            response, content = ask(connection, "POST", "/echo", "a=b")
            assert (response.headers["Connection"], content) == ("close", b"POST /echo a=b")


def django_sees_no_header_with_an_underscore(scratch):
    with running(django_server("ThreadedWSGIServer")) as port, connected(port) as connection:
        _, content = ask(connection, "GET", "/headers", headers={"X-A": "1", "X_B": "2", "X_A": "3"})
        assert content == b"HTTP_X_A=1"


def django_leaves_no_chunks_to_be_the_next_request(scratch):
    smuggled = (
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\n\r\nGET /headers HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    with running(django_server("ThreadedWSGIServer")) as port:
        assert exchange(port, smuggled).count(b"HTTP/1.1 ") == 1
        assert exchange(port, b"GET /echo HTTP/1.1\r\nA : b\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def django_answers_a_line_that_is_too_long(scratch):
    with running(django_server("WSGIServer")) as port:
        answer = exchange(port, b"GET /" + b"a" * 65536 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 414 ")


def django_handles_a_request_of_stubs(scratch):
    from django.core.servers.basehttp import WSGIRequestHandler

    class Stub:
        def __init__(self, **attributes):
            self.__dict__.update(attributes)

    class Output(io.BytesIO):
        def close(self):
            pass

    stands_on_wsgix(WSGIRequestHandler)
    source = io.BytesIO(b"GET / HTTP/1.0\r\nSome-Header: good\r\nSome_Header: bad\r\nOther_Header: bad\r\n")
    output = Output()
    seen = []

    def app(environ, start_response):
        seen.append(environ)
        start_response("200 OK", [])
        return [b"stubbed"]

    request = Stub(
        makefile=lambda mode, *_: source if mode == "rb" else output,
        sendall=output.write,
    )
    WSGIRequestHandler(request, "192.0.2.1", Stub(base_environ={}, get_app=lambda: app))

    assert output.getvalue().endswith(b"\r\n\r\nstubbed")
    assert seen[0]["HTTP_SOME_HEADER"] == "good"
    assert "HTTP_OTHER_HEADER" not in seen[0]


def prometheus_exposes_its_metrics(scratch):
    import prometheus_client
    from prometheus_client import exposition

    server, thread = prometheus_client.start_http_server(0, "127.0.0.1")
    stands_on_wsgix(type(server), server.RequestHandlerClass, exposition.ThreadingWSGIServer)
    with connected(server.server_port) as connection:
        response, content = ask(connection, "GET", "/metrics")
        assert (response.status, response.headers.get_content_type()) == (200, "text/plain")
        assert b"python_info{" in content
    server.shutdown()
    thread.join()
    server.server_close()


def prometheus_exposes_its_metrics_over_tls(scratch):
    import prometheus_client
    import trustme

    authority = trustme.CA()
    identity = authority.issue_cert("127.0.0.1")
    chain, key = scratch / "chain.pem", scratch / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in identity.cert_chain_pems))
    key.write_bytes(identity.private_key_pem.bytes())
    context = ssl.create_default_context()
    authority.configure_trust(context)

    server, thread = prometheus_client.start_http_server(
        0, "127.0.0.1", certfile=str(chain), keyfile=str(key)
    )
    stands_on_wsgix(type(server), server.RequestHandlerClass)
    # A client that never shakes hands stands before the one that does.
    with socket.create_connection(("127.0.0.1", server.server_port)):
        with connected(server.server_port, context) as connection:
            assert b"python_info{" in ask(connection, "GET", "/metrics")[1]
    server.shutdown()
    thread.join()
    server.server_close()


def google_waits_for_the_browser_to_come_back(scratch):
    from google_auth_oauthlib import flow as flows

    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    client = {"client_id": "id", "client_secret": "x", "auth_uri": "http://a/", "token_uri": "http://a/t"}
    flow = flows.InstalledAppFlow.from_client_config({"installed": client}, scopes=["email"])
    fetched = []
    flow.fetch_token = lambda **arguments: fetched.append(arguments)
    stands_on_wsgix(flows._WSGIRequestHandler)

    def visit():
        uri = wait_for(lambda: flow.redirect_uri)
        with connected(int(re.search(r":(\d+)", uri)[1])) as connection:
            pages.append(ask(connection, "GET", "/?state=s&code=c")[1])

    pages = []
    visitor = threading.Thread(target=visit)
    visitor.start()
    with contextlib.suppress(ValueError):  # without a token there are no credentials
        flow.run_local_server(host="127.0.0.1", port=0, open_browser=False, authorization_prompt_message=None)
    visitor.join()

    assert pages == [b"The authentication flow has completed. You may close this window."]
    assert re.fullmatch(r"https://127\.0\.0\.1:\d+/\?state=s&code=c", fetched[0]["authorization_response"])


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]))
    sys.stdout.write("played\n")
