"""The table that ``python -m extract latent`` prints: errors of a latent at each measured rank."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from extract.attention.patterns import PatternDistance
from extract.commands.tables import numbers_table
from extract.support.plain_text import escaped
from extract.trace import Trace
from extract.trace.contents.latents import latent_report

__all__ = ["latent_table"]


def latent_table(trace: Trace, layer: int) -> RenderableType:
    """Return a table of a layer's `LatentReport`, with the stored rank marked.

    The table fits into 80 characters.
    """
    report = latent_report(trace, layer)
    table = numbers_table(
        f"Latents of layer {layer}: what they lose at each rank",
        *("rank", "text", "held\nout", "K", "V", "prompt", "K", "V"),
        *("SVD:\nheld\nout", "SVD:\nprompt", "pattern\nmoves", "worst\nrow"),
        texts=(),
    )
    for entry in report.ladder:
        fit, plain, distance = entry.fit, entry.weight_svd, entry.latent_moves_content
        numbers = (
            fit.calibration.balanced,
            *(fit.held_out.balanced, fit.held_out.k, fit.held_out.v),
            *(fit.prompt.balanced, fit.prompt.k, fit.prompt.v),
            *(plain.held_out.balanced, plain.prompt.balanced),
            *(distance.mean, distance.worst),
        )
        mark = "> " if entry.rank == report.rank else ""
        table.add_row(f"{mark}{entry.rank}", *(f"{number:.3f}" for number in numbers))
    text, chosen = report.calibration, report.chosen
    notes = [
        f"> Rank {report.rank} is stored: {report.rank} numbers cached for each token "
        f"instead of {report.n_cached}; rank {report.full_rank} loses nothing.",
        "Errors are relative: of K and V balanced, and of each; SVD is that of the weights alone. "
        "Pattern moves are total variation distances, over the rows of the prompt.",
        f"{text.name}: {text.n_fitted:,} inputs fitted, {text.n_held_out:,} held out, read "
        f"{text.n_passage} tokens at a time.",
    ]
    if trace.rotates:
        notes.append(
            "This model rotates queries and keys and the latent cannot, so its patterns are "
            f"content-only ones. Dropping the rotation alone moves them by "
            f"{_distance(report.rotation_moves)}, and with the latent of rank {report.rank} by "
            f"{_distance(chosen.both_move)}."
        )
    return Group(table, *(Text(escaped(note)) for note in notes))


def _distance(distance: PatternDistance) -> str:
    return f"{distance.mean:.3f} (worst row {distance.worst:.3f})"
