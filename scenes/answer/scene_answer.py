"""The answer: four ways to remember from one camera, the latent, and the word that follows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import Group, LaggedStart, Mobject, Rectangle, VGroup

from extract.architectures import COMPARED_GROUPS, architecture
from filmkit.core.animations import (
    Appear,
    Drift,
    MoveCamera,
    MoveFromCopy,
    Recolour,
    Vanish,
    second_half,
)
from filmkit.core.camera import Shot, StageCamera, clear_depth_plane, pin_to_frame
from filmkit.core.facts import fact, told
from filmkit.core.geometry import WORD_GAP, row_points
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import N_, _
from filmkit.core.numbers import counted_layers, format_count, spoken_share
from filmkit.core.printable import printable
from filmkit.core.stage import Stage, beat
from filmkit.core.text import Label, break_lines, fit_word
from filmkit.mobjects.cached_numbers import CachedPerToken
from filmkit.mobjects.chart import grow_bar
from filmkit.mobjects.latent_view import LatentView
from filmkit.mobjects.marks import Outline, TokenLabels, size_beside
from filmkit.mobjects.panel import Header
from filmkit.mobjects.sentence import BlinkingDrift, Sentence
from filmkit.mobjects.shared_view import require_shareable
from scenes.answer.layout import SENTENCE, AnswerLayout
from scenes.answer.rack import Rack
from scenes.answer.ways import NAMES, better_tests, ways

SHAPE = "DeepSeek-V3/R1"
QUESTION = N_("Can a model remember less and still think as well?")
NUMBERS = {
    1: N_("one"),
    2: N_("two"),
    3: N_("three"),
    4: N_("four"),
    5: N_("five"),
    6: N_("six"),
    7: N_("seven"),
    8: N_("eight"),
}
LICENCES = {"SmolLM2": "Apache 2.0"}  # of models, by how their names begin
TURNING = 5.2  # seconds of the way into the latent


def number_word(number: int) -> str:
    """Return a small number in words."""
    return _(NUMBERS[number])


class Approach(MoveCamera):
    """Move the camera to a shot while something goes straight from its place to its new one.

    Parameters
    ----------
    camera
        The stage's camera.
    shot
        Where it ends.
    subject
        What is seen to go straight.
    """

    def __init__(self, camera: StageCamera, shot: Shot, subject: Mobject, **kwargs: Any) -> None:
        super().__init__(camera, shot, **kwargs)
        self.point = subject.get_center()

    def step(self, alpha: float) -> None:
        super().step(alpha)
        if not 0 < alpha < 1:
            return
        now = self.camera.shot
        first, last = (self._offset(shot) for shot in (self.origin, self.shot))
        away = ((1 - alpha) * first + alpha * last) * now.height
        x, y, z = (float(c) for c in self.point + now.rotation().T @ away)
        self.camera.shot = replace(now, center=(x, y, z))

    def _offset(self, shot: Shot) -> npt.NDArray[np.float64]:
        """Return the way from the subject to a shot's center as it is seen, in shot heights."""
        return np.asarray(shot.rotation() @ (np.asarray(shot.center) - self.point) / shot.height)


