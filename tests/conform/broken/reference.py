"""A small WSGI server that keeps the rules: what is broken derives from it and overrides a method.

An instance of `Reference` is one connection, served by one thread. The `good` and `bad` examples of server
rules are the bodies of classes that derive from it; so its method names are what those examples are written
in. It is slow, waits patiently, and is no server for anything else. `Serving` runs it on a free port.
"""

import contextlib
import io
import re
import select
import socket
import struct
import threading
import time
import traceback
from email.utils import formatdate
from urllib.parse import unquote_to_bytes

HOP_BY_HOP = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization"),
    *("te", "trailers", "trailer", "transfer-encoding", "upgrade"),
}
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
STATUS = re.compile(r"[1-5][0-9][0-9] [\x20-\x7e\x80-\xff]*")
VALUE = re.compile(r"[\x20-\x7e\x80-\xff]*")
LARGEST_UNREAD = 1 << 20


class Refusal(Exception):
    """The request is no good; its text is the status of the response."""


class Request:
    """What a request's head says: method, target, version ("1.1"), headers in order, names in lower case."""

    def __init__(self, method, target, version, headers):
        self.method, self.target, self.version, self.headers = method, target, version, headers

    def values(self, name):
        return [value for key, value in self.headers if key.lower() == name]

    def options(self, name):
        return [part.strip().lower() for value in self.values(name) for part in value.split(",")]

    @property
    def path(self):
        target = self.target
        if target.startswith(("http://", "https://")):
            slash = target.find("/", target.find("//") + 2)
            target = target[slash:] if slash > 0 else "/"
        return target.partition("?")[0]

    @property
    def query(self):
        return self.target.partition("?")[2]


class Input:
    """wsgi.input: `source(n)` gives up to n bytes of the content, and b"" at its end."""

    def __init__(self, source):
        self.source = source
        self.buffer = b""
        self.ended = False

    def fill(self):
        if not self.ended:
            piece = self.source(65536)
            self.buffer += piece
            self.ended = not piece
        return not self.ended

    def take(self, size):
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def read(self, size=-1):
        if size is None or size < 0:
            while self.fill():
                pass
            return self.take(len(self.buffer))
        while len(self.buffer) < size and self.fill():
            pass
        return self.take(size)

    def readline(self, size=-1):
        while b"\n" not in self.buffer and (size is None or size < 0 or len(self.buffer) < size):
            if not self.fill():
                break
        end = self.buffer.find(b"\n") + 1 or len(self.buffer)
        return self.take(end if size is None or size < 0 else min(end, size))

    def readlines(self, hint=-1):
        return list(self)

    def __iter__(self):
        return iter(self.readline, b"")


class Log(io.TextIOBase):
    """wsgi.errors, and the server's own log: keeps the text, characters that have no encoding replaced."""

    def __init__(self):
        self.text = ""
        self.lock = threading.Lock()

    def write(self, text):
        with self.lock:
            self.text += text.encode("utf-8", "backslashreplace").decode("utf-8")
        return len(text)


class FileWrapper:
    """wsgi.file_wrapper."""

    def __init__(self, file, size=8192):
        self.file, self.size = file, size
        if hasattr(file, "close"):
            self.close = file.close

    def __iter__(self):
        return iter(lambda: self.file.read(self.size), b"")


