"""What a voice gives to a beat: its sound, and when it says what."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from filmkit.core.records import BeatRecord, Speech

if TYPE_CHECKING:
    from pathlib import Path

    from filmkit.voice.sounds import Samples

__all__ = ["Clip", "SceneText", "SoundStore", "Voice", "clip_of"]

LEAD = 0.15  # seconds of silence before the first word: more is cut
MIN_PAUSE, MAX_PAUSE = 0.4, 1.0  # seconds of silence after the last word
FADE = 0.01  # seconds in which a sound comes and goes


@dataclass(frozen=True)
class Clip:
    """The sound of a beat.

    Attributes
    ----------
    samples
        The sound, at :data:`filmkit.voice.sounds.RATE`.
    speech
        When it says what.
    """

    samples: Samples
    speech: Speech


@dataclass(frozen=True)
class SceneText:
    """What a voice has to say in a scene.

    Attributes
    ----------
    scene
        The scene's name.
    beats
        The beats that are played and have something to say, in order.
    alone
        Whether the film shows no other scene.
    every_beat
        Returns the names of all beats of the scene, also of those that other traces play.
    """

    scene: str
    beats: tuple[BeatRecord, ...]
    alone: bool
    every_beat: Callable[[], Collection[str]]


class SoundStore(Protocol):
    """Where sounds that took time to make are kept."""

    def find(self, key: str) -> Path | None:
        """Return the WAV file that was kept under a key; None if there is none."""

    def put(self, key: str, made: Path) -> None:
        """Keep a copy of a WAV file under a key."""


class Voice(Protocol):
    """Who speaks the narration."""

    def speak(
        self, text: SceneText, store: SoundStore, tell: Callable[[str], None]
    ) -> dict[str, Clip]:
        """Speak the beats of a scene; return their clips by name.

        Beats without a clip keep their written timing.

        Parameters
        ----------
        text
            What to say.
        store
            Keeps sounds from one run to the next.
        tell
            Called with a line for the user where something takes long or should be known.

        Raises
        ------
        VoiceError
            When the voice cannot say it.
        """


def clip_of(samples: Samples, record: BeatRecord, known: Mapping[str, float] | None = None) -> Clip:
    """Make the clip of a beat from the sound of its words.

    Long silences at its ends are cut, and there is a short one after the last word.

    Parameters
    ----------
    samples
        The sound.
    record
        The beat.
    known
        When the words of marks begin, in seconds from the start of the sound. The other marks lie
        between these as their words do in the text.
    """
    import numpy as np

    from filmkit.voice.sounds import RATE, faded, samples_in, silence, spoken_span

    first, last = spoken_span(samples)
    cut = max(0.0, first - LEAD)
    end = min(len(samples) / RATE, last + MAX_PAUSE)
    sound = faded(samples[samples_in(cut) : samples_in(end)], FADE)
    sound = np.concatenate([sound, silence(max(0.0, last + MIN_PAUSE - end))])
    begins, ends, seconds = first - cut, last - cut, len(sound) / RATE
    marks = {name: min(max(time - cut, 0.0), ends) for name, time in (known or {}).items()}
    speech = Speech(seconds, begins, ends, tuple(marks.items()))
    letters = len(record.narration)
    every = tuple(
        (name, round(speech.time_at(before, letters, record.marked), 6))
        for name, before in record.marked
    )
    return Clip(sound, Speech(seconds, begins, ends, every))
