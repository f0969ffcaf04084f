"""Where reports go: the options and the writing that `check`, `probe` and `report` share, and the exit level.

What a report looks like is decided in `wsgix.conform.report`; a form is imported only when it was asked for.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TextIO

from wsgix.cli.failure import CommandFailure
from wsgix.conform import report as forms
from wsgix.conform.rule import NOT_JUDGED, Level

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wsgix.conform.rule import Report

STANDARD_OUTPUT: Final = "-"
_MOST_COLUMNS: Final = 100
"""Lines of prose longer than this are hard to read, however wide the terminal is."""


class Form(NamedTuple):
    """One form of report that an option writes to a file."""

    option: str
    meaning: str
    render: Callable[[Sequence[Report], int], str]


FORMS: Final = (
    Form("json", "everything, for other programs", lambda reports, _: forms.render_json(reports)),
    Form("junit", "JUnit's XML, for continuous integration", forms.render_junit),
    Form("html", "one page for a browser", lambda reports, _: forms.render_html(reports)),
    Form("sarif", "findings as SARIF 2.1.0", lambda reports, _: forms.render_sarif(reports, _folder())),
)

LEVELS: Final = {
    "must": Level.MUST.weight,
    "should": Level.SHOULD.weight,
    "de-facto": Level.DE_FACTO.weight,
    "all": Level.MAY.weight,
}
"""What `--level` takes, to the least weight of a rule whose breach makes the exit status 1."""


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add `--json FILE` and its like, and `--quiet`."""
    group = parser.add_argument_group("output")
    for form in FORMS:
        group.add_argument(
            f"--{form.option}",
            metavar="FILE",
            type=_destination,
            action=_Destination,
            help=f"write {form.meaning} ({STANDARD_OUTPUT} is standard output)",
        )
    group.add_argument("--quiet", action="store_true", help="print no table")


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
    """Write the forms that *options* ask for; print the table unless it was declined or its place is taken.

    Raises:
        CommandFailure: a file cannot be written; exit status 2.
    """
    weight = weight_of(options) if hasattr(options, "level") else 0
    taken = False
    for form in FORMS:
        destination = getattr(options, form.option)
        if destination is None:
            continue
        text = form.render(reports, weight)
        if destination == STANDARD_OUTPUT:
            taken = True
            put(text, encoding="utf-8")
        else:
            _write(destination, text)
    if not (taken or options.quiet):
        put(forms.render_terminal(reports, color=has_color(sys.stdout), width=columns()))


def _folder() -> str:
    """Return the folder to which places in code are relative; the root, if an application has removed it."""
    try:
        return os.getcwd()
    except OSError:
        return os.sep


def put(text: str, encoding: str | None = None) -> None:
    """Write *text* to standard output, now. Nobody need be there to read it: `wsgix rules | head` is fine.

    Args:
        encoding: what *text* says that it is in, or what its readers expect; None for the terminal's.

    Raises:
        CommandFailure: standard output cannot be written for another reason; exit status 2.
    """
    try:
        if hasattr(sys.stdout, "reconfigure"):
            # A terminal that lacks a character gets its escape rather than no report.
            sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more at its end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise CommandFailure(f"cannot write to standard output: {error.strerror}", NOT_JUDGED) from None
    except ValueError:  # by an application that was judged
        raise CommandFailure("cannot write to standard output: it was closed", NOT_JUDGED) from None


def has_color(stream: TextIO) -> bool:
    """Tell whether colours are wanted on *stream*: a terminal, and none of its user's settings against them.

    Source: https://no-color.org: the variable counts when it is there and not empty.
    """
    return (
        not stream.closed
        and stream.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    )


def columns() -> int:
    """Return how many columns a report may use: of the terminal, or 80, and at most 100."""
    return min(shutil.get_terminal_size().columns, _MOST_COLUMNS)


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise CommandFailure(f"cannot write {path}: {error.strerror}", NOT_JUDGED) from None


def _destination(value: str) -> str:
    """Refuse now what cannot be a file, and not after minutes of judging; return where it is from any folder.

    An application may go to another folder, as many do when they are loaded.
    """
    if value == STANDARD_OUTPUT:
        return value
    folder = os.path.dirname(value) or os.curdir
    if not value or os.path.isdir(value):
        raise argparse.ArgumentTypeError(f"{value!r} is not a file that can be written")
    if not os.path.isdir(folder):
        raise argparse.ArgumentTypeError(f"there is no folder {folder!r}")
    return os.path.abspath(value)


class _Destination(argparse.Action):
    """Stores a destination; two that are the same would overwrite each other."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: Any = None
    ) -> None:
        for form in FORMS:
            if form.option != self.dest and getattr(namespace, form.option) == values:
                place = "standard output" if values == STANDARD_OUTPUT else repr(values)
                raise argparse.ArgumentError(self, f"--{form.option} already writes to {place}")
        setattr(namespace, self.dest, values)
