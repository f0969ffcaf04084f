"""Speaks HTTP/1 to a server as bytes: sends what it is told to, and reads the answer strictly.

Here live sockets and a small reader of responses. The reader is the referee's own and shares nothing with
`wsgix.wire`: what both misunderstood alike would never be found. What an answer means is for the cases.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
import time
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Connection", "MalformedResponse", "NoAnswer", "Refused", "Response"]

BODILESS: Final = frozenset({204, 304})
_STATUS_LINE: Final = re.compile(rb"HTTP/(\d\.\d) ([1-5]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?")
_FIELD_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*", re.DOTALL)
_FORBIDDEN_IN_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?")
_LARGEST_HEAD: Final = 262_144
_PIECE: Final = 65_536


class Refused(Exception):
    """No connection could be made."""


class NoAnswer(Exception):
    """The server closed the connection, or was silent, where a response was due."""


class MalformedResponse(Exception):
    """What came is not HTTP/1; the message says what is wrong with it."""


@dataclass(slots=True)
class Response:
    """One response as it came.

    Attributes:
        version: "1.1" or "1.0".
        status: the number.
        reason: as it came.
        headers: pairs as they came, whitespace around the value removed.
        content: what came of the content, transfer coding undone.
        framing: how its end was told: "none", "length", "chunked" or "close".
        complete: whether that end came.
        chunks: the sizes of the chunks.
        interim: the 1xx responses that came before.
    """

    version: str
    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]
    content: bytes = b""
    framing: str = "none"
    complete: bool = False
    chunks: list[int] = field(default_factory=list)
    interim: list[Response] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        """Return the values of the headers of this name, in any case, as latin-1 text."""
        wanted = name.lower().encode()
        return [value.decode("latin-1") for key, value in self.headers if key.lower() == wanted]

    def options(self, name: str) -> list[str]:
        """Return the members of a header that is a list, in lower case."""
        return [
            part.strip().lower() for value in self.values(name) for part in value.split(",") if part.strip()
        ]

    @property
    def closes(self) -> bool:
        """Whether the response says that the connection ends with it."""
        options = self.options("Connection")
        return (
            "close" in options
            or self.framing == "close"
            or (self.version == "1.0" and "keep-alive" not in options)
        )

    def __str__(self) -> str:
        return f"{self.status} {self.reason.decode('latin-1')}".strip()


class Connection:
    """One connection to the server. It keeps all bytes that went either way.

    Args:
        address: host and port, or the path of a Unix socket.
        timeout: seconds for every single wait.
        tls: speak TLS; the certificate is not verified, for the server is not what is in doubt.
    """

    def __init__(self, address: tuple[str, int] | str, timeout: float, *, tls: bool = False) -> None:
        self.timeout = timeout
        self.sent = bytearray()
        self.received = bytearray()
        self._position = 0
        self._ended = False
        try:
            if isinstance(address, str):
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self._socket.settimeout(timeout)
                self._socket.connect(address)
            else:
                self._socket = socket.create_connection(address, timeout)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
                self._socket = context.wrap_socket(self._socket)
        except OSError as error:
            raise Refused(f"no connection: {error.strerror or error}") from error

    @property
    def local_address(self) -> tuple[str, int]:
        """The host and the port of this end."""
        name = self._socket.getsockname()
        return (name[0], name[1]) if isinstance(name, tuple) else ("", 0)

    # Sending.

    def send(self, data: bytes) -> None:
        """Send it all. What the server does not want to receive is no error: the answer tells.

        Raises:
            NoAnswer: the server takes nothing for the whole time.
        """
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise NoAnswer(f"the server received nothing for {self.timeout:g} s") from None
        except OSError:
            pass
        self.sent += data

    def end_sending(self) -> None:
        """Tell the server that nothing more will be sent."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def vanish(self) -> None:
        """End the connection with a reset, as a client does that is gone."""
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    # Receiving.

    def receive(self, seconds: float | None = None) -> bool:
        """Receive what comes next; return whether something came before the end or the time.

        Raises:
            TimeoutError: nothing came in time.
        """
        if self._ended:
            return False
        self._socket.settimeout(self.timeout if seconds is None else max(seconds, 0.001))
        try:
            data = self._socket.recv(_PIECE)
        except (TimeoutError, ssl.SSLWantReadError):
            raise TimeoutError from None
        except OSError:
            data = b""
        finally:
            self._socket.settimeout(self.timeout)
        self.received += data
        self._ended = not data
        return bool(data)

    def stays_silent(self, seconds: float) -> bool:
        """Tell whether nothing comes, neither bytes nor the end, for so many seconds."""
        if self.unread:
            return False
        try:
            self.receive(seconds)
        except TimeoutError:
            return True
        return False

    def is_ended(self, seconds: float | None = None) -> bool:
        """Tell whether the server ends the connection in time without another byte."""
        try:
            while self.receive(seconds):
                pass
        except TimeoutError:
            return False
        return not self.unread

    @property
    def ended(self) -> bool:
        """Whether the server was seen to have ended the connection."""
        return self._ended

    @property
    def unread(self) -> bytes:
        """What came and belongs to no response that was read."""
        return bytes(self.received[self._position :])

    def _need(self, what: str) -> None:
        try:
            more = self.receive()
        except TimeoutError:
            raise NoAnswer(f"nothing came for {self.timeout:g} s, {what}") from None
        if not more:
            raise NoAnswer(f"the connection ended {what}")

    def _line(self, what: str) -> bytes:
        while (end := self.received.find(b"\n", self._position)) < 0:
            if len(self.received) - self._position > _LARGEST_HEAD:
                raise MalformedResponse(f"a line has no end, {what}")
            self._need(what)
        line = bytes(self.received[self._position : end])
        self._position = end + 1
        if not line.endswith(b"\r"):
            raise MalformedResponse(f"a line ends without CR: {line[:60]!r}")
        if b"\r" in line[:-1]:
            raise MalformedResponse(f"a CR stands in a line: {line[:60]!r}")
        return line[:-1]

    def read_head(self) -> Response:
        """Read one head, of an interim response too.

        Raises:
            NoAnswer: the connection ended, or nothing came in time.
            MalformedResponse: it is not HTTP.
        """
        what = "before there was a response" if not self.unread else "within the head of the response"
        line = self._line(what)
        match = _STATUS_LINE.fullmatch(line)
        if not match:
            raise MalformedResponse(f"this is no status line: {line[:80]!r}")
        version, status, reason = match.groups()
        response = Response(version.decode(), int(status), reason or b"", [])
        while line := self._line("within the head of the response"):
            field_line = _FIELD_LINE.fullmatch(line)
            if not field_line or _FORBIDDEN_IN_VALUE.search(field_line[2]):
                raise MalformedResponse(f"this is no field line: {line[:80]!r}")
            response.headers.append((field_line[1], field_line[2]))
        return response

    def read_response(self, method: str = "GET") -> Response:
        """Read the response to a request of this method, interim ones before it.

        Raises:
            NoAnswer: there is no head in time.
            MalformedResponse: it is not HTTP, or its framing contradicts itself.
        """
        interim = []
        while (response := self.read_head()).status < 200:
            interim.append(response)
        response.interim = interim
        self.read_content(response, method)
        return response

    def read_content(self, response: Response, method: str = "GET") -> None:
        """Read the content of a response whose head was read; one that is cut short is not `complete`."""
        lengths = response.values("Content-Length")
        codings = response.options("Transfer-Encoding")
        if method == "HEAD" or response.status in BODILESS or response.status < 200:
            response.complete = True
        elif codings:
            if codings != ["chunked"]:
                raise MalformedResponse(f"the transfer codings are {codings}")
            response.framing = "chunked"
            self._read_chunks(response)
        elif lengths:
            if len(set(lengths)) != 1 or not lengths[0].isdecimal():
                raise MalformedResponse(f"Content-Length is {lengths}")
            response.framing = "length"
            self._read_length(response, int(lengths[0]))
        else:
            response.framing = "close"
            self._read_to_end(response)

    def _read_length(self, response: Response, length: int) -> None:
        end = self._position + length
        try:
            while len(self.received) < end:
                self._need("within the content")
            response.complete = True
        except NoAnswer:
            end = len(self.received)
        response.content = bytes(self.received[self._position : end])
        self._position = end

    def _read_chunks(self, response: Response) -> None:
        content = bytearray()
        try:
            while True:
                line = self._line("within the chunks")
                match = _CHUNK_LINE.fullmatch(line)
                if not match:
                    raise MalformedResponse(f"this is no size of a chunk: {line[:60]!r}")
                size = int(match[1], 16)
                if size == 0:
                    break
                start = len(content)
                while len(content) - start < size:
                    piece = bytes(
                        self.received[self._position : self._position + size - len(content) + start]
                    )
                    content += piece
                    self._position += len(piece)
                    if not piece:
                        self._need("within a chunk")
                if self._line("after a chunk"):
                    raise MalformedResponse("a chunk is longer than its size")
                response.chunks.append(size)
            while self._line("within the trailers"):
                pass
            response.complete = True
        except NoAnswer:
            pass
        response.content = bytes(content)

    def _read_to_end(self, response: Response) -> None:
        try:
            while self.receive():
                pass
            response.complete = True
        except TimeoutError:
            pass
        response.content = self.unread
        self._position = len(self.received)

    def wait_for(self, data: bytes, seconds: float) -> bool:
        """Wait until these bytes came, wherever; return whether they did in time."""
        end = time.monotonic() + seconds
        while data not in self.received:
            try:
                if not self.receive(end - time.monotonic()):
                    return False
            except TimeoutError:
                return False
        return True
