"""Which beats an edit draws again, tried on a copy of the whole project.

Each edit is made in the copy, the keys of all beats of all scenes are found anew, and those that
changed are compared with what has to be drawn again.
"""

from __future__ import annotations

import os
import shutil
import sys
from cProfile import Profile
from dataclasses import replace
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from extract.facts.published import EXTRACTED_GPT2, PUBLISHED
from extract.trace import Trace
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage
from filmkit.core.stage_settings import StageSettings
from filmkit.render import keys, source_code
from filmkit.render.cache import Cache
from filmkit.render.keys import BeatHasher, Drawn
from filmkit.render.quality import QUALITIES
from filmkit.render.recording import BEAT
from filmkit.render.rehearsals import Rehearsals
from filmkit.render.request import RenderRequest
from filmkit.render.source_code import PACKAGES
from scenes.registry import SCENES
from tests.support.checkout import PROJECT, SHIPPED
from tests.support.filming import render_request

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

    def keys(self, request: RenderRequest | None = None) -> dict[Beat, str]:
        hasher = BeatHasher(request or RenderRequest(trace=SHIPPED))
        found = {}
        with pytest.MonkeyPatch.context() as patch:
            for module in (keys, source_code):
                patch.setattr(module, "PROJECT", self.folder)
            drawing = tuple(self.folder / path.relative_to(PROJECT) for path in keys.DRAWING)
            patch.setattr(keys, "DRAWING", drawing)
            for entry, beats in self.story.items():
                file = self.folder / entry.source_file.relative_to(PROJECT)
                drawn = Drawn(replace(entry, file=file), "en")
                for i, beat in enumerate(beats):
                    played = beats[: i + 1]
                    key = hasher.picture_key(
                        entry, played, drawn.after((BEAT, name, "") for name in played)
                    )
                    found[entry.slug, beat] = key
        return found

    def touched(self, *edits: tuple[str, str, str]) -> set[Beat]:
        """The beats whose keys edits change; each is a file, a text in it, and what it becomes."""
        before = {file: (self.folder / file).read_text(encoding="utf-8") for file, *_ in edits}
        try:
            for file, old, new in edits:
                path = self.folder / file
                text = path.read_text(encoding="utf-8")
                assert old in text, f"{file} holds no {old!r}"
                path.write_text(text.replace(old, new, 1), encoding="utf-8")
            return {beat for beat, key in self.keys().items() if key != self.before[beat]}
        finally:
            for file, text in before.items():
                (self.folder / file).write_text(text, encoding="utf-8")

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


QUIET = [
    ("scenes/registry.py", "Many heads, one output", "Many heads"),
    ("scenes/registry.py", "SCENES: tuple[SceneEntry, ...] = (", "MORE = 1\nSCENES = ("),
    (HEADS, 'title = "', 'title = "Other '),
    (HEADS, "Stand this head up", "Stand a head up"),
    (SHARING, "Surely every head", "Perhaps every head"),
    (SHARING, '    """Plates of keys', '    """Other words. Plates of keys'),
    (HEADS, "from __future__ import annotations\n", "from __future__ import annotations\n#\n"),
    (HEADS, "def prepare(self) -> None:", "def prepare(self):"),
    ("filmkit/core/stage.py", "words: list[str] = []", "words: list = []"),
    ("filmkit/words/alt.py", "MAX_LENGTH = 600", "MAX_LENGTH = 500"),
    ("filmkit/words/captions.py", "MIN_SECONDS = 1.0", "MIN_SECONDS = 1.1"),
    (
        "filmkit/render/quality.py",
        '    "draft": ',
        '    "tiny": Quality(64, 36, 5),\n    "draft": ',
    ),
    ("filmkit/render/delivery.py", "TRANSPARENT_INDEX = 255", "TRANSPARENT_INDEX = 254"),
    ("filmkit/render/workers.py", "MAX_ATTEMPTS = 3", "MAX_ATTEMPTS = 4"),
    ("filmkit/render/jobs.py", 'FILM = "film"', 'FILM = "movie"'),
    ("filmkit/commands/doctor.py", "GB = 1e9", "GB = 1e8"),
    ("filmkit/decks/web.py", "from __future__ import annotations", "MORE = 1"),
    ("filmkit/core/camera.py", '"""One camera for', '"""A single camera for'),
    ("filmkit/core/picture_map.py", "EDGE = 2", "EDGE = 3"),
    ("extract/models/capture.py", "from __future__ import annotations", "MORE = 1"),
]


