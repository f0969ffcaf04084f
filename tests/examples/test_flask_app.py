"""The Flask example under `wsgix serve`: its form and its upload, as browsers, curl and scripts send them."""

import hashlib
import random
import shutil
import subprocess

import pytest
import requests

from tests.serving import DEADLINE, serving

FIVE_MEGABYTES = random.Random(7).randbytes(5 * 1024 * 1024)
DIGEST = hashlib.sha256(FIVE_MEGABYTES).hexdigest()


@pytest.fixture(scope="module")
def server():
    with serving("examples/flask_app/app.py") as server:
        yield server


def test_the_first_page_has_both_forms(server):
    page = requests.get(server.url, timeout=DEADLINE).text
    assert '<form method="post" action="/greet">' in page
    assert '<form method="post" action="/upload" enctype="multipart/form-data">' in page


def test_the_form_greets_and_escapes(server):
    page = requests.post(f"{server.url}/greet", {"name": "Zoë <b>"}, timeout=DEADLINE).text
    assert "<h1>Hello, Zoë &lt;b&gt;!</h1>" in page


def test_an_empty_form_is_shown_again_with_the_fault(server):
    response = requests.post(f"{server.url}/greet", {"name": " "}, timeout=DEADLINE)
    assert response.status_code == 422
    assert "Please tell your name." in response.text


def test_an_upload_is_shown_with_size_and_digest(server):
    response = requests.post(
        f"{server.url}/upload", files={"file": ("a&b.bin", FIVE_MEGABYTES)}, timeout=DEADLINE
    )
    assert response.status_code == 200
    assert "<h1>a&amp;b.bin</h1>" in response.text
    assert f"<dd>{len(FIVE_MEGABYTES)} bytes</dd>" in response.text
    assert f"<dd>{DIGEST}</dd>" in response.text


def test_a_chunked_upload_is_shown_with_size_and_digest(server):
    upload = requests.Request("POST", f"{server.url}/upload", files={"file": ("c.bin", FIVE_MEGABYTES)})
    whole = upload.prepare()
    content = whole.body
    pieces = (content[start : start + 70_001] for start in range(0, len(content), 70_001))
    response = requests.post(
        whole.url, data=pieces, headers={"Content-Type": whole.headers["Content-Type"]}, timeout=DEADLINE
    )
    assert response.request.headers["Transfer-Encoding"] == "chunked"
    assert response.status_code == 200
    assert f"<dd>{len(FIVE_MEGABYTES)} bytes</dd>" in response.text
    assert f"<dd>{DIGEST}</dd>" in response.text


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_curl_uploads_and_waits_for_100_continue(server, tmp_path, framing):
    file = tmp_path / "curl.bin"
    file.write_bytes(FIVE_MEGABYTES)
    options = ["--no-progress-meter", "--noproxy", "*", "--verbose", "--form", f"file=@{file}"]
    options += ["--header", "Expect: 100-continue", "--expect100-timeout", str(DEADLINE)]
    if framing == "chunked":
        options += ["--header", "Transfer-Encoding: chunked"]
    curl = subprocess.run(
        ["curl", *options, f"{server.url}/upload"], capture_output=True, encoding="utf-8", timeout=DEADLINE
    )
    assert curl.returncode == 0, curl.stderr
    assert "HTTP/1.1 100 Continue" in curl.stderr
    assert DIGEST in curl.stdout


def test_an_upload_without_a_file_is_a_fault_of_the_client(server):
    response = requests.post(f"{server.url}/upload", files={"other": b""}, timeout=DEADLINE)
    assert response.status_code == 422
    assert "Please choose a file." in response.text


def test_unknown_pages_and_methods_are_refused_by_flask(server):
    assert requests.get(f"{server.url}/nowhere", timeout=DEADLINE).status_code == 404
    response = requests.delete(f"{server.url}/", timeout=DEADLINE)
    assert response.status_code == 405
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_the_link_to_a_page_that_is_not_ascii_works(server):
    assert 'href="/pages/na%C3%AFve%20caf%C3%A9"' in requests.get(server.url, timeout=DEADLINE).text
    page = requests.get(f"{server.url}/pages/naïve café", timeout=DEADLINE).text
    assert "<h1>naïve café</h1>" in page


def test_head_has_the_length_and_no_content(server):
    head = requests.head(f"{server.url}/", timeout=DEADLINE)
    assert head.content == b""
    assert head.headers["Content-Length"] == str(len(requests.get(server.url, timeout=DEADLINE).content))


def test_one_session_mixes_uploads_and_pages_on_one_connection(server):
    with requests.Session() as session:
        ports = set()
        for _ in range(3):
            for method, path, options in (
                ("GET", "/", {}),
                ("POST", "/upload", {"files": {"file": ("s.bin", FIVE_MEGABYTES[:300_000])}}),
                ("GET", "/nowhere", {}),
                ("POST", "/greet", {"data": {"name": "Ada"}}),
            ):
                response = session.request(
                    method, server.url + path, stream=True, timeout=DEADLINE, **options
                )
                ports.add(response.raw.connection.sock.getsockname())
                assert response.content
    assert len(ports) == 1
