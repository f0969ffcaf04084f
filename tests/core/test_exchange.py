"""`core.exchange`: the order and the legality of one call of an application, whatever the gateway."""

import gc
import sys
import traceback
import weakref

import pytest

from wsgix.core.exchange import CLIENT_GONE, Exchange

HEAD = b"<head>"
PAGE = b"<error page>"


class Gateway(Exchange):
    """An `Exchange` that keeps what it sends, logs and is told; `fail` maps a step to what it raises."""

    def __init__(self, *, bodiless=False, is_file=False, sends_file=False, fail=None):
        self.sent = []
        self.steps = []
        self.log = []
        self.answers = bodiless
        self.is_file = is_file
        self.sends_file = sends_file
        self.fail = fail or {}

    def step(self, name):
        self.steps.append(name)
        if name in self.fail:
            raise self.fail[name]

    @property
    def wire(self):
        return b"".join(self.sent)

    def setup_environ(self):
        self.step("setup_environ")
        self.environ = {"REQUEST_METHOD": "GET"}

    def accept_head(self, status, headers):
        self.step("accept_head")
        if status == "bad":
            raise ValueError("bad status")
        self.status, self.headers = status, dict(headers)

    def send_headers(self):
        self.step("send_headers")
        self.headers_sent = True
        self.sent.append(HEAD)
        length = self.headers.get("Content-Length")
        self.bodiless = self.answers
        self.remaining = 0 if self.answers else length and int(length)

    def _write(self, data):
        self.step("_write")
        self.sent.append(data)

    def _flush(self):
        self.step("_flush")

    def result_is_file(self):
        return self.is_file

    def sendfile(self):
        self.step("sendfile")
        return self.sends_file

    def log_exception(self, exc_info):
        self.step("log_exception")
        self.log.append(exc_info[1])

    def log_violation(self, message):
        self.log.append(message)

    def error_output(self, environ, start_response):
        self.step("error_output")
        start_response("500 Error", [], sys.exc_info())
        return [PAGE]

    def abandon(self):
        self.steps.append("abandon")

    def close(self):
        self.steps.append("close")
        super().close()


class Body:
    """An iterable that counts its `close()`; an exception among its blocks is raised in its turn."""

    def __init__(self, *blocks, close=None, iterate=None):
        self.blocks = iter(blocks)
        self.closed = 0
        self.failing_close = close
        self.failing_iter = iterate
        self.given = 0

    def __iter__(self):
        if self.failing_iter:
            raise self.failing_iter
        return self

    def __next__(self):
        block = next(self.blocks)
        self.given += 1
        if isinstance(block, BaseException):
            raise block
        return block

    def close(self):
        self.closed += 1
        if self.failing_close:
            raise self.failing_close


def answering(result, *, status="200 OK", headers=()):
    def application(environ, start_response):
        start_response(status, list(headers))
        return result

    return application


def sized(length):
    return [("Content-Length", str(length))]


def run(application, **options):
    gateway = Gateway(**options)
    gateway.run(application)
    assert gateway.steps.count("close") == 1
    return gateway


# The way of a response


def test_the_steps_come_in_their_order():
    gateway = run(answering([b"a", b"b"]))

    assert gateway.steps == [
        "setup_environ",
        "accept_head",
        "send_headers",
        *["_write", "_flush"] * 2,
        "close",
    ]
    assert gateway.wire == HEAD + b"ab"
    assert gateway.log == []
    assert not gateway.incomplete


def test_the_head_waits_for_a_block():
    gateway = Gateway()
    seen = []

    def application(environ, start_response):
        start_response("200 OK", [])
        seen.append(gateway.wire)
        yield b""
        seen.append(gateway.wire)
        yield b"x"
        seen.append(gateway.wire)

    gateway.run(application)

    assert seen == [b"", b"", HEAD + b"x"]


def test_an_empty_block_does_not_commit_the_head():
    gateway = run(answering(Body(b"", ValueError("late"))))

    assert gateway.wire == HEAD + PAGE


