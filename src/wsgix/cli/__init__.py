"""The command line: one file a command, found by its name.

Exit codes are gunicorn's: 1 for a configuration that cannot be served, 4 for an application that cannot
be loaded; argparse's 2 for a command line that cannot be read.
"""

import argparse
import sys
from collections.abc import Sequence

from wsgix import __version__
from wsgix.cli import serve
from wsgix.cli.application import ApplicationError
from wsgix.server.settings import ConfigurationError

CONFIGURATION_FAULT = 1
APPLICATION_FAULT = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in *arguments* (default: of this process); return the exit code."""
    parser = argparse.ArgumentParser(prog="wsgix", description="Serve WSGI applications.")
    parser.add_argument("--version", action="version", version=f"wsgix {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    serve.add_to(commands)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except ConfigurationError as error:
        print(f"wsgix: {error}", file=sys.stderr)
        return CONFIGURATION_FAULT
    except ApplicationError as error:
        print(f"wsgix: {error}", file=sys.stderr)
        return APPLICATION_FAULT
    return 0
