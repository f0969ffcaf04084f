"""Reports as JUnit's XML: its shape, what each verdict becomes, and what another reader makes of it."""

from xml.etree import ElementTree

import junitparser
import pytest

from tests.conform.report.made import HOSTILE, judge
from wsgix.conform.report import render_junit
from wsgix.conform.rule import Evidence, Level, Report, Side, Subject, Verdict

# The elements and attributes that the Jenkins plug-in knows, and what may stand in what.
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase"},
    "properties": {"property"},
    "testcase": {"failure", "error", "skipped", "system-out"},
}
REQUIRED = {
    "testsuites": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time"},
    "property": {"name", "value"},
    "testcase": {"classname", "name", "time"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message"},
}
OPTIONAL = {"testsuite": {"timestamp"}}


def parse(reports, *arguments):
    root = ElementTree.fromstring(render_junit(reports, *arguments))
    assert root.tag == "testsuites"
    for element in root.iter():
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set())
        required = REQUIRED.get(element.tag, set())
        assert required <= set(element.attrib) <= required | OPTIONAL.get(element.tag, set())
    return root


def case_of(judgement, *arguments):
    root = parse([Report(Subject("alpha", Side.SERVER), (judgement,))], *arguments)
    (case,) = root.iter("testcase")
    return case


def test_suites_count_their_cases(reports):
    root = parse(reports)

    counts = [
        [suite.get(name) for name in ("name", "tests", "failures", "errors", "skipped")] for suite in root
    ]
    assert counts == [
        ["alpha", "7", "3", "1", "0"],
        ["beta", "5", "0", "1", "2"],
        ["shop:app", "6", "5", "0", "0"],
        ["gamma", "1", "0", "1", "0"],
    ]
    assert [root.get(name) for name in ("tests", "failures", "errors", "skipped", "time")] == [
        "19", "8", "3", "2", "3.500",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "element", "type"),
    [
        (Verdict.FAIL, "failure", "MUST"),
        (Verdict.SETUP_FAILED, "error", "set-up failed"),
        (Verdict.HARNESS_FAILED, "error", "harness failed"),
        (Verdict.DEPENDENCY_FAILED, "skipped", None),
        (Verdict.NOT_APPLICABLE, "skipped", None),
    ],
)
def test_each_verdict_has_its_element(verdict, element, type):
    (told,) = case_of(judge("E2", verdict, seen="a list"))

    assert (told.tag, told.get("message"), told.get("type")) == (element, "a list", type)


def test_every_verdict_has_a_place():
    for verdict in Verdict:
        assert len(case_of(judge("E2", verdict))) == (verdict is not Verdict.PASS)


def test_information_passes_and_is_told():
    (told,) = case_of(judge("X2", Verdict.INFORMATION, seen="it is there"))

    assert (told.tag, told.text) == ("system-out", "it is there")


def test_a_failure_tells_the_rule_what_was_seen_and_the_evidence(first_server):
    (told,) = [
        one for one in parse([first_server]).iter("failure") if one.get("message") == "REMOTE_USER is ''"
    ]

    assert told.text == (
        "rule: What no-empty-variables says.\n"
        'source: PEP 3333, "Error Handling" https://peps.python.org/pep-3333/#error-handling\n'
        "seen: REMOTE_USER is ''\n"
        "wanted: no REMOTE_USER, or one that tells something\n"
        r"sent: b'GET / HTTP/1.1\r\n\r\n'"
        "\n"
        rf"received: {HOSTILE!r}"
        "\n"
        "note: a <note>"
    )


@pytest.mark.parametrize(
    ("id", "weight", "element"),
    [
        ("E2", Level.MUST.weight, "failure"),
        ("E10", Level.MUST.weight, "skipped"),
        ("E10", Level.SHOULD.weight, "failure"),
        ("X1", Level.SHOULD.weight, "skipped"),
    ],
)
def test_a_breach_that_does_not_count_is_skipped(id, weight, element):
    (told,) = case_of(judge(id, Verdict.FAIL, seen="this"), weight)

    assert told.tag == element
    assert told.get("message").endswith("this")


def test_what_xml_cannot_hold_is_spelled_out():
    evil = "\x00\x1b]]><x>&\ufffe\ud800"
    report = Report(
        Subject(evil, Side.SERVER, evil),
        (
            judge(
                "E2",
                Verdict.FAIL,
                seen=evil,
                wanted=evil,
                case=evil,
                where=evil,
                evidence=(Evidence(note=evil),),
            ),
        ),
        date=evil,
        tool=evil,
        fault=evil,
    )

    suite = parse([report])[0]

    assert suite.get("name") == r"\x00\x1b]]><x>&\ufffe\ud800"


def test_another_reader_understands_it(reports):
    suites = junitparser.JUnitXml.fromstring(render_junit(reports).encode())

    kinds = [[type(result).__name__ for case in suite for result in case.result] for suite in suites]
    assert kinds[1] == ["Skipped", "Error", "Skipped"]
    assert [suite.name for suite in suites] == ["alpha", "beta", "shop:app", "gamma"]
    assert suites.failures == sum(kind == "Failure" for suite in kinds for kind in suite)
