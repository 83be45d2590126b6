"""Writes frames straight into one finished video file.

Manim encodes every animation into a file of its own and joins them afterwards, with colours in
BT.601 that no tag declares and an index at the end of the file. Here each frame goes from memory
into one H.264 file whose colours are converted to BT.709 and tagged so, and whose index comes
first, so that it plays everywhere and starts at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from scenes.engine.files import OutputError, written_beside

__all__ = ["Movie", "Pixels", "open_movie", "to_bt709"]

Pixels = npt.NDArray[np.uint8]

# Frames waiting for the encoder. Enough to keep it busy; at 4K one frame is 33 MB.
QUEUE_LENGTH = 4

# Constant quality. Chroma is coded finer than usual: in a heatmap the hue carries the number.
# One thread: with more, the same pictures now and then give another file. Drawing is slower than
# encoding, and the two overlap, so little is lost.
ENCODER_OPTIONS = {
    "profile": "high",
    "preset": "veryfast",
    "tune": "animation",
    "crf": "16",
    "threads": "1",
    "x264-params": "chroma-qp-offset=-6",
}

# The numbers that stand for BT.709 (matrix, primaries and transfer alike) and for limited range.
BT709 = 1
LIMITED_RANGE = 1


def _bt709_matrix() -> npt.NDArray[np.float32]:
    """8-bit RGB to 8-bit limited-range BT.709: one row each for Y, Cb and Cr, offset last."""
    luma = np.array([0.2126, 0.7152, 0.0722])
    red, _, blue = np.eye(3)
    rows = [
        219 * luma,
        112 * (blue - luma) / (1 - luma[2]),
        112 * (red - luma) / (1 - luma[0]),
    ]
    return np.column_stack([np.array(rows) / 255, [16, 128, 128]]).astype(np.float32)


RGB_TO_BT709 = _bt709_matrix()


def to_bt709(pixels: Pixels) -> Pixels:
    """Convert a picture to BT.709 with chroma at half the resolution.

    Twice as fast as the conversion that comes with the encoder, and exact to one level.

    Parameters
    ----------
    pixels : (height, width, 4)
        An opaque RGBA picture; both sides even.

    Returns
    -------
    (height * 3 / 2, width)
        The Y, Cb and Cr planes one after the other, as in the pixel format yuv420p.
    """
    height, width = pixels.shape[:2]
    full = cv2.transform(cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB), RGB_TO_BT709)
    half = cv2.resize(full, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    planes = np.empty((height * 3 // 2, width), np.uint8)
    cv2.extractChannel(full, 0, planes[:height])
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    for channel in (1, 2):
        cv2.extractChannel(half, channel, chroma[channel - 1])
    return planes


class Movie:
    """An H.264 file that frames are added to; made by :func:`open_movie`.

    Encoding runs in a thread of its own, so that the next frame can be drawn meanwhile.

    Parameters
    ----------
    target
        The file that errors name.
    path
        The file that is written.
    width, height, frame_rate
        As in :func:`open_movie`.
    """

    def __init__(self, target: Path, path: Path, width: int, height: int, frame_rate: int) -> None:
        self._target = target
        self._shape = (height, width, 4)
        self._time_base = Fraction(1, frame_rate)
        self._frames_encoded = 0
        try:
            self._container = av.open(path, "w", format="mp4", options={"movflags": "+faststart"})
        except (OSError, av.FFmpegError) as error:
            raise OutputError(target, error) from error
        self._stream = self._add_stream()
        self._failure: Exception | None = None
        self._stopped = False
        self._queue: Queue[tuple[Pixels, int] | None] = Queue(QUEUE_LENGTH)
        self._worker = Thread(target=self._encode_queue, name=f"encoder of {target.name}")
        self._worker.start()

    def _add_stream(self) -> av.VideoStream:
        stream = self._container.add_stream(
            "libx264", rate=1 / self._time_base, options=ENCODER_OPTIONS
        )
        stream.height, stream.width, _ = self._shape
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED_RANGE
        return stream

    def write(self, pixels: Pixels, repeat: int = 1) -> None:
        """Append a picture, shown for ``repeat`` frames; it must not change afterwards.

        Parameters
        ----------
        pixels : (height, width, 4)
            An opaque RGBA picture.
        repeat
            A hold costs little: the picture is converted once and coded as "no change".

        Raises
        ------
        OutputError
            When an earlier frame could not be written.
        """
        if pixels.shape != self._shape:
            raise ValueError(f"a frame of shape {self._shape} is expected, not {pixels.shape}")
        self._raise_failure()
        self._queue.put((pixels, repeat))

    def finish(self) -> None:
        """Wait until everything is encoded, and complete the file."""
        self._queue.put(None)
        self._worker.join()
        self._raise_failure()

    def stop(self) -> None:
        """Let go of the file as it is; nothing happens when it is finished."""
        self._stopped = True
        if self._worker.is_alive():
            self._queue.put(None)
            self._worker.join()

    def _encode_queue(self) -> None:
        # After a failure the queue is still emptied, so that nobody waits for a free place in it.
        while (job := self._queue.get()) is not None:
            if self._sound():
                self._attempt(self._encode, *job)
        if self._sound():
            self._attempt(self._flush)
        self._attempt(self._container.close)

    def _sound(self) -> bool:
        return self._failure is None and not self._stopped

    def _attempt(self, step: Callable[..., None], *arguments: Any) -> None:
        try:
            step(*arguments)
        except Exception as error:
            self._failure = self._failure or error

    def _encode(self, pixels: Pixels, repeat: int) -> None:
        frame = av.VideoFrame.from_numpy_buffer(to_bt709(pixels), format="yuv420p")
        frame.time_base = self._time_base
        for _ in range(repeat):
            frame.pts = self._frames_encoded
            self._container.mux(self._stream.encode(frame))
            self._frames_encoded += 1

    def _flush(self) -> None:
        self._container.mux(self._stream.encode())

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise OutputError(self._target, self._failure) from self._failure


@contextmanager
def open_movie(target: Path, width: int, height: int, frame_rate: int) -> Iterator[Movie]:
    """Open an mp4 for writing.

    The file appears when the block ends well. When it is left by an exception or the disk is
    full, nothing is left behind and an older file is untouched.

    Parameters
    ----------
    target
        The finished file. Missing folders are made.
    width, height
        Size in pixels; both even.
    frame_rate
        Frames per second.

    Raises
    ------
    OutputError
        When the file cannot be written.

    Examples
    --------
    >>> with open_movie(Path("film.mp4"), 1920, 1080, 30) as movie:
    ...     movie.write(picture, repeat=15)
    """
    with written_beside(target) as part:
        movie = Movie(target, part, width, height, frame_rate)
        try:
            yield movie
            movie.finish()
        finally:
            movie.stop()
