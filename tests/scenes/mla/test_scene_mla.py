"""The scene of the latent: what melts and is made again, what is lost, and the duel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from extract.latent.duel import duel
from extract.trace import Trace
from extract.trace.contents.conversion_report import at_equal_size
from filmkit.core.beat_records import BeatRecord
from filmkit.core.geometry import Box
from filmkit.core.language import use_language
from filmkit.core.stage import Stage, StageError
from filmkit.core.stage_settings import StageSettings
from filmkit.core.theme import current_theme
from filmkit.render.manim_config import changed_config
from filmkit.world.world import _Melting
from scenes.mla.duel import grid_of, in_quotes
from scenes.mla.scene_mla import DUEL, LatentAttention
from tests.support.checkout import SHIPPED
from tests.support.latents import with_latent
from tests.support.staging import BeatPicture, play
from tests.support.traces import make_trace

CASES = {
    "rotary": {"n_heads": 9, "n_kv_heads": 3, "d_head": 64, "positions": "rotary"},
    "own latent": {"n_heads": 6, "d_head": 32, "positions": "rotary", "mla": True},
}


def make(**options: object) -> Trace:
    return make_trace(**options) if options.get("mla") else with_latent(**options)


@pytest.fixture(scope="module")
def trace() -> Trace:
    return make(**CASES["rotary"])


@pytest.fixture(scope="module")
def pictures(trace: Trace) -> dict[str, BeatPicture]:
    return {picture.record.name: picture for picture in play(LatentAttention, trace)}


@pytest.fixture(scope="module")
def shipped_pictures() -> dict[str, BeatPicture]:
    return {p.record.name: p for p in play(LatentAttention, Trace.load(SHIPPED))}


class StopScene(Exception):
    """Ends a scene early."""


def run(trace: Trace, last: str, look: Callable[[BeatRecord, LatentAttention], None]) -> None:
    """Run the scene without drawing up to a beat, and call ``look`` after each."""
    size = {"pixel_width": 1920, "pixel_height": 1080, "frame_width": 8 * 16 / 9}
    quiet = {"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}

    def note(record: BeatRecord, stage: Stage) -> None:
        assert isinstance(stage, LatentAttention)
        look(record, stage)
        if record.name == last:
            raise StopScene

    with changed_config(quiet | size | {"frame_height": 8.0}), pytest.raises(StopScene):
        LatentAttention(trace, on_beat_end=note).render()


def drawn(trace: Trace, values: np.ndarray) -> np.ndarray:
    """Return the prompt's rows without the beginning token."""
    return values[int(trace.meta.has_bos) : trace.meta.n_prompt]


def square(trace: Trace, values: np.ndarray) -> np.ndarray:
    """Return rows and columns of the prompt without the beginning token."""
    return drawn(trace, drawn(trace, values).T).T


def test_a_missing_latent_names_the_command() -> None:
    with pytest.raises(StageError, match=r"python -m extract latent FILE --layer 1"):
        play(LatentAttention, make_trace())


def test_losses_and_the_duel_are_told_only_where_they_can_be() -> None:
    names = LatentAttention.beat_names(make_trace(mla=True, positions="rotary"))
    fight = {"the_same_budget", "all_heads_compared"}
    assert not {"what_is_lost", *fight} & set(names)
    assert {"what_is_lost", *fight} <= set(LatentAttention.beat_names(make_trace(n_kv_heads=2)))
    assert not fight & set(LatentAttention.beat_names(make_trace(n_kv_heads=1)))
    # Keys that rotate, and are made of a latent, are no latent's that could be absorbed.
    rotary = set(LatentAttention.beat_names(make_trace(n_kv_heads=2, positions="rotary")))
    assert "what_is_lost" in rotary
    assert not fight & rotary
    converted = set(LatentAttention.beat_names(Trace.load(SHIPPED)))
    assert {*fight, "every_layer"} <= converted
    assert "what_is_lost" not in converted


# --- What is left out ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"positions": "rotary"}, "rotation left out"),
        ({"positions": "rotary", "mla": True}, "the model’s own latent"),
        ({"positions": "learned"}, None),
    ],
)
def test_it_says_what_is_left_out(options: dict, expected: str | None) -> None:
    for picture in play(LatentAttention, make(**options)):
        texts = " ".join(item.text for item in picture.texts)
        assert expected is None or expected in texts
        assert ("rotation left out" in texts) is (expected == "rotation left out")


