"""What was measured, as it is kept in JSON, and the numbers that are drawn from it. Nothing is run here.

A number is the median of a peer's rounds. A peer with a fault in a workload is shown but never compared with.
"""

import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

Sample = dict[str, float]


@dataclass
class Outcome:
    """One peer in one workload: a sample a round, and what was wrong, if anything.

    Attributes:
        rounds: measure -> number, for each round.
        fault: why there are no numbers, or why they must not be trusted; empty when all is well.
    """

    rounds: list[Sample] = field(default_factory=list)
    fault: str = ""

    def number(self, measure: str) -> float | None:
        """Take the median of *measure*; None where no round has it."""
        values = [sample[measure] for sample in self.rounds if measure in sample]
        return statistics.median(values) if values else None

    def spread(self, measure: str) -> float | None:
        """Tell by which part of the median the rounds differ at most."""
        values = [sample[measure] for sample in self.rounds if measure in sample]
        middle = statistics.median(values) if values else 0
        return (max(values) - min(values)) / middle if middle else None


@dataclass
class Results:
    """One run of the benchmark.

    Attributes:
        machine: what it ran on: term -> description.
        versions: peer -> version.
        absent: peer -> why it could not be installed.
        workloads: workload -> peer -> outcome.
    """

    machine: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    workloads: dict[str, dict[str, Outcome]] = field(default_factory=dict)

    def outcome(self, workload: str, peer: str) -> Outcome:
        """Get the outcome, an empty one if there is none."""
        return self.workloads.get(workload, {}).get(peer) or Outcome()

    def number(self, workload: str, peer: str, measure: str = "cpu_us") -> float | None:
        """Get a number that may be compared: None where it is missing or the peer had a fault."""
        outcome = self.outcome(workload, peer)
        return None if outcome.fault else outcome.number(measure)

    def best(
        self, workload: str, peers: Iterable[str], measure: str = "cpu_us"
    ) -> tuple[str, float] | tuple[None, None]:
        """Find the peer with the lowest number."""
        numbers = {peer: self.number(workload, peer, measure) for peer in peers}
        known = {peer: number for peer, number in numbers.items() if number is not None}
        if not known:
            return None, None
        peer = min(known, key=known.__getitem__)
        return peer, known[peer]

    def ratio(self, workload: str, peer: str, others: Iterable[str], measure: str = "cpu_us") -> float | None:
        """Divide the number of *peer* by the lowest one of *others*."""
        own = self.number(workload, peer, measure)
        _, best = self.best(workload, others, measure)
        return own / best if own is not None and best else None

    def to_json(self) -> str:
        """Format for keeping."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        data = json.loads(text)
        return cls(**{**data, "workloads": _outcomes(data["workloads"])})


def _outcomes(workloads: Mapping[str, Mapping[str, dict[str, object]]]) -> dict[str, dict[str, Outcome]]:
    return {
        workload: {peer: Outcome(**outcome) for peer, outcome in peers.items()}  # type: ignore[arg-type]
        for workload, peers in workloads.items()
    }


def load(path: Path) -> Results:
    """Read results from a file."""
    return Results.from_json(path.read_text(encoding="utf-8"))
