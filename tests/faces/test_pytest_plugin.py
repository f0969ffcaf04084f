"""The pytest plugin: runs of pytest within pytest, each over a test file of its own."""

import sys
from types import SimpleNamespace

import pytest

from wsgix.conform.rule import Judgement, Verdict
from wsgix.conform.rules import all_rules, rule_of
from wsgix.pytest_plugin import _Watch, describe

pytest_plugins = ["pytester"]

# A run within a run forgets the modules that it loaded, and rules would get their observers twice.
all_rules()

APPLICATIONS = """
import pytest


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"Hello"] if environ["REQUEST_METHOD"] != "HEAD" else []


def broken(environ, start_response):
    start_response("200", [("Content-Type", "text/plain")])
    return [b"Hello"] if environ["REQUEST_METHOD"] != "HEAD" else []


def write(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])(b"Hello")
    return []


def call(application, **more):
    environ = {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/", "QUERY_STRING": "",
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http",
        "wsgi.multithread": False, "wsgi.multiprocess": False, "wsgi.run_once": False,
        "wsgi.input": __import__("io").BytesIO(), "wsgi.errors": __import__("io").StringIO(), **more
    }
    starts, written = [], []
    def start_response(status, headers, exc_info=None):
        starts.append(status)
        return written.append
    result = application(environ, start_response)
    try:
        written += result
    finally:
        getattr(result, "close", lambda: None)()
    return starts[-1], b"".join(written)
"""


CALLS = """
@pytest.fixture
def app(): return {}

def test_call(app): assert call(app)[1] == b"Hello"
"""


@pytest.fixture
def run(pytester):
    """Run pytest over *source*, which may use `APPLICATIONS`, and return the result."""

    def run(source, *options, ini=""):
        pytester.makepyfile(applications=APPLICATIONS, test_it="from applications import *\n" + source)
        pytester.makeini(f"[pytest]\n{ini}")
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist", *options)

    return run


# wsgi_check


def test_wsgi_check_lets_a_correct_application_pass_and_returns_the_report(run):
    result = run(
        """
        def test_hello(wsgi_check):
            report = wsgi_check(hello)
            assert report.failures() == []
            assert report.judgements
        """.replace("\n        ", "\n")
    )

    result.assert_outcomes(passed=1)


def test_wsgi_check_fails_the_test_with_what_it_found_and_no_traceback(run):
    result = run("def test_broken(wsgi_check): wsgi_check(broken)")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "H2 status-shape (MUST): *",
            "    seen:   *'200'*",
            "    wanted: *",
            "    in:     plain: GET /, applications.py:* in broken",
        ]
    )
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")


def test_wsgi_check_asks_for_the_paths_and_passes_its_options_on(run):
    result = run(
        """
def only_there(environ, start_response):
    return (broken if environ.get("PATH_INFO") == "/there" else hello)(environ, start_response)

def test_elsewhere(wsgi_check): wsgi_check(only_there)
def test_there(wsgi_check): wsgi_check(only_there, paths=["/", "/there"])
def test_ignored(wsgi_check): wsgi_check(only_there, paths=["/there"], ignore=["H2"])
"""
    )

    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines("*plain: GET /there*")


def test_wsgi_check_judges_middleware(run):
    result = run(
        """
def good(app): return lambda environ, start_response: app(environ, start_response)
def bad(app): return lambda environ, start_response: (block for block in app(environ, start_response))

def test_good(wsgi_check): wsgi_check(good, middleware=True)
def test_bad(wsgi_check): wsgi_check(bad, middleware=True)
"""
    )

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines("M7 forwards-close (MUST): *")


def test_wsgi_check_says_when_it_could_not_judge(run):
    result = run("def test_it(wsgi_check): wsgi_check(lambda app: None, middleware=True)")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines("*could not judge: middleware returned None*")


@pytest.mark.parametrize(
    ("level", "outcome"), [("must", "passed"), ("should", "failed"), ("de-facto", "failed")]
)
def test_the_level_decides_which_findings_fail_a_test(run, level, outcome):
    source = "def test_it(wsgi_check): wsgi_check(write, ignore=['B9'])"

    run(source, "--wsgi-level", level).assert_outcomes(**{outcome: 1})
    run(source, ini=f"wsgi_level = {level}").assert_outcomes(**{outcome: 1})
    run(f"def test_it(wsgi_check): wsgi_check(write, ignore=['B9'], level={level!r})").assert_outcomes(
        **{outcome: 1}
    )


def test_a_level_that_is_none_is_refused(run):
    wrong = run("def test_it(wsgi_check): wsgi_check(hello, level='high')")
    wrong.assert_outcomes(failed=1)
    wrong.stdout.fnmatch_lines("*level is one of must, should, de-facto, and not 'high'")

    refused = run("def test_it(): pass", ini="wsgi_level = high")
    refused.stderr.fnmatch_lines("*wsgi_level is one of must, should, de-facto, and not 'high'")


