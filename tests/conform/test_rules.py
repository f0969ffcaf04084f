"""The catalogue itself: every record is whole, in its place and in one form, and none is there twice."""

import ast
import re
import textwrap
from collections import Counter

import pytest

from wsgix.conform.rule import Level, Means, Profile, Rule, Side, Status
from wsgix.conform.rules import CHAPTERS, all_rules, rule_of

RULES = all_rules()

BINDS = {
    "A": Side.APPLICATION,
    "H": Side.APPLICATION,
    "B": Side.APPLICATION,
    "I": Side.APPLICATION,
    "M": Side.MIDDLEWARE,
    "E": Side.SERVER,
    "S": Side.SERVER,
    "R": Side.SERVER,
    "C": Side.SERVER,
    "P": Side.SERVER,
    "X": Side.SERVER,
}
"""A chapter is of one side."""

MOST_QUOTED_WORDS = 30

each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.id}-{rule.slug}")


def test_every_chapter_has_rules():
    assert {rule.id[0] for rule in RULES} == set(CHAPTERS)


def test_ids_go_up_by_one_within_each_chapter():
    for letter in CHAPTERS:
        ids = [rule.id for rule in RULES if rule.id[0] == letter]
        assert ids == [f"{letter}{number}" for number in range(1, len(ids) + 1)]


@pytest.mark.parametrize("attribute", ["id", "says"])
def test_no_two_rules_share(attribute):
    counts = Counter(getattr(rule, attribute) for rule in RULES)
    assert [value for value, count in counts.items() if count > 1] == []


def test_no_two_rules_of_a_side_share_a_slug():
    counts = Counter((rule.binds, rule.slug) for rule in RULES)
    assert [value for value, count in counts.items() if count > 1] == []


def test_rules_are_found_by_id():
    assert all(rule_of(rule.id) is rule for rule in RULES)
    with pytest.raises(KeyError):
        rule_of("H999")


@each_rule
def test_a_slug_is_a_few_words_with_hyphens(rule: Rule):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+){0,7}", rule.slug)
    assert len(rule.slug) <= 48


@each_rule
def test_a_rule_says_one_sentence(rule: Rule):
    assert re.fullmatch(r"([A-Z`]|wsgi\.)[^\n]*[.]", rule.says), rule.says
    assert len(rule.says) <= 240
    # No full stop before another sentence: "e.g. Python" and the like do not occur.
    assert not re.search(r"[.!?]\s+[A-Z]", rule.says), rule.says


@each_rule
def test_a_rule_tells_why_in_one_paragraph(rule: Rule):
    assert len(rule.why.split()) >= 9, rule.why
    assert "\n\n" not in rule.why
    assert rule.why == rule.why.strip()
    assert rule.why.endswith((".", ")"))


@each_rule
def test_a_rule_has_a_source_with_an_address(rule: Rule):
    assert rule.source.document
    assert rule.source.section
    # Custom is written nowhere.
    assert re.fullmatch(r"https://[!-~]+", rule.source.url) or rule.source.document == "custom"


@each_rule
def test_a_rule_of_the_pep_quotes_a_few_of_its_words(rule: Rule):
    if rule.source.document == "PEP 3333" and rule.level is not Level.DE_FACTO:
        assert rule.quote
    assert len(rule.quote.split()) <= MOST_QUOTED_WORDS


@each_rule
def test_a_chapter_is_of_one_side(rule: Rule):
    assert rule.binds is BINDS[rule.id[0]]


@each_rule
def test_a_rule_belongs_to_the_profiles_of_its_source(rule: Rule):
    assert rule.profiles
    if Profile.PEP3333 in rule.profiles:
        # RFC 3875 is CGI, to which the PEP refers for its variables.
        assert rule.source.document in ("PEP 3333", "RFC 3875") or Profile.HTTP in rule.profiles
    if rule.profiles == {Profile.HTTP}:
        assert rule.source.document.startswith("RFC ")
    if rule.source.document == "custom":
        assert rule.profiles == {Profile.DE_FACTO}


@each_rule
def test_a_rule_is_observed_or_says_why_it_cannot_be(rule: Rule):
    if rule.status is not Status.REMOVED:
        assert bool(rule.observers) != bool(rule.untestable)


@each_rule
def test_a_rule_is_observed_by_means_that_fit_its_side(rule: Rule):
    allowed = {
        Side.APPLICATION: {Means.WATCH, Means.DRIVE},
        Side.MIDDLEWARE: {Means.WATCH, Means.DRIVE},
        Side.SERVER: {Means.WATCH, Means.PROBE},
    }
    assert set(rule.means) <= allowed[rule.binds]


WITHOUT_EXAMPLES = {
    "E24": "no server of the tests speaks TLS",
    "C13": "no server of the tests has two processes",
}


@each_rule
def test_what_can_be_broken_has_an_example_that_breaks_it(rule: Rule):
    breakable = not rule.untestable and rule.level is not Level.MAY
    assert bool(rule.bad) == (breakable and rule.id not in WITHOUT_EXAMPLES)


@each_rule
def test_examples_are_python_and_differ(rule: Rule):
    for source in filter(None, (rule.good, rule.bad)):
        ast.parse(textwrap.dedent(source))
    assert not rule.good or rule.good != rule.bad
