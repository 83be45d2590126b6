"""The scene about the key/value cache, run without drawing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from extract.facts.architectures import architecture, kv_cache_bytes
from extract.recompute.decoding import decode
from extract.trace import Trace
from filmkit.core.animations import presence
from filmkit.core.beat_records import BeatRecord
from filmkit.core.body import Body
from filmkit.core.heatmap import Heatmap
from filmkit.core.numbers import format_share
from filmkit.core.stage import Stage, StageError
from filmkit.core.view import LayerView, best_match
from filmkit.pictures.bodies import Relief, Slab
from scenes.kv_cache.parts import Drum, outline, plates, token_bytes, token_tower
from scenes.kv_cache.scene_kv_cache import KVCache
from tests.support.checkout import SHIPPED
from tests.support.kinds import SHIPPED_KIND, trace_of_kind
from tests.support.staging import BeatPicture, play
from tests.support.traces import make_trace, replaced

R1 = architecture("DeepSeek-V3/R1")


def trace() -> Trace:
    return make_trace(
        n_heads=6, n_kv_heads=3, d_head=16, n_layers=5, positions="rotary", n_generated=4
    )


@pytest.fixture(scope="module")
def pictures() -> dict[str, BeatPicture]:
    return {picture.record.name: picture for picture in play(KVCache, Trace.load(SHIPPED))}


@pytest.fixture(scope="module")
def bodies() -> dict[str, list[Body]]:
    """Return copies of the bodies at the end of each beat, with what lies on them."""
    found: dict[str, list[Body]] = {}

    def note(record: BeatRecord, stage: Stage) -> None:
        parts = stage.visible_parts()
        found[record.name] = [part.copy() for part in parts if isinstance(part, Body)]

    KVCache(trace(), on_beat_end=note).render()
    return found


def texts_of(made: Trace, beat: str) -> set[str]:
    return {item.text for item in play(KVCache, made, until=beat)[-1].texts}


def test_a_trace_without_more_words_is_refused() -> None:
    with pytest.raises(StageError, match="no words after the prompt"):
        play(KVCache, make_trace())


# The next word


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
    (picture,) = play(KVCache, made, until=0)
    assert expected in picture.record.narration
    shares = [item.text for item in picture.texts if item.text.endswith("%")]
    after = made.meta.n_prompt - 1
    own = [] if rank is None else [f"{100 * made['top_probs'][after, rank]:.1f}%"]
    assert shares == own


def test_the_share_of_a_word_is_not_written_as_that_of_an_attention() -> None:
    """Both are 69 % in the trace that comes with the project."""
    made = trace_of_kind(SHIPPED_KIND)
    head = LayerView.of_prompt(made, None, show_first_token=False).head(None)
    assert format_share(float(head.pattern[best_match(head)])) == "69%"
    assert "68.9%" in texts_of(made, "the_next_word")


def test_a_drum_stops_with_its_first_word_and_goes_on_to_the_next() -> None:
    slabs = [Slab(word) for word in "abcde"]
    drum = Drum(slabs, (1.0, 0.0, 2.0), 1.5, 0.0)

    def front() -> str:
        return max(drum, key=lambda slab: slab.middle[2]).told

    turned = drum.run()
    turned.begin()
    turned.interpolate(0.4)
    assert min(slab.corners[:, 1].min() for slab in slabs) > -0.2
    turned.interpolate(1.0)
    assert front() == "a"
    drum.let_go()
    assert slabs[0] not in drum
    on = drum.go_on()
    on.begin()
    on.interpolate(1.0)
    assert front() == "b"
    np.testing.assert_allclose(slabs[1].points, slabs[0].points, atol=1e-9)


def test_a_drum_has_the_same_bits_on_whichever_way_it_came_there() -> None:
    """A film draws beats by themselves, without the pictures before."""
    drums = [Drum([Slab(word) for word in "abc"], (0.3, 0.0, 0.7), 1.5, -8.0) for _way in range(2)]
    for degrees in (*np.linspace(700, 0, 50), -120):
        drums[0].turn(degrees)
    drums[1].turn(-120)
    one, other = (drum.family_members_with_points() for drum in drums)
    for part, counterpart in zip(one, other, strict=True):
        np.testing.assert_array_equal(part.points, counterpart.points)


# One new row, and what is made again


def test_the_new_row_is_that_of_the_new_word(bodies: dict[str, list[Body]]) -> None:
    made, new = trace(), trace().meta.n_prompt
    rows = [body for body in bodies["one_new_row"] if isinstance(body, Relief)]
    assert len(rows) == 2 * 10 + 1
    numbers = {body.source.tensor: body.values for body in rows if body.points[0, 2] > 1}
    head = made.meta.featured.head
    for name, row in (("q_rot.4", head), ("k_rot.4", head // 2), ("v.4", head // 2)):
        np.testing.assert_array_equal(numbers[name], made[name][new, row])


def test_keys_and_values_are_made_once_for_each_word(bodies: dict[str, list[Body]]) -> None:
    made = bodies["token_by_token"]
    assert len(made) == 2 * 55
    solid = [body for body in made if presence(body) == 1]
    assert len(solid) == 2 * 10
    shown = texts_of(trace(), "token_by_token")
    assert {"10", "pairs with a cache", "55", "pairs without"} <= shown
    # One word after another, each in a step of its own.
    near = sorted(body.points[0, 2] for body in solid)
    assert len({round(z, 6) for z in near}) == 10


def test_what_is_made_again_is_told_to_be_the_same_if_it_is() -> None:
    made = trace()
    assert "the same ones again" in play(KVCache, made, until="token_by_token")[-1].record.narration
    z = made["z.4"].copy()
    z[-1] *= 1.5
    broken = replaced(made, {"z.4": z})
    assert not decode(broken, 4).agrees
    said = play(KVCache, broken, until="token_by_token")[-1].record.narration
    assert "all of them again" in said


def test_an_outline_has_the_twelve_edges_of_a_box() -> None:
    size = 1.0, 2.0, 3.0
    edges = outline(plates(size, "#ffffff").corners, "key")
    ways = [line[-1] - line[0] for line in edges.get_subpaths()]
    assert (
        sorted(round(float(np.abs(way).sum()), 9) for way in ways)
        == [1.0] * 4 + [2.0] * 4 + [3.0] * 4
    )
    assert all(np.count_nonzero(np.abs(way) > 1e-9) == 1 for way in ways)


# The block, and what a token takes


def test_the_block_has_a_slice_for_each_word_and_a_plate_for_each_layer(
    bodies: dict[str, list[Body]],
) -> None:
    block, made = bodies["the_whole_cache"], trace()
    assert len(block) == 2 * 10
    assert {len(body.boxes) for body in block} == {made.meta.n_layers}
    shown = {
        cells.source.quantity: cells.values
        for body in block
        for cells in body.submobjects
        if isinstance(cells, Heatmap)
    }
    assert set(shown) == {"cached_keys", "cached_values"}
    new, start = made.meta.n_prompt, int(made.meta.has_bos)
    for numbers, name in ((shown["cached_keys"], "k_rot"), (shown["cached_values"], "v")):
        # The scale of keys is that before their rotation.
        whole = [made.get(name.removesuffix("_rot"), n)[start:] for n in range(5)]
        ends = [np.percentile(np.abs(layer), 99) for layer in whole]
        rows = [made.get(name, n)[new] / end for n, end in enumerate(ends)]
        np.testing.assert_allclose(numbers, np.concatenate(rows), rtol=1e-5)


def volume(solid: Body) -> float:
    return float(np.prod(np.ptp(solid.extent, axis=0)))


def test_tokens_of_both_models_stand_on_the_same_ground_and_are_as_high_as_they_are_large(
    bodies: dict[str, list[Body]],
) -> None:
    made = trace()
    small, large = (
        [body for body in bodies["a_large_model"] if len(body.boxes) == layers]
        for layers in (made.meta.n_layers, R1.n_layers)
    )
    assert len(small) == len(large) == 2
    sizes = [np.ptp(body.extent, axis=0) for body in (*small, *large)]
    assert np.ptp([(x, z) for x, _y, z in sizes], axis=0) == pytest.approx(0, abs=1e-9)
    share = token_bytes(made.meta) / kv_cache_bytes(R1, "mha")
    assert sizes[0][1] / sizes[2][1] == pytest.approx(share, rel=0.05)


def test_a_wider_value_takes_more_of_the_ground() -> None:
    keys, values = token_tower((1, 3), 2, (4.0, 1.0, 1.0))
    low, high = keys.corners.min(axis=0), values.corners.max(axis=0)
    assert (low[0], keys.corners[:, 0].max()) == pytest.approx((-2, -1))
    assert (values.corners[:, 0].min(), high[0]) == pytest.approx((-1, 2))


def boxes_of(bodies: list[Body], count: int) -> Iterator[float]:
    yield from (volume(body) for body in bodies if len(body.boxes) == count)


def test_the_small_box_is_to_scale(bodies: dict[str, list[Body]]) -> None:
    before, (box,) = bodies["a_large_model"], bodies["as_shipped"]
    whole = sum(boxes_of(before, R1.n_layers))
    share = kv_cache_bytes(R1) / kv_cache_bytes(R1, "mha")
    # The gap between keys and values, and the seams, are of both.
    assert volume(box) / whole == pytest.approx(share, rel=0.02)


def test_only_what_a_model_keeps_is_told(pictures: dict[str, BeatPicture]) -> None:
    shown = {item.text for item in pictures["a_large_model"].texts}
    assert {"23 kB", "4.0 MB", "128 heads", "61 layers", "174 × our model"} <= shown
    assert "4.0 megabytes" in pictures["a_large_model"].record.narration


def test_the_box_stays_closed(pictures: dict[str, BeatPicture]) -> None:
    """What the large model keeps is the answer of the film: nothing here tells it."""
    for picture in pictures.values():
        words = " ".join([picture.record.narration, *(item.text for item in picture.texts)])
        assert not [told for told in ("latent", "70", "576", "56.9", "57") if told in words]
    assert "?" in [item.text for item in pictures["as_shipped"].texts]
