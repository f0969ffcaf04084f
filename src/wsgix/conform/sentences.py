"""Every sentence of PEP 3333 that obliges, allows or forbids, and the rules that hold it: coverage as data.

A sentence is known by its section, its first words and a digest of it (eight hexadecimal digits of SHA-256,
white space normalised); the text itself is no part of this project. `tools/normative_sentences.py` finds the
candidates, a test demands that each stands here, and docs/rules/coverage.md shows it. It names rules by their
IDs, and imports none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Sentence(NamedTuple):
    """One sentence.

    Attributes:
        section: the title of the section in which it stands.
        digest: stands for the whole sentence.
        opening: its first words, at most eight.
        rules: the IDs of the rules that hold it, whole or in part.
        reason: why no rule holds it; empty where one does.
    """

    section: str
    digest: str
    opening: str
    rules: tuple[str, ...]
    reason: str


class _Row(NamedTuple):
    """A sentence below the title of its section; the IDs of its rules with spaces between them."""

    digest: str
    opening: str
    rules: str = ""
    reason: str = ""


_WHY: Final = "It gives a reason or background."
_REF: Final = "It points to another place, where the rule stands."
_TERM: Final = "It says what a word means."
_EXAMPLE: Final = "It is an example."
_FREE: Final = "It leaves the choice to those who implement it; neither choice can be wrong."
_HISTORY: Final = "It is about the standard and its history, and not about what complies with it."
_OLD: Final = "It is about Python older than 2.2."
_DEPLOY: Final = "It is about people who deploy applications."
_QA: Final = "It explains in the questions and answers what is ruled elsewhere."

_SECTIONS: Final[Mapping[str, Sequence[_Row]]] = {
    "Preface for Readers of PEP 333": (
        _Row("3dc2549c", "While for procedural reasons [6]_, this must be", reason=_HISTORY),
        _Row("2628ea16", "Under Python 3, however, your app or server", reason=_HISTORY),
        _Row("b21463d2", "For detailed, line-by-line diffs between this document and", reason=_HISTORY),
    ),
    "Original Rationale and Goals (from PEP 333)": (
        _Row("11cd62d2", "Server and framework authors and maintainers must actually", reason=_HISTORY),
        _Row("47feb15a", "Thus, WSGI **must** be easy to implement, so", reason=_HISTORY),
        _Row("1b96aeb4", "Therefore, new standard library modules are not proposed", reason=_HISTORY),
        _Row("574e6010", "In addition to ease of implementation for existing", reason=_HISTORY),
        _Row("bb1fefcd", "Indeed, existing framework authors may even choose to", reason=_HISTORY),
        _Row("e407526f", "Finally, it should be mentioned that the current", reason=_HISTORY),
        _Row("2dc3ad75", "After a sufficient number of servers and frameworks", reason=_HISTORY),
    ),
    "Specification Overview": (
        _Row("268ae2de", "It is assumed that some servers or gateways", reason=_DEPLOY),
        _Row("3cb8880e", "Other servers and gateways may use configuration files", reason=_FREE),
        _Row("e20125bb", "Throughout this specification, we will use the term", "A5 E30"),
        _Row("d6dfbacb", "It is up to the server, gateway, or", reason=_FREE),
        _Row("37ccd846", "Conversely, a server, gateway, or application that is", "A5 E30"),
        _Row("1af8b060", "Callables are only to be called, not introspected", "A5 E30"),
    ),
    "A Note On String Types": (
        _Row("df59f69f", "This requires a careful balance between a usable", reason=_WHY),
        _Row("a72bf2a2", '"Native" strings (which are always implemented using the', "H1 H8 E17"),
        _Row("496846e6", '"Bytestrings" (which are implemented using the ``bytes`` type', "B1 B2 S2 S11"),
        _Row("0f07c47c", "Do not be confused however: even if Python's", "H12 E18"),
        _Row("ce709a34", 'In short: where you see the word "string"', "H1 H8 E17"),
        _Row("dcd1af28", 'Where you see references to "bytestring", this should', reason=_TERM),
    ),
    "The Application/Framework Side": (
        _Row("74a69148", "The application object is simply a callable object", "A1"),
        _Row("61ab67f0", 'The term "object" should not be misconstrued as', "E30"),
        _Row("8fd7b146", "Application objects must be able to be invoked", "A2"),
        _Row("ac451831", "(Note: although we refer to it as an", reason=_WHY),
    ),
    "The Server/Gateway Side": (
        _Row("a565dee8", "The server or gateway invokes the application callable", "E1 C11"),
    ),
    "Middleware: Components that Play Both Sides": (
        _Row("a0c01641", "Note that a single object may play the", reason=_TERM),
        _Row("20f26760", "The presence of middleware in general is transparent", reason=_WHY),
        _Row("ce25b5c1", 'Of course, the "application" that the middleware wraps', reason=_TERM),
        _Row("7bfe71e5", "For the most part, middleware must conform to", "M1"),
        _Row("669f3b23", "In some cases, however, requirements for middleware are", "M2 M3 M4 M5"),
        _Row("84fee172", '(Note: a "real" middleware component would probably use', reason=_EXAMPLE),
    ),
    "Specification Details": (
        _Row("c4aa0a41", "The application object must accept two positional arguments.", "A1"),
        _Row("24412f00", "For the sake of illustration, we have named", "E1"),
        _Row("f76dee6a", "A server or gateway **must** invoke the application", "E1"),
        _Row("9d706ccb", "The ``environ`` parameter is a dictionary object, containing", "E2"),
        _Row("cce7c9c5", "This object **must** be a builtin Python dictionary", "I9 E2 E3"),
        _Row("979a9ed5", "The dictionary must also include certain WSGI-required variables", "E25 E26"),
        _Row("b05c1fa5", "The ``start_response`` parameter is a callable accepting two", "A4 R1 R4"),
        _Row("c672aa3a", "For the sake of illustration, we have named", "A4"),
        _Row("1860fc17", "The ``status`` parameter is a status string of", "H2 H6 H7"),
        _Row("0e482cf6", "The optional ``exc_info`` parameter is described below in", "H16"),
        _Row("d2c3fe07", "It is used only when the application has", "H17"),
        _Row(
            "aeb0215b", "The ``start_response`` callable must return a ``write(body_data)`` callable", "B3 R1"
        ),
        _Row("323a1f44", "(Note: the ``write()`` callable is provided only to", "B5"),
        _Row("616b4c9f", "When called by the server, the application object", "A9 B1 R20 R21"),
        _Row("99852c49", "Regardless of how it is accomplished, the application", "A9 B1 R20 R21"),
        _Row("0eb9a7bb", "The server or gateway must transmit the yielded", "R15"),
        _Row("b91bba27", "(In other words, applications **should** perform their own", "B11"),
        _Row("58dacf8e", "See the `Buffering and Streaming`_ section below for", reason=_REF),
        _Row("b2a9e88a", "The server or gateway should treat the yielded", "R24"),
        _Row("b408a4e8", "The application is responsible for ensuring that the", "B15"),
        _Row("164e013b", "(The server or gateway **may** apply HTTP transfer", "R25 P14"),
        _Row("ae7ca060", "If a call to ``len(iterable)`` succeeds, the server", "A11 R23"),
        _Row("66b112e0", "That is, if the iterable returned by the", "A11"),
        _Row("011d9adf", "If the iterable returned by the application has", "M7 C1 C2 C3 C4 C5 C6"),
        _Row("cd2ad799", "Applications returning a generator or other custom iterator", "A12"),
        _Row("449fd8b3", "(Note: the application **must** invoke the ``start_response()`` callable", "A6 A7"),
        _Row("177fe6d2", "However, this invocation **may** be performed by the", "A8 R19"),
        _Row("e0887764", "Finally, servers and gateways **must not** directly use", "R22"),
        _Row("c9f8c246", "In the general case, only attributes specified here,", "R22"),
    ),
    "environ Variables": (
        _Row("5503e1a4", "The ``environ`` dictionary is required to contain these", "E4 E5 E7 E8 E9 E10 E12"),
        _Row(
            "60a994a9", "The following variables **must** be present, unless their", "E4 E5 E7 E8 E9 E10 E12"
        ),
        _Row("85bd3c9a", '``REQUEST_METHOD`` The HTTP request method, such as ``"GET"``', "E4"),
        _Row("e34ba0f6", "This cannot ever be an empty string, and", "E4"),
        _Row("a0efe34b", "``SCRIPT_NAME`` The initial portion of the request URL's", "E5"),
        _Row("c512b6f8", "This **may** be an empty string, if the", "I13"),
        _Row("c7bb6cc8", """``PATH_INFO`` The remainder of the request URL's "path",""", "E5 E6"),
        _Row("5e195e7a", "This **may** be an empty string, if the", "I13"),
        _Row("bf9a6263", "``QUERY_STRING`` The portion of the request URL that", "E7"),
        _Row("952abfa0", "May be empty or absent.", "I7 I13"),
        _Row("dfe7f5a4", "``CONTENT_TYPE`` The contents of any ``Content-Type`` fields in", "E8"),
        _Row("853b222d", "``CONTENT_LENGTH`` The contents of any ``Content-Length`` fields in", "E9"),
        _Row("b5a77ab7", "``SERVER_NAME``, ``SERVER_PORT`` When ``HTTP_HOST`` is not set, these", "A23 E10"),
        _Row("0d712790", "``SERVER_NAME`` and ``SERVER_PORT`` are required strings and must", "E10"),
        _Row("09ec1dee", "``SERVER_PROTOCOL`` The version of the protocol the client", "E12"),
        _Row("3c0a0d09", 'Typically this will be something like ``"HTTP/1.0"`` or', "E12"),
        _Row("932601d7", "(This variable should probably be called ``REQUEST_PROTOCOL``, since", reason=_WHY),
        _Row("0fabb03d", "However, for compatibility with CGI we have to", reason=_WHY),
        _Row("dbafec95", "``HTTP_`` Variables Variables corresponding to the client-supplied HTTP", "E13"),
        _Row("ac8e7c2d", "The presence or absence of these variables should", "E13"),
        _Row("d9fd54d9", "A server or gateway **should** attempt to provide", "E21"),
        _Row("dfed7345", "In addition, if SSL is in use, the", "E24"),
        _Row("36204646", "Note, however, that an application that uses any", "I7"),
        _Row("b4bc1c3b", "A WSGI-compliant server or gateway **should** document what", "E28"),
        _Row("647dcfad", "Applications **should** check for the presence of any", "I7"),
        _Row("c9841a14", "Note: missing variables (such as ``REMOTE_USER`` when no", "E20"),
        _Row("6620b71b", "Also note that CGI-defined variables must be native", "E17"),
        _Row("af6a26c0", "It is a violation of this specification for", "E17"),
        _Row("a8f2d6a6", "In addition to the CGI-defined variables, the ``environ``", "E22 E23 E26 E31"),
        _Row("5d2c6c33", "Variable Value ``wsgi.version`` The tuple ``(1, 0)``, representing", "E22"),
        _Row("2037ab74", '``wsgi.url_scheme`` A string representing the "scheme" portion of', "E23"),
        _Row("5f0dbc49", 'Normally, this will have the value ``"http"`` or', "E23"),
        _Row(
            "6ceb937b", "``wsgi.input`` An input stream (file-like object) from which", "S1 S2 S3 S4 S5 S11"
        ),
        _Row("5e213c39", "(The server or gateway may perform reads on-demand", "S16"),
        _Row("166c5c61", "``wsgi.errors`` An output stream (file-like object) to which", "S12 S14"),
        _Row("4b3970c5", 'This should be a "text mode" stream; i.e.,', "I4 I5"),
        _Row("7d104966", "(On platforms where the ``str`` type is unicode,", "S13"),
        _Row("c153ffb5", "For many servers, ``wsgi.errors`` will be the server's", "S14"),
        _Row("6e848ffa", "Alternatively, this may be ``sys.stderr``, or a log", reason=_FREE),
        _Row("e19a6bf7", "The server's documentation should include an explanation of", "S17"),
        _Row("61aa7c47", "A server or gateway may supply different error", reason=_FREE),
        _Row("2ff54e39", "``wsgi.multithread`` This value should evaluate true if the", "C12"),
        _Row("9ad3ae86", "``wsgi.multiprocess`` This value should evaluate true if an", "C13"),
        _Row("8da69155", "``wsgi.run_once`` This value should evaluate true if the", "C14"),
        _Row("008bb720", "Finally, the ``environ`` dictionary may also contain server-defined", "E25"),
        _Row("6d464cc7", "These variables should be named using only lower-case", "E25"),
    ),
    "Input and Error Streams": (
        _Row("5d80b85a", "The input and error streams provided by the", "S1 S2 S3 S4 S5 S11 S12 S14"),
        _Row(
            "e89a5b6a",
            "Method Stream Notes ``read(size)`` ``input`` 1 ``readline()`` ``input``",
            "S1 S2 S3 S4 S5 S11 S12 S14",
        ),
        _Row("8eb014f8", "The semantics of each method are as documented", "S1 S2 S3 S4 S5 S11 S12 S14"),
        _Row("6d7ed722", "The server is not required to read past", "S6"),
        _Row("069fc147", "The application **should not** attempt to read more", "I1"),
        _Row("6f920e6b", "A server **should** allow ``read()`` to be called", "S7"),
        _Row("b3dbfbbb", "A server **should** return empty bytestrings from any", "I11 S8"),
        _Row("337800ec", 'Servers **should** support the optional "size" argument to', "S9"),
        _Row("86a93ab6", "Note that the ``hint`` argument to ``readlines()`` is", "S4"),
        _Row("0569a181", "The application is free not to supply it,", "S4"),
        _Row("a5a2fce5", "Since the ``errors`` stream may not be rewound,", reason=_FREE),
        _Row("c21a1d70", "In this case, the ``flush()`` method may be", reason=_FREE),
        _Row("4b6c7ad1", "Portable applications, however, cannot assume that output is", "I6"),
        _Row("4dfc96dd", "They must call ``flush()`` if they need to", "I6"),
        _Row("1bccabd9", "The methods listed in the table above **must**", "S1 S2 S3 S4 S5 S11 S12 S14"),
        _Row("4a23da99", "Applications conforming to this specification **must not** use", "I2"),
        _Row("5f9f0ab3", "In particular, applications **must not** attempt to close", "I3"),
    ),
    "The start_response() Callable": (
        _Row("002f2814", "The second parameter passed to the application object", "R1 R4"),
        _Row("2ae5b8b0", "(As with all WSGI callables, the arguments must", "A4"),
        _Row("da798fb4", "The ``start_response`` callable is used to begin the", "R1"),
        _Row("6742c515", 'The ``status`` argument is an HTTP "status" string', "H2"),
        _Row("6a453c05", "That is, it is a string consisting of", "H2 H4"),
        _Row("f09cbc08", "The string **must not** contain control characters, and", "H3"),
        _Row("4c679788", "The ``response_headers`` argument is a list of ``(header_name,", "H6 H7 H30"),
        _Row("45f64f82", "It must be a Python list; i.e. ``type(response_headers)", "H6 H29"),
        _Row("1752b6a3", "Each ``header_name`` must be a valid HTTP header", "H9 H10"),
        _Row("f9b190c5", "Each ``header_value`` **must not** include *any* control characters,", "H11"),
        _Row("dfa35fbb", "(These requirements are to minimize the complexity of", reason=_WHY),
        _Row("13c26b3f", "In general, the server or gateway is responsible", "P1"),
        _Row("3c84aa2a", "For example, the HTTP ``Date:`` and ``Server:`` headers", "P1"),
        _Row("eafb5237", "(A reminder for server/gateway authors: HTTP header names", "R12"),
        _Row("e475e602", "Applications and middleware are forbidden from using HTTP/1.1", "H13 M8"),
        _Row("f0d3d08a", "These features are the exclusive province of the", "R11"),
        _Row("78886b43", "Servers **should** check for errors in the headers", "R9"),
        _Row("bb28e6e6", "However, the ``start_response`` callable **must not** actually transmit", "R2 R3"),
        _Row("9e1f94bf", "Instead, it must store them for the server", "R2 R3"),
        _Row("c6f1ec6b", "In other words, response headers must not be", "R2 R3"),
        _Row("0d24213c", "(The only possible exception to this rule is", "R2 R3"),
        _Row("20167bf0", "This delaying of response header transmission is to", reason=_WHY),
        _Row("1f30d503", "For example, the application may need to change", reason=_EXAMPLE),
        _Row("c6fd4196", "The ``exc_info`` argument, if supplied, must be a", "H16"),
        _Row("de8702a3", "This argument should be supplied by the application", "H17"),
        _Row("85fb4c95", "If ``exc_info`` is supplied, and no HTTP headers", "H20 R4"),
        _Row("4fddb273", "However, if ``exc_info`` is provided, and the HTTP", "R5 R6"),
        _Row("847dc12a", "This will re-raise the exception trapped by the", "R5 R6"),
        _Row("5efddf25", "The application **must not** trap any exceptions raised", "H21"),
        _Row("e1feb5eb", "Instead, it should allow such exceptions to propagate", "H21"),
        _Row("dca51b42", "The application **may** call ``start_response`` more than once,", "H19 H20"),
        _Row("65100101", "More precisely, it is a fatal error to", "H19 R7"),
        _Row("5b80ade7", "This includes the case where the first call", "H19 R7"),
        _Row(
            "f16b2bca",
            "Note: servers, gateways, or middleware implementing ``start_response`` **should**",
            "M10 R8",
        ),
    ),
    "Handling the Content-Length Header": (
        _Row("9302d697", "If the application supplies a ``Content-Length`` header, the", "B6 R26 R27 R28"),
        _Row("6a673bcd", "(Of course, if the application does not provide", "B7 R29 R30"),
        _Row("91ace29b", "If the application does not supply a ``Content-Length``", "R31"),
        _Row("f144f2f3", "The simplest of these is to close the", "R31"),
        _Row("ce7616c3", "Under some circumstances, however, the server or gateway", reason=_FREE),
        _Row("2ddf3637", "If the application does *not* call the ``write()``", "R18 R31"),
        _Row("ac20b72b", "And, if the server and client both support", "R25 P14"),
        _Row("307e9fb9", "Note that the server **must** comply fully with", "R25 P14"),
        _Row("384f57dc", "(Note: applications and middleware **must not** apply any", "H14 B10 M8"),
    ),
    "Buffering and Streaming": (
        _Row("054aba32", "The corresponding approach in WSGI is for the", "A10 B11"),
        _Row("122ac186", "This is the recommended approach for the vast", "B11"),
        _Row("a6ab193c", "For large files, however, or for specialized uses", reason=_FREE),
        _Row("e3557d1b", "It's also sometimes the case that part of", reason=_FREE),
        _Row("2b3a5f69", "These blocks may be broken to coincide with", reason=_FREE),
        _Row("0da9969c", "WSGI servers, gateways, and middleware **must not** delay", "M6 R15"),
        _Row("28841ab6", "A server/gateway or middleware may provide this guarantee", "M6 R15"),
        _Row("5ac25938", "This is critical for proper functioning of e.g.", reason=_WHY),
    ),
    "Middleware Handling of Block Boundaries": (
        _Row("27ae3152", "In order to better support asynchronous applications and", "M2"),
        _Row("e4a21792", "If the middleware needs to accumulate more data", "M3"),
        _Row("58da5cfc", "To put this requirement another way, a middleware", "M3"),
        _Row("6a74e85e", "If the middleware cannot yield any other value,", "M3"),
        _Row("ed0345bf", "This requirement ensures that asynchronous applications and servers", reason=_WHY),
        _Row("a2143611", "Note also that this requirement means that middleware", "M4"),
        _Row("055a9cfc", "It is also forbidden for middleware to use", "M5"),
        _Row("70fb1129", "Middleware may only use their parent server's ``write()``", "M5"),
    ),
    "The write() Callable": (
        _Row("ec38615f", "Unfortunately, such APIs cannot be implemented in terms", reason=_WHY),
        _Row("45a7bba2", "New WSGI applications and frameworks **should not** use", "B5"),
        _Row("154740a0", "In general, applications should produce their output via", "B5"),
        _Row("caea35ea", "The ``write()`` callable is returned by the ``start_response()``", "B3 R17"),
        _Row("9a36f044", "In other words, before ``write()`` returns, it must", "R16"),
        _Row("41e3c9fa", "An application **must** return an iterable object, even", "A9"),
        _Row("12459169", "The returned iterable **may** be empty (i.e. yield", "A13 R17 R21"),
        _Row("744d1a8b", "Applications **must not** invoke ``write()`` from within their", "B4 R17"),
    ),
    "Unicode Issues": (
        _Row("e0d1742e", "All encoding/decoding must be handled by the application;", "H1 H8 B1 E17"),
        _Row("faf7a091", "The result of using a ``unicode`` object where", "H1 H8 E17"),
        _Row("30d90b2e", "Note also that strings passed to ``start_response()`` as", "H12"),
        _Row("78f2e12b", "That is, they must either be ISO-8859-1 characters,", "H12"),
        _Row("5337006c", "On Python platforms where the ``str`` or ``StringType``", "H12 I12 E18"),
        _Row("d51a6539", "It is a fatal error for an application", "H12"),
        _Row("fbe0a0d9", "Similarly, servers and gateways **must not** supply strings", "E18"),
        _Row("b51f5b68", "Again, all objects referred to in this specification", "H1 H8 E17"),
        _Row("1bc13b81", "And, even if a given platform allows for", "H12 E18 E19"),
        _Row("73747d79", "For values referred to in this specification as", "B1 B2 S2 S11"),
    ),
    "Error Handling": (
        _Row("aaf88fb7", "In general, applications **should** try to trap their", "A14"),
        _Row("fdc5ad6a", "(It is up to the application to decide", reason=_FREE),
        _Row("e905197d", "However, to display such a message, the application", "A14 R5 R6"),
        _Row("156b0c43", "If no output has been written when an", "R4"),
        _Row("15fad3d2", "However, if any output has already been sent", "R5 R6"),
        _Row("1cf1b8c2", "This exception **should not** be trapped by the", "H21"),
        _Row("58e58c87", "The server or gateway can then trap this", "C10"),
        _Row("f2ff37aa", "Servers **should** trap and log any exception that", "C7 C8 C9"),
        _Row("564549da", "If a partial response has already been written", "C16"),
        _Row("ef5a3051", "Some middleware may wish to provide additional exception", "M11"),
        _Row("eebe0e56", "In such cases, middleware may choose to **not**", "M11"),
        _Row("639fd0f4", "Always provide ``exc_info`` when beginning an error response", "H18"),
        _Row("69c3434f", "Never trap errors raised by ``start_response`` when ``exc_info``", "H21"),
    ),
    "HTTP 1.1 Expect/Continue": (
        _Row("5f66ffda", "Servers and gateways that implement HTTP 1.1 **must**", "P7 P8"),
        _Row("2bf43bef", "This may be done in any of several", "P7 P8"),
        _Row("7d538a67", "Respond to requests containing an ``Expect: 100-continue`` request", "P7 P8"),
        _Row("e8730c1f", "Proceed with the request normally, but provide the", "P7 P8"),
        _Row("19f9ff1d", "The read request must then remain blocked until", "P7 P8"),
        _Row("0b6b7a50", "Wait until the client decides that the server", "P7 P8"),
        _Row("63f1c521", "(This is suboptimal, and is not recommended.)", "P7 P8"),
        _Row("478920ab", "Note that these behavior restrictions do not apply", "P9"),
    ),
    "Other HTTP Features": (
        _Row("600b068c", 'In general, servers and gateways should "play dumb"', "R13 R14"),
        _Row("a67a2f8b", "They should only make changes that do not", "R13 R14"),
        _Row("67dde541", "It is always possible for the application developer", "R13 R14"),
        _Row("ab91888d", "In a sense, a server should consider itself", "R13 R14"),
        _Row("04ca7a58", 'WSGI applications **must not** generate any :rfc:`"hop-by-hop" headers', "H13 I8"),
        _Row("4404b0b4", 'WSGI servers **must** handle any supported inbound "hop-by-hop"', "S10 P18"),
        _Row("b83b958f", "Applying these principles to a variety of HTTP", reason=_FREE),
        _Row("9c02ef22", "However, it is not required to do this,", "B14"),
        _Row("e739621e", "Similarly, a server **may** re-encode or transport-encode an", "H14 B12"),
        _Row("cb199ade", "A server **may** transmit byte ranges of the", reason=_FREE),
        _Row("16013dca", "Again, however, the application **should** perform this function", "B13"),
        _Row("e31540c8", "Note that these restrictions on applications do not", reason=_WHY),
    ),
    "Thread Support": (_Row("33497ee9", "Servers that can run multiple requests in parallel,", "A3 C15"),),
    "Server Extension APIs": (
        _Row("01d95484", "Some server authors may wish to expose more", reason=_FREE),
        _Row("2155ce44", "In the simplest case, this requires nothing more", reason=_WHY),
        _Row("a663a2b9", "Server/gateway developers should *not* assume that nobody will", "X8"),
        _Row("21272546", "So, to provide maximum compatibility, servers and gateways", "X8"),
        _Row("c146015b", "For example, an extension API to access HTTP", "X8"),
        _Row("942fef99", "If the extension API cannot guarantee that it", "X8"),
        _Row("a5e2906b", "Similarly, if an extension API provides an alternate", "X8"),
        _Row("23df9e4f", "If the object passed in is not the", "X8"),
        _Row("2d79c911", "Specifically, such middleware should provide these features as", "M9"),
    ),
    "Application Configuration": (
        _Row("6f7ea1d0", "It is expected that server/gateway authors will document", reason=_DEPLOY),
        _Row("69bf32eb", "Framework authors, on the other hand, should document", "A17"),
        _Row("7668bd41", "The user, who has chosen both the server", reason=_DEPLOY),
        _Row("93cdcb1e", "However, since both the framework and the server", reason=_WHY),
        _Row("ab2f24cd", "Finally, some applications, frameworks, and middleware may wish", "E29"),
        _Row("a8b3510d", "Servers and gateways **should** support this by allowing", "E29"),
        _Row("ebe91fef", "In the simplest case, this support can consist", "E29"),
        _Row("45628407", "Applications **should** try to keep such required variables", "A19"),
        _Row("84d5548f", "Of course, even in the worst case, persons", reason=_WHY),
        _Row("efb93d67", "(Of course, applications should cache such configuration, to", "A18"),
    ),
    "URL Reconstruction": (
        _Row("5c8184cb", "If an application wishes to reconstruct a request's", "A23"),
        _Row("93652288", "Note that such a reconstructed URL may not", reason=_WHY),
        _Row("9cecb1f7", "Server rewrite rules, for example, may have modified", reason=_WHY),
    ),
    "Supporting Older (<2.2) Versions of Python": (
        _Row("1da50f53", "Some servers, gateways, or applications may wish to", reason=_OLD),
        _Row("45fd3ce5", "For servers and gateways, this is relatively straightforward:", reason=_OLD),
        _Row("b327331a", "You may not return a file object and", "A15 A16"),
        _Row("e6d03f96", "(In general, you shouldn't do this anyway, because", "A15"),
        _Row("7ca4bf81", "(See `Optional Platform-Specific File Handling`_ for more on", reason=_REF),
        _Row("0321fd3a", "If you return a custom iterable, it **must**", "A16"),
        _Row("1b7b472f", "That is, provide a ``__getitem__`` method that accepts", "A16"),
        _Row("2ddfd78d", "Finally, middleware that wishes to support pre-2.2 versions", "A16"),
        _Row("a4ec46d0", "(Note: It should go without saying that to", reason=_OLD),
    ),
    "Optional Platform-Specific File Handling": (
        _Row("3f2f07ab", "Servers and gateways **may** expose this functionality via", "X1"),
        _Row("876be9e5", 'An application **may** use this "file wrapper" to', "A20"),
        _Row("a074fb2f", "If the server or gateway supplies ``wsgi.file_wrapper``, it", "A21 X1"),
        _Row("9a67cc04", "The first parameter is the file-like object to", "A21 X1"),
        _Row("d2396a59", "The callable **must** return an iterable object, and", "X2 X3"),
        _Row("03f1cccc", 'To be considered "file-like", the object supplied by', "A22"),
        _Row("120c9444", "It **may** have a ``close()`` method, and if", "X5"),
        _Row("b65c789a", 'If the "file-like" object has any other methods', "X4"),
        _Row("ffb6c84b", "The actual implementation of any platform-specific file handling", "X3"),
        _Row("3ea9b55b", "Apart from the handling of ``close()``, the semantics", "X6 X7"),
        _Row("84a3e736", "In other words, transmission should begin at the", "X6 X7"),
        _Row("22c90b6d", "(If the application doesn't supply a ``Content-Length``, the", "X19"),
        _Row("51cb92ce", "Therefore, a ``wsgi.file_wrapper`` has to introspect the supplied", "X4"),
        _Row("c1daf076", "Note that even if the object is *not*", "X2 X4"),
    ),
    "Questions and Answers": (
        _Row("1dc52e56", "Why must ``environ`` be a dictionary?", reason=_QA),
        _Row("2050dbd4", "This is the recommended approach for offering any", reason=_QA),
        _Row("8e1297d8", "Shouldn't we pick just one way?", reason=_QA),
        _Row("eeb14077", "Thus, this compromise allows an application framework to", reason=_QA),
        _Row("af0bfdaa", "If you want these features, you need to", reason=_QA),
        _Row("6dacd69a", "And if that framework lets you create a", reason=_QA),
        _Row("ed8d7d3e", "Also, some WSGI servers may offer additional services", reason=_QA),
        _Row("32eed8ff", "As for mixing them with WSGI variables, separating", reason=_QA),
        _Row("45dfbda1", "So, on balance it seems better to make", reason=_QA),
        _Row("d1195239", "Because it's merely a suggestion to the application", reason=_QA),
        _Row("5fbe0c79", 'In a "multiple run" mode, such frameworks may', reason=_QA),
        _Row("4d9360cd", 'In "single run" mode, such frameworks avoid preloading', reason=_QA),
        _Row("eac486e8", "However, in order to test an application or", "A2"),
        _Row("b0bf6312", "Therefore, an application should not assume that it", "A2"),
        _Row("40a148e7", 'In essence, middleware wants to have a "Chain', reason=_QA),
        _Row("a37018cb", "For example, one must use ``__getattr__`` or ``__getattribute__``", reason=_QA),
        _Row("05b85174", "Further, this necessary boilerplate would be pure excise,", reason=_QA),
    ),
    "Proposed/Under Discussion": (
        _Row("4d8571bb", "Should ``wsgi.input`` be an iterator instead of a", reason=_HISTORY),
        _Row("4e0650c1", "Optional extensions are being discussed for pausing iteration", reason=_HISTORY),
    ),
    "Acknowledgements": (
        _Row(
            "e33a6d45", "Alan Kennedy, whose courageous attempts to implement WSGI-on-Jython", reason=_HISTORY
        ),
    ),
}

SENTENCES: Final = tuple(
    Sentence(section, row.digest, row.opening, tuple(row.rules.split()), row.reason)
    for section, rows in _SECTIONS.items()
    for row in rows
)
