"""Whatever is in a request, a line of the access log is one line, and reads back field by field."""

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from wsgix.server.access_format import COMBINED_TEXT, FIELD_LIMIT, Refused, escape, read_format

LINE = re.compile(r'(\S+) - (\S+) \[([^]"]+)\] "([^"]*)" (\d{3}) (\d+|-) "([^"]*)" "([^"]*)"\n')
TIME = "06/Nov/1994:08:49:37 +0000"

wire_text = st.text(st.characters(min_codepoint=0, max_codepoint=255))
any_text = st.text() | st.text(st.characters(categories=["Cs", "Cc", "Zl", "Zp"]))
values = any_text | st.binary() | st.none() | st.integers()
environs = st.dictionaries(
    st.sampled_from(["HTTP_REFERER", "HTTP_USER_AGENT", "HTTP_AUTHORIZATION", "REMOTE_USER", "HTTP_X"]),
    values,
)


def unescaped(field):
    return re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), field)


@given(line=wire_text, referer=wire_text, agent=wire_text)
def test_the_fields_of_the_combined_format_read_back(line, referer, agent):
    environ = {"HTTP_REFERER": referer, "HTTP_USER_AGENT": agent}
    text = read_format("combined").line(TIME, "192.0.2.7", Refused(line, "200 OK", 1, environ), 0.0)
    match = LINE.fullmatch(text)
    assert text.isascii()
    assert [unescaped(match[number]) for number in (4, 7, 8)] == [line, referer, agent]


@given(line=any_text, environ=environs)
def test_any_environ_makes_one_line_in_the_combined_format(line, environ):
    answered = Refused(line, "200 OK", 1, environ)
    text = read_format("combined").line(TIME, "192.0.2.7", answered, 0.0)
    assert LINE.fullmatch(text)
    assert text[:-1].isascii()
    assert text[:-1].isprintable()
    # The trailing space makes it another format, which is read atom by atom.
    assert text[:-1] == read_format(COMBINED_TEXT + " ").line(TIME, "192.0.2.7", answered, 0.0)[:-2]


@given(line=any_text, environ=environs, seconds=st.floats(0, 1e6))
def test_any_environ_makes_one_object_in_json(line, environ, seconds):
    text = read_format("json").line(TIME, "", Refused(line, "404 Not Found", 0, environ), seconds)
    pairs = json.loads(text, object_pairs_hook=list)
    assert len(dict(pairs)) == len(pairs)
    assert text[:-1].isascii()
    assert text[:-1].isprintable()


@given(line=any_text, environ=environs)
def test_fields_between_separators_stay_apart(line, environ):
    atoms = "%(h)s|%(u)s|%(m)s|%(U)s|%(q)s|%(H)s|%(f)s|%(a)s|%({x}i)s|%({x}o)s|%({HTTP_X}e)s"
    text = read_format(atoms).line(TIME, "c", Refused(line, "200 OK", 1, environ), 0.0)
    assert text[:-1].isascii()
    assert text[:-1].isprintable()
    assert text.count("|") == atoms.count("|")


@given(wire_text)
def test_escaping_can_be_undone_and_leaves_plain_text_alone(text):
    escaped = escape(text)
    assert escaped.isascii()
    assert '"' not in escaped
    assert unescaped(escaped) == text
    if text.isascii() and text.isprintable() and not set(text) & {'"', "\\"}:
        assert escaped == text


@given(st.text(st.sampled_from('a"\xe9'), min_size=FIELD_LIMIT // 4 - 2, max_size=FIELD_LIMIT))
def test_a_long_field_is_cut_between_two_characters(text):
    escaped = escape(text)
    assert len(escaped) <= FIELD_LIMIT
    assert text.startswith(unescaped(escaped))
