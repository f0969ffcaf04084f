"""Cases of chapter S: wsgi.input and wsgi.errors."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from wsgix.conform.probe_case import Cases, Client, Failed, Information, NotApplicable
from wsgix.conform.probe_client import MalformedResponse, NoAnswer

CASES: Final = Cases()

_LINES: Final = b"first\nsecond\n\nlast"
_LARGE: Final = 300_000
_SILENCE: Final = 0.25


def use_input(client: Client, content: bytes | None, *steps: str) -> list[dict[str, Any]]:
    """Have the application call methods of wsgi.input; return what each gave."""
    method = "GET" if content is None else "POST"
    told = client.ask("input", *(f"call={step}" for step in steps), method=method, content=content)
    results: list[dict[str, Any]] = told["results"]
    return results


def show(result: dict[str, Any]) -> str:
    """Return a result in words."""
    if result["type"] == "exception":
        return str(result["error"])
    if result["type"] == "bytes" and "value" in result:
        return repr(result["value"].encode("latin-1"))
    if result["type"] == "list":
        return f"[{', '.join(show(item) for item in result['items'])}]"
    return str(result.get("value", result))


def data(value: bytes) -> dict[str, Any]:
    """Return the result that these bytes are."""
    return {"type": "bytes", "value": value.decode("latin-1")}


def lines(*values: bytes) -> dict[str, Any]:
    """Return the result that a list of these is."""
    return {"type": "list", "items": [data(value) for value in values]}


def expect(results: list[dict[str, Any]], *wanted: dict[str, Any]) -> None:
    """Fail unless the results are these."""
    for number, (result, one) in enumerate(zip(results, wanted, strict=True), 1):
        if result != one:
            raise Failed(f"call {number} gave {show(result)}", f"{show(one)}")


@CASES.of("S1")
def input_has_its_methods(client: Client) -> None:
    """read, readline, readlines and __iter__ are there."""
    names = ("read", "readline", "readlines", "__iter__")
    told = client.ask("input", *(f"has={name}" for name in names), method="POST", content=b"hello")
    absent = [
        name for name, result in zip(names, told["results"], strict=True) if result.get("value") is not True
    ]
    if absent:
        raise Failed(f"there is no {', no '.join(absent)}")


@CASES.of("S2", "input-has-its-methods")
def read_in_pieces(client: Client) -> None:
    """Of content of ten bytes, read(4) gives pieces of at most four bytes, in order, and b'' at the end."""
    result = use_input(client, b"0123456789", "read:4", "read:4", "read:2")
    values = [one.get("value") if one["type"] == "bytes" else None for one in result]
    if None in values or any(len(str(value)) > 4 for value in values):
        raise Failed(f"the calls gave {', '.join(map(show, result))}")
    joined = "".join(map(str, values))
    if not joined or not "0123456789".startswith(joined):
        raise Failed(f"together they gave {joined!r}")


@CASES.of("S2", "input-has-its-methods")
def read_of_nothing(client: Client) -> None:
    """read(0) gives b'', and nothing is lost."""
    expect(use_input(client, b"hello", "read:0", "read:5"), data(b""), data(b"hello"))


@CASES.of("S6", "input-has-its-methods", "read-in-pieces")
def input_ends_with_the_content(client: Client) -> None:
    """Of content of five bytes, on a connection that stays open, reads of more give the five, then b''."""
    connection = client.connect()
    target = client.path("input", "call=all:100", "call=read:100")
    connection.send(client.request(target, method="POST", content=b"hello", close=False))
    expect(client.told(connection.read_response())["results"], data(b"hello"), data(b""))


@CASES.of("S6", "input-ends-with-the-content")
def next_request_is_not_content(client: Client) -> None:
    """A second request that is there already is not read as content of the first."""
    connection = client.connect()
    first = client.request(
        client.path("input", "call=all:1000"), method="POST", content=b"hello", close=False
    )
    connection.send(first + client.request(client.path("hello")))
    told = client.told(connection.read_response())
    if "results" not in told:
        raise Failed("the first response is that of the second request")
    expect(told["results"], data(b"hello"))


@CASES.of("S3", "input-has-its-methods")
def readline_gives_a_line(client: Client) -> None:
    """readline gives each line with its end."""
    results = use_input(client, _LINES, *["readline"] * 3)
    expect(results, data(b"first\n"), data(b"second\n"), data(b"\n"))


@CASES.of("S3", "readline-gives-a-line", "read-in-pieces")
def readline_and_read_go_on(client: Client) -> None:
    """read goes on where readline stopped, and readline where read did."""
    results = use_input(
        client, b"one\ntwo\nthree", "read:1", "readline", "exactly:2", "readline", "exactly:5"
    )
    expect(results, data(b"o"), data(b"ne\n"), data(b"tw"), data(b"o\n"), data(b"three"))


@CASES.of("S3", "readline-gives-a-line", "input-ends-with-the-content")
def last_line_may_have_no_end(client: Client) -> None:
    """readline gives the last line as it is, and then b''."""
    results = use_input(client, b"first\nlast", *["readline"] * 3)
    expect(results, data(b"first\n"), data(b"last"), data(b""))


@CASES.of("S4", "input-ends-with-the-content")
def readlines_gives_the_lines(client: Client) -> None:
    """readlines gives a list of all lines that are left."""
    expect(use_input(client, _LINES, "readlines"), lines(b"first\n", b"second\n", b"\n", b"last"))


@CASES.of("S4", "readlines-gives-the-lines")
def readlines_takes_a_hint(client: Client) -> None:
    """readlines(6) gives whole lines, all or the first ones."""
    first = use_input(client, _LINES, "readlines:6")[0]
    wanted = [b"first\n", b"second\n", b"\n", b"last"]
    if first["type"] != "list" or first not in [lines(*wanted[:end]) for end in range(1, 5)]:
        raise Failed(f"it gave {show(first)}")


@CASES.of("S5", "input-ends-with-the-content")
def iteration_gives_the_lines(client: Client) -> None:
    """Iterating gives each line with its end."""
    expect(use_input(client, _LINES, "iter"), lines(b"first\n", b"second\n", b"\n", b"last"))


@CASES.of("S7", "input-ends-with-the-content")
def read_without_a_size(client: Client) -> None:
    """read() gives all that is left."""
    expect(use_input(client, b"0123456789", "read:3", "read"), data(b"012"), data(b"3456789"))


@CASES.of("S8", "input-has-its-methods")
def empty_input_gives_empty_bytes(client: Client) -> None:
    """Without content, read(5) and readline() give b'', readlines() and iteration no line."""
    results = use_input(client, None, "read:5", "readline", "readlines", "iter")
    expect(results, data(b""), data(b""), lines(), lines())


@CASES.of("S8", "input-ends-with-the-content")
def exhausted_input_gives_empty_bytes(client: Client) -> None:
    """At the end of the content, read(5) and readline() give b'', readlines() and iteration no line."""
    results = use_input(client, b"hello", "all:9", "read:5", "readline", "readlines", "iter")
    expect(results, data(b"hello"), data(b""), data(b""), lines(), lines())


@CASES.of("S9", "readline-gives-a-line")
def readline_takes_a_size(client: Client) -> None:
    """readline(3) of the line first gives fir, and readline() after it the rest."""
    results = use_input(client, _LINES, "readline:3", "readline", "readline:100")
    expect(results, data(b"fir"), data(b"st\n"), data(b"second\n"))


# Content in chunks.


def chunked(client: Client, chunks: bytes, *steps: str, close: bool = True) -> list[dict[str, Any]]:
    """Send content in chunks as they are given; return what each call gave."""
    connection = client.connect()
    target = client.path("input", *(f"call={step}" for step in steps))
    head = client.request(target, "Transfer-Encoding: chunked", method="POST", close=close)
    connection.send(head + chunks)
    results: list[dict[str, Any]] = client.told(connection.read_response())["results"]
    return results


@CASES.of("S10", "chunked-request-is-accepted", "read-in-pieces")
def chunked_content_is_decoded(client: Client) -> None:
    """Two chunks, of five and of six bytes, are read as eleven bytes, and then b''."""
    results = chunked(client, b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "all:4", "read:4")
    expect(results, data(b"hello world"), data(b""))


@CASES.of("S10", "chunked-content-is-decoded", "readline-gives-a-line")
def lines_cross_chunks(client: Client) -> None:
    """A line that begins in one chunk and ends in another is one line."""
    chunks = b"3\r\nfir\r\n5\r\nst\nse\r\n4\r\ncond\r\n0\r\n\r\n"
    expect(chunked(client, chunks, "readline", "readline"), data(b"first\n"), data(b"second"))


@CASES.of("S10", "chunked-content-is-decoded", "read-without-a-size")
def chunked_content_is_read_without_a_size(client: Client) -> None:
    """read() gives all chunks, and b'' when it is called again."""
    results = chunked(client, b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "read", "read", close=False)
    expect(results, data(b"hello world"), data(b""))


# Bytes.


@CASES.of("S11", "read-in-pieces")
def input_keeps_every_byte(client: Client) -> None:
    """Each of the 256 values of a byte, and the line ends CR, LF and CR LF, arrive as they are."""
    content = bytes(range(256)) + b"\r\n\n\r\r\n\x00\xff"
    expect(use_input(client, content, f"exactly:{len(content)}"), data(content))


@CASES.of("S11", "read-in-pieces")
def large_input_is_complete(client: Client) -> None:
    """Content of 300000 bytes arrives whole."""
    content = bytes(index * 7 % 251 for index in range(_LARGE))
    wanted = {"type": "bytes", "length": _LARGE, "sha256": hashlib.sha256(content).hexdigest()}
    seen = use_input(client, content, f"exactly:{_LARGE}")[0]
    if seen != wanted:
        what = f"{seen['length']} bytes, others than were sent" if "length" in seen else show(seen)[:100]
        raise Failed(f"there came {what}")


# wsgi.errors.


def use_errors(client: Client, *steps: str) -> None:
    """Have the application call methods of wsgi.errors; fail if one raises."""
    for step, result in zip(steps, client.ask("errors", *steps)["results"], strict=True):
        if result["type"] == "exception":
            raise Failed(f"{step.partition('=')[0]}: {result['error']}")


@CASES.of("S12")
def errors_has_its_methods(client: Client) -> None:
    """write, writelines with a list and with a generator, and flush return."""
    use_errors(
        client, "write=probe: a line\n", "lines=probe: a list\n", "generated=probe: generated", "flush"
    )


@CASES.of("S13", "errors-has-its-methods")
def errors_takes_any_text(client: Client) -> None:
    """Letters of any script, signs beyond the basic plane and control characters are taken."""
    text = "probe: \xe9 \u20ac \u4e2d \U0001f600 \x00\x1b\n"
    use_errors(client, f"write={text.encode().decode('latin-1')}", "flush")


@CASES.of("S13", "errors-takes-any-text")
def errors_takes_a_lone_surrogate(client: Client) -> None:
    """A surrogate that stands alone, as names of files may have it, is taken."""
    text = "probe: \udce9\n".encode("utf-8", "surrogatepass").decode("latin-1")
    use_errors(client, f"write={text}", "flush")


@CASES.of("S14", "errors-has-its-methods")
def errors_are_recorded(client: Client) -> None:
    """What was written and flushed appears in the server's output."""
    if client.target.output is None:
        raise NotApplicable("the output of the server is not seen from here")
    use_errors(client, f"write=probe: written for {client.token}\n", "flush")
    if not client.wait_until(lambda: client.has_output(f"written for {client.token}"), client.soon):
        raise Failed("it does not appear in standard output or standard error")


