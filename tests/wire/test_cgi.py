"""`wire.cgi`: which variables of a process environment are the request's, and as which strings."""

import pytest

from wsgix.wire.cgi import is_request_variable, strip_script_name, transcode

PATH = "/caf\u00e9"
UTF_8_AS_LATIN_1 = PATH.encode("utf-8").decode("latin-1")


@pytest.mark.parametrize(
    "name",
    [
        "SCRIPT_NAME",
        "PATH_INFO",
        "QUERY_STRING",
        "REQUEST_METHOD",
        "AUTH_TYPE",
        "CONTENT_TYPE",
        "CONTENT_LENGTH",
        "HTTPS",
        "REMOTE_USER",
        "REMOTE_IDENT",
        "HTTP_COOKIE",
        "SSL_CLIENT_S_DN",
        "REDIRECT_PATH_INFO",
        "REDIRECT_REDIRECT_HTTP_COOKIE",
    ],
)
def test_a_variable_of_the_request_is_known_by_its_name(name):
    assert is_request_variable(name)


@pytest.mark.parametrize(
    "name", ["", "PATH", "HOME", "SERVER_NAME", "REMOTE_ADDR", "HTTPX", "REDIRECT_", "REDIRECT_STATUS"]
)
def test_other_variables_are_left_as_they_are(name):
    assert not is_request_variable(name)
    assert transcode({name: "\u20ac"}, encoding="utf-8", platform="linux") == {name: "\u20ac"}


@pytest.mark.parametrize(("encoding", "text"), [("utf-8", PATH), ("ascii", "/caf\udcc3\udca9")])
def test_the_bytes_of_the_request_become_latin_1(encoding, text):
    assert transcode({"PATH_INFO": text}, encoding=encoding, platform="linux") == {
        "PATH_INFO": UTF_8_AS_LATIN_1
    }


def test_bytes_that_are_no_utf_8_survive():
    assert transcode({"PATH_INFO": "/\udcff"}, encoding="utf-8", platform="darwin") == {"PATH_INFO": "/\xff"}


@pytest.mark.parametrize(
    ("software", "value", "expected"),
    [
        ("Microsoft-IIS/10.0", PATH, UTF_8_AS_LATIN_1),
        ("Apache/2.4", UTF_8_AS_LATIN_1, UTF_8_AS_LATIN_1),
        ("SimpleHTTP/0.6 Python/3.11.7", PATH, UTF_8_AS_LATIN_1),
        ("SimpleHTTP/0.6 Python/2.7", PATH, "/caf\xe9"),
        ("nginx/1.26", PATH, "/caf\xe9"),
        ("nginx/1.26", "/\u4e2d", "/?"),
        (None, PATH, "/caf\xe9"),
    ],
)
def test_on_windows_the_web_server_decides(software, value, expected):
    variables = {"PATH_INFO": value, "HOME": value}
    if software is not None:
        variables["SERVER_SOFTWARE"] = software

    result = transcode(variables, encoding="cp1252", platform="win32")

    assert result == {**variables, "PATH_INFO": expected}
    assert result is not variables


@pytest.mark.parametrize(
    ("script_name", "path_info", "expected"),
    [
        ("/app", "/app/x", "/x"),
        ("/app", "/app", ""),
        ("/app", "/apple", "/apple"),
        ("/app", "/x/app", "/x/app"),
        ("/app", "", ""),
        ("", "/x", "/x"),
        ("", "", ""),
    ],
)
def test_the_script_name_that_iis_repeats_is_taken_off(script_name, path_info, expected):
    assert strip_script_name(script_name, path_info) == expected
