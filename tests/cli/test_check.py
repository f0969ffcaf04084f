"""`wsgix check`: what it exits with and what it says of applications, middleware and command lines."""

import io
import subprocess
import sys

import pytest

from wsgix.cli import main

HELLO = """
def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"Hello"]

def make():
    return hello

def broken(environ, start_response):
    start_response("200", [("Content-Type", "text/plain")])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"Hello"]

def writes(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"" if environ["REQUEST_METHOD"] == "HEAD" else b"Hello")
    return []

def shared(environ, start_response, headers=[("Content-Type", "text/plain")]):
    start_response("200 OK", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"Hello"]

def guarded(environ, start_response):
    there = (environ.get("PATH_INFO"), environ.get("HTTP_COOKIE")) == ("/there", "a=b")
    return (broken if there else hello)(environ, start_response)

def encodes(environ, start_response):
    for name in ("PATH_INFO", "QUERY_STRING", "HTTP_COOKIE"):
        environ.get(name, "").encode("latin-1")
    return hello(environ, start_response)

def outer(app):
    return lambda environ, start_response: app(environ, start_response)

def leaking(app):
    return lambda environ, start_response: (block for block in app(environ, start_response))
"""


@pytest.fixture
def check(folder, monkeypatch, capsys):
    """Run the command in a folder with the applications above; return exit status, output and errors."""
    path = folder.write("shop_to_check.py", HELLO)
    monkeypatch.chdir(folder.path)

    def check(name, *options):
        try:
            status = main(["check", f"{path}:{name}" if name.isidentifier() else name, *options])
        except SystemExit as ended:
            status = ended.code
        out, err = capsys.readouterr()
        return status, " ".join(out.split()), err  # a table wraps its lines

    return check


def test_a_clean_application_exits_with_0(check):
    status, out, err = check("hello")

    assert (status, err) == (0, "")
    assert "pass" in out


def test_a_factory_is_called_as_the_server_would(check):
    assert check("shop_to_check.py:make()")[0] == 0


def test_findings_exit_with_1_and_are_named(check):
    status, out, err = check("broken")

    assert (status, err) == (1, "")
    assert "H2" in out
    assert "status-shape" in out
    assert "'200'" in out


@pytest.mark.parametrize(
    ("name", "level", "status"),
    [
        ("broken", "must", 1),
        ("writes", "must", 0),
        ("writes", "should", 1),
        ("shared", "should", 0),
        ("shared", "de-facto", 1),
    ],
)
def test_the_level_decides_about_the_exit_status(check, name, level, status):
    assert check(name, "--level", level)[0] == status


def test_rules_can_be_selected_and_left_out(check):
    assert check("broken", "--ignore", "H2")[0] == 0
    assert check("broken", "--ignore", "A", "--ignore", "H")[0] == 0
    assert check("broken", "--select", "A2", "--select", "B")[0] == 0
    assert check("broken", "--select", "H")[0] == 1


def test_profiles_can_be_chosen(check):
    assert check("broken", "--profile", "http")[0] == 0
    assert check("broken", "--profile", "http", "--profile", "pep3333")[0] == 1


def test_paths_and_header_fields_lead_to_what_is_behind_them(check):
    assert check("guarded")[0] == 0
    assert check("guarded", "--path", "/there")[0] == 0
    status, out, _ = check("guarded", "--path", "/", "--path", "/there", "--header", "Cookie: a=b")

    assert status == 1
    assert "H2" in out


@pytest.mark.parametrize(
    "option",
    [("--path", "/\u20ac?price=\u20ac"), ("--path", "/\udcff?a=\udcff"), ("--header", "Cookie: \u20ac")],
)
def test_text_outside_of_ascii_is_sent_as_a_client_would(check, option):
    assert check("encodes", *option)[0] == 0


def test_middleware_is_judged_as_such(check):
    assert check("outer", "--middleware")[0] == 0
    status, out, _ = check("leaking", "--middleware")

    assert status == 1
    assert "M7" in out


def test_what_the_application_prints_stays_out_of_the_report(check, folder):
    folder.write(
        "loud_to_check.py",
        """
        print("loaded")

        def app(environ, start_response):
            print("called")
            start_response("200 OK", [("Content-Type", "text/plain")])
            return []
        """,
    )

    status, out, err = check("loud_to_check:app")

    assert status == 0
    assert "loaded" not in out
    assert "called" not in out
    assert "loaded\ncalled\n" in err


def test_quiet_prints_nothing(check):
    assert check("broken", "--quiet") == (1, "", "")


