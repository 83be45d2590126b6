"""All patterns of a model as one wall, the shots in which it is seen, and the wall repeated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from manim import Line, VGroup

from extract.trace import Trace
from filmkit.core.animations import MoveCamera, Reveal, ShowCells
from filmkit.core.camera import FOCAL, Shot
from filmkit.core.geometry import Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import N_, _
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.quantities import quantity
from filmkit.core.raster import Texture
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.core.view import LayerView
from filmkit.pictures.parts import TEXT

__all__ = [
    "Field",
    "Wall",
    "Zoom",
    "at_the_first",
    "close_shot",
    "from_the_side",
    "low_over",
    "prompt_patterns",
]

Array = npt.NDArray[np.float64]

# Lengths are in scene units.
LARGEST = 2.6  # largest side of a pattern on a wall
FRAME_GAP = 0.03  # between a pattern and its frame
NAME_GAP = 0.14  # between a wall and the names of its layers
TURN = 52.0  # of the eye that flies along a wall, in degrees
INSET = 0.36  # from a wall's end to where the eye looks first, as a share of its length
NEAREST = 0.58  # how far a wall may reach towards the eye; 1 is the eye
ROUNDS = 30  # of fitting a shot
EVEN = 6, 22  # rows behind the featured pattern: where the even light begins, and is all
WIDE_LENS = 0.8  # focal length over a field, in heights of a shot; near and far are seen


def prompt_patterns(trace: Trace) -> Array:
    """Return the patterns of all heads on the prompt, [layer, head, query_pos, key_pos]."""
    stop = trace.meta.n_prompt
    layers = range(trace.meta.n_layers)
    return np.stack([trace.get("pattern", i)[:, :stop, :stop] for i in layers]).astype(np.float64)


@quantity(N_("attention patterns"), axes=())
def wall_of_patterns(
    trace: Trace,
    layers: tuple[int, int],
    heads: tuple[int, int],
    drawn: tuple[int, int],
    gap: int,
    downward: bool,
    first_token: bool,
) -> Array:
    """Return the patterns of all layers and heads as one matrix, with free cells between them.

    The drawn positions of each are there, and before them the column of a first token that is not
    drawn with them; `first_token` tells whether that is shown. A layer is a column of patterns, or
    a row if the wall goes downward.
    """
    first, stop = drawn
    columns = [*([0] if first else []), *range(first, stop)]
    numbers = range(layers[0], layers[1] + 1)
    patterns = np.stack([trace.get("pattern", layer)[:, first:stop, columns] for layer in numbers])
    padded = np.pad(patterns, ((0, 0), (0, 0), (0, gap), (0, gap)))
    grid = padded if downward else padded.swapaxes(0, 1)
    rows, across, high, wide = grid.shape
    image = grid.transpose(0, 2, 1, 3).reshape(rows * high, across * wide)
    return image[: len(image) - gap, : image.shape[1] - gap]


class Wall(Heatmap):
    """Every head's pattern in one grid, drawn as one image.

    Layers go across, from the left; in a frame that is higher than wide they go down. Rows of a
    pattern are queries, columns are keys. The column of a first token that is not drawn is there,
    but hidden.

    Parameters
    ----------
    view
        Tells which positions are drawn.
    frame
        The frame in which it is seen.
    room
        What it and the names beside it may fill, in scene units.

    Attributes
    ----------
    downward
        Whether layers go down.
    step
        Rows and columns of cells from one pattern to the next.
    heads
        Heads of a layer.
    grid
        Rows and columns of patterns.
    there : (rows, columns)
        1 for cells of patterns, 0 for what is between them, for the hidden columns, and for what
        the mask removes.
    """

    def __init__(self, view: LayerView, frame: Frame, room: Box) -> None:
        meta, count = view.trace.meta, view.count
        self.hidden, gap = int(view.hides_first), max(1, round(count / 10))
        self.downward, self.count, self.heads = frame.tall, count, meta.n_heads
        self.step = count + gap, self.hidden + count + gap
        sizes = meta.n_layers, meta.n_heads
        self.grid = sizes if self.downward else sizes[::-1]
        given = {
            "layers": (0, meta.n_layers - 1),
            "heads": (0, meta.n_heads - 1),
            "drawn": (view.first, view.stop),
            "gap": gap,
            "downward": self.downward,
            "first_token": False,
        }
        values = wall_of_patterns(view.trace, **given)
        rows, columns = values.shape
        future, there = np.zeros((2, *self.step))
        future[:count, self.hidden : self.hidden + count] = np.triu(np.ones((count, count)), k=1)
        there[:count, self.hidden : self.hidden + count] = np.tri(count)
        super().__init__(
            values,
            Norm.unit(),
            masked=np.tile(future, self.grid)[:rows, :columns] > 0,
            source=TensorSource(quantity="wall_of_patterns", given=tuple(given.items())),
            edged=False,
        )
        self.there = np.tile(there, self.grid)[:rows, :columns]
        self.set_shown(self.there)
        names = [Label(text, size=TEXT) for text in _names()]
        if self.downward:
            beside = max(name.width for name in names) + 3 * NAME_GAP
            room = Box.of(room.left, room.right - beside, room.bottom, room.top)
        else:
            below = max(name.line_height for name in names) + 2 * NAME_GAP
            room = Box.of(room.left, room.right, room.bottom + below, room.top)
        most = Box(room.x, room.y, LARGEST * self.grid[1], LARGEST * self.grid[0])
        fitted = room.fit(columns, rows)
        self.place(fitted if fitted.width < most.width else most.fit(columns, rows))

    def cut(self, layer: int, head: int, *, whole: bool = False) -> tuple[tuple[int, int], ...]:
        """Return rows and columns [start, stop) of a head's pattern.

        Parameters
        ----------
        layer, head
            The head.
        whole
            Whether the column of a hidden first token belongs to it.
        """
        row, column = (layer, head) if self.downward else (head, layer)
        top, left = row * self.step[0], column * self.step[1]
        start = left if whole else left + self.hidden
        return (top, top + self.count), (start, left + self.hidden + self.count)

    def tile(self, layer: int, head: int) -> Box:
        """Return the box of a head's pattern."""
        return self.block(*self.cut(layer, head))

    def layer_box(self, layer: int) -> Box:
        """Return the box of a layer's patterns."""
        first, last = self.tile(layer, 0), self.tile(layer, self.heads - 1)
        return Box.of(first.left, last.right, last.bottom, first.top)

    def show_first_token(self, levels: npt.ArrayLike) -> ShowCells:
        """Return an animation in which the first token's column comes into every pattern.

        Parameters
        ----------
        levels : (layers, heads)
            The opacity of each head's pattern then.
        """
        shown = np.zeros(self.shape)
        for (layer, head), level in np.ndenumerate(np.asarray(levels)):
            rows, columns = self.cut(layer, head, whole=True)
            shown[slice(*rows), slice(*columns)] = level
        shown *= 1 - self.masked
        self._tell(first_token=self.hidden > 0)
        return ShowCells(self, shown)

    def show_patterns(self) -> ShowCells:
        """Return an animation in which the wall is again as at first."""
        self._tell(first_token=False)
        return ShowCells(self, self.there)

    def _tell(self, *, first_token: bool) -> None:
        given = {**dict(self.source.given), "first_token": first_token}
        self.source = replace(self.source, given=tuple(given.items()))

    def wave_from(self, layer: int, head: int) -> Reveal:
        """Hide all patterns, and return an animation in which they appear, around one head."""
        shown, (x, y, _z), box = self.shown, self.tile(layer, head).center, self.box
        rows, columns = self.shape
        across = box.left + box.width * (np.arange(columns) + 0.5) / columns - x
        down = box.top - box.height * (np.arange(rows) + 0.5) / rows - y
        when = np.hypot(across[None, :], down[:, None])
        self.set_shown(0.0)
        return Reveal(self, when / when.max(), spread=0.1, to=shown)

    def names(self, place: tuple[int, int] | None = None) -> VGroup:
        """Return what stands beside the wall: at the first and last layers, and perhaps of a head.

        Its place is its layer and its number there.
        """
        last = self.grid[0 if self.downward else 1] - 1
        names, box = VGroup(), self.box
        here, *ends = _names()
        named = [*zip((0, last), ends, strict=True)]
        for number, text in named if place is None else [(place[0], here), *named]:
            name, tile = Label(text, size=TEXT), self.tile(number, 0)
            if self.downward:
                name.on_line(box.right + 2 * NAME_GAP + name.width / 2, tile.y)
            else:
                half = name.width / 2
                x = min(max(tile.x, box.left + half), max(box.right - half, box.left + half))
                name.on_line(x, box.bottom - NAME_GAP - name.line_height / 2)
            if not any(_meet(name, other) for other in names):
                names.add(name)
        if place is not None:
            names.add(self._from_frame(*place, names[0]))
        return names

    def _from_frame(self, layer: int, head: int, name: Label) -> Line:
        """Return a line from the frame around a pattern, between others, to its name."""
        theme, tile = current_theme(), self.tile(layer, head).grown(FRAME_GAP)
        name.set_fill(theme.highlight)
        if self.downward:
            start = (tile.right, tile.bottom, 0.0)
            end = (float(name.get_left()[0]) - NAME_GAP / 2, tile.bottom, 0.0)
        else:
            start = (tile.right, tile.bottom, 0.0)
            end = (tile.right, float(name.get_top()[1]) + NAME_GAP / 2, 0.0)
        return Line(start, end, stroke_color=theme.highlight, stroke_width=theme.line)


