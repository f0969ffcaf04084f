"""Chapter M: middleware, which is an application to what is above it and a server to what is below.

The examples define `middleware(app)`, which returns an application. All rules that can be observed at all are
observed by `conform.sandwich`.
"""

from typing import Final

from wsgix.conform.rule import Level, Profile, Rule, Side
from wsgix.conform.rules.sources import pep3333

_BOTH_SIDES: Final = pep3333("Middleware: Components that Play Both Sides")
_BLOCKS: Final = pep3333("Middleware Handling of Block Boundaries")

BOTH_SIDES: Final = Rule(
    id="M1",
    slug="keeps-the-rules-of-both-sides",
    level=Level.MUST,
    binds=Side.MIDDLEWARE,
    source=_BOTH_SIDES,
    quote="must conform to the restrictions and requirements of both the server and application sides",
    says="Middleware is an application to its server and a server to its application, and keeps the rules of "
    "both.",
    why="Neither side knows that it is there. What a server may take for granted of an application, and an "
    "application of a server, must hold through each layer between them, or every layer works alone and the "
    "stack does not.",
    good="""
def middleware(app):
    def wrapped(environ, start_response):
        environ["HTTP_X_LAYER"] = "outer"
        return app(environ, start_response)

    return wrapped
""",
    bad="""
def middleware(app):
    def wrapped(environ, start_response):
        def start(status, headers):  # and exc_info?
            return start_response(status, headers)

        return app(environ, start)

    return wrapped
""",
)

ONE_FOR_ONE: Final = Rule(
    id="M2",
    slug="waits-for-one-block-only",
    level=Level.MUST_NOT,
    binds=Side.MIDDLEWARE,
    source=_BLOCKS,
    quote="must not block iteration waiting for multiple values from an application iterable",
    says="Middleware that is asked for a block takes no second one with content from the application first.",
    why="A server may do other work between two blocks, and an application may yield because it waits for "
    "something. Middleware that takes block after block before it yields any stops both, and holds a whole "
    "response in memory.",
    good="""
class Upper:
    def __init__(self, blocks):
        self.blocks = blocks
        self.iterator = iter(blocks)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.iterator).upper()

    def close(self):
        if hasattr(self.blocks, "close"):
            self.blocks.close()


def middleware(app):
    return lambda environ, start_response: Upper(app(environ, start_response))
""",
    bad="""
class Joined:
    def __init__(self, blocks):
        self.blocks = blocks
        self.joined = False

    def __iter__(self):
        return self

    def __next__(self):
        if self.joined:
            raise StopIteration
        self.joined = True
        return b"".join(self.blocks)  # all of them, however long they take

    def close(self):
        if hasattr(self.blocks, "close"):
            self.blocks.close()


def middleware(app):
    return lambda environ, start_response: Joined(app(environ, start_response))
""",
)

NO_BLOCK_SWALLOWED: Final = Rule(
    id="M3",
    slug="yields-for-each-block",
    level=Level.MUST,
    binds=Side.MIDDLEWARE,
    source=_BLOCKS,
    quote="must yield at least one value each time its underlying application yields a value",
    says="Middleware yields a block for each one that it takes, an empty one where it has nothing to give.",
    why="An application yields an empty block to let the server go on with something else. Middleware that "
    "swallows it and asks for the next keeps the server waiting, just when the application said that it need "
    "not.",
    good="""
class WithoutComments:
    def __init__(self, blocks):
        self.blocks = blocks
        self.iterator = iter(blocks)

    def __iter__(self):
        return self

    def __next__(self):
        block = next(self.iterator)
        return b"" if block.startswith(b"#") else block

    def close(self):
        if hasattr(self.blocks, "close"):
            self.blocks.close()


def middleware(app):
    return lambda environ, start_response: WithoutComments(app(environ, start_response))
""",
    bad="""
class WithoutEmptyBlocks:
    def __init__(self, blocks):
        self.blocks = blocks
        self.iterator = iter(blocks)

    def __iter__(self):
        return self

    def __next__(self):
        while True:
            block = next(self.iterator)
            if block:
                return block

    def close(self):
        if hasattr(self.blocks, "close"):
            self.blocks.close()


def middleware(app):
    return lambda environ, start_response: WithoutEmptyBlocks(app(environ, start_response))
""",
)

