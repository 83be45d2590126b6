"""In a film each scene arrives from the last picture of the one before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from manim.utils.exceptions import EndSceneEarlyException

from extract.trace import Trace
from filmkit.core.arrival import _matches, last_picture
from filmkit.core.beat_records import ARRIVE
from filmkit.core.renderer import FrameReceiver
from filmkit.core.scene_entry import Arrival, SceneEntry, one_after_another
from filmkit.core.stage import Stage
from filmkit.core.stage_settings import StageSettings
from filmkit.render.cache import Cache
from filmkit.render.films import plan_scene
from filmkit.render.movie import MP4
from filmkit.render.quality import Quality
from filmkit.render.rehearsals import Rehearsals
from filmkit.render.runner import manim_config
from scenes.registry import SCENES, SHORT
from tests.support.checkout import SHIPPED
from tests.support.filming import render_request

Pictures = npt.NDArray[np.uint8]
SMALL = Quality(320, 180, 5)
SETTINGS = StageSettings()
FLASH = 6.0  # levels of the median by which one picture may be brighter than those around it

# Before the patterns stand outputs of all heads, and after them no pattern.
APART = ("scene_patterns", "scene_kv_cache", "scene_sharing")
QUICK = ("scene_heads", "scene_patterns")
PAIRS = [
    pytest.param(
        before, after, id=after.slug, marks=() if after.slug in QUICK else pytest.mark.slow
    )
    for before, after in pairwise(SCENES)
]


@pytest.fixture(scope="module")
def trace() -> Trace:
    return Trace.load(SHIPPED)


@contextmanager
def small() -> Iterator[None]:
    with manim_config(SMALL):
        yield


def drawn(
    stage: type[Stage], trace: Trace, until: str
) -> tuple[dict[str, list[Pictures]], Pictures]:
    """Draw a scene until a beat ends: the pictures of each beat without tails, and its last one."""
    pictures: dict[str, list[Pictures]] = {}
    last: list[Pictures] = []

    @contextmanager
    def receiver_of_beat(beat: str, tail: bool) -> Iterator[FrameReceiver | None]:
        def write(picture: Any, repeat: int) -> None:
            pictures.setdefault(beat, []).append(picture[..., :3].copy())

        yield None if tail else write

    def end(record: object, scene: Stage) -> None:
        if scene.beats[-1].name == until:
            last.append(scene.snapshot()[..., :3])
            raise EndSceneEarlyException

    stage(trace, SETTINGS, receiver_of_beat=receiver_of_beat, on_beat_end=end).render()
    return pictures, last[0]


def final(entry: SceneEntry, trace: Trace) -> Pictures:
    """The last picture of a scene that is shown alone."""
    stage = entry.load()
    last: list[Pictures] = []

    def end(record: object, scene: Stage) -> None:
        if scene.beats[-1].name == stage.beat_names(trace)[-1]:
            last.append(scene.snapshot()[..., :3])

    stage(trace, SETTINGS, on_beat_end=end).render()
    return last[0]


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_a_scene_arrives_from_the_last_picture_of_the_one_before(
    before: SceneEntry, after: SceneEntry, trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[Any] = []

    def matches(*args: Any) -> Any:
        moved.extend(found := _matches(*args))
        return found

    monkeypatch.setattr("filmkit.core.arrival._matches", matches)
    with small():
        joined = replace(after, arrival=Arrival(before)).load()
        first = after.load().beat_names(trace)[0]
        assert joined.beat_names(trace)[:2] == (ARRIVE, first)
        pictures, there = drawn(joined, trace, first)
        assert np.array_equal(pictures[ARRIVE][0], final(before, trace))
        # What both show moves from one to the other.
        assert bool(moved) == (after.slug not in APART)
        # From the end of its first beat on nothing tells how it was reached.
        _, alone = drawn(after.load(), trace, first)
        assert np.array_equal(there, alone)


def test_what_both_scenes_show_moves_and_stays(trace: Trace) -> None:
    before, after = (entry for entry in SCENES if entry.slug in ("scene_attention", "scene_heads"))
    with small():
        joined = replace(after, arrival=Arrival(before)).load()
        first = joined.beat_names(trace)[1]
        pictures, _ = drawn(joined, trace, first)
        # The pattern of the head is carried to the card: the last picture is not empty.
        share = float((pictures[ARRIVE][-1].max(axis=2) > 40).mean())
        assert share > 0.005
        assert not np.array_equal(pictures[ARRIVE][0], pictures[ARRIVE][-1])
    # They stay while the scene's own picture, a mosaic, appears over them.
    levels = [float(picture.mean()) for picture in pictures[first][: SMALL.frame_rate]]
    assert min(levels) > 0.8 * float(pictures[ARRIVE][-1].mean())


@pytest.mark.slow
def test_no_picture_flashes_where_the_camera_passes_cards(trace: Trace) -> None:
    """What shines beside the eye never fills the frame in a single picture."""
    stage = next(entry for entry in SCENES if entry.slug == "scene_heads").load()
    with manim_config(Quality(320, 180, 15)):
        pictures, _ = drawn(stage, trace, "along_the_heads")
    levels = [float(np.median(picture)) for picture in pictures["along_the_heads"]]
    for before, level, after in zip(levels, levels[1:], levels[2:], strict=False):
        assert level < max(before, after) + FLASH


def titled(joined: type[Stage], trace: Trace) -> tuple[list[bool], list[Pictures]]:
    """In which pictures of an arrival the title of its scene is seen, and these pictures."""
    other = type(joined.__name__, (joined,), {"title": "A chapter of another name"})
    shown, changed = (drawn(stage, trace, ARRIVE)[0][ARRIVE] for stage in (joined, other))
    return [not np.array_equal(*pair) for pair in zip(shown, changed, strict=True)], shown


def test_a_chapter_begins_with_its_title_over_the_picture_before(trace: Trace) -> None:
    before, after = (entry for entry in SCENES if entry.slug in ("scene_attention", "scene_heads"))
    entry = replace(after, arrival=Arrival(before))
    with small():
        seen, pictures = titled(entry.load(), trace)
    # It is there from the first movement on, and has gone before the scene's own picture is there.
    last = len(seen) - 1 - seen[::-1].index(True)
    assert seen == [0 < place <= last for place in range(len(seen))]
    assert 2 < last < len(seen) - 2
    # The picture before has stepped back, and can still be seen.
    bright = pictures[0].max(axis=2) > 80
    levels = [picture[bright].mean() for picture in pictures]
    assert 0.05 * levels[0] < min(levels[1:last]) < 0.3 * levels[0]


def test_in_the_middle_of_a_scene_there_is_no_title(trace: Trace) -> None:
    before, after = SCENES[0], next(entry for entry in SCENES if entry.slug == "scene_patterns")
    middle = after.load().beat_names(trace)[2]
    with small():
        seen, _ = titled(replace(after, arrival=Arrival(before, "", middle)).load(), trace)
    assert not any(seen)


def test_in_the_middle_of_a_scene_its_own_picture_is_reached(trace: Trace) -> None:
    before, after = (
        next(entry for entry in SCENES if entry.slug == slug)
        for slug in ("scene_question", "scene_patterns")
    )
    first, middle = after.load().beat_names(trace, questions=False)[1:3]
    with small():
        joined = replace(after, arrival=Arrival(before, "the_next_word", middle)).load()
        names = joined.beat_names(trace)
        assert names[names.index(middle) - 2 : names.index(middle)] == (first, ARRIVE)
        _, reached = drawn(joined, trace, ARRIVE)
        _, alone = drawn(after.load(), trace, first)
        assert np.array_equal(reached, alone)


def test_the_last_picture_is_that_of_the_beat_that_is_named(trace: Trace) -> None:
    scene = SCENES[0].load()
    with small():
        early, _ = last_picture(scene, scene.beat_names(trace)[0], trace, SETTINGS)
        late, _ = last_picture(scene, scene.beat_names(trace)[-1], trace, SETTINGS)
    assert len(early) != len(late)


@pytest.fixture
def rehearsals(tmp_path: Path) -> Rehearsals:
    request = replace(render_request((), SHIPPED, tmp_path), jobs=None)
    return Rehearsals(request, Cache(tmp_path, 0), hashed=True)


def parts(rehearsals: Rehearsals, entry: SceneEntry) -> dict[tuple[str, bool], str]:
    """The name of the segment of each part of a scene's beats."""
    beats = [record.name for record in rehearsals.get(entry).beats]
    plan = plan_scene(entry, beats, rehearsals=rehearsals, encoding=MP4)
    return {(task.beat, task.tail): task.segment.name for task in plan.tasks}


