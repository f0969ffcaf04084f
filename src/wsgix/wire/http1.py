"""The head of an HTTP/1.1 request: from bytes to CGI variables, framing and persistence. Sans-I/O.

One `RequestReader` serves one connection. It owns no buffer, no socket and no clock; the connection shows it
what has arrived, and it answers with the variables, `NEED_MORE` or a refusal. `http1_body` decodes content.

A head is read in one of two ways. `_walk` judges line by line and is the definition: its verdict depends on
the bytes alone, never on how they were cut. `read` first tries a short cut, for a head that is whole, small
and made of field names seen before (`http1_section`); whatever is unusual in it falls through to `_walk`.
"""

import enum
from typing import Final, Literal, NamedTuple, TypeAlias

from wsgix.core.framing import HTTP_1_0, NO_BODY, Outcome
from wsgix.facts.names import IMPERSONAL_VARIABLES
from wsgix.facts.refusals import (
    BARE_LF,
    EMPTY_LINES,
    FIELDS_TOO_LARGE,
    LINE_TOO_LONG,
    Refusal,
)
from wsgix.wire.fields import Pair, cgi_variables, parse_field_line
from wsgix.wire.http1_section import Environ, SectionReader, learn_names
from wsgix.wire.limits import DEFAULT_LIMITS, Limits
from wsgix.wire.target import RequestLine, known_lines, parse_request_line


class Step(enum.Enum):
    """How far a reader or decoder has come, where it has nothing to refuse."""

    NEED_MORE = enum.auto()
    COMPLETE = enum.auto()


NEED_MORE: Final = Step.NEED_MORE
COMPLETE: Final = Step.COMPLETE

Head: TypeAlias = Environ | Refusal | Literal[Step.NEED_MORE]
"""What reading a head comes to."""

_KNOWN_HEADS: Final = 256
_KNOWN_HEAD: Final = 1024


class KnownHead(NamedTuple):
    """What a head comes to: its line, its variables, those of the line included, and the wish."""

    line: RequestLine
    variables: dict[str, str]
    wish: Outcome
    is_usual: bool

    @property
    def framing(self) -> int:
        """There is no content."""
        return NO_BODY


class KnownHeads(dict[bytes, KnownHead]):
    """Heads with which connections have begun, to what they come to; for all connections with these limits.

    Only what many clients may send alike and nobody keeps to himself: no content, no query, no field that
    identifies its user.
    """

    __slots__ = ("small",)

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__()
        # A head of this size or less keeps every limit but the number of its fields.
        self.small = min(limits.request_line, limits.field, limits.head - 4)

    def find(self, buffer: bytes | bytearray) -> KnownHead | None:
        """Return what *buffer* comes to, if it is one head that is known and nothing else."""
        return self.get(buffer) if type(buffer) is bytes and len(buffer) <= _KNOWN_HEAD else None


