"""Animations: how they end, and that making one changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from manim import Animation, Mobject, Square

from filmkit.core.animations import (
    Appear,
    Arrive,
    Glide,
    MoveCamera,
    Presence,
    Recolour,
    Reveal,
    Rise,
    Settle,
    ShowCells,
    SweepRows,
    Transpose,
    Vanish,
    in_diagonals,
    in_rows,
    presence,
)
from filmkit.core.camera import Shot, StageCamera
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm
from filmkit.core.view import LayerView, rotary_pairs
from filmkit.mobjects.flow import Draw, Wire
from filmkit.mobjects.marks import Dial, RotateRow
from tests.support.traces import make_trace

NORM = Norm(-1.0, 1.0, "viridis")
BOX = Box(2.0, 1.0, 3.0, 0.5)


def heatmap(rows: int = 2, columns: int = 3) -> Heatmap:
    values = np.linspace(-1, 1, rows * columns).reshape(rows, columns)
    return Heatmap(values, NORM, width=3, height=2)


def run(animation: Animation, *alphas: float) -> None:
    animation.begin()
    for alpha in alphas:
        animation.interpolate(alpha)
    animation.finish()


def state(mobject: Mobject) -> list[npt.NDArray[np.float64]]:
    arrays = []
    for member in mobject.get_family():
        arrays += [member.points.copy(), np.array([presence(member)])]
        if isinstance(member, Heatmap):
            arrays += [member.values.copy(), member.shown.copy(), member.masked.copy()]
    return arrays


MAKERS: dict[str, Callable[[Mobject], Animation]] = {
    "appear": Appear,
    "vanish": Vanish,
    "presence": lambda m: Presence(m, 0.2),
    "settle": lambda m: Settle(m, BOX),
    "transpose": lambda m: Transpose(m, BOX),
    "reveal": lambda m: Reveal(m, in_rows(m.shape)),
    "show cells": lambda m: ShowCells(m, 0.2),
    "recolour": lambda m: Recolour(m, values=np.zeros(m.shape), masked=np.ones(m.shape)),
    "glide": lambda m: Glide(m, m.copy().shift([1, 0, 0])),
    "arrive": lambda m: Arrive(m, m.copy().shift([1, 0, 0])),
    "rise": Rise,
    "turn": lambda m: RotateRow(m, m.values, np.array([[0, 1]])),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_making_an_animation_changes_nothing(make: Callable[[Mobject], Animation]) -> None:
    subject = heatmap()
    before = state(subject)
    make(subject)
    for old, new in zip(before, state(subject), strict=True):
        np.testing.assert_array_equal(old, new)


def test_what_arrives_begins_at_its_origin_and_ends_in_its_place() -> None:
    subject = Square()
    home, origin = subject.points.copy(), subject.copy().scale(0.5).shift([2, 0, 0])
    motion = Arrive(subject, origin)
    motion.begin()
    np.testing.assert_allclose(subject.points, origin.points)
    motion.finish()
    np.testing.assert_allclose(subject.points, home)


def test_a_transpose_ends_as_the_transposed_matrix_in_its_box() -> None:
    subject = heatmap(2, 3)
    values = subject.values.copy()
    run(Transpose(subject, BOX), 0.3, 0.9)
    np.testing.assert_array_equal(subject.values, values.T)
    np.testing.assert_allclose(subject.points, heatmap(3, 2).place(BOX).points)


def test_a_transpose_does_not_jump_when_it_lands() -> None:
    subject = heatmap(2, 3)
    motion = Transpose(subject, BOX, rate_func=lambda alpha: alpha)
    motion.begin()
    motion.interpolate(1 - 1e-7)
    late = {(r, c): subject.at(r + 0.5, c + 0.5) for r in range(2) for c in range(3)}
    motion.finish()
    for (row, column), point in late.items():
        np.testing.assert_allclose(point, subject.at(column + 0.5, row + 0.5), atol=1e-5)


@pytest.mark.parametrize("style", ["half", "interleaved"])
def test_turning_rows_begins_and_ends_at_the_models_numbers(style: str) -> None:
    trace = make_trace(positions="rotary", d_head=8, rotary_style=style)
    view = LayerView.of_prompt(trace, None, show_first_token=True).head(None)
    row = Heatmap(view.q[4], NORM, width=1, height=1)
    dial = Dial(0.1)
    motion = RotateRow(row, view.q_used[4], rotary_pairs(trace), dial, rate_func=lambda a: a)
    motion.begin()
    motion.interpolate(0.5)
    # A rotation keeps every length, half way too.
    np.testing.assert_allclose(np.linalg.norm(row.values), np.linalg.norm(view.q[4]), rtol=1e-5)
    motion.finish()
    np.testing.assert_array_equal(row.values[0], view.q_used[4])
    # The first pair of a rotary model turns by one radian a position.
    turned = (dial.angle - 4.0 + np.pi) % (2 * np.pi) - np.pi
    assert turned == pytest.approx(0, abs=1e-3)


def test_cells_are_revealed_row_by_row() -> None:
    subject = heatmap(4, 2).set_shown(0)
    motion = Reveal(subject, in_rows((4, 2)), rate_func=lambda alpha: alpha)
    motion.begin()
    motion.interpolate(0.5)
    assert subject.shown[0].all()
    assert not subject.shown[3].any()
    motion.finish()
    assert (subject.shown == 1).all()


def test_cells_show_more_or_less_all_together() -> None:
    subject = heatmap(2, 2).set_shown([[0, 0.5], [0.5, 1]])
    motion = ShowCells(subject, [[0.5], [0]], rate_func=lambda alpha: alpha)
    motion.begin()
    motion.interpolate(0.5)
    np.testing.assert_allclose(subject.shown, [[0.25, 0.5], [0.25, 0.5]])
    motion.finish()
    np.testing.assert_array_equal(subject.shown, [[0.5, 0.5], [0, 0]])


def test_cells_that_are_not_named_stay_as_they_are() -> None:
    subject = heatmap(2, 2).set_shown([[0, 0.5], [0, 1]])
    run(Reveal(subject, [[0.5, np.nan], [np.nan, np.nan]]))
    np.testing.assert_array_equal(subject.shown, [[1, 0.5], [0, 1]])


@pytest.mark.parametrize("when", [in_rows, in_diagonals])
def test_orders_of_revealing_start_at_the_first_cell(
    when: Callable[[tuple[int, int]], npt.NDArray[np.float64]],
) -> None:
    order = when((3, 4))
    assert order[0, 0] == order.min() == 0
    assert order.max() < 1
    assert order[2, 3] == order.max()


def test_dimming_and_undimming_loses_nothing() -> None:
    subject = Square(fill_opacity=0.3)
    run(Presence(subject, 0.2))
    assert presence(subject) == pytest.approx(0.2)
    run(Presence(subject, 1.0))
    assert presence(subject) == 1
    assert subject.fill_opacity == 0.3


def test_a_wire_is_drawn_from_its_start() -> None:
    wire = Wire([(0, 0), (2, 0)])
    whole = wire.line.points.copy()
    motion = Draw(wire, rate_func=lambda alpha: alpha)
    motion.begin()
    motion.interpolate(0.5)
    assert 0 < wire.line.get_right()[0] < whole[:, 0].max() * 0.6
    assert presence(wire.tip) == 0
    motion.finish()
    np.testing.assert_allclose(wire.line.get_right()[0], whole[:, 0].max())
    assert presence(wire.tip) == 1


def test_the_camera_arrives_exactly() -> None:
    camera, shot = StageCamera(), Shot(center=(1, 2, 0), height=3, theta=30, phi=20)
    run(MoveCamera(camera, shot), 0.5)
    assert camera.shot == shot


def test_a_frame_sweeps_over_every_row() -> None:
    subject, frame = heatmap(4, 2), Square()
    motion = SweepRows(frame, subject)
    motion.begin()
    seen = set()
    for alpha in np.linspace(0, 1, 41):
        motion.interpolate(alpha)
        seen.add(round(float(frame.get_y()), 6))
    assert seen == {round(subject.row(i).y, 6) for i in range(4)}


def test_bars_rise_from_their_foot() -> None:
    bar = Square().move_to([0, 3, 0])
    foot = bar.get_bottom()[1]
    motion = Rise(bar, rate_func=lambda alpha: alpha)
    motion.begin()
    motion.interpolate(0.25)
    assert bar.get_bottom()[1] == pytest.approx(foot)
    assert bar.height == pytest.approx(0.5)
    motion.finish()
    assert bar.height == pytest.approx(2)
