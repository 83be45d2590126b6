"""Bring the pictures and films of scenes up to date after an edit, touched beats only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack

from extract.trace import Trace
from filmkit.core.records import BeatRecord, Use
from filmkit.core.scene_entry import SceneEntry
from filmkit.render import recording
from filmkit.render.cache import Cache
from filmkit.render.delivery import encoding_of
from filmkit.render.films import Plan, plan_scene, unfinished_tasks, with_overlays
from filmkit.render.jobs import wanted_beats
from filmkit.render.keys import BeatHasher
from filmkit.render.movie import MASTER
from filmkit.render.overlay import film_overlays
from filmkit.render.preview import OnPicture, draw_pictures
from filmkit.render.processes import core_count
from filmkit.render.rehearsals import Rehearsals
from filmkit.render.request import RenderRequest
from filmkit.render.traces import find_trace
from filmkit.render.workers import FORK, LocalWorkerPool, RenderJob, WorkerPool

__all__ = ["SceneUpdate"]


class SceneUpdate:
    """What has to be drawn again of the scenes of a request, with the code as it is now.

    Parameters
    ----------
    request
        What to render. It must keep its cache, so that only changed beats are drawn.
    trace
        The trace of the request.
    cache
        The cache that holds pictures, masters and segments.
    pools
        Closes the worker pool in the end.
    """

    def __init__(
        self, request: RenderRequest, trace: Trace, cache: Cache, pools: ExitStack
    ) -> None:
        self.request = request
        self.trace = trace
        self._cache = cache
        self._hasher = BeatHasher(find_trace(request.trace), request.options)
        self._rehearsals = Rehearsals(request, self._hasher, cache)
        self._encoding = (
            encoding_of(request.file_format, transparent=False, master=request.master) or MASTER
        )
        self._pools = pools
        self._job: RenderJob | None = None
        self._pool: WorkerPool | None = None

    def draw(
        self,
        entry: SceneEntry,
        on_picture: OnPicture,
        on_missing: Callable[[str], None] = lambda beat: None,
    ) -> None:
        """Draw the missing pictures of a scene; see :func:`draw_pictures`."""
        draw_pictures(
            entry,
            self.trace,
            rehearsals=self._rehearsals,
            hasher=self._hasher,
            cache=self._cache,
            on_picture=on_picture,
            on_missing=on_missing,
        )

    def uses(self, entries: Iterable[SceneEntry]) -> list[Use]:
        """Return all that scenes have been seen to use, also those that could not be drawn."""
        known = filter(None, map(self._rehearsals.find, entries))
        return [*recording.uses(), *(use for rehearsal in known for use in rehearsal.uses)]

    def plan(self, entry: SceneEntry) -> Plan:
        """Return the plan of a scene's film, once its pictures have been drawn."""
        request = self.request
        rehearsal = self._rehearsals.get(entry)
        names = [record.name for record in rehearsal.beats]
        plan = plan_scene(
            entry,
            wanted_beats(entry, names, request.beat, "--beat"),
            rehearsal=rehearsal,
            alone=rehearsal,
            options=request.options,
            hasher=self._hasher,
            cache=self._cache,
            encoding=self._encoding,
        )
        overlays = film_overlays(
            map(rehearsal.beat, plan.beats),
            request.quality,
            with_captions=request.captions == "burn",
        )
        return with_overlays(plan, overlays, request.options.settings)

    def records(self, plan: Plan) -> list[BeatRecord]:
        """Return the records of the beats in a film."""
        return [self._rehearsals.get(plan.entry).beat(beat) for beat in plan.beats]

    def prepare_pool(self, plans: Collection[Plan]) -> None:
        """Collect the unfinished tasks of all films; the pool starts when it is first needed."""
        tasks = tuple(task for plan in plans for task in unfinished_tasks(plan, self._cache))
        if tasks:
            request = self.request
            self._job = RenderJob(
                tasks,
                find_trace(request.trace),
                request.options,
                MASTER,
                self._encoding,
                request.verbosity,
                request.verbose,
                self._rehearsals.uses_of(dict.fromkeys(plan.entry for plan in plans)),
            )

    def start_pool(self) -> WorkerPool | None:
        """Start the worker pool on the first call; return None if all beats are rendered."""
        if self._job and not self._pool:
            size = min(self.request.jobs or core_count(), len(self._job.tasks))
            # Forks of this process, which has loaded all libraries and laid out all text already.
            self._pool = self._pools.enter_context(LocalWorkerPool(self._job, size, FORK))
        return self._pool
