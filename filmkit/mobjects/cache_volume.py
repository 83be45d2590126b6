"""A key/value cache as a solid block: tokens down, channels across, heads and layers in depth.

Three faces of the block are drawn, and every cell of them is a number of the trace: the front
shows the keys or values of one head, the top those of the first token in all heads, the side the
last channel of all heads and tokens. That takes three heatmaps, however many heads and layers
there are::

    volume = CacheVolume(
        CachedTensor.of(self.layer, "k", layers), CachedTensor.of(self.layer, "v", layers), layout
    )
    self.add(volume.set_range(units=(0, 3)))          # three heads: one layer of this model
    self.play(volume.change_range(units=(0, 90)))     # all layers
    self.play(volume.change_range(rows=12))           # more tokens

A *unit* is one key/value head of one layer. The block is made to be seen from the right and above
(positive ``theta`` and ``phi``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, VGroup, VMobject

from filmkit.core.animations import AnimateWith
from filmkit.core.camera import keep_upright, set_depth_plane
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.quantities import layers_of
from filmkit.core.raster import Texture
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.core.view import LayerView
from filmkit.mobjects.cache_volume_layout import CacheVolumeLayout

__all__ = [
    "CacheVolume",
    "CachedTensor",
    "Measure",
    "VisibleRange",
    "VolumeBlock",
    "VolumeFace",
    "solid_outline",
]

Array = npt.NDArray[np.float64]
Points = npt.NDArray[np.float64]

QUANTITY = {"k": "stored_keys", "v": "stored_values"}  # that the top and the side of a block show
TOP_LIGHT, SIDE_LIGHT = 0.9, 0.8  # brightness of the top and the side; the front has 1


@dataclass(frozen=True, eq=False)
class CachedTensor:
    """The keys, or the values, that a cache holds.

    Attributes
    ----------
    values : (unit, token, channel)
        The numbers. A unit is one key/value head of one layer, in the order of layers and, in
        each layer, of heads.
    norms, sources
        The norm and the source of each unit; every layer has the norm that its panels have.
    name
        "k" for keys or "v" for values.
    """

    values: Array
    norms: tuple[Norm, ...]
    sources: tuple[TensorSource, ...]
    name: str

    @classmethod
    def of(cls, view: LayerView, name: str, layers: Sequence[int]) -> CachedTensor:
        """Return the keys or values of some layers at the drawn positions.

        Parameters
        ----------
        view
            A layer, which says which positions are drawn.
        name
            "k" for keys, as used in the scores, or "v" for values.
        layers
            Numbers of the layers.
        """
        meta = view.trace.meta
        width = meta.d_qk if name == "k" else meta.d_v
        units, norms, sources = [], [], []
        for layer in layers:
            here = replace(view, layer=layer)
            tensor = here.head(0).score_tensor("k") if name == "k" else name
            norm = here.norm(name)
            for head in range(meta.n_kv_heads):
                units.append(here.rows(tensor)[:, head])
                norms.append(norm)
                sources.append(here.source(tensor, head, (0, width)))
        return cls(np.stack(units), tuple(norms), tuple(sources), name)

    def top(self, units: tuple[int, int]) -> TensorSource:
        """Return the source of the top of a block that shows some units, [start, stop)."""
        return self._face("top", units, units, (0, self.values.shape[2]))

    def side(self, units: tuple[int, int], rows: int) -> TensorSource:
        """Return the source of the side of a block that shows some units and the first rows."""
        return self._face("side", units, (0, rows), units)

    def _face(self, face: str, units: tuple[int, int], *index: tuple[int, int]) -> TensorSource:
        layers = [layer for part in self.sources[slice(*units)] for layer in layers_of(part)]
        given = (
            ("face", face),
            ("parts", self.sources),
            ("layers", (min(layers), max(layers))),
        )
        return TensorSource(quantity=QUANTITY[self.name], index=index, given=given)

    @cached_property
    def scaled(self) -> Array:
        """The values divided by ``vmax`` of their norm, so that all layers share one norm."""
        limits = np.array([norm.vmax for norm in self.norms])
        return self.values / limits[:, None, None]


@dataclass(frozen=True)
class VisibleRange:
    """Which part of the cached tensors a block shows, and where.

    Attributes
    ----------
    units
        (start, stop) of the units, front to back; fractions occur while it grows.
    rows
        Number of tokens. With a fraction, the last one is partly faded in.
    shift : (3,)
        Distance from the place that the layout gives it, in scene units.
    """

    units: tuple[float, float]
    rows: float
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def mix(self, other: VisibleRange, alpha: float) -> VisibleRange:
        """Return the range at ``alpha``, 0 to 1, of the way to another one."""

        def line(a: float, b: float) -> float:
            return (1 - alpha) * a + alpha * b

        x, y, z = (line(a, b) for a, b in zip(self.shift, other.shift, strict=True))
        return VisibleRange(
            (line(self.units[0], other.units[0]), line(self.units[1], other.units[1])),
            line(self.rows, other.rows),
            (x, y, z),
        )


class VolumeFace(Heatmap):
    """A face of a block: a heatmap whose colours are multiplied by ``light``, 0 to 1.

    It is opaque, unlike a heatmap with a lower opacity, and its shape can change.
    """

    def __init__(self, norm: Norm, *, light: float = 1.0) -> None:
        super().__init__([[0.0]], norm, width=1, height=1, edged=False)
        self.light = light

    def texture(self) -> Texture:
        if self._texture is None and self.light < 1:
            cells = super().texture().cells.astype(np.float64)
            cells[..., :3] *= self.light
            self._texture = Texture(np.rint(cells).astype(np.uint8))
        return super().texture()

    def fill(self, values: Array, source: TensorSource) -> VolumeFace:
        """Show a matrix of any shape, with no cell masked or hidden."""
        self.values, self.masked = values, np.zeros(values.shape)
        self.source = source
        self.set_shown(1.0)
        return self


class VolumeBlock(Group):
    """The keys or the values of a cache as one block.

    Parameters
    ----------
    stored
        The numbers.
    box
        Box of the front when all rows are shown.
    thickness
        Depth of one unit, in scene units.
    base
        The unit whose front is at z = 0.
    colour
        Colour of its edges.

    Attributes
    ----------
    front, top, side
        The faces.
    edges
        Lines along the visible edges.
    visible_range
        What it shows now.
    """

    def __init__(
        self, stored: CachedTensor, box: Box, thickness: float, *, base: int, colour: str
    ) -> None:
        super().__init__()
        self.stored, self.box, self.thickness, self.base = stored, box, thickness, base
        norm = stored.norms[0]
        self.across = norm.scaled(1 / norm.vmax)
        self.front = VolumeFace(norm)
        self.top = VolumeFace(self.across, light=TOP_LIGHT)
        self.side = VolumeFace(self.across, light=SIDE_LIGHT)
        self.edges = VMobject(
            stroke_color=colour, stroke_width=current_theme().thin, fill_opacity=0.0
        )
        self.add(self.side, self.top, self.front, self.edges)
        self.visible_range = VisibleRange((0, len(stored.values)), stored.values.shape[1])
        self.set_range(self.visible_range)
        set_depth_plane(self, self.front)

    def set_range(self, visible_range: VisibleRange) -> VolumeBlock:
        """Show another part of the cached tensors, and return the block."""
        self.visible_range = visible_range
        first = round(visible_range.units[0])
        last = max(first + 1, round(visible_range.units[1]))
        rows = int(np.ceil(visible_range.rows - 1e-6))
        values, stored = self.stored.scaled[first:last, :rows], self.stored
        self.front.norm = stored.norms[first]
        units = first, first + len(values)
        front = stored.sources[first].part((0, rows), (0, values.shape[2]))
        self.front.fill(stored.values[first, :rows], front)
        self.top.fill(values[:, 0], stored.top(units))
        self.side.fill(values[:, :, -1].T, stored.side(units, rows))
        # The newest row is faded in by the fraction of it that is in the range.
        for face in (self.front, self.side):
            shown = np.ones(face.shape)
            shown[-1] = visible_range.rows - rows + 1
            face.set_shown(shown)
        self._place(rows)
        return self

    def corner(self, right: float, down: float, back: float) -> Points:
        """Return a point (3,) of the block, by shares of its width, height and depth.

        Each share is 0 to 1: from the left, from the top and from the front.
        """
        low, high = self._depths()
        x, y, z = self.visible_range.shift
        height = self.row * self.visible_range.rows
        return np.array(
            [
                self.box.left + right * self.box.width + x,
                self.box.top - down * height + y,
                low + back * (high - low) + z,
            ]
        )

    @property
    def corners(self) -> Points:
        """Its eight corners, (8, 3)."""
        return np.array([self.corner(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)])

    @property
    def row(self) -> float:
        """Height of a token's row, in scene units."""
        return self.box.height / self.stored.values.shape[1]

    def _depths(self) -> tuple[float, float]:
        """Return z of the front and of the back."""
        first, last = self.visible_range.units
        return -(first - self.base) * self.thickness, -(last - self.base) * self.thickness

    def _place(self, rows: int) -> None:
        """Move faces and edges to where the range puts them; faces have ``rows`` whole rows."""
        down = rows / self.visible_range.rows

        def face(*points: tuple[float, float, float]) -> Points:
            return np.array([self.corner(*point) for point in points])

        self.front.set_corners(face((0, 0, 0), (1, 0, 0), (1, down, 0), (0, down, 0)))
        self.top.set_corners(face((0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1)))
        self.side.set_corners(face((1, 0, 0), (1, 0, 1), (1, down, 1), (1, down, 0)))
        self.edges.clear_points()
        for path in (
            face((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 0)),
            face((0, 0, 0), (0, 0, 1), (1, 0, 1), (1, 0, 0)),
            face((1, 0, 0), (1, 0, 1), (1, 1, 1), (1, 1, 0)),
        ):
            self.edges.start_new_path(path[0])
            for point in path[1:]:
                self.edges.add_line_to(point)


