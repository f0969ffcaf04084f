"""The look for chunks: it says the same however the content is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgix.conform.chunked import ChunkedLook


def look_at(*blocks):
    look = ChunkedLook()
    for block in blocks:
        look.feed(block)
    return look


def chunked(*parts, last=b"0\r\n\r\n"):
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + last


CHUNKED = [
    chunked(b"Hello"),
    chunked(b"Hello, ", b"world"),
    chunked(b"x" * 300, b"\r\n0\r\n\r\n"),
    b"00000005\r\nHello\r\n000\r\n\r\n",
    b"A\r\n0123456789\r\n0\r\n\r\n",
]
NOT_CHUNKED = [
    b"",
    b"0\r\n\r\n",
    b"Hello",
    b"5",
    b"5\r\nHello",
    b"5\r\nHello\r\n",
    b"5\r\nHello\r\n0\r\n",
    b"5\r\nHello\r\n0\r\n\n",
    b"5\r\nHello0\r\n\r\n",
    b"5\nHello\n0\n\n",
    b"5\r\rHello\r\n0\r\n\r\n",
    b"5;a=b\r\nHello\r\n0\r\n\r\n",
    b"-5\r\nHello\r\n0\r\n\r\n",
    b"\r\nHello\r\n0\r\n\r\n",
    b"000000005\r\nHello\r\n0\r\n\r\n",
    chunked(b"Hello") + b"\n",
]
CASES = [(content, True) for content in CHUNKED] + [(content, False) for content in NOT_CHUNKED]


@pytest.mark.parametrize(("content", "expected"), CASES)
def test_content_whole_or_byte_by_byte_is_told_alike(content, expected):
    assert look_at(content).is_chunked is expected
    assert look_at(*(content[index : index + 1] for index in range(len(content)))).is_chunked is expected


@given(st.sampled_from(CASES), st.data())
def test_content_cut_anywhere_is_told_alike(case, data):
    content, expected = case
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=5)))

    blocks = [content[start:end] for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]

    assert look_at(*blocks).is_chunked is expected


@pytest.mark.parametrize("content", CHUNKED)
def test_content_with_anything_behind_it_is_not_chunked(content):
    assert not look_at(content, b"x").is_chunked


def test_the_chunks_are_counted_with_the_last_one():
    assert look_at(chunked(b"Hello, ", b"world")).count == 3


@pytest.mark.parametrize(
    ("block", "expected"), [(b"", False), (b"5\r\n", True), (b"f", True), (b"g", False), (b"\r\n", False)]
)
def test_only_content_that_begins_with_a_size_is_worth_a_look(block, expected):
    assert ChunkedLook.may_begin(block) is expected
