"""Applications that run too long: answered 504, interrupted, no longer in the way."""

import ctypes
import errno
import os
import threading
import time
from types import SimpleNamespace

import pytest

from wsgix.server import call_timeout, scheduler
from wsgix.server.call_timeout import RequestTimeout
from wsgix.server.phase import BUSY, LINGER

SHORT = 0.5
"""Seconds in which a call that ends at once does end, on a busy machine too."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(scheduler, "_CHECK_SECONDS", 0.002)


@pytest.fixture
def stuck():
    """An application that is stuck in Python code at "/stuck", and in a C call at "/asleep"."""
    release = threading.Event()
    seen = []

    def application(environ, start_response):
        path = environ["PATH_INFO"]
        if path in ("/begun", "/begun-asleep"):
            start_response("200 OK", [("Content-Length", "10")])(b"begun")
        if path in ("/asleep", "/begun-asleep"):
            release.wait()
        if path in ("/stuck", "/begun"):
            try:
                while True:
                    release.is_set()
            except RequestTimeout as error:
                seen.append(error)
                raise
        start_response("200 OK", [])
        return [b"fast"]

    application.release = release
    application.seen = seen
    yield application
    release.set()


def test_an_application_that_is_stuck_is_answered_for_and_interrupted(serve, stuck, caplog, eventually):
    site = serve(stuck, request_timeout=SHORT)
    client = site.dial()
    client.send(b"GET /stuck HTTP/1.1\r\nHost: t\r\n\r\n")
    assert client.response().status == "504"
    assert client.ended
    eventually(lambda: stuck.seen)
    assert site.get("/").content == b"fast"
    # The client is told first, and then the log.
    eventually(lambda: [record for record in caplog.records if "ran for more than" in record.getMessage()])
    (record,) = [record for record in caplog.records if "ran for more than" in record.message]
    assert ", in application\n" in record.message  # the stack of the stuck thread
    assert "/stuck" in record.message


def test_an_application_is_answered_for_though_no_source_can_be_read(
    serve, stuck, monkeypatch, caplog, eventually
):
    def fail(*_arguments):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("traceback.format_stack", fail)
    site = serve(stuck, request_timeout=SHORT)
    client = site.dial()
    client.send(b"GET /stuck HTTP/1.1\r\nHost: t\r\n\r\n")
    assert client.response().status == "504"
    eventually(lambda: [record for record in caplog.records if ", in application\n" in record.getMessage()])


def test_a_thread_that_cannot_be_interrupted_is_no_longer_waited_for(serve, stuck):
    site = serve(stuck, request_timeout=SHORT, threads=1)
    clients = [site.dial() for _ in range(3)]
    for client in clients:
        client.send(b"GET /asleep HTTP/1.1\r\nHost: t\r\n\r\n")
    for client in clients:
        assert client.response().status == "504"
    assert site.get("/").content == b"fast"
    stuck.release.set()
    assert site.get("/").content == b"fast"


def test_requests_that_were_kept_back_are_all_served_once_a_thread_is_counted_out(serve, stuck, eventually):
    site = serve(stuck, request_timeout=SHORT, threads=1)
    client, *others = [site.dial() for _ in range(4)]
    client.send(b"GET /asleep HTTP/1.1\r\nHost: t\r\n\r\n")
    eventually(lambda: site.loop.scheduler._running == 1)
    for other in others:
        other.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
    for other in others:
        assert other.response().content == b"fast"


def test_a_thread_that_comes_back_at_once_is_counted_out_once(serve, monkeypatch, eventually):
    threads = []

    def application(environ, start_response):
        threads.append(threading.current_thread())
        try:
            while True:
                pass
        except RequestTimeout:  # as frameworks do, which catch every exception
            start_response("500 Internal Server Error", [])
            return []

    site = serve(application, request_timeout=SHORT)
    members = site.loop.scheduler

    def is_back():
        (thread,) = threads
        return not thread.is_alive() or thread.ident in [spare.ident for spare in members._spares]

    monkeypatch.setattr(call_timeout.log, "error", lambda *arguments: eventually(is_back))
    client = site.dial()
    client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
    assert client.response().status == "504"
    eventually(lambda: is_back() and members._running <= 0)
    serve.stop()
    # The system gives the number of a thread that has ended to another one.
    assert (members._running, members._written_off, members._retired) == (0, set(), set())


def test_a_thread_that_is_counted_out_gives_no_turn_up_when_it_waits_for_its_client(
    serve, held_reading, eventually
):
    waits, goes_on = held_reading

    def application(environ, start_response):
        try:
            while True:
                goes_on.is_set()
        except RequestTimeout:
            environ["wsgi.input"].read()
        return []

    site = serve(application, request_timeout=0.01, threads=2, stream_requests=True)
    members = site.loop.scheduler
    client = site.dial()
    client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n")
    assert client.response().status == "504"
    assert waits.wait(20)
    assert (members._running, len(members._away)) == (0, 0)
    client.send(b"ok")
    goes_on.set()
    eventually(lambda: not members._written_off)
    assert members._running == 0


def test_a_leader_that_nobody_can_replace_is_not_counted_out(serve, stuck, monkeypatch, eventually):
    site = serve(stuck, request_timeout=SHORT)
    members = site.loop.scheduler
    assert site.get("/").content == b"fast"
    monkeypatch.setattr(members, "_start", lambda _member: False)
    client = site.dial()
    client.send(b"GET /asleep HTTP/1.1\r\nHost: t\r\n\r\n")
    assert client.response().status == "504"
    stuck.release.set()
    assert site.get("/").content == b"fast"
    assert (members._running, members._written_off) == (0, set())


def test_a_leader_that_is_replaced_only_after_its_time_takes_no_turn(serve, stuck, monkeypatch, eventually):
    site = serve(stuck, request_timeout=SHORT, threads=1)
    members = site.loop.scheduler
    client = site.dial()
    with monkeypatch.context() as without_threads:
        without_threads.setattr(members, "_start", lambda _member: False)
        client.send(b"GET /asleep HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.response().status == "504"
    assert site.get("/").content == b"fast"
    stuck.release.set()
    eventually(lambda: not members._written_off)
    assert site.get("/").content == b"fast"
    assert members._running == 0


def test_a_file_is_closed_once_though_that_is_interrupted(serve, monkeypatch, caplog, eventually):
    close, closed = os.close, []

    def close_and_interrupt(fd):
        is_servers = threading.current_thread().name == scheduler.THREAD_NAME
        if is_servers:
            closed.append(fd)
        close(fd)
        if is_servers and len(closed) == 1:
            raise RequestTimeout

    def application(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](open(__file__, "rb"))

    site = serve(application, request_timeout=60)
    monkeypatch.setattr(os, "close", close_and_interrupt)
    with site.dial() as client:
        client.get()
        eventually(lambda: site.loop.is_empty)
    serve.stop()
    # A second one would close what another thread has opened meanwhile.
    assert len(closed) == 1
    assert "loop failed" not in caplog.text


def test_a_call_whose_time_is_over_before_the_application_is_called_leaves_nothing(serve, stuck, eventually):
    site = serve(stuck, request_timeout=0.01, threads=1)
    members = site.loop.scheduler
    calls = members.call_timeout
    wake = calls._wake

    def wake_and_linger():
        calls._wake = wake
        wake()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            pass

    calls._wake = wake_and_linger
    client = site.dial()
    client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
    assert client.response().status == "504"
    eventually(lambda: not site.loop._connections)
    eventually(lambda: not members._written_off)
    assert members._running == 0


def test_nothing_interrupts_a_thread_while_it_is_counted_out_and_in():
    counted = scheduler.Scheduler(SimpleNamespace(), 2, timeout=3600)
    calls, lock = counted.call_timeout, counted._lock
    interruptible = []

    class Lock:
        def __enter__(self):
            interruptible.append(calls.is_busy)
            lock.acquire()

        def __exit__(self, *_):
            lock.release()
            interruptible.append(calls.is_busy)

    counted._lock = Lock()
    calls.begin(SimpleNamespace(), lambda: None)
    assert counted.waiting(object(), lambda: "content") == "content"
    assert interruptible == [False] * 4
    assert calls.is_busy
    calls.end()


@pytest.mark.parametrize("path", ["/asleep", "/begun-asleep"])
def test_a_stop_does_not_wait_for_a_thread_that_cannot_be_interrupted(serve, stuck, eventually, path):
    site = serve(stuck, request_timeout=SHORT, graceful_timeout=3600)
    client = site.dial()
    client.send(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
    assert client.rest()
    site.server._worker.stop()
    site.server._thread.join(20)
    assert not site.server._thread.is_alive()
    stuck.release.set()
    eventually(lambda: not [thread for thread in threading.enumerate() if thread.name == "wsgix"])


def test_a_call_that_goes_straight_to_a_thread_is_watched(serve, stuck, eventually):
    site = serve(stuck, request_timeout=SHORT)
    scheduler = site.loop.scheduler
    eventually(lambda: not scheduler._watching)
    scheduler._average = 1.0  # as after slow calls
    client = site.dial()
    client.send(b"GET /asleep HTTP/1.1\r\nHost: t\r\n\r\n")
    assert client.response().status == "504"
    assert scheduler.calls == 0


def test_a_call_that_begins_while_its_watcher_goes_to_sleep_is_watched():
    """Whoever is about to sleep says so first, and then looks whether a call has begun."""
    timed_out = threading.Event()
    responder = SimpleNamespace(
        name="a request", is_answered_for=True, time_out=lambda interrupt: timed_out.set()
    )

    class Sleepy(scheduler.Scheduler):
        @property
        def _watching(self):
            return self._is_watching

        @_watching.setter
        def _watching(self, value):
            if not value and calls_to_come:
                calls_to_come.clear()
                self.call_timeout.begin(responder, lambda: None)  # the call still finds it awake
            self._is_watching = value

    calls_to_come = []
    watched = Sleepy(SimpleNamespace(), 1, timeout=SHORT)
    watched._watching = True
    calls_to_come.append(responder)
    watcher = threading.Thread(target=watched.watch)
    watcher.start()
    try:
        assert timed_out.wait(20)
    finally:
        watched.stop()
        watcher.join()


def test_a_client_that_is_still_sending_when_its_time_is_over_is_not_reset(serve, stuck, eventually):
    site = serve(stuck, request_timeout=SHORT, stream_requests=True)
    client = site.dial()
    client.send(b"POST /stuck HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nsome")
    assert client.response().status == "504"
    (connection,) = site.loop._connections.values()
    client.send(b" more")
    eventually(lambda: connection.phase is not BUSY)
    assert connection.phase is LINGER
    client.send(b" and more")
    client.half_close()
    assert client.socket.recv(1) == b""
    eventually(lambda: site.loop.is_empty)


def test_a_response_that_has_begun_is_cut_off(serve, stuck, truncated, eventually):
    site = serve(stuck, request_timeout=SHORT)
    client = site.dial()
    client.send(b"GET /begun HTTP/1.1\r\nHost: t\r\n\r\n")
    with pytest.raises(truncated):
        client.response()
    eventually(lambda: stuck.seen)
    assert site.get("/").content == b"fast"


@pytest.mark.parametrize(
    "fields", [b"", b"Connection: Upgrade\r\nUpgrade: any\r\n"], ids=["plain", "upgrade"]
)
def test_an_old_client_sees_that_a_response_without_a_length_was_cut_off(serve, eventually, fields):
    release = threading.Event()

    def application(environ, start_response):
        assert "wsgix.socket" not in environ
        start_response("200 OK", [])(b"begun")
        release.wait()
        return [b"more"]

    site = serve(application, request_timeout=SHORT)
    client = site.dial()
    client.send(b"GET / HTTP/1.0\r\n" + fields + b"\r\n")
    client.until(b"begun")
    with pytest.raises(ConnectionResetError):
        client.socket.recv(1)  # though the thread is in the application still
    release.set()
    eventually(lambda: site.loop.is_empty)


def test_the_answer_is_in_the_access_log_while_the_application_is_still_stuck(
    serve, stuck, eventually, tmp_path
):
    log = tmp_path / "log"
    site = serve(
        stuck, request_timeout=SHORT, access_log=str(log), access_log_format="%(U)s %(s)s %(B)s %(L)s"
    )
    client = site.dial()
    client.send(b"GET /asleep HTTP/1.1\r\nHost: t\r\n\r\n")
    answer = client.response()
    eventually(log.read_text)
    path, status, size, seconds = log.read_text().split()
    assert (path, status, int(size)) == ("/asleep", "504", len(answer.content))
    assert SHORT <= float(seconds) < 20
    stuck.release.set()
    eventually(lambda: not site.loop._connections)
    serve.stop()
    assert log.read_text().split() == [path, status, size, seconds]


def test_a_response_that_was_cut_off_is_in_the_access_log_once(serve, stuck, truncated, eventually, tmp_path):
    log = tmp_path / "log"
    site = serve(stuck, request_timeout=SHORT, access_log=str(log), access_log_format="%(U)s %(s)s %(B)s")
    client = site.dial()
    client.send(b"GET /begun HTTP/1.1\r\nHost: t\r\n\r\n")
    with pytest.raises(truncated):
        client.response()
    eventually(lambda: not site.loop._connections)
    serve.stop()
    assert log.read_text().split() == ["/begun", "200", "5"]


def test_a_call_that_ends_in_time_is_left_alone(serve, stuck, eventually):
    site = serve(stuck, request_timeout=60)
    for _ in range(100):
        assert site.get("/").content == b"fast"
    eventually(lambda: not site.loop.scheduler.call_timeout.is_busy)


class Clock:
    """The clock of the calls, which a test sets forward."""

    offset = 0.0

    def monotonic(self):
        return time.monotonic() + self.offset


def test_the_time_of_a_slow_client_is_not_the_applications(serve, monkeypatch, eventually):
    clock = Clock()
    monkeypatch.setattr(call_timeout, "time", clock)
    inside, release = threading.Event(), threading.Event()
    block = b"x" * (16 << 20)  # more than the system keeps

    def application(environ, start_response):
        environ["wsgi.input"].read()
        if environ["PATH_INFO"] == "/stuck":
            inside.set()
            release.wait()
        start_response("200 OK", [("Content-Length", str(2 * len(block)))])
        return iter([block, block])

    site = serve(application, request_timeout=60, response_buffer=0)
    away = site.loop.scheduler._away
    for path in ("/", "/stuck"):
        client = site.dial()
        client.send(f"POST {path} HTTP/1.1\r\nHost: t\r\n".encode())
        client.send(b"Content-Length: 1\r\nExpect: 100-continue\r\n\r\n")
        assert client.response().status == "100"
        eventually(lambda: away)
        clock.offset += 100
        client.send(b"x")
        if path == "/":
            client.until(b"\r\n\r\n")
            eventually(lambda: away)
            clock.offset += 100
            assert client.take(2 * len(block)) == 2 * block
    assert inside.wait(20)
    clock.offset += 100
    assert client.response().status == "504"
    release.set()


def test_without_pythonapi_nothing_is_interrupted(serve, stuck, monkeypatch):
    monkeypatch.delattr(ctypes, "pythonapi")
    site = serve(stuck, request_timeout=SHORT, threads=1)
    client = site.dial()
    client.send(b"GET /asleep HTTP/1.1\r\nHost: t\r\n\r\n")
    assert client.response().status == "504"
    stuck.release.set()
    assert site.get("/").content == b"fast"


def test_an_interruption_that_comes_too_late_costs_the_connection_and_no_more(
    serve, stuck, monkeypatch, caplog
):
    real = call_timeout.CallTimeout.end
    late = [RequestTimeout()]

    def end(self):
        if late:
            raise late.pop()
        real(self)

    monkeypatch.setattr(call_timeout.CallTimeout, "end", end)
    site = serve(stuck, request_timeout=60)
    client = site.dial()
    assert client.get("/").content == b"fast"
    assert client.ended
    assert site.get("/").content == b"fast"
    assert "failed" not in caplog.text


def test_a_connection_that_the_application_has_taken_over_is_cut_off_without_a_word(serve, eventually):
    seen = []

    def application(environ, start_response):
        environ["wsgix.socket"].sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        try:
            while True:
                seen.append(environ["wsgix.socket"].recv(100))
        except RequestTimeout as error:
            seen.append(error)
            raise

    site = serve(application, request_timeout=SHORT)
    client = site.dial()
    client.send(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: any\r\n\r\n")
    assert client.rest() == b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
    eventually(lambda: seen and isinstance(seen[-1], RequestTimeout))


# By itself


@pytest.fixture
def sent(monkeypatch):
    """What was sent to threads."""
    made = []
    monkeypatch.setattr(call_timeout, "_interrupt", lambda ident, error: made.append((ident, error)))
    return made


def nothing(*_):
    pass


def test_the_end_takes_back_what_was_sent_to_the_thread_and_has_not_arrived(sent):
    calls = call_timeout.CallTimeout(1000.0, nothing, nothing)
    calls.begin(SimpleNamespace(), nothing)
    calls.end()
    assert sent == [(threading.get_ident(), None)]
    assert not calls.is_busy


def test_whoever_watches_is_woken_for_a_call_that_goes_on_after_a_wait():
    """It may have gone to sleep meanwhile, as there was no call to look after."""
    seen = []
    calls = call_timeout.CallTimeout(1000.0, nothing, lambda: seen.append(calls.is_busy))
    calls.leave_out(lambda: None)
    assert seen == []  # the time of this call is over already
    calls.begin(SimpleNamespace(), nothing)
    calls.leave_out(lambda: seen.append(calls.is_busy))
    assert seen == [True, False, True]


@pytest.mark.parametrize("is_answered_for", [True, False])
def test_only_the_answer_in_place_of_the_application_is_noted(sent, caplog, is_answered_for):
    """A response that had begun is noted by the thread that began it, once that comes back."""
    noted, written_off = [], []
    calls = call_timeout.CallTimeout(0.0, written_off.append, nothing)
    responder = SimpleNamespace(
        time_out=lambda interrupt: interrupt(), is_answered_for=is_answered_for, name="a request"
    )
    calls.begin(responder, lambda: noted.append(responder))
    calls.check()
    assert sent == [(threading.get_ident(), RequestTimeout)]
    assert written_off == [threading.get_ident()]
    assert noted == [responder] * is_answered_for
    assert [record.getMessage().splitlines()[0] for record in caplog.records] == [
        "the application ran for more than 0 seconds: a request"
    ]
    calls.check()
    assert len(sent) == 1
