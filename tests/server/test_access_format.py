"""A format is read once; its lines can be read back field by field, whatever was in the request."""

import json
import os
import re
import time
from types import SimpleNamespace

import pytest

from wsgix.server import access_format
from wsgix.server.access_format import (
    COMBINED_TEXT,
    FIELD_LIMIT,
    FormatError,
    common_time,
    escape,
    iso_time,
    read_format,
    refused,
    user_name,
)

TIME = "06/Nov/1994:08:49:37 +0000"
BASIC = {"HTTP_AUTHORIZATION": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nDate: today\r\nServer: wsgix\r\n\r\n"


def answered(line="GET /a/b?c=d HTTP/1.1", status="200 OK", size=12, head=HEAD, **environ):
    return SimpleNamespace(
        request_line=line, status_sent=status, content_sent=size, environ=environ, head_sent=head
    )


def line(text, response=None, seconds=1.2345678, client="192.0.2.7"):
    made = read_format(text).line(TIME, client, response or answered(), seconds)
    assert made.endswith("\n")
    return made[:-1]


# combined


def test_the_combined_format():
    response = answered(HTTP_REFERER="http://a/", HTTP_USER_AGENT="curl/8")
    assert line("combined", response) == (
        f'192.0.2.7 - - [{TIME}] "GET /a/b?c=d HTTP/1.1" 200 12 "http://a/" "curl/8"'
    )


def test_what_is_unknown_is_a_dash():
    response = answered("-", "400 Bad Request", 0)
    assert line("combined", response, client="") == f'- - - [{TIME}] "-" 400 - "-" "-"'


@pytest.mark.parametrize(
    "environ",
    [
        {},
        BASIC,
        {"REMOTE_USER": 'a b"c'},
        {"HTTP_REFERER": "http://\xe9/\n", "HTTP_USER_AGENT": "a\\b"},
        {"HTTP_REFERER": "", "HTTP_USER_AGENT": ""},
    ],
)
def test_the_combined_format_is_what_its_atoms_say(environ):
    response = answered(**environ)
    assert line("combined", response) + " " == line(COMBINED_TEXT + " ", response)
    assert read_format("combined") == read_format(COMBINED_TEXT)


def test_formats_say_whether_they_want_durations():
    assert not read_format("combined").timed
    assert not read_format("%(h)s").timed
    assert read_format("json").timed
    assert all(read_format(f"%({letter})s").timed for letter in "TMDL")


# Atoms


@pytest.mark.parametrize(
    ("atom", "field"),
    [
        ("h", "192.0.2.7"),
        ("l", "-"),
        ("u", "Aladdin"),
        ("t", f"[{TIME}]"),
        ("r", "GET /a/b?c=d HTTP/1.1"),
        ("m", "GET"),
        ("U", "/a/b"),
        ("q", "c=d"),
        ("H", "HTTP/1.1"),
        ("s", "200"),
        ("B", "12"),
        ("b", "12"),
        ("f", "http://a/"),
        ("a", "curl/8"),
        ("T", "1"),
        ("M", "1234"),
        ("D", "1234567"),
        ("L", "1.234568"),
        ("{X-Forwarded-For}i", "10.0.0.1"),
        ("{content-type}i", "text/plain"),
        ("{absent}i", "-"),
        ("{content-TYPE}o", "text/html"),
        ("{Server}o", "wsgix"),
        ("{X-Late}o", "-"),
        ("{wsgi.url_scheme}e", "http"),
        ("{absent}e", "-"),
    ],
)
def test_each_atom_of_gunicorn_has_its_field(atom, field):
    response = answered(
        **BASIC,
        HTTP_REFERER="http://a/",
        HTTP_USER_AGENT="curl/8",
        HTTP_X_FORWARDED_FOR="10.0.0.1",
        CONTENT_TYPE="text/plain",
        **{"wsgi.url_scheme": "http"},
    )
    assert line(f'"%({atom})s"', response) == f'"{field}"'


def test_the_process_has_its_field():
    assert line("%(p)s") == f"<{os.getpid()}>"


def test_a_response_without_content():
    assert line("%(B)s %(b)s", answered(size=0)) == "0 -"


def test_a_request_that_could_not_be_read_has_no_parts():
    assert line("%(m)s %(U)s %(q)s %(H)s", answered("-")) == "- -  -"


def test_a_response_may_have_no_head_or_not_this_header():
    assert line("%({server}o)s", answered(head=b"")) == "-"
    assert line("%({x-other}o)s") == "-"


def test_percent_signs_stand_for_themselves():
    assert line("%%(h)s 100%% %(h)s %%s") == "%(h)s 100% 192.0.2.7 %s"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("%(h)s %(x)s", "'%(x)s'"),
        ("%(hh)s", "'%(hh)s'"),
        ("%()s", "'%()s'"),
        ("%({a}x)s", "'%({a}x)s'"),
        ("%({}i)s", "'%({}i)s'"),
        ("%h", "'%h'"),
        ("%(h)d", "'%(h)d'"),
        ("%(h", "'%(h'"),
        ("100%", "'%'"),
    ],
)
def test_what_is_no_atom_is_named(text, named):
    with pytest.raises(FormatError, match=re.escape(f"there is no atom {named} (there are %(h)s, ")):
        read_format(text)


