"""What `test_conversations` talks about: requests, the application that obeys them, what must come of them.

A request carries in its path an `Order` to the application: what to read, and how to answer. So a small model
can tell the response without the server. Here is no socket, and no code of the server.
"""

import json
import tempfile
import threading
import time
import zlib
from typing import NamedTuple
from urllib.parse import unquote

# Should content ever be taken for a request, there is an answer that nobody expects.
_SMUGGLED = b"GET /smuggled/%06d HTTP/1.1\r\nHost: smuggled\r\n\r\n"
CONTENT = b"".join(_SMUGGLED % number for number in range(10_000))

SKIPPED_AT_MOST = 65536
"""Bytes of content which the application left that the server reads to keep the connection."""

MADE = ("block", "blocks", "tuple", "generator", "crumbs", "late", "write", "hinted")
"""Shapes of responses: lists and other iterables of blocks; late reads the request between two of them."""
FILES = ("file", "rest", "buffer")
"""Those with a file wrapper: around a file, around the rest of one behind write(), around what is no file."""
BODILESS = ("204", "304")
"""Those whose status lets them have no content."""


class Order(NamedTuple):
    """How the application is to answer; it stands in the path of the request."""

    shape: str
    """One of `MADE`, `FILES` and `BODILESS`."""
    reads: str
    """How much it reads of the content before it answers: all, lines, part or none."""
    size: int
    """Bytes of content of the response."""
    declares: bool
    """Whether there is a Content-Length."""
    rests: str
    """When it takes its time: never, first, between or last."""
    rest: int
    """For how many milliseconds."""

    @property
    def path(self):
        return "/" + "/".join(str(int(part) if isinstance(part, bool) else part) for part in self)

    @classmethod
    def read(cls, path):
        shape, reads, size, declares, rests, rest = path.split("/")[1:7]
        return cls(shape, reads, int(size), declares == "1", rests, int(rest))

    @property
    def content(self):
        """The content of the response to GET; `LATE` comes on top."""
        # It is the end of a file, so that the file is sent from somewhere within it.
        return b"" if self.shape in BODILESS else CONTENT[len(CONTENT) - self.size :]

    def pause(self, moment):
        if moment == self.rests:
            time.sleep(self.rest / 1000)


FIRST = b"first"
LATE = b"%08d:%08x"
"""What stands before and behind the content of a late response: the latter is about what was read."""


def digest(content):
    return f"{len(content)}:{zlib.crc32(content):08x}"


def late_content(content, taken):
    return FIRST, content, LATE % (len(taken), zlib.crc32(taken))


# The application


