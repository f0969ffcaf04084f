"""What wsgix promises itself, one row a target, and whether results hold it. Pure: nothing is run here."""

import enum
from collections.abc import Sequence
from typing import Final, NamedTuple

from side_by_side.peers import GTHREAD, IN_C, OURS, OURS_LOGGING, RIVALS, THREADS
from side_by_side.results import Results
from side_by_side.workloads import WORKLOADS, Kind


class Verdict(enum.Enum):
    """Whether a target is met."""

    HOLDS = "holds"
    MISSED = "missed"
    UNKNOWN = "not measured"


class Target(NamedTuple):
    """One promise about `measure` in `workload`.

    Attributes:
        limit: what it must not exceed, or must at least be if `at_least`.
        against: the best of these peers divides it; empty: the number counts as it is.
        beyond: this peer's number is taken off it first (for "costs under").
        peer: whose number it is.
    """

    title: str
    workload: str
    limit: float
    against: Sequence[str] = ()
    measure: str = "cpu_us"
    unit: str = ""
    at_least: bool = False
    beyond: str = ""
    peer: str = OURS


class Reading(NamedTuple):
    """A target and what was measured for it."""

    target: Target
    value: float | None
    verdict: Verdict
    note: str = ""


def _ratios(names: Sequence[str], limit: float) -> list[Target]:
    return [Target(f"{name}: CPU to the best in C", name, limit, IN_C) for name in names]


# An eighth is not asked for where the application, not the server, uses the time, by its definition.
NO_EIGHTH: Final = ("sleep", "spin")
BY_CPU: Final = tuple(
    workload.name
    for workload in WORKLOADS
    if workload.kind is Kind.CLOSED_LOOP and not workload.peers and workload.name not in NO_EIGHTH
)
NAP_RATE: Final = THREADS / 0.010  # requests per second, at best

TARGETS: Final = (
    *_ratios(("browser", "post_1k", "post_1k_chunked"), 1.0),
    *_ratios(("tiny_get", "connection_per_request", "many_connections"), 1.1),
    *_ratios(("browser_varied", "post_64k", "post_64k_chunked", "post_1m"), 1.25),
    Target("file: CPU to the best of all peers", "file", 1.0, RIVALS),
    Target("generator: CPU to the best of all peers", "generator", 1.0, RIVALS),
    *(Target(f"{name}: CPU to gunicorn gthread", name, 1 / 8, (GTHREAD,)) for name in BY_CPU),
    Target("sleep: requests/s", "sleep", 0.95 * NAP_RATE, measure="requests_per_second", at_least=True),
    Target("mixed: p99 of the fast requests", "mixed", 20.0, measure="p99_ms", unit="ms"),
    # "As without": a fifth is what two runs of the same server differ by.
    Target("mixed: p50 of the fast requests to that without slow ones", "mixed", 1.2, measure="p50_ratio"),
    Target("the access log, per request", "access_log", 1.5, unit="us", beyond=OURS, peer=OURS_LOGGING),
    Target("hello: RSS", "start", 22.0, measure="rss_mib", unit="MiB"),
    Target("first response after start", "start", 150.0, measure="first_response_ms", unit="ms"),
    Target("10,000 idle connections: held", "idle", 10_000, measure="held", at_least=True),
    Target("10,000 idle connections: RSS each", "idle", 4096, measure="bytes_per_connection", unit="B"),
    Target("10,000 idle connections: a new request", "idle", 5.0, measure="new_request_ms", unit="ms"),
)


def read(target: Target, results: Results) -> Reading:
    """Find the value of *target* in *results* and judge it."""
    outcome = results.outcome(target.workload, target.peer)
    value: float | None = results.number(target.workload, target.peer, target.measure)
    note = outcome.fault
    if target.against:
        rival, _ = results.best(target.workload, target.against, target.measure)
        value = results.ratio(target.workload, target.peer, target.against, target.measure)
        note = note or (f"to {rival}" if rival else "no peer to compare with")
    if target.beyond:
        base = results.number(target.workload, target.beyond, target.measure)
        value = None if value is None or base is None else value - base
    if value is None:
        return Reading(target, None, Verdict.UNKNOWN, note)
    good = value >= target.limit if target.at_least else value <= target.limit
    return Reading(target, value, Verdict.HOLDS if good else Verdict.MISSED, note)


def read_all(results: Results) -> list[Reading]:
    """Judge every target whose workload was run."""
    return [read(target, results) for target in TARGETS if target.workload in results.workloads]
