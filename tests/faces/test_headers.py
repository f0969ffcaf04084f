"""`wsgix.headers`: a mapping over a list of pairs that no control character enters."""

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

from wsgix import headers
from wsgix.headers import Headers

SOURCE = Path(headers.__file__).parents[1]
FORBIDDEN_IN_NAMES = [chr(code) for code in (*range(0x20), 0x7F)]
FORBIDDEN_IN_VALUES = [character for character in FORBIDDEN_IN_NAMES if character != "\t"]


class Text(str):
    """Text that is not exactly `str`."""

    __slots__ = ()


def test_the_examples_in_the_docstrings_hold():
    failed, tried = doctest.testmod(headers)
    assert (failed, tried > 0) == (0, True)


# The wrapped list


def test_headers_are_empty_by_default_and_each_has_its_own_list():
    first, second = Headers(), Headers(None)
    first["a"] = "b"

    assert first.items() == [("a", "b")]
    assert second.items() == []


def test_the_given_list_is_wrapped_and_not_copied():
    pairs = [("A", "1")]
    wrapper = Headers(pairs)
    wrapper["B"] = "2"
    wrapper.add_header("C", "3")
    del wrapper["a"]

    assert pairs == [("B", "2"), ("C", "3")]
    pairs.append(("D", "4"))
    assert wrapper["d"] == "4"


@pytest.mark.parametrize("not_a_list", ["foo", (), {}, iter([]), type("List", (list,), {})(), 0, False])
def test_only_an_exact_list_is_wrapped(not_a_list):
    with pytest.raises(TypeError, match=r"^Headers must be a list of name/value tuples$"):
        Headers(not_a_list)


@pytest.mark.parametrize("pairs", [[("a",)], [("a", "b", "c")]])
def test_the_list_holds_pairs(pairs):
    with pytest.raises(ValueError, match="values to unpack"):
        Headers(pairs)


# What may be stored

SETTERS = {
    "construction": lambda name, value: Headers([("x", "y"), (name, value)]),
    "setting": lambda name, value: Headers().__setitem__(name, value),
    "setdefault": lambda name, value: Headers().setdefault(name, value),
    "add_header": lambda name, value: Headers().add_header(name, value),
}
setters = pytest.mark.parametrize("store", SETTERS.values(), ids=SETTERS.keys())


@setters
@pytest.mark.parametrize("wrong", [b"bytes", 1, Text("text"), ["list"], ("tu", "ple")])
def test_names_and_values_are_exactly_str(store, wrong):
    with pytest.raises(AssertionError) as caught:
        store("name", wrong)
    assert str(caught.value) == f"Header names/values must be of type str (got {wrong!r})"
    with pytest.raises(AssertionError, match="Header names/values must be of type str"):
        store(wrong, "value")


@setters
@pytest.mark.parametrize("character", FORBIDDEN_IN_NAMES, ids=ascii)
def test_no_control_character_enters_a_name(store, character):
    for name in (character, "X-A" + character, character + "X-A", "X" + character + "\xa0A"):
        with pytest.raises(ValueError, match=r"^Control characters not allowed in headers$"):
            store(name, "value")


@setters
@pytest.mark.parametrize("character", FORBIDDEN_IN_VALUES, ids=ascii)
def test_no_control_character_but_the_tab_enters_a_value(store, character):
    for value in (character, "v" + character, character + "v", "v" + character + "\xa0v"):
        with pytest.raises(ValueError, match=r"^Control characters not allowed in headers$"):
            store("name", value)


@setters
@pytest.mark.parametrize(
    "value", ["", "a\tb", "\t", "\xa0", "\xad", "\x85", "\xff", "\u20ac", "\u2028", " a "]
)
def test_all_other_text_may_be_a_value(store, value):
    store("name", value)


@setters
@pytest.mark.parametrize("name", ["", "X-\xa0", "\xe4", "\x85"])
def test_all_other_text_may_be_a_name(store, name):
    store(name, "value")


def test_a_value_is_checked_before_the_old_one_is_deleted():
    wrapper = Headers([("A", "old")])

    with pytest.raises(ValueError, match="Control characters"):
        wrapper["A"] = "new\r\nSet-Cookie: x"
    with pytest.raises(AssertionError):
        wrapper["A"] = 1
    assert wrapper.items() == [("A", "old")]


