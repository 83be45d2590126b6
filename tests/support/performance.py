"""Play a scene once, without drawing its motion, and note all that every scene must keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from itertools import combinations
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from manim import Mobject, Scene

from extract.facts.published import gpt2_trace
from extract.trace import Trace
from filmkit.core.beat_records import BeatRecord
from filmkit.core.body import Body
from filmkit.core.camera import Shot
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.picture_map import PanelItem, panels_on, picture_map, texts_on
from filmkit.core.quantities import PanelCheck, described
from filmkit.core.renderer import FrameReceiver
from filmkit.core.stage import Stage
from filmkit.core.stage_settings import StageSettings
from filmkit.render.quality import Quality
from filmkit.render.runner import manim_config
from filmkit.tools.checks import MIN_TEXT, SLACK, letters_overlap, words_on_panels
from tests.support.contrast import low_contrast
from tests.support.figures import false_facts, misplaced, stray_figures
from tests.support.lights import lights_on, wrong_lights
from tests.support.meanings import Seen, is_named, misnamed, misnamed_words
from tests.support.notes import untrue_notes
from tests.support.staging import HEIGHT, MIN_PRESENCE, BeatPicture, complaints

__all__ = [
    "BLOCK",
    "BeatNotes",
    "Performance",
    "jump",
    "noting_time_updaters",
    "perform",
    "uneven_axes",
]

BLOCK = 8  # side of the squares of which pictures are compared, in pixels

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class BeatNotes:
    """What was noted of one beat.

    Attributes
    ----------
    record
        Name, narration and times.
    faults
        What cannot be read at its end: overlaps, sizes, margins, contrast; one line each.
    passing_faults
        The same of every picture in between: of texts at the end of an animation; see
        :func:`passing_faults`.
    untrue_panels
        Panels that show other numbers than their source, have none, or have the name of others, at
        the end of an animation.
    misnamed_words
        Texts in its pictures that stand beside something else than what they name, at the end of an
        animation; see :func:`tests.support.meanings.misnamed_words`.
    wrong_lights
        What is lit that should not be, or the reverse, at the end of an animation; see
        :func:`tests.support.lights.wrong_lights`.
    untrue_notes
        Notes at the top that are wrong or missing at its end.
    untrue_facts
        Figures, said or shown so far, that are not what is computed again, are no facts, or stand
        beside another name; see :mod:`tests.support.figures`.
    n_shown
        Number of lines of letters and heatmaps on screen at its end, without the notes at the top.
    jump
        How far its first frame is from the last picture of the beat before, in colour levels; see
        :func:`jump`. 0 for the first beat.
    words_on_panels
        One line for each text that lies across the cells of a panel.
    uneven_axes
        Axes of its mosaic whose cells have several sizes, one line each; see
        :func:`uneven_axes`.
    """

    record: BeatRecord
    faults: tuple[str, ...]
    passing_faults: tuple[str, ...]
    untrue_panels: tuple[str, ...]
    misnamed_words: tuple[str, ...]
    wrong_lights: tuple[str, ...]
    untrue_notes: tuple[str, ...]
    untrue_facts: tuple[str, ...]
    n_shown: int
    jump: float
    words_on_panels: tuple[str, ...]
    uneven_axes: tuple[str, ...]


@dataclass(frozen=True)
class Performance:
    """A scene that was played to its end.

    Attributes
    ----------
    scene
        Its class.
    trace
        What it showed.
    beats
        One entry for each beat, in order.
    time_updaters
        What moved by the clock, which nothing may; see :func:`noting_time_updaters`.
    checked
        How many facts and claims were computed again, how many names of panels and other words were
        compared with what they name, and how many lights with what they are of; in each beat.
    """

    scene: type[Stage]
    trace: Trace
    beats: tuple[BeatNotes, ...]
    time_updaters: tuple[str, ...]
    checked: Mapping[str, int]


def perform(
    scene: type[Stage],
    trace: Trace,
    settings: StageSettings | None = None,
    *,
    width: int,
    height: int,
    notes: bool = True,
) -> Performance:
    """Play a scene, and draw only the first and the last picture of each beat.

    Parameters
    ----------
    scene, trace, settings
        As for :class:`~filmkit.core.stage.Stage`.
    width, height
        Size of the picture in pixels.
    notes
        Whether the picture says where its numbers come from.

    Raises
    ------
    StageError
        If the scene does not show this trace.
    """
    beats: list[BeatNotes] = []
    last: Pixels | None = None
    first: dict[str, Pixels] = {}

    @contextmanager
    def first_frame(name: str, tail: bool) -> Iterator[FrameReceiver | None]:
        def take(picture: Pixels, repeat: int) -> None:
            first.setdefault(name, picture)
            stage.renderer.receiver = None

        yield None if tail else take

    check = PanelCheck(trace, gpt2_trace())
    untrue: dict[str, None] = {}
    passing: dict[str, None] = {}
    unnamed: dict[str, None] = {}
    lit: dict[str, None] = {}
    checked: dict[str, set[object]] = {}
    n_facts = 0

    def look(stage: Stage, shot: Shot) -> None:
        """Look at the picture after an animation that began with a shot."""
        for panel in heatmaps(stage):
            if fault := untrue_panel(check, panel) or misnamed(panel):
                untrue[f"{stage.playing}: {fault}"] = None
        for fault in untrue_bodies(check, stage):
            untrue[f"{stage.playing}: {fault}"] = None
        seen = Seen.on(stage)
        for kind, those in (
            ("names of panels", (panel.label for panel in heatmaps(stage) if panel.label)),
            ("words", (block.text for block in seen.blocks if is_named(block.text))),
            ("lights", lights_on(stage)),
        ):
            checked.setdefault(kind, set()).update((stage.playing, each) for each in those)
        for found, faults in ((unnamed, misnamed_words(seen)), (lit, wrong_lights(seen))):
            found.update({f"{stage.playing}: {fault}": None for fault in faults})
        for fault in passing_faults(stage, flown=stage.camera.shot != shot):
            passing[f"{stage.playing}: {fault}"] = None

    def new_facts(stage: Stage, record: BeatRecord) -> Iterator[str]:
        nonlocal n_facts
        for fact in stage.ledger[n_facts:]:
            kind = "claims" if isinstance(fact.value, bool) else "facts"
            checked.setdefault(kind, set()).add((fact.name, str(fact), repr(fact.given)))
        yield from false_facts(stage, stage.ledger[n_facts:])
        n_facts = len(stage.ledger)
        yield from stray_figures(stage, record.narration)
        yield from misplaced(stage)

    def note(record: BeatRecord, stage: Stage) -> None:
        nonlocal last
        shown = stage.with_notes()
        *_, notes_shown = shown
        texts, panels = texts_on(shown, stage.camera), panels_on(shown, stage.camera)
        # In the room, as in `faults_of`, bodies may be seen in part, with the panels on them.
        in_room = any(isinstance(part, Body) for part in stage.visible_parts())
        picture = BeatPicture(record, texts, panels, moved=in_room)
        strip = stage.settings.caption_strip
        faults = complaints(picture, width=width, height=height, caption_strip=strip)
        faults += [f"{record.name}: {line}" for line in low_contrast(stage)]
        before, last = last, stage.snapshot()
        beats.append(
            BeatNotes(
                record,
                tuple(faults),
                (*passing,),
                (*untrue, *(f"{record.name}: {line}" for line in scales_of_nothing(panels))),
                (*unnamed,),
                (*lit,),
                tuple(
                    f"{record.name}: {line}"
                    for line in untrue_notes(stage, picture, *(note.text for note in notes_shown))
                    if notes
                ),
                tuple(f"{record.name}: {line}" for line in new_facts(stage, record)),
                len(texts) + len(panels) - sum(len(note.ink) > 0 for note in notes_shown),
                0.0 if before is None else jump(before, first[record.name]),
                tuple(f"{record.name}: {line}" for line in words_on_panels(stage)),
                tuple(
                    f"{record.name}: {line}"
                    for line in uneven_axes(
                        picture_map(shown, stage.camera, stage.mosaic_on_screen(), panels=panels),
                        panels,
                    )
                ),
            )
        )
        for found in (passing, untrue, unnamed, lit):
            found.clear()

    with manim_config(Quality(width, height, 30)), noting_time_updaters() as time_updaters:
        stage = _watched(scene, look)(
            trace, settings, on_beat_end=note, receiver_of_beat=first_frame
        )
        stage.renderer.only = (0,)
        stage.render()
    counts = {kind: len(those) for kind, those in sorted(checked.items())}
    return Performance(scene, trace, tuple(beats), tuple(time_updaters), counts)


@contextmanager
def noting_time_updaters() -> Iterator[list[str]]:
    """Yield a list that gets the types of mobjects, or "the scene", that add a time-based updater.

    It gets those that do so in the ``with`` block.
    """
    owners: list[str] = []
    add = Mobject.add_updater

    def note(self: Mobject, updater: Callable[..., object], *args: Any, **options: Any) -> Mobject:
        if "dt" in signature(updater).parameters:
            owners.append(type(self).__name__)
        return add(self, updater, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Mobject, "add_updater", note)
        patch.setattr(Scene, "add_updater", lambda self, updater: owners.append("the scene"))
        yield owners


def jump(before: Pixels, after: Pixels) -> float:
    """Return how far two pictures are apart: the largest change of any square, in colour levels.

    The colours of squares of :data:`BLOCK` x :data:`BLOCK` pixels are averaged before they are
    compared: soft edges that are drawn a little harder count for less than things that come or go.
    """
    size = before.shape[1] // BLOCK, before.shape[0] // BLOCK
    one, two = (
        cv2.resize(np.float32(picture[..., :3]), size, interpolation=cv2.INTER_AREA)
        for picture in (before, after)
    )
    return float(np.abs(one - two).max())


def _watched(scene: type[Stage], look: Callable[[Stage, Shot], None]) -> type[Stage]:
    """Return a scene that is looked at after every animation."""

    class Watched(scene):  # type: ignore[misc, valid-type]
        def play(self, *animations: Any, **kwargs: Any) -> None:
            shot = self.camera.shot
            super().play(*animations, **kwargs)
            look(self, shot)

    Watched.__module__ = scene.__module__  # beside which its translations are
    return Watched


def heatmaps(stage: Stage) -> Iterator[Heatmap]:
    """Yield every heatmap on a stage of which at least one cell is drawn."""
    for mobject in stage.mobjects:
        for part in mobject.get_family():
            if isinstance(part, Heatmap) and part.shown.any():
                yield part


def untrue_panel(check: PanelCheck, panel: Heatmap) -> str:
    """Return what is wrong with the numbers of a panel; it must say where they come from."""
    source = panel.source
    if source.tensor is None and not source.quantity:
        return f"a panel {panel.shape} does not say where its numbers come from"
    return check.untrue(panel)


def untrue_bodies(check: PanelCheck, stage: Stage) -> Iterator[str]:
    """Yield a line for each body whose numbers are not what its source says, or that has none.

    While one body becomes another, its numbers are on their way.
    """
    for part in stage.visible_parts():
        if not isinstance(part, Body) or part.kind not in ("relief", "bars") or part.values is None:
            continue
        source, cells = part.source, np.reshape(part.values, (1, -1))
        if source.tensor is None and not source.quantity and not source.expression:
            yield f"{part.kind} {part.told!r} does not say where its numbers come from"
            continue
        shown = SimpleNamespace(source=source, values=cells, shape=cells.shape)
        yield from filter(None, [check.untrue(cast(Any, shown))])


def scales_of_nothing(panels: list[PanelItem]) -> Iterator[str]:
    """Yield a line for each colour bar whose scale no panel on screen has."""
    norms = [panel.heatmap.norm for panel in panels if not panel.heatmap.source.is_scale]
    for panel in panels:
        if panel.heatmap.source.is_scale and panel.heatmap.norm not in norms:
            yield f"no panel has the {described(panel.heatmap.source)}"


SAME_PITCH = 1e-3  # share by which cells of one axis may differ


def uneven_axes(document: Mapping[str, Any], panels: Sequence[PanelItem] = ()) -> Iterator[str]:
    """Yield a line for each axis of a picture map's mosaic whose cells have several sizes.

    Of one that stands in the room they are measured there, where nothing is nearer than the rest,
    if its panels are given.
    """
    pitches: dict[str, list[tuple[float, str]]] = {}
    for i, entry in enumerate(document["panels"]):
        corners = panels[i].heatmap.corners if panels else np.array(entry["corners"])
        first, along, _opposite, down = corners
        lengths = np.linalg.norm(down - first), np.linalg.norm(along - first)
        for axis, length, count in zip(entry["sides"], lengths, entry["shape"], strict=False):
            if axis:
                pitches.setdefault(axis, []).append((float(length) / count, entry["part"]))
    for axis, sizes in pitches.items():
        if max(sizes)[0] > (1 + SAME_PITCH) * min(sizes)[0]:
            told = ", ".join(f"{size:.4g} in {part}" for size, part in sizes)
            yield f"cells of {axis} are {told} long"


SPECK = 1 / 3  # of the smallest height that can be read: what is lower is no text to anybody


def passing_faults(stage: Stage, *, flown: bool) -> Iterator[str]:
    """Yield a line for each text that cannot be read at the end of an animation.

    What lies outside the frame is not on screen, and margins are for pictures that stand. After a
    flight of the camera only texts that overlap count: it may stop where some are small or cut, on
    its way to where all can be read.
    """
    width, height = stage.camera.pixel_width, stage.camera.pixel_height
    short, frame = min(width, height), Box.of(0, width, 0, height)
    texts = [
        item
        for item in texts_on(stage.mobjects, stage.camera)
        if item.presence >= MIN_PRESENCE
        and min(item.box.overlap(frame)) > 0
        and item.height > SPECK * MIN_TEXT * short
    ]
    slack = SLACK * short / HEIGHT
    for one, other in combinations(texts, 2):
        if min(one.box.overlap(other.box)) > slack and letters_overlap(one, other) > slack:
            yield f"texts {one.text!r} and {other.text!r} overlap"
    if flown:
        return
    for item in texts:
        if item.height < MIN_TEXT * short - 0.1:
            yield f"text {item.text!r} is too small"
        if not item.cropped and not frame.contains(item.box):
            yield f"text {item.text!r} is cut at the edge of the frame"
