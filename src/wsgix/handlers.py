"""The handlers of `wsgiref`: base classes for gateways, CGI among them.

A face: the names, hooks and order of calls are the standard library's; what an exchange is
allowed to do is decided in `core.exchange`, how CGI looks on the wire in `wire.cgi`.
"""

import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

from wsgix.core.environ import WSGI_VERSION, add_wsgi_variables
from wsgix.core.exchange import Environ, Exchange, ExcInfo
from wsgix.core.framing import parse_content_length, response_is_bodiless
from wsgix.core.streams import bounded_input
from wsgix.facts.grammar import CTL, OWS
from wsgix.facts.names import HOP_BY_HOP
from wsgix.headers import Headers
from wsgix.util import FileWrapper, guess_scheme
from wsgix.wire.cgi import strip_script_name, transcode
from wsgix.wire.date import http_date
from wsgix.wire.fields import is_token

__all__ = ["BaseCGIHandler", "BaseHandler", "CGIHandler", "IISCGIHandler", "SimpleHandler", "read_environ"]

_CONTROL_CHARACTERS: Final = frozenset(CTL)

_MOST_NAMES: Final = 1000
_plain_names: Final[set[str]] = set()
"""Names of fields, as applications spell them, of which only the values need a look."""


def format_date_time(timestamp: float | None) -> str:
    """Format *timestamp*, in seconds since the epoch (None: now), as an HTTP date.

    >>> format_date_time(784111777)
    'Sun, 06 Nov 1994 08:49:37 GMT'
    """
    return http_date(time.gmtime(timestamp))


def read_environ() -> dict[str, str]:
    """Return a copy of `os.environ`, the variables of the request as PEP 3333 strings."""
    return transcode(os.environ, encoding=sys.getfilesystemencoding(), platform=sys.platform)


