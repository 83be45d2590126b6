"""Beats that ask: a question is a step of its own, which waits for an answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from manim import DL, RIGHT, UR, Animation, Square, VGroup

from filmkit.commands.scene_files import find_scene
from filmkit.core.animations import Appear, Drift, presence
from filmkit.core.beat_records import BeatRecord
from filmkit.core.camera import Shot
from filmkit.core.errors import SceneCodeError
from filmkit.core.facts import named_facts
from filmkit.core.geometry import Box, Frame
from filmkit.core.language import title_of_beat, use_language
from filmkit.core.narration import Narration
from filmkit.core.numbers import separated
from filmkit.core.question import Choice, Question, written
from filmkit.core.renderer import FrameReceiver
from filmkit.core.stage import Stage, beat
from filmkit.core.stage_settings import StageSettings
from filmkit.core.text import Label, TextLine
from filmkit.core.theme import use_theme
from filmkit.render.quality import Quality, frame_size
from filmkit.render.runner import manim_config
from tests.support.asking import ASKING, BEATS, QUESTIONS, SAID
from tests.support.traces import make_trace

Pictures = list[npt.NDArray[np.uint8]]
PAUSES = 3.0, 4.0  # of the scene's two questions
RATE = 5


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> type[Stage]:
    file = tmp_path_factory.mktemp("asking") / "asking.py"
    file.write_text(ASKING)
    return find_scene(str(file)).load()


class Played:
    """The frames of a scene's beats and of their tails, and their last pictures."""

    def __init__(self, scene: type[Stage], settings: StageSettings | None = None) -> None:
        self.frames: dict[tuple[str, bool], Pictures] = {}
        self.ends: dict[str, npt.NDArray[np.uint8]] = {}
        self.levels: dict[str, set[float]] = {}
        self.words: dict[str, list[str]] = {}
        self.slabs: dict[str, list[str]] = {}

        @contextmanager
        def receiver_of_beat(name: str, tail: bool) -> Iterator[FrameReceiver | None]:
            def take(picture: Any, repeat: int) -> None:
                frames = self.frames.setdefault((name, tail), [])
                frames += [picture[..., :3].astype(int)] * repeat

            yield take

        def end(record: BeatRecord, stage: Stage) -> None:
            shown = stage.visible_parts()
            self.ends[record.name] = stage.snapshot()[..., :3].astype(int)
            lines = [part for part in shown if isinstance(part, TextLine)]
            self.words[record.name] = [line.text for line in lines]
            others = set(shown) - {*lines, *(p for p in shown if isinstance(p, Choice))}
            self.levels[record.name] = {round(presence(part), 3) for part in others}
            self.slabs[record.name] = [part.told for part in shown if isinstance(part, Choice)]

        with manim_config(Quality(320, 180, RATE)):
            stage = scene(
                make_trace(), settings, on_beat_end=end, receiver_of_beat=receiver_of_beat
            )
            stage.render()
        self.records = {record.name: record for record in stage.beats}


@pytest.fixture(scope="module")
def played(asking: type[Stage]) -> Played:
    return Played(asking)


def moved(frames: Pictures) -> npt.NDArray[np.bool_]:
    """Which pixels change anywhere in a series of frames."""
    return np.ptp(np.stack(frames), axis=0).max(axis=-1) > 2


def test_a_question_is_a_step_before_its_beat(asking: type[Stage], played: Played) -> None:
    assert asking.beat_names() == tuple(played.records) == BEATS
    assert tuple(record.narration for record in played.records.values()) == SAID
    assert asking.beat_names(questions=False) == ("opening", "sides", "others")


def test_a_question_waits_after_it_has_been_said(played: Played) -> None:
    assert [record.pause for record in played.records.values()] == [0, PAUSES[0], 0, PAUSES[1], 0]
    # 9 words of 0.43 s in steps of 0.2 s, and the pause.
    record = played.records["ask_sides"]
    assert record.end - record.start == pytest.approx(4.0 + PAUSES[0])
    start, own, end = record.start, record.tail, record.end
    assert len(played.frames["ask_sides", True]) == round((end - own) * RATE)
    assert own > start


@pytest.mark.parametrize(("words", "pause"), [(1, 4.0), (9, 3.0), (11, 2.2), (12, 2.0), (40, 2.0)])
def test_a_question_takes_seven_seconds_in_all_if_it_can(words: int, pause: float) -> None:
    class Long(Stage):
        @beat(ask=" ".join(["Why"] * words) + "?")
        def only(self) -> None:
            """So."""
            self.hold()

    asked, _answered = Long.rehearse(make_trace()).beats
    assert asked.pause == pytest.approx(pause)
    if words < 12:
        assert asked.end - asked.start <= 7.0 + 1e-6


