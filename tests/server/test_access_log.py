"""The access log: collected on any thread, written in batches; a log that fails costs no request."""

import re
import sys
import time
from types import SimpleNamespace

import pytest

from wsgix.server import access_log
from wsgix.server.access_format import Refused
from wsgix.server.access_log import AccessLog
from wsgix.server.settings import ConfigurationError


def answered(line="GET / HTTP/1.1", **environ):
    return Refused(line, "200 OK", 1, environ)


@pytest.fixture
def log(tmp_path):
    """An access log in a file; `log.lines()` reads it."""
    log = AccessLog(str(tmp_path / "log"))
    log.lines = lambda: (tmp_path / "log").read_text().splitlines()
    yield log
    log.close()


def test_lines_are_written_by_flush(log):
    log.add("192.0.2.7", answered())
    log.add("192.0.2.8", answered())
    assert log.lines() == []
    log.flush()
    log.flush()
    assert [line.split()[0] for line in log.lines()] == ["192.0.2.7", "192.0.2.8"]


def test_a_batch_is_one_write(log, monkeypatch):
    written = []
    monkeypatch.setattr(log._file, "_send", lambda _fd, data: written.append(data) or len(data))
    for _ in range(1000):
        log.add("c", answered())
    log.flush()
    assert [data.count(b"\n") for data in written] == [1000]


def test_the_time_is_formatted_once_a_second(log, monkeypatch):
    times = iter([784111777.1, 784111777.9, 784111778.0])
    asked = []

    def localtime(second):
        asked.append(second)
        return time.gmtime(second)

    fake = SimpleNamespace(time=lambda: next(times), localtime=localtime)
    monkeypatch.setattr(access_log, "time", fake)
    for _ in range(3):
        log.add("c", answered())
    log.flush()
    assert [re.search(r"\[(.*)\]", line)[1] for line in log.lines()] == [
        "06/Nov/1994:08:49:37 +0000",
        "06/Nov/1994:08:49:37 +0000",
        "06/Nov/1994:08:49:38 +0000",
    ]
    assert asked == [784111777, 784111778]


def test_a_duration_is_measured_where_the_format_asks_for_it(tmp_path, monkeypatch):
    log = AccessLog(str(tmp_path / "log"), "%(L)s")
    monkeypatch.setattr(access_log.time, "monotonic", lambda: 12.5)
    assert log.timed
    log.add("c", answered(), 10.0)
    log.add("c", answered())
    monkeypatch.undo()
    log.close()
    assert (tmp_path / "log").read_text() == "2.500000\n0.000000\n"


def test_no_clock_is_read_for_a_duration_that_nobody_asks_for(log, monkeypatch):
    monkeypatch.delattr(access_log.time, "monotonic")
    log.add("c", answered())
    monkeypatch.undo()
    assert not log.timed


class Bad:
    def __init__(self, error):
        self._error = error

    def __str__(self):
        raise self._error


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, KeyboardInterrupt])
def test_what_an_application_put_into_its_environ_cannot_fail_the_request(log, caplog, error):
    log.add("c", answered("GET /\n HTTP/1.1", HTTP_REFERER=Bad(error)))
    log.add("c", answered(HTTP_REFERER=None, HTTP_USER_AGENT=b'"\n'))
    log.flush()
    assert log.lines()[0].endswith(r'"None" "b\x27\x22\x5cn\x27"'.replace(r"\x27", "'"))
    assert [record.getMessage() for record in caplog.records] == [
        r"no line in the access log for 'GET /\n HTTP/1.1'"
    ]


def test_a_line_that_is_added_while_others_are_written_is_not_lost(log):
    class Referer:
        def __str__(self):
            log.flush()  # as the leader may, at any moment
            return "late"

    log.add("first", answered())
    log.add("second", answered(HTTP_REFERER=Referer()))
    log.flush()
    assert [line.split()[0] for line in log.lines()] == ["first", "second"]


def test_closing_writes_what_is_left(log):
    log.add("c", answered())
    log.close()
    assert len(log.lines()) == 1


def test_what_a_slow_reader_left_is_tried_again_without_new_lines(log, monkeypatch):
    def busy(_fd, _data):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(log._file, "_send", busy)
        log.add("c", answered())
        log.flush()
    assert log.lines() == []
    log.flush()
    assert len(log.lines()) == 1


def test_standard_output_is_the_default(capsys):
    log = AccessLog()
    log.add("c", answered())
    log.close()
    assert capsys.readouterr().out.startswith("c - - [")


def test_reopening_goes_on_in_a_new_file(log, tmp_path):
    log.add("old", answered())
    log.flush()
    (tmp_path / "log").rename(tmp_path / "log.1")
    log.reopen()
    log.add("new", answered())
    log.flush()
    assert (tmp_path / "log.1").read_text().startswith("old ")
    assert [line.split()[0] for line in log.lines()] == ["new"]


def test_a_format_that_cannot_be_read_is_a_fault_of_the_configuration():
    with pytest.raises(ConfigurationError, match=r"access_log_format: there is no atom '%\(x\)s'"):
        AccessLog(text="%(h)s %(x)s")


def test_a_file_that_cannot_be_opened_is_a_fault_of_the_configuration(tmp_path):
    with pytest.raises(ConfigurationError, match=f"access_log: cannot open {tmp_path}: Is a directory"):
        AccessLog(str(tmp_path))


def test_a_log_that_nobody_can_write_loses_lines(monkeypatch, caplog):
    monkeypatch.setattr(sys, "stdout", None)
    log = AccessLog()
    log.add("c", answered())
    log.flush()
    log.close()
    assert caplog.messages == ["the access log cannot be written: it is closed; lines lost so far: 1"]
