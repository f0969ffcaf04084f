"""Where a message ends and whether the connection outlives it: pure decisions, RFC 9112, 6 and 9.

Text and numbers come in, a small value goes out. Nothing here reads bytes, keeps state or knows a socket;
wire, server and the handlers may call it.
"""

import enum
from typing import Final

from wsgix.facts.grammar import DIGIT, OWS, TCHAR
from wsgix.facts.names import BODILESS_STATUSES
from wsgix.facts.refusals import (
    BAD_CODING,
    BAD_LENGTH,
    CHUNKED_TWICE,
    CODING_IN_1_0,
    CODING_NOT_IMPLEMENTED,
    LENGTH_AND_CODING,
    NOT_CHUNKED_LAST,
    UNKNOWN_EXPECTATION,
    Refusal,
)


class Outcome(enum.IntEnum):
    """What becomes of a connection once a response is over."""

    KEEP = 0
    CLOSE = 1
    ABORT = 2
    """Close at once and visibly incomplete: the response is known to be wrong or short."""


class ResponseFraming(enum.IntEnum):
    """How a recipient finds the end of a response (RFC 9112, 6.3)."""

    BODILESS = 0
    LENGTH = 1
    CHUNKED = 2
    UNTIL_CLOSE = 3


KEEP: Final = Outcome.KEEP
CLOSE: Final = Outcome.CLOSE
ABORT: Final = Outcome.ABORT

NO_BODY: Final = 0
"""Request framing: no content. A positive framing is the length of the content in bytes."""

CHUNKED: Final = -1
"""Request framing: the length is in the chunks."""

HTTP_1_0: Final = "HTTP/1.0"
"""The one version that differs: every other HTTP/1.x is treated as HTTP/1.1 (RFC 9110, 2.5)."""

_LENGTH_DIGITS: Final = 18
"""Digits that a length may have past its leading zeros: enough for any content, few enough for 64 bits."""


def parse_content_length(value: str) -> int | None:
    """Read a length in bytes from the value of one Content-Length field; None if it is malformed.

    `Content-Length = 1*DIGIT` (RFC 9110, 8.6), OWS already removed: no sign, no list, no digit outside ASCII.
    """
    # "a recipient MUST anticipate potentially large decimal numerals" (RFC 9110, 8.6): the text is bounded
    # before int() sees it.
    digits = value.lstrip("0")
    if not value or value.strip(DIGIT) or len(digits) > _LENGTH_DIGITS:
        return None
    return int(digits or "0")


def request_framing(version: str, length: str | None, coding: str | None) -> int | Refusal:
    """Decide how the content of a request is framed (RFC 9112, 6.3).

    Takes the version as in the request line and the values of Content-Length and Transfer-Encoding (joined
    by commas if repeated), None where the field is absent. Returns `NO_BODY`, the length in bytes, `CHUNKED`,
    or the refusal.
    """
    if coding is None:
        if length is None:
            return NO_BODY
        size = parse_content_length(length)
        return BAD_LENGTH if size is None else size
    # "A server MAY reject a request that contains both Content-Length and Transfer-Encoding" (6.1)
    if length is not None:
        return LENGTH_AND_CODING
    # "A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding header field MUST
    # treat the message as if the framing is faulty" (6.1)
    if version == HTTP_1_0:
        return CODING_IN_1_0
    return _transfer_coding(coding)


def _transfer_coding(value: str) -> int | Refusal:
    *before, last = [member.strip(OWS) for member in value.lower().split(",")]
    # "If a Transfer-Encoding header field is present in a request and the chunked transfer coding is not the
    # final encoding, the message body length cannot be determined reliably; the server MUST respond with the
    # 400 (Bad Request) status code" (6.3). A parameter makes it another coding: "chunked" has none (7.1).
    if last != "chunked":
        return NOT_CHUNKED_LAST
    # "A sender MUST NOT apply the chunked transfer coding more than once" (6.1)
    if "chunked" in before:
        return CHUNKED_TWICE
    # An empty member is legal to ignore, but those who do have been smuggled past (RFC 9110, 5.6.1.2).
    if any(not member or member.strip(TCHAR) for member in before):
        return BAD_CODING
    # "A server that receives a request message with a transfer coding it does not understand SHOULD respond
    # with 501 (Not Implemented)" (6.1)
    return CODING_NOT_IMPLEMENTED if before else CHUNKED


def keep_alive(version: str, connection: str | None) -> Outcome:
    """Decide whether the client lets the connection persist: `KEEP` or `CLOSE` (RFC 9112, 9.3).

    Takes the version as in the request line and the value of Connection, None where it is absent.
    """
    if connection is None:
        return CLOSE if version == HTTP_1_0 else KEEP
    options = [option.strip(OWS) for option in connection.lower().split(",")]
    # "If the "close" connection option is present, the connection will not persist" stands first (9.3).
    if "close" in options or (version == HTTP_1_0 and "keep-alive" not in options):
        return CLOSE
    return KEEP


def expects_continue(version: str, expectation: str | None) -> bool | Refusal:
    """Decide whether the client waits for 100 (Continue), from the value of Expect or None."""
    # "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that expectation"
    # (RFC 9110, 10.1.1)
    if expectation is None or version == HTTP_1_0:
        return False
    # "A server that receives an Expect field value containing a member other than 100-continue MAY respond
    # with a 417" (RFC 9110, 10.1.1); "the Expect field value is case-insensitive"
    return True if expectation.lower() == "100-continue" else UNKNOWN_EXPECTATION


def response_is_bodiless(method: str, status: str) -> bool:
    """Tell whether a response never has content, from the request's method and the status's three digits.

    "Any response to a HEAD request and any response with a 1xx, 204, or 304 status code is always terminated
    by the first empty line after the header fields" (RFC 9112, 6.3). Text after the digits is ignored.
    """
    return method == "HEAD" or status[:3] in BODILESS_STATUSES or status[:1] == "1"


def response_framing(
    method: str, status: str, version: str, declared_length: int | None, wish: Outcome
) -> tuple[ResponseFraming, Outcome]:
    """Decide how the content of a response leaves and whether the connection may be kept (RFC 9112, 6.3).

    Takes the request's method and version, the status, the length that the application declared or that is
    known (bytes) or None, and the client's wish (`KEEP` or `CLOSE`).
    """
    if response_is_bodiless(method, status):
        return ResponseFraming.BODILESS, wish
    if declared_length is not None:
        return ResponseFraming.LENGTH, wish
    # "A server MUST NOT send a response containing Transfer-Encoding unless the corresponding request
    # indicates HTTP/1.1 (or later minor revisions)" (6.1)
    if version == HTTP_1_0:
        return ResponseFraming.UNTIL_CLOSE, CLOSE
    return ResponseFraming.CHUNKED, wish
