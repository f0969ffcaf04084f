"""One row for every workload: which application, which request, how many connections. A table only.

A request is the bytes that go over the wire. Where it holds NUL bytes, whoever sends it puts eight digits
there that differ from one request to the next.
"""

import enum
from typing import Final, NamedTuple

HELLO: Final = b"Hello, world!\n"
PLACE: Final = b"\0"

KIB: Final = 1024
MIB: Final = 1024 * KIB
FILE_SIZE: Final = MIB
CONNECTIONS: Final = 64
IDLE_CONNECTIONS: Final = 10_000
LOG_TURNS: Final = 5
STARTS: Final = 5

PACED_RATE: Final = 2000  # requests per second
SLOW_EVERY: Final = 100  # one request in so many is slow


class Kind(enum.Enum):
    """How a workload is run, and what it yields."""

    CLOSED_LOOP = enum.auto()  # by wrk: each connection sends its next request when it has its answer
    PACED = enum.auto()  # at a fixed rate: once without slow requests, once with them
    START = enum.auto()  # how soon a fresh process answers, and how large it is
    IDLE = enum.auto()  # what 10,000 idle keep-alive connections cost


class Workload(NamedTuple):
    """One row.

    Attributes:
        application: MODULE:NAME beside `bench/servers.py`.
        request: see above.
        answer: the body that is right.
        peers: the only ones to take part; empty: all that can.
        turns: how many times as many rounds as others it has.
    """

    name: str
    title: str
    application: str = "apps:hello"
    request: bytes = b""
    answer: bytes = HELLO
    connections: int = CONNECTIONS
    kind: Kind = Kind.CLOSED_LOOP
    tls: bool = False
    peers: tuple[str, ...] = ()
    turns: int = 1


def get(path: bytes = b"/", fields: bytes = b"") -> bytes:
    """Compose a GET request with *fields*, each ended by CRLF."""
    return b"GET " + path + b" HTTP/1.1\r\nHost: www.example.org\r\n" + fields + b"\r\n"


def post(size: int) -> bytes:
    """Compose a POST request whose Content-Length is *size* bytes."""
    return (
        b"POST / HTTP/1.1\r\nHost: www.example.org\r\nContent-Type: application/octet-stream\r\n"
        b"Content-Length: %d\r\n\r\n" % size
    ) + b"x" * size


def post_chunked(size: int, chunk: int) -> bytes:
    """Compose a POST request whose *size* bytes come in chunks of at most *chunk* bytes."""
    sizes = [chunk] * (size // chunk) + [size % chunk] * bool(size % chunk)
    return (
        b"POST / HTTP/1.1\r\nHost: www.example.org\r\nContent-Type: application/octet-stream\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"%x\r\n%s\r\n" % (each, b"x" * each) for each in sizes)
        + b"0\r\n\r\n"
    )


def browser(path: bytes, referer: bytes, cookie: bytes) -> bytes:
    """Compose the GET request of a browser: the fields that a current one sends, in its order."""
    return get(
        path,
        b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
        b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
        b"Accept-Language: en-GB,en;q=0.5\r\n"
        b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
        b"Referer: https://www.example.org/" + referer + b"\r\n"
        b"DNT: 1\r\n"
        b"Connection: keep-alive\r\n"
        b"Cookie: session=" + cookie + b"; theme=dark; consent=1\r\n"
        b"Upgrade-Insecure-Requests: 1\r\n"
        b"Sec-Fetch-Dest: document\r\n"
        b"Sec-Fetch-Mode: navigate\r\n"
        b"Sec-Fetch-Site: same-origin\r\n"
        b"Sec-Fetch-User: ?1\r\n"
        b"Priority: u=0, i\r\n",
    )


BROWSER: Final = browser(b"/articles/42?page=2", b"articles", b"0123456789abcdef0123456789abcdef")
BROWSER_VARIED: Final = browser(
    b"/articles/" + PLACE + b"?page=" + PLACE, b"articles/" + PLACE, PLACE + b"0123456789abcdef" + PLACE
)

WORKLOADS: Final = (
    Workload("tiny_get", "GET, one field", request=get()),
    Workload("browser", "GET, browser's fields, the same each time", request=BROWSER),
    Workload("browser_varied", "GET, browser's fields, others each time", request=BROWSER_VARIED),
    Workload("post_1k", "POST 1 KiB", "apps:receive", post(KIB), b"1024\n"),
    Workload("post_1k_chunked", "POST 1 KiB, chunked", "apps:receive", post_chunked(KIB, KIB), b"1024\n"),
    Workload("post_64k", "POST 64 KiB", "apps:receive", post(64 * KIB), b"65536\n"),
    Workload(
        "post_64k_chunked",
        "POST 64 KiB, in chunks of 16 KiB",
        "apps:receive",
        post_chunked(64 * KIB, 16 * KIB),
        b"65536\n",
    ),
    Workload("post_1m", "POST 1 MiB", "apps:receive", post(MIB), b"1048576\n"),
    Workload(
        "generator", "64 blocks of 1 KiB, no length", "apps:generate", get(), (b"x" * 1023 + b"\n") * 64
    ),
    Workload("file", "a file of 1 MiB", "apps:send_file", get(), b"x" * FILE_SIZE),
    Workload(
        "connection_per_request", "a connection for each GET", request=get(fields=b"Connection: close\r\n")
    ),
    Workload("many_connections", "GET, 1000 connections", request=get(), connections=1000),
    Workload("sleep", "10 ms sleep", "apps:nap", get()),
    Workload("spin", "1 ms of CPU", "apps:spin", get()),
    Workload("mixed", "2000 requests/s, 1 % take 100 ms", "apps:mixed", get(), kind=Kind.PACED),
    Workload("tls", "GET over TLS", request=get(), tls=True),
    Workload("flask", "Flask hello", "flask_app:app", get()),
    Workload("django", "Django hello", "django_app:app", get()),
    # The difference of two near numbers: noise is much of it.
    Workload(
        "access_log",
        f"GET, with an access log, in {LOG_TURNS} times as many rounds",
        request=get(),
        peers=("wsgix", "wsgix-access-log"),
        turns=LOG_TURNS,
    ),
    Workload("start", f"a fresh process, {STARTS} times", request=get(), kind=Kind.START),
    Workload("idle", "10,000 idle connections, once", request=get(), kind=Kind.IDLE),
)
