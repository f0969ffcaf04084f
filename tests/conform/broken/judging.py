"""Judges servers in this process, and makes them from the examples of rules."""

import textwrap

import pytest

from tests.conform.broken import reference
from tests.conform.broken.faults import FAULTS
from wsgix.conform import probe_app
from wsgix.conform.probe import JOBS, TIMEOUT, Options, greet, judge, server_rules
from wsgix.conform.probe_case import Target
from wsgix.conform.rule import Verdict

SHORT = 1.0
"""Seconds that the cases wait for an answer of servers in this process."""


def server_from(example: str) -> type:
    """Return a class of connections: `Reference`, with the methods of an example in place of its own."""
    names = dict(vars(reference))
    exec("class Example(Reference):\n" + textwrap.indent(example, "    "), names)
    return names["Example"]


def broken(letters: str):
    """Return the broken servers of these chapters as parameters of a test: the rule's ID, the example."""
    examples = [(rule.id, rule.slug, rule.bad) for rule in server_rules() if rule.bad]
    examples += [(rule_id, name, example) for rule_id, name, example in FAULTS]
    return [
        pytest.param(rule_id, example, id=f"{rule_id}-{name}")
        for rule_id, name, example in examples
        if rule_id[0] in letters
    ]


def assert_caught_by_its_own_rule_only(judging, rule_id: str, example: str) -> None:
    """Hold a broken server against every rule: it breaks this one, and nothing else goes wrong."""
    judgements = judging(server_from(example), timeout=SHORT)

    others = [
        f"{judgement.rule.id} {judgement.case}: {judgement.verdict.value}: {judgement.seen}"
        for judgement in judgements
        if judgement.verdict in (Verdict.SETUP_FAILED, Verdict.HARNESS_FAILED)
        or (judgement.verdict is Verdict.FAIL and judgement.rule.id != rule_id)
    ]
    assert not others, others
    assert broken_rules(judgements) == {rule_id}, f"{rule_id} is not found broken"


class Judging:
    """Judges classes of connections."""

    def __call__(self, connection_class: type, rules=None, timeout=TIMEOUT):
        """Return the judgements of a class by these rules, or all."""
        with reference.Serving(connection_class, probe_app.app) as serving:
            target = greet(Target(serving.address, output=lambda: serving.log.text))
            return judge(target, Options(rules or server_rules(), JOBS, timeout))


def broken_rules(judgements):
    """Return the IDs of the rules that were broken."""
    return {judgement.rule.id for judgement in judgements if judgement.verdict is Verdict.FAIL}


def not_judged(judgements):
    """Return what came to no verdict on the server, in words."""
    return [
        f"{judgement.case}: {judgement.seen}"
        for judgement in judgements
        if judgement.verdict in (Verdict.SETUP_FAILED, Verdict.HARNESS_FAILED, Verdict.DEPENDENCY_FAILED)
    ]
