"""A connection by itself, over a socket pair: what it makes of bytes, what it keeps, what it gives back."""

import contextlib
import errno
import gc
import os
import socket
import tempfile
import weakref

import pytest

from wsgix.core.environ import add_wsgi_variables
from wsgix.core.framing import CLOSE, KEEP
from wsgix.facts.refusals import BAD_REQUEST_LINE, BODY_TOO_LARGE, STORAGE_FULL
from wsgix.server import outgoing, request_body
from wsgix.server.connection import Connection
from wsgix.server.phase import Phase
from wsgix.server.settings import make_settings
from wsgix.server.shared import Common
from wsgix.wire.http1 import NEED_MORE
from wsgix.wire.limits import DEFAULT_LIMITS

SETTINGS = make_settings()
REQUEST_BUFFER = SETTINGS.request_buffer


def common(limits=DEFAULT_LIMITS, on_stall=lambda connection: None, may_wait=True):
    return Common(
        SETTINGS,
        limits,
        on_stall,
        lambda connection, wait: wait(),
        lambda: may_wait,
        request_body.Memory(0),
    )


COMMON = common()


@pytest.fixture
def template():
    environ = {"SCRIPT_NAME": "", "SERVER_NAME": "n", "SERVER_PORT": "1"}
    add_wsgi_variables(
        environ,
        input=None,
        errors=None,
        url_scheme="http",
        multithread=True,
        multiprocess=False,
        run_once=False,
        file_wrapper=None,
    )
    return environ


@pytest.fixture
def noted(template):
    """A connection, the client's end, and the connections of which a loop is told that they have stalled."""
    told = []
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(20)
    connection = Connection(ours, ("192.0.2.7", 4711), template, common(on_stall=told.append))
    yield connection, theirs, told
    connection.close()
    theirs.close()


@pytest.fixture
def pair(noted):
    """A connection and the client's end."""
    connection, theirs, _ = noted
    return connection, theirs


HEAD = b"POST /p HTTP/1.1\r\nHost: t\r\n%b\r\n"
GET = b"GET /g HTTP/1.1\r\nHost: t\r\n\r\n"


