"""The table that ``python -m extract cache`` prints: models by cache schemes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text

from extract.commands.tables import FittingTable, numbers_table
from extract.facts.architectures import (
    COMPARED_GROUPS,
    Architecture,
    Scheme,
    kv_cache_bytes,
    kv_cache_elements,
)
from extract.facts.gpus import DecodingWork, decoding_work
from extract.facts.v2_report import v2_cache_claim

__all__ = ["CacheRow", "SizeUnit", "cache_row", "cache_table"]


_SCHEMES: Mapping[str, tuple[Scheme | None, int | None]] = {
    "mha": ("mha", None),
    "gqa_8": ("gqa", COMPARED_GROUPS),
    "mqa": ("mqa", None),
    "mla": ("mla", None),
    "own": (None, None),
}
"""Scheme and groups of every column; "own" is what the model was trained with."""


@dataclass(frozen=True)
class CacheRow:
    """One model's cache under each scheme, with the model's heads and layers.

    Attributes
    ----------
    arch : Architecture
    bits, n_tokens : int
        Bits per element, and number of tokens in the cache.
    sizes : mapping of str to float
        Bytes by scheme: "mha", "gqa_8", "mqa", "mla" and "own".  Without a latent of the model's,
        "mla" assumes DeepSeek's proportions.
    work : mapping of str to DecodingWork
        What attention reads and computes to make the next token, by scheme.
    """

    arch: Architecture
    bits: int
    n_tokens: int
    sizes: Mapping[str, float]
    work: Mapping[str, DecodingWork]

    @property
    def mla_is_hypothetical(self) -> bool:
        """Whether the model has no latent."""
        return self.arch.latent is None

    @property
    def mha_over_own(self) -> float:
        """How many times smaller the model's own cache is than one of all heads."""
        return self.sizes["mha"] / self.sizes["own"]

    def as_json(self) -> dict[str, Any]:
        """Return the row as a dict, ready for JSON."""
        names = ("scheme", "n_layers", "n_heads", "n_kv_heads", "d_head", "source")
        return {
            "model": self.arch.name,
            **{name: getattr(self.arch, name) for name in names},
            "bits": self.bits,
            "n_tokens": self.n_tokens,
            **self.sizes,
            "mla_is_hypothetical": self.mla_is_hypothetical,
            "own_elements": kv_cache_elements(self.arch, n_tokens=self.n_tokens),
            "mha_over_own": self.mha_over_own,
            "work": {
                scheme: asdict(work) | {"multiply_adds_per_number": work.per_number}
                for scheme, work in self.work.items()
            },
        }


def cache_row(arch: Architecture, bits: int = 16, n_tokens: int = 1) -> CacheRow:
    """Compute the row of one model, for a number of bits per element and of cached tokens."""
    sizes, work = {}, {}
    for name, (scheme, n_groups) in _SCHEMES.items():
        sizes[name] = kv_cache_bytes(arch, scheme, bits, n_groups=n_groups, n_tokens=n_tokens)
        work[name] = decoding_work(arch, scheme, n_groups=n_groups, n_tokens=n_tokens)
    return CacheRow(arch, bits, n_tokens, sizes, work)


def cache_table(rows: Iterable[CacheRow]) -> RenderableType:
    """Return a table of rows, all for the same bits and tokens, with notes below it.

    The table fits into 80 characters; columns are left out where there are fewer.
    """
    rows = list(rows)
    bits, n_tokens = rows[0].bits, rows[0].n_tokens
    unit = SizeUnit.for_largest(max(row.sizes["mha"] for row in rows))
    tokens = "one token" if n_tokens == 1 else f"{n_tokens:,} tokens"
    table = numbers_table(
        f"Key/value cache of {tokens}, {bits} bits an element, in {unit.name}",
        *("model", "layers x\nheads", "MHA", f"GQA-{COMPARED_GROUPS}", "MQA", "MLA"),
        *("ships", "own", "MHA /\nown"),
        texts=("model", "ships"),
    )
    for row in rows:
        arch, mark = row.arch, "*" if row.mla_is_hypothetical else ""
        size = {scheme: unit.format(size) for scheme, size in row.sizes.items()}
        table.add_row(
            *(arch.name, f"{arch.n_layers} x {arch.n_heads}"),
            *(size["mha"], size["gqa_8"], size["mqa"], size["mla"] + mark),
            f"GQA-{arch.n_kv_heads}" if arch.scheme == "gqa" else arch.scheme.upper(),
            *(size["own"], f"{row.mha_over_own:.2f}x"),
        )
    notes = [
        "MHA, GQA, MQA and MLA are counted with each model's own heads and layers; only the scheme "
        "it ships with was ever trained."
    ]
    if any(row.mla_is_hypothetical for row in rows):
        notes.append("* hypothetical: DeepSeek's proportions, 4.5 head widths for each layer.")
    if any(row.arch.name == "DeepSeek-V2" for row in rows):
        claim = v2_cache_claim()
        notes.append(
            f"DeepSeek-V2's published saving of 93.3 % is against DeepSeek 67B, and is consistent "
            f"with caches of {claim.bits} and {claim.reference_bits} bits: {claim.saving:.2%}. "
            f"At equal bits it is {claim.saving_at_equal_bits:.2%}."
        )
    if len(rows) == 1:
        notes.append(f"Source: {rows[0].arch.source}.")
    return Group(FittingTable(table, (1, 8, 6, 3)), *(Text(note) for note in notes))


class SizeUnit(NamedTuple):
    """Unit of all sizes in one table.

    Attributes
    ----------
    name : str
    size : float
        Size of the unit in bytes.
    """

    name: str
    size: float

    @classmethod
    def for_largest(cls, n_bytes: float) -> SizeUnit:
        """Return the unit for sizes of up to `n_bytes` bytes."""
        if n_bytes < 1e7:
            return cls("bytes", 1)
        return cls("MB (1e6 bytes)", 1e6) if n_bytes < 1e10 else cls("GB (1e9 bytes)", 1e9)

    def format(self, n_bytes: float) -> str:
        """Return a number of bytes as text in this unit, whole bytes without decimals.

        >>> SizeUnit("bytes", 1).format(70272), SizeUnit("GB (1e9 bytes)", 1e9).format(8.59e9)
        ('70,272', '8.59')
        """
        amount = n_bytes / self.size
        return f"{amount:,.0f}" if self.size == 1 and amount.is_integer() else f"{amount:,.2f}"
