"""Render beats on the workers of a Dask scheduler.

Each part of a beat is one call of :func:`filmkit.render.cluster_worker.draw_part`. Dask decides
where it runs, calls it again where it has failed, and elsewhere when a worker dies. A worker on
which code, libraries or fonts differ finds that the key of a part is another one there, and draws
nothing; it is refused, which means that it gets no more parts. Parts that wait for a worker from
which nothing comes are given to others as well.

Before a part is stored in the cache, the number of its frames, their size, its last picture and a
few at random are compared with what this machine makes of the scene itself. What is damaged on the
way is noticed by the connection, TCP or TLS.
"""

from __future__ import annotations

import asyncio
import pickle
import ssl
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from random import SystemRandom
from typing import Any, Self

import av
import cv2
import numpy as np
import numpy.typing as npt

from extract.support.assets import installing
from extract.support.files import OutputError, write_bytes
from extract.support.plain_text import error_line, escaped
from extract.support.printing import echo
from extract.support.temporary import temporary_folder
from filmkit.core.language import catalogue_folder
from filmkit.core.renderer import FrameReceiver, Pixels
from filmkit.core.scene_entry import SceneEntry
from filmkit.render.cache import is_sealed, seal
from filmkit.render.errors import PoolError, RenderError, explain
from filmkit.render.movie import read_master, shown_pixels
from filmkit.render.processes import POLL_SECONDS, SILENT_SECONDS
from filmkit.render.quality import Quality
from filmkit.render.runner import rehearse
from filmkit.render.workers import (
    MAX_ATTEMPTS,
    BeatTask,
    RenderJob,
    WorkerPool,
    encode_segment,
    has_segment,
)

try:
    import distributed
    from distributed.comm.core import connect
except ModuleNotFoundError as error:
    raise RenderError(f"--cluster needs an extra: {installing('cluster')}") from error

# This imports Dask too.
from filmkit.render.cluster_worker import portable_draw

__all__ = ["ClusterWorkerPool", "inputs_of"]

CONNECT_SECONDS = 15.0  # how long to wait for an answer of the scheduler
WORKERLESS_SECONDS = 30.0  # how long to wait while there is no worker at all
LOOK_SECONDS = 0.1  # time between two looks whether a part has arrived
MAX_SILENCES = 4  # each is twice as long as the one before it: 75 minutes in all
CERTIFICATES = ", ".join(
    f"DASK_DISTRIBUTED__COMM__TLS__{name}" for name in ("CA_FILE", "CLIENT__CERT", "CLIENT__KEY")
)
SAMPLES = 3  # pictures of each part of a beat that are compared, besides the last one
SQUARE = 8  # pictures of two machines are compared in squares of this width
TOLERANCE = 4.0  # of 255, between two mean colours: edges depend on a machine's version of cairo

Squares = npt.NDArray[np.float32]
"""Mean colours of the squares of a picture, (rows, columns, 3 or 4)."""


