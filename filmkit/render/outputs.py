"""Write contact sheets and films after an edit, in a process that has the code as it is now."""

from __future__ import annotations

import json
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from extract.support.files import write_text
from extract.trace import Trace
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.artist import Artist, DrawnScene
from filmkit.render.films import beat_film
from filmkit.render.jobs import RenderSession, film_cues
from filmkit.render.preview import save_sheet
from filmkit.render.processes import telling
from filmkit.render.request import RenderRequest
from filmkit.words.captions import vtt

__all__ = ["update_outputs"]


def update_outputs(
    request: RenderRequest,
    trace: Trace,
    folder: Path,
    films: bool,
    messages: Connection,
    requests: Connection,
) -> None:
    """Bring the contact sheets and films of a request up to date.

    Within a scene, the last frame of the first changed beat is drawn first, and the contact sheet
    is written at once. Then follow the other pictures, the film of that beat, and the scenes'
    films.

    Parameters
    ----------
    request, trace
        As for :class:`Artist`.
    folder
        Keeps, from one call to the next, which pictures the contact sheets and films show.
    films
        As for :func:`filmkit.render.watch.watch`.
    messages
        Takes the messages of :class:`Artist`, and one of the kind "written" for each file, with its
        ``path``.
    requests
        Brings nothing.
    """
    with telling(messages, verbose=request.verbose) as tell:
        artist = _OutputArtist(request, trace, folder, requests, tell)
        artist.films = films
        artist.draw()


class _OutputArtist(Artist):
    """Draws into files; see :func:`update_outputs`."""

    def draw(self) -> None:
        self._shown_file = self.folder / "shown.json"
        self._shown: dict[str, dict[str, str]] = (
            json.loads(self._shown_file.read_text("utf-8")) if self._shown_file.exists() else {}
        )
        super().draw()

    def show_still(self, scene: DrawnScene, beat: str) -> None:
        if beat == scene.touched:
            self._save_sheet(scene)

    def make_films(self, session: RenderSession) -> None:
        def film_first(entry: SceneEntry) -> None:
            """Write the film of the first changed beat alone, unless all beats have changed."""
            plan = session.plans[entry]
            before = self._shown.get(f"{entry.slug} film", {}).values()
            changed = [task.beat for task in plan.tasks if str(task.segment) not in before]
            if changed and len({*changed}) < len(plan.beats):
                self._tell_written(session.film(beat_film(plan, changed[0])))

        def film(entry: SceneEntry) -> None:
            """Write a scene's film; other words are another one, even if no picture differs."""
            plan = session.plans[entry]
            keys = {str(number): str(task.segment) for number, task in enumerate(plan.tasks)}
            if self.request.captions in ("files", "mux"):
                keys["captions"] = vtt(film_cues(plan.records, self.request.quality))
            self._update(f"{entry.slug} film", keys, lambda: session.film(plan))

        self.each(session.plans, film_first)
        self.each(self.scenes, lambda entry: self._save_sheet(self.scenes[entry]))
        self.each(session.plans, film)

    def _save_sheet(self, scene: DrawnScene) -> None:
        """Write a contact sheet; a beat that was not drawn keeps the picture that it had on it."""
        slug, title = scene.entry.slug, scene.entry.shown_title
        before = self._shown.get(slug, {})
        kept = {beat: Path(before[beat]) for beat in scene.beats if beat in before}
        pictures = {beat: path for beat, path in kept.items() if path.is_file()} | scene.stills
        shown = {"": title} | {beat: str(path) for beat, path in pictures.items()}
        request, entry, beats = self.request, scene.entry, scene.beats
        self._update(slug, shown, lambda: save_sheet(request, entry, beats, pictures))

    def _update(self, key: str, shown: dict[str, str], write: Callable[[], Path]) -> None:
        """Write a file, unless it shows the same already, and tell so.

        What it shows is stored before it is told: an edit may follow.
        """
        if self._shown.get(key) != shown:
            path = write()
            self._shown[key] = shown
            write_text(self._shown_file, json.dumps(self._shown))
            self._tell_written(path)

    def _tell_written(self, path: Path) -> None:
        self.tell("written", path=path)
