"""The logs of a process: rotated under load, full, closed, without a reader. No request notices."""

import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from tests.serving import COMMAND, DEADLINE, Output, environment_with, run_wsgix, serving

APPLICATION = """
import sys

def app(environ, start_response):
    path = environ["PATH_INFO"]
    print("complaint about", path, file=environ["wsgi.errors"])
    if path == "/print":
        print("printed")
    if path == "/fail":
        raise ValueError("secret\\n[2026-01-01 00:00:00 +0000] [1] [ERROR] forged")
    start_response("200 OK", [("Content-Length", "2"), ("X-Answer", "42")])
    return [b"ok"]
"""
REQUEST = b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def site(tmp_path):
    """A directory with an application that complains, and fails at /fail."""
    (tmp_path / "site_app.py").write_text(APPLICATION)
    return tmp_path


def ask(client, path=b"/", status=b"200 OK"):
    """Send one request; read its response, whose head says how long it is."""
    client.sendall(REQUEST % path)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += client.recv(65536)
    head, _, content = answer.partition(b"\r\n\r\n")
    length = int(re.search(rb"Content-Length: (\d+)", head)[1])
    while len(content) < length:
        content += client.recv(65536)
    assert head.startswith(b"HTTP/1.1 " + status)
    return content


@contextlib.contextmanager
def bare_server(site, shell, *options, **streams):
    """Run `wsgix serve` behind a redirection of the shell; give a way to connect and the process."""
    path = site / "socket"
    command = [*COMMAND, "serve", "site_app", *options, "--bind", f"unix:{path}"]
    process = subprocess.Popen(
        ["sh", "-c", f'exec "$@" {shell}', "sh", *command],
        cwd=site,
        env=environment_with({}),
        stdin=subprocess.DEVNULL,
        **streams,
    )

    def connect():
        deadline = time.monotonic() + DEADLINE
        while True:
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(DEADLINE)
            try:
                client.connect(os.fspath(path))
                return client
            except (FileNotFoundError, ConnectionRefusedError):
                client.close()
                assert process.poll() is None
                assert time.monotonic() < deadline

    try:
        yield connect, process
        process.terminate()
        assert process.wait(DEADLINE) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


# Rotation


