"""Chapter R, continued: how a server takes the content from the application and sends it, R15 to R31."""

from __future__ import annotations

from typing import Final

from wsgix.conform.cases.contents import CASES
from wsgix.conform.rule import Level, Rule, Side
from wsgix.conform.rules.sources import pep3333

_DETAILS: Final = pep3333("Specification Details")
_LENGTH: Final = pep3333("Handling the Content-Length Header")
_WRITE: Final = pep3333("The write() Callable")

RULES: Final = (
    Rule(
        id="R15",
        slug="blocks-are-not-delayed",
        level=Level.MUST_NOT,
        binds=Side.SERVER,
        source=pep3333("Buffering and Streaming"),
        quote="must not delay the transmission of any block",
        says=(
            "A block, and the head before the first one, reaches the client while the application makes "
            "the next."
        ),
        why=(
            "Progress, events and long pages depend on it. A block that is kept back until the next one "
            "comes arrives too late, or the client gives up before."
        ),
        good="""
def send_content(self, block):
    super().send_content(block)
""",
        bad="""
def iterate(self):
    content = b"".join(self.result)
    if content:
        self.send_block(content, last=not self.wrote)
""",
    ),
    Rule(
        id="R16",
        slug="write-is-not-delayed",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_WRITE,
        quote="before write() returns",
        says="What is given to `write` is sent, or on its way, when it returns.",
        why="It is the promise that frameworks with an imperative interface rely on.",
        good="""
def write(self, data):
    super().write(data)
""",
        bad="""
def write(self, data):
    self.wrote, self.kept = True, getattr(self, "kept", b"") + data

def iterate(self):
    kept, self.kept = getattr(self, "kept", b""), b""
    if kept:
        self.send_block(kept, last=False)
    super().iterate()
""",
    ),
    Rule(
        id="R17",
        slug="written-comes-before-returned",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_WRITE,
        quote="are transmitted after all bytestrings passed to write()",
        says="All that was written comes before what the iterable yields, in its order.",
        why=(
            "An application that uses both relies on that order: a head of a page that is written, its "
            "content that is returned. Otherwise the content is scrambled."
        ),
        good="""
def write(self, data):
    super().write(data)
""",
        bad="""
def write(self, data):
    if self.wrote:
        self.later = getattr(self, "later", b"") + data
    else:
        super().write(data)

def iterate(self):
    super().iterate()
    later, self.later = getattr(self, "later", b""), b""
    self.send_block(later, last=False)
""",
    ),
    Rule(
        id="R18",
        slug="written-content-is-not-cut",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_LENGTH,
        quote="does not call the write() callable",
        says="A length that the server derives counts what was written and what is returned.",
        why="One that is derived from the only block, or from the first write, cuts off the rest.",
        good="""
def is_single(self):
    return not self.wrote and super().is_single()
""",
        bad="""
def write(self, data):
    single = not self.wrote and self.declared() is None
    self.wrote = True
    self.send_block(data, last=single)

def send_content(self, block):
    if self.left is not None and self.declared() is None:
        block = block[: self.left]
    super().send_content(block)
""",
    ),
    Rule(
        id="R19",
        slug="start-may-come-with-the-first-block",
        level=Level.MUST_NOT,
        binds=Side.SERVER,
        source=_DETAILS,
        quote="servers must not assume that start_response() has been called before they begin iterating",
        says="An application may call `start_response` when its first block is asked for.",
        why="A generator function runs not a line before that.",
        good="""
def iterate(self):
    super().iterate()
""",
        bad="""
def iterate(self):
    if not self.started:
        raise AssertionError("start_response was not called")
    super().iterate()
""",
    ),
    Rule(
        id="R20",
        slug="any-iterable-will-do",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_DETAILS,
        quote="an iterable yielding zero or more bytestrings",
        says="The result may be a list, a tuple, a generator, or any other object that can be iterated.",
        why=(
            "Each of these is what some framework returns. A server that knows lists alone fails with the "
            "others, or sends their first item only."
        ),
        good="""
def iterate(self):
    super().iterate()
""",
        bad="""
def iterate(self):
    if hasattr(self.result, "__getitem__") and not isinstance(self.result, (list, tuple)):
        raise TypeError("what is this?")
    super().iterate()
""",
    ),
    Rule(
        id="R21",
        slug="empty-result-is-an-empty-response",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_DETAILS,
        quote="yielding zero or more bytestrings",
        says="A result that yields nothing, or nothing but empty blocks, is a response without content.",
        why=(
            "Redirects and many errors have no content. A server that waits for a block that is not empty "
            "never answers them."
        ),
        good="""
def finish(self):
    super().finish()
""",
        bad="""
def finish(self):
    if not self.head_sent:
        raise AssertionError("there is no content")
    super().finish()
""",
    ),
    Rule(
        id="R22",
        slug="result-is-only-iterated",
        level=Level.MUST_NOT,
        binds=Side.SERVER,
        source=_DETAILS,
        quote="must not directly use any other attributes of the iterable",
        says=(
            "Of a result that is not its own wrapper the server uses iteration, `len` and `close`, and "
            "nothing else."
        ),
        why="Middleware wraps results; an attribute that shines through leads past it.",
        good="""
def iterate(self):
    super().iterate()
""",
        bad="""
def iterate(self):
    if getattr(self.result, "fileno", None) is not None:
        raise TypeError("files are not sent here")
    super().iterate()
""",
    ),
    Rule(
        id="R23",
        slug="len-may-fail",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_DETAILS,
        quote="If a call to len(iterable) succeeds",
        says="A result whose `len` raises is iterated all the same.",
        why=(
            "Only a `len` that succeeds means something; lazy objects have one that raises. A server that "
            "lets it out answers 500 to a good response."
        ),
        good="""
def is_single(self):
    return False
""",
        bad="""
def is_single(self):
    return hasattr(self.result, "__len__") and not self.wrote and len(self.result) == 1
""",
    ),
    Rule(
        id="R24",
        slug="content-is-not-altered",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=_DETAILS,
        quote="should treat the yielded bytestrings as binary byte sequences",
        says="The client receives the bytes of the blocks as they are, all of them, however large they are.",
        why="Content is binary: a translated line end ruins an image.",
        good="""
def send_content(self, block):
    super().send_content(bytes(block))
""",
        bad="""
def send_content(self, block):
    super().send_content(block.replace(b"\\r\\n", b"\\n\\n"))
""",
    ),
    Rule(
        id="R25",
        slug="empty-block-does-not-end-the-content",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_LENGTH,
        quote="must comply fully with RFC 2616 when doing this",
        says="An empty block between others changes nothing.",
        why="As a chunk, it would be the last one.",
        good="""
def send_block(self, block, *, last):
    if block:
        super().send_block(block, last=last)
""",
        bad="""
def iterate(self):
    single = self.is_single()
    for block in self.result:
        if self.head_sent and not block:
            self.send_content(block)
        self.send_block(block, last=single)
        if self.left == 0 and self.declared() is not None:
            break
""",
    ),
    Rule(
        id="R26",
        slug="no-more-than-the-length",
        level=Level.SHOULD_NOT,
        binds=Side.SERVER,
        source=_LENGTH,
        quote="should not transmit more bytes to the client than the header allows",
        says="What goes beyond the application's Content-Length is not sent.",
        why=(
            "The client takes the excess for the beginning of the next response. From there on requests "
            "and responses no longer belong together, and that can be used to attack."
        ),
        good="""
def send_content(self, block):
    super().send_content(block)
""",
        bad="""
def send_content(self, block):
    if self.left is None or self.wrote or not self.has_content():
        super().send_content(block)
    else:
        self.left = max(0, self.left - len(block))
        self.transmit(block)
""",
    ),
    Rule(
        id="R27",
        slug="iteration-stops-at-the-length",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=_LENGTH,
        quote="should stop iterating over the response when enough data has been sent",
        says="The server stops iterating when the Content-Length is reached.",
        why="Nobody wants what would follow, and an endless generator would never end.",
        good="""
def iterate(self):
    super().iterate()
""",
        bad="""
def iterate(self):
    single = self.is_single()
    for block in self.result:
        self.send_block(block, last=single)
""",
    ),
    Rule(
        id="R28",
        slug="write-past-the-length-raises",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=_LENGTH,
        quote="raise an error if the application tries to write() past that point",
        says="`write` raises when it is given more than the Content-Length allows.",
        why="It is the only way to tell the application that what it sends goes nowhere.",
        good="""
def write(self, data):
    super().write(data)
""",
        bad="""
def write(self, data):
    super().write(data if self.left is None else data[: self.left])
""",
    ),
    Rule(
        id="R29",
        slug="short-content-ends-the-connection",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=_LENGTH,
        quote="should close the connection",
        says="When the application gives less than its Content-Length, the connection ends.",
        why="The client waits for the rest, and would take the next response for it.",
        good="""
def finish(self):
    super().finish()
""",
        bad="""
def finish(self):
    super().finish()
    if self.left and self.request.version == "1.1":
        self.log.write("the application gave too little\\n")
        self.receive()
""",
    ),
    Rule(
        id="R30",
        slug="short-content-is-reported",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=_LENGTH,
        quote="log or otherwise report the error",
        says="That the application gave less than its Content-Length appears in the server's output.",
        why="Nobody finds a cut response otherwise: the application believes to have sent everything.",
        good="""
def finish(self):
    super().finish()
""",
        bad="""
def finish(self):
    if self.has_content() and self.left:
        self.aborted = True
        return
    super().finish()
""",
    ),
    Rule(
        id="R31",
        slug="length-may-be-derived",
        level=Level.MAY,
        binds=Side.SERVER,
        source=_LENGTH,
        quote="may choose one of several approaches",
        says=(
            "Where the application gives no Content-Length, the server derives it, sends chunks, or ends "
            "the connection."
        ),
        why=(
            "A length that can be known saves the client a guess, and chunks save the connection. The "
            "report tells what the server does."
        ),
    ),
)

CASES.attach_to(RULES)
