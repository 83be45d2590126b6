"""The duel: as many numbers kept as one shared set or as one latent, and what both do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, Line, Rectangle, VGroup

from extract.latent.duel import Duel, Side
from extract.trace.contents.conversion_report import Contest, Row
from filmkit.core.animations import AnimateWith, Arrive, Glide, Recolour
from filmkit.core.facts import fact
from filmkit.core.geometry import Box
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
from filmkit.pictures.texts import own_colour
from filmkit.world.headline import Headline
from filmkit.world.plan import Place
from filmkit.world.plates import HeadCard

__all__ = ["DuelSide", "Model", "Sayings", "change_scale", "duel_sides", "own_cards"]

Array = npt.NDArray[np.float64]
Panel = tuple[Array, TensorSource]
Kept = tuple[Array, Norm, TensorSource]

PERCENTILE = 99.5  # of all differences, at which their scale ends
NAME, SHARE = 0.045, 0.075  # sizes of the name of a side, and of how much moves there
SAYING = 0.075  # size of what a model says, at most
# Lengths in scene units.
HEAD, KEPT = 0.9, 1.1  # room for a name, and for what is kept
GAP = 0.25  # around what is kept, and between a name and how much moves
SIDE_GAP, PATTERN_GAP = 0.8, 0.1  # between the sides; between patterns, in sizes of one
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
    """Return equal squares in the middle of a room, row by row, as large as fit.

    The last row may be shorter, and is in the middle too.
    """

    def side(columns: int) -> float:
        sizes = (room.width, columns), (room.height, math.ceil(count / columns))
        return min(size / (n + PATTERN_GAP * (n - 1)) for size, n in sizes)

    columns = max(range(1, count + 1), key=side)
    size, pitch = side(columns), (1 + PATTERN_GAP) * side(columns)
    rows = [range(start, min(start + columns, count)) for start in range(0, count, columns)]
    return [
        Box(
            room.x + (place - (len(row) - 1) / 2) * pitch,
            room.y + ((len(rows) - 1) / 2 - number) * pitch,
            size,
            size,
        )
        for number, row in enumerate(rows)
        for place in range(len(row))
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
        What is kept.
    share
        How much attention moves, beside the name; see :meth:`count`.
    layers
        The lines at nothing and at all of the attention, between which a bar for each layer of the
        model stands, the names of the first and the last, and "mean" beside the share if there is
        room; empty without a conversion.
    """

    def __init__(self, model: Model, layer: LayerView, room: Box) -> None:
        super().__init__()
        self.model = model
        title, kept, shown = room.split_rows((HEAD, KEPT, room.height - HEAD - KEPT))
        shown = shown.inset(0.0, GAP)
        self.cards = own_cards(layer, grid_of(shown, layer.trace.meta.n_heads))
        for card in self.cards:
            card.pattern.label = model.name
        self.kept = model.plate(kept)
        self.name = Label(model.name, size=NAME, colour=model.colour, weight="semibold")
        self.share = glow(_share(1.0), SHINE)
        self.name.on_line(room.left + self.name.width / 2, title.y)
        self._place = self.name.get_right()[0] + GAP + self.share.width / 2, title.y
        self._write(0.0)
        self.bars, self.layers = VGroup(), VGroup()
        if model.row is not None:
            self._draw_layers(
                len(model.row.moved_by_layer), Box.of(room.left, room.right, shown.bottom, kept.top)
            )

    def _draw_layers(self, count: int, room: Box) -> None:
        theme = current_theme()
        words = [Label(_("layer {layer}", layer=n), size=TEXT) for n in (0, count - 1)]
        everything = fact("all of the attention", 1.0, partial(format_percent, digits=0))
        whole = Label(everything, size=TEXT)
        line = whole.line_height
        room = Box.of(room.left, room.right - whole.width - GAP, room.bottom + 1.5 * line, room.top)
        self._room = room
        for box in room.split_columns(count, 0.25 * room.width / count):
            bar = Rectangle(
                width=box.width,
                height=1.0,
                stroke_width=0,
                fill_color=self.model.colour,
                fill_opacity=1,
            )
            self.bars.add(bar.move_to([box.x, room.y, 0]))
        glow(self.bars, SHINE)
        whole.on_line(room.right + GAP + whole.width / 2, room.top)
        words[0].on_line(room.left + words[0].width / 2, room.bottom - line)
        words[1].on_line(room.right - words[1].width / 2, room.bottom - line)
        mean = Label(_("mean"), size=TEXT, colour=theme.muted)
        x, y = self._place
        mean.on_line(x + (_share(1.0).width + mean.width) / 2 + GAP, y)
        if mean.get_right()[0] <= whole.get_right()[0]:
            self.layers.add(mean)
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
        """Write a share beside the name."""
        label = _share(share).on_line(*self._place)
        self.share.points, self.share.text = label.points, label.text


