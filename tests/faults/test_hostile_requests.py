"""F38, F40 and F41: clients that mean harm to the framing, to the memory or to the CPU time."""

import pytest

from tests.faults.conftest import serving_site

SMUGGLED = b"GET /address HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    ("begin", "word"),
    [
        (b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello", "body-timeout"),
        (b"POST /digest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "body-timeout"),
        (b"POST /digest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5", "body-timeout"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", "head-timeout"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--stream-requests",)])
def test_f38_what_follows_a_time_out_is_never_a_request(serve, options, begin, word):
    with serve("--body-timeout", "0.3", "--head-timeout", "0.3", *options) as site:
        client = site.dial()
        client.send(begin)
        response = client.response()
        assert response.status == "408"
        assert response.get("Connection") == "close"
        client.send(SMUGGLED * 2)
        assert client.ended
        assert site.counts["/address"] == 0
        log = site.end()
        assert log.count(word) == log.count("\n") == 1


def test_f40_pipelined_requests_of_a_client_that_never_reads_are_left_to_the_kernel(serve, eventually):
    count = 100_000
    with serve("--write-timeout", "1") as site:
        site.check_victims()
        site.vitals.forget_peak()
        before = site.vitals.peak()
        client = site.dial_slowly()
        client.socket.setblocking(False)
        data = memoryview(b"GET /address HTTP/1.1\r\nHost: a\r\n\r\n" * count)
        sent = client.socket.send(data)
        # The connections that are left now may be those of the victims.
        eventually(lambda: site.counts["/address"])
        while site.connections:
            try:
                sent += client.socket.send(data[sent:])
            except BlockingIOError:
                site.check_victims(1)
            except (ConnectionResetError, BrokenPipeError):
                break
        eventually(lambda: not site.connections)  # by the write timeout
        assert site.vitals.peak() - before < 1 << 20
        assert 0 < site.counts["/address"] < count


CHUNKED = b"POST /digest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
SIZE = 1 << 17
REQUESTS = {
    "chunks of one byte": lambda n: CHUNKED + b"1\r\na\r\n" * (n // 6) + b"0\r\n\r\n",
    "extensions": lambda n: CHUNKED + (b"1;" + b"a" * 100 + b"\r\na\r\n") * (n // 107) + b"0\r\n\r\n",
    "trailers": lambda n: CHUNKED + b"0\r\n" + b"A: b\r\n" * (n // 6) + b"\r\n",
    "one name": lambda n: b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * (n // 6) + b"\r\n",
    "one cookie": lambda n: b"GET / HTTP/1.1\r\nHost: a\r\n" + b"Cookie: b\r\n" * (n // 11) + b"\r\n",
    "many names": lambda n: (
        b"GET / HTTP/1.1\r\nHost: a\r\n"
        + b"".join(b"A%d: b\r\n" % number for number in range(n // 10))
        + b"\r\n"
    ),
    "a path": lambda n: b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * n),
    "escapes": lambda n: b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"%41" * (n // 3)),
    "broken escapes": lambda n: b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"%" * n),
    "dots": lambda n: b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"../" * (n // 3)),
    "lengths": lambda n: b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: %s\r\n\r\n" % (b"1" * n),
    "a list of lengths": lambda n: (
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: %s1\r\n\r\n" % (b"1," * (n // 2))
    ),
    "codings": lambda n: b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: %sx\r\n\r\n" % (b"x, " * (n // 3)),
    "connection options": lambda n: (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: %sx\r\n\r\n" % (b"x , " * (n // 4))
    ),
    "empty lines": lambda n: b"\r\n" * (n // 2) + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "colons in a host": lambda n: b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % (b":" * n),
}
CLASSES = {"controls": 1, "tabs": 9, "line feeds": 10, "carriage returns": 13, "spaces": 32, "quotes": 34}
CLASSES |= {"commas": 44, "digits": 48, "colons": 58, "semicolons": 59, "letters": 97, "high": 255}
for name, byte in CLASSES.items():
    REQUESTS[f"{name} in a value"] = lambda n, byte=byte: (
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a" + bytes([byte]) * n + b"a\r\n\r\n"
    )
    REQUESTS[f"{name} first"] = lambda n, byte=byte: bytes([byte]) * n + b"\r\n\r\n"


@pytest.fixture(scope="module")
def lenient():
    """A server whose limits are so high that they cannot be what keeps its work small."""
    limits = {"line": "1m", "field": "1m", "head": "16m", "fields": "10000"}
    options = [f"--limit-request-{name}={value}" for name, value in limits.items()]
    with serving_site(*options) as site:
        yield site


def cost(site, data):
    """Return the seconds of CPU time that the server spends on *data*, the least of some runs."""
    costs = []
    for _ in range(4):
        client = site.dial()
        used = site.vitals.cpu()
        try:
            client.send(data)
            client.half_close()
        except OSError:
            pass  # it is refused already
        client.rest()
        client.close()
        site.check_victims(1)
        costs.append(site.vitals.cpu() - used)
    return min(costs)


@pytest.mark.parametrize("make", REQUESTS.values(), ids=REQUESTS.keys())
def test_f41_the_work_on_a_request_grows_with_its_size_and_no_faster(lenient, make):
    small, large = cost(lenient, make(SIZE)), cost(lenient, make(4 * SIZE))
    assert large < 0.5
    # Four times the size is sixteen times the work where it grows with the square.
    assert large < 8 * small + 0.002


def test_f41_a_head_that_arrives_byte_by_byte_is_not_read_again_for_each(lenient):
    client = lenient.dial()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
    used = lenient.vitals.cpu()
    for _ in range(60_000):
        client.send(b"a")
    client.send(b"\r\n\r\n")
    assert client.response().status == "200"
    # About 1 us a byte; to walk through what has arrived already would take hundreds.
    assert lenient.vitals.cpu() - used < 1
