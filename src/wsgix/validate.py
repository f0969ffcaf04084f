"""The compatible face of the referee: `validator` and the other names of the standard library's `validate`.

Here lives what is right or wrong to the standard library's validator, as check functions and as the table
that attaches them to the points of an exchange; how an exchange is watched is decided in `conform.points`.
A verdict is an `AssertionError` that is raised outright, so `python -O` keeps it. Its text begins as the
standard library's, which programs match, and goes on to what was seen. Anyone may call in.
"""

from __future__ import annotations

import re
import sys
import warnings
from typing import TYPE_CHECKING, Any, NoReturn

from wsgix.conform import decisions
from wsgix.conform.points import Checks, Errors, Exchange, Input, Result, StartResponse, Write, interpose
from wsgix.conform.words import shown, shown_short
from wsgix.facts.grammar import ALPHA, DIGIT, TCHAR
from wsgix.facts.names import BODILESS_STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsgix.types import WSGIApplication

__all__ = ["validator"]

# "a valid HTTP header field-name [...] without a trailing colon or other punctuation" (PEP 3333,
# start_response); field-name = token (RFC 9110, 5.1). A trailing "-" or "_" has its own text below.
header_re = re.compile(rf"^[{re.escape(TCHAR)}]*[{ALPHA}{DIGIT}_-]\Z")

# "must not include *any* control characters" (PEP 3333, start_response): HTAB is one, though RFC 9110, 5.5
# lets it stand within a value. The spelling of the pattern is the standard library's.
bad_header_value_re = re.compile(r"[\000-\037]")

# scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ); "should only produce lowercase" (RFC 3986, 3.1).
_scheme_re = re.compile(r"[a-z][a-z0-9+.-]*")

_KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PATCH", "PUT", "DELETE", "TRACE"})

_REQUIRED_KEYS = (
    "REQUEST_METHOD",
    "SERVER_NAME",
    "SERVER_PORT",
    "wsgi.version",
    "wsgi.input",
    "wsgi.errors",
    "wsgi.multithread",
    "wsgi.multiprocess",
    "wsgi.run_once",
    "wsgi.url_scheme",
)
_INPUT_METHODS = ("read", "readline", "readlines", "__iter__")
_ERRORS_METHODS = ("flush", "write", "writelines")


class WSGIWarning(Warning):
    """The category of what is doubtful but not forbidden by PEP 3333."""


def _warn(text: str) -> None:
    # The third frame is the one that called the check.
    warnings.warn(text, WSGIWarning, stacklevel=3)


def _first_lacking(value: object, attributes: tuple[str, ...]) -> str:
    """Return the first of these attributes that `value` has not got, or ""."""
    attribute = ""
    try:
        for attribute in attributes:
            if not hasattr(value, attribute):
                return attribute
    except Exception:
        return attribute  # a property may raise anything, and is then no method that could be called
    return ""


def assert_(cond: object, *args: object) -> None:
    """Raise `AssertionError(*args)` unless `cond` is true, under `python -O` too."""
    if not cond:
        raise AssertionError(*args)


def check_string_type(value: object, title: str) -> str:
    """Return `value`; raise `AssertionError` unless it is a str and of no subclass.

    `title` names the value in the message. Source: PEP 3333, "A Note On String Types".
    """
    if type(value) is str:
        return value
    raise AssertionError(f"{title} must be of type str (got {shown(value)})")


# The environ, which the server gives