class Answer(Stage):
    """Four ways to remember, what each costs, and a sentence that is finished."""

    title = "Less to remember"
    tensors = ("pattern", "k", "v", "kv_latent")

    def prepare(self) -> None:
        meta = self.trace.meta
        require_shareable(self.trace)
        latent = LatentView.of(self.layer)
        self.layout = AnswerLayout(self.frame, meta.n_heads)
        self.ways = ways(self.layer)
        self.racks = [
            Rack(self.layer, latent, way, place)
            for way, place in zip(self.ways, self.layout.racks, strict=True)
        ]
        self.sentence: Sentence | None = None
        arch = architecture(SHAPE)
        self.caches = (
            CachedPerToken(arch, "mha"),
            CachedPerToken(arch, "gqa", COMPARED_GROUPS),
            CachedPerToken(arch, "mqa"),
            CachedPerToken(arch, "mla"),
        )
        tokens = meta.tokens[self.layer.first : self.layer.stop]
        after = meta.tokens[meta.n_prompt : meta.n_prompt + 1]
        self.follows = self.layer.stop == meta.n_prompt and bool(after)
        self.tokens = tokens + (after if self.follows else ())
        better, tests = better_tests()
        moved = {way.scheme: way.moved for way in self.ways}
        self.facts |= told(
            moved=(moved["mqa"] or 0.0, spoken_share),
            latent=(moved["mla"] or 0.0, spoken_share),
            better=(better, number_word),
            tests=(tests, number_word),
            word=printable(self.tokens[-1]),
        )

    def variant(self, beat: str) -> str:
        if beat == "what_each_costs":
            return "pooled" if self.ways[2].moved else "own"
        return "written" if self.follows else "read"

    def drift(self) -> Drift:
        if self.sentence is not None:
            return BlinkingDrift(self.camera, self.sentence.cursor)
        return Drift(self.camera)

    @beat
    def four_ways(self) -> None:
        """Four ways to remember, at DeepSeek-R1's size."""
        self.camera.shot = self.layout.shot
        self.heading = self._heading(_("bars: one token at DeepSeek-R1’s size, to scale"))
        bars, names, sizes = self._bars()
        self.play(Appear(self.heading))
        coming = []
        for rack, bar, name, size in zip(self.racks, bars, names, sizes, strict=True):
            rising = Appear(rack, run_time=self.theme.tempo.normal)
            coming += [rising, Appear(Group(name, size)), grow_bar(bar)]
        self.play(LaggedStart(*coming, lag_ratio=0.2))
        self.roles = self._roles(bars[0])
        self.play(Appear(self.roles))
        self.bars, self.sizes = Group(bars, names), sizes

    def _roles(self, bar: VGroup) -> VGroup:
        """Return the names of the two halves of the longest bar, below it."""
        theme, y = self.theme, self.layout.cells[0].cost[1]
        roles = VGroup()
        names = (("key", _("keys")), ("value", _("values")))
        for piece, (role, name) in zip(bar, names, strict=True):
            label = Label(name, colour=theme.role(role))
            roles.add(label.on_line(piece.get_left()[0] + label.width / 2, y))
        return pin_to_frame(roles)

    def _heading(self, text: str) -> Label:
        x, y = self.layout.title
        label = fit_word(
            text, self.frame.stage.width, size=self.theme.shape_size, colour=self.theme.muted
        )
        return pin_to_frame(label.move_to([x + label.width / 2, y, 0.0]))

    def _bars(self) -> tuple[VGroup, VGroup, VGroup]:
        """Return the bars of all ways, to one scale, with their names and sizes."""
        theme, cells = self.theme, self.layout.cells
        longest = self.caches[0].size()
        bars, names, sizes = VGroup(), VGroup(), VGroup()
        for cache, cell in zip(self.caches, cells, strict=True):
            bar, x = VGroup(), cell.bar.left
            for span in cache.spans():
                width = span.value / longest * cell.bar.width
                piece = Rectangle(
                    width=width,
                    height=cell.bar.height,
                    stroke_width=0.0,
                    fill_color=span.colour,
                    fill_opacity=1.0,
                )
                bar.add(piece.move_to([x + width / 2, cell.bar.y, 0.0]))
                x += width
            bars.add(bar)
            colour = theme.latent if cache.scheme == "mla" else theme.ink
            size = Label(cache.told(beside=_(NAMES[cache.scheme])), size=theme.name_size)
            sizes.add(size.on_line(cell.size[0] - size.width / 2, cell.size[1]))
            room = cell.bar.width - size.width - WORD_GAP
            name = Label(_(NAMES[cache.scheme]), size=theme.name_size, colour=colour)
            name.shrink_to(room)
            names.add(name.on_line(cell.name[0] + name.width / 2, cell.name[1]))
        pin_to_frame(Group(bars, names, sizes))
        return bars, names, sizes

    @beat(
        pooled="Untrained, with one [set] for all {moved} of this model’s attention lands on "
        "other words, with a [latent] {latent}.",
        own="This model has one [set] for all. Untrained, with a [latent] {latent} of its "
        "attention lands on other words.",
    )
    def what_each_costs(self) -> None:
        meta, tempo = self.trace.meta, self.theme.tempo
        if meta.conversion is None:
            changes = _(
                "what changes in this model, layer {layer} alone, nothing trained",
                layer=self.layer.layer,
            )
        else:
            changes = _(
                "what changes in this model, in all {layers}, nothing trained",
                layers=counted_layers(meta.n_layers),
            )
        heading = self._heading(changes)
        leaving = Group(self.heading, self.sizes, self.roles)
        self.play(Vanish(leaving), Appear(heading))
        self.heading, self.costs = heading, VGroup()
        for rack, cell, mark in zip(
            self.racks, self.layout.cells, ("", "", "set", "latent"), strict=True
        ):
            if mark:
                self.wait_for(mark)
            colour = self.theme.ink if rack.way.patterns else self.theme.muted
            cost = Label(rack.way.cost, colour=colour).shrink_to(cell.bar.width)
            cost.on_line(cell.cost[0] + cost.width / 2, cell.cost[1])
            told = VGroup(cost)
            if rack.way.figure:
                cost.on_line(cell.size[0] - cost.width / 2, cell.cost[1])
                size = 1.4 * self.theme.name_size
                figure = Label(rack.way.figure, size=size, weight="semibold")
                told.add(figure.on_line(cell.size[0] - figure.width / 2, cell.size[1]))
            self.costs.add(pin_to_frame(told))
            recoloured = [
                Recolour(pattern, values=values, source=source)
                for pattern, (values, source) in zip(
                    rack.patterns, rack.way.patterns or (), strict=False
                )
            ]
            self.play(Appear(told))
            if recoloured:
                self.play(LaggedStart(*recoloured, lag_ratio=0.3), run_time=tempo.large)

    @beat
    def into_the_latent(self) -> None:
        """So don't keep every key and value. Keep what they are made of."""
        layout, rack = self.layout, self.racks[-1]
        words = Group(self.heading, self.costs, self.bars)
        self.play(Vanish(words))
        others = Group(*self.racks[:-1], rack.cards, rack.lines)
        self.play(
            Approach(self.camera, layout.front, rack.kept[0], run_time=TURNING),
            Vanish(others, rate_func=second_half, run_time=TURNING),
        )
        # Seen from straight ahead, what is left is a flat picture.
        self.cells: Heatmap = clear_depth_plane(rack.kept[0]).place(layout.latent)
        self.border = rack.frames[0]
        scale = layout.latent.width / rack.layout.kept.width
        grown = layout.latent.grown(
            (self.border.width - rack.layout.kept.width) / 2 * scale,
        )
        self.remove(self.border)
        self.border = Outline(grown, colour=self.theme.latent)
        self.border.set_stroke(width=self.theme.line)
        self.camera.shot = Shot()
        self.add(self.cells, self.border)
        header = Header(_("latent"), "C", self.cells.shape, colour=self.theme.latent)
        box = layout.latent
        size = size_beside(box.height / self.layer.count)
        self.words = TokenLabels(
            self.layer.words,
            row_points(grown.left - WORD_GAP, box, self.layer.count),
            width=grown.left - self.frame.stage.left - WORD_GAP,
            size=max(size, self.theme.min_text_size),
        )
        self.readable = size >= self.theme.min_text_size
        parts = [header.stand_on(grown)]
        if self.readable:
            parts.append(self.words)
        self.play(*(Appear(part) for part in parts))

    @beat
    def the_answer(self) -> None:
        """And still think as well? Trained that way, DeepSeek's models did better in {better} of
        {tests} tests."""
        layout, theme, tempo = self.layout, self.theme, self.theme.tempo
        credits = self._credits()
        question = fit_word(_(QUESTION), self.frame.stage.width, size=theme.name_size)
        question.move_to([*layout.question, 0.0])
        self.play(Appear(question))
        self.sentence = sentence = Sentence(
            self.tokens,
            layout.sentence(len(credits)),
            size=SENTENCE,
            colours=[theme.ink] * (len(self.tokens) - self.follows)
            + [theme.highlight] * self.follows,
        )
        known = sentence.words[: self.layer.count]
        sentence.move_cursor(self.layer.count)
        if self.readable:
            # A word that was shortened beside its row is whole in the sentence.
            arriving = [
                MoveFromCopy(row, word) if row.text == word.text else Appear(word)
                for row, word in zip(self.words, known, strict=True)
            ]
            self.play(LaggedStart(*arriving, lag_ratio=0.15), run_time=tempo.large)
        else:
            self.play(Appear(known))
        self.play(Appear(sentence.cursor), run_time=0.3)
        self.play(Appear(self._result()))
        self.credits = credits

    @beat(
        written="And our sentence ends: [{word}].",
        read="And our sentence is [read].",
    )
    def the_word(self) -> None:
        tempo, count = self.theme.tempo, self.layer.count
        self.wait_for("word" if self.follows else "read")
        if self.follows and self.sentence is not None:
            self.play(self.sentence.write(count, count + 1), run_time=0.5)
        self.hold()
        self.play(Appear(self.credits), run_time=tempo.large)

    def _result(self) -> Label:
        """Return the line that says how models with a latent did."""
        better, tests = map(fact, ("better", "tests"), better_tests())
        text = _(
            "trained with a latent: better in {better} of {tests} tests",
            better=better,
            tests=tests,
        )
        colour, size = self.theme.latent, self.theme.name_size
        label = fit_word(text, self.frame.stage.width, size=size, colour=colour)
        return label.move_to([*self.layout.result, 0.0])

    def _credits(self) -> VGroup:
        """Return the lines at the foot of the last picture."""
        meta, theme = self.trace.meta, self.theme
        better, tests = better_tests()
        licence = [text for name, text in LICENCES.items() if meta.model.startswith(name)]
        texts = [
            _(
                "{better} of {tests}: DeepSeek-V2 technical report, table 9, where the models with "
                "a latent are a little smaller",
                better=format_count(better),
                tests=format_count(tests),
            ),
            _("sizes: {source}", source=architecture(SHAPE).source),
            "  ·  ".join([_("model: {model}", model=meta.model), meta.source.revision, *licence]),
            _(
                "after an idea of Welch Labs  ·  code under the MIT licence  ·  Source Sans Pro, "
                "New Computer Modern"
            ),
        ]
        width, size = self.frame.stage.width, theme.note_size
        broken = [line for text in texts for line in break_lines(text, width, size=size)]
        lines = VGroup()
        for number, text in enumerate(broken):
            line = fit_word(text, width, size=size, colour=theme.muted)
            x, y = self.layout.credit(number, len(broken))
            lines.add(line.on_line(x + line.width / 2, y))
        return lines
