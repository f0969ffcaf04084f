"""Finds the application that a command line names.

Whatever is wrong is an `ApplicationError`. The first line of its message says what was tried and what to do;
where the application's own code failed, the traceback of that code stands below it.
"""

import contextlib
import functools
import importlib
import importlib.machinery
import importlib.util
import os
import re
import stat
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, MethodType, ModuleType, TracebackType
from typing import Any, Final

from wsgix.cli.failure import CommandFailure

DEFAULT_NAMES: Final = ("app", "application")

NAMING: Final = (
    "module:attribute, path/to/file.py:attribute, or module:factory(); the attribute is "
    f"{', then '.join(DEFAULT_NAMES)} by default"
)
"""How a command line names an application, for the help of the commands that take one."""

_MISSING: Final = object()
_FACTORY_CALL: Final = re.compile(r"(.+?)\(\)")
_VARARGS: Final = 0x04
_COROUTINE: Final = 0x80
"""Flags of code objects, as `inspect` has them; that is large, and served applications may do without it."""


APPLICATION_FAULT: Final = 4


class ApplicationError(CommandFailure):
    """The application cannot be loaded; the message is for the person who named it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, APPLICATION_FAULT)


def load_application(name: str) -> Any:
    """Load the application *name* as `load_callable` does; refuse a function that cannot be one.

    Raises:
        ApplicationError: it cannot be loaded, or does not take two arguments, as a factory without its ().
    """
    value = load_callable(name)
    if isinstance(value, FunctionType):
        code = value.__code__
        if code.co_argcount < 2 and not code.co_flags & _VARARGS:
            given = name if os.path.splitdrive(name)[1].partition(":")[2] else f"{name}:{value.__name__}"
            hint = "" if given.endswith("()") else f"; if it returns one, write {given}()"
            raise _cannot(
                name, f"it does not take environ and start_response, as a WSGI application does{hint}"
            )
    return value


def load_callable(name: str) -> Any:
    """Load what *name* names: `module:attribute`, `path/to/file.py:attribute` or `module:factory()`.

    Modules are looked for in the current directory first, those beside a file in the file's. Without an
    attribute, `app` and then `application` are tried, leaving out modules. An attribute may have dots.

    Raises:
        ApplicationError: there is no such module or attribute, its code fails, or it is not callable, or it
            is an ASGI application.
    """
    drive, rest = os.path.splitdrive(name)
    source, _, attribute = rest.partition(":")
    source = drive + source
    if not source:
        raise _cannot(name, "the module is missing; write MODULE:ATTRIBUTE or FILE.py:ATTRIBUTE")
    is_file = source.endswith(".py") or os.sep in source or "/" in source
    module = _import_file(name, Path(source)) if is_file else _import_module(name, source)
    call = _FACTORY_CALL.fullmatch(attribute)
    value = _find(name, source, module, call[1] if call else attribute)
    if call:
        if not callable(value):
            raise _cannot(name, f"{call[1]} is {_kind(value)}, which cannot be called; leave out the ()")
        with _blaming_its_code(name):
            value = value()
    if not callable(value):
        what = "it is"
        if call:
            what = f"{call[0]} returned" if value is None else f"{call[0]} returned an object"
        hint = f"; for what is in it, write {value.__name__}:NAME" if isinstance(value, ModuleType) else ""
        raise _cannot(name, f"{what} {_kind(value)}, but a WSGI application is a callable{hint}")
    if _is_asynchronous(value):
        raise _cannot(name, "it is an ASGI application, whose calls are awaited; name one for WSGI")
    return value


def _is_asynchronous(value: object) -> bool:
    while isinstance(value, functools.partial):
        value = value.func
    if isinstance(value, MethodType):
        value = value.__func__
    called = value if isinstance(value, FunctionType) else type(value).__call__
    return isinstance(called, FunctionType) and bool(called.__code__.co_flags & _COROUTINE)


def _import_module(name: str, source: str) -> ModuleType:
    if not all(source.split(".")):
        raise _cannot(name, f"{source!r} is not the name of a module; write it as in package.module")
    folder = _current_folder(name)
    _refuse_hidden(name, source.partition(".")[0], folder)
    _put_on_path(folder)
    with _blaming_its_code(name):
        try:
            return importlib.import_module(source)
        except ModuleNotFoundError as error:
            if _own_code(error) is not None:
                raise
            # Nothing ran: it is the import asked for that found no module.
            place = f"in {folder} nor among the installed ones"
            hint = "; an attribute stands after a colon, as in module:app" if "." in source else ""
            raise _cannot(name, f"there is no module {error.name!r} {place}{hint}") from None


def _refuse_hidden(name: str, top: str, folder: str) -> None:
    """Refuse a module of the *folder* that no import can reach, as Python has loaded its own of that name."""
    if top not in sys.stdlib_module_names or not (top in sys.modules or top in sys.builtin_module_names):
        return
    loaded = os.path.realpath(getattr(sys.modules.get(top), "__file__", None) or "")
    for path in (os.path.join(top, "__init__.py"), f"{top}.py"):
        own = os.path.join(folder, path)
        if os.path.isfile(own) and os.path.realpath(own) != loaded:
            raise _cannot(
                name,
                f"{top} is a module of the standard library; for the one in {folder}, name its file, "
                f"as in {path}:NAME",
            )


def _import_file(name: str, path: Path) -> ModuleType:
    place = "" if path.is_absolute() else f" in {_current_folder(name)}"
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = 0
    except OSError as error:
        raise _cannot(name, f"{path}{place} cannot be reached: {error.strerror}") from None
    if stat.S_ISDIR(mode):
        raise _cannot(name, f"{path} is a directory; name the file in it, as in {path / 'app.py'}")
    if not stat.S_ISREG(mode):
        raise _cannot(name, f"there is no file {path}{place}")
    path = path.resolve()
    module_name, folder = _place_in_packages(path)
    # A file may bear the name of a module of the standard library, and must not be imported in its place.
    _put_on_path(str(folder), last=module_name in sys.stdlib_module_names)
    with _blaming_its_code(name):
        if folder == path.parent:
            return _execute(path, module_name)
        # This runs the code of its packages only: whatever bears its name is not run in its place.
        found = importlib.util.find_spec(module_name)
        if found is not None and os.path.realpath(found.origin or "") == str(path):
            return importlib.import_module(module_name)
    package = module_name.partition(".")[0]
    other = getattr(sys.modules.get(package), "__file__", None) or "another module"
    raise _cannot(
        name,
        f"{path} would be imported as {module_name}, but {package} is {other}; rename one of them",
    )


def _current_folder(name: str) -> str:
    try:
        return os.getcwd()
    except OSError as error:
        raise _cannot(
            name, f"there is no current directory to look in ({error.strerror}); change into one that exists"
        ) from None


def _place_in_packages(path: Path) -> tuple[str, Path]:
    """Return the module name of the file *path*, so that its relative imports work, and where it starts."""
    names, folder = [path.stem], path.parent
    while path.stem.isidentifier() and os.path.isfile(folder / "__init__.py"):
        names.insert(0, folder.name)
        folder = folder.parent
    if len(names) > 1 and names[0] not in sys.stdlib_module_names:
        return ".".join(names), folder
    return path.stem, path.parent


def _execute(path: Path, module_name: str) -> ModuleType:
    """Import the file *path*, whatever it is called; as *module_name* if that name is free."""
    if module_name in sys.modules or module_name in sys.stdlib_module_names:
        module_name += "_application"
    loader = importlib.machinery.SourceFileLoader(module_name, str(path))
    spec = importlib.util.spec_from_file_location(module_name, path, loader=loader)
    if spec is None:
        raise AssertionError("a loader was given, so there is a specification")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    loader.exec_module(module)
    return module


def _put_on_path(folder: str, *, last: bool = False) -> None:
    if last:
        if folder not in sys.path:
            sys.path.append(folder)
    else:
        # It may stand further back already, by PYTHONPATH, behind a folder with another module of the name.
        sys.path[:] = [folder, *(entry for entry in sys.path if entry != folder)]


def _find(name: str, source: str, module: ModuleType, attribute: str) -> Any:
    """Return the *attribute*, dots allowed, of *module*; the first of the default names if it is empty."""
    if not attribute:
        for candidate in DEFAULT_NAMES:
            value = _get(name, module, candidate)
            # A package has its submodules as attributes: `app` may be no more than the file app.py in it.
            if value is not _MISSING and not isinstance(value, ModuleType):
                return value
        raise _cannot(
            name,
            f"{source} has neither {' nor '.join(map(repr, DEFAULT_NAMES))}; "
            f"name the application, as in {source}:NAME{_candidates(module)}",
        )
    value = module
    seen = source
    for part in attribute.split("."):
        owner, value = value, _get(name, value, part)
        if value is _MISSING:
            raise _cannot(name, f"{seen} has no attribute {part!r}{_candidates(owner)}")
        seen = f"{seen}{':' if seen is source else '.'}{part}"
    return value


def _get(name: str, owner: Any, attribute: str) -> Any:
    """Return an attribute or `_MISSING`; finding it may run code, such as a module's `__getattr__`."""
    with _blaming_its_code(name):
        return getattr(owner, attribute, _MISSING)


