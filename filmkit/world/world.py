"""`World`: the room of a layer, and what moves in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import IN, Animation, Group, Mobject, Scene, VGroup, VMobject, smooth

from filmkit.core.animations import (
    AnimateWith,
    InPlaceAnimation,
    Presence,
    Vanish,
    at_once,
    first_half,
    second_half,
    set_presence,
)
from filmkit.core.camera import Shot
from filmkit.core.geometry import Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.light import glow
from filmkit.core.theme import current_theme
from filmkit.core.view import LayerView
from filmkit.mobjects.ribbon import filled, outline_points
from filmkit.pictures.latent_view import LatentView
from filmkit.pictures.parts import Matrix
from filmkit.pictures.shared_view import SharedView
from filmkit.pictures.stage import Stage
from filmkit.pictures.tensors import head_tensor
from filmkit.world.plan import Place, Plan, Points
from filmkit.world.plates import INSET, HeadCard, Plate

__all__ = ["World"]

RAY_SHINE = 0.5  # how much light a layer of the rays gives
MAX_NAMES = 12  # of heads; more of them have no names
WALL, WALL_GAP = 20.0, 0.16  # height of the wall of cards, and from one card to the next
LINES = 0.8  # opacity of lines from shared keys and values to cards
HALF_LIGHT = 0.4  # presence of what is not lit
BEAM = (0.36, 0.06)  # opacity of a layer of a ray where it begins and where it ends
BEAMS = (1.0, 0.8, 0.58, 0.32)  # widths of the layers that make up a ray


class World(Group):
    """All heads of a layer in a dark room: on an arc around the viewer, a card for each.

    Before each card stand its keys and its values. Plates of heads that share a set are copies of
    those of the first of them.

    Parameters
    ----------
    view
        The layer.
    frame
        The frame that is filled.

    Attributes
    ----------
    cards : list of HeadCard
        The card of each head.
    keys, values : list of Plate
        The plates before them.
    pairs : list of Group
        Both plates of each head.
    lines : VGroup
        For each head a line to its card from keys and values that it shares; see
        :meth:`slide_together`.
    plan : Plan
        Where everything stands.
    words : Headline, optional
        The words over the room; see :meth:`say`.

    Examples
    --------
    ::

        world = World(self.layer, self.frame)
        self.camera.shot = world.shot("arc")
        self.play(world.arrive())
        self.play(world.forward(4))
        self.show("pattern[4] V[4]", origins=world.panels(4))
        self.play(*world.settle(self, 4))
    """

    def __init__(self, view: LayerView, frame: Frame) -> None:
        super().__init__()
        meta = view.trace.meta
        heads, group = range(meta.n_heads), meta.n_heads // meta.n_kv_heads
        self.view, self.plan = view, Plan(meta.n_heads, group, frame)
        self.cards = [
            HeadCard(
                head,
                head_tensor(view.head(head), "pattern"),
                self.plan.card(head),
                named=meta.n_heads <= MAX_NAMES,
            )
            for head in heads
        ]
        self.keys, self.values = (
            [self._plate(head, name, side) for head in heads]
            for side, name in enumerate(("k", "v"))
        )
        self.pairs = [Group(k, v) for k, v in zip(self.keys, self.values, strict=True)]
        theme = current_theme()
        self.lines = VGroup()
        for head in heads:
            line = VMobject(stroke_color=theme.ink, stroke_width=theme.line, stroke_opacity=0.0)
            self.lines.add(line.set_points_as_corners(self.plan.line(head, meta.n_heads)))
        self.beams = VGroup()
        # What is drawn later is in front, from every place inside of the arc.
        self.add(self.beams, self.lines, *self.cards, *self.pairs)
        self._order = {part: place for place, part in enumerate(self.split())}
        self._home = {member: member.copy() for member in self.family_members_with_points()}

    def stand(self, *front: Mobject) -> None:
        """Draw all in the order in which it stands in the room, and some parts in front of it."""
        parts = sorted(self.split(), key=lambda part: self._order.get(part, len(self._order)))
        self.remove(*parts)
        self.add(*(part for part in parts if part not in front), *front)

    def _plate(self, head: int, name: str, side: int) -> Plate:
        kv_head = self.view.trace.kv_head(head)
        first = next(h for h in range(head + 1) if self.view.trace.kv_head(h) == kv_head)
        tensor = head_tensor(self.view.head(head), name)
        return Plate(tensor, self.plan.plate(head, side), copy_of=None if first == head else first)

    @cached_property
    def latent(self) -> Plate:
        """The latent of the layer: the model's own, that of its conversion, or the fitted one.

        Raises
        ------
        StageError
            If the trace has none of this layer; the message names the command that adds it.
        """
        return Plate(LatentView.of(self.view).latent, self.plan.latent)

    # Places of the camera, and ways between the room and flat pictures

    def shot(self, name: str, head: int | None = None) -> Shot:
        """Return a place of the camera.

        Parameters
        ----------
        name
            "arc" (all heads), "card" (one head, face on), "plate" (its keys and values), "row"
            (from one end of the arc, three-quarter), "shared" (what stands in front) or "wall"
            (all cards, see :meth:`hang_up`).
        head
            Number of the head; the trace's own choice by default.

        Raises
        ------
        SceneCodeError
            If there is no such shot.
        """
        if name == "wall":
            return Shot((0.0, WALL, 0.0))
        featured = self.view.trace.meta.featured.head
        return self.plan.shot(name, featured if head is None else head)

    def panels(self, head: int) -> dict[str, Heatmap]:
        """Return the heatmaps of a head by their names in mosaics, with its number and without.

        They are the ``origins`` of :meth:`filmkit.pictures.stage.Stage.show`.
        """
        found = {name: cells for name, (cells, *_rest) in self._parts(head).items()}
        return found | {f"{name}[{head}]": cells for name, cells in found.items()}

    def settle(
        self,
        stage: Stage,
        head: int,
        shot: Shot | None = None,
        *,
        alone: bool = False,
        **kwargs: Any,
    ) -> list[Animation]:
        """Return animations that lead from a mosaic into the room.

        Parts of the mosaic that are panels of a head glide to their places there, the rest of the
        picture leaves, the rest of the room appears, and the camera moves.

        Parameters
        ----------
        stage
            The stage that shows the mosaic.
        head
            Number of the head.
        shot
            Where the camera ends; the shot of all heads by default.
        alone
            Whether the others stay away; :meth:`arrive` lets them rise.
        """
        starts: dict[Mobject, Mobject] = {}
        for name, (panel, body, home, inner) in self._parts(head).items():
            part = next(
                (stage.parts[n] for n in (name, f"{name}[{head}]") if n in stage.parts), None
            )
            if part is None or len(part.cells.blocks) > 1:
                continue
            starts[panel] = origin = part.cells.whole
            box = origin.box
            place = Place(box.center, 0.0, box.width / inner, box.height / inner)
            starts[body] = body.copy()
            starts[body].points = self._moved(body, home, place)
        kwargs.setdefault("run_time", current_theme().tempo.swing)
        taken = set(starts.values())
        rest = [part for part in stage.visible_parts() if part not in taken]
        return [
            _Entrance(self, starts, head if alone else None, **kwargs),
            *([Vanish(Group(*rest), rate_func=_early, **kwargs)] if rest else []),
            stage.move_camera(shot or self.shot("arc"), **kwargs),
        ]

    def _parts(self, head: int) -> dict[str, tuple[Heatmap, VMobject, Place, float]]:
        """Return panels of a head by their names in mosaics: cells, body, place, share of it."""
        card, pair = self.cards[head], (self.keys[head], self.values[head])
        found = {"pattern": (card.pattern, card.body, self.plan.card(head), 1 - 2 * INSET)}
        return found | {
            name: (plate.cells, plate.body, self.plan.plate(head, side), 1.0)
            for side, (name, plate) in enumerate(zip("KV", pair, strict=True))
        }

    # Movements

    def arrive(self, heads: Iterable[int] | None = None, **kwargs: Any) -> Animation:
        """Return an animation in which cards and plates rise from the floor, one after another.

        Parameters
        ----------
        heads
            Numbers of the heads; all by default, and all others stay as they are.
        """
        chosen = range(len(self.cards)) if heads is None else heads
        return _Rising(self, [[self.cards[head], self.pairs[head]] for head in chosen], **kwargs)

    def forward(self, head: int, shot: Shot | None = None, **kwargs: Any) -> Animation:
        """Return an animation in which a head comes forward and turns to the viewer.

        Parameters
        ----------
        head
            Number of the head.
        shot
            The camera's place; the shot of all heads by default.
        """
        target = shot or self.shot("arc")
        seen = self.plan.facing(head, target.focal)

        def brought(points: Points) -> Points:
            local = (points - seen.eye()) @ seen.rotation().T
            return np.asarray(target.eye() + local @ target.rotation())

        ends = self._at_home(head)
        for end in ends.values():
            end.points = brought(end.points)
            if isinstance(end, Heatmap):
                end.set_opacity(1.0)
        return _Travel(self, ends, front=(self.cards[head], self.pairs[head]), **kwargs)

    def back(self, head: int, **kwargs: Any) -> Animation:
        """Return an animation in which a head that has come forward goes back to its place."""
        return _Travel(self, self._at_home(head), **kwargs)

    def hang_up(self, room: Box, **kwargs: Any) -> Animation:
        """Return an animation in which all cards become a wall, high above the floor.

        Parameters
        ----------
        room
            What they fill of the frame in the shot "wall", in scene units.
        """
        ends: dict[Mobject, Mobject] = {}
        count = len(self.cards)
        columns = max(
            range(1, count + 1), key=lambda n: min(room.width / n, room.height / ceil(count / n))
        )
        lines = room.moved(0.0, WALL).split_rows(ceil(count / columns), WALL_GAP)
        boxes = [
            box.fit(1, 1)
            for first, line in zip(range(0, count, columns), lines, strict=True)
            for box in _middle(line, min(columns, count - first), columns)
        ]
        for card, box in zip(self.cards, boxes, strict=True):
            place = Place(box.center, 0.0, box.width, box.height)
            for member in (card.body, card.pattern):
                ends[member] = self._home[member].copy()
                ends[member].points = self._moved(member, self.plan.card(card.head), place)
        return _Travel(self, ends, **kwargs)

    def _at_home(self, head: int) -> dict[Mobject, Mobject]:
        """Return the members of a head, and copies of them as they are in their places."""
        members = Group(self.cards[head], self.pairs[head]).family_members_with_points()
        return {
            member: self._home[member].copy()
            for member in members
            if member is not self.cards[head].name
        }

    def slide_together(self, sets: int, **kwargs: Any) -> Animation:
        """Return an animation in which the plates of heads that share a set slide into one pair.

        Lines lead from it to the cards of these heads. Where a model has more sets than that, the
        numbers become the means of its heads'.

        Parameters
        ----------
        sets
            How many sets there are at the end: as many as heads for their places before the cards,
            1 for one pair in front.

        Raises
        ------
        StageError
            If keys and values of this model cannot be shared like that.
        """
        count = len(self.cards)
        targets: dict[Mobject, Mobject] = {}
        shared = SharedView.of(self.view, sets) if sets < self.view.trace.meta.n_kv_heads else None
        for side, plates in enumerate((self.keys, self.values)):
            for head, plate in enumerate(plates):
                number = head * sets // count
                alone = sets == count or head == -(-number * count // sets)
                place = (
                    self.plan.plate(head, side)
                    if sets == count
                    else self.plan.set_plate(number, sets, side)
                )
                end = self._home[plate.cells].copy()
                if shared is not None:
                    shared.set_of("kv"[side], number).fill(end)
                for member, target in (
                    (plate.body, self._home[plate.body].copy()),
                    (plate.cells, end),
                ):
                    targets[member] = target if alone else target.set_opacity(0.0)
                    target.points = self._moved(member, self.plan.plate(head, side), place)
        for head, line in enumerate(self.lines):
            targets[line] = line.copy().set_points_as_corners(self.plan.line(head, sets))
            targets[line].set_stroke(opacity=LINES * (sets < count))
        return _Travel(self, targets, **kwargs)

    def share_at_once(self, sets: int) -> None:
        """Let heads share so many sets of keys and values, and compute their patterns again.

        Raises
        ------
        StageError
            As for :meth:`slide_together`.
        """
        at_once(self.slide_together(sets))
        if sets < self.view.trace.meta.n_kv_heads:
            shared = SharedView.of(self.view, sets)
            for card in self.cards:
                shared.pattern(card.head).fill(card.pattern)

    def _moved(self, member: Mobject, home: Place, place: Place) -> Points:
        """Return a member's points at another place than its home."""
        local = (self._home[member].points - np.array(home.center)) @ home.axes.T
        return place.stand(local * [place.width / home.width, place.height / home.height, 1.0])

    def melt(self, **kwargs: Any) -> Animation:
        """Return an animation in which shared keys and values melt into the latent, row by row.

        They must stand in front, see :meth:`slide_together`.
        """
        return _Melting(self, **kwargs)

    def rebuild(self, made: Sequence[Mapping[str, Matrix]], **kwargs: Any) -> Animation:
        """Return an animation in which keys and values come to their places, row by row.

        Parameters
        ----------
        made
            For each head its keys ("k") and values ("v").
        """
        return _Rebuilding(self, made, **kwargs)

    def rays(self, on: bool = True, *, to_cards: bool = False, **kwargs: Any) -> Animation:
        """Return an animation of light that leads from what stands in front to all heads.

        Parameters
        ----------
        on
            Whether it grows from its source, or goes out.
        to_cards
            Whether it leads to the cards, not to the plates before them: for heads without plates.
        """
        if not self.beams.submobjects:
            for role in ("key", "value"):
                layers = VGroup(*(self._beam(current_theme().role(role)) for _width in BEAMS))
                self.beams.add(glow(layers, RAY_SHINE))
        return AnimateWith(
            self, lambda alpha: self._shine(alpha if on else 1 - alpha, to_cards), **kwargs
        )

    def _beam(self, colour: str) -> VMobject:
        """Return a path, empty as yet, that is brighter where it begins."""
        beam = filled([np.zeros((3, 3))], colour).set_sheen_direction(IN)
        red, green, blue, _opacity = beam.fill_rgbas[0]
        # Many lie on each other where they begin.
        fewer = min(1.0, MAX_NAMES / len(self.cards))
        beam.fill_rgbas = np.array([[red, green, blue, fewer * opacity] for opacity in BEAM])
        return beam

    def _shine(self, alpha: float, to_cards: bool) -> None:
        """Draw a share of the rays, 0 to 1."""
        for side, layers in enumerate(self.beams):
            for width, layer in zip(BEAMS, layers, strict=True):
                rays = [
                    self.plan.ray(card.head, side, width, alpha, to_card=to_cards)
                    for card in self.cards
                ]
                layer.points = outline_points(rays) if alpha > 0 else np.zeros((0, 3))

    def spotlight(self, *parts: Mobject, **kwargs: Any) -> list[Animation]:
        """Return animations that put some parts in full light, and the rest in half light.

        Parameters
        ----------
        *parts
            Cards, plates, pairs or panels; the world itself for all of it.
        """
        lit = {member for part in parts for member in part.get_family()}
        kwargs.setdefault("run_time", current_theme().tempo.small)

        def light(*members: Mobject) -> float:
            return 1.0 if lit.intersection(members) else HALF_LIGHT

        changes: list[Any] = [Presence(line, light(line), **kwargs) for line in self.lines]
        panels: list[HeadCard | Plate] = [*self.cards, *self._plates()]
        for part in panels:
            body = part.body
            others = [member for member in part.family_members_with_points() if member is not body]
            changes += [Presence(member, light(member), **kwargs) for member in others]
            if body.get_fill_opacity() > 0:
                # It hides what is behind it in any light: only its line gets darker.
                line = self._home[body].get_stroke_opacity() * light(body, *others)
                changes.append(body.animate(**kwargs).set_stroke(opacity=line))
        return changes

    def _plates(self) -> list[Plate]:
        return [*self.keys, *self.values]


