"""The referee: judges applications, middleware and servers by PEP 3333. It shares only `facts` with them.

`watch` holds an application to the rules while it serves.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsgix.conform.strict import Breach as Breach
    from wsgix.conform.strict import watch as watch

__all__ = ["Breach", "watch"]


def __getattr__(name: str) -> Any:
    # `wsgix.validate` needs the points of an exchange and no rule: the catalogue is loaded when it is needed.
    if name in __all__:
        from wsgix.conform import strict

        return getattr(strict, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
