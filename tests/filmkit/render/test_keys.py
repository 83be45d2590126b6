"""What a key covers: other pictures, sizes, code that draws, or libraries have another one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from filmkit.commands.scene_files import find_scene
from filmkit.core.beat_records import Rehearsal
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage_settings import StageSettings
from filmkit.render import digests, keys
from filmkit.render.cache import Cache, open_cache
from filmkit.render.digests import project_digest
from filmkit.render.jobs import make_films
from filmkit.render.keys import Keys
from filmkit.render.pool import Pool
from filmkit.render.quality import QUALITIES, Quality
from filmkit.render.rehearsals import Rehearsals
from filmkit.render.request import RenderRequest
from scenes.registry import SCENES
from tests.support.checkout import PROJECT, SHIPPED
from tests.support.filming import render_request, segments
from tests.support.stand_in import FEATURED, OTHER, SHAPES
from tests.support.traces import make_trace
from tests.support.voices import STORY

HEADS = next(entry for entry in SCENES if entry.slug == "scene_heads")


def part_keys(request: RenderRequest, rehearsal: Rehearsal) -> set[str]:
    return {
        Keys(request).part_key(record.seen[tail])
        for record in rehearsal.beats
        for tail in (False, True)
    }


@pytest.fixture
def request_(tmp_path: Path) -> RenderRequest:
    return render_request((), SHIPPED, tmp_path, quality=Quality(320, 180, 5))


def hashed(request: RenderRequest, entry: SceneEntry = HEADS) -> Rehearsal:
    return Rehearsals(request, Cache(request.out, 0), hashed=True).get(entry)


@pytest.mark.parametrize(
    "settings",
    [
        StageSettings(layer=1),
        StageSettings(theme="light"),
        StageSettings(background="#102030"),
        StageSettings(transparent=True),
    ],
    ids=str,
)
def test_settings_that_are_seen_are_part_of_all_keys(
    request_: RenderRequest, settings: StageSettings
) -> None:
    other = replace(request_, settings=settings)
    found = part_keys(request_, hashed(request_))
    assert len(found) >= 8
    assert not found & part_keys(other, hashed(other))


def test_the_size_and_the_rate_are_part_of_all_keys(request_: RenderRequest) -> None:
    rehearsal = hashed(request_)
    found = [
        part_keys(replace(request_, quality=quality), rehearsal)
        for quality in (request_.quality, QUALITIES["4k"], replace(QUALITIES["4k"], frame_rate=60))
    ]
    assert len(set.union(*found)) == sum(map(len, found))


def test_other_libraries_and_other_code_that_draws_have_other_keys(
    request_: RenderRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal = hashed(request_)
    before = part_keys(request_, rehearsal)
    monkeypatch.setattr(keys, "version", lambda name: "99")
    library = part_keys(request_, rehearsal)
    monkeypatch.setattr(keys, "DRAWING", keys.DRAWING[1:])
    code = part_keys(request_, rehearsal)
    assert not before & library
    assert not library & code
    assert all(file.is_file() for file in keys.DRAWING)


def test_another_trace_has_other_keys_where_it_is_shown(tmp_path: Path) -> None:
    found = []
    for seed in (1, 2):
        trace_file = tmp_path / f"{seed}.safetensors"
        make_trace(seed=seed).save(trace_file)
        found.append(
            [hashed(render_request((), trace_file, tmp_path), e) for e in (FEATURED, SHAPES)]
        )
    one, other = found
    assert one[0].beat("appear").seen != other[0].beat("appear").seen
    assert one[1] == other[1]


def test_both_traces_are_part_of_the_key_of_a_rehearsal(tmp_path: Path) -> None:
    traces = [tmp_path / "first", tmp_path / "second"]
    found = []
    for contents in ("ab", "ab", "cb", "ac"):
        for file, content in zip(traces, contents, strict=True):
            file.write_text(content)
        request = RenderRequest(trace=traces[0], settings=StageSettings(compare=traces[1]))
        found.append(Keys(request).rehearsal_key(HEADS, hashed=True))
    assert len(set(found)) == 3
    assert found[0] == found[1]


def test_another_scene_that_looks_the_same_is_not_drawn_again(tmp_path: Path) -> None:
    make_trace().save(tmp_path / "trace.safetensors")
    request = render_request((SHAPES,), tmp_path / "trace.safetensors", tmp_path, cache=tmp_path)
    assert make_films(request)
    drawn = segments(tmp_path)
    assert make_films(replace(request, scenes=(OTHER,)))
    assert segments(tmp_path) == drawn


# Rehearsals


def count_runs(monkeypatch: pytest.MonkeyPatch) -> list[SceneEntry]:
    """Return the scenes that are run from now on."""
    runs: list[SceneEntry] = []

    def counted(
        function: str, shared: Any, calls: dict[SceneEntry, Any], request: RenderRequest
    ) -> Pool[SceneEntry]:
        runs.extend(calls)
        return Pool(function, shared, calls, request)

    monkeypatch.setattr("filmkit.render.rehearsals.Pool", counted)
    return runs


def test_a_rehearsal_is_kept_as_long_as_nothing_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = count_runs(monkeypatch)
    request = render_request((), SHIPPED, tmp_path, quality=Quality(320, 180, 5))
    other = replace(request, quality=Quality(640, 360, 5))

    def find(request: RenderRequest, *, hashed: bool) -> Rehearsal:
        monkeypatch.setattr(Rehearsals, "_made", {})
        with open_cache(tmp_path / "cache", keep=True) as cache:
            return Rehearsals(request, cache, hashed=hashed).get(HEADS)

    plain = find(request, hashed=False)
    assert find(other, hashed=False) == plain, "times do not depend on sizes"
    assert len(runs) == 1
    assert not any(seen for record in plain.beats for seen in record.seen)
    known = find(request, hashed=True)
    assert find(request, hashed=True) == known
    assert len(runs) == 2
    assert [record.last for record in known.beats] == [record.last for record in plain.beats]
    find(other, hashed=True)
    assert len(runs) == 3
    monkeypatch.setattr(keys, "project_digest", lambda: "edited")
    find(request, hashed=True)
    assert len(runs) == 4


def test_a_scene_of_the_user_s_own_is_rehearsed_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may use anything, and nobody knows what."""
    runs = count_runs(monkeypatch)
    make_trace().save(tmp_path / "trace.safetensors")
    (tmp_path / "story.py").write_text(STORY)
    entry = find_scene(str(tmp_path / "story.py"))
    request = render_request((), tmp_path / "trace.safetensors", tmp_path)
    for _run in range(2):
        with open_cache(tmp_path / "cache", keep=True) as cache:
            rehearsals = Rehearsals(request, cache)
            assert rehearsals.find(entry) is None
            found = rehearsals.get(entry)
            assert rehearsals.get(entry) is found
    assert len(runs) == 2
    assert not [*tmp_path.rglob("*.rehearsal.json")]


def test_all_of_the_project_that_scenes_may_use_is_part_of_its_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("scenes/heads", "filmkit/core"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=ignored)
    monkeypatch.setattr(digests, "PROJECT", tmp_path)
    found = [project_digest()]
    assert project_digest() == found[0]
    heads = "scenes/heads"
    for name in (f"{heads}/scene_heads.py", f"{heads}/locale/de.po", "filmkit/core/new.csv"):
        with (tmp_path / name).open("a") as file:
            file.write("#\n")
        found.append(project_digest())
    (tmp_path / "scenes" / "heads" / "locale" / "de.po").rename(tmp_path / "scenes" / "de.po")
    found.append(project_digest())
    assert len(set(found)) == len(found)
    (tmp_path / "scenes" / "__pycache__").mkdir()
    (tmp_path / "scenes" / "__pycache__" / "heads.cpython-311.pyc").write_bytes(b"1")
    assert project_digest() == found[-1]
