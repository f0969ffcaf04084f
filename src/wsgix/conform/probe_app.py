"""The application that the probe asks its questions through.

This file stands alone: it needs the standard library only, imports nothing of wsgix, and may be copied to
wherever a server can import it (`wsgix probe --print-app`). `app` is a WSGI application; so is `application`,
which is the same object.

The path names what to do, and the query is a list of steps that are taken in their order:

    /hello                                          tells where the notes are kept
    /environ                                        answers with the environ, as JSON
    /input?call=read:5&call=readline                calls methods of wsgi.input, answers with what they gave
    /errors?write=text&lines=a&lines=b&flush        calls methods of wsgi.errors, answers likewise
    /overlap?id=a&other=b&hold=2                    waits until the other request is here as well
    /do?start=200+OK&return=iterator&block=hello    builds a response step by step; see `Steps`
    /notes, /release, /forget                       the notes of a token; let a held step go on; forget it

Every request may have a `token=` as its first step. What happens to it is noted under the token: in files, so
that all processes of a server share them, and the probe can read them. They are in the folder that the
environment variable WSGI_PROBE_FOLDER names, or in one of this user's below the system's folder for
temporary files. Whoever serves this file lets its clients hold requests for some seconds and write such
notes: serve it to the probe, not to the world.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import io
import json
import os
import re
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

LONGEST_HOLD = 10.0
"""Seconds that one step may be held at most."""
_PATIENCE = 0.003
_LARGEST_DATA = 4096
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")


# The notes of a token.


def folder() -> str:
    """Return the path of the folder of notes; make it if it is not there."""
    path = os.environ.get("WSGI_PROBE_FOLDER")
    if path:
        os.makedirs(path, mode=0o700, exist_ok=True)
        return path
    user = os.getuid() if hasattr(os, "getuid") else None
    path = os.path.join(tempfile.gettempdir(), f"wsgix-probe-{'user' if user is None else user}")
    os.makedirs(path, mode=0o700, exist_ok=True)
    # The name can be guessed, and others can write where it is.
    if user is not None and (os.path.islink(path) or os.stat(path).st_uid != user):
        raise PermissionError(f"{path} is somebody else's; set WSGI_PROBE_FOLDER")
    return path


class Notes:
    """What happened to the requests of one token, and which of their held steps may go on."""

    def __init__(self, token: str) -> None:
        self.path = os.path.join(folder(), token) if token and _TOKEN.fullmatch(token) else ""

    def add(self, note: str, **details: Any) -> None:
        """Add a note: a word, with the process, the thread and the time."""
        if not self.path:
            return
        thread = threading.get_native_id()
        record = {"note": note, "pid": os.getpid(), "thread": thread, "time": time.monotonic(), **details}
        # The first note makes the file, and no later one does: what comes when the probe has forgotten the
        # token must not bring it back. One write of one line: the processes of a server append side by side.
        create = os.O_CREAT if note == "called" else 0
        with contextlib.suppress(FileNotFoundError):
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | create, 0o600)
            try:
                os.write(file, json.dumps(record).encode() + b"\n")
            finally:
                os.close(file)

    def read(self) -> Any:
        """Return the notes, a list of dicts in the order in which they were made."""
        try:
            with open(self.path, "rb") as file:
                return [json.loads(line) for line in file.read().splitlines()]
        except OSError:
            return []

    def has(self, note: str) -> bool:
        """Tell whether this note was made."""
        return any(record["note"] == note for record in self.read())

    def release(self, name: str) -> None:
        """Let the held step of that name go on."""
        if self.path:
            with open(f"{self.path}.{name}", "wb"):
                pass

    def hold(self, name: str, seconds: float) -> bool:
        """Wait until the step is released; return whether it was within the time."""
        return wait_for(lambda: os.path.exists(f"{self.path}.{name}"), seconds)

    def forget(self) -> None:
        """Remove the notes and the releases of this token."""
        if self.path:
            place, token = os.path.split(self.path)
            for name in os.listdir(place):
                if name == token or name.startswith(token + "."):
                    with contextlib.suppress(OSError):
                        os.remove(os.path.join(place, name))


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until the condition holds; return whether it does within the time."""
    end = time.monotonic() + min(seconds, LONGEST_HOLD)
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(_PATIENCE)
    return True


