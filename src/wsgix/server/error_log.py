"""The server's own log on standard error, and `wsgi.errors`. What cannot be written costs no request.

Everything goes through the logger "wsgix.error". An application that embeds the server configures it as any
other; `log_to_standard_error` is for the command line.
"""

import contextlib
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterable
from types import FrameType
from typing import Any, Final

from wsgix.server.access_format import REQUEST_ID
from wsgix.server.log_file import open_stream

FLUSH_SECONDS: Final = 0.5
"""How long the end of the process waits for who reads a standard stream."""
_LOOK_SECONDS: Final = 1.0
"""Between looks whether a log that is behind was closed."""

_FORMAT: Final = "[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s"
_TIME: Final = "%Y-%m-%d %H:%M:%S %z"


def request_id(environ: dict[str, Any]) -> str:
    """Return the id of a request that the log has to name, made when it is first asked for.

    It is kept in *environ* as `wsgix.request_id`, and so can stand in the access log.
    """
    known = environ.get(REQUEST_ID)
    if known is None:
        environ[REQUEST_ID] = known = os.urandom(5).hex()
    return str(known)


class ErrorStream:
    """`wsgi.errors` on standard error, whichever that is at the time (PEP 3333, "Input and Error Streams").

    A standard error that is closed or full must not fail the application that complains.
    """

    def write(self, text: str) -> int:
        """Write *text*, or lose it."""
        try:
            # A surrogate, as in a path, is no character that can be written.
            sys.stderr.write(text.encode("utf-8", "backslashreplace").decode("utf-8"))
        except (OSError, ValueError, AttributeError):
            _not_written(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of *lines*."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """See that what was written is on its way."""
        try:
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError):
            _not_written("")


def _not_written(text: object) -> None:
    if not isinstance(text, str):
        raise TypeError(f"wsgi.errors takes str, not {type(text).__name__}")


class LineFormatter(logging.Formatter):
    """Makes records that cannot be mistaken for others, whatever is in a message or an exception.

    Control characters are escaped; the lines of a traceback are indented, so that only a record begins with
    "[".
    """

    def __init__(self) -> None:
        super().__init__(_FORMAT, _TIME)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line of a record; if its message has more, they are indented."""
        first, *more = super().formatMessage(record).split("\n")
        return "\n".join([_printable(first), *(_indented(line) for line in more)])

    def formatException(self, ei: Any) -> str:
        """Return a traceback, indented."""
        try:
            text = super().formatException(ei)
        except OSError:
            places = _without_source(traceback.walk_tb(ei[2]))
            said = "".join(traceback.format_exception_only(ei[1])).rstrip("\n")
            text = "\n".join(["Traceback (most recent call last):", *places, said])
        return _indented(text)

    def formatStack(self, stack_info: str) -> str:
        """Return the stack of a thread, indented."""
        return _indented(stack_info)


def stack_text(frame: FrameType) -> str:
    """Return the stack that *frame* is the top of, as `traceback` writes it."""
    try:
        return "".join(traceback.format_stack(frame))
    except OSError:
        return "".join(f"{place}\n" for place in [*_without_source(traceback.walk_stack(frame))][::-1])


def _without_source(frames: Iterable[tuple[FrameType, int]]) -> Iterable[str]:
    """Name the places in a traceback: to read the source code takes a descriptor, and none may be left."""
    for frame, line in frames:
        yield f'  File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}'


def _indented(text: str) -> str:
    return "\n".join(f"  {_printable(line)}" for line in text.split("\n"))


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    # What Python calls printable has no control characters, and nothing that hides or turns other text.
    return "".join(
        character
        if character.isprintable()
        else character.encode("ascii", "backslashreplace").decode("ascii")
        if character > "\x7f"
        else f"\\x{ord(character):02x}"
        for character in text
    )


class StandardErrorHandler(logging.Handler):
    """Writes each record at once, in one piece, to standard error as it was when this was made."""

    def __init__(self) -> None:
        super().__init__()
        self._file = open_stream("", sys.stderr)
        self._follower: threading.Thread | None = None
        self.setFormatter(LineFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record*, or lose it; `logging` lets one thread at a time in."""
        try:
            line = self.format(record)
        except Exception as error:  # a message that does not fit its arguments must not fail a request
            line = f"a log message could not be made: {record.msg!r}: {error!r}"
        self._file.write(line.encode("utf-8", "backslashreplace") + b"\n")
        # In a child that was forked, the thread is not there any more.
        if self._file.is_behind and not (self._follower and self._follower.is_alive()):
            self._follower = threading.Thread(target=self._follow, name="wsgix-error-log", daemon=True)
            with contextlib.suppress(RuntimeError):  # no more threads to be had
                self._follower.start()

    def _follow(self) -> None:
        """Write what is kept for a slow reader once it is back: the next record may come tomorrow."""
        while True:
            self._file.wait_for_reader(_LOOK_SECONDS)
            self.acquire()
            try:
                self._file.write(b"")
                if not self._file.is_behind:
                    self._follower = None
                    return
            finally:
                self.release()

    def close(self) -> None:
        """Write what was kept; the next records are written as before.

        `logging.config` closes all handlers that there are, also those that stay in use.
        """
        self.acquire()
        try:
            self._file.drain()
        finally:
            self.release()
        super().close()

    def close_file(self) -> None:
        """Give the descriptor back: what comes now is lost."""
        self.acquire()
        try:
            self._file.close()
        finally:
            self.release()


class _ServerLogger(logging.Logger):
    """The logger of the command line's server: an application that does not name it leaves it as it is.

    Most applications call `logging.config.dictConfig` or `fileConfig`, some of them within a request. Both
    disable all loggers that they do not name (`disable_existing_loggers`), and those that they name lose
    their handlers. So as long as a `StandardErrorHandler` is here, nobody has named this one.
    """

    @property
    def disabled(self) -> bool:
        """Whether nothing is logged."""
        return bool(self.__dict__["disabled"])

    @disabled.setter
    def disabled(self, value: bool) -> None:
        self.__dict__["disabled"] = value and not any(map(_is_ours, self.handlers))

    def removeHandler(self, hdlr: logging.Handler) -> None:
        """Remove a handler; without the server's own one, records are the root logger's as well."""
        super().removeHandler(hdlr)
        if _is_ours(hdlr):
            self.propagate = True


def _is_ours(handler: logging.Handler) -> bool:
    return isinstance(handler, StandardErrorHandler)


def log_to_standard_error(level: str) -> StandardErrorHandler:
    """Show the server's own log from *level* on. The root logger stays the application's to configure.

    Whoever configures the logger "wsgix.error" by name, or "wsgix" above it, replaces all this.

    Args:
        level: "debug", "info", "warning", "error" or "critical".

    Returns:
        the handler, to be closed at the end: `logging` forgets it when the application configures logging.
    """
    log = logging.getLogger("wsgix.error")
    # It is in use already, by many names: it becomes another kind of logger where it is.
    log.__class__ = _ServerLogger
    for handler in [*log.handlers]:
        if isinstance(handler, StandardErrorHandler):
            log.removeHandler(handler)
            handler.close_file()
    handler = StandardErrorHandler()
    log.addHandler(handler)
    log.setLevel(level.upper())
    # Else the application's root logger would show each record once more.
    log.propagate = False
    return handler


def give_up_unwritable_streams() -> list[str]:
    """See that the end of the process does not fail for what a full or closed stream did not take.

    Returns:
        The names of the streams that are stuck: their readers stand still, or a thread that waits for these
        holds their locks. The interpreter must not flush them.
    """
    flushing = []
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        thread = threading.Thread(target=_flush_or_give_up, args=(stream,), daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads to be had
            _flush_or_give_up(stream)
        else:
            flushing.append((name, stream, thread))
    deadline = time.monotonic() + FLUSH_SECONDS
    stuck = []
    for name, stream, thread in flushing:
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            stuck.append(name)
            _redirect_to_null(stream)
    return stuck


def _flush_or_give_up(stream: Any) -> None:
    try:
        stream.flush()
    except (OSError, ValueError, AttributeError):  # AttributeError: the application has put something there
        _redirect_to_null(stream)


def _redirect_to_null(stream: Any) -> None:
    try:
        fd = stream.fileno()
    except (OSError, ValueError, AttributeError):  # nothing of it will be flushed
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, fd)
    os.close(null)
