"""How much a client may make the codec hold or do, in one frozen record. Whoever makes a reader passes it."""

from typing import Final, NamedTuple


class Limits(NamedTuple):
    """Sizes in bytes, without the CR LF of a line, and counts; each the largest that is accepted."""

    request_line: int = 8190
    """RFC 9112, 3, recommends to support at least 8000."""
    field: int = 8190
    """One field line: name, colon and value."""
    fields: int = 100
    head: int = 65536
    """Request line, field lines and the empty line, each with its CR LF."""
    body: int = 1 << 30
    """The content, whether its length is declared or counted chunk by chunk."""
    chunk_line: int = 4096
    """A chunk size with its extensions."""
    chunk_overhead: int = 16384
    """All chunk extensions of a message together; and how many chunks may come beyond one for two bytes."""
    trailers: int = 16384
    """The trailer section, each line with its CR LF."""
    trailer_fields: int = 100
    empty_lines: int = 4
    """Empty lines before a request line."""
    refuse_underscores: bool = False
    """Whether a field name with an underscore is refused; otherwise the field is dropped."""


DEFAULT_LIMITS: Final = Limits()
