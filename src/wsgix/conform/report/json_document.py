"""Reports as JSON for other programs, and back: what docs/schema/report-1.json and rules-1.json describe.

Evidence is bytes, and JSON has none: each byte becomes the character of the same number, U+0000 to U+00FF, as
PEP 3333 itself carries bytes in strings. So ASCII stays readable and nothing is lost.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeVar

from wsgix.conform.rule import (
    Evidence,
    Judgement,
    Level,
    Profile,
    Report,
    Rule,
    Side,
    Source,
    Status,
    Subject,
    Verdict,
)
from wsgix.conform.rules import all_rules

from .matrix import rules_of

if TYPE_CHECKING:
    import enum
    from collections.abc import Iterable, Sequence

    Member = TypeVar("Member", bound=enum.Enum)

SCHEMA_VERSION: Final = 1


class ReportFormatError(ValueError):
    """A text is no report of this version; the message tells in one line what is wrong."""


def render_json(reports: Sequence[Report]) -> str:
    """Return one JSON document with all the reports and the words of every rule in them."""
    document = {
        "schema": f"wsgix-report-{SCHEMA_VERSION}",
        "reports": [_report_record(report) for report in reports],
        "rules": [rule_record(rule) for rule in rules_of(reports)],
    }
    return json.dumps(document, indent=1) + "\n"


def render_rules(rules: Iterable[Rule], tool: str) -> str:
    """Return one JSON document with whole rules, examples too; *tool* is the version of wsgix."""
    document = {
        "schema": f"wsgix-rules-{SCHEMA_VERSION}",
        "tool": tool,
        "rules": [
            {
                **rule_record(rule),
                "good": rule.good,
                "bad": rule.bad,
                "means": [means.value for means in rule.means],
                "untestable": rule.untestable,
            }
            for rule in rules
        ],
    }
    return json.dumps(document, indent=1) + "\n"


def rule_record(rule: Rule) -> dict[str, Any]:
    """Return what a reader of a finding needs to know of its rule."""
    return {
        "id": rule.id,
        "slug": rule.slug,
        "level": rule.level.value,
        "binds": rule.binds.value,
        "source": {
            "document": rule.source.document,
            "section": rule.source.section,
            "url": rule.source.url,
        },
        "quote": rule.quote,
        "says": rule.says,
        "why": rule.why,
        "profiles": _values(rule.profiles),
        "status": rule.status.value,
        "since": rule.since,
    }


def _values(members: Iterable[Profile]) -> list[str]:
    """List the values of a set in the order of the enumeration, which is the same in every run."""
    chosen = frozenset(members)
    return [member.value for member in Profile if member in chosen]


def _report_record(report: Report) -> dict[str, Any]:
    subject = report.subject
    return {
        "subject": {"name": subject.name, "side": subject.side.value, "version": subject.version},
        "tool": report.tool,
        "date": report.date,
        "seconds": report.seconds,
        "profiles": _values(report.profiles),
        "fault": report.fault,
        "judgements": [_judgement_record(judgement) for judgement in report.judgements],
    }


def _judgement_record(judgement: Judgement) -> dict[str, Any]:
    return {
        "rule": judgement.rule.id,
        "verdict": judgement.verdict.value,
        "seen": judgement.seen,
        "wanted": judgement.wanted,
        "case": judgement.case,
        "where": judgement.where,
        "seconds": judgement.seconds,
        "evidence": [
            {
                "sent": evidence.sent.decode("latin-1"),
                "received": evidence.received.decode("latin-1"),
                "note": evidence.note,
            }
            for evidence in judgement.evidence
        ],
    }


def parse_json(text: str) -> list[Report]:
    """Read what `render_json` wrote, by this version or another of the same schema.

    Rules that this version knows are its own records; others are made from what the document says of them.

    Raises:
        ReportFormatError: the text is no such document.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReportFormatError(f"it is not JSON: {error}") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != f"wsgix-report-{SCHEMA_VERSION}":
        raise ReportFormatError(f"its schema is {schema!r}, but wanted is 'wsgix-report-{SCHEMA_VERSION}'")
    try:
        rules = {record["id"]: _rule(record) for record in document["rules"]}
        rules.update({rule.id: rule for rule in all_rules() if rule.id in rules})
        return [_report(record, rules) for record in document["reports"]]
    except KeyError as error:
        raise ReportFormatError(f"there is no {error} where one is due") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise ReportFormatError(f"a value in it is wrong: {error}") from None


def _member(enumeration: type[Member], value: object) -> Member:
    try:
        return enumeration(value)
    except ValueError:
        raise ReportFormatError(f"{value!r} is no {enumeration.__name__.lower()}") from None


def _text(record: dict[str, Any], name: str) -> str:
    value = record[name]
    if type(value) is not str:
        raise ReportFormatError(f"its {name!r} is no text")
    return value


def _seconds(record: dict[str, Any]) -> float:
    value = record["seconds"]
    # A whole number in JSON may have more digits than a float can hold.
    if not (type(value) is float or (type(value) is int and abs(value) < 1 << 63)):
        raise ReportFormatError("its 'seconds' is no number of seconds")
    return value


def _rule(record: dict[str, Any]) -> Rule:
    source = record["source"]
    return Rule(
        id=_text(record, "id"),
        slug=_text(record, "slug"),
        level=_member(Level, record["level"]),
        binds=_member(Side, record["binds"]),
        source=Source(_text(source, "document"), _text(source, "section"), _text(source, "url")),
        quote=_text(record, "quote"),
        says=_text(record, "says"),
        why=_text(record, "why"),
        profiles=frozenset(_member(Profile, value) for value in record["profiles"]),
        status=_member(Status, record["status"]),
        since=_text(record, "since"),
    )


def _report(record: dict[str, Any], rules: dict[str, Rule]) -> Report:
    subject = record["subject"]
    return Report(
        subject=Subject(_text(subject, "name"), _member(Side, subject["side"]), _text(subject, "version")),
        judgements=tuple(_judgement(one, rules) for one in record["judgements"]),
        profiles=frozenset(_member(Profile, value) for value in record["profiles"]),
        tool=_text(record, "tool"),
        date=_text(record, "date"),
        seconds=_seconds(record),
        fault=_text(record, "fault"),
    )


def _judgement(record: dict[str, Any], rules: dict[str, Rule]) -> Judgement:
    return Judgement(
        rule=rules[record["rule"]],
        verdict=_member(Verdict, record["verdict"]),
        seen=_text(record, "seen"),
        wanted=_text(record, "wanted"),
        case=_text(record, "case"),
        where=_text(record, "where"),
        seconds=_seconds(record),
        evidence=tuple(
            Evidence(one["sent"].encode("latin-1"), one["received"].encode("latin-1"), _text(one, "note"))
            for one in record["evidence"]
        ),
    )
