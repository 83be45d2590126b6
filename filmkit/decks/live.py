"""Live pictures of a web deck: what a speaker can turn, open or follow while talking.

A scene names the one that belongs to it (:attr:`filmkit.core.stage.Stage.live`). All numbers are
taken from the trace when the deck is made; the page draws them with the film's own colours.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from extract.attention.patterns import first_token_weight, previous_token_weight
from extract.trace import Trace
from extract.trace.contents.conversion_report import Row, conversion_report
from extract.trace.contents.meta import TraceMeta
from filmkit.core.language import N_, _
from filmkit.core.norm import Norm, colour_table
from filmkit.core.numbers import format_count, format_share
from filmkit.core.theme import current_theme
from filmkit.core.token_text import printable
from filmkit.core.view import LayerView
from filmkit.decks.cells import ArrayStore
from filmkit.decks.slides import Slide
from filmkit.render.errors import RenderError

__all__ = ["LATENTS", "LIVE_PICTURES", "LivePictures", "is_converted"]

LIVE_PICTURES = {
    "rank": "how small the latent is, as a dial",
    "patterns": "the pattern of every head, to be opened",
    "rows": "one token, followed through all panels",
}
"""Live pictures that a scene may name, each with what it shows."""

LATENTS = {
    "latent_then_rotate": N_("one latent, its keys rotated after"),
    "mla": N_("one latent, and one rotated key"),
}
"""The ways that have a size to turn, by their names in a conversion's ladder."""

SHARED = {"mqa": N_("one shared set: the mean"), "mqa_fitted": N_("one shared set, fitted")}
"""The ways with one size, of which a conversion stores results but no pictures."""


