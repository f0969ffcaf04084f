"""TLS in the hands of an application: as a blocking socket, from two threads at once."""

import socket
import threading
import time

import pytest

from tests.server.authority import client_context, finish_handshake, write_certificate
from wsgix.server.certificates import Certificates
from wsgix.server.lent_tls import LentTLSSocket
from wsgix.server.poller import wait_readable


@pytest.fixture
def handed_over():
    """What was handed over to the application."""
    return []


@pytest.fixture
def pair(tmp_path, handed_over):
    """A lent socket and its client, which both wait."""
    chain, key = write_certificate(tmp_path, "a.test")
    left, right = socket.socketpair()
    left.setblocking(False)
    right.settimeout(20)
    tls = Certificates([chain], [key]).wrap(left)
    thread = threading.Thread(target=finish_handshake, args=(tls,))
    thread.start()
    with left, client_context().wrap_socket(right, server_hostname="a.test") as client:
        thread.join()
        yield LentTLSSocket(tls, handed_over.append), client


def in_thread(function, *arguments):
    """Run beside the test; the result is a list that `join` fills."""
    result = []
    thread = threading.Thread(target=lambda: result.append(function(*arguments)))
    thread.start()
    return thread, result


def test_it_is_used_once_something_is_read_or_written(pair, handed_over):
    lent, client = pair
    assert not lent.used
    assert lent.fileno() >= 0
    assert not lent.used
    lent.send(b"hello")
    assert lent.used
    assert client.recv(100) == b"hello"
    lent.send(b"hello")
    assert handed_over == [lent]


def test_receiving_waits_for_the_client(pair):
    lent, client = pair
    thread, result = in_thread(lent.recv, 3)
    client.send(b"hello")
    thread.join()
    assert result == [b"hel"]
    buffer = bytearray(10)
    assert lent.recv_into(buffer) == 2
    assert buffer == b"lo" + bytes(8)


def test_the_end_is_received(pair):
    lent, client = pair
    thread, result = in_thread(lent.recv, 100)
    client.settimeout(0)
    with pytest.raises(OSError, match="read"):
        client.unwrap()
    thread.join()
    assert result == [b""]


def test_all_is_sent_while_the_other_side_sends_too(pair):
    lent, client = pair
    data = bytes(range(256)) * 8192
    upload, _ = in_thread(lent.sendall, data)
    other, _ = in_thread(client.sendall, data)
    download, received = in_thread(receive, lent, len(data))
    # Not in a thread: the client's own TLS is for one at a time, and `other` has the rest of it.
    other.join()
    download.join()
    assert received == [data]
    assert receive(client, len(data)) == data
    upload.join()


def receive(connected, size):
    data = bytearray()
    while len(data) < size:
        data += connected.recv(10_000)
    return bytes(data)


def test_messages_of_several_threads_do_not_mix(pair):
    lent, client = pair
    messages = [bytes([number]) * 100_000 for number in range(8)]
    threads = [in_thread(lent.send, message) for message in messages]
    received = receive(client, 800_000)
    for thread, result in threads:
        thread.join()
        assert result == [100_000]
    assert sorted(received[start : start + 100_000] for start in range(0, 800_000, 100_000)) == messages


def test_a_time_out_ends_the_wait(pair):
    lent, _ = pair
    lent.settimeout(0.01)
    assert lent.gettimeout() == 0.01
    begin = time.monotonic()
    with pytest.raises(TimeoutError):
        lent.recv(1)
    assert time.monotonic() - begin >= 0.01


def test_without_blocking_nothing_is_awaited(pair):
    lent, _ = pair
    lent.setblocking(False)
    with pytest.raises(BlockingIOError):
        lent.recv(1)
    lent.setblocking(True)
    assert lent.gettimeout() is None


def test_closed_it_is_closed_for_the_application_alone(pair, handed_over):
    lent, client = pair
    lent.close()
    assert lent.fileno() == -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        lent.recv(1)
    assert not lent.used
    assert not handed_over
    client.send(b"to the server")


def test_who_waits_when_the_connection_is_closed_is_told(pair):
    lent, _ = pair
    with pytest.raises(OSError, match="Bad file descriptor"):
        lent._repeat(close_below, lent, wait_readable)


def close_below(lent):
    lent.close()
    lent._tls.raw.close()
    raise BlockingIOError


def test_ending_its_side_ends_it_with_close_notify(pair):
    lent, client = pair
    lent.shutdown(socket.SHUT_WR)
    assert client.recv(100) == b""


def test_addresses_and_options_are_those_of_the_socket_below(pair):
    lent, client = pair
    assert lent.getpeername() == client.getsockname()
    assert lent.getsockname() == client.getpeername()
    lent.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
