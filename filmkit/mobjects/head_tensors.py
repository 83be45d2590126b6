"""The matrices of a head: numbers, scale, source, mask, name and colour of each, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import Group, config

from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import WORD_GAP, Box, Frame, column_points, row_points
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import _
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.theme import current_theme
from filmkit.core.view import HeadView
from filmkit.mobjects.marks import TokenLabels, size_beside
from filmkit.mobjects.panel import Header, Panel

__all__ = ["HEAD_TENSORS", "HeadPanel", "HeadTensor", "head_tensor"]

HEAD_TENSORS = ("q", "k", "k_t", "v", "scores", "pattern", "z")
"""Names of the matrices of a head; ``k_t`` is K transposed."""

SIZE = 0.55  # height of a panel's cells, as a share of the frame's shorter side
MAX_WIDTH = 0.6  # and their largest width, as a share of the frame's width
WORD = 0.15  # room for a word, as a share of the frame's shorter side


@dataclass(frozen=True)
class HeadTensor:
    """One matrix of a head, and how it is shown.

    Attributes
    ----------
    values : (rows, columns)
        The numbers, float64.
    norm
        How they become colours: the same for all heads of the layer.
    source
        Where they come from.
    masked : (rows, columns) or None
        True where the causal mask removes a cell.
    name, symbol
        In words and as Typst mathematics.
    colour
        Colour of its role in the current theme, "#RRGGBB".
    token_rows, token_columns
        Whether its rows, and its columns, are tokens.
    """

    values: npt.NDArray[np.float64]
    norm: Norm
    source: TensorSource
    masked: npt.NDArray[np.bool_] | None
    name: str
    symbol: str
    colour: str
    token_rows: bool = True
    token_columns: bool = False

    def heatmap(self, box: Box) -> Heatmap:
        """Return it as a heatmap that fills a box."""
        cells = Heatmap(
            self.values,
            self.norm,
            width=box.width,
            height=box.height,
            masked=self.masked,
            source=self.source,
        )
        cells.label = self.name
        return cells.place(box)

    def panel(self, box: Box, **kwargs: Any) -> Panel:
        """Return it as a panel whose cells fill a box; ``kwargs`` are those of :class:`Panel`."""
        looks: dict[str, Any] = {
            "name": self.name,
            "symbol": self.symbol,
            "colour": self.colour,
            "masked": self.masked,
            "source": self.source,
        }
        return Panel(self.values, self.norm, box, **(looks | kwargs))


def head_tensor(view: HeadView, name: str) -> HeadTensor:
    """Return one matrix of a head.

    Parameters
    ----------
    view
        The head.
    name
        "q" or "k" (as used in the scores), "k_t", "v", "scores", "pattern" or "z".

    Raises
    ------
    SceneCodeError
        If there is no such matrix.
    """
    theme, layer, meta = current_theme(), view.layer, view.layer.trace.meta
    head, kv_head = view.head, view.kv_head
    match name:
        case "q":
            source = layer.source(view.score_tensor("q"), head, (0, meta.d_qk))
            return HeadTensor(
                view.q_used, layer.norm("q"), source, None, _("queries"), "Q", theme.query
            )
        case "k":
            source = layer.source(view.score_tensor("k"), kv_head, (0, meta.d_qk))
            return HeadTensor(view.k_used, layer.norm("k"), source, None, _("keys"), "K", theme.key)
        case "k_t":
            source = layer.source(view.score_tensor("k"), kv_head, (0, meta.d_qk), transposed=True)
            return HeadTensor(
                view.k_used.T,
                layer.norm("k"),
                source,
                None,
                _("keys"),
                "K^top",
                theme.key,
                False,
                True,
            )
        case "v":
            source = layer.source("v", kv_head, (0, meta.d_v))
            return HeadTensor(view.v, layer.norm("v"), source, None, _("values"), "V", theme.value)
        case "scores":
            source = layer.computed("scores", head=head)
            return HeadTensor(
                view.scores, layer.scores_norm, source, view.causal_mask,
                _("scores"), "", theme.scores, True, True,
            )  # fmt: skip
        case "pattern":
            return HeadTensor(
                view.pattern, layer.norm("pattern"), view.pattern_source, view.causal_mask,
                _("pattern"), "A", theme.pattern, True, True,
            )  # fmt: skip
        case "z":
            source = layer.source("z", head, (0, meta.d_v))
            return HeadTensor(view.z, layer.norm("z"), source, None, _("head output"), "z", theme.z)
    raise SceneCodeError(f"a head has no matrix {name!r}; there are {', '.join(HEAD_TENSORS)}")


class HeadPanel(Group):
    """One matrix of a head with its name and its words, of a size that fits the frame.

    It stands in the middle of the frame. Manim's own ``next_to``, ``arrange``, ``to_edge`` and
    ``scale_to_fit_width`` place it, and Manim's animations move it.

    Parameters
    ----------
    view
        The head: ``self.head`` in a stage.
    name
        "q", "k", "k_t", "v", "scores", "pattern" or "z".
    height
        Height of the cells in scene units; by default a good half of the frame's.
    words
        Whether the words stand at the rows and columns that are tokens.

    Attributes
    ----------
    cells : Heatmap
        The numbers; ``cells.row(3)`` and ``cells.cell(3, 1)`` are boxes.
    header : Header
        Name, symbol and shape.
    row_words, column_words : TokenLabels or None
        The words, where there are any.
    tensor : HeadTensor
        What is shown.

    Raises
    ------
    SceneCodeError
        If there is no such matrix.

    Examples
    --------
    ::

        self.pattern = HeadPanel(self.head, "pattern")
        self.play(FadeIn(self.pattern))
        self.play(Appear(Highlight(self.pattern.cells.row(-1))))
    """

    def __init__(
        self, view: HeadView, name: str, *, height: float | None = None, words: bool = True
    ) -> None:
        super().__init__()
        self.tensor = tensor = head_tensor(view, name)
        frame = Frame(float(config.frame_width), float(config.frame_height))
        rows, columns = tensor.values.shape
        across = height or SIZE * frame.shorter_side
        square = tensor.token_rows and tensor.token_columns
        width = across if square else min(MAX_WIDTH * frame.width, across * columns / rows)
        box = Box(0.0, 0.0, width, across)
        self.cells = tensor.heatmap(box)
        self.header = Header(tensor.name, tensor.symbol, (rows, columns), colour=tensor.colour)
        room = WORD * frame.shorter_side
        self.row_words = self.column_words = None
        if words and tensor.token_rows:
            self.row_words = TokenLabels(
                view.layer.words,
                row_points(box.left - WORD_GAP, box, rows),
                width=room,
                size=size_beside(box.height / rows),
            )
        if words and tensor.token_columns:
            self.column_words = TokenLabels(
                view.layer.words,
                column_points(box.top + WORD_GAP, box, columns),
                vertical=True,
                width=room,
                size=size_beside(box.width / columns),
            )
        above = box
        if self.column_words is not None:
            above = Box.of(box.left, box.right, box.bottom, float(self.column_words.get_top()[1]))
        self.header.stand_on(above)
        parts = (self.cells, self.header, self.row_words, self.column_words)
        self.add(*(part for part in parts if part is not None))
        self.move_to([0.0, 0.0, 0.0])
