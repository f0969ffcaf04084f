"""The referee is refereed: a broken server is caught by exactly its own rule, a correct one is clean."""

import pytest

from tests.conform.broken.judging import broken_rules, not_judged, server_from
from tests.conform.broken.reference import Reference
from wsgix.conform.probe import cases_of, server_rules
from wsgix.conform.rule import Verdict

RULES = server_rules()
OBSERVED = [rule for rule in RULES if rule.observers]
# What can be seen only of a server that these tests have not got, and where it is seen instead.
SEEN_ELSEWHERE = {"E24": "needs TLS"}


def by_id(rule):
    return f"{rule.id}-{rule.slug}"


def test_the_correct_server_is_clean(judging):
    judgements = judging(Reference)

    assert broken_rules(judgements) == set()
    assert not_judged(judgements) == []
    assert {judgement.rule.id for judgement in judgements} == {rule.id for rule in RULES}


@pytest.mark.parametrize("rule", [rule for rule in OBSERVED if rule.bad], ids=by_id)
def test_a_broken_server_is_caught_by_its_own_rule_only(judging, rule):
    judgements = judging(server_from(rule.bad))

    assert broken_rules(judgements) == {rule.id}
    assert not [
        f"{judgement.case}: {judgement.seen}"
        for judgement in judgements
        if judgement.verdict in (Verdict.SETUP_FAILED, Verdict.HARNESS_FAILED)
    ]


@pytest.mark.parametrize("rule", [rule for rule in OBSERVED if rule.good], ids=by_id)
def test_a_good_example_keeps_its_rule(judging, rule):
    judgements = judging(server_from(rule.good), [rule])

    assert broken_rules(judgements) == set()
    assert not_judged(judgements) == []


def test_every_observed_rule_has_both_examples():
    assert {rule.id for rule in OBSERVED if not (rule.good and rule.bad)} == set(SEEN_ELSEWHERE)


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
