"""`wsgix.handlers`: the standard library's hooks, and responses that are right on the wire."""

import doctest
import io
import os
import re
import subprocess
import sys
import time
import types
from email.utils import parsedate
from pathlib import Path

import pytest

import wsgix
from wsgix import handlers
from wsgix.core.streams import IncompleteBody
from wsgix.handlers import (
    BaseCGIHandler,
    BaseHandler,
    CGIHandler,
    IISCGIHandler,
    SimpleHandler,
    format_date_time,
    read_environ,
)
from wsgix.headers import Headers
from wsgix.util import FileWrapper

DATE = rb"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n"
PAGE = BaseHandler.error_body
SOURCE = str(Path(wsgix.__file__).parents[1])


class Handler(BaseCGIHandler):
    """A handler of its own environ, streams that are kept, and a head without a date."""

    os_environ: dict[str, str] = {}  # noqa: RUF012 (as the library)

    def __init__(self, method="GET", **variables):
        environ = {"REQUEST_METHOD": method, "SERVER_PROTOCOL": "HTTP/1.1", **variables}
        super().__init__(io.BytesIO(), io.BytesIO(), io.StringIO(), environ)

    @property
    def response(self):
        return self.stdout.getvalue()

    @property
    def log(self):
        return self.stderr.getvalue()


class Origin(Handler):
    origin_server = True


def answering(result, *headers, status="200 OK"):
    def application(environ, start_response):
        start_response(status, list(headers))
        return result

    return application


def run(application, handler_class=Handler, **variables):
    handler = handler_class(**variables)
    handler.run(application)
    return handler


def test_the_examples_in_the_docstrings_hold():
    failed, tried = doctest.testmod(handlers)
    assert (failed, tried > 0) == (0, True)


def test_the_public_names_are_those_of_the_standard_library():
    assert handlers.__all__ == [
        "BaseCGIHandler",
        "BaseHandler",
        "CGIHandler",
        "IISCGIHandler",
        "SimpleHandler",
        "read_environ",
    ]


# The hooks


HOOKS = [
    *["run", "setup_environ", "add_cgi_vars", "get_stdin", "get_stderr", "get_scheme", "start_response"],
    *["finish_response", "result_is_file", "sendfile", "write", "send_headers", "cleanup_headers"],
    *["set_content_length", "client_is_modern", "send_preamble", "_write", "_flush", "finish_content"],
    *["close", "handle_error", "log_exception", "error_output"],
]


def recording(base, order):
    """Return a subclass of *base* that notes the call of each hook, and then does what *base* does."""

    def hook(name):
        def method(self, *arguments):
            order.append(name)
            return getattr(base, name)(self, *arguments)

        return method

    return type("Recording", (base,), {name: hook(name) for name in HOOKS})


BEGIN = [
    "run",
    "setup_environ",
    "add_cgi_vars",
    "get_stdin",
    "get_stderr",
    "get_scheme",
]
HEAD = ["send_headers", "cleanup_headers"]
PREAMBLE = ["client_is_modern", "send_preamble", "_write", "_write"]


def test_the_hooks_are_called_in_the_order_of_the_standard_library():
    order = []
    run(answering([b"x"]), recording(Origin, order))

    assert order == [
        *BEGIN,
        "start_response",
        "finish_response",
        "result_is_file",
        "write",
        *HEAD,
        "set_content_length",
        *PREAMBLE,
        "_write",
        "_flush",
        "finish_content",
        "close",
    ]


def test_the_hooks_of_an_error_page_come_after_the_log():
    order = []
    run(lambda environ, start_response: 1 / 0, recording(Origin, order))

    assert order == [
        *BEGIN,
        "handle_error",
        "log_exception",
        "get_stderr",
        "error_output",
        "start_response",
        "finish_response",
        "result_is_file",
        "write",
        *HEAD,
        "set_content_length",
        *PREAMBLE,
        "_write",
        "_flush",
        "finish_content",
        "close",
    ]


