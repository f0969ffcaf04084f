"""The referee is refereed: correct servers are clean, and every rule has its examples and its cases."""

import pytest

from tests.conform.broken.judging import broken_rules, not_judged, server_from
from tests.conform.broken.reference import Reference
from wsgix.conform.probe import cases_of, server_rules
from wsgix.conform.rule import Level

RULES = server_rules()
OBSERVED = [rule for rule in RULES if rule.observers]
# What can be seen only of a server that these tests have not got, and where it is seen instead.
SEEN_ELSEWHERE = {"E24": "needs TLS", "C13": "needs processes"}


def by_id(rule):
    return f"{rule.id}-{rule.slug}"


def test_the_correct_server_is_clean(judging):
    judgements = judging(Reference)

    assert broken_rules(judgements) == set()
    assert not_judged(judgements) == []
    assert {judgement.rule.id for judgement in judgements} == {rule.id for rule in RULES}


@pytest.mark.parametrize("rule", [rule for rule in OBSERVED if rule.good], ids=by_id)
def test_a_good_example_keeps_its_rule(judging, rule):
    judgements = judging(server_from(rule.good), [rule])

    assert broken_rules(judgements) == set()
    assert not_judged(judgements) == []


def test_every_observed_rule_has_both_examples():
    judged = [rule for rule in OBSERVED if rule.level is not Level.MAY]

    assert {rule.id for rule in judged if not (rule.good and rule.bad)} == set(SEEN_ELSEWHERE)


def test_every_rule_is_observed_or_says_why_it_cannot_be():
    assert [rule.id for rule in RULES if bool(rule.observers) == bool(rule.untestable)] == []


def test_cases_have_names_of_their_own_say_what_they_want_and_need_what_there_is():
    names = [case.name for _, case in cases_of(RULES)]

    assert len(names) == len(set(names))
    assert [case.name for _, case in cases_of(RULES) if not case.wanted.endswith(".")] == []
    assert [case.name for _, case in cases_of(RULES) if not set(case.needs) <= set(names)] == []


def test_rules_are_numbered_in_their_order():
    for letter in {rule.id[0] for rule in RULES}:
        numbers = [int(rule.id[1:]) for rule in RULES if rule.id[0] == letter]

        assert numbers == list(range(1, len(numbers) + 1))
