"""Heads that share keys and values: one set for all (MQA), or a set for each group (GQA)."""

from __future__ import annotations

from typing import ClassVar

from manim import AnimationGroup, Group, LaggedStart, Mobject, VGroup

from extract.architectures import Scheme
from extract.sharing import groups_for
from extract.trace import Trace
from filmkit.core.animations import (
    AnimateWith,
    Appear,
    Arrive,
    Brighten,
    Glide,
    Presence,
    Recolour,
    Settle,
    Vanish,
    first_half,
    second_half,
    set_presence,
)
from filmkit.core.camera import Shot, pin_to_frame, set_depth_plane
from filmkit.core.heatmap import Heatmap
from filmkit.core.numbers import format_number, format_share, format_short
from filmkit.core.stage import Stage, StageError, beat
from filmkit.core.text import Label
from filmkit.mobjects.chart import grow_bar
from filmkit.mobjects.head_stack import HeadStack, free_from_card
from filmkit.mobjects.head_stack_marks import HeadNumbers
from filmkit.mobjects.panel import Header
from filmkit.mobjects.shared_head_stack import SharedHeadStack
from filmkit.mobjects.shared_view import SharedPanels, SharedView
from scenes.sharing.comparisons import PatternColumns, SharedCache, TradeOff
from scenes.sharing.notes import sharing_notes


