"""Applications with one fault each, and their twins without it: what the referee is tried with.

`FAULTS` lists them. Each is a function that makes the broken application or, told so, the correct one: what
differs between the two is the fault and nothing else. They are meant to look like what people write, and are
others than the examples in the rules.
"""

from __future__ import annotations

import html
import io
import json
import sys
import threading
from collections import UserString
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

SHORT_FILE = Path(__file__).with_name("short.txt")
FORM = "application/x-www-form-urlencoded"
HTML = ("Content-Type", "text/html; charset=utf-8")
TEXT = ("Content-Type", "text/plain; charset=utf-8")


class Fault(NamedTuple):
    """One fault: the rule that it breaks, a name, and `make(broken)`, which returns an application."""

    rule: str
    name: str
    make: Any


FAULTS: list[Fault] = []


def fault(rule):
    def add(make):
        FAULTS.append(Fault(rule, make.__name__, make))
        return make

    return add


def page(content=b"<p>Hello</p>", status="200 OK", fields=(HTML,), length=True):
    """Make an application that answers each request with the same page, and HEAD without content."""

    def application(environ, start_response):
        lengths = [("Content-Length", str(len(content)))] if length else []
        start_response(status, [*fields, *lengths])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [content]

    return application


def for_get(environ, blocks):
    return [] if environ["REQUEST_METHOD"] == "HEAD" else blocks


# A: calling


@fault("A1")
def keyword_only_start_response(broken):
    inner = page()
    if broken:
        return lambda environ, *, start_response: inner(environ, start_response)
    return inner


@fault("A2")
def template_rendered_once(broken):
    blocks = iter([b"<p>Hello</p>"])

    def application(environ, start_response):
        start_response("200 OK", [HTML])
        return for_get(environ, blocks if broken else [b"<p>Hello</p>"])

    return application


@fault("A2")
def connection_closed_after_the_first_request(broken):
    connection = io.BytesIO(b"rows")

    def application(environ, start_response):
        connection.seek(0)
        content = connection.read()
        start_response("200 OK", [TEXT])
        if broken:
            connection.close()
        return for_get(environ, [content])

    return application


@fault("A2")
def run_once_taken_for_the_last_request(broken):
    def application(environ, start_response):
        start_response("500 Oops" if broken and environ.get("wsgi.run_once") else "200 OK", [TEXT])
        return for_get(environ, [b"Hello"])

    return application


@fault("A3")
def request_kept_on_the_application(broken):
    class Application:
        def __call__(self, environ, start_response):
            self.environ, self.start_response = environ, start_response
            return Answer(self if broken else self.copy())

        def copy(self):
            other = Application()
            other.environ, other.start_response = self.environ, self.start_response
            return other

    class Answer:
        def __init__(self, request):
            self.request = request
            self.done = False

        def __iter__(self):
            return self

        def __next__(self):
            if self.done:
                raise StopIteration
            self.done = True
            request = self.request
            request.start_response("200 OK", [TEXT])
            path = request.environ.get("PATH_INFO", "").encode("latin-1")
            return b"" if request.environ["REQUEST_METHOD"] == "HEAD" else b"You are at " + path

    return Application()


@fault("A3")
def lock_held_while_the_response_is_sent(broken):
    """It refuses whom it cannot serve at the same time, instead of making him wait."""
    busy = threading.Lock()

    def application(environ, start_response):
        if broken and not busy.acquire(blocking=False):
            start_response("500 Busy", [TEXT])
            yield b"busy"
            return
        try:
            start_response("200 OK", [TEXT])
            yield from for_get(environ, [b"one", b"two"])
        finally:
            if broken:
                busy.release()

    return application


@fault("A4")
def start_response_with_keywords(broken):
    def application(environ, start_response):
        if broken:
            start_response(status="200 OK", headers=[TEXT])
        else:
            start_response("200 OK", [TEXT])
        return for_get(environ, [b"Hello"])

    return application


