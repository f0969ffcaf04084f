"""Chapter P: what HTTP/1.1 asks of whoever stands between a connection and a WSGI application.

Here are the responses and the connection, P1 to P20. Requests that must be refused stand in
`rules.http_requests`; `RULES` holds the whole chapter. What is seen through the probe application is attached
to each rule from `conform.cases.http` and `conform.cases.http_requests`.
"""

from __future__ import annotations

from typing import Final

from wsgix.conform.cases.http import CASES
from wsgix.conform.rule import Level, Profile, Rule, Side
from wsgix.conform.rules import http_requests
from wsgix.conform.rules.sources import pep3333, rfc

_HTTP: Final = frozenset({Profile.HTTP})
_BOTH: Final = frozenset({Profile.PEP3333, Profile.HTTP})

_RESPONSES: Final = (
    Rule(
        id="P1",
        slug="response-has-a-date",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9110, "6.6.1"),
        quote="MUST generate a Date header field",
        says="The server adds Date where the application gave none.",
        why="Caches compute ages from it. PEP 3333 names it as a header that the server would supply.",
        profiles=_BOTH,
        good="""
def own_headers(self):
    return [("Date", formatdate(usegmt=True))]
""",
        bad="""
def own_headers(self):
    return [("Server", self.software)]
""",
    ),
    Rule(
        id="P2",
        slug="date-is-well-formed-and-true",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9110, "5.6.7"),
        quote="MUST generate those timestamps in the IMF-fixdate format",
        says="The Date that the server adds has the one form that HTTP knows, and tells the time.",
        why="A date that cannot be read, or is wrong, is worse than none for caches.",
        profiles=_HTTP,
        good="""
def own_headers(self):
    return [("Date", formatdate(time.time(), usegmt=True))]
""",
        bad="""
def own_headers(self):
    return [("Date", time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()))]
""",
    ),
    Rule(
        id="P3",
        slug="head-has-no-content",
        level=Level.MUST_NOT,
        binds=Side.SERVER,
        source=rfc(9110, "9.3.2"),
        quote="MUST NOT send content in the response",
        says="A response to HEAD has no content, whatever the application gives.",
        why="The client takes what follows the head for the next response.",
        profiles=_HTTP,
        good="""
def has_content(self):
    return self.request.method != "HEAD" and super().has_content()
""",
        bad="""
def has_content(self):
    return self.status[:3] not in ("204", "304")
""",
    ),
    Rule(
        id="P4",
        slug="head-has-the-length-of-get",
        level=Level.MUST_NOT,
        binds=Side.SERVER,
        source=rfc(9110, "8.6"),
        quote="unless its field value equals the decimal number of octets",
        says="A Content-Length in a response to HEAD is the one that GET would have had.",
        why=(
            "Clients ask with HEAD how large something is before they fetch it. A length of zero, or of "
            "something else, makes them reserve, split or compare wrongly."
        ),
        profiles=_HTTP,
        good="""
def make_framing(self, length):
    return super().make_framing(None if self.request.method == "HEAD" else length)
""",
        bad="""
def make_framing(self, length):
    return super().make_framing(0 if self.request.method == "HEAD" else length)
""",
    ),
    Rule(
        id="P5",
        slug="204-and-304-have-no-content",
        level=Level.MUST_NOT,
        binds=Side.SERVER,
        source=rfc(9112, "6.3"),
        quote="cannot contain a message body",
        says="A response with status 204 or 304 has no content, and nothing that would frame one.",
        why="The client takes what follows the head for the next response.",
        profiles=_HTTP,
        good="""
def has_content(self):
    return self.status[:3] != "204" and super().has_content()
""",
        bad="""
def has_content(self):
    return self.request.method != "HEAD"

def make_framing(self, length):
    framing = super().make_framing(length)
    if self.status[:3] in ("204", "304"):
        return [pair for pair in framing if pair[0] == "Connection"]
    return framing
""",
    ),
    Rule(
        id="P6",
        slug="204-has-no-framing",
        level=Level.MUST_NOT,
        binds=Side.SERVER,
        source=rfc(9110, "8.6"),
        quote="MUST NOT send a Content-Length header field in any response with a status code of 1xx",
        says="The server adds neither Content-Length nor Transfer-Encoding to a response with status 204.",
        why="There are clients that wait for the content which the header announces.",
        profiles=_HTTP,
        good="""
def make_framing(self, length):
    framing = super().make_framing(length)
    if self.status.startswith("204"):
        framing = [pair for pair in framing if pair[0] == "Connection"]
    return framing
""",
        bad="""
def make_framing(self, length):
    framing = super().make_framing(length)
    if self.status.startswith("204"):
        framing.append(("Content-Length", "0"))
    return framing
""",
    ),
    Rule(
        id="P7",
        slug="expect-is-supported",
        level=Level.MUST,
        binds=Side.SERVER,
        source=pep3333("HTTP 1.1 Expect/Continue"),
        quote="must provide transparent support",
        says="A request with Expect: 100-continue is served like any other, in one of three ways.",
        why="Clients send it before large uploads; an application knows nothing of it.",
        good="""
def answer(self, request):
    if request.version == "1.1" and "100-continue" in request.options("expect"):
        self.transmit(b"HTTP/1.1 100 Continue\\r\\n\\r\\n")
        request.headers = [pair for pair in request.headers if pair[0].lower() != "expect"]
    return super().answer(request)
""",
        bad="""
def check_request(self, request):
    super().check_request(request)
    if request.version == "1.1" and request.values("expect"):
        raise Refusal("417 Expectation Failed")
""",
    ),
    Rule(
        id="P8",
        slug="expect-is-answered-at-once",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9110, "10.1.1"),
        quote="MUST send either",
        says="To Expect: 100-continue comes a 100, or the final response, before the content was sent.",
        why=(
            "The client waits. PEP 3333 lists doing nothing as a third way and does not recommend it; "
            "HTTP has no such way."
        ),
        profiles=_HTTP,
        good="""
def invite(self):
    super().invite()
""",
        bad="""
def invite(self):
    self.awaited = False
""",
    ),
    Rule(
        id="P9",
        slug="no-100-for-http-1-0",
        level=Level.MUST_NOT,
        binds=Side.SERVER,
        source=rfc(9110, "15.2"),
        quote="MUST NOT send a 1xx response to an HTTP/1.0 client",
        says="A request with HTTP/1.0 is never answered with a 100, whatever it expects.",
        why="Such a client takes the 100 for the response.",
        profiles=_BOTH,
        good="""
def answer(self, request):
    if request.version == "1.0":
        request.headers = [pair for pair in request.headers if pair[0].lower() != "expect"]
    return super().answer(request)
""",
        bad="""
def make_source(self, request):
    self.awaited = "100-continue" in request.options("expect")
    return super().make_source(request)
""",
    ),
    Rule(
        id="P10",
        slug="connection-goes-on-or-says-that-it-ends",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9112, "9.3"),
        quote='MUST send the "close" connection option in every response message',
        says="A connection with HTTP/1.1 serves another request, or the response said that it ends.",
        why=(
            "A client sends its next request on the connection that it believes to be open; one that is "
            "lost with the connection cannot always be sent again."
        ),
        profiles=_HTTP,
        good="""
def wants_close(self):
    return True
""",
        bad="""
def goes_on(self):
    return False
""",
    ),
    Rule(
        id="P11",
        slug="close-is-honoured",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9112, "9.6"),
        quote="MUST initiate closure of the connection",
        says="When the client asks for it, the connection ends after the response.",
        why=(
            "Simple clients read until the connection ends, and know no other end of a response. They "
            "would wait until the server loses patience."
        ),
        profiles=_HTTP,
        good="""
def wants_close(self):
    return "close" in self.request.options("connection") or super().wants_close()
""",
        bad="""
def goes_on(self):
    if self.request.version == "1.1" and self.closes:
        self.receive()
    return super().goes_on()
""",
    ),
    Rule(
        id="P12",
        slug="close-is-repeated",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=rfc(9112, "9.6"),
        quote="SHOULD send a close connection option in its final response",
        says="When the client asks for the end of the connection, the response says that it ends.",
        why=(
            "Then both sides know that the connection ends as intended and that nothing was lost. Without "
            "it, a client may send its next request into a connection that is going away."
        ),
        profiles=_HTTP,
        good="""
def make_framing(self, length):
    return [*super().make_framing(length)]
""",
        bad="""
def make_framing(self, length):
    framing = super().make_framing(length)
    if self.request.version == "1.1" and "close" in self.request.options("connection"):
        framing = [pair for pair in framing if pair[0] != "Connection"]
    return framing
""",
    ),
    Rule(
        id="P13",
        slug="http-1-0-connection-ends",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9112, "9.3"),
        quote="the connection will close after the current response",
        says="A connection with HTTP/1.0 ends after the response, unless the client asked to keep it.",
        why="The client reads until the end, and would wait for ever.",
        profiles=_HTTP,
        good="""
def wants_close(self):
    return self.request.version == "1.0" or super().wants_close()
""",
        bad="""
def wants_close(self):
    return "close" in self.request.options("connection")
""",
    ),
    Rule(
        id="P14",
        slug="no-chunks-for-http-1-0",
        level=Level.MUST_NOT,
        binds=Side.SERVER,
        source=rfc(9112, "6.1"),
        quote="MUST NOT send a response containing Transfer-Encoding unless",
        says="A request with HTTP/1.0 gets no chunks.",
        why="Such a client takes the sizes of the chunks for content.",
        profiles=_BOTH,
        good="""
def make_framing(self, length):
    framing = super().make_framing(length)
    return [pair for pair in framing if self.request.version == "1.1" or pair[0] != "Transfer-Encoding"]
""",
        bad="""
def make_framing(self, length):
    framing = super().make_framing(length)
    if self.declared() is None and length is None and self.request.version == "1.0" and self.has_content():
        self.chunked = True
        framing.append(("Transfer-Encoding", "chunked"))
    return framing
""",
    ),
    Rule(
        id="P15",
        slug="connection-stays-in-step",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9112, "9.3"),
        quote="all messages on a connection need to have a self-defined message length",
        says=(
            "After a response of any kind the next request on the connection gets its own response, or "
            "the response said that the connection ends."
        ),
        why="A byte too many or too few, and each client gets what was meant for another.",
        profiles=_HTTP,
        good="""
def goes_on(self):
    return super().goes_on()
""",
        bad="""
def fail(self, error):
    super().fail(error)
    if not self.aborted:
        self.transmit(b"\\r\\n")
""",
    ),
    Rule(
        id="P16",
        slug="unread-content-is-no-request",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9112, "9.3"),
        quote="MUST read the entire request message body or close the connection",
        says="Content that the application did not read is skipped, or the connection ends.",
        why="Taken for a request, it lets whoever fills in a form put requests on the connection of a proxy.",
        profiles=_HTTP,
        good="""
def goes_on(self):
    return not self.request.values("content-length") and super().goes_on()

def wants_close(self):
    return bool(self.request.values("content-length")) or super().wants_close()
""",
        bad="""
def goes_on(self):
    return not self.closes and not self.awaited
""",
    ),
    Rule(
        id="P17",
        slug="pipelined-requests-are-served-in-order",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9112, "9.3.2"),
        quote="MUST send the corresponding responses in the same order",
        says=(
            "Requests that come without waiting for the responses are each answered, in their order, as "
            "long as the connection goes on."
        ),
        why="A client that counts responses would mistake one for another.",
        profiles=_HTTP,
        good="""
def answer(self, request):
    return super().answer(request)
""",
        bad="""
def call(self, environ):
    if self.request.method == "GET":
        self.received = b""
    super().call(environ)
""",
    ),
    Rule(
        id="P18",
        slug="chunked-requests-are-accepted",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9112, "7.1"),
        quote="MUST be able to parse and decode the chunked transfer coding",
        says="A request whose content comes in chunks is served.",
        why="A client that does not know the length beforehand has no other way.",
        profiles=_HTTP,
        good="""
def check_request(self, request):
    super().check_request(request)
""",
        bad="""
def check_request(self, request):
    super().check_request(request)
    if request.values("transfer-encoding"):
        raise Refusal("411 Length Required")
""",
    ),
    Rule(
        id="P19",
        slug="chunk-extensions-are-ignored",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9112, "7.1.1"),
        quote="MUST ignore unrecognized chunk extensions",
        says="What follows the size of a chunk after a semicolon does not matter.",
        why=(
            "Proxies and some clients add such extensions, for signatures and the like. A server that "
            "takes them for a part of the size refuses or misreads the content."
        ),
        profiles=_HTTP,
        good="""
def read_chunk_size(self):
    self.received = self.received.replace(b";", b" ;", 1)
    return super().read_chunk_size()
""",
        bad="""
def read_chunk_size(self):
    line = self.read_line() or ""
    if not re.fullmatch("[0-9A-Fa-f]+", line):
        raise OSError("this is no size of a chunk")
    return int(line, 16)
""",
    ),
    Rule(
        id="P20",
        slug="trailers-are-taken-off",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9112, "7.1.2"),
        quote="",
        says="Trailers after the last chunk are neither content, nor headers, nor the next request.",
        why=(
            "Who could add headers by trailers would get round every check that was made of the head: a "
            "recipient must not merge them unless it knows the field to allow it."
        ),
        profiles=_HTTP,
        good="""
def read_trailers(self):
    while self.read_line():
        pass
""",
        bad="""
def read_trailers(self):
    self.read_line()
""",
    ),
)

RULES: Final = (*_RESPONSES, *http_requests.RULES)

CASES.attach_to(RULES)
