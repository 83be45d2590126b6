"""All attention patterns of the model as one wall, heads with a habit, and how many more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from manim import RIGHT, UP, Group, LaggedStart, Mobject

from extract.attention.patterns import first_token_weight
from extract.facts.published import gpt2_trace, has_published_twin
from extract.trace import Trace
from filmkit.core.animations import Appear, MoveCamera, ShowCells, first_half, second_half
from filmkit.core.body import turned
from filmkit.core.camera import Shot
from filmkit.core.facts import claim, named_facts
from filmkit.core.language import _
from filmkit.core.light import glow, mirrored
from filmkit.core.numbers import counted_heads, counted_layers, counted_patterns
from filmkit.core.seats import Seat
from filmkit.core.stage import beat
from filmkit.core.text import Label
from filmkit.core.view import LayerView
from filmkit.pictures.bodies import Pane, number_at
from filmkit.pictures.stage import Stage
from filmkit.pictures.tensors import head_matrix
from filmkit.world.published import LARGE, LARGE_NAME
from scenes.patterns.parts import STEP, Plain, Wall, prompt_patterns

Place: TypeAlias = tuple[float, float, float]
View: TypeAlias = tuple[Place, Place, float]

# Places at a wall: along it from the first layer to the last one, across it, and away from it, the
# last two in its shorter sides. With a lens they are where the eye is, and what it looks at.
LAST = (1.0, 0.3, 0.72), (0.76, 0.36, 0.0), 0.7
FIRST = (0.1, 0.3, 0.55), (0.3, 0.38, 0.0), 0.9
ALL = (0.7, 0.5, 1.3), (0.57, 0.32, 0.0), 0.7
BOTH = Seat(-20.0, 10.0, 0.6, (0.9, 0.6))
OVER = (0.6, 1.4, 0.6), (0.5, 0.0, -1.0), 0.9
# The same in upright frames.
TALL_FIRST = (0.02, -0.3, 1.2), (0.4, 0.0, 0.0), 0.9
TALL_BOTH = Seat(-3.0, -28.0, 0.85, (0.0, 0.0))

FEWEST, LONG = 6, 3  # heads, and layers for each of them, from which on walls are so seen
SIDE_SEAT = Seat(18.0, 12.0, 1.0, (0.0, -0.4))  # from where others are seen
TURN, TALL_TURN = -40.0, -25.0  # of the wall of another model, in degrees

WIDEST = 1.0  # of a line above a wall, in widths of that wall
LINES = 0.13, 0.07  # height of lines before a wall, as shares of the frame's height
LOW, LOWER = -0.88, -1.5  # where they stand, or would before they are in the frame, from its middle
MARGIN = 0.85  # where they end at the right, at most, as a share of half the frame's width
LAST_ONES = 2  # layers of a wall that are seen beside the other one
LONGEST = 4.8  # length of a number of heads, at most, in heights of its line
SEEN = 0.5  # seconds after which a number is seen that is said
RESTS = 0.5  # a head rests if it gives the first token more than this share
SEVERAL = 8  # resting heads from which on there are wrong answers to choose from
SHINE = 0.9  # how much light a wall gives
DIM = 0.2  # opacity of patterns that are not meant


def resting_heads(trace: Trace) -> npt.NDArray[np.bool_]:
    """Return which heads give the first token more than half of their attention."""
    return np.asarray(first_token_weight(prompt_patterns(trace)) > RESTS)


def fitted(label: Label, width: float) -> Label:
    """Return a label that is not wider than so many scene units: made smaller, if it is."""
    return label.scale(min(1.0, width / label.width))


def has_twin(trace: Trace) -> bool:
    """Return whether GPT-2's patterns on the whole prompt of a trace are there to compare."""
    return has_published_twin(trace) and not trace.meta.rows


