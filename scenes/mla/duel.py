"""The duel: as many numbers kept as one shared set or as one latent, and what both do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, Line, Mobject, Rectangle, VGroup

from extract.conversion_report import Contest, Row
from extract.duel import Duel
from filmkit.core.animations import AnimateWith, Arrive, Recolour, Settle
from filmkit.core.facts import fact
from filmkit.core.geometry import Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import _
from filmkit.core.light import glow
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.numbers import format_percent
from filmkit.core.printable import printable
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.core.view import LayerView
from filmkit.mobjects.latent_view import LatentView
from filmkit.mobjects.sentence import Sentence
from filmkit.mobjects.shared_view import SharedView
from filmkit.pictures.parts import TEXT
from filmkit.pictures.texts import figure, own_colour

__all__ = ["DuelSide", "Model", "Sayings", "change_scale", "duel_sides", "own_patterns"]

Array = npt.NDArray[np.float64]

PERCENTILE = 99.5  # of all differences, at which their scale ends
NAME = 0.045  # size of the name of a side
SAYING, PROMPT = 0.085, 0.05  # sizes of what a model says, at most, and of the prompt
# Lengths in scene units.
NAME_LINE, WORDS, FOOT = 0.75, 0.75, 1.75  # room for a name, for a line below all, for what is kept
SIDE_GAP, PATTERN_GAP = 1.0, 0.1  # between the sides; between patterns, in sizes of one
PLATE = (4.6, 1.1)  # largest size of what is kept
BAR = 0.4  # height of a row of what is kept
SHINE = 0.5  # how much light patterns and figures give


@dataclass(frozen=True)
class Model:
    """One way to keep less: what the layer computes so, and what the whole model does.

    Attributes
    ----------
    name, way
        In words, and as facts and charts name it: "mqa" or "mla".
    colour
        Of its name.
    numbers
        Kept for each token of the layer.
    moved
        Share of the attention that goes to other words, in this layer.
    row
        What the whole model did; None without a conversion.
    patterns, differences
        For each head its pattern, and how far that is from the model's own, with their sources.
    kept
        What is kept: matrices side by side, with their norms and sources.
    """

    name: str
    way: str
    colour: str
    numbers: int
    moved: float
    row: Row | None
    patterns: Sequence[tuple[Array, TensorSource]]
    differences: Sequence[tuple[Array, TensorSource]]
    kept: Sequence[tuple[Array, Norm, TensorSource]]

    @classmethod
    def both(cls, view: LatentView, numbers: Duel, contest: Contest | None) -> tuple[Model, Model]:
        """Return one shared set, and one latent."""
        layer, theme = view.layer, current_theme()
        shared, heads = SharedView.of(layer, 1), range(layer.trace.meta.n_heads)
        drawn = slice(layer.first, layer.stop)
        sets = [(*shared.panel(name, 0), shared.norms[name]) for name in "kv"]

        def panels(
            patterns: Array, what: str, **given: int
        ) -> tuple[list[tuple[Array, TensorSource]], ...]:
            """Return patterns and differences of all heads."""
            cut = patterns[:, drawn, drawn], numbers.own[:, drawn, drawn]
            return tuple(
                [(values[h], layer.computed(f"{what}_{kind}", head=h, **given)) for h in heads]
                for kind, values in (("pattern", cut[0]), ("difference", np.abs(cut[0] - cut[1])))
            )

        return (
            cls(
                _("one shared set"), "mqa", theme.ink, numbers.shared.numbers,
                numbers.shared.distance.mean, contest and contest.mean,
                *panels(numbers.shared.pattern, "shared", sets=1),
                [(values, norm, source) for values, source, norm in sets],
            ),
            cls(
                _("one latent"), "mla", theme.latent, numbers.latent.numbers,
                numbers.latent.distance.mean, contest and contest.latent,
                *panels(numbers.latent.pattern, "rotated_latent"),
                [(view.latent, view.latent_norm, view.latent_source)],
            ),
        )  # fmt: skip

    def plate(self, box: Box, rows: slice = slice(None)) -> Group:
        """Return some rows of what is kept, side by side in a box."""
        widths = [values.shape[1] for values, _norm, _source in self.kept]
        plate = Group()
        for (values, norm, source), part in zip(self.kept, box.split_columns(widths), strict=True):
            start, stop, _step = rows.indices(len(values))
            span = source.part((start, stop), (0, values.shape[1]))
            plate.add(Heatmap(values[rows], norm, source=span).place(part))
        return glow(plate)


def grid_of(room: Box, count: int) -> list[Box]:
    """Return equal squares in the middle of a room, row by row, as large as fit."""

    def side(columns: int) -> float:
        sizes = (room.width, columns), (room.height, math.ceil(count / columns))
        return min(size / (n + PATTERN_GAP * (n - 1)) for size, n in sizes)

    columns = max(range(1, count + 1), key=side)
    size, rows, pitch = side(columns), math.ceil(count / columns), 1 + PATTERN_GAP
    left, top = (size * ((n - 1) * pitch) / 2 for n in (columns, rows))
    return [
        Box(
            room.x - left + size * pitch * (i % columns),
            room.y + top - size * pitch * (i // columns),
            size,
            size,
        )
        for i in range(count)
    ]


def own_patterns(layer: LayerView, boxes: Sequence[Box]) -> list[Heatmap]:
    """Return the model's own patterns of all heads, without what the mask removes."""
    found = []
    for head, box in enumerate(boxes):
        view = layer.head(head)
        cells = Heatmap(view.pattern, Norm.unit(), source=view.pattern_source)
        found.append(glow(cells.set_shown(~view.causal_mask).place(box), SHINE))
    return found


