"""How `wsgix serve` finds the application, and what it says when it does not."""

import contextlib
import importlib.machinery
import os
import signal
import subprocess
import urllib.request

import pytest

import wsgix
from tests.serving import COMMAND, DEADLINE, environment_with, run_wsgix, serving
from wsgix.cli import application

SOURCE = os.path.dirname(os.path.dirname(wsgix.__file__))


def get(url: str) -> str:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=DEADLINE) as answer:
        return answer.read().decode()


def answer_of(application: str, folder) -> str:
    """Serve *application* from inside the folder and return what it says."""
    with serving(application, cwd=folder.path) as server:
        return get(server.url)


class Refused:
    """What `wsgix serve` printed for an application that it cannot load."""

    def __init__(self, application: str, folder) -> None:
        done = run_wsgix("serve", application, "--bind", "127.0.0.1:0", cwd=folder.path)
        self.code = done.returncode
        self.line, _, self.rest = done.stderr.partition("\n")
        assert done.stdout == ""


def refusal_of(application: str, folder) -> str:
    """Return the one line with which *application* is refused; there must be nothing else."""
    refused = Refused(application, folder)
    assert refused.code == 4
    assert refused.rest == ""
    assert refused.line.startswith(f"wsgix: cannot load {application!r}: ")
    return refused.line.removeprefix(f"wsgix: cannot load {application!r}: ")


# Found


def test_an_attribute_of_a_module_in_the_current_directory(folder):
    folder.write_app("site_one.py", "one", called="site")
    assert answer_of("site_one:site", folder) == "one site_one"


def test_app_is_the_default_attribute(folder):
    folder.write_app("both.py", "app")
    source = (folder.path / "both.py").read_text()
    folder.write("both.py", source + "\napplication = None\n")
    assert answer_of("both", folder) == "app both"


def test_application_is_the_second_default(folder):
    folder.write_app("second.py", "second", called="application")
    assert answer_of("second", folder) == "second second"
    assert answer_of("second.py", folder) == "second second"


def test_a_submodule_is_no_default_attribute(folder):
    folder.write_app("shop/app.py", "application", called="application")
    folder.write("shop/__init__.py", "from shop.app import application")
    assert answer_of("shop", folder) == "application shop.app"


def test_an_attribute_may_have_dots(folder):
    folder.write_app("inner.py", "dotted")
    folder.write("outer.py", "import inner\n\nclass site:\n    wsgi = staticmethod(inner.app)\n")
    assert answer_of("outer:site.wsgi", folder) == "dotted inner"
    assert answer_of("outer:inner.app", folder) == "dotted inner"


def test_a_module_of_a_package_is_found_by_its_dotted_name(folder):
    folder.write("package/__init__.py", "")
    folder.write_app("package/sub/wsgi.py", "package")
    assert answer_of("package.sub.wsgi:app", folder) == "package package.sub.wsgi"


def test_a_package_itself_can_be_served(folder):
    folder.write_app("package/__init__.py", "init")
    assert answer_of("package", folder) == "init package"


def test_a_file_of_a_package_keeps_its_relative_imports(folder):
    folder.write("outer/package/__init__.py", "")
    folder.write_app("outer/package/views.py", "relative")
    folder.write("outer/package/wsgi.py", "from .views import app\n")
    assert answer_of("outer/package/wsgi.py", folder) == "relative package.views"


def test_a_file_imports_what_lies_beside_it(folder):
    folder.write_app("sites/beside.py", "beside")
    folder.write("sites/main.py", "from beside import app as application\n")
    assert answer_of("sites/main.py:application", folder) == "beside beside"
    assert answer_of(f"{folder.path}/sites/main.py", folder) == "beside beside"


def test_a_factory_is_called(folder):
    folder.write_app("made.py", "made")
    folder.write(
        "maker.py", "import made\n\ndef create():\n    return made.app\n\nclass Site:\n    new = create\n"
    )
    assert answer_of("maker:create()", folder) == "made made"
    assert answer_of("maker.py:Site.new()", folder) == "made made"


