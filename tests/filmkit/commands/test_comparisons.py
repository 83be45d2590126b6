"""A scene that compares two traces is left out of the whole story if there is only one."""

from __future__ import annotations

from pathlib import Path

import pytest

from filmkit.commands import options
from filmkit.core.scene_entry import SceneEntry
from scenes.registry import SCENES

COMPARING = """
from filmkit import Stage, beat


class Two(Stage):
    @beat
    def both(self):
        '''Two layers.'''
        self.compared.head(0)
        self.hold(0.2)
"""


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SceneEntry:
    file = tmp_path / "two.py"
    file.write_text(COMPARING)
    entry = SceneEntry("scene_two", "Two", "two", "Two", file=file)
    monkeypatch.setattr(options, "SCENES", (*SCENES, entry))
    return entry


def test_it_is_left_out_with_a_note(story: SceneEntry, capsys: pytest.CaptureFixture[str]) -> None:
    assert options.whole_story(None) == SCENES
    note = capsys.readouterr().err
    assert note == "scene_two is left out: it compares two traces (--compare FILE)\n"


def test_with_a_second_trace_it_is_there(
    story: SceneEntry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert options.whole_story(tmp_path / "second.safetensors") == (*SCENES, story)
    assert capsys.readouterr().err == ""


def test_no_scene_of_the_film_compares() -> None:
    assert not any(entry.compares for entry in SCENES)
