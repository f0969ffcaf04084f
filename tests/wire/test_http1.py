"""The reader of request heads: its two ways, its memory, its limits. The corpus holds the grammar."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.wire.heads import FIELDS, GET, HOST, PLAIN, TEMPLATE, known_reader, read
from wsgix.core.framing import CHUNKED, CLOSE, KEEP, NO_BODY
from wsgix.facts.refusals import (
    BARE_LF,
    BODY_TOO_LARGE,
    EMPTY_LINES,
    FIELDS_TOO_LARGE,
    LINE_TOO_LONG,
    MISDIRECTED,
    NO_COLON,
    NO_HOST,
    REPEATED_FIELD,
    UNDERSCORE,
)
from wsgix.wire import http1, http1_section
from wsgix.wire.http1 import NEED_MORE, KnownHeads, RequestReader
from wsgix.wire.limits import Limits


@pytest.fixture(autouse=True)
def no_names_known():
    http1_section._keys.clear()


def test_a_head_gives_the_template_with_the_requests_variables_over_it():
    reader = RequestReader()
    environ = reader.read(
        b"POST /a%20b?c HTTP/1.1\r\nHost: h\r\nContent-Length: 007\r\nX: y\r\n\r\n", 0, TEMPLATE
    )
    assert environ == {
        "SCRIPT_NAME": "/s",
        "wsgi.version": (1, 0),
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/a b",
        "QUERY_STRING": "c",
        "REQUEST_URI": "/a%20b?c",
        "RAW_URI": "/a%20b?c",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "h",
        "CONTENT_LENGTH": "7",
        "HTTP_X": "y",
    }
    assert (reader.framing, reader.wish, reader.expects_continue) == (7, KEEP, False)
    assert TEMPLATE == {"SCRIPT_NAME": "/s", "wsgi.version": (1, 0)}


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [(HOST + HOST, REPEATED_FIELD), (b"X: 1\r\n", NO_HOST), (HOST + b"X\r\n", NO_COLON)],
)
def test_fields_are_judged_one_by_one_and_together(fields, refusal):
    assert read(GET + fields + b"\r\n") == refusal


def test_the_attributes_say_what_follows_from_the_fields():
    reader = RequestReader()
    fields = b"Transfer-Encoding: chunked\r\nConnection: close\r\nExpect: 100-continue\r\n"
    assert isinstance(reader.read(GET + HOST + fields + b"\r\n", 0, {}), dict)
    assert (reader.framing, reader.wish, reader.expects_continue) == (CHUNKED, CLOSE, True)


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_a_head_may_begin_and_end_anywhere_in_the_buffer(kind):
    reader = RequestReader()
    buffer = kind(b"junk" + PLAIN + b"GET /next HTTP/1.1\r\nHost: b\r\n\r\nrest")
    assert reader.read(buffer, 4, {})["PATH_INFO"] == "/"
    assert reader.end == 4 + len(PLAIN)
    assert reader.read(buffer, reader.end, {})["PATH_INFO"] == "/next"
    assert buffer[reader.end :] == b"rest"


def test_a_head_in_pieces_is_read_on_where_it_stopped():
    reader = RequestReader()
    buffer = bytearray()
    for byte in b"\r\n" + PLAIN[:-1]:
        buffer.append(byte)
        assert reader.read(buffer, 0, TEMPLATE) is NEED_MORE
    buffer += b"\n"
    assert reader.read(buffer, 0, TEMPLATE) == read(PLAIN)
    assert reader.end == len(buffer)
    # and the next one begins afresh
    assert reader.read(PLAIN, 0, TEMPLATE) == read(PLAIN)


@pytest.mark.parametrize(
    ("raw", "target"),
    [
        (b"", None),
        (b"GET /next HTTP/1.1", None),
        (b"GET /next HTTP/1.1\r\nHo", "/next"),
        (b"GET /next\r\n\r\n", None),
        (GET.replace(b"/", b"/next", 1) + HOST + b"X\r\n\r\n", "/next"),
        (PLAIN, None),
    ],
)
def test_the_line_of_a_head_that_is_not_whole_or_was_refused_is_known_once_it_is_read(raw, target):
    reader = RequestReader()
    reader.read(PLAIN, 0, TEMPLATE)
    reader.read(raw, 0, TEMPLATE)
    line = reader.line_so_far
    assert (line and line.target) == target


def test_no_byte_is_searched_twice_for_the_end_of_a_line():
    class Counting(bytearray):
        searched = 0

        def find(self, wanted, start):
            Counting.searched += len(self) - start
            return super().find(wanted, start)

    reader = RequestReader(Limits(field=100_000, head=200_000))
    buffer = Counting()
    for number in range(64 * 1024):
        buffer.append((GET + b"X: ")[number] if number < len(GET) + 3 else 0x61)
        assert reader.read(buffer, 0, {}) is NEED_MORE
    # Each byte once for the line end and, with the three before it, for the end of the head.
    assert Counting.searched <= 6 * len(buffer)


def test_pipelined_requests_like_the_last_one_are_read_one_by_one():
    reader = known_reader(GET + FIELDS + b"\r\n")
    both = GET + FIELDS + b"\r\n" + b"GET /b HTTP/1.1\r\n" + FIELDS + b"\r\n"
    for _ in range(2):
        reader.read(GET + FIELDS + b"\r\n", 0, TEMPLATE)
        assert reader.read(both, 0, TEMPLATE)["PATH_INFO"] == "/"
        assert reader.read(both, reader.end, TEMPLATE)["PATH_INFO"] == "/b"
        assert reader.end == len(both)


ALIKE = [
    PLAIN,
    GET + HOST + b"X: 1\r\n\r\n",
    GET + HOST + b"X: 22\r\n\r\n",
    GET + HOST + b"Y: 1\r\n\r\n",
    GET + HOST + b"X: 1\r\nY: 1\r\n\r\n",
    b"GET /longer HTTP/1.1\r\n" + HOST + b"\r\n",
    b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET http://b/ HTTP/1.1\r\n" + HOST + b"\r\n",
    b"\r\n" + PLAIN,
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"\r\nPOST / HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\n",
]
CONTENT = {2: b"xy", 3: b"\r\n\r", CHUNKED: b"1\r\nx\r\n0\r\n\r\n", NO_BODY: b""}
REQUESTS = [
    (head, CONTENT[fresh.framing]) for head in ALIKE for fresh in [RequestReader()] if fresh.read(head, 0, {})
]


@given(st.lists(st.tuples(st.sampled_from(REQUESTS), st.integers(0, 60), st.booleans()), max_size=8))
@example([(REQUESTS[1], 0, False)] * 3 + [(REQUESTS[1], 30, False), (REQUESTS[0], 0, False)])
@example([(REQUESTS[n], 0, False) for n in (7, 7, 1, 2)])
def test_what_is_remembered_makes_no_difference_however_requests_follow_and_are_cut(requests):
    reader = RequestReader()
    arrivals = [b""]
    for (head, content), cut, joins in requests:
        raw = head + content
        arrivals[-1:] = [arrivals[-1] + raw[:cut]] if joins else [arrivals[-1], raw[:cut]]
        arrivals.append(raw[cut:])
    held = b""
    kept = []
    for (head, content), _, _ in requests:
        while (environ := reader.read(held, 0, TEMPLATE)) is NEED_MORE:
            held += arrivals.pop(0)
        kept.append((environ, environ.copy()))
        fresh = RequestReader()
        assert environ == fresh.read(head, 0, TEMPLATE)
        assert (reader.end, reader.framing, reader.wish) == (fresh.end, fresh.framing, fresh.wish)
        assert (reader.line, reader.is_usual) == (fresh.line, fresh.is_usual)
        assert reader.expects_continue == fresh.expects_continue
        while len(held) < reader.end + len(content):
            held += arrivals.pop(0)
        held = held[reader.end + len(content) :]
    assert not held + b"".join(arrivals)
    # An application may keep its environ.
    assert all(environ == as_it_was for environ, as_it_was in kept)


def test_a_head_that_is_known_is_found_by_itself():
    known = KnownHeads()
    reader = RequestReader(known=known)
    for _ in range(2):
        environ = RequestReader(known=known).read(PLAIN, 0, TEMPLATE)
    reader.read(PLAIN, 0, TEMPLATE)
    found = known.find(PLAIN)
    assert TEMPLATE | found.variables == environ
    assert found.framing == reader.framing
    assert (found.line, found.wish, found.is_usual) == (reader.line, reader.wish, reader.is_usual)
    for other in (bytearray(PLAIN), PLAIN + PLAIN, PLAIN[:-1], PLAIN + b"x" * http1._KNOWN_HEAD):
        assert known.find(other) is None


@pytest.mark.parametrize(
    "head",
    [
        GET + HOST + b"Cookie: a=b\r\n\r\n",
        GET + HOST + b"X-Token: a\r\n\r\n",
        b"GET /?token HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET http://a/ HTTP/1.1\r\n" + HOST + b"\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\n\r\n",
        GET + HOST + b"User-Agent: " + b"x" * http1._KNOWN_HEAD + b"\r\n\r\n",
        b"GET /" + b"x" * http1._KNOWN_HEAD + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    ],
)
def test_what_is_somebodys_own_or_large_stays_with_its_connection(head):
    known = KnownHeads()
    for _ in range(2):
        RequestReader(known=known).read(head, 0, TEMPLATE)
    assert not known


def test_what_connections_share_is_bounded():
    known = KnownHeads()
    RequestReader(known=known).read(PLAIN, 0, TEMPLATE)
    for number in range(http1._KNOWN_HEADS + 1):
        RequestReader(known=known).read(b"GET /%d HTTP/1.1\r\n" % number + HOST + b"\r\n", 0, TEMPLATE)
    assert len(known) == 1


def test_a_request_that_is_unlike_the_last_one_is_read_on_its_own():
    for head in (
        b"G@T / HTTP/1.1\r\n" + FIELDS + b"\r\n",
        b"\r\n" + GET + FIELDS + b"\r\n",
        b"GET http://other/ HTTP/1.1\r\n" + FIELDS + b"\r\n",
        b"GET http://other/ HTTP/1.1\r\n" + FIELDS + b"\r\nwhat follows",
        b"GET / HTTP/1.0\r\n" + FIELDS + b"\r\n",
        GET + FIELDS + b"\r\nwhat follows",
        GET + b"Host: a\r\n\r\n",
        GET + b"Host: a\r\n\r\nY: 1\r\n\r\n",
    ):
        reader = known_reader(GET + FIELDS + b"\r\n")
        for _ in range(2):
            reader.read(GET + FIELDS + b"\r\n", 0, TEMPLATE)
        assert reader.read(head, 0, TEMPLATE) == read(head)


def test_what_an_application_does_to_its_environ_is_not_remembered():
    reader = known_reader(GET + FIELDS + b"\r\n")
    for _ in range(3):
        environ = reader.read(GET + FIELDS + b"\r\n", 0, TEMPLATE)
        assert environ["HTTP_X_Y"] == "1"
        environ["HTTP_X_Y"] = "changed"
        environ["HTTP_NEW"] = "new"


def test_a_remembered_section_is_laid_over_the_template_of_the_call():
    reader = known_reader(GET + FIELDS + b"\r\n")
    for name in ("/one", "/two", "/two"):
        assert reader.read(GET + FIELDS + b"\r\n", 0, {"SCRIPT_NAME": name})["SCRIPT_NAME"] == name


def test_a_reader_that_forgets_reads_again():
    reader = known_reader(GET + FIELDS + b"\r\n")
    reader.forget()
    assert reader._block is None
    assert reader.read(GET + FIELDS + b"\r\n", 0, TEMPLATE) == read(GET + FIELDS + b"\r\n")


def test_the_host_of_an_absolute_form_holds_for_its_request_only():
    reader = known_reader(GET + FIELDS + b"\r\n")
    absolute = b"GET http://other/ HTTP/1.1\r\n" + FIELDS + b"\r\n"
    for head, host in ((absolute, "other"), (GET + FIELDS + b"\r\n", "a"), (absolute, "other")):
        assert reader.read(head, 0, TEMPLATE)["HTTP_HOST"] == host


def test_the_scheme_of_an_absolute_form_must_be_the_connections():
    head = b"GET https://a/ HTTP/1.1\r\n" + HOST + b"\r\n"
    assert RequestReader(scheme="https").read(head, 0, {})["PATH_INFO"] == "/"
    assert RequestReader().read(head, 0, {}) == MISDIRECTED


def test_after_a_refusal_nothing_is_read():
    reader = RequestReader()
    assert reader.read(b"\n" + PLAIN, 0, {}) == BARE_LF
    assert reader.read(PLAIN, 0, {}) == BARE_LF
    assert reader.read(b"", 0, {}) == BARE_LF


def test_a_name_with_an_underscore_is_dropped_or_refused():
    head = GET + HOST + b"X_Y: 1\r\n\r\n"
    assert "HTTP_X_Y" not in read(head)
    assert read(head, refuse_underscores=True) == UNDERSCORE


def test_a_name_seen_where_underscores_are_dropped_is_still_refused_elsewhere():
    assert isinstance(read(GET + HOST + b"X_Y: 1\r\n\r\n"), dict)
    assert read(GET + HOST + b"X_Y: 1\r\n\r\n", refuse_underscores=True) == UNDERSCORE


@pytest.mark.parametrize("known", [False, True])
def test_each_limit_lets_its_own_size_pass_and_no_more(known):
    if known:
        known_reader(GET + HOST + b"X: 1\r\nY: 1\r\nContent-Length: 1\r\n\r\n")
    field = GET + HOST + b"X: 34567890\r\n\r\n"
    length = GET + HOST + b"Content-Length: 10\r\n\r\n"
    for limit, value, head, refusal in (
        ("request_line", len(GET) - 2, PLAIN, LINE_TOO_LONG),
        ("field", 11, field, FIELDS_TOO_LARGE),
        ("fields", 2, field, FIELDS_TOO_LARGE),
        ("head", len(PLAIN), PLAIN, FIELDS_TOO_LARGE),
        ("body", 10, length, BODY_TOO_LARGE),
    ):
        assert isinstance(read(head, **{limit: value}), dict)
        assert read(head, **{limit: value - 1}) == refusal


def test_empty_lines_before_a_request_are_counted_for_each_request():
    reader = RequestReader(Limits(empty_lines=1))
    assert isinstance(reader.read(b"\r\n" + PLAIN, 0, {}), dict)
    assert isinstance(reader.read(b"\r\n" + PLAIN, 0, {}), dict)
    assert reader.read(b"\r\n\r\n" + PLAIN, 0, {}) == EMPTY_LINES


@pytest.mark.parametrize(
    ("raw", "refusal"),
    [(b"G" * 1_000_000, LINE_TOO_LONG), (GET + b"X" * 1_000_000, FIELDS_TOO_LARGE)],
)
def test_a_line_that_never_ends_is_refused_once_it_is_too_long(raw, refusal):
    assert read(raw) == refusal


def test_a_large_head_is_not_remembered():
    reader = RequestReader()
    fields = b"".join(b"X%d: %b\r\n" % (n, b"v" * 1000) for n in range(10))
    assert isinstance(reader.read(GET + HOST + fields + b"\r\n", 0, {}), dict)
    assert reader._block is None
