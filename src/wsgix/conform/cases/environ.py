"""Cases of chapter E: the call of the application, and the environ."""

from __future__ import annotations

import re
from typing import Any, Final

from wsgix.conform.probe_case import Cases, Client, Failed, Information, NotApplicable
from wsgix.conform.probe_client import NoAnswer

CASES: Final = Cases()

_WORD: Final = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")
_CGI: Final = re.compile(r"[A-Z][A-Z0-9_]*")


def environ_of(client: Client, *steps: str, headers: tuple[str, ...] = (), **how: Any) -> dict[str, Any]:
    """Have the application tell its environ: key to what is told of the value."""
    told = client.ask("environ", *steps, headers=headers, **how)
    return {entry["key"]: entry for entry in told["entries"]}


def value_in(environ: dict[str, Any], key: str) -> Any:
    """Return the value of a key, or None if it is not there."""
    return environ[key].get("value") if key in environ else None


def expect(environ: dict[str, Any], key: str, wanted: str) -> None:
    """Fail unless the key has this value."""
    if key not in environ:
        raise Failed(f"{key} is absent", f"{key} is {wanted!r}")
    seen = environ[key].get("value")
    if seen != wanted:
        shown = repr(seen) if "value" in environ[key] else f"of type {environ[key]['type']}"
        raise Failed(f"{key} is {shown}", f"{key} is {wanted!r}")


def expect_nothing(environ: dict[str, Any], key: str, *others: str) -> None:
    """Fail if the key has a value that is neither empty nor one of these others."""
    seen = value_in(environ, key)
    if seen not in (None, "", *others):
        raise Failed(f"{key} is {seen!r}", f"{key} is empty or absent")


@CASES.of("E1")
def called_with_positional_arguments(client: Client) -> str:
    """The application is called with two positional arguments."""
    positional, keywords = client.ask("environ")["call"]
    if keywords or positional != 2:
        raise Failed(f"{positional} positional arguments, and by keyword {keywords or 'none'}")
    return "two positional arguments"


@CASES.of("E2")
def environ_is_a_dict(client: Client) -> str:
    """The environ is a dict, not of a derived class."""
    told = client.ask("environ")
    if not told["exact"]:
        raise Failed(f"type(environ) is {told['type']}")
    return "type(environ) is dict"


@CASES.of("E3")
def environ_may_be_emptied(client: Client) -> None:
    """An application that empties the environ has its response sent all the same."""
    response = client.do("clear", "start=200 OK", "return=list", "block=hello")
    if response.content != b"hello":
        raise Failed(f"the content is {response.content[:60]!r}")


@CASES.of("E3")
def environ_is_new_for_each_request(client: Client) -> None:
    """What one request left in the environ is not in the next one's, on the same connection."""
    connection = client.connect()
    connection.send(client.request(client.path("environ", "add=probe.left"), close=False))
    client.told(connection.read_response())
    connection.send(client.request(client.path("environ")))
    try:
        told = client.told(connection.read_response())
    except NoAnswer:  # whether the connection should have gone on is another rule's question
        told = client.ask("environ")
    if any(entry["key"] == "probe.left" for entry in told["entries"]):
        raise Failed("the key that the request before has added is there")


@CASES.of("E4")
def method_is_as_sent(client: Client) -> str:
    """REQUEST_METHOD is the method of the request line."""
    for method in ("GET", "POST", "PUT", "DELETE"):
        content = b"" if method in ("POST", "PUT") else None
        expect(environ_of(client, method=method, content=content), "REQUEST_METHOD", method)
    return "GET, POST, PUT and DELETE arrive"


def path_in(environ: dict[str, Any]) -> str:
    """Return SCRIPT_NAME and PATH_INFO, joined."""
    return f"{value_in(environ, 'SCRIPT_NAME') or ''}{value_in(environ, 'PATH_INFO') or ''}"


