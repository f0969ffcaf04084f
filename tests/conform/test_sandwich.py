"""Middleware between two recorders: what is asked, what is reported, and what cannot be judged."""

import sys
import threading

import pytest

from tests.conform.broken.middleware import Passed, around
from wsgix.conform import below
from wsgix.conform.play import Call, Request
from wsgix.conform.rule import CLEAN, FINDINGS, NOT_JUDGED, Side, Verdict, exit_status
from wsgix.conform.sandwich import SHAPES, judge_middleware
from wsgix.conform.strict import watch


def verdicts(report):
    return {judgement.rule.id: judgement.verdict for judgement in report.judgements}


@pytest.mark.parametrize(("name", "shape", "attributes"), SHAPES, ids=[name for name, *_ in SHAPES])
def test_each_shape_below_keeps_every_binding_rule_itself(name, shape, attributes):
    found = []
    inner = below.Below()
    inner.shape = shape

    call = Call(watch(inner, report=found.append), Request(**attributes)).begin().finish()

    assert [one.rule.id for one in found if one.rule.level.weight > 2] == []
    assert inner.visits[0].breaches == []
    assert call.error is None or isinstance(call.error, below.BelowFailed)


def test_a_file_is_sent_without_a_file_wrapper_too():
    inner = below.Below()
    inner.shape = below.file

    call = Call(inner, Request(without=frozenset({"wsgi.file_wrapper"}))).begin().finish()

    assert call.content == b"0123456789" * 300
    assert len(call.blocks) == 3


def test_the_shapes_are_of_every_kind():
    inner = below.Below()
    seen = set()
    for _, shape, attributes in SHAPES:
        inner.shape = shape
        call = Call(inner, Request(**attributes)).begin().finish()
        visit = inner.visits[-1]
        seen |= {
            "written" if call.written else "",
            "raised" if visit.raised else "",
            "exc_info" if visit.error else "",
            "several" if len(call.blocks) > 1 else "",
            "empty" if b"" in call.blocks else "",
            "none" if call.starts and not call.blocks else "",
            call.request.method,
        }

    assert seen >= {"written", "raised", "exc_info", "several", "empty", "none", "HEAD", "POST"}


def test_middleware_that_passes_everything_on_is_clean():
    report = judge_middleware(around(), name="shop:outer")

    assert set(verdicts(report).values()) == {Verdict.PASS}
    assert list(verdicts(report)) == ["M1", "M2", "M3", "M4", "M5", "M6", "M7", "M8", "M10", "M12"]
    assert (report.subject.name, report.subject.side) == ("shop:outer", Side.MIDDLEWARE)
    assert exit_status([report]) == CLEAN


def test_the_middleware_is_asked_for_each_path_with_the_fields_of_the_user():
    asked = set()

    def note(environ):
        asked.add((environ["PATH_INFO"], environ.get("HTTP_COOKIE")))
        return environ

    judge_middleware(around(environ=note), paths=["/a", "/b?c=d"], fields=iter([("Cookie", "e=f")]))

    assert asked == {("/a", "e=f"), ("/b", "e=f")}


def test_a_should_of_applications_that_middleware_breaks_is_no_must():
    def middleware(app):
        def wrapped(environ, start_response):
            environ["wsgi.errors"].write("a visit\r\n")
            return app(environ, start_response)

        return wrapped

    report = judge_middleware(middleware)

    assert [one.rule.id for one in report.failures()] == ["I5"]
    assert [one.rule.id for one in judge_middleware(middleware, ignore=["I5"]).failures()] == []
    assert exit_status([report]) == FINDINGS


def test_rules_can_be_selected():
    broken = around(lambda blocks: (block for block in blocks))

    assert list(verdicts(judge_middleware(broken, select=["M7"]))) == ["M7"]
    assert "M7" not in verdicts(judge_middleware(broken, ignore=["M7"]))
    with pytest.raises(ValueError, match="no rule or chapter 'M99'"):
        judge_middleware(broken, select=["M99"])


def test_findings_in_several_shapes_stand_once_and_list_the_others():
    (finding,) = judge_middleware(around(lambda blocks: (block for block in blocks))).failures()

    assert finding.case == "sandwich/one-block: GET /"
    assert "sandwich/several-blocks: GET / closed after 0 blocks" in finding.evidence[0].note


def test_one_that_waits_for_several_blocks_is_not_blamed_for_yielding_fewer():
    class Joined(Passed):
        def __next__(self):
            blocks = list(self.iterator)
            if not blocks:
                raise StopIteration
            return b"".join(blocks)

    found = verdicts(judge_middleware(around(Joined)))

    assert found["M2"] is Verdict.FAIL
    assert found["M3"] is Verdict.DEPENDENCY_FAILED


def test_one_that_yields_a_block_in_parts_holds_nothing_back():
    class Parts(Passed):
        rest = b""

        def __next__(self):
            block, self.rest = self.rest or next(self.iterator), b""
            block, self.rest = block[:100], block[100:]
            return block

    assert judge_middleware(around(Parts)).failures() == []


@pytest.mark.parametrize(
    ("factory", "fault"),
    [
        (
            lambda app: 1 / 0,
            "outer raised ZeroDivisionError when it was given an application: division by zero",
        ),
        (lambda app: sys.exit(0), "outer raised SystemExit when it was given an application: 0"),
        (lambda app: "wrapped", "outer returned 'wrapped' for an application, which cannot be called"),
        (lambda: None, "outer raised TypeError when it was given an application: "),
    ],
)
def test_what_is_no_middleware_is_not_judged(factory, fault):
    report = judge_middleware(factory, name="outer")

    assert report.fault.startswith(fault)
    assert report.judgements == ()
    assert exit_status([report]) == NOT_JUDGED


def test_middleware_that_hangs_where_the_application_does_not_breaks_a_rule():
    ended = threading.Event()

    def stall(environ):
        if environ["REQUEST_METHOD"] == "POST":
            ended.wait()
        return environ

    try:
        report = judge_middleware(around(environ=stall), timeout=2)
    finally:
        ended.set()

    found = verdicts(report)
    assert found.pop("M1") is Verdict.FAIL
    assert set(found.values()) == {Verdict.SETUP_FAILED}
    assert report.judgements[0].case == "sandwich/echo: POST /"
    assert report.judgements[0].seen == "POST / did not end within 2 s"
    assert report.fault == ""


def test_an_error_that_the_application_below_raises_is_no_fault_of_the_middleware():
    report = judge_middleware(around())

    assert report.failures() == []


@pytest.mark.parametrize(
    ("change", "breach"),
    [
        (list, "it gave an environ of type list, not dict"),
        (
            lambda environ: {**environ, "wsgi.version": "1.0"},
            "it gave an environ whose wsgi.version is '1.0'",
        ),
        (lambda environ: {**environ, 7: "x"}, "it gave an environ with the key 7"),
        (lambda environ: {**environ, "HTTP_X": None}, "it gave an environ whose HTTP_X is None"),
        (lambda environ: {**environ, "wsgi.errors": None}, "it gave a wsgi.errors without write"),
    ],
)
def test_what_no_server_may_give_is_noted_below(change, breach):
    findings = judge_middleware(around(environ=change), select=["M1"]).failures()

    assert breach in [finding.seen for finding in findings]
