"""Where the microseconds of a small request go, in the server's own Python: `python bench/budget.py`.

The loop serves a connection whose socket is a stand-in: no system call is in the numbers. Each line is
the best of many short rounds. What a server spends beyond the last line is the kernel's.
"""

import sys
import timeit
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from wsgix.server import worker
from wsgix.server.connection import Connection
from wsgix.server.loop import Loop
from wsgix.server.poller import READ
from wsgix.server.responder import Responder
from wsgix.server.scheduler import Member
from wsgix.server.settings import make_settings

ROUNDS = 400
CALLS = 100
LISTENER = SimpleNamespace(server_name="localhost", server_port="80", scheme="http")
FD = 1 << 20
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", "14")]
TINY = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
BROWSER = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Referer: http://localhost/index.html\r\nCookie: sessionid=0123456789abcdef0123456789abcdef\r\n"
    b"Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n"
    b"Sec-Fetch-Site: same-origin\r\nPriority: u=0, i\r\n\r\n"
)


class Socket:
    """A socket that has always received the same request, and takes all it is given."""

    def __init__(self, request):
        self.request = request

    def fileno(self):
        return FD

    def recv(self, size):
        return self.request

    def send(self, data):
        return len(data)


CONTENT = b"Hello, world!\n"


class Response:
    """What a framework returns: something else than a list, which is to be closed."""

    def __iter__(self):
        return iter((CONTENT,))

    def close(self):
        """Do nothing; that it is called counts."""


def application(environ, start_response):
    """Answer as the tiny workload does."""
    start_response("200 OK", HEADERS)
    return [CONTENT]


def framework(environ, start_response):
    """Answer as the views of frameworks do."""
    start_response("200 OK", HEADERS)
    return Response()


def microseconds(call):
    """Return the best time of one *call*."""
    rounds = [timeit.timeit(call, number=CALLS) for _ in range(ROUNDS)]
    return min(rounds) / CALLS * 1e6


COLUMNS = {
    "tiny": (TINY, application),
    "browser": (BROWSER, application),
    "browser, framework": (BROWSER, framework),
}


def budget(request, application):
    """Return what the parts of one *request* to *application* cost."""
    settings = make_settings()
    template = worker._template(LISTENER, settings)
    loop = Loop(application, [], settings, None)
    loop.scheduler._watching = True
    connection = Connection(Socket(request), ("127.0.0.1", 4711), template, loop._common)
    connection.interest = READ
    loop._connections[FD] = connection
    member = Member()

    def parse():
        connection.take(request)
        connection.advance()
        connection.end_request()

    connection.take(request)
    connection.advance()
    environ = connection.environ

    def respond():
        Responder(connection, environ, connection.reader).run(application)

    parsing = microseconds(parse)
    responding = microseconds(respond)
    whole = microseconds(lambda: loop._read(connection, member))
    return {
        "parsing, environ": parsing,
        "exchange, response, application": responding,
        "loop, scheduler": whole - parsing - responding,
        "all": whole,
    }


def main():
    """Print the budgets."""
    columns = {name: budget(*column) for name, column in COLUMNS.items()}
    print("| microseconds | " + " | ".join(columns) + " |\n|---|" + "---:|" * len(columns))
    for part in next(iter(columns.values())):
        print(f"| {part} | " + " | ".join(f"{column[part]:.2f}" for column in columns.values()) + " |")


if __name__ == "__main__":
    main()
