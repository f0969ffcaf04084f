"""What the tests of faults share: a server process that is healthy before a fault, and again after it.

Nothing here sleeps but between two looks at a condition, and every wait has a deadline that a healthy server
stays far away from.
"""

import contextlib
import json
import os
import signal
import socket
from pathlib import Path

import pytest

from tests.faults.vitals import Vitals
from tests.server.conftest import PATIENCE, Client, Truncated, wait_until
from tests.serving import serving

APPLICATION = f"{Path(__file__).with_name('application.py')}:app"

if not os.path.exists("/proc/self/schedstat"):
    collect_ignore_glob = ["test_*.py"]  # without Linux's /proc nobody can look at a process from outside


class SlowReader(Client):
    """A client with a receive buffer of a few KiB, as one far away seems to have."""

    def __init__(self, address):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address)
        self.received = b""


class Site:
    """A server process as these tests see it.

    Attributes:
        server: the process.
        address: its host and port.
        vitals: what the kernel tells of it.
        clients: connections of the test, closed at its end.
    """

    def __init__(self, server, most_threads, speaks):
        self.server = server
        self._most_threads = most_threads
        self._speaks = speaks
        host, _, port = server.url.partition("://")[2].rpartition(":")
        self.address = host, int(port)
        self.vitals = Vitals(server.process.pid)
        self.clients = []
        self._descriptors = self.vitals.descriptors()

    def dial(self, kind=Client):
        """Return a new connection."""
        client = kind(self.address)
        self.clients.append(client)
        return client

    def dial_slowly(self):
        """Return a new connection that takes a few KiB and no more, until it is read from."""
        return self.dial(SlowReader)

    def get(self, target="/", *fields):
        """Return the response to a request on a connection of its own."""
        with self._speaks(self.address) as client:
            return client.get(target, "Connection: close", *fields)

    def check_victims(self, count=20):
        """See that others are served, each on a new connection."""
        for _ in range(count):
            assert self.get().content == b"hello"

    def open_gate(self):
        """Let those go on who wait inside the application; no thread is needed for it."""
        self.server.signal(signal.SIGURG)

    @property
    def counts(self):
        """What happened to the application so far; what did not happen is 0."""
        return Counts(json.loads(self.get("/counts").content))

    @property
    def log(self):
        """The server's own log so far, without the line that says where it serves."""
        return self.server.err.text().partition("\n")[2]

    @property
    def connections(self):
        """How many descriptors there are beyond those of an idle server."""
        return self.vitals.descriptors() - self._descriptors

    def close_clients(self):
        """Let all clients go."""
        while self.clients:
            self.clients.pop().close()

    def end(self):
        """See that all is as it was before the faults, stop the server; return its whole log."""
        self.close_clients()
        if self.server.process.poll() is None:
            wait_until(lambda: not self.connections)
            assert self.vitals.threads() <= self._most_threads
            assert not self.vitals.children()
            self.check_victims(1)
            self.server.stop()
        return self.log


def read_to_the_end(client):
    """Receive until the connection has ended; raise what it ends with."""
    while client.socket.recv(65536):
        pass


class Counts(dict):
    """Counts by name."""

    def __missing__(self, _name):
        return 0


@contextlib.contextmanager
def serving_site(
    *options, tracebacks=0, threads=8, more_threads=0, access_log=False, speaks=Client, **environment
):
    """Serve the application of the faults in a process: `with serving_site("--threads", "2") as site`.

    Those who are not at fault are clients that it *speaks* to.

    On leaving, whatever happened: the descriptors are back, there are no more threads than configured
    and *more_threads*, no child is left, others are served, SIGTERM ends the process with 0, and
    the log has *tracebacks*.
    """
    log = () if access_log else ("--no-access-log",)
    with serving(APPLICATION, "--threads", str(threads), *log, *options, **environment) as server:
        # One more than may be inside the application leads; one more than these watches.
        site = Site(server, threads + 2 + more_threads, speaks)
        try:
            yield site
            site.end()
        finally:
            site.close_clients()
    assert server.err.text().count("Traceback") == tracebacks, server.err.text()


@pytest.fixture
def serve():
    """`serving_site`."""
    return serving_site


@pytest.fixture
def eventually():
    """Wait for a condition: `eventually(lambda: ...)`."""
    return wait_until


@pytest.fixture
def truncated():
    """The exception of a client whose connection ended inside a response."""
    return Truncated
