"""Whatever is passed, the compatible validator answers with an AssertionError, with a warning, or lets it by.

Each property is tried on wsgix's module, here and under `python -O`, where `assert` is gone: so none is used
to judge. It is tried on the standard library's too, and has to find its leaks: else the net is torn.
"""

import gc
import io
import subprocess
import sys
import warnings
import wsgiref.validate
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import wsgix.validate

ROOT = Path(__file__).parents[2]


class Leak(Exception):
    """Something else came out of the checks."""


class Unprintable:
    def __repr__(self):
        raise KeyError("repr")


class Incomparable:
    __hash__ = None

    def __eq__(self, other):
        raise ValueError("eq")


class Undecided:
    """What a comparison of arrays gives: no truth value."""

    def __eq__(self, other):
        return self

    def __hash__(self):
        return 0

    def __bool__(self):
        raise ValueError("bool")


class Proxy:
    @property
    def __class__(self):
        raise RuntimeError("bound to nothing")

    def __getattr__(self, name):
        raise IndexError(name)


class NotIterable:
    __iter__ = None

    def __getitem__(self, index):
        raise IndexError


class Bottomless:
    def __iter__(self):
        return 7


class Text(str):
    __slots__ = ()

    def lower(self):
        raise KeyError("lower")

    def __len__(self):
        raise KeyError("len")


class Pair(tuple):
    __slots__ = ()

    def __len__(self):
        raise KeyError("len")

    def __iter__(self):
        raise KeyError("iter")


class Pairs(list):
    __slots__ = ()

    def __iter__(self):
        raise KeyError("iter")


Imposter = type("list", (), {})
Untold = type("Meta", (type,), {"__repr__": lambda cls: 1 // 0})("Untold", (), {})

ODDITIES = [
    *(
        kind()
        for kind in (Unprintable, Incomparable, Undecided, Proxy, NotIterable, Bottomless, Imposter, Untold)
    ),
    Text("200 OK"),
    Pair(("a", "b")),
    Pairs([("Content-Type", "text/plain")]),
    "9" * 5000,
    "\ud800",
    io.BytesIO(b"a\nb\n"),
    sys.exc_info,
    None,
    True,
    float("nan"),
]

# Drawn by their numbers: Hypothesis prints what it draws from, and some cannot be printed.
ODD = st.integers(0, len(ODDITIES) - 1).map(lambda number: ODDITIES[number])
PLAIN = st.one_of(
    ODD,
    st.integers(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.sampled_from(["", "/", "0", "-1", "GET"]),
)
ANYTHING = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=2),
    ),
    max_leaves=5,
)

STATUS = st.one_of(ANYTHING, st.from_regex(r"[0-9\u0660-\u0669 ]{0,4}[ \t]?.{0,3}", fullmatch=True))
NAME = st.one_of(PLAIN, st.sampled_from(["Content-Type", "content-length", "Status", "X-", "a b", "", "é"]))
HEADERS = st.one_of(ANYTHING, st.lists(st.one_of(ANYTHING, st.tuples(NAME, PLAIN)), max_size=3))

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/",
    "QUERY_STRING": "",
    "CONTENT_LENGTH": "4",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.input": io.BytesIO(b""),
    "wsgi.errors": io.StringIO(),
    "wsgi.multithread": False,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}
KEYS = st.one_of(
    st.sampled_from([*ENVIRON, "HTTP_CONTENT_TYPE", "HTTP_X.Y"]), st.text(max_size=3), st.binary(max_size=2)
)


