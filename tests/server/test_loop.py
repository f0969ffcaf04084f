"""The loop over real sockets: persistence, pipelining, content, refusals, slow clients, deadlines, stop."""

import contextlib
import errno
import gzip
import io
import itertools
import logging
import os
import select
import selectors
import socket
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.server.conftest import Client, Leaving, Truncated, own_threads
from wsgix.core.streams import IncompleteBody
from wsgix.server import arrivals, departures, outgoing, poller, scheduler, streaming
from wsgix.server import loop as module
from wsgix.server.connection import Connection
from wsgix.server.listeners import open_listeners
from wsgix.server.phase import Phase
from wsgix.server.poller import READ, WRITE, SelectorPoller, make_poller, wait_writable
from wsgix.server.settings import make_settings
from wsgix.server.worker import Worker

SETTINGS = make_settings()

POLLERS = {
    "epoll": make_poller,
    "poll": lambda: SelectorPoller(selectors.PollSelector()),
    "select": lambda: SelectorPoller(selectors.SelectSelector()),
}


@pytest.fixture(params=[name for name in POLLERS if name != "poll" or hasattr(selectors, "PollSelector")])
def any_poller(request, monkeypatch):
    """Runs a test once with each poller."""
    monkeypatch.setattr(departures, "make_poller", POLLERS[request.param])


@pytest.fixture
def echo():
    """An application that answers with method, path and content, and counts its calls."""

    def application(environ, start_response):
        application.calls += 1
        content = environ["wsgi.input"].read()
        trailers = environ.get("wsgix.trailers", [])
        start_response("200 OK", [("X-Trailers", repr(trailers))])
        return [f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} ".encode("latin-1") + content]

    application.calls = 0
    return application


def get(target, *fields):
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: t", *fields, "", ""]).encode("ascii")


def post(target, content, *fields):
    return get(target, f"Content-Length: {len(content)}", *fields).replace(b"GET", b"POST", 1) + content


CHUNKED = (
    b"POST /chunked HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\nX-Sum: 7\r\n\r\n"
)


PROXY_HEADER = b"PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\n"


def phases(site):
    return [connection.phase for connection in [*site.loop._connections.values()]]


def receive_all(connected):
    while connected.recv(1 << 20):
        pass


# Persistence and pipelining


@pytest.mark.usefixtures("any_poller")
def test_a_connection_serves_one_request_after_the_other(serve, echo):
    client = serve(echo).dial()
    for index in range(50):
        client.send(get(f"/{index}"))
        assert client.response().content == b"GET /%d " % index
    client.send(post("/post", b"content"))
    assert client.response().content == b"POST /post content"
    client.send(CHUNKED)
    response = client.response()
    assert response.content == b"POST /chunked abcdefg"
    assert response.get("X-Trailers") == "[('X-Sum', '7')]"
    client.send(get("/last", "Connection: close"))
    assert client.response().content == b"GET /last "
    assert client.ended


@pytest.mark.usefixtures("any_poller")
@pytest.mark.parametrize("count", [2, 31, 32, 33, 100])
def test_pipelined_requests_in_one_segment_are_answered_in_order(serve, echo, count):
    client = serve(echo).dial()
    client.send(b"".join(get(f"/{index}") for index in range(count)))
    for index in range(count):
        assert client.response().content == b"GET /%d " % index


def test_pipelined_requests_split_at_every_byte_are_answered_alike(serve, echo):
    message = get("/1") + post("/2", b"body") + CHUNKED + get("/4", "Connection: close")
    site = serve(echo)
    for cut in range(1, len(message)):
        client = site.dial()
        client.send(message[:cut])
        client.send(message[cut:])
        contents = [client.response().content for _ in range(4)]
        assert contents == [b"GET /1 ", b"POST /2 body", b"POST /chunked abcdefg", b"GET /4 "]
        assert client.ended
        client.close()


def test_pipelined_requests_byte_by_byte_are_answered_alike(serve, echo):
    message = get("/1") + post("/2", b"body") + CHUNKED
    client = serve(echo).dial()
    for index in range(len(message)):
        client.send(message[index : index + 1])
    contents = [client.response().content for _ in range(3)]
    assert contents == [b"GET /1 ", b"POST /2 body", b"POST /chunked abcdefg"]


def test_requests_behind_connection_close_are_not_served(serve, echo):
    client = serve(echo).dial()
    client.send(get("/1", "Connection: close") + get("/2"))
    assert client.response().content == b"GET /1 "
    assert client.ended
    assert echo.calls == 1


def test_many_clients_at_once_get_their_own_answers(serve, echo):
    site = serve(echo)
    clients = [site.dial() for _ in range(100)]
    for index, client in enumerate(clients):
        client.send(get(f"/{index}"))
    for index, client in enumerate(clients):
        assert client.response().content == b"GET /%d " % index


def test_ipv6_clients_are_served(serve, echo):
    if not socket.has_dualstack_ipv6():
        pytest.skip("the system has no dual-stack IPv6")
    client = serve(echo, bind="[::1]:0").dial()
    assert client.get("/six").content == b"GET /six "


def test_unix_clients_are_served(serve, tmp_path, monkeypatch):
    def application(environ, start_response):
        start_response("200 OK", [])
        return [
            f"{environ['SERVER_NAME']} {environ['SERVER_PORT']} {'REMOTE_ADDR' in environ}".encode("ascii")
        ]

    monkeypatch.chdir(tmp_path)
    serve(application, bind="unix:s", access_log=True)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect("s")
        client.sendall(get("/", "Connection: close"))
        received = b""
        while data := client.recv(65536):
            received += data
    assert received.endswith(b"\r\n\r\nlocalhost 80 False")


# Requests that arrive together


class PatientPoller:
    """A poller that once tells of nothing until all of `awaited` are ready, and then in their order."""

    def __init__(self):
        self._poller = make_poller()
        self.awaited = []

    def poll(self, timeout=None):
        events = self._poller.poll(timeout)
        while not set(self.awaited) <= (ready := dict(events)).keys():
            events = self._poller.poll(0.01)
        first, self.awaited = self.awaited, []
        return [*((fd, ready.pop(fd)) for fd in first), *ready.items()]

    def __getattr__(self, name):
        return getattr(self._poller, name)


@pytest.fixture
def together(monkeypatch):
    """Has the loop find ready at once what all its clients, who were answered before, say in turn."""
    monkeypatch.setattr(departures, "make_poller", PatientPoller)

    def say(site, *said):
        site.loop._poller.awaited = [*site.loop._connections]
        for client, data in said:
            client.send(data)

    return say


@pytest.mark.parametrize("count", [2, 8, 9, 30])
def test_requests_that_arrive_together_are_answered_each(serve, echo, together, count):
    site = serve(echo)
    clients = [site.dial() for _ in range(count)]
    for client in clients:
        client.get()
    for _ in range(3):
        together(site, *((client, get(f"/{index}")) for index, client in enumerate(clients)))
        for index, client in enumerate(clients):
            assert client.response().content == b"GET /%d " % index


@pytest.mark.parametrize("error", [errno.ECONNRESET, errno.EPIPE, errno.EAGAIN], ids=errno.errorcode.get)
def test_what_becomes_of_one_response_is_not_the_others_concern(serve, echo, together, faults, caplog, error):
    caplog.set_level(logging.INFO)
    struck = faults("send", 5, error)
    site = serve(echo)
    clients = [site.dial() for _ in range(3)]
    for client in clients:
        client.get()
    together(site, *((client, get(f"/{index}")) for index, client in enumerate(clients)))
    contents = [client.response().content for client in clients if client is not clients[1]]
    assert contents == [b"GET /0 ", b"GET /2 "]
    assert struck.struck
    if error == errno.EAGAIN:
        assert clients[1].response().content == b"GET /1 "
        assert clients[1].get("/again").content == b"GET /again "
        assert not caplog.records
    else:
        assert clients[1].ended
        (record,) = caplog.records
        assert record.getMessage().startswith("the response ended early, ")


def test_a_client_that_is_gone_when_a_thread_has_its_response_is_let_go(serve, faults, eventually, caplog):
    caplog.set_level(logging.INFO)
    inside, goes_on = threading.Event(), threading.Event()

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            inside.set()
            goes_on.wait(20)
        start_response("200 OK", [])
        return [b"ok"]

    faults("send", 3)
    site = serve(application)
    slow, other = site.dial(), site.dial()
    slow.get()
    slow.send(get("/slow"))
    inside.wait(20)
    assert other.get().content == b"ok"  # by another leader
    goes_on.set()
    assert slow.ended
    assert other.get().content == b"ok"
    eventually(lambda: len(site.loop._connections) == 1)
    (record,) = caplog.records
    assert record.getMessage().startswith("the response ended early, ")


# Content


