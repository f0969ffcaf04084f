"""conform.watch: what it finds where, that it changes nothing else, and what it leaves to the server."""

import copy
import gc
import logging
import operator
import sys
import threading
import weakref
from io import BytesIO, StringIO

import pytest

import wsgix
from tests.conform.exchanges import FileWrapper, Response, findings, ids, make_environ, serve
from wsgix.conform import Breach, strict, watch
from wsgix.conform.rule import Judgement, Means, Observer, Profile, Rule, Verdict
from wsgix.conform.rules import rule_of

PLAIN = ("Content-Type", "text/plain")


def hello(environ, start_response):
    start_response("200 OK", [PLAIN])
    return [b"Hello"]


def answering(result, status="200 OK", headers=(PLAIN,)):
    """Return an application that answers with this result."""

    def application(environ, start_response):
        start_response(status, list(headers))
        return result

    return application


def broken_head(environ, start_response):
    start_response("200", [PLAIN, ("Connection", "close")])
    return [b"Hello"]


def here(line_text):
    """Give the place in this file whose line holds a text."""
    with open(__file__, encoding="utf-8") as source:
        (number,) = [number for number, line in enumerate(source, 1) if line.rstrip().endswith(line_text)]
    return f"tests/conform/test_strict.py:{number}"


# The face


def test_watch_is_a_function_of_the_package():
    assert wsgix.conform.watch is watch is strict.watch
    assert wsgix.conform.Breach is Breach


def test_the_package_has_no_other_names():
    with pytest.raises(AttributeError, match=r"module 'wsgix\.conform' has no attribute 'observe'"):
        wsgix.conform.observe  # noqa: B018


def test_a_report_is_told_each_broken_rule_once_for_each_call():
    found = []
    watched = watch(broken_head, report=found.append)

    serve(watched)
    serve(watched)

    assert ids(found) == ["H2", "H13", "H2", "H13"]
    assert all(type(judgement) is Judgement for judgement in found)


def test_a_finding_tells_the_rule_what_was_seen_and_wanted_the_request_and_the_place():
    found = findings(broken_head, make_environ(PATH_INFO="/shop"))

    assert isinstance(found[1].rule, Rule)
    assert found[1].verdict is Verdict.FAIL
    assert found[1].seen == "connection: 'close'"
    assert found[1].wanted == "no field that belongs to the connection"
    assert found[1].case == "GET /shop"
    assert (
        found[1].where == here('start_response("200", [PLAIN, ("Connection", "close")])') + " in broken_head"
    )


def test_what_is_reported_goes_on_to_the_server_unchanged():
    response = serve(watch(broken_head, report=lambda judgement: None))

    assert (response.status, response.content, response.error) == ("200", b"Hello", None)
    assert response.headers == [PLAIN, ("Connection", "close")]


def test_what_the_report_raises_goes_to_the_side_whose_call_it_was():
    def report(judgement):
        raise LookupError(judgement.rule.id)

    def application(environ, start_response):
        with pytest.raises(LookupError, match="H2"):
            start_response("200", [PLAIN])
        start_response("200 OK", [PLAIN], sys.exc_info())
        return ["text"]

    response = serve(watch(application, ignore=["H17"], report=report))

    assert repr(response.error) == "LookupError('B1')"


def test_without_a_report_a_breach_is_raised_from_the_call_that_commits_it():
    def application(environ, start_response):
        with pytest.raises(Breach) as caught:
            broken_head(environ, start_response)
        seen.append(caught.value)
        raise caught.value

    seen = []
    response = serve(watch(application))

    assert isinstance(seen[0], AssertionError)
    assert response.error is seen[0]
    assert response.status == ""
    assert seen[0].judgement.rule.id == "H2"
    assert str(seen[0]) == (
        "H2 status-shape: seen: the status '200'; wanted: three digits, a single space and a reason, like "
        f'"200 OK" ({seen[0].judgement.where})'
    )


def test_a_breach_without_a_place_is_told_without_one():
    judgement = findings(broken_head)[0]
    without = Judgement(rule=judgement.rule, verdict=Verdict.FAIL, seen="a", wanted="b")

    assert str(Breach(without)) == "H2 status-shape: seen: a; wanted: b"


def trapping_all(environ, start_response):
    try:
        return broken_head(environ, start_response)
    except Exception:
        start_response("500 Oops", [PLAIN], sys.exc_info())
        return [b"Sorry"]


def trapping_all_later(environ, start_response):
    yield from trapping_all(environ, start_response)


def trapping_all_and_failing(environ, start_response):
    trapping_all(environ, start_response)
    raise LookupError


def trapping_all_and_ending(environ, start_response):
    trapping_all(environ, start_response)
    yield from ()


@pytest.mark.parametrize(
    "application", [trapping_all, trapping_all_later, trapping_all_and_failing, trapping_all_and_ending]
)
def test_a_breach_that_the_application_traps_is_raised_again_at_the_server(application):
    response = serve(watch(application))

    assert isinstance(response.error, Breach)
    assert response.error.judgement.rule.id == "H2"


def test_a_breach_by_the_result_closes_it():
    class Body(BytesIO):
        pass

    body = Body(b"a\nb\n")

    response = serve(watch(answering(body)))

    assert response.error.judgement.rule.id == "A15"
    assert body.closed


