"""The clock as responses show it: one formatted `Date` line a second."""

import time

from wsgix.wire.date import http_date


class DateLine:
    """The `Date` field line of the current second, and what is to follow it; any thread may ask."""

    def __init__(self, following: bytes = b"") -> None:
        self._second = -1
        self._line = b""
        self._following = following

    def now(self) -> bytes:
        """Return the line with its CR LF, and what follows."""
        second = int(time.time())
        if second != self._second:
            self._line = f"Date: {http_date(time.gmtime(second))}\r\n".encode("ascii") + self._following
            self._second = second
        return self._line
