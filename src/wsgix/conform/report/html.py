"""Reports as one page for a browser: the matrix of rule by subject, each cell opening to its evidence.

The page needs nothing from elsewhere and reads without its script. Everything that came from a subject is
escaped; a policy in the page lets no other script run, should one slip through.
"""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Final, NamedTuple

from wsgix.conform.rule import Judgement, Level, Profile, Report, Rule, Verdict

from .matrix import BANDS, UNDECIDED, Cell, cells_of, rules_of, tally
from .terminal import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MOST_BYTES: Final = 4096
"""What is shown of the bytes of one direction; the JSON has all."""

MOST_BYTES_OF_PASSES: Final = 1024
"""The same where the rule was kept: pages of many subjects consist of these."""

LEAST_OF_A_NOTE: Final = 200
"""So many characters of a note are shown, however few bytes are."""

MANY_SUBJECTS: Final = 4
"""With more than these, the names above the columns stand upright."""


class Mark(NamedTuple):
    """How a verdict looks in a cell: one character, whose meaning the legend tells."""

    sign: str
    meaning: str


MARKS: Final = {
    Verdict.PASS: Mark("✓", "the rule was kept"),
    Verdict.FAIL: Mark("✗", "the rule was broken"),
    Verdict.INFORMATION: Mark("i", "either is allowed; which it does is told"),
    Verdict.SETUP_FAILED: Mark("?", "the subject did not get as far as the question"),
    Verdict.HARNESS_FAILED: Mark("!", "the referee is at fault"),
    Verdict.DEPENDENCY_FAILED: Mark("↑", "a rule that this one builds on was not kept"),
    Verdict.NOT_APPLICABLE: Mark("-", "the subject has not got what the rule is about"),
}

CHAPTER_NAMES: Final = {
    "A": "Applications: how they are called",
    "H": "Applications: the head",
    "B": "Applications: the blocks of content",
    "I": "Applications: environ, input and errors",
    "M": "Middleware",
    "E": "Servers: environ",
    "S": "Servers: input and errors",
    "R": "Servers: responses",
    "C": "Servers: errors, close() and concurrency",
    "P": "Servers: HTTP",
    "X": "Servers: extensions and custom",
}


def render_html(
    reports: Sequence[Report],
    title: str = "WSGI conformance",
    *,
    most_bytes: int = MOST_BYTES,
    most_bytes_of_passes: int = MOST_BYTES_OF_PASSES,
) -> str:
    """Return one HTML document.

    Args:
        reports: what to show, a column each.
        title: heads the page.
        most_bytes: how many bytes of each direction to show as evidence.
        most_bytes_of_passes: the same where the rule was kept.
    """
    limits = dict.fromkeys(Verdict, most_bytes) | {Verdict.PASS: most_bytes_of_passes}
    columns = [_Column(report, f"s{number}", limits) for number, report in enumerate(reports, 1)]
    script = _asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(title)}</title>",
        f"<style>\n{_asset('page.css')}</style>",
        "</head>",
        "<body>",
        f"<header><h1>{_text(title)}</h1>",
        f'<p class="quiet">{_origin(reports)}</p></header>',
        "<main>",
        *_subjects(columns),
        *_matrix([column for column in columns if column.cells], rules_of(reports)),
        "</main>",
        f"<script>{script}</script>",
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


class _Column:
    """One subject of the matrix: its report and what its rules came to.

    Attributes:
        key: its part of every fragment's name.
        limits: how many bytes of evidence to show, by verdict.
    """

    def __init__(self, report: Report, key: str, limits: Mapping[Verdict, int]) -> None:
        self.report = report
        self.key = key
        self.limits = limits
        self.cells = cells_of(report)
        self.name = _text(report.subject.name)
        self.version = _text(report.subject.version)


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _text(text: str) -> str:
    return escape(printable(text))


def _prose(text: str) -> str:
    """Escape a text of the catalogue, in which `code` stands between one or more backticks."""
    return re.sub(r"(`+) ?(.+?) ?\1(?!`)", r"<code>\2</code>", _text(text))


def _class(verdict: Verdict) -> str:
    return verdict.value.replace(" ", "-")


def _origin(reports: Sequence[Report]) -> str:
    tools = sorted({report.tool for report in reports} - {""})
    dates = sorted({report.date[:10] for report in reports} - {""})
    judged = f"Judged by wsgix {' and '.join(tools)}" if tools else "Judged by wsgix"
    span = " to ".join(dict.fromkeys([dates[0], dates[-1]])) if dates else ""
    return _text(f"{judged}{', ' if span else ''}{span}.")


