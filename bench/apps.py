"""The applications that every server of the comparison runs, each the least code that does its work.

Standard library only. What needs a framework stands in `flask_app.py` and `django_app.py`, so that no other
worker pays for importing it. `BENCH_FILE` in the environment names the file that `send_file` sends.
"""

import os
import time

HELLO = b"Hello, world!\n"
BLOCK = b"x" * 1023 + b"\n"
BLOCKS = 64
READ_SIZE = 65536
NAP_SECONDS = 0.010
SPIN_SECONDS = 0.001
SLOW_SECONDS = 0.100

TEXT = [("Content-Type", "text/plain"), ("Content-Length", str(len(HELLO)))]


def hello(environ, start_response):
    """Answer at once."""
    start_response("200 OK", TEXT[:])
    return [HELLO]


def receive(environ, start_response):
    """Read the whole request body, in blocks, and answer with its length."""
    read = environ["wsgi.input"].read
    received = 0
    if "HTTP_TRANSFER_ENCODING" in environ and not environ.get("CONTENT_LENGTH"):
        while block := read(READ_SIZE):
            received += len(block)
    else:
        wanted = int(environ.get("CONTENT_LENGTH") or 0)
        while received < wanted and (block := read(min(READ_SIZE, wanted - received))):
            received += len(block)
    answer = b"%d\n" % received
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
    return [answer]


def generate(environ, start_response):
    """Yield 64 blocks of 1 KiB without telling the length."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(BLOCKS):
        yield BLOCK


def send_file(environ, start_response):
    """Send the file by `wsgi.file_wrapper` where it is offered, in blocks where it is not."""
    file = open(os.environ["BENCH_FILE"], "rb")  # noqa: SIM115  whoever iterates over it closes it
    length = os.fstat(file.fileno()).st_size
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(length))])
    if "wsgi.file_wrapper" in environ:
        return environ["wsgi.file_wrapper"](file, READ_SIZE)
    return blocks_of(file)


def blocks_of(file):
    with file:
        while block := file.read(READ_SIZE):
            yield block


def nap(environ, start_response):
    """Wait for 10 ms, as for a database."""
    time.sleep(NAP_SECONDS)
    start_response("200 OK", TEXT[:])
    return [HELLO]


def spin(environ, start_response):
    """Use 1 ms of this thread's CPU time, however many threads share the CPU."""
    end = time.thread_time() + SPIN_SECONDS
    while time.thread_time() < end:
        pass
    start_response("200 OK", TEXT[:])
    return [HELLO]


def mixed(environ, start_response):
    """Answer at once, but for `/slow`, which takes 100 ms."""
    if environ["PATH_INFO"] == "/slow":
        time.sleep(SLOW_SECONDS)
    start_response("200 OK", TEXT[:])
    return [HELLO]