def test_the_checks_hold_without_assertions():
    program = """
from wsgix.headers import Headers
assert False, "assertions are on"
for pair in ("a", b"b"), ("a", "b\\r\\n"), ("a\\0", "b"):
    for store in lambda n, v: Headers([(n, v)]), Headers().__setitem__, Headers().add_header:
        try:
            store(*pair)
        except (AssertionError, ValueError):
            print("refused")
"""
    run = subprocess.run(
        [sys.executable, "-O", "-c", program],
        cwd=SOURCE,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert run.stdout.split() == ["refused"] * 9


@pytest.mark.parametrize("name", [True, False])
def test_the_private_check_returns_the_text_and_knows_names_from_values(name):
    assert Headers()._convert_string_type("text", name=name) == "text"
    assert Headers()._convert_string_type("\xa0", name=name) == "\xa0"
    assert Headers()._convert_string_type("a\tb") == "a\tb"
    with pytest.raises(ValueError, match="Control characters"):
        Headers()._convert_string_type("a\tb", name=True)


# The mapping


def repeated():
    return Headers([("Via", "a"), ("Age", "1"), ("via", "b")])


def test_a_lookup_ignores_case_and_gives_the_first_value():
    wrapper = repeated()

    assert wrapper["VIA"] == wrapper.get("vIa") == "a"
    assert wrapper.get_all("VIA") == ["a", "b"]
    assert "VIA" in wrapper


def test_a_missing_name_gives_none_the_default_or_an_empty_list():
    wrapper = repeated()

    assert wrapper["Date"] is None
    assert wrapper.get("Date") is None
    assert wrapper.get("Date", "now") == "now"
    assert wrapper.get_all("Date") == []
    assert "Date" not in wrapper


def test_names_of_one_length_are_told_apart():
    assert repeated().get("Dat") is None


def test_deleting_removes_all_fields_of_a_name_and_never_raises():
    wrapper = repeated()
    del wrapper["VIA"]
    del wrapper["Date"]

    assert wrapper.items() == [("Age", "1")]


def test_setting_replaces_all_fields_of_a_name_by_one_at_the_end():
    wrapper = repeated()
    wrapper["VIA"] = "c"

    assert wrapper.items() == [("Age", "1"), ("VIA", "c")]


def test_setdefault_keeps_what_is_there():
    wrapper = repeated()

    assert wrapper.setdefault("VIA", "c") == "a"
    assert wrapper.setdefault("Date", "now") == "now"
    assert wrapper.items() == [("Via", "a"), ("Age", "1"), ("via", "b"), ("Date", "now")]


def test_keys_values_and_items_are_new_lists_in_order_with_repetitions():
    wrapper = repeated()
    keys, values, items = wrapper.keys(), wrapper.values(), wrapper.items()

    assert keys == ["Via", "Age", "via"]
    assert values == ["a", "1", "b"]
    assert items == [("Via", "a"), ("Age", "1"), ("via", "b")]
    for copy in keys, values, items:
        copy.clear()
    assert len(wrapper) == 3


def test_iterating_gives_the_names():
    assert list(repeated()) == ["Via", "Age", "via"]
    assert dict(repeated()) == {"Via": "a", "Age": "1", "via": "a"}


def test_headers_without_fields_are_false():
    assert not Headers()
    assert repeated()


LOOKUPS = {
    "get": Headers.get,
    "getitem": Headers.__getitem__,
    "contains": Headers.__contains__,
    "get_all": Headers.get_all,
    "delitem": Headers.__delitem__,
}


@pytest.mark.parametrize("look_up", LOOKUPS.values(), ids=LOOKUPS.keys())
def test_a_lookup_by_anything_but_text_is_an_error(look_up):
    for wrong in (b"Via", 0, None):
        with pytest.raises(AssertionError) as caught:
            look_up(repeated(), wrong)
        assert str(caught.value) == f"Header names/values must be of type str (got {wrong!r})"


@pytest.mark.parametrize("look_up", LOOKUPS.values(), ids=LOOKUPS.keys())
def test_a_subclass_of_str_may_look_up(look_up):
    assert look_up(repeated(), Text("VIA")) == look_up(repeated(), "VIA")


# add_header


@pytest.mark.parametrize(
    ("value", "parameters", "field_value"),
    [
        ("attachment", {}, "attachment"),
        ("attachment", {"filename": "bud.gif"}, 'attachment; filename="bud.gif"'),
        ("v", {"some_name": "x"}, 'v; some-name="x"'),
        ("v", {"filename*": "UTF-8''%e4"}, "v; filename*=\"UTF-8''%e4\""),
        ("v", {"bare": None}, "v; bare"),
        ("v", {"empty": ""}, "v; empty"),
        ("v", {"b": "1", "a": "2"}, 'v; b="1"; a="2"'),
        (None, {"a": "1", "b": None}, 'a="1"; b'),
        (None, {}, ""),
        ("v", {"a": 'x"; filename="y\\'}, 'v; a="x\\"; filename=\\"y\\\\"'),
        ("v", {"a": "tab\there"}, 'v; a="tab\there"'),
    ],
)
def test_add_header_joins_a_value_and_its_parameters(value, parameters, field_value):
    wrapper = Headers([("Name", "first")])
    wrapper.add_header("Name", value, **parameters)

    assert wrapper.items() == [("Name", "first"), ("Name", field_value)]


@pytest.mark.parametrize("character", FORBIDDEN_IN_NAMES, ids=ascii)
def test_no_parameter_brings_in_a_control_character(character):
    wrapper = Headers()
    with pytest.raises(ValueError, match="Control characters"):
        wrapper.add_header("Name", "value", **{"a" + character: "x"})
    with pytest.raises(ValueError, match="Control characters"):
        wrapper.add_header("Name", "value", **{"a" + character: None})
    if character != "\t":
        with pytest.raises(ValueError, match="Control characters"):
            wrapper.add_header("Name", "value", a="x" + character)
    assert wrapper.items() == []


@pytest.mark.parametrize("wrong", [1, b"x", Text("x")])
def test_a_parameter_is_exactly_str_or_none(wrong):
    with pytest.raises(AssertionError, match="Header names/values must be of type str"):
        Headers().add_header("Name", "value", a=wrong)


@pytest.mark.parametrize("special", ' ()<>@,;:\\"/[]?=')
def test_tspecials_are_what_a_parameter_value_needs_quotes_for(special):
    escaped = "\\" + special if special in '"\\' else special

    assert headers.tspecials.search("a" + special)
    assert headers._formatparam("p", "a" + special, quote=0) == f'p="a{escaped}"'


def test_a_parameter_is_quoted_on_demand_only_if_asked_so():
    assert headers.tspecials.search("a!#$%&'*+-.^_`|~z09") is None
    assert headers._formatparam("p", "plain", 0) == "p=plain"
    assert headers._formatparam("p", "plain") == 'p="plain"'
    assert headers._formatparam("p") == headers._formatparam("p", "") == "p"


# What is sent


def test_a_header_section_is_a_line_for_each_field_and_an_empty_line():
    assert str(Headers()) == "\r\n"
    assert str(repeated()) == "Via: a\r\nAge: 1\r\nvia: b\r\n\r\n"
    assert bytes(repeated()) == b"Via: a\r\nAge: 1\r\nvia: b\r\n\r\n"


def test_a_header_section_is_sent_as_latin_1():
    assert bytes(Headers([("A", "\xe4")])) == b"A: \xe4\r\n\r\n"
    with pytest.raises(UnicodeEncodeError):
        bytes(Headers([("A", "\u20ac")]))


@pytest.mark.parametrize(
    "store",
    [
        lambda headers: headers.__setitem__("Age", 5),
        lambda headers: headers.setdefault("Age", 5),
        lambda headers: headers.add_header("Age", 5),
    ],
)
def test_what_a_subclass_makes_of_a_value_is_stored(store):
    class Converting(Headers):
        def _convert_string_type(self, value, **options):
            return super()._convert_string_type(str(value), **options)

    headers = Converting()
    store(headers)
    assert headers.items() == [("Age", "5")]


def test_a_subclass_that_spells_its_section_anew_sends_that():
    class Loud(Headers):
        def __str__(self):
            return super().__str__().upper()

    assert bytes(Loud([("a", "b")])) == b"A: B\r\n\r\n"


def test_the_representation_names_the_class_and_shows_the_pairs():
    class Mine(Headers):
        pass

    assert repr(Headers([("A", "b")])) == "Headers([('A', 'b')])"
    assert repr(Mine()) == "Mine([])"