def test_a_film_draws_again_only_what_looks_different_in_it(rehearsals: Rehearsals) -> None:
    before, after = SCENES[0], SCENES[1]
    joined = replace(after, arrival=Arrival(before))
    rehearsals.prepare([joined, after])
    alone, in_film = parts(rehearsals, after), parts(rehearsals, joined)
    played = tuple(record.name for record in rehearsals.get(joined).beats)
    changed = {part for part, name in in_film.items() if alone.get(part) != name}
    assert changed == {(ARRIVE, False), (played[1], False)}


def test_an_arrival_depends_on_the_scene_before(rehearsals: Rehearsals) -> None:
    after = SCENES[3]
    arrivals = (Arrival(SCENES[0]), Arrival(SCENES[2]), Arrival(SCENES[0], "the_next_word"))
    joined = [replace(after, arrival=arrival) for arrival in arrivals]
    rehearsals.prepare([after, *joined])
    assert len({parts(rehearsals, entry)[ARRIVE, False] for entry in joined}) == 3


def test_a_film_comes_without_a_scene_before_its_first() -> None:
    film = list(one_after_another((entry, ()) for entry in SCENES))
    assert film[0] == SCENES[0]
    assert [entry.alone for entry in film] == list(SCENES)
    origins = [entry.arrival.origin for entry in film if entry.arrival]
    assert origins == list(SCENES[:-1])
    chapters = [entry.arrival.chapter for entry in film if entry.arrival]
    assert chapters == [(number, len(SCENES)) for number in range(2, len(SCENES) + 1)]


def test_the_short_film_has_beats_that_follow_each_other(trace: Trace) -> None:
    by_name = {entry.slug: entry for entry in SCENES}
    for name, beats in SHORT:
        names = by_name[name].load().beat_names(trace, questions=False)
        first = names.index(beats[0])
        assert names[first : first + len(beats)] == beats


def test_the_short_film_takes_a_minute_and_a_half(trace: Trace) -> None:
    by_name = {entry.slug: entry for entry in SCENES}
    plain = replace(SETTINGS, questions=False)
    with small():
        rehearsals = {
            name: by_name[name].load().rehearse(trace, plain)
            for name in {name for name, _ in SHORT}
        }
    seconds = sum(
        rehearsals[name].beat(beat).end - rehearsals[name].beat(beat).start
        for name, beats in SHORT
        for beat in beats
    )
    assert 75 < seconds < 100