class SharedHeads(Stage):
    """From keys and values for every head to shared ones, what that changes, saves and costs.

    Subclasses decide which heads share: :class:`MultiQuery` and :class:`GroupedQuery`. A model
    that already shares in this way is shown as it was trained. For any other model, keys and
    values are pooled (averaged over a group), and everything that follows is computed again.
    """

    scheme: ClassVar[Scheme]
    tensors = ("q", "q_rot", "k", "k_rot", "v", "pattern", "z")

    @classmethod
    def n_groups(cls, trace: Trace) -> int:
        """Return the number of sets of keys and values."""
        raise NotImplementedError

    def prepare(self) -> None:
        meta = self.trace.meta
        if meta.attention == "mla":
            raise StageError(
                f"{meta.model} keeps a latent instead of keys and values; render scene_mla"
            )
        if meta.n_heads == 1:
            raise StageError(
                f"{meta.model} has one head, which has nothing to share; give another trace"
            )
        head = self.head.head
        self.view = SharedView.of(self.layer, self.n_groups(self.trace))
        self.head_stack = HeadStack(self.layer, self.frame, featured=head)
        self.shared_stack = SharedHeadStack(self.head_stack, self.view)
        self.columns = PatternColumns(self.view, self.frame, head)
        self.cache = SharedCache(self.view, self.frame)
        self.trade_off = TradeOff(self.scheme, self.frame)
        self.notes = sharing_notes(self.view, self.scheme)
        self.facts |= self._facts()

    def _facts(self) -> dict[str, str]:
        """Return the numbers and words of the narration."""
        meta, groups = self.trace.meta, self.view.shared.n_groups
        heads, own = meta.n_heads, meta.n_kv_heads
        several = f"{groups} sets, and {heads // groups} heads read each"
        before, after = (n * (meta.d_qk + meta.d_v) for n in (heads, groups))
        caches = self.trade_off.caches
        return {
            "scheme": "Multi-query" if self.scheme == "mqa" else "Grouped-query",
            "heads": str(heads),
            "own": str(own),
            "kept": "one set for all heads" if groups == 1 else several,
            "which": "it" if groups == 1 else "each",
            "pooled": str(own // groups),
            "moved": format_share(self.view.shared.pattern_distance.mean),
            "after": f"{after:,}",
            "before": f"{before:,}",
            "fewer": format_short(heads / groups),
            "megabytes": format_number(caches["mha"].size() / 1e6, 2),
            "kilobytes": format_number(caches[self.scheme].size() / 1e3),
        }

    def variant(self, beat: str) -> str:
        meta = self.trace.meta
        if beat == "a_set_for_every_head" and meta.n_kv_heads == meta.n_heads:
            return "own"
        return "pooled" if self.pooled else "shared"

    @property
    def pooled(self) -> bool:
        """Whether the model was trained with more sets of keys and values than are shown."""
        return self.view.shared.pooled

    def provenance_notes(self) -> tuple[str, str]:
        source, hidden = super().provenance_notes()
        place = f"layer {self.layer.layer}"
        all_heads = f"{place}, all {self.trace.meta.n_heads} heads"
        return source.replace(f"{place}, head {self.head.head}", all_heads), hidden

    @staticmethod
    def _name_and_symbol(header: Header) -> VGroup:
        """Return name and symbol of a panel, without its shape."""
        return VGroup(*(part for part in (header.name, header.symbol) if part is not None))

    def _pinned_sentence(self, *lines: str) -> VGroup:
        """Build muted lines at the lower right of the frame, which stay there."""
        labels = VGroup()
        for text, (x, y) in zip(lines, self.shared_stack.layout.sentences(len(lines)), strict=True):
            label = Label(text, colour=self.theme.muted)
            labels.add(label.on_line(x - label.width / 2, y))
        return pin_to_frame(labels)

    # In space

    @beat(
        own="Each of {heads} heads has its own keys and values, all cached.",
        pooled="This model's {heads} heads already share {own} sets of keys and values.",
        shared="Full attention gives each of {heads} heads its own keys and values. "
        "This model has {own}.",
    )
    def a_set_for_every_head(self) -> None:
        head_stack, tempo = self.head_stack, self.theme.tempo
        self.camera.shot = head_stack.layout.from_left
        own = head_stack.parts("k", "v")
        self.headers = {
            name: self._name_and_symbol(getattr(head_stack.labels, name)) for name in ("k", "v")
        }
        shared = {id(word) for words in self.headers.values() for word in words}
        # The cards themselves stay: what is behind would shine through.
        bodies = head_stack.parts("plane", "body")
        not_dimmed = {id(part) for part in (*bodies, *head_stack.parts("k", "v"))}
        self.dimmed_parts = Group(
            *(part for card in head_stack.cards for part in card if id(part) not in not_dimmed),
            *(word for word in head_stack.labels.names if id(word) not in shared),
        )
        if not self.pooled:
            set_presence(own, 0.0)
            own = Group(*(o for card in self.shared_stack.outlines.values() for o in card.values()))
        self.numbers = HeadNumbers(head_stack, head_stack.layout.from_left)
        self.sentence = self._pinned_sentence(self.notes.trained)
        whole = Group(bodies, self.dimmed_parts, own, *self.headers.values(), self.numbers)
        self.play(Appear(whole), run_time=tempo.normal)
        self.play(
            *self.dim(self.dimmed_parts, to=0.45), Appear(self.sentence), run_time=tempo.small
        )

    @beat(
        pooled="{scheme} attention keeps {kept}. Here {which} is the mean of {pooled}.",
        shared="{scheme} attention keeps {kept}.",
    )
    def one_set_for_many(self) -> None:
        head_stack, shared_stack, tempo = self.head_stack, self.shared_stack, self.theme.tempo
        moving = [m for name in ("k", "v") for m in self._to_shared(name)]
        self.play(
            Vanish(Group(self.sentence, self.numbers), run_time=tempo.small),
            self.move_camera(shared_stack.layout.from_left),
            *moving,
            run_time=0.9 * tempo.swing,
        )
        self.shared = Group(*shared_stack.keys, *shared_stack.values)
        if self.pooled:
            set_presence(head_stack.parts("k", "v"), 0.0)
            self.add(self.shared)
        else:
            self.play(Appear(self.shared), run_time=tempo.small)
        self.remove(*(o for card in shared_stack.outlines.values() for o in card.values()))
        self.sentence = self._pinned_sentence(*self.notes.rule)
        fan_outs = [*shared_stack.key_fan_outs, *shared_stack.value_fan_outs]
        self.add(*(fan_out.set_drawn(0) for fan_out in fan_outs))
        self.play(
            *(AnimateWith(fan_out, fan_out.set_drawn) for fan_out in fan_outs),
            Appear(Group(shared_stack.readers, shared_stack.frames)),
            Appear(self.sentence),
            run_time=tempo.normal,
        )

    def _to_shared(self, name: str) -> list[AnimationGroup | Glide]:
        """Return animations that move the keys or values of all cards, and their header, together.

        ``name`` is "k" or "v"; the target is the place of the shared panels.
        """
        shared_stack, header = self.shared_stack, self.headers[name]
        panels = shared_stack.keys if name == "k" else shared_stack.values
        moving: list[AnimationGroup | Glide] = [
            Glide(set_depth_plane(header, panels[0]), shared_stack.copy_header(name, header))
        ]
        for cells, index in shared_stack.own_panels(name):
            target = panels[index]
            if self.pooled:
                mean = Recolour(cells, values=target.values, source=target.source)
                moving.append(AnimationGroup(Glide(free_from_card(cells), target), mean))
        if not self.pooled:
            for index, heads in enumerate(shared_stack.groups):
                for head in heads:
                    outline = shared_stack.outlines[head][name]
                    target = shared_stack.copy_to_shared(name, outline, head, index)
                    moving.append(Glide(set_depth_plane(outline, panels[index]), target))
        return moving

    @beat(
        pooled="Every head now reads the shared keys: scores, pattern and mix are computed again.",
        shared="The queries still differ, so every head keeps a pattern of its own.",
    )
    def every_head_reads_it(self) -> None:
        head_stack, tempo = self.head_stack, self.theme.tempo
        changes = {card.head: self.view.head(card.head) for card in head_stack.cards}
        self.play(
            Vanish(self.sentence),
            *self.undim(*(Group(card.k_t, card.wires.key) for card in head_stack.cards)),
            *self._recolour(changes, "k_t"),
            run_time=tempo.normal,
        )
        self.sentence = self._pinned_sentence(self.notes.changed)
        self.play(
            *self.undim(self.dimmed_parts),
            self.move_camera(self.shared_stack.layout.from_right),
            Vanish(Group(self.shared_stack.readers, *self.headers.values()), run_time=tempo.small),
            Appear(self.sentence, run_time=tempo.small),
            run_time=0.7 * tempo.swing,
        )
        for name in ("scores", "pattern", "z") if self.pooled else ():
            self.play(*self._recolour(changes, name), run_time=tempo.small)

    def _recolour(self, changes: dict[int, SharedPanels], name: str) -> list[Recolour]:
        """Return animations that give a panel of every card its numbers from the shared keys."""
        if not self.pooled:
            return []
        animations = []
        for card in self.head_stack.cards:
            values, source = changes[card.head][name]
            animations.append(Recolour(getattr(card, name), values=values, source=source))
        return animations

    # Side by side

    @beat(
        pooled="{moved} of the attention moves to other words. Training has to make up for that.",
        shared="The same keys with other queries give other patterns.",
    )
    def patterns_side_by_side(self) -> None:
        head_stack, columns, tempo = self.head_stack, self.columns, self.theme.tempo
        heads = columns.heads
        moving = [(head_stack.cards[h].pattern, columns.lower[h]) for h in heads]
        if not self.pooled:
            moving += [(head_stack.cards[h].q, columns.upper[h].box) for h in heads]
            moving += [(cells, box) for cells, box, _ in columns.key_boxes(self.shared_stack)]
        moving_cells = [cells for cells, _ in moving]
        leaving = Group(*(part for part in self.visible_parts() if part not in moving_cells))
        self.play(
            self.move_camera(Shot()),
            Vanish(leaving, run_time=tempo.normal),
            LaggedStart(*(Settle(free_from_card(c), box) for c, box in moving), lag_ratio=0.05),
            *(Brighten(cells) for cells, _ in moving),
            run_time=0.7 * tempo.swing,
        )
        appearing: list[Mobject] = [columns.titles, columns.names]
        if self.pooled:
            appearing += columns.upper.values()
        self.play(*(Appear(part) for part in appearing), run_time=tempo.small)
        self.hold()
        self.play(Appear(columns.numbers), Appear(columns.total), run_time=tempo.small)

    # What it saves and what it costs

    @beat
    def the_cache_shrinks(self) -> None:
        """For each token, this layer caches {after} numbers instead of {before}:
        {fewer} times fewer."""
        cache, tempo = self.cache, self.theme.tempo
        moving = self._to_cache()
        parts = {id(cells) for cells, _ in moving}
        rest = Group(*(part for part in self.visible_parts() if id(part) not in parts))
        self.play(
            Vanish(rest, rate_func=first_half),
            self.move_camera(cache.shot),
            *(Glide(free_from_card(cells), place) for cells, place in moving),
            *(Vanish(cells, rate_func=second_half) for cells, _ in moving),
            *(Appear(part, rate_func=second_half) for part in (cache.full, cache.own)),
            run_time=tempo.large,
        )
        bars = cache.bars
        lines = [
            pin_to_frame(Group(bars.names[i], bars.notes[i], bars.sizes[i]))
            for i in range(len(bars.rows))
        ]
        pin_to_frame(Group(cache.title, *bars.bars))
        self.play(Appear(cache.names), Appear(cache.title), run_time=tempo.small)
        before = len(lines) - self.pooled
        for index in range(before):
            self.play(Appear(lines[index]), grow_bar(bars.bars[index]), run_time=tempo.small)
        if self.pooled:
            left = self.view.shared.n_groups
            self.play(
                cache.own.change_range(units=(0.0, float(left))),
                Appear(lines[-1]),
                grow_bar(bars.bars[-1]),
                run_time=tempo.large,
            )
            cache.shared.set_range(units=(0.0, float(left)))
            self.play(Appear(cache.shared), run_time=tempo.small)
            self.remove(cache.own)

    def _to_cache(self) -> list[tuple[Heatmap, Heatmap]]:
        """Return the panels that stand side by side, each with its copy in the cache."""
        columns = self.columns
        if not self.pooled:
            panels = [
                ("k", heads[0], cells) for cells, _, heads in columns.key_boxes(self.shared_stack)
            ]
        else:
            panels = [("k", head, columns.upper[head]) for head in columns.heads]
            panels += [("v", head, self.head_stack.cards[head].pattern) for head in columns.heads]
        return [
            (cells, self.cache.copy_in_cache(name, head, cells)) for name, head, cells in panels
        ]

    @beat
    def what_it_costs(self) -> None:
        """At DeepSeek-R1's size, {megabytes} megabytes a token become {kilobytes} kilobytes.
        But models trained that way scored lower."""
        trade_off, tempo = self.trade_off, self.theme.tempo
        saved, before = trade_off.saved, self.cache.bars.bars
        # The longest and the last bar stay, and become those of a larger model.
        staying = [(saved.bars[0], before[0]), (saved.bars[1], before[-1])]
        pin_to_frame(Group(trade_off.saved_title, saved.bars))
        for bar, old in staying:
            set_presence(bar, float(old[0].get_fill_opacity()))
        self.remove(*(old for _, old in staying))
        self.play(
            Vanish(Group(*self.visible_parts())),
            *(Arrive(bar, old) for bar, old in staying),
            *(Presence(bar, 1.0) for bar, _ in staying),
            Appear(trade_off.saved_title, rate_func=second_half),
            run_time=tempo.normal,
        )
        self.play(self.move_camera(Shot()), run_time=tempo.small)
        for index in range(len(saved.rows)):
            words = Group(saved.names[index], saved.notes[index], saved.sizes[index])
            growing = [grow_bar(saved.bars[index])] if index >= len(staying) else []
            self.play(Appear(words), *growing, run_time=tempo.small)
        plot = trade_off.quality
        ground = Group(plot.rules, plot.ticks, plot.title, plot.names)
        self.play(
            Appear(Group(trade_off.quality_title, trade_off.source, ground)), run_time=tempo.small
        )
        # From the best score to the worst; the line between them shows what is lost.
        for index in reversed(range(len(plot.dots))):
            parts = [plot.dots[index], plot.series_names[index], plot.numbers[index]]
            self.play(Appear(Group(*parts)), run_time=tempo.small)
        self.add(plot.ties, plot.dots)
        self.play(Appear(plot.ties), run_time=0.3)


class MultiQuery(SharedHeads):
    """One set of keys and values for all heads."""

    title = "One set of keys and values for all heads"
    scheme = "mqa"

    @classmethod
    def n_groups(cls, trace: Trace) -> int:
        return 1


class GroupedQuery(SharedHeads):
    """A set of keys and values for each group of heads: the model's groups, if it has any."""

    title = "A set of keys and values for each group"
    scheme = "gqa"

    @classmethod
    def n_groups(cls, trace: Trace) -> int:
        meta = trace.meta
        return meta.n_kv_heads if meta.n_kv_heads < meta.n_heads else groups_for(meta.n_heads)
