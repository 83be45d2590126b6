"""A beat names its whole picture: alone on a fresh stage it ends as it does after all others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from extract.trace import Trace
from filmkit.core.beat_records import BeatRecord
from filmkit.core.stage import Stage as PlainStage
from filmkit.core.stage_settings import StageSettings
from filmkit.pictures.stage import Stage
from filmkit.render.quality import ASPECTS, DEFAULT_ASPECT, Quality
from filmkit.render.runner import manim_config
from scenes.registry import SCENES
from tests.support.kinds import SHIPPED_KIND, trace_of_kind

Pixels = npt.NDArray[np.uint8]
SHORT_SIDE = 360  # of the pictures, in pixels
# In the room things go on from where the beat before has left them.
GOING_ON = ("scene_question", "scene_kv_cache", "scene_sharing", "scene_mla", "scene_cache_size")


def last_pictures(
    scene: type[PlainStage], trace: Trace, aspect: str, names: Sequence[str] = ()
) -> dict[str, Pixels]:
    """Play some beats of a scene, or all, and return the last picture of each."""

    class Some(scene):  # type: ignore[misc, valid-type]
        @classmethod
        def beat_names(
            cls, trace: Trace | None = None, *, questions: bool = True
        ) -> tuple[str, ...]:
            return tuple(names) or super().beat_names(trace, questions=questions)

    Some.__module__ = scene.__module__  # beside which its translations are
    pictures: dict[str, Pixels] = {}

    def take(record: BeatRecord, stage: PlainStage) -> None:
        pictures[record.name] = stage.snapshot(notes=True)

    across, down = (SHORT_SIDE * side // min(ASPECTS[aspect]) for side in ASPECTS[aspect])
    with manim_config(Quality(across, down, 30)):
        # Questions stand over the picture of the beat before.
        settings = StageSettings(calm=True, questions=False)
        stage = Some(trace, settings, on_beat_end=take)
        stage.renderer.only = ()
        stage.render()
    return pictures


@pytest.mark.slow
# A wide and a high picture: what is in it does not depend on its shape otherwise.
@pytest.mark.parametrize("aspect", [DEFAULT_ASPECT, "9:16"])
def test_a_beat_alone_ends_as_it_does_after_all_others(aspect: str) -> None:
    trace = trace_of_kind(SHIPPED_KIND)
    differing = []
    for entry in SCENES:
        scene = entry.load()
        if entry.slug in GOING_ON or not issubclass(scene, Stage):
            continue
        for name, expected in last_pictures(scene, trace, aspect).items():
            alone = last_pictures(scene, trace, aspect, [name])
            if not np.array_equal(alone[name], expected):
                differing.append(f"{scene.__name__}.{name}")
    assert differing == []
