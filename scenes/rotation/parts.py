"""Parts of pictures that only this scene has: clocks at words, merged matrices, and bars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
from manim import DOWN, LEFT, RIGHT, Arc, Line, Rectangle, VGroup, VMobject

from extract.recompute.merged import MergedMatrix
from extract.trace import Trace
from filmkit.core.facts import fact
from filmkit.core.geometry import FRAME_HEIGHT, Box
from filmkit.core.language import _
from filmkit.core.light import glow
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.numbers import format_count, format_decimal, format_number, whole_percent
from filmkit.core.quantities import QUANTITIES, quantity
from filmkit.core.text import Label, Tick, break_lines
from filmkit.core.theme import current_theme
from filmkit.core.token_text import printable
from filmkit.core.view import HeadView
from filmkit.mobjects.clocks import Clock
from filmkit.pictures.latent_view import LatentView
from filmkit.pictures.parts import TEXT, Matrix
from filmkit.pictures.tensors import MODEL
from filmkit.world.words import words_in_columns

__all__ = [
    "GAP",
    "NUMBER",
    "WORDS",
    "Amounts",
    "Bars",
    "TurnedWords",
    "first_sentence",
    "kept_of",
    "lines_of",
    "merged_at",
    "more_percent",
    "sum_of_parts",
]

WORDS, MATTER, NUMBER = 1.2 * TEXT, 1.32 * TEXT, 0.07  # sizes of words, also bold, and of numbers
LINE = 1.5 * WORDS * FRAME_HEIGHT  # height of a line of words, in scene units
GAP = 0.3  # between what stands below each other

Array = npt.NDArray[np.float64]

CLIPPED = 95.0  # percentile of numbers at which their colours end: few are far larger
FEW = 6  # first rows and columns of merged matrices, so that all see their cells
SUM = ("unrotated", "rotated", "sum")  # the two parts of a score, and their sum
BAR, TICK = 1.0, 0.06  # height of a bar, at most, and how far a mark goes beyond it
FACE = 0.88  # diameter of a clock as a share of its room
ARC = 0.45  # radius of the arc between two hands, as a share of the radius of the clock
ZERO = 0.4  # room for a zero beside bars


def more_percent(share: float) -> str:
    """Return by how much something is higher, with its sign."""
    return f"{'+' * (share >= 0)}{whole_percent(share)}"


def lines_of(
    matter: str, words: str, width: float, *, size: float = MATTER, colour: str | None = None
) -> Callable[[], VGroup]:
    """Return what makes lines below a matrix, no wider than it: what matters, and words about it.

    What matters has a size and a colour of its own.
    """

    def make() -> VGroup:
        first = (
            Label(line, size=size, colour=colour, weight="semibold")
            for line in break_lines(matter, width, size=size)
        )
        then = (Label(line, size=WORDS) for line in break_lines(words, width, size=WORDS))
        return VGroup(*first, *then).arrange(DOWN, buff=0.08)

    return make


# Why rotated weights cannot be merged


@quantity("W_Q R W_K^T", axes=("d_model", "d_model"))
def merged_weights(trace: Trace, layer: int, head: int, distance: int) -> Array:
    """Return the weights of queries and keys as one matrix, for words so many places apart."""
    return MergedMatrix(trace, layer, head).matrix(distance)


class TurnedWords(VGroup):
    """Words in columns, each with a clock turned by its place; and a large one with two hands.

    Parameters
    ----------
    words
        Texts of the tokens.
    step
        By how much hands turn from one word to the next, in radians.
    pair
        Which words are those of a query and of a key: they and their hands have their colours.
    first
        Position of the first word: what is before it, such as a beginning token, counts too.
    apart
        What is said beside the large clock, which has the hands of both.
    room
        Room for all of it.

    Attributes
    ----------
    words, clocks
        The words, and over each its clock: a face and a hand.
    large, arc
        The face with both hands, and the arc between these.
    """

    def __init__(
        self,
        words: Sequence[str],
        step: float,
        pair: tuple[int, int],
        first: int,
        apart: str,
        room: Box,
    ) -> None:
        super().__init__()
        theme, self.step, self.pair, self.first = current_theme(), step, pair, first
        above, below = room.split_rows((3, 2), GAP)
        self.words, places = words_in_columns(words, below)
        roles = dict(zip(pair, (theme.query, theme.key), strict=True))
        self.clocks = VGroup()
        for number, (word, place) in enumerate(zip(self.words, places, strict=True)):
            word.set_fill(roles.get(number, theme.ink))
            hands = roles.get(number, theme.muted)
            clock = Clock(FACE * min(place.width, place.height), hands)
            self.clocks.add(glow(clock.move_to(place.center), float(number in roles)))
        said = Label(apart, size=1.4 * TEXT, weight="semibold")
        side = min(above.height, above.width - said.width - GAP)
        shift = min(0.0, above.width / 2 - said.width - GAP - side / 2)
        self.large = Clock(FACE * side, *roles.values()).move_to([above.x + shift, above.y, 0])
        glow(self.large)
        self.arc = VMobject(stroke_color=theme.ink, stroke_width=3 * theme.bold)
        said.next_to(self.large[0], RIGHT, GAP)
        self.add(self.words, self.clocks, self.large, self.arc, said)
        self.turn(1.0)

    def turn(self, share: float) -> None:
        """Turn all hands a share, 0 to 1, of their way: each word is one step further."""
        for position, clock in enumerate(self.clocks, start=self.first):
            clock.turn(share * position * self.step)
        query, key = (share * (self.first + number) * self.step for number in self.pair)
        self.large.turn(query, key)
        face = self.large[0]
        between = Arc(ARC * face.width / 2, np.pi / 2 - key, key - query)
        self.arc.points = between.points + face.get_center()


def merged_at(view: HeadView, distance: int) -> Matrix:
    """Return the first merged weights at a distance, as bright as those without rotation."""
    unrotated, values = (
        merged_weights(view.layer.trace, view.layer.layer, view.head, apart)[:FEW, :FEW]
        for apart in (0, distance)
    )
    spans = tuple((0, count) for count in values.shape)
    place = (("layer", view.layer.layer), ("head", view.head), ("distance", distance))
    source = TensorSource(quantity="merged_weights", index=spans, given=place)
    return Matrix(values, Norm.stretched(unrotated), source, MODEL, MODEL)


# Two words that move apart


class Bars(VGroup):
    """The score of two words at each distance; one of the bars is lit, and has its number.

    Parameters
    ----------
    scores : (distance,)
        If they were 0, 1, 2, ... apart.
    distance
        How far apart they are.
    box
        Room for all of it.
    """

    def __init__(self, scores: Array, distance: int, box: Box) -> None:
        super().__init__()
        theme = current_theme()
        self.scores, self.distance = scores, distance
        title = Label(_("places apart"), size=WORDS)
        title.on_line(box.right - title.width / 2, box.bottom + LINE / 2)
        self.note = Label(_("as in the sentence"), size=WORDS, colour=theme.scores)
        top = box.top - self.note.line_height - NUMBER * FRAME_HEIGHT - GAP
        room = Box.of(box.left + ZERO, box.right, box.bottom + 2 * LINE, top)
        low, high = min(0.0, float(scores.min())), max(0.0, float(scores.max()))
        unit = room.height / ((high - low) or 1.0)
        zero = room.bottom - low * unit
        self.bars, ticks = VGroup(), VGroup()
        columns = room.split_columns(len(scores))
        for number, (column, score) in enumerate(zip(columns, scores, strict=True)):
            height = max(1e-3, abs(float(score)) * unit)
            bar = Rectangle(width=0.8 * column.width, height=height, stroke_width=0)
            self.bars.add(bar.move_to([column.x, zero + np.copysign(height / 2, score), 0]))
            tick = Tick(format_count(number), size=WORDS)
            ticks.add(tick.on_line(column.x, box.bottom + 1.5 * LINE))
        axis = Line([room.left, zero, 0], [room.right, zero, 0])
        axis.set_stroke(theme.ink, theme.line)
        nothing = Tick("0", size=WORDS).on_line(box.left + ZERO / 2, zero)
        self.number = VGroup()
        self.add(self.bars, axis, nothing, ticks, title, self.note, self.number)
        self.light(distance)

    def light(self, distance: int) -> None:
        """Light the bar of a distance, with its number above; and a note, if it is the true one."""
        theme = current_theme()
        for number, bar in enumerate(self.bars):
            lit = number == distance
            bar.set_fill(theme.scores if lit else theme.flow, opacity=1.0)
            glow(bar, float(lit))
        near = self.note.text if distance == self.distance else ""
        score = fact(
            "slid", float(self.scores[distance]), format_number, beside=near, distance=distance
        )
        self.number.submobjects = [
            Label(score, size=NUMBER, colour=theme.scores, weight="semibold")
        ]
        self.note.set_opacity(float(distance == self.distance))
        above = self.bars[distance].get_x()
        for words in (self.number, self.note):
            half = words.width / 2
            x = np.clip(above, self.bars.get_left()[0] + half, self.bars.get_right()[0] - half)
            low = self._top(x) if words is self.number else float(self.number.get_top()[1])
            words.move_to([x, low + GAP / 2 + words.height / 2, 0])

    def _top(self, x: float) -> float:
        """Return the top of all bars that are below the number if its middle is at ``x``."""
        half = self.number.width / 2
        near = [bar for bar in self.bars if abs(bar.get_x() - x) < half + bar.width / 2]
        return max(float(bar.get_top()[1]) for bar in near)


# What is kept, and the two parts of a score


def parts_of_scores(trace: Trace, layer: int, head: int, part: str) -> Array:
    """Return a part of the scores, "unrotated" or "rotated", or their "sum", (query, key)."""
    if part == "sum":
        return np.add(*(parts_of_scores(trace, layer, head, part) for part in SUM[:2]))
    name = {"unrotated": "scores_of_latents", "rotated": "scores_of_rotated"}[part]
    return np.asarray(QUANTITIES[name].compute(trace, layer, head))


def kept_of(view: LatentView) -> dict[str, Matrix]:
    """Return what a layer keeps of each token: "latent" and "rope", the rotated key."""
    made = {}
    for name, matrix, role in (("latent", view.latent, "latent"), ("rope", view.rope, "key")):
        norm = Norm.stretched(matrix.values, CLIPPED, role=role)
        made[name] = replace(matrix, columns="kept", norm=norm, name="", symbol="")
    return made


def sum_of_parts(view: HeadView, pair: tuple[int, int], box: Box) -> Amounts:
    """Return the score of a query and a key in two parts, one after the other, and their sum.

    Parameters
    ----------
    view
        The head.
    pair
        Places of the query and of the key.
    box
        Room for all of it.
    """
    theme, layer, drawn = current_theme(), view.layer, slice(view.layer.first, view.layer.stop)
    values = [
        float(parts_of_scores(layer.trace, layer.layer, view.head, part)[drawn, drawn][pair])
        for part in SUM
    ]
    digits = next((d for d in (1, 2, 3) if _adds_up(values, d)), 3)
    # Equal if the numbers are so as they are printed.
    sign = "=" if _adds_up(values, digits) else "≈"
    names = _("from the latent"), _("+ from the rotated key"), _("{sign} together", sign=sign)
    write = partial(format_decimal, digits=digits)
    numbers = [
        fact("part of a score", value, write, beside=name, part=part)
        for part, value, name in zip(SUM, values, names, strict=True)
    ]
    colours = theme.latent, theme.key, theme.scores
    return Amounts(values, numbers, names, colours, box, starts=(0.0, values[0], 0.0))


def _adds_up(values: Sequence[float], digits: int) -> bool:
    """Return whether the last of some numbers is the sum of the others, as all are printed."""
    *parts, total = (round(value, digits) for value in values)
    return abs(sum(parts) - total) < 1e-9


# What the model says then, and what it costs


def first_sentence(text: str) -> str:
    """Return a continuation up to the end of its first sentence; with "…" if it has no end."""
    stops = [text.index(stop) + 1 for stop in ".!?" if stop in text]
    words = " ".join(text[: min(stops, default=None)].split())
    return f" {printable(words)}{'' if stops else ' …'}"


class Amounts(VGroup):
    """Numbers as bars, one below the other, each with its name above it.

    Parameters
    ----------
    values, texts, names, colours
        The numbers, as they are written, what each of them is, and the colour of its bar.
    box
        Room for all of it.
    starts
        Where bars begin, in the unit of the numbers; at 0 by default.

    Attributes
    ----------
    rows
        For each of them its name, its bar and its number. If a bar goes to the left, a line at 0
        comes with the first name, and with the others one from where the bar before ends.
    """

    def __init__(
        self,
        values: Sequence[float],
        texts: Sequence[str],
        names: Sequence[str],
        colours: Sequence[str],
        box: Box,
        *,
        starts: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        theme = current_theme()
        starts = starts or [0.0] * len(values)
        ends = [*starts, *(start + value for start, value in zip(starts, values, strict=True))]
        numbers = [
            Label(text, size=NUMBER, colour=colour, weight="semibold")
            for text, colour in zip(texts, colours, strict=True)
        ]
        low, high = min(0.0, *ends), max(1e-3, *ends)
        if low < 0:
            # A zero stands at the foot.
            box = Box.of(box.left, box.right, box.bottom + LINE, box.top)
        ends = ends[len(values) :]
        left, right = (
            max(
                (n.width + GAP for n, v in zip(numbers, values, strict=True) if (v < 0) == minus),
                default=0.0,
            )
            for minus in (True, False)
        )
        unit = (box.width - left - right) / (high - low)
        zero = box.left + left - low * unit
        self.rows, strips = VGroup(), box.split_rows(len(values), GAP)
        for value, start, name, number, strip in zip(
            values, starts, names, numbers, strips, strict=True
        ):
            title = Label(name, size=WORDS)
            beside = zero + GAP if low < 0 else strip.left
            x = min(beside, strip.right - title.width) + title.width / 2
            title.on_line(x, strip.top - LINE / 2)
            height = min(BAR, strip.height - LINE)
            left = zero + min(start, start + value) * unit
            bar = Rectangle(width=max(1e-3, abs(value) * unit), height=height, stroke_width=0)
            bar.set_fill(number.get_fill_color(), opacity=1.0)
            bar.next_to([left, strip.top - LINE - height / 2, 0], RIGHT, 0)
            number.next_to(bar, LEFT if value < 0 else RIGHT, GAP)
            self.rows.add(VGroup(title, bar, number))
        if low < 0:
            bars = [bar for _title, bar, _number in self.rows]
            tops, feet = (
                [float(side(bar)[1]) for bar in bars]
                for side in (Rectangle.get_top, Rectangle.get_bottom)
            )
            lines = [(zero, tops[0] + TICK, feet[-1] - TICK)]
            lines += zip((zero + end * unit for end in ends[:-1]), feet[:-1], tops[1:], strict=True)
            for (title, *_row), (x, top, foot) in zip(self.rows, lines, strict=True):
                line = Line([x, top, 0], [x, foot, 0], stroke_color=theme.ink)
                title.add(line.set_stroke(width=theme.bold).set_z_index(1))
            nothing = Tick("0", size=WORDS).on_line(zero, feet[-1] - TICK - LINE / 2)
            self.rows[0][0].add(nothing)
        glow(self.rows[-1])
        self.add(self.rows)
