"""All attention patterns of the model as one wall, and close-ups of three heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from manim import Group, Mobject, Succession, VGroup, smooth, squish_rate_func

from extract.architectures import architecture
from extract.patterns import CRITERIA, StrongestHead, strongest_head
from extract.published import gpt2_trace, has_published_twin
from extract.trace import TraceMeta
from filmkit.core.animations import AnimateWith, Appear, Presence, Settle, Vanish
from filmkit.core.camera import pin_to_frame
from filmkit.core.norm import Norm
from filmkit.core.numbers import format_counted, format_large_share, format_share
from filmkit.core.printable import printable
from filmkit.core.stage import Stage, beat
from filmkit.core.text import NO_BREAK_SPACE, Label, break_lines, fit_word
from filmkit.core.view import LayerView
from filmkit.mobjects.marks import ColourBar, Highlight
from scenes.patterns.camera_paths import Fly, Tour
from scenes.patterns.layout import (
    TwoWallsLayout,
    arc_shots,
    empty_wall_layout,
    two_walls_layout,
    wall_layout,
)
from scenes.patterns.wall import (
    EmptyWall,
    HeadCloseup,
    Note,
    PatternWall,
    prompt_patterns,
)

LARGE = architecture("DeepSeek-V3/R1")
LARGE_NAME = "DeepSeek-R1"

FAINT = 0.35  # opacity of the wall behind the three heads
NEARLY_GONE = 0.07  # opacity of the wall around the head in a close-up

# Parts of an animation's time in which something happens: at its start, after that, at its end.
EARLY, AFTER, LATE = (
    squish_rate_func(smooth, *span) for span in ((0.0, 0.3), (0.3, 1.0), (0.7, 1.0))
)


def _rounding(meta: TraceMeta) -> str:
    """Return the end of a line that says how far published values are rounded."""
    if meta.published is None:
        return ""
    return f"; published, to 1/{1 / (2 * meta.published.precision):.0f}"


class Patterns(Stage):
    """One head's pattern, all of them, three close-ups, and how many a large model has.

    The wall shows the trace, head by head; the large model has no trace, so its cells are empty.
    """

    title = "Every head’s pattern on one wall"
    tensors = ("pattern",)

    def prepare(self) -> None:
        meta, view = self.trace.meta, self.layer
        patterns = prompt_patterns(self.trace)
        self.strongest_heads = {name: strongest_head(patterns, name) for name in CRITERIA}
        self.facts |= self._facts(patterns)
        if has_published_twin(self.trace):
            self._prepare_gpt2()
        layout = wall_layout(self.frame, layers=meta.n_layers, heads=meta.n_heads, count=view.count)
        title = "{layers} × {heads} = {total}".format(**self.facts)
        self.wall = PatternWall(view, layout, title)
        self.closeups = {
            name: HeadCloseup(
                self.wall, find.layer, find.head, self.frame, show_hidden=name == "sink"
            )
            for name, find in self.strongest_heads.items()
        }
        self.overview = self.camera.shot
        self.blocks = Group(*self.wall.blocks)
        self.tiles = Group(*(closeup.tile for closeup in self.closeups.values()))
        self.outlines = VGroup(*(closeup.outline() for closeup in self.closeups.values()))

    def _facts(self, patterns: npt.NDArray[np.float64]) -> dict[str, str]:
        meta = self.trace.meta
        total = meta.n_layers * meta.n_heads
        spread = self.strongest_heads["spread"]
        last = patterns[spread.layer, spread.head, -1]
        return {
            "layers": format_counted(meta.n_layers, "layer"),
            "heads": format_counted(meta.n_heads, "head"),
            "total": format_counted(total, "pattern"),
            "all": format_counted(total, "head"),
            "before": format_share(self.strongest_heads["previous"].value),
            "most": format_share(float(last[int(meta.has_bos) :].max())),
            "rest": format_share(float(last[0])),
            "last": printable(self.layer.words[-1]),
            "sink": format_large_share(self.strongest_heads["sink"].value),
            "first": "the beginning token" if meta.has_bos else "the first word",
            "many_layers": format_counted(LARGE.n_layers, "layer"),
            "many_heads": format_counted(LARGE.n_heads, "head"),
            "many": format_counted(LARGE.n_layers * LARGE.n_heads, "pattern"),
        }

    def _prepare_gpt2(self) -> None:
        """Read the patterns of GPT-2 on the same prompt, and fill in the facts about them."""
        view = LayerView.of_prompt(
            gpt2_trace(), None, show_first_token=self.settings.show_first_token
        )
        self.gpt2 = replace(view, compared=True)
        meta = view.trace.meta
        self.gpt2_head = strongest_head(prompt_patterns(view.trace), "previous")
        self.facts |= {
            "gpt2": meta.model,
            "gpt2_layers": format_counted(meta.n_layers, "layer"),
            "gpt2_heads": format_counted(meta.n_heads, "head"),
            "gpt2_total": format_counted(meta.n_layers * meta.n_heads, "pattern"),
            "gpt2_place": f"layer {self.gpt2_head.layer}, head {self.gpt2_head.head}",
            "gpt2_before": format_large_share(self.gpt2_head.value),
        }

    def provenance_notes(self) -> tuple[str, str]:
        model, hidden = super().provenance_notes()
        return f"{model.rpartition('  ·  ')[0]}  ·  all layers, all heads", hidden

    # The wall

    @beat
    def one_of_many(self) -> None:
        """One head makes one pattern. This model has {layers} of {heads}: {total}."""
        tempo, layer, head = self.theme.tempo, self.layer.layer, self.head.head
        closeup = HeadCloseup(self.wall, layer, head, self.frame)
        note = Note(
            f"layer {layer}, head {head}",
            "one head, one pattern",
            "each row tells where one word looks",
            point=closeup.layout.notes,
            width=closeup.layout.note_width,
        )
        colour_bar = ColourBar(Norm.unit(), "share of attention", closeup.layout.colour_bar)
        notes = closeup.place_in_shot(Group(note, colour_bar))
        self.camera.shot = closeup.shot
        self.play(Appear(closeup.tile), Appear(closeup.words), Appear(notes), run_time=tempo.small)
        self.hold(words=5)
        self.first_outline = closeup.outline()
        self.add(self.blocks)
        self.bring_to_front(closeup.tile, self.provenance)
        self.play(
            Vanish(Group(closeup.words, notes), rate_func=EARLY),
            Appear(self.first_outline, rate_func=LATE),
            Fly(self.camera, self.overview),
            *self.wall.wave_from(layer, head),
            run_time=2.4,
        )
        self.remove(closeup.tile)
        self.play(Appear(self.wall.title), Appear(self.wall.numbers), run_time=tempo.small)
        self.hold(words=4)

    @beat
    def along_the_wall(self) -> None:
        """Each head reads the prompt in its own way. Here are three, found by measuring
        every one."""
        tempo, wall = self.theme.tempo, self.wall
        wall_labels = Group(wall.title, wall.numbers)
        self.play(
            Vanish(Group(wall_labels, self.first_outline), rate_func=EARLY),
            Tour(
                self.camera,
                [*arc_shots(wall.layout.box), self.overview],
                durations=[1.0, 1.1, 1.1, 0.8],
            ),
            run_time=4.2,
        )
        self.add(self.tiles)
        self.play(
            Presence(self.blocks, FAINT),
            Appear(self.outlines),
            Appear(wall_labels),
            run_time=tempo.small,
        )
        self.closeup_labels = wall_labels
        self.hold(words=2)

    # Three heads

    @beat
    def one_word_back(self) -> None:
        """This head looks one word back: {before} of its attention goes there."""
        note = self._closeup_note(
            "previous",
            "one word back",
            "{before} of its attention goes to the word right before",
            "the strongest of {all} by the mean over its rows, without the first token",
        )
        self._visit("previous", note)

    @beat
    def the_whole_prompt(self) -> None:
        """This one takes in the whole prompt: its last row gives no word more than {most}."""
        measurement = "in the row of “{last}” no word gets more than {most}"
        if self.trace.meta.has_bos:
            measurement += "; {first} gets {rest}"
        note = self._closeup_note(
            "spread",
            "the whole prompt",
            measurement,
            "the widest last row of {all} by its entropy, without the first token",
        )
        closeup = self.closeups["spread"]
        row = Highlight(closeup.tile.row(self.layer.count - 1), zoom=closeup.zoom)
        self._visit("spread", note, row)

    @beat
    def a_place_to_rest(self) -> None:
        """And this one rests: {sink} of its attention goes to {first}."""
        closeup = self.closeups["sink"]
        measurement = "{sink} of its attention goes to {first}"
        if len(closeup.hidden):
            measurement += ", drawn here for once"
        note = self._closeup_note(
            "sink",
            "a place to rest",
            measurement,
            "the strongest of {all} by the mean over its rows, without the first row",
        )
        column = Highlight(closeup.first_token_column, zoom=closeup.zoom)
        self._visit("sink", closeup.hidden, note, column)

    def _closeup_note(self, name: str, behaviour: str, measurement: str, criterion: str) -> Note:
        """Build the notes of a head's close-up, with the facts filled in."""
        find, closeup = self.strongest_heads[name], self.closeups[name]
        place = f"layer {find.layer}, head {find.head}"
        lines = (line.format(**self.facts) for line in (place, behaviour, measurement, criterion))
        note = Note(*lines, point=closeup.layout.notes, width=closeup.layout.note_width)
        return closeup.place_in_shot(note)

    def _visit(self, name: str, *notes: Mobject) -> None:
        """Fly to a head's pattern; its words and notes appear on arrival.

        The wall and its highlights can be seen on the way, and fade at the end.
        """
        closeup = self.closeups[name]
        labels = Group(closeup.words, *notes)
        others = Group(self.outlines, *(tile for tile in self.tiles if tile is not closeup.tile))
        self.play(
            Vanish(self.closeup_labels, rate_func=EARLY),
            Fly(self.camera, closeup.shot),
            Succession(Presence(self.blocks, FAINT), Presence(self.blocks, NEARLY_GONE)),
            Succession(Presence(others, 1.0), Presence(others, 0.0)),
            Presence(closeup.tile, 1.0, rate_func=EARLY),
            Appear(labels, rate_func=LATE),
            # The provenance says that the first token is not drawn; in this close-up it may be.
            Presence(self.provenance[1], 0.0 if len(closeup.hidden) else 1.0),
            run_time=2.1,
        )
        self.closeup_labels = labels
        self.hold(2.7)

    # Two models

    @beat(when=has_published_twin)
    def the_same_words(self) -> None:
        """The same words in {gpt2}: {gpt2_layers} of {gpt2_heads}, {gpt2_total}. One of its
        heads looks one word back too: {gpt2_place}, with {gpt2_before} of its attention."""
        tempo, other = self.theme.tempo, self.gpt2.trace.meta
        layout = two_walls_layout(
            self.frame,
            self.wall.layout,
            layers=other.n_layers,
            heads=other.n_heads,
            count=self.gpt2.count,
        )
        first, second = layout.first, layout.second
        self.play(
            Vanish(Group(self.closeup_labels, self.outlines, self.tiles), rate_func=EARLY),
            Presence(Group(self.blocks, self.provenance), 1.0, rate_func=EARLY),
            Fly(self.camera, self.overview),
            *(
                Settle(block, first.block_box(i), rate_func=AFTER)
                for i, block in enumerate(self.wall.blocks)
            ),
            run_time=2.2,
        )
        wall = PatternWall(self.gpt2, second, "")
        blocks = Group(*wall.blocks)
        self.add(blocks)
        heads = self.strongest_heads["previous"], self.gpt2_head
        titles, notes = self._wall_words(layout, heads)
        self.play(
            *wall.wave_from(self.gpt2_head.layer, self.gpt2_head.head),
            Appear(titles),
            run_time=tempo.large,
        )
        self.hold(words=5)
        outlines = VGroup(
            *(
                Highlight(
                    place.tile(find.layer, find.head), colour=self.theme.pattern, zoom=place.pitch
                )
                for place, find in zip((first, second), heads, strict=True)
            )
        )
        self.play(Appear(outlines), Appear(notes), run_time=tempo.small)
        self.hold(3.5)
        # The next beat lets all of this vanish.
        self.closeup_labels = Group(blocks, titles, notes, outlines)

    def _wall_words(
        self, layout: TwoWallsLayout, heads: Sequence[StrongestHead]
    ) -> tuple[VGroup, VGroup]:
        """Return the lines above the walls, and those below them that tell of a head of each."""
        theme = self.theme
        titles, notes = VGroup(), VGroup()

        def line(
            point: tuple[float, float], text: str, room: float, size: float, colour: str
        ) -> Label:
            label = fit_word(text, room, size=size, colour=colour)
            return label.on_line(point[0] + label.width / 2, point[1])

        for wall, find, room, title, source in zip(
            (layout.first, layout.second),
            heads,
            layout.room,
            ("this model: {total}", "{gpt2}: {gpt2_total}"),
            ("", _rounding(self.gpt2.trace.meta)),
            strict=True,
        ):
            name = title.format(**self.facts)
            titles.add(line(layout.title(wall), name, room, theme.name_size, theme.ink))
            note = f"one word back: {format_large_share(find.value)}"
            place = f"layer {find.layer}, head {find.head}{source}"
            notes.add(
                line(layout.note(wall), note, room, theme.shape_size, theme.ink),
                line(layout.place(wall), place, room, theme.note_size, theme.muted),
            )
        return titles, notes

    # Many more

    @beat
    def many_more(self) -> None:
        """DeepSeek-R1 has {many_layers} of {many_heads}: {many} for every prompt."""
        tempo, wall = self.theme.tempo, self.wall
        name, note = self._large_model_labels()
        layout = empty_wall_layout(
            wall.layout,
            self.frame,
            layers=LARGE.n_layers,
            heads=LARGE.n_heads,
            title=[line.width for line in name],
            note=note.width,
        )
        stacked = wall.layout.stacked()
        places = [stacked.layers_box(*wall.layout.span(i)) for i in range(len(wall.blocks))]
        self.play(
            Vanish(Group(self.closeup_labels, self.outlines, self.tiles), rate_func=EARLY),
            Presence(Group(self.blocks, self.provenance), 1.0, rate_func=EARLY),
            Fly(self.camera, layout.shot),
            *(
                Settle(block, box, rate_func=AFTER)
                for block, box in zip(wall.blocks, places, strict=True)
            ),
            run_time=2.6,
        )
        empty = EmptyWall(layout)
        self.add(empty)
        self.bring_to_back(empty)
        self.play(AnimateWith(empty, empty.grow), run_time=tempo.large)
        for line, (x, y) in zip(name, layout.title, strict=True):
            line.on_line(x + line.width / 2, y)
        x, y = layout.note
        note.on_line(x - note.width / 2, y)
        outline = Highlight(stacked.box, colour=self.theme.pattern, zoom=stacked.pitch)
        pin_to_frame(VGroup(name, note))
        self.play(Appear(VGroup(name, note)), Appear(outline), run_time=tempo.small)
        self.hold(words=6)

    def _large_model_labels(self) -> tuple[VGroup, Label]:
        """Return the title of the large model, in lines that fit, and the note on its grid."""
        theme = self.theme
        count = "{many_layers} × {many_heads} = {many}".format(**self.facts)
        text = f"{LARGE_NAME}: {count.replace(' ', NO_BREAK_SPACE)}"
        lines = break_lines(text, self.frame.stage.width, size=theme.name_size)
        name = VGroup(*(Label(line, size=theme.name_size) for line in lines))
        text = "in colour: this model; empty: not traced"
        return name, Label(text, size=theme.note_size, colour=theme.muted)
