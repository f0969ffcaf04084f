"""The pytest plugin: what judges, watches and serves WSGI applications in other people's tests.

Here live the fixtures, the options and how a finding becomes a failed test; what is judged and how is decided
in `wsgix.conform`, and what serves is in `wsgix.server`. Both are imported when a test asks for them, because
this module is loaded by every run of pytest in an environment that has wsgix. pytest is imported here only.
"""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from wsgix.conform.rule import Judgement, Report
    from wsgix.server.embedded import Server
    from wsgix.types import StartResponse, WSGIApplication

LEVELS: Final = {"must": 3, "should": 2, "de-facto": 1}
"""The names of levels, and the weight that a rule needs to count at each."""

_DEFAULT_LEVEL: Final = "should"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options and the settings."""
    group = parser.getgroup("wsgix", "WSGI conformance (wsgix)")
    group.addoption(
        "--wsgi-validate",
        action="store_true",
        help="hold the applications of the fixtures named by wsgi_app_fixture to the rules of PEP 3333 while "
        "the tests call them; a test in which one breaks a rule fails",
    )
    group.addoption(
        "--wsgi-level",
        choices=list(LEVELS),
        help=f"let findings of rules of this level or above fail a test (default: {_DEFAULT_LEVEL})",
    )
    group.addoption(
        "--wsgi-ignore",
        action="append",
        default=[],
        metavar="RULE",
        help="let no finding of this rule or chapter fail a test, as in A14 or A; may be repeated",
    )
    parser.addini("wsgi_validate", "as --wsgi-validate, always", type="bool", default=False)
    parser.addini("wsgi_level", "as --wsgi-level", default=_DEFAULT_LEVEL)
    parser.addini("wsgi_ignore", "as --wsgi-ignore, in addition", type="args", default=[])
    parser.addini(
        "wsgi_app_fixture",
        "the fixtures that give WSGI applications: to watch, and the first of them to serve",
        type="args",
        default=["app"],
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin to watch, if that is wanted."""
    level = config.getini("wsgi_level")
    if level not in LEVELS:
        raise pytest.UsageError(f"wsgi_level is one of {', '.join(LEVELS)}, and not {level!r}")
    if _ignored(config):
        from wsgix.conform.rule import Side
        from wsgix.conform.rules import select_rules

        try:
            select_rules(Side.APPLICATION, (), means=(), ignore=_ignored(config))
        except ValueError as error:
            raise pytest.UsageError(f"wsgi_ignore: {error}") from None
    if config.getoption("--wsgi-validate") or config.getini("wsgi_validate"):
        config.pluginmanager.register(_Watch(config), "wsgix-watch")


def _weight(config: pytest.Config, level: str | None = None) -> int:
    return LEVELS[level or config.getoption("--wsgi-level") or config.getini("wsgi_level")]


def _ignored(config: pytest.Config) -> set[str]:
    return {*config.getoption("--wsgi-ignore"), *config.getini("wsgi_ignore")}


# The fixtures