def test_after_an_empty_block_the_application_may_change_its_mind():
    gateway = Gateway()

    def application(environ, start_response):
        start_response("200 OK", [])
        yield b""
        try:
            raise ValueError
        except ValueError:
            start_response("404 Not Found", sized(1), sys.exc_info())
        yield b"x"
        assert (gateway.status, gateway.headers) == ("404 Not Found", {"Content-Length": "1"})

    gateway.run(application)

    assert gateway.wire == HEAD + b"x"
    assert gateway.log == []


def test_write_commits_the_head_even_with_an_empty_block():
    gateway = Gateway()

    def application(environ, start_response):
        start_response("200 OK", [])(b"")
        assert gateway.wire == HEAD
        return []

    gateway.run(application)

    assert gateway.log == []


def test_blocks_follow_what_write_has_sent():
    def application(environ, start_response):
        write = start_response("200 OK", [])
        write(b"a")
        write(b"b")
        return [b"c"]

    assert run(application).wire == HEAD + b"abc"


def test_an_empty_iterable_still_sends_the_head():
    gateway = run(answering([]))

    assert gateway.wire == HEAD
    assert gateway.steps[-2:] == ["_flush", "close"]


def test_start_response_may_come_with_the_first_iteration():
    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"x"

    assert run(application).wire == HEAD + b"x"


def test_the_arguments_of_start_response_have_the_names_of_the_pep():
    def application(environ, start_response):
        start_response(status="200 OK", headers=[], exc_info=None)
        return [b"x"]

    assert run(application).wire == HEAD + b"x"


def test_afterwards_the_exchange_is_forgotten():
    gateway = run(answering([b"x"]))

    assert gateway.environ is gateway.status is gateway.headers is gateway.result is None
    assert (gateway.headers_sent, gateway.bytes_sent) == (False, 0)


def test_bytes_sent_counts_content_until_close():
    counted = []

    class Counting(Gateway):
        def close(self):
            counted.append(self.bytes_sent)
            super().close()

    Counting().run(answering([b"ab", b"", b"c"]))

    assert counted == [3]


# start_response


def test_a_second_call_without_exc_info_is_an_error():
    def application(environ, start_response):
        start_response("200 OK", [])
        start_response("201 Created", [])

    gateway = run(application)

    assert gateway.wire == HEAD + PAGE
    assert [repr(error) for error in gateway.log] == ["AssertionError('Headers already set!')"]


def test_a_first_call_that_failed_counts_as_the_first():
    def application(environ, start_response):
        with pytest.raises(ValueError, match="bad status"):
            start_response("bad", [])
        start_response("200 OK", [])
        return [b"x"]

    assert str(run(application).log[0]) == "Headers already set!"


def test_after_a_failed_call_there_is_no_head_to_send():
    def application(environ, start_response):
        with pytest.raises(ValueError, match="bad status"):
            start_response("bad", [])
        return []

    gateway = run(application)

    assert str(gateway.log[0]) == "the application returned without a successful start_response()"
    assert gateway.wire == HEAD + PAGE


def test_a_failed_call_with_exc_info_takes_back_the_head_before_it():
    def application(environ, start_response):
        write = start_response("200 OK", [])
        try:
            raise KeyError
        except KeyError:
            with pytest.raises(ValueError, match="bad status"):
                start_response("bad", [], sys.exc_info())
        write(b"x")

    gateway = run(application)

    assert str(gateway.log[0]) == "write() before start_response()"
    assert gateway.wire == HEAD + PAGE


def raised(error):
    """Return `sys.exc_info()` of an error that went through a frame called `raised`."""
    try:
        raise error
    except type(error):
        return sys.exc_info()


@pytest.mark.parametrize("error", [ValueError("x"), UnicodeDecodeError("ascii", b"\xff", 0, 1, "why")])
def test_with_exc_info_after_the_head_that_very_exception_is_raised_with_its_traceback(error):
    def replaced_in_another_frame(start_response, exc_info):
        start_response("500 Oops", [], exc_info)

    caught = []

    def application(environ, start_response):
        start_response("200 OK", [])(b"x")
        exc_info = raised(error)
        for _ in range(2):  # each time anew, and outside of an except clause
            try:
                replaced_in_another_frame(start_response, exc_info)
            except Exception as again:
                caught.append(again)
                frames = [frame.name for frame in traceback.extract_tb(again.__traceback__)]
                assert frames[-1] == "raised"
        raise error

    gateway = run(application)

    assert caught == [error, error]
    assert gateway.log == [error]
    assert gateway.wire == HEAD + b"x"