# The application.


def app(*arguments: Any, **keywords: Any) -> Any:
    """Do what the path and the query of the request say (PEP 3333)."""
    # Every way to pass the two is taken, so that it can be told how they came.
    values = [*arguments, *keywords.values()]
    environ, start_response = values[0], values[1]
    path = environ.get("PATH_INFO") or environ.get("SCRIPT_NAME") or "/"
    query = environ.get("QUERY_STRING") or ""
    steps = parse_qsl(query, keep_blank_values=True, encoding="latin-1")
    token = steps.pop(0)[1] if steps and steps[0][0] == "token" else ""
    notes = Notes(token)
    action = ACTIONS.get(path.strip("/").split("/")[0], unknown)
    if action not in ASIDE:
        notes.add("called")
    call = [len(arguments), sorted(keywords)]
    return action(Request(environ, steps, notes, call, start_response))


application = app


class Request:
    """What an action gets: both arguments of the application, the steps of the query, the notes."""

    def __init__(
        self,
        environ: dict[str, Any],
        steps: list[tuple[str, str]],
        notes: Notes,
        call: list[Any],
        start_response: Callable[..., Any],
    ) -> None:
        self.environ = environ
        self.start_response = start_response
        self.steps = steps
        self.notes = notes
        self.call = call
        """How many positional arguments there were, and the names of the others."""

    def values(self, name: str) -> Any:
        """Return the values of the steps of this name."""
        return [value for key, value in self.steps if key == name]

    def answer(self, value: Any, status: str = "200 OK") -> Any:
        """Answer with a value, as JSON."""
        content = json.dumps(value).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]
        self.start_response(status, headers)
        return [content]


def unknown(request: Request) -> Any:
    """Answer that there is no such action."""
    return request.answer({"error": "there is no such action"}, "404 Not Found")


def hello(request: Request) -> Any:
    """Tell that this is the probe application, where it keeps its notes, and prove that it can."""
    return request.answer(
        {"application": "wsgix probe", "folder": folder(), "pid": os.getpid(), "python": sys.version}
    )


def read_notes(request: Request) -> Any:
    """Answer with the notes of the token."""
    return request.answer(request.notes.read())


def release(request: Request) -> Any:
    """Let the held steps named by `name=` go on."""
    for name in request.values("name"):
        request.notes.release(name)
    return request.answer({})


def forget(request: Request) -> Any:
    """Forget the token."""
    request.notes.forget()
    return request.answer({})


# The environ.


def describe(value: Any) -> Any:
    """Return what can be told of a value in JSON: the name of its type, its value or its attributes."""
    found: dict[str, Any] = {"type": type(value).__name__}
    if value is None or isinstance(value, (bool, int, float, str)):
        found["value"] = value
    elif isinstance(value, bytes):
        found["value"] = value.decode("latin-1")
    elif isinstance(value, (tuple, list)):
        found["items"] = [describe(item) for item in value]
    else:
        found["callable"] = callable(value)
        found["attributes"] = [name for name in dir(value) if not name.startswith("_")]
        found["iterable"] = hasattr(type(value), "__iter__")
    return found


def dump_environ(request: Request) -> Any:
    """Answer with everything in the environ; steps: `add=KEY` leaves a key in it, `clear` empties it."""
    environ = request.environ
    entries = [{"key": str(key), "key_type": type(key).__name__, **describe(environ[key])} for key in environ]
    found = {
        "type": type(environ).__name__,
        "exact": type(environ) is dict,
        "call": request.call,
        "entries": entries,
        "system": sorted(os.environ),
        "pid": os.getpid(),
        "thread": threading.get_native_id(),
    }
    for key in request.values("add"):
        environ[key] = "left behind"
    if request.values("clear"):
        environ.clear()
    return request.answer(found)


