"""Judges servers in this process, and makes them from the examples of rules."""

import textwrap

from tests.conform.broken import reference
from wsgix.conform import probe_app
from wsgix.conform.probe import Options, greet, judge, server_rules
from wsgix.conform.probe_case import Target
from wsgix.conform.rule import Verdict


def server_from(example: str) -> type:
    """Return a class of connections: `Reference`, with the methods of an example in place of its own."""
    names = dict(vars(reference))
    exec("class Example(Reference):\n" + textwrap.indent(example, "    "), names)
    return names["Example"]


class Judging:
    """Judges classes of connections."""

    def __call__(self, connection_class: type, rules=None):
        """Return the judgements of a class by these rules, or all."""
        with reference.Serving(connection_class, probe_app.app) as serving:
            target = greet(Target(serving.address, output=lambda: serving.log.text))
            return judge(target, Options(rules or server_rules()))


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
