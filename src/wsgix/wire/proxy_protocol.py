"""The PROXY protocol, versions 1 and 2: what a proxy sends ahead of everything else. Sans-I/O.

The header tells whose connection the proxy carries on. It is read only on a connection whose peer is trusted
to send it, once, before TLS and before the first request; there it is required. The rules are those of the
specification that HAProxy publishes as doc/proxy-protocol.txt, here "PROXY", by section.
"""

import enum
import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Literal, NamedTuple, TypeAlias

from wsgix.facts.grammar import DIGIT, HEXDIG
from wsgix.facts.refusals import BAD_PROXY_HEADER, NO_PROXY_HEADER, Refusal
from wsgix.wire.addresses import Endpoint, parse_address, unmapped
from wsgix.wire.http1 import NEED_MORE, Step


class ProxyVersion(enum.Flag):
    """Which versions are accepted."""

    V1 = enum.auto()
    """One line of text."""
    V2 = enum.auto()
    """A binary block."""
    AUTO = V1 | V2
    """Either: their first bytes tell them apart."""


class ProxyHeader(NamedTuple):
    """A header that was read.

    Without endpoints the connection's own addresses stand: the proxy speaks for itself, as in a health check,
    or does not know the client, or the client has no IP address.
    """

    end: int
    """Index of the first byte behind the header."""
    source: Endpoint | None
    """The client."""
    destination: Endpoint | None
    """What the client connected to."""


MAXIMUM_SIZE: Final = 4096
"""Bytes of a header of version 2 with its extensions; the protocol itself allows 65551."""

# "If the CRLF sequence is not found in the first 107 characters, the receiver should declare the line
# invalid."                                                                                  PROXY, 2.1
_MAXIMUM_LINE: Final = 107
_SIGNATURE_1: Final = b"PROXY "
_SIGNATURE_2: Final = b"\r\n\r\n\0\r\nQUIT\n"

_UNKNOWN_LINE: Final = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?")
# "exactly one space" between; "Heading zeroes are not permitted in front of numbers"        PROXY, 2.1
_PORT: Final = f"(0|[1-9][{DIGIT}]{{0,4}})"
_IPV4: Final = f"([{DIGIT}.]+)"
_IPV6: Final = f"([{HEXDIG}.]*:[{HEXDIG}:.]*)"
_LINE: Final = re.compile(
    f"PROXY TCP(?:4 {_IPV4} {_IPV4}|6 {_IPV6} {_IPV6}) {_PORT} {_PORT}",
)

# Signature, version with command, family with transport, length of the rest                 PROXY, 2.2
_FIXED: Final = 16
_LOCAL: Final = 0x20
_PROXY: Final = 0x21
_UNSPECIFIED: Final = 0x00

_ADDRESS_SIZES: Final = {0x11: 4, 0x12: 4, 0x21: 16, 0x22: 16, 0x31: 108, 0x32: 108}
"""Family and transport to the size of one address, in bytes: IPv4, IPv6 and Unix, as stream and as datagram.

A client comes by datagrams where the proxy speaks HTTP/3 to it.
"""
_UNIX_SIZE: Final = 108
_TLV_HEAD: Final = 3
"""A type of one byte and a length of two."""

Result: TypeAlias = ProxyHeader | Refusal | Literal[Step.NEED_MORE]
"""What reading comes to."""


def read_proxy_header(buffer: bytes | bytearray, start: int, versions: ProxyVersion) -> Result:
    """Read the header that must begin at `start`.

    After `NEED_MORE`, all bytes from `start` on belong to the header; call again with more behind them. The
    verdict depends on the bytes alone, never on how they were cut.
    """
    first = bytes(buffer[start : start + len(_SIGNATURE_2)])
    if versions & ProxyVersion.V1 and _SIGNATURE_1.startswith(first[: len(_SIGNATURE_1)]):
        return NEED_MORE if len(first) < len(_SIGNATURE_1) else _read_line(buffer, start)
    if versions & ProxyVersion.V2 and _SIGNATURE_2.startswith(first):
        return NEED_MORE if len(first) < len(_SIGNATURE_2) else _read_block(buffer, start)
    # "The receiver ... MUST not try to guess whether the protocol header is present or not." (PROXY, 2)
    return NO_PROXY_HEADER


def _read_line(buffer: bytes | bytearray, start: int) -> Result:
    limit = start + _MAXIMUM_LINE
    end = buffer.find(b"\r\n", start, limit)
    if end < 0:
        return NEED_MORE if len(buffer) < limit else BAD_PROXY_HEADER
    line = bytes(buffer[start:end])
    end += 2
    # "the receiver must ignore anything presented before the CRLF is found" (PROXY, 2.1)
    if _UNKNOWN_LINE.fullmatch(line):
        return ProxyHeader(end, None, None)
    match = _LINE.fullmatch(line.decode("latin-1"))
    if match is None:
        return BAD_PROXY_HEADER
    source, destination = parse_address(match[1] or match[3]), parse_address(match[2] or match[4])
    source_port, destination_port = int(match[5]), int(match[6])
    if source is None or destination is None or max(source_port, destination_port) > 65535:
        return BAD_PROXY_HEADER
    return ProxyHeader(end, Endpoint(source, source_port), Endpoint(destination, destination_port))


def _read_block(buffer: bytes | bytearray, start: int) -> Result:
    if len(buffer) - start < _FIXED:
        return NEED_MORE
    command, family = buffer[start + 12], buffer[start + 13]
    size = _FIXED + int.from_bytes(buffer[start + 14 : start + 16], "big")
    # "the receiver must only accept this value" of the version; of the command, "Receivers must drop
    # connections presenting unexpected values"; of family and transport, others "must be rejected as invalid
    # by receivers" (PROXY, 2.2)
    known = command == _LOCAL or (command == _PROXY and (family == _UNSPECIFIED or family in _ADDRESS_SIZES))
    if not known or size > MAXIMUM_SIZE:
        return BAD_PROXY_HEADER
    end = start + size
    if len(buffer) < end:
        return NEED_MORE
    # LOCAL: "The receiver must accept this connection as valid and must use the real connection endpoints and
    # discard the protocol block including the family which is ignored." UNSPEC: "The receiver should ignore
    # address information." (PROXY, 2.2)
    if command == _LOCAL or family == _UNSPECIFIED:
        return ProxyHeader(end, None, None)
    return _read_endpoints(bytes(buffer[start + _FIXED : end]), _ADDRESS_SIZES[family], end)


def _read_endpoints(block: bytes, address_size: int, end: int) -> Result:
    port_size = 0 if address_size == _UNIX_SIZE else 2
    extensions = 2 * (address_size + port_size)
    if not _tiles(block, extensions):
        return BAD_PROXY_HEADER
    if address_size == _UNIX_SIZE:
        return ProxyHeader(end, None, None)
    ports = 2 * address_size
    return ProxyHeader(
        end,
        _binary_endpoint(block[:address_size], block[ports : ports + 2]),
        _binary_endpoint(block[address_size:ports], block[ports + 2 : ports + 4]),
    )


def _binary_endpoint(address: bytes, port: bytes) -> Endpoint:
    parsed = IPv4Address(address) if len(address) == 4 else unmapped(IPv6Address(address))
    return Endpoint(parsed, int.from_bytes(port, "big"))


def _tiles(block: bytes, position: int) -> bool:
    """Tell whether extensions (type, length, value) fill the block from `position` on, to the last byte."""
    while position + _TLV_HEAD <= len(block):
        position += _TLV_HEAD + int.from_bytes(block[position + 1 : position + _TLV_HEAD], "big")
    return position == len(block)
