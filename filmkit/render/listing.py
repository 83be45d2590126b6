"""Print the list of scenes and their script.

Nothing is drawn, and Manim is loaded only if a scene has changed since its last rehearsal.
"""

from __future__ import annotations

import csv
import json
import textwrap
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

from extract.support.files import is_stream, write_text
from extract.support.plain_text import escaped, escaped_json
from extract.support.printing import echo
from filmkit.core.beat_records import Rehearsal
from filmkit.core.language import DEFAULT_LANGUAGE, use_language
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.cache import open_cache
from filmkit.render.formats import DEFAULT_FORMAT, FORMATS
from filmkit.render.rehearsals import Rehearsals
from filmkit.render.request import RenderRequest, for_each_scene, load_trace, report_files
from filmkit.render.voices import with_voice
from filmkit.words.script import script, script_record, script_table

__all__ = ["list_scenes", "rehearsals_of", "write_script"]

# Size of an mp4 in bytes for each second and each row of its pictures: the mean over the film.
BYTES_A_ROW = 155


def list_scenes(request: RenderRequest, *, as_json: bool) -> bool:
    """Print title, duration, size, beats and tensors of each scene; return whether all succeeded.

    The size is that of the film in the output folder; before it is made, about what it will be.
    """
    rehearsals = rehearsals_of(request)
    if as_json:
        rows = [_as_record(*row, _film_bytes(request, row[0])) for row in rehearsals.items()]
        echo(_json(rows))
    else:
        for entry, rehearsal in rehearsals.items():
            echo(_as_text(entry, rehearsal, _size(request, entry, rehearsal)))
    return len(rehearsals) == len(request.scenes)


def write_script(
    request: RenderRequest, out: Path | None, *, as_json: bool, separator: str | None = None
) -> bool:
    """Write the narration of each scene; return whether all succeeded.

    Parameters
    ----------
    request
        The scenes, and the trace to rehearse them with.
    out
        A file; the terminal if None.
    as_json
        JSON instead of Markdown.
    separator
        What separates the columns of a table, instead of Markdown.
    """
    rehearsals = rehearsals_of(request)
    if as_json:
        rows = [script_record(*row) for row in rehearsals.items()]
        text = _json(rows)
    elif separator:
        english = None
        if request.settings.language != DEFAULT_LANGUAGE:
            settings = replace(request.settings, language=DEFAULT_LANGUAGE)
            written = replace(request, settings=settings, voice=None, quiet=True)
            with use_language(DEFAULT_LANGUAGE):
                english = rehearsals_of(replace(written, scenes=tuple(rehearsals)))
        text = _table(script_table(rehearsals, english), separator)
    else:
        text = "\n\n".join(script(*row) for row in rehearsals.items())
        # The file may be printed to a terminal later.
        text = "\n".join(map(escaped, text.split("\n")))
    if out is None:
        echo(text)
    else:
        write_text(out, f"{text}\n")
        if not is_stream(out):
            report_files(request, [out])
    return len(rehearsals) == len(request.scenes)


def _table(rows: list[list[str]], separator: str) -> str:
    """Return rows as lines that may be printed to a terminal."""
    lines = StringIO()
    writer = csv.writer(lines, delimiter=separator, lineterminator="\n")
    writer.writerows([escaped(cell) for cell in row] for row in rows)
    return lines.getvalue().rstrip("\n")


def _json(rows: list[dict[str, Any]]) -> str:
    """Return JSON that may be printed to a terminal."""
    return escaped_json(json.dumps(rows, indent=2, ensure_ascii=False))


def rehearsals_of(request: RenderRequest) -> dict[SceneEntry, Rehearsal]:
    """Return the rehearsal of each scene that could be run without an error."""
    load_trace(request)
    with open_cache(request.cache, keep=request.keep_cache, quiet=request.quiet) as cache:
        spoken = with_voice(request, cache).request
        rehearsals = Rehearsals(spoken, cache)
        rehearsals.prepare(spoken.scenes)
        return for_each_scene(request, spoken.scenes, rehearsals.get)


def _film_bytes(request: RenderRequest, entry: SceneEntry) -> int | None:
    """Return the size of a scene's film in the output folder; None if it was not made."""
    name = FORMATS[request.file_format].file_name(request.file_name(entry.slug))
    path = request.out / name
    return path.stat().st_size if path.is_file() else None


def _size(request: RenderRequest, entry: SceneEntry, rehearsal: Rehearsal) -> str:
    """Return the size of a scene's film in words; empty if nothing is known of it."""
    size = _film_bytes(request, entry)
    if size is not None:
        return f"{size / 1e6:.1f} MB"
    if request.file_format != DEFAULT_FORMAT or request.master:
        return ""
    rows = min(request.quality.width, request.quality.height)
    return f"about {BYTES_A_ROW * rows * rehearsal.duration / 1e6:.0f} MB"


def _as_record(
    entry: SceneEntry, rehearsal: Rehearsal, film_bytes: int | None
) -> dict[str, object]:
    return {
        "name": entry.slug,
        "title": entry.shown_title,
        "seconds": round(rehearsal.duration, 3),
        "bytes": film_bytes,
        "beats": [
            {
                "name": record.name,
                "narration": record.narration,
                "start": round(record.start, 3),
                "end": round(record.end, 3),
                "pause": record.pause,
            }
            for record in rehearsal.beats
        ],
        "tensors": list(rehearsal.tensors),
    }


def _as_text(entry: SceneEntry, rehearsal: Rehearsal, size: str) -> str:
    minutes, seconds = divmod(round(rehearsal.duration), 60)
    facts = ", ".join(filter(None, [f"{minutes}:{seconds:02}", size]))
    lines = [f"{entry.slug}  {entry.shown_title}  ({facts})"]
    beats = ", ".join(record.name for record in rehearsal.beats)
    tensors = ", ".join(rehearsal.tensors)
    for head, text in (("beats", beats), ("tensors", tensors)):
        lines += textwrap.wrap(text, 88, initial_indent=f"  {head:9}", subsequent_indent=" " * 11)
    return "\n".join(lines)
