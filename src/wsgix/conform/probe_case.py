"""What a case of the probe is: a question to a running server, and what its answer came to.

Here are the outcomes, the client that a case holds, and the list that a module of cases keeps. Cases stand in
`conform.cases`, one module for each chapter of server rules; `conform.probe` runs them.
"""

from __future__ import annotations

import json
import os
import time
import urllib.parse
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from wsgix.conform.probe_client import Connection, NoAnswer, Response
from wsgix.conform.rule import Evidence, Means, Rule, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["Case", "Cases", "Client", "Failed", "Information", "NotApplicable", "SetUpFailed", "Target"]

_POLL: Final = 0.004
_LARGEST_EVIDENCE: Final = 8192


class Outcome(Exception):
    """How a case ended. One that returns passed; it may return in a line what it saw.

    Args:
        seen: what was seen, in one line.
        wanted: what was wanted; by default what the case's docstring says.
    """

    verdict: Verdict

    def __init__(self, seen: str, wanted: str = "") -> None:
        super().__init__(seen)
        self.seen = seen
        self.wanted = wanted


class Failed(Outcome):
    """The server does not do it."""

    verdict = Verdict.FAIL


class Information(Outcome):
    """The server may do either."""

    verdict = Verdict.INFORMATION


class NotApplicable(Outcome):
    """The server has not got what this is about, or nobody can see it from here."""

    verdict = Verdict.NOT_APPLICABLE


class SetUpFailed(Outcome):
    """The server refused what led to the question."""

    verdict = Verdict.SETUP_FAILED


@dataclass(frozen=True, slots=True)
class Target:
    """Where the server is, and what else of it can be reached.

    Attributes:
        address: host and port, or the path of a Unix socket.
        tls: whether it speaks TLS.
        prefix: the path below which the probe application is, "" or "/some/where".
        folder: the folder of notes, if this machine is the server's; "" if the notes come over HTTP only.
        output: gives what the server wrote to its standard output and error; None if nobody can know.
        direct: whether the server itself is at the address, and no proxy.
    """

    address: tuple[str, int] | str
    tls: bool = False
    prefix: str = ""
    folder: str = ""
    output: Callable[[], str] | None = None
    direct: bool = True

    @property
    def host(self) -> str:
        """The value of the Host header."""
        if isinstance(self.address, str):
            return "localhost"
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Client:
    """What a case asks with. Every request of it has a connection of its own, unless it makes one itself."""

    def __init__(self, target: Target, timeout: float) -> None:
        self.target = target
        self.timeout = timeout
        """Seconds for each single wait."""
        self.soon = 0.4 * timeout
        """Seconds for what a server does at once, but after its response: closing, logging."""
        self.token = uuid.uuid4().hex[:12]
        self._connections: list[Connection] = []

    # Requests.

    def path(self, action: str, *steps: str) -> str:
        """Return the request target for an action of the probe application and its steps, "name=value"."""
        pairs = [f"token={self.token}", *steps]
        query = "&".join(
            f"{name}={urllib.parse.quote_plus(value, safe=':,/', encoding='latin-1')}" if equals else name
            for name, equals, value in (pair.partition("=") for pair in pairs)
        )
        return f"{self.target.prefix}/{action}?{query}"

    def request(
        self,
        target: str,
        *headers: str,
        method: str = "GET",
        version: str = "1.1",
        content: bytes | None = None,
        close: bool = True,
        host: bool = True,
    ) -> bytes:
        """Return a request as bytes.

        Args:
            target: the request target, as `path` makes it.
            headers: further field lines, without their ends, in latin-1.
            method, version: of the request line.
            content: what follows the head, with its Content-Length.
            close: ask for the end of the connection.
            host: send Host.
        """
        lines = [f"{method} {target} HTTP/{version}"]
        if host:
            lines.append(f"Host: {self.target.host}")
        lines += headers
        if content is not None:
            lines.append(f"Content-Length: {len(content)}")
        if close:
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + (content or b"")

    def connect(self) -> Connection:
        """Return a new connection; it is closed when the case has ended."""
        connection = Connection(self.target.address, self.timeout, tls=self.target.tls)
        self._connections.append(connection)
        return connection

    def exchange(self, target: str, *headers: str, method: str = "GET", **how: Any) -> Response:
        """Send one request on a new connection, return the response; `how` is as for `request`."""
        connection = self.connect()
        connection.send(self.request(target, *headers, method=method, **how))
        response = connection.read_response(method)
        connection.close()
        return response

    def do(self, *steps: str, headers: Sequence[str] = (), status: int | None = 200, **how: Any) -> Response:
        """Have the probe application take steps, return the response.

        Raises:
            Failed: the status is not this one; None lets each pass.
        """
        response = self.exchange(self.path("do", *steps), *headers, **how)
        if status is not None and response.status != status:
            raise Failed(f"the response is {response}", f"a response with status {status}")
        return response

    def ask(self, action: str, *steps: str, headers: Sequence[str] = (), **how: Any) -> Any:
        """Have an action of the probe application tell something, return what it told."""
        return self.told(self.exchange(self.path(action, *steps), *headers, **how))

    def told(self, response: Response) -> Any:
        """Return what an action told in its response.

        Raises:
            Failed: it is not the application's answer.
        """
        if response.status != 200:
            raise Failed(f"the response is {response}", "the answer of the application")
        try:
            return json.loads(response.content)
        except ValueError:
            raise Failed(
                f"the content is cut or changed: {response.content[:60]!r}", "the answer of the application"
            ) from None

    # Notes.

    def notes(self) -> list[dict[str, Any]]:
        """Return what was noted so far under this case's token."""
        if self.target.folder:
            try:
                with open(os.path.join(self.target.folder, self.token), "rb") as file:
                    return [json.loads(line) for line in file]
            except FileNotFoundError:
                return []
        told: list[dict[str, Any]] = self._aside("notes")
        return told

    def noted(self, note: str) -> list[dict[str, Any]]:
        """Return the notes of this name."""
        return [record for record in self.notes() if record["note"] == note]

    def wait_for_note(self, note: str, seconds: float | None = None) -> dict[str, Any] | None:
        """Wait until there is a note of this name; return it, or None if there is none in time."""
        self.wait_until(lambda: bool(self.noted(note)), self.timeout if seconds is None else seconds)
        return next(iter(self.noted(note)), None)

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until the condition holds; return whether it does in time."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            time.sleep(_POLL)
        return True

    def has_output(self, text: str) -> bool:
        """Tell whether the server has written this text to its output."""
        return self.target.output is not None and text in self.target.output()

    def release(self, name: str) -> None:
        """Let the held step go on."""
        if self.target.folder:
            with open(os.path.join(self.target.folder, f"{self.token}.{name}"), "wb"):
                pass
        else:
            self._aside("release", f"name={name}")

    def _aside(self, action: str, *steps: str) -> Any:
        """Ask for something that is no part of the case's evidence."""
        connection = Connection(self.target.address, self.timeout, tls=self.target.tls)
        try:
            connection.send(self.request(self.path(action, *steps)))
            return self.told(connection.read_response())
        except NoAnswer:
            return []
        finally:
            connection.close()

    # The end.

    def finish(self) -> tuple[Evidence, ...]:
        """Close what is open, forget the notes; return the evidence."""
        for connection in self._connections:
            connection.close()
        records = []
        try:
            records = self.notes()
            if self.target.folder:
                for name in os.listdir(self.target.folder):
                    if name.partition(".")[0] == self.token:
                        os.remove(os.path.join(self.target.folder, name))
            else:
                self._aside("forget")
        except Exception:  # evidence is a convenience: what went wrong is told by the verdict
            pass
        told = ", ".join(
            " ".join(
                [record["note"]]
                + [f"{key}={value}" for key, value in record.items() if key not in _EVERY_NOTE]
            )
            for record in records
        )
        evidence = [
            Evidence(_cut(bytes(connection.sent)), _cut(bytes(connection.received)))
            for connection in self._connections
        ]
        if told:
            evidence.append(Evidence(note=f"the application noted: {told}"))
        return tuple(evidence)


