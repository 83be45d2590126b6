"""Draw a scene for the studio, in a process that has the code as it is now.

Everything is told to the session in messages, which are JSON objects with a ``kind``:

``model``
    The trace that is shown: what the controls and the cells need to know of it.
``title``
    The title of the scene.
``beats``
    The beats of the scene, with the pictures that exist already, and which beat was ``touched``
    first.
``still``
    The last picture of a beat.
``plan``
    Times, narration, marks and films of all beats.
``film``
    The film of a beat.
``reads``
    The files that the scene has read, as :func:`filmkit.render.reads.files_read` has them.
``done``
    All is drawn.
``error``
    One line: what is wrong, and in which file and line.

Pictures and films are paths of files.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from extract.trace import Trace
from filmkit.core.beat_records import BeatRecord
from filmkit.core.narration import Narration
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.theme import use_theme
from filmkit.core.token_text import printable
from filmkit.decks.cells import axis_names, cell_words
from filmkit.render.artist import Artist, DrawnScene
from filmkit.render.clean_process import forked_process
from filmkit.render.films import Plan, beat_film
from filmkit.render.jobs import RenderSession
from filmkit.render.processes import telling
from filmkit.render.rehearsals import Rehearsals
from filmkit.render.request import RenderRequest
from filmkit.studio.controls import ModelFacts
from filmkit.words.script import words_per_minute

__all__ = ["draw"]

READER = "filmkit.studio.frames:answer_questions"
STEP_BACK = 5  # by how much the priority of what draws films is lowered, of at most 19


def draw(
    request: RenderRequest,
    trace: Trace,
    folder: Path,
    messages: Connection,
    questions: Connection,
) -> None:
    """Draw what is missing of a scene, then wait until this process is stopped.

    Parameters
    ----------
    request, trace
        As for :class:`Artist`; there is one scene.
    folder
        Where films of beats are kept.
    messages
        Takes the messages of this module.
    questions
        Brings questions about frames; :func:`filmkit.studio.frames.answer_questions` answers them.
    """
    with telling(messages, verbose=request.verbose) as tell:
        _PageArtist(request, trace, folder, questions, tell).draw()
    threading.Event().wait()  # further frames may be asked for


class _PageArtist(Artist):
    """Draws a scene for a page; see :func:`draw`."""

    def draw_end(self, entry: SceneEntry, rehearsals: Rehearsals) -> None:
        self._tell_model(self.trace)
        self.tell("title", title=entry.titled_anew.title)
        # First, because the page waits for the numbers of the frame that it shows.
        forked_process(READER, self.request, self.trace, connections=[self.requests]).start()
        self.requests.close()
        super().draw_end(entry, rehearsals)
        # What nobody waits for steps back: frames that the page asks for come first.
        if hasattr(os, "nice"):  # not on Windows
            os.nice(STEP_BACK)

    def show_scene(self, scene: DrawnScene) -> None:
        quality = self.request.quality
        self.tell(
            "beats",
            frame=[quality.width, quality.height],
            frame_rate=quality.frame_rate,
            touched=scene.touched or None,
            beats=[
                {
                    "name": beat,
                    "title": scene.entry.title_of_beat(beat),
                    "still": scene.stills.get(beat),
                }
                for beat in scene.beats
            ],
        )

    def show_still(self, scene: DrawnScene, beat: str) -> None:
        self.tell("still", beat=beat, still=scene.stills[beat])

    def make_films(self, session: RenderSession) -> None:
        for plan in session.plans.values():
            films = {beat: self._film_of(plan, beat) for beat in plan.beats}
            made = {beat: film for beat, film in films.items() if film.exists()}
            self._tell_plan(plan.records, made)
            for beat, film in films.items():
                if beat not in made:
                    session.write_film(film.with_suffix(""), [beat_film(plan, beat)])
                    self.tell("film", beat=beat, film=film)

    def _film_of(self, plan: Plan, beat: str) -> Path:
        """Return the path of a beat's film, which names all that it is made of."""
        parts = " ".join(task.segment.name for task in plan.tasks if task.beat == beat)
        return self.folder / f"{sha256(parts.encode()).hexdigest()}.mp4"

    def _tell_model(self, trace: Trace) -> None:
        meta = trace.meta
        self.tell(
            "model",
            name=meta.model,
            source=meta.source.name,
            prompt=meta.prompt,
            facts=asdict(ModelFacts.of(trace)),
            tokens=[printable(token) for token in meta.tokens],
            axes=axis_names(),
            words=cell_words(),
        )

    def _tell_plan(self, records: Sequence[BeatRecord], films: Mapping[str, Path]) -> None:
        settings = self.request.settings
        with use_theme(settings.theme, settings.palette) as theme:
            per_word = theme.tempo.per_word
        self.tell(
            "plan",
            beats=[
                {
                    "name": record.name,
                    "frames": record.frames(self.request.quality.frame_rate),
                    "seconds": round(record.end - record.start, 3),
                    "narration": record.narration,
                    "words_per_minute": words_per_minute(record),
                    "marks": _marks(record, per_word),
                    "film": films.get(record.name),
                }
                for record in records
            ],
        )


def _marks(record: BeatRecord, per_word: float) -> list[Mapping[str, Any]]:
    """Return the marks of a beat: when they are said, and whether the beat waits for them."""
    narration = Narration(record.narration, dict(record.marked))
    waited = dict(record.marks)
    return [
        {
            "name": name,
            "letters": letters,
            "seconds": round(waited.get(name, narration.mark_seconds(name, per_word)), 3),
            "waited": name in waited,
        }
        for name, letters in record.marked
    ]
