"""`wsgix serve` at work: where it listens, what it logs, how it ends."""

import os
import re
import signal
import socket
import stat
import subprocess

import pytest

from tests.serving import COMMAND, DEADLINE, environment_with, run_wsgix, serving

PLAIN = "examples/plain/app.py"


def converse(client: socket.socket, request: bytes) -> bytes:
    """Send *request*, which must be the last on its connection; return all that comes back."""
    with client:
        client.sendall(request)
        return b"".join(iter(lambda: client.recv(65536), b""))


def connect_unix(path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(DEADLINE)
    client.connect(os.fspath(path))
    return client


def get(path: str, *fields: str, encoding: str = "ascii") -> bytes:
    """Return the bytes of a GET after which the connection is closed."""
    lines = [f"GET {path} HTTP/1.1", "Host: a", "Connection: close", *fields]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode(encoding)


# Addresses


def test_it_says_where_it_serves_and_answers_there():
    with serving(PLAIN) as server:
        assert re.fullmatch(r"http://127\.0\.0\.1:[1-9]\d*", server.url)
        assert b"Hello, world!" in converse(server.connect(), get("/"))
        assert server.err.text() == f"wsgix serves {server.url}\n"


def test_bind_may_be_repeated(tmp_path):
    path = tmp_path / "socket"
    with serving(PLAIN, bind=("127.0.0.1:0", "localhost:0", f"unix:{path}")) as server:
        assert len(set(server.urls)) == 3
        for url in server.urls[:2]:
            host, _, port = url.removeprefix("http://").partition(":")
            client = socket.create_connection((host, int(port)), DEADLINE)
            assert b"Hello, world!" in converse(client, get("/"))
        assert b"Hello, world!" in converse(connect_unix(path), get("/"))


def test_a_unix_socket_is_served_and_its_file_removed_at_the_end(tmp_path):
    path = tmp_path / "socket"
    with serving(PLAIN, bind=(f"unix:{path}",)) as server:
        assert server.url == f"unix:{path}"
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert b"Hello, world!" in converse(connect_unix(path), get("/"))
        assert server.stop() == 0
        assert not path.exists()
        assert re.match(r'- - - \[.*\] "GET / HTTP/1\.1" 200 ', server.out.text())


def test_the_file_of_a_server_that_is_gone_is_replaced(tmp_path):
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as gone:
        gone.bind(os.fspath(path))
    with serving(PLAIN, bind=(f"unix:{path}",)):
        assert b"Hello, world!" in converse(connect_unix(path), get("/"))


def test_the_socket_of_a_live_server_is_left_to_it(tmp_path):
    path = tmp_path / "socket"
    with serving(PLAIN, bind=(f"unix:{path}",)):
        second = run_wsgix("serve", PLAIN, "--bind", f"unix:{path}")
        assert second.returncode == 1
        assert second.stderr.startswith(f"wsgix: cannot listen on unix:{path}: the address is in use")
        assert b"Hello, world!" in converse(connect_unix(path), get("/"))


def test_a_file_that_is_no_socket_is_never_removed(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("precious")
    done = run_wsgix("serve", PLAIN, "--bind", f"unix:{path}")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert path.read_text() == "precious"


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_ipv6():
    with serving(PLAIN, bind=("[::1]:0",)) as server:
        assert re.fullmatch(r"http://\[::1\]:\d+", server.url)
        assert b"Hello, world!" in converse(server.connect(), get("/"))
        server.out.wait_for(r'^::1 - - \[.*\] "GET / HTTP/1\.1" 200 ')


def test_all_addresses():
    with serving(PLAIN, bind=("*:0",)) as server:
        assert b"Hello, world!" in converse(server.connect(), get("/"))


# Threads


@pytest.mark.parametrize(("options", "multithread"), [([], b"True"), (["--threads=1"], b"False")])
def test_the_application_is_told_whether_there_are_threads(tmp_path, options, multithread):
    (tmp_path / "tells.py").write_text(
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [str(environ['wsgi.multithread']).encode()]\n"
    )
    with serving("tells", *options, cwd=tmp_path) as server:
        assert converse(server.connect(), get("/")).endswith(b"\r\n\r\n" + multithread)


# The access log


def test_the_log_has_the_combined_format():
    with serving(PLAIN) as server:
        fields = ("Referer: http://b/c", "User-Agent: curl/8.0 (x; y)")
        answer = converse(server.connect(), get("/a%20b?c=d", *fields))
        length = len(answer.partition(b"\r\n\r\n")[2])
        converse(server.connect(), get("/"))
        server.stop()
    first, second = server.out.text().splitlines()
    assert re.fullmatch(
        r"127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "
        rf'"GET /a%20b\?c=d HTTP/1\.1" 200 {length} "http://b/c" "curl/8\.0 \(x; y\)"',
        first,
    )
    assert second.endswith('"-" "-"')


def test_a_request_cannot_forge_a_line_or_a_field():
    with serving(PLAIN) as server:
        fields = ('User-Agent: a" 200 1 "b\\', "Referer: caf\xe9\t.", "Cookie: never logged")
        converse(server.connect(), get("/%0a%22x", *fields, encoding="latin-1"))
        server.stop()
    lines = server.out.text().splitlines()
    assert len(lines) == 1
    assert '"GET /%0a%22x HTTP/1.1" 200 ' in lines[0]
    assert lines[0].endswith(r' "caf\xe9\x09." "a\x22 200 1 \x22b\x5c"')


def test_the_log_can_be_switched_off():
    with serving(PLAIN, "--no-access-log") as server:
        converse(server.connect(), get("/"))
        server.stop()
    assert server.out.text() == ""


# Requests that are refused


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"400 Bad Request"),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", b"400 Bad Request"),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", b"400 Bad Request"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            b"400 Bad Request",
        ),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"400 Bad Request",
        ),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", b"400 Bad Request"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"414 URI Too Long"),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
            b"431 Request Header Fields Too Large",
        ),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", b"505 HTTP Version Not Supported"),
    ],
)
def test_a_malformed_request_is_answered_closed_logged_once_and_kept_from_the_application(
    tmp_path, request_bytes, status
):
    (tmp_path / "touched.py").write_text(
        "def app(environ, start_response):\n    print('touched', flush=True)\n"
    )
    with serving("touched", cwd=tmp_path) as server:
        answer = converse(server.connect(), request_bytes)
        server.stop()
    head, _, _ = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status + b"\r\n")
    assert b"Connection: close" in head.split(b"\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert "touched" not in server.out.text()
    assert len(server.out.text().splitlines()) == 1
    assert f'" {status[:3].decode()} ' in server.out.text()
    # The server's own log says what was wrong, in a line as well.
    _, *log = server.err.text().splitlines()
    assert len(log) == 1
    assert re.search(r"\[INFO\] refused a request from 127\.0\.0\.1: [a-z0-9.-]+$", log[0])


def test_a_fault_of_the_application_is_one_500_and_one_traceback_in_the_log(tmp_path):
    (tmp_path / "fails.py").write_text("def app(environ, start_response):\n    raise ValueError('secret')\n")
    with serving("fails", cwd=tmp_path) as server:
        answer = converse(server.connect(), get("/"))
        server.stop()
    assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"secret" not in answer
    assert server.err.text().count("Traceback (most recent call last)") == 1
    assert server.err.text().count("ValueError: secret") == 1


# The end

BLOCKING = """
def app(environ, start_response):
    content = b""
    if environ["PATH_INFO"] == "/gate":
        print("inside", flush=True)
        with open("gate", "rb") as gate:  # a FIFO: opening it waits for the test
            content = gate.read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(content)))])
    return [content]
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_once_the_request_in_flight_is_answered(tmp_path, number):
    (tmp_path / "blocking.py").write_text(BLOCKING)
    os.mkfifo(tmp_path / "gate")
    with serving("blocking", "--no-access-log", cwd=tmp_path) as server:
        with server.connect() as client, server.connect() as idle:
            client.sendall(b"GET /gate HTTP/1.1\r\nHost: a\r\n\r\n")
            server.out.wait_for("inside")
            idle.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert idle.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
            server.signal(number)
            assert idle.recv(1) == b""  # an idle connection is closed at once
            with pytest.raises(ConnectionRefusedError):
                server.connect()
            assert server.process.poll() is None
            (tmp_path / "gate").write_text("answered")
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert server.wait() == 0
    head, _, content = answer.partition(b"\r\n\r\n")
    assert content == b"answered"
    assert b"Connection: close" in head.split(b"\r\n")
    assert server.err.text() == f"wsgix serves {server.url}\n"


STUCK = """
import atexit, concurrent.futures, os, sys, threading

pool = concurrent.futures.ThreadPoolExecutor()
never = threading.Event()
atexit.register(lambda: os.write(2, b"exit functions ran\\n"))

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/fill"):  # what is left in the buffer is for the end to write
        os.set_blocking(1, False)
        try:
            while True:
                os.write(1, b"x")
        except BlockingIOError:
            os.set_blocking(1, True)
        sys.stdout.write("late")
    os.write(int(os.environ["NEWS"]), b"inside")
    if path == "/fill/print":
        while True:
            print("x" * 1000)
    if path == "/pool":
        pool.submit(never.wait).result()
    if path == "/left":
        pool.submit(never.wait)
    start_response("200 OK", [("Content-Length", "0")])
    return []
"""


@pytest.mark.parametrize("path", ["/fill", "/fill/print", "/pool", "/left"])
def test_neither_a_reader_that_stands_still_nor_a_thread_that_is_busy_holds_the_end_up(tmp_path, path):
    (tmp_path / "stuck.py").write_text(STUCK)
    news, tell = os.pipe()
    unread, output = os.pipe()
    command = [*COMMAND, "serve", "stuck", "--no-access-log", "--graceful-timeout=100ms", "--bind=unix:s"]
    with (
        os.fdopen(news, "rb", 0) as news_file,
        os.fdopen(unread, "rb", 0),
        subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment_with({"NEWS": str(tell), "PYTHONUNBUFFERED": ""}),
            pass_fds=[tell],
            stdout=output,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        os.close(tell)
        os.close(output)
        try:
            assert process.stderr.readline().startswith(b"wsgix serves ")
            with connect_unix(tmp_path / "s") as client:
                client.sendall(get(path))
                assert news_file.read(6) == b"inside"
                if path in ("/fill", "/left"):
                    assert b" 200 " in client.recv(65536)
                process.terminate()
                assert process.wait(DEADLINE) == 0
            assert (b"exit functions ran\n" in process.stderr.read()) == (path != "/left")
        finally:
            process.kill()


ENDING = """
import atexit, concurrent.futures, os, threading

pool = concurrent.futures.ThreadPoolExecutor()
pool.submit(int).result()  # its thread is there, and has nothing to do

@atexit.register
def end():
    threading.Event().wait(0.2)
    os.write(2, b"exit functions ran\\n")

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    return []
"""


def test_exit_functions_have_time_though_requests_have_none(tmp_path):
    (tmp_path / "ending.py").write_text(ENDING)
    with serving("ending", "--graceful-timeout=0", cwd=tmp_path) as server:
        assert server.stop() == 0
    assert "exit functions ran\n" in server.err.text()


def test_a_second_signal_ends_it_at_once_though_a_thread_of_the_application_is_left(tmp_path):
    (tmp_path / "left.py").write_text(
        "import threading\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Length', '0')])\n"
        "    return []\n"
    )
    with serving("left", "--graceful-timeout=1h", cwd=tmp_path) as server:
        with server.connect() as sending, server.connect() as idle:
            sending.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1")
            idle.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b" 200 " in idle.recv(65536)
            server.signal()
            assert idle.recv(1) == b""  # the first signal has arrived
            server.signal()
            assert server.wait() == 0


def test_a_second_interrupt_at_the_very_end_shows_no_traceback(tmp_path):
    (tmp_path / "lasting.py").write_text(
        "import atexit, os, threading\n"
        "@atexit.register\n"
        "def end():\n"
        "    os.write(2, b'at the end\\n')\n"
        "    threading.Event().wait()\n"
        "def app(environ, start_response):\n"
        "    return []\n"
    )
    with serving("lasting", cwd=tmp_path) as server:
        server.signal(signal.SIGINT)
        server.err.wait_for("at the end")
        server.signal(signal.SIGINT)
        assert server.wait() == -signal.SIGINT
    assert "Traceback" not in server.err.text()
