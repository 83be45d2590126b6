"""Chapter titles, speaker notes and scripts, made from the beats of a scene."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from filmkit.core.beat_records import BeatRecord, Rehearsal
from filmkit.core.language import _, current_language, ngettext
from filmkit.core.numbers import format_count, format_decimal
from filmkit.core.scene_entry import SceneEntry
from filmkit.words.captions import captions

__all__ = ["script", "script_record", "script_table", "speaker_notes", "words_per_minute"]

# What stands before a sign of Markdown: of one anywhere, of "_" that is not inside of a word, and
# of one that begins a heading, a list or more.
BEFORE_MARKUP = re.compile(
    r"(?=[\\`*<&\[\]~$])|(?<![^\W_])(?=_)|(?=_(?![^\W_]))|^(?=[#+>=-])|^\d+(?=[.)])"
)


def speaker_notes(rehearsal: Rehearsal) -> dict[str, str]:
    """Return the notes of each beat: its narration, number, duration, and the next beat."""
    beats = rehearsal.beats
    notes = {}
    for i, record in enumerate(beats):
        place = _(
            "{number} of {count}, {seconds} s.",
            number=i + 1,
            count=len(beats),
            seconds=format_count(record.end - record.start),
        )
        after = [_("Wait for an answer.")] if record.pause else []
        after += [_("Next: {title}.", title=beats[i + 1].title)] if i + 1 < len(beats) else []
        notes[record.name] = f"{record.narration}\n\n{' '.join([place, *after])}"
    return notes


def script(entry: SceneEntry, rehearsal: Rehearsal) -> str:
    """Return the script of a scene as Markdown: time, narration and speed of each beat."""
    beats = rehearsal.beats
    words = round(sum(_word_count(record) for record in beats))
    summary = _(
        "{scene}, {clock}, {beats}, {words}",
        scene=entry.slug,
        clock=_clock(rehearsal.duration),
        beats=ngettext("{number} beat", "{number} beats", len(beats)),
        words=ngettext("{number} word", "{number} words", words),
    )
    title = _as_markdown(entry.shown_title)
    return "\n\n".join([f"# {title}", summary, *map(_section, beats)])


def _section(record: BeatRecord) -> str:
    """Return the section of one beat."""
    times = f"{_clock(record.start)}–{_clock(record.end)}"
    speed = _(
        "{words} words a minute, {characters} c/s",
        words=format_count(words_per_minute(record)),
        characters=format_decimal(_characters_per_second(record), 1),
    )
    if record.pause:
        seconds = format_count(record.pause)
        speed = _("{speed}, then {seconds} s for an answer", speed=speed, seconds=seconds)
    title, narration = map(_as_markdown, (record.title, record.narration))
    return f"## {times} {title}\n\n{narration}\n\n*{record.name}, {speed}*"


def _as_markdown(text: str) -> str:
    """Return text with a backslash before every sign that Markdown would take for its own."""
    return BEFORE_MARKUP.sub(r"\g<0>\\", text)


def script_record(entry: SceneEntry, rehearsal: Rehearsal) -> dict[str, Any]:
    """Return the script of a scene as a record for JSON; times are in seconds."""
    return {
        "name": entry.slug,
        "title": entry.shown_title,
        "seconds": round(rehearsal.duration, 3),
        "beats": [
            {
                "name": record.name,
                "title": record.title,
                "start": round(record.start, 3),
                "end": round(record.end, 3),
                "pause": record.pause,
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


def script_table(
    rehearsals: Mapping[SceneEntry, Rehearsal],
    english: Mapping[SceneEntry, Rehearsal] | None = None,
) -> list[list[str]]:
    """Return the script of scenes as a table for a translator; times and lengths in seconds.

    The first row names the columns. The last column is for the words in the other language.

    Parameters
    ----------
    rehearsals
        The rehearsals of the scenes.
    english
        The same in English, if those are in the other language already.
    """
    rows = [["scene", "beat", "start", "seconds", "words a minute", "narration", "translation"]]
    for entry, rehearsal in rehearsals.items():
        for record in rehearsal.beats:
            times = f"{record.start:.1f}", f"{_seconds(record):.1f}"
            speed = f"{words_per_minute(record):.0f}"
            said = record.narration, ""
            if english is not None:
                said = english[entry].beat(record.name).narration, record.narration
            rows.append([entry.slug, record.name, *times, speed, *said])
    return rows


def _word_count(record: BeatRecord) -> float:
    return current_language().word_count(record.narration)


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
    return record.end - record.start - record.pause or 1.0


def _clock(seconds: float) -> str:
    """Format a time as M:SS.S."""
    minutes, tenths = divmod(round(10 * seconds), 600)
    return f"{minutes}:{format_decimal(tenths / 10, 1).zfill(4)}"
