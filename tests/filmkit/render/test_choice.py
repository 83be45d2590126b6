"""Names from the command line: those that are known, and beginnings of them."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from filmkit.render.choice import choose_beginning
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
