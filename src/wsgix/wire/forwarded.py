"""What proxies tell of their clients: Forwarded (RFC 7239) and X-Forwarded-For, -Proto, -Host and -Port.

Who speaks decides. From a trusted peer the one configured family is read and applied to environ; from
anyone else all such fields are removed. A connection asks `Forwarding.rewriter` once, and calls what it got
for every request, after its head was read. Where no proxy is trusted, nothing here is loaded or called.
"""

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from wsgix.facts.grammar import ALPHA, DIGIT, HEXDIG, OWS, QDTEXT, QUOTABLE, TCHAR
from wsgix.facts.refusals import BAD_FORWARDED, Refusal
from wsgix.wire.addresses import UNIX, UNKNOWN, IPAddress, NoAddress, Party, TrustedParties, parse_address
from wsgix.wire.target import is_authority

Environ: TypeAlias = dict[str, Any]
Rewriter: TypeAlias = Callable[[Environ], Refusal | None]
"""Changes the environ of one request, or refuses it."""

FAMILIES: Final = ("x-forwarded", "forwarded")
"""The two ways to tell; a proxy speaks one of them."""

_FORWARDED: Final = "HTTP_FORWARDED"
_FOR: Final = "HTTP_X_FORWARDED_FOR"
_PROTO: Final = "HTTP_X_FORWARDED_PROTO"
_HOST: Final = "HTTP_X_FORWARDED_HOST"
_PORT: Final = "HTTP_X_FORWARDED_PORT"

_PREFIX: Final = "HTTP_X_FORWARDED"
_RELATIVES: Final = frozenset(
    {
        _FORWARDED,
        "HTTP_CF_CONNECTING_IP",
        "HTTP_CLIENT_IP",
        "HTTP_FRONT_END_HTTPS",
        "HTTP_TRUE_CLIENT_IP",
        "HTTP_X_CLIENT_IP",
        "HTTP_X_CLUSTER_CLIENT_IP",
        "HTTP_X_HOST",
        "HTTP_X_HTTPS",
        "HTTP_X_REAL_IP",
        "HTTP_X_SCHEME",
        "HTTP_X_SCRIPT_NAME",
        "HTTP_X_URL_SCHEME",
    }
)
"""Variables without the prefix that proxies set and applications believe."""

_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
"""What a proxy calls the client's protocol to `wsgi.url_scheme`.

Some name WebSocket by its own scheme, though its handshake is an HTTP request (RFC 6455, 1.7).
"""

_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}

_MAXIMUM_CHAIN: Final = 4096
"""Characters of the list of hops: room for a hundred of them, and little work for a forged one."""

_CACHE_SIZE: Final = 1024
_CACHED_LENGTH: Final = 256

# node = nodename [ ":" node-port ]
# nodename = IPv4address / "[" IPv6address "]" / "unknown" / obfnode; obfnode = "_" 1*( ALPHA / DIGIT / "." /
# "_" / "-" ); node-port = port / obfport; port = 1*5DIGIT; obfport is as obfnode            RFC 7239, 6
_OBFUSCATED: Final = f"_[{ALPHA}{DIGIT}._-]++"
_IPV6: Final = f"[{HEXDIG}.]*+:[{HEXDIG}:.]++"
_NODE: Final = re.compile(
    f"(?:([{DIGIT}.]++)|\\[({_IPV6})\\]|unknown|{_OBFUSCATED})(?::(?:([{DIGIT}]{{1,5}})|{_OBFUSCATED}))?",
    re.IGNORECASE | re.ASCII,
)
# X-Forwarded-For has IPv6 addresses without brackets, too; one colon alone would be that of a port.
# Apache names a link-local one with its zone, as its system does: ZoneID, without what is encoded in URIs.
#                                                                                                RFC 6874, 2
_BARE_IPV6: Final = re.compile(f"((?=[^:]*+:[^:]*+:){_IPV6})(%[{ALPHA}{DIGIT}._~-]++)?")

_UNIX_NODE: Final = "unix:"
"""What nginx calls a client over a Unix socket."""

# forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] )
# forwarded-pair = token "=" ( token / quoted-string )                                       RFC 7239, 4
# The grammar has no white space beside ";". Many write it there, and it cannot be misread.
_TOKEN: Final = f"[{re.escape(TCHAR)}]++"
_PAIR: Final = re.compile(
    f"[{OWS}]*+"
    f'(?:({_TOKEN})=(?:({_TOKEN})|"((?:[{re.escape(QDTEXT)}]|\\\\[{re.escape(QUOTABLE)}])*+)"))?'
    f"[{OWS}]*+(;|,|\\Z)"
)
_ESCAPE: Final = re.compile(r"\\(.)")


class Node(NamedTuple):
    """A hop as its successor names it."""

    party: Party
    port: str | None
    """In digits; None where it was left out or obfuscated."""


