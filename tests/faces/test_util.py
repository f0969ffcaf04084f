"""`wsgix.util`, name by name."""

import doctest
import io

import pytest

from wsgix import util
from wsgix.core.files import FileWrapper

HTTP = {"wsgi.url_scheme": "http", "SERVER_NAME": "a.example", "SERVER_PORT": "80"}
HTTPS = {"wsgi.url_scheme": "https", "SERVER_NAME": "a.example", "SERVER_PORT": "443"}


def test_the_public_names_are_the_standard_library_s():
    assert sorted(util.__all__) == [
        "FileWrapper",
        "application_uri",
        "guess_scheme",
        "is_hop_by_hop",
        "request_uri",
        "setup_testing_defaults",
        "shift_path_info",
    ]


def test_the_examples_in_the_docstrings_hold():
    failed, tried = doctest.testmod(util)
    assert (failed, tried > 0) == (0, True)


# FileWrapper


def test_the_file_wrapper_is_the_one_that_every_gateway_knows():
    assert util.FileWrapper is FileWrapper


# guess_scheme


@pytest.mark.parametrize("value", ["1", "on", "yes"])
def test_the_scheme_is_https_if_the_variable_https_says_so(value):
    assert util.guess_scheme({"HTTPS": value}) == "https"


@pytest.mark.parametrize("environ", [{}, {"HTTPS": ""}, {"HTTPS": "off"}, {"HTTPS": "ON"}, {"HTTPS": "true"}])
def test_the_scheme_is_http_otherwise(environ):
    assert util.guess_scheme(environ) == "http"


# application_uri and request_uri


@pytest.mark.parametrize(
    ("environ", "uri"),
    [
        (HTTP, "http://a.example/"),
        (HTTPS, "https://a.example/"),
        (HTTP | {"SERVER_PORT": "443"}, "http://a.example:443/"),
        (HTTPS | {"SERVER_PORT": "80"}, "https://a.example:80/"),
        (HTTP | {"wsgi.url_scheme": "ws"}, "ws://a.example/"),
        (HTTP | {"HTTP_HOST": "b.example:80"}, "http://b.example:80/"),
        (HTTP | {"HTTP_HOST": ""}, "http://a.example/"),
        (HTTP | {"HTTP_HOST": None}, "http://a.example/"),
        (HTTP | {"SCRIPT_NAME": ""}, "http://a.example/"),
        (HTTP | {"SCRIPT_NAME": None}, "http://a.example/"),
        (HTTP | {"SCRIPT_NAME": "/"}, "http://a.example/"),
        (HTTP | {"SCRIPT_NAME": "/sp\xe4m/x y"}, "http://a.example/sp%E4m/x%20y"),
        (HTTP | {"SCRIPT_NAME": "/a;b"}, "http://a.example/a%3Bb"),
        (HTTP | {"PATH_INFO": "/x", "QUERY_STRING": "y"}, "http://a.example/"),
    ],
)
def test_the_application_uri_is_scheme_authority_and_script_name(environ, uri):
    assert util.application_uri(environ) == uri


@pytest.mark.parametrize(
    ("server_name", "host"),
    [("::1", "[::1]"), ("[::1]", "[::1]"), ("2001:db8::7", "[2001:db8::7]"), ("127.0.0.1", "127.0.0.1")],
)
def test_an_ipv6_server_name_is_put_in_brackets(server_name, host):
    environ = HTTP | {"SERVER_NAME": server_name, "SERVER_PORT": "8000"}

    assert util.application_uri(environ) == f"http://{host}:8000/"
    assert util.request_uri(environ) == f"http://{host}:8000/"


