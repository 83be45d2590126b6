"""A matrix drawn as one picture of coloured cells, with one norm for all of its colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import Mobject, color_to_rgb
from manim.constants import RESAMPLING_ALGORITHMS
from manim.mobject.types.image_mobject import AbstractImageMobject

from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import Box
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.raster import Texture
from filmkit.core.theme import current_theme

__all__ = ["Heatmap", "shares"]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]


# The order of a rectangle's corners in `Mobject.points` of manim's images, clockwise.
CLOCKWISE = [0, 1, 3, 2]
DEFAULT_SIZE = 4.0  # scene units, of the longer side


def shares(given: npt.ArrayLike, shape: tuple[int, ...], what: str, of: str) -> Array:
    """Return a share, 0 to 1, for each of some things.

    Parameters
    ----------
    given
        The shares, or some that broadcast to them.
    shape
        How many there are; the shape of what is returned.
    what, of
        What the shares are called, and the things, such as "opacities" of "cells".

    Raises
    ------
    SceneCodeError
        If they do not broadcast, or one is not a number.
    """
    array = np.asarray(given, dtype=np.float64)
    if np.isnan(array).any():
        raise SceneCodeError(f"among the {what} of {of} is what is not a number; give 0 to 1")
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        count = " x ".join(map(str, shape))
        raise SceneCodeError(
            f"{what} of shape {array.shape} do not broadcast to {count} {of}"
        ) from None


class Heatmap(AbstractImageMobject):
    """A matrix drawn as one image, a coloured cell for each number.

    Rows run down and columns across, counted from 0. The mobject's four points are the corners of
    the image, so it can be moved, turned and warped like any mobject, and the image always fills
    them. It is drawn by a :class:`~filmkit.core.stage.Stage`, fast and with smooth edges, and in
    any other scene by Manim's own camera.

    Parameters
    ----------
    values : (rows, columns)
        The numbers.
    norm
        How values become colours; :meth:`Norm.of_values` by default.
    width, height
        Size in scene units; it is centered at the origin, see :meth:`place`. If one is not given,
        cells are square; if neither is, the longer side has 4 units.
    masked : (rows, columns)
        True where the causal mask removes the cell: it is drawn in the theme's ``masked`` colour
        whatever its value. None of them by default.
    source
        Where the numbers come from, for the map of the picture and its alt text.
    edged
        Whether a hairline is drawn around it, as long as all of its cells are drawn: the darkest
        and the lightest cells may look like the background.

    Attributes
    ----------
    values, norm, source
        As above.
    masked : (rows, columns)
        How far each cell is masked, 0 to 1.
    shown : (rows, columns)
        Opacity of each cell, 0 to 1.
    opacity
        Opacity of the whole picture, 0 to 1.
    label : str
        What the picture calls it; "" if no name stands above it.

    Raises
    ------
    ValueError
        If ``values`` is empty or has more than two axes.

    Examples
    --------
    ::

        self.add(Heatmap(np.random.rand(6, 9)))

        cells = Heatmap(scores, Norm.symmetric(scores), width=4, height=4, masked=causal)
        cells.place(box)
        self.add(cells.set_shown(0))
        self.play(Reveal(cells, in_rows(cells.shape)))
        label.move_to(cells.cell(2, 1).center)
    """

    def __init__(
        self,
        values: npt.ArrayLike,
        norm: Norm | None = None,
        *,
        width: float | None = None,
        height: float | None = None,
        masked: Mask | None = None,
        source: TensorSource | None = None,
        edged: bool = True,
        **kwargs: Any,
    ) -> None:
        nearest = RESAMPLING_ALGORITHMS["nearest"]
        super().__init__(scale_to_resolution=0, resampling_algorithm=nearest, **kwargs)
        self.values: Array = np.array(values, dtype=np.float64, ndmin=2)
        if self.values.ndim != 2 or not self.values.size:
            raise ValueError(f"a heatmap takes a matrix, not an array of shape {np.shape(values)}")
        self.norm = norm or Norm.of_values(self.values)
        self.set_masked(0.0 if masked is None else masked)
        self.shown: Array = np.ones(self.shape)
        self.opacity = 1.0
        self.source = source or TensorSource()
        self.label = ""
        self.masked_colour = np.asarray(color_to_rgb(current_theme().masked)) * 255
        self.edged = edged
        self.edge_colour = np.asarray(color_to_rgb(current_theme().faint)) * 255
        self._blended: tuple[Array, float] | None = None
        self._texture: Texture | None = None
        self.place(Box(0.0, 0.0, *self._size(width, height)))

    def _size(self, width: float | None, height: float | None) -> tuple[float, float]:
        rows, columns = self.shape
        if width is None:
            width = height * columns / rows if height else DEFAULT_SIZE * min(1, columns / rows)
        return width, width * rows / columns if height is None else height

    def reset_points(self) -> Heatmap:
        """Leave the corners to :meth:`place`: they do not depend on the image's resolution."""
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.values.shape[0], self.values.shape[1]

    # Numbers and looks of the cells

    def set_values(self, values: npt.ArrayLike, norm: Norm | None = None) -> Heatmap:
        """Show other numbers of the same shape, with the same norm or another one.

        Raises
        ------
        ValueError
            If the shape is another one.
        """
        new_values = np.asarray(values, dtype=np.float64)
        if new_values.shape != self.shape:
            raise ValueError(f"a heatmap of shape {self.shape} cannot show {new_values.shape}")
        self.values = new_values
        self.norm = norm or self.norm
        self._texture = None
        return self

    def set_shown(self, shown: npt.ArrayLike) -> Heatmap:
        """Set the opacity of each cell: one number, or an array that broadcasts to the shape."""
        self.shown = shares(shown, self.shape, "opacities", "cells").copy()
        self._texture = None
        return self

    def set_masked(self, masked: npt.ArrayLike) -> Heatmap:
        """Set how far each cell is masked, 0 to 1; True and False work too."""
        self.masked = shares(masked, self.shape, "masks", "cells").copy()
        self._texture = None
        return self

    def set_between(self, start: Heatmap, end: Heatmap, alpha: float) -> Heatmap:
        """Show what is ``alpha``, 0 to 1, of the way from one heatmap's cells to another's.

        Numbers, norm and mask change. Between two colour maps there is no third: there the cells'
        colours mix, and the numbers are the new ones at once.

        Parameters
        ----------
        start, end
            Heatmaps of this one's shape.
        """
        if start.looks_like(end):
            return self
        if start.norm.cmap == end.norm.cmap:
            self.norm = start.norm.mix(end.norm, alpha)
            self.values = (1 - alpha) * start.values + alpha * end.values
            self.masked = (1 - alpha) * start.masked + alpha * end.masked
        else:
            now = end if alpha > 0 else start
            self.norm, self.values, self.masked = now.norm, now.values, now.masked
            self._blended = (start.colours(), 1 - alpha) if 0 < alpha < 1 else None
        self._texture = None
        return self

    def looks_like(self, other: Heatmap) -> bool:
        """Return whether another heatmap has the same numbers, norm and mask."""
        return (
            self.norm == other.norm
            and np.array_equal(self.values, other.values)
            and np.array_equal(self.masked, other.masked)
        )

    def texture(self) -> Texture:
        """Return the cells' colours, ready to draw."""
        if self._texture is None:
            colours = self.colours()
            alpha = np.clip(self.shown, 0.0, 1.0)[..., None]
            rgba = np.concatenate([colours * alpha, alpha * 255], axis=-1)
            self._texture = Texture(np.rint(rgba).astype(np.uint8))
        return self._texture

    def cell_colour(self, row: int, column: int) -> tuple[Array, float]:
        """Return RGB times opacity (3,), and opacity, of a cell as it is drawn, in [0, 1]."""
        *rgb, shown = self.texture().cells[row, column] / 255
        return np.array(rgb), float(shown)

    def colours(self) -> Array:
        """Return the RGB of each cell, (rows, columns, 3), 0 to 255."""
        if np.isnan(self.values[(self.masked < 1) & (self.shown > 0)]).any():
            raise SceneCodeError("a heatmap shows what is not a number; mask these cells")
        colours = self.norm.colours(self.values).astype(np.float64)
        if self.masked.any():
            colours += (self.masked_colour - colours) * self.masked[..., None]
        if self._blended is not None:
            others, share = self._blended
            colours += (others - colours) * share
        return colours

    def set_opacity(self, opacity: float, family: bool = True) -> Heatmap:
        """Set the opacity of the whole picture."""
        self.opacity = opacity
        return self

    def fade(self, darkness: float = 0.5, family: bool = True) -> Heatmap:
        """Reduce the opacity of the whole picture by the share ``darkness``, as manim does."""
        self.opacity *= 1 - darkness
        return self

    # Places of cells

    def at(self, row: float, column: float) -> Array:
        """Return the point (3,) that is ``row`` cells down and ``column`` cells across.

        Whole numbers are corners of cells: (0.5, 0.5) is the center of the first cell.
        """
        rows, columns = self.shape
        down, across = row / rows, column / columns
        a, b, c, d = self.corners
        top = a + (b - a) * across
        bottom = d + (c - d) * across
        return np.asarray(top + (bottom - top) * down)

    def block(self, rows: tuple[int, int], columns: tuple[int, int]) -> Box:
        """Return the box of the cells [start, stop) of both axes.

        Raises
        ------
        SceneCodeError
            If there are no such cells.
        """
        self._require_cells(rows, columns)
        first, last = self.at(rows[0], columns[0]), self.at(rows[1], columns[1])
        return Box.between(first, last)

    def _require_cells(self, rows: tuple[int, int], columns: tuple[int, int]) -> None:
        """Refuse ranges [start, stop) of cells that are not there."""
        for (start, stop), count, axis in zip(
            (rows, columns), self.shape, ("rows", "columns"), strict=True
        ):
            if not 0 <= start <= stop <= count:
                raise self._no_cells(f"{axis} {start} to {stop - 1}", f"0 to {count - 1}")

    def _no_cells(self, what: str, choice: str) -> SceneCodeError:
        rows, columns = self.shape
        return SceneCodeError(f"a heatmap of {rows} x {columns} has no {what}; choose {choice}")

    def row(self, index: int) -> Box:
        """Return the box of a row; -1 is the last one.

        Raises
        ------
        SceneCodeError
            If there is no such row, as in :meth:`column` and :meth:`cell` too.
        """
        return self.block(self._span(index, 0), (0, self.shape[1]))

    def column(self, index: int) -> Box:
        """Return the box of a column; -1 is the last one."""
        return self.block((0, self.shape[0]), self._span(index, 1))

    def cell(self, row: int, column: int) -> Box:
        """Return the box of a cell; -1 is the last row or column."""
        return self.block(self._span(row, 0), self._span(column, 1))

    def _span(self, index: int, axis: int) -> tuple[int, int]:
        """Return start and stop of one row (axis 0) or column (axis 1)."""
        count, name = self.shape[axis], ("row", "column")[axis]
        if not -count <= index < count:
            raise self._no_cells(f"{name} {index}", f"0 to {count - 1}, or -1 for the last one")
        return index % count, index % count + 1

    @property
    def box(self) -> Box:
        """Box of all cells."""
        return self.block((0, self.shape[0]), (0, self.shape[1]))

    def place(self, box: Box) -> Heatmap:
        """Move and stretch it to fill a box of the flat picture."""
        left, right, top, bottom = box.left, box.right, box.top, box.bottom
        return self.set_corners(
            [[left, top, 0], [right, top, 0], [right, bottom, 0], [left, bottom, 0]]
        )

    @property
    def corners(self) -> Array:
        """Corners (4, 3): outer corner of the first cell, then along its row, then clockwise."""
        return np.asarray(self.points[CLOCKWISE])

    def set_corners(self, corners: npt.ArrayLike) -> Heatmap:
        """Move and warp it to have these corners, (4, 3), in the order of :attr:`corners`."""
        self.points = np.array(corners, dtype=float)[CLOCKWISE]
        return self

    # Parts as heatmaps of their own

    def part(self, rows: tuple[int, int], columns: tuple[int, int]) -> Heatmap:
        """Return a new heatmap of the cells [start, stop), exactly over them.

        Raises
        ------
        SceneCodeError
            If there are no such cells.
        """
        self._require_cells(rows, columns)
        (top, bottom), (left, right) = rows, columns
        piece = self.copy()._take_cells(self, lambda cells: cells[top:bottom, left:right].copy())
        piece.source = self.source.part(rows, columns)
        piece.edged = False
        return piece.set_corners(
            [self.at(top, left), self.at(top, right), self.at(bottom, right), self.at(bottom, left)]
        )

    def split_rows(self) -> list[Heatmap]:
        """Return a heatmap for each row; together they are exactly this picture."""
        rows, columns = self.shape
        return [self.part((i, i + 1), (0, columns)) for i in range(rows)]

    def copy_cells_from(self, other: Heatmap) -> Heatmap:
        """Take over another heatmap's cells and source, of any shape, but not its place."""
        self.source = other.source
        return self._take_cells(other, np.asarray)

    def _take_cells(self, other: Heatmap, take: Callable[[Array], Array]) -> Heatmap:
        """Show what a function takes of another heatmap's numbers, mask and opacities."""
        self.values, self.masked, self.shown = map(take, (other.values, other.masked, other.shown))
        self._texture = None
        return self

    def transposed(self) -> Heatmap:
        """Return the transposed heatmap at the same place: the same picture, its axes exchanged.

        ``heatmap.transposed().at(column, row)`` is the point ``heatmap.at(row, column)``.
        """
        turned = self.copy()._take_cells(self, lambda cells: cells.T.copy())
        turned.source = replace(self.source, transposed=not self.source.transposed)
        return turned.set_corners(self.corners[[0, 3, 2, 1]])

    # Methods that manim calls

    def get_pixel_array(self) -> Pixels:
        """Return a pixel for each cell, (rows, columns, 4) uint8, for manim's own camera."""
        alpha = np.clip(self.shown, 0.0, 1.0)[..., None] * self.opacity * 255
        return np.rint(np.concatenate([self.colours(), alpha], axis=-1)).astype(np.uint8)

    def align_points(self, mobject: Mobject) -> Heatmap:
        return self

    def interpolate_color(self, mobject1: Heatmap, mobject2: Heatmap, alpha: float) -> None:
        self.opacity = (1 - alpha) * mobject1.opacity + alpha * mobject2.opacity
        if mobject1.shape == mobject2.shape:
            self.set_between(mobject1, mobject2, alpha)
            if not np.array_equal(mobject1.shown, mobject2.shown):
                self.set_shown((1 - alpha) * mobject1.shown + alpha * mobject2.shown)
        elif alpha == 1:
            self.norm = mobject2.norm
            self._take_cells(mobject2, np.copy)
