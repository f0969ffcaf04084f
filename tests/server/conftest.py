"""What the server's tests share: a raw client, servers that are stopped and leave nothing, faulty sockets.

The client parses responses by its own few lines, so that no test trusts the code under test. Nothing here
sleeps: every wait is for a condition, with a deadline.
"""

import contextlib
import errno
import gc
import os
import socket
import threading
import time
from types import SimpleNamespace

import pytest

import wsgix
from wsgix.server import listeners, loop, streaming

PATIENCE = 20.0
"""Seconds that a test waits for what must happen; a green run never waits so long."""


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {PATIENCE:.0f} seconds in vain")
        time.sleep(0.0005)


class Response:
    """A response as it stood on the wire: status line, (name, value) pairs, content without its framing."""

    def __init__(self, status_line, fields, content):
        self.status_line = status_line
        self.version, self.status = status_line.split(" ", 2)[:2]
        self.fields = fields
        self.content = content

    def get(self, name):
        found = [value for key, value in self.fields if key.lower() == name.lower()]
        assert len(found) < 2, f"{name} is repeated: {found}"
        return found[0] if found else None


class Truncated(Exception):
    """The connection ended inside a response."""


def own_threads():
    """Return the threads of all servers in this process."""
    return [thread for thread in threading.enumerate() if thread.name == "wsgix"]


class Client:
    """One connection to a server, byte by byte."""

    def __init__(self, address, family=socket.AF_INET):
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address)
        if family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Vanish: the server's next send fails."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def get(self, target="/", *fields):
        self.send("\r\n".join([f"GET {target} HTTP/1.1", "Host: test", *fields, "", ""]).encode("latin-1"))
        return self.response()

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Truncated(self.received)
        self.received += data

    def until(self, mark):
        while mark not in self.received:
            self._more()
        line, _, self.received = self.received.partition(mark)
        return line

    def take(self, size):
        missing = size - len(self.received)
        pieces = [self.received]
        while missing > 0:
            self.received = b""
            self._more()
            pieces.append(self.received)
            missing -= len(self.received)
        self.received = b"".join(pieces)
        data, self.received = self.received[:size], self.received[size:]
        return data

    def rest(self):
        """Read to the end of the connection."""
        try:
            while True:
                self._more()
        except Truncated:
            data, self.received = self.received, b""
            return data

    @property
    def ended(self):
        return not self.rest()

    def response(self, method="GET"):
        status_line, *lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        fields = [tuple(line.split(": ", 1)) for line in lines]
        response = Response(status_line, fields, b"")
        if method == "HEAD" or response.status in {"204", "304"} or response.status[0] == "1":
            return response
        length = response.get("Content-Length")
        if response.get("Transfer-Encoding") == "chunked":
            assert length is None
            while size := int(self.until(b"\r\n"), 16):
                response.content += self.take(size)
                assert self.take(2) == b"\r\n"
            assert self.take(2) == b"\r\n"
        elif length is not None:
            response.content = self.take(int(length))
        else:
            assert response.get("Connection") == "close"
            response.content = self.rest()
        return response


class Site:
    """A running server as its tests see it."""

    def __init__(self, server):
        self.server = server
        self.url = server.url
        host, _, port = server.url.removeprefix("http://").rpartition(":")
        self.address = (host.strip("[]"), int(port)) if port.isdigit() else None
        self.clients = []

    @property
    def loop(self):
        return self.server._worker._loop

    def dial(self):
        client = Client(self.address, socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET)
        self.clients.append(client)
        return client

    def get(self, target="/", *fields):
        with self.dial() as client:
            return client.get(target, *fields)


def descriptors():
    return {(fd, os.readlink(f"/proc/self/fd/{fd}")) for fd in os.listdir("/proc/self/fd") if _is_open(fd)}


def _is_open(fd):
    try:
        os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:  # the listing's own descriptor
        return False
    return True


@pytest.fixture(autouse=True)
def _nothing_is_left_behind():
    """Every test gives back the threads and the descriptors that it took."""
    threads, files = set(threading.enumerate()), descriptors()
    yield
    if not (set(threading.enumerate()) <= threads and descriptors() <= files):
        gc.collect()  # what only a cycle holds is not lost; a collection after every test would be slow
        assert set(threading.enumerate()) <= threads
        assert descriptors() <= files


