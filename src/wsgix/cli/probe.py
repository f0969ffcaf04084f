"""`wsgix probe`: judge WSGI servers by the rules of the referee.

Here live the options and what a wrong one gets to hear, and the line that tells how far it is. Servers are
started by `conform.servers` and judged by `conform.probe`; reports are written by `cli.output`.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import shutil
import signal
import sys
import textwrap
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from wsgix import __version__
from wsgix.cli.failure import CommandFailure
from wsgix.cli.output import add_level_option, add_output_options, put, weight_of, write_outputs
from wsgix.conform import probe
from wsgix.conform.rule import NOT_JUDGED, Profile, exit_status
from wsgix.conform.servers import GROUPS, SERVERS, Server, installed_version, row_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsgix.conform.rule import Report, Rule

_ALL: Final = "all"
_DESCRIPTION: Final = """\
Judge WSGI servers by what can be observed of them: a server is started with the probe application behind it,
asked by raw sockets, and held to each rule by its answers. Servers known by name listen on 127.0.0.1 only.
"""
_EPILOG: Final = """\
NAME is one of
%(names)s;
`gunicorn` is its three workers, `all` is every one that the interpreter has.

A COMMAND has {host} and {port} where the server shall listen, and {app}, the probe application as
module:attribute, or {module} and {attribute}; it runs in a folder of its own, which is on PYTHONPATH, as in
--command "gunicorn --bind {host}:{port} {app}". A server at a URL must serve what --print-app prints.

Exit status: 0 clean, 1 findings at the chosen level, 2 could not judge.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.usage = "%(prog)s [OPTION ...] [NAME ...]"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _DESCRIPTION
    names = textwrap.fill(", ".join(row.name for row in SERVERS), 100, break_on_hyphens=False)
    parser.epilog = _EPILOG.replace("%(names)s", names)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a server; several are judged one by one")
    parser.add_argument("--command", metavar="COMMAND", help="start a server with this command and judge it")
    parser.add_argument(
        "--url", help="judge the server at this URL, which serves the probe application already"
    )
    parser.add_argument(
        "--print-app", action="store_true", help="print the probe application and do nothing else"
    )
    parser.add_argument(
        "--list", action="store_true", help="list servers, and which versions there are; judge none"
    )
    parser.add_argument(
        "--python", metavar="PATH", help="the interpreter that has the servers (default: this one)"
    )
    parser.add_argument(
        "--profile",
        action="append",
        choices=[profile.value for profile in Profile],
        help="hold it to this body of rules (default: all; may be repeated)",
    )
    for flag, does in (("--select", "judge by this rule or chapter only"), ("--ignore", "leave it out")):
        parser.add_argument(
            flag, action="append", default=[], metavar="RULE", help=f"{does}: E2, or E (may be repeated)"
        )
    parser.add_argument(
        "--jobs",
        type=_number,
        default=probe.JOBS,
        metavar="N",
        help="ask up to N cases at a time (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=probe.TIMEOUT,
        metavar="SECONDS",
        help="wait so long for each answer (default: %(default)s)",
    )
    add_level_option(parser)
    add_output_options(parser)


def run(options: argparse.Namespace) -> int:
    """Judge what is named, write the reports; return the exit status."""
    if options.print_app:
        put(files("wsgix.conform").joinpath("probe_app.py").read_text(encoding="utf-8"))
        return 0
    if options.list:
        return _list(options.python)
    rows = _rows(options)
    if not (rows or options.command or options.url):
        raise CommandFailure("no server is named; see wsgix probe --help", NOT_JUDGED)
    # So that the servers are stopped however this ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    rules = _rules(options.select, options.ignore)
    profiles = frozenset(map(Profile, options.profile)) if options.profile else frozenset(Profile)

    def how(name: str) -> probe.Options:
        return probe.Options(rules, options.jobs, options.timeout, _progress(name))

    reports: list[Report] = []
    try:
        reports += [
            probe.probe_server(row.name, python=options.python, profiles=profiles, options=how(row.name))
            for row in rows
        ]
        if options.command:
            reports.append(probe.probe_command(options.command, profiles=profiles, options=how("command")))
        if options.url:
            reports.append(probe.probe_url(options.url, profiles=profiles, options=how(options.url)))
    except ValueError as error:
        raise CommandFailure(str(error), NOT_JUDGED) from None
    finally:
        _clear_line()
    reports = [dataclasses.replace(report, tool=__version__) for report in reports]
    write_outputs(reports, options)
    return exit_status(reports, weight_of(options))


def _list(python: str | None) -> int:
    width = max(len(row.name) for row in SERVERS)
    for row in SERVERS:
        version = _installed(row, python)
        told = version or (f"not installed (pip install {' '.join(row.requirements)})")
        put(f"{row.name:<{width}}  {told}\n")
    return 0


def _installed(row: Server, python: str | None) -> str:
    try:
        return installed_version(row, python)
    except OSError as error:
        raise CommandFailure(f"{python} cannot be run: {error.strerror}", NOT_JUDGED) from None


def _rows(options: argparse.Namespace) -> list[Server]:
    rows: list[Server] = []
    for name in options.names:
        if name == _ALL:
            found = [row for row in SERVERS if _installed(row, options.python)]
        else:
            try:
                found = [row_of(one) for one in GROUPS.get(name, (name,))]
            except KeyError:
                known = ", ".join([*(row.name for row in SERVERS), *GROUPS, _ALL])
                raise CommandFailure(f"there is no server {name!r}; there are: {known}", NOT_JUDGED) from None
        for row in found:
            # The version is asked for again when it starts; a missing interpreter is better told now.
            _installed(row, options.python)
        rows += [row for row in found if row not in rows]
    return rows


def _rules(select: list[str], ignore: list[str]) -> list[Rule]:
    rules = probe.server_rules()
    for name in [*select, *ignore]:
        if not any(_names(name, rule) for rule in rules):
            raise CommandFailure(f"no rule that binds servers is called {name!r}", NOT_JUDGED)
    return [
        rule
        for rule in rules
        if (not select or any(_names(name, rule) for name in select))
        and not any(_names(name, rule) for name in ignore)
    ]


def _names(name: str, rule: Rule) -> bool:
    """Tell whether a name is this rule's ID or slug, or the letter of its chapter."""
    return name.upper() in (rule.id, rule.id.rstrip("0123456789")) or name == rule.slug


def _progress(name: str) -> Callable[[int, int, str], None] | None:
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int, case: str) -> None:
        columns = shutil.get_terminal_size().columns - 1
        line = f"{name}: {done}/{total} {case}"[:columns]
        # Somebody may have closed the terminal.
        with contextlib.suppress(OSError):
            print(f"\r{line:<{columns}}", end="", file=sys.stderr, flush=True)

    return show


def _clear_line() -> None:
    if sys.stderr.isatty():
        with contextlib.suppress(OSError):
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _number(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 64")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 60:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0.1 to 60")
    return seconds