@pytest.mark.usefixtures("any_poller")
@pytest.mark.parametrize("size", [0, 1, 65536, 262144, 262145, 3_000_000])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_content_of_any_size_arrives_whole(serve, echo, size, framing):
    content = bytes(range(256)) * (size // 256 + 1)
    content = content[:size]
    client = serve(echo).dial()
    if framing == "length":
        client.send(post("/", content))
    else:
        client.send(get("/", "Transfer-Encoding: chunked").replace(b"GET", b"PUT", 1))
        for at in range(0, size, 99_999):
            piece = content[at : at + 99_999]
            client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        client.send(b"0\r\n\r\n")
    assert client.response().content.partition(b" / ")[2] == content
    assert client.get("/next").content == b"GET /next "


def test_a_client_that_may_have_sent_more_is_not_reset_when_the_server_ends_the_connection(
    serve, echo, eventually
):
    site = serve(echo, limit_requests_per_connection=1)
    client = site.dial()
    client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
    assert b"Connection: close" in client.until(b"\r\n\r\n")
    assert client.take(6) == b"GET / "
    eventually(lambda: phases(site) == [module.LINGER])
    client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")  # it was on its way when the answer came
    assert client.socket.recv(100) == b""


def test_a_connection_that_its_client_wants_ended_is_closed_at_once(serve, echo, eventually):
    site = serve(echo)
    client = site.dial()
    client.send(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
    client.until(b"\r\n\r\n")
    eventually(lambda: phases(site) == [])


def test_what_stands_behind_content_does_not_reset_the_connection(serve, eventually):
    def application(environ, start_response):
        start_response("200 OK", [])
        yield environ["wsgi.input"].read()

    site = serve(application)
    client = site.dial()
    client.send(b"POST / HTTP/1.0\r\nContent-Length: 4\r\n\r\n")
    eventually(lambda: phases(site) == [module.BODY])
    client.send(b"body\r\n")
    client.until(b"\r\n\r\n")
    assert client.take(4) == b"body"
    # Where the connection ends with the content, a reset means that it was cut short.
    assert client.socket.recv(100) == b""


def test_a_client_that_waits_is_told_to_continue(serve, echo):
    client = serve(echo).dial()
    client.send(b"POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
    client.send(b"bo")
    client.send(b"dy" + get("/next"))
    assert client.response().content == b"POST / body"
    assert client.response().content == b"GET /next "


def test_a_client_that_waits_is_told_to_continue_once_there_is_room(serve, monkeypatch, faults, echo):
    attempts = []

    def meet(name):
        if name == "send":
            attempts.append(name)
            if len(attempts) <= 2:  # at once, and when what was not taken is tried again
                raise BlockingIOError(errno.EAGAIN, "no room")

    faults("send", 0).meet = meet
    monkeypatch.setattr(scheduler, "_MOST_AWAY", 0)  # no thread may wait for it
    client = serve(echo).dial()
    client.send(b"POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
    client.send(b"bo")
    client.send(b"dy" + get("/next"))
    assert client.response().content == b"POST / body"
    assert client.response().content == b"GET /next "


@pytest.mark.parametrize(
    "head",
    [b"GARBAGE", b"POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 4"],
    ids=["refused", "told to continue"],
)
def test_the_leader_waits_for_no_client_however_little_may_be_kept(serve, monkeypatch, faults, echo, head):
    attempts, waits = [], []

    def meet(name):
        if name == "send":
            attempts.append(name)
            if len(attempts) <= 2:
                raise BlockingIOError(errno.EAGAIN, "no room")

    faults("send", 0).meet = meet
    monkeypatch.setattr(outgoing, "wait_writable", lambda *arguments: waits.append(arguments) or True)
    client = serve(echo, response_buffer=0, threads=1).dial()
    client.send(head + b"\r\n\r\n")
    assert client.until(b"\r\n") in (b"HTTP/1.1 400 Bad Request", b"HTTP/1.1 100 Continue")
    assert not waits


@pytest.mark.parametrize(("kept", "events"), [(b"", 0), (b"HTTP/1.1 100", WRITE)], ids=["nothing", "interim"])
def test_what_has_not_left_before_the_response_is_polled_for_though_the_lead_goes(kept, events):
    wanted = []
    loop = SimpleNamespace(_want=lambda connection, events: wanted.append(events))
    module.Loop.let_go(loop, SimpleNamespace(outbox=kept, let_go=lambda: None))
    assert wanted == [events]


@pytest.mark.parametrize("asks", ["content", "hints"])
def test_a_client_that_is_gone_is_not_the_applications_fault(serve, faults, echo, caplog, asks):
    def application(environ, start_response):
        if asks == "hints":
            environ["wsgi.early_hints"]([("Link", "</style.css>")])
        return echo(environ, start_response)

    fault = faults("send", 1, errno.ECONNRESET)
    client = serve(application).dial()
    expectation = "Expect: 100-continue\r\n" if asks == "content" else ""
    client.send(f"POST / HTTP/1.1\r\nHost: t\r\n{expectation}Content-Length: 2\r\n\r\n".encode())
    if asks == "hints":
        client.send(b"ok")
    client.until(b"\r\n\r\n")
    assert fault.struck
    assert "the application failed" not in caplog.text


def test_a_client_whose_content_nobody_reads_is_not_told_to_continue(serve):
    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"unread"]

    client = serve(application).dial()
    client.send(b"POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    response = client.response()
    assert (response.status, response.content) == ("200", b"unread")
    assert response.get("Connection") == "close"
    client.half_close()
    assert client.ended


def test_a_client_is_not_told_to_continue_within_its_response(serve):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "8")])
        yield b"read"
        yield environ["wsgi.input"].read()

    client = serve(application).dial()
    client.send(b"POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    assert client.until(b"\r\n\r\n").endswith(b"\r\nConnection: close")
    assert client.take(4) == b"read"
    client.send(b"late")
    assert client.rest() == b"late"


STREAMED = {
    "by length": b"Content-Length: 10\r\n\r\n0123456789",
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n4;x\r\n0123\r\n6\r\n456789\r\n0\r\nX-T: 1\r\n\r\n",
}


@pytest.mark.parametrize("content", STREAMED.values(), ids=STREAMED)
def test_streamed_content_is_read_while_it_arrives(serve, content):
    arrived = []

    def application(environ, start_response):
        arrived.append(environ["wsgi.input"].read(3))
        client.send(content[-5:] + get("/next"))
        arrived.append(environ["wsgi.input"].read())
        assert "HTTP_TRANSFER_ENCODING" not in environ  # what is read is decoded
        start_response("200 OK", [("X-Trailers", repr(environ.get("wsgix.trailers", [])))])
        return [b"".join(arrived)]

    def dispatch(environ, start_response):
        if environ["PATH_INFO"] == "/next":
            start_response("200 OK", [])
            return [b"next"]
        return application(environ, start_response)

    client = serve(dispatch, stream_requests=True).dial()
    client.send(b"POST / HTTP/1.1\r\nHost: t\r\n" + content[:-5])
    response = client.response()
    assert response.content == b"0123456789"
    assert response.get("X-Trailers") == ("[('X-T', '1')]" if b"X-T" in content else "[]")
    assert arrived[0] == b"012"
    assert client.response().content == b"next"


@pytest.mark.parametrize("content", STREAMED.values(), ids=STREAMED)
def test_streamed_content_that_nobody_reads_is_skipped(serve, content):
    def application(environ, start_response):
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode()]

    client = serve(application, stream_requests=True).dial()
    client.send(b"POST /first HTTP/1.1\r\nHost: t\r\n" + content[:-5])
    assert client.response().content == b"/first"
    client.send(content[-5:] + get("/next"))
    assert client.response().content == b"/next"


@pytest.mark.parametrize("first", ["/fast", "/slow"])
def test_a_slow_request_behind_skipped_content_is_run_once(serve, eventually, first):
    goes_on = {"/slow": threading.Event(), "/slower": threading.Event()}
    calls = []

    def application(environ, start_response):
        path = environ["PATH_INFO"]
        calls.append(path)
        if path in goes_on:
            goes_on[path].wait(20)
        start_response("200 OK", [])
        return [path.encode()]

    site = serve(application, stream_requests=True)
    client = site.dial()
    # With trailers, content is not taken in one piece with its head.
    client.send(CHUNKED.replace(b"/chunked", first.encode()) + get("/slower"))
    if first == "/slow":
        eventually(lambda: site.loop.scheduler._running == 1)  # on a thread that has lost the lead
        goes_on[first].set()
    assert client.response().content == first.encode()
    eventually(lambda: "/slower" in calls)
    # Whoever leads now comes to this client only when nothing else is ready.
    assert site.get("/other").content == b"/other"
    goes_on["/slower"].set()
    assert client.response().content == b"/slower"
    assert client.get("/next").content == b"/next"
    assert calls == [first, "/slower", "/other", "/next"]


def test_streamed_content_that_nobody_reads_and_is_large_ends_the_connection(serve):
    def application(environ, start_response):
        start_response("413 Content Too Large", [])
        return [b"too much"]

    client = serve(application, stream_requests=True).dial()
    client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n")
    assert client.response().content == b"too much"
    client.send(b"x" * 100_000)
    assert client.ended


def test_streamed_content_that_nobody_reads_and_comes_slowly_does_not_reset_the_connection(
    serve, clock, eventually
):
    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"answer"]

    site = serve(application, stream_requests=True)
    client = site.dial()
    client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n")
    eventually(lambda: phases(site) == [module.SKIP])
    clock.advance(departures.SKIP_SECONDS + 1)
    eventually(lambda: phases(site) == [module.LINGER])
    client.send(b"x" * 1000)  # a client that sends all before it reads
    assert client.response().content == b"answer"
    client.half_close()
    assert client.ended


def test_a_thread_that_reads_on_when_the_response_is_over_takes_nothing_of_the_next_request(
    serve, echo, held_reading, eventually
):
    waits, goes_on = held_reading
    failures = []

    def read(content):
        for _ in range(2):
            try:
                content.read()
            except IncompleteBody as error:
                failures.append(str(error))

    def application(environ, start_response):
        if environ["REQUEST_METHOD"] == "GET":
            return echo(environ, start_response)
        threading.Thread(target=read, args=(environ["wsgi.input"],), daemon=True).start()
        assert waits.wait(20)
        start_response("200 OK", [("Content-Length", "4")])
        return [b"over"]

    site = serve(application, stream_requests=True)
    client = site.dial()
    client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n01234")
    assert client.response().content == b"over"
    client.send(b"56789")
    eventually(lambda: phases(site) == [module.HEAD])
    goes_on.set()
    eventually(lambda: len(failures) == 2)
    assert "the response was over" in failures[0]
    assert client.get("/next").content == b"GET /next "


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"Content-Length: 10\r\n\r\n0123", "400"),
        (b"Transfer-Encoding: chunked\r\n\r\n4\r\n01", "400"),
        (b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "400"),
        (b"Transfer-Encoding: chunked\r\n\r\n7fffffff\r\n", "413"),
    ],
)
def test_streamed_content_that_fails_is_refused_where_the_application_reads_it(serve, echo, content, status):
    client = serve(echo, stream_requests=True).dial()
    client.send(b"POST / HTTP/1.1\r\nHost: t\r\n" + content)
    client.half_close()
    assert client.response().status == status
    assert client.ended


@pytest.mark.parametrize("expectation", ["", "Expect: 100-continue\r\n"], ids=["streamed", "continue"])
def test_the_time_of_a_slow_application_is_not_the_clients(
    serve, monkeypatch, clock, eventually, expectation
):
    allowed = []

    def wait_readable(fd, seconds):
        allowed.append(seconds)
        return poller.wait_readable(fd, 20)

    monkeypatch.setattr(streaming, "wait_readable", wait_readable)
    monkeypatch.setattr(streaming, "time", clock)

    def application(environ, start_response):
        clock.advance(1000)
        content = environ["wsgi.input"].read(2)
        clock.advance(1000)
        content += environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [content]

    client = serve(application, stream_requests=not expectation).dial()
    client.send(f"POST / HTTP/1.1\r\nHost: t\r\n{expectation}Content-Length: 4\r\n\r\n".encode())
    if expectation:
        assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
    for times, content in ((1, b"ab"), (2, b"cd")):
        eventually(lambda times=times: len(allowed) == times)
        client.send(content)
    assert client.response().content == b"abcd"
    assert min(allowed) > 0


