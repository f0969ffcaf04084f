"""The grammar of field lines, and what becomes of fields."""

import pytest

from wsgix.facts.refusals import (
    BAD_FIELD_NAME,
    BAD_FIELD_VALUE,
    BAD_HOST,
    BARE_LF,
    FIELDS_TOO_LARGE,
    NO_COLON,
    NO_HOST,
    OBS_FOLD,
    REPEATED_FIELD,
    UNDERSCORE,
)
from wsgix.wire.fields import Laxity, cgi_key, cgi_variables, check_host, parse_field_line, read_fields
from wsgix.wire.limits import Limits

HOST = b"Host: a\r\n"


@pytest.mark.parametrize(
    ("line", "result"),
    [
        (b"X: v", ("X", "v")),
        (b"X:v", ("X", "v")),
        (b"X:", ("X", "")),
        (b"X: \t v \t ", ("X", "v")),
        (b"X: a:b", ("X", "a:b")),
        (b"X: \xa0v\x85", ("X", "\xa0v\x85")),
        (b" X: v", OBS_FOLD),
        (b"\tX: v", OBS_FOLD),
        (b" ", OBS_FOLD),
        (b"X", NO_COLON),
        (b"X v", NO_COLON),
        (b"", NO_COLON),
        (b": v", BAD_FIELD_NAME),
        (b"X : v", BAD_FIELD_NAME),
        (b"X\x80: v", BAD_FIELD_NAME),
        (b"X\r: v", BAD_FIELD_NAME),
        (b"X: a\0b", BAD_FIELD_VALUE),
        (b"X: \x0b", BAD_FIELD_VALUE),
        (b"X: a\r", BAD_FIELD_VALUE),
        (b"X: \x7f", BAD_FIELD_VALUE),
    ],
)
def test_a_field_line_is_a_token_a_colon_and_a_value(line, result):
    assert parse_field_line(line) == result


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("User-Agent", "HTTP_USER_AGENT"),
        ("x", "HTTP_X"),
        ("CONTENT-length", "CONTENT_LENGTH"),
        ("content-TYPE", "CONTENT_TYPE"),
        ("X_Y", None),
        ("Proxy", None),
        ("PROXY", None),
        ("Proxy-Authorization", "HTTP_PROXY_AUTHORIZATION"),
    ],
)
def test_a_field_has_one_cgi_variable_or_none(name, key):
    assert cgi_key(name) == key


def test_repeated_fields_are_joined_by_what_their_grammar_wants():
    pairs = [("X", "1"), ("Cookie", "a=1"), ("x", "2"), ("cookie", "b=2"), ("Y_Z", "3")]
    assert cgi_variables(pairs, refuse_underscores=False) == {"HTTP_X": "1,2", "HTTP_COOKIE": "a=1; b=2"}


def test_a_name_with_an_underscore_is_refused_if_so_wished():
    assert cgi_variables([("X_Y", "1")], refuse_underscores=True) == UNDERSCORE
    assert cgi_variables([("X-Y", "1")], refuse_underscores=True) == {"HTTP_X_Y": "1"}


@pytest.mark.parametrize("name", ["Host", "Content-Length", "content-type"])
def test_a_field_that_frames_or_routes_stands_once(name):
    assert cgi_variables([(name, "1"), (name.upper(), "1")], refuse_underscores=False) == REPEATED_FIELD


@pytest.mark.parametrize(
    ("version", "host", "verdict"),
    [
        ("HTTP/1.1", "a", None),
        ("HTTP/1.1", None, NO_HOST),
        ("HTTP/1.2", None, NO_HOST),
        ("HTTP/1.0", None, None),
        ("HTTP/1.1", "", BAD_HOST),
        ("HTTP/1.0", "a b", BAD_HOST),
    ],
)
def test_host_is_there_in_1_1_and_well_formed_always(version, host, verdict):
    assert check_host(version, host) == verdict


