"""The servers that the probe knows, and how each is started and stopped.

`SERVERS` is the one table: a row a server. Those without a command line of their own are started by
`probe_launch.py`. Here are processes; what is asked of them is elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["SERVERS", "LaunchError", "Launched", "Server", "installed_version", "launch", "row_of"]

HOST: Final = "127.0.0.1"
APPLICATION: Final = "wsgix_probe_app"
"""The name of the module that the probe application is for the servers."""
_HERE: Final = Path(__file__).resolve().parent
_WSGIX: Final = str(_HERE.parents[1])
_START: Final = 20.0
_STOP: Final = 4.0
_POLL: Final = 0.02
_LAST_WORDS: Final = 600


class LaunchError(Exception):
    """The server cannot be started; the message says why, in one line, with its last words."""


@dataclass(frozen=True, slots=True)
class Server:
    """How a server is started.

    Attributes:
        name: what `wsgix probe` calls it.
        command: {python} is the interpreter that has it, {bin} the folder of its commands, {launch} the file
            that starts those without a command line; {host}, {port}, {module}, {attribute} and {app} are
            filled in.
        requirements: what pip installs for it; empty for what comes with Python or with wsgix.
        distribution: the one whose version is the server's.
        modules: what must be importable.
        needs_wsgix: whether wsgix itself must be importable.
    """

    name: str
    command: tuple[str, ...]
    requirements: tuple[str, ...] = ()
    distribution: str = ""
    modules: tuple[str, ...] = ()
    needs_wsgix: bool = False


_LAUNCH: Final = ("{python}", "{launch}")
_TO: Final = ("{host}", "{port}", "{module}", "{attribute}")
_GUNICORN: Final = ("{python}", "-m", "gunicorn", "--bind", "{host}:{port}", "--no-control-socket")

SERVERS: Final = (
    Server(
        "wsgix",
        ("{python}", "-m", "wsgix", "serve", "--bind", "{host}:{port}", "--no-access-log", "{app}"),
        distribution="wsgix",
        modules=("wsgix",),
        needs_wsgix=True,
    ),
    Server(
        "wsgix-simple_server",
        (*_LAUNCH, "wsgix_simple_server", *_TO),
        distribution="wsgix",
        modules=("wsgix.simple_server",),
        needs_wsgix=True,
    ),
    Server("wsgiref", (*_LAUNCH, "wsgiref", *_TO), modules=("wsgiref.simple_server",)),
    Server(
        "gunicorn-sync",
        (*_GUNICORN, "--worker-class", "sync", "{app}"),
        requirements=("gunicorn",),
        distribution="gunicorn",
        modules=("gunicorn",),
    ),
    Server(
        "gunicorn-gthread",
        (*_GUNICORN, "--worker-class", "gthread", "--threads", "8", "{app}"),
        requirements=("gunicorn",),
        distribution="gunicorn",
        modules=("gunicorn",),
    ),
    Server(
        "gunicorn-gevent",
        (*_GUNICORN, "--worker-class", "gevent", "{app}"),
        # Its worker imports packaging, which nothing else installs.
        requirements=("gunicorn", "gevent", "packaging"),
        distribution="gunicorn",
        modules=("gunicorn", "gevent"),
    ),
    Server(
        "waitress",
        ("{python}", "-m", "waitress", "--host", "{host}", "--port", "{port}", "--threads", "8", "{app}"),
        requirements=("waitress",),
        distribution="waitress",
        modules=("waitress",),
    ),
    Server(
        "cheroot",
        (*_LAUNCH, "cheroot", *_TO),
        requirements=("cheroot",),
        distribution="cheroot",
        modules=("cheroot",),
    ),
    Server(
        "uwsgi",
        (
            *("{bin}/uwsgi", "--http-socket", "{host}:{port}", "--module", "{module}:{attribute}"),
            *("--need-app", "--die-on-term", "--master", "--disable-logging", "--enable-threads"),
            *("--virtualenv", "{prefix}", "--pythonpath", "{folder}"),
        ),
        requirements=("uwsgi",),
        distribution="uwsgi",
    ),
    Server(
        "granian",
        (
            *("{python}", "-m", "granian", "--interface", "wsgi", "--host", "{host}", "--port", "{port}"),
            *("--workers", "1", "--blocking-threads", "8", "{app}"),
        ),
        requirements=("granian",),
        distribution="granian",
        modules=("granian",),
    ),
    Server(
        "bjoern",
        (*_LAUNCH, "bjoern", *_TO),
        requirements=("bjoern",),
        distribution="bjoern",
        modules=("bjoern",),
    ),
    Server(
        "fastwsgi",
        (*_LAUNCH, "fastwsgi", *_TO),
        # It imports pkg_resources, which later versions of setuptools have not got.
        requirements=("fastwsgi", "setuptools<81"),
        distribution="fastwsgi",
        modules=("fastwsgi",),
    ),
    Server(
        "fastpysgi",
        (*_LAUNCH, "fastpysgi", *_TO),
        requirements=("fastpysgi",),
        distribution="fastpysgi",
        modules=("fastpysgi",),
    ),
    Server(
        "werkzeug",
        (*_LAUNCH, "werkzeug", *_TO),
        requirements=("werkzeug",),
        distribution="werkzeug",
        modules=("werkzeug",),
    ),
    Server(
        "gevent",
        (*_LAUNCH, "gevent", *_TO),
        requirements=("gevent",),
        distribution="gevent",
        modules=("gevent",),
    ),
    Server(
        "eventlet",
        (*_LAUNCH, "eventlet", *_TO),
        requirements=("eventlet",),
        distribution="eventlet",
        modules=("eventlet",),
    ),
    Server(
        "hypercorn",
        ("{python}", "-m", "hypercorn", "--bind", "{host}:{port}", "wsgi:{app}"),
        requirements=("hypercorn",),
        distribution="hypercorn",
        modules=("hypercorn",),
    ),
    Server(
        "uvicorn-a2wsgi",
        (*_LAUNCH, "uvicorn_a2wsgi", *_TO),
        requirements=("uvicorn", "a2wsgi"),
        distribution="uvicorn",
        modules=("uvicorn", "a2wsgi"),
    ),
)

GROUPS: Final = {
    "gunicorn": ("gunicorn-sync", "gunicorn-gthread", "gunicorn-gevent"),
    "uvicorn": ("uvicorn-a2wsgi",),
}
"""Names that stand for several servers, or are short for one."""


def row_of(name: str) -> Server:
    """Return the row of this name.

    Raises:
        KeyError: there is none.
    """
    for row in SERVERS:
        if row.name == name:
            return row
    raise KeyError(name)


def _path_of(python: str | None) -> str:
    """Return the path of an interpreter, for servers are started in another folder. Links are left: a virtual
    environment's interpreter is one.
    """
    return os.path.abspath(shutil.which(python) or python) if python else sys.executable


_ASK_VERSION: Final = """
import importlib, importlib.util, importlib.metadata, platform, sys
distribution, *modules = sys.argv[1:]
for module in modules:
    if importlib.util.find_spec(module) is None:
        sys.exit(f"there is no module {module}")
