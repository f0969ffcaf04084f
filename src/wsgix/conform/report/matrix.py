"""What several judgements of one rule come to, and what many rules come to: cells, rows and counts.

Pure functions over the records of `conform.rule`; every rendering in this package reads them, so that no two
count differently. No text for people is made here.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from wsgix.conform.rule import Judgement, Level, Report, Rule, Verdict
from wsgix.conform.rules import CHAPTERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# The first of these that any judgement of a rule came to is what the rule came to: one breach breaks it, and
# what could not be found out leaves it open whatever else was found.
PRECEDENCE: Final = (
    Verdict.FAIL,
    Verdict.HARNESS_FAILED,
    Verdict.SETUP_FAILED,
    Verdict.DEPENDENCY_FAILED,
    Verdict.INFORMATION,
    Verdict.PASS,
    Verdict.NOT_APPLICABLE,
)

UNDECIDED: Final = frozenset({Verdict.SETUP_FAILED, Verdict.HARNESS_FAILED, Verdict.DEPENDENCY_FAILED})
"""The verdicts that leave it open whether the subject keeps the rule."""


class Cell(NamedTuple):
    """One rule held against one subject.

    Attributes:
        rule: the rule.
        verdict: what all its judgements come to.
        judgements: all of them, those that made the verdict first.
    """

    rule: Rule
    verdict: Verdict
    judgements: tuple[Judgement, ...]


def cells_of(report: Report) -> dict[str, Cell]:
    """Gather a report's judgements by rule: ID to cell, in the order of the catalogue."""
    found: dict[str, list[Judgement]] = {}
    rules: dict[str, Rule] = {}
    for judgement in report.judgements:
        found.setdefault(judgement.rule.id, []).append(judgement)
        rules[judgement.rule.id] = judgement.rule
    cells = {}
    for rule in in_order(rules.values()):
        judgements = sorted(found[rule.id], key=lambda judgement: PRECEDENCE.index(judgement.verdict))
        cells[rule.id] = Cell(rule, judgements[0].verdict, tuple(judgements))
    return cells


def rules_of(reports: Iterable[Report]) -> list[Rule]:
    """List the rules that any of the reports judged, in the order of the catalogue."""
    return in_order(
        {judgement.rule.id: judgement.rule for report in reports for judgement in report.judgements}.values()
    )


def in_order(rules: Iterable[Rule]) -> list[Rule]:
    """Sort rules by chapter, as the catalogue has them, then by number; unknown chapters come last."""
    chapters = {letter: index for index, letter in enumerate(CHAPTERS)}

    def place(rule: Rule) -> tuple[int, str, int]:
        letter, number = rule.id[:1], rule.id[1:]
        return chapters.get(letter, len(chapters)), letter, int(number) if number.isdecimal() else 0

    return sorted(rules, key=place)


class Band(NamedTuple):
    """Levels that weigh the same: what they are called together, and that weight."""

    name: str
    weight: int


BANDS: Final[Sequence[Band]] = (
    Band("MUST", Level.MUST.weight),
    Band("SHOULD", Level.SHOULD.weight),
    Band("de facto", Level.DE_FACTO.weight),
    Band("MAY", Level.MAY.weight),
)


def tally(report: Report) -> Counter[tuple[int, Verdict]]:
    """Count a report's rules by the weight of their level and by what they came to."""
    return Counter((cell.rule.level.weight, cell.verdict) for cell in cells_of(report).values())
