"""What a voice gives to a beat: its sound, and when it says what."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from filmkit.core.beat_records import BeatRecord, Speech
from filmkit.voice.sounds import RATE, Samples, faded, samples_in, silence, spoken_span

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
    former_beats
        For names that its beats had, what shows now what they showed.
    """

    scene: str
    beats: tuple[BeatRecord, ...]
    alone: bool
    every_beat: Callable[[], Collection[str]]
    former_beats: Mapping[str, str] = field(default_factory=dict)


class SoundStore(Protocol):
    """Where sounds that took time to make are kept."""

    def find(self, key: str) -> Path | None:
        """Return the WAV file that was kept under a key; None if there is none."""

    def put(self, key: str, made: Path) -> None:
        """Keep a copy of a WAV file under a key."""


class Voice(ABC):
    """Who speaks the narration."""

    @property
    def language(self) -> str:
        """The only language that it speaks, such as "en"; "" if that is not known."""
        return ""

    @abstractmethod
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


def clip_of(samples: Samples, places: Mapping[int, float]) -> Clip:
    """Make the clip of a beat from the sound of its words.

    Long silences at its ends are cut, and there is a short one after the last word.

    Parameters
    ----------
    samples
        The sound.
    places
        When places of the narration are reached, in seconds from the start of the sound, by the
        number of characters before. One that is reached before an earlier one is left out.
    """
    first, last = spoken_span(samples)
    cut = max(0.0, first - LEAD)
    end = min(len(samples) / RATE, last + MAX_PAUSE)
    sound = faded(samples[samples_in(cut) : samples_in(end)], FADE)
    sound = np.concatenate([sound, silence(max(0.0, last + MIN_PAUSE - end))])
    rising: list[tuple[int, float]] = []
    for letters in sorted(places):
        seconds = min(max(places[letters], first), last) - cut
        if not rising or seconds >= rising[-1][1]:
            rising.append((letters, round(seconds, 6)))
    return Clip(sound, Speech(len(sound) / RATE, first - cut, last - cut, tuple(rising)))
