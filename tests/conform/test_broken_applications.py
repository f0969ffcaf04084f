"""The referee of applications is refereed: each fault is caught by its own rule alone, each twin is clean."""

import pytest

from tests.conform.broken.applications import FAULTS
from wsgix.conform.drive import PROFILES, drive
from wsgix.conform.rule import Side, Verdict
from wsgix.conform.rules import all_rules

IDS = [f"{fault.rule}-{fault.name}" for fault in FAULTS]


def broken_rules(application):
    report = drive(application, timeout=30)
    assert report.fault == ""
    assert not [one for one in report.judgements if one.verdict is Verdict.HARNESS_FAILED]
    return sorted({judgement.rule.id for judgement in report.failures()})


@pytest.mark.parametrize("fault", FAULTS, ids=IDS)
def test_a_fault_is_caught_by_its_own_rule_and_no_other(fault):
    assert broken_rules(fault.make(broken=True)) == [fault.rule]


@pytest.mark.parametrize("fault", FAULTS, ids=IDS)
def test_the_twin_without_the_fault_is_clean(fault):
    assert broken_rules(fault.make(broken=False)) == []


def test_every_rule_that_is_observed_has_a_fault_here():
    observed = {
        rule.id
        for rule in all_rules()
        if rule.binds is Side.APPLICATION and rule.observers and rule.profiles & PROFILES
    }

    assert {fault.rule for fault in FAULTS} == observed
