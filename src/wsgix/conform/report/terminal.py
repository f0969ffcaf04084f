"""Reports for a person at a terminal: what failed first, with what was seen and wanted; the rest in brief.

The text may come from a hostile subject: whatever a terminal would obey is spelled out.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final, NamedTuple

from wsgix.conform.rule import Profile, Report, Verdict

from .matrix import BANDS, Cell, cells_of, tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wsgix.conform.rule import Judgement

LEAST_WIDTH: Final = 48
SHOWN_OF_ONE_RULE: Final = 3
"""A rule broken in a hundred requests is one finding; the JSON has all."""

_RED, _GREEN, _YELLOW, _BOLD, _DIM = "31", "32", "33", "1", "2"


class Group(NamedTuple):
    """What came to the same verdict: its heading, the colour of that, and whether it is told in full."""

    verdict: Verdict
    heading: str
    color: str
    in_full: bool


GROUPS: Final[Sequence[Group]] = (
    Group(Verdict.FAIL, "failed", _RED, True),
    Group(Verdict.HARNESS_FAILED, "harness failed", _YELLOW, True),
    Group(Verdict.SETUP_FAILED, "set-up failed", _YELLOW, True),
    Group(Verdict.DEPENDENCY_FAILED, "dependency failed", _YELLOW, False),
    Group(Verdict.INFORMATION, "information", _BOLD, True),
    Group(Verdict.NOT_APPLICABLE, "not applicable", _DIM, False),
    Group(Verdict.PASS, "passed", _GREEN, False),
)


def render_terminal(reports: Sequence[Report], *, color: bool, width: int) -> str:
    """Return the reports as lines of at most *width* columns (but at least 48), each ended by a newline.

    Args:
        reports: what to show.
        color: whether to use the colours of ECMA-48.
        width: of the terminal, in columns.
    """
    page = _Page(color, max(width, LEAST_WIDTH))
    for report in reports:
        page.report(report)
    if len(reports) > 1:
        page.subjects(reports)
    return "".join(f"{line}\n" for line in page.lines)


def printable(text: str) -> str:
    """Spell out what is not printable, as Python does: ESC becomes the four characters of its escape."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def describe_failures(report: Report) -> str:
    """Say how many rules failed, by how much they bind: "3 failed (2 MUST, 1 SHOULD)"."""
    counts = tally(report)
    parts = [(band.name, counts[band.weight, Verdict.FAIL]) for band in BANDS]
    total = sum(count for _, count in parts)
    listed = ", ".join(f"{count} {name}" for name, count in parts if count)
    return f"{total} failed ({listed})" if total else "0 failed"


class _Page:
    """The lines so far."""

    def __init__(self, color: bool, width: int) -> None:
        self.color = color
        self.width = width
        self.lines: list[str] = []

    def report(self, report: Report) -> None:
        subject = report.subject
        title = printable(f"{subject.name} {subject.version}".strip())
        held_to = ", ".join(profile.value for profile in Profile if profile in report.profiles)
        self._wrap(f"{title}, {_article(subject.side.value)}, held to {held_to}", style=_BOLD)
        if report.fault:
            self._wrap(f"could not be judged: {printable(report.fault)}", style=_YELLOW)
        cells = cells_of(report).values()
        for group in GROUPS:
            chosen = [cell for cell in cells if cell.verdict is group.verdict]
            if not chosen:
                continue
            self.lines += ["", self._styled(f"{group.heading} ({len(chosen)})", group.color)]
            if group.in_full:
                # The heaviest first; among equals the catalogue's order stays.
                for cell in sorted(chosen, key=lambda cell: -cell.rule.level.weight):
                    self._cell(cell)
            else:
                self._wrap(" ".join(cell.rule.id for cell in chosen), indent=2)
        self.lines.append("")
        self._wrap(self._summary(report, cells), style=_RED if report.failures() else _BOLD)
        self.lines.append("")

    def _cell(self, cell: Cell) -> None:
        rule = cell.rule
        # A line of the table: rule, level, slug; below it what was found, under the same column.
        self._wrap(f"{rule.id:<5} {rule.level.value:<10}  {printable(rule.slug)}", indent=2, hang=20)
        chosen = [judgement for judgement in cell.judgements if judgement.verdict is cell.verdict]
        for judgement in chosen[:SHOWN_OF_ONE_RULE]:
            self._judgement(judgement)
        if len(chosen) > SHOWN_OF_ONE_RULE:
            self._wrap(f"and {len(chosen) - SHOWN_OF_ONE_RULE} more like it", indent=8, style=_DIM)

    def _judgement(self, judgement: Judgement) -> None:
        for label, text in (
            ("seen", judgement.seen),
            ("wanted", judgement.wanted),
            ("where", judgement.where),
            ("case", judgement.case),
        ):
            if text:
                self._wrap(f"{label:<7} {printable(text)}", indent=8, hang=16)

    def _summary(self, report: Report, cells: Iterable[Cell]) -> str:
        verdicts = [cell.verdict for cell in cells]
        parts = [f"{verdicts.count(Verdict.PASS)} passed", describe_failures(report)]
        parts += [
            f"{verdicts.count(group.verdict)} {group.heading}"
            for group in GROUPS
            if group.verdict in verdicts and group.verdict not in (Verdict.PASS, Verdict.FAIL)
        ]
        return f"{printable(report.subject.name)}: {', '.join(parts)}; {report.seconds:.1f} s"

    def subjects(self, reports: Sequence[Report]) -> None:
        """Add the table of all subjects, one line each, the numbers of failures by level."""
        rows = [("subject", "passed", *(band.name for band in BANDS))]
        for report in reports:
            counts = tally(report)
            passed = sum(number for (_, verdict), number in counts.items() if verdict is Verdict.PASS)
            name = printable(f"{report.subject.name} {report.subject.version}".strip())
            cells = [str(counts[band.weight, Verdict.FAIL]) for band in BANDS]
            rows.append((name, str(passed), *(["-"] * len(cells) if report.fault else cells)))
        others = [max(len(row[column]) for row in rows) for column in range(1, len(rows[0]))]
        room = max(self.width - sum(others) - 2 * len(others), 8)
        first = min(max(len(row[0]) for row in rows), room)
        self.lines.append(self._styled("failed rules by level", _BOLD))
        for row in rows:
            numbers = "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], others, strict=True))
            self.lines.append(f"{row[0][:first]:<{first}}{numbers}")
        self.lines.append("")

    def _wrap(self, text: str, *, indent: int = 0, hang: int | None = None, style: str = "") -> None:
        lines = textwrap.wrap(
            text,
            self.width,
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent if hang is None else hang),
            drop_whitespace=True,
            break_on_hyphens=False,
        )
        self.lines += [self._styled(line, style) for line in lines]

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self.color and style else text


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"
