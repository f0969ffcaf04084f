"""The one speller of environ: which `wsgi.*` keys there are and what they may hold.

Pure functions over plain dicts. A codec or a CGI environment brings the request's variables;
this module adds what PEP 3333, "environ Variables", demands of a gateway.
"""

from collections.abc import Callable
from typing import Any, Final

WSGI_VERSION: Final = (1, 0)


def add_wsgi_variables(
    environ: dict[str, Any],
    *,
    input: Any,
    errors: Any,
    url_scheme: str,
    multithread: bool,
    multiprocess: bool,
    run_once: bool,
    file_wrapper: Callable[..., Any] | None,
    version: tuple[int, int] = WSGI_VERSION,
) -> None:
    """Add the `wsgi.*` variables to *environ*, in place.

    Args:
        environ: the CGI variables of a request, or a listener's template of them.
        input: the request content as a binary stream (PEP 3333, "Input and Error Streams").
        errors: the text stream for the application's messages.
        url_scheme: "http" or "https".
        multithread: whether another thread may call the application at the same time.
        multiprocess: whether another process may.
        run_once: whether this process serves only this request.
        file_wrapper: the callable offered as `wsgi.file_wrapper`; None offers none.
        version: the `wsgi.version`, always (1, 0) but for handlers that override it.
    """
    environ["wsgi.version"] = version
    environ["wsgi.input"] = input
    environ["wsgi.errors"] = errors
    environ["wsgi.url_scheme"] = url_scheme
    environ["wsgi.multithread"] = multithread
    environ["wsgi.multiprocess"] = multiprocess
    environ["wsgi.run_once"] = run_once
    if file_wrapper is not None:
        environ["wsgi.file_wrapper"] = file_wrapper
