"""Rebuild dataclasses from the JSON that ``dataclasses.asdict`` gives."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from extract.limits import MAX_SENTENCE
from extract.support.plain_text import shortened

__all__ = ["from_json"]

_EITHER = (UnionType, Union)
"""``X | None`` is one or the other, depending on X."""

_ASKED = {str: "text", int: "a whole number", float: "a finite number", bool: "true or false"}


def from_json(
    kind: Any,
    value: Any,
    whole: str = "the report",
    *,
    longest: int = MAX_SENTENCE,
    optional: Collection[str] = (),
) -> Any:
    """Rebuild a dataclass, with what it holds, from the result of ``asdict``.

    Parameters
    ----------
    kind : type
        A dataclass, ``tuple[X, ...]``, ``Mapping[str, X]``, ``X | None``, a plain type, one of
        `extract.support.ranges` or ``Any``.
    value
        What ``json.loads`` returned for it.
    whole : str
        What errors call it.
    longest
        Characters that a text in it may have.
    optional
        Fields that may be missing, which then have their defaults.

    Raises
    ------
    TypeError
        If a field is missing that may not be, if one is unknown or of another type, if a number
        is not finite or outside of its range, or if a text is too long or of another form.  The
        message names the field.
    """

    def built(kind: Any, value: Any, what: str) -> Any:
        if get_origin(kind) is Annotated:
            plain, allowed = get_args(kind)
            read = built(plain, value, what)
            if asked := allowed.fault(read):
                raise TypeError(f"{what} is {shortened(str(value))}, and should be {asked}")
            return read
        if asked := _fault(kind, value):
            raise TypeError(f"{what} should be {asked}, not {shortened(repr(value))}")
        if get_origin(kind) in _EITHER:
            return None if value is None else built(get_args(kind)[0], value, what)
        if get_origin(kind) is tuple:
            return tuple(built(get_args(kind)[0], item, what) for item in value)
        if get_origin(kind) is Mapping:
            inner = get_args(kind)[1]
            return {name: built(inner, item, _named(name)) for name, item in value.items()}
        if isinstance(kind, type) and is_dataclass(kind):
            hints = _hints(kind)
            if unknown := ", ".join(sorted(value.keys() - hints.keys())):
                raise TypeError(f"{what} has unknown fields ({shortened(unknown)})")
            for field in fields(kind):
                if field.name not in {*value, *optional}:
                    raise TypeError(f"{what} has no '{field.name}'")
            read = {name: built(hints[name], item, _named(name)) for name, item in value.items()}
            return kind(**read)
        if kind is str and len(value) > longest:
            raise TypeError(f"{what} has {len(value):,} characters, and may have {longest:,}")
        return float(value) if kind is float else value

    def _named(name: str) -> str:
        return f"{whole}'s '{shortened(name)}'"

    return built(kind, value, whole)


def _fault(kind: Any, value: Any) -> str:
    """Return what a value should be instead, apart from what is in it; nothing if it is right."""
    if kind is Any or get_origin(kind) in _EITHER:
        return ""
    if get_origin(kind) is tuple:
        return "" if isinstance(value, list | tuple) else "a list"
    if get_origin(kind) is Mapping or is_dataclass(kind):
        return "" if isinstance(value, dict) else "an object"
    right = isinstance(value, bool) is (kind is bool) and isinstance(
        value, int | float if kind is float else kind
    )
    # Whole numbers may be larger than any other.
    if right and kind is float:
        right = abs(value) <= sys.float_info.max
    return "" if right else _ASKED[kind]


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    """Return the types of a dataclass's fields, which take long to find."""
    return get_type_hints(kind, include_extras=True)
