"""All attention patterns of the model as one wall, heads with a habit, and how many more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from manim import DOWN, Animation, Group, VGroup, VMobject, smooth, squish_rate_func

from extract.attention.patterns import StrongestHead, first_token_weight, strongest_head
from extract.facts.published import gpt2_trace, has_published_twin
from extract.trace import Trace
from filmkit.core.animations import (
    Appear,
    Presence,
    Recolour,
    Vanish,
    first_half,
    second_half,
)
from filmkit.core.camera import Shot, pin_to_frame
from filmkit.core.facts import claim, fact, named_facts
from filmkit.core.headline import Headline
from filmkit.core.language import _
from filmkit.core.light import glow
from filmkit.core.numbers import (
    counted_heads,
    counted_layers,
    counted_patterns,
    format_large_share,
)
from filmkit.core.stage import beat
from filmkit.core.text import Label
from filmkit.core.view import LayerView
from filmkit.mobjects.marks import Highlight
from filmkit.pictures.mosaic import TOKEN
from filmkit.pictures.parts import TEXT, Matrix
from filmkit.pictures.picture import Mark
from filmkit.pictures.stage import Stage
from filmkit.pictures.tensors import head_tensor
from filmkit.pictures.texts import text_in
from filmkit.world.published import LARGE, LARGE_NAME
from filmkit.world.standing import words_at
from scenes.patterns.parts import (
    Field,
    Wall,
    Zoom,
    at_the_first,
    close_shot,
    from_the_side,
    low_over,
    prompt_patterns,
)

RESTS = 0.5  # a head rests if it gives the first token more than this share
SEVERAL = 8  # resting heads from which on there are wrong answers to choose from
DIM = 0.25  # opacity of patterns that are not meant
# The eye at the last layers: angles in degrees, and its distance as a share of the longer side.
TURNS, LOW, WALL_AWAY = 26.0, 5.0, 0.5
BEFORE = 2  # rows of patterns before the featured one in the field
ONE_LAYER, BESIDE = 0.3, 1.8  # from a framed layer to its name, and room for that beside a wall
BRACKET = 0.15  # from a pair's name to its bracket, and length of the ends of that
NOTE = 0.22  # from the headline to the note over the field, and from that to the horizon
SHINE = 1.5  # how much light the field gives
# The featured pattern in the field: its side as a share of the frame's shorter side, and how far
# below the frame's middle it is, in heights of the frame.
NEAR, FOOT = 0.18, 0.28

TWINS = """
    back_name back_name rest_name rest_name
    own_back  two_back  own_rest  two_rest
"""
TALL_TWINS = """
    back_name back_name
    own_back  two_back
    rest_name rest_name
    own_rest  two_rest
"""


def resting_heads(trace: Trace) -> np.ndarray:
    """Return which heads give the first token more than half of their attention."""
    return first_token_weight(prompt_patterns(trace)) > RESTS


def has_twin(trace: Trace) -> bool:
    """Return whether GPT-2's patterns on the whole prompt of a trace are there to compare."""
    return has_published_twin(trace) and not trace.meta.rows


