"""What proxies tell, under any bytes: no exception, no dependence on cuts, no client that makes itself up."""

from ipaddress import ip_address

from hypothesis import example, given
from hypothesis import strategies as st

from wsgix.facts.refusals import BAD_FORWARDED, Refusal
from wsgix.wire.addresses import TrustedParties
from wsgix.wire.forwarded import FAMILIES, Forwarding, parse_forwarded
from wsgix.wire.http1 import NEED_MORE
from wsgix.wire.proxy_protocol import MAXIMUM_SIZE, ProxyHeader, ProxyVersion, read_proxy_header
from wsgix.wire.target import is_authority

# The PROXY protocol

WORDS = b"PROXY  TCP4 TCP6 UNKNOWN 192.0.2.1 2001:db8::1 ::ffff:192.0.2.1 0 443 65536 a".split(b" ")
LINE = st.lists(st.sampled_from(WORDS), max_size=7).map(lambda words: b"PROXY " + b" ".join(words) + b"\r\n")
BLOCK = st.builds(
    lambda command, family, size, content: (
        b"\r\n\r\n\0\r\nQUIT\n" + bytes([command, family]) + size.to_bytes(2, "big") + content
    ),
    st.sampled_from([0x20, 0x21]) | st.integers(0, 255),
    st.sampled_from([0x00, 0x11, 0x21, 0x31]) | st.integers(0, 255),
    st.sampled_from([0, 12, 15, 36, 39, 216]) | st.integers(0, 65535),
    st.binary(max_size=60) | st.binary(min_size=216, max_size=260),
)
WIRE = st.builds(bytes.__add__, LINE | BLOCK | st.binary(max_size=20), st.binary(max_size=20))
VERSIONS = st.sampled_from([ProxyVersion.V1, ProxyVersion.V2, ProxyVersion.AUTO])


def first_verdict(pieces, versions):
    held = b""
    for piece in pieces:
        held += piece
        result = read_proxy_header(held, 0, versions)
        if result is not NEED_MORE:
            return result
    return NEED_MORE


@given(WIRE, VERSIONS, st.data())
def test_a_header_is_the_same_however_it_is_cut(wire, versions, data):
    whole = read_proxy_header(wire, 0, versions)
    assert first_verdict([wire[i : i + 1] for i in range(len(wire))], versions) == whole
    cut = data.draw(st.integers(0, len(wire)))
    assert first_verdict([wire[:cut], wire[cut:]], versions) == whole


@given(WIRE)
def test_auto_reads_what_one_of_both_versions_reads(wire):
    both = read_proxy_header(wire, 0, ProxyVersion.AUTO)
    each = [read_proxy_header(wire, 0, version) for version in (ProxyVersion.V1, ProxyVersion.V2)]
    assert both in each
    assert not isinstance(both, Refusal) or all(isinstance(one, Refusal) for one in each)


@given(WIRE, st.binary(max_size=20), VERSIONS)
def test_what_follows_a_header_changes_nothing(wire, rest, versions):
    header = read_proxy_header(wire, 0, versions)
    if isinstance(header, ProxyHeader):
        assert header.end <= min(len(wire), MAXIMUM_SIZE)
        assert read_proxy_header(wire[: header.end], 0, versions) == header
        assert read_proxy_header(wire[: header.end] + rest, 0, versions) == header


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6), st.integers(0, 65535), st.integers(0, 65535))
def test_both_versions_tell_the_same(address, source_port, destination_port):
    family, number = ("TCP4", 0x11) if address.version == 4 else ("TCP6", 0x21)
    line = f"PROXY {family} {address} {address} {source_port} {destination_port}\r\n".encode()
    content = address.packed * 2 + source_port.to_bytes(2, "big") + destination_port.to_bytes(2, "big")
    block = b"\r\n\r\n\0\r\nQUIT\n\x21" + bytes([number, 0, len(content)]) + content
    text = read_proxy_header(line, 0, ProxyVersion.AUTO)
    binary = read_proxy_header(block, 0, ProxyVersion.AUTO)
    assert text[1:] == binary[1:]
    assert text.source.port == source_port


# Forwarded and X-Forwarded-*

PROXY = ip_address("10.0.0.1")
TRUSTED = TrustedParties(["10.0.0.0/8"])
CLIENT = "192.0.2.1"

