"""The Django example under `wsgix serve`: the guest book, the admin and its static files, over HTTP."""

import re

import requests

from tests.serving import DEADLINE


def token_of(page: str) -> str:
    """Return the CSRF token of a form."""
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert found, page
    return found[1]


def test_an_entry_is_written_kept_and_escaped(django_server):
    with requests.Session() as session:
        page = session.get(django_server.url, timeout=DEADLINE)
        assert page.status_code == 200
        entry = {"name": "Zoë <b>", "message": "çà et là & ☕", "csrfmiddlewaretoken": token_of(page.text)}
        written = session.post(f"{django_server.url}/", entry, timeout=DEADLINE)
    assert [answer.status_code for answer in (*written.history, written)] == [302, 200]
    assert "<h2>Zoë &lt;b&gt;</h2>" in written.text
    assert "<p>çà et là &amp; ☕</p>" in written.text


def test_a_form_without_its_token_is_refused(django_server):
    response = requests.post(f"{django_server.url}/", {"name": "a", "message": "b"}, timeout=DEADLINE)
    assert response.status_code == 403


def test_an_incomplete_entry_is_shown_again(django_server):
    with requests.Session() as session:
        token = token_of(session.get(django_server.url, timeout=DEADLINE).text)
        entry = {"name": "", "message": "b", "csrfmiddlewaretoken": token}
        answer = session.post(f"{django_server.url}/", entry, timeout=DEADLINE)
    assert answer.status_code == 422
    assert "This field is required." in answer.text


def test_the_admin_asks_for_a_login_and_takes_it(django_server, password):
    with requests.Session() as session:
        login = session.get(f"{django_server.url}/admin/", timeout=DEADLINE)
        assert login.url == f"{django_server.url}/admin/login/?next=/admin/"
        form = {"username": "admin", "password": password, "csrfmiddlewaretoken": token_of(login.text)}
        index = session.post(login.url, form, timeout=DEADLINE)
        assert index.url == f"{django_server.url}/admin/"
        assert "Site administration" in index.text


def test_the_style_sheets_of_the_admin_are_served(django_server):
    login = requests.get(f"{django_server.url}/admin/", timeout=DEADLINE).text
    sheets = re.findall(r'<link rel="stylesheet" href="([^"]+)"', login)
    assert sheets
    for sheet in sheets:
        answer = requests.get(django_server.url + sheet, timeout=DEADLINE)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/css")
        unchanged = requests.get(
            django_server.url + sheet, headers={"If-None-Match": answer.headers["ETag"]}, timeout=DEADLINE
        )
        assert (unchanged.status_code, unchanged.content) == (304, b"")


def test_a_part_of_a_static_file_is_served(django_server):
    sheet = f"{django_server.url}/static/admin/css/base.css"
    wanted = {"Range": "bytes=10-29", "Accept-Encoding": "identity"}
    part = requests.get(sheet, headers=wanted, timeout=DEADLINE)
    assert part.status_code == 206
    assert part.content == requests.get(sheet, timeout=DEADLINE).content[10:30]


def test_head_has_no_content(django_server):
    for path in ("/", "/static/admin/css/base.css"):
        get = requests.get(django_server.url + path, timeout=DEADLINE)
        head = requests.head(django_server.url + path, timeout=DEADLINE)
        assert head.content == b""
        assert head.headers["Content-Length"] == get.headers["Content-Length"]


def test_unknown_and_non_ascii_paths_are_not_found(django_server):
    for path in ("/nowhere", "/naïve café", "/static/admin/nothing.css"):
        assert requests.get(django_server.url + path, timeout=DEADLINE).status_code == 404


def test_one_connection_serves_pages_and_files(django_server):
    with requests.Session() as session:
        ports = set()
        for path in ("/", "/static/admin/css/base.css", "/nowhere", "/admin/login/"):
            response = session.get(django_server.url + path, stream=True, timeout=DEADLINE)
            ports.add(response.raw.connection.sock.getsockname())
            assert response.content
    assert len(ports) == 1


def test_the_server_goes_on_logging_though_django_configures_logging(django_server):
    with django_server.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 400 ")
    django_server.err.wait_for(r"\[INFO\] refused a request from ")
