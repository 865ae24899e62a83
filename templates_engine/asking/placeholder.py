"""The placeholder of an answer that is not there yet.

It may be carried about, stored in a Spec, passed on; whoever looks at it (compares, counts, formats, loops) ends the
walk at that place. So how far a template's questions can be known is found by running them, and nobody declares it.
"""

from __future__ import annotations

from typing import Any, NoReturn


class Unanswered(BaseException):
    """The template looked at an answer that is not there yet.

    A BaseException, so that a template's own `except Exception` does not swallow it.
    """


class Pending:
    """Stands for a missing answer."""

    def _look(self, *args: object, **kwargs: object) -> NoReturn:
        raise Unanswered

    def __getattr__(self, name: str) -> NoReturn:
        # Debuggers, copiers and test collectors look for private names on anything they meet.
        if name.startswith("_"):
            raise AttributeError(name)
        raise Unanswered

    def __repr__(self) -> str:
        return "<not answered>"

    __bool__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = _look  # type: ignore[assignment]
    __iter__ = __len__ = __contains__ = __getitem__ = __call__ = __reversed__ = _look
    __str__ = __format__ = __int__ = __index__ = __float__ = _look  # type: ignore[assignment]
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __neg__ = __abs__ = _look
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = _look


PENDING: Any = Pending()


def looked_at(*values: object) -> None:
    """End the walk when one of these (or a member of a tuple or list among them) is not answered yet."""
    for value in values:
        if isinstance(value, Pending):
            raise Unanswered
        if isinstance(value, tuple | list):
            looked_at(*value)
