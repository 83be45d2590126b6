"""The duel: as many numbers kept as one shared set or as one latent, and what both do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, Line, Rectangle, VGroup

from extract.conversion_report import Contest, Row
from extract.duel import Duel, Side
from filmkit.core.animations import AnimateWith, Arrive, Glide, Recolour
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
from filmkit.mobjects.head_tensors import head_tensor
from filmkit.mobjects.latent_view import LatentView
from filmkit.mobjects.sentence import Sentence
from filmkit.mobjects.shared_view import SharedView
from filmkit.pictures.parts import TEXT
from filmkit.pictures.texts import figure, own_colour
from filmkit.world.plan import Place
from filmkit.world.plates import HeadCard

__all__ = ["DuelSide", "Model", "Sayings", "change_scale", "duel_sides", "own_cards"]

Array = npt.NDArray[np.float64]
Panel = tuple[Array, TensorSource]
Kept = tuple[Array, Norm, TensorSource]

PERCENTILE = 99.5  # of all differences, at which their scale ends
NAME = 0.045  # size of the name of a side
SAYING, PROMPT = 0.1, 0.05  # sizes of what a model says, at most, and of the prompt
# Lengths in scene units.
HEAD, FOOT, SHARE = 1.1, 1.45, 1.8  # room for a name, for what is kept, and for a share
GAP, LEAST = 0.25, 4.6  # around what is kept, and its least width
SIDE_GAP, PATTERN_GAP = 0.8, 0.1  # between the sides; between patterns, in sizes of one
# Heights of the prompt, a row of what is kept, its name, and a saying.
PROMPT_LINE, BAR, TITLE, SAYING_LINE = 0.7, 0.45, 0.5, 1.45
SHINE = 0.5  # how much light patterns and figures give


@dataclass(frozen=True)
class Model:
    """One way to keep less: what the layer computes so, and what the whole model does.

    Attributes
    ----------
    name, way
        In words, and as facts name it: "mqa" or "mla".
    colour
        Of its name.
    side
        How many numbers it keeps for each token of the layer, and how much attention moves.
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
    side: Side
    row: Row | None
    patterns: Sequence[Panel]
    differences: Sequence[Panel]
    kept: Sequence[Kept]

    @classmethod
    def both(cls, view: LatentView, numbers: Duel, contest: Contest | None) -> tuple[Model, Model]:
        """Return one shared set, and one latent."""
        layer, theme, own = view.layer, current_theme(), numbers.own
        shared, latent, sets = numbers.shared, numbers.latent, SharedView.of(view.layer, 1)
        drawn = slice(layer.first, layer.stop)

        def panels(values: Array, quantity: str, **given: int) -> list[Panel]:
            return [
                (one[drawn, drawn], layer.computed(quantity, head=head, **given))
                for head, one in enumerate(values)
            ]

        def matrix(name: str) -> Kept:
            values, source = sets.panel(name, 0)
            return values, sets.norms[name], source

        return (
            cls(
                name=_("one shared set"),
                way="mqa",
                colour=theme.ink,
                side=shared,
                row=contest.mean if contest else None,
                patterns=panels(shared.pattern, "shared_pattern", sets=1),
                differences=panels(np.abs(shared.pattern - own), "shared_difference", sets=1),
                kept=[matrix("k"), matrix("v")],
            ),
            cls(
                name=_("one latent"),
                way="mla",
                colour=theme.latent,
                side=latent,
                row=contest.latent if contest else None,
                patterns=panels(latent.pattern, "rotated_latent_pattern"),
                differences=panels(np.abs(latent.pattern - own), "rotated_latent_difference"),
                kept=[(view.latent, view.latent_norm, view.latent_source)],
            ),
        )

    @property
    def moved(self) -> float:
        """Share of the attention that goes to other words, in this layer."""
        return self.side.distance.mean

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