def test_the_hooks_of_a_file_ask_the_platform_first():
    def application(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](io.BytesIO())

    order = []
    run(application, recording(Handler, order))

    assert order == [
        *BEGIN,
        "start_response",
        "finish_response",
        "result_is_file",
        "sendfile",
        "finish_content",
        *HEAD,
        "send_preamble",
        "_write",
        "_write",
        "_flush",
        "close",
    ]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("_write", (b"",)), ("_flush", ()), ("get_stdin", ()), ("get_stderr", ()), ("add_cgi_vars", ())],
)
def test_what_a_subclass_must_bring_is_abstract(name, arguments):
    with pytest.raises(NotImplementedError):
        getattr(BaseHandler(), name)(*arguments)


def test_a_subclass_may_change_the_headers_after_the_default_cleanup():
    class Closing(Handler):
        def cleanup_headers(self):
            super().cleanup_headers()
            del self.headers["Content-Length"]
            self.headers["Connection"] = "close"  # hop-by-hop: the gateway's to say

    assert run(answering([b"ab", b"c"]), Closing).response == (
        b"Status: 200 OK\r\nConnection: close\r\n\r\nabc"
    )


def test_a_subclass_may_replace_the_headers_before_they_are_sent():
    class Replacing(Handler):
        def cleanup_headers(self):
            self.headers = Headers([("Content-Length", "2")])

    handler = run(answering([b"abc"], ("Content-Length", "3")), Replacing)

    assert handler.response == b"Status: 200 OK\r\nContent-Length: 2\r\n\r\nab"


def test_a_subclass_may_bring_its_own_headers_class():
    class Shouting(Headers):
        def __bytes__(self):
            return super().__bytes__().upper()

    class Loud(Handler):
        headers_class = Shouting

    assert (
        run(answering([], ("a", "b")), Loud).response
        == b"Status: 200 OK\r\nA: B\r\nCONTENT-LENGTH: 0\r\n\r\n"
    )


def test_close_is_reached_on_every_path():
    def broken(data):
        raise BrokenPipeError

    for application, write in [
        (answering([b"x"]), None),
        (answering([b"x"]), broken),
        (answering([b"x", 1]), None),
        (lambda environ, start_response: [], None),
        (lambda environ, start_response: 1 / 0, None),
    ]:
        order = []
        handler = recording(Handler, order)()
        if write:
            handler.stdout = types.SimpleNamespace(write=write)
        handler.run(application)

        assert order.count("close") == 1


# The environ


def test_the_environ_holds_the_variables_and_what_pep_3333_adds():
    handler = Origin(HTTPS="on")
    handler.setup_environ()

    assert type(handler.environ) is dict
    assert handler.environ == {
        "REQUEST_METHOD": "GET",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTPS": "on",
        "wsgi.version": (1, 0),
        "wsgi.input": handler.stdin,
        "wsgi.errors": handler.stderr,
        "wsgi.url_scheme": "https",
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
    }
    assert "wsgi.version" not in handler.base_env


def test_the_attributes_of_the_handler_decide_about_the_environ():
    class Special(Origin):
        wsgi_version = (1, 1)
        wsgi_run_once = True
        wsgi_file_wrapper = None
        server_software = "Special/1"
        os_environ = {"HOME": "/", "PATH_INFO": "/of-the-process"}  # noqa: RUF012 (as the library)

    handler = Special(PATH_INFO="/of-the-request")
    handler.setup_environ()
    environ = handler.environ

    assert environ["wsgi.version"] == (1, 1)
    assert environ["wsgi.run_once"] is True
    assert "wsgi.file_wrapper" not in environ
    assert environ["SERVER_SOFTWARE"] == "Special/1"
    assert (environ["HOME"], environ["PATH_INFO"]) == ("/", "/of-the-request")