class Reference:
    """One connection."""

    software = "reference/1"

    def __init__(self, application, connection, peer, serving):
        self.application = application
        self.connection = connection
        self.peer = peer
        self.serving = serving
        self.log = serving.log
        self.received = b""

    # The connection.

    def serve(self):
        with self.connection:
            self.connection.settimeout(20)
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(OSError):
                while True:
                    try:
                        request = self.read_request()
                        if request is None:
                            return
                        self.check_request(request)
                    except Refusal as refusal:
                        self.refuse(str(refusal))
                        return
                    if not self.answer(request):
                        return

    def refuse(self, status):
        text = status.encode() + b"\n"
        self.transmit(
            b"HTTP/1.1 %s\r\nDate: %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
            b"Connection: close\r\n\r\n%s"
            % (status.encode(), formatdate(usegmt=True).encode(), len(text), text)
        )
        self.linger()

    def linger(self):
        # A reset would reach the client before the response if there were something unread.
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(0.2)
        with contextlib.suppress(OSError):
            while self.connection.recv(65536):
                pass

    def transmit(self, data):
        self.connection.sendall(data)

    def receive(self):
        piece = self.connection.recv(65536)
        self.received += piece
        return piece

    def client_left(self):
        if not select.select([self.connection], [], [], 0)[0]:
            return False
        try:
            return not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    # The request.

    def read_line(self):
        while b"\n" not in self.received:
            if len(self.received) > 65536:
                raise Refusal("431 Request Header Fields Too Large")
            if not self.receive():
                return None
        line, self.received = self.received.split(b"\n", 1)
        if not line.endswith(b"\r"):
            raise Refusal("400 Bad Request")
        return line[:-1].decode("latin-1")

    def read_request(self):
        line = self.read_line()
        if line is None:
            return None
        match = re.fullmatch(r"([!-~]+) ([!-~\x80-\xff]+) HTTP/(1\.[01])", line)
        if not match:
            raise Refusal("400 Bad Request")
        headers = []
        while line := self.read_line():
            headers.append(self.read_header(line))
        if line is None:
            return None
        return Request(*match.groups(), headers)

    def read_header(self, line):
        name, colon, value = line.partition(":")
        if not colon or not TOKEN.fullmatch(name) or not VALUE.fullmatch(value.replace("\t", " ")):
            raise Refusal("400 Bad Request")
        return name, value.strip(" \t")

    def check_request(self, request):
        hosts = request.values("host")
        if len(hosts) > 1 or (not hosts and request.version == "1.1"):
            raise Refusal("400 Bad Request")
        lengths = request.values("content-length")
        if len(set(lengths)) > 1 or not all(re.fullmatch("[0-9]+", length) for length in lengths):
            raise Refusal("400 Bad Request")
        codings = request.values("transfer-encoding")
        if codings and (lengths or request.version == "1.0"):
            raise Refusal("400 Bad Request")
        if codings and [coding.lower() for coding in codings] != ["chunked"]:
            raise Refusal("501 Not Implemented")

    # The content of the request.

    def make_source(self, request):
        if request.values("transfer-encoding"):
            return self.chunks()
        return self.exactly(int((request.values("content-length") or ["0"])[0]))

    def exactly(self, length):
        def source(size):
            nonlocal length
            if length == 0:
                return b""
            self.invite()
            if not self.received and not self.receive():
                raise OSError("the client left within the content")
            piece = self.received[: min(size, length)]
            self.received = self.received[len(piece) :]
            length -= len(piece)
            return piece

        return source

    def chunks(self):
        left, ended = 0, False

        def source(size):
            nonlocal left, ended
            if ended:
                return b""
            self.invite()
            if left == 0:
                left = self.read_chunk_size()
                if left == 0:
                    self.read_trailers()
                    ended = True
                    return b""
            if not self.received and not self.receive():
                raise OSError("the client left within a chunk")
            piece = self.received[: min(size, left)]
            self.received = self.received[len(piece) :]
            left -= len(piece)
            if left == 0 and self.read_line() != "":
                raise OSError("a chunk is longer than its size")
            return piece

        return source

    def read_chunk_size(self):
        line = self.read_line() or ""
        match = re.fullmatch(r"([0-9A-Fa-f]{1,16})[ \t]*(;.*)?", line)
        if not match:
            raise OSError("this is no size of a chunk")
        return int(match[1], 16)

    def read_trailers(self):
        while self.read_line():
            pass

    def invite(self):
        """Tell the client to send the content, if it waits for that."""
        if self.awaited:
            self.awaited = False
            self.transmit(b"HTTP/1.1 100 Continue\r\n\r\n")

    # The environ.

    def make_environ(self, request):
        environ = self.make_request_variables(request)
        environ.update(self.make_header_variables(request))
        environ.update(
            {
                "wsgi.version": (1, 0),
                "wsgi.url_scheme": "http",
                "wsgi.input": self.input,
                "wsgi.errors": self.log,
                "wsgi.multithread": True,
                "wsgi.multiprocess": False,
                "wsgi.run_once": False,
                "wsgi.input_terminated": True,
                "wsgi.file_wrapper": FileWrapper,
            }
        )
        return environ

    def make_request_variables(self, request):
        return {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(request.path.encode("latin-1")).decode("latin-1"),
            "QUERY_STRING": request.query,
            "REQUEST_URI": request.target,
            "SERVER_NAME": self.serving.address[0],
            "SERVER_PORT": str(self.serving.address[1]),
            "SERVER_PROTOCOL": f"HTTP/{request.version}",
            "SERVER_SOFTWARE": self.software,
            "GATEWAY_INTERFACE": "CGI/1.1",
            "REMOTE_ADDR": self.peer[0],
            "REMOTE_PORT": str(self.peer[1]),
        }

    def make_header_variables(self, request):
        variables = {}
        for name, value in request.headers:
            if "_" in name or name.lower() == "proxy":
                continue
            key = name.upper().replace("-", "_")
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                key = f"HTTP_{key}"
            if key in variables:
                value = f"{variables[key]}{'; ' if key == 'HTTP_COOKIE' else ', '}{value}"
            variables[key] = value
        return variables

    def make_input(self, source):
        return Input(source)

    # The application.

    def answer(self, request):
        """Run the application; return whether the connection goes on."""
        self.request = request
        self.awaited = request.version == "1.1" and "100-continue" in request.options("expect")
        self.source = self.make_source(request)
        self.input = self.make_input(self.source)
        self.started = self.head_sent = self.wrote = self.aborted = False
        self.status, self.headers, self.result = "", [], None
        self.left = None
        """How many bytes of a declared length are still to come."""
        self.chunked = False
        environ = self.make_environ(request)
        try:
            self.call(environ)
            self.iterate()
            self.finish()
        except OSError:
            self.aborted = True
        except Exception as error:
            self.fail(error)
        finally:
            self.end()
        return not self.aborted and self.goes_on()

    def call(self, environ):
        self.result = self.application(environ, self.start_response)

    def start_response(self, status, headers, exc_info=None):
        try:
            if exc_info:
                if self.head_sent:
                    self.raise_again(exc_info)
            elif self.started:
                raise AssertionError("start_response was called before, and exc_info is not given")
            self.started = True
            self.check_head(status, headers)
            self.set_head(status, headers)
        finally:
            exc_info = None
        return self.write

    def raise_again(self, exc_info):
        raise exc_info[1].with_traceback(exc_info[2])

    def set_head(self, status, headers):
        self.status, self.headers = status, headers

    def check_head(self, status, headers):
        if type(status) is not str or not STATUS.fullmatch(status):
            raise ValueError("this is no status")
        if type(headers) is not list:
            raise TypeError("the headers are not a list")
        for name, value in headers:
            self.check_header(name, value)

    def check_header(self, name, value):
        if type(name) is not str or not TOKEN.fullmatch(name):
            raise ValueError("this is no name of a header")
        if type(value) is not str or not VALUE.fullmatch(value):
            raise ValueError("this is no value of a header")
        if name.lower() in HOP_BY_HOP:
            raise ValueError("a hop-by-hop header is the server's")

    def write(self, data):
        self.wrote = True
        self.send_block(data, last=False)

    def iterate(self):
        last = self.is_single()
        for block in self.result:
            if block:
                self.send_block(block, last=last)
            if self.left == 0 and self.declared() is not None:
                break

    def is_single(self):
        try:
            return not self.wrote and len(self.result) == 1
        except Exception:
            return False

    def finish(self):
        if not self.status:
            raise AssertionError("there is no head")
        if not self.head_sent:
            self.send_head(length=0)
        if self.has_content() and self.chunked:
            self.transmit(b"0\r\n\r\n")
        if self.has_content() and self.left:
            self.log.write("the application gave less than its Content-Length\n")
            self.aborted = True

    def end(self):
        if hasattr(self.result, "close"):
            try:
                self.result.close()
            except Exception:
                self.log.write(traceback.format_exc())

    def fail(self, error):
        self.log.write("".join(traceback.format_exception(error)))
        if self.head_sent:
            self.aborted = True
            return
        self.started, self.wrote = True, False
        self.set_head("500 Internal Server Error", [("Content-Type", "text/plain")])
        self.send_block(b"The application failed.\n", last=True)

    # The response.

    def value_of(self, name):
        return next((value for key, value in self.headers if key.lower() == name), None)

    def declared(self):
        return self.value_of("content-length")

    def has_content(self):
        return self.request.method != "HEAD" and self.status[:3] not in ("204", "304")

    def goes_on(self):
        """Whether the connection can be used again: nothing of this request may be left unread."""
        if self.closes:
            with contextlib.suppress(OSError):
                self.linger()
            return False
        if self.awaited:
            return False
        unread = 0
        while piece := self.source(65536):
            unread += len(piece)
            if unread > LARGEST_UNREAD:
                return False
        return True

    def wants_close(self):
        options = self.request.options("connection")
        return "close" in options or (self.request.version == "1.0" and "keep-alive" not in options)

    def make_framing(self, length):
        """Return the headers that tell where the response ends."""
        declared = self.declared()
        self.closes = self.wants_close()
        framing = []
        if declared is not None:
            self.left = int(declared)
        elif self.has_content() or self.request.method == "HEAD":
            if length is not None:
                framing.append(("Content-Length", str(length)))
                self.left = length
            elif self.request.version == "1.1":
                framing.append(("Transfer-Encoding", "chunked"))
                self.chunked = True
            else:
                self.closes = True
        if self.awaited:
            self.closes = True
        if self.closes:
            framing.append(("Connection", "close"))
        elif self.request.version == "1.0":
            framing.append(("Connection", "keep-alive"))
        return framing

    def drop_forbidden(self):
        if self.status.startswith("204"):
            self.headers = [pair for pair in self.headers if pair[0].lower() != "content-length"]

    def send_head(self, length=None):
        self.head_sent = True
        self.drop_forbidden()
        headers = [*self.headers, *self.make_framing(length)]
        for name, value in self.own_headers():
            if self.value_of(name.lower()) is None:
                headers.append((name, value))
        self.transmit_head(self.status, headers)

    def own_headers(self):
        return [("Date", formatdate(usegmt=True)), ("Server", self.software)]

    def transmit_head(self, status, headers):
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers), "", ""]
        self.transmit("\r\n".join(lines).encode("latin-1"))

    def send_block(self, block, *, last):
        if not self.status:
            raise AssertionError("there is no head")
        if not block:
            return
        if not self.head_sent:
            self.send_head(length=len(block) if last else None)
        self.send_content(block)

    def send_content(self, block):
        if not self.has_content():
            return
        if self.left is not None:
            allowed, rest = block[: self.left], block[self.left :]
            self.left -= len(allowed)
            self.transmit(allowed)
            if rest and self.wrote:
                raise ValueError("the application writes more than its Content-Length")
        elif self.chunked:
            self.transmit(b"%x\r\n%s\r\n" % (len(block), block))
        else:
            self.transmit(block)


class Serving:
    """Serves an application on a free port of 127.0.0.1, with a class of connections, until it is left."""

    def __init__(self, connection_class, application):
        self.connection_class, self.application = connection_class, application
        self.log = Log()
        self.threads = []

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = self.listener.getsockname()
        self.accepting = threading.Thread(target=self.accept, daemon=True)
        self.accepting.start()
        return self

    def accept(self):
        while True:
            try:
                connection, peer = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self.serve, args=(connection, peer), daemon=True)
            self.threads.append(thread)
            thread.start()

    def serve(self, connection, peer):
        try:
            self.connection_class(self.application, connection, peer, self).serve()
        except Exception:
            self.log.write(traceback.format_exc())
            connection.close()

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.accepting.join(5)
        end = time.monotonic() + 5
        for thread in self.threads:
            thread.join(max(0, end - time.monotonic()))


def reset(connection):
    """End a connection without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
