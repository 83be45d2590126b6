"""How values become colours (`Norm`), and where values come from (`TensorSource`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from cmap import Colormap

from filmkit.core.theme import current_theme

__all__ = ["Norm", "TensorSource"]

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Norm:
    """A linear scale from values to colours.

    Attributes
    ----------
    vmin, vmax
        Values that get the first and the last colour; values beyond are clipped.
    cmap
        Name of a matplotlib colour map.
    percentile
        Percentile of the values' magnitudes that became ``vmax``; 100 if nothing was clipped.

    Examples
    --------
    ::

        norm = Norm.symmetric(values)       # zero in the middle; for queries, keys, scores ...
        norm = Norm.unit()                  # 0 to 1; for attention patterns
        rgb = norm.colours(values)          # uint8, one more axis of length 3
    """

    vmin: float
    vmax: float
    cmap: str
    percentile: float = 100.0

    @classmethod
    def symmetric(cls, values: npt.ArrayLike, percentile: float = 99.0) -> Norm:
        """Return the norm for values of either sign: zero in the middle.

        Parameters
        ----------
        values
            Finite numbers of any shape.
        percentile
            Percentile of their magnitudes at which the scale ends on both sides.
        """
        magnitudes = np.abs(np.asarray(values, dtype=np.float64))
        limit = float(np.percentile(magnitudes, percentile)) if magnitudes.size else 1.0
        return cls(-(limit or 1.0), limit or 1.0, current_theme().palette.signed, percentile)

    @classmethod
    def of_values(cls, values: npt.ArrayLike) -> Norm:
        """Return a norm for numbers of which nothing else is known.

        It is symmetric if any of them is negative, else it runs from 0 to the largest one.
        """
        array = np.asarray(values, dtype=np.float64)
        if array.size == 0 or array.min() < 0:
            return cls.symmetric(array)
        return cls(0.0, float(array.max()) or 1.0, current_theme().palette.pattern)

    @classmethod
    def unit(cls) -> Norm:
        """Return the norm for attention patterns, from 0 to 1."""
        return cls(0.0, 1.0, current_theme().palette.pattern)

    def scaled(self, factor: float) -> Norm:
        """Return the norm that shows ``factor * values`` as this one shows ``values``."""
        return Norm(self.vmin * factor, self.vmax * factor, self.cmap, self.percentile)

    def mix(self, other: Norm, alpha: float) -> Norm:
        """Return the norm ``alpha`` of the way to another one, whose colour map it takes last."""
        if alpha >= 1 or self == other:
            return other
        vmin, vmax = (
            (1 - alpha) * a + alpha * b
            for a, b in ((self.vmin, other.vmin), (self.vmax, other.vmax))
        )
        return Norm(vmin, vmax, self.cmap, self.percentile)

    def levels(self, values: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """Return the index of each value in the colour map's 256 colours, uint8."""
        span = (np.asarray(values, dtype=np.float64) - self.vmin) / (self.vmax - self.vmin)
        return np.rint(np.clip(span, 0.0, 1.0) * 255).astype(np.uint8)

    def colours(self, values: npt.ArrayLike) -> Pixels:
        """Return the RGB of each value, (..., 3) uint8."""
        return np.asarray(colour_table(self.cmap)[self.levels(values)])


@lru_cache
def colour_table(name: str) -> Pixels:
    """Return the 256 colours, (256, 3) uint8, of a matplotlib colour map."""
    return np.asarray(np.rint(Colormap(name).lut(256)[:, :3] * 255), dtype=np.uint8)


@dataclass(frozen=True)
class TensorSource:
    """Where a heatmap's numbers come from: part of a tensor, or something computed.

    Attributes
    ----------
    tensor
        Name of a tensor in the trace file, or None if the numbers were computed.
    expression
        What was computed, in words, if ``tensor`` is None.
    index
        One integer or (start, stop) for each axis of the tensor; the ranges are, in this order,
        the rows and columns of the heatmap.
    transposed
        Whether rows and columns are exchanged.
    axes
        Names of the axes of what was computed, as :meth:`extract.trace.Trace.axes` has them.

    Examples
    --------
    Queries of head 5 in layer 3, positions 1 to 9, all 64 channels::

        TensorSource("q.3", index=((1, 10), 5, (0, 64)))
        TensorSource(expression="mean of all patterns", index=((1, 10), (1, 10)))
    """

    tensor: str | None = None
    expression: str = ""
    index: tuple[int | tuple[int, int], ...] = ()
    transposed: bool = False
    axes: tuple[str, ...] = ()

    def joined_to(self, last: TensorSource) -> TensorSource:
        """Return the source of everything from this part's start to the end of another part.

        Both are parts of the same tensor.
        """
        index = tuple(
            (a[0], b[1]) if isinstance(a, tuple) and isinstance(b, tuple) else a
            for a, b in zip(self.index, last.index, strict=True)
        )
        return replace(self, index=index)

    def part(self, rows: tuple[int, int], columns: tuple[int, int]) -> TensorSource:
        """Return the source of the cells [start, stop) of a heatmap with this source."""
        spans = [(i, axis[0]) for i, axis in enumerate(self.index) if isinstance(axis, tuple)]
        index = list(self.index)
        ranges = (columns, rows) if self.transposed else (rows, columns)
        for (axis, offset), (start, stop) in zip(spans, ranges, strict=False):
            index[axis] = (offset + start, offset + stop)
        return replace(self, index=tuple(index))
