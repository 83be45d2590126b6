"""Draw scenes after an edit, touched beats only, in a process that has the code as it is now.

First come the missing last pictures of beats, in the order of the story; then the film of the first
touched beat, and the rest. The studio's page shows them (:mod:`filmkit.studio.artist`), and
``--watch`` writes them into files (:mod:`filmkit.render.outputs`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

from extract.trace import Trace
from filmkit.core.language import use_language
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.cache import open_cache
from filmkit.render.jobs import RenderSession, rendering
from filmkit.render.manim_config import manim_config
from filmkit.render.preview import draw_pictures
from filmkit.render.processes import DONE, ERROR
from filmkit.render.reads import READS, files_read
from filmkit.render.rehearsals import Rehearsals
from filmkit.render.request import RenderRequest, for_each_scene
from filmkit.render.voices import Spoken

__all__ = ["Artist", "DrawnScene"]

T = TypeVar("T")


@dataclass
class DrawnScene:
    """A scene while the last pictures of its beats are drawn.

    Attributes
    ----------
    entry
        The scene, with the title that it has now.
    beats
        Names of its beats, in order.
    stills
        The pictures that there are by now.
    touched
        The first beat that has to be drawn; "" if there is none, as far as it is known.
    """

    entry: SceneEntry
    beats: tuple[str, ...]
    stills: dict[str, Path] = field(default_factory=dict)
    touched: str = ""


class Artist(ABC):
    """Base of the classes that draw the missing pictures and films of scenes, and tell of each.

    Parameters
    ----------
    request, trace
        The scenes, how they are drawn, and their trace. The request must keep its cache, so that
        only changed beats are drawn.
    folder
        Keeps from one process to the next what was made.
    requests
        Brings requests.
    tell
        Sends messages; see :func:`filmkit.render.processes.telling`.

    Attributes
    ----------
    request, trace, folder, requests, tell
        As above.
    films
        Whether films are made.
    scenes
        The scenes whose pictures are drawn by now, also where that has failed.
    """

    def __init__(
        self,
        request: RenderRequest,
        trace: Trace,
        folder: Path,
        requests: Connection,
        tell: Callable[..., None],
    ) -> None:
        self.request = request
        self.trace = trace
        self.folder = folder
        self.requests = requests
        self.tell = tell
        self.films = True
        self.scenes: dict[SceneEntry, DrawnScene] = {}

    def draw(self) -> None:
        """Draw all that is missing.

        It is told which ``files`` the scenes have read (:data:`READS`), and in the end that all is
        drawn (:data:`DONE`).
        """
        request = self.request
        with (
            use_language(request.settings.language),
            manim_config(request.quality, verbosity=request.verbosity),
            open_cache(request.cache, keep=True) as cache,
        ):
            rehearsals = Rehearsals(request, cache, hashed=True)
            try:
                drawn = self.each(request.scenes, lambda entry: self.draw_end(entry, rehearsals))
            finally:
                self.tell(READS, files=files_read())
            filmed = drawn if self.films else ()
            # By forks of this process, which has loaded all libraries and laid out all text.
            with rendering(filmed, rehearsals, Spoken(request, {}), fork=True) as session:
                self.make_films(session)
        self.tell(DONE)

    def each(
        self, entries: Iterable[SceneEntry], function: Callable[[SceneEntry], T]
    ) -> dict[SceneEntry, T]:
        """Call a function for each scene; an error is sent as a message, and the others go on."""

        def report(entry: SceneEntry, text: str) -> None:
            self.tell(ERROR, scene=entry.slug, text=text)

        return for_each_scene(self.request, entries, function, report)

    def draw_end(self, entry: SceneEntry, rehearsals: Rehearsals) -> None:
        """Draw the missing last pictures of a scene's beats, and show all of them."""
        beats = self.request.beat_names(entry, self.trace)
        scene = self.scenes[entry] = DrawnScene(entry.titled_anew, beats)

        def on_missing(beat: str) -> None:
            if not scene.touched:
                scene.touched = beat
                self.show_scene(scene)

        def on_picture(beat: str, path: Path) -> None:
            scene.stills[beat] = path
            if scene.touched:
                self.show_still(scene, beat)

        draw_pictures(entry, self.trace, rehearsals, on_picture, on_missing)
        if not scene.touched:
            self.show_scene(scene)

    def show_scene(self, scene: DrawnScene) -> None:  # noqa: B027 (files have nothing of it)
        """Show a scene, with the pictures that come before its first touched beat."""

    @abstractmethod
    def show_still(self, scene: DrawnScene, beat: str) -> None:
        """Show one more picture, of the first touched beat or one after it."""

    @abstractmethod
    def make_films(self, session: RenderSession) -> None:
        """Make the films of the scenes that could be run, unless they are there."""
