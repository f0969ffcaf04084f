"""F1 to F6: clients that are slow, silent or idle. They get their deadlines, and others are served."""

import contextlib
import socket
import time

import pytest

from tests.server.conftest import PATIENCE

CROWD = 150


def trickle(clients, data):
    """Send *data* on all connections; those that the server has ended are no surprise."""
    for client in clients:
        with contextlib.suppress(OSError):
            client.send(data)


def has_news(client):
    """Tell whether bytes or an end wait for the client."""
    client.socket.setblocking(False)
    try:
        client.socket.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except ConnectionResetError:
        pass
    finally:
        client.socket.settimeout(PATIENCE)
    return True


def trickle_until_all_are_refused(site, crowd, status):
    """Send byte after byte, so that a deadline which bytes postpone would never come."""
    end = time.monotonic() + PATIENCE
    while crowd:
        assert time.monotonic() < end
        trickle(crowd, b"X")
        site.check_victims(1)
        for client in [client for client in crowd if has_news(client)]:
            assert client.response().status == status
            assert client.ended
            client.close()
            crowd.remove(client)


def test_f1_slow_heads_are_408_by_a_total_deadline_and_starve_nobody(serve):
    with serve("--head-timeout", "0.5", threads=2) as site:
        crowd = [site.dial() for _ in range(CROWD)]
        trickle(crowd, b"GET /address HTTP/1.1\r\nHost: a\r\nX: ")
        trickle_until_all_are_refused(site, crowd, "408")
        assert site.counts["/address"] == 0
        assert [line.partition(": ")[2] for line in site.end().splitlines()] == ["head-timeout"] * CROWD


def test_f2_slow_bodies_are_408_take_no_thread_and_starve_nobody(serve):
    options = ("--body-timeout", "0.5", "--body-rate", "10000")
    head = b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    with serve(*options, threads=2) as site:
        fair, size = site.dial(), 300_001
        fair.send(head % size + b"a" * (size - 1))  # enough for half a minute
        crowd = [site.dial() for _ in range(CROWD)]
        trickle(crowd, head % 100_000)
        trickle_until_all_are_refused(site, crowd, "408")
        assert site.counts["/digest"] == 0
        fair.send(b"a")
        assert fair.response().content.startswith(b"300001 ")
        log = site.end()
        assert log.count("body-timeout") == log.count("\n") == CROWD


def test_f2_slow_bodies_behind_an_expectation_starve_nobody(serve):
    head = b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    # The threads that wait for a client come on top of those that are inside the application.
    with serve(threads=2, more_threads=8) as site:
        for _ in range(8):
            site.dial().send(head)
        victim = site.dial()
        victim.socket.settimeout(3)  # far less than the time-out of the content
        assert victim.get().content == b"hello"


def test_f3_slow_readers_take_no_thread_while_their_response_fits_the_buffer(serve, eventually):
    crowd = 12
    with serve("--write-timeout", "1", "--response-buffer", "16m", threads=2) as site:
        for _ in range(crowd):
            site.dial_slowly().send(b"GET /one-block?size=8000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        site.check_victims()
        eventually(lambda: not site.connections)  # dropped at the write timeout, though nobody has left
        for client in site.clients:
            assert len(client.rest()) < 8_000_000
        assert site.counts["/one-block"] == crowd
        assert "ERROR" not in site.end()


@pytest.mark.parametrize("target", ["/one-block?size=20000000", "/blocks?count=2000&size=10000"])
def test_f3_slow_readers_starve_nobody_however_large_their_response_is(serve, target):
    # The threads that wait for a client come on top of those that are inside the application.
    with serve(threads=2, more_threads=8) as site:
        for _ in range(8):
            site.dial_slowly().send(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % target.encode())
        victim = site.dial()
        victim.socket.settimeout(3)  # a tenth of the write timeout
        assert victim.get().content == b"hello"


@pytest.mark.parametrize(
    ("options", "request_"),
    [
        (("--response-buffer", "64k"), b"GET /blocks?count=2000&size=10000 HTTP/1.1\r\nHost: a\r\n\r\n"),
        (("--stream-requests",), b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"),
    ],
    ids=["readers", "writers"],
)
def test_f2_f3_slow_clients_starve_nobody_however_many_they_are(serve, options, request_):
    with serve(*options, threads=2, more_threads=64) as site:
        for _ in range(CROWD):
            site.dial_slowly().send(request_)
        victim = site.dial()
        victim.socket.settimeout(3)
        assert victim.get().content == b"hello"


def test_f3_a_stalled_client_costs_no_more_memory_than_the_response_buffer(serve, eventually):
    crowd, buffer, block = 16, 64 << 10, 16 << 10
    with serve("--response-buffer", "64k", threads=crowd + 2) as site:
        before = site.vitals.resident()
        for _ in range(crowd):
            site.dial_slowly().send(b"GET /blocks?count=10000&size=%d HTTP/1.1\r\nHost: a\r\n\r\n" % block)
        pulled = -1

        def stalled():
            nonlocal pulled
            before, pulled = pulled, site.counts["blocks"]
            return before == pulled > crowd * buffer // block

        eventually(stalled)
        # A thread of its own, with a stack in use and some of malloc's, is part of it here.
        assert site.vitals.resident() - before < crowd * (buffer + (256 << 10))


def test_f4_silent_connections_are_closed_without_a_word_and_starve_nobody(serve, eventually):
    with serve("--head-timeout", "0.5") as site:
        crowd = [site.dial() for _ in range(500)]
        site.check_victims()
        eventually(lambda: not site.connections)
        assert all(client.ended for client in crowd)
        assert site.end() == ""


def test_f5_idle_connections_cost_next_to_nothing(serve):
    count = 1000
    with serve() as site:
        site.check_victims(1)
        before = site.vitals.resident()
        for _ in range(count):
            assert site.dial().get().content == b"hello"
        assert site.connections == count
        assert (site.vitals.resident() - before) / count < 4096
        begin, used = time.monotonic(), site.vitals.cpu()
        while time.monotonic() < begin + 1:  # what is measured takes a while: idleness
            time.sleep(0.1)
        assert site.vitals.cpu() - used < 0.02
        site.check_victims()


def test_f6_a_request_that_meets_the_idle_timeout_is_answered_or_was_never_read(serve, truncated):
    closed = answered = 0
    # The timeout is so short that each look at the deadlines, once a second, finds many connections idle.
    with serve("--keep-alive-timeout", "1ms") as site:
        clients = [site.dial() for _ in range(30)]
        end = time.monotonic() + PATIENCE
        while closed < 30:
            assert time.monotonic() < end
            for number, client in enumerate(clients):
                try:
                    client.get()
                    answered += 1
                except (truncated, OSError):
                    assert client.received == b""  # nothing of an answer: the client may safely try again
                    closed += 1
                    clients[number] = site.dial()
        # Whatever the application was called for has been answered.
        assert site.counts["/"] == answered
