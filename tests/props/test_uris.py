"""Properties of the URIs and the path shifting of `wsgix.util`, for any path a client can send."""

import wsgiref.util
from urllib.parse import quote_from_bytes, unquote_to_bytes

from hypothesis import example, given
from hypothesis import strategies as st

from wsgix import util

# Paths as clients spell them: any byte, percent-encoded or not where RFC 3986, 3.3, allows (pchar, "/").
segments = st.binary(max_size=8)
safe_characters = st.sampled_from(["", "/", "/;=,", "/;=,@:!$&'()*+", "/@~"])
latin_1 = st.characters(min_codepoint=0, max_codepoint=255)
path_text = st.lists(
    st.sampled_from([".", "..", "", "x", "\xe4"]) | st.text(latin_1, max_size=4), max_size=6
).map("/".join)
paths = path_text.map(lambda text: "/" + text)
schemes = st.sampled_from(["http", "https"])
names = st.sampled_from(["a.example", "127.0.0.1", "::1", "2001:db8::1"])
ports = st.sampled_from(["80", "443", "8000"])
queries = st.sampled_from(["", "q=1", "a=%E4&b=/?"])


def environ_of(scheme, name, port, script_name, path_info, query=""):
    return {
        "wsgi.url_scheme": scheme,
        "SERVER_NAME": name,
        "SERVER_PORT": port,
        "SCRIPT_NAME": script_name,
        "PATH_INFO": path_info,
        "QUERY_STRING": query,
    }


def resolved(path):
    """The segments of a path after dots and empty ones have had their effect: a model of the shifting."""
    stack = []
    for segment in path.split("/"):
        if segment == "..":
            del stack[-1:]
        elif segment not in ("", "."):
            stack.append(segment)
    return stack


@given(st.lists(segments, min_size=1, max_size=5), safe_characters, st.integers(0, 5), queries)
def test_the_request_uri_means_the_bytes_that_the_client_sent(path_segments, safe, mounted, query):
    target = "/" + "/".join(quote_from_bytes(segment, safe) for segment in path_segments)
    sent = unquote_to_bytes(target)
    received = sent.decode("latin-1").split("/")
    cut = min(mounted, len(received) - 1) + 1
    script_name, path_info = "/".join(received[:cut]), "".join("/" + one for one in received[cut:])

    uri = util.request_uri(environ_of("http", "a.example", "80", script_name, path_info, query))

    path, _, uri_query = uri.removeprefix("http://a.example").partition("?")
    assert uri.isascii()
    assert path.isprintable()
    assert unquote_to_bytes(path) == sent
    assert uri_query == query


@given(schemes, names, ports, paths, paths, queries, st.booleans(), st.booleans())
@example("http", "a.example", "80", "", "/", "", True, True)
@example("http", "a.example", "80", "", "", "", True, True)
def test_uris_equal_the_standard_library_s(scheme, name, port, script, path, query, include_query, with_host):
    environ = environ_of(scheme, name, port, script.rstrip("/"), path, query)
    if with_host:
        environ["HTTP_HOST"] = "b.example:81"
    elif ":" in name:
        # the standard library does not know that an IPv6 address needs brackets
        environ["SERVER_NAME"] = "a.example"

    assert util.application_uri(environ) == wsgiref.util.application_uri(environ)
    assert util.request_uri(environ, include_query) == wsgiref.util.request_uri(environ, include_query)


@given(schemes, names, ports, path_text, path_text)
def test_no_path_changes_the_authority(scheme, name, port, script_name, path_info):
    root = util.application_uri(environ_of(scheme, name, port, "", ""))
    environ = environ_of(scheme, name, port, script_name, path_info)

    assert root.count("/") == 3
    assert util.application_uri(environ).startswith(root)
    assert util.request_uri(environ).startswith(root)


@given(paths, paths)
def test_shifting_equals_the_standard_library_s(script, path_info):
    ours = {"SCRIPT_NAME": "" if script == "/" else script, "PATH_INFO": path_info}
    theirs = ours.copy()

    assert util.shift_path_info(ours) == wsgiref.util.shift_path_info(theirs)
    assert ours == theirs


@given(path_text.filter(lambda text: not text.startswith("//")), path_text)
@example("/", "/x")
@example("", "x")
def test_shifting_keeps_what_the_whole_path_means(script_name, path_info):
    if not path_info.startswith("/"):
        path_info = "/" + path_info
    script_name = "/" + script_name
    environ = {"SCRIPT_NAME": script_name, "PATH_INFO": path_info}
    whole = resolved(script_name + path_info)

    name = util.shift_path_info(environ)

    assert resolved(environ["SCRIPT_NAME"] + environ["PATH_INFO"]) == whole
    assert environ["SCRIPT_NAME"] in ("", "/") or environ["SCRIPT_NAME"].startswith("/")
    assert environ["PATH_INFO"] == "" or environ["PATH_INFO"].startswith("/")
    assert name is None or "/" not in name


@given(path_text)
def test_shifting_comes_to_an_end(path_info):
    environ = {"SCRIPT_NAME": "", "PATH_INFO": path_info}
    for _ in range(path_info.count("/") + 2):
        if util.shift_path_info(environ) is None:
            break
    assert util.shift_path_info(environ) is None
    assert environ["PATH_INFO"] == ""
