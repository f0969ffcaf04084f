"""Cases of chapter P: responses, and what becomes of the connection after them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from wsgix.conform.probe_case import Cases, Client, Failed, Information, NotApplicable
from wsgix.conform.probe_client import NoAnswer

if TYPE_CHECKING:
    from wsgix.conform.probe_client import Connection, Response

CASES: Final = Cases()

_DAY: Final = 86_400
_DATE_FORM: Final = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-3]\d "
    r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} [0-2]\d:[0-5]\d:[0-6]\d GMT"
)
_INVITATION: Final = 0.4
_SILENCE: Final = 0.12
_UNREAD: Final = 200_000
_FIRST: Final = ("start=200 OK", "return=list", "block=first")


@CASES.of("P1")
def response_has_a_date(client: Client) -> None:
    """There is one Date."""
    dates = client.do("start=200 OK", "return=list", "block=hello").values("Date")
    if len(dates) != 1:
        raise Failed(f"there are {len(dates)}")


@CASES.of("P1", "response-has-a-date")
def given_date_is_the_only_one(client: Client) -> None:
    """Where the application gives a Date, there is one."""
    date = "header=Date: Sun, 06 Nov 1994 08:49:37 GMT"
    dates = client.do(date, "start=200 OK", "return=list", "block=hello").values("Date")
    if len(dates) != 1:
        raise Failed(f"there are {len(dates)}: {'; '.join(dates)}")


@CASES.of("P2", "response-has-a-date")
def date_is_true(client: Client) -> str:
    """Date has the form Sun, 06 Nov 1994 08:49:37 GMT, and is not a day off."""
    value = client.do("start=200 OK", "return=list", "block=hello").values("Date")[0]
    if not _DATE_FORM.fullmatch(value):
        raise Failed(f"it is {value!r}")
    seen = datetime.strptime(value, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    if abs(seen.timestamp() - time.time()) > _DAY:
        raise Failed(f"it is {value!r}", "the time of now")
    return value


def expect_no_content(client: Client, *steps: str, method: str = "GET", status: int = 200) -> str:
    """Fail if anything follows the head of the response.

    An error instead of a response with status 204 or 304 that has content is no breach of this.
    """
    connection = client.connect()
    connection.send(client.request(client.path("do", *steps), method=method))
    response = connection.read_response(method)
    if response.status >= 500 and method != "HEAD":
        return f"it is refused: the response is {response}"
    if response.status != status:
        raise Failed(f"the response is {response}", f"a response with status {status}")
    connection.is_ended(_INVITATION)
    if connection.unread:
        raise Failed(f"the head is followed by {connection.unread[:60]!r}")
    return "nothing follows the head"


@CASES.of("P3")
def head_has_no_content(client: Client) -> str:
    """The response to HEAD has no content, when the application returns some with its length."""
    steps = ("header=Content-Length: 5", "start=200 OK", "return=list", "block=hello")
    return expect_no_content(client, *steps, method="HEAD")


@CASES.of("P3")
def head_has_no_chunks(client: Client) -> str:
    """The response to HEAD has no content, when the application returns a generator."""
    return expect_no_content(
        client, "start=200 OK", "return=generator", "block=hello", "block=again", method="HEAD"
    )


@CASES.of("P3", "write-is-returned")
def head_has_nothing_written(client: Client) -> str:
    """The response to HEAD has no content, when the application calls write."""
    return expect_no_content(client, "start=200 OK", "write=hello", "return=list", method="HEAD")


@CASES.of("P4", "head-has-no-content")
def head_has_the_length_of_get(client: Client) -> str:
    """Content-Length of the response to HEAD, if there is one, is that of GET."""
    seen = []
    for steps in (("header=Content-Length: 5", "start=200 OK"), ("start=200 OK",)):
        response = client.do(*steps, "return=list", "block=hello", method="HEAD")
        seen += response.values("Content-Length")
    if set(seen) - {"5"}:
        raise Failed(f"it is {', '.join(seen)}", "it is 5")
    return f"there are {len(seen)} in two responses"


@CASES.of("P5")
def status_204_has_no_content(client: Client) -> str:
    """A response with status 204 has no content, when the application returns some."""
    return expect_no_content(client, "start=204 No Content", "return=list", "block=hello", status=204)


@CASES.of("P5")
def status_304_has_no_content(client: Client) -> str:
    """A response with status 304 has no content, when the application returns some."""
    return expect_no_content(client, "start=304 Not Modified", "return=generator", "block=hello", status=304)


@CASES.of("P5", "empty-list-is-an-empty-response")
def empty_204_has_no_content(client: Client) -> str:
    """A response with status 204 and an empty result has no last chunk."""
    return expect_no_content(client, "start=204 No Content", "return=generator", status=204)


@CASES.of("P6", "empty-list-is-an-empty-response")
def status_204_has_no_framing(client: Client) -> None:
    """A response with status 204 has neither Content-Length nor Transfer-Encoding, when the application
    gave none.
    """
    response = client.do("start=204 No Content", "return=list", status=204)
    for name in ("Content-Length", "Transfer-Encoding"):
        if response.values(name):
            raise Failed(f"there is {name}: {', '.join(response.values(name))}")


# Expect: 100-continue.

_READING: Final = ("read=5", "start=200 OK", "return=list", "block=done")


def invited(client: Client, seconds: float = _INVITATION, *, version: str = "1.1") -> tuple[Connection, bool]:
    """Send a head with an expectation; return the connection, and whether something came before the
    content.
    """
    connection = client.connect()
    target = client.path("do", *_READING)
    headers = ("Content-Length: 5", "Expect: 100-continue")
    connection.send(client.request(target, *headers, method="POST", version=version))
    try:
        return connection, connection.receive(seconds)
    except TimeoutError:
        return connection, False


@CASES.of("P7", "read-in-pieces")
def expect_is_supported(client: Client) -> str:
    """With Expect: 100-continue the application reads the content, which is sent after a 100 or after a
    while.
    """
    connection, came = invited(client)
    connection.send(b"hello")
    response = connection.read_response("POST")
    if response.status != 200:
        raise Failed(f"the response is {response}", "a response with status 200")
    read = client.noted("read")
    if not read or read[0]["text"] != "hello":
        raise Failed(f"the application read {read[0]['text']!r}" if read else "the application read nothing")
    return "100 comes first" if came and response.interim else "nothing comes before the content"


@CASES.of("P8", "expect-is-supported")
def expect_is_answered_at_once(client: Client) -> str:
    """A 100, or the final response, comes while the content is still to be sent."""
    connection, came = invited(client)
    if not came:
        connection.send(b"hello")
        if connection.read_response("POST").version == "1.0":
            raise NotApplicable("the server speaks HTTP/1.0")
        raise Failed(f"nothing came for {_INVITATION:g} s")
    head = connection.read_head()
    if head.status == 100:
        connection.send(b"hello")
        connection.read_response("POST")
    elif head.status < 200:
        raise Failed(f"there came {head}")
    return str(head)


@CASES.of("P9", "expect-is-supported")
def no_100_for_http_1_0(client: Client) -> None:
    """With HTTP/1.0 nothing comes before the content, and no 100 at all."""
    connection, _ = invited(client, _SILENCE, version="1.0")
    connection.send(b"hello")
    response = connection.read_response("POST")
    if response.interim:
        raise Failed(f"there came {response.interim[0]}")


# The connection.


@CASES.of("P10")
def connection_goes_on(client: Client) -> str:
    """After a response that does not say that the connection ends, the next request on it is served."""
    connection = client.connect()
    connection.send(client.request(client.path("do", *_FIRST), close=False))
    response = connection.read_response()
    if response.closes:
        return f"the response says that the connection ends (HTTP/{response.version})"
    try:
        expect_next(client, connection)
    except Information as seen:
        raise Failed(seen.seen) from None
    return "it goes on"


@CASES.of("P10", "connection-goes-on")
def connection_goes_on_after_a_length(client: Client) -> str:
    """It does so too after a response with Content-Length, which could be read without the end."""
    try:
        return stays_in_step(client, "header=Content-Length: 5", *_FIRST)
    except Information as seen:
        raise Failed(seen.seen) from None


@CASES.of("P11")
def close_is_honoured(client: Client) -> None:
    """After Connection: close in the request the connection ends with the response."""
    connection = client.connect()
    connection.send(client.request(client.path("do", *_FIRST)))
    connection.read_response()
    if not connection.is_ended(client.soon):
        raise Failed(f"it is open {client.soon:g} s later")


@CASES.of("P12")
def close_is_repeated(client: Client) -> None:
    """The response to a request with Connection: close says so too, unless it is HTTP/1.0."""
    response = client.do(*_FIRST)
    if "close" not in response.options("Connection") and response.version != "1.0":
        raise Failed(f"Connection is {', '.join(response.options('Connection')) or 'absent'}")


@CASES.of("P13")
def http_1_0_connection_ends(client: Client) -> None:
    """After a response to HTTP/1.0 the connection ends."""
    connection = client.connect()
    target = client.path("do", "header=Content-Length: 5", *_FIRST)
    connection.send(client.request(target, version="1.0", close=False))
    connection.read_response()
    if not connection.is_ended(client.soon):
        raise Failed(f"it is open {client.soon:g} s later")


@CASES.of("P14")
def no_chunks_for_http_1_0(client: Client) -> None:
    """The response to HTTP/1.0 is not chunked, and its content is complete."""
    steps = ("start=200 OK", "return=generator", "block=one ", "block=two")
    response = client.do(*steps, version="1.0", close=False)
    if response.values("Transfer-Encoding"):
        raise Failed(f"Transfer-Encoding is {response.values('Transfer-Encoding')[0]}")
    if response.content != b"one two":
        raise Failed(f"the content is {response.content[:60]!r}", "the content is b'one two'")


def expect_next(client: Client, connection: Connection) -> None:
    """Send another request on the connection; fail unless it gets its own response."""
    connection.send(client.request(client.path("do", "start=299 Next", "return=list", "block=next")))
    try:
        response = connection.read_response()
    except NoAnswer as fault:
        if connection.ended:
            raise Information("the connection ends, and the response did not say so") from None
        raise Failed(f"the next request gets no response: {fault}") from None
    if response.status != 299 or response.content != b"next":
        raise Failed(f"the next request gets {response} with {response.content[:60]!r}")


def stays_in_step(
    client: Client, *steps: str, method: str = "GET", status: int = 200, content: bytes | None = None
) -> str:
    """Send two requests on a connection; fail unless the second gets its own response, or was told of the
    end.
    """
    connection = client.connect()
    target = client.path("do", *steps)
    connection.send(client.request(target, method=method, close=False, content=content))
    response = connection.read_response(method)
    if response.status != status:
        raise Failed(f"the response is {response}", f"a response with status {status}")
    if not response.complete:
        raise Failed("the response is not complete")
    return after(client, connection, response)


def after(client: Client, connection: Connection, response: Response) -> str:
    """Fail unless the connection ends as the response said, or the next request on it gets its own
    response.
    """
    if not response.closes:
        expect_next(client, connection)
        return "the connection goes on"
    connection.is_ended(_INVITATION)
    if connection.unread:
        raise Failed(f"the response is followed by {connection.unread[:60]!r}")
    return "the response says that the connection ends"


@CASES.of("P15", "connection-goes-on-after-a-length")
def in_step_after_a_length(client: Client) -> str:
    """After a response with Content-Length the connection is in step."""
    return stays_in_step(client, "header=Content-Length: 5", *_FIRST)


@CASES.of("P15", "connection-goes-on")
def in_step_after_a_generator(client: Client) -> str:
    """After a response from a generator the connection is in step."""
    return stays_in_step(client, "start=200 OK", "return=generator", "block=a", "block=b")


@CASES.of("P15", "connection-goes-on", "head-has-no-content")
def in_step_after_head(client: Client) -> str:
    """After a response to HEAD the connection is in step."""
    return stays_in_step(client, "header=Content-Length: 5", *_FIRST, method="HEAD")


@CASES.of("P15", "connection-goes-on", "status-204-has-no-content", "empty-204-has-no-content")
def in_step_after_204(client: Client) -> str:
    """After a response with status 204 the connection is in step."""
    return stays_in_step(client, "start=204 No Content", "return=list", status=204)


@CASES.of("P15", "connection-goes-on", "status-304-has-no-content", "empty-list-is-an-empty-response")
def in_step_after_304(client: Client) -> str:
    """After a response with status 304 the connection is in step."""
    return stays_in_step(client, "start=304 Not Modified", "return=list", status=304)


@CASES.of("P15", "connection-goes-on", "empty-list-is-an-empty-response")
def in_step_after_no_content(client: Client) -> str:
    """After a response without content the connection is in step."""
    return stays_in_step(client, "start=200 OK", "return=list")


@CASES.of("P15", "connection-goes-on", "error-in-the-call-is-a-response")
def in_step_after_an_error(client: Client) -> str:
    """After an error of the application before the head the connection is in step."""
    return stays_in_step(client, "raise=probe: on purpose", status=500)


@CASES.of("P15", "connection-goes-on", "exc-info-replaces-the-head")
def in_step_after_exc_info(client: Client) -> str:
    """After a response that was replaced by way of exc_info the connection is in step."""
    steps = ("start=200 OK", "exc_info=503 Later", "return=list", "block=later")
    return stays_in_step(client, *steps, status=503)


@CASES.of("P15", "connection-goes-on", "written-comes-before-returned")
def in_step_after_writing(client: Client) -> str:
    """After a response that was written the connection is in step."""
    return stays_in_step(client, "start=200 OK", "write=a", "write=b", "return=list", "block=c")


@CASES.of("P15", "connection-goes-on", "long-block-is-cut", "later-block-is-left-out")
def in_step_after_too_much(client: Client) -> str:
    """After a response whose content is longer than its Content-Length the connection is in step, or has
    ended.
    """
    connection = client.connect()
    steps = ("header=Content-Length: 5", "start=200 OK", "return=generator", "block=hello", "block=more")
    connection.send(client.request(client.path("do", *steps), close=False))
    response = connection.read_response()
    if not response.complete:
        return "the response breaks off"
    return after(client, connection, response)


@CASES.of("P15", "connection-goes-on", "a-file-will-do")
def in_step_after_a_file(client: Client) -> str:
    """After a response with a file the connection is in step."""
    return stays_in_step(client, "start=200 OK", "return=file", "block=hello")


@CASES.of("P15", "connection-goes-on", "input-ends-with-the-content")
def in_step_after_content(client: Client) -> str:
    """After a request whose content was read the connection is in step."""
    return stays_in_step(client, "read=5", *_FIRST, method="POST", content=b"hello")


def unread(client: Client, head: bytes, content: bytes) -> str:
    """Send content that is not read; fail if it is taken for a request."""
    connection = client.connect()
    connection.send(head + content)
    response = connection.read_response("POST")
    if response.status not in (200, 413):
        raise Failed(f"the response is {response}", "a response with status 200")
    try:
        return after(client, connection, response)
    except Information as seen:  # that is enough here: what is not read cannot be mistaken
        return seen.seen


_SMUGGLED: Final = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@CASES.of("P16", "connection-goes-on")
def unread_content_is_no_request(client: Client) -> str:
    """Content that looks like a request and is not read is not answered."""
    target = client.path("do", *_FIRST)
    return unread(client, client.request(target, method="POST", content=_SMUGGLED, close=False), b"")


@CASES.of("P16", "connection-goes-on")
def large_unread_content_is_no_request(client: Client) -> str:
    """Content of 200000 bytes that is not read is not answered."""
    content = (_SMUGGLED * (_UNREAD // len(_SMUGGLED) + 1))[:_UNREAD]
    target = client.path("do", *_FIRST)
    return unread(client, client.request(target, method="POST", content=content, close=False), b"")


@CASES.of("P16", "connection-goes-on", "chunked-content-is-decoded")
def unread_chunks_are_no_request(client: Client) -> str:
    """Chunks that are not read are not answered."""
    head = client.request(
        client.path("do", *_FIRST), "Transfer-Encoding: chunked", method="POST", close=False
    )
    return unread(client, head, b"%x\r\n%s\r\n0\r\n\r\n" % (len(_SMUGGLED), _SMUGGLED))


@CASES.of("P17", "in-step-after-a-length")
def pipelined_requests_are_served_in_order(client: Client) -> str:
    """Three requests that are sent at once are answered one after the other."""
    connection = client.connect()
    requests = [
        client.request(
            client.path("do", "header=Content-Length: 1", "start=200 OK", "return=list", f"block={number}"),
            close=number == 3,
        )
        for number in (1, 2, 3)
    ]
    connection.send(b"".join(requests))
    for number in (1, 2, 3):
        response = connection.read_response()
        if response.content != b"%d" % number:
            raise Failed(f"response {number} is {response} with {response.content[:60]!r}")
        if response.closes and number < 3:
            raise NotApplicable(f"the connection ends with response {number}, as it says")
    return "all three"


# Chunks from the client.


def send_chunks(client: Client, chunks: bytes, *steps: str) -> Response:
    """Send a request with these chunks and read the response."""
    connection = client.connect()
    target = client.path("do", *steps)
    connection.send(client.request(target, "Transfer-Encoding: chunked", method="POST") + chunks)
    return connection.read_response("POST")


@CASES.of("P18")
def chunked_request_is_accepted(client: Client) -> None:
    """A POST with Transfer-Encoding: chunked reaches the application."""
    response = send_chunks(client, b"5\r\nhello\r\n0\r\n\r\n", *_FIRST)
    if response.status != 200:
        if response.version == "1.0":
            raise NotApplicable("the server speaks HTTP/1.0")
        raise Failed(f"the response is {response}")


def expect_read(client: Client, chunks: bytes, wanted: str) -> None:
    """Fail unless the application reads this from the chunks."""
    response = send_chunks(client, chunks, "read=100", *_FIRST)
    read = client.noted("read")
    if response.status != 200 or not read:
        raise Failed(f"the response is {response}")
    if not read[0]["text"] or not wanted.startswith(read[0]["text"]):
        raise Failed(f"the application reads {read[0]['text']!r}", f"it reads {wanted!r}")


@CASES.of("P18", "chunked-content-is-decoded")
def chunk_sizes_are_hexadecimal(client: Client) -> None:
    """The sizes 0A and 0a are ten."""
    expect_read(client, b"0A\r\n0123456789\r\n0a\r\nabcdefghij\r\n00\r\n\r\n", "0123456789abcdefghij")


@CASES.of("P19", "chunked-content-is-decoded")
def chunk_extensions_are_ignored(client: Client) -> None:
    """A chunk 5;name=value is five bytes."""
    expect_read(client, b'5;name=value\r\nhello\r\n0;last="yes"\r\n\r\n', "hello")


@CASES.of("P20", "chunked-content-is-decoded", "connection-goes-on")
def trailers_are_taken_off(client: Client) -> str:
    """After chunks with a trailer X-Probe the content is the chunks', and the next request is served."""
    connection = client.connect()
    target = client.path("do", "read=100", *_FIRST)
    head = client.request(target, "Transfer-Encoding: chunked", method="POST", close=False)
    connection.send(head + b"5\r\nhello\r\n0\r\nX-Probe: trailer\r\n\r\n")
    response = connection.read_response("POST")
    if response.status != 200:
        raise Failed(f"the response is {response}")
    return after(client, connection, response)