@pytest.mark.parametrize(
    ("handler_class", "given", "seen"),
    [(Origin, {"SERVER_SOFTWARE": "front/2"}, "front/2"), (Handler, {}, None)],
)
def test_server_software_is_only_a_default_and_only_an_origin_servers(handler_class, given, seen):
    handler = handler_class(**given)
    handler.server_software = "mine/1"
    handler.setup_environ()

    assert handler.environ.get("SERVER_SOFTWARE") == seen


def test_the_environ_of_one_run_does_not_leak_into_the_next():
    handler = Handler()

    def application(environ, start_response):
        assert "mine" not in environ
        environ["mine"] = environ["PATH_INFO"] = "x"
        start_response("200 OK", [])
        return []

    handler.run(application)
    handler.run(application)

    assert handler.log == ""
    assert "PATH_INFO" not in handler.base_env


def test_read_environ_copies_the_process_environment_as_latin_1(monkeypatch):
    monkeypatch.setitem(os.environb, b"PATH_INFO", b"/\xc3\xa9\xff")
    monkeypatch.setenv("HTTP_X", "y")

    environ = read_environ()

    assert type(environ) is dict
    assert environ["PATH_INFO"] == "/\xc3\xa9\xff"
    assert environ["HTTP_X"] == "y"


# Checks of start_response


def refused(status="200 OK", headers=()):
    """Return what `start_response` raised, when nothing had been sent yet."""
    seen = []

    def application(environ, start_response):
        try:
            start_response(status, list(headers))
        except Exception as error:
            seen.append(error)
            raise

    handler = run(application)
    assert handler.response.startswith(b"Status: 500 Internal Server Error\r\n")
    assert handler.response.endswith(b"\r\n\r\n" + PAGE)
    return seen[0]


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (200, AssertionError, "Status must be of type str (got 200)"),
        (b"200 OK", AssertionError, "Status must be of type str (got b'200 OK')"),
        (type("Text", (str,), {})("200 OK"), AssertionError, "Status must be of type str (got '200 OK')"),
        (None, AssertionError, "Status must be of type str (got None)"),
        ("", AssertionError, "Status must be at least 4 characters"),
        ("200", AssertionError, "Status must be at least 4 characters"),
        ("20X OK", AssertionError, "Status message must begin w/3-digit code"),
        ("\u0662\u0660\u0660 OK", AssertionError, "Status message must begin w/3-digit code"),
        ("2000 OK", AssertionError, "Status message must have a space after code"),
        ("200 O\r\nX: y", ValueError, "Control characters are not allowed in status"),
        ("200 O\tK", ValueError, "Control characters are not allowed in status"),
        ("200 \x7f", ValueError, "Control characters are not allowed in status"),
        ("200 \u20ac", ValueError, "the status has the character '\u20ac', which latin-1 lacks"),
    ],
)
def test_a_malformed_status_is_refused_each_time(status, error, words):
    for _ in range(2):
        caught = refused(status)
        assert type(caught) is error
        assert str(caught) == words


@pytest.mark.parametrize(
    ("header", "error", "words"),
    [
        (("A", 1), AssertionError, "Header names/values must be of type str (got 1)"),
        ((b"A", "1"), AssertionError, "Header names/values must be of type str (got b'A')"),
        (("A", "1\r\nB: 2"), ValueError, "Control characters not allowed in headers"),
        (("A\n", "1"), ValueError, "Control characters not allowed in headers"),
        (("A\t", "1"), ValueError, "Control characters not allowed in headers"),
        (("A", "\u20ac"), ValueError, "the header 'A' has the character '\u20ac', which latin-1 lacks"),
        (("\u20ac", "1"), ValueError, "the header '\u20ac' has the character '\u20ac', which latin-1 lacks"),
        (("Connection", "x"), AssertionError, "Hop-by-hop header, 'Connection: x', not allowed"),
        (
            ("tRANSFER-eNCODING", "x"),
            AssertionError,
            "Hop-by-hop header, 'tRANSFER-eNCODING: x', not allowed",
        ),
    ],
)
def test_a_malformed_header_is_refused_and_nothing_of_it_sent(header, error, words):
    caught = refused(headers=[("Content-Type", "text/plain"), header])
    assert type(caught) is error
    assert str(caught) == words


