"""What the command line asks for: films, stills, or a list of the scenes."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from extract.files import write_text
from extract.trace import Trace
from filmkit.core.fonts import lacks_fonts
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import BeatRecord, Rehearsal, StageSettings
from filmkit.core.theme_names import PALETTES, THEMES
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
    remembered_rehearsal,
    with_captions,
)
from filmkit.render.formats import DEFAULT_CAPTIONS, DEFAULT_FORMAT
from filmkit.render.keys import BeatHasher
from filmkit.render.movie import MASTER, MASTER_ALPHA
from filmkit.render.posters import SHEET, THUMBNAIL_SIZE, make_sheet
from filmkit.render.progress import Meter, make_meter
from filmkit.render.quality import Quality
from filmkit.render.runner import (
    RenderOptions,
    frame_count,
    manim_config,
    rehearse,
    render_picture,
    render_stills,
)
from filmkit.render.traces import find_trace, provenance
from filmkit.render.workers import LocalWorkerPool, RenderJob, WorkerPool, cores
from filmkit.words.captions import Cue, captions, shifted, srt, vtt
from filmkit.words.script import chapter_title, script, script_record

__all__ = [
    "RenderRequest",
    "RenderSession",
    "each",
    "explain",
    "list_scenes",
    "load_trace",
    "make_films",
    "make_posters",
    "make_stills",
    "render_session",
    "say_made",
    "wanted_beats",
    "write_script",
]

T = TypeVar("T")

FILM = "film"


@dataclass(frozen=True)
class RenderRequest:
    """What is to be made, as the command line says it.

    Attributes
    ----------
    scenes
        In the order in which they are made.
    trace
        A trace file, or None for the default.
    compare
        A second trace, for scenes that compare two.
    layer, head, show_first_token
        What to show; see :class:`filmkit.core.stage.StageSettings`.
    quality
        Size and frame rate.
    out
        The folder for what is made.
    quiet, verbose
        Say nothing but errors; say more.
    beat
        The only one to be filmed of each scene, or "all".
    jobs
        How many processes draw; as many as there are cores if None.
    cluster
        The address of a Dask scheduler whose workers draw instead.
    cache
        The folder for what is kept; the default one if None.
    keep_cache
        Whether anything is kept.
    form
        What films are written as; see :mod:`filmkit.render.formats`.
    joined
        Whether all scenes become one film.
    transparent, background
        Whether the background is left out; its colour instead of the theme's.
    theme, palette
        Names of the looks; see :mod:`filmkit.core.theme_names`.
    captions
        Where captions of films go; one of :data:`filmkit.render.formats.CAPTIONS`.
    """

    scenes: tuple[SceneEntry, ...]
    trace: Path | None
    layer: int | None
    head: int | None
    show_first_token: bool
    quality: Quality
    out: Path
    quiet: bool
    verbose: bool
    beat: str = "all"
    jobs: int | None = None
    cluster: str | None = None
    cache: Path | None = None
    keep_cache: bool = True
    form: str = DEFAULT_FORMAT
    joined: bool = False
    transparent: bool = False
    background: str | None = None
    theme: str = THEMES[0]
    palette: str = PALETTES[0]
    compare: Path | None = None
    captions: str = DEFAULT_CAPTIONS

    @property
    def options(self) -> RenderOptions:
        """How to render."""
        settings = StageSettings(
            self.layer,
            self.head,
            self.show_first_token,
            theme=self.theme,
            palette=self.palette,
            background=self.background,
            transparent=self.transparent,
            compare=self.compare and self.compare.resolve(),
        )
        return RenderOptions(self.quality, settings)

    @property
    def verbosity(self) -> str:
        """Which of Manim's messages to show."""
        return "INFO" if self.verbose else "ERROR"


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

        def plan(entry: SceneEntry) -> Plan:
            beats = wanted_beats(entry, trace, request.beat, "--beat")
            return plan_scene(entry, beats, trace=trace, hasher=hasher, cache=cache, part=part)

        def rehearsed(entry: SceneEntry) -> Rehearsal:
            return remembered_rehearsal(plans[entry], trace=trace, options=options, cache=cache)

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
    say_made(request, made)
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
    say_made(request, [path for paths in made.values() for path in paths])
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
    say_made(request, paths)
    return len(paths) == len(posters) + 2


