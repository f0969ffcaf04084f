"""How cases are run, and what is made of their outcomes."""

import os
import sys
import threading
from pathlib import Path

import pytest

from tests.conform.broken import reference
from tests.conform.broken.judging import broken_rules, not_judged
from wsgix.conform import probe_app
from wsgix.conform.probe import (
    CannotJudge,
    Options,
    greet,
    judge,
    probe_command,
    probe_server,
    probe_url,
    server_rules,
    target_of,
)
from wsgix.conform.probe_case import Cases, Failed, Information, NotApplicable, SetUpFailed, Target
from wsgix.conform.probe_client import Connection, MalformedResponse, NoAnswer, Refused
from wsgix.conform.rule import NOT_JUDGED, Level, Profile, Rule, Side, Source, Verdict, exit_status
from wsgix.conform.servers import GROUPS, SERVERS, LaunchError, Server, installed_version, launch, row_of

SERVE = Path(__file__).with_name("serve_reference.py")


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("WSGI_PROBE_FOLDER", str(tmp_path))
    with reference.Serving(reference.Reference, probe_app.app) as serving:
        yield serving


def rule_with(cases, rule_id="T1"):
    rule = Rule(
        id=rule_id,
        slug="test",
        level=Level.MUST,
        binds=Side.SERVER,
        source=Source("test", "test"),
        says="",
        why="",
    )
    cases.attach_to([rule])
    return rule


def judge_cases(server, cases, **how):
    return judge(greet(Target(server.address)), Options([rule_with(cases)], **how))


@pytest.mark.parametrize(
    ("raised", "verdict"),
    [
        (Failed("this", "that"), Verdict.FAIL),
        (Information("this"), Verdict.INFORMATION),
        (NotApplicable("this"), Verdict.NOT_APPLICABLE),
        (SetUpFailed("this"), Verdict.SETUP_FAILED),
        (NoAnswer("this"), Verdict.FAIL),
        (MalformedResponse("this"), Verdict.FAIL),
        (Refused("this"), Verdict.SETUP_FAILED),
        (ZeroDivisionError("this"), Verdict.HARNESS_FAILED),
    ],
)
def test_what_a_case_raises_is_its_verdict(server, raised, verdict):
    cases = Cases()

    @cases.of("T1")
    def raising(client):
        """Something is so."""
        raise raised

    (judgement,) = judge_cases(server, cases)

    assert judgement.verdict is verdict
    assert judgement.seen.endswith("this")
    assert judgement.wanted == (getattr(raised, "wanted", "") or "Something is so.")
    assert judgement.case == "raising"


def test_a_case_that_returns_passed_and_tells_what_it_saw(server):
    cases = Cases()

    @cases.of("T1")
    def returning(client):
        """Something is so."""
        return client.do("start=200 OK", "return=list", "block=hello").content.decode()

    (judgement,) = judge_cases(server, cases)

    assert (judgement.verdict, judgement.seen) == (Verdict.PASS, "hello")
    assert b"GET /do?token=" in judgement.evidence[0].sent
    assert judgement.evidence[0].received.endswith(b"\r\n\r\nhello")
    assert judgement.evidence[-1].note == "the application noted: called, block, exhausted"
    assert judgement.seconds > 0


def test_what_a_case_needs_is_asked_first_and_once_and_a_chain_tells_its_first_link(server):
    cases, asked = Cases(), []

    @cases.of("T1", "second")
    def third(client):
        """Third."""
        asked.append("third")

    @cases.of("T1", "first")
    def second(client):
        """Second."""
        asked.append("second")

    @cases.of("T1")
    def first(client):
        """First."""
        asked.append("first")
        raise Failed("it is broken")

    found = {one.case: one for one in judge_cases(server, cases, jobs=1)}

    assert asked == ["first"]
    assert found["second"].verdict is found["third"].verdict is Verdict.DEPENDENCY_FAILED
    assert found["third"].seen == "first (T1) did not pass: it is broken"


