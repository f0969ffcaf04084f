"""Whatever a correct application answers, the battery finds nothing; nor does the sandwich in middleware.

The applications are made up of choices that PEP 3333 and HTTP leave open: a false alarm is a defect here.
"""

from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from wsgix.conform.drive import drive
from wsgix.conform.sandwich import judge_middleware
from wsgix.facts.grammar import TCHAR

TOKENS = st.text(TCHAR.replace("_", ""), min_size=1, max_size=8).map(lambda name: f"X-{name}0")
VALUES = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=["Cc"]), max_size=12
)
CONTENT = st.lists(st.binary(min_size=0, max_size=300), max_size=5)


class Answer(NamedTuple):
    """What an application chose to answer."""

    status: str
    fields: list[tuple[str, str]]
    blocks: list[bytes]
    with_length: bool
    start_late: bool
    as_list: bool
    with_close: bool
    errors: list[str]


@st.composite
def answers(draw: Any) -> Answer:
    code = draw(st.sampled_from(["200", "201", "203", "206", "299", "300", "403", "404", "418", "499"]))
    reason = draw(
        st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=["Cc"]), max_size=9)
    )
    fields = draw(st.lists(st.tuples(TOKENS, VALUES), max_size=4, unique_by=lambda field: field[0].lower()))
    return Answer(
        f"{code} r{reason.strip()}",
        [("Content-Type", "text/plain"), *fields],
        draw(CONTENT),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.booleans()),
        [f"{line}\n" for line in draw(st.lists(st.text("abc", max_size=5), max_size=2))],
    )


class Blocks:
    """An iterable with a close() of its own."""

    def __init__(self, blocks):
        self.blocks = iter(blocks)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.blocks)

    def close(self):
        self.blocks = iter(())


def application_of(answer):
    length = sum(map(len, answer.blocks))

    def application(environ, start_response):
        for line in answer.errors:
            environ["wsgi.errors"].write(line)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        blocks = [] if environ["REQUEST_METHOD"] == "HEAD" else answer.blocks
        if answer.start_late:
            return Blocks(late(start_response, blocks))
        begin(start_response)
        if answer.as_list:
            return list(blocks)
        return Blocks(blocks) if answer.with_close else iter(blocks)

    def begin(start_response):
        fields = list(answer.fields)
        if answer.with_length:
            fields.append(("Content-Length", str(length)))
        start_response(answer.status, fields)

    def late(start_response, blocks):
        begin(start_response)
        yield from blocks or [b""]

    return application


@settings(max_examples=25)
@given(answers())
def test_a_correct_application_is_clean_whatever_it_answers(answer):
    report = drive(application_of(answer))

    assert report.fault == ""
    assert [(one.rule.id, one.seen, one.case) for one in report.failures()] == []


class Layer(NamedTuple):
    """What a correct middleware chose to do."""

    upper: bool
    banner: bytes
    field: str
    environ_copied: bool
    passes_result: bool


LAYERS = st.builds(Layer, st.booleans(), st.binary(max_size=9), TOKENS, st.booleans(), st.booleans())


def middleware_of(layer):
    def middleware(app):
        def wrapped(environ, start_response):
            def start(status, headers, exc_info=None):
                if layer.banner and not layer.passes_result:
                    headers = [field for field in headers if field[0].lower() != "content-length"]
                write = start_response(status, [*headers, (layer.field, "1")], exc_info)
                return lambda data: write(changed(data))

            if layer.environ_copied:
                environ = environ.copy()
            blocks = app(environ, start)
            return blocks if layer.passes_result else Changed(blocks)

        return wrapped

    def changed(block):
        if layer.passes_result or not block:
            return block
        return (block.upper() if layer.upper else block) + layer.banner

    class Changed:
        def __init__(self, blocks):
            self.iterator = iter(blocks)
            if hasattr(blocks, "close"):
                self.close = blocks.close

        def __iter__(self):
            return self

        def __next__(self):
            return changed(next(self.iterator))

    return middleware


@settings(max_examples=20)
@given(LAYERS)
def test_correct_middleware_is_clean_whatever_it_does(layer):
    report = judge_middleware(middleware_of(layer))

    assert report.fault == ""
    assert [(one.rule.id, one.seen, one.case) for one in report.failures()] == []


@settings(max_examples=10)
@given(answers(), LAYERS)
def test_a_correct_application_behind_correct_middleware_is_clean(answer, layer):
    report = drive(middleware_of(layer)(application_of(answer)))

    assert [(one.rule.id, one.seen, one.case) for one in report.failures()] == []
