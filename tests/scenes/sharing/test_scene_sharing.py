"""The scene about shared keys and values: what is shared and what moves; all numbers explained."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from manim import DL, UR

from extract.facts.v2_report import DENSE_7B
from extract.trace import Trace
from filmkit.core.animations import presence
from filmkit.core.beat_records import BeatRecord
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.stage import Stage
from filmkit.core.text import Label
from filmkit.render.manim_config import changed_config
from filmkit.world.plates import HeadCard
from scenes.sharing.scene_sharing import Sharing
from tests.extract.recompute.test_sharing import from_pooled_weights
from tests.support.figures import all_texts
from tests.support.staging import complaints, play
from tests.support.traces import make_trace

CASES = {
    "grouped": {"n_heads": 9, "n_kv_heads": 3, "d_head": 64, "positions": "rotary"},
    "every head its own": {"n_heads": 12, "d_head": 64, "biases": True},
    "one for all": {"n_heads": 8, "n_kv_heads": 1, "d_head": 64, "positions": "rotary"},
    "no equal groups": {"n_heads": 7, "d_head": 16},
    "two heads": {"n_heads": 2, "n_tokens": 2, "d_head": 32, "has_bos": False},
    "four tokens": {"n_heads": 4, "n_tokens": 4, "d_head": 16, "positions": "rotary"},
}
SETS = {
    "grouped": [9, 3, 1],
    "every head its own": [12, 4, 1],
    "one for all": [8, 1],
    "no equal groups": [7, 1],
    "two heads": [2, 1],
    "four tokens": [4, 2, 1],
}
SHARING = ("a_set_for_every_head", "a_set_for_each_group", "one_set_for_all")


@pytest.mark.parametrize("case", ["no equal groups", "two heads", "four tokens"])
def test_unusual_shapes_can_be_read(case: str) -> None:
    pictures = play(Sharing, make_trace(**CASES[case]))
    assert [line for p in pictures for line in complaints(p)] == []


def run(trace: Trace, look: Callable[[BeatRecord, Sharing], None]) -> None:
    """Run the scene without drawing, and call ``look`` after each beat."""
    size = {"pixel_width": 1920, "pixel_height": 1080, "frame_width": 8 * 16 / 9}
    quiet = {"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}

    def note(record: BeatRecord, stage: Stage) -> None:
        assert isinstance(stage, Sharing)
        look(record, stage)

    with changed_config(quiet | size | {"frame_height": 8.0}):
        Sharing(trace, on_beat_end=note).render()


def drawn(trace: Trace, values: np.ndarray) -> np.ndarray:
    """Return the prompt's rows without the beginning token."""
    return values[int(trace.meta.has_bos) : trace.meta.n_prompt]


def square(trace: Trace, values: np.ndarray) -> np.ndarray:
    """Return rows and columns of the prompt without the beginning token."""
    return drawn(trace, drawn(trace, values).T).T


def close(panel: Heatmap, values: np.ndarray) -> None:
    np.testing.assert_allclose(panel.values, values, atol=2e-5)


@pytest.mark.parametrize("case", CASES)
def test_plates_and_patterns_are_those_of_the_reference(case: str) -> None:
    """Patterns never change while plates are copies; then they are computed with the means."""
    trace = make_trace(**CASES[case])
    heads, own = trace.meta.n_heads, trace.meta.n_kv_heads
    sets = dict(
        zip([b for b in SHARING if b in Sharing.beat_names(trace)], SETS[case], strict=True)
    )

    def look(record: BeatRecord, stage: Sharing) -> None:
        count = sets.pop(record.name, None)
        if count is None:
            return
        world, layer = stage.world, from_pooled_weights(trace, min(count, own))
        places: dict[int, set[bytes]] = {}
        for head, card in enumerate(world.cards):
            close(card.pattern, square(trace, layer.pattern[head]))
            assert (card.pattern.source.tensor is None) is (count < own)
            for plate, values in ((world.keys[head], layer.k), (world.values[head], layer.v)):
                close(plate.cells, drawn(trace, values)[:, head * min(count, own) // heads])
            corners = world.keys[head].cells.corners.round(6).tobytes()
            places.setdefault(head * count // heads, set()).add(corners)
        assert [len(place) for place in places.values()] == [1] * count
        assert len(set.union(*places.values())) == count

    run(trace, look)
    assert sets == {}


@pytest.mark.parametrize("case", ["grouped", "four tokens", "two heads"])
def test_every_card_shows_what_moves_and_its_share_of_the_mean(case: str) -> None:
    trace = make_trace(**CASES[case])
    own = trace.get("pattern", trace.meta.featured.layer)
    apart = np.abs(from_pooled_weights(trace, 1).pattern - own)
    shares = apart[:, 1 : trace.meta.n_prompt].sum(axis=2).mean(axis=1) / 2
    seen = []

    def look(record: BeatRecord, stage: Sharing) -> None:
        if record.name != "attention_moves":
            return
        words = [m for m in stage.get_mobject_family_members() if isinstance(m, Label)]
        for card, moved, share in zip(stage.world.cards, apart, shares, strict=True):
            close(card.pattern, square(trace, moved))
            told = [w for w in words if inside(w, card) and presence(w) > 0]
            assert [word.text for word in told] == [f"{share:.0%}", f"head {card.head}"]
        (headline,) = stage.headline.figure
        assert headline.text.startswith(f"Sharing moves {shares.mean():.0%} ")
        seen.append(record.name)

    run(trace, look)
    assert seen


def inside(word: Label, card: HeadCard) -> bool:
    """Return whether a word stands on a card of the wall."""
    corners = card.pattern.corners[:, :2]
    place = Box.between(corners.min(axis=0), corners.max(axis=0))
    return place.contains(Box.between(word.get_corner(DL)[:2], word.get_corner(UR)[:2]))


@pytest.mark.parametrize("case", ["grouped", "every head its own", "one for all"])
def test_heads_that_share_are_not_called_multi_head_attention(case: str) -> None:
    trace = make_trace(**CASES[case])
    (picture,) = play(Sharing, trace, until=0)
    texts = {item.text for item in picture.texts}
    would_be = "multi-head attention, if every head had its own keys and values" in texts
    assert would_be is (trace.meta.n_kv_heads < trace.meta.n_heads)


def test_a_model_with_one_set_has_no_mean_to_compare_with() -> None:
    beats = Sharing.beat_names(make_trace(**CASES["one for all"]))
    assert beats == ("a_set_for_every_head", "one_set_for_all", "what_it_costs", "what_else")
    assert "attention_moves" in Sharing.beat_names(make_trace(**CASES["grouped"]))


def test_the_scores_are_those_of_the_report_and_their_source_is_named() -> None:
    ends: dict[str, tuple[BeatRecord, Sharing]] = {}
    trace = make_trace(**CASES["grouped"])
    run(trace, lambda record, stage: ends.update({record.name: (record, stage)}))
    record, stage = ends["what_it_costs"]
    scores = stage.scores
    np.testing.assert_allclose(scores.means, [42.15, 38.225, 33.925])
    # The line of the average falls from each way to share to the next.
    heights = [scores.curve.line.points[end][1] for end in (0, 4, -1)]
    assert heights == sorted(heights, reverse=True)
    assert "published" in record.notes[0]
    texts = all_texts(play(Sharing, trace)[-2])
    assert any(DENSE_7B.source in text for text in texts)
    assert {"42.2%", "38.2%", "33.9%"} <= set(texts)
