"""The posters: one camera, the same stack of heads, and the keys and values of each scheme."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from manim import tempconfig
from PIL import Image

from extract.trace import Trace
from filmkit.core.camera import Shot
from filmkit.core.heatmap import Heatmap
from filmkit.core.records import BeatRecord
from filmkit.core.stage import Stage
from filmkit.render import posters as engine
from scenes.posters.scene_posters import (
    GroupedQueryPoster,
    LatentPoster,
    MultiHeadPoster,
    MultiQueryPoster,
    Poster,
    Thumbnail,
)
from tests.extract.test_sharing import from_pooled_weights
from tests.filmkit.commands.test_render import Render, assert_refused, files, render, trace_file  # noqa: F401
from tests.support.latents import with_latent
from tests.support.staging import play
from tests.support.traces import make_trace

ALL = [MultiHeadPoster, GroupedQueryPoster, MultiQueryPoster, LatentPoster]
CASES = {
    "grouped": {"n_heads": 9, "n_kv_heads": 3, "d_head": 16, "positions": "rotary"},
    "every head its own": {"n_heads": 12, "d_head": 16, "biases": True},
    "one for all": {"n_heads": 4, "n_kv_heads": 1, "d_head": 16, "positions": "rotary"},
}
UNCHANGED = ("q", "k_t", "scores", "pattern", "z")  # what every head has under every scheme


@cache
def make(case: str) -> Trace:
    return with_latent(**CASES[case])


@dataclass
class DrawnPoster:
    """A poster when it is finished."""

    shot: Shot
    stage: Poster
    shown: list[Heatmap] = field(default_factory=list)


def look_at(poster: type[Poster], trace: Trace) -> DrawnPoster:
    results: list[DrawnPoster] = []

    def note(record: BeatRecord, stage: Stage) -> None:
        assert isinstance(stage, Poster)
        family = [m for mobject in stage.mobjects for m in mobject.get_family()]
        heatmaps = [m for m in family if isinstance(m, Heatmap)]
        results.append(DrawnPoster(stage.camera.shot, stage, heatmaps))

    size = {"pixel_width": 480, "pixel_height": 270, "frame_width": 8 * 16 / 9}
    quiet = {"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}
    with tempconfig(quiet | size | {"frame_height": 8.0}):
        poster(trace, on_beat_end=note).render()
    return results[0]


def test_a_latent_of_the_model_s_own_is_counted_with_its_rotated_key() -> None:
    trace = make_trace(n_heads=4, d_head=16, positions="rotary", mla=True)
    texts = {item.text for item in play(LatentPoster, trace)[0].texts}
    assert any("32 + 8 = 40 numbers, 80 bytes" in text for text in texts)


@pytest.mark.parametrize("case", ["grouped", "every head its own"])
def test_only_keys_and_values_live_elsewhere(case: str) -> None:
    trace = make(case)
    results = [look_at(poster, trace) for poster in ALL]
    assert len({result.shot for result in results}) == 1
    assert len({result.stage.head_stack.layout for result in results}) == 1
    for result in results[1:]:
        for head, card in enumerate(results[0].stage.head_stack.cards):
            for name in UNCHANGED:
                panel = getattr(result.stage.head_stack.cards[head], name)
                np.testing.assert_array_equal(panel.points, getattr(card, name).points)
                assert panel.opacity == 1
                assert any(panel is m for m in result.shown)
    homes = [
        [tuple(np.ravel(card.k.points)) for card in result.stage.head_stack.cards]
        for result in results
    ]
    assert homes[0] == homes[3]


def test_keys_and_values_stand_once_for_each_set() -> None:
    trace = make("grouped")
    layer = trace.meta.featured.layer
    for poster, sets in ((GroupedQueryPoster, 3), (MultiQueryPoster, 1)):
        result = look_at(poster, trace)
        own = [panel for card in result.stage.head_stack.cards for panel in (card.k, card.v)]
        assert not any(panel is m for panel in own for m in result.shown)
        expected = from_pooled_weights(trace, sets)
        keys = result.stage.shared_stack.keys
        assert len(keys) == sets
        for panel, heads in zip(keys, result.stage.shared_stack.groups, strict=True):
            values = expected.k[1 : trace.meta.n_prompt, heads[0] * sets // 9]
            np.testing.assert_allclose(panel.values, values, atol=2e-5)
        for head, card in enumerate(result.stage.head_stack.cards):
            pattern = expected.pattern[head, 1 : trace.meta.n_prompt, 1 : trace.meta.n_prompt]
            np.testing.assert_allclose(card.pattern.values, pattern, atol=2e-5)
    own = look_at(MultiHeadPoster, trace)
    for head, card in enumerate(own.stage.head_stack.cards):
        keys = trace.keys(layer)[1 : trace.meta.n_prompt, trace.kv_head(head)]
        np.testing.assert_array_equal(card.k.values, keys)


def test_the_latent_stands_once_and_makes_keys_and_values() -> None:
    trace = make("every head its own")
    layer = trace.meta.featured.layer
    result = look_at(LatentPoster, trace)
    latent = (trace.get("x", layer) @ trace[f"latent.{layer}.W_DKV"])[1 : trace.meta.n_prompt]
    np.testing.assert_allclose(result.stage.latent.cells.values, latent, atol=1e-5)
    assert sum(m is result.stage.latent.cells for m in result.shown) == 1
    for head, card in enumerate(result.stage.head_stack.cards):
        keys = latent @ trace[f"latent.{layer}.W_UK"][:, head]
        np.testing.assert_allclose(card.k.values, keys, atol=1e-4)


def test_what_nobody_trained_is_said() -> None:
    trace = make("grouped")
    texts = {p: " ".join(i.text for i in play(p, trace)[0].texts) for p in ALL}
    assert "hypothetical for this model" in texts[MultiHeadPoster]
    assert "without training" not in texts[GroupedQueryPoster]
    assert "without training" in texts[MultiQueryPoster]
    assert "positions are left out" in texts[LatentPoster]
    (own,) = play(MultiHeadPoster, make("every head its own"))
    assert "hypothetical" not in " ".join(item.text for item in own.texts)


def test_the_thumbnail_has_three_words_at_most() -> None:
    (picture,) = play(Thumbnail, make("grouped"))
    words = [word for item in picture.texts for word in item.text.split()]
    assert 0 < len(words) <= 3
    assert min(item.height for item in picture.texts) > 0.1 * 1080


# The command


@pytest.fixture(scope="module")
def with_latent_trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "with-latent.safetensors"
    make("one for all").save(path)
    return path


def test_the_command_makes_posters_a_sheet_and_a_thumbnail(
    render: Render,  # noqa: F811
    with_latent_trace: Path,
    tmp_path: Path,
) -> None:
    outcome = render("poster", "--quality", "draft", "--trace", str(with_latent_trace))
    assert outcome.code == 0, outcome.err
    names = ["mha", "gqa", "mqa", "mla", "sheet", "thumbnail"]
    assert outcome.out.splitlines() == [f"posters/{name}.png" for name in names]
    assert files(tmp_path) == sorted(f"posters/{name}.png" for name in names)
    pictures = {name: Image.open(tmp_path / "posters" / f"{name}.png") for name in names}
    assert pictures["thumbnail"].size == (1280, 720)
    sheet = np.asarray(pictures["sheet"])
    rows = [[np.asarray(pictures[name]) for name in pair] for pair in (names[:2], names[2:4])]
    np.testing.assert_array_equal(sheet, np.vstack([np.hstack(row) for row in rows]))
    # As wide as A2 paper.
    assert sheet.shape[1] / pictures["sheet"].info["dpi"][0] * 25.4 == pytest.approx(594, abs=0.5)


def test_without_a_latent_the_others_are_made(render: Render, tmp_path: Path) -> None:  # noqa: F811
    outcome = render("poster", "--quality", "draft", "--quiet")
    assert outcome.code == 1
    assert outcome.out == ""
    assert "Error: mla: " in outcome.err
    assert "extract latent" in outcome.err
    assert files(tmp_path) == [f"posters/{name}.png" for name in ("gqa", "mha", "mqa")]


def test_4k_is_the_default_size() -> None:
    from filmkit.commands.cli import poster

    quality = next(option for option in poster.params if option.name == "quality")
    assert quality.default == "4k"
    assert (engine.THUMBNAIL_SIZE.width, engine.THUMBNAIL_SIZE.height) == (1280, 720)


def test_wrong_calls(render: Render) -> None:  # noqa: F811
    assert_refused(render("scene_shapes", "poster"), 2, "poster", "a command of its own")
    assert_refused(render("poster", "--head", "4"), 2, "--head", "heads 0 to 3")
    assert_refused(render("poster", "--quality", "best"), 2, "--quality")