def _names() -> tuple[str, str, str]:
    """Return what stands beside a wall: at a layer, at the first and at the last one."""
    return _("the head we saw"), _("first layer"), _("last layer")


def _meet(name: Label, other: Label) -> bool:
    """Return whether two words would be too near to each other."""
    apart = np.abs(name.get_center() - other.get_center())[:2]
    room = (name.width + other.width) / 2 + 2 * NAME_GAP, name.line_height
    return bool((apart < room).all())


class Field(Heatmap):
    """The patterns of a wall, repeated to as many as a larger model has.

    No numbers are behind them, so none of its cells is shown as a number would be.

    Parameters
    ----------
    wall
        The wall.
    shape
        Rows and columns of patterns.
    featured
        Layer and head of the pattern at home, which is exactly over that of the wall.
    home
        Row and column of patterns where it is. Far behind it patterns become one even light, which
        fades.
    """

    def __init__(
        self, wall: Wall, shape: tuple[int, int], featured: tuple[int, int], home: tuple[int, int]
    ) -> None:
        super().__init__(np.zeros(shape), Norm.unit(), edged=False)
        self.set_shown(0.0)
        rows, columns = wall.cut(*featured, whole=True)
        high, wide = wall.step
        gap = high - wall.count
        seen = wall.there[..., None]
        light = wall.norm.colours(wall.values) * seen
        cells = np.concatenate([light, 255 * seen], axis=-1)
        cells = np.pad(np.rint(cells).astype(np.uint8), ((0, gap), (0, gap), (0, 0)))
        down, across = (
            np.arange(n * step) + start - place * step
            for n, step, start, place in zip(
                shape, wall.step, (rows[0], columns[0]), home, strict=True
            )
        )
        repeated = cells[np.ix_(down % cells.shape[0], across % cells.shape[1])]
        away = home[0] - np.arange(len(down)) / high
        far = np.interp(away, EVEN, (0.0, 1.0))[:, None, None]
        fading = (1 - away / shape[0])[:, None, None]
        even = (1 - far) * repeated + far * fading * cells.mean(axis=(0, 1))
        self._texture = Texture(np.rint(even).astype(np.uint8))
        tile = wall.block(rows, columns)
        cell = tile.height / wall.count
        left, top = tile.left - home[1] * wide * cell, tile.top + home[0] * high * cell
        width, height = shape[1] * wide * cell, shape[0] * high * cell
        self.place(Box.of(left, left + width, top - height, top))


