"""Every public name of the running interpreter's `wsgiref` stands in wsgix, alike, or in a table of reasons.

Names, signatures, bases and class attributes are read from the standard library as it is here, so a newer
Python tells by itself what it added. A row that no comparison needs any more fails too.
"""

import ast
import importlib
import inspect
import pkgutil
import re
import sys
import warnings
import wsgiref
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

# Undocumented, yet imported by real code: what the modules import themselves, and what hides behind `__`.
ALSO_USED = {
    "simple_server": (
        "BaseHTTPRequestHandler",
        "HTTPServer",
        "SimpleHandler",
        "__version__",
        "python_implementation",
    ),
}

# Values that depend on the moment of the import: only their types are compared.
OF_THE_MOMENT = {"handlers.BaseHandler.os_environ"}

# Optional parameters that wsgix adds at the end or as keywords.
ADDED_PARAMETERS: dict[str, tuple[str, ...]] = {"simple_server.make_server": ("ssl_context",)}


class Reason(NamedTuple):
    """Why wsgix differs, and in which versions of Python there is something to differ from."""

    text: str
    since: tuple[int, int] = (3, 11)
    before: tuple[int, int] = (4, 0)


REASONS: dict[str, Reason] = {
    "headers.tspecials": Reason("matches the same characters; spelled without needless escapes"),
    "validate.header_re": Reason(
        '"field-name = token": more names are valid than it lets through (RFC 9110, 5.1)'
    ),
}

MISSING = object()