@fault("A5")
def start_response_asked_for_its_code(broken):
    def application(environ, start_response):
        if broken and hasattr(start_response, "__code__"):
            raise TypeError("this server is too simple")
        start_response("200 OK", [TEXT])
        return for_get(environ, [b"Hello"])

    return application


@fault("A6")
def content_before_the_head(broken):
    def application(environ, start_response):
        if not broken:
            start_response("200 OK", [TEXT])
        yield from for_get(environ, [b"Hello"]) or [b""]
        if broken:
            start_response("200 OK", [TEXT])

    return application


@fault("A7")
def no_head_without_content(broken):
    def application(environ, start_response):
        rows = [] if environ.get("PATH_INFO") == "/" else [b"row"]
        if rows or not broken:
            start_response("200 OK", [TEXT])
        yield from for_get(environ, rows)

    return application


@fault("A9")
def nothing_returned_after_write(broken):
    def application(environ, start_response):
        start_response("200 OK", [TEXT])
        return None if broken else []

    return application


@fault("A10")
def bytes_returned_bare(broken):
    def application(environ, start_response):
        start_response("200 OK", [TEXT])
        content = b"" if environ["REQUEST_METHOD"] == "HEAD" else b"Hello"
        return content if broken else [content]

    return application


@fault("A11")
def length_that_counts_rows_and_not_blocks(broken):
    class Rows:
        rows = (b"1,2\n", b"3,4\n")

        def __len__(self):
            return 2 if broken else 3

        def __iter__(self):
            yield b"a,b\n"
            yield from self.rows

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/csv")])
        return for_get(environ, Rows())

    return application


@fault("A12")
def close_that_trusts_in_the_end(broken):
    class Rows:
        def __init__(self):
            self.left = [b"one", b"two"]

        def __iter__(self):
            return self

        def __next__(self):
            if not self.left:
                raise StopIteration
            return self.left.pop(0)

        def close(self):
            if broken and self.left:
                raise RuntimeError("rows are left")

    def application(environ, start_response):
        start_response("200 OK", [TEXT])
        return for_get(environ, Rows())

    return application


@fault("A12")
def generator_that_will_not_stop(broken):
    def rows():
        try:
            yield b"one"
            yield b"two"
        except GeneratorExit:
            if broken:
                yield b"and goodbye"
            raise

    def application(environ, start_response):
        start_response("200 OK", [TEXT])
        return for_get(environ, rows())

    return application


@fault("A12")
def cursor_given_back_at_the_end_only(broken):
    cursors = [object() for _ in range(10)]

    class Rows:
        def __init__(self):
            self.cursor = cursors.pop()
            self.left = [b"one", b"two"]

        def __iter__(self):
            return self

        def __next__(self):
            if not self.left:
                if broken:
                    self.give_back()
                raise StopIteration
            return self.left.pop(0)

        def give_back(self):
            if self.cursor is not None:
                cursors.append(self.cursor)
                self.cursor = None

        def close(self):
            if not broken:
                self.give_back()

    def application(environ, start_response):
        if not cursors:
            start_response("503 Service Unavailable", [TEXT])
            return for_get(environ, [b"no cursor is left"])
        start_response("200 OK", [TEXT])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else Rows()

    return application


@fault("A14")
def form_field_taken_for_granted(broken):
    def application(environ, start_response):
        length = int(environ.get("CONTENT_LENGTH") or 0)
        form = parse_qs(environ["wsgi.input"].read(length).decode("latin-1"))
        if environ["REQUEST_METHOD"] == "POST" and (broken or "name" in form):
            name = form["name"][0]
        else:
            name = "nobody"
        start_response("200 OK", [HTML])
        return for_get(environ, [f"<p>Hello {html.escape(name)}</p>".encode()])

    return application


@fault("A14")
def json_that_is_none(broken):
    def application(environ, start_response):
        data = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        try:
            if environ.get("CONTENT_TYPE") == "application/json":
                json.loads(data)
        except ValueError:
            if broken:
                raise
            start_response("400 Bad Request", [TEXT], sys.exc_info())
            return [b"that is no JSON"]
        start_response("200 OK", [TEXT])
        return for_get(environ, [b"Hello"])

    return application