def _subjects(columns: Sequence[_Column]) -> Iterator[str]:
    yield '<h2 id="subjects">Subjects</h2>'
    yield '<div class="scroll" tabindex="0" role="region" aria-labelledby="subjects">'
    yield '<table class="subjects"><thead><tr><th scope="col">Subject</th><th scope="col">Version</th>'
    yield '<th scope="col" class="number">Rules kept</th>'
    for band in BANDS[:-1]:
        yield f'<th scope="col" class="number">{band.name} broken</th>'
    yield '<th scope="col" class="number">Not found out</th></tr></thead><tbody>'
    for column in columns:
        yield f'<tr><th scope="row">{column.name}</th><td>{column.version}</td>'
        if column.report.fault:
            yield f'<td class="fault" colspan="{len(BANDS) + 1}">{_text(column.report.fault)}</td></tr>'
            continue
        counts = tally(column.report)
        yield _number(sum(count for (_, verdict), count in counts.items() if verdict is Verdict.PASS))
        for band in BANDS[:-1]:
            yield _number(counts[band.weight, Verdict.FAIL], "some")
        yield _number(sum(count for (_, verdict), count in counts.items() if verdict in UNDECIDED)) + "</tr>"
    yield "</tbody></table></div>"


def _number(count: int, marked: str = "") -> str:
    return f'<td class="number {marked if count else ""}">{count}</td>'.replace('number "', 'number"')


def _matrix(columns: Sequence[_Column], rules: Sequence[Rule]) -> Iterator[str]:
    yield '<h2 id="rules">Rules</h2>'
    yield from _filters(rules)
    yield '<ul class="legend">'
    for verdict, mark in MARKS.items():
        yield (
            f'<li><span class="mark {_class(verdict)}" aria-hidden="true">{mark.sign}</span> '
            f"{verdict.value}: {mark.meaning}</li>"
        )
    yield "</ul>"
    many = " many" if len(columns) > MANY_SUBJECTS else ""
    yield '<div class="matrix-scroll">'
    yield f'<table class="matrix{many}"><caption class="hidden">What each subject made of each rule</caption>'
    yield '<thead><tr><th scope="col">Rule</th>'
    for column in columns:
        yield f'<th scope="col" class="subject"><span>{column.name}</span></th>'
    yield "</tr></thead><tbody>"
    chapter = ""
    for rule in rules:
        if rule.id[0] != chapter:
            chapter = rule.id[0]
            name = CHAPTER_NAMES.get(chapter, chapter)
            yield '<tr class="chapter">'
            yield f'<th scope="rowgroup" colspan="{len(columns) + 1}">{_text(name)}</th></tr>'
        yield from _rule(rule, columns)
    yield "</tbody></table></div>"


def _filters(rules: Sequence[Rule]) -> Iterator[str]:
    levels = [level for level in Level if any(rule.level is level for rule in rules)]
    profiles = [profile for profile in Profile if any(profile in rule.profiles for rule in rules)]
    yield '<form class="filters" hidden>'
    for name, label, values in (
        ("level", "Level", [level.value for level in levels]),
        ("verdict", "Verdict", [verdict.value for verdict in Verdict]),
        ("profile", "Profile", [profile.value for profile in profiles]),
    ):
        options = "".join(f"<option>{value}</option>" for value in values)
        yield f'<label>{label} <select name="{name}"><option value="">any</option>{options}</select></label>'
    yield '<label class="wide">Words <input name="text" type="search" autocomplete="off"></label>'
    yield '<button type="reset">Show all</button> <output aria-live="polite"></output></form>'


