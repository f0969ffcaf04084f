"""The battery as a whole: what it asks, how it sums up, and that nothing that hangs or fails can stop it."""

import itertools
import random
import re
import threading
from pathlib import Path

import pytest

from tests.conform.broken.applications import TEXT, for_get, page
from wsgix.conform import drive as module
from wsgix.conform.drive import IN_PROCESS, PROFILES, Tally, drive, sum_up
from wsgix.conform.rule import (
    CLEAN,
    FINDINGS,
    NOT_JUDGED,
    Judgement,
    Level,
    Means,
    Profile,
    Side,
    Verdict,
    exit_status,
)
from wsgix.conform.rules import all_rules, rule_of, select_rules
from wsgix.conform.scenarios import SCENARIOS, Scenario
from wsgix.conform.stage import Stage

hello = page()


def verdicts(report):
    return {judgement.rule.id: judgement.verdict for judgement in report.judgements}


def recording(log):
    def application(environ, start_response):
        log.append(dict(environ))
        return hello(environ, start_response)

    return application


# What is asked


def test_the_battery_asks_by_every_method_and_for_every_path():
    log = []

    drive(recording(log), paths=["/", "/shop?id=1", "/caf%C3%A9"])

    assert {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"} <= {
        environ["REQUEST_METHOD"] for environ in log
    }
    asked = {(environ.get("PATH_INFO"), environ.get("QUERY_STRING")) for environ in log}
    assert {("/", ""), ("/shop", "id=1"), ("/caf\xc3\xa9", "")} <= asked


def test_each_optional_variable_is_absent_at_least_once():
    log = []

    drive(recording(log), fields=[("Cookie", "a=1")])

    for variable in ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR", "HTTP_HOST", "HTTP_COOKIE"):
        assert any(variable not in environ for environ in log), variable
    assert any("wsgi.file_wrapper" not in environ for environ in log)
    posts = [environ for environ in log if environ["REQUEST_METHOD"] == "POST"]
    assert any("CONTENT_TYPE" not in environ for environ in posts)
    assert any("CONTENT_LENGTH" not in environ for environ in posts)


def test_what_must_be_there_always_is():
    log = []

    drive(recording(log))

    for environ in log:
        assert type(environ) is dict
        assert environ["REQUEST_METHOD"]
        assert environ["SERVER_NAME"]
        assert environ["SERVER_PORT"]
        assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"


def test_the_fields_that_the_user_wants_are_in_every_request():
    log = []

    drive(recording(log), fields=iter([("Host", "shop.example"), ("Cookie", "a=1")]))

    with_both = [
        one for one in log if (one.get("HTTP_HOST"), one.get("HTTP_COOKIE")) == ("shop.example", "a=1")
    ]
    assert len(with_both) > len(log) - 10


def test_overlapping_calls_are_made_from_several_threads():
    threads = set()

    def application(environ, start_response):
        threads.add(threading.get_ident())
        return hello(environ, start_response)

    drive(application)

    assert len(threads) > 4


# What is reported


def test_a_clean_application_passes_and_is_not_judged_by_what_it_does_not_do():
    report = drive(hello, name="shop:app")

    found = verdicts(report)
    assert set(found.values()) == {Verdict.PASS, Verdict.NOT_APPLICABLE}
    assert found["H2"] is Verdict.PASS
    assert found["B2"] is Verdict.NOT_APPLICABLE  # it never writes
    assert found["I4"] is Verdict.NOT_APPLICABLE  # nor logs
    assert found["A21"] is Verdict.NOT_APPLICABLE  # nor sends files
    assert report.subject.name == "shop:app"
    assert report.subject.side is Side.APPLICATION
    assert report.profiles == PROFILES
    assert report.date.endswith("+00:00")
    assert report.seconds > 0
    assert exit_status([report]) == CLEAN


def test_the_rules_stand_in_their_order_and_each_is_there():
    report = drive(hello)

    ids = [judgement.rule.id for judgement in report.judgements]
    order = [rule.id for rule in all_rules()]
    assert ids == sorted(ids, key=order.index)
    assert ids == [rule.id for rule in select_rules(Side.APPLICATION, PROFILES, means=IN_PROCESS)]


def test_a_finding_stands_once_for_each_place_and_lists_the_other_cases():
    def application(environ, start_response):
        if environ["REQUEST_METHOD"] == "OPTIONS":
            start_response("204", [])
            return []
        start_response("200", [TEXT])
        return for_get(environ, [b"Hello"])

    report = drive(application)

    findings = report.failures()
    assert [finding.rule.id for finding in findings] == ["H2", "H2"]
    assert findings[0].case == "plain: GET /"
    assert findings[1].case == "methods: OPTIONS /"
    assert findings[0].where.startswith("tests/conform/test_drive.py:")
    assert findings[0].where != findings[1].where
    assert "methods: DELETE /" in findings[0].evidence[-1].note
    assert "more cases" in findings[0].evidence[-1].note
    assert exit_status([report]) == FINDINGS


