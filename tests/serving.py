"""`wsgix` as a process, for every test that wants one: started, waited for, read, stopped.

Nothing sleeps: output is read by threads, and a wait ends with the line that is waited for, with the process
or with the deadline.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import wsgix

ROOT = Path(__file__).resolve().parents[1]
DEADLINE = 30.0
"""Seconds for whatever should happen at once; far more than a busy machine needs."""

_SOURCE = str(Path(wsgix.__file__).parents[1])
_ANNOUNCEMENT = re.compile(r"wsgix serves (\S+)\n")


class Output:
    """The lines of one stream of a process, as they come."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._text = ""
        self._ended = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self) -> None:
        with self._stream:
            for line in self._stream:
                with self._news:
                    self._text += line
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def text(self) -> str:
        """Return what was written so far."""
        return self._text

    def wait_for(self, pattern: str | re.Pattern[str], times: int = 1) -> list[re.Match[str]]:
        """Wait until *pattern* was written *times* times; return the matches."""

        def found() -> list[re.Match[str]]:
            return [*re.finditer(pattern, self._text)]

        with self._news:
            self._news.wait_for(lambda: len(found()) >= times or self._ended, DEADLINE)
            matches = found()
        assert len(matches) >= times, f"{pattern!r} is not {times} times in:\n{self._text}"
        return matches

    def join(self) -> str:
        """Return all that was written, once the process has ended."""
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive(), "the output does not end"
        return self._text


class ServerProcess:
    """A running `wsgix serve`.

    Attributes:
        urls: where it serves, in the order of its --bind options.
        url: the first of them.
        out: its standard output, which is the access log.
        err: its standard error, which is its own log.
    """

    def __init__(self, process: subprocess.Popen[str], addresses: int) -> None:
        self.process = process
        assert process.stdout is not None
        assert process.stderr is not None
        self.out = Output(process.stdout)
        self.err = Output(process.stderr)
        self.urls = [match[1] for match in self.err.wait_for(_ANNOUNCEMENT, addresses)]
        self.url = self.urls[0]

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port of `url`."""
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host.strip("[]"), int(port)

    def connect(self) -> socket.socket:
        """Return a new connection to `url`."""
        return socket.create_connection(self.address, DEADLINE)

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal to the process."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait until the process has ended and its output is read; return its exit code."""
        code = self.process.wait(DEADLINE)
        self.out.join()
        self.err.join()
        return code

    def stop(self) -> int:
        """End the process with SIGTERM; return its exit code."""
        self.signal()
        return self.wait()


@contextlib.contextmanager
def serving(
    *arguments: str, bind: tuple[str, ...] = ("127.0.0.1:0",), cwd: Path = ROOT, **environment: str
) -> Iterator[ServerProcess]:
    """Run `wsgix serve ARGUMENTS` on the addresses *bind*; on leaving, see that it ends with 0."""
    binds = [part for address in bind for part in ("--bind", address)]
    process = subprocess.Popen(
        [*COMMAND, "serve", *arguments, *binds],
        cwd=cwd,
        env=environment_with(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        server = ServerProcess(process, len(bind))
        yield server
        if process.poll() is None:
            code = server.stop()
            assert code == 0, f"wsgix ended with {code}:\n{server.err.text()}"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def run_wsgix(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `wsgix ARGUMENTS`, which is expected to end by itself."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment_with(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
    )


COMMAND = (sys.executable, "-m", "wsgix")


def environment_with(additions: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with *additions*, and with the wsgix that is under test."""
    return {**os.environ, "PYTHONPATH": _SOURCE, "COLUMNS": "100", **additions}
