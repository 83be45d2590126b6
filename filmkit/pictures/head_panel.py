"""A matrix of a head that Manim's own methods place."""

from __future__ import annotations

from manim import Group, config

from filmkit.core.geometry import WORD_GAP, Box, Frame, column_points, row_points
from filmkit.core.view import HeadView
from filmkit.mobjects.marks import TokenLabels, size_beside
from filmkit.mobjects.panel import Header
from filmkit.pictures.mosaic import TOKEN
from filmkit.pictures.tensors import head_tensor

__all__ = ["HeadPanel"]

SIZE = 0.55  # height of a panel's cells, as a share of the frame's shorter side
MAX_WIDTH = 0.6  # and their largest width, as a share of the frame's width
WORD = 0.15  # room for a word, as a share of the frame's shorter side


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
    tensor : Matrix
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
        self.tensor = matrix = head_tensor(view, name)
        frame = Frame(float(config.frame_width), float(config.frame_height))
        rows, columns = matrix.values.shape
        across = height or SIZE * frame.shorter_side
        token_rows, token_columns = matrix.rows == TOKEN, matrix.columns == TOKEN
        width = (
            across
            if token_rows and token_columns
            else min(MAX_WIDTH * frame.width, across * columns / rows)
        )
        box = Box(0.0, 0.0, width, across)
        self.cells = matrix.heatmap(box)
        self.header = Header(matrix.name, matrix.symbol, (rows, columns), colour=matrix.colour)
        room = WORD * frame.shorter_side
        self.row_words = self.column_words = None
        if words and token_rows:
            self.row_words = TokenLabels(
                view.layer.words,
                row_points(box.left - WORD_GAP, box, rows),
                width=room,
                size=size_beside(box.height / rows),
            )
        if words and token_columns:
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
