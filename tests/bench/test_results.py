"""Numbers are drawn from samples as the page says."""

from side_by_side.results import Outcome, Results


def results_of(**cpu):
    """Make results of one workload: peer -> CPU time of each round."""
    outcomes = {peer: Outcome([{"cpu_us": value} for value in values]) for peer, values in cpu.items()}
    return Results(workloads={"tiny_get": outcomes})


def test_a_number_is_the_median_of_the_rounds():
    assert Outcome([{"cpu_us": 9.0}, {"cpu_us": 10.0}, {"cpu_us": 50.0}]).number("cpu_us") == 10.0


def test_a_measure_that_no_round_has_is_no_number():
    assert Outcome([{"cpu_us": 9.0}]).number("p99_ms") is None
    assert Outcome().number("cpu_us") is None


def test_a_ratio_is_to_the_best_of_the_others():
    results = results_of(wsgix=[12.0], bjoern=[10.0], fastwsgi=[16.0])
    assert results.best("tiny_get", ("bjoern", "fastwsgi")) == ("bjoern", 10.0)
    assert results.ratio("tiny_get", "wsgix", ("bjoern", "fastwsgi")) == 1.2


def test_a_peer_with_a_fault_is_not_compared_with():
    results = results_of(wsgix=[12.0], bjoern=[1.0], fastwsgi=[16.0])
    results.workloads["tiny_get"]["bjoern"].fault = "its answer is wrong"
    assert results.best("tiny_get", ("bjoern", "fastwsgi")) == ("fastwsgi", 16.0)
    assert results.number("tiny_get", "bjoern") is None


def test_without_others_there_is_no_ratio():
    results = results_of(wsgix=[12.0])
    assert results.ratio("tiny_get", "wsgix", ("bjoern",)) is None
    assert results.ratio("unknown", "wsgix", ("bjoern",)) is None


def test_results_survive_their_json():
    results = results_of(wsgix=[12.0, 13.0])
    results.workloads["tiny_get"]["bjoern"] = Outcome(fault="not installed")
    results.machine["Memory"] = "1 GiB"
    assert Results.from_json(results.to_json()) == results
