"""A log file neither raises nor waits: what cannot be written is lost, and said to be once a minute."""

import errno
import fcntl
import io
import os
import pty
import re
import select
import socket
import stat
import sys
import threading

import pytest

from wsgix.server import log_file
from wsgix.server.log_file import KEPT_BYTES, LogFile, open_file, open_stream

LINE = b"x" * 99 + b"\n"


class Sink:
    """Takes what a plan says: for each call a number of bytes, or an error."""

    def __init__(self, *plan):
        self.plan = [*plan]
        self.pieces = []

    def send(self, _fd, data):
        step = self.plan.pop(0) if self.plan else len(data)
        if isinstance(step, BaseException):
            raise step
        self.pieces.append(data[:step])
        return min(step, len(data))

    @property
    def data(self):
        return b"".join(self.pieces)


FULL = OSError(errno.ENOSPC, "No space left on device")
BUSY = BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")


def log_to(sink, **options):
    return LogFile("the log", -1, sink.send, **options)


@pytest.fixture
def clock(monkeypatch):
    """The clock of the warnings, set by `clock[0]`."""
    now = [1000.0]
    monkeypatch.setattr(log_file.time, "monotonic", lambda: now[0])
    return now


# Losses


def test_lines_are_lost_and_said_to_be_once_a_minute(clock, caplog):
    log = log_to(Sink(FULL, FULL, FULL, 4, FULL))
    log.write(b"a\n")
    log.write(b"b\nc\n")
    clock[0] += 60
    log.write(b"d\n")
    log.write(b"e\n")
    assert caplog.messages == [
        "the log cannot be written: No space left on device; lines lost so far: 1",
        "the log cannot be written: No space left on device; lines lost so far: 4",
    ]


def test_a_log_without_a_name_is_lost_in_silence(caplog):
    LogFile("", -1, Sink(FULL).send).write(b"a\n")
    assert caplog.messages == []


@pytest.mark.parametrize(
    "plan", [(3, FULL), (3, BrokenPipeError(32, "Broken pipe")), (3, 0, ValueError("closed"))]
)
def test_a_line_that_was_cut_does_not_swallow_the_next(plan, caplog):
    sink = Sink(*plan)
    log = log_to(sink)
    log.write(b"first\n")
    log.write(b"second\n")
    log.write(b"third\n")
    assert sink.data == b"fir\nsecond\nthird\n"


@pytest.mark.parametrize(("written", "lost"), [(3, 1), (5, 0)], ids=["a piece", "all but the end"])
def test_the_end_of_a_line_that_was_cut_is_not_counted_as_a_line(clock, caplog, written, lost):
    log = log_to(Sink(written, FULL, FULL, FULL))
    for line in (b"first\n", b"second\n", b"third\n"):
        log.write(line)
        clock[0] += 60.0
    assert caplog.messages == [
        f"the log cannot be written: No space left on device; lines lost so far: {lost + further}"
        for further in range(3)
    ]


def test_a_loss_between_two_lines_leaves_no_empty_one(caplog):
    sink = Sink(6, FULL)
    log = log_to(sink)
    log.write(b"first\nlost\n")
    log.write(b"third\n")
    assert sink.data == b"first\nthird\n"


def test_a_partial_write_goes_on():
    sink = Sink(1, 2, 3)
    log_to(sink).write(b"first\nsecond\n")
    assert sink.data == b"first\nsecond\n"


# Slow readers


def test_what_a_slow_reader_does_not_take_is_kept():
    sink = Sink(3, BUSY, BUSY)
    log = log_to(sink)
    log.write(b"first\n")
    assert log.is_behind
    log.write(b"second\n")
    log.write(b"")
    assert not log.is_behind
    assert sink.data == b"first\nsecond\n"


def test_what_is_too_much_to_keep_is_lost_line_by_line(caplog):
    sink = Sink(BUSY, BUSY)
    log = log_to(sink)
    count = KEPT_BYTES // len(LINE)
    log.write(LINE * count)
    log.write(LINE * 10)
    assert caplog.messages == [
        "the log cannot be written: Resource temporarily unavailable; lines lost so far: 10"
    ]
    log.write(b"last\n")
    assert sink.data == LINE * count + b"last\n"


