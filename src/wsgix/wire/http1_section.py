"""The header section of one HTTP/1.1 request beside that of the one before. Sans-I/O.

Browsers and proxies send nearly the same fields each time. `SectionReader`, the base of `RequestReader`,
remembers the last section of its connection, with what came of it, and reads of the next one only what
differs. Whatever is unusual in a section it leaves to others: it never refuses. Secrets stay with their
connection.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, TypeAlias

from wsgix.core.framing import NO_BODY, Outcome, expects_continue, keep_alive, request_framing
from wsgix.facts.refusals import BODY_TOO_LARGE, Refusal
from wsgix.wire.fields import FORBIDDEN_BYTES, Pair, cgi_key, check_host, has_forbidden
from wsgix.wire.limits import Limits

Environ: TypeAlias = dict[str, Any]

_VARYING: Final = 8
"""Values of a section that may vary, to be read without the lines between them."""
_UNKNOWN_LINE: Final = "\r\n"
"""No line is equal to it."""

_KEYS_SIZE: Final = 1024
_KEY_LENGTH: Final = 64

_keys: Final[dict[str, str]] = {}
"""Field name, in the case received, to CGI variable, for all connections. Dropped names are never in it."""

_DECISIVE: Final = frozenset(
    {"HTTP_HOST", "CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "HTTP_EXPECT", "HTTP_CONNECTION"}
)
"""The variables from which `_settle` decides: if one of them changes, it must decide anew."""

# Few versions and options make up nearly all traffic.
_keep_alive: Final = lru_cache(64)(keep_alive)


class SectionReader:
    """Reads the field lines of the requests of one connection, one section after the other.

    Attributes:
        framing: of the content: `NO_BODY`, its length in bytes, or `CHUNKED`.
        wish: `KEEP` or `CLOSE`, as the client wants it.
        expects_continue: whether the client waits for 100 (Continue) before it sends its content.
        merged: the variables of the last request over its template, while `_is_merged`.
    """

    __slots__ = (
        "_block",
        "_block_version",
        "_first",
        "_is_decisive",
        "_is_merged",
        "_limits",
        "_lines",
        "_template",
        "_variables",
        "_varying",
        "expects_continue",
        "framing",
        "merged",
        "wish",
    )

    framing: int
    wish: Outcome
    expects_continue: bool

    # Of `_first`, where there is one: each variable with a value that has varied, what stands between this
    # value and the next, and the size of that; and whether one of them is decisive.
    _varying: list[tuple[str, bytes, int]]
    _is_decisive: bool

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        SectionReader.forget(self)

    def forget(self) -> None:
        """Drop what is remembered of the last section."""
        # Byte for byte; line by line; what stands before the first value that has varied, b"" if none has.
        self._block: bytes | None = None
        self._lines: list[str] = []
        self._first = b""
        self._template: Environ | None = None
        self._is_merged = False
        self.merged: Environ = {}

    def _fit(self, block: bytes, version: str) -> bool:
        """Read the values that have varied; False if anything else differs from the last request.

        What is equal was found to be in order then, and still stands.
        """
        first = self._first
        if not first or version != self._block_version or not block.startswith(first):
            return False
        # From here on the memory of the whole section stands only if all of it fits.
        self._block = None
        variables = self._variables
        merged = self.merged
        begin = len(first)
        for key, rest, size in self._varying:
            end = block.find(b"\r\n", begin)
            if not block.startswith(rest, end):
                return False
            value = block[begin:end].decode("latin-1").strip(" \t")
            # "Field values containing CR, LF, or NUL characters are invalid and dangerous" (RFC 9110, 5.5)
            if not (value.isascii() and value.isprintable()) and has_forbidden(value):
                return False
            variables[key] = merged[key] = value
            begin = end + size
        if begin != len(block) or (self._is_decisive and not self._settles_anew(version, variables)):
            return False
        self._block = block
        return True

    def _reread(self, block: bytes, version: str) -> bool:
        """Read the field lines that differ from those of the last request; False if it is not so like it.

        There must be as many lines as before, for the same variables in the same order. What an unchanged
        line says was found to be in order then, and still stands.
        """
        before = self._lines
        if not before or version != self._block_version:
            return False
        lines = block.decode("latin-1").split("\r\n")
        if len(lines) != len(before):
            return False
        # From here on nothing stands unless all of it does.
        self._block = None
        self._lines = []
        self._first = b""
        variables = self._variables
        merged = self.merged
        varying = []
        keys = _keys
        # Each line has a variable of its own, so that they stand in the same order.
        for line, last, key in zip(lines, before, variables, strict=False):
            if line == last:
                continue
            name, colon, value = line.partition(":")
            if not colon or keys.get(name) != key:
                return False
            value = value.strip(" \t")
            # "Field values containing CR, LF, or NUL characters are invalid and dangerous" (RFC 9110, 5.5)
            if not (value.isascii() and value.isprintable()) and has_forbidden(value):
                return False
            variables[key] = merged[key] = value
            varying.append(key)
        is_decisive = not _DECISIVE.isdisjoint(varying)
        if is_decisive and not self._settles_anew(version, variables):
            return False
        self._block = block
        self._lines = lines
        self._is_decisive = is_decisive
        if len(varying) <= _VARYING:
            self._expect(lines, varying)
        return True

    def _settles_anew(self, version: str, variables: dict[str, str]) -> bool:
        """Decide again what follows from the fields together; False if they are to be refused."""
        self._is_merged = False
        return self._settle(version, variables) is None

    def _expect(self, lines: list[str], varying: list[str]) -> None:
        """Have `_fit` read the next section, if only the values of *varying* variables differ from *lines*.

        Their lines are no longer known then.
        """
        pieces = []
        piece = ""
        for index, (line, key) in enumerate(zip(lines, self._variables, strict=False)):
            if key in varying:
                name, colon, _ = line.partition(":")
                pieces.append(f"{piece}{name}{colon}".encode("latin-1"))
                piece = "\r\n"
                lines[index] = _UNKNOWN_LINE
            else:
                piece = f"{piece}{line}\r\n"
        self._first, *rests = [*pieces, piece.encode("latin-1")]
        self._varying = [(key, rest, len(rest)) for key, rest in zip(varying, rests, strict=True)]

    def _read_block(self, block: bytes, version: str) -> bool:
        """Read field lines that are in order and whose names are known; False leaves them to `_walk`."""
        lines = block.decode("latin-1").split("\r\n")
        count = len(lines) - 1
        # All controls but HTAB are forbidden, so that only the CR LF of each line may be found.
        if (
            count > self._limits.fields
            or len(block) - len(block.translate(None, FORBIDDEN_BYTES)) != 2 * count
        ):
            return False
        keys = _keys
        variables = {}
        try:
            for line in lines[:-1]:
                name, colon, value = line.partition(":")
                if not colon:
                    return False
                variables[keys[name]] = value.strip(" \t")
        except KeyError:
            return False
        # A repeated field leaves fewer variables than lines.
        if len(variables) != count or self._settle(version, variables) is not None:
            return False
        self._remember(block, lines, version, variables)
        return True

    def _remember(self, block: bytes, lines: list[str], version: str, variables: dict[str, str]) -> None:
        self._block = block
        self._block_version = version
        self._lines = lines
        self._first = b""
        self._variables = variables
        self._is_merged = False
        self._template = None

    def _settle(self, version: str, variables: dict[str, str]) -> Refusal | None:
        """Decide what follows from the fields together: framing, wish and expectation."""
        refusal = check_host(version, variables.get("HTTP_HOST"))
        if refusal is not None:
            return refusal
        length = variables.get("CONTENT_LENGTH")
        framing = request_framing(version, length, variables.get("HTTP_TRANSFER_ENCODING"))
        if isinstance(framing, Refusal):
            return framing
        if framing > self._limits.body:
            return BODY_TOO_LARGE
        if length is not None:
            # Leading zeros are grammatical; an application may read them as octal.
            variables["CONTENT_LENGTH"] = str(framing)
        expectation = variables.get("HTTP_EXPECT")
        expected = expectation is not None and expects_continue(version, expectation)
        if isinstance(expected, Refusal):
            return expected
        self.framing = framing
        self.wish = _keep_alive(version, variables.get("HTTP_CONNECTION"))
        # Without content there is nothing to wait for (RFC 9110, 10.1.1).
        self.expects_continue = expected and framing != NO_BODY
        return None


def learn_names(pairs: Iterable[Pair]) -> None:
    """Have the names of fields that are in order known, for all connections."""
    for name, _ in pairs:
        key = cgi_key(name)
        if key is not None and len(name) <= _KEY_LENGTH:
            if len(_keys) >= _KEYS_SIZE:
                _keys.clear()
            _keys[name] = key
