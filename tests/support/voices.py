"""Voices for tests: a program that writes a tone as long as its text, and recordings of tones."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np

from filmkit.core.beat_records import BeatRecord
from filmkit.voice.clips import SceneText
from filmkit.voice.sounds import RATE, Samples, samples_in, silence

__all__ = [
    "A_LETTER",
    "STORY",
    "NoStore",
    "record",
    "scene_text",
    "speech_like",
    "tone",
    "tone_program",
    "write_sound",
]

A_LETTER = 0.06
"""Seconds that the stand-in takes to say a character."""

# It notes what it says; it fails at the word in $FAIL_AT. Its tone has silence around it, as speech
# from programs has.
TONE = f"""
import math, os, struct, sys, wave
text, out = sys.argv[1:]
with open(__file__ + ".log", "a") as log:
    print(text, file=log)
if os.environ.get("FAIL_AT", "\\0") in text:
    sys.exit("out of breath")
rate, level = 24000, int(os.environ.get("LEVEL", "9000"))
pad = [0] * (rate // 10)
count = round(rate * {A_LETTER} * len(text))
tone = [round(level * math.sin(2 * math.pi * 220 * i / rate)) for i in range(count)]
with wave.open(out, "wb") as file:
    file.setparams((1, 2, rate, 0, "NONE", ""))
    file.writeframes(struct.pack(f"<{{2 * len(pad) + count}}h", *pad, *tone, *pad))
"""

STORY = '''
from manim import Square
from filmkit import Stage, beat


class Story(Stage):
    title = "Story"

    @beat
    def opening(self):
        """A square is here, and this is all of it."""
        self.square = Square(fill_opacity=1)
        self.add(self.square)
        self.hold(0.3)

    @beat
    def turning(self):
        """It waits until [red] is said, and then it moves."""
        self.wait_for("red")
        self.play(self.square.animate.shift([1, 0, 0]), run_time=0.3)

    @beat
    def ending(self):
        """It stays."""
        self.hold(0.3)
'''
"""A scene that renders fast, with a mark in its second beat."""


class NoStore:
    """Keeps nothing."""

    def find(self, key: str) -> Path | None:
        return None

    def put(self, key: str, made: Path) -> None:
        pass


def tone_program(folder: Path) -> str:
    """Write the stand-in; return the command to name it as a voice."""
    path = folder / "tone.py"
    path.write_text(TONE)
    return f"{sys.executable} {path} {{text}} {{out}}"


def tone(seconds: float, level: float = 0.3) -> Samples:
    """Return a tone."""
    times = np.arange(samples_in(seconds)) / RATE
    return (level * np.sin(2 * np.pi * 220 * times)).astype(np.float32)


def speech_like(parts: Iterable[tuple[float, float]]) -> Samples:
    """Return tones with silences after them, both in seconds."""
    return np.concatenate([piece for a, b in parts for piece in (tone(a), silence(b))])


def write_sound(
    path: Path, samples: Samples, *, codec: str = "pcm_s16le", rate: int = RATE, channels: int = 1
) -> Path:
    """Write samples, taken as if they had this rate, in the format of the path's suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    layout = {1: "mono", 2: "stereo", 8: "7.1"}[channels]
    kind = {".m4a": "ipod", ".opus": "ogg"}.get(path.suffix)
    with av.open(str(path), "w", format=kind) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.codec_context.layout = layout
        container.start_encoding()
        for start in range(0, len(samples), 960):
            block = np.repeat(samples[start : start + 960], channels).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(block, "flt", layout)
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def record(narration: str, name: str = "a_beat", **marked: int) -> BeatRecord:
    """Return the record of a beat; keywords are its marks, with the characters before each."""
    return BeatRecord(name, narration, 0.0, 2.0, tail=1.0, marked=tuple(marked.items()))


def scene_text(*beats: BeatRecord, alone: bool = True, more: Iterable[str] = ()) -> SceneText:
    """Return what a voice has to say; ``more`` are beats that this trace does not play."""
    names = [*(beat.name for beat in beats), *more]
    return SceneText("story", beats, alone, lambda: names)
