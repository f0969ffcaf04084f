"""Which certificate a client gets, what is asked of it, and what happens when files are wrong or change."""

import logging
import os
import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.server.authority import (
    ECDSA,
    RSA,
    authority,
    client_context,
    finish_handshake,
    names_shown,
    shake_hands,
    write_authority,
    write_certificate,
)
from wsgix.server import certificates
from wsgix.server.certificates import Certificates
from wsgix.server.handshake import Handshake
from wsgix.server.settings import ConfigurationError
from wsgix.server.x509 import first_certificate


@pytest.fixture
def shake():
    """Shake hands over a pair of sockets: `shake(certificates, context, name)` gives both ends."""
    opened = []

    def run(certificates, context, server_name="a.test"):
        left, right = socket.socketpair()
        opened.append(left)
        left.setblocking(False)
        right.setblocking(False)
        server = certificates.wrap(left)
        client = context.wrap_socket(right, server_hostname=server_name, do_handshake_on_connect=False)
        opened.append(client)
        shake_hands(server, client)
        return server, client

    yield run
    for end in opened:
        end.close()


@pytest.fixture
def write(tmp_path):
    """Write a certificate into the test's directory: `write(*names, **options)` gives its two paths."""

    def write(*names, **options):
        return write_certificate(tmp_path, *names, **options)

    return write


@pytest.fixture
def trusting():
    """A client context that takes certificates for any name."""
    context = client_context()
    context.check_hostname = False
    return context


# The choice


def test_the_client_gets_the_certificate_for_the_name_that_it_asks_for(write, shake, trusting):
    pairs = [
        write("a.test", file="a"),
        write("b.test", "*.b.test", file="b"),
        write("x.b.test", "*.c.test", file="c"),
    ]
    certificates = Certificates(*zip(*pairs, strict=True))
    for asked, shown in {
        "a.test": "a.test",
        "b.test": "b.test",
        "B.TEST": "b.test",
        "y.b.test": "b.test",
        "x.b.test": "x.b.test",
        "z.c.test": "x.b.test",
        "c.test": "a.test",
        "z.y.c.test": "a.test",
        "unknown.test": "a.test",
        "test": "a.test",
        None: "a.test",
    }.items():
        _, client = shake(certificates, trusting, asked)
        assert shown in names_shown(client), asked


def test_of_two_certificates_for_a_name_the_first_counts(write, shake, trusting):
    pairs = [
        write("a.test", file="a"),
        write("b.test", "1.test", file="b"),
        write("b.test", "2.test", file="c"),
    ]
    _, client = shake(Certificates(*zip(*pairs, strict=True)), trusting, "b.test")
    assert "1.test" in names_shown(client)


@pytest.mark.parametrize("key_types", [[ECDSA], [ECDSA, RSA]], ids=len)
def test_a_name_that_is_not_ascii_is_an_unknown_one_where_there_is_no_choice(write, trusting, key_types):
    pairs = [write("a.test", key_type=key_type, file=key_type.name) for key_type in key_types]
    hello = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        trusting.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="oooo.test").do_handshake()
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        right.sendall(hello.read().replace(b"oooo", "öö".encode()))
        server = Certificates(*zip(*pairs, strict=True)).wrap(left)
        assert server.handshake() is Handshake.WANT_READ
        assert right.recv(1) == b"\x16"  # a handshake record, and no alert


@pytest.mark.parametrize("names", [["a.test"], ["other.test", "a.test"]], ids=len)
def test_of_two_certificates_with_the_same_names_and_kind_of_key_the_first_counts(
    write, shake, trusting, names, caplog
):
    pairs = [write(name, file=name) for name in names]
    doubles = [write("a.test", file="double"), pairs[-1]]
    certificates = Certificates(*zip(*pairs, *doubles, strict=True))
    first = ssl.PEM_cert_to_DER_cert(first_certificate(Path(pairs[-1][0]).read_text()))
    assert shake(certificates, trusting)[1].getpeercert(True) == first
    assert caplog.messages == [
        f"certfile {double!r} is not used: {pairs[-1][0]!r} has the same names and kind of key"
        for double, _ in doubles
    ]


