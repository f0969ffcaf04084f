"""The player: one call of an application, step by step, as a server makes it."""

import io
import sys
import types

import pytest

from wsgix.conform.play import (
    END,
    ENDS_AT_MOST,
    BrokenInput,
    Call,
    ClientVanished,
    EndlessReader,
    FileWrapper,
    Input,
    Request,
    can_be_read,
    make_environ,
    place_of,
    variable_of,
)


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello, ", b"World"]


class Body:
    def __init__(self, *items, close=None):
        self.items = iter(items)
        self.closings = 0
        self.fail = close

    def __iter__(self):
        return self

    def __next__(self):
        item = next(self.items)
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self):
        self.closings += 1
        if self.fail:
            raise self.fail


def returning(body):
    def application(environ, start_response):
        start_response("200 OK", [])
        return body

    return application


def test_an_environ_holds_what_pep_3333_requires_and_nothing_that_is_absent_from_the_request():
    environ = make_environ(Request(), "input", "errors")

    assert type(environ) is dict
    assert environ["REQUEST_METHOD"] == "GET"
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"], environ["QUERY_STRING"]) == ("", "/", "")
    assert environ["wsgi.version"] == (1, 0)
    assert (environ["wsgi.input"], environ["wsgi.errors"]) == ("input", "errors")
    assert "CONTENT_LENGTH" not in environ
    assert "CONTENT_TYPE" not in environ


def test_an_environ_tells_the_length_of_the_content_or_the_one_that_is_declared():
    assert make_environ(Request(body=b"12345"), None, None)["CONTENT_LENGTH"] == "5"
    assert make_environ(Request(body=b"12345", length=99), None, None)["CONTENT_LENGTH"] == "99"
    assert make_environ(Request(length=0), None, None)["CONTENT_LENGTH"] == "0"


def test_fields_become_variables_and_a_request_may_add_and_leave_out_some():
    request = Request(
        fields=(("Content-Type", "text/plain"), ("Accept-Language", "en")),
        more={"wsgi.run_once": True},
        without=frozenset({"PATH_INFO", "HTTP_X_ABSENT"}),
    )

    environ = make_environ(request, None, None)

    assert environ["CONTENT_TYPE"] == "text/plain"
    assert environ["HTTP_ACCEPT_LANGUAGE"] == "en"
    assert environ["wsgi.run_once"] is True
    assert "PATH_INFO" not in environ


@pytest.mark.parametrize(
    ("name", "variable"),
    [("Host", "HTTP_HOST"), ("content-length", "CONTENT_LENGTH"), ("X-Real-IP", "HTTP_X_REAL_IP")],
)
def test_the_variable_of_a_field(name, variable):
    assert variable_of(name) == variable


def test_a_whole_call_keeps_head_and_content():
    call = Call(hello, Request()).begin().finish()

    assert (call.status, call.code, call.content) == ("200 OK", 200, b"Hello, World")
    assert call.fields == [("content-type", "text/plain")]
    assert call.ended
    assert not call.failed
    assert call.error is None


def test_the_steps_can_be_taken_one_by_one():
    body = Body(b"one", b"two")
    call = Call(returning(body), Request()).begin()

    assert call.next_block() == b"one"
    call.close()
    call.close()

    assert call.next_block() is END
    assert body.closings == 1
    assert not call.ended


def test_an_endless_response_is_closed_early(monkeypatch):
    class Endless(Body):
        def __next__(self):
            return b"x" * 1024

    body = Endless()

    call = Call(returning(body), Request()).begin().finish(3)
    assert call.blocks == [b"x" * 1024] * 3
    assert body.closings == 1
    monkeypatch.setattr("wsgix.conform.play.BYTES_AT_MOST", 5000)
    assert len(Call(returning(Endless()), Request()).begin().finish().blocks) == 5


@pytest.mark.parametrize(
    ("application", "stage"),
    [
        (lambda environ, start_response: 1 / 0, "call"),
        (returning(Body(b"one", ZeroDivisionError())), "iteration"),
        (returning(Body(b"one", close=ZeroDivisionError())), "close"),
        (returning(7), "iteration"),
    ],
)
def test_what_escapes_is_kept_with_the_step_in_which_it_did(application, stage):
    call = Call(application, Request()).begin().finish()

    assert isinstance(call.error, ZeroDivisionError | TypeError)
    assert call.stage == stage
    assert call.failed


def test_the_first_error_is_the_one_that_counts_and_the_iterable_is_closed_after_it():
    body = Body(KeyError("first"), close=KeyError("second"))

    call = Call(returning(body), Request()).begin().finish()

    assert call.error.args == ("first",)
    assert body.closings == 1


def test_an_application_that_never_starts_has_failed():
    call = Call(lambda environ, start_response: [], Request()).begin().finish()

    assert call.failed
    assert (call.status, call.code, call.fields) == ("", 0, [])


@pytest.mark.parametrize("status", [None, "OK", "2", "\u0662\u0660\u0660 OK"])
def test_a_status_that_is_none_has_no_code(status):
    def application(environ, start_response):
        start_response(status, [])
        return []

    assert Call(application, Request()).begin().finish().code == 0


@pytest.mark.parametrize("headers", [None, [], [("X", 1)], ["X: 1"], [("X", "1", "2")]])
def test_what_is_no_header_field_is_left_out(headers):
    def application(environ, start_response):
        start_response("200 OK", headers)
        return []

    assert Call(application, Request()).begin().finish().fields == []


