"""Animations: how they end, and that making one changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from manim import Animation, Mobject, Scene, Square, VGroup

from filmkit.core.animations import (
    Appear,
    Arrive,
    Drift,
    Glide,
    MoveCamera,
    MoveFromCopy,
    Presence,
    Recolour,
    Reveal,
    Rise,
    Settle,
    ShowCells,
    Transpose,
    TransposeFromCopy,
    Unroll,
    Vanish,
    in_diagonals,
    in_rows,
    presence,
)
from filmkit.core.camera import Shot, StageCamera
from filmkit.core.errors import SceneCodeError
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm
from filmkit.core.stage import Stage, beat
from filmkit.core.theme import current_theme
from filmkit.mobjects.flow import Draw, Wire
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
    "move from a copy": lambda m: MoveFromCopy(m.copy().set_values(np.zeros(m.shape)), m),
    "transpose from a copy": lambda m: TransposeFromCopy(m.transposed(), m),
    "unroll": lambda m: Unroll(Square(), m),
    "rise": Rise,
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


def test_what_vanished_is_gone_and_can_be_added_again() -> None:
    seen = []

    class Vanishing(Stage):
        @beat
        def story(self) -> None:
            """It vanishes."""
            cells = heatmap()
            self.add(cells)
            self.play(Vanish(cells))
            seen.append((cells in self.mobjects, presence(cells)))

    Vanishing(make_trace()).render()
    assert seen == [(False, 1.0)]


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


def test_the_camera_flies_a_curve_past_shots_that_it_does_not_reach() -> None:
    start, past, end = (Shot((x, y, 0.0), height=8.0) for x, y in ((0, 0), (2, 8), (4, 0)))
    camera = StageCamera()
    camera.shot = start
    flight = MoveCamera(camera, end, past=[past])
    flight.begin()
    seen = []
    for alpha in (0.0, 0.5, 1.0):
        flight.step(alpha)
        seen.append(camera.shot.center)
    assert seen == [(0.0, 0.0, 0.0), (2.0, 4.0, 0.0), (4.0, 0.0, 0.0)]


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


# What leaves a copy behind


def play(*animations: Animation, at: float, on: list[Mobject]) -> Scene:
    """Play animations on a plain scene until a moment, or to their end at 1."""
    scene = Scene()
    scene.add(*on)
    for animation in animations:
        animation._setup_scene(scene)
        animation.begin()
        animation.interpolate(at)
        if at == 1:
            animation.finish()
            animation.clean_up_from_scene(scene)
    return scene


def even(alpha: float) -> float:
    return alpha


def test_a_copy_moves_and_takes_the_numbers_of_its_place() -> None:
    source, target = heatmap(2, 3), heatmap(2, 3).place(BOX)
    target.set_values(-source.values).set_masked(np.triu(np.ones((2, 3))))
    before = state(source)
    expected = state(target)
    begins = play(MoveFromCopy(source, target, rate_func=even), at=0, on=[source])
    np.testing.assert_array_equal(target.points, source.points)
    np.testing.assert_array_equal(target.values, source.values)
    assert begins.mobjects == [source, target]
    target.place(BOX).set_values(-source.values).set_masked(np.triu(np.ones((2, 3))))
    play(MoveFromCopy(source, target, rate_func=even), at=0.5, on=[source])
    np.testing.assert_allclose(target.box.center, np.mean([source.box.center, BOX.center], axis=0))
    np.testing.assert_allclose(target.values, 0, atol=1e-12)
    assert set(np.unique(target.masked)) == {0, 0.5}
    target.place(BOX).set_values(-source.values).set_masked(np.triu(np.ones((2, 3))))
    ended = play(MoveFromCopy(source, target, rate_func=even), at=1, on=[source])
    assert ended.mobjects == [source, target]
    for subject, arrays in ((source, before), (target, expected)):
        for old, new in zip(arrays, state(subject), strict=True):
            np.testing.assert_allclose(new, old, atol=1e-12)


def change(kind: str, subject: Heatmap, start: Heatmap, end: Heatmap) -> Animation:
    """Return an animation that gives a heatmap, which is as ``start`` or ``end``, the other's."""
    if kind == "copy":
        return MoveFromCopy(start, subject.set_values(end.values, end.norm), rate_func=even)
    return Recolour(subject, values=end.values, norm=end.norm, rate_func=even)


@pytest.mark.parametrize("kind", ["copy", "recolour"])
def test_between_two_colour_maps_the_colours_mix(kind: str) -> None:
    start, end = heatmap(), heatmap().set_values(np.full((2, 3), 0.7), Norm(0.0, 1.0, "magma"))
    for alpha in (0.0, 0.25, 1.0):
        subject = heatmap()
        play(change(kind, subject, start, end), at=alpha, on=[start, subject])
        mixed = (1 - alpha) * start.colours() + alpha * end.colours()
        np.testing.assert_allclose(subject.colours(), mixed)
        assert subject.looks_like(start if alpha == 0 else end)


def test_a_heatmap_of_another_shape_keeps_its_own_numbers_on_the_way() -> None:
    source, target = heatmap(2, 3), heatmap(4, 1).place(BOX)
    values = target.values.copy()
    play(MoveFromCopy(source, target, rate_func=even), at=0.5, on=[source])
    np.testing.assert_array_equal(target.values, values)


