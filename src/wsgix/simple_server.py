"""The server of `wsgiref`: `http.server` that runs one WSGI application.

A face: names, hooks and class hierarchy are the standard library's. What is read from the wire is decided in
`wire`, what an application may do in `core.exchange`; here stand the sockets. Programs subclass these classes
and copy `handle()`, so every protection sits in `parse_request`, `get_environ` or `ServerHandler`.
"""

import contextlib
import errno
import io
import os
import re
import socket
import socketserver
import stat
import struct
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from platform import python_implementation
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload
from urllib.parse import unquote

from wsgix.core.exchange import ExcInfo
from wsgix.core.framing import (
    ABORT,
    CHUNKED,
    CLOSE,
    HTTP_1_0,
    KEEP,
    NO_BODY,
    Outcome,
    keep_alive,
    parse_content_length,
    request_framing,
)
from wsgix.core.streams import IncompleteBody, RefusedBody, bounded_input, chunked_input
from wsgix.facts.grammar import CTL
from wsgix.facts.names import DROPPED_FIELDS, LIST_SEPARATOR, LIST_SEPARATORS, UNPREFIXED
from wsgix.facts.refusals import (
    BAD_AUTHORITY,
    BAD_METHOD,
    BAD_REQUEST_LINE,
    BAD_TARGET,
    BAD_VERSION,
    BARE_LF,
    FIELDS_TOO_LARGE,
    HEAD_TIMEOUT,
    INCOMPLETE,
    LINE_TOO_LONG,
    METHOD_NOT_IMPLEMENTED,
    VERSION_NOT_SUPPORTED,
    Refusal,
)
from wsgix.handlers import SimpleHandler
from wsgix.types import WSGIApplication
from wsgix.wire.fields import Laxity, Pair, is_token, read_fields
from wsgix.wire.http1 import COMPLETE, Step
from wsgix.wire.http1_body import ChunkedBody
from wsgix.wire.limits import Limits
from wsgix.wire.target import is_authority

if TYPE_CHECKING:
    import ssl

__all__ = ["ThreadingWSGIServer", "WSGIRequestHandler", "WSGIServer", "demo_app", "make_server"]

__version__ = "0.2"  # of wsgiref, which clients see in `Server`

# The string belongs to the running interpreter: 3.15 drops the version.
server_version = "WSGIServer/" + __version__ if sys.version_info < (3, 15) else "WSGIServer"
sys_version = f"{python_implementation()}/{sys.version.split()[0]}"
software_version = f"{server_version} {sys_version}"

_LIMITS: Final = Limits(request_line=65536, field=65536, fields=100, body=sys.maxsize)
"""Those of `http.server`; content is streamed, so its size is the application's matter."""

_LINGER_BYTES: Final = 65536
_LINGER_SECONDS: Final = 1.0
_JOINED_BYTES: Final = 65536
_UNIX_PORT: Final = 80

_AF_UNIX: Final = getattr(socket, "AF_UNIX", None)
_CONCURRENT: Final = tuple(
    getattr(socketserver, name) for name in ("ThreadingMixIn", "ForkingMixIn") if hasattr(socketserver, name)
)

_BAD_CONTENT: Final = (IncompleteBody, RefusedBody)

_VERSION: Final = re.compile(r"HTTP/([0-9])\.[0-9]")
_ABSOLUTE_FORM: Final = re.compile(r"https?://([^/?]*)(.*)", re.IGNORECASE)
# A fragment is never sent (RFC 9110, 4.1). White space was split on before.
_forbidden_in_target: Final = re.compile(f"[{re.escape(CTL)}#]").search

_DECISIVE_FIELDS: Final = frozenset({"connection", "content-length", "transfer-encoding"})

_LAXITIES: Final = {
    (bare_lf, folded, host): (Laxity.BARE_LF if bare_lf else Laxity.NONE)
    | (Laxity.OBS_FOLD if folded else Laxity.NONE)
    | (Laxity.NONE if host else Laxity.NO_HOST)
    for bare_lf in (False, True)
    for folded in (False, True)
    for host in (False, True)
}
"""`Laxity` by (`accept_bare_lf`, `accept_folded_fields`, `require_host`)."""


