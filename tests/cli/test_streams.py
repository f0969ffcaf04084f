"""Standard streams that are closed when a command starts: they cost neither its work nor its exit status."""

import io
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.serving import COMMAND, DEADLINE, environment_with
from wsgix.cli import streams
from wsgix.cli.streams import ensure_standard_streams


def test_open_standard_streams_stay(monkeypatch):
    before = sys.stdout, sys.stderr
    ensure_standard_streams()
    assert (sys.stdout, sys.stderr) == before


def test_closed_standard_streams_become_the_null_device(monkeypatch):
    opened = iter([0, 1, 2, 3])
    closed, inheritable, files = [], [], []
    fake = SimpleNamespace(
        open=lambda path, flags: next(opened),
        close=closed.append,
        set_inheritable=lambda fd, wanted: inheritable.append((fd, wanted)),
        fdopen=lambda fd, mode, **options: files.append((fd, mode, options)) or io.StringIO(),
        devnull=os.devnull,
        O_RDWR=os.O_RDWR,
    )
    monkeypatch.setattr(streams, "os", fake)
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    ensure_standard_streams()
    assert inheritable == [(0, True), (1, True), (2, True)]
    assert closed == [3]
    assert [file[:2] for file in files] == [(0, "r"), (1, "w"), (2, "w")]
    print("nobody", file=sys.stderr)


def test_a_report_from_closed_standard_input_is_none(tmp_path):
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *COMMAND, "report", "-"],
        cwd=tmp_path,
        env=environment_with({}),
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("wsgix: cannot read '-' as a report: it is not JSON")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ("--version", 0),
        ("rules", 0),
        ("check wsgix.simple_server:demo_app", 0),
        ("check nowhere_at_all", 2),
        ("probe --print-app", 0),
        ("serve nowhere_at_all --bind 127.0.0.1:0", 4),
    ],
)
def test_the_exit_status_is_the_same_though_streams_are_closed(arguments, status, closed, tmp_path):
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *COMMAND, *arguments.split()]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment_with({}),
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
