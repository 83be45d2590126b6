"""A key/value cache as a solid: tokens down, channels across, heads and layers in depth.

A solid shows three faces, and every cell of them is a number of the trace: the front is one
head's keys and values, the top the first token's of all heads, the side the last channel's. It
takes as many heatmaps as faces, however many heads and layers it holds::

    solid = CacheVolume(
        Stored.of(self.layer, "k", layers), Stored.of(self.layer, "v", layers), slots
    )
    self.add(solid.hold(units=(0, 3)))            # three heads: one layer of this model
    self.play(solid.to(units=(0, 90)))           # all layers
    self.play(solid.to(rows=12))                 # more tokens

It is made to be seen from the right and above (positive ``theta`` and ``phi``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, VGroup, VMobject

from filmkit.core.animations import Follow
from filmkit.core.camera import keep_upright, on_card
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.raster import Texture
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.core.view import LayerView
from filmkit.mobjects.cache_volume_layout import CacheVolumeLayout

__all__ = ["CacheVolume", "CachedTensor", "Measure", "VisibleRange", "VolumeBlock", "VolumeFace"]

Array = npt.NDArray[np.float64]
Points = npt.NDArray[np.float64]

TOP_LIGHT, SIDE_LIGHT = 0.8, 0.6  # how bright faces are that do not look at the viewer


@dataclass(frozen=True, eq=False)
class CachedTensor:
    """What is kept of keys or of values.

    Attributes
    ----------
    values
        (unit, token, channel); a unit is one key/value head of one layer, head after head and
        layer after layer.
    norms, sources
        Of each unit: every layer keeps the norm that its panels have.
    name
        What they are, such as "keys of layers 0 to 29".
    """

    values: Array
    norms: tuple[Norm, ...]
    sources: tuple[TensorSource, ...]
    name: str

    @classmethod
    def of(cls, view: LayerView, name: str, layers: Sequence[int]) -> CachedTensor:
        """Keys ("k", as they enter the scores) or values ("v") of some layers, drawn rows only."""
        meta = view.trace.meta
        width = meta.d_qk if name == "k" else meta.d_v
        units, norms, sources = [], [], []
        for layer in layers:
            here = replace(view, layer=layer)
            tensor = here.head(0).used("k") if name == "k" else name
            norm = here.norm(name)
            for head in range(meta.n_kv_heads):
                units.append(here.rows(tensor)[:, head])
                norms.append(norm)
                sources.append(here.source(tensor, head, (0, width)))
        said = {"k": "keys", "v": "values"}[name]
        about = f"{said} of layers {layers[0]} to {layers[-1]}, each in its own layer's scale"
        return cls(np.stack(units), tuple(norms), tuple(sources), about)

    @cached_property
    def scaled(self) -> Array:
        """The values in units of their layer's norm."""
        limits = np.array([norm.vmax for norm in self.norms])
        return self.values / limits[:, None, None]


@dataclass(frozen=True)
class VisibleRange:
    """Which part of what is kept a solid holds, and where it stands.

    Attributes
    ----------
    units
        From the first to one past the last, front to back.
    rows
        How many tokens; a part of one is the last one, as far as it is there.
    shift
        Where it stands, away from its place.
    """

    units: tuple[float, float]
    rows: float
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def mix(self, other: VisibleRange, alpha: float) -> VisibleRange:
        """The extent ``alpha`` of the way to another."""

        def line(a: float, b: float) -> float:
            return (1 - alpha) * a + alpha * b

        x, y, z = (line(a, b) for a, b in zip(self.shift, other.shift, strict=True))
        return VisibleRange(
            (line(self.units[0], other.units[0]), line(self.units[1], other.units[1])),
            line(self.rows, other.rows),
            (x, y, z),
        )


def _first_rows(source: TensorSource, count: int) -> TensorSource:
    """Where the first rows of something come from."""
    rows = source.index[0] if source.index else 0
    if isinstance(rows, int):
        return source
    return replace(source, index=((rows[0], rows[0] + count), *source.index[1:]))


