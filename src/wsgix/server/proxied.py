"""Receives the PROXY header of an accepted connection, and not one byte more: TLS or HTTP begins behind it.

The loop makes a receiver where a listener speaks the PROXY protocol and the peer is trusted to; it calls
`receive` whenever the connection is readable, until the header is there.
"""

import socket

from wsgix.wire.http1 import NEED_MORE
from wsgix.wire.proxy_protocol import MAXIMUM_SIZE, ProxyHeader, ProxyVersion, Result, read_proxy_header


class ProxyHeaderReceiver:
    """Holds what has arrived of one connection's PROXY header of one of the *versions*."""

    __slots__ = ("_held", "_versions")

    def __init__(self, versions: ProxyVersion) -> None:
        self._held = b""
        self._versions = versions

    @property
    def has_begun(self) -> bool:
        """Whether a part of the header has arrived."""
        return bool(self._held)

    def receive(self, accepted: socket.SocketType) -> Result:
        """Take what has arrived of the header off the socket.

        Runs on the leader. After a refusal, what arrived last is still in the socket.

        Returns:
            The header; or `NEED_MORE`; or the refusal.

        Raises:
            BlockingIOError: nothing has arrived.
            OSError: the peer is gone, or has ended its side before the header was whole.
        """
        held = self._held
        # What is looked at stays in the socket: only now is it known how much of it is the header's.
        arrived = accepted.recv(MAXIMUM_SIZE - len(held), socket.MSG_PEEK)
        if not arrived:
            raise ConnectionAbortedError("the peer ended the connection before its PROXY header was whole")
        result = read_proxy_header(held + arrived, 0, self._versions)
        if result is NEED_MORE:
            # Taken off, or the poller would report it again and again.
            self._held = held + accepted.recv(len(arrived))
        elif isinstance(result, ProxyHeader):
            accepted.recv(result.end - len(held))
        return result