LATIN_1 = st.text(st.characters(max_codepoint=255, exclude_categories=()), max_size=30)
PIECES = [
    '"',
    "\\",
    ",",
    ";",
    "=",
    " ",
    "for",
    "FOR",
    "by",
    "proto",
    "host",
    "http",
    "https",
    "unknown",
    "_x",
]
ADDRESSES = [CLIENT, "10.0.0.2", "127.0.0.1", "[::1]", "::1", ":80", "::ffff:10.0.0.3", "unix:", "a.example"]
NEARLY = st.lists(st.sampled_from(PIECES + ADDRESSES), max_size=12).map("".join)
VALUE = NEARLY | LATIN_1
KEYS = ["HTTP_FORWARDED", *(f"HTTP_X_FORWARDED_{name}" for name in ("FOR", "PROTO", "HOST", "PORT", "SSL"))]
FIELDS = st.dictionaries(st.sampled_from(KEYS), VALUE)


def base():
    return {
        "REMOTE_ADDR": str(PROXY),
        "REMOTE_PORT": "1",
        "HTTP_HOST": "a",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
    }


@given(FIELDS, st.sampled_from(FAMILIES))
def test_whatever_a_proxy_says_environ_stays_in_order(fields, family):
    environ = base() | fields
    refusal = Forwarding(TRUSTED, family).rewriter(PROXY)(environ)
    if refusal is None:
        assert (
            "REMOTE_ADDR" not in environ or str(ip_address(environ["REMOTE_ADDR"])) == environ["REMOTE_ADDR"]
        )
        assert "REMOTE_PORT" not in environ or (
            "REMOTE_ADDR" in environ and 0 <= int(environ["REMOTE_PORT"]) < 65536
        )
        assert environ["wsgi.url_scheme"] == ("https" if "HTTPS" in environ else "http")
        assert 0 <= int(environ["SERVER_PORT"]) < 65536
        assert is_authority(environ["HTTP_HOST"])
    else:
        assert refusal == BAD_FORWARDED


@given(FIELDS, st.sampled_from(FAMILIES))
def test_reading_twice_is_reading_once(fields, family):
    """What is left in environ is what was believed: a middleware that reads it again finds the same."""
    environ = base() | fields
    rewrite = Forwarding(TRUSTED, family).rewriter(PROXY)
    if rewrite(environ) is None:
        again = base() | {key: value for key, value in environ.items() if key in KEYS}
        if "HTTP_X_FORWARDED_HOST" in environ or "HTTP_FORWARDED" in environ:
            again["HTTP_HOST"] = environ["HTTP_HOST"]
        assert rewrite(again) is None
        assert again == environ


@given(VALUE)
@example('for="')
def test_what_a_client_writes_before_its_proxy_never_makes_its_address(forged):
    """The proxy adds the client's address behind whatever came: the request is that client's or refused."""
    for family, key, told in (
        ("x-forwarded", "HTTP_X_FORWARDED_FOR", CLIENT),
        ("forwarded", "HTTP_FORWARDED", f"for={CLIENT};proto=http;host=a"),
    ):
        for chain in (f"{forged},{told}", f"{forged}, {told}"):
            environ = base() | {key: chain}
            if Forwarding(TRUSTED, family).rewriter(PROXY)(environ) is None:
                assert environ["REMOTE_ADDR"] == CLIENT
                assert environ[key] == told
                assert (environ["wsgi.url_scheme"], environ["HTTP_HOST"]) == ("http", "a")
            else:
                assert key == "HTTP_FORWARDED"


@given(FIELDS, st.sampled_from(FAMILIES))
def test_an_untrusted_peer_changes_nothing(fields, family):
    environ = base() | fields
    assert Forwarding(TRUSTED, family).rewriter(ip_address(CLIENT))(environ) is None
    assert environ == base()


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["for", "by", "ext"]), LATIN_1, min_size=1), min_size=1, max_size=4
    )
)
def test_parameters_that_are_quoted_are_read_back(elements):
    def quote(text):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    value = ", ".join(";".join(f"{name}={quote(text)}" for name, text in each.items()) for each in elements)
    controls = any(
        (ord(c) < 32 and c != "\t") or c == "\x7f" for each in elements for c in "".join(each.values())
    )
    parsed = parse_forwarded(value)
    assert controls == (parsed is None)
    assert parsed is None or [element.parameters for element in parsed] == elements
