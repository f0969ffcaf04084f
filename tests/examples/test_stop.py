"""SIGTERM ends each example with 0, after the request that has begun is answered."""

import contextlib
import http.client

import pytest

from tests.serving import DEADLINE, ServerProcess, serving

BOUNDARY = "boundary"
UPLOAD = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="late.txt"\r\n\r\n'
    f"0123456789\r\n--{BOUNDARY}--\r\n"
).encode()


def answer_across_stop(server: ServerProcess, path: str, content_type: str, content: bytes) -> bytes:
    """Send half of a request, SIGTERM, then the other half; return the answer."""
    host, port = server.address
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    with (
        server.connect() as client,
        contextlib.closing(http.client.HTTPConnection(host, port, timeout=DEADLINE)) as idle,
    ):
        client.sendall(head.encode() + content[: len(content) // 2])
        idle.request("HEAD", "/elsewhere")
        idle.getresponse().read()
        server.signal()
        assert idle.sock.recv(1) == b""  # it closes idle connections: the signal has taken effect
        client.sendall(content[len(content) // 2 :])
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert server.wait() == 0
    with pytest.raises(ConnectionRefusedError):
        server.connect()
    assert b"\r\nConnection: close\r\n" in answer
    return answer


def test_the_plain_example():
    with serving("examples/plain/app.py") as server:
        answer = answer_across_stop(server, "/late", "text/plain", b"0123456789")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"You sent POST /late" in answer


def test_the_flask_example():
    with serving("examples/flask_app/app.py") as server:
        answer = answer_across_stop(server, "/upload", f"multipart/form-data; boundary={BOUNDARY}", UPLOAD)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"<h1>late.txt</h1>" in answer
    assert b"<dd>10 bytes</dd>" in answer


def test_the_django_example(tmp_path):
    with serving("examples/django_project/website/wsgi.py", DJANGO_DATA=str(tmp_path)) as server:
        form = "application/x-www-form-urlencoded"
        answer = answer_across_stop(server, "/", form, b"name=Ada&message=no+token")
    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"CSRF" in answer
