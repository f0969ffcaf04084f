"""`wsgix probe` as a person calls it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.serving import COMMAND, DEADLINE, ROOT, environment_with, run_wsgix
from wsgix.conform import probe_app


def test_wsgix_is_judged_by_name():
    done = run_wsgix("probe", "wsgix", "--select", "E")

    assert done.stderr == ""
    assert "wsgix" in done.stdout
    assert done.returncode == 0


def test_a_server_is_judged_by_its_command():
    launcher = ROOT / "src/wsgix/conform/probe_launch.py"
    command = f"{sys.executable} {launcher} wsgiref {{host}} {{port}} {{module}} {{attribute}}"

    done = run_wsgix("probe", "--command", command, "--select", "E8")

    assert "text/plain" in done.stdout
    assert done.returncode == 1


def test_the_level_decides_what_is_a_finding():
    done = run_wsgix("probe", "wsgiref", "--select", "E13", "--level", "must")

    assert done.returncode == 0


def test_a_command_that_does_not_serve_cannot_be_judged():
    done = run_wsgix("probe", "--command", f"{sys.executable} -c 'raise SystemExit(\"no such thing\")'")

    assert "no such thing" in done.stdout
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no server is named"),
        (("apache",), "there is no server 'apache'; there are: wsgix"),
        (("wsgix", "--select", "Z9"), "no rule that binds servers is called 'Z9'"),
        (("wsgix", "--python", "/nowhere/python"), "/nowhere/python cannot be run"),
        (("--url", "ftp://127.0.0.1/"), "is no URL with http or https"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments, message):
    done = run_wsgix("probe", *arguments)

    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.returncode == 2


def test_the_probe_application_is_printed():
    done = run_wsgix("probe", "--print-app")

    with open(probe_app.__file__, encoding="utf-8") as file:
        assert done.stdout == file.read()
    assert done.returncode == 0


def test_the_servers_are_listed():
    done = run_wsgix("probe", "--list")

    assert "wsgiref" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize("option", ["--print-app", "--list"])
def test_nobody_need_read_what_is_printed(option):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*COMMAND, "probe", option],
        env=environment_with({}),
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=DEADLINE,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_terminal_is_told_how_far_it_is():
    leader, follower = os.openpty()
    command = [*COMMAND, "probe", "wsgiref", "--select", "E8"]
    environment = environment_with({"COLUMNS": "60"})
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=follower) as process:
        os.close(follower)
        told = b""
        while b"\x1b[K" not in told:
            told += os.read(leader, 4096)
        process.wait(DEADLINE)
    os.close(leader)

    assert b"\rwsgiref: 2/2 no-content-type-is-empty" in told


def test_a_server_is_stopped_when_the_probe_is(tmp_path):
    told = tmp_path / "pid"
    script = tmp_path / "server.py"
    script.write_text(
        "import os, pathlib, signal\n"
        f"pathlib.Path({str(told)!r}).write_text(str(os.getpid()))\n"
        "signal.pause()\n"
    )
    command = [*COMMAND, "probe", "--command", f"{sys.executable} {script}"]
    with subprocess.Popen(command, env=environment_with({}), stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + DEADLINE
        while not (told.exists() and told.read_text()):
            assert time.monotonic() < deadline
        process.terminate()

        assert process.wait(DEADLINE) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)