@pytest.mark.parametrize("ciphers", ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"])
@pytest.mark.parametrize("names", [["a.test"], ["other.test", "a.test"]], ids=len)
def test_an_rsa_certificate_may_stand_beside_an_ecdsa_one(write, shake, trusting, ciphers, names):
    pairs = [write(name, file=name) for name in names] + [write("a.test", key_type=RSA, file="rsa")]
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2
    trusting.set_ciphers(ciphers)
    _, client = shake(Certificates(*zip(*pairs, strict=True)), trusting)
    assert client.cipher()[0] == ciphers
    assert names_shown(client) == {"a.test"}


def test_a_certificate_without_names_serves_as_the_first(tmp_path, write, shake, trusting):
    nameless = write("127.0.0.1", file="nameless"), write("127.0.0.2", file="other")
    pairs = [*nameless, write("a.test", file="a")]
    certificates = Certificates(*zip(*pairs, strict=True))
    assert names_shown(shake(certificates, trusting, "a.test")[1]) == {"a.test"}
    assert names_shown(shake(certificates, trusting, "b.test")[1]) == {"127.0.0.1"}


def test_the_key_may_stand_in_the_certfile(tmp_path, write, shake):
    both = tmp_path / "both.pem"
    both.touch(0o600)
    chain, key = write("a.test")
    for first, second in ((chain, key), (key, chain)):
        both.write_text(Path(first).read_text() + Path(second).read_text())
        shake(Certificates([str(both)]), client_context())


# The terms


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["h2", "http/1.1"], "http/1.1"), (["h2"], None), ([], None)]
)
def test_the_protocol_is_http_1_1_or_not_negotiated(write, shake, offered, chosen):
    context = client_context()
    if offered:
        context.set_alpn_protocols(offered)
    chain, key = write("a.test")
    _, client = shake(Certificates([chain], [key]), context)
    assert client.selected_alpn_protocol() == chosen


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_tls_1_2_and_1_3_are_spoken(write, shake, version):
    context = client_context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    chain, key = write("a.test")
    server, client = shake(Certificates([chain], [key]), context)
    assert server.variables()["SSL_PROTOCOL"] == client.version() == version.replace("_", ".")
    assert client.compression() is None


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_older_versions_are_refused_with_an_alert(write, shake, version):
    context = client_context()
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion[version]
    context.set_ciphers("ALL:@SECLEVEL=0")
    chain, key = write("a.test")
    with pytest.raises(ConnectionRefusedError, match="UNSUPPORTED_PROTOCOL"):
        shake(Certificates([chain], [key]), context)


@pytest.fixture
def asking(tmp_path, write):
    """Certificates that ask the client for one: `asking("optional")`."""
    chain, key = write("a.test")
    return lambda client_certs: Certificates([chain], [key], write_authority(tmp_path), client_certs)


@pytest.mark.parametrize("client_certs", ["optional", "required"])
def test_a_client_certificate_is_described(asking, write, shake, client_certs):
    mine = write("ada@acme.test", file="client")
    server, _ = shake(asking(client_certs), client_context(certificate=mine))
    variables = server.variables()
    assert variables.pop("SSL_CLIENT_VERIFY") == "SUCCESS"
    assert variables["SSL_CLIENT_CERT"] == Path(mine[0]).read_text()
    assert variables["SSL_CLIENT_I_DN"].endswith(",O=the usual one")
    assert variables["SSL_CLIENT_S_DN"].startswith("OU=Testing cert ")
    assert int(variables["SSL_CLIENT_M_SERIAL"], 16) > 0
    for name, value in variables.items():
        value.encode("latin-1")
        assert name.startswith(("SSL_", "HTTPS"))


