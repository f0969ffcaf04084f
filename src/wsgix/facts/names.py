"""Names that HTTP, CGI and PEP 3333 give to things. Tables only; everyone may read them.

Field names stand in lower case, CGI variables in upper case.
"""

from types import MappingProxyType
from typing import Final

HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailers",
        "transfer-encoding",
        "upgrade",
    }
)
"""Fields that belong to one connection (RFC 2616, 13.5.1, with its spelling "Trailers").

PEP 3333, "Other HTTP Features", forbids them to applications. This is the set of the standard
library; a stricter reader adds `CONNECTION_FIELDS`.
"""

CONNECTION_FIELDS: Final = HOP_BY_HOP | {"proxy-connection", "trailer"}
"""`HOP_BY_HOP` and the two that RFC 9110, 7.6.1 and 6.6.2, tie to a connection as well."""

BODILESS_STATUSES: Final = frozenset({"204", "304"})
"""Final statuses whose responses never have content (RFC 9110, 15.3.5 and 15.4.5).

All of 1xx belongs to them; responses to HEAD are bodiless whatever the status.
"""

UNPREFIXED: Final = MappingProxyType({"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"})
"""The request fields whose CGI variable has no HTTP_ prefix (RFC 3875, 4.1.2 and 4.1.3)."""

SINGLETON_FIELDS: Final = frozenset({"content-length", "content-type", "host"})
"""Request fields that may stand once only: with two, sender and reader can disagree (RFC 9110, 5.3)."""

DROPPED_FIELDS: Final = frozenset({"proxy"})
"""Request fields that never become a CGI variable: HTTP_PROXY configures HTTP clients (RFC 3875, 4.1.18)."""

TRAILER_FORBIDDEN_FIELDS: Final = SINGLETON_FIELDS | frozenset(
    {
        "authorization",
        "cache-control",
        "connection",
        "content-encoding",
        "content-range",
        "cookie",
        "expect",
        "keep-alive",
        "max-forwards",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Fields for framing, routing, authentication, request modifiers or content, which no trailer may hold.

RFC 9110, 6.5.1.
"""

LIST_SEPARATORS: Final = MappingProxyType({"cookie": "; "})
"""What joins the values of a repeated field where it is not `LIST_SEPARATOR` (RFC 6265, 5.4)."""

LIST_SEPARATOR: Final = ","
"""What joins the values of a repeated field (RFC 9110, 5.3)."""

SECRET_RESPONSE_FIELDS: Final = frozenset(
    {
        "authentication-info",
        "location",
        "set-cookie",
        "set-cookie2",
        "www-authenticate",
        "x-csrf-token",
    }
)
"""Response fields whose values no cache shared between connections may hold."""

IMPERSONAL_VARIABLES: Final = frozenset(
    {
        "HTTP_ACCEPT",
        "HTTP_ACCEPT_ENCODING",
        "HTTP_ACCEPT_LANGUAGE",
        "HTTP_CACHE_CONTROL",
        "HTTP_CONNECTION",
        "HTTP_DNT",
        "HTTP_HOST",
        "HTTP_PRAGMA",
        "HTTP_PRIORITY",
        "HTTP_SEC_FETCH_DEST",
        "HTTP_SEC_FETCH_MODE",
        "HTTP_SEC_FETCH_SITE",
        "HTTP_SEC_FETCH_USER",
        "HTTP_UPGRADE_INSECURE_REQUESTS",
        "HTTP_USER_AGENT",
        "HTTP_X_FORWARDED_PROTO",
    }
)
"""Variables of request fields that many users send alike and that hold no secret of theirs."""

TRANSCODED_VARIABLES: Final = frozenset(
    {
        "AUTH_TYPE",
        "CONTENT_LENGTH",
        "CONTENT_TYPE",
        "HTTPS",
        "PATH_INFO",
        "QUERY_STRING",
        "REMOTE_IDENT",
        "REMOTE_USER",
        "REQUEST_METHOD",
        "SCRIPT_NAME",
    }
)
"""CGI variables whose bytes come from the request, so that PEP 3333 wants them as latin-1."""

TRANSCODED_PREFIXES: Final = ("HTTP_", "SSL_")
"""Prefixes of further such variables."""

REDIRECT_PREFIX: Final = "REDIRECT_"
"""What Apache puts before each variable on an internal redirect, once or more."""

RESPONSE_SINGLETON_FIELDS: Final = frozenset(
    {
        "age",
        "content-length",
        "content-location",
        "content-range",
        "content-type",
        "date",
        "etag",
        "expires",
        "last-modified",
        "location",
        "retry-after",
        "server",
    }
)
"""Response fields whose value is no list, so that a sender gives them once (RFC 9110, 5.3)."""

STATUS_FIELDS: Final = MappingProxyType({"401": "www-authenticate", "405": "allow"})
"""Statuses and the field that a response with them must have (RFC 9110, 15.5.2 and 15.5.6)."""
