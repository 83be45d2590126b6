"""The scene that gives the answer: sizes, costs, and the word that ends the film."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from extract.architectures import MOE, architecture, kv_cache_bytes
from extract.conversion_report import at_equal_size
from extract.duel import duel
from extract.sharing import share_heads
from extract.trace import Trace
from filmkit.core.numbers import readable_bytes
from filmkit.core.stage import StageError
from filmkit.core.view import LayerView
from scenes.answer.scene_answer import Answer
from scenes.answer.ways import better_tests, ways
from tests.support.kinds import OWN_KEYS, trace_of_kind
from tests.support.staging import BeatPicture, play

R1 = architecture("DeepSeek-V3/R1")
SIZES = [
    kv_cache_bytes(R1, "mha"),
    kv_cache_bytes(R1, "gqa", n_groups=8),
    kv_cache_bytes(R1, "mqa"),
    kv_cache_bytes(R1, "mla"),
]


@pytest.fixture(scope="module")
def trace() -> Trace:
    return trace_of_kind("shipped")


@pytest.fixture(scope="module")
def pictures(trace: Trace) -> dict[str, BeatPicture]:
    return {picture.record.name: picture for picture in play(Answer, trace)}


def texts(picture: BeatPicture) -> list[str]:
    return [item.text for item in picture.texts if item.presence == 1]


def layer_of(trace: Trace) -> LayerView:
    return LayerView.of_prompt(trace, None, show_first_token=False)


def test_the_four_sizes_are_there(pictures: dict[str, BeatPicture]) -> None:
    shown = {readable_bytes(size) for size in SIZES}
    assert shown == {"4.0 MB", "250 kB", "31 kB", "70 kB"}
    assert shown <= set(texts(pictures["four_ways"]))


def test_what_one_set_costs_is_what_the_layer_computes(trace: Trace) -> None:
    alone = replace(trace, meta=replace(trace.meta, conversion=None))
    layer = layer_of(alone)
    by_scheme = {way.scheme: way for way in ways(layer)}
    expected = share_heads(trace, layer.layer, 1).pattern_distance.mean
    assert by_scheme["mqa"].moved == pytest.approx(expected)
    assert by_scheme["mla"].moved == duel(alone, layer.layer).latent.distance.mean
    assert by_scheme["gqa"].moved == 0
    assert by_scheme["mha"].view is None


def test_costs_of_the_whole_model_are_those_of_the_duel(trace: Trace) -> None:
    contest = at_equal_size(trace)
    assert contest is not None
    assert contest.mean.numbers == contest.latent.numbers
    assert [way.moved for way in ways(layer_of(trace))] == [
        None,
        0.0,
        contest.mean.moved,
        contest.latent.moved,
    ]


def test_the_latents_pattern_is_that_of_the_layer_alone(trace: Trace) -> None:
    layer = layer_of(trace)
    way = ways(layer)[-1]
    assert way.patterns is not None
    expected = duel(trace, layer.layer).latent.pattern[:, layer.first : layer.stop]
    for drawn, pattern in zip(way.patterns, expected, strict=True):
        assert np.array_equal(drawn[0], pattern[:, layer.first : layer.stop])


def test_a_model_with_keys_for_every_head_pays_for_groups() -> None:
    trace = trace_of_kind(OWN_KEYS)
    layer = layer_of(trace)
    mha, gqa, mqa, _ = ways(layer)
    assert mha.moved == 0
    assert gqa.moved
    assert mqa.moved


def test_the_published_comparison_is_counted() -> None:
    assert better_tests() == (7, 8)
    assert len(MOE.columns) == 4


def test_the_film_ends_with_the_word_and_the_credits(pictures: dict[str, BeatPicture]) -> None:
    last = texts(pictures["the_word"])
    assert "blue" in last
    assert "Can a model remember less and still think as well?" in last
    assert any("Apache 2.0" in text for text in last)


@pytest.mark.parametrize(
    ("kind", "message"), [("one head", "nothing to share"), ("true MLA", "render scene_mla")]
)
def test_what_has_nothing_to_compare_is_refused(kind: str, message: str) -> None:
    with pytest.raises(StageError, match=message):
        Answer.rehearse(trace_of_kind(kind))
