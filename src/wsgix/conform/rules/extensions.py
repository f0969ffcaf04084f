"""Chapter X: what a server may offer beyond what it must, and what the field expects of it without any text.

What is seen through the probe application is attached to each rule from `conform.cases.extensions`.
"""

from __future__ import annotations

from typing import Final

from wsgix.conform.cases.extensions import CASES
from wsgix.conform.rule import Level, Profile, Rule, Side, Source
from wsgix.conform.rules.sources import pep3333, rfc

_FILES: Final = pep3333("Optional Platform-Specific File Handling")
_DE_FACTO: Final = frozenset({Profile.DE_FACTO})
_CUSTOM: Final = Source("custom", "no text")

RULES: Final = (
    Rule(
        id="X1",
        slug="file-wrapper-is-callable",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_FILES,
        quote="one required positional parameter, and one optional positional parameter",
        says=(
            "wsgi.file_wrapper, where there is one, can be called with a file, and with a file and a "
            "block size."
        ),
        why="Applications pass the size or leave it out, as the text lets them.",
        good="""
def make_environ(self, request):
    wrap = lambda file, size=4096: FileWrapper(file, size)
    return {**super().make_environ(request), "wsgi.file_wrapper": wrap}
""",
        bad="""
def make_environ(self, request):
    return {**super().make_environ(request), "wsgi.file_wrapper": lambda file: FileWrapper(file)}
""",
    ),
    Rule(
        id="X2",
        slug="file-wrapper-can-be-iterated",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_FILES,
        quote="must return an iterable object",
        says="What it returns can be iterated by the application and by middleware.",
        why="A wrapper that only the server understands cannot be compressed, counted, or embedded.",
        good="""
def make_environ(self, request):
    return super().make_environ(request)
""",
        bad="""
def make_environ(self, request):
    class Opaque:
        def __init__(self, file, size=8192):
            self.inner = FileWrapper(file, size)
    return {**super().make_environ(request), "wsgi.file_wrapper": Opaque}

def iterate(self):
    if type(self.result).__name__ == "Opaque":
        self.result = self.result.inner
    super().iterate()
""",
    ),
    Rule(
        id="X3",
        slug="file-wrapper-sends-nothing",
        level=Level.MUST_NOT,
        binds=Side.SERVER,
        source=_FILES,
        quote="must not perform any data transmission until",
        says="A wrapper that is made and not returned sends nothing.",
        why=(
            "Middleware may throw the response away and give another. What was sent by then would stand "
            "in front of it, and nobody could call it back."
        ),
        good="""
def make_environ(self, request):
    return super().make_environ(request)
""",
        bad="""
def make_environ(self, request):
    def wrap(file, size=8192):
        self.wrapped = FileWrapper(file, size)
        return self.wrapped
    return {**super().make_environ(request), "wsgi.file_wrapper": wrap}

def iterate(self):
    wrapped = vars(self).pop("wrapped", None)
    if wrapped is not None and isinstance(self.result, list):
        self.result = wrapped
    super().iterate()
""",
    ),
    Rule(
        id="X4",
        slug="any-file-like-object-will-do",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_FILES,
        quote="must still return an iterable that wraps read() and close()",
        says=(
            "An object with `read` is sent, whether it is a file of the system's, a pipe, or only like a "
            "file."
        ),
        why=(
            "Applications wrap archives, sockets and buffers. A wrapper that only knows files of the "
            "system's fails with these on one server and works on the next."
        ),
        good="""
def make_environ(self, request):
    return super().make_environ(request)
""",
        bad="""
def make_environ(self, request):
    def wrap(file, size=8192):
        file.close
        return FileWrapper(file, size)
    return {**super().make_environ(request), "wsgi.file_wrapper": wrap}
""",
    ),
    Rule(
        id="X5",
        slug="wrapped-file-is-closed",
        level=Level.MUST,
        binds=Side.SERVER,
        source=_FILES,
        quote="must have a close() method that invokes the original",
        says="When the response has ended, the `close` of the wrapped file has been called.",
        why=(
            "Nobody else closes the file: the application has handed it over. One that stays open costs a "
            "descriptor for each download, until there are none."
        ),
        good="""
def make_environ(self, request):
    return super().make_environ(request)
""",
        bad="""
def make_environ(self, request):
    wrap = lambda file, size=8192: iter(lambda: file.read(size), b"")
    return {**super().make_environ(request), "wsgi.file_wrapper": wrap}
""",
    ),
    Rule(
        id="X6",
        slug="file-is-sent-from-its-position",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=_FILES,
        quote="should begin at the current position",
        says="A file is sent from where it stands when the response begins, to its end.",
        why=(
            "Ranges are served by seeking first. A server that begins at the start of the file sends the "
            "wrong part, with a length that does not fit."
        ),
        good="""
def make_environ(self, request):
    return super().make_environ(request)
""",
        bad="""
def make_environ(self, request):
    def wrap(file, size=8192):
        if hasattr(file, "fileno") and not isinstance(file, io.BytesIO) and file.seekable():
            file.seek(0)
        return FileWrapper(file, size)
    return {**super().make_environ(request), "wsgi.file_wrapper": wrap}
""",
    ),
    Rule(
        id="X7",
        slug="file-is-sent-up-to-the-length",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=_FILES,
        quote="until Content-Length bytes have been written",
        says="Of a file that is longer than the application's Content-Length, no more is sent than that.",
        why="Ranges are served so, and files grow while they are sent.",
        good="""
def make_environ(self, request):
    return super().make_environ(request)
""",
        bad="""
def send_content(self, block):
    if isinstance(self.result, FileWrapper) and self.left is not None and self.has_content():
        self.left = max(0, self.left - len(block))
        self.transmit(block)
    else:
        super().send_content(block)
""",
    ),
    Rule(
        id="X8",
        slug="extension-apis-are-safe",
        level=Level.MUST,
        binds=Side.SERVER,
        source=pep3333("Server Extension APIs"),
        quote="invoked using the portion of the API that they replace",
        says=(
            "What a server offers in place of a part of WSGI takes that part as an argument, and refuses "
            "a changed one."
        ),
        why="Otherwise it leads past the middleware that changed it.",
        untestable="What a server's own variables do, and what they replace, only its documentation tells.",
    ),
    Rule(
        id="X9",
        slug="input-terminated-is-true",
        level=Level.DE_FACTO,
        binds=Side.SERVER,
        source=_CUSTOM,
        says=(
            "Where wsgi.input_terminated is true, reading to the end is safe, with chunks too; where "
            "chunks are accepted, it is there."
        ),
        why=(
            "Content that comes in chunks has no CONTENT_LENGTH: without this promise applications take "
            "it for none."
        ),
        profiles=_DE_FACTO,
        good="""
def make_environ(self, request):
    return {**super().make_environ(request), "wsgi.input_terminated": True}
""",
        bad="""
def make_environ(self, request):
    environ = super().make_environ(request)
    del environ["wsgi.input_terminated"]
    return environ
""",
    ),
    Rule(
        id="X10",
        slug="raw-target-is-verbatim",
        level=Level.DE_FACTO,
        binds=Side.SERVER,
        source=_CUSTOM,
        says=(
            "REQUEST_URI and RAW_URI, where they are there, are the request target as a `str`, nothing "
            "decoded."
        ),
        why="It is the only way to tell an encoded slash from a slash.",
        profiles=_DE_FACTO,
        good="""
def make_request_variables(self, request):
    return {**super().make_request_variables(request), "RAW_URI": request.target}
""",
        bad="""
def make_request_variables(self, request):
    variables = super().make_request_variables(request)
    return {**variables, "REQUEST_URI": variables["PATH_INFO"]}
""",
    ),
    Rule(
        id="X11",
        slug="remote-port-is-the-clients",
        level=Level.DE_FACTO,
        binds=Side.SERVER,
        source=_CUSTOM,
        says="REMOTE_PORT, where it is there, is the client's port in digits.",
        why="With the address it names a connection, which logs are searched for.",
        profiles=_DE_FACTO,
        good="""
def make_request_variables(self, request):
    variables = super().make_request_variables(request)
    del variables["REMOTE_PORT"]
    return variables
""",
        bad="""
def make_request_variables(self, request):
    return {**super().make_request_variables(request), "REMOTE_PORT": "0"}
""",
    ),
    Rule(
        id="X12",
        slug="underscores-do-not-pose-as-hyphens",
        level=Level.DE_FACTO,
        binds=Side.SERVER,
        source=_CUSTOM,
        says="A header with an underscore in its name neither replaces nor extends the one with a hyphen.",
        why=(
            "A proxy that sets `X-User` and removes what clients send under that name lets `X_User` pass; "
            "both become HTTP_X_USER."
        ),
        profiles=_DE_FACTO,
        good="""
def make_header_variables(self, request):
    return super().make_header_variables(request)
""",
        bad="""
def read_header(self, line):
    name, value = super().read_header(line)
    return name.replace("_", "-"), value
""",
    ),
    Rule(
        id="X13",
        slug="cookies-are-joined-with-semicolons",
        level=Level.DE_FACTO,
        binds=Side.SERVER,
        source=rfc(9113, "8.2.3"),
        quote="using the two-octet delimiter",
        says="Several Cookie headers become one HTTP_COOKIE, joined with a semicolon.",
        why=(
            "Joined with a comma, the second cookie is part of the first one's value. HTTP/2 says it for "
            "whoever hands a request on."
        ),
        profiles=_DE_FACTO,
        good="""
def make_header_variables(self, request):
    return super().make_header_variables(request)
""",
        bad="""
def make_header_variables(self, request):
    variables = super().make_header_variables(request)
    if "HTTP_COOKIE" in variables:
        variables["HTTP_COOKIE"] = ", ".join(request.values("cookie"))
    return variables
""",
    ),
    Rule(
        id="X14",
        slug="early-hints-are-sent",
        level=Level.DE_FACTO,
        binds=Side.SERVER,
        source=_CUSTOM,
        says="wsgi.early_hints, where it is there, is callable.",
        why="An application calls what it finds under the name.",
        profiles=_DE_FACTO,
        good="""
def make_environ(self, request):
    return {**super().make_environ(request), "wsgi.early_hints": lambda headers: None}
""",
        bad="""
def make_environ(self, request):
    return {**super().make_environ(request), "wsgi.early_hints": True}
""",
    ),
    Rule(
        id="X15",
        slug="forwarded-headers-may-be-believed",
        level=Level.MAY,
        binds=Side.SERVER,
        source=_CUSTOM,
        says="X-Forwarded-Proto and X-Forwarded-For from this machine may change the environ.",
        why=(
            "A server that believes whoever is near is right behind a proxy, and wrong without one. The "
            "report tells whether it does as it was started."
        ),
        profiles=_DE_FACTO,
    ),
    Rule(
        id="X16",
        slug="headers-may-set-the-script-name",
        level=Level.MAY,
        binds=Side.SERVER,
        source=_CUSTOM,
        says="A header of the request's may set SCRIPT_NAME, if the server is told so.",
        why=(
            "It moves the application to another place for whoever may send it. The report tells whether "
            "it does as it was started."
        ),
        profiles=_DE_FACTO,
    ),
    Rule(
        id="X17",
        slug="proxy-header-may-be-dropped",
        level=Level.MAY,
        binds=Side.SERVER,
        source=rfc(3875, "4.1.18"),
        quote="",
        says="The header Proxy may be dropped.",
        why=(
            "HTTP_PROXY configures HTTP clients in whatever program reads it from its environment. The "
            "report tells whether it arrives."
        ),
        profiles=_DE_FACTO,
    ),
    Rule(
        id="X18",
        slug="asterisk-form-may-have-a-path",
        level=Level.MAY,
        binds=Side.SERVER,
        source=rfc(9112, "3.2.4"),
        quote="",
        says="Of OPTIONS * PATH_INFO may be an asterisk or empty.",
        why="No text says what it is. The report tells what the server makes of it.",
        profiles=_DE_FACTO,
    ),
    Rule(
        id="X19",
        slug="length-of-a-file-may-be-derived",
        level=Level.MAY,
        binds=Side.SERVER,
        source=_FILES,
        quote="may generate one from the file using its knowledge of the underlying file",
        says="Where the application gives no Content-Length, the server may take that of the file.",
        why="It saves the chunks. The report tells whether the server does.",
    ),
)

CASES.attach_to(RULES)
