"""All heads of a layer: on a ring around us, and what they make together."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np
from manim import UP, Group, smooth

from extract.trace import Trace
from filmkit.core.animations import AnimateWith, Appear, ShowCells, Vanish
from filmkit.core.camera import Shot
from filmkit.core.facts import named_facts
from filmkit.core.geometry import FRAME_HEIGHT
from filmkit.core.language import _
from filmkit.core.light import mirrored
from filmkit.core.numbers import counted_heads, counted_patterns
from filmkit.core.seats import Seat
from filmkit.core.stage import beat
from filmkit.core.text import Symbol
from filmkit.core.token_text import printable
from filmkit.core.view import best_match
from filmkit.pictures.bodies import Relief, Slab, number_at
from filmkit.pictures.flows import Flow, Strip
from filmkit.pictures.parts import Matrix
from filmkit.pictures.stage import Stage
from filmkit.pictures.tensors import head_tensor
from scenes.heads.parts import SIDE, Ring

# Angles in degrees; lengths in scene units, on the ring in its radii, but for heights.
APART, ROUND = 35.0, 280.0  # from head to head on the ring, and from the first to the last, at most
OPEN, TALL_OPEN, HALF_ROUND = 12.0, 18.0, 130.0  # the same where the ring is open

# The walk inside the ring: where the eye is, and at which angle and height it looks. Heights are
# shares of that of the middle of a pattern.
WALK = (
    ((0.35, 1.15, 0.9), -150.0, 0.53),
    ((0.3, 0.53, 0.2), -130.0, 0.71),
    ((0.0, 0.44, -0.3), -30.0, 0.71),
    ((-0.3, 0.8, 0.0), 75.0, 0.66),
    ((0.33, 0.66, 0.5), 42.0, 0.73),
)
AT_ONE = Seat(-12, 10, 1.2, (0.0, 0.6))  # from where one head is seen
FROM = -30.0  # from where the camera comes to it
AT_OUTPUT = Seat(-6, 32, 1.1, (0.3, -0.6))  # and what they make together
AROUND = Seat(6, 28, 1.0, (0.0, 0.0))  # from where the whole ring is seen
LENS, TALL_LENS = 0.85, 0.6
Place: TypeAlias = tuple[float, float, float]


def even(share: float) -> float:
    """Return how far a flight is after a share of its time: slow only at both ends."""
    return float(0.5 * (share + smooth(share)))


LEAST = 0.023  # height of a word that can be read, as a share of the frame's shorter side
NINE = 9  # heads from which on all is larger that stands before them
SEEN = 0.5  # seconds after which a number is seen that is said
FAINT = 0.3  # opacity of rows that are not meant
LETTERS = 0.24, 0.34  # height of words at rows, at most, and of names


def has_copies(trace: Trace) -> bool:
    """Return whether some heads have equal keys and values."""
    return trace.meta.n_kv_heads < trace.meta.n_heads


class Heads(Stage):
    """From one head to all heads of its layer, and to what they make together."""

    title = "Many heads, one output"
    tensors = ("x", "q", "q_rot", "k", "k_rot", "v", "pattern", "z", "out")
    draws_start = True

    def prepare(self) -> None:
        layer, meta = self.layer, self.trace.meta
        self.query = best_match(self.head)[0]
        self.facts |= named_facts(
            heads=(meta.n_heads, counted_heads),
            patterns=(meta.n_heads, counted_patterns),
            width=meta.d_model,
            query=printable(layer.words[self.query]),
        )
        others = max(1, meta.n_heads - 1)
        self.apart = min(APART, ROUND / others)
        self.open = min(TALL_OPEN if self.frame.upright else OPEN, HALF_ROUND / others)
        self.ring = mirrored(Ring(layer, self.apart))
        self.mine = self.ring.heads[self.head.head]

    def variant(self, beat: str) -> str:
        return "shared" if has_copies(self.trace) else "own"

    # The ring

    @beat(title="A head at a glance")
    def one_head_on_a_card(self) -> None:
        """This is one head: its pattern, and before it the [keys] and the [values] that it works
        with."""
        self.ring.stand(self.apart, spread=0.0, first=self.head.head)
        head, words, theme = self.mine, self.layer.words, self.theme
        names = Group()
        for pane, name, colour in (
            (head.pattern, _("pattern: who reads whom"), theme.ink),
            (head.keys, _("keys: how a word is found"), theme.key),
            (head.values, _("values: what it hands on"), theme.value),
        ):
            lies = "floor" if self.frame.upright else "stands"
            label = number_at(name, (0, 0, 0), lies, size=LETTERS[1], colour=colour)
            if self.frame.upright:
                place = head.values.at((0.0, 0.0, 0.7 + 0.6 * len(names)))
            else:
                # The pattern is high: its name is beside its middle.
                high = SIDE / 2 if pane is head.pattern else 0.0
                place = pane.at((SIDE / 2 + 0.3 + label.width / 2, high, 0.0))
            names.add(label.shift(place))
        pitch, labels = SIDE / len(words), Group()
        size = min(0.8 * pitch, LETTERS[0])
        left, top, back = head.pattern.at((-SIDE / 2 - pitch, SIDE, 0.0)).tolist()
        for number, word in enumerate(words):
            label = number_at(printable(word), (0, 0, 0), "stands", size=size)
            at = (left - label.width / 2, top - (number + 0.75) * pitch, back)
            labels.add(label.shift(at))
        self.names = Group(labels, names)
        seat = self.see_from(AT_ONE, head, self.names, run_time=3.2)
        self.camera.shot = replace(seat.shot, height=1.2 * seat.shot.height, theta=FROM)
        if size < LEAST * seat.shot.height * self.frame.shorter_side / self.frame.height:
            # Words of many rows are too small to be read.
            labels.remove(*labels)
        # What comes from another scene arrives while the camera rests.
        self.play(Appear(head, run_time=0.8), self.light_up(head.pattern))
        self.play(seat, Appear(labels), Appear(names[0]))
        for mark, name in zip(("keys", "values"), names[1:], strict=True):
            self.wait_for(mark)
            self.play(Appear(name, run_time=SEEN))

    @beat(when=lambda trace: trace.meta.n_heads > 1, title="Side by side")
    def all_heads_slide_in(self) -> None:
        """All on the same words, and side by side, a layer runs [{heads}]."""
        ring, first = self.ring, self.head.head
        ring.stand(self.apart)
        count = number_at(self.facts["heads"], (0, 0, 0.3), "floor", size=0.28 * ring.radius)
        # The nearest ones may reach beyond the frame.
        seat = self.see_from(AROUND, *(ring.heads[1:-1] or ring.heads), count, run_time=4.4)
        ring.stand(self.apart, spread=0.0, first=first)
        others = [head for head in ring.heads if head is not self.mine]
        self.add(self.mine)
        self.play(
            *self.leave(self.mine, run_time=0.6),
            *(Appear(head, run_time=0.6) for head in others),
            AnimateWith(
                ring,
                lambda share: ring.stand(self.apart, spread=share, first=first),
                run_time=4.4,
            ),
            seat,
        )
        self.wait_for("heads")
        self.play(Appear(count, run_time=SEEN), self.light_up(count))

    @beat(
        when=lambda trace: trace.meta.n_heads > 1,
        title="{patterns}",
        shared="Each of them asks with its own queries, so each has its own pattern. In this model "
        "neighbours have equal keys and values: what that saves comes later.",
        own="Each of them asks with its own queries, and finds by its own keys. So each has its "
        "own pattern of the same words.",
    )
    def along_the_heads(self) -> None:
        lens = TALL_LENS if self.frame.upright else LENS
        self.ring.stand(self.apart)
        self.add(self.ring)
        shots = [self._inside(*place, lens) for place in WALK]
        self.play(
            *self.leave(self.ring),
            self.light_up(self.ring.heads[len(self.ring.heads) // 2].values, run_time=4),
            self.move_camera(shots[-1], past=shots[:-1], run_time=10, rate_func=even),
        )

    def _inside(self, eye: Place, angle: float, height: float, lens: float) -> Shot:
        """Return the shot from a place inside the ring to its glass at an angle."""
        turn, radius, middle = np.radians(angle), self.ring.radius, self.mine.pattern.middle[1]
        size = np.array([radius, middle, radius])
        return Shot.looking(size * eye, size * [np.sin(turn), height, -np.cos(turn)], lens)

    # The output

    @beat(title="Output matrix")
    def one_output(self) -> None:
        """For “{query}”, each head hands on a row of its own. A last matrix, W_O, mixes them all
        into one: [{width}] numbers."""
        ring, trace, theme = self.ring, self.trace, self.theme
        upright = self.frame.upright
        ring.stand(self.open)
        rows = [head_tensor(self.layer.head(head), "z") for head in range(len(ring.heads))]
        unit = Relief.unit_of(*(row.values[self.query] for row in rows), height=1.2)
        outputs = []
        for row, head in zip(rows, ring.heads, strict=True):
            relief = Relief.of(row, self.query, unit=unit, width=SIDE, depth=0.2, role="value")
            relief.points = head.values.points + 0.5 * UP
            outputs.append(relief)
        count = len(outputs)
        size = max(1.0, count / NINE)
        near, step = (8.0 * size, 9.0 * size) if upright else (3.6 * size, 5.0 * size)
        told = _("one row from each head")
        shares = np.full(count, 1 / count)
        strip = Strip(shares, colours=theme.value, size=(7 * size, 0.1, 0.6), told=told)
        strip.set_boxes(strip.boxes, theme.value).put((0, 0, near))
        slab = Slab("", width=7.4 * size, height=1.7 * size, thickness=0.5)
        slab.lay(Symbol("W_O", size=1.2 * size / FRAME_HEIGHT)).put((0, 0, near + 0.6))
        wide = (11.0 if upright else 15.0) * size
        base = Strip([1.0], size=(wide, 0.06, 0.2), told=_("one row")).put((0, 0, near + step))
        out = Matrix(
            self.layer.rows("out"),
            source=self.layer.source("out", (0, trace.meta.d_model)),
            rows="token",
            words=self.layer.words,
        )
        made = Relief.of(out, self.query, width=wide, height=1.5 * size, depth=0.3)
        made.put((0, 1.1 * size, near + step))
        for body in (*outputs, slab, made):
            body.is_light = True
        text = _(
            "{width} numbers for “{query}”", width=self.facts["width"], query=self.facts["query"]
        )
        name = number_at(text, (0, 0, near + step + 1.6 * size), "floor", size=0.08 * wide)
        patterns = [head.pattern for head in ring.heads]
        shot = self.see_from(AT_OUTPUT, *outputs, *patterns, made, name)
        enters, leaves = Flow(outputs, strip), Flow([slab], base)
        ring.stand(self.apart)
        self.add(ring)
        turned = AnimateWith(
            ring, lambda share: ring.stand(self.apart + share * (self.open - self.apart))
        )
        self.play(*self.leave(ring), turned, shot, run_time=2.6)
        meant = np.where(np.arange(self.layer.count)[:, None] == self.query, 1.0, FAINT)
        self.play(
            *(Vanish(Group(head.keys, head.values)) for head in ring.heads),
            *(ShowCells(pane.cells, pane.cells.shown * meant) for pane in patterns),
            *(relief.grow() for relief in outputs),
            run_time=1.2,
        )
        self.play(enters.pour(), Appear(strip), Appear(slab), self.light_up(slab), run_time=2.6)
        self.play(leaves.pour(), Appear(base), made.grow(), run_time=2.4)
        self.wait_for("width")
        self.play(Appear(name, run_time=SEEN))
