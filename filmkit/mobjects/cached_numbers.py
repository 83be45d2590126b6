"""What a cache keeps of every token, as scenes draw it and write it.

All numbers are counted by :mod:`extract.architectures`.
"""

from __future__ import annotations

from dataclasses import dataclass

from extract.architectures import (
    MOE,
    Architecture,
    QualityColumn,
    Scheme,
    kv_cache_bytes,
    latent_of,
)
from filmkit.core.numbers import whole
from filmkit.core.theme import current_theme
from filmkit.mobjects.chart import BarRow, Span, scheme_colour

__all__ = ["BITS", "CachedPerToken", "thousands", "trained_ratio"]

BITS = 16  # of a cached number, unless said otherwise


def thousands(column: QualityColumn) -> str:
    """Cached numbers of a token as the paper prints them."""
    return f"{(column.cache_elements or 0) / 1e3:.1f}K"


@dataclass(frozen=True)
class CachedPerToken:
    """What one scheme keeps of every token.

    Attributes
    ----------
    arch
        Whose heads and layers.
    scheme
        Whose way of caching.
    n_groups
        Of a grouped cache; the model's own by default.
    called
        What to call it; the scheme's abbreviation by default.
    """

    arch: Architecture
    scheme: Scheme
    n_groups: int | None = None
    called: str = ""

    @property
    def name(self) -> str:
        if self.called:
            return self.called
        groups = f"-{self.n_groups or self.arch.n_kv_heads}" if self.scheme == "gqa" else ""
        return self.scheme.upper() + groups

    @property
    def colour(self) -> str:
        return scheme_colour(self.scheme)

    def size(self, n_tokens: int = 1, bits: int = BITS) -> float:
        """Bytes for so many tokens."""
        return kv_cache_bytes(
            self.arch, self.scheme, bits, n_groups=self.n_groups, n_tokens=n_tokens
        )

    @property
    def numbers(self) -> str:
        """How many numbers a token takes in each layer, as arithmetic."""
        width = self.arch.d_head
        match self.scheme:
            case "mha":
                return f"2 × {self.arch.n_heads} × {width}"
            case "gqa":
                return f"2 × {self.n_groups or self.arch.n_kv_heads} × {width}"
            case "mqa":
                return f"2 × {width}"
            case "mla":
                return " + ".join(str(part) for part in latent_of(self.arch) if part)

    @property
    def shares(self) -> str:
        """Which heads keep something, in words."""
        heads = self.arch.n_heads
        match self.scheme:
            case "mha":
                return f"of {heads} heads"
            case "gqa":
                return f"{self.n_groups or self.arch.n_kv_heads} heads of keys and values, shared"
            case "mqa":
                return "one head of keys and values, shared by all"
            case "mla":
                return "one latent and one rotated key, shared by all"

    def spans(self, bits: int = BITS) -> tuple[Span, ...]:
        """Its pieces: keys and values, or the latent and the one rotated key."""
        theme, size = current_theme(), self.size(bits=bits)
        if self.scheme != "mla":
            return (Span(size / 2, theme.key), Span(size / 2, theme.value))
        latent = latent_of(self.arch)
        shared = size * latent.kv_rank / sum(latent)
        return (Span(shared, theme.latent), Span(size - shared, theme.key))

    def row(self, *, name: str = "", note: str, bits: int = BITS) -> BarRow:
        """Its bar, named after the scheme unless another name is given."""
        colour = self.colour if self.scheme == "mla" and not name else None
        said = f"{whole(self.size(bits=bits))} bytes"
        return BarRow(name or self.name, note, self.spans(bits), said, colour)


def trained_ratio() -> tuple[QualityColumn, QualityColumn, float]:
    """The large MHA and MLA models that were trained to be compared, and how their caches do."""
    large = {column.attention: column for column in MOE.columns if column.size == "large"}
    mha, mla = large["MHA"], large["MLA"]
    return mha, mla, (mha.cache_elements or 0) / (mla.cache_elements or 1)
