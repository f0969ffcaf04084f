"""Chapter P, continued: requests that a server must not take for what they are not, P21 to P30.

They belong to this catalogue because the environ is made of them: a server that reads them in another way
than the proxy before it hands one client's request to another.
"""

from __future__ import annotations

from typing import Final

from wsgix.conform.cases.http_requests import CASES
from wsgix.conform.rule import Level, Profile, Rule, Side
from wsgix.conform.rules.sources import rfc

_HTTP: Final = frozenset({Profile.HTTP})

RULES: Final = (
    Rule(
        id="P21",
        slug="host-stands-once",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9112, "3.2"),
        quote="MUST respond with a 400 (Bad Request) status code",
        says="A request with HTTP/1.1 and no Host, or with two, is refused.",
        why="Proxy and server would choose different ones, and so different sites.",
        profiles=_HTTP,
        good="""
def check_request(self, request):
    super().check_request(request)
""",
        bad="""
def check_request(self, request):
    if not request.values("host"):
        request.headers.append(("Host", "localhost"))
    super().check_request(request)
""",
    ),
    Rule(
        id="P22",
        slug="lengths-do-not-differ",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9112, "6.3"),
        quote="the recipient MUST treat it as an unrecoverable error",
        says="A request with two Content-Lengths that differ is refused.",
        why="What one reader takes for content is the next request for the other.",
        profiles=_HTTP,
        good="""
def check_request(self, request):
    super().check_request(request)
""",
        bad="""
def check_request(self, request):
    lengths = request.values("content-length")
    if len(lengths) > 1:
        request.headers = [pair for pair in request.headers if pair[0].lower() != "content-length"]
        request.headers.append(("Content-Length", lengths[-1]))
    super().check_request(request)
""",
    ),
    Rule(
        id="P23",
        slug="length-is-a-number",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9112, "6.3"),
        quote="an invalid Content-Length header field",
        says="A request whose Content-Length is not made of digits is refused.",
        why="`+5`, `0x5` and `5_0` are numbers to some readers and none to others.",
        profiles=_HTTP,
        good="""
def check_request(self, request):
    super().check_request(request)
""",
        bad="""
def check_request(self, request):
    for number, (name, value) in enumerate(request.headers):
        if name.lower() == "content-length" and value.startswith("+"):
            request.headers[number] = (name, value[1:])
    super().check_request(request)
""",
    ),
    Rule(
        id="P24",
        slug="length-and-chunks-do-not-meet",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9112, "6.1"),
        quote="the server MUST close the connection after responding",
        says=(
            "A request with both Content-Length and Transfer-Encoding is refused; or it is read by its "
            "chunks, and the connection ends."
        ),
        why="It is the classic way to smuggle a request past a proxy.",
        profiles=_HTTP,
        good="""
def check_request(self, request):
    super().check_request(request)
""",
        bad="""
def check_request(self, request):
    if request.values("content-length"):
        request.headers = [pair for pair in request.headers if pair[0].lower() != "transfer-encoding"]
    super().check_request(request)
""",
    ),
    Rule(
        id="P25",
        slug="no-space-before-the-colon",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9112, "5.1"),
        quote="MUST reject, with a response status code of 400",
        says="A request with whitespace between the name of a header and the colon is refused.",
        why="One reader sees `Content-Length`, the other a header that it does not know.",
        profiles=_HTTP,
        good="""
def read_header(self, line):
    return super().read_header(line)
""",
        bad="""
def read_header(self, line):
    name, colon, value = line.partition(":")
    return super().read_header(name.rstrip() + colon + value)
""",
    ),
    Rule(
        id="P26",
        slug="names-are-tokens",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=rfc(9112, "2.2"),
        quote="SHOULD respond with a 400 (Bad Request) response",
        says="A request with a header that has no name, or one that is no token, is refused.",
        why="What is not in the grammar, each reader repairs in its own way.",
        profiles=_HTTP,
        good="""
def read_header(self, line):
    return super().read_header(line)
""",
        bad="""
def read_header(self, line):
    return super().read_header("X-Nameless" + line if line.startswith(":") else line)
""",
    ),
    Rule(
        id="P27",
        slug="folded-lines-are-refused-or-joined",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9112, "5.2"),
        quote="MUST either reject the message",
        says="A header that goes on in the next line is refused, or joined with spaces.",
        why="A reader that takes the second line for a header of its own sees another request.",
        profiles=_HTTP,
        good="""
def read_header(self, line):
    return super().read_header(line)
""",
        bad="""
def read_header(self, line):
    return super().read_header("X-Folded: " + line if line.startswith(" ") else line)
""",
    ),
    Rule(
        id="P28",
        slug="no-control-characters-in-values",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9110, "5.5"),
        quote="MUST either reject the message or replace each of those characters with SP",
        says="A NUL or a bare CR in the value of a header is refused, or replaced by a space.",
        why="They end the value for some readers and not for others.",
        profiles=_HTTP,
        good="""
def read_header(self, line):
    return super().read_header(line)
""",
        bad="""
def read_header(self, line):
    name, _, value = line.partition(":")
    return (name, value.strip()) if "\\0" in value else super().read_header(line)
""",
    ),
    Rule(
        id="P29",
        slug="chunk-size-is-hexadecimal",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9112, "7.1"),
        quote="",
        says="A chunk whose size is not made of hexadecimal digits is no content.",
        why=(
            "`0x5` and `+5` are sizes to some readers and none to others: see the advisories on smuggling "
            "by chunks."
        ),
        profiles=_HTTP,
        good="""
def read_chunk_size(self):
    return super().read_chunk_size()
""",
        bad="""
def read_chunk_size(self):
    line = self.read_line()
    if line is None:
        raise OSError("the client left between chunks")
    return int(line.partition(";")[0], 16)
""",
    ),
    Rule(
        id="P30",
        slug="chunked-is-the-last-coding",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9112, "6.3"),
        quote="the server MUST respond with the 400 (Bad Request) status code",
        says="A request with a Transfer-Encoding whose last coding is not chunked is refused.",
        why="Its content has no end that can be known.",
        profiles=_HTTP,
        good="""
def check_request(self, request):
    super().check_request(request)
""",
        bad="""
def check_request(self, request):
    codings = request.options("transfer-encoding")
    if codings and codings[-1] != "chunked":
        request.headers = [pair for pair in request.headers if pair[0].lower() != "transfer-encoding"]
    super().check_request(request)
""",
    ),
)

CASES.attach_to(RULES)