class Element(NamedTuple):
    """What one proxy added to Forwarded."""

    start: int
    """Where it begins in the field value."""
    parameters: dict[str, str]
    """By name in lower case; quotes and escapes are removed."""


class Chain(NamedTuple):
    """What a list of hops comes to, for those who trust some of them."""

    client: tuple[str, str] | None
    """Address and port of the last hop that is vouched for, "" where unknown; None: nobody is named."""
    vouched: str
    """The part of the list that is vouched for: the client's member and those behind it."""
    hops: int = 0
    """Of X-Forwarded-For: how many members stand behind the client's."""
    proto: str | None = None
    """Of Forwarded; the other family has fields of their own for these."""
    host: str | None = None


class Forwarding:
    """Applies one family of fields where a trusted party vouches for them.

    The hops are walked from the last, which the peer itself named, to the first that is not trusted: that is
    the client. What stands before it the client may have made up; it is neither read nor left in environ.

    Args:
        trusted: the proxies.
        family: one of `FAMILIES`.
    """

    __slots__ = ("_known", "_rewrite", "_trusted")

    def __init__(self, trusted: TrustedParties, family: str) -> None:
        self._trusted = trusted
        self._rewrite = self._apply_forwarded if family == "forwarded" else self._apply_x_forwarded
        # A client makes many requests: its chain is followed once.
        self._known: dict[str, Chain] = {}

    def rewriter(self, peer: Party) -> Rewriter:
        """Choose what is done to each request of a connection whose peer is *peer*.

        Where the PROXY protocol was spoken, the peer is the source it named, `UNKNOWN` without one: the proxy
        that spoke it carries bytes and vouches for no field among them.
        """
        return self._rewrite if self._trusted.trusts(peer) else remove_claims

    def _apply_x_forwarded(self, environ: Environ) -> Refusal | None:
        environ.pop(_FORWARDED, None)
        hops = 0
        value = environ.get(_FOR)
        if value is not None:
            chain = self._known.get(value) or self._learn(value, self._follow_x_forwarded(value))
            if chain is None:
                return BAD_FORWARDED
            hops = chain.hops
            environ[_FOR] = chain.vouched
            _set_client(environ, chain.client)
        return _set_site(
            environ,
            _pick(environ, _PROTO, hops),
            _pick(environ, _HOST, hops),
            _pick(environ, _PORT, hops),
        )

    def _apply_forwarded(self, environ: Environ) -> Refusal | None:
        for key in (_FOR, _PROTO, _HOST, _PORT):
            environ.pop(key, None)
        value = environ.get(_FORWARDED)
        if value is None:
            return None
        chain = self._known.get(value) or self._learn(value, self._follow_forwarded(value))
        if chain is None:
            return BAD_FORWARDED
        environ[_FORWARDED] = chain.vouched
        _set_client(environ, chain.client)
        return _set_site(environ, chain.proto, chain.host, None)

    def _learn(self, value: str, chain: Chain | None) -> Chain | None:
        if chain is not None and len(value) <= _CACHED_LENGTH:
            if len(self._known) >= _CACHE_SIZE:
                self._known.clear()
            self._known[value] = chain
        return chain

    def _follow_x_forwarded(self, value: str) -> Chain | None:
        if len(value) > _MAXIMUM_CHAIN:
            return None
        hops = 0
        end = len(value)
        while True:
            comma = value.rfind(",", 0, end)
            node = parse_node(value[comma + 1 : end].strip(OWS), lax=True)
            if node is None:
                return None
            if comma < 0 or not self._trusted.trusts(node.party):
                return Chain(_client(node), value[comma + 1 :].strip(OWS), hops)
            hops += 1
            end = comma

    def _follow_forwarded(self, value: str) -> Chain | None:
        elements = parse_forwarded(value)
        if elements is None:
            return None
        client = proto = host = None
        for element in reversed(elements):
            # What the proxy nearest to the client says is what the client asked for. If it says nothing, its
            # successor's word is the best there is.
            proto = element.parameters.get("proto", proto)
            host = element.parameters.get("host", host)
            name = element.parameters.get("for")
            if name is None:
                break
            node = parse_node(name)
            if node is None:
                return None
            client = _client(node)
            if not self._trusted.trusts(node.party):
                break
        return Chain(client, value[element.start :].strip(OWS), proto=proto, host=host)


def remove_claims(environ: Environ) -> None:
    """Remove all by which a client could pass for a proxy."""
    for key in [key for key in environ if key.startswith(_PREFIX) or key in _RELATIVES]:
        del environ[key]


