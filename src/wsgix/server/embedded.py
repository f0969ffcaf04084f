"""The server as a Python program uses it: `serve` blocks, `Server` serves beside the program."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterable
from types import FrameType, TracebackType
from typing import Any, Self

from wsgix.core.exchange import Application
from wsgix.server.listeners import Listener, close_listeners, open_listeners
from wsgix.server.settings import Settings, make_settings
from wsgix.server.signals import Handler, handling
from wsgix.server.worker import Worker


def serve(application: Application, bind: str | Iterable[str] = "127.0.0.1:8000", **settings: Any) -> None:
    """Serve *application* until SIGTERM or SIGINT; requests that were begun are finished.

    Args:
        application: a WSGI application (PEP 3333).
        bind: one address to listen on or several, each as HOST:PORT, [IPV6]:PORT, *:PORT, unix:PATH,
            unix:@NAME or fd://N.
        settings: those of docs/settings.md, by name.

    Raises:
        TypeError: *application* cannot be called.
        wsgix.server.settings.ConfigurationError: a setting is wrong or an address cannot be had.
    """
    _check_callable(application)
    checked = make_settings(bind=bind, **settings)
    serve_listeners(application, open_listeners(checked.bind, checked.socket_options), checked, _announce)


def _check_callable(application: object) -> None:
    if not callable(application):
        raise TypeError(
            f"the application must be callable, and this is an object of type {type(application).__name__}"
        )


def _announce(line: str) -> None:
    # Nobody may be there to read it; AttributeError: the program has put something there that only writes.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(line, flush=True)  # noqa: T201 (where it serves is for whoever started the program)


def serve_listeners(
    application: Application, listeners: list[Listener], settings: Settings, announce: Callable[[str], object]
) -> float:
    """Serve on open *listeners* until a signal, after telling *announce* where.

    Returns how many seconds of the graceful timeout are left, for what else has to end.
    """
    try:
        worker = Worker(application, listeners, settings)
    except BaseException:
        close_listeners(listeners)
        raise

    def stop(_number: int, _frame: FrameType | None) -> None:
        worker.stop()

    def reopen_logs(_number: int, _frame: FrameType | None) -> None:
        worker.reopen_logs()

    def reload_certificates(_number: int, _frame: FrameType | None) -> None:
        worker.reload_certificates()

    handlers: dict[int, Handler] = {}
    # Signals reach the main thread only; elsewhere whoever owns it decides about them.
    if threading.current_thread() is threading.main_thread():
        handlers = {signal.SIGTERM: stop, signal.SIGINT: stop}
        if hasattr(signal, "SIGUSR1"):
            handlers |= {signal.SIGUSR1: reopen_logs, signal.SIGHUP: reload_certificates}
    with handling(handlers):
        try:
            # A host may have several addresses.
            for url in dict.fromkeys(listener.url for listener in listeners):
                announce(f"wsgix serves {url}")
        except BaseException:
            worker.abandon()
            raise
        worker.run(heeds_signals=bool(handlers))
    return worker.seconds_left


class Server:
    """An application served from threads of this process: made for tests.

    >>> import urllib.request
    >>> from wsgix.simple_server import demo_app
    >>> with Server(demo_app) as server:
    ...     urllib.request.urlopen(server.url).status
    200

    Args:
        application: a WSGI application (PEP 3333).
        bind: as for `serve`; port 0 takes a free one.
        settings: as for `serve`; the access log is off by default.

    Attributes:
        url: where the first address is reached, once the server is entered, as in "http://127.0.0.1:49152".

    Raises:
        TypeError: *application* cannot be called.

    Raises, on entering:
        RuntimeError: it was entered already and not left.
        wsgix.server.settings.ConfigurationError: a setting is wrong or an address cannot be had.
    """

    def __init__(
        self, application: Application, bind: str | Iterable[str] = "127.0.0.1:0", **settings: Any
    ) -> None:
        _check_callable(application)
        self._application = application
        self._settings = make_settings(**{"bind": bind, "access_log": False, **settings})
        self._entering = threading.Lock()
        self._leaving = threading.Lock()
        self._worker: Worker | None = None
        self._thread: threading.Thread | None = None
        self.url = ""

    def __enter__(self) -> Self:
        # Of several threads that enter it at once, one does.
        if self._entering.acquire(blocking=False):
            try:
                if self._worker is None:
                    return self._start()
            finally:
                self._entering.release()
        raise RuntimeError("this server serves already; make another one")

    def _start(self) -> Self:
        listeners = open_listeners(self._settings.bind, self._settings.socket_options)
        try:
            worker = Worker(self._application, listeners, self._settings)
        except BaseException:
            close_listeners(listeners)
            raise
        thread = threading.Thread(target=worker.run, name="wsgix-watch", daemon=True)
        try:
            thread.start()
        except BaseException:
            worker.abandon()
            raise
        self._worker, self._thread = worker, thread
        self.url = listeners[0].url
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        worker, thread = self._worker, self._thread  # another thread may leave it, too
        if worker is not None and thread is not None:
            worker.stop()
            thread.join()
            with self._leaving:
                if self._worker is worker:  # else that one has left it first, and it may be entered again
                    self._worker = self._thread = None
