"""The cache of a whole model in space, from one head to all layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, LaggedStart, VGroup, linear

from filmkit.core.animations import AnimateWith, set_presence
from filmkit.core.camera import Shot, keep_upright
from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame
from filmkit.core.language import _
from filmkit.core.numbers import counted_heads, counted_layers, format_count
from filmkit.core.printable import printable
from filmkit.core.text import Label, fit_word
from filmkit.core.theme import current_theme
from filmkit.core.view import HeadView
from filmkit.mobjects.cache_volume import CachedTensor, CacheVolume, Measure
from filmkit.mobjects.cache_volume_layout import CacheVolumeLayout
from filmkit.mobjects.head_stack_layout import shot_on
from scenes.kv_cache.layout import heads_fill, measured_volume_fill, view_angles, volume_fill
from scenes.kv_cache.token_cost import TokenCost

__all__ = ["ModelCache"]

Points = npt.NDArray[np.float64]

APART = 2.0  # from one head to the next while they are apart, in spacings of the layout
WORDS_GAP = 0.15  # between words and the volume's edge, in scene units
FIGURE_ROOM = 1.25  # height of the figure and its line above the measured volume
MAX_NUMBERED_HEADS = 4  # of more heads only the first and the last have a number


class ModelCache:
    """The same cache as the heads of one layer, and as one volume.

    Both share one space: when heads are not spread out, each stands exactly where it is in the
    whole volume, so that one can replace the other.

    Parameters
    ----------
    view
        A head of the layer that is shown, with all cached words.
    frame
        The frame that the cache is shown in.

    Attributes
    ----------
    heads
        One volume for each key/value head of the layer.
    whole
        One volume for all layers; at first it holds this layer only.
    featured
        The volume of the view's head; it stands in the plane of the flat picture.
    head_shifts
        (x, y, z) by which each head is moved when they are spread out.
    """

    def __init__(self, view: HeadView, frame: Frame) -> None:
        meta, layer = view.layer.trace.meta, view.layer.layer
        self.view, self.frame, self.count = view, frame, meta.n_kv_heads
        self.units = meta.n_layers * self.count
        self.layout = CacheVolumeLayout.of(
            rows=view.layer.count,
            units=self.units,
            heads=self.count,
            d_qk=meta.d_qk,
            d_v=meta.d_v,
        )
        every = range(meta.n_layers)
        self.keys, self.values = (CachedTensor.of(view.layer, name, every) for name in ("k", "v"))
        self.base = layer * self.count + view.kv_head

        self.heads = [self._volume(layer * self.count + head, 1) for head in range(self.count)]
        self.featured = self.heads[view.kv_head]
        self.whole = self._volume(layer * self.count, self.count)
        self.head_shifts = [self._head_shift(h - view.kv_head) for h in range(self.count)]

    def _volume(self, first: int, units: int) -> CacheVolume:
        volume = CacheVolume(self.keys, self.values, self.layout, base=self.base)
        return volume.set_range(units=(first, first + units))

    def _head_shift(self, places: int) -> tuple[float, float, float]:
        return (0.0, 0.0, -places * (APART * self.layout.spacing - self.layout.thickness))

    # Shots

    def _shot(
        self,
        volumes: list[CacheVolume],
        shifts: list[tuple[float, float, float]],
        fill: tuple[float, float],
    ) -> Shot:
        corners = [
            volume.corners - volume.visible_range.shift + shift
            for volume, shift in zip(volumes, shifts, strict=True)
        ]
        width, right = fill
        theta, phi = view_angles(self.frame)
        return shot_on(
            np.concatenate(corners),
            self.frame,
            theta=theta,
            phi=phi,
            width=width,
            height=0.8,
            into=self.frame.stage.moved(dx=right),
        )

    @property
    def shot_of_heads(self) -> Shot:
        """Shot of all heads of the layer, spread out."""
        return self._shot(self.heads, self.head_shifts, heads_fill(self.frame))

    @property
    def shot_of_whole(self) -> Shot:
        """Shot of all layers as one volume."""
        visible_range = self.whole.visible_range
        self.whole.set_range(units=(0, self.units))
        shot = self._shot([self.whole], [(0.0, 0.0, 0.0)], volume_fill(self.frame))
        self.whole.set_range(units=visible_range.units)
        return shot

    @property
    def shot_of_cost(self) -> Shot:
        """Shot of the whole volume with room for the measures along its edges."""
        stage = self.frame.stage
        into = Box.of(stage.left, stage.right, stage.bottom + 0.75, stage.top - FIGURE_ROOM)
        width, right = measured_volume_fill(self.frame)
        theta, phi = view_angles(self.frame)
        return shot_on(
            self.whole.corners,
            self.frame,
            theta=theta,
            phi=phi,
            width=width,
            height=0.72,
            into=into.moved(dx=right),
        )

    # Animations

    def slide_in(self, **kwargs: float) -> list[Animation]:
        """Return animations in which the other heads come in from the right, the nearest first."""
        place = self.view.kv_head
        order = sorted(range(self.count), key=lambda head: (abs(head - place), head))[1:]
        beyond_frame = 1.2 * self.frame.width
        for head in order:
            self.heads[head].set_range(shift=(beyond_frame, 0.0, self.head_shifts[head][2]))
        arriving = [self.heads[head].change_range(shift=self.head_shifts[head]) for head in order]
        return [LaggedStart(*arriving, lag_ratio=0.3, **kwargs)] if arriving else []

    def close_heads(self) -> list[Animation]:
        """Return animations in which the heads of the layer close up."""
        return [volume.change_range(shift=(0.0, 0.0, 0.0)) for volume in self.heads]

    def grow(self, words: VGroup, **kwargs: float) -> Animation:
        """Return an animation in which the cache gets one row after another, each with its word."""
        theme, rows = current_theme(), self.view.layer.count

        def step(alpha: float) -> None:
            n_rows = 1 + alpha * (rows - 1)
            self.whole.set_range(rows=n_rows)
            for word in words:
                set_presence(word, min(1.0, max(0.0, n_rows - word.row)))
                word.set_fill(theme.highlight if n_rows <= word.row + 1 else theme.muted)

        return AnimateWith(Group(self.whole, words), step, rate_func=linear, **kwargs)

    # Words

    def word_labels(self, tokens: Sequence[str]) -> VGroup:
        """Build hidden words at the left of their rows; where rows are low, some are left out."""
        size, rows = current_theme().note_size, len(tokens)
        points = np.array(
            [self.whole.keys.corner(0.0, (row + 0.5) / rows, 0.0) for row in range(rows)]
        )
        projected = self.shot_of_whole.project(points, self.frame.height)
        row_distance = float(np.ptp(projected[:, 1])) / max(1, rows - 1)
        every = int(np.ceil(1.05 * size * FRAME_HEIGHT / row_distance))
        room = float(projected[:, 0].min()) - WORDS_GAP - self.frame.safe.left
        words = VGroup()
        for row in reversed(range(rows - 1, -1, -every)):
            label = fit_word(printable(tokens[row]), room, size=size)
            label.on_line(-WORDS_GAP - label.width / 2, 0.0)
            label.row = row
            words.add(set_presence(keep_upright(label, points[row]), 0.0))
        return words

    @property
    def head_labels(self) -> VGroup:
        """Numbers of the heads at their lower right corners; of many the first and the last."""
        heads = range(self.count) if self.count <= MAX_NUMBERED_HEADS else (0, self.count - 1)
        return VGroup(
            *(
                self._corner_label(
                    _("head {head}", head=h), self.heads[h].values.corner(1.0, 1.0, 0.0)
                )
                for h in heads
            )
        )

    @property
    def layer_labels(self) -> VGroup:
        """Names of the first and the last layer at the lower corners of the whole volume.

        If these are too near to each other there is only the first.
        """
        corners = [self.whole.values.corner(1.0, 1.0, back) for back in (0.0, 1.0)]
        labels = VGroup(self._corner_label(_("layer {layer}", layer=0), corners[0]))
        seen = self.shot_of_whole.project(np.array(corners), self.frame.height)
        name = _("layer {layer}", layer=self.units // self.count - 1)
        last = Label(name, size=current_theme().note_size)
        across, up = (seen[1] - seen[0])[:2]
        if across > 2.5 * last.width:
            # It ends below the far corner; the edge rises above it.
            last.on_line(-last.width / 2, -0.3 - last.width * up / across)
            labels.add(keep_upright(last, corners[1]))
        return labels

    @staticmethod
    def _corner_label(text: str, corner: Points) -> Label:
        label = Label(text, size=current_theme().note_size)
        return keep_upright(label.on_line(0.18 + label.width / 2, -0.2), corner)

    @staticmethod
    def key_value_labels(volume: CacheVolume) -> VGroup:
        """Names of the two halves of a front, below them: they end where these are in the middle.

        There the front's lower edge, which falls to the right, is well above them.
        """
        theme, key_value_labels = current_theme(), VGroup()
        for text, block, colour in (
            (_("keys"), volume.keys, theme.key),
            (_("values"), volume.values, theme.value),
        ):
            label = Label(text, size=theme.name_size, colour=colour)
            label.on_line(-label.width / 2, -0.5)
            key_value_labels.add(keep_upright(label, block.corner(0.5, 1.0, 0.0)))
        return key_value_labels

    def measures(self, cost: TokenCost) -> list[Measure]:
        """Build a measure for each factor, along the edge of the whole volume that it counts.

        The bytes of a number have no edge.
        """
        keys, values = self.whole.keys, self.whole.values
        # One unit of the picture in scene units: the farther away the camera, the more.
        unit = self.shot_of_cost.height / self.frame.height
        below, beside = unit * np.array([0.0, -0.16, 0.0]), unit * np.array([0.18, -0.05, 0.0])
        theme, (key, value) = current_theme(), cost.head_sizes
        channels = [
            Measure(
                block.corner(0.0, 1.0, 0.0),
                block.corner(1.0, 1.0, 0.0),
                away=below,
                text=text,
                colour=colour,
                falling=True,
            )
            for block, text, colour in (
                (keys, _("{count} per key", count=format_count(key)), theme.key),
                (values, _("{count} per value", count=format_count(value)), theme.value),
            )
        ]
        layers = Measure(
            values.corner(1.0, 1.0, 0.0),
            values.corner(1.0, 1.0, 1.0),
            away=beside,
            text=_(
                "{layers} of {heads}",
                layers=counted_layers(cost.layers),
                heads=counted_heads(cost.heads),
            ),
        )
        return [*channels, layers]

    @property
    def slice_label(self) -> Label:
        """Name of the newest slice, at its left end."""
        label = Label(_("one token"), colour=current_theme().highlight)
        rows = self.whole.visible_range.rows
        corner = self.whole.keys.corner(0.0, 1 - 0.5 / rows, 0.0)
        return keep_upright(label.on_line(-0.15 - label.width / 2, 0.0), corner)
