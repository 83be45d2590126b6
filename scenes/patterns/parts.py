"""All patterns of a model as a wall of glass, and its patterns repeated over the floor."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from manim import Group

from extract.trace import Trace
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import N_, _
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.quantities import quantity
from filmkit.core.theme import current_theme, mixed
from filmkit.core.view import LayerView
from filmkit.pictures.bodies import Pane

__all__ = ["STEP", "Plain", "Wall", "prompt_patterns"]

Array = npt.NDArray[np.float64]

# Lengths are in scene units.
STEP = 1.2  # from pattern to pattern; a pattern has a side of about 1
GAP = 0.2  # between two patterns, as a share of a pattern
ALONE = 5  # rows of a plain of which the nearest ones are drawn alone
FADES = 0.9  # share of its light that the farthest row of a plain has lost
EDGE = 0.22  # share of its light that the edge of a pane gives


def prompt_patterns(trace: Trace) -> Array:
    """Return the patterns of all heads on the prompt, [layer, head, query_pos, key_pos]."""
    stop = trace.meta.n_prompt
    layers = range(trace.meta.n_layers)
    return np.stack([trace.get("pattern", i)[:, :stop, :stop] for i in layers]).astype(np.float64)


def spaced(tiles: Iterable[Array], *, across: bool) -> Array:
    """Return tiles (m, k) side by side or below each other, each with free cells behind it."""
    padded = []
    for tile in tiles:
        gap = max(1, round(GAP * min(tile.shape)))
        padded.append(np.pad(tile, ((0, 0), (0, gap)) if across else ((0, gap), (0, 0))))
    return np.concatenate(padded, axis=int(across), dtype=np.float64)


@quantity(N_("attention patterns"), axes=())
def patterns_of_layer(
    trace: Trace, layer: int, drawn: tuple[int, int], across: bool, first_token: bool
) -> Array:
    """Return the patterns of all heads of a layer as one matrix, with free cells between them.

    The heads go down, or across. Of each the drawn positions are there, as rows and as columns;
    `first_token` tells whether a first token is among them that may be hidden elsewhere.
    """
    cut = slice(*drawn)
    return spaced(trace.get("pattern", layer)[:, cut, cut], across=across)


class Wall(Group):
    """Every head's pattern on a wall of glass that stands in the room, a pane for each layer.

    Layers go to the right, and the heads of a layer down; in upright frames layers go up.

    Parameters
    ----------
    view
        Tells which positions are drawn, and of which trace.
    upright
        Whether layers go up.
    at, turn
        Where the middle of its foot is, and how far it is turned, in degrees.

    Attributes
    ----------
    size
        Width and height.
    """

    def __init__(
        self, view: LayerView, *, upright: bool, at: npt.ArrayLike = (0, 0, 0), turn: float = 0.0
    ) -> None:
        meta, theme = view.trace.meta, current_theme()
        self.upright, self.count, heads = upright, view.count, meta.n_heads
        self.size = np.array([heads, meta.n_layers] if upright else [meta.n_layers, heads]) * STEP
        self.cell = STEP / len(spaced([np.zeros((self.count, self.count))], across=False))
        there, name = self.lit(np.ones(heads)), _("layer {layer}")
        right = np.array([math.cos(math.radians(turn)), 0.0, -math.sin(math.radians(turn))])
        super().__init__()
        for layer in range(meta.n_layers):
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
            cells = Heatmap(values, Norm.unit(), source=source, edged=False).set_shown(there)
            pane = Pane(cells, height=self.cell * len(values), told=name.format(layer=layer))
            pane.set_boxes(pane.boxes, mixed(theme.background, theme.glass, EDGE), pane.layers)
            pane.is_light = True
            along = STEP * (layer - (meta.n_layers - 1) / 2)
            place = [0, STEP * layer, 0] if upright else along * right
            self.add(pane.put(np.add(at, place), turn=turn))

    def lit(self, levels: Array) -> Array:
        """Return the opacity of the cells of a pane whose heads have such levels (heads,)."""
        return spaced([level * np.tri(self.count) for level in levels], across=self.upright)

    def tile(self, layer: int, head: int) -> Array:
        """Return the corners (4, 3) of a head's pattern, as those of a heatmap."""
        cells, start = self[layer].cells, head * STEP / self.cell
        row, column = (0.0, start) if self.upright else (start, 0.0)
        end = self.count
        around = (row, column), (row, column + end), (row + end, column + end), (row + end, column)
        return np.array([cells.at(*place) for place in around])


@quantity(N_("attention patterns, repeated"), axes=())
def repeated_patterns(
    trace: Trace,
    rows: tuple[int, int],
    columns: int,
    drawn: tuple[int, int],
    merged: bool,
    first_token: bool,
) -> Array:
    """Return rows [start, stop) of a plain of patterns as one matrix, with free cells between them.

    It begins with those of the first layer, and when all have had their turn they come again.
    Merged ones are only the mean of the rows of each.
    """
    cut = slice(*drawn)
    patterns = prompt_patterns(trace)[:, :, cut, cut]
    patterns = patterns.reshape(-1, *patterns.shape[2:])
    numbers = np.arange(rows[0] * columns, rows[1] * columns) % len(patterns)
    lines = [spaced(patterns[line], across=True) for line in np.split(numbers, rows[1] - rows[0])]
    if merged:
        return np.array([line.mean(axis=0) for line in lines])
    return spaced(lines, across=False)


class Plain(Group):
    """Patterns that lie on the floor, side by side in rows, and repeat until there are so many.

    Parameters
    ----------
    view
        Tells which positions are drawn, and of which trace.
    shape
        How many rows there are, and patterns in each.
    near
        Where the nearest row ends.
    """

    def __init__(self, view: LayerView, shape: tuple[int, int], near: float) -> None:
        super().__init__()
        rows, columns = shape
        half, row = STEP * columns / 2, 0
        there = spaced([np.tri(view.count)] * columns, across=True)
        while row < rows:
            # Far rows are so thin that only several of them, and their means, can be seen.
            stop = min(rows, row + max(1, row // ALONE))
            merged = stop > row + 1
            given = {
                "rows": (row, stop),
                "columns": columns,
                "drawn": (view.first, view.stop),
                "merged": merged,
                "first_token": view.first == 0,
            }
            source = TensorSource(quantity="repeated_patterns", given=tuple(given.items()))
            values = repeated_patterns(view.trace, **given)
            strip = Heatmap(values, Norm.unit(), source=source, edged=False)
            if not merged:
                strip.set_shown(spaced([there], across=False))
            low, high = near - STEP * row, near - STEP * stop
            strip.set_corners([(-half, 0, high), (half, 0, high), (half, 0, low), (-half, 0, low)])
            self.add(strip.set_opacity(1 - FADES * row / rows))
            row = stop
