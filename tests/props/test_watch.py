"""Whatever an application does, both sides see the same under watch as without, and no rule fails itself.

Both sides write down all that they get from each other; the two logs, with the watch and without, are equal.
"""

import warnings
from contextlib import suppress
from io import StringIO

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.props.test_validator import ANYTHING, ENVIRON, HEADERS, STATUS, Drawn
from wsgix.conform import watch
from wsgix.conform.rule import Profile, Verdict
from wsgix.validate import WSGIWarning, validator

PLAIN = ("Content-Type", "text/plain")

START = st.one_of(
    st.tuples(STATUS, HEADERS),
    st.tuples(
        st.sampled_from(["200 OK", "204 No Content", "302 Found", "500 Oops", "404"]),
        st.sampled_from([[PLAIN], [], [("Content-Length", "0")], [("Content-Length", "3"), PLAIN]]),
    ),
    st.tuples(STATUS, HEADERS, ANYTHING),
    st.lists(ANYTHING, max_size=4).map(tuple),
)
READ = st.tuples(
    st.sampled_from(["read", "readline", "readlines", "list", "seek", "fromage", "__next__", "close"]),
    st.lists(st.integers(-1, 9), max_size=1),
)
ACTION = st.one_of(
    st.tuples(st.just("start"), START),
    st.tuples(st.just("write"), ANYTHING),
    st.tuples(st.just("log"), ANYTHING),
    READ,
)
RESULT = st.one_of(
    ANYTHING, st.lists(st.binary(max_size=3), max_size=3), st.lists(ANYTHING, max_size=3).map(tuple)
)


class Log(list):
    """What one side saw, in words."""

    __slots__ = ()

    def note(self, what, *values):
        self.append(f"{what} {Drawn(values)}")

    def attempt(self, what, call, *args, **kwargs):
        """Make a call and note its answer, or the type of what it raises."""
        try:
            answer = call(*args, **kwargs)
        except Exception as error:
            self.append(f"{what} raised {type(error).__name__}")
            return None
        return answer


class Input:
    """An input stream that notes how it is used, with one method more than PEP 3333 lists."""

    def __init__(self, log):
        self.log = log
        self.line = b"abc\n"

    def answer(self, name, args, answer):
        self.log.note(name, *args)
        return answer

    def read(self, *args):
        return self.answer("read", args, b"abc")

    def readline(self, *args):
        line, self.line = self.line, b""
        return self.answer("readline", args, line)

    def readlines(self, *args):
        return self.answer("readlines", args, [b"abc\n"])

    def seek(self, *args):
        return self.answer("seek", args, 0)

    def __iter__(self):
        return iter(self.answer("iter", (), [b"not by", b"lines"]))


class Errors:
    def __init__(self, log):
        self.log = log

    def write(self, text):
        self.log.note("log", text)

    def flush(self):
        self.log.note("flush")

    def writelines(self, lines):
        self.log.note("lines", lines)


def use(stream, name, arguments):
    if name == "__next__":
        return next(stream)
    if name == "list":
        return list(stream)
    return getattr(stream, name)(*arguments) if name != "close" else stream.close()


def serve(program, result, wrap):
    """Let an application carry out a program and return a result; give what both sides saw."""
    log = Log()

    def application(environ, start_response):
        write = len
        for name, argument in program:
            match name:
                case "start":
                    write = log.attempt("start_response", start_response, *argument) or write
                case "write":
                    log.attempt("write", write, argument)
                case "log":
                    log.attempt("errors", environ["wsgi.errors"].write, argument)
                case _:
                    answer = log.attempt(name, use, environ["wsgi.input"], name, argument)
                    log.note(f"{name} gave", answer)
        return result

    begun = []

    def start_response(*args, **kwargs):
        log.note("start", *args)
        if len(args) not in (2, 3) or (begun and len(args) == 2):
            raise RuntimeError
        begun.append(args)
        return lambda data: log.note("written", data)

    environ = {
        **ENVIRON,
        "REQUEST_METHOD": "POST",
        "CONTENT_LENGTH": "3",
        "wsgi.input": Input(log),
        "wsgi.errors": Errors(log),
    }
    answer = log.attempt("application", wrap(application), environ, start_response)
    log.note("has length", log.attempt("len", len, answer))
    iterator = log.attempt("iter", iter, answer)
    for _ in range(5 if iterator is not None else 0):
        item = log.attempt("next", next, iterator, StopIteration)
        log.note("item", item)
        if item is StopIteration:
            break
    close = log.attempt("close?", getattr, answer, "close", None)
    if close is not None:
        log.attempt("close", close)
    return log


def compare(wrap, **more):
    """Try whether `wrap` leaves an application as it is."""

    @settings(max_examples=300, report_multiple_bugs=False, **more)
    @given(st.tuples(st.lists(ACTION, max_size=4), RESULT).map(Drawn))
    def holds(drawn):
        assert serve(*drawn.values, wrap) == serve(*drawn.values, lambda application: application)

    holds()


def test_both_sides_see_the_same_under_watch_as_without_and_no_rule_fails_itself():
    found = []

    compare(lambda application: watch(application, profiles=Profile, report=found.append))

    assert {judgement.verdict for judgement in found} == {Verdict.FAIL}


def losing_its_length(application):
    return lambda environ, start_response: iter(application(environ, start_response))


def losing_exc_info(application):
    return lambda environ, start_response: application(environ, lambda *args: start_response(*args[:2]))


def swallowing_logs(application):
    return lambda environ, start_response: application(environ | {"wsgi.errors": StringIO()}, start_response)


@pytest.mark.parametrize("wrap", [losing_its_length, losing_exc_info, swallowing_logs])
def test_a_wrapper_that_changes_anything_is_found(wrap):
    # That there is such an application is enough: looking for the smallest one takes minutes.
    with pytest.raises(AssertionError):
        compare(wrap, phases=[Phase.generate], derandomize=True, database=None)


def run_whole(application, log):
    """Call an application as a good server does; what it raises goes on."""
    environ = {**ENVIRON, "REQUEST_METHOD": "POST", "wsgi.input": Input(log), "wsgi.errors": Errors(log)}
    result = application(environ, lambda *args, **kwargs: lambda *data: None)
    try:
        for _ in zip(result, range(5), strict=False):
            pass
    finally:
        if hasattr(result, "close"):
            result.close()


def refuses(program, result):
    """Tell whether the compatible validator refuses an application."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WSGIWarning)
        try:
            run_whole(validator(acting(program, result)), Log())
        except AssertionError:
            return True
        except Exception:
            return False
    return False


def acting(program, result):
    """Return an application that carries out a program, and stops at the first exception."""

    def application(environ, start_response):
        if "start" not in dict(program):
            write = start_response("200 OK", [PLAIN])
        for name, argument in program:
            match name:
                case "start":
                    start_response(*argument)
                case "write":
                    write(argument)
                case "log":
                    environ["wsgi.errors"].write(argument)
                case _:
                    use(environ["wsgi.input"], name, argument)
        return result

    return application


@settings(max_examples=500)
@given(st.tuples(st.lists(ACTION, max_size=1), st.one_of(st.just([]), RESULT)).map(Drawn))
def test_what_the_compatible_validator_refuses_the_watch_finds_too(drawn):
    found = []

    with suppress(Exception):
        run_whole(watch(acting(*drawn.values), profiles=Profile, report=found.append), Log())

    if refuses(*drawn.values):
        assert found
