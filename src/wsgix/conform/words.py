"""How the referee tells of a value: any value at all, and also one that does not want to be printed.

Rules, the watch and the compatible validator ask here. A finding must not give way to what a `repr()` raises.
"""

from __future__ import annotations

from reprlib import repr as _short_repr


def shown(value: object) -> str:
    """Return `repr(value)`, or its type and address if that fails."""
    try:
        return repr(value)
    except Exception:
        return object.__repr__(value)


def shown_short(value: object) -> str:
    """Return `repr(value)` cut to a few words, or its type and address if that fails."""
    try:
        return _short_repr(value)
    except Exception:
        return object.__repr__(value)


def said(error: BaseException) -> str:
    """Return `str(error)` in one line, or "" if that fails: its class may be the application's code."""
    try:
        return " ".join(str(error).split())
    except Exception:
        return ""
