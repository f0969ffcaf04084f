"""wsgix: the library that is `wsgiref`, a server for WSGI applications, and a referee for PEP 3333.

`wsgix.util`, `wsgix.headers`, `wsgix.handlers`, `wsgix.simple_server`, `wsgix.validate` and `wsgix.types`
are the modules of `wsgiref` by name. `serve` and `Server` run an application over HTTP/1.1. `wsgix.conform`
is the referee.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsgix import conform as conform
    from wsgix.server.embedded import Server as Server
    from wsgix.server.embedded import serve as serve

__version__ = "0.1.0"

__all__ = ["Server", "__version__", "serve"]


def __getattr__(name: str) -> Any:
    # The library does not pay for the server: `import wsgix.util` loads no socket.
    if name in ("Server", "serve"):
        from wsgix.server import embedded

        return getattr(embedded, name)
    if name == "conform":
        return importlib.import_module("wsgix.conform")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