class VolumeFace(Heatmap):
    """A heatmap that is darker by ``light``, 0 to 1, and hides what is behind it."""

    def __init__(
        self, norm: Norm, *, light: float = 1.0, source: TensorSource | None = None
    ) -> None:
        super().__init__([[0.0]], norm, width=1, height=1, source=source, edged=False)
        self.light = light

    def texture(self) -> Texture:
        if self._texture is None and self.light < 1:
            cells = super().texture().cells.astype(np.float64)
            cells[..., :3] *= self.light
            self._texture = Texture(np.rint(cells).astype(np.uint8))
        return super().texture()

    def fill(self, values: Array) -> VolumeFace:
        """Show a matrix of any shape, all of it."""
        self.values, self.masked = values, np.zeros(values.shape)
        self.set_shown(1.0)
        return self


class VolumeBlock(Group):
    """Keys or values as a solid.

    Parameters
    ----------
    stored
        The numbers.
    box
        The front with all rows, at depth 0 for unit ``base``.
    thickness
        Of one unit.
    base
        The unit whose front lies at depth 0 of the scene.
    colour
        Of its edges.

    Attributes
    ----------
    front, top, side
        The faces.
    edges
        Lines along the edges that can be seen.
    """

    def __init__(
        self, stored: CachedTensor, box: Box, thickness: float, *, base: int, colour: str
    ) -> None:
        super().__init__()
        self.stored, self.box, self.thickness, self.base = stored, box, thickness, base
        norm = stored.norms[0]
        self.across = Norm(-1.0, 1.0, norm.cmap, norm.clipped)
        source = TensorSource(expression=stored.name)
        self.front = VolumeFace(norm)
        self.top = VolumeFace(self.across, light=TOP_LIGHT, source=source)
        self.side = VolumeFace(self.across, light=SIDE_LIGHT, source=source)
        self.edges = VMobject(
            stroke_color=colour, stroke_width=current_theme().thin, fill_opacity=0.0
        )
        self.add(self.side, self.top, self.front, self.edges)
        self.extent = VisibleRange((0, len(stored.values)), stored.values.shape[1])
        self.set_extent(self.extent)
        on_card(self, self.front)

    def set_extent(self, extent: VisibleRange) -> VolumeBlock:
        """Hold another part of what is kept."""
        self.extent = extent
        first = round(extent.units[0])
        last = max(first + 1, round(extent.units[1]))
        rows = int(np.ceil(extent.rows - 1e-6))
        values, stored = self.stored.scaled[first:last, :rows], self.stored
        self.front.norm = stored.norms[first]
        self.front.fill(stored.values[first, :rows])
        self.front.source = _first_rows(stored.sources[first], rows)
        self.top.fill(values[:, 0])
        self.side.fill(values[:, :, -1].T)
        # The newest row shows as far as it is there.
        for face in (self.front, self.side):
            shown = np.ones(face.shape)
            shown[-1] = extent.rows - rows + 1
            face.set_shown(shown)
        self._place(rows)
        return self

    def corner(self, right: float, down: float, back: float) -> Points:
        """A point (3,) of the solid: 0 to 1 from the left, from the top and from the front."""
        low, high = self._depths()
        x, y, z = self.extent.shift
        height = self.row * self.extent.rows
        return np.array(
            [
                self.box.left + right * self.box.width + x,
                self.box.top - down * height + y,
                low + back * (high - low) + z,
            ]
        )

    @property
    def corners(self) -> Points:
        """All eight (8, 3)."""
        return np.array([self.corner(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)])

    @property
    def row(self) -> float:
        """Height of a row."""
        return self.box.height / self.stored.values.shape[1]

    def _depths(self) -> tuple[float, float]:
        first, last = self.extent.units
        return -(first - self.base) * self.thickness, -(last - self.base) * self.thickness

    def _place(self, rows: int) -> None:
        down = rows / self.extent.rows

        def face(*points: tuple[float, float, float]) -> Points:
            return np.array([self.corner(*point) for point in points])

        self.front.points = face((0, 0, 0), (1, 0, 0), (1, down, 0), (0, down, 0))
        self.top.points = face((0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1))
        self.side.points = face((1, 0, 0), (1, 0, 1), (1, down, 1), (1, down, 0))
        self.edges.clear_points()
        for path in (
            face((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 0)),
            face((0, 0, 0), (0, 0, 1), (1, 0, 1), (1, 0, 0)),
            face((1, 0, 1), (1, 1, 1), (1, 1, 0)),
        ):
            self.edges.start_new_path(path[0])
            for point in path[1:]:
                self.edges.add_line_to(point)


