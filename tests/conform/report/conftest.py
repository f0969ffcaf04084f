"""Reports as they come from judging: two servers and an application, by rules made for the tests."""

import pytest

from tests.conform.report.made import HOSTILE, RULES, judge
from wsgix.conform.rule import Evidence, Profile, Report, Side, Subject, Verdict


@pytest.fixture
def rules():
    return RULES


@pytest.fixture
def first_server():
    return Report(
        Subject("alpha", Side.SERVER, "1.0"),
        (
            judge("E2", Verdict.PASS, case="environ", seconds=0.001),
            judge(
                "E10",
                Verdict.FAIL,
                seen="REMOTE_USER is ''",
                wanted="no REMOTE_USER, or one that tells something",
                case="environ",
                evidence=(Evidence(b"GET / HTTP/1.1\r\n\r\n", HOSTILE, "a <note>"),),
                seconds=0.25,
            ),
            judge("R1", Verdict.PASS, case="late head"),
            judge("R1", Verdict.FAIL, seen="the head came <first>", wanted="nothing", case="early head"),
            judge("C4", Verdict.SETUP_FAILED, seen="no answer came", case="close"),
            judge("X1", Verdict.FAIL, seen="no wsgi.input_terminated", wanted="True"),
            judge("X2", Verdict.INFORMATION, seen="wsgi.file_wrapper is there"),
        ),
        profiles=frozenset(Profile),
        tool="0.1.0",
        date="2026-11-26T12:00:00+00:00",
        seconds=1.5,
    )


@pytest.fixture
def second_server():
    return Report(
        Subject("beta", Side.SERVER, "2.0"),
        (
            judge("E2", Verdict.PASS),
            judge("E10", Verdict.PASS),
            judge("R1", Verdict.DEPENDENCY_FAILED, seen="E2 was not kept"),
            judge("C4", Verdict.HARNESS_FAILED, seen="KeyError: 'x'"),
            judge("X2", Verdict.NOT_APPLICABLE, seen="there is no file wrapper"),
        ),
        profiles=frozenset({Profile.PEP3333}),
        tool="0.1.0",
        date="2026-11-26T12:01:00+00:00",
        seconds=2.0,
    )


@pytest.fixture
def application():
    return Report(
        Subject("shop:app", Side.APPLICATION),
        (
            *(
                judge(
                    "H3",
                    Verdict.FAIL,
                    seen=f"the status '{200 + number}'",
                    wanted="three digits, a space, a reason",
                    case=f"GET /{number}",
                    where=f"shop/app.py:{12 + number} in index",
                )
                for number in range(5)
            ),
            judge("B2", Verdict.PASS),
        ),
        date="2026-11-26T12:02:00+00:00",
    )


@pytest.fixture
def unjudged():
    return Report(Subject("gamma", Side.SERVER), (), fault="it did not start: <nothing> listens")


@pytest.fixture
def reports(first_server, second_server, application, unjudged):
    return [first_server, second_server, application, unjudged]
