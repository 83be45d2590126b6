"""What stands in the room, and what its movements do to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from manim import Group, Mobject

from extract.trace import Trace
from filmkit.core.animations import Vanish
from filmkit.core.camera import Shot
from filmkit.core.geometry import Frame
from filmkit.core.headline import Headline
from filmkit.core.heatmap import Heatmap
from filmkit.core.quantities import cells_of
from filmkit.core.stage import beat
from filmkit.core.view import LayerView
from filmkit.pictures.parts import Matrix
from filmkit.pictures.stage import Stage
from filmkit.world.plates import Plate
from filmkit.world.world import LINES, World
from tests.support.kinds import SHIPPED_KIND, trace_of_kind
from tests.support.latents import with_latent
from tests.support.staging import play
from tests.support.traces import make_trace

GROUPED: dict[str, Any] = {"n_layers": 1, "n_heads": 6, "n_kv_heads": 2, "d_head": 8}
OWN: dict[str, Any] = {"n_layers": 1, "n_heads": 4, "d_head": 8}
MLA: dict[str, Any] = OWN | {"mla": True, "positions": "rotary"}


def in_room(trace: Trace, act: Callable[[Any, World], None]) -> None:
    """Run some code in a stage with a world, on the shot of all heads."""

    class Room(Stage):
        @beat
        def one(self) -> None:
            """One."""
            world = World(self.layer, self.frame)
            self.camera.shot = world.shot("arc")
            self.add(world)
            act(self, world)
            self.hold(1)

    play(Room, trace)


def visible(world: World) -> list[Plate]:
    """Return the plates that are seen."""
    plates = [*world.keys, *world.values]
    return [p for p in plates if p.cells.opacity * p.cells.shown.mean() > 0]


def places(world: World) -> dict[Mobject, np.ndarray]:
    return {member: member.points.copy() for member in world.family_members_with_points()}


@pytest.mark.parametrize(
    "options", [GROUPED, OWN, MLA, OWN | {"n_heads": 1}, OWN | {"n_tokens": 2}]
)
def test_every_panel_is_what_its_source_says(options: dict[str, Any]) -> None:
    trace = make_trace(**options)

    def act(stage: Any, world: World) -> None:
        panels = [part for part in world.get_family() if isinstance(part, Heatmap)]
        assert len(panels) == 3 * trace.meta.n_heads
        for panel in panels:
            np.testing.assert_allclose(panel.values, cells_of(trace, panel.source), atol=1e-6)

    in_room(trace, act)


def test_words_take_the_place_of_those_before_and_leave() -> None:
    def act(stage: Any, world: World) -> None:
        first, second = (Headline(name, "", stage.frame) for name in ("MHA", "GQA"))
        assert stage.say() == []
        for words, there in ((first, [first]), (second, [second]), (None, [])):
            if animations := stage.say(words):
                stage.play(*animations)
            assert [part for part in stage.mobjects if isinstance(part, Headline)] == there
        # What has left with the rest of a picture does not leave again.
        stage.play(*stage.say(first))
        stage.play(Vanish(Group(*stage.visible_parts())))
        assert stage.say() == []

    in_room(make_trace(**OWN), act)


def test_heads_that_share_at_once_have_the_patterns_of_what_they_share() -> None:
    def act(stage: Any, world: World) -> None:
        own = [card.pattern.values.copy() for card in world.cards]
        world.share_at_once(2)
        for card, values in zip(world.cards, own, strict=True):
            np.testing.assert_array_equal(card.pattern.values, values)
        world.share_at_once(1)
        for card, values in zip(world.cards, own, strict=True):
            assert not np.array_equal(card.pattern.values, values)
            np.testing.assert_allclose(
                card.pattern.values, cells_of(world.view.trace, card.pattern.source), atol=1e-6
            )

    in_room(make_trace(**GROUPED), act)


def test_copies_say_whose_they_are() -> None:
    def act(stage: Any, world: World) -> None:
        assert [plate.copy_of for plate in world.keys] == [None, 0, 0, None, 3, 3]
        for plates in (world.keys, world.values):
            assert [plate.cells.opacity < 1 for plate in plates] == [False, True, True] * 2
            assert plates[1].cells.source == plates[0].cells.source != plates[3].cells.source

    in_room(make_trace(**GROUPED), act)


def test_heads_with_sets_of_their_own_have_no_copies() -> None:
    def act(stage: Any, world: World) -> None:
        assert {plate.copy_of for plate in world.keys} == {None}

    in_room(make_trace(**OWN), act)


def test_numbers_stand_on_cards_where_the_mask_leaves_room() -> None:
    def act(stage: Any, world: World) -> None:
        for card in world.cards:
            assert card.name is not None
            assert card.name.text == str(card.head)
            box = stage.camera.pixels(card.name, card.name.points)
            cells = card.pattern
            clear = cells.shown[: len(cells.values) // 2, len(cells.values) // 2 :]
            assert not np.triu(clear, 1).any()
            corner = stage.camera.pixels(
                cells, np.array([cells.at(0, 0), cells.at(0, cells.shape[1])])
            )
            assert corner[:, 0].mean() < box[:, 0].min()
            assert box[:, 0].max() < corner[:, 0].max()

    in_room(trace_of_kind(SHIPPED_KIND), act)


def test_more_heads_than_can_be_named_have_no_numbers() -> None:
    def act(stage: Any, world: World) -> None:
        assert {card.name for card in world.cards} == {None}

    in_room(make_trace(n_layers=1, n_heads=16, d_head=4), act)


def test_a_head_comes_forward_turns_to_the_viewer_and_goes_back() -> None:
    def act(stage: Any, world: World) -> None:
        before = places(world)
        stage.play(world.forward(1))
        left, right = stage.camera.pixels(
            world.cards[1].pattern, world.cards[1].pattern.corners[:2]
        )
        assert left[1] == pytest.approx(right[1], abs=1)
        assert (left[0] + right[0]) / 2 == pytest.approx(stage.camera.pixel_width / 2, rel=0.05)
        # Whole, and in front of all others.
        assert world.keys[1].cells.opacity == 1
        order = stage.camera.drawing_order(stage.mobjects)
        front = {*world.cards[1].get_family(), *world.pairs[1].get_family()}
        assert {*order[-len(front & {*order}) :]} <= front
        # What comes later, such as a part that its panel becomes, is in front of it.
        assert {member.z_index for member in world.get_family()} == {0}
        stage.play(world.back(1))
        for member, points in places(world).items():
            np.testing.assert_allclose(points, before[member], atol=1e-9)
        assert world.keys[1].cells.opacity < 1
        assert {member.z_index for member in world.get_family()} == {0}

    in_room(make_trace(**GROUPED), act)


def test_plates_slide_into_sets_and_become_their_means_and_come_back() -> None:
    trace = make_trace(**GROUPED)

    def act(stage: Any, world: World) -> None:
        before, cards = places(world), [card.pattern.values.copy() for card in world.cards]
        assert {line.get_stroke_opacity() for line in world.lines} == {0.0}
        stage.play(world.slide_together(2))
        assert {line.get_stroke_opacity() for line in world.lines} == {LINES}
        ends = [world.plan.line(head, 2) for head in range(6)]
        for line, (start, end) in zip(world.lines, ends, strict=True):
            np.testing.assert_allclose(line.points[[0, -1]], [start, end], atol=1e-9)
        assert visible(world) == [world.keys[0], world.keys[3], world.values[0], world.values[3]]
        np.testing.assert_array_equal(world.keys[0].cells.values, world.keys[2].cells.values)
        stage.play(world.slide_together(1))
        assert visible(world) == [world.keys[0], world.values[0]]
        for plate in visible(world):
            assert plate.cells.source.quantity.startswith("shared_")
            np.testing.assert_allclose(
                plate.cells.values, cells_of(trace, plate.cells.source), atol=1e-6
            )
        stage.play(world.slide_together(6))
        assert len(visible(world)) == 12
        for member, points in places(world).items():
            np.testing.assert_allclose(points, before[member], atol=1e-9)
        assert world.keys[4].cells.source == world.keys[3].cells.source
        for card, values in zip(world.cards, cards, strict=True):
            np.testing.assert_array_equal(card.pattern.values, values)

    in_room(trace, act)


@pytest.mark.parametrize(
    "make",
    [
        lambda: trace_of_kind(SHIPPED_KIND),
        lambda: make_trace(**MLA),
        lambda: with_latent(**OWN, biases=True),
    ],
    ids=["of a conversion", "of the model", "fitted"],
)
def test_a_shared_pair_melts_into_the_latent(make: Callable[[], Trace]) -> None:
    trace = make()

    def act(stage: Any, world: World) -> None:
        stage.play(world.slide_together(1))
        stage.play(world.melt())
        assert visible(world) == []
        cells = world.latent.cells
        assert cells.shown.min() == cells.opacity == 1
        np.testing.assert_allclose(
            cells.values, cells_of(trace, cells.source), rtol=1e-5, atol=1e-5
        )
        stage.play(world.rays())
        stage.play(world.slide_together(len(world.cards)))
        assert len(visible(world)) == 2 * len(world.cards)

    in_room(trace, act)


def test_plates_come_back_with_other_numbers_row_by_row() -> None:
    trace = with_latent(**GROUPED)

    def act(stage: Any, world: World) -> None:
        before = places(world)
        made = [
            {
                name: Matrix(p.cells.values + 1.0, source=p.cells.source)
                for name, p in zip("kv", pair, strict=True)
            }
            for pair in world.pairs
        ]
        stage.play(world.slide_together(1))
        stage.play(world.melt())
        back = world.rebuild(made, rate_func=lambda alpha: alpha)
        back.begin()
        back.interpolate(0.5)
        shown = world.keys[0].cells.shown[:, 0]
        assert (np.diff(shown) <= 0).all()
        assert shown[0] == 1
        assert shown[-1] == 0
        back.interpolate(1)
        assert len(visible(world)) == 2 * len(world.cards)
        for head, pair in enumerate(world.pairs):
            for plate, name in zip(pair, "kv", strict=True):
                np.testing.assert_array_equal(plate.cells.values, made[head][name].values)
                np.testing.assert_allclose(plate.cells.points, before[plate.cells])
        # Each is made, and none a copy.
        assert all(plate.cells.opacity == 1 for pair in world.pairs for plate in pair)

    in_room(trace, act)


@pytest.mark.parametrize(
    ("kind", "source"),
    [(SHIPPED_KIND, "mla.11.c"), ("true MLA", "kv_latent.1"), ("grouped heads, rotary", "latents")],
)
def test_the_latent_is_the_models_or_its_conversions_or_the_layers(kind: str, source: str) -> None:
    view = LayerView.of_prompt(trace_of_kind(kind), None, show_first_token=False)
    found = World(view, Frame(128 / 9)).latent.cells.source
    assert (found.tensor or found.quantity) == source


def test_rays_grow_from_the_source_and_go_back() -> None:
    def act(stage: Any, world: World) -> None:
        shine = world.rays()
        shine.begin()
        assert not any(len(layer.points) for beam in world.beams for layer in beam)
        shine.interpolate(0.5)
        reach = [layer.points[:, 2].min() for beam in world.beams for layer in beam]
        shine.interpolate(1)
        assert all(
            layer.points[:, 2].min() < before - 1
            for before, layer in zip(
                reach, (lay for beam in world.beams for lay in beam), strict=True
            )
        )
        stage.play(world.rays(on=False))
        assert not any(len(layer.points) for beam in world.beams for layer in beam)

    in_room(make_trace(**OWN), act)


def test_light_falls_on_some_parts_and_bodies_stay_whole() -> None:
    def act(stage: Any, world: World) -> None:
        stage.play(*world.spotlight(world.cards[2], world.keys[0]))
        lit = {member for member in world.get_family() if getattr(member, "presence", 1.0) == 1}
        bodies = {card.body for card in world.cards}
        bodies |= {plate.body for plate in (*world.keys, *world.values)}
        panels = {part for part in world.get_family() if isinstance(part, Heatmap)}
        assert bodies <= lit
        assert panels & lit == {world.cards[2].pattern, world.keys[0].cells}
        assert world.keys[0].body.get_stroke_opacity() == 1
        assert world.keys[1].body.get_stroke_opacity() < 0.5
        assert {body.get_fill_opacity() for body in bodies} == {1}
        stage.play(*world.spotlight(world))
        assert world.keys[1].body.get_stroke_opacity() == 1
        assert all(getattr(member, "presence", 1.0) == 1 for member in world.get_family())

    in_room(make_trace(**OWN), act)


def test_panels_become_parts_of_a_mosaic_and_settle_in_the_room_again() -> None:
    def act(stage: Any, world: World) -> None:
        before = places(world)
        stage.show("pattern[2] V[2]", origins=world.panels(2))
        assert stage.camera.shot == Shot()
        assert not {*world.get_family()} & {*stage.get_mobject_family_members()}
        stage.play(*world.settle(stage, 2))
        assert stage.camera.shot == world.shot("arc")
        assert {*stage.visible_parts()} == {*world.family_members_with_points()}
        assert all(getattr(member, "presence", 1.0) == 1 for member in world.get_family())
        for member, points in places(world).items():
            np.testing.assert_allclose(points, before[member], atol=1e-9)

    in_room(make_trace(**OWN), act)


def test_a_head_settles_alone_and_the_others_rise() -> None:
    def act(stage: Any, world: World) -> None:
        before = places(world)
        stage.remove(world)
        stage.camera.shot = Shot()
        stage.show("pattern[1] K[1]")
        way = world.settle(stage, 1, alone=True)
        assert len(way) == 3
        stage.play(*way)
        seen = {*stage.visible_parts()}
        assert seen <= {*world.cards[1].get_family(), *world.pairs[1].get_family()}
        assert {world.cards[1].pattern, world.keys[1].cells, world.values[1].cells} <= seen
        stage.play(world.arrive([0, 2, 3]))
        assert {*world.family_members_with_points()} == {*stage.visible_parts()}
        for member, points in places(world).items():
            np.testing.assert_allclose(points, before[member], atol=1e-9)

    in_room(make_trace(**OWN), act)
