"""`wsgix serve`: serve an application until SIGTERM or SIGINT."""

import argparse
import logging
import sys
from typing import Any

from wsgix.cli.application import DEFAULT_NAMES, load_application
from wsgix.facts.settings import SETTINGS, Kind, Setting
from wsgix.server.embedded import serve_listeners
from wsgix.server.listeners import close_listeners, open_listeners
from wsgix.server.settings import make_settings


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options, one for each row of `facts.settings`."""
    parser = commands.add_parser("serve", help="serve an application over HTTP/1.1")
    parser.add_argument(
        "application",
        metavar="APPLICATION",
        help="module:attribute, path/to/file.py:attribute, or module:factory(); the attribute is "
        f"{' or '.join(DEFAULT_NAMES)} by default",
    )
    for row in SETTINGS:
        parser.add_argument("--" + row.name.replace("_", "-"), dest=row.name, **_option(row))
    parser.set_defaults(run=run)


def _option(row: Setting) -> dict[str, Any]:
    if row.kind is Kind.SWITCH:
        return {"action": argparse.BooleanOptionalAction, "default": row.default, "help": row.meaning}
    several = row.kind is Kind.ADDRESSES
    default = " ".join(row.default) if isinstance(row.default, tuple) else row.default
    return {
        "action": "append" if several else "store",
        "metavar": row.metavar,
        "help": f"{row.meaning} (default: {default}{'; may be repeated' if several else ''})",
    }


def run(options: argparse.Namespace) -> None:
    """Check the settings, open the addresses, load the application, serve."""
    given = {row.name: getattr(options, row.name) for row in SETTINGS}
    settings = make_settings(**{name: value for name, value in given.items() if value is not None})
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S %z",
    )
    listeners = open_listeners(settings.bind)
    try:
        application = load_application(options.application)
    except BaseException:
        close_listeners(listeners)
        raise
    serve_listeners(application, listeners, settings, _announce)


def _announce(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
