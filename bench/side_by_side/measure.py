"""Takes the samples: what is done to a server, and what that cost it.

Within a workload all servers run, idle, on one CPU, and are measured in turn, round after round, from
another. What is wrong with one of them is written down as its fault and the others go on.
"""

import gc
import socket
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from side_by_side.contestants import Contestant, Plan, Unfit, enter, launch, right_answer, wait_for_greeting
from side_by_side.load import LoadError, run_wrk
from side_by_side.machine import without_paths
from side_by_side.paced import percentile, run_paced
from side_by_side.peers import FLOOR, OURS_LOGGING, Peer
from side_by_side.probe import BadAnswer, Ending, ask, connect
from side_by_side.process import wait_until_quiet
from side_by_side.results import Outcome, Sample
from side_by_side.workloads import IDLE_CONNECTIONS, PACED_RATE, SLOW_EVERY, STARTS, Kind, Workload

WARM_UP_SECONDS: Final = 1
IDLE_OPENING_SECONDS: Final = 60.0
NEW_REQUESTS: Final = 20
MIB: Final = 1024 * 1024
# What the heads of answers may differ by, in bytes: `Connection: close` and the like.
HEAD_TOLERANCE: Final = 64


class _Doubtful(Exception):
    """There is a sample, but something went wrong while it was taken."""

    def __init__(self, message: str, sample: Sample) -> None:
        super().__init__(message)
        self.sample = sample


def measure(workload: Workload, peers: Sequence[Peer], plan: Plan) -> dict[str, Outcome]:
    """Measure *peers* in one workload; those that it is not meant for are left out."""
    fit = [peer for peer in peers if takes_part(peer, workload)]
    outcomes = {peer.name: Outcome() for peer in fit}
    if workload.kind in ALONE:
        for peer in fit:
            with _noting_faults(outcomes[peer.name]):
                outcomes[peer.name].rounds += ALONE[workload.kind](peer, workload, plan)
        return outcomes

    request = plan.scratch / "request"
    request.write_bytes(workload.request)
    with ExitStack() as stack:
        contestants = []
        for peer in fit:
            with _noting_faults(outcomes[peer.name]):
                contestants.append(enter(peer, workload, plan, stack))
        for contestant in contestants:
            with _noting_faults(outcomes[contestant.peer.name]):
                run_wrk(request, contestant.port, workload.tls, workload.connections, WARM_UP_SECONDS)
                wait_until_quiet(contestant.server)
        for number in range(plan.rounds * workload.turns):
            # Back and forth, so that no server is always measured behind the same one.
            for contestant in contestants if number % 2 == 0 else reversed(contestants):
                outcome = outcomes[contestant.peer.name]
                with _noting_faults(outcome):
                    outcome.rounds.append(IN_TURN[workload.kind](contestant, workload, request, plan))
    return outcomes


def takes_part(peer: Peer, workload: Workload) -> bool:
    """Tell whether a workload is meant for a peer at all."""
    if workload.peers:
        return peer.name in workload.peers
    if workload.tls and peer.tls is None:
        return False
    if peer.name == FLOOR:
        return workload.application in peer.applications and workload.kind is Kind.CLOSED_LOOP
    return peer.name != OURS_LOGGING


@contextmanager
def _noting_faults(outcome: Outcome) -> Iterator[None]:
    """Turn what goes wrong inside the block into the fault of *outcome*."""
    try:
        yield
    except _Doubtful as doubt:
        outcome.rounds.append(doubt.sample)
        outcome.fault = without_paths(str(doubt))
    except (Unfit, LoadError, BadAnswer, OSError) as fault:
        outcome.fault = without_paths(str(fault) or type(fault).__name__)


def _sample_closed_loop(contestant: Contestant, workload: Workload, request: Path, plan: Plan) -> Sample:
    server = contestant.server
    if not server.alive:
        raise Unfit(f"it has ended: {server.last_words()}")
    before = server.cpu_seconds()
    load = run_wrk(request, contestant.port, workload.tls, workload.connections, plan.seconds)
    used = server.cpu_seconds() - before  # at once: what is answered from now on is not counted either
    memory = server.memory()
    wait_until_quiet(server)
    if not load.requests:
        raise Unfit(f"no request was answered ({load.faults or 'without an error'})")
    sample = {
        "cpu_us": used / load.requests * 1e6,
        "requests_per_second": load.requests / load.seconds,
        "p50_ms": load.p50_us / 1000,
        "p99_ms": load.p99_us / 1000,
        "rss_mib": memory.total / MIB,
    }
    # What was on its way when the time was over is counted in bytes, but not as requests.
    size = contestant.answer.size
    excess = load.bytes - load.requests * size
    tolerance = load.requests * HEAD_TOLERANCE
    if not -tolerance <= excess <= tolerance + workload.connections * size:
        raise _Doubtful(f"{load.bytes / load.requests:.0f} bytes an answer, not {size}", sample)
    if contestant.answer.ended is Ending.BY_CLOSE:
        load = load._replace(read=0)  # wrk counts an error for each body that ends with its connection
    if load.faults:
        raise _Doubtful(f"wrk counted errors: {load.faults}, among {load.requests} requests", sample)
    right_answer(contestant.port, workload)
    return sample


