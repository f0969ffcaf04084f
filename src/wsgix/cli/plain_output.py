"""Prints reports as plain lines, and has the options for that, for `wsgix check` until `cli.output` is here.

The names and signatures are those of `cli.output` and `cli.failure`, which take its place.
"""

from __future__ import annotations

import argparse
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


class CommandFailure(Exception):
    """The command cannot do what was asked; the message is for the person at the terminal."""

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add `--quiet`."""
    parser.add_argument("--quiet", action="store_true", help="print no table")


def add_level_option(parser: argparse.ArgumentParser) -> None:
    """Add `--level`."""
    parser.add_argument(
        "--level",
        choices=LEVELS,
        default="should",
        help="exit with status 1 when a rule of at least this level is broken (default: %(default)s)",
    )


def weight_of(options: argparse.Namespace) -> int:
    """Return what `conform.rule.exit_status` takes for the `--level` in *options*."""
    return LEVELS[options.level]


def write_outputs(reports: Sequence[Report], options: argparse.Namespace) -> None:
    """Print what was found, and how often each verdict was given."""
    if options.quiet:
        return
    for report in reports:
        for judgement in report.failures():
            rule = judgement.rule
            print(f"{rule.id} {rule.slug} ({rule.level.value}): {judgement.seen}")
            print(f"    wanted: {judgement.wanted}\n    in: {judgement.case} {judgement.where}")
        given = [judgement.verdict for judgement in report.judgements]
        counts = ", ".join(
            f"{given.count(verdict)} {verdict.value}" for verdict in Verdict if verdict in given
        )
        print(f"{report.subject.name}: {report.fault or counts}")