@pytest.mark.parametrize("headers", [(), {}, iter([]), None])
def test_the_headers_must_be_a_list(headers):
    handler = run(lambda environ, start_response: start_response("200 OK", headers))

    if headers is not None:
        assert "TypeError: Headers must be a list of name/value tuples" in handler.log
    assert handler.response.endswith(PAGE)


def test_latin_1_and_tabs_may_stand_in_a_header():
    handler = run(answering([], ("X", "caf\xe9\tau lait"), status="200 D\xe9j\xe0"))

    assert handler.response == b"Status: 200 D\xe9j\xe0\r\nX: caf\xe9\tau lait\r\nContent-Length: 0\r\n\r\n"


def test_only_so_many_names_are_remembered(monkeypatch):
    monkeypatch.setattr(handlers, "_plain_names", names := set())
    monkeypatch.setattr(handlers, "_MOST_NAMES", 1)

    for _ in range(2):
        assert run(answering([], ("A", "1"), ("B", "2"))).response.startswith(
            b"Status: 200 OK\r\nA: 1\r\nB: 2\r\n"
        )
    assert names == {"A"}


def test_a_remembered_name_does_not_let_a_value_pass():
    run(answering([], ("X-Remembered", "plain")))

    assert "latin-1 lacks" in str(refused(headers=[("X-Remembered", "\u20ac")]))
    assert "Control characters" in str(refused(headers=[("X-Remembered", "\n")]))


def test_the_applications_list_of_headers_is_not_changed():
    headers = [("Content-Type", "text/plain")]

    def application(environ, start_response):
        start_response("200 OK", headers)
        return [b"x"]

    first, second = run(application), run(application)

    assert headers == [("Content-Type", "text/plain")]
    assert first.response == second.response


def test_changing_the_list_after_start_response_changes_nothing():
    def application(environ, start_response):
        headers = []
        start_response("200 OK", headers)
        headers.append(("Connection", "\r\n"))
        return []

    assert run(application).response == b"Status: 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("name", ["X Y", "X:", "", "X\xe9"])
def test_a_header_whose_name_no_field_has_is_refused(name):
    caught = refused(headers=[(name, "v")])
    assert type(caught) is ValueError
    assert str(caught) == f"the header name {name!r} is no token (RFC 9110, 5.1)"


@pytest.mark.parametrize("length", ["x", "-1", "+1", "1,1", "", "1 1", "\xb2"])
def test_a_content_length_that_is_no_number_is_refused(length):
    caught = refused(headers=[("content-length", length)])
    assert type(caught) is ValueError
    assert str(caught) == f"Content-Length is {length!r}, which is no number of bytes"


def test_two_content_lengths_that_differ_are_refused():
    caught = refused(headers=[("Content-Length", "1"), ("X", "y"), ("content-length", "2")])
    assert type(caught) is ValueError
    assert str(caught) == "Content-Length is 1 and 2 at once"


@pytest.mark.parametrize("lengths", [["1"], [" 1 "], ["01"], ["1", "1"]])
def test_a_content_length_may_be_spelled_oddly_as_long_as_it_is_one(lengths):
    handler = run(answering([b"ab"], *[("Content-Length", length) for length in lengths]))

    assert handler.response.endswith(b"\r\n\r\na")


