"""The scene about the key/value cache, run without drawing."""

from __future__ import annotations

import numpy as np
import pytest

from extract.recompute.decoding import decode
from extract.trace import Trace
from filmkit.core.beat_records import BeatRecord
from filmkit.core.heatmap import Heatmap
from filmkit.core.numbers import format_share
from filmkit.core.picture_map import panels_on
from filmkit.core.stage import Stage, StageError
from filmkit.core.stage_settings import StageSettings
from filmkit.core.view import LayerView, best_match
from filmkit.render.quality import ASPECTS, DEFAULT_ASPECT, quality_of
from scenes.kv_cache.parts import NextWords, WorkBar
from scenes.kv_cache.scene_kv_cache import FADED, KNOWN, LEAST, KVCache
from tests.support.kinds import SHIPPED_KIND, trace_of_kind
from tests.support.staging import BeatPicture, complaints, play
from tests.support.traces import make_trace, replaced

UNUSUAL = {
    "four tokens": {"n_tokens": 4, "n_kv_heads": 1, "d_head": 64, "n_generated": 3},
    "20 tokens": {"n_tokens": 20, "d_head": 64, "positions": "rotary", "n_generated": 4},
}


@pytest.mark.parametrize("case", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_unusual_shapes_can_be_read(case: dict) -> None:
    pictures = play(KVCache, make_trace(**case))
    assert [line for p in pictures for line in complaints(p)] == []


@pytest.mark.parametrize(
    "aspect",
    [DEFAULT_ASPECT, *(pytest.param(a, marks=pytest.mark.slow) for a in ASPECTS if a != "16:9")],
)
def test_many_short_words_fit_pictures_of_every_shape(aspect: str) -> None:
    words = "abcdefghijklmnopqrstuvwxyz"
    trace = make_trace(n_tokens=24, n_kv_heads=2, d_head=16, words=words, n_generated=2)
    trace = replaced(trace, random_weights=False)  # their note is longer than a model's name
    quality = quality_of("fullhd", aspect)
    size = {"width": quality.width, "height": quality.height}
    pictures = play(KVCache, trace, **size)
    assert [line for p in pictures for line in complaints(p, **size)] == []


@pytest.fixture(scope="module")
def pictures() -> dict[str, BeatPicture]:
    return {picture.record.name: picture for picture in play(KVCache, trace())}


@pytest.fixture(scope="module")
def panels() -> dict[str, list[Heatmap]]:
    """Return copies of the heatmaps at the end of each beat."""
    found: dict[str, list[Heatmap]] = {}

    def note(record: BeatRecord, stage: Stage) -> None:
        shown = panels_on(stage.mobjects, stage.camera)
        found[record.name] = [item.heatmap.copy() for item in shown]

    KVCache(trace(), on_beat_end=note).render()
    return found


def trace() -> Trace:
    return make_trace(
        n_heads=6, n_kv_heads=3, d_head=16, n_layers=5, positions="rotary", n_generated=4
    )


def test_a_trace_without_more_words_is_refused() -> None:
    with pytest.raises(StageError, match="no words after the prompt"):
        play(KVCache, make_trace())


# The next word


def first_texts(trace: Trace) -> list[str]:
    return [item.text for item in play(KVCache, trace, until=0)[0].texts]


def with_next_word(rank: int | None, **meta: object) -> Trace:
    """Return a trace whose next word has a rank among the likeliest, or none (None)."""
    made = make_trace(n_generated=2, d_head=8)
    after, ids = made.meta.n_prompt, made["top_ids"].copy()
    if rank is None:
        ids[after - 1] = np.arange(5) + 1000
    else:
        # The likeliest one was generated.
        ids[after - 1, [0, rank]] = ids[after - 1, [rank, 0]]
    return replaced(made, {"top_ids": ids}, **meta)


@pytest.mark.parametrize(
    ("rank", "continued", "expected"),
    [
        (0, False, "is chosen"),
        (2, False, "follows"),
        (None, True, "is given"),
        (1, True, "is given"),
    ],
)
def test_how_the_next_word_was_found_is_told(
    rank: int | None, continued: bool, expected: str
) -> None:
    made = with_next_word(rank, continued=continued)
    beat = play(KVCache, made, until=0)[0]
    assert expected in beat.record.narration
    heading = next(item.text for item in beat.texts if "likeliest next words" in item.text)
    assert ("given" in heading) is continued


def test_five_bars_show_the_models_own_distribution() -> None:
    made = with_next_word(0)
    words = NextWords(made, 12.0, 4.0)
    shares = made["top_probs"][made.meta.n_prompt - 1]
    assert [label.text for label in words.shares] == [f"{100 * share:.1f}%" for share in shares]
    lengths = np.array([bar.width for bar in words.bars])
    np.testing.assert_allclose(lengths / lengths[0], shares / shares[0], rtol=1e-5)


def test_the_share_of_a_word_is_not_written_as_that_of_an_attention() -> None:
    """Both are 69 % in the trace that comes with the project."""
    made = trace_of_kind(SHIPPED_KIND)
    head = LayerView.of_prompt(made, None, show_first_token=False).head(None)
    attention = float(head.pattern[best_match(head)])
    share = NextWords(made, 12.0, 4.0).shares[0].text
    assert format_share(attention) == f"{float(share[:-1]):.0f}%" == "69%"
    assert share == "68.9%"


# One more row


def shown_of(panels: list[Heatmap], tensor: str, columns: int) -> Heatmap:
    (found,) = (p for p in panels if p.source.tensor == tensor and p.shape[1] == columns)
    return found


def test_the_pattern_is_drawn_whole(panels: dict[str, list[Heatmap]]) -> None:
    """The row of the new token too: no cell of its picture may be excused as hidden."""
    pattern = shown_of(panels["one_row_of_each"], "pattern.4", 10)
    head, *_ = pattern.source.index
    assert pattern.shape == (10, 10)
    assert (pattern.shown == 1).all()
    np.testing.assert_array_equal(pattern.values, trace()["pattern.4"][head, 1:11, 1:11])
    assert not pattern.masked[9].any()


MAY_HIDE = {
    "one_new_row": {"q_rot.4", "k_rot.4", "scores"},
    "what_is_kept": {"q_rot.4"},
}
"""Beats in which what is old is greyed or fades, and what."""


def test_what_is_old_is_greyed_and_what_is_new_is_not(panels: dict[str, list[Heatmap]]) -> None:
    hiding = {name for name, found in panels.items() for cells in found if (cells.shown < 1).any()}
    assert hiding == {*MAY_HIDE, "one_row_of_each"}
    for name, tensors in MAY_HIDE.items():
        grey = [p for p in panels[name] if (p.shown < 1).any()]
        assert {p.source.tensor or p.source.quantity for p in grey} == tensors
        for cells in grey:
            turn = np.transpose if cells.source.transposed else np.asarray
            shown, masked = turn(cells.shown), turn(cells.masked)
            old = shown[:-1][masked[:-1] == 0]  # the mask stays what the legend shows
            faded = FADED if name == "what_is_kept" else KNOWN
            np.testing.assert_allclose(old, faded, atol=1e-6)
            assert (shown[-1] == 1).all()


def test_values_are_as_bright_as_their_share_in_the_new_output(
    panels: dict[str, list[Heatmap]],
) -> None:
    pattern = shown_of(panels["one_row_of_each"], "pattern.4", 10)
    (values,) = (p for p in panels["one_row_of_each"] if p.source.tensor == "v.4")
    shares = pattern.values[-1]
    np.testing.assert_allclose(
        values.shown[:, 0], LEAST + (1 - LEAST) * shares / shares.max(), atol=1e-6
    )
    assert min(LEAST, KNOWN) >= 0.6  # what is darker cannot be read in a projection


def test_old_cells_are_those_of_the_prompt(panels: dict[str, list[Heatmap]]) -> None:
    for name, beat in (
        ("q_rot", "one_new_row"),
        ("v", "one_row_of_each"),
        ("z", "one_row_of_each"),
    ):
        cells = next(p for p in panels[beat] if p.source.tensor == f"{name}.4")
        (start, stop), head, span = cells.source.index
        assert (start, stop) == (1, 11)
        expected = trace()[f"{name}.4"][start:stop, head, slice(*span)]
        np.testing.assert_array_equal(cells.values, expected)


def test_the_scores_gain_a_row_and_a_masked_column(panels: dict[str, list[Heatmap]]) -> None:
    (scores,) = (p for p in panels["one_new_row"] if p.source.quantity == "scores")
    assert scores.shape == (10, 10)
    assert (scores.masked[:9, 9] == 1).all()
    assert not scores.masked[9].any()
    (keys,) = (
        p for p in panels["one_new_row"] if p.source.tensor == "k_rot.4" and p.source.transposed
    )
    assert keys.shown.all()
    np.testing.assert_array_equal(keys.values, trace()["k_rot.4"][1:11, 2].T)


# Decoding


def test_both_ways_end_with_all_keys_and_values(panels: dict[str, list[Heatmap]]) -> None:
    found = panels["token_by_token"]
    assert sorted(p.source.tensor or "" for p in found) == ["k_rot.4"] * 2 + ["v.4"] * 2
    for cells in found:
        assert cells.shape[0] == 13
        assert (cells.shown == 1).all()


def test_numbers_that_do_not_agree_are_told() -> None:
    made = trace()
    picture = play(KVCache, made, until="token_by_token")[-1]
    assert not any("differ" in item.text for item in picture.texts)
    z = made["z.4"].copy()
    z[-1] *= 1.5
    broken = replaced(made, {"z.4": z})
    assert not decode(broken, 4).agrees
    picture = play(KVCache, broken, until="token_by_token")[-1]
    assert any("differ" in item.text for item in picture.texts)


def test_the_counters_are_counted_from_shapes(pictures: dict[str, BeatPicture]) -> None:
    # One layer of 96 channels, 6 heads on 3 key/value heads of 16; 10 tokens, then 4.
    def full(tokens: int) -> int:
        pairs = tokens * (tokens + 1) // 2
        return tokens * 96 * 16 * (6 + 3 + 3 + 6) + 2 * pairs * 6 * 16

    def step(seen: int) -> int:
        return 96 * 16 * (6 + 3 + 3 + 6) + 2 * seen * 6 * 16

    cached = full(10) + sum(step(seen) for seen in range(11, 15))
    naive = sum(full(tokens) for tokens in range(10, 15))
    texts = {item.text for item in pictures["token_by_token"].texts}
    assert {f"{cached / 1e6:.1f}", f"{naive / 1e6:.1f}"} <= texts


def test_the_counters_count_in_the_units_of_the_language() -> None:
    place = KVCache.beat_names().index("token_by_token")
    pictures = play(KVCache, trace_of_kind(SHIPPED_KIND), StageSettings(language="zh"))
    texts = {item.text for item in pictures[place].texts}
    assert {"1,251", "5,354", "万"} <= texts


@pytest.mark.parametrize("kind", ["2 tokens", SHIPPED_KIND])
@pytest.mark.parametrize("width", [6.0, 13.0])
def test_the_bars_of_work_are_to_scale_and_in_their_room(kind: str, width: float) -> None:
    made = trace_of_kind(kind)
    decoding = decode(made, made.meta.featured.layer)
    steps = len(decoding.cached) - 1
    bars = [WorkBar(decoding, cached, width, 0) for cached in (True, False)]
    counts = decoding.cached, decoding.naive
    for done in (0.0, 0.5, float(steps)):
        work = [np.interp(done, np.arange(steps + 1), each) for each in counts]
        for bar in bars:
            bar.show(done)
            assert bar.width == pytest.approx(width)
        assert bars[0].bar.width / bars[1].bar.width == pytest.approx(work[0] / work[1])
    assert len({bar.bar.width for bar in bars}) == 2


def test_the_work_of_a_step_is_counted_while_it_is_done() -> None:
    made = trace()
    bar, after = (WorkBar(decode(made, 4), False, 12.0, done) for done in (1, 2))
    step = bar.next_step()
    step.begin()
    step.interpolate(1)
    assert bar.number.text == after.number.text
    assert bar.bar.width == pytest.approx(after.bar.width)