def test_pieces_are_whole_lines():
    sink = Sink()
    log_to(sink, largest=10).write(b"one\ntwo\nthree\n" + LINE + b"four\n")
    assert sink.pieces == [b"one\ntwo\n", b"three\n", LINE, b"four\n"]


# Files


def test_a_new_file_is_for_the_owner_and_its_group(tmp_path):
    log = open_file("the log", str(tmp_path / "log"))
    log.write(b"a\n")
    log.close()
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) & 0o137 == 0
    assert (tmp_path / "log").read_bytes() == b"a\n"


def test_a_file_is_appended_to_wherever_its_end_is(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"before\n")
    log = open_file("the log", str(path))
    log.write(b"a\n")
    os.truncate(path, 0)  # as logrotate does with copytruncate
    log.write(b"b\n")
    log.close()
    assert path.read_bytes() == b"b\n"


def test_reopening_keeps_the_descriptor_and_hides_it_from_children(tmp_path):
    log = open_file("the log", str(tmp_path / "log"))
    before = log._fd
    (tmp_path / "log").unlink()
    log.reopen()
    log.write(b"a\n")
    assert log._fd == before
    assert not os.get_inheritable(before)
    log.close()
    assert (tmp_path / "log").read_bytes() == b"a\n"


@pytest.mark.parametrize("is_renamed", [True, False])
def test_a_line_that_was_cut_is_ended_in_its_own_file_only(tmp_path, is_renamed):
    path = tmp_path / "log"
    log = open_file("the log", str(path))
    log._send = Sink(3, FULL).send
    log.write(b"first\n")
    log._send = os.write
    path.write_bytes(b"fir")
    if is_renamed:
        path.rename(tmp_path / "old")
    log.reopen()
    log.write(b"second\n")
    log.close()
    assert path.read_bytes() == (b"second\n" if is_renamed else b"fir\nsecond\n")


def test_a_file_that_cannot_be_reopened_stays(tmp_path, caplog):
    (tmp_path / "logs").mkdir()
    path = tmp_path / "logs" / "log"
    log = open_file("the log", str(path))
    (tmp_path / "logs").rename(tmp_path / "moved")
    log.reopen()
    log.write(b"a\n")
    log.close()
    assert caplog.messages == [f"the log cannot be reopened: {path}: No such file or directory"]
    assert (tmp_path / "moved" / "log").read_bytes() == b"a\n"


def test_after_its_end_a_log_is_neither_written_nor_reopened(tmp_path, caplog):
    log = open_file("the log", str(tmp_path / "log"))
    log.close()
    log.close()
    (tmp_path / "log").unlink()
    log.reopen()
    log.write(b"late\n")
    assert not (tmp_path / "log").exists()
    assert caplog.messages == ["the log cannot be written: it is closed; lines lost so far: 1"]


# Streams


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    ends = [os.fdopen(reader, "rb", 0), os.fdopen(writer, "w", encoding="utf-8")]
    yield ends
    for end in ends:
        end.close()


def test_a_pipe_whose_reader_sleeps_holds_nobody_up(pipe, caplog):
    reader, writer = pipe
    log = open_stream("the log", writer)
    room = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
    written = room // len(LINE) * 3
    for _ in range(written):
        log.write(LINE)
    assert log.is_behind
    got = bytearray()
    while log.is_behind:
        got += reader.read(room)
        log.write(b"")
    got += reader.read(room)
    assert got == LINE * written
    assert not fcntl.fcntl(writer, fcntl.F_GETFL) & os.O_NONBLOCK  # it is shared with others
    log.close()


def test_a_pipe_without_a_reader_loses_lines(pipe, caplog):
    reader, writer = pipe
    log = open_stream("the log", writer)
    reader.close()
    log.write(b"a\n")
    log.close()
    assert caplog.messages == ["the log cannot be written: Broken pipe; lines lost so far: 1"]


