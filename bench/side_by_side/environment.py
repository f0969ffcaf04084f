"""Gets everything that the comparison needs: Debian's packages, and an environment with all servers in it.

The interpreter is the newest supported CPython on which every server installs and can be imported; where
there is none, the one on which most can. Which failed, and why, is kept for the report.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from side_by_side.machine import without_paths
from side_by_side.peers import FRAMEWORKS, PEERS

ROOT: Final = Path(__file__).resolve().parents[2]
ENVIRONMENTS: Final = ROOT / ".venv" / "bench-peers"
VERSIONS: Final = ("3.13", "3.12", "3.11")
INSTALL_SECONDS: Final = 600

# Programs whose Debian package has the same name: the load generator, and what makes the certificate.
PROGRAMS: Final = ("wrk", "openssl")

# Where bjoern's build looks for libev's header.
LIBEV: Final = (Path("/usr/include/ev.h"), Path("/usr/local/include/ev.h"), Path("/usr/include/libev/ev.h"))


class Environment(NamedTuple):
    """The environment of the servers.

    Attributes:
        folder: its root.
        python_version: of its interpreter.
        versions: peer -> version.
        absent: peer -> why it is not there.
    """

    folder: Path
    python_version: str
    versions: dict[str, str]
    absent: dict[str, str]

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"


class SetupError(Exception):
    """The comparison cannot be run here; the message says what to do."""


def install_debian_packages(say: Callable[[str], object]) -> None:
    """Install what is missing of wrk, openssl and libev-dev if this is Debian and we are root; else say so.

    Raises:
        SetupError: wrk or openssl is not there afterwards.
    """
    missing = _missing_packages()
    if missing and shutil.which("apt-get") and os.geteuid() == 0:
        say(f"installing {' '.join(missing)}")
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
            subprocess.run(
                ["apt-get", "-qq", *command],
                check=False,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            )
        missing = _missing_packages()
    if missing:
        say(f"install first: apt-get install {' '.join(missing)}")
    for program in PROGRAMS:
        if program in missing:
            raise SetupError(f"{program} is not on PATH")


def _missing_packages() -> list[str]:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    return missing if any(header.exists() for header in LIBEV) else [*missing, "libev-dev"]


def prepare(
    say: Callable[[str], object], again: bool = False, versions: Sequence[str] = VERSIONS
) -> Environment:
    """Make the environment of the servers; unless *again*, use the one of an earlier run.

    It is for the first of *versions* on which all of them can be installed, or else for the one on which most
    can.

    Raises:
        SetupError: there is no interpreter to use, or the frameworks cannot be installed.
    """
    candidates = []
    for version in versions:
        interpreter = _interpreter(version)
        if interpreter is None:
            continue
        environment = (None if again else _kept(version)) or _make(version, interpreter, say)
        if not environment.absent:
            return environment
        for name, reason in environment.absent.items():
            say(f"CPython {version}: {name} is not there: {reason}")
        candidates.append(environment)
    if not candidates:
        raise SetupError(f"no CPython of {', '.join(versions)} was found")
    return min(candidates, key=lambda environment: len(environment.absent))


def _interpreter(version: str) -> str | None:
    found = subprocess.run(
        [ROOT / "tools" / "interpreters", version], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or None


def _wanted() -> list[list[str]]:
    return [[peer.name, *peer.requirements] for peer in PEERS] + [list(FRAMEWORKS)]


def _note(version: str) -> Path:
    return ENVIRONMENTS / f"{version}.json"


def _kept(version: str) -> Environment | None:
    try:
        note = json.loads(_note(version).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    environment = Environment(ENVIRONMENTS / version, note["python"], note["versions"], note["absent"])
    return environment if note["wanted"] == _wanted() and environment.python.exists() else None


def _make(version: str, interpreter: str, say: Callable[[str], object]) -> Environment:
    folder = ENVIRONMENTS / version
    say(f"installing the servers on CPython {version}")
    subprocess.run([interpreter, "-m", "venv", "--clear", folder], check=True)
    python = folder / "bin" / "python"
    absent = {}
    for peer in PEERS:
        fault = _install(python, *peer.requirements) if peer.requirements else ""
        if not fault and peer.module:
            fault = _fault([str(python), "-c", f"import {peer.module}"])
        if fault:
            absent[peer.name] = fault
    fault = _install(python, *FRAMEWORKS)
    if fault:
        raise SetupError(f"{' and '.join(FRAMEWORKS)} cannot be installed: {fault}")
    facts = json.loads(_output([python, "-c", _FACTS], json.dumps(_names())))
    note = {"wanted": _wanted(), "absent": absent, **facts}
    _note(version).write_text(json.dumps(note, indent=1), encoding="utf-8")
    return Environment(folder, note["python"], note["versions"], absent)


# Run by the environment's own interpreter: names of distributions in, versions out.
_FACTS: Final = """
import importlib.metadata, json, platform, sys
versions = {}
for name in json.load(sys.stdin):
    try:
        versions[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps({"python": platform.python_version(), "versions": versions}))
"""


def _names() -> list[str]:
    return sorted({peer.requirements[0] for peer in PEERS if peer.requirements} | set(FRAMEWORKS))


def _install(python: Path, *requirements: str) -> str:
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    return _fault([str(part) for part in command])


def _fault(command: list[str]) -> str:
    """Run *command*; return why it failed in one line, or nothing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"it took more than {INSTALL_SECONDS} s"
    if done.returncode == 0:
        return ""
    lines = [line.strip() for line in (done.stdout + done.stderr).split("\n") if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return without_paths((errors or lines or [f"exit code {done.returncode}"])[-1])


def _output(command: list[str | Path], text: str) -> str:
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
