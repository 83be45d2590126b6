"""What one token costs in a cache, factor by factor."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from extract.architectures import Architecture
from extract.trace import TraceMeta
from filmkit.core.text import format_number
from filmkit.mobjects.cached_numbers import BITS, whole

__all__ = ["TokenCost", "readable_bytes", "spoken_bytes"]


UNITS = ((1e9, "GB", "gigabytes"), (1e6, "MB", "megabytes"), (1e3, "kB", "kilobytes"))


def _scaled(count: float) -> tuple[str, str, str]:
    """Bytes as a number of two or three digits, and its unit short and in full."""
    for size, unit, spoken in UNITS:
        if count >= size:
            return format_number(count / size, 3 if count >= 100 * size else 2), unit, spoken
    return whole(count), "bytes", "bytes"


def readable_bytes(count: float) -> str:
    """Bytes in the unit that suits them.

    >>> readable_bytes(23040), readable_bytes(3997696)
    ('23 kB', '4.0 MB')
    """
    number, unit, _ = _scaled(count)
    return f"{number} {unit}"


def spoken_bytes(count: float) -> str:
    """The same for the ear.

    >>> spoken_bytes(3997696)
    '4.0 megabytes'
    """
    number, _, unit = _scaled(count)
    return f"{number} {unit}"


@dataclass(frozen=True)
class TokenCost:
    """The factors of the bytes that one token takes.

    Attributes
    ----------
    width
        Numbers of one head: its key and its value.
    heads, layers
        How many keep keys and values of their own.
    """

    width: tuple[int, int]
    heads: int
    layers: int

    @classmethod
    def of_trace(cls, meta: TraceMeta) -> TokenCost:
        """Of the traced model."""
        return cls((meta.d_qk, meta.d_v), meta.n_kv_heads, meta.n_layers)

    @classmethod
    def of_every_head(cls, arch: Architecture) -> TokenCost:
        """Of a published model, if it kept keys and values of every head."""
        return cls((arch.d_head, arch.d_head), arch.n_heads, arch.n_layers)

    @property
    def factors(self) -> tuple[tuple[str, str], ...]:
        """Each number with what it counts."""
        key, value = self.width
        size = whole(key) if key == value else f"({key} + {value}) / 2"
        return (
            ("2", "key and value"),
            (whole(self.heads), "heads"),
            (size, "head size"),
            (whole(self.layers), "layers"),
            (str(BITS // 8), "bytes each"),
        )

    @property
    def bytes(self) -> int:
        """All of them together."""
        return prod((sum(self.width), self.heads, self.layers, BITS // 8))