class ClusterWorkerPool(WorkerPool):
    """Workers of a Dask scheduler that render beats; a context manager.

    Parameters
    ----------
    job
        The beats to render, and how.
    address
        Address of the scheduler, tcp://HOST:PORT or tls://HOST:PORT.
    quiet
        Whether to print nothing about refused workers.

    Raises
    ------
    RenderError
        On entering the ``with`` block, when there is no scheduler; later, when it is gone or no
        worker can draw.
    """

    def __init__(self, job: RenderJob, address: str, *, quiet: bool) -> None:
        super().__init__(job)
        self._address = address
        self._quiet = quiet
        self._traces = [file.read_bytes() for file in job.request.trace_files]
        entries = dict.fromkeys(task.entry for task in job.tasks)
        self._inputs = {entry: inputs_of(entry, job.files[entry]) for entry in entries}
        self._client: Any = None
        self._arrivals: Any = None
        self._futures: dict[Any, BeatTask] = {}
        self._present: set[str] = set()
        self._refused: dict[str, str] = {}
        self._samples: dict[SceneEntry, dict[tuple[str, bool], dict[int, Squares]]] = {}
        self._silences = 0

    def __enter__(self) -> Self:
        self._client = self._connected()
        try:
            self._arrivals = distributed.as_completed(loop=self._client.loop)  # type: ignore[no-untyped-call]
            self._last_worker = self._last_arrival = time.monotonic()
            while not self._present:
                self._look()
                time.sleep(LOOK_SECONDS)
            self._submit_missing()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        with _no_warnings(), suppress(OSError):
            self._client.cancel([*self._futures])
            self._client.close(CONNECT_SECONDS)

    def _connected(self) -> Any:
        """Return a connection to the scheduler; raise an error that says what to do if it fails."""
        new_security: Any = distributed.Security
        security = new_security()
        certificates = security.tls_ca_file, security.tls_client_cert, security.tls_client_key
        if self._address.startswith("tls:") and not all(certificates):
            raise RenderError(
                f"--cluster tls:// needs certificates: set {CERTIFICATES} to their files, as "
                "Dask's security options"
            )
        new_client: Any = distributed.Client
        try:
            asyncio.run(self._greet(security))
            with _no_warnings():
                return new_client(
                    self._address,
                    timeout=CONNECT_SECONDS,
                    set_as_default=False,
                    security=security,
                )
        except (ssl.SSLError, FileNotFoundError) as error:
            raise RenderError(
                f"the certificates for {self._address} do not fit: {error}"
            ) from error
        except (OSError, ValueError) as error:
            raise RenderError(
                f"no Dask scheduler answers at {self._address}; start one with: dask scheduler"
            ) from error

    async def _greet(self, security: Any) -> None:
        """Connect to the scheduler once: Dask's client waits for its first answer without end."""
        options = security.get_connection_args("client")
        greeting: Any = connect(self._address, **options)  # type: ignore[no-untyped-call]
        connection = await asyncio.wait_for(greeting, CONNECT_SECONDS)
        await connection.close()

    def wait(self, task: BeatTask, progress: Callable[[int], None]) -> None:
        if task in self._unfinished and has_segment(self._job, task):
            self._unfinished.discard(task)
        super().wait(task, progress)

    def _follow(self, task: BeatTask, progress: Callable[[int], None]) -> None:
        if not self._arrivals.has_ready():
            time.sleep(LOOK_SECONDS)
        elif (future := next(self._arrivals)) in self._futures:
            self._take(future, progress)
        if time.monotonic() - self._last_look > POLL_SECONDS:
            self._look()

    def _look(self) -> None:
        """Look whether scheduler and workers are there, and whether anything comes from them.

        Raises
        ------
        PoolError
            When there is nobody left to wait for.
        """
        # The client's own scheduler_info() may be overwritten without workers at any time.
        self._present = set(self._ask("identity", n_workers=-1)["workers"])
        self._last_look = time.monotonic()
        if self._present:
            self._last_worker = self._last_look
        elif self._last_look - self._last_worker > WORKERLESS_SECONDS:
            raise PoolError(
                f"there is no worker at {self._address}; start one with: "
                f"dask worker {self._address} --nthreads 1"
            )
        if self._present and self._present <= self._refused.keys():
            raise PoolError(f"no worker can draw: {'; '.join(self._refused.values())}")
        if self._last_look - self._last_arrival > SILENT_SECONDS * 2**self._silences:
            self._draw_elsewhere()

    def _ask(self, what: str, **arguments: Any) -> Any:
        """Ask the scheduler for something, by the name that Dask has for it."""
        try:
            call = getattr(self._client.scheduler, what)
            return self._client.sync(call, callback_timeout=CONNECT_SECONDS, **arguments)
        except (OSError, RuntimeError) as error:
            raise self._scheduler_gone() from error

    def _scheduler_gone(self) -> PoolError:
        return PoolError(f"the scheduler at {self._address} is gone; start it and run again")

    def _places(self) -> dict[str, str]:
        """Return the addresses of the workers at which tasks are or wait, by the tasks' keys."""
        queues = self._ask("processing", workers=None)
        return {key: worker for worker, keys in queues.items() for key in keys}

    def _draw_elsewhere(self) -> None:
        """Let other workers draw what lies at some from which nothing has come for long.

        Which of them draws a part first does not matter. They may be busy with something else, or
        with parts that take this long: so the next time is waited for twice as long.
        """
        self._silences += 1
        self._last_arrival = time.monotonic()
        if self._silences == MAX_SILENCES:
            minutes = SILENT_SECONDS * (2**MAX_SILENCES - 1) / 60
            raise PoolError(
                f"nothing has come from the workers at {self._address} for {minutes:.0f} minutes; "
                "look what they do, start them again, and run again"
            )
        places = self._places()
        silent = {places[future.key] for future in self._futures if future.key in places}
        tasks = [task for future, task in self._futures.items() if future.key in places]
        self._submit([*dict.fromkeys(tasks)], self._present - self._refused.keys() - silent)

    def _submit_missing(self) -> None:
        """Submit what has to be drawn and is not asked for; of parts that look alike, one."""
        asked = {task.segment for task in self._futures.values()}
        tasks: dict[Path, BeatTask] = {}
        for task in self._job.tasks:
            if task in self._unfinished and task.entry not in self._failures:
                tasks.setdefault(task.segment, task)
        missing = [
            task
            for segment, task in tasks.items()
            if segment not in asked and not any(map(is_sealed, task.files))
        ]
        # As long as no worker is refused, one that comes later is welcome too.
        self._submit(missing, self._present - self._refused.keys() if self._refused else None)

    def _submit(self, tasks: Sequence[BeatTask], workers: set[str] | None) -> None:
        """Submit parts to some workers, or to others if none of these is left; None for all."""
        if not tasks or (workers is not None and not workers):
            return
        where: dict[str, Any] = {"pure": False}
        if workers is not None:
            where |= {"workers": sorted(workers), "allow_other_workers": True}
        with _no_warnings():  # a trace is large
            # As the result of a call that Dask makes again, it is not lost with a worker.
            traces = [self._client.submit(bytes, trace, **where) for trace in self._traces]
            futures = self._client.map(
                portable_draw(),
                [self._pickled(task) for task in tasks],
                *([trace] * len(tasks) for trace in traces),
                retries=MAX_ATTEMPTS - 1,
                **where,
            )
        self._futures |= dict(zip(futures, tasks, strict=True))
        self._arrivals.update(futures)

    def _pickled(self, task: BeatTask) -> bytes:
        job = replace(self._job, tasks=(task,), files={})
        return pickle.dumps((job, self._inputs[task.entry]))

    def _take(self, future: Any, progress: Callable[[int], None]) -> None:
        """Store the part that has arrived, or see to it that another worker draws it."""
        task = self._futures.pop(future)
        self._last_arrival, self._silences = time.monotonic(), 0
        try:
            worker, drawn, refusal = future.result(SILENT_SECONDS)
        except distributed.CancelledError as error:
            raise self._scheduler_gone() from error
        except TimeoutError:
            pass  # its worker does not give it away
        except RenderError as error:
            if self._job.request.verbose:
                echo("".join(error.__notes__), err=True)
            self._fail(task, f"{error} (tried {MAX_ATTEMPTS} times)")
        except distributed.KilledWorker as error:
            count = error.allowed_failures + 1
            hint = "if it ran out of memory, start fewer on a machine"
            self._fail(task, f"in beat {task.beat}: its worker died; {hint} (tried {count} times)")
        except Exception as error:
            raise PoolError(
                f"the scheduler at {self._address} cannot pass on what is to be drawn "
                f"({_text(error)}); install the same versions of Python and Dask there"
            ) from error
        else:
            if refusal:
                self._refuse(worker, refusal)
            elif worker not in self._refused:
                self._check(task, worker, drawn, progress)
        self._submit_missing()

    def _fail(self, task: BeatTask, text: str, *, unwritable: bool = False) -> None:
        """Record that the scene of a part has failed."""
        self._failures.setdefault(task.entry, RenderError(text, unwritable=unwritable))

    def _refuse(self, worker: str, reason: str) -> None:
        """Give a worker no more parts, and say why."""
        if worker not in self._refused:
            self._refused[worker] = error_line(escaped(f"worker {worker} is refused: {reason}"))
            if not self._quiet:
                echo(self._refused[worker], err=True)
        # What waits for any worker could come to this one.
        places = self._places()
        ahead = [future for future in self._futures if not future.done()]
        self._drop([future for future in ahead if places.get(future.key, worker) in self._refused])
        self._look()

    def _drop(self, futures: Sequence[Any]) -> None:
        """Cancel what is not wanted any more."""
        self._client.cancel(futures)
        for future in futures:
            del self._futures[future]

    def _check(
        self, task: BeatTask, worker: str, drawn: bytes, progress: Callable[[int], None]
    ) -> None:
        """Store a part if it is what was asked for; else refuse its worker."""
        try:
            if task.entry not in self._samples:
                self._samples[task.entry] = _samples(self._job, task.entry)
        except Exception as error:
            self._fail(task, explain(error, verbose=self._job.request.verbose))
            return
        try:
            self._store(task, drawn)
        except OutputError as error:
            # Nothing can be written here, on a full disk say: no other part could be, either.
            for other in self._job.tasks:
                self._fail(other, str(error), unwritable=True)
        except (OSError, ValueError, av.FFmpegError) as error:
            reason = f"what it sends is not {task.entry.slug}, beat {task.beat}: {_text(error)}"
            self._refuse(worker, reason)
        else:
            progress(task.frames)
            # Others may draw it too, as it had not come for long.
            self._drop([f for f, other in self._futures.items() if other.segment == task.segment])

    def _store(self, task: BeatTask, drawn: bytes) -> None:
        """Make the files of a part from what a worker has drawn, which is lossless.

        A segment is encoded on this machine: what lossy pictures show could not be checked as well.

        Raises
        ------
        ValueError
            When it is not that of this part.
        """
        with temporary_folder() as folder:
            received = folder / "received.mov"
            write_bytes(received, drawn)
            samples = self._samples[task.entry][task.beat, task.tail]
            _verify(received, task, self._job.request.quality, samples)
            encode_segment(self._job, task, received)
        if task.master:
            write_bytes(task.master, drawn)
            seal(task.master)
        self._unfinished.discard(task)


