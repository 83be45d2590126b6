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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from extract.trace import Trace
from filmkit.core.beat_records import BeatRecord
from filmkit.core.narration import Narration
from filmkit.core.theme import use_theme
from filmkit.core.token_text import printable
from filmkit.decks.cells import axis_names, cell_words
from filmkit.render.clean_process import forked_process
from filmkit.render.delivery import deliver
from filmkit.render.films import Plan, beat_film
from filmkit.render.preview import draw_pictures
from filmkit.render.processes import DONE, telling
from filmkit.render.reads import files_read
from filmkit.render.request import RenderRequest
from filmkit.render.update import SceneUpdate
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
        The scene, how it is drawn, and its trace. It must keep its cache, so that only changed
        beats are drawn.
    folder
        Where films of beats are kept.
    messages
        Takes the messages of this module.
    questions
        Brings questions about frames; :func:`filmkit.studio.frames.answer_questions` answers them.
    """
    with telling(messages, verbose=request.verbose or None) as tell:
        _Artist(request, trace, folder, tell).draw(questions)
    threading.Event().wait()  # further frames may be asked for


class _Artist:
    """Draws a scene; see :func:`draw`."""

    def __init__(
        self, request: RenderRequest, trace: Trace, folder: Path, tell: Callable[..., None]
    ) -> None:
        self._request = request
        self._trace = trace
        (self._entry,) = request.scenes
        self._folder = folder
        self._tell = tell

    def draw(self, questions: Connection) -> None:
        request, trace = self._request, self._trace
        with SceneUpdate.of(request, trace) as update:
            self._tell_model(trace)
            try:
                beats = request.beat_names(self._entry, trace)
                self._tell("title", title=self._entry.titled_anew.title)
                # First, because the page waits for the numbers of the frame that it shows.
                forked_process(READER, request, trace, connections=[questions]).start()
                questions.close()
                self._draw_stills(update, beats)
            finally:
                self._tell("reads", files=files_read())
            # What nobody waits for steps back: frames that the page asks for come first.
            if hasattr(os, "nice"):  # not on Windows
                os.nice(STEP_BACK)
            plan = update.plan([self._entry])[self._entry]
            records = update.records(plan)
            films = {beat: self._film_of(plan, beat) for beat in plan.beats}
            missing_films = {beat: film for beat, film in films.items() if not film.exists()}
            self._tell_plan(records, {b: f for b, f in films.items() if b not in missing_films})
            self._film(update, plan, missing_films)

    def _draw_stills(self, update: SceneUpdate, beats: Sequence[str]) -> None:
        """Draw the missing pictures of beats; those before the first one are told together."""
        stills: dict[str, Path] = {}
        touched: list[str] = []

        def on_missing(beat: str) -> None:
            if not touched:
                touched.append(beat)
                self._tell_beats(beats, stills, beat)

        def on_picture(beat: str, path: Path, is_new: bool) -> None:
            stills[beat] = path
            if touched:
                self._tell("still", beat=beat, still=path)

        draw_pictures(self._entry, self._trace, update.rehearsals, on_picture, on_missing)
        if stills and not touched:
            self._tell_beats(beats, stills, None)

    def _film(self, update: SceneUpdate, plan: Plan, films: Mapping[str, Path]) -> None:
        """Join the film of each of some beats as soon as its parts are rendered."""
        for beat, target in films.items():
            deliver(
                target,
                update.files(beat_film(plan, beat), target),
                self._request.file_format,
                frame_rate=self._request.quality.frame_rate,
                transparent=False,
            )
            self._tell("film", beat=beat, film=target)
        self._tell(DONE)

    def _film_of(self, plan: Plan, beat: str) -> Path:
        """Return the path of a beat's film, which names all that it is made of."""
        parts = " ".join(task.segment.name for task in plan.tasks if task.beat == beat)
        return self._folder / f"{sha256(parts.encode()).hexdigest()}.mp4"

    def _tell_model(self, trace: Trace) -> None:
        meta = trace.meta
        self._tell(
            "model",
            name=meta.model,
            source=meta.source.name,
            prompt=meta.prompt,
            facts=asdict(ModelFacts.of(trace)),
            tokens=[printable(token) for token in meta.tokens],
            axes=axis_names(),
            words=cell_words(),
        )

    def _tell_beats(
        self, beats: Sequence[str], stills: Mapping[str, Path], touched: str | None
    ) -> None:
        quality = self._request.quality
        self._tell(
            "beats",
            frame=[quality.width, quality.height],
            frame_rate=quality.frame_rate,
            touched=touched,
            beats=[
                {
                    "name": beat,
                    "title": self._entry.title_of_beat(beat),
                    "still": stills.get(beat),
                }
                for beat in beats
            ],
        )

    def _tell_plan(self, records: list[BeatRecord], films: Mapping[str, Path]) -> None:
        settings = self._request.settings
        with use_theme(settings.theme, settings.palette) as theme:
            per_word = theme.tempo.per_word
        self._tell(
            "plan",
            beats=[
                {
                    "name": record.name,
                    "frames": record.frames(self._request.quality.frame_rate),
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
