"""Chapter C: how a server ends a request, what it does about errors, and what it says of its concurrency.

What is seen through the probe application is attached to each rule from `conform.cases.closing`.
"""

from __future__ import annotations

from typing import Final

from wsgix.conform.cases.closing import CASES
from wsgix.conform.rule import Level, Profile, Rule, Side
from wsgix.conform.rules.sources import pep3333, rfc

_DETAILS: Final = pep3333("Specification Details")
_ERRORS: Final = pep3333("Error Handling")
_ENVIRON: Final = pep3333("environ Variables")
_DE_FACTO: Final = frozenset({Profile.DE_FACTO})

RULES: Final = (
    Rule(
        id="C1",
        slug="result-is-closed",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_DETAILS,
        quote="must call that method upon completion of the current request",
        says="When the content is sent, the server calls the `close` of the result.",
        why="It is where files, transactions and locks are released.",
        good="""
def end(self):
    super().end()
""",
        bad="""
def end(self):
    pass
""",
    ),
    Rule(
        id="C2",
        slug="result-is-closed-after-an-error",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_DETAILS,
        quote="terminated early due to an application error during iteration",
        says="When the iteration fails, the server calls `close` too.",
        why="What was opened must be released whatever goes wrong.",
        good="""
def fail(self, error):
    super().fail(error)
""",
        bad="""
def fail(self, error):
    self.result = None
    super().fail(error)
""",
    ),
    Rule(
        id="C3",
        slug="result-is-closed-when-the-client-is-gone",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_DETAILS,
        quote="an early disconnect of the browser",
        says=(
            "When the client ends the connection within the content, the server stops iterating and calls "
            "`close`."
        ),
        why="Clients leave all the time; each of them would leave something open.",
        good="""
def send_content(self, block):
    if self.client_left():
        raise OSError("the client is gone")
    super().send_content(block)
""",
        bad="""
def transmit(self, data):
    try:
        super().transmit(data)
    except OSError:
        self.result = None
        raise
""",
    ),
    Rule(
        id="C4",
        slug="what-was-returned-is-closed",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_DETAILS,
        quote="the iterable returned by the application has a close() method",
        says=(
            "The `close` that is called is that of the object which the application returned, not of its "
            "iterator."
        ),
        why="Middleware returns objects with a generator inside: closing that releases less.",
        good="""
def iterate(self):
    super().iterate()
""",
        bad="""
def iterate(self):
    super().iterate()
    self.result = iter(self.result)
""",
    ),
    Rule(
        id="C5",
        slug="result-is-closed-without-content",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_DETAILS,
        quote="whether the request was completed normally, or terminated early",
        says="The result is closed also when its content is not sent, or not all of it.",
        why="HEAD, 304 and a Content-Length that is reached early are no reason to leave a file open.",
        good="""
def end(self):
    super().end()
""",
        bad="""
def end(self):
    if self.has_content():
        super().end()
""",
    ),
    Rule(
        id="C6",
        slug="result-is-closed-once",
        level=Level.DE_FACTO,
        binds=Side.SERVER,
        source=_DETAILS,
        quote="must call that method upon completion",
        says="`close` is called once.",
        why="The text does not say how often. What is returned to a pool twice is handed out twice.",
        profiles=_DE_FACTO,
        good="""
def end(self):
    super().end()
    self.result = None
""",
        bad="""
def end(self):
    super().end()
    super().end()
""",
    ),
    Rule(
        id="C7",
        slug="failing-close-spoils-nothing",
        level=Level.DE_FACTO,
        binds=Side.SERVER,
        source=_ERRORS,
        quote="",
        says="A response that is complete stays so when `close` raises.",
        why="The client got what it asked for; a late error concerns the log.",
        profiles=_DE_FACTO,
        good="""
def end(self):
    super().end()
""",
        bad="""
def finish(self):
    result, self.result = self.result, None
    if hasattr(result, "close"):
        result.close()
    super().finish()
""",
    ),
    Rule(
        id="C8",
        slug="errors-are-trapped",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=_ERRORS,
        quote="should trap and log any exception",
        says="An error of the application's before anything was sent becomes a response with a status 5xx.",
        why=(
            "Without one, the client cannot tell a broken application from a broken network, and may try "
            "again."
        ),
        profiles=frozenset({Profile.PEP3333, Profile.HTTP}),
        good="""
def fail(self, error):
    super().fail(error)
""",
        bad="""
def fail(self, error):
    self.log.write("".join(traceback.format_exception(error)))
    self.aborted = True
""",
    ),
    Rule(
        id="C9",
        slug="errors-are-logged",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=_ERRORS,
        quote="should trap and log any exception",
        says="An exception that ends the application or the iteration appears in the server's output.",
        why=(
            "Nobody can mend what nobody sees. The user sees a 500 at most, and who runs the application "
            "learns nothing."
        ),
        good="""
def fail(self, error):
    super().fail(error)
""",
        bad="""
def fail(self, error):
    before = self.log.text
    super().fail(error)
    self.log.text = before
""",
    ),
    Rule(
        id="C10",
        slug="half-a-response-is-not-ended-well",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=_ERRORS,
        quote="abort the response",
        says=(
            "When the iteration fails after a part was sent, the client can see that the content is not "
            "complete."
        ),
        why=(
            "A last chunk after half a document makes caches and downloads keep the half. The connection "
            "must be cut instead: RFC 9112, 8, lets the client know an incomplete message by that."
        ),
        good="""
def fail(self, error):
    super().fail(error)
""",
        bad="""
def fail(self, error):
    if self.head_sent and self.chunked and self.has_content():
        self.transmit(b"0\\r\\n\\r\\n")
    super().fail(error)
""",
    ),
    Rule(
        id="C11",
        slug="one-call-for-one-request",
        level=Level.MUST,
        binds=Side.SERVER,
        source=pep3333("The Server/Gateway Side"),
        quote="once for each request it receives",
        says="The application is called once for each request.",
        why="An order that is placed twice is paid twice.",
        good="""
def call(self, environ):
    super().call(environ)
""",
        bad="""
def call(self, environ):
    if self.request.method == "HEAD":
        self.application(dict(environ), lambda *_: lambda data: None)
    super().call(environ)
""",
    ),
    Rule(
        id="C12",
        slug="multithread-is-true",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=_ENVIRON,
        quote="may be simultaneously invoked by another thread in the same process",
        says=(
            "wsgi.multithread is true where two threads of a process are in the application at the same time."
        ),
        why="An application that is not made for threads relies on being told.",
        good="""
def make_environ(self, request):
    return {**super().make_environ(request), "wsgi.multithread": 1}
""",
        bad="""
def make_environ(self, request):
    return {**super().make_environ(request), "wsgi.multithread": False}
""",
    ),
    Rule(
        id="C13",
        slug="multiprocess-is-true",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=_ENVIRON,
        quote="may be simultaneously invoked by another process",
        says="wsgi.multiprocess is true where two processes serve the application.",
        why="What is kept in the memory of one process is not there in the other.",
    ),
    Rule(
        id="C14",
        slug="run-once-is-true",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=_ENVIRON,
        quote="will only be invoked this one time during the life of its containing process",
        says="wsgi.run_once is false where one process serves several requests.",
        why="Frameworks spare themselves caches when they are told that they run once.",
        good="""
def make_environ(self, request):
    return {**super().make_environ(request), "wsgi.run_once": 0}
""",
        bad="""
def make_environ(self, request):
    return {**super().make_environ(request), "wsgi.run_once": True}
""",
    ),
    Rule(
        id="C15",
        slug="single-thread-is-an-option",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=pep3333("Thread Support"),
        quote="should also provide the option of running an application in a single-threaded fashion",
        says="A server that runs requests in parallel can be told not to.",
        why="There are applications that are not made for threads.",
        untestable="How it is told is each server's own.",
    ),
    Rule(
        id="C16",
        slug="partial-response-may-be-completed",
        level=Level.MAY,
        binds=Side.SERVER,
        source=_ERRORS,
        quote="may attempt to add an error message to the output",
        says="To content of a text type that broke off, the server may add a message.",
        why="A person who looks at half a page is told why. The report tells whether the server does.",
    ),
    Rule(
        id="C17",
        slug="responses-are-not-mixed",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9112, "9.3.2"),
        quote="",
        says="Two requests that are served at the same time each get their own response.",
        why=(
            "What one user sees must not be another's. A mix-up shows private data to strangers, and it "
            "comes under load only, when nobody looks."
        ),
        profiles=frozenset({Profile.HTTP}),
        good="""
def start_response(self, status, headers, exc_info=None):
    return super().start_response(status, headers, exc_info)
""",
        bad="""
def set_head(self, status, headers):
    super().set_head(status, headers)
    type(self).latest = (status, headers)

def send_head(self, length=None):
    self.status, self.headers = type(self).latest
    super().send_head(length)
""",
    ),
)

CASES.attach_to(RULES)
