"""One head before and after a word has joined the prompt."""

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
from scenes.kv_cache.layout import GrowLayout

__all__ = ["GrowingHead", "GrownMarks", "Notes", "in_column", "in_row"]

Array = npt.NDArray[np.float64]


def in_row(shape: tuple[int, int], row: int) -> Array:
    """When each cell shows if one row is filled from the left and nothing else changes."""
    when = np.full(shape, np.nan)
    when[row] = np.arange(shape[1]) / shape[1]
    return when


def in_column(shape: tuple[int, int], column: int) -> Array:
    """When each cell shows if one column is filled from the top and nothing else changes."""
    return in_row(shape[::-1], column).T


class Notes(VGroup):
    """Lines of words that begin at given spots.

    Parameters
    ----------
    lines
        Words and their colour.
    spots
        (x, y) of the left end of each line, at its middle.
    size
        Of all of them; the theme's ``shape_size`` by default.
    width
        A wider line is broken; its middle stays at its spot.
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
    """The picture of a head with room for a last word that is not there yet.

    Everything stands where it will stand in the end, so that nothing moves when the word comes;
    its row, its column and its shapes are hidden.

    Parameters
    ----------
    view
        Whose numbers, the new word's included.
    frame
        The frame to fill.

    Attributes
    ----------
    shapes_before, shapes_after
        The shapes in the headers, by panel, without and with the new row. They stand beside the
        headers, not in them.
    """

    def __init__(self, view: HeadView, frame: Frame) -> None:
        super().__init__(view, frame)
        theme, self.new = current_theme(), view.layer.count - 1
        self.shapes_before: dict[str, Label] = {}
        self.shapes_after: dict[str, Label] = {}
        meta, old = view.layer.trace.meta, self.new
        for name, header, columns in (
            ("x", self.x.header, meta.d_model),
            ("q", self.q.header, meta.d_qk),
            ("k", self.k.header, meta.d_qk),
            ("v", self.v.header, meta.d_v),
            ("z", self.z.header, meta.d_v),
            ("pattern", self.pattern_title, old),
        ):
            after = header.shape
            if after is None:  # where there is no room for it
                continue
            before = Label(f"{old} × {columns}", size=theme.shape_size, colour=theme.muted)
            left, bottom, top = after.points[-12, 0], after.points[-12, 1], after.points[-8, 1]
            before.on_line(left + before.width / 2, (bottom + top) / 2)
            header.remove(after)
            self.shapes_before[name], self.shapes_after[name] = before, after
        for cells in self.row_cells:
            cells.set_shown(np.arange(cells.shape[0])[:, None] < self.new)
        known = np.arange(self.new + 1) < self.new
        self.k_t.cells.set_shown(known[None])
        for cells in (self.scores.cells, self.pattern.cells):
            cells.set_shown(known[:, None] & known[None])

    # Parts

    @property
    def row_cells(self) -> tuple[Heatmap, ...]:
        """Every heatmap with a row for each word, in reading order."""
        return (*self.x.blocks, self.q.cells, self.k.cells, self.v.cells, self.z.cells)

    @property
    def input_side(self) -> Group:
        """X, and what makes queries, keys and values of it, without the words beside X."""
        return Group(self.x, self.query_side, self.w_v, self.to_v, self.shapes_before["x"])

    @property
    def sheets(self) -> Group:
        """Queries, keys and values."""
        shapes = (self.shapes_before[name] for name in "qkv")
        return Group(self.q, self.k, self.v, *shapes)

    @property
    def result_side(self) -> Group:
        """What comes of queries, keys and values, lines included."""
        lines = (self.k_to_k_t, self.q_to_k_t, self.k_t_to_scores, self.softmax, self.softmax_name)
        more = (self.pattern_title, self.v_to_z, self.pattern_to_z, self.product_dot)
        shapes = (self.shapes_before[n] for n in ("pattern", "z") if n in self.shapes_before)
        panels = (self.k_t, self.scores, self.pattern, self.z)
        return Group(*lines, *more, *panels, *shapes, self.old_words)

    @property
    def score_parts(self) -> Group:
        """Queries, keys and scores with their shapes, and the lines between them."""
        return Group(self.score_side, self.shapes_after["q"], self.shapes_after["k"])

    @property
    def old_words(self) -> VGroup:
        """The words at the pattern that were there before; they can be far too small to read."""
        words = VGroup(*self.pattern_rows[:-1], *self.pattern_columns[:-1])
        return words if self.words_carry else VGroup()

    @property
    def new_words(self) -> VGroup:
        """The new word at both sides of the pattern."""
        words = VGroup(self.pattern_rows[-1], self.pattern_columns[-1])
        return words if self.words_carry else VGroup()

    def known_blocks(self) -> list[Box]:
        """Boxes of the old queries, the old keys' columns and their scores."""
        q, k_t, scores = self.q.cells, self.k_t.cells, self.scores.cells
        old = (0, self.new)
        return [
            q.block(old, (0, q.shape[1])),
            k_t.block((0, k_t.shape[0]), old),
            scores.block(old, old),
        ]

    def carried_rows(self) -> dict[Heatmap, Box]:
        """Copies of the first cells of X's new row, and where each goes: into a weight's box."""
        cells, layout = self.x.blocks[0], self.layout
        row = cells.part((self.new, self.new + 1), (0, cells.shape[1]))
        half = row.box.width / 2, row.box.height / 2
        return {row.copy(): Box(w.x, w.y, *half) for w in (layout.w_q, layout.w_k, layout.w_v)}

    # Motions

    def change_shapes(self, *names: str) -> list[Animation]:
        """The shapes of some panels count the new row."""
        there = [name for name in names if name in self.shapes_before]
        changes: list[Animation] = [Vanish(self.shapes_before[name]) for name in there]
        return changes + [Appear(self.shapes_after[name]) for name in there]

    def fill_row(self, *panels: Heatmap, **kwargs: float) -> AnimationGroup:
        """The new row of some panels shows from the left."""
        return AnimationGroup(
            *(Reveal(cells, in_row(cells.shape, self.new)) for cells in panels), **kwargs
        )


class GrownMarks(VGroup):
    """What was known before the new word came, in frames, and what is new; for a near camera.

    Parameters
    ----------
    picture
        The head, with its new row.
    slots
        Where the words stand, and how near the camera is.
    """

    def __init__(self, picture: GrowingHead, layout: GrowLayout) -> None:
        super().__init__()
        theme, zoom = current_theme(), layout.zoom
        self.known = VGroup(
            *(Highlight(block, colour=theme.ink, zoom=zoom) for block in picture.known_blocks())
        )
        self.row = Highlight(picture.scores.cells.row(picture.new), zoom=zoom)
        lines = (
            ("masked", theme.muted),
            ("known before", theme.ink),
            ("one new row", theme.highlight),
        )
        points = (layout.masked, layout.known, layout.new)
        size = theme.shape_size if layout.small else theme.name_size
        self.notes = Notes(lines, points, size=size * zoom)
        self.add(self.known, self.row, self.notes)
