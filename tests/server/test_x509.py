"""What is read in certificates: names in every spelling, and nothing from what is no certificate."""

import contextlib
import ssl

import pytest

from tests.server.authority import RSA, authority
from wsgix.server.x509 import distinguished_name, dns_names, first_certificate, key_algorithm


def der_of(*names, **options):
    return ssl.PEM_cert_to_DER_cert(
        authority().issue_cert(*names, **options).cert_chain_pems[0].bytes().decode()
    )


@pytest.mark.parametrize("options", [{}, {"key_type": RSA}, {"common_name": "ignored.test"}], ids=str)
def test_the_names_of_a_certificate_are_its_dns_names_in_lower_case(options):
    assert dns_names(der_of("A.test", "*.b.test", **options)) == ("a.test", "*.b.test")


def test_addresses_and_mailboxes_are_no_host_names():
    assert dns_names(der_of("127.0.0.1", "::1", "me@mail.test", "a.test")) == ("a.test",)


def test_many_names_need_long_lengths():
    names = tuple(f"host-{number}.a-rather-long-domain.test" for number in range(2000))
    assert dns_names(der_of(*names)) == names


def test_a_certificate_may_have_no_names():
    root = ssl.PEM_cert_to_DER_cert(authority().cert_pem.bytes().decode())
    assert dns_names(root) == ()


def test_the_kind_of_a_key_is_read():
    rsa, curve = key_algorithm(der_of("a.test", key_type=RSA)), key_algorithm(der_of("a.test"))
    assert rsa == b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"  # 1.2.840.113549.1.1.1
    assert curve == b"\x2a\x86\x48\xce\x3d\x02\x01"  # 1.2.840.10045.2.1


@pytest.mark.parametrize("read", [dns_names, key_algorithm])
@pytest.mark.parametrize("der", [b"", b"\x30", b"\x30\x00", b"hello", b"\x30\x84\xff\xff\xff\xff"])
def test_what_is_no_certificate_is_refused(der, read):
    with pytest.raises(ValueError, match="no certificate"):
        read(der)


def test_a_certificate_cut_anywhere_is_refused_or_has_fewer_names():
    der = der_of("a.test", "b.test")
    for end in range(len(der)):
        with contextlib.suppress(ValueError):
            assert len(dns_names(der[:end])) <= 2


def test_a_certificate_cut_anywhere_is_refused_or_has_the_beginning_of_its_kind_of_key():
    der = der_of("a.test")
    for end in range(len(der)):
        with contextlib.suppress(ValueError):
            assert key_algorithm(der).startswith(key_algorithm(der[:end]))


def test_the_first_certificate_of_a_file_is_found_behind_a_key():
    pem = "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n"
    first = "-----BEGIN CERTIFICATE-----\nMQ==\n-----END CERTIFICATE-----"
    second = first.replace("MQ", "Mg")
    assert first_certificate(f"{pem}{first}\n{second}\n") == first


@pytest.mark.parametrize(
    "pem", ["", "hello", "-----BEGIN CERTIFICATE-----\nMQ==\n", "-----END CERTIFICATE-----"]
)
def test_a_file_may_hold_no_certificate(pem):
    assert first_certificate(pem) == ""


def name(*pairs):
    return tuple((pair,) for pair in pairs)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ((), ""),
        (
            name(("countryName", "GB"), ("organizationName", "Acme"), ("commonName", "Ada")),
            "CN=Ada,O=Acme,C=GB",
        ),
        (((("commonName", "Ada"), ("userId", "7")), (("organizationName", "Acme"),)), "O=Acme,CN=Ada+UID=7"),
        (name(("emailAddress", "ada@acme.test")), "emailAddress=ada@acme.test"),
        (name(("1.2.3.4", "x")), "1.2.3.4=x"),
        (name(("commonName", 'a,b+c"d\\e<f>g;h')), 'CN=a\\,b\\+c\\"d\\\\e\\<f\\>g\\;h'),
        (name(("commonName", " a ")), "CN=\\ a\\ "),
        (name(("commonName", " ")), "CN=\\ "),
        (name(("commonName", "#a b#")), "CN=\\#a b#"),
        (name(("commonName", "a\0b")), "CN=a\\00b"),
        (name(("commonName", "")), "CN="),
        (name(("commonName", "Zoë")), "CN=ZoÃ«"),
    ],
)
def test_a_distinguished_name_is_written_as_rfc_4514_says(given, written):
    assert distinguished_name(given) == written