RETURNS_AT_ONCE: Final = Rule(
    id="M4",
    slug="returns-at-once",
    level=Level.MUST,
    binds=Side.MIDDLEWARE,
    source=_BLOCKS,
    quote="must return an iterable as soon as its underlying application returns an iterable",
    says="Middleware returns its iterable when the application has returned, and takes no block before.",
    why="Until it returns, the server has nothing: it can send no head, do nothing else, and close nothing "
    "when the client has gone.",
    good="""
def middleware(app):
    def wrapped(environ, start_response):
        return app(environ, start_response)

    return wrapped
""",
    bad="""
def middleware(app):
    def wrapped(environ, start_response):
        blocks = app(environ, start_response)
        try:
            return list(blocks)
        finally:
            if hasattr(blocks, "close"):
                blocks.close()

    return wrapped
""",
)

NOT_BY_WRITE: Final = Rule(
    id="M5",
    slug="yielded-is-not-written",
    level=Level.MUST_NOT,
    binds=Side.MIDDLEWARE,
    source=_BLOCKS,
    quote="forbidden for middleware to use the write() callable to transmit data that is yielded",
    says="What the application yields, middleware yields; it does not send it by the server's write().",
    why="write() blocks until the data is on its way. An application that yields leaves it to the server "
    "when to send; middleware that writes takes that back.",
    good="""
def middleware(app):
    def wrapped(environ, start_response):
        def start(status, headers, exc_info=None):
            write = start_response(status, headers, exc_info)
            return lambda data: write(data)  # what the application writes may be written

        return app(environ, start)

    return wrapped
""",
    bad="""
class Written:
    def __init__(self, blocks, writers):
        self.blocks = blocks
        self.iterator = iter(blocks)
        self.writers = writers

    def __iter__(self):
        return self

    def __next__(self):
        block = next(self.iterator)
        if block:
            self.writers[-1](block)
        return b""

    def close(self):
        if hasattr(self.blocks, "close"):
            self.blocks.close()


def middleware(app):
    def wrapped(environ, start_response):
        writers = []

        def start(status, headers, exc_info=None):
            writers.append(start_response(status, headers, exc_info))
            return writers[-1]

        return Written(app(environ, start), writers)

    return wrapped
""",
)

DELAYS_NOTHING: Final = Rule(
    id="M6",
    slug="delays-no-block",
    level=Level.MUST_NOT,
    binds=Side.MIDDLEWARE,
    source=pep3333("Buffering and Streaming"),
    quote="must not delay the transmission of any block",
    says="Middleware that changes nothing in a block passes it on before it takes the next.",
    why="The application may yield a block because the client shall have it now: a progress line, an event, "
    "the end of a part. Held back, it comes when the next one does, or never.",
    good="""
def middleware(app):
    def wrapped(environ, start_response):
        return app(environ, start_response)

    return wrapped
""",
    bad="""
class OneBehind:
    def __init__(self, blocks):
        self.blocks = blocks
        self.iterator = iter(blocks)
        self.held = b""

    def __iter__(self):
        return self

    def __next__(self):
        block, self.held = self.held, next(self.iterator, None)
        if block is None:
            raise StopIteration
        return block

    def close(self):
        if hasattr(self.blocks, "close"):
            self.blocks.close()


def middleware(app):
    return lambda environ, start_response: OneBehind(app(environ, start_response))
""",
)

FORWARDS_CLOSE: Final = Rule(
    id="M7",
    slug="forwards-close",
    level=Level.MUST,
    binds=Side.MIDDLEWARE,
    source=pep3333("Specification Details"),
    quote="must call that method upon completion of the current request",
    says="Middleware calls close() of the application's iterable once, however the response ends.",
    why="close() gives back files, locks and database connections. A generator around the iterable does not "
    "forward it; one with a finally does so only if it was ever begun.",
    good="""
class Passed:
    def __init__(self, blocks):
        self.iterator = iter(blocks)
        if hasattr(blocks, "close"):
            self.close = blocks.close

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.iterator)


def middleware(app):
    return lambda environ, start_response: Passed(app(environ, start_response))
""",
    bad="""
def middleware(app):
    def wrapped(environ, start_response):
        blocks = app(environ, start_response)
        return (block for block in blocks)

    return wrapped
""",
)

NO_TRANSFER_CODING: Final = Rule(
    id="M8",
    slug="no-transfer-coding",
    level=Level.MUST_NOT,
    binds=Side.MIDDLEWARE,
    source=pep3333("Handling the Content-Length Header"),
    quote="applications and middleware must not apply any kind of Transfer-Encoding to their output",
    says="Middleware adds no hop-by-hop field to the response and no transfer coding to its content.",
    why="The connection is the server's. A Transfer-Encoding or Connection that it did not choose makes it "
    "frame the content twice, or not at all, and the client loses track of where the response ends.",
    good="""
def middleware(app):
    def wrapped(environ, start_response):
        def start(status, headers, exc_info=None):
            return start_response(status, [*headers, ("X-Frame-Options", "DENY")], exc_info)

        return app(environ, start)

    return wrapped
""",
    bad="""
def middleware(app):
    def wrapped(environ, start_response):
        def start(status, headers, exc_info=None):
            return start_response(status, [*headers, ("Connection", "close")], exc_info)

        return app(environ, start)

    return wrapped
""",
)

