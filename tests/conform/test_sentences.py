"""Every normative sentence of PEP 3333 is held by a rule, or has a reason why none can hold it.

The text of the PEP is not in the project. Where PEP_3333 names a copy, or one lies beside the checkout as
FOLDER/reference/pep-3333.rst, the data is held against it; all else is tested always.
"""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tools.normative_sentences import candidates, sentences
from wsgix.conform.rule import Level
from wsgix.conform.rules import all_rules
from wsgix.conform.sentences import SENTENCES

ROOT = Path(__file__).parents[2]

RULES = {rule.id: rule for rule in all_rules()}

each_sentence = pytest.mark.parametrize(
    "sentence", SENTENCES, ids=lambda sentence: f"{sentence.digest}-{sentence.opening[:24]}"
)


@each_sentence
def test_a_sentence_is_held_by_rules_or_has_a_reason(sentence):
    assert sentence.rules or sentence.reason
    assert [id for id in sentence.rules if id not in RULES] == []
    assert len(set(sentence.rules)) == len(sentence.rules)


@each_sentence
def test_a_sentence_is_known_by_a_few_words_and_its_digest(sentence):
    assert 1 <= len(sentence.opening.split()) <= 8
    assert re.fullmatch(r"[0-9a-f]{8}", sentence.digest)


def test_each_sentence_stands_once():
    counts = Counter((sentence.section, sentence.digest) for sentence in SENTENCES)
    assert [key for key, count in counts.items() if count > 1] == []


def test_every_rule_of_the_pep_holds_a_sentence():
    cited = {id for sentence in SENTENCES for id in sentence.rules}
    # What is only custom may rest on an example in the PEP.
    of_the_pep = [
        id
        for id, rule in RULES.items()
        if rule.source.document == "PEP 3333" and rule.level is not Level.DE_FACTO
    ]
    assert [id for id in of_the_pep if id not in cited] == []


@pytest.fixture(scope="module")
def text():
    named = os.environ.get("PEP_3333")
    paths = [Path(named)] if named else [*ROOT.parent.glob("*/reference/pep-3333.rst")]
    for path in paths:
        if path.is_file():
            return path.read_text(encoding="utf-8")
    return pytest.skip("there is no copy of the PEP beside the checkout; PEP_3333 may name one")


def test_every_sentence_of_the_pep_that_may_oblige_is_in_the_data(text):
    known = {(sentence.section, sentence.digest) for sentence in SENTENCES}
    missing = [
        f"{candidate.section}: {candidate.digest} {candidate.opening}"
        for candidate in candidates(text)
        if (candidate.section, candidate.digest) not in known
    ]
    assert missing == []


def test_every_sentence_of_the_data_is_in_the_pep_in_this_order(text):
    standing = [(one.section, one.digest, one.opening) for one in sentences(text)]
    places = [standing.index((sentence.section, sentence.digest, sentence.opening)) for sentence in SENTENCES]
    assert places == sorted(places)


SAMPLE = """\
PEP: 3333
Title: Not a section

First ``Title``
===============

A server **must** answer (e.g. GET).  Nothing here.  "It
should," he said.  See
:rfc:`2616`, Section 6.1.1 for more.  It may.

For instance::

    it must not find code

* An item is required.
* Another is *never* so::

      nor this; it must not

  but this it should.

=====  =========
Name   Value
=====  =========
``a``  May be
       empty.
=====  =========

Second
~~~~~~

It's up to nobody.  It can't.  This is a fatal
error!
"""


def test_candidates_are_the_sentences_with_a_keyword():
    found = [(one.section, one.text, one.keywords) for one in candidates(SAMPLE)]

    assert found == [
        ("First Title", "A server **must** answer (e.g. GET).", ("must",)),
        ("First Title", '"It should," he said.', ("should",)),
        ("First Title", "It may.", ("may",)),
        ("First Title", "An item is required.", ("required",)),
        ("First Title", "Another is *never* so:", ("never",)),
        ("First Title", "but this it should.", ("should",)),
        ("First Title", "Name Value ``a`` May be empty.", ("may",)),
        ("Second", "This is a fatal error!", ("fatal error",)),
    ]


def test_the_script_prints_them_below_their_sections(tmp_path):
    path = tmp_path / "pep.rst"
    path.write_text(SAMPLE, encoding="utf-8")
    script = ROOT / "tools" / "normative_sentences.py"

    done = subprocess.run([sys.executable, script, path], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("\nFirst Title\n  ")
    assert re.search(
        r"(?m)^\nSecond\n  [0-9a-f]{8}  This is a fatal error!  \[fatal error\]\n\Z", done.stdout
    )
    assert subprocess.run([sys.executable, script], capture_output=True).returncode == 2


def test_a_digest_does_not_depend_on_where_lines_are_broken():
    one, other = "A server **must**\nanswer.", "A server\n**must** answer."
    first, second = (candidates(f"T\n====\n\n{text}\n") for text in (one, other))

    assert first == second
    assert first[0].opening == "A server **must** answer."
