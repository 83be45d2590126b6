"""Exercises as the template of a worksheet reads them, which has their words."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np

from filmkit.core.language import _, ngettext
from filmkit.core.model_places import origin_notes
from filmkit.core.numbers import (
    MINUS,
    format_count,
    format_decimal,
    format_exact,
    format_number,
    separated,
)
from filmkit.core.view import HeadView
from filmkit.decks.exercises import Exercises, Word, power, written

__all__ = ["exercises_on_paper"]

POWER_ROWS = 6  # of the table of powers of e: beyond them all are 0.00
MOST_NAMED = 6  # words that have no row of their own, by their names


def exercises_on_paper(view: HeadView) -> dict[str, Any]:
    """Return exercises with the numbers of a head; what is not so is None."""
    tasks, meta = Exercises(view), view.layer.trace.meta
    place = _("layer {layer}, head {head}", layer=view.layer.layer, head=view.head)
    number, width, cap = map(format_exact, (float(tasks.divisor), meta.d_qk, meta.score_cap))
    by_root = np.isclose(meta.score_scale**2 * meta.d_qk, 1)
    equals = "=" if tasks.divisor**2 == meta.d_qk else "≈"
    first, last = tasks.pairs[0], tasks.pairs[-1]
    better = max(tasks.pairs, key=lambda pair: pair.score).word.text
    others = tasks.left_out
    reads = ngettext(
        "This layer reads {number} word at most: what comes before is masked, so its share is 0.",
        "This layer reads {number} words at most: what comes before is masked, so its share is 0.",
        tasks.window,
    )
    least = min(row.difference for row in tasks.rows if row.difference is not None)
    wholes = [Decimal(-number) for number in range(min(POWER_ROWS, int(-least) + 1))]
    tenths = [Decimal(number).scaleb(-1) for number in range(10)]
    shares = sum((row.share for row in (*tasks.rows, *tasks.more)), start=Decimal(0))
    return {
        "source": "  ·  ".join([*origin_notes(meta), meta.model, place]),
        "word": tasks.word,
        "width": width,
        "has_all": len(tasks.channels) == meta.d_qk,
        "channels": [*map(format_count, tasks.channels)],
        "query": tasks.query,
        "pairs": tasks.pairs,
        "divisor": number if tasks.divisor != 1 else None,
        "root": f"√{width} {equals} {number}" if by_root else None,
        "cap": {"low": MINUS + cap, "high": cap} if meta.score_cap else None,
        "better": None if first.score == last.score else better,
        "rows": tasks.rows,
        "more": tasks.more,
        "others": bool(others),
        "named": _named(others) if 0 < len(others) <= MOST_NAMED else None,
        "before": _together(tasks.before),
        "after": _together(tasks.after),
        "reads": reads if tasks.before else None,
        "begins": meta.has_bos and len(tasks.before) < 2,
        "sink": meta.sinks,
        "zero": [format_count(0), format_decimal(0, 3)],
        "e": format_decimal(math.e, 3),
        "beyond": written(Decimal("0.00")) if least <= -POWER_ROWS else None,
        "largest": written(abs(tasks.largest)),
        "above": tasks.largest >= 0,
        "total": tasks.total,
        "powers": [[whole, *(power(whole - tenth) for tenth in tenths)] for whole in wholes],
        "tenths": tenths,
        "least": wholes[-1] - tenths[-1],
        "added": None if shares == 1 else shares,
        "value_width": format_count(meta.d_v),
        "value_channels": [*map(format_count, tasks.value_channels)],
        "output": tasks.output,
        "own_output": [*map(format_number, tasks.model_output)],
    }


def _together(words: list[Word]) -> str | None:
    """Return the name of the row of words that follow each other; None without any."""
    # The beginning token stands in no sentence: it is named where it stands alone.
    words = [word for word in words if word.number] or words
    if len(words) < 2:
        return words[0].name if words else None
    first, *between, last = words
    texts = [first.text, *(["…"] if between else []), last.text]
    return f"{first.number}–{last.number}  {' '.join(texts)}"


def _named(words: list[Word]) -> str:
    # The beginning token is no word.
    return separated([_("“{word}”", word=w.text) if w.number else w.text for w in words])
