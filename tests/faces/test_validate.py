"""The compatible validator: each verdict, its exception and its text, and that all else passes."""

import doctest
import subprocess
import sys
from contextlib import closing
from io import BytesIO, StringIO

import pytest

from wsgix import validate
from wsgix.conform.points import interpose
from wsgix.util import FileWrapper
from wsgix.validate import WSGIWarning, validator

PLAIN = [("Content-Type", "text/plain")]


def make_environ(**changes):
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(b"one\ntwo\n"),
        "wsgi.errors": StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    environ.update(changes)
    return {key: value for key, value in environ.items() if value is not None}


def start_response(status, headers, exc_info=None):
    return lambda data: None


def hello(environ, start_response):
    start_response("200 OK", PLAIN)
    return [b"Hello"]


def run(application, environ=None):
    """Call the validated application as a server does; return the blocks of its body."""
    with closing(validator(application)(environ or make_environ(), start_response)) as result:
        return list(result)


def objection(function, *args, **kwargs):
    """Return the text of the AssertionError that the call must raise; no subclass of it will do."""
    with pytest.raises(AssertionError) as caught:
        function(*args, **kwargs)
    assert type(caught.value) is AssertionError
    return str(caught.value)


@pytest.fixture
def unraisable(monkeypatch):
    """Collect (type, text) of what is raised in `__del__`; the exception itself would revive its object."""
    caught = []
    monkeypatch.setattr(
        sys, "unraisablehook", lambda seen: caught.append((seen.exc_type, str(seen.exc_value)))
    )
    return caught


# The module


def test_validator_is_the_one_name_for_everybody():
    assert validate.__all__ == ["validator"]


def test_the_examples_in_the_docstrings_hold():
    failed, tried = doctest.testmod(validate)
    assert (failed, tried > 0) == (0, True)


def test_the_checks_outlive_python_minus_o():
    program = "from wsgix.validate import validator; validator(print)()"

    process = subprocess.run(
        [sys.executable, "-O", "-c", program], capture_output=True, text=True, timeout=60
    )

    assert process.stderr.splitlines()[-1] == "AssertionError: Two arguments required (got 0 positional)"


def test_assert_raises_for_what_is_false_and_hands_its_arguments_on():
    ensure = validate.assert_
    ensure([0], "not seen")
    with pytest.raises(AssertionError) as caught:
        ensure([], "seen", 1)
    assert caught.value.args == ("seen", 1)


def test_a_string_is_returned_and_its_subclass_refused():
    class Text(str):
        __slots__ = ()

    assert validate.check_string_type("text", "Status") == "text"
    assert objection(validate.check_string_type, b"x", "Status") == "Status must be of type str (got b'x')"
    assert objection(validate.check_string_type, Text("x"), "Title") == "Title must be of type str (got 'x')"


def test_the_warning_is_no_error_by_itself():
    assert WSGIWarning.__bases__ == (Warning,)


# What is correct passes


def test_a_correct_exchange_passes_unchanged():
    sent = []

    def application(environ, start_response):
        assert environ["wsgi.input"].read(4) == b"one\n"
        assert list(environ["wsgi.input"]) == [b"two\n"]
        assert environ["wsgi.input"].readline() == b""
        assert environ["wsgi.input"].readlines(10) == []
        environ["wsgi.errors"].write("a line\n")
        environ["wsgi.errors"].writelines(["b\n", "c\n"])
        environ["wsgi.errors"].flush()
        write = start_response("404 Not Found", PLAIN)
        write(b"written")
        return (block for block in (b"yielded", b""))

    def start_response(*args):
        sent.append(args)
        return sent.append

    environ = make_environ()
    errors = environ["wsgi.errors"]
    result = validator(application)(environ, start_response)

    assert list(result) == [b"yielded", b""]
    result.close()
    assert sent == [("404 Not Found", PLAIN), b"written"]
    assert errors.getvalue() == "a line\nb\nc\n"


