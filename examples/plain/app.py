"""A plain WSGI application: `wsgix serve examples/plain/app.py`."""

from html import escape


def app(environ, start_response):
    """Greet whoever asks, and show what the request was."""
    path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
    name = path.strip("/") or "world"
    # HEAD is answered with the head that GET would get, and its length.
    method = environ["REQUEST_METHOD"].replace("HEAD", "GET")
    page = f"""<!doctype html>
<html lang="en">
<title>wsgix</title>
<h1>Hello, {escape(name)}!</h1>
<p>You sent {escape(method)} {escape(path)} by {environ["SERVER_PROTOCOL"]}.</p>
</html>
""".encode()
    start_response(
        "200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(page)))]
    )
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [page]
