"""The scene about rotation: its figures are those of the trace, and its parts add up."""

from __future__ import annotations

import numpy as np
import pytest

from extract.conversion_report import conversion_report
from extract.merged import MergedMatrix
from extract.trace import Trace
from filmkit.core.stage import StageError, StageSettings
from filmkit.core.view import LayerView, best_match
from filmkit.mobjects.sayings import as_said
from scenes.rotation.pictures import _role_word, cached_of
from scenes.rotation.scene_rotation import RotationAndLatent
from tests.support.checkout import SHIPPED
from tests.support.staging import BeatPicture, play
from tests.support.traces import make_trace


@pytest.fixture(scope="module")
def trace() -> Trace:
    return Trace.load(SHIPPED)


@pytest.fixture(scope="module")
def pictures(trace: Trace) -> dict[str, BeatPicture]:
    return {picture.record.name: picture for picture in play(RotationAndLatent, trace)}


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
    layer = LayerView.of_prompt(trace, None, show_first_token=False)
    for number in range(trace.meta.n_heads):
        head = layer.head(number)
        query, key = best_match(head)
        merged = MergedMatrix(trace, layer.layer, number)
        scores = merged.scores(query + layer.first, key + layer.first, query - key + 1)
        assert scores[query - key] == pytest.approx(head.scores[query, key], abs=1e-4)


def test_figures_on_screen_are_the_traces(trace: Trace, pictures: dict[str, BeatPicture]) -> None:
    def texts(beat: str) -> set[str]:
        return {item.text for item in pictures[beat].texts if item.presence == 1}

    change, report = trace["merged.change"], conversion_report(trace)
    assert {f"{100 * change[d]:.0f}%" for d in (1, 5)} <= texts("it_depends_on_the_distance")
    distance = report.merged.query - report.merged.key
    assert f"{trace['merged.score'][distance]:.2f}" in texts("the_score_slides")
    said = texts("what_it_says")
    assert report.healed is not None
    for row in (report.ladder[0], report.stored, report.healed):
        assert as_said(row.continuation) in said
    model, *others = (row.result.perplexity for row in report.windows)
    for other in others:
        assert any(f"perplexity + {100 * (other / model - 1):.0f}%" in text for text in said)


def test_the_score_is_the_product_that_the_film_showed_before_divided(
    trace: Trace, pictures: dict[str, BeatPicture]
) -> None:
    featured = trace.meta.featured
    head = LayerView.of_prompt(trace, None, show_first_token=False).head(featured.head)
    product, score = head.dot_products[best_match(head)], head.scores[best_match(head)]
    assert product / 8 == pytest.approx(score)
    texts = {item.text for item in pictures["the_score_slides"].texts}
    assert {"score ÷ 8", f"where they are: {product:.1f} ÷ 8", f"{score:.2f}"} <= texts
    told = pictures["the_score_slides"].record.narration
    assert f"{score:.2f}, which is {product:.1f} divided by 8" in told


def test_a_part_is_called_what_it_is_and_a_plus_adds(pictures: dict[str, BeatPicture]) -> None:
    """What is rotated depends on words too: it is not "position", nor the rest "content"."""
    texts = [item.text for beat in pictures.values() for item in beat.texts]
    assert not [text for text in texts if "content" in text or "position" in text]
    kept = [item.text for item in pictures["a_few_numbers"].texts]
    assert "128 + 64 = 192 numbers for each token" in kept
    assert "+" not in kept
    assert [item.text for item in pictures["two_parts"].texts].count("+") == 1


@pytest.mark.parametrize("kind", ["converted", "own latent"])
def test_position_and_content_add_up_to_the_scores(kind: str, trace: Trace) -> None:
    if kind == "own latent":
        trace = make_trace(n_heads=6, d_head=32, positions="rotary", mla=True)
    head = LayerView.of_prompt(trace, None, show_first_token=False).head(2)
    cached = cached_of(head)
    np.testing.assert_allclose(cached.position[0] + cached.content[0], cached.scores[0])
    if kind == "own latent":
        np.testing.assert_allclose(cached.scores[0], head.scores, atol=1e-4)
        np.testing.assert_allclose(cached.pattern[0], head.pattern, atol=1e-4)
        return
    # The beginning token is not drawn: what is left of each row is as the softmax has it.
    weights = np.where(head.causal_mask, 0, np.exp(cached.scores[0]))
    shares = cached.pattern[0].sum(axis=1, keepdims=True)
    expected = weights / weights.sum(axis=1, keepdims=True) * shares
    np.testing.assert_allclose(cached.pattern[0], expected, atol=1e-4)


def test_a_layer_that_is_not_converted_is_refused(trace: Trace) -> None:
    with pytest.raises(StageError, match="is stored for layer 11; leave out --layer"):
        RotationAndLatent.rehearse(trace, StageSettings(layer=3))


@pytest.mark.parametrize(
    ("role", "expected"), [("key of {word}", ["key of", "red"]), ("{word} 的键", ["red", "的键"])]
)
def test_a_word_stands_where_its_language_puts_it(role: str, expected: list[str]) -> None:
    line = _role_word("red", role, "#FFFFFF")
    assert [label.text for label in sorted(line, key=lambda label: label.get_x())] == expected
