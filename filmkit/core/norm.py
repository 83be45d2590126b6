"""How values become colours (`Norm`), and where values come from (`TensorSource`)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from cmap import Colormap

from filmkit.core.theme import current_theme

__all__ = ["SCALE", "Norm", "TensorSource", "colour_table", "has_name"]

Pixels = npt.NDArray[np.uint8]

SCALE = "scale"  # stands for a quantity in the source of a colour bar
LINEAR_SHARE = 0.05  # linear width of a stretched scale, as a share of its limit


@dataclass(frozen=True)
class Norm:
    """A scale from values to colours: linear, or stretched near zero.

    The stretched scale is that of matplotlib's ``AsinhNorm``: nearly linear for values up to
    ``linear_width``, nearly logarithmic beyond. Where a few channels are far larger than all
    others, it shows what a linear scale would leave grey.

    Attributes
    ----------
    vmin, vmax
        Values that get the first and the last colour; values beyond are clipped.
    cmap
        Name of a matplotlib colour map, or colours at equal steps, "#RRGGBB/#RRGGBB/...".
    linear_width
        Up to which magnitude a stretched scale is about linear, in the units of the values;
        infinite for a linear scale.

    Raises
    ------
    ValueError
        If an end is infinite or not a number.

    Examples
    --------
    ::

        norm = Norm.stretched(values, role="query")    # zero in the middle, as for all but
        norm = Norm.symmetric(values, role="scores")   # scores, which are not stretched
        norm = Norm.unit()                             # 0 to 1; for attention patterns
        rgb = norm.colours(values)                     # uint8, one more axis of length 3
    """

    vmin: float
    vmax: float
    cmap: str
    linear_width: float = math.inf

    def __post_init__(self) -> None:
        if not math.isfinite(self.vmax - self.vmin):
            raise ValueError(f"a scale of colours cannot go from {self.vmin} to {self.vmax}")

    @classmethod
    def symmetric(cls, values: npt.ArrayLike, percentile: float = 99.0, *, role: str = "") -> Norm:
        """Return the norm for values of either sign: zero in the middle.

        Parameters
        ----------
        values
            Finite numbers of any shape.
        percentile
            Percentile of their magnitudes at which the scale ends on both sides.
        role
            Whose colours they have, such as "query"; see
            :meth:`filmkit.core.theme.Theme.colour_map`.
        """
        magnitudes = np.abs(np.asarray(values, dtype=np.float64))
        limit = float(np.percentile(magnitudes, percentile)) if magnitudes.size else 1.0
        return cls(-(limit or 1.0), limit or 1.0, current_theme().colour_map(role))

    @classmethod
    def stretched(cls, values: npt.ArrayLike, percentile: float = 99.0, *, role: str = "") -> Norm:
        """Return the norm for values of either sign, stretched near zero.

        Parameters
        ----------
        values, percentile, role
            As for :meth:`symmetric`.
        """
        norm = cls.symmetric(values, percentile, role=role)
        return replace(norm, linear_width=LINEAR_SHARE * norm.vmax)

    @property
    def is_linear(self) -> bool:
        """Whether equal differences of values are equal steps of colour."""
        return math.isinf(self.linear_width)

    @classmethod
    def of_values(cls, values: npt.ArrayLike) -> Norm:
        """Return a norm for numbers of which nothing else is known.

        It is symmetric if any of them is negative, else it runs from 0 to the largest one.
        """
        array = np.asarray(values, dtype=np.float64)
        if array.size == 0 or array.min() < 0:
            return cls.symmetric(array)
        return cls(0.0, float(array.max()) or 1.0, current_theme().colour_map("pattern"))

    @classmethod
    def unit(cls) -> Norm:
        """Return the norm for attention patterns, from 0 to 1."""
        return cls(0.0, 1.0, current_theme().colour_map("pattern"))

    def scaled(self, factor: float) -> Norm:
        """Return the norm that shows ``factor * values`` as this one shows ``values``."""
        return replace(
            self,
            vmin=self.vmin * factor,
            vmax=self.vmax * factor,
            linear_width=self.linear_width * factor,
        )

    def mix(self, other: Norm, alpha: float) -> Norm:
        """Return the norm ``alpha`` of the way to another one, whose colour map it takes last."""
        if alpha >= 1 or self == other:
            return other
        vmin, vmax = (
            (1 - alpha) * a + alpha * b
            for a, b in ((self.vmin, other.vmin), (self.vmax, other.vmax))
        )
        # How much a scale is stretched is the inverse of its linear width: 0 for a linear one.
        stretch = (1 - alpha) / self.linear_width + alpha / other.linear_width
        width = 1 / stretch if stretch else math.inf
        return Norm(vmin, vmax, self.cmap, width)

    def places(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return where values lie between the first colour, 0, and the last one, 1; clipped."""
        array = np.asarray(values, dtype=np.float64)
        low, high = self.vmin, self.vmax
        if not self.is_linear:
            array = np.arcsinh(array / self.linear_width)
            low, high = np.arcsinh(low / self.linear_width), np.arcsinh(high / self.linear_width)
        return np.asarray(np.clip((array - low) / (high - low), 0.0, 1.0))

    def values_at(self, places: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the values at places between the first colour, 0, and the last one, 1."""
        array = np.asarray(places, dtype=np.float64)
        if self.is_linear:
            return np.asarray(self.vmin + array * (self.vmax - self.vmin))
        low, high = (np.arcsinh(end / self.linear_width) for end in (self.vmin, self.vmax))
        return np.asarray(self.linear_width * np.sinh(low + array * (high - low)))

    def ticks(self) -> list[float]:
        """Return values to write at a scale of this norm, in order, its ends among them.

        Between the ends are 0 and, if the scale is stretched, round numbers 1, 3, 10, 30, ... of
        either sign that are neither close to each other nor to the ends.
        """
        inner = [0.0] if self.vmin < 0 < self.vmax else []
        if not self.is_linear:
            decades = range(-9, 10)
            sizes = [digit * 10.0**power for power in decades for digit in (1, 3)]
            sizes = [size for size in sizes if self.linear_width <= size < self.vmax / 1.8]
            inner = [*(-size for size in reversed(sizes)), *inner, *sizes]
        return [self.vmin, *(tick for tick in inner if self.vmin < tick < self.vmax), self.vmax]

    def levels(self, values: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """Return the index of each value in the colour map's 256 colours, uint8."""
        return np.rint(self.places(values) * 255).astype(np.uint8)

    def colours(self, values: npt.ArrayLike) -> Pixels:
        """Return the RGB of each value, (..., 3) uint8."""
        return np.asarray(colour_table(self.cmap)[self.levels(values)])


def has_name(cmap: str) -> bool:
    """Return whether a colour map is one of matplotlib's, and not a list of colours."""
    return not cmap.startswith("#")


@lru_cache
def colour_table(name: str) -> Pixels:
    """Return the 256 colours, (256, 3) uint8, of a colour map as :class:`Norm` names it."""
    colours = Colormap(name if has_name(name) else name.split("/"))
    return np.asarray(np.rint(colours.lut(256)[:, :3] * 255), dtype=np.uint8)


@dataclass(frozen=True)
class TensorSource:
    """Where a heatmap's numbers come from: part of a tensor, or of something computed.

    Attributes
    ----------
    tensor
        Name of a tensor in the trace file, or None if the numbers were computed.
    expression
        What was computed, in words, where that is all that is known of it.
    index
        One integer or (start, stop) for each axis; the ranges are, in this order, the rows and
        columns of the heatmap.
    transposed
        Whether rows and columns are exchanged.
    quantity
        What was computed: a name in :data:`filmkit.core.quantities.QUANTITIES`.
    given
        What it was computed from, such as ``(("layer", 3), ("head", 5))``.
    model
        The model whose trace it is, if that is not the film's own.

    Examples
    --------
    Queries of head 5 in layer 3, positions 1 to 9, all 64 channels; the scores of that head; and
    numbers of your own::

        TensorSource("q.3", index=((1, 10), 5, (0, 64)))
        LayerView(trace, 3, 1, 10).computed("scores", head=5)
        TensorSource(expression="mean of all patterns")
    """

    tensor: str | None = None
    expression: str = ""
    index: tuple[int | tuple[int, int], ...] = ()
    transposed: bool = False
    quantity: str = ""
    given: tuple[tuple[str, Any], ...] = ()
    model: str = ""

    @classmethod
    def of_scale(cls, name: str) -> TensorSource:
        """Return the source of a colour bar, which shows a norm and not a tensor.

        ``name`` is what the norm's values are, such as "scores"; it may be empty.
        """
        return cls(quantity=SCALE, given=(("name", name),))

    @property
    def is_scale(self) -> bool:
        """Whether this is a colour bar."""
        return self.quantity == SCALE

    def part(self, rows: tuple[int, int], columns: tuple[int, int]) -> TensorSource:
        """Return the source of the cells [start, stop) of a heatmap with this source."""
        spans = [(i, axis[0]) for i, axis in enumerate(self.index) if isinstance(axis, tuple)]
        index = list(self.index)
        ranges = (columns, rows) if self.transposed else (rows, columns)
        for (axis, offset), (start, stop) in zip(spans, ranges, strict=False):
            index[axis] = (offset + start, offset + stop)
        return replace(self, index=tuple(index))
