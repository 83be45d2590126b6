"""What fewer sets of keys and values cost models that were trained with them, as published."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from manim import Animation, Dot, Line, VGroup

from extract.architectures import DENSE_7B, QualityColumn
from filmkit.core.animations import AnimateWith, Appear, second_half, set_presence
from filmkit.core.geometry import FRAME_HEIGHT, Frame
from filmkit.core.text import Label, break_lines
from filmkit.core.theme import current_theme
from filmkit.mobjects.chart import Paragraph, spread
from scenes.sharing.dial import Dial
from scenes.sharing.layout import DISPLAY, LINE, QualityLayout

__all__ = ["Quality"]

TESTS = {"bbh": "BBH", "mmlu": "MMLU", "c_eval": "C-Eval", "cmmlu": "CMMLU"}
STEP = 5  # from one tick to the next, in per cent
TRAINED = ("a set for each head", "8 sets", "one set")


def columns() -> tuple[QualityColumn, ...]:
    """Return the trained models, from a set for every head to one for all."""
    of = {column.attention.split(",")[0]: column for column in DENSE_7B.columns}
    return of["MHA"], of["GQA"], of["MQA"]


class Quality(VGroup):
    """Scores of models that were trained at each setting of the dial, which is the axis.

    Attributes
    ----------
    dial
        The dial as the axis.
    ground
        Ticks, title and source.
    tests
        A thin line for each test, with its name.
    average
        The thick line of the average, with its name.
    figures
        The averages in large figures below the dial.
    means
        The averages, in per cent.
    """

    def __init__(self, frame: Frame) -> None:
        super().__init__()
        theme, models = current_theme(), columns()
        scores = {name: [getattr(model, test) for model in models] for test, name in TESTS.items()}
        self.means = [float(np.mean(values)) for values in zip(*scores.values(), strict=True)]
        every = [value for values in scores.values() for value in values]
        self.low = STEP * np.floor(min(every) / STEP)
        self.high = max(every)
        names = {name: Label(name, colour=theme.muted) for name in scores}
        names["average"] = Label("average", colour=theme.accent)
        lines = break_lines(
            f"{DENSE_7B.title}  ·  {DENSE_7B.source}", frame.stage.width, size=theme.note_size
        )
        ticks = [
            Label(f"{value:.0f}", size=theme.note_size, colour=theme.muted)
            for value in np.arange(self.low, self.high, STEP)
        ]
        self.layout = layout = QualityLayout.of(
            frame,
            lines=len(lines),
            ticks=max(tick.width for tick in ticks) + 0.5,
            names=max(label.width for label in names.values()) + 0.3,
        )
        self.dial = Dial([""] * len(models), TRAINED, layout.dial)
        x, y = layout.title
        title = Paragraph(["Scores of three trained models"], layout.title, size=theme.name_size)
        title.set_fill(theme.ink)
        unit = Paragraph(["in %, higher is better"], (x, y - 0.5), size=theme.shape_size)
        self.ground = VGroup(title, unit, Paragraph(lines, layout.source))
        for tick, value in zip(ticks, np.arange(self.low, self.high, STEP), strict=True):
            y = self._point(0, value)[1]
            self.ground.add(tick.on_line(layout.plot.left - 0.3 - tick.width / 2, y))
            ends = [layout.plot.left - 0.15, y, 0.0], [layout.plot.right + 0.15, y, 0.0]
            self.ground.add(Line(*ends, color=theme.faint, stroke_width=theme.thin))
        drawn = scores | {"average": self.means}
        self.tests = VGroup(*(self._line(scores[name], theme.muted, theme.thin) for name in scores))
        self.average = self._line(self.means, theme.accent, theme.bold)
        ys = [self._point(0, values[-1])[1] for values in drawn.values()]
        ys = list(spread(ys, [LINE] * len(ys), layout.plot.bottom, layout.plot.top))
        for name, y in zip(drawn, ys, strict=True):
            label = names[name]
            label.on_line(layout.plot.right + 0.25 + label.width / 2, y)
        self.names = VGroup(*names.values())
        self.figures = VGroup()
        for stop, mean in enumerate(self.means):
            figure = Label(f"{mean:.0f} %", size=DISPLAY, colour=theme.accent)
            self.figures.add(figure.on_line(self.dial.places[stop][0], layout.figures))

    def _point(self, stop: int, value: float) -> tuple[float, float, float]:
        plot = self.layout.plot
        x = plot.left + plot.width * stop / (len(TRAINED) - 1)
        return (x, plot.bottom + plot.height * (value - self.low) / (self.high - self.low), 0.0)

    def _line(self, values: Sequence[float], colour: str, width: float) -> VGroup:
        """Return pieces from stop to stop; a thick line has a dot at each stop, after its piece."""
        points = [self._point(stop, value) for stop, value in enumerate(values)]
        pieces = [Line(a, b, color=colour, stroke_width=width) for a, b in pairwise(points)]
        radius = 0.014 * FRAME_HEIGHT if width > current_theme().line else 0.03
        return VGroup(*pieces, *(Dot(point, radius=radius, color=colour) for point in points))

    def begin(self) -> list[Animation]:
        """Return animations of the first stop: a dot for each score, and the first figure."""
        dots = VGroup(*(line[-len(TRAINED)] for line in (*self.tests, self.average)))
        return [Appear(dots), Appear(self.figures[0])]

    def go_on(self, stop: int) -> list[Animation]:
        """Return animations that draw all lines as far as a stop, whose figure appears."""
        moves: list[Animation] = [self.dial.turn(stop)]
        for line in (*self.tests, self.average):
            piece, dot = line[stop - 1], line[stop - len(TRAINED)]
            moves += [self._draw(piece), Appear(dot, rate_func=second_half)]
        return [*moves, Appear(self.figures[stop], rate_func=second_half)]

    @staticmethod
    def _draw(piece: Line) -> Animation:
        whole = piece.copy()

        def step(alpha: float) -> None:
            set_presence(piece, 1.0)
            piece.pointwise_become_partial(whole, 0.0, alpha)

        return AnimateWith(piece, step)
