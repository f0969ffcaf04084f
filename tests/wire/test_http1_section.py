"""The reader of header sections: what it remembers of the last one makes no difference but speed."""

import pytest

from tests.wire.heads import FIELDS, GET, HOST, PLAIN, TEMPLATE, known_reader, read
from wsgix.core.framing import CLOSE, KEEP
from wsgix.facts.refusals import (
    BAD_CODING,
    BAD_FIELD_VALUE,
    BAD_HOST,
    BAD_PATH,
    BARE_LF,
    BODY_TOO_LARGE,
    NO_COLON,
    NO_HOST,
    REPEATED_FIELD,
    UNKNOWN_EXPECTATION,
)
from wsgix.wire import http1_section
from wsgix.wire.http1 import RequestReader
from wsgix.wire.limits import Limits


@pytest.fixture(autouse=True)
def no_names_known():
    http1_section._keys.clear()


def test_only_the_lines_that_differ_from_the_last_request_are_read(monkeypatch):
    reader = known_reader(GET + FIELDS + b"\r\n")
    monkeypatch.setattr(RequestReader, "_walk", None)
    monkeypatch.setattr(RequestReader, "_read_block", None)
    for value in (b"2", b"2", b"\xa0 a\tb", b"", b"4"):
        head = GET + FIELDS.replace(b"X-Y: 1", b"X-Y: \t" + value + b" ") + b"\r\n"
        environ = reader.read(head, 0, TEMPLATE)
        assert environ["HTTP_X_Y"] == value.decode("latin-1")
        assert (environ["HTTP_HOST"], environ["SCRIPT_NAME"]) == ("a", "/s")
        assert reader.read(head, 0, TEMPLATE) == environ


def test_what_follows_from_a_line_that_differs_is_decided_anew():
    section = b"Host: a\r\nContent-Length: %d\r\nConnection: %b\r\n\r\n"
    reader = known_reader(b"POST / HTTP/1.1\r\n" + section % (3, b"close"))
    for length, connection, wish in (
        (3, b"keep-alive", KEEP),
        (5, b"keep-alive", KEEP),
        (7, b"close", CLOSE),
    ):
        environ = reader.read(b"POST / HTTP/1.1\r\n" + section % (length, connection), 0, TEMPLATE)
        assert (reader.framing, reader.wish) == (length, wish)
        assert environ["CONTENT_LENGTH"] == str(length)


def test_a_length_that_differs_and_is_too_much_is_refused():
    reader = RequestReader(Limits(body=9))
    head = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n"
    for size in (5, 7, 9):
        assert reader.read(head % size, 0, TEMPLATE)["CONTENT_LENGTH"] == str(size)
    assert reader.read(head % 10, 0, TEMPLATE) == BODY_TOO_LARGE


def section(**values):
    """Write field lines, of which A to J may have other values than usual."""
    return HOST + b"".join(b"%c: %b\r\n" % (name, values.get(chr(name), b"v")) for name in b"ABCDEFGHIJ")


def reader_of_varying(*names):
    """Return a reader for which the values of *names* have varied."""
    reader = known_reader(GET + section() + b"\r\n")
    reader.read(GET + section(**dict.fromkeys(names, b"w")) + b"\r\n", 0, TEMPLATE)
    return reader


@pytest.mark.parametrize("names", ["A", "J", "AB", "CEG", "IJ", "ABCDEFGH"])
def test_where_values_have_varied_only_they_are_read(monkeypatch, names):
    reader = reader_of_varying(*names)
    for way in ("_walk", "_read_block", "_reread"):
        monkeypatch.setattr(RequestReader, way, None)
    for value in (b"", b"w", b"\xa0 a:\tb", b"x" * 100):
        for follows in (b"", PLAIN):
            fields = section(**dict.fromkeys(names, b"\t " + value + b" "))
            environ = reader.read(GET + fields + b"\r\n" + follows, 0, TEMPLATE)
            assert {environ[f"HTTP_{name}"] for name in names} == {value.decode("latin-1")}
            assert {environ[f"HTTP_{name}"] for name in set("ABCDEFGHIJ") - {*names}} == {"v"}


