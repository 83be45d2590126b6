"""Which beats an edit draws again, tried on a copy of the whole project.

Each edit is made in the copy, the keys of all beats of all scenes are found anew, and those that
changed are compared with what has to be drawn again.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from extract.trace import Trace
from filmkit.core.records import StageSettings
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage
from filmkit.render import keys
from filmkit.render.code_index import PACKAGES, CodeIndex
from filmkit.render.keys import BY_VALUE, DRAWING, BeatHasher, SceneCode
from filmkit.render.quality import QUALITIES
from filmkit.render.request import RenderOptions
from scenes.registry import SCENES
from tests.support.checkout import PROJECT, SHIPPED

Beat = tuple[str, str]


@pytest.fixture(scope="module")
def story() -> dict[SceneEntry, tuple[str, ...]]:
    trace = Trace.load(SHIPPED)
    return {entry: entry.load().beat_names(trace) for entry in SCENES}


class Copy:
    """A copy of the project's code, whose files are edited and put back."""

    def __init__(self, folder: Path, story: dict[SceneEntry, tuple[str, ...]]) -> None:
        self.folder = folder
        self.story = story
        for package in PACKAGES:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(PROJECT / package, folder / package, ignore=ignored)
        self.before = self.keys()

    def keys(self, options: RenderOptions | None = None, *, notes: bool = False) -> dict[Beat, str]:
        index = CodeIndex(self.folder, without=BY_VALUE)
        hasher = BeatHasher(SHIPPED, options or RenderOptions(), index)
        return {
            (entry.slug, beat): key
            for entry, beats in self.story.items()
            for beat, key in hasher.beat_keys(entry, beats, notes=notes).items()
        }

    def scene_keys(self) -> dict[str, str]:
        hasher = BeatHasher(SHIPPED, RenderOptions(), CodeIndex(self.folder, without=BY_VALUE))
        return {entry.slug: hasher.scene_key(entry) for entry in self.story}

    def touched(self, file: str, old: str, new: str) -> set[Beat]:
        """The beats whose keys an edit of a file changes."""
        path = self.folder / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{file} holds no {old!r}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        try:
            return {beat for beat, key in self.keys().items() if key != self.before[beat]}
        finally:
            path.write_text(text, encoding="utf-8")

    def beats_from(self, scene: str, first: str | None = None) -> set[Beat]:
        """All beats of a scene from one of them on."""
        (beats,) = (beats for entry, beats in self.story.items() if entry.slug == scene)
        start = 0 if first is None else beats.index(first)
        return {(scene, beat) for beat in beats[start:]}


@pytest.fixture(scope="module")
def copy(
    tmp_path_factory: pytest.TempPathFactory, story: dict[SceneEntry, tuple[str, ...]]
) -> Copy:
    return Copy(tmp_path_factory.mktemp("copy"), story)


def test_every_beat_has_a_key_of_its_own(copy: Copy) -> None:
    assert len(copy.before) > 70
    assert len(set(copy.before.values())) == len(copy.before)
    assert copy.keys() == copy.before


ATTENTION = "scenes/attention/scene_attention.py"
HEADS = "scenes/heads/scene_heads.py"
SHARING = "scenes/sharing/scene_sharing.py"


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("scenes/registry.py", "Many heads, one output", "Many heads"),
        ("scenes/registry.py", "SCENES: tuple[SceneEntry, ...] = (", "MORE = 1\nSCENES = ("),
        (HEADS, 'title = "', 'title = "Other '),
        (HEADS, "Everything that one head", "All that one head"),
        (SHARING, "no numbers to show", "none to show"),
        (SHARING, '    """One dial, and', '    """Other words. One dial, and'),
        (HEADS, "from __future__ import annotations\n", "from __future__ import annotations\n#\n"),
        (HEADS, "def prepare(self) -> None:", "def prepare(self):"),
        ("filmkit/words/alt.py", "MAX_LENGTH = 600", "MAX_LENGTH = 500"),
        ("filmkit/words/captions.py", "MIN_SECONDS = 1.0", "MIN_SECONDS = 1.1"),
        (
            "filmkit/render/quality.py",
            '    "draft": ',
            '    "tiny": Quality(64, 36, 5),\n    "draft": ',
        ),
        ("filmkit/render/delivery.py", "TRANSPARENT_INDEX = 255", "TRANSPARENT_INDEX = 254"),
        ("filmkit/render/movie.py", 'crf": "', 'crf": "1'),
        ("filmkit/render/workers.py", "POLL_SECONDS = 0.5", "POLL_SECONDS = 0.6"),
        ("filmkit/render/jobs.py", 'FILM = "film"', 'FILM = "movie"'),
        ("filmkit/commands/doctor.py", "GB = 1e9", "GB = 1e8"),
        ("filmkit/decks/web.py", "from __future__ import annotations", "MORE = 1"),
        ("filmkit/core/camera.py", '"""One camera for', '"""A single camera for'),
        ("filmkit/core/picture_map.py", "EDGE = 2", "EDGE = 3"),
        ("extract/capture.py", "from __future__ import annotations", "MORE = 1"),
    ],
)
def test_what_draws_nothing_draws_nothing_again(copy: Copy, file: str, old: str, new: str) -> None:
    assert copy.touched(file, old, new) == set()