class BaseHandler(Exchange):
    """Run one application for one request; subclasses bring the streams and the variables.

    Override `_write`, `_flush`, `get_stdin`, `get_stderr` and `add_cgi_vars`; all else has a
    default. The one method to call from outside is `run`.
    """

    # The environ

    wsgi_version: tuple[int, int] = WSGI_VERSION
    wsgi_multithread: bool = True
    wsgi_multiprocess: bool = True
    wsgi_run_once: bool = False
    wsgi_file_wrapper: Callable[..., Any] | None = FileWrapper

    # The response

    origin_server: bool = True
    http_version: str = "1.0"
    server_software: str | None = None
    headers_class: type[Headers] = Headers

    # What is answered and logged in the place of an application that failed

    traceback_limit: int | None = None
    error_status: str = "500 Internal Server Error"
    error_headers: list[tuple[str, str]] = [("Content-Type", "text/plain")]  # noqa: RUF012 (public API)
    error_body: bytes = b"A server error occurred.  Please contact the administrator."

    # Kept from the standard library although it is lax; docs/differences.md

    os_environ: dict[str, str] = read_environ()
    """Variables put into every environ, read-only: the process environment at import.

    It tells the application more than the request does; `os_environ = {}` keeps it out.
    """

    # The environ

    def setup_environ(self) -> None:
        """Set `environ` from `os_environ`, `add_cgi_vars` and the `wsgi_*` attributes."""
        environ: Environ = self.os_environ.copy()
        self.environ = environ
        self.add_cgi_vars()
        add_wsgi_variables(
            environ,
            input=self.get_stdin(),
            errors=self.get_stderr(),
            url_scheme=self.get_scheme(),
            multithread=self.wsgi_multithread,
            multiprocess=self.wsgi_multiprocess,
            run_once=self.wsgi_run_once,
            file_wrapper=self.wsgi_file_wrapper,
            version=self.wsgi_version,
        )
        if self.origin_server and self.server_software:
            environ.setdefault("SERVER_SOFTWARE", self.server_software)

    def get_scheme(self) -> str:
        """Return the URL scheme of the request, "http" or "https"."""
        return guess_scheme(self.environ)

    # The head

    def accept_head(self, status: str, headers: list[tuple[str, str]]) -> None:
        """Check *status* and *headers*, and keep a copy of both."""
        # The caller's list stays the caller's: it may be a constant of the application.
        checked = self.headers_class(headers.copy() if type(headers) is list else headers)
        self._convert_string_type(status, "Status")
        self._validate_status(status)
        length = None
        for name, value in headers:
            if name not in _plain_names or not value.isascii():
                length = _check_field(name, value, length)
        self.status = status
        self.headers = checked

    def _convert_string_type(self, value: str, title: str) -> str:
        if type(value) is str:
            return value
        raise AssertionError(f"{title} must be of type str (got {value!r})")

    def _validate_status(self, status: str) -> None:
        _check_status(status)

    def send_headers(self) -> None:
        """Transmit the head, completed by `cleanup_headers`."""
        status: str = self.status  # type: ignore[assignment]  # accept_head set it
        self.bodiless = bodiless = _is_bodiless(self.environ.get("REQUEST_METHOD", ""), status)
        self.cleanup_headers()
        length = self.headers.get("Content-Length")
        declared = None if length is None else parse_content_length(length.strip(OWS))
        self.headers_sent = True
        if not self.origin_server or self.client_is_modern():
            self.send_preamble()
            self._write(bytes(self.headers))
        self.remaining = 0 if bodiless else declared

    def cleanup_headers(self) -> None:
        """Complete or correct `headers`; the default sees to Content-Length."""
        if not self.bodiless:
            if "Content-Length" not in self.headers:
                self.set_content_length()
            return
        status: str = self.status  # type: ignore[assignment]  # accept_head set it
        # "A server MUST NOT send a Content-Length header field in any response with a status
        # code of 1xx (Informational) or 204 (No Content)." RFC 9110, 8.6
        if status.startswith(("1", "204")):
            del self.headers["Content-Length"]
        # HEAD has the length that GET would have, which an application without a block leaves open.
        elif self.bytes_sent and not status.startswith("304") and "Content-Length" not in self.headers:
            self.set_content_length()

    def set_content_length(self) -> None:
        """Set Content-Length if the one block at hand is all that there is."""
        try:
            blocks = len(self.result)
        except (TypeError, AttributeError, NotImplementedError):
            return
        if blocks == 1:
            self.headers["Content-Length"] = str(self.bytes_sent)

    def send_preamble(self) -> None:
        """Transmit the status, and an origin server's `Date` and `Server` if they are missing."""
        if not self.origin_server:
            self._write(f"Status: {self.status}\r\n".encode("latin-1"))
            return
        headers = self.headers
        second = None if "Date" in headers else int(time.time())
        server = None if self.server_software and "Server" in headers else self.server_software
        self._write(_preamble(self.http_version, self.status, second, server))

    def client_is_modern(self) -> bool:
        """Tell whether the client understands a head at all: HTTP/0.9 has none."""
        protocol: str = self.environ.get("SERVER_PROTOCOL", "")
        return protocol.upper() != "HTTP/0.9"

    # The content

    def finish_content(self) -> None:
        """See that the head is sent, and the content whole."""
        if not self.headers_sent and self.status is not None:
            method = self.environ.get("REQUEST_METHOD", "")
            if not response_is_bodiless(method, self.status):
                self.headers.setdefault("Content-Length", "0")
        super().finish_content()

    def result_is_file(self) -> bool:
        """Tell whether the application returned an instance of `wsgi_file_wrapper`."""
        wrapper = self.wsgi_file_wrapper
        return wrapper is not None and isinstance(self.result, wrapper)  # type: ignore[arg-type]

    # Errors

    def log_exception(self, exc_info: ExcInfo) -> None:
        """Write a traceback to the error stream."""
        stderr = self.get_stderr()
        traceback.print_exception(*exc_info, self.traceback_limit, stderr)
        stderr.flush()

    def log_violation(self, message: str) -> None:
        """Write *message* to the error stream."""
        stderr = self.get_stderr()
        stderr.write(f"{message}\n")
        stderr.flush()

    def error_output(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer with `error_status`, `error_headers` and `error_body`."""
        start_response(self.error_status, self.error_headers[:], sys.exc_info())
        return [self.error_body]

    # What subclasses must bring

    def _write(self, data: bytes) -> None:
        raise NotImplementedError

    def _flush(self) -> None:
        raise NotImplementedError

    def get_stdin(self) -> Any:
        """Return the stream that becomes `wsgi.input`."""
        raise NotImplementedError

    def get_stderr(self) -> Any:
        """Return the stream that becomes `wsgi.errors`."""
        raise NotImplementedError

    def add_cgi_vars(self) -> None:
        """Add the request's CGI variables to `environ`."""
        raise NotImplementedError


# Few methods and statuses make up nearly all traffic.
_is_bodiless = lru_cache(response_is_bodiless)


def _check_field(name: str, value: str, length: int | None) -> int | None:
    """Check a field for `accept_head`, and return the Content-Length so far, in bytes; *length* was before.

    Raises:
        AssertionError: the field is the gateway's to send.
        ValueError: its name is no token, it is not latin-1, or not the one length of the content in bytes.
    """
    lower_name = name.lower()
    if lower_name == "content-length":
        # Who reads further than was meant takes content for the next response (RFC 9112, 11.1).
        declared = parse_content_length(value.strip(OWS))
        if declared is None:
            raise ValueError(f"Content-Length is {value!r}, which is no number of bytes")
        if length is not None and length != declared:
            raise ValueError(f"Content-Length is {length} and {declared} at once")
        return declared
    if lower_name in HOP_BY_HOP:
        raise AssertionError(f"Hop-by-hop header, '{name}: {value}', not allowed")
    _require_latin_1(f"the header {name!r}", name + value)
    if not is_token(name):
        raise ValueError(f"the header name {name!r} is no token (RFC 9110, 5.1)")
    if name.isascii() and len(_plain_names) < _MOST_NAMES:
        _plain_names.add(name)
    return length


@lru_cache
def _check_status(status: str) -> None:
    """Raise unless *status* is three digits, a space and a reason; the texts are the standard library's."""
    if not _CONTROL_CHARACTERS.isdisjoint(status):
        raise ValueError("Control characters are not allowed in status")
    if len(status) < 4:
        raise AssertionError("Status must be at least 4 characters")
    if not (status[:3].isascii() and status[:3].isdigit()):
        raise AssertionError("Status message must begin w/3-digit code")
    if status[3] != " ":
        raise AssertionError("Status message must have a space after code")
    _require_latin_1("the status", status)


def _require_latin_1(what: str, text: str) -> None:
    """Raise ValueError if *text* cannot be sent; PEP 3333, "Unicode Issues"."""
    try:
        text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise ValueError(f"{what} has the character {text[error.start]!r}, which latin-1 lacks") from None


@lru_cache(maxsize=32)  # each second brings a new one
def _preamble(http_version: str, status: str, second: int | None, server: str | None) -> bytes:
    """Return the status line, `Date` unless *second* is None, and `Server` if there is one."""
    date_line = "" if second is None else f"Date: {format_date_time(second)}\r\n"
    server_line = f"Server: {server}\r\n" if server else ""
    return f"HTTP/{http_version} {status}\r\n{date_line}{server_line}".encode("latin-1")


class SimpleHandler(BaseHandler):
    """A handler over three streams and a dict of CGI variables, for HTTP origin servers.

    Args:
        stdin: binary stream with the request content; becomes `wsgi.input` as it is.
        stdout: binary stream for the response.
        stderr: text stream; becomes `wsgi.errors`.
        environ: the CGI variables of the request; kept as `base_env`.
        multithread: the `wsgi.multithread` to report.
        multiprocess: the `wsgi.multiprocess` to report.
    """

    def __init__(
        self,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        environ: dict[str, Any],
        multithread: bool = True,
        multiprocess: bool = False,
    ) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.base_env = environ
        self.wsgi_multithread = multithread
        self.wsgi_multiprocess = multiprocess

    def get_stdin(self) -> Any:
        """Return `stdin`."""
        return self.stdin

    def get_stderr(self) -> Any:
        """Return `stderr`."""
        return self.stderr

    def add_cgi_vars(self) -> None:
        """Add `base_env`."""
        self.environ.update(self.base_env)

    def _write(self, data: bytes) -> None:
        taken = self.stdout.write(data)
        if taken is not None and taken != len(data):
            self._write_rest(data, taken)

    def _write_rest(self, data: bytes, taken: int) -> None:
        """Write what a raw stream left; a buffered one takes all at once."""
        warnings.warn(
            "SimpleHandler.stdout.write() should not do partial writes", DeprecationWarning, stacklevel=2
        )
        rest = data[taken:]
        while rest:
            taken = self.stdout.write(rest)
            rest = rest[taken:]

    def _flush(self) -> None:
        self.stdout.flush()


class BaseCGIHandler(SimpleHandler):
    """A handler for gateways that take the status as a `Status` field: CGI and its kin."""

    origin_server = False


class CGIHandler(BaseCGIHandler):
    """Run an application as a CGI program: `CGIHandler().run(app)`.

    The request comes from `os.environ` and standard input, which ends where CONTENT_LENGTH says.
    `HTTP_PROXY` is left out: in CGI a client sets it with a `Proxy` field (CVE-2016-1000110).
    """

    wsgi_run_once = True
    os_environ: dict[str, str] = {}  # noqa: RUF012 (the process environment *is* the request)

    def __init__(self) -> None:
        environ = read_environ()
        environ.pop("HTTP_PROXY", None)
        stdin: Any = sys.stdin.buffer
        length = parse_content_length(environ.get("CONTENT_LENGTH", ""))
        if length is not None:
            stdin = bounded_input(stdin, length)
        super().__init__(stdin, sys.stdout.buffer, sys.stderr, environ, multithread=False, multiprocess=True)


class IISCGIHandler(CGIHandler):
    """A `CGIHandler` for IIS without `allowPathInfo`, which repeats SCRIPT_NAME in PATH_INFO."""

    def __init__(self) -> None:
        super().__init__()
        environ = self.base_env
        environ["PATH_INFO"] = strip_script_name(environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", ""))
