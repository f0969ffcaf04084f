"""`wsgix report`: kept results in another form, several as one, and what it says of files that are none."""

import io
import json
import sys
from pathlib import Path

import pytest

from tests.conform.report.made import RULES, judge
from wsgix.cli import main
from wsgix.conform.report import json_document, parse_json, render_json
from wsgix.conform.rule import Report, Side, Subject, Verdict


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Two files of results: one subject broke a SHOULD, the other broke nothing."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(json_document, "all_rules", lambda: tuple(RULES.values()))
    bad = Report(Subject("alpha", Side.SERVER, "1.0"), (judge("E10", Verdict.FAIL, seen="this"),))
    good = Report(Subject("beta", Side.SERVER), (judge("E2", Verdict.PASS),))
    paths = tmp_path / "bad.json", tmp_path / "good.json"
    for path, report in zip(paths, (bad, good), strict=True):
        path.write_text(render_json([report]), encoding="utf-8")
    return [str(path) for path in paths]


def test_results_of_several_files_become_one_report(kept, tmp_path, capsys):
    page, together = tmp_path / "page.html", tmp_path / "together.json"

    status = main(["report", *kept, "--html", str(page), "--json", str(together)])

    assert status == 1
    assert "alpha 1.0" in capsys.readouterr().out
    assert "<h1>" in page.read_text(encoding="utf-8")
    reports = parse_json(together.read_text(encoding="utf-8"))
    assert [report.subject.name for report in reports] == ["alpha", "beta"]


@pytest.mark.parametrize(
    ("file", "level", "status"), [(0, "must", 0), (0, "should", 1), (0, "all", 1), (1, "all", 0)]
)
def test_the_exit_status_is_that_of_the_judging(kept, capsys, file, level, status):
    assert main(["report", kept[file], "--level", level]) == status


def test_a_breach_that_does_not_count_is_no_failure_in_junit(kept, capsys):
    main(["report", kept[0], "--level", "must", "--junit", "-"])
    assert 'failures="0"' in capsys.readouterr().out
    main(["report", kept[0], "--junit", "-"])
    assert 'failures="1"' in capsys.readouterr().out


def test_results_may_come_by_standard_input(kept, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(Path(kept[1]).read_text(encoding="utf-8")))
    assert main(["report", "-"]) == 0
    assert "beta" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file or directory"),
        (b"\xff", "it is not UTF-8"),
        (b"{", "it is not JSON"),
        (json.dumps({"schema": "other"}).encode(), "its schema is 'other'"),
    ],
)
def test_a_file_that_is_no_report_is_one_line(tmp_path, capsys, content, says):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    assert main(["report", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"wsgix: cannot read {str(path)!r} as a report: {says}")
    assert captured.err.count("\n") == 1


def test_a_file_is_needed(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["report"])
    assert caught.value.code == 2
