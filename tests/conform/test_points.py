"""The points of an exchange: which checks run at which point, and that nothing else changes."""

import gc
import sys
import threading
import weakref
from collections import UserDict
from io import BytesIO, StringIO

import pytest

from wsgix.conform.points import Checks, Errors, Exchange, Input, Result, StartResponse, Write, interpose


class Objection(Exception):
    pass


def objecting(*seen):
    raise Objection(*seen[1:])


class Stream(BytesIO):
    closings = 0

    def close(self):
        self.closings += 1
        super().close()


class Body:
    """An iterable that notes how often it was closed."""

    def __init__(self, *items):
        self.items = items
        self.closings = 0

    def __iter__(self):
        return iter(self.items)

    def close(self):
        self.closings += 1


def make_environ(data=b"one\ntwo\n"):
    return {"wsgi.input": Stream(data), "wsgi.errors": StringIO()}


def start_response(status, headers, exc_info=None):
    return lambda data: None


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]


def recorder(log, point):
    return lambda subject, *seen: log.append((point, type(subject), *seen))


def record_all(log):
    return Checks(**{point: (recorder(log, point),) for point in Checks.__dataclass_fields__})


@pytest.fixture
def unraisable(monkeypatch):
    """Collect (type, text) of what is raised in `__del__`; the exception itself would revive its object."""
    caught = []
    monkeypatch.setattr(
        sys, "unraisablehook", lambda seen: caught.append((seen.exc_type, str(seen.exc_value)))
    )
    return caught


def test_without_checks_an_exchange_passes_unchanged():
    written = []
    bodies = []

    def application(environ, start_response):
        assert list(environ["wsgi.input"]) == [b"one\n", b"two\n"]
        environ["wsgi.errors"].writelines(["a line\n", "another\n"])
        environ["wsgi.errors"].flush()
        write = start_response("200 OK", [("X-Kind", "plain")])
        write(b"written")
        bodies.append(Body(b"", b"yielded"))
        return bodies[0]

    def start_response(*args):
        written.append(args)
        return written.append

    environ = make_environ()
    errors = environ["wsgi.errors"]

    result = interpose(application, Checks())(environ, start_response)

    assert list(result) == [b"", b"yielded"]
    assert written == [("200 OK", [("X-Kind", "plain")]), b"written"]
    assert errors.getvalue() == "a line\nanother\n"
    result.close()
    assert bodies[0].closings == 1


def test_every_point_is_seen_in_the_order_in_which_it_is_passed():
    log = []

    def application(environ, start_response):
        environ["wsgi.input"].read(2)
        environ["wsgi.input"].readline()
        environ["wsgi.input"].readlines(9)
        environ["wsgi.errors"].write("text")
        environ["wsgi.errors"].flush()
        start_response("200 OK", [], None)(b"written")
        return [b"item"]

    environ = make_environ()
    before = dict(environ)
    watched = interpose(application, record_all(log))
    result = watched(environ, start_response)
    next(result)
    result.close()
    with pytest.raises(StopIteration):
        next(result)
    del result

    assert log[1][:2] == ("environ", Exchange)
    assert log.pop(1)[2] is environ
    assert log == [
        ("call", Exchange, (environ, start_response), {}),
        ("input_call", Input, "read", (2,)),
        ("input_data", Input, "read", b"on"),
        ("input_call", Input, "readline", ()),
        ("input_data", Input, "readline", b"e\n"),
        ("input_call", Input, "readlines", (9,)),
        ("input_data", Input, "readlines", [b"two\n"]),
        ("errors_call", Errors, "write", ("text",)),
        ("errors_call", Errors, "flush", ()),
        ("start_response", StartResponse, ("200 OK", [], None), {}),
        ("write", Write, b"written"),
        ("result", Exchange, [b"item"]),
        ("item", Result, b"item"),
        ("close", Result),
        ("item_after_close", Result),
        ("exhausted", Result),
    ]
    assert before.keys() == environ.keys()