class DuelSide(Group):
    """One side of the duel.

    Parameters
    ----------
    model
        What it is about.
    layer
        The layer.
    room
        What it may fill.
    most
        Largest share that moves in one layer, on both sides.

    Attributes
    ----------
    name
        Its name.
    patterns
        Heatmaps of the heads, which begin with the model's own patterns.
    kept
        What is kept, and how many numbers that is.
    share
        How much attention moves; see :meth:`count`.
    layers
        A bar for each layer of the model, and the names of the first and the last; empty without a
        conversion.
    """

    def __init__(self, model: Model, layer: LayerView, room: Box, most: float) -> None:
        super().__init__()
        self.model = model
        self.name = Label(model.name, size=NAME, colour=model.colour, weight="semibold")
        self.name.on_line(room.x, room.top - NAME_LINE / 2)
        grid = Box.of(room.left, room.right, room.bottom + FOOT, room.top - NAME_LINE)
        self.patterns = own_patterns(layer, grid_of(grid, layer.trace.meta.n_heads))
        foot = Box.of(room.left, room.right, room.bottom, grid.bottom - 0.2)
        width, height = min(PLATE[0], room.width), PLATE[1]
        number = fact("kept numbers", model.numbers, beside=model.name, way=model.way)
        words = Label(_("{number} numbers a token", number=number), size=TEXT)
        plate = model.plate(Box(foot.x, foot.top - height / 2, width, height))
        self.kept = Group(plate, words.on_line(foot.x, foot.bottom + 0.15))
        self.share, self._place = VGroup(), (foot.x, foot.y)
        self.bars, self.layers = VGroup(), VGroup()
        if model.row is not None:
            self._draw_layers(model.row.moved_by_layer, most, grid)

    def _draw_layers(self, moved: Sequence[float], most: float, room: Box) -> None:
        theme, last = current_theme(), len(moved) - 1
        words = [Label(_("layer {layer}", layer=n), size=TEXT) for n in (0, last)]
        room = Box.of(room.left, room.right, room.bottom + 2 * words[0].line_height, room.top)
        self._foot, self._heights = room.bottom, [room.height * share / most for share in moved]
        for box in room.split_columns(last + 1, 0.25 * room.width / (last + 1)):
            bar = Rectangle(
                width=box.width, height=1.0, stroke_width=0, fill_color=theme.ink, fill_opacity=1
            )
            self.bars.add(bar.move_to([box.x, room.y, 0]))
        glow(self.bars, SHINE)
        self._grow(0.0)
        y = room.bottom - words[0].line_height
        words[0].on_line(room.left + words[0].width / 2, y)
        words[1].on_line(room.right - words[1].width / 2, y)
        line = Line([room.left, room.bottom, 0], [room.right, room.bottom, 0], color=theme.faint)
        self.layers.add(line.set_stroke(width=theme.thin), *words[: 1 + (last > 0)], self.bars)

    # Animations

    def split_from(self, own: Sequence[Heatmap]) -> list[Animation]:
        """Return animations in which the patterns leave the model's own for their places."""
        return [
            Arrive(cells, cells.copy().place(origin.box))
            for cells, origin in zip(self.patterns, own, strict=True)
        ]

    def compute_again(self) -> list[Animation]:
        """Return animations in which the patterns become those of this side."""
        return [
            Recolour(cells, values=values, source=source)
            for cells, (values, source) in zip(self.patterns, self.model.patterns, strict=True)
        ]

    def show_differences(self, norm: Norm) -> list[Animation]:
        """Return animations in which they become how far they are from the model's own."""
        return [
            Recolour(cells, values=values, source=source, norm=norm)
            for cells, (values, source) in zip(self.patterns, self.model.differences, strict=True)
        ]

    def count(self) -> Animation:
        """Return an animation in which the share that moves in this layer is counted up."""
        self._tell(self.model.moved, all_layers=False)
        return AnimateWith(self.share, lambda alpha: self._write(alpha * self.model.moved))

    def collapse(self) -> list[Animation]:
        """Return animations in which the patterns go to the foot of the bars."""
        boxes = [Box(bar.get_x(), self._foot, bar.width, 0.02) for bar in self.bars]
        boxes = [boxes[len(boxes) * i // len(self.patterns)] for i in range(len(self.patterns))]
        return [
            Settle(cells, box, remover=True)
            for cells, box in zip(self.patterns, boxes, strict=True)
        ]

    def rise(self) -> Animation:
        """Return an animation of a bar for each layer, one after another, and their mean so far."""
        assert self.model.row is not None
        self._tell(self.model.row.moved, all_layers=True)
        return AnimateWith(Group(self.bars, self.share), self._grow)

    def _grow(self, alpha: float) -> None:
        assert self.model.row is not None
        reached = alpha * len(self.bars)
        for number, (bar, height) in enumerate(zip(self.bars, self._heights, strict=True)):
            now = max(0.01, height * float(np.clip(reached - number, 0.0, 1.0)))
            bar.stretch_to_fit_height(now).set_y(self._foot + now / 2)
        so_far = self.model.row.moved_by_layer[: max(1, math.ceil(reached))]
        if self.share:
            self._write(float(np.mean(so_far)))

    def _tell(self, share: float, *, all_layers: bool) -> None:
        """Note what is counted to."""
        name, way = self.model.name, self.model.way
        fact("moved share", share, partial(format_percent, digits=0), beside=name, way=way,
             all_layers=all_layers)  # fmt: skip

    def _write(self, share: float) -> None:
        label = figure(format_percent(share, digits=0))
        self.share.submobjects = [glow(label.on_line(*self._place), SHINE)]


def duel_sides(
    models: tuple[Model, Model], layer: LayerView, frame: Frame
) -> tuple[DuelSide, DuelSide]:
    """Return both sides, side by side, or one above the other in a tall frame."""
    stage = frame.stage
    room = Box.of(stage.left, stage.right, stage.bottom + WORDS, stage.top)
    split = room.split_rows if frame.tall else room.split_columns
    rows = [model.row.moved_by_layer for model in models if model.row]
    most = max((max(row) for row in rows), default=1.0) or 1.0
    first, last = (
        DuelSide(model, layer, part, most)
        for model, part in zip(models, split(2, SIDE_GAP if not frame.tall else 0.3), strict=True)
    )
    return first, last


def change_scale(models: tuple[Model, Model]) -> Norm:
    """Return the scale of all differences, the same on both sides: zero is the background."""
    every = [values for model in models for values, _source in model.differences]
    limit = float(np.percentile(np.stack(every), PERCENTILE)) or 1.0
    return replace(Norm.unit(), vmax=min(1.0, limit), percentile=PERCENTILE)


class Sayings(Group):
    """How the whole model goes on after the prompt, on one shared set and on one latent.

    Parameters
    ----------
    prompt
        Texts of its tokens.
    models
        Both ways.
    contest
        What the whole model did.
    frame
        The frame that is filled.

    Attributes
    ----------
    prompt
        The prompt.
    shared, fitted, latent
        Parts about one shared set, the same fitted, and one latent: what is kept of the last token,
        and what is said.
    """

    def __init__(
        self,
        prompt: Sequence[str],
        models: tuple[Model, Model],
        contest: Contest,
        frame: Frame,
    ) -> None:
        super().__init__()
        stage, theme = frame.stage, current_theme()
        lines = (2.0 if frame.upright else 1.0) * 1.5
        weights = (0.9, 0.6, BAR, lines, lines, 0.3, 0.6, BAR, lines)
        rooms = stage.split_rows(weights, 0.0)
        colours = [own_colour(word) for word in prompt]
        muted = [theme.muted if colour == theme.ink else colour for colour in colours]
        self.prompt = _flush([*prompt, " …"], rooms[0], PROMPT, [*muted, theme.muted])
        self.shared, self.fitted, self.latent = (
            Group(said) for said in self._said(contest, frame, (rooms[3], rooms[4], rooms[8]))
        )
        for model, part, name, bar in zip(
            models, (self.shared, self.latent), (rooms[1], rooms[6]), (rooms[2], rooms[7]),
            strict=True,
        ):  # fmt: skip
            number = fact("kept numbers", model.numbers, beside=model.name, way=model.way)
            words = (
                Label(model.name, size=TEXT, colour=model.colour, weight="semibold"),
                Label(_("{number} numbers a token", number=number), size=TEXT, colour=theme.muted),
            )
            words[0].on_line(name.left + words[0].width / 2, name.y)
            words[1].on_line(name.right - words[1].width / 2, name.y)
            part.add(*words, model.plate(bar, slice(-1, None)))

    def _said(self, contest: Contest, frame: Frame, rooms: Sequence[Box]) -> list[Mobject]:
        rows = contest.mean, contest.fitted, contest.latent
        return [_flush(as_said(row.continuation), room, SAYING) for row, room in
                zip(rows, rooms, strict=True)]  # fmt: skip


def as_said(text: str) -> list[str]:
    """Return the words with which a model goes on, each with the blank before it, and "…"."""
    return [f" {word}" for word in (*printable(" ".join(text.split())).split(" "), "…")]


def _flush(
    words: Sequence[str], room: Box, size: float, colours: Sequence[str] | None = None
) -> VGroup:
    """Return words in their own colours, flush left in a room."""
    colours = colours or [own_colour(word.strip(" .,")) for word in words]
    sentence = Sentence(words, room, size=size, colours=colours)
    return sentence.words.shift([room.left - sentence.words.get_left()[0], 0, 0])
