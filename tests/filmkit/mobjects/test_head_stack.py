"""The stack of heads and its fan-outs: what is in front, and what each part shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from manim import RIGHT, UP, Group, color_to_rgb, tempconfig

from filmkit.core.animations import presence, set_presence
from filmkit.core.camera import Shot, StageCamera, keep_upright
from filmkit.core.geometry import Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm
from filmkit.core.picture_map import panels_on, texts_on
from filmkit.core.raster import Texture
from filmkit.core.theme import use_theme
from filmkit.core.theme_names import THEMES
from filmkit.core.view import LayerView
from filmkit.mobjects.fan_out import FanOut
from filmkit.mobjects.head import HeadPicture
from filmkit.mobjects.head_stack import CardBody, HeadStack, copy_at_depth, free_from_card
from filmkit.mobjects.head_stack_layout import (
    DIMMEST,
    LENS,
    HeadStackLayout,
    shot_on,
)
from filmkit.mobjects.head_stack_marks import PanelNames
from filmkit.mobjects.head_tensors import HEAD_TENSORS
from filmkit.render.quality import ASPECTS, frame_size
from tests.support.contrast import LINES, TEXT, contrast
from tests.support.occlusion import COLUMNS, ROWS, nearest, picture, rays
from tests.support.traces import make_trace

ANGLES = [(-54, 16), (54, 16), (-34, 20), (12, 15)]
FRAME = Frame(8 * 16 / 9)


@pytest.fixture(autouse=True)
def _small_frame() -> Iterator[None]:
    size = {"pixel_width": COLUMNS, "pixel_height": ROWS, "frame_width": 8 * 16 / 9}
    with tempconfig(size | {"frame_height": 8.0}):
        yield


def make_head_stack(
    n_heads: int = 4,
    n_kv_heads: int | None = None,
    *,
    featured: int | None = None,
    frame: Frame = FRAME,
    **kwargs: object,
) -> HeadStack:
    trace = make_trace(n_heads=n_heads, n_kv_heads=n_kv_heads, d_head=16, **kwargs)
    view = LayerView.of_prompt(trace, None, show_first_token=False)
    return HeadStack(view, frame, featured=min(2, n_heads - 1) if featured is None else featured)


def side_shot(layout: HeadStackLayout, theta: float) -> Shot:
    """Return a shot from one side, with room for names beside the stack."""
    frame = layout.head.frame
    width = (frame.stage.width - layout.name_room) / frame.width
    return shot_on(
        layout.outer_corners,
        frame,
        theta=theta,
        focal=LENS,
        width=width,
        height=1.0,
        into=frame.stage.moved(0.5 * layout.name_room * (1 if theta < 0 else -1)),
    )


def test_the_featured_card_is_the_flat_picture() -> None:
    head_stack = make_head_stack(featured=2)
    flat = HeadPicture(head_stack.view.head(2), Frame(8 * 16 / 9))
    panels = [getattr(flat, name) for name in HEAD_TENSORS]
    lines = (flat.q_to_k_t, flat.k_to_k_t, flat.v_to_z, flat.k_t_to_scores, flat.softmax)
    rest = (flat.pattern_to_z, flat.product_dot, flat.pattern_title, flat.softmax_name)
    expected = picture(Shot(), Group(*lines, *rest, *panels, flat.pattern_words))
    set_presence(head_stack.featured.body, 0.0)
    drawn = picture(Shot(), head_stack.featured, head_stack.labels)
    np.testing.assert_allclose(drawn, expected, atol=1)
    assert expected[..., :3].any()
    # With any lens: the plane of the flat picture is undistorted.
    lens = replace(Shot(), focal=LENS)
    np.testing.assert_allclose(picture(lens, head_stack.featured, head_stack.labels), drawn, atol=1)


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
        *(p for card in head_stack.cards for p in (card.wires, card.body)),
    ):
        set_presence(part, 0.0)
    return panels


def assert_nearest_wins(head_stack: HeadStack, panels: list[Heatmap], shot: Shot) -> None:
    # Added front card first: the order of drawing must follow from the depth of the cards.
    drawn, (found, _) = picture(shot, *head_stack.cards)[..., :3], nearest(panels, shot)
    colours = np.array([panel.texture().cells[0, 0, :3] for panel in panels] + [[0, 0, 0]])
    inside = found > -2
    # The tip of a corner can touch a pixel beside all of whose neighbours' middles it passes.
    wrong = (drawn[inside] != colours[found[inside]]).any(axis=1)
    assert wrong.mean() < 1e-4
    assert len(np.unique(found)) > 8  # enough panels show for this to mean something


@pytest.mark.parametrize(("theta", "phi"), ANGLES)
def test_the_nearer_panel_wins(theta: float, phi: float) -> None:
    head_stack = make_head_stack(6)
    panels = paint_panels(head_stack)
    shot = shot_on(head_stack.layout.outer_corners, Frame(8 * 16 / 9), theta=theta, phi=phi)
    assert_nearest_wins(head_stack, panels, shot)


@pytest.mark.parametrize(("theta", "phi"), ANGLES)
def test_the_nearer_panel_wins_when_keys_have_moved_away(theta: float, phi: float) -> None:
    head_stack = make_head_stack(4)
    panels = paint_panels(head_stack)
    box, z = head_stack.layout.shared(head_stack.featured.k.box, [1, 2])
    for card in head_stack.cards:
        moved = copy_at_depth(card.k, box.moved(dx=0.7 * card.head), z - 0.4 * card.head)
        free_from_card(card.k).points = moved.points
    shot = shot_on(head_stack.layout.outer_corners, Frame(8 * 16 / 9), theta=theta, phi=phi)
    assert_nearest_wins(head_stack, panels, shot)


def test_every_card_holds_its_own_heads_numbers() -> None:
    head_stack = make_head_stack(6, 2, positions="rotary", seed=1)
    for card in head_stack.cards:
        view = head_stack.view.head(card.head)
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


# The order and the light


@pytest.mark.parametrize("featured", [0, 2, 4])
def test_heads_stand_in_order_and_the_featured_one_is_in_the_flat_plane(featured: int) -> None:
    head_stack = make_head_stack(5, featured=featured)
    depths = [float(card.plane.points[0, 2]) for card in head_stack.cards]
    assert [card.head for card in head_stack.cards] == list(range(5))
    assert head_stack.featured is head_stack.cards[featured]
    assert depths[featured] == 0
    np.testing.assert_allclose(np.diff(depths), -head_stack.layout.spacing)
    for card in head_stack.cards:
        for panel in card.panels:
            np.testing.assert_allclose(panel.points[:, 2], card.plane.points[0, 2], atol=1e-9)
    assert [card.head for card in head_stack.others] == [h for h in range(5) if h != featured]


def test_cards_get_darker_with_depth_and_the_picture_map_says_so() -> None:
    head_stack = make_head_stack(9, featured=3)
    assert [head_stack.layout.light_at(i) for i in (0, 8)] == [1.0, pytest.approx(0.55)]
    camera = StageCamera()
    camera.shot = side_shot(head_stack.layout, 54)
    items = panels_on(head_stack.cards, camera)
    opacity = {item.heatmap: item.opacity for item in items}
    lights = [opacity[card.pattern] for card in head_stack.others]
    assert lights == sorted(lights, reverse=True)
    assert lights[0] == 1.0
    assert lights[-1] == pytest.approx(0.55)
    # The one that is meant is as bright as its flat picture.
    assert opacity[head_stack.featured.pattern] == 1.0
    # Few cards differ less: a second one is not as dark as the last of many.
    assert HeadStackLayout(head_stack.layout.head, 2).light_at(1) > 0.85


@pytest.mark.parametrize("theme", THEMES)
def test_nothing_shines_through_a_card(theme: str) -> None:
    with use_theme(theme):
        body = CardBody(Box(0, 0, 5, 4))
        behind = Heatmap([[1.0]], Norm.unit(), width=3, height=3).shift([0, 0, -2])
        shot = Shot(theta=30, phi=10)
        for light in (1.0, DIMMEST):
            alone = picture(shot, body.set_light(light))
            np.testing.assert_array_equal(picture(shot, behind, body), alone)
        upper = body.rim.get_fill_rgbas()[-1]
        assert upper[3] == pytest.approx(DIMMEST)
        assert np.abs(upper[:3] - body.face.get_fill_rgbas()[-1][:3]).max() > 0.2


# Text beside and on the cards


@pytest.mark.parametrize("aspect", ASPECTS)
def test_names_stand_beside_the_stack_at_their_size(aspect: str) -> None:
    frame = Frame(*frame_size(*(100 * side for side in ASPECTS[aspect])))
    size = {"frame_width": frame.width, "frame_height": frame.height}
    size |= {"pixel_width": round(100 * frame.width), "pixel_height": round(100 * frame.height)}
    with tempconfig(size):
        head_stack = make_head_stack(9, frame=frame)
        camera = StageCamera()
        for shot, words in (
            (side_shot(head_stack.layout, -54), ["queries", "keys", "values"]),
            (side_shot(head_stack.layout, 54), ["pattern", "head", "output"]),
        ):
            camera.shot = shot
            texts = texts_on(PanelNames(head_stack, shot), camera)
            assert [word for word in words if not any(word in t.text for t in texts)] == []
            planes = np.concatenate([card.plane.points for card in head_stack.cards])
            stack = camera.pixels(head_stack.featured.q, planes)
            for text in texts:
                assert text.height >= 0.027 * 800
                assert text.box.left >= 0
                assert text.box.right <= camera.pixel_width
                outside = (text.box.right, stack[:, 0].min()), (stack[:, 0].max(), text.box.left)
                assert any(a < b for a, b in outside)


@pytest.mark.parametrize("name", THEMES)
def test_words_can_be_read_on_cards_and_in_every_lightness_of_their_role(name: str) -> None:
    with use_theme(name) as theme:

        def rgb(colour: str) -> npt.NDArray[np.float64]:
            return np.array(color_to_rgb(colour))

        for role in ("ink", "muted", "query", "key", "value", "latent"):
            assert contrast(rgb(theme.role(role)), rgb(theme.card)) >= TEXT, role
        for role in ("query", "key", "value", "latent"):
            for group in range(3):
                colour = rgb(theme.group_colour(role, group))
                assert contrast(colour, rgb(theme.background)) >= LINES, (role, group)
        assert contrast(rgb(theme.rim), rgb(theme.card)) >= LINES


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
    box, z = head_stack.layout.shared(
        head_stack.featured.k.box, range(first, len(head_stack.cards))
    )
    start = copy_at_depth(head_stack.featured.k, box, z).side_center(RIGHT)
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
    shot = side_shot(head_stack.layout, -54)
    whole = picture(shot, fan_out)[..., 3].astype(int)
    amounts = [
        int((picture(shot, fan_out.set_drawn(a))[..., 0] > 0).sum()) for a in (0, 0.2, 0.6, 1)
    ]
    assert amounts[0] == 0
    assert amounts == sorted(set(amounts))
    np.testing.assert_array_equal(picture(shot, fan_out.set_drawn(1))[..., 3], whole)


@pytest.mark.parametrize(("theta", "phi"), [(-34, 20), (34, 20), (-40, 30), (12, 15)])
def test_fan_outs_and_panels_hide_each_other_by_depth(theta: float, phi: float) -> None:
    head_stack = make_head_stack(4)
    fan_out = make_fan_out(head_stack, first=1, width=0.4)
    for card in head_stack.cards[1:]:
        set_presence(card.k, 0.0)
    panels = [panel for panel in paint_panels(head_stack) if presence(panel) > 0]
    shot = shot_on(head_stack.layout.outer_corners, Frame(8 * 16 / 9), theta=theta, phi=phi)
    found, far = nearest(panels, shot)
    bare = picture(shot, fan_out)[..., 0]
    clear = (bare == bare.max()) & (found > -2)
    # The fan-out lies in the horizontal plane through the middle of the keys.
    reached = (head_stack.featured.k.box.y - shot.eye()[1]) / rays(shot)[..., 1]
    colours = np.array([panel.texture().cells[0, 0, :3] for panel in panels])
    expected = np.where((reached < far)[..., None], bare.max(), colours[found])
    drawn = picture(shot, head_stack, fan_out)[..., :3]
    np.testing.assert_array_equal(drawn[clear][:, :1], expected[clear][:, :1])
    assert (reached < far)[clear].any()
    assert (reached > far)[clear].any()
