"""What a TLS handshake comes to. It stands apart from `tls` so that a server without TLS never loads `ssl`,
which costs milliseconds and megabytes. The loop reads it.
"""

import enum


class Handshake(enum.Enum):
    """The state of a handshake, as `tls.TLSSocket.handshake` finds it."""

    WANT_READ = enum.auto()
    """The client is to send more."""
    WANT_WRITE = enum.auto()
    """The client is to take what was sent."""
    DONE = enum.auto()
    """Both sides may send; the first request may have arrived already."""
    PLAIN = enum.auto()
    """The client does not speak TLS: it began with a letter, as requests do."""
    FAILED = enum.auto()
    """The two sides found no agreement, and the client was sent an alert."""
