"""The duel: as many numbers kept as one shared set or as one latent, and what each way does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, Line, Rectangle, VGroup

from extract.latent.duel import Duel, Side
from extract.trace.contents.conversion_report import Contest, Row
from filmkit.core.animations import AnimateWith, Appear, Arrive, Glide, Recolour, second_half
from filmkit.core.facts import claim, fact
from filmkit.core.geometry import Box
from filmkit.core.language import _
from filmkit.core.light import glow
from filmkit.core.norm import Norm
from filmkit.core.numbers import whole_percent
from filmkit.core.text import NO_BREAK_SPACE, Label, fit_size
from filmkit.core.theme import current_theme
from filmkit.core.token_text import printable
from filmkit.core.view import LayerView
from filmkit.mobjects.running_text import RunningText
from filmkit.pictures.parts import TEXT, Matrix
from filmkit.pictures.tensors import head_tensor
from filmkit.pictures.texts import own_colour
from filmkit.world.plan import Place
from filmkit.world.plates import HeadCard

__all__ = ["Continuations", "DuelSide", "Model", "change_scale", "own_cards"]

Array = npt.NDArray[np.float64]

PERCENTILE = 99.5  # of all differences, at which their scale ends
NAME, SHARE = 0.045, 0.06  # sizes of the name of a side, and of how much moves there
CONTINUATION = 0.075  # size of what a model says, at most
# Lengths in scene units.
HEAD, NAMES = 1.2, 3.1  # height and width of the room for a name, and for what is below it
GAP = 0.25  # between what belongs together
SIDE_GAP, PATTERN_GAP = 0.3, 0.1  # between the sides; between patterns, in sizes of one
SHINE = 0.5  # how much light patterns and figures give


@dataclass(frozen=True)
class Model:
    """One way to keep less: what the layer computes so, and what the whole model does.

    Attributes
    ----------
    name, way
        In words, and as facts and quantities name it: "mean", "best" or "latent".
    colour
        Of its name.
    side
        How many numbers it keeps for each token of the layer, and how much attention moves.
    row
        What the whole model did; None without a conversion.
    patterns, differences
        For each head its pattern, and how far that is from the model's own.
    """

    name: str
    way: str
    colour: str
    side: Side
    row: Row | None
    patterns: Sequence[Matrix]
    differences: Sequence[Matrix]

    @classmethod
    def all(cls, layer: LayerView, numbers: Duel, contest: Contest | None) -> tuple[Model, ...]:
        """Return the mean of the sets, the best shared set, and the latent."""
        theme = current_theme()
        drawn = slice(layer.first, layer.stop)

        def of_heads(values: Array, quantity: str, way: str) -> list[Matrix]:
            return [
                Matrix(one[drawn, drawn], source=layer.computed(quantity, head=head, side=way))
                for head, one in enumerate(values)
            ]

        models = []
        for way, name, colour in (
            ("mean", _("mean of the sets"), theme.ink),
            ("best", _("best shared set"), theme.ink),
            ("latent", _("one latent"), theme.latent),
        ):
            side: Side = getattr(numbers, way)
            difference = np.abs(side.pattern - numbers.own)
            models.append(
                cls(
                    name=name,
                    way=way,
                    colour=colour,
                    side=side,
                    row=getattr(contest, way) if contest else None,
                    patterns=of_heads(side.pattern, "side_pattern", way),
                    differences=of_heads(difference, "side_difference", way),
                )
            )
        return tuple(models)

    @property
    def moved(self) -> float:
        """Share of the attention that goes to other words, in this layer."""
        return self.side.distance.mean


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
    """The patterns of all heads beside the name of what they are computed from.

    Parameters
    ----------
    model
        What it is about; the model's own keys and values by default.
    layer
        The layer.
    room
        What it may fill.
    tall
        Whether the name stands above the patterns.

    Attributes
    ----------
    name
        Its name, on one line.
    cards
        The cards of all heads, which begin with the model's own patterns.
    kept
        How many numbers are kept, below the name.
    share
        How much attention moves, in the place of that; see :meth:`count`.
    bars, axis
        A bar for each layer of the model, and what stands around them; see :meth:`stand_layers`.
    """

    def __init__(self, model: Model | None, layer: LayerView, room: Box, *, tall: bool) -> None:
        super().__init__()
        self.model = model
        split, length = (room.split_rows, HEAD) if tall else (room.split_columns, NAMES)
        whole = room.height if tall else room.width
        words, shown = split((length - GAP, whole - length), GAP)
        self.cards = own_cards(layer, grid_of(shown, layer.trace.meta.n_heads))
        self._width = words.width
        name, colour = (model.name, model.colour) if model else (_("original"), None)
        self.name = VGroup(fit_size(name, words.width, size=NAME, colour=colour))
        self.share = glow(VGroup(Label(" ", size=SHARE)), SHINE)
        self.kept, self.bars, self.axis = Group(), VGroup(), VGroup()
        below = self._stand_at_top(self.name, words)
        if model is None:
            self.name.move_to([self.name.get_x(), words.y, 0])
            return
        for card in self.cards:
            card.pattern.label = model.name
        count = fact("kept numbers", model.side.numbers, beside=model.name, way=model.way)
        self._place = below.left, below.y
        kept = Label(_("{number} numbers", number=count), size=TEXT).shrink_to(words.width)
        self.kept.add(kept.on_line(below.left + kept.width / 2, below.y))

    @staticmethod
    def _stand_at_top(name: VGroup, box: Box) -> Box:
        """Put a name at the upper left corner of a box, and return what is left below it."""
        name.shift([box.left - name.get_left()[0], box.top - name.get_top()[1], 0])
        return Box.of(box.left, box.right, box.bottom, float(name.get_bottom()[1]) - GAP / 2)

    def stand_layers(self, room: Box) -> list[Animation]:
        """Return animations in which all goes to another room, to stand above bars of all layers.

        The cards fall to the foot of the bars.
        """
        assert self.model is not None
        assert self.model.row is not None
        theme, count = current_theme(), len(self.model.row.moved_by_layer)
        words, plot = room.split_rows((HEAD, room.height - HEAD), GAP)
        name = self.name.copy()
        below = self._stand_at_top(name, words)
        self._place, self._width = (below.left, below.y), words.width
        share = self.share.copy().shift([below.left - self.share.get_left()[0], 0, 0])
        share.set_y(below.y)
        everything = fact("all of the attention", 1.0, whole_percent, beside=self.model.name)
        whole = Label(everything, size=TEXT)
        line = whole.line_height
        self._plot = plot = Box.of(
            plot.left, plot.right - whole.width - GAP, plot.bottom + 1.5 * line, plot.top - line
        )
        bars = (
            Rectangle(width=box.width, height=0.01, stroke_width=0).move_to([box.x, plot.bottom, 0])
            for box in plot.split_columns(count, 0.25 * plot.width / count)
        )
        self.bars.add(*bars).set_fill(self.model.colour, opacity=1.0)
        glow(self.bars, SHINE)
        first, last = (
            fit_size(_("layer {layer}", layer=n), plot.width / 2.2, size=TEXT)
            for n in (0, count - 1)
        )
        whole.on_line(plot.right + GAP + whole.width / 2, plot.top)
        first.on_line(plot.left + first.width / 2, plot.bottom - line)
        last.on_line(plot.right - last.width / 2, plot.bottom - line)
        for y, colour in ((plot.bottom, theme.faint), (plot.top, theme.muted)):
            rule = Line([plot.left, y, 0], [plot.right, y, 0], color=colour)
            self.axis.add(rule.set_stroke(width=theme.thin))
        self.axis.add(whole, *(first, last)[: min(count, 2)])
        fallen = [card.copy().stretch(0.02, 1).set_y(plot.bottom) for card in self.cards]
        return [
            *(Glide(card, end, remover=True) for card, end in zip(self.cards, fallen, strict=True)),
            Glide(self.name, name),
            Glide(self.share, share),
            Appear(self.axis, rate_func=second_half),
        ]

    # Animations

    def split_from(self, own: Sequence[HeadCard]) -> list[Animation]:
        """Return animations in which the cards leave others for their places."""
        return [Arrive(card, was.copy()) for card, was in zip(self.cards, own, strict=True)]

    def recolour(self, matrices: Sequence[Matrix], norm: Norm | None = None) -> list[Animation]:
        """Return animations in which the patterns become other matrices, one for each head."""
        return [
            Recolour(card.pattern, values=matrix.values, source=matrix.source, norm=norm)
            for card, matrix in zip(self.cards, matrices, strict=True)
        ]

    def count(self) -> Animation:
        """Return an animation in which the share that moves in this layer is counted up."""
        assert self.model is not None
        moved = self.model.moved
        self._tell(moved, all_layers=False)
        return AnimateWith(self.share, lambda alpha: self._write(alpha * moved), introducer=True)

    def rise(self) -> Animation:
        """Return an animation of a bar for each layer, one after another, and their mean so far."""
        assert self.model is not None
        assert self.model.row is not None
        self._tell(self.model.row.moved, all_layers=True)
        return AnimateWith(Group(self.bars, self.share), self._grow, introducer=True)

    def _grow(self, alpha: float) -> None:
        assert self.model is not None
        assert self.model.row is not None
        reached, moved = alpha * len(self.bars), self.model.row.moved_by_layer
        for number, (bar, share) in enumerate(zip(self.bars, moved, strict=True)):
            risen = float(np.clip(reached - number, 0.0, 1.0))
            now = max(0.01, self._plot.height * share * risen)
            bar.stretch_to_fit_height(now).set_y(self._plot.bottom + now / 2)
        so_far = moved[: max(1, math.ceil(reached))]
        self._write(float(np.mean(so_far)))

    def _tell(self, share: float, *, all_layers: bool) -> None:
        """Note what is counted to."""
        assert self.model is not None
        name, way = self.model.name, self.model.way
        fact("moved share", share, whole_percent, beside=name, way=way,
             all_layers=all_layers)  # fmt: skip

    def _write(self, share: float) -> None:
        """Write below the name how much moves."""
        (written,), (x, y) = self.share, self._place
        label = Label(
            _("{share} moved", share=whole_percent(share)), size=SHARE, weight="semibold"
        ).shrink_to(self._width)
        label.on_line(x + label.width / 2, y)
        written.points, written.text = label.points, label.text


def change_scale(models: Sequence[Model]) -> Norm:
    """Return the scale of all differences, the same on all sides: zero is the background.

    Its colours are those of moved attention elsewhere.
    """
    theme = current_theme()
    every = [matrix.values for model in models for matrix in model.differences]
    limit = float(np.percentile(np.stack(every), PERCENTILE)) or 1.0
    return Norm(0.0, min(1.0, limit), theme.rising(theme.highlight))


class Continuations(VGroup):
    """How the whole model goes on after the prompt in each way.

    Parameters
    ----------
    models
        The ways.
    prompt
        What it goes on from.
    room
        What they may fill.
    upright
        Whether a quote stands below the name of the way, not beside it.

    Attributes
    ----------
    prompt
        The prompt.
    names
        The ways.
    quotes
        What the model says in each way, in quotes.
    question_mark
        It stands in the place of the last quote.
    """

    def __init__(
        self,
        models: Sequence[Model],
        prompt: str,
        room: Box,
        *,
        upright: bool,
    ) -> None:
        super().__init__()
        above, *boxes = room.split_rows(1 + len(models), GAP)
        self.prompt = _flush(_quoted(f"{' '.join(prompt.split())} …"), above)
        self.names, self.quotes = VGroup(), VGroup()
        for model, box in zip(models, boxes, strict=True):
            assert model.row is not None
            title, answer = (box.split_rows if upright else box.split_columns)((2, 3), GAP)
            label = Label(model.name, size=NAME, colour=model.colour, weight="semibold")
            label.shrink_to(title.width)
            self.names.add(label.on_line(title.left + label.width / 2, title.y))
            said = in_quotes(model.row.continuation)
            fact("said", " ".join(word.strip() for word in said), beside=model.name, way=model.way)
            quote = _flush(said, answer)
            dashes = {*model.row.continuation.strip()} == {"-"}
            if note := claim(dashes, _("(only dashes)"), way=model.way):
                about = Label(note, size=TEXT, colour=current_theme().muted)
                quote.add(about.next_to(quote, buff=GAP))
            self.quotes.add(quote)
        self.question_mark = Label(
            "?", size=CONTINUATION, colour=models[-1].colour, weight="semibold"
        )
        self.question_mark.on_line(answer.left + self.question_mark.width / 2, answer.y)


def in_quotes(text: str) -> list[str]:
    """Return the words with which a model goes on, in quotes, each with the blank before it.

    They end with "…" if no sentence ends there.
    """
    said = printable(" ".join(text.split()))
    end = "" if said[-1:] in ".!?" else " …"
    return _quoted(f"{said}{end}")


def _quoted(text: str) -> list[str]:
    """Return the words of a text, in the quotation marks of the language in use."""
    # A mark may have a blank of its own, at which no line is broken: it belongs to the word.
    return [f" {word}" for word in _("“{text}”", text=text).split(" ")]


def _flush(words: Sequence[str], room: Box) -> VGroup:
    """Return words in their own colours, flush left in a room."""
    colours = [own_colour(word.strip(f" .,“”„«»{NO_BREAK_SPACE}")) for word in words]
    sentence = RunningText(words, room, size=CONTINUATION, colours=colours)
    return sentence.words.shift([room.left - sentence.words.get_left()[0], 0, 0])