class _Counted:
    """The connection, for a stream of a known length: counts what is still on it."""

    __slots__ = ("_read", "remaining")

    def __init__(self, connection: Any, length: int) -> None:
        self._read = connection.read1 if hasattr(connection, "read1") else connection.read
        self.remaining = length

    def is_past_end(self) -> bool:
        return self.remaining == 0

    def read1(self, size: int) -> bytes:
        data: bytes = self._read(size)
        self.remaining -= len(data)
        return data


class _Chunks(ChunkedBody):
    """A decoder that remembers whether it has seen the end."""

    __slots__ = ("_step",)

    _step: object

    def is_past_end(self) -> bool:
        return getattr(self, "_step", None) is COMPLETE

    def feed(self, data: bytes, start: int, write: Callable[[bytes], object]) -> Step | Refusal:
        step = self._step = super().feed(data, start, write)
        return step


class _Content:
    """The content of one request: a stream that ends with it, and whether the connection is past it."""

    __slots__ = ("is_read", "stream")

    def __init__(self, connection: Any, framing: int) -> None:
        if framing == CHUNKED:
            chunks = _Chunks(_LIMITS)
            self.is_read = chunks.is_past_end
            self.stream = chunked_input(connection, chunks, COMPLETE)
        else:
            counted = _Counted(connection, framing)
            self.is_read = counted.is_past_end
            self.stream = bounded_input(counted, framing)

    def drain(self, connection: Any) -> bool:
        """Read what is left if it is little and there; tell whether the connection is past it."""
        for size in _reads_within_bounds(connection):
            if self.is_read():
                return True
            try:
                self.stream.read1(size)
            except OSError:
                return False
        return self.is_read()


