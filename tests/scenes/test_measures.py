"""What the film is judged by: text that the last row can read, pieces of it, headlines, stillness.

The limits are those of the third cut. Questions are left out: while they wait, nothing moves.
"""

from __future__ import annotations

from statistics import median

import pytest

from extract.trace import Trace
from filmkit.core.stage_settings import StageSettings
from filmkit.tools.checks import BeatReport, check_scene
from scenes.registry import SCENES
from tests.support.checkout import SHIPPED

pytestmark = pytest.mark.slow

RATE = 4  # frames a second
PIECES, MOST_PIECES = 12, 20
NEWS_SECONDS = 4.0
STILL_SECONDS, STILL_SHARE = 2.0, 0.05


@pytest.fixture(scope="module")
def beats() -> dict[str, BeatReport]:
    trace, settings = Trace.load(SHIPPED), StageSettings(questions=False)
    reports = [check_scene(e.slug, e.load(), trace, settings, rate=RATE) for e in SCENES]
    return {f"{report.scene}/{beat.name}": beat for report in reports for beat in report.beats}


def test_the_last_row_can_read_every_text(beats: dict[str, BeatReport]) -> None:
    small = {
        name: [line for line in beat.small if line.startswith("text under")]
        for name, beat in beats.items()
    }
    assert not {name: lines for name, lines in small.items() if lines}


def test_pictures_have_few_pieces_of_text(beats: dict[str, BeatReport]) -> None:
    assert median(beat.texts for beat in beats.values()) <= PIECES
    assert not {name: beat.texts for name, beat in beats.items() if beat.texts > MOST_PIECES}


def test_a_beat_has_one_headline(beats: dict[str, BeatReport]) -> None:
    assert not {name: beat.headlines for name, beat in beats.items() if beat.headlines > 1}


def test_something_new_is_seen_every_few_seconds(beats: dict[str, BeatReport]) -> None:
    limit = NEWS_SECONDS + 1 / RATE
    assert not {n: b.idle_seconds for n, b in beats.items() if b.idle_seconds > limit}


def test_pictures_seldom_stand_still_and_not_for_long(beats: dict[str, BeatReport]) -> None:
    limit = STILL_SECONDS + 1 / RATE
    assert not {n: b.still_seconds for n, b in beats.items() if b.still_seconds > limit}
    seconds = sum(beat.seconds for beat in beats.values())
    assert sum(b.still_share * b.seconds for b in beats.values()) / seconds <= STILL_SHARE
