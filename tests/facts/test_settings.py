"""The table of settings: whole, unambiguous, and fit to be shown."""

import re

import pytest

from wsgix.facts.settings import METAVARS, SETTINGS, Kind, Section

BOUNDED = {Kind.COUNT, Kind.SIZE, Kind.SECONDS, Kind.MODE}


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
def test_a_row_is_fit_to_be_shown(row):
    assert re.fullmatch("[a-z]+(_[a-z]+)*", row.name)
    assert row.meaning[0].islower()
    assert row.meaning.isascii()
    assert not row.meaning.endswith(".")
    assert row.default


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
def test_a_row_has_the_columns_of_its_kind(row):
    assert bool(row.least and row.most) == (row.kind in BOUNDED)
    assert bool(row.choices) == (row.kind in {Kind.CHOICE, Kind.FORMAT})
    assert bool(row.unit) == (row.kind in {Kind.SIZE, Kind.SECONDS})
    assert (row.kind in METAVARS) == (row.kind is not Kind.SWITCH)


def test_every_name_and_every_meaning_is_there_once():
    assert len({row.name for row in SETTINGS}) == len(SETTINGS)
    assert len({row.meaning for row in SETTINGS}) == len(SETTINGS)


def test_the_rows_stand_in_the_order_of_the_sections():
    order = [*Section]
    positions = [order.index(row.section) for row in SETTINGS]
    assert positions == sorted(positions)
    assert {row.section for row in SETTINGS} == set(order)


def test_every_kind_is_used():
    assert {row.kind for row in SETTINGS} == set(Kind)
