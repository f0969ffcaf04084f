"""Finds the application that a command line names.

Whatever is wrong is an `ApplicationError` whose line says what was tried; a traceback is shown only where
the fault is inside the application's own code, and then only its part of it.
"""

import importlib
import importlib.util
import os
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Final

DEFAULT_NAMES: Final = ("app", "application")

_CALL: Final = re.compile(r"(\w+)\(\)")


class ApplicationError(Exception):
    """The application cannot be loaded; the message is for the person who named it."""


def load_application(name: str) -> Any:
    """Load the application *name*: `module:attribute`, `path/to/file.py:attribute` or `module:factory()`.

    Modules are looked for in the current directory first, those beside a file in the file's. Without an
    attribute, `app` and then `application` are tried. An attribute may have dots.

    Raises:
        ApplicationError: there is no such module or attribute, its code fails, or it is not callable.
    """
    source, _, attribute = name.partition(":")
    module = _load_module(name, source)
    if not attribute:
        found = [candidate for candidate in DEFAULT_NAMES if hasattr(module, candidate)]
        if not found:
            raise ApplicationError(
                f"cannot load {name!r}: {source} has neither {' nor '.join(map(repr, DEFAULT_NAMES))}; "
                f"name the application, as in {source}:NAME"
            )
        attribute = found[0]
    call = _CALL.fullmatch(attribute)
    value: Any = module
    for part in (call[1] if call else attribute).split("."):
        if not hasattr(value, part):
            raise ApplicationError(
                f"cannot load {name!r}: {source} has no attribute {part!r}{_alternatives(module)}"
            )
        value = getattr(value, part)
    if call:
        value = _call(name, value)
    if not callable(value):
        raise ApplicationError(
            f"cannot load {name!r}: it is {type(value).__name__}, not a callable WSGI application"
        )
    return value


def _load_module(name: str, source: str) -> ModuleType:
    if not source:
        raise ApplicationError(f"cannot load {name!r}: the module is missing; write MODULE:ATTRIBUTE")
    path = Path(source)
    is_file = source.endswith(".py") or os.sep in source
    if is_file and not path.is_file():
        raise ApplicationError(f"cannot load {name!r}: there is no file {source}")
    folder = str(path.parent.resolve()) if is_file else os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module_name = path.stem if is_file else source
    try:
        return _import_file(module_name, path) if is_file else importlib.import_module(module_name)
    except BaseException as error:
        if (
            isinstance(error, ModuleNotFoundError)
            and error.name
            and f"{module_name}.".startswith(f"{error.name}.")
        ):
            raise ApplicationError(
                f"cannot load {name!r}: there is no module {error.name!r} in {folder} or on the Python path"
            ) from None
        raise _failure(name, error) from None


def _import_file(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise ApplicationError(f"cannot load {path}: it is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _call(name: str, factory: Any) -> Any:
    try:
        return factory()
    except BaseException as error:
        raise _failure(name, error) from None


def _failure(name: str, error: BaseException) -> ApplicationError:
    """Describe an exception of the application's own code, from its first frame on."""
    if isinstance(error, ApplicationError):
        return error
    frame: TracebackType | None = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename == __file__:
        frame = frame.tb_next
    lines = "".join(traceback.format_exception(type(error), error, frame)).rstrip()
    return ApplicationError(
        f"cannot load {name!r}: its code failed with {type(error).__name__}: {error}\n{lines}"
    )


def _alternatives(module: ModuleType) -> str:
    """Name the callables that a user might have meant."""
    names = [
        name
        for name, value in vars(module).items()
        if callable(value)
        and not name.startswith("_")
        and getattr(value, "__module__", "") == module.__name__
    ]
    return f"; there are: {', '.join(names[:5])}" if names else ""
