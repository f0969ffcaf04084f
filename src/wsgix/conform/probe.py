"""Judge a running server: ask it every case, hold the answers against the rules.

Here is who runs the cases, in what order, and what is made of their outcomes. What is asked stands in
`conform.cases`, how a server is started in `conform.servers`, and what a report looks like in
`conform.report`. The commands and the tests call this.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from wsgix.conform.probe_case import Case, Client, Outcome, Target
from wsgix.conform.probe_client import MalformedResponse, NoAnswer, Refused
from wsgix.conform.rule import Judgement, Means, Profile, Report, Rule, Side, Subject, Verdict
from wsgix.conform.rules import CHAPTERS
from wsgix.conform.servers import Launched, LaunchError, launch, row_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

__all__ = ["judge", "probe_command", "probe_server", "probe_url", "server_rules"]

JOBS: Final = 4
TIMEOUT: Final = 2.5
_OVERLAP: Final = 0.8
_ENDING: Final = 0.25
_POLL: Final = 0.01
_HELD_UP: Final = (Verdict.FAIL, Verdict.SETUP_FAILED)
_LETTERS: Final = "ESRCPX"
"""The chapters whose rules bind servers."""


def server_rules() -> tuple[Rule, ...]:
    """Return the rules that bind servers, chapter by chapter."""
    modules = (import_module(f"wsgix.conform.rules.{CHAPTERS[letter]}") for letter in _LETTERS)
    return tuple(rule for module in modules for rule in module.RULES if rule.binds is Side.SERVER)


def cases_of(rules: Iterable[Rule]) -> list[tuple[Rule, Case]]:
    """Return the cases of these rules, each with its rule, in the order of the rules."""
    return [
        (rule, observer.function)
        for rule in rules
        for observer in rule.observers
        if observer.means is Means.PROBE and isinstance(observer.function, Case)
    ]


@dataclass(frozen=True, slots=True)
class Options:
    """How to judge.

    Attributes:
        rules: the rules to hold the server to.
        jobs: how many cases may be asked at a time; a server that answers one request at a time gets one.
        timeout: seconds for each single wait.
        progress: called after each case with the number of those done, of all, and the case's name.
    """

    rules: Sequence[Rule]
    jobs: int = JOBS
    timeout: float = TIMEOUT
    progress: Callable[[int, int, str], None] | None = None


class _Run:
    """One round through the cases."""

    def __init__(self, target: Target, options: Options, launched: Launched | None = None) -> None:
        self.target = target
        self.options = options
        self.launched = launched
        self.pairs = cases_of(options.rules)
        every = [*cases_of(server_rules()), *self.pairs]
        self.every = {case.name: (rule, case) for rule, case in every}
        self.found: dict[str, Judgement] = {}
        self._futures: dict[str, Future[Judgement]] = {}
        self._tokens: set[str] = set()
        self._done = 0
        self._lock = threading.Lock()

    def judge(self) -> list[Judgement]:
        """Ask all cases; return the judgements in the order of the rules."""
        # A server that stands still while it serves one request would make each case wait for the others'.
        jobs = self.options.jobs if self.options.jobs > 1 and self._is_concurrent() else 1
        wanted = self._in_order([case for _, case in self.pairs])
        together = [case for case in wanted if not case.alone]
        with ThreadPoolExecutor(jobs) as pool:
            # A case waits for those that it needs: they stand before it, so the pool cannot lock up.
            for case in together:
                self._futures[case.name] = pool.submit(self._judge_one, case)
            try:
                for future in self._futures.values():
                    future.result()
            except BaseException:  # an interrupt: nobody wants the rest
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        for case in wanted:
            if case.alone:
                self._judge_one(case)
        self._repeat(together if jobs > 1 else [])
        self._sweep()
        return [self.found[case.name] for _, case in self.pairs]

    def _sweep(self) -> None:
        """Remove notes that were made when their case had ended: a server may be late to call the
        application.
        """
        if self.target.folder:
            for name in os.listdir(self.target.folder):
                if name.partition(".")[0] in self._tokens:
                    with contextlib.suppress(FileNotFoundError):
                        os.remove(os.path.join(self.target.folder, name))

    def _is_concurrent(self) -> bool:
        client = Client(self.target, _OVERLAP + self.options.timeout)

        def come(mine: str, other: str) -> bool:
            told = client.ask("overlap", f"id={mine}", f"other={other}", f"hold={_OVERLAP}")
            return bool(told["met"])

        with ThreadPoolExecutor(2) as pool:
            both = [pool.submit(come, "a", "b"), pool.submit(come, "b", "a")]
        try:
            return all(future.result() for future in both)
        except Exception:  # whatever is wrong, one case at a time finds it
            return False
        finally:
            client.finish()

    def _in_order(self, cases: Iterable[Case]) -> list[Case]:
        """Return the cases with all that they need, what is needed first."""
        ordered: dict[str, Case] = {}

        def add(case: Case) -> None:
            for name in case.needs:
                add(self.every[name][1])
            ordered[case.name] = case

        for case in cases:
            add(case)
        return list(ordered.values())

    def _judge_one(self, case: Case) -> Judgement:
        for name in case.needs:
            if name in self._futures and name not in self.found:
                self._futures[name].result()
        found = self.found[case.name] = self._ask(case)
        with self._lock:
            self._done += 1
            done = self._done
        if self.options.progress:
            self.options.progress(done, len(self.pairs), case.name)
        return found

    def _ask(self, case: Case) -> Judgement:
        rule = self.every[case.name][0]
        for name in case.needs:
            verdict = self.found[name].verdict
            if verdict is Verdict.NOT_APPLICABLE:
                return Judgement(rule, verdict, f"as with {name}: {self.found[name].seen}", case=case.name)
            if verdict not in (Verdict.PASS, Verdict.INFORMATION):
                seen = self.found[name].seen
                if verdict is not Verdict.DEPENDENCY_FAILED:  # of a chain, the first link is what matters
                    seen = f"{name} ({self.every[name][0].id}) did not pass: {seen}"
                return Judgement(
                    rule,
                    Verdict.DEPENDENCY_FAILED,
                    seen,
                    case.wanted,
                    case.name,
                )
        client = Client(self.target, self.options.timeout)
        self._tokens.add(client.token)
        begin = time.monotonic()
        verdict, seen, wanted = Verdict.PASS, "", case.wanted
        try:
            seen = case(client) or ""
        except Outcome as outcome:
            verdict, seen, wanted = outcome.verdict, outcome.seen, outcome.wanted or case.wanted
        except (NoAnswer, MalformedResponse) as fault:
            verdict, seen = Verdict.FAIL, str(fault)
        except Refused as fault:
            verdict, seen = Verdict.SETUP_FAILED, str(fault)
        except Exception as error:
            verdict, seen = Verdict.HARNESS_FAILED, f"{type(error).__name__}: {error}"
        seconds = time.monotonic() - begin
        return Judgement(
            rule, verdict, seen, wanted, case.name, evidence=client.finish(), seconds=round(seconds, 4)
        )

    def _repeat(self, together: Sequence[Case]) -> None:
        """Ask once more, alone, what failed beside others; start a server anew that ended meanwhile."""
        ended = self.launched is not None and self.launched.gone()
        if not together and not ended:
            return
        for case in self._in_order([case for _, case in self.pairs]):
            before = self.found[case.name]
            again = before.verdict in _HELD_UP or before.verdict is Verdict.DEPENDENCY_FAILED
            if not again or (case.alone and not ended):
                continue
            self._revive()
            after = self._ask(case)
            if self.launched is not None and self._ended_by(after, self.launched):
                after = replace(
                    after, verdict=Verdict.FAIL, seen=f"the server is gone: {self.launched.epitaph()}"
                )
            elif before.verdict is Verdict.FAIL and after.verdict is Verdict.PASS:
                after = replace(
                    after, seen=f"{after.seen} (beside other requests once: {before.seen})".strip()
                )
            self.found[case.name] = after
        self._revive()

    @staticmethod
    def _ended_by(found: Judgement, launched: Launched) -> bool:
        """Tell whether the server is gone after this judgement: a process takes a moment to end."""
        silent = found.verdict is Verdict.SETUP_FAILED or "connection ended" in found.seen
        end = time.monotonic() + (_ENDING if silent else 0.0)
        while not launched.gone():
            if time.monotonic() >= end:
                return False
            time.sleep(_POLL)
        return True

    def _revive(self) -> None:
        """Start the server again if it has ended."""
        if self.launched is not None and self.launched.gone():
            self.launched.restart()
            self.target = replace(self.target, address=("127.0.0.1", self.launched.port))


def judge(target: Target, options: Options, launched: Launched | None = None) -> list[Judgement]:
    """Ask the server at `target` every case of the rules; return the judgements in the order of the rules.

    Args:
        target: where it is. The probe application must be behind it.
        options: how to judge.
        launched: the process, if it was started for this; one that ends is started again.
    """
    found = _Run(target, options, launched).judge()
    judged = {judgement.rule.id for judgement in found}
    untestable = [
        Judgement(rule, Verdict.NOT_APPLICABLE, rule.untestable)
        for rule in options.rules
        if rule.untestable and rule.id not in judged
    ]
    order = {rule.id: number for number, rule in enumerate(options.rules)}
    return sorted([*found, *untestable], key=lambda judgement: order[judgement.rule.id])


class CannotJudge(Exception):
    """There is nothing to judge at the address; the message says why, in one line."""


def greet(target: Target, timeout: float = TIMEOUT) -> Target:
    """See that the probe application answers; return the target, with its folder of notes if that is here.

    Raises:
        CannotJudge: it does not.
    """
    client = Client(replace(target, folder=""), timeout)
    connection = None
    try:
        connection = client.connect()
        connection.send(client.request(client.path("hello")))
        response = connection.read_response()
        told = json.loads(response.content)
        folder = told["folder"] if told["application"] == "wsgix probe" else None
    except (NoAnswer, MalformedResponse, Refused) as fault:
        raise CannotJudge(str(fault)) from None
    except (ValueError, KeyError, TypeError):
        raise CannotJudge("what answers there is not the probe application (see --print-app)") from None
    finally:
        if connection is not None:
            connection.close()
    if folder is None:
        raise CannotJudge("what answers there is not the probe application (see --print-app)")
    # The hello was noted in a file of this token: who can read it shares the folder.
    here = os.path.join(folder, client.token)
    shared = os.path.isfile(here)
    if shared:
        os.remove(here)
    return replace(target, folder=folder if shared else "")


def target_of(url: str) -> Target:
    """Return where a URL points; `http+unix://%2Fpath%2Fof.sock/` is a Unix socket.

    Raises:
        ValueError: it is not a URL of these.
    """
    parts = urlsplit(url)
    prefix = parts.path.rstrip("/")
    if parts.scheme == "http+unix" and parts.hostname:
        path = parts.netloc.replace("%2F", "/").replace("%2f", "/")
        return Target(path, prefix=prefix)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is no URL with http or https")
    tls = parts.scheme == "https"
    return Target((parts.hostname, parts.port or (443 if tls else 80)), tls=tls, prefix=prefix)


def _report(
    subject: Subject, profiles: Collection[Profile], begin: float, found: Sequence[Judgement], fault: str = ""
) -> Report:
    return Report(
        subject,
        tuple(found),
        frozenset(profiles),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - begin, 2),
        fault=fault,
    )


def _options(options: Options | None, profiles: Collection[Profile]) -> Options:
    """Narrow the rules to those of the profiles."""
    chosen = options or Options(server_rules())
    return replace(chosen, rules=[rule for rule in chosen.rules if rule.profiles & frozenset(profiles)])


def probe_url(
    url: str, *, profiles: Collection[Profile] = frozenset(Profile), options: Options | None = None
) -> Report:
    """Judge a server that serves the probe application at this URL already.

    Args:
        url: where; with http, https or http+unix.
        profiles: what to hold it to.
        options: how to judge; None: by every rule.

    Raises:
        ValueError: the URL cannot be read.
    """
    begin = time.monotonic()
    chosen = _options(options, profiles)
    subject = Subject(url, Side.SERVER)
    try:
        target = greet(replace(target_of(url), direct=False), chosen.timeout)
    except CannotJudge as fault:
        return _report(subject, profiles, begin, (), str(fault))
    return _report(subject, profiles, begin, judge(target, chosen))


def _probe_launched(
    subject: Subject,
    start: Callable[[], Launched],
    profiles: Collection[Profile],
    options: Options | None,
) -> Report:
    begin = time.monotonic()
    chosen = _options(options, profiles)
    try:
        launched = start()
    except LaunchError as fault:
        return _report(subject, profiles, begin, (), str(fault))
    with launched:
        subject = replace(subject, version=launched.version)
        try:
            target = greet(
                Target(("127.0.0.1", launched.port), output=launched.output, direct=True), chosen.timeout
            )
        except CannotJudge as fault:
            return _report(subject, profiles, begin, (), f"{fault}{launched.last_words()}")
        found = judge(target, chosen, launched)
    return _report(subject, profiles, begin, found)


def probe_server(
    name: str,
    *,
    python: str | None = None,
    profiles: Collection[Profile] = frozenset(Profile),
    jobs: int = JOBS,
    options: Options | None = None,
) -> Report:
    """Start a server that `conform.servers` knows, judge it, stop it.

    Args:
        name: its name in that table.
        python: the interpreter that has it; None: this one.
        profiles: what to hold it to.
        jobs: how many cases to ask at a time.
        options: how to judge, instead of `jobs`.

    Raises:
        KeyError: there is no server of this name.
    """
    row = row_of(name)
    chosen = options or Options(server_rules(), jobs)
    return _probe_launched(Subject(name, Side.SERVER), lambda: launch(row, python), profiles, chosen)


def probe_command(
    command: str, *, profiles: Collection[Profile] = frozenset(Profile), options: Options | None = None
) -> Report:
    """Start a server by a command line, judge it, stop it.

    Args:
        command: with {host}, {port} and {app} (module:attribute), or {module} and {attribute}, where they go.
        profiles: what to hold it to.
        options: how to judge; None: by every rule.
    """
    subject = Subject(command.split()[0] if command.split() else command, Side.SERVER)
    return _probe_launched(subject, lambda: launch(command), profiles, options)
