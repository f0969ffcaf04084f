"""One row for every way to refuse a request: what the client is told and what the log says. A table only.

Everyone may read it. A sentence is fixed text and never repeats what the client sent. Every refusal ends
the connection: after it, nobody knows where the next request would begin (RFC 9112, 9.6 and 11.2).
"""

from typing import Final, NamedTuple


class Refusal(NamedTuple):
    """A request that is answered without the application: `status` line text, body `sentence`, log `word`."""

    status: str
    sentence: str
    word: str


_400: Final = "400 Bad Request"
_413: Final = "413 Content Too Large"
_431: Final = "431 Request Header Fields Too Large"
_501: Final = "501 Not Implemented"

# The message as a whole
INCOMPLETE: Final = Refusal(_400, "The request ended before it was complete.", "incomplete")
BARE_LF: Final = Refusal(_400, "A line must end with CR LF.", "bare-lf")
EMPTY_LINES: Final = Refusal(_400, "Too many empty lines stand before the request line.", "empty-lines")

# The request line
BAD_REQUEST_LINE: Final = Refusal(
    _400,
    "The request line must be a method, a target and a version, with one space between.",
    "bad-request-line",
)
BAD_METHOD: Final = Refusal(_400, "The method is not a token.", "bad-method")
BAD_VERSION: Final = Refusal(_400, "The protocol version is malformed.", "bad-version")
BAD_TARGET: Final = Refusal(_400, "The request target is malformed.", "bad-target")
BAD_PATH: Final = Refusal(_400, "The path holds a character or an escape that is not allowed.", "bad-path")
BAD_QUERY: Final = Refusal(_400, "The query holds a character that is not allowed.", "bad-query")
BAD_AUTHORITY: Final = Refusal(_400, "The authority in the request target is malformed.", "bad-authority")

# Fields
OBS_FOLD: Final = Refusal(_400, "A field line must not begin with white space.", "obs-fold")
NO_COLON: Final = Refusal(_400, "A field line has no colon.", "no-colon")
BAD_FIELD_NAME: Final = Refusal(_400, "A field name is not a token.", "bad-field-name")
BAD_FIELD_VALUE: Final = Refusal(_400, "A field value holds a control character.", "bad-field-value")
UNDERSCORE: Final = Refusal(_400, "A field name holds an underscore.", "underscore")
REPEATED_FIELD: Final = Refusal(_400, "A field that may stand only once is repeated.", "repeated-field")
NO_HOST: Final = Refusal(_400, "The Host field is missing.", "no-host")
BAD_HOST: Final = Refusal(_400, "The Host field is malformed.", "bad-host")

# What a proxy says of its client
NO_PROXY_HEADER: Final = Refusal(_400, "The connection must begin with a PROXY header.", "no-proxy-header")
BAD_PROXY_HEADER: Final = Refusal(_400, "The PROXY header is malformed.", "bad-proxy-header")
BAD_FORWARDED: Final = Refusal(
    _400, "A field that describes the client of a proxy is malformed.", "bad-forwarded"
)

# Framing
BAD_LENGTH: Final = Refusal(_400, "The Content-Length field is malformed.", "bad-length")
BAD_CODING: Final = Refusal(_400, "The Transfer-Encoding field is malformed.", "bad-coding")
NOT_CHUNKED_LAST: Final = Refusal(_400, "The last transfer coding must be chunked.", "not-chunked-last")
CHUNKED_TWICE: Final = Refusal(_400, "The chunked transfer coding is named more than once.", "chunked-twice")
LENGTH_AND_CODING: Final = Refusal(
    _400, "Content-Length and Transfer-Encoding must not stand together.", "length-and-coding"
)
CODING_IN_1_0: Final = Refusal(_400, "HTTP/1.0 has no Transfer-Encoding.", "coding-in-1.0")

# Chunked content
BAD_CHUNK_SIZE: Final = Refusal(_400, "A chunk size is malformed.", "bad-chunk-size")
BAD_CHUNK_EXTENSION: Final = Refusal(_400, "A chunk extension is malformed.", "bad-chunk-extension")
BAD_CHUNK_END: Final = Refusal(_400, "A chunk is not followed by CR LF.", "bad-chunk-end")
CHUNK_OVERHEAD: Final = Refusal(_400, "The chunks carry too much besides content.", "chunk-overhead")
FORBIDDEN_TRAILER: Final = Refusal(_400, "A field stands in the trailer that may not.", "forbidden-trailer")

# Time and size
HEAD_TIMEOUT: Final = Refusal("408 Request Timeout", "The request head took too long.", "head-timeout")
BODY_TIMEOUT: Final = Refusal("408 Request Timeout", "The request content took too long.", "body-timeout")
BODY_TOO_LARGE: Final = Refusal(_413, "The request content is too large.", "body-too-large")
LINE_TOO_LONG: Final = Refusal("414 URI Too Long", "The request line is too long.", "line-too-long")
FIELDS_TOO_LARGE: Final = Refusal(_431, "The header section is too large.", "fields-too-large")
TRAILERS_TOO_LARGE: Final = Refusal(_431, "The trailer section is too large.", "trailers-too-large")

# What this server does not do
UNKNOWN_EXPECTATION: Final = Refusal(
    "417 Expectation Failed", "The only expectation known here is 100-continue.", "unknown-expectation"
)
MISDIRECTED: Final = Refusal(
    "421 Misdirected Request", "The scheme of the request target is not served here.", "misdirected"
)
METHOD_NOT_IMPLEMENTED: Final = Refusal(_501, "The method is not implemented.", "method-not-implemented")
CODING_NOT_IMPLEMENTED: Final = Refusal(
    _501, "The only transfer coding known here is chunked.", "coding-not-implemented"
)
VERSION_NOT_SUPPORTED: Final = Refusal(
    "505 HTTP Version Not Supported", "The only protocol spoken here is HTTP/1.", "version-not-supported"
)

PLAIN_HTTP: Final = Refusal(_400, "This port speaks HTTPS.", "plain-http")

# The server's own failures
INTERNAL_ERROR: Final = Refusal("500 Internal Server Error", "The application failed.", "internal-error")
REQUEST_TIMEOUT: Final = Refusal("504 Gateway Timeout", "The application took too long.", "request-timeout")
OVERLOADED: Final = Refusal("503 Service Unavailable", "The server is busy.", "overloaded")
STORAGE_FULL: Final = Refusal(
    "507 Insufficient Storage", "The request content could not be stored.", "storage-full"
)
