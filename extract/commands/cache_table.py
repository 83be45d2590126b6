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
    kv_cache_bytes,
    kv_cache_elements,
)
from extract.facts.gpus import DecodingWork, decoding_work
from extract.facts.v2_report import v2_cache_claim

__all__ = ["CacheRow", "SizeUnit", "cache_row", "cache_table"]


@dataclass(frozen=True)
class CacheRow:
    """One model's cache in bytes under each scheme, for a number of tokens.

    Attributes
    ----------
    model : str
    scheme : str
        The attention scheme that the model was trained with.
    n_layers, n_heads, n_kv_heads, d_head : int
    bits, n_tokens : int
        Bits per element, and number of tokens in the cache.
    mha, gqa_8, mqa, mla : float
        Bytes under each scheme, with the model's heads and layers.
    mla_is_hypothetical : bool
        True if the model has no latent; `mla` then assumes DeepSeek's proportions.
    own : float
        Bytes under the scheme that the model was trained with.
    own_elements : int
        Elements under that scheme.
    mha_over_own : float
        How many times smaller `own` is than `mha`.
    source : str
        Where the model's numbers were published.
    work : mapping of str to DecodingWork
        What attention reads and computes to make the next token, by scheme: "mha", "gqa_8", "mqa",
        "mla" and "own".
    """

    model: str
    scheme: str
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    bits: int
    n_tokens: int
    mha: float
    gqa_8: float
    mqa: float
    mla: float
    mla_is_hypothetical: bool
    own: float
    own_elements: int
    mha_over_own: float
    source: str
    work: Mapping[str, DecodingWork]

    def as_json(self) -> dict[str, Any]:
        """Return the row as a dict, ready for JSON."""
        work = {
            scheme: asdict(work) | {"multiply_adds_per_number": work.per_number}
            for scheme, work in self.work.items()
        }
        return asdict(self) | {"work": work}


def cache_row(arch: Architecture, bits: int = 16, n_tokens: int = 1) -> CacheRow:
    """Compute the row of one model, for a number of bits per element and of cached tokens."""
    mha = kv_cache_bytes(arch, "mha", bits, n_tokens=n_tokens)
    own = kv_cache_bytes(arch, None, bits, n_tokens=n_tokens)
    return CacheRow(
        model=arch.name,
        scheme=arch.scheme,
        n_layers=arch.n_layers,
        n_heads=arch.n_heads,
        n_kv_heads=arch.n_kv_heads,
        d_head=arch.d_head,
        bits=bits,
        n_tokens=n_tokens,
        mha=mha,
        gqa_8=kv_cache_bytes(arch, "gqa", bits, n_groups=COMPARED_GROUPS, n_tokens=n_tokens),
        mqa=kv_cache_bytes(arch, "mqa", bits, n_tokens=n_tokens),
        mla=kv_cache_bytes(arch, "mla", bits, n_tokens=n_tokens),
        mla_is_hypothetical=arch.latent is None,
        own=own,
        own_elements=kv_cache_elements(arch, n_tokens=n_tokens),
        mha_over_own=mha / own,
        source=arch.source,
        work={
            "mha": decoding_work(arch, "mha", n_tokens=n_tokens),
            "gqa_8": decoding_work(arch, "gqa", n_groups=COMPARED_GROUPS, n_tokens=n_tokens),
            "mqa": decoding_work(arch, "mqa", n_tokens=n_tokens),
            "mla": decoding_work(arch, "mla", n_tokens=n_tokens),
            "own": decoding_work(arch, n_tokens=n_tokens),
        },
    )


def cache_table(rows: Iterable[CacheRow]) -> RenderableType:
    """Return a table of rows, all for the same bits and tokens, with notes below it.

    The table fits into 80 characters; columns are left out where there are fewer.
    """
    rows = list(rows)
    bits, n_tokens = rows[0].bits, rows[0].n_tokens
    unit = SizeUnit.for_largest(max(row.mha for row in rows))
    tokens = "one token" if n_tokens == 1 else f"{n_tokens:,} tokens"
    table = numbers_table(
        f"Key/value cache of {tokens}, {bits} bits an element, in {unit.name}",
        *("model", "layers x\nheads", "MHA", f"GQA-{COMPARED_GROUPS}", "MQA", "MLA"),
        *("ships", "own", "MHA /\nown"),
        texts=("model", "ships"),
    )
    for row in rows:
        table.add_row(
            row.model,
            f"{row.n_layers} x {row.n_heads}",
            unit.format(row.mha),
            unit.format(row.gqa_8),
            unit.format(row.mqa),
            unit.format(row.mla) + ("*" if row.mla_is_hypothetical else ""),
            f"GQA-{row.n_kv_heads}" if row.scheme == "gqa" else row.scheme.upper(),
            unit.format(row.own),
            f"{row.mha_over_own:.2f}x",
        )
    notes = [
        "MHA, GQA, MQA and MLA are counted with each model's own heads and layers; only the scheme "
        "it ships with was ever trained."
    ]
    if any(row.mla_is_hypothetical for row in rows):
        notes.append("* hypothetical: DeepSeek's proportions, 4.5 head widths for each layer.")
    if any(row.model == "DeepSeek-V2" for row in rows):
        claim = v2_cache_claim()
        notes.append(
            f"DeepSeek-V2's published saving of 93.3 % is against DeepSeek 67B, and is consistent "
            f"with caches of {claim.bits} and {claim.reference_bits} bits: {claim.saving:.2%}. "
            f"At equal bits it is {claim.saving_at_equal_bits:.2%}."
        )
    if len(rows) == 1:
        notes.append(f"Source: {rows[0].source}.")
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
