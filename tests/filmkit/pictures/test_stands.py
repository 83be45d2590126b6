"""Pictures that stand in the room: arranged as flat ones are; and rows that stand up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from filmkit import Heatmap, Label, Shot, Stage
from filmkit.core.animations import presence
from filmkit.core.body import Body, Lamp
from filmkit.core.errors import SceneCodeError
from filmkit.pictures.parts import Matrix
from filmkit.pictures.rows import HIGH, StandingRow
from tests.support.mosaics import SIZES, perform, shows

MOSAIC, TALL = "Q × Kt = scores", "Q × Kt\n. = scores"
STANDS = "glass", "floor"


def corners_of(stage: Stage) -> dict[str, np.ndarray]:
    """Return the corners (4, 3) of the cells of each part."""
    parts = {name: part.pieces.get("cells") for name, part in stage.parts.items()}
    return {name: cells.whole.corners for name, cells in parts.items() if cells is not None}


def in_the_plane(corners: np.ndarray, stands: str) -> np.ndarray:
    """Return places (n, 2) of the flat picture, up to its place, for those of the room."""
    x, y, z = corners.T
    return np.stack([x, y if stands == "glass" else -z], axis=1)


@pytest.fixture(scope="module", params=SIZES)
def aspect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("stands", STANDS)
def test_it_is_arranged_as_the_flat_picture(stands: str, aspect: str) -> None:
    flat = corners_of(perform(shows(MOSAIC, tall=TALL), aspect=aspect))
    there = corners_of(perform(shows(MOSAIC, tall=TALL, stands=stands), aspect=aspect))
    assert there.keys() == flat.keys() == {"Q", "Kt", "scores"}
    shifts = [in_the_plane(there[name], stands) - flat[name][:, :2] for name in flat]
    np.testing.assert_allclose(shifts, np.broadcast_to(shifts[0][0], (3, 4, 2)), atol=1e-12)


def test_glass_stands_on_the_floor_and_is_mirrored_there() -> None:
    stage = perform(shows("Q K", stands="glass", bars="Q"))
    members = [m for part in stage.parts.values() for m in part.whole.get_family()]
    inked = [m for m in members if len(m.points) and not isinstance(m, Body)]
    assert min(m.points[:, 1].min() for m in inked) == pytest.approx(0.0)
    assert all(vars(m)["is_mirrored"] for m in members if len(m.points))
    cells = stage.parts["Q"].cells
    assert cells.box.y == pytest.approx(cells.whole.box.y) == pytest.approx(stage.parts["Q"].box.y)


def test_on_the_floor_all_is_flat_and_rows_go_away_from_the_eye() -> None:
    stage = perform(shows("Q K", stands="floor"))
    first, along, _opposite, down = stage.parts["Q"].cells.whole.corners
    assert (first[1], along[1], down[1]) == (0.0, 0.0, 0.0)
    assert along[0] > first[0]
    assert down[2] > first[2]


@pytest.mark.parametrize("stands", STANDS)
def test_all_of_it_is_seen(stands: str, aspect: str) -> None:
    stage = perform(shows(MOSAIC, tall=TALL, stands=stands), aspect=aspect)
    assert stage.camera.shot.phi > 0
    free = stage.frame.free
    members = [m for part in stage.parts.values() for m in part.whole.get_family()]
    points = np.concatenate([m.points for m in members if not isinstance(m, Body)])
    seen = stage.camera.shot.project(points, stage.frame.height)
    assert seen[:, 0].min() >= free.left - 1e-3
    assert seen[:, 0].max() <= free.right + 1e-3
    assert seen[:, 1].min() >= free.bottom - 1e-3
    assert seen[:, 1].max() <= free.top + 1e-3


WAYS = [*STANDS, "glass floor", "floor glass"]


@pytest.mark.parametrize("way", WAYS)
def test_there_and_back_is_the_same_flat_picture_to_the_bit(way: str, aspect: str) -> None:
    flat = shows(". Kt\nQ scores", headline=Label("said").move_to([0, 3, 0]))
    light = {"light": "scores"}
    room = [shows(". Kt\nQ scores", stands=how, **light) for how in way.split()]
    stage = perform(flat, *room, flat, aspect=aspect)
    np.testing.assert_array_equal(stage.pictures[-1], stage.pictures[0])
    assert (stage.pictures[1] != stage.pictures[0]).any()
    assert stage.camera.shot == Shot(height=stage.frame.height)
    assert not [m for m in stage.get_mobject_family_members() if isinstance(m, Body | Lamp)]
    # What has the same name has gone there.
    assert stage.played == [1] * len(stage.played)


@pytest.mark.parametrize("stands", STANDS)
def test_a_picture_in_the_room_does_not_depend_on_the_one_before(stands: str) -> None:
    acts = [shows("Q scores", stands=stands, light="Q"), shows("Q scores", stands=stands)]
    fresh = [perform(act).pictures[0] for act in acts]
    other = shows("K\nQ", stands=STANDS[stands == "glass"], light="K")
    stage = perform(other, acts[0], acts[1], acts[1], acts[0])
    for number, picture in zip((0, 1, 1, 0), stage.pictures[1:], strict=True):
        assert np.abs(picture - fresh[number]).max() <= 1
    assert stage.played[3] == 0


def test_a_matrix_turns_on_the_floor_and_on_glass() -> None:
    for stands in STANDS:
        turned = shows("Kt", stands=stands)
        fresh = perform(turned).pictures[0]
        for before in (shows("K"), shows("K", stands=stands), shows("K Kt", stands="floor")):
            assert np.abs(perform(before, turned).pictures[-1] - fresh).max() <= 1


def test_cells_are_filled_in_the_room() -> None:
    fresh = perform(shows("Q scores", stands="glass")).pictures[0]
    stage = perform(shows("Q scores", stands="glass", reveal="scores"))
    assert np.abs(stage.pictures[0] - fresh).max() <= 1


# Light


def test_each_panel_but_the_lit_one_is_dimmed_as_a_whole() -> None:
    stage = perform(shows("Q K", stands="glass", light="K"))
    parts = stage.camera.drawing_order(stage.mobjects)
    light = stage.camera.light_shares(parts)
    members = {name: part.whole.get_family() for name, part in stage.parts.items()}
    lit = {name: {light[m] for m in own if len(m.points)} for name, own in members.items()}
    assert lit["K"] == {1.0}
    (dimmed,) = lit["Q"]
    assert 0.1 < dimmed < 0.6
    dark = perform(shows("Q K", stands="glass")).pictures[0]
    assert stage.pictures[0].sum() < dark.sum()


def test_what_lies_on_a_pane_is_drawn_right_after_it() -> None:
    stage = perform(shows("Q K", stands="floor"))
    order = stage.camera.drawing_order(stage.mobjects)
    for part in stage.parts.values():
        start = order.index(part.pieces["pane"])
        members = {m for m in part.whole.get_family() if len(m.points)}
        assert {*order[start : start + len(members)]} == members


# What the map says


@pytest.mark.parametrize("stands", ["", *STANDS])
def test_boxes_of_the_map_are_where_the_cells_are_seen(stands: str) -> None:
    mosaic = (document := perform(shows("Q K", stands=stands)).document)["mosaic"]
    assert mosaic["stands"] == stands
    panels = {panel["part"]: np.array(panel["corners"]) for panel in document["panels"]}
    for part in mosaic["parts"]:
        corners = panels[part["name"]]
        np.testing.assert_allclose(part["box"], [*corners.min(axis=0), *corners.max(axis=0)])


# Mistakes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stands": "wall"}, "stands='wall'; choose 'glass', 'floor'"),
        ({"stands": "glass", "light": "scored"}, "light='scored' is no part of the mosaic"),
        ({"stands": "glass", "light": "Q scores"}, "there is one lamp"),
        ({"light": "Q"}, "give stands='glass' or stands='floor'"),
        ({"seat": "balcony"}, "give stands='glass' or stands='floor'"),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_line(options: dict[str, str], message: str) -> None:
    with pytest.raises(SceneCodeError, match=message) as caught:
        perform(shows("Q scores", **options))
    assert "\n" not in str(caught.value)


# Rows that stand up


def row_after(act: Callable[[Stage], None], name: str, number: int) -> tuple[Stage, StandingRow]:
    rows = []

    def stand(stage: Stage) -> None:
        rows.append(StandingRow(stage.parts[name], number))
        stage.play(rows[0].stand_up())

    return perform(act, stand), rows[0]


@pytest.mark.parametrize("stands", ["", *STANDS])
def test_bars_stand_over_their_cells_as_high_as_their_numbers(stands: str) -> None:
    stage, row = row_after(shows("Q", stands=stands), "Q", 3)
    (body,) = row.bodies
    cells = stage.parts["Q"].cells.whole
    np.testing.assert_array_equal(body.values, cells.values[3])
    bars = body.at(body.boxes[body.first :])
    np.testing.assert_allclose(
        bars.mean(axis=1)[:, 0], [cells.at(3.5, k + 0.5)[0] for k in range(cells.shape[1])]
    )
    heights = (bars[:, 1] - bars[:, 0])[:, 1]
    np.testing.assert_allclose(heights * body.unit, np.abs(cells.values[3]), atol=1e-12)
    assert body.unit * HIGH == pytest.approx(max(-cells.norm.vmin, cells.norm.vmax))
    width = cells.at(0, 1)[0] - cells.at(0, 0)[0]
    np.testing.assert_allclose((bars[:, 1] - bars[:, 0])[:, 0], 0.74 * width)
    assert body.source.index[0] == (cells.source.index[0][0] + 3, cells.source.index[0][0] + 4)
    if stands == "floor":
        assert body.at(body.boxes)[..., 1].min() == pytest.approx(0.0)
        assert bars[..., 2].mean() == pytest.approx(cells.at(3.5, 0)[2])
    else:
        zero = body.at(body.boxes[0, 0])  # where the line at zero begins, at its back
        np.testing.assert_allclose(zero, cells.at(3.5, 0), atol=1e-12)


def test_a_row_lies_down_again_and_nothing_is_left() -> None:
    rows: list[StandingRow] = []

    def act(stage: Stage) -> None:
        rows.append(StandingRow(stage.parts["Q"], 0))
        stage.play(rows[0].stand_up())
        assert presence(rows[0].bodies[0]) == 1.0
        stage.play(rows[0].lie_down())

    stage = perform(shows("Q", stands="floor"), act)
    np.testing.assert_array_equal(*stage.pictures)
    assert rows[0] not in stage.mobjects


def test_a_row_of_a_cut_matrix_is_on_one_zero_line() -> None:
    values = np.ones((3, 200))
    values[:, -1] = -2

    def make(stage: Stage) -> None:
        stage.part("long", Matrix(values, columns="many", kept=(30, 10)))
        stage.show("long", stands="floor")

    _stage, row = row_after(make, "long", 1)
    assert [len(body.values) for body in row.bodies] == [30, 10]
    first, last = (body.points[0, 1] for body in row.bodies)
    assert first == last > 0


def test_no_bar_of_a_row_on_glass_goes_below_the_floor() -> None:
    _stage, row = row_after(shows("Q K", stands="glass"), "Q", -1)
    (body,) = row.bodies
    assert body.values.min() < 0
    assert body.corners[:, 1].min() == pytest.approx(0.0)


def test_masked_cells_have_no_bar() -> None:
    stage, row = row_after(shows("pattern", stands="floor"), "pattern", 2)
    assert isinstance(stage.parts["pattern"].cells.whole, Heatmap)
    assert row.bodies[0].values[3:].tolist() == [0.0] * 6


@pytest.mark.parametrize(
    ("name", "number", "high", "message"),
    [("Q", 9, 1.0, "no row 9"), ("×", 0, 1.0, "has no cells"), ("Q", 0, 0.0, "no length")],
)
def test_rows_that_cannot_stand(name: str, number: int, high: float, message: str) -> None:
    def act(stage: Stage) -> None:
        StandingRow(stage.parts[name], number, high=high)

    with pytest.raises(SceneCodeError, match=message):
        perform(shows(MOSAIC, stands="glass"), act)