def test_notes_are_part_of_the_pictures_that_have_them_alone(copy: Copy) -> None:
    path = copy.folder / "scenes/mla/scene_mla.py"
    text = path.read_text(encoding="utf-8")
    before = copy.keys(notes=True)
    assert not set(before.values()) & set(copy.before.values())
    path.write_text(text.replace('what = ""', "what = str()"))
    try:
        assert copy.keys() == copy.before
        after = copy.keys(notes=True)
        changed = {beat for beat in before if before[beat] != after[beat]}
        assert changed == copy.beats_from("scene_mla")
    finally:
        path.write_text(text, encoding="utf-8")


def test_a_new_scene_draws_nothing_else_again(copy: Copy) -> None:
    folder = copy.folder / "scenes" / "new"
    shutil.copytree(copy.folder / "scenes" / "heads", folder)
    try:
        assert copy.keys() == copy.before
    finally:
        shutil.rmtree(folder)


def test_a_beat_draws_itself_and_what_follows(copy: Copy) -> None:
    beats = list(copy.story[next(e for e in copy.story if e.slug == "scene_heads")])
    for beat in (beats[0], beats[-1]):
        edit = f"def {beat}(self) -> None:", f"def {beat}(self, more=1) -> None:"
        assert copy.touched(HEADS, *edit) == copy.beats_from("scene_heads", beat)


def test_when_a_beat_plays_is_part_of_it(copy: Copy) -> None:
    """Its own condition counts, the words beside it do not."""
    edit = "@beat(when=lambda trace: trace.rotates)", "@beat(when=lambda trace: True)"
    touched = copy.touched(ATTENTION, *edit)
    assert touched
    assert touched < copy.beats_from("scene_attention")


def test_a_scene_s_own_picture_draws_that_scene_from_its_first_use(copy: Copy) -> None:
    touched = copy.touched("scenes/heads/merge.py", "__all__", "MORE = 1\n__all__")
    assert touched == set()  # nobody reads it
    touched = copy.touched(
        "scenes/heads/merge.py", "def __init__(", "MORE = 1\n\n    def __init__("
    )
    assert touched
    assert touched <= copy.beats_from("scene_heads")


def test_a_shared_picture_draws_the_scenes_that_use_it(copy: Copy) -> None:
    edit = "class FanOut(VGroup):", "class FanOut(VGroup):\n    MORE = 1\n"
    touched = copy.touched("filmkit/mobjects/fan_out.py", *edit)
    assert {scene for scene, _ in touched} == {"scene_mla", "scene_answer"}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("filmkit/core/theme.py", '"#65c8d0"', '"#65c8d1"'),
        ("filmkit/core/theme.py", "small: float = 0.6", "small: float = 0.7"),
        ("filmkit/core/heatmap.py", "self.opacity = 1.0", "self.opacity = 0.9"),
        ("filmkit/core/camera.py", "FOCAL = 1.6", "FOCAL = 1.7"),
        ("filmkit/core/renderer.py", "1e-6)", "1e-7)"),
        ("filmkit/core/stage.py", "NOTE_GAP = 0.4", "NOTE_GAP = 0.5"),
        ("filmkit/render/movie.py", "def to_straight_alpha(", "def to_straight_alpha(more=1, *, "),
        ("filmkit/render/runner.py", "cv2.setNumThreads(1)", "cv2.setNumThreads(2)"),
    ],
)
def test_what_every_picture_runs_draws_all_again(copy: Copy, file: str, old: str, new: str) -> None:
    assert copy.touched(file, old, new) == set(copy.before)