def test_a_question_stands_before_a_picture_that_steps_back_and_returns(played: Played) -> None:
    # Its choices are on slabs: the words do not say them again.
    words = played.words["ask_sides"]
    assert sorted(words) == ["4", "5", "How many sides does it have?"]
    assert played.slabs["ask_sides"] == ["5", "4"]
    assert played.levels["ask_sides"] == set()
    assert played.words["sides"] == played.slabs["sides"] == []
    assert played.levels["sides"] == {1.0}
    assert played.words["ask_others"] == [QUESTIONS[1]]
    before, after = played.ends["opening"], played.frames["ask_sides", False][0]
    assert np.array_equal(before, after)
    assert np.abs(played.ends["ask_sides"] - played.frames["sides", False][0]).max() == 0


class Striped(Stage):
    """A question over white stripes, which lie over what is drawn later, and over words."""

    @beat
    def before(self) -> None:
        """Stripes."""
        stripes = (Square(0.3, fill_opacity=1).stretch(40, 1) for _ in range(24))
        bars = VGroup(*stripes).arrange(RIGHT, buff=0.3).set_z_index(2)
        self.label = Label("A label").move_to([-5, 3, 0])
        self.aside = Label("Another one").move_to([5, 0, 0])
        self.play(Appear(bars), Appear(self.label), Appear(self.aside))

    @beat(ask="Can this be read: [yes] or [no]?")
    def asked(self) -> None:
        self.hold()


def test_a_picture_leaves_the_words_of_a_question_and_its_slabs_alone() -> None:
    class Alone(Striped):
        @beat
        def before(self) -> None:
            """Stripes."""
            self.hold()

    played = Played(Striped)
    over, alone = (scene.ends["ask_asked"] for scene in (played, Played(Alone)))
    # Letters are as bright as alone, and slabs hide what is behind them.
    letters, slabs = alone.min(axis=-1) > 230, np.zeros(alone.shape[:2], dtype=bool)
    slabs[120:150, 90:150] = slabs[120:150, 175:235] = True
    assert alone[slabs].min() > 40
    for place in (letters, slabs):
        assert np.abs(over - alone)[place].max() <= 4
    # Beside them nothing is left of it.
    assert not over[alone.max(axis=-1) == 0].any()
    assert sorted(played.words["ask_asked"]) == ["Can this be read?", "no", "yes"]
    assert sorted(played.words["asked"]) == ["A label", "Another one"]


@pytest.mark.parametrize("aspect", [(320, 180), (180, 320), (240, 240)])
@pytest.mark.parametrize("count", [1, 3, 5, 6])
@pytest.mark.parametrize("shot", [Shot(), Shot((3, 1, -2), 5.0, 30.0, 20.0, 2.4)])
def test_slabs_stay_in_the_frame_in_every_shot_also_while_they_turn(
    aspect: tuple[int, int], count: int, shot: Shot
) -> None:
    choices = ["1,000,000", "no", "keys and values", "a", "b", "c"][:count]
    marked = ", ".join(f"[{choice}]" for choice in choices)
    said = Narration.of(f"What is it: {marked}?", {})
    with manim_config(Quality(*aspect, 5)), use_theme("dark"):
        frame = Frame(*frame_size(*aspect))
        question = Question(said, choices, shot, frame, ("white", "query"))
        lines, about = question.about
        boxes = []
        for slab in (*question.slabs, about):
            for turn in (0.0, 1.0):
                slab.lean(turn)
                seen = shot.project(slab.corners, frame.height)
                assert np.abs(seen[:, 0]).max() < 0.98 * frame.width / 2
                assert np.abs(seen[:, 1]).max() < 0.98 * frame.height / 2
            slab.lean()
            front = shot.project(slab.at(slab.boxes[0] * [1, 1, 0]), frame.height)
            boxes.append(Box.between(front.min(axis=0), front.max(axis=0)).inset(0.1))
        assert len(boxes) == count + 1
        assert len(lines) == count
        assert max(box.top for box in boxes[:-1]) < boxes[-1].bottom
    words = Box.between(question.words.get_corner(DL), question.words.get_corner(UR))
    for one, other in combinations([words, *boxes], 2):
        assert min(one.overlap(other)) == 0


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("How many are left: about [2], [3] or [4] percent?", "How many are left?"),
        ("Combien en reste-t-il : environ [2] ou [3] ?", "Combien en reste-t-il ?"),
        ("还剩多少：大约 [2] 还是 [3]？", "还剩多少？"),
        ("How many? [2] or [3]?", "How many?"),
        ("It has legs. Are there [2] or [3]?", "It has legs. Are there 2 or 3?"),
        ("Remember: are there [2] or [3]?", "Remember: are there 2 or 3?"),
        ("Is it [red] or not? Think.", "Is it red or not? Think."),
    ],
)
def test_choices_that_end_a_question_are_left_to_slabs(said: str, words: str) -> None:
    assert written(Narration.of(said, {})).replace("\N{NO-BREAK SPACE}", " ") == words