def test_what_draws_nothing_draws_nothing_again(copy: Copy) -> None:
    """All at once: keys of the whole story take a while."""
    assert not copy.touched(*QUIET), [edit for edit in QUIET if copy.touched(edit)]


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
        assert copy.touched((HEADS, *edit)) == copy.beats_from("scene_heads", beat)


def test_when_a_beat_plays_is_part_of_it(copy: Copy) -> None:
    """Its own condition counts, the words beside it do not."""
    edit = "@beat(when=lambda trace: trace.rotates)", "@beat(when=lambda trace: True)"
    touched = copy.touched((ATTENTION, *edit))
    assert touched
    assert touched < copy.beats_from("scene_attention")


def test_a_scene_s_own_picture_draws_that_scene(copy: Copy) -> None:
    touched = copy.touched(("scenes/heads/parts.py", "__all__", "MORE = 1\n__all__"))
    assert touched == copy.beats_from("scene_heads")


def test_a_shared_picture_draws_the_scenes_that_use_it(copy: Copy) -> None:
    edit = "class CachedPerToken:", "class CachedPerToken:\n    MORE = 1\n"
    touched = copy.touched(("filmkit/mobjects/cached_numbers.py", *edit))
    assert {scene for scene, _ in touched} == {"scene_kv_cache", "scene_cache_size"}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("filmkit/core/theme.py", '"#65c8d0"', '"#65c8d1"'),
        ("filmkit/core/theme.py", "small: float = 0.6", "small: float = 0.7"),
        ("filmkit/core/heatmap.py", "self.opacity = 1.0", "self.opacity = 0.9"),
        ("filmkit/core/camera.py", "FOCAL = 1.6", "FOCAL = 1.7"),
        ("filmkit/core/beat_records.py", "1e-6)", "1e-7)"),
        ("filmkit/core/renderer.py", "LONGEST_PIECE = ", "LONGEST_PIECE = 1 + "),
        ("filmkit/core/stage.py", "NOTE_GAP = 0.4", "NOTE_GAP = 0.5"),
        ("filmkit/render/movie.py", "def to_straight_alpha(", "def to_straight_alpha(more=1, *, "),
        ("filmkit/render/manim_config.py", "cv2.setNumThreads(1)", "cv2.setNumThreads(2)"),
    ],
)
def test_what_every_picture_runs_draws_all_again(copy: Copy, file: str, old: str, new: str) -> None:
    assert copy.touched((file, old, new)) == set(copy.before)


@pytest.mark.parametrize(
    "request_",
    [
        RenderRequest(trace=SHIPPED, quality=QUALITIES["4k"]),
        RenderRequest(trace=SHIPPED, quality=replace(QUALITIES["fullhd"], frame_rate=60)),
        RenderRequest(trace=SHIPPED, settings=StageSettings(layer=1)),
        RenderRequest(trace=SHIPPED, settings=StageSettings(theme="light")),
        RenderRequest(trace=SHIPPED, settings=StageSettings(background="#102030")),
        RenderRequest(trace=SHIPPED, settings=StageSettings(transparent=True)),
    ],
    ids=str,
)
def test_settings_are_part_of_the_key(copy: Copy, request_: RenderRequest) -> None:
    assert not set(copy.keys(request_).values()) & set(copy.before.values())


def test_other_library_is_another_key(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "version", lambda name: "99")
    assert not set(copy.keys().values()) & set(copy.before.values())


