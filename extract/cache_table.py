"""The table that ``python -m extract cache`` prints: models by cache schemes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from extract.architectures import (
    COMPARED_GROUPS,
    Architecture,
    kv_cache_bytes,
    kv_cache_elements,
    v2_cache_claim,
)

__all__ = ["CacheRow", "cache_row", "cache_table", "readable_bytes"]


@dataclass(frozen=True)
class CacheRow:
    """One model's cache in bytes under each scheme, for a number of tokens.

    Attributes
    ----------
    model : str
    scheme : str
        What the model really does.
    n_layers, n_heads, n_kv_heads, d_head : int
    bits, n_tokens : int
    mha, gqa_8, mqa, mla : float
        Bytes with the model's heads and layers under each scheme.
    mla_is_hypothetical : bool
        True where the model has no latent and DeepSeek's proportions are used.
    own : float
        Bytes under the model's own scheme.
    own_elements : int
        Numbers held under the model's own scheme.
    mha_over_own : float
        How many times smaller the model's own cache is than one of keys and values for all heads.
    source : str
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

    def as_json(self) -> dict[str, Any]:
        """Return the row as a plain object."""
        return asdict(self)


def cache_row(arch: Architecture, bits: int = 16, n_tokens: int = 1) -> CacheRow:
    """Work out one model's row."""
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
    )


def cache_table(rows: Iterable[CacheRow]) -> RenderableType:
    """Lay the rows, all for the same bits and tokens, out as a table with its notes."""
    rows = list(rows)
    bits, n_tokens = rows[0].bits, rows[0].n_tokens
    tokens = "one token" if n_tokens == 1 else f"{n_tokens:,} tokens"
    table = Table(title=f"Key/value cache of {tokens}, all layers, {bits} bits an element")
    table.add_column("model")
    for column in ("layers", "heads", "MHA", f"GQA-{COMPARED_GROUPS}", "MQA", "MLA"):
        table.add_column(column, justify="right")
    table.add_column("ships as")
    table.add_column("its cache", justify="right")
    table.add_column("MHA is", justify="right")
    for row in rows:
        ships_as = f"GQA-{row.n_kv_heads}" if row.scheme == "gqa" else row.scheme.upper()
        table.add_row(
            row.model,
            str(row.n_layers),
            str(row.n_heads),
            readable_bytes(row.mha),
            readable_bytes(row.gqa_8),
            readable_bytes(row.mqa),
            readable_bytes(row.mla) + ("*" if row.mla_is_hypothetical else ""),
            ships_as,
            readable_bytes(row.own),
            f"{row.mha_over_own:.2f}x",
        )
    notes = [
        "B is bytes; kB, MB, GB and TB are powers of 1000. MHA, GQA, MQA and MLA are counted with "
        "each model's own heads and layers; only the scheme it ships as was ever trained."
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
    return Group(table, *(Text(note) for note in notes))


def readable_bytes(count: float) -> str:
    """Write a number of bytes: in full below ten million, then with a unit.

    >>> readable_bytes(70272), readable_bytes(8.59e9)
    ('70,272 B', '8.59 GB')
    """
    if count < 1e7:
        return f"{count:,.0f} B" if count == int(count) else f"{count:,.2f} B"
    for unit, size in (("TB", 1e12), ("GB", 1e9)):
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count / 1e6:.2f} MB"
