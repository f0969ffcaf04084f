"""Chapter E: how a server calls the application, and the environ that it hands to it.

What is seen through the probe application is attached to each rule from `conform.cases.environ`.
"""

from __future__ import annotations

from typing import Final

from wsgix.conform.cases.environ import CASES
from wsgix.conform.rule import Level, Profile, Rule, Side
from wsgix.conform.rules.sources import VALIDATE, pep3333, rfc

_HTTP: Final = frozenset({Profile.HTTP})
_BOTH: Final = frozenset({Profile.PEP3333, Profile.HTTP})

RULES: Final = (
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
    Rule(
        id="E16",
        slug="no-prefixed-content-variables",
        level=Level.SHOULD_NOT,
        binds=Side.SERVER,
        source=VALIDATE,
        quote="",
        says="There is no HTTP_CONTENT_TYPE and no HTTP_CONTENT_LENGTH.",
        why=(
            "Both have variables of their own; a second spelling lets two readers disagree on the length "
            "of the content. RFC 3875, 4.1.18, asks to leave such repetitions out, and the standard "
            "library's validator refuses them."
        ),
        profiles=frozenset({Profile.STDLIB}),
        good="""
def make_header_variables(self, request):
    variables = super().make_header_variables(request)
    variables.pop("HTTP_CONTENT_TYPE", None)
    return variables
""",
        bad="""
def make_header_variables(self, request):
    variables = super().make_header_variables(request)
    if "CONTENT_TYPE" in variables:
        variables["HTTP_CONTENT_TYPE"] = variables["CONTENT_TYPE"]
    return variables
""",
    ),
    Rule(
        id="E17",
        slug="variables-are-str",
        level=Level.MUST,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote="to be of any type other than str",
        says="Every key is a `str`, and so is the value of every CGI variable.",
        why="Applications call the methods of strings on them and compare them with strings.",
        good="""
def make_environ(self, request):
    return {**super().make_environ(request), "reference.request": request}
""",
        bad="""
def make_request_variables(self, request):
    return {**super().make_request_variables(request), "REMOTE_PORT": self.peer[1]}
""",
    ),
    Rule(
        id="E18",
        slug="strings-are-latin-1",
        level=Level.MUST_NOT,
        binds=Side.SERVER,
        source=pep3333("Unicode Issues"),
        quote="must not supply strings to an application containing any other Unicode characters",
        says="No string of the environ has a character beyond U+00FF.",
        why=(
            "Each character stands for one byte. Applications encode to latin-1 to have the bytes back, "
            "and fail where that fails."
        ),
        good="""
def make_environ(self, request):
    return {**super().make_environ(request), "reference.place": "caf\\u00e9"}
""",
        bad="""
def make_environ(self, request):
    return {**super().make_environ(request), "reference.place": "\\u20ac"}
""",
    ),
    Rule(
        id="E19",
        slug="bytes-are-kept-as-latin-1",
        level=Level.MUST,
        binds=Side.SERVER,
        source=pep3333("Unicode Issues"),
        quote="only the lower 8 bits may be used",
        says="A byte beyond ASCII in a header becomes the character of that number.",
        why="Then no byte is lost, and the application decodes as it knows the content to be.",
        good="""
def read_line(self):
    return super().read_line()
""",
        bad="""
def read_header(self, line):
    name, value = super().read_header(line)
    return name, value.encode("latin-1").decode("ascii", "replace").replace("\\ufffd", "?")
""",
    ),
    Rule(
        id="E20",
        slug="absent-variables-are-left-out",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote="should be left out of the environ dictionary",
        says="A variable that has no meaning for the request is left out, and not set to an empty string.",
        why='Applications ask `"REMOTE_USER" in environ`.',
        good="""
def make_request_variables(self, request):
    return super().make_request_variables(request)
""",
        bad="""
def make_request_variables(self, request):
    return {"REMOTE_USER": "", **super().make_request_variables(request)}
""",
    ),
    Rule(
        id="E21",
        slug="remote-address",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote="as many other CGI variables as are applicable",
        says="REMOTE_ADDR is the address of the client.",
        why="Logs, limits and blocks go by it.",
        good="""
def make_request_variables(self, request):
    return {**super().make_request_variables(request), "REMOTE_HOST": self.peer[0]}
""",
        bad="""
def make_request_variables(self, request):
    return {**super().make_request_variables(request), "REMOTE_ADDR": "0.0.0.0"}
""",
    ),
    Rule(
        id="E22",
        slug="wsgi-version",
        level=Level.MUST,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote="The tuple (1, 0)",
        says="wsgi.version is the tuple (1, 0).",
        why="Code that knows several versions compares tuples.",
        good="""
def make_environ(self, request):
    return {**super().make_environ(request), "wsgi.version": (1, 0)}
""",
        bad="""
def make_environ(self, request):
    return {**super().make_environ(request), "wsgi.version": [1, 0]}
""",
    ),
    Rule(
        id="E23",
        slug="url-scheme",
        level=Level.MUST,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote='the "scheme" portion of the URL',
        says='wsgi.url_scheme is "http", and "https" where TLS is spoken.',
        why="Redirects, cookies and links are made with it.",
        good="""
def make_environ(self, request):
    return {**super().make_environ(request), "wsgi.url_scheme": "http"}
""",
        bad="""
def make_environ(self, request):
    return {**super().make_environ(request), "wsgi.url_scheme": "HTTP"}
""",
    ),
    Rule(
        id="E24",
        slug="tls-variables",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote="such as HTTPS=on and SSL_PROTOCOL",
        says="Where TLS is spoken, HTTPS is `on`.",
        why="Code that was written for CGI looks at it before it trusts that nobody listens.",
    ),
    Rule(
        id="E25",
        slug="server-variables-have-a-prefix",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote="a name that is unique to the defining server",
        says="The server's own variables are named in lower case, with a prefix before a dot.",
        why="A name without one collides with the variables of middleware and of other servers.",
        good="""
def make_environ(self, request):
    return {**super().make_environ(request), "reference.serving": self.serving}
""",
        bad="""
def make_environ(self, request):
    return {**super().make_environ(request), "Reference.Serving": self.serving}
""",
    ),
    Rule(
        id="E26",
        slug="wsgi-variables-are-present",
        level=Level.MUST,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote="must contain the following WSGI-defined variables",
        says="wsgi.multithread, wsgi.multiprocess and wsgi.run_once are there.",
        why="Applications read them without asking first whether they are there.",
        good="""
def make_environ(self, request):
    return {**super().make_environ(request), "wsgi.run_once": 0}
""",
        bad="""
def make_environ(self, request):
    environ = super().make_environ(request)
    del environ["wsgi.run_once"]
    return environ
""",
    ),
    Rule(
        id="E27",
        slug="absolute-form-has-a-path",
        level=Level.MUST,
        binds=Side.SERVER,
        source=rfc(9112, "3.2.2"),
        quote="A server MUST accept the absolute-form in requests",
        says="Of a request target that is a whole URL, PATH_INFO is the path only.",
        why="Clients of a proxy send such targets, and proxies pass them on.",
        profiles=_HTTP,
        good="""
def make_request_variables(self, request):
    return {**super().make_request_variables(request), "REQUEST_URI": request.target}
""",
        bad="""
def make_request_variables(self, request):
    variables = super().make_request_variables(request)
    if request.target.startswith("http://"):
        variables["PATH_INFO"] = request.target.partition("?")[0]
    return variables
""",
    ),
    Rule(
        id="E28",
        slug="variables-are-documented",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote="should document what variables it provides",
        says="The server's documentation tells which variables it provides.",
        why="Whoever uses one that is not portable should know that.",
        untestable="No program reads a manual and tells whether it is complete.",
    ),
    Rule(
        id="E29",
        slug="deployers-can-add-variables",
        level=Level.SHOULD,
        binds=Side.SERVER,
        source=pep3333("Application Configuration"),
        quote="to specify name-value pairs to be placed in environ",
        says="Whoever deploys an application can have pairs of name and value put into the environ.",
        why="It is the one way of configuration that every server could have.",
        untestable="How it is done is each server's own: an option, a file, the environment of the process.",
    ),
    Rule(
        id="E30",
        slug="any-callable-will-do",
        level=Level.MUST_NOT,
        binds=Side.SERVER,
        source=pep3333("Specification Overview"),
        quote="Callables are only to be called, not introspected upon",
        says="The application may be a function, a method, a class or an object with `__call__`.",
        why="Frameworks offer each of these.",
        untestable=(
            "A running server has one application object. The probe's is a function that takes any "
            "arguments; whether another kind would do shows only when the server is started with it."
        ),
    ),
)

CASES.attach_to(RULES)