def test_the_checks_are_made_when_python_optimizes():
    program = """
import io, sys
from wsgix.handlers import BaseCGIHandler
if __debug__:
    sys.exit("this must run under -O")

def answering(status, headers, result):
    def application(environ, start_response):
        start_response(status, headers)
        return result
    return application

for arguments in [
    ("200", [], []), ("2000 OK", [], []), ("20X OK", [], []), ("200 \\n", [], []), (b"200 OK", [], []),
    ("200 OK", [("A", 1)], []), ("200 OK", [("A", "\\r\\n")], []), ("200 OK", [("Upgrade", "x")], []),
    ("200 OK", [("A", "\\u20ac")], []), ("200 OK", (), []), ("200 OK", [], ["text"]), ("200 OK", [], [1]),
    ("200 OK", [("Content-Length", "x")], []), ("200 OK", [], "text"), ("200 OK", [], b"x"),
    ("200 OK", [], None),
]:
    out, log = io.BytesIO(), io.StringIO()
    BaseCGIHandler(None, out, log, {}).run(answering(*arguments))
    if not out.getvalue().startswith(b"Status: 500 ") or "Error" not in log.getvalue():
        sys.exit(f"{arguments} passed: {out.getvalue()} {log.getvalue()}")
print("all refused")
"""
    process = subprocess.run(
        [sys.executable, "-O", "-c", program],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (process.stdout, process.stderr) == ("all refused\n", "")


# The head


def test_an_origin_server_sends_a_status_line_a_date_and_its_name():
    class Named(Origin):
        server_software = "Named/1"
        http_version = "1.1"

    response = run(answering([b"x"]), Named).response

    assert re.fullmatch(
        rb"HTTP/1\.1 200 OK\r\n" + DATE + rb"Server: Named/1\r\nContent-Length: 1\r\n\r\nx", response
    )


def test_the_date_and_the_server_of_the_application_stand():
    class Named(Origin):
        server_software = "Named/1"

    response = run(answering([b"x"], ("date", "now"), ("SERVER", "mine")), Named).response

    assert response == b"HTTP/1.0 200 OK\r\ndate: now\r\nSERVER: mine\r\nContent-Length: 1\r\n\r\nx"


def test_the_date_follows_the_clock(monkeypatch):
    def dated(second):
        monkeypatch.setattr(handlers.time, "time", lambda: second)
        return re.search(rb"Date: (.*)\r\n", run(answering([]), Origin).response)[1]

    assert dated(0.0) == b"Thu, 01 Jan 1970 00:00:00 GMT"
    assert dated(0.9) == b"Thu, 01 Jan 1970 00:00:00 GMT"
    assert dated(1.1) == b"Thu, 01 Jan 1970 00:00:01 GMT"


def test_without_a_timestamp_the_date_is_now():
    # The clock of time.time() is finer, and may be a second ahead of it.
    before = time.gmtime()
    now = format_date_time(None)
    after = time.gmtime()

    assert before[:6] <= parsedate(now)[:6] <= after[:6]


@pytest.mark.parametrize(("protocol", "response"), [("HTTP/0.9", b"xy"), ("http/0.9", b"xy")])
def test_http_0_9_has_no_head(protocol, response):
    assert run(answering([b"x", b"y"]), Origin, SERVER_PROTOCOL=protocol).response == response


def test_a_gateway_without_server_protocol_has_a_head():
    handler = SimpleHandler(None, io.BytesIO(), io.StringIO(), {})
    handler.run(answering([b"x"]))

    assert handler.stdout.getvalue().startswith(b"HTTP/1.0 200 OK\r\n")


def test_repeated_headers_stay_apart():
    assert (
        b"Set-Cookie: a\r\nSet-Cookie: b\r\n"
        in run(answering([], ("Set-Cookie", "a"), ("Set-Cookie", "b"))).response
    )


# Content and its length


@pytest.mark.parametrize(
    ("result", "length"),
    [
        ([b"abc"], b"3"),
        ((b"abc",), b"3"),
        ([], b"0"),
        ([b""], b"0"),
        (iter([]), b"0"),
        ([b"a", b"b"], None),
        (iter([b"abc"]), None),
    ],
)
def test_the_length_is_added_where_it_is_known(result, length):
    response = run(answering(result)).response
    head = b"Status: 200 OK\r\n" + (b"Content-Length: %b\r\n" % length if length else b"")

    assert response.startswith(head + b"\r\n")


@pytest.mark.parametrize("error", [TypeError, AttributeError, NotImplementedError])
def test_an_iterable_may_have_no_length(error):
    class Lengthless(list):
        def __len__(self):
            raise error

    assert run(answering(Lengthless([b"ab"]))).response == b"Status: 200 OK\r\n\r\nab"


def test_one_block_after_write_has_no_known_length():
    def application(environ, start_response):
        start_response("200 OK", [])(b"ab")
        return [b"c"]

    assert run(application).response == b"Status: 200 OK\r\n\r\nabc"


def test_an_iterable_that_lies_about_its_length_is_held_to_it():
    class Lying(list):
        def __len__(self):
            return 1

    handler = run(answering(Lying([b"ab", b"cd"])))

    assert handler.response == b"Status: 200 OK\r\nContent-Length: 2\r\n\r\nab"
    assert handler.log == "the response has a Content-Length of 2, and the application gave more\n"


def test_a_shortfall_is_one_line_in_the_log():
    handler = run(answering([b"a"], ("content-length", "2")))

    assert handler.incomplete
    assert handler.log == "the application declared 2 bytes of content and gave 1\n"


@pytest.mark.parametrize(
    ("method", "status"),
    [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 Not Modified"), ("GET", "102 Processing")],
)
@pytest.mark.parametrize("result", [[], [b"abc"], [b"a", b"b"], (block for block in [b"a"])])
def test_a_response_that_has_no_content_sends_none(method, status, result):
    handler = run(answering(result, status=status), method=method)
    head, _, content = handler.response.partition(b"\r\n\r\n")

    assert content == b""
    assert handler.log == ""
    if result == [b"abc"] and method == "HEAD":
        assert head == b"Status: 200 OK\r\nContent-Length: 3"
    else:
        assert head == b"Status: " + status.encode()


@pytest.mark.parametrize(
    ("method", "status", "kept"),
    [
        ("HEAD", "200 OK", True),
        ("GET", "304 Not Modified", True),
        ("HEAD", "304 Not Modified", True),
        ("GET", "204 No Content", False),
        ("HEAD", "204 No Content", False),
        ("GET", "103 Early Hints", False),
    ],
)
@pytest.mark.parametrize("result", [[], [b"x"]])
def test_a_declared_length_without_content_stands_where_it_may(method, status, kept, result):
    handler = run(answering(result, ("Content-Length", "12345"), status=status), method=method)

    assert (b"Content-Length: 12345\r\n" in handler.response) is kept
    assert handler.response.endswith(b"\r\n\r\n")
    assert handler.log == ""
    assert not handler.incomplete


def test_every_block_is_flushed():
    order = []
    run(answering([b"a", b"b"]), recording(Handler, order))

    assert order.count("_flush") == 2


def test_a_raw_stream_that_takes_little_gets_all_and_a_warning():
    class Narrow(io.RawIOBase):
        taken = b""

        def write(self, data):
            self.taken += data[:7]
            return len(data[:7])

    handler = Handler()
    handler.stdout = Narrow()
    with pytest.warns(DeprecationWarning, match="should not do partial writes"):
        handler.run(answering([b"some content"]))

    assert handler.stdout.taken == b"Status: 200 OK\r\nContent-Length: 12\r\n\r\nsome content"


def test_a_stream_may_return_nothing_from_write():
    written = []
    handler = Handler()
    handler.stdout = types.SimpleNamespace(write=written.append, flush=lambda: None)
    handler.run(answering([b"x"]))

    assert b"".join(written) == b"Status: 200 OK\r\nContent-Length: 1\r\n\r\nx"


# Files


def file_answer(environ, start_response):
    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](io.BytesIO(b"content"), 4)


def test_a_file_is_iterated_over_by_default():
    assert run(file_answer).response == b"Status: 200 OK\r\n\r\ncontent"


def test_a_subclass_may_transmit_files_itself():
    class Sending(Handler):
        def sendfile(self):
            self.send_headers()
            self._write(b"<" + self.result.filelike.read() + b">")
            return True

    assert run(file_answer, Sending).response == b"Status: 200 OK\r\n\r\n<content>"


def test_without_a_file_wrapper_nothing_is_a_file():
    class Plain(Handler):
        wsgi_file_wrapper = None

    handler = Plain()
    handler.result = FileWrapper(io.BytesIO())

    assert handler.result_is_file() is False


# Errors


def test_an_error_is_logged_with_its_traceback_and_answered():
    handler = run(lambda environ, start_response: 1 / 0)

    assert handler.response == (
        b"Status: 500 Internal Server Error\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b"
        % (len(PAGE), PAGE)
    )
    assert handler.log.startswith("Traceback (most recent call last):\n")
    assert handler.log.endswith("ZeroDivisionError: division by zero\n")
    assert not handler.incomplete


def test_the_attributes_of_the_handler_decide_about_the_error_page():
    class Own(Handler):
        error_status = "503 Come Back"
        error_headers = [("Retry-After", "9")]  # noqa: RUF012 (as the library)
        error_body = b"later"
        traceback_limit = 0

    handler = run(lambda environ, start_response: 1 / 0, Own)

    assert handler.response == b"Status: 503 Come Back\r\nRetry-After: 9\r\nContent-Length: 5\r\n\r\nlater"
    assert Own.error_headers == [("Retry-After", "9")]
    assert "File" not in handler.log


def test_the_error_page_to_head_has_a_length_and_no_content():
    handler = run(lambda environ, start_response: 1 / 0, method="HEAD")

    assert handler.response.endswith(b"Content-Length: %d\r\n\r\n" % len(PAGE))


def test_an_empty_block_does_not_prevent_the_error_page():
    def application(environ, start_response):
        start_response("200 OK", [])
        yield b""
        raise ValueError

    assert run(application).response.endswith(b"\r\n\r\n" + PAGE)


def test_an_application_may_not_leave_without_start_response():
    handler = run(lambda environ, start_response: [])

    assert "the application returned without a successful start_response()" in handler.log
    assert handler.response.endswith(PAGE)


def test_an_error_after_the_head_only_ends_the_response():
    handler = run(answering([b"x", 1]))

    assert handler.response == b"Status: 200 OK\r\n\r\nx"
    assert "write() argument must be a bytes instance" in handler.log
    assert handler.incomplete


def test_sys_exit_ends_the_request_and_not_the_server():
    assert run(lambda environ, start_response: sys.exit(3)).response.endswith(PAGE)


def test_a_client_that_has_gone_is_not_logged():
    def write(data):
        raise ConnectionResetError

    handler = Handler()
    handler.stdout = types.SimpleNamespace(write=write)
    handler.run(answering([b"x"]))

    assert handler.log == ""
    assert handler.incomplete


def test_an_error_page_that_cannot_be_made_is_raised():
    class Broken(Handler):
        error_status = "broken"

    with pytest.raises(AssertionError, match="3-digit"):
        run(lambda environ, start_response: 1 / 0, Broken)


def test_a_handler_runs_again_after_success_and_failure():
    handler = Handler()
    for application in [answering([b"a"]), answering([b"b", 1]), answering([b"c", b"d"])]:
        handler.stdout = io.BytesIO()
        handler.run(application)

    assert handler.response == b"Status: 200 OK\r\n\r\ncd"


# CGI


@pytest.fixture
def process(monkeypatch):
    """Give a function that sets the process environment and standard input, and returns standard output."""

    def set_up(content, variables):
        out = io.BytesIO()
        monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(content)))
        monkeypatch.setattr(sys, "stdout", types.SimpleNamespace(buffer=out))
        for name in list(os.environ):
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return out

    return set_up