if distribution == "wsgix":
    print(importlib.import_module("wsgix").__version__)
elif distribution:
    print(importlib.metadata.version(distribution))
else:
    print(platform.python_version())
"""


def installed_version(row: Server, python: str | None = None) -> str:
    """Return the version of a server as an interpreter has it; "" if it has not got it.

    Args:
        row: the server.
        python: the interpreter; None: this one.
    """
    environment = dict(os.environ)
    if row.needs_wsgix:
        environment["PYTHONPATH"] = _WSGIX
    found = subprocess.run(
        [_path_of(python), "-c", _ASK_VERSION, row.distribution, *row.modules],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_START,
        check=False,
    )
    return found.stdout.strip() if found.returncode == 0 else ""


class Launched:
    """A server process and all that it started, with the probe application behind it.

    Leaving it as a context ends them and removes its folder.

    Attributes:
        port: where it listens, on 127.0.0.1.
        version: the server's, "" if it is not known.
    """

    def __init__(self, command: list[str], folder: Path, version: str, environment: dict[str, str]) -> None:
        self._command = command
        self._folder = folder
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.version = version

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it on a port that is free, and wait until it accepts connections.

        Raises:
            LaunchError: it does not.
        """
        self.port = free_port()
        command = [word.replace("{port}", str(self.port)) for word in self._command]
        with open(self._folder / "output", "ab") as output:
            try:
                self._process = subprocess.Popen(
                    command,
                    cwd=self._folder,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise LaunchError(f"{command[0]} cannot be run: {error.strerror}") from None
        end = time.monotonic() + _START
        while not self._accepts():
            if self.ended():
                raise LaunchError(f"it ended while it started ({self.epitaph()}){self.last_words()}")
            if time.monotonic() > end:
                self.stop()
                raise LaunchError(f"it accepted no connection within {_START:g} s{self.last_words()}")
            time.sleep(_POLL)

    def _accepts(self) -> bool:
        with contextlib.suppress(OSError):
            with socket.create_connection((HOST, self.port), 1.0):
                return True
        return False

    def restart(self) -> None:
        """Start it again after it ended, on another port: the old one may still be taken for a while."""
        self.stop()
        with contextlib.suppress(LaunchError):  # the cases find that nobody answers
            self.start()

    def ended(self) -> bool:
        """Tell whether the process that was started has ended."""
        return self._process is None or self._process.poll() is not None

    def gone(self) -> bool:
        """Tell whether it has ended, or accepts no connection any more."""
        return self.ended() or not self._accepts()

    def epitaph(self) -> str:
        """Tell in a few words how it ended."""
        code = None if self._process is None else self._process.poll()
        if code is None:
            return "it runs, and accepts no connection"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"

    def output(self) -> str:
        """Return what it wrote to standard output and standard error so far."""
        with contextlib.suppress(OSError):
            return (self._folder / "output").read_text(encoding="utf-8", errors="replace")
        return ""

    def last_words(self) -> str:
        """Return the end of its output, to be put after a sentence; "" if it said nothing."""
        words = self.output().strip()
        return f"; it said: {' | '.join(words[-_LAST_WORDS:].splitlines()[-6:])}" if words else ""

    def stop(self) -> None:
        """End the process and all that it started."""
        process, self._process = self._process, None
        if process is None:
            return
        self._signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP)
        # Whatever of the group is left: a worker that outlived its parent too.
        self._signal_group(process.pid, signal.SIGKILL)
        process.wait()
        # That is the parent's end; its children are not ours to wait for, and take a moment to die.
        end = time.monotonic() + _STOP
        while self._accepts() and time.monotonic() < end:
            time.sleep(_POLL)

    @staticmethod
    def _signal_group(group: int, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def launch(what: Server | str, python: str | None = None) -> Launched:
    """Start a server with the probe application behind it.

    Args:
        what: a row of the table, or a command line with {host}, {port} and {app} in it.
        python: the interpreter that has the server; None: this one.

    Raises:
        LaunchError: it cannot be started.
    """
    interpreter = _path_of(python)
    version = ""
    if isinstance(what, Server):
        version = installed_version(what, interpreter)
        if not version:
            needed = " ".join(what.requirements) or what.name
            raise LaunchError(f"{interpreter} has not got it (pip install {needed})")
        words = list(what.command)
    else:
        try:
            words = shlex.split(what)
        except ValueError as error:
            raise LaunchError(f"the command cannot be read: {error}") from None
        if not words:
            raise LaunchError("the command is empty")
    folder = Path(tempfile.mkdtemp(prefix="wsgix-probe-"))
    shutil.copyfile(_HERE / "probe_app.py", folder / f"{APPLICATION}.py")
    (folder / "notes").mkdir()
    filled = {
        "{python}": interpreter,
        "{bin}": str(Path(interpreter).parent),
        "{prefix}": str(Path(interpreter).parent.parent),
        "{launch}": str(_HERE / "probe_launch.py"),
        "{folder}": str(folder),
        "{host}": HOST,
        "{app}": f"{APPLICATION}:app",
        "{module}": APPLICATION,
        "{attribute}": "app",
    }
    for place, value in filled.items():
        words = [word.replace(place, value) for word in words]
    paths = [str(folder), *([_WSGIX] if isinstance(what, Server) and what.needs_wsgix else [])]
    if os.environ.get("PYTHONPATH"):
        paths.append(os.environ["PYTHONPATH"])
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUNBUFFERED": "1",
        "WSGI_PROBE_FOLDER": str(folder / "notes"),
        # Two traps for a server that takes the environment of the system for the request's.
        "WSGI_PROBE_SIGN": "\u20ac",
        "HTTP_X_FROM_SYSTEM": "yes",
    }
    launched = Launched(words, folder, version, environment)
    try:
        launched.start()
    except BaseException:  # an interrupt too leaves nothing behind
        launched.stop()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return launched