FUNCTIONS_OF_ENVIRON: Final = Rule(
    id="M9",
    slug="offers-functions-of-environ",
    level=Level.SHOULD,
    binds=Side.MIDDLEWARE,
    source=pep3333("Server Extension APIs"),
    quote="provide these features as functions which operate on environ, rather than simply stuffing values",
    says="What middleware finds out about a request it offers as a function of the environ, not as a stored "
    "value.",
    why="Other middleware may change the environ after it was read, and what was stored is then about "
    "another request than the one that the application sees.",
    untestable="whether a value in the environ was derived from the rest of it cannot be seen from outside",
)

HOLDS_NO_ERROR: Final = Rule(
    id="M10",
    slug="holds-no-exc-info",
    level=Level.SHOULD_NOT,
    binds=Side.MIDDLEWARE,
    source=pep3333("The start_response() Callable"),
    quote="no reference is held to the exc_info parameter",
    says="Middleware keeps no reference to the exc_info that start_response() was given.",
    why="The traceback refers to every frame of the request and to all that those hold: content, "
    "connections, files. Kept, they live on for as long as the middleware does.",
    good="""
def middleware(app):
    def wrapped(environ, start_response):
        def start(status, headers, exc_info=None):
            try:
                return start_response(status, headers, exc_info)
            finally:
                exc_info = None

        return app(environ, start)

    return wrapped
""",
    bad="""
errors = []


def middleware(app):
    def wrapped(environ, start_response):
        def start(status, headers, exc_info=None):
            errors.append(exc_info)
            return start_response(status, headers, exc_info)

        return app(environ, start)

    return wrapped
""",
)

MAY_RAISE_ITS_OWN: Final = Rule(
    id="M11",
    slug="may-answer-errors-itself",
    level=Level.MAY,
    binds=Side.MIDDLEWARE,
    source=pep3333("Error Handling"),
    quote="may choose to not re-raise the exc_info",
    says="Middleware may raise its own exception for an exc_info, or keep the error response and return.",
    why="So it can show an error page of its own. An application that passes exc_info and does not trap what "
    "start_response() raises works with either.",
    untestable="a permission; nothing that middleware does could be held against it",
)

LENGTH_FITS: Final = Rule(
    id="M12",
    slug="adjusts-content-length",
    level=Level.DE_FACTO,
    binds=Side.MIDDLEWARE,
    source=_BOTH_SIDES,
    quote="Strip content-length if present, else it'll be wrong",
    profiles=frozenset({Profile.PEP3333, Profile.HTTP, Profile.DE_FACTO}),
    says="Middleware that makes the content longer or shorter takes Content-Length away, or corrects it.",
    why="Where the content is shorter than it says, the client waits for the rest; where it is longer, the "
    "rest is cut off, or is taken for the next response.",
    good="""
class Replaced:
    def __init__(self, blocks):
        self.blocks = blocks
        self.iterator = iter(blocks)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.iterator).replace(b"block", b"building block")

    def close(self):
        if hasattr(self.blocks, "close"):
            self.blocks.close()


def middleware(app):
    def wrapped(environ, start_response):
        def start(status, headers, exc_info=None):
            headers = [field for field in headers if field[0].lower() != "content-length"]
            return start_response(status, headers, exc_info)

        return Replaced(app(environ, start))

    return wrapped
""",
    bad="""
class Replaced:
    def __init__(self, blocks):
        self.blocks = blocks
        self.iterator = iter(blocks)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.iterator).replace(b"block", b"building block")

    def close(self):
        if hasattr(self.blocks, "close"):
            self.blocks.close()


def middleware(app):
    return lambda environ, start_response: Replaced(app(environ, start_response))
""",
)

RULES: Final[tuple[Rule, ...]] = (
    BOTH_SIDES,
    ONE_FOR_ONE,
    NO_BLOCK_SWALLOWED,
    RETURNS_AT_ONCE,
    NOT_BY_WRITE,
    DELAYS_NOTHING,
    FORWARDS_CLOSE,
    NO_TRANSFER_CODING,
    FUNCTIONS_OF_ENVIRON,
    HOLDS_NO_ERROR,
    MAY_RAISE_ITS_OWN,
    LENGTH_FITS,
)