class CacheVolume(Group):
    """A cache: a block of keys and a block of values, side by side.

    Parameters
    ----------
    keys, values
        What is cached; both have the same units and tokens.
    layout
        Where the blocks are.
    base
        The unit whose front is in the plane of the flat picture, z = 0.
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
        """The block of keys and the block of values."""
        return self.keys, self.values

    @property
    def visible_range(self) -> VisibleRange:
        """What both blocks show now."""
        return self.keys.visible_range

    def slice_outline(self, colour: str) -> VMobject:
        """Return a line along the visible edges of the newest token's slice."""
        outline = VMobject(stroke_color=colour, stroke_width=current_theme().bold, fill_opacity=0.0)
        rows = self.visible_range.rows
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

    def set_range(self, **changes: Any) -> CacheVolume:
        """Show another part of the cache, and return it.

        Parameters
        ----------
        **changes
            Fields of :class:`VisibleRange`; the others stay.
        """
        visible_range = replace(self.visible_range, **changes)
        for block in self.blocks:
            block.set_range(visible_range)
        return self

    def change_range(self, *, rate_func: Any = None, **changes: Any) -> Animation:
        """Return an animation in which the blocks grow, shrink or move.

        Parameters
        ----------
        rate_func
            Rate function of the animation; manim's ``smooth`` by default.
        **changes
            Fields of :class:`VisibleRange` at the end; the others stay.
        """
        start, end = self.visible_range, replace(self.visible_range, **changes)
        kwargs = {} if rate_func is None else {"rate_func": rate_func}

        def step(alpha: float) -> None:
            visible_range = start.mix(end, alpha) if alpha < 1 else end
            for block in self.blocks:
                block.set_range(visible_range)

        return AnimateWith(self, step, **kwargs)