@pytest.fixture
def wsgi_check(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """Judge an application by the whole battery: `wsgi_check(app)` fails the test if it breaks a rule.

    `wsgi_check(application, paths=["/"], level=None, middleware=False, **options)`: `level` is that of
    `--wsgi-level` by default; with `middleware`, a factory of middleware is judged instead. The options are
    those of `wsgix.conform.drive.drive`: `fields`, `profiles`, `select`, `ignore` (added to what the settings
    ignore), `timeout`, `name`. Returns the `wsgix.conform.rule.Report`. The application is really called,
    with POST and DELETE too.
    """

    def check(
        application: Any,
        *,
        paths: Iterable[str] = ("/",),
        level: str | None = None,
        middleware: bool = False,
        ignore: Iterable[str] = (),
        **options: Any,
    ) -> Report:
        from wsgix.conform.drive import drive
        from wsgix.conform.sandwich import judge_middleware

        if level is not None and level not in LEVELS:
            raise ValueError(f"level is one of {', '.join(LEVELS)}, and not {level!r}")
        watch = request.config.pluginmanager.get_plugin("wsgix-watch")
        with watch.paused() if watch is not None else contextlib.nullcontext():
            judge = judge_middleware if middleware else drive
            report = judge(
                application, paths=tuple(paths), ignore=_ignored(request.config).union(ignore), **options
            )
        if report.fault:
            pytest.fail(f"wsgix could not judge: {report.fault}", pytrace=False)
        failures = report.failures(_weight(request.config, level))
        if failures:
            pytest.fail(describe(failures), pytrace=False)
        return report

    return check


@pytest.fixture
def wsgi_server(request: pytest.FixtureRequest) -> Iterator[Callable[..., Server]]:
    """Serve an application until the test ends: `wsgi_server(app).url` is where it is reached.

    `wsgi_server(application=None, **settings)`: without an application, the first fixture that
    `wsgi_app_fixture` names gives it. The settings are those of `wsgix.Server`; a free port of 127.0.0.1 is
    taken by default.
    """
    with contextlib.ExitStack() as running:

        def serve(application: WSGIApplication | None = None, **settings: Any) -> Server:
            from wsgix.server.embedded import Server

            if application is None:
                application = request.getfixturevalue(request.config.getini("wsgi_app_fixture")[0])
            return running.enter_context(Server(application, **settings))

        yield serve


def describe(failures: Iterable[Judgement]) -> str:
    """Return findings as text, some lines each."""
    lines = []
    for failure in failures:
        rule = failure.rule
        lines.append(f"{rule.id} {rule.slug} ({rule.level.value}): {rule.says}")
        lines.append(f"    seen:   {failure.seen}")
        if failure.wanted:
            lines.append(f"    wanted: {failure.wanted}")
        place = ", ".join(filter(None, (failure.case, failure.where)))
        if place:
            lines.append(f"    in:     {place}")
    return "\n".join(lines)


# The watch over applications under test


class _Watch:
    """Wraps what the named fixtures give, and fails the tests in which something was found."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.weight = _weight(config)
        self.ignored = _ignored(config)
        self.names = frozenset(config.getini("wsgi_app_fixture"))
        self.findings: list[Judgement] = []
        self.calls = 0
        self.pauses = 0

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Let pass what happens meanwhile."""
        self.pauses += 1
        try:
            yield
        finally:
            self.pauses -= 1

    def report(self, judgement: Judgement) -> None:
        if not self.pauses and judgement.rule.level.weight >= self.weight:
            self.findings.append(judgement)

    def watched(self, application: WSGIApplication) -> WSGIApplication:
        from wsgix.conform import watch

        watched = watch(application, report=self.report, ignore=self.ignored)

        def counted(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
            self.calls += 1
            return watched(environ, start_response)

        return counted

    # Fixtures

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        value: Any = yield
        if fixturedef.argname not in self.names or fixturedef.cached_result is None:
            return value
        attribute = _attribute_of(value)
        if attribute:
            original = getattr(value, attribute)
            setattr(value, attribute, self.watched(original))
            fixturedef.addfinalizer(lambda: setattr(value, attribute, original))
        elif _is_application(value):
            value = _Watched(value, self.watched(value))
            fixturedef.cached_result = (value, *fixturedef.cached_result[1:])
        return value

    # Tests

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        self.findings.clear()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        try:
            result = yield
        except BaseException:
            if self.findings:
                item.add_report_section("call", "wsgix", self.take())
            raise
        if self.findings:
            pytest.fail(self.take(), pytrace=False)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        result = yield
        if self.findings:
            pytest.fail(self.take(), pytrace=False)
        return result

    def take(self) -> str:
        """Return the findings as text, each once, and forget them."""
        findings, self.findings = self.findings, []
        return describe({(one.rule.id, one.seen, one.where): one for one in findings}.values())

    # What it came to; a process of pytest-xdist hands its number to the one that reports

    def pytest_sessionfinish(self) -> None:
        output = getattr(self.config, "workeroutput", None)
        if output is not None:
            output["wsgix_calls"] = self.calls

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.calls += getattr(node, "workeroutput", {}).get("wsgix_calls", 0)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.calls:
            terminalreporter.write_line(f"wsgix: watched {self.calls} calls of WSGI applications")
        else:
            names = ", ".join(sorted(self.names))
            terminalreporter.write_line(
                f"wsgix: watched no call: no fixture of wsgi_app_fixture ({names}) gave a WSGI application "
                "that was called",
                yellow=True,
            )


class _Watched:
    """An application under the watch that has all attributes of the one it stands for, its class too."""

    def __init__(self, original: Any, watched: WSGIApplication) -> None:
        object.__setattr__(self, "_wsgix", (original, watched))

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        _, watched = object.__getattribute__(self, "_wsgix")
        answer: Iterable[bytes] = watched(environ, start_response)
        return answer

    @property  # type: ignore[misc]  # mypy knows no class that poses as another
    def __class__(self) -> type:
        return type(object.__getattribute__(self, "_wsgix")[0])

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_wsgix")[0], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(object.__getattribute__(self, "_wsgix")[0], name, value)


def _attribute_of(value: Any) -> str:
    """Return the attribute in which an object holds the application that it calls; empty if it is one itself.

    Flask calls its `wsgi_app`; the clients of Werkzeug hold an `application`, those of WebTest and Falcon an
    `app`.
    """
    names = ("wsgi_app",) if callable(value) else ("application", "app")
    for name in names:
        if name in dir(value) and _is_application(getattr(value, name)):
            return name
    return ""


def _is_application(value: Any) -> bool:
    """Tell whether a value may be a WSGI application: it can be called, and is no ASGI application."""
    if not callable(value) or inspect.isclass(value):
        return False
    return not any(map(inspect.iscoroutinefunction, (value, type(value).__call__)))
