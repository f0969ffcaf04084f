"""Cases of chapter C: the end of a request, errors, and concurrency."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from wsgix.conform.probe_case import Cases, Client, Failed, Information, NotApplicable
from wsgix.conform.probe_client import Connection, MalformedResponse, NoAnswer

if TYPE_CHECKING:
    from wsgix.conform.probe_client import Response

CASES: Final = Cases()

_OVERLAP: Final = 0.8


def expect_closed(client: Client, patience: float = 1.0) -> None:
    """Fail unless the result is closed in time, and after its last block was taken."""
    seconds = client.soon * patience
    if client.wait_for_note("closed", seconds) is None:
        raise Failed(f"it is not called within {seconds:g} s")
    names = [record["note"] for record in client.notes()]
    if "exhausted" in names and names.index("exhausted") > names.index("closed"):
        raise Failed("it is called before the iteration has ended")


@CASES.of("C1")
def result_is_closed(client: Client) -> None:
    """close is called after the iteration has ended."""
    client.do("start=200 OK", "return=iterator", "block=hello")
    expect_closed(client)


@CASES.of("C1", "result-is-closed", "write-takes-bytes")
def result_is_closed_after_writing(client: Client) -> None:
    """close is called when the application wrote its content."""
    client.do("start=200 OK", "write=hello", "return=iterator")
    expect_closed(client)


@CASES.of("C1", "result-is-closed", "in-step-after-a-length")
def result_is_closed_before_the_next_request(client: Client) -> None:
    """close is called although the connection stays open."""
    connection = client.connect()
    steps = ("header=Content-Length: 5", "start=200 OK", "return=iterator", "block=hello")
    connection.send(client.request(client.path("do", *steps), close=False))
    connection.read_response()
    expect_closed(client)


def answered(client: Client, *steps: str, method: str = "GET") -> Response | None:
    """Have the application take steps; return the response, None if none comes."""
    try:
        return client.do(*steps, method=method, status=None)
    except (NoAnswer, MalformedResponse):
        return None


@CASES.of("C2", "result-is-closed")
def closed_after_an_error_in_the_first_step(client: Client) -> None:
    """close is called when the first step of the iteration raises."""
    answered(client, "start=200 OK", "return=iterator", "raise=probe: on purpose")
    expect_closed(client)


@CASES.of("C2", "result-is-closed")
def closed_after_an_error_in_a_later_step(client: Client) -> None:
    """close is called when a step after the first block raises."""
    answered(client, "start=200 OK", "return=iterator", "block=hello", "raise=probe: on purpose")
    expect_closed(client)


def vanish(client: Client, *steps: str) -> None:
    """Ask for endless content, and vanish in the middle of it."""
    connection = client.connect()
    connection.send(client.request(client.path("do", *steps)))
    if not connection.wait_for(b"eeee", client.timeout):
        raise Failed("no content comes")
    connection.vanish()


@CASES.of("C3", "result-is-closed", "first-block-is-not-delayed")
def closed_when_the_client_vanishes(client: Client) -> None:
    """close is called when the client resets the connection within the content."""
    vanish(client, "start=200 OK", "return=iterator", "forever=1000")
    expect_closed(client, 4.0)


@CASES.of("C3", "closed-when-the-client-vanishes")
def closed_when_the_client_leaves_large_blocks(client: Client) -> None:
    """close is called when the client resets the connection within large blocks."""
    vanish(client, "start=200 OK", "return=iterator", "forever=200000")
    expect_closed(client, 4.0)


@CASES.of("C4", "result-is-closed")
def what_was_returned_is_closed(client: Client) -> None:
    """close of an iterable is called whose iterator is another object."""
    client.do("start=200 OK", "return=separate", "block=hello")
    expect_closed(client)


@CASES.of("C5", "result-is-closed")
def closed_after_head(client: Client) -> None:
    """close is called after HEAD."""
    client.do("start=200 OK", "return=iterator", "block=hello", method="HEAD")
    expect_closed(client)


@CASES.of("C5", "result-is-closed", "empty-list-is-an-empty-response")
def closed_after_304(client: Client) -> None:
    """close is called after a response with status 304."""
    client.do("start=304 Not Modified", "return=iterator", status=304)
    expect_closed(client)


@CASES.of("C5", "result-is-closed")
def closed_when_the_length_is_reached(client: Client) -> None:
    """close is called when the content is longer than its Content-Length."""
    answered(
        client, "header=Content-Length: 5", "start=200 OK", "return=iterator", "block=hello", "block=more"
    )
    expect_closed(client)


@CASES.of("C5", "result-is-closed")
def closed_when_the_content_is_short(client: Client) -> None:
    """close is called when the content is shorter than its Content-Length."""
    answered(client, "header=Content-Length: 50", "start=200 OK", "return=iterator", "block=hello")
    expect_closed(client)


@CASES.of("C5", "result-is-closed", "empty-list-is-an-empty-response")
def closed_without_blocks(client: Client) -> None:
    """close is called when there is no block."""
    client.do("start=200 OK", "return=iterator")
    expect_closed(client)


@CASES.of("C6", "result-is-closed", "result-is-closed-before-the-next-request")
def result_is_closed_once(client: Client) -> None:
    """close is called once, after a response and after an error."""
    client.do("start=200 OK", "return=iterator", "block=hello")
    expect_closed(client)
    answered(client, "start=200 OK", "return=iterator", "block=hello", "raise=probe: on purpose")
    client.wait_until(lambda: len(client.noted("closed")) >= 2, client.soon)
    # Another request through the same server: what it would still do of its own accord it has done then.
    client.ask("hello")
    times = len(client.noted("closed"))
    if times > 2:
        raise Failed(f"for two results it is called {times} times")


@CASES.of("C7", "result-is-closed")
def failing_close_spoils_nothing(client: Client) -> None:
    """A response whose result raises from close is complete."""
    response = client.do("start=200 OK", "return=failing-close", "block=hello", "block=!")
    if not response.complete or response.content != b"hello!":
        raise Failed(f"there comes {response.content!r}{'' if response.complete else ', not complete'}")


# Errors.


def expect_5xx(client: Client, *steps: str) -> str:
    """Fail unless the response has a status from 500 on."""
    response = client.do(*steps, status=None)
    if response.status < 500:
        raise Failed(f"the response is {response}")
    return str(response)


@CASES.of("C8")
def error_in_the_call_is_a_response(client: Client) -> str:
    """An application that raises is answered with a status 5xx."""
    return expect_5xx(client, "raise=probe: on purpose")


@CASES.of("C8", "start-response-sends-nothing")
def error_after_start_response_is_a_response(client: Client) -> str:
    """An application that raises after start_response is answered with a status 5xx."""
    return expect_5xx(client, "start=200 OK", "raise=probe: on purpose")


@CASES.of("C8", "start-response-sends-nothing")
def error_in_the_first_step_is_a_response(client: Client) -> str:
    """A generator that raises before its first block is answered with a status 5xx."""
    return expect_5xx(client, "start=200 OK", "return=generator", "raise=probe: on purpose")


@CASES.of("C8")
def no_start_response_is_a_response(client: Client) -> str:
    """An application that returns without calling start_response is answered with a status 5xx."""
    return expect_5xx(client, "return=list", "block=hello")


@CASES.of("C8")
def impossible_status_is_a_response(client: Client) -> str:
    """An application that gives the status 9999 is answered all the same, and so is the next request."""
    try:
        client.do("start=9999 Out Of Range", "return=list", "block=hello", status=None)
    except MalformedResponse:
        client.ask("hello")
        raise Information("it is sent as it is") from None
    client.ask("hello")
    return "both are answered"


def expect_logged(client: Client, *steps: str) -> None:
    """Fail unless the token, which an exception has in its text, appears in the server's output."""
    if client.target.output is None:
        raise NotApplicable("the output of the server is not seen from here")
    text = f"on purpose for {client.token}"
    answered(client, *steps, f"raise={text}")
    if not client.wait_until(lambda: client.has_output(text), client.soon):
        raise Failed("it appears neither in standard output nor in standard error")


