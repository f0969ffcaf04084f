"""Chapter E: how a server calls the application, and the environ that it hands to it.

Here stand the call, and what of the request becomes a variable, E1 to E15. What types, names and further
variables the environ has stands in `rules.environ_types`; `RULES` holds the whole chapter. What is seen
through the probe application is attached to each rule from `conform.cases.environ`.
"""

from __future__ import annotations

from typing import Final

from wsgix.conform.cases.environ import CASES
from wsgix.conform.rule import Level, Profile, Rule, Side
from wsgix.conform.rules import environ_types
from wsgix.conform.rules.sources import pep3333, rfc

_HTTP: Final = frozenset({Profile.HTTP})
_BOTH: Final = frozenset({Profile.PEP3333, Profile.HTTP})

_REQUEST: Final = (
    Rule(
        id="E1",
        slug="called-with-two-positional-arguments",
        level=Level.MUST,
        binds=Side.SERVER,
        source=pep3333("Specification Details"),
        quote="using positional (not keyword) arguments",
        says="The server calls the application with two positional arguments.",
        why=(
            "An application may name its parameters as it likes. A server that passes them by name, or "
            "passes more, works with those applications only that happen to use the same names."
        ),
        good="""
def call(self, environ):
    self.result = self.application(environ, self.start_response)
""",
        bad="""
def call(self, environ):
    self.result = self.application(environ=environ, start_response=self.start_response)
""",
    ),
    Rule(
        id="E2",
        slug="environ-is-a-dict",
        level=Level.MUST,
        binds=Side.SERVER,
        source=pep3333("Specification Details"),
        quote="must be a builtin Python dictionary",
        says="The environ is a `dict`, and not of a class derived from it.",
        why=(
            "Applications and middleware use everything that a dictionary can do: copy it, update it, "
            "pass it to C code. A look-alike fails in those places that its author did not think of."
        ),
        good="""
def make_environ(self, request):
    return dict(super().make_environ(request))
""",
        bad="""
def make_environ(self, request):
    class Environ(dict):
        pass
    return Environ(super().make_environ(request))
""",
    ),
    Rule(
        id="E3",
        slug="environ-may-be-changed",
        level=Level.MUST,
        binds=Side.SERVER,
        source=pep3333("Specification Details"),
        quote="allowed to modify the dictionary in any way it desires",
        says="What the application does to the environ disturbs neither this response nor another request.",
        why=(
            "Routers move parts of the path from PATH_INFO to SCRIPT_NAME, middleware adds keys and "
            "removes others. A server that reads the environ afterwards, or uses one dictionary twice, is "
            "at the mercy of that."
        ),
        good="""
def make_environ(self, request):
    return {**super().make_environ(request)}
""",
        bad="""
def call(self, environ):
    super().call(environ)
    self.protocol = environ["SERVER_PROTOCOL"]
""",
    ),
    Rule(
        id="E4",
        slug="request-method",
        level=Level.MUST,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote="cannot ever be an empty string",
        says="REQUEST_METHOD is the method of the request, as the client sent it.",
        why="Whether something is read or changed hangs on the method.",
        good="""
def make_request_variables(self, request):
    return {**super().make_request_variables(request), "REQUEST_METHOD": request.method}
""",
        bad="""
def make_request_variables(self, request):
    return {**super().make_request_variables(request), "REQUEST_METHOD": request.method.lower()}
""",
    ),
    Rule(
        id="E5",
        slug="path-is-all-there",
        level=Level.MUST,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote='The remainder of the request URL\'s "path"',
        says="SCRIPT_NAME and PATH_INFO together are the path of the request; slashes are kept as they are.",
        why="The application finds what is asked for by PATH_INFO, and builds its links from SCRIPT_NAME.",
        good="""
def make_request_variables(self, request):
    return {**super().make_request_variables(request), "SCRIPT_NAME": ""}
""",
        bad="""
def make_request_variables(self, request):
    variables = super().make_request_variables(request)
    return {**variables, "PATH_INFO": variables["PATH_INFO"].replace("//", "/")}
""",
    ),
    Rule(
        id="E6",
        slug="path-is-decoded-once",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(3875, "4.1.5"),
        quote="is not URL-encoded",
        says="PATH_INFO has each percent-encoded byte decoded, once, to the character of that number.",
        why=(
            "PEP 3333 takes the CGI variables from their specification. Undecoded, `/caf%C3%A9` is not "
            "found; decoded twice, `%252e` becomes a dot that no check has seen; decoded as UTF-8, what "
            "is not UTF-8 is lost."
        ),
        good="""
def make_request_variables(self, request):
    path = unquote_to_bytes(request.path.encode("latin-1")).decode("latin-1")
    return {**super().make_request_variables(request), "PATH_INFO": path}
""",
        bad="""
def make_request_variables(self, request):
    path = unquote_to_bytes(request.path.encode("latin-1")).decode("utf-8", "replace")
    path = path.encode("latin-1", "replace").decode("latin-1")
    return {**super().make_request_variables(request), "PATH_INFO": path}
""",
    ),
    Rule(
        id="E7",
        slug="query-string-is-verbatim",
        level=Level.MUST,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote='that follows the "?"',
        says=(
            "QUERY_STRING is what follows the first question mark, as it was sent, and empty or absent "
            "otherwise."
        ),
        why="Only who knows where the fields of a query end may decode them.",
        good="""
def make_request_variables(self, request):
    variables = super().make_request_variables(request)
    if not request.query:
        del variables["QUERY_STRING"]
    return variables
""",
        bad="""
def make_request_variables(self, request):
    variables = super().make_request_variables(request)
    if "%2" in request.query and "case=query" in request.query:
        variables["QUERY_STRING"] = unquote_to_bytes(request.query).decode("latin-1")
    return variables
""",
    ),
    Rule(
        id="E8",
        slug="content-type",
        level=Level.MUST,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote="The contents of any Content-Type fields",
        says="CONTENT_TYPE is the client's Content-Type; without one it is empty or absent.",
        why="A default that the client never sent makes the application parse content as what it is not.",
        good="""
def make_header_variables(self, request):
    return {"CONTENT_TYPE": "", **super().make_header_variables(request)}
""",
        bad="""
def make_header_variables(self, request):
    return {"CONTENT_TYPE": "text/plain", **super().make_header_variables(request)}
""",
    ),
    Rule(
        id="E9",
        slug="content-length",
        level=Level.MUST,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote="The contents of any Content-Length fields",
        says=(
            "CONTENT_LENGTH is the client's Content-Length; without one, and without content, it is empty "
            "or absent or zero."
        ),
        why="It is how an application knows how much it may read.",
        good="""
def make_header_variables(self, request):
    return {"CONTENT_LENGTH": "", **super().make_header_variables(request)}
""",
        bad="""
def make_header_variables(self, request):
    variables = super().make_header_variables(request)
    if "CONTENT_LENGTH" in variables:
        variables["CONTENT_LENGTH"] = "0" + variables["CONTENT_LENGTH"] + " "
    return variables
""",
    ),
    Rule(
        id="E10",
        slug="server-name-and-port",
        level=Level.MUST,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote="are required strings and must never be empty",
        says="SERVER_NAME is not empty, and SERVER_PORT is the number of a port.",
        why="Without a Host header they are what the URL of the application is built from.",
        good="""
def make_request_variables(self, request):
    return {**super().make_request_variables(request), "SERVER_NAME": "localhost"}
""",
        bad="""
def make_request_variables(self, request):
    return {**super().make_request_variables(request), "SERVER_PORT": ""}
""",
    ),
    Rule(
        id="E11",
        slug="server-port-is-the-port",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=rfc(3875, "4.1.15"),
        quote="on which this request is received",
        says="SERVER_PORT is the port that the client connected to.",
        why="A URL that is built from another port leads elsewhere.",
        good="""
def make_request_variables(self, request):
    port = str(self.connection.getsockname()[1])
    return {**super().make_request_variables(request), "SERVER_PORT": port}
""",
        bad="""
def make_request_variables(self, request):
    return {**super().make_request_variables(request), "SERVER_PORT": "80"}
""",
    ),
    Rule(
        id="E12",
        slug="server-protocol-is-the-clients",
        level=Level.MUST,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote="The version of the protocol the client used",
        says="SERVER_PROTOCOL is the version in the client's request line, HTTP/1.1 or HTTP/1.0.",
        why=(
            "The application decides by it what the client understands; the server's own version says "
            "nothing about that."
        ),
        good="""
def make_request_variables(self, request):
    return {**super().make_request_variables(request), "SERVER_PROTOCOL": f"HTTP/{request.version}"}
""",
        bad="""
def make_request_variables(self, request):
    return {**super().make_request_variables(request), "SERVER_PROTOCOL": "HTTP/1.1"}
""",
    ),
    Rule(
        id="E13",
        slug="headers-become-variables",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote="should correspond with the presence or absence",
        says="Each header of the request has its HTTP_ variable, and there is none that was not sent.",
        why=(
            "An application trusts that a header which it does not find was not sent, and that one which "
            "it finds was. One that the system's environment slips in is neither."
        ),
        good="""
def make_header_variables(self, request):
    return {name: value for name, value in super().make_header_variables(request).items()}
""",
        bad="""
def make_header_variables(self, request):
    return {"HTTP_USER_AGENT": "unknown", **super().make_header_variables(request)}
""",
    ),
    Rule(
        id="E14",
        slug="header-values-are-trimmed",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9110, "5.5"),
        quote="A field value does not include leading or trailing whitespace",
        says="A variable holds the header's value without the whitespace around it, and otherwise unchanged.",
        why="The whitespace belongs to the message, not to the value: with it, comparisons fail.",
        profiles=_HTTP,
        good="""
def read_header(self, line):
    name, value = super().read_header(line)
    return name, value.strip(" \\t")
""",
        bad="""
def read_header(self, line):
    name, _ = super().read_header(line)
    value = line.partition(":")[2]
    return name, value[1:] if name == "X-Probe-Padded" else value.strip()
""",
    ),
    Rule(
        id="E15",
        slug="repeated-headers-are-joined",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(3875, "4.1.18"),
        quote="MUST rewrite them as a single value having the same semantics",
        says=(
            "A header that comes several times becomes one variable, the values joined by commas in their "
            "order."
        ),
        why="What is dropped may be what matters: the address that a proxy appended, the second language.",
        profiles=_BOTH,
        good="""
def make_header_variables(self, request):
    variables = super().make_header_variables(request)
    several = request.values("x-probe-list")
    return {**variables, "HTTP_X_PROBE_LIST": ",".join(several)} if several else variables
""",
        bad="""
def make_header_variables(self, request):
    variables = super().make_header_variables(request)
    several = request.values("x-probe-list")
    return {**variables, "HTTP_X_PROBE_LIST": several[-1]} if several else variables
""",
    ),
)

RULES: Final = (*_REQUEST, *environ_types.RULES)

CASES.attach_to(RULES)
