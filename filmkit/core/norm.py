"""How values become colours, and where values come from."""

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
    """How values become colours.

    Attributes
    ----------
    vmin, vmax
        Values that get the first and the last colour; values beyond are clipped.
    cmap
        A matplotlib colour map's name.
    clipped
        Percentile of the values' magnitudes at which a symmetric norm ends.
    """

    vmin: float
    vmax: float
    cmap: str
    clipped: float = 100.0

    @classmethod
    def symmetric(cls, values: npt.ArrayLike, percentile: float = 99.0) -> Norm:
        """For values of either sign: zero in the middle, clipped at a percentile of |values|."""
        finite = np.abs(np.asarray(values, dtype=np.float64))
        limit = float(np.percentile(finite, percentile)) if finite.size else 1.0
        return cls(-(limit or 1.0), limit or 1.0, current_theme().palette.signed, percentile)

    @classmethod
    def unit(cls) -> Norm:
        """For attention patterns: [0, 1]."""
        return cls(0.0, 1.0, current_theme().palette.pattern)

    def scaled(self, factor: float) -> Norm:
        """The norm under which ``factor * values`` look as ``values`` do under this one."""
        return Norm(self.vmin * factor, self.vmax * factor, self.cmap, self.clipped)

    def levels(self, values: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """Index of each value in the colour map's 256 colours."""
        span = (np.asarray(values, dtype=np.float64) - self.vmin) / (self.vmax - self.vmin)
        return np.rint(np.clip(span, 0.0, 1.0) * 255).astype(np.uint8)

    def colours(self, values: npt.ArrayLike) -> Pixels:
        """RGB of each value, uint8, one more axis than ``values``."""
        return np.asarray(colour_table(self.cmap)[self.levels(values)])


@lru_cache
def colour_table(name: str) -> Pixels:
    """The 256 colours (256, 3) of a matplotlib colour map."""
    return np.asarray(np.rint(Colormap(name).lut(256)[:, :3] * 255), dtype=np.uint8)


@dataclass(frozen=True)
class TensorSource:
    """Where a heatmap's numbers come from.

    Attributes
    ----------
    tensor
        Key of a tensor in the trace file, or None for arithmetic on the trace.
    expression
        What was computed, when ``tensor`` is None.
    index
        One integer or (start, stop) for each axis of the tensor.
    transposed
        Whether rows and columns are exchanged.
    axes
        Names of the axes of what was computed, as :meth:`extract.trace.Trace.axes` has them.
    """

    tensor: str | None = None
    expression: str = ""
    index: tuple[int | tuple[int, int], ...] = ()
    transposed: bool = False
    axes: tuple[str, ...] = ()

    def to(self, last: TensorSource) -> TensorSource:
        """Where everything from here to the end of another part of the same tensor comes from."""
        index = tuple(
            (a[0], b[1]) if isinstance(a, tuple) and isinstance(b, tuple) else a
            for a, b in zip(self.index, last.index, strict=True)
        )
        return replace(self, index=index)

    def part(self, rows: tuple[int, int], columns: tuple[int, int]) -> TensorSource:
        """Where the cells [start, stop) of a heatmap from here come from."""
        spans = [(i, axis[0]) for i, axis in enumerate(self.index) if isinstance(axis, tuple)]
        index = list(self.index)
        wanted = (columns, rows) if self.transposed else (rows, columns)
        for (axis, offset), (start, stop) in zip(spans, wanted, strict=False):
            index[axis] = (offset + start, offset + stop)
        return replace(self, index=tuple(index))
