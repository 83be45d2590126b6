"""Make what the command line asks for: films, stills and posters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from extract.files import write_text
from extract.trace import Trace
from filmkit.core.records import BeatRecord, Rehearsal
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.cache import open_cache
from filmkit.render.choice import choose
from filmkit.render.delivery import deliver, encoding_of, target_of
from filmkit.render.errors import WorkError, explain
from filmkit.render.films import (
    Chapters,
    Plan,
    chapter_list,
    finished_parts,
    missing,
    plan_scene,
    with_captions,
)
from filmkit.render.keys import BeatHasher
from filmkit.render.movie import MASTER, MASTER_ALPHA
from filmkit.render.posters import SHEET, THUMBNAIL_SIZE, make_sheet
from filmkit.render.progress import Meter, make_meter
from filmkit.render.quality import Quality
from filmkit.render.rehearsals import Rehearsals
from filmkit.render.request import RenderRequest, each, load_trace, report_files
from filmkit.render.runner import frame_count, manim_config, render_picture, render_stills
from filmkit.render.traces import find_trace
from filmkit.render.workers import LocalWorkerPool, RenderJob, WorkerPool, cores
from filmkit.words.captions import Cue, captions, shifted, srt, vtt
from filmkit.words.script import chapter_title

__all__ = [
    "RenderSession",
    "explain",
    "make_films",
    "make_posters",
    "make_stills",
    "render_session",
    "wanted_beats",
]


FILM = "film"


@dataclass(frozen=True)
class RenderSession:
    """Films in the making; see :func:`shooting`.

    Attributes
    ----------
    plans
        Which pieces each scene's film has.
    rehearsals
        How long everything is, of each scene that could be run.
    meter
        Shows how far the run is.
    crew
        Makes the pieces that are missing.
    """

    plans: dict[SceneEntry, Plan]
    rehearsals: dict[SceneEntry, Rehearsal]
    meter: Meter
    pool: WorkerPool

    def pieces(self, entry: SceneEntry, target: Path) -> Iterator[Path]:
        """The files of a scene's beats in order, as soon as they are there.

        Parameters
        ----------
        entry
            The scene.
        target
            What they become part of, which errors name.
        """
        return finished_parts(self.plans[entry], target, self.pool, self.meter.advance)

    def records(self, entry: SceneEntry) -> list[BeatRecord]:
        """The records of the beats that a scene's film has."""
        return [self.rehearsals[entry].beat(task.beat) for task in self.plans[entry].tasks]


@contextmanager
def render_session(request: RenderRequest, trace: Trace) -> Iterator[RenderSession]:
    """Start making the beats of an order's scenes; what is unfinished in the end is removed."""
    options = request.options
    part = encoding_of(request.form, transparent=request.transparent)
    master = MASTER_ALPHA if request.transparent else MASTER
    if request.captions == "burn":
        # Captions are drawn into pieces, never into masters.
        part = part or master
    with (
        manim_config(request.quality, verbosity=request.verbosity),
        open_cache(request.cache, keep=request.keep_cache) as cache,
    ):
        hasher = BeatHasher(find_trace(request.trace), options)
        rehearsed = Rehearsals(trace, options, hasher, cache).of

        def plan(entry: SceneEntry) -> Plan:
            beats = wanted_beats(entry, trace, request.beat, "--beat")
            return plan_scene(entry, beats, trace=trace, hasher=hasher, cache=cache, part=part)

        plans = each(request, request.scenes, plan)
        if request.captions == "burn":
            plans = {
                entry: with_captions(plans[entry], told, request.theme)
                for entry, told in each(request, plans, rehearsed).items()
            }
        tasks = tuple(task for plan in plans.values() for task in missing(plan, cache))
        work = RenderJob(
            tasks,
            find_trace(request.trace),
            options,
            master,
            part,
            request.verbosity,
            request.verbose,
        )
        # The processes start while this one finds out how long everything is.
        with _worker_pool(request, work) as pool:
            rehearsals = each(request, plans, rehearsed)
            frames = sum(
                frame_count(rehearsals[task.entry].beat(task.beat), request.quality)
                for task in tasks
                if task.entry in rehearsals
            )
            with make_meter(frames, quiet=request.quiet) as meter:
                yield RenderSession(plans, rehearsals, meter, pool)


def _worker_pool(request: RenderRequest, work: RenderJob) -> WorkerPool:
    if request.cluster and work.tasks:
        from filmkit.render.cluster import ClusterWorkerPool

        return ClusterWorkerPool(work, request.cluster, quiet=request.quiet)
    return LocalWorkerPool(work, min(request.jobs or cores(), len(work.tasks)))


