"""The applications of the contract. Each reports what it saw in its response, so any process may run it."""

import ast
import sys

TEXT = [("Content-Type", "text/plain; charset=utf-8")]


def report(start_response, value):
    """Answer with a literal that `read_report` reads."""
    content = repr(value).encode("utf-8")
    start_response("200 OK", [*TEXT, ("Content-Length", str(len(content)))])
    return [content]


def read_report(content):
    return ast.literal_eval(content.decode("utf-8"))


def describe_environ(environ, start_response):
    plain = {key: value for key, value in environ.items() if type(value) in {str, bool, tuple}}
    types = {key: type(value).__name__ for key, value in environ.items()}
    return report(start_response, (type(environ).__name__, plain, types))


def read_in_every_way(environ, start_response):
    stream = environ["wsgi.input"]
    seen = [
        stream.read(3),
        stream.read(0),
        stream.readline(),
        stream.readline(2),
        stream.readline(),
        next(iter(stream)),
        stream.readlines(),
        stream.read(),
        stream.read(5),
        stream.readline(),
        stream.readlines(),
        list(stream),
    ]
    return report(start_response, seen)


def read_nothing(environ, start_response):
    return report(start_response, "unread")


def read_all(environ, start_response):
    return report(start_response, environ["wsgi.input"].read())


def read_all_by_size(environ, start_response):
    stream, blocks = environ["wsgi.input"], []
    while block := stream.read(7):
        blocks.append(block)
    return report(start_response, b"".join(blocks))


def echo(environ, start_response):
    content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response(
        "200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(content)))]
    )
    return [content]


def write_errors(environ, start_response):
    errors = environ["wsgi.errors"]
    errors.write("plain\n")
    errors.write("\u20ac \xe4 \U0001f600 \x00\n")
    errors.writelines(["a\n", "b\n"])
    errors.flush()
    return report(start_response, "written")


def one_block(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"abc"]


def many_blocks(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"a", b"", b"b", b"c"]


def generator(environ, start_response):
    start_response("200 OK", TEXT)
    yield b""
    yield b"a"
    yield b"bc"


def starts_late(environ, start_response):
    def blocks():
        start_response("201 Created", TEXT)
        yield b"abc"

    return blocks()


def writes(environ, start_response):
    write = start_response("200 OK", TEXT)
    write(b"a")
    write(b"b")
    return [b"c"]


def no_content(environ, start_response):
    start_response("204 No Content", [])
    return []


def not_modified(environ, start_response):
    start_response("304 Not Modified", [("ETag", '"x"')])
    return []


def empty(environ, start_response):
    start_response("200 OK", TEXT)
    return []


def declares_more(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "9")])
    return [b"abc"]


def declares_less(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "3")])
    return [b"ab", b"cd", b"ef"]


def fails(environ, start_response):
    raise ZeroDivisionError("secret")


def fails_after_start(environ, start_response):
    start_response("200 OK", TEXT)
    raise ZeroDivisionError("secret")


def never_starts(environ, start_response):
    return [b"abc"]


def starts_twice(environ, start_response):
    start_response("200 OK", TEXT)
    start_response("200 OK", TEXT)
    return [b"abc"]


def mends_with_exc_info(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "100")])
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        start_response("503 Service Unavailable", TEXT, sys.exc_info())
    return [b"sorry"]


def starts_with_exc_info(environ, start_response):
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        start_response("503 Service Unavailable", TEXT, sys.exc_info())
    return [b"sorry"]


def sends_hop_by_hop(environ, start_response):
    start_response("200 OK", [("Connection", "close")])
    return [b"abc"]


def sends_control_characters(environ, start_response):
    start_response("200 OK", [("X-A", "b\r\nX-Evil: 1")])
    return [b"abc"]


def returns_text(environ, start_response):
    start_response("200 OK", TEXT)
    return ["abc"]


class _Closing:
    """An iterable that says on wsgi.errors how often it was closed."""

    def __init__(self, errors, blocks):
        self._errors = errors
        self._blocks = blocks

    def __iter__(self):
        for block in self._blocks:
            if block is None:
                raise ZeroDivisionError("secret")
            yield block

    def close(self):
        self._errors.write("closed\n")
        self._errors.flush()


def closes(environ, start_response):
    start_response("200 OK", TEXT)
    return _Closing(environ["wsgi.errors"], [b"a", b"bc"])


def closes_after_failing(environ, start_response):
    start_response("200 OK", TEXT)
    return _Closing(environ["wsgi.errors"], [None])


def uses_file_wrapper(environ, start_response):
    import io

    wrapper = environ.get("wsgi.file_wrapper", lambda file, size: iter(lambda: file.read(size), b""))
    start_response("200 OK", TEXT)
    return wrapper(io.BytesIO(b"abc" * 1000), 1024)
