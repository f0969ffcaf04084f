"""TLS as a socket: what goes in comes out whole, and every kind of end is told from the others."""

import contextlib
import select
import shutil
import socket
import ssl
import struct
import subprocess

import pytest

from tests.server.authority import client_context, finish_handshake, shake_hands, write_certificate
from wsgix.server import tls
from wsgix.server.certificates import Certificates
from wsgix.server.handshake import Handshake
from wsgix.server.streaming import RECEIVE_SIZE


@pytest.fixture
def certificates(tmp_path):
    chain, key = write_certificate(tmp_path, "a.test")
    return Certificates([chain], [key])


@pytest.fixture
def ends():
    """Both ends of a TCP connection, non-blocking; `ends(small=True)` has the smallest buffers there are."""
    opened = []

    def connect(*, small=False):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = socket.socket()
            opened.append(client)
            if small:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
            client.connect(listening.getsockname())
            server, _ = listening.accept()
        opened.append(server)
        if small:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        for end in (client, server):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return server, client

    yield connect
    for end in opened:
        end.close()


@pytest.fixture
def pair(certificates, ends):
    """A `TLSSocket` and its client, after the handshake."""
    opened = []

    def connect(context=None, **options):
        left, right = ends(**options)
        server = certificates.wrap(left)
        client = (context or client_context()).wrap_socket(
            right, server_hostname="a.test", do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
        opened.append(client)
        shake_hands(server, client)
        return server, client

    yield connect
    for end in opened:
        end.close()


def readable(server):
    return bool(select.select([server], [], [], 0)[0])


def wait_readable(server):
    assert select.select([server], [], [], 20)[0], "nothing arrived"


def receive(server, size=RECEIVE_SIZE):
    """Receive once, as the loop does."""
    while True:
        wait_readable(server)
        try:
            return server.recv(size)
        except BlockingIOError:
            continue


class InMemory:
    """A client whose bytes a test moves by hand."""

    def __init__(self, context=None):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (context or client_context()).wrap_bio(
            self.incoming, self.outgoing, server_hostname="a.test"
        )

    def hello(self):
        """Return the first message."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.outgoing.read()

    def step(self, raw):
        """Take what the server sent and a step of the handshake; return what to send."""
        with contextlib.suppress(BlockingIOError):
            self.incoming.write(raw.recv(65536))
        return self.hello()


@pytest.fixture
def unix():
    """Both ends of a connection that delivers at once."""
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        right.setblocking(False)
        yield left, right


# The handshake


def test_a_handshake_waits_for_the_client(certificates, unix):
    server = certificates.wrap(unix[0])
    assert server.handshake() is Handshake.WANT_READ
    assert server.fileno() == unix[0].fileno()


def test_a_handshake_may_come_byte_by_byte(certificates, unix):
    server, client = certificates.wrap(unix[0]), InMemory()
    step = Handshake.WANT_READ
    while step is not Handshake.DONE:
        for byte in client.step(unix[1]):
            assert step is Handshake.WANT_READ
            unix[1].send(bytes([byte]))
            step = server.handshake()
    server.send(b"hello")
    client.incoming.write(unix[1].recv(65536))
    assert client.tls.read(100) == b"hello"


def test_the_first_request_may_come_along_with_the_end_of_the_handshake(certificates, unix):
    server, client = certificates.wrap(unix[0]), InMemory()
    unix[1].send(client.hello())
    assert server.handshake() is Handshake.WANT_READ
    last = client.step(unix[1])
    client.tls.write(b"GET")
    unix[1].send(last + client.outgoing.read())
    assert server.handshake() is Handshake.DONE
    assert not readable(server)
    assert server.recv(RECEIVE_SIZE) == b"GET"


@pytest.mark.parametrize("data", [b"G", b"GET / HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"post"])
def test_a_request_without_tls_is_recognized_and_gets_no_alert(certificates, unix, data):
    server = certificates.wrap(unix[0])
    unix[1].send(data)
    assert server.handshake() is Handshake.PLAIN
    with pytest.raises(BlockingIOError):
        unix[1].recv(1)


@pytest.mark.parametrize(
    "data", [b"\0" * 20, b"\x16\x03\x01\0\x05hello", b"\x80\x2e\1\3\1" + b"\0" * 50, b"\x15\3\1\0\2\2\0"]
)
def test_what_is_neither_tls_nor_http_fails(certificates, unix, data):
    server = certificates.wrap(unix[0])
    unix[1].send(data)
    assert server.handshake() is Handshake.FAILED
    assert server.fault


def test_a_letter_later_on_is_no_request(certificates, unix):
    server, client = certificates.wrap(unix[0]), InMemory()
    hello = client.step(unix[1])
    unix[1].send(hello[:1])
    assert server.handshake() is Handshake.WANT_READ
    unix[1].send(b"GET / HTTP/1.1\r\n\r\n")
    assert server.handshake() is Handshake.FAILED


def test_a_client_that_leaves_during_the_handshake_is_gone(certificates, unix):
    server, client = certificates.wrap(unix[0]), InMemory()
    unix[1].send(client.step(unix[1])[:100])
    assert server.handshake() is Handshake.WANT_READ
    unix[1].close()
    with pytest.raises(ConnectionResetError):
        server.handshake()


def test_a_handshake_waits_for_a_client_that_does_not_read(certificates, unix):
    server, client = certificates.wrap(unix[0]), InMemory()
    filler = fill(unix[0])
    unix[1].send(client.hello())
    assert server.handshake() is Handshake.WANT_WRITE
    assert server.handshake() is Handshake.WANT_WRITE
    drain(unix[1], filler)
    assert server.handshake() is Handshake.WANT_READ
    unix[1].send(client.step(unix[1]))
    assert server.handshake() is Handshake.DONE


def fill(raw):
    """Send until the other end's buffers are full; return how many bytes."""
    filler = 0
    try:
        while True:
            filler += raw.send(b"x" * 65536)
    except BlockingIOError:
        return filler


def drain(raw, size):
    while size:
        size -= len(raw.recv(min(size, 65536)))


# In


@pytest.mark.parametrize(
    "sizes", [[1], [16384], [16384] * 20, [1, 16384, 7, 65536, 3], [100000] * 5], ids=str
)
def test_all_that_has_arrived_is_received_and_nothing_is_left_that_no_poll_reports(pair, sizes):
    server, client = pair()
    sent = b"".join(bytes([number]) * size for number, size in enumerate(sizes))
    client.settimeout(20)
    received = bytearray()
    rest = memoryview(sent)
    while len(received) < len(sent):
        client.setblocking(False)
        try:
            while rest:
                rest = rest[client.send(rest) :]
        except ssl.SSLWantWriteError:
            pass
        data = receive(server)
        assert 0 < len(data) <= RECEIVE_SIZE
        received += data
        # What the socket below does not have, nobody has.
        if not readable(server):
            with pytest.raises(BlockingIOError):
                server.recv(RECEIVE_SIZE)
    assert received == sent


def test_content_beyond_the_size_asked_for_is_kept(pair):
    server, client = pair()
    client.send(b"abcdefg")
    assert receive(server, 3) == b"abc"
    assert server.recv(3) == b"def"
    assert server.recv(3) == b"g"
    with pytest.raises(BlockingIOError):
        server.recv(3)


def test_a_record_may_come_in_pieces(certificates, unix):
    server, client = in_memory_pair(certificates, unix)
    client.tls.write(b"hello")
    record = client.outgoing.read()
    for byte in record[:-1]:
        unix[1].send(bytes([byte]))
        with pytest.raises(BlockingIOError):
            server.recv(RECEIVE_SIZE)
    unix[1].send(record[-1:])
    assert server.recv(RECEIVE_SIZE) == b"hello"


def in_memory_pair(certificates, unix):
    server, client = certificates.wrap(unix[0]), InMemory()
    step = Handshake.WANT_READ
    while step is not Handshake.DONE:
        unix[1].send(client.step(unix[1]))
        step = server.handshake()
    return server, client


def test_a_record_that_was_changed_on_the_way_ends_the_connection_with_an_alert(certificates, unix):
    server, client = in_memory_pair(certificates, unix)
    client.step(unix[1])
    client.tls.write(b"hello")
    record = bytearray(client.outgoing.read())
    record[-1] ^= 1
    unix[1].send(record)
    with pytest.raises(ssl.SSLError, match="DECRYPTION_FAILED_OR_BAD_RECORD_MAC"):
        server.recv(RECEIVE_SIZE)
    client.incoming.write(unix[1].recv(65536))
    with pytest.raises(ssl.SSLError, match="ALERT_BAD_RECORD_MAC"):
        client.tls.read(1)


def test_a_client_that_has_tls_answer_and_reads_nothing_is_given_up(certificates, unix):
    server, client = in_memory_pair(certificates, unix)
    fill(unix[0])
    for replies in (b"x" * 10, b"x" * 65536):
        server._outgoing.write(replies)
        client.tls.write(b"a")
        unix[1].send(client.outgoing.read())
        assert server.recv(RECEIVE_SIZE) == b"a"
    server._outgoing.write(b"x")
    client.tls.write(b"a")
    unix[1].send(client.outgoing.read())
    with pytest.raises(ConnectionAbortedError):
        server.recv(RECEIVE_SIZE)


# Out


@pytest.mark.parametrize("size", [0, 1, 16384, 16385, 100000, 3_000_000])
@pytest.mark.parametrize("small", [False, True], ids=["large buffers", "small buffers"])
def test_what_is_sent_arrives_whole(pair, size, small):
    server, client = pair(small=small)
    sent = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
    rest, received, blocked = sent, bytearray(), 0
    assert server.send(b"") == 0
    while rest or len(received) < size:
        if rest:
            try:
                count = server.send(rest)
                assert 0 < count <= len(rest)
                rest = rest[count:]
            except BlockingIOError:
                blocked += 1
        try:
            received += client.recv(100_000)
        except ssl.SSLWantReadError:
            pass
    assert received == sent
    if small and size > 1_000_000:
        assert blocked


def test_what_is_taken_quickly_is_sent_in_turns(pair, monkeypatch):
    monkeypatch.setattr(tls, "TURN", 20_000)
    server, client = pair()
    data = memoryview(bytes(range(250)) * 200)
    sizes = []
    while data:
        sizes.append(server.send(data))
        data = data[sizes[-1] :]
    assert sizes == [20_000, 20_000, 10_000]
    client.settimeout(20)
    received = b""
    while len(received) < 50_000:
        received += client.recv(65536)
    assert received == bytes(range(250)) * 200


def test_a_small_response_that_is_not_taken_is_sent_once(certificates, unix):
    server, client = in_memory_pair(certificates, unix)
    client.step(unix[1])
    filler = fill(unix[0])
    for _ in range(3):
        with pytest.raises(BlockingIOError):
            server.send(b"hello")
    drain(unix[1], filler)
    assert server.send(b"hello, world") == len(b"hello, world")
    client.incoming.write(unix[1].recv(65536))
    assert client.tls.read(100) == b"hello"
    assert client.tls.read(100) == b", world"


def test_data_must_begin_with_what_was_not_taken(certificates, unix):
    server, _ = in_memory_pair(certificates, unix)
    filler = fill(unix[0])
    with pytest.raises(BlockingIOError):
        server.send(b"hello")
    drain(unix[1], filler)
    while True:
        try:
            drain(unix[1], 1)
        except BlockingIOError:
            break
    with pytest.raises(AssertionError):
        server.send(b"h")


def test_sending_to_a_client_that_is_gone_fails(pair):
    server, client = pair()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    with pytest.raises(ConnectionError):
        send_for_ever(server, b"x" * 100)


def send_for_ever(server, data):
    while True:
        server.send(data)


# The end


def test_closing_sends_close_notify(pair):
    server, client = pair()
    server.send(b"bye")
    server.close()
    assert server.fileno() == -1
    client.settimeout(20)
    assert client.recv(100) == b"bye"
    assert client.recv(100) == b""


def test_leaving_tls_does_not(pair):
    server, client = pair()
    server.send(b"bye")
    server.raw.close()
    client.settimeout(20)
    assert client.recv(100) == b"bye"
    with pytest.raises(ssl.SSLEOFError):
        client.recv(100)


@pytest.mark.parametrize("how", ["cut off", "reset"])
def test_nor_does_cutting_off_or_asking_for_a_reset(pair, how):
    server, client = pair()
    if how == "cut off":
        server.shutdown(socket.SHUT_RDWR)
    else:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()
    client.settimeout(20)
    with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
        client.recv(100)


def test_what_was_cut_short_is_not_followed_by_close_notify(pair):
    server, client = pair()
    data = b"x" * (1 << 20)
    with pytest.raises(BlockingIOError):
        send_for_ever(server, data)
    server.close()
    client.settimeout(20)
    with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
        receive_all(client)


def test_close_notify_can_be_waited_for(pair):
    server, client = pair()
    with pytest.raises(BlockingIOError):
        send_for_ever(server, b"x" * (1 << 20))
    assert not server.notify()
    client.settimeout(20)
    while not server.notify():
        assert client.recv(65536)
    assert server.notify()
    server.close()
    receive_all(client)


def test_a_client_that_is_gone_waits_for_no_close_notify(pair):
    server, client = pair()
    client.close()
    assert server.notify()


def receive_all(client):
    while client.recv(65536):
        pass


def test_a_half_closed_connection_still_receives(pair):
    server, client = pair()
    server.send(b"bye")
    server.shutdown(socket.SHUT_WR)
    client.settimeout(20)
    assert client.recv(100) == b"bye"
    assert client.recv(100) == b""
    client.send(b"late")
    assert receive(server) == b"late"
    server.close()


def test_shutting_the_reading_side_sends_nothing(pair):
    server, client = pair()
    server.shutdown(socket.SHUT_RD)
    server.send(b"still here")
    client.settimeout(20)
    assert client.recv(100) == b"still here"


def test_close_notify_is_the_end(pair):
    server, client = pair()
    with pytest.raises(ssl.SSLWantReadError):
        client.unwrap()
    assert receive(server) == b""
    assert server.recv(100) == b""


def test_close_notify_behind_content_makes_the_socket_readable_again(pair):
    server, client = pair()
    client.send(b"last words")
    with pytest.raises(ssl.SSLWantReadError):
        client.unwrap()
    assert receive(server) == b"last words"
    assert receive(server) == b""
    server.send(b"answer")


def test_what_follows_close_notify_is_ignored(certificates, unix):
    server, client = in_memory_pair(certificates, unix)
    client.tls.write(b"last words")
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.unwrap()
    unix[1].send(client.outgoing.read() + b"GET /smuggled HTTP/1.1\r\n\r\n")
    assert server.recv(RECEIVE_SIZE) == b"last words"
    assert server.recv(RECEIVE_SIZE) == b""
    assert server.recv(RECEIVE_SIZE) == b""


def test_an_end_without_close_notify_is_a_lost_connection(pair):
    server, client = pair()
    client.send(b"half a requ")
    socket.socket.shutdown(client, socket.SHUT_WR)
    assert receive(server) == b"half a requ"
    with pytest.raises(ConnectionResetError, match="close_notify"):
        receive(server)


def test_closing_before_or_during_the_handshake_says_nothing(certificates, unix):
    server, client = certificates.wrap(unix[0]), InMemory()
    unix[1].send(client.step(unix[1])[:50])
    server.handshake()
    server.close()
    assert unix[1].recv(100) == b""


def test_closing_twice_is_as_closing_once(pair):
    server, _ = pair()
    server.close()
    server.close()


def test_options_are_those_of_the_socket_below(pair):
    server, _ = pair()
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
    assert server.raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0


@pytest.fixture
def s_client(certificates):
    """An `openssl s_client` on a connection; letters at the beginning of a line are commands to it."""

    @contextlib.contextmanager
    def connect(version):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            host, port = listening.getsockname()
            with subprocess.Popen(
                ["openssl", "s_client", "-connect", f"{host}:{port}", version, "-quiet", "-no_ign_eof"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
            ) as process:
                raw, _ = listening.accept()
                raw.setblocking(False)
                server = certificates.wrap(raw)
                try:
                    finish_handshake(server)
                    yield server, process
                finally:
                    server.close()
                    process.kill()

    return connect


def read_until(stream, mark):
    for line in stream:
        if mark in line:
            return
    raise AssertionError(f"the stream ended without {mark!r}")


needs_s_client = pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl s_client")


@needs_s_client
@pytest.mark.parametrize("command", [b"k\n", b"K\n"], ids=["the client's keys", "both sides' keys"])
def test_keys_may_be_renewed(s_client, command):
    with s_client("-tls1_3") as (server, client):
        for _ in range(3):
            client.stdin.write(command)
            read_until(client.stderr, b"KEYUPDATE")
            client.stdin.write(b"question\n")
            assert receive(server) == b"question\n"
            server.send(b"answer\n")
            read_until(client.stdout, b"answer")


@needs_s_client
def test_nothing_is_negotiated_again(s_client):
    with s_client("-tls1_2") as (server, client):
        client.stdin.write(b"R\n")
        read_until(client.stderr, b"RENEGOTIATING")
        with pytest.raises(ssl.SSLError, match="ALERT_HANDSHAKE_FAILURE"):
            receive(server)
        read_until(client.stderr, b"no renegotiation")
