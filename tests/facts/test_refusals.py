"""The table of refusals: whole, unambiguous, and fit to be sent."""

import pytest

from wsgix.facts import refusals
from wsgix.facts.refusals import Refusal

ROWS = {name: row for name, row in vars(refusals).items() if isinstance(row, Refusal)}


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_a_row_is_fit_to_be_sent_and_logged(row):
    code, reason = row.status.split(" ", 1)
    assert code[0] in "45"
    assert len(code) == 3
    assert reason == reason.title().replace("Uri", "URI").replace("Http", "HTTP")
    assert row.sentence.isascii()
    assert row.sentence.endswith(".")
    assert row.word == row.word.lower()
    assert " " not in row.word


def test_every_row_has_its_own_word_and_sentence():
    assert len({row.word for row in ROWS.values()}) == len(ROWS)
    assert len({row.sentence for row in ROWS.values()}) == len(ROWS)


def test_every_status_that_a_server_must_know_has_a_row():
    statuses = {row.status[:3] for row in ROWS.values()}
    clients_faults = {"400", "408", "413", "414", "417", "421", "431"}
    assert statuses == clients_faults | {"500", "501", "503", "504", "505", "507"}