@pytest.mark.parametrize("kind", [MoveFromCopy, Arrive, Glide])
def test_what_has_other_parts_is_refused_with_the_mend(kind: type[Animation]) -> None:
    pair, alone = VGroup(Square(), Square()), Square()
    with pytest.raises(SceneCodeError, match=r"have \d and \d parts; .* a copy of it"):
        kind(pair, alone).begin()


def test_a_transposed_copy_leaves_the_matrix_and_lands_in_its_place() -> None:
    source = heatmap(2, 3)
    target = heatmap(2, 3).transposed().place(BOX)
    before, values = state(source), target.values.copy()

    def motion() -> Animation:
        return TransposeFromCopy(source, target.place(BOX), rate_func=even)

    # At first it lies over the matrix, cell upon cell.
    play(motion(), at=0, on=[source])
    for row in range(2):
        for column in range(3):
            np.testing.assert_allclose(
                target.at(column + 0.5, row + 0.5), source.at(row + 0.5, column + 0.5), atol=1e-12
            )
    # It does not leap when it lands, and is not mirrored.
    play(motion(), at=1 - 1e-7, on=[source])
    late = target.corners.copy()
    scene = play(motion(), at=1, on=[source])
    np.testing.assert_allclose(late, target.corners, atol=1e-5)
    np.testing.assert_array_equal(target.values, values)
    assert (target.box.x, target.box.y) == pytest.approx((BOX.x, BOX.y))
    assert scene.mobjects == [source, target]
    for old, new in zip(before, state(source), strict=True):
        np.testing.assert_array_equal(old, new)


def bar_and_matrix(*, lies: bool) -> tuple[Square, Heatmap]:
    bar = Square(fill_opacity=1.0)
    bar.stretch_to_fit_width(6 if lies else 0.3).stretch_to_fit_height(0.3 if lies else 6)
    return bar.move_to([0, -2, 0]), heatmap(4, 3).place(BOX)


@pytest.mark.parametrize("lies", [True, False], ids=["lies", "stands"])
def test_a_bar_unrolls_into_the_rows_of_the_matrix(lies: bool) -> None:
    bar, matrix = bar_and_matrix(lies=lies)
    begins = play(Unroll(bar, matrix, rate_func=even), at=0, on=[bar])
    (rows,) = (m for m in begins.mobjects if m is not bar)
    # Its rows lie end to end and fill the bar: nothing leaps.
    boxes = [row.box for row in rows]
    whole = Box.around(boxes)
    assert (whole.width, whole.height) == pytest.approx((bar.width, bar.height))
    assert whole.center == pytest.approx(tuple(bar.get_center()))
    assert sum(box.width * box.height for box in boxes) == pytest.approx(bar.width * bar.height)
    # The first row leaves first.
    first, *_, last = rows
    start = last.points.copy()
    play(Unroll(bar, matrix, rate_func=even), at=0.4, on=[bar])
    moving = Unroll(bar, matrix, rate_func=even)
    play(moving, at=0.4, on=[bar])
    assert not np.allclose(moving.rows[0].points, first.points)
    np.testing.assert_allclose(moving.rows[-1].points, start)
    ended = play(Unroll(bar, matrix, rate_func=even), at=1, on=[bar])
    assert ended.mobjects == [matrix]
    assert presence(bar) == 1


def test_a_matrix_unrolls_from_where_things_are_when_it_plays() -> None:
    bar, matrix = bar_and_matrix(lies=True)
    motion = Unroll(bar, matrix, rate_func=even)
    matrix.place(Box(-3, 2, 2, 2)).set_values(np.zeros(matrix.shape))
    play(motion, at=1, on=[bar])
    corners = [*motion.rows[0].corners[:2], *motion.rows[-1].corners[2:]]
    np.testing.assert_allclose(corners, matrix.corners, atol=1e-12)
    assert not any(row.values.any() for row in motion.rows)


# Durations


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (Appear, "small"),
        (lambda m: Settle(m, BOX), "normal"),
        (lambda m: Reveal(m, in_rows(m.shape)), "large"),
        (lambda m: MoveCamera(StageCamera(), Shot()), "swing"),
    ],
)
def test_an_animation_takes_as_long_as_the_theme_says(
    make: Callable[[Mobject], Animation], kind: str
) -> None:
    assert make(heatmap()).run_time == getattr(current_theme().tempo, kind)


def test_an_animation_may_take_its_own_time() -> None:
    assert Appear(heatmap(), run_time=0.1).run_time == 0.1


@pytest.mark.parametrize("shot", [Shot(center=(1, 2, 0), height=3), Shot(theta=30, phi=20)])
def test_a_drift_ends_with_the_very_shot_that_it_began_with(shot: Shot) -> None:
    camera = StageCamera()
    camera.shot = shot
    motion = Drift(camera)
    motion.begin()
    assert camera.shot == shot
    way = []
    for alpha in np.linspace(0, 1, 21):
        motion.interpolate(float(alpha))
        way.append(camera.shot)
    assert way[0] == way[-1] == shot
    assert way[5] != shot
    if shot.theta:
        assert way[10].theta - shot.theta == pytest.approx(3)
        assert way[10].height == shot.height
    else:
        assert way[10].height == pytest.approx(0.98 * shot.height)
    motion.finish()
    assert camera.shot == shot
