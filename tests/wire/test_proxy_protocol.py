"""The PROXY protocol: what is read, what is refused, and that cuts change nothing.

The texts and numbers are those of the specification's own examples where it has one.
"""

from ipaddress import ip_address

import pytest

from wsgix.facts.refusals import BAD_PROXY_HEADER, NO_PROXY_HEADER
from wsgix.wire.addresses import Endpoint
from wsgix.wire.http1 import NEED_MORE
from wsgix.wire.proxy_protocol import MAXIMUM_SIZE, ProxyHeader, ProxyVersion, read_proxy_header

V1, V2, AUTO = ProxyVersion.V1, ProxyVersion.V2, ProxyVersion.AUTO
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
TCP4 = bytes([192, 0, 2, 1, 198, 51, 100, 2]) + (56324).to_bytes(2, "big") + (443).to_bytes(2, "big")
TCP6 = bytes.fromhex("20010db8000000000000000000000001 20010db8000000000000000000000002 dc0401bb")
UNIX = b"/run/a".ljust(108, b"\0") + b"/run/b".ljust(108, b"\0")


def block(command, family, content, length=None):
    size = len(content) if length is None else length
    return SIGNATURE + bytes([command, family]) + size.to_bytes(2, "big") + content


def extension(kind, value):
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


def endpoint(address, port):
    return Endpoint(ip_address(address), port)


def read_in_pieces(pieces, versions, offset=0):
    """Show the pieces one after the other; the verdict, or `NEED_MORE` if it never comes."""
    held = bytearray(b"x" * offset)
    for piece in pieces:
        held += piece
        result = read_proxy_header(held, offset, versions)
        if result is not NEED_MORE:
            return result
    return NEED_MORE


def judge(data, versions=AUTO):
    """Read whole, byte by byte, at every cut, and behind other bytes; all must come to the same."""
    result = read_proxy_header(data, 0, versions)
    moved = result._replace(end=result.end + 3) if isinstance(result, ProxyHeader) else result
    assert read_in_pieces([data], versions, 3) == moved
    assert read_in_pieces([data[i : i + 1] for i in range(len(data))], versions) == result
    for cut in range(len(data)):
        assert read_in_pieces([data[:cut], data[cut:]], versions) == result
    return result


FOUR = (endpoint("192.0.2.1", 56324), endpoint("198.51.100.2", 443))
SIX = (endpoint("2001:db8::1", 56324), endpoint("2001:db8::2", 443))
NEITHER = (None, None)


@pytest.mark.parametrize(
    ("line", "endpoints"),
    [
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443", FOUR),
        (b"PROXY TCP6 2001:db8::1 2001:DB8::2 56324 443", SIX),
        (b"PROXY TCP6 2001:0db8:0000:0000:0000:0000:0000:0001 2001:db8:0:0:0:0:0:2 56324 443", SIX),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c633:6402 56324 443", FOUR),
        (b"PROXY TCP4 0.0.0.0 127.0.0.1 0 65535", (endpoint("0.0.0.0", 0), endpoint("127.0.0.1", 65535))),
        (b"PROXY UNKNOWN", NEITHER),
        (b"PROXY UNKNOWN ", NEITHER),
        (b"PROXY UNKNOWN 192.0.2.1 forged \xff\0", NEITHER),
        (b"PROXY UNKNOWN " + b" ".join([b"ffff:" * 7 + b"ffff"] * 2) + b" 65535 65535", NEITHER),
    ],
)
def test_a_line_is_read(line, endpoints):
    end = len(line) + 2
    assert judge(line + b"\r\n" + REQUEST) == (end, *endpoints)
    assert judge(line + b"\r\n", V1) == (end, *endpoints)


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY ",
        b"PROXY  TCP4 192.0.2.1 198.51.100.2 56324 443",
        b"PROXY TCP4  192.0.2.1 198.51.100.2 56324 443",
        b"PROXY TCP4\t192.0.2.1 198.51.100.2 56324 443",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 ",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 56324",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 1",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 056324 443",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 0443",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 443",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 65536",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 -1 443",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 5_6 443",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 \xb2 443",
        b"PROXY TCP4 192.0.2.01 198.51.100.2 56324 443",
        b"PROXY TCP4 192.0.2.256 198.51.100.2 56324 443",
        b"PROXY TCP4 192.0.2.1 198.51.100 56324 443",
        b"PROXY TCP4 2001:db8::1 2001:db8::2 56324 443",
        b"PROXY TCP6 192.0.2.1 198.51.100.2 56324 443",
        b"PROXY TCP6 2001:db8::1 198.51.100.2 56324 443",
        b"PROXY TCP6 2001:db8::1 2001:db8:::2 56324 443",
        b"PROXY TCP6 fe80::1%eth0 fe80::2 56324 443",
        b"PROXY TCP6 [2001:db8::1] [2001:db8::2] 56324 443",
        b"PROXY TCP5 192.0.2.1 198.51.100.2 56324 443",
        b"PROXY tcp4 192.0.2.1 198.51.100.2 56324 443",
        b"PROXY UDP4 192.0.2.1 198.51.100.2 56324 443",
        b"PROXY UNKNOWNS",
        b"PROXY UNKNOWN a\nb",
        b"PROXY UNKNOWN a\rb",
        b"PROXY TCP4 192.0.2.1\n198.51.100.2 56324 443",
    ],
)
def test_a_malformed_line_is_refused(line):
    assert judge(line + b"\r\n" + REQUEST) == BAD_PROXY_HEADER