def test_the_stand_ins_are_the_classes_of_this_module():
    environ = make_environ()
    writes = []

    def application(environ, start_response):
        writes.append(start_response("200 OK", PLAIN))
        return []

    result = validator(application)(environ, start_response)
    result.close()

    assert type(environ["wsgi.input"]) is validate.InputWrapper
    assert type(environ["wsgi.errors"]) is validate.ErrorWrapper
    assert type(writes[0]) is validate.WriteWrapper
    assert type(result) is validate.IteratorWrapper


def test_validators_can_be_stacked():
    assert run(validator(validator(hello))) == [b"Hello"]


def test_the_result_has_no_length_and_is_no_file_wrapper_any_more():
    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        return FileWrapper(BytesIO(b"content"))

    result = validator(application)(make_environ(), start_response)

    assert not hasattr(result, "__len__")
    assert not isinstance(result, FileWrapper)
    assert list(result) == [b"content"]
    result.close()


# The call


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((), {}, "Two arguments required (got 0 positional)"),
        ((1, 2, 3), {}, "Two arguments required (got 3 positional)"),
        ((), {"environ": {}, "start_response": None}, "Two arguments required (got 0 positional)"),
        ((1, 2), {"debug": True, "x": 1}, "No keyword arguments allowed (got debug, x)"),
    ],
)
def test_a_server_passes_two_positional_arguments(args, kwargs, text):
    assert objection(validator(hello), *args, **kwargs) == text


# The environ


class OtherDict(dict):
    pass


def test_the_environ_is_a_dict_and_of_no_subclass():
    environ = OtherDict(a="b")

    assert objection(run, hello, environ) == (
        f"Environment is not of the right type: {OtherDict!r} (environment: {{'a': 'b'}})"
    )


@pytest.mark.parametrize(
    "key",
    [
        "REQUEST_METHOD",
        "SERVER_NAME",
        "SERVER_PORT",
        "wsgi.version",
        "wsgi.url_scheme",
        "wsgi.input",
        "wsgi.errors",
        "wsgi.multithread",
        "wsgi.multiprocess",
        "wsgi.run_once",
    ],
)
def test_a_key_that_pep_3333_requires_is_missed(key):
    assert objection(run, hello, make_environ(**{key: None})) == f"Environment missing required key: {key!r}"


@pytest.mark.parametrize("key", ["CONTENT_TYPE", "CONTENT_LENGTH"])
def test_the_two_unprefixed_variables_have_no_prefix(key):
    assert objection(run, hello, make_environ(**{f"HTTP_{key}": "5"})) == (
        f"Environment should not have the key: HTTP_{key} (use {key} instead; got '5')"
    )


def test_a_missing_query_string_is_a_warning():
    with pytest.warns(WSGIWarning, match=r"^QUERY_STRING is not in the WSGI environment; ") as caught:
        run(hello, make_environ(QUERY_STRING=None))

    assert len(caught) == 1
    assert caught[0].filename == validate.__file__


def test_a_cgi_variable_is_a_string():
    assert objection(run, hello, make_environ(HTTP_X=b"5")) == (
        "Environmental variable HTTP_X is not a string: <class 'bytes'> (value: b'5')"
    )


def test_a_variable_with_a_dot_may_be_anything():
    assert run(hello, make_environ(**{"server.connection": object()})) == [b"Hello"]


