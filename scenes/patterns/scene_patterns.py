"""All attention patterns of the model as one wall, and what three of its heads do."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from manim import Group, Mobject, Succession, VGroup, smooth, squish_rate_func

from extract.architectures import architecture
from extract.patterns import CRITERIA, strongest
from filmkit.core.animations import Appear, Follow, Presence, Settle, Vanish
from filmkit.core.camera import pin_to_frame
from filmkit.core.norm import Norm
from filmkit.core.numbers import format_share
from filmkit.core.printable import printable
from filmkit.core.stage import Stage, beat
from filmkit.core.text import UNBROKEN_SPACE, Label, broken
from filmkit.mobjects.marks import ColourBar, Highlight
from scenes.patterns.camera_paths import Fly, Tour
from scenes.patterns.layout import arc, empty_layout, wall_layout
from scenes.patterns.wall import (
    EmptyWall,
    HeadStop,
    Note,
    PatternWall,
    prompt_patterns,
)

MANY = architecture("DeepSeek-V3/R1")
MANY_NAME = "DeepSeek-R1"

FAINT = 0.35  # of the wall behind the three heads
NEARLY_GONE = 0.07  # of what lies around a head that is looked at

EARLY, AFTER, LATE = (
    squish_rate_func(smooth, *span) for span in ((0.0, 0.3), (0.3, 1.0), (0.7, 1.0))
)


def counted(number: int, name: str) -> str:
    """A number with what it counts: "1 head", "7,808 patterns"."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def almost(share: float) -> str:
    """A share as a percentage that is not rounded up to all of it.

    >>> almost(0.72), almost(0.9998)
    ('72 %', 'over 99.9 %')
    """
    if round(100 * share) < 100:
        return format_share(share)
    return f"over {math.floor(1000 * share) / 10:.1f} %" if share < 1 else "100 %"


