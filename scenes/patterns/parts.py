"""All patterns of a model as a wall of glass, and that wall repeated on the floor."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from manim import Group

from extract.trace import Trace
from filmkit import Heatmap, LayerView, Norm, Pane, TensorSource, current_theme, quantity
from filmkit.core.language import N_
from filmkit.core.theme import mixed

__all__ = ["Plain", "Wall", "prompt_patterns"]

Array = npt.NDArray[np.float64]

# Lengths are in scene units.
STEP = 1.14  # from pattern to pattern on a wall; a pattern has a side of about 1
EDGE = 0.22  # share of its light that the edge of a pane gives


def prompt_patterns(trace: Trace) -> Array:
    """Return the patterns of all heads on the prompt, [layer, head, query_pos, key_pos]."""
    stop = trace.meta.n_prompt
    layers = range(trace.meta.n_layers)
    return np.stack([trace.get("pattern", i)[:, :stop, :stop] for i in layers]).astype(np.float64)


def gap_of(count: int) -> int:
    """Return how many cells are free between two patterns of so many tokens."""
    return max(1, round(0.2 * count))


@quantity(N_("attention patterns"), axes=())
def patterns_of_layer(
    trace: Trace, layer: int, drawn: tuple[int, int], across: bool, first_token: bool
) -> Array:
    """Return the patterns of all heads of a layer as one matrix, with free cells between them.

    Rows are the drawn positions and columns too; heads go across, or down. `first_token` tells
    whether the first position of the prompt is among them.
    """
    cut = slice(*drawn)
    patterns = trace.get("pattern", layer)[:, cut, cut]
    gap = gap_of(patterns.shape[1])
    parts = [np.pad(each, ((0, gap), (0, gap))) for each in patterns]
    joined = np.concatenate(parts, axis=1 if across else 0)
    return np.asarray(joined[:-gap, :-gap], dtype=np.float64)


class Wall(Group):
    """Every head's pattern on a wall of glass, a pane for each layer.

    Layers go to the right, and the heads of a layer down; in upright frames layers go up.

    Parameters
    ----------
    view
        Tells which positions are drawn, and of which trace.
    upright
        Whether layers go up.
    """

    def __init__(self, view: LayerView, *, upright: bool) -> None:
        meta, count = view.trace.meta, view.count
        self.layers, self.heads, self.upright = meta.n_layers, meta.n_heads, upright
        self.count, self.pitch = count, count + gap_of(count)
        tril, theme = np.zeros((self.pitch, self.pitch)), current_theme()
        tril[:count, :count] = np.tri(count)
        repeats = (1, self.heads) if upright else (self.heads, 1)
        gap = self.pitch - count
        self.there = np.tile(tril, repeats)[:-gap, :-gap]
        panes = []
        for layer in range(self.layers):
            given = {
                "layer": layer,
                "drawn": (view.first, view.stop),
                "across": upright,
                "first_token": view.first == 0,
            }
            source = TensorSource(
                quantity="patterns_of_layer", given=tuple(given.items()), model=view._model
            )
            values = patterns_of_layer(view.trace, **given)
            cells = Heatmap(values, Norm.unit(), source=source, edged=False).set_shown(self.there)
            rows = len(values)
            pane = Pane(cells, height=rows / self.pitch * STEP, told=f"{layer}")
            pane.set_boxes(pane.boxes, mixed(theme.background, theme.glass, EDGE), pane.layers)
            pane.is_light = True
            at = STEP * (layer - (self.layers - 1) / 2)
            pane.put((0, STEP * layer, 0) if upright else (at, 0, 0))
            panes.append(pane)
        super().__init__(*panes)

    def tile(self, layer: int, head: int) -> Array:
        """Return the corners (4, 3) of a head's pattern in the scene."""
        cells, start = self[layer].cells, self.pitch * head
        row, column = (0, start) if self.upright else (start, 0)
        ends = (row, column), (row, column + self.count), (row + self.count, column + self.count), (row + self.count, column)
        return np.array([cells.at(*each) for each in ends])
