"""The command line: one file a command, found by its name.

Whatever is wrong is one clear line on standard error. Exit codes are gunicorn's: 1 for a configuration that
cannot be served, 4 for an application that cannot be loaded; argparse's 2 for a command line that cannot be
read.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from wsgix import __version__
from wsgix.cli import check, serve
from wsgix.cli.application import ApplicationError
from wsgix.cli.plain_output import CommandFailure
from wsgix.server.settings import ConfigurationError

CONFIGURATION_FAULT: Final = 1
COMMAND_LINE_FAULT: Final = 2
APPLICATION_FAULT: Final = 4
_INTERRUPTED: Final = 128 + signal.SIGINT
"""What a shell reports for a process that Ctrl-C ended."""


class _Parser(argparse.ArgumentParser):
    """Reports a fault in one line, instead of below the usage of everything."""

    def error(self, message: str) -> NoReturn:
        self.exit(COMMAND_LINE_FAULT, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in *arguments* (default: of this process); return the exit code."""
    parser = _Parser(prog="wsgix", description="Serve WSGI applications.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"wsgix {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    serve.add_to(commands)
    checking = commands.add_parser(
        "check", help="judge an application or middleware by the rules of PEP 3333"
    )
    check.configure(checking)
    checking.set_defaults(run=check.run, parser=checking)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        options.parser.error(f"there is no option or argument {' '.join(unknown)}")
    try:
        status: int | None = options.run(options)
    except CommandFailure as error:
        print(f"wsgix: {error}", file=sys.stderr)
        return error.exit_status
    except ConfigurationError as error:
        print(f"wsgix: {error}", file=sys.stderr)
        return CONFIGURATION_FAULT
    except ApplicationError as error:
        print(f"wsgix: {error}", file=sys.stderr)
        return APPLICATION_FAULT
    except KeyboardInterrupt:  # while the application was loaded; once it is served, a signal is its end
        return _INTERRUPTED
    return status or 0
