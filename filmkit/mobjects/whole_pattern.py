"""An attention pattern on a whole prompt that is too long for words beside it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from manim import Group, VGroup

from extract.trace import Trace
from filmkit.core.errors import SceneCodeError, StageError
from filmkit.core.geometry import FRAME_HEIGHT, Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import _
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.mobjects.marks import ColourBar

__all__ = ["WholePattern", "whole_pattern_norm"]

MOST = 512
"""Tokens of the longest prompt: a cell of a larger pattern would be less than a pixel."""

EARLY = 1 / 16
"""The first queries that do not count for the scale, as a share of all: they have few keys, and
give each a large share whatever they attend to."""

NUMBERS = 6  # largest number of positions that are written at each side


def whole_pattern_norm(pattern: npt.NDArray[np.float32]) -> Norm:
    """Return the scale of a long pattern, (query, key), stretched near zero.

    It ends at the largest weight that a query gives to another token than the first one, on which
    many heads rest, and is about linear up to the share that every token would get of attention
    that is spread evenly: on a linear scale up to 1 a pattern of 500 tokens is dark.
    """
    counted = np.array(pattern[int(EARLY * len(pattern)) :, 1:], dtype=np.float64)
    largest = float(counted.max(initial=0.0)) or 1.0
    even = min(0.1 * largest, 1 / len(pattern))
    return Norm(0.0, largest, current_theme().colour_map("pattern"), even)


class WholePattern(Group):
    """The pattern of a head on a whole prompt of up to 512 tokens: numbers of positions, no words.

    The rows that a trace of a long prompt chooses for other pictures do not matter here.

    Parameters
    ----------
    trace
        The trace, for instance ``self.trace``.
    layer, head
        Counted from 0.
    box
        Box for all of it, in scene units, for instance ``self.frame.free``.

    Attributes
    ----------
    cells : Heatmap
        The pattern, the first token included.
    bar : ColourBar
        Its scale, which ends at the largest weight; see :func:`whole_pattern_norm`.
    positions : VGroup
        The numbers at both sides, counted from 0.

    Raises
    ------
    StageError
        If the prompt has more tokens.
    SceneCodeError
        If there is no such layer or head.

    Examples
    --------
    ::

        self.play(Appear(WholePattern(self.trace, 11, 3, self.frame.free)))
    """

    def __init__(self, trace: Trace, layer: int, head: int, box: Box) -> None:
        super().__init__()
        meta, theme = trace.meta, current_theme()
        n = meta.n_prompt
        if n - meta.has_bos > MOST:
            raise StageError(
                f"the prompt has {n - meta.has_bos} tokens, and a whole pattern can be drawn of at "
                f"most {MOST}: extract a shorter one with python -m extract --prompt"
            )
        if not (0 <= layer < meta.n_layers and 0 <= head < meta.n_heads):
            raise SceneCodeError(
                f"{meta.model} has no layer {layer} with a head {head}; it has {meta.n_layers} "
                f"layers of {meta.n_heads} heads, counted from 0"
            )
        letters = theme.note_size * FRAME_HEIGHT
        left, below = 3.2 * letters, 6.5 * letters
        side = min(box.width - left, box.height - below)
        cells = Box(box.x + left / 2, box.y + below / 2, side, side)
        pattern = trace.get("pattern", layer)[head, :n, :n]
        norm = whole_pattern_norm(pattern)
        self.cells = Heatmap(
            pattern,
            norm,
            width=side,
            height=side,
            masked=np.triu(np.ones((n, n), dtype=np.bool_), k=1),
            source=TensorSource(trace.tensor_name("pattern", layer), index=(head, (0, n), (0, n))),
        ).place(cells)
        clipped = bool((pattern > norm.vmax).any())
        name = _("share of attention; more looks alike") if clipped else _("share of attention")
        bar = Box(cells.x, cells.bottom - 2.6 * letters, side, 0.8 * letters)
        self.bar = ColourBar(norm, name, bar)
        self.positions = VGroup()
        for position in _written(n):
            offset = (position + 0.5) * side / n
            beside, under = (
                Label(str(position), size=theme.note_size, colour=theme.muted) for _axis in range(2)
            )
            beside.move_to([cells.left - 0.3 * letters - beside.width / 2, cells.top - offset, 0])
            under.move_to([cells.left + offset, cells.bottom - 0.9 * letters, 0])
            self.positions.add(beside, under)
        self.add(self.cells, self.positions, self.bar)


def _written(n: int) -> range:
    """Return the positions that are written beside a pattern: round numbers from 0 on."""
    sizes = (digit * 10**power for power in range(4) for digit in (1, 2, 5))
    return range(0, n, next(size for size in sizes if n / size <= NUMBERS))