def _share(share: float) -> Label:
    """Return a share in words."""
    return Label(format_percent(share, digits=0), size=SHARE, weight="semibold")


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
    """Return the scale of all differences, the same on both sides: zero is the background.

    Its colours are those of moved attention elsewhere.
    """
    theme = current_theme()
    every = [values for model in models for values, _source in model.differences]
    limit = float(np.percentile(np.stack(every), PERCENTILE)) or 1.0
    return Norm(0.0, min(1.0, limit), theme.rising(theme.highlight), percentile=PERCENTILE)


class Sayings(VGroup):
    """How the whole model goes on after the prompt, on one shared set and on one latent.

    Parameters
    ----------
    models
        Both ways.
    contest
        What the whole model did.
    words
        What stands above.

    Attributes
    ----------
    names
        The ways: one shared set that is the mean of the model's own, the one that fits best, and
        one latent.
    said
        What is said on each, beside its name or below it.
    open
        A question mark in the place of the last of these.
    """

    def __init__(self, models: tuple[Model, Model], contest: Contest, words: Headline) -> None:
        super().__init__()
        shared, latent = models
        self.names, self.said = VGroup(), VGroup()
        for name, colour, row, box in zip(
            (_("one shared set, averaged"), _("one shared set, fitted"), latent.name),
            (shared.colour, shared.colour, latent.colour),
            (contest.mean, contest.fitted, contest.latent),
            words.below(head=GAP).split_rows(3, GAP),
            strict=True,
        ):
            split = box.split_rows if words.frame.upright else box.split_columns
            title, answer = split((1, 2), GAP)
            label = Label(name, size=NAME, colour=colour, weight="semibold").shrink_to(title.width)
            self.names.add(label.on_line(title.left + label.width / 2, title.y))
            said = _flush(as_said(row.continuation), answer)
            if {*row.continuation.strip()} == {"-"}:
                note = Label(_("(only dashes)"), size=TEXT, colour=current_theme().muted)
                said.add(note.next_to(said, buff=GAP))
            self.said.add(said)
        self.open = Label("?", size=SAYING, colour=latent.colour, weight="semibold")
        self.open.on_line(answer.left + self.open.width / 2, answer.y)


def as_said(text: str) -> list[str]:
    """Return the words with which a model goes on, in quotes, each with the blank before it.

    They end with "…" if no sentence ends there.
    """
    said = printable(" ".join(text.split()))
    end = "" if said[-1:] in ".!?" else " …"
    return [f" {word}" for word in f"“{said}{end}”".split(" ")]


def _flush(words: Sequence[str], room: Box) -> VGroup:
    """Return words in their own colours, flush left in a room."""
    colours = [own_colour(word.strip(" .,“”")) for word in words]
    sentence = Sentence(words, room, size=SAYING, colours=colours)
    return sentence.words.shift([room.left - sentence.words.get_left()[0], 0, 0])