class Patterns(Stage):
    """One head's pattern, all of them, heads with a habit, and how many a large model has."""

    title = "Every head’s pattern on one wall"
    tensors = ("pattern",)
    draws_start = True
    live = "patterns"

    def prepare(self) -> None:
        meta = self.trace.meta
        self.rests = resting_heads(self.trace)
        resting, total = int(self.rests.sum()), self.rests.size
        self.facts |= named_facts(
            layers=(meta.n_layers, counted_layers),
            heads=(meta.n_heads, counted_heads),
            total=(total, counted_patterns),
            all=total,
            first=claim(meta.has_bos, _("the start token"), _("the first word")),
            resting=resting,
            few=resting // SEVERAL,
            some=resting // 2,
            many_layers=(LARGE.n_layers, counted_layers),
            many_heads=(LARGE.n_heads, counted_heads),
            many=(LARGE.n_layers * LARGE.n_heads, counted_patterns),
        )
        self.facts["large"] = LARGE_NAME
        self.wall = self._wall(self.layer)
        if has_twin(self.trace):
            other = replace(
                LayerView.of_prompt(gpt2_trace(), None, show_first_token=True), compared=True
            )
            self.twin_rests = resting_heads(other.trace)
            self.facts |= named_facts(
                gpt2=other.trace.meta.model,
                twin_all=self.twin_rests.size,
                twin_resting=int(self.twin_rests.sum()),
            )
            self.twin = self._wall(other, turn=TALL_TURN if self.frame.upright else TURN)

    def _wall(self, view: LayerView, turn: float = 0.0) -> Wall:
        """Return the wall of a model; one that is turned stands to the right of this model's."""
        upright, at = self.frame.upright, np.zeros(3)
        if turn:
            wide = STEP * (view.trace.meta.n_heads if upright else view.trace.meta.n_layers) / 2
            along, away = wide * np.cos(np.radians(turn)), -wide * np.sin(np.radians(turn))
            at[:] = self.wall.size[0] / 2 + along + STEP, 0.0, away + STEP / 4
        return glow(mirrored(Wall(view, upright=upright, at=at, turn=turn)), SHINE)

    def variant(self, beat: str) -> str:
        return "many" if int(self.rests.sum()) >= SEVERAL else "few"

    def provenance_notes(self) -> tuple[str, str]:
        about, hidden = super().provenance_notes()
        published = has_twin(self.trace) and gpt2_trace().meta.published
        if self.playing == "the_same_words" and published:
            model = self.facts["gpt2"]
            about = about.replace(model, _("{model}, published values", model=model))
        if self.playing == "many_more":
            model, total = self.trace.meta.model, self.facts["total"]
            about = about.replace(model, f"{model}  ·  " + _("its {total}, repeated", total=total))
        return about, hidden

    # Places at the wall

    @property
    def unit(self) -> float:
        """Length of the wall's shorter side."""
        return float(self.wall.size[0 if self.frame.upright else 1])

    def _at(self, along: float, across: float, away: float) -> npt.NDArray[np.float64]:
        """Return a place at the wall as a point (3,) of the room."""
        length, unit = float(self.wall.size.max()), self.unit
        if self.frame.upright:
            return np.array([across * unit, along * length, away * unit])
        return np.array([(along - 0.5) * length, across * unit, away * unit])

    def _of_last_floors(self, number: Mobject, turn: float) -> MoveCamera:
        """Return the way to the seat over the last layers, which are on top in upright frames."""
        floors = self.wall[-2 - self.trace.meta.n_heads :]
        return self.see_from(Seat(turn, 15, 0.8, (0.0, 0.9)), *floors, number)

    @property
    def _is_long(self) -> bool:
        layers, heads = self.rests.shape
        return bool(heads >= FEWEST and layers >= LONG * heads)

    def _view(self, view: View) -> Shot:
        """Return the shot of a view, or one that shows all of the wall, where that is too short."""
        if not self._is_long:
            return self.see_from(SIDE_SEAT, self.wall).shot
        eye, at, lens = view
        return Shot.looking(self._at(*eye), self._at(*at), lens)

    def _with_lines(self, view: View, left: float, *lines: str) -> tuple[Shot, Group]:
        """Return the shot of a view of the wall, and lines that stand before it."""
        if not self._is_long:
            return self._from_seat(SIDE_SEAT, (self.wall,), left, *lines)
        shot = self._view(view)
        return shot, self._before(shot, left, LOW, *lines)

    def _from_seat(
        self, seat: Seat, walls: Iterable[Mobject], left: float, *lines: str
    ) -> tuple[Shot, Group]:
        """Return the shot from a seat of walls and of lines that stand before them, and these."""
        texts = self._before(self.see_from(seat, *walls).shot, left, LOWER, *lines)
        return self.see_from(seat, *walls, texts).shot, texts

    def _before(self, shot: Shot, left: float, foot: float, *lines: str) -> Group:
        """Return lines that stand on the floor and face the eye of a shot.

        They begin at a place of the frame, which is given in shares of its half from the middle.
        """
        wide = self.frame.width / self.frame.height
        ray = np.array([left * wide, foot, -2 * shot.focal]) @ shot.rotation()
        eye = shot.eye()
        length = float(eye[1] / -ray[1])
        corner, height = eye + length * ray, 2 * length  # the height is that of the frame there
        texts = Group()
        for line, size in reversed([*zip(lines, LINES, strict=False)]):
            label = number_at(line, (0, 0, 0), "stands", size=size * height)
            fitted(label, (MARGIN - left) / 2 * wide * height)
            label.points = turned(label.points + label.width / 2 * RIGHT, shot.theta) + corner
            corner = corner + size * height * UP
            texts.add(label)
        return Group(*texts[::-1])

    def _count(self, wall: Wall, number: str, name: str, size: float, turn: float) -> Group:
        """Return a number and a name below it, which stand on top of a wall."""
        at = wall[-1].top + (0.8 * size + STEP) * UP
        first = fitted(number_at(number, at, "stands", size=size, turn=turn), LONGEST * size)
        second = number_at(name, at, "stands", size=0.7 * size, turn=turn)
        fitted(second, WIDEST * wall.size[0])
        return Group(first, second.shift([0.0, -0.8 * size, 0.0]))

    # The wall

    @beat(title="The whole model")
    def one_of_many(self) -> None:
        """That was one of {layers}. From the first to the last, the model makes of these few words
        [{total}]."""
        layer, wall, unit = self.layer.layer, self.wall, self.unit
        x, y, _z = wall.tile(layer, self.head.head).mean(axis=0).tolist()
        if self.frame.upright:
            top = self._at(1.03, 0.0, 0.0)
            number: Mobject = number_at(
                self.facts["total"], top, "stands", size=0.13 * unit, turn=-20
            )
            end = self._of_last_floors(number, -25).shot
            first = self._view(TALL_FIRST)
        else:
            first = self._view(FIRST)
            end, number = self._with_lines(LAST, -0.83, self.facts["total"])
        self.camera.shot = Shot((x, y, 0.0), height=1.6)
        self.add(wall[layer])
        others = sorted(set(range(len(wall))) - {layer}, key=lambda other: abs(other - layer))
        panes = [Appear(wall[other], run_time=0.6) for other in others]
        arrive = [LaggedStart(*panes, lag_ratio=0.15)] if panes else []
        away = Shot((x, y, 0.0), height=0.7 * unit)
        self.play(*arrive, self.move_camera(end, past=[away, first], run_time=7.4))
        self.add(wall)
        self.wait_for("total")
        self.play(Appear(number, run_time=SEEN), self.light_up(number))

    @beat(
        title="A place to rest",
        ask={
            "many": "How many of {all} heads give {first} most of their attention: [{few}], "
            "[{some}] or [{resting}]?",
            "few": "How many of {all} heads give {first} most of their attention?",
        },
        answer="resting",
        choice="{choice} of {all} heads",
    )
    def a_place_to_rest(self) -> None:
        """A head with nothing to look for can rest there: it gets more than half in [{resting}] of
        {all}."""
        resting = _("{resting} of {all}", resting=self.facts["resting"], all=self.facts["all"])
        told = _("heads rest on {first}", first=self.facts["first"])
        if self.frame.upright:
            number = self._count(self.wall, resting, told, 0.14 * self.unit, 20)
            shot = self._of_last_floors(number, 25).shot
        else:
            shot, number = self._with_lines(ALL, -0.62, resting, told)
        self.add(self.wall)
        self.play(*self.leave(self.wall), self.move_camera(shot, run_time=6.4))
        self.wait_for("resting")
        self._light(self.wall, self.rests, number)

    def _resting_cells(self, wall: Wall, rests: npt.NDArray[np.bool_]) -> list[npt.NDArray[Any]]:
        """Return the opacity of the cells of each pane where heads that do not rest are dim."""
        return [wall.lit(levels) for levels in np.where(rests, 1.0, DIM)]

    def _light(self, wall: Wall, rests: npt.NDArray[np.bool_], number: Mobject) -> None:
        """Let the patterns of some heads, (layers, heads), stay lit alone, and a number appear."""
        self.play(
            *(
                ShowCells(pane.cells, cells, run_time=1.0)
                for pane, cells in zip(wall, self._resting_cells(wall, rests), strict=True)
            ),
            Appear(number, run_time=SEEN),
            self.light_up(number),
        )

    @beat(when=has_twin, title="GPT-2")
    def the_same_words(self) -> None:
        """{gpt2} reads the same words with the same habit: [{twin_resting}] of {twin_all} heads."""
        text = _(
            "{resting} of {all}", resting=self.facts["twin_resting"], all=self.facts["twin_all"]
        )
        told = _("heads of {gpt2}", gpt2=self.facts["gpt2"])
        if self.frame.upright:
            side = float(self.twin.size.min())
            number = self._count(self.twin, text, told, 0.16 * side, -2.4)
            shot = self.see_from(TALL_BOTH, *self.wall, self.twin, number).shot
        else:
            walls = *self.wall[-LAST_ONES:], self.twin
            shot, number = self._from_seat(BOTH, walls, 0.12, text, told)
        for pane, cells in zip(self.wall, self._resting_cells(self.wall, self.rests), strict=True):
            pane.cells.set_shown(cells)
        self.add(self.wall)
        self.play(*self.leave(self.wall), Appear(self.twin), self.move_camera(shot, run_time=4))
        self.wait_for("twin_resting")
        self._light(self.twin, self.twin_rests, number)

    # Many more

    @beat(title="In {large}")
    def many_more(self) -> None:
        """In {large}, {many_layers} of {many_heads} make [{many}] for every prompt."""
        shape = LARGE.n_layers, LARGE.n_heads
        plain = glow(Plain(self.layer, shape, near=6.0), 0.6)
        pattern = head_matrix(self.head, "pattern")
        assert pattern is not None
        left = -0.3 if self.frame.upright else -1.6
        pane = Pane(pattern, height=1.5, told=pattern.name).put((left, 0, 0.6), turn=12)
        pane.is_light = True
        pane.cells.set_masked(0.0).set_shown(np.tri(self.layer.count))
        there = self.leave(rate_func=second_half)
        over = self._view(OVER)
        shot = Shot.looking([0, 2.2, 5], [0, 0.0 if self.frame.upright else 1.2, -6], 0.9)
        self.play(
            *there,
            Appear(plain, rate_func=first_half),
            Appear(pane),
            self.light_up(pane),
            self.move_camera(shot, past=[over], run_time=3.6),
            run_time=3.6,
        )
        far, size = (-22, 1.9) if self.frame.upright else (-9, 2.4)
        number = number_at(self.facts["many"], (0.0, 2.1, far), "stands", size=size)
        fitted(number, 1.35 * LONGEST * size)
        self.wait_for("many")
        self.play(Appear(number, run_time=SEEN))
