"""What the connections of a loop have in common: the settings, the loop's services, what all may know."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from wsgix.server.request_body import Memory
from wsgix.server.settings import Settings
from wsgix.wire.http1 import KnownHeads
from wsgix.wire.limits import Limits

if TYPE_CHECKING:
    from wsgix.server.certificates import Certificates
    from wsgix.server.trust import Trust


TURN: Final = 1 << 22
"""Bytes of a response that one client may take before others get their turn, however fast it takes them."""


class Common:
    """What all connections of a loop share.

    Args:
        settings: the deadlines and the sizes.
        limits: what a request may ask for.
        on_stall: called, on any thread, with a `Connection` whose client does not take what it is sent.
        waiting: calls what waits for the client of a `Connection`, on the thread of an application, which
            others may use meanwhile.
        may_wait: tells whether another thread of an application may wait for a client.
        memory: where content of requests finds room that is more than its buffer.
        trust: which peers are believed about the clients behind them, or None.
        certificates: what TLS begins with, or None where it is not spoken.

    Attributes:
        known_heads: how connections have begun so far.
        most_whole: bytes of content that are taken at once if they have come with their head.
    """

    __slots__ = (
        "certificates",
        "known_heads",
        "limits",
        "may_wait",
        "memory",
        "most_whole",
        "on_stall",
        "settings",
        "trust",
        "waiting",
    )

    def __init__(
        self,
        settings: Settings,
        limits: Limits,
        on_stall: Callable[[Any], object],
        waiting: Callable[[Any, Callable[[], Any]], Any],
        may_wait: Callable[[], bool],
        memory: Memory,
        trust: "Trust | None" = None,
        certificates: "Certificates | None" = None,
    ) -> None:
        self.settings = settings
        self.limits = limits
        self.on_stall = on_stall
        self.waiting = waiting
        self.may_wait = may_wait
        self.memory = memory
        self.trust = trust
        self.certificates = certificates
        self.known_heads = KnownHeads(limits)
        self.most_whole = min(settings.request_buffer, limits.body)
