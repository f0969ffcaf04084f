"""Where something happened: places of callers, of applications and of iterators."""

import functools
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from wsgix.conform import places
from wsgix.conform.points import Checks, interpose

HERE = "tests/conform/test_places.py"


def application(environ, start_response):
    yield b""
    yield b""


FIRST = application.__code__.co_firstlineno


class Instance:
    def __call__(self, environ, start_response):
        return []

    def method(self, environ, start_response):
        return []


class WithInit:
    def __init__(self, environ, start_response):
        pass


class WithNew:
    def __new__(cls, environ, start_response):
        return []


class WithNeither:
    pass


class AnswersToAll:
    def __getattr__(self, name):
        return self

    def __call__(self, *args):
        return self


def place(code):
    return f"{HERE}:{code.co_firstlineno} in {code.co_qualname}"


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (application, place(application.__code__)),
        (functools.partial(functools.partial(application), 1), place(application.__code__)),
        (functools.wraps(application)(lambda *args: []), place(application.__code__)),
        (interpose(application, Checks()), place(application.__code__)),
        (Instance(), place(Instance.__call__.__code__)),
        (Instance().method, place(Instance.method.__code__)),
        (WithInit, place(WithInit.__init__.__code__)),
        (WithNew, place(WithNew.__new__.__code__)),
        (WithNeither, ""),
        (print, ""),
        (None, ""),
        (AnswersToAll(), ""),
    ],
)
def test_an_application_is_where_its_code_begins(candidate, expected):
    assert places.of_application(candidate) == expected


def delegating():
    yield from application(None, None)


def test_a_generator_is_where_it_waits():
    generator = application(None, None)

    assert places.of_iterator(generator, generator, print) == f"{HERE}:{FIRST} in application"
    next(generator)
    assert places.of_iterator(generator, generator, print) == f"{HERE}:{FIRST + 1} in application"
    list(generator)
    assert places.of_iterator(generator, generator, print) == f"{HERE}:{FIRST} in application"


def test_a_generator_that_delegates_is_where_the_innermost_waits():
    generator = delegating()
    next(generator)

    assert places.of_iterator(generator, generator, print) == f"{HERE}:{FIRST + 1} in application"


def test_what_has_no_code_of_its_own_is_where_the_application_is():
    assert places.of_iterator(iter([]), [], application) == f"{HERE}:{FIRST} in application"


def test_a_caller_outside_of_the_standard_library_is_preferred():
    seen = functools.reduce(lambda sofar, _: sofar or places.of_caller(), [None, 1])

    assert seen.startswith(f"{HERE}:")
    assert seen.endswith(" in test_a_caller_outside_of_the_standard_library_is_preferred.<locals>.<lambda>")


def test_a_caller_of_the_standard_library_is_told_where_there_is_no_other():
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(places.of_caller).result(10)

    assert "concurrent/futures/thread.py:" in told


def test_a_place_can_be_told_when_the_directory_is_gone(monkeypatch):
    def gone():
        raise FileNotFoundError

    monkeypatch.setattr(os, "getcwd", gone)

    assert places.of_application(application).endswith(f"{HERE}:{FIRST} in application")