def test_rotation_under_load_loses_and_tears_no_line(site):
    rotations, clients, log = 20, 3, site / "access.log"
    answered = [0] * clients
    stop = threading.Event()

    def load(number):
        with server.connect() as client:
            while not stop.is_set():
                ask(client, b"/client%d/request%d" % (number, answered[number]))
                answered[number] += 1

    def wait_for_requests(count):
        deadline = time.monotonic() + DEADLINE
        wanted = sum(answered) + count
        while sum(answered) < wanted:
            assert time.monotonic() < deadline
            time.sleep(0.0005)

    with serving("site_app", "--access-log", str(log), cwd=site) as server:
        threads = [threading.Thread(target=load, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        try:
            for number in range(rotations):
                wait_for_requests(20)
                log.rename(site / f"access.log.{number}")
                server.signal(signal.SIGUSR1)
                deadline = time.monotonic() + DEADLINE
                while not log.exists():
                    assert time.monotonic() < deadline
                    time.sleep(0.0005)
            wait_for_requests(20)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        server.stop()
    lines = [line for file in site.glob("access.log*") for line in file.read_text().splitlines()]
    seen = [re.fullmatch(r'127.* "GET (\S+) HTTP/1\.1" 200 2 "-" "-"', line)[1] for line in lines]
    assert sorted(seen) == sorted(
        f"/client{client}/request{number}" for client in range(clients) for number in range(answered[client])
    )
    assert (site / f"access.log.{rotations - 1}").stat().st_size
    assert server.out.text() == ""


def test_a_relative_path_means_the_directory_of_the_command_wherever_the_application_goes(site):
    (site / "elsewhere").mkdir()
    (site / "moving_app.py").write_text("import os\nos.chdir('elsewhere')\nfrom site_app import app\n")
    (site / "logs").mkdir()
    log = site / "logs" / "access.log"
    with serving("moving_app", "--access-log", "logs/access.log", cwd=site) as server:
        log.rename(site / "logs" / "old.log")
        server.signal(signal.SIGUSR1)
        deadline = time.monotonic() + DEADLINE
        while not log.exists():
            assert time.monotonic() < deadline
            time.sleep(0.0005)
        with server.connect() as client:
            ask(client)
        server.stop()
    assert '"GET / HTTP/1.1" 200 2' in log.read_text()
    assert [*(site / "elsewhere").iterdir()] == []


def test_a_log_that_is_truncated_begins_anew(site):
    log = site / "access.log"
    with serving("site_app", "--access-log", str(log), cwd=site) as server, server.connect() as client:
        ask(client, b"/first")
        ask(client, b"/second")  # the first is written once the second is read
        os.truncate(log, 0)
        ask(client, b"/third")
        server.stop()
    assert b"\0" not in log.read_bytes()
    assert log.read_text().splitlines()[-1].startswith("127.0.0.1 - - [")
    assert "/third" in log.read_text()


# Nowhere to write


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_costs_lines_and_one_warning(site):
    with serving("site_app", "--access-log", "/dev/full", cwd=site) as server, server.connect() as client:
        for _ in range(50):
            assert ask(client) == b"ok"
        server.stop()
    warnings = re.findall(r"\[WARNING\] (.*)", server.err.text())
    assert warnings == ["the access log cannot be written: No space left on device; lines lost so far: 1"]
    assert "Traceback" not in server.err.text()


def test_a_reader_that_went_away_costs_lines_and_one_warning(site):
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with bare_server(site, "", **streams) as (connect, process):
        with process.stderr, connect() as client:
            ask(client)
            process.stdout.close()
            for _ in range(50):
                assert ask(client) == b"ok"
            ask(client, b"/fail", b"500 Internal Server Error")
            process.terminate()
            assert process.wait(DEADLINE) == 0
            log = process.stderr.read().decode()
    warnings = re.findall(r"\[WARNING\] (.*)", log)
    assert len(warnings) == 1
    assert warnings[0].startswith("the access log cannot be written: Broken pipe; lines lost so far: ")
    assert log.count("Traceback") == 1  # the application's


def test_a_reader_that_sleeps_holds_no_request_up(site):
    with bare_server(site, "2>/dev/null", stdout=subprocess.PIPE) as (connect, process):
        with process.stdout, connect() as client:
            for _ in range(100):  # more than a pipe holds, and less than is kept for later
                assert ask(client, b"/" + b"a" * 2500) == b"ok"
            process.terminate()
            text = process.stdout.read().decode()
    assert text.count("\n") == 100
    assert all(line.endswith('200 2 "-" "-"') for line in text.splitlines())


def test_a_reader_that_has_slept_gets_the_lines_though_nobody_asks_for_more(site):
    with bare_server(site, "2>/dev/null", stdout=subprocess.PIPE) as (connect, process):
        with connect() as client:
            for _ in range(100):  # as above
                ask(client, b"/" + b"a" * 2500)
        output = Output(io.TextIOWrapper(process.stdout))
        output.wait_for('200 2 "-" "-"\n', 100)
        process.terminate()
        output.join()


@pytest.mark.parametrize(
    "shell", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full 2>/dev/full"]
)
def test_standard_streams_that_are_closed_or_full_fail_nobody(site, shell):
    if "full" in shell and not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    with bare_server(site, shell, stdout=subprocess.DEVNULL) as (connect, _):
        with connect() as client:
            assert ask(client) == b"ok"
            if ">/dev/full 2" not in shell:  # what an application does to its own output is its own affair
                assert ask(client, b"/print") == b"ok"
            ask(client, b"/fail", b"500 Internal Server Error")
        with connect() as client:
            assert ask(client) == b"ok"


# What is in them


def test_a_fault_of_the_application_has_its_traceback_in_the_log_only(site):
    with serving("site_app", "--no-access-log", cwd=site) as server:
        with server.connect() as client:
            content = ask(client, b"/fail", b"500 Internal Server Error")
        server.stop()
    assert b"secret" not in content
    lines = server.err.text().splitlines()
    records = [line for line in lines if line.startswith("[")]
    assert len(records) == 1
    assert re.fullmatch(
        r"\[[-0-9]+ [:0-9]+ [+-]\d{4}\] \[\d+\] \[ERROR\] .*GET /fail HTTP/1\.1.*", records[0]
    )
    assert "  ValueError: secret" in lines
    assert any(line.startswith("  [2026") and line.endswith("forged") for line in lines)
    assert "complaint about /fail" in lines


def test_json_lines(site):
    with serving("site_app", "--access-log-format", "json", cwd=site) as server:
        with server.connect() as client:
            ask(client, b"/a?b")
            client.sendall(b"\x00\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 400 ")
        server.stop()
    first, second = map(json.loads, server.out.text().splitlines())
    assert (first["target"], first["status"], first["bytes"]) == ("/a?b", 200, 2)
    assert 0 < first["seconds"] < DEADLINE
    assert (second["target"], second["status"], second["seconds"]) == ("-", 400, 0)


def test_lines_of_atoms(site):
    text = "%(m)s|%(U)s|%(q)s|%(s)s|%({host}i)s|%({x-answer}o)s|%({wsgi.url_scheme}e)s|%(D)s"
    with serving("site_app", "--access-log-format", text, cwd=site) as server:
        with server.connect() as client:
            ask(client, b"/a?b|c")
        server.stop()
    assert re.fullmatch(r"GET\|/a\|b\\x7cc\|200\|a\|42\|http\|[1-9]\d*\n", server.out.text())


def test_a_refusal_of_the_content_is_logged_with_its_request_line(site):
    with serving("site_app", "--limit-request-body", "1k", cwd=site) as server:
        with server.connect() as client:
            client.sendall(b"PUT /big HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 413 ")
        server.stop()
    assert re.search(r'"PUT /big HTTP/1\.1" 413 \d+ ', server.out.text())


def test_the_level_of_the_log(site):
    with serving("site_app", "--log-level", "error", cwd=site) as server:
        with server.connect() as client:
            client.sendall(b"\x00\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 400 ")
        server.stop()
    assert "refused" not in server.err.text()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--access-log-format", "%(h)s %(x)s", "there is no atom '%(x)s'"),
        ("--access-log", "/no/such/directory/log", "/no/such/directory/log: No such file or directory"),
    ],
)
def test_a_log_that_cannot_be_kept_is_said_before_serving(site, option, value, message):
    path = site / "socket"
    done = run_wsgix("serve", "site_app", option, value, "--bind", f"unix:{path}", cwd=site)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not path.exists()


