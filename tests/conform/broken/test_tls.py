"""What can be seen of a server only where TLS is spoken."""

import contextlib
import ssl

import pytest
import trustme

from tests.conform.broken import reference
from tests.conform.broken.judging import broken_rules, not_judged
from wsgix.conform import probe_app
from wsgix.conform.probe import Options, greet, judge, server_rules
from wsgix.conform.probe_case import Target


class Secure(reference.Reference):
    def make_environ(self, request):
        return {**super().make_environ(request), "wsgi.url_scheme": "https", "HTTPS": "on"}


class Silent(Secure):
    def make_environ(self, request):
        environ = super().make_environ(request)
        del environ["HTTPS"]
        return environ


class Liar(Secure):
    def make_environ(self, request):
        return {**super().make_environ(request), "wsgi.url_scheme": "http"}


class SecureServing(reference.Serving):
    def __init__(self, connection_class, application):
        super().__init__(connection_class, application)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(self.context)

    def serve(self, connection, peer):
        # A client that vanishes takes TLS with it.
        with contextlib.suppress(OSError):
            connection = self.context.wrap_socket(connection, server_side=True)
            super().serve(connection, peer)
        connection.close()


SUBJECTS = [(Secure, set()), (Silent, {"E24"}), (Liar, {"E23"})]


@pytest.mark.parametrize(("connection_class", "broken"), SUBJECTS)
def test_what_is_said_of_tls_is_judged(connection_class, broken, tmp_path, monkeypatch):
    monkeypatch.setenv("WSGI_PROBE_FOLDER", str(tmp_path))
    rules = [rule for rule in server_rules() if rule.id[0] in "ES"]
    with SecureServing(connection_class, probe_app.app) as serving:
        target = greet(Target(serving.address, tls=True, output=lambda: serving.log.text))
        judgements = judge(target, Options(rules))

    assert broken_rules(judgements) == broken
    assert not_judged(judgements) == []
