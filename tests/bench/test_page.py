"""The page says what the results say, and keeps what was written by hand."""

from side_by_side import page
from side_by_side.results import Outcome, Results
from side_by_side.workloads import WORKLOADS

TINY_GET = next(workload for workload in WORKLOADS if workload.name == "tiny_get")


def results():
    """Make results in which bjoern is cheaper and waitress failed."""
    return Results(
        machine={"Memory": "1 GiB"},
        versions={"bjoern": "3.2.2"},
        absent={"fastwsgi": "no compiler"},
        workloads={
            "tiny_get": {
                "wsgix": Outcome([{"cpu_us": 12.0, "requests_per_second": 80000.0}]),
                "bjoern": Outcome([{"cpu_us": 10.0, "requests_per_second": 90000.0}]),
                "gunicorn-gthread": Outcome([{"cpu_us": 100.0, "requests_per_second": 9000.0}]),
                "waitress": Outcome([{"cpu_us": 1.0}], "3 read errors"),
            }
        },
    )


def test_servers_stand_in_order_and_those_with_faults_last():
    titles, rows, notes = page.rows_of(TINY_GET, results())
    assert titles[:4] == ["server", "CPU us/request", "to best in C", "to gthread"]
    assert [row[:5] for row in rows] == [
        ["bjoern", "10.0", "1.00", "0.10", "90,000"],
        ["wsgix", "12.0", "1.20", "0.12", "80,000"],
        ["gunicorn-gthread", "100.0", "10.00", "1.00", "9,000"],
        ["waitress [1]", "1.0", "-", "-", "-"],
    ]
    assert notes == ["waitress: 3 read errors"]


def test_a_text_table_is_aligned():
    assert page.as_text(("name", "n"), [("a", "10"), ("bcdef", "9")]) == "name    n\na      10\nbcdef   9"


def test_a_bar_in_a_cell_does_not_end_it():
    assert page.as_markdown(("a", "b"), [("x|y", "1")]) == "| a | b |\n| --- | ---: |\n| x\\|y | 1 |"


def test_losses_are_named():
    assert page.losses(results()) == ["GET, one field (`tiny_get`): 1.20 times the CPU of bjoern"]


def test_our_own_failure_is_a_loss():
    failed = results()
    failed.workloads["tiny_get"]["wsgix"].fault = "3 read errors"
    assert page.losses(failed) == ["GET, one field (`tiny_get`): wsgix failed: 3 read errors"]


def test_the_page_holds_tables_targets_losses_and_what_is_absent():
    text = page.compose(results())
    assert "| **wsgix** | **12.0** | **1.20** | **0.12** |" in text
    assert "1.20 times the CPU of bjoern" in text
    assert "| tiny_get: CPU to the best in C | <= 1.1 | 1.2 | missed | to bjoern |" in text
    assert "fastwsgi could not be installed: no compiler" in text
    assert "- [1] waitress: 3 read errors" in text


def test_the_budget_is_carried_over(tmp_path):
    path = tmp_path / "performance.md"
    page.write(results(), path)
    written = path.read_text(encoding="utf-8")
    by_hand = written.replace(page.EMPTY_BUDGET, "\nTwo thirds are system calls.\n")
    assert by_hand != written
    path.write_text(by_hand, encoding="utf-8")
    page.write(results(), path)
    assert path.read_text(encoding="utf-8") == by_hand
