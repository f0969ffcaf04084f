"""Functions on a WSGI environ, and the plain file wrapper: the names of `wsgiref.util`.

Anyone may call them. They read what a server has put into an environ; how a request becomes an environ
is no matter of this module.
"""

import posixpath
from io import BytesIO, StringIO
from urllib.parse import quote

from wsgix.core.files import FileWrapper
from wsgix.facts.names import HOP_BY_HOP
from wsgix.types import WSGIEnvironment

__all__ = [
    "FileWrapper",
    "application_uri",
    "guess_scheme",
    "is_hop_by_hop",
    "request_uri",
    "setup_testing_defaults",
    "shift_path_info",
]


def guess_scheme(environ: WSGIEnvironment) -> str:
    """Return "https" if the CGI variable HTTPS says so with "1", "yes" or "on"; else "http".

    For gateways behind CGI or the like, where the web server reports TLS by that variable. Case matters.
    """
    return "https" if environ.get("HTTPS") in ("on", "1", "yes") else "http"


def application_uri(environ: WSGIEnvironment) -> str:
    """Return the URI of the application itself: scheme, authority and SCRIPT_NAME; "/" if that is empty.

    The authority is HTTP_HOST as the client sent it (check it before you trust it), or else SERVER_NAME, in
    brackets if it is an IPv6 address, and SERVER_PORT unless it is the scheme's own.

    Raises:
        KeyError: `wsgi.url_scheme`, or SERVER_NAME or SERVER_PORT where needed, is missing.
        UnicodeEncodeError: SCRIPT_NAME is not latin-1 text.

    Source: PEP 3333, "URL Reconstruction".

    >>> application_uri({"wsgi.url_scheme": "http", "SERVER_NAME": "::1", "SERVER_PORT": "8000"})
    'http://[::1]:8000/'
    """
    return _origin(environ) + _rooted(quote(environ.get("SCRIPT_NAME") or "", encoding="latin-1"))


def request_uri(environ: WSGIEnvironment, include_query: bool = True) -> str:
    """Return the URI of the request: that of the application, then PATH_INFO, then QUERY_STRING if wanted.

    Bytes outside of letters, digits, "_.-~/" (and ";=," in PATH_INFO) are percent-encoded; QUERY_STRING is
    encoded already and taken as it is. Percent-decoding the result gives the bytes that the client meant,
    though not always in the client's spelling.

    Raises:
        KeyError, UnicodeEncodeError: as `application_uri()`, the latter for PATH_INFO too.

    Source: PEP 3333, "URL Reconstruction".

    >>> environ = {"wsgi.url_scheme": "https", "HTTP_HOST": "a.example", "PATH_INFO": "/x y"}
    >>> request_uri(environ)
    'https://a.example/x%20y'
    """
    path_info = environ.get("PATH_INFO", "")
    if path_info == "*":
        # "asterisk-form, the target URI's combined path and query component is empty" (RFC 9112, 3.3)
        path_info = ""
    path = quote(environ.get("SCRIPT_NAME") or "", encoding="latin-1")
    uri = _origin(environ) + _rooted(path + quote(path_info, safe="/;=,", encoding="latin-1"))
    if include_query and (query := environ.get("QUERY_STRING")):
        uri += "?" + query
    return uri


def _origin(environ: WSGIEnvironment) -> str:
    """Return `scheme://authority`, without a path."""
    scheme: str = environ["wsgi.url_scheme"]
    authority: str = environ.get("HTTP_HOST") or ""
    if not authority:
        authority = _uri_host(environ["SERVER_NAME"])
        port: str = environ["SERVER_PORT"]
        if port != ("443" if scheme == "https" else "80"):
            authority += ":" + port
    return scheme + "://" + authority


def _uri_host(name: str) -> str:
    """Spell a SERVER_NAME as the host of a URI: IP-literal = "[" IPv6address "]" (RFC 3986, 3.2.2)."""
    return f"[{name}]" if name and ":" in name and name[0] != "[" else name


