"""Conversations with the whole server: requests in a row on a connection, alike or not, cut anywhere.

What one request leaves behind (in the reader, in a buffer, between two threads) shows in the next one only.
So here a connection carries several, in pieces that arrive together or apart, while others are held beside
it, and each response is compared with what a model says. A response that is wrong, missing or one too many is
a fault, as is whatever the server logs.
"""

import json
import selectors
import socket
import zlib
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from tests.server.authority import write_certificate
from tests.server.conversation import BODILESS, CONTENT, FILES, MADE, Application, Order, Request, check
from tests.server.talk import Talk
from wsgix.server import departures
from wsgix.server.poller import SelectorPoller

# Conversations


class Cut(NamedTuple):
    """A place to end a piece at, and what to do there."""

    request: int
    part: str
    """What the place is counted from: head (its start), content (its start), end, or anywhere in it."""
    offset: int
    then: str
    """goes on, arrives, or answered: waits until all responses that are due have been read."""


class Conversation(NamedTuple):
    """What a client says on one connection, and how it says it."""

    requests: tuple[Request, ...]
    times: int
    """How often all of them are made, if they are quick: the server's patience with one client has an end."""
    cuts: tuple[Cut, ...]
    receive_buffer: int
    half_closes: bool
    behind: bool
    """Whether bytes follow a request that ends the connection."""

    def plan(self, site):
        """Return the requests that will be answered, the bytes to send, what to do at which of them, and
        where each request ends."""
        requests, wire, stops, starts = [], b"", {}, []
        is_quick = all(request.is_quick for request in self.requests)
        for request in (self.requests * (self.times if is_quick else 1))[: site.most or None]:
            request = request._replace(scheme=site.scheme)
            requests.append(request)
            head, body = request.head, request.body
            starts.append((len(wire), len(wire) + len(head)))
            wire += head
            if request.waits:
                stops[len(wire)] = "told"
            is_asked_for = request.reads != "none" or not request.is_streamed(site.streams)
            if is_asked_for or not request.waits:
                wire += body
            if request.end(site.streams) == "closes":
                break
        starts.append((len(wire), len(wire)))
        for cut in self.cuts:
            index = cut.request % len(requests)
            start, content = starts[index]
            end = starts[index + 1][0]
            place = {"head": start, "content": content, "end": end}.get(cut.part)
            at = start + cut.offset * 7919 % (end - start) if place is None else place + cut.offset % 9 - 4
            if 0 < at < len(wire):
                stops.setdefault(at, cut.then)
        if self.behind and request.end(site.streams) == "closes" and request.has_end:
            # In a piece of its own it may be answered with a reset, which can overtake the response.
            wire += CONTENT[:99]
        ends = [start for start, _ in starts[1:]]
        return requests, wire, [*sorted(stops.items()), (len(wire), "answered")], ends


def converse(site, conversation):
    """Hold a conversation; a generator that stops between pieces, as others are held beside it."""
    streams, most = site.streams, site.most
    requests, wire, stops, ends = conversation.plan(site)
    # Over TLS, an end that the server does not read before its own would be answered with a reset.
    half_closes = conversation.half_closes and requests[-1].end(streams) != "closes" and len(requests) != most
    talk = Talk(site, conversation.receive_buffer)
    answered = 0
    closes = may_close = False

    def has_closed():
        nonlocal closes
        if not closes and not talk.has_response():
            assert may_close, f"request {answered + 1} is not answered"
            closes = True
        return closes

    def read(due):
        nonlocal answered, closes, may_close
        while answered < due and not has_closed():
            request = requests[answered]
            answered += 1
            closes = check(request, talk.read(request.method), streams, answered == most)
            may_close = request.end(streams) == "either"

    try:
        begin = 0
        for at, then in stops:
            talk.send(wire[begin:at])
            begin = at
            if at == len(wire) and half_closes:
                talk.half_close()
            if then == "arrives":
                talk.wait_for_arrival()
            elif then == "answered":
                read(sum(end <= at for end in ends))
            elif then == "told":
                read(sum(end < at for end in ends))
                if not has_closed():
                    talk.wait_to_go_on(requests[answered].method)
            if closes:
                break
            yield
        read(len(requests))
        if not closes:
            talk.half_close()
        assert not talk.rest()
        # A response that ends with the connection is whole only if that ends in order.
        assert requests[answered - 1].has_end or not talk.was_reset
    finally:
        talk.close()


def hold(site, conversations):
    """Hold conversations beside each other, a piece of each in turn."""
    going = [converse(site, conversation) for conversation in conversations]
    try:
        while going:
            going = [each for each in going if next(each, going) is not going]
    finally:
        for each in going:
            each.close()


# What they are made of


def mostly(usual, *others, times=4):
    return [usual] * times + [*others]


ORDER = {
    "shape": [*MADE, *FILES, *BODILESS],
    "reads": mostly("all", "lines", "part", "none", times=2),
    "size": mostly(5, 0, 1, 100, 5000, 70_000, times=2),
    "declares": [False, True],
    "rests": mostly("never", "first", "between", "last", times=25),
    "rest": [4, 6, 8, 10, 15],
}
REQUEST = {
    "method": mostly("GET", "POST", "HEAD"),
    "tail": mostly("", "/x", "/a%20b", "?a=b"),
    "authority": mostly(None, "other", "other:80"),
    "scheme": ["http"],
    "host": mostly("t", "u:80"),
    "version": mostly("HTTP/1.1", "HTTP/1.0", "HTTP/1.2", times=8),
    "connection": mostly(None, "keep-alive", "Keep-Alive, X-A", "close", times=8),
    "size": mostly(0, 1, 9, 300, 5000, 70_000),
    "chunk": mostly(None, 7, 1000, 1 << 20),
    "trailers": mostly((), (("X-Sum", "1"),), (("X-Sum", "1"), ("X-Sum", "2")), times=2),
    "expects": mostly(None, "waits", "goes on"),
    "empty_lines": mostly(0, 1, 2, times=8),
}
FIELD = (
    ["X-A", "x-a", "X-B", "Cookie", "Accept", "X_A", "Proxy"],
    [" 1", " 2", "3", " \t padded \t", " caf\xe9", "", " v", " w"],
    mostly(1, 30, 300, times=9),
)
CUT = {
    "request": range(8),
    "part": ["head", "content", "end", "anywhere"],
    "offset": range(1000),
    "then": ["goes on", "arrives", "answered"],
}
CHANGES = ["nothing"] * 14 + ["value"] * 6 + ["more", "less", "all", "order", "fields", *REQUEST]


