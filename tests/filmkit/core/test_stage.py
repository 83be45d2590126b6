"""The stage: beats in order, narration, what every picture says."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from manim import Square, tempconfig

from filmkit.core.animations import Appear
from filmkit.core.records import BeatRecord, StageSettings
from filmkit.core.stage import Stage, StageError, beat
from filmkit.core.theme import current_theme, use_theme
from filmkit.core.theme_names import PALETTES, THEMES
from filmkit.render.quality import ASPECTS, quality_of
from scenes.registry import SCENES
from tests.support.checkout import PROJECT as ROOT
from tests.support.staging import complaints, play
from tests.support.traces import make_trace


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
        self.hold(words=10)


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
    # 1 s of appearing, 2 s of holding, ten words of 0.3 s.
    assert rehearsal.duration == pytest.approx(6.0)


def test_a_snapshot_shows_how_the_beat_ends_without_drawing() -> None:
    seen: list[int] = []

    def look(record: BeatRecord, stage: Stage) -> None:
        pixels = stage.snapshot()
        seen.append(int(pixels[240, 427, 0]))

    with tempconfig({"dry_run": True, "pixel_width": 854, "pixel_height": 480}):
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
            assert self.mobjects == [self.provenance]

    play(Removal, make_trace())


def test_the_model_is_named_on_every_picture() -> None:
    trace = make_trace()
    named = [
        any(trace.meta.model in item.text for item in picture.texts)
        for picture in play(Story, trace)
    ]
    assert named == [True, True]


def test_runs_are_deterministic() -> None:
    trace = make_trace(positions="rotary")
    entry = SCENES[0].load()
    first, second = (play(entry, trace) for _ in range(2))
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
    with tempconfig({"dry_run": True, "pixel_width": 64, "pixel_height": 36}):
        Look(make_trace(), settings, on_beat_end=look).render()
    with use_theme(name, palette) as expected:
        background = [int(expected.background[i : i + 2], 16) for i in (1, 3, 5)]
        assert seen == [(name, expected.palette, expected), background, background]


def test_a_background_of_one_s_own_replaces_that_of_the_theme() -> None:
    seen = []

    def look(record: BeatRecord, stage: Stage) -> None:
        seen.append(stage.snapshot()[0, 0].tolist())

    with tempconfig({"dry_run": True, "pixel_width": 64, "pixel_height": 36}):
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


def test_a_second_trace_is_shown_beside_the_first(tmp_path: Path) -> None:
    file = tmp_path / "second.safetensors"
    make_trace(n_tokens=3, seed=1).save(file)
    stage = Story(make_trace(n_tokens=5), StageSettings(compare=file))
    assert (stage.layer.count, stage.compared.count) == (5, 3)
    assert stage.compared.layer == stage.layer.layer
    # Its numbers are not found in the film's own trace, so no key of that one may be named.
    source = stage.compared.source("q", 0)
    assert source.tensor is None
    assert source.expression.endswith("of the compared trace")
    assert stage.layer.source("q", 0).tensor is not None


def test_a_scene_that_compares_asks_for_the_second_trace() -> None:
    with pytest.raises(StageError, match="--compare FILE"):
        _ = Story(make_trace()).compared