# The camera


class Zoom(MoveCamera):
    """Animation that takes the camera to a shot, while the picture grows or shrinks evenly.

    A point of a flat picture that both shots show moves straight from its place in the first to
    that in the second.
    """

    def step(self, alpha: float) -> None:
        start, end = self.origin, self.shot
        shot = start.mix(end, alpha)
        if not np.isclose(start.height, end.height):
            share = (shot.height - start.height) / (end.height - start.height)
            shot = replace(shot, center=start.mix(end, share).center)
        self.camera.shot = shot if alpha < 1 else end


def close_shot(box: Box, target: Box, frame: Frame) -> Shot:
    """Return the shot from straight ahead that shows a box where the frame has another one."""
    scale = box.width / target.width
    center = (box.x - target.x * scale, box.y - target.y * scale, 0.0)
    return Shot(center=center, height=frame.height * scale)


def at_the_first(wall: Box) -> Shot:
    """Return the shot of the first layers of a wall, from where its eye flies along the wall."""
    down = wall.height > wall.width
    length, across = (wall.height, wall.width) if down else (wall.width, wall.height)
    along = (0.5 - INSET) * length
    # So far away that no part of the wall comes near the eye.
    height = max(0.9 * across, INSET * length * np.sin(np.radians(TURN)) / (NEAREST * FOCAL))
    if down:
        return Shot((wall.x, wall.y + along, 0.0), height, phi=TURN)
    return Shot((wall.x - along, wall.y, 0.0), height, theta=-TURN)


