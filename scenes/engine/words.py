"""What is said about beats beside their pictures: titles of chapters, notes for a speaker."""

from __future__ import annotations

import re

from scenes.stage import Rehearsal

__all__ = ["chapter_title", "speaker_notes"]

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
