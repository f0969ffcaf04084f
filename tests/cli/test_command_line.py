"""The command itself: its help, its version, and what it says of wrong input.

That is always one line, and the exit code tells what kind of fault it is.
"""

import importlib
import re
import socket
import subprocess
import sys

import pytest

from tests.serving import run_wsgix, serving
from wsgix import __version__
from wsgix.cli import COMMANDS
from wsgix.facts.settings import SETTINGS, Kind


def fault_of(*arguments: str, code: int) -> str:
    """Run `wsgix` with *arguments*; return the only line that it printed."""
    done = run_wsgix(*arguments)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    line, _, rest = done.stderr.partition("\n")
    assert rest == ""
    return line


def test_the_version_is_that_of_the_package():
    done = run_wsgix("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"wsgix {__version__}\n", "")


def test_help_names_the_commands():
    done = run_wsgix("--help")
    assert done.returncode == 0
    assert re.search(r"(?m)^ +serve +\w", done.stdout)


def test_help_shows_every_option_once_with_its_meaning_and_its_default():
    done = run_wsgix("serve", "--help")
    assert done.returncode == 0
    text = " ".join(done.stdout.split())
    for row in SETTINGS:
        flag = f"--{row.name.replace('_', '-')}"
        match row.kind, row.default:
            case Kind.SWITCH, bool(default):
                shown = "on" if default else "off"
            case _, tuple(default):
                shown = " ".join(default)
            case _, default:
                shown = str(default)
        assert re.search(rf"{flag}\b.* {re.escape(row.meaning)} \(default: {re.escape(shown)}[;)]", text), (
            text
        )
    assert text.count("(default:") == len(SETTINGS)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ([], "wsgix: the following arguments are required: COMMAND; see wsgix --help"),
        (["serve"], "wsgix serve: the following arguments are required: APPLICATION; see wsgix serve --help"),
        (
            ["serve", "a", "--workers"],
            "wsgix serve: there is no option or argument --workers; see wsgix serve --help",
        ),
        (
            ["serve", "a", "-b", ":1"],
            "wsgix serve: there is no option or argument -b :1; see wsgix serve --help",
        ),
        (["serve", "a", "b"], "wsgix serve: there is no option or argument b; see wsgix serve --help"),
        (
            ["serve", "a", "--bind"],
            "wsgix serve: argument --bind: expected one argument; see wsgix serve --help",
        ),
    ],
)
def test_a_command_line_that_cannot_be_read(arguments, fault):
    assert fault_of(*arguments, code=2) == fault


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["serve", "a", "--thread", "3"], "--threads"),
        (["serve", "a", "--thraeds=3"], "--threads"),
        (
            ["serve", "a", "--limit-request"],
            "--limit-request-line or --limit-request-head or --limit-request-body",
        ),
        (["check", "a", "--jsn=x.json"], "--json"),
        (["serve", "a", "--cert", "x"], "--certfile"),
    ],
)
def test_an_option_that_may_have_been_meant_is_named(arguments, meant):
    assert fault_of(*arguments, code=2) == (
        f"wsgix {arguments[0]}: there is no option or argument {' '.join(arguments[2:])} "
        f"(did you mean {meant}?); see wsgix {arguments[0]} --help"
    )


@pytest.mark.parametrize("arguments", [["--reload"], ["--pid", "x"], ["--", "b", "--threads"]])
def test_an_option_that_is_like_none_or_is_right_is_named_alone(arguments):
    assert "did you mean" not in fault_of("serve", "a", *arguments, code=2)


def test_an_unknown_command_is_named_with_those_there_are():
    line = fault_of("sevre", code=2)
    assert "'sevre'" in line
    assert "serve" in line


def test_an_option_cannot_be_shortened():
    assert "--thread 3" in fault_of("serve", "a", "--thread", "3", code=2)


@pytest.mark.parametrize("threads", ["0", "x", "-1", "1.5", "10001", "", "٣"])
def test_a_number_of_threads_that_is_none(threads):
    line = fault_of("serve", "a", f"--threads={threads}", code=1)
    assert line == f"wsgix: threads is {threads!r}, but must be a number from 1 to 10000"


