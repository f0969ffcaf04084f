"""Addresses and the list of those who are trusted."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from wsgix.wire.addresses import UNIX, UNKNOWN, TrustedParties, parse_address, peer_party


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", IPv4Address("192.0.2.1")),
        ("2001:DB8::1", IPv6Address("2001:db8::1")),
        ("::ffff:192.0.2.1", IPv4Address("192.0.2.1")),
        ("::ffff:c000:201", IPv4Address("192.0.2.1")),
        ("::192.0.2.1", IPv6Address("::c000:201")),
    ],
)
def test_an_address_is_read_and_a_mapped_one_is_ipv4(text, address):
    assert parse_address(text) == address


NO_ADDRESSES = """
a 1 1.2.3 01.2.3.4 1.2.3.256 \u0661.2.3.4 \xb2.2.3.4 : ::: 1::2::3 ::12345 [::1] ::ffff:1.2.3.04
::1%lo fe80::1%25eth0
"""


@pytest.mark.parametrize("text", ["", "1.2.3.4 ", " 1.2.3.4", "1.2.3.4\n", *NO_ADDRESSES.split()])
def test_anything_else_is_no_address(text):
    assert parse_address(text) is None


@pytest.mark.parametrize(
    ("client", "party"),
    [
        (("192.0.2.1", 4711), IPv4Address("192.0.2.1")),
        (("::ffff:192.0.2.1", 4711, 0, 0), IPv4Address("192.0.2.1")),
        (("fe80::1%eth0", 4711, 0, 2), IPv6Address("fe80::1")),
        (("a host", 4711), UNKNOWN),
        ("", UNIX),
        ("/run/client.sock", UNIX),
        (b"\0abstract", UNIX),
    ],
)
def test_the_peer_of_an_accepted_connection_is_named(client, party):
    assert peer_party(client) == party


TRUSTED = TrustedParties(["192.0.2.1", "10.0.0.0/8", "2001:db8::/32", "fe80::/10"])


@pytest.mark.parametrize("text", ["192.0.2.1", "10.255.0.1", "2001:db8:ffff::1", "fe80::1"])
def test_an_address_in_the_list_is_trusted(text):
    assert TRUSTED.trusts(ip_address(text))


@pytest.mark.parametrize("text", ["192.0.2.2", "11.0.0.1", "2001:db9::1", "::1", "::a00:1"])
def test_an_address_outside_the_list_is_not(text):
    assert not TRUSTED.trusts(ip_address(text))


def test_unix_sockets_are_trusted_only_by_their_own_entry():
    assert TrustedParties(["unix"]).trusts(UNIX)
    assert not TrustedParties(["0.0.0.0/0", "::/0"]).trusts(UNIX)
    assert not TrustedParties(["unix"]).trusts(IPv4Address("127.0.0.1"))


def test_nobody_unknown_is_ever_trusted():
    assert not TrustedParties(["0.0.0.0/0", "::/0", "unix"]).trusts(UNKNOWN)


def test_an_empty_list_trusts_nobody():
    assert not TrustedParties([]).trusts(IPv4Address("127.0.0.1"))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("", "no IP address"),
        ("localhost", "no IP address"),
        ("*", "no IP address"),
        ("10.0.0.1/8", "host bits"),
        ("10.0.0.0/33", "no IP address"),
        ("unix:/run/a.sock", "no IP address"),
        ("fe80::1%eth0", "zone"),
        ("::ffff:10.0.0.0/104", "write it as IPv4"),
    ],
)
def test_a_wrong_entry_is_refused_with_what_would_be_right(entry, words):
    with pytest.raises(ValueError, match=words):
        TrustedParties(["192.0.2.1", entry])


def test_a_network_that_only_begins_at_the_mapped_addresses_is_no_mapped_one():
    assert TrustedParties(["::/0"]).trusts(IPv6Address("2001:db8::1"))
