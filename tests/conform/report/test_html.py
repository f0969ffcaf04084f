"""The page: one file that needs no other, every cell with its evidence, and nothing of a subject's obeyed."""

import base64
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from tests.conform.report.made import HOSTILE, RULES, judge, make_rule
from wsgix.conform.report import render_html
from wsgix.conform.report.html import CHAPTER_NAMES, MARKS, MOST_BYTES, MOST_BYTES_OF_PASSES
from wsgix.conform.rule import Evidence, Judgement, Level, Report, Side, Source, Subject, Verdict
from wsgix.conform.rules import CHAPTERS

VOID = {"meta", "input", "link", "img", "br", "hr"}


class Page(HTMLParser):
    """What the page holds; that every element is closed, where it should be, is checked on the way."""

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.text = Counter()
        self.stack = []
        self.feed(text)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.text[self.stack[-1] if self.stack else ""] += 1

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def report_of(*judgements, **more):
    return Report(Subject("alpha", Side.SERVER), judgements, **more)


def test_each_cell_leads_to_what_was_found(reports):
    page = Page(render_html(reports))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    links = [
        attributes["href"] for attributes in page.all("a") if attributes.get("class", "").startswith("mark")
    ]

    assert len(ids) == len(set(ids))
    assert len(links) == 6 + 5 + 2
    assert {link[1:] for link in links} <= set(ids)


def test_a_subject_that_was_not_judged_has_no_column_and_says_why(reports):
    text = render_html(reports)

    assert text.count('class="subject"') == 3
    assert "it did not start: &lt;nothing&gt; listens" in text


def test_a_page_of_nothing_is_a_page():
    assert "<h1>WSGI conformance</h1>" in render_html([])


def test_the_page_asks_for_nothing_from_elsewhere(reports):
    text = render_html(reports)
    page = Page(text)

    assert not {name for name, _ in page.elements} & {"link", "img", "iframe", "object", "embed", "base"}
    assert all("src" not in attributes for _, attributes in page.elements)
    assert "url(" not in text
    assert "@import" not in text


def test_only_its_own_script_may_run(reports):
    text = render_html(reports)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()

    assert f"script-src 'sha256-{digest}'" in text
    assert "default-src 'none'" in text


EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>\x00\x1b\u202e'


def test_nothing_that_a_subject_says_becomes_markup():
    rule = make_rule(
        "E2",
        EVIL,
        Level.MUST,
        says=EVIL,
        why=EVIL,
        quote=EVIL,
        source=Source(EVIL, EVIL, f"https://x/{EVIL}"),
    )
    evidence = Evidence(EVIL.encode(), EVIL.encode() + HOSTILE, EVIL)
    judgement = Judgement(rule, Verdict.FAIL, EVIL, EVIL, EVIL, EVIL, (evidence,))
    report = Report(Subject(EVIL, Side.SERVER, EVIL), (judgement,), tool=EVIL, date=EVIL)

    page = Page(render_html([report, report], title=EVIL))
    fault = Page(render_html([Report(Subject(EVIL, Side.SERVER), (), fault=EVIL)]))

    assert len(page.all("script")) == len(fault.all("script")) == 1
    assert page.all("img") == fault.all("img") == []
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


def test_code_in_the_words_of_a_rule_is_set_as_code():
    rule = make_rule("E2", "a", Level.MUST, says="It is `<b>` or `` a`b ``.", why="See `c`.")

    text = render_html([report_of(Judgement(rule, Verdict.PASS))])

    assert "It is <code>&lt;b&gt;</code> or <code>a`b</code>." in text
    assert "<p>See <code>c</code>.</p>" in text


def test_only_a_web_address_becomes_a_link():
    rule = make_rule("E2", "a", Level.MUST, source=Source("RFC 9112", "section 4", "javascript:alert(1)"))

    assert "javascript:" not in render_html([report_of(Judgement(rule, Verdict.PASS))])


def pre_of(data, verdict=Verdict.FAIL, **limits):
    text = render_html([report_of(judge("E2", verdict, evidence=(Evidence(received=data),)))], **limits)
    (pre,) = re.findall(r"<pre>(.*?)</pre>", text, re.DOTALL)
    return re.sub(r"</?i>", "", pre)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"GET / HTTP/1.1\r\nA: b\r\n\r\n", "GET / HTTP/1.1\\r\\n\nA: b\\r\\n\n\\r\\n\n"),
        (b"a\nb\rc\td", "a\\n\nb\\rc\\td"),
        (b"\x00\x7f\x80\xff", r"\x00\x7f\x80\xff"),
        (b"<b>&amp;", "&lt;b&gt;&amp;amp;"),
    ],
)
def test_bytes_are_shown_as_they_went_over_the_wire(data, shown):
    assert pre_of(data) == shown


def test_of_many_bytes_the_first_are_shown_and_the_others_counted():
    assert pre_of(b"a" * (MOST_BYTES + 7)) == "a" * MOST_BYTES + "\n… and 7 bytes more"
    assert pre_of(b"aaaa", most_bytes=1) == "a\n… and 3 bytes more"


def test_of_a_pass_fewer_bytes_are_shown():
    shown = pre_of(b"a" * (MOST_BYTES_OF_PASSES + 7), Verdict.PASS)

    assert shown == "a" * MOST_BYTES_OF_PASSES + "\n… and 7 bytes more"
    assert pre_of(b"aaaa", Verdict.PASS, most_bytes_of_passes=2) == "aa\n… and 2 bytes more"


def test_of_a_long_note_the_beginning_is_shown():
    judgement = judge("E2", Verdict.PASS, evidence=(Evidence(note="a" * 207),))

    assert "a" * 200 + "… and 7 characters more<" in render_html(
        [report_of(judgement)], most_bytes_of_passes=0
    )
    assert "a" * 207 + "<" in render_html([report_of(judgement)])


def test_a_rule_with_several_judgements_shows_all_of_them(first_server):
    text = render_html([first_server])
    found = text[text.index('id="R1-s1"') : text.index('id="C4"')]

    assert found.count('<div class="judgement">') == 2
    assert "<dt>verdict</dt><dd>fail</dd>" in found
    assert "<dt>verdict</dt><dd>pass</dd>" in found


def test_every_verdict_has_a_mark_and_every_chapter_a_name():
    assert set(MARKS) == set(Verdict)
    assert len({mark.sign for mark in MARKS.values()}) == len(MARKS)
    assert list(CHAPTER_NAMES) == list(CHAPTERS)


def test_the_date_is_told_once_or_from_first_to_last(first_server):
    later = report_of(judge("E2", Verdict.PASS), tool="0.2.0", date="2026-11-28T00:00:00+00:00")

    assert "Judged by wsgix 0.1.0, 2026-11-26." in render_html([first_server])
    assert "Judged by wsgix 0.1.0 and 0.2.0, 2026-11-26 to 2026-11-28." in render_html([first_server, later])


def test_the_rules_of_the_tests_have_words_that_need_escaping():
    assert all("<matters>" in rule.why for rule in RULES.values())