class CacheVolume(Group):
    """Keys and values side by side as one solid.

    Parameters
    ----------
    keys, values
        What is kept, with the same units and tokens.
    slots
        Where it stands.
    base
        The unit whose front lies in the plane of the flat picture.
    """

    def __init__(
        self, keys: CachedTensor, values: CachedTensor, layout: CacheVolumeLayout, *, base: int = 0
    ) -> None:
        super().__init__()
        theme = current_theme()
        self.layout = layout
        self.keys, self.values = (
            VolumeBlock(stored, box, layout.thickness, base=base, colour=colour)
            for stored, box, colour in (
                (keys, layout.k, theme.key),
                (values, layout.v, theme.value),
            )
        )
        self.add(self.keys, self.values)

    @property
    def blocks(self) -> tuple[VolumeBlock, VolumeBlock]:
        """Keys, then values."""
        return self.keys, self.values

    @property
    def extent(self) -> VisibleRange:
        """What it holds."""
        return self.keys.extent

    def slice_outline(self, colour: str) -> VMobject:
        """The edges of the newest token's slice that can be seen."""
        outline = VMobject(stroke_color=colour, stroke_width=current_theme().bold, fill_opacity=0.0)
        rows = self.extent.rows
        upper = (rows - 1) / rows
        for block in self.blocks:
            rim = [(0, upper, 0), (1, upper, 0), (1, 1, 0), (0, 1, 0), (0, upper, 0)]
            paths = [rim]
            if block is self.values:
                paths.append([(1, upper, 0), (1, upper, 1), (1, 1, 1), (1, 1, 0)])
            for path in paths:
                first, *others = (block.corner(*point) for point in path)
                outline.start_new_path(first)
                for point in others:
                    outline.add_line_to(point)
        return outline

    @property
    def corners(self) -> Points:
        """Corners (16, 3) of both blocks."""
        return np.concatenate([block.corners for block in self.blocks])

    def hold(self, **changes: Any) -> CacheVolume:
        """Hold another part, by the names of :class:`VisibleRange`."""
        extent = replace(self.extent, **changes)
        for block in self.blocks:
            block.set_extent(extent)
        return self

    def to(self, *, rate_func: Any = None, **changes: Any) -> Animation:
        """An animation that changes its extent, by the names of :class:`VisibleRange`."""
        start, end = self.extent, replace(self.extent, **changes)
        kwargs = {} if rate_func is None else {"rate_func": rate_func}

        def step(alpha: float) -> None:
            extent = start.mix(end, alpha) if alpha < 1 else end
            for block in self.blocks:
                block.set_extent(extent)

        return Follow(self, step, **kwargs)


class Measure(VGroup):
    """A line beside an edge of a solid, and what is counted along it.

    Parameters
    ----------
    start, end
        Ends (3,) of the edge.
    away
        (3,), where the line stands from the edge.
    text
        What is counted.
    at
        Where along the line its label stands: 0 is before its start, else it goes on below the
        line to the right.
    """

    def __init__(
        self,
        start: npt.ArrayLike,
        end: npt.ArrayLike,
        *,
        away: npt.ArrayLike,
        text: str,
        at: float = 0.5,
    ) -> None:
        super().__init__()
        theme = current_theme()
        first, last, off = (np.asarray(point, dtype=float) for point in (start, end, away))
        first, last, tick = first + off, last + off, off / 3
        self.line = VMobject(stroke_color=theme.ink, stroke_width=theme.line, fill_opacity=0.0)
        for path in ((first, last), (first - tick, first + tick), (last - tick, last + tick)):
            self.line.start_new_path(path[0])
            self.line.add_line_to(path[1])
        self.label = Label(text)
        half, line = self.label.width / 2, self.label.line_height
        self.label.on_line(*((half + 0.1, -0.75 * line) if at > 0 else (-half - 0.2, 0.0)))
        keep_upright(self.label, first + at * (last - first))
        self.add(self.line, self.label)
