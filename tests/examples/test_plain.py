"""The plain example under `wsgix serve`, with requests, curl and bare sockets as clients."""

import shutil
import subprocess

import pytest
import requests

from tests.serving import DEADLINE, serving


@pytest.fixture(scope="module")
def server():
    with serving("examples/plain/app.py") as server:
        yield server


def test_the_page_greets_by_the_path(server):
    response = requests.get(f"{server.url}/Ada", timeout=DEADLINE)
    assert response.status_code == 200
    assert "<h1>Hello, Ada!</h1>" in response.text
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Server"] == "wsgix"


def test_a_path_that_is_not_ascii_arrives(server):
    assert "Hello, naïve café ☕!" in requests.get(f"{server.url}/naïve café ☕", timeout=DEADLINE).text


def test_markup_in_the_path_is_escaped(server):
    page = requests.get(f"{server.url}/<script>", timeout=DEADLINE).text
    assert "Hello, &lt;script&gt;!" in page
    assert "<script>" not in page


def test_head_answers_what_get_answers_without_content(server):
    get = requests.get(server.url, timeout=DEADLINE)
    head = requests.head(server.url, timeout=DEADLINE)
    assert head.content == b""
    assert int(head.headers["Content-Length"]) == len(get.content)


def test_one_connection_serves_many_requests(server):
    with requests.Session() as session:
        ports = set()
        for _ in range(20):
            response = session.get(server.url, stream=True, timeout=DEADLINE)
            ports.add(response.raw.connection.sock.getsockname())
            assert "Hello, world!" in response.text
    assert len(ports) == 1


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_curl_uses_one_connection_for_two_addresses():
    with serving("examples/plain/app.py") as server:
        options = ["--no-progress-meter", "--noproxy", "*", "--verbose"]
        curl = subprocess.run(
            ["curl", *options, f"{server.url}/a", f"{server.url}/b"],
            capture_output=True,
            encoding="utf-8",
            timeout=DEADLINE,
        )
    assert curl.returncode == 0, curl.stderr
    assert "Hello, a!" in curl.stdout
    assert "Hello, b!" in curl.stdout
    assert curl.stderr.count("HTTP/1.1 200 OK") == 2
    assert "Re-using existing" in curl.stderr or "Reusing existing" in curl.stderr


def test_pipelined_requests_are_answered_in_order(server):
    with server.connect() as client:
        client.sendall(
            b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(50))
            + b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        answers = b"".join(iter(lambda: client.recv(65536), b""))
    positions = [answers.index(b"Hello, %d!" % number) for number in range(50)]
    assert positions == sorted(positions)
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 51
