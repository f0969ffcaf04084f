"""PEP 3333, as every gateway of the package keeps it. What one may do otherwise stands in `EXCEPTIONS`."""

import pytest

EXCEPTIONS = {
    ("CGIHandler", "no content"): (
        "a web server that has decoded chunked content passes it on without a CONTENT_LENGTH: without one, "
        "standard input is read to its end"
    ),
}
"""(gateway, rule) -> why. The rule's test asserts that the exception is still needed."""

BEHIND = b"bytes behind the request"
"""What stands on the standard input of a CGI program behind the content."""

EVERY_BYTE = bytes(range(256))

# environ


def test_environ_is_a_dict_with_all_that_the_pep_demands_of_the_right_type(gateway, read_report):
    kind, values, types = read_report(gateway.ask("describe_environ", target="/a%20b?c=d&e").content)
    assert kind == "dict"
    assert values["REQUEST_METHOD"] == "GET"
    assert values["SCRIPT_NAME"] == ""
    assert values["PATH_INFO"] == "/a b"
    assert values["QUERY_STRING"] == "c=d&e"
    assert values["SERVER_NAME"]
    assert values["SERVER_PORT"].isdigit()
    assert values["SERVER_PROTOCOL"] in {"HTTP/1.0", "HTTP/1.1"}
    assert values["HTTP_HOST"] == "test"
    assert values["HTTP_X_CUSTOM"] == "value"
    assert {key: values[key] for key in gateway.facts} == gateway.facts
    assert {"wsgi.input", "wsgi.errors"} <= types.keys()
    assert all(type(key) is str for key in types)
    assert {types[key] for key in types if key.isupper()} == {"str"}
    assert "HTTP_CONTENT_LENGTH" not in types
    assert "HTTP_CONTENT_TYPE" not in types
    assert types.get("CONTENT_LENGTH", "str") == "str"
    assert values.get("CONTENT_LENGTH", "") in {"", "0"}


def test_content_has_its_length_and_type(gateway, read_report):
    _, values, _ = read_report(gateway.ask("describe_environ", "POST", content=b"abc").content)
    assert (values["REQUEST_METHOD"], values["CONTENT_LENGTH"]) == ("POST", "3")
    assert values["CONTENT_TYPE"] == "application/octet-stream"


def test_every_byte_of_a_path_arrives_as_the_latin_1_character(gateway, read_report):
    # A slash and a NUL are a server's to judge: left out are what Unix variables or paths cannot hold.
    wanted = bytes(byte for byte in EVERY_BYTE if byte not in b"\0/")
    target = "/" + "".join(f"%{byte:02X}" for byte in wanted)
    answer = gateway.ask("describe_environ", target=target)
    assert answer.status == "200 OK"
    _, values, _ = read_report(answer.content)
    assert values["PATH_INFO"] == "/" + wanted.decode("latin-1")


# wsgi.input and wsgi.errors


def test_input_can_be_read_in_every_way_and_ends_where_the_content_ends(gateway, read_report):
    content = b"abcdef\nghij\nkl\nmn\nop"
    seen = read_report(gateway.ask("read_in_every_way", "POST", content=content).content)
    assert seen == [b"abc", b"", b"def\n", b"gh", b"ij\n", b"kl\n", [b"mn\n", b"op"], b"", b"", b"", [], []]


@pytest.mark.parametrize("application", ["read_all", "read_all_by_size"])
@pytest.mark.parametrize("content", [None, b"", b"x", EVERY_BYTE * 300], ids=["none", "empty", "one", "all"])
def test_reading_to_the_end_gives_the_content_and_never_hangs(gateway, read_report, application, content):
    answer = gateway.ask(application, "POST" if content is not None else "GET", content=content)
    wanted = content or b""
    if content is None and (gateway.name, "no content") in EXCEPTIONS:
        wanted = BEHIND
    assert read_report(answer.content) == wanted


