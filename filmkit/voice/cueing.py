"""Play a recording, and let somebody press a key whenever a beat or a mark is said."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from time import monotonic

import click

from extract.printing import echo
from filmkit.core.records import BeatRecord
from filmkit.voice.cues import BeatCue, taken, tidied
from filmkit.voice.errors import VoiceError
from filmkit.voice.sounds import RATE, Samples

__all__ = ["ask"]

# Programs that play a sound file and end, with their arguments before the file.
PLAYERS = (
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "quiet"),
    ("afplay",),
    ("mpv", "--no-video", "--really-quiet"),
    ("paplay",),
    ("aplay", "-q"),
)
STARTS_WITHIN = 0.3  # seconds after which a player that found no sound device has ended


def ask(beats: Sequence[BeatRecord], recording: Path, samples: Samples) -> tuple[BeatCue, ...]:
    """Play a recording and ask for a key press at each beat and each mark.

    Without a program or a device that plays it, the user plays it elsewhere.

    Parameters
    ----------
    beats
        The beats that are said in it, in order.
    recording
        The file.
    samples
        Its sound; the presses at beats are moved to where words begin, if these are near.

    Raises
    ------
    VoiceError
        When the input ends early, or presses are after the end of the recording.
    """
    echo("Press Enter at the first word of each sentence, and at the words that are shown.")
    _wait("Enter starts the recording")
    with _playing(recording) as plays:
        if not plays:
            _wait("Nothing here can play it: start it elsewhere, and press Enter in that moment")
        start = monotonic()

        def press(prompt: str) -> float:
            _wait(prompt)
            return monotonic() - start

        cues = tidied(taken(beats, press, echo), samples)
    starts = [cue.start for cue in cues]
    if starts[-1] > len(samples) / RATE or any(b <= a for a, b in pairwise(starts)):
        raise VoiceError("these presses do not follow the recording; nothing is written: try again")
    return cues


def _wait(prompt: str) -> None:
    """Show a prompt, and wait for Enter."""
    try:
        click.prompt(prompt, default="", show_default=False, prompt_suffix=" ")
    except click.Abort:
        raise VoiceError("the input ended before the last beat; nothing is written") from None


@contextmanager
def _playing(recording: Path) -> Iterator[bool]:
    """Play a recording during a ``with`` block; yields whether something plays it."""
    command = next((words for words in PLAYERS if shutil.which(words[0])), None)
    if command is None:
        yield False
        return
    nothing = subprocess.DEVNULL
    with subprocess.Popen(
        [*command, str(recording)], stdin=nothing, stdout=nothing, stderr=nothing
    ) as player:
        try:
            try:
                yield player.wait(STARTS_WITHIN) == 0
            except subprocess.TimeoutExpired:
                yield True
        finally:
            player.terminate()