def test_what_needs_something_that_does_not_apply_does_not_apply(server):
    cases = Cases()

    @cases.of("T1")
    def first(client):
        """First."""
        raise NotApplicable("there is none")

    @cases.of("T1", "first")
    def second(client):
        """Second."""

    assert {one.verdict for one in judge_cases(server, cases)} == {Verdict.NOT_APPLICABLE}


def test_what_is_needed_of_rules_that_are_not_selected_is_asked_and_not_reported(server):
    rules = [rule for rule in server_rules() if rule.id == "P2"]

    (judgement,) = judge(greet(Target(server.address)), Options(rules))

    assert (judgement.case, judgement.verdict) == ("date-is-true", Verdict.PASS)


def test_what_fails_beside_others_is_asked_once_more_alone(server):
    cases, asked = Cases(), []

    @cases.of("T1")
    def unlucky(client):
        """It passes when it is alone."""
        asked.append(threading.current_thread())
        if len(asked) == 1:
            raise Failed("too slow")

    (judgement,) = judge_cases(server, cases)

    assert judgement.verdict is Verdict.PASS
    assert judgement.seen == "(beside other requests once: too slow)"
    assert len(asked) == 2


def test_notes_that_come_over_http_give_the_same_verdicts(server):
    judgements = judge(Target(server.address, output=lambda: server.log.text), Options(server_rules()))

    assert broken_rules(judgements) == set()
    assert not_judged(judgements) == []


def test_no_note_is_left_behind(server, tmp_path):
    judge(greet(Target(server.address)), Options([rule for rule in server_rules() if rule.id[0] in "RC"]))

    assert os.listdir(tmp_path) == []


# Servers that are started.


def command(how):
    return f"{sys.executable} {SERVE} {how} {{host}} {{port}} {{module}} {{attribute}}"


def test_a_server_is_judged_by_its_command():
    report = probe_command(command("plain"))

    assert report.fault == ""
    assert broken_rules(report.judgements) == set()
    assert not_judged(report.judgements) == []
    assert report.date.endswith("+00:00")


def multiprocess(how):
    rules = [rule for rule in server_rules() if rule.id in ("C13", "E18")]
    report = probe_command(command(how), options=Options(rules))
    return {one.case: (one.verdict, one.seen) for one in report.judgements}["multiprocess-is-true"]


def test_a_server_with_processes_that_does_not_say_so_is_found():
    verdict, seen = multiprocess("silent-prefork")

    assert verdict is Verdict.FAIL
    assert seen == "it is False, and 2 processes serve the application"


def test_a_server_with_processes_that_says_so_passes():
    assert multiprocess("prefork")[0] is Verdict.PASS


def test_a_server_that_a_case_ends_is_started_again_and_only_that_case_fails():
    rules = [rule for rule in server_rules() if rule.id in ("E4", "E12", "R24", "P2")]

    report = probe_command(command("fragile"), options=Options(rules))

    assert broken_rules(report.judgements) == {"E4"}
    assert not_judged(report.judgements) == []
    (fail,) = [one for one in report.judgements if one.verdict is Verdict.FAIL]
    assert fail.seen == "the server is gone: exit status 3"


def test_a_command_that_ends_at_once_cannot_be_judged():
    report = probe_command(f"{sys.executable} -c 'raise SystemExit(\"not today\")'")

    assert report.fault == "it ended while it started (exit status 1); it said: not today"
    assert exit_status([report]) == NOT_JUDGED


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the command is empty"),
        ("serve 'me", "the command cannot be read"),
        ("/no/such/server", "be run"),
    ],
)
def test_what_is_no_command_is_told(text, message):
    assert message in probe_command(text).fault


def test_a_profile_narrows_the_rules():
    report = probe_command(command("plain"), profiles={Profile.STDLIB})

    assert {judgement.rule.id for judgement in report.judgements} == {"E16"}
    assert report.profiles == {Profile.STDLIB}