@fault("A14")
def method_that_nobody_thought_of(broken):
    answers = {"GET": b"got", "HEAD": b"", "POST": b"posted", "PUT": b"put", "PATCH": b"patched"}

    def application(environ, start_response):
        if broken or environ["REQUEST_METHOD"] in answers:
            content = answers[environ["REQUEST_METHOD"]]
            start_response("200 OK", [TEXT])
            return [content]
        start_response("405 Method Not Allowed", [TEXT, ("Allow", ", ".join(answers))])
        return [b"no"]

    return application


@fault("A15")
def open_file_returned(broken):
    def application(environ, start_response):
        start_response("200 OK", [TEXT])
        if environ["REQUEST_METHOD"] == "HEAD":
            return []
        file = SHORT_FILE.open("rb")
        return file if broken else Blocks(file)

    return application


class Blocks:
    def __init__(self, file):
        self.file = file
        self.close = file.close

    def __iter__(self):
        return iter(lambda: self.file.read(8192), b"")


@fault("A21")
def file_wrapper_with_a_keyword(broken):
    def application(environ, start_response):
        start_response("200 OK", [TEXT])
        wrap = environ.get("wsgi.file_wrapper")
        file = io.BytesIO(b"" if environ["REQUEST_METHOD"] == "HEAD" else b"content")
        if wrap is None:
            return Blocks(file)
        return wrap(file, block_size=4096) if broken else wrap(file, 4096)

    return application


@fault("A22")
def path_given_to_the_file_wrapper(broken):
    def application(environ, start_response):
        start_response("200 OK", [TEXT])
        file = io.BytesIO(b"content")
        if environ["REQUEST_METHOD"] == "HEAD" or "wsgi.file_wrapper" not in environ:
            return for_get(environ, Blocks(file))
        return environ["wsgi.file_wrapper"]("/srv/file" if broken else file)

    return application


# H: the head


class Reason(str):
    __slots__ = ()


@fault("H1")
def status_of_a_subclass(broken):
    return page(status=Reason("200 OK") if broken else "200 OK")


@fault("H2")
def status_without_a_reason(broken):
    return page(status="200" if broken else "200 OK")


@fault("H2")
def status_with_two_spaces(broken):
    return page(status="404  Not Found" if broken else "404 Not Found")


@fault("H3")
def status_with_a_line_feed(broken):
    return page(status="200 OK\nfor now" if broken else "200 OK for now")


@fault("H4")
def status_code_of_one_s_own(broken):
    return page(status="799 Deal With It" if broken else "499 Deal With It")


@fault("H5")
def early_hints_for_an_answer(broken):
    def application(environ, start_response):
        if broken:
            start_response("103 Early Hints", [("Link", "</style.css>; rel=preload")])
            return []
        start_response("200 OK", [TEXT, ("Link", "</style.css>; rel=preload")])
        return for_get(environ, [b"Hello"])

    return application


@fault("H6")
def headers_in_a_tuple(broken):
    return headers_as(lambda fields: tuple(fields) if broken else fields)


@fault("H6")
def headers_in_a_dict(broken):
    return headers_as(lambda fields: dict(fields) if broken else fields)


@fault("H7")
def header_field_in_a_list(broken):
    return headers_as(lambda fields: [list(field) for field in fields] if broken else fields)


@fault("H8")
def length_as_a_number(broken):
    return page(fields=(HTML, ("X-Rows", 5 if broken else "5")))


@fault("H8")
def value_of_another_text_type(broken):
    return page(fields=(HTML, ("X-Name", UserString("Ada") if broken else "Ada")))


def headers_as(change):
    def application(environ, start_response):
        start_response("200 OK", change([TEXT, ("X-Name", "Ada")]))
        return for_get(environ, [b"Hello"])

    return application


@fault("H9")
def name_with_a_space(broken):
    return page(fields=(HTML, ("X Name" if broken else "X-Name", "Ada")))


