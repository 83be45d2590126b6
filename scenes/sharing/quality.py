"""What fewer sets of keys and values cost models that were trained with them, as published."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from manim import Animation, Dot, Line, VGroup

from extract.architectures import DENSE_7B, QualityColumn
from filmkit.core.animations import AnimateWith, Appear, second_half, set_presence
from filmkit.core.facts import fact
from filmkit.core.geometry import FRAME_HEIGHT, Frame
from filmkit.core.language import N_, _
from filmkit.core.numbers import format_decimal, format_percent
from filmkit.core.text import Label, Tick, break_lines
from filmkit.core.theme import current_theme
from filmkit.mobjects.chart import Paragraph
from scenes.sharing.dial import Dial
from scenes.sharing.layout import DISPLAY, QualityLayout

__all__ = ["Quality"]

TESTS = {"bbh": "BBH", "mmlu": "MMLU", "c_eval": "C-Eval", "cmmlu": "CMMLU"}
STEP = 20  # from one tick to the next, in per cent
SOURCE = N_("DeepSeek-V2 technical report, table 8, appendix D, pp. 31-32")


def columns() -> tuple[QualityColumn, ...]:
    """Return the trained models, from a set for every head to one for all."""
    of = {column.attention.split(",")[0]: column for column in DENSE_7B.columns}
    return of["MHA"], of["GQA"], of["MQA"]


def in_percent(score: float) -> str:
    """Return a score of up to 100 in whole per cent."""
    return format_percent(score / 100, 0)


class Quality(VGroup):
    """Scores of models that were trained at each setting of the dial, which is the axis.

    Attributes
    ----------
    stops
        Names of the settings of the dial.
    dial
        The dial as the axis.
    ground
        Ticks, title and source.
    tests
        A thin line for each test.
    average
        The thick line of the average.
    name
        Its name.
    stems
        For each stop a line from the dial up to the average.
    figures
        The averages in large figures beside them.
    means
        The averages, in per cent.
    """

    def __init__(self, frame: Frame) -> None:
        super().__init__()
        theme, models = current_theme(), columns()
        scores = {name: [getattr(model, test) for model in models] for test, name in TESTS.items()}
        self.means = [float(np.mean(values)) for values in zip(*scores.values(), strict=True)]
        self.high = max(value for values in scores.values() for value in values)
        self.name = Label(_("average"), colour=theme.accent)
        width = frame.stage.width
        unit = break_lines(
            _("in %: {tests}, and their average", tests=", ".join(scores)),
            width,
            size=theme.shape_size,
        )
        source = break_lines(_(SOURCE), width, size=theme.note_size)
        values = np.arange(0, self.high, STEP)
        ticks = [
            Tick(format_decimal(value), size=theme.note_size, colour=theme.muted)
            for value in values
        ]
        self.stops = stops = [_("a set for each head"), self._groups(models[1]), _("one set")]
        first, *_between, last = (Label(stop).width / 2 for stop in stops)
        self.layout = layout = QualityLayout.of(
            frame,
            above=len(unit),
            below=len(source),
            ticks=max(first, *(tick.width + 0.5 for tick in ticks)),
            names=max(last, self.name.width + 0.3),
        )
        self.dial = Dial([""] * len(models), stops, layout.dial)
        x, y = layout.title
        title = Paragraph([_("Scores of three trained models")], layout.title, size=theme.name_size)
        title.set_fill(theme.ink)
        below_title = Paragraph(unit, (x, y - 0.5), size=theme.shape_size)
        self.ground = VGroup(title, below_title, Paragraph(source, layout.source))
        for tick, value in zip(ticks, values, strict=True):
            y = self._point(0, value)[1]
            self.ground.add(tick.on_line(layout.plot.left - 0.3 - tick.width / 2, y))
            ends = [layout.plot.left - 0.15, y, 0.0], [layout.plot.right + 0.15, y, 0.0]
            if value:
                self.ground.add(Line(*ends, color=theme.faint, stroke_width=theme.thin))
        self.tests = VGroup(
            *(self._line(each, theme.muted, theme.thin) for each in scores.values())
        )
        self.average = self._line(self.means, theme.accent, theme.bold)
        end = self._point(len(self.means) - 1, self.means[-1])
        self.name.on_line(end[0] + 0.25 + self.name.width / 2, end[1])
        self.stems, self.figures = VGroup(), VGroup()
        for stop, mean in enumerate(self.means):
            foot, top = self._point(stop, 0), self._point(stop, mean)
            self.stems.add(Line(foot, top, color=theme.accent, stroke_width=theme.bold))
            model = models[stop].attention.split(",")[0]
            share = fact("average", mean, in_percent, beside=stops[stop], attention=model)
            figure = Label(share, size=DISPLAY, colour=theme.accent)
            side, rise, room = 1, 0.0, figure.width + 0.25
            if stop == len(self.means) - 1:
                # It stands at the left, higher if the one before is too near.
                side, near = -1, foot[0] - self.dial.places[-2][0] < 2.2 * room
                rise = 1.3 * figure.line_height if near else 0.0
            figure.on_line(foot[0] + side * (0.25 + figure.width / 2), layout.figures + rise)
            self.figures.add(figure)

    @staticmethod
    def _groups(model: QualityColumn) -> str:
        """Return how many sets of keys and values a model with groups has."""
        count = int("".join(filter(str.isdigit, model.attention)))
        return _("{number} sets", number=fact("trained sets", count))

    def _point(self, stop: int, value: float) -> tuple[float, float, float]:
        plot = self.layout.plot
        x = plot.left + plot.width * stop / (len(self.means) - 1)
        return (x, plot.bottom + plot.height * value / self.high, 0.0)

    def _line(self, values: Sequence[float], colour: str, width: float) -> VGroup:
        """Return pieces from stop to stop; a thick line has a dot at each stop, after its piece."""
        points = [self._point(stop, value) for stop, value in enumerate(values)]
        pieces = [Line(a, b, color=colour, stroke_width=width) for a, b in pairwise(points)]
        radius = 0.014 * FRAME_HEIGHT if width > current_theme().line else 0.03
        return VGroup(*pieces, *(Dot(point, radius=radius, color=colour) for point in points))

    def begin(self) -> list[Animation]:
        """Return animations of the first stop: a dot for each score, and the first figure."""
        dots = VGroup(*(line[-len(self.means)] for line in (*self.tests, self.average)))
        return [Appear(dots), self._draw(self.stems[0]), Appear(self.figures[0])]

    def go_on(self, stop: int) -> list[Animation]:
        """Return animations that draw all lines as far as a stop, whose figure appears."""
        moves: list[Animation] = [self.dial.turn(stop)]
        for line in (*self.tests, self.average):
            piece, dot = line[stop - 1], line[stop - len(self.means)]
            moves += [self._draw(piece), Appear(dot, rate_func=second_half)]
        moves.append(self._draw(self.stems[stop]))
        return [*moves, Appear(self.figures[stop], rate_func=second_half)]

    @staticmethod
    def _draw(piece: Line) -> Animation:
        whole = piece.copy()

        def step(alpha: float) -> None:
            set_presence(piece, 1.0)
            piece.pointwise_become_partial(whole, 0.0, alpha)

        return AnimateWith(piece, step)
