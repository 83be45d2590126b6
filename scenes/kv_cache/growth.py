"""One head before and after a word joins the prompt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from manim import Animation, AnimationGroup, Group, VGroup

from filmkit.core.animations import Appear, Reveal, Vanish
from filmkit.core.geometry import Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.text import Label, stacked_lines
from filmkit.core.theme import current_theme
from filmkit.core.view import HeadView
from filmkit.mobjects.head import HeadPicture
from filmkit.mobjects.marks import Highlight
from scenes.kv_cache.layout import ScoreGrowthLayout

__all__ = ["GrowingHead", "GrowthMarks", "NoteLines", "in_column", "in_row"]

Array = npt.NDArray[np.float64]


def in_row(shape: tuple[int, int], row: int) -> Array:
    """Return the times at which cells appear when only one row is filled, from the left.

    Times are between 0 and 1, NaN for a cell that does not change.
    """
    when = np.full(shape, np.nan)
    when[row] = np.arange(shape[1]) / shape[1]
    return when


def in_column(shape: tuple[int, int], column: int) -> Array:
    """Return the times at which cells appear when only one column is filled, from the top."""
    return in_row(shape[::-1], column).T


class NoteLines(VGroup):
    """Lines of text that begin at given points.

    Parameters
    ----------
    lines
        Text and colour of each line.
    points
        (x, y) of the left end of each line, at half its height.
    size
        Text size of all lines; the theme's ``shape_size`` by default.
    width
        Largest width, in scene units. A longer line is broken; half its height stays at its point.
    """

    def __init__(
        self,
        lines: Sequence[tuple[str, str]],
        points: Sequence[tuple[float, float]],
        *,
        size: float | None = None,
        width: float = np.inf,
    ) -> None:
        super().__init__()
        for (text, colour), (x, y) in zip(lines, points, strict=True):
            self.add(*stacked_lines(text, (x, y), width, size=size, colour=colour))


class GrowingHead(HeadPicture):
    """Picture of a head with room for a last word that is still hidden.

    Everything stands where it will stand in the end, so that nothing moves when the word comes;
    its row, its column and its shapes are hidden.

    Parameters
    ----------
    view
        The head, with the new word included.
    frame
        The frame to fill.

    Attributes
    ----------
    new_row
        Index of the new word's row.
    shapes_before, shapes_after
        Labels of the panels' shapes, by panel, without and with the new row. They are not part
        of the headers, so that they can be exchanged.
    """

    def __init__(self, view: HeadView, frame: Frame) -> None:
        super().__init__(view, frame)
        theme, self.new_row = current_theme(), view.layer.count - 1
        self.shapes_before: dict[str, Label] = {}
        self.shapes_after: dict[str, Label] = {}
        meta, old = view.layer.trace.meta, self.new_row
        for name, header, columns in (
            ("x", self.x.header, meta.d_model),
            ("q", self.q.header, meta.d_qk),
            ("k", self.k.header, meta.d_qk),
            ("v", self.v.header, meta.d_v),
            ("z", self.z.header, meta.d_v),
            ("pattern", self.pattern_title, old),
        ):
            after = header.shape
            if after is None:  # a header without room for its shape
                continue
            before = Label(f"{old} × {columns}", size=theme.shape_size, colour=theme.muted)
            left, bottom, top = after.points[-12, 0], after.points[-12, 1], after.points[-8, 1]
            before.on_line(left + before.width / 2, (bottom + top) / 2)
            header.remove(after)
            self.shapes_before[name], self.shapes_after[name] = before, after
        for cells in self.row_panels:
            cells.set_shown(np.arange(cells.shape[0])[:, None] < self.new_row)
        known = np.arange(self.new_row + 1) < self.new_row
        self.k_t.cells.set_shown(known[None])
        for cells in (self.scores.cells, self.pattern.cells):
            cells.set_shown(known[:, None] & known[None])

    # Parts

    @property
    def row_panels(self) -> tuple[Heatmap, ...]:
        """Heatmaps with a row for each word, in reading order."""
        return (*self.x.blocks, self.q.cells, self.k.cells, self.v.cells, self.z.cells)

    @property
    def input_side(self) -> Group:
        """X, and the weights and lines to queries, keys and values; without the words beside X."""
        return Group(self.x, self.query_side, self.w_v, self.to_v, self.shapes_before["x"])

    @property
    def qkv_panels(self) -> Group:
        """Queries, keys and values, with their old shapes."""
        shapes = (self.shapes_before[name] for name in "qkv")
        return Group(self.q, self.k, self.v, *shapes)

    @property
    def result_side(self) -> Group:
        """Everything that is computed from queries, keys and values, lines included."""
        lines = (self.k_to_k_t, self.q_to_k_t, self.k_t_to_scores, self.softmax, self.softmax_name)
        product_parts = (self.pattern_title, self.v_to_z, self.pattern_to_z, self.product_dot)
        shapes = (self.shapes_before[n] for n in ("pattern", "z") if n in self.shapes_before)
        panels = (self.k_t, self.scores, self.pattern, self.z)
        return Group(*lines, *product_parts, *panels, *shapes, self.old_words)

    @property
    def score_parts(self) -> Group:
        """Queries, keys and scores, with the new shapes and the lines between them."""
        return Group(self.score_side, self.shapes_after["q"], self.shapes_after["k"])

    @property
    def old_words(self) -> VGroup:
        """Old words at the pattern; empty where they would be too small to read."""
        words = VGroup(*self.pattern_rows[:-1], *self.pattern_columns[:-1])
        return words if self.pattern_words_readable else VGroup()

    @property
    def new_words(self) -> VGroup:
        """New word at both sides of the pattern; empty where it would be too small to read."""
        words = VGroup(self.pattern_rows[-1], self.pattern_columns[-1])
        return words if self.pattern_words_readable else VGroup()

    def old_blocks(self) -> list[Box]:
        """Return the boxes of the old queries, the old keys' columns and their scores."""
        q, k_t, scores = self.q.cells, self.k_t.cells, self.scores.cells
        old = (0, self.new_row)
        return [
            q.block(old, (0, q.shape[1])),
            k_t.block((0, k_t.shape[0]), old),
            scores.block(old, old),
        ]

    def rows_to_weights(self) -> dict[Heatmap, Box]:
        """Return copies of the first cells of X's new row, each with its target at a weight."""
        cells, layout = self.x.blocks[0], self.layout
        row = cells.part((self.new_row, self.new_row + 1), (0, cells.shape[1]))
        half = row.box.width / 2, row.box.height / 2
        return {row.copy(): Box(w.x, w.y, *half) for w in (layout.w_q, layout.w_k, layout.w_v)}

    # Animations

    def update_shapes(self, *names: str) -> list[Animation]:
        """Return animations that exchange the shapes of some panels for those with the new row."""
        shown = [name for name in names if name in self.shapes_before]
        changes: list[Animation] = [Vanish(self.shapes_before[name]) for name in shown]
        return changes + [Appear(self.shapes_after[name]) for name in shown]

    def reveal_new_row(self, *panels: Heatmap, **kwargs: float) -> AnimationGroup:
        """Return an animation that reveals the new row of some panels from the left."""
        return AnimationGroup(
            *(Reveal(cells, in_row(cells.shape, self.new_row)) for cells in panels), **kwargs
        )


class GrowthMarks(VGroup):
    """Frames around what was known before the new word, and around the new row of scores.

    Parameters
    ----------
    picture
        The head, with its new row.
    layout
        Where the notes stand, and how near the camera is.
    """

    def __init__(self, picture: GrowingHead, layout: ScoreGrowthLayout) -> None:
        super().__init__()
        theme, zoom = current_theme(), layout.zoom
        self.old = VGroup(
            *(Highlight(block, colour=theme.ink, zoom=zoom) for block in picture.old_blocks())
        )
        self.row = Highlight(picture.scores.cells.row(picture.new_row), zoom=zoom)
        lines = (
            ("masked", theme.muted),
            ("known before", theme.ink),
            ("one new row", theme.highlight),
        )
        points = (layout.masked, layout.old, layout.new)
        size = theme.shape_size if layout.small else theme.name_size
        self.notes = NoteLines(lines, points, size=size * zoom)
        self.add(self.old, self.row, self.notes)