def check_environ(environ: Any) -> None:
    """Check an environ and its streams.

    Raises `AssertionError` for the first fault. Warns with `WSGIWarning` of a missing QUERY_STRING, of a
    method that the standard library does not know, and of a scheme other than http and https.
    Source: PEP 3333, "environ Variables".
    """
    if type(environ) is not dict:
        raise AssertionError(
            f"Environment is not of the right type: {shown(type(environ))} (environment: {shown(environ)})"
        )
    for key in _REQUIRED_KEYS:
        if key not in environ:
            raise AssertionError(f"Environment missing required key: {shown(key)}")
    for key in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"):
        if key in environ:
            raise AssertionError(
                f"Environment should not have the key: {key} "
                f"(use {key[5:]} instead; got {shown(environ[key])})"
            )
    if "QUERY_STRING" not in environ:
        _warn(
            "QUERY_STRING is not in the WSGI environment; PEP 3333 lets it be absent, but applications that "
            "read it without a default fail"
        )
    for key, value in environ.items():
        if type(key) is not str:
            raise AssertionError(f"Environmental variable names must be of type str (got {shown(key)})")
        # A dot marks the variables of PEP 3333 and of servers; only those of CGI must be strings.
        if type(value) is not str and "." not in key:
            raise AssertionError(
                f"Environmental variable {key} is not a string: {shown(type(value))} (value: {shown(value)})"
            )
    if type(environ["wsgi.version"]) is not tuple:
        raise AssertionError(f"wsgi.version should be a tuple ({shown(environ['wsgi.version'])})")
    _check_url_scheme(environ["wsgi.url_scheme"])
    check_input(environ["wsgi.input"])
    check_errors(environ["wsgi.errors"])
    if environ["REQUEST_METHOD"] not in _KNOWN_METHODS:
        _warn(f"Unknown REQUEST_METHOD: {environ['REQUEST_METHOD']!r}")
    _check_path_and_length(environ)


def _check_url_scheme(scheme: object) -> None:
    # "Normally, this will have the value "http" or "https"" (PEP 3333, environ Variables): others may be.
    # The type goes first: to compare with just any object can raise just anything.
    if type(scheme) is str and scheme in ("http", "https"):
        return
    if type(scheme) is not str or not _scheme_re.fullmatch(scheme):
        raise AssertionError(f"wsgi.url_scheme unknown: {shown(scheme)}")
    _warn(f"wsgi.url_scheme unknown: {shown(scheme)}")


def _check_path_and_length(environ: dict[str, Any]) -> None:
    script_name = environ.get("SCRIPT_NAME")
    path_info = environ.get("PATH_INFO")
    content_length = environ.get("CONTENT_LENGTH")
    if script_name and not script_name.startswith("/"):
        raise AssertionError(f"SCRIPT_NAME doesn't start with /: {script_name!r}")
    if path_info and not path_info.startswith("/"):
        raise AssertionError(f"PATH_INFO doesn't start with /: {path_info!r}")
    if content_length:
        try:
            is_length = int(content_length) >= 0
        except ValueError:
            is_length = False
        if not is_length:
            raise AssertionError(f"Invalid CONTENT_LENGTH: {content_length!r}")
    if not script_name and path_info is None:
        raise AssertionError(
            "One of SCRIPT_NAME or PATH_INFO are required (PATH_INFO should at least be '/' if SCRIPT_NAME "
            f"is empty) (SCRIPT_NAME: {script_name!r})"
        )
    if script_name == "/":
        raise AssertionError(
            "SCRIPT_NAME cannot be '/'; it should instead be '', and PATH_INFO should be '/' "
            f"(PATH_INFO: {path_info!r})"
        )


def check_input(wsgi_input: object) -> None:
    """Raise `AssertionError` if `wsgi.input` lacks a method of PEP 3333, "Input and Error Streams"."""
    if attr := _first_lacking(wsgi_input, _INPUT_METHODS):
        raise AssertionError(f"wsgi.input ({shown(wsgi_input)}) doesn't have the attribute {attr}")


def check_errors(wsgi_errors: object) -> None:
    """Raise `AssertionError` if `wsgi.errors` lacks a method of PEP 3333, "Input and Error Streams"."""
    if attr := _first_lacking(wsgi_errors, _ERRORS_METHODS):
        raise AssertionError(f"wsgi.errors ({shown(wsgi_errors)}) doesn't have the attribute {attr}")


# The head of the response, which the application gives


