"""`wsgix rules`: the catalogue of the referee, as a list, rule by rule, or whole for other programs.

The exit status is 2 where a rule is asked for that there is not.
"""

from __future__ import annotations

import argparse
import difflib
import textwrap
from typing import TYPE_CHECKING

from wsgix import __version__
from wsgix.cli.failure import CommandFailure
from wsgix.cli.output import columns, put
from wsgix.conform.report import render_rules
from wsgix.conform.rule import NOT_JUDGED
from wsgix.conform.rules import all_rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wsgix.conform.rule import Rule


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        "List the rules by which applications, middleware and servers are judged, or show some of them whole."
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="a rule, by its ID or its slug: H3")
    parser.add_argument(
        "--json", action="store_true", help="print whole rules as JSON, as docs/schema/rules-1.json describes"
    )


def run(options: argparse.Namespace) -> int:
    """Print what was asked for; return 0.

    Raises:
        CommandFailure: there is no such rule.
    """
    rules = [rule for name in options.ids for rule in _find(name)] or list(all_rules())
    if options.json:
        put(render_rules(rules, __version__))
    elif options.ids:
        put("\n".join(describe(rule, columns()) for rule in rules))
    else:
        put(table(rules))
    return 0


def _find(name: str) -> list[Rule]:
    """Return the rule with this ID, or those with this slug: two sides may share one."""
    names: dict[str, list[Rule]] = {}
    for rule in all_rules():
        names.setdefault(rule.id, []).append(rule)
        names.setdefault(rule.slug, []).append(rule)
    found = names.get(name.upper()) or names.get(name.lower())
    if not found:
        near = difflib.get_close_matches(name.upper(), names, 5, 0.5)
        near += [one for one in difflib.get_close_matches(name.lower(), names, 5, 0.5) if one not in near]
        hint = f"; near are {', '.join(near[:5])}" if near else "; `wsgix rules` lists them"
        raise CommandFailure(f"there is no rule {name!r}{hint}", NOT_JUDGED)
    return found


def table(rules: Iterable[Rule]) -> str:
    """Return the list of rules: ID, level, whom it binds, slug, and by what it is observed."""
    rows = [("ID", "LEVEL", "BINDS", "RULE", "OBSERVED BY")]
    rows += [
        (
            rule.id,
            rule.level.value,
            rule.binds.value,
            rule.slug,
            ", ".join(means.value for means in rule.means) or "nothing",
        )
        for rule in rules
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() + "\n"
        for row in rows
    )


def describe(rule: Rule, width: int) -> str:
    """Return the whole record of a rule for reading, in lines of at most *width* columns but for examples."""
    parts = [f"{rule.id} {rule.slug}", "", *_wrapped(rule.says, width), ""]
    facts = [
        ("level", rule.level.value),
        ("binds", rule.binds.value),
        ("source", str(rule.source)),
        ("", rule.source.url),
        ("quote", f'"{rule.quote}"' if rule.quote else ""),
        ("profiles", ", ".join(sorted(profile.value for profile in rule.profiles))),
        ("observed", "; ".join(f"{one.means.value} {one.point}" for one in rule.observers)),
        ("not observed", rule.untestable),
        ("status", f"{rule.status.value} since {rule.since}"),
    ]
    for label, text in facts:
        if text:
            parts += _wrapped(f"{label:<13} {text}", width, " " * 14)
    parts += ["", *_wrapped(rule.why, width)]
    for label, source in (("Good:", rule.good), ("Bad:", rule.bad)):
        if source:
            parts += ["", label, "", textwrap.indent(textwrap.dedent(source).strip("\n"), "    ")]
    return "\n".join(parts) + "\n"


def _wrapped(text: str, width: int, hang: str = "") -> Sequence[str]:
    return textwrap.wrap(text, width, subsequent_indent=hang, break_long_words=False, break_on_hyphens=False)
