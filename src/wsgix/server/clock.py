"""The clock as responses show it: one formatted `Date` line a second."""

import time

from wsgix.wire.date import http_date


class DateLine:
    """The `Date` field line of the current second, and what is to follow it; any thread may ask.

    Attributes:
        line: the line, with its CR LF and what follows, as `now` last made it.
    """

    def __init__(self, following: bytes = b"") -> None:
        self._second = -1
        self._following = following
        self.line = self.now()

    def now(self) -> bytes:
        """Bring the line up to date and return it."""
        second = int(time.time())
        if second != self._second:
            self.line = f"Date: {http_date(time.gmtime(second))}\r\n".encode("ascii") + self._following
            self._second = second
        return self.line