def from_the_side(
    corners: Array, room: Box, frame: Frame, *, away: float, theta: float = 0.0, phi: float = 0.0
) -> Shot:
    """Return the shot from a side in which a flat picture fills a room up to its top.

    Parameters
    ----------
    corners : (4, 3)
        The picture's.
    room
        The room, in scene units of the frame; it may reach beyond that.
    frame
        The frame.
    away
        Distance of the eye from the middle of the picture, as a share of its longer side.
    theta, phi
        Where the eye is; see :class:`~filmkit.core.camera.Shot`.
    """
    at = corners.mean(axis=0)
    distance = away * float(np.ptp(corners, axis=0).max())
    shot = Shot((0.0, 0.0, 0.0), distance, theta, phi, focal=1.0)
    for _round in range(ROUNDS):
        x, y, z = at.tolist()
        shot = replace(shot, center=(x, y, z))
        seen = shot.project(corners, frame.height)[:, :2]
        box = Box.between(seen.min(axis=0), seen.max(axis=0))
        zoom = min(room.width / box.width, room.height / box.height)
        # Near things move more than what the eye looks at.
        unit = 0.5 * shot.height / frame.height
        right, up, _near = shot.rotation()
        at = at + unit * ((box.x - room.x / zoom) * right + (box.top - room.top / zoom) * up)
        shot = replace(shot, height=shot.height / zoom, focal=shot.focal * zoom)
    return shot


def low_over(tile: Box, frame: Frame, *, side: float, below: float, horizon: float) -> Shot:
    """Return the shot from low over a flat picture that reaches far away.

    Parameters
    ----------
    tile
        Something in that picture.
    frame
        The frame.
    side
        How wide it is seen, as a share of the frame's shorter side.
    below, horizon
        How far below the frame's middle it is seen, and how far above that all ends; in heights
        of the frame.
    """
    down, ahead = np.arctan(below / WIDE_LENS), np.arctan(horizon / WIDE_LENS)
    depth = tile.width * WIDE_LENS * frame.height / (side * frame.shorter_side)
    eye = depth * np.sin(down + ahead) / np.cos(down)
    further = float(eye / np.tan(ahead) - eye / np.tan(down + ahead))
    height = float(eye / np.sin(ahead) / WIDE_LENS)
    lean = float(np.degrees(ahead)) - 90
    return Shot((tile.x, tile.y + further, 0.0), height, phi=lean, focal=WIDE_LENS)
