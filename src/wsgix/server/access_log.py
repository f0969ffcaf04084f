"""The access log: one line a request in the combined format, written in batches.

Any thread may `add`; only the leader calls `flush`.
"""

import logging
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

_log: Final = logging.getLogger("wsgix.error")

_ESCAPES: Final = {
    code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0x100), ord('"'), ord("\\"))
}


def escape(text: str) -> str:
    r"""Return *text* so that it cannot end its field or its line: printable ASCII only.

    >>> escape('a"b')
    'a\\x22b'
    """
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return text.translate(_ESCAPES)


class AccessLog:
    """Collects lines and writes them to standard output."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._second = -1
        self._time = ""
        self._failed = False

    def add(self, client: str, request_line: str, status: str, size: int, environ: Mapping[str, Any]) -> None:
        """Note one response.

        Args:
            client: the address of the client, "" where it has none.
            request_line: as received, latin-1.
            status: the status sent.
            size: bytes of content sent.
            environ: where `Referer` and `User-Agent` are looked up.
        """
        second = int(time.time())
        if second != self._second:
            self._time = time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime(second))
            self._second = second
        referer = environ.get("HTTP_REFERER", "-")
        agent = environ.get("HTTP_USER_AGENT", "-")
        line = (
            f'{client or "-"} - - [{self._time}] "{escape(request_line)}" {status[:3]} {size or "-"} '
            f'"{escape(str(referer))}" "{escape(str(agent))}"\n'
        )
        self._lines.append(line)

    def flush(self) -> None:
        """Write what was collected. A log that cannot be written loses lines, never a request."""
        if not self._lines:
            return
        # Emptied in place: another thread may be about to append to this very list.
        lines = self._lines[:]
        del self._lines[: len(lines)]
        try:
            sys.stdout.write("".join(lines))
            sys.stdout.flush()
        except (OSError, ValueError, AttributeError) as error:  # the stream is closed, or None
            if not self._failed:
                self._failed = True
                _log.warning("the access log cannot be written: %s", error)
