"""Cases of chapter R: how the content is taken from the application and sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wsgix.conform.probe_case import Cases, Client, Failed, Information, NotApplicable
from wsgix.conform.probe_client import NoAnswer

if TYPE_CHECKING:
    from wsgix.conform.probe_client import Response

CASES: Final = Cases()

_HOLD: Final = 0.8
"""Of the time that is waited for an answer, how much the application is held."""
_LARGE: Final = 3_000_000
_MANY: Final = 60
_USUAL: Final = 0.15


def expect_not_delayed(client: Client, *steps: str, block: bytes = b"first", version: str = "1.1") -> str:
    """Fail unless the block arrives while the application is held after it.

    The application notes whether it was let go before its time; so a slow machine cannot make a server look
    slow that is not, unless it stands still for all of the hold.
    """
    hold = _HOLD * client.timeout
    steps = tuple(f"hold=hold:{hold:g}" if step == "hold" else step for step in steps)
    connection = client.connect()
    connection.send(client.request(client.path("do", *steps), version=version))
    came = connection.wait_for(block, hold + client.timeout)
    client.release("hold")
    response = connection.read_response()
    if response.status != 200:
        raise Failed(f"the response is {response}", "a response with status 200")
    if not came or not client.wait_for_note("released", 1.0):
        raise Failed(f"it comes when the application goes on after {hold:g} s")
    if not response.content.endswith(b"second"):
        raise Failed(f"the content ends with {response.content[-60:]!r}", "it ends with b'second'")
    return "it comes before the next is made"


_THEN: Final = ("hold", "block=second")


@CASES.of("R15")
def first_block_is_not_delayed(client: Client) -> str:
    """The first block of a generator arrives before the second is made."""
    return expect_not_delayed(client, "start=200 OK", "return=generator", "block=first", *_THEN)


@CASES.of("R15", "first-block-is-not-delayed")
def block_with_a_length_is_not_delayed(client: Client) -> str:
    """With a Content-Length too, the first block arrives before the second is made."""
    steps = ("header=Content-Length: 11", "start=200 OK", "return=iterator", "block=first", *_THEN)
    return expect_not_delayed(client, *steps)


@CASES.of("R15", "first-block-is-not-delayed")
def later_block_is_not_delayed(client: Client) -> str:
    """A later block arrives before the next one is made."""
    steps = ("start=200 OK", "return=generator", "block=zeroth", "block=between", "block=first", *_THEN)
    return expect_not_delayed(client, *steps)


@CASES.of("R15", "first-block-is-not-delayed")
def block_for_http_1_0_is_not_delayed(client: Client) -> str:
    """With HTTP/1.0 too, the first block arrives before the second is made."""
    steps = ("start=200 OK", "return=generator", "block=first", *_THEN)
    return expect_not_delayed(client, *steps, version="1.0")


@CASES.of("R15", "first-block-is-not-delayed")
def large_block_is_not_delayed(client: Client) -> str:
    """A block of 100000 bytes arrives to its last byte before the next one is made."""
    steps = ("start=200 OK", "return=generator", "size=100000", "block=first", *_THEN)
    return expect_not_delayed(client, *steps)


@CASES.of("R16", "written-content-is-not-cut")
def write_is_not_delayed(client: Client) -> str:
    """What was written arrives while the application is still in its call."""
    steps = ("start=200 OK", "write=first", "hold", "return=list", "block=second")
    return expect_not_delayed(client, *steps)


def expect_content(client: Client, wanted: bytes, *steps: str) -> Response:
    """Fail unless the content is this, and complete."""
    response = client.do(*steps)
    if response.content != wanted:
        raise Failed(f"the content is {response.content[:60]!r}", f"the content is {wanted[:60]!r}")
    if not response.complete:
        raise Failed("the content does not come to its end")
    return response


@CASES.of("R18", "write-takes-bytes")
def written_content_comes_to_its_end(client: Client) -> None:
    """What is written, with an empty list returned, is sent and has an end."""
    expect_content(client, b"hello", "start=200 OK", "write=hello", "return=list")


@CASES.of("R18", "written-content-comes-to-its-end")
def written_content_is_not_cut(client: Client) -> None:
    """What is written and the only block of a list are both sent."""
    expect_content(
        client, b"written and returned", "start=200 OK", "write=written", "return=list", "block= and returned"
    )


@CASES.of("R17", "written-content-is-not-cut")
def written_comes_before_returned(client: Client) -> None:
    """Two writes and two blocks are sent in their order."""
    steps = ("start=200 OK", "write=1", "write=2", "return=list", "block=3", "block=4")
    expect_content(client, b"1234", *steps)


@CASES.of("R17", "written-content-is-not-cut")
def written_comes_before_a_generators(client: Client) -> None:
    """Two writes in the call and two blocks of a generator are sent in their order."""
    steps = ("start=200 OK", "write=1", "write=2", "return=generator", "block=3", "block=4")
    expect_content(client, b"1234", *steps)


@CASES.of("R19")
def start_may_come_with_the_first_block(client: Client) -> None:
    """A generator that calls start_response before its first block has its response sent."""
    expect_content(client, b"hello", "return=generator", "start=200 OK", "block=hello")


@CASES.of("R19", "start-may-come-with-the-first-block")
def start_may_come_with_an_iterator(client: Client) -> None:
    """An iterator that calls start_response in its first step has its response sent."""
    expect_content(client, b"hello", "return=iterator", "start=200 OK", "block=hello")


@CASES.of("R20")
def any_iterable_will_do(client: Client) -> None:
    """A list, a tuple, a generator, an iterator, a map and an iterable with an iterator of its own will
    do.
    """
    for kind in ("list", "tuple", "generator", "iterator", "map", "separate"):
        response = client.do("start=200 OK", f"return={kind}", "block=a", "block=b", status=None)
        if response.status != 200 or response.content != b"ab":
            raise Failed(f"of a {kind} comes {response} with {response.content[:60]!r}")


@CASES.of("R20", "any-iterable-will-do")
def a_sequence_will_do(client: Client) -> None:
    """An object that iter() takes because it has __getitem__ will do."""
    expect_content(client, b"ab", "start=200 OK", "return=sequence", "block=a", "block=b")


@CASES.of("R21")
def empty_list_is_an_empty_response(client: Client) -> None:
    """An empty list is a response with the application's status and no content."""
    expect_content(client, b"", "start=200 OK", "return=list")


