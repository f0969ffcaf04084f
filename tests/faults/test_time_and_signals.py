"""F27, F29 and F33: the clock jumps, the server is told to stop, more clients come than it may take."""

import ctypes
import errno
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import pytest

HALF = b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello"


def test_f27_the_wall_clock_jumps_and_only_the_date_follows(serve):
    day = 86400
    with serve("--head-timeout", "0.3") as site:
        idle = [site.dial() for _ in range(20)]
        for client in idle:
            client.get()
        uploads = [site.dial() for _ in range(20)]
        for client in uploads:
            client.send(HALF)
        for jump in (day, -day):
            assert site.get(f"/jump?seconds={jump}").content == b"jumped"
            shown = parsedate_to_datetime(site.get().get("Date")).timestamp()
            assert abs(shown - (time.time() + jump)) < 5
            # That this one is let go shows that the server has looked at all deadlines since.
            silent = site.dial()
            assert silent.ended
            site.check_victims(5)
        for client in idle:
            assert client.get().content == b"hello"
        for client in uploads:
            client.send(b"again")
            assert client.response().content.startswith(b"10 ")
        assert site.end() == ""


def test_f29_a_stop_loses_no_request_that_was_begun(serve, eventually):
    with serve() as site:
        working = [site.dial() for _ in range(4)]
        for client in working:
            client.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        half = site.dial()
        half.send(HALF)
        idle = [site.dial() for _ in range(10)]
        for client in idle:
            client.get()
        eventually(lambda: site.counts["/hold"] == 4)
        site.server.signal()
        assert all(client.ended for client in idle)
        with socket.socket() as late:
            assert late.connect_ex(site.address) == errno.ECONNREFUSED
        half.send(b"again")
        response = half.response()
        assert response.content.startswith(b"10 ")
        assert response.get("Connection") == "close"
        assert site.server.process.poll() is None
        site.open_gate()
        for client in working:
            response = client.response()
            assert response.content == b"held"
            assert response.get("Connection") == "close"
            assert client.ended
        assert site.server.wait() == 0
        assert site.end() == ""


def test_f29_a_stop_waits_no_longer_than_it_may(serve, eventually):
    with serve("--graceful-timeout", "0.5") as site:
        client = site.dial()
        client.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: site.counts["/hold"])
        site.server.signal()
        site.server.wait()
        assert client.ended


def test_f29_a_second_signal_stops_at_once(serve, eventually):
    with serve("--graceful-timeout", "1h") as site:
        client, idle = site.dial(), site.dial()
        idle.get()
        client.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: site.counts["/hold"])
        site.server.signal()
        assert idle.ended  # the first signal has arrived
        site.server.signal()
        site.server.wait()
        assert client.ended


def test_f33_more_clients_than_may_be_taken_wait_or_are_refused_and_none_is_dropped(serve, eventually):
    crowd = 60
    with serve("--backlog", "16", "--limit-connections", "4", threads=2) as site:
        first = [site.dial() for _ in range(4)]
        for client in first:
            client.send(b"GET /hold HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        eventually(lambda: site.connections == 4)
        with ThreadPoolExecutor(crowd) as clients:
            waiting = [clients.submit(site.get) for _ in range(crowd)]
            used, begin = site.vitals.cpu(), time.monotonic()
            eventually(lambda: time.monotonic() > begin + 0.3)
            assert site.connections == 4
            assert site.vitals.cpu() - used < 0.05
            site.open_gate()
            assert all(client.response().content == b"held" for client in first)
            assert all(answer.result().content == b"hello" for answer in waiting)
        assert site.counts["/"] == crowd
        assert site.end() == ""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "tgkill"), reason="only tgkill names the thread")
def test_f29_a_signal_is_noticed_whichever_thread_receives_it(serve, eventually):
    with serve() as site:
        site.check_victims()
        looks = [-1.0]

        def is_asleep():
            looks.append(site.vitals.cpu())
            return len(looks) > 100 and looks[-1] == looks[-100]

        eventually(is_asleep)
        pid = site.server.process.pid
        other = next(thread for thread in site.vitals.thread_ids() if thread != pid)
        assert ctypes.CDLL(None).tgkill(pid, other, int(signal.SIGTERM)) == 0
        assert site.server.process.wait(5) == 0
