"""Turns results into text: for the terminal, and for docs/performance.md. It measures and decides nothing."""

import re
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from side_by_side.peers import FLOOR, GTHREAD, IN_C, OURS, PEERS, RIVALS
from side_by_side.results import Results
from side_by_side.targets import Reading, Verdict, read_all
from side_by_side.workloads import WORKLOADS, Kind, Workload

BUDGET: Final = "<!-- budget -->", "<!-- /budget -->"
EMPTY_BUDGET: Final = "\nNot written yet.\n"
MISSING: Final = "-"


class Column(NamedTuple):
    """A column of a workload's table: a measure, or its ratio to the best of `against`."""

    title: str
    measure: str
    digits: int
    against: tuple[str, ...] = ()


CLOSED_LOOP: Final = (
    Column("CPU us/request", "cpu_us", 1),
    Column("to best in C", "cpu_us", 2, IN_C),
    Column("to gthread", "cpu_us", 2, (GTHREAD,)),
    Column("requests/s", "requests_per_second", 0),
    Column("p50 ms", "p50_ms", 2),
    Column("p99 ms", "p99_ms", 2),
    Column("RSS MiB", "rss_mib", 1),
)
COLUMNS: Final = {
    Kind.CLOSED_LOOP: CLOSED_LOOP,
    Kind.PACED: (
        Column("p99 ms", "p99_ms", 2),
        Column("p50 ms", "p50_ms", 2),
        Column("p50 ms without slow", "p50_without_ms", 2),
        Column("requests/s", "requests_per_second", 0),
        Column("unanswered", "unanswered", 0),
        Column("CPU us/request", "cpu_us", 1),
    ),
    Kind.START: (
        Column("first response ms", "first_response_ms", 0),
        Column("RSS MiB of the worker", "rss_mib", 1),
        Column("of all processes", "rss_all_mib", 1),
    ),
    Kind.IDLE: (
        Column("bytes each", "bytes_per_connection", 0),
        Column("held", "held", 0),
        Column("a new request, ms, worst of 20", "new_request_ms", 2),
        Column("median", "new_request_p50_ms", 2),
        Column("RSS MiB", "rss_mib", 1),
    ),
}


def rows_of(workload: Workload, results: Results) -> tuple[list[str], list[list[str]], list[str]]:
    """Make the titles, the rows (best first, those with faults last) and the notes of a workload's table."""
    columns = COLUMNS[workload.kind]
    outcomes = results.workloads.get(workload.name, {})

    def rank(peer: str) -> tuple[bool, float]:
        number = outcomes[peer].number(columns[0].measure)
        return bool(outcomes[peer].fault), float("inf") if number is None else number

    rows, notes = [], []
    for peer in sorted(outcomes, key=rank):
        outcome = outcomes[peer]
        mark = ""
        if outcome.fault:
            notes.append(f"{peer}: {outcome.fault}")
            mark = f" [{len(notes)}]"
        cells = []
        for column in columns:
            if column.against:
                number = results.ratio(workload.name, peer, column.against, column.measure)
            else:
                number = outcome.number(column.measure)
            cells.append(MISSING if number is None else f"{number:,.{column.digits}f}")
        rows.append([peer + mark, *cells])
    return ["server", *(column.title for column in columns)], rows, notes


def as_text(titles: Sequence[str], rows: Iterable[Sequence[str]], left: Container[int] = (0,)) -> str:
    """Align a table for the terminal: the columns *left* to the left, the others to the right."""
    table = [titles, *rows]
    widths = [max(len(row[number]) for row in table) for number in range(len(titles))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number in left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    )