def _rule(rule: Rule, columns: Sequence[_Column]) -> Iterator[str]:
    found = [column.cells.get(rule.id) for column in columns]
    data = {
        "level": rule.level.value,
        "verdicts": ",".join(sorted({cell.verdict.value for cell in found if cell})),
        "profiles": ",".join(sorted(profile.value for profile in rule.profiles)),
    }
    attributes = " ".join(f'data-{key}="{_text(value)}"' for key, value in data.items())
    yield f'<tr class="rule" {attributes}><th scope="row"><span class="id">{_text(rule.id)}</span>'
    yield f'<span class="slug">{_text(rule.slug)}</span> <span class="level">{rule.level.value}</span></th>'
    for column, cell in zip(columns, found, strict=True):
        yield _cell(rule, column, cell)
    yield f'</tr><tr class="words"><td colspan="{len(columns) + 1}"><details>'
    yield f'<summary>{_prose(rule.says)}</summary><div class="open" id="{_text(rule.id)}">'
    if rule.quote:
        yield f"<blockquote>{_text(rule.quote)}</blockquote>"
    yield f"<p>{_prose(rule.why)}</p>"
    source = _text(str(rule.source))
    if re.match(r"https?://", rule.source.url):
        source = f'<a href="{_text(rule.source.url)}" rel="noreferrer">{source}</a>'
    profiles = ", ".join(profile.value for profile in Profile if profile in rule.profiles)
    yield f'<p class="quiet">{source}. Binds the {rule.binds.value}; profiles: {_text(profiles)}.</p>'
    for column, cell in zip(columns, found, strict=True):
        if cell:
            yield from _found(column, cell)
    yield "</div></details></td></tr>"


def _cell(rule: Rule, column: _Column, cell: Cell | None) -> str:
    if cell is None:
        return '<td><span class="mark not-judged"><span class="hidden">not judged</span></span></td>'
    label = f"{_text(rule.id)}, {column.name}: {cell.verdict.value}"
    return (
        f'<td><a class="mark {_class(cell.verdict)}" href="#{_fragment(column, cell)}" title="{label}" '
        f'aria-label="{label}">{MARKS[cell.verdict].sign}</a></td>'
    )


def _fragment(column: _Column, cell: Cell) -> str:
    return f"{_text(cell.rule.id)}-{column.key}"


def _found(column: _Column, cell: Cell) -> Iterator[str]:
    """Yield what one subject made of one rule.

    The fragment's name is *within* the details: browsers open what is closed around the target of a link.
    """
    seen = _text(cell.judgements[0].seen)
    yield (
        f'<div class="found"><details{" open" if cell.verdict is Verdict.FAIL else ""}><summary>'
        f'<span class="mark {_class(cell.verdict)}">{cell.verdict.value}</span> '
        f'<strong>{column.name}</strong> {column.version} <span class="quiet">{seen}</span></summary>'
        f'<div id="{_fragment(column, cell)}">'
    )
    for judgement in cell.judgements:
        yield from _judgement(judgement, cell, column.limits[judgement.verdict])
    yield "</div></details></div>"


def _judgement(judgement: Judgement, cell: Cell, most_bytes: int) -> Iterator[str]:
    verdict = judgement.verdict.value if len(cell.judgements) > 1 else ""
    told = [
        ("verdict", verdict),
        ("seen", judgement.seen),
        ("wanted", judgement.wanted),
        ("case", judgement.case),
        ("where", judgement.where),
        ("took", f"{judgement.seconds * 1000:.0f} ms" if judgement.seconds >= 0.001 else ""),
    ]
    rows = "".join(f"<dt>{label}</dt><dd>{_text(text)}</dd>" for label, text in told if text)
    yield f'<div class="judgement"><dl>{rows}</dl>'
    for evidence in judgement.evidence:
        if evidence.note:
            yield f"<p>{_note(evidence.note, max(most_bytes, LEAST_OF_A_NOTE))}</p>"
        for label, data in (("Bytes sent", evidence.sent), ("Bytes seen", evidence.received)):
            if data:
                shown = _bytes(data, most_bytes)
                yield f'<div class="bytes"><h4>{label} ({len(data)})</h4><pre>{shown}</pre></div>'
    yield "</div>"


def _note(note: str, most: int) -> str:
    return _text(note if len(note) <= most else f"{note[:most]}… and {len(note) - most} characters more")


_ODD: Final = re.compile(rb"\r\n|[^\x20-\x7e]")


def _bytes(data: bytes, most: int) -> str:
    """Spell bytes for reading: ASCII as it is, line ends shown and kept, all else by number."""
    parts = []
    shown = data[:most]
    end = 0
    for match in _ODD.finditer(shown):
        parts.append(escape(shown[end : match.start()].decode("ascii")))
        odd = match[0]
        name = {b"\r\n": "\\r\\n", b"\r": "\\r", b"\n": "\\n", b"\t": "\\t"}.get(odd) or f"\\x{odd[0]:02x}"
        parts.append(f"<i>{name}</i>" + ("\n" if odd.endswith(b"\n") else ""))
        end = match.end()
    parts.append(escape(shown[end:].decode("ascii")))
    if len(data) > most:
        parts.append(f"\n<i>… and {len(data) - most} bytes more</i>")
    return "".join(parts)
