"""What the benchmark reads (from /proc, from wrk, from a server) is read right."""

import socket
from contextlib import contextmanager

import pytest
from side_by_side.load import LoadError, read_load
from side_by_side.machine import without_paths
from side_by_side.paced import percentile
from side_by_side.probe import BadAnswer, Ending, ask, fault_of
from side_by_side.process import Stat, read_stat
from side_by_side.workloads import KIB, WORKLOADS, post_chunked


@contextmanager
def server_of(wire):
    """Give a connection whose other end has sent *wire* and no more."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(wire)
        theirs.shutdown(socket.SHUT_WR)
        yield ours


def test_a_stat_line_is_read_though_the_name_looks_like_fields():
    line = "42 (a) R (b) S 1 42 40 0 -1 4194304 100 0 0 0 11 7 3 2 20 0 1 0 292310 3133440 394"
    assert read_stat(line) == Stat(session=40, state="S", own=18, children=5)


def test_the_last_line_of_wrk_is_read():
    line = '{"seconds": 1.0, "requests": 5, "bytes": 700, "p50_us": 10, "p99_us": 20, '
    line += '"connect": 0, "read": 3, "write": 0, "status": 0, "timeout": 1}'
    load = read_load(f"Running 1s test\n{line}\n")
    assert (load.requests, load.faults) == (5, "3 read, 1 timeout")


def test_wrk_without_a_result_is_an_error_with_its_words():
    with pytest.raises(LoadError, match="unable to connect"):
        read_load("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_absolute_paths_are_cut_to_their_last_part():
    text = "no option --certfile /tmp/bench-1/certificate.pem; see a/b and http://127.0.0.1/x"
    assert without_paths(text) == "no option --certfile certificate.pem; see a/b and http://127.0.0.1/x"


def test_a_percentile_is_a_value_of_the_list():
    assert percentile([float(number) for number in range(100)], 99) == 99.0
    assert percentile([1.0], 50) == 1.0


@pytest.mark.parametrize(
    ("wire", "body", "keep_alive", "ended"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok", True, Ending.BY_LENGTH),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nConnection: close\r\n\r\nok",
            b"ok",
            False,
            Ending.BY_LENGTH,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x\r\nk\r\n0\r\n\r\n",
            b"ok",
            True,
            Ending.BY_CHUNKS,
        ),
        (b"HTTP/1.0 200 OK\r\n\r\nok", b"ok", False, Ending.BY_CLOSE),
    ],
)
def test_an_answer_is_read_to_its_end(wire, body, keep_alive, ended):
    with server_of(wire) as connection:
        answer = ask(connection, b"")
    assert answer == (200, body, len(wire), keep_alive, ended)
    assert fault_of(answer, b"ok") == ""
    assert fault_of(answer, b"no") == "a body of 2 bytes: b'ok', not the 2 expected"
    assert fault_of(answer._replace(status=500), b"ok") == "status 500"


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n",
        b"no head\r\n\r\n",
    ],
)
def test_a_broken_answer_is_refused(wire):
    with server_of(wire) as connection, pytest.raises(BadAnswer):
        ask(connection, b"")


def test_a_chunked_request_has_all_its_bytes():
    body = post_chunked(5 * KIB, 2 * KIB).partition(b"\r\n\r\n")[2]
    chunk = b"800\r\n" + b"x" * 2048 + b"\r\n"
    assert body == chunk + chunk + b"400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n"


def test_every_workload_has_a_name_of_its_own_and_a_whole_head():
    assert len({workload.name for workload in WORKLOADS}) == len(WORKLOADS)
    assert all(b"\r\n\r\n" in workload.request for workload in WORKLOADS)