def check_status(status: object) -> None:
    """Raise `AssertionError` unless a str like "200 OK" is given; warn where only the shape is unusual.

    Source: PEP 3333, "The start_response() Callable".
    """
    _status_code(status)
    if status[3:4] != " ":  # type: ignore[index]  # a str, as _status_code has seen
        _warn(
            f"The status string ({status!r}) should be a three-digit integer followed by a single space and "
            "a status explanation"
        )


def _status_code(status: object) -> str:
    """Return the three digits with which a status begins, or raise `AssertionError`."""
    code = "".join(check_string_type(status, "Status").split(None, 1)[:1])
    if len(code) != 3:
        raise AssertionError(f"Status codes must be three characters: {code!r}")
    if not (code.isascii() and code.isdigit()):
        raise AssertionError(f"Status code is invalid: {code!r}")
    if code < "100":
        raise AssertionError(f"Status code is invalid: {int(code)!r}")
    return code


def check_headers(headers: Any) -> None:
    """Raise `AssertionError` unless a list of (name, value) tuples is given, all of them str and sendable.

    Source: PEP 3333, "The start_response() Callable"; RFC 9110, 5.1.
    """
    if type(headers) is not list:
        raise AssertionError(f"Headers ({shown(headers)}) must be of type list: {shown(type(headers))}")
    for item in headers:
        if type(item) is not tuple or len(item) != 2:
            _refuse_header(item)
        name, value = item
        check_string_type(name, "Header name")
        check_string_type(value, "Header value")
        if name.lower() == "status":
            raise AssertionError(
                "The Status header cannot be used; it means the status to a CGI server, and WSGI gives the "
                f"status apart from the headers (value: {shown(value)})"
            )
        if not decisions.is_token(name) or decisions.ends_in_punctuation(name):
            _refuse_header_name(name)
        if bad := bad_header_value_re.search(value):
            raise AssertionError(f"Bad header value: {shown(value)} (bad char: {bad[0]!r})")


def _refuse_header(item: Any) -> NoReturn:
    if type(item) is not tuple:
        raise AssertionError(f"Individual headers ({shown(item)}) must be of type tuple: {shown(type(item))}")
    raise AssertionError(f"Individual headers ({shown(item)}) must be pairs of name and value")


def _refuse_header_name(name: str) -> NoReturn:
    if "\n" in name or ":" in name:
        raise AssertionError(f"Header names may not contain ':' or '\\n': {name!r}")
    if not header_re.search(name):
        raise AssertionError(f"Bad header name: {name!r}")
    raise AssertionError(f"Names may not end in '-' or '_': {name!r}")


def check_content_type(status: object, headers: list[tuple[str, str]]) -> None:
    """Raise `AssertionError` if Content-Type is missing, or stands in a 204 or a 304.

    "A sender that generates a message containing content SHOULD generate a Content-Type" (RFC 9110, 8.3).
    So it is not asked for where there is no content (1xx, 205, a Content-Length of 0) nor in a redirection,
    which may do without. In a 304 "a sender SHOULD NOT generate representation metadata" that guides no cache
    (15.4.5); in a 204 it could describe the target (15.3.5), but the standard library refuses it there too.
    """
    code = _status_code(status)
    needed = decisions.asks_for_type(code)
    if not issubclass(type(headers), (list, tuple)):
        raise AssertionError(f"Headers ({shown(headers)}) must be of type list: {shown(type(headers))}")
    # What a subclass makes of it is the application's code, and may fail in any way.
    kind: Any = list if issubclass(type(headers), list) else tuple
    for item in kind.__iter__(headers):
        if type(item) is not tuple or len(item) != 2:
            _refuse_header(item)
        name, value = item
        lowered = check_string_type(name, "Header name").lower()
        if lowered == "content-type":
            if code in BODILESS_STATUSES:
                raise AssertionError(
                    f"Content-Type header found in a {code} response, which must not return content "
                    f"(value: {shown(value)})"
                )
            return
        if lowered == "content-length" and type(value) is str and value == "0":
            needed = False
    if needed:
        raise AssertionError(f"No Content-Type header found in headers ({shown(headers)})")


