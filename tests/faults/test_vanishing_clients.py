"""F7 to F11: clients that leave in the middle of something, and system calls that tell of it."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys

import pytest

UPLOADS = {
    "length": b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel",
    "chunked": b"POST /digest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "inside a chunk": b"POST /digest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    "inside the last chunk": b"POST /digest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
}


@pytest.mark.parametrize("upload", UPLOADS.values(), ids=UPLOADS.keys())
def test_f7_an_upload_cut_short_never_reaches_the_application(serve, eventually, upload):
    with serve() as site:
        client = site.dial()
        client.send(upload)
        client.half_close()
        assert client.response().status == "400"
        assert client.ended
        client = site.dial()
        client.send(upload)
        client.reset()
        eventually(lambda: not site.connections)
        assert site.counts["/digest"] == 0


@pytest.mark.parametrize("upload", UPLOADS.values(), ids=UPLOADS.keys())
def test_f7_reading_an_upload_cut_short_raises_where_it_is_streamed(serve, eventually, upload):
    with serve("--stream-requests") as site:
        client = site.dial()
        client.send(upload)
        eventually(lambda: site.counts["/digest"] == 1)
        client.half_close()
        assert client.response().status == "400"
        client = site.dial()
        client.send(upload)
        eventually(lambda: site.counts["/digest"] == 2)
        client.reset()
        eventually(lambda: not site.connections)
        assert site.counts["reading raised IncompleteBody"] == 2
        assert "ERROR" not in site.end()


@pytest.mark.parametrize("ending", ["close", "reset"])
@pytest.mark.parametrize("declared", ["", "&declared=1"])
def test_f8_a_client_gone_during_the_response_ends_the_iteration_and_close_is_called_once(
    serve, eventually, ending, declared
):
    with serve() as site:
        client = site.dial()
        client.send(
            b"GET /blocks?count=100&size=100000&waits_at=99%s HTTP/1.1\r\nHost: a\r\n\r\n" % declared.encode()
        )
        client.take(1000)  # the head and more; the application waits for the gate before its second block
        site.check_victims(1)  # another thread leads: this one gathers no blocks
        getattr(client, ending)()
        site.open_gate()
        eventually(lambda: site.counts["closed"])
        counts = site.counts
        assert counts["closed"] == 1
        # The kernel takes one block for a client that has closed: only its answer tells that nobody reads.
        assert counts["blocks"] <= (2 if ending == "reset" else 3)
        eventually(lambda: not site.connections)
        assert site.counts["closed"] == 1
        log = site.end()
        assert "ERROR" not in log
        assert log.count("INFO") == log.count("\n") == 1


def test_f8_a_client_gone_before_the_application_answers_is_no_error(serve, eventually):
    with serve() as site:
        client = site.dial()
        client.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: site.counts["/hold"])
        client.reset()
        site.open_gate()
        eventually(lambda: not site.connections)
        assert "ERROR" not in site.end()


REQUEST = b"POST /digest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


@pytest.mark.parametrize("options", [(), ("--stream-requests",)])
def test_f9_a_reset_at_any_point_costs_neither_a_trace_nor_a_descriptor(serve, eventually, options):
    points = [*range(0, len(REQUEST), 4)]
    assert len(points) >= 20
    with serve(*options) as site:
        for _ in range(5):
            for point in points:
                client = site.dial()
                client.send(REQUEST[:point])
                client.reset()
            for size in (0, 1, 100, 50_000):
                client = site.dial()
                client.send(b"GET /blocks?count=20&size=10000 HTTP/1.1\r\nHost: a\r\n\r\n")
                client.take(size)
                client.reset()
        eventually(lambda: not site.connections)
        counts = site.counts
        assert counts["closed"] == counts["/blocks"]
        assert "ERROR" not in site.end()


def test_f10_a_client_that_half_closes_after_its_requests_gets_all_answers(serve):
    with serve() as site:
        client = site.dial()
        client.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.half_close()
        begin = site.vitals.cpu()
        site.open_gate()
        assert client.response().content == b"held"
        assert client.response().content == b"hello"
        assert client.ended
        assert site.vitals.cpu() - begin < 1  # an end that stays readable is no reason to spin


def test_f10_a_half_closed_client_does_not_spin_the_loop_while_the_application_works(serve, eventually):
    with serve(threads=2) as site:
        client = site.dial()
        client.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: site.counts["/hold"])
        client.half_close()
        site.check_victims(100)
        begin, used = os.times().elapsed, site.vitals.cpu()
        eventually(lambda: os.times().elapsed > begin + 0.5)
        assert site.vitals.cpu() - used < 0.1
        site.open_gate()
        assert client.response().content == b"held"


# A client whose machine vanished: this option of Linux closes a socket without a word to its peer.
TCP_REPAIR = 19


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="TCP_REPAIR needs CAP_NET_ADMIN")
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\n",
        b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhello",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /one-block?size=20000000 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /blocks?count=200&size=100000 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_f10_a_time_out_frees_the_connection_of_a_client_that_vanished(serve, eventually, sent):
    options = [f"--{name}-timeout=0.3" for name in ("head", "body", "keep-alive", "write")]
    with serve(*options) as site:
        for _ in range(10):
            client = site.dial_slowly()
            client.send(sent)
            client.socket.setsockopt(6, TCP_REPAIR, 1)
            client.close()
        eventually(lambda: not site.connections)
        assert "ERROR" not in site.end()


def test_f11_connections_that_are_gone_before_they_are_accepted_are_no_error(serve, eventually):
    with serve() as site:
        site.server.signal(signal.SIGSTOP)
        for number in range(100):
            client = site.dial()
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * (number % 2))
            client.reset()
        site.server.signal(signal.SIGCONT)
        eventually(lambda: not site.connections)
        log = site.end()
        assert "ERROR" not in log
        assert log.count("\n") <= 50  # one for each that had asked for something


def test_f11_a_storm_of_signals_interrupts_nobody(serve):
    with serve() as site:
        client = site.dial()
        for _ in range(300):
            client.send(b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
            for number in (signal.SIGUSR1, signal.SIGCONT, signal.SIGWINCH):
                site.server.signal(number)
            client.send(b"again")
            assert client.response().content.startswith(b"10 ")
        assert site.end() == ""


INJECTIONS = {
    "accept: interrupted": "accept4:error=EINTR:when=1+2",
    "accept: client gone": "accept4:error=ECONNABORTED:when=1+2",
    "accept: protocol error": "accept4:error=EPROTO:when=1+2",
    "receive: interrupted": "recvfrom:error=EINTR:when=1+2",
    "send: interrupted": "sendto:error=EINTR:when=1+2",
    "wait: interrupted": "epoll_wait:error=EINTR:when=1+2",
}


@pytest.fixture
def fail(tmp_path, eventually):
    """Make system calls of a server fail: `with fail(site, "accept4:error=EINTR:when=1+2")`."""

    @contextlib.contextmanager
    def inject(site, injection):
        record, pid = tmp_path / "strace", site.server.process.pid
        strace = subprocess.Popen(
            ["strace", "-f", "-qq", "-o", record, "-e", f"inject={injection}", "-p", str(pid)],
            stderr=subprocess.PIPE,
        )
        try:
            eventually(lambda: site.vitals.is_traced() or strace.poll() is not None)
            if strace.poll() is not None:
                pytest.skip(f"strace may not look at other processes: {strace.stderr.read()}")
            yield
        finally:
            strace.terminate()
            strace.communicate()
        assert "(INJECTED)" in record.read_text()

    return inject


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is needed to make system calls fail")
@pytest.mark.parametrize("injection", INJECTIONS.values(), ids=INJECTIONS.keys())
def test_f11_system_calls_that_fail_for_now_fail_nobody(serve, fail, injection):
    with serve() as site:
        with fail(site, injection):
            for _ in range(30):
                assert site.get().content == b"hello"
            # The end comes before that of strace: a call in which it detaches would not be made at all.
            assert site.end() == ""
