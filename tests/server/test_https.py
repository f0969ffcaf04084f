"""The server over TLS, with curl and Python's client: requests, ends, slow and wrong beginnings."""

import contextlib
import errno
import hashlib
import shutil
import socket
import ssl
import subprocess

import pytest

from tests.server.authority import (
    client_context,
    names_shown,
    write_authority,
    write_certificate,
    write_unreadable_certificate,
)
from tests.server.conftest import Leaving
from wsgix.server.certificates import Certificates


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/environ":
        names = (
            "wsgi.url_scheme",
            "HTTPS",
            "SSL_PROTOCOL",
            "SSL_CLIENT_VERIFY",
            "SSL_CLIENT_S_DN",
            "HTTP_SSL_CLIENT_VERIFY",
        )
        content = "\n".join(f"{name}={environ.get(name)}" for name in names).encode("latin-1")
    elif path == "/digest":
        content = hashlib.sha256(environ["wsgi.input"].read()).hexdigest().encode()
    elif path.startswith("/large"):
        content = bytes(range(256)) * (int(path[6:]) // 256)
    elif path == "/file":
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](open(__file__, "rb"))
    elif path == "/broken":
        start_response("200 OK", [])
        return broken()
    else:
        content = b"hello"
    start_response("200 OK", [("Content-Length", str(len(content)))])
    return [content]


def broken():
    yield b"x" * 100
    raise ZeroDivisionError


class Site:
    """A server over TLS, and how to reach it."""

    def __init__(self, served, directory):
        self.served = served
        self.url = served.url
        self.port = int(served.url.rpartition(":")[2])
        self.directory = directory
        self.roots = write_authority(directory)

    def dial_raw(self, receive_buffer=None):
        raw = socket.socket()
        raw.settimeout(20)
        if receive_buffer is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.connect(("127.0.0.1", self.port))
        return raw

    @contextlib.contextmanager
    def dial(self, receive_buffer=None, certificate=None):
        with self.dial_raw(receive_buffer) as raw:
            with client_context(certificate=certificate).wrap_socket(
                raw, server_hostname="localhost", suppress_ragged_eofs=False
            ) as connected:
                yield connected

    def curl(self, *arguments):
        result = subprocess.run(
            ["curl", "-sS", "--max-time", "60", "--cacert", self.roots, *arguments], capture_output=True
        )
        assert result.returncode == 0, result.stderr.decode()
        return result.stdout


@pytest.fixture
def site(serve, tmp_path):
    """Serve `application` over TLS: `site(**settings)`."""

    def start(**settings):
        chain, key = write_certificate(tmp_path, "localhost", "127.0.0.1")
        served = serve(application, certfile=chain, keyfile=key, **settings)
        return Site(served, tmp_path)

    return start


def ask(connected, target, *fields, version="1.1"):
    connected.sendall(
        "\r\n".join([f"GET {target} HTTP/{version}", "Host: localhost", *fields, "", ""]).encode()
    )


def rest(connected):
    data = b""
    while more := connected.recv(65536):
        data += more
    return data


needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")


# Requests


@needs_curl
def test_the_environ_tells_of_tls(site):
    here = site()
    assert here.url.startswith("https://")
    told = here.curl("-H", "SSL-Client-Verify: SUCCESS", here.url + "/environ").decode().split("\n")
    assert told[:2] == ["wsgi.url_scheme=https", "HTTPS=on"]
    assert told[2].startswith("SSL_PROTOCOL=TLSv1.")
    assert told[3:] == ["SSL_CLIENT_VERIFY=None", "SSL_CLIENT_S_DN=None", "HTTP_SSL_CLIENT_VERIFY=SUCCESS"]


@needs_curl
def test_the_environ_tells_of_the_client_certificate(site, tmp_path):
    here = site(ca_certs=write_authority(tmp_path), client_certs="optional")
    chain, key = write_certificate(tmp_path, "ada@acme.test", file="client")
    told = here.curl("--cert", chain, "--key", key, here.url + "/environ").decode()
    assert "SSL_CLIENT_VERIFY=SUCCESS\nSSL_CLIENT_S_DN=OU=Testing cert " in told
    assert "SSL_CLIENT_VERIFY=NONE\n" in here.curl(here.url + "/environ").decode()


