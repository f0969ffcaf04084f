"""The file wrapper: blocks, the file behind it, its end."""

import bz2
import gzip
import io
import tempfile

import pytest

from wsgix.core.files import FileWrapper, has_bytes_of_descriptor


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


class Wrapping:
    """A file around another, as frameworks have them."""

    def __init__(self, file):
        self.file = file

    @property
    def read(self):
        return self.file.read

    def close(self):
        self.file.close()


class Decoding(Wrapping):
    """One that changes what is read."""

    def read(self, size=-1):
        return self.file.read(size).swapcase()


class Itself:
    """A file that is its own."""

    def __init__(self):
        self.file = self

    def close(self):
        pass


class Counting(io.BufferedReader):
    """A reader of its own kind."""


def opened(kind, path):
    """Open the file *path* in one of many ways."""
    match kind:
        case "read" | "unbuffered":
            return open(path, "rb", buffering=-1 if kind == "read" else 0)
        case "changed":
            return open(path, "r+b")
        case "text":
            return open(path)
        case "temporary":
            return tempfile.TemporaryFile()
        case "temporary with a name":
            return tempfile.NamedTemporaryFile()
        case "in memory first":
            return tempfile.SpooledTemporaryFile()
        case "wrapped" | "wrapped twice":
            inner = opened("read", path)
            return Wrapping(inner) if kind == "wrapped" else Wrapping(Wrapping(inner))
        case "decoded":
            return Decoding(opened("read", path))
        case "gzip":
            return gzip.open(path)
        case "gzip, buffered":
            return io.BufferedReader(gzip.open(path))
        case "bz2":
            return bz2.open(path)
        case "of its own kind":
            return Counting(io.FileIO(path))
        case "its own":
            return Itself()
        case "bytes" | "wrapped bytes":
            return io.BytesIO() if kind == "bytes" else Wrapping(io.BytesIO())
    raise AssertionError(f"no way to open a file is called {kind}")


PLAIN = ["read", "unbuffered", "changed", "temporary", "temporary with a name", "wrapped", "wrapped twice"]
OTHERS = ["text", "in memory first", "decoded", "gzip", "gzip, buffered", "bz2", "of its own kind", "its own"]


@pytest.mark.parametrize("kind", [*PLAIN, *OTHERS, "bytes", "wrapped bytes"])
def test_only_a_plain_file_is_read_as_its_descriptor_is(tmp_path, kind):
    (tmp_path / "file").write_bytes(b"content")
    file = opened(kind, tmp_path / "file")
    assert has_bytes_of_descriptor(file) == (kind in PLAIN)
    file.close()
