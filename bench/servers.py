"""Measures wsgix beside other WSGI servers: `make bench`, or `python bench/servers.py [--only W,...]`.

It installs the servers into an environment of their own, and runs server and load generator on different
CPUs. Results are kept in `bench/results`; those of a run of everything, on the interpreter that is chosen
without `--python`, are written into docs/performance.md. `--report FILE` writes that page from kept results.
"""

import argparse
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from side_by_side import contestants, environment, machine, measure, page, results, targets
from side_by_side.peers import PEERS
from side_by_side.workloads import WORKLOADS

KEPT = Path(__file__).parent / "results"
PUBLISHED = KEPT / "published.json"
NEEDED_FILES = 12_000


def names(known: list[str]) -> Callable[[str], list[str]]:
    """Make a reader of comma-separated names, each one of *known*."""

    def read(text: str) -> list[str]:
        given = text.split(",")
        unknown = [name for name in given if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"there is no {unknown[0]!r}; there are: {', '.join(known)}")
        return given

    return read


def main() -> int:
    """Measure, print, keep; return the exit code."""
    workloads = [workload.name for workload in WORKLOADS]
    peers = [peer.name for peer in PEERS]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=names(workloads), metavar="W,...", help=f"of: {', '.join(workloads)}")
    parser.add_argument("--peers", type=names(peers), metavar="P,...", help=f"of: {', '.join(peers)}")
    parser.add_argument("--seconds", type=int, default=2, help="of each round (default: 2)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts (default: 3)")
    parser.add_argument(
        "--python",
        choices=environment.VERSIONS,
        metavar="VERSION",
        help=f"the interpreter of all servers, of: {', '.join(environment.VERSIONS)} "
        "(default: the first of them on which all servers can be installed)",
    )
    parser.add_argument("--reinstall", action="store_true", help="install the servers again, at their newest")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the page from kept results only")
    options = parser.parse_args()
    if options.report:
        publish(results.load(options.report))
        return 0
    # So that the servers are stopped however this ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        found = run(options, KEPT / time.strftime("%Y%m%d-%H%M%S.json", time.gmtime()))
    except environment.SetupError as fault:
        print(f"bench: {fault}", file=sys.stderr)
        return 1
    print(page.targets_as_text(targets.read_all(found)))
    if options.only is None and options.peers is None and options.python is None:
        publish(found)
    return 0


def run(options: argparse.Namespace, kept: Path) -> results.Results:
    """Prepare everything, measure what the options ask for, and keep what is found in *kept* as it comes."""
    environment.install_debian_packages(say)
    versions = environment.VERSIONS if options.python is None else (options.python,)
    servers = environment.prepare(say, options.reinstall, versions)
    server_cpu, *other_cpus = sorted(os.sched_getaffinity(0))
    if not other_cpus:
        say("only one CPU: server and load generator share it, and the numbers mean little")
    os.sched_setaffinity(0, other_cpus or {server_cpu})
    raise_file_limit()
    wanted_peers = [peer for peer in PEERS if options.peers is None or peer.name in options.peers]
    found = results.Results(
        machine={
            **machine.describe(servers.python_version),
            "Rounds": f"{options.rounds} of {options.seconds} s each; every number is their median",
        },
        versions={**servers.versions, **machine.versions()},
        absent=servers.absent,
    )
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        plan = contestants.Plan(servers, Path(folder), server_cpu, options.seconds, options.rounds)
        contestants.prepare_scratch(plan.scratch)
        for workload in WORKLOADS:
            if options.only is None or workload.name in options.only:
                begin = time.monotonic()
                found.workloads[workload.name] = measure.measure(workload, wanted_peers, plan)
                kept.write_text(found.to_json(), encoding="utf-8")
                print(page.workload_as_text(workload, found))
                say(f"{workload.name}: {time.monotonic() - begin:.0f} s")
    say(f"kept in bench/results/{kept.name}")
    return found


def raise_file_limit() -> None:
    """Let this process and its servers hold as many connections as the system lets them."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < NEEDED_FILES:
        say(f"at most {hard} open files: `idle` needs {NEEDED_FILES}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def publish(found: results.Results) -> None:
    """Write the page and its plots, and keep the results that they were drawn from."""
    from side_by_side import plot  # only a page needs matplotlib

    PUBLISHED.write_text(found.to_json(), encoding="utf-8")
    plot.draw(found, environment.ROOT / "docs" / "performance")
    page.write(found, environment.ROOT / "docs" / "performance.md")
    print("written: docs/performance.md")


def say(line: str) -> None:
    """Tell about the progress, apart from the results."""
    print(f"bench: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
