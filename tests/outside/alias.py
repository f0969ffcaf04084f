"""Runs a program to which `wsgiref` is wsgix: every form of the import gives wsgix's own module objects.

    python alias.py [--evidence FILE] -m MODULE [ARGUMENT ...]
    python alias.py [--evidence FILE] SCRIPT [ARGUMENT ...]

Tests start it as a process, so that nothing of the alias reaches their own. With --evidence it writes, when
the program ends, which modules stood under the alias and which files of the stdlib's wsgiref were opened.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import runpy
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

FACES = ("util", "headers", "types", "handlers", "simple_server", "validate")
STDLIB_WSGIREF = Path(sysconfig.get_path("stdlib"), "wsgiref").resolve()

opened: list[str] = []


class _NothingElse(importlib.abc.MetaPathFinder):
    """Refuses `wsgiref.other`: wsgix's path, which the alias shows, would give a second `wsgix.other`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] == "wsgiref":
            raise ModuleNotFoundError(f"No module named {fullname!r} (wsgiref is wsgix here)", name=fullname)
        return None


def _note_open(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and isinstance(arguments[0], str) and "wsgiref" in arguments[0]:
        opened.append(arguments[0])


def install() -> None:
    """Put wsgix in the place of wsgiref, for all imports of this process to come."""
    if "wsgiref" in sys.modules:
        raise RuntimeError("wsgiref is already imported: the alias would not reach who holds it")
    sys.addaudithook(_note_open)
    sys.meta_path.insert(0, _NothingElse())
    sys.modules["wsgiref"] = importlib.import_module("wsgix")
    for face in FACES:
        sys.modules[f"wsgiref.{face}"] = importlib.import_module(f"wsgix.{face}")


def evidence() -> dict[str, object]:
    """Say what the alias gave: alias -> (module's own name, file), and which stdlib files were opened."""
    aliased = {
        name: (module.__name__, module.__file__)
        for name, module in sys.modules.items()
        if name.partition(".")[0] == "wsgiref"
    }
    stdlib_files = [path for path in opened if STDLIB_WSGIREF in Path(path).resolve().parents]
    return {"aliased": aliased, "stdlib_files": stdlib_files}


def main() -> None:
    """Read the command line, install the alias, run the program as `__main__`."""
    arguments = sys.argv[1:]
    report = None
    if arguments[0] == "--evidence":
        report = Path(arguments[1])
        del arguments[:2]
    install()
    try:
        if arguments[0] == "-m":
            sys.argv[:] = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv[:] = arguments
            sys.path.insert(0, str(Path(arguments[0]).parent))
            runpy.run_path(arguments[0], run_name="__main__")
    finally:
        if report is not None:
            report.write_text(json.dumps(evidence()), encoding="utf-8")


if __name__ == "__main__":
    main()