@fault("H10")
def name_with_a_colon(broken):
    return page(fields=(HTML, ("X-Name_" if broken else "X-Name", "Ada")))


@fault("H11")
def cookie_with_what_the_user_typed(broken):
    typed = "dark\r\nSet-Cookie: admin=1"
    return page(fields=(HTML, ("Set-Cookie", f"theme={typed if broken else typed.split()[0]}")))


@fault("H12")
def file_name_in_unicode(broken):
    name = "r\u00e9sum\u00e9 \u2713.pdf" if broken else "r\u00e9sum\u00e9.pdf"
    return page(fields=(HTML, ("Content-Disposition", f'attachment; filename="{name}"')))


@fault("H13")
def keep_alive_asked_for(broken):
    return page(fields=(HTML, ("Keep-Alive" if broken else "X-Keep", "timeout=5")))


@fault("H14")
def chunked_announced(broken):
    return page(fields=(HTML, *([("Transfer-Encoding", "chunked")] if broken else [])), length=False)


@fault("H15")
def status_as_in_cgi(broken):
    return page(fields=(HTML, *([("Status", "200 OK")] if broken else [])))


def failing(third, status="500 Oops"):
    """Make an application that fails, and begins its answer to that with `third` as last argument."""

    def application(environ, start_response):
        if environ["REQUEST_METHOD"] != "POST":
            return page()(environ, start_response)
        try:
            raise LookupError("no such row")
        except LookupError as error:
            start_response(status, [TEXT], *third(error))
        return [b"Sorry"]

    return application


@fault("H16")
def exception_instead_of_exc_info(broken):
    return failing(lambda error: [error if broken else sys.exc_info()], "404 Not Found")


@fault("H17")
def exc_info_out_of_thin_air(broken):
    def application(environ, start_response):
        start_response("200 OK", [TEXT], *([(None, None, None)] if broken else []))
        return for_get(environ, [b"Hello"])

    return application


@fault("H18")
def error_page_without_exc_info(broken):
    return failing(lambda error: [] if broken else [sys.exc_info()])


@fault("H19")
def second_thought(broken):
    def application(environ, start_response):
        if broken:
            start_response("404 Not Found", [TEXT])
        start_response("200 OK", [TEXT])
        return for_get(environ, [b"Hello"])

    return application


@fault("H21")
def error_handler_that_traps_all(broken):
    def application(environ, start_response):
        try:
            start_response("200 OK", [TEXT])
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        except Exception:
            try:
                start_response("500 Oops", [TEXT], sys.exc_info())
            except Exception:
                if not broken:
                    raise
            return [b"Sorry"]
        return for_get(environ, [b"Hello"])

    return application


@fault("H22")
def content_of_no_type(broken):
    return page(fields=() if broken else (HTML,))


@fault("H24")
def length_with_a_unit(broken):
    return page(fields=(HTML, ("Content-Length", "12 bytes" if broken else "12")), length=False)


@fault("H25")
def length_of_no_content(broken):
    return page(b"", "204 No Content", (), length=broken)


@fault("H26")
def two_types(broken):
    return page(fields=(HTML, *([TEXT] if broken else [])))


@fault("H27")
def refusal_that_does_not_say_how(broken):
    challenge = [] if broken else [("WWW-Authenticate", 'Basic realm="shop"')]
    return page(status="401 Unauthorized", fields=(HTML, *challenge))


@fault("H28")
def head_taken_for_an_unknown_page(broken):
    def application(environ, start_response):
        for_head = environ["REQUEST_METHOD"] == "HEAD"
        start_response("404 Not Found" if broken and for_head else "200 OK", [TEXT])
        return for_get(environ, [b"Hello"])

    return application


@fault("H28")
def length_of_nothing_for_head(broken):
    def application(environ, start_response):
        content = b"" if environ["REQUEST_METHOD"] == "HEAD" else b"Hello"
        start_response("200 OK", [TEXT, ("Content-Length", str(len(content) if broken else 5))])
        return [content]

    return application


