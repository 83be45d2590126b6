"""Records of the beats that a scene has played: plain data, in a module that loads fast."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["ARRIVE", "BeatRecord", "Rehearsal", "Speech", "frames_before"]

ARRIVE = "arrive"
"""Name of the beat in which a scene of a film arrives from the one before."""


def frames_before(time: float, frame_rate: float) -> int:
    """Return how many frames begin before a time, in seconds."""
    # A frame exactly on a boundary belongs to what begins there; sums of durations miss the
    # boundary by rounding errors that stay far below this tolerance.
    return math.ceil(time * frame_rate - 1e-6)


@dataclass(frozen=True)
class Speech:
    """When a voice says what during a beat; all times in seconds from the start of the beat.

    Attributes
    ----------
    seconds
        Length of the sound. The beat lasts at least as long.
    begins, ends
        When the first word begins, and when the last one ends.
    places
        Places of the narration, by the number of characters before each, and when they are reached;
        both rise.
    """

    seconds: float
    begins: float
    ends: float
    places: tuple[tuple[int, float], ...] = ()

    def time_at(self, letters: int, length: int) -> float:
        """Return when a place of the narration is reached.

        Between two places whose times are known, the voice is taken to speak evenly.

        Parameters
        ----------
        letters
            Number of characters before the place.
        length
            Number of characters of the narration.
        """
        known = {0: self.begins, length: self.ends} | dict(self.places)
        before = sorted(known)
        return float(np.interp(letters, before, [known[place] for place in before]))


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
    tail
        When its own animations have ended, in seconds from the start of the scene. From then on the
        last picture stays until the narration has been said.
    marks
        Each mark that the beat has waited for, and when its words are said, in seconds from the
        start of the beat.
    notes
        The small notes on its pictures: where the numbers come from, and what is not drawn.
    marked
        Every mark of the narration, and the number of characters that are said before it.
    speech
        What a voice says meanwhile; None if the beat has no voice.
    title
        Its title, for people.
    seen
        Keys of what is drawn in all frames of it, and of its tail, if they were asked for; see
        :mod:`filmkit.core.display`.
    last
        Key of its last picture.
    pause
        How long a question waits for an answer after it has been said, in seconds; 0 for all else.
    choices
        The answers between which a question lets choose; empty if it offers none.
    answer
        Which of them is right, counted from 0; None if that is not told.
    loop
        Whether a deck plays it over and over until the next step.
    """

    name: str
    narration: str
    start: float
    end: float
    tail: float
    marks: tuple[tuple[str, float], ...] = ()
    notes: tuple[str, str] = ("", "")
    marked: tuple[tuple[str, int], ...] = ()
    speech: Speech | None = None
    title: str = ""
    seen: tuple[str, str] = ("", "")
    last: str = ""
    pause: float = 0.0
    choices: tuple[str, ...] = ()
    answer: int | None = None
    loop: bool = False

    @property
    def written(self) -> tuple[str, ...]:
        """What it says in letters on its pictures: a question."""
        return (self.narration,) if self.pause else ()

    def frames(self, frame_rate: float) -> int:
        """Return its number of frames, those of its tail included."""
        return frames_before(self.end - self.start, frame_rate)

    def part_frames(self, frame_rate: float, *, tail: bool) -> int:
        """Return the number of frames of its tail, or of what comes before it."""
        own = frames_before(self.tail - self.start, frame_rate)
        return self.frames(frame_rate) - own if tail else own


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
    files
        Paths of files that it was seen to read, besides the project's and libraries'.
    """

    beats: tuple[BeatRecord, ...]
    duration: float
    tensors: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def beat(self, name: str) -> BeatRecord:
        """Return the record of a beat by its name."""
        return next(record for record in self.beats if record.name == name)
