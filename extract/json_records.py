"""Rebuild dataclasses from the JSON that ``dataclasses.asdict`` gives."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

__all__ = ["from_json"]


def from_json(kind: Any, value: Any) -> Any:
    """Rebuild a dataclass, with nested dataclasses and tuples, from the result of ``asdict``.

    Parameters
    ----------
    kind : type
        A dataclass, ``tuple[X, ...]``, ``X | None`` or a plain type.
    value
        What ``json.loads`` returned for it.

    Raises
    ------
    KeyError, TypeError
        If a field is missing or of another kind.
    """
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{f.name: from_json(hints[f.name], value[f.name]) for f in fields(kind)})
    if get_origin(kind) is tuple:
        return tuple(from_json(get_args(kind)[0], item) for item in value)
    if get_origin(kind) is UnionType:
        return None if value is None else from_json(get_args(kind)[0], value)
    return value
