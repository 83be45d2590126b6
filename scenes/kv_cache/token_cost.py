"""What one token costs in a cache, factor by factor."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from extract.architectures import Architecture
from extract.trace import TraceMeta
from filmkit.core.numbers import whole
from filmkit.mobjects.cached_numbers import BITS

__all__ = ["TokenCost"]


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
