"""Layout of a key/value cache as a solid block: pure geometry, in scene units."""

from __future__ import annotations

from dataclasses import dataclass

from filmkit.core.geometry import Box

__all__ = ["CacheVolumeLayout"]

WIDTH = 5.2  # width of keys and values together
GAP = 0.16  # between keys and values
MAX_HEIGHT = 2.7
MAX_ROW = 0.3  # height of a token's row
MAX_DEPTH = 7.0
MAX_THICKNESS = 0.26  # depth of one head of one layer
MAX_SPREAD = 4.5  # from the first head of a layer to the last, while heads are apart
MAX_SPACING = 1.1  # from one head to the next, while heads are apart


@dataclass(frozen=True)
class CacheVolumeLayout:
    """Keys beside values; tokens down, channels across, heads and layers in depth.

    Attributes
    ----------
    k, v
        Boxes of the front of keys and of values, with all rows.
    rows
        Number of tokens.
    thickness
        Depth of one head of one layer.
    spacing
        Distance from one head to the next of the same layer, while heads are apart.
    """

    k: Box
    v: Box
    rows: int
    thickness: float
    spacing: float

    @classmethod
    def of(cls, *, rows: int, units: int, heads: int, d_qk: int, d_v: int) -> CacheVolumeLayout:
        """Return the layout for ``units`` key/value heads in all, ``heads`` in each layer.

        ``d_qk`` and ``d_v`` are the numbers of channels of a key and of a value.
        """
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
        )

    @property
    def row(self) -> float:
        """Height of a token's row."""
        return self.k.height / self.rows

    @property
    def front(self) -> Box:
        """Box around keys and values."""
        return Box.around((self.k, self.v))