def make_films(request: RenderRequest) -> bool:
    """Render each scene, or one beat of each, to a film; say whether all went well."""
    trace = load_trace(request)
    with render_session(request, trace) as shoot:

        def pieces(entry: SceneEntry, target: Path) -> Iterator[Path]:
            try:
                yield from shoot.pieces(entry, target)
            except WorkError as error:
                # Of many scenes in one film the message has to say which it was.
                name = f"{entry.slug}: " if request.joined else ""
                raise WorkError(f"{name}{error}") from error

        def write(name: Path, entries: Sequence[SceneEntry], marks: Chapters) -> Path:
            target = target_of(request.out / name, request.form)
            files = (file for entry in entries for file in pieces(entry, target))
            cues = list(_cues(request.quality, map(shoot.records, entries)))
            deliver(
                target,
                files,
                request.form,
                frame_rate=request.quality.frame_rate,
                transparent=request.transparent,
                chapters=marks,
                cues=cues if request.captions == "mux" else (),
            )
            # One picture takes no time to read beside.
            if request.captions in ("files", "mux") and request.form != "png":
                for form, text in (("srt", srt(cues)), ("vtt", vtt(cues))):
                    write_text(target_of(request.out / name, form), text)
            return target

        def film(entry: SceneEntry) -> Path:
            shoot.meter.describe(entry.slug)
            beats = shoot.records(entry)
            chapters = [(chapter_title(b.name), frame_count(b, request.quality)) for b in beats]
            return write(shoot.plans[entry].name, [entry], chapters if len(beats) > 1 else ())

        if not request.joined:
            made = list(each(request, shoot.rehearsals, film).values())
        elif len(shoot.rehearsals) == len(request.scenes):
            shoot.meter.describe(FILM)
            chapters = [
                (entry.title, sum(frame_count(record, request.quality) for record in told.beats))
                for entry, told in shoot.rehearsals.items()
            ]
            titles = request.out / f"{FILM}.txt"
            made = [write(Path(FILM), request.scenes, chapters), titles]
            write_text(titles, chapter_list(chapters, request.quality.frame_rate))
        else:
            made = []
    report_files(request, made)
    return len(made) == (2 if request.joined else len(request.scenes))


def _cues(quality: Quality, films: Iterable[Sequence[BeatRecord]]) -> Iterator[Cue]:
    """Captions of films that follow each other, from the start of the first."""
    frames = 0
    for beats in films:
        yield from shifted(captions(beats), frames / quality.frame_rate - beats[0].start)
        frames += sum(frame_count(record, quality) for record in beats)


def make_stills(request: RenderRequest, beat: str) -> bool:
    """Write how one beat or all of each scene end; say whether all went well."""
    trace = load_trace(request)
    wanted = {entry: wanted_beats(entry, trace, beat, "--still") for entry in request.scenes}
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
                options=request.options,
                out=request.out,
                beats=wanted[entry],
                progress=meter.advance,
            )

        made = each(request, wanted, stills)
    report_files(request, [path for paths in made.values() for path in paths])
    return len(made) == len(request.scenes)


def make_posters(request: RenderRequest, thumbnail: SceneEntry) -> bool:
    """Write each poster, all of them on one sheet, and a thumbnail; say whether all went well."""
    posters = request.scenes
    trace = load_trace(request)
    with make_meter(len(posters) + 2, quiet=request.quiet) as meter:

        def picture(entry: SceneEntry) -> Path:
            meter.describe(entry.slug)
            path = request.out / f"{entry.slug}.png"
            render_picture(entry, trace=trace, options=request.options, path=path)
            meter.advance(1)
            return path

        with manim_config(request.quality, verbosity=request.verbosity):
            made = each(request, posters, picture)
        paths = [*made.values()]
        if len(made) == len(posters):
            meter.describe(SHEET)
            paths.append(make_sheet(made, request.out / f"{SHEET}.png"))
            meter.advance(1)
        with manim_config(THUMBNAIL_SIZE, verbosity=request.verbosity):
            paths += each(request, [thumbnail], picture).values()
    report_files(request, paths)
    return len(paths) == len(posters) + 2


def wanted_beats(entry: SceneEntry, trace: Trace, beat: str, option: str) -> tuple[str, ...]:
    """All beats of a scene, or the one that an option names."""
    names = entry.load().beat_names(trace)
    return names if beat == "all" else (choose(beat, names, f"beat of {entry.slug}", option),)