def test_the_name_of_a_variable_is_a_string():
    environ = make_environ()
    environ[5] = "five"

    assert objection(run, hello, environ) == "Environmental variable names must be of type str (got 5)"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"wsgi.version": "1.0"}, "wsgi.version should be a tuple ('1.0')"),
        ({"wsgi.version": [1, 0]}, "wsgi.version should be a tuple ([1, 0])"),
        ({"wsgi.url_scheme": ""}, "wsgi.url_scheme unknown: ''"),
        ({"wsgi.url_scheme": b"http"}, "wsgi.url_scheme unknown: b'http'"),
        ({"wsgi.url_scheme": "HTTP"}, "wsgi.url_scheme unknown: 'HTTP'"),
        ({"wsgi.url_scheme": "http:"}, "wsgi.url_scheme unknown: 'http:'"),
        ({"SCRIPT_NAME": "app"}, "SCRIPT_NAME doesn't start with /: 'app'"),
        ({"PATH_INFO": "path"}, "PATH_INFO doesn't start with /: 'path'"),
        ({"CONTENT_LENGTH": "-1"}, "Invalid CONTENT_LENGTH: '-1'"),
        ({"CONTENT_LENGTH": "x"}, "Invalid CONTENT_LENGTH: 'x'"),
        ({"CONTENT_LENGTH": "1" * 5000}, f"Invalid CONTENT_LENGTH: '{'1' * 5000}'"),
    ],
)
def test_a_variable_with_an_impossible_value_is_refused(changes, text):
    assert objection(run, hello, make_environ(**changes)) == text


@pytest.mark.parametrize("script_name", ["", None])
def test_one_of_script_name_and_path_info_is_there(script_name):
    assert objection(run, hello, make_environ(SCRIPT_NAME=script_name, PATH_INFO=None)) == (
        "One of SCRIPT_NAME or PATH_INFO are required (PATH_INFO should at least be '/' if SCRIPT_NAME is "
        f"empty) (SCRIPT_NAME: {script_name!r})"
    )


def test_a_lone_slash_belongs_to_path_info():
    assert objection(run, hello, make_environ(SCRIPT_NAME="/", PATH_INFO="")) == (
        "SCRIPT_NAME cannot be '/'; it should instead be '', and PATH_INFO should be '/' (PATH_INFO: '')"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"wsgi.url_scheme": "https"},
        {"CONTENT_LENGTH": ""},
        {"CONTENT_LENGTH": "0"},
        {"CONTENT_LENGTH": "12"},
        {"PATH_INFO": ""},
        {"SCRIPT_NAME": None},
        {"SCRIPT_NAME": "/app", "PATH_INFO": None},
    ],
)
def test_a_variable_with_a_possible_value_passes(changes):
    assert run(hello, make_environ(**changes)) == [b"Hello"]


def test_a_scheme_beyond_http_is_a_warning():
    with pytest.warns(WSGIWarning, match=r"^wsgi\.url_scheme unknown: 'ws'$"):
        assert run(hello, make_environ(**{"wsgi.url_scheme": "ws"})) == [b"Hello"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PATCH", "PUT", "DELETE", "TRACE"])
def test_a_known_method_passes(method):
    assert run(hello, make_environ(REQUEST_METHOD=method)) == [b"Hello"]


def test_an_unknown_method_is_a_warning():
    with pytest.warns(WSGIWarning, match=r"^Unknown REQUEST_METHOD: 'X'$"):
        assert run(hello, make_environ(REQUEST_METHOD="X")) == [b"Hello"]


class Lacking:
    """A stream without one of its methods."""

    def __init__(self, *methods):
        for method in methods:
            setattr(self, method, print)

    def __repr__(self):
        return "<stream>"


def test_an_input_that_lacks_a_method_is_refused():
    assert objection(run, hello, make_environ(**{"wsgi.input": Lacking("read", "readline")})) == (
        "wsgi.input (<stream>) doesn't have the attribute readlines"
    )


def test_errors_that_lack_a_method_are_refused():
    assert objection(run, hello, make_environ(**{"wsgi.errors": Lacking("flush", "write")})) == (
        "wsgi.errors (<stream>) doesn't have the attribute writelines"
    )


# The input


class LyingInput:
    """A stream that answers with what it was given."""

    def __init__(self, answer):
        self.read = self.readline = self.readlines = lambda *args: answer


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda stream: stream.read(), ""),
        (lambda stream: stream.read(1, 2), "input.read() takes one argument, the size (got (1, 2))"),
        (lambda stream: stream.readline(1, 2), "input.readline() takes one argument, the size (got (1, 2))"),
        (
            lambda stream: stream.readlines(1, 2),
            "input.readlines() takes one argument, the size (got (1, 2))",
        ),
        (lambda stream: stream.close(), "input.close() must not be called"),
    ],
)
def test_an_application_that_misuses_the_input_is_refused(act, text):
    assert objection(act, validate.InputWrapper(BytesIO())) == text