def test_streamed_content_that_is_too_slow_is_refused(serve, echo):
    client = serve(echo, stream_requests=True, body_timeout=0.05).dial()
    client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nab")
    assert client.response().status == "408"
    assert client.ended


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(
    ("length", "last"),
    [("10", None), ("10", b"d"), ("10", "d"), ("11", "d"), (None, None), (None, "d")],
    ids=["fails", "too much", "too much and text", "text", "fails without length", "text without length"],
)
def test_small_blocks_leave_however_the_response_ends(serve, length, last, kept):
    def application(environ, start_response):
        if environ["PATH_INFO"] == "/whole":
            start_response("200 OK", [("Content-Length", "0")])
            return []
        start_response("200 OK", [("Content-Length", length)] if length else [])
        return blocks()

    def blocks():
        yield b"first"
        yield b"secon"
        if last is None:
            raise ZeroDivisionError
        yield last

    site = serve(application)
    for _ in range(5):
        client = site.dial()
        if kept:
            client.get("/whole")
        client.send(get("/"))
        client.until(b"\r\n\r\n")
        if length:
            assert client.take(10) == b"firstsecon"
        else:
            chunk = int(client.until(b"\r\n"), 16)
            assert client.take(chunk) == b"firstsecon"[:chunk]
            if chunk == 5:
                client.until(b"\r\n5\r\nsecon")


@pytest.mark.parametrize("kept", [False, True])
def test_nothing_follows_a_whole_response_of_which_an_iterator_writes_too_much(serve, kept):
    def application(environ, start_response):
        write = start_response("200 OK", [("Content-Length", "10")])
        return [b"firstsecon"] if environ["PATH_INFO"] == "/whole" else blocks(write)

    def blocks(write):
        yield b"first"
        write(b"secondary")

    client = serve(application).dial()
    if kept:
        client.get("/whole")
    client.send(get("/"))
    assert client.rest().endswith(b"\r\n\r\nfirstsecon")


def test_a_connection_that_the_leader_closes_at_once_costs_no_thread(serve, monkeypatch, eventually, caplog):
    is_inside, goes_on = threading.Event(), threading.Event()

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            is_inside.set()
            goes_on.wait(20)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    def wait_for_next(self, *arguments):
        monkeypatch.setattr(Connection, "wait_for_next", real_wait_for_next)  # this once
        real_wait_for_next(self, *arguments)
        site.loop._close(self)  # as the leader does with a client that has gone

    site = serve(application, threads=1)
    client = site.dial()
    client.send(get("/slow"))
    assert is_inside.wait(20)
    eventually(lambda: site.loop.scheduler._running == 1)  # it has lost the lead
    real_wait_for_next = Connection.wait_for_next
    monkeypatch.setattr(Connection, "wait_for_next", wait_for_next)
    goes_on.set()
    assert client.response().content == b"ok"
    eventually(lambda: site.loop.scheduler._running == 0)
    assert site.get("/next").content == b"ok"
    assert not caplog.records


def test_early_hints_leave_before_the_response(serve):
    def application(environ, start_response):
        environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload")])
        start_response("200 OK", [])
        environ["wsgi.early_hints"]([("Link", "</more.css>; rel=preload")])
        yield b"abc"
        environ["wsgi.early_hints"]([("Link", "</late.css>; rel=preload")])

    client = serve(application).dial()
    client.send(get("/"))
    hints = client.until(b"\r\n\r\n"), client.until(b"\r\n\r\n")
    assert hints == (
        b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload",
        b"HTTP/1.1 103 Early Hints\r\nLink: </more.css>; rel=preload",
    )
    assert client.response().content == b"abc"
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    assert client.response().status == "200"


def test_an_application_that_changes_the_version_in_its_environ_changes_no_protocol(serve):
    def application(environ, start_response):
        environ["SERVER_PROTOCOL"] = environ["QUERY_STRING"]
        environ["wsgi.early_hints"]([("Link", "</style.css>")])
        start_response("200 OK", [])
        yield b"abc"
        raise ZeroDivisionError

    site = serve(application)
    old, new = site.dial(), site.dial()
    old.send(b"GET /?HTTP/1.1 HTTP/1.0\r\n\r\n")
    assert old.until(b"\r\n").startswith(b"HTTP/1.1 200")
    # Only a reset tells it that the content is not whole.
    with pytest.raises(ConnectionResetError):
        [*iter(lambda: old.socket.recv(100), b"")]
    new.send(get("/?HTTP/1.0"))
    assert new.until(b"\r\n").startswith(b"HTTP/1.1 103")


@pytest.mark.parametrize("offset", [0, 1000])
@pytest.mark.parametrize("size", [0, 1001, 3_000_000])
def test_a_file_is_sent_whole_whoever_closes_it(serve, tmp_path, offset, size):
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    (tmp_path / "file").write_bytes(content)

    def application(environ, start_response):
        file = open(tmp_path / "file", "rb")  # noqa: SIM115 (the server closes it)
        file.seek(offset)
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](file)

    client = serve(application).dial()
    for method in ("GET", "HEAD", "GET"):
        client.send(f"{method} / HTTP/1.1\r\nHost: t\r\n\r\n".encode())
        if method == "HEAD":
            head = client.until(b"\r\n\r\n")
            assert not max(size - offset, 0) or b"Content-Length: %d" % (size - offset) in head
        else:
            assert client.response().content == content[offset:]


def test_an_old_client_sees_that_a_file_became_shorter_while_it_was_sent(serve, tmp_path, eventually):
    file = tmp_path / "f"
    file.write_bytes(b"x" * 20_000_000)

    def application(environ, start_response):
        start_response("200 OK", [])(b"begin")  # before it is known that a file follows, and how long it is
        return environ["wsgi.file_wrapper"](file.open("rb"))

    site = serve(application)
    client = site.dial()
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    client.until(b"begin")
    eventually(lambda: phases(site) == [Phase.FLUSH])
    os.truncate(file, 1_000)
    with pytest.raises(ConnectionResetError):
        receive_all(client.socket)


def test_a_file_is_cut_to_the_declared_length_and_too_short_a_one_is_seen(serve, tmp_path, truncated):
    (tmp_path / "file").write_bytes(b"0123456789")

    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", environ["QUERY_STRING"])])
        return environ["wsgi.file_wrapper"](open(tmp_path / "file", "rb"))

    client = serve(application).dial()
    client.send(get("/?4"))
    assert client.response().content == b"0123"
    client.send(get("/?12"))
    with pytest.raises(truncated):
        client.response()


@pytest.mark.parametrize("length", [[], [("Content-Length", "3000000")]])
def test_a_file_is_sent_whole_though_no_descriptor_is_left(serve, tmp_path, monkeypatch, length):
    content = bytes(range(250)) * 12_000
    (tmp_path / "file").write_bytes(content)

    def no_descriptor(fd):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def application(environ, start_response):
        start_response("200 OK", length)
        return environ["wsgi.file_wrapper"](open(tmp_path / "file", "rb"))

    monkeypatch.setattr(os, "dup", no_descriptor)
    client = serve(application).dial()
    for _ in range(2):
        assert client.get().content == content


def test_a_response_that_stalls_again_goes_on_while_the_application_does(serve, eventually):
    block = b"x" * (8 << 20)
    goes_on, ends = threading.Event(), threading.Event()

    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", str(2 * len(block)))])
        yield block
        goes_on.wait(20)
        yield block
        ends.wait(60)

    site = serve(application, response_buffer=32 << 20)
    client = site.dial()
    client.send(get("/"))
    client.until(b"\r\n\r\n")
    (connection,) = site.loop._connections.values()
    assert client.take(len(block)) == block
    eventually(lambda: not connection.outbox and not connection.interest)
    goes_on.set()
    eventually(lambda: connection.outbox)
    try:
        assert client.take(len(block)) == block
    finally:
        ends.set()


def test_a_file_behind_a_block_that_stalled_is_sent_whole(serve, tmp_path, monkeypatch, eventually):
    block = b"x" * (8 << 20)
    (tmp_path / "file").write_bytes(block)
    block_has_left, file_begins = threading.Event(), threading.Event()

    def application(environ, start_response):
        write = start_response("200 OK", [("Content-Length", str(2 * len(block)))])
        write(block)
        block_has_left.wait(20)
        return environ["wsgi.file_wrapper"](open(tmp_path / "file", "rb"))

    def dup(fd):
        file_begins.set()
        return real_dup(fd)

    def close_file(self):
        if not block_has_left.is_set():
            # The leader has sent the block. Were the file begun now, it would be closed as if it were done.
            block_has_left.set()
            if file_begins.wait(0.2):
                eventually(lambda: self.file_left)
        real_close_file(self)

    real_dup, real_close_file = os.dup, Connection._close_file
    monkeypatch.setattr(os, "dup", dup)
    monkeypatch.setattr(Connection, "_close_file", close_file)
    site = serve(application, response_buffer=16 << 20)
    client = site.dial()
    client.send(get("/"))
    eventually(lambda: [each.interest for each in [*site.loop._connections.values()]] == [WRITE])
    client.until(b"\r\n\r\n")
    assert client.take(len(block)) == block
    assert client.take(len(block)) == block


def test_a_file_that_shrinks_while_it_is_sent_is_seen_to_be_cut_and_logged(
    serve, tmp_path, eventually, truncated, caplog
):
    size = 16 << 20
    (tmp_path / "file").write_bytes(b"x" * size)

    def application(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](open(tmp_path / "file", "rb"))

    site = serve(application)
    client = site.dial()
    client.send(get("/"))
    eventually(lambda: phases(site) == [module.FLUSH])
    os.truncate(tmp_path / "file", 0)
    with pytest.raises(truncated):
        client.response()
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.message == (
        "cannot read the file that 127.0.0.1 is sent: it became shorter while it was sent"
    )


def test_a_file_that_is_open_for_writing_only_is_the_applications_fault(serve, tmp_path, truncated, caplog):
    (tmp_path / "file").write_bytes(b"content")

    def application(environ, start_response):
        start_response("200 OK", [])
        fd = os.open(tmp_path / "file", os.O_WRONLY)
        return environ["wsgi.file_wrapper"](os.fdopen(fd, "wb", 0))

    with pytest.raises(truncated):
        serve(application).get()
    (record,) = caplog.records
    assert record.message.startswith("the application failed")


def test_a_file_that_one_client_takes_quickly_leaves_turns_to_others(serve, tmp_path, monkeypatch):
    content = bytes(range(250)) * 40
    (tmp_path / "file").write_bytes(content)
    turns = []

    def flush(self, connection):
        turns.append(connection.file_left)
        real_flush(self, connection)

    real_flush = module.Loop._flush
    monkeypatch.setattr(module.Loop, "_flush", flush)
    monkeypatch.setattr(outgoing, "TURN", 1000)

    def application(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](open(tmp_path / "file", "rb"))

    assert serve(application).get().content == content
    # The first turn is that of the thread of the application, the second follows from its end.
    assert turns == [*range(8000, 0, -1000)]