class Application:
    """Does what it is ordered to, and tells in X-Seen what it was asked.

    Attributes:
        calls: how often it was called.
        open: how many of the iterables that it returned are not closed.
    """

    def __init__(self):
        self.calls = self.open = 0
        self._lock = threading.Lock()
        self._file = tempfile.NamedTemporaryFile(prefix="wsgix-test-")  # noqa: SIM115 (see `close`)
        self._file.write(CONTENT)
        self._file.flush()

    def close(self):
        self._file.close()

    def __call__(self, environ, start_response):
        with self._lock:
            self.calls += 1
        order = Order.read(environ["PATH_INFO"])
        taken = self._read(order, environ["wsgi.input"])
        seen = {name: _short(value) for name, value in environ.items() if _is_of_request(name)}
        # What an application does to its environ must not reach the next request.
        environ.update(dict.fromkeys(seen, "spoilt"), HTTP_SPOILT="spoilt")
        seen["content"] = digest(taken)
        if "wsgix.trailers" in environ:
            seen["trailers"] = [list(pair) for pair in environ["wsgix.trailers"]]
        order.pause("first")
        if order.shape == "hinted":
            environ["wsgi.early_hints"]([("Link", "</style.css>")])
        status = f"{order.shape} Bodiless" if order.shape in BODILESS else "200 OK"
        headers = [("X-Seen", json.dumps(seen))]
        if order.declares:
            late = len(b"".join(late_content(b"", b""))) if order.shape == "late" else 0
            headers.append(("Content-Length", str(len(order.content) + late)))
        return self._answer(order, start_response(status, headers), environ)

    @staticmethod
    def _read(order, stream):
        if order.shape == "late" or order.reads == "none":
            return b""
        if order.reads == "lines":
            return b"".join(stream)
        return stream.read(10) if order.reads == "part" else stream.read()

    def _answer(self, order, write, environ):
        content = order.content
        third = len(content) // 3
        thirds = [content[:third], b"", content[third : 2 * third], content[2 * third :]]
        match order.shape:
            case "block" | "hinted" | "304":
                return [content]
            case "204":
                return [b"which is not sent"]
            case "tuple":
                return (content,)
            case "blocks":
                return thirds
            case "generator":
                return Blocks(self, order, thirds)
            case "crumbs":
                return Blocks(self, order, [content[at : at + 100] for at in range(0, len(content), 100)])
            case "late":
                return Blocks(self, order, self._late(content, environ["wsgi.input"]))
            case "write":
                write(content[:third])
                order.pause("between")
                write(content[third : 2 * third])
                return [content[2 * third :]]
            case "file" | "rest":
                if order.shape == "rest":
                    write(content[:third])
                    content = content[third:]
                    order.pause("between")
                file = open(self._file.name, "rb")  # noqa: SIM115 (the server closes it)
                file.seek(len(CONTENT) - len(content))
                return environ["wsgi.file_wrapper"](file)
            case "buffer":
                return environ["wsgi.file_wrapper"](Buffer(content))
        raise AssertionError(f"no such shape: {order.shape}")

    @staticmethod
    def _late(content, stream):
        yield FIRST
        yield from late_content(content, stream.read())[1:]

    def note(self, opened):
        with self._lock:
            self.open += opened


class Blocks:
    """An iterable that takes its time, and tells when it is closed."""

    def __init__(self, application, order, blocks):
        self._application = application
        self._order = order
        self._blocks = blocks
        application.note(1)

    def __iter__(self):
        for index, block in enumerate(self._blocks):
            if index == 1:
                self._order.pause("between")
            yield block

    def close(self):
        self._order.pause("last")
        self._application.note(-1)


class Buffer:
    """Something to read that is no file."""

    def __init__(self, content):
        self._content = content

    def read(self, size):
        block, self._content = self._content[:size], self._content[size:]
        return block


def _is_of_request(name):
    """Tell whether the variable *name* comes from what the client sends."""
    return name.startswith("HTTP_") or name in {
        "REQUEST_METHOD",
        "PATH_INFO",
        "QUERY_STRING",
        "REQUEST_URI",
        "SERVER_PROTOCOL",
        "CONTENT_TYPE",
        "CONTENT_LENGTH",
    }


def _short(value):
    """Return what takes little room in a head: the value itself, or a digest."""
    return value if len(value) <= 40 else digest(value.encode("latin-1"))


# Requests


