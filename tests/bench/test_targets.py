"""Targets are judged as they are written."""

import pytest
from side_by_side.results import Outcome, Results
from side_by_side.targets import TARGETS, Target, Verdict, read, read_all
from side_by_side.workloads import WORKLOADS

PEERS = {
    "wsgix": {"cpu_us": 11.0, "requests_per_second": 790.0},
    "wsgix-access-log": {"cpu_us": 12.25},
    "bjoern": {"cpu_us": 10.0},
}
RESULTS = Results(workloads={"w": {peer: Outcome([sample]) for peer, sample in PEERS.items()}})


@pytest.mark.parametrize(
    ("target", "value", "verdict"),
    [
        (Target("", "w", 1.1, ("bjoern",)), 1.1, Verdict.HOLDS),
        (Target("", "w", 1.0, ("bjoern",)), 1.1, Verdict.MISSED),
        (Target("", "w", 1.0, ("fastwsgi",)), None, Verdict.UNKNOWN),
        (Target("", "w", 20.0), 11.0, Verdict.HOLDS),
        (Target("", "w", 760.0, measure="requests_per_second", at_least=True), 790.0, Verdict.HOLDS),
        (Target("", "w", 800.0, measure="requests_per_second", at_least=True), 790.0, Verdict.MISSED),
        (Target("", "w", 1.5, beyond="wsgix", peer="wsgix-access-log"), 1.25, Verdict.HOLDS),
        (Target("", "w", 1.5, beyond="nginx", peer="wsgix-access-log"), None, Verdict.UNKNOWN),
        (Target("", "w", 1.5, measure="p99_ms"), None, Verdict.UNKNOWN),
    ],
)
def test_a_target_is_read_and_judged(target, value, verdict):
    reading = read(target, RESULTS)
    assert (reading.value, reading.verdict) == (value, verdict)


def test_a_fault_of_ours_is_no_success_and_is_told():
    results = Results(workloads={"w": {"wsgix": Outcome([{"cpu_us": 1.0}], "3 read errors")}})
    reading = read(Target("", "w", 2.0), results)
    assert (reading.verdict, reading.note) == (Verdict.UNKNOWN, "3 read errors")


def test_only_what_was_run_is_judged():
    assert read_all(RESULTS) == []
    run = Results(workloads={"sleep": {}})
    assert {reading.target.workload for reading in read_all(run)} == {"sleep"}


def test_every_target_is_about_a_workload_that_exists():
    assert {target.workload for target in TARGETS} <= {workload.name for workload in WORKLOADS}
