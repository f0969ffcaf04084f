"""F20 to F24: large content, and too few descriptors, threads, disk."""

import contextlib
import hashlib
import os
import platform
import resource
import shutil
import signal
import subprocess

import pytest

from tests.faults.conftest import APPLICATION
from tests.serving import COMMAND, DEADLINE, environment_with

MEBIBYTE = 1 << 20


@pytest.mark.parametrize("expectation", [b"", b"Expect: 100-continue\r\n"])
def test_f20_a_client_reads_the_refusal_of_an_upload_that_it_stops(serve, expectation):
    with serve("--limit-request-body", "1m") as site:
        for _ in range(100):
            client = site.dial()
            client.send(
                b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n%s\r\n" % expectation
            )
            client.send(b"a" * 60_000)
            assert client.response().status == "413"
            assert client.socket.recv(1) == b""  # an end, and no reset
            client.close()
        assert site.counts["/digest"] == 0


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_f20_a_client_that_sends_on_for_a_while_is_not_reset(serve, framing):
    with serve("--limit-request-body", "1m") as site:
        for _ in range(10):
            client = site.dial()
            if framing == "length":
                client.send(b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: 16777216\r\n\r\n")
            else:
                client.send(
                    b"POST /digest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1000000\r\n"
                )
            for _ in range(256):
                client.send(b"a" * 65536)
            assert client.response().status == "413"
            assert client.socket.recv(1) == b""
            client.close()


def test_f21_content_does_not_cost_new_memory_each_time(serve):
    content = b"0123456789abcdef" * 4096
    request = b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(content)
    with serve() as site:
        client = site.dial()

        def upload(times):
            before = site.vitals.page_faults()
            for _ in range(times):
                client.send(request)
                client.send(content)
                assert client.response().content.startswith(b"65536 ")
            return site.vitals.page_faults() - before

        upload(20)
        # The pages of one are 16.
        assert upload(100) < 400


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no arenas")
@pytest.mark.parametrize(("most", "arenas"), [(None, 0), ("3", 2)], ids=["by itself", "by the user's word"])
def test_f21_threads_share_the_memory_of_what_they_receive(serve, eventually, most, arenas):
    with serve(threads=8, **({} if most is None else {"MALLOC_ARENA_MAX": most})) as site:
        clients = [site.dial() for _ in range(7)]
        for client in clients:
            client.send(b"POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + bytes(100_000))
        site.check_victims()
        assert site.vitals.threads() >= 9  # with those that lead and watch
        # All but the main one; without limits each thread may have one.
        assert site.vitals.arenas() == arenas
        site.open_gate()
        assert all(client.response().content == b"held" for client in clients)


def test_f21_a_large_upload_does_not_stay_in_memory(serve):
    size, block = 128 * MEBIBYTE, b"0123456789abcdef" * 4096
    with serve() as site:
        site.get("/digest")
        site.vitals.forget_peak()
        before, made = site.vitals.peak(), hashlib.sha256()
        client = site.dial()
        client.send(b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(block)):
            client.send(block)
            made.update(block)
        assert client.response().content == f"{size} {made.hexdigest()}".encode()
        assert site.vitals.peak() - before < 4 * MEBIBYTE


def test_f21_a_large_download_does_not_stay_in_memory(serve):
    count, size = 2000, 65536
    with serve() as site:
        site.get("/blocks")
        site.vitals.forget_peak()
        before, received = site.vitals.peak(), 0
        client = site.dial()
        client.send(b"GET /blocks?count=%d&size=%d HTTP/1.0\r\n\r\n" % (count, size))
        while data := client.socket.recv(1 << 18):
            received += len(data)
        assert received > count * size
        assert site.vitals.peak() - before < 4 * MEBIBYTE


def test_f21_a_generator_is_no_further_ahead_of_a_stalled_client_than_the_buffers(serve, eventually):
    size = 100_000
    with serve("--response-buffer", "256k", "--write-timeout", "2") as site:
        site.get("/blocks")
        before = site.vitals.resident()
        site.dial_slowly().send(b"GET /blocks?count=1000&size=%d HTTP/1.1\r\nHost: a\r\n\r\n" % size)
        eventually(lambda: site.counts["closed"] == 2)
        with open("/proc/sys/net/ipv4/tcp_wmem") as wmem:
            kernel = int(wmem.read().split()[2])
        assert site.counts["blocks"] <= 1 + (kernel + (256 << 10)) // size + 2
        assert site.vitals.peak() - before < 4 * MEBIBYTE


def test_f22_a_server_without_descriptors_waits_without_work_and_recovers(serve, eventually):
    with serve() as site:
        resource.prlimit(site.server.process.pid, resource.RLIMIT_NOFILE, (64, 64))
        silent = [site.dial() for _ in range(150)]
        eventually(lambda: "Too many open files" in site.log)
        held, used, begin = site.connections, site.vitals.cpu(), os.times().elapsed
        assert held < 64
        eventually(lambda: os.times().elapsed > begin + 1)
        assert site.vitals.cpu() - used < 0.05
        for client in silent:
            client.close()
        site.check_victims()
        assert site.end().count("\n") < 10


def test_f22_a_flood_leaves_descriptors_to_the_application(serve, eventually):
    with serve(MOST_DESCRIPTORS="64", WSGIX_REQUEST_MEMORY="0") as site:
        client = site.dial()
        client.send(b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n")
        silent = [site.dial() for _ in range(150)]
        eventually(lambda: "cannot accept connections" in site.log)
        client.send(b"a" * 400_000)  # it takes a file
        assert client.response().content.startswith(b"400000 ")
        for each in silent:
            each.close()
        site.check_victims()


def test_f22_idle_clients_are_parted_with_when_descriptors_are_short(serve):
    with serve() as site:
        resource.prlimit(site.server.process.pid, resource.RLIMIT_NOFILE, (64, 64))
        idle = [site.dial() for _ in range(40)]
        for client in idle:
            assert client.get().content == b"hello"
        crowd = [site.dial() for _ in range(100)]
        for client in crowd:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        for client in crowd:
            assert client.response().content == b"hello"


def test_f23_without_new_threads_it_serves_with_those_it_has(serve, eventually):
    with serve() as site:
        site.check_victims()  # the first thread is there
        # The stack of another one, 8 MiB mostly, finds no place.
        most = site.vitals.virtual() + 4 * MEBIBYTE
        resource.prlimit(site.server.process.pid, resource.RLIMIT_AS, (most, most))
        threads = site.vitals.threads()
        slow = [site.dial() for _ in range(20)]
        for client in slow:
            client.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        used, begin = site.vitals.cpu(), os.times().elapsed
        eventually(lambda: os.times().elapsed > begin + 0.5)
        assert site.vitals.cpu() - used < 0.25
        assert site.vitals.threads() == threads
        site.open_gate()
        assert all(client.response().content == b"held" for client in slow)
        site.check_victims()
        assert site.end().count("\n") < 10


def test_f23_without_any_thread_it_says_so_and_ends():
    limits = "ulimit -s 1048576; ulimit -v 900000"  # KiB: less for all than the stack of one thread
    ended = subprocess.run(
        ["sh", "-c", f'{limits}; exec "$@"', "sh", *COMMAND, "serve", APPLICATION, "--bind", "127.0.0.1:0"],
        env=environment_with({}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE,
    )
    assert ended.returncode not in (0, -signal.SIGKILL)
    assert b"thread" in ended.stderr


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB."""
    path = tmp_path / "small"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(path)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a tmpfs can be mounted by root only")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def check_that_large_content_is_507(site, framing):
    for _ in range(5):
        with site.dial() as client:
            if framing == "length":
                client.send(b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: 10485760\r\n\r\n")
            else:
                client.send(
                    b"POST /digest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\na00000\r\n"
                )
            with contextlib.suppress(OSError):
                client.send(b"a" * (2 * MEBIBYTE))
            assert client.response().status == "507"
        site.check_victims(5)
    client = site.dial()
    client.send(b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n" + b"a" * 400_000)
    assert client.response().content.startswith(b"400000 ")
    assert site.counts["/digest"] == 1
    log = site.end()
    assert log.count("cannot store the content of a request") == log.count("storage-full") == 5
    assert log.count("\n") == 10


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_f24_content_that_a_full_disk_cannot_hold_is_507(serve, small_disk, framing):
    with serve(TMPDIR=str(small_disk), WSGIX_REQUEST_MEMORY="0") as site:
        check_that_large_content_is_507(site, framing)
        site.close_clients()
        assert shutil.disk_usage(small_disk).used == 0


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_f24_content_that_a_file_may_not_hold_is_507(serve, framing):
    with serve(WSGIX_REQUEST_MEMORY="0") as site:
        resource.prlimit(site.server.process.pid, resource.RLIMIT_FSIZE, (MEBIBYTE, MEBIBYTE))
        check_that_large_content_is_507(site, framing)