def choose(random, options):
    return {name: random.choice(values) for name, values in options.items()}


def make_order(random):
    return Order(**choose(random, ORDER))


def make_field(random):
    return tuple(map(random.choice, FIELD))


def make_fields(random):
    return tuple(make_field(random) for _ in range(random.randrange(5)))


def make_request(random):
    return Request(order=make_order(random), fields=make_fields(random), **choose(random, REQUEST))


def change(random, request):
    """Make the next request, which is equal to this one or nearly so, most of the time."""
    what = random.choice(CHANGES)
    fields = request.fields
    if what == "all":
        return make_request(random)
    if what == "order":
        return request._replace(order=make_order(random))
    if what == "fields":
        return request._replace(fields=make_fields(random))
    if what == "more":
        return request._replace(fields=(*fields, make_field(random)))
    if what in {"less", "value"} and fields:
        *before, (name, _, times) = fields
        last = [(name, random.choice(FIELD[1]), times)] if what == "value" else []
        return request._replace(fields=(*before, *last))
    return request._replace(**choose(random, {what: REQUEST[what]})) if what in REQUEST else request


def make_conversation(random):
    requests = [make_request(random)]
    for _ in range(random.randrange(8)):
        requests.append(change(random, requests[-1]))
    return Conversation(
        requests=tuple(requests),
        times=random.choice(mostly(1, 9, times=12)),
        cuts=tuple(Cut(**choose(random, CUT)) for _ in range(random.randrange(7))),
        receive_buffer=random.choice([0, 4096]),
        half_closes=random.choice([False, True]),
        behind=random.choice([False, True]),
    )


@st.composite
def some_conversations(draw):
    """Conversations to be held beside each other."""
    # Drawn at random, each is another one; drawn by Hypothesis, they would be smaller and mostly alike. Who
    # hunts for the smallest one that fails lets Hypothesis draw, and adds Phase.shrink.
    random = draw(st.randoms(use_true_random=True))
    return [make_conversation(random) for _ in range(random.randrange(1, 4))]


# The tests

SETTINGS = {
    "by default": {},
    "streamed": {"stream_requests": True},
    # Where it has to wait for a client, everybody does: here it has not.
    "on one thread": {"threads": 1, "response_buffer": 1 << 26},
    # Hardly a response leaves in one piece, and hardly any content stays in memory.
    "in small buffers": {
        "send_buffer": 4096,
        "response_buffer": 1000,
        "request_buffer": 1000,
        "request_memory": 5000,
    },
    "three a connection": {"limit_requests_per_connection": 3},
}


@pytest.fixture
def application():
    made = Application()
    yield made
    made.close()


@pytest.fixture
def try_conversations(request, serve, application, caplog, eventually):
    """Serve the application, and try conversations with it: `try_conversations(**settings)`."""

    def try_them(send_buffer=0, **options):
        # A client with a small buffer gets some 10 KB a second: its kernel opens the window by little, and
        # the server's looks after it five times a second.
        site = serve(application, head_timeout=600, body_timeout=600, write_timeout=600, **options)
        site.scheme = urlsplit(site.url).scheme
        has_one_thread = options.get("threads") == 1
        site.streams = "all" if options.get("stream_requests") else "none" if has_one_thread else "expecting"
        site.most = options.get("limit_requests_per_connection", 0)
        loop = site.loop
        for listener, _ in loop._listeners.values():
            if send_buffer:  # accepted sockets inherit it
                listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        memory = loop._common.memory.free

        def has_given_back_all():
            is_idle = not loop._connections and not loop.scheduler._running
            return is_idle and not application.open and loop._common.memory.free == memory

        @settings(max_examples=40, phases=[Phase.explicit, Phase.generate])
        @seed(zlib.crc32(request.node.name.encode()))  # other conversations in each test
        @given(some_conversations())
        def hold_each(conversations):
            hold(site, conversations)
            eventually(has_given_back_all)
            assert not caplog.records

        hold_each()

    return try_them


@pytest.mark.parametrize("options", SETTINGS.values(), ids=SETTINGS)
def test_a_request_is_answered_whatever_came_before_it(try_conversations, options):
    try_conversations(**options)


def test_a_request_is_answered_over_tls(try_conversations, tmp_path):
    chain, key = write_certificate(tmp_path, "localhost", "127.0.0.1")
    try_conversations(send_buffer=4096, certfile=chain, keyfile=key)


def test_a_request_is_answered_whatever_the_poller(try_conversations, monkeypatch):
    monkeypatch.setattr(departures, "make_poller", lambda: SelectorPoller(selectors.SelectSelector()))
    try_conversations()


def test_the_access_log_has_a_line_for_each_request(try_conversations, serve, application, tmp_path):
    path = tmp_path / "access.log"
    try_conversations(access_log=str(path), access_log_format="json", request_timeout=600)
    serve.stop()
    lines = path.read_text().splitlines()
    assert len([*map(json.loads, lines)]) == application.calls
