"""Properties of `wsgix.headers`: it is a list of pairs, and no text makes two fields of one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgix.headers import Headers

latin_1 = st.characters(min_codepoint=0, max_codepoint=255)
printable = st.characters(min_codepoint=0x20, max_codepoint=255, exclude_characters="\x7f")
names = st.sampled_from(["A", "a", "B", "b", "Set-Cookie", "SET-COOKIE", "\xc4", "\xe4"]) | st.text(
    printable, max_size=5
)
values = st.text(printable | st.just("\t"), max_size=12)
pairs = st.lists(st.tuples(names, values), max_size=8)
tokens = st.text("abcXYZ019!#$%&'*+.^`|~-", min_size=1, max_size=8)

# Text that attacks: line ends, in pieces and spelled in other ways, within anything.
hostile = st.lists(
    st.text("aZ\xe4\u20ac", max_size=2)
    | st.sampled_from(["\r\n", "\r", "\n", "\0", "\x85", "\u2028", ": ", '"', "\\", ";"])
).map("".join)

operations = st.lists(
    st.one_of(
        st.tuples(st.just("set"), names, values),
        st.tuples(st.just("delete"), names),
        st.tuples(st.just("setdefault"), names, values),
        st.tuples(st.just("add"), names, values),
    ),
    max_size=10,
)


class Model:
    """Headers said in the plainest way."""

    def __init__(self, fields):
        self.fields = list(fields)

    def all(self, name):
        return [value for other, value in self.fields if other.lower() == name.lower()]

    def delete(self, name):
        self.fields = [field for field in self.fields if field[0].lower() != name.lower()]

    def add(self, name, value):
        self.fields.append((name, value))

    def set(self, name, value):
        self.delete(name)
        self.add(name, value)

    def setdefault(self, name, value):
        if not self.all(name):
            self.add(name, value)


@given(pairs, operations, names)
def test_headers_are_a_list_of_pairs_with_names_in_any_case(fields, steps, wanted):
    model, wrapped = Model(fields), list(fields)
    headers = Headers(wrapped)
    apply = {
        "set": headers.__setitem__,
        "delete": headers.__delitem__,
        "setdefault": headers.setdefault,
        "add": headers.add_header,
    }
    for operation, *arguments in steps:
        apply[operation](*arguments)
        getattr(model, operation)(*arguments)
        assert headers.items() == wrapped == model.fields

    assert list(headers) == headers.keys() == [name for name, _ in model.fields]
    assert headers.values() == [value for _, value in model.fields]
    assert len(headers) == len(model.fields)
    for name in [wanted, *headers.keys()]:
        found = model.all(name)
        assert headers.get_all(name.swapcase()) == model.all(name.swapcase())
        assert headers.get_all(name) == found
        assert headers[name] == headers.get(name) == (found[0] if found else None)
        assert headers.get(name, "other") == (found[0] if found else "other")
        assert (name in headers) is bool(found)


@given(st.lists(st.tuples(tokens, values.map(lambda text: text.strip(" \t"))), max_size=8))
def test_the_bytes_parse_back_to_the_pairs(fields):
    *lines, end, nothing = bytes(Headers(list(fields))).split(b"\r\n")

    assert (end, nothing) == (b"", b"")
    parsed = [line.partition(b": ") for line in lines]
    assert [(name.decode("latin-1"), value.decode("latin-1")) for name, _, value in parsed] == fields


@given(hostile, hostile, hostile, hostile)
def test_no_text_makes_two_fields_of_one(name, value, parameter, parameter_value):
    headers = Headers()
    stores = (
        lambda: headers.__setitem__(name, value),
        lambda: headers.setdefault(name, value),
        lambda: headers.add_header(name, value),
        lambda: headers.add_header(name, None, **{parameter: parameter_value}),
        lambda: headers.add_header("Name", "value", **{"p" + parameter: None}),
    )
    for store in stores:
        before = headers.items()
        try:
            store()
        except ValueError:
            assert headers.items() == before
        text = str(headers)
        assert len(re.findall("\r|\n", text)) == 2 * (len(headers) + 1)
        assert text.count("\r\n") == len(headers) + 1
        assert "\0" not in text


@given(st.text(latin_1), st.text(latin_1))
def test_construction_and_setting_refuse_the_same(name, value):
    def refusal(store):
        try:
            store()
        except ValueError as error:
            return str(error)
        return None

    refused = refusal(lambda: Headers([(name, value)]))

    assert refused == refusal(lambda: Headers().__setitem__(name, value))
    assert bool(refused) is bool(re.search("[\0-\x1f\x7f]", name) or re.search("[\0-\x08\n-\x1f\x7f]", value))


@given(st.text(printable | st.just("\t"), min_size=1))
def test_a_parameter_value_is_one_quoted_string_that_unquotes_to_itself(value):
    headers = Headers()
    headers.add_header("Name", "v", p=value)

    # quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE (RFC 9110, 5.6.4)
    found = re.fullmatch(r'v; p="((?:[^"\\]|\\.)*)"', headers["name"])
    if not found:
        pytest.fail(f"not one quoted string: {headers['name']!r}")
    assert re.sub(r"\\(.)", r"\1", found[1]) == value
