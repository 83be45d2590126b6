"""What the map of a picture says of bodies is what is drawn, and bars are read back from stills."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from manim import Mobject, Square

from extract.trace import Trace
from filmkit.core.animations import set_presence
from filmkit.core.body import Body, Lamp, light_on, put
from filmkit.core.camera import Shot
from filmkit.core.heatmap import Heatmap
from filmkit.core.light import LitCamera
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.picture_map import picture_map, texts_on
from filmkit.core.theme import use_theme
from filmkit.pictures.bodies import Bars, Relief, Slab
from filmkit.render.manim_config import manim_config
from filmkit.render.quality import Quality
from tests.support.checkout import SHIPPED
from tests.support.decoding import heights_of, wrong_cells
from tests.support.traces import make_trace

FULL_HD = Quality(1920, 1080, 30)
SEATS = {
    "mix": Shot.looking((-1.2, 2.6, 5.2), (-0.1, 0.75, -0.7), 1.2),
    "level": Shot.looking((0.9, 1.2, 7.0), (0, 1, 0), 1.3),
    "above": Shot.looking((-2.2, 4.2, 5.6), (0, 0.7, -0.4), 1.3),
    "left": Shot.looking((-5, 2, 3), (0, 0.6, -1), 1.2),
    "behind": Shot.looking((2, 3, -8), (0, 0.6, -1), 1.2),
    "low": Shot.looking((1, 0.3, 6), (0, 1, 0), 1.2),
    "bird": Shot.looking((0.9, 7.4, 4.6), (0, 0, -0.4), 1.2),
}
LEAST_READ = 0.3
"""Share of all bars of some rows that can be read from all seats together, at least."""


def seen(
    *parts: Mobject, shot: Shot, theme: str = "dark", values: bool = False
) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
    """Return a still of parts and its map, as a file holds it."""
    with manim_config(FULL_HD), use_theme(theme) as current:
        camera = LitCamera(background_color=current.background)
        camera.lit, camera.shot = theme == "dark", shot
        camera.capture_mobjects(parts)
        picture = camera.pixel_array.copy()
        document = picture_map(parts, camera, values=values)
    found: dict[str, Any] = json.loads(json.dumps(document))
    return picture, found


def rows(matrix: npt.NDArray[np.float64], theme: str) -> list[Body]:
    """Return a relief for each row, one behind the other."""
    with use_theme(theme):
        unit = Relief.unit_of(matrix)
        return [
            Relief(row, role="value", unit=unit, width=4.0, told=str(number)).put(
                (0, 1, number - len(matrix))
            )
            for number, row in enumerate(matrix)
        ]


def shipped_rows() -> npt.NDArray[np.float64]:
    trace = Trace.load(SHIPPED)
    return trace["v.11"][2:6, 1].astype(np.float64)


def held_out_rows() -> npt.NDArray[np.float64]:
    trace = make_trace(n_heads=2, d_head=24, seed=7)
    return trace["v.1"][3:6, 1].astype(np.float64)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("matrix", [shipped_rows(), held_out_rows()], ids=["shipped", "held-out"])
def test_bars_are_read_back_from_stills(matrix: npt.NDArray[np.float64], theme: str) -> None:
    read = 0
    for seat, shot in SEATS.items():
        reliefs = rows(matrix, theme)
        lamps = [Lamp(reliefs[1])] if theme == "dark" else []
        picture, document = seen(*reliefs, *lamps, shot=shot, theme=theme)
        for body in document["bodies"]:
            bars, truth = body["bars"], matrix[int(body["words"])]
            full = np.where(truth[:, None] < 0, bars["minus"], bars["plus"])
            pixels = np.linalg.norm(full - bars["foot"], axis=1)
            allowed = np.maximum(0.02 * bars["scale"], bars["scale"] / pixels)
            off = np.abs(heights_of(picture, body) - truth)
            told = np.setdiff1d(np.arange(len(truth)), bars["unread"])
            wrong = told[off[told] > allowed[told]]
            assert not len(wrong), (seat, body["words"], wrong, off[wrong], allowed[wrong])
            read += len(told)
    assert read > LEAST_READ * matrix.size * len(SEATS)


def test_bars_in_front_are_read_nearly_all() -> None:
    matrix = held_out_rows()[:1]
    for seat in ("mix", "above", "bird"):
        _picture, document = seen(*rows(matrix, "dark"), shot=SEATS[seat])
        (body,) = document["bodies"]
        assert len(body["bars"]["unread"]) <= 0.1 * matrix.size, seat


def test_a_bar_of_another_length_than_its_number_is_read_as_it_is_drawn() -> None:
    (relief,) = rows(held_out_rows()[:1], "dark")
    assert relief.values is not None
    longest = int(np.abs(relief.values).argmax())
    relief.boxes[relief.first + longest, :, 1] *= 0.5
    picture, document = seen(relief, shot=SEATS["mix"])
    (body,) = document["bodies"]
    assert longest not in body["bars"]["unread"]
    read = heights_of(picture, body)[longest]
    assert read == pytest.approx(relief.values[longest] / 2, abs=0.02 * body["bars"]["scale"])


def test_bars_that_cannot_be_read_are_named() -> None:
    shot = Shot.looking((0, 1.4, 6), (0, 1, 0), 1.2)
    values = np.array([1.0, -1.0, 0.7, 0.5])

    def unread(*others: Mobject, shot: Shot = shot, width: float = 2.0) -> list[int]:
        relief = Relief(values, role="key", width=width).put((0, 1, 0))
        _picture, document = seen(relief, *others, shot=shot)
        (bars,) = (body["bars"] for body in document["bodies"] if body["bars"])
        return [*bars["unread"]]

    assert unread() == []
    assert unread(width=0.02) == [0, 1, 2, 3]
    post = Body([[(-0.1, 0, 1), (0.1, 3, 1.1)]], "#00ff00").put((-0.6, 0, 0))
    assert unread(post) == [0]
    # Of a row behind in the same colour, bars stand behind ends.
    behind = Body([[(-1, 0, -1), (0, 3, -0.9)]], "#ffffff")
    behind.colours[:] = Relief(values, role="key").colours[1]
    assert 0 in unread(behind)
    assert 3 not in unread(behind)
    # The frame ends over the left half.
    assert unread(shot=Shot.looking((1.55, 1.4, 2), (1.55, 1, 0), 1.2)) == [0, 1]
    faint = set_presence(Relief(values, role="key").put((0, 1, 0)), 0.5)
    assert seen(faint, shot=shot)[1]["bodies"][0]["bars"]["unread"] == [0, 1, 2, 3]


def test_the_map_says_what_bodies_are_and_how_much_light_they_have() -> None:
    lit, far = Slab("white", role="query").put((0, 0, 0)), Slab("red", role="key").put((2, 0, -2))
    lamp, source = Lamp(lit), TensorSource("q.3", index=((2, 3), 1, (0, 4)))
    row = lit.engrave([0.5, -2.0, 1.0, 0.25], role="query", source=source)
    shot = Shot.looking((0, 2, 6), (0, 0.5, 0))
    _picture, document = seen(lit, far, lamp, shot=shot, values=True)
    entries = {(entry["kind"], entry["words"]): entry for entry in document["bodies"]}
    assert set(entries) == {("slab", "white"), ("slab", "red"), ("relief", "white")}
    white, red = entries["slab", "white"], entries["slab", "red"]
    assert (white["light"], white["count"], white["largest"]) == (1.0, 0, None)
    assert red["light"] == pytest.approx(light_on(far, [lamp]))
    assert red["light"] < 0.6
    engraved = entries["relief", "white"]
    assert (engraved["tensor"], engraved["index"]) == ("q.3", [[2, 3], 1, [0, 4]])
    assert (engraved["count"], engraved["largest"], engraved["light"]) == (4, -2.0, 1.0)
    assert engraved["values"] == row.values.tolist()
    assert not any(entry["cropped"] for entry in entries.values())


def test_what_lies_on_a_body_does_not_cover_it_and_what_stands_before_it_does() -> None:
    shot = Shot.looking((0, 1, 6), (0, 0.5, 0))

    def covered(*others: Mobject) -> bool:
        return bool(seen(Slab("white"), *others, shot=shot)[1]["bodies"][0]["covered"])

    assert not covered()
    assert covered(Square(0.3, fill_opacity=1).move_to((0, 0.4, 1)))
    assert not covered(Square(0.3, fill_opacity=1).move_to((2, 0.4, 1)))


def test_a_panel_on_a_body_is_dimmed_by_the_share_that_its_map_gives() -> None:
    values = make_trace(n_heads=2, d_head=8)["v.1"][1:4, 1].astype(np.float64)
    slab = Slab("", width=3, height=1.4).put((0, 0, -1.4))
    cells = Heatmap(values, Norm.symmetric(values, role="value"), width=2.4)
    cells.source = TensorSource("v.1", index=((1, 4), 1, (0, 8)))
    put(cells, slab, (0, 0.7, 0.1), (1, 0, 0), (0, 1, 0))
    shot = Shot.looking((0.6, 1, 4), (0, 0.6, -1))
    picture, document = seen(slab, Lamp((0, 0, 0.2)), shot=shot)
    (panel,) = document["panels"]
    (body,) = document["bodies"]
    assert panel["opacity"] == pytest.approx(np.sqrt(body["light"]))
    assert 0.4 < panel["opacity"] < 0.95
    # Under the cells is the slab's own face.
    (x, y), (_width, height) = np.mean(panel["corners"], axis=0), np.ptp(panel["corners"], axis=0)
    face = "#" + "".join(f"{level:02x}" for level in picture[int(y - 0.62 * height), int(x), :3])
    trace = make_trace(n_heads=2, d_head=8)
    assert wrong_cells(panel, document["colour_maps"], trace, picture, backing=face) == (0, 24)


def test_words_on_a_cropped_body_are_told_and_slanted_ones_have_the_outline_of_their_letters() -> (
    None
):
    whole, cropped = Slab("white").put((0, 0, 0), turn=30), Slab("red").put((-2.4, 0, 2))
    with manim_config(FULL_HD):
        camera = LitCamera()
        camera.shot = Shot.looking((1, 2, 6), (0, 0.5, 0))
        words = {text.text: text for text in texts_on([whole, cropped], camera)}
    assert not words["white"].cropped
    assert words["red"].cropped
    box, outline = words["white"].box, words["white"].outline
    x, y = outline.T
    area = abs(np.sum(x * np.roll(y, 1) - y * np.roll(x, 1))) / 2
    assert area < 0.9 * box.width * box.height


def test_bars_on_slabs_know_their_words() -> None:
    slabs = [Slab(word).put((1.4 * number, 0, 0)) for number, word in enumerate(("a", "b"))]
    shot = Shot.looking((0, 2, 8), (0.7, 0.8, 0))
    _picture, document = seen(*slabs, Bars([1.0, 0.5], on=slabs, role="scores"), shot=shot)
    bars = [(each["words"], each["largest"]) for each in document["bodies"] if each["bars"]]
    assert sorted(bars) == [("a", 1.0), ("b", 0.5)]
