"""The duel: as many cached numbers as one shared set or as one latent, and what both do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from manim import Animation, AnimationGroup, Group, Line, Mobject, Rectangle, VGroup

from extract.conversion_report import Contest, Row, at_equal_size
from extract.duel import Duel, Side, duel
from extract.trace import Trace
from filmkit.core.animations import AnimateWith, Recolour, Settle
from filmkit.core.facts import fact
from filmkit.core.geometry import Box, Frame, Point
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import N_, _, current_language
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.numbers import format_decimal
from filmkit.core.text import Label, Number, break_lines, fit_size
from filmkit.core.theme import current_theme
from filmkit.core.view import LayerView
from filmkit.mobjects.chart import scheme_colour
from filmkit.mobjects.marks import ColourBar
from filmkit.mobjects.sayings import Saying, Sayings, bar_of, display_size, set_colours
from scenes.mla.duel_layout import DuelLayout, DuelSideLayout

__all__ = ["DuelPicture", "DuelSide", "sayings_of"]

PERCENTILE = 99.5  # of all differences, at which their scale ends

WORDS = 1.6  # width at which words about the patterns are broken, in scene units

Array = npt.NDArray[np.float64]


def in_percent(share: float) -> str:
    """Return a share in whole per cent, without the sign."""
    return format_decimal(100 * share)


class DuelSide(Group):
    """One side: a bar of what is cached, and the patterns of all heads.

    Attributes
    ----------
    name, numbers
        Its name, and how many numbers are cached.
    sets
        The bar of the model's own sets of keys and values: for each a piece of keys and one of
        values.
    bar, kinds
        The bar of what is cached instead, and what it is made of, in words.
    patterns
        Heatmaps of the heads, which begin with the model's own patterns.
    counter, percent, words
        How much attention moves, with its sign and its words.
    states
        What says what the patterns are: words twice, then the colour bar of their differences.
    layers
        A bar for each layer of the model; empty without a conversion.
    """

    def __init__(
        self,
        view: LayerView,
        side: Side,
        own: Duel,
        layout: DuelSideLayout,
        frame: Frame,
        *,
        name: str,
        scheme: str,
        row: Row | None,
        most: float,
    ) -> None:
        super().__init__()
        theme, self.layout, self.side = current_theme(), layout, side
        self.view, self.own, self.row, self.scheme = view, own, row, scheme
        self.unit = layout.bar.width / max(own.n_own, side.numbers)
        self.sets = self._sets(view, own)
        colours = {
            "mqa": ((theme.key, view.trace.meta.d_qk), (theme.value, view.trace.meta.d_v)),
            "mla": ((theme.latent, side.numbers),),
        }[scheme]
        self.bar = bar_of(layout.bar, self.unit, colours)
        self.kinds = self._kinds(scheme)
        self._name(name)
        self.patterns = [self._pattern(head, box) for head, box in enumerate(layout.patterns)]
        self._count(frame)
        self.states: list[Mobject] = [
            self._words(text, short, layout.state)
            for text, short in (
                (_("the model’s own patterns"), _("own patterns")),
                (_("computed again"), _("computed again")),
            )
        ]
        self.layers = VGroup()
        self.layer_words = VGroup()
        if row is not None:
            self._draw_layers(row, most, scheme_colour(scheme))

    def _name(self, name: str) -> None:
        """Write the name at the left above the bar, and at the right how many numbers there are."""
        theme, layout = current_theme(), self.layout
        self.numbers = Number(self.own.n_own, digits=0, size=theme.name_size)
        fact("kept numbers", self.side.numbers, beside=name, way=self.scheme)
        room = layout.bar.width - self.numbers.width - 0.14 - 0.3
        unit = Label(_("numbers"), size=theme.shape_size, colour=theme.muted)
        self.name = Label(name, size=theme.name_size)
        if self.name.width + unit.width > room:
            size = max(theme.note_size, theme.min_text_size)
            unit = Label(_("numbers"), size=size, colour=theme.muted)
            self.name = fit_size(name, room - unit.width, size=theme.name_size)
        self.name.on_line(layout.name[0] + self.name.width / 2, layout.name[1])
        self.unit_word = unit.on_line(layout.numbers[0] - unit.width / 2, layout.numbers[1])
        self.numbers.on_line(unit.get_left()[0] - 0.14 - self.numbers.width / 2, layout.numbers[1])

    def _sets(self, view: LayerView, own: Duel) -> VGroup:
        meta = view.trace.meta
        return bar_of(self.layout.bar, self.unit, set_colours(meta, meta.n_kv_heads))

    def _kinds(self, scheme: str) -> VGroup:
        """Return what the bar is made of, in words behind it, if there is room."""
        theme, kinds, x = current_theme(), VGroup(), self.bar.get_right()[0] + 0.2
        words = {
            "mqa": ((_("keys"), theme.key), (_("values"), theme.value)),
            "mla": ((_("latent"), theme.latent),),
        }[scheme]
        for word, colour in words:
            label = Label(word, size=theme.shape_size, colour=colour)
            kinds.add(label.on_line(x + label.width / 2, self.layout.bar.y))
            x += label.width + 0.15
        return kinds if x <= self.layout.bar.right else VGroup()

    def _span(self, values: Array, head: int) -> Array:
        drawn = slice(self.view.first, self.view.stop)
        return values[head, drawn, drawn]

    def _pattern(self, head: int, box: Box) -> Heatmap:
        own = self.view.head(head)
        cells = Heatmap(
            self._span(self.own.own, head),
            Norm.unit(),
            masked=own.causal_mask,
            source=own.pattern_source,
        )
        cells.label = self.name.text
        return cells.place(box)

    def _count(self, frame: Frame) -> None:
        size = display_size(frame)
        self.counter = Number(88, digits=0, size=size)
        percent = current_language().percent("0")
        self.percent = Label(percent.strip("0"), size=size * 0.7)
        x, y = self.layout.counter
        both = [self.counter, self.percent]
        if percent.endswith("0"):  # such as in Turkish
            both.reverse()
        x -= (self.counter.width + 0.1 + self.percent.width) / 2
        for part in both:
            part.on_line(x + part.width / 2, y)
            x += part.width + 0.1
        self.counter.set_value(0.0)
        self.words = self._words(
            _("of attention lands on other words"), _("on other words"), self.layout.words
        )

    def _words(self, text: str, short: str, point: Point) -> VGroup:
        """Return words about the patterns: in lines where they are centered, else a short one."""
        theme, words, (x, y) = current_theme(), VGroup(), point
        room, lines = self.layout.word_room, [short]
        if self.layout.centered:
            lines = break_lines(text, min(room, WORDS), size=theme.shape_size)
        for line in lines:
            label = fit_size(line, room, size=theme.shape_size, colour=theme.muted)
            words.add(label.on_line(x if self.layout.centered else x + label.width / 2, y))
            y -= 1.15 * label.line_height
        return words

    def _draw_layers(self, row: Row, most: float, colour: str) -> None:
        theme, room = current_theme(), self.layout.layers
        count = len(row.moved_by_layer)
        for box, moved in zip(
            room.split_columns(count, 0.25 * room.width / count), row.moved_by_layer, strict=True
        ):
            height = max(0.01, room.height * moved / most)
            bar = Rectangle(
                width=box.width, height=height, stroke_width=0, fill_color=colour, fill_opacity=1
            )
            self.layers.add(bar.move_to([box.x, room.bottom + height / 2, 0]))
        base = Line(
            [room.left, room.bottom, 0],
            [room.right, room.bottom, 0],
            stroke_color=theme.faint,
            stroke_width=theme.thin,
        )
        first, last = (
            Label(text, size=theme.note_size, colour=theme.muted)
            for text in (_("layer {layer}", layer=0), _("layer {layer}", layer=count - 1))
        )
        first.on_line(room.left + first.width / 2, room.bottom - 0.19)
        last.on_line(room.right - last.width / 2, room.bottom - 0.19)
        self.layer_words.add(base, first, last)
        words = self._words(_("each bar: one layer"), _("one bar per layer"), self.layout.state)
        self.layer_words.add(words)

    def add_scale(self, norm: Norm) -> None:
        """Make the colour bar of the differences, in the place of the words of the states."""
        x, y = self.layout.state
        width = 1.4
        if not self.layout.centered:
            x += width / 2
        self.states.append(ColourBar(norm, _("difference"), Box(x, y + 0.05, width, 0.14)))

    # Animations

    def compute_again(self) -> AnimationGroup:
        """Return the animation in which the patterns become those of this side."""
        return AnimationGroup(
            *(
                Recolour(
                    cells,
                    values=self._span(self.side.pattern, head),
                    source=self._source("pattern", head),
                )
                for head, cells in enumerate(self.patterns)
            )
        )

    def _source(self, what: str, head: int) -> TensorSource:
        """Return the source of the "pattern" of a head on this side, or of its "difference"."""
        if self.scheme == "mqa":
            return self.view.computed(f"shared_{what}", head=head, sets=1)
        return self.view.computed(f"rotated_latent_{what}", head=head)

    def difference(self, head: int) -> Array:
        """Return how far the pattern of a head is from the model's own, cell by cell."""
        return np.abs(self._span(self.side.pattern, head) - self._span(self.own.own, head))

    def show_difference(self, norm: Norm) -> AnimationGroup:
        """Return the animation in which the patterns become their difference from the model's.

        ``norm`` is its scale, the same on both sides.
        """
        return AnimationGroup(
            *(
                Recolour(
                    cells,
                    values=self.difference(head),
                    norm=norm,
                    source=self._source("difference", head),
                )
                for head, cells in enumerate(self.patterns)
            )
        )

    def count_to(self, share: float) -> Animation:
        """Return the animation in which the counter climbs from 0 to a share."""
        self._tell(share, all_layers=False)
        return AnimateWith(self.counter, lambda alpha: self.counter.set_value(100 * share * alpha))

    def _tell(self, share: float, *, all_layers: bool) -> None:
        """Note what the counter counts to."""
        fact(
            "moved share",
            share,
            in_percent,
            beside=self.name.text,
            way=self.scheme,
            all_layers=all_layers,
        )

    def add_layers(self, alpha: float) -> None:
        """Let the bars of the layers rise one after another; the counter is their mean so far."""
        assert self.row is not None
        count = len(self.row.moved_by_layer)
        reached = alpha * count
        for number, (bar, full) in enumerate(zip(self.layers, self._full, strict=True)):
            share = float(np.clip(reached - number, 0.0, 1.0))
            foot = full[:, 1].min()
            bar.points = full.copy()
            bar.points[:, 1] = foot + max(share, 1e-3) * (full[:, 1] - foot)
        whole = max(1, int(np.ceil(reached)))
        mean = self.row.moved if alpha >= 1 else np.mean(self.row.moved_by_layer[:whole])
        self.counter.set_value(100 * float(mean))

    def collapse(self) -> AnimationGroup:
        """Return the animation in which the patterns go to the place of their layer's bar."""
        bar = self.layers[self.view.layer]
        foot = Box(bar.get_x(), self.layout.layers.bottom, bar.width, 0.01)
        return AnimationGroup(*(Settle(cells, foot, remover=True) for cells in self.patterns))

    def rise(self) -> Animation:
        """Return the animation of `add_layers`; the bars must be on the scene."""
        assert self.row is not None
        self._tell(self.row.moved, all_layers=True)
        self._full = [bar.points.copy() for bar in self.layers]
        self.add_layers(0.0)
        return AnimateWith(Group(self.layers, self.counter), self.add_layers)


