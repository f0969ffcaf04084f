"""The examples of the rules for applications: a good one is clean, a bad one is caught by its own rule."""

import pytest

from tests.conform.exchanges import application_of, findings, ids, serve
from wsgix.conform import Breach, watch
from wsgix.conform.rule import Means, Profile
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


SEEN_BY_WATCH = [
    rule for rule in WITH_BAD if any(observer.means is Means.WATCH for observer in rule.observers)
]


@pytest.mark.parametrize("rule", SEEN_BY_WATCH, ids=names(SEEN_BY_WATCH))
def test_a_bad_example_raises_where_nobody_is_to_be_told(rule):
    application, environ = application_of(rule.bad)

    error = serve(watch(application, profiles=frozenset(Profile)), environ).error

    assert isinstance(error, Breach)
    assert error.judgement.rule is rule


@pytest.mark.parametrize("rule", SEEN_BY_WATCH, ids=names(SEEN_BY_WATCH))
def test_a_finding_in_an_example_tells_the_place_what_was_seen_and_what_was_wanted(rule):
    application, environ = application_of(rule.bad)

    (judgement,) = findings(application, environ)

    assert judgement.where.startswith("example.py:")
    assert judgement.seen
    assert judgement.wanted
    assert "\n" not in judgement.seen + judgement.wanted
