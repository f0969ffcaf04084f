"""Certificates for the tests of TLS: an authority in memory, files for the server, contexts for clients."""

import contextlib
import select
import ssl
import time
from functools import cache

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from wsgix.server.handshake import Handshake

RSA = trustme.KeyType.RSA
ECDSA = trustme.KeyType.ECDSA


@cache
def authority(name="the usual one"):
    """The authority of that *name*, made once; another name is another authority."""
    return trustme.CA(organization_name=name)


def write_certificate(directory, *names, by="the usual one", key_type=ECDSA, file="server"):
    """Write a certificate for *names*; return the paths of its chain and its key."""
    issued = authority(by).issue_cert(*names, key_type=key_type)
    chain, key = directory / f"{file}.pem", directory / f"{file}.key"
    chain.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    key.touch(0o600)
    key.write_bytes(issued.private_key_pem.bytes())
    return str(chain), str(key)


def write_unreadable_certificate(directory, by="the usual one"):
    """Write a client's certificate with a URL that is not ASCII; return the paths of it and its key."""
    issuer = x509.load_pem_x509_certificate(authority(by).cert_pem.bytes())
    signing = serialization.load_pem_private_key(authority(by).private_key_pem.bytes(), None)
    private = ec.generate_private_key(ec.SECP256R1())
    url = b"http://caf\xe9.test/"
    names = b"\x30" + bytes([len(url) + 2]) + b"\x86" + bytes([len(url)]) + url
    issued = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer.subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(issuer.not_valid_before_utc)
        .not_valid_after(issuer.not_valid_after_utc)
        .add_extension(
            x509.UnrecognizedExtension(x509.ExtensionOID.SUBJECT_ALTERNATIVE_NAME, names), critical=False
        )
        .sign(signing, hashes.SHA256())
    )
    chain, key = directory / "unreadable.pem", directory / "unreadable.key"
    chain.write_bytes(issued.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return str(chain), str(key)


def write_authority(directory, name="the usual one"):
    """Write the root certificate; return its path."""
    path = directory / "authority.pem"
    authority(name).cert_pem.write_to_path(path)
    return str(path)


def client_context(*, trust="the usual one", certificate=None):
    """What a client needs, strict about truncation; *certificate*: its own chain and key."""
    context = ssl.create_default_context()
    authority(trust).configure_trust(context)
    # Without this, an end without close_notify looks like one with it.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    if certificate is not None:
        context.load_cert_chain(*certificate)
    return context


def names_shown(connected):
    """The names in the certificate that the server showed."""
    return {name for _, name in connected.getpeercert()["subjectAltName"]}


def shake_hands(server, client):
    """Let both ends of a pair of non-blocking sockets take their steps in turn.

    Raises ConnectionRefusedError with the server's fault.
    """
    waiting = [server, client]
    deadline = time.monotonic() + 20
    while waiting:
        if client in waiting:
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
                waiting.remove(client)
        if server in waiting:
            step = server.handshake()
            if step is Handshake.FAILED:
                raise ConnectionRefusedError(server.fault)
            if step is Handshake.DONE:
                waiting.remove(server)
        if time.monotonic() > deadline:
            raise AssertionError(f"the handshake does not end: {waiting}")


def finish_handshake(server):
    """Take the server's steps until it is done, in a thread beside a client that waits."""
    while server.handshake() is Handshake.WANT_READ:
        select.select([server], [], [], 20)
