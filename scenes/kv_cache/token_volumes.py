"""One token of two models as solids to scale: a cached number is a cube of one size in both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, LineJointType, Polygon, VGroup

from extract.architectures import Architecture
from filmkit.core.animations import AnimateWith
from filmkit.core.camera import Shot, keep_upright, set_depth_plane
from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame
from filmkit.core.language import _
from filmkit.core.norm import TensorSource
from filmkit.core.numbers import format_count
from filmkit.core.text import Label, break_lines
from filmkit.core.theme import current_theme, mixed
from filmkit.core.view import LayerView
from filmkit.mobjects.cache_volume import CachedTensor, CacheVolume, solid_outline
from filmkit.mobjects.head_stack_layout import prism_corners, shot_on
from scenes.kv_cache.model_cache import ModelCache
from scenes.kv_cache.token_cost import TokenCost, shipped_heads

__all__ = ["SchematicBlock", "TokenVolumes", "token_tensor"]

Points = npt.NDArray[np.float64]

LIGHTS = (0.34, 0.24, 0.14)  # share of the role's colour in a schematic front, top and side
BETWEEN = 0.24  # between the two models, as a share of the larger one's width
BETWEEN_UPRIGHT = 0.62  # the same one above the other, as a share of its height
UNKEPT = 0.62  # largest width of the lines in the empty outline, as a share of their text
TURN, TILT, LENS = 34.0, 16.0, 3.6  # direction and lens of the shot


def token_tensor(view: LayerView, name: str, position: int) -> CachedTensor:
    """Return what one token keeps, as a block: heads down, layers in depth.

    Parameters
    ----------
    view
        Any layer of the model.
    name
        "k" for keys, as used in the scores, or "v" for values.
    position
        Position of the token.
    """
    trace, meta = view.trace, view.trace.meta
    values, norms, sources = [], [], []
    for layer in range(meta.n_layers):
        here = replace(view, layer=layer)
        tensor = here.head(0).score_tensor("k") if name == "k" else name
        values.append(trace.get(tensor, layer)[position].astype(np.float64))
        norms.append(here.norm(name))
        width = values[-1].shape[1]
        index = (position, (0, meta.n_kv_heads), (0, width))
        sources.append(TensorSource(trace.tensor_name(tensor, layer), index=index))
    return CachedTensor(np.stack(values), tuple(norms), tuple(sources), name)


class SchematicBlock(VGroup):
    """A solid without cells, for numbers that are not traced; its height can change.

    Parameters
    ----------
    box
        Its front, in the plane z = 0.
    depth
        How far it reaches back.
    colour
        Colour of its edges, and a tint of its faces.
    """

    def __init__(self, box: Box, depth: float, colour: str) -> None:
        super().__init__()
        theme = current_theme()
        self.box, self.reach, self.colour = box, depth, colour
        self.faces = VGroup(
            *(
                Polygon(
                    *np.zeros((4, 3)),
                    stroke_color=colour,
                    stroke_width=theme.line,
                    fill_color=mixed(theme.card, colour, light),
                    fill_opacity=1.0,
                    joint_type=LineJointType.ROUND,
                )
                for light in LIGHTS
            )
        )
        # Seen from straight ahead the front hides the others.
        self.add(*self.faces[1:], self.faces[0])
        self.set_front(box)

    def set_front(self, box: Box) -> SchematicBlock:
        """Change the box of its front."""
        back = -self.reach
        left, right, low, high = box.left, box.right, box.bottom, box.top
        for face, corners in zip(
            self.faces,
            (
                ((left, low, 0), (right, low, 0), (right, high, 0), (left, high, 0)),
                ((left, high, 0), (right, high, 0), (right, high, back), (left, high, back)),
                ((right, low, 0), (right, low, back), (right, high, back), (right, high, 0)),
            ),
            strict=True,
        ):
            face.set_points_as_corners(np.array([*corners, corners[0]], dtype=float))
        return self

    def tint(self, colour: str) -> None:
        """Give it another colour."""
        theme = current_theme()
        for face, light in zip(self.faces, LIGHTS, strict=True):
            face.set_stroke(colour).set_fill(mixed(theme.card, colour, light))


class TokenVolumes:
    """The newest token of the traced model beside one of a large model, to scale.

    Across are the channels of keys and of values, down the heads that have their own, in depth the
    layers; a number is a cube, of the same size in both.

    Parameters
    ----------
    cache
        The cache whose newest token is shown.
    large
        The large model.
    frame
        The frame.

    Attributes
    ----------
    slice
        The token as it lies in the cache, a sheet.
    token
        The same as a block.
    own
        Its outline if every head kept its own.
    blocks
        The large model's keys and values if every head kept its own, without cells.
    ghost
        Their outline.
    roles
        The words "keys" and "values" on the fronts of these blocks.
    """

    def __init__(self, cache: ModelCache, large: Architecture, frame: Frame) -> None:
        theme, view = current_theme(), cache.view.layer
        meta = view.trace.meta
        self.cache, self.frame = cache, frame
        self.small, self.large = TokenCost.of_trace(meta), TokenCost.of_every_head(large)
        layout, whole = cache.layout, cache.whole
        self.cube = cube = layout.k.width / meta.d_qk
        floor = layout.k.bottom

        def standing(box: Box, heads: float) -> Box:
            return Box.of(box.left, box.right, floor, floor + cube * heads)

        row = layout.row
        rows = int(whole.visible_range.rows)
        newest = (rows - 1, rows)
        sheets = tuple(
            replace(each, values=each.values[:, rows - 1 : rows], sources=sources)
            for each, sources in (
                (tensor, tuple(s.part(newest, (0, tensor.values.shape[2])) for s in tensor.sources))
                for tensor in (cache.keys, cache.values)
            )
        )
        flat = replace(
            layout,
            k=Box.of(layout.k.left, layout.k.right, floor, floor + row),
            v=Box.of(layout.v.left, layout.v.right, floor, floor + row),
            rows=1,
        )
        self.slice = CacheVolume(sheets[0], sheets[1], flat, base=cache.base)
        # It lies below the rest of the cache, which is drawn over it.
        set_depth_plane(Group(whole, self.slice), whole.values.front)
        heads, layers = self.small.heads, self.small.layers
        block = replace(
            layout,
            k=standing(layout.k, heads),
            v=standing(layout.v, heads),
            rows=heads,
            thickness=cube,
        )
        keys, values = (token_tensor(view, name, view.stop - 1) for name in "kv")
        self.token = CacheVolume(keys, values, block, base=0)
        depth = cube * layers
        self.own = solid_outline(standing(layout.front, meta.n_heads), depth, theme.muted)
        key, value = (cube * size for size in self.large.head_sizes)
        gap = layout.v.left - layout.k.right
        width, height = key + gap + value, cube * self.large.heads
        self.depth = cube * self.large.layers
        if frame.upright:
            left = layout.front.x - width / 2
            foot = floor - BETWEEN_UPRIGHT * height - height
        else:
            left, foot = layout.front.right + BETWEEN * width, floor
        boxes = (
            Box.of(left, left + key, foot, foot + height),
            Box.of(left + key + gap, left + width, foot, foot + height),
        )
        self.front = Box.around(boxes)
        self.blocks = VGroup(
            *(
                SchematicBlock(box, self.depth, colour)
                for box, colour in zip(boxes, (theme.key, theme.value), strict=True)
            )
        )
        self.ghost = solid_outline(self.front, self.depth, theme.muted)
        self.roles = VGroup(
            *(
                keep_upright(Label(name, size=theme.name_size), box.center)
                for name, box in zip((_("keys"), _("values")), boxes, strict=True)
            )
        )
        self.shipped = cube * shipped_heads(large)
        self.gap = gap

    # Pictures

    @property
    def _corners(self) -> tuple[Points, Points]:
        """Corners of both solids if every head keeps its own."""
        meta, layout = self.cache.view.layer.trace.meta, self.cache.layout
        small = Box.of(
            layout.front.left,
            layout.front.right,
            layout.k.bottom,
            layout.k.bottom + self.cube * meta.n_heads,
        )
        depth = self.cube * self.small.layers
        return prism_corners(small, 0, -depth), prism_corners(self.front, 0, -self.depth)

    def shot(self, room: Box) -> Shot:
        """Return the shot of both, which fill a box of the frame."""
        return shot_on(
            np.concatenate(self._corners),
            self.frame,
            theta=TURN,
            phi=TILT,
            focal=LENS,
            width=room.width / self.frame.width,
            height=room.height / self.frame.stage.height,
            into=room,
        )

    def labels(self, shot: Shot, names: tuple[str, str], sizes: tuple[str, str]) -> list[VGroup]:
        """Return name and size of each solid, in the middle below it as it is seen."""
        theme, labels = current_theme(), []
        line = 1.25 * theme.name_size * FRAME_HEIGHT
        for corners, name, size in zip(self._corners, names, sizes, strict=True):
            seen = shot.project(corners, self.frame.height)[:, :2]
            foot = corners[np.argmin(corners[:, 1])].copy()
            anchor = (corners.min(axis=0) + corners.max(axis=0)) / 2
            anchor[1] = foot[1]
            place = shot.project(anchor[None], self.frame.height)[0, :2]
            x = (seen[:, 0].min() + seen[:, 0].max()) / 2 - place[0]
            y = seen[:, 1].min() - place[1] - 0.75 * line
            half = VGroup()
            for index, (text, colour) in enumerate(((name, theme.muted), (size, theme.ink))):
                label = Label(text, size=theme.name_size, colour=colour)
                half.add(label.on_line(x, y - index * line))
            safe = self.frame.safe
            middle, reach = x + place[0], half.width / 2
            over = max(0.0, safe.left - (middle - reach)) - max(0.0, middle + reach - safe.right)
            labels.append(keep_upright(half.shift([over, 0, 0]), anchor))
        return labels

    def kept(self, shot: Shot) -> VGroup:
        """Return the words above the traced model on how many heads it keeps; none if it is all."""
        theme, meta, words = current_theme(), self.cache.view.layer.trace.meta, VGroup()
        if meta.n_kv_heads == meta.n_heads:
            return words
        corners, _large = self._corners
        seen = shot.project(corners, self.frame.height)
        anchor = corners.mean(axis=0)
        place = shot.project(anchor[None], self.frame.height)[0]
        text = _(
            "{kept} of {heads} heads kept",
            kept=format_count(meta.n_kv_heads),
            heads=format_count(meta.n_heads),
        )
        label = Label(text, colour=theme.muted)
        left = max(self.frame.safe.left + label.width / 2, float(place[0])) - place[0]
        label.on_line(left, seen[:, 1].max() - place[1] + 0.3)
        return words.add(keep_upright(label, anchor))

    def unkept(self) -> VGroup:
        """Return the words in the large model's outline when it is empty, in two lines."""
        theme, center = current_theme(), np.array(self.front.center)
        text = _("if every head kept its own")
        lines = break_lines(text, UNKEPT * Label(text).width)
        middle = (len(lines) - 1) / 2
        return VGroup(
            *(
                keep_upright(
                    Label(line, colour=theme.muted).on_line(0.0, 0.4 * (middle - index)), center
                )
                for index, line in enumerate(lines)
            )
        )

    # Animations

    def fold(self, **kwargs: float) -> Animation:
        """Return an animation in which the sheet of the token becomes a block of the same numbers.

        Afterwards :attr:`token` takes its place.
        """
        heads, base = self.small.heads, self.cache.base
        ends = [(block.box, block.thickness) for block in self.slice.blocks]
        targets = [
            (block.box, self.cube / heads, (0.0, 0.0, -base * self.cube / heads))
            for block in self.token.blocks
        ]

        def step(alpha: float) -> None:
            for block, (box, thick), (to, thin, shift) in zip(
                self.slice.blocks, ends, targets, strict=True
            ):
                block.box = Box(
                    *(
                        (1 - alpha) * getattr(box, name) + alpha * getattr(to, name)
                        for name in ("x", "y", "width", "height")
                    )
                )
                block.thickness = (1 - alpha) * thick + alpha * thin
                x, y, z = (alpha * part for part in shift)
                block.set_range(replace(block.visible_range, shift=(x, y, z)))

        return AnimateWith(Group(self.slice), step, **kwargs)

    def rise(self, **kwargs: float) -> Animation:
        """Return an animation in which the large model's blocks grow from the floor."""
        return self._heights(0.0, self.front.height, **kwargs)

    def deflate(self, **kwargs: float) -> Animation:
        """Return an animation in which the large model's blocks shrink to what it ships."""
        return self._heights(self.front.height, self.shipped, **kwargs)

    def refill(self, **kwargs: float) -> Animation:
        """Return an animation in which the blocks of every head fill their outline again."""
        return self._heights(self.shipped, self.front.height, **kwargs)

    def _heights(self, start: float, end: float, **kwargs: float) -> Animation:
        """Change the height of the blocks; as low as what is shipped, they are a latent."""
        theme = current_theme()
        latent = [height == self.shipped for height in (start, end)]

        def step(alpha: float) -> None:
            share = (1 - alpha) * latent[0] + alpha * latent[1]
            front = self.front
            top = front.bottom + max((1 - alpha) * start + alpha * end, 1e-3)
            # A latent is not in two parts: the keys' block becomes all of it, without the gap.
            keys, values = (block.box for block in self.blocks)
            left, right = front.left + share * self.gap / 2, front.right - share * self.gap / 2
            ends = (
                (left, (1 - share) * keys.right + share * right),
                ((1 - share) * values.left + share * right, right),
            )
            for block, (left, right) in zip(self.blocks, ends, strict=True):
                block.set_front(Box.of(left, right, front.bottom, top))
                block.tint(mixed(block.colour, theme.latent, share))

        return AnimateWith(self.blocks, step, **kwargs)
