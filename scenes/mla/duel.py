"""The duel: as many numbers kept as one shared set or as one latent, and what both do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, Line, Rectangle, VGroup

from extract.latent.duel import Duel, Side
from extract.trace.contents.conversion_report import Contest, Row
from filmkit.core.animations import AnimateWith, Arrive, Glide, Recolour
from filmkit.core.facts import fact
from filmkit.core.geometry import Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import _
from filmkit.core.light import glow
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.numbers import format_percent
from filmkit.core.printable import printable
from filmkit.core.text import Label, break_lines
from filmkit.core.theme import current_theme
from filmkit.core.view import LayerView
from filmkit.mobjects.head_tensors import head_tensor
from filmkit.mobjects.latent_view import LatentView
from filmkit.mobjects.sentence import Sentence
from filmkit.mobjects.shared_view import SharedView
from filmkit.pictures.parts import TEXT
from filmkit.pictures.texts import below_each_other, figure, own_colour
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
HEAD, KEPT = 0.7, 2.1  # room for a name, and for what is kept, later for how much moves
GAP = 0.25  # around what is kept
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

    Attributes
    ----------
    name
        Its name.
    cards
        The cards of all heads, which begin with the model's own patterns.
    kept
        What is kept, and how many numbers that is.
    share, said
        How much attention moves, see :meth:`count`; and the words that say so.
    layers
        The lines at nothing and at all of the attention, between which a bar for each layer of the
        model stands, and the names of the first and the last; empty without a conversion.
    """

    def __init__(self, model: Model, layer: LayerView, room: Box) -> None:
        super().__init__()
        self.model = model
        title, kept, shown = room.split_rows((HEAD, KEPT, room.height - HEAD - KEPT))
        self.cards = own_cards(layer, grid_of(shown, layer.trace.meta.n_heads))
        for card in self.cards:
            card.pattern.label = model.name
        self.name = Label(model.name, size=NAME, colour=model.colour, weight="semibold")
        self.name.shrink_to(room.width).on_line(room.x, title.y)
        number = fact("kept numbers", model.side.numbers, beside=model.name, way=model.way)
        words, self.said = (
            below_each_other(
                *(Label(t, size=TEXT) for t in break_lines(line, room.width, size=TEXT))
            )
            for line in (
                _("{number} numbers for each token", number=number),
                _("of the attention lands on other words"),
            )
        )
        for lines in (words, self.said):
            lines.move_to([room.x, kept.bottom + GAP + lines.height / 2, 0])
        bottom = float(words.get_top()[1]) + GAP
        self.kept = Group(model.plate(Box.of(room.left, room.right, bottom, kept.top)), words)
        self._middle = room.x, (kept.top + float(self.said.get_top()[1])) / 2
        self.share = glow(figure(""), SHINE)
        self._write(0.0)
        self.bars, self.layers = VGroup(), VGroup()
        if model.row is not None:
            self._draw_layers(len(model.row.moved_by_layer), shown)

    def _draw_layers(self, count: int, room: Box) -> None:
        theme = current_theme()
        words = [Label(_("layer {layer}", layer=n), size=TEXT) for n in (0, count - 1)]
        whole = Label(_("all"), size=TEXT)
        line = whole.line_height
        room = Box.of(room.left, room.right - whole.width - GAP, room.bottom + 1.5 * line, room.top)
        self._room = room
        for box in room.split_columns(count, 0.25 * room.width / count):
            bar = Rectangle(
                width=box.width, height=1.0, stroke_width=0, fill_color=theme.ink, fill_opacity=1
            )
            self.bars.add(bar.move_to([box.x, room.y, 0]))
        glow(self.bars, SHINE)
        whole.on_line(room.right + GAP + whole.width / 2, room.top)
        words[0].on_line(room.left + words[0].width / 2, room.bottom - line)
        words[1].on_line(room.right - words[1].width / 2, room.bottom - line)
        self.layers.add(whole, *words[: min(count, 2)])
        for y, colour in ((room.bottom, theme.faint), (room.top, theme.muted)):
            rule = Line([room.left, y, 0], [room.right, y, 0], color=colour)
            self.layers.add(rule.set_stroke(width=theme.thin))

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
            Glide(card, card.copy().stretch(0.02, 1).set_y(self._room.bottom), remover=True)
            for card in self.cards
        ]

    def rise(self) -> Animation:
        """Return an animation of a bar for each layer, one after another, and their mean so far."""
        assert self.model.row is not None
        self._tell(self.model.row.moved, all_layers=True)
        return AnimateWith(Group(self.bars, self.share), self._grow)

    def _grow(self, alpha: float) -> None:
        assert self.model.row is not None
        reached, moved = alpha * len(self.bars), self.model.row.moved_by_layer
        for number, (bar, share) in enumerate(zip(self.bars, moved, strict=True)):
            risen = float(np.clip(reached - number, 0.0, 1.0))
            now = max(0.01, self._room.height * share * risen)
            bar.stretch_to_fit_height(now).set_y(self._room.bottom + now / 2)
        so_far = moved[: max(1, math.ceil(reached))]
        self._write(float(np.mean(so_far)))

    def _tell(self, share: float, *, all_layers: bool) -> None:
        """Note what is counted to."""
        name, way = self.model.name, self.model.way
        fact("moved share", share, partial(format_percent, digits=0), beside=name, way=way,
             all_layers=all_layers)  # fmt: skip

    def _write(self, share: float) -> None:
        """Write a share in the middle of its room."""
        label = figure(format_percent(share, digits=0))
        self.share.points = label.on_line(*self._middle).points
        self.share.text = label.text