OF_THE_KERNEL = {
    "no size": "/proc/version",
    "a size that says nothing": "/sys/kernel/mm/transparent_hugepage/enabled",
}


@pytest.mark.parametrize("kind", ["gzip", "temporary", *OF_THE_KERNEL])
def test_a_file_is_sent_as_it_would_be_read(serve, tmp_path, kind):
    with gzip.open(tmp_path / "file.gz", "wb") as file:
        file.write(b"content")
    made = OF_THE_KERNEL.get(kind)

    def application(environ, start_response):
        start_response("200 OK", [])
        if kind == "gzip":
            file = gzip.open(tmp_path / "file.gz")  # noqa: SIM115 (the server closes it)
        elif made:
            file = open(made, "rb")  # noqa: SIM115
        else:
            file = tempfile.NamedTemporaryFile()  # noqa: SIM115
            file.write(b"content")
            file.seek(0)
        return environ["wsgi.file_wrapper"](file)

    if made and not os.path.exists(made):
        pytest.skip(f"there is no {made}")
    client = serve(application).dial()
    assert client.get().content == (Path(made).read_bytes() if made else b"content")
    assert client.get("/again").status == "200"


@pytest.mark.parametrize("size", [8192, 3])
@pytest.mark.parametrize("headers", [[], [("Content-Length", "7")]], ids=["no length", "a length"])
def test_a_wrapper_that_changes_what_it_reads_is_asked_for_its_blocks(serve, tmp_path, headers, size):
    (tmp_path / "file").write_bytes(b"content")

    def application(environ, start_response):
        wrapper = environ["wsgi.file_wrapper"]

        class Next(wrapper):
            def __next__(self):
                return super().__next__().upper()

        class Iter(wrapper):
            def __iter__(self):
                yield self.filelike.read().upper()

        start_response("200 OK", headers)
        kind = Next if environ["PATH_INFO"] == "/next" else Iter
        return kind(open(tmp_path / "file", "rb"), size)

    client = serve(application).dial()
    for target in ("/next", "/iter"):
        assert client.get(target).content == b"CONTENT"


@pytest.mark.parametrize("fault", [errno.EINVAL, errno.ENOSYS], ids=errno.errorcode.get)
def test_a_file_that_sendfile_is_not_for_is_read(serve, tmp_path, monkeypatch, fault):
    content = bytes(range(256)) * 4096
    (tmp_path / "file").write_bytes(content)

    def application(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](open(tmp_path / "file", "rb"))

    def sendfile(*_):
        raise OSError(fault, os.strerror(fault))

    monkeypatch.setattr(os, "sendfile", sendfile)
    client = serve(application).dial()
    for _ in range(2):
        assert client.get().content == content


@pytest.mark.parametrize("is_late", [False, True], ids=["at once", "in the loop"])
@pytest.mark.parametrize(
    "fault",
    [errno.EIO, errno.ESTALE, errno.ECONNRESET, errno.ETIMEDOUT, errno.ENOTCONN],
    ids=errno.errorcode.get,
)
def test_an_error_is_logged_for_a_file_that_cannot_be_read_and_not_for_a_client_that_is_gone(
    serve, tmp_path, monkeypatch, caplog, fault, is_late
):
    (tmp_path / "file").write_bytes(b"content")
    faults = [BlockingIOError(errno.EAGAIN, "later")] if is_late else []
    faults.append(OSError(fault, os.strerror(fault)))

    def application(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](open(tmp_path / "file", "rb"))

    def sendfile(*_):
        raise faults.pop(0)

    monkeypatch.setattr(os, "sendfile", sendfile)
    client = serve(application).dial()
    with pytest.raises(Truncated):
        client.get()
    serve.stop()
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == (fault in (errno.EIO, errno.ESTALE))


def test_what_is_no_regular_file_is_sent_by_blocks(serve):
    def application(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"abc" * 10_000), 1000)

    assert serve(application).get().content == b"abc" * 10_000


def test_a_socket_that_the_application_takes_is_its_own(serve, caplog):
    def application(environ, start_response):
        if "HTTP_UPGRADE" not in environ:
            start_response("200 OK", [])
            return [b"plain"]
        taken = environ["wsgix.socket"]
        assert environ["gunicorn.socket"] is taken
        if environ["PATH_INFO"] == "/refuse":
            start_response("200 OK", [])
            return [b"no"]
        taken.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
        while data := taken.recv(100):
            taken.send(data)
        raise StopIteration

    site = serve(application)
    upgrade = b"GET /%b HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
    client = site.dial()
    client.send(upgrade % b"refuse")
    assert client.response().content == b"no"
    client.send(upgrade % b"")
    assert client.until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    client.send(b"ping")
    assert client.take(4) == b"ping"
    assert site.get().content == b"plain"
    client.half_close()
    assert client.ended
    assert not caplog.records


UPGRADE = ("Connection: Upgrade", "Upgrade: h2c")

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"


def take(environ):
    environ["wsgix.socket"].sendall(SWITCH + b"taken")


def take_and_return_no_response(environ, start_response):
    take(environ)
    return []


def take_and_return_a_block(environ, start_response):
    take(environ)
    start_response("200 OK", [("Content-Length", "4")])
    return [b"more"]


def take_and_return_too_little(environ, start_response):
    take(environ)
    start_response("200 OK", [("Content-Length", "4")])
    return [b""]


def take_and_return_blocks(environ, start_response):
    take(environ)
    start_response("200 OK", [])
    return itertools.repeat(b"more")


def take_and_write(environ, start_response):
    take(environ)
    write = start_response("200 OK", [("Content-Length", "8")])
    write(b"more")
    write(b"more")
    return []


def take_and_return_a_file(environ, start_response):
    take(environ)
    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](open(__file__, "rb"))


def take_and_give_hints(environ, start_response):
    take(environ)
    environ["wsgi.early_hints"]([("Link", "</a.css>; rel=preload")])
    return []


def take_while_iterated(environ, start_response):
    yield b""
    take(environ)
    yield b""


def start_and_take_while_iterated(environ, start_response):
    start_response("200 OK", [])
    yield b""
    take(environ)
    yield b"more"


def take_and_raise(environ, start_response):
    take(environ)
    raise StopIteration


@pytest.mark.parametrize(
    "application",
    [
        take_and_return_no_response,
        take_and_return_a_block,
        take_and_return_too_little,
        take_and_return_blocks,
        take_and_write,
        take_and_return_a_file,
        take_and_give_hints,
        take_while_iterated,
        start_and_take_while_iterated,
        take_and_raise,
    ],
)
@pytest.mark.parametrize("request_timeout", [0, 100])
def test_whoever_takes_the_socket_is_the_only_one_who_answers(
    serve, tmp_path, caplog, application, request_timeout
):
    log = tmp_path / "log"
    site = serve(application, access_log=str(log), request_timeout=request_timeout)
    client = site.dial()
    client.send(get("/", *UPGRADE))
    assert client.rest() == SWITCH + b"taken"
    serve.stop()
    assert '"GET / HTTP/1.1" 101 ' in log.read_text()
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_what_follows_a_take_over_is_no_request(serve):
    calls = []

    def application(environ, start_response):
        calls.append(environ["PATH_INFO"])
        take(environ)
        start_response("200 OK", [])
        return []

    client = serve(application).dial()
    client.send(get("/first", *UPGRADE) + get("/second"))
    assert client.rest() == SWITCH + b"taken"
    assert calls == ["/first"]


def test_what_is_kept_of_a_response_when_the_socket_is_taken_never_leaves(serve):
    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"held"  # to leave with what comes quickly behind it
        yield b"gathered"
        take(environ)
        yield b"more"

    client = serve(application).dial()
    client.send(get("/", *UPGRADE))
    assert client.rest() == SWITCH + b"taken"


def test_a_thread_that_the_application_leaves_behind_is_woken_and_its_client_told(serve):
    application = Leaving(SWITCH + b"taken")
    client = serve(application).dial()
    client.send(get("/", *UPGRADE))
    assert client.take(len(SWITCH) + 5) == SWITCH + b"taken"
    client.send(b"x")
    assert client.ended
    application.thread.join(20)
    assert not application.thread.is_alive()


def test_a_socket_of_a_request_that_is_over_takes_nothing(serve):
    lent = []

    def application(environ, start_response):
        lent.append(environ.get("wsgix.socket"))
        start_response("200 OK", [])
        return [b"ok"]

    client = serve(application).dial()
    assert client.get("/", *UPGRADE).content == b"ok"
    assert client.get("/", *UPGRADE).content == b"ok"
    with pytest.raises(OSError, match="Bad file descriptor"):
        lent[0].send(b"late")
    assert client.get("/").content == b"ok"


def test_a_file_of_the_socket_of_a_request_that_is_over_takes_nothing(serve):
    files = []

    def application(environ, start_response):
        files.append(environ["wsgix.socket"].makefile("rwb", buffering=0))
        start_response("200 OK", [])
        return [b"ok"]

    client = serve(application).dial()
    assert client.get("/", *UPGRADE).content == b"ok"
    assert client.get("/", *UPGRADE).content == b"ok"
    with files[0] as file, pytest.raises(OSError, match="Bad file descriptor"):
        file.write(b"late")
    assert client.get("/", *UPGRADE).content == b"ok"


def test_clients_that_ask_for_another_protocol_and_send_half_their_content_stop_nobody(serve, echo):
    site = serve(echo, threads=2)
    clients = [site.dial() for _ in range(4)]
    # As much as is received at a time: only another call of the system tells that there is no more.
    begun = post("/", b"x" * 100_000, *UPGRADE)[: streaming.RECEIVE_SIZE]
    for client in clients:
        client.get("/first")
        client.send(begun)
        assert site.get("/other").content == b"GET /other "
    for client in clients:
        client.send(post("/", b"x" * 100_000, *UPGRADE)[len(begun) :])
        assert client.response().content == b"POST / " + b"x" * 100_000


def test_clients_that_ask_for_another_protocol_and_read_no_response_stop_nobody(serve, eventually):
    begun = []

    def application(environ, start_response):
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/other":
            return [b"other"]
        begun.append(environ)
        return (b"y" * 60_000 for _ in range(150))

    site = serve(application, threads=2, response_buffer=65536)
    clients = [site.dial() for _ in range(4)]
    for number, client in enumerate(clients):
        client.send(get("/", *UPGRADE))
        eventually(lambda number=number: len(begun) == number + 1)
        assert site.get("/other").content == b"other"
    for client in clients:
        assert client.response().content == b"y" * 9_000_000


