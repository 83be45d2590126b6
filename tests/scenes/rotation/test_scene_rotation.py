"""The scene about rotation: its figures are those of the trace, and its parts add up."""

from __future__ import annotations

import numpy as np
import pytest
from manim import Mobject

from extract.recompute.merged import MergedMatrix
from extract.trace import Trace
from extract.trace.contents.conversion_report import conversion_report
from filmkit.core.errors import StageError
from filmkit.core.geometry import Box
from filmkit.core.stage_settings import StageSettings
from filmkit.core.theme import current_theme
from filmkit.core.view import HeadView, LayerView, best_match
from filmkit.pictures.latent_view import LatentView
from scenes.rotation.parts import (
    SUM,
    Amounts,
    Bars,
    TurnedWords,
    first_sentence,
    kept_of,
    parts_of_scores,
    sum_of_parts,
)
from scenes.rotation.scene_rotation import FAR, RotationAndLatent
from tests.support.checkout import SHIPPED
from tests.support.staging import BeatPicture, play
from tests.support.traces import make_trace

SIDES = Mobject.get_left, Mobject.get_right


@pytest.fixture(scope="module")
def trace() -> Trace:
    return Trace.load(SHIPPED)


@pytest.fixture(scope="module")
def own_latent() -> Trace:
    return make_trace(n_heads=6, d_head=32, positions="rotary", mla=True)


@pytest.fixture(scope="module")
def pictures(trace: Trace) -> dict[str, BeatPicture]:
    return {picture.record.name: picture for picture in play(RotationAndLatent, trace)}


def shown(picture: BeatPicture) -> list[str]:
    return [item.text for item in picture.texts if item.presence == 1]


def head_of(trace: Trace, number: int | None = None) -> HeadView:
    return LayerView.of_prompt(trace, None, show_first_token=False).head(number)


def test_the_merged_matrix_changes_with_the_distance(trace: Trace) -> None:
    """The figures of the film."""
    featured = trace.meta.featured
    changes = MergedMatrix(trace, featured.layer, featured.head).changes(range(101))
    expected = {0: 0, 1: 0.148, 2: 0.277, 5: 0.459, 10: 0.577, 30: 0.787, 100: 0.863}
    for distance, value in expected.items():
        assert changes[distance] == pytest.approx(value, abs=0.002)


def test_at_their_true_distance_two_words_have_their_true_score(trace: Trace) -> None:
    for number in range(trace.meta.n_heads):
        head = head_of(trace, number)
        (query, key), layer = best_match(head), head.layer
        merged = MergedMatrix(trace, layer.layer, number)
        scores = merged.scores(query + layer.first, key + layer.first, query - key + 1)
        assert scores[query - key] == pytest.approx(head.scores[query, key], abs=1e-4)


def test_figures_on_screen_are_the_traces(trace: Trace, pictures: dict[str, BeatPicture]) -> None:
    report = conversion_report(trace)
    changed = [text for text in shown(pictures["it_depends_on_the_distance"]) if "%" in text]
    head = head_of(trace)
    merged = MergedMatrix(trace, head.layer.layer, head.head)
    matrices = [merged.matrix(distance) for distance in FAR]
    norms = [np.linalg.norm(matrix - matrices[0]) for matrix in matrices]
    assert changed == [f"{100 * n / np.linalg.norm(matrices[0]):.0f}% changed" for n in norms[1:]]
    score = head.scores[best_match(head)]
    assert f"{score:.2f}" in shown(pictures["the_score_slides"])
    model, converted, healed = (
        row.result.perplexity for row in report.windows if row.way in ("model", "mla")
    )
    said = shown(pictures["what_it_says"])
    assert f"+{100 * (healed / model - 1):.0f}%" in said
    assert f"+{100 * (converted / model - 1):.0f}%" in said
    assert report.healed is not None
    assert first_sentence(report.healed.continuation).strip() in " ".join(said)
    assert f"{report.rank + report.rotated} of {report.cached} numbers" in said


def test_merged_weights_at_each_distance_stand_on_one_scale(
    trace: Trace, pictures: dict[str, BeatPicture]
) -> None:
    cells = [panel.heatmap for panel in pictures["it_depends_on_the_distance"].panels]
    assert len({block.norm for block in cells}) == 1
    shown = {dict(block.source.given)["distance"]: block.values for block in cells}
    assert set(shown) == set(FAR)
    featured = trace.meta.featured
    merged = MergedMatrix(trace, featured.layer, featured.head)
    rows, columns = shown[0].shape
    for distance, values in shown.items():
        np.testing.assert_array_equal(values, merged.matrix(distance)[:rows, :columns])


def test_a_part_is_called_what_it_is_and_a_plus_adds(
    trace: Trace, pictures: dict[str, BeatPicture]
) -> None:
    """What is rotated depends on words too: it is not "position", nor the rest "content"."""
    texts = [item.text for beat in pictures.values() for item in beat.texts]
    assert "Rotary positions (RoPE)" in texts
    assert not [text for text in texts if "content" in text or text == "position"]
    kept = shown(pictures["a_few_numbers"])
    assert {"128 numbers", "96", "32"} <= set(kept)
    assert "+" not in kept
    head = head_of(trace)
    drawn = slice(head.layer.first, head.layer.stop)
    for name in SUM:
        values = parts_of_scores(trace, head.layer.layer, head.head, name)[drawn, drawn]
        number = f"{float(values[best_match(head)]):.1f}".replace("-", "−")
        assert number in shown(pictures["two_parts"])