def test_a_pipe_whose_reader_was_gone_before_loses_lines_too(pipe, caplog):
    reader, writer = pipe
    reader.close()
    log = open_stream("the log", writer)
    log.write(b"a\n")
    log.close()
    assert caplog.messages == ["the log cannot be written: Broken pipe; lines lost so far: 1"]


def test_a_stream_has_nothing_to_reopen(pipe):
    log = open_stream("the log", pipe[1])
    log.reopen()
    log.write(b"a\n")
    log.close()
    assert pipe[0].read(10) == b"a\n"


def test_closing_waits_for_a_reader_that_is_slow(pipe):
    reader, writer = pipe
    log = open_stream("the log", writer)
    while not log.is_behind:
        log.write(LINE)
    got = []
    thread = threading.Thread(target=lambda: got.extend(iter(lambda: reader.read(1 << 20), b"")))
    thread.start()
    log.close()
    writer.close()
    thread.join()
    assert b"".join(got).replace(LINE, b"") == b""


def test_closing_does_not_wait_for_ever_and_says_what_is_lost(pipe, monkeypatch, caplog):
    monkeypatch.setattr(log_file, "CLOSE_SECONDS", 0.0)
    reader, writer = pipe
    log = open_stream("the log", writer)
    written = 0
    while not caplog.messages:  # the warning about what is too much to keep: the next is not due for a minute
        log.write(LINE)
        written += 1
    log.close()
    writer.close()
    lost = written - reader.read(1 << 20).count(b"\n")
    assert caplog.messages[1:] == [
        f"the log cannot be written: its reader stands still; lines lost so far: {lost}"
    ]
    log.close()
    assert len(caplog.messages) == 2


def test_a_socket_as_systemd_gives_it_holds_nobody_up():
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("w") as stream:
        log = open_stream("the log", stream)
        while not log.is_behind:
            log.write(LINE)
        assert theirs.recv(len(LINE)) == LINE
        theirs.close()
        log.close()
        assert ours.getblocking()


def test_a_terminal_is_written_to():
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as stream, os.fdopen(master, "rb", 0) as screen:
        log = open_stream("the log", stream)
        log.write(b"a\n")
        assert select.select([screen], [], [], 20)[0]
        assert screen.read(10).split() == [b"a"]
        log.close()


def test_a_redirected_stream_shares_its_position(tmp_path):
    with open(tmp_path / "out", "w") as stream:
        log = open_stream("the log", stream)
        stream.write("first\n")
        stream.flush()
        log.write(b"second\n")
        stream.write("third\n")
        log.close()
    assert (tmp_path / "out").read_text() == "first\nsecond\nthird\n"


def test_a_stream_of_the_program_is_written_to():
    stream = io.StringIO()
    log = open_stream("the log", stream)
    log.write(b"a\n")
    log.close()
    assert stream.getvalue() == "a\n"


class Unwritable(io.StringIO):
    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")


class Full(io.StringIO):
    def flush(self):
        raise OSError(28, "No space left on device")


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize(
    "make", [Unwritable, Full, closed, lambda: None], ids=["pipe", "disk", "closed", "none"]
)
def test_a_stream_that_cannot_be_written_loses_lines_and_says_so_once(make, caplog):
    log = open_stream("the log", make())
    for _ in range(3):
        log.write(b"a\n")
    log.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert re.search("the log cannot be written: .*; lines lost so far: 1", caplog.text)


def test_a_stream_whose_descriptor_is_closed_loses_lines(caplog):
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w", closefd=False)
    os.close(writer)
    log = open_stream("the log", stream)
    log.write(b"a\n")
    log.close()
    assert "the log cannot be written: Bad file descriptor" in caplog.text
    with pytest.raises(OSError, match="Bad file descriptor"):  # now, and not when it is collected
        stream.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_device(caplog):
    with open("/dev/full", "w") as stream:
        log = open_stream("the log", stream)
        log.write(b"a\n")
        log.close()
    assert caplog.messages == ["the log cannot be written: No space left on device; lines lost so far: 1"]
    assert sys.stdout is not None