def fails_itself(exchange, *passing):
    raise ZeroDivisionError


@pytest.fixture
def faulty_rule(monkeypatch):
    """A rule whose observers fail, at a point of each kind."""
    points = ("errors_call", "start_response", "result", "item", "exhausted", "failed")
    rule = rule_of("H2")
    monkeypatch.setattr(rule, "observers", [Observer(Means.WATCH, point, fails_itself) for point in points])
    return rule


@pytest.mark.parametrize("raised", [None, LookupError])
def test_an_observer_that_fails_is_told_as_the_referees_fault_and_disturbs_nothing(faulty_rule, raised):
    def application(environ, start_response):
        environ["wsgi.errors"].flush()
        if raised:
            raise raised
        return broken_head(environ, start_response)

    found = []
    response = serve(watch(application, report=found.append))

    failed = [judgement for judgement in found if judgement.rule is faulty_rule]
    assert [judgement.verdict for judgement in failed] == [Verdict.HARNESS_FAILED]
    assert failed[0].seen == "the observer raised a ZeroDivisionError"
    assert failed[0].case == "GET /"
    assert response.content == (b"" if raised else b"Hello")


@pytest.mark.parametrize("point", ["errors_call", "start_response", "result", "item", "exhausted", "failed"])
def test_each_point_outlives_an_observer_that_fails(point, monkeypatch):
    monkeypatch.setattr(rule_of("H2"), "observers", [Observer(Means.WATCH, point, fails_itself)])

    def application(environ, start_response):
        environ["wsgi.errors"].flush()
        start_response("200 OK", [PLAIN])
        yield b"Hello"
        raise LookupError

    def ending(environ, start_response):
        environ["wsgi.errors"].flush()
        return hello(environ, start_response)

    verdicts = {judgement.verdict for one in (application, ending) for judgement in findings(one)}

    assert verdicts == {Verdict.HARNESS_FAILED}


def test_without_a_report_the_exception_of_an_observer_that_fails_is_seen(faulty_rule):
    assert isinstance(serve(watch(hello)).error, ZeroDivisionError)


@pytest.mark.parametrize(
    ("profiles", "expected"),
    [
        ((), []),
        ({Profile.PEP3333}, ["B1"]),
        ([Profile.STDLIB], ["A10", "H30"]),
        ({Profile.DE_FACTO, Profile.HTTP}, ["A10"]),
    ],
)
def test_only_the_rules_of_the_profiles_are_held(profiles, expected):
    class Pair(tuple):
        __slots__ = ()

    application = answering(b"Hello", headers=(Pair(PLAIN),))

    assert sorted(ids(findings(application, profiles=profiles))) == expected


def test_rules_that_are_to_be_ignored_are():
    assert ids(findings(broken_head, ignore={"H13", "B9"})) == ["H2"]
    assert ids(findings(broken_head, ignore=["H"])) == []


def test_what_is_no_rule_and_no_chapter_cannot_be_ignored():
    with pytest.raises(ValueError, match="there is no rule or chapter 'H0'"):
        watch(hello, ignore=["h13", "H1", "H0"])


def test_all_profiles_but_the_librarys_own_are_held_by_default():
    assert set(Profile) - {Profile.STDLIB} == strict.DEFAULT_PROFILES


# Where


def yielding(environ, start_response):
    start_response("200 OK", [PLAIN])
    yield b"Hello"
    yield "text"  # the place


def delegating(environ, start_response):
    yield from yielding(environ, start_response)


def ending_early(environ, start_response):  # the place of the end
    start_response("200 OK", [PLAIN, ("Content-Length", "7")])
    yield b"Hello"


class Blocks:
    def __init__(self, environ, start_response):  # the class
        start_response("200 OK", [PLAIN])

    def __iter__(self):
        return self

    def __next__(self):  # the method
        return "text"


class ByIndex:
    def __getitem__(self, index):  # the index
        if index:
            raise IndexError
        return "text"


class Callable:
    def __call__(self, environ, start_response):  # the call
        start_response("200 OK", [PLAIN])
        return ["text"]


def texts(environ, start_response):  # the function
    start_response("200 OK", [PLAIN])
    return ["text"]


def logging_a_line(environ, start_response):
    handler = logging.StreamHandler(environ["wsgi.errors"])
    handler.terminator = "\r\n"
    handler.handle(logging.makeLogRecord({"msg": "a request"}))  # the logging
    return hello(environ, start_response)


@pytest.mark.parametrize(
    ("application", "place"),
    [
        (yielding, "# the place|yielding"),
        (delegating, "# the place|yielding"),
        (ending_early, "# the place of the end|ending_early"),
        (Blocks, "# the method|Blocks.__next__"),
        (answering(ByIndex()), "# the index|ByIndex.__getitem__"),
        (Callable(), "# the call|Callable.__call__"),
        (Callable().__call__, "# the call|Callable.__call__"),
        (texts, "# the function|texts"),
        (logging_a_line, "# the logging|logging_a_line"),
    ],
)
def test_a_finding_tells_where_in_the_application_it_happened(application, place):
    text, _, function = place.partition("|")

    (judgement,) = list(findings(application))[:1]

    assert judgement.where == f"{here(text)} in {function}"


