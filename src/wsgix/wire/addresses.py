"""Who is at the other end: an IP address or none, and the list of those whose word about others is taken.

Pure. The PROXY protocol and the Forwarded fields are read with it; the server makes one list for each
from its settings. Nothing here resolves a name.
"""

import enum
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final, NamedTuple, TypeAlias


class NoAddress(enum.Enum):
    """A party that has no IP address."""

    UNIX = enum.auto()
    """A process of the same machine, over a Unix socket."""
    UNKNOWN = enum.auto()
    """Nobody knows, or nobody says: never trusted."""


IPAddress: TypeAlias = IPv4Address | IPv6Address

Party: TypeAlias = IPAddress | NoAddress
"""One end of a connection."""


class Endpoint(NamedTuple):
    """One end of a TCP connection."""

    address: IPAddress
    port: int


UNIX: Final = NoAddress.UNIX
UNKNOWN: Final = NoAddress.UNKNOWN

UNIX_ENTRY: Final = "unix"
"""The entry of a list that trusts all peers over Unix sockets."""


def parse_address(text: str) -> IPAddress | None:
    """Read an IP address without brackets, port and zone; None if the text is none.

    An IPv4 address is dotted decimal without leading zeros. One that is mapped into IPv6 (RFC 4291, 2.5.5.2)
    becomes IPv4: a dual-stack socket and a proxy may spell the same host differently.
    """
    # A zone names an interface of the speaker's machine (RFC 4007, 11): it means nothing here.
    if "%" in text:
        return None
    try:
        return unmapped(IPv6Address(text)) if ":" in text else IPv4Address(text)
    except ValueError:
        return None


def unmapped(address: IPv6Address) -> IPAddress:
    """Turn an IPv4-mapped address into the IPv4 address that it means; others stay."""
    return address.ipv4_mapped or address


def peer_party(client: object) -> Party:
    """Say who is at the other end, from the second value of `socket.accept()`.

    TCP gives (host, port, ...), where the host of a link-local address has a zone; a Unix socket a path.
    """
    if not isinstance(client, tuple):
        return UNIX
    return parse_address(client[0].partition("%")[0]) or UNKNOWN


class TrustedParties:
    """Addresses and networks whose word is taken.

    Args:
        entries: each an IP address, a network as in "10.0.0.0/8", or "unix" for all Unix sockets.

    Raises:
        ValueError: an entry is something else; the text says what would be right.
    """

    __slots__ = ("_networks", "_unix")

    def __init__(self, entries: Iterable[str]) -> None:
        entries = [*entries]
        self._unix = UNIX_ENTRY in entries
        self._networks = [_parse_network(entry) for entry in entries if entry != UNIX_ENTRY]

    def trusts(self, party: Party) -> bool:
        """Tell whether the word of *party* is taken."""
        if isinstance(party, NoAddress):
            return party is UNIX and self._unix
        return any(party in network for network in self._networks)


def _parse_network(entry: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(entry)
    except ValueError as error:
        raise ValueError(
            f"{entry!r} is no IP address, no network such as 10.0.0.0/8, and not {UNIX_ENTRY!r}: {error}"
        ) from None
    if isinstance(network, IPv6Network):
        if network.network_address.scope_id is not None:
            raise ValueError(f"{entry!r} has a zone; leave it out")
        # Mapped addresses are compared as IPv4: such an entry would never match.
        if network.network_address.ipv4_mapped is not None and network.prefixlen >= 96:
            raise ValueError(f"{entry!r} is an IPv4 network mapped into IPv6; write it as IPv4")
    return network