@CASES.of("C9")
def error_in_the_call_is_logged(client: Client) -> None:
    """What the application raises appears in the server's output."""
    expect_logged(client)


@CASES.of("C9")
def error_in_the_iteration_is_logged(client: Client) -> None:
    """What the iteration raises after a block appears in the server's output."""
    expect_logged(client, "start=200 OK", "return=iterator", "block=hello")


@CASES.of("C10", "first-block-is-not-delayed")
def half_a_response_is_not_ended_well(client: Client) -> str:
    """After a block and an error there is no last chunk."""
    steps = (
        "header=Content-Type: application/octet-stream",
        "start=200 OK",
        "return=iterator",
        "block=hello",
    )
    connection = client.connect()
    connection.send(client.request(client.path("do", *steps, "raise=probe: on purpose")))
    try:
        response = connection.read_response()
    except NoAnswer as fault:
        return str(fault)
    if response.status >= 500:
        return f"the response is {response}"
    if response.framing == "close":
        raise Information("the content ends with the connection: nobody can tell whether it is complete")
    if response.complete:
        raise Failed(f"the response is complete with {response.content!r}")
    return "it breaks off"


@CASES.of("C16", "half-a-response-is-not-ended-well")
def partial_text_may_be_completed(client: Client) -> None:
    """A message may be added to text that broke off."""
    steps = ("header=Content-Type: text/plain", "start=200 OK", "return=iterator", "block=hello")
    response = answered(client, *steps, "raise=probe: on purpose")
    added = b"" if response is None else response.content.removeprefix(b"hello")
    raise Information(f"{added[:60]!r} is added" if added else "nothing is added")