# What it finds that no example shows


@pytest.mark.parametrize(
    ("application", "expected"),
    [
        (lambda environ: [], ["A1"]),
        (lambda **environ: [], ["A1"]),
        (type("App", (), {"__init__": lambda self, environ: None}), ["A1"]),
        (lambda environ, start_response: int(environ), []),
        (lambda environ, start_response: hello(environ), []),
        (operator.add, []),
        (hello, []),
    ],
)
def test_only_a_call_that_does_not_fit_breaks_a1(application, expected):
    assert ids(findings(application)) == expected


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda start: start("200 OK"), ["A4"]),
        (lambda start: start(), ["A4"]),
        (lambda start: start("200 OK", [PLAIN], None, None), ["A4"]),
        (lambda start: start(status="200 OK", headers=[PLAIN]), ["A4"]),
    ],
)
def test_other_arguments_of_start_response_break_a4_alone(call, expected):
    def application(environ, start_response):
        call(start_response)
        return [b""]

    found = [id for id in ids(findings(application)) if id != "A7"]

    assert found == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("200 OK", []),
        ("200 A long (and odd) reason!", []),
        ("200 Gr\xfc\xdfe", []),
        ("200 \xa0", []),
        ("404 O", []),
        ("200", ["H2"]),
        ("200 ", ["H2"]),
        (" 200 OK", ["H2"]),
        ("200  OK", ["H2"]),
        ("200 OK ", ["H2"]),
        ("20 OK", ["H2"]),
        ("2000 OK", ["H2"]),
        ("OK", ["H2"]),
        ("", ["H2"]),
        ("\u0662\u0660\u0660 OK", ["H2", "H12"]),
        ("200 OK\n", ["H3"]),
        ("200\tOK", ["H3"]),
        ("200 O\x7fK", ["H3"]),
        ("200 O\x00K", ["H3"]),
        ("200 \u20ac", ["H12"]),
        ("099 Low", ["H4"]),
        ("600 High", ["H4"]),
        ("999 High", ["H4"]),
        (200, ["H1"]),
        (b"200 OK", ["H1"]),
        (None, ["H1"]),
        (type("Text", (str,), {})("200 OK"), ["H1"]),
    ],
)
def test_a_status_breaks_exactly_these_rules(status, expected):
    assert ids(findings(answering([b""], status))) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("X", "\xe4\x80\xff ")], []),
        ([("!#$%&'*+-.^_`|~9", "")], []),
        ([("X-Empty", "")], []),
        ([("", "x")], ["H9"]),
        ([("X:", "x")], ["H9"]),
        ([("X Y", "x")], ["H9"]),
        ([("X\n", "x")], ["H9"]),
        ([("\xe4", "x")], ["H9"]),
        ([("\u20ac", "x")], ["H12"]),
        ([("X-", "x")], ["H10"]),
        ([("X_", "x")], ["H10"]),
        ([("X.", "x")], ["H10"]),
        ([("X", "a\tb")], ["H11"]),
        ([("X", "a\x7f")], ["H11"]),
        ([("X", "a\x00")], ["H11"]),
        ([("X", "a\n")], ["H11"]),
        ([("X", "\u0100")], ["H12"]),
        ([("Connection", "x"), ("Keep-Alive", "timeout=5")], ["H13"]),
        ([("proxy-CONNECTION", "close")], ["H13"]),
        ([("TE", "trailers")], ["H13"]),
        ([("Trailer", "X")], ["H13"]),
        ([("Upgrade", "h2c")], ["H13"]),
        ([("Proxy-Authenticate", "Basic")], ["H13"]),
        ([("transfer-ENCODING", "gzip")], ["H14"]),
        ([("STATUS", "200 OK")], ["H15"]),
        ([("X", "a"), ("X", "b")], []),
        ([("Set-Cookie", "a"), ("Set-Cookie", "b")], []),
        ([("Location", "/a"), ("location", "/b")], ["H26"]),
        ([("Content-Length", "0"), ("Content-Length", "0")], ["H26"]),
        ([("Content-Length", "0")], []),
        ([("Content-Length", "")], ["H24"]),
        ([("Content-Length", "0x0")], ["H24"]),
        ([("Content-Length", "\u0660")], ["H12", "H24"]),
        ([("Content-Length", "9" * 5000)], ["H24"]),
        ([("X", 1)], ["H8"]),
        ([("X", b"x")], ["H8"]),
        ([(b"X", "x")], ["H8"]),
        ([("X", type("Text", (str,), {})("x"))], ["H8"]),
        ([("X",)], ["H7"]),
        ([("X", "x", "x")], ["H7"]),
        ([["X", "x"]], ["H7"]),
        (["Xx"], ["H7"]),
        ([None], ["H7"]),
        ([{"X": 1, "Y": 2}], ["H7"]),
    ],
)
def test_headers_break_exactly_these_rules(headers, expected):
    assert ids(findings(answering([], headers=[PLAIN, *headers]))) == expected


