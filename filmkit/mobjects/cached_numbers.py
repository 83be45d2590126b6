"""How much a cache holds for each token, as scenes draw and write it.

All numbers are counted by :mod:`extract.facts.architectures`.
"""

from __future__ import annotations

from dataclasses import dataclass

from extract.facts.architectures import Architecture, Scheme, kv_cache_bytes
from filmkit.core.facts import fact
from filmkit.core.numbers import readable_bytes

__all__ = ["BITS", "CachedPerToken"]

BITS = 16
"""Bits of a cached number."""


@dataclass(frozen=True)
class CachedPerToken:
    """What a model would cache for each token with one scheme (MHA, GQA, MQA or MLA).

    Attributes
    ----------
    arch
        The model: its numbers of heads, layers and channels.
    scheme
        "mha", "gqa", "mqa" or "mla".
    """

    arch: Architecture
    scheme: Scheme

    def size(self) -> float:
        """Return its bytes."""
        return kv_cache_bytes(self.arch, self.scheme, BITS)

    def size_fact(self, beside: str = "") -> str:
        """Return :meth:`size` as text, which is noted as a fact; see :func:`filmkit.core.facts`.

        Parameters
        ----------
        beside
            What it belongs to, if it stands alone: words on screen, or the role of a body.
        """
        return fact(
            "cached bytes",
            self.size(),
            readable_bytes,
            beside=beside,
            model=self.arch.name,
            scheme=self.scheme,
        )