@CASES.of("R21", "empty-list-is-an-empty-response")
def empty_generator_is_an_empty_response(client: Client) -> None:
    """A generator that yields nothing is a response without content."""
    expect_content(client, b"", "start=200 OK", "return=generator")


@CASES.of("R21", "empty-list-is-an-empty-response")
def empty_blocks_are_an_empty_response(client: Client) -> None:
    """Two empty blocks are a response without content."""
    expect_content(client, b"", "start=200 OK", "return=generator", "block=", "block=")


@CASES.of("R22")
def result_is_only_iterated(client: Client) -> None:
    """No attribute of the iterable is asked for but those of iteration, __len__ and close."""
    expect_content(client, b"hello", "start=200 OK", "return=trap", "block=hello")
    asked = {record["name"] for record in client.noted("asked")}
    if others := sorted(name for name in asked if not name.startswith("__")):
        raise Failed(f"asked for: {', '.join(others)}")


@CASES.of("R23")
def len_may_fail(client: Client) -> None:
    """A result whose __len__ raises TypeError has its blocks sent."""
    expect_content(client, b"hello", "start=200 OK", "return=failing-length", "block=hello")


@CASES.of("R24")
def every_byte_is_sent(client: Client) -> None:
    """Each of the 256 values of a byte, and the line ends CR, LF and CR LF, are sent as they are."""
    wanted = bytes(range(256)) + b"\r\n\n\r"
    expect_content(client, wanted, "start=200 OK", "return=list", "bytes", "block=\r\n\n\r")


@CASES.of("R24", "written-content-comes-to-its-end")
def every_byte_is_written(client: Client) -> None:
    """Each of the 256 values of a byte is written as it is."""
    expect_content(client, bytes(range(256)), "start=200 OK", "write_bytes", "return=list")


@CASES.of("R24")
def large_block_is_complete(client: Client) -> None:
    """A block of three million bytes arrives whole."""
    response = client.do("start=200 OK", "return=generator", f"size={_LARGE}", "block=end")
    if len(response.content) != _LARGE + 3 or not response.content.endswith(b"end"):
        raise Failed(f"there came {len(response.content)} bytes", f"{_LARGE + 3} bytes")


@CASES.of("R24")
def many_blocks_are_complete(client: Client) -> None:
    """Sixty blocks arrive in their order."""
    blocks = [f"{number}," for number in range(_MANY)]
    steps = [f"block={block}" for block in blocks]
    expect_content(client, "".join(blocks).encode(), "start=200 OK", "return=generator", *steps)


