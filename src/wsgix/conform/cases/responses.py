"""Cases of chapter R: what start_response does, and the head."""

from __future__ import annotations

from typing import Final

from wsgix.conform.probe_case import Cases, Client, Failed, Information
from wsgix.conform.probe_client import MalformedResponse, NoAnswer

CASES: Final = Cases()

_SILENCE: Final = 0.12
_HELLO: Final = ("return=list", "block=hello")


@CASES.of("R1")
def write_is_returned(client: Client) -> None:
    """start_response returns a callable."""
    client.do("start=200 OK", "call=write", *_HELLO)
    noted = client.noted("write")
    if not noted or not noted[0]["callable"]:
        raise Failed(f"it returns an object of type {noted[0]['type'] if noted else 'unknown'}")


@CASES.of("R1", "write-is-returned")
def write_takes_bytes(client: Client) -> None:
    """write(b"hello") sends hello."""
    response = client.do("start=200 OK", "write=hello", "return=list")
    if response.content != b"hello":
        raise Failed(f"the content is {response.content[:60]!r}")


def expect_silence(client: Client, *steps: str) -> None:
    """Fail if anything is sent before the application is let go on; then the response is read."""
    connection = client.connect()
    connection.send(client.request(client.path("do", *steps)))
    if client.wait_for_note("holding") is None:
        raise Failed("the application does not get as far as that")
    silent = connection.stays_silent(_SILENCE)
    client.release("hold")
    if not silent:
        connection.wait_for(b"\r\n", _SILENCE)
        raise Failed(f"there came {bytes(connection.received[:60])!r}")
    response = connection.read_response()
    if response.content != b"hello":
        raise Failed(f"the content is {response.content[:60]!r}", "the content is b'hello'")


@CASES.of("R2")
def start_response_sends_nothing(client: Client) -> None:
    """After start_response nothing comes until the application returns a block."""
    expect_silence(client, "start=200 OK", "hold=hold", *_HELLO)


@CASES.of("R3", "start-response-sends-nothing")
def returned_result_sends_nothing(client: Client) -> None:
    """After the application returned, nothing comes until there is a block, whatever length was told."""
    steps = ("header=Content-Length: 5", "start=200 OK", "return=generator", "hold=hold", "block=hello")
    expect_silence(client, *steps)


@CASES.of("R3", "returned-result-sends-nothing")
def empty_block_sends_nothing(client: Client) -> None:
    """After an empty block nothing comes until there is one with content."""
    expect_silence(client, "start=200 OK", "return=generator", "block=", "hold=hold", "block=hello")


_REPLACED: Final = "exc_info=503 Service Unavailable"


def expect_replaced(client: Client, *steps: str) -> None:
    """Fail unless the response is the one that was given with exc_info."""
    response = client.do(*steps, status=503)
    if response.content != b"sorry":
        raise Failed(f"the content is {response.content[:60]!r}", "the content is b'sorry'")
    if response.values("X-First"):
        raise Failed("a header of the first call is sent as well")


@CASES.of("R4", "start-response-sends-nothing")
def exc_info_replaces_the_head(client: Client) -> None:
    """start_response with exc_info, while nothing was sent, replaces status and headers."""
    expect_replaced(client, "header=X-First: 1", "start=200 OK", _REPLACED, "return=list", "block=sorry")


@CASES.of("R4", "start-response-sends-nothing")
def exc_info_replaces_a_length(client: Client) -> None:
    """The Content-Length of the first call is replaced as well."""
    expect_replaced(
        client, "header=Content-Length: 500", "start=200 OK", _REPLACED, "return=list", "block=sorry"
    )


@CASES.of("R4", "empty-block-sends-nothing", "exc-info-replaces-the-head")
def exc_info_replaces_after_an_empty_block(client: Client) -> None:
    """start_response with exc_info after an empty block replaces status and headers."""
    steps = ("header=X-First: 1", "start=200 OK", "return=generator", "block=", _REPLACED, "block=sorry")
    expect_replaced(client, *steps)


@CASES.of("R4")
def exc_info_may_come_first(client: Client) -> None:
    """The first call may have exc_info already."""
    expect_replaced(client, _REPLACED, "return=list", "block=sorry")


def late_exc_info(client: Client, step: str = _REPLACED) -> None:
    """Call start_response with exc_info after a block was sent; what comes of it is noted."""
    steps = ("start=200 OK", "return=generator", "block=hello", "hold=hold", "try", step, "block=again")
    connection = client.connect()
    connection.send(client.request(client.path("do", *steps)))
    connection.wait_for(b"hello", client.timeout)
    client.release("hold")
    try:
        connection.read_response()
    except (NoAnswer, MalformedResponse):
        pass
    client.wait_until(lambda: bool(client.noted("raised") or client.noted("not-raised")), client.timeout)


