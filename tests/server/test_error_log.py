"""The server's own log: a record cannot be mistaken for two, and standard error may be closed or full."""

import errno
import fcntl
import io
import logging
import os
import re
import select
import sys
import threading

import pytest

from wsgix.server import error_log
from wsgix.server.error_log import (
    ErrorStream,
    LineFormatter,
    StandardErrorHandler,
    give_up_unwritable_streams,
    log_to_standard_error,
    request_id,
)

START = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] \[\d+\] "


def record(message, *args, exc_info=None, stack=None):
    return logging.LogRecord("wsgix.error", logging.ERROR, __file__, 1, message, args, exc_info, sinfo=stack)


def failure(message):
    try:
        raise ValueError(message)
    except ValueError:
        return sys.exc_info()


# Records


def test_a_record_has_a_time_a_process_and_a_level():
    assert re.fullmatch(START + r"\[ERROR\] a b \u20ac", LineFormatter().format(record("a %s \u20ac", "b")))


def test_control_characters_are_escaped():
    text = LineFormatter().format(record("a\x1b[31m\r\x85\u2028\x7f\ud800"))
    assert text.endswith(r"] a\x1b[31m\x0d\x85\u2028\x7f\ud800")


def test_only_the_first_line_of_a_record_is_not_indented():
    forged = "\n[1994-11-06 08:49:37 +0000] [1] [ERROR] forged"
    text = LineFormatter().format(record("a" + forged, exc_info=failure("b" + forged), stack="c" + forged))
    first, *more = text.split("\n")
    assert first.endswith("[ERROR] a")
    assert all(line.startswith("  ") for line in more)
    assert text.count("forged") == 3
    assert "  ValueError: b\n" in text


def test_the_id_of_a_request_is_made_when_it_is_asked_for_and_then_kept():
    first, second = {}, {}
    name = request_id(first)
    assert re.fullmatch("[0-9a-f]{10}", name)
    assert first == {"wsgix.request_id": name}
    assert request_id(first) == name
    assert request_id(second) != name


# Where they go


@pytest.fixture
def own_log():
    """The logger of the server, as a new process has it."""
    log = logging.getLogger("wsgix.error")
    before = log.__class__, log.handlers[:], log.level, log.propagate, log.disabled
    log.handlers[:] = []
    yield log
    for handler in log.handlers:
        if isinstance(handler, StandardErrorHandler):
            handler.close_file()
    log.__class__, log.handlers[:], level, log.propagate, log.disabled = before
    log.setLevel(level)


def test_the_log_goes_to_standard_error_from_a_level_on(own_log, capfd):
    log_to_standard_error("warning")
    log_to_standard_error("warning")
    own_log.info("quiet")
    own_log.warning("loud")
    assert re.fullmatch(START + r"\[WARNING\] loud\n", capfd.readouterr().err)


def test_the_handlers_of_the_program_stay(own_log):
    other = logging.NullHandler()
    own_log.addHandler(other)
    log_to_standard_error("info")
    assert own_log.handlers[0] is other
    assert len(own_log.handlers) == 2


def test_a_handler_that_logging_closes_goes_on(capfd):
    handler = StandardErrorHandler()
    handler.close()
    handler.handle(record("on"))
    handler.close_file()
    handler.handle(record("off"))
    assert re.fullmatch(START + r"\[ERROR\] on\n", capfd.readouterr().err)


def test_what_waits_for_a_slow_reader_reaches_it_without_another_record(monkeypatch):
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", 0) as reading, os.fdopen(writer, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        handler = StandardErrorHandler()
        written = 0
        for _ in range(2):  # also when it falls behind again
            while not handler._file.is_behind:
                handler.handle(record("x" * 1000))
                written += 1
            while written:
                assert select.select([reading], [], [], 10)[0]
                written -= reading.read(65536).count(b"\n")
        handler.close_file()


def test_the_log_is_disabled_only_where_its_handler_was_replaced(own_log):
    handler = log_to_standard_error("info")
    own_log.disabled = True
    assert not own_log.disabled
    assert not own_log.propagate
    own_log.removeHandler(handler)
    own_log.disabled = True
    assert own_log.disabled
    assert own_log.propagate
    handler.close_file()