def _sample_paced(contestant: Contestant, workload: Workload, request: Path, plan: Plan) -> Sample:
    """Measure without slow requests, then with them; the CPU counted is that of the latter."""
    server = contestant.server
    if not server.alive:
        raise Unfit(f"it has ended: {server.last_words()}")
    without = run_paced(contestant.port, plan.seconds, PACED_RATE, None)
    wait_until_quiet(server)
    before = server.cpu_seconds()
    mixed = run_paced(contestant.port, plan.seconds, PACED_RATE, SLOW_EVERY)
    used = server.cpu_seconds() - before
    memory = server.memory()
    wait_until_quiet(server, 10.0)
    if not mixed.fast or not without.fast or not mixed.answered:
        raise Unfit("no request was answered")
    p50, p50_without = percentile(mixed.fast, 50), percentile(without.fast, 50)
    sample = {
        "cpu_us": used / mixed.answered * 1e6,
        "requests_per_second": mixed.answered / plan.seconds,
        "p50_ms": p50 * 1000,
        "p99_ms": percentile(mixed.fast, 99) * 1000,
        "p50_without_ms": p50_without * 1000,
        "p50_ratio": p50 / p50_without,
        "unanswered": float(mixed.unanswered),
        "rss_mib": memory.total / MIB,
    }
    if mixed.failed or without.failed:
        raise _Doubtful(f"{mixed.failed + without.failed} requests failed", sample)
    return sample


def _measure_start(peer: Peer, workload: Workload, plan: Plan) -> list[Sample]:
    """Start a process several times; the first time only fills caches."""
    samples = []
    for number in range(STARTS + 1):
        with ExitStack() as stack:
            begin = time.perf_counter()
            server, port = launch(peer, workload, plan, stack)
            wait_for_greeting(server, port, workload.tls)
            elapsed = time.perf_counter() - begin
            wait_until_quiet(server)
            memory = server.memory()
        if number:
            samples.append(
                {
                    "first_response_ms": elapsed * 1000,
                    "rss_mib": memory.largest / MIB,
                    "rss_all_mib": memory.total / MIB,
                }
            )
    return samples


def _measure_idle(peer: Peer, workload: Workload, plan: Plan) -> list[Sample]:
    """Open many connections, make a request on each, leave them idle; then weigh and make new requests."""
    connections: list[socket.socket] = []
    gc.disable()
    try:
        with ExitStack() as stack:
            contestant = enter(peer, workload, plan, stack)
            before = contestant.server.memory().total
            fault = _open_idle(contestant, workload, connections)
            wait_until_quiet(contestant.server, 10.0)
            after = contestant.server.memory().total
            held = sum(map(_is_open, connections))
            sample = {"held": float(held), "rss_mib": after / MIB}
            if held:
                sample["bytes_per_connection"] = (after - before) / held
            if held < IDLE_CONNECTIONS:
                raise _Doubtful(f"it holds {held} connections{f': {fault}' if fault else ''}", sample)
            times = [_time_new_request(contestant, workload) for _ in range(NEW_REQUESTS)]
            sample["new_request_ms"] = max(times) * 1000
            sample["new_request_p50_ms"] = statistics.median(times) * 1000
            return [sample]
    finally:
        gc.enable()
        for connection in connections:
            connection.close()


def _open_idle(contestant: Contestant, workload: Workload, connections: list[socket.socket]) -> str:
    """Open connections until there are enough, or say why there are not."""
    deadline = time.monotonic() + IDLE_OPENING_SECONDS
    while len(connections) < IDLE_CONNECTIONS:
        if time.monotonic() > deadline:
            return f"it took longer than {IDLE_OPENING_SECONDS:.0f} s"
        try:
            connection = connect(contestant.port)
            connections.append(connection)
            answer = ask(connection, workload.request)
        except (BadAnswer, OSError) as fault:
            return f"connection {len(connections)}: {fault}"
        if not answer.keep_alive:
            return "it closes connections after each answer"
    return ""


def _is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def _time_new_request(contestant: Contestant, workload: Workload) -> float:
    begin = time.perf_counter()
    with connect(contestant.port) as connection:
        ask(connection, workload.request)
        return time.perf_counter() - begin


IN_TURN: Final[dict[Kind, Callable[[Contestant, Workload, Path, Plan], Sample]]] = {
    Kind.CLOSED_LOOP: _sample_closed_loop,
    Kind.PACED: _sample_paced,
}
ALONE: Final[dict[Kind, Callable[[Peer, Workload, Plan], list[Sample]]]] = {
    Kind.START: _measure_start,
    Kind.IDLE: _measure_idle,
}
