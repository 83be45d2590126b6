"""The scene about rotation: its figures are those of the trace, and its parts add up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from extract.conversion_report import conversion_report
from extract.merged import MergedMatrix
from extract.trace import Trace
from filmkit.core.errors import StageError
from filmkit.core.geometry import Frame
from filmkit.core.records import StageSettings
from filmkit.core.view import HeadView, LayerView, best_match
from scenes.rotation.parts import Changes, Price, Slide, added, factors, first_sentence, kept_of
from scenes.rotation.scene_rotation import RotationAndLatent
from tests.support.checkout import SHIPPED
from tests.support.staging import BeatPicture, play
from tests.support.traces import make_trace

PARTS = ("unrotated", "rotated")


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


def test_the_merged_matrix_changes_as_the_trace_says(trace: Trace) -> None:
    featured = trace.meta.featured
    merged = MergedMatrix(trace, featured.layer, featured.head)
    report = conversion_report(trace).merged
    for distance in (0, 1, 5):
        assert merged.changes((0, distance))[1] == pytest.approx(
            float(trace["merged.change"][distance]), abs=1e-5
        )
    np.testing.assert_allclose(
        merged.scores(report.query, report.key, 11), trace["merged.score"][:11], atol=1e-4
    )


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
    assert changed == [f"{100 * trace['merged.change'][5]:.0f}%"]
    distance = report.merged.query - report.merged.key
    assert f"{trace['merged.score'][distance]:.2f}" in shown(pictures["the_score_slides"])
    model, converted, healed = (row.result.perplexity for row in report.windows)
    said = shown(pictures["what_it_says"])
    assert f"+{100 * (healed / model - 1):.0f}%" in said
    assert f"converted: +{100 * (converted / model - 1):.0f}%" in said
    assert report.healed is not None
    assert first_sentence(report.healed.continuation).strip() in " ".join(said)
    assert f"{report.rank + report.rotated} of {report.cached} numbers kept" in said


def test_the_score_says_what_it_was_divided_by(
    trace: Trace, pictures: dict[str, BeatPicture]
) -> None:
    head = head_of(trace)
    product, score = head.dot_products[best_match(head)], head.scores[best_match(head)]
    assert product / 8 == pytest.approx(score)
    assert {f"score: {product:.1f} ÷ 8", f"{score:.2f}"} <= set(shown(pictures["the_score_slides"]))


def test_one_merged_matrix_stays_and_the_other_is_that_of_a_distance(
    pictures: dict[str, BeatPicture],
) -> None:
    panels = pictures["it_depends_on_the_distance"].panels
    blocks = [panel.heatmap for panel in panels if panel.heatmap.label]
    distances = {
        name: {dict(block.source.given)["distance"] for block in blocks if block.label == name}
        for name in ("stays", "changes")
    }
    assert distances == {"stays": {0}, "changes": {5}}


def test_only_one_of_the_changes_is_shown() -> None:
    changes = Changes(np.array([0.0, 0.1, 0.2]))
    for distance in (2, 0, 1):
        changes.show(distance)
        assert [lines[1].fill_opacity for lines in changes] == [d == distance for d in range(3)]


def test_a_part_is_called_what_it_is_and_a_plus_adds(
    trace: Trace, pictures: dict[str, BeatPicture]
) -> None:
    """What is rotated depends on words too: it is not "position", nor the rest "content"."""
    texts = [item.text for beat in pictures.values() for item in beat.texts]
    assert "rotary positions (RoPE)" in texts
    assert not [text for text in texts if "content" in text or text == "position"]
    kept = shown(pictures["a_few_numbers"])
    assert {"128", "64"} <= set(kept)
    assert "+" not in kept
    head = head_of(trace)
    parts = kept_of(head)
    numbers = [
        f"{float(parts[name].values[best_match(head)]):.1f}".replace("-", "−")
        for name in (*PARTS, "scores")
    ]
    assert set(numbers) <= set(shown(pictures["two_parts"]))


def test_what_is_kept_is_joined_with_a_scale_for_each(trace: Trace) -> None:
    parts = kept_of(head_of(trace))
    latent, rope = parts["latent"], parts["rope"]
    assert (latent.columns, latent.rows) == (rope.columns, rope.rows)
    assert latent.norm is not None
    assert rope.norm is not None
    assert latent.norm.vmax != rope.norm.vmax
    assert parts["unrotated"].norm == parts["rotated"].norm == parts["scores"].norm


@pytest.mark.parametrize("kind", ["converted", "own latent"])
def test_both_parts_add_up_to_the_scores(kind: str, trace: Trace, own_latent: Trace) -> None:
    head = head_of(own_latent if kind == "own latent" else trace, 2)
    parts = {name: part.values for name, part in kept_of(head).items()}
    np.testing.assert_allclose(parts["unrotated"] + parts["rotated"], parts["scores"], atol=1e-5)
    if kind == "own latent":
        np.testing.assert_allclose(parts["scores"], head.scores, atol=1e-4)
        np.testing.assert_allclose(parts["pattern"], head.pattern, atol=1e-4)
        return
    # The beginning token is not drawn: what is left of each row is as the softmax has it.
    weights = np.where(head.causal_mask, 0, np.exp(parts["scores"]))
    shares = parts["pattern"].sum(axis=1, keepdims=True)
    expected = weights / weights.sum(axis=1, keepdims=True) * shares
    np.testing.assert_allclose(parts["pattern"], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1.26, 2.31), ["1.3", "+", "2.3", "=", "3.6"]),
        ((1.26, -2.31), ["1.26", "+", "(−2.31)", "=", "−1.05"]),
        ((1.44445, 1.44445), ["1.444", "+", "1.444", "≈", "2.889"]),
    ],
)
def test_a_sum_is_true_as_it_is_printed(
    values: tuple[float, float], expected: list[str], trace: Trace
) -> None:
    kept = kept_of(head_of(trace))
    numbers = dict(zip((*PARTS, "scores"), (*values, sum(values)), strict=True))
    for name, number in numbers.items():
        kept[name] = replace(kept[name], values=np.full_like(kept[name].values, number))
    line, words = added(kept, (0, 0), "a → b")
    assert [label.text for label in line] == expected
    assert words.text == "a → b"


def test_the_rotation_stands_between_the_weights_of_what_is_rotated(
    trace: Trace, own_latent: Trace
) -> None:
    for one in (trace, own_latent):
        head = head_of(one)
        queries, keys = factors(head)
        assert queries is not None
        assert keys is not None
        name = "W_K" if one is trace else "W_KR"
        weights = one.weights(name, head.layer.layer)
        expected = weights[:, head.kv_head] if one is trace else weights
        np.testing.assert_array_equal(keys.values, expected.T)
        assert queries.values.shape == expected.shape
        whole = one.weights("W_Q", head.layer.layer)[:, head.head]
        np.testing.assert_array_equal(queries.values, whole[:, -expected.shape[1] :])


def test_a_word_slides_above_all_bars_below_it() -> None:
    scores = np.array([3.0, 1.0, -2.0, 1.0, 1.0, 4.0, 1.0, 1.0])
    slide = Slide(scores, 1, ("internationally", "a"), Frame(14.2))
    assert slide.query.width > 1.5 * (slide.bars[1].get_x() - slide.bars[0].get_x())
    assert slide.bars[2].get_top()[1] == pytest.approx(slide.bars[1].get_bottom()[1])
    for distance in np.linspace(0, 7, 29):
        slide.slide_to(distance)
        word = slide.query
        for bar in slide.bars:
            if abs(bar.get_x() - word.get_x()) < word.width / 2:
                assert word.get_bottom()[1] >= bar.get_top()[1] - 1e-6


def test_the_price_shrinks_as_far_as_training_mends_it() -> None:
    price = Price([0.24, 0.12], "trained", 8.0)
    assert price.bar.width == pytest.approx(4.0)
    price.train(0.0)
    assert price.bar.width == pytest.approx(8.0)
    assert price.bar.get_left()[0] == pytest.approx(price.before.get_left()[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [(" blue. The flag", " blue."), (" blue\nand green", " blue and green …"), ("?!", " ?")],
)
def test_a_continuation_ends_with_its_first_sentence(text: str, expected: str) -> None:
    assert first_sentence(text) == expected


def test_a_layer_that_is_not_converted_is_refused(trace: Trace) -> None:
    with pytest.raises(StageError, match="is stored for layer 11; leave out --layer"):
        RotationAndLatent.rehearse(trace, StageSettings(layer=3))
