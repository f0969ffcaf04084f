"""Reports as JUnit's XML, which every continuous-integration service reads: one suite a subject.

There is no standard, only what Ant once wrote and the Jenkins plug-in accepts: `testsuites`, `testsuite`,
`testcase`, and in a case one of `failure`, `error`, `skipped`. No more than that is used here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree

from wsgix.conform.rule import Level, Verdict

from .terminal import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsgix.conform.rule import Evidence, Judgement, Report

_ELEMENTS: Final = {
    Verdict.FAIL: "failure",
    Verdict.SETUP_FAILED: "error",
    Verdict.HARNESS_FAILED: "error",
    Verdict.DEPENDENCY_FAILED: "skipped",
    Verdict.NOT_APPLICABLE: "skipped",
}
"""Verdict to the element that tells it; a case without one passed."""


def render_junit(reports: Sequence[Report], weight: int = Level.MAY.weight) -> str:
    """Return one XML document.

    Args:
        reports: what to tell.
        weight: the least weight of a rule whose breach is a failure; a lighter one is skipped, so that the
            service and the exit status agree.
    """
    root = ElementTree.Element("testsuites", name="wsgix")
    for report in reports:
        _add_suite(root, report, weight)
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    root.set("time", f"{sum(report.seconds for report in reports):.3f}")
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _add_suite(root: ElementTree.Element, report: Report, weight: int) -> None:
    name = printable(report.subject.name)
    suite = ElementTree.SubElement(root, "testsuite", name=name)
    if report.date:
        suite.set("timestamp", printable(report.date))
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in (
        ("version", report.subject.version),
        ("side", report.subject.side.value),
        ("wsgix", report.tool),
    ):
        if value:
            ElementTree.SubElement(properties, "property", name=key, value=printable(value))
    for judgement in report.judgements:
        _add_case(suite, name, judgement, weight)
    if report.fault:
        case = ElementTree.SubElement(suite, "testcase", classname=name, name="can be judged", time="0.000")
        ElementTree.SubElement(case, "error", message=printable(report.fault), type="fault")
    suite.set("tests", str(len(suite.findall("testcase"))))
    for count, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(len(suite.findall(f"testcase/{element}"))))
    suite.set("time", f"{report.seconds:.3f}")


def _add_case(suite: ElementTree.Element, subject: str, judgement: Judgement, weight: int) -> None:
    rule = judgement.rule
    name = f"{rule.id} {rule.slug}" + (f" [{judgement.case}]" if judgement.case else "")
    case = ElementTree.SubElement(
        suite, "testcase", classname=subject, name=printable(name), time=f"{judgement.seconds:.3f}"
    )
    element = _ELEMENTS.get(judgement.verdict)
    message = judgement.seen or judgement.verdict.value
    if element == "failure" and rule.level.weight < weight:
        element, message = "skipped", f"{rule.level.value} counts for less than the chosen level: {message}"
    if element is None:
        if judgement.verdict is Verdict.INFORMATION:
            ElementTree.SubElement(case, "system-out").text = printable(judgement.seen)
        return
    told = ElementTree.SubElement(case, element, message=printable(message))
    if element != "skipped":
        told.set("type", rule.level.value if judgement.verdict is Verdict.FAIL else judgement.verdict.value)
    told.text = "\n".join(_lines(judgement))


def _lines(judgement: Judgement) -> list[str]:
    told = [
        ("rule", judgement.rule.says),
        ("source", f"{judgement.rule.source} {judgement.rule.source.url}".strip()),
        ("seen", judgement.seen),
        ("wanted", judgement.wanted),
        ("where", judgement.where),
    ]
    lines = [f"{label}: {printable(text)}" for label, text in told if text]
    for evidence in judgement.evidence:
        lines += _evidence_lines(evidence)
    return lines


def _evidence_lines(evidence: Evidence) -> list[str]:
    lines = [f"sent: {evidence.sent!r}"] if evidence.sent else []
    lines += [f"received: {evidence.received!r}"] if evidence.received else []
    return lines + ([f"note: {printable(evidence.note)}"] if evidence.note else [])
