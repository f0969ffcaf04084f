"""What the leader does with a connection once there is something to answer: send it, and part well.

The base of the loop: the table of connections, the poller, the clock. All methods run on the thread that has
the lead.
"""

import contextlib
import socket
import time
from collections import deque
from threading import Lock
from typing import TYPE_CHECKING, Final

from wsgix.core.framing import CLOSE, HTTP_1_0, KEEP
from wsgix.facts.refusals import Refusal
from wsgix.server.connection import Connection
from wsgix.server.outgoing import FILE_FAULTS
from wsgix.server.phase import BUSY, FLUSH, HEAD, LINGER, READY, SKIP
from wsgix.server.poller import READ, WRITE, make_poller
from wsgix.server.responder import date_and_server
from wsgix.server.settings import Settings
from wsgix.server.streaming import RECEIVE_SIZE
from wsgix.server.sure_log import log
from wsgix.wire.http1 import COMPLETE, NEED_MORE
from wsgix.wire.http1_response import refusal_response

if TYPE_CHECKING:
    from wsgix.server.access_log import AccessLog

SKIP_SECONDS: Final = 5.0
SKIP_BYTES: Final = 65536
"""How long and how much content that the application left is read, to keep the connection."""
LINGER_SECONDS: Final = 5.0
LINGER_MOST_SECONDS: Final = 30.0
"""How long a client that has got its last answer may be silent, and how long in all it may go on sending."""

_WARNING_SECONDS: Final = 60.0


