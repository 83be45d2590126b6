"""What a scene is asked to show, and what is noted of its beats: plain data that loads at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["BeatRecord", "Rehearsal", "StageSettings"]


@dataclass(frozen=True)
class StageSettings:
    """What the viewer chose.

    Attributes
    ----------
    layer, head
        Which to show; the trace's featured ones by default.
    show_first_token
        Whether to draw a beginning-of-sequence token.
    theme, palette
        Names that :func:`filmkit.core.theme.use` takes.
    background
        A colour, "#RRGGBB", instead of the theme's.
    transparent
        Whether the background is left out.
    compare
        File of a second trace, for scenes that compare two.
    """

    layer: int | None = None
    head: int | None = None
    show_first_token: bool = False
    theme: str = "dark"
    palette: str = "film"
    background: str | None = None
    transparent: bool = False
    compare: Path | None = None


@dataclass(frozen=True)
class BeatRecord:
    """A beat that has been played: times are seconds from the start of the scene."""

    name: str
    narration: str
    start: float
    end: float


@dataclass(frozen=True)
class Rehearsal:
    """A scene that was run without drawing.

    Attributes
    ----------
    beats
        In the order of the story.
    duration
        Of all of them, in seconds.
    tensors
        Names of those that the scene shows.
    """

    beats: tuple[BeatRecord, ...]
    duration: float
    tensors: tuple[str, ...] = ()

    def beat(self, name: str) -> BeatRecord:
        """The record of a beat."""
        return next(record for record in self.beats if record.name == name)
