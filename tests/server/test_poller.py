"""Both kinds of poller do the same, on every selector; the waker wakes from any thread."""

import select
import selectors
import socket
import threading

import pytest

from wsgix.server import poller as module
from wsgix.server.poller import READ, WRITE, SelectorPoller, Waker, make_poller, wait_writable

KINDS = {
    "the platform's best": make_poller,
    "the platform's selector": SelectorPoller,
    "select": lambda: SelectorPoller(selectors.SelectSelector()),
}
if hasattr(selectors, "PollSelector"):
    KINDS["poll"] = lambda: SelectorPoller(selectors.PollSelector())


def send_for_ever(sock):
    while True:
        sock.send(b"x" * 4096)


@pytest.fixture(params=KINDS)
def poller(request):
    made = KINDS[request.param]()
    yield made
    made.close()


@pytest.fixture
def pair():
    left, right = socket.socketpair()
    left.setblocking(False)
    yield left, right
    left.close()
    right.close()


def test_a_descriptor_is_reported_while_it_is_readable(poller, pair):
    left, right = pair
    poller.register(left.fileno(), READ)
    assert poller.poll(0) == []
    right.send(b"x")
    assert poller.poll() == [(left.fileno(), READ)]
    assert poller.poll(0) == [(left.fileno(), READ)]
    left.recv(1)
    assert poller.poll(0) == []


def test_the_interest_can_be_changed_and_ended(poller, pair):
    left, right = pair
    fd = left.fileno()
    right.send(b"x")
    poller.register(fd, WRITE)
    assert poller.poll(0) == [(fd, WRITE)]
    poller.modify(fd, READ | WRITE)
    assert poller.poll(0) == [(fd, READ | WRITE)]
    poller.modify(fd, READ)
    assert poller.poll(0) == [(fd, READ)]
    poller.unregister(fd)
    assert poller.poll(0) == []
    poller.register(fd, READ)
    assert poller.poll(0) == [(fd, READ)]


def test_the_end_of_a_peer_is_readable(poller, pair):
    left, right = pair
    poller.register(left.fileno(), READ)
    right.close()
    ((fd, events),) = poller.poll()
    assert fd == left.fileno()
    assert events & READ


def test_without_epoll_a_selector_is_used(monkeypatch):
    monkeypatch.delattr(select, "epoll", raising=False)
    made = make_poller()
    assert isinstance(made, SelectorPoller)
    made.close()


@pytest.fixture(params=["poll", "select"])
def waiting(request, monkeypatch):
    if request.param == "select":
        monkeypatch.delattr(select, "poll", raising=False)
    return wait_writable


def test_a_socket_with_room_is_writable(waiting, pair):
    assert waiting(pair[0].fileno(), 10.0) is True


def test_a_full_socket_is_not_writable_within_the_time(waiting, pair):
    left, _ = pair
    with pytest.raises(BlockingIOError):
        send_for_ever(left)
    assert waiting(left.fileno(), 0.0) is False


def test_a_wait_may_be_longer_than_the_system_can_count(waiting, pair):
    assert waiting(pair[0].fileno(), 1e9) is True


def test_a_long_wait_is_one_of_many_shorter_ones(waiting, pair, monkeypatch):
    left, right = pair
    with pytest.raises(BlockingIOError):
        send_for_ever(left)
    monkeypatch.setattr(module, "_LONGEST_WAIT", 0.001)
    assert waiting(left.fileno(), 0.01) is False
    right.setblocking(True)
    thread = threading.Timer(0.02, right.recv, [1 << 24])
    thread.start()
    assert waiting(left.fileno(), 60.0) is True
    thread.join()


@pytest.fixture
def waker():
    made = Waker()
    yield made
    made.close()


def test_a_waker_ends_a_wait_from_another_thread(poller, waker):
    poller.register(waker.fileno(), READ)
    thread = threading.Thread(target=waker.wake)
    thread.start()
    assert poller.poll() == [(waker.fileno(), READ)]
    thread.join()
    waker.clear()
    assert poller.poll(0) == []
    waker.clear()


def test_a_waker_never_blocks_however_often_it_is_called(poller, waker):
    poller.register(waker.fileno(), READ)
    waker._writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    with pytest.raises(BlockingIOError):
        send_for_ever(waker._writer)
    waker.wake()
    assert poller.poll(0) == [(waker.fileno(), READ)]


def test_the_events_are_those_of_epoll():
    if hasattr(select, "epoll"):
        assert (module.READ, module.WRITE) == (select.EPOLLIN, select.EPOLLOUT)
