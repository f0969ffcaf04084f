"""What the leader does with a connection before its first request: accept, PROXY header, TLS handshake.

Also when no more are let in: too many, too few descriptors, the end. All methods run on the thread that has
the lead.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from wsgix.core.exchange import Environ
from wsgix.facts.refusals import PLAIN_HTTP, Refusal
from wsgix.server.connection import Connection
from wsgix.server.departures import Departures
from wsgix.server.handshake import Handshake
from wsgix.server.listeners import Listener
from wsgix.server.phase import HANDSHAKE, HEAD, PROXY, READY
from wsgix.server.poller import READ, WRITE
from wsgix.server.settings import Settings
from wsgix.server.shared import Common
from wsgix.server.sure_log import log
from wsgix.wire.http1 import NEED_MORE

if TYPE_CHECKING:
    from wsgix.server.access_log import AccessLog
    from wsgix.server.proxied import ProxyHeaderReceiver
    from wsgix.server.tls import TLSSocket

PAUSE_SECONDS: Final = 1.0
"""Between attempts to accept while descriptors are short."""
_ACCEPTS: Final = 64
"""Connections taken from a listener before others get their turn."""
_LONGEST_BACKLOG: Final = 65536
"""Connections taken from a listener that is closed next: as many as may wait there, and an end to a flood."""

_SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Of descriptors or memory: `accept` fails at once, and would fail again at once."""

_SHUT_DOWN: Final = frozenset({errno.EINVAL, errno.EBADF, errno.ENOTSOCK})
"""The socket listens no more: whoever shares it has shut it down, or something here has closed it."""

_MOST_RESERVED: Final = 256
"""An eighth of the descriptors that the process may have is the application's, but no more than this."""

_CANNOT_ACCEPT: Final = "cannot accept connections"


