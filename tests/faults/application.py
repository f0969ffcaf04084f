"""The application that the faults befall. It tells what happened to it: /counts. SIGURG opens its gate.

With MOST_DESCRIPTORS in the environment it begins where no more are to be had, as behind `ulimit -n`.
"""

import hashlib
import json
import os
import resource
import signal
import threading
import time
from collections import Counter
from urllib.parse import parse_qsl

GATE = threading.Event()
"""What /hold waits for, and others."""
COUNTS: Counter[str] = Counter()
"""What happened so far; keys are paths, and what the handlers below add."""

if most := int(os.environ.get("MOST_DESCRIPTORS", "0")):
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
signal.signal(signal.SIGURG, lambda _number, _frame: GATE.set())


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path not in HANDLERS:
        return hello(environ, start_response)
    COUNTS[path] += 1
    parameters = dict(parse_qsl(environ["QUERY_STRING"]))
    return HANDLERS[path](environ, start_response, **parameters)


def answer(start_response, content, status="200 OK"):
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(content)))])
    return [content]


def hello(_environ, start_response):
    return answer(start_response, b"hello")


def show_counts(_environ, start_response):
    return answer(start_response, json.dumps(COUNTS).encode())


def show_address(environ, start_response):
    return answer(start_response, environ.get("REMOTE_ADDR", "").encode())


def hold(_environ, start_response):
    GATE.wait()
    return answer(start_response, b"held")


def spin(_environ, start_response):
    try:
        while not GATE.is_set():
            time.sleep(0.01)  # between two of these an exception can be raised inside the thread
    except Exception as error:
        COUNTS[type(error).__name__] += 1
        raise
    return answer(start_response, b"spun")


def digest(environ, start_response):
    """Answer with the length and the digest of the content."""
    made, size = hashlib.sha256(), 0
    try:
        while block := environ["wsgi.input"].read(65536):
            made.update(block)
            size += len(block)
    except Exception as error:
        COUNTS[f"reading raised {type(error).__name__}"] += 1
        raise
    return answer(start_response, f"{size} {made.hexdigest()}".encode())


class Blocks:
    """A response block by block that counts what is asked of it.

    It fails, or waits for the gate, when so many blocks are left.
    """

    def __init__(self, count, size, fails_at, waits_at=0):
        self._left = count
        self._waits_at = waits_at
        self._block = b"x" * size
        self._fails_at = fails_at

    def __iter__(self):
        return self

    def __next__(self):
        if not self._left:
            raise StopIteration
        if self._left == self._fails_at:
            raise ValueError("the application was asked to fail")
        if self._left == self._waits_at:
            GATE.wait()
        self._left -= 1
        COUNTS["blocks"] += 1
        return self._block

    def close(self):
        COUNTS["closed"] += 1


def blocks(_environ, start_response, count="1", size="1", fails_at="0", waits_at="0", declared=""):
    headers = [("Content-Type", "text/plain")]
    if declared:
        headers.append(("Content-Length", str(int(count) * int(size))))
    start_response("200 OK", headers)
    return Blocks(int(count), int(size), int(fails_at), int(waits_at))


def one_block(_environ, start_response, size="1"):
    return answer(start_response, b"x" * int(size))


def fail(_environ, _start_response, error):
    raise ERRORS[error]("the application was asked to fail")


def recurse(environ, start_response):
    return recurse(environ, start_response)


def jump(_environ, start_response, seconds):
    """Set the wall clock of the process forward, or back."""
    time.time = lambda: REAL_TIME() + float(seconds)
    return answer(start_response, b"jumped")


REAL_TIME = time.time
ERRORS = {
    kind.__name__: kind
    for kind in (ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError, BaseException)
}
HANDLERS = {
    "/": hello,
    "/address": show_address,
    "/blocks": blocks,
    "/counts": show_counts,
    "/digest": digest,
    "/fail": fail,
    "/hold": hold,
    "/jump": jump,
    "/one-block": one_block,
    "/recurse": recurse,
    "/spin": spin,
}
