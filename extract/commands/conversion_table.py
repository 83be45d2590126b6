"""The tables that ``python -m extract convert`` prints."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from extract.commands.tables import FittingTable, numbers_table
from extract.trace.contents.conversion_report import ConversionReport, Row

__all__ = ["conversion_table"]

_WAYS = {
    "model": "model",
    "mqa": "MQA, mean",
    "mqa_fitted": "MQA, fitted",
    "latent_then_rotate": "(a) latent",
    "mla": "(b) MLA",
}


def conversion_table(report: ConversionReport) -> RenderableType:
    """Return the ladder and what else a conversion measured.

    It is some 95 characters wide; columns are left out where there are fewer.
    """
    setting = "with" if report.bos else "without"
    parts: list[RenderableType] = [
        _table(f"Nothing trained, {setting} the beginning token", report.ladder, report.next_word)
    ]
    minutes = f"healed {report.heal_minutes:g} min"
    for title, one in (("Stored", report), ("The best shared set beside it", report.shared_set)):
        if one is not None:
            rows = [one.stored, one.healed] if one.healed else [one.stored]
            names = [f"{one.stored.rotated}+{one.stored.rank}", minutes]
            parts.append(_table(title, rows, report.next_word, names))
    model = report.windows[0].result
    parts += [
        Text(
            f"At {report.window:,} tokens: the model {model.perplexity:.2f}; "
            + "; ".join(
                f"{_WAYS[row.way]}{', healed' if row.healed else ''} {row.result.perplexity:.2f} "
                f"({row.result.perplexity / model.perplexity:.2f} times), KL {row.result.kl:.3f}, "
                f"agreement {row.result.agreement:.3f}"
                for row in report.windows[1:]
            )
        ),
        Text(f"Absorbed against naive, all layers: {report.absorbed:.1e}."),
        Text(
            "Perplexity, agreement of the likeliest token and KL are on held-out text; moved is "
            "the attention that goes to other keys on the prompt. The ladder is fitted to passages "
            f"of {report.ladder[0].fitted_window} tokens; what is stored, to {report.tokens:,} "
            f"tokens in windows of {report.window:,}."
        ),
    ]
    return Group(*parts)


def _table(
    title: str, rows: Sequence[Row], next_word: str, names: Sequence[str] | None = None
) -> RenderableType:
    chance = f"P({json.dumps(next_word, ensure_ascii=False)})"
    table = numbers_table(
        *(title, "way", "numbers", "d_R + r", "perplexity", "agree", "KL", "2nd text"),
        *(chance, "moved"),
        texts=("way",),
    )
    table.padding = (0, 1, 0, 0)
    table.add_column("says", max_width=24)
    for number, row in enumerate(rows):
        sizes = f"{row.rotated} + {row.rank}" if row.way in ("mla", "mqa_fitted") else ""
        table.add_row(
            _WAYS[row.way] if names is None else names[number],
            str(row.numbers),
            sizes,
            f"{row.perplexity:.2f}",
            f"{row.agreement:.3f}",
            f"{row.kl:.3f}",
            "" if row.second_text is None else f"{row.second_text.perplexity:.2f}",
            f"{row.next_word_probability:.3f}",
            f"{row.moved:.3f}",
            Text(json.dumps(row.continuation, ensure_ascii=False)),
        )
    return FittingTable(table, (6, 4, 5, 2))
