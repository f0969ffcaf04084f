"""Cases of chapter P: requests that a server must refuse."""

from __future__ import annotations

from typing import Final

from wsgix.conform.probe_case import Cases, Client, Failed, NotApplicable, SetUpFailed
from wsgix.conform.probe_client import MalformedResponse, NoAnswer

CASES: Final = Cases()

_FIRST: Final = ("start=200 OK", "return=list", "block=first")


def head_with(client: Client, *lines: str, method: str = "GET", steps: tuple[str, ...] = _FIRST) -> bytes:
    """Return a head for the probe application with exactly these field lines."""
    lines = (f"{method} {client.path('do', *steps)} HTTP/1.1", *lines)
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def expect_refusal(client: Client, request: bytes, *, only_1_1: bool = False) -> str:
    """Fail unless the request is answered with a 4xx or 501, or with the end of the connection.

    A rule that HTTP/1.1 alone knows does not apply to a server that speaks HTTP/1.0.
    """
    connection = client.connect()
    connection.send(request)
    try:
        response = connection.read_response("POST")
    except NoAnswer as fault:
        if client.noted("called"):
            raise Failed(f"the application is called; {fault}", "a response with status 400") from None
        if not connection.ended:
            raise
        return "the connection ends"
    except MalformedResponse:
        if client.noted("called") or not connection.unread:
            raise
        return "what comes is no response, and the application is not called"
    if client.noted("called"):
        if response.version == "1.0" and only_1_1:
            raise NotApplicable("the server speaks HTTP/1.0")
        raise Failed(f"the application is called; the response is {response}", "a response with status 400")
    if not 400 <= response.status <= 501:
        raise Failed(f"the response is {response}", "a response with status 400")
    return str(response)


@CASES.of("P21")
def host_is_demanded(client: Client) -> str:
    """A request with HTTP/1.1 and without Host is refused."""
    return expect_refusal(client, head_with(client, "Connection: close"), only_1_1=True)


@CASES.of("P21")
def host_stands_once(client: Client) -> str:
    """A request with two Hosts that differ is refused."""
    lines = (f"Host: {client.target.host}", "Host: other.example", "Connection: close")
    return expect_refusal(client, head_with(client, *lines), only_1_1=True)


def with_host(client: Client, *lines: str, method: str = "POST") -> bytes:
    """Return a head with Host and these field lines."""
    return head_with(client, f"Host: {client.target.host}", *lines, "Connection: close", method=method)


@CASES.of("P22")
def lengths_do_not_differ(client: Client) -> str:
    """A request with Content-Length 5 and Content-Length 6 is refused."""
    lines = ("Content-Length: 5", "Content-Length: 6")
    return expect_refusal(client, with_host(client, *lines) + b"hello!")


@CASES.of("P22")
def lengths_in_a_list_do_not_differ(client: Client) -> str:
    """A request with Content-Length: 5, 6 is refused."""
    return expect_refusal(client, with_host(client, "Content-Length: 5, 6") + b"hello!")


@CASES.of("P23")
def length_has_no_sign(client: Client) -> str:
    """A request with Content-Length: +5 is refused."""
    return expect_refusal(client, with_host(client, "Content-Length: +5") + b"hello")


@CASES.of("P23")
def length_has_no_prefix(client: Client) -> str:
    """A request with Content-Length: 0x5 is refused."""
    return expect_refusal(client, with_host(client, "Content-Length: 0x5") + b"hello")


@CASES.of("P23")
def length_has_no_underscore(client: Client) -> str:
    """A request with Content-Length: 0_5 is refused."""
    return expect_refusal(client, with_host(client, "Content-Length: 0_5") + b"hello")


@CASES.of("P23")
def length_is_not_negative(client: Client) -> str:
    """A request with Content-Length: -5 is refused."""
    return expect_refusal(client, with_host(client, "Content-Length: -5") + b"hello")


@CASES.of("P24", "chunked-content-is-decoded")
def length_and_chunks_do_not_meet(client: Client) -> str:
    """A request with a Content-Length and chunks is refused, or read by its chunks and the connection
    ends.
    """
    connection = client.connect()
    chunks = b"5\r\nhello\r\n0\r\n\r\n"
    lines = (f"Host: {client.target.host}", f"Content-Length: {len(chunks)}", "Transfer-Encoding: chunked")
    connection.send(head_with(client, *lines, method="POST", steps=("read=100", *_FIRST)) + chunks)
    try:
        response = connection.read_response("POST")
    except NoAnswer:
        if not connection.ended:
            raise
        return "the connection ends"
    if 400 <= response.status <= 501:
        return str(response)
    read = client.noted("read")
    if not read or read[0]["text"] != "hello":
        raise Failed(f"the application reads {read[0]['text'] if read else 'nothing'!r}", "it reads 'hello'")
    if not connection.is_ended(client.soon):
        raise Failed("the connection goes on after the response")
    return "the chunks are read, and the connection ends"


