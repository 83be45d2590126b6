"""Play a recording, or make one, and let somebody press a key at each beat and each mark."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from time import monotonic

from extract.support.printing import echo
from extract.support.temporary import temporary_folder
from filmkit.core.beat_records import BeatRecord
from filmkit.voice.cues import NEAR, BeatCue, moved_to_words, pressed_cues
from filmkit.voice.errors import VoiceError
from filmkit.voice.microphone import Microphone
from filmkit.voice.sounds import RATE, Samples, write_wav

__all__ = ["cue_by_ear", "fitted_to_recording", "record"]

# Programs that play a WAV file and end, with their arguments before the file.
PLAYERS = (
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "quiet"),
    ("afplay",),
    ("mpv", "--no-video", "--really-quiet"),
    ("paplay",),
    ("aplay", "-q"),
)
STARTS_WITHIN = 0.3  # seconds after which a player that found no sound device has ended


def cue_by_ear(beats: Sequence[BeatRecord], samples: Samples) -> tuple[BeatCue, ...]:
    """Play a recording and ask for a key press at each beat and each mark.

    Without a program or a device that plays it, the user plays it elsewhere.

    Parameters
    ----------
    beats
        The beats that are said in it, in order.
    samples
        The recording; the presses at beats are moved to where words begin, if these are near.

    Raises
    ------
    VoiceError
        When the input ends early, or presses are after the end of the recording.
    """
    echo("Press Enter at the first word of each sentence, and at the words that are shown.")
    _wait("Enter starts the recording")
    with _playing(samples) as started:
        if started is None:
            _wait("Nothing here can play it: start it elsewhere, and press Enter in that moment")
            started = monotonic()

        def press(prompt: str) -> float:
            _wait(prompt)
            return monotonic() - started

        return fitted_to_recording(pressed_cues(beats, press, echo), samples)


def record(beats: Sequence[BeatRecord]) -> tuple[tuple[BeatCue, ...], Samples]:
    """Record somebody who reads the narration and presses a key at each beat and each mark.

    Parameters
    ----------
    beats
        The beats, in order.

    Returns
    -------
    cues, samples
        The cues as they were pressed, and the recording; see :func:`fitted_to_recording`.

    Raises
    ------
    VoiceError
        When nothing can be recorded here, or the input ends early.
    """
    microphone = Microphone()
    echo("Read aloud: press Enter as you begin each sentence, and as you say the words shown then.")
    _wait("Enter starts the recording")

    def press(prompt: str) -> float:
        _wait(prompt)
        return microphone.seconds

    with microphone:
        cues = pressed_cues(beats, press, echo)
        _wait("Enter ends the recording")
    return cues, microphone.samples


def fitted_to_recording(cues: tuple[BeatCue, ...], samples: Samples) -> tuple[BeatCue, ...]:
    """Return cues that were pressed at a recording, moved to where words begin nearby.

    Raises
    ------
    VoiceError
        When they do not rise, or lie after its end.
    """
    moved, seconds = moved_to_words(cues, samples), len(samples) / RATE
    rising = all(a < b for a, b in pairwise([*(cue.start for cue in moved), seconds]))
    if not rising or max([cues[-1].start, *cues[-1].marks.values()]) > seconds + NEAR:
        raise VoiceError("these presses do not follow the recording; no cue is written: try again")
    return moved


def _wait(prompt: str) -> None:
    """Show a prompt, and wait for Enter."""
    try:
        input(f"{prompt} ")
    except (EOFError, RuntimeError):  # the latter if there is no input at all
        raise VoiceError("the input ended before the last beat; nothing is written") from None


@contextmanager
def _playing(samples: Samples) -> Iterator[float | None]:
    """Play a sound during a ``with`` block; yields when it began, None if nothing plays it."""
    command = next((words for words in PLAYERS if shutil.which(words[0])), None)
    if command is None:
        yield None
        return
    nothing = subprocess.DEVNULL
    with temporary_folder() as folder:
        # Not the user's file: some players take a format that they do not know for noise.
        file = folder / "recording.wav"
        write_wav(file, samples)
        started = monotonic()
        with subprocess.Popen(
            [*command, str(file)], stdin=nothing, stdout=nothing, stderr=nothing
        ) as player:
            try:
                try:
                    plays = player.wait(STARTS_WITHIN) == 0
                except subprocess.TimeoutExpired:
                    plays = True
                yield started if plays else None
            finally:
                player.terminate()
