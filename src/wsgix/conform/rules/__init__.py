"""The catalogue: every rule of the referee, one module a chapter, one letter a chapter.

A chapter's module defines a record `Rule` for each obligation and attaches the observers to it, and exports
`RULES`, in the order of their numbers. What drives an application or middleware attaches itself, from
`conform.scenarios` and `conform.sandwich`; what the probe asks stands in `conform.cases`. `all_rules` is
the one list that everything else reads.

The examples are Python source, and tests run them all. Those of rules for applications define `app(environ,
start_response)`. They may also define `method` and `content` (bytes), those of the request that shows the
point; without them it is a GET. A good one is clean under all profiles, a bad one breaks its own rule and
no other. A permission has a good example only.

The examples of rules for servers are the body of a class that derives from the reference server of the
tests, `tests/conform/broken/reference.py`: methods that take the place of its own, one instance being one
connection. The server that a bad one makes breaks its own rule and no other. Permissions have none: they
cannot be broken.
"""

from __future__ import annotations

import importlib
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from wsgix.conform.rule import Means, Profile, Rule, Side

CHAPTERS: Final = {
    "A": "calling",
    "H": "head",
    "B": "blocks",
    "I": "streams",
    "M": "middleware",
    "E": "environ",
    "S": "server_streams",
    "R": "responses",
    "C": "closing",
    "P": "http",
    "X": "extensions",
}
"""Letter to module. Applications: the application object and what it returns (A), the head it gives (H),
the blocks of content (B), its use of environ, input and errors (I). Middleware (M). Servers: the environ (E),
its streams (S), responses and their transmission (R), errors, `close()` and concurrency (C), HTTP (P),
extensions and custom (X)."""


@cache
def all_rules() -> tuple[Rule, ...]:
    """Return every rule, chapter by chapter, with all its observers."""
    rules = _records()
    importlib.import_module("wsgix.conform.scenarios")
    importlib.import_module("wsgix.conform.sandwich")
    return rules


@cache
def _records() -> tuple[Rule, ...]:
    """Return every rule, with the observers that stand in its own module."""
    modules = (importlib.import_module(f"{__name__}.{module}") for module in CHAPTERS.values())
    return tuple(rule for module in modules for rule in module.RULES)


def rule_of(id: str) -> Rule:
    """Return the rule with this ID.

    Raises:
        KeyError: there is none.
    """
    for rule in _records():
        if rule.id == id:
            return rule
    raise KeyError(id)


def select_rules(
    side: Side,
    profiles: Collection[Profile],
    *,
    means: Collection[Means],
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
) -> list[Rule]:
    """Return the rules that bind a side, belong to one of these profiles and are seen by one of these means.

    `select` and `ignore` are IDs of rules or letters of chapters, to take only and to leave out.

    Raises:
        ValueError: `select` or `ignore` names what is no rule and no chapter.
    """
    sets = (frozenset(profiles), frozenset(means), frozenset(select), frozenset(ignore))
    return list(_selected(side, *sets))


@lru_cache(maxsize=64)  # a battery asks for the same before each call
def _selected(
    side: Side,
    profiles: frozenset[Profile],
    means: frozenset[Means],
    wanted: frozenset[str],
    unwanted: frozenset[str],
) -> tuple[Rule, ...]:
    for name in sorted((wanted | unwanted).difference(CHAPTERS, (rule.id for rule in all_rules()))):
        raise ValueError(f"there is no rule or chapter {name!r}; `wsgix rules` lists them")
    return tuple(
        rule
        for rule in all_rules()
        if rule.binds is side
        and not rule.profiles.isdisjoint(profiles)
        and not set(rule.means).isdisjoint(means)
        and (not wanted or not wanted.isdisjoint((rule.id, rule.id[0])))
        and unwanted.isdisjoint((rule.id, rule.id[0]))
    )
