"""Request lines, targets and authorities. The corpus holds the many; here stands what a file cannot show."""

import pytest

from wsgix.facts.refusals import (
    BAD_AUTHORITY,
    BAD_METHOD,
    BAD_PATH,
    BAD_QUERY,
    BAD_REQUEST_LINE,
    BAD_TARGET,
    BAD_VERSION,
    METHOD_NOT_IMPLEMENTED,
    MISDIRECTED,
    VERSION_NOT_SUPPORTED,
)
from wsgix.wire import target
from wsgix.wire.target import RequestLine, is_authority, known_lines, parse_request_line


@pytest.fixture(autouse=True)
def empty_caches():
    known_lines.clear()
    target._known_frames.clear()
    target._known_authorities.clear()


@pytest.mark.parametrize(
    ("line", "scheme", "result"),
    [
        (b"GET / HTTP/1.1", "http", ("GET", "/", "", "/", "HTTP/1.1", None)),
        (b"GET /a%20b?c%20d HTTP/1.0", "http", ("GET", "/a b", "c%20d", "/a%20b?c%20d", "HTTP/1.0", None)),
        (b"OPTIONS * HTTP/1.1", "http", ("OPTIONS", "", "", "*", "HTTP/1.1", None)),
        (b"OPTIONS http://b HTTP/1.1", "http", ("OPTIONS", "", "", "http://b", "HTTP/1.1", "b")),
        (b"OPTIONS http://b/ HTTP/1.1", "http", ("OPTIONS", "/", "", "http://b/", "HTTP/1.1", "b")),
        (b"GET http://b?c HTTP/1.1", "http", ("GET", "/", "c", "http://b?c", "HTTP/1.1", "b")),
        (b"GET https://b:1/c HTTP/1.1", "https", ("GET", "/c", "", "https://b:1/c", "HTTP/1.1", "b:1")),
        (b"GET http://b/ HTTP/1.1", "https", MISDIRECTED),
        (b"", "http", BAD_REQUEST_LINE),
        (b"GET  HTTP/1.1", "http", BAD_REQUEST_LINE),
        (b"G@T / HTTP/1.1", "http", BAD_METHOD),
        (b"GET / HTTP/1", "http", BAD_VERSION),
        (b"GET / HTTP/0.9", "http", BAD_VERSION),
        (b"GET / HTTP/2.0", "http", VERSION_NOT_SUPPORTED),
        (b"PRI * HTTP/2.0", "http", BAD_TARGET),
        (b"GET /{ HTTP/1.1", "http", BAD_PATH),
        (b"GET /%00 HTTP/1.1", "http", BAD_PATH),
        (b"GET /?# HTTP/1.1", "http", BAD_QUERY),
        (b"GET http:///a HTTP/1.1", "http", BAD_AUTHORITY),
        (b"GET a HTTP/1.1", "http", BAD_TARGET),
        (b"CONNECT a:80 HTTP/1.1", "http", METHOD_NOT_IMPLEMENTED),
        (b"CONNECT [::1]:80 HTTP/1.1", "http", METHOD_NOT_IMPLEMENTED),
        (b"CONNECT a HTTP/1.1", "http", BAD_AUTHORITY),
        (b"CONNECT /a HTTP/1.1", "http", BAD_AUTHORITY),
        (b"TRACE / HTTP/1.1", "http", METHOD_NOT_IMPLEMENTED),
        (b"get / HTTP/1.1", "http", METHOD_NOT_IMPLEMENTED),
        (b"A" * 33 + b" / HTTP/1.1", "http", METHOD_NOT_IMPLEMENTED),
    ],
)
def test_a_request_line_is_read_or_refused(line, scheme, result):
    assert parse_request_line(line, scheme) == result
    # and where its method and its version are known already
    for frame in (b"GET / HTTP/1.1", b"GET / HTTP/1.0"):
        parse_request_line(frame, "http")
    assert parse_request_line(line, scheme) == result


def test_a_target_with_nothing_to_decode_is_read_the_same_once_its_method_is_known():
    for line in (
        b"GET /a/b;c=d HTTP/1.1",
        b"GET /a?b=c HTTP/1.1",
        b"GET /a?b?c HTTP/1.1",
        b"GET /? HTTP/1.1",
    ):
        first = parse_request_line(line, "http")
        known_lines.clear()
        assert parse_request_line(line, "http") == first
        assert type(first) is RequestLine


def test_the_methods_known_are_bounded():
    for number in range(100):
        assert isinstance(parse_request_line(b"M%d / HTTP/1.1" % number, "http"), RequestLine)
    assert len(target._known_frames) <= target._FRAMES_SIZE
    assert (b"M99", b"HTTP/1.1") in target._known_frames


def test_only_accepted_lines_in_origin_form_without_a_query_are_shared_between_connections():
    lines = [
        b"GET /a HTTP/1.1",
        b"GET /a?token=b HTTP/1.1",
        b"GET http://a/ HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"GET /{ HTTP/1.1",
        b"GET /" + b"a" * 300 + b" HTTP/1.1",
    ]
    for line in lines:
        parse_request_line(line, "http")
    assert known_lines == {b"GET /a HTTP/1.1": RequestLine("GET", "/a", "", "/a", "HTTP/1.1", None)}


def test_the_cache_of_lines_is_bounded():
    for number in range(2 * target._CACHE_SIZE + 1):
        parse_request_line(b"GET /%d HTTP/1.1" % number, "http")
    assert len(known_lines) == 1


AUTHORITIES = """
a a: a:0 a:65535 a_b.c-d. a%41 ~ 127.0.0.1
[::] [::1]:80 [1:2:3:4:5:6:7:8] [1::8] [::1:2:3:4:5:6:7] [1:2:3:4:5:6:7::]
[::1.2.3.4] [1:2:3:4:5:6:1.2.3.4] [1::255.0.10.1]
"""

NO_AUTHORITIES = """
:80 a:65536 a:123456 a:-1 a:b a:1:2 a,b a/b . .a a..b a%4 a@b
[ [] [:] [:::] [1::2::3] [1:2] [1:2:3:4:5:6:7:8:9] [1::2:3:4:5:6:7:8] [12345::] [::g] [::1]a
[::1.2.3] [::1.2.3.256] [::01.2.3.4] [::1.2.3.4.] [1.2.3.4::] [::1.2.3.4:5] [1.2.3.4]
"""


@pytest.mark.parametrize("text", AUTHORITIES.split())
def test_a_host_with_an_optional_port_is_an_authority_also_the_second_time(text):
    assert is_authority(text)
    assert is_authority(text)


@pytest.mark.parametrize("text", ["", "a b", "\xe9", "\u0661", "a:\u0661", *NO_AUTHORITIES.split()])
def test_anything_else_is_none(text):
    assert not is_authority(text)
    assert not is_authority(text)


def test_the_cache_of_authorities_is_bounded_and_holds_nothing_long():
    for number in range(2 * target._CACHE_SIZE + 1):
        assert is_authority(f"h{number}")
    assert len(target._known_authorities) == 1
    assert is_authority("a" * 300)
    assert len(target._known_authorities) == 1