def check_exc_info(exc_info: object) -> None:
    """Raise `AssertionError` unless a tuple or None is given.

    Source: PEP 3333, "The start_response() Callable".
    """
    if exc_info is not None and type(exc_info) is not tuple:
        raise AssertionError(f"exc_info ({shown(exc_info)}) is not a tuple: {shown(type(exc_info))}")


# The body of the response


def check_iterator(iterator: object) -> None:
    """Raise `AssertionError` if a str or bytes is given: iterating over it would send single characters.

    Source: PEP 3333, "Buffering and Streaming".
    """
    if decisions.is_bare_string(iterator):
        raise AssertionError(
            "You should not return a string as your application iterator, instead return a single-item list "
            f"containing a bytestring (got {shown_short(iterator)})"
        )


# The checks, as `interpose` calls them


def _check_call(exchange: Exchange, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    if len(args) != 2:
        raise AssertionError(f"Two arguments required (got {len(args)} positional)")
    if kwargs:
        raise AssertionError(f"No keyword arguments allowed (got {', '.join(kwargs)})")


def _check_input_call(wsgi_input: Input, method: str, args: tuple[object, ...]) -> None:
    if len(args) == 1:
        return
    if method == "close":
        raise AssertionError("input.close() must not be called")
    if method == "read" and not args:
        # CPython's test_wsgi_input wants the line "AssertionError" and nothing behind it.
        raise AssertionError
    if args:
        raise AssertionError(f"input.{method}() takes one argument, the size (got {shown(args)})")


def _check_input_data(wsgi_input: Input, method: str, data: object) -> None:
    if method == "readlines":
        if type(data) is not list:
            raise AssertionError(f"input.readlines() must return a list (got {shown_short(data)})")
        for line in data:
            if type(line) is not bytes:
                raise AssertionError(
                    f"input.readlines() must return lines of bytes (got {shown_short(line)})"
                )
    elif type(data) is not bytes:
        raise AssertionError(f"input.{method}() must return bytes (got {shown_short(data)})")


def _check_errors_call(wsgi_errors: Errors, method: str, args: tuple[object, ...]) -> None:
    if method == "close":
        raise AssertionError("errors.close() must not be called")
    if method == "write" and type(args[0]) is not str:
        raise AssertionError(f"errors.write() argument must be a str instance (got {shown_short(args[0])})")


def _check_start_response(
    start_response: StartResponse, args: tuple[object, ...], kwargs: dict[str, object]
) -> None:
    if len(args) != 2 and len(args) != 3:
        raise AssertionError(f"Invalid number of arguments: {shown(args)}")
    if kwargs:
        raise AssertionError(f"No keyword arguments allowed (got {', '.join(kwargs)})")


def _check_head(start_response: StartResponse, args: tuple[Any, ...], kwargs: dict[str, object]) -> None:
    status, headers, *exc_info = args
    check_status(status)
    check_headers(headers)
    check_content_type(status, headers)
    check_exc_info(exc_info[0] if exc_info else None)


def _check_write(write: Write, data: object) -> None:
    if type(data) is not bytes:
        raise AssertionError(f"write() argument must be a bytes instance (got {shown_short(data)})")


def _check_result(exchange: Exchange, result: object) -> None:
    if not decisions.is_iterable(result):
        raise AssertionError(
            f"The application must return an iterator, if only an empty list (got {shown_short(result)})"
        )
    check_iterator(result)


def _check_item(result: Result, item: object) -> None:
    if type(item) is not bytes:
        raise AssertionError(f"Iterator yielded non-bytestring ({shown(item)})")
    # "before the iterable yields its first body bytestring, so that the server can send the headers"
    # (PEP 3333, Specification Details): an empty block carries no body, and no headers leave for it.
    if result.check_start_response is not None and item:
        if not result.check_start_response:
            raise AssertionError(
                "The application returns and we started iterating over its body, but start_response has not "
                f"yet been called (got {shown_short(item)})"
            )
        result.check_start_response = None


def _check_item_after_close(result: Result) -> None:
    raise AssertionError("Iterator read after closed")


def _check_discard(result: Result) -> None:
    application = result.exchange.application
    origin = "" if application is None else f", returned by {shown(application)}"
    kind = type(result.original_iterator).__name__
    message = f"Iterator garbage collected without being closed (a {kind}{origin})"
    if sys.stderr is not None:
        sys.stderr.write(message + "\n")
    raise AssertionError(message)


_CHECKS = Checks(
    call=(_check_call,),
    environ=(lambda exchange, environ: check_environ(environ),),
    input_call=(_check_input_call,),
    input_data=(_check_input_data,),
    errors_call=(_check_errors_call,),
    start_response=(_check_start_response, _check_head),
    write=(_check_write,),
    result=(_check_result,),
    item=(_check_item,),
    item_after_close=(_check_item_after_close,),
    discard=(_check_discard,),
)

# To what a stand-in belongs that was made by hand.
_NO_EXCHANGE = Exchange(_CHECKS)


class InputWrapper(Input):
    """`wsgi.input` under the checks of this module.

    `read()` wants its size here, although PEP 3333 says that "a server should allow read() to be called
    without an argument": the standard library's tests demand it.
    """

    exchange = _NO_EXCHANGE


class ErrorWrapper(Errors):
    """`wsgi.errors` under the checks of this module."""

    exchange = _NO_EXCHANGE


class WriteWrapper(Write):
    """The `write` callable under the checks of this module."""

    exchange = _NO_EXCHANGE


class IteratorWrapper(Result):
    """The application's iterable under the checks of this module.

    `check_start_response` is a list that is empty until `start_response` was called, or None to leave that
    out.
    """

    exchange = _NO_EXCHANGE


def _stand_in_for(iterable: Any, exchange: Exchange) -> Result:
    try:
        result = IteratorWrapper(iterable, exchange.starts)
    except TypeError as error:
        # What an `__iter__` in Python raises is the application's own. Where it came to none, or to no
        # iterator, the call of iter() itself is the last one on the way.
        innermost: Any = error.__traceback__
        while innermost.tb_next:
            innermost = innermost.tb_next
        if innermost.tb_frame.f_code is not Result.__init__.__code__:
            raise
    else:
        result.exchange = exchange
        return result
    raise AssertionError(
        f"The application must return an iterator, if only an empty list (got {shown_short(iterable)})"
    )


class PartialIteratorWrapper:
    """An iterable that is put under the checks of this module when `iter()` is called on it."""

    def __init__(self, wsgi_iterator: Any) -> None:
        self.iterator = wsgi_iterator

    def __iter__(self) -> Iterator[bytes]:
        return IteratorWrapper(self.iterator, None)


def validator(application: WSGIApplication) -> WSGIApplication:
    """Wrap an application so that each call of it is checked, on the server's side and on its own.

    Returns an application that answers as `application` does, except that its iterable has no `len()` and is
    no `wsgi.file_wrapper` any more. `wsgi.input` and `wsgi.errors` are wrapped in the server's environ.

    Raises `AssertionError` at the first breach of PEP 3333, from the call that commits it. An iterable that
    is never closed is reported on `sys.stderr` when it is garbage collected. Warns with `WSGIWarning` of what
    is doubtful but allowed. To pass proves little: PEP 3333 has many rules that are not checked here.

    >>> from wsgix.util import setup_testing_defaults
    >>> def application(environ, start_response):
    ...     start_response("200 OK", (("Content-Type", "text/plain"),))
    ...     return [b"Hello"]
    >>> environ = {"QUERY_STRING": ""}
    >>> setup_testing_defaults(environ)
    >>> validator(application)(environ, lambda status, headers, exc_info=None: print)
    Traceback (most recent call last):
    AssertionError: Headers ((('Content-Type', 'text/plain'),)) must be of type list: <class 'tuple'>
    """
    return interpose(
        application,
        _CHECKS,
        input_class=InputWrapper,
        errors_class=ErrorWrapper,
        write_class=WriteWrapper,
        result_class=_stand_in_for,
    )