def test_without_a_descriptor_to_lend_a_request_for_another_protocol_is_answered(serve, monkeypatch):
    def application(environ, start_response):
        start_response("200 OK", [])
        return [repr("wsgix.socket" in environ or "gunicorn.socket" in environ).encode()]

    site = serve(application)
    client = site.dial()
    assert client.get("/", *UPGRADE).content == b"True"
    with monkeypatch.context() as patch:
        patch.setattr(socket, "dup", fail_without_descriptors)
        assert client.get("/", *UPGRADE).content == b"False"
    assert client.get("/", *UPGRADE).content == b"True"


def fail_without_descriptors(_fd):
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def test_a_connection_serves_no_more_requests_than_it_may(serve, echo):
    site = serve(echo, limit_requests_per_connection=2)
    client = site.dial()
    assert client.get("/").get("Connection") is None
    assert client.get("/").get("Connection") == "close"
    assert client.ended
    client = serve(echo, limit_requests_per_connection=1).dial()
    assert client.get("/").get("Connection") == "close"


def test_more_clients_than_the_limit_wait_for_their_turn(serve, echo):
    site = serve(echo, limit_connections=2)
    first, second = site.dial(), site.dial()
    assert first.get("/").status == second.get("/").status == "200"
    third = site.dial()
    third.send(get("/"))
    first.close()
    assert third.response().status == "200"


@pytest.mark.usefixtures("any_poller")
def test_several_listeners_let_in_no_more_clients_than_one(echo):
    settings = make_settings(bind=["127.0.0.1:0"] * 3, limit_connections=1, access_log=False)
    listeners = open_listeners(settings.bind, settings.socket_options)
    clients = [Client(listener.socket.getsockname()) for listener in listeners]
    for client in clients:
        client.send(get("/"))
    worker = Worker(echo, listeners, settings)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        while clients:
            ready = select.select([client.socket for client in clients], [], [], 20)[0]
            # Whom it lets in first is the system's choice.
            client = next(client for client in clients if client.socket in ready)
            clients.remove(client)
            with client:
                assert client.response().status == "200"
                assert client.get("/again").status == "200"
                assert len(worker._loop._connections) == 1
    finally:
        worker.stop()
        thread.join()
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    "message",
    [
        post("/", b"body")[:-1],
        post("/", b"body")[:-4],
        *(CHUNKED[:-cut] for cut in (1, 2, 15, 20, 30)),
        get("/")[:-1],
        b"G",
    ],
)
def test_a_request_cut_short_is_400_and_never_reaches_the_application(serve, echo, message):
    client = serve(echo).dial()
    client.send(message)
    client.half_close()
    response = client.response()
    assert response.status == "400"
    assert response.get("Connection") == "close"
    assert client.ended
    assert echo.calls == 0


def test_a_client_that_half_closes_gets_its_answers(serve, echo):
    client = serve(echo).dial()
    client.send(get("/1") + get("/2"))
    client.half_close()
    assert client.response().content == b"GET /1 "
    assert client.response().content == b"GET /2 "
    assert client.ended


def test_of_too_many_clients_that_keep_threads_waiting_the_slowest_is_cut_off(serve, monkeypatch, eventually):
    monkeypatch.setattr(scheduler, "_MOST_AWAY", 1)

    def application(environ, start_response):
        start_response("200 OK", [])
        while True:
            yield b"x" * 65536

    site = serve(application, response_buffer=0)
    waited_for = site.loop.scheduler._away
    with site.dial() as first, site.dial() as second:
        first.send(get("/"))
        eventually(lambda: waited_for)
        longest = next(iter(waited_for))
        second.send(get("/"))
        eventually(lambda: waited_for and longest not in waited_for)
        assert first.rest()  # to its end
        assert len(phases(site)) == 1
    eventually(lambda: not phases(site))


def test_a_client_that_reads_nothing_is_given_up_by_the_thread_that_waits_for_it(serve, eventually, caplog):
    closed = threading.Event()

    def application(environ, start_response):
        start_response("200 OK", [])
        try:
            while True:
                yield b"x" * 65536
        finally:
            closed.set()

    client = serve(application, response_buffer=0, write_timeout=0.05).dial()
    client.send(get("/"))
    assert closed.wait(20)
    assert not client.rest().endswith(b"0\r\n\r\n")
    assert "the application failed" not in caplog.text


def test_a_client_that_is_given_up_sees_that_its_response_is_cut(serve, clock, eventually):
    def application(environ, start_response):
        start_response("200 OK", [])
        return iter([b"x" * (8 << 20)])

    site = serve(application, response_buffer=16 << 20)
    client = site.dial()
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    eventually(lambda: phases(site) == [module.FLUSH])
    clock.advance(31)
    eventually(lambda: not phases(site))
    # The end of the connection would be that of the content.
    with pytest.raises(ConnectionResetError):
        [*iter(lambda: client.socket.recv(1 << 20), b"")]


def test_a_client_that_ends_with_content_that_nobody_reads_is_not_reset(serve, eventually, monkeypatch):
    monkeypatch.setattr(departures, "SKIP_SECONDS", 3600.0)  # there is no next request to read on to

    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"unread"]

    site = serve(application, stream_requests=True)
    client = site.dial()
    client.send(get("/", "Connection: close", "Content-Length: 1000"))
    eventually(lambda: phases(site) == [module.LINGER])
    client.send(b"x" * 1000)  # a client that sends all before it reads
    assert client.response().content == b"unread"
    client.half_close()
    assert client.ended


def test_streamed_content_that_nobody_reads_is_skipped_up_to_a_limit(serve, eventually):
    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"unread"]

    site = serve(application, stream_requests=True)
    client = site.dial()
    client.send(get("/", "Content-Length: 1000000"))
    assert client.response().content == b"unread"
    eventually(lambda: phases(site) == [module.SKIP])
    client.send(b"x" * (departures.SKIP_BYTES + 1))
    eventually(lambda: phases(site) == [module.LINGER])
    client.half_close()
    assert client.ended


@pytest.mark.parametrize("comes", ["with the head", "later"])
def test_streamed_content_earns_its_client_time(serve, monkeypatch, eventually, comes):
    allowed = []

    def wait_readable(fd, seconds):
        allowed.append(seconds)
        return poller.wait_readable(fd, seconds)

    def application(environ, start_response):
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]

    monkeypatch.setattr(streaming, "wait_readable", wait_readable)
    client = serve(application, stream_requests=True, body_timeout=15, body_rate=1).dial()
    head, content = get("/", "Content-Length: 1001"), b"x" * 1000
    if comes == "with the head":
        client.send(head + content)
    else:
        client.send(head)
        eventually(lambda: allowed)
        assert allowed[0] <= 15
        client.send(content)
    eventually(lambda: allowed and 900 < allowed[-1] <= 1015)
    client.send(b"x")
    assert client.response().content == b"x" * 1001


# What a proxy says of its client

FORWARDED = get("/", "X-Forwarded-For: 192.0.2.9", "X-Forwarded-Proto: https")


