"""Clocks show the turn of a word that its place in the model gives it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from manim import Mobject

from extract.trace import Trace
from filmkit.core.beat_records import BeatRecord
from filmkit.core.stage import Stage
from filmkit.core.stage_settings import StageSettings
from filmkit.core.view import best_match
from filmkit.mobjects.clocks import Clock
from filmkit.render.manim_config import changed_config
from scenes.rotation.scene_rotation import RotationAndLatent
from tests.support.checkout import SHIPPED

QUIET = {"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}


def clocks_of(scene: type[Stage], trace: Trace, settings: StageSettings, beat: str) -> list[Clock]:
    """Return copies of the clocks of two hands on screen at the end of a beat, from the left."""
    found: list[Clock] = []

    def note(record: BeatRecord, stage: Stage) -> None:
        if record.name == beat:
            found.extend(clock.copy() for clock in clocks_in(stage.mobjects))

    with changed_config(QUIET):
        scene(trace, settings, on_beat_end=note).render()
    return sorted(found, key=lambda clock: float(clock.get_x()))


def clocks_in(mobjects: list[Mobject]) -> Iterator[Clock]:
    for mobject in mobjects:
        for part in mobject.get_family():
            if isinstance(part, Clock) and len(part) == 3:  # a face and both hands
                yield part


@pytest.mark.parametrize("show", [False, True], ids=["hidden", "shown"])
def test_a_clock_is_turned_by_the_place_that_the_model_gives_a_word(show: bool) -> None:
    """A beginning token has a place, whether it is drawn or not."""
    trace, settings = Trace.load(SHIPPED), StageSettings(show_first_token=show)
    (large,) = clocks_of(RotationAndLatent, trace, settings, "rotation_in_between")
    layer = trace.meta.featured.layer
    rotation = trace.rotation(layer)
    stage = RotationAndLatent(trace, settings)
    places = [stage.layer.first + place for place in best_match(stage.head)]
    for hand, place in zip(large[1:], places, strict=True):
        way = (hand.get_end() - hand.get_start())[:2]
        turned = rotation.sin[place, 0], rotation.cos[place, 0]
        np.testing.assert_allclose(way / np.linalg.norm(way), turned, atol=1e-5)
