"""Writes the documents that are made from tables of the source.

docs/settings.md is made from `facts.settings`, docs/rules/ from the catalogue of the referee.

`python tools/generate_docs.py` writes them; with `--check` it writes nothing, and fails if one is not what it
would write.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from rule_documents import FOLDER, rule_documents  # noqa: E402

from wsgix.facts.settings import SETTINGS, Kind, Section, Setting  # noqa: E402
from wsgix.server.settings import option_of  # noqa: E402

SETTINGS_HEAD: Final = """\
# Settings

<!-- Made by tools/generate_docs.py from src/wsgix/facts/settings.py: change those, not this. -->

Every setting has one name. It can be given in three ways; the first of these that gives it wins:

1. as an option of `wsgix serve`, with dashes: `--keep-alive-timeout 5m`;
2. as an environment variable of `wsgix serve`, in capitals: `WSGIX_KEEP_ALIVE_TIMEOUT=5m`;
3. the default.

`wsgix.serve` and `wsgix.Server` take settings as keyword arguments, `keep_alive_timeout=300`, and read no
environment.

Where the values are in the plural there may be several: repeat the option, put commas into the variable, pass
a list. An empty variable is not set. A variable that begins with `WSGIX_` and is no setting stops the start,
and so does a wrong value; the message says what is wanted.

A size may end in `k`, `m` or `g`, for KiB, MiB and GiB, as in `64k`; a time in `ms`, `s`, `m` or `h`, as in
`250ms`. A switch is `--name` or `--no-name`; its variable is `on` or `off`.

The relative path of a file starts at the directory in which the server was started, or `wsgix.Server` made;
the application may go elsewhere.
"""

SETTINGS_NOTES: Final[Mapping[Section, str]] = {
    Section.ADDRESSES: """\
`localhost:8000` and other names that stand for several addresses listen on all of them that the machine has.
`*:8000` and `:8000` listen on every address, IPv4 and IPv6.

The file of a Unix socket gets its mode and owner before anybody can connect. A file that a server left behind
is replaced. One that a server listens on, a file of another kind and a symbolic link are not touched: the
start fails.

`fd://N` takes over a listening socket that the parent process opened, of TCP or Unix. Without `--bind` and
`WSGIX_BIND`, `wsgix serve` takes the sockets that systemd passes on (`LISTEN_FDS`).
""",
    Section.TIMES: """\
Head, content and handshake have deadlines for the whole of them: a client that sends a byte now and then
gains nothing. They are looked at once a second.
""",
    Section.TLS: """\
With several certificates, the client's SNI chooses; give as many keyfiles as certfiles, or none.
""",
    Section.PROXIES: """\
Nobody is trusted until networks are given. `proxy_protocol` and `proxy_protocol_from` go together.
""",
    Section.LOGS: """\
`--access-log` alone is standard output; `--no-access-log` is off. What follows `--access-log` is taken for
the file: put it behind the application, or write `--access-log=FILE`.
""",
}


TABLE_HEAD: Final = """\
| Option | Default | Values | Unit | Meaning |
| --- | --- | --- | --- | --- |
"""

VALUES: Final[Mapping[Kind, str]] = {
    Kind.SWITCH: "on, off",
    Kind.OWNER: "an owner, none",
    Kind.FILE: "a file, none",
    Kind.LOG: "a file, -, off",
}
SEVERAL: Final[Mapping[Kind, str]] = {
    Kind.ADDRESS: "addresses",
    Kind.FILE: "files, none",
    Kind.NETWORK: "networks, none",
}


def settings_document() -> str:
    """Return docs/settings.md."""
    parts = [SETTINGS_HEAD]
    for section in Section:
        rows = [settings_row(row) for row in SETTINGS if row.section is section]
        parts.append(f"## {section.value}\n")
        parts.append(TABLE_HEAD + "".join(rows))
        if section in SETTINGS_NOTES:
            parts.append(SETTINGS_NOTES[section])
    return "\n".join(parts)


def settings_row(row: Setting) -> str:
    """Return the line of one setting."""
    meaning = row.meaning[0].upper() + row.meaning[1:].replace("*", r"\*")
    cells = f"`{option_of(row.name)}`", f"`{row.default}`", values(row), row.unit, f"{meaning}."
    return f"| {' | '.join(cells)} |\n"


def values(row: Setting) -> str:
    """Say in a word or two what a setting may be."""
    if row.least:
        return f"{row.least} to {row.most}"
    if row.choices:
        return ", ".join(row.choices) + (", a text" if row.kind is Kind.FORMAT else "")
    if row.several:
        return SEVERAL[row.kind]
    return VALUES[row.kind]


def documents() -> dict[str, str]:
    """Return the text of each document, by its path in the project."""
    return {"docs/settings.md": settings_document(), **rule_documents()}


def main(arguments: list[str]) -> int:
    """Write the documents, or compare them; 0 when they are as they should be."""
    made = documents()
    # All that lies in the folder of the rules was made here once; a page may have lost its rule.
    left_over = [path for path in (ROOT / FOLDER).glob("*") if path.relative_to(ROOT).as_posix() not in made]
    if arguments != ["--check"]:
        (ROOT / FOLDER).mkdir(exist_ok=True)
        for name, text in made.items():
            (ROOT / name).write_text(text, encoding="utf-8")
        for path in left_over:
            path.unlink()
        return 0
    faults = [name for name, text in made.items() if _content(ROOT / name) != text]
    faults += [path.relative_to(ROOT).as_posix() for path in left_over]
    for name in faults:
        print(f"{name} is not what its tables say; run python tools/generate_docs.py")
    return 1 if faults else 0


def _content(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
