"""Tails of beats: pieces of their own, which follow the words and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from filmkit.commands.scene_files import find_scene
from filmkit.render.cache import open_cache
from filmkit.render.jobs import make_films
from filmkit.render.quality import Quality
from filmkit.render.rehearsals import Rehearsals
from tests.support.filming import pictures, render_request, segments
from tests.support.traces import make_trace
from tests.support.voices import STORY

BEATS = ("opening", "turning", "ending")


class Parts(NamedTuple):
    """The segments of a film, by beat and whether it is the tail, and their inodes."""

    files: dict[tuple[str, bool], tuple[str, int]]

    def new(self, before: Parts) -> set[tuple[str, bool]]:
        """The parts that were rendered since."""
        return {part for part, file in self.files.items() if before.files[part] != file}


class Project:
    """A scene in a file of the user's own, and a cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scene = folder / "story.py"
        self.scene.write_text(STORY)
        self.trace = folder / "trace.safetensors"
        make_trace().save(self.trace)

    def render(self, *, calm: bool = False) -> Parts:
        """Render the film; return its segments."""
        entry = find_scene(str(self.scene))
        cache = self.folder / "cache"
        request = render_request((entry,), self.trace, self.folder / "out", cache=cache, calm=calm)
        request = replace(request, quality=Quality(160, 90, 10))
        before = set(segments(cache))
        assert make_films(request)
        with open_cache(cache, keep=True) as kept:
            rehearsals = Rehearsals(request, kept, hashed=True)
            keys = {
                (record.name, tail): rehearsals.keys.part_key(record.seen[tail])
                for record in rehearsals.get(entry).beats
                for tail in (False, True)
            }
        files = {path.name.partition(".")[0]: path for path in segments(cache)}
        found = {part: files[key] for part, key in keys.items()}
        assert set(files.values()) == before | set(found.values()), "no other files are rendered"
        return Parts({part: (file.name, file.stat().st_ino) for part, file in found.items()})

    def edit(self, old: str, new: str) -> None:
        text = self.scene.read_text()
        assert old in text
        self.scene.write_text(text.replace(old, new))

    @property
    def film(self) -> Path:
        return self.folder / "out" / "story.mp4"

    @property
    def words(self) -> str:
        return self.film.with_suffix(".srt").read_text().replace("\n", " ")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("story"))


def test_a_film_has_two_pieces_for_each_beat(project: Project) -> None:
    parts = project.render()
    assert set(parts.files) == {(beat, tail) for beat in BEATS for tail in (False, True)}
    assert len(set(parts.files.values())) == 6
    assert project.render() == parts


def test_more_words_render_that_tail_alone(project: Project) -> None:
    before, length = project.render(), len(pictures(project.film))
    project.edit("this is all of it.", "this is all of it, and all that there is today.")
    after = project.render()
    assert after.new(before) == {("opening", True)}
    # 16 words instead of 10: 7.0 s instead of 4.4 s.
    assert len(pictures(project.film)) == length + 26
    assert "all that there is today." in project.words


def test_other_words_of_the_same_length_render_nothing(project: Project) -> None:
    before, film = project.render(), project.film.read_bytes()
    project.edit("It stays.", "It rests.")
    assert project.render() == before
    assert project.film.read_bytes() == film
    assert "It rests." in project.words


def test_a_mark_that_moved_renders_its_beat(project: Project) -> None:
    before = project.render()
    project.edit("It waits until [red] is said, and then", "It waits until it is said, [red], then")
    assert project.render().new(before) == {("turning", False), ("turning", True)}


def test_calm_renders_tails_alone_and_they_stand_still(project: Project) -> None:
    before = project.render()
    calm = project.render(calm=True)
    assert calm.new(before) == {(beat, True) for beat in BEATS}
    # The last beat: 0.3 s of its own, and a tail until 1.2 s.
    frames = pictures(project.film)[-12:]
    assert (frames[4:, 20:] == frames[4, 20:]).all()
    assert project.render() == before
    drifting = pictures(project.film)[-12:]
    assert not (drifting[4:, 20:] == drifting[4, 20:]).all()
