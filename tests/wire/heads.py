"""Heads of requests, and readers of them, for the tests of what reads them."""

from wsgix.wire.http1 import RequestReader
from wsgix.wire.limits import Limits

GET = b"GET / HTTP/1.1\r\n"
HOST = b"Host: a\r\n"
PLAIN = GET + HOST + b"\r\n"
FIELDS = b"Host: a\r\nX-Y: 1\r\nConnection: keep-alive\r\n"
TEMPLATE = {"SCRIPT_NAME": "/s", "wsgi.version": (1, 0)}


def read(raw, **limits):
    """Read a head with a reader of its own."""
    return RequestReader(Limits(**limits)).read(raw, 0, TEMPLATE)


def known_reader(raw):
    """Return a reader that has read one head."""
    reader = RequestReader()
    assert isinstance(reader.read(raw, 0, TEMPLATE), dict)
    return reader
