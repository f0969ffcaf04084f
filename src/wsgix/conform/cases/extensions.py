"""Cases of chapter X: wsgi.file_wrapper, and what is custom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wsgix.conform.cases.environ import environ_of, value_in
from wsgix.conform.probe_case import Cases, Client, Failed, Information, NotApplicable

if TYPE_CHECKING:
    from wsgix.conform.probe_client import Response

CASES: Final = Cases()


@CASES.of("X1")
def file_wrapper_is_callable(client: Client) -> None:
    """wsgi.file_wrapper takes a file; where there is none, nothing of this applies."""
    entry = environ_of(client).get("wsgi.file_wrapper")
    if entry is None:
        raise NotApplicable("there is no wsgi.file_wrapper")
    if not entry.get("callable"):
        raise Failed(f"it is of type {entry['type']}")


@CASES.of("X1", "file-wrapper-is-callable")
def file_wrapper_takes_a_size(client: Client) -> None:
    """wsgi.file_wrapper takes a file and a block size."""
    send_file(client, "file-sized")


def send_file(client: Client, kind: str, *steps: str, wanted: bytes = b"the content of a file") -> Response:
    """Have a file be sent; fail unless it comes whole."""
    response = client.do(
        *(steps or ("start=200 OK",)), f"return={kind}", "block=the content ", "block=of a file", status=None
    )
    if response.status != 200:
        raise Failed(f"the response is {response}", "a response with status 200")
    if response.content != wanted or not response.complete:
        raise Failed(f"the content is {response.content[:60]!r}", f"the content is {wanted!r}")
    return response


@CASES.of("X2", "file-wrapper-is-callable")
def file_wrapper_can_be_iterated(client: Client) -> None:
    """A generator of the application's that iterates over the wrapper gives the file."""
    send_file(client, "file-iterated")


@CASES.of("X3", "file-wrapper-is-callable")
def file_wrapper_sends_nothing(client: Client) -> None:
    """A wrapper that was made and dropped leaves no trace in the response."""
    send_file(client, "file-discarded")


@CASES.of("X4", "file-wrapper-is-callable")
def a_file_will_do(client: Client) -> None:
    """A file of the system's is sent."""
    send_file(client, "file")


@CASES.of("X4", "file-wrapper-is-callable")
def a_buffer_will_do(client: Client) -> None:
    """An io.BytesIO is sent."""
    send_file(client, "file-memory")


@CASES.of("X4", "file-wrapper-is-callable")
def a_reader_will_do(client: Client) -> None:
    """An object with read and close is sent."""
    send_file(client, "file-reader")


@CASES.of("X4", "file-wrapper-is-callable")
def a_reader_without_close_will_do(client: Client) -> None:
    """An object with read and nothing else is sent."""
    send_file(client, "file-bare")


@CASES.of("X4", "file-wrapper-is-callable")
def a_pipe_will_do(client: Client) -> None:
    """A pipe, which has a descriptor and no position, is sent."""
    send_file(client, "file-pipe")


@CASES.of("X4", "a-file-will-do", "head-has-no-content", "head-has-no-chunks")
def a_file_for_head_will_do(client: Client) -> None:
    """For HEAD a file is not sent."""
    connection = client.connect()
    target = client.path("do", "start=200 OK", "return=file", "block=hello")
    connection.send(client.request(target, method="HEAD"))
    response = connection.read_response("HEAD")
    connection.is_ended(client.soon)
    if response.status != 200 or connection.unread:
        raise Failed(f"the response is {response}, followed by {connection.unread[:60]!r}")


def expect_file_closed(client: Client) -> None:
    """Fail unless the close of the file is called in time."""
    if client.wait_for_note("file-closed", client.soon) is None:
        raise Failed(f"it is not called within {client.soon:g} s")


@CASES.of("X5", "a-reader-will-do", "what-was-returned-is-closed")
def wrapped_reader_is_closed(client: Client) -> None:
    """close of an object that is like a file is called."""
    send_file(client, "file-reader")
    expect_file_closed(client)


@CASES.of("X5", "a-file-will-do", "what-was-returned-is-closed")
def wrapped_file_is_closed(client: Client) -> None:
    """close of a file of the system's is called."""
    send_file(client, "file")
    expect_file_closed(client)


@CASES.of("X6", "a-file-will-do")
def file_is_sent_from_its_position(client: Client) -> None:
    """A file that stands at an offset is sent from there."""
    send_file(client, "file-offset")


@CASES.of("X7", "a-file-will-do", "long-block-is-cut")
def file_is_sent_up_to_the_length(client: Client) -> None:
    """Of a file of 21 bytes, with a Content-Length of 11, eleven are sent."""
    connection = client.connect()
    steps = ("header=Content-Length: 11", "start=200 OK", "return=file", "block=the content of a file")
    connection.send(client.request(client.path("do", *steps)))
    response = connection.read_response()
    connection.is_ended(client.soon)
    if response.content + connection.unread != b"the content":
        raise Failed(f"there comes {response.content + connection.unread!r}")


@CASES.of("X19", "a-file-will-do")
def length_of_a_file_may_be_derived(client: Client) -> None:
    """The response with a file of 21 bytes may have a Content-Length."""
    response = send_file(client, "file")
    raise Information(f"the end is told by: {response.framing}")


