"""Parts of the pictures in which a latent is made, and keys and values of it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from manim import RIGHT, Mobject, VGroup

from filmkit.core.facts import fact
from filmkit.core.language import _
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.numbers import format_share
from filmkit.core.text import Label, Symbol, break_lines
from filmkit.core.theme import current_theme
from filmkit.mobjects.latent_view import LatentHead, LatentView
from filmkit.pictures.mosaic import TOKEN
from filmkit.pictures.parts import TEXT, Free, Matrix, Part
from filmkit.pictures.tensors import CHANNEL, LATENT, HeadParts
from filmkit.pictures.texts import below_each_other, figure, quiet

__all__ = ["figure_and_words", "latent_matrices", "latent_notes", "loss_parts", "ways_parts"]

SIGN = 0.055  # size of a sign between matrices
WIDER = 80, 24  # first and last columns of X
BRIGHTER = 3  # how many times the light of keys and values differences have; pictures say so
GAP = 0.4  # between an arrow that points down and words beside it, in scene units
NARROW = 2.4  # width at which words beside a picture are broken, in scene units

ROLES = {"K": "key", "V": "value"}


def latent_matrices(head: LatentHead) -> dict[str, Matrix]:
    """Return the latent, keys and values of a head made of it, and the matrices that make these.

    Their names in mosaics are C, K, V, W_UK and W_UV.
    """
    view, layer = head.view, head.view.layer
    c = Matrix(
        view.latent, view.latent_norm, view.latent_source, TOKEN, LATENT,
        name=_("latent"), symbol="C", colour=current_theme().latent, words=layer.words,
    )  # fmt: skip
    return {
        "C": c,
        "K": _made(head, "K", _("keys")),
        "V": _made(head, "V", _("values")),
        "W_UK": _weight(view, "W_UK", head.kv_head, "key"),
        "W_UV": _weight(view, "W_UV", head.kv_head, "value"),
    }


def ways_parts(head: LatentHead, *, upright: bool) -> dict[str, Part]:
    """Return the input, and arrows to the latent and to keys and values.

    Their names in mosaics are X, down and up. X has more of its columns here than elsewhere. Where
    pictures are upright, arrows point down.
    """
    x = HeadParts(head.view.layer.head(head.head))["X"]
    assert x is not None
    ends = fact("width", x.values.shape[1]), fact("rank", head.view.forms.rank)
    return {
        "X": replace(x, kept=WIDER),
        "down": Free(partial(_arrow, _("one matrix"), f"{ends[0]} → {ends[1]}", down=upright)),
        "up": Free(partial(_arrow, _("two matrices"), "", down=upright)),
    }


def _arrow(first: str, last: str, *, down: bool) -> VGroup:
    """Return an arrow down or to the right between words, "" for none."""
    sign = Symbol("arrow.b" if down else "arrow.r.long", size=1.6 * SIGN)
    after = [Label(text, size=TEXT) for text in [last] if text]
    if down:
        return VGroup(Label(first, size=TEXT), sign, *after).arrange(RIGHT, buff=GAP)
    lines = break_lines(first, NARROW / 2, size=TEXT)
    return below_each_other(*(Label(line, size=TEXT) for line in lines), sign, *after)


def _made(head: LatentHead, symbol: str, name: str) -> Matrix:
    """Return the keys or values of a head that are made of the latent."""
    layer, tensor = head.view.layer, symbol.lower()
    values, source = head.panels[tensor]
    return Matrix(
        values, layer.norm(tensor), source, TOKEN, CHANNEL,
        name=name, symbol=symbol, colour=current_theme().role(ROLES[symbol]), words=layer.words,
    )  # fmt: skip


def _weight(view: LatentView, name: str, head: int, role: str) -> Matrix:
    """Return a matrix that makes keys or values of a head of the latent."""
    trace = view.layer.trace
    tensor = trace.tensor_name(name, view.layer.layer)
    if not view.forms.has_trained_latent:
        tensor = f"latent.{tensor.removeprefix(name + '.')}.{name}"
    whole = trace[tensor].astype(float)
    height, _heads, width = whole.shape
    return Matrix(
        whole[:, head],
        Norm.stretched(whole, role=role),
        TensorSource(tensor, index=((0, height), head, (0, width))),
        LATENT,
        CHANNEL,
        symbol=f"W_({name[2]} {name[3]})",
        colour=current_theme().role(role),
    )


def latent_notes(view: LatentView) -> list[str]:
    """Return in words what is left out where matrices make latents, keys and values."""
    layer, notes = view.layer, []
    if view.forms.has_trained_latent:
        notes.append(_("latents are normalised"))
    if view.forms.d_rope:
        notes.append(_("the last channels of K: one rotated key for all heads"))
    if any(layer.trace.has(bias, layer.layer) for bias in ("b_K", "b_V")):
        notes.append(_("without their biases"))
    return notes


def loss_parts(head: LatentHead) -> dict[str, Part | Any]:
    """Return keys and values made of the latent, the model's own, and what they differ by.

    Their names in mosaics are K, true_K and lost_K, and the same of V; with minus_K, equals_K and
    share_K, which says how large the difference is. "about" says how differences are drawn, and
    what is compared where the layer has biases.
    """
    about = [_("differences: three times as bright")]
    if head.view.biased:
        about.append(_("both without their mean row"))
    parts: dict[str, Any] = {"about": quiet(*about)}
    said = _("error: less is better")
    for symbol, rebuilt, own in (
        ("K", _("rebuilt keys"), _("true keys")),
        ("V", _("rebuilt values"), _("true values")),
    ):
        compared = head.comparison(symbol.lower())
        sources = _sources(head, symbol, compared.true.shape[1])
        made = replace(_made(head, symbol, rebuilt), symbol="")
        scale = made.scale
        norm = replace(
            scale,
            cmap=current_theme().colour_map(),
            **{end: getattr(scale, end) / BRIGHTER for end in ("vmin", "vmax", "linear_width")},
        )
        parts[symbol] = replace(made, values=compared.rebuilt, source=sources[0])
        parts[f"true_{symbol}"] = replace(made, values=compared.true, source=sources[1], name=own)
        parts[f"lost_{symbol}"] = replace(
            made, values=compared.rebuilt - compared.true, source=sources[2],
            name=_("difference"), norm=norm, colour=None,
        )  # fmt: skip
        for name, sign in (("minus", "-"), ("equals", "=")):
            parts[f"{name}_{symbol}"] = partial(Symbol, sign, size=SIGN)
        error = fact("relative error", compared.error, format_share, beside=said, of=symbol.lower())
        parts[f"share_{symbol}"] = partial(figure_and_words, error, said)
    return parts


def _sources(head: LatentHead, symbol: str, width: int) -> list[TensorSource]:
    """Return the sources of keys or values from the latent, of the model's, and their difference.

    Where the layer has biases, all are less the mean of the rows that are drawn.
    """
    layer, kind = head.view.layer, f"{ROLES[symbol]}s"
    given: dict[str, Any] = {"kv_head": head.kv_head}
    if head.view.biased:
        given["about"] = (layer.first, layer.stop)
        true = layer.computed(f"own_{kind}", width, **given)
    else:
        tensor = "v" if symbol == "V" else layer.trace.unrotated("k")
        true = layer.source(tensor, head.kv_head, (0, width))
    made, lost = (layer.computed(f"{what}_{kind}", width, **given) for what in ("latent", "lost"))
    return [made, true, lost]


def figure_and_words(number: str, words: str, *, colour: str | None = None) -> Mobject:
    """Return the figure that matters, with words in a narrow column below it."""
    lines = break_lines(words, NARROW, size=TEXT)
    return below_each_other(
        figure(number, colour=colour), *(Label(line, size=TEXT) for line in lines)
    )