def test_an_exception_is_shown_from_where_it_enters_the_application():
    def application(environ, start_response):
        raise LookupError("no\nsuch row")

    (finding,) = drive(application, select=["A14"]).failures()

    assert finding.seen == "LookupError came out of its call: no such row"
    assert finding.where.endswith(
        "test_an_exception_is_shown_from_where_it_enters_the_application.<locals>.application"
    )
    trace = finding.evidence[0].note
    assert "raise LookupError" in trace
    assert "play.py" not in trace


def test_profiles_select_and_ignore_choose_the_rules():
    def ids(**options):
        return {judgement.rule.id for judgement in drive(hello, **options).judgements}

    assert ids(select=["H2", "A14"]) == {"H2", "A14"}
    assert {rule[0] for rule in ids(select=["I"])} == {"I"}
    assert {rule[0] for rule in ids(ignore=["A", "H", "B", "I3"])} == {"I"}
    assert "I3" not in ids(ignore=["I3"])
    assert all(Profile.HTTP in rule_of(id).profiles for id in ids(profiles=[Profile.HTTP]))
    assert ids(profiles=[Profile.HTTP]) != ids()


@pytest.mark.parametrize("options", [{"select": ["Z9"]}, {"ignore": ["a14"]}])
def test_a_rule_that_does_not_exist_cannot_be_selected(options):
    with pytest.raises(ValueError, match=r"there is no rule or chapter '(Z9|a14)'; `wsgix rules` lists them"):
        drive(hello, **options)


def test_rules_of_servers_and_what_only_a_probe_sees_are_not_judged():
    rules = select_rules(Side.APPLICATION, frozenset(Profile), means=IN_PROCESS)

    assert rules
    for rule in rules:
        assert rule.binds is Side.APPLICATION
        assert {Means.WATCH, Means.DRIVE} & set(rule.means)


def test_the_gravest_verdict_of_a_rule_is_the_one_that_is_reported():
    rule = rule_of("A2")
    calls = Tally()
    found = [
        Judgement(rule, Verdict.INFORMATION, seen="c"),
        Judgement(rule, Verdict.FAIL, seen="a"),
        Judgement(rule_of("A3"), Verdict.FAIL, seen="b"),
    ]

    assert [one.seen for one in sum_up(rule, found, calls)] == ["a"]
    assert [one.verdict for one in sum_up(rule, found[:1], calls)] == [Verdict.INFORMATION]
    assert [one.verdict for one in sum_up(rule, [], calls)] == [Verdict.PASS]


# What hangs, fails and never works


@pytest.fixture
def ended():
    """An event that lets go, at the end of the test, what hangs."""
    event = threading.Event()
    yield event
    event.set()


def test_an_application_that_never_answers_is_not_judged(ended):
    def application(environ, start_response):
        ended.wait()

    report = drive(application, timeout=2)

    assert report.fault == "GET / was not answered within 2 s; give more by --timeout"
    assert report.judgements == ()
    assert exit_status([report]) == NOT_JUDGED


def test_a_scenario_that_hangs_is_abandoned_and_the_others_go_on(ended):
    def application(environ, start_response):
        if environ.get("HTTP_UPGRADE"):
            ended.wait()
        return hello(environ, start_response)

    report = drive(application, timeout=2)

    found = verdicts(report)
    assert found.pop("I8") is Verdict.SETUP_FAILED
    assert set(found.values()) == {Verdict.PASS, Verdict.NOT_APPLICABLE}
    (abandoned,) = [one for one in report.judgements if one.verdict is Verdict.SETUP_FAILED]
    assert abandoned.seen == "GET / with Upgrade: websocket did not end within 2 s"
    assert abandoned.case == "hop-by-hop: GET / with Upgrade: websocket"


def pooled(ended, permits):
    """Make an application that takes one of a few permits for its blocks, and gives it back with the last."""
    pool = threading.Semaphore(permits)

    class Blocks:
        def __init__(self):
            self.left = [b"one", b"two"]

        def __iter__(self):
            return self

        def __next__(self):
            if len(self.left) == 2:
                while not pool.acquire(timeout=0.05):
                    if ended.is_set():
                        raise StopIteration
            if not self.left:
                pool.release()
                raise StopIteration
            return self.left.pop(0)

    def application(environ, start_response):
        start_response("200 OK", [TEXT])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else Blocks()

    return application


