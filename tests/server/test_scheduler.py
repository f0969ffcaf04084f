"""Leader, spares and watchdog: inline when fast, on threads when slow, never too many, asleep when idle."""

import threading
from types import SimpleNamespace

import pytest

from tests.server.conftest import own_threads
from wsgix.core.framing import KEEP
from wsgix.server import departures
from wsgix.server import scheduler as module
from wsgix.server.poller import make_poller
from wsgix.server.scheduler import Scheduler

PATIENCE = 20.0


class Gate:
    """An application whose calls wait at a gate; it knows how many are inside, and on which threads."""

    def __init__(self):
        self.open = threading.Event()
        self.lock = threading.Lock()
        self.inside = self.most = 0
        self.paths = []
        self.threads = []

    def __call__(self, environ, start_response):
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.paths.append(environ["PATH_INFO"])
            self.threads.append(threading.current_thread())
        if environ["PATH_INFO"] != "/fast" and not self.open.wait(PATIENCE):
            raise AssertionError("the gate stayed shut")
        with self.lock:
            self.inside -= 1
        start_response("200 OK", [("Content-Length", "4")])
        return [b"done"]


@pytest.fixture
def gate():
    made = Gate()
    yield made
    made.open.set()


@pytest.fixture
def patient_watchdog(monkeypatch):
    """A watchdog that never finds a call slow."""
    monkeypatch.setattr(module, "WATCH_SECONDS", 1000.0)
    monkeypatch.setattr(module, "_SLOW_SECONDS", 1000.0)


def send(client, path="/"):
    client.send(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode("ascii"))


@pytest.mark.usefixtures("patient_watchdog")
def test_fast_calls_run_on_the_leader_and_no_other_thread_starts(serve, gate):
    site = serve(gate)
    for _ in range(20):
        assert site.get("/fast").content == b"done"
    assert len(set(gate.threads)) == 1
    assert own_threads() == [gate.threads[0]]


def see_others_served(site, gate, eventually, times=1):
    """See that a call that stays inside stops nobody, and ends well."""
    slow = site.dial()
    send(slow)
    eventually(lambda: gate.inside == 1)
    for _ in range(times):
        assert site.get("/fast").content == b"done"
    assert gate.inside == 1
    gate.open.set()
    assert slow.response().content == b"done"


def test_a_call_that_blocks_does_not_stop_others(serve, gate, eventually):
    see_others_served(serve(gate), gate, eventually, times=20)


class Alarm:
    """The watchdog's semaphore, whose first `release` lets the watchdog look around before it returns."""

    def __init__(self, eventually):
        self._inner = threading.Semaphore(0)
        self._eventually = eventually
        self._waits = 0
        self._is_first = True

    def acquire(self, timeout=None):
        self._waits += 1
        return self._inner.acquire(timeout=timeout)

    def release(self):
        waits = self._waits
        self._inner.release()
        if self._is_first:
            self._is_first = False
            self._eventually(lambda: self._waits > waits)


def test_a_watchdog_that_is_quicker_than_the_call_that_woke_it_watches_it(serve, gate, eventually):
    site = serve(gate)
    scheduler = site.loop.scheduler
    eventually(lambda: not scheduler._watching)
    before, scheduler._alarm = scheduler._alarm, Alarm(eventually)
    before.release()
    eventually(lambda: scheduler._alarm._waits == 1)
    see_others_served(site, gate, eventually)


def test_a_call_is_watched_though_others_have_long_to_go(serve, gate, monkeypatch, eventually):
    monkeypatch.setattr(module, "_CHECK_SECONDS", 1000.0)
    monkeypatch.setattr(module, "_SLOW_SECONDS", 1000.0)  # no call goes straight to a thread
    site = serve(gate, request_timeout=3600)
    sleeps, acquire = [], site.loop.scheduler._alarm.acquire

    def sleep(timeout=None):
        sleeps.append(timeout)
        return acquire(timeout=timeout)

    monkeypatch.setattr(site.loop.scheduler._alarm, "acquire", sleep)
    long, slow = site.dial(), site.dial()
    send(long)
    eventually(lambda: sleeps[-1:] == [1000.0])
    send(slow)
    eventually(lambda: gate.inside == 2)
    assert site.get("/fast").content == b"done"
    gate.open.set()
    assert long.response().content == slow.response().content == b"done"


