"""The command line: one file a command, found by its name.

`COMMANDS` is all that is known of a command before its name was read: its module is imported only then, so
that the server does not load the referee, nor the referee the server. Such a module exports
`configure(parser)`, which adds its arguments, and `run(options)`, which returns the exit status.

Whatever is wrong is one clear line on standard error. 2 is the exit status for a command line that cannot be
read, as argparse has it; a command has its own for the rest.
"""

import argparse
import importlib
import signal
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple, NoReturn

from wsgix import __version__
from wsgix.cli.failure import CommandFailure
from wsgix.cli.streams import ensure_standard_streams

COMMAND_LINE_FAULT: Final = 2
_INTERRUPTED: Final = 128 + signal.SIGINT
"""What a shell reports for a process that Ctrl-C ended."""


class Command(NamedTuple):
    """One command: its name, the module that has it, and what it does in a few words."""

    name: str
    module: str
    summary: str


COMMANDS: Final = (
    Command("serve", "wsgix.cli.serve", "serve an application over HTTP/1.1"),
    Command("check", "wsgix.cli.check", "judge an application or middleware by the rules of PEP 3333"),
    Command("probe", "wsgix.cli.probe", "judge servers by the rules of PEP 3333"),
    Command("rules", "wsgix.cli.rules", "list the rules that the referee judges by, or show some of them"),
    Command("report", "wsgix.cli.report", "show kept results again, as a table, a page or in another form"),
)


class _Parser(argparse.ArgumentParser):
    """Reports a fault in one line, instead of below the usage of everything."""

    def error(self, message: str) -> NoReturn:
        self.exit(COMMAND_LINE_FAULT, f"{self.prog}: {message}; see {self.prog} --help\n")

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """Report arguments that are *unknown*, with the options that may have been meant by the first."""
        from wsgix.server.settings import did_you_mean  # only a mistake pays for it

        question = ""
        option = unknown[0].partition("=")[0]
        if option.startswith("--") and option not in self._option_string_actions:
            # Without dashes, which make all of them a little alike.
            names = [known[2:] for known in self._option_string_actions if known.startswith("--")]
            question = did_you_mean(option[2:], names, "--{}".format)
        hint = f" ({question})" if question else ""
        self.error(f"there is no option or argument {' '.join(unknown)}{hint}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in *arguments* (default: of this process); return the exit status."""
    ensure_standard_streams()
    given = sys.argv[1:] if arguments is None else arguments
    options, unknown = _parser(_named(given)).parse_known_args(given)
    if unknown:
        options.parser.refuse(unknown)
    try:
        status: int = options.run(options)
    except CommandFailure as failure:
        _tell(f"wsgix: {failure}")
        return failure.exit_status
    except KeyboardInterrupt:  # a server turns the signal into its regular end; this is before it serves
        return _INTERRUPTED
    return status


def _tell(line: str) -> None:
    """Print *line* on standard error; the exit status stands, also if nobody can read it."""
    try:
        print(line, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        # At its end the interpreter would try once more, and exit with 120.
        sys.stderr = None


def _named(arguments: Sequence[str]) -> str:
    """Return the command's name: no option before it takes a value, so it is the first that is no option."""
    return next((argument for argument in arguments if not argument.startswith("-")), "")


def _parser(name: str) -> _Parser:
    """Make the parser of all commands, in which only the one called *name* has its arguments."""
    parser = _Parser(
        prog="wsgix",
        description="Serve WSGI applications, and judge them and their servers.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"wsgix {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        subparser = commands.add_parser(command.name, help=command.summary, allow_abbrev=False)
        if command.name == name:
            module = importlib.import_module(command.module)
            module.configure(subparser)
            subparser.set_defaults(run=module.run, parser=subparser)
    return parser