def own_names(module_name: str) -> list[str]:
    """List the names that a stdlib module binds itself and does not hide, and those of `ALSO_USED`."""
    module = importlib.import_module(f"wsgiref.{module_name}")
    names = set(ALSO_USED.get(module_name, ())) | set(getattr(module, "__all__", ()))
    for node in ast.parse(inspect.getsource(module)).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names.update(target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return sorted(name for name in names if not name.startswith("_") or name == "__version__")


def own_members(cls: type) -> list[str]:
    """List what a class defines itself: all that is not hidden, and the special methods written by hand."""
    return sorted(
        name
        for name, value in vars(cls).items()
        if not name.startswith("_") or (name.endswith("__") and inspect.isfunction(value))
    )


def everything_public() -> Iterator[str]:
    """Yield "util", "util.FileWrapper", "util.FileWrapper.close" ...: all that is compared."""
    for info in pkgutil.iter_modules(wsgiref.__path__):
        module = importlib.import_module(f"wsgiref.{info.name}")
        yield info.name
        for name in own_names(info.name):
            yield f"{info.name}.{name}"
            value = look_up("wsgiref", f"{info.name}.{name}")
            if inspect.isclass(value) and value.__module__ == module.__name__:
                for member in own_members(value):
                    yield f"{info.name}.{name}.{member}"


def look_up(package: str, qualified: str) -> Any:
    module_name, *attributes = qualified.split(".")
    value: Any = importlib.import_module(f"{package}.{module_name}")
    for attribute in attributes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # 3.15 warns of simple_server.__version__
            value = getattr(value, attribute, MISSING)
        if value is MISSING:
            break
    return value


def spelled(value: object) -> str:
    """Spell a value so that equal things of either package are spelled alike."""
    if inspect.isclass(value):
        text = f"{value.__module__}.{value.__qualname__}"
    elif inspect.isroutine(value):
        text = f"{getattr(value, '__module__', '')}.{value.__qualname__}"
    else:
        text = repr(value)
    return re.sub(r"\bwsgix\.", "wsgiref.", text)


def parameters(function: Any, without: tuple[str, ...] = ()) -> list[tuple[str, str, str]]:
    return [
        (parameter.name, parameter.kind.name, spelled(parameter.default))
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name not in without
    ]


def added_parameters_fault(ours: Any, added: tuple[str, ...]) -> str | None:
    known = inspect.signature(ours).parameters
    for name in added:
        if name not in known:
            return f"ADDED_PARAMETERS names {name!r}, which is no parameter"
        if known[name].default is inspect.Parameter.empty:
            return f"the added parameter {name!r} is not optional"
    return None


def differences(qualified: str, theirs: Any, ours: Any) -> list[str]:
    """Say how `ours` differs from `theirs`, which the standard library holds under the same name."""
    if ours is MISSING:
        return ["is missing"]
    found = []
    if inspect.ismodule(theirs):
        missing = set(getattr(theirs, "__all__", ())) - set(getattr(ours, "__all__", ()))
        if hasattr(ours, "__all__") and missing:
            found.append(f"__all__ lacks {sorted(missing)}")
    elif inspect.isclass(theirs):
        if not inspect.isclass(ours):
            return [f"is {ours!r}, not a class"]
        bases = [spelled(base) for base in theirs.__mro__]
        ours_bases = [spelled(base) for base in ours.__mro__]
        if [base for base in ours_bases if base in bases] != bases:
            found.append(f"has the bases {ours_bases}, not {bases}")
    elif inspect.isroutine(theirs):
        added = ADDED_PARAMETERS.get(qualified, ())
        if not callable(ours):
            return [f"is {ours!r}, not a function"]
        if parameters(theirs) != parameters(ours, without=added):
            found.append(f"has the signature {inspect.signature(ours)}, not {inspect.signature(theirs)}")
        if fault := added_parameters_fault(ours, added):
            found.append(fault)
    elif isinstance(theirs, property):
        if not isinstance(ours, property):
            found.append(f"is {ours!r}, not a property")
    elif qualified in OF_THE_MOMENT:
        if type(theirs) is not type(ours):
            found.append(f"is a {type(ours).__name__}, not a {type(theirs).__name__}")
    elif theirs != ours and spelled(theirs) != spelled(ours):
        found.append(f"is {ours!r}, not {theirs!r}")
    return found


def compare(qualified: str) -> list[str]:
    return differences(qualified, look_up("wsgiref", qualified), look_up("wsgix", qualified))


def in_force(reason: Reason) -> bool:
    return reason.since <= sys.version_info[:2] < reason.before


PUBLIC = list(everything_public())


@pytest.mark.parametrize("qualified", PUBLIC)
def test_a_public_name_is_alike_or_differs_for_a_reason(qualified):
    found = compare(qualified)

    assert not found or (qualified in REASONS and in_force(REASONS[qualified])), found


def test_every_reason_is_needed():
    rows = [qualified for qualified, reason in REASONS.items() if in_force(reason)]

    assert [qualified for qualified in rows if qualified not in PUBLIC or not compare(qualified)] == []


def test_every_other_table_names_what_is_public():
    assert {*ADDED_PARAMETERS, *OF_THE_MOMENT} <= set(PUBLIC)


def test_the_walk_reaches_modules_names_and_members():
    assert {
        "types",
        "util.FileWrapper.__next__",
        "headers.tspecials",
        "headers.Headers.add_header",
        "handlers.BaseHandler.error_body",
        "handlers.format_date_time",
        "simple_server.ServerHandler",
        "simple_server.software_version",
        "validate.header_re",
    } <= set(PUBLIC)


class Theirs:
    size = 1

    def read(self, size, hint=None): ...


class Renamed(Theirs):
    size = 2

    def read(self, count, hint=None): ...


class Stricter(Theirs):
    def read(self, size, hint=0): ...


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (Theirs, MISSING),
        (Theirs, len),
        (Theirs, object),
        (Theirs.size, Renamed.size),
        (Theirs.read, Renamed.read),
        (Theirs.read, Stricter.read),
        (Theirs.read, "read"),
        (Theirs.read, lambda self, size, hint=None, more=None: None),
        (re.compile("a"), re.compile("b")),
        (property(), None),
    ],
)
def test_a_difference_is_found(theirs, ours):
    assert len(differences("nothing.listed", theirs, ours)) == 1


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (Theirs, Renamed),
        (Theirs.read, Theirs().__class__.read),
        (re.compile("a"), re.compile("a")),
        ([("Content-Type", "text/plain")], [("Content-Type", "text/plain")]),
    ],
)
def test_what_is_alike_is_let_through(theirs, ours):
    assert differences("nothing.listed", theirs, ours) == []
