"""What all tests share: how Hypothesis draws its examples, and that processes heed an interrupt."""

import signal

# pytest imports it to tell of what fails while it is freed. Where the import itself frees such a thing,
# such as a file that a broken server left open, it meets half a module.
import tracemalloc  # noqa: F401

from hypothesis import settings

# The same examples every time, no file, no clock.
settings.register_profile("wsgix", derandomize=True, deadline=None, database=None)
settings.load_profile("wsgix")

# A shell lets commands in the background ignore SIGINT, which the processes that tests start would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
