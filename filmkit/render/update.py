"""Bring the pictures and films of scenes up to date after an edit, touched beats only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import cached_property

from extract.trace import Trace
from filmkit.core.records import BeatRecord
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage
from filmkit.render.cache import Cache
from filmkit.render.delivery import encoding_of
from filmkit.render.films import Plan, plan_scene, unfinished_tasks, with_overlays
from filmkit.render.jobs import wanted_beats
from filmkit.render.keys import BeatHasher
from filmkit.render.movie import MASTER
from filmkit.render.overlay import film_overlays
from filmkit.render.preview import ContactSheet, open_contact_sheet
from filmkit.render.rehearsals import Rehearsals
from filmkit.render.request import RenderRequest
from filmkit.render.traces import find_trace
from filmkit.render.workers import FORK, LocalWorkerPool, RenderJob, WorkerPool, core_count

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
        self._trace = trace
        self._cache = cache
        self._hasher = BeatHasher(find_trace(request.trace), request.options)
        self._digest = self._hasher.source_digest(request.scenes)
        self._encoding = (
            encoding_of(request.file_format, transparent=False, master=request.master) or MASTER
        )
        self._pools = pools
        self._job: RenderJob | None = None
        self._pool: WorkerPool | None = None
        self._stages: dict[SceneEntry, type[Stage]] = {}

    @cached_property
    def _rehearsals(self) -> Rehearsals:
        # It computes keys of its own, which the first picture does not need.
        return Rehearsals(self._trace, self.request.options, self._hasher, self._cache)

    def is_current(self) -> bool:
        """Return whether code and trace are still those that the cache keys were made from."""
        return self._hasher.source_digest(self.request.scenes) == self._digest

    def open_contact_sheet(self, entry: SceneEntry) -> ContactSheet:
        """Load a scene, and return its contact sheet."""
        self._stages[entry] = entry.load()
        return open_contact_sheet(entry, trace=self._trace, hasher=self._hasher, cache=self._cache)

    def draw(self, contact_sheet: ContactSheet, on_drawn: Callable[[str], None]) -> None:
        """Draw the missing pictures of a contact sheet; ``on_drawn`` takes each beat's name."""
        stage = self._stages[contact_sheet.entry]
        contact_sheet.draw(stage, self._trace, self.request.options, on_drawn)

    def plan(self, entry: SceneEntry) -> Plan:
        """Return the plan of a scene's film."""
        request = self.request
        rehearsal = self._rehearsals.get(entry)
        plan = plan_scene(
            entry,
            wanted_beats(entry, self._trace, request.beat, "--beat"),
            rehearsal=rehearsal,
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

    def prepare_pool(self, plans: Iterable[Plan]) -> None:
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
                self._digest,
                request.scenes,
            )

    def start_pool(self) -> WorkerPool | None:
        """Start the worker pool on the first call; return None if all beats are rendered."""
        if self._job and not self._pool:
            size = min(self.request.jobs or core_count(), len(self._job.tasks))
            # Forks of this process, which has loaded all libraries and laid out all text already.
            self._pool = self._pools.enter_context(LocalWorkerPool(self._job, size, FORK))
        return self._pool
