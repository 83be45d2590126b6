"""The scene that gives the answer: what a latent makes, tests that were won, and the last word."""

from __future__ import annotations

import numpy as np
import pytest

from extract.facts.v2_report import MOE
from extract.trace import Trace
from filmkit.core.beat_records import BeatRecord
from filmkit.core.stage import Stage, StageError
from filmkit.pictures.latent_view import LatentView
from scenes.answer.parts import won
from scenes.answer.scene_answer import Answer
from tests.support.kinds import trace_of_kind
from tests.support.staging import BeatPicture, play


@pytest.fixture(scope="module")
def trace() -> Trace:
    return trace_of_kind("shipped")


@pytest.fixture(scope="module")
def pictures(trace: Trace) -> dict[str, BeatPicture]:
    return {picture.record.name: picture for picture in play(Answer, trace)}


def texts(picture: BeatPicture) -> list[str]:
    return [item.text for item in picture.texts if item.presence == 1]


def test_all_that_stands_at_heads_is_made_of_the_latent(trace: Trace) -> None:
    ends: list[str] = []

    def look(record: BeatRecord, stage: Stage) -> None:
        if record.name != "into_the_latent":
            return
        assert isinstance(stage, Answer)
        world, layer = stage.world, stage.layer
        span, latents = slice(layer.first, layer.stop), LatentView.of(layer)
        patterns = latents.mla.naive.pattern
        assert np.array_equal(world.latent.cells.values, latents.latent.values)
        assert (world.latent.cells.shown == 1).all()
        for card, keys, values in zip(world.cards, world.keys, world.values, strict=True):
            made = latents.head(card.head)
            assert np.array_equal(keys.cells.values, made.naive["k"].values)
            assert np.array_equal(values.cells.values, made.naive["v"].values)
            np.testing.assert_allclose(card.pattern.values, patterns[card.head, span, span])
        ends.append(record.name)

    Answer(trace, on_beat_end=look).render()
    assert ends


def test_the_published_comparison_is_counted(pictures: dict[str, BeatPicture]) -> None:
    results = won()
    assert [key for key, better in results.items() if not better] == [("small", "C-Eval")]
    assert len(results) == 8
    assert len(MOE.columns) == 4
    assert "The latent wins 7 of 8" in texts(pictures["the_answer"])
    assert any(MOE.source in text for text in texts(pictures["the_answer"]))
    assert pictures["ask_the_answer"].record.narration.endswith("2, 4 or 7 times?")


def test_lamps_burn_for_the_tests_that_were_won(trace: Trace) -> None:
    lit: dict[tuple[str, str], bool] = {}

    def look(record: BeatRecord, stage: Stage) -> None:
        if record.name == "the_answer":
            assert isinstance(stage, Answer)
            lit.update(
                {key: lamp.get_fill_opacity() == 1 for key, lamp in stage.lamps.by_test.items()}
            )

    Answer(trace, on_beat_end=look).render()
    assert lit == won()


def test_the_sentence_is_alone_before_the_credits(pictures: dict[str, BeatPicture]) -> None:
    said = ["The", "American", "flag", "is", "red", ",", "white", ",", "and", "blue"]
    assert [text for text in texts(pictures["the_word"]) if text in said] == said
    assert len(texts(pictures["the_word"])) == len(said) + 1  # and the note at the top
    last = texts(pictures["credits"])
    assert "blue" not in last
    assert any("Apache 2.0" in text for text in last)
    assert any("Welch Labs" in text for text in last)
    record = pictures["credits"].record
    assert record.end - record.start >= 5


@pytest.mark.parametrize(
    ("kind", "message"), [("one head", "nothing to share"), ("true MLA", "render scene_mla")]
)
def test_what_has_nothing_to_compare_is_refused(kind: str, message: str) -> None:
    with pytest.raises(StageError, match=message):
        Answer.rehearse(trace_of_kind(kind))
