"""Makes films from masters of their beats, which are rendered where they are missing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any

import av

from extract.files import OutputError, written_beside
from extract.trace import Trace
from filmkit.core.records import Rehearsal
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.burn import caption_digest
from filmkit.render.cache import Cache
from filmkit.render.errors import WorkError
from filmkit.render.keys import BeatHasher
from filmkit.render.movie import Encoding, open_container
from filmkit.render.tracks import mux_captions
from filmkit.render.workers import BeatTask, WorkerPool
from filmkit.words.captions import Cue, captions, shifted

__all__ = [
    "Chapters",
    "Plan",
    "beat_film",
    "chapter_list",
    "finished_parts",
    "join",
    "missing",
    "plan_scene",
    "with_captions",
]

Chapters = Sequence[tuple[str, int]]


@dataclass(frozen=True)
class Plan:
    """How a scene becomes a film.

    Attributes
    ----------
    entry
        The scene.
    name
        Of the film, without its suffix; a single beat's film has its scene's folder.
    played
        Names of all beats, in order.
    tasks
        One for each beat that is wanted, in order.
    """

    entry: SceneEntry
    name: Path
    played: tuple[str, ...]
    tasks: tuple[BeatTask, ...]


def plan_scene(
    entry: SceneEntry,
    beats: Collection[str],
    *,
    trace: Trace,
    hasher: BeatHasher,
    cache: Cache,
    part: Encoding | None,
) -> Plan:
    """Find out which files of a scene's beats there are or will be.

    Parameters
    ----------
    entry
        The scene.
    beats
        The wanted ones.
    trace
        The numbers.
    keyring
        Of this run.
    cache
        Where masters are kept.
    part
        How the pieces of the film are coded, if it is made of any.
    """
    played = entry.load().beat_names(trace)
    keys = hasher.beat_keys(entry, played)
    tasks = tuple(
        BeatTask(
            entry,
            name,
            master=cache.path(keys[name], ".master.mov"),
            part=cache.path(
                keys[name], f".{hasher.encoding_key}.{part.codec}.{part.pixel_format}{part.suffix}"
            )
            if part
            else None,
        )
        for name in played
        if name in beats
    )
    plan = Plan(entry, Path(entry.slug), played, tasks)
    return beat_film(plan, tasks[0]) if len(tasks) == 1 and len(played) > 1 else plan


def beat_film(plan: Plan, task: BeatTask) -> Plan:
    """How one beat of a scene becomes a film."""
    number = plan.played.index(task.beat) + 1
    name = Path(plan.entry.slug) / f"{number:02}_{task.beat}"
    return replace(plan, name=name, tasks=(task,))


def with_captions(plan: Plan, told: Rehearsal, theme: str) -> Plan:
    """The same plan, with captions drawn into the pieces of the film.

    Parameters
    ----------
    plan
        Of a film that is made of pieces.
    told
        The scene's beats.
    looks
        Name of the theme.
    """

    def captioned(task: BeatTask) -> BeatTask:
        record = told.beat(task.beat)
        cues = shifted(captions([record]), -record.start)
        if not (task.part and cues):
            return task
        name = f"{task.part.stem}.{caption_digest(cues, theme)}{task.part.suffix}"
        return replace(task, part=task.part.with_name(name), cues=cues)

    return replace(plan, tasks=tuple(map(captioned, plan.tasks)))


def missing(plan: Plan, cache: Cache) -> list[BeatTask]:
    """The beats whose last file is not there; the files of the others count as used now."""
    found = {
        task: [cache.holds(path) for path in (task.master, task.part) if path]
        for task in plan.tasks
    }
    return [task for task, holds in found.items() if not holds[-1]]


def finished_parts(
    plan: Plan, target: Path, pool: WorkerPool, progress: Callable[[int], None]
) -> Iterator[Path]:
    """The pieces of a film in order, as soon as they are there.

    Parameters
    ----------
    plan
        Of the scene.
    target
        The film, which errors name.
    crew
        Makes what is missing.
    progress
        As for :meth:`WorkerPool.wait`.
    """
    for task in plan.tasks:
        try:
            pool.wait(task, progress)
        except WorkError as error:
            if error.unwritable:
                raise OutputError(target, error) from error
            raise
        yield task.last


def join(
    target: Path,
    parts: Iterable[Path],
    *,
    frame_rate: int,
    encoding: Encoding,
    chapters: Chapters = (),
    cues: Sequence[Cue] = (),
) -> Path:
    """Join pieces of a film without coding them again; the target is whole or not there.

    Parameters
    ----------
    target
        The film. It is opened before the first piece is asked for, so that what cannot be written
        is found out at once.
    parts
        The pieces in order, asked for one after the other.
    frame_rate
        Frames per second.
    coding
        How all of the pieces are coded.
    chapters
        Each one's title and number of frames, in order.
    cues
        Captions that the film holds as a track of its own.

    Raises
    ------
    OutputError
        When the film cannot be written.
    """
    with written_beside(target) as unfinished:
        container = open_container(target, unfinished)
        try:
            container.set_chapters(_marks(chapters, frame_rate))
            joint = _Joint(container, frame_rate, encoding, cues)
            for part in parts:
                with _errors_of(target):
                    joint.add(part)
            with _errors_of(target):
                container.close()
        finally:
            with suppress(OSError, av.FFmpegError):
                container.close()
    return target


def _marks(chapters: Chapters, frame_rate: int) -> list[Any]:
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


def chapter_list(chapters: Chapters, frame_rate: int) -> str:
    """The chapters as video sites read them: a line of time and title for each."""
    starts = accumulate((frames for _, frames in chapters), initial=0)
    seconds = [start // frame_rate for start in starts]
    return "".join(
        f"{second // 60}:{second % 60:02} {title}\n"
        for second, (title, _) in zip(seconds, chapters, strict=False)
    )


@contextmanager
def _errors_of(target: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, av.FFmpegError) as error:
        raise OutputError(target, error) from error


class _Joint:
    """A film that pieces are added to."""

    def __init__(
        self,
        container: av.container.OutputContainer,
        frame_rate: int,
        encoding: Encoding,
        cues: Sequence[Cue],
    ) -> None:
        self._cues = cues
        self._container = container
        self._time_base = Fraction(1, frame_rate)
        self._coding = encoding
        self._stream: Any = None
        self._frames = 0

    def add(self, part: Path) -> None:
        with av.open(part) as piece:
            source = piece.streams.video[0]
            if self._stream is None:
                self._stream = self._container.add_stream_from_template(source)
                self._stream.time_base = self._time_base
                self._stream.metadata.update(self._coding.notes)
                if self._coding.tag:
                    self._stream.codec_context.codec_tag = self._coding.tag
                if self._cues:
                    mux_captions(self._container, self._cues)
            packets = [packet for packet in piece.demux(source) if packet.size]
            for i, packet in enumerate(packets):
                at = round((packet.pts or 0) * packet.time_base / self._time_base)
                packet.stream = self._stream
                packet.time_base = self._time_base
                packet.pts = self._frames + at
                # Every piece is decoded as far ahead as the encoder may look, also one that is too
                # short for it to do so: the pieces then follow each other without a gap.
                packet.dts = self._frames + i - self._coding.reorders
                packet.duration = 1
                self._container.mux(packet)
            self._frames += len(packets)
