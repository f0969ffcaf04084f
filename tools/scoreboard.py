"""Probes every server that can be installed here; writes docs/scoreboard.md and docs/scoreboard.html.

`make scoreboard` runs it. The servers get an environment of their own, .venv/scoreboard, made anew each time;
the results are kept in it, and `--kept` writes the documents from them without probing. What cannot be
installed is said so in the documents.
"""

import argparse
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from wsgix import __version__  # noqa: E402
from wsgix.conform.probe import probe_server  # noqa: E402
from wsgix.conform.report import parse_json, render_html, render_json  # noqa: E402
from wsgix.conform.report.matrix import BANDS, UNDECIDED, Cell, cells_of, tally  # noqa: E402
from wsgix.conform.report.terminal import printable  # noqa: E402
from wsgix.conform.rule import Report, Rule, Side, Subject, Verdict  # noqa: E402
from wsgix.conform.servers import SERVERS, Server  # noqa: E402

Record = TypeVar("Record")

ENVIRONMENT: Final = ROOT / ".venv" / "scoreboard"
KEPT: Final = ENVIRONMENT / "results.json"
PAGE: Final = ROOT / "docs" / "scoreboard.md"
MATRIX: Final = ROOT / "docs" / "scoreboard.html"

INSTALL_SECONDS: Final = 600

MOST_SEEN: Final = 160
"""Characters of what was seen; the matrix has all."""

OWN_VARIABLES: Final = dict(os.environ)
HOME: Final = os.path.expanduser("~")

LIBEV: Final = (Path("/usr/include/ev.h"), Path("/usr/local/include/ev.h"), Path("/usr/include/libev/ev.h"))
"""Where bjoern's build looks for libev's header."""

HEAD: Final = """\
# Scoreboard

<!-- Made by `make scoreboard`: do not edit. -->

What servers make of the [rules](rules/index.md) of PEP 3333, of HTTP and of custom, as `wsgix probe` sees
it: the number of rules that each kept and broke. Each server runs with its own defaults, and with as many
threads as its row in `src/wsgix/conform/servers.py` says. [The matrix](scoreboard.html) is one file for a
browser; it has the evidence for every cell.

A rule that a server breaks is not always a fault that its users meet: read what the rule says, and why. The
judge is written by those who write one of the servers; whoever doubts a line runs `wsgix probe NAME`.
"""


def main(arguments: Sequence[str]) -> int:
    """Probe, or read what was kept; write the documents; 0 unless nothing could be judged."""
    parser = argparse.ArgumentParser(description="Probe every server that can be installed.")
    parser.add_argument("--kept", action="store_true", help="write the documents from the kept results")
    parser.add_argument("names", nargs="*", metavar="NAME", help="probe these only, and keep the others")
    options = parser.parse_args(arguments)
    reports = parse_json(KEPT.read_text(encoding="utf-8")) if options.kept or options.names else []
    if not options.kept:
        chosen = [row for row in SERVERS if not options.names or row.name in options.names]
        found = {report.subject.name: report for report in [*reports, *probe(chosen, bool(options.names))]}
        reports = [found[row.name] for row in SERVERS if row.name in found]
        KEPT.write_text(render_json(reports), encoding="utf-8")
    PAGE.write_text(page(reports), encoding="utf-8")
    matrix = render_html(reports, "WSGI servers by rule", most_bytes=1500, most_bytes_of_passes=100)
    MATRIX.write_text(matrix, encoding="utf-8")
    return 0 if any(report.judgements for report in reports) else 1


# Probing


def probe(rows: Iterable[Server], environment_is_there: bool) -> list[Report]:
    """Install and judge these servers, one after the other."""
    lend_no_secrets()
    if not environment_is_there:
        say("making the environment")
        install_libev()
        subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=True)
    python = ENVIRONMENT / "bin" / "python"
    reports = []
    for row in rows:
        fault = install(python, row.requirements)
        if fault:
            subject = Subject(row.name, Side.SERVER)
            date = datetime.now(UTC).isoformat(timespec="seconds")
            report = Report(subject, (), date=date, fault=f"it cannot be installed: {fault}")
        else:
            say(f"probing {row.name}")
            report = probe_server(row.name, python=str(python))
        reports.append(nameless(replace(report, tool=report.tool or __version__)))
    return reports


def say(line: str) -> None:
    """Tell whoever waits."""
    print(line, file=sys.stderr, flush=True)


def lend_no_secrets() -> None:
    """Leave the variables out that nobody needs: some servers copy all into the environ, so into evidence."""
    needed = {name: os.environ[name] for name in ("PATH", "LANG", "TZ", "TMPDIR") if name in os.environ}
    os.environ.clear()
    os.environ.update(needed)