# Applications that configure logging

CONFIGURED = """
import logging.config
import os

CONFIGURATION = {
    "version": 1,
    "formatters": {"root": {"format": "root: %(message)s"}, "own": {"format": "own: %(message)s"}},
    "handlers": {
        "root": {"class": "logging.StreamHandler", "formatter": "root"},
        "own": {"class": "logging.StreamHandler", "formatter": "own"},
    },
    "root": {"handlers": ["root"], "level": "INFO"},
}
FILE = '''
[loggers]
keys=root
[handlers]
keys=root
[formatters]
keys=root
[logger_root]
level=INFO
handlers=root
[handler_root]
class=StreamHandler
formatter=root
args=()
[formatter_root]
format=root: %(message)s
'''

def dict_config(**more):
    logging.config.dictConfig({**CONFIGURATION, **more})

def file_config(**options):
    with open("logging.ini", "w") as file:
        file.write(FILE)
    logging.config.fileConfig("logging.ini", **options)

def app(environ, start_response):
    if environ["PATH_INFO"] == "/configure":
        exec(os.environ["CONFIGURE"])
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]
    raise ValueError("x" * int(environ["QUERY_STRING"] or 1))

exec(os.environ.get("CONFIGURE_FIRST", ""))
"""


def records_of_a_failure(site, configure, moment):
    """Return how the log tells of one failure, when the application configures logging at *moment*."""
    (site / "configured.py").write_text(CONFIGURED)
    environment = {"CONFIGURE_FIRST" if moment == "first" else "CONFIGURE": configure}
    with serving("configured", cwd=site, **environment) as server:
        with server.connect() as client:
            if moment == "later":
                ask(client, b"/configure")
            ask(client, b"/fail", b"500 Internal Server Error")
        server.stop()
    return re.findall("(.*)the application failed: ", server.err.text())


@pytest.mark.parametrize("moment", ["first", "later"])
@pytest.mark.parametrize(
    "configure",
    [
        "dict_config()",
        "dict_config(disable_existing_loggers=False)",
        "file_config()",
        "file_config(disable_existing_loggers=False)",
        "dict_config(); dict_config()",
    ],
)
def test_the_log_goes_on_when_the_application_configures_others(site, configure, moment):
    (start,) = records_of_a_failure(site, configure, moment)
    assert re.fullmatch(r"\[[-0-9]+ [:0-9]+ [+-]\d{4}\] \[\d+\] \[ERROR\] ", start)


@pytest.mark.parametrize("moment", ["first", "later"])
@pytest.mark.parametrize(
    ("configure", "starts"),
    [
        ("dict_config(loggers={'wsgix.error': {'handlers': ['own'], 'propagate': False}})", ["own: "]),
        ("dict_config(loggers={'wsgix.error': {'handlers': ['own']}})", ["own: ", "root: "]),
        ("dict_config(loggers={'wsgix.error': {'level': 'INFO'}})", ["root: "]),
        ("dict_config(loggers={'wsgix': {'handlers': ['own'], 'propagate': False}})", ["own: "]),
        ("dict_config(loggers={'wsgix': {'level': 'INFO'}})", ["root: "]),
        ("dict_config(); dict_config(loggers={'wsgix': {'level': 'INFO'}})", ["root: "]),
        ("dict_config(loggers={'wsgix.error': {'level': 'CRITICAL'}})", []),
    ],
)
def test_the_log_goes_where_the_application_sends_it_by_name(site, configure, starts, moment):
    assert records_of_a_failure(site, configure, moment) == starts


def test_what_is_kept_for_a_slow_reader_is_written_at_the_end_though_logging_was_configured(site):
    (site / "site_app.py").write_text(CONFIGURED + "dict_config()\n")
    with bare_server(site, "", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as (connect, process):
        with process.stderr:
            for _ in range(30):  # more than a pipe holds
                with connect() as client:
                    ask(client, b"/?5000", b"500 Internal Server Error")
            process.terminate()
            text = process.stderr.read().decode()
    assert text.count("  ValueError: xxx") == 30