def expect_path(client: Client, sent: str, wanted: str) -> None:
    """Fail unless a path below /environ arrives as this one."""
    wanted = f"{client.target.prefix}/environ{wanted}"
    response = client.exchange(client.path("environ" + sent))
    told = client.told(response)
    seen = path_in({entry["key"]: entry for entry in told["entries"]})
    if seen != wanted:
        raise Failed(f"of {sent!r} came {seen!r}", f"{wanted!r}")


@CASES.of("E5")
def path_is_all_there(client: Client) -> None:
    """SCRIPT_NAME and PATH_INFO, joined, are the path of the request."""
    expect_path(client, "/a/b.c/", "/a/b.c/")


@CASES.of("E5")
def slashes_are_kept(client: Client) -> None:
    """Several slashes in a row stay several."""
    expect_path(client, "/a//b///", "/a//b///")


@CASES.of("E6", "path-is-all-there")
def path_is_decoded(client: Client) -> None:
    """%20 in the path arrives as a space, %41 as A."""
    expect_path(client, "/a%20b%41", "/a bA")


@CASES.of("E6", "path-is-all-there")
def path_is_decoded_once(client: Client) -> None:
    """%2541 in the path arrives as %41."""
    expect_path(client, "/%2541", "/%41")


@CASES.of("E6", "path-is-decoded")
def path_is_decoded_to_latin_1(client: Client) -> None:
    """%C3%A9 and %80 in the path arrive as the characters U+00C3, U+00A9 and U+0080."""
    expect_path(client, "/%C3%A9%80", "/\xc3\xa9\x80")


@CASES.of("E6", "path-is-all-there")
def plus_in_the_path_is_a_plus(client: Client) -> None:
    """A plus sign in the path arrives as a plus sign."""
    expect_path(client, "/a+b", "/a+b")


@CASES.of("E7")
def query_is_verbatim(client: Client) -> None:
    """The query arrives as it was sent, no part of it decoded."""
    query = "case=query&x=%2B+%26%c3%a9?/y;z=//"
    response = client.exchange(f"{client.target.prefix}/environ?{query}")
    told = client.told(response)
    expect({entry["key"]: entry for entry in told["entries"]}, "QUERY_STRING", query)


@CASES.of("E7")
def no_query_is_empty(client: Client) -> None:
    """Without a question mark QUERY_STRING is empty or absent."""
    told = client.told(client.exchange(f"{client.target.prefix}/environ"))
    expect_nothing({entry["key"]: entry for entry in told["entries"]}, "QUERY_STRING")


@CASES.of("E8")
def content_type_arrives(client: Client) -> None:
    """CONTENT_TYPE is what was sent, parameters and case kept."""
    value = "Text/X-Probe; charset=UTF-8"
    environ = environ_of(client, headers=(f"Content-Type: {value}",), method="POST", content=b"hello")
    expect(environ, "CONTENT_TYPE", value)


@CASES.of("E8")
def no_content_type_is_empty(client: Client) -> None:
    """Without a Content-Type CONTENT_TYPE is empty or absent."""
    expect_nothing(environ_of(client), "CONTENT_TYPE")
    expect_nothing(environ_of(client, method="POST", content=b"hello"), "CONTENT_TYPE")


@CASES.of("E9")
def content_length_arrives(client: Client) -> None:
    """CONTENT_LENGTH is what was sent."""
    expect(environ_of(client, method="POST", content=b"hello"), "CONTENT_LENGTH", "5")


@CASES.of("E9")
def no_content_length_is_empty(client: Client) -> None:
    """Without a Content-Length CONTENT_LENGTH is empty, absent or zero."""
    expect_nothing(environ_of(client), "CONTENT_LENGTH", "0")