def test_the_environ_is_checked_before_its_streams_are_replaced():
    seen = []
    environ = make_environ()
    streams = [environ["wsgi.input"], environ["wsgi.errors"]]
    checks = Checks(environ=(lambda exchange, environ: seen.extend(environ.values()),))

    interpose(application, checks)(environ, start_response).close()

    assert seen == streams
    assert isinstance(environ["wsgi.input"], Input)
    assert isinstance(environ["wsgi.errors"], Errors)


def test_the_checks_of_a_point_run_in_their_order_until_one_objects():
    log = []
    checks = Checks(call=(recorder(log, 1), recorder(log, 2), objecting, recorder(log, 3)))

    with pytest.raises(Objection):
        interpose(application, checks)(make_environ(), start_response)

    assert [entry[0] for entry in log] == [1, 2]


@pytest.mark.parametrize("point", ["call", "environ"])
def test_an_objection_to_the_server_keeps_the_application_from_being_called(point):
    called = []

    with pytest.raises(Objection):
        interpose(called.append, Checks(**{point: (objecting,)}))(make_environ(), start_response)

    assert called == []


@pytest.mark.parametrize("act", [lambda s: s.read(1), lambda s: s.readline(), lambda s: s.readlines(), list])
def test_an_objection_to_a_call_of_the_input_keeps_the_stream_as_it_is(act):
    def application(environ, start_response):
        with pytest.raises(Objection):
            act(environ["wsgi.input"])
        return []

    environ = make_environ()
    stream = environ["wsgi.input"]

    interpose(application, Checks(input_call=(objecting,)))(environ, start_response).close()

    assert stream.tell() == 0


def test_an_objection_to_what_the_input_gave_keeps_it_from_the_application():
    def application(environ, start_response):
        with pytest.raises(Objection) as caught:
            environ["wsgi.input"].read(3)
        assert caught.value.args == ("read", b"one")
        return []

    interpose(application, Checks(input_data=(objecting,)))(make_environ(), start_response).close()


def test_closing_the_input_is_seen_and_reaches_the_stream():
    log = []
    stream = Stream()
    watched = Input(stream)
    watched.exchange = Exchange(Checks(input_call=(recorder(log, "input_call"),)))

    watched.close()

    assert log == [("input_call", Input, "close", ())]
    assert stream.closings == 1


def test_closing_the_errors_is_seen_and_reaches_the_stream():
    log = []
    stream = StringIO()
    watched = Errors(stream)
    watched.exchange = Exchange(Checks(errors_call=(recorder(log, "errors_call"),)))

    watched.close()

    assert log == [("errors_call", Errors, "close", ())]
    assert stream.closed


def test_each_line_of_writelines_is_seen_as_a_write():
    log = []
    stream = StringIO()
    watched = Errors(stream)
    watched.exchange = Exchange(Checks(errors_call=(recorder(log, "errors_call"),)))

    watched.writelines(iter(["a", "b"]))

    assert [entry[2:] for entry in log] == [("write", ("a",)), ("write", ("b",))]
    assert stream.getvalue() == "ab"


def test_an_objection_to_a_line_keeps_it_from_the_errors():
    stream = StringIO()
    watched = Errors(stream)
    watched.exchange = Exchange(Checks(errors_call=(objecting,)))

    with pytest.raises(Objection):
        watched.write("text")

    assert stream.getvalue() == ""


def test_the_streams_offer_nothing_that_pep_3333_does_not_name():
    assert not hasattr(Input(BytesIO()), "seek")
    assert not hasattr(Errors(StringIO()), "fileno")


def test_an_objection_to_a_start_keeps_it_from_the_server_and_is_not_counted():
    exchange = Exchange(Checks(start_response=(objecting,)))
    started = []

    with pytest.raises(Objection):
        StartResponse(lambda *args: started.append(args), exchange)("200 OK", [])

    assert started == exchange.starts == []


