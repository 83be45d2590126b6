"""The list of scenes, and the names that scenes once had."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from filmkit.commands.new import write_scene
from filmkit.commands.options import scenes_named
from scenes.registry import FORMER_NAMES, POSTERS, SCENES, THUMBNAIL
from tests.support.calling import Calling, calling
from tests.support.checkout import PROJECT

__all__ = ["calling"]  # the fixture

NAMES = [entry.slug for entry in SCENES]
FORMER_SCENES = {name: now for name, now in FORMER_NAMES.items() if "/" not in name}
FORMER_BEATS = {name: now for name, now in FORMER_NAMES.items() if "/" in name}


def test_names_are_of_one_scene_each() -> None:
    every = [*NAMES, *(entry.slug for entry in (*POSTERS, THUMBNAIL))]
    assert len(set(every)) == len(every)


@pytest.mark.parametrize("entry", SCENES, ids=NAMES)
def test_the_cover_is_a_beat_of_its_scene(entry) -> None:
    assert entry.cover in entry.load().beat_names()


def test_no_scene_has_a_name_that_another_once_had() -> None:
    assert FORMER_SCENES
    assert not set(FORMER_SCENES) & set(NAMES)
    assert set(FORMER_SCENES.values()) <= set(NAMES)


@pytest.mark.parametrize(("former", "now"), FORMER_BEATS.items())
def test_a_former_name_of_a_beat_stands_for_one_that_is_there(former: str, now: str) -> None:
    """Only what has no beat of that name any more is answered with another."""
    beats = {
        f"{entry.slug}/{beat}"
        for entry in SCENES
        for beat in entry.load().beat_names(questions=False)
    }
    assert now in beats
    scene, beat = former.split("/")
    (entry,) = scenes_named([scene])
    assert f"{entry.slug}/{beat}" not in beats
    assert entry.former_beats[beat] == now


@pytest.mark.parametrize(("former", "now"), FORMER_SCENES.items())
def test_a_former_name_stands_for_the_scene_that_shows_it_now(
    former: str, now: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (entry,) = scenes_named([former])
    assert entry.slug == now
    assert capfd.readouterr().err == f"{former}: {now} shows it now\n"


def test_former_names_of_one_scene_mean_it_once(calling: Calling, tmp_path: Path) -> None:
    done = calling("--list", *FORMER_SCENES, folder=tmp_path)
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines() if line[:1].strip()] == [
        "scene_sharing"
    ]
    for former in FORMER_SCENES:
        assert done.stderr.count(f"{former}: scene_sharing shows it now\n") == 1


@pytest.mark.parametrize("former", FORMER_SCENES)
def test_a_new_scene_cannot_take_a_former_name(former: str) -> None:
    """Who types it would get another scene than before."""
    with pytest.raises(click.UsageError, match=f"{former} already exists; choose another"):
        write_scene(PROJECT, former)