@pytest.mark.usefixtures("patient_watchdog")
def test_the_watchdog_is_woken_once_for_calls_in_a_row(serve, gate, monkeypatch, eventually):
    site = serve(gate)
    scheduler = site.loop.scheduler
    eventually(lambda: not scheduler._watching)
    wakes, release = [], scheduler._alarm.release
    monkeypatch.setattr(scheduler._alarm, "release", lambda: (wakes.append(1), release()))
    client = site.dial()
    for _ in range(100):
        send(client, "/fast")
        assert client.response().content == b"done"
    assert len(wakes) == 1


def test_a_fault_of_the_watchdog_does_not_end_it(serve, gate, monkeypatch, eventually, caplog):
    site = serve(gate)
    scheduler = site.loop.scheduler
    take_lead, faults = scheduler._take_lead, [MemoryError("none left")]

    def take_lead_later():
        if faults:
            raise faults.pop()
        take_lead()

    monkeypatch.setattr(scheduler, "_take_lead", take_lead_later)
    see_others_served(site, gate, eventually)
    (record,) = caplog.records
    assert (record.message, record.exc_info[0]) == ("the server's watchdog failed", MemoryError)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_never_more_than_the_allowed_number_are_inside_and_all_are_served(serve, gate, threads, eventually):
    site = serve(gate, threads=threads)
    clients = [site.dial() for _ in range(threads + 4)]
    for client in clients:
        send(client)
    eventually(lambda: gate.inside == threads)
    eventually(lambda: len(site.loop.scheduler._waiting) == 4)
    assert gate.inside == threads
    gate.open.set()
    for client in clients:
        assert client.response().content == b"done"
    assert gate.most == threads
    assert len(own_threads()) <= threads + 1


def test_threads_that_come_back_from_their_clients_leave_no_more_than_allowed_inside(serve, eventually):
    turns = threading.Semaphore(0)

    def application(environ, start_response):
        environ["wsgi.input"].read()
        turns.acquire()
        start_response("200 OK", [("Content-Length", "4")])
        return [b"done"]

    site = serve(application, threads=2, stream_requests=True)
    members = site.loop.scheduler
    slow, *others = [site.dial() for _ in range(7)]
    slow.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n")
    eventually(lambda: len(members._away) == 1)
    for client in others:
        send(client)
    eventually(lambda: (members._running, len(members._waiting)) == (2, 4))
    slow.send(b"ok")
    eventually(lambda: members._running == 3)  # nobody waits twice
    turns.release()
    eventually(lambda: members._running == 2)
    assert len(members._waiting) == 4
    for _ in others:
        turns.release()
    for client in (slow, *others):
        assert client.response().content == b"done"
    eventually(lambda: members._running == 0)


def test_requests_that_were_kept_back_are_all_served_while_clients_are_waited_for(serve, eventually):
    goes_on = threading.Event()

    def application(environ, start_response):
        if environ["REQUEST_METHOD"] == "POST":
            goes_on.wait(PATIENCE)
            environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Length", "4")])
        return [b"done"]

    site = serve(application, threads=2, stream_requests=True)
    members = site.loop.scheduler
    slow = [site.dial() for _ in range(2)]
    for client in slow:
        client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n")
    eventually(lambda: members._running == 2)
    others = [site.dial() for _ in range(5)]
    for client in others:
        send(client)
    eventually(lambda: len(members._waiting) == 5)
    goes_on.set()
    for client in others:
        assert client.response().content == b"done"
    for client in slow:
        client.send(b"ok")
        assert client.response().content == b"done"


@pytest.mark.usefixtures("patient_watchdog")
def test_a_thread_that_was_one_too_many_leaves_the_leader_its_turn(serve, eventually):
    gates = {path: threading.Event() for path in ("/first", "/back", "/inline", "/kept")}
    inside = set()

    def application(environ, start_response):
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] == "POST":
            environ["wsgi.input"].read(1)
        inside.add(path)
        gates[path].wait(PATIENCE)
        if environ["REQUEST_METHOD"] == "POST":
            environ["wsgi.input"].read(1)
        inside.discard(path)
        start_response("200 OK", [("Content-Length", "4")])
        return [b"done"]

    site = serve(application, threads=2, stream_requests=True)
    members = site.loop.scheduler
    first, back, inline, kept = [site.dial() for _ in range(4)]
    for client, path in ((first, "/first"), (back, "/back")):
        client.send(f"POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n".encode())
        eventually(lambda: members._away)
        client.send(b"1")
        eventually(lambda path=path: path in inside)
    for count, (client, path) in enumerate(((inline, "/inline"), (kept, "/kept")), 1):
        send(client, path)
        eventually(lambda count=count: len(members._waiting) == count)
    gates["/back"].set()
    eventually(lambda: "/inline" in inside)
    back.send(b"2")
    assert back.response().content == b"done"
    eventually(lambda: members._running == 1 or "/kept" in inside)
    assert inside == {"/first", "/inline"}
    for gate in gates.values():
        gate.set()
    first.send(b"2")
    for client in (first, inline, kept):
        assert client.response().content == b"done"


