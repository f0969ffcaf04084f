"""What the server reads in certificates: host names, distinguished names, the kind of key. Pure functions.

`certificates` and `tls` call them. Nothing is verified here: that is OpenSSL's work.
"""

from collections.abc import Iterable, Iterator
from typing import Final

_SUBJECT_ALT_NAME: Final = b"\x55\x1d\x11"
"""The object identifier 2.5.29.17 (RFC 5280, 4.2.1.6), as DER writes it."""
_VERSION: Final = 0xA0
"""`version [0] EXPLICIT Version DEFAULT v1` (RFC 5280, 4.1)."""
_SUBJECT_PUBLIC_KEY_INFO: Final = 5
"""Its place among the fields behind the version (RFC 5280, 4.1)."""
_EXTENSIONS: Final = 0xA3
"""`extensions [3] EXPLICIT Extensions OPTIONAL` (RFC 5280, 4.1)."""
_DNS_NAME: Final = 0x82
"""`dNSName [2] IA5String` (RFC 5280, 4.2.1.6)."""

_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_END: Final = "-----END CERTIFICATE-----"

_SHORT_NAMES: Final = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "givenName": "GN",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "STREET",
    "surname": "SN",
    "userId": "UID",
}
"""Attribute types by OpenSSL's long name: those of RFC 4514, 3, and what mod_ssl shortens, too."""

_ESCAPES: Final = {ord(character): "\\" + character for character in ',+"\\<>;'} | {0: "\\00"}

Name = Iterable[Iterable[tuple[str, str]]]
"""A distinguished name as `ssl` decodes it: relative names, each of (attribute type, value) pairs."""


def first_certificate(pem: str) -> str:
    """Return the first certificate of a PEM file, "" if it has none: the one that names the server."""
    _, begin, rest = pem.partition(_BEGIN)
    content, end, _ = rest.partition(_END)
    return f"{begin}{content}{end}" if end else ""


def dns_names(der: bytes) -> tuple[str, ...]:
    """Return the host names that a certificate is for, in lower case, wildcards as they stand.

    They stand in subjectAltName; the common name of the subject does not count (RFC 9525, 2).

    Args:
        der: a certificate.

    Raises:
        ValueError: it is none.
    """
    try:
        for identifier, value in _extensions(der):
            if identifier == _SUBJECT_ALT_NAME:
                names = _elements(_first(value))
                return tuple(name.decode("latin-1").lower() for tag, name in names if tag == _DNS_NAME)
    except (IndexError, StopIteration):
        raise ValueError("this is no certificate") from None
    return ()


def key_algorithm(der: bytes) -> bytes:
    """Return what kind of key a certificate has: an object identifier as DER writes it.

    RSA has one and Ed25519 another; the elliptic curves of ECDSA have one in common (RFC 5480, 2.1.1).

    Args:
        der: a certificate.

    Raises:
        ValueError: it is none.
    """
    try:
        fields = [content for tag, content in _elements(_first(_first(der))) if tag != _VERSION]
        return _first(_first(fields[_SUBJECT_PUBLIC_KEY_INFO]))
    except (IndexError, StopIteration):
        raise ValueError("this is no certificate") from None


def _extensions(der: bytes) -> list[tuple[bytes, bytes]]:
    """Return the identifier and the value of each extension of a certificate."""
    found = []
    for tag, content in _elements(_first(_first(der))):
        if tag == _EXTENSIONS:
            for _, extension in _elements(_first(content)):
                # Between the two may stand whether the extension is critical.
                parts = [part for _, part in _elements(extension)]
                found.append((parts[0], parts[-1]))
    return found


def _first(der: bytes) -> bytes:
    """Return the content of the first element."""
    return next(_elements(der))[1]


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the tag and content of each element that stands in *der*: tag, length, content (X.690, 8.1)."""
    position = 0
    while position < len(der):
        tag, length = der[position], der[position + 1]
        position += 2
        if length & 0x80:
            start, position = position, position + (length & 0x7F)
            length = int.from_bytes(der[start:position])
        yield tag, der[position : position + length]
        position += length


def distinguished_name(name: Name) -> str:
    """Write *name* as RFC 4514 does, the last relative name first, as in "CN=Ada,O=Example,C=GB".

    The result is UTF-8 seen as latin-1, as environ holds text (PEP 3333, "Unicode Issues").
    """
    relative_names = ["+".join(_attribute(*pair) for pair in relative_name) for relative_name in name]
    return ",".join(reversed(relative_names)).encode("utf-8").decode("latin-1")


def _attribute(kind: str, value: str) -> str:
    text = value.translate(_ESCAPES)
    # A space or "#" at the beginning and a space at the end are escaped, too (RFC 4514, 2.4).
    if value[:1] in {" ", "#"}:
        text = "\\" + text
    if len(value) > 1 and value[-1] == " ":
        text = text[:-1] + "\\ "
    return f"{_SHORT_NAMES.get(kind, kind)}={text}"
