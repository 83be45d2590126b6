"""Chapter titles, speaker notes and scripts, made from the beats of a scene."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from filmkit.core.records import BeatRecord, Rehearsal
from filmkit.core.scene_entry import SceneEntry
from filmkit.words.captions import captions

__all__ = [
    "chapter_title",
    "script",
    "script_record",
    "script_table",
    "speaker_notes",
    "words_per_minute",
]

ABBREVIATIONS = re.compile(r"\b(gpu|gqa|kv|mha|mla|mqa)\b", re.IGNORECASE)


def chapter_title(beat: str) -> str:
    """Return a beat's name in a readable form: "one_gpu" becomes "One GPU"."""
    title = beat.replace("_", " ")
    return ABBREVIATIONS.sub(lambda match: match[0].upper(), title[:1].upper() + title[1:])


def speaker_notes(rehearsal: Rehearsal) -> dict[str, str]:
    """Return the notes of each beat: its narration, number, duration, and the next beat."""
    beats = rehearsal.beats
    notes = {}
    for i, record in enumerate(beats):
        seconds = f"{record.end - record.start:.0f} s"
        after = f" Next: {chapter_title(beats[i + 1].name)}." if i + 1 < len(beats) else ""
        notes[record.name] = f"{record.narration}\n\n{i + 1} of {len(beats)}, {seconds}.{after}"
    return notes


def script(entry: SceneEntry, rehearsal: Rehearsal) -> str:
    """Return the script of a scene as Markdown: time, narration and speed of each beat."""
    beats = rehearsal.beats
    count = sum(_word_count(record) for record in beats)
    summary = f"{entry.slug}, {_clock(rehearsal.duration)}, {len(beats)} beats, {count} words"
    return "\n\n".join([f"# {entry.title}", summary, *map(_section, beats)])


def _section(record: BeatRecord) -> str:
    """Return the section of one beat."""
    times = f"{_clock(record.start)}–{_clock(record.end)}"
    speed = (
        f"{words_per_minute(record):.0f} words a minute, {_characters_per_second(record):.1f} c/s"
    )
    title = chapter_title(record.name)
    return f"## {times} {title}\n\n{record.narration}\n\n*{record.name}, {speed}*"


def script_record(entry: SceneEntry, rehearsal: Rehearsal) -> dict[str, Any]:
    """Return the script of a scene as a record for JSON; times are in seconds."""
    return {
        "name": entry.slug,
        "title": entry.title,
        "seconds": round(rehearsal.duration, 3),
        "beats": [
            {
                "name": record.name,
                "title": chapter_title(record.name),
                "start": round(record.start, 3),
                "end": round(record.end, 3),
                "narration": record.narration,
                "words_per_minute": round(words_per_minute(record), 1),
                "characters_per_second": round(_characters_per_second(record), 1),
                "captions": [
                    {"start": round(cue.start, 3), "end": round(cue.end, 3), "lines": cue.lines}
                    for cue in captions([record])
                ],
            }
            for record in rehearsal.beats
        ],
    }


def script_table(rehearsals: Mapping[SceneEntry, Rehearsal]) -> list[list[str]]:
    """Return the script of scenes as a table for a translator; times and lengths in seconds.

    The first row names the columns. The last column is for the words in the other language.
    """
    rows = [["scene", "beat", "start", "seconds", "words a minute", "narration", "translation"]]
    for entry, rehearsal in rehearsals.items():
        for record in rehearsal.beats:
            times = f"{record.start:.1f}", f"{_seconds(record):.1f}"
            speed = f"{words_per_minute(record):.0f}"
            rows.append([entry.slug, record.name, *times, speed, record.narration, ""])
    return rows


def _word_count(record: BeatRecord) -> int:
    return len(record.narration.split())


def words_per_minute(record: BeatRecord) -> float:
    """Return how fast a beat's narration is said, in words a minute."""
    return 60 * _word_count(record) / _seconds(record)


def _characters_per_second(record: BeatRecord) -> float:
    return len(record.narration) / _seconds(record)


def _seconds(record: BeatRecord) -> float:
    """Return how long a beat's words take to say; 1 instead of 0, to divide by."""
    if record.speech:
        return record.speech.ends - record.speech.begins
    # A beat without a duration has no narration either.
    return record.end - record.start or 1.0


def _clock(seconds: float) -> str:
    """Format a time as M:SS.S."""
    minutes, tenths = divmod(round(10 * seconds), 600)
    return f"{minutes}:{tenths // 10:02}.{tenths % 10}"
