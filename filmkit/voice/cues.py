"""Cue sheets: when each beat of a scene, and each mark, begins in one recording of all of it.

A cue sheet is a JSON file beside its recording (``take.wav`` and ``take.cues.json``)::

    {
      "version": 1,
      "scene": "scene_mla",
      "recording": "take.wav",
      "beats": [
        {"name": "opening", "start": 0.42, "marks": {}},
        {"name": "rebuilding", "start": 6.1, "marks": {"rebuilt": 9.75}}
      ]
    }

All times are in seconds from the start of the recording. A beat ends where the next one begins, or
at its own ``"end"``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from extract.trace.contents.json_records import from_json
from filmkit.core.beat_records import BeatRecord, Speech
from filmkit.core.language import current_language
from filmkit.core.line_breaks import break_units
from filmkit.voice.clips import Clip, SceneText, clip_of
from filmkit.voice.errors import VoiceError
from filmkit.voice.matching import SHORT_PAUSE, between, known_places
from filmkit.voice.sounds import RATE, Samples, pauses, samples_in, spoken_span

__all__ = [
    "NEAR",
    "BeatCue",
    "CueSheet",
    "cut",
    "moved_to_words",
    "pressed_cues",
    "propose",
    "read_cues",
    "sheet_beside",
    "to_json",
]

VERSION = 1
SUFFIX = ".cues.json"
SHOWN_WORDS = 4  # of the words at which somebody presses a key

NEAR = 0.35
"""Seconds by which a person's finger may miss a word."""


@dataclass(frozen=True)
class BeatCue:
    """When a beat's words are said, in seconds from the start of the recording.

    Attributes
    ----------
    name
        Name of the beat.
    start
        When its first word begins.
    marks
        When the words of each of its marks begin.
    end
        When its last word has been said; None if that is where the next beat begins.
    """

    name: str
    start: float
    marks: Mapping[str, float] = field(default_factory=dict)
    end: float | None = None


@dataclass(frozen=True)
class CueSheet:
    """The cues of a recording.

    Attributes
    ----------
    scene
        Name of the scene.
    recording
        File name of the recording.
    beats
        The cues of its beats, in order.
    """

    scene: str
    recording: str
    beats: tuple[BeatCue, ...]


def sheet_beside(recording: Path) -> Path:
    """Return where the cue sheet of a recording is."""
    return recording.with_name(recording.stem + SUFFIX)


def to_json(sheet: CueSheet) -> str:
    """Return a cue sheet as the content of its file."""
    beats = [
        {name: value for name, value in asdict(beat).items() if value is not None}
        for beat in sheet.beats
    ]
    document = {"version": VERSION, "scene": sheet.scene, "recording": sheet.recording}
    return json.dumps(document | {"beats": beats}, indent=2, ensure_ascii=False) + "\n"


def read_cues(path: Path) -> CueSheet:
    """Read a cue sheet.

    Raises
    ------
    VoiceError
        When it cannot be read, or is not a cue sheet.
    """
    try:
        document = from_json(Mapping[str, Any], json.loads(path.read_text(encoding="utf-8")), "it")
        if document["version"] != VERSION:
            raise VoiceError(
                f"{path} is of version {document['version']}; make it again with render.py cue"
            )
        scene, recording = (from_json(str, document[name], name) for name in ("scene", "recording"))
        # Also on Windows, where both slashes part folders.
        if PureWindowsPath(recording).name != recording:
            raise VoiceError(
                f"{path} names the recording {recording!r}, and recordings lie beside their cue "
                "sheets; name it without a folder"
            )
        beats = enumerate(from_json(tuple[Any, ...], document["beats"], "beats"), 1)
        cues = (
            from_json(BeatCue, beat, f"beat {n}", optional=("marks", "end")) for n, beat in beats
        )
        return CueSheet(scene, recording, tuple(cues))
    except OSError as error:
        raise VoiceError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise VoiceError(
            f"{path} is not a cue sheet ({error}); make it with render.py cue"
        ) from error


