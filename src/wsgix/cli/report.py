"""`wsgix report`: show kept results again, in any form, several files as one report.

The exit status is that of the judging commands: 0 clean, 1 findings, 2 not judged, and 2 where a file cannot
be read.
"""

from __future__ import annotations

import argparse
import sys

from wsgix.cli.failure import CommandFailure
from wsgix.cli.output import (
    STANDARD_OUTPUT,
    add_level_option,
    add_output_options,
    weight_of,
    write_outputs,
)
from wsgix.conform.report import ReportFormatError, parse_json
from wsgix.conform.rule import NOT_JUDGED, Report, exit_status


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        "Show again what `wsgix check --json` and `wsgix probe --json` wrote; several files become one."
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help=f"a report as JSON ({STANDARD_OUTPUT} is standard input)"
    )
    add_level_option(parser)
    add_output_options(parser)


def run(options: argparse.Namespace) -> int:
    """Read the files, write what was asked for, return the exit status that the reports deserve.

    Raises:
        CommandFailure: a file cannot be read, is no report, or an output cannot be written.
    """
    reports: list[Report] = []
    for name in options.files:
        reports += _read(name)
    write_outputs(reports, options)
    return exit_status(reports, weight_of(options))


def _read(name: str) -> list[Report]:
    try:
        if name == STANDARD_OUTPUT:
            text = sys.stdin.read()
        else:
            with open(name, encoding="utf-8") as file:
                text = file.read()
        return parse_json(text)
    except OSError as error:
        reason = error.strerror or str(error)
    except UnicodeDecodeError:
        reason = "it is not UTF-8"
    except ReportFormatError as error:
        reason = str(error)
    raise CommandFailure(f"cannot read {name!r} as a report: {reason}", NOT_JUDGED)
