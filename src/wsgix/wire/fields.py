"""The grammar of field lines, for header and trailer sections, and how fields become CGI variables.

Every codec that reads field lines reads them here: there is one grammar, and `Laxity` names the only ways
out of it. Pure functions; this module neither keeps a buffer nor decides framing.
"""

import enum
import re
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from wsgix.core.framing import HTTP_1_0
from wsgix.facts.grammar import FORBIDDEN_IN_VALUE, OWS, TCHAR
from wsgix.facts.names import (
    DROPPED_FIELDS,
    LIST_SEPARATOR,
    LIST_SEPARATORS,
    SINGLETON_FIELDS,
    UNPREFIXED,
)
from wsgix.facts.refusals import (
    BAD_FIELD_NAME,
    BAD_FIELD_VALUE,
    BAD_HOST,
    BARE_LF,
    FIELDS_TOO_LARGE,
    NO_COLON,
    NO_HOST,
    OBS_FOLD,
    REPEATED_FIELD,
    UNDERSCORE,
    Refusal,
)
from wsgix.wire.limits import DEFAULT_LIMITS, Limits
from wsgix.wire.target import is_authority

Pair: TypeAlias = tuple[str, str]

FORBIDDEN_BYTES: Final = FORBIDDEN_IN_VALUE.encode("latin-1")
"""The bytes that no field line holds: all controls but HTAB, so CR and LF too."""

is_token: Final = re.compile(f"[{re.escape(TCHAR)}]+").fullmatch

has_forbidden: Final = re.compile(f"[{re.escape(FORBIDDEN_IN_VALUE)}]").search
"""Finds a character that no field value holds."""


class Laxity(enum.Flag):
    """Ways in which `read_fields` may be less strict than this package is by default."""

    NONE = 0
    BARE_LF = enum.auto()
    """A line may end with LF alone, which a recipient may take for a line end (RFC 9112, 2.2)."""
    OBS_FOLD = enum.auto()
    """A line that begins with white space continues the one before, joined by one SP (RFC 9112, 5.2)."""
    NO_HOST = enum.auto()
    """HTTP/1.1 without Host passes, against RFC 9112, 3.2."""


def parse_field_line(line: bytes) -> Pair | Refusal:
    """Split one field line, its CR LF removed, into name and value (latin-1), or refuse it.

    `field-line = field-name ":" OWS field-value OWS` (RFC 9112, 5).
    """
    # "A server MUST reject, with a response status code of 400 (Bad Request), any received request message
    # that contains whitespace between a header field name and colon" (RFC 9112, 5.1): a space is no tchar.
    name, colon, value = line.decode("latin-1").partition(":")
    if name[:1] in (" ", "\t"):
        return OBS_FOLD
    if not colon:
        return NO_COLON
    if not is_token(name):
        return BAD_FIELD_NAME
    # "Field values containing CR, LF, or NUL characters are invalid and dangerous" (RFC 9110, 5.5), and those
    # with other controls invalid.
    if len(line.translate(None, FORBIDDEN_BYTES)) != len(line):
        return BAD_FIELD_VALUE
    # OWS is SP and HTAB: str.strip() without an argument would take NEL, NBSP and the like with it.
    return name, value.strip(OWS)


def cgi_key(name: str) -> str | None:
    """Spell the CGI variable of a request field (RFC 3875, 4.1.18); None if it has none.

    A name with an underscore has none: HTTP_X_Y could not be told from the variable of "X-Y".
    """
    lower = name.lower()
    if "_" in name or lower in DROPPED_FIELDS:
        return None
    return UNPREFIXED.get(lower) or "HTTP_" + name.upper().replace("-", "_")


def cgi_variables(pairs: Iterable[Pair], refuse_underscores: bool) -> dict[str, str] | Refusal:
    """Turn the fields of a request into CGI variables, joining those that are repeated."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        if refuse_underscores and "_" in name:
            return UNDERSCORE
        values.setdefault(name.lower(), []).append(value)
    variables = {}
    for name, several in values.items():
        if len(several) > 1 and name in SINGLETON_FIELDS:
            return REPEATED_FIELD
        key = cgi_key(name)
        if key is not None:
            variables[key] = LIST_SEPARATORS.get(name, LIST_SEPARATOR).join(several)
    return variables


def check_host(version: str, host: str | None, *, may_lack: bool = False) -> Refusal | None:
    """Judge the value of Host, None where it is absent; None if it stands (RFC 9112, 3.2).

    "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a
    Host header field and to any request message that contains ... a Host header field with an invalid field
    value." An empty value is grammatical, but the http scheme has no empty host (RFC 9110, 4.2.1).
    """
    if host is None:
        return None if version == HTTP_1_0 or may_lack else NO_HOST
    return None if is_authority(host) else BAD_HOST


def read_fields(
    lines: Sequence[bytes], version: str, lax: Laxity = Laxity.NONE, limits: Limits = DEFAULT_LIMITS
) -> list[Pair] | Refusal:
    """Read a header section from its raw lines, as `readline()` gives them.

    Args:
        lines: each with its line end; the empty line that ends the section is left out or comes last.
        version: the protocol version of the request line, such as "HTTP/1.1".
        lax: what is tolerated beyond the strict grammar.
        limits: `field` bounds each field (folded lines together), `fields` their number.

    Returns:
        (name, value) pairs in the order received, both latin-1, or the refusal.
    """
    joined: list[bytes] = []
    for raw in lines:
        if raw.endswith(b"\r\n"):
            line = raw[:-2]
        elif lax & Laxity.BARE_LF and raw.endswith(b"\n"):
            line = raw[:-1]
        else:
            return BARE_LF
        if not line:
            break
        if line[0] in b" \t" and joined and lax & Laxity.OBS_FOLD:
            # "replace each received obs-fold with one or more SP octets" (RFC 9112, 5.2)
            joined[-1] += b" " + line.strip(b" \t")
        else:
            joined.append(line)
        if len(joined) > limits.fields or len(joined[-1]) > limits.field:
            return FIELDS_TOO_LARGE
    return _check_section(joined, version, may_lack_host=bool(lax & Laxity.NO_HOST))


def _check_section(lines: Iterable[bytes], version: str, *, may_lack_host: bool) -> list[Pair] | Refusal:
    pairs: list[Pair] = []
    singletons: dict[str, str] = {}
    repeated = False
    for line in lines:
        pair = parse_field_line(line)
        if isinstance(pair, Refusal):
            return pair
        pairs.append(pair)
        name = pair[0].lower()
        if name in SINGLETON_FIELDS:
            repeated = repeated or name in singletons
            singletons[name] = pair[1]
    if repeated:
        return REPEATED_FIELD
    return check_host(version, singletons.get("host"), may_lack=may_lack_host) or pairs
