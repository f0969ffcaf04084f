"""Runs wrk and reads what it found. Nothing here knows a server."""

import json
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

REPLAY: Final = Path(__file__).parents[1] / "replay.lua"
TIMEOUT_SECONDS: Final = 10
GRACE_SECONDS: Final = 30


class Load(NamedTuple):
    """The result of one run; the latter five count failures."""

    seconds: float
    requests: int
    bytes: int
    p50_us: int
    p99_us: int
    connect: int
    read: int
    write: int
    status: int
    timeout: int

    @property
    def faults(self) -> str:
        """Name what went wrong, or nothing."""
        kinds = ("connect", "read", "write", "status", "timeout")
        return ", ".join(f"{getattr(self, kind)} {kind}" for kind in kinds if getattr(self, kind))


class LoadError(Exception):
    """wrk did not finish; the message says why."""


def run_wrk(request: Path, port: int, tls: bool, connections: int, seconds: int) -> Load:
    """Send the request in the file *request* for *seconds*, each connection as fast as it is answered."""
    command = [
        *("wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"),
        *("--timeout", f"{TIMEOUT_SECONDS}s", "--script", str(REPLAY)),
        *(f"{'https' if tls else 'http'}://127.0.0.1:{port}/", "--", str(request)),
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + GRACE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise LoadError(f"wrk did not end {GRACE_SECONDS} s after its time") from None
    return read_load(done.stdout + done.stderr)


def read_load(output: str) -> Load:
    """Read the line of JSON that `replay.lua` adds to the output of wrk.

    Raises:
        LoadError: there is none.
    """
    lines = [line for line in output.split("\n") if line.startswith('{"seconds"')]
    if not lines:
        words = " ".join(output.split())
        raise LoadError(f"wrk said: {words[-200:]}")
    return Load(**json.loads(lines[-1]))
