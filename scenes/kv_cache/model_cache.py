"""The cache of a whole model, from one head to all layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, LaggedStart, VGroup, linear

from filmkit.core.animations import Follow, set_presence
from filmkit.core.camera import Shot, keep_upright
from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame
from filmkit.core.norm import TensorSource
from filmkit.core.printable import printable
from filmkit.core.text import Label, fit_word
from filmkit.core.theme import current_theme
from filmkit.core.view import HeadView
from filmkit.mobjects.cache_volume import CachedTensor, CacheVolume, Measure, VolumeFace
from filmkit.mobjects.cache_volume_layout import CacheVolumeLayout
from filmkit.mobjects.head_stack_layout import shot_on
from scenes.kv_cache.layout import formula_room, measured_fill, solid_fill
from scenes.kv_cache.token_cost import TokenCost

__all__ = ["FANNED", "ModelCache"]

Points = npt.NDArray[np.float64]

FANNED = 4  # layers that stand apart
WORDS_GAP = 0.15  # between words and the solid's edge
FEW = 4  # heads that are numbered one by one


class ModelCache:
    """The same cache as heads of one layer, as a few layers, and as one block.

    All three stand in one space: what is in two of them is at the same place once they are closed
    up, so that one can take over from the other.

    Parameters
    ----------
    view
        A head of the layer that is told about, with all the words that are kept.
    frame
        The frame it is shown in.

    Attributes
    ----------
    heads
        One solid for each key/value head of the layer; spread out.
    layers
        One solid for each of a few layers, this one among them; spread out.
    whole
        One solid for all layers; it holds what ``layers`` hold.
    featured
        The one of ``heads`` that the view is about; it stands in the plane of the flat picture.
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

        self.heads = [self._solid(layer * self.count + head, 1) for head in range(self.count)]
        self.featured = self.heads[view.kv_head]
        first = max(0, min(layer - 1, meta.n_layers - FANNED))
        self.numbers = list(every[first : first + FANNED])
        self.layers = [self._solid(number * self.count, self.count) for number in self.numbers]
        self.layer = self.layers[layer - first]
        span = (first * self.count, (first + len(self.numbers)) * self.count)
        self.whole = self._solid(span[0], span[1] - span[0])
        self.spread_heads = [self._apart(h - view.kv_head) for h in range(self.count)]
        self.spread_layers = [self._cascade(number - layer) for number in self.numbers]

    def _solid(self, first: int, units: int) -> CacheVolume:
        volume = CacheVolume(self.keys, self.values, self.layout, base=self.base)
        return volume.hold(units=(first, first + units))

    def _apart(self, places: int) -> tuple[float, float, float]:
        return (0.0, 0.0, -places * (self.layout.spacing - self.layout.thickness))

    def _cascade(self, places: int) -> tuple[float, float, float]:
        return (places * self.layout.aside, 0.0, -places * self.layout.gap)

    # Shots

    def _shot(self, solids: list[CacheVolume], shifts: list[tuple[float, float, float]]) -> Shot:
        corners = [
            volume.corners - volume.extent.shift + shift
            for volume, shift in zip(solids, shifts, strict=True)
        ]
        width = solid_fill(self.frame)
        return shot_on(np.concatenate(corners), self.frame, width=width, height=0.8)

    @property
    def shot_of_heads(self) -> Shot:
        """All heads of the layer, spread out."""
        return self._shot(self.heads, self.spread_heads)

    @property
    def shot_of_layers(self) -> Shot:
        """The few layers, spread out."""
        return self._shot(self.layers, self.spread_layers)

    @property
    def shot_of_whole(self) -> Shot:
        """All layers as one block."""
        held = self.whole.extent
        self.whole.hold(units=(0, self.units))
        shot = self._shot([self.whole], [(0.0, 0.0, 0.0)])
        self.whole.hold(units=held.units)
        return shot

    @property
    def shot_of_cost(self) -> Shot:
        """The whole block with room around it for what is counted along its edges."""
        stage = self.frame.stage
        into = Box.of(
            stage.left, stage.right, stage.bottom + 0.75, stage.top - formula_room(self.frame) + 0.4
        )
        width, right = measured_fill(self.frame)
        return shot_on(
            self.whole.corners, self.frame, width=width, height=0.64, into=into.moved(dx=right)
        )

    # Motions

    def slide_in(self, **kwargs: float) -> list[Animation]:
        """The other heads of the layer come in from the right, the nearest to the first first."""
        place = self.view.kv_head
        order = sorted(range(self.count), key=lambda head: (abs(head - place), head))[1:]
        outside = 1.2 * self.frame.width
        for head in order:
            self.heads[head].hold(shift=(outside, 0.0, self.spread_heads[head][2]))
        arriving = [self.heads[head].to(shift=self.spread_heads[head]) for head in order]
        return [LaggedStart(*arriving, lag_ratio=0.3, **kwargs)] if arriving else []

    def close_heads(self) -> list[Animation]:
        """The heads of the layer come together."""
        return [volume.to(shift=(0.0, 0.0, 0.0)) for volume in self.heads]

    def fan_out(self) -> list[Animation]:
        """The few layers come out of the one that is told about."""
        pairs = zip(self.layers, self.spread_layers, strict=True)
        return [volume.to(shift=shift) for volume, shift in pairs]

    def close_layers(self) -> list[Animation]:
        """The few layers come together."""
        return [volume.to(shift=(0.0, 0.0, 0.0)) for volume in self.layers]

    def grow(self, words: VGroup, **kwargs: float) -> Animation:
        """From the first word on, the whole cache gets a row for each, with its word beside it."""
        theme, rows = current_theme(), self.view.layer.count

        def step(alpha: float) -> None:
            there = 1 + alpha * (rows - 1)
            self.whole.hold(rows=there)
            for word in words:
                set_presence(word, min(1.0, max(0.0, there - word.row)))
                word.set_fill(theme.highlight if there <= word.row + 1 else theme.muted)

        return Follow(Group(self.whole, words), step, rate_func=linear, **kwargs)

    # One token of it

    def newest_slice(self) -> Group:
        """The newest token's keys and values in every head of every layer, where they lie.

        The first layer's first head is the nearest; keys are left of values.
        """
        slices = Group()
        rows = self.whole.extent.rows
        upper = (rows - 1) / rows
        for block in self.whole.blocks:
            lying = VolumeFace(
                block.across,
                source=TensorSource(
                    expression=f"{block.stored.name}, of one token, last layer first"
                ),
            )
            lying.fill(block.stored.scaled[::-1, int(rows) - 1])
            points = ((0, 1), (1, 1), (1, 0), (0, 0))
            lying.points = np.array([block.corner(x, upper, z) for x, z in points])
            slices.add(lying)
        return slices

    # Words

    def words_beside(self, tokens: Sequence[str]) -> VGroup:
        """Words at the left of their rows, hidden; every second or so where rows are too low."""
        size, rows = current_theme().note_size, len(tokens)
        points = np.array(
            [self.whole.keys.corner(0.0, (row + 0.5) / rows, 0.0) for row in range(rows)]
        )
        seen = self.shot_of_whole.project(points, self.frame.height)
        apart = float(np.ptp(seen[:, 1])) / max(1, rows - 1)
        every = int(np.ceil(size * FRAME_HEIGHT / apart))
        room = float(seen[:, 0].min()) - WORDS_GAP - self.frame.safe.left
        words = VGroup()
        for row in reversed(range(rows - 1, -1, -every)):
            label = fit_word(printable(tokens[row]), room, size=size)
            label.on_line(-WORDS_GAP - label.width / 2, 0.0)
            label.row = row
            words.add(set_presence(keep_upright(label, points[row]), 0.0))
        return words

    @property
    def numbers_of_heads(self) -> VGroup:
        """The number of each head at its lower right corner; of many the first and the last."""
        heads = range(self.count) if self.count <= FEW else (0, self.count - 1)
        return self._numbered([self.heads[h] for h in heads], [f"head {h}" for h in heads])

    @property
    def numbers_of_layers(self) -> VGroup:
        """The number of each of the few layers at its lower right corner."""
        return self._numbered(self.layers, [f"layer {number}" for number in self.numbers])

    def _numbered(self, solids: list[CacheVolume], texts: list[str]) -> VGroup:
        theme, labels = current_theme(), VGroup()
        for volume, text in zip(solids, texts, strict=True):
            label = Label(text, size=theme.note_size, colour=theme.muted)
            label.on_line(0.1 + label.width / 2, -0.12)
            labels.add(keep_upright(label, volume.values.corner(1.0, 1.0, 0.0)))
        return labels

    @property
    def names(self) -> VGroup:
        """What the two halves of the front are, below them."""
        theme, names = current_theme(), VGroup()
        for text, block, colour in (
            ("keys", self.heads[0].keys, theme.key),
            ("values", self.heads[0].values, theme.value),
        ):
            label = Label(text, size=theme.name_size, colour=colour)
            names.add(keep_upright(label.on_line(0.0, -0.35), block.corner(0.5, 1.0, 0.0)))
        return names

    def measures(self, cost: TokenCost) -> list[Measure]:
        """What each factor counts, at the edge of the whole block along which it does.

        In the order of the factors; the bytes of a number lie along no edge.
        """
        keys, values = self.whole.keys, self.whole.values
        texts = [text for text, _ in cost.factors]
        # In the scene's units, which are smaller in a picture that is taken from farther away.
        unit = self.shot_of_cost.height / self.frame.height
        below, beside = unit * np.array([0.0, -0.22, 0.0]), unit * np.array([0.25, -0.07, 0.0])
        both = Measure(
            keys.corner(0.0, 1.0, 0.0),
            values.corner(1.0, 1.0, 0.0),
            away=2.4 * below,
            text="key and value",
            at=0.0,
        )
        size = Measure(
            keys.corner(0.0, 1.0, 0.0),
            keys.corner(1.0, 1.0, 0.0),
            away=below,
            text=f"{texts[-3]} numbers",
            at=0.0,
        )
        heads = Measure(
            values.corner(1.0, 0.0, 1.0 - 1 / cost.layers),
            values.corner(1.0, 0.0, 1.0),
            away=beside,
            text=f"{texts[-4]} heads",
        )
        layers = Measure(
            values.corner(1.0, 1.0, 0.0),
            values.corner(1.0, 1.0, 1.0),
            away=beside,
            text=f"{texts[-2]} layers",
        )
        return [both, heads, size, layers]