class Departures:
    """Connections, and what happens to them from an answer on."""

    def __init__(self, settings: Settings, access_log: "AccessLog | None") -> None:
        self._settings = settings
        self._access_log = access_log
        # The request after this many is the last of its connection; 0 is never reached.
        self._last_but_one = settings.limit_requests_per_connection - 1
        self._poller = make_poller()
        self._connections: dict[int, Connection] = {}
        # Held where connections that wait for a request are closed in passing, and where one begins to wait
        # on another thread: what is polled must not have been closed.
        self._waiting_lock = Lock()
        self._ready: deque[Connection] = deque()
        # Those that could not be polled for lack of room in the system, with the events to poll for.
        self._unpolled: dict[Connection, int] = {}
        self._next_warning = 0.0
        self._stopping = False
        self._now = self._idle_deadline = time.monotonic()

    # Polling

    def _want(self, connection: Connection, events: int) -> None:
        """Have the connection polled for *events*, 0 for not at all.

        If the system has no room for it, a sweep tries again; until then nothing is heard of the client.
        """
        if self._unpolled:
            self._unpolled.pop(connection, None)
        interest = connection.interest
        if interest == events:
            return
        connection.interest = events
        if not events:
            with contextlib.suppress(OSError):  # what lies below the descriptor may be another socket by now
                self._poller.unregister(connection.fd)
            return
        try:
            if interest:
                self._poller.modify(connection.fd, events)
            else:
                self._poller.register(connection.fd, events)
        except OSError as error:
            connection.interest = interest
            self._unpolled[connection] = events
            self._warn("cannot poll a connection", error)

    def _poll_the_rest(self) -> None:
        """Try again to have those connections polled for which there was no room."""
        with self._waiting_lock:
            for connection, events in [*self._unpolled.items()]:
                self._want(connection, events)

    def _warn(self, what: str, error: OSError) -> None:
        """Log a shortage, once in a while; on any thread."""
        if self._now >= self._next_warning:
            self._next_warning = self._now + _WARNING_SECONDS
            log.warning("%s, %d are open: %s", what, len(self._connections), error.strerror)

    def _postpone(self, connection: Connection) -> None:
        """Let others have their turn before the requests of *connection* that have arrived."""
        connection.is_simple = False
        # From here on nothing else goes on with it: not who has it postponed, nor an event of the last poll.
        connection.phase = READY
        self._want(connection, 0)
        self._ready.append(connection)

    # Answers

    def _refuse(self, connection: Connection, refusal: Refusal, further_lines: bytes = b"") -> None:
        """Answer without the application, and close."""
        connection.describe_unread()
        log.info("refused a request from %s: %s", connection.name, refusal.word)
        head_only = connection.environ.get("REQUEST_METHOD") == "HEAD"
        response = refusal_response(refusal, date_and_server.now() + further_lines, bodiless=head_only)
        if self._access_log is not None:
            size = 0 if head_only else len(refusal.sentence) + 1
            self._access_log.add_refusal(connection.client, connection.environ, refusal.status, size)
        try:
            connection.send(response, True)  # the leader must not wait
        except OSError:
            self._close(connection)
            return
        self._leave(connection)

    def _after_response(self, connection: Connection) -> None:
        if not connection.has_all_left and not self._flushed(connection):
            return
        if connection.streamed is not None:
            self._skip(connection)
        elif connection.outcome is KEEP and not connection.closing:
            connection.wait_for_next(self._idle_deadline, self._last_but_one)
            if connection.interest != READ:
                self._want(connection, READ)
        elif not connection.say_end():
            self._wait_for_client(connection)
        elif connection.unfinished or connection.inbox or self._may_send_more(connection):
            self._linger(connection)
        else:
            self._close(connection)

    def _may_send_more(self, connection: Connection) -> bool:
        """Tell whether more than its request may come from the client, who could not know better."""
        # Once the server is to stop, nobody is waited for who has not sent another already.
        if self._stopping:
            return connection.has_unread
        return connection.reader.wish is KEEP or connection.may_trail

    def _flushed(self, connection: Connection) -> bool:
        """Send what is left of the response; if some stays, wait for the client to take it."""
        try:
            if connection.flush():
                return True
        except OSError as error:
            self._note_file_fault(connection, error)
            self._abort(connection, HTTP_1_0)
            return False
        self._wait_for_client(connection)
        return False

    def _note_file_fault(self, connection: Connection, error: OSError) -> None:
        """Log that a file could not be sent, if that is not the client's doing."""
        if error.errno in FILE_FAULTS:
            log.error("cannot read the file that %s is sent: %s", connection.name, error.strerror)

    def _wait_for_client(self, connection: Connection) -> None:
        """Wait until the client takes more."""
        connection.phase = FLUSH
        connection.deadline = self._now + self._settings.write_timeout
        self._want(connection, WRITE)

    def _flush_meanwhile(self, connection: Connection) -> None:
        """Send more of a response that another thread is producing."""
        if connection.phase is BUSY:
            has_left = connection.flush_meanwhile()
            with self._waiting_lock:
                # If the response has ended since, the connection is polled for its next request already.
                if connection.phase is BUSY:
                    self._want(connection, 0 if has_left else WRITE)

    def _flush(self, connection: Connection) -> None:
        self._after_response(connection)
        if connection.phase is HEAD and connection.inbox:
            self._postpone(connection)

    def _skip(self, connection: Connection) -> None:
        """Read through content that the application left, if that is worth it, to the next request."""
        streamed = connection.streamed
        if connection.outcome is CLOSE or streamed is None or streamed.awaits_continue:
            self._leave(connection)
            return
        connection.phase = SKIP
        connection.deadline = self._now + SKIP_SECONDS
        connection.skipped = 0
        self._want(connection, READ)
        self._go_on_skipping(connection)

    def _go_on_skipping(self, connection: Connection) -> None:
        step = connection.skip()
        if step is COMPLETE:
            connection.end_request()
            self._after_response(connection)
            if connection.phase is HEAD and connection.inbox:
                self._postpone(connection)
        elif step is not NEED_MORE or connection.skipped > SKIP_BYTES:
            self._leave(connection)

    def _leave(self, connection: Connection) -> None:
        """Read no more of the request at hand, of which more may come."""
        connection.end_request()
        connection.outcome = CLOSE
        connection.unfinished = True
        self._after_response(connection)

    # The end of a connection

    def _linger(self, connection: Connection) -> None:
        """Half-close and read on a while: a reset would take the answer from the client (RFC 9112, 9.6)."""
        try:
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(connection)
            return
        connection.discard()
        connection.phase = LINGER
        connection.since = self._now
        connection.deadline = self._now + LINGER_SECONDS
        self._want(connection, READ)

    def _discard(self, connection: Connection) -> None:
        """Read what nobody wants: the rest of a request, or what comes after the last answer."""
        try:
            data = connection.socket.recv(RECEIVE_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(connection)
        elif connection.phase is SKIP:
            connection.skipped += len(data)
            connection.take(data)
            self._go_on_skipping(connection)
        else:
            connection.deadline = min(self._now + LINGER_SECONDS, connection.since + LINGER_MOST_SECONDS)

    def _abort(self, connection: Connection, version: str) -> None:
        """Close so that the client sees that the response is incomplete."""
        if version == HTTP_1_0:
            # Its responses may end with the connection.
            connection.will_reset()
        self._close(connection)

    def _close(self, connection: Connection) -> None:
        if connection.interest or self._unpolled:
            self._want(connection, 0)
        self._connections.pop(connection.fd, None)
        connection.close()

    @property
    def is_empty(self) -> bool:
        """Whether all connections are closed, and so no thread is inside the application."""
        return not self._connections
