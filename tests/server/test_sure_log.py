"""The server's own log, with handlers that fail."""

import logging

import pytest

from wsgix.server.sure_log import log


class Failing(logging.Handler):
    """What a program has put there: a log in the net, say."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def emit(self, record):
        self.calls += 1
        raise ConnectionRefusedError("there is no log")


@pytest.fixture
def failing():
    handler = Failing()
    logger = logging.getLogger("wsgix.error")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def call(environ, start_response):
    if environ["PATH_INFO"] == "/fails":
        raise ValueError("the application's fault")
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def test_a_log_that_fails_costs_nobody_an_answer(serve, failing):
    site = serve(call)
    with site.dial() as client:
        assert client.get("/fails").status == "500"
    with site.dial() as client:
        client.send(b"GARBAGE\r\n\r\n")
        assert client.response().status == "400"
    assert site.get().content == b"ok"
    assert failing.calls


def test_a_record_names_the_line_that_logs(caplog):
    log.warning("%s", "here")
    (record,) = caplog.records
    assert (record.getMessage(), record.funcName) == ("here", "test_a_record_names_the_line_that_logs")
