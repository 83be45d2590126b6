"""How the last picture of one scene of a film becomes the first of the next.

What both show, the same tensor or the same word, moves from its old place to its new one, and so do
shapes that stand for the same (:func:`stand_for`); all else of the old picture fades. Alone, a
scene begins with an empty picture; in a film its *arrival* is played first, a beat of its own that
:func:`arriving` adds. Where the scene is shown from its beginning, that begins with a *chapter
card*: the old picture steps back, and the scene's number and title stand over it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, TypeAlias

import numpy as np
from manim import Mobject, VMobject
from manim.utils.exceptions import EndSceneEarlyException

from extract.trace import Trace
from filmkit.core.animations import (
    Appear,
    Change,
    InPlaceAnimation,
    Presence,
    first_half,
    presence,
    second_half,
    visible_parts,
)
from filmkit.core.beat_records import ARRIVE
from filmkit.core.camera import Shot
from filmkit.core.card import faded
from filmkit.core.chapter import ChapterCard
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import _
from filmkit.core.narration import Narration
from filmkit.core.scene_entry import Arrival
from filmkit.core.stage import Stage
from filmkit.core.stage_settings import StageSettings
from filmkit.core.text import TextLine

__all__ = ["arriving", "last_picture", "stand_for"]

CARRYING = 1.6  # seconds of an arrival in which something moves, a multiple of BEAT_STEP
LEAVING = 0.6  # the same if nothing does
CARD_COMES, CARD_STAYS = 0.6, 1.0  # seconds in which a chapter card appears, and is there
BEHIND = 0.12  # share of its presence that is left of a picture behind a chapter card
SUNK = 0.4  # share of the camera's tilt that is left then
MARKS = (*",.;:!?",)  # what is carried besides words: it would be missed between them
COMPANY = 3  # so many words move together; a single one would mean nothing
SEEN = 0.999  # presence from which something counts as being there

Part: TypeAlias = Heatmap | TextLine | VMobject


class ArrivingStage(Stage):
    """Base of scenes that arrive from the last picture of another one; see :func:`arriving`.

    Attributes
    ----------
    scene, origin
        The scene by itself, and the one before.
    arrival
        From which of its beats to which of the scene's it goes.
    """

    scene: ClassVar[type[Stage]]
    origin: ClassVar[type[Stage]]
    arrival: ClassVar[Arrival]

    def __init__(self, trace: Trace, settings: StageSettings | None = None, **kwargs: Any) -> None:
        super().__init__(trace, settings, **kwargs)
        self._carried: list[tuple[Part, Part]] = []
        self._foretold: list[Mobject] = []

    @classmethod
    def beat_names(cls, trace: Trace | None = None, *, questions: bool = True) -> tuple[str, ...]:
        names = super().beat_names(trace, questions=questions)
        at = names.index(cls.arrival.first) if cls.arrival.first else 0
        return (*names[:at], ARRIVE, *names[at:])

    def narration(self, beat: str) -> Narration:
        return Narration.of("", {}) if beat == ARRIVE else super().narration(beat)

    def _claim_variant(self, beat: str) -> None:
        if beat != ARRIVE:
            super()._claim_variant(beat)

    @property
    def carried(self) -> set[Mobject]:
        return {origin for origin, _ in self._carried}

    def arrive(self) -> None:
        """Let the last picture of the scene before become the picture at which this one begins."""
        mine, shot = list(self.mobjects), self.camera.shot
        last = self.arrival.last or self.origin.beat_names(self.trace)[-1]
        theirs, self.camera.shot = last_picture(self.origin, last, self.trace, self.settings)
        if mine:
            targets = list(_parts(mine))
        else:
            beginning = _beginning(self.scene, self.trace, self.settings)
            targets, shot = list(beginning.first_parts.values()), beginning.first_shot
            mine = self._foretold = beginning.at_once
        self._carried = _matches(theirs, targets, self.camera.shot, shot)
        kept = {part for pair in self._carried for part in pair[0].get_family()}
        replaced = {part for pair in self._carried for part in pair[1].get_family()}
        self.clear()
        self.add(*theirs)
        if not self.arrival.first:
            self._show_chapter()
            theirs = list(self.mobjects)
        for origin, target in self._carried:
            if _is_pinned(origin) and not _is_pinned(target):
                _stand_in_scene(origin, self.camera.shot, self.frame.height)
        leaving = [part for part in visible_parts(theirs) if part not in kept]
        own = {part: presence(part) for part in visible_parts(mine)}
        for part in own:
            part.presence = 0.0
        self.clear()
        self.add(*mine, *theirs)
        self.play(
            *(Presence(part, 0.0, rate_func=first_half) for part in leaving),
            *(Carry(origin, target) for origin, target in self._carried),
            *(
                Presence(part, level, rate_func=second_half)
                for part, level in own.items()
                if part not in replaced
            ),
            self.move_camera(shot),
            run_time=CARRYING if self._carried or mine else LEAVING,
        )
        self.clear()
        for part, level in own.items():
            part.presence = level
        # Without a picture of its own yet, the scene shows what was carried until it shows it too.
        self.add(*(mine or [origin for origin, _ in self._carried]))
        if mine:
            self._carried = []

    def _show_chapter(self) -> None:
        """Let the chapter card take the place of words; in a room the eye sinks to its floor."""
        card = ChapterCard(_(self.title), *self.arrival.chapter, self.layer, self.frame)
        behind = {part: presence(part) for part in self.visible_parts()}
        shot = self.camera.shot
        sinks = self.move_camera(replace(shot, phi=SUNK * shot.phi))
        kept = self.carried
        words = [part for part in behind if isinstance(part, TextLine) and part not in kept]
        self.play(
            *faded(behind, BEHIND),
            *(Presence(line, 0.0) for line in words),
            Appear(card),
            sinks,
            run_time=CARD_COMES,
        )
        self.hold(CARD_STAYS)

    def play(self, *animations: Any, **kwargs: Any) -> None:
        if self.playing != ARRIVE:
            self.remove(*self._foretold)
            self._foretold = []
        super().play(*animations, **kwargs)
        if self._carried and self.playing != ARRIVE:
            there = [part for part in _parts(self.mobjects) if part not in self.carried]
            self._let_go([pair for pair in self._carried if _is_there(pair[1], there)])

    def _play_tail(self, seconds: float) -> None:
        if self.playing != ARRIVE:
            self._let_go(self._carried)
            super()._play_tail(seconds)

    def _let_go(self, pairs: Sequence[tuple[Part, Part]]) -> None:
        self.remove(*(origin for origin, _ in pairs))
        self._carried = [pair for pair in self._carried if pair not in pairs]


def arriving(scene: type[Stage], origin: type[Stage], arrival: Arrival) -> type[Stage]:
    """Return a scene that arrives from a picture of another one, the origin."""
    members = {"scene": scene, "origin": origin, "arrival": arrival}
    return type(scene.__name__, (ArrivingStage, scene), {"__module__": scene.__module__, **members})


def stand_for(shape: VMobject, what: str) -> VMobject:
    """Let a shape be carried to one of as many points that stands for the same, and return it."""
    shape.stands_for = what
    return shape


def last_picture(
    scene: type[Stage], beat: str, trace: Trace, settings: StageSettings
) -> tuple[list[Mobject], Shot]:
    """Return what is on screen at the end of a beat, and the camera's shot."""
    stage = scene(trace, settings, on_beat_end=_end_after(beat))
    stage.render()
    return list(stage.mobjects), stage.camera.shot