def _candidates(owner: Any) -> str:
    """Name what a user might have meant, if *owner* is a module."""
    if not isinstance(owner, ModuleType):
        return ""
    names = [
        name
        for name, value in vars(owner).items()
        if not name.startswith("_") and _may_be_application(owner, value)
    ]
    return f"; there are: {', '.join(names[:5])}" if names else ""


def _may_be_application(module: ModuleType, value: Any) -> bool:
    """Tell whether *value* is a function or class of *module*, or an object to call like an application."""
    import inspect  # it is large, and only a wrong name needs it

    try:
        if inspect.isroutine(value) or inspect.isclass(value):
            return bool(value.__module__ == module.__name__)
        inspect.signature(value).bind("environ", "start_response")
    except Exception:
        # It cannot be called so, or does not let itself be looked at, as Flask's `request` outside of one.
        return False
    return True


def _kind(value: object) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"


def _cannot(name: str, reason: str) -> ApplicationError:
    return ApplicationError(f"cannot load {name!r}: {reason}")


@contextlib.contextmanager
def _blaming_its_code(name: str) -> Iterator[None]:
    """Describe whatever the application's own code raises, but Ctrl-C."""
    try:
        yield
    except (ApplicationError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise _code_failed(name, error) from None


def _code_failed(name: str, error: BaseException) -> ApplicationError:
    """Describe an exception that the application's own code raised, with its traceback."""
    own = _own_code(error)
    if own is None and isinstance(error, OSError):
        return _cannot(name, f"{error.filename or 'its code'} cannot be read: {error.strerror or error}")
    from wsgix.conform.words import said  # only a failure needs the referee's

    words = said(error)
    what = f"{type(error).__name__}: {words}" if words else type(error).__name__
    if isinstance(error, ModuleNotFoundError) and error.name:
        reason = (
            f"its code imports {error.name!r}, which is neither beside it nor installed for {sys.executable}"
        )
    elif isinstance(error, SystemExit):
        reason = f"its code ended the process while it was loaded ({what})"
    elif isinstance(error, SyntaxError) and error.filename:
        reason = f"its code is not Python: {error.msg} ({error.filename}, line {error.lineno})"
    else:
        reason = f"its code failed: {what}"
    lines = "".join(traceback.format_exception(type(error), error, own)).rstrip()
    return _cannot(name, f"{' '.join(reason.split())}\n{lines}")


def _own_code(error: BaseException) -> TracebackType | None:
    """Return the part of a traceback that begins in the application; None if its code did not run."""
    trace = error.__traceback__
    while trace is not None and _is_import_machinery(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace


def _is_import_machinery(filename: str) -> bool:
    own = (__file__, importlib.__file__, importlib.util.__file__)
    return filename in own or filename.startswith("<frozen importlib")