def client_of(environ, start_response):
    start_response("200 OK", [])
    fields = [environ.get(name, "-") for name in ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO")]
    return [" ".join([environ["REMOTE_ADDR"], environ["wsgi.url_scheme"], *fields]).encode()]


@pytest.mark.parametrize(
    ("proxy", "told"),
    [("127.0.0.1", b"192.0.2.9 https 192.0.2.9 https"), ("192.0.2.1", b"127.0.0.1 http - -")],
    ids=["trusted", "stranger"],
)
def test_what_is_said_of_a_client_counts_for_each_request_of_a_trusted_proxy(serve, proxy, told):
    client = serve(client_of, forwarded_from=[proxy]).dial()
    for _ in range(4):
        client.send(FORWARDED)
        assert client.response().content == told
    client.send(FORWARDED * 3)
    assert [client.response().content for _ in range(3)] == [told] * 3
    client.send(get("/"))
    assert client.response().content == b"127.0.0.1 http - -"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_nonsense_about_a_client_is_refused(serve, method):
    client = serve(client_of, forwarded_from=["127.0.0.1"]).dial()
    client.send(FORWARDED)
    assert client.response().status == "200"
    client.send(FORWARDED.replace(b"192.0.2.9", b"nobody").replace(b"GET", method.encode()))
    response = client.response(method)
    assert response.status == "400"
    assert response.get("Connection") == "close"
    client.half_close()
    assert client.ended


# Early answers

REFUSED = {
    "no request": (b"GARBAGE\r\n\r\n", "400"),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", "400"),
    "both framings": (get("/", "Content-Length: 3", "Transfer-Encoding: chunked"), "400"),
    "two lengths": (get("/", "Content-Length: 3", "Content-Length: 4"), "400"),
    "too large": (get("/", "Content-Length: 99999999999"), "413"),
    "chunk too large": (get("/", "Transfer-Encoding: chunked") + b"ffffffffff\r\n", "413"),
    "bad chunk": (get("/", "Transfer-Encoding: chunked") + b"zz\r\n", "400"),
    "long line": (get("/" + "x" * 9000), "414"),
    "long field": (get("/", "X: " + "x" * 9000), "431"),
    "coding": (get("/", "Transfer-Encoding: gzip, chunked"), "501"),
    "expectation": (get("/", "Expect: miracles"), "417"),
    "version": (b"GET / HTTP/2.0\r\nHost: t\r\n\r\n", "505"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_request_is_answered_closed_and_never_reaches_the_application(serve, echo, name):
    message, status = REFUSED[name]
    client = serve(echo, access_log=True).dial()
    client.send(get("/before") + message)
    assert client.response().status == "200"
    response = client.response()
    assert response.status == status
    assert response.get("Connection") == "close"
    client.half_close()
    assert client.ended
    assert echo.calls == 1


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (["Content-Length: 99999999999"], 413),
        (["Host: other"], 400),
        (["X: " + "x" * 9000], 431),
        (["X-Forwarded-For: nobody"], 400),
    ],
)
def test_a_refused_head_is_answered_without_content_and_logged_with_its_line(
    serve, echo, tmp_path, fields, status
):
    path = tmp_path / "access.log"
    client = serve(echo, access_log=path, forwarded_from="127.0.0.1").dial()
    client.send(get("/before") + get("/refused", *fields).replace(b"GET", b"HEAD"))
    assert client.response().status == "200"
    assert client.response("HEAD").status == str(status)
    client.half_close()
    assert client.ended  # "the server MUST NOT send content in the response" (RFC 9110, 9.3.2)
    serve.stop()
    assert f'"HEAD /refused HTTP/1.1" {status} - ' in path.read_text()


def test_a_head_that_comes_too_slowly_is_answered_without_content(serve, echo, clock, eventually):
    site = serve(echo)
    client = site.dial()
    client.send(b"HEAD /slow HTTP/1.1\r\nHost:")
    eventually(lambda: [c.begun for c in [*site.loop._connections.values()]] == [True])
    clock.advance(SETTINGS.head_timeout + 1)
    assert client.response("HEAD").status == "408"
    client.half_close()
    assert client.ended


@pytest.mark.parametrize(
    "message",
    [
        get("/", "X-Forwarded-For: 192.0.2.2", "Bad Name: 1"),
        get("/", "X-Forwarded-For: nobody"),
        get("/", "X-Forwarded-For: 192.0.2.2")[:-1],
    ],
)
def test_a_request_that_could_not_be_read_is_not_put_down_to_the_last_client(
    serve, echo, tmp_path, caplog, message
):
    caplog.set_level(logging.INFO, "wsgix.error")
    path = tmp_path / "access.log"
    proxy = serve(echo, forwarded_from="127.0.0.1", access_log=path).dial()
    assert proxy.get("/", "X-Forwarded-For: 192.0.2.1").status == "200"
    proxy.send(message)
    proxy.half_close()
    assert proxy.response().status == "400"
    serve.stop()
    assert [line.split()[0] for line in path.read_text().splitlines()] == ["192.0.2.1", "127.0.0.1"]
    assert "refused a request from 127.0.0.1" in caplog.text


def test_a_client_reads_the_answer_while_it_still_sends(serve, echo):
    client = serve(echo).dial()
    client.send(get("/", "Content-Length: 99999999999"))
    client.send(b"x" * 30_000)
    assert client.response().status == "413"
    client.send(b"x" * 30_000)
    client.half_close()
    assert client.ended


def test_a_client_that_goes_on_sending_is_read_for_a_while_and_then_cut_off(serve, echo, clock, eventually):
    site = serve(echo)
    client = site.dial()
    client.send(get("/", "Content-Length: 99999999999") + b"x" * 1_000_000)
    assert client.response().status == "413"
    for _ in range(8):  # never silent for long
        client.send(b"x" * 100_000)
        eventually(lambda: phases(site) in ([module.LINGER], []))
        clock.advance(departures.LINGER_SECONDS - 1)
    eventually(lambda: not site.loop._connections)
    assert echo.calls == 0


# Listeners


@pytest.mark.usefixtures("any_poller")
def test_a_listener_that_somebody_shuts_down_is_given_up_and_the_others_serve_on(echo, eventually, caplog):
    settings = make_settings(bind=["127.0.0.1:0", "127.0.0.1:0"])
    first, second = open_listeners(settings.bind)
    worker = Worker(echo, [first, second], settings)
    thread = threading.Thread(target=worker.run)
    address, other = first.socket.getsockname(), second.socket.getsockname()
    thread.start()
    try:
        first.socket.shutdown(socket.SHUT_RDWR)
        eventually(lambda: caplog.records)
        with contextlib.closing(Client(other)) as client:
            assert client.get("/served").content == b"GET /served "
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        (record,) = caplog.records
        assert record.getMessage().startswith(f"no further connections at {first.url}: ")
        # There is nothing to wait for without the last one.
        second.socket.shutdown(socket.SHUT_RDWR)
        thread.join(20)
        assert not thread.is_alive()
    finally:
        worker.stop()
        thread.join()


def test_a_stop_for_want_of_listeners_is_not_hurried_by_the_first_that_is_asked_for(
    serve, echo, faults, eventually
):
    fault = faults("accept", 3, errno.EINVAL)  # the second finds nobody
    site = serve(echo)
    client = site.dial()
    client.send(get("/begun")[:10])
    eventually(lambda: [c.begun for c in [*site.loop._connections.values()]] == [True])
    with socket.socket() as last:
        last.connect_ex(site.address)  # it may be reset at once
        eventually(lambda: fault.struck and site.loop._is_winding_down)
    site.server._worker.stop()
    assert site.loop._stop_deadline > 0
    client.send(get("/begun")[10:])
    assert client.response().content == b"GET /begun "


def test_a_listener_that_is_lost_while_the_server_stops_hurries_nobody(serve, echo, faults, eventually):
    fault = faults("accept", 3, errno.EINVAL)  # the second finds nobody
    site = serve(echo)
    client = site.dial()
    client.send(get("/begun")[:10])
    eventually(lambda: [c.begun for c in [*site.loop._connections.values()]] == [True])
    site.server._worker.stop()
    eventually(lambda: fault.struck and not site.loop._listeners)
    client.send(get("/begun")[10:])
    assert client.response().content == b"GET /begun "


# Slow clients


def big(environ, start_response):
    if environ["PATH_INFO"] == "/big":
        start_response("200 OK", [("Content-Length", str(8 << 20))])
        return [b"x" * (1 << 20)] * 8
    start_response("200 OK", [("Content-Length", "5")])
    return [b"small"]


@pytest.mark.usefixtures("any_poller")
def test_a_slow_reader_does_not_hold_its_neighbours(serve):
    site = serve(big, threads=2)
    slow = site.dial()
    slow.send(get("/big") + get("/small"))
    slow.until(b"\r\n\r\n")
    for _ in range(10):
        assert site.get().content == b"small"
    assert slow.take(8 << 20) == b"x" * (8 << 20)
    assert slow.response().content == b"small"


def test_a_response_that_the_client_has_yet_to_take_holds_no_thread(serve, eventually):
    site = serve(big, threads=1, response_buffer=1 << 30)
    slow = [site.dial() for _ in range(4)]
    for client in slow:
        client.send(get("/big"))
    eventually(lambda: phases(site) == [module.FLUSH] * 4)
    assert site.get().content == b"small"
    for client in reversed(slow):
        assert client.response().content == b"x" * (8 << 20)


# Deadlines


def test_a_head_that_takes_too_long_is_408(serve, echo, clock, eventually):
    site = serve(echo)
    client = site.dial()
    client.send(get("/")[:-1])
    eventually(lambda: [c.begun for c in [*site.loop._connections.values()]] == [True])
    clock.advance(SETTINGS.head_timeout + 1)
    assert client.response().status == "408"
    client.half_close()
    assert client.ended
    assert echo.calls == 0


def test_a_second_head_that_takes_too_long_is_408(serve, echo, clock, eventually):
    site = serve(echo)
    client = site.dial()
    client.send(get("/1") + b"GET")
    assert client.response().status == "200"
    eventually(lambda: [c.begun for c in [*site.loop._connections.values()]] == [True])
    clock.advance(SETTINGS.head_timeout + 1)
    assert client.response().status == "408"


@pytest.mark.parametrize("end", ["next", "client", "time", "stop"])
def test_an_empty_line_behind_a_request_begins_no_other(serve, echo, clock, eventually, caplog, end):
    caplog.set_level(logging.INFO)
    site = serve(echo)
    client = site.dial()
    client.send(post("/1", b"x"))
    assert client.response().content == b"POST /1 x"
    client.send(b"\r\n")
    (connection,) = site.loop._connections.values()
    eventually(lambda: bytes(connection.inbox) == b"\r\n" and connection.phase is module.HEAD)
    clock.advance(SETTINGS.head_timeout + 1)
    assert client.get("/2").content == b"GET /2 "
    client.send(b"\r\n")
    eventually(lambda: bytes(connection.inbox) == b"\r\n" and connection.phase is module.HEAD)
    if end == "next":
        client.send(get("/3", "Connection: close"))
        assert client.response().content == b"GET /3 "
    elif end == "client":
        client.half_close()
    elif end == "time":
        clock.advance(SETTINGS.keep_alive_timeout + 1)
    else:
        site.server._worker.stop()
    assert client.ended  # without an answer to what was not asked
    assert not caplog.records


def test_content_that_takes_too_long_is_408(serve, echo, clock, eventually):
    site = serve(echo)
    client = site.dial()
    client.send(post("/", b"x" * 5000)[:-1])
    eventually(lambda: [c.body_size for c in [*site.loop._connections.values()]] == [4999])
    clock.advance(SETTINGS.body_timeout + 5)  # ten seconds are earned by 5000 bytes
    client.send(b"x")
    assert client.response().status == "200"
    client.send(post("/", b"x" * 5000)[:-1])
    eventually(lambda: [c.body_size for c in [*site.loop._connections.values()]] == [4999])
    clock.advance(SETTINGS.body_timeout + 11)
    assert client.response().status == "408"
    assert echo.calls == 1


@pytest.mark.parametrize("requests", [0, 1])
def test_a_client_that_sends_nothing_is_let_go(serve, echo, clock, requests, eventually):
    site = serve(echo)
    client = site.dial()
    for _ in range(requests):
        client.get()
    eventually(lambda: site.loop._connections)
    clock.advance((SETTINGS.keep_alive_timeout if requests else SETTINGS.head_timeout) + 1)
    assert client.ended


def test_a_client_that_takes_nothing_is_let_go(serve, clock, eventually):
    site = serve(big, response_buffer=1 << 30)
    site.dial().send(get("/big"))
    eventually(lambda: phases(site) == [module.FLUSH])
    clock.advance(SETTINGS.write_timeout + 1)
    eventually(lambda: not site.loop._connections)


def test_a_client_that_lingers_is_let_go(serve, echo, clock, eventually):
    site = serve(echo)
    client = site.dial()
    client.send(b"GARBAGE\r\n\r\n")
    assert client.response().status == "400"
    eventually(lambda: phases(site) == [module.LINGER])
    clock.advance(departures.LINGER_SECONDS + 1)
    eventually(lambda: not site.loop._connections)


def test_an_application_has_no_deadline(serve, clock):
    inside, go = threading.Event(), threading.Event()

    def application(environ, start_response):
        inside.set()
        assert go.wait(20)
        start_response("200 OK", [])
        return [b"late"]

    client = serve(application).dial()
    client.send(get("/"))
    assert inside.wait(20)
    clock.advance(1000)
    go.set()
    assert client.response().content == b"late"


# The stop


def test_a_stop_finishes_what_is_in_the_application_and_closes_what_idles(serve, eventually):
    inside, go = threading.Event(), threading.Event()

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            inside.set()
            assert go.wait(20)
        start_response("200 OK", [("Content-Length", "4")])
        return [b"done"]

    site = serve(application)
    idle, busy = site.dial(), site.dial()
    assert idle.get().content == b"done"
    busy.send(get("/slow"))
    assert inside.wait(20)
    site.server._worker.stop()
    assert idle.ended
    with socket.socket() as late:
        eventually(lambda: late.connect_ex(site.address) != 0)
    eventually(lambda: all(connection.closing for connection in [*site.loop._connections.values()]))
    go.set()
    response = busy.response()
    assert response.content == b"done"
    assert response.get("Connection") == "close"
    assert busy.ended


def test_who_has_asked_again_is_not_parted_with_when_descriptors_are_short(
    serve, hello, monkeypatch, eventually
):
    site = serve(hello)
    loop = site.loop
    idle, asking = site.dial(), site.dial()
    assert idle.get().content == asking.get().content == b"hello"
    part = loop._pause

    def ask_first(error):
        asking.send(get("/"))
        eventually(lambda: any(connection.has_unread for connection in loop._connections.values()))
        part(error)

    monkeypatch.setattr(loop, "_pause", ask_first)
    monkeypatch.setattr(loop, "_last_descriptor", 0)
    with site.dial():
        assert asking.response().content == b"hello"
        assert idle.ended


@pytest.fixture
def serve_nobody_yet(serve, faults, monkeypatch, eventually):
    """Serve an application whose clients wait in the backlog until the stop: as `serve`."""

    def start(application, **settings):
        monkeypatch.setattr(arrivals, "PAUSE_SECONDS", 1000.0)
        fault = faults("accept", 1, errno.EMFILE)
        site = serve(application, **settings)
        site.dial().close()
        eventually(lambda: fault.struck)
        return site

    return start


def test_a_stop_serves_all_who_wait_in_the_backlog(serve_nobody_yet, echo):
    site = serve_nobody_yet(echo)
    clients = [site.dial() for _ in range(3 * arrivals._ACCEPTS)]
    for client in clients:
        client.send(get("/"))
    site.server._worker.stop()
    for client in clients:
        assert client.response().content == b"GET / "
        assert client.ended


def test_a_stop_lets_in_no_more_than_may_be_open(serve_nobody_yet, echo):
    site = serve_nobody_yet(echo, bind=["127.0.0.1:0", "127.0.0.1:0"], limit_connections=3)
    first, second = [listener.socket.getsockname() for listener, _ in site.loop._listeners.values()]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(address)) for address in (first, first, first, second)]
        for client in clients:
            client.send(get("/"))
        site.server._worker.stop()
        # The client that left took one of the three places.
        assert [client.rest()[:12] for client in clients] == [b"HTTP/1.1 200"] * 2 + [b""] * 2


