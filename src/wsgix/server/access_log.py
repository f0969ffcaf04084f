"""The access log: a line a response, collected where it ends and written in batches.

Any thread may `add`; only the leader calls `flush`. What a line looks like is `access_format`'s, where it
goes is `log_file`'s.
"""

import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from wsgix.server.access_format import COMBINED, Answered, FormatError, read_format, refused
from wsgix.server.log_file import LogFile, open_file, open_stream
from wsgix.server.settings import ConfigurationError
from wsgix.server.sure_log import log

STANDARD_OUTPUT: Final = "-"

_NAME: Final = "the access log"


class AccessLog:
    """Collects lines and writes them.

    Args:
        path: the file to append to, "-" for standard output.
        text: the format: "combined", "json", or a text with atoms such as `%(h)s`.

    Attributes:
        timed: whether `add` wants to know when the application was called.

    Raises:
        ConfigurationError: the format cannot be read, or the file cannot be opened.
    """

    def __init__(self, path: str = STANDARD_OUTPUT, text: str = COMBINED) -> None:
        try:
            self._make_line, self._time_text, self.timed = read_format(text)
        except FormatError as error:
            raise ConfigurationError(f"access_log_format: {error}") from None
        self._lines: list[str] = []
        self._second = (-1, "")
        self._file: LogFile
        if path == STANDARD_OUTPUT:
            self._file = open_stream(_NAME, sys.stdout)
            return
        try:
            self._file = open_file(_NAME, path)
        except OSError as error:
            raise ConfigurationError(f"access_log: cannot open {path}: {error.strerror}") from None

    def add(self, client: str, answered: Answered, begin: float = 0.0) -> None:
        """Note one response; on any thread.

        Args:
            client: the address of the client, "" where it has none.
            answered: the request and its response.
            begin: when the application was called, in seconds of the monotonic clock; needed if `timed`.
        """
        now = int(time.time())
        second, text = self._second
        if second != now:
            text = self._time_text(time.localtime(now))
            self._second = now, text
        seconds = time.monotonic() - begin if self.timed and begin else 0.0
        try:
            self._lines.append(self._make_line(text, client, answered, seconds))
        except BaseException:  # what an application left in its environ may do anything when it is looked at
            log.exception("no line in the access log for %s", ascii(answered.request_line))

    def add_refusal(self, client: str, environ: Mapping[str, Any], status: str, size: int) -> None:
        """Note a request that was refused; see `access_format.refused`."""
        self.add(client, refused(environ, status, size))

    def flush(self) -> None:
        """Write what was collected; on the leader, or when there is none any more."""
        lines = self._lines
        if lines:
            # Emptied in place: another thread may be about to append to this very list.
            batch = lines[:]
            del lines[: len(batch)]
            self._file.write("".join(batch).encode("utf-8", "backslashreplace"))
        elif self._file.is_behind:
            self._file.write(b"")

    @property
    def is_behind(self) -> bool:
        """Whether lines are kept for a reader that is slow: `flush` is to be called now and then."""
        return self._file.is_behind

    def reopen(self) -> None:
        """Go on in a new file, after log rotation; on any thread, also in a signal handler."""
        self._file.reopen()

    def close(self) -> None:
        """Write what is left, and close the file; once nobody serves any more."""
        self.flush()
        self._file.close()
