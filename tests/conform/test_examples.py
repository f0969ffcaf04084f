"""The examples of the rules for applications: a good one is clean, a bad one is caught by its own rule."""

import pytest

from tests.conform.exchanges import application_of, findings, ids
from wsgix.conform.rule import Means
from wsgix.conform.rules import blocks, calling, head, streams

RULES = [*calling.RULES, *head.RULES, *blocks.RULES, *streams.RULES]


def names(rules):
    return [f"{rule.id}-{rule.slug}" for rule in rules]


WITH_GOOD = [rule for rule in RULES if rule.good]
WITH_BAD = [rule for rule in RULES if rule.bad]


@pytest.mark.parametrize("rule", WITH_GOOD, ids=names(WITH_GOOD))
def test_a_good_example_is_clean_under_all_profiles(rule):
    application, environ = application_of(rule.good)

    assert findings(application, environ) == []


@pytest.mark.parametrize("rule", WITH_BAD, ids=names(WITH_BAD))
def test_a_bad_example_is_caught_by_its_own_rule_and_no_other(rule):
    application, environ = application_of(rule.bad)
    seen_by_watch = any(observer.means is Means.WATCH for observer in rule.observers)

    found = findings(application, environ)

    assert ids(found) == ([rule.id] if seen_by_watch else [])