@fault("H29")
def headers_kept_for_the_next_time(broken):
    headers = [TEXT]

    def application(environ, start_response):
        start_response("200 OK", headers if broken else list(headers))
        return for_get(environ, [b"Hello"])

    return application


# B: blocks


@fault("B1")
def blocks_of_a_mutable_type(broken):
    def application(environ, start_response):
        start_response("200 OK", [TEXT])
        return for_get(environ, [bytearray(b"Hello") if broken else b"Hello"])

    return application


@fault("B1")
def blocks_of_a_mutable_type_with_their_length(broken):
    def application(environ, start_response):
        start_response("200 OK", [TEXT, ("Content-Length", "5")])
        return for_get(environ, [bytearray(b"Hello") if broken else b"Hello"])

    return application


def writing(write_it):
    """Make an application that uses `write()`, which it should not, where a path asks for that."""

    def application(environ, start_response):
        write = start_response("200 OK", [TEXT])
        return write_it(environ, write) or []

    return application


@fault("B2")
def text_written(broken):
    def write_it(environ, write):
        if broken and environ["REQUEST_METHOD"] != "HEAD":
            write("Hello")
        return for_get(environ, [b"Hello"])

    return writing(write_it)


@fault("B3")
def written_by_keyword(broken):
    def write_it(environ, write):
        if broken:
            try:
                write(data=b"")
            except TypeError:
                pass
        return for_get(environ, [b"Hello"])

    return writing(write_it)


@fault("B4")
def written_between_two_blocks(broken):
    def write_it(environ, write):
        def blocks():
            yield b"one"
            if broken:
                write(b"two")
            else:
                yield b"two"

        return for_get(environ, blocks())

    return writing(write_it)


@fault("B5")
def written_as_in_cgi(broken):
    def write_it(environ, write):
        if environ["REQUEST_METHOD"] == "HEAD":
            return []
        if broken:
            write(b"Hello")
            return []
        return [b"Hello"]

    return writing(write_it)


@fault("B6")
def length_of_the_text_and_not_of_its_bytes(broken):
    text = "na\u00efve"

    def application(environ, start_response):
        length = len(text) if broken else len(text.encode())
        start_response("200 OK", [TEXT, ("Content-Length", str(length))])
        return for_get(environ, [text.encode()])

    return application


@fault("B7")
def length_of_what_was_not_sent(broken):
    def application(environ, start_response):
        start_response("200 OK", [TEXT, ("Content-Length", "10")])
        return for_get(environ, [b"Hello", b"" if broken else b"World"])

    return application


@fault("B8")
def words_for_a_304(broken):
    def application(environ, start_response):
        start_response("304 Not Modified", [("ETag", '"1"')])
        return for_get(environ, [b"see your cache"] if broken else [])

    return application


@fault("B9")
def content_for_head(broken):
    def application(environ, start_response):
        start_response("200 OK", [TEXT])
        return [b"Hello"] if broken else for_get(environ, [b"Hello"])

    return application


@fault("B10")
def chunks_made_by_hand(broken):
    def application(environ, start_response):
        start_response("200 OK", [TEXT])
        chunks = [b"5\r\n", b"Hello", b"\r\n", b"0\r\n\r\n"]
        return for_get(environ, chunks if broken else [b"Hello"])

    return application


@fault("B11")
def one_character_at_a_time(broken):
    def application(environ, start_response):
        start_response("200 OK", [TEXT])
        content = b"a page that is sent letter by letter " * 10
        return for_get(environ, [bytes([byte]) for byte in content] if broken else [content])

    return application


# I: the environ, its input and its errors


def reading(read, content_types=(FORM,)):
    """Make an application that tells how much content it got by `read(stream, length)`."""

    def application(environ, start_response):
        try:
            length = int(environ.get("CONTENT_LENGTH") or 0)
        except ValueError:
            length = 0
        size = read(environ["wsgi.input"], length)
        start_response("200 OK", [TEXT])
        return for_get(environ, [b"%d bytes" % size])

    return application