def test_with_one_thread_requests_are_accepted_and_served_in_order(serve, gate, eventually):
    site = serve(gate, threads=1)
    clients = []
    for index in range(5):
        clients.append(site.dial())
        send(clients[-1], f"/{index}")
        eventually(lambda: gate.inside + len(site.loop.scheduler._waiting) == len(clients))
    gate.open.set()
    for client in clients:
        assert client.response().content == b"done"
    assert gate.paths == ["/0", "/1", "/2", "/3", "/4"]
    assert gate.most == 1


@pytest.mark.parametrize("stream_requests", [False, True])
def test_with_one_thread_nobody_else_is_inside_while_a_client_is_waited_for(
    serve, eventually, stream_requests
):
    inside = []

    def application(environ, start_response):
        assert not inside, "wsgi.multithread is false"
        inside.append(environ["PATH_INFO"])
        try:
            content = environ["wsgi.input"].read()
            start_response("200 OK", [])
            return [content + b"x" * (8 << 20) if content else b"fast"]
        finally:
            inside.clear()

    site = serve(application, threads=1, stream_requests=stream_requests, response_buffer=0)
    first, second = site.dial(), site.dial()
    first.send(b"POST /slow HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    assert first.response().status == "100"
    send(second)
    if stream_requests:
        eventually(lambda: len(site.loop.scheduler._waiting) == 1)  # someone else leads
    else:
        assert second.response().content == b"fast"  # the loop waits for the content
    first.send(b"slow")
    assert first.response().content[:4] == b"slow"
    if stream_requests:
        assert second.response().content == b"fast"
    assert site.get().content == b"fast"


def test_with_one_thread_nobody_else_is_inside_while_a_client_reads(serve, eventually):
    inside = []

    def application(environ, start_response):
        start_response("200 OK", [])
        path = environ["PATH_INFO"]
        assert not inside, "wsgi.multithread is false"
        inside.append(path)
        yield from [b"x" * (1 << 20)] * (8 if path == "/big" else 1)
        inside.clear()

    site = serve(application, threads=1)
    slow, other = site.dial(), site.dial()
    send(slow, "/big")
    slow.until(b"\r\n\r\n")
    send(other)
    eventually(lambda: len(site.loop.scheduler._waiting) == 1)
    assert inside == ["/big"]
    slow.take(8 << 20)
    assert other.response().content == b"x" * (1 << 20)


def test_after_slow_calls_the_lead_is_given_away_before_the_call(serve, gate, monkeypatch, eventually):
    monkeypatch.setattr(module, "WATCH_SECONDS", 1000.0)  # the watchdog does not do it
    site = serve(gate)
    site.loop.scheduler._average = 1.0
    slow = [site.dial() for _ in range(3)]
    for client in slow:
        send(client)
    eventually(lambda: gate.inside == 3)
    assert site.get("/fast").content == b"done"
    assert len(set(gate.threads)) == 4
    gate.open.set()
    for client in slow:
        assert client.response().content == b"done"


def test_fast_calls_win_the_lead_back(serve, gate, monkeypatch):
    monkeypatch.setattr(module, "WATCH_SECONDS", 1000.0)
    site = serve(gate)
    scheduler = site.loop.scheduler
    scheduler._average = module._MOST_SECONDS
    before = scheduler.calls
    for _ in range(2000):
        site.get("/fast")
        if scheduler.calls > before:
            break
    assert scheduler.calls > before


def test_without_further_threads_the_server_serves_with_what_there_is(serve, gate, monkeypatch, eventually):
    site = serve(gate)

    def no_thread(self):
        raise RuntimeError("can't start new thread")

    assert site.get("/fast").content == b"done"
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    site.loop.scheduler._spares.clear()
    slow, fast = site.dial(), site.dial()
    send(slow)
    eventually(lambda: gate.inside == 1)
    send(fast, "/fast")
    gate.open.set()
    assert slow.response().content == b"done"
    assert fast.response().content == b"done"


def test_an_idle_server_sleeps_until_it_is_called(serve, gate, monkeypatch, eventually):
    class CountingPoller:
        def __init__(self):
            self._poller = make_poller()
            self.waits = []
            self.inside = False

        def __getattr__(self, name):
            return getattr(self._poller, name)

        def poll(self, timeout=None):
            self.waits.append(timeout)
            self.inside = True
            try:
                return self._poller.poll(timeout)
            finally:
                self.inside = False

    monkeypatch.setattr(departures, "make_poller", CountingPoller)
    site = serve(gate)
    poller, scheduler = site.loop._poller, site.loop.scheduler

    def asleep():
        return poller.inside and poller.waits[-1] is None and not scheduler._watching

    eventually(asleep)
    assert site.get("/fast").content == b"done"
    eventually(asleep)
    count = len(poller.waits)
    # A connection that idles wakes the server once a second, for its deadline.
    client = site.dial()
    send(client, "/fast")
    assert client.response().content == b"done"
    eventually(lambda: poller.inside and not scheduler._watching)
    assert all(wait is None or wait > 0.1 for wait in poller.waits[count + 2 :])


# By itself, with a room that a test controls


class Room:
    """A loop that runs one connection, and stops its scheduler's moves at chosen points."""

    def __init__(self):
        self.scheduler = None
        self.log = []
        self.led = threading.Semaphore(0)
        self.on_lead = self.on_respond = self.on_let_go = lambda *_: None

    def lead(self, member):
        self.log.append(("lead", member))
        self.led.release()
        self.on_lead(member)

    def respond(self, connection):
        self.on_respond(connection)
        return KEEP

    def take_back(self, connection, outcome):
        self.log.append(("take back", connection))

    def wake(self):
        self.log.append(("wake",))

    def let_go(self, connection):
        self.log.append(("let go", connection))
        self.on_let_go(connection)


@pytest.fixture
def room():
    made = Room()
    made.scheduler = Scheduler(made, 8)
    yield made
    made.scheduler.stop()
    made.scheduler.join(PATIENCE)
    assert not any(thread.is_alive() for thread in made.scheduler._started)


def test_a_call_that_ends_while_its_lead_is_taken_leaves_one_leader(room):
    """The call returns while the watchdog is about to name the new leader: both must agree who leads."""
    scheduler = room.scheduler
    taken, returned = threading.Event(), threading.Event()
    leads = []
    first = scheduler._leader

    def on_lead(member):
        if member is first:
            assert scheduler.run(SimpleNamespace(), member) is None
            leads.append(scheduler.leads(member))
            returned.set()

    room.on_lead = on_lead
    room.on_respond = lambda _: taken.wait(PATIENCE)

    def on_let_go(_):
        taken.set()
        returned.wait(0.2)  # with the lead half moved, the call has time to return; it must not get far

    room.on_let_go = on_let_go
    watcher = threading.Thread(target=scheduler.watch)
    scheduler.start()
    watcher.start()
    assert returned.wait(PATIENCE)
    assert leads == [False]
    scheduler.stop()
    watcher.join()


def test_a_spare_that_is_not_needed_after_all_ends_with_the_others(room):
    """The call has just ended, and with it the server: the thread called to take over must end as well."""
    scheduler = room.scheduler

    class Claim(list):
        def pop(self):
            scheduler.stop() if not scheduler._lock.locked() else setattr(scheduler, "_stopped", True)
            raise IndexError

    scheduler._leader.claim = Claim(["connection"])
    scheduler._take_lead()
    scheduler.stop()
    scheduler.join(2.0)
    assert not any(thread.is_alive() for thread in scheduler._started)


def test_a_call_that_costs_the_lead_counts_as_slow(room):
    scheduler = room.scheduler
    scheduler._leader.claim.append("connection")
    for _ in range(4):
        scheduler._take_lead()
        scheduler._leader.claim.append("connection")
    assert scheduler._average > module._SLOW_SECONDS
    scheduler._leader.claim.clear()


def test_no_more_threads_wait_than_one_more_than_may_be_inside(room):
    """Those that took the place of threads that waited for clients are needed no longer, and would stay."""
    room.scheduler = Scheduler(room, 2)
    members = [module.Member() for _ in range(5)]
    for member in members:
        room.scheduler._dismiss(member)
    assert [member.stop for member in members] == [False, False, False, True, True]
    assert [member.signal.acquire(blocking=False) for member in members[2:]] == [False, True, True]


def test_a_request_that_is_kept_back_stays_so_until_the_leader_takes_it(room):
    """Between two queues it would be turned away by whoever comes later, and forgotten at the end."""
    scheduler = room.scheduler
    scheduler._running = 8
    kept, slow = object(), object()
    assert scheduler.run(kept, scheduler._leader) is None
    waiting = scheduler.waiting(slow, lambda: [*scheduler.kept_back])
    assert waiting == [kept]
    assert [word for word, *_ in room.log] == ["let go", "wake"]


def test_with_a_request_timeout_there_is_nothing_to_look_after_while_nobody_is_inside(room):
    scheduler = Scheduler(room, 2, timeout=1000.0)
    seen = [scheduler._has_deadlines]
    scheduler.call_timeout.begin(SimpleNamespace(), lambda: None)
    seen.append(scheduler._has_deadlines)
    scheduler.call_timeout.end()
    seen.append(scheduler._has_deadlines)
    assert seen == [False, True, False]


def test_a_leader_whom_nobody_can_replace_gives_up_no_turn_and_takes_none(room, monkeypatch):
    scheduler = room.scheduler
    monkeypatch.setattr(scheduler, "_start", lambda member: False)
    scheduler._leader.ident = threading.get_ident()
    assert scheduler.waiting(object(), lambda: scheduler._running) == 0
    assert scheduler._running == 0


def test_a_child_waits_for_no_lock_and_has_no_leader(room):
    """Another thread, which the child lacks, may have held any lock when the child was forked."""
    scheduler = room.scheduler = Scheduler(room, 2, timeout=1000.0)
    calls, leader = scheduler.call_timeout, scheduler._leader
    leader.claim.append("connection")
    scheduler._waiting.append("another")
    calls.begin(SimpleNamespace(), lambda: None)
    with scheduler._lock, calls._lock:
        scheduler.leave()
        assert scheduler.drop_waiting() == []
        assert not scheduler.leads(leader)
        assert leader.claim == []  # who has it come back finds that the lead is lost
        assert not calls.is_busy
        calls.end()
        assert scheduler._spare() is None


def test_threads_that_have_ended_are_not_kept(room):
    scheduler = room.scheduler
    for _ in range(3):
        member = module.Member()
        member.stop = True
        member.signal.release()
        assert scheduler._start(member)
        scheduler.join(PATIENCE)
    assert len(scheduler._started) == 1


def test_what_is_dropped_at_the_end_goes_to_nobody_else(room):
    scheduler = room.scheduler
    scheduler._running = 8
    kept = object()
    assert scheduler.run(kept, scheduler._leader) is None
    assert scheduler.drop_waiting() == [kept]
    scheduler._running = 0
    assert scheduler.next_waiting() is None


def test_the_average_follows_the_calls_and_one_slow_call_is_forgiven(room):
    scheduler = room.scheduler
    for _ in range(100):
        scheduler.note_duration(0.0001 * 7, 7)
    assert scheduler._average == pytest.approx(0.0001, rel=0.01)
    scheduler.note_duration(3600.0, 1)
    assert scheduler._average < module._SLOW_SECONDS
    for _ in range(100):
        scheduler.note_duration(3600.0, 1)
    assert scheduler._average > module._SLOW_SECONDS


def test_a_request_that_is_kept_back_when_the_server_ends_is_turned_away(serve, gate, eventually):
    site = serve(gate, threads=1)
    slow, kept = site.dial(), site.dial()
    send(slow)
    eventually(lambda: gate.inside == 1)
    send(kept)
    eventually(lambda: site.loop.scheduler._waiting)
    for _ in range(2):  # the second time, nothing more is waited for
        site.server._worker.stop()
    assert kept.response().status == "503"
    assert kept.ended
    gate.open.set()
    assert slow.response().content == b"done"
    eventually(lambda: not own_threads())
    assert len(gate.threads) == 1


def test_a_thread_that_comes_back_just_when_the_server_ends_leaves_nothing_open(
    serve, gate, monkeypatch, eventually
):
    site = serve(gate)
    slow = site.dial()
    send(slow)
    eventually(lambda: gate.inside == 1)
    finish = site.loop._finish

    def finish_later():
        gate.open.set()
        eventually(lambda: site.loop._returned)
        finish()

    monkeypatch.setattr(site.loop, "_finish", finish_later)
    for _ in range(2):
        site.server._worker.stop()
    assert slow.response().content == b"done"
    assert slow.ended