def test_every_picture_of_a_converted_model_says_what_was_done(
    shipped_pictures: dict[str, BeatPicture],
) -> None:
    for name, picture in shipped_pictures.items():
        texts = " ".join(item.text for item in picture.texts)
        duel_beat = name.removeprefix("ask_") in DUEL
        assert ("every layer converted, nothing trained" in texts) is duel_beat, name
        assert ("converted, trained 3 minutes" in texts) is not duel_beat, name
        assert "rotation left out" not in texts


def test_another_layer_of_a_converted_model_is_refused_in_one_line() -> None:
    with pytest.raises(StageError, match=r"is stored for layer 11; leave out --layer$"):
        LatentAttention.rehearse(Trace.load(SHIPPED), StageSettings(layer=3))


def test_a_conversion_of_before_says_how_to_make_it_again() -> None:
    shipped = Trace.load(SHIPPED)
    tensors = {n: array for n, array in shipped.tensors.items() if not n.startswith("duel.")}
    report = {n: v for n, v in (shipped.meta.conversion or {}).items() if n != "shared_set"}
    report["windows"] = [row for row in report["windows"] if row["way"] != "mqa_fitted"]
    before = Trace(replace(shipped.meta, conversion=report), tensors)
    before.validate()
    before.prove()
    with pytest.raises(StageError, match=r"best shared set; make it again with: python -m extract"):
        play(LatentAttention, before)


def test_biases_are_said_to_be_left_out() -> None:
    beats = {p.record.name: p for p in play(LatentAttention, with_latent(biases=True))}
    said = {name: " ".join(item.text for item in beats[name].texts) for name in beats}
    assert "without their biases" in said["up_to_keys_and_values"]
    assert "mean row" in said["what_is_lost"]


# --- The room -------------------------------------------------------------------------------------


