"""How the process of `wsgix serve` ends: soon, whoever has stopped reading and whatever is still running.

The interpreter itself waits for ever: for threads that are no daemons, those of `concurrent.futures` among
them, and for whoever reads standard output and standard error. Only the command may call this: a program that
embeds the server has an end of its own.
"""

import atexit
import contextlib
import os
import threading
from typing import Final

from wsgix.server.error_log import give_up_unwritable_streams
from wsgix.server.scheduler import THREAD_NAME

_EXIT_SECONDS: Final = 5.0
"""How long functions that were registered with `atexit` may take, if threads are cut off."""
_STUCK_SECONDS: Final = 1.0
"""The same, if a stream is stuck: most likely they wait for it, too."""


def see_to_the_end(seconds: float) -> None:
    """Let the process end as usual within *seconds*, or end it now if it could not; after the server's end.

    Args:
        seconds: what threads of the application's own have, once all requests are answered.
    """
    stuck = give_up_unwritable_streams()
    # The time of a thread that is still inside the application is over, and it may print at any moment: the
    # interpreter would wait for it, or abort because it holds the lock of a stream.
    if not stuck and not any(thread.name == THREAD_NAME for thread in threading.enumerate()):
        _exit_after(seconds)
        return
    _exit_after(_STUCK_SECONDS if stuck else _EXIT_SECONDS)
    try:
        atexit._run_exitfuncs()  # logging.shutdown among them
        if not stuck:
            give_up_unwritable_streams()
    finally:
        os._exit(0)


def _exit_after(seconds: float) -> None:
    """End the process with 0 in *seconds*, unless it has ended by then."""
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    with contextlib.suppress(RuntimeError):  # no more threads to be had
        timer.start()
