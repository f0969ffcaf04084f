"""A client that can hold several conversations at once: `Talk`, over TCP or TLS.

It sends pieces when it is told to, and h11 reads the responses, so that no test trusts the code under test.
"""

import array
import contextlib
import fcntl
import select
import socket
import ssl
import termios
import time
from functools import cache
from urllib.parse import urlsplit

import h11

from tests.server.authority import client_context
from tests.server.conversation import Answer

PATIENCE = 5.0
"""Seconds without a byte after which a conversation is taken to hang."""

_context = cache(client_context)  # loading what the system trusts takes longer than a conversation


class SecureSocket:
    """A client's end of TLS with the methods of a socket; like it, it does not wait once it is connected."""

    def __init__(self, raw):
        self._raw = raw
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = _context().wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self._unsent = self._decrypted = b""
        while self._step(self._tls.do_handshake) is None:
            self._incoming.write(raw.recv(65536))

    def fileno(self):
        return self._raw.fileno()

    def setblocking(self, is_blocking):
        self._raw.setblocking(is_blocking)

    def _step(self, operation, *arguments):
        """Take a step, and send what it has to tell the server; None if that has to tell something first."""
        try:
            return operation(*arguments) or b""
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLZeroReturnError:  # close_notify
            return b""
        finally:
            self._unsent += self._outgoing.read()
            with contextlib.suppress(OSError):  # what has come can be read all the same
                self._flush()

    def _flush(self):
        while self._unsent:
            self._unsent = self._unsent[self._raw.send(self._unsent) :]

    def recv(self, size):
        if self._decrypted:
            data, self._decrypted = self._decrypted, b""
            return data
        while (data := self._step(self._tls.read, size)) is None:
            received = self._raw.recv(65536)
            if not received:
                raise ConnectionResetError("the server ends without close_notify")
            self._incoming.write(received)
        return data

    def send(self, data):
        self._flush()
        return self._step(self._tls.write, data)

    def shutdown(self, _how):
        # What has come is read first: content behind its own end is an error to OpenSSL.
        while piece := self._step(self._tls.read, 65536):
            self._decrypted += piece
        self._step(self._tls.unwrap)

    def close(self):
        self._raw.close()


class Talk:
    """A connection to the server, read response by response. Only what must come is waited for."""

    def __init__(self, site, receive_buffer):
        self._site = site
        url = urlsplit(site.url)
        raw = socket.socket()
        if receive_buffer:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.settimeout(PATIENCE)
        raw.connect((url.hostname, url.port))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = str(raw.getsockname()[1])
        self._socket = SecureSocket(raw) if url.scheme == "https" else raw
        self._socket.setblocking(False)
        self._served = None
        self._held = b""
        self._reading = None
        self._interim = []
        self._head = None
        self.has_ended = False
        self.was_reset = False

    def close(self):
        self._socket.close()

    # Bytes

    def _wait(self, writing=False, seconds=PATIENCE):
        """Wait until something has come, or can be sent; False if that takes too long."""
        one = [self._socket]
        return any(select.select(one, one if writing else [], [], seconds))

    def _hold(self):
        """Take what has come, so that the server can go on; False if there is nothing."""
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            data = b""
            self.was_reset = True
        self.has_ended = not data
        self._held += data
        return True

    def _receive(self):
        """Wait for more, and take it; nothing at the end."""
        while not (self._held or self.has_ended or self._hold()):
            assert self._wait(), "nothing comes"
        data, self._held = self._held, b""
        return data

    def send(self, data):
        """Send all of *data*, unless the server ends the conversation."""
        left = memoryview(data)
        while left and not (self.has_ended or self.was_reset):
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                assert self._hold() or self._wait(writing=True), "the server takes nothing more"
            except (BrokenPipeError, ConnectionResetError):
                self.was_reset = True  # what has come can be read all the same

    def half_close(self):
        with contextlib.suppress(OSError):  # it has ended already
            self._socket.shutdown(socket.SHUT_WR)

    def wait_for_arrival(self):
        """Wait until the server has received all that was sent: the next piece will come to it alone."""
        deadline = time.monotonic() + PATIENCE
        while not (self.has_ended or self._has_arrived()):
            assert time.monotonic() < deadline, "the server does not receive what was sent"
            self._hold() or self._wait(seconds=0.0003)

    def _has_arrived(self):
        if self._served is None:
            for connection in [*self._site.loop._connections.values()]:
                if connection.template.get("REMOTE_PORT") == self._port:
                    self._served = connection.socket
        return self._served is not None and not _unread(self._served.fileno())

    # Responses, one after the other

    def _next_event(self, method):
        if self._reading is None:
            self._reading = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
            self._reading.send(h11.Request(method=method, target="/", headers=[("Host", "any")]))
            self._reading.send(h11.EndOfMessage())
            self._interim, self._head = [], None
        while (event := self._reading.next_event()) is h11.NEED_DATA:
            self._reading.receive_data(self._receive())
        if isinstance(event, h11.InformationalResponse):
            self._interim.append(event.status_code)
        elif isinstance(event, h11.Response):
            self._head = event
        return event

    def has_response(self):
        """Wait until a response begins; False if the connection ends instead."""
        if not self._reading:
            self._held = self._receive()
        return bool(self._held or self._reading)

    def wait_to_go_on(self, method):
        """Read 100 (Continue), or the head that comes instead."""
        self._next_event(method)

    def read(self, method):
        """Read a whole response."""
        pieces = []
        while not isinstance(event := self._next_event(method), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                pieces.append(bytes(event.data))
        self._held = self._reading.trailing_data[0] + self._held
        self._reading = None
        fields = [(name.decode(), value.decode("latin-1")) for name, value in self._head.headers]
        return Answer(self._interim, self._head.status_code, fields, b"".join(pieces))

    def rest(self):
        """Read what nobody expects, to the end."""
        pieces = []
        while piece := self._receive():
            pieces.append(piece)
        return b"".join(pieces)


def _unread(fd):
    """How many bytes have come for the socket *fd* and wait to be received."""
    size = array.array("i", [0])
    try:
        fcntl.ioctl(fd, termios.FIONREAD, size)
    except (OSError, ValueError):  # it is closed
        return 0
    return size[0]
