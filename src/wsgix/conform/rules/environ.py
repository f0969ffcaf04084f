"""Chapter E."""

from typing import Final

from wsgix.conform.rule import Rule

RULES: Final[tuple[Rule, ...]] = ()