def _rooted(path: str) -> str:
    """Keep a path from running into the authority, and make the empty one "/" (RFC 9110, 4.2.3).

    With an authority, "the path component must either be empty or begin with a slash" (RFC 3986, 3.3).
    """
    return path if path.startswith("/") else "/" + path


def shift_path_info(environ: WSGIEnvironment) -> str | None:
    """Move the first segment of PATH_INFO to the end of SCRIPT_NAME, and return it.

    The environ is changed in place, to what the application mounted at that segment expects. Empty segments
    and "." are dropped on the way and ".." climbs, never above the root. Only a trailing slash counts: for a
    PATH_INFO of "/" the segment is "", and SCRIPT_NAME gets a trailing slash, so that "/x" and "/x/" stay
    different. A PATH_INFO that lacks its leading slash is read as if it had one; a SCRIPT_NAME of "/" means
    the root, as the empty one does.

    Returns:
        the segment, as latin-1 text; None if PATH_INFO is empty, or was only "/.".

    Source: the standard library's documentation of `wsgiref.util`.

    >>> environ = {"SCRIPT_NAME": "/foo", "PATH_INFO": "/bar/baz"}
    >>> shift_path_info(environ), environ
    ('bar', {'SCRIPT_NAME': '/foo/bar', 'PATH_INFO': '/baz'})
    """
    path_info: str = environ.get("PATH_INFO", "")
    if not path_info:
        return None

    segments = path_info.removeprefix("/").split("/")
    segments[:-1] = [segment for segment in segments[:-1] if segment and segment != "."]
    name = segments[0]
    segments[0] = ""
    environ["PATH_INFO"] = "/".join(segments)

    script_name: str = environ.get("SCRIPT_NAME", "")
    if script_name == "/":
        script_name = ""  # else normpath would see, and keep, the two leading slashes that POSIX sets apart
    script_name = posixpath.normpath(script_name + "/" + name).removesuffix("/")
    environ["SCRIPT_NAME"] = script_name if name else script_name + "/"
    return None if name == "." else name


def setup_testing_defaults(environ: WSGIEnvironment) -> None:
    """Fill an environ, in place, with what a test needs to call an application.

    Keys that are present are kept, and the ones that depend on them follow: SERVER_PORT and
    `wsgi.url_scheme` follow HTTPS, HTTP_HOST follows SERVER_NAME. The data is fake: not for servers.

    Source: PEP 3333, "environ Variables", names the keys.
    """
    default = environ.setdefault
    server_name = default("SERVER_NAME", "127.0.0.1")
    default("SERVER_PROTOCOL", "HTTP/1.0")
    default("HTTP_HOST", _uri_host(server_name))
    default("REQUEST_METHOD", "GET")
    if "SCRIPT_NAME" not in environ and "PATH_INFO" not in environ:
        environ["SCRIPT_NAME"] = ""
        environ["PATH_INFO"] = "/"

    default("wsgi.version", (1, 0))
    default("wsgi.run_once", 0)
    default("wsgi.multithread", 0)
    default("wsgi.multiprocess", 0)
    default("wsgi.input", BytesIO())
    default("wsgi.errors", StringIO())
    scheme = default("wsgi.url_scheme", guess_scheme(environ))
    if scheme == "http":
        default("SERVER_PORT", "80")
    elif scheme == "https":
        default("SERVER_PORT", "443")


_hoppish = HOP_BY_HOP.__contains__


def is_hop_by_hop(header_name: str) -> bool:
    """Tell whether a field, named in any case, belongs to one connection only (RFC 2616, 13.5.1).

    An application must not send such a field (PEP 3333, "Other HTTP Features"). The list is that of
    RFC 2616 to the letter: it spells "Trailers", so the field `Trailer` is not on it.

    >>> is_hop_by_hop("Keep-Alive"), is_hop_by_hop("Content-Type")
    (True, False)
    """
    return _hoppish(header_name.lower())