def test_a_request_is_at_hand_once_it_is_whole(pair):
    connection, _ = pair
    for index in range(len(GET) - 1):
        connection.take(GET[index : index + 1])
        assert connection.advance() is NEED_MORE
        assert connection.inbox
    connection.take(GET[-1:])
    assert connection.advance() is None
    assert not connection.inbox
    environ = connection.environ
    assert (environ["PATH_INFO"], environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == (
        "/g",
        "192.0.2.7",
        "4711",
    )
    assert environ["wsgi.input"].read() == b""
    assert connection.reader.wish is KEEP


def test_the_template_of_the_listener_is_never_changed(pair, template):
    connection, _ = pair
    before = template.copy()
    connection.take(GET)
    connection.advance()
    connection.environ.clear()
    connection.end_request()
    assert template == before


@pytest.mark.parametrize(
    "message",
    [
        HEAD % b"Content-Length: 5\r\n" + b"hello",
        HEAD % b"Transfer-Encoding: chunked\r\n" + b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX-T: 1\r\n\r\n",
    ],
)
def test_content_is_whole_however_it_is_cut_and_leaves_the_next_request(pair, message):
    connection, _ = pair
    for cut in range(1, len(message) + 10):
        data = message + GET
        connection.take(data[:cut])
        step = connection.advance()
        if step is NEED_MORE:
            connection.take(data[cut:])
            step = connection.advance()
            cut = len(data)
        assert step is None
        environ = connection.environ
        assert environ["wsgi.input"].read() == b"hello"
        assert environ["CONTENT_LENGTH"] == "5"
        assert "HTTP_TRANSFER_ENCODING" not in environ
        assert environ.get("wsgix.trailers", [("X-T", "1")]) == [("X-T", "1")]
        connection.end_request()
        connection.take(data[cut:])
        assert connection.inbox
        assert connection.advance() is None
        assert connection.environ["PATH_INFO"] == "/g"
        connection.end_request()
        assert not connection.inbox


def test_the_client_is_told_to_continue_only_if_it_waits(pair):
    connection, client = pair
    connection.take(HEAD % b"Content-Length: 5\r\nExpect: 100-continue\r\n")
    assert connection.advance() is None
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(100)
    client.send(b"hello")
    connection.phase = Phase.BUSY
    assert connection.environ["wsgi.input"].read(5) == b"hello"
    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.end_request()
    connection.take(HEAD % b"Content-Length: 5\r\nExpect: 100-continue\r\n" + b"h")
    assert connection.advance() is NEED_MORE
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(100)


def test_chunked_content_is_asked_for_at_once_and_has_a_length(pair):
    connection, client = pair
    connection.take(HEAD % b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n")
    assert connection.advance() is NEED_MORE
    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.take(b"5\r\nhello\r\n0\r\n\r\n")
    assert connection.advance() is None
    assert connection.environ["CONTENT_LENGTH"] == "5"
    assert connection.environ["wsgi.input"].read() == b"hello"


@pytest.mark.parametrize("waits", [True, False])
def test_a_client_without_room_is_told_to_continue_later(template, waits):
    ours, client = socket.socketpair()
    ours.setblocking(False)
    client.settimeout(20)
    filling = b""
    with contextlib.suppress(BlockingIOError):
        while True:
            filling += b"x" * ours.send(b"x" * 65536)
    stalled = []
    connection = Connection(ours, "", template, common(on_stall=stalled.append, may_wait=False))
    connection.take(HEAD % b"Content-Length: 2\r\nExpect: 100-continue\r\n")
    assert connection.advance() is NEED_MORE
    connection.flush_interim()
    assert connection.outbox
    if waits:
        assert client.recv(len(filling), socket.MSG_WAITALL) == filling
        connection.flush_interim()
        assert not connection.outbox
    connection.take(b"ok")
    stalled.clear()
    assert connection.advance() is None
    # The loop is to see to what has not left, as of a response.
    assert stalled == ([] if waits else [connection])
    if not waits:
        assert client.recv(len(filling), socket.MSG_WAITALL) == filling
    connection.send(b"response")
    assert client.recv(33, socket.MSG_WAITALL) == b"HTTP/1.1 100 Continue\r\n\r\nresponse"
    connection.close()
    client.close()


def test_a_request_that_is_malformed_or_too_large_is_refused(pair, template):
    connection, _ = pair
    connection.take(b"GARBAGE\r\n\r\n")
    assert connection.advance() is BAD_REQUEST_LINE
    ours, theirs = socket.socketpair()
    with theirs:
        small = Connection(ours, "", template, common(DEFAULT_LIMITS._replace(body=4)))
        small.take(HEAD % b"Content-Length: 5\r\n")
        assert small.advance() is BODY_TOO_LARGE
        small.close()


def test_bytes_of_requests_that_are_over_are_not_kept(pair):
    connection, _ = pair
    connection.take(GET[:5])
    for _ in range(1000):
        connection.take(GET[5:] + GET[:5])
        assert connection.advance() is None
        connection.end_request()
    assert connection.advance() is NEED_MORE
    assert len(connection.inbox) < 10 * len(GET)


class FullDisk:
    """A temporary file on a full disk: it fails where a buffered file fails, also again when it is closed."""

    def __init__(self, fails_in):
        self.fails_in = fails_in
        self.closed = False

    def _meet(self, name):
        if name in self.fails_in:
            raise OSError(errno.ENOSPC, "No space left on device")

    def write(self, data):
        self._meet("write")

    def writelines(self, pieces):
        self._meet("writelines")

    def seek(self, position):
        self._meet("seek")

    def close(self):
        self.closed = True
        self._meet("close")


@pytest.mark.parametrize(
    "fails_in",
    [{"writelines"}, {"write"}, {"seek"}, {"writelines", "close"}, {"write", "close"}, {"seek", "close"}],
)
def test_content_that_finds_no_room_is_refused_and_its_file_closed(pair, monkeypatch, caplog, fails_in):
    file = FullDisk(fails_in)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: file)
    connection, _ = pair
    size = REQUEST_BUFFER + 20
    connection.take(HEAD % (b"Content-Length: %d\r\n" % size))
    assert connection.advance() is NEED_MORE
    connection.take(b"x" * (size - 10))
    step = connection.advance()
    if step is NEED_MORE:
        connection.take(b"x" * 10)
        step = connection.advance()
    assert step is STORAGE_FULL
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.getMessage().endswith(": No space left on device")
    connection.end_request()
    assert file.closed


def test_a_file_that_fails_on_closing_only_costs_nothing(pair, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: FullDisk({"close"}))
    connection, _ = pair
    connection.take(HEAD % (b"Content-Length: %d\r\n" % (REQUEST_BUFFER + 1)) + b"x" * (REQUEST_BUFFER + 1))
    assert connection.advance() is None
    connection.end_request()


def test_a_fault_without_words_of_the_system_is_logged_by_its_own(pair, monkeypatch, caplog):
    def fail(**_):
        raise OSError("no place to put it")

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    connection, _ = pair
    connection.take(HEAD % (b"Content-Length: %d\r\n" % (REQUEST_BUFFER + 1)) + b"x" * (REQUEST_BUFFER + 1))
    assert connection.advance() is STORAGE_FULL
    (record,) = caplog.records
    assert record.getMessage().endswith(": no place to put it")


@pytest.mark.parametrize(
    ("fields", "content"),
    [
        (b"Content-Length: 4\r\n", b"abcd"),
        (b"Content-Length: 4\r\nExpect: 100-continue\r\n", b""),
        (b"Connection: upgrade\r\nUpgrade: websocket\r\n", b""),
    ],
    ids=["collected", "streamed", "lent"],
)
def test_what_a_request_holds_is_left_to_see_to_until_its_end(pair, fields, content):
    connection, _ = pair
    connection.take(HEAD % fields)
    if content:
        assert connection.advance() is NEED_MORE
        connection.take(content)
    assert connection.advance() is None
    assert not connection.is_clear  # only the leader may give it back
    connection.end_request()
    assert connection.is_clear


def test_the_leader_finds_a_client_gone_without_failing_and_the_application_is_told(pair):
    connection, client = pair
    connection.gather(b"head", chunked=False)
    client.close()
    assert connection.flush_meanwhile()
    assert connection.lost is not None
    assert not connection.outbox
    with pytest.raises(ConnectionAbortedError):
        connection.send(b"more")


def test_a_client_that_was_lost_meanwhile_is_left_to_see_to(pair):
    connection, _ = pair
    connection.take(GET)
    assert connection.advance() is None
    connection.lose(ConnectionAbortedError(errno.EPIPE, "gone"))
    assert connection.has_all_left
    assert not connection.is_clear


def test_what_is_reset_is_over_and_stays_hidden_from_programs_that_the_application_starts(pair):
    connection, client = pair
    connection.reset()
    assert client.recv(1) == b""
    assert not os.get_inheritable(connection.fd)


class Watched(Connection):
    __slots__ = ("__weakref__",)


def test_nothing_leads_back_to_a_closed_connection(template):
    ours, theirs = socket.socketpair()
    connection = Watched(ours, ("192.0.2.7", 4711), template, common())
    connection.take(HEAD % b"Content-Length: 1\r\n" + b"x")
    assert connection.advance() is None
    connection.close()
    theirs.close()
    seen = weakref.ref(connection)
    gc.disable()  # what a cycle holds waits for a collection, and there are many connections
    try:
        del connection
        assert seen() is None
    finally:
        gc.enable()


def test_closing_gives_the_file_and_the_socket_back(pair, monkeypatch):
    made = []
    real = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **kw: made.append(real(**kw)) or made[-1])
    connection, client = pair
    connection.take(HEAD % (b"Content-Length: %d\r\n" % (1 << 20)) + b"x" * (REQUEST_BUFFER + 1))
    assert connection.advance() is NEED_MORE
    assert connection.body_size == REQUEST_BUFFER + 1
    connection.close()
    assert made[0].closed
    assert client.recv(1) == b""
    assert connection.phase is Phase.CLOSED


