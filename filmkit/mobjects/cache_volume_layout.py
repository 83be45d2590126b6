"""Where a solid of keys and values stands in space: pure geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from filmkit.core.geometry import Box

__all__ = ["CacheVolumeLayout"]

Points = npt.NDArray[np.float64]

WIDTH = 5.2  # of keys and values together
GAP = 0.16  # between them
MAX_HEIGHT = 2.7
MAX_ROW = 0.3
MAX_DEPTH = 7.0
MAX_THICKNESS = 0.26  # of one head of one layer
MAX_SPREAD = 4.5  # from the first head of a layer to the last, while they stand apart
MAX_SPACING = 1.1
APART = 1.7  # between layers that stand apart, in depth ...
ASIDE = 1.5  # ... and to the side


@dataclass(frozen=True)
class CacheVolumeLayout:
    """Keys beside values; tokens down, channels across, heads of layers in depth.

    Attributes
    ----------
    k, v
        The front of keys and values with all their rows.
    rows
        How many.
    thickness
        Of one head of one layer.
    spacing
        From one head to the next of the same layer while they stand apart.
    gap, aside
        From one layer to the next while they stand apart, in depth and to the side.
    """

    k: Box
    v: Box
    rows: int
    thickness: float
    spacing: float
    gap: float
    aside: float

    @classmethod
    def of(cls, *, rows: int, units: int, heads: int, d_qk: int, d_v: int) -> CacheVolumeLayout:
        """For ``units`` heads in all, ``heads`` of them in each layer."""
        height = min(MAX_HEIGHT, MAX_ROW * rows)
        cell = (WIDTH - GAP) / (d_qk + d_v)
        top, bottom, left = height / 2, -height / 2, -WIDTH / 2
        k = Box.of(left, left + cell * d_qk, bottom, top)
        v = Box.of(k.right + GAP, k.right + GAP + cell * d_v, bottom, top)
        return cls(
            k=k,
            v=v,
            rows=rows,
            thickness=min(MAX_THICKNESS, MAX_DEPTH / units),
            spacing=min(MAX_SPACING, MAX_SPREAD / max(1, heads - 1)),
            gap=APART,
            aside=ASIDE,
        )

    @property
    def row(self) -> float:
        """Height of a token's row."""
        return self.k.height / self.rows

    @property
    def front(self) -> Box:
        """Keys and values together."""
        return Box.around((self.k, self.v))
