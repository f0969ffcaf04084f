"""How the process of `wsgix serve` ends: soon, whoever has stopped reading and whatever is still running.

The interpreter itself waits for ever: for threads that are no daemons, those of `concurrent.futures` among
them, and for whoever reads standard output and standard error. Only the command may call this: a program that
embeds the server has an end of its own.
"""

import atexit
import contextlib
import os
import signal
import threading
import time
from typing import Final

from wsgix.server.error_log import give_up_unwritable_streams
from wsgix.server.scheduler import THREAD_NAME

_EXIT_SECONDS: Final = 5.0
"""How long functions that were registered with `atexit` may take, if the time of all else is over."""
_STUCK_SECONDS: Final = 1.0
"""The same, if a stream is stuck: most likely they wait for it, too."""
_THREADS_SECONDS: Final = 1.0
"""What threads of the application's own have in any case: those that have nothing to do end in it."""


def see_to_the_end(seconds: float) -> None:
    """Let the process end as usual in time, or end it now if it could not; after the server's end.

    Args:
        seconds: what threads of the application's own have, once all requests are answered.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # What is still waited for would be interrupted with a traceback, and with SIGTERM is ended.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    stuck = give_up_unwritable_streams()
    # The time of a thread that is still inside the application is over, and it may print at any moment: the
    # interpreter would wait for it, or abort because it holds the lock of a stream.
    if not stuck and not any(thread.name == THREAD_NAME for thread in threading.enumerate()):
        threads_ended = threading.Event()
        # The interpreter waits for threads first, and then calls these functions, the last one first.
        atexit.register(threads_ended.set)
        _start(threading.Thread(target=_exit_unless_ended, args=(threads_ended, seconds)))
        return
    _exit_after(_STUCK_SECONDS if stuck else _EXIT_SECONDS)
    try:
        atexit._run_exitfuncs()  # logging.shutdown among them
        if not stuck:
            give_up_unwritable_streams()
    finally:
        os._exit(0)


def _exit_unless_ended(threads_ended: threading.Event, seconds: float) -> None:
    """End the process with 0 if threads take longer than *seconds*, or exit functions much longer."""
    deadline = time.monotonic() + seconds
    if threads_ended.wait(max(seconds, _THREADS_SECONDS)):
        time.sleep(max(deadline - time.monotonic(), _EXIT_SECONDS))
    os._exit(0)


def _exit_after(seconds: float) -> None:
    """End the process with 0 in *seconds*, unless it has ended by then."""
    _start(threading.Timer(seconds, os._exit, (0,)))


def _start(thread: threading.Thread) -> None:
    thread.daemon = True
    with contextlib.suppress(RuntimeError):  # no more threads to be had
        thread.start()