def test_where_to_hang_is_the_fault_the_rule_is_broken_and_the_rest_depends_on_it(ended):
    report = drive(pooled(ended, 3), timeout=2)

    (finding,) = report.failures()
    assert finding.rule.id == "A12"
    assert finding.seen == "GET / closed after 1 blocks did not end within 2 s"
    found = verdicts(report)
    assert found["H29"] is Verdict.DEPENDENCY_FAILED
    assert found["I11"] is Verdict.DEPENDENCY_FAILED
    assert found["I8"] is Verdict.PASS


def test_what_hangs_for_good_is_asked_no_further(ended):
    report = drive(pooled(ended, 1), timeout=2, select=["A3", "A12"])

    assert verdicts(report) == {"A3": Verdict.SETUP_FAILED, "A12": Verdict.DEPENDENCY_FAILED}
    (told,) = [one for one in report.judgements if one.rule.id == "A12"]
    assert told.seen.startswith("the application answers no more since interleaved: GET /")
    assert exit_status([report]) == NOT_JUDGED


def test_a_response_without_an_end_is_closed_early():
    class Endless:
        def __iter__(self):
            return self

        def __next__(self):
            return b"tick\n" * 100

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return for_get(environ, Endless())

    assert drive(application).failures() == []


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.name for scenario in SCENARIOS])
def test_what_was_answered_for_other_paths_is_not_kept(scenario):
    kept = []

    def application(environ, start_response):
        kept.append(sum(len(call.content) for call in list(stage.calls)))
        start_response("200 OK", [TEXT])
        return [b"x" * 1000]

    def most_kept(paths):
        nonlocal stage
        kept.clear()
        stage = Stage(
            application, scenario.name, tuple(f"/{number}" for number in range(paths)), (), PROFILES
        )
        list(scenario.function(stage))
        return max(kept)

    stage = None

    assert most_kept(20) < 1000 * 100
    assert most_kept(20) <= most_kept(2) + 1000 * 8  # calls at the same time see each other


def test_an_application_that_works_once_only_is_judged_no_further():
    called = []

    def application(environ, start_response):
        called.append(environ)
        if len(called) > 1:
            raise RuntimeError("I am closed")
        return hello(environ, start_response)

    report = drive(application)

    found = verdicts(report)
    assert found["A2"] is Verdict.FAIL
    assert found["I12"] is Verdict.DEPENDENCY_FAILED
    assert found["A14"] is Verdict.DEPENDENCY_FAILED
    assert [finding.rule.id for finding in report.failures()] == ["A2"]


def test_an_application_that_knows_no_such_path_is_judged_and_the_user_told():
    report = drive(page(status="404 Not Found"))

    (told,) = [one for one in report.judgements if one.verdict is Verdict.INFORMATION]
    assert told.rule.id == "A2"
    assert told.seen == "GET / is answered with '404 Not Found': what is behind other paths was not judged"
    assert exit_status([report]) == CLEAN


def test_an_application_that_fails_always_is_not_judged():
    report = drive(page(status="500 Oops"))

    assert (
        report.fault
        == "GET / is answered with '500 Oops', and no other path goes better; see what the log says"
    )
    assert exit_status([report]) == NOT_JUDGED
    assert verdicts(report)["H2"] is Verdict.PASS
    assert [one.rule.id for one in drive(page(status="500")).failures()] == ["H2"]


def test_an_application_that_always_breaks_off_is_not_judged():
    def application(environ, start_response):
        start_response("200 OK", [TEXT])
        if environ["REQUEST_METHOD"] != "HEAD":
            yield b"Hello"
            raise LookupError("no more rows")

    report = drive(application, select=["A2", "H2"])

    assert (
        report.fault
        == "GET / ends in an exception, LookupError, and no other path goes better; see what the log says"
    )
    assert exit_status([report]) == NOT_JUDGED


def test_an_application_that_fails_on_get_is_not_judged_by_what_needs_a_comparison():
    def application(environ, start_response):
        fails = environ["REQUEST_METHOD"] == "GET"
        return page(status="500" if fails else "200 OK")(environ, start_response)

    report = drive(application)

    found = verdicts(report)
    assert {found[id] for id in ("A3", "A5", "A12", "H28", "H29", "I8", "I12")} == {Verdict.SETUP_FAILED}
    (told,) = [one for one in report.judgements if one.rule.id == "A12"]
    assert told.seen == "GET / is answered with '500', so that there is nothing to compare with"
    assert found["H2"] is Verdict.FAIL
    assert found["A14"] is Verdict.PASS


def test_what_changes_by_itself_is_no_difference():
    toss = random.Random(7)

    def application(environ, start_response):
        side = toss.choice(["heads", "tails"])
        start_response("200 OK", [TEXT, ("X-" + side, side), ("X-Side", side)])
        return for_get(environ, [side.encode()])

    assert [drive(application).failures() for _ in range(5)] == [[]] * 5


