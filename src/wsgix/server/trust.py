"""Which peers are believed about the clients behind them; made from the settings."""

from typing import Any

from wsgix.server.proxied import ProxyHeaderReceiver
from wsgix.server.settings import Settings
from wsgix.wire.addresses import UNKNOWN, Endpoint, TrustedParties, peer_party
from wsgix.wire.forwarded import Forwarding, Rewriter
from wsgix.wire.proxy_protocol import ProxyVersion


class Trust:
    """The trusted proxies of a server: those that speak the PROXY protocol, and those whose fields count."""

    def __init__(self, settings: Settings) -> None:
        self._proxies = TrustedParties(settings.proxy_protocol_from)
        self._versions: ProxyVersion | None = None
        if settings.proxy_protocol != "off":
            self._versions = ProxyVersion[settings.proxy_protocol.upper()]
        self._forwarding: Forwarding | None = None
        if settings.forwarded_from:
            self._forwarding = Forwarding(TrustedParties(settings.forwarded_from), settings.forwarded_header)

    def receiver(self, client: Any) -> ProxyHeaderReceiver | None:
        """Return what receives the PROXY header of a peer, as `accept` names it, that must send one."""
        if self._versions is None or not self._proxies.trusts(peer_party(client)):
            return None
        return ProxyHeaderReceiver(self._versions)

    def rewriter(self, client: Any) -> Rewriter | None:
        """Return what applies, or removes, the forwarding fields of a peer's requests."""
        return None if self._forwarding is None else self._forwarding.rewriter(peer_party(client))

    def rewriter_behind(self, source: Endpoint | None) -> Rewriter | None:
        """Return the same for a peer that a PROXY header names."""
        if self._forwarding is None:
            return None
        return self._forwarding.rewriter(UNKNOWN if source is None else source.address)
