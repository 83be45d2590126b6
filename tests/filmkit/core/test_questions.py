"""Beats that ask: a question is a step of its own, which waits for an answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from manim import RIGHT, Animation, Dot, RoundedRectangle, Square, VGroup

from filmkit.commands.scene_files import find_scene
from filmkit.core.animations import Appear, Drift, presence
from filmkit.core.beat_records import BeatRecord
from filmkit.core.errors import SceneCodeError
from filmkit.core.facts import named_facts
from filmkit.core.language import title_of_beat, use_language
from filmkit.core.numbers import separated
from filmkit.core.renderer import FrameReceiver
from filmkit.core.stage import Stage, beat
from filmkit.core.stage_settings import StageSettings
from filmkit.core.text import TextLine
from filmkit.render.quality import Quality
from filmkit.render.runner import manim_config
from tests.support.asking import ASKING, BEATS, QUESTIONS, SAID
from tests.support.traces import make_trace

Pictures = list[npt.NDArray[np.uint8]]
PAUSE = 4.0
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
            # Of a question itself, there are dots and veils beside its lines.
            marks = {part for part in shown if isinstance(part, Dot | RoundedRectangle)}
            others = set(shown) - {*lines, *marks}
            self.levels[record.name] = {round(presence(part), 3) for part in others}

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
    assert [record.pause for record in played.records.values()] == [0, PAUSE, 0, PAUSE, 0]
    # 9 words of 0.43 s in steps of 0.2 s, and the pause.
    record = played.records["ask_sides"]
    assert record.end - record.start == pytest.approx(4.0 + PAUSE)
    start, own, end = record.start, record.tail, record.end
    assert len(played.frames["ask_sides", True]) == round((end - own) * RATE)
    assert own > start


def test_the_words_stand_over_a_picture_that_steps_back_and_returns(played: Played) -> None:
    assert " ".join(played.words["ask_sides"]) == QUESTIONS[0]
    # Each sentence begins a line.
    assert played.words["ask_sides"][-1] == "5 or 4?"
    assert played.levels["ask_sides"] == {0.15}
    assert played.words["sides"] == []
    assert played.levels["sides"] == {1.0}
    before, after = played.ends["opening"], played.frames["ask_sides", False][0]
    assert np.array_equal(before, after)
    assert np.abs(played.ends["ask_sides"] - played.frames["sides", False][0]).max() == 0


def test_a_picture_leaves_the_words_of_a_question_and_its_mark_alone() -> None:
    class Over(Stage):
        @beat
        def before(self) -> None:
            """Stripes."""
            stripes = (Square(0.3, fill_opacity=1).stretch(40, 1) for _ in range(24))
            # As some lines of a room do, they lie over what is drawn later.
            self.play(Appear(VGroup(*stripes).arrange(RIGHT, buff=0.3).set_z_index(2)))

        @beat(ask="Can this be read?")
        def asked(self) -> None:
            self.hold()

    class Alone(Over):
        @beat
        def before(self) -> None:
            """Stripes."""
            self.hold()

    over, alone = (Played(scene).ends["ask_asked"] for scene in (Over, Alone))
    seen = np.abs(over - alone).max(axis=-1)
    rows, columns = np.nonzero(alone[30:].max(axis=-1) > 60)  # below the notes
    middle = rows < 100
    assert 0 < middle.sum() < len(rows)
    for place in (middle, ~middle):
        high, wide = rows[place] + 30, columns[place]
        around = slice(high.min() - 2, high.max() + 3), slice(wide.min() - 2, wide.max() + 3)
        assert seen[around].max() <= 4
    # Beside them, it is there.
    assert seen.max() > 30


def test_only_a_quiet_mark_moves_while_a_question_waits(asking: type[Stage]) -> None:
    class Steady(asking):  # type: ignore[valid-type, misc]
        def drift(self) -> Animation:
            return Drift(self.camera, closer=0.0)

    tail = Played(Steady).frames["ask_sides", True]
    waiting, said = tail[-round(PAUSE * RATE) :], tail[: -round(PAUSE * RATE)]
    assert not moved(said).any()
    rows, columns = np.nonzero(moved(waiting))
    # Small, at the lower edge, in the middle.
    assert 0 < len(rows) < 0.002 * 320 * 180
    assert rows.min() > 0.85 * 180
    assert 130 < columns.min() < columns.max() < 190
    assert np.array_equal(waiting[0], said[-1])


def test_in_calm_films_nothing_moves(asking: type[Stage]) -> None:
    frames = Played(asking, StageSettings(calm=True)).frames["ask_sides", True]
    assert not moved(frames).any()
    assert len(frames) > PAUSE * RATE


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