_EVERY_NOTE: Final = ("note", "pid", "thread", "time")


def _cut(data: bytes) -> bytes:
    if len(data) <= _LARGEST_EVIDENCE:
        return data
    return data[:_LARGEST_EVIDENCE] + b"... (%d bytes in all)" % len(data)


@dataclass(frozen=True, slots=True)
class Case:
    """One question.

    Attributes:
        name: unique among all cases; hyphens between the words.
        rule: the ID of the rule that it observes.
        function: what asks. It returns, maybe with a line about what it saw, or raises an `Outcome`. That the
            server does not answer, or not in HTTP, is a failure too.
        wanted: what a server that keeps the rule does, in one sentence.
        needs: the names of the cases that must have passed before this one means anything.
        alone: nothing else may be asked at the same time.
    """

    name: str
    rule: str
    function: Callable[[Client], str | None]
    wanted: str
    needs: tuple[str, ...] = ()
    alone: bool = False

    def __call__(self, client: Client) -> str | None:
        """Ask."""
        return self.function(client)


@dataclass(slots=True)
class Cases:
    """The cases of one chapter, in the order in which they stand in its module."""

    listed: list[Case] = field(default_factory=list)

    def of(
        self, rule: str, *needs: str, alone: bool = False
    ) -> Callable[[Callable[[Client], str | None]], Case]:
        """Make the decorated function a case of this rule; its docstring says what is wanted."""

        def register(function: Callable[[Client], str | None]) -> Case:
            wanted = " ".join((function.__doc__ or "").split())
            case = Case(function.__name__.replace("_", "-"), rule, function, wanted, needs, alone)
            self.listed.append(case)
            return case

        return register

    def attach_to(self, rules: Iterable[Rule]) -> None:
        """Attach each case to its rule as an observer.

        Raises:
            KeyError: there is no such rule among these.
        """
        by_id = {rule.id: rule for rule in rules}
        for case in self.listed:
            by_id[case.rule].observed_by(Means.PROBE, case.name)(case)
