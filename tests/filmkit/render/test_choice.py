"""Names from the command line: those that are known, and beginnings of them."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from filmkit.core.scene_entry import SceneEntry
from filmkit.render.choice import choose_beginning, now_called
from tests.support.calling import Calling, assert_one_line, calling

__all__ = ["calling"]  # the fixture

BEATS = ("flatten", "absorb", "absorb_values", "rotate_keys", "rotate_queries")

SCENE = """
from filmkit import Stage, beat


class Mine(Stage):
    @beat
    def opening(self):
        '''One.'''
        self.hold(0.2)

    @beat
    def absorb_keys(self):
        '''Two.'''
        self.hold(0.2)

    @beat
    def absorb_values(self):
        '''Three.'''
        self.hold(0.2)
"""


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("flatten", "flatten"),
        ("fl", "flatten"),
        ("absorb", "absorb"),  # the name itself, though another begins so
        ("absorb_", "absorb_values"),
        ("rotate_k", "rotate_keys"),
    ],
)
def test_a_beginning_stands_for_the_only_name_that_has_it(name: str, chosen: str) -> None:
    assert choose_beginning(name, BEATS, "beat", "--beat") == chosen


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rotate", "'rotate' begins more than one beat; choose rotate_keys or rotate_queries"),
        ("a", "'a' begins more than one beat; choose absorb or absorb_values"),
        ("flaten", "there is no beat 'flaten'; did you mean flatten?"),
        ("xyz", "there is no beat 'xyz'; there are flatten, absorb"),
        ("", "there is no beat ''; there are flatten, absorb"),
    ],
)
def test_what_stands_for_none_or_several_is_refused(name: str, message: str) -> None:
    with pytest.raises(click.BadParameter) as raised:
        choose_beginning(name, BEATS, "beat", "--beat")
    assert raised.value.message.startswith(message)
    assert raised.value.param_hint == "--beat"


FORMER = {"flat": "scene_one/flatten", "sparse": "scene_two/reads_few"}
ONE = SceneEntry("scene_one", "One", "one", "One", former_beats=FORMER)
TWO = SceneEntry("scene_two", "Two", "two", "Two")


@pytest.mark.parametrize(
    ("beat", "scenes", "now", "line"),
    [
        ("flat", [ONE], "flatten", "flat: scene_one shows it now, as flatten\n"),
        ("sparse", [TWO, ONE], "reads_few", "sparse: scene_two shows it now, as reads_few\n"),
        ("flatten", [ONE], "flatten", ""),
        ("flat", [TWO], "flat", ""),
    ],
)
def test_a_former_name_of_a_beat_stands_for_the_one_that_it_has_now(
    beat: str, scenes: list[SceneEntry], now: str, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert now_called(beat, scenes, "--beat") == now
    assert capfd.readouterr().err == line


def test_a_beat_that_went_to_another_scene_is_not_shown_without_it() -> None:
    message = "scene_one has no beat sparse any more: scene_two shows it now, as reads_few"
    with pytest.raises(click.BadParameter) as raised:
        now_called("sparse", [ONE], "--still")
    assert (raised.value.message, raised.value.param_hint) == (message, "--still")


@pytest.mark.parametrize("option", [pytest.param("--beat", marks=pytest.mark.slow), "--still"])
def test_options_take_a_beginning_and_refuse_that_of_several(
    option: str, calling: Calling, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(SCENE)
    done = calling("mine.py", option, "absorb", "--quality", "draft", folder=tmp_path)
    assert_one_line(
        done, 2, option, "'absorb' begins more than one beat", "absorb_keys or absorb_values"
    )
    done = calling("mine.py", option, "absorb_v", "--quality", "draft", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    suffix = {"--beat": "mp4", "--still": "png"}[option]
    (made,) = (tmp_path / "videos").rglob(f"*.{suffix}")
    assert made.name == f"03_absorb_values.{suffix}"
