"""Middleware with one fault each, and the twins without it: what the referee of middleware is tried with.

`FAULTS` lists them, as `applications.FAULTS` does: each is `make(broken)`, which returns a factory.
"""

from __future__ import annotations

import sys
import zlib

from tests.conform.broken.applications import Fault

FAULTS: list[Fault] = []


def fault(rule):
    def add(make):
        FAULTS.append(Fault(rule, make.__name__, make))
        return make

    return add


class Passed:
    """Passes each block and close(); what is other is told by `block`."""

    def __init__(self, blocks, change=lambda block: block):
        self.blocks = blocks
        self.iterator = iter(blocks)
        self.change = change

    def __iter__(self):
        return self

    def __next__(self):
        return self.change(next(self.iterator))

    def close(self):
        if hasattr(self.blocks, "close"):
            self.blocks.close()


def around(iterable=Passed, start=lambda start_response: start_response, environ=lambda environ: environ):
    """Make a factory of middleware that changes the one or the other."""

    def middleware(app):
        return lambda given, start_response: iterable(app(environ(given), start(start_response)))

    return middleware


# M1: both sides


@fault("M1")
def application_called_by_keyword(broken):
    if broken:
        return lambda app: lambda environ, start_response: app(environ=environ, start_response=start_response)
    return around()


@fault("M1")
def environ_of_a_subclass(broken):
    class Environ(dict):
        __slots__ = ()

    return around(environ=Environ if broken else dict)


@fault("M1")
def environ_with_a_number(broken):
    return around(environ=lambda environ: {**environ, "REMOTE_PORT": 80 if broken else "80"})


@fault("M1")
def environ_beyond_latin_1(broken):
    return around(environ=lambda environ: {**environ, "REMOTE_USER": "\u0141ukasz" if broken else "Lukasz"})


@fault("M1")
def environ_with_a_key_of_bytes(broken):
    return around(environ=lambda environ: {**environ, b"x.user" if broken else "x.user": "Ada"})


@fault("M1")
def environ_made_anew_without_streams(broken):
    lost = {"wsgi.errors"} if broken else set()
    return around(environ=lambda environ: {key: environ[key] for key in environ.keys() - lost})


@fault("M1")
def input_without_lines(broken):
    class Counted:
        def __init__(self, stream):
            self.read = stream.read

    class CountedWholly(Counted):
        def __init__(self, stream):
            super().__init__(stream)
            self.readline, self.readlines = stream.readline, stream.readlines

        def __iter__(self):
            return iter(self.readline, b"")

    wrap = Counted if broken else CountedWholly
    return around(environ=lambda environ: {**environ, "wsgi.input": wrap(environ["wsgi.input"])})


@fault("M1")
def start_response_without_write(broken):
    def start(start_response):
        def begin(status, headers, exc_info=None):
            write = start_response(status, headers, exc_info)
            return None if broken else write

        return begin

    return around(start=start)


@fault("M1")
def exc_info_not_passed_on(broken):
    def start(start_response):
        return lambda status, headers, exc_info=None: start_response(
            status, headers, None if broken else exc_info
        )

    return around(start=start)


@fault("M1")
def exc_info_swallowed(broken):
    def start(start_response):
        begun = []

        def begin(status, headers, exc_info=None):
            begun.append(status)
            if broken and len(begun) > 1:
                return lambda data: None
            return start_response(status, headers, exc_info)

        return begin

    return around(start=start)


@fault("M1")
def head_taken_for_granted_when_the_application_returns(broken):
    def middleware(app):
        def wrapped(environ, start_response):
            heads = []

            def start(status, headers, exc_info=None):
                heads.append(status)
                return start_response(status, headers, exc_info)

            blocks = app(environ, start)
            if broken:
                environ["x.status"] = heads[-1]
            return Passed(blocks)

        return wrapped

    return middleware


@fault("M1")
def blocks_taken_for_text(broken):
    return around(lambda blocks: Passed(blocks, lambda block: bytearray(block) if broken else bytes(block)))


@fault("M1")
def field_that_is_no_pair_of_text(broken):
    def start(start_response):
        return lambda status, headers, exc_info=None: start_response(
            status, [*headers, ("X-Seconds", 0.1 if broken else "0.1")], exc_info
        )

    return around(start=start)


# M2 to M6: block boundaries


class Deflated(Passed):
    """Compresses block by block; `b""` where the compressor keeps what it got."""

    def __init__(self, blocks, encoded, broken):
        super().__init__(blocks)
        self.encoded = encoded
        self.broken = broken
        self.compressor = zlib.compressobj()
        self.ended = False

    def __next__(self):
        if self.ended:
            raise StopIteration
        try:
            while True:
                block = next(self.iterator)
                if not self.encoded:
                    return block
                block = self.compressor.compress(block)
                if block or not self.broken:
                    return block
        except StopIteration:
            if not self.encoded:
                raise
            self.ended = True
            return self.compressor.flush()


@fault("M2")
def compression_that_waits_until_it_has_something(broken):
    def middleware(app):
        def wrapped(environ, start_response):
            encoded = []

            def start(status, headers, exc_info=None):
                encoded.clear()
                if wanted(environ, status, headers):
                    encoded.append(True)
                    headers = [field for field in headers if field[0].lower() != "content-length"]
                    headers.append(("Content-Encoding", "deflate"))
                write = start_response(status, headers, exc_info)
                return (lambda data: write(blocks.compressor.compress(data))) if encoded else write

            blocks = Deflated([], encoded, broken)
            blocks.blocks = app(environ, start)
            blocks.iterator = iter(blocks.blocks)
            return blocks

        return wrapped

    def wanted(environ, status, headers):
        kinds = [value for name, value in headers if name.lower() == "content-type"]
        return (
            "deflate" in environ.get("HTTP_ACCEPT_ENCODING", "")
            and environ["REQUEST_METHOD"] != "HEAD"
            and status.startswith("200")
            and kinds[0].startswith("text/")
        )

    return middleware


