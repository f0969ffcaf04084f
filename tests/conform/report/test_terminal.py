"""The report at a terminal: findings first and whole, all else in brief, no line too long, nothing obeyed."""

import re

import pytest

from wsgix.conform.report import render_terminal
from wsgix.conform.rule import Evidence, Judgement, Report, Side, Subject, Verdict

ESCAPE = re.compile(r"\x1b\[\d*m")


def test_a_report_reads_so(first_server):
    assert render_terminal([first_server], color=False, width=80) == (
        """\
alpha 1.0, a server, held to pep3333, stdlib, http, de-facto

failed (3)
  R1    MUST NOT    head-waits-for-content
        seen    the head came <first>
        wanted  nothing
        case    early head
  E10   SHOULD      no-empty-variables
        seen    REMOTE_USER is ''
        wanted  no REMOTE_USER, or one that tells something
        case    environ
  X1    de facto    input-terminated
        seen    no wsgi.input_terminated
        wanted  True

set-up failed (1)
  C4    MUST        close-runs-once
        seen    no answer came
        case    close

information (1)
  X2    MAY         file-wrapper
        seen    wsgi.file_wrapper is there

passed (1)
  E2

alpha: 1 passed, 3 failed (1 MUST, 1 SHOULD, 1 de facto), 1 set-up failed, 1
information; 1.5 s

"""
    )


def test_a_rule_broken_many_times_is_shown_a_few_times_and_counted(application):
    text = render_terminal([application], color=False, width=80)

    assert text.count("where   shop/app.py:") == 3
    assert "and 2 more like it" in text
    assert "1 failed (1 MUST)" in text


def test_what_cannot_be_judged_says_why(unjudged):
    text = render_terminal([unjudged], color=False, width=80)

    assert "could not be judged: it did not start: <nothing> listens\n" in text


def test_several_subjects_are_compared_at_the_end(reports):
    text = render_terminal(reports, color=False, width=80)

    assert text.endswith(
        """\
failed rules by level
subject    passed  MUST  SHOULD  de facto  MAY
alpha 1.0       1     1       1         1    0
beta 2.0        2     0       0         0    0
shop:app        1     1       0         0    0
gamma           0     -       -         -    -

"""
    )


@pytest.mark.parametrize("width", [0, 48, 60, 80, 200])
@pytest.mark.parametrize("color", [False, True])
def test_no_line_is_wider_than_it_may_be(reports, rules, width, color):
    wide = Judgement(rules["E2"], Verdict.FAIL, seen="x" * 500, wanted="many words " * 50, where="y" * 90)
    reports.append(Report(Subject("n" * 70, Side.SERVER), (wide,)))

    text = render_terminal(reports, color=color, width=width)

    assert max(len(ESCAPE.sub("", line)) for line in text.splitlines()) <= max(width, 48)


def test_colours_change_nothing_but_the_colour(reports):
    colored = render_terminal(reports, color=True, width=80)

    assert colored != ESCAPE.sub("", colored) == render_terminal(reports, color=False, width=80)


def test_a_terminal_obeys_nothing_that_a_subject_says(rules):
    evil = "\x1b]0;title\x07\r\n\x9b31m\u202e\ud800"
    judgement = Judgement(rules["E2"], Verdict.FAIL, evil, evil, evil, evil, (Evidence(note=evil),))
    report = Report(Subject(evil, Side.SERVER, evil), (judgement,), fault=evil)

    text = render_terminal([report, report], color=False, width=80)

    assert text.replace("\n", "").isprintable()
    assert r"\x1b]0;title\x07\r\n" in text
