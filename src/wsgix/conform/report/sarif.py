"""Findings as SARIF 2.1.0, which code hosts and editors show at the line of the code.

Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0". One run a subject. Breaches
and information are results; what could not be found out is a notification of the run, since a result would
accuse the subject.
"""

from __future__ import annotations

import json
import os.path
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from wsgix.conform.rule import Level, Report, Rule, Verdict

from .matrix import rules_of
from .terminal import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsgix.conform.rule import Judgement

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

LEVELS: Final = {
    Level.MUST.weight: "error",
    Level.SHOULD.weight: "warning",
    Level.DE_FACTO.weight: "note",
    Level.MAY.weight: "note",
}
"""The weight of a rule to the `level` of its breach (SARIF, section 3.27.10)."""

_UNDECIDED: Final = (Verdict.SETUP_FAILED, Verdict.HARNESS_FAILED)

_WHERE: Final = re.compile(r"(?P<file>.+?):(?P<line>[1-9]\d*)(?: in (?P<name>.+))?")


def render_sarif(reports: Sequence[Report], root: str = "") -> str:
    """Return one SARIF log.

    Args:
        reports: what to tell.
        root: the folder to which paths are made relative if they are in it; viewers resolve these against
            the checkout.
    """
    document = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [_run(report, root) for report in reports],
    }
    return json.dumps(document, indent=1) + "\n"


def _run(report: Report, root: str) -> dict[str, Any]:
    rules = rules_of([report])
    index = {rule.id: number for number, rule in enumerate(rules)}
    undecided = [judgement for judgement in report.judgements if judgement.verdict in _UNDECIDED]
    notifications = [
        {
            "level": "error",
            "message": {"text": f"{printable(report.subject.name)}: {printable(report.fault)}"},
        }
    ] * bool(report.fault)
    notifications += [_notification(judgement, index) for judgement in undecided]
    invocation: dict[str, Any] = {
        "executionSuccessful": not report.fault,
        "toolExecutionNotifications": notifications,
    }
    if report.date:
        invocation["endTimeUtc"] = _utc(report.date)
    driver: dict[str, Any] = {"name": "wsgix", "rules": [_descriptor(rule) for rule in rules]}
    if report.tool:
        driver["version"] = report.tool
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"wsgix/{printable(report.subject.name)}/"},
        "invocations": [invocation],
        "results": [
            _result(judgement, index, root)
            for judgement in report.judgements
            if judgement.verdict in (Verdict.FAIL, Verdict.INFORMATION)
        ],
    }


def _descriptor(rule: Rule) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.slug.split("-")),
        "shortDescription": {"text": rule.says},
        "fullDescription": {"text": rule.why},
        "defaultConfiguration": {"level": LEVELS[rule.level.weight]},
        "help": {"text": "\n\n".join(filter(None, [rule.says, rule.why, _source(rule)]))},
        "properties": {"tags": sorted(profile.value for profile in rule.profiles), "binds": rule.binds.value},
    }
    if rule.source.url:
        record["helpUri"] = rule.source.url
    return record


def _source(rule: Rule) -> str:
    words = f'{rule.source}: "{rule.quote}"' if rule.quote else str(rule.source)
    return f"{words} {rule.source.url}".strip()


def _result(judgement: Judgement, index: dict[str, int], root: str) -> dict[str, Any]:
    rule = judgement.rule
    failed = judgement.verdict is Verdict.FAIL
    result: dict[str, Any] = {
        "ruleId": rule.id,
        "ruleIndex": index[rule.id],
        "kind": "fail" if failed else "informational",
        "level": LEVELS[rule.level.weight] if failed else "none",
        "message": {"text": _message(judgement)},
    }
    location = _location(judgement.where, root)
    if location:
        result["locations"] = [location]
    if judgement.case:
        result["properties"] = {"case": printable(judgement.case)}
    return result


def _message(judgement: Judgement) -> str:
    seen = printable(judgement.seen) or judgement.rule.says
    return f"{seen}; wanted: {printable(judgement.wanted)}" if judgement.wanted else seen


def _notification(judgement: Judgement, index: dict[str, int]) -> dict[str, Any]:
    rule = judgement.rule
    return {
        "level": "warning",
        "associatedRule": {"id": rule.id, "index": index[rule.id]},
        "message": {"text": f"{rule.id} {rule.slug}: {judgement.verdict.value}: {printable(judgement.seen)}"},
    }


def _location(where: str, root: str) -> dict[str, Any]:
    """Make a location of "app.py:12 in index"; empty where the place is none of that form."""
    found = _WHERE.fullmatch(where)
    if found is None:
        return {}
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(found["file"], root)},
            "region": {"startLine": int(found["line"])},
        }
    }
    if found["name"]:
        location["logicalLocations"] = [{"name": printable(found["name"])}]
    return location


def _uri(file: str, root: str) -> str:
    """Spell a path as a URI reference: relative below *root*, else as it is (RFC 3986, section 4.1)."""
    if not os.path.isabs(file):
        return quote(file.replace(os.sep, "/"), errors="surrogateescape")
    if root and Path(file).is_relative_to(root):
        return quote(Path(file).relative_to(root).as_posix(), errors="surrogateescape")
    return Path(file).as_uri()


def _utc(date: str) -> str:
    """Spell a date of ISO 8601 in UTC as SARIF wants it, with a Z (section 3.9)."""
    return re.sub(r"\+00:00$", "Z", date)
