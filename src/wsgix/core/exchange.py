"""The one caller of an application: order and legality of a PEP 3333 exchange.

`Exchange` owns who may be called when; a gateway subclasses it and supplies the steps: an environ
in, a head and blocks of bytes out. It knows no protocol, no socket and no log. Nothing else in the
package calls an application, but the referee's middleware.

The steps of a run, in order; each may be overridden::

    run -> setup_environ -> application(environ, start_response)
        -> finish_response -> [write -> send_headers, _write, _flush]* -> finish_content -> close

and, for what goes wrong::

    handle_error -> log_exception, error_output      the application failed
    log_violation                                    it broke a rule that can be mended
    abandon                                          the response ends visibly incomplete
"""

import sys
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, TypeAlias

ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None]
OptExcInfo: TypeAlias = ExcInfo | tuple[None, None, None]
Environ: TypeAlias = dict[str, Any]
Write: TypeAlias = Callable[[bytes], object]
Application: TypeAlias = Callable[[Environ, Any], Iterable[bytes]]

CLIENT_GONE: Final = (ConnectionAbortedError, BrokenPipeError, ConnectionResetError)
"""What writing to a client that has gone away raises."""


class Exchange:
    """One call of a WSGI application, from the environ to `close()`.

    Attributes:
        environ: the environ of this exchange; None before `setup_environ` and after `close`.
        status: the status that `start_response` accepted, None before.
        headers: the headers that go with it, in whatever form the gateway keeps them.
        headers_sent: whether the head is committed: from then on it cannot be changed.
        bytes_sent: bytes of content given to `_write`; while `send_headers` runs, the size of
            the first block.
        result: the iterable that the application returned, None before.
        remaining: bytes of content that the head still allows: None where it declares no
            length, 0 where the response has no content. The gateway sets it in `send_headers`.
        bodiless: whether the response has no content whatever the application returns (HEAD,
            1xx, 204, 304). The gateway sets it in `send_headers`, and `remaining` to 0.
        incomplete: whether the last response ended short of what its head promised, or has none.
    """

    environ: Environ = None  # type: ignore[assignment]  # outside of a run
    status: str | None = None
    headers: Any = None
    headers_sent: bool = False
    bytes_sent: int = 0
    result: Any = None
    remaining: int | None = None
    bodiless: bool = False
    incomplete: bool = False

    _started: bool = False
    _stopped: bool = False
    _overran: bool = False
    _failed: bool = False
    _finished: bool = False
    _closed_result: Any = None
    _client_gone: BaseException | None = None

    # The exchange, in the order in which things happen

    def run(self, application: Application) -> None:
        """Call the application and transmit its response; may be called again afterwards.

        Whatever the application raises ends here, `SystemExit` too. What `handle_error` raises
        is passed on, but for a client that has gone away: that is nobody's fault.
        """
        if self._finished:
            self._begin_again()
        try:
            self.setup_environ()
            self.result = application(self.environ, self.start_response)
            self.finish_response()
        except BaseException as error:
            self._fail(error)

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None
    ) -> Write:
        """Accept the head of the response; PEP 3333, "The start_response() Callable".

        Returns:
            `write`, for applications that produce their content imperatively.

        Raises:
            AssertionError: on a second call without *exc_info*.
            BaseException: the one in *exc_info*, with its traceback, if the head is sent.
        """
        if exc_info:
            try:
                if self.headers_sent:
                    raise exc_info[1].with_traceback(exc_info[2])  # type: ignore[union-attr]
            finally:
                exc_info = None  # "avoid dangling circular ref"
            self.status = self.headers = None
        elif self._started:
            raise AssertionError("Headers already set!")
        # A call that fails counts too: it is "a fatal error" to try again without exc_info.
        self._started = True
        self.accept_head(status, headers)
        return self.write

    def finish_response(self) -> None:
        """Transmit what the application returned, then `close()`."""
        try:
            if not self.result_is_file() or not self._sent_as_file():
                self._transmit(self.result)
                self.finish_content()
        except BaseException as error:
            self._close_result()
            if isinstance(error, TypeError) and not _is_iterable(self.result):
                raise TypeError(
                    f"the application returned {_described(self.result)}, not an iterable of bytes"
                ) from None
            raise
        self.close()

    def write(self, data: bytes) -> None:
        """Transmit one block, after the head if this is the first; also PEP 3333's `write()`.

        A block past the declared Content-Length is cut, and iteration ends.

        Raises:
            AssertionError: if *data* is not bytes, or there is no head yet, or the application
                itself writes more than it declared.
        """
        if type(data) is not bytes:
            raise AssertionError(f"write() argument must be a bytes instance{self._advice(data)}")
        if self.status is None:
            raise AssertionError("write() before start_response()")
        size = len(data)
        try:
            if self.headers_sent:
                self.bytes_sent += size
            else:
                self.bytes_sent = size
                self.send_headers()
            remaining = self.remaining
            if remaining is None:
                self._write(data)
                self._flush()
            elif size <= remaining:
                self._write(data)
                self._flush()
                self.remaining = remaining - size
            else:
                self._overrun(data, remaining)
        except CLIENT_GONE as error:
            self._lose_client(error)
            raise

    def finish_content(self) -> None:
        """Send a head that no block has sent, and see whether the content is whole."""
        if not self.headers_sent:
            if self.status is None:
                raise AssertionError("the application returned without a successful start_response()")
            try:
                self.bytes_sent = 0
                self.send_headers()
                self._flush()
            except CLIENT_GONE as error:
                self._lose_client(error)
                raise
        if self.remaining:
            # "the server [...] should close the client connection and log or otherwise report
            # the error." PEP 3333, "Handling the Content-Length Header"
            self.log_violation(
                f"the application declared {self.bytes_sent + self.remaining} bytes of content "
                f"and gave {self.bytes_sent}"
            )
            self.incomplete = True
            self.abandon()

    def close(self) -> None:
        """Call the iterable's `close()`, once, and forget the exchange.

        The state of an exchange that failed stays to be looked at, until the next `run`.
        """
        try:
            self._close_result()
        finally:
            self._finished = True
            if not self._failed:
                self.environ = self.status = self.headers = self.result = None  # type: ignore[assignment]
                self.headers_sent = False
                self.bytes_sent = 0

    def handle_error(self) -> None:
        """Log the exception in flight; if nothing is sent yet, answer with `error_output`."""
        self.log_exception(sys.exc_info())  # type: ignore[arg-type]
        if self.headers_sent:
            # With all that the head promises sent, the client has a whole response.
            if self.remaining != 0:
                self.incomplete = True
                self.abandon()
        elif not self._finished:  # a close() that raises comes after a whole response
            self.result = self.error_output(self.environ, self.start_response)
            self.finish_response()

    def _transmit(self, blocks: Iterable[bytes]) -> None:
        """Transmit block after block, until there is no more or no more is allowed."""
        for block in blocks:
            # The head waits for "the first [...] non-empty bytestring": write() commits it.
            if block or type(block) is not bytes:
                self.write(block)
                if self._stopped:
                    return

    # Decisions that no gateway changes

    def _begin_again(self) -> None:
        """Forget the last exchange, however it ended."""
        self.environ = self.status = self.headers = self.result = None  # type: ignore[assignment]
        self.remaining = self._closed_result = self._client_gone = None
        self.bytes_sent = 0
        self.headers_sent = self.bodiless = self.incomplete = False
        self._started = self._stopped = self._overran = self._failed = self._finished = False

    def _fail(self, error: BaseException) -> None:
        """End an exchange that raised; runs inside the `except` clause of `run`."""
        try:
            if error is not self._client_gone:
                self.handle_error()
        except BaseException as second:
            if second is not self._client_gone:
                raise
        finally:
            self._client_gone = None  # its traceback refers to this exchange
            if not self._finished:
                self._failed = True
                if self.remaining != 0:
                    self.incomplete = True
                self.close()

    def _lose_client(self, error: BaseException) -> None:
        """Remember that *error* came from the client's side, not from the application."""
        self._client_gone = error
        self.incomplete = True

    def _sent_as_file(self) -> bool:
        """Call `sendfile`, whose errors come from the client's side as those of `_write` do."""
        try:
            return self.sendfile()
        except CLIENT_GONE as error:
            self._lose_client(error)
            raise

    def _overrun(self, data: bytes, fits: int) -> None:
        """Send what still fits, and stop; PEP 3333, "Handling the Content-Length Header"."""
        self.bytes_sent -= len(data) - fits
        self._stopped = True
        if fits:
            self._write(data[:fits])
        self._flush()
        self.remaining = 0
        # A file is transmitted "until the end is reached, or until Content-Length bytes have been written":
        # that it goes on is no fault (PEP 3333, "Optional Platform-Specific File Handling").
        if self.bodiless or self.result_is_file():
            return
        message = f"the response has a Content-Length of {self.bytes_sent}, and the application gave more"
        if self.result is None:
            raise AssertionError(message)
        if not self._overran:  # an iterator may go on with write()
            self._overran = True
            self.log_violation(message)

    def _close_result(self) -> None:
        """Call `close()` of the iterable unless that happened already."""
        result = self.result
        if result is not None and result is not self._closed_result:
            self._closed_result = result
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _advice(self, block: object) -> str:
        """Say what the application gave in the place of bytes, and what to do about it."""
        result = self.result
        if isinstance(result, str):
            return ": the application returned a str; encode it, and wrap it in a list"
        if isinstance(result, bytes | bytearray | memoryview):
            return f": the application returned {_described(result)}, which gives integers; wrap it in a list"
        return f": the application gave {_described(block)}{'; encode it' if isinstance(block, str) else ''}"

    # Steps that the gateway supplies

    def setup_environ(self) -> None:
        """Set `environ`."""
        raise NotImplementedError

    def accept_head(self, status: str, headers: list[tuple[str, str]]) -> None:
        """Check *status* and *headers*, and keep them in the attributes of these names.

        "servers should check for errors in the headers at the time start_response is called".
        """
        raise NotImplementedError

    def send_headers(self) -> None:
        """Transmit the head, or keep it for the next `_write`.

        Sets `headers_sent`, `bodiless` and `remaining`.
        """
        raise NotImplementedError

    def _write(self, data: bytes) -> None:
        """Take bytes for the client."""
        raise NotImplementedError

    def _flush(self) -> None:
        """See that what `_write` took is on its way."""
        raise NotImplementedError

    def result_is_file(self) -> bool:
        """Tell whether `result` is a file wrapper of this gateway."""
        return False

    def sendfile(self) -> bool:
        """Transmit head and content of a file wrapper; False to leave it to iteration."""
        return False

    def log_exception(self, exc_info: ExcInfo) -> None:
        """Log what the application raised."""
        raise NotImplementedError

    def log_violation(self, message: str) -> None:
        """Log one line on a rule that the application broke."""
        raise NotImplementedError

    def error_output(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer in the place of an application that failed: a WSGI application itself."""
        raise NotImplementedError

    def abandon(self) -> None:
        """Do what is due when a response whose head is sent cannot be completed."""


def _is_iterable(result: object) -> bool:
    return hasattr(result, "__iter__") or hasattr(result, "__getitem__")


def _described(thing: object) -> str:
    return "None" if thing is None else f"an object of type {type(thing).__name__}"