@CASES.of("R5", "first-block-is-not-delayed", "start-may-come-with-the-first-block")
def exc_info_raises_after_the_head(client: Client) -> str:
    """start_response with exc_info after the first block was sent raises."""
    late_exc_info(client)
    if not client.noted("raised"):
        raise Failed("it returns")
    return f"{client.noted('raised')[0]['type']}"


@CASES.of("R6", "exc-info-raises-after-the-head")
def exc_info_is_raised_again(client: Client) -> None:
    """What it raises is the exception that it was given, and the traceback leads to where that came from."""
    late_exc_info(client)
    expect_same(client)


@CASES.of("R6", "exc-info-is-raised-again")
def kept_exc_info_is_raised_again(client: Client) -> None:
    """It does so too when the handler that caught the exception has ended."""
    late_exc_info(client, "kept_exc_info=503 Service Unavailable")
    if not client.noted("raised"):
        raise Failed("it returns")
    expect_same(client)


def expect_same(client: Client) -> None:
    """Fail unless the exception that was raised is the one that was given, with its traceback."""
    noted = client.noted("raised")[0]
    if not noted["same"]:
        raise Failed(f"it raises {noted['type']}: {noted['text']}")
    if not noted["traced"]:
        raise Failed("the traceback does not lead to where the exception came from")


@CASES.of("R7")
def second_start_is_an_error(client: Client) -> None:
    """The second call of start_response without exc_info raises."""
    client.do("start=200 OK", "try", "start=201 Created", *_HELLO, status=None)
    if client.noted("not-raised"):
        raise Failed("it returns")


@CASES.of("R7", "second-start-is-an-error", "values-are-checked-at-once")
def start_after_a_failed_one_is_an_error(client: Client) -> None:
    """After a call that raised, one without exc_info raises too."""
    steps = ("count=X-Probe", "try", "start=200 OK", "try", "start=200 OK", *_HELLO)
    try:
        client.do(*steps, status=None)
    except (NoAnswer, MalformedResponse):  # there is no head that could be sent
        pass
    if client.noted("not-raised"):
        raise Failed("it returns")


@CASES.of("R8", "exc-info-replaces-the-head")
def exc_info_is_let_go(client: Client) -> None:
    """When start_response has returned, the exception that it was given is gone at once."""
    client.do("start=200 OK", "exc_ref=503 Service Unavailable", "return=list", "block=sorry", status=503)
    noted = client.noted("referred")
    if noted and noted[0]["held"]:
        raise Failed(f"{noted[0]['held']} holds it")


def expect_raised(client: Client, *steps: str) -> None:
    """Fail unless the start_response after these steps raises."""
    try:
        client.do(*steps, "try", "start=200 OK", *_HELLO, status=None)
    except (NoAnswer, MalformedResponse):
        pass
    if not client.noted("raised"):
        raise Failed("it returns")


@CASES.of("R9")
def values_are_checked_at_once(client: Client) -> None:
    """start_response raises when the value of a header is an int."""
    expect_raised(client, "count=X-Probe")


@CASES.of("R9")
def names_are_checked_at_once(client: Client) -> None:
    """start_response raises when the name of a header has a space in it."""
    expect_raised(client, "header=X Probe: 1")


@CASES.of("R9")
def colons_are_checked_at_once(client: Client) -> None:
    """start_response raises when the name of a header has a colon in it."""
    expect_raised(client, "header=X-Probe:: 1")


def expect_not_sent(client: Client, marker: bytes, *steps: str) -> str:
    """Fail if the marker reaches the client in the head."""
    connection = client.connect()
    connection.send(client.request(client.path("do", *steps, *_HELLO)))
    connection.is_ended()
    head, _, _ = bytes(connection.received).partition(b"\r\n\r\n")
    if marker in head:
        raise Failed(f"the head has {marker!r} in it")
    status, _, _ = head.partition(b"\r\n")
    return status.decode("latin-1") or "the connection ends"


@CASES.of("R10")
def no_line_is_added_by_a_value(client: Client) -> str:
    """A value with CR LF in it adds no line to the head."""
    return expect_not_sent(client, b"\nX-Added: 1", "header=X-Probe: a\r\nX-Added: 1", "start=200 OK")


@CASES.of("R10")
def no_lf_is_sent_in_a_value(client: Client) -> str:
    """A value with LF in it is not sent like that."""
    return expect_not_sent(client, b"a\nX-Added: 1", "header=X-Probe: a\nX-Added: 1", "start=200 OK")


