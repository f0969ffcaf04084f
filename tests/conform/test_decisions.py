"""The decisions on single values, by table."""

import sys

import pytest

from wsgix.conform import decisions
from wsgix.conform.rule import Level


def table(function, *rows):
    return pytest.mark.parametrize(
        ("value", "expected"), rows, ids=[f"{function}-{number}" for number, _ in enumerate(rows)]
    )


class Lying:
    """A proxy that passes for text."""

    __class__ = str


class Unbound:
    @property
    def __class__(self):
        raise RuntimeError


class ByIndex:
    def __getitem__(self, index):
        raise IndexError


class Inherited(ByIndex):
    pass


class Closed(ByIndex):
    __iter__ = None


@table(
    "is_token",
    ("X", True),
    ("a-b_c.1", True),
    ("", False),
    ("a:", False),
    ("a b", False),
    ("\xe4", False),
    ("a\n", False),
)
def test_a_field_name_is_a_token(value, expected):
    assert decisions.is_token(value) is expected


@table(
    "ending", ("a", False), ("9", False), ("a-", True), ("a_", True), ("a.", True), ("", True), ("\xe4", True)
)
def test_a_field_name_may_end_in_punctuation(value, expected):
    assert decisions.ends_in_punctuation(value) is expected


@table(
    "control",
    ("", ""),
    ("a b~", ""),
    ("a\tb", "\t"),
    ("\x7f", "\x7f"),
    ("\x80\x9f\xa0\xad", ""),
    ("a\r\n", "\r"),
    ("\u2028", ""),
)
def test_the_first_control_character_is_found(value, expected):
    assert decisions.control_in(value) == expected


@table(
    "status",
    ("200 OK", True),
    ("200 a", True),
    ("200 a  b", True),
    ("200", False),
    ("200 ", False),
    ("200  a", False),
    ("200 a ", False),
    ("20a x", False),
    ("\u0662\u0660\u0660 a", False),
)
def test_a_status_has_its_shape(value, expected):
    assert decisions.is_status(value) is expected


@table(
    "code",
    ("100", True),
    ("599", True),
    ("099", False),
    ("600", False),
    ("", False),
    ("2", False),
    ("2x0", False),
    ("\u0662\u0660\u0660", False),
)
def test_a_status_code_is_in_its_range(value, expected):
    assert decisions.is_status_code(value) is expected


@table("content", ("200", True), ("204", False), ("205", False), ("304", False), ("101", False), ("", True))
def test_a_status_tells_whether_there_may_be_content(value, expected):
    assert decisions.may_have_content(value) is expected


@table("type", ("200", True), ("404", True), ("304", False), ("302", False), ("204", False), ("", True))
def test_a_status_tells_whether_the_standard_library_wants_a_type(value, expected):
    assert decisions.asks_for_type(value) is expected


@table(
    "length",
    ("0", 0),
    ("007", 7),
    ("9" * 18, int("9" * 18)),
    ("9" * 19, None),
    ("", None),
    ("+1", None),
    (" 1", None),
    ("1_0", None),
    ("\u0661", None),
    (5, None),
    (None, None),
    (b"5", None),
)
def test_a_content_length_is_digits(value, expected):
    assert decisions.content_length(value) == expected


@table("latin", ("", ""), ("abc", ""), ("\x00\xff", ""), ("a\u0100\u0200", "\u0100"), ("\ud800", "\ud800"))
def test_the_first_character_beyond_latin_1_is_found(value, expected):
    assert decisions.beyond_latin_1(value) == expected


@table(
    "iterable",
    ([], True),
    ("", True),
    ({}, True),
    (iter(()), True),
    (ByIndex(), True),
    (Inherited(), True),
    (Closed(), False),
    (None, False),
    (7, False),
    (len, False),
    (Unbound(), False),
    (Level.MUST, False),
)
def test_what_can_be_iterated_over_is_told_by_its_type(value, expected):
    assert decisions.is_iterable(value) is expected


@table(
    "size",
    (b"12", 2),
    (bytearray(b"12"), 2),
    (memoryview(b"12"), 2),
    ("12", 2),
    (7, 0),
    (None, 0),
    ([1, 2], 0),
    (Lying(), 0),
    (Unbound(), 0),
)
def test_a_block_of_the_wrong_type_has_the_size_that_it_would_have(value, expected):
    assert decisions.size_of(value) == expected


@table(
    "bare",
    ("", True),
    (b"", True),
    (type("Text", (str,), {})(), True),
    (bytearray(), False),
    ([], False),
    (Lying(), False),
    (Unbound(), False),
)
def test_text_and_bytes_are_bare_strings(value, expected):
    assert decisions.is_bare_string(value) is expected


def caught():
    try:
        raise LookupError
    except LookupError:
        return sys.exc_info()


@pytest.mark.parametrize(
    ("exc_info", "expected"),
    [
        (caught(), ""),
        (sys.exc_info(), ""),
        ((Exception, *caught()[1:]), ""),
        ((LookupError, LookupError(), None), ""),
        ((LookupError, caught()[1], None), "ends with None, no traceback"),
        ((LookupError, LookupError(), 1), "ends with 1, no traceback"),
        ((LookupError, 1, None), "has 1 in its middle, no instance of LookupError"),
        ((LookupError, None, None), "has None in its middle, no instance of LookupError"),
        ((None, LookupError(), None), "begins with None, no class of exceptions"),
        ((int, 1, None), "begins with <class 'int'>, no class of exceptions"),
        ((), "has 0 items"),
        (list(caught()), "is a list"),
        (True, "is a bool"),
    ],
)
def test_what_keeps_a_value_from_being_exc_info_is_told(exc_info, expected):
    assert decisions.exc_info_fault(exc_info) == expected


class Evasive(list):
    __slots__ = ()

    def __iter__(self):
        raise LookupError


@table(
    "items",
    ([1, 2], (1, 2)),
    ((1, 2), (1, 2)),
    (Evasive([1, 2]), (1, 2)),
    ([], ()),
    ("ab", None),
    ({1: 2}, None),
    (iter([1]), None),
    (Unbound(), None),
)
def test_the_items_of_a_list_or_tuple_are_what_it_holds(value, expected):
    assert decisions.items_of(value) == expected