def test_nothing_keeps_the_exception_of_exc_info():
    class Payload(Exception):
        pass

    def application(environ, start_response):
        try:
            raise Payload
        except Payload as error:
            references.append(weakref.ref(error))
            start_response("500 Oops", [], sys.exc_info())
        return [b"x"]

    references = []
    gateway = run(application)
    gc.collect()

    assert references[0]() is None
    assert gateway.log == []


# What is not a response


def test_an_application_that_never_calls_start_response_is_answered_for():
    gateway = run(lambda environ, start_response: [])

    assert str(gateway.log[0]) == "the application returned without a successful start_response()"
    assert gateway.wire == HEAD + PAGE


def test_a_block_before_start_response_is_an_error():
    gateway = run(lambda environ, start_response: [b"x"])

    assert str(gateway.log[0]) == "write() before start_response()"
    assert gateway.wire == HEAD + PAGE


@pytest.mark.parametrize(
    ("result", "error", "words"),
    [
        (None, TypeError, "the application returned None, not an iterable of bytes"),
        (42, TypeError, "the application returned an object of type int, not an iterable of bytes"),
        ("text", AssertionError, "the application returned a str; encode it, and wrap it in a list"),
        (b"ab", AssertionError, "returned an object of type bytes, which gives integers; wrap it in a list"),
        (bytearray(b"ab"), AssertionError, "of type bytearray, which gives integers; wrap it in a list"),
        (memoryview(b"\0"), AssertionError, "of type memoryview, which gives integers; wrap it in a list"),
        (["text"], AssertionError, "the application gave an object of type str; encode it"),
        ([""], AssertionError, "the application gave an object of type str; encode it"),
        ([None], AssertionError, "the application gave None"),
        ([bytearray(b"x")], AssertionError, "the application gave an object of type bytearray"),
        ([type("Bytes", (bytes,), {})(b"")], AssertionError, "an object of type Bytes"),
    ],
)
def test_a_wrong_result_is_named_and_answered_for(result, error, words):
    gateway = run(answering(result))

    assert type(gateway.log[0]) is error
    assert words in str(gateway.log[0])
    if error is AssertionError:
        assert str(gateway.log[0]).startswith("write() argument must be a bytes instance: ")
    assert gateway.wire == HEAD + PAGE


def test_a_type_error_of_the_application_keeps_its_own_words():
    for body in (Body(TypeError("mine")), Body(iterate=TypeError("mine"))):
        gateway = run(answering(body))

        assert str(gateway.log[0]) == "mine"
        assert body.closed == 1


def test_the_old_sequence_protocol_is_an_iterable_too():
    class Sequence:
        def __getitem__(self, index):
            if index:
                raise TypeError("mine")
            return b"a"

    gateway = run(answering(Sequence()))

    assert gateway.wire == HEAD + b"a"
    assert str(gateway.log[0]) == "mine"


# Content-Length


def test_content_past_the_declared_length_is_cut_and_iteration_ends():
    body = Body(b"ab", b"cde", b"f")
    gateway = run(answering(body, headers=sized(3)))

    assert gateway.wire == HEAD + b"abc"
    assert gateway.log == ["the response has a Content-Length of 3, and the application gave more"]
    assert (body.given, body.closed) == (2, 1)
    assert not gateway.incomplete
    assert "abandon" not in gateway.steps


def test_an_iterator_that_goes_on_to_write_past_the_declared_length_is_logged_once():
    def application(environ, start_response):
        write = start_response("200 OK", sized(3))

        def blocks():
            for block in (b"ab", b"cd", b"e"):
                write(block)
            yield b"f"

        return blocks()

    gateway = run(application)

    assert gateway.wire == HEAD + b"abc"
    assert gateway.log == ["the response has a Content-Length of 3, and the application gave more"]


def test_a_file_that_goes_on_past_the_declared_length_is_cut_without_a_fault():
    body = Body(b"ab", b"cde", b"f")
    gateway = run(answering(body, headers=sized(3)), is_file=True)

    assert gateway.wire == HEAD + b"abc"
    assert gateway.log == []
    assert (body.given, body.closed) == (2, 1)


