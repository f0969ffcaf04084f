"""Chapter R: what a server makes of `start_response`, `write` and the iterable, and how it sends that.

Here stands what `start_response` does, R1 to R14. How the content is sent stands in `rules.contents`; `RULES`
holds the whole chapter. What is seen through the probe application is attached to each rule from
`conform.cases.responses` and `conform.cases.contents`.
"""

from __future__ import annotations

from typing import Final

from wsgix.conform.cases.responses import CASES
from wsgix.conform.rule import Level, Profile, Rule, Side
from wsgix.conform.rules import contents
from wsgix.conform.rules.sources import pep3333, rfc

_START: Final = pep3333("The start_response() Callable")
_BOTH: Final = frozenset({Profile.PEP3333, Profile.HTTP})

_STARTS: Final = (
    Rule(
        id="R1",
        slug="start-response-returns-write",
        level=Level.MUST,
        binds=Side.SERVER,
        source=pep3333("Specification Details"),
        quote="must return a write(body_data) callable",
        says="`start_response` returns a callable that takes bytes.",
        why="Applications that write imperatively have no other way to send anything.",
        good="""
def start_response(self, status, headers, exc_info=None):
    super().start_response(status, headers, exc_info)
    return lambda data: self.write(data)
""",
        bad="""
def start_response(self, status, headers, exc_info=None):
    super().start_response(status, headers, exc_info)
""",
    ),
    Rule(
        id="R2",
        slug="start-response-sends-nothing",
        level=Level.MUST_NOT,
        binds=Side.SERVER,
        source=_START,
        quote="must not actually transmit the response headers",
        says="`start_response` keeps the head; nothing is sent before there is content, or the end of it.",
        why="Until then the application can replace the response by one that tells of an error.",
        good="""
def set_head(self, status, headers):
    super().set_head(status, list(headers))
""",
        bad="""
def start_response(self, status, headers, exc_info=None):
    write = super().start_response(status, headers, exc_info)
    self.send_head()
    return write
""",
    ),
    Rule(
        id="R3",
        slug="empty-blocks-send-nothing",
        level=Level.MUST_NOT,
        binds=Side.SERVER,
        source=_START,
        quote="until there is actual body data available",
        says="An empty block does not send the head.",
        why="Middleware yields empty blocks while it waits, and may have to change the head yet.",
        good="""
def send_block(self, block, *, last):
    if block:
        super().send_block(block, last=last)
""",
        bad="""
def send_block(self, block, *, last):
    super().send_block(block, last=last)

def iterate(self):
    for block in self.result:
        if self.started and not self.head_sent:
            self.send_head(length=len(block) if self.is_single() else None)
        self.send_block(block, last=False)
        if self.left == 0 and self.declared() is not None:
            break
""",
    ),
    Rule(
        id="R4",
        slug="exc-info-replaces-the-head",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=_START,
        quote="should replace the currently-stored HTTP response headers",
        says="As long as nothing was sent, `start_response` with `exc_info` replaces status and headers.",
        why="It is how an application turns a response that it has begun into a message about an error.",
        good="""
def set_head(self, status, headers):
    self.status, self.headers = status, headers
""",
        bad="""
def set_head(self, status, headers):
    if not self.status or status.startswith("500"):
        super().set_head(status, headers)
""",
    ),
    Rule(
        id="R5",
        slug="exc-info-raises-after-the-head",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_START,
        quote="must raise an error",
        says="Once the head was sent, `start_response` with `exc_info` raises.",
        why=(
            "The response cannot be replaced any more; the application must stop, or it appends a page "
            "about an error to half a document."
        ),
        good="""
def raise_again(self, exc_info):
    raise exc_info[1]
""",
        bad="""
def raise_again(self, exc_info):
    pass

def set_head(self, status, headers):
    if not self.head_sent:
        super().set_head(status, headers)
""",
    ),
    Rule(
        id="R6",
        slug="exc-info-is-raised-again",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=_START,
        quote="should re-raise using the exc_info tuple",
        says="What is raised then is the application's own exception, with its traceback.",
        why="The log then tells what went wrong, and not that something could not be told.",
        good="""
def raise_again(self, exc_info):
    raise exc_info[1].with_traceback(exc_info[2])
""",
        bad="""
def raise_again(self, exc_info):
    raise RuntimeError("the head was sent")
""",
    ),
    Rule(
        id="R7",
        slug="second-start-is-an-error",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_START,
        quote="it is a fatal error to call start_response without the exc_info argument",
        says="A second call of `start_response` without `exc_info` raises, also when the first one raised.",
        why=(
            "Two parts of an application that both believe to give the response are a fault that must not "
            "be hidden."
        ),
        good="""
def start_response(self, status, headers, exc_info=None):
    if self.started and exc_info is None:
        raise RuntimeError("start_response was called before")
    return super().start_response(status, headers, exc_info)
""",
        bad="""
def start_response(self, status, headers, exc_info=None):
    self.started = False
    return super().start_response(status, headers, exc_info)
""",
    ),
    Rule(
        id="R8",
        slug="exc-info-is-let-go",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=_START,
        quote="no reference is held to the exc_info parameter",
        says="When `start_response` has returned, nothing of the server's refers to `exc_info`.",
        why="A traceback holds all frames and what is in them: request bodies, database connections.",
        good="""
def start_response(self, status, headers, exc_info=None):
    try:
        return super().start_response(status, headers, exc_info)
    finally:
        exc_info = None
""",
        bad="""
def start_response(self, status, headers, exc_info=None):
    self.exc_info = exc_info
    return super().start_response(status, headers, exc_info)
""",
    ),
    Rule(
        id="R9",
        slug="head-is-checked-at-once",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=_START,
        quote="should check for errors in the headers at the time start_response is called",
        says="`start_response` itself raises when a header's name or value is none.",
        why="Then the traceback points to the line that made the mistake.",
        good="""
def check_head(self, status, headers):
    super().check_head(status, headers)
""",
        bad="""
def check_head(self, status, headers):
    for name, _ in headers:
        if name.lower() in HOP_BY_HOP:
            raise ValueError("a hop-by-hop header is the server's")

def send_head(self, length=None):
    super().check_head(self.status, self.headers)
    super().send_head(length)
""",
    ),
    Rule(
        id="R10",
        slug="control-characters-are-not-sent",
        level=Level.MUST_NOT,
        binds=Side.SERVER,
        source=rfc(9110, "5.5"),
        quote="containing CR, LF, or NUL characters are invalid and dangerous",
        says="A control character in the status or in a header never reaches the client.",
        why="A line end in a value adds headers, or a whole response, of the attacker's choice.",
        profiles=_BOTH,
        good="""
def check_header(self, name, value):
    super().check_header(name, value)
""",
        bad="""
def check_header(self, name, value):
    super().check_header(name, value.replace("\\n", " ") if type(value) is str else value)
""",
    ),
    Rule(
        id="R11",
        slug="hop-by-hop-headers-are-refused",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=_START,
        quote="should consider it a fatal error for an application to attempt sending them",
        says="`start_response` raises when the application gives a hop-by-hop header.",
        why=(
            "They are about the connection, of which only the server knows; a Transfer-Encoding that is "
            "not true makes the response unreadable."
        ),
        good="""
def check_header(self, name, value):
    super().check_header(name, value)
""",
        bad="""
def check_header(self, name, value):
    super().check_header("X-" + name, value)
""",
    ),
    Rule(
        id="R12",
        slug="names-have-no-case",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_START,
        quote="HTTP header names are case-insensitive",
        says="The server knows a header of the application's in whatever case its name is written.",
        why="Otherwise a response has two dates, or two lengths.",
        profiles=_BOTH,
        good="""
def value_of(self, name):
    return {key.lower(): value for key, value in self.headers}.get(name.lower())
""",
        bad="""
def value_of(self, name):
    return next((value for key, value in self.headers if key == name.title()), None)
""",
    ),
    Rule(
        id="R13",
        slug="headers-are-sent-as-given",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=pep3333("Other HTTP Features"),
        quote="complete control over its output",
        says="All headers of the application's are sent, repeated ones too, with their values unchanged.",
        why="Two cookies are two headers; a value is the application's own business.",
        good="""
def transmit_head(self, status, headers):
    super().transmit_head(status, [(name.lower(), value) for name, value in headers])
""",
        bad="""
def set_head(self, status, headers):
    super().set_head(status, list(dict(headers).items()))
""",
    ),
    Rule(
        id="R14",
        slug="status-is-sent-as-given",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=pep3333("Other HTTP Features"),
        quote="complete control over its output",
        says="The status code of the response is the application's, also when the server does not know it.",
        why="New codes are registered, and private ones agreed upon, without asking the server.",
        good="""
def set_head(self, status, headers):
    super().set_head(status, headers)
""",
        bad="""
def set_head(self, status, headers):
    super().set_head("400 Bad Request" if status.startswith("4") else status, headers)
""",
    ),
)

RULES: Final = (*_STARTS, *contents.RULES)

CASES.attach_to(RULES)