@pytest.mark.parametrize(
    "fields",
    [
        section(),
        section(C=b"x"),
        section(C=b"x", E=b"y"),
        section(B=b"x"),
        section(C=b"x", J=b"y"),
        section(A=b"1", B=b"2", C=b"3", D=b"4", E=b"5", F=b"6", G=b"7", H=b"8", I=b"9"),
        section(C=b"x", E=b"v\r\nNew: 1"),
        section(C=b"x") + b"New: 1\r\n",
        section(C=b"x\r\nD: v").replace(b"D: v\r\nD: v", b"D: v"),
        section().replace(b"E: ", b"F: "),
        section().replace(b"C: v\r\n", b""),
        section(C=b"x\ry"),
        section(C=b"x\ny"),
        section(C=b"x", E=b"\x7f"),
        HOST,
    ],
)
def test_whatever_comes_where_values_have_varied_is_read_as_by_another_reader(fields):
    head = GET + fields + b"\r\n"
    assert reader_of_varying("C", "E").read(head, 0, TEMPLATE) == read(head)
    both = reader_of_varying("C", "E")
    if isinstance(both.read(head, 0, TEMPLATE), dict):
        for other in (section(C=b"1"), section(C=b"1", E=b"2"), section(), section(B=b"3"), fields):
            again = GET + other + b"\r\n"
            assert both.read(again, 0, TEMPLATE) == read(again)


def test_where_values_that_decide_have_varied_it_is_decided_anew(monkeypatch):
    lines = b"Host: %b\r\nContent-Length: %d\r\nConnection: %b\r\n\r\n"
    post = b"POST / HTTP/1.1\r\n"
    reader = known_reader(post + lines % (b"a", 3, b"close"))
    reader.read(post + lines % (b"b", 4, b"keep-alive"), 0, TEMPLATE)
    with monkeypatch.context() as patches:
        patches.setattr(RequestReader, "_reread", None)
        for length, connection, wish in ((5, b"close", CLOSE), (7, b"keep-alive", KEEP)):
            environ = reader.read(post + lines % (b"c:80", length, connection), 0, TEMPLATE)
            assert (reader.framing, reader.wish) == (length, wish)
            assert (environ["HTTP_HOST"], environ["CONTENT_LENGTH"]) == ("c:80", str(length))
    assert reader.read(post + lines % (b"a b", 5, b"close"), 0, TEMPLATE) == BAD_HOST


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        (b"X-Y 2", NO_COLON),
        (b"X-Y", NO_COLON),
        (b"X-Y: \x01", BAD_FIELD_VALUE),
        (b"X-Y: 2\rZ: 3", BAD_FIELD_VALUE),
        (b"X-Y: 2\nZ: 3", BARE_LF),
        (b"Host: b", REPEATED_FIELD),
    ],
)
def test_a_fault_in_a_line_that_differs_is_found(line, refusal):
    reader = known_reader(GET + FIELDS + b"\r\n")
    assert reader.read(GET + FIELDS.replace(b"X-Y: 1", line) + b"\r\n", 0, TEMPLATE) == refusal


def test_a_host_that_differs_and_is_none_is_refused():
    reader = known_reader(GET + FIELDS + b"\r\n")
    assert reader.read(GET + FIELDS.replace(b"Host: a", b"Host: a b") + b"\r\n", 0, TEMPLATE) == BAD_HOST


def test_a_section_with_other_names_is_read_on_its_own():
    reader = known_reader(GET + FIELDS + b"\r\n")
    for fields in (FIELDS.replace(b"X-Y", b"X-Z"), FIELDS + b"New: 1\r\n", FIELDS):
        head = GET + fields + b"\r\n"
        assert reader.read(head, 0, TEMPLATE) == read(head)


