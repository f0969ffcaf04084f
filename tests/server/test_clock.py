"""The Date line: right, and formatted once a second."""

from wsgix.server import clock
from wsgix.server.clock import DateLine


def test_the_line_is_an_http_date_with_its_line_end(monkeypatch):
    monkeypatch.setattr(clock.time, "time", lambda: 784111777.9)
    assert DateLine().now() == b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"


def test_the_line_is_formatted_once_a_second(monkeypatch):
    times = iter([0.0, 0.9, 1.0, 0.5])
    monkeypatch.setattr(clock.time, "time", lambda: next(times))
    line = DateLine()
    first = line.line
    assert line.now() is first is line.line
    assert line.now() == b"Date: Thu, 01 Jan 1970 00:00:01 GMT\r\n"
    assert line.now() == first