def install_libev() -> None:
    """Install Debian's libev-dev, for bjoern, where that is allowed."""
    if any(path.exists() for path in LIBEV) or not shutil.which("apt-get") or os.geteuid() != 0:
        return
    for command in (["update"], ["install", "--yes", "--no-install-recommends", "libev-dev"]):
        subprocess.run(
            ["apt-get", "-qq", *command],
            check=False,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )


def install(python: Path, requirements: Sequence[str]) -> str:
    """Install with pip; return why it failed in one line, or nothing."""
    if not requirements:
        return ""
    say(f"installing {' '.join(requirements)}")
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
            env=OWN_VARIABLES,
        )
    except subprocess.TimeoutExpired:
        return f"it took more than {INSTALL_SECONDS} s"
    except OSError as error:
        return f"{python} cannot be run: {error.strerror}"
    if done.returncode == 0:
        return ""
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or [f"pip exits with {done.returncode}"])[-1]


def nameless(record: Record) -> Record:
    """Return a record with the names of this machine replaced: in texts, in evidence, at every depth."""
    if isinstance(record, str):
        return replace_names(record)  # type: ignore[return-value]  # a str, as it was
    if isinstance(record, bytes):
        return replace_names(record.decode("latin-1")).encode("latin-1")  # type: ignore[return-value]
    if isinstance(record, tuple):
        return tuple(map(nameless, record))  # type: ignore[return-value]  # of whatever it was one of
    if is_dataclass(record) and not isinstance(record, Rule | type):
        changed = {field.name: nameless(getattr(record, field.name)) for field in fields(record)}
        return replace(record, **changed)  # an instance, as it is no type
    return record


def replace_names(text: str) -> str:
    """Replace what names this machine: folders, wherever they stand; hosts, where they stand as words."""
    for folder, other in ((str(ROOT), "/wsgix"), (tempfile.gettempdir(), "/tmp"), (HOME, "/home")):
        text = text.replace(folder, other)
    hosts = {socket.getfqdn(), socket.gethostname()} - {"localhost"}
    for host in sorted(hosts, key=len, reverse=True):
        text = re.sub(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", "host.example", text)
    return text


# The page


def page(reports: Sequence[Report]) -> str:
    """Return docs/scoreboard.md."""
    dates = sorted(report.date[:10] for report in reports if report.date)
    parts = [
        HEAD,
        f"\n{dates[-1] if dates else 'Never'}, wsgix {reports[0].tool if reports else __version__}, ",
        f"CPython {platform.python_version()}, {platform.system()}.\n",
        "\n| server | version | kept | MUST broken | SHOULD broken | de facto broken | not found out |",
        "\n|---|---|--:|--:|--:|--:|--:|\n",
    ]
    parts += [_row(report) for report in reports]
    for report in reports:
        parts.append(f"\n## {report.subject.name}\n\n")
        if report.fault:
            parts.append(f"Not judged: {_plain(report.fault)}\n")
            continue
        cells = cells_of(report).values()
        broken = [cell for cell in cells if cell.verdict is Verdict.FAIL]
        broken.sort(key=lambda cell: -cell.rule.level.weight)
        parts.append(_table("broken rule", broken) if broken else "It breaks no rule.\n")
        undecided = [cell for cell in cells if cell.verdict in UNDECIDED]
        if undecided:
            parts.append(f"\n{_table('not found out', undecided)}")
    return "".join(parts)


def _row(report: Report) -> str:
    name = f"[{report.subject.name}](#{report.subject.name})"
    if report.fault:
        return f"| {name} | | not judged | | | | |\n"
    counts = tally(report)

    def count(*verdicts: Verdict) -> int:
        return sum(number for (_, verdict), number in counts.items() if verdict in verdicts)

    broken = " | ".join(str(counts[band.weight, Verdict.FAIL]) for band in BANDS[:-1])
    version = _cell(report.subject.version)
    return f"| {name} | {version} | {count(Verdict.PASS)} | {broken} | {count(*UNDECIDED)} |\n"


def _table(title: str, cells: Iterable[Cell]) -> str:
    lines = [f"| {title} | level | seen |\n|---|---|---|\n"]
    for cell in cells:
        rule = cell.rule
        link = f"[{rule.id}](rules/{rule.id}.md) {rule.slug}"
        lines.append(f"| {link} | {rule.level.value} | {_cell(cell.judgements[0].seen)} |\n")
    return "".join(lines)


def _cell(text: str) -> str:
    return _plain(text if len(text) <= MOST_SEEN else f"{text[:MOST_SEEN]} ...")


def _plain(text: str) -> str:
    """Keep what a server said from being markup."""
    shown = printable(text)
    for sign in "\\`*_<>|[]":
        shown = shown.replace(sign, f"\\{sign}")
    return shown


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