def duel_sides(
    models: tuple[Model, Model], layer: LayerView, room: Box, *, tall: bool
) -> tuple[DuelSide, DuelSide]:
    """Return both sides, side by side in a room, or one above the other in a tall frame."""
    split = room.split_rows if tall else room.split_columns
    first, last = (
        DuelSide(model, layer, part) for model, part in zip(models, split(2, SIDE_GAP), strict=True)
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
    ways, bars
        What both keep of its last token, in words and drawn.
    shared, fitted
        What is said on one shared set, with its name: on the mean of the model's own, and on the
        one that fits best, which takes its place.
    latent
        What is said on one latent.
    """

    def __init__(
        self, prompt: Sequence[str], models: tuple[Model, Model], contest: Contest, frame: Frame
    ) -> None:
        super().__init__()
        line = 2 * SAYING_LINE if frame.tall else SAYING_LINE
        asked, first, bar, said, _gap, last, other, below = frame.stage.split_rows(
            (PROMPT_LINE, TITLE, BAR, line, TITLE, TITLE, BAR, line)
        )
        self.prompt = _flush([*prompt, " …"], asked, PROMPT)
        self.ways, self.bars = VGroup(), Group()
        for model, title, box in zip(models, (first, last), (bar, other), strict=True):
            number = fact("kept numbers", model.side.numbers, beside=model.name, way=model.way)
            words = Label(_("{number} numbers", number=number), size=TEXT)
            self.ways.add(words.on_line(title.right - words.width / 2, title.y))
            self.bars.add(*model.plate(box, slice(-1, None)))
        shared, latent = models
        mean, fitted, name = (
            Label(text, size=TEXT, colour=model.colour, weight="semibold")
            for text, model in (
                (_("one shared set: mean"), shared),
                (_("one shared set: best fit"), shared),
                (latent.name, latent),
            )
        )
        for label, title in ((mean, first), (fitted, first), (name, last)):
            label.on_line(title.left + label.width / 2, title.y)
        self.ways.add(name)
        on_mean, on_fitted, self.latent = (
            _flush(as_said(row.continuation), room.inset(0.0, GAP), SAYING)
            for row, room in ((contest.mean, said), (contest.fitted, said), (contest.latent, below))
        )
        self.shared, self.fitted = VGroup(mean, on_mean), VGroup(fitted, on_fitted)


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
