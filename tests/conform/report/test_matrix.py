"""What judgements of one rule come to, and how rules are counted and sorted."""

import dataclasses
import itertools

import pytest

from tests.conform.report.made import judge
from wsgix.conform.report.matrix import PRECEDENCE, cells_of, rules_of, tally
from wsgix.conform.rule import Level, Verdict


def test_every_verdict_has_a_precedence():
    assert sorted(PRECEDENCE, key=str) == sorted(Verdict, key=str)


@pytest.mark.parametrize(("stronger", "weaker"), list(itertools.combinations(PRECEDENCE, 2)))
def test_the_stronger_verdict_stands_in_whatever_order_they_come(application, stronger, weaker):
    for verdicts in ([weaker, stronger, weaker], [stronger, weaker]):
        judgements = tuple(judge("H3", verdict) for verdict in verdicts)
        report = dataclasses.replace(application, judgements=judgements)
        assert cells_of(report)["H3"].verdict is stronger


def test_a_rule_that_passed_in_one_case_and_failed_in_another_failed(first_server):
    cell = cells_of(first_server)["R1"]

    assert cell.verdict is Verdict.FAIL
    assert [judgement.verdict for judgement in cell.judgements] == [Verdict.FAIL, Verdict.PASS]


def test_cells_stand_in_the_order_of_the_catalogue(first_server):
    assert list(cells_of(first_server)) == ["E2", "E10", "R1", "C4", "X1", "X2"]


def test_rules_of_several_reports_stand_once_in_the_order_of_the_catalogue(reports):
    assert [rule.id for rule in rules_of(reports)] == ["H3", "B2", "E2", "E10", "R1", "C4", "X1", "X2"]


def test_a_tally_counts_rules_and_not_judgements(application):
    assert tally(application) == {
        (Level.MUST.weight, Verdict.FAIL): 1,
        (Level.SHOULD.weight, Verdict.PASS): 1,
    }


def test_a_tally_of_what_was_not_judged_is_empty(unjudged):
    assert tally(unjudged) == {}