def test_input_and_its_checks_meet_in_an_application():
    def application(environ, start_response):
        environ["wsgi.input"].close()

    assert objection(run, application) == "input.close() must not be called"


@pytest.mark.parametrize(
    ("act", "answer", "text"),
    [
        (lambda stream: stream.read(1), "x", "input.read() must return bytes (got 'x')"),
        (lambda stream: stream.read(1), [b"x"], "input.read() must return bytes (got [b'x'])"),
        (lambda stream: stream.readline(), None, "input.readline() must return bytes (got None)"),
        (list, "x", "input.readline() must return bytes (got 'x')"),
        (lambda stream: stream.readlines(), (b"x",), "input.readlines() must return a list (got (b'x',))"),
        (
            lambda stream: stream.readlines(),
            [b"x", "y"],
            "input.readlines() must return lines of bytes (got 'y')",
        ),
    ],
)
def test_a_server_whose_input_gives_anything_but_bytes_is_refused(act, answer, text):
    assert objection(act, validate.InputWrapper(LyingInput(answer))) == text


# The errors


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda stream: stream.write(b"x"), "errors.write() argument must be a str instance (got b'x')"),
        (
            lambda stream: stream.writelines(["a", 5]),
            "errors.write() argument must be a str instance (got 5)",
        ),
        (lambda stream: stream.close(), "errors.close() must not be called"),
    ],
)
def test_an_application_that_misuses_the_errors_is_refused(act, text):
    assert objection(act, validate.ErrorWrapper(StringIO())) == text


# start_response


def starting(*args, **kwargs):
    """Return an application that calls start_response so and returns a short body."""

    def application(environ, start_response):
        start_response(*args, **kwargs)
        return [b"body"]

    return application


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((), {}, "Invalid number of arguments: ()"),
        (("200 OK",), {}, "Invalid number of arguments: ('200 OK',)"),
        ((1, 2, 3, 4), {}, "Invalid number of arguments: (1, 2, 3, 4)"),
        (("200 OK", PLAIN), {"exc_info": None}, "No keyword arguments allowed (got exc_info)"),
        ((b"200 OK", PLAIN), {}, "Status must be of type str (got b'200 OK')"),
        (("", PLAIN), {}, "Status codes must be three characters: ''"),
        (("2000 OK", PLAIN), {}, "Status codes must be three characters: '2000'"),
        (("200OK", PLAIN), {}, "Status codes must be three characters: '200OK'"),
        (("20X OK", PLAIN), {}, "Status code is invalid: '20X'"),
        (("\u0662\u0660\u0660 OK", PLAIN), {}, "Status code is invalid: '\u0662\u0660\u0660'"),
        (("099 Low", PLAIN), {}, "Status code is invalid: 99"),
        (("200 OK", tuple(PLAIN)), {}, f"Headers ({tuple(PLAIN)!r}) must be of type list: <class 'tuple'>"),
        (
            ("200 OK", [["a", "b"]]),
            {},
            "Individual headers (['a', 'b']) must be of type tuple: <class 'list'>",
        ),
        (("200 OK", [("a",)]), {}, "Individual headers (('a',)) must be pairs of name and value"),
        (("200 OK", [(b"a", "b")]), {}, "Header name must be of type str (got b'a')"),
        (("200 OK", [("a", 5)]), {}, "Header value must be of type str (got 5)"),
        (("200 OK", [("a:", "b")]), {}, "Header names may not contain ':' or '\\n': 'a:'"),
        (("200 OK", [("a\nb", "b")]), {}, "Header names may not contain ':' or '\\n': 'a\\nb'"),
        (("200 OK", [("a b", "b")]), {}, "Bad header name: 'a b'"),
        (("200 OK", [("", "b")]), {}, "Bad header name: ''"),
        (("200 OK", [("n\xe4me", "b")]), {}, "Bad header name: 'n\xe4me'"),
        (("200 OK", [("a.", "b")]), {}, "Bad header name: 'a.'"),
        (("200 OK", [("a-", "b")]), {}, "Names may not end in '-' or '_': 'a-'"),
        (("200 OK", [("a_", "b")]), {}, "Names may not end in '-' or '_': 'a_'"),
        (("200 OK", [("a", "b\r\nc")]), {}, "Bad header value: 'b\\r\\nc' (bad char: '\\r')"),
        (("200 OK", [("a", "b\tc")]), {}, "Bad header value: 'b\\tc' (bad char: '\\t')"),
        (("200 OK", []), {}, "No Content-Type header found in headers ([])"),
        (
            ("200 OK", [("Content-Length", "4")]),
            {},
            "No Content-Type header found in headers ([('Content-Length', '4')])",
        ),
        (("200 OK", PLAIN, [1, 2]), {}, "exc_info ([1, 2]) is not a tuple: <class 'list'>"),
    ],
)
def test_an_application_that_starts_its_response_wrongly_is_refused(args, kwargs, text):
    assert objection(run, starting(*args, **kwargs)) == text


