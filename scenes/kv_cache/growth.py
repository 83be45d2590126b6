"""One head before and after a token joins the prompt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, Mobject, VGroup, VMobject

from filmkit.core.animations import AnimateWith, Arrive, Glide, Reveal
from filmkit.core.geometry import Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import _
from filmkit.core.text import Label, fit_size, stacked_lines
from filmkit.core.theme import current_theme
from filmkit.core.view import HeadView
from filmkit.mobjects.marks import Highlight
from filmkit.mobjects.product import Factor, ProductPicture, head_product
from scenes.kv_cache.layout import GrowthNotesLayout

__all__ = [
    "GrowthMarks",
    "enter_from",
    "growing_product",
    "hide_last",
    "in_column",
    "in_row",
    "leave_to",
    "reveal_last",
    "sweep_column",
]

Array = npt.NDArray[np.float64]

INSIDE, EDGE = 0.09, 0.03  # from the edge of what is known, and of what is new, to its frame
HEADERS_APART = 0.25  # between two headers on one line, in scene units


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


def hide_last(blocks: Iterable[Heatmap], *, rows: bool = True, columns: bool = False) -> None:
    """Hide the last row, the last column, or both, of heatmaps: what is still to come."""
    for cells in blocks:
        known = np.ones(cells.shape)
        if rows:
            known[-1] = 0
        if columns:
            known[:, -1] = 0
        cells.set_shown(known)


def reveal_last(
    blocks: Sequence[Heatmap], *, column: bool = False, **kwargs: float
) -> list[Animation]:
    """Return animations in which the last row appears from the left, or the last column from above.

    Blocks are the parts of one matrix, or whole matrices.
    """
    fill = in_column if column else in_row
    axis = 1 if column else 0
    return [Reveal(cells, fill(cells.shape, cells.shape[axis] - 1), **kwargs) for cells in blocks]


def growing_product(view: HeadView, frame: Frame, name: str, room: Box) -> ProductPicture:
    """Return the product of a head whose last token is still to come: its cells are hidden.

    Everything stands where it will stand in the end, so that nothing moves when the token comes.
    Its shapes are left out, as they change.

    Parameters
    ----------
    view
        The head, with the new token.
    frame, name, room
        As for :func:`~filmkit.mobjects.product.head_product`.
    """
    picture = head_product(view, frame, name, room=room)
    for factor in (picture.left, picture.top, picture.product):
        _drop_shape(factor)
    left, above, below = picture.left.header, picture.top.header, picture.product.header
    lines = (left.height + above.height) / 2
    across = left.get_right()[0] + HEADERS_APART > above.get_left()[0]
    if name == "scores" and across and abs(left.get_y() - above.get_y()) < lines:
        # Where the keys are low, the name of the queries is below them.
        end = min(picture.left.box.right, below.get_left()[0] - HEADERS_APART)
        left.shift([end - left.get_right()[0], 0, 0])
        left.set_line(below.line)
    left.shift([max(0.0, room.left - left.get_left()[0]), 0, 0])
    hide_last(picture.left.blocks)
    hide_last(picture.top.blocks, rows=name == "z", columns=name == "scores")
    hide_last(picture.product.blocks, columns=name == "scores")
    return picture


def _drop_shape(factor: Factor) -> None:
    header = factor.header
    if header.shape is None:
        return
    right = header.get_right()[0]
    header.remove(header.shape)
    if right < factor.box.left:
        # It stands beside its cells and ends there.
        header.shift([right - header.get_right()[0], 0, 0])


def leave_to(part: Mobject, way: tuple[float, float]) -> Glide:
    """Return an animation in which something leaves the frame by a way (x, y)."""
    return Glide(part, part.copy().shift([*way, 0]), remover=True)


def enter_from(part: Mobject, way: tuple[float, float]) -> Arrive:
    """Return an animation in which something comes into the frame from a place (x, y) away."""
    return Arrive(part, part.copy().shift([*way, 0]))


def sweep_column(picture: ProductPicture, beam: Mobject, **kwargs: float) -> Animation:
    """Return an animation in which a beam goes over all columns of a product, from the first."""
    first = picture.layout.column(0)
    last = len(picture.words) - 1

    def step(alpha: float) -> None:
        beam.move_to([first.x + alpha * last * picture.layout.pitch, beam.get_y(), 0])

    return AnimateWith(Group(beam), step, **kwargs)


class GrowthMarks(VGroup):
    """Frames around what was computed before the new token, and around what is new.

    Attributes
    ----------
    known
        White frames around old queries, old keys and their scores that are not masked.
    new
        Frames of the new row, from the query through the scores, and of the new key.
    notes
        What each is, in words: masked, known, new.
    """

    def __init__(self, picture: ProductPicture, layout: GrowthNotesLayout) -> None:
        super().__init__()
        theme, place = current_theme(), picture.layout
        rows, pitch = len(picture.words), place.pitch
        old = pitch * (rows - 1)
        left, top, product = place.left, place.top, place.product
        queries = Box.of(left.left, left.right, left.top - old, left.top)
        keys = Box.of(top.left, top.left + old, top.bottom, top.top)
        scores = Box.of(product.left, product.left + old, product.top - old, product.top)
        self.known = VGroup(
            *(Highlight(box.inset(INSIDE), colour=theme.ink) for box in (queries, keys)),
            _stair(scores, rows - 1),
        )
        row, column = place.row(rows - 1), place.column(rows - 1)
        self.new = VGroup(
            Highlight(Box.of(left.left, product.right, row.bottom, row.top).inset(EDGE)),
            Highlight(Box.of(column.left, column.right, top.bottom, top.top).inset(EDGE)),
        )
        texts = (
            (_("masked: the future"), theme.muted),
            (_("already computed"), theme.ink),
            (_("one new row"), theme.highlight),
        )
        self.notes = VGroup()
        for (text, colour), (x, y) in zip(texts, layout.points, strict=True):
            # Smaller letters before more lines: in a narrow frame the notes stand close together.
            size = fit_size(text, layout.width, size=layout.size).size
            lines = stacked_lines(text, (x, y), layout.width, size=size, colour=colour)
            self.notes.add(VGroup(*lines))
        self.add(self.known, self.new, self.notes)


def _stair(box: Box, rows: int) -> VMobject:
    """Return a white frame around the scores of a box that are not masked."""
    theme, pitch = current_theme(), box.height / rows
    left, top, bottom = box.left + INSIDE - EDGE, box.top, box.bottom + INSIDE - EDGE
    frame = VMobject(stroke_color=theme.ink, stroke_width=theme.bold, fill_opacity=0.0)
    corners = [(left, top)]
    for row in range(rows):
        x, y = box.left + pitch * (row + 1), top - pitch * row
        corners += [(x, y), (x, max(y - pitch, bottom))]
    corners += [(left, bottom), (left, top)]
    return frame.set_points_as_corners([[x, y, 0.0] for x, y in corners])


def note_below(text: str, box: Box, colour: str) -> VGroup:
    """Return a note in the middle below a box, broken to its width."""
    theme = current_theme()
    lines = stacked_lines(text, (0, 0), box.width, size=theme.shape_size, colour=colour)
    note = VGroup(*lines)
    for line in note:
        line.on_line(box.x, line.get_y())
    top = max(float(line.get_y()) for line in note)
    return note.shift([0, box.bottom - 0.32 - top, 0])


def word_beside(label: Label, origin: Mobject) -> Label:
    """Return a copy of a word with the size and the right end of another label."""
    copy = label.copy().scale(origin.height / max(label.height, 1e-6))
    return copy.move_to(origin.get_right(), aligned_edge=np.array([1.0, 0.0, 0.0]))