# Out


def fill(connection):
    """Send until the socket takes no more; return the size."""
    size = 0
    while not connection.outbox:
        connection.send(b"x" * 65536)
        size += 65536
    return size


def drain(client, size):
    while size:
        size -= len(client.recv(min(size, 65536)))


def test_what_the_socket_does_not_take_is_kept_and_flushed_in_order(pair):
    connection, client = pair
    size = fill(connection)
    assert connection.flush() is False
    connection.send(b"the end")
    drain(client, size - len(connection.outbox) + len(b"the end"))
    while not connection.flush():
        drain(client, min(65536, len(connection.outbox)))
    client.shutdown(socket.SHUT_WR)
    connection.socket.shutdown(socket.SHUT_WR)
    rest = b""
    while data := client.recv(65536):
        rest += data
    assert rest.endswith(b"the end")


def test_a_block_does_not_wait_behind_one_that_the_client_can_take_by_now(pair):
    connection, client = pair
    size = fill(connection)
    drain(client, size - len(connection.outbox))
    connection.send(b"event")
    assert connection.outbox == b""


def test_a_producer_waits_once_the_client_is_too_far_behind(pair, monkeypatch):
    connection, client = pair
    waits = []

    def client_reads(fd, seconds):
        waits.append((fd, seconds))
        client.recv(1 << 20)
        return True

    monkeypatch.setattr(outgoing, "wait_writable", client_reads)
    connection.send(b"x" * (4 << 20))
    assert waits
    assert set(waits) == {(connection.fd, SETTINGS.write_timeout)}
    assert len(connection.outbox) <= SETTINGS.response_buffer


