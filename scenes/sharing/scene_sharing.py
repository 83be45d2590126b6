"""Heads that share keys and values: a set for every head, one for each group, one for all."""

from __future__ import annotations

from manim import DOWN, Animation, Group, LaggedStart

from filmkit.core.animations import Appear, Arrive, Vanish
from filmkit.core.camera import Shot, pin_to_frame
from filmkit.core.facts import fact, told
from filmkit.core.language import N_, _
from filmkit.core.numbers import format_decimal, format_percent, spoken_share
from filmkit.core.stage import Stage, beat
from filmkit.core.text import Label, stacked_lines
from filmkit.mobjects.shared_view import require_shareable
from scenes.sharing.dial import Dial
from scenes.sharing.layout import DISPLAY, SharingLayout
from scenes.sharing.quality import Quality
from scenes.sharing.sets import PatternGrid, SetBar, SetStack
from scenes.sharing.settings import has_groups, settings_of

TITLE = N_("sets of keys and values")


def whole_percent(share: float) -> str:
    """Return a share in whole per cent."""
    return format_percent(share, 0)


class Sharing(Stage):
    """One dial, and what follows from it: keys and values, a bar of their size, the patterns.

    What the model never had is plain, what it has is its own, and fewer sets are means of
    its own, with which everything is computed again.
    """

    title = "Keys and values that heads share"
    tensors = ("q", "q_rot", "k", "k_rot", "v", "pattern", "z")

    def prepare(self) -> None:
        meta = self.trace.meta
        require_shareable(self.trace)
        self.stops = stops = settings_of(self.layer)
        self.layout = layout = SharingLayout.of(self.frame)
        names = [stop.name for stop in stops]
        counts = [
            fact("sets to choose", stop.count, beside=stop.name, stop=place - len(stops))
            for place, stop in enumerate(stops)
        ]
        self.dial = pin_to_frame(Dial(counts, names, layout.dial, title=_(TITLE)))
        self.sets = SetStack(stops, self.frame, layout)
        self.bar = SetBar(stops, layout)
        self.patterns = PatternGrid(stops, layout)
        self.quality = Quality(self.frame)
        self.heading, self.moved = self._headings(layout)
        self.at = 0
        best, *_between, worst = self.quality.means
        self.facts |= told(
            heads=meta.n_heads,
            own=meta.n_kv_heads,
            groups=stops[-2].count,
            best=(best, format_decimal),
            worst=(worst, format_decimal),
        )
        if stops[-1].pooled:
            self.facts |= told(moved=(self._share, spoken_share))

    @property
    def _share(self) -> float:
        """Share of the attention that moves to other words if all heads share one set."""
        return self.stops[-1].view.shared.pattern_distance.mean

    def _headings(self, layout: SharingLayout) -> tuple[Group, Group]:
        """Return the line above the patterns, and the one that takes its place."""
        x, y = layout.title(len(self.patterns.cells))
        heading = Label(_("patterns"), size=self.theme.name_size, colour=self.theme.pattern)
        heading.on_line(x + heading.width / 2, y)
        moved = Group()
        if self.stops[-1].pooled:
            share = fact("moved", self._share, whole_percent)
            figure = Label(share, size=DISPLAY, colour=self.theme.accent)
            figure.on_line(x + figure.width / 2, y)
            x += figure.width + 0.2
            room = layout.patterns.right - x
            words = Group(*stacked_lines(_("of the attention lands on other words"), (x, y), room))
            # More lines grow upwards, away from the numbers of the patterns.
            moved.add(figure, words.align_to(figure, DOWN))
        return pin_to_frame(Group(heading)), pin_to_frame(moved)

    def variant(self, beat: str) -> str:
        if beat == "a_set_for_every_head":
            return "outlines" if self.stops[0].outlined else "own"
        stop = self.stops[-1 if beat == "one_set_for_all" else 1]
        return "means" if stop.pooled else "own"

    def provenance_notes(self) -> tuple[str, str]:
        if self.at == len(self.stops):
            return _("published scores, not the traced model"), ""
        return super().provenance_notes()

    def turn_to(self, stop: int) -> None:
        """Turn the dial; sets, bar and patterns follow it together, so that all agree."""
        turns: list[Animation] = [part.turn(self.at, stop) for part in (self.sets, self.bar)]
        turns.append(self.dial.turn(stop))
        patterns = self.patterns.turn(self.at, stop)
        tempo = self.theme.tempo
        if self.stops[self.at].outlined:
            # The first patterns come when the sets have made room for them.
            self.play(*turns, self.move_camera(self.sets.shot), run_time=tempo.large)
            self.play(Appear(self.heading), Appear(self.patterns), patterns)
        else:
            self.play(*turns, patterns, run_time=tempo.large)
        self.at = stop

    @beat(
        own="With the dial at {heads}, every head keeps keys and values of its own, "
        "as this model does.",
        outlines="With the dial at {heads}, every head keeps keys and values of its own. "
        "This model never did, so there are no numbers to show.",
    )
    def a_set_for_every_head(self) -> None:
        outlined = self.stops[0].outlined
        self.camera.shot = shot = self.sets.alone if outlined else self.sets.shot
        self.play(Appear(self.dial), Appear(self.sets.full))
        right, *_others = shot.rotation()
        aside = self.frame.width * shot.height / self.frame.height * right
        arriving = [Arrive(each, each.copy().shift(aside)) for each in self.sets]
        self.play(LaggedStart(*arriving, lag_ratio=0.3, run_time=self.theme.tempo.swing))
        self.play(Appear(self.bar), self.bar.grow(), Appear(self.sets.names))
        if not outlined:
            self.play(Appear(self.heading), Appear(self.patterns))

    @beat(
        when=has_groups,
        own="At {groups}, heads form groups, and each group reads one set. "
        "This model was trained like that: these numbers are its own.",
        means="At {groups}, heads form groups, and each group reads one set: the mean of what "
        "its heads had.",
    )
    def a_set_for_each_group(self) -> None:
        self.turn_to(1)

    @beat(
        own="At 1, all heads read a single set. This model was trained like that: these numbers "
        "are its own.",
        means="At 1, all heads read a single set: the mean. Every pattern is computed again.",
    )
    def one_set_for_all(self) -> None:
        self.turn_to(len(self.stops) - 1)

    @beat(when=lambda trace: trace.meta.n_kv_heads > 1)
    def attention_moves(self) -> None:
        """Turn it back and forth, and watch the patterns: with one set for all, and no training
        for it, {moved} of the attention lands on other words."""
        self.turn_to(self.at - 1)
        self.turn_to(self.at + 1)
        self.play(Vanish(self.heading), Appear(self.moved))

    @beat
    def what_it_costs(self) -> None:
        """And trained like that from the start? Of three models, alike in nearly everything else,
        the average of four tests falls from {best} to {worst} percent."""
        quality = self.quality
        self.at = len(self.stops)
        rest = Group(*(p for p in self.visible_parts() if p not in set(self.dial.get_family())))
        self.play(Vanish(rest), Vanish(self.dial.counts), Vanish(self.dial.title))
        self.camera.shot = Shot()
        if len(self.stops) == len(quality.dial.places):
            self.remove(self.dial)
            place = Dial([""] * len(self.stops), quality.stops, self.layout.dial)
            place.knob.move_to(place.places[-1])
            self.play(Arrive(quality.dial, place))
        else:
            self.play(Vanish(self.dial), Appear(quality.dial))
        self.play(Appear(quality.ground))
        self.play(*quality.begin())
        for stop in (1, 2):
            self.play(*quality.go_on(stop))
        self.play(Appear(quality.name))