def test_the_room_ends_with_what_the_latent_makes(trace: Trace) -> None:
    layers = []

    def look(record: BeatRecord, stage: LatentAttention) -> None:
        world = stage.world
        layers.append(stage.view.mla)
        keys, values = layers[0].k, layers[0].naive.v
        patterns = layers[0].naive.pattern
        np.testing.assert_allclose(world.latent.cells.values, drawn(trace, layers[0].kv_latent))
        for head, card in enumerate(world.cards):
            np.testing.assert_allclose(card.pattern.values, square(trace, patterns[head]))
            for plate, made in ((world.keys[head], keys), (world.values[head], values)):
                np.testing.assert_allclose(plate.cells.values, drawn(trace, made)[:, head // 3])
                assert plate.cells.shown.min() == 1
            corners = world.keys[head].cells.corners
            np.testing.assert_allclose(corners, world.plan.plate(head, 0).corners)

    run(trace, "one_latent_for_all", look)
    assert layers


def test_all_sets_of_the_model_melt(trace: Trace) -> None:
    """No mean of them could make every head's keys again: the one set before comes apart first."""
    begun: list[int] = []

    class Begun(LatentAttention):
        def play(self, *animations: Any, **kwargs: Any) -> None:
            seen = {
                name: [plate for plate in plates if plate.cells.opacity > 0]
                for name, plates in (("k", self.world.keys), ("v", self.world.values))
            }
            begun.append(len(seen["k"]))
            if not any(isinstance(animation, _Melting) for animation in animations):
                super().play(*animations, **kwargs)
                return
            own = trace.get("pattern", self.layer.layer)
            for head, card in enumerate(self.world.cards):
                np.testing.assert_allclose(card.pattern.values, square(trace, own[head]))
            for name, plates, values in (
                ("k", self.world.keys, trace.keys(self.layer.layer)),
                ("v", self.world.values, trace.get("v", self.layer.layer)),
            ):
                assert seen[name] == [plates[head] for head in (0, 3, 6)]
                for number, plate in enumerate(seen[name]):
                    np.testing.assert_allclose(plate.cells.values, drawn(trace, values)[:, number])
            raise StopScene

    Begun.__module__ = LatentAttention.__module__
    with pytest.raises(StopScene):
        play(Begun, trace)
    assert begun == [1, 3]


# --- What is lost ---------------------------------------------------------------------------------


def test_what_is_lost_has_one_scale_and_its_difference(
    pictures: dict[str, BeatPicture],
) -> None:
    panels = [p.heatmap for p in pictures["what_is_lost"].panels]
    by_source = {p.source.tensor or p.source.quantity: p for p in panels}
    true, rebuilt, lost = (by_source[name] for name in ("k.1", "latent_keys", "lost_keys"))
    np.testing.assert_allclose(lost.values, rebuilt.values - true.values)
    assert true.norm == rebuilt.norm
    # As bright as what it is the difference of, but white on the background.
    theme = current_theme()
    assert replace(lost.norm, cmap=true.norm.cmap) == true.norm
    assert lost.norm.cmap.endswith(f"{theme.background}/{theme.ink}")


def test_a_trained_latent_is_the_models_own() -> None:
    trace = make(**CASES["own latent"])
    beats = {p.record.name: p for p in play(LatentAttention, trace)}
    found = {p.heatmap.source.tensor: p.heatmap for p in beats["down_to_the_latent"].panels}
    np.testing.assert_array_equal(found["kv_latent.1"].values, trace["kv_latent.1"][1:10])


# --- The duel -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["converted", "unrotated"])
def test_all_sides_show_how_far_their_patterns_are_from_the_models_own(kind: str) -> None:
    trace = Trace.load(SHIPPED) if kind == "converted" else make(n_heads=9, n_kv_heads=3, d_head=64)
    seen = []

    def look(record: BeatRecord, stage: LatentAttention) -> None:
        if record.name != "all_heads_compared":
            return
        layer = stage.layer.layer
        own, numbers = trace.get("pattern", layer), duel(trace, layer)
        ways = numbers.mean, numbers.best, numbers.latent
        for side, way in zip(stage.sides, ways, strict=True):
            for head, card in enumerate(side.cards):
                apart = np.abs(way.pattern[head] - own[head])
                np.testing.assert_allclose(card.pattern.values, square(trace, apart), atol=1e-6)
            assert side.share[0].text == f"{way.distance.mean:.0%} moved"
        first, *others = (side.cards[0].pattern.norm for side in stage.sides)
        assert [first] * 2 == others
        assert first.cmap.startswith(current_theme().background)
        seen.append(record.name)

    run(trace, "all_heads_compared", look)
    assert seen


@pytest.mark.parametrize("count", [1, 2, 9, 12, 64])
def test_cards_of_a_side_fill_its_room(count: int) -> None:
    room = Box(1.0, -2.0, 6.0, 4.0)
    boxes = grid_of(room, count)
    assert len(boxes) == count
    assert all(room.contains(box) for box in boxes)
    around = Box.around(boxes)
    assert np.isclose(around.width, room.width) or np.isclose(around.height, room.height)


def test_the_whole_models_shares_and_words_are_those_of_the_trace(
    shipped_pictures: dict[str, BeatPicture],
) -> None:
    shipped, beats = Trace.load(SHIPPED), shipped_pictures
    contest = at_equal_size(shipped)
    assert contest is not None
    shown = {item.text for item in beats["every_layer"].texts}
    assert {f"{row.moved:.0%} moved" for row in contest.rows[1:]} <= shown
    ends = {"what_it_says": contest.rows[1:3], "and_on_a_latent": contest.rows[2:]}
    for beat, rows in ends.items():
        said = "".join(f" {item.text}" for item in beats[beat].texts)
        assert all("".join(in_quotes(row.continuation)) in said for row in rows)
    assert "blue" not in "".join(item.text for item in beats["what_it_says"].texts)
    assert len({row.numbers for row in contest.rows[1:]}) == 1
    assert all(row.bos == contest.model.bos for row in contest.rows)


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (" it is a girl.\n\n", "en", " “it is a girl.”"),
        (" blue.\n\nThe flag", "en", " “blue. The flag …”"),
        (" blue.\n\nThe flag", "fr", " «\u00a0blue. The flag …\u00a0»"),
        (" blue.\n\nThe flag", "de", " „blue. The flag …“"),
        (" blue.\n\nThe flag", "es", " «blue. The flag …»"),
    ],
)
def test_what_goes_on_is_in_quotes_and_ends_with_an_ellipsis(
    text: str, code: str, said: str
) -> None:
    with use_language(code):
        assert "".join(in_quotes(text)) == said