def test_a_client_that_reads_nothing_ends_the_wait(pair, monkeypatch):
    connection, _ = pair
    monkeypatch.setattr(outgoing, "wait_writable", lambda fd, seconds: False)
    with pytest.raises(ConnectionAbortedError, match="read nothing for 30 seconds"):
        connection.send(b"x" * (8 << 20))


def test_a_client_that_is_gone_is_an_os_error(pair):
    connection, client = pair
    size = fill(connection)
    assert size
    client.close()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        connection.flush()


def test_a_connection_is_named_for_the_log(pair, template):
    connection, _ = pair
    assert (connection.client, connection.name) == ("192.0.2.7", "192.0.2.7")
    ours, theirs = socket.socketpair()
    unix = Connection(ours, "", template, COMMON)
    assert (unix.client, unix.name) == ("", "a Unix socket")
    assert unix.client == ""
    unix.take(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert unix.advance() is None
    assert "REMOTE_ADDR" not in unix.environ
    assert unix.reader.wish is CLOSE
    unix.close()
    theirs.close()


def test_a_client_that_its_proxy_does_not_tell_is_named_as_unknown(pair):
    connection, _ = pair
    connection.client = ""
    assert connection.name == "an unknown client"


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (("::ffff:192.0.2.7", 4711, 0, 0), "192.0.2.7"),
        (("2001:db8::7", 4711, 0, 0), "2001:db8::7"),
        (("::ffff:c000:207", 4711, 0, 0), "::ffff:c000:207"),
    ],
)
def test_an_ipv4_client_of_a_socket_for_both_versions_has_its_own_address(template, peer, address):
    ours, theirs = socket.socketpair()
    connection = Connection(ours, peer, template, COMMON)
    connection.take(GET)
    assert connection.advance() is None
    assert connection.environ["REMOTE_ADDR"] == connection.client == address
    connection.close()
    theirs.close()


def test_the_last_words_are_not_put_into_the_middle_of_others(pair):
    connection, client = pair
    connection.send(b"x" * (8 << 20), is_last=True)
    assert connection.outbox
    client.recv(1 << 20)
    connection.send_last(b"HTTP/1.1 504")
    received = b""
    while data := client.recv(1 << 20):
        received += data
    assert received.strip(b"x") == b""


class Meanwhile:
    """A lock that another thread has had for a moment before it is taken for the first time."""

    def __init__(self, call):
        self._call = call

    def __enter__(self):
        call, self._call = self._call, None
        if call is not None:
            call()

    def __exit__(self, *_):
        pass


def test_the_loop_is_told_of_what_stays_though_it_has_just_sent_what_did(noted):
    connection, client, told = noted
    connection.send(b"x" * (8 << 20), is_last=True)
    assert told == [connection]
    gathered = connection.gather(b"", chunked=False)
    gathered.append(b"y")

    def lead():
        while not connection.flush():
            client.recv(1 << 20)
        gathered.append(b"z" * (8 << 20))

    connection._stalled = Meanwhile(lead)
    connection.push(is_last=True)
    assert connection.outbox
    assert told == [connection, connection]


@pytest.mark.parametrize(
    "step",
    [
        lambda connection: connection.gather(b"", chunked=False),
        lambda connection: connection.release(0, b"."),
        lambda connection: connection.send(b".", is_last=True),
        lambda connection: connection.push(is_last=True),
        lambda connection: connection.send_last(b"."),
        lambda connection: connection.send_file(0, 0, 0),
        lambda connection: connection.let_go(),
        lambda connection: connection.fall_silent(),
        lambda connection: connection.flush_meanwhile(),
    ],
    ids=[
        "gather",
        "release",
        "send",
        "push",
        "send_last",
        "send_file",
        "let_go",
        "fall_silent",
        "flush_meanwhile",
    ],
)
def test_what_another_thread_may_be_sending_is_waited_for(noted, step):
    connection, client, _ = noted
    connection.gather(b"head one ", chunked=False)
    met = []

    def send():
        met.append(connection.flush())

    connection._stalled = Meanwhile(send)
    step(connection)
    assert met == [True]
    assert client.recv(9) == b"head one "


