"""What all tests share: how Hypothesis draws its examples, and that processes heed an interrupt."""

import signal

from hypothesis import settings

# The same examples every time, no file, no clock.
settings.register_profile("wsgix", derandomize=True, deadline=None, database=None)
settings.load_profile("wsgix")

# A shell lets commands in the background ignore SIGINT, which the processes that tests start would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
