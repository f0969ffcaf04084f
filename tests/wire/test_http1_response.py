"""Responses as bytes: what is written, what is refused, what is cached."""

import pytest

from wsgix.facts import names
from wsgix.facts.refusals import BAD_HOST
from wsgix.wire import http1_response
from wsgix.wire.http1_response import (
    CHUNK_END,
    CONNECTION_CLOSE,
    CONNECTION_KEEP_ALIVE,
    CONTINUE,
    HAS_DATE,
    HAS_SERVER,
    LAST_CHUNK,
    TRANSFER_ENCODING_CHUNKED,
    chunk_start,
    early_hints,
    final_heads,
    length_line,
    refusal_response,
    response_head,
)


@pytest.fixture(autouse=True)
def empty_caches():
    http1_response._header_lines.clear()
    http1_response._status_lines.clear()
    final_heads.clear()
    http1_response._length_lines.clear()


def test_a_head_is_status_line_own_lines_and_headers_in_order():
    headers = [("Content-Type", "text/plain"), ("X", "\xe9"), ("X", " b\t"), ("Y", "")]
    for _ in range(2):
        assert response_head("200 OK", headers, b"Date: now\r\n" + CONNECTION_CLOSE) == (
            b"HTTP/1.1 200 OK\r\nDate: now\r\nConnection: close\r\n"
            b"Content-Type: text/plain\r\nX: \xe9\r\nX: b\r\nY: \r\n\r\n"
        )


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ("200 OK", b"HTTP/1.1 200 OK\r\n\r\n"),
        ("200 ", b"HTTP/1.1 200 \r\n\r\n"),
        ("200", b"HTTP/1.1 200 \r\n\r\n"),
        ("299 Tout \xe9gal", b"HTTP/1.1 299 Tout \xe9gal\r\n\r\n"),
    ],
)
def test_the_space_behind_the_code_stands_also_without_a_reason(status, line):
    assert response_head(status, [], b"") == line


NO_STATUSES = ["", "20 OK", "2000 OK", "600 OK", "OK", " 200 OK", "200OK", "\u0662\u0660\u0660 OK", "200\n"]


@pytest.mark.parametrize("status", [*NO_STATUSES, "200 OK\r\nX: y", "200 \0", "200 \n", "200 \u0141"])
def test_a_malformed_status_raises(status):
    with pytest.raises(ValueError, match=r"status|latin-1"):
        response_head(status, [], b"")


@pytest.mark.parametrize("character", [*map(chr, range(0x20)), "\x7f"])
def test_a_control_character_cannot_leave(character):
    with pytest.raises(ValueError, match="must be a token"):
        response_head("200 OK", [(f"X{character}Y", "v")], b"")
    if character != "\t":
        with pytest.raises(ValueError, match="control character in the value of header 'X'"):
            response_head("200 OK", [("X", f"a{character}b")], b"")
        with pytest.raises(ValueError, match="malformed status"):
            response_head(f"200 O{character}K", [], b"")


@pytest.mark.parametrize("name", ["", "X Y", "X:", "X\xe9", "X(", "\u0141"])
def test_a_name_that_is_no_token_raises(name):
    with pytest.raises(ValueError, match="must be a token"):
        response_head("200 OK", [(name, "v")], b"")


def test_a_str_of_two_characters_is_no_header():
    with pytest.raises(TypeError, match=r"must be a \(name, value\) tuple, not 'ab'"):
        response_head("200 OK", ["ab"], b"")


def test_a_value_outside_latin_1_raises():
    with pytest.raises(ValueError, match="latin-1"):
        response_head("200 OK", [("X", "\u0141")], b"")


@pytest.mark.parametrize("name", sorted(names.CONNECTION_FIELDS))
def test_a_header_of_the_connection_cannot_leave(name):
    headers = [("Content-Type", "text/plain"), (name.title(), "x")]
    with pytest.raises(ValueError, match="belongs to the connection"):
        response_head("200 OK", headers, b"")


def told(status, *headers):
    head = final_heads[(status, *headers)]
    return head.lines, head.length, head.notes, head.has_content


def test_the_head_of_a_final_response_is_checked_and_told():
    headers = [("X", "y"), ("content-LENGTH", " 003"), ("DATE", "now"), ("x", "z")]
    for _ in range(2):
        lines = b"HTTP/1.1 200 OK\r\nX: y\r\nDATE: now\r\nx: z\r\n"
        assert told("200 OK", *headers) == (lines, 3, HAS_DATE, True)
    line = b"HTTP/1.1 200 OK\r\n"
    assert told("200 OK", ("Server", "s")) == (line + b"Server: s\r\n", None, HAS_SERVER, True)
    assert told("200 OK", ("Server", "s"), ("date", "d"))[2] == HAS_DATE | HAS_SERVER
    assert told("200 OK") == (line, None, 0, True)


