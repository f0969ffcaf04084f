"""The certificates that the server shows and those that it asks of clients: files in, `ssl.SSLContext` out.

A handshake uses the context that was current when it began, so that files may be read anew while
connections go on. What TLS does on a connection is `tls`'; nothing here talks to a client.
"""

import contextlib
import os
import socket
import ssl
import stat
import threading
from collections.abc import Mapping, Sequence
from typing import Final

from wsgix.server.settings import ConfigurationError
from wsgix.server.sure_log import log
from wsgix.server.tls import TLSSocket
from wsgix.server.x509 import dns_names, first_certificate, key_algorithm

_VERIFY_MODES: Final = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}
_MISMATCHES: Final = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})
"""What OpenSSL says of a key that belongs to another certificate; the last, if it is of another kind."""


class Certificates:
    """The certificates of a server; which one a client gets is decided by the name it asks for (SNI).

    A client that asks for no name, or for one that no certificate bears, gets the first. That the arguments
    go together is for `settings` to see to.

    Args:
        certfiles: PEM files, one or more, each with a certificate of the server and its chain, but the root.
        keyfiles: a PEM file with the private key for each, or none if the certfiles hold their keys.
        ca_certs: a PEM file with the authorities whose client certificates are accepted, or None.
        client_certs: "none", "optional" or "required".

    Raises:
        ConfigurationError: a file is missing or cannot be used.
    """

    def __init__(
        self,
        certfiles: Sequence[str],
        keyfiles: Sequence[str] = (),
        ca_certs: str | None = None,
        client_certs: str = "none",
    ) -> None:
        self._pairs = [*zip(certfiles, keyfiles or certfiles, strict=True)]
        self._ca_certs = ca_certs
        self._verify_mode = _VERIFY_MODES[client_certs]
        self._context = self._load()
        self._is_outdated = False
        self._reading = threading.Lock()

    # On the leader

    def wrap(self, accepted: socket.SocketType) -> TLSSocket:
        """Begin TLS on an accepted socket."""
        return TLSSocket(accepted, self._context)

    # On any thread

    def reload(self) -> None:
        """Read the files again: what they hold now is for the handshakes that begin from now on.

        Connections go on. If a file cannot be used, the certificates stay as they are, and the log says why.
        If they are being read already, whoever does that reads them once more, and this returns at once.
        """
        self._is_outdated = True
        # A signal may come while its handler is here. What it reads must not be replaced with what was read
        # before.
        while self._is_outdated and self._reading.acquire(blocking=False):
            try:
                self._is_outdated = False
                self._read_again()
            finally:
                self._reading.release()

    def _read_again(self) -> None:
        try:
            self._context = self._load()
        except ConfigurationError as error:
            log.error("the certificates stay as they were: %s", error)
        else:
            log.info("the certificates were read again")

    def _load(self) -> ssl.SSLContext:
        """Return the context that handshakes begin with; it knows of the others."""
        contexts: list[ssl.SSLContext] = []
        by_names: dict[tuple[str, ...], ssl.SSLContext] = {}
        by_name: dict[str, ssl.SSLContext] = {}
        certfiles: dict[tuple[tuple[str, ...], bytes], str] = {}
        for certfile, keyfile in self._pairs:
            context = self._make_context(certfile, keyfile)
            contexts.append(context)
            names, algorithm = _names_and_key(certfile)
            if not names:
                continue
            first = certfiles.get((names, algorithm))
            if first is not None:
                # A context has room for one of a kind, and takes the last.
                log.warning("certfile %r is not used: %r has the same names and kind of key", certfile, first)
                continue
            certfiles[names, algorithm] = certfile
            if names in by_names:
                # ECDSA beside RSA, say: OpenSSL chooses by what the client can verify.
                _load_pair(by_names[names], certfile, keyfile)
            else:
                by_names[names] = context
                for name in names:
                    by_name.setdefault(name, context)
        # With the callback, a name that is not ASCII fails the handshake, and has `ssl` write a traceback to
        # standard error, past the log (sys.unraisablehook).
        if any(context is not contexts[0] for context in by_name.values()):
            _choose_by_name(contexts[0], by_name)
        return contexts[0]

    def _make_context(self, certfile: str, keyfile: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # RFC 8996: the versions before must not be used.
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        _load_pair(context, certfile, keyfile)
        _warn_if_exposed(keyfile)
        if self._ca_certs:
            _read("ca_certs", self._ca_certs)
            try:
                context.load_verify_locations(self._ca_certs)
            except ssl.SSLError:
                raise ConfigurationError(f"ca_certs {self._ca_certs!r} holds no PEM certificate") from None
            except OSError as error:  # it has gone since it was read
                raise ConfigurationError(
                    f"cannot read ca_certs {self._ca_certs!r}: {error.strerror}"
                ) from None
            context.verify_mode = self._verify_mode
        return context


def _choose_by_name(context: ssl.SSLContext, by_name: Mapping[str, ssl.SSLContext]) -> None:
    """Let handshakes that begin with *context* go on with the one for the name that the client asks for."""

    def choose(tls: ssl.SSLObject, server_name: str | None, _context: ssl.SSLContext) -> None:
        name = (server_name or "").lower()
        # A wildcard stands for one label, the leftmost (RFC 9525, 6.3).
        chosen = by_name.get(name) or by_name.get("*." + name.partition(".")[2])
        if chosen is not None:
            tls.context = chosen

    context.sni_callback = choose


def _read(setting: str, path: str) -> str:
    """Return the text of a PEM file; done before `ssl` reads it, whose errors do not name it."""
    try:
        with open(path, encoding="latin-1") as file:
            return file.read()
    except OSError as error:
        raise ConfigurationError(f"cannot read {setting} {path!r}: {error.strerror}") from None


def _names_and_key(certfile: str) -> tuple[tuple[str, ...], bytes]:
    try:
        der = ssl.PEM_cert_to_DER_cert(first_certificate(_read("certfile", certfile)))
        return dns_names(der), key_algorithm(der)
    except ValueError:
        raise ConfigurationError(f"cannot find the certificate in certfile {certfile!r}") from None


def _load_pair(context: ssl.SSLContext, certfile: str, keyfile: str) -> None:
    def refuse() -> str:
        # Without this, OpenSSL asks at the terminal, and the server stands still.
        raise ConfigurationError(f"keyfile {keyfile!r} is encrypted; remove its pass phrase")

    _read("certfile", certfile)
    _read("keyfile", keyfile)
    try:
        context.load_cert_chain(certfile, keyfile, password=refuse)
    except ssl.SSLError as error:
        if error.reason in _MISMATCHES:
            fault = "the key belongs to another certificate"
        elif error.reason:
            fault = error.reason.replace("_", " ").lower()
        elif certfile == keyfile:
            raise ConfigurationError(
                f"certfile {certfile!r} holds no PEM certificate, or no key; give the key as keyfile"
            ) from None
        else:
            fault = "one of them holds no PEM certificate, or no key"
        raise ConfigurationError(
            f"cannot use certfile {certfile!r} with keyfile {keyfile!r}: {fault}"
        ) from None
    except OSError as error:  # it has gone since it was read, and `ssl` does not say which
        raise ConfigurationError(
            f"cannot read certfile {certfile!r} or keyfile {keyfile!r}: {error.strerror}"
        ) from None


def _warn_if_exposed(keyfile: str) -> None:
    """Warn if other users of the machine may use the key."""
    with contextlib.suppress(OSError):  # it has gone since it was read
        if os.name == "posix" and os.stat(keyfile).st_mode & (stat.S_IROTH | stat.S_IWOTH):
            log.warning("every user of this machine can use the private key in %r: chmod o-rw it", keyfile)
