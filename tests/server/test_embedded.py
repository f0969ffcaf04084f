"""`Server` and `serve` as a program uses them: in turn, nested, side by side, and when something fails."""

import gc
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

import wsgix
from tests.server.authority import client_context, write_certificate
from wsgix.server import embedded, worker
from wsgix.server.settings import ConfigurationError


def fetch(url):
    with urllib.request.urlopen(url, timeout=20) as response:
        return response.read()


def named(name):
    def application(environ, start_response):
        start_response("200 OK", [])
        return [name]

    return application


def test_a_server_gives_its_url_and_serves_until_the_end_of_the_block(hello):
    server = wsgix.Server(hello)
    assert server.url == ""
    with server as entered:
        assert entered is server
        assert server.url.startswith("http://127.0.0.1:")
        assert fetch(server.url) == b"hello"
        port = int(server.url.rpartition(":")[2])
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(("127.0.0.1", port))


def test_a_server_can_be_entered_again(hello):
    server = wsgix.Server(hello)
    for _ in range(2):
        with server:
            assert fetch(server.url) == b"hello"


def test_servers_may_be_nested_and_stand_side_by_side():
    with wsgix.Server(named(b"outer")) as outer:
        with wsgix.Server(named(b"inner")) as inner:
            assert fetch(outer.url) == b"outer"
            assert fetch(inner.url) == b"inner"
        assert fetch(outer.url) == b"outer"


def test_an_application_may_ask_another_server_of_its_process():
    def proxy(environ, start_response):
        start_response("200 OK", [])
        return [b"through " + fetch(behind.url)]

    with wsgix.Server(named(b"behind")) as behind, wsgix.Server(proxy) as front:
        assert fetch(front.url) == b"through behind"


def test_an_exception_in_the_block_stops_the_server_and_is_passed_on(hello):
    server = wsgix.Server(hello)
    with pytest.raises(ZeroDivisionError), server:
        raise ZeroDivisionError
    with pytest.raises(OSError, match="refused"):
        fetch(server.url)


def test_leaving_a_server_that_was_not_entered_does_nothing(hello):
    wsgix.Server(hello).__exit__(None, None, None)


def test_several_addresses_are_served_by_one_server(hello):
    with wsgix.Server(hello, bind=["127.0.0.1:0", "127.0.0.1:0"]) as server:
        listeners = [listener for listener, _ in server._worker._loop._listeners.values()]
        assert len({listener.url for listener in listeners}) == 2
        assert server.url == listeners[0].url
        assert [fetch(listener.url) for listener in listeners] == [b"hello", b"hello"]


def test_a_bad_setting_is_known_at_once_and_a_taken_address_on_entering(hello):
    with pytest.raises(ConfigurationError):
        wsgix.Server(hello, threads=0)
    with pytest.raises(TypeError):
        wsgix.Server(hello, colour="red")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        server = wsgix.Server(hello, bind=f"127.0.0.1:{other.getsockname()[1]}")
        with pytest.raises(ConfigurationError), server:
            raise AssertionError("not reached")


@pytest.mark.parametrize("start", [wsgix.serve, wsgix.Server])
def test_what_cannot_be_called_is_refused_before_anything_is_opened(start):
    with pytest.raises(TypeError, match=r"must be callable, and this is an object of type list$"):
        start([b"content"])


def test_listeners_are_closed_if_the_server_cannot_start(hello, monkeypatch):
    def no_worker(*args):
        raise MemoryError

    monkeypatch.setattr(embedded, "Worker", no_worker)
    server = wsgix.Server(hello)
    with pytest.raises(MemoryError):
        server.__enter__()


@pytest.fixture
def descriptors():
    """Count the descriptors of this process, without those that only wait to be collected."""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("there is no /proc")

    def count():
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    return count