def test_a_stop_waits_for_a_request_that_has_begun_to_arrive(serve, echo, eventually):
    site = serve(echo)
    client, idle = site.dial(), site.dial()
    idle.get()
    client.send(post("/", b"body")[:-1])
    eventually(lambda: module.BODY in phases(site))
    site.server._worker.stop()
    assert idle.ended
    client.send(b"y")
    response = client.response()
    assert response.content == b"POST / body"[:-1] + b"y"
    assert client.ended


def test_a_stop_does_not_wait_for_a_client_that_keeps_its_connection_behind_content(
    serve, echo, eventually, monkeypatch
):
    monkeypatch.setattr(departures, "LINGER_SECONDS", 3600.0)
    site = serve(echo)
    client = site.dial()
    client.send(post("/", b"body")[:-1])
    eventually(lambda: module.BODY in phases(site))
    site.server._worker.stop()
    eventually(lambda: site.loop._is_winding_down)
    client.send(b"y")
    assert client.response().content == b"POST / body"
    site.server._thread.join(20)
    assert not site.server._thread.is_alive()


class BlindPoller:
    """A poller that tells of nothing while it is blind, as epoll tells of some only where many are ready."""

    def __init__(self):
        self._poller = make_poller()
        self.is_blind = False
        self.polls = 0

    def poll(self, timeout=None):
        self.polls += 1
        return [] if self.is_blind else self._poller.poll(timeout)

    def __getattr__(self, name):
        return getattr(self._poller, name)


def test_a_stop_sees_what_the_poller_does_not_tell_of(serve, echo, monkeypatch, eventually):
    monkeypatch.setattr(departures, "make_poller", BlindPoller)
    site = serve(echo, proxy_protocol="v1", proxy_protocol_from="127.0.0.1")
    poller = site.loop._poller
    kept, late, idle = site.dial(), site.dial(), site.dial()
    for client in (kept, idle):
        client.send(PROXY_HEADER)
        client.get()
    poller.is_blind = True
    site.loop._waker.wake()  # it waits still, and sees that it has become blind
    polls = poller.polls
    eventually(lambda: poller.polls > polls)
    kept.send(get("/kept"))
    late.send(PROXY_HEADER[:20])
    site.server._worker.stop()
    assert idle.ended
    poller.is_blind = False
    late.send(PROXY_HEADER[20:])
    assert kept.response().content == b"GET /kept "
    assert late.get("/late").content == b"GET /late "


class FullPoller:
    """A poller that takes no more descriptors while it is full."""

    def __init__(self):
        self._poller = make_poller()
        self.is_full = False
        self.turned_away = 0

    def register(self, fd, events):
        if self.is_full:
            self.turned_away += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._poller.register(fd, events)

    def __getattr__(self, name):
        return getattr(self._poller, name)


@pytest.fixture
def full_poller(monkeypatch):
    monkeypatch.setattr(departures, "make_poller", FullPoller)
    monkeypatch.setattr(module, "_SWEEP_SECONDS", 0.005)


@pytest.mark.usefixtures("full_poller")
def test_a_client_that_cannot_be_polled_is_heard_once_there_is_room(serve, echo, caplog, eventually):
    site = serve(echo)
    poller = site.loop._poller
    poller.is_full = True
    client = site.dial()
    eventually(lambda: poller.turned_away > 1)
    client.send(get("/x"))
    poller.is_full = False
    assert client.response().content == b"GET /x "
    assert client.get("/y").content == b"GET /y "
    assert [record.getMessage() for record in caplog.records] == [
        "cannot poll a connection, 1 are open: No space left on device"
    ]


@pytest.mark.usefixtures("full_poller")
def test_a_thread_that_cannot_have_its_client_polled_is_free_all_the_same(serve, eventually):
    goes_on = threading.Event()

    def application(environ, start_response):
        goes_on.wait(20)
        start_response("200 OK", [])
        return [b"slow"]

    site = serve(application, threads=1)
    poller = site.loop._poller
    client = site.dial()
    client.send(get("/"))
    eventually(lambda: site.loop.scheduler._running)
    poller.is_full = True
    goes_on.set()
    assert client.response().content == b"slow"
    eventually(lambda: poller.turned_away > 1)
    eventually(lambda: not site.loop.scheduler._running)
    poller.is_full = False
    assert client.get("/").content == b"slow"


@pytest.mark.usefixtures("full_poller")
def test_listeners_that_cannot_be_polled_are_once_there_is_room(serve, echo, eventually, monkeypatch):
    monkeypatch.setattr(arrivals, "PAUSE_SECONDS", 0.0)
    site = serve(echo, bind=["127.0.0.1:0", "127.0.0.1:0"], limit_connections=1)
    poller = site.loop._poller
    client = site.dial()
    client.get()
    poller.is_full = True
    client.close()
    eventually(lambda: poller.turned_away > 1)
    poller.is_full = False
    assert site.get("/x").content == b"GET /x "


@pytest.mark.parametrize(
    ("said", "word"),
    [(get("/"), "no-proxy-header"), (b"PROXY TCP4 a b c d\r\n" + get("/"), "bad-proxy-header")],
)
def test_a_proxy_that_does_not_begin_with_its_header_is_refused(serve, echo, caplog, said, word):
    caplog.set_level(logging.INFO, "wsgix.error")
    client = serve(echo, proxy_protocol="v1", proxy_protocol_from="127.0.0.1").dial()
    client.send(said)
    assert client.response().status == "400"
    assert client.ended
    assert echo.calls == 0
    assert caplog.messages == [f"refused a request from 127.0.0.1: {word}"]


@pytest.mark.parametrize("size", [1, 20, len(PROXY_HEADER)])
def test_a_stop_waits_for_the_request_behind_a_proxy_header_that_has_begun(serve, echo, size):
    site = serve(echo, proxy_protocol="v1", proxy_protocol_from="127.0.0.1")
    silent, idle, begun = site.dial(), site.dial(), site.dial()
    idle.send(PROXY_HEADER)
    idle.get()
    begun.send(PROXY_HEADER[:size])
    site.server._worker.stop()
    assert silent.ended
    assert idle.ended
    begun.send(PROXY_HEADER[size:])
    assert begun.get("/late").content == b"GET /late "
    assert begun.ended


def test_a_stop_waits_for_a_client_to_take_its_response(serve, eventually):
    site = serve(big)
    client, idle = site.dial(), site.dial()
    idle.get()
    client.send(get("/big"))
    client.until(b"\r\n\r\n")
    site.server._worker.stop()
    assert idle.ended
    assert client.take(8 << 20) == b"x" * (8 << 20)
    assert client.ended


def test_a_stop_does_not_reset_a_response_with_a_request_behind_it(serve, eventually):
    block = bytes(32 << 20)

    def application(environ, start_response):
        start_response("200 OK", [])
        return [block]

    site = serve(application)
    client = site.dial()
    client.send(get("/"))
    eventually(lambda: phases(site) == [module.FLUSH])
    client.send(get("/next"))
    client.until(b"\r\n\r\n")
    site.server._worker.stop()
    assert client.take(len(block)) == block
    # An end, and no reset, which would have taken what had not been read yet.
    assert client.socket.recv(100) == b""


def test_a_stop_does_not_wait_for_ever(serve, clock, echo, eventually):
    site = serve(echo)
    client, idle = site.dial(), site.dial()
    idle.get()
    client.send(post("/", b"x" * 100_000)[:-1])
    eventually(lambda: [c for c in [*site.loop._connections.values()] if c.body_size == 99_999])
    site.server._worker.stop()
    assert idle.ended
    clock.advance(SETTINGS.graceful_timeout + 1)
    assert client.ended


def test_a_response_that_the_end_of_the_server_cuts_is_seen_to_be_cut(serve, eventually):
    def application(environ, start_response):
        start_response("200 OK", [])
        return iter([b"x" * (8 << 20)])

    site = serve(application, response_buffer=16 << 20, graceful_timeout=0)
    client = site.dial()
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    eventually(lambda: phases(site) == [module.FLUSH])
    site.server.__exit__(None, None, None)
    with pytest.raises(ConnectionResetError):
        [*iter(lambda: client.socket.recv(1 << 20), b"")]