def test_content_may_be_left_unread(gateway, read_report):
    assert read_report(gateway.ask("read_nothing", "POST", content=b"x" * 10_000).content) == "unread"


def test_every_byte_goes_through_unchanged(gateway):
    assert gateway.ask("echo", "POST", content=EVERY_BYTE).content == EVERY_BYTE


def test_errors_takes_any_text(gateway, read_report):
    answer = gateway.ask("write_errors")
    assert read_report(answer.content) == "written"
    assert "plain\n" in answer.errors
    assert "a\nb\n" in answer.errors


# Responses


@pytest.mark.parametrize("application", ["one_block", "many_blocks", "generator", "writes", "closes"])
def test_content_arrives_however_it_is_given(gateway, application):
    answer = gateway.ask(application)
    assert (answer.status, answer.content, answer.whole) == ("200 OK", b"abc", True)
    assert answer.get("Content-Type") == "text/plain; charset=utf-8"


def test_a_generator_may_start_its_response_when_first_asked(gateway):
    answer = gateway.ask("starts_late")
    assert (answer.status, answer.content) == ("201 Created", b"abc")


def test_one_block_has_a_length(gateway):
    assert gateway.ask("one_block").get("Content-Length") == "3"


def test_a_file_wrapper_or_its_substitute_sends_the_file(gateway):
    assert gateway.ask("uses_file_wrapper").content == b"abc" * 1000


def test_a_response_without_content_is_a_response(gateway):
    answer = gateway.ask("empty")
    assert (answer.status, answer.content) == ("200 OK", b"")


@pytest.mark.parametrize(
    ("application", "status"), [("no_content", "204 No Content"), ("not_modified", "304 Not Modified")]
)
def test_bodiless_statuses_have_no_content_and_no_length(gateway, application, status):
    answer = gateway.ask(application)
    assert (answer.status, answer.content) == (status, b"")
    assert answer.get("Content-Length") is None
    assert answer.get("Transfer-Encoding") is None


@pytest.mark.parametrize(
    "application", ["one_block", "many_blocks", "generator", "writes", "empty", "closes"]
)
def test_the_answer_to_head_has_no_content(gateway, application):
    answer = gateway.ask(application, "HEAD")
    assert (answer.status, answer.content) == ("200 OK", b"")
    assert answer.get("Content-Length") in {None, "3", "0"}


def test_content_past_its_length_is_cut(gateway):
    answer = gateway.ask("declares_less")
    assert (answer.content, answer.get("Content-Length")) == (b"abc", "3")


def test_content_short_of_its_length_is_visibly_short(gateway):
    answer = gateway.ask("declares_more")
    assert (answer.content, answer.get("Content-Length")) == (b"abc", "9")
    assert not answer.whole
    assert "declared 9 bytes" in answer.errors


# Errors


@pytest.mark.parametrize(
    "application",
    [
        *("fails", "fails_after_start", "never_starts", "starts_twice", "sends_hop_by_hop"),
        *("sends_control_characters", "returns_text", "closes_after_failing"),
    ],
)
def test_an_application_that_fails_costs_a_500_that_tells_nothing(gateway, application):
    answer = gateway.ask(application)
    assert answer.status.startswith("500 ")
    assert b"secret" not in answer.content
    assert answer.get("X-Evil") is None
    assert "Traceback" in answer.errors


def test_exc_info_replaces_a_head_that_is_not_sent(gateway):
    answer = gateway.ask("mends_with_exc_info")
    assert (answer.status, answer.content) == ("503 Service Unavailable", b"sorry")


def test_exc_info_may_stand_in_the_first_call(gateway):
    answer = gateway.ask("starts_with_exc_info")
    assert (answer.status, answer.content) == ("503 Service Unavailable", b"sorry")


@pytest.mark.parametrize("application", ["closes", "closes_after_failing"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_close_is_called_once(gateway, application, method):
    assert gateway.ask(application, method).errors.splitlines().count("closed") == 1
