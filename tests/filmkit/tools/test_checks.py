"""Measures of scenes as pictures: each fault is found where it is, and nothing else is one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from manim import LEFT, RIGHT, UP, Mobject, Square, linear

from filmkit.core.animations import Appear, Glide, Vanish, set_presence
from filmkit.core.beat_records import BeatRecord
from filmkit.core.body import Body
from filmkit.core.camera import Shot
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import ALPHABETIC
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.stage import Stage, beat, notes_at_top
from filmkit.core.stage_settings import StageSettings
from filmkit.core.text import Label
from filmkit.mobjects.marks import CellLabels
from filmkit.mobjects.running_text import RunningText
from filmkit.pictures.bodies import Slab, number_at
from filmkit.pictures.stage import Stage as PictureStage
from filmkit.render.manim_config import changed_config
from filmkit.tools.checks import (
    BeatReport,
    SceneReport,
    check_scene,
    low_contrast,
)
from filmkit.world.world import World
from tests.support.staging import complaints, play
from tests.support.traces import make_trace

NORM = Norm(0.0, 1.0, "viridis")  # 0 is dark, 1 is bright
CALM = StageSettings(calm=True)


def cells(value: float, box: Box, **options: object) -> Heatmap:
    return Heatmap(np.full((2, 3), value), NORM, width=1, height=1, **options).place(box)


class Shown(Stage):
    """Shows what a function makes of a frame."""

    def make(self) -> list[Mobject]:
        raise NotImplementedError

    @beat
    def only(self) -> None:
        """It stands."""
        self.add(*self.make())
        self.hold(2)


def stage_of(make: object) -> type[Stage]:
    return type("Made", (Shown,), {"make": make})


def report_of(make: object, settings: StageSettings = CALM, **size: int) -> BeatReport:
    """Measure a scene with one beat that shows what a function of the stage returns."""
    (report,) = check_scene("made", stage_of(make), make_trace(), settings, **size).beats
    return report


# Faults


def readable(self: Stage) -> list[Mobject]:
    """Words, a panel and a frame that have nothing to complain of."""
    panel = cells(1.0, self.frame.free.inset(0.5))
    dark = Label("on bright cells", colour="#101010").move_to(panel.get_center())
    return [panel, dark, Square(0.4).shift(3 * UP), Label("words").shift(3 * UP + 2 * LEFT)]


@dataclass(frozen=True)
class Faulty:
    make: object
    faults: tuple[str, ...]
    settings: StageSettings = CALM


FAULTY = {
    "nothing": Faulty(readable, ()),
    "overlapping texts": Faulty(
        lambda self: [Label("one"), Label("other").shift(0.1 * RIGHT)],
        ("texts 'one' and 'other' overlap",),
    ),
    "a text at the border": Faulty(
        lambda self: [Label("out").to_edge(RIGHT, buff=0)],
        # All of the margin, which is 4 % wide.
        ("text 'out' is 4.0 % of the frame beyond the safe margin at the right",),
    ),
    "a panel at the border": Faulty(
        lambda self: [cells(1.0, Box(0, self.frame.height / 2 - 0.5, 2, 1))],
        ("panel of 2 x 3 cells is 4.0 % of the frame beyond the safe margin at the top",),
    ),
    "a panel with a name": Faulty(
        lambda self: [
            cells(
                1.0,
                Box(0, 0.5 - self.frame.height / 2, 2, 1),
                source=TensorSource(expression="mean of all patterns"),
            )
        ],
        ("panel mean of all patterns is 4.0 % of the frame beyond the safe margin at the bottom",),
    ),
    "small letters": Faulty(
        lambda self: [Label("tiny", size=0.012)],
        ("text 'tiny' is 1.2 % of the frame high; at least 2 % can be read",),
    ),
    "faint letters": Faulty(
        lambda self: [Label("faint", colour="#333333")],
        (
            "text 'faint' in #333333 has a contrast of 1.7 to what is behind it; "
            "at least 4.5 can be seen",
        ),
    ),
    "letters on bright cells": Faulty(
        lambda self: [cells(1.0, Box(0, 0, 6, 4)), Label("white", colour="#ffffff")],
        (
            "text 'white' in #ffffff has a contrast of 1.3 to what is behind it; "
            "at least 4.5 can be seen",
        ),
    ),
    "words across an edge of a panel": Faulty(
        lambda self: [cells(0.0, Box(0, 0, 6, 4)), Label("a long line of words").shift(3 * LEFT)],
        ("text 'a long line of words' lies across the cells of panel of 2 x 3 cells",),
    ),
    "words across cells": Faulty(
        lambda self: [
            Heatmap(
                [[0.0, 0.2]], NORM, width=6, height=1, source=TensorSource(expression="shares")
            ),
            Label("from one to the other"),
        ],
        ("text 'from one to the other' lies across the cells of panel shares",),
    ),
    "a tensor that there is not": Faulty(
        lambda self: [
            Heatmap([[0.0, 0.2]], NORM, width=6, height=1, source=TensorSource("pattern.77")),
        ],
        ("the trace does not hold what the panel names: pattern.77",),
    ),
    "words on cells": Faulty(
        lambda self: [
            panel := Heatmap([[0.0, 0.2, 1.0]], NORM, width=6, height=1),
            CellLabels(panel, [["one", "two", "three"]]),
        ],
        (),
    ),
    "words on hidden cells": Faulty(
        lambda self: [
            Heatmap([[0.0, 0.2]], NORM, width=6, height=1).set_shown(0),
            Label("from one to the other"),
        ],
        (),
    ),
    "words over a card that covers a panel": Faulty(
        lambda self: [
            cells(0.5, Box(0, 0, 6, 4)),
            Square(8.0, fill_color="#000000", fill_opacity=1.0, stroke_width=0.0),
            Label("a long line of words").shift(3 * LEFT),
        ],
        (),
    ),
    "a faint line": Faulty(
        lambda self: [Square(2.0, color="#333333")],
        ("Square in #333333 has a contrast of 1.7 to what is behind it; at least 3 can be seen",),
    ),
    "words where captions go": Faulty(
        lambda self: [Label("low").move_to([0, 0.7 - self.frame.height / 2, 0])],
        ("text 'low' stands where captions are drawn",),
        StageSettings(calm=True, caption_strip=True),
    ),
    "words at the bottom without captions": Faulty(
        lambda self: [Label("low").move_to([0, 0.7 - self.frame.height / 2, 0])], ()
    ),
}


@pytest.mark.parametrize("case", FAULTY.values(), ids=FAULTY.keys())
def test_a_fault_is_found_with_its_measure(case: Faulty) -> None:
    found = report_of(case.make, case.settings).faults
    assert found == case.faults


def closeup(self: Stage) -> list[Mobject]:
    """A view of the middle of a panel, with words beside it, cut by the frame, and far away."""
    whole = cells(1.0, Box(0, 0, 9, 3.2))
    self.camera.shot = Shot.of_box(Box(0, 0, 64 / 9, 4))
    half, edge = 32 / 9, Label("at the edge").shift([0, 1.8, 0])
    beside = [Label("far away").shift([half + 4, 0, 0]), edge.shift([half - edge.get_x(), 0, 0])]
    return [whole, *beside]


def test_in_a_close_view_only_words_that_are_cut_are_beyond_the_margin() -> None:
    faults = report_of(closeup).faults
    assert [line.split(" is ")[0] for line in faults] == ["text 'at the edge'"]


def test_words_on_a_cropped_body_may_be_cut_and_slanted_ones_overlap_as_their_letters_do() -> None:
    def faults(*shown: Mobject) -> list[str]:
        class Room(Stage):
            @beat
            def only(self) -> None:
                """It stands."""
                self.camera.shot = Shot.looking((3, 3, 5), (0, 0, 0))
                self.add(*shown)
                self.hold(1)

        (report,) = check_scene("room", Room, make_trace(), CALM).beats
        return [fault for fault in report.faults if "margin" in fault or "overlap" in fault]

    edge = 1.62, 0.2, 2.6
    (fault,) = faults(number_at("hello", edge, "stands"))
    assert "beyond the safe margin" in fault
    assert faults(Slab("hello", height=1).put((1.62, 0, 2.6))) == []
    # In space, upright boxes around these words overlap, and their letters do not.
    first = number_at("diagonal words", (-1, 0, 0), "floor", size=0.4)
    below = number_at("diagonal words", (-1, 0, 0.55), "floor", size=0.4)
    assert faults(first, below) == []
    over = number_at("diagonal words", (-0.8, 0, 0.1), "floor", size=0.4)
    (fault,) = faults(first, over)
    assert fault.endswith("overlap")


def test_words_and_panels_under_the_notes_are_seen_in_a_close_view_too() -> None:
    class Noted(Stage):
        tensors = ("pattern",)

        def provenance_notes(self) -> tuple[str, str]:
            return super().provenance_notes()[0], self.hidden_note()

        @beat
        def only(self) -> None:
            """It stands."""
            self.camera.shot = Shot.of_box(Box(0, 0, 64 / 9, 4))
            left, right = notes_at_top(self.frame, *self.provenance_notes())
            word = Label("word", size=0.012).move_to(np.array(left.get_center()) / 2)
            x, y, _z = right.get_center() / 2
            panel = cells(0.3, Box(x, y, 1, 0.5))
            self.add(word, panel)
            self.hold(2)

    (report,) = check_scene("noted", Noted, make_trace(), CALM).beats
    words, contrast, over = report.faults
    assert words.startswith("texts 'word' and 'random weights")
    assert words.endswith("overlap")
    assert "has a contrast of" in contrast
    assert over.endswith("is not drawn' lies across the cells of panel of 2 x 3 cells")


def test_what_is_dimmed_need_not_be_read() -> None:
    """The background of a picture may be faint, small, and lie under other words."""

    def dimmed(self: Stage) -> list[Mobject]:
        words = [Label("one"), Label("other"), Label("tiny", size=0.012).shift(UP)]
        for word in words[1:]:
            set_presence(word, 0.3)
        return words

    assert report_of(dimmed).faults == ()


@pytest.mark.parametrize("aspect", [(1, 1), (16, 9), (9, 16)])
def test_faults_are_the_same_at_every_size(aspect: tuple[int, int]) -> None:
    def make(self: Stage) -> list[Mobject]:
        return [
            Label("tiny", size=0.012).move_to([self.frame.width / 2, 0, 0]),
            Label("one").shift(UP),
            Label("other").shift(UP),
        ]

    lines = []
    for scale in (40, 120):
        width, height = (scale * side for side in aspect)
        size = {"width": width, "height": height}
        (picture,) = play(stage_of(make), make_trace(), **size)
        lines.append(complaints(picture, **size))
    assert lines[0] == lines[1]
    assert len(lines[0]) == 3
    assert all(line.startswith("only: text") for line in lines[0])


def test_the_ground_of_a_text_is_the_cell_behind_it_even_if_it_is_covered_later() -> None:
    seen: list[list[str]] = []

    class Both(Stage):
        @beat
        def only(self) -> None:
            """A dark and a bright cell."""
            values = Heatmap(np.array([[0.0, 1.0]]), NORM, width=8, height=3)
            self.add(values)
            for column, word in enumerate(("dark", "bright")):
                self.add(Label(word, colour="#ffffff").move_to(values.cell(0, column).center))
            self.hold(0.2)

    def look(record: BeatRecord, stage: Stage) -> None:
        seen.append(low_contrast(stage))

    with changed_config({"dry_run": True, "pixel_width": 640, "pixel_height": 360}):
        Both(make_trace(), on_beat_end=look).render()
    ((line,),) = seen
    assert line.startswith("text 'bright' in #ffffff")


def test_text_on_light_that_flows_is_compared_with_the_light() -> None:
    seen: list[list[str]] = []

    class OnLight(Stage):
        @beat
        def only(self) -> None:
            """Dark letters on a ribbon."""
            corners = [(-3, -1, 0), (3, -1, 0), (3, 1, 0), (-3, 1, 0)]
            letters = Label("69 %", colour=self.theme.background).shift([0, 0, 0.01])
            self.add(Body(quads=[corners], quad_colours=self.theme.lamp), letters)
            self.hold(0.2)

    def look(record: BeatRecord, stage: Stage) -> None:
        seen.append(low_contrast(stage))

    with changed_config({"dry_run": True, "pixel_width": 640, "pixel_height": 360}):
        OnLight(make_trace(), on_beat_end=look).render()
    assert seen == [[]]


# Time


class Motion(Stage):
    """A beat that stands still, one that moves all the time, and one that stands still twice."""

    def prepare(self) -> None:
        self.square = Square(2.0, fill_opacity=1.0)

    @beat
    def stands(self) -> None:
        """Still."""
        self.add(self.square)
        self.hold(4)

    @beat
    def moves(self) -> None:
        """On."""
        self.play(Glide(self.square, self.square.copy().shift(4 * LEFT)), run_time=4)

    @beat
    def twice(self) -> None:
        """Still, and still."""
        self.hold(2)
        self.play(Glide(self.square, self.square.copy().shift(4 * RIGHT)), run_time=2)
        self.hold(3)


def test_stillness_is_how_long_nothing_moves() -> None:
    drifting, calm = (
        check_scene("motion", Motion, make_trace(), settings) for settings in (None, CALM)
    )
    stands, moves, twice = drifting.beats
    assert 3.9 < stands.still_seconds <= 4.1
    assert 0.6 < stands.still_share < 1
    assert moves.still_seconds <= 0.6
    assert 2.9 < twice.still_seconds <= 3.1
    assert twice.still_share * twice.seconds == pytest.approx(5, abs=1)
    # Without the drift of its tail the first beat stands still to its end.
    assert calm.beats[0].still_share == 1
    assert calm.beats[0].still_seconds > stands.still_seconds
    assert calm.still_seconds == calm.beats[0].still_seconds


def test_a_short_stop_is_measured_to_the_frame() -> None:
    """Seen twice a second, it might be a second longer or shorter."""

    class Stops(Stage):
        @beat
        def only(self) -> None:
            """On, and on."""
            square = Square(2.0, fill_opacity=1.0)
            for side in (LEFT, RIGHT):
                self.play(Glide(square, square.copy().shift(4 * side), rate_func=linear))
                self.hold(2.9)
            self.play(Glide(square, square.copy().shift(4 * LEFT), rate_func=linear))

    (report,) = check_scene("stops", Stops, make_trace(), CALM).beats
    assert report.still_seconds == pytest.approx(2.9, abs=0.1)


@pytest.mark.slow
def test_nothing_new_is_seen_while_a_picture_only_drifts() -> None:
    class Drifting(Stage):
        @beat
        def first(self) -> None:
            """It comes, and is looked at for as long as these words are said, which takes time."""
            self.play(Appear(Square(2.0)), run_time=1)

        @beat(ask="And then?")
        def second(self) -> None:
            """Then it waits, and moves."""
            self.hold(3)
            self.play(Glide(self.mobjects[0], Square(2.0).shift(UP)), run_time=1)

    report = check_scene("drifting", Drifting, make_trace())
    first, question, second = report.beats
    assert first.idle_seconds == pytest.approx(first.seconds - 1, abs=0.05)
    assert first.still_seconds < first.idle_seconds
    # The pause of a question does not count: people think.
    assert question.idle_seconds < question.seconds - 3
    assert second.idle_seconds == pytest.approx(3, abs=0.05)
    assert report.idle_seconds == max(beat.idle_seconds for beat in report.beats)


# Words


def test_the_words_of_an_axis_and_of_a_sentence_are_one_piece_of_text() -> None:
    class Wordy(PictureStage):
        tensors = ("x", "pattern")

        @beat
        def sentence(self) -> None:
            """A sentence, and one more word."""
            self.add(RunningText([" as", " it", " is"], Box(0, 0, 6, 1), size=0.05))
            self.add(Label("more").shift(2 * UP))
            self.hold(1)

        @beat
        def mosaic(self) -> None:
            """A pattern: its words, its name, and its symbol."""
            self.clear()
            self.show("pattern")

        @beat
        def heads(self) -> None:
            """All heads, and their numbers."""
            self.clear()
            self.camera.shot = (world := World(self.layer, self.frame)).shot("arc")
            self.add(world)
            self.hold(1)

    sentence, mosaic, heads = check_scene("wordy", Wordy, make_trace(), CALM).beats
    assert sentence.texts == 2
    assert mosaic.texts == 2 + 2
    assert heads.texts == 1


@pytest.mark.parametrize(
    ("size", "words", "small"),
    [
        (36, ("word",), ()),
        (34, ("word",), ("text under 3.3 % of the frame, for the last row: 'word'",)),
        (34, ("one", "two"), ("text under 3.3 % of the frame, for the last row: 'one', 'two'",)),
    ],
)
def test_text_that_the_last_row_cannot_read_is_named(
    size: int, words: tuple[str, ...], small: tuple[str, ...]
) -> None:
    def make(self: Stage) -> list[Mobject]:
        return [Label(word, size=size / 1080).shift(i * UP) for i, word in enumerate(words)]

    report = report_of(make)
    assert report.small == small
    assert report.faults == ()


@pytest.mark.parametrize(("count", "small"), [(12, 1), (13, 0)])
def test_words_at_an_axis_of_many_tokens_may_be_smaller(count: int, small: int) -> None:
    def make(self: Stage) -> list[Mobject]:
        return [RunningText([" a"] * count, Box(0, 0, 12, 1), size=27 / 1080)]

    assert len(report_of(make).small) == small


def test_headlines_are_counted_one_after_another_and_side_by_side() -> None:
    class Loud(Stage):
        @beat
        def pair(self) -> None:
            """Two that are compared are one."""
            self.left, self.right = (Label(text, size=0.09) for text in ("33 %", "8 %"))
            self.play(Appear(self.left.shift(3 * LEFT)))
            self.play(Appear(self.right.shift(3 * RIGHT)))
            self.play(Appear(Label("no headline", size=0.05).shift(UP)))

        @beat
        def others(self) -> None:
            """One in the place of another is a second one."""
            self.play(Vanish(self.left), Vanish(self.right))
            self.play(Appear(Label("94 %", size=0.09)))

        @beat
        def none(self) -> None:
            """Nothing."""
            self.clear()
            self.hold(1)

    pair, others, none = check_scene("loud", Loud, make_trace(), CALM).beats
    assert [beat.headlines for beat in (pair, others, none)] == [1, 1, 0]
    assert others.faults == ()


def test_narration_is_never_faster_than_it_can_be_read() -> None:
    """The picture of a beat stays until its words have been said, however long they are."""

    class Long(Stage):
        @beat
        def short_words(self) -> None:
            """To be or not to be, so it is as it is."""
            self.hold(0.2)

        @beat
        def long_words(self) -> None:
            """Internationalisation, counterrevolutionaries, incomprehensibilities."""
            self.hold(0.2)

        @beat
        def slow(self) -> None:
            """Slow."""
            self.hold(5)

    report = check_scene("long", Long, make_trace(), CALM)
    short, long, slow = (each.letters_a_second for each in report.beats)
    assert 0.9 * ALPHABETIC < long <= ALPHABETIC + 1e-9
    assert short < long
    assert slow == pytest.approx(len("Slow.") / report.beats[2].seconds)


# Room


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_fill_is_the_share_of_the_safe_part_of_the_frame(share: float) -> None:
    def make(self: Stage) -> list[Mobject]:
        safe = self.frame.safe
        return [cells(1.0, Box(safe.x, safe.y, safe.width * share, safe.height))]

    assert report_of(make).fill == pytest.approx(share, abs=0.02)


def test_an_empty_picture_fills_nothing() -> None:
    assert report_of(lambda self: []).fill == 0


# A whole scene


def test_a_scene_is_as_its_beats_are() -> None:
    beats = (
        BeatReport("one", 1.0, 10.0, 1.0, 1.0, 0.2, ("a", "b")),
        BeatReport("two", 3.0, 12.0, 0.5, 0.0, 0.9, ()),
        BeatReport("three", 4.0, 14.0, 2.0, 0.5, 0.6, ("c",)),
    )
    report = SceneReport("scene", beats)
    assert report.still_share == pytest.approx((1.0 + 0.5 * 4.0) / 8.0)
    assert report.still_seconds == 2.0
    assert report.fill == 0.6
    assert report.faults == ["one: a", "one: b", "three: c"]


def test_beats_are_measured_in_order_and_take_the_time_of_the_film() -> None:
    report = check_scene("motion", Motion, make_trace())
    records = Motion.rehearse(make_trace()).beats
    assert [each.name for each in report.beats] == [record.name for record in records]
    assert [each.seconds for each in report.beats] == pytest.approx(
        [record.end - record.start for record in records]
    )
