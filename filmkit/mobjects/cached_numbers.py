"""How much a cache holds for each token, as scenes draw and write it.

All numbers are counted by :mod:`extract.facts.architectures`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from extract.facts.architectures import Architecture, Scheme, kv_cache_bytes, latent_size
from filmkit.core.facts import fact
from filmkit.core.numbers import readable_bytes
from filmkit.core.theme import current_theme
from filmkit.mobjects.chart import Span, scheme_colour

__all__ = ["BITS", "CachedPerToken"]

BITS = 16
"""Bits of a cached number by default."""


@dataclass(frozen=True)
class CachedPerToken:
    """What a model would cache for each token with one scheme (MHA, GQA, MQA or MLA).

    Attributes
    ----------
    arch
        The model: its numbers of heads, layers and channels.
    scheme
        "mha", "gqa", "mqa" or "mla".
    n_groups
        Number of key/value heads of a grouped cache; the model's own by default.
    label
        Name to use instead of the scheme's abbreviation.
    """

    arch: Architecture
    scheme: Scheme
    n_groups: int | None = None
    label: str = ""

    @property
    def name(self) -> str:
        """The label, or the scheme's abbreviation, such as "GQA-8"."""
        if self.label:
            return self.label
        groups = f"-{self.n_groups or self.arch.n_kv_heads}" if self.scheme == "gqa" else ""
        return self.scheme.upper() + groups

    @property
    def colour(self) -> str:
        """The theme's colour for the scheme."""
        return scheme_colour(self.scheme)

    def size(self, n_tokens: int = 1, bits: int = BITS) -> float:
        """Return the bytes of the cache for ``n_tokens``, with ``bits`` for each number."""
        return kv_cache_bytes(
            self.arch, self.scheme, bits, n_groups=self.n_groups, n_tokens=n_tokens
        )

    def size_fact(
        self,
        write: Callable[[float], str] = readable_bytes,
        *,
        n_tokens: int = 1,
        bits: int = BITS,
        beside: str = "",
    ) -> str:
        """Return :meth:`size` as text, which is noted as a fact; see :func:`filmkit.core.facts`."""
        return fact(
            "cached bytes",
            self.size(n_tokens, bits),
            write,
            beside=beside,
            model=self.arch.name,
            scheme=self.scheme,
            groups=self.n_groups,
            tokens=n_tokens,
            bits=bits,
        )

    def spans(self, bits: int = BITS) -> tuple[Span, ...]:
        """Return the pieces of its bar: keys and values, or the latent and the rotated key."""
        theme, size = current_theme(), self.size(bits=bits)
        if self.scheme != "mla":
            return (Span(size / 2, theme.key), Span(size / 2, theme.value))
        latent = latent_size(self.arch)
        shared = size * latent.kv_rank / sum(latent)
        return (Span(shared, theme.latent), Span(size - shared, theme.key))