@pytest.mark.parametrize(
    ("bind", "fault"),
    [
        ("localhost", "it has no port"),
        ("", "it has no port"),
        ("127.0.0.1:", "the port '' is not a number from 0 to 65535"),
        ("127.0.0.1:http", "the port 'http' is not a number from 0 to 65535"),
        ("127.0.0.1:65536", "the port '65536' is not a number from 0 to 65535"),
        ("127.0.0.1:-1", "the port '-1' is not a number from 0 to 65535"),
        ("::1:8000", "an IPv6 address needs brackets"),
        ("http://127.0.0.1:8000", "it is a URL; leave out http://"),
        ("https://localhost/", "it is a URL; leave out https://"),
        ("unix:", "the path of the Unix socket is missing"),
    ],
)
def test_a_bind_that_is_no_address(bind, fault):
    line = fault_of("serve", "examples/plain/app.py", f"--bind={bind}", code=1)
    assert line == (
        f"wsgix: cannot bind to {bind!r}: {fault}; "
        "write HOST:PORT, [IPV6]:PORT, *:PORT, unix:PATH, unix:@NAME or fd://N, as in 127.0.0.1:8000"
    )


def test_an_address_in_use():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = fault_of("serve", "examples/plain/app.py", "--bind", f"127.0.0.1:{port}", code=1)
    assert line == (
        f"wsgix: cannot listen on 127.0.0.1:{port}: "
        "the address is in use; stop the other server or choose another port"
    )


def test_an_address_that_another_wsgix_uses():
    with serving("examples/plain/app.py") as server:
        line = fault_of(
            "serve", "examples/plain/app.py", "--bind", server.url.removeprefix("http://"), code=1
        )
    assert "the address is in use" in line


def test_an_address_that_this_machine_does_not_have():
    line = fault_of("serve", "examples/plain/app.py", "--bind", "192.0.2.1:8000", code=1)
    assert line == "wsgix: cannot listen on 192.0.2.1:8000: this machine has no such address"


def test_a_host_that_does_not_exist():
    line = fault_of("serve", "examples/plain/app.py", "--bind", "nowhere.invalid:8000", code=1)
    assert line.startswith("wsgix: cannot listen on nowhere.invalid:8000: ")


def test_a_unix_socket_in_a_directory_that_does_not_exist(tmp_path):
    path = tmp_path / "nowhere" / "socket"
    line = fault_of("serve", "examples/plain/app.py", "--bind", f"unix:{path}", code=1)
    assert line.startswith(f"wsgix: cannot listen on unix:{path}: ")
    assert "directory" in line


def test_a_unix_socket_with_a_path_that_is_too_long(tmp_path):
    path = tmp_path / ("long" * 40)
    line = fault_of("serve", "examples/plain/app.py", "--bind", f"unix:{path}", code=1)
    assert line == f"wsgix: cannot listen on unix:{path}: AF_UNIX path too long"


def test_when_one_address_cannot_be_had_no_other_is_kept(tmp_path):
    first = tmp_path / "first"
    line = fault_of(
        "serve", "examples/plain/app.py", f"--bind=unix:{first}", "--bind=unix:/nowhere/second", code=1
    )
    assert "unix:/nowhere/second" in line
    assert not first.exists()


def test_an_application_that_cannot_be_loaded_leaves_no_socket_behind(tmp_path):
    path = tmp_path / "socket"
    fault_of("serve", "nowhere_at_all", f"--bind=unix:{path}", code=4)
    assert not path.exists()


def modules_after(*arguments: str) -> set[str]:
    """Run the command in a process of its own; return the names of all modules that it loaded."""
    source = (
        "import sys\n"
        "from wsgix.cli import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit:\n"
        "    pass\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", source, *arguments], capture_output=True, timeout=60)
    return set(done.stderr.decode().split())


def test_each_command_has_a_module_that_configures_and_runs_it():
    for command in COMMANDS:
        module = importlib.import_module(command.module)
        assert callable(module.configure)
        assert callable(module.run)


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_a_command_loads_the_server_or_the_referee_but_never_both(command):
    loaded = modules_after(command, "--help")
    rooms = {name.split(".")[1] for name in loaded if name.startswith("wsgix.")}
    assert rooms & {"server", "wire", "core", "conform"}
    if command == "serve":
        assert "conform" not in rooms
    else:
        assert rooms <= {"cli", "conform", "facts", "types"}


def test_help_loads_neither():
    rooms = {name.split(".")[1] for name in modules_after("--help") if name.startswith("wsgix.")}
    assert rooms == {"cli"}