def test_what_the_server_raises_from_start_response_is_seen_and_goes_on():
    def refuse(status, headers, exc_info):
        raise Objection(status)

    log = []
    exchange = Exchange(Checks(start_refused=(recorder(log, "start_refused"),)))

    with pytest.raises(Objection) as caught:
        StartResponse(refuse, exchange)("500 Oops", [], None)

    assert log == [("start_refused", StartResponse, ("500 Oops", [], None), caught.value)]


def test_what_the_application_raises_is_seen_and_goes_on():
    def application(environ, start_response):
        raise Objection

    log = []

    with pytest.raises(Objection) as caught:
        interpose(application, Checks(failed=(recorder(log, "failed"),)))(make_environ(), start_response)

    assert log == [("failed", Exchange, caught.value)]


def test_what_the_iterable_raises_is_seen_and_goes_on():
    log = []
    result = Result((1 // 0 for _ in "a"), None)
    result.exchange = Exchange(Checks(failed=(recorder(log, "failed"),)))

    with pytest.raises(ZeroDivisionError) as caught:
        next(result)

    assert log == [("failed", Exchange, caught.value)]
    result.close()


def test_a_start_that_the_server_refuses_is_counted():
    def refuse(status, headers):
        raise ValueError(status)

    exchange = Exchange(Checks())

    with pytest.raises(ValueError, match="200 OK"):
        StartResponse(refuse, exchange)("200 OK", [])

    assert exchange.starts == [("200 OK", [])]


def test_the_exchange_keeps_no_exc_info():
    exchange = Exchange(Checks())
    begin = StartResponse(start_response, exchange)
    begin("200 OK", [])
    try:
        raise Objection
    except Objection:
        begin("500 Oops", [], sys.exc_info())

    assert exchange.starts == [("200 OK", []), ("500 Oops", [])]


def test_keywords_reach_the_server_that_the_checks_let_through():
    begin = StartResponse(start_response, Exchange(Checks()))

    assert isinstance(begin(status="200 OK", headers=[]), Write)


def test_an_objection_to_written_data_keeps_it_from_the_server():
    written = []
    write = Write(written.append)
    write.exchange = Exchange(Checks(write=(objecting,)))

    with pytest.raises(Objection):
        write(b"data")

    assert written == []


def test_write_belongs_to_the_exchange_of_its_start():
    exchange = Exchange(Checks())

    assert StartResponse(start_response, exchange)("200 OK", []).exchange is exchange


def test_an_objection_to_the_result_reaches_the_server():
    with pytest.raises(Objection) as caught:
        interpose(application, Checks(result=(objecting,)))(make_environ(), start_response)

    assert caught.value.args == ([b"Hello"],)


def test_a_result_that_is_refused_is_closed():
    body = Body()

    with pytest.raises(Objection):
        interpose(lambda environ, start_response: body, Checks(result=(objecting,)))(
            make_environ(), start_response
        )

    assert body.closings == 1


def test_a_result_that_is_refused_and_fails_to_close_leaves_the_verdict_as_it_is():
    class Failing(Body):
        def close(self):
            raise ValueError

    watched = interpose(lambda environ, start_response: Failing(), Checks(result=(objecting,)))

    with pytest.raises(Objection) as caught:
        watched(make_environ(), start_response)

    assert caught.value.__notes__ == ["Its close() raised a ValueError."]


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        (({}, start_response, 3), {}),
        (({}, start_response), {"debug": True}),
        ((), {"environ": {}, "start_response": start_response}),
        (({}, start_response), {}),
        ((None, start_response), {}),
        ((UserDict(make_environ()), start_response), {}),
    ],
)
def test_what_cannot_be_watched_and_meets_no_objection_is_handed_on_as_it_is(args, kwargs):
    calls = []

    def application(*args, **kwargs):
        calls.append((args, kwargs))
        return [b"Hello"]

    assert list(interpose(application, Checks())(*args, **kwargs)) == [b"Hello"]
    ((seen_args, seen_kwargs),) = calls
    assert seen_args[:1] == args[:1]
    assert len(seen_args) == len(args)
    assert seen_kwargs == kwargs


