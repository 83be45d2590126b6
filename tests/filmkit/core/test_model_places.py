"""Layers and heads in words."""

from __future__ import annotations

import pytest

from filmkit.core.model_places import KV_HEAD, LAYER, ModelPlace, numbered, place_in_words
from tests.support.traces import make_trace

META = make_trace(n_layers=3, n_heads=6, n_kv_heads=2).meta


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({3}, "layer 3"),
        ({0, 1, 2}, "layers 0 to 2"),
        ({4, 1, 5}, "layers 1, 4 and 5"),
        ({0, 1, 2, 4, 5, 6, 7}, "7 layers"),
    ],
)
def test_numbers_of_layers(numbers: set[int], words: str) -> None:
    assert numbered(LAYER, numbers) == words


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ([], ""),
        ([ModelPlace((), (3,))], ""),
        ([ModelPlace((1,))], "layer 1"),
        ([ModelPlace((1,), (4,)), ModelPlace((1,))], "layer 1, head 4"),
        ([ModelPlace((1,), (4,)), ModelPlace((1,), (1,), KV_HEAD)], "layer 1, head 4"),
        ([ModelPlace((1,), (1,), KV_HEAD)], "layer 1, heads 3 to 5"),
        ([ModelPlace((1,), (4,)), ModelPlace((1,), (0,), KV_HEAD)], "layer 1, heads 0, 1, 2 and 4"),
        ([ModelPlace((1,), tuple(range(6)))], "layer 1, all 6 heads"),
        ([ModelPlace((0, 1, 2), tuple(range(6)))], "all layers, all heads"),
        ([ModelPlace((2,), (4,)), ModelPlace((0,), (1,))], "layer 0, head 1 and layer 2, head 4"),
        ([ModelPlace((0, 1))], "layers 0 and 1"),
    ],
)
def test_the_place_of_several_panels(places: list[ModelPlace], words: str) -> None:
    assert place_in_words(places, META) == words
