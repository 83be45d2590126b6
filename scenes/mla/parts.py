"""Parts of the pictures in which a latent is made, and keys and values of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from manim import DOWN, RIGHT, VGroup

from filmkit.core.facts import claim
from filmkit.core.geometry import Frame
from filmkit.core.language import _
from filmkit.core.norm import TensorSource
from filmkit.core.text import Symbol
from filmkit.core.theme import current_theme
from filmkit.pictures.latent_view import LatentHead, LatentView
from filmkit.pictures.parts import LEAST, TEXT, Matrix
from filmkit.pictures.tensors import LATENT, MODEL, head_matrix, weights_of_head

__all__ = ["at_one_pitch", "latent_matrices", "latent_notes", "loss_parts", "named_arrow"]

WIDER = 432, 144  # first and last columns of X, where it stands beside the latent
WIDER_UPRIGHT = 216, 72  # and where it stands above it
AROUND = 3.6  # room of what stands beside both, in scene units

ARROW = 0.07  # size of arrows


def latent_matrices(head: LatentHead) -> dict[str, Matrix]:
    """Return the latent, keys and values of a head made of it, and the matrices that make these.

    Their names in mosaics are C, K, V, W_UK and W_UV.
    """
    view = head.view
    return {
        "C": view.latent,
        "K": head.naive["k"],
        "V": head.naive["v"],
        "W_UK": _weight(view, "W_UK", head.kv_head, "key"),
        "W_UV": _weight(view, "W_UV", head.kv_head, "value"),
    }


def at_one_pitch(head: LatentHead, latent: Matrix, frame: Frame) -> tuple[Matrix, Matrix]:
    """Return the input of a head and the latent with channels of one width, so that one is short.

    Cells are smaller than elsewhere, so that much of the input is drawn.
    """
    view = head.view
    x = head_matrix(view.layer.head(head.head), "X")
    assert x is not None
    if view.mla.origin == "converted":
        # The layers before it are converted too, so its input is another one.
        tensor = f"mla.{view.layer.layer}.x"
        values = view.rows(view.layer.trace[tensor].astype(float))
        x = replace(x, values=values, source=replace(x.source, tensor=tensor))
    kept = WIDER_UPRIGHT if frame.upright else WIDER
    beside = 0 if frame.upright else latent.values.shape[1]
    least = min(LEAST, (frame.free.width - AROUND) / (sum(kept) + beside))
    return replace(x, kept=kept, least=least), replace(latent, columns=MODEL, least=least)


def _weight(view: LatentView, name: str, head: int, role: str) -> Matrix:
    """Return a matrix that makes keys or values of a head of the latent."""
    trace = view.layer.trace
    tensor = trace.tensor_name(name, view.layer.layer)
    if view.mla.origin != "trained":
        prefix = {"converted": "mla", "fitted": "latent"}[view.mla.origin]
        tensor = f"{prefix}.{view.layer.layer}.{name}"
    symbol = f"W_({name[2]} {name[3]})"
    return weights_of_head(trace[tensor].astype(float), tensor, head, LATENT, symbol, role)


def named_arrow(side: str, matrix: Matrix) -> VGroup:
    """Return an arrow with the symbol of the matrix that makes what it points to."""
    symbol = Symbol(matrix.symbol, size=TEXT, colour=matrix.colour)
    arrow = Symbol(f"arrow.{side}", size=ARROW, colour=matrix.colour)
    return VGroup(symbol, arrow).arrange(RIGHT if side == "b" else DOWN, buff=0.15)


def latent_notes(view: LatentView) -> list[str]:
    """Return in words what is left out where matrices make latents, keys and values."""
    layer, trained, rope = view.layer, view.mla.origin == "trained", bool(view.mla.d_rope)
    biased = any(layer.trace.has(bias, layer.layer) for bias in ("b_K", "b_V"))
    notes = (
        claim(trained, _("latents are normalised")),
        claim(trained and rope, _("the last channels of K: one rotated key for all heads")),
        claim(rope and not trained, _("position has one rotated key beside them, for all heads")),
        claim(biased, _("without their biases")),
    )
    return [note for note in notes if note]


def loss_parts(head: LatentHead) -> dict[str, Matrix]:
    """Return keys that are made of the latent, the model's own, and what they differ by.

    Their names in mosaics are "rebuilt", "true" and "lost".
    """
    compared = head.comparison("k")
    made = replace(head.naive["k"], symbol="")
    cmap = current_theme().colour_map()
    values = compared.rebuilt, compared.true, compared.rebuilt - compared.true
    titles = _("rebuilt keys"), _("true keys"), _("difference")
    rebuilt, true, lost = (
        replace(made, values=one, source=source, name=title)
        for one, source, title in zip(values, _sources(head), titles, strict=True)
    )
    white = replace(lost, norm=replace(made.scale, cmap=cmap), colour=None)
    return {"rebuilt": rebuilt, "true": true, "lost": white}


def _sources(head: LatentHead) -> tuple[TensorSource, TensorSource, TensorSource]:
    """Return the sources of keys from the latent, of the model's, and of their difference.

    Where the layer has biases, all are less the mean of the rows that are drawn.
    """
    layer = head.view.layer
    width = head.comparison("k").true.shape[1]
    given: dict[str, Any] = {"kv_head": head.kv_head}
    true = layer.source(layer.trace.unrotated("k"), head.kv_head, (0, width))
    if head.view.biased:
        given["about"] = (layer.first, layer.stop)
        true = layer.computed("own_keys", width, **given)
    made, lost = (layer.computed(f"{what}_keys", width, **given) for what in ("latent", "lost"))
    return made, true, lost