def test_a_block_that_begins_past_the_declared_length_is_not_sent():
    gateway = run(answering([b"abc", b"d"], headers=sized(3)))

    assert gateway.sent == [HEAD, b"abc"]


def test_write_past_the_declared_length_is_cut_and_raises():
    def application(environ, start_response):
        write = start_response("200 OK", sized(3))
        with pytest.raises(AssertionError, match="Content-Length of 3, and the application gave more"):
            write(b"abcd")
        with pytest.raises(AssertionError, match="Content-Length of 3, and the application gave more"):
            write(b"e")
        return [b""]

    gateway = run(application)

    assert gateway.wire == HEAD + b"abc"
    assert gateway.log == []


def test_the_declared_length_may_be_reached_in_the_last_of_many_blocks():
    gateway = run(answering([b"ab", b"c", b""], headers=sized(3)))

    assert gateway.wire == HEAD + b"abc"
    assert gateway.log == []
    assert not gateway.incomplete


@pytest.mark.parametrize("blocks", [[], [b"a"], [b"a", b"b"]])
def test_content_short_of_the_declared_length_is_logged_and_incomplete(blocks):
    gateway = run(answering(blocks, headers=sized(3)))

    assert gateway.log == [f"the application declared 3 bytes of content and gave {len(blocks)}"]
    assert gateway.incomplete
    assert gateway.steps[-2:] == ["abandon", "close"]


def test_a_bodiless_response_has_no_content_and_nobody_is_blamed():
    body = Body(b"abc", b"d")
    gateway = run(answering(body, headers=sized(9)), bodiless=True)

    assert gateway.wire == HEAD
    assert gateway.log == []
    assert (body.given, body.closed) == (1, 1)
    assert not gateway.incomplete


def test_write_to_a_bodiless_response_goes_nowhere_and_may_go_on():
    counted = []

    class Counting(Gateway):
        def close(self):
            counted.append(self.bytes_sent)
            super().close()

    def application(environ, start_response):
        write = start_response("200 OK", [])
        write(b"abc")
        write(b"d")
        return [b"e"]

    gateway = Counting(bodiless=True)
    gateway.run(application)

    assert (gateway.wire, gateway.log, counted) == (HEAD, [], [0])


# Errors of the application


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(0), KeyboardInterrupt(), GeneratorExit()])
def test_whatever_the_application_raises_is_logged_and_answered(error):
    def application(environ, start_response):
        raise error

    gateway = run(application)

    assert gateway.log == [error]
    assert gateway.wire == HEAD + PAGE
    assert not gateway.incomplete


@pytest.mark.parametrize("kind", CLIENT_GONE)
def test_a_lost_connection_of_the_application_itself_is_its_error(kind):
    error = kind("the database is gone")

    def application(environ, start_response):
        raise error

    gateway = run(application)

    assert gateway.log == [error]
    assert gateway.wire == HEAD + PAGE


@pytest.mark.parametrize("kind", CLIENT_GONE)
def test_a_lost_connection_of_the_iterable_itself_is_its_error(kind):
    body = Body(b"a", kind("the database is gone"))
    gateway = run(answering(body))

    assert len(gateway.log) == 1
    assert gateway.wire == HEAD + b"a"
    assert body.closed == 1


def test_an_error_in_the_middle_ends_the_response_visibly_incomplete():
    body = Body(b"a", ValueError("x"))
    gateway = run(answering(body))

    assert gateway.wire == HEAD + b"a"
    assert gateway.incomplete
    assert gateway.steps[-3:] == ["log_exception", "abandon", "close"]
    assert body.closed == 1


def test_an_error_after_all_that_was_declared_leaves_a_whole_response():
    body = Body(b"abc", ValueError("x"))
    gateway = run(answering(body, headers=sized(3)))

    assert gateway.wire == HEAD + b"abc"
    assert not gateway.incomplete
    assert gateway.steps[-2:] == ["log_exception", "close"]


def test_a_last_block_that_could_not_be_sent_leaves_no_whole_response():
    gateway = run(answering([b"abc"], headers=sized(3)), fail={"_write": OSError("full")})

    assert gateway.incomplete


