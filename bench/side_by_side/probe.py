"""A client that sends one request and reads one answer to its last byte, to see whether it is right.

It knows the three ways in which a body ends (RFC 9112 section 6.3): by its length, by its chunks, by the end
of the connection.
"""

import enum
import socket
import ssl
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from side_by_side.workloads import PLACE

SECONDS: Final = 5.0


class Ending(enum.Enum):
    """How the end of a body is known (RFC 9112 section 6.3)."""

    BY_LENGTH = enum.auto()
    BY_CHUNKS = enum.auto()
    BY_CLOSE = enum.auto()


class Answer(NamedTuple):
    """One response. `size` is that of the whole of it on the wire, in bytes."""

    status: int
    body: bytes
    size: int
    keep_alive: bool
    ended: Ending


class BadAnswer(Exception):
    """What came back is not a response, or not all of one; the message says what was seen."""


def connect(port: int, tls: bool = False, seconds: float = SECONDS) -> socket.socket:
    """Connect to a server of this machine; every later call on the socket takes at most *seconds*."""
    connection = socket.create_connection(("127.0.0.1", port), seconds)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not tls:
        return connection
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection)


def ask(connection: socket.socket, request: bytes) -> Answer:
    """Send *request* and read its answer.

    Raises:
        BadAnswer: the answer is cut short or cannot be read.
        OSError: the connection failed or timed out.
    """
    connection.sendall(request.replace(PLACE, b"00000000"))
    received = bytearray()
    while (end := received.find(b"\r\n\r\n")) < 0:
        _more(connection, received)
    head = bytes(received[:end])
    start = end + 4
    status_line, *lines = head.split(b"\r\n")
    fields = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)
    }
    try:
        version, status = status_line.split(b" ")[:2]
        number = int(status)
        length = int(fields.get(b"content-length", b"-1"))
    except ValueError:
        raise BadAnswer(f"the head {head[:80]!r} cannot be read") from None
    persistent = version == b"HTTP/1.1"
    if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
        ending = Ending.BY_CHUNKS
        body, end = _chunks(connection, received, start)
    elif length >= 0:
        ending = Ending.BY_LENGTH
        end = start + length
        while len(received) < end:
            _more(connection, received)
        body = bytes(received[start:end])
    else:
        ending = Ending.BY_CLOSE
        persistent = False
        while block := connection.recv(65536):
            received += block
        end = len(received)
        body = bytes(received[start:])
    keep_alive = fields.get(b"connection", b"").lower() != b"close" and persistent
    return Answer(number, body, end, keep_alive, ending)


def _chunks(connection: socket.socket, received: bytearray, at: int) -> tuple[bytes, int]:
    """Read a chunked body that starts *at*; return it and where it ends."""
    body = bytearray()
    while True:
        while (line_end := received.find(b"\r\n", at)) < 0:
            _more(connection, received)
        try:
            size = int(received[at:line_end].partition(b";")[0], 16)
        except ValueError:
            raise BadAnswer(f"the chunk size {bytes(received[at:line_end])[:20]!r} cannot be read") from None
        at = line_end + 2
        while len(received) < at + size + 2:
            _more(connection, received)
        body += received[at : at + size]
        at += size + 2
        if size == 0:
            return bytes(body), at


def _more(connection: socket.socket, received: bytearray) -> None:
    block = connection.recv(1 << 20)
    if not block:
        raise BadAnswer(f"the connection ended after {len(received)} bytes, amid the answer")
    received += block


def fault_of(answer: Answer, body: bytes) -> str:
    """Say what is wrong with *answer*, or nothing if it is a 200 with *body*."""
    if answer.status != 200:
        return f"status {answer.status}"
    if answer.body != body:
        return f"a body of {len(answer.body)} bytes: {answer.body[:40]!r}, not the {len(body)} expected"
    return ""


def wait_until_it_answers(
    port: int, request: bytes, tls: bool, deadline: float, is_alive: Callable[[], bool]
) -> bool:
    """Try every half millisecond until a whole answer with status 200 comes; tell whether one did.

    Args:
        deadline: when to give up, on the clock of `time.perf_counter`, in seconds.
        is_alive: tells whether there still is a server to wait for.
    """
    while (left := deadline - time.perf_counter()) > 0 and is_alive():
        try:
            with connect(port, tls, min(left, SECONDS)) as connection:
                if ask(connection, request).status == 200:
                    return True
        except (OSError, BadAnswer):
            pass
        time.sleep(0.0005)
    return False
