"""The referee of middleware is refereed: each fault is caught by its own rule alone, each twin is clean."""

import pytest

from tests.conform.broken.middleware import FAULTS, HARMLESS, answers_itself, whole_generator
from wsgix.conform.rule import Side, Verdict
from wsgix.conform.rules import all_rules
from wsgix.conform.sandwich import judge_middleware

IDS = [f"{fault.rule}-{fault.name}" for fault in FAULTS]


def broken_rules(factory, **options):
    report = judge_middleware(factory, timeout=30, **options)
    assert report.fault == ""
    assert not [one for one in report.judgements if one.verdict is Verdict.HARNESS_FAILED]
    return sorted({judgement.rule.id for judgement in report.failures()})


@pytest.mark.parametrize("fault", FAULTS, ids=IDS)
def test_a_fault_is_caught_by_its_own_rule_and_no_other(fault):
    assert broken_rules(fault.make(broken=True)) == [fault.rule]


@pytest.mark.parametrize("fault", FAULTS, ids=IDS)
def test_the_twin_without_the_fault_is_clean(fault):
    assert broken_rules(fault.make(broken=False)) == []


@pytest.mark.parametrize("factory", HARMLESS)
def test_what_middleware_may_do_is_no_finding(factory):
    assert broken_rules(factory) == []


def test_every_rule_that_is_observed_has_a_fault_here():
    observed = {rule.id for rule in all_rules() if rule.binds is Side.MIDDLEWARE and rule.observers}

    assert {fault.rule for fault in FAULTS} == observed


def test_middleware_that_never_calls_the_application_is_not_judged_for_how_it_treats_it():
    report = judge_middleware(answers_itself)

    assert {one.verdict for one in report.judgements} == {Verdict.NOT_APPLICABLE}


def test_what_is_written_must_not_be_sent_late():
    """A generator that calls the application makes the application's own write() come too late."""
    assert broken_rules(whole_generator) == ["M5"]
