"""What is said about beats beside their pictures: chapters' titles, speaker notes, the script."""

from __future__ import annotations

import re
from typing import Any

from filmkit.core.records import BeatRecord, Rehearsal
from filmkit.core.scene_entry import SceneEntry
from filmkit.words.captions import captions

__all__ = ["chapter_title", "script", "script_record", "speaker_notes"]

ABBREVIATIONS = re.compile(r"\b(gpu|gqa|kv|mha|mla|mqa)\b", re.IGNORECASE)


def chapter_title(beat: str) -> str:
    """A beat's name as people read it: "one_gpu" is "One GPU"."""
    title = beat.replace("_", " ")
    return ABBREVIATIONS.sub(lambda found: found[0].upper(), title[:1].upper() + title[1:])


def speaker_notes(rehearsal: Rehearsal) -> dict[str, str]:
    """For each beat what to say, how long its picture moves, and what comes next."""
    beats = rehearsal.beats
    notes = {}
    for i, record in enumerate(beats):
        seconds = f"{record.end - record.start:.0f} s"
        after = f" Next: {chapter_title(beats[i + 1].name)}." if i + 1 < len(beats) else ""
        notes[record.name] = f"{record.narration}\n\n{i + 1} of {len(beats)}, {seconds}.{after}"
    return notes


def script(entry: SceneEntry, rehearsal: Rehearsal) -> str:
    """The script of a scene as Markdown: when each beat plays, what is said, and how fast."""
    beats = rehearsal.beats
    count = sum(_word_count(record) for record in beats)
    head = f"{entry.slug}, {_clock(rehearsal.duration)}, {len(beats)} beats, {count} words"
    return "\n\n".join([f"# {entry.title}", head, *map(_part, beats)])


def _part(record: BeatRecord) -> str:
    times = f"{_clock(record.start)}–{_clock(record.end)}"
    speed = f"{_words_a_minute(record):.0f} words a minute, {_letters_a_second(record):.1f} c/s"
    title = chapter_title(record.name)
    return f"## {times} {title}\n\n{record.narration}\n\n*{record.name}, {speed}*"


def script_record(entry: SceneEntry, rehearsal: Rehearsal) -> dict[str, Any]:
    """The script of a scene for programs; times in seconds."""
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
                "words_per_minute": round(_words_a_minute(record), 1),
                "characters_per_second": round(_letters_a_second(record), 1),
                "captions": [
                    {"start": round(cue.start, 3), "end": round(cue.end, 3), "lines": cue.lines}
                    for cue in captions([record])
                ],
            }
            for record in rehearsal.beats
        ],
    }


def _word_count(record: BeatRecord) -> int:
    return len(record.narration.split())


def _words_a_minute(record: BeatRecord) -> float:
    return 60 * _word_count(record) / _length(record)


def _letters_a_second(record: BeatRecord) -> float:
    return len(record.narration) / _length(record)


def _length(record: BeatRecord) -> float:
    # A beat may take no time, but then it says nothing either.
    return record.end - record.start or 1.0


def _clock(seconds: float) -> str:
    minutes, tenths = divmod(round(10 * seconds), 600)
    return f"{minutes}:{tenths // 10:02}.{tenths % 10}"
