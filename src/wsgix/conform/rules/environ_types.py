"""Chapter E, continued: types, names and further variables of the environ, E16 to E31."""

from __future__ import annotations

from typing import Final

from wsgix.conform.rule import Level, Profile, Rule, Side
from wsgix.conform.rules.sources import VALIDATE, pep3333, rfc

_HTTP: Final = frozenset({Profile.HTTP})

RULES: Final = (
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
        why=(
            'Applications ask `"REMOTE_USER" in environ` to learn whether somebody has logged in. An '
            "empty variable says yes, and the application takes nobody for a user."
        ),
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
        why=(
            "Logs, limits and blocks go by the client's address. Where it is missing or wrong, they hit "
            "everybody or nobody."
        ),
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
        why=(
            "Code that knows several versions compares tuples. A list, a string or another number sends "
            "it into the wrong branch, or into an error."
        ),
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
        why=(
            "Redirects, cookies and links are made with it. A wrong scheme sends clients in circles, or "
            "their cookies over a connection that others can read."
        ),
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
        why=(
            "Frameworks offer each of these. A server that asks for a function, or calls what it gets in "
            "another way, shuts some of them out."
        ),
        untestable=(
            "A running server has one application object. The probe's is a function that takes any "
            "arguments; whether another kind would do shows only when the server is started with it."
        ),
    ),
    Rule(
        id="E31",
        slug="system-environment-may-be-included",
        level=Level.MAY,
        binds=Side.SERVER,
        source=pep3333("environ Variables"),
        quote='may also contain arbitrary operating-system "environment variables"',
        says="The environ may contain the environment of the process.",
        why=(
            "Deployers configure applications by it; it also hands secrets to whatever prints the environ. "
            "The report tells whether it is there."
        ),
    ),
)