def test_what_is_gathered_leaves_at_once_and_nothing_is_left_to_see_to(noted):
    connection, client, told = noted
    connection.end_request()  # from now on it is as between two requests
    gathered = connection.gather(b"head ", chunked=True)
    gathered += [b"one ", b"two"]
    connection.release(7, b"end")
    assert client.recv(100) == b"head 7\r\none two\r\nend"
    assert connection.is_simple
    assert connection.is_clear
    assert told == []
    connection.send(b"next")
    assert client.recv(100) == b"next"


def test_no_chunk_is_made_of_nothing(pair):
    connection, client = pair
    connection.end_request()
    connection.gather(b"head ", chunked=True)
    connection.release(0, b"end")
    assert client.recv(100) == b"head end"


@pytest.mark.parametrize("chunked", [False, True])
def test_what_was_sent_of_it_meanwhile_does_not_leave_again(pair, chunked):
    connection, client = pair
    connection.end_request()
    gathered = connection.gather(b"head ", chunked=chunked)
    gathered.append(b"one ")
    connection.send(b"between ")
    gathered.append(b"two ")
    connection.release(8, b"end")
    expected = b"head 4\r\none \r\nbetween 4\r\ntwo \r\nend" if chunked else b"head one between two end"
    assert client.recv(100) == expected
    assert not connection.is_simple


def test_whoever_takes_the_lead_has_what_is_gathered_sent(noted):
    connection, client, told = noted
    connection.end_request()
    gathered = connection.gather(b"head ", chunked=False)
    gathered.append(b"one ")
    connection.let_go()
    assert told == [connection]
    assert connection.flush_meanwhile()
    assert client.recv(100) == b"head one "
    gathered.append(b"two ")
    connection.release(8, b"end")
    assert client.recv(100) == b"two end"


def test_what_begins_to_be_gathered_just_as_the_lead_is_lost_is_sent(noted):
    connection, client, told = noted
    connection.let_go()
    assert told == []
    connection.gather(b"head", chunked=False)
    assert told == [connection]
    assert connection.flush_meanwhile()
    assert client.recv(100) == b"head"


def test_what_a_client_does_not_take_of_it_is_kept(noted):
    connection, _, told = noted
    connection.end_request()
    connection.gather(b"head", chunked=False).append(b"x" * (8 << 20))
    connection.release(8 << 20, b"")
    assert told == [connection]
    assert connection.outbox
    assert not connection.is_simple


def test_what_connections_share_makes_no_difference_to_an_environ(template):
    shared = common()
    own = HEAD.replace(b"POST", b"GET") % b"Cookie: a=b\r\n"
    read = []
    for _ in range(3):
        ours, theirs = socket.socketpair()
        connection = Connection(ours, ("192.0.2.7", 4711), template, shared)
        for raw in (GET, GET, GET, own, GET, own, own, GET):
            connection.take(raw)
            assert connection.advance() is None
            environ = connection.environ
            assert environ.pop("wsgi.input").read() == b""
            assert environ.pop("wsgi.early_hints")
            read.append((raw, environ.copy(), connection.reader.line, connection.reader.wish))
            environ.clear()  # the application may do so
            connection.end_request()
            connection.served += 1
        connection.close()
        theirs.close()
    for raw, *what in read:
        assert what == next(first for known, *first in read if known == raw)
    assert [*shared.known_heads] == [GET]


def test_a_connection_whose_head_is_known_goes_without_a_reader_until_another_one_comes(template):
    shared = common()
    readers = []
    # The first one makes its names known, the second one itself.
    for _ in range(3):
        ours, theirs = socket.socketpair()
        connection = Connection(ours, ("192.0.2.7", 4711), template, shared)
        for raw in (GET, GET, HEAD % b"Content-Length: 1\r\n"):
            connection.take(raw)
            connection.advance()
            readers.append(connection._reader is not None)
            connection.end_request()
            connection.served += 1
        connection.close()
        theirs.close()
    assert readers[-3:] == [False, False, True]


def test_a_head_that_is_known_may_come_in_pieces(template):
    shared = common()
    for cut in (len(GET), len(GET), 20):
        ours, theirs = socket.socketpair()
        connection = Connection(ours, ("192.0.2.7", 4711), template, shared)
        connection.take(GET[:cut])
        if cut < len(GET):
            assert connection.advance() is NEED_MORE
            connection.describe_unread()
            assert connection.environ["REQUEST_URI"] == "/g"
            connection.environ = connection.template
            connection.take(GET[cut:])
        assert connection.advance() is None
        assert connection.environ["PATH_INFO"] == "/g"
        connection.close()
        theirs.close()