def test_words_are_part_of_a_scene_s_own_key(copy: Copy) -> None:
    """What is remembered of a scene holds its narration too."""
    before = copy.scene_keys()
    path = copy.folder / HEADS
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("Everything that one", "All that one"), encoding="utf-8")
    after = copy.scene_keys()
    path.write_text(text, encoding="utf-8")
    assert [slug for slug in before if before[slug] != after[slug]] == ["scene_heads"]


@pytest.mark.parametrize(
    "options",
    [
        RenderOptions(quality=QUALITIES["4k"]),
        RenderOptions(quality=replace(QUALITIES["fullhd"], frame_rate=60)),
        RenderOptions(settings=StageSettings(layer=1)),
        RenderOptions(settings=StageSettings(theme="light")),
        RenderOptions(settings=StageSettings(background="#102030")),
        RenderOptions(settings=StageSettings(transparent=True)),
    ],
    ids=str,
)
def test_settings_are_part_of_the_key(copy: Copy, options: RenderOptions) -> None:
    assert not set(copy.keys(options).values()) & set(copy.before.values())


def test_other_library_is_another_key(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "version", lambda name: "99")
    assert not set(copy.keys().values()) & set(copy.before.values())


def test_both_traces_count(copy: Copy, tmp_path: Path) -> None:
    entry, beats = next(iter(copy.story.items()))
    first, second = tmp_path / "first", tmp_path / "second"

    def found() -> list[str]:
        options = RenderOptions(settings=StageSettings(compare=second))
        hasher = BeatHasher(first, options, CodeIndex(copy.folder))
        return list(hasher.beat_keys(entry, beats).values())

    first.write_text("1")
    second.write_text("1")
    before = found()
    assert found() == before
    for file in (first, second):
        file.write_text("2")
        assert not set(found()) & set(before)
        file.write_text("1")


# Does a key miss anything?


def test_a_key_covers_the_traces_of_gpt2_that_a_scene_may_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = next(entry for entry in SCENES if entry.slug == "scene_patterns")
    found = []
    for name in ("PUBLISHED", "EXTRACTED_GPT2"):
        file = tmp_path / f"{name}.safetensors"
        monkeypatch.setattr(keys, name, file)
        for content in (None, b"one", b"another"):
            if content is not None:
                file.write_bytes(content)
            hasher = BeatHasher(SHIPPED, RenderOptions())
            found.append(hasher.beat_keys(entry, ["one_of_many"])["one_of_many"])
    # The first look at the second file follows the last one at the first.
    assert len(set(found)) == 5


class Executed:
    """Notes which top-level functions and classes of the project run."""

    def __init__(self) -> None:
        self.found: set[tuple[str, str]] = set()

    def __call__(self, frame: Any, event: str, argument: object) -> None:
        if event == "call":
            module = frame.f_globals.get("__name__", "")
            name = frame.f_code.co_qualname.partition(".")[0]
            if module.partition(".")[0] in PACKAGES and not name.startswith(("<", "__")):
                self.found.add((module, name))


@pytest.mark.parametrize("entry", SCENES, ids=lambda entry: entry.slug)
def test_a_key_covers_all_code_that_runs_until_a_beat_has_ended(
    entry: SceneEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Python really runs for each beat, drawn once at its end, against what is followed."""
    trace = Trace.load(SHIPPED)
    stage_class = entry.load()
    beats = stage_class.beat_names(trace)
    # Which beats play is part of a key by their names, whatever the conditions of later ones are.
    monkeypatch.setattr(stage_class, "beat_names", staticmethod(lambda _: beats))
    index = CodeIndex(PROJECT)
    scene = SceneCode(index, (entry.module, entry.cls))
    own = set(index.lineage((entry.module, entry.cls)))
    executed, unseen = Executed(), {}

    def look(record: Any, stage: Stage) -> None:
        stage.snapshot()
        sys.setprofile(None)
        played = beats[: beats.index(record.name) + 1]
        followed = set(scene.reached(scene.members_of(played, set(beats)))) | own | set(DRAWING)
        unseen[record.name] = {
            place for place in executed.found if place not in followed and _draws(place)
        }
        sys.setprofile(executed)

    stage = stage_class(trace, on_beat_end=look)
    sys.setprofile(executed)
    try:
        stage.render()
    finally:
        sys.setprofile(None)
    assert {beat: places for beat, places in unseen.items() if places} == {}


def _draws(place: tuple[str, str]) -> bool:
    """Whether a function takes part in pictures: not what notes beats, or finds modules."""
    modules = "filmkit.core.records", "filmkit.core.scene_entry", "filmkit.core.manim_settings"
    return place[0] not in modules