@pytest.mark.parametrize("text", ["", "%(h)s\n%(r)s", "%(h)s\x1b[0m"])
def test_a_format_is_one_printable_line(text):
    with pytest.raises(FormatError, match="must be one line of printable text"):
        read_format(text)


def test_a_format_may_have_tabs():
    assert line("%(h)s\t%(s)s") == "192.0.2.7\t200"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("%(a)s %(h)s", r"a\x20b|c;\x22\x5cx-"),
        ("%(h)s %(a)s", r"a\x20b|c;\x22\x5cx-"),
        ("%(h)s;%(a)s|%(h)s", r"a b\x7cc\x3b\x22\x5cx-"),
        ("%(a)s\u20ac%(h)s", r"a b|c;\x22\x5cx-"),
        ("%(a)sx%(h)s", r"a b|c;\x22\x5cx-"),
        ("%(a)s-%(h)s", r"a b|c;\x22\x5cx-"),
        ("%(a)s\t%(h)s", r"a b|c;\x22\x5cx-"),
        ("%(a)s", r"a b|c;\x22\x5cx-"),
        ('"%(a)s"', r"a b|c;\x22\x5cx-"),
        ('"%(h)s %(a)s"', r"a b|c;\x22\x5cx-"),
        ("%(a)s\\", r"a b|c;\x22\x5cx-"),
    ],
)
def test_no_field_contains_the_character_before_or_after_it(text, field):
    assert field in line(text, answered(HTTP_USER_AGENT='a b|c;"\\x-'))


# Users


@pytest.mark.parametrize(
    ("environ", "user"),
    [
        ({}, "-"),
        (BASIC, "Aladdin"),
        ({"HTTP_AUTHORIZATION": "bAsIc bmFtZQ=="}, "name"),
        ({"HTTP_AUTHORIZATION": "Basic OnNlY3JldA=="}, "-"),
        ({"HTTP_AUTHORIZATION": "Basic a"}, "-"),
        ({"HTTP_AUTHORIZATION": "Basic \xe9"}, "-"),
        ({"HTTP_AUTHORIZATION": "Bearer secret"}, "-"),
        ({"HTTP_AUTHORIZATION": None}, "-"),
        ({"REMOTE_USER": "ada", **BASIC}, "ada"),
        ({"REMOTE_USER": ""}, "-"),
    ],
)
def test_the_user_is_whom_the_request_names(environ, user):
    assert user_name(environ) == user
    assert "sesame" not in line("combined", answered(**environ))


# Refusals


