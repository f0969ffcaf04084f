"""Where in an application's code something happened, as text: "shop/views.py:12 in index".

Here lives what looks into frames, functions and generators; it is asked only once something was found. It
keeps no frame: one that is kept holds every object of the call.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from types import CodeType, FrameType, FunctionType, GeneratorType, MethodType
from typing import Any, Final

_REFEREE: Final = __name__.rpartition(".")[0]
_STANDARD_LIBRARY: Final = os.path.dirname(os.__file__) + os.sep


def of_caller() -> str:
    """Return the place in the application that called into the referee.

    That is the innermost frame outside of the referee and of the standard library, up to the frame from
    which the referee called the application; failing that the innermost outside of the referee.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_referee(frame):
        frame = frame.f_back
    if frame is None:
        return ""
    innermost = frame
    while frame is not None and not _is_referee(frame):
        if not _is_standard_library(frame.f_code.co_filename):
            return _spell(frame.f_code, frame.f_lineno)
        frame = frame.f_back
    return _spell(innermost.f_code, innermost.f_lineno)


def of_application(application: Any) -> str:
    """Return the place where the code of a callable begins, or "" where it has none in Python."""
    code = _code_of(application)
    return _spell(code, code.co_firstlineno) if code else ""


def of_iterator(iterator: Any, iterable: Any, application: Any) -> str:
    """Return the place that an iterator over an iterable has reached: of a generator, the line of `yield`.

    Of any other, the code that gives the items; where that is not in Python, the code of the application.
    """
    while isinstance(iterator, GeneratorType) and isinstance(iterator.gi_yieldfrom, GeneratorType):
        iterator = iterator.gi_yieldfrom
    if isinstance(iterator, GeneratorType):
        frame = iterator.gi_frame
        code = iterator.gi_code
        return _spell(code, frame.f_lineno if frame else code.co_firstlineno)
    for kind, name in (
        (type(iterator), "__next__"),
        (type(iterable), "__iter__"),
        (type(iterable), "__getitem__"),
    ):
        found = getattr(getattr(kind, name, None), "__code__", None)
        if found is not None:
            return _spell(found, found.co_firstlineno)
    return of_application(application)


def _code_of(application: Any) -> CodeType | None:
    # Ten layers are enough for anyone, and an object that answers to every name would never end.
    for _ in range(10):
        code = getattr(application, "__code__", None)
        wrapped = getattr(application, "__wrapped__", None)
        if isinstance(application, functools.partial):
            application = application.func
        elif isinstance(application, MethodType):
            application = application.__func__
        elif callable(wrapped):
            application = wrapped
        elif isinstance(code, CodeType):
            return code
        elif isinstance(application, type):
            application = application.__dict__.get("__init__") or application.__new__
        elif isinstance(call := inspect.getattr_static(type(application), "__call__", None), FunctionType):
            application = call
        else:
            break
    return None


def _is_referee(frame: FrameType) -> bool:
    module = frame.f_globals.get("__name__", "")
    return isinstance(module, str) and (module == _REFEREE or module.startswith(_REFEREE + "."))


def _is_standard_library(filename: str) -> bool:
    return filename.startswith(_STANDARD_LIBRARY) and "site-packages" not in filename


def _spell(code: CodeType, line: int) -> str:
    try:
        here = os.getcwd() + os.sep
    except OSError:  # the directory is gone
        here = ""
    return f"{code.co_filename.removeprefix(here)}:{line} in {code.co_qualname}"