@pytest.mark.parametrize("how", ["--wsgi-ignore=H2", "--wsgi-ignore=H", "wsgi_ignore = I7 H2"])
def test_rules_can_be_ignored_by_option_and_by_setting(run, how):
    options, ini = ([how], "") if how.startswith("--") else ([], how)
    source = CALLS.format("broken") + "\ndef test_check(wsgi_check): wsgi_check(broken, ignore=['A'])\n"

    run(source, "--wsgi-validate", *options, ini=ini).assert_outcomes(passed=2)
    run(source, "--wsgi-validate", "--wsgi-ignore=H3").assert_outcomes(failed=2)


@pytest.mark.parametrize("how", ["--wsgi-ignore=Z9", "wsgi_ignore = H2 Z9"])
def test_a_rule_that_does_not_exist_cannot_be_ignored(run, how):
    options, ini = ([how], "") if how.startswith("--") else ([], how)

    result = run(CALLS.format("hello"), "--wsgi-validate", *options, ini=ini)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines("*wsgi_ignore: there is no rule or chapter 'Z9'; `wsgix rules` lists them")


def test_wsgi_check_ignores_no_rule_that_does_not_exist(run):
    result = run("def test_check(wsgi_check): wsgi_check(hello, ignore=['Z9'])")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines("*ValueError: there is no rule or chapter 'Z9'*")


# --wsgi-validate


def test_without_the_option_nothing_is_watched(run):
    result = run(CALLS.format("broken"))

    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("wsgix:*")


@pytest.mark.parametrize("how", [{"ini": "wsgi_validate = true"}, {}])
def test_an_application_under_test_is_watched(run, how):
    options = [] if how else ["--wsgi-validate"]

    result = run(CALLS.format("broken"), *options, **how)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["H2 status-shape (MUST): *", "wsgix: watched 1 calls of WSGI applications"])


def test_a_correct_application_passes_under_the_watch(run):
    run(CALLS.format("hello"), "--wsgi-validate").assert_outcomes(passed=1)


