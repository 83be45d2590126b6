"""All attention patterns of the model as one wall, heads with a habit, and how many more."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from manim import Animation, Group, Mobject, Succession, VGroup, linear, smooth, squish_rate_func

from extract.architectures import architecture
from extract.patterns import first_token_weight, strongest_head
from extract.published import gpt2_trace, has_published_twin
from filmkit.core.animations import AnimateWith, Appear, MoveFromCopy, Presence, Vanish
from filmkit.core.camera import pin_to_frame
from filmkit.core.facts import fact, told
from filmkit.core.geometry import Box
from filmkit.core.language import N_, _
from filmkit.core.norm import Norm
from filmkit.core.numbers import (
    counted_heads,
    counted_layers,
    counted_patterns,
    format_large_share,
)
from filmkit.core.stage import Stage, beat
from filmkit.core.text import Label, break_lines, fit_size
from filmkit.core.view import LayerView
from filmkit.mobjects.flow import Draw, Wire
from filmkit.mobjects.marks import ColourBar, Highlight
from scenes.patterns.camera_paths import Fly, Tour
from scenes.patterns.layout import (
    NOTE_LINE,
    arc_shots,
    field_layout,
    habits_layout,
    wall_layout,
)
from scenes.patterns.wall import (
    HabitPattern,
    HeadCloseup,
    Note,
    PatternPlaces,
    PatternWall,
    WallTitle,
    names_width,
    prompt_patterns,
)

LARGE = architecture("DeepSeek-V3/R1")
LARGE_NAME = "DeepSeek-R1"
HABITS = {"previous": N_("one word back"), "sink": N_("back to the first token")}

BAR_GAP = 0.3  # from the notes down to the colour bar, in scene units
BAR_ROOM = 0.9  # height of that gap, the colour bar and the words at it
RESTS = 0.5  # a head rests if it gives the first token more than this share

# Parts of an animation's time in which something happens: at its start, and at its end.
EARLY, LATE = (squish_rate_func(smooth, *span) for span in ((0.0, 0.3), (0.7, 1.0)))


def with_share(model: str, share: float) -> str:
    """Return the name of a model with how much its head does what it does."""
    return _("{model}: {share}", model=model, share=format_large_share(share))


class Patterns(Stage):
    """One head's pattern, all of them, heads with a habit, and how many a large model has.

    The walls show traces, head by head; the large model has no trace, so it has places only.
    """

    title = "Every head’s pattern on one wall"
    tensors = ("pattern",)
    live = "patterns"

    def prepare(self) -> None:
        self.shows_gpt2, self.shows_large = False, False
        meta, view = self.trace.meta, self.layer
        patterns = prompt_patterns(self.trace)
        self.strongest = {name: strongest_head(patterns, name) for name in HABITS}
        total = meta.n_layers * meta.n_heads
        self.facts |= told(
            layers=(meta.n_layers, counted_layers),
            heads=(meta.n_heads, counted_heads),
            total=(total, counted_patterns),
            all=total,
            direction=_("from top to bottom") if self.frame.tall else _("from left to right"),
            first=_("the beginning token") if meta.has_bos else _("the first word"),
            resting=int((first_token_weight(patterns) > RESTS).sum()),
            many_layers=(LARGE.n_layers, counted_layers),
            many_heads=(LARGE.n_heads, counted_heads),
            many=LARGE.n_layers * LARGE.n_heads,
        )
        title = WallTitle(
            self.facts["total"],
            _("{layers} × {heads}", layers=self.facts["layers"], heads=self.facts["heads"]),
            room=self.frame.stage.width,
        )
        layout = wall_layout(
            self.frame,
            layers=meta.n_layers,
            heads=meta.n_heads,
            count=view.count,
            title=title.width,
            names=names_width(self.frame),
        )
        self.wall = PatternWall(view, layout, title)
        self.closeups = {
            name: HeadCloseup(
                self.wall, find.layer, find.head, self.frame, show_hidden=name == "sink"
            )
            for name, find in self.strongest.items()
        }
        self.overview = self.camera.shot
        if has_published_twin(self.trace):
            self._prepare_gpt2()

    def _prepare_gpt2(self) -> None:
        """Read the patterns of GPT-2 on the same prompt, and fill in the facts about them."""
        view = LayerView.of_prompt(
            gpt2_trace(), None, show_first_token=self.settings.show_first_token
        )
        meta = view.trace.meta
        patterns = prompt_patterns(view.trace)
        self.gpt2 = replace(view, compared=True)
        self.gpt2_strongest = {name: strongest_head(patterns, name) for name in HABITS}
        total = meta.n_layers * meta.n_heads
        self.facts |= told(gpt2=meta.model, gpt2_total=(total, counted_patterns))

    def provenance_notes(self) -> tuple[str, str]:
        about, hidden = super().provenance_notes()
        if self.shows_gpt2 and self.gpt2.trace.meta.published:
            model = self.gpt2.trace.meta.model
            about = about.replace(model, _("{model}, published values", model=model))
        if self.shows_large:
            about = f"{about}  ·  {_('grey: {model}', model=LARGE_NAME)}"
            hidden = self.hidden_note(short=True)
        return about, hidden

    # The wall

    @beat
    def one_of_many(self) -> None:
        """One head makes one pattern. This model has {layers} of {heads}: {total}."""
        tempo, layer, head = self.theme.tempo, self.layer.layer, self.head.head
        closeup = HeadCloseup(self.wall, layer, head, self.frame)
        note = Note(
            _("layer {layer}, head {head}", layer=layer, head=head),
            _("one head, one pattern"),
            "",
            _("each row tells where one word looks"),
            point=closeup.layout.notes,
            width=closeup.layout.note_width,
        )
        colour_bar = ColourBar(Norm.unit(), _("share of attention"), closeup.layout.colour_bar)
        notes = closeup.place_in_shot(Group(note, colour_bar))
        self.camera.shot = closeup.shot
        self.play(
            Appear(closeup.tile),
            Appear(closeup.words),
            Appear(note),
            Appear(colour_bar),
        )
        rows = [closeup.tile.row(index) for index in range(self.layer.count)]
        row = Highlight(rows[0], zoom=closeup.zoom)

        def pass_rows(alpha: float) -> None:
            row.move_to(rows[min(int(alpha * len(rows)), len(rows) - 1)].center)

        self.play(Appear(row, run_time=tempo.small / 2))
        self.play(AnimateWith(row, pass_rows, rate_func=linear, run_time=tempo.large))
        self.here = VGroup(self.wall.outline(layer, head))
        if not self.frame.tall:
            self.here.add(self.wall.name_of(layer, head))
        self.add(self.wall.cells)
        self.bring_to_front(closeup.tile)
        self.play(
            Vanish(closeup.words, rate_func=EARLY),
            *(Vanish(part, rate_func=EARLY) for part in (*notes, row)),
            Appear(self.here, rate_func=LATE),
            Fly(self.camera, self.overview),
            self.wall.wave_from(layer, head),
            run_time=tempo.swing,
        )
        self.remove(closeup.tile)
        self.wall_words = [self.wall.title, self.wall.numbers]
        self.play(*(Appear(part) for part in self.wall_words))
        self.leaving: list[Mobject] = [*self.wall_words, self.here]

    @beat(when=lambda trace: trace.meta.n_layers > 1)
    def through_the_model(self) -> None:
        """Read it {direction}: layer after layer, that is the way through the model."""
        tempo, layout = self.theme.tempo, self.wall.layout
        start, end = layout.layer_box(0), layout.layer_box(layout.layers - 1)
        column = Highlight(start, zoom=layout.pitch)
        home = column.get_center()
        way = np.subtract(end.center, start.center)

        def pass_layers(alpha: float) -> None:
            column.move_to(home + round(alpha * steps) / steps * way)

        steps = layout.layers - 1
        self.play(
            *(Vanish(part) for part in (*self.wall_words, self.here)),
            Appear(column),
        )
        self.play(
            Tour(
                self.camera,
                [*arc_shots(layout.box, self.frame), self.overview],
                durations=[1.0, 1.1, 1.1, 0.8],
            ),
            Succession(
                AnimateWith(column, lambda alpha: None, run_time=0.2),
                AnimateWith(column, pass_layers, run_time=0.6),
                AnimateWith(column, lambda alpha: None, run_time=0.2),
            ),
            run_time=2 * tempo.swing,
        )
        self.play(
            Vanish(column),
            *(Appear(part) for part in self.wall_words),
            *(Draw(part) if isinstance(part, Wire) else Appear(part) for part in self.wall.way),
            run_time=tempo.normal,
        )
        self.leaving = [*self.wall_words, self.wall.way]

    # Heads with a habit

    @beat
    def one_word_back(self) -> None:
        """Some heads have a habit. This one looks one word back."""
        self._visit("previous", _("of its attention goes to the word just before"))

    @beat
    def a_place_to_rest(self) -> None:
        """This one rests on {first}. {resting} of {all} heads give it more than half."""
        first = self.facts["first"]
        meaning = _("of its attention goes to {first}", first=first)
        if len(self.closeups["sink"].hidden):
            meaning = _("of its attention goes to {first}, which is drawn here", first=first)
        self._visit("sink", meaning)

    def _visit(self, name: str, meaning: str) -> None:
        """Fly to a head's pattern; its words and notes appear on arrival."""
        find, closeup = self.strongest[name], self.closeups[name]
        note = Note(
            _("layer {layer}, head {head}", layer=find.layer, head=find.head),
            _(HABITS[name]),
            fact("habit", find.value, format_large_share, habit_name=name),
            meaning,
            point=closeup.layout.notes,
            width=closeup.layout.note_width,
            bottom=self.frame.stage.bottom + BAR_ROOM,
        )
        # Where notes are long, the bar stands lower.
        box = closeup.layout.colour_bar
        box = box.moved(dy=min(0.0, float(note.get_bottom()[1]) - BAR_GAP - box.top))
        bar = ColourBar(Norm.unit(), _("share of attention"), box)
        closeup.place_in_shot(Group(note, bar))
        parts: list[Mobject] = [closeup.words, note, bar]
        if name == "sink":
            parts.append(Highlight(closeup.first_token_column, zoom=closeup.zoom))
            if len(closeup.hidden):
                parts.insert(0, closeup.hidden)
        self.play(
            Appear(closeup.tile, rate_func=EARLY),
            *(Vanish(part, rate_func=EARLY) for part in self.leaving),
            Fly(self.camera, closeup.shot),
            Succession(Presence(self.wall.cells, 1.0), Presence(self.wall.cells, 0.0)),
            *(Appear(part, rate_func=LATE) for part in parts),
            run_time=0.8 * self.theme.tempo.swing,
        )
        self.leaving = [closeup.tile, *parts]

    def _leave(self) -> list[Animation]:
        """Return animations that clear what the last beat showed, and bring the wall back."""
        parts = [Vanish(part, rate_func=EARLY) for part in self.leaving]
        return [*parts, Presence(self.wall.cells, 1.0, rate_func=EARLY)]

    # Two models

    @beat(when=has_published_twin)
    def the_same_words(self) -> None:
        """The same words in {gpt2}: {gpt2_total}, and the same habits."""
        tempo, other = self.theme.tempo, self.gpt2.trace.meta
        title = WallTitle(self.facts["gpt2_total"], self.facts["gpt2"], room=self.frame.stage.width)
        layout = habits_layout(
            self.frame,
            layers=other.n_layers,
            heads=other.n_heads,
            count=self.gpt2.count,
            title=title.width,
            start=self.wall.layout.box.left,
            names=names_width(self.frame),
        )
        wall = PatternWall(self.gpt2, layout.wall, title)
        own, others = zip(*self._habits(wall, layout.patterns), strict=True)
        names = []
        for text, (x, y), boxes in zip(HABITS.values(), layout.names, layout.patterns, strict=True):
            name = fit_size(_(text), boxes[1].right - x, size=self.theme.name_size)
            names.append(name.on_line(x + name.width / 2, y))
        if len(own[0].first):
            strip = Label(
                _("strip at the left: the first token"),
                size=self.theme.note_size,
                colour=self.theme.muted,
            )
            x, right = float(names[0].get_right()[0]) + 0.25, layout.patterns[0][1].right
            if x + strip.width <= right:
                names.append(strip.on_line(x + strip.width / 2, layout.names[0][1]))
        self.shows_gpt2 = True
        self.play(*self._leave(), run_time=tempo.small)
        self.play(
            Fly(self.camera, layout.shot),
            *(
                MoveFromCopy(self.wall.tile(find.layer, find.head), pattern.pattern)
                for find, pattern in zip(self.strongest.values(), own, strict=True)
            ),
            run_time=0.9 * tempo.swing,
        )
        # It is out of sight now.
        self.remove(self.wall.cells)
        find, words = self.gpt2_strongest["previous"], [wall.title, wall.numbers, wall.way]
        self.add(wall.cells)
        self.play(
            wall.wave_from(find.layer, find.head),
            *(Appear(part) for part in words),
            *(Appear(part) for pattern in own for part in (pattern.first, pattern.words)),
            *(Appear(name) for name in names),
            run_time=tempo.large,
        )
        frames = []
        for find, pattern in zip(self.gpt2_strongest.values(), others, strict=True):
            frames.append(wall.outline(find.layer, find.head))
            self.play(Appear(frames[-1]))
            frames.append(Highlight(pattern.pattern.box))
            self.play(
                MoveFromCopy(frames[-2], frames[-1]),
                MoveFromCopy(wall.tile(find.layer, find.head), pattern.pattern),
                Appear(pattern.first, rate_func=LATE),
                Appear(pattern.words, rate_func=LATE),
                run_time=tempo.normal,
            )
        self.leaving = [wall.cells, *words, *names, *frames]
        self.leaving += [part for pattern in (*own, *others) for part in pattern]

    def _habits(
        self, wall: PatternWall, places: tuple[tuple[Box, Box], ...]
    ) -> list[tuple[HabitPattern, HabitPattern]]:
        """Return the patterns of each habit: this model's, and the other's."""
        pairs = []
        for habit, boxes in zip(HABITS, places, strict=True):
            finds = self.strongest[habit], self.gpt2_strongest[habit]
            models = [_("this model"), self.gpt2.trace.meta.model]
            if habit == "previous":
                models = [
                    fact(
                        "habit",
                        find.value,
                        partial(with_share, model),
                        habit_name=habit,
                        twin=find is finds[1],
                    )
                    for model, find in zip(models, finds, strict=True)
                ]
            first, second = (
                HabitPattern(
                    place,
                    find,
                    box,
                    model,
                    _("layer {layer}, head {head}", layer=find.layer, head=find.head),
                )
                for place, find, box, model in zip(
                    (self.wall, wall), finds, boxes, models, strict=True
                )
            )
            pairs.append((first, second))
        return pairs

    # Many more

    @beat
    def many_more(self) -> None:
        """DeepSeek-R1 has {many_layers} of {many_heads}: {many} patterns for every prompt."""
        tempo, theme = self.theme.tempo, self.theme
        title = WallTitle(
            counted_patterns(LARGE.n_layers * LARGE.n_heads),
            _(
                "{model}: {layers} × {heads}",
                model=LARGE_NAME,
                layers=self.facts["many_layers"],
                heads=self.facts["many_heads"],
            ),
            LARGE_NAME,
            room=self.frame.stage.width,
        )
        explained = _(
            "in colour: this model’s {all}, to the same scale; grey: places only",
            all=self.facts["all"],
        )
        lines = break_lines(explained, self.frame.stage.width, size=theme.note_size)
        note = VGroup(*(Label(x, size=theme.note_size, colour=theme.muted) for x in lines))
        layout = field_layout(
            self.wall.layout,
            self.frame,
            layers=LARGE.n_layers,
            heads=LARGE.n_heads,
            title=title.width,
            note=max(line.width for line in note),
            note_lines=len(note),
        )
        # From another model's wall the camera flies away; around a close-up the wall comes back.
        leaving = [] if self.shows_gpt2 else self._leave()
        self.shows_gpt2, self.shows_large = False, True
        self.add(self.wall.cells)
        self.play(*leaving, Fly(self.camera, self.overview), run_time=tempo.large)
        self.remove(*self.leaving)
        places = PatternPlaces(layout, self.wall.layout)
        self.add(places)
        self.bring_to_back(places)
        self.play(
            Fly(self.camera, layout.shot),
            AnimateWith(places, places.grow),
            run_time=1.3 * tempo.swing,
        )
        title.at(layout.title)
        x, y = layout.note
        for index, line in enumerate(note):
            line.on_line(x + line.width / 2, y - NOTE_LINE * index)
        outline = Highlight(self.wall.layout.box, zoom=layout.pitch)
        for part in (title, note):
            pin_to_frame(part)
        self.play(Appear(title), Appear(note), Appear(outline))