class Request(NamedTuple):
    """A request as a client composes it."""

    method: str
    order: Order
    tail: str
    """Of the target, behind the order: more of the path, a query."""
    authority: str | None
    """Of a target in absolute-form."""
    scheme: str
    host: str
    version: str
    fields: tuple[tuple[str, str, int], ...]
    """Names, values, and how often each value is repeated in its field."""
    connection: str | None
    size: int
    """Bytes of content."""
    chunk: int | None
    """How large each chunk is, if the content is chunked."""
    trailers: tuple[tuple[str, str], ...]
    expects: str | None
    """Whether it expects 100 (Continue), and then waits for it or goes on."""
    empty_lines: int

    # What it says

    @property
    def target(self):
        origin = self.order.path + self.tail
        return origin if self.authority is None else f"{self.scheme}://{self.authority}{origin}"

    @property
    def content(self):
        return CONTENT[: self.size]

    @property
    def is_chunked(self):
        return self.chunk is not None and self.version != "HTTP/1.0"

    @property
    def has_content(self):
        return self.size > 0 or self.is_chunked

    @property
    def head(self):
        lines = [f"{self.method} {self.target} {self.version}", f"Host: {self.host}"]
        lines += [f"{name}:{value * times}" for name, value, times in self.fields]
        if self.connection is not None:
            lines.append(f"Connection: {self.connection}")
        if self.is_chunked:
            lines.append("Transfer-Encoding: chunked")
        elif self.size or self.method == "POST":
            lines.append(f"Content-Length: {self.size}")
        if self.expects is not None:
            lines.append("Expect: 100-continue")
        return "\r\n".join([""] * self.empty_lines + lines + ["", ""]).encode("latin-1")

    @property
    def body(self):
        content = self.content
        if not self.is_chunked:
            return content
        # Many small chunks of a large content would only take time.
        size = max(self.chunk, self.size // 50)
        chunks = [content[at : at + size] for at in range(0, self.size, size)]
        trailers = "".join(f"{name}: {value}\r\n" for name, value in self.trailers).encode("latin-1")
        return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n%b\r\n" % trailers

    @property
    def is_quick(self):
        return max(self.size, self.order.size) <= 100 and self.order.rests == "never"

    # What is to come of it

    @property
    def expects_continue(self):
        """Whether the server has to heed the expectation."""
        return self.expects is not None and self.has_content and self.version != "HTTP/1.0"

    @property
    def waits(self):
        """Whether the client sends content only once it is told to."""
        return self.expects_continue and self.expects == "waits"

    def is_streamed(self, streams):
        """Whether the application may be called before the content has arrived.

        *streams*: for which requests the server calls it before: "all", "none", or "expecting", those of
        clients that wait for 100 (Continue).
        """
        # Chunked content has no length before it has arrived, and not all applications go without.
        return {"all": True, "none": False}.get(streams, self.expects_continue and not self.is_chunked)

    @property
    def reads(self):
        """How much of the content the application comes to read; late: when the head has left."""
        if self.order.shape == "late":
            # Of a response without content the first block is the last that anybody asks for.
            return "none" if self.method == "HEAD" else "late"
        return self.order.reads

    @property
    def taken(self):
        """The content that the application reads."""
        return {"none": b"", "part": self.content[:10]}.get(self.reads, self.content)

    @property
    def is_bodiless(self):
        return self.method == "HEAD" or self.order.shape in BODILESS

    @property
    def status(self):
        return int(self.order.shape) if self.order.shape in BODILESS else 200

    @property
    def whole_answer(self):
        """The content of the response to GET."""
        content = self.order.content
        return b"".join(late_content(content, self.taken)) if self.order.shape == "late" else content

    @property
    def answer(self):
        """The content of the response."""
        return b"" if self.is_bodiless else self.whole_answer

    @property
    def has_known_length(self):
        """Whether the server can tell the length of the response before it sends it."""
        known = {"block", "tuple", "hinted"}
        if self.scheme == "http":
            known.add("file")  # over TLS, it is read block by block
        if self.order.declares or self.order.shape in known:
            return True
        return not self.whole_answer and self.order.shape not in {"write", "rest"}

    @property
    def has_end(self):
        """Whether the client sees where the response ends before the connection does."""
        return self.is_bodiless or self.has_known_length or self.version != "HTTP/1.0"

    @property
    def wish(self):
        """Whether the client lets the connection persist."""
        options = [option.strip().lower() for option in (self.connection or "").split(",")]
        return "keep-alive" in options if self.version == "HTTP/1.0" else "close" not in options

    def end(self, streams):
        """Tell what becomes of the connection: keeps, closes, or either, as time decides it.

        *streams*: as for `is_streamed`.
        """
        if not (self.wish and self.has_end):
            return "closes"
        is_read_first = self.reads in {"all", "lines", "part"}
        is_streamed = self.is_streamed(streams)
        if self.waits and is_streamed and not is_read_first:
            return "closes"
        if self.expects_continue and is_streamed and not is_read_first:
            return "either"
        if is_streamed and self.reads in {"none", "part"} and len(self.body) > SKIPPED_AT_MOST:
            return "either"
        return "keeps"

    def interim(self, streams):
        """Tell which interim responses there may be; *streams* as for `end`."""
        told = [[100]] if self.waits else [[], [100]] if self.expects_continue else [[]]
        if self.waits and self.is_streamed(streams) and self.reads in {"none", "late"}:
            told = [[]]
        hints = [103] if self.order.shape == "hinted" and self.version != "HTTP/1.0" else []
        return [interim + hints for interim in told]

    def variables(self):
        """What the application sees, but for the content's length and the trailers if it is chunked."""
        seen = digest(b"" if self.reads == "late" else self.taken)
        path, _, query = (self.order.path + self.tail).partition("?")
        found = {
            "REQUEST_METHOD": self.method,
            "PATH_INFO": unquote(path, "latin-1"),
            "QUERY_STRING": query,
            "REQUEST_URI": self.target,
            "SERVER_PROTOCOL": self.version,
            "HTTP_HOST": self.authority or self.host,
        }
        if self.connection is not None:
            found["HTTP_CONNECTION"] = self.connection
        if self.expects is not None:
            found["HTTP_EXPECT"] = "100-continue"
        if not self.is_chunked and (self.size or self.method == "POST"):
            found["CONTENT_LENGTH"] = str(self.size)
        for name, value, times in self.fields:
            key = "HTTP_" + name.upper().replace("-", "_")
            if "_" not in name and name != "Proxy":
                separator = "; " if key == "HTTP_COOKIE" else ","
                before = f"{found[key]}{separator}" if key in found else ""
                found[key] = before + (value * times).strip(" \t")
        return {name: _short(value) for name, value in found.items()} | {"content": seen}


# Judgement


class Answer(NamedTuple):
    """A response as the client read it."""

    interim: list[int]
    status: int
    fields: list[tuple[str, str]]
    content: bytes

    def get(self, name):
        found = [value for key, value in self.fields if key == name]
        assert len(found) < 2, f"{name} is repeated: {found}"
        return found[0] if found else None


def check(request, answer, streams, is_last):
    """Compare what came with what had to come; tell whether the server says that it closes the connection.

    *is_last*: whether the server serves no further request on the connection, whatever is in this one.
    """
    for what, found, wanted in differences(request, answer, streams, is_last):
        assert found in wanted, f"{what}: {found!r}, not {wanted!r}, for {request}"
    return answer.get("connection") == "close"


def differences(request, answer, streams, is_last):
    """Yield what is looked at, what was found, and what may be there."""
    yield "the status", answer.status, [request.status]
    yield "the interim responses", answer.interim, request.interim(streams)
    yield "Date", bool(answer.get("date")), [True]
    yield "Server", answer.get("server"), ["wsgix"]

    seen = json.loads(answer.get("x-seen"))
    # Streamed content has no length before it has arrived, and its trailers come last.
    is_collected = not request.is_streamed(streams)
    if request.is_chunked:
        lengths = [str(request.size)] + [None] * (not is_collected)
        yield "CONTENT_LENGTH", seen.pop("CONTENT_LENGTH", None), lengths
        trailers = [list(pair) for pair in request.trailers]
        found = seen.pop("trailers", None)
        if not is_collected and request.reads not in {"all", "lines"}:
            trailers = trailers[: len(found)]
        yield "the trailers", found, [trailers]
    yield "the variables", seen, [request.variables()]

    yield "the content", digest(answer.content), [digest(request.answer)]
    length = str(len(request.whole_answer))
    if request.status == 204 or not request.has_known_length:
        lengths = [None]
    elif request.order.declares or not request.is_bodiless:
        lengths = [length]
    else:
        lengths = [length, None]
    yield "Content-Length", answer.get("content-length"), lengths

    stays = "keep-alive" if request.version == "HTTP/1.0" else None
    ends = {"closes": ["close"], "keeps": [stays], "either": ["close", stays]}
    yield "Connection", answer.get("connection"), ends["closes" if is_last else request.end(streams)]