def _reads_within_bounds(connection: Any) -> Iterator[int]:
    """Yield the size of each read of a connection that is of no more use, while it is worth the wait."""
    deadline = time.monotonic() + _LINGER_SECONDS
    for _ in range(_LINGER_BYTES // 8192):
        connection.settimeout(max(deadline - time.monotonic(), 0))
        yield 8192


def _is_tls(connection: Any) -> bool:
    """Tell whether a socket is an `ssl.SSLSocket`: where there is one, `ssl` is imported."""
    module = sys.modules.get("ssl")
    return module is not None and isinstance(connection, module.SSLSocket)


def _is_concurrent(server: Any) -> bool:
    """Tell whether one connection may wait while *server* serves another."""
    return isinstance(server, _CONCURRENT)


def _as_latin_1(value: str) -> str:
    """Return a variable of the process as it may stand in an environ; PEP 3333, "Unicode Issues"."""
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        return os.fsencode(value).decode("latin-1")
    return value


class ServerHandler(SimpleHandler):
    """The `SimpleHandler` of one request of a `WSGIRequestHandler`.

    Attributes:
        request_handler: the `WSGIRequestHandler`, set by whoever makes the instance.
    """

    server_software = software_version
    request_handler: Any = None

    # A variable HTTP_PROXY of the process is no field of the request.
    os_environ = {  # noqa: RUF012 (public API)
        name: _as_latin_1(value)
        for name, value in SimpleHandler.os_environ.items()
        if not name.startswith("HTTP_")
    }

    _content: _Content | None = None
    _held: list[bytes] | None = None

    def setup_environ(self) -> None:
        """Set `environ`, with the truth on threads and processes, and on where the content ends."""
        server = getattr(self.request_handler, "server", None)
        if isinstance(server, socketserver.ThreadingMixIn):
            self.wsgi_multithread = True
        elif _is_concurrent(server):
            self.wsgi_multiprocess = True
        super().setup_environ()
        if self._content is not None:
            self.environ["wsgi.input_terminated"] = True

    def get_stdin(self) -> Any:
        """Return `wsgi.input`, the same object each time; it ends with the request's content.

        A `stdin` other than the connection itself is returned as it is: a subclass has put it there.
        """
        handler = self.request_handler
        if self._content is None and handler is not None and self.stdin is getattr(handler, "rfile", None):
            framing = getattr(handler, "_framing", None)
            if framing is None:  # a subclass does without our parse_request()
                framing = parse_content_length(self.base_env.get("CONTENT_LENGTH", "")) or NO_BODY
            self._content = handler._content = _Content(self.stdin, framing)
        return self.stdin if self._content is None else self._content.stream

    # The head leaves in one segment with the first block: two small writes would wait for each other's
    # acknowledgement.

    def send_headers(self) -> None:
        """Transmit the head: with the block that `write` holds, else at once."""
        self._held = []
        super().send_headers()
        if not self.bytes_sent:
            self._release()

    def _write(self, data: bytes) -> None:
        if self._held is None:
            super()._write(data)
        else:
            self._held.append(data)

    def _flush(self) -> None:
        if self._held is not None:
            self._release()
        super()._flush()

    def _release(self) -> None:
        held, self._held = self._held or [], None
        if held and len(held[-1]) > _JOINED_BYTES:
            block = held.pop()
            super()._write(b"".join(held))
            super()._write(block)
        elif held:
            super()._write(b"".join(held))

    def cleanup_headers(self) -> None:
        """Complete `headers`; under HTTP/1.1, decide whether the connection persists and say so."""
        super().cleanup_headers()
        handler = self.request_handler
        # Tests put a stub there, or nothing: then there is no connection to decide about.
        if self.http_version == "1.0" or not isinstance(handler, BaseHTTPRequestHandler):
            return
        # "In order to remain persistent, all messages on a connection need to have a self-defined message
        # length" (RFC 9112, 9.3)
        if not (self.bodiless or "Content-Length" in self.headers) or not _is_concurrent(handler.server):
            handler.close_connection = True
        if handler.close_connection:
            self.headers["Connection"] = "close"
        elif handler.request_version == HTTP_1_0:
            self.headers["Connection"] = "keep-alive"

    def handle_error(self) -> None:
        """Log and answer an error; 400 or the like if the client's content was at fault."""
        error = sys.exc_info()[1]
        if isinstance(error, _BAD_CONTENT):
            refusal = error.refusal if isinstance(error, RefusedBody) else INCOMPLETE
            self.error_status = refusal.status
            self.error_body = refusal.sentence.encode("ascii")
        super().handle_error()

    def log_exception(self, exc_info: ExcInfo) -> None:
        """Write a traceback to the error stream; one line to the log if the client's content was at fault."""
        if isinstance(exc_info[1], _BAD_CONTENT):
            self.request_handler.log_error("%s: %s", "Bad request content", str(exc_info[1]))
        else:
            super().log_exception(exc_info)

    def abandon(self) -> None:
        """End a response that cannot be completed, so that the client sees it."""
        if self.remaining is None and self.request_handler is not None:
            # Nothing but a reset tells this end from a regular one.
            self.request_handler._ending = ABORT

    def close(self) -> None:
        """Write the access log, then `close()` the result; a second call does not log."""
        handler = self.request_handler
        try:
            if handler is not None and not self._finished:
                if self.incomplete:
                    handler.close_connection = True
                handler.log_request((self.status or "-").split(" ", 1)[0], self.bytes_sent)
        finally:
            super().close()


class WSGIServer(HTTPServer):
    """An HTTP server for one WSGI application.

    Args:
        server_address: (host, port), where "" is any IPv4 address, "::" any address of either family and
            port 0 a free port; or the path of a Unix socket.
        RequestHandlerClass: called with (socket, client address, server) for each connection.
        bind_and_activate: whether to bind and listen at once.
        ssl_context: makes the connections TLS. The handshake takes place in the handler.

    Attributes:
        base_environ: the variables that all requests share.
        server_name: the host as given, or this machine's name; no DNS is asked.
        server_port: the port that is bound; 80 for a Unix socket.
    """

    application: WSGIApplication | None = None
    ssl_context: "ssl.SSLContext | None" = None
    base_environ: dict[str, Any]

    _socket_file: tuple[str, os.stat_result] | None = None

    def __init__(
        self,
        server_address: Any,
        RequestHandlerClass: Callable[..., Any],
        bind_and_activate: bool = True,
        *,
        ssl_context: "ssl.SSLContext | None" = None,
    ) -> None:
        if ssl_context is not None:
            self.ssl_context = ssl_context
        if not isinstance(server_address, tuple | list):
            server_address = os.fspath(server_address)
            self.address_family = _AF_UNIX  # type: ignore[assignment]
        # A subclass that has chosen a family knows better.
        elif self.address_family == socket.AF_INET and ":" in server_address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(server_address, RequestHandlerClass, bind_and_activate)
        # The attribute of a subclass may hold anything, and be for a socket that it wraps itself.
        if ssl_context is not None:
            try:
                self.socket = ssl_context.wrap_socket(self.socket, server_side=True)
            except (OSError, ValueError):
                self.server_close()
                raise

    def server_bind(self) -> None:
        """Bind the socket and call `setup_environ`."""
        if self.address_family == _AF_UNIX:
            self._bind_path()
            self.server_name, self.server_port = "localhost", _UNIX_PORT
        else:
            host: Any = self.server_address[0]
            if host == "::" and socket.has_dualstack_ipv6():
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            socketserver.TCPServer.server_bind(self)
            # HTTPServer would ask the DNS for a name, which can take seconds.
            self.server_name = socket.gethostname() if host in ("", "0.0.0.0", "::") else host
            self.server_port = self.server_address[1]
        self.setup_environ()

    def _bind_path(self) -> None:
        address: Any = self.server_address
        try:
            self.socket.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not _is_stale(address):
                raise
            os.unlink(address)
            self.socket.bind(address)
        if os.path.exists(address):  # an abstract address of Linux is no file
            self._socket_file = address, os.stat(address)

    def server_close(self) -> None:
        """Close the socket; remove the file of a Unix socket if it is still this server's."""
        super().server_close()
        if self._socket_file is not None:
            path, bound = self._socket_file
            self._socket_file = None
            with contextlib.suppress(OSError):
                if os.path.samestat(os.stat(path), bound):
                    os.unlink(path)

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; return it and the client's address, ("", 0) for a Unix socket."""
        if _is_tls(self.socket):
            # A client that does not shake hands must not hold up those behind it.
            self.socket.do_handshake_on_connect = False  # type: ignore[attr-defined]
        connection, address = super().get_request()
        return connection, address or ("", 0)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what a handler raised: one line if the connection was at fault, else a traceback."""
        error = sys.exc_info()[1]
        if isinstance(error, ConnectionError | TimeoutError) or type(error).__module__ == "ssl":
            sys.stderr.write(f"Connection from {client_address} lost: {error}\n")
        else:
            super().handle_error(request, client_address)

    def setup_environ(self) -> None:
        """Set `base_environ`."""
        self.base_environ = {
            "SERVER_NAME": self.server_name,
            "GATEWAY_INTERFACE": "CGI/1.1",
            "SERVER_PORT": str(self.server_port),
            "REMOTE_HOST": "",
            "CONTENT_LENGTH": "",
            "SCRIPT_NAME": "",
        }

    def get_app(self) -> WSGIApplication | None:
        """Return the application."""
        return self.application

    def set_app(self, application: WSGIApplication | None) -> None:
        """Set the application."""
        self.application = application


def _is_stale(path: str) -> bool:
    """Tell whether a socket file is left over from a server that is gone."""
    with socket.socket(_AF_UNIX, socket.SOCK_STREAM) as probe:  # type: ignore[arg-type]
        if probe.connect_ex(path) != errno.ECONNREFUSED:
            return False
    # A regular file refuses connections, too.
    return stat.S_ISSOCK(os.stat(path).st_mode)


class ThreadingWSGIServer(socketserver.ThreadingMixIn, WSGIServer):
    """A `WSGIServer` with a thread for each connection; no slow client holds up the others."""

    daemon_threads = True


class WSGIRequestHandler(BaseHTTPRequestHandler):
    """Reads the requests of one connection and runs the server's application for each."""

    server: WSGIServer
    server_version = server_version

    head_timeout: float | None = 10.0
    """Seconds that a client may be silent before its request head is complete; None is for ever.

    A server without threads serves nobody else meanwhile, and browsers open connections that they may never
    use. `timeout` is `http.server`'s: it bounds each wait of the connection, and if set replaces this one; so
    does a timeout that the socket has already.
    """

    # Where this class is laxer or older than a new one would be, because programs rely on it

    keep_alive = False
    """Whether to speak HTTP/1.1 and keep connections, under a server with threads or processes."""

    accept_bare_lf = True
    """Whether LF alone ends a line; tests write requests so. RFC 9112, 2.2, allows it."""

    accept_folded_fields = True
    """Whether a field may be folded over lines; the fold becomes a space (RFC 9112, 5.2)."""

    accept_unended_head = True
    """Whether the end of the stream ends an HTTP/1.0 head, as in tests that have no empty line."""

    require_host = False
    """Whether an HTTP/1.1 request without Host is refused, as RFC 9112, 3.2, demands."""

    collapse_slashes = True
    """Whether slashes at the start of a path become one: a redirect to "//host/" would leave the site."""

    drop_underscore_headers = False
    """Whether a header with an underscore in its name is dropped.

    Kept, it gets the variable of the name with hyphens, but never in the presence of that one.
    """

    _framing: int | None = None
    _content: _Content | None = None
    _ending: Outcome = CLOSE
    _authority: str | None = None
    _has_unread_head = True
    _waits_for_head = False

    # The connection

    def setup(self) -> None:
        """Make the streams; under TLS, shake hands."""
        super().setup()
        self._wait_for_head()
        connection: Any = self.connection
        if _is_tls(connection):
            try:
                connection.do_handshake()
            except OSError as error:
                self.log_error("%s: %s", "TLS handshake failed", str(error))
                self.rfile.close()
                self.rfile = io.BytesIO()

    def _wait_for_head(self) -> None:
        if self.head_timeout is None or self.timeout is not None:
            return
        connection: Any = self.connection
        # Tests have files in its place. A timeout that the server set when it accepted, or the default of all
        # sockets, stays.
        if hasattr(connection, "settimeout") and connection.gettimeout() is None:
            connection.settimeout(self.head_timeout)
            self._waits_for_head = True

    def handle(self) -> None:
        """Handle one request; with `keep_alive`, all requests of the connection."""
        if self.keep_alive:
            self.protocol_version = "HTTP/1.1"
            with contextlib.suppress(OSError):  # a Unix socket has no such option
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self.handle_one_request()
        while self.keep_alive and not self.close_connection:
            self._wait_for_head()
            self.handle_one_request()

    def handle_one_request(self) -> None:
        """Read one request and run the application for it."""
        self.close_connection = True
        try:
            self.raw_requestline = self.rfile.readline(_LIMITS.request_line + 1)
        except (TimeoutError, ConnectionError) as error:
            self._has_unread_head = False
            self.log_error("%s: %s", "No request", str(error))
            return
        if not self.parse_request():
            return
        handler = ServerHandler(
            self.rfile, self.wfile, self.get_stderr(), self.get_environ(), multithread=False
        )
        handler.request_handler = self
        if self.keep_alive:
            handler.http_version = "1.1"
        handler.run(self.server.get_app())  # type: ignore[arg-type]
        if not self.close_connection and not self._has_read_content():
            self.close_connection = True

    def _has_read_content(self) -> bool:
        content = self._content
        if content is None or content.is_read():
            return True
        timeout = self.connection.gettimeout()
        is_read = content.drain(self.connection)
        self.connection.settimeout(timeout)
        return is_read

    def finish(self) -> None:
        """Close the streams, and see that the client can read what was answered."""
        super().finish()
        connection: Any = self.connection
        if self._ending is ABORT:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
            return
        if _is_tls(connection):
            # Each side sends a close_notify (RFC 8446, 6.1): it tells the end from a cut. The client's is not
            # waited for.
            with contextlib.suppress(OSError, ValueError):
                connection.settimeout(0)
                connection.unwrap()
        if self._has_unread_head or not (self._content is None or self._content.is_read()):
            self._linger()

    def _linger(self) -> None:
        """Close in stages, as the client may still be sending.

        Else "the server's TCP stack will send a reset packet to the client; unfortunately, the reset packet
        might erase the client's unacknowledged input buffers before they can be read" (RFC 9112, 9.6).
        """
        with contextlib.suppress(OSError, AttributeError):
            self.connection.shutdown(socket.SHUT_WR)
            for size in _reads_within_bounds(self.connection):
                if not self.connection.recv(size):
                    break

    def address_string(self) -> str:
        """Return the client's host, "-" where it has none."""
        return self._client_host() or "-"

    def _client_host(self) -> str:
        address: Any = self.client_address
        return address if isinstance(address, str) else address[0]

    # The request

    def parse_request(self) -> bool:
        """Read the rest of the head whose first line is in `raw_requestline`.

        Sets `command`, `path`, `request_version`, `requestline`, `headers` and `close_connection`. Of a
        target in absolute-form, the authority becomes Host in `headers` (RFC 9112, 3.2.2), the rest `path`.

        Returns:
            False if there is no request, or it is refused: then it is answered, too.
        """
        self.command = None  # type: ignore[assignment]  # http.server's send_error() compares it
        self.requestline = ""
        self.request_version = HTTP_1_0
        self.close_connection = True
        self._framing = NO_BODY
        self._content = None
        self._has_unread_head = True
        try:
            line = self._first_line()
            if not line:
                self._has_unread_head = False
                return False
            refusal = self._take_request_line(line) or self._take_fields()
        except TimeoutError:
            refusal = HEAD_TIMEOUT
        if refusal is not None:
            self._refuse(refusal)
            return False
        self._has_unread_head = False
        if self._waits_for_head:
            self._waits_for_head = False
            self.connection.settimeout(self.timeout)
        expects_continue = (
            self.protocol_version >= "HTTP/1.1"
            and self.request_version >= "HTTP/1.1"
            and self.headers.get("Expect", "").lower() == "100-continue"
        )
        return not expects_continue or self.handle_expect_100()

    def _first_line(self) -> bytes:
        line = self.raw_requestline
        # "a server [...] SHOULD ignore at least one empty line (CRLF) received prior to the request-line"
        # (RFC 9112, 2.2)
        if line in (b"\r\n", b"\n"):
            line = self.raw_requestline = self.rfile.readline(_LIMITS.request_line + 1)
        return line

    def _take_request_line(self, line: bytes) -> Refusal | None:
        """Judge a request line, and set what it says."""
        if len(line) > _LIMITS.request_line:
            return LINE_TOO_LONG
        is_ended = line.endswith(b"\n")
        if line.endswith(b"\r\n"):
            line = line[:-2]
        elif is_ended:
            if not self.accept_bare_lf:
                return BARE_LF
            line = line[:-1]
        self.requestline = line.decode("latin-1")
        # One SP, as the grammar has it: what splits at other white space can be made to see another target.
        words = self.requestline.split(" ")
        if not (is_ended or (self.accept_unended_head and words[2:] == [HTTP_1_0])):
            return INCOMPLETE
        if len(words) == 2 and words[0] == "GET":
            version = self.default_request_version
        elif len(words) == 3:
            version = words[2]
            match = _VERSION.fullmatch(version)
            if match is None or match[1] == "0":
                return BAD_VERSION
            if match[1] != "1":
                return VERSION_NOT_SUPPORTED
        else:
            return BAD_REQUEST_LINE
        method, target = words[:2]
        if not is_token(method):
            return BAD_METHOD
        self.command = method
        refusal = self._take_target(target)
        self.request_version = version if refusal is None else HTTP_1_0
        return refusal

    def _take_target(self, target: str) -> Refusal | None:
        """Judge a request target; set `path` and `_authority`. Bytes that a URI must escape pass."""
        self._authority = None
        if self.command == "CONNECT":
            return METHOD_NOT_IMPLEMENTED
        if _forbidden_in_target(target):
            return BAD_TARGET
        if target[:1] != "/" and not (target == "*" and self.command == "OPTIONS"):
            absolute = _ABSOLUTE_FORM.fullmatch(target)
            if absolute is None:
                return BAD_TARGET
            self._authority, target = absolute.groups()
            if not is_authority(self._authority):
                return BAD_AUTHORITY
            # "an empty path component is equivalent to an absolute path of "/"" (RFC 9110, 4.2.3).
            if target[:1] != "/":
                target = "/" + target
        if self.collapse_slashes and target[:2] == "//":
            target = "/" + target.lstrip("/")
        self.path = target
        return None

    def _take_fields(self) -> Refusal | None:
        """Read the header section, judge it, and set what it says."""
        self.headers = headers = self.MessageClass()
        version = self.request_version
        if version == "HTTP/0.9":
            return None
        lines = self._field_lines()
        if isinstance(lines, Refusal):
            return lines
        lax = _LAXITIES[self.accept_bare_lf, self.accept_folded_fields, self.require_host]
        pairs = read_fields(lines, version, lax, _LIMITS)
        if isinstance(pairs, Refusal):
            return pairs
        known: dict[str, str] = {}
        for name, value in pairs:
            headers.set_raw(name, value)
            lower = name.lower()
            if lower in _DECISIVE_FIELDS:
                known[lower] = f"{known[lower]},{value}" if lower in known else value
        if self._authority is not None:
            del headers["Host"]
            headers.set_raw("Host", self._authority)
        framing = request_framing(version, known.get("content-length"), known.get("transfer-encoding"))
        if isinstance(framing, Refusal):
            return framing
        self._framing = framing
        # A subclass that keeps connections by itself reads by Content-Length: what it leaves of chunks would
        # be the next request.
        if self.protocol_version >= "HTTP/1.1" and (self.keep_alive or framing != CHUNKED):
            self.close_connection = keep_alive(version, known.get("connection")) is not KEEP
        return None

    def _field_lines(self) -> list[bytes] | Refusal:
        lines: list[bytes] = []
        # One line more than there may be fields: the empty one.
        while len(lines) <= _LIMITS.fields:
            line = self.rfile.readline(_LIMITS.field + 1)
            if len(line) > _LIMITS.field:
                return FIELDS_TOO_LARGE
            if not line and self.accept_unended_head and self.request_version == HTTP_1_0:
                return lines
            if line[-1:] != b"\n":
                return INCOMPLETE
            lines.append(line)
            if line in (b"\r\n", b"\n"):
                return lines
        return FIELDS_TOO_LARGE

    def _refuse(self, refusal: Refusal) -> None:
        """Answer with `send_error`; `http.server` has its own words for a line that is too long."""
        message = None if refusal is LINE_TOO_LONG else refusal.sentence.rstrip(".")
        self.send_error(int(refusal.status[:3]), message)

    def get_environ(self) -> dict[str, Any]:
        """Return a new dict: `base_environ` and the CGI variables of the request (RFC 3875, 4.1)."""
        path, _, query = self.path.partition("?")
        environ = self.server.base_environ.copy()
        environ["SERVER_PROTOCOL"] = self.request_version
        environ["SERVER_SOFTWARE"] = self.server_version
        environ["REQUEST_METHOD"] = self.command
        # The path of an asterisk-form is empty (RFC 9112, 3.3).
        environ["PATH_INFO"] = "" if path == "*" else unquote(path, "latin-1") if "%" in path else path
        environ["QUERY_STRING"] = query
        environ["REMOTE_ADDR"] = self._client_host()
        if _is_tls(self.request):
            environ["HTTPS"] = "on"
        # It "may be empty or absent" (PEP 3333), and is there because programs delete it.
        environ["CONTENT_TYPE"] = ""
        ambiguous: list[Pair] = []
        for name, value in self.headers.items():
            if "_" in name:
                ambiguous.append((name, value))
                continue
            lower = name.lower()
            key = name.upper().replace("-", "_")
            if lower in UNPREFIXED:
                environ[key] = value
            elif lower not in DROPPED_FIELDS and key not in environ:
                key = f"HTTP_{key}"
                if key in environ:
                    value = f"{environ[key]}{LIST_SEPARATORS.get(lower, LIST_SEPARATOR)}{value}"
                environ[key] = value
        if ambiguous and not self.drop_underscore_headers:
            _add_ambiguous(environ, ambiguous)
        return environ

    def get_stderr(self) -> Any:
        """Return the stream for `wsgi.errors`: `sys.stderr`, as it is now."""
        return sys.stderr


def _add_ambiguous(environ: dict[str, Any], fields: list[Pair]) -> None:
    """Add fields with underscores in their names, but for those whose variable is taken."""
    imitated = frozenset(environ)
    for name, value in fields:
        key = name.upper().replace("-", "_")
        if key not in imitated and f"HTTP_{key}" not in imitated:
            key = f"HTTP_{key}"
            environ[key] = f"{environ[key]}{LIST_SEPARATOR}{value}" if key in environ else value


def demo_app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer with a greeting and the whole `environ`: an application to try a server with."""
    lines = ["Hello world!", "", *(f"{name} = {value!r}" for name, value in sorted(environ.items())), ""]
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return ["\n".join(lines).encode()]


_Server = TypeVar("_Server", bound=WSGIServer)


@overload
def make_server(
    host: str,
    port: int,
    app: WSGIApplication,
    *,
    handler_class: Callable[..., Any] = WSGIRequestHandler,
    ssl_context: "ssl.SSLContext | None" = None,
) -> WSGIServer: ...


@overload
def make_server(
    host: str,
    port: int,
    app: WSGIApplication,
    server_class: type[_Server],
    handler_class: Callable[..., Any] = WSGIRequestHandler,
    *,
    ssl_context: "ssl.SSLContext | None" = None,
) -> _Server: ...


def make_server(
    host: str,
    port: int,
    app: WSGIApplication,
    server_class: Any = WSGIServer,
    handler_class: Callable[..., Any] = WSGIRequestHandler,
    *,
    ssl_context: "ssl.SSLContext | None" = None,
) -> Any:
    """Make a server for *app*, bound and listening; `serve_forever()` runs it.

    Args:
        host: as `WSGIServer` takes it; with a "/" in it, the path of a Unix socket, which has no *port*.
        port: the TCP port; 0 for a free one, which `server_port` then tells.
        app: the WSGI application.
        server_class: called with the address and *handler_class*, and *ssl_context* if there is one.
        handler_class: a subclass of `WSGIRequestHandler`.
        ssl_context: makes it a server of HTTPS.

    Raises:
        OSError: the address is in use or cannot be bound.
    """
    address = host if "/" in host else (host, port)
    options = {} if ssl_context is None else {"ssl_context": ssl_context}
    server = server_class(address, handler_class, **options)
    server.set_app(app)
    return server


def _main() -> None:
    """Serve one request, and open a browser that makes it."""
    with make_server("", 8000, demo_app) as server:
        host, port = server.socket.getsockname()[:2]
        sys.stdout.write(f"Serving HTTP on {host} port {port} ...\n")
        import webbrowser

        webbrowser.open(f"http://localhost:{port}/xyz?abc")
        server.handle_request()


if __name__ == "__main__":
    _main()