def test_what_is_kept_is_joined_with_a_scale_for_each(trace: Trace) -> None:
    parts = kept_of(LatentView.of(head_of(trace).layer))
    latent, rope = parts["latent"], parts["rope"]
    assert (latent.columns, latent.rows) == (rope.columns, rope.rows)
    assert latent.norm is not None
    assert rope.norm is not None
    assert latent.norm.vmax != rope.norm.vmax


@pytest.mark.parametrize("kind", ["converted", "own latent"])
def test_both_parts_add_up_to_the_scores(kind: str, trace: Trace, own_latent: Trace) -> None:
    one = own_latent if kind == "own latent" else trace
    head = head_of(one, 2)
    layer = head.layer
    unrotated, rotated, both = (parts_of_scores(one, layer.layer, head.head, name) for name in SUM)
    np.testing.assert_allclose(unrotated + rotated, both, atol=1e-5)
    drawn = slice(layer.first, layer.stop)
    if kind == "own latent":
        np.testing.assert_allclose(both[drawn, drawn], head.scores, atol=1e-4)
        return
    scores = np.where(np.tri(len(both)), both, -np.inf)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    pattern = one[f"mla.{layer.layer}.pattern"][head.head]
    np.testing.assert_allclose(weights / weights.sum(axis=1, keepdims=True), pattern, atol=1e-4)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1.26, 2.31), ["1.3", "2.3", "3.6", "= together"]),
        ((1.26, -2.31), ["1.26", "−2.31", "−1.05", "= together"]),
        ((1.44445, 1.44445), ["1.444", "1.444", "2.889", "≈ together"]),
    ],
)
def test_a_sum_is_true_as_it_is_printed(
    values: tuple[float, float], expected: list[str], trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = dict(zip(SUM, (*values, sum(values)), strict=True))
    size = len(trace.meta.tokens)
    monkeypatch.setattr(
        "scenes.rotation.parts.parts_of_scores",
        lambda _trace, _layer, _head, part: np.full((size, size), numbers[part]),
    )
    amounts = sum_of_parts(head_of(trace), (4, 2), Box(0, 0, 12, 5))
    assert [number.text for _name, _bar, number in amounts.rows] == expected[:3]
    assert amounts.rows[-1][0].text == expected[3]
    first, second, both = (bar for _name, bar, _number in amounts.rows)
    right = values[0] > 0
    zero, end = (side(first)[0] for side in SIDES[:: 1 if right else -1])
    assert SIDES[values[1] < 0](second)[0] == pytest.approx(end)
    assert SIDES[sum(values) < 0](both)[0] == pytest.approx(zero)


def test_each_word_is_a_step_further_and_two_have_the_colours_of_their_roles() -> None:
    words, room = [" one", " two", " three"], Box(0, 0, 6, 4)
    turned = TurnedWords(words, 0.75, (2, 1), 1, "apart", room)
    face, query, key = turned.large
    for share in (0.0, 0.5, 1.0):
        turned.turn(share)
        hands = [*(hand for _face, hand in turned.clocks), query, key]
        for position, hand in zip((1, 2, 3, 3, 2), hands, strict=True):
            x, y, _z = hand.get_end() - hand.get_start()
            assert np.arctan2(x, y) == pytest.approx(share * position * 0.75)
        ends = turned.arc.points[[0, -1]] - face.get_center()
        angles = np.arctan2(ends[:, 0], ends[:, 1])
        np.testing.assert_allclose(angles, [share * 1.5, share * 2.25], atol=1e-9)
    theme = current_theme()
    colours = [word.get_fill_color().to_hex().lower() for word in turned.words]
    assert colours == [theme.ink.lower(), theme.key.lower(), theme.query.lower()]


def test_the_number_stands_above_all_bars_below_it() -> None:
    scores = np.array([3.0, 1.0, -2.0, 1.0, 1.0, 4.0, 1.0, 1.0])
    bars = Bars(scores, 1, Box(0, 0, 4, 5))
    assert bars.bars[2].get_top()[1] == pytest.approx(bars.bars[1].get_bottom()[1])
    for distance in range(8):
        bars.light(distance)
        assert bars.note.fill_opacity == (distance == 1)
        for bar in bars.bars:
            if abs(bar.get_x() - bars.number.get_x()) < bars.number.width / 2:
                assert bars.number.get_bottom()[1] >= bar.get_top()[1] - 1e-6


def test_bars_are_as_long_as_their_numbers() -> None:
    shares = [0.24, 0.12]
    price = Amounts(shares, ["+24%", "+12%"], ["one", "two"], ["#ffffff"] * 2, Box(0, 0, 8, 3))
    (_name, first, number), (_other, second, _number) = price.rows
    assert first.width == pytest.approx(2 * second.width)
    assert number.get_right()[0] == pytest.approx(4.0, abs=0.05)


@pytest.mark.parametrize(
    ("text", "expected"),
    [(" blue. The flag", " blue."), (" blue\nand green", " blue and green …"), ("?!", " ?")],
)
def test_a_continuation_ends_with_its_first_sentence(text: str, expected: str) -> None:
    assert first_sentence(text) == expected


def test_a_layer_that_is_not_converted_is_refused(trace: Trace) -> None:
    with pytest.raises(StageError, match="is stored for layer 11; leave out --layer"):
        RotationAndLatent.rehearse(trace, StageSettings(layer=3))
