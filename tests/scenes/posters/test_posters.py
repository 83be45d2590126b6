"""The posters: one camera, the same stack of heads, and the keys and values of each scheme."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from extract.trace import Trace
from filmkit.core.headline import Headline
from filmkit.core.heatmap import Heatmap
from filmkit.core.quantities import PanelCheck
from filmkit.render import posters as engine
from filmkit.render.manim_config import changed_config
from scenes.posters.scene_posters import (
    GroupedQueryPoster,
    LatentPoster,
    MultiHeadPoster,
    MultiQueryPoster,
    Poster,
    Thumbnail,
)
from tests.extract.recompute.test_sharing import from_pooled_weights
from tests.filmkit.commands.test_render import Render, assert_refused, files, render, trace_file  # noqa: F401
from tests.support.checkout import SHIPPED
from tests.support.latents import with_latent
from tests.support.staging import play
from tests.support.traces import make_trace

ALL = [MultiHeadPoster, GroupedQueryPoster, MultiQueryPoster, LatentPoster]
CASES = {
    "grouped": {"n_heads": 9, "n_kv_heads": 3, "d_head": 16, "positions": "rotary"},
    "every head its own": {"n_heads": 12, "d_head": 16, "biases": True},
    "one for all": {"n_heads": 4, "n_kv_heads": 1, "d_head": 16, "positions": "rotary"},
}


@cache
def make(case: str) -> Trace:
    return with_latent(**CASES[case])


def finished(poster: type[Poster], trace: Trace) -> Poster:
    """Return a poster as it is when it is finished."""
    size = {"pixel_width": 480, "pixel_height": 270, "frame_width": 8 * 16 / 9}
    quiet = {"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}
    with changed_config(quiet | size | {"frame_height": 8.0}):
        stage = poster(trace)
        stage.render()
    return stage


def drawn(trace: Trace, values: np.ndarray) -> np.ndarray:
    """Return the prompt's rows without the beginning token."""
    return values[int(trace.meta.has_bos) : trace.meta.n_prompt]


@pytest.mark.parametrize("case", CASES)
def test_every_poster_has_the_same_cards_in_the_same_shot(case: str) -> None:
    posters = [finished(poster, make(case)) for poster in ALL]
    assert len({poster.camera.shot for poster in posters}) == 1
    for poster in posters[1:]:
        for card, other in zip(poster.world.cards, posters[0].world.cards, strict=True):
            np.testing.assert_array_equal(card.pattern.points, other.pattern.points)


@pytest.mark.parametrize("case", CASES)
def test_keys_and_values_stand_once_for_each_set(case: str) -> None:
    trace = make(case)
    meta = trace.meta
    for poster in ALL[:3]:
        stage = finished(poster, trace)
        sets, world = stage.sets, stage.world
        expected = from_pooled_weights(trace, min(sets, meta.n_kv_heads))
        places = {plate.cells.corners.round(6).tobytes() for plate in world.keys}
        assert len(places) == sets
        for head, card in enumerate(world.cards):
            keys = drawn(trace, expected.k)[:, head * expected.k.shape[1] // meta.n_heads]
            np.testing.assert_allclose(world.keys[head].cells.values, keys, atol=2e-5)
            pattern = drawn(trace, drawn(trace, expected.pattern[head]).T).T
            np.testing.assert_allclose(card.pattern.values, pattern, atol=2e-5)
        (line,) = ("".join(line.text for line in words.line) for words in headlines(stage))
        assert f"{sets * (meta.d_qk + meta.d_v):,} numbers" in line


def headlines(stage: Poster) -> list[Headline]:
    return [mobject for mobject in stage.mobjects if isinstance(mobject, Headline)]


@pytest.mark.parametrize("case", ["grouped", "every head its own"])
def test_the_latent_stands_alone_and_patterns_are_computed_with_it(case: str) -> None:
    trace = make(case)
    layer = trace.meta.featured.layer
    stage = finished(LatentPoster, trace)
    latent = drawn(trace, trace.get("x", layer) @ trace[f"latent.{layer}.W_DKV"])
    np.testing.assert_allclose(stage.world.latent.cells.values, latent, atol=1e-5)
    heatmaps = [m for m in stage.visible_parts() if isinstance(m, Heatmap)]
    patterns = [card.pattern for card in stage.world.cards]
    assert {id(m) for m in heatmaps} == {id(m) for m in (*patterns, stage.world.latent.cells)}
    own = trace.get("pattern", layer)
    assert [p.source.quantity for p in patterns] == ["latent_pattern"] * len(own)
    assert not np.allclose(patterns[0].values, drawn(trace, drawn(trace, own[0]).T).T, atol=1e-4)
    check = PanelCheck(trace)
    assert [check.untrue(m) for m in heatmaps if check.untrue(m)] == []


def test_the_latent_poster_says_what_is_kept() -> None:
    shipped = Trace.load(SHIPPED)
    (line,) = ("".join(i.text for i in w.line) for w in headlines(finished(LatentPoster, shipped)))
    assert "one latent and a rotated key: 96 + 32 numbers per token" in line
    (line,) = (
        "".join(i.text for i in w.line) for w in headlines(finished(LatentPoster, make("grouped")))
    )
    assert "one latent: " in line


def test_a_latent_of_the_model_s_own_makes_its_own_patterns() -> None:
    trace = make_trace(n_heads=4, d_head=16, positions="rotary", mla=True)
    stage = finished(LatentPoster, trace)
    assert {card.pattern.source.quantity for card in stage.world.cards} == {""}
    assert "fitted" not in stage.provenance_notes()[0]


def test_what_nobody_trained_is_said() -> None:
    trace = make("grouped")
    notes = {poster: finished(poster, trace).provenance_notes()[0] for poster in ALL}
    assert "hypothetical" in notes[MultiHeadPoster]
    assert "without training" not in notes[GroupedQueryPoster]
    assert "without training" in notes[MultiQueryPoster]
    assert "fitted" in notes[LatentPoster]
    own = finished(MultiHeadPoster, make("every head its own"))
    assert "hypothetical" not in own.provenance_notes()[0]


def test_the_thumbnail_has_three_words_at_most() -> None:
    (picture,) = play(Thumbnail, make("grouped"))
    large = [item for item in picture.texts if item.height > 0.1 * 1080]
    assert 0 < len([word for item in large for word in item.text.split()]) <= 3
    # The others are numbers on cards.
    assert all(item.text.isdigit() for item in picture.texts if item not in large)


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
