"""Where rules are written: one function for each kind of document, so that addresses are spelled once."""

from __future__ import annotations

import re
from typing import Final

from wsgix.conform.rule import Source


def pep3333(section: str) -> Source:
    """Return the section of PEP 3333 with this title; its address is the title with hyphens between words."""
    anchor = re.sub(r"[^a-z0-9]+", "-", section.lower()).strip("-")
    return Source("PEP 3333", section, f"https://peps.python.org/pep-3333/#{anchor}")


def rfc(number: int, section: str) -> Source:
    """Return a section of an RFC, by their numbers."""
    return Source(f"RFC {number}", section, f"https://www.rfc-editor.org/rfc/rfc{number}#section-{section}")


VALIDATE: Final = Source(
    "wsgiref.validate",
    "what it refuses",
    "https://docs.python.org/3/library/wsgiref.html#module-wsgiref.validate",
)
"""The standard library's validator, whose rules stand in no text."""
