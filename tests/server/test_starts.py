"""Applications that start their response wrongly, late or again, or fail anywhere.

A small model says what must come of it: the whole response, 500 where no head had left, or one that is
visibly cut; one call of close(); one record for what went wrong; and on a connection that is kept the next
response is the next request's own.
"""

import contextlib
import sys
import zlib
from typing import NamedTuple

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

GOOD, LENGTH, EMPTY, UNCHANGED, BAD_STATUS, BAD_NAME, BAD_VALUE, NO_LIST, TWO_LENGTHS = range(9)
HEADS = {
    GOOD: ("200 OK", []),
    LENGTH: ("201 Created", [("Content-Length", "5")]),
    EMPTY: ("204 No Content", []),
    UNCHANGED: ("304 Not Modified", [("Content-Length", "5")]),
    BAD_STATUS: ("103 Early Hints", []),
    BAD_NAME: ("200 OK", [("Connection", "keep-alive")]),
    BAD_VALUE: ("200 OK", [("A", "b\r\nC: d")]),
    NO_LIST: ("200 OK", ()),
    TWO_LENGTHS: ("200 OK", [("Content-Length", "5"), ("content-length", "5")]),
}
ERRORS = (
    ZeroDivisionError,
    SystemExit,
    KeyboardInterrupt,
    GeneratorExit,
    ConnectionResetError,
    BrokenPipeError,
)
FAULTS = ("none", "none", "none", "iter", "iter stops", "len", "close")
"""What of the iterable raises."""


class Start(NamedTuple):
    head: int
    replaces: bool
    """Whether it is called with exc_info."""
    minds: bool
    """Whether what it raises ends the application."""


class Give(NamedTuple):
    by: str
    size: int


class Fail(NamedTuple):
    error: type


class Order(NamedTuple):
    call: tuple
    """What is done before the iterable is returned."""
    blocks: tuple
    """What is done by the iterable."""
    fault: str
    error: type
    method: str


class Failed(Exception):
    pass


class Model:
    """What must come of an order."""

    def __init__(self, order):
        self.order = order
        self.head = self.sent = self.left = None
        self.is_started = self.has_write = self.is_returned = self.is_stopped = False
        self.fails = self.overruns = self.is_short = False
        self.content = b""
        try:
            self.run()
        except Failed:
            self.fails = True
        self.is_short |= self.fails and self.left != 0

    @property
    def errors(self):
        """How many records there must be."""
        faulty_close = self.order.fault == "close" and self.is_returned
        return (self.fails or faulty_close) + (self.overruns or (self.is_short and not self.fails))

    def run(self):
        for deed in self.order.call:
            self.do(deed)
        self.is_returned = True
        if self.order.fault.startswith("iter"):
            raise Failed
        for deed in self.order.blocks:
            if self.is_stopped and isinstance(deed, Give) and deed.by == "block" and deed.size:
                break
            self.do(deed)
            if self.is_stopped and isinstance(deed, Give) and deed.by == "block":
                break
        if not self.sent:
            self.send(0)
        self.is_short = bool(self.left)

    def do(self, deed):
        match deed:
            case Start():
                try:
                    self.start(deed)
                except Failed:
                    if deed.minds:
                        raise
            case Give("block", 0):
                pass
            case Give("write", _) if not self.has_write:
                pass
            case Give():
                self.give(deed)
            case Fail():
                raise Failed

    def start(self, deed):
        if deed.replaces:
            if self.sent:
                raise Failed
            self.head = None
        elif self.is_started:
            raise Failed
        self.is_started = True
        if deed.head >= BAD_STATUS:
            raise Failed
        self.head = HEADS[deed.head]
        self.has_write = True

    def send(self, size):
        if self.head is None:
            raise Failed
        status, headers = self.head
        if not headers and self.is_returned and size and self.order.fault == "len":
            raise Failed
        self.sent = self.head
        if self.order.method == "HEAD" or status[:3] in {"204", "304"}:
            self.left = 0
        elif headers:
            self.left = 5

    def give(self, deed):
        if not self.sent:
            self.send(deed.size)
        content = deed.by[:1].encode() * deed.size
        if self.left is None:
            self.content += content
            return
        self.content += content[: self.left]
        if deed.size <= self.left:
            self.left -= deed.size
            return
        self.left = 0
        self.is_stopped = True
        if self.order.method != "HEAD" and self.sent[0][:3] not in {"204", "304"}:
            if not self.is_returned:
                raise Failed
            self.overruns = True