def test_the_state_of_a_failed_exchange_stays_to_be_looked_at():
    gateway = run(answering([b"a", 1]))

    assert gateway.status == "200 OK"
    assert gateway.environ == {"REQUEST_METHOD": "GET"}
    assert gateway.headers == {}
    assert gateway.result == [b"a", 1]


@pytest.mark.parametrize("step", ["log_exception", "error_output"])
def test_what_handle_error_raises_is_passed_on_after_close(step):
    body = Body(ValueError("first"))
    second = RuntimeError("second")
    gateway = Gateway(fail={step: second})

    with pytest.raises(RuntimeError) as caught:
        gateway.run(answering(body))

    assert caught.value is second
    assert body.closed == 1
    assert gateway.steps.count("close") == 1
    assert gateway.wire == b""
    assert gateway.incomplete


def test_an_error_page_that_fails_is_closed_and_its_error_passed_on():
    page = Body(b"page", ValueError("in the page"))

    class Failing(Gateway):
        def error_output(self, environ, start_response):
            start_response("500 Error", [], sys.exc_info())
            return page

    gateway = Failing()
    with pytest.raises(ValueError, match="in the page"):
        gateway.run(lambda environ, start_response: 1 / 0)

    assert page.closed == 1
    assert gateway.steps.count("close") == 1


def test_an_environ_that_cannot_be_made_is_answered_for():
    gateway = run(answering([b"x"]), fail={"setup_environ": KeyError("SERVER_NAME")})

    assert gateway.wire == HEAD + PAGE


# close() of the iterable


def test_close_is_called_once_after_the_last_block():
    body = Body(b"a")
    gateway = run(answering(body))

    assert body.closed == 1
    assert gateway.log == []


@pytest.mark.parametrize(
    "body",
    [
        Body(iterate=ValueError("iter")),
        Body(ValueError("next")),
        Body(b"", ValueError("next")),
        Body(b"a", ValueError("next")),
        Body("a"),
    ],
    ids=["in iter", "in next", "after an empty block", "after the head", "wrong block"],
)
def test_close_is_called_once_after_an_error(body):
    gateway = run(answering(body))

    assert body.closed == 1
    assert len(gateway.log) == 1


def test_a_close_that_fails_is_logged_and_no_second_response_written():
    body = Body(b"a", close=ValueError("close"))
    gateway = run(answering(body))

    assert gateway.wire == HEAD + b"a"
    assert [str(error) for error in gateway.log] == ["close"]
    assert body.closed == 1
    assert not gateway.incomplete


def test_a_close_that_fails_after_another_error_carries_that_error():
    body = Body(ValueError("first"), close=ValueError("close"))
    gateway = run(answering(body))

    assert gateway.wire == HEAD + PAGE
    assert [str(error) for error in gateway.log] == ["close"]
    assert str(gateway.log[0].__context__) == "first"
    assert body.closed == 1


def test_close_belongs_to_what_was_returned_not_to_its_iterator():
    class Reiterable(Body):
        def __iter__(self):
            return Body(b"x", close=ValueError("not mine"))

    body = Reiterable()
    gateway = run(answering(body))

    assert (body.closed, gateway.log, gateway.wire) == (1, [], HEAD + b"x")


def test_the_same_iterable_is_closed_again_in_the_next_exchange():
    class Constant(Body):
        def __iter__(self):
            return iter([b"x"])

    body = Constant()
    gateway = Gateway()
    gateway.run(answering(body))
    gateway.run(answering(body))

    assert body.closed == 2


# A client that has gone away


@pytest.mark.parametrize("kind", CLIENT_GONE)
@pytest.mark.parametrize("step", ["_write", "_flush", "send_headers"])
def test_a_client_that_has_gone_is_nobodys_fault(kind, step):
    body = Body(b"a", b"b")
    gateway = run(answering(body), fail={step: kind("gone")})

    assert gateway.log == []
    assert (body.given, body.closed) == (1, 1)
    assert gateway.incomplete
    assert gateway.steps[-1] == "close"


@pytest.mark.parametrize("step", ["_flush", "send_headers"])
def test_a_client_may_be_gone_when_a_head_without_content_is_sent(step):
    body = Body()
    gateway = run(answering(body), fail={step: BrokenPipeError()})

    assert gateway.log == []
    assert body.closed == 1
    assert gateway.incomplete