# Content that does not all come.


def cut_content(client: Client, request: bytes) -> str:
    """Send a request and end sending; fail if the application comes to an ordinary end of the content."""
    connection = client.connect()
    connection.send(request)
    connection.end_sending()
    try:
        connection.read_response()
    except (NoAnswer, MalformedResponse):
        pass
    if client.noted("raised"):
        return "the read raises"
    if len(client.noted("read")) == 3:
        raise Failed("the application reads an ordinary end")
    return "the application is not called" if not client.noted("called") else "the response is not sent"


def reading(client: Client) -> str:
    """Return the target of a request whose content the application reads."""
    steps = ("try", "read=100", "try", "read=100", "try", "read=100", "start=200 OK", "return=list")
    return client.path("do", *steps)


@CASES.of("S15")
def cut_content_is_told(client: Client) -> str:
    """When only five of ten bytes come, the application is not called, or its read raises."""
    request = client.request(reading(client), "Content-Length: 10", method="POST", close=False)
    return cut_content(client, request + b"hello")


@CASES.of("S15", "chunked-content-is-decoded")
def cut_chunks_are_told(client: Client) -> str:
    """When the last chunk does not come, the application is not called, or its read raises."""
    request = client.request(reading(client), "Transfer-Encoding: chunked", method="POST", close=False)
    return cut_content(client, request + b"5\r\nhello\r\n")


@CASES.of("S16", "read-in-pieces")
def input_may_be_collected(client: Client) -> None:
    """The application may be called before all of the content is there."""
    connection = client.connect()
    target = client.path("input", "call=exactly:10")
    connection.send(client.request(target, "Content-Length: 10", method="POST") + b"hello")
    streams = client.wait_for_note("called", _SILENCE) is not None
    connection.send(b"world")
    expect(client.told(connection.read_response())["results"], data(b"helloworld"))
    raise Information("the application is called at once" if streams else "the content is collected first")