def test_a_line_has_107_bytes_at_most_with_its_end():
    longest = b"PROXY UNKNOWN ".ljust(105, b"a")
    assert judge(longest + b"\r\n").end == 107
    assert judge(longest + b"a\r\n") == BAD_PROXY_HEADER
    assert judge(longest + b"\r") is NEED_MORE
    assert judge(longest + b"aa") == BAD_PROXY_HEADER


def test_the_line_may_end_at_the_same_place_in_a_long_buffer():
    data = b"x" * 500 + b"PROXY UNKNOWN\r\n" + REQUEST * 100
    assert read_proxy_header(data, 500, V1) == (515, None, None)


@pytest.mark.parametrize(
    ("header", "endpoints"),
    [
        (block(PROXY, 0x11, TCP4), FOUR),
        (block(PROXY, 0x12, TCP4), FOUR),
        (block(PROXY, 0x21, TCP6), SIX),
        (block(PROXY, 0x22, TCP6), SIX),
        (
            block(PROXY, 0x21, bytes(10) + b"\xff\xff" + TCP4[:4] + bytes(10) + b"\xff\xff" + TCP4[4:]),
            FOUR,
        ),
        (block(PROXY, 0x31, UNIX), NEITHER),
        (block(PROXY, 0x32, UNIX), NEITHER),
        (block(PROXY, 0x00, b""), NEITHER),
        (block(PROXY, 0x00, b"anything"), NEITHER),
        (block(LOCAL, 0x00, b""), NEITHER),
        (block(LOCAL, 0x11, TCP4), NEITHER),
        (block(LOCAL, 0xFF, b"\xff"), NEITHER),
    ],
)
def test_a_block_is_read(header, endpoints):
    assert judge(header + REQUEST) == (len(header), *endpoints)
    assert judge(header, V2) == (len(header), *endpoints)


@pytest.mark.parametrize(("family", "content"), [(0x11, TCP4), (0x21, TCP6), (0x31, UNIX)])
def test_extensions_are_skipped(family, content):
    plain = read_proxy_header(block(PROXY, family, content), 0, V2)
    extended = block(
        PROXY, family, content + extension(1, b"h2") + extension(4, b"") + extension(0x20, b"x" * 300)
    )
    assert read_proxy_header(extended + REQUEST, 0, V2) == (len(extended), *plain[1:])


@pytest.mark.parametrize(("family", "content"), [(0x11, TCP4), (0x21, TCP6), (0x31, UNIX)])
@pytest.mark.parametrize("tail", [b"\1", b"\1\0", b"\1\0\1", b"\4\0\0\4\0", b"\4\xff\xff" + b"a" * 20])
def test_extensions_that_do_not_fill_the_block_are_refused(family, content, tail):
    assert judge(block(PROXY, family, content + tail) + REQUEST) == BAD_PROXY_HEADER


@pytest.mark.parametrize(("family", "content"), [(0x11, TCP4), (0x12, TCP4), (0x22, TCP6), (0x32, UNIX)])
def test_addresses_that_are_cut_short_are_refused(family, content):
    for size in (0, 1, len(content) - 1):
        assert judge(block(PROXY, family, content[:size]) + REQUEST * 9) == BAD_PROXY_HEADER


@pytest.mark.parametrize("command", [0x00, 0x01, 0x10, 0x11, 0x22, 0x2F, 0x30, 0x31, 0xFF])
def test_another_version_or_command_is_refused(command):
    assert judge(block(command, 0x11, TCP4) + REQUEST) == BAD_PROXY_HEADER


@pytest.mark.parametrize("family", [0x01, 0x02, 0x10, 0x13, 0x20, 0x23, 0x30, 0x33, 0x41, 0xFF])
def test_another_family_or_transport_is_refused(family):
    assert judge(block(PROXY, family, TCP6) + REQUEST) == BAD_PROXY_HEADER


@pytest.mark.parametrize("command", [LOCAL, PROXY])
def test_a_block_is_bounded(command):
    room = MAXIMUM_SIZE - 16
    assert read_proxy_header(block(command, 0, b"a" * room), 0, V2) == (MAXIMUM_SIZE, None, None)
    # Refused as soon as the length is known: nothing of it need arrive.
    assert read_proxy_header(block(command, 0, b"", room + 1), 0, V2) == BAD_PROXY_HEADER
    assert read_proxy_header(block(command, 0, b"", 65535), 0, V2) == BAD_PROXY_HEADER


def test_a_header_that_has_not_arrived_whole_is_waited_for():
    for header in (b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", block(PROXY, 0x11, TCP4)):
        for size in range(len(header)):
            assert read_proxy_header(header[:size], 0, AUTO) is NEED_MORE


@pytest.mark.parametrize(
    ("data", "versions"),
    [
        (REQUEST, AUTO),
        (b"POST / HTTP/1.1\r\n", AUTO),
        (b"proxy TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", AUTO),
        (b" PROXY UNKNOWN\r\n", AUTO),
        (b"PROXY\r\n", AUTO),
        (b"PROXY\tUNKNOWN\r\n", AUTO),
        (b"\r\n" + REQUEST, AUTO),
        (b"\r\n\r\n" + REQUEST, AUTO),
        (b"\r\n\r\n\0\r\nQUIT\r", AUTO),
        (b"\x16\x03\x01\x02\x00", AUTO),
        (b"\0", AUTO),
        (block(PROXY, 0x11, TCP4), V1),
        (b"PROXY UNKNOWN\r\n", V2),
    ],
)
def test_where_a_header_is_required_anything_else_is_refused(data, versions):
    assert judge(data, versions) == NO_PROXY_HEADER