def test_a_refusal_has_the_request_line_if_there_was_one():
    environ = {"REQUEST_METHOD": "PUT", "REQUEST_URI": "/x", "SERVER_PROTOCOL": "HTTP/1.1"}
    assert '"PUT /x HTTP/1.1" 413 9 ' in line("combined", refused(environ, "413 Content Too Large", 9))
    assert '"-" 400 9 ' in line("combined", refused({"SERVER_NAME": "a"}, "400 Bad Request", 9))
    assert line("%({server}o)s", refused({}, "400 Bad Request", 9)) == "-"


# json


def test_the_json_format():
    response = answered(HTTP_REFERER="http://a/", HTTP_USER_AGENT='cu"rl\xe9', **BASIC)
    response.environ["wsgix.request_id"] = "1a2b"
    assert json.loads(line("json", response), object_pairs_hook=list) == [
        ("time", TIME),
        ("client", "192.0.2.7"),
        ("method", "GET"),
        ("target", "/a/b?c=d"),
        ("protocol", "HTTP/1.1"),
        ("status", 200),
        ("bytes", 12),
        ("seconds", 1.234568),
        ("referer", "http://a/"),
        ("user_agent", 'cu"rl\xe9'),
        ("request_id", "1a2b"),
        ("user", "Aladdin"),
    ]


def test_json_without_a_request():
    value = json.loads(line("json", answered("-", "400 Bad Request", 0), client=""))
    assert [value[key] for key in ("client", "method", "target", "protocol")] == ["-"] * 4
    assert not {"referer", "user_agent", "request_id", "user"} & value.keys()


def test_json_with_what_an_application_put_into_its_environ():
    assert json.loads(line("json", answered(HTTP_REFERER=7)))["referer"] == "7"


# Limits and escapes


@pytest.mark.parametrize("text", ["a" * 10_000, "\xe9" * 10_000, "a\xe9" * 10_000, "a" + "\xe9" * 10_000])
def test_a_field_is_cut_at_8_kib(text):
    escaped = escape(text)
    assert FIELD_LIMIT - 4 < len(escaped) <= FIELD_LIMIT
    assert re.fullmatch(r"(?:a|\\xe9)+", escaped)
    quoted = re.search(r'"user_agent": ("[^"]*")', line("json", answered(HTTP_USER_AGENT=text)))[1]
    assert len(quoted) <= FIELD_LIMIT
    assert text.startswith(json.loads(quoted))


def test_a_field_just_within_the_limit_is_whole():
    assert escape("a" * FIELD_LIMIT) == "a" * FIELD_LIMIT
    assert escape("\xe9" * (FIELD_LIMIT // 4)) == r"\xe9" * (FIELD_LIMIT // 4)
    assert len(json.loads(line("json", answered(HTTP_REFERER="a" * 1000)))["referer"]) == 1000


def test_characters_beyond_latin_1_are_escaped_too():
    assert escape("\u20ac\ud800") == r"\x5cu20ac\x5cud800"


def test_user_agents_are_remembered_but_not_without_end(monkeypatch):
    monkeypatch.setattr(access_format, "_known_agents", known := {})
    monkeypatch.setattr(access_format, "_KNOWN_AGENTS", 2)
    for agent in ["one", "two\n", "two\n", "three", "x" * 10_000, ["unhashable"], 7]:
        assert line('"%(a)s"', answered(HTTP_USER_AGENT=agent)) == f'"{escape(agent)}"'
    assert known == {"three": "three"}


# Times


@pytest.mark.parametrize(
    ("offset", "common", "iso"),
    [
        (0, "06/Nov/1994:08:49:37 +0000", "1994-11-06T08:49:37+00:00"),
        (19_800, "06/Nov/1994:08:49:37 +0530", "1994-11-06T08:49:37+05:30"),
        (-12_600, "06/Nov/1994:08:49:37 -0330", "1994-11-06T08:49:37-03:30"),
    ],
)
def test_times_are_written_with_their_offset(offset, common, iso):
    local = time.struct_time((1994, 11, 6, 8, 49, 37, 6, 310, 0), {"tm_gmtoff": offset, "tm_zone": "?"})
    assert common_time(local) == common
    assert iso_time(local) == iso
