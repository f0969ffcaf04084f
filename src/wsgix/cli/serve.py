"""`wsgix serve`: serve an application until SIGTERM or SIGINT.

Exit statuses are gunicorn's: 1 for a configuration that cannot be served, 4 for an application that cannot be
loaded.
"""

import argparse
import contextlib
import os
import signal
import sys
import threading
from typing import Final

from wsgix.cli.application import NAMING, load_application
from wsgix.cli.ending import see_to_the_end
from wsgix.cli.failure import CommandFailure
from wsgix.facts.settings import METAVARS, SETTINGS, Kind, Section, Setting
from wsgix.server.allocator import share_one_arena
from wsgix.server.embedded import serve_listeners
from wsgix.server.error_log import give_up_unwritable_streams, log_to_standard_error
from wsgix.server.listeners import close_listeners, inherited_addresses, open_listeners
from wsgix.server.settings import ConfigurationError, Settings, make_settings, option_of, variable_of

CONFIGURATION_FAULT: Final = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options, one for each row of `facts.settings`."""
    parser.usage = "%(prog)s [OPTION ...] APPLICATION"
    parser.description = (
        "Serve a WSGI application over HTTP/1.1 until SIGTERM or SIGINT. Each option can also be "
        "given as an environment variable, as in WSGIX_THREADS=8; the command line wins."
    )
    parser.add_argument("application", metavar="APPLICATION", help=NAMING)
    for section in Section:
        group = parser.add_argument_group(section.value)
        for row in SETTINGS:
            if row.section is section:
                _add_option(group, row)


def _add_option(group: argparse._ArgumentGroup, row: Setting) -> None:
    flag = option_of(row.name)
    several = "; may be repeated" if row.several else ""
    # argparse is not given the defaults: `make_settings` knows them, and some versions would show them twice.
    text = f"{row.meaning} (default: {row.default}{several})".replace("%", "%%")
    if row.kind is Kind.SWITCH:
        group.add_argument(flag, dest=row.name, action=argparse.BooleanOptionalAction, help=text)
    elif row.kind is Kind.LOG:
        group.add_argument(flag, dest=row.name, nargs="?", const=True, metavar=METAVARS[row.kind], help=text)
        group.add_argument(f"--no-{flag[2:]}", dest=row.name, action="store_false", default=None)
    else:
        action = "append" if row.several else "store"
        group.add_argument(flag, dest=row.name, action=action, metavar=METAVARS[row.kind], help=text)


def run(options: argparse.Namespace) -> int:
    """Check the settings, open the addresses, load the application, serve; return 0 at its end.

    Raises:
        CommandFailure: a setting is wrong or an address cannot be had, or the application cannot be loaded.
    """
    try:
        _serve(options)
    except ConfigurationError as error:
        raise CommandFailure(str(error), CONFIGURATION_FAULT) from None
    return 0


def _serve(options: argparse.Namespace) -> None:
    settings = _settings(options)
    log = log_to_standard_error(settings.log_level)
    share_one_arena()
    listeners = open_listeners(settings.bind, settings.socket_options)
    _bear_signals()
    try:
        application = load_application(options.application)
    except BaseException:
        close_listeners(listeners)
        raise
    try:
        with contextlib.closing(log):
            seconds_left = serve_listeners(application, listeners, settings, _announce)
    except BaseException:
        give_up_unwritable_streams()
        raise
    see_to_the_end(seconds_left)


def _settings(options: argparse.Namespace) -> Settings:
    """Join the command line, the environment and what systemd passes on."""
    given = {row.name: getattr(options, row.name) for row in SETTINGS}
    values = {name: value for name, value in given.items() if value is not None}
    inherited = inherited_addresses(os.environ)
    if inherited and "bind" not in values and not os.environ.get(variable_of("bind")):
        values["bind"] = inherited
    return make_settings(os.environ, **values)


def _bear_signals() -> None:
    """Let the signals that mean "read this again" not end the process before the server heeds them.

    There is nothing to do for them yet: logs and certificates are opened after the application was loaded.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for name in ("SIGUSR1", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            # Not SIG_IGN, which programs that the application starts would inherit.
            signal.signal(number, lambda _number, _frame: None)


def _announce(line: str) -> None:
    # Nobody may be there to read it.
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)