def judged(call, *args, **kwargs):
    """Make a call whose checks may object, and only with an AssertionError or a warning of the validator."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return call(*args, **kwargs)
        except AssertionError:
            return None
        except Warning as warning:
            if type(warning).__name__ != "WSGIWarning":
                raise Leak(repr(warning)) from warning
            return None
        except Exception as error:
            raise Leak(f"{type(error).__name__} came out of the checks") from error


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return []


def start(*args, **kwargs):
    return lambda data: None


def exchange(validate, application, environ=None):
    """Let the validated application answer, and read and close what it returns."""
    result = judged(validate.validator(application), {**ENVIRON, **(environ or {})}, start)
    if result is not None:
        while judged(next, result, result) not in (None, result):
            pass
        judged(result.close)


def check_call(validate, args, kwargs):
    judged(validate.validator(hello), *args, **kwargs)


def check_environ(validate, environ, absent):
    environ = {**ENVIRON, **environ}
    for key in absent:
        environ.pop(key, None)
    result = judged(validate.validator(hello), environ, start)
    if result is not None:
        judged(result.close)


def check_start_response(validate, args, kwargs):
    def application(environ, start_response):
        judged(start_response, *args, **kwargs)
        return []

    exchange(validate, application)


def check_result(validate, result):
    if type(result) in (Pair, Pairs):
        return  # iterating it raises an error of the application's own, which is not the validator's to hide

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return result

    exchange(validate, application)


def check_streams(validate, arguments, answer):
    class Stream:
        def read(self, *args):
            return answer

        readline = readlines = __iter__ = read

    class Errors:
        def write(self, text):
            pass

        def flush(self):
            pass

        writelines = write

    def application(environ, start_response):
        judged(environ["wsgi.input"].read, *arguments)
        judged(environ["wsgi.input"].readline, *arguments)
        judged(environ["wsgi.input"].readlines, *arguments)
        judged(environ["wsgi.errors"].writelines, arguments)
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        for argument in arguments:
            judged(environ["wsgi.errors"].write, argument)
            judged(write, argument)
        return []

    exchange(validate, application, {"wsgi.input": Stream(), "wsgi.errors": Errors()})


def check_functions(validate, value, headers):
    judged(validate.check_status, value)
    judged(validate.check_headers, headers)
    judged(validate.check_content_type, "200 OK", headers)
    judged(validate.check_content_type, value, [])
    judged(validate.check_exc_info, value)
    judged(validate.check_iterator, value)
    judged(validate.check_environ, value)
    judged(validate.check_input, value)
    judged(validate.check_errors, value)


PROPERTIES = {
    "call": (check_call, (st.lists(ANYTHING, max_size=3), st.dictionaries(st.sampled_from("ab"), ANYTHING))),
    "environ": (check_environ, (st.dictionaries(KEYS, ANYTHING, max_size=2), st.sets(KEYS, max_size=1))),
    "start_response": (
        check_start_response,
        (
            st.one_of(
                st.lists(ANYTHING, max_size=4),
                st.tuples(STATUS, HEADERS),
                st.tuples(STATUS, HEADERS, ANYTHING),
            ),
            st.dictionaries(st.sampled_from(["exc_info", "status"]), ANYTHING, max_size=1),
        ),
    ),
    "result": (check_result, (ANYTHING,)),
    "streams": (check_streams, (st.lists(ANYTHING, max_size=2), ANYTHING)),
    "functions": (check_functions, (ANYTHING, HEADERS)),
}


class Drawn:
    """An example as Hypothesis can print it."""

    def __init__(self, values):
        self.values = values

    def __repr__(self):
        return ", ".join(map(self.spell, self.values))

    def spell(self, value):
        if type(value) in (list, tuple):
            return f"{type(value).__name__}({', '.join(map(self.spell, value))})"
        if type(value) is dict:
            return f"{{{', '.join(f'{self.spell(k)}: {self.spell(v)}' for k, v in value.items())}}}"
        return object.__repr__(value) if any(value is oddity for oddity in ODDITIES) else repr(value)


def try_property(name, validate, phases=tuple(Phase)):
    """Try one property with many examples; `Leak` is raised for one that breaks it."""
    check, strategies = PROPERTIES[name]

    @settings(
        report_multiple_bugs=False,
        max_examples=200,
        derandomize=True,
        deadline=None,
        database=None,
        phases=phases,
    )
    @given(st.tuples(*strategies).map(Drawn))
    def holds(drawn):
        check(validate, *drawn.values)

    holds()


@pytest.mark.parametrize("name", PROPERTIES)
def test_nothing_but_assertions_and_warnings_come_out_of_the_checks(name):
    try_property(name, wsgix.validate)


def test_the_same_holds_where_assert_is_stripped():
    program = (
        "import wsgix.validate\n"
        "from tests.props.test_validator import PROPERTIES, try_property\n"
        "for name in PROPERTIES: try_property(name, wsgix.validate)\n"
        "print(__debug__, *PROPERTIES)\n"
    )

    process = subprocess.run(
        [sys.executable, "-O", "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=110
    )

    assert (process.stdout.split(), process.stderr) == (["False", *PROPERTIES], "")


@pytest.mark.parametrize("name", ["environ", "start_response", "result", "functions"])
def test_the_properties_find_the_leaks_of_the_standard_library(name, monkeypatch):
    # Its stand-ins fail once more when they are freed half made.
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: None)

    found = leaks(name, wsgiref.validate)
    gc.collect()

    assert found


def leaks(name, validate):
    try:
        # Any will do: to look for the simplest takes long, and what is run meanwhile is traced.
        try_property(name, validate, phases=[Phase.generate])
    except Leak:
        return True
    return False
