"""A server as processes: started on its own CPU, weighed through /proc, stopped. Nothing here speaks HTTP.

All processes of a server are those of the session that its first process opens.
"""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
PAGE_SIZE: Final = os.sysconf("SC_PAGE_SIZE")
QUIET_SECONDS: Final = 0.002  # of CPU time in 0.1 s: what waking up now and then costs

_CPUCLOCK_SCHED: Final = 2
_STATE, _SESSION, _UTIME, _STIME, _CUTIME, _CSTIME = 2, 5, 13, 14, 15, 16


class Stat(NamedTuple):
    """What /proc/PID/stat says, as far as it is needed, in ticks: its own, and those of children gone."""

    session: int
    state: str
    own: int
    children: int


def read_stat(text: str) -> Stat:
    """Read the one line of /proc/PID/stat (proc(5)); the command's name may hold blanks and parentheses."""
    name, _, rest = text.rpartition(")")
    fields = [name, "", *rest.split()]  # the numbers then are those of proc(5), from 1, less one
    own = int(fields[_UTIME]) + int(fields[_STIME])
    return Stat(int(fields[_SESSION]), fields[_STATE], own, int(fields[_CUTIME]) + int(fields[_CSTIME]))


class Memory(NamedTuple):
    """Resident memory in bytes: of the largest process, and of all of them, shared pages counted in each."""

    largest: int
    total: int


class Server:
    """One start of a server; use it as a context manager.

    Args:
        command: what to run.
        environment: its environment variables.
        folder: its working directory.
        cpu: the CPU that all its threads are kept on.
        log: the file that takes its standard output and standard error.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, cpu: int, log: Path
    ) -> None:
        self._command = command
        self._environment = environment
        self._folder = folder
        self._cpu = cpu
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, {self._cpu}),  # noqa: PLW1509  one thread only
            )
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is None:
            return
        # Nothing of it is kept, so it need not end well; a worker that outlives its master is found again.
        while pids := self.pids():
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self._process.poll()
        self._process.wait()

    @property
    def alive(self) -> bool:
        """Tell whether the first process still runs."""
        return self._process is not None and self._process.poll() is None

    def last_words(self) -> str:
        """Return the last line that the server printed, for a report of why it failed."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")

    def pids(self) -> list[int]:
        """List the processes of this server that are alive."""
        if self._process is None:
            return []
        return [pid for pid, stat in _stats() if stat.session == self._process.pid and stat.state != "Z"]

    def cpu_seconds(self) -> float:
        """Sum up the CPU time that all processes of this server have used, in user and kernel mode."""
        if self._process is None:
            return 0.0
        return sum(_cpu_seconds(pid, stat) for pid, stat in _stats() if stat.session == self._process.pid)

    def memory(self) -> Memory:
        """Weigh the processes of this server."""
        sizes = [0]
        for pid in self.pids():
            try:
                pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
            except (OSError, IndexError):
                continue
            sizes.append(int(pages) * PAGE_SIZE)
        return Memory(max(sizes), sum(sizes))


def _cpu_seconds(pid: int, stat: Stat) -> float:
    """Take a process's own time from its CPU clock: as in /proc, but not rounded to ticks of 10 ms."""
    try:
        # clock_getcpuclockid(3), which Python does not have: the clock's number is made of the process's.
        own = time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)
    except OSError:
        own = stat.own / TICKS_PER_SECOND
    return own + stat.children / TICKS_PER_SECOND


def _stats() -> list[tuple[int, Stat]]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                text = Path(f"/proc/{entry}/stat").read_text(encoding="utf-8", errors="replace")
            except OSError:  # gone between the listing and the look
                continue
            found.append((int(entry), read_stat(text)))
    return found


def wait_until_quiet(server: Server, seconds: float = 2.0) -> None:
    """Wait until *server* uses next to no CPU for 0.1 s, so that it disturbs no other."""
    deadline = time.monotonic() + seconds
    before = server.cpu_seconds()
    while time.monotonic() < deadline:
        time.sleep(0.1)
        now = server.cpu_seconds()
        if now - before < QUIET_SECONDS:
            return
        before = now