@pytest.mark.parametrize("kind", [tuple, iter, dict, type("Other", (list,), {})])
def test_headers_that_are_no_list_break_h6_alone_and_are_not_used_up(kind):
    seen = []

    def application(environ, start_response):
        start_response("200 OK", kind([PLAIN, ("X", "y")]))
        return []

    def start(status, headers):
        seen.append(list(headers))
        return print

    found = []
    list(watch(application, report=found.append)(make_environ(), start))

    assert ids(found) == ["H6"]
    assert len(seen[0]) == 2


def failing():
    raise LookupError("on purpose")


@pytest.mark.parametrize(
    ("exc_info", "expected"),
    [
        (None, []),
        ((None, None, None), ["H17"]),
        ((), ["H16", "H19"]),
        (True, ["H16"]),
        (LookupError(), ["H16"]),
        ((LookupError, LookupError()), ["H16"]),
        ([LookupError, LookupError(), None], ["H16"]),
        ((LookupError, LookupError(), None), []),
        ((LookupError, ValueError(), None), ["H16"]),
        (("LookupError", LookupError(), None), ["H16"]),
        ((int, 5, None), ["H16"]),
        ((LookupError, LookupError(), "traceback"), ["H16"]),
    ],
)
def test_exc_info_breaks_exactly_these_rules(exc_info, expected):
    def application(environ, start_response):
        if exc_info is not None:
            start_response("200 OK", [PLAIN])
        start_response("500 Oops", [PLAIN], exc_info)
        return []

    found = []
    result = watch(application, report=found.append)(make_environ(), lambda *args: print)

    assert list(result) == []
    assert ids(found) == expected


def test_an_error_that_the_server_handles_while_it_calls_is_none_of_the_applications():
    try:
        failing()
    except LookupError:
        assert findings(answering([], "503 Not now")) == []


def test_an_error_response_below_500_needs_no_exc_info():
    def application(environ, start_response):
        try:
            failing()
        except LookupError:
            start_response("404 Not Found", [PLAIN])
            return [b"no"]

    assert findings(application) == []


def test_the_first_start_that_the_server_refused_counts():
    def application(environ, start_response):
        try:
            start_response("200 OK", [("X", "y"), PLAIN])
        except ValueError:
            start_response("200 OK", [PLAIN])
        return []

    class Picky(Response):
        def start(self, status, headers, exc_info=None):
            if len(headers) > 1:
                raise ValueError
            return super().start(status, headers, exc_info)

    found = []
    list(watch(application, report=found.append)(make_environ(), Picky().start))

    assert ids(found) == ["H19"]


def content_then(after):
    """Return an application whose content leaves, which then fails and meets what start_response raises."""

    def application(environ, start_response):
        start_response("200 OK", [PLAIN])
        yield b"The answer is "
        try:
            failing()
        except LookupError:
            yield from after(start_response)

    return application


def trap_and_end(start_response):
    try:
        start_response("500 Oops", [PLAIN], sys.exc_info())
    except LookupError:
        yield from ()


def trap_and_fail(start_response):
    try:
        start_response("500 Oops", [PLAIN], sys.exc_info())
    except LookupError as error:
        raise RuntimeError from error
    yield b""


def trap_and_raise_it_again(start_response):
    try:
        start_response("500 Oops", [PLAIN], sys.exc_info())
    except LookupError:
        raise
    yield b""


@pytest.mark.parametrize(
    ("after", "expected"),
    [(trap_and_end, ["H21"]), (trap_and_fail, ["H21"]), (trap_and_raise_it_again, [])],
)
def test_what_start_response_raised_has_to_leave_the_application(after, expected):
    assert ids(findings(content_then(after))) == expected


def test_a_refusal_that_is_trapped_before_the_application_returns_is_found():
    def application(environ, start_response):
        write = start_response("200 OK", [PLAIN])
        write(b"The answer is ")
        try:
            failing()
        except LookupError:
            try:
                start_response("500 Oops", [PLAIN], sys.exc_info())
            except LookupError:
                return [b"not known"]

    assert ids(findings(application)) == ["B5", "H21"]


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        ("200 OK", [], ["H22"]),
        ("302 Found", [("Location", "/")], ["H22"]),
        ("204 No Content", [], ["B8"]),
        ("205 Reset Content", [], ["B8"]),
        ("304 Not Modified", [], ["B8"]),
        ("401 Unauthorized", [PLAIN], ["H27"]),
        ("401 Unauthorized", [PLAIN, ("WWW-Authenticate", "Basic")], []),
        ("103 Early Hints", [("Link", "</a>")], ["H5", "B8"]),
        ("204 No Content", [("Content-Length", "5")], ["H25", "B8"]),
        ("304 Not Modified", [("Content-Length", "5")], ["B8"]),
        ("200 OK", [PLAIN, ("Content-Length", "5")], []),
        ("200 OK", [PLAIN, ("Content-Length", "4")], ["B6"]),
        ("200 OK", [PLAIN, ("Content-Length", "6")], ["B7"]),
        ("200 OK", [PLAIN, ("Content-Length", "x")], ["H24"]),
        ("200 OK", [PLAIN, ("Content-Length", "5"), ("Content-Length", "6")], ["H26"]),
    ],
)
def test_a_head_and_five_bytes_break_exactly_these_rules(status, headers, expected):
    assert ids(
        findings(answering([b"He", b"", b"llo"], status, headers), profiles=strict.DEFAULT_PROFILES)
    ) == (expected)


