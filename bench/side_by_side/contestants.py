"""Starts the servers, as `peers` says, and sees that each gives the right answer before it is measured."""

import os
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from side_by_side.environment import ROOT, Environment
from side_by_side.peers import FLOOR, NGINX_CONF, NGINX_TLS, OURS, OURS_LOGGING, Peer
from side_by_side.probe import Answer, BadAnswer, ask, connect, fault_of, wait_until_it_answers
from side_by_side.process import Server
from side_by_side.workloads import FILE_SIZE, Workload, get

BENCH: Final = ROOT / "bench"
START_SECONDS: Final = 15.0
GREETING: Final = get(fields=b"Connection: close\r\n")


class Plan(NamedTuple):
    """How to measure.

    Attributes:
        scratch: a folder for what is needed for the time of the run.
        server_cpu: where servers run; whoever calls keeps itself off it.
        seconds: of each round.
        rounds: of each server in each workload.
    """

    environment: Environment
    scratch: Path
    server_cpu: int
    seconds: int
    rounds: int


class Contestant(NamedTuple):
    """A server that runs and has given the right *answer*."""

    peer: Peer
    server: Server
    port: int
    answer: Answer


class Unfit(Exception):
    """A server cannot take part in a workload; the message says why."""


def prepare_scratch(scratch: Path) -> None:
    """Write what servers are started with: the file to send, a certificate and its key, and a copy of wsgix.

    The copy keeps a run of half an hour to one state of the source.
    """
    shutil.copytree(ROOT / "src", scratch / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (scratch / "file").write_bytes(b"x" * FILE_SIZE)
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-keyout", scratch / "key.pem", "-out", scratch / "certificate.pem"),
        ],
        check=True,
        capture_output=True,
    )


def enter(peer: Peer, workload: Workload, plan: Plan, stack: ExitStack) -> Contestant:
    """Start a server, to be stopped when *stack* is left, and see that it gives the workload's right answer.

    Raises:
        Unfit: it does not.
    """
    server, port = launch(peer, workload, plan, stack)
    wait_for_greeting(server, port, workload.tls)
    return Contestant(peer, server, port, right_answer(port, workload))


def wait_for_greeting(server: Server, port: int, tls: bool) -> None:
    """Wait until *server* answers its first request.

    Raises:
        Unfit: it has ended, or takes longer than START_SECONDS.
    """
    deadline = time.perf_counter() + START_SECONDS
    if not wait_until_it_answers(port, GREETING, tls, deadline, lambda: server.alive):
        raise Unfit(f"it does not answer: {server.last_words()}")


def right_answer(port: int, workload: Workload) -> Answer:
    """Send the workload's request once and see that the answer is right.

    Raises:
        Unfit: it is not.
    """
    try:
        with connect(port, workload.tls) as connection:
            answer = ask(connection, workload.request)
    except (BadAnswer, OSError) as fault:
        raise Unfit(f"it does not answer this request: {fault}") from None
    wrong = fault_of(answer, workload.answer)
    if wrong:
        raise Unfit(f"its answer is wrong: {wrong}")
    return answer


def launch(peer: Peer, workload: Workload, plan: Plan, stack: ExitStack) -> tuple[Server, int]:
    """Start a server on a free port, to be stopped when *stack* is left."""
    if peer.name in plan.environment.absent:
        raise Unfit(f"it is not installed: {plan.environment.absent[peer.name]}")
    extra = peer.tls if workload.tls else peer.plain
    if extra is None:
        raise Unfit("it has no TLS")
    port = _free_port()
    module, _, name = workload.application.partition(":")
    places = {
        "python": str(plan.environment.python),
        "bin": str(plan.environment.python.parent),
        "environment": str(plan.environment.folder),
        "folder": str(BENCH),
        "scratch": str(plan.scratch),
        "certificate": str(plan.scratch / "certificate.pem"),
        "key": str(plan.scratch / "key.pem"),
        "module": module,
        "name": name,
        "port": str(port),
    }
    if peer.name == FLOOR:
        _configure_nginx(plan.scratch, places, workload.tls)
    command = [part.format(**places) for part in (*peer.command, *extra)]
    if shutil.which(command[0]) is None:
        raise Unfit(f"{Path(command[0]).name} is not installed")
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(plan.scratch),
        "BENCH_FILE": str(plan.scratch / "file"),
        "PYTHONPATH": os.pathsep.join(
            (str(plan.scratch / "src"), str(BENCH)) if peer.name in (OURS, OURS_LOGGING) else (str(BENCH),)
        ),
    }
    server = Server(command, environment, BENCH, plan.server_cpu, plan.scratch / f"{peer.name}.log")
    return stack.enter_context(server), port


def _configure_nginx(scratch: Path, places: dict[str, str], tls: bool) -> None:
    name = "nginx-tls" if tls else "nginx"
    text = NGINX_CONF.format(
        **places, pid=f"{name}.pid", ssl=" ssl" if tls else "", tls=NGINX_TLS.format(**places) if tls else ""
    )
    (scratch / f"{name}.conf").write_text(text, encoding="ascii")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