def parse_node(text: str, *, lax: bool = False) -> Node | None:
    """Read the name of a hop, as `for` of Forwarded has it unquoted (RFC 7239, 6); None if it is malformed.

    An obfuscated name is `UNKNOWN`. Lax are the members of X-Forwarded-For: IPv6 addresses may stand without
    brackets, link-local ones with a zone then, and nginx says "unix:".
    """
    match = _NODE.fullmatch(text)
    if match is not None:
        ipv4, ipv6, port = match.groups()
        if port is not None and int(port) > 65535:
            return None
        name = ipv4 or ipv6
        if name is None:
            return Node(UNKNOWN, port)
        address = parse_address(name)
    elif lax and text == _UNIX_NODE:
        return Node(UNIX, None)
    else:
        port = None
        address = _parse_bare(text) if lax else None
    return None if address is None else Node(address, port)


def _parse_bare(text: str) -> IPAddress | None:
    """Read an IPv6 address without brackets; of a link-local one the zone, if there is one, is dropped."""
    match = _BARE_IPV6.fullmatch(text)
    if match is None:
        return None
    address = parse_address(match[1])
    return None if match[2] and address is not None and not address.is_link_local else address


def parse_forwarded(value: str) -> list[Element] | None:
    """Split the value of Forwarded into what each proxy added; None if it is malformed or too long.

    An empty member of the list counts as a hop that says nothing: the grammar allows an element without pairs
    (RFC 7239, 4). "A recipient MUST parse and ignore a reasonable number of empty list elements" (RFC 9110,
    5.6.1.2); but a proxy that adds an empty value knows no client, and what stands before it may be forged.
    """
    if len(value) > _MAXIMUM_CHAIN:
        return None
    elements = []
    start = position = 0
    parameters: dict[str, str] = {}
    while True:
        match = _PAIR.match(value, position)
        if match is None:
            return None
        name, token, quoted, separator = match.groups()
        if name is not None:
            name = name.lower()
            # "Each parameter MUST NOT occur more than once per field-value" element (RFC 7239, 4)
            if name in parameters:
                return None
            parameters[name] = token if quoted is None else _ESCAPE.sub(r"\1", quoted)
        position = match.end()
        if separator != ";":
            elements.append(Element(start, parameters))
            start = position
            parameters = {}
            if not separator:
                return elements


def _client(node: Node) -> tuple[str, str]:
    if isinstance(node.party, NoAddress):
        return "", ""
    return str(node.party), "" if node.port is None else str(int(node.port))


def _pick(environ: Environ, key: str, hops: int) -> str | None:
    """Keep of a list the member that the last of *hops* trusted hops added, and return it.

    Proxies replace the value or add to it. Where all of them add, the members stand side by side with those
    of X-Forwarded-For; where the list is shorter, its first member is that of the first who replaced it.
    """
    value: str | None = environ.get(key)
    if value is not None and "," in value:
        members = value.rsplit(",", hops + 1)
        value = environ[key] = members[max(0, len(members) - 1 - hops)].strip(OWS)
    return value


def _set_client(environ: Environ, client: tuple[str, str] | None) -> None:
    if client is not None:
        # Where the client is unknown, its proxy's address would be a wrong one; so would its proxy's port.
        for key, value in zip(("REMOTE_ADDR", "REMOTE_PORT"), client, strict=True):
            if value:
                environ[key] = value
            else:
                environ.pop(key, None)


def _set_site(environ: Environ, proto: str | None, host: str | None, port: str | None) -> Refusal | None:
    """Apply what the client asked for: scheme, host and port, each None where nobody told."""
    if proto is not None:
        scheme = _SCHEMES.get(proto.lower())
        if scheme is None:
            return BAD_FORWARDED
        environ["wsgi.url_scheme"] = scheme
        if scheme == "https":
            environ["HTTPS"] = "on"
        else:
            environ.pop("HTTPS", None)
    if port is not None and not _is_port(port):
        return BAD_FORWARDED
    if host is not None:
        if not is_authority(host):
            return BAD_FORWARDED
        environ["HTTP_HOST"] = host
        environ["SERVER_NAME"] = _split_authority(host)[0]
    if proto is not None or host is not None or port is not None:
        port = port or _split_authority(environ.get("HTTP_HOST", ""))[1]
        environ["SERVER_PORT"] = str(int(port)) if port else _DEFAULT_PORTS[environ["wsgi.url_scheme"]]
    return None


def _is_port(text: str) -> bool:
    return 0 < len(text) <= 5 and not text.strip(DIGIT) and 0 < int(text) <= 65535


def _split_authority(authority: str) -> tuple[str, str]:
    """Split host and port, "" where there is none; an IPv6 address keeps its brackets (RFC 3875, 4.1.14)."""
    host, _, port = authority.rpartition(":")
    # Without a port, the last colon is inside the brackets or there is none.
    return (authority, "") if not host or "]" in port else (host, port)