def test_content_for_head_breaks_its_own_rule_alone():
    application = answering([b"Hello, world"], headers=[PLAIN, ("Content-Length", "5")])

    assert ids(findings(application, make_environ("HEAD"))) == ["B9"]


def test_no_content_for_head_fits_every_length():
    assert findings(answering([], headers=[PLAIN, ("Content-Length", "500")]), make_environ("HEAD")) == []


@pytest.mark.parametrize(
    ("method", "status", "headers", "blocks", "expected"),
    [
        ("GET", "200 OK", [], [], ["H31"]),
        ("GET", "404 Not Found", [("Content-Length", "3")], iter([]), ["H31", "B7"]),
        ("HEAD", "200 OK", [], [], ["H31"]),
        ("HEAD", "200 OK", [], [b"x"], ["B9", "H31"]),
        ("GET", "200 OK", [("Content-Length", "0")], [], []),
        ("GET", "200 OK", [PLAIN], [], []),
        ("GET", "302 Found", [("Location", "/")], [], []),
        ("GET", "304 Not Modified", [], [], []),
        ("GET", "205 Reset Content", [], [], []),
        ("GET", "200 OK", [], [b"x"], ["H22"]),
    ],
)
def test_the_standard_librarys_content_type_is_missed_where_there_is_no_content(
    method, status, headers, blocks, expected
):
    assert ids(findings(answering(blocks, status, headers), make_environ(method))) == expected


@pytest.mark.parametrize("item", ["text", 7, None, bytearray(b"x"), type("Bytes", (bytes,), {})(b"x")])
def test_a_block_that_is_not_bytes_is_found(item):
    found = []
    list(watch(answering([item]), report=found.append)(make_environ(), lambda *args: print))

    assert ids(found) == ["B1"]


@pytest.mark.parametrize("result", [None, False, 7, object(), Blocks.__init__])
def test_a_result_that_is_no_iterable_is_found_and_handed_on(result):
    found = []
    response = serve(watch(answering(result), report=found.append))

    assert ids(found) == ["A9"]
    assert isinstance(response.error, TypeError)
    assert response.result is result


@pytest.mark.parametrize("result", ["text", b"data", "", b""])
def test_a_bare_string_breaks_its_own_rule_alone(result):
    assert ids(findings(answering(result)))[:1] == ["A10"]
    assert len(findings(answering(result))) == 1


class Sized:
    def __init__(self, length, *blocks):
        self.length = length
        self.blocks = blocks

    def __len__(self):
        if self.length is None:
            raise RuntimeError("nobody knows")
        return self.length

    def __iter__(self):
        return iter(self.blocks)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (Sized(0), []),
        (Sized(2, b"a", b"b"), []),
        (Sized(1, b"a", b"b"), ["A11"]),
        (Sized(3, b"a", b"b"), ["A11"]),
        (Sized(None, b"a", b"b"), []),
    ],
)
def test_a_length_is_compared_with_what_comes(result, expected):
    assert ids(findings(answering(result))) == expected


def test_a_length_that_is_too_small_is_found_before_the_server_stops():
    found = []
    result = watch(answering(Sized(1, b"a", b"b")), report=found.append)(make_environ(), lambda *args: print)

    iterator = iter(result)
    next(iterator)
    assert ids(found) == []
    next(iterator)
    assert ids(found) == ["A11"]


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        ([b"5\r\nHello\r\n0\r\n\r\n"], ["B10"]),
        ([b"5", b"\r\n", b"Hel", b"lo\r\n", b"0\r\n", b"\r\n"], ["B10"]),
        ([b"", b"A\r\n0123456789\r\n", b"0\r\n\r\n"], ["B10"]),
        ([b"0\r\n\r\n"], []),
        ([b"5\r\nHello\r\n"], []),
        ([b"5\r\nHello\r\n0\r\n\r\nmore"], []),
        ([b"5\r\nHello!\r\n0\r\n\r\n"], []),
        ([b"5\nHello\n0\n\n"], []),
        ([b"5\r\nHello\r\r"], []),
        ([b"5\rHello"], []),
        ([b"5\r\nHello\n\n"], []),
        ([b"123456789\r\n"], []),
        ([b"face the facts"], []),
        ([b"Hello"], []),
        ([b"", b""], []),
    ],
)
def test_only_content_that_is_chunks_to_its_end_breaks_b10(blocks, expected):
    assert ids(findings(answering(blocks))) == expected


@pytest.mark.parametrize(
    ("blocks", "headers", "seconds", "expected"),
    [
        ([b"x"] * 64, [PLAIN], 0.0, ["B11"]),
        ([b"x"] * 64, [PLAIN], 1.0, []),
        ([b"x"] * 63, [PLAIN], 0.0, []),
        ([b"x" * 65] * 64, [PLAIN], 0.0, []),
        ([b"x"] * 64, [("Content-Type", "text/event-stream; charset=utf-8")], 0.0, []),
    ],
)
def test_only_many_small_blocks_at_once_are_crumbs(blocks, headers, seconds, expected, monkeypatch):
    times = iter((100.0, 100.0 + seconds))
    monkeypatch.setattr("wsgix.conform.rules.blocks.monotonic", lambda: next(times))

    assert ids(findings(answering(blocks, headers=headers))) == expected