def test_a_failed_start_leaves_no_descriptor_open(hello, tmp_path, monkeypatch, descriptors):
    def fails(*args):
        raise ZeroDivisionError

    log = str(tmp_path / "access.log")
    before = descriptors()
    with pytest.raises(ConfigurationError), wsgix.Server(hello, access_log=log, certfile="/nowhere"):
        raise AssertionError("not reached")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fails)
        with pytest.raises(ZeroDivisionError), wsgix.Server(hello, access_log=log):
            raise AssertionError("not reached")
        with pytest.raises(ZeroDivisionError):
            wsgix.serve(hello, "127.0.0.1:0", access_log=log)
    with monkeypatch.context() as patch:
        patch.setattr(worker, "Loop", fails)
        with pytest.raises(ZeroDivisionError), wsgix.Server(hello, access_log=log):
            raise AssertionError("not reached")
    settings = embedded.make_settings(bind="127.0.0.1:0", access_log=log)
    with pytest.raises(ZeroDivisionError):
        embedded.serve_listeners(hello, embedded.open_listeners(settings.bind), settings, fails)
    assert descriptors() == before


class Full(io.StringIO):
    def write(self, text):
        raise OSError(28, "No space left on device")


class WritesOnly:
    def write(self, text):
        pass


@pytest.mark.parametrize("stream", [Full(), WritesOnly(), None])
def test_serve_serves_though_nobody_can_be_told_where(hello, monkeypatch, stream):
    served = []
    monkeypatch.setattr(embedded.Worker, "run", lambda self, **_: served.append(self) or self.abandon())
    monkeypatch.setattr(sys, "stdout", stream)
    wsgix.serve(hello, "127.0.0.1:0", access_log=False)
    assert len(served) == 1


def test_serve_in_another_thread_leaves_signals_alone(hello, monkeypatch, capsys):
    workers = []

    class Recorded(embedded.Worker):
        def __init__(self, *args):
            super().__init__(*args)
            workers.append(self)

    monkeypatch.setattr(embedded, "Worker", Recorded)
    before = signal.getsignal(signal.SIGTERM)
    announced = threading.Event()
    urls = []

    def announce(line):
        urls.append(line.removeprefix("wsgix serves "))
        announced.set()

    settings = embedded.make_settings(bind="127.0.0.1:0", access_log=False)
    listeners = embedded.open_listeners(settings.bind)
    thread = threading.Thread(target=embedded.serve_listeners, args=(hello, listeners, settings, announce))
    thread.start()
    try:
        assert announced.wait(20)
        assert fetch(urls[0]) == b"hello"
        assert signal.getsignal(signal.SIGTERM) is before
    finally:
        workers[0].stop()
        thread.join()


PROGRAM = """
import sys, wsgix
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]
wsgix.serve(application, "127.0.0.1:0")
print("served", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_blocks_until_a_signal_and_returns(number):
    with subprocess.Popen([sys.executable, "-uc", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().removeprefix("wsgix serves ").strip()
            assert fetch(url) == b"hello"
            assert '"GET / HTTP/1.1" 200 5' in process.stdout.readline()
            process.send_signal(number)
            assert process.stdout.read() == "served\n"
            assert process.wait(20) == 0
        finally:
            process.kill()


FORKING = """
import os, signal, sys, wsgix

def own(number, frame):
    pass

def child_sees(*numbers):
    mine, theirs = os.pipe()
    child = os.fork()
    if not child:
        handlers = [getattr(handler, "__name__", handler) for handler in map(signal.getsignal, numbers)]
        os.write(theirs, repr((*handlers, signal.set_wakeup_fd(-1))).encode("ascii"))
        signal.pause()
        os._exit(7)
    os.close(theirs)
    seen = os.read(mine, 1000).decode("ascii")
    os.close(mine)
    os.kill(child, signal.SIGTERM)
    return f"{seen} {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}"

