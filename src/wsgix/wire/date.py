"""The one date format that a sender of HTTP may generate. Pure: the clock is read elsewhere."""

from collections.abc import Sequence
from typing import Final

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(utc: Sequence[int]) -> str:
    """Format an IMF-fixdate, as in "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7).

    Args:
        utc: the fields of `time.gmtime()`: year, month (1-12), day, hours, minutes, seconds,
            weekday (0 is Monday).
    """
    year, month, day, hours, minutes, seconds, weekday = utc[:7]
    return (
        f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {hours:02}:{minutes:02}:{seconds:02} GMT"
    )