def test_host_may_lack_where_the_caller_says_so_but_not_be_malformed():
    assert check_host("HTTP/1.1", None, may_lack=True) is None
    assert check_host("HTTP/1.1", "", may_lack=True) is BAD_HOST


@pytest.mark.parametrize("end", [[], [b"\r\n"], [b"\r\n", b"never read"]])
def test_a_section_gives_its_pairs_in_order(end):
    pairs = read_fields([HOST, b"B: 2 \r\n", b"b: 1\r\n", *end], "HTTP/1.1")
    assert pairs == [("Host", "a"), ("B", "2"), ("b", "1")]


@pytest.mark.parametrize(
    ("lines", "refusal"),
    [
        ([b"Host: a\n"], BARE_LF),
        ([HOST, b"\n"], BARE_LF),
        ([HOST, b"X: cut"], BARE_LF),
        ([HOST, b" X: v\r\n"], OBS_FOLD),
        ([HOST, b"X\r\n"], NO_COLON),
        ([HOST, b"X: a\rb\r\n"], BAD_FIELD_VALUE),
        ([HOST, HOST], REPEATED_FIELD),
        ([HOST, b"Content-Length: 5\r\n", b"content-length: 5\r\n"], REPEATED_FIELD),
        ([b"X: v\r\n"], NO_HOST),
        ([b"Host: a/b\r\n"], BAD_HOST),
    ],
)
def test_a_section_is_refused_strictly_by_default(lines, refusal):
    assert read_fields(lines, "HTTP/1.1") == refusal


def test_lf_may_end_a_line_where_the_caller_says_so():
    assert read_fields([b"Host: a\n", b"X: v\r\n", b"\n"], "HTTP/1.1", Laxity.BARE_LF) == [
        ("Host", "a"),
        ("X", "v"),
    ]
    assert read_fields([b"Host: a\n", b"X: v\r\r\n"], "HTTP/1.1", Laxity.BARE_LF) == BAD_FIELD_VALUE
    assert read_fields([b"Host: a"], "HTTP/1.1", Laxity.BARE_LF) == BARE_LF


def test_a_fold_becomes_one_space_where_the_caller_says_so():
    lines = [HOST, b"X: a\r\n", b" \t b \r\n", b"\tc\r\n"]
    assert read_fields(lines, "HTTP/1.1", Laxity.OBS_FOLD) == [("Host", "a"), ("X", "a b c")]


def test_a_fold_cannot_come_first():
    assert read_fields([b" X: a\r\n", HOST], "HTTP/1.1", Laxity.OBS_FOLD) == OBS_FOLD


def test_host_may_lack_in_a_section_where_the_caller_says_so():
    assert read_fields([b"X: v\r\n"], "HTTP/1.1", Laxity.NO_HOST) == [("X", "v")]
    assert read_fields([b"X: v\r\n"], "HTTP/1.0") == [("X", "v")]


@pytest.mark.parametrize("lax", [Laxity.NONE, Laxity.OBS_FOLD])
def test_a_section_keeps_its_limits(lax):
    limits = Limits(field=10, fields=2)
    assert read_fields([HOST, b"X: 1234567\r\n"], "HTTP/1.1", lax, limits) == [
        ("Host", "a"),
        ("X", "1234567"),
    ]
    assert read_fields([HOST, b"X: 12345678\r\n"], "HTTP/1.1", lax, limits) == FIELDS_TOO_LARGE
    assert read_fields([HOST, b"X: 1\r\n", b"Y: 2\r\n"], "HTTP/1.1", lax, limits) == FIELDS_TOO_LARGE


def test_a_folded_field_is_measured_as_a_whole():
    limits = Limits(field=10)
    folded = [HOST, b"X: 1\r\n", b" 2345\r\n", b" 6\r\n"]
    assert read_fields(folded, "HTTP/1.1", Laxity.OBS_FOLD, limits) == FIELDS_TOO_LARGE
