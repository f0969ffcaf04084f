"""Where reports go: files, standard output, the table; and which of these the options exclude."""

import argparse
import io
import json
import os
import sys

import pytest

from wsgix.cli.failure import CommandFailure
from wsgix.cli.output import (
    FORMS,
    LEVELS,
    add_level_option,
    add_output_options,
    columns,
    has_color,
    put,
    weight_of,
    write_outputs,
)
from wsgix.conform.report import render_json, render_terminal
from wsgix.conform.rule import Judgement, Level, Report, Rule, Side, Source, Subject, Verdict

RULE = Rule(
    id="H3",
    slug="status",
    level=Level.SHOULD,
    binds=Side.APPLICATION,
    source=Source("PEP 3333", "Error Handling"),
    says="It is.",
    why="So.",
)
REPORTS = [Report(Subject("näme", Side.APPLICATION), (Judgement(RULE, Verdict.FAIL, "this", "that"),))]
TABLE = render_terminal(REPORTS, color=False, width=80)


@pytest.fixture
def parser(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    parser = argparse.ArgumentParser()
    add_output_options(parser)
    add_level_option(parser)
    return parser


def refusal(parser, capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_without_options_the_table_is_printed(parser, capsys):
    write_outputs(REPORTS, parser.parse_args([]))
    assert capsys.readouterr().out == TABLE


def test_quiet_prints_nothing(parser, capsys):
    write_outputs(REPORTS, parser.parse_args(["--quiet"]))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("form", [form.option for form in FORMS])
def test_a_file_is_written_beside_the_table(parser, capsys, tmp_path, form):
    path = tmp_path / "report"
    write_outputs(REPORTS, parser.parse_args([f"--{form}", str(path)]))
    assert "näme" in path.read_text(encoding="utf-8") or "n\\u00e4me" in path.read_text(encoding="utf-8")
    assert capsys.readouterr().out == TABLE


@pytest.mark.parametrize("form", [form.option for form in FORMS])
def test_standard_output_takes_the_place_of_the_table(parser, capsys, tmp_path, form):
    path = tmp_path / "report"
    write_outputs(REPORTS, parser.parse_args([f"--{form}", str(path), "--quiet"]))
    write_outputs(REPORTS, parser.parse_args([f"--{form}", "-"]))
    assert capsys.readouterr().out == path.read_text(encoding="utf-8")


def test_json_is_that_of_the_reports(parser, capsys):
    write_outputs(REPORTS, parser.parse_args(["--json=-", "--quiet"]))
    assert capsys.readouterr().out == render_json(REPORTS)


@pytest.mark.parametrize(("path", "says"), [("nowhere/report", "there is no folder"), (".", "is not a file")])
def test_a_path_that_cannot_be_written_is_refused_before_anything_is_judged(parser, capsys, path, says):
    assert says in refusal(parser, capsys, "--json", path)


def test_a_file_that_cannot_be_written_is_one_line(parser, capsys, tmp_path):
    options = parser.parse_args(["--json", str(tmp_path / "late")])
    (tmp_path / "late").mkdir()
    with pytest.raises(CommandFailure, match=r"cannot write .*late: Is a directory") as caught:
        write_outputs(REPORTS, options)
    assert caught.value.exit_status == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("choice", "weight"), [("must", 3), ("should", 2), ("de-facto", 1), ("all", 0)])
def test_a_level_is_the_weight_of_the_least_rule_that_counts(parser, choice, weight):
    assert weight_of(parser.parse_args(["--level", choice])) == weight


def test_what_should_hold_counts_by_default(parser):
    assert weight_of(parser.parse_args([])) == Level.SHOULD.weight


def test_there_is_a_choice_for_every_weight():
    assert sorted(LEVELS.values()) == sorted({level.weight for level in Level})


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "expected"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colours_are_for_terminals_whose_users_like_them(monkeypatch, stream, environment, expected):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert has_color(stream) is expected


def test_lines_are_not_longer_than_can_be_read(monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    assert columns() == 100


def test_a_character_that_standard_output_lacks_becomes_its_escape(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    put("ä\n")
    assert raw.getvalue() == b"\\xe4\n"


@pytest.mark.parametrize("form", [form.option for form in FORMS])
def test_a_form_is_in_utf_8_wherever_it_goes(parser, monkeypatch, tmp_path, form):
    path, raw = tmp_path / "report", io.BytesIO()
    write_outputs(REPORTS, parser.parse_args([f"--{form}", str(path), "--quiet"]))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))
    write_outputs(REPORTS, parser.parse_args([f"--{form}", "-"]))
    assert raw.getvalue() == path.read_bytes()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a device that is always full")
def test_a_full_disk_behind_standard_output_is_one_line(monkeypatch):
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(CommandFailure, match="cannot write to standard output: No space left"):
            put("x")
        monkeypatch.undo()
        with pytest.raises(OSError, match="No space left"):
            full.close()


def test_json_may_be_piped_while_another_form_goes_to_a_file(parser, capsys, tmp_path):
    options = parser.parse_args(["--json", "-"])
    write_outputs(REPORTS, options)
    assert json.loads(capsys.readouterr().out)["schema"] == "wsgix-report-1"
