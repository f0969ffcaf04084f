"""What the tests of the command line share: a folder to write applications into."""

import textwrap
from pathlib import Path

import pytest


class Folder:
    """A directory of source files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, source: str) -> Path:
        """Write a file, its folders too."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return path

    def write_app(self, name: str, says: str, *, called: str = "app") -> Path:
        """Write a module with an application that answers *says* and its own `__name__`."""
        return self.write(
            name,
            f"""
            def {called}(environ, start_response):
                start_response("200 OK", [("Content-Type", "text/plain")])
                return [f"{says} {{__name__}}".encode()]
            """,
        )

    def write_asgi(self, name: str) -> Path:
        """Write a module with applications for ASGI, of all kinds."""
        return self.write(
            name,
            """
            import functools

            async def function(scope, receive, send):
                pass

            class Application:
                async def __call__(self, scope, receive, send):
                    pass

                async def method(self, scope, receive, send):
                    pass

            instance = Application()
            create = Application
            partial = functools.partial(function)
            """,
        )


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)
