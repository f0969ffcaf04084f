"""The referee is refereed: a broken server is caught by exactly its own rule. Chapters E, S, R."""

import pytest

from tests.conform.broken.judging import assert_caught_by_its_own_rule_only, broken

# A server that is broken leaves files open that the application meant it to close.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.mark.parametrize(("rule_id", "example"), broken("ESR"))
def test_a_broken_server_is_caught_by_its_own_rule_only(judging, rule_id, example):
    assert_caught_by_its_own_rule_only(judging, rule_id, example)
