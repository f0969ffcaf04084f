"""Makes docs/rules/ from the catalogue: a page for each rule, the list of them, and what covers what.

`tools/generate_docs.py` calls it and writes what it returns.
"""

from collections.abc import Iterable
from typing import Final

from wsgix.conform.report.html import CHAPTER_NAMES
from wsgix.conform.rule import Means, Profile, Rule
from wsgix.conform.rules import all_rules
from wsgix.conform.sentences import SENTENCES, Sentence

FOLDER: Final = "docs/rules"

MADE_BY: Final = "<!-- Made by tools/generate_docs.py from src/wsgix/conform: change that, not this. -->"

INDEX_HEAD: Final = f"""\
# Rules

{MADE_BY}

What applications, middleware and servers are judged by: what [PEP 3333](https://peps.python.org/pep-3333/)
obliges them to (`pep3333`), what the standard library's validator refuses (`stdlib`), what HTTP demands of
the same exchange (`http`), and what no text demands and the field relies on (`de-facto`). IDs are never
used again. `wsgix rules ID` shows the same as these pages; `wsgix rules --json` gives all of it to other
programs ([schema](../schema/rules-1.json)). [What covers what](coverage.md) lists the rules by the means of
observing them, and the sentences of the PEP by the rules that hold them.
"""

COVERAGE_HEAD: Final = f"""\
# What covers what

{MADE_BY}

## Rules and means

*watch*: middleware in a running exchange. *drive*: scenarios that play the server. *probe*: cases that play
the client of a running server. The number is that of the observers.
"""

SENTENCES_HEAD: Final = """\
## Sentences of PEP 3333 and rules

Every sentence of the PEP in which somebody is obliged, allowed or forbidden something, by its first words,
and the rules that hold it; or why there is none.
"""


def rule_documents() -> dict[str, str]:
    """Return the text of each document, by its path in the project."""
    rules = all_rules()
    return {
        f"{FOLDER}/index.md": _index(rules),
        f"{FOLDER}/coverage.md": _coverage(rules),
        **{f"{FOLDER}/{rule.id}.md": _page(rule) for rule in rules},
    }


def _index(rules: Iterable[Rule]) -> str:
    parts = [INDEX_HEAD]
    for letter, name in CHAPTER_NAMES.items():
        parts.append(f"\n## {name}\n\n| ID | level | rule | profiles |\n|---|---|---|---|\n")
        parts += [
            f"| {_link(rule)} | {rule.level.value} | {_cell(rule.says)} | {_profiles(rule)} |\n"
            for rule in rules
            if rule.id[0] == letter
        ]
    return "".join(parts)


def _coverage(rules: Iterable[Rule]) -> str:
    parts = [COVERAGE_HEAD, "\n| rule | watch | drive | probe | |\n|---|---|---|---|---|\n"]
    for rule in rules:
        counts = [sum(observer.means is means for observer in rule.observers) for means in Means]
        cells = [str(count) if count else "" for count in counts]
        parts.append(f"| {_link(rule)} {rule.slug} | {' | '.join(cells)} | {_cell(rule.untestable)} |\n")
    parts += ["\n", SENTENCES_HEAD]
    section = ""
    for sentence in SENTENCES:
        if sentence.section != section:
            section = sentence.section
            parts.append(f"\n### {section}\n\n| sentence | rules |\n|---|---|\n")
        held = " ".join(f"[{id}]({id}.md)" for id in sentence.rules) or _cell(sentence.reason)
        parts.append(f"| {_cell(_opening(sentence))} | {held} |\n")
    return "".join(parts)


def _page(rule: Rule) -> str:
    parts = [
        f"# {rule.id} {rule.slug}\n\n{MADE_BY}\n",
        f"\n**{rule.level.value}**, binds the {rule.binds.value}. Profiles: {_profiles(rule)}.",
        f" {rule.status.value.capitalize()} since {rule.since}.\n",
        f"\n{rule.says}\n",
        f"\n> {rule.quote}\n>\n> {_source(rule)}\n" if rule.quote else f"\nSource: {_source(rule)}.\n",
        f"\n{rule.why}\n",
    ]
    for title, source in (("Good", rule.good), ("Bad", rule.bad)):
        if source:
            parts.append(f"\n## {title}\n\n```python\n{source.strip(chr(10))}\n```\n")
    parts.append("\n## Observed by\n\n")
    parts += [f"- {observer.means.value}: `{observer.point}`\n" for observer in rule.observers]
    parts += [f"Nothing. {rule.untestable}\n"] * (not rule.observers)
    sentences = [sentence for sentence in SENTENCES if rule.id in sentence.rules]
    if sentences:
        parts.append("\n## Sentences of PEP 3333\n\n")
        parts += [f"- {sentence.section}: {_opening(sentence)}\n" for sentence in sentences]
    parts.append("\n[All rules](index.md)\n")
    return "".join(parts)


def _link(rule: Rule) -> str:
    return f"[{rule.id}]({rule.id}.md)"


def _source(rule: Rule) -> str:
    return f"[{rule.source}]({rule.source.url})" if rule.source.url else str(rule.source)


def _profiles(rule: Rule) -> str:
    return ", ".join(profile.value for profile in Profile if profile in rule.profiles)


def _opening(sentence: Sentence) -> str:
    return f'"{sentence.opening} ..."'


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