@CASES.of("R25")
def empty_block_does_not_end_the_content(client: Client) -> None:
    """Empty blocks between others, and at the end, change nothing."""
    steps = (
        "start=200 OK",
        "return=generator",
        "block=a",
        "block=",
        "block=b",
        "block=",
        "block=c",
        "block=",
    )
    expect_content(client, b"abc", *steps)


@CASES.of("R25", "written-comes-before-returned")
def empty_write_does_not_end_the_content(client: Client) -> None:
    """An empty write before others changes nothing."""
    expect_content(client, b"ab", "start=200 OK", "write=", "write=a", "return=list", "block=b")


# The application's Content-Length.


def expect_length(client: Client, *steps: str) -> str:
    """Fail if more than five bytes are sent as content."""
    connection = client.connect()
    connection.send(client.request(client.path("do", "header=Content-Length: 5", "start=200 OK", *steps)))
    response = connection.read_response()
    if response.status >= 500:
        return f"the response is {response}"
    if response.status != 200:
        raise Failed(f"the response is {response}", "a response with status 200")
    connection.is_ended(client.soon)
    if connection.unread:
        raise Failed(f"after five bytes there comes {connection.unread[:60]!r}")
    return "the rest is not sent"


@CASES.of("R26")
def long_block_is_cut(client: Client) -> str:
    """Of a block of eight bytes, with a Content-Length of five, five are sent."""
    return expect_length(client, "return=list", "block=hello123")


@CASES.of("R26")
def later_block_is_left_out(client: Client) -> str:
    """A block that comes after the Content-Length is reached is not sent."""
    return expect_length(client, "return=generator", "block=hello", "block=123")


@CASES.of("R27", "first-block-is-not-delayed")
def iteration_stops_at_the_length(client: Client) -> str:
    """Of ten blocks, with a Content-Length that one fills, not all are asked for."""
    steps = ("return=iterator", "block=hello", *(f"block=more{number}" for number in range(9)))
    client.do("header=Content-Length: 5", "start=200 OK", *steps)
    client.wait_for_note("closed", client.soon)
    if client.noted("exhausted"):
        raise Failed("the iterator is asked for all ten blocks")
    return f"{len(client.noted('block'))} are asked for"


@CASES.of("R28", "written-comes-before-returned", "write-is-not-delayed")
def write_past_the_length_raises(client: Client) -> None:
    """write raises when the Content-Length was reached by the write before."""
    steps = ("header=Content-Length: 5", "start=200 OK", "write=hello", "try", "write=123", "return=list")
    client.do(*steps, status=None)
    # The content is complete before the second write is.
    client.wait_until(lambda: bool(client.noted("raised") or client.noted("not-raised")), client.timeout)
    if not client.noted("raised"):
        raise Failed("it returns")


_SHORT: Final = ("header=Content-Length: 10", "start=200 OK", "return=generator", "block=hello")


@CASES.of("R29")
def short_content_ends_the_connection(client: Client) -> str:
    """After five bytes of ten, the connection ends."""
    connection = client.connect()
    connection.send(client.request(client.path("do", *_SHORT), close=False))
    try:
        response = connection.read_response()
    except NoAnswer as fault:
        return str(fault)
    if response.status >= 500:
        return f"the response is {response}"
    if response.complete and len(response.content) == len(b"hello"):
        raise Information("another length is declared, that of the five bytes")
    if response.complete:
        raise Failed(f"ten bytes come: {response.content!r}")
    if not connection.is_ended(client.soon):
        raise Failed("it is open, and the client waits")
    return "it ends"


@CASES.of("R30", "short-content-ends-the-connection", alone=True)
def short_content_is_reported(client: Client) -> str:
    """The server's output tells more of a response that is too short than of one that is not."""
    output = client.target.output
    if output is None:
        raise NotApplicable("the output of the server is not seen from here")

    def lines() -> int:
        return output().count("\n")

    before = lines()
    client.do("header=Content-Length: 5", *_SHORT[1:])
    client.wait_until(lambda: lines() > before, _USUAL)
    usual = lines() - before
    try:
        client.do(*_SHORT, status=None)
    except NoAnswer:
        pass
    if not client.wait_until(lambda: lines() > before + 2 * usual, client.soon):
        raise Failed("it tells nothing of it")
    return f"{lines() - before - usual} lines, where {usual} are usual"


@CASES.of("R31")
def length_may_be_derived(client: Client) -> None:
    """The end of the content is told in one of three ways."""
    single = client.do("start=200 OK", "return=list", "block=hello", close=False)
    several = client.do("start=200 OK", "return=generator", "block=he", "block=llo", close=False)
    raise Information(f"one block: {single.framing}; a generator: {several.framing}")
