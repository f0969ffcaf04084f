"""`wsgix check`: judge an application, or middleware, by the rules of the referee.

Here live the options and what a wrong one gets to hear; the judging is done by `conform.drive` and
`conform.sandwich`, the printing by `cli.output`. The exit status is that of `conform.rule.exit_status`, and
its "not judged" also for an application that cannot be loaded.
"""

import argparse
import contextlib
import dataclasses
import sys
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from wsgix import __version__
from wsgix.cli.application import NAMING, ApplicationError, load_callable
from wsgix.cli.failure import CommandFailure
from wsgix.cli.output import add_level_option, add_output_options, weight_of, write_outputs
from wsgix.conform.drive import PROFILES, TIMEOUT, drive
from wsgix.conform.rule import NOT_JUDGED, Profile, exit_status
from wsgix.conform.sandwich import judge_middleware

_DEFAULTS: Final = sorted(profile.value for profile in PROFILES)
_CHOICES: Final = [profile.value for profile in Profile]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.usage = "%(prog)s [OPTION ...] APPLICATION"
    parser.description = (
        "Judge a WSGI application in this process, by the rules of PEP 3333. The application is really "
        "called, with POST and DELETE too: let it work on data that may be lost."
    )
    parser.epilog = "Exit status: 0 clean, 1 findings at the chosen level, 2 could not judge."
    parser.add_argument("application", metavar="APPLICATION", help=NAMING)
    parser.add_argument(
        "--middleware",
        action="store_true",
        help="what is named is middleware: a callable that takes an application and returns one",
    )
    parser.add_argument(
        "--path",
        action="append",
        type=_path,
        metavar="PATH",
        help="a path to ask for, with a query or without (default: /; may be repeated)",
    )
    parser.add_argument(
        "--header",
        action="append",
        type=_field,
        default=[],
        metavar="'NAME: VALUE'",
        help="a header field to send in each request, as an application may want a Host or a Cookie (may be "
        "repeated)",
    )
    parser.add_argument(
        "--profile",
        action="append",
        choices=_CHOICES,
        help=f"what to hold it to (default: {', '.join(_DEFAULTS)}; may be repeated)",
    )
    for flag, does in (("--select", "judge by this rule or chapter only"), ("--ignore", "leave it out")):
        parser.add_argument(
            flag, action="append", default=[], metavar="RULE", help=f"{does}: A2, or A (may be repeated)"
        )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=TIMEOUT,
        metavar="SECONDS",
        help=f"give up a scenario in which a call takes longer (default: {TIMEOUT:g})",
    )
    add_level_option(parser)
    add_output_options(parser)


def run(options: argparse.Namespace) -> int:
    """Load what is named, judge it, write the reports; return the exit status."""
    judge = judge_middleware if options.middleware else drive
    progress, clear = _progress(options)
    try:
        # What the application prints would stand within the report, which may be JSON.
        with contextlib.redirect_stdout(sys.stderr):
            subject = load_callable(options.application)
            report = judge(
                subject,
                name=options.application,
                paths=options.path or ("/",),
                fields=options.header,
                profiles=map(Profile, options.profile) if options.profile else PROFILES,
                select=options.select,
                ignore=options.ignore,
                timeout=options.timeout,
                progress=progress,
            )
    except (ApplicationError, ValueError) as error:
        raise CommandFailure(str(error), NOT_JUDGED) from None
    clear()
    reports = [dataclasses.replace(report, tool=__version__)]
    write_outputs(reports, options)
    return exit_status(reports, weight_of(options))


def _progress(options: argparse.Namespace) -> tuple[Callable[[str], object], Callable[[], object]]:
    """Return what shows the name of a scenario, where somebody sits and waits, and what takes it away."""
    terminal = sys.stderr
    if options.quiet or not terminal.isatty():
        return lambda name: None, lambda: None

    def show(name: str = "") -> None:
        # The application may have closed it, and somebody the window.
        with contextlib.suppress(OSError, ValueError):
            terminal.write(f"{_CLEAR}{name}")
            terminal.flush()

    return show, show


_CLEAR: Final = "\r\x1b[K"


def _path(text: str) -> str:
    if not text.startswith("/"):
        raise argparse.ArgumentTypeError(f"a path begins with a slash, and {text!r} does not")
    # As a client sends it: the request line is ASCII, and the environ latin-1 (PEP 3333, "Unicode Issues").
    return quote(text, safe=_ASCII, errors="surrogateescape")


_ASCII: Final = "".join(map(chr, range(128)))


def _field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name or name != name.strip():
        raise argparse.ArgumentTypeError(f"a header field is written 'Name: value', and {text!r} is not")
    return name, value.strip().encode("utf-8", "surrogateescape").decode("latin-1")


_LONGEST: Final = 86400
"""A day, in seconds: threads cannot wait for just any time."""


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0, up to {_LONGEST}")
    return seconds
