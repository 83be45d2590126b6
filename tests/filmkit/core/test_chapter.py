"""Chapter cards: a title, and a row of cards that says how far a film has come."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from manim import VMobject

from filmkit.core.chapter import ChapterCard
from filmkit.core.geometry import Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.light import gives_light
from filmkit.core.text import Label
from filmkit.core.theme import use_theme
from filmkit.core.view import LayerView
from filmkit.render.quality import ASPECTS, frame_size
from tests.support.traces import make_trace

FRAMES = {name: Frame(*frame_size(*(120 * side for side in ASPECTS[name]))) for name in ASPECTS}
COUNT = 11
TITLE = "Keys and values that heads share"


def card_of(aspect: str = "16:9", number: int = 5, **options: Any) -> ChapterCard:
    trace = make_trace(**options)
    view = LayerView.of_prompt(trace, None, show_first_token=False)
    return ChapterCard(TITLE, number, COUNT, view, FRAMES[aspect])


def patterns(card: ChapterCard) -> list[Heatmap]:
    """The patterns on the cards, without those that the floor mirrors, upside down."""
    found = [part for part in card if isinstance(part, Heatmap)]
    return [p for p in found if p.corners[0, 1] > p.corners[3, 1]]


@pytest.mark.parametrize("theme", ["dark", "print"])
@pytest.mark.parametrize("aspect", ASPECTS)
def test_all_of_it_is_on_the_stage_and_nothing_covers_anything(aspect: str, theme: str) -> None:
    free = FRAMES[aspect].free
    with use_theme(theme):
        card = card_of(aspect)
    lines = [part for part in card.get_family() if isinstance(part, Label)]
    assert next(line.text for line in lines) == "5"
    assert " ".join(line.text for line in lines[1:]) == TITLE
    cards = [part for part in card if type(part) is VMobject]
    assert len(cards) == COUNT
    boxes = [
        Box.between(p.get_corner([-1, -1, 0]), p.get_corner([1, 1, 0])) for p in [*lines, *cards]
    ]
    for one, box in enumerate(boxes):
        assert min(box.left - free.left, box.bottom - free.bottom) > 0
        assert min(free.right - box.right, free.top - box.top) > 0
        for other in boxes[:one]:
            across, up = box.overlap(other)
            assert min(across, up) < 0.02, (one, box, other)


def test_the_cards_of_chapters_glimmer_up_to_the_one_that_burns() -> None:
    shown = patterns(card_of(number=5))
    levels = [pattern.opacity for pattern in shown]
    assert levels[4] == 1.0
    assert len(set(levels[:4])) == len(set(levels[5:])) == 1
    assert levels[0] > 3 * levels[-1] > 0
    assert [gives_light(pattern) for pattern in shown] == [True] * 5 + [False] * 6


@pytest.mark.parametrize("options", [{"n_layers": 1, "n_heads": 1}, {"n_layers": 6, "n_heads": 4}])
def test_patterns_are_those_of_the_model_from_its_first_layer_to_its_last(
    options: dict[str, Any],
) -> None:
    trace = make_trace(**options)
    shown = patterns(card_of(**options))
    assert len(shown) == COUNT
    places = []
    for pattern in shown:
        name, head = str(pattern.source.tensor), pattern.source.index[0]
        drawn = slice(int(trace.meta.has_bos), trace.meta.n_prompt)
        np.testing.assert_allclose(pattern.values, trace[name][head, drawn, drawn], atol=1e-6)
        places.append((int(name.split(".")[1]), head))
    assert places == sorted(places)
    assert len(set(places)) == min(COUNT, options["n_layers"] * options["n_heads"])
