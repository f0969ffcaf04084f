"""`wsgix rules`: the list, a rule whole, the catalogue for other programs, what it says of unknown rules."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from tests.serving import run_wsgix
from wsgix.cli import main, rules
from wsgix.conform.rule import Level, Means, Profile, Rule, Side, Source
from wsgix.conform.rules import all_rules

SCHEMA = Path(__file__).parents[2] / "docs" / "schema" / "rules-1.json"

STATUS = Rule(
    id="H3",
    slug="status-has-reason",
    level=Level.MUST,
    binds=Side.APPLICATION,
    source=Source("PEP 3333", "The start_response() Callable", "https://peps.python.org/pep-3333/#start"),
    quote='of the form "999 Message here"',
    says="The status is three digits, one space and a reason.",
    why="Servers write the status into the first line as it is. " * 4,
    good="""
        def app(environ, start_response):
            start_response("200 OK", [])
            return []
    """,
    bad="start_response('200', [])",
    profiles=frozenset({Profile.PEP3333, Profile.STDLIB}),
)
STATUS.observed_by(Means.WATCH, "start_response")(lambda *seen: None)
LONGER = Rule(
    id="H12",
    slug="status-is-short",
    level=Level.DE_FACTO,
    binds=Side.SERVER,
    source=Source("RFC 9112", "section 4", ""),
    says="It is short.",
    why="It is.",
    untestable="Nobody knows what short is.",
)


@pytest.fixture
def catalogue(monkeypatch):
    monkeypatch.setattr(rules, "all_rules", lambda: (STATUS, LONGER))
    monkeypatch.setenv("COLUMNS", "80")


def test_the_list_has_a_line_for_each_rule(catalogue, capsys):
    assert main(["rules"]) == 0
    assert capsys.readouterr().out == (
        """\
ID   LEVEL     BINDS        RULE               OBSERVED BY
H3   MUST      application  status-has-reason  watch
H12  de facto  server       status-is-short    nothing
"""
    )


@pytest.mark.parametrize("name", ["H3", "h3", "status-has-reason", "Status-Has-Reason"])
def test_a_rule_is_shown_whole(catalogue, capsys, name):
    assert main(["rules", name]) == 0
    assert capsys.readouterr().out == (
        """\
H3 status-has-reason

The status is three digits, one space and a reason.

level         MUST
binds         application
source        PEP 3333, "The start_response() Callable"
              https://peps.python.org/pep-3333/#start
quote         "of the form "999 Message here""
profiles      pep3333, stdlib
observed      watch start_response
status        stable since 0.1

Servers write the status into the first line as it is. Servers write the status
into the first line as it is. Servers write the status into the first line as it
is. Servers write the status into the first line as it is.

Good:

    def app(environ, start_response):
        start_response("200 OK", [])
        return []

Bad:

    start_response('200', [])
"""
    )


def test_a_rule_that_nothing_observes_says_why(catalogue, capsys):
    assert main(["rules", "H12"]) == 0
    assert "\nnot observed  Nobody knows what short is.\n" in capsys.readouterr().out


def test_several_rules_are_shown_in_the_order_in_which_they_were_asked_for(catalogue, capsys):
    assert main(["rules", "H12", "H3"]) == 0
    out = capsys.readouterr().out
    assert 0 < out.index("Nobody knows") < out.index("\n\nH3 status-has-reason\n\n")


def test_a_slug_may_stand_for_a_rule_of_each_side(catalogue, capsys, monkeypatch):
    twin = dataclasses.replace(LONGER, id="B1", slug=STATUS.slug)
    monkeypatch.setattr(rules, "all_rules", lambda: (STATUS, twin))
    assert main(["rules", STATUS.slug]) == 0
    out = capsys.readouterr().out
    assert 0 == out.index("H3 status-has-reason") < out.index("\n\nB1 status-has-reason")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("H13", "near are H3, H12"),
        ("status-has-raisin", "near are status-has-reason, status-is-short"),
        ("Q?", "`wsgix rules` lists them"),
    ],
)
def test_an_unknown_rule_is_one_line_with_those_near_to_it(catalogue, capsys, name, hint):
    assert main(["rules", name]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"wsgix: there is no rule {name!r}; {hint}\n"


def test_rules_for_other_programs_keep_to_the_published_schema(catalogue, capsys):
    assert main(["rules", "--json", "H3"]) == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, json.loads(SCHEMA.read_text(encoding="utf-8")))
    (rule,) = document["rules"]
    assert (rule["id"], rule["bad"], rule["means"]) == ("H3", STATUS.bad, ["watch"])


def test_the_command_prints_the_whole_catalogue():
    done = run_wsgix("rules", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert [rule["id"] for rule in json.loads(done.stdout)["rules"]] == [rule.id for rule in all_rules()]


def test_a_reader_that_went_away_is_no_fault():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "wsgix", "rules"], stdout=write, stderr=subprocess.PIPE, timeout=60
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
