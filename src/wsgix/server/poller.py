"""Which file descriptors are ready: epoll where there is one, `selectors` elsewhere.

Used by the leader alone; only `wake` may be called from any thread.
"""

import contextlib
import select
import selectors
import socket
import time
from typing import Final, Protocol

READ: Final = 1
WRITE: Final = 4
"""epoll's EPOLLIN and EPOLLOUT. Other bits that `poll` reports are errors and hang-ups."""

_LONGEST_WAIT: Final = 86400.0
"""Seconds at a time: systems count milliseconds in 31 bits, and large content earns its client much time."""


class Poller(Protocol):
    """What the loop needs of a multiplexer. Level-triggered."""

    def register(self, fd: int, events: int, /) -> None: ...
    def modify(self, fd: int, events: int, /) -> None: ...
    def unregister(self, fd: int, /) -> None: ...
    def poll(self, timeout: float | None = None, /) -> list[tuple[int, int]]:
        """Wait at most *timeout* seconds (None: for ever) for ready descriptors."""

    def close(self) -> None: ...


class SelectorPoller:
    """A `Poller` over what this platform has: kqueue, poll or select."""

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        self._selector = selector or selectors.DefaultSelector()

    def register(self, fd: int, events: int, /) -> None:
        self._selector.register(fd, _to_selector(events))

    def modify(self, fd: int, events: int, /) -> None:
        self._selector.modify(fd, _to_selector(events))

    def unregister(self, fd: int, /) -> None:
        self._selector.unregister(fd)

    def close(self) -> None:
        self._selector.close()

    def poll(self, timeout: float | None = None, /) -> list[tuple[int, int]]:
        return [(key.fd, _from_selector(events)) for key, events in self._selector.select(timeout)]


def _from_selector(events: int) -> int:
    return (READ if events & selectors.EVENT_READ else 0) | (WRITE if events & selectors.EVENT_WRITE else 0)


def _to_selector(events: int) -> int:
    return (selectors.EVENT_READ if events & READ else 0) | (selectors.EVENT_WRITE if events & WRITE else 0)


def make_poller() -> Poller:
    """Return the cheapest poller of this platform."""
    if hasattr(select, "epoll"):
        return select.epoll()
    return SelectorPoller()


def wait_writable(fd: int, seconds: float) -> bool:
    """Wait until *fd* takes bytes again; False if that lasts longer. On any thread."""
    return _wait(fd, selectors.EVENT_WRITE, seconds)


def wait_readable(fd: int, seconds: float) -> bool:
    """Wait until *fd* has bytes or an end; False if that lasts longer. On any thread."""
    return _wait(fd, selectors.EVENT_READ, seconds)


def _wait(fd: int, event: int, seconds: float) -> bool:
    # Not DefaultSelector: epoll would cost a descriptor each time.
    with getattr(selectors, "PollSelector", selectors.SelectSelector)() as selector:
        selector.register(fd, event)
        deadline = time.monotonic() + seconds
        while seconds > _LONGEST_WAIT:
            if selector.select(_LONGEST_WAIT):
                return True
            seconds = deadline - time.monotonic()
        return bool(selector.select(max(seconds, 0)))


class Waker:
    """Ends the leader's wait from another thread."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable."""
        return self._reader.fileno()

    def wake(self) -> None:
        """Make the descriptor readable."""
        with contextlib.suppress(OSError):  # it is readable already, or nobody waits any more
            self._writer.send(b"\0")

    @property
    def signal_fd(self) -> int:
        """The descriptor for `signal.set_wakeup_fd`, which writes the number of each signal to it."""
        return self._writer.fileno()

    def clear(self) -> bool:
        """Make the descriptor unreadable again; tell whether a signal was among what had made it readable."""
        try:
            return bool(self._reader.recv(4096).strip(b"\0"))
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Close both ends."""
        self._reader.close()
        self._writer.close()
