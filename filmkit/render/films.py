"""Plan which files a film needs, and join the segments of its beats into one file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any

import av

from extract.support.files import OutputError, atomic_write
from filmkit.core.beat_records import BeatRecord, Rehearsal
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage_settings import StageSettings
from filmkit.render.cache import Cache
from filmkit.render.errors import RenderError
from filmkit.render.movie import MP4, Encoding, open_container
from filmkit.render.overlay import Overlay, overlay_digest
from filmkit.render.rehearsals import Rehearsals
from filmkit.render.tracks import SoundTrack, mux_captions
from filmkit.render.workers import BeatTask, WorkerPool
from filmkit.voice.sounds import Samples
from filmkit.words.captions import Cue

__all__ = [
    "Chapters",
    "Plan",
    "beat_film",
    "chapter_list",
    "finished_files",
    "join",
    "plan_scene",
    "story_chapters",
    "unfinished_tasks",
    "with_overlays",
]

Chapters = Sequence[tuple[str, int]]
"""Title and number of frames of each chapter, in order."""

SHORTEST_CHAPTER = 10  # seconds; video sites take no list with a shorter one


@dataclass(frozen=True)
class Plan:
    """The beats and files that make up a film of a scene.

    Attributes
    ----------
    entry
        The scene.
    name
        Path of the film without a suffix, relative to the output folder. The film of a single beat
        lies in a folder with the scene's name.
    rehearsal
        All beats that the scene plays for this trace.
    records
        One for each beat of the film, in order.
    tasks
        One for each part of each beat of the film, in order.
    """

    entry: SceneEntry
    name: Path
    rehearsal: Rehearsal
    records: tuple[BeatRecord, ...]
    tasks: tuple[BeatTask, ...]

    @property
    def beats(self) -> tuple[str, ...]:
        """Names of the beats of the film, in order."""
        return tuple(record.name for record in self.records)


def plan_scene(
    entry: SceneEntry,
    beats: Collection[str],
    *,
    rehearsals: Rehearsals,
    encoding: Encoding,
) -> Plan:
    """Return the plan of a scene's film: the cache paths of the segments and masters of its beats.

    Films in the default encoding need no masters. Who wants another one may want a third, too: then
    the frames are kept without loss, so that each is drawn once for all of them.

    Parameters
    ----------
    entry
        The scene.
    beats
        Names of the beats that the film shows.
    rehearsals
        Beats, times and cache keys of the scene; its cache holds segments and masters.
    encoding
        How segments are encoded.
    """
    request, keys, cache = rehearsals.request, rehearsals.keys, rehearsals.cache
    rehearsal = rehearsals.get(entry)

    def task(record: BeatRecord, frames: int, *, tail: bool) -> BeatTask:
        key = keys.part_key(record.seen[tail])
        return BeatTask(
            entry,
            record.name,
            tail,
            segment=cache.path(key, f".{encoding.ending}"),
            master=None if encoding == MP4 else cache.path(key, ".master.mov"),
            frames=frames,
            seen=record.seen[tail],
        )

    tasks = tuple(
        task(record, frames, tail=tail)
        for record in rehearsal.beats
        if record.name in beats
        for tail in (False, True)
        if (frames := record.part_frames(request.quality.frame_rate, tail=tail))
    )
    shown = {task.beat for task in tasks}
    records = tuple(record for record in rehearsal.beats if record.name in shown)
    plan = Plan(entry, Path(request.file_name(entry.slug)), rehearsal, records, tasks)
    is_one_of_many = len(records) == 1 < len(rehearsal.beats)
    return beat_film(plan, plan.beats[0]) if is_one_of_many else plan


def beat_film(plan: Plan, beat: str) -> Plan:
    """Return the plan of a film that shows one beat of the planned film of a whole scene."""
    number = 1 + [record.name for record in plan.rehearsal.beats].index(beat)
    name = plan.name / f"{number:02}_{beat}"
    return replace(
        plan,
        name=name,
        records=tuple(record for record in plan.records if record.name == beat),
        tasks=tuple(task for task in plan.tasks if task.beat == beat),
    )


def with_overlays(
    plan: Plan, overlays: Mapping[tuple[str, bool], Overlay], settings: StageSettings
) -> Plan:
    """Return the plan with notes and captions drawn into the segments.

    Parameters
    ----------
    plan
        The plan of a film.
    overlays
        What is drawn over each part, by the name of its beat and whether it is the tail.
    settings
        Names of the theme and of the language.
    """

    def overlaid(task: BeatTask) -> BeatTask:
        overlay = overlays[task.beat, task.tail]
        if not overlay:
            return task
        name = f"{task.segment.stem}.{overlay_digest(overlay, settings)}{task.segment.suffix}"
        return replace(task, segment=task.segment.with_name(name), overlay=overlay)

    return replace(plan, tasks=tuple(map(overlaid, plan.tasks)))


def unfinished_tasks(plan: Plan, cache: Cache) -> list[BeatTask]:
    """Return the tasks whose segment is not in the cache, and mark all files there as used now."""

    def is_finished(task: BeatTask) -> bool:
        finished = cache.holds(task.segment)
        if finished and task.master:
            cache.mark_used(task.master)  # it is large, and not read in this run
        elif task.master:
            cache.holds(task.master)  # if it is damaged, it is removed
        return finished

    return [task for task in plan.tasks if not is_finished(task)]


def finished_files(
    plan: Plan, target: Path, pool: WorkerPool, progress: Callable[[int], None]
) -> Iterator[Path]:
    """Yield the segment of each part of a film in order, as soon as it exists.

    Parameters
    ----------
    plan
        The plan of the film.
    target
        The file that the film is written to, to be named in errors.
    pool
        Renders the unfinished tasks.
    progress
        As for :meth:`WorkerPool.wait`.

    Raises
    ------
    RenderError
        When the scene failed.
    OutputError
        When a file could not be written.
    """
    for task in plan.tasks:
        try:
            pool.wait(task, progress)
        except RenderError as error:
            if error.unwritable:
                raise OutputError(target, error) from error
            raise
        yield task.segment


def join(
    target: Path,
    segments: Iterable[Path],
    *,
    frame_rate: int,
    encoding: Encoding,
    title: str = "",
    chapters: Chapters = (),
    cues: Sequence[Cue] = (),
    sound: Samples | None = None,
) -> Path:
    """Join segments into a film without encoding them again; the target is complete or unchanged.

    Parameters
    ----------
    target
        The film. It is opened before the first segment is taken from the iterable, so that an
        unwritable target is reported at once.
    segments
        The segments in order. They are taken one at a time, and may still be rendering.
    frame_rate
        Frames per second.
    encoding
        How all of the segments are encoded.
    title
        Title of the film, which players show; none if empty.
    chapters
        Title and number of frames of each chapter, in order.
    cues
        Captions to add as a separate track.
    sound
        Sound of the film, as long as its pictures; None for a film without.

    Returns
    -------
    Path
        The target.

    Raises
    ------
    OutputError
        When the film cannot be written.
    """
    with atomic_write(target) as unfinished:
        container = open_container(target, unfinished)
        try:
            if title:
                container.metadata["title"] = title
            container.set_chapters(_chapter_marks(chapters, frame_rate))
            film = _JoinedFilm(container, frame_rate, encoding, cues, sound)
            for segment in segments:
                with _output_errors(target):
                    film.add(segment)
            with _output_errors(target):
                film.finish()
                container.close()
        finally:
            with suppress(OSError, av.FFmpegError):
                container.close()
    return target


def _chapter_marks(chapters: Chapters, frame_rate: int) -> list[Any]:
    """Return chapters in the form that PyAV takes."""
    ends = list(accumulate(frames for _, frames in chapters))
    return [
        {
            "id": i,
            "start": end - frames,
            "end": end,
            "time_base": Fraction(1, frame_rate),
            "metadata": {"title": title},
        }
        for i, (end, (title, frames)) in enumerate(zip(ends, chapters, strict=True))
    ]


def story_chapters(chapters: Chapters, frame_rate: int) -> Chapters:
    """Return chapters of at least ten seconds, each with another title.

    One that is shorter, or whose title was there before, belongs to the chapter before it. A short
    first one takes in the next.
    """
    least = SHORTEST_CHAPTER * frame_rate
    merged: list[tuple[str, int]] = []
    for title, frames in chapters:
        known = {title for title, _ in merged}
        if merged and (title in known or min(frames, merged[-1][1]) < least):
            merged[-1] = (merged[-1][0], merged[-1][1] + frames)
        else:
            merged.append((title, frames))
    return merged


def chapter_list(chapters: Chapters, frame_rate: int) -> str:
    """Return the chapters as text for video sites: one line "MINUTES:SECONDS TITLE" for each."""
    starts = accumulate((frames for _, frames in chapters), initial=0)
    seconds = [start // frame_rate for start in starts]
    return "".join(
        f"{second // 60}:{second % 60:02} {title}\n"
        for second, (title, _) in zip(seconds, chapters, strict=False)
    )


@contextmanager
def _output_errors(target: Path) -> Iterator[None]:
    """Turn errors of the system and of FFmpeg into an OutputError that names the target."""
    try:
        yield
    except (OSError, av.FFmpegError) as error:
        raise OutputError(target, error) from error


class _JoinedFilm:
    """An open film that segments are appended to."""

    def __init__(
        self,
        container: av.container.OutputContainer,
        frame_rate: int,
        encoding: Encoding,
        cues: Sequence[Cue],
        sound: Samples | None,
    ) -> None:
        self._cues = cues
        self._sound = sound
        self._track: SoundTrack | None = None
        self._container = container
        self._time_base = Fraction(1, frame_rate)
        self._encoding = encoding
        self._stream: Any = None
        self._frames = 0

    def add(self, path: Path) -> None:
        """Append the frames of a segment."""
        with av.open(path) as segment:
            source = segment.streams.video[0]
            if self._stream is None:
                self._stream = self._container.add_stream_from_template(source)
                self._stream.time_base = self._time_base
                self._stream.metadata.update(self._encoding.stream_metadata)
                if self._encoding.codec_tag:
                    self._stream.codec_context.codec_tag = self._encoding.codec_tag
                if self._sound is not None:
                    self._track = SoundTrack(self._container, self._sound)
                if self._cues:
                    mux_captions(self._container, self._cues)
            packets = [packet for packet in segment.demux(source) if packet.size]
            for i, packet in enumerate(packets):
                frame = round((packet.pts or 0) * packet.time_base / self._time_base)
                packet.stream = self._stream
                packet.time_base = self._time_base
                packet.pts = self._frames + frame
                # A packet is decoded as early as the longest reordering of this encoding needs,
                # even in a segment that is too short to reorder frames: so decoding times rise
                # by one per frame across the joins.
                packet.dts = self._frames + i - self._encoding.reorder_delay
                packet.duration = 1
                self._container.mux(packet)
                if self._track:
                    self._track.write_until(float((self._frames + i + 1) * self._time_base))
            self._frames += len(packets)

    def finish(self) -> None:
        """Write what is left of the sound."""
        if self._track:
            self._track.finish()