class RequestReader(SectionReader):
    """Reads the request heads of one connection, one after the other.

    After a head was read these attributes, and those of `SectionReader`, describe the request, until the next
    call of `read`:

    Attributes:
        line: the request line.
        is_usual: whether there is nothing that the response must heed: it is not HEAD, nor HTTP/1.0. Whoever
            knows of something else may say so.
        end: where the head ends in the buffer; content or the next request begins there.
        request: the bytes of the head, if for the same template they would be read as they were, all
            attributes included; else None. What `read` returns then is a copy of `merged`.
    """

    __slots__ = (
        "_empty_lines",
        "_head",
        "_known",
        "_pairs",
        "_position",
        "_refusal",
        "_request_line",
        "_scheme",
        "_searched",
        "_small",
        "end",
        "is_usual",
        "line",
        "request",
    )

    line: RequestLine
    is_usual: bool
    end: int

    def __init__(
        self, limits: Limits = DEFAULT_LIMITS, scheme: str = "http", known: KnownHeads | None = None
    ) -> None:
        """Take the limits, the scheme that the connection serves, "http" or "https", and what is known.

        What is known is only added to here. Whoever has *known* looks there before it makes a reader.
        """
        if known is None:
            known = KnownHeads(limits)
        SectionReader.__init__(self, limits)
        self._scheme = scheme
        self._known = known
        self._small = known.small
        self._refusal: Refusal | None = None
        self._searched = 0
        self.request: bytes | None = None

    @property
    def line_so_far(self) -> RequestLine | None:
        """The request line of a head that is not whole or was refused; None if it is not known."""
        return self._request_line if self._searched else None

    def forget(self) -> None:
        """Drop what is remembered of the last head."""
        SectionReader.forget(self)
        self.request = None

    def _restart(self) -> None:
        """Begin to walk; `_searched` is 0 until something was found."""
        # Where the walk stands, relative to the start of the request.
        self._position = 0  # of the first line not yet judged
        self._searched = 0  # up to here there is no further LF
        self._head = 0  # of the request line, behind empty lines
        self._empty_lines = 0
        self._request_line: RequestLine | None = None
        self._pairs: list[Pair] = []

    def read(self, buffer: bytes | bytearray, start: int, template: Environ) -> Head:
        """Read the head that begins at `start`.

        After `NEED_MORE`, call again with the same request at `start`, more bytes behind it, and the same
        template. The search goes on where it stopped: the work is linear in the bytes, however they are cut.
        After a refusal the connection is lost: every further call refuses again.

        Args:
            buffer: what has arrived; not changed, not kept.
            start: index of the first byte that belongs to no earlier request.
            template: variables that are the same for all requests of the connection; not changed.

        Returns:
            A fresh dict, the template with the request's variables over it (SCRIPT_NAME stays as it was);
            or `NEED_MORE`; or the refusal.
        """
        if template is self._template:
            # Who polls asks for the same thing again and again.
            request = self.request
            if request is not None and buffer.startswith(request, start):
                self._searched = 0
                self.end = start + len(request)
                return self.merged.copy()
            if not start and self.framing == NO_BODY and isinstance(buffer, bytes):
                environ = self._read_alike(buffer)
                if environ is not None:
                    return environ
        searched = self._searched
        end = buffer.find(b"\r\n\r\n", start + searched - 3 if searched > 3 else start)
        if end < 0 or end - start > self._small:
            return self._walk(buffer, start, template)
        line_end = buffer.find(b"\r\n", start)
        if isinstance(buffer, bytes):
            line = buffer[start:line_end]
            block = buffer[line_end + 2 : end + 2]
        else:
            line = bytes(buffer[start:line_end])
            block = bytes(buffer[line_end + 2 : end + 2])

        request_line = known_lines.get(line) or parse_request_line(line, self._scheme)
        if isinstance(request_line, Refusal):
            return self._walk(buffer, start, template)
        version = request_line[4]
        if (
            (block != self._block or version != self._block_version)
            and not self._fit(block, version)
            and not self._reread(block, version)
            and not self._read_block(block, version)
        ):
            return self._walk(buffer, start, template)
        if template is not self._template:
            self.request = None
            self._template = template
            environ = self._publish(request_line, template | self._variables, end + 4)
            self._make_known(buffer, start)
            return environ
        environ = self._publish_merged(request_line, end + 4)
        if request_line[5] is None:
            self.request = bytes(buffer[start : end + 4])
        return environ

    def _make_known(self, buffer: bytes | bytearray, start: int) -> None:
        """Have the head that was just read, at *start*, known to other connections, if it may be."""
        line = self.line
        if (
            self.framing == NO_BODY
            and not line.query
            and line.authority is None
            and self._variables.keys() <= IMPERSONAL_VARIABLES
            and self.end - start <= _KNOWN_HEAD
        ):
            if len(self._known) >= _KNOWN_HEADS:
                self._known.clear()
            variables = self._publish(line, self._variables.copy(), self.end)
            head = bytes(buffer[start : self.end])
            self._known[head] = KnownHead(line, variables, self.wish, self.is_usual)

    def _read_alike(self, buffer: bytes) -> Environ | None:
        """Read bytes that are one head like the last one; None if they are anything else.

        The end of the head is not looked for: a section that is equal to the last one, or has as many lines,
        each for the same variable, has no empty line within.
        """
        if self._searched or len(buffer) > self._small or not buffer.endswith(b"\r\n\r\n"):
            return None
        line_end = buffer.find(b"\r\n")
        line = buffer[:line_end]
        request_line = known_lines.get(line) or parse_request_line(line, self._scheme)
        if isinstance(request_line, Refusal):
            return None
        version = request_line[4]
        block = buffer[line_end + 2 : -2]
        if (
            (block != self._block or version != self._block_version)
            and not self._fit(block, version)
            and not self._reread(block, version)
        ):
            return None
        environ = self._publish_merged(request_line, len(buffer))
        if request_line[5] is None:
            self.request = buffer
        return environ

    def _publish_merged(self, line: RequestLine, end: int) -> Environ:
        """Publish on the template of the last request, with what is remembered laid over it."""
        self.request = None
        # The memory of both is worth its place from the second request on.
        if self._is_merged:
            merged = self.merged
        else:
            merged = self.merged = (self._template or {}) | self._variables
            self._is_merged = True
        self._publish(line, merged, end)
        if line[5] is not None:
            # The Host that gave way to the target's authority is to come back with the next request; and this
            # dict is the application's from here on.
            self._is_merged = False
            self.merged = {}
            return merged
        return merged.copy()

    def _walk(self, buffer: bytes | bytearray, start: int, template: Environ) -> Head:
        """Go on line by line from where the last call stopped: sizes first, then syntax."""
        if not self._searched:
            self._restart()
        refusal = self._refusal
        while refusal is None:
            begin = start + self._position
            newline = buffer.find(b"\n", start + self._searched)
            stop = newline if newline >= 0 else len(buffer)
            refusal = self._check_size(stop - begin, stop - start - self._head)
            if refusal is not None:
                break
            if newline < 0:
                self._searched = stop - start
                return NEED_MORE
            self._position = self._searched = newline + 1 - start
            if newline == begin or buffer[newline - 1] != 0x0D:
                refusal = BARE_LF
            elif newline - 1 > begin:
                refusal = self._take_line(bytes(buffer[begin : newline - 1]))
            elif self._request_line is not None:
                return self._finish(self._request_line, buffer, start, template)
            else:
                refusal = self._take_empty_line()
        return self._refuse(refusal)

    def _check_size(self, line: int, head: int) -> Refusal | None:
        # The CR of a whole line is in both sizes. A line that is not yet whole is judged alike: as both sizes
        # only grow, the verdict is the same once the line is whole.
        if self._request_line is None:
            return LINE_TOO_LONG if line > self._limits.request_line + 1 else None
        too_large = line > self._limits.field + 1 or head >= self._limits.head
        return FIELDS_TOO_LARGE if too_large else None

    def _take_empty_line(self) -> Refusal | None:
        # "a server that is expecting to receive and parse a request-line SHOULD ignore at least one empty
        # line (CRLF) received prior to the request-line" (RFC 9112, 2.2)
        self._empty_lines += 1
        self._head = self._position
        return EMPTY_LINES if self._empty_lines > self._limits.empty_lines else None

    def _take_line(self, line: bytes) -> Refusal | None:
        if self._request_line is None:
            request_line = parse_request_line(line, self._scheme)
            if isinstance(request_line, Refusal):
                return request_line
            self._request_line = request_line
            return None
        if len(self._pairs) == self._limits.fields:
            return FIELDS_TOO_LARGE
        pair = parse_field_line(line)
        if isinstance(pair, Refusal):
            return pair
        self._pairs.append(pair)
        return None

    def _finish(
        self, line: RequestLine, buffer: bytes | bytearray, start: int, template: Environ
    ) -> Environ | Refusal:
        """Judge the head as a whole; every line of it is in order."""
        variables = cgi_variables(self._pairs, self._limits.refuse_underscores)
        if isinstance(variables, Refusal):
            return self._refuse(variables)
        refusal = self._settle(line.version, variables)
        if refusal is not None:
            return self._refuse(refusal)
        end = start + self._position
        if end - start <= self._small:
            fields = buffer.find(b"\n", start + self._head) + 1
            block = bytes(buffer[fields : end - 2])
            lines = block.decode("latin-1").split("\r\n")
            # Where each line has a variable of its own, the next section may be read line by line beside it.
            self.request = None
            self._remember(block, lines if len(variables) == len(lines) - 1 else [], line.version, variables)
        else:
            self.forget()
        learn_names(self._pairs)
        return self._publish(line, template | variables, end)

    def _publish(self, line: RequestLine, environ: Environ, end: int) -> Environ:
        method, path, query, target, version, authority = line
        environ["REQUEST_METHOD"] = method
        environ["PATH_INFO"] = path
        environ["QUERY_STRING"] = query
        environ["REQUEST_URI"] = environ["RAW_URI"] = target
        environ["SERVER_PROTOCOL"] = version
        # "the origin server MUST ignore the received Host header field (if any) and instead use the host
        # information of the request-target" (RFC 9112, 3.2.2)
        if authority is not None:
            environ["HTTP_HOST"] = authority
        self._searched = 0
        self.line = line
        self.is_usual = method != "HEAD" and version != HTTP_1_0
        self.end = end
        return environ

    def _refuse(self, refusal: Refusal) -> Refusal:
        self._refusal = refusal
        self._small = -1  # closes the short cuts: nothing is read after a refusal
        self.request = None
        return refusal