@dataclass
class LivePictures:
    """The live pictures of one deck, made when the first slide needs them.

    Parameters
    ----------
    view
        The layer that is shown, cut to the positions that are drawn.
    arrays
        Receives all arrays.
    maps
        Receives the colour maps by their names: base64 of 256 colours, each red, green and blue in
        8 bits.
    """

    view: LayerView
    arrays: ArrayStore
    maps: dict[str, str] = field(default_factory=dict)
    _made: dict[str, Any] = field(default_factory=dict)

    def of_slide(self, slide: Slide, panels: Iterable[Mapping[str, Any]]) -> str | None:
        """Return which live picture a slide has; None if it has none.

        Parameters
        ----------
        slide
            The slide.
        panels
            Its panels, as :func:`filmkit.decks.cells.panels_of` returns them.

        Raises
        ------
        RenderError
            When its scene names one that does not exist.
        """
        name = "" if slide.is_title else slide.entry.load().live
        if not name:
            return None
        if name not in LIVE_PICTURES:
            raise RenderError(
                f"{slide.entry.slug}: there is no live picture '{name}'; "
                f"there are {', '.join(LIVE_PICTURES)}"
            )
        if name == "rows":
            return name if any(_has_tokens(panel) for panel in panels) else None
        if name == "rank" and not is_converted(self.view.trace):
            return None
        if name not in self._made:
            self._made[name] = self.rank() if name == "rank" else self._patterns()
        return name

    def document(self) -> dict[str, Any]:
        """Return the live pictures by name, None if no slide has it."""
        return {"rank": None, "patterns": None} | self._made

    def norm(self, norm: Norm) -> dict[str, Any]:
        """Return a norm for the page; ``width`` is the linear width, null for a linear norm."""
        self.maps.setdefault(norm.cmap, b64encode(colour_table(norm.cmap).tobytes()).decode())
        width = None if norm.is_linear else norm.linear_width
        return {"map": norm.cmap, "vmin": norm.vmin, "vmax": norm.vmax, "width": width}

    @property
    def _words(self) -> list[str]:
        return [printable(word) for word in self.view.words]

    # The rank as a dial

    def rank(self) -> dict[str, Any]:
        """Return the ladder of the conversion: pictures of the featured head, and results."""
        trace = self.view.trace
        report, featured = conversion_report(trace), trace.meta.featured
        view = LayerView(trace, featured.layer, self.view.first, self.view.stop)
        kv_head = trace.kv_head(featured.head)
        drawn = slice(view.first, view.stop)
        own = {
            "k": trace.get("k", view.layer)[drawn, kv_head],
            "v": trace.get("v", view.layer)[drawn, kv_head],
            "pattern": trace.get("pattern", view.layer)[featured.head][drawn, drawn],
        }
        rows = {(row.way, row.numbers): row for row in report.ladder}
        (model,) = (row for row in report.ladder if row.way == "model")

        def results(row: Row) -> dict[str, Any]:
            sets = row.numbers // (trace.meta.d_qk + trace.meta.d_v)
            theme = current_theme()
            latent = [(theme.latent, row.rank), (theme.key, row.rotated)]
            pieces = latent if row.way in LATENTS else _colours_of_sets(trace.meta, sets)
            return _results(row) | {"pieces": [[colour, n] for colour, n in pieces if n]}

        def rung(row: Row) -> dict[str, Any]:
            prefix = f"rung.{row.way}.{row.numbers}"
            measured = {
                "moved": row.moved,
                "next_word": row.next_word_probability,
                "key_error": row.key_error,
                "value_error": row.value_error,
            }
            arrays = {
                "k": trace[f"{prefix}.k"][drawn],
                "v": trace[f"{prefix}.v"][drawn],
                "pattern": trace[f"{prefix}.pattern"][drawn, drawn],
            }
            numbers = {name: self.arrays.add(array) for name, array in arrays.items()}
            return results(row) | numbers | {"measured": measured}

        sizes = sorted({row.numbers for row in report.ladder if row.way in LATENTS})
        shared = next(row.numbers for row in report.ladder if row.way == "mqa")
        return {
            "layer": view.layer,
            "head": featured.head,
            "words": self._words,
            "width": {"k": own["k"].shape[1], "v": own["v"].shape[1]},
            "next": printable(report.next_word),
            "sizes": sizes,
            "start": sizes.index(shared) if shared in sizes else 0,
            "norms": {name: self.norm(view.norm(name)) for name in own},
            "model": results(model) | {name: self.arrays.add(array) for name, array in own.items()},
            "latents": [
                {"way": way, "name": _(name), "rungs": [rung(rows[way, size]) for size in sizes]}
                for way, name in LATENTS.items()
                if all((way, size) in rows for size in sizes)
            ],
            "shared": [
                {"name": _(SHARED[row.way])} | results(row)
                for row in report.ladder
                if row.way in SHARED
            ],
        }

    # Every pattern

    def _patterns(self) -> dict[str, Any]:
        """Return the patterns of all heads of all layers.

        Of each only the triangle that the causal mask leaves is stored, row by row. The habits are
        measured on the whole prompt, for each layer and head.
        """
        view, trace = self.view, self.view.trace
        meta, drawn = trace.meta, slice(view.first, view.stop)
        rows, columns = np.tril_indices(view.count)
        triangles, habits = [], []
        for layer in range(meta.n_layers):
            pattern = trace.get("pattern", layer)[:, : meta.n_prompt, : meta.n_prompt]
            triangles.append(pattern[:, drawn, drawn][:, rows, columns])
            habits.append([previous_token_weight(pattern), first_token_weight(pattern)])
        return {
            "layers": meta.n_layers,
            "heads": meta.n_heads,
            "words": self._words,
            "layer": view.layer,
            "head": meta.featured.head,
            "norm": self.norm(Norm.unit()),
            "cells": self.arrays.add(np.stack(triangles)),
            "previous": [list(map(format_share, previous)) for previous, _ in habits],
            "first": [list(map(format_share, first)) for _, first in habits],
            "hides_first": view.hides_first,
        }


def as_said(text: str) -> str:
    """Return how a model's words are shown: on one line, and with "…", since it would go on."""
    return f"{printable(' '.join(text.split()))} …"


def _colours_of_sets(meta: TraceMeta, sets: int) -> list[tuple[str, float]]:
    """Return the pieces of a bar of sets of keys and values: colour and numbers of each."""
    theme = current_theme()
    return [
        (theme.group_colour(role, group) if sets > 1 else theme.role(role), width)
        for group in range(sets)
        for role, width in (("key", meta.d_qk), ("value", meta.d_v))
    ]


def _results(row: Row) -> dict[str, Any]:
    """Return what a row of the ladder measured, as text for the page."""
    errors = {"k_error": row.key_error, "v_error": row.value_error}
    return {
        "numbers": row.numbers,
        "count": format_count(row.numbers),
        "parts": [part for part in (row.rank, row.rotated) if part],
        "moved": format_share(row.moved),
        "next": format_share(row.next_word_probability),
        "says": as_said(row.continuation),
        **{name: None if error is None else format_share(error) for name, error in errors.items()},
    }


def is_converted(trace: Trace) -> bool:
    """Return whether a trace has the ladder of a conversion, with the pictures of its rungs."""
    return trace.meta.conversion is not None and any(n.startswith("rung.") for n in trace.tensors)


def _has_tokens(panel: Mapping[str, Any]) -> bool:
    """Return whether rows or columns of a panel are tokens of the prompt."""
    axes = zip(panel["axes"], panel["index"], strict=False)
    return any(axis.endswith("pos") and isinstance(index, list) for axis, index in axes)