@pytest.mark.parametrize("name", ["platform", "signal", "types", "json", "code"])
def test_a_file_may_bear_the_name_of_a_module_of_the_standard_library(folder, name):
    folder.write_app(f"sites/{name}.py", "mine")
    path = folder.path / f"sites/{name}.py"
    # What is imported afterwards gets the standard library's module, not this file.
    path.write_text(
        f"import decimal, uuid, {name} as theirs\nassert not hasattr(theirs, 'app')\n" + path.read_text()
    )
    assert answer_of(f"sites/{name}.py", folder) == f"mine {name}_application"


def test_a_folder_with_an_init_file_may_bear_such_a_name_too(folder):
    folder.write("code/__init__.py", "")
    folder.write_app("code/main.py", "mine")
    assert answer_of("code/main.py", folder) == "mine main"


def test_a_file_is_served_though_pythonpath_has_another_of_its_name_before_it(folder):
    for place in ("a", "b"):
        folder.write(f"{place}/pkg/__init__.py", "")
        folder.write_app(f"{place}/pkg/main.py", place)
    path = os.pathsep.join([SOURCE, f"{folder.path}/a", f"{folder.path}/b"])
    with serving("b/pkg/main.py", cwd=folder.path, PYTHONPATH=path) as server:
        assert get(server.url) == "b pkg.main"


def test_a_file_may_have_a_name_that_is_no_identifier(folder):
    folder.write_app("my-site.v2.py", "dashed")
    assert answer_of("./my-site.v2.py", folder) == "dashed my-site.v2"


def test_the_application_owns_the_root_logger(folder):
    folder.write(
        "logs.py",
        """
        import logging
        logging.basicConfig(format="mine: %(message)s")

        def app(environ, start_response):
            logging.warning("inside")
            start_response("204 No Content", [])
            return []
        """,
    )
    with serving("logs", cwd=folder.path) as server:
        get(server.url)
        server.err.wait_for(r"(?m)^mine: inside$")


# Not found: one line says what was tried and what to do


def test_a_module_that_does_not_exist(folder):
    assert refusal_of("nowhere_at_all:app", folder) == (
        f"there is no module 'nowhere_at_all' in {folder.path} nor among the installed ones"
    )


def test_a_package_or_a_part_of_it_that_does_not_exist(folder):
    folder.write("package/__init__.py", "")
    assert "there is no module 'nowhere'" in refusal_of("nowhere.wsgi:app", folder)
    assert "there is no module 'package.nowhere'" in refusal_of("package.nowhere:app", folder)


def test_a_dot_instead_of_a_colon(folder):
    folder.write_app("dotted.py", "never")
    assert "an attribute stands after a colon, as in module:app" in refusal_of("dotted.app", folder)


@pytest.mark.parametrize("name", ["", ":app"])
def test_a_name_without_a_module(folder, name):
    assert refusal_of(name, folder) == "the module is missing; write MODULE:ATTRIBUTE or FILE.py:ATTRIBUTE"


@pytest.mark.parametrize("name", [".sibling:app", "a..b", "a."])
def test_what_cannot_be_the_name_of_a_module(folder, name):
    assert "is not the name of a module; write it as in package.module" in refusal_of(name, folder)


def test_a_file_that_does_not_exist(folder):
    assert refusal_of("sites/nowhere.py:app", folder) == f"there is no file sites/nowhere.py in {folder.path}"
    assert refusal_of("nowhere.py", folder) == f"there is no file nowhere.py in {folder.path}"
    path = f"{folder.path}/nowhere.py"
    assert refusal_of(path, folder) == f"there is no file {path}"


@pytest.mark.parametrize("name", ["gone:app", "gone.py", "./gone.py:app"])
def test_a_current_directory_that_was_removed(folder, name):
    removed = folder.path / "removed"
    removed.mkdir()
    done = subprocess.run(
        ["sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", *COMMAND, "serve", name, "--bind", "127.0.0.1:0"],
        cwd=removed,
        env=environment_with({}),
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
    )
    assert done.returncode == 4
    assert done.stderr == (
        f"wsgix: cannot load {name!r}: there is no current directory to look in (No such file or directory); "
        "change into one that exists\n"
    )


