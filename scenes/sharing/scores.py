"""What fewer sets of keys and values cost models that were trained with them, as published."""

from __future__ import annotations

from functools import partial

import numpy as np
from manim import DOWN, UP, Animation, Dot, Group, VGroup

from extract.facts.v2_report import DENSE_7B
from filmkit.core.animations import AnimateWith, Appear, second_half
from filmkit.core.facts import fact
from filmkit.core.geometry import Frame
from filmkit.core.headline import Headline
from filmkit.core.language import N_, _
from filmkit.core.light import glow
from filmkit.core.numbers import format_decimal, format_percent
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.mobjects.chart import ChartAxes, ChartAxis, Curve
from filmkit.pictures.parts import TEXT
from filmkit.pictures.texts import figure

__all__ = ["SOURCE", "Scores", "written"]

TESTS = "bbh", "mmlu", "c_eval", "cmmlu"
WAYS = ("MHA", "GQA", "MQA")
SOURCE = N_("DeepSeek-V2 technical report, table 8, appendix D, pp. 31-32")
TITLE = N_("Sharing costs accuracy")
LINE = N_("average of four tests, for three models that are alike in nearly everything else")
WORDS = 1.2 * TEXT  # size of the number at the axis
FOOT = 30  # percent, from which on scores are drawn
DOT = 0.12  # radius of the point of an average
GAP = 0.4  # between words and the chart, in scene units


def _percent(score: float, digits: int = 0) -> str:
    return format_percent(score / 100, digits)


written = partial(format_decimal, digits=1)
"""Function that writes a score."""


class Scores(Group):
    """A line for the average of the tests, over three ways to share.

    Attributes
    ----------
    ground
        Axes and title.
    ways
        For each way to share its name and what is shared, below the axis, the average of its
        scores, and above it its number.
    curve
        The line.
    means
        The averages.
    """

    def __init__(self, frame: Frame) -> None:
        theme = current_theme()
        models = {column.attention.split(",")[0]: column for column in DENSE_7B.columns}
        scores = [[getattr(models[way], test) for test in TESTS] for way in WAYS]
        # A mean of tenths may be just below the half that it is, and be rounded down.
        self.means = [float(mean) + 1e-9 for mean in np.mean(scores, axis=1)]
        title = Headline(_(TITLE), _(LINE), frame)
        means = [
            fact("average", m, partial(_percent, digits=1), beside=w, attention=w)
            for w, m in zip(WAYS, self.means, strict=True)
        ]
        notes = _("no sharing"), _("groups"), _("one set")
        names = VGroup(
            *(
                VGroup(
                    Label(way, size=theme.name_size),
                    Label(note, size=TEXT, colour=theme.muted),
                ).arrange(DOWN, buff=GAP / 4)
                for way, note in zip(WAYS, notes, strict=True)
            )
        )
        figures = VGroup(*map(figure, means))
        box = title.below(head=2 * GAP + figures.height)
        # Words at both ends hang over the plot.
        left, right = (max(names[n].width, figures[n].width) / 2 for n in (0, -1))
        self.axes = ChartAxes(
            ChartAxis(0, len(WAYS) - 1, ()),
            ChartAxis(FOOT, max(self.means), (FOOT,), write=_percent),
            box,
            left=left,
            right=right,
            below=names.height + GAP,
            size=WORDS,
        )
        self.axes.base.set_stroke(width=theme.thin)
        self.ways = VGroup(*(VGroup(*pair) for pair in zip(names, figures, strict=True)))
        width = 2 * theme.bold
        self.curve = Curve(self.axes, range(len(WAYS)), self.means, colour=theme.ink, width=width)
        glow(self.curve.line)
        for place, (name, mean) in enumerate(self.ways):
            x, foot = self.axes.at(place, FOOT)
            name.move_to([x, foot - GAP - name.height / 2, 0])
            top = self.axes.at(place, self.means[place])[1]
            mean.move_to([x, top + GAP, 0], DOWN)
            if place:  # over the line, which falls
                before, high = self.axes.at(place - 1, self.means[place - 1])
                mean.shift((high - top) / (x - before) * mean.width / 2 * UP)
            self.ways[place].add(Dot([x, top, 0], radius=DOT, color=theme.ink))
        self.ground = VGroup(self.axes, title)
        super().__init__(self.ground, self.curve, self.ways)
        self._whole = self.curve.line.copy()

    def go_on(self, stop: int) -> list[Animation]:
        """Return animations in which the line reaches a way to share, and its average appears."""

        def step(alpha: float) -> None:
            reached = (stop - 1 + alpha) / (len(WAYS) - 1)
            self.curve.line.pointwise_become_partial(self._whole, 0.0, reached)

        moves: list[Animation] = [Appear(self.ways[stop], rate_func=second_half)]
        return [*moves, AnimateWith(self.curve, step)] if stop else moves
