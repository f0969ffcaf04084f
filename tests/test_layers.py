"""The design as a test: imports go down only, and an application is called in one place.

It reads the sources with `ast` and executes none. Each detector is shown sources that it must refuse.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "wsgix"

# Room or face -> what of wsgix it may import; "*" is everything. What is not listed may import nothing.
MAY_IMPORT = {
    "": ("*",),
    "__main__": ("*",),
    "cli": ("server", "conform", "facts", "types", "__version__"),
    "server": ("wire", "core", "facts", "types", "__version__"),
    "wire": ("core.framing", "facts"),
    "core": ("facts",),
    "conform": ("facts",),
    "facts": (),
    "util": ("core", "facts", "types"),
    "headers": ("core", "facts", "types"),
    "types": (),
    "handlers": ("util", "headers", "core", "wire", "facts", "types"),
    "simple_server": ("handlers", "util", "headers", "core", "wire", "facts", "types"),
    "validate": ("conform.points", "conform.decisions", "conform.words", "facts", "types"),
    "pytest_plugin": ("conform", "server"),
}

# What others load with every start of theirs, needed or not: it imports nothing of wsgix by itself.
CHEAP = ("", "pytest_plugin")

# What is not of the standard library, and who may import it: where it is missing, that module is not loaded.
OUTSIDE = {"pytest": "pytest_plugin"}

# Rooms that decide and never act: no socket, thread, clock or log.
SANS_IO = ("core", "wire", "facts")
FORBIDDEN_WITHOUT_IO = {
    "asyncio",
    "concurrent",
    "http.client",
    "http.server",
    "logging",
    "multiprocessing",
    "select",
    "selectors",
    "signal",
    "socket",
    "socketserver",
    "ssl",
    "subprocess",
    "threading",
    "_thread",
    "time",
    "urllib.request",
}

# The expression that calls an application stands here and nowhere else: in what serves it, in what plays the
# server to judge it, and in middleware of our own.
CALLERS_OF_APPLICATIONS = {"core.exchange", "conform.points", "conform.play", "pytest_plugin"}


class Import(NamedTuple):
    """One imported name: `target` in full dots, where it stands, and when it takes place."""

    target: str
    line: int
    lazy: bool
    typing_only: bool


def module_name(path: Path) -> str:
    """Give the module's name below wsgix: "core.exchange", "util", "" for wsgix itself."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


def room_of(module: str) -> str:
    return module.partition(".")[0]


def imports_of(source: str, module: str, *, is_package: bool = False) -> Iterator[Import]:
    """Yield what `module` (a name below wsgix) imports, relative imports resolved."""
    package = ["wsgix", *filter(None, module.split("."))]
    if not is_package:
        package.pop()

    def visit(node: ast.AST, lazy: bool, typing_only: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, lazy, typing_only)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *filter(None, [node.module])])
            for alias in node.names:
                yield Import(f"{origin}.{alias.name}", node.lineno, lazy, typing_only)
        elif isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for child in node.body:
                yield from visit(child, lazy, True)
            for child in node.orelse:
                yield from visit(child, lazy, typing_only)
        else:
            lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from visit(child, lazy, typing_only)

    yield from visit(ast.parse(source), False, False)


def covers(allowed: str, target: str) -> bool:
    """Tell whether `allowed` ("facts", "core.framing", "*") covers `target`, a dotted name below wsgix."""
    return allowed == "*" or target == allowed or target.startswith(allowed + ".")


def layer_faults(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """Name each import of `module` that goes up, sideways, or out to what its room must not touch."""
    room = room_of(module)
    faults = []
    for found in imports_of(source, module, is_package=is_package):
        where = f"{module or '__init__'}:{found.line} imports {found.target}"
        top, _, target = found.target.partition(".")
        if top == "wsgiref":
            faults.append(f"{where}: wsgix stands without the standard library's wsgiref")
        elif top != "wsgix":
            if top not in sys.stdlib_module_names and OUTSIDE.get(top) != module:
                faults.append(f"{where}: wsgix has no dependency")
            names = {top, ".".join(found.target.split(".")[:2])}
            if room in SANS_IO and names & FORBIDDEN_WITHOUT_IO:
                faults.append(f"{where}: {room} does no I/O")
        elif found.typing_only and room_of(target) == "types":
            continue  # annotations cost nothing and decide nothing
        elif module in CHEAP and not (found.lazy or found.typing_only):
            faults.append(
                f"{where}: `import wsgix{module and '.'}{module}` must stay cheap; import inside a function"
            )
        elif room_of(target) != room and not any(covers(one, target) for one in MAY_IMPORT.get(room, ())):
            faults.append(f"{where}: {room} may import {MAY_IMPORT.get(room, 'nothing')}")
    return faults


def application_calls(source: str) -> list[int]:
    """Give the lines of calls whose second argument, or a keyword one, is a `start_response`."""

    def is_start_response(node: ast.expr) -> bool:
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        return "start_response" in name

    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and (
            any(map(is_start_response, node.args[1:2]))
            or any(is_start_response(keyword.value) for keyword in node.keywords)
        )
    ]


