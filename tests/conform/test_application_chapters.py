"""The records of the chapters that bind applications: complete, in order, each observed or told why not."""

import re

import pytest

from wsgix.conform.points import Checks
from wsgix.conform.rule import Level, Means, Profile, Side
from wsgix.conform.rules import CHAPTERS, all_rules, blocks, calling, head, rule_of, streams

CHAPTER_MODULES = {"A": calling, "H": head, "B": blocks, "I": streams}
RULES = [rule for rule in all_rules() if rule.id[0] in CHAPTER_MODULES]

ADDRESSES = (
    "https://peps.python.org/pep-3333/#",
    "https://www.rfc-editor.org/rfc/rfc",
    "https://docs.python.org/3/library/wsgiref.html#",
)


@pytest.mark.parametrize(("letter", "module"), CHAPTER_MODULES.items(), ids=CHAPTER_MODULES)
def test_the_rules_of_a_chapter_are_numbered_from_one_without_gaps(letter, module):
    assert CHAPTERS[letter] == module.__name__.rpartition(".")[2]
    assert [rule.id for rule in module.RULES] == [f"{letter}{n}" for n in range(1, len(module.RULES) + 1)]


def test_no_two_rules_share_a_slug():
    assert len({rule.slug for rule in RULES}) == len(RULES) == 82


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_record_is_complete(rule):
    assert rule_of(rule.id) is rule
    assert rule.binds is Side.APPLICATION
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.slug)
    assert rule.says.endswith(".")
    assert rule.why.endswith(".")
    assert "\n" not in rule.says + rule.why
    assert rule.source.url.startswith(ADDRESSES)
    assert len(rule.quote.split()) <= 20
    assert rule.profiles


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_is_observed_or_tells_why_nothing_can_observe_it(rule):
    if rule.untestable:
        assert rule.observers == []
        assert rule.bad == ""
    else:
        assert rule.observers
        assert rule.bad
        assert rule.level is not Level.MAY


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_an_observer_of_the_watch_stands_at_a_point_of_the_exchange(rule):
    points = {observer.point for observer in rule.observers if observer.means is Means.WATCH}

    assert points <= set(Checks.__dataclass_fields__)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_the_level_fits_the_profiles(rule):
    if rule.profiles <= {Profile.DE_FACTO, Profile.STDLIB}:
        assert rule.level is Level.DE_FACTO
    else:
        assert rule.level is not Level.DE_FACTO