@fault("M2")
def two_blocks_made_one(broken):
    class Paired(Passed):
        def __next__(self):
            block = next(self.iterator)
            return block + next(self.iterator, b"") if broken and block else block

    return around(Paired)


@fault("M3")
def empty_blocks_dropped(broken):
    return around(lambda blocks: Skipping(blocks, broken))


class Skipping(Passed):
    """Drops what is empty, and lets the server wait for what is not."""

    def __init__(self, blocks, broken):
        super().__init__(blocks)
        self.broken = broken

    def __next__(self):
        block = next(self.iterator)
        while not block and self.broken:
            block = next(self.iterator)
        return block


@fault("M4")
def first_block_fetched_to_have_the_head(broken):
    def middleware(app):
        def wrapped(environ, start_response):
            blocks = app(environ, start_response)
            if not broken:
                return Passed(blocks)
            first = Passed(blocks)
            block = next(first, None)
            return Chained([] if block is None else [block], first)

        return wrapped

    return middleware


class Chained:
    def __init__(self, first, rest):
        self.first, self.rest = first, rest

    def __iter__(self):
        return self

    def __next__(self):
        return self.first.pop() if self.first else next(self.rest)

    def close(self):
        self.rest.close()


@fault("M5")
def sent_by_write_in_the_call(broken):
    def middleware(app):
        def wrapped(environ, start_response):
            writers = []

            def start(status, headers, exc_info=None):
                writers.append(start_response(status, headers, exc_info))
                return writers[-1]

            def send(block):
                if broken and block:
                    writers[-1](block)
                    return b""
                return block

            return Passed(app(environ, start), send)

        return wrapped

    return middleware


@fault("M6")
def tail_held_back(broken):
    """It keeps the last bytes of each block, in case a word goes on in the next."""

    class Tailed(Passed):
        tail = b""
        done = False

        def __next__(self):
            if self.done:
                raise StopIteration
            try:
                data = self.tail + next(self.iterator)
            except StopIteration:
                if not self.tail:
                    raise
                self.done = True
                return self.tail
            keep = min(8, len(data)) if broken else 0
            self.tail = data[len(data) - keep :]
            return data[: len(data) - keep]

    return around(Tailed)


# M7: close()


@fault("M7")
def generator_with_finally(broken):
    """Closed before it began, a generator runs nothing: no finally either."""

    def middleware(app):
        def wrapped(environ, start_response):
            blocks = app(environ, start_response)
            return passed(blocks) if broken else Passed(blocks)

        def passed(blocks):
            try:
                yield from blocks
            finally:
                if hasattr(blocks, "close"):
                    blocks.close()

        return wrapped

    return middleware


@fault("M7")
def closed_at_the_end_and_again(broken):
    class Eager(Passed):
        def __next__(self):
            try:
                return next(self.iterator)
            except StopIteration:
                if broken:
                    self.close()
                raise

    return around(Eager)


@fault("M7")
def iterator_closed_instead_of_the_iterable(broken):
    class Iterated(Passed):
        def close(self):
            of = self.iterator if broken else self.blocks
            if hasattr(of, "close"):
                of.close()

    return around(Iterated)


# M8, M10, M12


@fault("M8")
def upgrade_offered(broken):
    def start(start_response):
        return lambda status, headers, exc_info=None: start_response(
            status, [*headers, ("Upgrade" if broken else "X-Upgrade", "h2c")], exc_info
        )

    return around(start=start)


@fault("M8")
def chunked_by_itself(broken):
    def start(start_response):
        return lambda status, headers, exc_info=None: start_response(
            status, [*headers, *([("Transfer-Encoding", "chunked")] if broken else [])], exc_info
        )

    return around(start=start)


@fault("M10")
def errors_collected(broken):
    errors = []

    def start(start_response):
        def begin(status, headers, exc_info=None):
            if exc_info:
                errors.append(exc_info[1] if broken else repr(exc_info[1]))
            return start_response(status, headers, exc_info)

        return begin

    return around(start=start)


@fault("M12")
def banner_added(broken):
    banner = b"<!-- seen -->"

    def start(start_response):
        def begin(status, headers, exc_info=None):
            if not broken:
                headers = [field for field in headers if field[0].lower() != "content-length"]
            return start_response(status, headers, exc_info)

        return begin

    return around(lambda blocks: Passed(blocks, lambda block: block and banner + block), start)


# What is no fault, though it may look like one


def answers_itself(app):
    """It never calls the application."""

    def wrapped(environ, start_response):
        start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"closed for today"]

    return wrapped


def error_page_of_its_own(app):
    """It answers what the application does not trap, and raises nothing (PEP 3333, Error Handling)."""

    def wrapped(environ, start_response):
        try:
            return Passed(app(environ, start_response))
        except Exception:
            start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
            return [b"Sorry"]

    return wrapped


def exception_of_its_own(app):
    """It raises another exception for an exc_info (PEP 3333, Error Handling)."""

    class Aborted(Exception):
        pass

    def wrapped(environ, start_response):
        def start(status, headers, exc_info=None):
            if exc_info:
                raise Aborted(status)
            return start_response(status, headers)

        return Passed(app(environ, start))

    return wrapped


def whole_generator(app):
    """It is a generator itself, and calls the application when it is asked for the first block."""

    def wrapped(environ, start_response):
        blocks = app(environ, start_response)
        try:
            yield from blocks
        finally:
            if hasattr(blocks, "close"):
                blocks.close()

    return wrapped


HARMLESS = [answers_itself, error_page_of_its_own, exception_of_its_own]
