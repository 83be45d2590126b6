"""The ladder of ranks that ``python -m extract latent`` prints."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from extract.latent import Moved, latent_report
from extract.low_rank import Errors
from extract.trace import Trace

__all__ = ["latent_table"]


def latent_table(trace: Trace, layer: int) -> RenderableType:
    """Lay out what was measured for a layer's latent, with the chosen rank marked."""
    report = latent_report(trace, layer)
    table = Table(title=f"Latents of layer {layer}: errors of K and V together, and of each")
    table.add_column("rank", justify="right")
    for column in ("text", "held out", "prompt"):
        table.add_column(f"fit: {column}", justify="right")
    for column in ("held out", "prompt"):
        table.add_column(f"weight SVD: {column}", justify="right")
    table.add_column("pattern moves", justify="right")
    for rung in report.ladder:
        table.add_row(
            f"{'> ' if rung.rank == report.rank else ''}{rung.rank}",
            _errors(rung.fit.calibration),
            _errors(rung.fit.held_out),
            _errors(rung.fit.prompt),
            _errors(rung.weight_svd.held_out),
            _errors(rung.weight_svd.prompt),
            _moved(rung.latent_moves_content),
        )
    text, chosen = report.calibration, report.chosen
    reason = (
        "as given"
        if report.error_target is None
        else f"the smallest whose held-out error is at most {report.error_target:g}"
    )
    notes = [
        f"> Rank {report.rank} is stored, {reason}: {report.rank} numbers cached for each token "
        f"instead of {report.n_cached}; rank {report.full_rank} loses nothing.",
        f"Errors are relative: balanced (K, V). {text.name}: {text.n_fitted:,} inputs fitted, "
        f"{text.n_held_out:,} held out, read {text.n_passage} tokens at a time.",
        "Patterns move by total variation, mean (worst row), over the prompt.",
    ]
    if trace.rotates:
        notes.append(
            "This model rotates queries and keys and the latent cannot, so its patterns are "
            f"content-only ones. Dropping the rotation alone moves them by "
            f"{_moved(report.rotation_moves)}, and with the latent of rank {report.rank} by "
            f"{_moved(chosen.both_move)}."
        )
    return Group(table, *(Text(note) for note in notes))


def _errors(errors: Errors) -> str:
    return f"{errors.balanced:.3f} ({errors.k:.2f}, {errors.v:.2f})"


def _moved(moved: Moved) -> str:
    return f"{moved.mean:.3f} ({moved.worst:.2f})"