@fault("I1")
def reads_a_little_more(broken):
    return reading(lambda stream, length: len(stream.read(length + (2 if broken and length else 0))))


@fault("I2")
def seeks_in_the_content(broken):
    def read(stream, length):
        data = stream.read(length)
        if broken:
            stream.seek(0)
        return len(data)

    return reading(read)


@fault("I3")
def closes_the_content(broken):
    def read(stream, length):
        data = stream.read(length)
        if broken:
            stream.close()
        return len(data)

    return reading(read)


@fault("I3")
def closes_the_log(broken):
    def application(environ, start_response):
        print("a visit", file=environ["wsgi.errors"])
        if broken:
            environ["wsgi.errors"].close()
        start_response("200 OK", [TEXT])
        return for_get(environ, [b"Hello"])

    return application


def logging(line):
    def application(environ, start_response):
        try:
            environ["wsgi.errors"].write(line)
        except TypeError:
            pass
        start_response("200 OK", [TEXT])
        return for_get(environ, [b"Hello"])

    return application


@fault("I4")
def bytes_for_the_log(broken):
    return logging(b"a visit\n" if broken else "a visit\n")


@fault("I5")
def lines_for_windows_in_the_log(broken):
    return logging("a visit\r\n" if broken else "a visit\n")


@fault("I7")
def address_taken_for_granted(broken):
    def application(environ, start_response):
        address = environ["REMOTE_ADDR"] if broken else environ.get("REMOTE_ADDR", "somewhere")
        start_response("200 OK", [TEXT])
        return for_get(environ, [address.encode("latin-1")])

    return application


@fault("I7")
def file_wrapper_taken_for_granted(broken):
    def application(environ, start_response):
        file = io.BytesIO(b"" if environ["REQUEST_METHOD"] == "HEAD" else b"content")
        wrap = environ["wsgi.file_wrapper"] if broken else environ.get("wsgi.file_wrapper", Blocks)
        start_response("200 OK", [TEXT])
        return wrap(file)

    return application


@fault("I7")
def absent_query_answered_with_500(broken):
    def application(environ, start_response):
        try:
            query = environ["QUERY_STRING"] if broken else environ.get("QUERY_STRING", "")
        except KeyError:
            start_response("500 Internal Server Error", [TEXT], sys.exc_info())
            return [b"Sorry"]
        start_response("200 OK", [TEXT])
        return for_get(environ, [b"Hello " + query.encode("latin-1")])

    return application


@fault("I8")
def websocket_looked_for(broken):
    def application(environ, start_response):
        if broken and environ.get("HTTP_UPGRADE", "").lower() == "websocket":
            start_response("400 Bad Request", [TEXT])
            return [b"not yet"]
        start_response("200 OK", [TEXT])
        return for_get(environ, [b"Hello"])

    return application


@fault("I8")
def connection_looked_at(broken):
    def application(environ, start_response):
        kept = broken and "close" not in environ.get("HTTP_CONNECTION", "")
        start_response("200 OK", [TEXT, ("X-Kept" if kept else "X-Not-Kept", "1")])
        return for_get(environ, [b"Hello"])

    return application


@fault("I11")
def waits_for_the_rest(broken):
    def read(stream, length):
        size = 0
        while size < length:
            data = stream.read(min(8192, length - size))
            if not data and not broken:
                break
            size += len(data)
        return size

    return reading(read)


@fault("I12")
def path_that_must_be_utf_8(broken):
    def application(environ, start_response):
        path = environ.get("PATH_INFO", "").encode("latin-1")
        path = path.decode("utf-8", "strict" if broken else "replace")
        start_response("200 OK", [TEXT])
        return for_get(environ, [path.encode()])

    return application


@fault("I13")
def empty_length_taken_for_a_number(broken):
    def application(environ, start_response):
        length = environ.get("CONTENT_LENGTH", "0")
        size = int(length if broken else length or 0)
        start_response("200 OK", [TEXT])
        return for_get(environ, [b"%d bytes" % size])

    return application