def test_a_file_whose_name_is_too_long(folder):
    name = "long" * 100 + ".py"
    assert refusal_of(name, folder) == f"{name} in {folder.path} cannot be reached: File name too long"


def test_a_file_that_may_not_be_reached(monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(application.os, "stat", refuse)
    with pytest.raises(application.ApplicationError) as caught:
        application.load_application("/private/app.py")
    assert str(caught.value) == (
        "cannot load '/private/app.py': /private/app.py cannot be reached: Permission denied"
    )


def test_a_file_that_may_not_be_read(monkeypatch, folder):
    path = folder.write_app("secret.py", "never")
    # It refuses any file, and leaves no frame of its own in the traceback.
    monkeypatch.setattr(importlib.machinery.SourceFileLoader, "get_data", staticmethod(os.listdir))
    with pytest.raises(application.ApplicationError) as caught:
        application.load_application(str(path))
    monkeypatch.undo()
    assert str(caught.value) == f"cannot load {str(path)!r}: {path} cannot be read: Not a directory"


def test_a_file_of_a_package_whose_name_is_taken(folder):
    folder.write("sites/wsgix/__init__.py", "")
    path = folder.write_app("sites/wsgix/main.py", "never")
    assert refusal_of("sites/wsgix/main.py", folder) == (
        f"{path} would be imported as wsgix.main, but wsgix is {SOURCE}/wsgix/__init__.py; rename one of them"
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_the_exit_status_stands_though_nobody_can_be_told(folder):
    with open("/dev/full", "w") as full:
        command = [*COMMAND, "serve", "nowhere_at_all", "--bind", "127.0.0.1:0"]
        done = subprocess.run(
            command, cwd=folder.path, env=environment_with({}), stderr=full, timeout=DEADLINE
        )
    assert done.returncode == 4


def test_a_directory(folder):
    folder.write_app("sites/main.py", "never")
    assert refusal_of("./sites", folder) == "sites is a directory; name the file in it, as in sites/app.py"


def test_an_attribute_that_does_not_exist(folder):
    folder.write_app("known.py", "never")
    assert refusal_of("known:unknown", folder) == "known has no attribute 'unknown'; there are: app"
    assert refusal_of("known:app.wsgi", folder) == "known:app has no attribute 'wsgi'"


@pytest.mark.parametrize("name", ["site", "site:app", "time:app", "types.views:app"])
def test_a_module_that_the_standard_library_hides(folder, name):
    for path in ("site.py", "time.py", "types/__init__.py", "types/views.py"):
        folder.write_app(path, "hidden")
    module = name.partition(":")[0].partition(".")[0]
    file = "types/__init__.py" if module == "types" else f"{module}.py"
    assert refusal_of(name, folder) == (
        f"{module} is a module of the standard library; for the one in {folder.path}, name its file, "
        f"as in {file}:NAME"
    )


def test_neither_default(folder):
    folder.write("empty.py", "value = 1\n\ndef create():\n    pass\n")
    assert refusal_of("empty", folder) == (
        "empty has neither 'app' nor 'application'; name the application, as in empty:NAME; there are: create"
    )


def test_a_submodule_where_there_is_no_default(folder):
    folder.write_app("shop/app.py", "shop")
    folder.write("shop/__init__.py", "import shop.app")
    assert refusal_of("shop", folder) == (
        "shop has neither 'app' nor 'application'; name the application, as in shop:NAME"
    )
    assert refusal_of("shop:app", folder) == (
        "it is of type module, but a WSGI application is a callable; for what is in it, write shop.app:NAME"
    )


def test_the_objects_that_may_have_been_meant_are_named(folder):
    folder.write(
        "many.py",
        """
        from bisect import bisect
        from flask import Flask, redirect, request

        site = Flask(__name__)

        class Other:
            def __call__(self, environ, start_response):
                pass

        other, number, _hidden = Other(), 1, Other()
        """,
    )
    assert refusal_of("many:sight", folder) == "many has no attribute 'sight'; there are: site, Other, other"


def test_an_attribute_that_is_not_callable(folder):
    folder.write("values.py", "app = 'text'\nnothing = None\n")
    assert refusal_of("values:app", folder) == "it is of type str, but a WSGI application is a callable"
    assert refusal_of("values:nothing", folder) == "it is None, but a WSGI application is a callable"
    assert (
        refusal_of("values:app()", folder) == "app is of type str, which cannot be called; leave out the ()"
    )


def test_a_factory_that_returns_nothing_to_call(folder):
    folder.write("forgets.py", "def create():\n    pass\n")
    assert refusal_of("forgets:create()", folder) == (
        "create() returned None, but a WSGI application is a callable"
    )
    folder.write("counts.py", "def create():\n    return 1\n")
    assert refusal_of("counts:create()", folder) == (
        "create() returned an object of type int, but a WSGI application is a callable"
    )


@pytest.mark.parametrize("name", ["function", "instance", "instance.method", "create()", "partial"])
def test_an_application_for_asgi(folder, name):
    folder.write_asgi("awaited.py")
    assert refusal_of(f"awaited:{name}", folder) == (
        "it is an ASGI application, whose calls are awaited; name one for WSGI"
    )


@pytest.mark.parametrize("source", ["def make():", "def make(config=None):", "def make(*, debug):"])
def test_a_factory_that_is_not_called(folder, source):
    folder.write("factory.py", f"{source}\n    return make\n\napp = make\n")
    says = "it does not take environ and start_response, as a WSGI application does"
    assert refusal_of("factory", folder) == f"{says}; if it returns one, write factory:make()"
    assert refusal_of("factory.py:app", folder) == f"{says}; if it returns one, write factory.py:app()"


def test_a_factory_of_factories(folder):
    folder.write("factory.py", "def make():\n    return make\n")
    assert refusal_of("factory:make()", folder) == (
        "it does not take environ and start_response, as a WSGI application does"
    )


@pytest.mark.parametrize("parameters", ["*arguments", "environ, *more", "environ, start_response, hook=None"])
def test_a_function_that_takes_two_arguments_however_they_are_written(folder, parameters):
    folder.write("two.py", f"def app({parameters}):\n    raise AssertionError('not called')\n")
    with serving("two", cwd=folder.path) as server:
        assert server.url


# The application's own code fails: the line first, the traceback of that code below


def failure_of(application: str, folder) -> tuple[str, str]:
    refused = Refused(application, folder)
    assert refused.code == 4
    prefix = f"wsgix: cannot load {application!r}: "
    assert refused.line.startswith(prefix)
    # The traceback is the application's: nothing of wsgix or of the import system stands in it.
    assert "wsgix" not in refused.rest
    assert "importlib" not in refused.rest
    return refused.line.removeprefix(prefix), refused.rest


@pytest.mark.parametrize("name", ["needs:app", "needs.py:app"])
def test_a_missing_dependency_of_the_application(folder, name):
    folder.write("needs.py", "import not_installed_anywhere\n")
    line, rest = failure_of(name, folder)
    assert line.startswith(
        "its code imports 'not_installed_anywhere', which is neither beside it nor installed for /"
    )
    assert rest.startswith("Traceback (most recent call last):\n")
    assert 'needs.py", line 1' in rest


@pytest.mark.parametrize("name", ["not_installed_either:app", "not_installed_either.py"])
def test_a_file_that_imports_a_missing_module_of_its_own_name(folder, name):
    folder.write("not_installed_either.py", "import not_installed_either.part\n")
    line, _ = failure_of(name, folder)
    assert line.startswith("its code imports 'not_installed_either.part'")


@pytest.mark.parametrize("name", ["broken:app", "broken.py"])
def test_a_syntax_error(folder, name):
    folder.write("broken.py", "x = 1\ndef app(:\n")
    line, rest = failure_of(name, folder)
    assert line == f"its code is not Python: invalid syntax ({folder.path}/broken.py, line 2)"
    assert "def app(:" in rest


def test_a_file_that_is_not_text(folder):
    (folder.path / "binary.py").write_bytes(b"app = None\0")
    line, _ = failure_of("binary.py", folder)
    assert "null bytes" in line


@pytest.mark.parametrize("name", ["failing:app", "failing.py"])
def test_an_exception_while_importing(folder, name):
    folder.write("failing.py", "raise ValueError('one\\ntwo')\n")
    line, rest = failure_of(name, folder)
    assert line == "its code failed: ValueError: one two"
    assert 'failing.py", line 1' in rest


@pytest.mark.parametrize("name", ["exits:app", "exits.py"])
def test_an_exit_while_importing(folder, name):
    folder.write("exits.py", "import sys\nsys.exit(0)\n")
    line, rest = failure_of(name, folder)
    assert line == "its code ended the process while it was loaded (SystemExit: 0)"
    assert 'exits.py", line 2' in rest


@pytest.mark.parametrize("name", ["gives_up:app", "gives_up.py", "gives_up_later:create()"])
def test_an_exception_that_is_no_subclass_of_exception(folder, name):
    folder.write("gives_up.py", "import asyncio\nraise asyncio.CancelledError('no time')\n")
    folder.write("gives_up_later.py", "def create():\n    import gives_up\n")
    line, rest = failure_of(name, folder)
    assert line == "its code failed: CancelledError: no time"
    assert 'gives_up.py", line 2' in rest


def test_an_exception_that_has_no_text(folder):
    folder.write("mute.py", "class Mute(Exception):\n    __str__ = None\nraise Mute\n")
    line, rest = failure_of("mute:app", folder)
    assert line == "its code failed: Mute"
    assert 'mute.py", line 3' in rest


def test_a_module_that_fails_when_asked_for_an_attribute(folder):
    folder.write("lazy.py", "def __getattr__(name):\n    raise OSError(f'no database for {name}')\n")
    line, _ = failure_of("lazy:site", folder)
    assert line == "its code failed: OSError: no database for site"
    assert failure_of("lazy", folder)[0] == "its code failed: OSError: no database for app"


@contextlib.contextmanager
def loading(folder, bind, rest=""):
    """Have a module loaded that waits for something to be written into "gate", and goes on with *rest*."""
    folder.write("slow.py", f"print('loading', flush=True)\nopen('gate').read()\n{rest}")
    os.mkfifo(folder.path / "gate")
    with subprocess.Popen(
        [*COMMAND, "serve", "slow", f"--bind={bind}"],
        cwd=folder.path,
        env=environment_with({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            assert process.stdout.readline() == "loading\n"
            yield process
        finally:
            process.terminate()


def test_an_interrupt_while_loading_ends_it_without_a_traceback(folder):
    with loading(folder, "unix:socket") as process:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, err) == (128 + signal.SIGINT, "")
    assert not (folder.path / "socket").exists()


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGHUP])
def test_a_signal_to_read_files_again_does_not_end_it_while_loading(folder, number):
    folder.write_app("made.py", "made")
    with loading(folder, "127.0.0.1:0", "from made import app\n") as process:
        process.send_signal(number)
        (folder.path / "gate").write_text("go on")
        url = process.stderr.readline().removeprefix("wsgix serves ").strip()
        assert get(url) == "made made"
        process.terminate()
        assert process.wait(DEADLINE) == 0


def test_a_factory_that_raises(folder):
    folder.write("refuses.py", "def create():\n    raise KeyError('DATABASE_URL')\n")
    line, rest = failure_of("refuses:create()", folder)
    assert line == "its code failed: KeyError: 'DATABASE_URL'"
    assert 'refuses.py", line 2' in rest


def test_an_application_instead_of_a_factory(folder):
    folder.write_app("plain.py", "never")
    line, _ = failure_of("plain:app()", folder)
    assert line.startswith("its code failed: TypeError: app() missing 2 required positional arguments")