def test_the_wrong_choices_fall_before_the_right_one_goes(played: Played) -> None:
    frames = played.frames["sides", False]
    half = frames[round(0.5 * 1.6 * RATE)]
    left, right = half[100:, :80].max(axis=-1), half[100:, 80:170].max(axis=-1)
    assert left.max() == 0
    assert right.max() > 200


def test_no_choice_falls_before_a_later_beat_answers() -> None:
    class Later(Stage):
        def prepare(self) -> None:
            self.facts |= named_facts(right="blue", wrong="red")

        @beat(ask="Which is it: [{wrong}] or [{right}]?", answer="right")
        def begins(self) -> None:
            """Let us see."""
            self.hold()

        @beat
        def finds(self) -> None:
            """It is {right}."""
            self.hold()

    frames = Played(Later).frames["begins", False]
    half = frames[round(0.5 * 0.6 * RATE)]
    left, right = half[100:, :164].max(), half[100:, 164:].max()
    assert left == pytest.approx(right, abs=8)
    assert 0 < left < 200


def test_letters_of_a_question_of_600_letters_can_be_read() -> None:
    with use_theme("dark"):
        for width, height in ((1920, 1080), (1080, 1920)):
            frame = Frame(*frame_size(width, height))
            question = Question(Narration.of("letters " * 74 + "?", {}), (), Shot(), frame)
            lines = question.words
            assert lines.height <= frame.free.height / 2
            assert min(line.size for line in lines) > 1.3 * frame.min_text_size


def test_only_slabs_move_while_a_question_waits(asking: type[Stage]) -> None:
    class Steady(asking):  # type: ignore[valid-type, misc]
        def drift(self) -> Animation:
            return Drift(self.camera, closer=0.0)

    played = Played(Steady)
    tail = played.frames["ask_sides", True]
    rows, columns = np.nonzero(moved(tail))
    # Both of them, one after the other.
    assert 100 < rows.min() < rows.max() < 175
    assert 60 < columns.min() < 120 < 200 < columns.max() < 260
    half = len(tail) // 2
    first, second = (np.nonzero(moved(part))[1] for part in (tail[: half - 1], tail[half + 1 :]))
    assert first.max() < 164 < second.max()
    assert second.min() > 150
    assert np.array_equal(tail[0], played.ends["ask_sides"])


def test_in_calm_films_nothing_moves(asking: type[Stage]) -> None:
    frames = Played(asking, StageSettings(calm=True)).frames["ask_sides", True]
    assert not moved(frames).any()
    assert len(frames) > PAUSES[0] * RATE


def test_without_questions_beats_are_as_if_they_asked_nothing(
    asking: type[Stage], played: Played
) -> None:
    silent = Played(asking, StageSettings(questions=False))
    assert tuple(silent.records) == ("opening", "sides", "others")
    assert all(not record.pause for record in silent.records.values())
    for name in silent.records:
        assert np.array_equal(silent.ends[name], played.ends[name])


def test_a_scene_may_begin_with_a_question() -> None:
    class First(Stage):
        @beat(ask="What is it?")
        def only(self) -> None:
            """Nothing."""
            self.hold()

    played = Played(First)
    assert played.words["ask_only"] == ["What is it?"]
    assert not played.ends["only"].any()


def test_a_question_has_a_title_in_each_language() -> None:
    assert title_of_beat("ask_one_gpu") == "Question: One GPU"
    with use_language("fr"):
        assert title_of_beat("ask_one_gpu") == "Question : One GPU"


def test_marked_words_of_a_question_are_the_answers_that_it_offers(played: Played) -> None:
    asked = played.records["ask_sides"]
    assert asked.choices == ("5", "4")
    assert asked.answer == 1
    assert not asked.marked  # which are places in time
    assert played.records["ask_others"].choices == played.records["sides"].choices == ()
    assert played.records["ask_others"].answer is None


