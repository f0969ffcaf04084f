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


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command and its options, one for each row of `facts.settings`."""
    parser = commands.add_parser(
        "serve",
        help="serve an application over HTTP/1.1",
        description="Serve a WSGI application over HTTP/1.1 until SIGTERM or SIGINT.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "application",
        metavar="APPLICATION",
        help="module:attribute, path/to/file.py:attribute, or module:factory(); the attribute is "
        f"{', then '.join(DEFAULT_NAMES)} by default",
    )
    for row in SETTINGS:
        parser.add_argument(_flag(row), dest=row.name, **_option(row))
    parser.set_defaults(run=run, parser=parser)


def _flag(row: Setting) -> str:
    return "--" + row.name.replace("_", "-")


def _option(row: Setting) -> dict[str, Any]:
    # argparse is not given the defaults: `make_settings` knows them, and some versions would show them twice.
    if row.kind is Kind.SWITCH:
        default = "on" if row.default else "off"
        return {"action": argparse.BooleanOptionalAction, "help": f"{row.meaning} (default: {default})"}
    several = row.kind is Kind.ADDRESSES
    default = " ".join(row.default) if isinstance(row.default, tuple) else str(row.default)
    return {
        "action": "append" if several else "store",
        "metavar": row.metavar,
        "help": f"{row.meaning} (default: {default}{'; may be repeated' if several else ''})",
    }


def run(options: argparse.Namespace) -> None:
    """Check the settings, open the addresses, load the application, serve.

    Raises:
        wsgix.server.settings.ConfigurationError: a setting is wrong or an address cannot be had.
        wsgix.cli.application.ApplicationError: the application cannot be loaded.
    """
    given = {row.name: getattr(options, row.name) for row in SETTINGS}
    settings = make_settings(**{name: value for name, value in given.items() if value is not None})
    _log_to_standard_error()
    listeners = open_listeners(settings.bind)
    try:
        application = load_application(options.application)
    except BaseException:
        close_listeners(listeners)
        raise
    serve_listeners(application, listeners, settings, _announce)


def _log_to_standard_error() -> None:
    """Show the server's own log. The root logger stays the application's to configure."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        logging.Formatter(
            "[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s", datefmt="%Y-%m-%d %H:%M:%S %z"
        )
    )
    log = logging.getLogger("wsgix")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


def _announce(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
