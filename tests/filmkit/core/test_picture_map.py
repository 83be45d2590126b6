"""Stills, and frames of the mp4, decode back into the trace through their maps."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from manim import Mobject, Polygon, Square

from extract.trace import Trace
from filmkit.commands.cli import main
from filmkit.core.animations import set_presence
from filmkit.core.beat_records import BeatRecord
from filmkit.core.camera import Shot, StageCamera
from filmkit.core.heatmap import Heatmap
from filmkit.core.light import LitCamera, glow, mirrored
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.picture_map import MAP_SCHEMA, picture_map
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage, StageSettings
from filmkit.core.text import Label
from filmkit.core.theme import use_theme
from filmkit.core.theme_names import PALETTES, THEMES
from filmkit.render.manim_config import changed_config
from filmkit.render.movie import MP4_MASTER, open_movie
from filmkit.render.quality import Quality
from filmkit.words.alt import MAX_LENGTH, TENSOR_KINDS, alt_text
from scenes.registry import SCENES
from tests.support.checkout import SHIPPED
from tests.support.decoding import cell_size, level_errors, wrong_cells
from tests.support.latents import with_latent

QUIET = {"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}
FULL_HD = (1920, 1080, 30)
SIZE = {"pixel_width": 1920, "pixel_height": 1080, "frame_height": 8.0, "frame_width": 8 * 16 / 9}
NORM = Norm(-1.0, 1.0, "viridis")

# Every scene in the default palette and in one of the others, in turn: what a palette makes of a
# panel does not depend on the scene.
PLAYED = [
    pytest.param(
        (entry, palette),
        id=f"{entry.slug}-{palette}",
        marks=[] if palette == PALETTES[0] else pytest.mark.slow,
    )
    for number, entry in enumerate(SCENES)
    for palette in (PALETTES[0], PALETTES[1 + number % (len(PALETTES) - 1)])
]

# Its picture needs a conversion, which no made-up trace holds.
CONVERTED = "scene_rotation"

# A film of --master may change cells of so many pixels at least by so many colour levels at most.
FILMED_CELL = 8
FILMED_LEVELS = 6
# A beat that ends with panels at full strength that nothing covers.
FILMED = "complete_circuit"


Beat = tuple[str, dict[str, Any], npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class PlayedScene:
    """A scene and, for each beat, its name, its map and its last picture."""

    entry: SceneEntry
    trace: Trace
    beats: list[Beat]


@pytest.fixture(scope="module")
def trace() -> Trace:
    return with_latent(
        n_heads=6, n_kv_heads=2, d_head=16, positions="rotary", n_generated=3, n_layers=3
    )


@pytest.fixture(scope="module", params=PLAYED)
def played(request: pytest.FixtureRequest, trace: Trace) -> PlayedScene:
    entry, palette = request.param
    shown = Trace.load(SHIPPED) if entry.slug == CONVERTED else trace
    beats: list[Beat] = []

    def take(record: BeatRecord, stage: Stage) -> None:
        document = picture_map(stage.with_notes(), stage.camera, stage.mosaic_on_screen())
        beats.append((record.name, document, stage.snapshot(notes=True)))

    with changed_config(QUIET | SIZE):
        entry.load()(shown, StageSettings(palette=palette), on_beat_end=take).render()
    return PlayedScene(entry, shown, beats)


def readable(document: dict[str, Any], min_cell: float) -> Iterator[dict[str, Any]]:
    """Yield the panels of tensors that nothing covers, with cells of a minimum size in pixels."""
    for panel in document["panels"]:
        uncovered = panel["opacity"] == 1 and not panel["covered"]
        if panel["tensor"] and uncovered and cell_size(panel) >= min_cell:
            yield panel


def test_stills_decode_into_the_trace(played: PlayedScene) -> None:
    cells = 0
    for name, document, picture in played.beats:
        for panel in document["panels"]:
            check_source(name, panel)
        # A cell needs a pixel of its own to be read, beside those that soft edges take.
        for panel in readable(document, min_cell=3):
            wrong, read = wrong_cells(panel, document["colour_maps"], played.trace, picture)
            assert wrong == 0, (name, panel["tensor"], f"{wrong} of {read} cells")
            cells += read
        check_alt_text(name, document)
    panels = [p for _name, document, _picture in played.beats for p in document["panels"]]
    assert cells > 0 or not any(panel["tensor"] for panel in panels)


def check_source(name: str, panel: dict[str, Any]) -> None:
    assert panel["tensor"] or panel["expression"], (name, panel)
    spans = [stop - start for start, stop in filter(np.iterable, panel["index"])]
    if panel["axes"]:
        assert len(panel["axes"]) == len(panel["index"]), (name, panel)
    if panel["index"]:
        spans = [1] * (2 - len(spans)) + spans
        assert panel["shape"] == spans[:: -1 if panel["transposed"] else 1], (name, panel)


def check_alt_text(name: str, document: dict[str, Any]) -> None:
    alt = alt_text(document)
    assert len(alt) <= MAX_LENGTH, name
    assert re.match("Heatmaps|A drawing", alt), (name, alt)
    assert not re.search(r"[{}\n]|None|^\s|\s$|\.\.", alt), (name, alt)
    for panel in document["panels"]:
        kind = TENSOR_KINDS.get((panel["tensor"] or "").split(".")[0])
        assert kind is None or "And more." in alt or kind.name.lower() in alt.lower(), (
            name,
            kind,
            alt,
        )


def frames_of(path: Path) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the pictures of a film as a player that respects its colour tags shows them."""
    with av.open(path) as film:
        for frame in film.decode(video=0):
            yield frame.to_ndarray(format="rgb24", src_colorspace="ITU709")


