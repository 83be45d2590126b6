"""The scene that gives the answer: sizes, costs, and the word that ends the film."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from extract.architectures import MOE, architecture, kv_cache_bytes
from extract.attention import total_variation
from extract.sharing import share_heads
from extract.trace import Trace
from filmkit.core.numbers import format_share, readable_bytes
from filmkit.core.stage import StageError
from filmkit.core.view import LayerView
from filmkit.mobjects.latent_view import LatentView
from scenes.answer.scene_answer import Answer
from scenes.answer.ways import _rotated, better_tests, ways
from tests.support.figures import all_texts, unexplained
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


def test_every_number_is_accounted_for(pictures: dict[str, BeatPicture], trace: Trace) -> None:
    layer = layer_of(trace)
    found = ways(layer, LatentView.of(layer))
    allowed = {re.sub(r"[^\d.]", "", readable_bytes(size)) for size in SIZES}
    allowed |= {re.sub(r"[^\d.]", "", format_share(way.moved or 0)) for way in found}
    allowed |= {"11", "9", "128", *(str(count) for count in better_tests())}
    names = {
        "DeepSeek-R1",
        "DeepSeek-V2 technical report, table 9",
        R1.source,
        f"{trace.meta.model}",
        trace.meta.source.revision,
        "Apache 2.0",
    }
    for name, picture in pictures.items():
        assert unexplained(all_texts(picture), allowed, names) == [], name


def test_the_four_sizes_are_there(pictures: dict[str, BeatPicture]) -> None:
    shown = {readable_bytes(size) for size in SIZES}
    assert shown == {"4.0 MB", "250 kB", "31 kB", "70 kB"}
    assert shown <= set(texts(pictures["four_ways"]))


def test_what_one_set_costs_is_what_the_layer_computes(trace: Trace) -> None:
    layer = layer_of(trace)
    by_scheme = {way.scheme: way for way in ways(layer, LatentView.of(layer))}
    expected = share_heads(trace, layer.layer, 1).pattern_distance.mean
    assert by_scheme["mqa"].moved == pytest.approx(expected)
    assert by_scheme["gqa"].moved == 0
    assert by_scheme["mha"].view is None


def test_the_models_own_keys_are_rotated_as_it_does() -> None:
    for kind in ("shipped", "grouped heads, rotary"):
        trace = trace_of_kind(kind)
        layer = layer_of(trace)
        keys = np.asarray(trace.get("k", layer.layer), dtype=float)
        rotated = trace.keys(layer.layer)
        assert np.allclose(_rotated(layer, keys), rotated, rtol=1e-3, atol=1e-3)


def test_a_latent_that_loses_nothing_moves_nothing(trace: Trace) -> None:
    layer = layer_of(trace)
    latent = LatentView.of(layer)
    exact = replace(
        latent, forms=replace(latent.forms, k=np.asarray(trace.get("k", layer.layer), dtype=float))
    )
    assert ways(layer, exact)[-1].moved == pytest.approx(0.0, abs=1e-3)


def test_the_latents_pattern_is_drawn_with_its_cost(trace: Trace) -> None:
    layer = layer_of(trace)
    way = ways(layer, LatentView.of(layer))[-1]
    assert way.patterns is not None
    drawn = np.stack([values for values, _ in way.patterns])
    own = np.stack([layer.head(head).pattern for head in range(trace.meta.n_heads)])
    # Rows of the prompt without the token that is not drawn: nearly the whole distance.
    moved = total_variation(own, drawn)
    assert 0 < moved.mean() < 0.3


def test_a_model_with_keys_for_every_head_pays_for_groups() -> None:
    trace = trace_of_kind(OWN_KEYS)
    layer = layer_of(trace)
    mha, gqa, mqa, _ = ways(layer, LatentView.of(layer))
    assert mha.moved == 0
    assert gqa.moved
    assert mqa.moved


def test_the_published_comparison_is_counted() -> None:
    assert better_tests() == (7, 8)
    assert len(MOE.columns) == 4


def test_the_film_ends_with_the_word_and_the_credits(pictures: dict[str, BeatPicture]) -> None:
    last = texts(pictures["the_word"])
    assert "blue" in last
    assert "Can a model remember less, and think as well?" in last
    assert any("Apache 2.0" in text for text in last)


@pytest.mark.parametrize(
    ("kind", "message"), [("one head", "nothing to share"), ("true MLA", "render scene_mla")]
)
def test_what_has_nothing_to_compare_is_refused(kind: str, message: str) -> None:
    with pytest.raises(StageError, match=message):
        Answer.rehearse(trace_of_kind(kind))
