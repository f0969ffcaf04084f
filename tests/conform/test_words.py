"""How values are told, those too that do not want to be."""

import pytest

from wsgix.conform.words import said, shown, shown_short


class Unprintable:
    def __repr__(self):
        raise KeyError("repr")


@pytest.mark.parametrize("value", [None, "text", [1, 2], {"a": b"b"}])
def test_a_value_is_shown_as_python_shows_it(value):
    assert shown(value) == shown_short(value) == repr(value)


def test_a_long_value_is_cut():
    assert len(shown("x" * 1000)) == 1002
    assert len(shown_short("x" * 1000)) < 50


@pytest.mark.parametrize("show", [shown, shown_short])
def test_a_value_that_cannot_be_printed_is_told_by_its_type(show):
    assert show(Unprintable()).startswith(
        (f"<{__name__}.Unprintable object at 0x", "<Unprintable instance at 0x")
    )


def test_a_value_that_only_has_the_name_of_a_list_is_told_by_its_type():
    imposter = type("list", (), {"__module__": "elsewhere"})

    assert shown_short(imposter()).startswith("<elsewhere.l")


def test_what_an_exception_says_stands_in_one_line():
    assert said(ValueError("one\n  two")) == "one two"


def test_an_exception_that_does_not_want_to_be_printed_says_nothing():
    class Mute(Exception):
        def __str__(self):
            raise KeyError("str")

    assert said(Mute()) == ""