def echoing(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [environ["wsgi.input"].read()]


@pytest.mark.parametrize("handler_class", [CGIHandler, IISCGIHandler])
def test_the_process_environment_and_standard_streams_are_the_request(process, handler_class):
    out = process(b"12345 and beyond", {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "5"})
    handler_class().run(echoing)

    assert out.getvalue() == (
        b"Status: 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 5\r\n\r\n12345"
    )


@pytest.mark.parametrize("length", ["", "x"])
def test_without_a_content_length_standard_input_is_the_content(process, length):
    out = process(b"all", {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": length})
    CGIHandler().run(echoing)

    assert out.getvalue().endswith(b"\r\n\r\nall")


def test_standard_input_that_ends_early_is_an_error(process):
    process(b"123", {"CONTENT_LENGTH": "5"})

    with pytest.raises(IncompleteBody):
        CGIHandler().stdin.read()


def test_cgi_says_what_kind_of_gateway_it_is(process):
    process(b"", {})
    handler = CGIHandler()
    handler.setup_environ()

    flags = {name: handler.environ[f"wsgi.{name}"] for name in ("run_once", "multithread", "multiprocess")}
    assert flags == {"run_once": True, "multithread": False, "multiprocess": True}


@pytest.mark.parametrize("handler_class", [CGIHandler, IISCGIHandler])
def test_the_proxy_field_of_a_client_is_left_out(process, handler_class):
    process(b"", {"HTTP_PROXY": "http://evil", "HTTP_PROXY_X": "kept"})

    assert handler_class().base_env.keys() & {"HTTP_PROXY", "HTTP_PROXY_X"} == {"HTTP_PROXY_X"}


def test_the_process_environment_of_one_run_does_not_leak_into_the_next(process):
    process(b"", {"HTTP_COOKIE": "of the first"})
    CGIHandler().run(echoing)
    process(b"", {})
    handler = CGIHandler()
    handler.setup_environ()

    assert "HTTP_COOKIE" not in handler.environ
    assert CGIHandler.os_environ == {}


def test_the_script_name_that_iis_repeats_is_taken_off(process):
    process(b"", {"SCRIPT_NAME": "/app", "PATH_INFO": "/app/x"})
    assert IISCGIHandler().base_env["PATH_INFO"] == "/x"

    process(b"", {"PATH_INFO": "/x"})
    assert IISCGIHandler().base_env["PATH_INFO"] == "/x"


def test_a_cgi_program_answers_in_bytes_while_its_input_stays_open():
    program = """
from wsgix.handlers import CGIHandler

def application(environ, start_response):
    start_response("200 OK", [])
    path = environ["PATH_INFO"].encode("latin-1")
    rest = b"".join(environ["wsgi.input"])
    proxy = environ.get("HTTP_PROXY", "none").encode()
    return [b"|".join([path, rest, proxy, bytes(range(256))])]

CGIHandler().run(application)
"""
    content = b"\x00\xff\r\n\x1a"
    environ = {
        **os.environb,
        b"PYTHONPATH": os.fsencode(SOURCE),
        b"REQUEST_METHOD": b"POST",
        b"PATH_INFO": b"/caf\xc3\xa9/\xff",
        b"CONTENT_LENGTH": b"%d" % len(content),
        b"HTTP_PROXY": b"http://evil",
    }
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, env=environ, stdin=pipe, stdout=pipe, stderr=pipe) as cgi:
        try:
            cgi.stdin.write(content)
            cgi.stdin.flush()
            cgi.wait(timeout=60)  # its input is still open
            head, _, answer = cgi.stdout.read().partition(b"\r\n\r\n")
            log = cgi.stderr.read()
        finally:
            cgi.kill()

    expected = b"|".join([b"/caf\xc3\xa9/\xff", content, b"none", bytes(range(256))])
    assert log == b""
    assert head == b"Status: 200 OK\r\nContent-Length: %d" % len(expected)
    assert answer == expected
