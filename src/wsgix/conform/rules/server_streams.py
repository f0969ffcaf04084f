"""Chapter S: the streams that a server puts into the environ, wsgi.input and wsgi.errors.

What is seen through the probe application is attached to each rule from `conform.cases.server_streams`.
"""

from __future__ import annotations

from typing import Final

from wsgix.conform.cases.server_streams import CASES
from wsgix.conform.rule import Level, Profile, Rule, Side
from wsgix.conform.rules.sources import pep3333, rfc

_STREAMS: Final = pep3333("Input and Error Streams")

RULES: Final = (
    Rule(
        id="S1",
        slug="input-has-its-methods",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_STREAMS,
        quote="must be supported by all servers",
        says="wsgi.input has `read`, `readline` and `readlines`, and can be iterated.",
        why="Parsers of forms and uploads use each of these, and none asks whether it is there.",
        good="""
def make_input(self, source):
    return Input(source)
""",
        bad="""
def make_input(self, source):
    class Incomplete(Input):
        readlines = property()
    return Incomplete(source)
""",
    ),
    Rule(
        id="S2",
        slug="read-gives-so-many-bytes",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_STREAMS,
        quote="as documented in the Python Library Reference",
        says="`read(size)` gives `bytes`, at most so many, and one call goes on where the last one stopped.",
        why=(
            "Who reads a large upload piece by piece holds no more in memory than a piece, and loses nothing."
        ),
        good="""
def make_input(self, source):
    return io.BytesIO(Input(source).read())
""",
        bad="""
def make_input(self, source):
    class Generous(Input):
        def read(self, size=-1):
            return super().read(-1 if size == 4 else size)
    return Generous(source)
""",
    ),
    Rule(
        id="S3",
        slug="readline-gives-a-line",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_STREAMS,
        quote="as documented in the Python Library Reference",
        says="`readline()` gives the bytes up to and with the next line feed, or to the end.",
        why="A line without its end cannot be told from the end of the stream when it is empty.",
        good="""
def make_input(self, source):
    return io.BytesIO(Input(source).read())
""",
        bad="""
def make_input(self, source):
    class Chomping(Input):
        def readline(self, size=-1):
            line = super().readline(size)
            return line if size >= 0 else line.rstrip(b"\\n")
        def __iter__(self):
            return iter(super().readline, b"")
    return Chomping(source)
""",
    ),
    Rule(
        id="S4",
        slug="readlines-gives-the-lines",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_STREAMS,
        quote="optional for both caller and implementer",
        says="`readlines()` gives the lines that are left as a list, and takes a hint of how much is wanted.",
        why="The hint may be ignored, but a caller is free to give it.",
        good="""
def make_input(self, source):
    return io.BytesIO(Input(source).read())
""",
        bad="""
def make_input(self, source):
    class Hintless(Input):
        def readlines(self):
            return list(self)
    return Hintless(source)
""",
    ),
    Rule(
        id="S5",
        slug="iteration-gives-the-lines",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_STREAMS,
        quote="must support the following methods",
        says="Iterating over wsgi.input gives its lines.",
        why="It is how Python code reads a text line by line.",
        good="""
def make_input(self, source):
    return io.BytesIO(Input(source).read())
""",
        bad="""
def make_input(self, source):
    class InPieces(Input):
        def readlines(self, hint=-1):
            return [*iter(self.readline, b"")]
        def __iter__(self):
            return iter(lambda: self.read(3), b"")
    return InPieces(source)
""",
    ),
    Rule(
        id="S6",
        slug="input-ends-with-the-content",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=_STREAMS,
        quote="should simulate an end-of-file condition",
        says="A read past the Content-Length gives what is left, and then b'', without waiting.",
        why=(
            "Otherwise the application waits for bytes that the client will never send, or takes the next "
            "request on the connection for content of this one."
        ),
        good="""
def make_input(self, source):
    return io.BytesIO(Input(source).read())
""",
        bad="""
def make_input(self, source):
    class Endless(Input):
        def fill(self):
            if super().fill():
                return True
            raise EOFError("there is no more")
    return Endless(source) if self.request.values("content-length") else Input(source)
""",
    ),
    Rule(
        id="S7",
        slug="read-without-a-size",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=_STREAMS,
        quote="should allow read() to be called without an argument",
        says="`read()` gives all that is left of the content.",
        why=(
            "It is what most applications call, since they want the whole form or document. Where it "
            "fails or waits, they do not work at all."
        ),
        good="""
def make_input(self, source):
    return io.BytesIO(Input(source).read())
""",
        bad="""
def make_input(self, source):
    class Sized(Input):
        def read(self, size):
            return super().read(size)
    return Sized(source)
""",
    ),
    Rule(
        id="S8",
        slug="empty-input-gives-empty-bytes",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=_STREAMS,
        quote="should return empty bytestrings from any attempt",
        says="An input that is empty or exhausted gives b'', no lines, and neither an error nor a wait.",
        why="An application that reads whatever came must not fail because nothing did.",
        good="""
def make_input(self, source):
    return io.BytesIO(Input(source).read())
""",
        bad="""
def make_input(self, source):
    class Empty(Input):
        def fill(self):
            raise EOFError("the request has no content")
    headers = self.request.values("content-length") + self.request.values("transfer-encoding")
    return Input(source) if headers else Empty(source)
""",
    ),
    Rule(
        id="S9",
        slug="readline-takes-a-size",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=_STREAMS,
        quote='should support the optional "size" argument',
        says="`readline(size)` gives no more bytes than that, and the rest of the line with the next call.",
        why=(
            "Parsers protect themselves with the size against lines without end. Where it is not heeded, "
            "one request fills the memory."
        ),
        good="""
def make_input(self, source):
    return io.BytesIO(Input(source).read())
""",
        bad="""
def make_input(self, source):
    class Unlimited(Input):
        def readline(self, size=-1):
            return super().readline()
    return Unlimited(source)
""",
    ),
    Rule(
        id="S10",
        slug="chunked-content-is-decoded",
        level=Level.MUST,
        binds=Side.SERVER,
        source=pep3333("Other HTTP Features"),
        quote="including chunked encoding if applicable",
        says=(
            "Of content that comes in chunks the application reads the content, not the framing, and then "
            "its end."
        ),
        why="Transfer codings belong to one connection; an application knows nothing of them.",
        good="""
def make_input(self, source):
    return io.BytesIO(Input(source).read())
""",
        bad="""
def chunks(self):
    decoded = super().chunks()
    def source(size):
        piece = decoded(size)
        return b"%x\\r\\n%s\\r\\n" % (len(piece), piece) if piece else b""
    return source
""",
    ),
    Rule(
        id="S11",
        slug="input-keeps-every-byte",
        level=Level.MUST,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote="from which the HTTP request body bytes can be read",
        says="What is read from wsgi.input is what was sent, byte by byte, however much it is.",
        why="Content is binary: a translated line end or a byte lost ruins an upload.",
        good="""
def make_input(self, source):
    return io.BytesIO(Input(source).read())
""",
        bad="""
def exactly(self, length):
    source = super().exactly(length)
    return lambda size: source(size).replace(b"\\r\\n", b"\\n")
""",
    ),
    Rule(
        id="S12",
        slug="errors-has-its-methods",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_STREAMS,
        quote="must support the following methods",
        says="wsgi.errors has `write`, `writelines` and `flush`, and takes `str`.",
        why=(
            "Logging handlers and tracebacks are written with them. Where one is missing, the report of "
            "an error becomes an error itself."
        ),
        good="""
def make_environ(self, request):
    return {**super().make_environ(request), "wsgi.errors": self.log}
""",
        bad="""
def make_environ(self, request):
    class Errors:
        write = self.log.write
        flush = self.log.flush
    return {**super().make_environ(request), "wsgi.errors": Errors}
""",
    ),
    Rule(
        id="S13",
        slug="errors-takes-any-text",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote="should accept and log arbitrary unicode without raising an error",
        says="wsgi.errors takes every text, and substitutes what it cannot show.",
        why="A message about an error must not become an error itself.",
        good="""
def make_environ(self, request):
    return {**super().make_environ(request), "wsgi.errors": self.log}
""",
        bad="""
def make_environ(self, request):
    class Ascii(Log):
        def write(stream, text):
            return self.log.write(text.encode("ascii").decode())
    return {**super().make_environ(request), "wsgi.errors": Ascii()}
""",
    ),
    Rule(
        id="S14",
        slug="errors-are-recorded",
        level=Level.DE_FACTO,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote="for the purpose of recording program or other errors",
        says="What is written to wsgi.errors and flushed appears in what the server writes.",
        why="Where it goes is the server's choice, but a text that appears nowhere helps nobody.",
        profiles=frozenset({Profile.DE_FACTO}),
        good="""
def make_environ(self, request):
    return {**super().make_environ(request), "wsgi.errors": self.log}
""",
        bad="""
def make_environ(self, request):
    return {**super().make_environ(request), "wsgi.errors": io.StringIO()}
""",
    ),
    Rule(
        id="S15",
        slug="cut-content-is-told",
        level=Level.DE_FACTO,
        binds=Side.SERVER,
        source=rfc(9112, "8"),
        quote="incomplete request message",
        says="Content that ends before its length is not passed off as complete.",
        why=(
            "An application that sees an ordinary end stores half an upload as a whole one. No text says "
            "how a server tells it; those that do raise from the read, or never call the application."
        ),
        profiles=frozenset({Profile.DE_FACTO}),
        good="""
def exactly(self, length):
    return super().exactly(length)
""",
        bad="""
def exactly(self, length):
    source = super().exactly(length)
    def forgiving(size):
        try:
            return source(size)
        except OSError:
            return b""
    return forgiving
""",
    ),
    Rule(
        id="S16",
        slug="input-may-be-collected",
        level=Level.MAY,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote="may perform reads on-demand",
        says="The server may call the application before all of the content is there, or collect it first.",
        why=(
            "Collecting protects threads against slow clients; reading on demand lets an application "
            "refuse an upload, or work on it while it comes. The report tells which it is."
        ),
    ),
    Rule(
        id="S17",
        slug="error-log-is-documented",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote="should include an explanation",
        says="The documentation tells where the output of wsgi.errors is to be found.",
        why=(
            "It is looked for when something is wrong, by somebody in a hurry. What cannot be found might "
            "as well not have been written."
        ),
        untestable="No program reads a manual and tells whether it is complete.",
    ),
)

CASES.attach_to(RULES)