def application(environ, start_response):
    text = child_sees(signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
    start_response("200 OK", [])
    return [text.encode("ascii")]

signal.signal(signal.SIGUSR1, own)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # it may have been ignored by whoever started this
wsgix.serve(application, "127.0.0.1:0", access_log=False)
signal.signal(signal.SIGHUP, own)
print(child_sees(signal.SIGUSR1, signal.SIGHUP), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_child_that_an_application_forks_has_the_handlers_from_before_serving():
    command = [sys.executable, "-uW", "ignore", "-c", FORKING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().removeprefix("wsgix serves ").strip()
            for _ in range(2):
                assert fetch(url).decode() == (
                    "(<Handlers.SIG_DFL: 0>, 'default_int_handler', 'own', <Handlers.SIG_DFL: 0>, -1) -15"
                )
            process.terminate()
            assert process.stdout.read() == "('own', 'own', -1) -15\n"
            assert process.wait(20) == 0
        finally:
            process.kill()


LEAVING = """
import os, signal, sys, threading, wsgix

is_lent, is_forked = threading.Event(), threading.Event()

def fork():
    if not os.fork():
        signal.pause()

def application(environ, start_response):
    if environ["PATH_INFO"] in ("/back", "/talk"):
        child = os.fork()
        if not child:
            if environ["PATH_INFO"] == "/talk":
                environ["wsgix.socket"].sendall(b"HTTP/1.1 101 Child\\r\\n\\r\\n")
            raise RuntimeError("this is the child")
        text = str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    elif environ["PATH_INFO"] == "/lent":
        is_lent.set()
        is_forked.wait()
        text = "ended"
    else:
        if "HTTP_X_LENT" in environ:
            is_lent.wait()
        fork()
        is_forked.set()
        text = "forked"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode("ascii"), b"\\n"]

from wsgix.server.embedded import serve_listeners
from wsgix.server.listeners import open_listeners
from wsgix.server.settings import make_settings

settings = make_settings(bind="127.0.0.1:0", access_log=False)
listeners = open_listeners(settings.bind, settings.socket_options)
fork()  # as an application may do while it is loaded
serve_listeners(application, listeners, settings, print)
"""


class Forking:
    """The process of `LEAVING`, and its children, which do not end by themselves."""

    def __init__(self):
        command = [sys.executable, "-uW", "ignore", "-c", LEAVING]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
        )
        self.port = int(self.process.stdout.readline().rpartition(":")[2])

    def get(self, path):
        """Return the content of a response that ends with the connection."""
        return self.ask(b"GET %s HTTP/1.0\r\n\r\n" % path)

    def ask(self, request):
        """Return the content of the response to *request*, once the connection has ended."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as client:
            client.sendall(request)
            with client.makefile("rb") as response:
                return response.read().partition(b"\r\n\r\n")[2]

    def close(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate(timeout=20)


@pytest.fixture
def forking():
    if not hasattr(os, "fork"):
        pytest.skip("processes are not forked here")
    server = Forking()
    yield server
    server.close()


def test_a_response_ends_with_its_connection_though_a_child_that_was_forked_lives_on(forking):
    assert forking.get(b"/") == b"forked\n"


def test_a_connection_that_was_lent_ends_though_a_child_that_was_forked_for_another_lives_on(forking):
    request = b"GET /lent HTTP/1.1\r\nHost: t\r\nUpgrade: x\r\nConnection: Upgrade, close\r\n\r\n"
    with ThreadPoolExecutor(1) as executor:
        lent = executor.submit(forking.ask, request)
        assert forking.ask(b"GET / HTTP/1.0\r\nX-Lent: yes\r\n\r\n") == b"forked\n"
        assert b"ended" in lent.result()


def test_the_address_of_a_server_that_has_ended_is_free_though_children_live_on(forking):
    forking.get(b"/")
    forking.process.terminate()
    assert forking.process.wait(20) == 0
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(("127.0.0.1", forking.port))


def test_a_child_that_comes_back_from_the_application_ends_and_answers_nobody(forking):
    for _ in range(2):
        assert forking.get(b"/back") == b"0\n"


UPGRADE = b"GET %s HTTP/1.1\r\nHost: t\r\nUpgrade: x\r\nConnection: Upgrade, close\r\n\r\n"


def test_a_child_that_comes_back_answers_nobody_though_it_may_talk_to_the_client(forking):
    with socket.create_connection(("127.0.0.1", forking.port), timeout=20) as client:
        client.sendall(UPGRADE % b"/back")
        with client.makefile("rb") as response:
            assert response.read().count(b"HTTP/1.1 ") == 1
    with socket.create_connection(("127.0.0.1", forking.port), timeout=20) as client:
        client.sendall(UPGRADE % b"/talk")
        with client.makefile("rb") as response:
            assert response.readline() == b"HTTP/1.1 101 Child\r\n"


def test_a_server_that_serves_cannot_be_entered_again(hello):
    with wsgix.Server(hello) as server:
        with pytest.raises(RuntimeError, match="serves already"), server:
            pass
        assert server.url
    with server:
        assert server.url


def test_a_server_that_is_being_entered_cannot_be_entered(hello, monkeypatch):
    open_listeners = embedded.open_listeners
    server = wsgix.Server(hello)

    def enter_again(*arguments):
        with pytest.raises(RuntimeError, match="serves already"):
            server.__enter__()
        return open_listeners(*arguments)

    monkeypatch.setattr(embedded, "open_listeners", enter_again)
    with server:
        assert server.url


def test_a_server_that_is_entered_again_is_not_lost_to_who_is_still_leaving_it(hello, monkeypatch):
    server = wsgix.Server(hello)
    has_joined, goes_on = threading.Event(), threading.Event()
    join = threading.Thread.join

    def join_and_wait(thread):
        join(thread)
        if threading.current_thread() is leaving:
            has_joined.set()
            goes_on.wait(20)

    server.__enter__()
    monkeypatch.setattr(server._thread, "join", partial(join_and_wait, server._thread))
    leaving = threading.Thread(target=server.__exit__, args=(None, None, None))
    leaving.start()
    has_joined.wait(20)
    server.__exit__(None, None, None)
    with server:
        goes_on.set()
        leaving.join()
        with pytest.raises(RuntimeError, match="serves already"), server:
            pass
    with pytest.raises(urllib.error.URLError):
        fetch(server.url)


LOCKED = """
import os, signal, sys, threading, wsgix

def hold(lock, is_held, is_forked):
    with lock:
        is_held.set()
        is_forked.wait()

def application(environ, start_response):
    loop = server._worker._loop
    (connection,) = loop._connections.values()
    connection._stalled = threading.Lock()  # as behind a client that has not taken something at once
    is_forked = threading.Event()
    locks = [loop.scheduler.call_timeout._lock, connection._stalled]
    if sys.argv[1:]:
        locks.append(connection.socket._lock)
    for lock in locks:
        is_held = threading.Event()
        threading.Thread(target=hold, args=(lock, is_held, is_forked)).start()
        is_held.wait()
    child = os.fork()
    if child:
        is_forked.set()
        text = str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    else:
        signal.alarm(10)
        text = "child"
    start_response("200 OK", [])
    return [text.encode("ascii")]

files = dict(zip(("certfile", "keyfile"), sys.argv[1:]))
server = wsgix.Server(application, request_timeout=60, **files)
with server:
    print(server.url, flush=True)
    input()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_child_waits_for_no_thread_that_it_does_not_have(scheme, tmp_path):
    files = write_certificate(tmp_path, "127.0.0.1") if scheme == "https" else ()
    command = [sys.executable, "-uW", "ignore", "-c", LOCKED, *files]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip()
            with urllib.request.urlopen(url, timeout=20, context=client_context()) as response:
                assert response.read() == b"0"
            process.communicate("\n", timeout=20)
            assert process.returncode == 0
        finally:
            process.kill()


LATE = """
import os, signal, threading, wsgix

def hold(lock, is_held, is_forked):
    with lock:
        is_held.set()
        is_forked.wait()

class Response(list):
    def close(self):
        is_held, is_forked = threading.Event(), threading.Event()
        lock = server._worker._loop._waiting_lock
        threading.Thread(target=hold, args=(lock, is_held, is_forked)).start()
        is_held.wait()
        child = os.fork()
        if child:
            is_forked.set()
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        else:
            signal.alarm(10)

def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return Response([b"ok"])

server = wsgix.Server(application)
with server:
    print(server.url, flush=True)
    input()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_child_that_was_forked_behind_its_response_ends_without_a_word():
    command = [sys.executable, "-uW", "ignore", "-c", LATE]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, **pipes, text=True) as process:
        try:
            port = int(process.stdout.readline().rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
                assert process.stdout.readline() == "0\n"
            assert process.communicate("\n", timeout=20) == ("", "")
            assert process.returncode == 0
        finally:
            process.kill()