def test_a_client_may_be_gone_when_the_error_page_is_sent():
    body = Body(ValueError("x"))
    gateway = run(answering(body), fail={"_write": BrokenPipeError()})

    assert [str(error) for error in gateway.log] == ["x"]
    assert body.closed == 1
    assert gateway.incomplete


def test_write_tells_the_application_that_its_client_has_gone():
    def application(environ, start_response):
        write = start_response("200 OK", sized(3))
        with pytest.raises(BrokenPipeError):
            write(b"abc")
        return []

    gateway = run(application, fail={"_write": BrokenPipeError()})

    assert gateway.incomplete


def test_a_client_that_has_gone_is_not_kept_after_the_exchange():
    class Gone(BrokenPipeError):
        pass

    gateway = Gateway(fail={"_write": Gone()})
    gateway.run(answering([b"a"]))
    reference = weakref.ref(gateway.fail.pop("_write"))
    gc.collect()

    assert reference() is None


# Files


def test_a_file_that_the_gateway_transmits_is_not_iterated_over():
    body = Body(b"a")
    gateway = run(answering(body), is_file=True, sends_file=True)

    assert (body.given, body.closed) == (0, 1)
    assert gateway.steps[-2:] == ["sendfile", "close"]


def test_a_file_that_the_gateway_leaves_alone_is_iterated_over():
    gateway = run(answering([b"a"]), is_file=True, sends_file=False)

    assert gateway.wire == HEAD + b"a"


def test_a_client_may_be_gone_when_a_file_is_transmitted():
    body = Body(b"a")
    gateway = run(answering(body), is_file=True, fail={"sendfile": ConnectionResetError()})

    assert gateway.log == []
    assert body.closed == 1
    assert gateway.incomplete


def test_no_result_is_a_file_by_default():
    class Plain(Gateway):
        result_is_file = Exchange.result_is_file
        sendfile = Exchange.sendfile

    assert run(answering([b"a"])).wire == HEAD + b"a"
    plain = Plain()
    plain.run(answering([b"a"]))
    assert plain.wire == HEAD + b"a"
    assert plain.sendfile() is False


# Use and reuse


@pytest.mark.parametrize(
    "first",
    [
        answering([b"a"]),
        answering(Body(b"a", ValueError("x"))),
        answering(Body(ValueError("x"))),
        answering([b"ab"], headers=sized(1)),
        answering([b"ab"], headers=sized(3)),
        answering(None),
        lambda environ, start_response: [],
    ],
)
def test_an_exchange_may_be_run_again_however_the_last_one_ended(first):
    gateway = Gateway()
    gateway.run(first)
    gateway.sent.clear()
    gateway.log.clear()

    gateway.run(answering([b"again", b"!"]))

    assert gateway.wire == HEAD + b"again!"
    assert gateway.log == []
    assert not gateway.incomplete


def test_a_write_kept_beyond_the_exchange_is_refused():
    kept = []

    def application(environ, start_response):
        kept.append(start_response("200 OK", []))
        return [b"x"]

    gateway = run(application)

    with pytest.raises(AssertionError, match="before start_response"):
        kept[0](b"late")
    assert gateway.wire == HEAD + b"x"


def test_a_subclass_may_pass_over_an_error():
    class Forgiving(Gateway):
        def handle_error(self):
            self.steps.append("handle_error")

    body = Body(ValueError("x"))
    gateway = Forgiving()
    gateway.run(answering(body))

    assert gateway.steps[-2:] == ["handle_error", "close"]
    assert body.closed == 1
    assert gateway.incomplete


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("setup_environ", ()),
        ("accept_head", ("200 OK", [])),
        ("send_headers", ()),
        ("_write", (b"",)),
        ("_flush", ()),
        ("log_exception", ((None, None, None),)),
        ("log_violation", ("message",)),
        ("error_output", ({}, None)),
    ],
)
def test_the_steps_that_a_gateway_must_supply_are_abstract(name, arguments):
    with pytest.raises(NotImplementedError):
        getattr(Exchange(), name)(*arguments)


def test_nothing_is_due_by_default_when_a_response_is_abandoned():
    exchange = Exchange()
    exchange.abandon()

    assert vars(exchange) == {}