# What the application does with its streams


def reading(act, content=b"one\ntwo\n", **variables):
    def application(environ, start_response):
        act(environ["wsgi.input"])
        return hello(environ, start_response)

    return ids(
        findings(application, make_environ("POST", content, **variables), profiles=strict.DEFAULT_PROFILES)
    )


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda stream: stream.read(8), []),
        (lambda stream: (stream.read(3), stream.read(5)), []),
        (lambda stream: (stream.readline(), stream.read(4)), []),
        (lambda stream: (stream.readlines(), stream.read(0)), []),
        (lambda stream: stream.read(9), ["I1"]),
        (lambda stream: (stream.read(8), stream.read(1)), ["I1"]),
        (lambda stream: (stream.readlines(), stream.read(1)), ["I1"]),
        (lambda stream: (list(stream), stream.read(1)), ["I1"]),
        (lambda stream: stream.read(), []),
        (lambda stream: stream.read(-1), []),
        (lambda stream: stream.read(None), []),
        (list, []),
        (lambda stream: (stream.readlines(), stream.readline(), stream.read()), []),
    ],
)
def test_only_a_number_of_bytes_beyond_the_length_breaks_i1(act, expected):
    assert reading(act) == expected


@pytest.mark.parametrize("variables", [{"wsgi.input_terminated": True}, {"CONTENT_LENGTH": None}])
def test_where_reading_to_the_end_is_safe_or_no_length_is_told_i1_is_not_broken(variables):
    assert reading(lambda stream: stream.read(65536), **variables) == []


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda stream: stream.seek(0), ["I2"]),
        (lambda stream: stream.closed, ["I2"]),
        (next, ["I2"]),
        (lambda stream: stream.__enter__(), ["I2"]),
        (lambda stream: hasattr(stream, "seek"), []),
        (lambda stream: getattr(stream, "fromage", None), []),
        (lambda stream: hasattr(stream, "seek") and stream.seek(0), []),
        (lambda stream: stream.__del__, []),
    ],
)
def test_other_attributes_of_the_input_are_lent_and_their_use_is_found(act, expected):
    assert reading(act) == expected


def test_the_input_as_a_context_manager_is_found_and_works():
    def act(stream):
        with stream as entered:
            assert entered.read(3) == b"one"

    assert reading(act) == ["I2"]


def test_an_attribute_that_the_stream_has_not_got_is_missing_as_ever():
    def act(stream):
        with pytest.raises(AttributeError):
            stream.fromage()

    assert reading(act) == []


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda stream: stream.write("a\n"), []),
        (lambda stream: stream.writelines(["a\n", "b\r\n"]), ["I5"]),
        (lambda stream: stream.getvalue(), ["I2"]),
        (lambda stream: stream.closed, ["I2"]),
        (lambda stream: stream.close(), ["I3"]),
        (lambda stream: print("text", file=stream, flush=True), []),
    ],
)
def test_the_use_of_the_errors_breaks_exactly_these_rules(act, expected):
    def application(environ, start_response):
        act(environ["wsgi.errors"])
        return hello(environ, start_response)

    assert ids(findings(application)) == expected


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [((b"x",), {}, ["B5"]), (("x",), {}, ["B2"]), ((), {"data": b"x"}, ["B3"]), ((), {}, ["B3"])],
)
def test_the_use_of_write_breaks_exactly_these_rules(args, kwargs, expected):
    def application(environ, start_response):
        start_response("200 OK", [PLAIN])(*args, **kwargs)
        return []

    found = []
    try:
        watch(application, report=found.append)(make_environ(), lambda *args: lambda data: None)
    except TypeError:
        assert not args
        assert not kwargs

    assert ids(found) == expected


# What it may not find


def test_start_response_may_be_called_by_iter():
    class Late:
        def __init__(self, start_response):
            self.start_response = start_response

        def __iter__(self):
            self.start_response("200 OK", [PLAIN])
            return iter([b"Hello"])

    assert findings(lambda environ, start_response: Late(start_response)) == []


def test_a_server_that_stops_early_leaves_nothing_to_find():
    found = []
    application = answering(iter([b"a", b"b"]), headers=[PLAIN, ("Content-Length", "2")])
    result = watch(application, report=found.append)(make_environ(), lambda *args: print)

    next(iter(result))
    del result

    assert found == []


class Page:
    def __iter__(self):
        yield from (b"a", b"b", b"c")


@pytest.mark.parametrize("make", [lambda: [b"a", b"b", b"c"], lambda: iter([b"a", b"b", b"c"]), Page])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_server_that_looks_at_the_first_block_gets_each_once(make, layers):
    found = []
    application = answering(make(), headers=[PLAIN, ("Content-Length", "3")])
    for _ in range(layers):
        application = watch(application, report=found.append)

    iterator = iter(application(make_environ(), lambda *args: print))
    first = next(iterator)

    assert [first, *iterator] == [b"a", b"b", b"c"]
    assert found == []


