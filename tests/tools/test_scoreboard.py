"""The scoreboard's page: who broke what, what could not be installed, and no name of the machine in it."""

import socket

from tests.conform.report.made import judge
from tools import scoreboard
from wsgix.conform.rule import Evidence, Judgement, Report, Side, Subject, Verdict
from wsgix.conform.servers import SERVERS


def report(name, *judgements, **more):
    return Report(Subject(name, Side.SERVER, "1.0"), judgements, date="2026-11-26T12:00:00+00:00", **more)


def test_a_server_has_a_row_and_a_list_of_what_it_broke():
    page = scoreboard.page(
        [
            report(
                "alpha",
                judge("X1", Verdict.FAIL, seen="no | <b>"),
                judge("E2", Verdict.PASS),
                judge("R1", Verdict.FAIL, seen="early"),
                judge("C4", Verdict.SETUP_FAILED, seen="nothing came"),
            ),
            report("beta", judge("E2", Verdict.PASS)),
        ]
    )

    assert "| [alpha](#alpha) | 1.0 | 1 | 1 | 0 | 1 | 1 |\n" in page
    assert "| [beta](#beta) | 1.0 | 1 | 0 | 0 | 0 | 0 |\n" in page
    assert "## beta\n\nIt breaks no rule.\n" in page
    first, second = (line for line in page.splitlines() if line.startswith(("| [R1]", "| [X1]")))
    assert first == "| [R1](rules/R1.md) head-waits-for-content | MUST NOT | early |"
    assert second == r"| [X1](rules/X1.md) input-terminated | de facto | no \| \<b\> |"
    assert "| [C4](rules/C4.md) close-runs-once | MUST | nothing came |" in page
    assert "2026-11-26" in page


def test_what_could_not_be_installed_is_said_so():
    page = scoreboard.page([report("alpha", fault="it cannot be installed: no `ev.h`")])

    assert "| [alpha](#alpha) | | not judged | | | | |\n" in page
    assert "## alpha\n\nNot judged: it cannot be installed: no \\`ev.h\\`\n" in page


def test_an_environment_that_cannot_be_installed_into_gives_the_reason(tmp_path):
    assert "cannot be run: No such file or directory" in scoreboard.install(tmp_path / "python", ["anything"])
    assert scoreboard.install(tmp_path / "python", []) == ""


def test_the_names_of_this_machine_are_replaced(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "vm")
    monkeypatch.setattr(socket, "getfqdn", lambda: "vm.example.net")
    own = f"{scoreboard.ROOT}/src, vm:80 and vm.example.net; vms, vm-1"
    found = report(
        "alpha", judge("E2", Verdict.FAIL, seen=own, evidence=(Evidence(own.encode() + b"\xff", note=own),))
    )

    nameless = scoreboard.nameless(found)

    other = "/wsgix/src, host.example:80 and host.example; vms, vm-1"
    (judgement,) = nameless.judgements
    assert isinstance(judgement, Judgement)
    assert judgement.rule is found.judgements[0].rule
    assert judgement.seen == other
    assert judgement.evidence == (Evidence(other.encode() + b"\xff", note=other),)
    assert nameless.subject == found.subject


def test_every_server_can_be_installed_by_name():
    for row in SERVERS:
        assert row.requirements or row.name.startswith("wsgi")