@CASES.of("E10")
def server_name_and_port_are_there(client: Client) -> str:
    """SERVER_NAME is a str that is not empty, and SERVER_PORT the number of a port in digits."""
    environ = environ_of(client)
    name, port = value_in(environ, "SERVER_NAME"), value_in(environ, "SERVER_PORT")
    if not isinstance(name, str) or not name:
        raise Failed(f"SERVER_NAME is {name!r}")
    pattern = "." if isinstance(client.target.address, str) else "[1-9][0-9]{0,4}"
    if not isinstance(port, str) or not re.match(pattern, port):
        raise Failed(f"SERVER_PORT is {port!r}")
    return f"{name} and {port}"


@CASES.of("E11", "server-name-and-port-are-there")
def server_port_is_the_port(client: Client) -> str:
    """SERVER_PORT is the port that was connected to."""
    if isinstance(client.target.address, str):
        raise NotApplicable("a Unix socket has no port")
    seen, wanted = value_in(environ_of(client), "SERVER_PORT"), str(client.target.address[1])
    if seen != wanted and not client.target.direct:
        raise Information(f"SERVER_PORT is {seen!r}: there may be a proxy before the server")
    if seen != wanted:
        raise Failed(f"SERVER_PORT is {seen!r}", f"SERVER_PORT is {wanted!r}")
    return wanted


@CASES.of("E12")
def protocol_is_http_1_1(client: Client) -> None:
    """For a request with HTTP/1.1 SERVER_PROTOCOL is HTTP/1.1."""
    expect(environ_of(client), "SERVER_PROTOCOL", "HTTP/1.1")


@CASES.of("E12")
def protocol_is_http_1_0(client: Client) -> None:
    """For a request with HTTP/1.0 SERVER_PROTOCOL is HTTP/1.0."""
    environ = environ_of(client, version="1.0")
    if not client.target.direct and value_in(environ, "SERVER_PROTOCOL") == "HTTP/1.1":
        raise Information("SERVER_PROTOCOL is 'HTTP/1.1': there may be a proxy before the server")
    expect(environ, "SERVER_PROTOCOL", "HTTP/1.0")


@CASES.of("E13")
def header_arrives(client: Client) -> None:
    """X-pRobe: a value, with: signs becomes HTTP_X_PROBE."""
    environ = environ_of(client, headers=("X-pRobe: a value, with: signs",))
    expect(environ, "HTTP_X_PROBE", "a value, with: signs")


@CASES.of("E13")
def empty_header_arrives(client: Client) -> None:
    """A header with an empty value is there."""
    expect(environ_of(client, headers=("X-Probe-Empty:",)), "HTTP_X_PROBE_EMPTY", "")


@CASES.of("E13")
def no_header_is_made_up(client: Client) -> str:
    """The HTTP_ variables are those of the headers that were sent, and no others."""
    environ = environ_of(client, headers=("X-Probe: 1",))
    seen = sorted(key for key in environ if key.startswith("HTTP_"))
    wanted = {"HTTP_HOST", "HTTP_X_PROBE", "HTTP_CONNECTION"}
    more = [key for key in seen if key not in wanted]
    if more and not client.target.direct:
        raise Information(f"there are {', '.join(more)}: there may be a proxy before the server")
    if more:
        raise Failed(f"there are {', '.join(more)}, which were not sent")
    return ", ".join(seen)


@CASES.of("E14")
def header_is_trimmed(client: Client) -> None:
    """Spaces and tabs around the value are gone, those within it are kept."""
    environ = environ_of(client, headers=("X-Probe-Padded: \t a  b \t ",))
    expect(environ, "HTTP_X_PROBE_PADDED", "a  b")


@CASES.of("E15")
def repeated_header_is_joined(client: Client) -> str:
    """X-Probe-List: a and X-Probe-List: b become "a, b", with or without the space."""
    headers = ("X-Probe-List: a", "X-Other: c", "X-Probe-List: b")
    seen = value_in(environ_of(client, headers=headers), "HTTP_X_PROBE_LIST")
    if not isinstance(seen, str) or [part.strip() for part in seen.split(",")] != ["a", "b"]:
        raise Failed(f"HTTP_X_PROBE_LIST is {seen!r}")
    return repr(seen)


