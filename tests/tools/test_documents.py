"""The documents that are made from tables are those in docs/, and no link in any document is broken."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from wsgix.conform.rules import all_rules

ROOT = Path(__file__).parents[2]

DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "changelog.d").glob("*.md")]
)

LINK = re.compile(r"\]\((?!https?://|mailto:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]*))?\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def anchors_of(path: Path) -> set[str]:
    """Return the anchors that the headings of a document make."""
    headings = re.findall(r"(?m)^#+ (.+)$", path.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_generated_documents_are_what_their_tables_say():
    done = subprocess.run(
        [sys.executable, "tools/generate_docs.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")


def leads_somewhere(path: Path, target: str, anchor: str | None) -> bool:
    """Tell whether a link in the document *path* has a file to lead to, and a heading in it."""
    found = path.parent / target if target else path
    return found.exists() and (not anchor or found.suffix != ".md" or anchor in anchors_of(found))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name):
    path = ROOT / name
    text = CODE.sub("", path.read_text(encoding="utf-8"))
    links = list(LINK.finditer(text))
    assert [link[0] for link in links if not leads_somewhere(path, link["path"], link["anchor"])] == []


def test_a_link_that_leads_nowhere_is_found():
    readme = ROOT / "README.md"
    assert not leads_somewhere(readme, "docs/nowhere.md", None)
    assert not leads_somewhere(readme, "docs/architecture.md", "no-such-heading")
    assert leads_somewhere(readme, "docs/architecture.md", "one-driver")


def test_every_rule_has_a_page_and_stands_in_the_index():
    index = (ROOT / "docs" / "rules" / "index.md").read_text(encoding="utf-8")
    for rule in all_rules():
        assert f"[{rule.id}]({rule.id}.md)" in index
        assert (ROOT / "docs" / "rules" / f"{rule.id}.md").is_file()
