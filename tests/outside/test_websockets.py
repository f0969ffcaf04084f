"""WebSocket libraries for WSGI: they take the connection over under the names that they know.

Flask-Sock and Flask-SocketIO run in `wsgix serve`; websocket-client and python-socketio speak to them.
"""

import contextlib
import ssl
from pathlib import Path

import pytest
import requests
import socketio
import websocket

from tests.server.authority import write_authority, write_certificate
from tests.serving import DEADLINE, serving

APPLICATION = str(Path(__file__).with_name("websocket_app.py"))
MESSAGES = ["hello", b"hello", "", "long" * 1250, b"\0" * 100_000, "ü" * 1_000_000]


@pytest.fixture(params=["http", "https"])
def site(request, tmp_path):
    """The application in a server with few threads, and what a client needs to trust it."""
    options, bundle = [], None
    if request.param == "https":
        chain, key = write_certificate(tmp_path, "127.0.0.1")
        options, bundle = ["--certfile", chain, "--keyfile", key], write_authority(tmp_path)
    with serving(f"{APPLICATION}:app", "--threads", "2", "--graceful-timeout", "1", *options) as server:
        server.bundle = bundle
        yield server


@contextlib.contextmanager
def conversation(site):
    """Open a WebSocket to the echo of Flask-Sock."""
    connection = websocket.create_connection(
        site.url.replace("http", "ws", 1) + "/echo",
        timeout=DEADLINE,
        sslopt={"ca_certs": site.bundle, "cert_reqs": ssl.CERT_REQUIRED} if site.bundle else None,
    )
    with contextlib.closing(connection):
        yield connection


def test_flask_sock_sends_messages_of_every_size_back(site):
    with conversation(site) as connection:
        for message in MESSAGES:
            (connection.send_binary if isinstance(message, bytes) else connection.send)(message)
            assert connection.recv() == message


def test_others_are_served_while_a_websocket_is_open(site):
    with conversation(site) as connection:
        assert requests.get(f"{site.url}/plain", verify=site.bundle, timeout=DEADLINE).text == "plain"
        connection.send("still there")
        assert connection.recv() == "still there"


def test_a_websocket_that_is_closed_leaves_its_thread_to_others(site):
    for _ in range(10):  # of two threads
        with conversation(site) as connection:
            connection.send("hello")
            assert connection.recv() == "hello"


def test_a_websocket_whose_client_vanishes_leaves_its_thread_to_others(site):
    for _ in range(10):
        with conversation(site) as connection:
            connection.send("hello")
            assert connection.recv() == "hello"
            connection.shutdown()  # without a closing frame


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]], ids="+".join)
def test_flask_socketio_answers(site, transports):
    with requests.Session() as session:
        session.trust_env = False  # or a bundle of the environment goes before the one that is given
        session.verify = site.bundle
        client = socketio.Client(http_session=session)
        try:
            client.connect(site.url, transports=transports, wait_timeout=DEADLINE)
            assert client.call("shout", "hello", timeout=DEADLINE) == "HELLO"
            assert client.transport() == transports[-1]
        finally:
            client.disconnect()


def test_an_open_websocket_does_not_keep_the_server_beyond_its_deadline(site):
    with conversation(site) as connection:
        connection.send("hello")
        assert connection.recv() == "hello"
        site.signal()
        assert site.wait() == 0