def list_scenes(request: RenderRequest, *, as_json: bool) -> bool:
    """Print title, length, beats and tensors of each scene; say whether all went well."""
    trace = load_trace(request)
    with manim_config(request.quality, verbosity=request.verbosity):
        rehearsals = _rehearse(request, trace)
    if as_json:
        rows = [_as_record(*row) for row in rehearsals.items()]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        for row in rehearsals.items():
            click.echo(_as_text(*row))
    return len(rehearsals) == len(request.scenes)


def write_script(request: RenderRequest, out: Path | None, *, as_json: bool) -> bool:
    """Write what is said in each scene to a file or to the terminal; say whether all went well."""
    trace = load_trace(request)
    with manim_config(request.quality, verbosity=request.verbosity):
        rehearsals = _rehearse(request, trace)
    if as_json:
        rows = [script_record(entry, told) for entry, told in rehearsals.items()]
        text = json.dumps(rows, indent=2, ensure_ascii=False)
    else:
        text = "\n\n".join(script(entry, told) for entry, told in rehearsals.items())
    if out is None:
        click.echo(text)
    else:
        write_text(out, f"{text}\n")
        say_made(request, [out])
    return len(rehearsals) == len(request.scenes)


def load_trace(request: RenderRequest) -> Trace:
    """The numbers of an order, once it is sure that its layer and head are among them."""
    path = find_trace(request.trace)
    trace = Trace.load(path)
    if request.trace is None and not request.quiet:
        click.echo(provenance(trace, path), err=True)
    if not request.quiet and lacks_fonts(trace.meta.tokens):
        click.echo(
            "Some words need fonts that are not installed: pip install -e '.[cjk]'",
            err=True,
        )
    for option, chosen, count in (
        ("--layer", request.layer, trace.meta.n_layers),
        ("--head", request.head, trace.meta.n_heads),
    ):
        if chosen is not None and chosen >= count:
            raise click.BadParameter(
                f"{trace.meta.model} has {option[2:]}s 0 to {count - 1}", param_hint=option
            )
    return trace


def _rehearse(request: RenderRequest, trace: Trace) -> dict[SceneEntry, Rehearsal]:
    return each(request, request.scenes, lambda entry: rehearse(entry, trace, request.options))


def wanted_beats(entry: SceneEntry, trace: Trace, beat: str, option: str) -> tuple[str, ...]:
    """All beats of a scene, or the one that an option names."""
    names = entry.load().beat_names(trace)
    return names if beat == "all" else (choose(beat, names, f"beat of {entry.slug}", option),)


def each(
    request: RenderRequest, entries: Iterable[SceneEntry], work: Callable[[SceneEntry], T]
) -> dict[SceneEntry, T]:
    """Do the work for every scene; one that fails says so and does not stop the others."""
    done = {}
    for entry in entries:
        try:
            done[entry] = work(entry)
        except click.ClickException:
            raise
        except Exception as error:
            click.echo(f"Error: {entry.slug}: {explain(error, verbose=request.verbose)}", err=True)
    return done


def say_made(request: RenderRequest, paths: Iterable[Path]) -> None:
    """Say which files there are now."""
    if not request.quiet:
        for path in paths:
            click.echo(path)


def _as_record(entry: SceneEntry, rehearsal: Rehearsal) -> dict[str, object]:
    return {
        "name": entry.slug,
        "title": entry.title,
        "seconds": round(rehearsal.duration, 3),
        "beats": [
            {
                "name": record.name,
                "narration": record.narration,
                "start": round(record.start, 3),
                "end": round(record.end, 3),
            }
            for record in rehearsal.beats
        ],
        "tensors": list(entry.load().tensors),
    }


def _as_text(entry: SceneEntry, rehearsal: Rehearsal) -> str:
    minutes, seconds = divmod(round(rehearsal.duration), 60)
    lines = [f"{entry.slug}  {entry.title}  ({minutes}:{seconds:02})"]
    beats = ", ".join(record.name for record in rehearsal.beats)
    tensors = ", ".join(entry.load().tensors)
    for head, text in (("beats", beats), ("tensors", tensors)):
        lines += textwrap.wrap(text, 88, initial_indent=f"  {head:9}", subsequent_indent=" " * 11)
    return "\n".join(lines)