@pytest.mark.parametrize(("status", "has_content"), [("200 OK", True), ("204 ", False), ("304 X", False)])
def test_a_final_status_tells_whether_there_can_be_content(status, has_content):
    for _ in range(2):
        assert told(status) == (f"HTTP/1.1 {status}\r\n".encode(), None, 0, has_content)


def test_an_interim_status_is_not_final():
    with pytest.raises(ValueError, match="not a final one"):
        told("100 Continue")


@pytest.mark.parametrize("value", ["", "+3", "3, 3", "-1", "\u0663", "0" * 257])
def test_a_content_length_that_is_no_number_raises(value):
    with pytest.raises(ValueError, match="malformed Content-Length"):
        told("200 OK", ("Content-Length", value))


def test_a_repeated_content_length_raises():
    with pytest.raises(ValueError, match="repeated"):
        told("200 OK", ("Content-Length", "3"), ("content-length", "3"))


def test_a_head_is_read_once():
    assert final_heads["200 OK", ("X", "y")] is final_heads["200 OK", ("X", "y")]


@pytest.mark.parametrize(
    "header",
    [
        *((name.title(), "secret") for name in sorted(names.SECRET_RESPONSE_FIELDS)),
        ("Date", "now"),
        ("X", "y" * 300),
    ],
)
def test_a_head_is_not_kept_with_what_is_not_kept_itself(header):
    for _ in range(2):
        told("200 OK", ("A", "b"), header)
    assert not final_heads


@pytest.mark.parametrize("name", sorted(names.SECRET_RESPONSE_FIELDS))
def test_a_secret_is_not_kept(name):
    response_head("200 OK", [(name.title(), "secret"), ("X", "y")], b"")
    assert list(http1_response._header_lines) == [("X", "y")]


def test_the_caches_are_bounded_and_hold_nothing_long():
    size = http1_response._CACHE_SIZE
    for number in range(size + 1):
        response_head(f"200 {number}", [("X", str(number))], b"")
        length_line(number)
    assert list(http1_response._header_lines) == [("X", str(size))]
    line = b"HTTP/1.1 200 %d\r\n" % size
    assert http1_response._status_lines == {f"200 {size}": line}
    assert http1_response._length_lines == {size: b"Content-Length: %d\r\n" % size}
    long = "200 " + "a" * 300
    response_head(long, [("X", "y" * 300)], b"")
    assert len(http1_response._header_lines) == len(http1_response._status_lines) == 1


def test_the_heads_that_are_kept_are_bounded_and_not_large():
    size = http1_response._CACHED_HEADS
    for number in range(size + 1):
        told("200 OK", ("X", str(number)))
    assert list(final_heads) == [("200 OK", ("X", str(size)))]
    told("200 OK", *((f"X{number}", "y" * 200) for number in range(6)))
    assert len(final_heads) == 1


def test_a_length_line_is_made_once():
    assert length_line(7) == b"Content-Length: 7\r\n"
    assert length_line(7) is length_line(7)


def test_early_hints_are_an_interim_response():
    assert early_hints([("Link", "</a>; rel=preload")]) == (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
    )
    with pytest.raises(ValueError, match="control"):
        early_hints([("Link", "\n")])


def test_early_hints_have_no_length_whatever_the_response_will_have():
    hints = early_hints([("Link", "</a>"), ("Content-Length", "5"), ("X-A", "b")])
    assert hints == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-A: b\r\n\r\n"
    with pytest.raises(ValueError, match="Content-Length"):
        early_hints([("Content-Length", "five")])


def test_a_chunk_is_size_and_data_and_never_the_last_by_accident():
    assert chunk_start(26) + b"a" * 26 + CHUNK_END == b"1a\r\n" + b"a" * 26 + b"\r\n"
    assert LAST_CHUNK == b"0\r\n\r\n"


def test_ready_lines_end_as_lines_do():
    for line in (CONNECTION_CLOSE, CONNECTION_KEEP_ALIVE, TRANSFER_ENCODING_CHUNKED):
        assert line.endswith(b"\r\n")
    assert CONTINUE == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_a_refusal_is_told_plainly_and_closes():
    response = refusal_response(BAD_HOST, b"Date: now\r\n")
    assert response == (
        b"HTTP/1.1 400 Bad Request\r\nDate: now\r\nConnection: close\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 29\r\nCache-Control: no-store\r\n\r\n"
        b"The Host field is malformed.\n"
    )
    head, _, content = response.partition(b"\r\n\r\n")
    assert len(content) == 29
    assert refusal_response(BAD_HOST, b"Date: now\r\n", bodiless=True) == head + b"\r\n\r\n"