MODULES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: module_name(path) or "wsgix")
def test_imports_go_down_only(path):
    source = path.read_text(encoding="utf-8")

    assert layer_faults(source, module_name(path), is_package=path.name == "__init__.py") == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: module_name(path) or "wsgix")
def test_an_application_is_called_in_few_places_only(path):
    calls = application_calls(path.read_text(encoding="utf-8"))

    assert calls == [] or module_name(path) in CALLERS_OF_APPLICATIONS


def test_the_callers_of_applications_do_call_one():
    for module in CALLERS_OF_APPLICATIONS:
        path = SOURCE.joinpath(*module.split(".")).with_suffix(".py")

        assert application_calls(path.read_text(encoding="utf-8")), f"{module} calls no application"


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("facts.names", "from wsgix.core import framing"),
        ("facts.names", "import time"),
        ("core.exchange", "from ..wire import http1"),
        ("core.exchange", "from wsgix.conform.points import interpose"),
        ("core.exchange", "import wsgix.handlers"),
        ("core.exchange", "from wsgix import util"),
        ("core.exchange", "from wsgix import __version__"),
        ("core.exchange", "from wsgix.types import WSGIEnvironment"),
        ("core.environ", "def now():\n    import time"),
        ("core.streams", "from socket import socket"),
        ("core.streams", "from concurrent.futures import Executor"),
        ("core.streams", "import urllib.request"),
        ("wire.http1", "from wsgix.core.exchange import Exchange"),
        ("wire.http1", "from wsgix.core import environ"),
        ("wire.http1", "if TYPE_CHECKING:\n    from wsgix.server.loop import Loop"),
        ("wire.http1", "if TYPE_CHECKING:\n    pass\nelse:\n    from wsgix.types import WSGIEnvironment"),
        ("server.loop", "from wsgix.cli import main"),
        ("server.loop", "from wsgix import handlers"),
        ("conform.points", "from wsgix.core.framing import persists"),
        ("conform.probe", "from wsgix.wire import http1"),
        ("validate", "from wsgix.conform import probe"),
        ("handlers", "from wsgix.server.loop import Loop"),
        ("handlers", "from wsgiref.util import FileWrapper"),
        ("handlers", "import h11"),
        ("types", "from wsgix.facts import names"),
        ("util", "from wsgix.handlers import BaseHandler"),
        ("newcomer", "from wsgix.facts import names"),
        ("", "from wsgix.server import Server"),
        ("pytest_plugin", "from wsgix.conform import watch"),
        ("pytest_plugin", "def serve():\n    from wsgix.wire import http1"),
        ("conform.drive", "import pytest"),
    ],
)
def test_an_import_that_breaks_the_layers_is_found(module, source):
    assert len(layer_faults(source, module, is_package=module == "")) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("facts.names", "from types import MappingProxyType"),
        ("facts.refusals", "from .names import HOP_BY_HOP"),
        ("core.exchange", "from ..facts.names import HOP_BY_HOP"),
        ("core.exchange", "if TYPE_CHECKING:\n    from wsgix.types import WSGIEnvironment"),
        ("core.exchange", "from urllib.parse import unquote"),
        ("wire.http1", "from ..core.framing import body_framing"),
        ("wire.http1", "from wsgix.core import framing"),
        ("server.loop", "import socket, wsgix.wire.http1"),
        ("server.access_log", "from wsgix import __version__"),
        ("validate", "from wsgix.conform.points import interpose"),
        ("handlers", "from wsgix import util"),
        ("__main__", "from wsgix.cli import main"),
        ("", "def serve():\n    from wsgix.server import serve"),
        ("", "if TYPE_CHECKING:\n    from wsgix.server import Server"),
        ("pytest_plugin", "import pytest\ndef check():\n    from wsgix.conform.drive import drive"),
    ],
)
def test_an_import_that_goes_down_is_let_through(module, source):
    assert layer_faults(source, module, is_package=module == "") == []


@pytest.mark.parametrize(
    "source",
    [
        "result = application(environ, start_response)",
        "for block in self.app(env, self.start_response): pass",
        "app(environ, checked_start_response, None)",
        "app(environ, start_response=begin.start_response)",
    ],
)
def test_a_call_of_an_application_is_found(source):
    assert application_calls(source) == [1]


@pytest.mark.parametrize(
    "source",
    [
        "def demo_app(environ, start_response): pass",
        "start_response(status, headers)",
        "check(start_response)",
    ],
)
def test_what_is_no_call_of_an_application_is_let_through(source):
    assert application_calls(source) == []