def test_a_message_that_cannot_be_made_fails_nobody(capfd):
    handler = StandardErrorHandler()
    handler.handle(record("%d", "no number"))
    handler.close_file()
    assert capfd.readouterr().err.startswith("a log message could not be made: '%d': TypeError")


def test_a_traceback_is_shown_without_source_if_it_cannot_be_read(capfd, monkeypatch):
    def fail(*_arguments, **_named):
        raise OSError(errno.EMFILE, "Too many open files")

    handler = StandardErrorHandler()
    try:
        fail()
    except OSError:
        failed = record("it failed", exc_info=sys.exc_info())
    monkeypatch.setattr("traceback.print_exception", fail)
    handler.handle(failed)
    handler.close_file()
    line, first, *places, last = capfd.readouterr().err.splitlines()
    assert line.endswith("[ERROR] it failed")
    assert first == "  Traceback (most recent call last):"
    assert [place.rpartition(" in ")[2] for place in places] == [
        "test_a_traceback_is_shown_without_source_if_it_cannot_be_read",
        "fail",
    ]
    assert last == "  OSError: [Errno 24] Too many open files"


@pytest.mark.parametrize("stream", [None, io.StringIO()], ids=["none", "closed"])
def test_a_standard_error_that_is_closed_fails_nobody(stream, monkeypatch):
    if stream is not None:
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    handler = StandardErrorHandler()
    handler.handle(record("a"))
    handler.close_file()
    errors = ErrorStream()
    errors.write("a")
    errors.flush()


# wsgi.errors


def test_what_an_application_complains_about_goes_to_standard_error(capsys):
    errors = ErrorStream()
    assert errors.write("a\n") == 2
    errors.writelines(["b\n", "c\ud800\n"])
    print("d", file=errors)
    errors.flush()
    assert capsys.readouterr().err == "a\nb\nc\\ud800\nd\n"


def test_a_full_standard_error_does_not_fail_the_application(monkeypatch):
    class Full:
        def write(self, text):
            raise OSError(28, "No space left on device")

        flush = write

    monkeypatch.setattr(sys, "stderr", Full())
    errors = ErrorStream()
    assert errors.write("a") == 1
    monkeypatch.setattr(Full, "flush", lambda self: self.write(""))
    errors.flush()


@pytest.mark.parametrize("text", [b"bytes", None, 7])
def test_wsgi_errors_takes_text_only(text):
    with pytest.raises(TypeError, match=r"wsgi\.errors takes str, not "):
        ErrorStream().write(text)


# The streams of the process


def test_what_a_full_stream_did_not_take_is_given_up(monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        print("lost")
        assert give_up_unwritable_streams() == []
        full.flush()


def test_a_stream_whose_reader_stands_still_is_given_up_and_named(monkeypatch):
    monkeypatch.setattr(error_log, "FLUSH_SECONDS", 0.05)
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as stands, os.fdopen(writer, "w") as stream:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        os.write(writer, b"x" * 4096)
        stream.write("late")
        monkeypatch.setattr(sys, "stdout", stream)
        assert give_up_unwritable_streams() == ["stdout"]
        assert os.fstat(writer).st_rdev == os.stat(os.devnull).st_rdev
        assert stands.read(4096) == b"x" * 4096  # lets the thread that waits end


def test_without_another_thread_the_streams_are_flushed_by_this_one(monkeypatch, tmp_path):
    def no_thread(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    with open(tmp_path / "out", "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        print("kept")
        assert give_up_unwritable_streams() == []
        assert (tmp_path / "out").read_text() == "kept\n"


def test_what_an_application_has_put_in_the_place_of_a_stream_fails_nobody(monkeypatch):
    monkeypatch.setattr(sys, "stdout", object())
    monkeypatch.setattr(sys, "stderr", None)
    assert give_up_unwritable_streams() == []


def test_a_stream_that_is_closed_is_left_alone(monkeypatch):
    with open(os.devnull, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
    give_up_unwritable_streams()
    assert stream.closed