def test_findings_of_a_test_that_failed_anyway_stand_beside_its_failure(run):
    result = run(
        """
@pytest.fixture
def app(): return broken

def test_call(app): assert call(app)[0] == "404 Not Found"
""",
        "--wsgi-validate",
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*AssertionError*", "*wsgix*", "H2 status-shape (MUST): *"])


def test_a_test_that_fails_over_a_correct_application_fails_as_ever(run):
    result = run(
        """
@pytest.fixture
def app(): return hello

def test_call(app): assert call(app)[0] == "404 Not Found"
""",
        "--wsgi-validate",
    )

    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*-- wsgix --*")


def test_findings_belong_to_the_test_in_which_they_were_made(run):
    result = run(
        """
@pytest.fixture(scope="module")
def app(): return lambda environ, start: (broken if environ["PATH_INFO"] == "/bad" else hello)(environ, start)

def test_good(app): call(app)
def test_bad(app): call(app, PATH_INFO="/bad")
def test_good_again(app): call(app)
""",
        "--wsgi-validate",
        "-v",
    )

    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*test_good PASSED*", "*test_bad FAILED*", "*test_good_again PASSED*"])


def test_findings_made_in_the_teardown_fail_that(run):
    result = run(
        """
@pytest.fixture
def app(): return broken

@pytest.fixture
def late(app):
    yield
    call(app)

def test_it(late): pass
""",
        "--wsgi-validate",
    )

    result.assert_outcomes(passed=1, errors=1)


def test_a_fixture_may_yield_and_have_another_name(run):
    result = run(
        """
@pytest.fixture
def shop():
    yield broken

@pytest.fixture
def blog(): return broken

def test_shop(shop): call(shop)
def test_blog(blog): call(blog)
def test_more(shop, request): assert request.getfixturevalue("shop") is shop
""",
        "--wsgi-validate",
        ini="wsgi_app_fixture = shop blog",
    )

    result.assert_outcomes(passed=1, failed=2)


def test_the_watched_application_has_the_attributes_and_the_class_of_its_own(run):
    result = run(
        """
class Application:
    greeting = "Hello"

    def __call__(self, environ, start_response):
        return broken(environ, start_response)

THE_ONE = Application()

@pytest.fixture
def app(): return THE_ONE

def test_it(app):
    assert isinstance(app, Application)
    assert app.greeting == "Hello"
    app.greeting = "Servus"
    assert THE_ONE.greeting == "Servus"

def test_call(app): call(app)
""",
        "--wsgi-validate",
    )

    result.assert_outcomes(passed=1, failed=1)


@pytest.mark.parametrize("attribute", ["app", "application"])
def test_a_client_that_holds_the_application_is_watched_through_it_and_left_as_it_was(run, attribute):
    result = run(
        f"""
class Client:
    def __init__(self, application): self.{attribute} = application
    def get(self): return call(self.{attribute})

THE_ONE = Client(broken)

@pytest.fixture
def app(): return THE_ONE

def test_get(app): app.get()
def test_before(): assert THE_ONE.{attribute} is broken
""",
        "--wsgi-validate",
    )

    result.assert_outcomes(failed=1, passed=1)


def test_a_flask_application_is_watched_in_its_test_client(run):
    result = run(
        """
import flask

@pytest.fixture
def app():
    app = flask.Flask("shop")

    @app.get("/")
    def index(): return flask.Response("Hello", headers={"Connection": "close"})

    return app

@pytest.fixture
def client(app): return app.test_client()

def test_index(client): assert client.get("/").text == "Hello"
def test_missing(client): assert client.get("/missing").status_code == 404
""",
        "--wsgi-validate",
    )

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines("H13 no-hop-by-hop (MUST NOT): *")


@pytest.mark.parametrize(
    "value",
    ["7", "None", "Class", "coroutine", "Asgi()", "{'app': hello}"],
)
def test_what_is_no_wsgi_application_is_left_alone_and_the_summary_tells(run, value):
    result = run(
        f"""
class Class: pass
async def coroutine(scope, receive, send): pass
class Asgi:
    async def __call__(self, scope, receive, send): pass

VALUE = {value}

@pytest.fixture
def app(): return VALUE

def test_it(app): assert app is VALUE
""",
        "--wsgi-validate",
    )

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines("wsgix: watched no call: *(app)*")


def test_a_fixture_that_fails_is_reported_as_ever(run):
    result = run(
        """
@pytest.fixture
def app(): raise KeyError("no such shop")

def test_it(app): pass
""",
        "--wsgi-validate",
    )

    result.assert_outcomes(errors=1)


def test_what_wsgi_check_finds_is_not_found_a_second_time_by_the_watch(run):
    result = run(
        """
@pytest.fixture
def app(): return broken

def test_it(app, wsgi_check): wsgi_check(app, ignore=["H2"])
""",
        "--wsgi-validate",
    )

    result.assert_outcomes(passed=1)


def test_processes_of_xdist_add_their_calls_up(pytester):
    pytester.makepyfile(
        applications=APPLICATIONS,
        test_it="""
from applications import *

@pytest.fixture
def app(): return hello

@pytest.mark.parametrize("number", range(4))
def test_call(app, number): call(app)
""",
    )

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--wsgi-validate", "-n", "2")

    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines("wsgix: watched 4 calls of WSGI applications")


def test_a_process_of_xdist_hands_its_calls_over_and_the_one_that_reports_adds_them(
    pytestconfig, monkeypatch
):
    watch = _Watch(pytestconfig)
    watch.calls = 3
    watch.pytest_sessionfinish()  # this may be no process of xdist: there is nobody to hand it to
    monkeypatch.setattr(pytestconfig, "workeroutput", {}, raising=False)
    watch.pytest_sessionfinish()

    watch.pytest_testnodedown(node=SimpleNamespace(workeroutput=pytestconfig.workeroutput))
    watch.pytest_testnodedown(node=SimpleNamespace())

    assert watch.calls == 6


def test_a_finding_is_told_without_what_is_not_known_of_it():
    rule = rule_of("A2")

    assert describe([Judgement(rule, Verdict.FAIL, seen="no content")]) == (
        f"A2 callable-again (MUST): {rule.says}\n    seen:   no content"
    )


# wsgi_server


def test_wsgi_server_serves_an_application_on_a_free_port_until_the_test_ends(run):
    result = run(
        """
import urllib.request

class Running:
    url = ""

def test_served(wsgi_server):
    server = wsgi_server(hello)
    other = wsgi_server(hello, threads=2)
    Running.url = server.url
    assert server.url.startswith("http://127.0.0.1:") and server.url != other.url
    assert urllib.request.urlopen(server.url).read() == b"Hello"

def test_gone():
    with pytest.raises(OSError):
        urllib.request.urlopen(Running.url, timeout=10)
"""
    )

    result.assert_outcomes(passed=2)


def test_wsgi_server_serves_the_application_under_test_and_the_watch_sees_that(run):
    source = """
import urllib.request

@pytest.fixture
def app(): return broken

def test_served(wsgi_server):
    assert urllib.request.urlopen(wsgi_server().url).read() == b"Hello"
"""

    run(source).assert_outcomes(passed=1)
    run(source, "--wsgi-validate").assert_outcomes(failed=1)


# Loading


def test_the_plugin_is_found_by_its_entry_point_and_shows_its_fixtures(run):
    result = run("def test_it(): pass", "--fixtures")

    result.stdout.fnmatch_lines(["*fixtures defined from wsgix.pytest_plugin*", "wsgi_server -- *"])


def test_loading_the_plugin_loads_neither_the_server_nor_the_referee(pytester):
    pytester.makepyfile(
        test_it="""
import sys

def test_it():
    assert "wsgix.pytest_plugin" in sys.modules
    rooms = ("wsgix.server", "wsgix.conform", "wsgix.wire")
    assert not [name for name in sys.modules if name.startswith(rooms)]
"""
    )

    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
    assert "wsgix.pytest_plugin" in sys.modules
