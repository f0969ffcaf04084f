"""CPython's own tests of wsgiref, from the library of the interpreter that runs, judge wsgix under its alias.

They are never copied. The same tests against the standard library tell how many there are and how many
skip here.
"""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

import wsgix

ALIAS = Path(__file__).with_name("alias.py")
SUITE = "test.test_wsgiref"
FACES = ("util", "headers", "types", "handlers", "simple_server", "validate")

needs_suite = pytest.mark.skipif(
    find_spec("test") is None or find_spec(SUITE) is None,
    reason="this interpreter ships no `test` package (Debian: apt-get install libpython3-testsuite)",
)


class Outcome(NamedTuple):
    status: int
    ran: int
    skipped: int
    output: str


def run_suite(*launcher: str, suite: str = SUITE) -> Outcome:
    """Run `suite` under unittest; the launcher says what `wsgiref` means to it."""
    process = subprocess.run(
        [sys.executable, *launcher, "-m", "unittest", suite],
        capture_output=True,
        text=True,
        timeout=100,
    )
    output = process.stdout + process.stderr
    ran = re.search(r"^Ran (\d+) tests?", output, re.MULTILINE)
    skipped = re.search(r"skipped=(\d+)", output)
    return Outcome(process.returncode, int(ran[1]) if ran else 0, int(skipped[1]) if skipped else 0, output)


@needs_suite
def test_cpythons_suite_passes_and_the_alias_was_in_force(tmp_path):
    report = tmp_path / "evidence.json"

    stdlib = run_suite()
    ours = run_suite(str(ALIAS), "--evidence", str(report))

    assert ours.status == 0, ours.output
    assert ours.ran == stdlib.ran > 0, ours.output
    assert ours.skipped == stdlib.skipped, ours.output
    evidence = json.loads(report.read_text(encoding="utf-8"))
    home = Path(wsgix.__file__).parent
    assert evidence["stdlib_files"] == []
    assert evidence["aliased"] == {
        "wsgiref": ["wsgix", str(home / "__init__.py")],
        **{f"wsgiref.{face}": [f"wsgix.{face}", str(home / f"{face}.py")] for face in FACES},
    }


@needs_suite
def test_the_suite_fails_when_what_it_judges_is_wrong(tmp_path):
    (tmp_path / "broken.py").write_text(
        "import unittest, wsgiref.util\n"
        "wsgiref.util.guess_scheme = lambda environ: 'gopher'\n"
        f"unittest.main({SUITE!r})\n",
        encoding="utf-8",
    )

    process = subprocess.run(
        [sys.executable, ALIAS, tmp_path / "broken.py"], capture_output=True, text=True, timeout=100
    )

    assert process.returncode != 0
    assert "gopher" in process.stderr


def run_aliased(tmp_path: Path, program: str) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "program.py"
    script.write_text(program, encoding="utf-8")
    return subprocess.run([sys.executable, ALIAS, script], capture_output=True, text=True, timeout=60)


def test_every_form_of_the_import_gives_the_modules_of_wsgix(tmp_path):
    process = run_aliased(
        tmp_path,
        "import wsgiref, wsgiref.util, wsgix\n"
        "from wsgiref import headers\n"
        "from wsgiref.simple_server import WSGIServer\n"
        "import wsgix.headers, wsgix.simple_server\n"
        "print(wsgiref is wsgix, wsgiref.util is wsgix.util, headers is wsgix.headers,\n"
        "      WSGIServer is wsgix.simple_server.WSGIServer)\n",
    )

    assert process.stdout == "True True True True\n", process.stderr


def test_the_alias_hides_what_is_not_of_wsgiref(tmp_path):
    process = run_aliased(tmp_path, "import wsgiref.core\n")

    assert process.returncode != 0
    assert "No module named 'wsgiref.core'" in process.stderr


def test_the_evidence_tells_when_the_standard_librarys_file_was_read(tmp_path):
    report = tmp_path / "evidence.json"
    script = tmp_path / "program.py"
    script.write_text(
        "import sysconfig, pathlib\n"
        "pathlib.Path(sysconfig.get_path('stdlib'), 'wsgiref', 'util.py').read_text('utf-8')\n",
        encoding="utf-8",
    )

    subprocess.run([sys.executable, ALIAS, "--evidence", report, script], check=True, timeout=60)

    (stdlib_file,) = json.loads(report.read_text(encoding="utf-8"))["stdlib_files"]
    assert Path(stdlib_file).name == "util.py"
