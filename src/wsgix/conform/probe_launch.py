"""Starts the servers that have no command line: `python probe_launch.py SERVER HOST PORT MODULE ATTRIBUTE`.

It is run as a file, by the interpreter that has the server, and imports nothing of wsgix unless that is the
server. One function a server; `conform.servers` names them.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any


def wsgiref(application: Any, host: str, port: int) -> None:
    """Serve with the standard library, as its documentation shows."""
    importlib.import_module("wsgiref.simple_server").make_server(host, port, application).serve_forever()


def wsgix_simple_server(application: Any, host: str, port: int) -> None:
    """Serve with the face of wsgix that bears the standard library's name, in the same way."""
    importlib.import_module("wsgix.simple_server").make_server(host, port, application).serve_forever()


def bjoern(application: Any, host: str, port: int) -> None:
    """Serve with bjoern."""
    importlib.import_module("bjoern").run(application, host, port)


def fastwsgi(application: Any, host: str, port: int) -> None:
    """Serve with fastwsgi."""
    importlib.import_module("fastwsgi").run(application, host, port)


def fastpysgi(application: Any, host: str, port: int) -> None:
    """Serve with fastpysgi."""
    importlib.import_module("fastpysgi").run(application, host, port)


def cheroot(application: Any, host: str, port: int) -> None:
    """Serve with cheroot."""
    importlib.import_module("cheroot.wsgi").Server((host, port), application).start()


def werkzeug(application: Any, host: str, port: int) -> None:
    """Serve with the development server of werkzeug, with threads."""
    importlib.import_module("werkzeug.serving").run_simple(host, port, application, threaded=True)


def gevent(application: Any, host: str, port: int) -> None:
    """Serve with gevent.pywsgi."""
    importlib.import_module("gevent.pywsgi").WSGIServer((host, port), application).serve_forever()


def eventlet(application: Any, host: str, port: int) -> None:
    """Serve with eventlet.wsgi."""
    listener = importlib.import_module("eventlet").listen((host, port))
    importlib.import_module("eventlet.wsgi").server(listener, application)


def uvicorn_a2wsgi(application: Any, host: str, port: int) -> None:
    """Serve with uvicorn, the application adapted by a2wsgi."""
    adapted = importlib.import_module("a2wsgi").WSGIMiddleware(application)
    importlib.import_module("uvicorn").run(adapted, host=host, port=port)


def main(server: str, host: str, port: str, module: str, attribute: str) -> None:
    """Load the application and serve it."""
    start = globals()[server]
    # These patch the standard library, which their documentation advises to do before anything is imported.
    if server == "gevent":
        importlib.import_module("gevent.monkey").patch_all()
    elif server == "eventlet":
        importlib.import_module("eventlet").monkey_patch()
    application = getattr(importlib.import_module(module), attribute)
    start(application, host, int(port))


if __name__ == "__main__":
    # The folder of this file is no place to import from: a server is called as a module of the same name.
    sys.path.pop(0)
    main(*sys.argv[1:])