def test_a_status_among_the_headers_is_refused():
    assert objection(run, starting("200 OK", [("Status", "200 OK")])) == (
        "The Status header cannot be used; it means the status to a CGI server, and WSGI gives the "
        "status apart from the headers (value: '200 OK')"
    )


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_content_type_without_content_is_refused(status):
    assert objection(run, starting(status, PLAIN)) == (
        f"Content-Type header found in a {status[:3]} response, which must not return content "
        "(value: 'text/plain')"
    )


@pytest.mark.parametrize(
    "args",
    [
        ("200 OK", PLAIN, None),
        ("500 Oops", PLAIN, (None, None, None)),
        ("200 OK", [("CONTENT-TYPE", "text/plain"), ("Content-Length", "4")]),
        (
            "200 OK",
            [*PLAIN, ("X.Y", "1"), ("1x", "2"), ("_a", "3"), ("!#$%&'*+-.^_`|~0", "\xe4 b"), ("e", "")],
        ),
        ("100 Continue", []),
        ("103 Early Hints", [("Link", "</a>")]),
        ("204 No Content", []),
        ("205 Reset Content", []),
        ("302 Found", [("Location", "/")]),
        ("302 Found", PLAIN),
        ("304 Not Modified", [("ETag", '"a"')]),
        ("404 Not Found", [("content-length", "0")]),
    ],
)
def test_an_application_that_starts_its_response_rightly_passes(args):
    assert run(starting(*args)) == [b"body"]


@pytest.mark.parametrize("status", ["200", "200\tOK", " 200 OK"])
def test_a_status_of_an_odd_shape_is_a_warning(status):
    with pytest.warns(WSGIWarning) as caught:
        assert run(starting(status, PLAIN)) == [b"body"]

    (warning,) = caught
    assert str(warning.message) == (
        f"The status string ({status!r}) should be a three-digit integer followed by a single space and a "
        "status explanation"
    )


@pytest.mark.parametrize("kind", [list, tuple])
def test_headers_of_a_subclass_are_judged_by_what_they_hold(kind):
    class Odd(kind):
        def __iter__(self):
            raise KeyError("iter")

    validate.check_content_type("200 OK", Odd(PLAIN))


def test_the_content_type_check_stands_alone():
    validate.check_content_type("200 OK", PLAIN)
    assert objection(validate.check_content_type, "", PLAIN) == "Status codes must be three characters: ''"
    assert objection(validate.check_content_type, "200 OK", [(5, "")]) == (
        "Header name must be of type str (got 5)"
    )


# write()


def test_an_application_that_writes_anything_but_bytes_is_refused():
    def application(environ, start_response):
        start_response("200 OK", PLAIN)("text")

    assert objection(run, application) == "write() argument must be a bytes instance (got 'text')"


