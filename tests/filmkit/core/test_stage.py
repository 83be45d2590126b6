"""The stage: beats in order, narration, what every picture says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from manim import Animation, Square

from filmkit.core.animations import Appear, Drift, presence, set_presence
from filmkit.core.beat_records import BeatRecord
from filmkit.core.camera import Shot
from filmkit.core.geometry import Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.renderer import FrameReceiver
from filmkit.core.stage import SceneCodeError, Stage, StageError, beat, notes_at_top
from filmkit.core.stage_settings import StageSettings
from filmkit.core.theme import current_theme, use_theme
from filmkit.core.theme_names import PALETTES, THEMES
from filmkit.pictures.head_panel import HeadPanel
from filmkit.render.manim_config import changed_config, manim_config
from filmkit.render.quality import ASPECTS, Quality, quality_of
from scenes.registry import SCENES
from tests.support.checkout import PROJECT as ROOT
from tests.support.staging import complaints, play
from tests.support.traces import make_trace, replaced


class Story(Stage):
    title = "A story"
    tensors = ("x",)

    def prepare(self) -> None:
        self.square = Square(fill_opacity=1.0)
        self.facts["word"] = "square"

    @beat
    def opening(self) -> None:
        """This is a {word},
        and nothing else."""
        self.play(Appear(self.square), run_time=1.0)

    @beat(when=lambda trace: trace.rotates)
    def turning(self) -> None:
        """Only for models that rotate."""
        self.hold(2.0)

    @beat
    def ending(self) -> None:
        """The end."""
        self.hold()


def test_beats_play_in_the_order_of_the_class_body() -> None:
    assert Story.beat_names() == ("opening", "turning", "ending")
    trace = make_trace(positions="learned")
    assert Story.beat_names(trace) == ("opening", "ending")
    pictures = play(Story, trace)
    assert [p.record.name for p in pictures] == ["opening", "ending"]


def test_narration_is_the_docstring_with_facts_on_one_line() -> None:
    first, *_ = play(Story, make_trace())
    assert first.record.narration == "This is a square, and nothing else."


def test_times_add_up() -> None:
    rehearsal = Story.rehearse(make_trace(positions="rotary"))
    starts = [record.start for record in rehearsal.beats]
    ends = [record.end for record in rehearsal.beats]
    assert starts == [0.0, *ends[:-1]]
    # 1 s of appearing until 7 words of 0.43 s have been said; 5 words, but not less than 2 s of
    # holding and 0.8 s more; 0.8 s of holding and 0.8 s more. All of it in steps of 0.2 s.
    assert [end - start for start, end in zip(starts, ends, strict=True)] == pytest.approx(
        [3.2, 2.8, 1.6]
    )
    assert rehearsal.duration == pytest.approx(7.6)
    own = [record.tail - record.start for record in rehearsal.beats]
    assert own == pytest.approx([1.0, 2.0, 0.8])


def test_times_are_python_s_numbers_even_if_a_scene_computes_some() -> None:
    """Keys of pieces are made of how times are written, which NumPy does in its own way."""

    class Computed(Stage):
        @beat
        def first(self) -> None:
            """One."""
            self.play(Appear(Square()), run_time=np.float64(0.6))

        @beat
        def second(self) -> None:
            """Two."""
            self.hold(np.float64(0.4))

    rehearsal = Computed.rehearse(make_trace())
    times = [t for record in rehearsal.beats for t in (record.start, record.tail, record.end)]
    assert {type(time) for time in (*times, rehearsal.duration)} == {float}


def test_a_snapshot_shows_how_the_beat_ends_without_drawing() -> None:
    seen: list[int] = []

    def look(record: BeatRecord, stage: Stage) -> None:
        pixels = stage.snapshot()
        seen.append(int(pixels[240, 427, 0]))

    with changed_config({"dry_run": True, "pixel_width": 854, "pixel_height": 480}):
        Story(make_trace(), on_beat_end=look).render()
    assert seen == [255, 255]


def test_a_group_is_removed_with_all_its_members() -> None:
    class Removal(Stage):
        @beat
        def only(self) -> None:
            """Nothing stays."""
            words = Square().add(Square())
            self.add(*words.submobjects)
            self.remove(words)
            assert self.mobjects == []
            self.hold()

    play(Removal, make_trace())


def test_the_model_is_named_on_every_picture() -> None:
    trace = make_trace()
    named = [
        any(trace.meta.model in item.text for item in picture.texts)
        for picture in play(Story, trace)
    ]
    assert named == [True, True]


def test_notes_are_drawn_where_they_are_asked_for_and_never_become_part_of_the_scene() -> None:
    seen: list[tuple[int, int]] = []

    def look(record: BeatRecord, stage: Stage) -> None:
        before = list(stage.mobjects)
        with_notes, without = stage.snapshot(notes=True), stage.snapshot()
        assert stage.mobjects == before
        top = slice(None, 40)
        seen.append((int(with_notes[top, :, :3].max()), int(without[top, :, :3].max())))
        np.testing.assert_array_equal(with_notes[40:], without[40:])

    with changed_config({"dry_run": True, "pixel_width": 854, "pixel_height": 480}):
        Story(make_trace(), on_beat_end=look).render()
    assert len(seen) == 2
    assert all(noted > 100 for noted, _ in seen)
    assert all(plain == 0 for _, plain in seen)


def test_runs_are_deterministic() -> None:
    trace = make_trace(positions="rotary")
    (entry,) = (entry for entry in SCENES if entry.slug == "scene_attention")
    first, second = (play(entry.load(), trace) for _ in range(2))
    assert sum(len(picture.panels) for picture in first) > 10
    for a, b in zip(first, second, strict=True):
        assert a.record == b.record
        assert a.texts == b.texts
        for p, q in zip(a.panels, b.panels, strict=True):
            np.testing.assert_array_equal(p.corners, q.corners)
            np.testing.assert_array_equal(p.heatmap.values, q.heatmap.values)


@pytest.mark.parametrize("aspect", ASPECTS)
def test_long_names_leave_the_two_notes_apart(aspect: str) -> None:
    trace = make_trace()
    meta = replace(trace.meta, model="A-language-model-with-a-name-of-some-length (quantised)")
    quality = quality_of("fullhd", aspect)
    size = {"width": quality.width, "height": quality.height}
    first, *_ = play(Story, replace(trace, meta=meta), **size)
    assert complaints(first, **size) == []


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_note_may_take_the_whole_line_if_there_is_no_other() -> None:
    left, right = notes_at_top(Frame(8 * 16 / 9, 8.0), "a model with a very long name " * 8, "")
    assert left.text.endswith("…")
    assert right.text == ""


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("name", THEMES)
def test_settings_reach_the_theme_and_the_picture(name: str, palette: str) -> None:
    seen = []

    class Look(Story):
        def prepare(self) -> None:
            super().prepare()
            seen.append((self.theme.name, self.theme.palette, current_theme()))

    def look(record: BeatRecord, stage: Stage) -> None:
        seen.append(stage.snapshot()[0, 0, :3].tolist())

    settings = StageSettings(theme=name, palette=palette)
    with changed_config({"dry_run": True, "pixel_width": 64, "pixel_height": 36}):
        Look(make_trace(), settings, on_beat_end=look).render()
    with use_theme(name, palette) as expected:
        background = [int(expected.background[i : i + 2], 16) for i in (1, 3, 5)]
        assert seen == [(name, expected.palette, expected), background, background]


def test_a_background_of_one_s_own_replaces_that_of_the_theme() -> None:
    seen = []

    def look(record: BeatRecord, stage: Stage) -> None:
        seen.append(stage.snapshot()[0, 0].tolist())

    with changed_config({"dry_run": True, "pixel_width": 64, "pixel_height": 36}):
        for settings in (
            StageSettings(background="#102030"),
            StageSettings(theme="light", transparent=True),
        ):
            Story(make_trace(), settings, on_beat_end=look).render()
    assert seen[0] == [0x10, 0x20, 0x30, 255]
    assert seen[2][3] == 0


def test_every_scene_says_what_it_is() -> None:
    for entry in SCENES:
        scene = entry.load()
        assert scene.title == entry.title
        assert scene.beat_names()
        assert scene.__doc__


def test_scenes_load_without_torch_and_from_any_folder(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from scenes.registry import SCENES\n"
        "[entry.load() for entry in SCENES]\n"
        "heavy = {'torch', 'transformers', 'transformer_lens'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)


@pytest.mark.parametrize(
    ("heads", "told"),
    [((), ""), ((2,), "layer 1, head 2"), ((0, 2), "layer 1, heads 0 and 2")],
)
def test_the_note_names_the_heads_that_are_shown(heads: tuple[int, ...], told: str) -> None:
    class Shown(Stage):
        tensors = ("pattern",)

        @beat
        def panels(self) -> None:
            """Panels of some heads."""
            for number, head in enumerate(heads):
                panel = HeadPanel(self.layer.head(head), "pattern", height=2.0)
                self.add(panel.shift([3.0 * number, 0, 0]))
            self.hold(1.0)

    stage = Shown(make_trace(n_heads=4))
    stage.render()
    about, hidden = stage.beats[0].notes
    assert about == "  ·  ".join(filter(None, ["random weights", "made-up model", told]))
    assert hidden.startswith("the beginning token") is bool(heads)


@pytest.mark.parametrize(("tensor", "told"), [("pattern", True), ("v", False)])
def test_a_token_that_is_not_drawn_is_told_of_where_keys_are_looked_at(
    tensor: str, told: bool
) -> None:
    class Shown(Stage):
        @beat
        def panel(self) -> None:
            """A panel."""
            self.add(HeadPanel(self.layer.head(0), tensor, height=2.0))
            self.hold(1.0)

    stage = Shown(make_trace())
    stage.render()
    assert ("is not drawn" in stage.beats[0].notes[1]) is told


def test_the_note_follows_the_first_token() -> None:
    class First(Stage):
        @beat
        def story(self) -> None:
            """The first token is drawn for once."""
            whole = TensorSource("pattern.1", index=(0, (0, 4), (0, 4)))
            self.add(Heatmap(self.trace["pattern.1"][0, :4, :4], Norm.unit(), source=whole))
            self.hold(1.0)

    stage = First(make_trace())
    stage.render()
    assert stage.beats[-1].notes[1] == ""


def test_a_second_trace_is_shown_beside_the_first(tmp_path: Path) -> None:
    file = tmp_path / "second.safetensors"
    make_trace(n_tokens=3, seed=1).save(file)
    stage = Story(make_trace(n_tokens=5), StageSettings(compare=file))
    assert (stage.layer.count, stage.compared.count) == (5, 3)
    assert stage.compared.layer == stage.layer.layer
    # Its numbers are not found in the film's own trace, so no key of that one may be named.
    assert stage.compared.source("q", 0).model == stage.compared.trace.meta.model
    assert not stage.layer.source("q", 0).model


@pytest.mark.parametrize("begins", [False, True], ids=["no beginning token", "beginning token"])
@pytest.mark.parametrize("both", [False, True], ids=["second alone", "both"])
def test_notes_on_a_second_trace_are_of_that_one(tmp_path: Path, both: bool, begins: bool) -> None:
    file, own = tmp_path / "second.safetensors", make_trace(has_bos=True)
    second = replaced(make_trace(has_bos=begins), model="another model", random_weights=False)
    second.save(file)

    class Two(Stage):
        tensors = ("pattern",)

        @beat
        def panels(self) -> None:
            """A panel of the second trace, and perhaps one of the first."""
            for number, view in enumerate((self.compared, self.layer)[: 1 + both]):
                panel = HeadPanel(view.head(0), "pattern", height=2.0)
                self.add(panel.shift([3.0 * number, 0, 0]))
            self.hold(1.0)

    stage = Two(own, StageSettings(compare=file))
    stage.render()
    about, hidden = stage.beats[0].notes
    if both:
        assert about == "random weights  ·  made-up model  ·  another model  ·  layer 1, head 0"
        assert "is not drawn" in hidden
    else:
        # Layers and heads that are named are those of the film's own model.
        assert about == "another model"
        assert ("is not drawn" in hidden) is begins


def test_a_scene_that_compares_asks_for_the_second_trace() -> None:
    with pytest.raises(StageError, match="--compare FILE"):
        _ = Story(make_trace()).compared


# What is said, and when


class Timed(Stage):
    """Waits for two marks: a fact, and a word of its own."""

    first_words = ""

    def prepare(self) -> None:
        self.facts |= {"row": "white", "lead": self.first_words}
        self.seen: list[float] = []

    @beat
    def meet(self) -> None:
        """{lead}The query of [{row}] meets the key of [red], and that is all there is."""
        for mark in ("row", "red"):
            self.wait_for(mark)
            self.seen.append(self.renderer.piece_time)


def test_a_beat_waits_until_a_mark_is_said() -> None:
    stage = Timed(make_trace())
    stage.render()
    (record,) = stage.beats
    text = record.narration
    assert text == "The query of white meets the key of red, and that is all there is."
    said = 15 * 0.43  # seconds
    places = [said * text.index(word) / len(text) for word in ("white", "red")]
    assert stage.seen == pytest.approx(places)
    assert record.marks == (
        ("row", pytest.approx(places[0])),
        ("red", pytest.approx(places[1])),
    )
    assert record.tail - record.start == pytest.approx(places[1])


def test_a_mark_that_was_said_already_does_not_wait() -> None:
    class Late(Timed):
        @beat
        def meet(self) -> None:
            """The query of [white] meets the key."""
            self.hold(5.0)
            self.wait_for("white")

    (record,) = Late.rehearse(make_trace()).beats
    assert record.tail == pytest.approx(5.0)
    assert record.marks[0][1] < 3.0


class Clock(Stage):
    """Two beats: one is long, of few words; one is short, of many."""

    @beat
    def few_words(self) -> None:
        """Look."""
        self.play(Appear(Square(fill_opacity=1.0)), run_time=3.1)

    @beat
    def many_words(self) -> None:
        """Twelve words are said while nothing at all happens on this picture."""
        self.hold(0.1)


def test_a_tail_lasts_until_the_words_are_said_and_always_a_moment() -> None:
    for settings in (StageSettings(), StageSettings(calm=True)):
        few, many = Clock.rehearse(make_trace(), settings).beats
        # 3.1 and 0.8 s, and twelve words of 0.43 s, in steps of 0.2 s.
        assert few.end - few.start == pytest.approx(4.0)
        assert many.end - many.start == pytest.approx(5.2)
        assert [few.tail - few.start, many.tail - many.start] == pytest.approx([3.1, 0.1])


def tail_frames(scene: type[Stage], settings: StageSettings) -> list[npt.NDArray[np.int_]]:
    """Draw the tail of the last beat of a scene; return its frames, and the last picture."""
    frames: list[npt.NDArray[np.int_]] = []

    @contextmanager
    def receiver_of_beat(name: str, tail: bool) -> Iterator[FrameReceiver | None]:
        frames.clear()

        def take(picture: npt.NDArray[np.uint8], repeat: int) -> None:
            frames.extend([picture.astype(int)] * repeat)

        yield take

    with manim_config(Quality(320, 180, 10)):
        stage = scene(make_trace(), settings, receiver_of_beat=receiver_of_beat)
        stage.render()
        return [*frames, stage.snapshot().astype(int)]


@pytest.mark.parametrize("shot", [Shot(), Shot(theta=30.0, phi=20.0)], ids=["flat", "in space"])
def test_a_tail_drifts_and_comes_back(shot: Shot) -> None:
    class Drifting(Stage):
        @beat
        def only(self) -> None:
            """There is a sheet of cells here, and it drifts while somebody is talking."""
            self.camera.shot = shot
            self.add(Heatmap(np.arange(6.0).reshape(2, 3), width=6))
            self.hold(0.4)

    *frames, last = tail_frames(Drifting, StageSettings())
    far = [np.abs(frame - frames[0]).mean() for frame in frames]
    middle = len(frames) // 2
    assert len(frames) > 50
    # It begins with the picture that was there, goes away from it, and comes back to it.
    np.testing.assert_array_equal(frames[0], last)
    assert max(far) == pytest.approx(far[middle], rel=0.1)
    assert far[middle] > 0.4
    assert far[-1] < 0.1 * far[middle]
    # Nothing stands still, and nothing leaps.
    steps = [np.abs(b - a).mean() for a, b in pairwise(frames)]
    assert max(steps) < 0.2 * far[middle]
    calm = tail_frames(Drifting, StageSettings(calm=True))
    assert all((frame == last).all() for frame in calm)
    assert len(calm) == len(frames) + 1


def test_a_scene_may_drift_in_its_own_way() -> None:
    class Nodding(Clock):
        def drift(self) -> Animation:
            return Drift(self.camera, closer=0.2)

    def amount(scene: type[Stage]) -> float:
        *frames, last = tail_frames(scene, StageSettings())
        return float(max(np.abs(frame - last).mean() for frame in frames))

    assert amount(Nodding) > 3 * amount(Clock) > 0


# What a scene can get wrong


def mistake_of(scene: type[Stage]) -> SceneCodeError:
    """Return the error with which a scene ends."""
    with pytest.raises(SceneCodeError) as raised:
        scene.rehearse(make_trace())
    return raised.value


def line_of(words: str) -> str:
    """Return this file and the number of its line that has these words."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    (number,) = (n for n, line in enumerate(lines, 1) if words in line and "line_of" not in line)
    return f"test_stage.py line {number}"


