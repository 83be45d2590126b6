"""Make films, stills and posters as the command line requests them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from extract.support.files import folder_there, write_text
from filmkit.core.beat_records import ARRIVE, BeatRecord
from filmkit.core.card import FILM_TITLE
from filmkit.core.language import _
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.cache import Cache, open_cache
from filmkit.render.choice import wanted_beats
from filmkit.render.delivery import deliver, encoding_of, target_of
from filmkit.render.errors import PoolError, RenderError
from filmkit.render.films import (
    Chapters,
    Plan,
    chapter_list,
    finished_files,
    plan_scene,
    story_chapters,
    unfinished_tasks,
    with_overlays,
)
from filmkit.render.movie import Encoding
from filmkit.render.overlay import film_overlays
from filmkit.render.posters import SHEET, THUMBNAIL_SIZE, make_sheet
from filmkit.render.progress import Meter, make_meter
from filmkit.render.quality import Quality
from filmkit.render.rehearsals import Rehearsals
from filmkit.render.request import RenderRequest, for_each_scene, load_trace, report_files
from filmkit.render.runner import (
    Picture,
    manim_config,
    render_picture,
    render_stills,
    write_picture,
)
from filmkit.render.voices import Spoken, with_voice
from filmkit.render.workers import LocalWorkerPool, RenderJob, WorkerPool
from filmkit.words.captions import Cue, captions, shifted, srt, vtt

__all__ = [
    "RenderSession",
    "film_cues",
    "make_films",
    "make_posters",
    "make_stills",
    "plan_films",
    "render_job",
    "render_session",
    "rendering",
    "worker_pool",
]


FILM = "film"
SHORT_FILM = "film.short"


@dataclass(frozen=True)
class RenderSession:
    """The beats of scenes while they are being rendered; see :func:`render_session`.

    Attributes
    ----------
    request, cache
        What is rendered, and the cache that holds the files of the beats.
    plans
        The plan of each scene's film.
    meter
        Shows the progress.
    pool
        Renders the unfinished tasks of all plans.
    spoken
        What a voice says.
    """

    request: RenderRequest
    cache: Cache
    plans: dict[SceneEntry, Plan]
    meter: Meter
    pool: WorkerPool
    spoken: Spoken

    def part_files(self, plan: Plan, target: Path) -> Iterator[Path]:
        """Yield the segment of each part of a film in order, as soon as it exists.

        Parameters
        ----------
        plan
            The plan of the film, or of a part of it.
        target
            The file that is made from them, to be named in errors.
        """
        try:
            for file in finished_files(plan, target, self.pool, self.meter.advance):
                _keep_limit(self.cache, self.plans.values())
                yield file
        except PoolError:
            raise
        except RenderError as error:
            # In one film of many scenes the message has to name the scene.
            if self.request.joined:
                raise RenderError(f"{plan.entry.slug}: {error}") from error
            raise

    def film(self, plan: Plan) -> Path:
        """Write the film of a scene or of one of its beats; see :meth:`write_film`."""
        self.meter.describe(plan.entry.slug)
        frame_rate = self.request.quality.frame_rate
        chapters = [(beat.title, beat.frames(frame_rate)) for beat in plan.records]
        if len(chapters) == 1:
            chapters = []
        return self.write_film(plan.name, [plan], chapters, title=plan.entry.shown_title)

    def write_film(
        self, name: Path, plans: Sequence[Plan], chapters: Chapters = (), *, title: str = ""
    ) -> Path:
        """Write a film, with captions in it or beside it as the request says; return its path.

        Parameters
        ----------
        name
            Path of the film without a suffix, relative to the output folder.
        plans
            What it joins.
        title, chapters
            Title and chapters of the film.

        Raises
        ------
        OutputError
            When a file cannot be written.
        """
        request = self.request
        target = target_of(request.out / name, request.file_format)
        records = [plan.records for plan in plans]
        entries = [plan.entry for plan in plans]
        cues = film_cues(chain.from_iterable(records), request.quality)
        deliver(
            target,
            chain.from_iterable(self.part_files(plan, target) for plan in plans),
            request.file_format,
            frame_rate=request.quality.frame_rate,
            transparent=request.settings.transparent,
            title=title,
            chapters=chapters,
            cues=cues if request.captions == "mux" else (),
            sound=self.spoken.track(zip(entries, records, strict=True)),
        )
        # A single picture has no duration, so it needs no captions.
        if request.captions in ("files", "mux") and request.file_format != "png":
            for suffix, text in (("srt", srt(cues)), ("vtt", vtt(cues))):
                write_text(target_of(request.out / name, suffix), text)
        return target


@contextmanager
def render_session(request: RenderRequest, *, single: bool = False) -> Iterator[RenderSession]:
    """Render the beats of a request in the background, for the duration of a ``with`` block.

    At the end of the block rendering stops and unfinished files are removed.

    Parameters
    ----------
    request
        What to render, and how.
    single
        Whether each beat is shown by itself, as in a deck: then the notes on where its numbers
        come from stay on its pictures.
    """
    with (
        manim_config(request.quality, verbosity=request.verbosity),
        # A scene that looks for its files sees the same in all processes that run it.
        folder_there(request.out),
        open_cache(request.cache, keep=request.keep_cache, quiet=request.quiet) as cache,
    ):
        spoken = with_voice(request, cache)
        known = Rehearsals(spoken.request, cache, hashed=True)
        known.prepare(spoken.request.scenes)
        rehearsed = for_each_scene(request, spoken.request.scenes, known.get)
        with rendering(rehearsed, known, spoken, single=single) as session:
            yield session


@contextmanager
def rendering(
    entries: Iterable[SceneEntry],
    rehearsals: Rehearsals,
    spoken: Spoken,
    *,
    single: bool = False,
    fork: bool = False,
) -> Iterator[RenderSession]:
    """Render what is missing of scenes' films in the background, for a ``with`` block.

    Parameters
    ----------
    entries
        The scenes, which can be run.
    rehearsals
        Beats, times and keys of the scenes.
    spoken
        As in :class:`RenderSession`.
    single
        As for :func:`render_session`.
    fork
        As for :class:`LocalWorkerPool`.
    """
    request, cache = rehearsals.request, rehearsals.cache
    plans = plan_films(entries, rehearsals, single=single)
    job = render_job(plans.values(), rehearsals)
    _keep_limit(cache, plans.values())
    with worker_pool(job, fork=fork) as pool:
        frames = sum(task.frames for task in job.tasks)
        with make_meter(frames, quiet=request.quiet) as meter:
            yield RenderSession(request, cache, plans, meter, pool, spoken)


def plan_films(
    entries: Iterable[SceneEntry], rehearsals: Rehearsals, *, single: bool = False
) -> dict[SceneEntry, Plan]:
    """Return the plan of each scene's film, as the request of the rehearsals asks for it.

    Parameters
    ----------
    entries
        The scenes.
    rehearsals
        As for :func:`plan_scene`.
    single
        As for :func:`render_session`.
    """
    request = rehearsals.request

    def plan(entry: SceneEntry) -> Plan:
        names = [record.name for record in rehearsals.get(entry).beats]
        beats: Collection[str] = wanted_beats(entry, names, request.beat, "--beat")
        if request.selection:
            beats = {ARRIVE, *request.selection[entry]}
        return plan_scene(entry, beats, rehearsals=rehearsals, encoding=_encoding(request))

    plans = for_each_scene(request, entries, plan)
    shown = ("", "")
    for entry, scene_plan in plans.items():
        overlays = film_overlays(
            scene_plan.records,
            request.quality,
            with_captions=request.captions == "burn",
            always=single or request.file_format == "png",
            shown=shown,
        )
        plans[entry] = with_overlays(scene_plan, overlays, request.settings)
        if request.joined:
            shown = scene_plan.records[-1].notes
    return plans


def render_job(plans: Collection[Plan], rehearsals: Rehearsals) -> RenderJob:
    """Return the job of rendering all of some plans that is not in the cache."""
    request = rehearsals.request
    tasks = [task for plan in plans for task in unfinished_tasks(plan, rehearsals.cache)]
    files = {plan.entry: plan.rehearsal.files for plan in plans}
    drawing = rehearsals.keys.drawing
    return RenderJob(tuple(tasks), request, _encoding(request), drawing, files)


def _encoding(request: RenderRequest) -> Encoding:
    """Return how segments are encoded."""
    return encoding_of(
        request.file_format, transparent=request.settings.transparent, master=request.master
    )


def _keep_limit(cache: Cache, plans: Iterable[Plan]) -> None:
    """Remove from the cache what these plans do not need, as far as its limit asks for it."""
    needed = set()
    for task in chain.from_iterable(plan.tasks for plan in plans):
        needed |= {task.segment} if task.segment.exists() else {*task.files}
    cache.shrink(needed)


def worker_pool(job: RenderJob, *, fork: bool = False) -> WorkerPool:
    """Return the cluster's workers if the request names a cluster, else local processes.

    Parameters
    ----------
    job
        The beats to render, and how.
    fork
        As for :class:`LocalWorkerPool`.
    """
    request = job.request
    if request.cluster and job.tasks:
        from filmkit.render.cluster import ClusterWorkerPool

        return ClusterWorkerPool(job, request.cluster, quiet=request.quiet)
    return LocalWorkerPool(job, fork=fork)


def make_films(request: RenderRequest) -> bool:
    """Write a film of each scene or of one beat of each; return whether all succeeded."""
    load_trace(request)
    with render_session(request) as session:
        if not request.joined:
            films = for_each_scene(
                request, session.plans, lambda entry: session.film(session.plans[entry])
            )
            paths = [*films.values()]
        elif len(session.plans) == len(request.scenes):
            session.meter.describe(FILM)
            frame_rate = request.quality.frame_rate
            lengths = [
                sum(record.frames(frame_rate) for record in plan.records)
                for plan in session.plans.values()
            ]
            scene_titles = [entry.shown_title for entry in session.plans]
            chapters = story_chapters([*zip(scene_titles, lengths, strict=True)], frame_rate)
            name = request.file_name(SHORT_FILM if request.selection else FILM)
            film = session.write_film(
                Path(name), [*session.plans.values()], chapters, title=_(FILM_TITLE)
            )
            titles = request.out / f"{name}.txt"
            paths = [film, titles]
            write_text(titles, chapter_list(chapters, frame_rate))
        else:
            paths = []
    report_files(request, paths)
    return len(paths) == (2 if request.joined else len(request.scenes))


def film_cues(beats: Iterable[BeatRecord], quality: Quality) -> tuple[Cue, ...]:
    """Return the captions of beats that are joined, in seconds from the start of the first."""
    cues: list[Cue] = []
    frames = 0
    for record in beats:
        start = frames / quality.frame_rate
        cues += shifted(captions([record]), start - record.start)
        frames += record.frames(quality.frame_rate)
    return tuple(cues)


def make_stills(request: RenderRequest, beat: str) -> bool:
    """Write the last frame of one beat or of all beats of each scene; return whether all succeeded.

    Parameters
    ----------
    request
        The scenes, and how to render them.
    beat
        Name of a beat or the beginning of one, or "all".
    """
    trace = load_trace(request)
    wanted = for_each_scene(
        request,
        request.scenes,
        lambda entry: wanted_beats(entry, request.beat_names(entry, trace), beat, "--still"),
    )
    count = sum(len(beats) for beats in wanted.values())
    with (
        manim_config(request.quality, verbosity=request.verbosity),
        make_meter(count, quiet=request.quiet) as meter,
    ):

        def stills(entry: SceneEntry) -> list[Path]:
            meter.describe(entry.slug)
            return render_stills(
                entry,
                trace=trace,
                request=request,
                beats=wanted[entry],
                progress=meter.advance,
            )

        written = for_each_scene(request, wanted, stills)
    report_files(request, [path for paths in written.values() for path in paths])
    return len(written) == len(request.scenes)


def make_posters(request: RenderRequest, thumbnail: SceneEntry) -> bool:
    """Write each poster, a sheet of them and a thumbnail; return whether all succeeded.

    Parameters
    ----------
    request
        The posters as its scenes, and how to render them.
    thumbnail
        The scene that the thumbnail shows.
    """
    posters, trace = request.scenes, load_trace(request)

    def target(name: str) -> Path:
        return target_of(request.out / request.file_name(name), request.still_format)

    with make_meter(len(posters) + 2, quiet=request.quiet) as meter:

        def drawn(entry: SceneEntry) -> Picture:
            meter.describe(entry.slug)
            picture = render_picture(entry, trace=trace, request=request)
            write_picture(picture, target(entry.slug), title=entry.shown_title)
            meter.advance(1)
            return picture

        with manim_config(request.quality, verbosity=request.verbosity):
            pictures = for_each_scene(request, posters, drawn)
        paths = [target(entry.slug) for entry in pictures]
        if len(pictures) == len(posters):
            meter.describe(SHEET)
            paths.append(make_sheet(pictures, target(SHEET)))
            meter.advance(1)
        with manim_config(THUMBNAIL_SIZE, verbosity=request.verbosity):
            paths += [target(entry.slug) for entry in for_each_scene(request, [thumbnail], drawn)]
    report_files(request, paths)
    return len(paths) == len(posters) + 2