@CASES.of("P20", "chunked-content-is-decoded", "connection-goes-on")
def malformed_trailers_are_no_request(client: Client) -> str:
    """What follows the last chunk and looks like a request is not served."""
    connection = client.connect()
    target = client.path("do", "try", "read=100", *_FIRST)
    head = client.request(target, "Transfer-Encoding: chunked", method="POST", close=False)
    connection.send(head + b"5\r\nhello\r\n0\r\n" + client.request(client.path("hello")))
    try:
        seen = str(connection.read_response("POST"))
    except NoAnswer:
        seen = "no response"
    connection.is_ended(client.soon)
    if len(client.noted("called")) > 1:
        raise Failed("the application is called for it")
    return seen


@CASES.of("P20", "chunked-content-is-decoded")
def trailers_are_no_headers(client: Client) -> None:
    """A trailer X-Probe is not in the environ."""
    connection = client.connect()
    head = client.request(client.path("environ"), "Transfer-Encoding: chunked", method="POST")
    connection.send(head + b"5\r\nhello\r\n0\r\nX-Probe: trailer\r\n\r\n")
    told = client.told(connection.read_response("POST"))
    if any(entry["key"] == "HTTP_X_PROBE" for entry in told["entries"]):
        raise Failed("HTTP_X_PROBE is there")