def test_both_traces_count(tmp_path: Path) -> None:
    entry = SCENES[0]
    first, second = tmp_path / "first", tmp_path / "second"

    def found() -> str:
        request = RenderRequest(trace=first, settings=StageSettings(compare=second))
        return BeatHasher(request).picture_key(entry, ["a beat"], "its code")

    first.write_text("1")
    second.write_text("1")
    before = found()
    assert found() == before
    for file in (first, second):
        file.write_text("2")
        assert found() != before
        file.write_text("1")


def test_other_words_of_a_question_draw_it_and_how_they_go_away(tmp_path: Path) -> None:
    entry = next(entry for entry in SCENES if entry.slug == "scene_sharing")
    rehearsals = Rehearsals(render_request((), SHIPPED, tmp_path), Cache(tmp_path, 0))
    rehearsal = rehearsals.get(entry)
    question = rehearsal.beat("ask_attention_moves")

    def found(words: str) -> dict[tuple[str, bool], str]:
        beats = [
            replace(beat, narration=words) if beat == question else beat for beat in rehearsal.beats
        ]
        changed = replace(rehearsal, beats=tuple(beats))
        return rehearsals.hasher.part_keys(entry, changed, changed)

    before, after = found(question.narration), found("How much attention moves?")
    assert {part for part, key in after.items() if before[part] != key} == {
        (question.name, False),
        (question.name, True),
        ("attention_moves", False),
    }


# Does a key miss anything?


def test_the_traces_of_gpt2_that_a_scene_shows_are_among_what_it_uses(tmp_path: Path) -> None:
    entry = next(entry for entry in SCENES if entry.slug == "scene_patterns")
    rehearsals = Rehearsals(render_request((), SHIPPED, tmp_path), Cache(tmp_path, 0))
    uses = {name for _, name, _ in rehearsals.get(entry).uses}
    assert {str(PUBLISHED), str(EXTRACTED_GPT2)} <= uses


def executed(profile: Profile) -> set[tuple[Path, str]]:
    """Files and names of the project's functions that have run under a profile."""
    codes = {entry.code for entry in profile.getstats() if isinstance(entry.code, CodeType)}
    found = {(code.co_filename, code.co_qualname) for code in codes}
    own = tuple(f"{PROJECT / package}{os.sep}" for package in PACKAGES)
    return {(Path(file), name) for file, name in found if file.startswith(own)}


@pytest.mark.parametrize("entry", SCENES, ids=lambda entry: entry.slug)
def test_a_key_covers_all_code_that_runs_until_a_beat_has_ended(
    entry: SceneEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Python really runs for each beat, drawn once at its end, against what is followed."""
    trace = Trace.load(SHIPPED)
    stage_class = entry.load()
    beats = stage_class.beat_names(trace)
    files = source_code.reached([*keys.DRAWING, entry.source_file])
    of_beats = {f"{stage_class.__name__}.{beat}": beat for beat in beats}
    profile, unseen, announced = Profile(subcalls=False, builtins=False), {}, set()
    audit = sys.audit

    def hear(event: str, *arguments: object) -> None:
        audit(event, *arguments)
        announced.update(arguments if event == "filmkit.beat" else ())

    monkeypatch.setattr(sys, "audit", hear)

    def look(record: Any, stage: Stage) -> None:
        stage.snapshot()
        profile.disable()
        unseen[record.name] = {
            (file.name, name)
            for file, name in executed(profile)
            if (file not in files and file.name not in NOT_DRAWING)
            or (name in of_beats and of_beats[name] not in announced)
        }
        profile.enable()

    stage = stage_class(trace, on_beat_end=look)
    with profile:
        stage.render()
    assert {beat: places for beat, places in unseen.items() if places} == {}


def test_no_scene_of_the_project_reads_words() -> None:
    """Else all its words would count."""
    files = [*(PROJECT / "scenes").rglob("*.py")]
    assert files
    assert not [f.name for f in files if source_code.READS_WORDS.search(f.read_bytes())]


# They find and note things; what they find is part of a key by its own value.
NOT_DRAWING = {"manim_settings.py", "quality.py"}