class Patterns(Stage):
    """From one head's pattern to all of them, three closer looks, and how many a large model has.

    The wall is the trace, head by head; the large model's places are empty.
    """

    title = "Every head’s pattern on one wall"
    tensors = ("pattern",)

    def prepare(self) -> None:
        meta, view = self.trace.meta, self.layer
        patterns = prompt_patterns(self.trace)
        self.found = {name: strongest(patterns, name) for name in CRITERIA}
        self.facts |= self._figures(patterns)
        layout = wall_layout(self.frame, layers=meta.n_layers, heads=meta.n_heads, count=view.count)
        title = "{layers} × {heads} = {total}".format(**self.facts)
        self.wall = PatternWall(view, layout, title)
        self.stops = {
            name: HeadStop(self.wall, find.layer, find.head, self.frame, show_hidden=name == "sink")
            for name, find in self.found.items()
        }
        self.overview = self.camera.shot
        self.blocks = Group(*self.wall.blocks)
        self.tiles = Group(*(stop.tile for stop in self.stops.values()))
        self.edges = VGroup(*(stop.edge() for stop in self.stops.values()))

    def _figures(self, patterns: npt.NDArray[np.float64]) -> dict[str, str]:
        meta = self.trace.meta
        total = meta.n_layers * meta.n_heads
        spread = self.found["spread"]
        last = patterns[spread.layer, spread.head, -1]
        return {
            "layers": counted(meta.n_layers, "layer"),
            "heads": counted(meta.n_heads, "head"),
            "total": counted(total, "pattern"),
            "all": counted(total, "head"),
            "before": format_share(self.found["previous"].value),
            "most": format_share(float(last[int(meta.has_bos) :].max())),
            "rest": format_share(float(last[0])),
            "last": printable(self.layer.words[-1]),
            "sink": almost(self.found["sink"].value),
            "first": "the beginning token" if meta.has_bos else "the first word",
            "many_layers": counted(MANY.n_layers, "layer"),
            "many_heads": counted(MANY.n_heads, "head"),
            "many": counted(MANY.n_layers * MANY.n_heads, "pattern"),
        }

    def provenance_notes(self) -> tuple[str, str]:
        model, hidden = super().provenance_notes()
        return f"{model.rpartition('  ·  ')[0]}  ·  all layers, all heads", hidden

    # The wall

    @beat
    def one_of_many(self) -> None:
        """One head makes one pattern. This model has {layers} of {heads}: {total}."""
        tempo, layer, head = self.theme.tempo, self.layer.layer, self.head.head
        stop = HeadStop(self.wall, layer, head, self.frame)
        note = Note(
            f"layer {layer}, head {head}",
            "one head, one pattern",
            "each row tells where one word looks",
            point=stop.layout.notes,
            width=stop.layout.note_width,
        )
        scale = ColourBar(Norm.unit(), "share of attention", stop.layout.scale)
        about = stop.place_in_shot(Group(note, scale))
        self.camera.shot = stop.shot
        self.play(Appear(stop.tile), Appear(stop.words), Appear(about), run_time=tempo.small)
        self.hold(words=5)
        self.origin = stop.edge()
        self.add(self.blocks)
        self.bring_to_front(stop.tile, self.provenance)
        self.play(
            Vanish(Group(stop.words, about), rate_func=EARLY),
            Appear(self.origin, rate_func=LATE),
            Fly(self.camera, self.overview),
            *self.wall.spread_from(layer, head),
            run_time=2.4,
        )
        self.remove(stop.tile)
        self.play(Appear(self.wall.title), Appear(self.wall.marks), run_time=tempo.small)
        self.hold(words=4)

    @beat
    def along_the_wall(self) -> None:
        """Each head reads the prompt in its own way. Here are three, found by measuring
        every one."""
        tempo, wall = self.theme.tempo, self.wall
        named = Group(wall.title, wall.marks)
        self.play(
            Vanish(Group(named, self.origin), rate_func=EARLY),
            Tour(
                self.camera,
                [*arc(wall.layout.box), self.overview],
                lengths=[1.0, 1.1, 1.1, 0.8],
            ),
            run_time=4.2,
        )
        self.add(self.tiles)
        self.play(
            Presence(self.blocks, FAINT),
            Appear(self.edges),
            Appear(named),
            run_time=tempo.small,
        )
        self.looked_at = named
        self.hold(words=2)

    # Three heads

    @beat
    def one_word_back(self) -> None:
        """This head looks one word back: {before} of its attention goes there."""
        note = self._note(
            "previous",
            "one word back",
            "{before} of its attention goes to the word right before",
            "the strongest of {all} by the mean over its rows, without the first token",
        )
        self._visit("previous", note)

    @beat
    def the_whole_prompt(self) -> None:
        """This one takes in the whole prompt: its last row gives no word more than {most}."""
        said = "in the row of “{last}” no word gets more than {most}"
        if self.trace.meta.has_bos:
            said += "; {first} gets {rest}"
        note = self._note(
            "spread",
            "the whole prompt",
            said,
            "the widest last row of {all} by its entropy, without the first token",
        )
        stop = self.stops["spread"]
        row = Highlight(stop.tile.row(self.layer.count - 1), zoom=stop.zoom)
        self._visit("spread", note, row)

    @beat
    def a_place_to_rest(self) -> None:
        """And this one rests: {sink} of its attention goes to {first}."""
        stop = self.stops["sink"]
        said = "{sink} of its attention goes to {first}"
        if len(stop.hidden):
            said += ", drawn here for once"
        note = self._note(
            "sink",
            "a place to rest",
            said,
            "the strongest of {all} by the mean over its rows, without the first row",
        )
        column = Highlight(stop.sink, zoom=stop.zoom)
        self._visit("sink", stop.hidden, note, column)

    def _note(self, name: str, does: str, said: str, found: str) -> Note:
        """What is said beside a head, with the facts filled in, where its stop shows it."""
        find, stop = self.found[name], self.stops[name]
        place = f"layer {find.layer}, head {find.head}"
        lines = (line.format(**self.facts) for line in (place, does, said, found))
        note = Note(*lines, point=stop.layout.notes, width=stop.layout.note_width)
        return stop.place_in_shot(note)

    def _visit(self, name: str, *about: Mobject) -> None:
        """Fly to a head's pattern; its words and what is said about it come as it is reached.

        The wall and what is lit in it are seen on the way, and give room at its end.
        """
        stop = self.stops[name]
        near = Group(stop.words, *about)
        others = Group(self.edges, *(tile for tile in self.tiles if tile is not stop.tile))
        self.play(
            Vanish(self.looked_at, rate_func=EARLY),
            Fly(self.camera, stop.shot),
            Succession(Presence(self.blocks, FAINT), Presence(self.blocks, NEARLY_GONE)),
            Succession(Presence(others, 1.0), Presence(others, 0.0)),
            Presence(stop.tile, 1.0, rate_func=EARLY),
            Appear(near, rate_func=LATE),
            # The line above says that the first token is not drawn: here it may be.
            Presence(self.provenance[1], 0.0 if len(stop.hidden) else 1.0),
            run_time=2.1,
        )
        self.looked_at = near
        self.hold(2.7)

    # Many more

    @beat
    def many_more(self) -> None:
        """DeepSeek-R1 has {many_layers} of {many_heads}: {many} for every prompt."""
        tempo, wall = self.theme.tempo, self.wall
        name, note = self._many_words()
        layout = empty_layout(
            wall.layout,
            self.frame,
            layers=MANY.n_layers,
            heads=MANY.n_heads,
            title=[line.width for line in name],
            note=note.width,
        )
        stacked = wall.layout.stacked()
        places = [stacked.part(*wall.layout.span(i)) for i in range(len(wall.blocks))]
        self.play(
            Vanish(Group(self.looked_at, self.edges, self.tiles), rate_func=EARLY),
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
        self.play(Follow(empty, empty.grow), run_time=tempo.large)
        for line, (x, y) in zip(name, layout.title, strict=True):
            line.on_line(x + line.width / 2, y)
        x, y = layout.note
        note.on_line(x - note.width / 2, y)
        edge = Highlight(stacked.box, colour=self.theme.pattern, zoom=stacked.pitch)
        pin_to_frame(VGroup(name, note))
        self.play(Appear(VGroup(name, note)), Appear(edge), run_time=tempo.small)
        self.hold(words=6)

    def _many_words(self) -> tuple[VGroup, Label]:
        """What names the large model's places, in lines that fit, and what they are."""
        theme = self.theme
        count = "{many_layers} × {many_heads} = {many}".format(**self.facts)
        text = f"{MANY_NAME}: {count.replace(' ', UNBROKEN_SPACE)}"
        lines = broken(text, self.frame.stage.width, size=theme.name_size)
        name = VGroup(*(Label(line, size=theme.name_size) for line in lines))
        said = "in colour: this model; empty: not traced"
        return name, Label(said, size=theme.note_size, colour=theme.muted)
