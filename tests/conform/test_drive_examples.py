"""The referee is refereed by its own book: each rule's examples go through the whole battery.

A good example comes out clean, a bad one is caught by its own rule and by no other.
"""

import pytest

from wsgix.conform.drive import PROFILES, drive
from wsgix.conform.rule import Side, Verdict
from wsgix.conform.rules import all_rules
from wsgix.conform.sandwich import judge_middleware

# Examples are as short as an application can be, and most answer HEAD as they answer GET.
SHORT_FOR_HEAD = {"B9"}

RULES = [rule for rule in all_rules() if rule.binds is not Side.SERVER]
WITH_GOOD = [rule for rule in RULES if rule.good]
WITH_BAD = [rule for rule in RULES if rule.bad]


def names(rules):
    return [f"{rule.id}-{rule.slug}" for rule in rules]


def judge(rule, source):
    """Run the battery over an example, under the default profiles or, if it has none of those, its own."""
    namespace = {"__name__": "example"}
    exec(compile(source, f"{rule.id}.py", "exec"), namespace)
    profiles = PROFILES if rule.profiles & PROFILES else rule.profiles
    if rule.binds is Side.MIDDLEWARE:
        return judge_middleware(namespace["middleware"], profiles=profiles)
    ignore = SHORT_FOR_HEAD - {rule.id}
    return drive(namespace["app"], profiles=profiles, ignore=ignore)


def broken(report):
    """Return the IDs of the rules that were broken; an example may answer with an error and nothing else."""
    assert report.fault == "" or report.fault.endswith("and no other path goes better; see what the log says")
    assert report.judgements
    assert not [one for one in report.judgements if one.verdict is Verdict.HARNESS_FAILED]
    return sorted({judgement.rule.id for judgement in report.failures()})


@pytest.mark.parametrize("rule", WITH_GOOD, ids=names(WITH_GOOD))
def test_a_good_example_is_clean_in_the_whole_battery(rule):
    assert broken(judge(rule, rule.good)) == []


@pytest.mark.parametrize("rule", WITH_BAD, ids=names(WITH_BAD))
def test_a_bad_example_is_caught_by_its_own_rule_and_no_other_in_the_whole_battery(rule):
    assert broken(judge(rule, rule.bad)) == [rule.id]


def test_every_rule_that_is_not_untestable_or_a_permission_is_observed_and_has_a_bad_example():
    unobserved = [
        rule.id for rule in RULES if not rule.observers and not rule.untestable and rule.level.weight
    ]
    without = [rule.id for rule in RULES if rule.observers and not rule.bad]

    assert (unobserved, without) == ([], [])