@pytest.mark.parametrize(
    ("environ", "uri"),
    [
        (HTTP, "http://a.example/"),
        (HTTP | {"PATH_INFO": "/"}, "http://a.example/"),
        (HTTP | {"PATH_INFO": "/x"}, "http://a.example/x"),
        (HTTP | {"PATH_INFO": "//x//"}, "http://a.example//x//"),
        (HTTP | {"SCRIPT_NAME": "/app", "PATH_INFO": ""}, "http://a.example/app"),
        (HTTP | {"SCRIPT_NAME": "/app", "PATH_INFO": "/"}, "http://a.example/app/"),
        (HTTP | {"SCRIPT_NAME": "/app", "PATH_INFO": "/x"}, "http://a.example/app/x"),
        (HTTP | {"SCRIPT_NAME": "/", "PATH_INFO": "/x"}, "http://a.example//x"),
        (HTTP | {"PATH_INFO": "/a;b=1,2"}, "http://a.example/a;b=1,2"),
        (HTTP | {"PATH_INFO": "/%?#\xe4"}, "http://a.example/%25%3F%23%E4"),
        (HTTP | {"PATH_INFO": "/@:!$&'()*+~"}, "http://a.example/%40%3A%21%24%26%27%28%29%2A%2B~"),
        (HTTP | {"PATH_INFO": "/x", "QUERY_STRING": "q=\xe4/?"}, "http://a.example/x?q=\xe4/?"),
        (HTTP | {"PATH_INFO": "/x", "QUERY_STRING": ""}, "http://a.example/x"),
    ],
)
def test_the_request_uri_adds_path_info_and_the_query(environ, uri):
    assert util.request_uri(environ) == uri


def test_the_query_can_be_left_out():
    environ = HTTP | {"PATH_INFO": "/x", "QUERY_STRING": "q"}

    assert util.request_uri(environ, include_query=False) == "http://a.example/x"
    assert util.request_uri(environ, 0) == "http://a.example/x"


@pytest.mark.parametrize("path_info", ["x", "\xe4/x", ".evil.example"])
def test_a_path_without_its_slash_loses_nothing_and_stays_out_of_the_authority(path_info):
    uri = util.request_uri(HTTP | {"PATH_INFO": path_info})

    assert uri == util.request_uri(HTTP | {"PATH_INFO": "/" + path_info})
    assert uri == util.application_uri(HTTP | {"SCRIPT_NAME": path_info})


def test_the_asterisk_form_has_no_path():
    assert util.request_uri(HTTP | {"PATH_INFO": "*"}) == "http://a.example/"
    assert util.request_uri(HTTP | {"PATH_INFO": "/*"}) == "http://a.example/%2A"


@pytest.mark.parametrize("missing", ["wsgi.url_scheme", "SERVER_NAME", "SERVER_PORT"])
def test_a_uri_needs_scheme_and_server(missing):
    environ = HTTP.copy()
    del environ[missing]

    with pytest.raises(KeyError, match=missing):
        util.application_uri(environ)
    with pytest.raises(KeyError, match=missing):
        util.request_uri(environ)


def test_a_uri_is_made_of_latin_1_text_only():
    with pytest.raises(UnicodeEncodeError):
        util.application_uri(HTTP | {"SCRIPT_NAME": "/\u20ac"})
    with pytest.raises(UnicodeEncodeError):
        util.request_uri(HTTP | {"PATH_INFO": "/\u20ac"})


# shift_path_info


@pytest.mark.parametrize(
    ("before", "name", "after"),
    [
        (("", "/x"), "x", ("/x", "")),
        (("/a", "/x/y"), "x", ("/a/x", "/y")),
        (("/a", "/x/"), "x", ("/a/x", "/")),
        (("/a", "/"), "", ("/a/", "")),
        (("/a/", "/x"), "x", ("/a/x", "")),
        (("", "/"), "", ("/", "")),
        (("/a", ""), None, ("/a", "")),
        (("/a", "/."), None, ("/a", "")),
        (("/a", "/./"), "", ("/a/", "")),
        (("/a", "//x"), "x", ("/a/x", "")),
        (("/a", "/x//./y//"), "x", ("/a/x", "/y/")),
        (("/a", "/x/.."), "x", ("/a/x", "/..")),
        (("/a/x", "/.."), "..", ("/a", "")),
        (("/a", "/../y"), "..", ("", "/y")),
        (("", "/../y"), "..", ("", "/y")),
        (("/a//b/./c", "/x"), "x", ("/a/b/c/x", "")),
    ],
)
def test_a_segment_moves_from_path_info_to_script_name(before, name, after):
    environ = dict(zip(("SCRIPT_NAME", "PATH_INFO"), before, strict=True))

    assert util.shift_path_info(environ) == name
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == after


