"""The probe application stands alone, and does what its steps say."""

import ast
import io
import os
import sys
import tempfile
from pathlib import Path

import pytest

from wsgix.conform import probe_app
from wsgix.validate import validator


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("WSGI_PROBE_FOLDER", str(tmp_path))
    return tmp_path


def ask(path, query="", content=b"", application=probe_app.app, **more):
    """Call the application; return the status, the headers, and the content."""
    seen = []
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "test",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(content),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **more,
    }

    def start_response(status, headers, exc_info=None):
        seen[:] = [status, headers]
        return written.append

    written = []
    result = application(environ, start_response)
    blocks = b"".join(result)
    if hasattr(result, "close"):
        result.close()
    return seen[0], seen[1], b"".join(written) + blocks


def test_it_imports_the_standard_library_only():
    tree = ast.parse(Path(probe_app.__file__).read_text(encoding="utf-8"))
    names = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
    }

    assert names <= sys.stdlib_module_names
    assert "wsgix" not in names


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/hello", ""),
        ("/nothing", ""),
        ("/environ", "token=t"),
        ("/errors", "write=a&lines=b&lines=c&generated=d&flush"),
        ("/do", "header=Content-Type:+text/plain&start=200+OK&return=list&block=hello"),
        ("/do", "header=Content-Type:+text/plain&start=200+OK&return=iterator&block=a&size=10&bytes"),
        ("/do", "header=Content-Type:+text/plain&start=200+OK&write=a&write_size=3&write_bytes&return=list"),
        ("/do", "header=Content-Type:+text/plain&exc_info=503+Later&return=separate&block=hello"),
    ],
)
def test_it_keeps_the_rules_itself(path, query):
    status, _, _ = ask(path, query, application=validator(probe_app.app))

    assert status in ("200 OK", "404 Not Found", "503 Later")


def test_steps_are_taken_in_their_order():
    status, headers, content = ask(
        "/do",
        "token=t&header=A:+1&header=B:+2&start=201+Made&write=x&note=here&return=iterator&block=y&size=2",
    )

    assert (status, headers, content) == ("201 Made", [("A", "1"), ("B", "2")], b"xyss")
    notes = [record["note"] for record in probe_app.Notes("t").read()]
    assert notes == ["called", "written", "here", "block", "block", "exhausted", "closed"]


def test_input_is_used_as_the_steps_say():
    _, _, content = ask("/input", "call=read:2&call=readline&call=iter&has=read&has=seek_to", b"abc\nd\ne")

    assert content.count(b'"type"') == 7
    assert b'{"type": "bytes", "value": "ab"}' in content
    assert b'{"type": "bool", "value": false}' in content


def test_what_is_held_goes_on_when_it_is_released():
    probe_app.Notes("t").release("go")

    ask("/do", "token=t&hold=go:5&hold=other:0&start=200+OK&return=list")

    notes = [record["note"] for record in probe_app.Notes("t").read()]
    assert notes == ["called", "holding", "released", "holding", "timed-out", "exhausted"]


def test_a_token_is_forgotten_with_all_that_belongs_to_it(folder):
    ask("/do", "token=t&start=200+OK&return=list")
    probe_app.Notes("t").release("go")
    ask("/do", "token=tt&start=200+OK&return=list")

    ask("/forget", "token=t")
    probe_app.Notes("t").add("late")

    assert os.listdir(folder) == ["tt"]


@pytest.mark.parametrize("token", ["../up", "a/b", "", "a.b", "x" * 65])
def test_a_token_that_is_no_name_is_none(token, folder):
    ask("/do", f"token={token}&start=200+OK&return=list")

    assert os.listdir(folder) == []


def test_without_the_variable_the_folder_is_the_users_own(monkeypatch, tmp_path):
    monkeypatch.delenv("WSGI_PROBE_FOLDER")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    path = probe_app.folder()

    assert path.startswith(str(tmp_path))
    assert os.stat(path).st_mode & 0o777 == 0o700


def test_a_folder_that_is_somebody_elses_is_not_used(monkeypatch, tmp_path):
    monkeypatch.delenv("WSGI_PROBE_FOLDER")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"wsgix-probe-{os.getuid()}").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(PermissionError, match="somebody else's"):
        probe_app.folder()