@CASES.of("E16")
def no_prefixed_content_variables(client: Client) -> None:
    """There is neither HTTP_CONTENT_TYPE nor HTTP_CONTENT_LENGTH."""
    environ = environ_of(client, headers=("Content-Type: text/plain",), method="POST", content=b"hello")
    seen = [key for key in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH") if key in environ]
    if seen:
        raise Failed(f"there is {' and '.join(seen)}")


def is_cgi(key: str, system: list[str]) -> bool:
    """Tell whether a key is a CGI variable and none of the system's environment."""
    return bool(_CGI.fullmatch(key)) and key not in system


@CASES.of("E17")
def variables_are_str(client: Client) -> str:
    """Every key is a str, and so is the value of every variable that is named in capitals."""
    told = client.ask(
        "environ", headers=("X-Probe: 1", "Content-Type: text/plain"), method="POST", content=b"x"
    )
    wrong = [
        f"{entry['key']} ({entry['type']})"
        for entry in told["entries"]
        if entry["key_type"] != "str" or (_CGI.fullmatch(entry["key"]) and entry["type"] != "str")
    ]
    if wrong:
        raise Failed(f"no str: {', '.join(wrong)}")
    return f"{len(told['entries'])} variables"


def beyond_latin_1(entries: list[dict[str, Any]]) -> list[str]:
    """Return the keys of those that have a character beyond U+00FF, in the key or in the value."""
    return [
        entry["key"]
        for entry in entries
        if any(ord(character) > 255 for character in f"{entry['key']}{entry.get('value', '')}")
    ]


@CASES.of("E18")
def strings_are_latin_1(client: Client) -> None:
    """No string that comes from the request has a character beyond U+00FF."""
    told = client.ask("environ", headers=("X-Probe: \xe2\x82\xac",))
    wrong = beyond_latin_1([entry for entry in told["entries"] if entry["key"] not in told["system"]])
    if wrong:
        raise Failed(f"beyond U+00FF: {', '.join(wrong)}")


@CASES.of("E18")
def system_strings_are_latin_1(client: Client) -> None:
    """No variable of the system's environment that is in the environ has a character beyond U+00FF."""
    told = client.ask("environ")
    found = [entry for entry in told["entries"] if entry["key"] in told["system"]]
    if not found:
        raise NotApplicable("the environment of the system is not in the environ")
    if wrong := beyond_latin_1(found):
        raise Failed(f"beyond U+00FF: {', '.join(wrong)}")


@CASES.of("E19", "header-arrives", "strings-are-latin-1")
def header_bytes_are_kept(client: Client) -> None:
    """The bytes E2 82 AC E9 in a header arrive as the characters of those numbers."""
    expect(environ_of(client, headers=("X-Probe: \xe2\x82\xac\xe9",)), "HTTP_X_PROBE", "\xe2\x82\xac\xe9")


@CASES.of("E20")
def absent_variables_are_left_out(client: Client) -> None:
    """REMOTE_USER, AUTH_TYPE and the like are not there when they have no value."""
    told = client.ask("environ")
    names = ("REMOTE_USER", "REMOTE_IDENT", "AUTH_TYPE", "PATH_TRANSLATED", "DOCUMENT_ROOT", "HTTPS")
    empty = [
        entry["key"]
        for entry in told["entries"]
        if entry["key"] in names and entry.get("value") == "" and is_cgi(entry["key"], told["system"])
    ]
    if empty:
        raise Failed(f"{', '.join(empty)} empty")


@CASES.of("E21")
def remote_address_is_the_clients(client: Client) -> str:
    """REMOTE_ADDR is the address that the client connected from."""
    if isinstance(client.target.address, str):
        raise NotApplicable("the client of a Unix socket has no address")
    connection = client.connect()
    connection.send(client.request(client.path("environ")))
    told = client.told(connection.read_response())
    seen = value_in({entry["key"]: entry for entry in told["entries"]}, "REMOTE_ADDR")
    wanted = connection.local_address[0]
    if seen != wanted and not client.target.direct:
        raise Information(f"REMOTE_ADDR is {seen!r}: there may be a proxy before the server")
    if seen != wanted:
        raise Failed(f"REMOTE_ADDR is {seen!r}" if seen is not None else "it is absent", f"{wanted!r}")
    return f"{seen}"


@CASES.of("E22")
def version_is_1_0(client: Client) -> None:
    """wsgi.version is a tuple of the ints 1 and 0."""
    entry = environ_of(client).get("wsgi.version")
    if entry is None:
        raise Failed("it is absent")
    values = [item.get("value") for item in entry.get("items", [])]
    if entry["type"] != "tuple" or values != [1, 0]:
        raise Failed(f"it is a {entry['type']} of {values}")


@CASES.of("E23")
def url_scheme_is_true(client: Client) -> None:
    """wsgi.url_scheme is http, or https where the client speaks TLS."""
    environ = environ_of(client)
    wanted = "https" if client.target.tls else "http"
    seen = value_in(environ, "wsgi.url_scheme")
    if not client.target.direct and {seen, wanted} == {"http", "https"}:
        raise Information(f"it is {seen!r}: there may be a proxy before the server")
    expect(environ, "wsgi.url_scheme", wanted)


@CASES.of("E24")
def https_is_on(client: Client) -> None:
    """HTTPS is on where the client speaks TLS."""
    if not client.target.tls:
        raise NotApplicable("no TLS is spoken")
    environ = environ_of(client)
    if not client.target.direct and "HTTPS" not in environ:
        raise Information("it is absent: there may be a proxy before the server")
    expect(environ, "HTTPS", "on")


@CASES.of("E25")
def server_variables_have_a_prefix(client: Client) -> str:
    """Names that are no CGI variables are lower-case words joined by dots."""
    told = client.ask("environ")
    own = [
        entry["key"]
        for entry in told["entries"]
        if not _CGI.fullmatch(entry["key"]) and entry["key"] not in told["system"]
    ]
    wrong = [key for key in own if not _WORD.fullmatch(key)]
    if wrong:
        raise Failed(f"named otherwise: {', '.join(wrong)}")
    return ", ".join(key for key in own if not key.startswith("wsgi."))


@CASES.of("E31")
def system_environment_may_be_included(client: Client) -> None:
    """PATH, HOME and the like may be in the environ."""
    told = client.ask("environ")
    found = [entry["key"] for entry in told["entries"] if entry["key"] in told["system"]]
    raise Information(f"{len(found)} of its variables are there" if found else "it is not there")


@CASES.of("E26")
def wsgi_variables_are_there(client: Client) -> str:
    """wsgi.multithread, wsgi.multiprocess and wsgi.run_once are there."""
    environ = environ_of(client)
    names = ("wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once")
    if absent := [name for name in names if name not in environ]:
        raise Failed(f"absent: {', '.join(absent)}")
    return ", ".join(f"{name[5:]} {value_in(environ, name)}" for name in names)


@CASES.of("E27", "path-is-all-there")
def absolute_form_has_a_path(client: Client) -> None:
    """GET http://host/environ/a arrives with the path only."""
    scheme = "https" if client.target.tls else "http"
    response = client.exchange(f"{scheme}://{client.target.host}{client.path('environ/a')}")
    if response.status != 200 and response.version == "1.0":
        raise NotApplicable("the server speaks HTTP/1.0")
    told = client.told(response)
    seen = path_in({entry["key"]: entry for entry in told["entries"]})
    if seen != f"{client.target.prefix}/environ/a":
        raise Failed(f"SCRIPT_NAME and PATH_INFO are {seen!r}")
