"""One process's server: listeners, loop and threads put together, from start to stop."""

import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from wsgix.core.environ import add_wsgi_variables
from wsgix.core.exchange import Application, Environ
from wsgix.core.files import FileWrapper
from wsgix.server.allocator import keep_blocks
from wsgix.server.children import forget, leave_in_children
from wsgix.server.connection import CONTENT_SIZE
from wsgix.server.error_log import ErrorStream
from wsgix.server.listeners import Listener, close_listeners
from wsgix.server.loop import Loop
from wsgix.server.settings import Settings

if TYPE_CHECKING:
    from wsgix.server.access_log import AccessLog
    from wsgix.server.certificates import Certificates
    from wsgix.server.trust import Trust

_JOIN_SECONDS: Final = 5.0
_STUCK_JOIN_SECONDS: Final = 0.1
"""The same if some will not end: they are not waited for, only the others."""


class Worker:
    """Serves *application* on *listeners*, which it closes when it stops."""

    def __init__(self, application: Application, listeners: Sequence[Listener], settings: Settings) -> None:
        self._listeners = listeners
        templates = [(listener, _template(listener, settings)) for listener in listeners]
        trust = _make_trust(settings)
        self._certificates = _load_certificates(settings)
        # After what fails more often: it is open from here on.
        self._access_log = _open_access_log(settings)
        try:
            self._loop = Loop(application, templates, settings, self._access_log, trust, self._certificates)
        except BaseException:
            self._close_access_log()
            raise

    def run(self, *, heeds_signals: bool = False) -> None:
        """Serve until `stop`. The calling thread watches; the work is done by threads of its own.

        With *heeds_signals*, the calling thread is the main one: the system may deliver a signal to any
        thread, but its handler runs on this one, which sleeps, and is woken for it.
        """
        scheduler = self._loop.scheduler
        keep_blocks(4 * CONTENT_SIZE)
        before = (
            signal.set_wakeup_fd(self._loop.signal_fd, warn_on_full_buffer=False) if heeds_signals else -1
        )
        leave_in_children(self._loop.leave)
        try:
            try:
                scheduler.start()
            except BaseException:
                self.abandon()
                raise
            scheduler.watch()
            # A thread that is still inside the application has used up its time.
            scheduler.join(_JOIN_SECONDS if self._loop.is_empty else _STUCK_JOIN_SECONDS)
        finally:
            forget(self._loop.leave)
            if heeds_signals:
                signal.set_wakeup_fd(before)
        self._loop.close()
        self._close_access_log()

    def abandon(self) -> None:
        """Close all that is open, the listeners too; if nothing is served."""
        close_listeners(self._listeners)
        self._loop.close()
        self._close_access_log()

    def _close_access_log(self) -> None:
        if self._access_log is not None:
            self._access_log.close()

    def reopen_logs(self) -> None:
        """Go on in a new access log, after log rotation; from any thread or signal handler."""
        if self._access_log is not None:
            self._access_log.reopen()

    def reload_certificates(self) -> None:
        """Show new certificates from now on; connections go on with theirs. On any thread."""
        if self._certificates is not None:
            self._certificates.reload()

    def stop(self) -> None:
        """Finish what was begun and let `run` return; from any thread or signal handler."""
        self._loop.stop()

    @property
    def seconds_left(self) -> float:
        """How much of the graceful timeout is left, once `run` has returned; 0 after a second `stop`."""
        return self._loop.seconds_left


def _open_access_log(settings: Settings) -> "AccessLog | None":
    where = settings.access_log
    if where is False:
        return None
    from wsgix.server.access_log import STANDARD_OUTPUT, AccessLog

    return AccessLog(STANDARD_OUTPUT if where is True else where, settings.access_log_format)


def _make_trust(settings: Settings) -> "Trust | None":
    """Return the trusted proxies, None where there are none: then nothing of this costs anything."""
    if not settings.forwarded_from and settings.proxy_protocol == "off":
        return None
    from wsgix.server.trust import Trust

    return Trust(settings)


def _load_certificates(settings: Settings) -> "Certificates | None":
    """Load what TLS begins with; without TLS, `ssl` with its milliseconds and megabytes stays out."""
    if not settings.certfile:
        return None
    from wsgix.server.certificates import Certificates

    return Certificates(settings.certfile, settings.keyfile, settings.ca_certs, settings.client_certs)


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
        errors=ErrorStream(),
        url_scheme=listener.scheme,
        multithread=settings.threads > 1,
        # Other processes on the same port are there to serve the same application.
        multiprocess=settings.reuse_port,
        run_once=False,
        file_wrapper=FileWrapper,
    )
    return environ