@CASES.of("C11")
def one_call_for_one_request(client: Client) -> None:
    """GET, HEAD and POST each call the application once."""
    for method in ("GET", "HEAD", "POST"):
        before = len(client.noted("called"))
        content = b"hello" if method == "POST" else None
        client.do("start=200 OK", "return=list", "block=hello", method=method, content=content)
        times = len(client.noted("called")) - before
        if times != 1:
            raise Failed(f"for {method} it is called {times} times")


# Concurrency.


def come_together(client: Client, count: int = 2) -> list[dict[str, Any]]:
    """Have requests wait for each other in the application; return what each told."""

    def come(number: int) -> dict[str, Any]:
        target = client.path("overlap", f"id={number}", f"other={(number + 1) % count}", f"hold={_OVERLAP}")
        connection = Connection(
            client.target.address, client.timeout + count * _OVERLAP, tls=client.target.tls
        )
        try:
            connection.send(client.request(target))
            told: dict[str, Any] = client.told(connection.read_response())
            return told
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(come, range(count)))


def same(told: list[dict[str, Any]], key: str) -> bool:
    """Tell whether all were told the same."""
    return len({one[key] for one in told}) == 1


@CASES.of("C12", alone=True)
def multithread_is_true(client: Client) -> str:
    """Where two threads of one process are in the application, wsgi.multithread is true."""
    told = come_together(client)
    flag = told[0]["multithread"]
    if not all(one["met"] for one in told) or not same(told, "pid"):
        raise Information(f"it is {flag}; two requests do not meet in one process")
    if same(told, "thread"):
        raise Information(
            f"it is {flag}; two requests meet in one thread, which must be shared in another way"
        )
    if not flag:
        raise Failed("it is False, and two threads of one process meet in the application")
    return "it is True, and two threads meet"


@CASES.of("C13", alone=True)
def multiprocess_is_true(client: Client) -> str:
    """Where two processes serve the application, wsgi.multiprocess is true."""
    told = come_together(client)
    flag = told[0]["multiprocess"]
    pids = {client.ask("hello")["pid"] for _ in range(6)} | {one["pid"] for one in told}
    if len(pids) == 1:
        raise Information(f"it is {flag}; one process serves all")
    run_once = told[0]["run_once"]
    if not flag:
        raise Failed(f"it is False, and {len(pids)} processes serve the application")
    return f"it is True, and {len(pids)} processes serve the application{', each once' if run_once else ''}"


@CASES.of("C14")
def run_once_is_true(client: Client) -> str:
    """Where one process serves several requests, wsgi.run_once is false."""
    seen: set[int] = set()
    for _ in range(4):
        told = client.ask("environ")
        flag = next(
            (entry.get("value") for entry in told["entries"] if entry["key"] == "wsgi.run_once"), None
        )
        if told["pid"] in seen:
            if flag:
                raise Failed("it is true, and one process serves several requests")
            return "it is false, and one process serves several requests"
        seen.add(told["pid"])
    raise Information(f"it is {flag}; each request had a process of its own")


@CASES.of("C17")
def responses_are_not_mixed(client: Client) -> str:
    """Two responses that are begun before either is sent do not get each other's heads."""
    connections = [client.connect(), client.connect()]
    for number, connection in enumerate(connections):
        steps = (f"header=X-Probe: {number}", f"start=20{number} Own", f"hold=hold{number}:{_OVERLAP}")
        connection.send(client.request(client.path("do", *steps, "return=list", f"block={number}")))
    overlapped = client.wait_until(lambda: len(client.noted("holding")) == 2, _OVERLAP)
    for number in range(2):
        client.release(f"hold{number}")
    for number, connection in enumerate(connections):
        response = connection.read_response()
        seen = (response.status, response.values("X-Probe"), response.content)
        if seen != (200 + number, [str(number)], b"%d" % number):
            raise Failed(f"request {number} gets {response} with {response.content!r}")
    return "both were begun" if overlapped else "one was served after the other"