def cut(samples: Samples, sheet: CueSheet, text: SceneText, path: Path) -> dict[str, Clip]:
    """Cut a recording into the clips of its beats.

    Parameters
    ----------
    samples
        The recording.
    sheet
        Its cues. Beats that it leaves out have no clip.
    text
        What is said.
    path
        File of the cue sheet, to be named in errors.

    Raises
    ------
    VoiceError
        When the sheet has no beats, or names a beat or a mark that does not exist, or its times do
        not rise or lie outside of the recording.
    """
    if not sheet.beats:
        raise VoiceError(f"{path} has no beats; make it with render.py cue")
    records = {record.name: record for record in text.beats}
    seconds = len(samples) / RATE
    ends = [cue.start for cue in sheet.beats[1:]] + [seconds]
    clips: dict[str, Clip] = {}
    for cue, next_start in zip(sheet.beats, ends, strict=True):
        where = f"{path}, beat {cue.name}"
        end = next_start if cue.end is None else cue.end
        if cue.name in clips:
            raise VoiceError(f"{where}: it is there twice; take one out")
        if not 0 <= cue.start < end <= next_start + 1e-6 or end > seconds + 1e-6:
            raise VoiceError(
                f"{where}: {cue.start:g} s to {end:g} s is not a part of the recording between its "
                f"neighbours, which lasts {seconds:.1f} s; correct the times"
            )
        record = records.get(cue.name)
        if record is None:
            if cue.name not in text.every_beat():
                now = text.former_beats.get(cue.name)
                advice = f"{now} shows it now" if now else "correct its name"
                raise VoiceError(f"{where}: {text.scene} has no such beat; {advice}")
            continue  # it is not played for this trace
        if unknown := cue.marks.keys() - {name for name, _ in record.marked}:
            raise VoiceError(f"{where}: it has no mark [{min(unknown)}]; correct its name")
        times = [cue.start, *(cue.marks[m] for m, _ in record.marked if m in cue.marks), end]
        if any(after < before for before, after in pairwise(times)):
            raise VoiceError(f"{where}: its marks are not in the order of its words; correct them")
        part = samples[samples_in(cue.start) : samples_in(end)]
        known = {before: cue.marks[m] - cue.start for m, before in record.marked if m in cue.marks}
        clips[cue.name] = clip_of(part, known_places(part, record.narration) | known)
    return clips


def propose(samples: Samples, beats: Sequence[BeatRecord]) -> tuple[BeatCue, ...]:
    """Guess when each beat begins, from the pauses of a recording and the length of each text.

    Parameters
    ----------
    samples
        The recording of a whole scene.
    beats
        Its beats, in order.

    Raises
    ------
    VoiceError
        When it has fewer pauses than the scene has beats.
    """
    first, last = spoken_span(samples)
    gaps = pauses(samples, SHORT_PAUSE)
    if len(gaps) < len(beats) - 1:
        raise VoiceError(
            f"the recording has {len(gaps)} pauses, and {len(beats)} beats need "
            f"{len(beats) - 1}; leave out --propose and press Enter at each beat"
        )
    lengths = [len(record.narration) for record in beats]
    starts = [first, *(gaps[i][1] for i in between(gaps, lengths, first, last))]
    ends = [*starts[1:], last]
    cues = []
    for record, start, end in zip(beats, starts, ends, strict=True):
        part = samples[samples_in(start) : samples_in(end)]
        begins, stops = spoken_span(part)
        length = len(record.narration)
        speech = Speech(
            end - start,
            begins,
            stops,
            tuple(sorted(known_places(part, record.narration).items())),
        )
        marks = {
            name: round(start + speech.time_at(letters, length), 2)
            for name, letters in record.marked
        }
        cues.append(BeatCue(record.name, round(start, 2), marks))
    return tuple(cues)


def pressed_cues(
    beats: Iterable[BeatRecord], press: Callable[[str], float], say: Callable[[str], None]
) -> tuple[BeatCue, ...]:
    """Ask somebody who hears the recording for a key press at each beat and at each mark.

    Parameters
    ----------
    beats
        The beats, in order.
    press
        Shows what to wait for, waits for the key, and returns the time in the recording.
    say
        Shows a line.
    """
    cues = []
    beats = tuple(beats)
    for number, record in enumerate(beats, 1):
        say(f"\n{number} of {len(beats)}, {record.name}: {record.narration}")
        start = press(f"Enter at “{_words_at(record.narration, 0)}”")
        marks = {
            name: press(f"Enter at “{_words_at(record.narration, before)}”")
            for name, before in record.marked
        }
        cues.append(BeatCue(record.name, start, marks))
    return tuple(cues)


def _words_at(text: str, before: int) -> str:
    """Return the few words that begin at a place of a text."""
    first, *others = units = break_units(text[before:].strip())
    words = first
    for unit in others:
        if current_language().word_count(words) >= SHOWN_WORDS:
            break
        words += unit
    return words.rstrip() + (" …" if len(words) < len("".join(units)) else "")


def moved_to_words(cues: Sequence[BeatCue], samples: Samples) -> tuple[BeatCue, ...]:
    """Move the beginnings of beats to where words begin after a pause, if that is near.

    Marks stay between the beginning of their beat and that of the next one.
    """
    first, _ = spoken_span(samples)
    begins = np.array([first, *(end for _, end in pauses(samples, SHORT_PAUSE))])

    def moved(time: float) -> float:
        nearest = float(begins[np.argmin(np.abs(begins - time))])
        return round(nearest if abs(nearest - time) <= NEAR else time, 2)

    starts = [moved(cue.start) for cue in cues]
    ends = [*starts[1:], len(samples) / RATE]
    return tuple(
        replace(
            cue,
            start=start,
            marks={mark: round(max(start, min(t, end)), 2) for mark, t in cue.marks.items()},
        )
        for cue, start, end in zip(cues, starts, ends, strict=True)
    )
