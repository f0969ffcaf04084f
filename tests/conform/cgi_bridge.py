"""A web server's half of CGI, as an application: starts a program for each request, and streams what it says.

With `broken.reference.Reference` before it, this is a web server that runs `wsgix.handlers.CGIHandler`, so
that the probe can ask the application behind it.
"""

import contextlib
import os
import subprocess
import sys

PROGRAM = """
import os
from wsgix.conform.probe_app import app
from wsgix.handlers import CGIHandler
CGIHandler().run(app)
"""


class Output:
    """What the program writes after its head, as it comes; the program ends when nobody wants it any more."""

    def __init__(self, process):
        self.process = process

    def __iter__(self):
        while block := self.process.stdout.read1(65536):
            yield block
        if self.process.wait() != 0:
            raise RuntimeError("the program failed")

    def close(self):
        # The program finds its output closed, and ends its request for that.
        self.process.stdout.close()
        self.process.wait()


class Bridge:
    """Runs the program for each request. `log` takes what it writes to standard error."""

    def __init__(self, log_path):
        self.log_path = log_path

    def __call__(self, environ, start_response):
        content = environ["wsgi.input"].read()
        variables = {key: value for key, value in environ.items() if "." not in key}
        encoded = {os.fsencode(key): value.encode("latin-1") for key, value in variables.items()}
        encoded[b"PYTHONPATH"] = os.fsencode(os.pathsep.join(sys.path))
        encoded[b"WSGI_PROBE_FOLDER"] = os.fsencode(os.environ["WSGI_PROBE_FOLDER"])
        if environ.get("HTTP_TRANSFER_ENCODING"):
            # "If the server decodes, it MUST set CONTENT_LENGTH" (RFC 3875, 4.1.2, in its sense).
            encoded[b"CONTENT_LENGTH"] = str(len(content)).encode()
        with open(self.log_path, "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM],
                env=encoded,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(content)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        output = Output(process)
        try:
            self.start(process, start_response)
        except BaseException:
            output.close()
            raise
        return output

    def start(self, process, start_response):
        head = []
        while (line := process.stdout.readline()).rstrip(b"\r\n"):
            name, _, value = line.rstrip(b"\r\n").decode("latin-1").partition(": ")
            head.append((name, value))
        if not head:
            raise RuntimeError("the program said nothing")
        status = next((value for name, value in head if name == "Status"), "200 OK")
        start_response(status, [pair for pair in head if pair[0] != "Status"])
