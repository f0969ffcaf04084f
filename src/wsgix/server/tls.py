"""One TLS connection as a socket: `recv`, `send` and the few other methods that the server uses of one.

TLS runs in memory (`ssl.MemoryBIO`), and the raw socket is read and written here. So `recv` waits for
readable and `send` for writable, whatever TLS has to say in between, and a small request costs one system
call each way. One thread may receive while another sends. Certificates are `certificates`'.
"""

import contextlib
import errno
import os
import socket
import ssl
import threading
from typing import Any, Final

from wsgix.server.handshake import Handshake
from wsgix.server.shared import TURN
from wsgix.server.x509 import distinguished_name

_RECORD: Final = 16384
"""The most content of a record (RFC 8446, 5.1); one call of OpenSSL reads or writes one record."""
_RECEIVE: Final = 3 * _RECORD
"""Bytes taken from the raw socket at a time. With a record that was begun before, it makes less content than
`streaming.RECEIVE_SIZE`: all of it is handed over, and nothing is left of which no poll tells."""
_SEND: Final = 4 * _RECORD
"""Bytes of content encrypted at a time. What the socket does not take of them is kept."""
_MOST_REPLIES: Final = 65536
"""Bytes that the client may make TLS itself answer, with key updates say, while it reads nothing."""

_BLOCKED: Final = errno.EAGAIN, os.strerror(errno.EAGAIN)