@needs_curl
@pytest.mark.parametrize("size", [1, 65536, 5_000_000])
@pytest.mark.parametrize("stream", [False, True], ids=["collected", "streamed"])
def test_uploads_arrive_whole(site, tmp_path, size, stream):
    here = site(stream_requests=stream)
    content = tmp_path / "content"
    content.write_bytes(b"\0\xff" * (size // 2) + b"x" * (size % 2))
    digest = hashlib.sha256(content.read_bytes()).hexdigest().encode()
    assert here.curl("-T", str(content), here.url + "/digest") == digest
    assert here.curl("-T", str(content), "-H", "Transfer-Encoding: chunked", here.url + "/digest") == digest


@needs_curl
def test_downloads_arrive_whole(site):
    here = site()
    expected = bytes(range(256)) * (5_000_192 // 256)
    assert here.curl(here.url + "/large5000192") == expected
    with open(__file__, "rb") as file:
        assert here.curl(here.url + "/file") == file.read()


def test_a_large_response_reaches_a_client_that_reads_in_small_pieces(site):
    here = site()
    with here.dial(receive_buffer=1) as connected:
        ask(connected, "/large3000064", "Connection: close")
        received = b"".join(iter(lambda: connected.recv(1000), b""))
    assert received.endswith(bytes(range(256)))
    assert len(received.partition(b"\r\n\r\n")[2]) == 3000064


def test_requests_may_follow_each_other_and_be_pipelined(site):
    here = site()
    with here.dial() as connected:
        for _ in range(3):
            ask(connected, "/")
            assert connected.recv(65536).endswith(b"\r\n\r\nhello")
        for _ in range(20):
            ask(connected, "/")
        ask(connected, "/", "Connection: close")
        assert rest(connected).count(b"hello") == 21


def test_a_request_may_come_in_pieces(site):
    here = site()
    with here.dial() as connected:
        for byte in b"GET / HTTP/1.1\r\nHost: a\r\n\r\n":
            connected.send(bytes([byte]))
        assert connected.recv(65536).endswith(b"hello")


# The end


def test_the_last_response_is_followed_by_close_notify(site):
    with site().dial() as connected:
        ask(connected, "/", "Connection: close")
        assert rest(connected).endswith(b"hello")


def test_a_refusal_reaches_the_client_with_close_notify(site):
    with site().dial() as connected:
        connected.sendall(b"GET /\x01 HTTP/1.1\r\n\r\n" + b"x" * 100_000)
        assert rest(connected).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GARBAGE\r\n\r\n",
    ],
)
def test_the_end_waits_for_a_client_that_does_not_take_it_yet(serve, site, faults, raw):
    """Whatever the socket does not take at first: a part of the handshake, the response, close_notify."""
    struck = 0
    for position in range(1, 9):
        fault = faults("send", position, errno.EAGAIN)
        with site().dial() as connected:
            connected.sendall(raw)
            assert rest(connected).startswith(b"HTTP/1.1 ")
        serve.stop()
        if not fault.struck:
            break
        struck += 1
    assert 3 <= struck < 8


def test_a_response_cut_short_is_not_followed_by_close_notify(site):
    with site().dial() as connected:
        ask(connected, "/broken", version="1.0")
        with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
            rest(connected)


def send_last(here, data):
    """Send *data* and close_notify in one piece; return what comes back, once it ends with close_notify."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    received = b""
    with here.dial_raw() as raw:
        for act in (client.do_handshake, lambda: client.write(data)):
            while True:
                try:
                    act()
                    break
                except ssl.SSLWantReadError:
                    raw.sendall(outgoing.read())
                    incoming.write(raw.recv(65536))
        with contextlib.suppress(ssl.SSLWantReadError):
            client.unwrap()
        raw.sendall(outgoing.read())
        while True:
            try:
                if not (more := client.read(65536)):
                    return received
                received += more
            except ssl.SSLZeroReturnError:
                return received
            except ssl.SSLWantReadError:
                data = raw.recv(65536)
                assert data, "the connection ended without close_notify"
                incoming.write(data)


def test_a_client_that_ends_its_side_gets_its_answer(site):
    assert send_last(site(), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").endswith(b"hello")


@pytest.mark.parametrize("politely", [False, True], ids=["without close_notify", "with close_notify"])
def test_an_upload_cut_short_never_reaches_the_application(serve, tmp_path, eventually, politely):
    called = []

    def recorder(environ, start_response):
        called.append(environ)
        return application(environ, start_response)

    chain, key = write_certificate(tmp_path, "localhost")
    served = serve(recorder, certfile=chain, keyfile=key)
    here = Site(served, tmp_path)
    upload = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf"
    if politely:
        assert send_last(here, upload).startswith(b"HTTP/1.1 400 ")
    else:
        with here.dial() as connected:
            connected.sendall(upload)
            socket.socket.shutdown(connected, socket.SHUT_WR)
            with contextlib.suppress(ssl.SSLError, ConnectionError):
                assert not rest(connected)
    eventually(lambda: not served.loop._connections)
    assert not called


# Beginnings


@needs_curl
def test_a_request_without_tls_is_told_so(site):
    here = site()
    answer = here.curl("-i", here.url.replace("https:", "http:"))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nConnection: close\r\n" in answer
    assert b"https" in answer.lower()


@pytest.mark.parametrize("fault", [MemoryError(), ssl.SSLError(1, "failed to allocate BIO")])
def test_a_client_for_whose_tls_there_is_no_memory_is_not_served_without(site, monkeypatch, caplog, fault):
    here = site()
    faults = [fault]
    real = Certificates.wrap

    def wrap(self, *arguments):
        if faults:
            raise faults.pop()
        return real(self, *arguments)

    monkeypatch.setattr(Certificates, "wrap", wrap)
    with here.dial_raw() as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert not raw.recv(1)
    with here.dial() as connected:
        ask(connected, "/", "Connection: close")
        assert rest(connected).endswith(b"hello")
    (record,) = [record for record in caplog.records if record.levelname != "INFO"]
    assert record.message == "cannot begin TLS, 1 are open: Cannot allocate memory"


def test_a_required_client_certificate_is_asked_for_by_an_alert(site, tmp_path):
    here = site(ca_certs=write_authority(tmp_path), client_certs="required")
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
        ask_once(here)


def test_a_client_whose_certificate_python_cannot_read_is_let_go_and_the_log_says_so(site, tmp_path, caplog):
    here = site(ca_certs=write_authority(tmp_path), client_certs="optional")
    unreadable = write_unreadable_certificate(tmp_path)
    with caplog.at_level("INFO", "wsgix.error"):
        assert ask_once(here, unreadable) == b""
        assert ask_once(here, write_certificate(tmp_path, "ada@acme.test", file="client")).endswith(b"hello")
    (record,) = caplog.records
    assert record.levelname == "INFO"
    assert record.message == "no TLS handshake with 127.0.0.1: Python cannot read the client's certificate"


def ask_once(here, certificate=None):
    with here.dial(certificate=certificate) as connected:
        ask(connected, "/", "Connection: close")
        return rest(connected)


def test_slow_handshakes_are_given_up_and_disturb_nobody(site, serve, clock, eventually):
    here = site(handshake_timeout=1000)
    hello = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        client_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost").do_handshake()
    hello = hello.read()
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(here.dial_raw()) for _ in range(30)]
        for number, raw in enumerate(slow):
            raw.sendall([b"", hello[:1], hello[:-100]][number % 3])
        eventually(lambda: len(here.served.loop._connections) == len(slow))
        with here.dial() as connected:
            ask(connected, "/", "Connection: close")
            assert rest(connected).endswith(b"hello")
        clock.advance(900)
        with here.dial() as connected:
            ask(connected, "/", "Connection: close")
            assert rest(connected).endswith(b"hello")
        assert len(here.served.loop._connections) >= len(slow)
        clock.advance(150)
        for raw in slow:
            with contextlib.suppress(ConnectionResetError):
                assert raw.recv(100) == b""
    serve.stop()  # while its clock is still ahead


# The stop


@pytest.mark.parametrize("is_done", [False, True])
def test_a_stop_waits_for_the_first_request_of_a_client_that_has_begun_its_handshake(site, is_done):
    here = site()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    begun = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with here.dial() as idle, here.dial_raw() as silent, here.dial_raw() as raw:
        ask(idle, "/")
        assert idle.recv(65536).endswith(b"hello")
        with pytest.raises(ssl.SSLWantReadError):
            begun.do_handshake()
        raw.sendall(outgoing.read())
        if is_done:
            finish_handshake(begun, raw, incoming, outgoing)
        here.served.server._worker.stop()
        assert silent.recv(100) == b""
        assert rest(idle) == b""
        finish_handshake(begun, raw, incoming, outgoing)
        begun.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        raw.sendall(outgoing.read())
        incoming.write(rest(raw))
        answer = begun.read(65536)
        assert b"\r\nConnection: close\r\n" in answer
        assert answer.endswith(b"hello")


def finish_handshake(tls, raw, incoming, outgoing):
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            incoming.write(raw.recv(65536))
        else:
            raw.sendall(outgoing.read())
            return


def test_a_stop_waits_for_a_handshake_no_longer_than_for_others(site, serve, clock):
    here = site()
    with here.dial_raw() as silent, here.dial() as begun:
        here.served.server._worker.stop()
        assert silent.recv(100) == b""
        clock.advance(11)
        assert rest(begun) == b""
    serve.stop()  # while its clock is still ahead


# Certificates


def test_new_certificates_are_for_new_connections(site, tmp_path):
    here = site()
    with here.dial() as old:
        ask(old, "/")
        assert old.recv(65536).endswith(b"hello")
        write_certificate(tmp_path, "localhost", "renewed.test")
        here.served.server._worker.reload_certificates()
        with here.dial() as new:
            assert "renewed.test" in names_shown(new)
        ask(old, "/")
        assert old.recv(65536).endswith(b"hello")
        assert "renewed.test" not in names_shown(old)


def test_a_thread_that_the_application_leaves_behind_is_woken_and_its_client_told(serve, tmp_path):
    taking = Leaving(b"taken")
    chain, key = write_certificate(tmp_path, "localhost")
    here = Site(serve(taking, certfile=chain, keyfile=key), tmp_path)
    with here.dial() as connected:
        ask(connected, "/", "Connection: Upgrade", "Upgrade: any")
        assert connected.recv(100) == b"taken"
        connected.sendall(b"x")
        # Without close_notify this would be an error.
        assert rest(connected) == b""
        taking.thread.join(20)
    assert not taking.thread.is_alive()