# The streams.


def shorten(data: Any) -> Any:
    """Return data for JSON: latin-1 text, or length and digest of what is long."""
    if isinstance(data, bytes):
        if len(data) > _LARGEST_DATA:
            return {"type": "bytes", "length": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        return {"type": "bytes", "value": data.decode("latin-1")}
    if isinstance(data, list):
        return {"type": "list", "items": [shorten(item) for item in data]}
    return describe(data)


def attempt(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call the function; return what it gave, or how it failed, for JSON."""
    try:
        return shorten(function(*arguments))
    except Exception as error:
        return {"type": "exception", "error": f"{type(error).__name__}: {error}"}


def use_input(request: Request) -> Any:
    """Take the steps on wsgi.input; answer with what each gave.

    `call=METHOD` or `call=METHOD:ARGUMENT`; `iter` lists the stream by iterating; `pieces:N` reads pieces
    of N bytes until one is empty and gives the list, `all:N` likewise joined, `exactly:N` N bytes in all.
    `has=NAME` tells whether there is such an attribute; `note=WORD` notes. The stream is never closed.
    """
    stream = request.environ["wsgi.input"]
    found = []
    for step, value in request.steps:
        if step == "note":
            request.notes.add(value)
        elif step == "hold":
            request.notes.add("holding")
            request.notes.hold("hold", float(value or 1))
        elif step == "has":
            found.append(attempt(hasattr, stream, value))
        elif step == "call":
            method, colon, argument = value.partition(":")
            number = (int(argument),) if colon else ()
            found.append(attempt(call_input, stream, method, number))
    return request.answer({"results": found, "terminated": request.environ.get("wsgi.input_terminated")})


def call_input(stream: Any, method: str, number: tuple[int, ...]) -> Any:
    """Call one method of wsgi.input, or read it in one of the ways that have a name here."""
    if method == "iter":
        return list(stream)
    if method == "pieces":
        return [*iter(lambda: stream.read(*number), b"")]
    if method == "exactly":
        pieces, left = [], number[0]
        while left and (piece := stream.read(left)):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)
    if method == "all":
        return b"".join(iter(lambda: stream.read(*number), b""))
    return getattr(stream, method)(*number)


def use_errors(request: Request) -> Any:
    """Take the steps on wsgi.errors: `write=`, `lines=` (all of them by one writelines), `flush`."""
    stream = request.environ["wsgi.errors"]
    found = []
    lines = request.values("lines")
    for step, value in request.steps:
        text = value.encode("latin-1").decode("utf-8", "surrogatepass")
        if step == "write":
            found.append(attempt(stream.write, text))
        elif step == "flush":
            found.append(attempt(stream.flush))
        elif step == "lines" and lines:
            given, lines = lines, []
            found.append(attempt(stream.writelines, given))
        elif step == "generated":
            found.append(attempt(stream.writelines, (line for line in [text + "\n"] * 2)))
    return request.answer({"results": found})


# Two requests at a time.


def overlap(request: Request) -> Any:
    """Wait until the request `other=` of the same token is here too; tell process and thread of this one."""
    notes = request.notes
    mine, other = request.values("id")[0], request.values("other")[0]
    hold = float(request.values("hold")[0])
    notes.add(f"came-{mine}")
    met = wait_for(lambda: notes.has(f"came-{other}"), hold) and not notes.has(f"left-{other}")
    if met:
        notes.add(f"met-{mine}")
        # Whoever saw the other stays until the other saw it too.
        wait_for(lambda: notes.has(f"met-{other}"), hold)
    notes.add(f"left-{mine}")
    environ = request.environ
    return request.answer(
        {
            "met": met,
            "pid": os.getpid(),
            "thread": threading.get_native_id(),
            "multithread": bool(environ.get("wsgi.multithread")),
            "multiprocess": bool(environ.get("wsgi.multiprocess")),
            "run_once": bool(environ.get("wsgi.run_once")),
        }
    )


# A response step by step.


class ProbeError(Exception):
    """What a step raises: the application's own error, for the server to deal with."""


class Steps:
    """Takes the steps of /do. Those up to `return` are taken in the call, the others while iterating.

    header=NAME: VALUE   puts a header into the next start; `count=NAME` likewise, an int as its value
    headers=tuple        makes a tuple of the next headers, which PEP 3333 does not allow
    start=STATUS         calls start_response
    exc_info=STATUS      raises an error, and calls start_response from its handler with exc_info
    kept_exc_info=STATUS likewise, but calls it when the handler has ended
    exc_ref=STATUS       likewise, and notes whether the error is still referred to afterwards
    call=write           notes whether start_response gave a callable
    write=DATA           calls write; `write_size=N` with N bytes; `write_bytes` with each value once
    block=DATA           yields; `size=N` yields N bytes; `bytes` yields each of the 256 values once
    forever=N            yields blocks of N bytes until it is closed or the longest hold is over
    hold=NAME            waits until the probe releases it; notes `released` or `timed-out`
    raise=TEXT           raises
    note=WORD            notes
    read=N               reads from wsgi.input; `read` alone reads to the end
    try                  catches and notes what the next step raises
    clear                empties the environ
    return=KIND          see `Results`
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.notes = request.notes
        self.steps = iter(request.steps)
        self.headers: Any = []
        self.write: Any = None
        self.catching = False
        self.as_tuple = False

    def run(self) -> Any:
        """Take the steps of the call; return the application's result."""
        for step, value in self.steps:
            if step == "return":
                return RESULTS[value](self)
            for _ in self.take(step, value):
                raise ProbeError(f"{step} stands before return")
        return []

    def blocks(self) -> Any:
        """Take the steps that remain; yield the blocks."""
        for step, value in self.steps:
            yield from self.take(step, value)
        self.notes.add("exhausted")

    def take(self, step: str, value: Any) -> Any:
        """Take one step; yield the blocks that it is for."""
        if step == "try":
            self.catching = True
            return
        catching, self.catching = self.catching, False
        try:
            found = getattr(self, f"do_{step}")(value)
        except Exception as error:
            if not catching:
                raise
            self.notes.add("raised", **self.describe_error(error))
            return
        if catching:
            self.notes.add("not-raised")
        if found is not None:
            yield from found

    def describe_error(self, error: BaseException) -> Any:
        """Tell of an error whether it is the one that was handed to start_response, and from where."""
        trace = error.__traceback__
        frames = []
        while trace is not None:
            frames.append(trace.tb_frame.f_code.co_name)
            trace = trace.tb_next
        return {
            "type": type(error).__name__,
            "text": str(error),
            "same": error is getattr(self, "given", None),
            "traced": "fail_for_exc_info" in frames,
        }

    def do_header(self, value: str) -> None:
        name, _, text = value.partition(": ")
        self.headers.append((name, text))

    def do_count(self, value: str) -> None:
        self.headers.append((value, 5))

    def do_headers(self, value: str) -> None:
        self.as_tuple = True

    def take_headers(self) -> Any:
        headers, self.headers = self.headers, []
        return tuple(headers) if self.as_tuple else headers

    def do_start(self, value: str) -> None:
        headers = self.take_headers()
        self.write = self.request.start_response(value, headers)

    def fail_for_exc_info(self) -> Any:
        raise ProbeError("the application changes its mind")

    def do_exc_info(self, value: str) -> None:
        headers = self.take_headers()
        try:
            self.fail_for_exc_info()
        except ProbeError as error:
            self.given = error
            self.write = self.request.start_response(value, headers, sys.exc_info())

    def do_kept_exc_info(self, value: str) -> None:
        headers = self.take_headers()
        kept: Any = None
        try:
            self.fail_for_exc_info()
        except ProbeError as error:
            self.given = error
            kept = sys.exc_info()
        try:
            self.write = self.request.start_response(value, headers, kept)
        finally:
            del kept

    def do_exc_ref(self, value: str) -> None:
        reference = self.start_and_refer(value)
        held: bool | str = reference() is not None
        if held:
            gc.collect()
            held = "a cycle" if reference() is None else "a reference"
        self.notes.add("referred", held=held)

    def start_and_refer(self, value: Any) -> Any:
        headers = self.take_headers()
        try:
            self.fail_for_exc_info()
        except ProbeError as error:
            self.write = self.request.start_response(value, headers, sys.exc_info())
            # A frame of its own: with its end nothing of the application's refers to the error.
            return weakref.ref(error)

    def do_call(self, value: str) -> None:
        self.notes.add("write", callable=callable(self.write), type=type(self.write).__name__)

    def do_write(self, value: str) -> None:
        self.write(value.encode("latin-1"))
        self.notes.add("written")

    def do_write_size(self, value: str) -> None:
        self.write(b"w" * int(value))
        self.notes.add("written")

    def do_write_bytes(self, value: str) -> None:
        self.write(bytes(range(256)))

    def do_block(self, value: str) -> Any:
        self.notes.add("block")
        return [value.encode("latin-1")]

    def do_size(self, value: str) -> Any:
        self.notes.add("block")
        return [b"s" * int(value)]

    def do_bytes(self, value: str) -> Any:
        return [bytes(range(256))]

    def do_forever(self, value: str) -> Any:
        return self.endless(int(value))

    def endless(self, size: int) -> Any:
        end = time.monotonic() + LONGEST_HOLD
        while time.monotonic() < end:
            yield b"e" * size
            time.sleep(_PATIENCE)
        self.notes.add("never-closed")

    def do_hold(self, value: str) -> None:
        self.notes.add("holding", name=value)
        name, _, seconds = value.partition(":")
        self.notes.add("released" if self.notes.hold(name, float(seconds or 2)) else "timed-out", name=name)

    def do_raise(self, value: str) -> None:
        raise ProbeError(value)

    def do_note(self, value: str) -> None:
        self.notes.add(value)

    def do_read(self, value: str) -> None:
        data = self.request.environ["wsgi.input"].read(*([int(value)] if value else []))
        self.notes.add("read", length=len(data), text=data[:80].decode("latin-1"))

    def do_clear(self, value: str) -> None:
        self.request.environ.clear()

    def collect(self) -> Any:
        """Return what the remaining steps yield, as a list."""
        return [*self.blocks()]


class Watched:
    """An iterator of blocks that notes what the server does with it."""

    def __init__(self, steps: Steps) -> None:
        self.notes = steps.notes
        self.iterator = steps.blocks()

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> bytes:
        block: bytes = next(self.iterator)
        return block

    def close(self) -> None:
        """Note that the server called this."""
        self.notes.add("closed")


class Separate:
    """An iterable whose iterator is another object; `close` stands on this one."""

    def __init__(self, steps: Steps) -> None:
        self.notes = steps.notes
        self.iterator = steps.blocks()

    def __iter__(self) -> Any:
        return (block for block in self.iterator)

    def close(self) -> None:
        """Note that the server called this."""
        self.notes.add("closed")


class FailingClose(Watched):
    """Its `close` fails."""

    def close(self) -> None:
        """Note that the server called this; raise."""
        self.notes.add("closed")
        raise ProbeError("close fails")


class Trap(Watched):
    """Notes each attribute that is asked for and that it has not got."""

    def __getattr__(self, name: str) -> Any:
        if name not in ("notes", "iterator"):
            self.notes.add("asked", name=name)
        raise AttributeError(name)


class FailingLength(Watched):
    """Has a `len` that does not work."""

    def __len__(self) -> Any:
        raise TypeError("nobody knows how many blocks there are")


class Sequence:
    """Can be iterated by `__getitem__` only."""

    def __init__(self, steps: Steps) -> None:
        self.items = steps.collect()

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


class Reader:
    """A file-like object: `read`, and `close` that notes; nothing else."""

    def __init__(self, notes: Notes, data: Any) -> None:
        self.notes = notes
        self.file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes."""
        return self.file.read(size)

    def close(self) -> None:
        """Note that it was called."""
        self.notes.add("file-closed")


class BareReader:
    """A file-like object without `close`."""

    def __init__(self, data: Any) -> None:
        self.file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes."""
        return self.file.read(size)


class NotingFile(io.FileIO):
    """A file of the operating system whose `close` notes."""

    notes: Any = None

    def close(self) -> None:
        """Note that it was called."""
        if self.notes is not None and not self.closed:
            self.notes.add("file-closed")
        super().close()


def make_file(steps: Steps, kind: str) -> Any:
    """Make the file-like object of that kind; its content are the blocks that remain."""
    data = b"".join(steps.collect())
    if kind == "reader":
        return Reader(steps.notes, data)
    if kind == "bare":
        return BareReader(data)
    if kind == "memory":
        return io.BytesIO(data)
    if kind == "pipe":
        reading, writing = os.pipe()
        with open(writing, "wb") as file:
            file.write(data)
        return open(reading, "rb")  # the server closes it
    number, path = tempfile.mkstemp(dir=folder())
    with open(number, "wb") as output:
        output.write(b"skipped:" + data if kind == "offset" else data)
    noting = NotingFile(path)
    os.remove(path)
    noting.notes = steps.notes
    if kind == "offset":
        noting.seek(len(b"skipped:"))
    return noting


def wrap_file(steps: Steps, kind: str, *size: Any) -> Any:
    """Return the file wrapper around a file of that kind."""
    wrapper = steps.request.environ["wsgi.file_wrapper"]
    return wrapper(make_file(steps, kind), *size)


def discard_wrapper(steps: Steps) -> Any:
    """Make a file wrapper that is not returned."""
    wrapper = steps.request.environ["wsgi.file_wrapper"]
    unused = wrapper(io.BytesIO(b"never to be seen"))
    found = steps.collect()
    del unused
    return found


RESULTS = {
    "list": Steps.collect,
    "tuple": lambda steps: tuple(steps.collect()),
    "generator": Steps.blocks,
    "iterator": Watched,
    "separate": Separate,
    "sequence": Sequence,
    "trap": Trap,
    "failing-length": FailingLength,
    "failing-close": FailingClose,
    "map": lambda steps: map(bytes, steps.blocks()),
    "file": lambda steps: wrap_file(steps, "file"),
    "file-sized": lambda steps: wrap_file(steps, "reader", 3),
    "file-offset": lambda steps: wrap_file(steps, "offset"),
    "file-reader": lambda steps: wrap_file(steps, "reader"),
    "file-bare": lambda steps: wrap_file(steps, "bare"),
    "file-memory": lambda steps: wrap_file(steps, "memory"),
    "file-pipe": lambda steps: wrap_file(steps, "pipe"),
    "file-iterated": lambda steps: (block for block in wrap_file(steps, "reader")),
    "file-discarded": discard_wrapper,
}
"""Kind of result -> what makes it of the steps that remain."""


def take_steps(request: Request) -> Any:
    """Build a response step by step."""
    return Steps(request).run()


ACTIONS = {
    "hello": hello,
    "environ": dump_environ,
    "input": use_input,
    "errors": use_errors,
    "overlap": overlap,
    "do": take_steps,
    "notes": read_notes,
    "release": release,
    "forget": forget,
}

ASIDE = (read_notes, release, forget)
"""The actions that are about other requests, and leave no note of themselves."""