def test_a_result_that_the_server_iterates_over_twice_is_counted_twice():
    found = []
    application = answering([b"ab", b"cd"], headers=[PLAIN, ("Content-Length", "4")])
    result = watch(application, report=found.append)(make_environ(), lambda *args: print)

    assert b"".join(result) == b"".join(result) == b"abcd"
    assert found == []


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        ((make_environ(),), {}),
        ((None, None), {}),
        (({}, None), {}),
        ((make_environ(), None), {"debug": True}),
    ],
)
def test_what_a_server_does_wrong_is_not_blamed_on_the_application(args, kwargs):
    calls = []
    found = []

    def application(*args, **kwargs):
        calls.append((args, kwargs))
        return iter([])

    watch(application, report=found.append)(*args, **kwargs)

    assert [len(args) for args, _ in calls] == [len(args)]
    assert found == []


@pytest.mark.parametrize(
    "variables",
    [
        {"REQUEST_METHOD": None, "PATH_INFO": None},
        {"REQUEST_METHOD": b"GET", "PATH_INFO": 5},
        {"CONTENT_LENGTH": 5},
        {"CONTENT_LENGTH": "many"},
        {"wsgi.input": None},
        {"wsgi.errors": None},
        {"wsgi.file_wrapper": 7},
        {"wsgi.version": "1"},
    ],
)
def test_a_broken_environ_disturbs_nothing(variables):
    response = serve(watch(hello), make_environ(**variables))

    assert response.content == b"Hello"


def test_an_exception_of_the_application_goes_on_and_is_no_finding():
    def application(environ, start_response):
        raise LookupError

    def later(environ, start_response):
        start_response("200 OK", [PLAIN])
        yield b"Hello"
        raise LookupError

    class InIter:
        def __init__(self, environ, start_response):
            start_response("200 OK", [PLAIN])

        def __iter__(self):
            raise LookupError

    for one in (application, later, InIter):
        found = []
        response = serve(watch(one, report=found.append))
        assert isinstance(response.error, LookupError)
        assert found == []


# Transparency


class Body:
    """An iterable with all that one may have, which notes what is done with it."""

    def __init__(self, *blocks):
        self.blocks = blocks
        self.done = []
        self.colour = "green"

    def __iter__(self):
        self.done.append("iter")
        yield from self.blocks

    def close(self):
        self.done.append("close")


def test_the_result_has_a_length_if_the_applications_has_one():
    environ = make_environ()

    assert len(watch(answering([b"a", b"b"]))(environ, lambda *args: print)) == 2
    assert not hasattr(watch(answering(iter([])))(environ, lambda *args: print), "__len__")


def test_the_result_has_a_close_if_the_applications_has_one():
    body = Body()
    result = watch(answering(body))(make_environ(), lambda *args: print)

    assert not hasattr(watch(answering([]))(make_environ(), lambda *args: print), "close")
    result.close()
    assert body.done == ["close"]


def test_the_result_lends_all_other_attributes():
    result = watch(answering(Body()))(make_environ(), lambda *args: print)

    assert result.colour == "green"
    assert not hasattr(result, "flavour")


def test_the_result_is_iterated_over_when_the_server_does():
    body = Body(b"a", b"b")
    result = watch(answering(body))(make_environ(), lambda *args: print)

    assert body.done == []
    assert next(result) == b"a"
    assert next(result) == b"b"
    with pytest.raises(StopIteration):
        next(result)
    assert body.done == ["iter"]


def test_a_generator_is_closed_where_it_stands():
    done = []

    def application(environ, start_response):
        start_response("200 OK", [PLAIN])
        try:
            yield b"a"
            yield b"b"
        finally:
            done.append("closed")

    result = watch(application)(make_environ(), lambda *args: print)
    next(result)
    result.close()

    assert done == ["closed"]


@pytest.mark.parametrize("wrapper", [FileWrapper, lambda file, size=5: FileWrapper(file, size)])
def test_what_the_file_wrapper_made_is_returned_itself(wrapper):
    made = []

    def application(environ, start_response):
        start_response("200 OK", [PLAIN])
        made.append(environ["wsgi.file_wrapper"](BytesIO(b"content"), 3))
        return made[0]

    result = watch(application)(make_environ(**{"wsgi.file_wrapper": wrapper}), lambda *args: print)

    assert result is made[0]
    assert isinstance(result, FileWrapper)
    assert list(result) == [b"con", b"ten", b"t"]


def test_a_file_in_a_wrapper_that_is_not_the_servers_is_iterated_over_like_any_other():
    result = watch(answering(FileWrapper(BytesIO(b"content"))))(
        make_environ(**{"wsgi.file_wrapper": None}), lambda *args: print
    )

    assert type(result) is not FileWrapper
    assert list(result) == [b"content"]
    result.close()


def test_a_wrapper_that_is_a_file_itself_is_no_bare_file():
    class FileOfServer(BytesIO):
        def __init__(self, file, size=0):
            super().__init__(file.read())

    def application(environ, start_response):
        start_response("200 OK", [PLAIN])
        return environ["wsgi.file_wrapper"](BytesIO(b"content"))

    assert findings(application, make_environ(**{"wsgi.file_wrapper": FileOfServer})) == []