def test_a_write_wrapper_made_by_hand_checks_too():
    written = []
    write = validate.WriteWrapper(written.append)

    write(b"data")

    assert objection(write, bytearray(b"x")) == (
        "write() argument must be a bytes instance (got bytearray(b'x'))"
    )
    assert written == [b"data"]


# The result


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (None, "The application must return an iterator, if only an empty list (got None)"),
        (False, "The application must return an iterator, if only an empty list (got False)"),
        (7, "The application must return an iterator, if only an empty list (got 7)"),
    ],
)
def test_an_application_that_returns_no_iterable_is_refused(result, text):
    assert objection(run, lambda environ, start_response: result) == text


@pytest.mark.parametrize("result", ["text", b"data"])
def test_an_application_that_returns_a_string_is_refused(result):
    assert objection(run, lambda environ, start_response: result) == (
        "You should not return a string as your application iterator, instead return a single-item list "
        f"containing a bytestring (got {result!r})"
    )


class Sequence:
    """Iterable by the old protocol: no `__iter__`, but indices from 0 on."""

    def __getitem__(self, index):
        return [b"a", b"b"][index]


def test_an_application_may_return_whatever_can_be_iterated_over():
    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        return Sequence()

    assert run(application) == [b"a", b"b"]


@pytest.mark.parametrize("item", ["text", 7, None, bytearray(b"x")])
def test_an_application_that_yields_anything_but_bytes_is_refused(item):
    def application(environ, start_response):
        start_response("200 OK", PLAIN)
        return [item]

    assert objection(run, application) == f"Iterator yielded non-bytestring ({item!r})"


def test_a_block_before_start_response_is_refused():
    assert objection(run, lambda environ, start_response: [b"early"]) == (
        "The application returns and we started iterating over its body, but start_response has not yet been "
        "called (got b'early')"
    )


def test_an_empty_block_before_start_response_passes():
    def application(environ, start_response):
        yield b""
        start_response("200 OK", PLAIN)
        yield b"body"

    assert run(application) == [b"", b"body"]


def test_an_empty_block_does_not_excuse_a_missing_start():
    assert objection(run, lambda environ, start_response: [b"", b"early"]).endswith("(got b'early')")


def test_a_start_that_was_refused_is_no_start():
    def application(environ, start_response):
        with pytest.raises(AssertionError):
            start_response("", PLAIN)
        return [b"early"]

    assert objection(run, application).endswith("(got b'early')")


def test_a_server_that_reads_on_after_close_is_refused():
    result = validator(hello)(make_environ(), start_response)
    result.close()

    assert objection(next, result) == "Iterator read after closed"


def test_a_server_may_close_twice():
    result = validator(hello)(make_environ(), start_response)

    result.close()
    result.close()


def test_a_server_that_forgets_to_close_is_reported(unraisable, capsys):
    result = validator(hello)(make_environ(), start_response)
    text = f"Iterator garbage collected without being closed (a list, returned by {hello!r})"

    del result

    assert capsys.readouterr().err == text + "\n"
    assert unraisable == [(AssertionError, text)]


def test_an_iterator_wrapper_made_by_hand_is_reported_too(unraisable, capsys):
    result = validate.IteratorWrapper((), None)

    del result

    assert capsys.readouterr().err == "Iterator garbage collected without being closed (a tuple)\n"
    assert len(unraisable) == 1


