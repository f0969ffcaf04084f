"""Whatever a subject says and sends, every form of report holds it, keeps its shape, and obeys nothing."""

import json
from html.parser import HTMLParser
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from wsgix.conform.report import (
    parse_json,
    render_html,
    render_json,
    render_junit,
    render_sarif,
    render_terminal,
)
from wsgix.conform.rule import (
    Evidence,
    Judgement,
    Level,
    Profile,
    Report,
    Rule,
    Side,
    Source,
    Subject,
    Verdict,
)

# With all that markup, terminals and JSON take for something else; surrogates stand for bytes in PEP 383.
words = st.text(
    st.sampled_from("ab <>&\"'`|*_[]{}\\\n\r\t\x00\x1b\x9b\u202e\ud800\udcff\ufffeé€😀")
) | st.text(st.characters())

levels = st.sampled_from(Level)


@st.composite
def rules(draw):
    letter = draw(st.sampled_from("QUVWZ"))  # no chapters, so that no rule of the catalogue takes its place
    number = draw(st.integers(1, 9))
    return Rule(
        id=f"{letter}{number}",
        slug=f"rule-{letter.lower()}{number}",
        level=draw(levels),
        binds=draw(st.sampled_from(Side)),
        source=Source(draw(words), draw(words), draw(st.just("https://peps.python.org/") | words)),
        says=draw(words),
        why=draw(words),
        quote=draw(words),
        profiles=frozenset(draw(st.sets(st.sampled_from(Profile)))),
    )


@st.composite
def reports(draw):
    known = {}
    for rule in draw(st.lists(rules(), min_size=1, max_size=3)):
        known.setdefault(rule.id, rule)
    evidence = st.builds(Evidence, st.binary(), st.binary(), words)
    judgements = st.builds(
        Judgement,
        st.sampled_from(list(known.values())),
        st.sampled_from(Verdict),
        words,
        words,
        words,
        words | st.sampled_from(["app.py:12 in index", "/srv/app.py:1"]),
        st.lists(evidence, max_size=2).map(tuple),
        st.floats(0, 100),
    )
    subjects = st.builds(Subject, words, st.sampled_from(Side), words)
    report = st.builds(
        Report,
        subjects,
        st.lists(judgements, max_size=4).map(tuple),
        st.frozensets(st.sampled_from(Profile)),
        words,
        words,
        st.floats(0, 100),
        words,
    )
    return draw(st.lists(report, max_size=2))


@settings(max_examples=50)
@given(reports())
def test_json_is_read_again_and_written_the_same(given):
    text = render_json(given)

    assert text.isascii()
    assert render_json(parse_json(text)) == text


@settings(max_examples=50)
@given(reports())
def test_junit_is_xml_that_counts_right(given):
    root = ElementTree.fromstring(render_junit(given).encode("utf-8"))

    assert root.get("tests") == str(sum(1 for _ in root.iter("testcase")))


@settings(max_examples=50)
@given(reports())
def test_sarif_is_json(given):
    document = json.loads(render_sarif(given, "/srv"))

    assert len(document["runs"]) == len(given)


class _Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.handlers = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.handlers += [name for name, _ in attributes if name.startswith("on")]


@settings(max_examples=50)
@given(reports(), words)
def test_html_has_no_markup_but_its_own(given, title):
    text = render_html(given, title)
    page = _Page(text)

    text.encode("utf-8")
    assert page.tags.count("script") == 1
    assert page.tags.count("pre") == sum(
        bool(evidence.sent) + bool(evidence.received)
        for report in given
        for judgement in report.judgements
        for evidence in judgement.evidence
    )
    assert page.handlers == []


@settings(max_examples=50)
@given(reports(), st.integers(0, 120), st.booleans())
def test_a_terminal_gets_lines_and_colours_and_nothing_else(given, width, color):
    text = render_terminal(given, color=color, width=width)

    assert text == "" or text.endswith("\n")
    for style in ("31", "32", "33", "1", "2", "0"):
        text = text.replace(f"\x1b[{style}m", "")
    assert text.replace("\n", "").isprintable()
    assert max(map(len, text.split("\n"))) <= max(width, 48)
