"""Rebuild dataclasses from the JSON that ``dataclasses.asdict`` gives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from extract.limits import MAX_SENTENCE
from extract.support.plain_text import shortened

__all__ = ["from_json"]


def from_json(kind: Any, value: Any, *, least: float = -math.inf) -> Any:
    """Rebuild a dataclass, with nested dataclasses and tuples, from the result of ``asdict``.

    Parameters
    ----------
    kind : type
        A dataclass, ``tuple[X, ...]``, ``X | None`` or a plain type.
    value
        What ``json.loads`` returned for it.
    least
        The smallest number that may be in it.

    Raises
    ------
    KeyError, TypeError
        If a field is missing, unknown or of another type, if a number is too small or not finite,
        or if a text is longer than `extract.limits.MAX_SENTENCE`.
    """
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        if not isinstance(value, dict):
            raise TypeError(f"{shortened(repr(value))} is no record")
        if unknown := value.keys() - hints.keys():
            raise TypeError(f"unknown fields: {shortened(', '.join(sorted(unknown)))}")
        return kind(
            **{f.name: from_json(hints[f.name], value[f.name], least=least) for f in fields(kind)}
        )
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            raise TypeError(f"{shortened(repr(value))} is no list")
        return tuple(from_json(get_args(kind)[0], item, least=least) for item in value)
    if get_origin(kind) is UnionType:
        return None if value is None else from_json(get_args(kind)[0], value, least=least)
    if isinstance(value, bool) is not (kind is bool) or not isinstance(
        value, kind | int if kind is float else kind
    ):
        raise TypeError(f"{shortened(repr(value))} is of the wrong type")
    if isinstance(value, int | float) and not (math.isfinite(value) and value >= least):
        raise TypeError(f"{value} is too small, or not finite")
    if isinstance(value, str) and len(value) > MAX_SENTENCE:
        raise TypeError(f"a text of {len(value):,} characters")
    return value


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    """Return the types of a dataclass's fields, which take long to find."""
    return get_type_hints(kind)
