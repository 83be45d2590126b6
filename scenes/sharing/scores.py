"""What fewer sets of keys and values cost models that were trained with them, as published."""

from __future__ import annotations

from functools import partial
from itertools import chain

import numpy as np
from manim import Animation, Dot, Group, VGroup

from extract.facts.v2_report import DENSE_7B
from filmkit.core.animations import AnimateWith, Appear, second_half
from filmkit.core.facts import fact
from filmkit.core.geometry import Frame
from filmkit.core.language import N_, _
from filmkit.core.light import glow
from filmkit.core.numbers import format_decimal, format_percent
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.mobjects.chart import ChartAxes, ChartAxis, Curve, EndLabels
from filmkit.pictures.parts import TEXT
from filmkit.pictures.texts import figure
from filmkit.world.headline import Headline

__all__ = ["SOURCE", "Scores", "written"]

TESTS = {"BBH": "bbh", "MMLU": "mmlu", "C-Eval": "c_eval", "CMMLU": "cmmlu"}
WAYS = ("MHA", "GQA", "MQA")
SOURCE = N_("DeepSeek-V2 technical report, table 8, appendix D, pp. 31-32")
TITLE = N_("Sharing costs accuracy")
LINE = N_("bold: the average of four tests, for three models that are alike in nearly all else")
WORDS = 1.2 * TEXT  # size of names of lines
FOOT = 30  # percent, from which on scores are drawn
DOT = 0.12  # radius of the point of an average
GAP = 0.4  # between words and the chart, in scene units


def _percent(score: float) -> str:
    return format_percent(score / 100, 0)


written = partial(format_decimal, digits=1)
"""Function that writes a score."""


class Scores(Group):
    """A line for each test, and a bold one for their average, over three ways to share.

    Attributes
    ----------
    ground
        Axes and title.
    ways
        For each way to share its name, below the axis, the average of its scores, above, and the
        point of that.
    curves, names
        The lines, the average last; and the names of the others at their right ends.
    means
        The averages.
    """

    def __init__(self, frame: Frame) -> None:
        theme = current_theme()
        models = {column.attention.split(",")[0]: column for column in DENSE_7B.columns}
        tests = {name: [getattr(models[way], test) for way in WAYS] for name, test in TESTS.items()}
        # A mean of tenths may be just below the half that it is, and be rounded down.
        self.means = [float(mean) + 1e-9 for mean in np.mean(list(tests.values()), axis=0)]
        lines = {**tests, _("average"): self.means}
        title = Headline(_(TITLE), _(LINE), frame)
        means = [
            fact("average", m, written, beside=w, attention=w)
            for w, m in zip(WAYS, self.means, strict=True)
        ]
        names = VGroup(*(Label(way, size=theme.name_size, colour=theme.muted) for way in WAYS))
        figures = VGroup(*map(figure, means))
        box = title.below(head=GAP + figures.height)
        y = ChartAxis(FOOT, max(chain(*lines.values())), (FOOT,), write=_percent)
        right = max(Label(name, size=WORDS).width for name in TESTS) + GAP
        below = names.height + GAP
        self.axes = ChartAxes(
            ChartAxis(0, len(WAYS) - 1, ()), y, box, right=right, below=below, size=WORDS
        )
        self.axes.base.set_stroke(width=theme.thin)
        self.ways = VGroup(*(VGroup(*pair) for pair in zip(names, figures, strict=True)))
        colours = [theme.muted] * len(tests) + [theme.ink]
        self.curves = VGroup(
            *(
                Curve(self.axes, range(len(WAYS)), line, colour=colour, width=theme.thin)
                for line, colour in zip(lines.values(), colours, strict=True)
            )
        )
        glow(self.curves[-1].line.set_stroke(width=2 * theme.bold))
        self.names = EndLabels(list(self.curves[:-1]), list(TESTS), size=WORDS).labels
        for place, (name, mean) in enumerate(self.ways):
            x, foot = self.axes.at(place, y.low)
            name.move_to([x, foot - GAP - name.height / 2, 0])
            top = self.axes.at(place, max(line[place] for line in lines.values()))[1]
            half = mean.width / 2
            x = np.clip(x, self.axes.plot.left + half, self.axes.plot.right - half)
            mean.move_to([x, top + GAP / 2 + mean.height / 2, 0])
            x, y_mean = self.axes.at(place, self.means[place])
            self.ways[place].add(Dot([x, y_mean, 0], radius=DOT, color=theme.ink))
        self.ground = VGroup(self.axes, title)
        super().__init__(self.ground, self.curves, self.names, self.ways)
        self._whole = [curve.line.copy() for curve in self.curves]

    def go_on(self, stop: int) -> list[Animation]:
        """Return animations that draw all lines on to a way to share, whose average appears."""

        def step(alpha: float) -> None:
            reached = (stop - 1 + alpha) / (len(WAYS) - 1)
            for curve, whole in zip(self.curves, self._whole, strict=True):
                curve.line.pointwise_become_partial(whole, 0.0, reached)

        moves: list[Animation] = [Appear(self.ways[stop], rate_func=second_half)]
        return [*moves, AnimateWith(self.curves, step)] if stop else moves
