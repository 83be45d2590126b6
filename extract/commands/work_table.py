"""Tables that ``python -m extract cache`` prints below the sizes: a chip's work, newer schemes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from extract.commands.cache_table import CacheRow
from extract.commands.tables import FittingTable, numbers_table
from extract.facts.architectures import COMPARED_GROUPS
from extract.facts.gpus import Chip
from extract.facts.newer_schemes import NewerScheme

__all__ = ["newer_row", "newer_table", "work_table"]


def work_table(rows: Iterable[CacheRow], chip: Chip) -> RenderableType:
    """Return what attention does with the cache to make a token, and what a chip could do.

    Parameters
    ----------
    rows : iterable of CacheRow
        All for the same bits and tokens.
    chip : Chip
        The chip to compare with.
    """
    rows = list(rows)
    bits, n_tokens = rows[0].bits, rows[0].n_tokens
    table = numbers_table(
        f"Next token after {n_tokens:,}: multiply-adds for each number read",
        *("model", "MHA", f"GQA-{COMPARED_GROUPS}", "MQA", "MLA", "own"),
        *("numbers\nread", "multiply-\nadds"),
    )
    for row in rows:
        own = row.work["own"]
        table.add_row(
            row.arch.name,
            *(f"{row.work[scheme].per_number:,.1f}" for scheme in ("mha", "gqa_8", "mqa", "mla")),
            f"{own.per_number:,.1f}",
            _short(own.numbers_read),
            _short(own.multiply_adds),
        )
    note = (
        f"{chip.name}: {chip.ridge(bits):,.0f} multiply-adds in the time that a number of {bits} "
        f"bits takes to be read ({chip.operations_per_second / 1e12:,.1f} TFLOP/s, dense BF16; "
        f"{chip.bytes_per_second / 1e12:.2f} TB/s). With fewer it waits for its memory. "
        f"Source: {chip.source}."
    )
    return Group(FittingTable(table, (6, 7, 2, 3)), Text(note))


def newer_table(schemes: Iterable[NewerScheme], bits: int, n_tokens: int) -> RenderableType:
    """Return how schemes cache that came after MLA.

    Parameters
    ----------
    schemes : iterable of NewerScheme
    bits : int
        Bits of an element.
    n_tokens : int
        Tokens in the cache.
    """
    table = numbers_table(
        f"What came after: bytes at {bits} bits an element",
        *("model", "scheme", "each\ntoken", "fixed"),
        *(f"{_short(n_tokens)}\ntokens", "of these\nread"),
        texts=("model", "scheme"),
    )
    any_hypothetical = False
    for scheme in schemes:
        any_hypothetical |= scheme.hypothetical
        table.add_row(
            scheme.model + ("*" if scheme.hypothetical else ""),
            scheme.name,
            f"{scheme.growth * bits / 8:,.0f}",
            *(
                _short(elements * bits / 8)
                for elements in (scheme.fixed, scheme.held(n_tokens), scheme.read(n_tokens))
            ),
        )
    notes = [Text("fixed: full windows of last tokens, and states of linear attention.")]
    if any_hypothetical:
        notes.append(Text("* hypothetical: the scheme with this model's heads and layers."))
    return Group(FittingTable(table, (3, 4, 1)), *notes)


def newer_row(scheme: NewerScheme, bits: int, n_tokens: int) -> dict[str, Any]:
    """Return a newer scheme as a dict, ready for JSON.

    It has the attributes of the scheme and, in bytes, its cache: "growth" for each token, "fixed",
    and "held" and "read" after `n_tokens`.
    """
    elements = {
        "growth": scheme.growth,
        "fixed": scheme.fixed,
        "held": scheme.held(n_tokens),
        "read": scheme.read(n_tokens),
    }
    return (
        asdict(scheme)
        | {"bits": bits, "n_tokens": n_tokens}
        | {name: count * bits / 8 for name, count in elements.items()}
    )


def _short(count: float) -> str:
    """Return a count with three digits and a unit.

    >>> _short(70272), _short(4.6e9), _short(0)
    ('70.3k', '4.60G', '0')
    """
    for size, unit in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            amount = count / size
            return f"{amount:,.{max(0, 3 - len(str(int(amount))))}f}{unit}"
    return f"{count:,.0f}"