def _last_descriptor() -> int:
    """Return the last descriptor that is for connections; the system gives the lowest number that is free."""
    try:
        import resource
    except ImportError:  # there is no such limit
        return sys.maxsize
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return sys.maxsize
    return limit - 1 - min(limit // 8, _MOST_RESERVED)


class Arrivals(Departures):
    """Listeners, and what happens to connections up to their first request."""

    _common: Common

    def __init__(
        self,
        templates: Sequence[tuple[Listener, Environ]],
        settings: Settings,
        access_log: "AccessLog | None",
    ) -> None:
        super().__init__(settings, access_log)
        self._listeners = {listener.socket.fileno(): (listener, template) for listener, template in templates}
        self._receivers: dict[Connection, ProxyHeaderReceiver] = {}
        # Whose PROXY header has come.
        self._introduced: set[Connection] = set()
        self._accepting = True
        self._resume_accepting = 0.0
        self._last_descriptor = _last_descriptor()
        for fd in self._listeners:
            self._poller.register(fd, READ)

    def _accept(self, listener: Listener, template: Environ, most: int = _ACCEPTS) -> None:
        common = self._common
        begins_with_request = common.trust is None and common.certificates is None
        deadline = self._now + self._settings.head_timeout
        for _ in range(most):
            try:
                accepted, client = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _SHORTAGES:
                    self._pause(error)
                elif error.errno in _SHUT_DOWN:
                    self._lose(listener, error)
                # Otherwise the client is gone already: the next one waits for the next poll.
                return
            accepted.setblocking(False)
            if listener.is_delaying:
                listener.set_no_delay(accepted)
            connection = Connection(accepted, client, template, common)
            connection.deadline = deadline
            self._connections[connection.fd] = connection
            if begins_with_request:
                self._expect_request(connection)
            else:
                self._open(connection, client)
            if connection.fd >= self._last_descriptor:
                self._pause(OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
                return
            if len(self._connections) >= self._settings.limit_connections:
                self._listen(False)
                self._resume_accepting = self._now
                return

    def _open(self, connection: Connection, client: Any) -> None:
        """Begin with what comes before the first request: a PROXY header, a TLS handshake, or nothing."""
        trust = self._common.trust
        receiver = trust.receiver(client) if trust is not None else None
        if receiver is not None:
            connection.phase = PROXY
            self._receivers[connection] = receiver
            self._want(connection, READ)
        else:
            self._begin_tls(connection)

    def _begin_tls(self, connection: Connection) -> None:
        certificates = self._common.certificates
        if certificates is None:
            self._expect_request(connection)
        else:
            self._want(connection, READ)
            try:
                connection.begin_tls(certificates)
            except (OSError, MemoryError):
                # Of OpenSSL or Python. What is left open would be served without TLS.
                self._warn("cannot begin TLS", OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)))
                self._close(connection)
                return
            connection.phase = HANDSHAKE
            connection.deadline = self._now + self._settings.handshake_timeout

    def _expect_request(self, connection: Connection) -> None:
        # The first one may be there already: it is polled for only if it is not, or if others follow.
        connection.phase = READY
        self._ready.append(connection)

    def _read_proxy_header(self, connection: Connection) -> None:
        try:
            header = self._receivers[connection].receive(connection.socket)
        except BlockingIOError:
            return
        except OSError:
            self._close(connection)
            return
        if header is NEED_MORE:
            return
        del self._receivers[connection]
        if isinstance(header, Refusal):
            self._refuse(connection, header)
            return
        self._introduced.add(connection)
        connection.accept_proxy_header(header)
        self._begin_tls(connection)
        # Bytes behind the header may have arrived with it.
        if connection.phase is HANDSHAKE:
            self._shake_hands(connection)

    def _shake_hands(self, connection: Connection) -> None:
        tls: TLSSocket = connection.socket  # type: ignore[assignment]  # begin_tls put it there
        try:
            state = tls.handshake()
        except OSError:
            self._close(connection)
            return
        if state is Handshake.WANT_READ:
            self._want(connection, READ)
        elif state is Handshake.WANT_WRITE:
            self._want(connection, WRITE)
        elif state is Handshake.PLAIN:
            connection.socket = tls.raw
            self._refuse(connection, PLAIN_HTTP)
        elif state is Handshake.FAILED:
            log.info("no TLS handshake with %s: %s", connection.name, tls.fault)
            # A reset would take the alert from the client.
            connection.socket = tls.raw
            self._linger(connection)
        else:
            try:
                variables = tls.variables()
            except ValueError as error:
                log.info("no TLS handshake with %s: %s", connection.name, error)
                self._linger(connection)
                return
            connection.end_handshake(variables)
            connection.deadline = self._now + self._settings.head_timeout
            self._want(connection, READ)
            self._expect_request(connection)

    def _is_arriving(self, connection: Connection) -> bool:
        """Tell whether the client has begun what comes before its first request, which is still to come."""
        if connection.served:
            return False
        if connection.phase is PROXY:
            return self._receivers[connection].has_begun
        if connection in self._introduced:
            return True
        return not connection.is_plain and connection.socket.has_begun  # type: ignore[attr-defined]  # a TLSSocket

    # Whether there is room for more

    def _pause(self, error: OSError) -> None:
        """Accept nothing for a while, and part with idle clients: they can come again."""
        self._warn(_CANNOT_ACCEPT, error)
        self._listen(False)
        self._resume_accepting = self._now + PAUSE_SECONDS
        with self._waiting_lock:
            for connection in [*self._connections.values()]:
                is_idle = connection.phase is HEAD and connection.is_between_requests
                # What has arrived since the last poll may be its next request.
                if connection.served and is_idle and not connection.has_unread:
                    self._close(connection)

    def _lose(self, listener: Listener, error: OSError) -> None:
        """Go on without *listener*, which would be ready for ever; without any, stop."""
        log.error("no further connections at %s: %s", listener.url, error.strerror)
        # Its socket may know the number no longer.
        fd = next(fd for fd, (each, _) in self._listeners.items() if each is listener)
        del self._listeners[fd]
        if self._accepting:
            with contextlib.suppress(OSError):
                self._poller.unregister(fd)
        listener.close()
        if not self._listeners:
            self._stopping = True

    def _go_on_accepting(self) -> None:
        """Accept again after a pause, if it is over and there is room."""
        has_room = len(self._connections) < self._settings.limit_connections
        if not self._accepting and has_room and not self._stopping and self._now >= self._resume_accepting:
            self._listen(True)

    def _listen(self, wanted: bool) -> None:
        """Poll the listeners, or do not; a sweep tries again if the system has no room for all of them."""
        if self._accepting == wanted:
            return
        polled: list[int] = []
        if wanted:
            try:
                for fd in self._listeners:
                    self._poller.register(fd, READ)
                    polled.append(fd)
            except OSError as error:
                self._warn(_CANNOT_ACCEPT, error)
                self._resume_accepting = self._now + PAUSE_SECONDS
                wanted = False
        else:
            polled += self._listeners
        if not wanted:
            for fd in polled:
                self._poller.unregister(fd)
        self._accepting = wanted

    def _stop_accepting(self) -> None:
        """Let in who waits in the backlog, whom the system has let in already, and close the listeners."""
        for listener, template in [*self._listeners.values()]:
            if len(self._connections) < self._settings.limit_connections:
                self._accept(listener, template, _LONGEST_BACKLOG)
        self._listen(False)
        while self._listeners:
            self._listeners.popitem()[1][0].close()

    def _close(self, connection: Connection) -> None:
        super()._close(connection)
        if self._receivers:
            self._receivers.pop(connection, None)
        if self._introduced:
            self._introduced.discard(connection)
        if not self._accepting:
            self._resume_accepting = self._now  # there is room for another
            self._go_on_accepting()