class TLSSocket:
    """The server's side of TLS over *raw*, which is non-blocking and closed with it.

    `recv` and `send` raise `BlockingIOError` when nothing can be done before the raw socket is readable or
    writable, and another `OSError` when the connection is lost or the client broke the protocol.

    Args:
        raw: the accepted socket.
        context: what the server shows and asks for.

    Attributes:
        raw: the socket below. Who goes on with it alone leaves TLS without a word to the client.
        fault: why the handshake failed, "" if it did not.
    """

    __slots__ = (
        "_begun",
        "_encrypted",
        "_ended",
        "_established",
        "_incoming",
        "_kept",
        "_lock",
        "_outgoing",
        "_ssl",
        "_unsent",
        "fault",
        "raw",
    )

    def __init__(self, raw: socket.SocketType, context: ssl.SSLContext) -> None:
        self.raw = raw
        self.fault = ""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._begun = False
        self._ended = False
        self._established = False
        # OpenSSL's state is for one thread at a time. Nobody waits for the client inside.
        self._lock = threading.Lock()
        self._kept = b""
        self._unsent = b""
        self._encrypted = 0

    # The handshake

    def handshake(self) -> Handshake:
        """Go on with the handshake as far as it goes without waiting.

        Raises:
            OSError: the client is gone.
        """
        if not self._unsent:
            try:
                received = self.raw.recv(_RECEIVE)
            except BlockingIOError:
                return Handshake.WANT_READ
            if not received:
                raise ConnectionResetError(errno.ECONNRESET, "the client left during the TLS handshake")
            # A record begins with its type, which is no letter (RFC 8446, 5.1); a request with a method.
            if not self._begun and received[:1].isalpha():
                return Handshake.PLAIN
            self._begun = True
            self._incoming.write(received)
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            return Handshake.WANT_READ if self._flush() else Handshake.WANT_WRITE
        except ssl.SSLError as error:
            self.fault = error.reason or str(error)
            self._flush()
            return Handshake.FAILED
        if not self._flush():
            return Handshake.WANT_WRITE
        self._established = True
        return Handshake.DONE

    @property
    def has_begun(self) -> bool:
        """Whether the client has said anything of the handshake."""
        return self._begun

    def variables(self) -> dict[str, str]:
        """Return what the application is told of the connection: mod_ssl's names, after the handshake.

        Raises:
            ValueError: Python cannot read the client's certificate, which OpenSSL has verified.
        """
        tls = self._ssl
        cipher = tls.cipher()
        found = {
            "HTTPS": "on",
            "SSL_PROTOCOL": tls.version() or "",
            "SSL_CIPHER": cipher[0] if cipher else "",
        }
        if tls.context.verify_mode is ssl.CERT_NONE:
            return found
        try:
            certificate: Any = tls.getpeercert()
        except (ssl.SSLError, UnicodeDecodeError):
            # It reads more than is asked for here: a URL that is not ASCII is enough, whatever it leads to.
            raise ValueError("Python cannot read the client's certificate") from None
        if not certificate:
            found["SSL_CLIENT_VERIFY"] = "NONE"
            return found
        found["SSL_CLIENT_VERIFY"] = "SUCCESS"
        found["SSL_CLIENT_S_DN"] = distinguished_name(certificate["subject"])
        found["SSL_CLIENT_I_DN"] = distinguished_name(certificate["issuer"])
        found["SSL_CLIENT_M_SERIAL"] = certificate["serialNumber"]
        found["SSL_CLIENT_CERT"] = ssl.DER_cert_to_PEM_cert(tls.getpeercert(True) or b"")
        return found

    # In

    def recv(self, size: int) -> bytes:
        """Receive at most *size* bytes, b"" once the client has ended its side with close_notify.

        A caller that asks for `streaming.RECEIVE_SIZE` or more gets all that has arrived. For a smaller one
        the rest is kept, and no poll reports it.
        """
        with self._lock:
            data = self._kept or self._receive()
            self._kept = data[size:]
            return data[:size] if self._kept else data

    def _receive(self) -> bytes:
        received = b""
        while not self._ended:
            # The first request may have come along with the end of the handshake.
            if not self._incoming.pending:
                if received:
                    # What came has no content; more of that kind must not keep the thread here.
                    raise BlockingIOError(*_BLOCKED)
                received = self.raw.recv(_RECEIVE)
                if not received:
                    # Only a closure alert assures that nothing is missing (RFC 9112, 9.8).
                    raise ConnectionResetError(errno.ECONNRESET, "the client left without close_notify")
                self._incoming.write(received)
            if data := self._decrypt():
                return data
        return b""

    def _decrypt(self) -> bytes:
        """Return the content of all records that have arrived whole."""
        pieces: list[bytes] = []
        try:
            while self._incoming.pending:
                data = self._ssl.read(_RECORD)
                if not data:
                    self._end(bool(pieces))
                    break
                pieces.append(data)
        except ssl.SSLWantReadError:
            pass  # what is left is the beginning of a record
        finally:
            # A key update is answered, a fault told with an alert.
            if self._outgoing.pending and not self._flush() and self._outgoing.pending > _MOST_REPLIES:
                raise ConnectionAbortedError(errno.ECONNABORTED, "the client reads no TLS messages")
        return b"".join(pieces)

    def _end(self, after_content: bool) -> None:
        """Note close_notify; what follows it is ignored (RFC 8446, 6.1)."""
        self._ended = True
        self._incoming.read()
        if after_content:
            # The next `recv` is to tell the end, and only a poll leads to it: let the raw socket end, too.
            with contextlib.suppress(OSError):
                self.raw.shutdown(socket.SHUT_RD)

    # Out

    def send(self, data: bytes | bytearray | memoryview) -> int:
        """Send as much of *data* as the raw socket takes; return how many bytes.

        Some more may be encrypted already: what was not sent is to be the beginning of the next *data*.
        """
        with self._lock:
            if not self._flush():
                raise BlockingIOError(*_BLOCKED)
            sent = self._encrypted
            self._encrypted = 0
            size = len(data)
            if sent > size:
                raise AssertionError("the data does not begin with what was left of the last")
            if sent or not 0 < size <= _RECORD:
                return self._send_in_pieces(memoryview(data), sent)
            self._ssl.write(data)
            if self._flush():
                return size
            self._encrypted = size
            raise BlockingIOError(*_BLOCKED)

    def _send_in_pieces(self, data: memoryview, sent: int) -> int:
        most = min(sent + TURN, len(data))
        while sent < most:
            encrypted = sent
            end = min(sent + _SEND, most)
            while encrypted < end:
                encrypted += self._ssl.write(data[encrypted:end])
            if not self._flush():
                self._encrypted = encrypted - sent
                break
            sent = encrypted
        if not sent and len(data):
            raise BlockingIOError(*_BLOCKED)
        return sent

    def _flush(self) -> bool:
        """Send the records that are ready; tell whether all have left."""
        while True:
            records = self._unsent or self._outgoing.read()
            if not records:
                return True
            try:
                sent = self.raw.send(records)
            except BlockingIOError:
                self._unsent = records
                return False
            self._unsent = records[sent:]

    # The end

    def shutdown(self, how: int) -> None:
        """End one side as a socket does; this side with close_notify.

        `socket.SHUT_RDWR` cuts the connection off, and there is no close_notify, now or later.
        """
        if how == socket.SHUT_RDWR:
            self._established = False
        elif how == socket.SHUT_WR:
            self._notify_at_best()
        self.raw.shutdown(how)

    def close(self) -> None:
        """Close the raw socket, after close_notify if all that was to be sent has left."""
        self._notify_at_best()
        self.raw.close()

    def notify(self) -> bool:
        """Send close_notify behind what was sent so far; False if the client has yet to take some of it.

        "Servers MUST attempt to initiate an exchange of closure alerts with the client before closing the
        connection", and need not await the answer (RFC 9112, 9.8). Call it again once the socket is writable.
        """
        with self._lock, contextlib.suppress(OSError):  # a client that is gone takes nothing more
            if not self._flush():
                return False
            if self._established:
                self._established = False
                with contextlib.suppress(OSError):  # of which the wish to read the answer is one
                    self._ssl.unwrap()
                return self._flush()
        return True

    def _notify_at_best(self) -> None:
        """Send close_notify if that is possible at once.

        If something has not left, the client must not take what it got for the whole: then there is none.
        """
        if not self._unsent:
            self.notify()

    # In a child that the application has forked

    def renew_lock(self) -> None:
        """Wait for nobody who was at it: no other thread is there any more."""
        self._lock = threading.Lock()

    # As the raw socket

    def fileno(self) -> int:
        """Return the descriptor to poll."""
        return self.raw.fileno()

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        """Set an option of the raw socket. Who sets SO_LINGER wants a reset, and so no close_notify."""
        if (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER):
            self._established = False
        self.raw.setsockopt(level, option, value)