def test_a_report_without_a_standard_error_stream_is_still_raised(unraisable, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    result = validator(hello)(make_environ(), start_response)

    del result

    assert len(unraisable) == 1


# Iterators made by hand


def test_an_iterator_wrapper_reads_the_list_that_it_was_given():
    started = []
    with closing(validate.IteratorWrapper([b"a", b"b"], started)) as result:
        assert objection(next, result).startswith("The application returns and we started iterating")
        started.append(None)
        assert next(result) == b"b"
        assert result.check_start_response is None


def test_an_iterator_wrapper_without_a_list_leaves_start_response_out():
    with closing(validate.IteratorWrapper([b"a"], None)) as result:
        assert list(result) == [b"a"]


def test_a_partial_iterator_wrapper_checks_once_it_is_iterated_over():
    partial = validate.PartialIteratorWrapper([b"a", "b"])

    with closing(iter(partial)) as result:
        assert type(result) is validate.IteratorWrapper
        assert next(result) == b"a"
        assert objection(next, result) == "Iterator yielded non-bytestring ('b')"


def test_the_watch_itself_has_no_opinion():
    result = interpose(lambda environ, start_response: "ab", validate.Checks())(
        make_environ(), start_response
    )

    assert list(result) == ["a", "b"]
    result.close()


# What is passed may be anything, and a verdict is an AssertionError all the same


class Unprintable:
    def __repr__(self):
        raise KeyError("repr")


class Unanswering:
    def __getattr__(self, name):
        raise KeyError(name)


class Undecided:
    """What a comparison of arrays gives: no truth value."""

    def __eq__(self, other):
        return self

    def __hash__(self):
        return 0

    def __bool__(self):
        raise ValueError("neither true nor false")


class Unbound:
    """A proxy that stands for nothing."""

    @property
    def __class__(self):
        raise RuntimeError("bound to nothing")


class NotIterable:
    """Iterable by the old protocol, had it not said that it is not."""

    __iter__ = None

    def __getitem__(self, index):
        raise IndexError


class Bottomless:
    def __iter__(self):
        return 7


def test_what_cannot_be_printed_is_told_by_its_type():
    shown = f"<{__name__}.Unprintable object at 0x"

    assert objection(validate.check_string_type, Unprintable(), "Status").startswith(
        f"Status must be of type str (got {shown}"
    )
    assert objection(run, lambda environ, start_response: Unprintable()).startswith(
        "The application must return an iterator, if only an empty list (got <Unprintable instance at 0x"
    )


def test_what_passes_for_a_list_by_name_alone_is_told_by_its_type():
    imposter = type("list", (), {"__module__": "elsewhere"})

    text = objection(run, lambda environ, start_response: imposter())

    assert text.startswith("The application must return an iterator, if only an empty list (got <elsewhere.l")


@pytest.mark.parametrize("key", ["wsgi.input", "wsgi.errors"])
def test_a_stream_that_fails_when_it_is_asked_has_not_got_the_method(key):
    assert "doesn't have the attribute" in objection(run, hello, make_environ(**{key: Unanswering()}))


def test_a_scheme_that_cannot_be_compared_is_refused():
    text = objection(run, hello, make_environ(**{"wsgi.url_scheme": Undecided()}))

    assert text.startswith(f"wsgi.url_scheme unknown: <{__name__}.Undecided object at 0x")


@pytest.mark.parametrize("kind", [Unbound, NotIterable, Bottomless])
def test_a_result_that_only_seems_to_be_iterable_is_refused(kind):
    assert objection(run, lambda environ, start_response: kind()).startswith(
        "The application must return an iterator, if only an empty list (got <"
    )


@pytest.mark.parametrize("failure", [TypeError, LookupError])
def test_what_the_iterable_raises_when_it_is_iterated_over_is_its_own(failure):
    class Failing:
        def __iter__(self):
            raise failure("own")

    with pytest.raises(failure, match="own"):
        run(lambda environ, start_response: Failing())


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        (None, "Headers (None) must be of type list: <class 'NoneType'>"),
        ([("a",)], "Individual headers (('a',)) must be pairs of name and value"),
        (["ab"], "Individual headers ('ab') must be of type tuple: <class 'str'>"),
        ([("Content-Length", Undecided())], None),
    ],
)
def test_the_content_type_check_takes_any_headers(headers, text):
    seen = objection(validate.check_content_type, "200 OK", headers)

    assert seen == text or (text is None and seen.startswith("No Content-Type header found"))
