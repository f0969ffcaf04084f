"""Reports as JSON: they keep to the published schema, lose nothing, are read again; others are refused."""

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conform.report.made import HOSTILE, RULES
from wsgix.conform.report import ReportFormatError, json_document, parse_json, render_json, render_rules
from wsgix.conform.rule import (
    Evidence,
    Judgement,
    Level,
    Means,
    Profile,
    Report,
    Side,
    Status,
    Subject,
    Verdict,
)
from wsgix.conform.rules import all_rules

SCHEMAS = Path(__file__).parents[3] / "docs" / "schema"


def schema(name):
    document = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(document)
    return document


REPORT_SCHEMA = schema("report-1.json")
RULES_SCHEMA = schema("rules-1.json")


def validate(text, schema):
    document = json.loads(text)
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    return document


@pytest.fixture
def known(rules, monkeypatch):
    """Let the rules of the tests be those that this version knows."""
    monkeypatch.setattr(json_document, "all_rules", lambda: tuple(rules.values()))


def test_reports_keep_to_the_schema(reports):
    document = validate(render_json(reports), REPORT_SCHEMA)

    assert [one["subject"]["name"] for one in document["reports"]] == ["alpha", "beta", "shop:app", "gamma"]


def test_no_report_is_a_document_too():
    assert validate(render_json([]), REPORT_SCHEMA)["reports"] == []


def test_reports_are_read_again_as_they_were(known, reports):
    assert parse_json(render_json(reports)) == reports


def test_the_same_reports_make_the_same_text(known, reports):
    text = render_json(reports)

    assert render_json(parse_json(text)) == text


@given(
    sent=st.binary(),
    received=st.binary(),
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=5, max_size=5),
    seconds=st.floats(0, 1e9),
    verdict=st.sampled_from(Verdict),
)
def test_no_byte_and_no_character_is_lost(sent, received, texts, seconds, verdict):
    judgement = Judgement(RULES["E2"], verdict, *texts[:4], (Evidence(sent, received, texts[4]),), seconds)
    report = Report(Subject("a", Side.SERVER), (judgement,))
    text = render_json([report])
    validate(text, REPORT_SCHEMA)

    (read,) = parse_json(text)

    assert read.judgements[0].evidence == judgement.evidence
    assert (read.judgements[0].seen, read.judgements[0].where) == (judgement.seen, judgement.where)
    assert read.judgements[0].seconds == seconds


def test_evidence_stays_readable(first_server):
    document = json.loads(render_json([first_server]))
    (evidence,) = document["reports"][0]["judgements"][1]["evidence"]

    assert evidence == {
        "sent": "GET / HTTP/1.1\r\n\r\n",
        "received": "<script>alert(1)</script>\x1b[31m\x00\u00ff",
        "note": "a <note>",
    }
    assert evidence["received"].encode("latin-1") == HOSTILE


def test_a_rule_that_this_version_does_not_know_is_made_from_the_document(rules, reports, monkeypatch):
    monkeypatch.setattr(json_document, "all_rules", tuple)
    text = render_json(reports)

    (read, *_) = parse_json(text)

    assert read.judgements[0].rule is not rules["E2"]
    assert read.judgements[0].rule.says == rules["E2"].says
    assert render_json(parse_json(text)) == text


def damaged(change):
    def damage(text):
        document = json.loads(text)
        change(document)
        return json.dumps(document)

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:-9], "it is not JSON"),
        (lambda text: "[]", "its schema is None"),
        (lambda text: '"wsgix-report-1"', "its schema is None"),
        (damaged(lambda it: it.update(schema="wsgix-report-2")), "'wsgix-report-2'"),
        (damaged(lambda it: it.pop("rules")), "there is no 'rules'"),
        (damaged(lambda it: it.pop("reports")), "there is no 'reports'"),
        (damaged(lambda it: it.update(reports=1)), "a value in it is wrong"),
        (damaged(lambda it: it["reports"][0].update(subject="alpha")), "a value in it is wrong"),
        (damaged(lambda it: it["reports"][0].update(profiles=["x"])), "'x' is no profile"),
        (damaged(lambda it: it["reports"][0].update(date=None)), "its 'date' is no text"),
        (damaged(lambda it: it["reports"][0]["subject"].update(name=["alpha"])), "its 'name' is no text"),
        (damaged(lambda it: it["reports"][0]["judgements"][0].update(where=5)), "its 'where' is no text"),
        (damaged(lambda it: it["reports"][0].update(seconds="1")), "its 'seconds' is no number"),
        (damaged(lambda it: it["reports"][0].update(seconds=10**400)), "its 'seconds' is no number"),
        (lambda text: "[" * 100_000, "it is not JSON"),
        (
            damaged(lambda it: it["reports"][0]["judgements"][0].update(verdict="good")),
            "'good' is no verdict",
        ),
        (damaged(lambda it: it["reports"][0]["judgements"][0].update(rule="E99")), "there is no 'E99'"),
        (
            damaged(lambda it: it["reports"][0]["judgements"][1]["evidence"][0].update(sent="\u20ac")),
            "a value in it is wrong",
        ),
    ],
)
def test_what_is_no_report_is_refused_in_one_line(reports, damage, message):
    with pytest.raises(ReportFormatError) as caught:
        parse_json(damage(render_json(reports)))

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def enum_values(enumeration):
    return sorted(member.value for member in enumeration)


def test_the_schemas_know_every_value_there_is():
    definitions = REPORT_SCHEMA["$defs"]
    rule = RULES_SCHEMA["$defs"]["rule"]["properties"]

    assert sorted(definitions["judgement"]["properties"]["verdict"]["enum"]) == enum_values(Verdict)
    assert sorted(definitions["side"]["enum"]) == enum_values(Side)
    assert sorted(definitions["profiles"]["items"]["enum"]) == enum_values(Profile)
    assert sorted(definitions["rule"]["properties"]["level"]["enum"]) == enum_values(Level)
    assert sorted(definitions["rule"]["properties"]["status"]["enum"]) == enum_values(Status)
    assert sorted(rule["means"]["items"]["enum"]) == enum_values(Means)


def test_the_two_schemas_say_the_same_of_a_rule():
    in_reports = REPORT_SCHEMA["$defs"]
    in_rules = RULES_SCHEMA["$defs"]

    assert in_reports["rule"]["properties"].items() <= in_rules["rule"]["properties"].items()
    assert all(in_reports[name] == in_rules[name] for name in ("id", "side", "profiles"))


def test_the_catalogue_keeps_to_its_schema():
    validate(render_rules(all_rules(), "0.1.0"), RULES_SCHEMA)


def test_whole_rules_keep_to_their_schema(rules):
    document = validate(render_rules(rules.values(), "0.1.0"), RULES_SCHEMA)

    assert [rule["id"] for rule in document["rules"]] == list(rules)