def test_an_objection_to_an_item_reaches_the_server():
    result = interpose(application, Checks(item=(objecting,)))(make_environ(), start_response)

    with pytest.raises(Objection):
        next(result)

    result.close()


def test_the_result_tells_whether_start_response_was_called():
    def late(environ, start_response):
        yield b""
        start_response("200 OK", [])
        yield b"late"

    seen = []
    checks = Checks(item=(lambda result, item: seen.append((list(result.check_start_response), item)),))
    result = interpose(late, checks)(make_environ(), start_response)

    assert list(result) == [b"", b"late"]
    assert seen == [([], b""), ([("200 OK", [])], b"late")]
    result.close()


def test_the_result_is_an_iterator_without_a_length():
    result = Result([b"a", b"b"], None)

    assert iter(result) is result
    assert not hasattr(result, "__len__")
    assert list(result) == [b"a", b"b"]


def test_the_first_close_and_the_next_can_be_told_apart():
    seen = []
    body = Body()
    result = Result(body, None)
    result.exchange = Exchange(Checks(close=(lambda result: seen.append(result.closed),)))

    result.close()
    result.close()

    assert seen == [False, True]
    assert body.closings == 2


def test_an_objection_to_close_does_not_keep_the_iterable_open():
    body = Body()
    result = Result(body, None)
    result.exchange = Exchange(Checks(close=(objecting,)))

    with pytest.raises(Objection):
        result.close()

    assert body.closings == 1
    assert result.closed


def test_an_iterable_without_close_is_closed_silently():
    result = Result([b"a"], None)

    result.close()

    assert result.closed


def test_a_result_that_nobody_closed_is_seen_when_it_goes(unraisable):
    result = interpose(application, Checks(discard=(objecting,)))(make_environ(), start_response)

    del result

    assert unraisable == [(Objection, "")]


def test_a_result_that_never_came_to_be_is_not_missed(unraisable):
    with pytest.raises(TypeError):
        interpose(lambda environ, start_response: 7, Checks(discard=(objecting,)))(
            make_environ(), start_response
        )

    assert unraisable == []


def test_an_exchange_is_freed_without_the_garbage_collector():
    def application(environ, start_response):
        start_response("200 OK", [])
        yield environ["wsgi.input"].read(1)

    environ = make_environ()
    stream = weakref.ref(environ["wsgi.input"])
    gc.disable()
    try:
        result = interpose(application, Checks())(environ, start_response)
        next(result)
        result.close()
        del result, environ
        assert stream() is None
    finally:
        gc.enable()


def test_exchanges_that_overlap_are_kept_apart():
    exchanges = []
    checks = Checks(result=(lambda exchange, result: exchanges.append(exchange),))
    meeting = threading.Barrier(2, timeout=10)

    def application(environ, start_response):
        start_response(environ["status"], [])
        meeting.wait()
        return []

    watched = interpose(application, checks)

    def call(status):
        watched({"status": status, **make_environ()}, start_response).close()

    threads = [threading.Thread(target=call, args=(status,)) for status in ("200 OK", "404 Not Found")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sorted(exchange.starts for exchange in exchanges) == [[("200 OK", [])], [("404 Not Found", [])]]
    assert all(exchange.application is application for exchange in exchanges)


def test_a_face_chooses_the_classes_of_the_stand_ins():
    class MyInput(Input):
        pass

    class MyErrors(Errors):
        pass

    class MyWrite(Write):
        pass

    class MyResult(Result):
        pass

    seen = []

    def application(environ, start_response):
        seen.extend([environ["wsgi.input"], environ["wsgi.errors"], start_response("200 OK", [])])
        return []

    watched = interpose(
        application,
        Checks(),
        input_class=MyInput,
        errors_class=MyErrors,
        write_class=MyWrite,
        result_class=MyResult.of,
    )
    seen.append(watched(make_environ(), start_response))

    assert list(map(type, seen)) == [MyInput, MyErrors, MyWrite, MyResult]
    assert len({id(stand_in.exchange) for stand_in in seen}) == 1
    seen[-1].close()