class Patterns(Stage):
    """One head's pattern, all of them, heads with a habit, and how many a large model has.

    The wall shows the trace, head by head; for the large model it is repeated.
    """

    title = "Every head’s pattern on one wall"
    tensors = ("pattern",)
    live = "patterns"

    def prepare(self) -> None:
        meta, patterns = self.trace.meta, prompt_patterns(self.trace)
        total, self.rests = meta.n_layers * meta.n_heads, resting_heads(self.trace)
        resting = int(self.rests.sum())
        self.featured = self.layer.layer, self.head.head
        self.facts |= named_facts(
            layers=(meta.n_layers, counted_layers),
            heads=(meta.n_heads, counted_heads),
            total=(total, counted_patterns),
            all=total,
            first=claim(meta.has_bos, _("the beginning token"), _("the first word")),
            resting=resting,
            few=resting // SEVERAL,
            some=resting // 2,
            many_layers=(LARGE.n_layers, counted_layers),
            many_heads=(LARGE.n_heads, counted_heads),
            many=LARGE.n_layers * LARGE.n_heads,
        )
        size = _("{layers} × {heads}", layers=self.facts["layers"], heads=self.facts["heads"])
        line = _(
            "heads look mostly at {first}: upright lines",
            first=self.facts["first"],
        )
        count = _("{resting} of {all}", resting=self.facts["resting"], all=self.facts["all"])
        self.resting = self.headline_of(count, line)
        line = _("{size}, all of the same words", size=size)
        self.words = self.headline_of(self.facts["total"], line)
        rooms = (words.below() for words in (self.words, self.resting))
        room = min(rooms, key=lambda box: box.top)
        self.wall = glow(Wall(self.layer, self.frame, room))
        self.ends = self.wall.names()
        self.back = strongest_head(patterns, "previous")
        self.rest = strongest_head(patterns, "sink")
        self.part("back", self._pattern(self.layer, self.back))
        if has_twin(self.trace):
            self._prepare_gpt2()

    def _prepare_gpt2(self) -> None:
        """Make the picture of GPT-2's patterns on the same prompt beside this model's."""
        other = LayerView.of_prompt(
            gpt2_trace(), None, show_first_token=self.settings.show_first_token
        )
        patterns = prompt_patterns(other.trace)
        self.gpt2 = replace(other, compared=True)
        self.facts |= named_facts(gpt2=other.trace.meta.model)
        for view, key, name, finds in (
            (self.layer, "own", self.trace.meta.model.split("-")[0], (self.back, self.rest)),
            (
                self.gpt2,
                "two",
                self.facts["gpt2"],
                (strongest_head(patterns, "previous"), strongest_head(patterns, "sink")),
            ),
        ):
            for habit, find in zip(("back", "rest"), finds, strict=True):
                matrix = self._pattern(view, find, columns="key", first=True)
                self.part(f"{key}_{habit}", replace(matrix, name=name))
        for name, text in (
            ("back", _("look one word back")),
            ("rest", _("look at the start")),
        ):
            self.part(f"{name}_name", Label(text, size=1.2 * TEXT))

    def _pattern(
        self, view: LayerView, find: StrongestHead, *, columns: str = TOKEN, first: bool = False
    ) -> Matrix:
        """Return the pattern of a head, and perhaps the column of a first token that is hidden.

        What the mask removes is as black as all that nobody looks at.
        """
        head = replace(view, layer=find.layer).head(find.head)
        matrix = head_tensor(head, "pattern")
        plain = replace(matrix, name="", symbol="", columns=columns, masked=None)
        if not first or not view.hides_first:
            return plain
        drawn = slice(view.first, view.stop)
        return replace(
            plain,
            values=view.trace.get("pattern", find.layer)[find.head, drawn, : view.stop],
            source=replace(matrix.source, index=(find.head, (1, view.stop), (0, view.stop))),
        )

    def variant(self, beat: str) -> str:
        return "many" if int(self.rests.sum()) >= SEVERAL else "few"

    def provenance_notes(self) -> tuple[str, str]:
        about, hidden = super().provenance_notes()
        if self.playing == "the_same_words" and self.gpt2.trace.meta.published:
            model = self.facts["gpt2"]
            about = about.replace(model, _("{model}, published values", model=model))
        if self.playing == "many_more":
            model, total = self.trace.meta.model, self.facts["total"]
            about = about.replace(model, f"{model}  ·  " + _("its {total}, repeated", total=total))
        return about, hidden

    # Ways between the wall and single patterns

    def _pull_back(self, part: str, place: tuple[int, int], *moves: Animation) -> None:
        """Let a pattern that fills the frame go back to its place on the wall."""
        if part not in self.parts:
            # The beat before, which leaves it, was not played.
            self.show(part)
        cells = self.parts[part].cells.whole
        gone = [other for other in self.visible_parts() if other is not cells]
        self.play(Vanish(Group(*gone)), run_time=self.theme.tempo.small)
        rows, columns = cells.shape
        tile = self.wall.block(*self.wall.cut(*place, whole=columns > rows))
        self.camera.shot = close_shot(tile, cells.box, self.frame)
        cells.place(tile).edged = False
        self.add(self.wall)
        self.bring_to_front(cells)
        small = Recolour(cells, norm=self.wall.norm, masked=0.0)
        self.play(Zoom(self.camera, Shot()), small, *moves, run_time=self.theme.tempo.swing)
        self.remove(cells)

    def _come_close(self, part: str, place: tuple[int, int], words: Headline) -> None:
        """Let the camera come so close to a pattern on the wall that it is a part, with words."""
        # Nothing is played: it is known then where everything will be.
        before, shot = list(self.mobjects), self.camera.shot
        self.remove(*before)
        self.camera.shot = Shot()
        self.show(part, later=part, headline=words)
        self.add(*before)
        self.camera.shot = shot
        cells, tile = self.parts[part].cells.whole, self.wall.tile(*place)
        box = cells.box
        cells.place(tile)
        gone = [other for other in self.visible_parts() if other is not self.wall]
        self.play(
            Zoom(self.camera, close_shot(tile, box, self.frame)),
            Vanish(Group(*gone), rate_func=first_half),
            Appear(cells, rate_func=first_half),
            Presence(self.wall, 0.0, rate_func=second_half),
            run_time=self.theme.tempo.swing,
        )
        self.remove(self.wall)
        self.camera.shot = Shot()
        cells.place(box)
        pieces = self.parts[part].pieces.values()
        self.play(
            Appear(words), *(Appear(piece) for piece in pieces if cells not in piece.get_family())
        )

    # The wall

    @beat
    def one_of_many(self) -> None:
        """One head makes one pattern. This model has {layers} of {heads}: {total}."""
        self.show("pattern", titles=False)
        self._pull_back("pattern", self.featured, self.wall.wave_from(*self.featured))
        here = Highlight(self.wall.tile(*self.featured))
        names = self.wall.names(self.featured)
        self.play(*self.say(self.words), Appear(here), Appear(names))

    @beat(when=lambda trace: trace.meta.n_layers > 1)
    def through_the_model(self) -> None:
        """Layer after layer, from the first to the last."""
        line = _("from the first, far away, to the last")
        words, down = self.headline_of(self.facts["layers"], line), self.wall.downward
        turned = {"phi": -TURNS} if down else {"theta": TURNS, "phi": -LOW}
        room = words.below(foot=2 * ONE_LAYER) if down else words.below(right=BESIDE)
        end = from_the_side(self.wall.corners, room, self.frame, away=WALL_AWAY, **turned)
        gone = [part for part in self.visible_parts() if part is not self.wall]
        if self.wall not in self.mobjects:
            self.add(self.wall)
        self.play(
            Vanish(Group(*gone), rate_func=first_half),
            Zoom(self.camera, at_the_first(self.wall.box)),
        )
        self.play(Zoom(self.camera, end), run_time=1.5 * self.theme.tempo.swing)
        last = self.wall.layer_box(self.trace.meta.n_layers - 1)
        name = words_at(
            _("last layer: {heads}", heads=self.facts["heads"]),
            (last.x, last.bottom, 0.0) if down else (last.right, last.y, 0.0),
            away=(0.0, -ONE_LAYER) if down else (ONE_LAYER, 0.0),
            width=self.frame.free.width if down else BESIDE,
            colour=self.theme.highlight,
        )
        self.play(*self.say(words), Appear(Highlight(last)), Appear(name))

    # Heads with a habit

    @beat
    def one_word_back(self) -> None:
        """Some heads have a habit. This one looks one word back."""
        share = fact("habit", self.back.value, format_large_share, habit_name="previous")
        line = _("{share} of this head’s attention goes to the word just before", share=share)
        words = self.headline_of(_("One word back"), line)
        self._come_close("back", (self.back.layer, self.back.head), words)
        cells = self.parts["back"].cells
        before = (cells.cell(row, row - 1) for row in range(1, self.layer.count))
        self.play(Appear(VGroup(*map(Highlight, before))))

    @beat(
        ask={
            "many": "This model has {all} heads. How many of them give {first} more than half of "
            "their attention: [{few}], [{some}] or [{resting}]?",
            "few": "This model has {all} heads. How many of them give {first} more than half of "
            "their attention?",
        },
        answer="resting",
        choice="{choice} of {all} heads",
    )
    def a_place_to_rest(self) -> None:
        """{resting} give it more than half of their attention. A head with nothing to look for can
        rest there."""
        self._pull_back(
            "back", (self.back.layer, self.back.head), Appear(self.wall, rate_func=first_half)
        )
        self.play(self.wall.show_first_token(np.ones(self.rests.shape)))
        levels = np.where(self.rests, 1.0, DIM)
        self.play(self.wall.show_first_token(levels), *self.say(self.resting), Appear(self.ends))

    def _back_to_patterns(self) -> list[Animation]:
        """Return animations in which the wall is as at first, with no words."""
        gone = [Vanish(self.ends)] if self.ends in self.mobjects else []
        return [self.wall.show_patterns(), *self.say(), *gone]

    # Two models

    @beat(when=has_twin)
    def the_same_words(self) -> None:
        """The same words in {gpt2}: another model, and the same habits."""
        self.play(*self._back_to_patterns())
        own = self.wall.part(*self.wall.cut(self.back.layer, self.back.head, whole=True))
        words = self.headline_of(_("Two models, the same habits"), "")
        pairs = ("own_back", "two_back"), ("own_rest", "two_rest")
        faint, quiet = self.theme.faint, self.theme.muted
        start = Label(_("‹start›"), size=TEXT, colour=quiet)
        self.show(
            TWINS,
            tall=TALL_TWINS,
            words="rows",
            marks=tuple(
                Mark(name, column=0, colour=colour, label=start)
                for pair, colour in zip(pairs, (faint, quiet), strict=True)
                for name in pair
            ),
            headline=words,
            origins={"own_back": own},
        )
        names = "back_name", "rest_name"
        brackets = (self._bracket(*pair, name) for pair, name in zip(pairs, names, strict=True))
        self.play(*map(Appear, brackets))

    def _bracket(self, left: str, right: str, name: str) -> VGroup:
        """Return the bracket over two parts, beside the name of the pair; if there is room."""
        words, theme = self.parts[name].whole, self.theme
        y = float(words.get_center()[1])
        bracket = VGroup()
        for x, side in ((self.parts[left].box.left, -1), (self.parts[right].box.right, 1)):
            inner = float(words.get_center()[0]) + side * (words.width / 2 + BRACKET)
            if side * (x - inner) < BRACKET:
                return VGroup()  # the name is as wide as what it names
            way = VMobject(stroke_color=theme.muted, stroke_width=theme.line)
            bracket.add(way.set_points_as_corners([[inner, y, 0], [x, y, 0], [x, y - BRACKET, 0]]))
        return bracket

    # Many more

    @beat
    def many_more(self) -> None:
        """DeepSeek-R1 has {many_layers} of {many_heads}: {many} patterns for every prompt."""
        if has_twin(self.trace):
            self._pull_back("own_back", (self.back.layer, self.back.head), Appear(self.wall))
        else:
            self.play(*self._back_to_patterns())
        size = _(
            "{layers} × {heads}",
            layers=self.facts["many_layers"],
            heads=self.facts["many_heads"],
        )
        line = _("in {model}: {size}", model=LARGE_NAME, size=size)
        words = self.headline_of(counted_patterns(LARGE.n_layers * LARGE.n_heads), line)
        total = self.facts["total"]
        note = text_in(
            _("drawn with this model’s {total}, repeated", total=total),
            self.frame.free.width,
            colour=self.theme.muted,
        )
        pin_to_frame(note.next_to(words, DOWN, buff=NOTE))
        rows, columns = shape = LARGE.n_layers, LARGE.n_heads
        if self.frame.tall:
            rows, columns = shape = columns, rows
        home = rows - 1 - BEFORE, columns // 2
        field = glow(Field(self.wall, shape, self.featured, home), SHINE)
        tile, horizon = (
            self.wall.tile(*self.featured),
            words.below(head=2 * NOTE + note.height).top / self.frame.height,
        )
        shot = low_over(tile, self.frame, side=NEAR, below=FOOT, horizon=horizon)
        pattern = head_tensor(self.head, "pattern").heatmap(tile).set_masked(0.0)
        self.add(field)
        self.bring_to_back(field)
        self.play(
            Appear(field, rate_func=first_half),
            Vanish(self.wall, rate_func=first_half),
            Appear(pattern, rate_func=first_half),
            Zoom(self.camera, shot),
            Appear(words, rate_func=squish_rate_func(smooth, 0.6, 0.9)),
            run_time=2 * self.theme.tempo.swing,
        )
        self.play(Appear(note))
