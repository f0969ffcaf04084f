"""The server's own log, as the server itself writes to it: a log that fails costs a record, nothing else.

Handlers and filters are the program's, and may raise; memory may be too short for a record. On the thread
that leads, this would end the server.
"""

import logging
from typing import Any, Final

_CALLER: Final = 2
"""Frames up from `log`: the record names the line that logs."""


class SureLog(logging.LoggerAdapter[logging.Logger]):
    """The logger "wsgix.error", whose methods raise nothing; on any thread."""

    def __init__(self) -> None:
        super().__init__(logging.getLogger("wsgix.error"), {})

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a message, or lose it."""
        try:
            super().log(level, msg, *args, stacklevel=_CALLER, **kwargs)
        except Exception:
            return


log: Final = SureLog()
