"""What is right or wrong about one value, as pure functions: each question of the referee is decided once.

The rules of `conform.rules` and the compatible validator ask here, so that the two never differ by accident.
Nothing here knows of an exchange, a rule or a profile; what is asked about are single values.
"""

from __future__ import annotations

import re
from functools import lru_cache
from types import TracebackType
from typing import Any, Final

from wsgix.conform.words import shown_short
from wsgix.facts.grammar import ALPHA, CTL, DIGIT, TCHAR
from wsgix.facts.names import BODILESS_STATUSES

_is_token = re.compile(rf"[{re.escape(TCHAR)}]+").fullmatch
_find_control = re.compile(rf"[{re.escape(CTL)}]").search
_is_status = re.compile(rf"[{DIGIT}]{{3}} [^ ](?:.*[^ ])?", re.DOTALL).fullmatch
_ENDINGS: Final = frozenset(ALPHA + DIGIT)

# Names and statuses are few and no secret; values of fields are neither.
cache_of_words: Final = lru_cache(maxsize=1024)

# What int() takes without a word; nobody sends an exbibyte.
_LONGEST_LENGTH: Final = 18


@cache_of_words
def is_token(name: str) -> bool:
    """Tell whether a field name is one: "field-name = token" (RFC 9110, 5.1)."""
    return _is_token(name) is not None


@cache_of_words
def ends_in_punctuation(name: str) -> bool:
    """Tell whether a field name ends in anything but a letter or a digit.

    "without a trailing colon or other punctuation" (PEP 3333, "The start_response() Callable").
    """
    return name[-1:] not in _ENDINGS


def control_in(text: str) -> str:
    """Return the first control character of a status or field value, or "".

    CTL is %x00-1F and %x7F (RFC 5234, B.1). The code points 80 to 9F are none: they are bytes of UTF-8 as
    often as not (obs-text, RFC 9110, 5.5).
    """
    if text.isprintable():
        return ""  # most are, and this is the quicker question
    found = _find_control(text)
    return found[0] if found else ""


@cache_of_words
def is_status(status: str) -> bool:
    """Tell whether a status has the shape "999 Message here" (PEP 3333, "Specification Details").

    Three digits and a reason, "separated by a single space, with no surrounding whitespace".
    Control characters are another question: see `control_in`.
    """
    return _is_status(status) is not None


def is_status_code(code: str) -> bool:
    """Tell whether three characters are a status code: "100 to 599, inclusive" (RFC 9110, 15)."""
    return len(code) == 3 and code.isascii() and code.isdigit() and "1" <= code[0] <= "5"


def may_have_content(code: str) -> bool:
    """Tell whether a response of this status code may have content.

    1xx, 204 and 304 have none (RFC 9110, 6.4.1), and 205 must not be given any (15.3.6).
    """
    return not (code in BODILESS_STATUSES or code == "205" or code[:1] == "1")


def asks_for_type(code: str) -> bool:
    """Tell whether the standard library's validator wants a Content-Type with this status code.

    It does where there may be content, but for redirections, which may do without.
    """
    return may_have_content(code) and code[:1] != "3"


def content_length(value: object) -> int | None:
    """Return the number of bytes that a Content-Length tells, or None: it is 1*DIGIT (RFC 9110, 8.6)."""
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= _LONGEST_LENGTH:
        return int(value)
    return None


def beyond_latin_1(text: str) -> str:
    """Return the first character that ISO-8859-1 has not got, or "" (PEP 3333, "Unicode Issues")."""
    if text.isascii():
        return ""
    return next((character for character in text if character > "\xff"), "")


def is_iterable(value: object) -> bool:
    """Tell whether `iter()` takes a value, without calling anything of it.

    `__iter__ = None` says that there is no iterating, whatever else there is (Python, Data model).
    """
    # Not hasattr(): the class of an enumeration can be iterated over, its members cannot.
    for kind in type(value).__mro__:
        if "__iter__" in kind.__dict__:
            return kind.__dict__["__iter__"] is not None
    return any("__getitem__" in kind.__dict__ for kind in type(value).__mro__)


def size_of(block: object) -> int:
    """Return how many bytes a block of the wrong type would give: its length, if it is text or bytes at all.

    So that one who yields a bytearray, or text, is not told besides that his Content-Length does not fit.
    """
    for kind in (str, bytes, bytearray, memoryview):
        if issubclass(type(block), kind):
            return kind.__len__(block)  # type: ignore[arg-type]  # it is one
    return 0


def items_of(value: object) -> tuple[Any, ...] | None:
    """Return what a list or tuple holds, whatever a subclass makes of it; None for what is neither."""
    for kind in (list, tuple):
        if issubclass(type(value), kind):
            return tuple(kind.__iter__(value))  # type: ignore[arg-type]  # it is one
    return None


def is_bare_string(value: object) -> bool:
    """Tell whether a value is text or bytes: iterating over it gives single characters or numbers."""
    # Not isinstance(): that asks the value for its class too, and a proxy may raise or lie.
    return issubclass(type(value), (str, bytes))


def exc_info_fault(exc_info: Any) -> str:
    """Return what keeps a value from being a `sys.exc_info()` tuple, or "".

    `(None, None, None)` is one: it is what the function returns where no exception is being handled.
    """
    if type(exc_info) is not tuple:
        return f"is a {type(exc_info).__name__}"
    if len(exc_info) != 3:
        return f"has {len(exc_info)} items"
    kind, error, traceback = exc_info
    if kind is None and error is None and traceback is None:
        return ""
    if not (issubclass(type(kind), type) and issubclass(kind, BaseException)):
        return f"begins with {shown_short(kind)}, no class of exceptions"
    if kind not in type(error).__mro__:
        return f"has {shown_short(error)} in its middle, no instance of {kind.__name__}"
    if type(traceback) is not TracebackType and (traceback is not None or error.__traceback__ is not None):
        return f"ends with {shown_short(traceback)}, no traceback"
    return ""
