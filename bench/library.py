"""Times wsgix beside the standard library's wsgiref: `make bench`, or `python bench/library.py [--readme]`.

Each row runs the same code against both packages in turn, many short rounds of each; the fastest round of
each counts, so that what else the machine does falls out. The last rows time what wsgiref has not got.
`--readme` writes the table into README.md.
"""

import argparse
import importlib
import io
import os
import platform
import re
import socket
import sys
import threading
import timeit
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

README = Path(__file__).parents[1] / "README.md"
MARKERS = "<!-- bench:library -->", "<!-- /bench:library -->"
ROUNDS = 60
ROUND_SECONDS = 0.004

ENVIRON = {
    "wsgi.url_scheme": "http",
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "/app",
    "PATH_INFO": "/some/longer/path",
    "QUERY_STRING": "page=2&sort=name",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "SERVER_NAME": "www.example.org",
    "SERVER_PORT": "80",
    "HTTP_HOST": "www.example.org",
    "HTTP_ACCEPT": "text/html,application/xhtml+xml",
    "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "HTTP_ACCEPT_LANGUAGE": "en-GB,en;q=0.5",
}
FIELDS = [
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "max-age=3600"),
    ("ETag", '"5d8c72a5edda8d6a"'),
    ("Vary", "Accept-Encoding"),
    ("X-Frame-Options", "DENY"),
    ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
]


def application(environ, start_response):
    """Answer with a typical head and a short block."""
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-cache")])
    return [b"Hello, world!\n"]


def packages() -> dict[str, SimpleNamespace]:
    """Return the modules of both packages under the same names."""
    names = ("handlers", "headers", "simple_server", "util", "validate")
    return {
        package: SimpleNamespace(**{name: importlib.import_module(f"{package}.{name}") for name in names})
        for package in ("wsgiref", "wsgix")
    }


# The rows: each takes a package and returns what is timed


def simple_handler(package: Any) -> Callable[[], object]:
    handler = package.handlers.SimpleHandler
    return lambda: handler(io.BytesIO(), io.BytesIO(), sys.stderr, ENVIRON).run(application)


def cgi_handler(package: Any) -> Callable[[], object]:
    handler = package.handlers.CGIHandler
    terminal = sys.stdin, sys.stdout

    def run() -> None:
        sys.stdin = io.TextIOWrapper(io.BytesIO())
        sys.stdout = io.TextIOWrapper(io.BytesIO())
        try:
            handler().run(application)
        finally:
            sys.stdin, sys.stdout = terminal

    return run


def headers(package: Any) -> Callable[[], object]:
    cls = package.headers.Headers
    return lambda: bytes(cls(FIELDS))


def request_uri(package: Any) -> Callable[[], object]:
    return lambda: package.util.request_uri(ENVIRON)


def shift_path_info(package: Any) -> Callable[[], object]:
    shift = package.util.shift_path_info

    def run() -> None:
        environ = {"SCRIPT_NAME": "/app", "PATH_INFO": "/some/longer/path"}
        shift(environ)

    return run


def setup_testing_defaults(package: Any) -> Callable[[], object]:
    return lambda: package.util.setup_testing_defaults({})


def validator(package: Any) -> Callable[[], object]:
    """Time a call of an application that is checked, with the same loop for both."""
    return checked_call(package, package.validate.validator(application))


def strict_watch(package: Any) -> Callable[[], object]:
    """Time the same under the strict watch, all profiles, with somebody to report to."""
    from wsgix.conform import watch
    from wsgix.conform.rule import Profile

    return checked_call(package, watch(application, profiles=frozenset(Profile), report=print))


def checked_call(package: Any, checked: Callable[..., Any]) -> Callable[[], object]:
    """Return a call of `checked`, with all that a server does with the result."""
    environ: dict[str, Any] = {}
    package.util.setup_testing_defaults(environ)
    environ["wsgi.errors"] = sys.stderr
    environ["QUERY_STRING"] = ""

    def start_response(status, response_headers, exc_info=None):
        return lambda data: None

    def run() -> None:
        result = checked(dict(environ), start_response)
        for _ in result:
            pass
        if hasattr(result, "close"):
            result.close()

    return run


def served_request(package: Any) -> Callable[[], object]:
    """Time a connection, a request and its response through `make_server`."""

    class Quiet(package.simple_server.WSGIRequestHandler):
        def log_message(self, *args):
            pass

    server = package.simple_server.make_server("127.0.0.1", 0, application, handler_class=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    request = b"GET /path HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"

    def run() -> None:
        with socket.create_connection(server.server_address) as client:
            client.sendall(request)
            while client.recv(65536):
                pass

    return run


ROWS: dict[str, Callable[[Any], Callable[[], object]]] = {
    "`SimpleHandler(...).run(app)`": simple_handler,
    "`CGIHandler().run(app)`": cgi_handler,
    "`bytes(Headers([...]))`, 6 fields": headers,
    "`request_uri`": request_uri,
    "`shift_path_info`": shift_path_info,
    "`setup_testing_defaults`": setup_testing_defaults,
    "a call through `validator`": validator,
    "a request to `make_server`": served_request,
}

# What wsgiref has not got.
OWN_ROWS: dict[str, Callable[[Any], Callable[[], object]]] = {"a call through `conform.watch`": strict_watch}


def measure(
    row: Callable[[Any], Callable[[], object]], modules: dict[str, SimpleNamespace]
) -> dict[str, float]:
    """Return the microseconds of one call, for each package."""
    calls = {package: row(module) for package, module in modules.items()}
    numbers = {package: calibrate(call) for package, call in calls.items()}
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(ROUNDS):
        for package, call in calls.items():
            number = numbers[package]
            best[package] = min(best[package], timeit.timeit(call, number=number) / number * 1e6)
    return best


def calibrate(call: Callable[[], object]) -> int:
    """Return how often to call in a round; the calls made meanwhile warm up."""
    number = 1
    while (seconds := timeit.timeit(call, number=number)) < ROUND_SECONDS / 4:
        number *= 2
    return max(1, round(number * ROUND_SECONDS / seconds))


def table(rows: dict[str, dict[str, float]]) -> str:
    """Format the results as Markdown."""
    lines = ["| microseconds | wsgiref | wsgix | ratio |", "|---|---:|---:|---:|"]
    for name, best in rows.items():
        ours = best["wsgix"]
        if theirs := best.get("wsgiref"):
            lines.append(f"| {name} | {theirs:.2f} | {ours:.2f} | {ours / theirs:.2f} |")
        else:
            lines.append(f"| {name} | | {ours:.2f} | |")
    return "\n".join(lines)


def main() -> None:
    """Measure all rows, print the table, and put it into the README if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    options = parser.parse_args()
    modules = packages()
    rows = {name: measure(row, modules) for name, row in ROWS.items()}
    rows |= {name: measure(row, {"wsgix": modules["wsgix"]}) for name, row in OWN_ROWS.items()}
    text = (
        f"{table(rows)}\n\n"
        f"CPython {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} CPUs, {len(os.environ)} environment variables; `make bench`.\n"
    )
    print(text)
    if options.readme:
        page = README.read_text(encoding="utf-8")
        block = f"{MARKERS[0]}\n{text}{MARKERS[1]}"
        README.write_text(
            re.sub(f"{MARKERS[0]}.*?{MARKERS[1]}", lambda _: block, page, flags=re.DOTALL), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