def test_a_beat_that_plays_nothing_is_refused() -> None:
    class Empty(Stage):
        @beat  # an empty one
        def nothing(self) -> None:
            """Nothing."""
            self.add(Square())

    error = mistake_of(Empty)
    assert "plays nothing; add self.play(...) or self.hold(seconds)" in str(error)
    assert error.place == line_of("# an empty one")
    assert error.__notes__ == ["in beat nothing"]


def test_a_fact_that_is_missing_is_named_with_those_there_are() -> None:
    class Forgetful(Stage):
        @beat  # a forgetful one
        def only(self) -> None:
            """There are {cells} cells."""
            self.hold()

    error = mistake_of(Forgetful)
    assert str(error) == "there is no fact {cells}; there are model, prompt"
    assert error.place == line_of("# a forgetful one")


def test_a_mark_that_is_missing_is_named_with_those_there_are() -> None:
    class Unmarked(Stage):
        @beat
        def only(self) -> None:
            """The query of [white] meets the key of red."""
            self.wait_for("red")

    assert str(mistake_of(Unmarked)) == "the narration has no mark [red]; there are [white]"


def test_two_beats_of_one_name_are_refused_where_the_second_is() -> None:
    with pytest.raises(SceneCodeError, match="two beats are called same; rename one") as raised:

        class Twice(Stage):
            @beat
            def same(self) -> None:
                """One."""

            @beat(own="Two.")  # the second of one name
            def same(self) -> None:  # noqa: F811
                pass

    assert raised.value.place == line_of("# the second of one name")


