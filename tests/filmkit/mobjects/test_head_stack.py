"""The stack of heads and its fan-outs: what is in front, and what each part shows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from manim import RIGHT, UP, Group, tempconfig

from filmkit.core.animations import presence, set_presence
from filmkit.core.camera import Shot, StageCamera, keep_upright
from filmkit.core.geometry import Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm
from filmkit.core.raster import Texture
from filmkit.core.view import LayerView
from filmkit.mobjects.fan_out import FanOut
from filmkit.mobjects.head import HeadPicture
from filmkit.mobjects.head_stack import (
    PANELS,
    HeadStack,
    copy_at_depth,
    featured_first,
    free_from_card,
)
from filmkit.mobjects.head_stack_layout import shot_on
from tests.support.occlusion import COLUMNS, ROWS, nearest, picture, rays
from tests.support.traces import make_trace

ANGLES = [(-34, 20), (34, 20), (-40, 30), (12, 15)]


@pytest.fixture(autouse=True)
def _small_frame() -> Iterator[None]:
    size = {"pixel_width": COLUMNS, "pixel_height": ROWS, "frame_width": 8 * 16 / 9}
    with tempconfig(size | {"frame_height": 8.0}):
        yield


def make_head_stack(n_heads: int = 4, n_kv_heads: int | None = None, **kwargs: object) -> HeadStack:
    trace = make_trace(n_heads=n_heads, n_kv_heads=n_kv_heads, d_head=16, **kwargs)
    return HeadStack(LayerView.of_prompt(trace, None, show_first_token=False), Frame(8 * 16 / 9))


def test_the_front_card_is_the_flat_picture() -> None:
    head_stack = make_head_stack()
    flat = HeadPicture(head_stack.view.head(0), Frame(8 * 16 / 9))
    panels = [getattr(flat, name) for name in PANELS]
    lines = (flat.q_to_k_t, flat.k_to_k_t, flat.v_to_z, flat.k_t_to_scores, flat.softmax)
    rest = (flat.pattern_to_z, flat.product_dot, flat.pattern_title, flat.softmax_name)
    expected = picture(Shot(), Group(*lines, *rest, *panels, flat.pattern_words))
    head_stack.front.remove(head_stack.front.border)
    np.testing.assert_array_equal(picture(Shot(), head_stack.front, head_stack.labels), expected)
    assert expected[..., :3].any()


def paint_panels(head_stack: HeadStack) -> list[Heatmap]:
    """Give every panel a colour of its own, hide everything else, and return the panels."""
    panels = [panel for card in head_stack.cards for panel in card.panels]
    for number, panel in enumerate(panels):
        colour = [5 * (number % 50) + 5, 50 + 5 * (number // 50), 255 - 3 * (number % 80), 255]
        panel.set_opacity(1.0)
        panel.edged = False
        panel._texture = Texture(np.array([[colour]], dtype=np.uint8))
    for part in (
        head_stack.labels,
        *(p for card in head_stack.cards for p in (card.wires, card.border)),
    ):
        set_presence(part, 0.0)
    for card in head_stack.cards:
        set_presence(card.glass, 0.0)
    return panels


def assert_nearest_wins(head_stack: HeadStack, panels: list[Heatmap], shot: Shot) -> None:
    # Added front card first: the order of drawing must follow from the depth of the cards.
    drawn, (found, _) = picture(shot, *head_stack.cards)[..., :3], nearest(panels, shot)
    colours = np.array([panel.texture().cells[0, 0, :3] for panel in panels] + [[0, 0, 0]])
    inside = found > -2
    np.testing.assert_array_equal(drawn[inside], colours[found[inside]])
    assert len(np.unique(found)) > 8  # enough panels show for this to mean something


@pytest.mark.parametrize(("theta", "phi"), ANGLES)
def test_the_nearer_panel_wins(theta: float, phi: float) -> None:
    head_stack = make_head_stack(6)
    panels = paint_panels(head_stack)
    shot = shot_on(head_stack.layout.outer_corners, Frame(8 * 16 / 9), theta=theta, phi=phi)
    assert_nearest_wins(head_stack, panels, shot)


@pytest.mark.parametrize(("theta", "phi"), ANGLES)
@pytest.mark.parametrize("alpha", [0.3, 0.6, 0.85])
def test_the_nearer_panel_wins_while_cards_slide_in(theta: float, phi: float, alpha: float) -> None:
    head_stack = make_head_stack(5)
    panels = paint_panels(head_stack)
    motion = head_stack.slide_in()
    motion.begin()
    motion.interpolate(alpha)
    shot = shot_on(head_stack.layout.outer_corners, Frame(8 * 16 / 9), theta=theta, phi=phi)
    assert_nearest_wins(head_stack, panels, shot)


@pytest.mark.parametrize(("theta", "phi"), ANGLES)
def test_the_nearer_panel_wins_when_keys_have_moved_away(theta: float, phi: float) -> None:
    head_stack = make_head_stack(4)
    panels = paint_panels(head_stack)
    box, z = head_stack.layout.shared(head_stack.front.k.box, [1, 2])
    for card in head_stack.cards:
        moved = copy_at_depth(card.k, box.moved(dx=0.7 * card.place), z - 0.4 * card.place)
        free_from_card(card.k).points = moved.points
    shot = shot_on(head_stack.layout.outer_corners, Frame(8 * 16 / 9), theta=theta, phi=phi)
    assert_nearest_wins(head_stack, panels, shot)


@pytest.mark.parametrize("n_heads", [1, 2, 9, 12, 32])
def test_shots_fill_two_thirds_of_the_width_and_stay_on_the_stage(n_heads: int) -> None:
    frame = Frame(8 * 16 / 9)
    layout = make_head_stack(n_heads).layout
    for shot in (layout.from_left, layout.from_right):
        seen = shot.project(layout.outer_corners, frame.height)
        width, height = np.ptp(seen[:, 0]), np.ptp(seen[:, 1])
        assert width <= 2 / 3 * frame.width + 1e-3
        assert height <= frame.stage.height
        assert np.isclose(width, 2 / 3 * frame.width, atol=1e-3) or np.isclose(
            height, 0.96 * frame.stage.height, atol=1e-3
        )
        assert 30 <= abs(shot.theta) <= 40
        assert 15 <= shot.phi <= 30


def test_every_card_holds_its_own_heads_numbers() -> None:
    head_stack = make_head_stack(6, 2, positions="rotary", seed=1)
    for head, card in head_stack.heads.items():
        view = head_stack.view.head(head)
        for name, values in (
            ("q", view.q_used),
            ("k", view.k_used),
            ("v", view.v),
            ("k_t", view.k_used.T),
            ("scores", view.scores),
            ("pattern", view.pattern),
            ("z", view.z),
        ):
            np.testing.assert_array_equal(getattr(card, name).values, values)
    assert [card.place for card in head_stack.cards] == list(range(6))


def test_the_featured_head_and_its_partners_stand_in_front() -> None:
    view = make_head_stack(6, 2).view
    assert featured_first(view, 4) == (4, 3, 5, 0, 1, 2)


def test_an_order_that_leaves_out_a_head_is_refused() -> None:
    view = make_head_stack(3).view
    with pytest.raises(ValueError, match="3 heads cannot have the order"):
        HeadStack(view, Frame(8 * 16 / 9), order=(0, 1))


def test_an_upright_mark_keeps_its_size_where_a_point_is_seen() -> None:
    camera, point = StageCamera(), np.array([2.0, 1.0, -3.0])
    mark = keep_upright(Heatmap([[1.0]], Norm.unit(), width=1, height=1), at=point)
    for camera.shot in (Shot(), Shot(height=12, theta=30, phi=20)):
        seen = camera.pixels(mark, mark.points)
        place = camera.pixels(Heatmap([[1.0]], Norm.unit(), width=1, height=1), point[None])
        np.testing.assert_allclose(seen.mean(axis=0), place[0])
        np.testing.assert_allclose(np.ptp(seen, axis=0), ROWS / 8)


# Fan-outs


def make_fan_out(head_stack: HeadStack, first: int = 0, width: float = 0.12) -> FanOut:
    """Return the fan-out from shared keys to the cards from the given place on."""
    box, z = head_stack.layout.shared(head_stack.front.k.box, range(first, len(head_stack.cards)))
    start = copy_at_depth(head_stack.front.k, box, z).side_center(RIGHT)
    ends = [card.k.side_center(RIGHT) for card in head_stack.cards[first:]]
    return FanOut(start, ends, spine=head_stack.layout.spine, width=width)


def test_a_fan_out_lies_in_one_plane_and_reaches_every_head() -> None:
    head_stack = make_head_stack(5)
    fan_out = make_fan_out(head_stack)
    points = np.concatenate([m.points for m in fan_out.get_family() if len(m.points)])
    assert np.ptp(points[:, 1]) < 1e-9
    for card, tooth in zip(head_stack.cards, fan_out.teeth, strict=True):
        end = card.k.side_center(RIGHT)
        assert np.isclose(np.linalg.norm(tooth.points - end, axis=1).min(), 0)


def test_a_fan_out_can_be_vertical() -> None:
    fan_out = FanOut([0, -3, -2], [[0, 1, -1], [0, 1, -3]], spine=-1, along=UP)
    points = np.concatenate([m.points for m in fan_out.get_family() if len(m.points)])
    assert np.ptp(points[:, 0]) < 1e-9
    assert points[:, 1].max() == pytest.approx(1)


def test_a_fan_out_that_is_not_flat_is_refused() -> None:
    with pytest.raises(ValueError, match="one plane"):
        FanOut([0, 0, 0], [[2, 1, -1]], spine=1)


def test_a_fan_out_is_drawn_from_its_handle_to_its_tips() -> None:
    head_stack = make_head_stack(4)
    fan_out = make_fan_out(head_stack)
    shot = head_stack.layout.from_left
    whole = picture(shot, fan_out)[..., 3].astype(int)
    amounts = [
        int((picture(shot, fan_out.set_drawn(a))[..., 0] > 0).sum()) for a in (0, 0.2, 0.6, 1)
    ]
    assert amounts[0] == 0
    assert amounts == sorted(set(amounts))
    np.testing.assert_array_equal(picture(shot, fan_out.set_drawn(1))[..., 3], whole)


@pytest.mark.parametrize(("theta", "phi"), ANGLES)
def test_fan_outs_and_panels_hide_each_other_by_depth(theta: float, phi: float) -> None:
    head_stack = make_head_stack(4)
    fan_out = make_fan_out(head_stack, first=1, width=0.4)
    for card in head_stack.back:
        set_presence(card.k, 0.0)
    panels = [panel for panel in paint_panels(head_stack) if presence(panel) > 0]
    shot = shot_on(head_stack.layout.outer_corners, Frame(8 * 16 / 9), theta=theta, phi=phi)
    found, far = nearest(panels, shot)
    bare = picture(shot, fan_out)[..., 0]
    clear = (bare == bare.max()) & (found > -2)
    # The fan-out lies in the horizontal plane through the middle of the keys.
    reached = (head_stack.front.k.box.y - shot.eye()[1]) / rays(shot)[..., 1]
    colours = np.array([panel.texture().cells[0, 0, :3] for panel in panels])
    expected = np.where((reached < far)[..., None], bare.max(), colours[found])
    drawn = picture(shot, head_stack, fan_out)[..., :3]
    np.testing.assert_array_equal(drawn[clear][:, :1], expected[clear][:, :1])
    assert (reached < far)[clear].any()
    assert (reached > far)[clear].any()
