"""Stills decode back into the trace through their maps."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from decoding import cell_size, wrong_cells
from latents import with_latent
from manim import Square, tempconfig

from extract.trace import Trace
from scenes import SCENES, SceneEntry
from scenes.camera import Shot, StageCamera
from scenes.engine.alt import KINDS, LONGEST, alt_text
from scenes.inventory import MAP_SCHEMA, picture_map
from scenes.mobjects.heatmap import Heatmap, Norm, Source
from scenes.mobjects.text import Label
from scenes.stage import BeatRecord, Stage

QUIET = {"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}
SIZE = {"pixel_width": 1920, "pixel_height": 1080, "frame_height": 8.0, "frame_width": 8 * 16 / 9}
NORM = Norm(-1.0, 1.0, "viridis")


def stills(entry: SceneEntry, trace: Trace) -> list[tuple[str, dict[str, Any], npt.NDArray]]:
    found = []

    def take(record: BeatRecord, stage: Stage) -> None:
        found.append((record.name, picture_map(stage.mobjects, stage.camera), stage.snapshot()))

    with tempconfig(QUIET | SIZE):
        entry.load()(trace, on_beat_end=take).render()
    return found


@pytest.mark.parametrize("entry", SCENES, ids=lambda entry: entry.slug)
def test_stills_decode_into_the_trace(entry: SceneEntry) -> None:
    trace = with_latent(
        n_heads=6, n_kv_heads=2, d_head=16, positions="rotary", n_generated=3, n_layers=3
    )
    cells = 0
    for name, document, picture in stills(entry, trace):
        for panel in document["panels"]:
            assert panel["tensor"] or panel["expression"], (name, panel)
            spans = [stop - start for start, stop in filter(np.iterable, panel["index"])]
            if panel["axes"]:
                assert len(panel["axes"]) == len(panel["index"]), (name, panel)
            if panel["index"]:
                spans = [1] * (2 - len(spans)) + spans
                assert panel["shape"] == spans[:: -1 if panel["transposed"] else 1], (name, panel)
            if not panel["tensor"] or panel["covered"] or panel["opacity"] < 1:
                continue
            # A cell needs a pixel of its own to be read.
            if cell_size(panel) < 2:
                continue
            wrong, read = wrong_cells(panel, trace, picture)
            assert wrong == 0, (name, panel["tensor"], f"{wrong} of {read} cells")
            cells += read
        check_alt_text(name, document)
    assert cells > 0 or not entry.load().tensors


def check_alt_text(name: str, document: dict[str, Any]) -> None:
    alt = alt_text(document)
    assert len(alt) <= LONGEST, name
    assert re.match("Heatmaps|A drawing", alt), (name, alt)
    assert not re.search(r"[{}\n]|None|^\s|\s$|\.\.", alt), (name, alt)
    for panel in document["panels"]:
        kind = KINDS.get((panel["tensor"] or "").split(".")[0])
        assert kind is None or "And more." in alt or kind.name.lower() in alt.lower(), (
            name,
            kind,
            alt,
        )


def document_of(*mobjects: Any, shot: Shot | None = None) -> dict[str, Any]:
    with tempconfig(SIZE):
        camera = StageCamera()
        camera.shot = shot or Shot()
        return picture_map(mobjects, camera)


def panel() -> Heatmap:
    return Heatmap(np.zeros((2, 3)), NORM, width=6, height=4, source=Source("x.0"))


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
    assert entry["masked"] == [[0, 2]]
    assert entry["hidden"] == [[1, 0]]
    assert (entry["tensor"], entry["shape"]) == ("x.0", [2, 3])
    assert (entry["cmap"], entry["vmin"], entry["vmax"]) == ("viridis", -1.0, 1.0)


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


def test_the_map_does_not_disturb_the_picture() -> None:
    heatmap, square = panel(), Square(fill_opacity=1.0)
    with tempconfig(SIZE):
        camera = StageCamera()
        camera.capture_mobjects([heatmap, square])
        before = camera.pixel_array.copy()
        picture_map([heatmap, square], camera)
        np.testing.assert_array_equal(camera.pixel_array, before)
        camera.reset()
        camera.capture_mobjects([heatmap, square])
        np.testing.assert_array_equal(camera.pixel_array, before)
