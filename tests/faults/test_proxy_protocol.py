"""F37: PROXY headers that are missing, malformed, cut or from someone who is not trusted."""

import pytest

from tests.server.conftest import Client

GET = b"GET /address HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ADDRESSES = b"\xc0\0\2\1\x7f\0\0\1\0\1\0\2"
LINE = b"PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\n"
BLOCK = SIGNATURE + b"\x21\x11\0\x0c" + ADDRESSES
TRUSTED = ("--proxy-protocol", "auto", "--proxy-protocol-from", "127.0.0.0/8")


class BehindProxy(Client):
    """A client whose connection a proxy announces."""

    def __init__(self, address):
        super().__init__(address)
        self.send(LINE)


HEADERS = {
    "version 1": (LINE, b"192.0.2.1"),
    "version 2": (BLOCK, b"192.0.2.1"),
    "unknown": (b"PROXY UNKNOWN\r\n", b"127.0.0.1"),
    "local": (SIGNATURE + b"\x20\x00\0\0", b"127.0.0.1"),
    "with an extension": (SIGNATURE + b"\x21\x11\0\x10" + ADDRESSES + b"\4\0\1a", b"192.0.2.1"),
}


@pytest.mark.parametrize(("header", "address"), HEADERS.values(), ids=HEADERS.keys())
def test_f37_the_client_of_a_trusted_proxy_is_known_wherever_its_header_is_split(serve, header, address):
    with serve(*TRUSTED, speaks=BehindProxy) as site:
        for split in range(len(header) + 1):
            with site.dial() as client:
                client.send(header[:split])
                client.send(header[split:] + GET)
                assert client.response().content == address


FAULTS = {
    "missing": GET,
    "too long": b"PROXY TCP4 192.0.2.1 127.0.0.1 1 " + b"2" * 90 + b"\r\n" + GET,
    "unknown without an end": b"PROXY UNKNOWN " + b"a" * 5000,
    "two spaces": LINE.replace(b"TCP4 ", b"TCP4  ") + GET,
    "bare line feed": LINE.replace(b"\r\n", b"\n") + GET,
    "a port too high": LINE.replace(b" 1 2", b" 65536 2") + GET,
    "an address that is none": LINE.replace(b"192.0.2.1", b"192.0.2.256") + GET,
    "another family": LINE.replace(b"TCP4", b"TCP6") + GET,
    "length too small": SIGNATURE + b"\x21\x11\0\x0b" + ADDRESSES + GET,
    "length too large": SIGNATURE + b"\x21\x11\xff\xff" + ADDRESSES + GET,
    "version 3": SIGNATURE + b"\x31\x11\0\x0c" + ADDRESSES + GET,
    "unknown command": SIGNATURE + b"\x2f\x11\0\x0c" + ADDRESSES + GET,
}


@pytest.mark.parametrize("data", FAULTS.values(), ids=FAULTS.keys())
def test_f37_a_header_that_is_missing_or_malformed_ends_the_connection(serve, data):
    with serve(*TRUSTED, speaks=BehindProxy) as site:
        for _ in range(5):
            client = site.dial()
            client.send(data)
            assert client.response().status == "400"
            assert client.ended
        site.check_victims(5)
        assert site.counts["/address"] == 0
        assert site.end().count("\n") == 5


@pytest.mark.parametrize("part", [LINE[:-1], BLOCK[:-1], LINE[:1], b""])
def test_f37_a_header_that_does_not_end_has_a_deadline(serve, eventually, part):
    with serve(*TRUSTED, "--head-timeout", "0.5", speaks=BehindProxy) as site:
        for _ in range(50):
            site.dial().send(part)
        site.check_victims()
        eventually(lambda: not site.connections)
        gone = site.dial()
        gone.send(part)
        gone.close()
        assert "ERROR" not in site.end()


@pytest.mark.parametrize("header", [LINE, BLOCK])
@pytest.mark.parametrize("options", [(), (*TRUSTED[:3], "192.0.2.0/24")], ids=["off", "for others"])
def test_f37_nobody_else_can_pretend_to_be_someone(serve, options, header):
    with serve(*options) as site:
        client = site.dial()
        client.send(header + GET)
        assert client.response().status == "400"
        assert client.ended
        assert site.counts["/address"] == 0
        fields = ("X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1")
        assert site.get("/address", *fields).content == b"127.0.0.1"