@pytest.mark.parametrize("period", [2, 3, 5, 7, 9])
@pytest.mark.parametrize("first", [0, 1, 2])
def test_an_application_that_refuses_now_and_then_is_not_blamed_for_what_was_asked_then(period, first):
    counter = itertools.count(first)

    def application(environ, start_response):
        busy = next(counter) % period == 0
        start_response("503 Busy" if busy else "200 OK", [TEXT])
        return for_get(environ, [b"Busy" if busy else b"Hello"])

    assert drive(application).failures() == []


def test_a_scenario_that_fails_is_the_fault_of_the_referee(monkeypatch):
    def wrong(stage):
        yield from ()
        raise KeyError("oops")

    scenarios = [Scenario("odd-paths", "", wrong) if one.name == "odd-paths" else one for one in SCENARIOS]
    monkeypatch.setattr(module, "SCENARIOS", tuple(scenarios))

    report = drive(hello)

    (failed,) = [one for one in report.judgements if one.verdict is Verdict.HARNESS_FAILED]
    assert failed.rule.id == "I12"
    assert failed.seen == "the scenario failed: KeyError('oops')"
    assert "KeyError" in failed.evidence[0].note


def test_an_application_that_ends_the_process_does_not():
    def application(environ, start_response):
        raise SystemExit(7)

    (finding,) = drive(application, select=["A14"]).failures()

    assert finding.seen == "SystemExit came out of its call: 7"


class Sullen(Exception):
    def __str__(self):
        raise RuntimeError("not to be printed")

    __repr__ = __str__


@pytest.mark.parametrize("method", ["GET", "BREW"])
def test_an_exception_that_does_not_want_to_be_printed_is_a_finding_like_any(method):
    def application(environ, start_response):
        if environ["REQUEST_METHOD"] == method:
            raise Sullen
        return hello(environ, start_response)

    report = drive(application, select=["A14"])

    (finding,) = report.judgements
    assert finding.verdict is Verdict.FAIL
    assert finding.seen == "Sullen came out of its call"


class Status(str):
    __slots__ = ()

    def __str__(self):
        raise RuntimeError("not to be printed")

    __repr__ = __format__ = lower = __str__


class Block(bytes):
    def __len__(self):
        raise RuntimeError("not to be measured")

    __repr__ = __bool__ = __len__


def test_a_status_and_a_block_that_do_not_want_to_be_looked_at_are_findings_like_any():
    def application(environ, start_response):
        start_response(Status("200 OK"), [TEXT])
        return for_get(environ, [Block(b"x")])

    report = drive(application)

    assert {one.rule.id for one in report.failures()} == {"H1", "B1"}
    assert Verdict.HARNESS_FAILED not in verdicts(report).values()


# The table of scenarios


def test_the_scenarios_have_names_of_their_own_and_a_sentence_each():
    names = [scenario.name for scenario in SCENARIOS]

    assert len(set(names)) == len(names)
    assert all(scenario.says.endswith(".") and scenario.function.__doc__ for scenario in SCENARIOS)


def test_every_drive_observer_of_a_rule_for_applications_is_a_scenario_that_is_played():
    named = {
        observer.point
        for rule in all_rules()
        if rule.binds is Side.APPLICATION
        for observer in rule.observers
        if observer.means is Means.DRIVE
    }

    assert named <= {scenario.name for scenario in SCENARIOS}
    for scenario in SCENARIOS:
        assert scenario.hang_breaks <= {rule.id for rule in scenario.rules()}


def test_a_permission_is_never_judged():
    assert not [
        rule.id
        for rule in select_rules(Side.APPLICATION, frozenset(Profile), means=IN_PROCESS)
        if rule.level is Level.MAY
    ]


def test_the_document_lists_the_scenarios_as_they_are():
    text = Path(__file__).parents[2].joinpath("docs", "referee-check.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| ([a-z]+[a-z-]*) \| (.*?) \| (.*?) ?\|$", text, re.MULTILINE)

    assert listed == [
        (scenario.name, scenario.says, ", ".join(rule.id for rule in scenario.rules()))
        for scenario in SCENARIOS
    ]


def test_faults_of_different_rules_do_not_hide_each_other():
    headers = [TEXT]

    def application(environ, start_response):
        path = environ["PATH_INFO"].encode("latin-1").decode()
        if environ["REQUEST_METHOD"] == "POST":
            raise LookupError(path)
        if environ.get("HTTP_TE"):
            return page(b"other")(environ, start_response)
        start_response("200", headers)
        return [b"Hello"]

    report = drive(application)

    assert {one.rule.id for one in report.failures()} == {"A14", "B9", "H2", "H29", "I7", "I8", "I12"}