def _early(alpha: float) -> float:
    return float(smooth(min(1.0, 2.5 * alpha)))


def _middle(line: Box, count: int, columns: int) -> tuple[Box, ...]:
    """Return the boxes of some of the columns of a line, in its middle."""
    pitch = (line.width + WALL_GAP) / columns
    part = Box(line.x, line.y, count * pitch - WALL_GAP, line.height)
    return part.split_columns(count, WALL_GAP)


def _opacity(member: Mobject) -> float:
    """Return the mean opacity of a panel, or that of what fills a shape."""
    if isinstance(member, Heatmap):
        return float(member.opacity * member.shown.mean())
    return float(max(member.get_fill_opacity(), member.get_stroke_opacity()))


class _Travel(InPlaceAnimation):
    """Change members of the room into copies of them: places, numbers, opacities, presence."""

    tempo = "large"

    def __init__(
        self,
        world: World,
        targets: Mapping[Mobject, Mobject],
        front: tuple[Mobject, ...] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(world, **kwargs)
        self.world, self.targets, self.front = world, targets, front
        names = {card.pattern: card.name for card in world.cards}
        # Lines stay behind all cards.
        solid = [member for member in targets if member not in world.lines.submobjects]
        self.members = [*solid, *filter(None, (names.get(member) for member in solid))]

    def begin(self) -> None:
        self.starts = {member: member.copy() for member in self.targets}
        for member, target in self.targets.items():
            if isinstance(member, Heatmap):
                member.source = target.source
        # In front of all others on the whole way, and of those that will be hidden.
        for member in self.members:
            member.set_z_index(1 + (_opacity(self.targets.get(member, member)) > 0))
        super().begin()

    def step(self, alpha: float) -> None:
        for member, target in self.targets.items():
            start = self.starts[member]
            member.points = (1 - alpha) * start.points + alpha * target.points
            if isinstance(member, Heatmap | VMobject):
                rises = _opacity(target) > _opacity(start)
                member.interpolate_color(
                    start, target, (first_half if rises else second_half)(alpha)
                )

    def finish(self) -> None:
        super().finish()
        for member in self.members:
            member.set_z_index(0)
        self.world.stand(*self.front)


class _Rising(InPlaceAnimation):
    """Let things rise from the floor, one after another."""

    tempo = "swing"
    LAG = 0.6  # share of the time in which things begin to rise
    DEPTH = 0.8  # from how far below they come, in scene units

    def __init__(self, world: World, units: list[list[Mobject]], **kwargs: Any) -> None:
        super().__init__(world, introducer=True, **kwargs)
        self.units, self.lines = units, world.lines

    def begin(self) -> None:
        self.homes = [
            {m: m.points.copy() for part in unit for m in part.family_members_with_points()}
            for unit in self.units
        ]
        super().begin()

    def interpolate_mobject(self, alpha: float) -> None:
        last = max(len(self.homes) - 1, 1)
        for i, home in enumerate(self.homes):
            begun = self.LAG * i / last
            risen = smooth(float(np.clip((alpha - begun) / (1 - self.LAG), 0, 1)))
            for member, points in home.items():
                if getattr(member, "anchor", None) is None:
                    member.points = points - [0, (1 - risen) * self.DEPTH, 0]
                member.presence = risen
        set_presence(self.lines, second_half(alpha))


class _Entrance(InPlaceAnimation):
    """Add a world in which some members look at first like others, which leave the scene."""

    def __init__(
        self, world: World, starts: Mapping[Mobject, Mobject], alone: int | None, **kwargs: Any
    ) -> None:
        super().__init__(world, introducer=True, **kwargs)
        self.starts = starts
        seen = world if alone is None else Group(world.cards[alone], world.pairs[alone])
        self.seen = set(seen.get_family())

    def _setup_scene(self, scene: Scene) -> None:
        scene.remove(*self.starts.values())
        super()._setup_scene(scene)

    def begin(self) -> None:
        self.ends = {member: member.copy() for member in self.starts}
        members = self.mobject.family_members_with_points()
        self.rest = [m for m in members if not isinstance(self.starts.get(m), Heatmap)]
        super().begin()

    def step(self, alpha: float) -> None:
        for member, start in self.starts.items():
            end = self.ends[member]
            member.points = (1 - alpha) * start.points + alpha * end.points
            if isinstance(member, Heatmap):
                member.interpolate_color(start, end, alpha)
        for member in self.rest:
            # What comes from nowhere comes last, when nothing passes before it any more.
            share = first_half(alpha) if member in self.starts else smooth(max(0, 4 * alpha - 3))
            member.presence = share * (member in self.seen)


class _RowByRow(InPlaceAnimation):
    """Change plates row by row."""

    tempo = "large"
    SOFT = 0.35  # share of the time that one row takes

    def __init__(self, world: World, **kwargs: Any) -> None:
        super().__init__(world, **kwargs)
        self.world = world

    def done(self, alpha: float) -> npt.NDArray[np.float64]:
        """Return how much of each row's change is done, (rows, 1)."""
        rows = self.world.view.count
        begun = (1 - self.SOFT) * np.arange(rows) / max(rows - 1, 1)
        return np.asarray(np.clip((alpha - begun) / self.SOFT, 0, 1)[:, None])


class _Melting(_RowByRow):
    """Let one pair of plates become the latent, row by row."""

    def begin(self) -> None:
        world = self.world
        world.add(world.latent)
        self.plates = [plate for plate in world._plates() if plate.cells.opacity > 0]
        super().begin()

    def step(self, alpha: float) -> None:
        latent, molten = self.world.latent, self.done(alpha)
        latent.cells.set_shown(molten)
        latent.body.set_opacity(alpha)
        for plate in self.plates:
            plate.cells.set_shown(1 - molten)
            plate.body.set_opacity(1 - alpha)


class _Rebuilding(_RowByRow):
    """Let plates come to their places with new numbers, row by row.

    Each is made, and none a copy: all have full light.
    """

    def __init__(self, world: World, made: Sequence[Mapping[str, Matrix]], **kwargs: Any) -> None:
        super().__init__(world, **kwargs)
        self.made = made

    def begin(self) -> None:
        for pair, made in zip(self.world.pairs, self.made, strict=True):
            for plate, name in zip(pair, "kv", strict=True):
                for member in (plate.body, plate.cells):
                    home = self.world._home[member]
                    member.points = home.points.copy()
                    member.interpolate_color(member, home, 1.0)
                made[name].fill(plate.cells).set_opacity(1.0)
        super().begin()

    def step(self, alpha: float) -> None:
        for plate in self.world._plates():
            plate.cells.set_shown(self.done(alpha))
            plate.body.presence = alpha