def test_who_waits_at_a_terminal_sees_where_it_is(check, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)

    check("hello")

    names = shown.getvalue().split("\r\x1b[K")
    assert names[:3] == ["", "plain", "methods"]
    assert names[-1] == ""

    shown.truncate(0)
    check("hello", "--quiet")
    assert shown.getvalue() == ""


def test_what_hangs_cannot_be_judged(check, folder):
    folder.write(
        "slow_to_check.py",
        """
        import threading

        def app(environ, start_response):
            threading.Event().wait()
        """,
    )

    status, out, _ = check("slow_to_check:app", "--timeout", "0.2")

    assert status == 2
    assert "GET / was not answered within 0.2 s" in out


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("no_such_module:app", [], "cannot load 'no_such_module:app': there is no module 'no_such_module'"),
        ("hello", ["--select", "Z1"], "there is no rule or chapter 'Z1'; `wsgix rules` lists them"),
        ("hello", ["--path", "there"], "argument --path: a path begins with a slash, and 'there' does not"),
        ("hello", ["--header", "Cookie"], "argument --header: a header field is written 'Name: value'"),
        ("hello", ["--header", ": x"], "argument --header: a header field is written 'Name: value'"),
        ("hello", ["--timeout", "soon"], "argument --timeout: 'soon' is no number of seconds above 0"),
        ("hello", ["--timeout", "0"], "argument --timeout: '0' is no number of seconds above 0"),
        ("hello", ["--timeout", "1e308"], "argument --timeout: '1e308' is no number of seconds above 0"),
        ("hello", ["--profile", "strict"], "argument --profile: invalid choice: 'strict'"),
        ("hello", ["--frobnicate"], "--frobnicate"),
    ],
)
def test_what_is_wrong_is_one_line_and_exits_with_2(check, name, options, says):
    status, out, err = check(name, *options)

    assert (status, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", ["function", "instance"])
def test_an_asgi_application_is_told_apart(check, folder, name):
    folder.write_asgi("asgi_to_check.py")

    status, out, err = check(f"asgi_to_check:{name}")

    assert (status, out) == (2, "")
    assert err == (
        f"wsgix: cannot load 'asgi_to_check:{name}': it is an ASGI application, whose calls are awaited; "
        "name one for WSGI\n"
    )


def test_middleware_that_is_none_cannot_be_judged(check):
    status, out, _ = check("hello", "--middleware")

    assert status == 2
    assert "raised TypeError when it was given an application" in out


def test_the_command_runs_in_a_process_of_its_own(folder):
    folder.write("shop.py", HELLO)

    run = subprocess.run(
        [sys.executable, "-m", "wsgix", "check", "shop:broken"],
        cwd=folder.path,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert run.returncode == 1
    assert "H2" in run.stdout


def test_a_process_ends_although_an_application_hangs(folder):
    folder.write(
        "stuck.py", "import threading\n\ndef app(environ, start_response): threading.Event().wait()\n"
    )

    run = subprocess.run(
        [sys.executable, "-m", "wsgix", "check", "stuck:app", "--timeout", "0.2"],
        cwd=folder.path,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert run.returncode == 2


@pytest.mark.parametrize(
    "deed",
    ["sys.stdout.close()", "sys.stderr.close()", "sys.stdout = sys.stderr = None", "os.chdir(os.sep)"],
)
def test_the_report_is_written_whatever_the_application_did_to_its_process(folder, deed):
    folder.write(
        "deed.py", f"import os, sys\n\ndef app(environ, start_response):\n    {deed}\n    return []\n"
    )
    command = [
        sys.executable,
        "-m",
        "wsgix",
        "check",
        "deed.py",
        "--json",
        "report.json",
        "--sarif",
        "s.json",
    ]

    run = subprocess.run(command, cwd=folder.path, capture_output=True, text=True, check=False, timeout=60)

    assert (run.returncode, run.stderr) == (1, "")
    assert "A7" in run.stdout
    assert "A7" in (folder.path / "report.json").read_text(encoding="utf-8")
    assert "A7" in (folder.path / "s.json").read_text(encoding="utf-8")


def test_standard_output_that_the_application_closed_is_told(folder):
    folder.write(
        "deed.py",
        "import sys\n\ndef app(environ, start_response):\n    sys.__stdout__.close()\n    return []\n",
    )

    run = subprocess.run(
        [sys.executable, "-m", "wsgix", "check", "deed.py"],
        cwd=folder.path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (run.returncode, run.stderr) == (2, "wsgix: cannot write to standard output: it was closed\n")