@pytest.fixture
def serve():
    """Serve an application until the end of the test: `serve(application, **settings)` gives a `Site`.

    `serve.stop()` stops all before: then nothing of the server runs any more.
    """
    running = []

    def start(application, **settings):
        server = wsgix.Server(application, **settings)
        server.__enter__()
        site = Site(server)
        running.append(site)
        return site

    def stop():
        while running:
            site = running.pop()
            for client in site.clients:
                client.close()
            site.server.__exit__(None, None, None)

    start.stop = stop
    yield start
    stop()


class Clock:
    """The loop's clock, which a test sets forward. The loop sweeps all the time, to notice soon."""

    def __init__(self):
        self.offset = 0.0

    def monotonic(self):
        return time.monotonic() + self.offset

    def advance(self, seconds):
        self.offset += seconds


@pytest.fixture
def clock(monkeypatch):
    fake = Clock()
    monkeypatch.setattr(loop, "time", fake)
    monkeypatch.setattr(loop, "_SWEEP_SECONDS", 0.005)
    return fake


class Leaving:
    """An application that takes the socket, says *greeting*, and leaves a thread behind that receives.

    It returns once the thread has received a byte.
    """

    def __init__(self, greeting):
        self.greeting = greeting
        self.thread = None
        self._is_receiving = threading.Event()

    def __call__(self, environ, start_response):
        lent = environ["wsgix.socket"]
        lent.sendall(self.greeting)
        self.thread = threading.Thread(target=self._receive, args=(lent,), daemon=True)
        self.thread.start()
        self._is_receiving.wait()
        return []

    def _receive(self, lent):
        with contextlib.suppress(OSError):
            while lent.recv(1):
                self._is_receiving.set()


class Faults:
    """Fails one call of one method of the server's sockets: the *position*-th of those named *name*."""

    def __init__(self, name, position, error):
        self.name = name
        self.left = position
        self.error = error
        self.calls = 0
        self.struck = False

    def disarm(self):
        """Let all go well from now on."""
        self.name = None

    def meet(self, name):
        if name != self.name:
            return
        self.calls += 1
        if self.left == self.calls:
            self.struck = True
            raise self.error


@pytest.fixture
def faults(monkeypatch):
    """Plan a fault: `faults(name, position, error)`; afterwards `.struck` tells whether it happened."""

    def plan(name, position, error=errno.ECONNRESET):
        made = Faults(name, position, OSError(error, os.strerror(error)))

        class Accepted(socket.SocketType):
            __slots__ = ()

            def recv(self, *args):
                super().recv(1, socket.MSG_PEEK)  # one that finds nothing yet is not among them
                made.meet("recv")
                return super().recv(*args)

            def send(self, *args):
                made.meet("send")
                return super().send(*args)

            def setsockopt(self, *args):
                if self.family != socket.AF_INET or not _listens(self):
                    made.meet("setsockopt")
                return super().setsockopt(*args)

            def shutdown(self, *args):
                made.meet("shutdown")
                return super().shutdown(*args)

            def close(self):
                super().close()  # the descriptor is gone whatever close() says
                made.meet("close")

        class Listening(Accepted, socket.socket):
            def _accept(self):
                made.meet("accept")
                return super()._accept()

        faulty = {"socket": Listening, "SocketType": Accepted}
        monkeypatch.setattr(listeners, "socket", SimpleNamespace(**{**vars(socket), **faulty}))
        return made

    return plan


def _listens(sock):
    try:
        sock.getpeername()
    except OSError:
        return True
    return False


@pytest.fixture
def eventually():
    """Wait for a condition: `eventually(lambda: ...)`."""
    return wait_until


@pytest.fixture
def hello():
    """An application that answers "hello" with a declared length."""

    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "5")])
        return [b"hello"]

    return application


@pytest.fixture
def truncated():
    """The exception of a client whose connection ended inside a response."""
    return Truncated


@pytest.fixture
def held_reading(monkeypatch):
    """Readers of content that has yet to come wait; two events: that one does, and that they go on."""
    waits, goes_on = threading.Event(), threading.Event()

    def wait_readable(*_):
        waits.set()
        return goes_on.wait(PATIENCE)

    monkeypatch.setattr(streaming, "wait_readable", wait_readable)
    return waits, goes_on
