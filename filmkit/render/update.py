"""Bring the pictures and films of scenes up to date after an edit, touched beats only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from extract.trace import Trace
from filmkit.core.beat_records import BeatRecord
from filmkit.core.language import use_language
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.cache import Cache, open_cache
from filmkit.render.films import Plan, finished_files
from filmkit.render.jobs import plan_films, render_job, worker_pool
from filmkit.render.manim_config import manim_config
from filmkit.render.rehearsals import Rehearsals
from filmkit.render.request import RenderRequest
from filmkit.render.workers import WorkerPool

__all__ = ["SceneUpdate"]


class SceneUpdate:
    """What has to be drawn again of the scenes of a request, with the code as it is now.

    Parameters
    ----------
    request
        What to render. It must keep its cache, so that only changed beats are drawn.
    trace
        Its trace.
    cache
        The cache that holds pictures, masters and segments.
    pools
        Closes the worker pool in the end.

    Attributes
    ----------
    request, trace
        As above.
    rehearsals
        Rehearsals of the scenes, for :func:`draw_pictures`, which comes first.
    """

    def __init__(
        self, request: RenderRequest, trace: Trace, cache: Cache, pools: ExitStack
    ) -> None:
        self.request = request
        self.trace = trace
        self.rehearsals = Rehearsals(request, cache, hashed=True)
        self._pools = pools
        self._pool: WorkerPool

    @classmethod
    @contextmanager
    def of(cls, request: RenderRequest, trace: Trace) -> Iterator[Self]:
        """Yield an update for a request, in whose language and size its scenes are drawn."""
        with (
            use_language(request.settings.language),
            manim_config(request.quality, verbosity=request.verbosity),
            open_cache(request.cache, keep=True) as cache,
            ExitStack() as pools,
        ):
            yield cls(request, trace, cache, pools)

    def plan(self, entries: Iterable[SceneEntry]) -> dict[SceneEntry, Plan]:
        """Return the plans of scenes' films, and begin to render what is missing of them.

        Their pictures have to be drawn before.
        """
        plans = plan_films(entries, self.rehearsals)
        job = render_job(plans.values(), self.rehearsals)
        # Forks of this process, which has loaded all libraries and laid out all text already.
        self._pool = self._pools.enter_context(worker_pool(job, fork=True))
        return plans

    def records(self, plan: Plan) -> list[BeatRecord]:
        """Return the records of the beats in a film."""
        return [self.rehearsals.get(plan.entry).beat(beat) for beat in plan.beats]

    def files(self, plan: Plan, target: Path) -> Iterable[Path]:
        """Return the segment of each part of a film; see :func:`finished_files`."""
        return finished_files(plan, target, self._pool, lambda frames: None)