def test_the_stand_ins_can_be_copied():
    copies = []

    def application(environ, start_response):
        copies.extend([copy.copy(environ["wsgi.input"]), copy.copy(environ["wsgi.errors"])])
        return hello(environ, start_response)

    result = watch(application)(make_environ("POST", b"content"), lambda *args: print)

    assert copies[0].read(7) == b"content"
    assert copies[1].write("text") is None
    assert list(copy.copy(result)) == [b"Hello"]


def test_the_environ_stays_the_servers_dict():
    seen = []
    environ = make_environ()

    def application(environ, start_response):
        seen.append(environ)
        return hello(environ, start_response)

    serve(watch(application), environ)

    assert seen[0] is environ
    assert type(environ) is dict


def test_the_application_gets_what_the_server_gave():
    answers = []
    environ = make_environ("POST", b"one\ntwo\nthree\n")
    errors = environ["wsgi.errors"]

    def application(environ, start_response):
        stream = environ["wsgi.input"]
        answers.extend([stream.read(2), stream.readline(), stream.readlines(2), list(stream)])
        environ["wsgi.errors"].writelines(["a\n", "b\n"])
        environ["wsgi.errors"].flush()
        return hello(environ, start_response)

    serve(watch(application), environ)

    assert answers == [b"on", b"e\n", [b"two\n"], [b"three\n"]]
    assert errors.getvalue() == "a\nb\n"


def test_watches_can_be_stacked():
    inner, outer = [], []

    response = serve(watch(watch(broken_head, report=inner.append), report=outer.append))

    assert ids(inner) == ids(outer) == ["H2", "H13"]
    assert {judgement.where for judgement in inner + outer} == {inner[0].where}
    assert response.content == b"Hello"


def test_nothing_of_a_request_outlives_it():
    environ = make_environ("POST", b"content")
    stream = weakref.ref(environ["wsgi.input"])

    def application(environ, start_response):
        environ["wsgi.input"].read(7)
        start_response("200 OK", [PLAIN])
        yield b"Hello"

    gc.disable()
    try:
        response = serve(watch(application), environ)
        assert response.content == b"Hello"
        del response, environ
        assert stream() is None
    finally:
        gc.enable()


def test_no_exception_outlives_its_call():
    class Failure(Exception):
        pass

    failures = []

    def application(environ, start_response):
        start_response("200 OK", [PLAIN])
        try:
            raise Failure
        except Failure as failure:
            failures.append(weakref.ref(failure))
            start_response("500 Oops", [PLAIN], sys.exc_info())
        yield b"Sorry"

    gc.disable()
    try:
        result = watch(application)(make_environ(), Response().start)
        assert next(result) == b"Sorry"
        assert failures[0]() is None
    finally:
        gc.enable()


# Concurrency


def test_calls_in_several_threads_are_kept_apart():
    meeting = threading.Barrier(4, timeout=10)
    found = {}

    def application(environ, start_response):
        meeting.wait()
        start_response(environ["QUERY_STRING"], [PLAIN])
        meeting.wait()
        yield b"Hello"

    watched = watch(application, report=lambda judgement: found.setdefault(judgement.seen, judgement))
    statuses = ["200", "200 OK\n", "600 High", "200 OK"]
    threads = [
        threading.Thread(target=serve, args=(watched, make_environ(QUERY_STRING=status)))
        for status in statuses
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sorted(judgement.rule.id for judgement in found.values()) == ["H2", "H3", "H4"]


def test_calls_that_are_interleaved_in_one_thread_are_kept_apart():
    def application(environ, start_response):
        length = environ["QUERY_STRING"]
        start_response("200 OK", [PLAIN, ("Content-Length", length)])
        yield b"ab"
        yield b"cd"

    found = []
    watched = watch(application, report=found.append)
    right, wrong = (
        iter(watched(make_environ(QUERY_STRING=length), lambda *args: print)) for length in ("4", "3")
    )

    assert [*map(next, (right, wrong, right)), next(wrong)] == [b"ab", b"ab", b"cd", b"cd"]
    assert ids(found) == ["B6"]


def test_errors_are_seen_from_a_thread_of_the_application():
    def application(environ, start_response):
        thread = threading.Thread(target=environ["wsgi.errors"].write, args=("x\r\n",))
        thread.start()
        thread.join(10)
        return hello(environ, start_response)

    (judgement,) = findings(application)

    assert judgement.rule.id == "I5"
    assert "threading.py" in judgement.where


def test_the_streams_of_a_server_without_extras_serve_too():
    class Minimal:
        def read(self, size=-1):
            return b""

        readline = read

        def readlines(self, hint=-1):
            return []

        def __iter__(self):
            return iter(())

    class Log:
        def __init__(self):
            self.text = StringIO()

        def write(self, text):
            self.text.write(text)

        def flush(self):
            pass

        def writelines(self, lines):
            self.text.writelines(lines)

    environ = make_environ(**{"wsgi.input": Minimal(), "wsgi.errors": Log()})

    def application(environ, start_response):
        assert not hasattr(environ["wsgi.input"], "seek")
        assert not hasattr(environ["wsgi.errors"], "encoding")
        environ["wsgi.input"].read(5)
        return hello(environ, start_response)

    assert findings(application, environ) == []
