"""A correct server, as small as PEP 3333 lets one be, to put applications under watch and see what is found.

Only tests of the referee call in. It is not wsgix's: the referee is tried with a player it does not know.
"""

from __future__ import annotations

from io import BytesIO, StringIO
from typing import Any

from wsgix.conform import watch
from wsgix.conform.rule import Judgement, Profile


class FileWrapper:
    """The server's wrapper for files."""

    def __init__(self, file: Any, block_size: int = 8192) -> None:
        self.file = file
        self.block_size = block_size
        if hasattr(file, "close"):
            self.close = file.close

    def __iter__(self) -> Any:
        return iter(lambda: self.file.read(self.block_size), b"")


def make_environ(method: str = "GET", content: bytes = b"", **variables: Any) -> dict[str, Any]:
    """Return the environ of a request as a server gives it; a variable of None is left out."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(content),
        "wsgi.errors": StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
    }
    if content or method == "POST":
        environ["CONTENT_LENGTH"] = str(len(content))
        environ["CONTENT_TYPE"] = "application/x-www-form-urlencoded"
    environ.update(variables)
    return {key: value for key, value in environ.items() if value is not None}


class Response:
    """What came of one call: status, headers, content, and the exception that left the application."""

    def __init__(self) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.content = b""
        self.head_sent = False
        self.error: BaseException | None = None
        self.result: Any = None

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        if exc_info:
            if self.head_sent:
                raise exc_info[1].with_traceback(exc_info[2])
        elif self.status:
            raise RuntimeError("start_response was called before")
        self.status, self.headers = status, headers
        return self.send

    def send(self, data: bytes) -> None:
        if data:
            self.head_sent = True
            self.content += data


def serve(application: Any, environ: dict[str, Any] | None = None) -> Response:
    """Call an application, read and close what it returns, and tell what came of it."""
    response = Response()
    try:
        response.result = result = application(environ or make_environ(), response.start)
        try:
            for block in result:
                response.send(block)
        finally:
            if hasattr(result, "close"):
                result.close()
    except Exception as error:
        response.error = error
    return response


def application_of(source: str, name: str = "example") -> tuple[Any, dict[str, Any]]:
    """Run the source of an example; return its application and the environ that it asks for."""
    space: dict[str, Any] = {"__name__": name}
    exec(compile(source, f"{name}.py", "exec"), space)
    return space["app"], make_environ(space.get("method", "GET"), space.get("content", b""))


def findings(application: Any, environ: dict[str, Any] | None = None, **options: Any) -> list[Judgement]:
    """Serve one request under watch, by default under all profiles; return what was found."""
    found: list[Judgement] = []
    serve(watch(application, **{"profiles": frozenset(Profile), "report": found.append} | options), environ)
    return found


def ids(found: list[Judgement]) -> list[str]:
    """Give the IDs of what was found, in its order."""
    return [judgement.rule.id for judgement in found]