def _end_after(beat: str) -> Any:
    def end(record: Any, stage: Stage) -> None:
        if record.name == beat:
            raise EndSceneEarlyException

    return end


class _Beginning(Stage):
    """Mixin for a scene that notes its first picture.

    Attributes
    ----------
    at_once
        All of it, if it is there at once; then the scene ends.
    first_parts
        What can be seen of it for the first time, and where, while the camera has not moved yet: as
        a key what it is in the scene.
    first_shot
        The camera's shot.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.at_once: list[Mobject] = []
        self.first_parts: dict[Part, Part] = {}
        self.first_shot = self.camera.shot
        self._has_begun = False

    def play(self, *animations: Any, **kwargs: Any) -> None:
        if not self._has_begun and self.mobjects:
            self.at_once, self.first_shot = list(self.mobjects), self.camera.shot
            self.first_parts = {part: part for part in _parts(self.at_once)}
            raise EndSceneEarlyException
        super().play(*animations, **kwargs)
        if not self._has_begun:
            self.first_shot, self._has_begun = self.camera.shot, True
        for part in _parts(self.mobjects):
            still = self.camera.shot == self.first_shot or _is_pinned(part)
            if still and part not in self.first_parts:
                self.first_parts[part] = part.copy()


def _beginning(scene: type[Stage], trace: Trace, settings: StageSettings) -> _Beginning:
    """Return a scene that was played to the end of its first beat, or of its first picture."""
    probe = type(scene.__name__, (_Beginning, scene), {})
    first = scene.beat_names(trace, questions=settings.questions)[0]
    stage: _Beginning = probe(trace, settings, on_beat_end=_end_after(first))
    stage.render()
    return stage


def _parts(mobjects: Iterable[Mobject]) -> Iterator[Part]:
    """Yield what is seen and can be carried, of all that is simply where its points are."""
    for mobject in mobjects:
        for part in mobject.get_family():
            word = isinstance(part, TextLine) and (
                any(letter.isalpha() for letter in part.text) or part.text.strip() in MARKS
            )
            carried = word or isinstance(part, Heatmap) or hasattr(part, "stands_for")
            if carried and presence(part) >= SEEN and getattr(part, "anchor", None) is None:
                yield part


def _is_pinned(part: Mobject) -> bool:
    return bool(getattr(part, "pinned", False))


def _stand_in_scene(part: Part, shot: Shot, frame_height: float) -> None:
    """Let a part that is fixed in the frame stand in the scene where it is seen in a shot."""
    flat = part.points * [1.0, 1.0, 0.0] * shot.height / frame_height
    part.points = np.asarray(shot.center) + flat @ shot.rotation()
    for member in part.get_family():
        member.pinned = False


def _look(part: Part) -> object:
    """Return what two parts have in common that show the same."""
    if isinstance(part, Heatmap):
        return part.source, part.shape, part.norm, part.values.tobytes()
    if isinstance(part, TextLine):
        return type(part), part.text
    return part.stands_for, part.points.shape


def _matches(
    before: Sequence[Mobject], targets: Sequence[Part], start: Shot, end: Shot
) -> list[tuple[Part, Part]]:
    """Pair what is seen before with what shows the same after, the nearest first.

    A part that is not fixed in the frame meets one that is only if the camera sees both alike.
    """
    still = start == end
    free = list(_parts(before))
    pairs = []
    for target in targets:
        alike = [
            part
            for part in free
            if _look(part) == _look(target) and (still or _is_pinned(part) >= _is_pinned(target))
        ]
        if alike:
            middle = target.get_center()
            nearest = min(alike, key=lambda part: float(np.linalg.norm(part.get_center() - middle)))
            free.remove(nearest)
            pairs.append((nearest, target))
    more = any(not isinstance(target, TextLine) for _, target in pairs)
    return pairs if more or len(pairs) >= COMPANY else []


def _is_there(target: Part, parts: Iterable[Part]) -> bool:
    """Whether one of these parts is what was aimed at, in its place."""
    return any(
        _look(part) == _look(target) and np.allclose(part.points, target.points, atol=1e-6)
        for part in parts
    )


class Carry(InPlaceAnimation):
    """Move a heatmap, a line of text or a shape until it looks like another one of the same.

    Parameters
    ----------
    mobject
        What moves.
    target
        What it looks like at the end.
    """

    def __init__(self, mobject: Part, target: Part, **kwargs: Any) -> None:
        super().__init__(mobject, **kwargs)
        self.target = target

    def evenly(self) -> Iterator[Change]:
        part, target = self.mobject, self.target
        yield partial(setattr, part, "points"), part.points, target.points
        if isinstance(part, Heatmap):
            yield part.set_shown, part.shown, target.shown
            yield part.set_masked, part.masked, target.masked
            yield part.set_opacity, part.opacity, target.opacity
        else:
            yield partial(setattr, part, "fill_rgbas"), part.fill_rgbas, target.fill_rgbas
        yield partial(setattr, part, "presence"), presence(part), 1.0