def own_cards(layer: LayerView, boxes: Sequence[Box]) -> list[HeadCard]:
    """Return cards of all heads with the model's own patterns, flat."""
    return [
        HeadCard(
            head,
            head_tensor(layer.head(head), "pattern"),
            Place((box.x, box.y, 0.0), 0.0, box.width, box.height),
            named=False,
        )
        for head, box in enumerate(boxes)
    ]


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
    cards
        The cards of all heads, which begin with the model's own patterns.
    kept
        What is kept, and how many numbers that is.
    share
        How much attention moves; see :meth:`count`.
    layers
        The line on which a bar for each layer of the model stands, and the names of the first and
        the last; empty without a conversion.
    """

    def __init__(self, model: Model, layer: LayerView, room: Box, most: float) -> None:
        super().__init__()
        self.model = model
        middle = Box.of(room.left, room.right, room.bottom + FOOT, room.top - HEAD)
        boxes = grid_of(middle, layer.trace.meta.n_heads)
        self.cards = own_cards(layer, boxes)
        for card in self.cards:
            card.pattern.label = model.name
        half = min(room.width, max(Box.around(boxes).width, LEAST)) / 2
        self.name = Label(model.name, size=NAME, colour=model.colour, weight="semibold")
        self.name.shrink_to(2 * half - SHARE)
        y = room.top - HEAD / 2
        self.name.on_line(room.x - half + self.name.width / 2, y)
        self._place = room.x + half, y
        self.share = glow(figure(""), SHINE)
        self._write(0.0)
        number = fact("kept numbers", model.side.numbers, beside=model.name, way=model.way)
        words = Label(_("{number} numbers a token", number=number), size=TEXT)
        words.on_line(room.x, room.bottom + words.line_height / 2)
        top, bottom = middle.bottom - GAP, words.get_top()[1] + GAP / 2
        plate = model.plate(Box.of(room.x - half, room.x + half, bottom, top))
        self.kept = Group(plate, words)
        self.bars, self.layers = VGroup(), VGroup()
        if model.row is not None:
            self._draw_layers(model.row.moved_by_layer, most, middle)

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
        y = room.bottom - words[0].line_height
        words[0].on_line(room.left + words[0].width / 2, y)
        words[1].on_line(room.right - words[1].width / 2, y)
        line = Line([room.left, room.bottom, 0], [room.right, room.bottom, 0], color=theme.faint)
        self.layers.add(line.set_stroke(width=theme.thin), *words[: 1 + (last > 0)])

    # Animations

    def split_from(self, own: Sequence[HeadCard]) -> list[Animation]:
        """Return animations in which the cards leave others for their places."""
        return [Arrive(card, was.copy()) for card, was in zip(self.cards, own, strict=True)]

    def recolour(self, panels: Sequence[Panel], norm: Norm | None = None) -> list[Animation]:
        """Return animations in which the patterns become other panels, one for each head."""
        return [
            Recolour(card.pattern, values=values, source=source, norm=norm)
            for card, (values, source) in zip(self.cards, panels, strict=True)
        ]

    def count(self) -> Animation:
        """Return an animation in which the share that moves in this layer is counted up."""
        self._tell(self.model.moved, all_layers=False)
        return AnimateWith(self.share, lambda alpha: self._write(alpha * self.model.moved))

    def collapse(self) -> list[Animation]:
        """Return animations in which the cards fall to the foot of the bars."""
        return [
            Glide(card, card.copy().stretch(0.02, 1).set_y(self._foot), remover=True)
            for card in self.cards
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
        self._write(float(np.mean(so_far)))

    def _tell(self, share: float, *, all_layers: bool) -> None:
        """Note what is counted to."""
        name, way = self.model.name, self.model.way
        fact("moved share", share, partial(format_percent, digits=0), beside=name, way=way,
             all_layers=all_layers)  # fmt: skip

    def _write(self, share: float) -> None:
        """Write a share, with its right end where it was."""
        label, (x, y) = figure(format_percent(share, digits=0)), self._place
        self.share.points = label.on_line(x - label.width / 2, y).points
        self.share.text = label.text


def duel_sides(
    models: tuple[Model, Model], layer: LayerView, frame: Frame
) -> tuple[DuelSide, DuelSide]:
    """Return both sides, side by side, or one above the other in a tall frame."""
    stage = frame.stage
    split = stage.split_rows if frame.tall else stage.split_columns
    rows = [model.row.moved_by_layer for model in models if model.row]
    most = max((max(row) for row in rows), default=1.0) or 1.0
    first, last = (
        DuelSide(model, layer, part, most)
        for model, part in zip(models, split(2, SIDE_GAP), strict=True)
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
    names, bars
        Both ways, and what they keep of its last token.
    shared, fitted, latent
        What is said on one shared set, on one that is fitted, and on one latent.
    """

    def __init__(
        self, prompt: Sequence[str], models: tuple[Model, Model], contest: Contest, frame: Frame
    ) -> None:
        super().__init__()
        stage, theme = frame.stage, current_theme()
        line = 2 * SAYING_LINE if frame.tall else SAYING_LINE
        asked, first, bar, averaged, fitted, _gap, last, other, latent = stage.split_rows(
            (PROMPT_LINE, TITLE, BAR, line, line, TITLE / 2, TITLE, BAR, line)
        )
        self.prompt = _flush([*prompt, " …"], asked, PROMPT)
        self.names, self.bars = VGroup(), Group()
        for model, title, box in zip(models, (first, last), (bar, other), strict=True):
            number = fact("kept numbers", model.side.numbers, beside=model.name, way=model.way)
            name = Label(model.name, size=TEXT, colour=model.colour, weight="semibold")
            words = Label(
                _("{number} numbers a token", number=number), size=TEXT, colour=theme.muted
            )
            name.on_line(title.left + name.width / 2, title.y)
            words.on_line(title.right - words.width / 2, title.y)
            self.names.add(name, words)
            self.bars.add(*model.plate(box, slice(-1, None)))
        rows = (
            (contest.mean, averaged, _("averaged")),
            (contest.fitted, fitted, _("fitted")),
            (contest.latent, latent, ""),
        )
        notes = [Label(note, size=TEXT, colour=theme.muted) for _row, _room, note in rows]
        aside = max(note.width for note in notes) + 2 * GAP
        said = []
        for (row, room, _note), note in zip(rows, notes, strict=True):
            note.on_line(room.left + note.width / 2, room.y)
            right = Box.of(room.left + aside, room.right, room.bottom, room.top)
            words = _flush(as_said(row.continuation), right.inset(0.0, GAP), SAYING)
            said.append(VGroup(words, note))
        self.shared, self.fitted, self.latent = said


def as_said(text: str) -> list[str]:
    """Return the words with which a model goes on, each with the blank before it.

    They end with "…" if no sentence ends there.
    """
    words = printable(" ".join(text.split())).split(" ")
    return [f" {word}" for word in (*words, *(["…"] if words[-1][-1:] not in ".!?" else []))]


def _flush(words: Sequence[str], room: Box, size: float) -> VGroup:
    """Return words in their own colours, flush left in a room."""
    colours = [own_colour(word.strip(" .,")) for word in words]
    sentence = Sentence(words, room, size=size, colours=colours)
    return sentence.words.shift([room.left - sentence.words.get_left()[0], 0, 0])