def test_a_remembered_section_does_not_stand_for_another_version():
    reader = known_reader(b"GET / HTTP/1.0\r\n\r\n")
    assert reader.read(b"GET / HTTP/1.1\r\n\r\n", 0, TEMPLATE) == NO_HOST


def test_a_remembered_section_keeps_framing_and_wish():
    section = b"Host: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
    reader = known_reader(b"POST / HTTP/1.1\r\n" + section)
    reader.read(b"POST /b HTTP/1.1\r\n" + section, 0, TEMPLATE)
    assert (reader.framing, reader.wish) == (3, CLOSE)


def test_the_names_known_to_all_connections_are_bounded():
    for number in range(http1_section._KEYS_SIZE // 50 + 1):
        fields = b"".join(b"X-%d-%d: v\r\n" % (number, n) for n in range(50))
        assert isinstance(read(GET + HOST + fields + b"\r\n"), dict)
    assert len(http1_section._keys) <= http1_section._KEYS_SIZE
    http1_section._keys.clear()
    assert isinstance(read(GET + HOST + b"X" * 100 + b": v\r\n\r\n"), dict)
    assert list(http1_section._keys) == ["Host"]


def test_names_seen_once_take_the_short_cut_and_give_the_same(monkeypatch):
    head = GET + FIELDS + b"\r\n"
    walked = read(head)
    monkeypatch.setattr(RequestReader, "_walk", None)
    assert read(head) == walked
    assert list(read(head)) == list(walked)


def test_the_header_section_of_the_last_request_is_remembered_on_its_connection(monkeypatch):
    reader = known_reader(GET + FIELDS + b"\r\n")
    monkeypatch.setattr(RequestReader, "_walk", None)
    monkeypatch.setattr(RequestReader, "_read_block", None)
    for path in (b"/b", b"/c?d"):
        environ = reader.read(b"PUT " + path + b" HTTP/1.1\r\n" + FIELDS + b"\r\n", 0, TEMPLATE)
        assert environ["RAW_URI"] == path.decode()
        assert environ["HTTP_X_Y"] == "1"
        assert environ["SCRIPT_NAME"] == "/s"


def test_unusual_heads_are_read_though_their_names_are_known():
    known_reader(GET + HOST + b"X: 1\r\nY: 2\r\nCookie: a\r\n\r\n")
    assert read(GET + HOST + b"X: 1\r\nX: 2\r\n\r\n")["HTTP_X"] == "1,2"
    assert read(GET + HOST + b"Cookie: a\r\nCookie: b\r\n\r\n")["HTTP_COOKIE"] == "a; b"
    assert read(GET + HOST + b"Proxy: e\r\nX: 1\r\n\r\n")["HTTP_X"] == "1"
    assert "HTTP_PROXY" not in read(GET + HOST + b"Proxy: e\r\n\r\n")


@pytest.mark.parametrize(
    ("head", "refusal"),
    [
        (GET + HOST + b"X\r\n\r\n", NO_COLON),
        (GET + HOST + b"X: \x01\r\n\r\n", BAD_FIELD_VALUE),
        (GET + HOST + b"X: 1\nY: 2\r\n\r\n", BARE_LF),
        (GET + HOST + HOST + b"\r\n", REPEATED_FIELD),
        (GET + b"Host: a b\r\n\r\n", BAD_HOST),
        (GET + HOST + b"Transfer-Encoding: ,chunked\r\n\r\n", BAD_CODING),
        (GET + HOST + b"Expect: x\r\n\r\n", UNKNOWN_EXPECTATION),
        (b"GET /{ HTTP/1.1\r\n" + HOST + b"\r\n", BAD_PATH),
        (b"\n" + PLAIN, BARE_LF),
    ],
)
def test_a_fault_is_found_though_all_names_are_known(head, refusal):
    known_reader(GET + HOST + b"X: 1\r\nY: 2\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
    assert read(head) == refusal