def test_a_server_that_an_interpreter_has_not_got_cannot_be_judged(monkeypatch):
    row = Server("nothing", ("nothing",), ("wsgi-of-nowhere",), "wsgi-of-nowhere", ("wsgi_of_nowhere",))

    assert installed_version(row) == ""
    with pytest.raises(LaunchError, match=r"has not got it \(pip install wsgi-of-nowhere\)"):
        launch(row)


def test_a_process_and_its_folder_are_gone_afterwards():
    with launch(command("prefork")) as launched:
        folder = launched._folder
        assert not launched.gone()

    assert not folder.exists()
    assert launched.gone()
    with pytest.raises(Refused):
        Connection(("127.0.0.1", launched.port), 1.0)


def test_the_table_of_servers_is_sound():
    names = [row.name for row in SERVERS]

    assert len(names) == len(set(names))
    assert all(row.requirements or row.modules for row in SERVERS)
    assert {name for group in GROUPS.values() for name in group} <= set(names)
    assert row_of("wsgix").needs_wsgix
    with pytest.raises(KeyError):
        row_of("gunicorn")


def test_the_standard_librarys_server_is_judged_and_its_known_faults_are_found():
    rules = [rule for rule in server_rules() if rule.id in ("R3", "R5", "R7", "R26", "P3")]

    report = probe_server("wsgiref", options=Options(rules))

    # Empty blocks send the head, more than Content-Length is sent, HEAD has content, and a second
    # start_response after a failed one is let pass.
    assert broken_rules(report.judgements) == {"R3", "R7", "R26", "P3"}
    assert report.subject.version


# Servers that run already.


def test_a_server_at_a_url_is_judged(server):
    host, port = server.address

    report = probe_url(f"http://{host}:{port}", options=Options(server_rules()))

    assert report.fault == ""
    assert broken_rules(report.judgements) == set()
    unseen = {one.rule.id for one in report.judgements if "output of the server" in one.seen}
    assert unseen == {"S14", "R30", "C9"}


def test_an_application_below_a_path_is_judged(monkeypatch, tmp_path):
    monkeypatch.setenv("WSGI_PROBE_FOLDER", str(tmp_path))

    def mounted(environ, start_response):
        path = environ["PATH_INFO"]
        if path.startswith("/below"):
            environ["SCRIPT_NAME"], environ["PATH_INFO"] = "/below", path.removeprefix("/below")
        return probe_app.app(environ, start_response)

    rules = [rule for rule in server_rules() if rule.id[0] in "EX"]
    with reference.Serving(reference.Reference, mounted) as serving:
        report = probe_url(f"http://127.0.0.1:{serving.address[1]}/below/", options=Options(rules))

    assert broken_rules(report.judgements) == set()
    assert not_judged(report.judgements) == []


def test_what_is_not_the_probe_application_cannot_be_judged():
    def other(environ, start_response):
        start_response("200 OK", [("Content-Length", "5")])
        return [b"hello"]

    with (
        reference.Serving(reference.Reference, other) as serving,
        pytest.raises(CannotJudge, match="not the probe application"),
    ):
        greet(Target(serving.address))


def test_nobody_at_the_url_is_a_fault():
    with reference.Serving(reference.Reference, probe_app.app) as serving:
        port = serving.address[1]

    assert "no connection" in probe_url(f"http://127.0.0.1:{port}/").fault


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://a.example", Target(("a.example", 80))),
        ("https://a.example:8443/x/", Target(("a.example", 8443), tls=True, prefix="/x")),
        ("http://[::1]:8000/", Target(("::1", 8000))),
        ("http+unix://%2Frun%2Fa.sock/x", Target("/run/a.sock", prefix="/x")),
    ],
)
def test_a_url_is_read(url, target):
    assert target_of(url) == target


@pytest.mark.parametrize("url", ["", "a.example", "ftp://a.example/", "http:///x"])
def test_what_is_no_url_is_refused(url):
    with pytest.raises(ValueError, match="no URL"):
        target_of(url)
