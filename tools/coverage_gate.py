"""Demands that every module of facts/, core/, wire/ and every face is covered by its own tests, completely.

A module without a test file fails; so does one whose tests fail, or that takes lines out by a pragma.
`python tools/coverage_gate.py [PART ...]` judges all modules, or those whose path holds one of the PARTs.
"""

import ast
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "wsgix"
TESTS = ROOT / "tests"

ROOMS = ("facts", "core", "wire")
FACES = ("util", "headers", "types", "handlers", "simple_server", "validate", "pytest_plugin")


class Verdict(NamedTuple):
    """What one module's own tests showed. `fault` is empty when all is well."""

    module: Path
    statements: int = 0
    branches: int = 0
    fault: str = ""
    output: str = ""


def modules() -> list[Path]:
    """List the modules that the gate judges; an `__init__` that is a docstring only has nothing to judge."""
    rooms = [path for room in ROOMS for path in sorted((SOURCE / room).rglob("*.py")) if has_statements(path)]
    return rooms + [SOURCE / f"{face}.py" for face in FACES]


def has_statements(path: Path) -> bool:
    """Tell whether a file holds more than docstrings."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return not all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


def test_file(module: Path) -> Path:
    """Give the one file whose tests count for `module`."""
    if module.parent == SOURCE:
        return TESTS / "faces" / f"test_{module.stem}.py"
    return TESTS / module.parent.relative_to(SOURCE) / f"test_{module.stem.strip('_')}.py"


def judge(module: Path) -> Verdict:
    """Run the module's own tests in a process of their own and read what they covered."""
    tests = test_file(module)
    for needed in (module, tests):
        if not needed.exists():
            return Verdict(module, fault=f"{needed.relative_to(ROOT)} does not exist")
    if "pragma: no cover" in module.read_text(encoding="utf-8"):
        return Verdict(module, fault="takes lines out by a pragma")
    with tempfile.TemporaryDirectory() as scratch:
        data, report = f"{scratch}/data", f"{scratch}/report.json"
        coverage = [sys.executable, "-m", "coverage"]
        pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(tests)]
        run = execute([*coverage, "run", "--branch", f"--data-file={data}", f"--include={module}", *pytest])
        if run.returncode != 0:
            return Verdict(module, fault=f"{tests.relative_to(ROOT)} fails", output=run.stdout + run.stderr)
        made = execute([*coverage, "json", "-q", f"--data-file={data}", "-o", report])
        if made.returncode != 0:
            return Verdict(module, fault="its own tests never import it", output=made.stdout + made.stderr)
        (measured,) = json.loads(Path(report).read_text(encoding="utf-8"))["files"].values()
    summary = measured["summary"]
    return Verdict(module, summary["num_statements"], summary["num_branches"], shortfall(measured))


def execute(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command at the root of the project and keep what it printed."""
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


def shortfall(measured: dict[str, Any]) -> str:
    """Name the lines and branches that were not reached."""
    parts = []
    if lines := measured["missing_lines"]:
        parts.append("lines " + ", ".join(map(str, lines)))
    if branches := measured["missing_branches"]:
        arrows = (f"{start}->{'exit' if end < 0 else end}" for start, end in branches)
        parts.append("branches " + ", ".join(arrows))
    return f"not reached: {'; '.join(parts)}" if parts else ""


def main(parts: list[str]) -> int:
    """Judge, print the table and the output of tests that failed; 0 when every module is covered."""
    chosen = [path for path in modules() if not parts or any(part in str(path) for part in parts)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        verdicts = list(pool.map(judge, chosen))
    print(f"{'module':32} {'lines':>5} {'branches':>8}  covered by its own tests")
    for verdict in verdicts:
        name = verdict.module.relative_to(SOURCE).as_posix()
        print(f"{name:32} {verdict.statements:5} {verdict.branches:8}  {verdict.fault or 'all'}")
    for verdict in verdicts:
        if verdict.output:
            print(f"\n{verdict.module.relative_to(SOURCE)}: {verdict.fault}\n{verdict.output}")
    return 1 if any(verdict.fault for verdict in verdicts) or not verdicts else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