def errors_of(
    document: dict[str, Any], trace: Trace, picture: npt.NDArray[np.uint8]
) -> npt.NDArray[np.intp]:
    """Return the error of each readable cell of a frame, (n,), in colour levels."""
    panels = readable(document, FILMED_CELL)
    return np.concatenate(
        [
            np.zeros(0, int),
            *(level_errors(panel, document["colour_maps"], trace, picture) for panel in panels),
        ]
    )


def test_frames_of_a_master_decode_into_the_trace(played: PlayedScene, tmp_path: Path) -> None:
    beats = [beat for beat in played.beats if errors_of(beat[1], played.trace, beat[2]).size]
    if not beats:
        pytest.skip("no beat ends with a tensor in cells that large")
    held = 8  # frames: a third of the shortest tail of a beat
    with open_movie(tmp_path / "film.mp4", Quality(*FULL_HD), MP4_MASTER) as movie:
        for _, _, picture in beats:
            movie.write(picture, held)
    off = [
        int(errors_of(beats[i // held][1], played.trace, picture).max())
        for i, picture in enumerate(frames_of(tmp_path / "film.mp4"))
    ]
    assert len(off) == held * len(beats)
    worst = {beats[i // held][0]: levels for i, levels in enumerate(off) if levels > FILMED_LEVELS}
    assert worst == {}


@pytest.mark.slow
def test_films_of_the_command_line_decode_into_the_trace(
    trace: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trace.save(tmp_path / "made-up.safetensors")
    for wanted in ("--still", "--master --beat"):
        with pytest.raises(SystemExit) as end:
            main(
                f"scene_attention {wanted} {FILMED} --trace made-up.safetensors --no-cache".split()
            )
        assert end.value.code == 0
    beside = Path("videos/scene_attention")
    (still,), (film,) = beside.glob("*.json"), beside.glob("*.mp4")
    document = json.loads(still.read_text())
    *_, last = frames_of(film)
    errors = errors_of(document, trace, last)
    assert len(errors) > 50
    assert errors.max() <= FILMED_LEVELS


def document_of(*mobjects: Any, shot: Shot | None = None) -> dict[str, Any]:
    with changed_config(SIZE):
        camera = StageCamera()
        camera.shot = shot or Shot()
        return picture_map(mobjects, camera)


def panel() -> Heatmap:
    return Heatmap(np.zeros((2, 3)), NORM, width=6, height=4, source=TensorSource("x.0"))


def test_the_map_says_where_a_panel_is_and_what_it_shows() -> None:
    heatmap = panel().set_masked([[0, 0, 1], [0, 0, 0]])
    heatmap.set_shown([[1, 1, 1], [0, 1, 1]])
    document = document_of(heatmap)
    assert document["schema"] == MAP_SCHEMA
    assert document["frame"] == [1920, 1080]
    (entry,) = document["panels"]
    np.testing.assert_allclose(
        entry["corners"], [[555, 270], [1365, 270], [1365, 810], [555, 810]], atol=1e-6
    )
    assert entry["masked"] == [[0, 2], [1, 0]]
    assert entry["hidden"] == [[1, 0]]
    assert (entry["tensor"], entry["shape"]) == ("x.0", [2, 3])
    assert (entry["cmap"], entry["vmin"], entry["vmax"]) == ("viridis", -1.0, 1.0)
    assert (entry["norm"], entry["linear_width"]) == ("linear", None)
    colours = document["colour_maps"]["viridis"]
    assert (len(colours), colours[0], colours[-1]) == (256, "#440154", "#fde725")


def test_limits_that_numpy_computed_can_be_written() -> None:
    limits = np.float32([-1.5, 1.5])
    document = document_of(Heatmap([[1.0]], Norm(*limits, "viridis")))
    assert json.loads(json.dumps(document))["panels"][0]["vmax"] == 1.5


def test_the_map_says_how_a_scale_is_stretched() -> None:
    values = np.random.default_rng(0).standard_cauchy((5, 8))
    norm = Norm.stretched(values)
    (entry,) = document_of(Heatmap(values, norm))["panels"]
    assert (entry["vmin"], entry["vmax"]) == (norm.vmin, norm.vmax)
    assert (entry["norm"], entry["linear_width"]) == ("asinh", norm.linear_width)
    # What a JSON file holds of it is all that is needed to read the picture.
    assert json.loads(json.dumps(entry)) == entry


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("palette", PALETTES)
def test_a_stretched_panel_decodes_through_its_map_and_not_as_a_linear_one(
    trace: Trace, palette: str, theme: str
) -> None:
    values = trace["x.1"][1:4, :12].astype(np.float64)
    source = TensorSource("x.1", index=((1, 4), (0, 12)))
    with changed_config(SIZE), use_theme(theme, palette):
        norm = Norm.stretched(values, percentile=90, role="query")
        camera = StageCamera()
        heatmap = Heatmap(values, norm, width=12, source=source)
        camera.capture_mobjects([heatmap])
        picture = np.array(camera.pixel_array)
        document = picture_map([heatmap], camera)
    (entry,), maps = document["panels"], document["colour_maps"]
    assert wrong_cells(entry, maps, trace, picture) == (0, 36)
    # Two levels of a light tint may have one colour.
    assert level_errors(entry, maps, trace, picture).max() <= 2
    linear = entry | {"norm": "linear", "linear_width": None}
    assert wrong_cells(linear, maps, trace, picture)[0] > 18
    # matplotlib's formula, from the fields of the map alone, gives the same colours.
    width, limit = entry["linear_width"], entry["vmax"]
    places = (
        np.arcsinh(np.clip(values, -limit, limit) / width) / np.arcsinh(limit / width) + 1
    ) / 2
    np.testing.assert_array_equal(np.rint(places * 255), norm.levels(values))


def test_scenes_show_what_is_learnt_stretched_and_scores_and_patterns_linear(
    played: PlayedScene,
) -> None:
    kinds = {"x", "q", "q_rot", "k", "k_rot", "v", "z", "out", "kv_latent", "latent"}
    for name, document, _ in played.beats:
        for entry in document["panels"]:
            kind = (entry["tensor"] or "").split(".")[0]
            if kind in ("pattern", "scores"):
                assert entry["norm"] == "linear", (name, entry)
            elif kind in kinds:
                assert entry["norm"] == "asinh", (name, entry)
                assert entry["linear_width"] == pytest.approx(0.05 * entry["vmax"]), (name, entry)


def test_what_is_drawn_later_covers_and_what_surrounds_does_not() -> None:
    heatmap = panel()
    inside = Square(0.2, fill_opacity=1.0)
    around = Square(9.0, fill_opacity=0.0)
    assert document_of(heatmap)["panels"][0]["covered"] is False
    assert document_of(heatmap, inside)["panels"][0]["covered"] is True
    assert document_of(inside, heatmap)["panels"][0]["covered"] is False
    assert document_of(heatmap, around)["panels"][0]["covered"] is False
    below, above = document_of(panel(), panel().shift([1, 0, 0]))["panels"]
    assert (below["covered"], above["covered"]) == (True, False)


def test_texts_have_the_box_of_their_ink() -> None:
    label = Label("flag").on_line(0, 0)
    (entry,) = document_of(label)["texts"]
    left, top, right, bottom = entry["box"]
    assert entry["text"] == "flag"
    assert left < 960 < right
    assert top < 540 < bottom
    assert entry["height"] == pytest.approx(label.size * 1080)


def test_panels_in_full_and_in_half_light_decode_with_halos_and_mirror(trace: Trace) -> None:
    values = trace["x.1"][1:4, :12].astype(np.float64)
    source = TensorSource("x.1", index=((1, 4), (0, 12)))
    corners = np.array([[-3.0, 2.6, 0.0], [3.0, 2.6, 0.0], [3.0, 0.6, 0.0], [-3.0, 0.6, 0.0]])
    with changed_config(SIZE), use_theme() as theme:
        parts: list[Mobject] = []
        for place, presence in (([-3.4, 0.0, 0.0], 1.0), ([3.4, 0.0, -1.0], 0.35)):
            cells = Heatmap(values, Norm.symmetric(values, role="key"), source=source)
            cells.set_corners(corners + place)
            body = Polygon(*(1.1 * corners + place), fill_color=theme.card, fill_opacity=1.0)
            parts += [mirrored(body), set_presence(glow(mirrored(cells), 2.0), presence)]
        camera = LitCamera(background_color=theme.background)
        camera.shot = Shot(center=(0, 1, 0), height=9, theta=10, phi=20)
        camera.capture_mobjects(parts)
        picture = np.array(camera.pixel_array)
        document = picture_map(parts, camera)
    # Neither the mirror nor the halos are panels.
    full, half = document["panels"]
    assert (full["opacity"], half["opacity"]) == (1.0, 0.35)
    assert (full["covered"], half["covered"]) == (False, False)
    maps = document["colour_maps"]
    assert wrong_cells(full, maps, trace, picture) == (0, 36)
    assert wrong_cells(half, maps, trace, picture, backing=theme.card) == (0, 36)
    assert wrong_cells(half, maps, trace, picture, backing=theme.muted)[0] == 36


def test_the_map_does_not_disturb_the_picture() -> None:
    heatmap, square = panel(), Square(fill_opacity=1.0)
    with changed_config(SIZE):
        camera = StageCamera()
        camera.capture_mobjects([heatmap, square])
        before = camera.pixel_array.copy()
        picture_map([heatmap, square], camera)
        np.testing.assert_array_equal(camera.pixel_array, before)
        camera.reset()
        camera.capture_mobjects([heatmap, square])
        np.testing.assert_array_equal(camera.pixel_array, before)
