"""The byte classes agree with each other and with the ABNF's counts."""

from wsgix.facts import grammar


def test_a_token_has_no_separator_and_no_control():
    assert len(grammar.TCHAR) == len(set(grammar.TCHAR)) == 15 + 10 + 52
    assert not set(grammar.TCHAR) & set('"(),/:;<=>?@[\\]{} \t' + grammar.CTL)


def test_a_value_may_hold_everything_but_controls_and_of_these_the_tab():
    assert len(grammar.CTL) == 33
    assert set(grammar.CTL) - set(grammar.FORBIDDEN_IN_VALUE) == {"\t"}


def test_quoted_text_escapes_only_quotation_mark_and_backslash():
    assert set(grammar.QUOTABLE) - set(grammar.QDTEXT) == {'"', "\\"}
    assert not set(grammar.QUOTABLE) & set(grammar.FORBIDDEN_IN_VALUE)


def test_a_path_is_ascii_without_delimiters_of_other_parts():
    assert grammar.PATH_CHARACTERS.isascii()
    assert not set(grammar.PATH_CHARACTERS) & set('?#% \t"<>\\^`{|}' + grammar.CTL)


def test_a_query_is_ascii_without_fragment_white_space_and_controls():
    assert grammar.QUERY_CHARACTERS.isascii()
    assert not set(grammar.QUERY_CHARACTERS) & set('# \t"<>' + grammar.CTL)
    assert set(grammar.PATH_CHARACTERS) < set(grammar.QUERY_CHARACTERS)


def test_hexadecimal_digits_are_of_either_case():
    assert {int(digit, 16) for digit in grammar.HEXDIG} == set(range(16))
    assert len(grammar.HEXDIG) == 22
