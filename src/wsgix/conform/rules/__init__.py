"""The catalogue: every rule of the referee, one module a chapter, one letter a chapter.

A chapter's module defines a record `Rule` for each obligation and attaches the observers to it, and exports
`RULES`, in the order of their numbers. What drives an application or middleware attaches itself, from
`conform.scenarios` and `conform.sandwich`. `all_rules` is the one list that everything else reads.

The examples of rules for applications are Python source that defines `app(environ, start_response)`. They
may also define `method` and `content` (bytes), those of the request that shows the point; without them it is
a GET. A good one is clean under all profiles, a bad one breaks its own rule and no other. A permission has a
good example only. Tests run them all.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from wsgix.conform.rule import Rule

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
