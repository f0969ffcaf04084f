"""Where reports go, in the plainest form there is."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Final

from wsgix.conform.rule import Level, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsgix.conform.rule import Report

LEVELS: Final = {
    "must": Level.MUST.weight,
    "should": Level.SHOULD.weight,
    "de-facto": Level.DE_FACTO.weight,
    "all": Level.MAY.weight,
}


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the output: there is none."""


def add_level_option(parser: argparse.ArgumentParser) -> None:
    """Add `--level`."""
    parser.add_argument("--level", choices=LEVELS, default="should")


def weight_of(options: argparse.Namespace) -> int:
    """Return what `conform.rule.exit_status` takes for the `--level` in *options*."""
    return LEVELS[options.level]


def write_outputs(reports: Sequence[Report], options: argparse.Namespace) -> None:
    """Print what was not passed."""
    for report in reports:
        print(f"{report.subject.name} {report.subject.version} ({report.seconds} s) {report.fault}")
        for found in report.judgements:
            if found.verdict not in (Verdict.PASS, Verdict.NOT_APPLICABLE):
                rule = found.rule
                print(f"  {rule.id} {rule.level.value} {found.case}: {found.verdict.value}: {found.seen}")
                if found.verdict is Verdict.FAIL:
                    print(f"      wanted: {found.wanted}")
        counts = {v.value: sum(j.verdict is v for j in report.judgements) for v in Verdict}
        print("  " + ", ".join(f"{n} {name}" for name, n in counts.items() if n))
    sys.stdout.flush()
