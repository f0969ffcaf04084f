"""The file wrapper: blocks, the file behind it, its end."""

import io

import pytest

from wsgix.core.files import FileWrapper


def test_a_file_wrapper_yields_blocks_of_the_size_asked_for():
    wrapper = FileWrapper(io.BytesIO(b"abcdefg"), blksize=3)

    assert iter(wrapper) is wrapper
    assert list(wrapper) == [b"abc", b"def", b"g"]


def test_a_file_wrapper_asks_for_8192_bytes_by_default():
    assert [len(block) for block in FileWrapper(io.BytesIO(bytes(10000)))] == [8192, 1808]


def test_a_file_wrapper_shows_its_file_and_its_block_size():
    file = io.BytesIO()
    wrapper = FileWrapper(file, 5)

    assert wrapper.filelike is file
    assert wrapper.blksize == 5


def test_a_file_wrapper_of_a_text_file_yields_text():
    assert list(FileWrapper(io.StringIO("abc"), 2)) == ["ab", "c"]


def test_the_end_of_the_file_does_not_close_it_and_is_not_final():
    file = io.BytesIO(b"one")
    wrapper = FileWrapper(file)
    assert list(wrapper) == [b"one"]
    assert not file.closed

    file.write(b"two")
    file.seek(3)
    assert list(wrapper) == [b"two"]


def test_a_file_wrapper_closes_its_file():
    file = io.BytesIO()
    FileWrapper(file).close()

    assert file.closed


def test_a_file_wrapper_has_no_close_if_the_file_has_none():
    class Endless:
        def read(self, size=-1):
            return b"x" * size

    wrapper = FileWrapper(Endless(), 2)
    assert next(wrapper) == b"xx"
    assert not hasattr(wrapper, "close")


def test_a_file_wrapper_can_be_read_by_index_whatever_the_index():
    wrapper = FileWrapper(io.BytesIO(b"abcde"), 2)

    assert [wrapper[0], wrapper[0], wrapper["any"]] == [b"ab", b"cd", b"e"]
    with pytest.raises(IndexError):
        wrapper[3]