def test_a_client_without_a_certificate_passes_only_if_it_is_optional(asking, shake):
    server, _ = shake(asking("optional"), client_context())
    variables = server.variables()
    assert variables["SSL_CLIENT_VERIFY"] == "NONE"
    assert "SSL_CLIENT_CERT" not in variables
    with pytest.raises(ConnectionRefusedError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        shake(asking("required"), client_context())


@pytest.mark.parametrize("client_certs", ["optional", "required"])
def test_a_client_certificate_by_another_authority_is_refused(asking, write, shake, client_certs):
    theirs = write("eve@acme.test", by="another", file="client")
    with pytest.raises(ConnectionRefusedError, match="CERTIFICATE_VERIFY_FAILED"):
        shake(asking(client_certs), client_context(certificate=theirs))


def test_nothing_is_said_of_client_certificates_that_are_not_asked_for(write, shake):
    chain, key = write("a.test")
    server, _ = shake(
        Certificates([chain], [key]), client_context(certificate=write("ada@acme.test", file="client"))
    )
    assert set(server.variables()) == {"HTTPS", "SSL_PROTOCOL", "SSL_CIPHER"}


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_resumed_session_still_names_the_client(asking, write, shake, version):
    certificates = asking("required")
    context = client_context(certificate=write("ada@acme.test", file="client"))
    context.maximum_version = ssl.TLSVersion[version]
    server, client = shake(certificates, context)
    before = server.variables()
    server.send(b"x")
    assert client.recv(1) == b"x"  # behind it came the ticket
    session = client.session
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        right.settimeout(20)
        server = certificates.wrap(left)
        thread = threading.Thread(target=finish_handshake, args=(server,))
        thread.start()
        with context.wrap_socket(right, server_hostname="a.test", session=session) as client:
            thread.join()
            assert client.session_reused
            after = server.variables()
    assert after["SSL_CLIENT_CERT"] == before["SSL_CLIENT_CERT"]
    assert after["SSL_CLIENT_S_DN"] == before["SSL_CLIENT_S_DN"]


# Reloading


def test_new_files_are_for_new_connections_and_old_ones_go_on(write, shake, caplog):
    chain, key = write("a.test", "old.test")
    certificates = Certificates([chain], [key])
    server, client = shake(certificates, client_context())
    begun_left, begun_right = socket.socketpair()
    with begun_left, begun_right:
        begun_left.setblocking(False)
        begun = certificates.wrap(begun_left)
        write("a.test", "new.test")
        with caplog.at_level(logging.INFO, "wsgix.error"):
            certificates.reload()
        assert caplog.messages == ["the certificates were read again"]
        assert "new.test" in names_shown(shake(certificates, client_context())[1])
        client.send(b"still here")
        assert server.recv(65536) == b"still here"
        server.send(b"me too")
        assert client.recv(100) == b"me too"
        begun_right.settimeout(20)
        thread = threading.Thread(target=finish_handshake, args=(begun,))
        thread.start()
        with client_context().wrap_socket(begun_right, server_hostname="a.test") as late:
            thread.join()
            assert "old.test" in names_shown(late)


@pytest.mark.parametrize(
    "content", [None, "", "hello", "-----BEGIN CERTIFICATE-----\nMQ==\n-----END CERTIFICATE-----\n"]
)
def test_files_that_are_broken_leave_the_certificates_as_they_were(write, shake, caplog, content):
    chain, key = write("a.test")
    certificates = Certificates([chain], [key])
    os.unlink(chain)
    if content is not None:
        with open(chain, "w") as file:
            file.write(content)
    certificates.reload()
    [record] = caplog.records
    assert record.levelname == "ERROR"
    assert record.getMessage().startswith("the certificates stay as they were: cannot ")
    assert chain in record.getMessage()
    assert record.exc_info is None
    shake(certificates, client_context())


@pytest.mark.parametrize("setting", ["certfile", "keyfile", "ca_certs", "keyfile once it is used"])
def test_a_file_that_goes_while_it_is_read_does_no_harm(tmp_path, write, shake, caplog, monkeypatch, setting):
    chain, key = write("a.test")
    roots = write_authority(tmp_path)
    running = Certificates([chain], [key], roots, "optional")
    real_load, real_read = certificates._load_pair, certificates._read

    def read(kind, path):
        text = real_read(kind, path)
        if kind == setting:
            os.unlink(path)
        return text

    def load_pair(context, certfile, keyfile):
        real_load(context, certfile, keyfile)
        if setting.endswith("used"):
            os.unlink(keyfile)

    monkeypatch.setattr(certificates, "_read", read)
    monkeypatch.setattr(certificates, "_load_pair", load_pair)
    running.reload()
    if setting.endswith("used"):
        assert not [record for record in caplog.records if record.levelname != "INFO"]
    else:
        [message] = caplog.messages
        assert message.startswith("the certificates stay as they were: cannot read ")
        assert {"certfile": chain, "keyfile": key, "ca_certs": roots}[setting] in message
    shake(running, client_context())


def test_files_that_change_while_they_are_read_are_read_once_more(write, shake, monkeypatch):
    chain, key = write("a.test", "old.test")
    running = Certificates([chain], [key])
    real_load = certificates._load_pair
    later = ["newer.test", "newest.test"]

    def load_pair(context, certfile, keyfile):
        real_load(context, certfile, keyfile)
        if later:
            write("a.test", later.pop(0))
            running.reload()  # as the handler of a signal that comes now

    monkeypatch.setattr(certificates, "_load_pair", load_pair)
    running.reload()
    assert "newest.test" in names_shown(shake(running, client_context())[1])


# What is wrong


def fault_of(*arguments):
    with pytest.raises(ConfigurationError) as raised:
        Certificates(*arguments)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_missing_file_is_named(tmp_path, write):
    chain, key = write("a.test")
    assert fault_of(["/nowhere"], [key]) == "cannot read certfile '/nowhere': No such file or directory"
    assert fault_of([chain], ["/nowhere"]) == "cannot read keyfile '/nowhere': No such file or directory"
    assert fault_of([chain], [str(tmp_path)]) == f"cannot read keyfile {str(tmp_path)!r}: Is a directory"
    assert (
        fault_of([chain], [key], "/nowhere", "required")
        == "cannot read ca_certs '/nowhere': No such file or directory"
    )


@pytest.mark.parametrize("key_type", [{}, {"key_type": RSA}], ids=["same kind", "other kind"])
def test_the_key_of_another_certificate_is_refused(write, key_type):
    chain, _ = write("a.test")
    _, other = write("b.test", file="other", **key_type)
    fault = "the key belongs to another certificate"
    assert fault_of([chain], [other]) == f"cannot use certfile {chain!r} with keyfile {other!r}: {fault}"


def test_files_of_another_kind_are_refused(tmp_path, write):
    chain, key = write("a.test")
    junk = tmp_path / "junk"
    fault = "one of them holds no PEM certificate, or no key"
    for content in (b"", b"hello\n", b"\xff\0\x80" * 50):
        junk.write_bytes(content)
        junk.chmod(0o600)
        assert (
            fault_of([str(junk)], [key]) == f"cannot use certfile {str(junk)!r} with keyfile {key!r}: {fault}"
        )
        assert (
            fault_of([chain], [str(junk)])
            == f"cannot use certfile {chain!r} with keyfile {str(junk)!r}: {fault}"
        )
        assert (
            fault_of([chain], [key], str(junk), "optional")
            == f"ca_certs {str(junk)!r} holds no PEM certificate"
        )


def test_a_certificate_without_its_key_is_refused(write):
    chain, _ = write("a.test")
    assert (
        fault_of([chain])
        == f"certfile {chain!r} holds no PEM certificate, or no key; give the key as keyfile"
    )


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_pass_phrase(write):
    chain, key = write("a.test")
    with open(key, "rb") as file:
        private = serialization.load_pem_private_key(file.read(), None)
    with open(key, "wb") as file:
        file.write(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            )
        )
    assert fault_of([chain], [key]) == f"keyfile {key!r} is encrypted; remove its pass phrase"


@pytest.mark.parametrize(("mode", "warned"), [(0o600, 0), (0o640, 0), (0o644, 1), (0o602, 1)], ids=oct)
def test_a_key_that_everybody_can_use_is_warned_about(write, caplog, mode, warned):
    chain, key = write("a.test")
    os.chmod(key, mode)
    Certificates([chain], [key])
    assert len(caplog.records) == warned
    assert all(
        record.levelname == "WARNING" and repr(key) in record.getMessage() for record in caplog.records
    )


def test_the_authority_of_the_tests_is_made_once():
    assert authority() is authority()
