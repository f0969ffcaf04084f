"""F34 and F36: clients that do not get TLS going, or do not end it."""

import contextlib
import socket
import ssl

import pytest

from tests.faults.conftest import read_to_the_end
from tests.server.authority import client_context, write_certificate
from tests.server.conftest import Client


class TLSClient(Client):
    """A client that speaks TLS, and takes no end without close_notify for one."""

    def __init__(self, address):
        super().__init__(address)
        self.raw = self.socket
        try:
            self.socket = client_context().wrap_socket(
                self.raw, server_hostname="localhost", suppress_ragged_eofs=False
            )
        except BaseException:
            self.raw.close()
            raise

    def vanish(self):
        """End the connection without close_notify."""
        self.socket.shutdown(socket.SHUT_RDWR)
        self.close()

    def end(self):
        """End the connection with close_notify, and do not wait for the server's."""
        self.socket.setblocking(False)
        with contextlib.suppress(ssl.SSLError):  # it would like to read the server's, or the answer
            self.socket.unwrap()
        self.close()


@pytest.fixture
def serve_tls(serve, tmp_path):
    """`serve`, over TLS."""
    chain, key = write_certificate(tmp_path, "localhost")
    return lambda *options, **more: serve(
        "--certfile", chain, "--keyfile", key, *options, speaks=TLSClient, **more
    )


def client_hello():
    outgoing = ssl.MemoryBIO()
    tls = client_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def test_f34_handshakes_that_do_not_go_on_are_given_up_and_starve_nobody(serve_tls, eventually):
    hello = client_hello()
    with serve_tls("--handshake-timeout", "0.5", threads=2) as site:
        for begin in (b"", hello[:1], hello[: len(hello) // 2], hello):
            for _ in range(50):
                site.dial().send(begin)
        site.check_victims()
        eventually(lambda: not site.connections)
        for client in site.clients:
            assert client.socket.recv(65536)[:1] in (
                b"",
                b"\x16",
            )  # nothing, or the server's side of a handshake
        assert site.end().count("\n") <= 200


@pytest.mark.parametrize(
    "junk", [b"\x16\x03\x01\xff\xff" + b"a" * 70000, b"\0" * 100, b"\x80" * 100, b"\x15\x03\x01\0\x02\2\0"]
)
def test_f34_what_is_no_tls_is_closed_at_once(serve_tls, junk):
    with serve_tls("--handshake-timeout", "1h") as site:
        for _ in range(50):
            client = site.dial()
            try:
                client.send(junk)
            except OSError:
                pass  # it is closed already
            client.rest()
        site.check_victims(5)
        assert site.end().count("\n") <= 50


def test_f34_plain_http_is_answered_400_in_plain_text(serve_tls):
    with serve_tls() as site:
        for _ in range(50):
            client = site.dial()
            assert client.get().status == "400"
            assert client.ended
        site.check_victims(5)


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 10\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"]
)
def test_f36_an_upload_that_is_cut_short_never_reaches_the_application(serve_tls, eventually, framing):
    with serve_tls() as site:
        for end in ("vanish", "end"):
            client = TLSClient(site.address)
            client.send(b"POST /digest HTTP/1.1\r\nHost: a\r\n" + framing)
            getattr(client, end)()
        eventually(lambda: not site.connections)
        assert site.counts["/digest"] == 0
        assert "ERROR" not in site.end()


def test_f36_the_end_of_a_response_is_told_by_close_notify(serve_tls):
    with serve_tls() as site, TLSClient(site.address) as client:
        client.send(b"GET /blocks?count=5&size=10 HTTP/1.0\r\n\r\n")
        client.until(b"\r\n\r\n")
        content = client.received
        while data := client.socket.recv(65536):  # an end without close_notify raises
            content += data
        assert content == b"x" * 50


def test_f36_a_response_that_is_cut_short_ends_without_close_notify(serve_tls):
    with serve_tls(tracebacks=1) as site, TLSClient(site.address) as client:
        client.send(b"GET /blocks?count=5&size=10&fails_at=2 HTTP/1.0\r\n\r\n")
        with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
            read_to_the_end(client)


@pytest.mark.parametrize("declared", ["", "&declared=1"])
def test_f36_a_response_with_a_frame_of_its_own_shows_that_it_is_cut_short(serve_tls, truncated, declared):
    with serve_tls(tracebacks=1) as site, TLSClient(site.address) as client:
        with pytest.raises(truncated):
            client.get(f"/blocks?count=5&size=10&fails_at=2{declared}")