class Measure(VGroup):
    """A dimension line beside an edge of a block, with a label for what is counted along it.

    Parameters
    ----------
    start, end : (3,)
        Ends of the edge.
    away : (3,)
        From the edge to the line.
    text
        What is counted.
    colour
        Colour of the label; the theme's ``ink`` by default.
    falling
        Whether the line falls to the right as it is seen: its label then ends below its middle,
        else it begins there.
    """

    def __init__(
        self,
        start: npt.ArrayLike,
        end: npt.ArrayLike,
        *,
        away: npt.ArrayLike,
        text: str,
        colour: str | None = None,
        falling: bool = False,
    ) -> None:
        super().__init__()
        theme = current_theme()
        first, last, off = (np.asarray(point, dtype=float) for point in (start, end, away))
        first, last, tick = first + off, last + off, off / 3
        self.line = VMobject(stroke_color=theme.ink, stroke_width=theme.line, fill_opacity=0.0)
        for path in ((first, last), (first - tick, first + tick), (last - tick, last + tick)):
            self.line.start_new_path(path[0])
            self.line.add_line_to(path[1])
        self.label = Label(text, colour=colour)
        aside = self.label.width / 2 + 0.1
        self.label.on_line(-aside if falling else aside, -0.75 * self.label.line_height)
        keep_upright(self.label, (first + last) / 2)
        self.add(self.line, self.label)


def solid_outline(box: Box, depth: float, colour: str) -> VMobject:
    """Return the visible edges of a solid, as thin lines.

    Parameters
    ----------
    box
        Its front, in the plane z = 0.
    depth
        How far it reaches back.
    colour
        "#RRGGBB".
    """
    low, high, left, right, back = box.bottom, box.top, box.left, box.right, -depth
    edges = VMobject(stroke_color=colour, stroke_width=current_theme().line, fill_opacity=0.0)
    for path in (
        ((left, low, 0), (right, low, 0), (right, high, 0), (left, high, 0), (left, low, 0)),
        ((left, high, 0), (left, high, back), (right, high, back), (right, high, 0)),
        ((right, high, back), (right, low, back), (right, low, 0)),
    ):
        edges.start_new_path(np.array(path[0], dtype=float))
        for point in path[1:]:
            edges.add_line_to(np.array(point, dtype=float))
    return edges
