"""What stands out in pictures by its light, computed again: lamps, plates, patterns, words, ways.

Of some things in a picture a few are lit: those that are meant. :func:`wrong_lights` says which of
them should not be lit, or are not although they should.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import numpy as np
import numpy.typing as npt
from manim import Mobject

from extract.facts.published import gpt2_trace
from filmkit.core.animations import presence
from filmkit.core.geometry import WORD_GAP, Box
from filmkit.core.language import QUESTION
from filmkit.core.stage import Stage
from filmkit.mobjects.chart import Curve
from filmkit.mobjects.flow import Wire
from filmkit.mobjects.marks import Highlight
from filmkit.mobjects.ribbon import outline_points
from filmkit.world.block import Solid
from filmkit.world.lamps import LampCard
from filmkit.world.world import World
from scenes.answer.parts import Lamps
from scenes.patterns.parts import STEP, Wall
from scenes.sparse.parts import HeadsAtWords
from tests.support.meanings import Seen
from tests.support.on_screen import role_of
from tests.support.references import (
    chosen_keys,
    habit,
    kv_heads,
    read_tokens,
    ridge,
    tests_won,
    work,
)

__all__ = ["lights_on", "wrong_lights"]

Array = npt.NDArray[np.float64]
FULL = 0.98  # presence of what is in full light, at least
SEEN = 0.05  # and of what is seen at all
NEAR = 2.0  # pixels by which the end of a way may miss what it leads to
READING = {"the_last_ones": "last", "the_first_one": "sink", "each_head_chooses": "best"}
"""What heads read in beats of `scene_sparse`."""


def wrong_lights(seen: Seen) -> Iterator[str]:
    """Yield a line for each thing in a picture of which something else is lit than should be."""
    for part in lights_on(seen.stage):
        for kind, wrong in LIGHTS.items():
            if isinstance(part, kind) and (fault := wrong(seen, part)):
                yield f"{type(part).__name__}: {fault}"


def lights_on(stage: Stage) -> list[Mobject]:
    """Return what can be lit on a stage, also where the scene keeps it whole and shows a part."""
    there = {part: None for each in stage.mobjects for part in each.get_family()}
    for kept in vars(stage).values():
        for each in kept if isinstance(kept, list | tuple) else [kept]:
            if isinstance(each, tuple(LIGHTS)) and not there.keys().isdisjoint(each.get_family()):
                there[each] = None
    return [part for part in there if isinstance(part, tuple(LIGHTS))]


def _told(lit: Collection[object], right: Collection[object]) -> str:
    """Return what is wrong about what is lit; "" if nothing is."""
    return "" if lit == right else f"{lit} are lit, not {right}"


def _keys_and_values(seen: Seen, world: Mobject) -> str:
    """In half light, those of one set of heads that share them are in full light."""
    assert isinstance(world, World)
    meta = seen.stage.trace.meta
    size = meta.n_heads // kv_heads(seen.stage)
    for plates in (world.keys, world.values):
        levels = [presence(plate.cells) for plate in plates]
        lit = [head for head, level in enumerate(levels) if level > FULL]
        if lit and any(SEEN < level < FULL for level in levels):
            first = lit[0] // size * size
            if fault := _told(lit, [*range(first, first + size)]):
                return fault
    return ""


def _patterns(seen: Seen, wall: Mobject) -> str:
    """Where some patterns of a wall are darker, those are bright that rest at the first token."""
    assert isinstance(wall, Wall)
    if presence(wall[0]) < SEEN:
        return ""
    step = round(STEP / wall.cell)
    axis = int(wall.upright)
    shown = [pane.cells.shown for pane in wall]
    tiles = [np.split(cells, cells.shape[axis] // step, axis) for cells in shown]
    levels = np.array([[tile.max() for tile in each] for each in tiles])
    if levels.min() > FULL:
        return ""
    trace = gpt2_trace() if wall[0].cells.source.model else seen.stage.trace
    right = np.argwhere(habit(trace, "sink") > 0.5)
    return _told(np.argwhere(levels > FULL).tolist(), right.tolist())


def _lamps(seen: Seen, card: Mobject) -> str:
    """As many lamps burn, if any, as the number before them keeps busy."""
    assert isinstance(card, LampCard)
    busy = {
        "key": 1,  # of a key that each head has for itself
        "latent": round(work(seen.stage)),
        "": 1,  # a number that is on its way
    }
    number = getattr(card, "number", None)
    role = role_of(seen.stage, number) if isinstance(number, Solid) else ""
    burning = len(card.lit.points) // len(outline_points(card.places[:1]))
    if len(card.places) != round(ridge()):
        return f"there are {len(card.places)} lamps, not {round(ridge())}"
    return "" if burning in (0, busy[role]) else f"{burning} burn, not {busy[role]}"


def _tests(seen: Seen, lamps: Mobject) -> str:
    """Where a row and a column of names cross, the lamp of a test burns that was won."""
    assert isinstance(lamps, Lamps)
    lit = [lamp for lamp in lamps.by_test.values() if lamp.get_fill_opacity() > FULL]
    if not lit:
        return ""
    own = [block for block in seen.blocks if block.lines[0] in lamps.submobjects]
    names = [block for block in own if block.text != "tests"]

    def name_of(lamp: Mobject) -> frozenset[str]:
        (x, y), *_others = seen.stage.camera.pixels(lamp, lamp.get_center()[None])
        row = min(names, key=lambda block: abs(block.box.y - y))
        column = min(names, key=lambda block: abs(block.box.x - x))
        return frozenset((row.text, column.text))

    return _told({name_of(lamp) for lamp in lit}, tests_won())


def _words(seen: Seen, heads: Mobject) -> str:
    """Where heads read few words, cells of the others are masked, and latents dark."""
    assert isinstance(heads, HeadsAtWords)
    _kept, given = chosen_keys(seen.stage, "best")
    first = seen.stage.layer.first
    starts = sorted({0, *range(first, given.shape[1])})
    most = np.add.reduceat(given.sum(axis=0), starts)
    if heads.panels[0] not in seen.stage.get_mobject_family_members():
        bright = [tile.get_fill_opacity() > FULL for tile in heads.latents]
        right = (most >= np.sort(most)[-read_tokens(seen.stage)]).tolist()
        return _told(bright, right) if any(bright) else ""
    masked = np.array([panel.masked.ravel() for panel in heads.panels]).T
    if not masked.any() or presence(heads.panels[0]) < SEEN:
        return ""
    beat = seen.stage.playing.removeprefix(QUESTION)
    if seen.stage._question is not None:
        # A question is asked over what the beat before it has left.
        names = seen.stage.beat_names(seen.stage.trace, questions=False)
        beat = names[names.index(beat) - 1]
    if beat not in READING:
        return f"nobody says what is read in {beat}"
    kept, given = chosen_keys(seen.stage, READING[beat])
    read, all_ = (np.add.reduceat(rows, starts, axis=1) for rows in (kept, given))
    share = np.divide(read, all_, out=np.zeros_like(read), where=all_ > 0)
    if (wrong := np.abs(1 - share - masked) > 1e-6).any():
        return f"{wrong.sum()} cells are masked, or not, that should not be"
    ink = seen.stage.theme.ink.lower()
    lit = [word.get_fill_color().to_hex().lower() == ink for word in heads.words]
    return _told(lit, share.any(axis=0).tolist())


def _way(seen: Seen, wire: Mobject) -> str:
    """A way leads from something that is framed, or written, to something else that is."""
    assert isinstance(wire, Wire)
    if isinstance(wire, Curve):
        return ""  # it leads through data
    pixels = seen.stage.camera.pixels
    frames = [
        Box.between(corners.min(axis=0), corners.max(axis=0))
        for each in seen.stage.mobjects
        for frame in each.get_family()
        if isinstance(frame, Highlight)
        for corners in [pixels(frame, frame.get_vertices())]
    ]
    scale = seen.stage.camera.pixel_height / seen.stage.frame.height
    texts = [block.box.grown(1.5 * WORD_GAP * scale) for block in seen.blocks]
    ends = wire.line.points[[0, -1]]
    if wire.tip is not None:
        ends[1] = wire.tip.points[0]
    for end in pixels(wire, ends):
        written = any(box.contains(Box(*end, 0.0, 0.0)) for box in texts)
        if not written and not any(_on_edge(end, box) for box in frames):
            return f"an end at {end.round().tolist()} is at nothing that is framed"
    return ""


def _on_edge(point: Array, box: Box) -> bool:
    """Whether a point lies on the edge of a box."""
    x, y = point
    aside = max(box.left - x, x - box.right)
    over = max(box.bottom - y, y - box.top)
    return bool(abs(max(aside, over)) <= NEAR)


LIGHTS: dict[type[Mobject], Callable[[Seen, Mobject], str]] = {
    World: _keys_and_values,
    Wall: _patterns,
    LampCard: _lamps,
    Lamps: _tests,
    HeadsAtWords: _words,
    Wire: _way,
}
"""For each kind of thing what tells which of it are lit wrongly; "" if none are."""