class Application:
    def __init__(self):
        self.order = None
        self.closed = 0

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == "/next":
            start_response("200 OK", [])
            return [b"next"]
        order = self.order
        writes = []
        for deed in order.call:
            self.do(deed, start_response, writes)
        return Result(self, order, self.blocks(order, start_response, writes))

    def blocks(self, order, start_response, writes):
        for deed in order.blocks:
            if isinstance(deed, Give) and deed.by == "block":
                yield b"b" * deed.size
            else:
                self.do(deed, start_response, writes)

    def do(self, deed, start_response, writes):
        match deed:
            case Start(head, replaces, minds):
                with contextlib.suppress(*(() if minds else (Exception,))):
                    try:
                        raise ArithmeticError
                    except ArithmeticError:
                        exc_info = sys.exc_info() if replaces else None
                    writes.append(start_response(*HEADS[head], exc_info))
            case Give("write", size) if writes:
                writes[0](b"w" * size)
            case Fail(error):
                raise error


class Result:
    def __init__(self, application, order, blocks):
        self.application = application
        self.order = order
        self.blocks = blocks

    def __iter__(self):
        if self.order.fault == "iter":
            raise self.order.error
        if self.order.fault == "iter stops":
            raise StopIteration
        return self.blocks

    def __len__(self):
        raise self.order.error if self.order.fault == "len" else TypeError

    def close(self):
        self.application.closed += 1
        if self.order.fault == "close":
            raise self.order.error


def starts():
    return st.builds(
        Start, st.sampled_from((*HEADS, GOOD, LENGTH, GOOD, LENGTH)), st.booleans(), st.booleans()
    )


def deeds(by):
    gives = st.builds(Give, st.sampled_from(by), st.sampled_from((0, 1, 2, 3, 5, 9, 70_000)))
    return st.lists(gives | gives | starts() | st.builds(Fail, st.sampled_from(ERRORS)), max_size=3).map(
        tuple
    )


def orders():
    first = st.builds(Start, st.sampled_from((GOOD, LENGTH, EMPTY, UNCHANGED)), st.booleans(), st.just(True))
    call = st.tuples(first).flatmap(lambda begun: deeds(["write"]).map(lambda more: (*begun, *more)))
    methods = st.sampled_from(("GET", "GET", "HEAD"))
    blocks = deeds(["block", "block", "write"])
    return st.builds(
        Order,
        call | call | deeds(["write"]),
        blocks,
        st.sampled_from(FAULTS),
        st.sampled_from(ERRORS),
        methods,
    )


@pytest.mark.parametrize("served_before", [0, 1, 2])
def test_a_response_is_whole_or_500_or_visibly_cut_and_told_of_once(
    request, serve, truncated, caplog, served_before
):
    application = Application()
    # With one thread, the answer to another request tells that the call before it is over.
    site = serve(application, threads=1)

    @settings(max_examples=300)
    @seed(zlib.crc32(request.node.name.encode()))
    @given(orders())
    def try_it(order):
        site.get("/next")  # the call of an example that failed is over, too
        caplog.clear()
        application.order, application.closed = order, 0
        model = Model(order)
        with site.dial() as client:
            for _ in range(served_before):
                assert client.get("/next").content == b"next"
            client.send(f"{order.method} / HTTP/1.1\r\nHost: t\r\n\r\n".encode())
            if model.sent and model.is_short:
                with pytest.raises(truncated):
                    client.response(order.method)
            else:
                response = client.response(order.method)
                is_500 = response.status == "500"
                assert is_500 == (not model.sent)
                if not is_500:
                    assert response.status == model.sent[0][:3]
                    assert response.content == model.content
                if is_500 or model.overruns:
                    assert client.ended
                else:
                    assert client.get("/next").content == b"next"
        assert site.get("/next").content == b"next"
        assert application.closed == model.is_returned
        assert [record.levelname for record in caplog.records] == ["ERROR"] * model.errors

    try_it()
