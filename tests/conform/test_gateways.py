"""wsgix itself keeps every MUST and SHOULD that applies, through each gateway that it has."""

import pytest
import trustme

from tests.conform.broken import reference
from tests.conform.cgi_bridge import Bridge
from tests.serving import serving
from wsgix.conform import probe_app
from wsgix.conform.probe import Options, greet, judge, probe_server, server_rules
from wsgix.conform.probe_case import Target
from wsgix.conform.rule import Level, Profile, Verdict

SHOULD = Level.SHOULD.weight

BEYOND_CGI = {
    "C10": "a program of CGI has no way to tell the web server that its output is not complete",
}


def failures(judgements):
    return [
        f"{judgement.rule.id} {judgement.case}: {judgement.seen}"
        for judgement in judgements
        if judgement.verdict is Verdict.FAIL and judgement.rule.level.weight >= SHOULD
    ]


def not_judged(judgements):
    return [
        f"{judgement.case}: {judgement.verdict.value}: {judgement.seen}"
        for judgement in judgements
        if judgement.verdict in (Verdict.SETUP_FAILED, Verdict.HARNESS_FAILED)
    ]


def broken(judgements):
    return {
        judgement.rule.id
        for judgement in judgements
        if judgement.verdict is Verdict.FAIL and judgement.rule.level.weight >= SHOULD
    }


def test_the_server_keeps_the_rules_over_http():
    report = probe_server("wsgix")

    assert report.fault == ""
    assert failures(report.judgements) == []
    assert not_judged(report.judgements) == []


def served(tmp_path, bind, *options):
    """`wsgix serve` with the probe application, and the folder of its notes."""
    folder = tmp_path / "notes"
    return serving(f"{probe_app.__file__}:app", *options, bind=(bind,), WSGI_PROBE_FOLDER=str(folder))


def test_the_server_keeps_the_rules_over_a_unix_socket(tmp_path):
    path = str(tmp_path / "socket")
    with served(tmp_path, f"unix:{path}") as server:
        judgements = judge(greet(Target(path, output=server.err.text)), Options(server_rules()))

    assert failures(judgements) == []
    assert not_judged(judgements) == []


def test_the_server_keeps_the_rules_over_tls(tmp_path):
    issued = trustme.CA().issue_cert("127.0.0.1")
    chain, key = tmp_path / "server.pem", tmp_path / "server.key"
    chain.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    key.touch(0o600)
    key.write_bytes(issued.private_key_pem.bytes())
    with served(tmp_path, "127.0.0.1:0", "--certfile", str(chain), "--keyfile", str(key)) as server:
        host, _, port = server.url.removeprefix("https://").rpartition(":")
        target = greet(Target((host, int(port)), tls=True, output=server.err.text))
        judgements = judge(target, Options(server_rules()))

    assert failures(judgements) == []
    assert not_judged(judgements) == []
    assert {one.verdict for one in judgements if one.rule.id == "E24"} == {Verdict.PASS}


def test_the_simple_server_keeps_all_rules():
    report = probe_server("wsgix-simple_server")

    assert report.fault == ""
    assert failures(report.judgements) == []
    assert not_judged(report.judgements) == []


@pytest.mark.timeout(300)
def test_cgi_keeps_all_rules_but_what_is_beyond_it(tmp_path, monkeypatch):
    monkeypatch.setenv("WSGI_PROBE_FOLDER", str(tmp_path / "notes"))
    log = tmp_path / "log"
    log.touch()
    # Connections, framing and refusals are the web server's.
    rules = [rule for rule in server_rules() if rule.profiles & {Profile.PEP3333, Profile.STDLIB}]
    with reference.Serving(reference.Reference, Bridge(log)) as serving_:
        target = greet(Target(serving_.address, output=log.read_text))
        judgements = judge(target, Options(rules, timeout=10.0))

    assert broken(judgements) == set(BEYOND_CGI)
    assert not_judged(judgements) == []