@CASES.of("P25")
def no_space_before_the_colon(client: Client) -> str:
    """A request with the field line X-Probe : 1 is refused."""
    return expect_refusal(client, with_host(client, "X-Probe : 1", method="GET"))


@CASES.of("P26")
def headers_have_names(client: Client) -> str:
    """A request with a field line that begins with the colon is refused."""
    return expect_refusal(client, with_host(client, ": 1", method="GET"))


@CASES.of("P26")
def headers_have_colons(client: Client) -> str:
    """A request with a field line without a colon is refused."""
    return expect_refusal(client, with_host(client, "X-Probe", method="GET"))


@CASES.of("P26")
def names_are_tokens(client: Client) -> str:
    """A request with the name X(Probe) is refused."""
    return expect_refusal(client, with_host(client, "X(Probe): 1", method="GET"))


def seen_in_environ(client: Client, lines: tuple[str, ...], key: str) -> object:
    """Return the value that a key has for these field lines; or None if the request is refused."""
    connection = client.connect()
    lines = (f"GET {client.path('environ')} HTTP/1.1", f"Host: {client.target.host}", *lines)
    connection.send("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1"))
    try:
        response = connection.read_response()
    except (NoAnswer, MalformedResponse):
        if client.noted("called"):
            raise SetUpFailed("the application is called, and no response comes") from None
        return None
    if response.status != 200:
        return None
    told = client.told(response)
    return {entry["key"]: entry.get("value") for entry in told["entries"]}.get(key, "absent")


@CASES.of("P27")
def folded_lines_are_refused_or_joined(client: Client) -> str:
    """X-Probe: a, and b in a line of its own that begins with a space, is refused or arrives as a and b."""
    seen = seen_in_environ(client, ("X-Probe: a\r\n b",), "HTTP_X_PROBE")
    if seen is None:
        return "it is refused"
    if not isinstance(seen, str) or seen.split() != ["a", "b"] or set(seen) & {"\r", "\n"}:
        raise Failed(f"HTTP_X_PROBE is {seen!r}")
    return "it is joined"


def expect_no_control(client: Client, value: str) -> str:
    """Fail if a control character arrives in the environ."""
    seen = seen_in_environ(client, (f"X-Probe: {value}",), "HTTP_X_PROBE")
    if seen is None:
        return "it is refused"
    if seen != "a b":
        raise Failed(f"HTTP_X_PROBE is {seen!r}", "it is refused, or replaced by a space")
    return "it is replaced"


@CASES.of("P28")
def no_nul_in_values(client: Client) -> str:
    """A NUL in a value is refused, or arrives as a space."""
    return expect_no_control(client, "a\0b")


@CASES.of("P28")
def no_bare_cr_in_values(client: Client) -> str:
    """A CR within a value is refused, or arrives as a space."""
    return expect_no_control(client, "a\rb")


def expect_no_chunk(client: Client, chunks: bytes) -> str:
    """Fail if the application reads content from chunks that are malformed."""
    connection = client.connect()
    lines = (f"Host: {client.target.host}", "Transfer-Encoding: chunked", "Connection: close")
    steps = ("try", "read=5", *_FIRST)
    connection.send(head_with(client, *lines, method="POST", steps=steps) + chunks)
    try:
        seen = str(connection.read_response("POST"))
    except (NoAnswer, MalformedResponse):
        seen = "no response"
    if any(record["text"] for record in client.noted("read")):
        raise Failed(f"the application reads {client.noted('read')[0]['text']!r}")
    return f"{seen}{'; the read raises' if client.noted('raised') else ''}"


@CASES.of("P29", "chunked-content-is-decoded")
def chunk_size_has_no_prefix(client: Client) -> str:
    """A chunk of the size 0x5 is no content."""
    return expect_no_chunk(client, b"0x5\r\nhello\r\n0\r\n\r\n")


@CASES.of("P29", "chunked-content-is-decoded")
def chunk_size_has_no_sign(client: Client) -> str:
    """A chunk of the size +5 is no content."""
    return expect_no_chunk(client, b"+5\r\nhello\r\n0\r\n\r\n")


@CASES.of("P29", "chunked-content-is-decoded")
def chunk_size_has_no_underscore(client: Client) -> str:
    """A chunk of the size 0_5 is no content."""
    return expect_no_chunk(client, b"0_5\r\nhello\r\n0\r\n\r\n")


@CASES.of("P30")
def chunked_is_the_last_coding(client: Client) -> str:
    """A request with Transfer-Encoding: chunked, identity is refused."""
    request = with_host(client, "Transfer-Encoding: chunked, identity")
    return expect_refusal(client, request + b"0\r\n\r\n", only_1_1=True)


@CASES.of("P30")
def unknown_coding_is_refused(client: Client) -> str:
    """A request with Transfer-Encoding: xchunked is refused."""
    return expect_refusal(
        client, with_host(client, "Transfer-Encoding: xchunked") + b"0\r\n\r\n", only_1_1=True
    )
