"""Response headers as a mapping over PEP 3333's list of pairs: the name of `wsgiref.headers`.

Anyone may use it. It knows text and control characters; which fields a response may or must have is decided
by those who own a response.
"""

import re
from collections.abc import Iterator
from typing import overload

from wsgix.facts.grammar import CTL, FORBIDDEN_IN_VALUE

tspecials = re.compile(r'[ ()<>@,;:\\"/\[\]?=]')
"""A space, or what RFC 2045, 5.1, lists as tspecials: a parameter value with one of these needs quotes."""

_name_disallowed_re = re.compile(f"[{re.escape(CTL)}]")
_value_disallowed_re = re.compile(f"[{re.escape(FORBIDDEN_IN_VALUE)}]")


class Headers:
    r"""The fields of a response: ordered, with case-insensitive names, and repeated where they must be.

    Arguments:
        headers: a list of (name, value) pairs, both exactly `str` holding latin-1 characters. The list is
            wrapped, not copied: every change is made in it. None stands for a new, empty list.

    A name looks up its first field, missing names give None, and deleting what is not there does nothing.
    Iterating gives the names, as `keys()` does. The given list is checked once, and all that is set here;
    what others put into the list later is not.

    Raises, here and wherever something is set:
        TypeError: `headers` is not exactly a list.
        AssertionError: a name or a value is not exactly a `str`.
        ValueError: a name or a value has a control character, by which one field could become two. A tab
            may stand in a value.

    Source: PEP 3333, "The start_response() Callable"; RFC 9110, 5.1 and 5.5.

    >>> headers = Headers([("Content-Type", "text/plain")])
    >>> headers["content-type"] = "text/html"
    >>> headers.add_header("Content-Disposition", "attachment", filename="bud.gif")
    >>> bytes(headers)
    b'content-type: text/html\r\nContent-Disposition: attachment; filename="bud.gif"\r\n\r\n'
    """

    def __init__(self, headers: list[tuple[str, str]] | None = None) -> None:
        if headers is None:
            headers = []
        elif type(headers) is not list:
            raise TypeError("Headers must be a list of name/value tuples")
        self._headers = headers
        # Every response pays for this loop. Nearly all text is printable, and then has no control character.
        for name, value in headers:
            if type(name) is not str or not name.isprintable():
                self._convert_string_type(name, name=True)
            if type(value) is not str or not value.isprintable():
                self._convert_string_type(value)

    def _convert_string_type(self, value: object, *, name: bool = False) -> str:
        """Return the value if it may stand in a field, as its name or else as its value."""
        if type(value) is not str:
            raise _wrong_type(value)
        if value.isprintable():
            return value
        # "Field values containing CR, LF, or NUL characters are invalid and dangerous" (RFC 9110, 5.5). A
        # value "must not include any control characters" (PEP 3333); we allow HTAB in it, as HTTP does.
        if (_name_disallowed_re if name else _value_disallowed_re).search(value):
            raise ValueError("Control characters not allowed in headers")
        return value

    def __len__(self) -> int:
        """Return the number of fields, repeated ones included."""
        return len(self._headers)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, as `keys()` gives them."""
        return iter(self.keys())

    def __contains__(self, name: str) -> bool:
        wanted = name.lower() if type(name) is str else _lowered(name)
        length = len(wanted)
        for field_name, _ in self._headers:
            if len(field_name) == length and field_name.lower() == wanted:
                return True
        return False

    def __getitem__(self, name: str) -> str | None:
        return self.get(name)

    def __setitem__(self, name: str, val: str) -> None:
        """Replace all fields of that name by one, at the end."""
        if not (type(name) is type(val) is str and name.isprintable() and val.isprintable()):
            name = self._convert_string_type(name, name=True)
            val = self._convert_string_type(val)
        if name in self:
            del self[name]
        self._headers.append((name, val))

    def __delitem__(self, name: str) -> None:
        """Remove all fields of that name, if there are any."""
        wanted = _lowered(name)
        self._headers[:] = [field for field in self._headers if field[0].lower() != wanted]

    @overload
    def get(self, name: str, default: str) -> str: ...

    @overload
    def get(self, name: str, default: str | None = None) -> str | None: ...

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the value of the first field of that name, or `default` if there is none."""
        wanted = name.lower() if type(name) is str else _lowered(name)
        length = len(wanted)  # latin-1 text keeps its length in lower case, so most names need no lowering
        for field_name, value in self._headers:
            if len(field_name) == length and field_name.lower() == wanted:
                return value
        return default

    def get_all(self, name: str) -> list[str]:
        """Return the values of all fields of that name, in their order."""
        wanted = _lowered(name)
        return [value for field_name, value in self._headers if field_name.lower() == wanted]

    def keys(self) -> list[str]:
        """Return a new list of all names, in their order and as they were spelled, repetitions included."""
        return [name for name, _ in self._headers]

    def values(self) -> list[str]:
        """Return a new list of all values, in their order."""
        return [value for _, value in self._headers]

    def items(self) -> list[tuple[str, str]]:
        """Return a new list of all (name, value) pairs, in their order."""
        return self._headers[:]

    def setdefault(self, name: str, value: str) -> str:
        """Return the value of the first field of that name; if there is none, add it at the end first."""
        present = self.get(name)
        if present is None:
            self._headers.append(
                (self._convert_string_type(name, name=True), self._convert_string_type(value))
            )
            return value
        return present

    def add_header(self, _name: str, _value: str | None, **_params: str | None) -> None:
        """Add a field at the end, beside others of its name, with parameters after its value.

        Arguments:
            _name: the name of the field.
            _value: what stands before the parameters; None for parameters alone.
            _params: parameter names with "_" for "-", and their values, which are put in quotes; None, or the
                empty string, for a parameter without a value.

        Source: parameters are those of RFC 9110, 5.6.6.
        """
        parts = [] if _value is None else [self._convert_string_type(_value)]
        for param, value in _params.items():
            param = self._convert_string_type(param, name=True).replace("_", "-")
            parts.append(_formatparam(param, None if value is None else self._convert_string_type(value)))
        self._headers.append((self._convert_string_type(_name, name=True), "; ".join(parts)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._headers!r})"

    def __str__(self) -> str:
        """Return the header section as text: a line for each field, then the empty line."""
        return "\r\n".join([*map(": ".join, self._headers), "", ""])

    def __bytes__(self) -> bytes:
        """Return the header section as it is sent.

        Raises:
            UnicodeEncodeError: a character is not latin-1.
        """
        return self.__str__().encode("latin-1")  # as str(self), without the way through C


def _wrong_type(value: object) -> AssertionError:
    return AssertionError(f"Header names/values must be of type str (got {value!r})")


def _lowered(name: str) -> str:
    """Return the name as lookups compare it. Subclasses of `str` may ask, though they may not be stored."""
    if isinstance(name, str):
        return name.lower()
    raise _wrong_type(name)


def _formatparam(param: str, value: str | None = None, quote: int = 1) -> str:
    """Spell a parameter, with its value in quotes if `quote` is true or the value needs them."""
    if not value:
        return param
    if quote or tspecials.search(value):
        # no quoted-pair "except where necessary to quote DQUOTE and backslash octets" (RFC 9110, 5.6.4)
        value = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{param}={value}"
