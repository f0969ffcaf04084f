"""One process's server: listeners, loop and threads put together, from start to stop."""

import sys
from collections.abc import Sequence
from typing import Final

from wsgix.core.environ import add_wsgi_variables
from wsgix.core.exchange import Application, Environ
from wsgix.server.access_log import AccessLog
from wsgix.server.listeners import Listener
from wsgix.server.loop import Loop
from wsgix.server.settings import Settings

_JOIN_SECONDS: Final = 5.0


class Worker:
    """Serves *application* on *listeners*, which it closes when it stops."""

    def __init__(self, application: Application, listeners: Sequence[Listener], settings: Settings) -> None:
        access_log = AccessLog() if settings.access_log else None
        templates = [(listener, _template(listener, settings)) for listener in listeners]
        self._loop = Loop(application, templates, settings.threads, access_log)

    def run(self) -> None:
        """Serve until `stop`. The calling thread watches; the work is done by threads of its own."""
        scheduler = self._loop.scheduler
        scheduler.start()
        scheduler.watch()
        # A thread that is still inside the application has used up its time.
        scheduler.join(_JOIN_SECONDS if self._loop.is_empty else 0)
        self._loop.close()

    def stop(self) -> None:
        """Finish what was begun and let `run` return; from any thread or signal handler."""
        self._loop.stop()


def _template(listener: Listener, settings: Settings) -> Environ:
    """Make the variables that all requests of *listener* share."""
    environ: Environ = {
        "SCRIPT_NAME": "",
        "SERVER_NAME": listener.server_name,
        "SERVER_PORT": listener.server_port,
        "SERVER_SOFTWARE": "wsgix",
        "GATEWAY_INTERFACE": "CGI/1.1",
        # Reading to the end is safe: the content is whole before the application is called.
        "wsgi.input_terminated": True,
    }
    add_wsgi_variables(
        environ,
        input=None,  # each request has its own
        errors=sys.stderr,
        url_scheme="http",
        multithread=settings.threads > 1,
        multiprocess=False,
        run_once=False,
        file_wrapper=None,
    )
    return environ
