"""What one token takes in a key/value cache, factor by factor."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from extract.architectures import Architecture
from extract.trace import TraceMeta
from filmkit.core.numbers import format_count
from filmkit.mobjects.cached_numbers import BITS

__all__ = ["TokenCost"]


@dataclass(frozen=True)
class TokenCost:
    """Factors of the bytes that one token takes in the cache.

    Attributes
    ----------
    head_sizes
        Numbers in the key and in the value of one head.
    heads, layers
        Number of heads that have keys and values of their own, and number of layers.
    """

    head_sizes: tuple[int, int]
    heads: int
    layers: int

    @classmethod
    def of_trace(cls, meta: TraceMeta) -> TokenCost:
        """Return the cost in the traced model."""
        return cls((meta.d_qk, meta.d_v), meta.n_kv_heads, meta.n_layers)

    @classmethod
    def of_every_head(cls, arch: Architecture) -> TokenCost:
        """Return the cost in a published model if it cached keys and values of every head."""
        return cls((arch.d_head, arch.d_head), arch.n_heads, arch.n_layers)

    @property
    def factors(self) -> tuple[tuple[str, str], ...]:
        """Factors from the left, each as its text and what it counts."""
        key, value = self.head_sizes
        size = format_count(key) if key == value else f"({key} + {value}) / 2"
        return (
            ("2", "key and value"),
            (format_count(self.heads), "heads"),
            (size, "head size"),
            (format_count(self.layers), "layers"),
            (str(BITS // 8), "bytes each"),
        )

    @property
    def bytes(self) -> int:
        """Bytes of one token: the product of the factors."""
        return prod((sum(self.head_sizes), self.heads, self.layers, BITS // 8))