def _verify(drawn: Path, task: BeatTask, quality: Quality, samples: Mapping[int, Squares]) -> None:
    """Check what a worker has drawn.

    Parameters
    ----------
    drawn, task
        The file, and the part that it should show.
    quality
        Its size and frame rate.
    samples
        Some of the pictures that it should have, by the numbers of their frames.

    Raises
    ------
    ValueError
        When it has another size, another number of frames or other pictures.
    """
    count = 0
    for picture, repeat in read_master(drawn, quality.frame_rate):
        if repeat < 1:
            raise ValueError("its frames are in no order")
        if picture.shape[:2] != (quality.height, quality.width):
            raise ValueError("its frames have another size")
        for number in (number for number in samples if count <= number < count + repeat):
            if np.abs(_squares(picture) - samples[number]).max() > TOLERANCE:
                raise ValueError(f"another picture is its frame {number + 1} of {task.frames}")
        count += repeat
        if count > task.frames:
            raise ValueError(f"it has more than {task.frames} frames")
    if count < task.frames:
        raise ValueError(f"it has {count} frames instead of {task.frames}")


def _squares(picture: Pixels) -> Squares:
    """Return the mean colours of the squares of a picture, in [0, 255]."""
    height, width = picture.shape[:2]
    size = (max(1, width // SQUARE), max(1, height // SQUARE))
    means = cv2.resize(picture.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(means, np.float32)


def _samples(job: RenderJob, entry: SceneEntry) -> dict[tuple[str, bool], dict[int, Squares]]:
    """Run a scene, and draw the last frame of its parts and a few that nobody can foresee.

    Returns
    -------
    dict
        For each part its pictures, by the numbers of their frames in it.
    """
    request = job.request
    parts = {(task.beat, task.tail) for task in job.tasks if task.entry == entry}
    _, trace = request.with_trace()
    rehearsal = rehearse(entry, trace, request)
    samples: dict[tuple[str, bool], dict[int, Squares]] = {}

    @contextmanager
    def receiver_of_beat(beat: str, tail: bool) -> Iterator[FrameReceiver | None]:
        if (beat, tail) not in parts:
            yield None
            return
        record, pictures = rehearsal.beat(beat), list[Squares]()
        rate = request.quality.frame_rate
        own, whole = record.part_frames(rate, tail=False), record.frames(rate)
        frames = range(own, whole) if tail else range(own)
        drawn = {frames[-1], *SystemRandom().sample(frames, min(SAMPLES, len(frames)))}
        stage.renderer.only = drawn

        def take(picture: Pixels, repeat: int) -> None:
            seen = _squares(shown_pixels(picture, transparent=request.settings.transparent))
            pictures.extend([seen] * repeat)

        yield take
        numbers = (number - frames[0] for number in sorted(drawn))
        samples[beat, tail] = dict(zip(numbers, pictures, strict=True))

    stage = request.stage(entry, trace, receiver_of_beat=receiver_of_beat)
    stage.render()
    return samples


def inputs_of(entry: SceneEntry, read: Iterable[str]) -> dict[str, bytes]:
    """Return what a scene that is none of the project's needs elsewhere.

    Parameters
    ----------
    entry, read
        The scene, and the files that it was seen to read.

    Returns
    -------
    dict
        Content of these files, of its own and of its translations, by paths relative to its folder.
        What lies in another folder has to be on each machine.
    """
    if entry.file is None:
        return {}
    folder = entry.file.resolve().parent
    files = [folder / entry.file.name, *catalogue_folder(entry.file).resolve().glob("*.po")]
    files += map(Path, read)
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in files
        if file.is_relative_to(folder) and file.is_file()
    }


def _text(error: Exception) -> str:
    """Say in one line what went wrong elsewhere."""
    return error_line(f"{type(error).__name__}: {error}")


@contextmanager
def _no_warnings() -> Iterator[None]:
    # Dask warns of differing versions, whether pictures depend on them or not, and of large data.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
