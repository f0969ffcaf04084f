"""A load generator with a fixed rate, which tells slow requests from fast ones. Plain sockets only.

A request is due at its time whether or not earlier ones were answered, and its latency counts from then: a
server that falls behind cannot hide it (no coordinated omission). The generator spins on a CPU of its own.
"""

import select
import socket
import time
from collections import deque
from typing import Final, NamedTuple

from side_by_side.probe import connect
from side_by_side.workloads import get

CONNECTIONS: Final = 128
GRACE_SECONDS: Final = 1.0

FAST: Final = get()
SLOW: Final = get(b"/slow")


class Paced(NamedTuple):
    """The result of one run: seconds that each fast request took, in rising order, and counts."""

    fast: list[float]
    answered: int
    failed: int
    unanswered: int


class _Pending(NamedTuple):
    due: float
    slow: bool


def run_paced(port: int, seconds: float, rate: int, slow_every: int | None) -> Paced:
    """Send *rate* requests per second; each *slow_every*-th asks for `/slow` (None: none does).

    A request that has no answer one second after the end counts with the time that it has waited by then.
    """
    poller = select.epoll()
    connections: dict[int, socket.socket] = {}
    idle: deque[int] = deque()
    busy: dict[int, _Pending] = {}
    received: dict[int, bytes] = {}
    waiting: deque[_Pending] = deque()
    fast: list[float] = []
    answered = failed = sent = 0

    def take() -> int | None:
        """Find a connection for the next request; open one only then: some servers serve one at a time."""
        if idle:
            return idle.popleft()
        if len(connections) == CONNECTIONS:
            return None
        connection = connect(port)
        connection.setblocking(False)
        connections[connection.fileno()] = connection
        poller.register(connection.fileno(), select.EPOLLIN)
        return connection.fileno()

    def drop(descriptor: int) -> None:
        poller.unregister(descriptor)
        connections.pop(descriptor).close()
        received.pop(descriptor, None)
        if descriptor in idle:
            idle.remove(descriptor)

    try:
        start = time.perf_counter()
        end = start + seconds
        total = int(seconds * rate)
        while (now := time.perf_counter()) < end + GRACE_SECONDS and (sent < total or waiting or busy):
            while sent < total and start + sent / rate <= now:
                slow = slow_every is not None and sent % slow_every == slow_every - 1
                waiting.append(_Pending(start + sent / rate, slow))
                sent += 1
            while waiting and (descriptor := take()) is not None:
                busy[descriptor] = pending = waiting.popleft()
                try:
                    connections[descriptor].send(SLOW if pending.slow else FAST)
                except OSError:
                    # Closed while it was idle, as a server may: the request goes to another connection.
                    waiting.appendleft(busy.pop(descriptor))
                    drop(descriptor)
            for descriptor, _event in poller.poll(0):
                try:
                    block = connections[descriptor].recv(65536)
                except OSError:
                    block = b""
                text = received.pop(descriptor, b"") + block
                if block and not _is_whole(text):
                    received[descriptor] = text
                    continue
                if block and descriptor in busy:
                    pending = busy.pop(descriptor)
                    answered += 1
                    failed += not text.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200"))
                    if not pending.slow:
                        fast.append(time.perf_counter() - pending.due)
                elif descriptor in busy:
                    busy.pop(descriptor)
                    failed += 1
                if block and _persists(text):
                    idle.append(descriptor)
                else:
                    drop(descriptor)
        stop = time.perf_counter()
        late = [*busy.values(), *waiting]
        fast += [stop - pending.due for pending in late if not pending.slow]
        return Paced(sorted(fast), answered, failed, len(late))
    finally:
        for connection in connections.values():
            connection.close()
        poller.close()


def _is_whole(text: bytes) -> bool:
    """Tell whether *text* is a whole response; the application always gives its length."""
    head, end, body = text.partition(b"\r\n\r\n")
    if not end:
        return False
    _, name, rest = head.lower().partition(b"\r\ncontent-length:")
    return not name or len(body) >= int(rest.partition(b"\r\n")[0])


def _persists(text: bytes) -> bool:
    head = text.partition(b"\r\n\r\n")[0].lower()
    return head.startswith(b"http/1.1") and b"\r\nconnection: close" not in head


def percentile(values: list[float], percent: float) -> float:
    """Take the value below which *percent* of the rising *values* lie."""
    return values[min(len(values) - 1, int(len(values) * percent / 100))] if values else float("nan")