@pytest.mark.parametrize("path_info", ["x", "x/y", "x/", ".", "..", "x//y"])
def test_a_path_info_without_leading_slash_is_read_as_if_it_had_one(path_info):
    without = {"SCRIPT_NAME": "/a", "PATH_INFO": path_info}
    with_slash = {"SCRIPT_NAME": "/a", "PATH_INFO": "/" + path_info}

    assert util.shift_path_info(without) == util.shift_path_info(with_slash)
    assert without == with_slash


@pytest.mark.parametrize("path_info", ["/x", "/x/y", "/", "/.", "/../y"])
def test_a_script_name_of_one_slash_is_the_root(path_info):
    slash = {"SCRIPT_NAME": "/", "PATH_INFO": path_info}
    empty = {"SCRIPT_NAME": "", "PATH_INFO": path_info}

    assert util.shift_path_info(slash) == util.shift_path_info(empty)
    assert slash == empty


def test_missing_variables_count_as_empty():
    nothing, path_only = {}, {"PATH_INFO": "/x"}

    assert util.shift_path_info(nothing) is None
    assert nothing == {}
    assert util.shift_path_info(path_only) == "x"
    assert path_only == {"SCRIPT_NAME": "/x", "PATH_INFO": ""}


# setup_testing_defaults


def test_the_testing_defaults_are_a_plain_get_of_the_root():
    environ = {}
    util.setup_testing_defaults(environ)

    body, errors = environ.pop("wsgi.input"), environ.pop("wsgi.errors")
    assert (type(body), body.read()) == (io.BytesIO, b"")
    assert (type(errors), errors.getvalue()) == (io.StringIO, "")
    assert environ == {
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.0",
        "HTTP_HOST": "127.0.0.1",
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "wsgi.version": (1, 0),
        "wsgi.run_once": False,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.url_scheme": "http",
    }


def test_the_testing_defaults_keep_what_is_there():
    complete = {}
    util.setup_testing_defaults(complete)
    for key in complete:
        environ = {key: None}
        util.setup_testing_defaults(environ)
        assert environ[key] is None


@pytest.mark.parametrize(
    ("given", "key", "value"),
    [
        ({"HTTPS": "on"}, "wsgi.url_scheme", "https"),
        ({"HTTPS": "on"}, "SERVER_PORT", "443"),
        ({"wsgi.url_scheme": "https"}, "SERVER_PORT", "443"),
        ({"SERVER_NAME": "a.example"}, "HTTP_HOST", "a.example"),
        ({"SERVER_NAME": "::1"}, "HTTP_HOST", "[::1]"),
        ({"SERVER_NAME": ""}, "HTTP_HOST", ""),
    ],
)
def test_testing_defaults_follow_what_is_there(given, key, value):
    environ = given.copy()
    util.setup_testing_defaults(environ)
    assert environ[key] == value


@pytest.mark.parametrize(
    ("given", "absent"),
    [
        ({"SCRIPT_NAME": "/a"}, "PATH_INFO"),
        ({"PATH_INFO": "/a"}, "SCRIPT_NAME"),
        ({"wsgi.url_scheme": "ws"}, "SERVER_PORT"),
    ],
)
def test_testing_defaults_invent_no_half_of_a_path_and_no_port_of_an_unknown_scheme(given, absent):
    environ = given.copy()
    util.setup_testing_defaults(environ)
    assert absent not in environ


# is_hop_by_hop


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "TE",
        "Trailers",
        "Transfer-Encoding",
        "Upgrade",
    ],
)
def test_a_hop_by_hop_field_is_known_in_any_case(name):
    assert util.is_hop_by_hop(name) is True
    assert util.is_hop_by_hop(name.upper()) is True
    assert util.is_hop_by_hop(name.lower()) is True
    assert util._hoppish(name.lower()) is True


@pytest.mark.parametrize("name", ["Content-Length", "Date", "Trailer", "Proxy-Connection", "Via", ""])
def test_other_fields_are_not_hop_by_hop(name):
    assert util.is_hop_by_hop(name) is False
