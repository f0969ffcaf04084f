"""Finds every sentence of PEP 3333 that may oblige somebody: candidates for `wsgix.conform.sentences`.

`python tools/normative_sentences.py pep-3333.rst` prints them: section, opening words, digest, keywords. The
text of the PEP is no part of this project; a test compares a copy with the data where there is one.
"""

import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

KEYWORDS: Final = re.compile(
    r"\b(must|should|shouldn't|may|shall|required?|requires|optional(?:ly)?|forbidden|prohibited|recommended|"
    r"allowed|free to|fatal error|violation|responsib(?:le|ility)|undefined|only to be|supposed|expected|"
    r"never|always|necessary|has to|have to|need(?:s|ed)? to|can ?not|is up to)\b",
    re.IGNORECASE,
)

OPENING_WORDS: Final = 8

# Not followed by a new sentence.
_ABBREVIATIONS: Final = ("e.g.", "i.e.", "etc.", "vs.", "Section 4.", "Section 6.")

_MARKER: Final = re.compile(r"^\s*(?:[*#]|\d+\.)\s+")
"""What an item of a list begins with."""

_TITLE: Final = re.compile(r"(?m)^(?P<title>\S[^\n]*)\n(?P<line>([=~-])\3{3,})$")


class Candidate(NamedTuple):
    """One sentence, and the keywords that it holds.

    Attributes:
        section: the title of the section, without its markup.
        opening: the first words, enough to find it.
        digest: of the whole sentence, its white space normalised; tells when the text has changed.
        keywords: those found, in lower case, in order.
        text: the sentence.
    """

    section: str
    opening: str
    digest: str
    keywords: tuple[str, ...]
    text: str


def candidates(text: str) -> list[Candidate]:
    """List the candidates of a text in reStructuredText, in its order."""
    return [sentence for sentence in sentences(text) if sentence.keywords]


def sentences(text: str) -> list[Candidate]:
    """List all sentences of a text in reStructuredText, with keywords or without."""
    return [
        Candidate(section, opening_of(sentence), digest_of(sentence), keywords_of(sentence), sentence)
        for section, body in _sections(text)
        for paragraph in _paragraphs(body)
        for sentence in _sentences(paragraph)
    ]


def opening_of(sentence: str) -> str:
    """Return the first words of a sentence."""
    return " ".join(sentence.split()[:OPENING_WORDS])


def digest_of(sentence: str) -> str:
    """Return eight hexadecimal digits that stand for the sentence."""
    return hashlib.sha256(" ".join(sentence.split()).encode()).hexdigest()[:8]


def keywords_of(sentence: str) -> tuple[str, ...]:
    """List the keywords in a sentence, in lower case and order."""
    return tuple(dict.fromkeys(match[0].lower() for match in KEYWORDS.finditer(sentence)))


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """Yield title and body of each section; what stands above the first is none."""
    titles = list(_TITLE.finditer(text))
    for title, following in zip(titles, [*titles[1:], None], strict=True):
        body = text[title.end() : following.start() if following else len(text)]
        if not set(title["title"].strip()) <= set("= -"):  # the rule below a table's head is no title
            yield title["title"].replace("`", "").strip(), body


def _paragraphs(body: str) -> Iterator[str]:
    """Yield the paragraphs, list items and cells of a section, their white space normalised, without code."""
    in_code_of: int | None = None
    for block in re.split(r"\n[ \t]*\n", body):
        lines = [line for line in block.split("\n") if line.strip() and not set(line.strip()) <= set("= ")]
        if not lines:
            continue
        indent = min(len(line) - len(line.lstrip()) for line in lines)
        if in_code_of is not None and indent > in_code_of:
            continue
        in_code_of = None
        # A term of a definition list, or the first cell of a row, stands before what it is about.
        joined = " ".join(" ".join(_MARKER.sub("", line) for line in lines).split())
        if joined.endswith("::"):
            marker = _MARKER.match(lines[0])
            in_code_of = marker.end() if marker else indent
            joined = joined[:-1]
        yield joined


def _sentences(paragraph: str) -> Iterator[str]:
    """Split a paragraph at the ends of its sentences."""
    start = 0
    for end in re.finditer(r"[.!?][)\"`*]*(?=\s+[(\"`*]*[A-Z`])", paragraph):
        piece = paragraph[start : end.end()]
        if piece.endswith(_ABBREVIATIONS):
            continue
        yield piece.strip()
        start = end.end()
    if paragraph[start:].strip():
        yield paragraph[start:].strip()


def main(arguments: list[str]) -> int:
    """Print the candidates of the file that is named."""
    if len(arguments) != 1:
        print("give the path of the PEP's text", file=sys.stderr)
        return 2
    section = ""
    for candidate in candidates(Path(arguments[0]).read_text(encoding="utf-8")):
        if candidate.section != section:
            section = candidate.section
            print(f"\n{section}")
        print(f"  {candidate.digest}  {candidate.opening}  [{', '.join(candidate.keywords)}]")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