@pytest.mark.parametrize(
    ("fields", "is_reset"),
    [([], True), ([("Content-Length", "100")], False)],
    ids=["until the end", "declared"],
)
def test_a_response_that_is_still_made_when_the_server_ends_is_seen_to_be_cut(
    serve, fields, is_reset, eventually
):
    goes_on = threading.Event()

    def application(environ, start_response):
        start_response("200 OK", fields)
        yield b"first half"
        goes_on.wait(20)

    site = serve(application, graceful_timeout=0)
    client = site.dial()
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    client.until(b"first half")
    site.server.__exit__(None, None, None)
    if is_reset:  # though the application is still at it
        with pytest.raises(ConnectionResetError):
            client.socket.recv(1)
    goes_on.set()
    assert is_reset or client.ended
    eventually(lambda: not own_threads())


@pytest.mark.parametrize("is_taken", [False, True], ids=["response", "other protocol"])
def test_what_would_go_on_for_ever_ends_with_the_server(serve, eventually, is_taken):
    closed = []

    def application(environ, start_response):
        try:
            if is_taken:
                environ["wsgix.socket"].sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
                environ["wsgix.socket"].recv(1)
            else:
                start_response("200 OK", [])
                while True:
                    yield b"x" * 100_000
        finally:
            closed.append(is_taken)

    site = serve(application, graceful_timeout=0, write_timeout=3600)
    client = site.dial()
    client.send(get("/", "Connection: upgrade", "Upgrade: any"))
    client.until(b"\r\n\r\n")
    site.server.__exit__(None, None, None)
    eventually(lambda: closed)
    eventually(lambda: not own_threads())


def test_a_response_that_begins_when_the_server_has_ended_is_seen_to_be_cut(serve, eventually):
    calls, goes_on = [], threading.Event()

    def application(environ, start_response):
        calls.append(environ)
        goes_on.wait(20)
        start_response("200 OK", [])
        yield b"first half"
        raise ZeroDivisionError

    site = serve(application, graceful_timeout=0)
    client = site.dial()
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    eventually(lambda: calls)
    site.server.__exit__(None, None, None)
    goes_on.set()
    with pytest.raises(ConnectionResetError):
        [*iter(lambda: client.socket.recv(1 << 20), b"")]
    eventually(lambda: not own_threads())


@pytest.mark.parametrize("length", [[], [("Content-Length", "6400")]], ids=["chunked", "declared"])
def test_small_blocks_that_come_quickly_leave_together(serve, monkeypatch, length):
    sent = []
    real = Connection.flush

    def flush(self):
        sent.append(len(self.outbox))
        return real(self)

    monkeypatch.setattr(Connection, "flush", flush)

    def application(environ, start_response):
        start_response("200 OK", length)
        for _ in range(64):
            yield b"x" * 100

    client = serve(application).dial()
    for _ in range(2):
        client.send(get("/"))
        assert client.response().content == b"x" * 6400
    assert len(sent) <= 4


# headers; blocks before a pause, what leaves of them; blocks behind it, what leaves of them
PAUSES = {
    "of a declared length": ([("Content-Length", "9")], [b"one", b"two"], b"onetwo", [b"end"], b"end"),
    "in chunks, an empty one last": ([], [b"a", b""], b"1\r\na\r\n", [b"b"], b"1\r\nb\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("case", PAUSES.values(), ids=PAUSES)
def test_blocks_do_not_wait_for_a_slow_next_one(serve, case):
    headers, before, first, behind, last = case
    goes_on = threading.Event()

    def application(environ, start_response):
        start_response("200 OK", headers)
        yield from before
        goes_on.wait(20)  # meanwhile a new leader sends what waits
        yield from behind

    client = serve(application).dial()
    client.send(get("/"))
    client.until(b"\r\n\r\n")
    assert client.take(len(first)) == first
    goes_on.set()
    assert client.take(len(last)) == last


def test_more_requests_than_may_wait_are_turned_away(serve, eventually):
    entered, goes_on = threading.Semaphore(0), threading.Event()

    def application(environ, start_response):
        entered.release()
        goes_on.wait(20)
        start_response("200 OK", [])
        return [b"served"]

    site = serve(application, threads=1, limit_waiting=2)
    clients = [site.dial() for _ in range(4)]
    for client in clients[:3]:
        client.send(get("/"))
    assert entered.acquire(timeout=20)
    eventually(lambda: len(site.loop.scheduler._waiting) == 2)
    clients[3].send(get("/"))
    response = clients[3].response()
    assert (response.status, response.get("Retry-After")) == ("503", "1")
    assert clients[3].ended
    goes_on.set()
    assert [client.response().content for client in clients[:3]] == [b"served"] * 3


def test_what_a_thread_has_served_is_polled_again_without_the_leader(serve, eventually, monkeypatch):
    gate = threading.Event()

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            gate.wait(20)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    returned = []
    site = serve(application)
    real = site.loop._take_back
    monkeypatch.setattr(site.loop, "_take_back", lambda *args: returned.append(args) or real(*args))
    client = site.dial()
    for _ in range(3):
        gate.clear()
        client.send(b"GET /slow HTTP/1.1\r\nHost: t\r\n\r\n")
        eventually(lambda: phases(site) == [module.BUSY])
        eventually(lambda: site.loop.scheduler._running == 1)
        gate.set()
        assert client.response().content == b"ok"
        assert client.get("/fast").content == b"ok"
    eventually(lambda: [connection.served for connection in site.loop._connections.values()] == [6])
    assert bool(returned) == isinstance(site.loop._poller, SelectorPoller)


def test_what_a_thread_has_served_has_its_whole_time_for_the_next_request(
    serve, eventually, clock, monkeypatch
):
    monkeypatch.setattr(module, "_SWEEP_SECONDS", 1000.0)  # the leader has no news meanwhile

    def application(environ, start_response):
        eventually(lambda: site.loop._polling)  # the new leader
        clock.advance(50)
        start_response("200 OK", [])
        return [b"ok"]

    site = serve(application, keep_alive_timeout=60)
    client = site.dial()
    # Idle: else it is polled for the first time only after this request.
    eventually(lambda: [connection.interest for connection in [*site.loop._connections.values()]] == [READ])
    [connection] = site.loop._connections.values()
    site.loop.scheduler._average = 1.0  # to a thread
    client.send(get("/"))
    assert client.response().content == b"ok"
    eventually(lambda: connection.phase is module.HEAD)
    assert connection.deadline - clock.monotonic() > 50


def test_a_response_that_ends_while_the_leader_sends_it_leaves_the_connection_polled(
    serve, eventually, monkeypatch
):
    goes_on, own = threading.Event(), []

    def application(environ, start_response):
        own.append(threading.current_thread())
        start_response("200 OK", [("Content-Length", "6")])
        yield b"one"
        goes_on.wait(20)
        yield b"two"

    real = Connection.flush_meanwhile

    def flush_meanwhile(self):
        flushed = real(self)
        if threading.current_thread() not in own:
            # The leader has sent the first block, and not yet noted that there is nothing more to send.
            goes_on.set()
            eventually(lambda: phases(site) == [module.HEAD])
        return flushed

    monkeypatch.setattr(Connection, "flush_meanwhile", flush_meanwhile)
    site = serve(application)
    client = site.dial()
    for _ in range(2):
        assert client.get().content == b"onetwo"


def test_a_response_that_leaves_before_the_leader_knows_leaves_the_connection_polled(
    serve, eventually, monkeypatch, caplog
):
    monkeypatch.setattr(scheduler, "WATCH_SECONDS", 1000.0)  # the lead is given away here, never taken
    inside, goes_on = threading.Event(), threading.Event()

    def large():
        yield b"x" * (8 << 20)
        inside.wait(20)
        while connection.outbox:
            assert wait_writable(connection.fd, 20)
            yield b"x"

    def application(environ, start_response):
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/large":
            return large()
        if environ["PATH_INFO"] == "/occupied":
            inside.set()
            goes_on.wait(20)
        return [b"ok"]

    site = serve(application, response_buffer=16 << 20)
    client = site.dial()
    assert client.get().content == b"ok"
    [connection] = site.loop._connections.values()
    site.loop.scheduler._average = 1.0
    client.send(get("/large"))
    eventually(lambda: connection.interest == WRITE)
    # The leader, inside another application, does not see that the client takes all, and the response ends.
    site.loop.scheduler._average = 0.0
    other = site.dial()
    other.send(get("/occupied"))
    assert client.response().content.startswith(b"x" * (8 << 20))
    eventually(lambda: connection.phase is module.HEAD)
    goes_on.set()
    assert other.response().content == b"ok"
    assert client.get().content == b"ok"
    assert not caplog.records
    eventually(lambda: site.loop.scheduler._running == 0)


def test_an_event_that_is_out_of_date_starts_no_request(serve, eventually, monkeypatch):
    monkeypatch.setattr(scheduler, "WATCH_SECONDS", 1000.0)  # the lead is given away here, never taken
    goes_on = {"/first": threading.Event(), "/second": threading.Event()}
    calls, late = [], []

    class Poller:
        """Finds *late* ready behind others; when these have had their turn, it is so no longer."""

        def __init__(self):
            self._poller = make_poller()

        def __getattr__(self, name):
            return getattr(self._poller, name)

        def poll(self, timeout=None):
            events = self._poller.poll(timeout)
            return [*events, *((fd, WRITE) for fd in late if events)]

    def application(environ, start_response):
        path = environ["PATH_INFO"]
        calls.append(path)
        if path in goes_on:
            goes_on[path].wait(20)
        elif path == "/other":
            late.clear()
            goes_on["/first"].set()
            eventually(lambda: site.loop._returned)
            site.loop.scheduler._average = 1.0
        start_response("200 OK", [])
        return [path.encode()]

    monkeypatch.setattr(departures, "make_poller", Poller)
    site = serve(application)
    client, other = site.dial(), site.dial()
    assert other.get().content == b"/"
    site.loop.scheduler._average = 1.0
    client.send(get("/first") + get("/second"))
    eventually(lambda: "/first" in calls)  # on a thread that has given the lead away
    site.loop.scheduler._average = 0.0
    client.send(get("/third"))
    late += [fd for fd, connection in site.loop._connections.items() if connection.phase is module.BUSY]
    assert other.get("/other").content == b"/other"
    eventually(lambda: "/second" in calls)
    # Whoever leads now comes to this request only when nothing else is ready.
    assert other.get("/last").content == b"/last"
    goes_on["/second"].set()
    assert [client.response().content for _ in range(3)] == [b"/first", b"/second", b"/third"]
    assert calls == ["/", "/first", "/other", "/second", "/last", "/third"]


def test_what_a_thread_has_served_does_not_outlive_the_end(serve, eventually):
    gate = threading.Event()

    def application(environ, start_response):
        gate.wait(20)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    site = serve(application)
    client = site.dial()
    client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
    eventually(lambda: site.loop.scheduler._running == 1)
    site.server._worker.stop()
    eventually(lambda: not site.loop._accepting)
    gate.set()
    assert client.response().content == b"ok"
    assert client.ended