def test_a_fact_that_lists_words_offers_each_of_them_once() -> None:
    class Several(Stage):
        def prepare(self) -> None:
            self.facts |= named_facts(words=(("a", "b", "a"), separated), right="b")

        @beat(ask="Which is it: [{words}] or [none|no word]?", answer="right", loop=True)
        def only(self) -> None:
            """It is."""
            self.hold()

    asked, answered = Several.rehearse(make_trace()).beats
    assert asked.narration == "Which is it: a, b, a or no word?"
    assert asked.choices == ("a", "b", "no word")
    assert asked.answer == 1
    assert (asked.loop, answered.loop) == (False, True)


def test_an_answer_has_its_unit_where_it_stands_alone() -> None:
    class Counted(Stage):
        def prepare(self) -> None:
            self.facts |= named_facts(few=2, many=7, all=8)

        @beat(ask="How many: [{few}] or [{many}]?", answer="many", choice="{choice} of {all} legs")
        def only(self) -> None:
            """It has {many}."""
            self.hold()

    asked, _answered = Counted.rehearse(make_trace()).beats
    assert asked.narration == "How many: 2 or 7?"
    assert asked.choices == ("2 of 8 legs", "7 of 8 legs")
    assert asked.answer == 1


def test_the_last_beat_that_says_what_is_right_answers() -> None:
    class Leading(Stage):
        @beat
        def before(self) -> None:
            """It was {right}."""

        @beat(ask="Is it [{wrong}] or [{right}]?", answer="right")
        def begins(self) -> None:
            """Let us see."""

        @beat(one="It is {right}.", two="They are {right}.")
        def finds(self) -> None: ...

        @beat(when=lambda trace: trace.meta.sinks)
        def not_played(self) -> None:
            """Still {right}."""

        @beat(ask="Are you sure?")
        def ends(self) -> None:
            """Yes."""

    trace = make_trace()
    assert Leading.answering_beat("ask_begins", trace) == "finds"
    assert Leading.answering_beat("ask_ends", trace) == "ends"


@pytest.mark.parametrize("answer", ["last", "nothing"])
def test_an_answer_that_a_question_does_not_offer_is_refused_at_its_beat(answer: str) -> None:
    class Wrong(Stage):
        def prepare(self) -> None:
            self.facts |= {"first": "1", "last": "9"}

        @beat(ask="Is it [{first}] or [2]?", answer=answer)
        def only(self) -> None:
            """It is."""
            self.hold()

    message = f"answer='{answer}' is no fact that the question offers; it offers 1, 2"
    with pytest.raises(SceneCodeError, match=message) as raised:
        Wrong.rehearse(make_trace())
    assert raised.value.place.startswith(Path(__file__).name)


def test_a_fact_that_a_question_lacks_is_named_at_its_beat() -> None:
    class Forgetful(Stage):
        @beat(ask="Are there {many}?")
        def only(self) -> None:
            """Yes."""
            self.hold()

    message = r"there is no fact \{many\}; there are model"
    with pytest.raises(SceneCodeError, match=message) as raised:
        Forgetful.rehearse(make_trace())
    assert raised.value.__notes__ == ["in beat ask_only"]
    assert raised.value.place.startswith(Path(__file__).name)


def test_a_fact_that_an_answer_lacks_is_named_at_its_beat() -> None:
    class Forgetful(Stage):
        @beat(ask="Is it [one]?", choice="{choice} of {all}")
        def only(self) -> None:
            """Yes."""
            self.hold()

    message = r"there is no fact \{all\}; there are choice"
    with pytest.raises(SceneCodeError, match=message) as raised:
        Forgetful.rehearse(make_trace())
    assert raised.value.place.startswith(Path(__file__).name)


def test_a_variant_that_a_question_lacks_is_named() -> None:
    class Other(Stage):
        def variant(self, beat: str) -> str:
            return "other"

        @beat(ask={"own": "One?"}, own="One.", other="Two.")
        def only(self) -> None:
            self.hold()

    message = r"variant\(\) chooses 'other'; ask_only has own"
    with pytest.raises(SceneCodeError, match=message):
        Other.rehearse(make_trace())


@pytest.mark.parametrize("letters", [601, 20_000])
def test_a_question_that_nobody_could_read_is_refused(letters: int) -> None:
    message = f"the question of it has {letters} letters, and a picture has room for 600: ask"
    with pytest.raises(SceneCodeError, match=message):

        @beat(ask={"short": "Why?", "long": "?" * letters})
        def it(self: Stage) -> None:
            """Here."""


def test_the_name_of_a_question_is_refused_for_a_beat() -> None:
    with pytest.raises(SceneCodeError, match=r"ask_it would be a question's name: rename it, or"):

        class Taken(Stage):
            @beat
            def ask_it(self) -> None:
                """It."""
