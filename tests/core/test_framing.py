"""The framing decisions, as tables."""

import pytest

from wsgix.core.framing import (
    ABORT,
    CHUNKED,
    CLOSE,
    KEEP,
    NO_BODY,
    Outcome,
    ResponseFraming,
    expects_continue,
    keep_alive,
    parse_content_length,
    request_framing,
    response_framing,
    response_is_bodiless,
)
from wsgix.facts.refusals import (
    BAD_CODING,
    BAD_LENGTH,
    CHUNKED_TWICE,
    CODING_IN_1_0,
    CODING_NOT_IMPLEMENTED,
    LENGTH_AND_CODING,
    NOT_CHUNKED_LAST,
    UNKNOWN_EXPECTATION,
)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("0", 0),
        ("5", 5),
        ("005", 5),
        ("0" * 100, 0),
        ("9" * 18, 10**18 - 1),
        ("0" * 100 + "9" * 18, 10**18 - 1),
        ("1" * 19, None),
        ("9" * 10000, None),
        *(
            (text, None)
            for text in ("", " ", "+5", "-5", "5 ", "5_0", "5,5", "0x5", "5.0", "a", "\xb2", "\u0665")
        ),
    ],
)
def test_a_content_length_is_digits_and_not_too_many(text, length):
    assert parse_content_length(text) == length


@pytest.mark.parametrize(
    ("version", "length", "coding", "framing"),
    [
        ("HTTP/1.1", None, None, NO_BODY),
        ("HTTP/1.0", None, None, NO_BODY),
        ("HTTP/1.1", "0", None, 0),
        ("HTTP/1.1", "5", None, 5),
        ("HTTP/1.0", "5", None, 5),
        ("HTTP/1.1", "", None, BAD_LENGTH),
        ("HTTP/1.1", "5,5", None, BAD_LENGTH),
        ("HTTP/1.1", None, "chunked", CHUNKED),
        ("HTTP/1.2", None, "CHUNKED", CHUNKED),
        ("HTTP/1.0", None, "chunked", CODING_IN_1_0),
        ("HTTP/1.1", "5", "chunked", LENGTH_AND_CODING),
        ("HTTP/1.0", "5", "chunked", LENGTH_AND_CODING),
        ("HTTP/1.1", "5", "", LENGTH_AND_CODING),
        ("HTTP/1.1", None, "", NOT_CHUNKED_LAST),
        ("HTTP/1.1", None, "identity", NOT_CHUNKED_LAST),
        ("HTTP/1.1", None, "chunked,", NOT_CHUNKED_LAST),
        ("HTTP/1.1", None, "chunked;q=1", NOT_CHUNKED_LAST),
        ("HTTP/1.1", None, "chunked, gzip", NOT_CHUNKED_LAST),
        ("HTTP/1.1", None, "chunked, chunked", CHUNKED_TWICE),
        ("HTTP/1.1", None, "chunked, gzip,\tchunked", CHUNKED_TWICE),
        ("HTTP/1.1", None, ",chunked", BAD_CODING),
        ("HTTP/1.1", None, "a b, chunked", BAD_CODING),
        ("HTTP/1.1", None, "gzip ,chunked", CODING_NOT_IMPLEMENTED),
    ],
)
def test_request_content_is_framed_in_one_way_or_refused(version, length, coding, framing):
    assert request_framing(version, length, coding) == framing


@pytest.mark.parametrize(
    ("version", "connection", "wish"),
    [
        ("HTTP/1.1", None, KEEP),
        ("HTTP/1.0", None, CLOSE),
        ("HTTP/1.1", "", KEEP),
        ("HTTP/1.0", "", CLOSE),
        ("HTTP/1.1", "keep-alive", KEEP),
        ("HTTP/1.0", "Keep-Alive", KEEP),
        ("HTTP/1.0", "foo,\tkeep-alive ", KEEP),
        ("HTTP/1.1", "close", CLOSE),
        ("HTTP/1.1", "CLOSE", CLOSE),
        ("HTTP/1.1", "keep-alive, close", CLOSE),
        ("HTTP/1.0", "keep-alive, close", CLOSE),
        ("HTTP/1.1", ",close", CLOSE),
        ("HTTP/1.1", "closed", KEEP),
        ("HTTP/1.1", "\x85close", KEEP),
    ],
)
def test_the_client_decides_whether_the_connection_may_persist(version, connection, wish):
    assert keep_alive(version, connection) is wish


@pytest.mark.parametrize(
    ("version", "expectation", "expected"),
    [
        ("HTTP/1.1", None, False),
        ("HTTP/1.1", "100-continue", True),
        ("HTTP/1.1", "100-Continue", True),
        ("HTTP/1.0", "100-continue", False),
        ("HTTP/1.0", "foo", False),
        ("HTTP/1.1", "", UNKNOWN_EXPECTATION),
        ("HTTP/1.1", "foo", UNKNOWN_EXPECTATION),
        ("HTTP/1.1", "100-continue, 100-continue", UNKNOWN_EXPECTATION),
    ],
)
def test_the_one_expectation_is_100_continue(version, expectation, expected):
    assert expects_continue(version, expectation) == expected


@pytest.mark.parametrize(
    ("method", "status", "bodiless"),
    [
        ("GET", "200 OK", False),
        ("HEAD", "200 OK", True),
        ("GET", "101 Switching Protocols", True),
        ("GET", "204 No Content", True),
        ("GET", "204", True),
        ("GET", "304 Not Modified", True),
        ("GET", "205 Reset Content", False),
        ("GET", "404 Not Found", False),
        ("head", "200 OK", False),
        ("", "", False),
    ],
)
def test_some_responses_never_have_content(method, status, bodiless):
    assert response_is_bodiless(method, status) is bodiless


@pytest.mark.parametrize("wish", [KEEP, CLOSE])
@pytest.mark.parametrize(
    ("method", "status", "version", "length", "framing"),
    [
        ("HEAD", "200 OK", "HTTP/1.1", None, ResponseFraming.BODILESS),
        ("GET", "304 Not Modified", "HTTP/1.0", 5, ResponseFraming.BODILESS),
        ("GET", "200 OK", "HTTP/1.1", 0, ResponseFraming.LENGTH),
        ("GET", "200 OK", "HTTP/1.0", 5, ResponseFraming.LENGTH),
        ("GET", "200 OK", "HTTP/1.1", None, ResponseFraming.CHUNKED),
        ("GET", "200 OK", "HTTP/1.2", None, ResponseFraming.CHUNKED),
    ],
)
def test_a_framed_response_leaves_the_connection_to_the_clients_wish(
    method, status, version, length, framing, wish
):
    assert response_framing(method, status, version, length, wish) == (framing, wish)


@pytest.mark.parametrize("wish", [KEEP, CLOSE])
def test_to_1_0_a_response_of_unknown_length_ends_with_the_connection(wish):
    assert response_framing("GET", "200 OK", "HTTP/1.0", None, wish) == (ResponseFraming.UNTIL_CLOSE, CLOSE)


def test_outcomes_are_told_apart_by_identity():
    assert list(Outcome) == [KEEP, CLOSE, ABORT]