@CASES.of("R10")
def no_cr_is_sent_in_a_value(client: Client) -> str:
    """A value with CR in it is not sent like that."""
    return expect_not_sent(client, b"a\rX-Added: 1", "header=X-Probe: a\rX-Added: 1", "start=200 OK")


@CASES.of("R10")
def no_nul_is_sent_in_a_value(client: Client) -> str:
    """A value with NUL in it is not sent like that."""
    return expect_not_sent(client, b"a\0b", "header=X-Probe: a\0b", "start=200 OK")


@CASES.of("R10")
def no_line_is_added_by_a_name(client: Client) -> str:
    """A name with CR LF in it adds no line to the head."""
    return expect_not_sent(client, b"\nX-Added", "header=X-Probe\r\nX-Added: 1", "start=200 OK")


@CASES.of("R10")
def no_line_is_added_by_the_status(client: Client) -> str:
    """A status with CR LF in it adds no line to the head."""
    return expect_not_sent(client, b"\nX-Added: 1", "start=200 OK\r\nX-Added: 1")


_HOP_BY_HOP: Final = (
    ("Connection", "close"),
    ("Keep-Alive", "timeout=5"),
    ("Transfer-Encoding", "chunked"),
    ("Upgrade", "probe"),
    ("TE", "trailers"),
)


@CASES.of("R11")
def hop_by_hop_headers_are_refused(client: Client) -> None:
    """start_response raises for each of Connection, Keep-Alive, Transfer-Encoding, Upgrade and TE."""
    taken = []
    for name, value in _HOP_BY_HOP:
        before = len(client.noted("raised"))
        try:
            client.do(f"header={name}: {value}", "try", "start=200 OK", *_HELLO, status=None)
        except (NoAnswer, MalformedResponse):
            pass
        if len(client.noted("raised")) == before:
            taken.append(name)
    if taken:
        raise Failed(f"it takes {', '.join(taken)}")


@CASES.of("R12")
def length_has_no_case(client: Client) -> None:
    """An application's content-LENGTH is the only length, and the content is framed by it."""
    steps = ("header=content-LENGTH: 5", "start=200 OK", "return=generator", "block=hello")
    response = client.do(*steps)
    lengths, codings = response.values("Content-Length"), response.values("Transfer-Encoding")
    if len(lengths) > 1 or (lengths and codings):
        raise Failed(f"Content-Length is {lengths}, Transfer-Encoding {codings}")
    if response.content != b"hello":
        raise Failed(f"the content is {response.content[:60]!r}")


@CASES.of("R12", "given-date-is-the-only-one")
def date_has_no_case(client: Client) -> None:
    """An application's dATE is the only one."""
    value = "Sun, 06 Nov 1994 08:49:37 GMT"
    seen = client.do(f"header=dATE: {value}", "start=200 OK", *_HELLO).values("Date")
    if len(seen) != 1:
        raise Failed(f"there are {len(seen)}: {', '.join(seen)}")
    if seen != [value]:
        raise Information(f"the server's own is sent instead: {seen[0]}")


@CASES.of("R13")
def repeated_headers_are_sent(client: Client) -> None:
    """Two Set-Cookie headers are sent as two, in their order."""
    steps = ("header=Set-Cookie: a=1; Path=/", "header=X-Probe: 1", "header=Set-Cookie: b=2; Path=/")
    seen = client.do(*steps, "start=200 OK", *_HELLO).values("Set-Cookie")
    if seen != ["a=1; Path=/", "b=2; Path=/"]:
        raise Failed(f"they are {seen}")


@CASES.of("R13")
def values_are_sent_as_given(client: Client) -> None:
    """Values with signs, letters beyond ASCII and inner spaces, and empty ones, are sent as they are."""
    sent = {"X-Probe-A": 'a, "b;c"  d\\', "X-Probe-B": "\xe9\xff", "X-Probe-C": "", "Content-Type": "x/y"}
    response = client.do(
        *(f"header={name}: {value}" for name, value in sent.items()), "start=200 OK", *_HELLO
    )
    for name, value in sent.items():
        if response.values(name) != [value]:
            raise Failed(f"{name} is {response.values(name)}", f"{name} is {value!r}")


@CASES.of("R14")
def status_is_sent_as_given(client: Client) -> str:
    """The statuses 299, 418 and 599 are sent, with the reasons of the application's."""
    reasons = []
    for status in ("299 Fine By Me", "418 I Am A Teapot", "599 Far Out"):
        response = client.do(f"start={status}", *_HELLO, status=int(status[:3]))
        if response.reason.decode("latin-1") != status[4:]:
            reasons.append(response.reason.decode("latin-1"))
    if reasons:
        raise Information(f"the reasons are {', '.join(map(repr, reasons))}")
    return "with their reasons"
