"""Settings of a scene and records of its beats: plain data, in a module that loads fast."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["BeatRecord", "Rehearsal", "StageSettings"]


@dataclass(frozen=True)
class StageSettings:
    """What the user chose on the command line for a scene.

    Attributes
    ----------
    layer, head
        Numbers of the layer and head to show, from 0; the trace's featured ones by default.
    show_first_token
        Whether to draw the beginning-of-sequence token.
    theme, palette
        Names for :func:`filmkit.core.theme.use_theme`.
    background
        A colour, "#RRGGBB", instead of the theme's.
    transparent
        Whether the background is transparent.
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
    """A beat that has been played.

    Attributes
    ----------
    name
        Name of its method.
    narration
        What is said while it plays.
    start, end
        In seconds from the start of the scene.
    """

    name: str
    narration: str
    start: float
    end: float


@dataclass(frozen=True)
class Rehearsal:
    """Result of a rehearsal: a run of a scene without drawing.

    Attributes
    ----------
    beats
        The beats in the order in which they play.
    duration
        Length of the scene in seconds.
    tensors
        Names of the tensors that the scene shows.
    """

    beats: tuple[BeatRecord, ...]
    duration: float
    tensors: tuple[str, ...] = ()

    def beat(self, name: str) -> BeatRecord:
        """Return the record of a beat by its name."""
        return next(record for record in self.beats if record.name == name)
