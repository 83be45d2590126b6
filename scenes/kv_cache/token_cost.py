"""What one token takes in a key/value cache, factor by factor."""

from __future__ import annotations

from dataclasses import dataclass, replace

from extract.architectures import Architecture, latent_size
from extract.trace import TraceMeta
from filmkit.core.language import _
from filmkit.mobjects.cached_numbers import BITS

__all__ = ["TokenCost", "shipped_heads"]


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

    def with_heads(self, heads: int) -> TokenCost:
        """Return the cost with another number of heads that have keys and values."""
        return replace(self, heads=heads)

    @property
    def numbers(self) -> int:
        """Numbers that are cached for one token."""
        return sum(self.head_sizes) * self.heads * self.layers

    @property
    def bytes(self) -> int:
        """Bytes of one token."""
        return self.numbers * BITS // 8

    @property
    def factors(self) -> str:
        """The bytes as a product, in words and numbers."""
        key, value = self.head_sizes
        size = f"2 × {key}" if key == value else f"({key} + {value})"
        product = f"{size} × {self.heads} × {self.layers}"
        return _("{product} numbers of {count} bytes", product=product, count=BITS // 8)


def shipped_heads(arch: Architecture) -> float:
    """Return how many heads' keys and values are as many numbers as a model's latent."""
    return sum(latent_size(arch)) / (2 * arch.d_head)