@CASES.of("X9", "chunked-content-is-decoded")
def input_terminated_is_true(client: Client) -> str:
    """wsgi.input_terminated is true, as content in chunks is accepted."""
    connection = client.connect()
    head = client.request(client.path("input"), "Transfer-Encoding: chunked", method="POST")
    connection.send(head + b"5\r\nhello\r\n0\r\n\r\n")
    flag = client.told(connection.read_response())["terminated"]
    if flag:
        return f"it is {flag}"
    connection = client.connect()
    head = client.request(client.path("environ"), "Transfer-Encoding: chunked", method="POST")
    connection.send(head + b"5\r\nhello\r\n0\r\n\r\n")
    told = client.told(connection.read_response())
    length = value_in({entry["key"]: entry for entry in told["entries"]}, "CONTENT_LENGTH")
    if length == "5":
        return "there is a CONTENT_LENGTH of the decoded content instead"
    raise Failed(f"it is {flag}, and there is no CONTENT_LENGTH")


@CASES.of("X10", "path-is-all-there")
def raw_target_is_verbatim(client: Client) -> str:
    """REQUEST_URI and RAW_URI are the request target, with %2F as it is."""
    target = client.path("environ/a%2Fb%20c", "x=%41")
    told = client.told(client.exchange(target))
    environ = {entry["key"]: entry for entry in told["entries"]}
    found = {key: environ[key] for key in ("REQUEST_URI", "RAW_URI") if key in environ}
    if not found:
        raise NotApplicable("there is neither REQUEST_URI nor RAW_URI")
    for key, entry in found.items():
        # Some give the whole URL.
        if entry["type"] != "str" or not str(entry["value"]).endswith(target):
            raise Failed(f"{key} is {entry.get('value')!r}", repr(target))
    return ", ".join(found)


@CASES.of("X11", "remote-address-is-the-clients")
def remote_port_is_the_clients(client: Client) -> str:
    """REMOTE_PORT is the port that the client connected from."""
    connection = client.connect()
    connection.send(client.request(client.path("environ")))
    told = client.told(connection.read_response())
    entry = next((entry for entry in told["entries"] if entry["key"] == "REMOTE_PORT"), None)
    if entry is None:
        raise NotApplicable("there is no REMOTE_PORT")
    wanted = str(connection.local_address[1])
    # That it is a str is asked elsewhere.
    if str(entry.get("value")) != wanted:
        if not client.target.direct:
            raise Information(f"it is {entry.get('value')!r}: there may be a proxy before the server")
        raise Failed(f"it is {entry.get('value')!r}", f"it is {wanted!r}")
    return wanted


@CASES.of("X12", "header-arrives")
def underscores_do_not_pose_as_hyphens(client: Client) -> str:
    """Of X-Probe-User: good and X_Probe_User: evil, HTTP_X_PROBE_USER is good."""
    key, seen = "HTTP_X_PROBE_USER", []
    for headers in (
        ("X-Probe-User: good", "X_Probe_User: evil"),
        ("X_Probe_User: evil", "X-Probe-User: good"),
    ):
        response = client.exchange(client.path("environ"), *headers)
        if response.status == 400:
            return "such a request is refused"
        told = client.told(response)
        seen.append(value_in({entry["key"]: entry for entry in told["entries"]}, key))
    if seen != ["good", "good"]:
        raise Failed(f"it is {' and '.join(map(repr, seen))}, by their order")
    return "the header with underscores is dropped"


@CASES.of("X13", "header-arrives")
def cookies_are_joined_with_semicolons(client: Client) -> str:
    """Cookie: a=1 and Cookie: b=2 become a=1; b=2."""
    seen = value_in(environ_of(client, headers=("Cookie: a=1", "Cookie: b=2")), "HTTP_COOKIE")
    if not isinstance(seen, str) or [part.strip() for part in seen.split(";")] != ["a=1", "b=2"]:
        raise Failed(f"HTTP_COOKIE is {seen!r}")
    return repr(seen)


@CASES.of("X14")
def early_hints_are_callable(client: Client) -> None:
    """wsgi.early_hints, where there is one, is callable."""
    entry = environ_of(client).get("wsgi.early_hints")
    if entry is None:
        raise NotApplicable("there is no wsgi.early_hints")
    if not entry.get("callable"):
        raise Failed(f"it is of type {entry['type']}")


def changed(client: Client, keys: tuple[str, ...], *headers: str) -> None:
    """Tell which of these keys headers change."""
    plain, other = environ_of(client), environ_of(client, headers=headers)

    def show(environ: dict[str, Any], key: str) -> str:
        return repr(value_in(environ, key))

    differing = [f"{key} is {show(other, key)}" for key in keys if show(plain, key) != show(other, key)]
    raise Information(", ".join(differing) if differing else "they change nothing")


@CASES.of("X15")
def forwarded_headers_may_be_believed(client: Client) -> None:
    """X-Forwarded-Proto: https, X-Forwarded-For: 192.0.2.1 and the like may change the environ."""
    keys = ("wsgi.url_scheme", "REMOTE_ADDR", "SERVER_NAME", "SERVER_PORT", "HTTPS")
    headers = ("X-Forwarded-Proto: https", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: other.example")
    changed(client, keys, *headers)


@CASES.of("X16")
def headers_may_set_the_script_name(client: Client) -> None:
    """SCRIPT_NAME: /environ and X-Script-Name: /environ may change SCRIPT_NAME."""
    keys = ("SCRIPT_NAME", "PATH_INFO")
    changed(client, keys, f"SCRIPT_NAME: {client.target.prefix}/environ", "X-Script-Name: /environ")


@CASES.of("X17")
def proxy_header_may_be_dropped(client: Client) -> None:
    """Proxy: http://192.0.2.1 may arrive as HTTP_PROXY."""
    changed(client, ("HTTP_PROXY",), "Proxy: http://192.0.2.1")


@CASES.of("X18")
def asterisk_form_may_have_a_path(client: Client) -> None:
    """OPTIONS * is answered by the application or by the server."""
    response = client.exchange("*", method="OPTIONS")
    if response.status == 404 and b"there is no such action" in response.content:
        raise Information("the application is called")
    raise Information(f"the application is not called for it; the response is {response}")