def test_a_second_start_needs_exc_info():
    def application(environ, start_response):
        start_response("200 OK", [])
        start_response("200 OK", [])
        return []

    call = Call(application, Request()).begin().finish()

    assert isinstance(call.error, AssertionError)
    assert call.error in call.refused


def test_a_start_with_exc_info_replaces_the_head_that_was_not_sent():
    def application(environ, start_response):
        start_response("200 OK", [])
        yield b""
        try:
            raise KeyError
        except KeyError:
            start_response("500 Oops", [], sys.exc_info())
        yield b"Sorry"

    call = Call(application, Request()).begin().finish()

    assert [start[::2] for start in call.starts] == [("200 OK", False), ("500 Oops", True)]
    assert call.status == "500 Oops"


@pytest.mark.parametrize("by_write", [False, True])
def test_a_start_with_exc_info_raises_that_once_the_head_was_sent(by_write):
    def application(environ, start_response):
        write = start_response("200 OK", [])
        if by_write:
            write(b"sent")
        else:
            yield b"sent"
        try:
            raise KeyError("mine")
        except KeyError:
            start_response("500 Oops", [], sys.exc_info())
        yield b"Sorry"

    call = Call(application, Request()).begin().finish()

    assert call.error.args == ("mine",)
    assert call.status == "200 OK"
    assert call.refused == []


def test_what_a_scenario_raises_reaches_the_application_and_is_known_again():
    def refuse(call, *with_exc_info):
        raise ClientVanished

    def application(environ, start_response):
        start_response("200 OK", [])(b"data")
        return []

    starting = Call(application, Request(), on_start=refuse).begin().finish()
    writing = Call(application, Request(), on_write=refuse).begin().finish()

    assert starting.error in starting.refused
    assert writing.error in writing.refused
    assert (starting.status, writing.status) == ("", "200 OK")


def test_written_and_yielded_content_is_joined_and_what_is_no_bytes_is_left_out():
    def application(environ, start_response):
        write = start_response("200 OK", [])
        write(b"a")
        write("b")
        return [b"c", "d"]

    call = Call(application, Request()).begin().finish()

    assert call.content == b"ac"
    assert call.written == [b"a"]


def test_the_input_gives_its_content_and_then_the_end():
    stream = Input(b"one\ntwo\nthree")

    assert not stream.used
    assert stream.read(2) == b"on"
    assert stream.readline() == b"e\n"
    assert stream.readlines() == [b"two\n", b"three"]
    assert list(stream) == []
    assert stream.read() == b""
    assert stream.used
    assert stream.ends == 2


def test_the_input_stops_who_reads_on_for_ever():
    stream = Input(b"")

    for _ in range(ENDS_AT_MOST):
        assert stream.read(8192) == b""
    with pytest.raises(EndlessReader):
        stream.read(8192)

    assert stream.ends == ENDS_AT_MOST + 1
    assert stream.read(0) == b""


@pytest.mark.parametrize("act", [lambda s: s.read(), lambda s: s.readline(), lambda s: s.readlines(), list])
def test_a_broken_input_raises_whatever_is_asked(act):
    stream = BrokenInput()

    with pytest.raises(ClientVanished):
        act(stream)

    assert stream.used


def test_the_file_wrapper_notes_what_it_is_called_with_and_iterates_over_a_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    wrapper = FileWrapper()

    file = path.open("rb")
    wrapped = wrapper(file, 2)
    assert list(wrapped) == [b"12", b"34", b"5"]
    wrapped.close()

    assert wrapper.calls == [((file, 2), {})]
    assert file.closed


@pytest.mark.parametrize(("arguments", "keywords"), [((), {}), ((7,), {}), ((), {"file": 7}), ((7, "x"), {})])
def test_the_file_wrapper_takes_what_is_no_file(arguments, keywords):
    wrapper = FileWrapper()

    assert list(wrapper(*arguments, **keywords)) == []
    assert wrapper.calls == [(arguments, keywords)]


@pytest.mark.parametrize(
    ("file", "readable"),
    [
        (io.BytesIO(), True),
        (types.SimpleNamespace(read=lambda size=-1: b""), True),
        (types.SimpleNamespace(read=bytes), True),
        (types.SimpleNamespace(read=lambda: b""), False),
        (types.SimpleNamespace(read=lambda size: b""), False),
        (types.SimpleNamespace(read=b""), False),
        ("a path", False),
    ],
)
def test_a_file_can_be_read_with_a_size_and_without(file, readable):
    assert can_be_read(file) is readable


def test_the_errors_stay_open():
    def application(environ, start_response):
        environ["wsgi.errors"].write("trouble\n")
        environ["wsgi.errors"].close()
        start_response("200 OK", [])
        return []

    call = Call(application, Request()).begin().finish()

    assert call.errors.getvalue() == "trouble\n"


def test_the_place_of_an_exception_is_the_innermost_outside_of_the_referee():
    def deep():
        raise KeyError

    def application(environ, start_response):
        deep()

    call = Call(application, Request()).begin().finish()

    assert "test_play.py" in place_of(call.error)
    assert place_of(call.error).endswith("deep")
    assert place_of(KeyError()) == ""