def test_a_scene_may_replace_a_beat_of_the_scene_that_it_is_built_on() -> None:
    class Other(Story):
        @beat
        def ending(self) -> None:
            """Another end."""
            self.hold()

    assert Other.beat_names() == Story.beat_names()
    assert Other.rehearse(make_trace()).beat("ending").narration == "Another end."


# Pointing at something


class Focused(Stage):
    """Dims all but one of three squares for a while."""

    to: float | None = None

    def prepare(self) -> None:
        self.squares = [Square().shift([3.0 * i, 0, 0]) for i in (-1, 0, 1)]
        self.levels: list[list[float]] = []

    def note(self) -> None:
        self.levels.append([round(presence(square), 6) for square in self.squares])

    @beat
    def only(self) -> None:
        """Three squares, and one of them is meant."""
        left, middle, right = self.squares
        self.add(left, middle, set_presence(right, 0.5))
        with self.focus(middle, to=self.to):
            self.note()
            self.remove(left)
        self.note()
        self.add(left)
        self.note()


@pytest.mark.parametrize("to", [None, 0.0, 0.3])
def test_focus_dims_the_rest_and_brings_it_back(to: float | None) -> None:
    stage = Focused(make_trace())
    stage.to = to
    stage.render()
    low = stage.theme.dim if to is None else to
    inside, after, _ = stage.levels
    assert inside == pytest.approx([low, 1.0, low])
    # What was half there is half there again; what was removed inside the block stays away.
    assert after[1:] == [1.0, 0.5]


def test_focus_on_everything_plays_nothing() -> None:
    class All(Stage):
        @beat
        def only(self) -> None:
            """All of it."""
            square = Square()
            self.add(square)
            with self.focus(square):
                self.hold(0.3)

    (record,) = All.rehearse(make_trace()).beats
    assert record.tail == pytest.approx(0.3)