def as_markdown(titles: Sequence[str], rows: Iterable[Sequence[str]], left: Container[int] = (0,)) -> str:
    """Write a table in Markdown: the columns *left* to the left, the others to the right."""
    rule = ["---" if number in left else "---:" for number in range(len(titles))]
    lines = [titles, rule, *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def workload_as_text(workload: Workload, results: Results) -> str:
    """Format one workload for the terminal."""
    titles, rows, notes = rows_of(workload, results)
    text = f"\n{workload.name}: {workload.title}\n{as_text(titles, rows)}"
    return text + "".join(f"\n[{number}] {note}" for number, note in enumerate(notes, 1))


def workload_as_markdown(workload: Workload, results: Results) -> str:
    """Format one workload for the page."""
    titles, rows, notes = rows_of(workload, results)
    rows = [[f"**{cell}**" if row[0] == OURS else cell for cell in row] for row in rows]
    text = f"### {workload.title}\n\n`{workload.name}`\n\n{as_markdown(titles, rows)}\n"
    if notes:
        text += "\n" + "".join(f"- [{number}] {note}\n" for number, note in enumerate(notes, 1))
    return text


TARGET_TITLES: Final = ("target", "limit", "measured", "verdict", "note")
TARGET_LEFT: Final = (0, 3, 4)


def target_row(reading: Reading) -> list[str]:
    """Make the row of one target."""
    target = reading.target
    unit = f" {target.unit}" if target.unit else ""
    limit = f"{'>=' if target.at_least else '<='} {target.limit:,.6g}{unit}"
    value = MISSING if reading.value is None else f"{reading.value:,.3f}".rstrip("0").rstrip(".") + unit
    return [target.title, limit, value, reading.verdict.value, reading.note]


def targets_as_text(readings: Sequence[Reading]) -> str:
    """Format the targets for the terminal, and count them."""
    if not readings:
        return "\nno target belongs to these workloads"
    return f"\n{as_text(TARGET_TITLES, map(target_row, readings), TARGET_LEFT)}\n{count(readings)}"


def count(readings: Sequence[Reading]) -> str:
    """Count the targets by their verdict."""
    return ", ".join(
        f"{sum(reading.verdict is verdict for reading in readings)} {verdict.value}" for verdict in Verdict
    )


def losses(results: Results) -> list[str]:
    """List the workloads in which another server uses less CPU per request, most lost first.

    One in which ours failed counts as lost most of all.
    """
    found = []
    for workload in WORKLOADS:
        if workload.kind is not Kind.CLOSED_LOOP or workload.peers:
            continue
        fault = results.outcome(workload.name, OURS).fault
        if fault:
            found.append((float("inf"), f"{workload.title} (`{workload.name}`): {OURS} failed: {fault}"))
        rival, _ = results.best(workload.name, RIVALS)
        ratio = results.ratio(workload.name, OURS, RIVALS)
        if ratio is not None and ratio > 1:
            found.append(
                (ratio, f"{workload.title} (`{workload.name}`): {ratio:.2f} times the CPU of {rival}")
            )
    return [line for _, line in sorted(found, reverse=True)]


def compose(results: Results, budget: str = EMPTY_BUDGET) -> str:
    """Write the page. *budget* is the part between its markers, which is written by hand."""
    readings = read_all(results)
    lost = losses(results)
    workloads = [workload for workload in WORKLOADS if workload.name in results.workloads]
    machine = as_markdown(("", "measured on"), results.machine.items(), (0, 1))
    versions = as_markdown(("server", "version"), sorted(results.versions.items()))
    absent = "".join(f"- {peer} could not be installed: {why}\n" for peer, why in results.absent.items())
    absent = f"{absent}\n" if absent else ""
    commands = as_markdown(
        ("server", "arguments"),
        [(peer.name, f"`{' '.join(map(_shown, (*peer.command[1:], *peer.plain)))}`") for peer in PEERS],
        (0, 1),
    )
    return f"""\
<!-- Written by `make bench` from bench/results/published.json; only what stands between the budget markers is
     written by hand. -->

# Performance

wsgix beside other WSGI servers: `make bench` installs them, measures, and writes this page;
`python bench/servers.py --only tiny_get,sleep --peers wsgix,bjoern` repeats a part of it.

The measure is **CPU microseconds per request**: the CPU time, in user and kernel mode, of all processes of a
server, divided by the requests that were answered. Server and load generator run on different CPUs. All
servers run the same application on the same interpreter, without an access log and with eight threads where
they have threads (wsgiref starts one for each connection). They are measured in turn within each workload.
Before and after, a server's answer is compared with the right one. A server marked [n] gave none, or made
errors under load; it is listed, but nothing is compared with it.

{machine}

![CPU per request](performance/cpu.svg)

## Targets

{count(readings)}.

{as_markdown(TARGET_TITLES, map(target_row, readings), TARGET_LEFT)}

## Where another server is cheaper

{"".join(f"- {line}{chr(10)}" for line in lost) or f"Nowhere in this run.{chr(10)}"}
## Where the microseconds go

{BUDGET[0]}{budget}{BUDGET[1]}

## Workloads

Ratios are of CPU per request: to the best of {", ".join(IN_C)}, and to {GTHREAD}. {FLOOR} answers by
`return 200`, without an application: the floor. RSS is that of all processes of the server, after the run;
pages that they share count in each.

{chr(10).join(workload_as_markdown(workload, results) for workload in workloads)}
## Servers

{versions}

{absent}They are started with these arguments; what is not named is the server's default. `launch.py` starts
those that have no command line of their own.

{commands}
"""


def _shown(part: str) -> str:
    """Show an argument without its folder, and what is filled in for a start in capitals."""
    return re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), re.sub(r"\{\w+\}/", "", part))


def budget_of(page: str) -> str:
    """Take the part between the budget markers out of a page; the empty one where there is none."""
    found = re.search(f"{BUDGET[0]}(.*){BUDGET[1]}", page, re.DOTALL)
    return found[1] if found else EMPTY_BUDGET


def write(results: Results, path: Path) -> None:
    """Write the page to *path*, with the hand-written part of what stood there before."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    path.parent.mkdir(exist_ok=True)
    path.write_text(compose(results, budget_of(before)), encoding="utf-8")
