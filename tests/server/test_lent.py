"""A socket in the hands of an application: blocking for it, and not for the server until it is used."""

import errno
import os
import socket

import pytest

from wsgix.server.lent import LentSocket


@pytest.fixture
def handed_over():
    """What was handed over to the application."""
    return []


@pytest.fixture
def trio(handed_over):
    """The server's socket, the lent one and the client's."""
    left, right = socket.socketpair()
    left.setblocking(False)
    right.settimeout(20)
    with left, right, LentSocket(left, handed_over.append) as lent:
        yield left, lent, right


def is_blocking(connected):
    return os.get_blocking(connected.fileno())


def receive_into(lent):
    buffer = bytearray(5)
    assert lent.recv_into(buffer) == 5
    return buffer


def read_from_file(lent):
    with lent.makefile("rb") as file:
        return file.read(5)


def receive_through_duplicate(lent):
    with lent.dup() as duplicate:
        return duplicate.recv(5)


def receive_through_detached(lent):
    with socket.socket(fileno=lent.detach()) as detached:
        return detached.recv(5)


RECEIVING = {
    "recv": lambda lent: lent.recv(5),
    "recv_into": receive_into,
    "recvfrom": lambda lent: lent.recvfrom(5)[0],
    "recvmsg": lambda lent: lent.recvmsg(5)[0],
    "makefile": read_from_file,
    "dup": receive_through_duplicate,
    "detach": receive_through_detached,
}


@pytest.mark.parametrize("name", RECEIVING)
def test_whatever_receives_is_a_use(trio, handed_over, name):
    server, lent, client = trio
    client.send(b"hello")
    assert not lent.used
    assert RECEIVING[name](lent) == b"hello"
    assert lent.used
    assert handed_over == [lent]
    assert is_blocking(server)


def write_to_file(lent, data):
    with lent.makefile("wb") as file:
        file.write(data)


def send_file(lent, data, path):
    path.write_bytes(data)
    with open(path, "rb") as file:
        lent.sendfile(file)


SENDING = {
    "send": LentSocket.send,
    "sendall": LentSocket.sendall,
    "sendmsg": lambda lent, data: lent.sendmsg([data]),
    "makefile": write_to_file,
}


@pytest.mark.parametrize("name", [*SENDING, "sendfile"])
def test_whatever_sends_is_a_use(trio, name, tmp_path):
    server, lent, client = trio
    if name == "sendfile":
        send_file(lent, b"hello", tmp_path / "file")
    else:
        SENDING[name](lent, b"hello")
    assert client.recv(100) == b"hello"
    assert lent.used
    assert is_blocking(server)


def test_ending_a_side_is_a_use(trio):
    _, lent, client = trio
    lent.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    assert lent.used


def test_looking_at_it_is_no_use(trio):
    server, lent, _ = trio
    assert isinstance(lent, socket.socket)
    assert lent.fileno() != server.fileno()
    assert lent.getpeername() == server.getpeername()
    lent.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    assert "LentSocket" in repr(lent)
    assert (lent.gettimeout(), lent.timeout, lent.getblocking()) == (None, None, True)
    assert not lent.used
    assert not is_blocking(server)


@pytest.mark.parametrize(
    ("choices", "timeout"), [([None], None), ([5], 5), ([0], 0), ([5, None], None), ([None, 0.5], 0.5)]
)
def test_the_time_out_that_is_set_before_counts_from_the_first_use(trio, choices, timeout):
    server, lent, client = trio
    for choice in choices:
        lent.settimeout(choice)
    assert not is_blocking(server)
    assert not lent.used
    for _ in range(2):
        assert lent.gettimeout() == timeout
        assert lent.getblocking() is (timeout != 0)
        client.send(b"x")
        assert lent.recv(1) == b"x"
    assert is_blocking(server) is (timeout is None)


def test_blocking_may_be_chosen_before_and_after_the_first_use(trio):
    server, lent, _ = trio
    lent.setblocking(False)
    lent.setblocking(True)
    assert not is_blocking(server)
    lent.setblocking(False)
    with pytest.raises(BlockingIOError):
        lent.recv(1)
    lent.setblocking(True)
    assert lent.gettimeout() is None
    assert is_blocking(server)
    lent.settimeout(0.001)
    with pytest.raises(TimeoutError):
        lent.recv(1)
    assert not is_blocking(server)


def test_a_time_out_that_is_none_is_refused_at_once(trio):
    _, lent, _ = trio
    with pytest.raises(ValueError, match="out of range"):
        lent.settimeout(-1)
    assert lent.gettimeout() is None


def test_a_duplicate_has_the_same_time_out(trio):
    _, lent, _ = trio
    lent.settimeout(3)
    with lent.dup() as duplicate:
        assert type(duplicate) is socket.socket
        assert duplicate.gettimeout() == 3


def test_it_is_handed_over_before_it_blocks(trio, handed_over):
    server, lent, _ = trio
    lent._hand_over = lambda lent: handed_over.append(is_blocking(server))
    lent.send(b"hello")
    assert handed_over == [False]


def test_once_closed_it_cannot_be_used(trio, handed_over):
    server, lent, _ = trio
    lent.close()
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        lent.recv(1)
    assert caught.value.errno == errno.EBADF
    assert not lent.used
    assert not handed_over
    assert not is_blocking(server)
