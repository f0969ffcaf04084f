"""What a connection waits for: a word for each state that the loop tells apart."""

import enum
from typing import Final


class Phase(enum.Enum):
    """What a connection waits for."""

    PROXY = enum.auto()
    """The header in which a proxy tells who the client is."""
    HANDSHAKE = enum.auto()
    """The client's part of the TLS handshake."""
    HEAD = enum.auto()
    """Bytes of a request head; between two requests, too."""
    READY = enum.auto()
    """Its turn: bytes of a request head have arrived, or may have."""
    BODY = enum.auto()
    """Bytes of request content."""
    BUSY = enum.auto()
    """The application."""
    FLUSH = enum.auto()
    """The client to take the response."""
    SKIP = enum.auto()
    """Request content that the application did not read."""
    LINGER = enum.auto()
    """The client to close, so that it reads the answer before the connection is reset."""
    CLOSED = enum.auto()


PROXY: Final = Phase.PROXY
HANDSHAKE: Final = Phase.HANDSHAKE
HEAD: Final = Phase.HEAD
READY: Final = Phase.READY
BODY: Final = Phase.BODY
BUSY: Final = Phase.BUSY
FLUSH: Final = Phase.FLUSH
SKIP: Final = Phase.SKIP
LINGER: Final = Phase.LINGER
CLOSED: Final = Phase.CLOSED
