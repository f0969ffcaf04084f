"""Serves an application with the reference server, as a command: `HOW HOST PORT MODULE ATTRIBUTE`.

HOW is `plain`; `silent-prefork` or `prefork`: two processes, of which wsgi.multiprocess tells or not;
`fragile`: the process ends when it gets a DELETE.
"""

import importlib
import importlib.util
import os
import socket
import sys
from pathlib import Path

spec = importlib.util.spec_from_file_location(
    "reference", Path(__file__).with_name("broken") / "reference.py"
)
reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reference)


class Prefork(reference.Reference):
    def make_environ(self, request):
        return {**super().make_environ(request), "wsgi.multiprocess": True}


class Fragile(reference.Reference):
    def answer(self, request):
        if request.method == "DELETE":
            os._exit(3)
        return super().answer(request)


CLASSES = {"prefork": Prefork, "fragile": Fragile}


class Inherited(reference.Serving):
    """Serves on a listener that is there already."""

    def __init__(self, connection_class, application, listener):
        super().__init__(connection_class, application)
        self.listener = listener
        self.address = listener.getsockname()
        self.log = StandardError()


class StandardError(reference.Log):
    def write(self, text):
        sys.stderr.write(text)
        sys.stderr.flush()
        return len(text)


def main(how, host, port, module, attribute):
    application = getattr(importlib.import_module(module), attribute)
    listener = socket.create_server((host, int(port)), backlog=64)
    if how.endswith("prefork"):
        os.fork()  # both accept from the same socket
    serving = Inherited(CLASSES.get(how, reference.Reference), application, listener)
    serving.accept()


if __name__ == "__main__":
    main(*sys.argv[1:])