class DuelPicture(Group):
    """Both sides of the duel.

    Attributes
    ----------
    shared, latent
        The sides.
    numbers
        What both were computed from, in the layer alone.
    contest
        What the whole model did, or None without a conversion.
    difference_norm
        The scale of differences, of both sides alike: it ends at their 99.5th percentile.
    """

    def __init__(self, view: LayerView, frame: Frame) -> None:
        super().__init__()
        meta = view.trace.meta
        self.numbers = numbers = duel(view.trace, view.layer)
        self.contest = contest = at_equal_size(view.trace)
        layout = DuelLayout.of(frame, count=meta.n_heads)
        most, mean, latent = 1.0, None, None
        if contest is not None:
            mean, latent = contest.mean, contest.latent
            most = max(*mean.moved_by_layer, *latent.moved_by_layer)
        self.shared, self.latent = (
            DuelSide(
                view, side, numbers, place, frame, name=name, scheme=scheme, row=row, most=most
            )
            for side, place, name, scheme, row in (
                (numbers.shared, layout.shared, _("one shared set"), "mqa", mean),
                (numbers.latent, layout.latent, _("one latent"), "mla", latent),
            )
        )
        self.sides = (self.shared, self.latent)
        every = [side.difference(head) for side in self.sides for head in range(meta.n_heads)]
        limit = float(np.percentile(np.stack(every), PERCENTILE)) or 1.0
        self.difference_norm = replace(Norm.unit(), vmax=min(1.0, limit), percentile=PERCENTILE)
        for side in self.sides:
            side.add_scale(self.difference_norm)


NAMES = (
    N_("the model itself"),
    N_("one shared set: the mean"),
    N_("one shared set, fitted"),
    N_("one latent"),
)


def sayings_of(trace: Trace, contest: Contest, frame: Frame) -> Sayings:
    """Return what the whole model says after the prompt: itself, and in each way."""
    theme, meta = current_theme(), trace.meta
    rows = []
    for name, row in zip(NAMES, contest.rows, strict=True):
        latent = row.way == "latent_then_rotate"
        sets = row.numbers // (meta.d_qk + meta.d_v)
        number = fact("kept numbers", row.numbers, beside=_(name), way=row.way)
        rows.append(
            Saying(
                name=_(name),
                note=_("{number} numbers, its keys rotated after", number=number)
                if latent
                else _("{number} numbers", number=number),
                short_note=_("{number} numbers", number=number),
                pieces=((theme.latent, row.numbers),) if latent else set_colours(meta, sets),
                text=row.continuation,
                colour={"model": theme.accent, "latent_then_rotate": theme.latent}.get(
                    row.way, theme.ink
                ),
            )
        )
    return Sayings(meta.prompt, rows, frame)
