"""Writes frames straight into one finished video file.

Manim encodes every animation into a file of its own and joins them afterwards, with colours in
BT.601 that no tag declares and an index at the end of the file. Here each frame goes from memory
into one H.264 file whose colours are converted to BT.709 and tagged so, and whose index comes
first, so that it plays everywhere and starts at once.
"""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from queue import Queue
from threading import Thread
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["MovieError", "MovieFile", "to_bt709"]

Pixels = npt.NDArray[np.uint8]

# Frames waiting for the encoder. Enough to keep it busy; at 4K one frame is 33 MB.
QUEUE_LENGTH = 4

# Constant quality. Chroma is coded finer than usual: in a heatmap the hue carries the number.
ENCODER_OPTIONS = {
    "profile": "high",
    "preset": "veryfast",
    "tune": "animation",
    "crf": "16",
    "x264-params": "chroma-qp-offset=-6",
}

# The number that stands for BT.709 in the tags for matrix, primaries and transfer (ITU-T H.273).
BT709 = 1
LIMITED_RANGE = 1


class MovieError(Exception):
    """A movie could not be written; the message is one line for the user."""


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


class MovieFile:
    """One mp4 in the making, as a context manager.

    Encoding runs in a thread of its own, so that the next frame can be drawn meanwhile. The file
    grows beside its target and takes its place when the block ends well. When the block is left
    by an exception (an interrupt too) or the disk is full, nothing stays behind and an older
    file at the target is untouched.

    Parameters
    ----------
    target
        The finished file. Missing folders are made.
    width, height
        Size in pixels; both even.
    frame_rate
        Frames per second.

    Examples
    --------
    >>> with MovieFile(Path("film.mp4"), 1920, 1080, 30) as movie:
    ...     movie.write(picture, repeat=15)
    """

    def __init__(self, target: Path, width: int, height: int, frame_rate: int) -> None:
        self.target = target
        self.frames_written = 0
        self._shape = (height, width, 4)
        self._time_base = Fraction(1, frame_rate)
        # The process id keeps two renders of one scene out of each other's way.
        self._part = target.with_name(f".{target.name}.{os.getpid()}.part")
        self._queue: Queue[tuple[Pixels, int] | None] = Queue(QUEUE_LENGTH)
        self._worker = Thread(target=self._encode_queue, name=f"encoder of {target.name}")
        self._failure: Exception | None = None
        self._cancelled = False

    def __enter__(self) -> Self:
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            self._container = av.open(
                self._part, "w", format="mp4", options={"movflags": "+faststart"}
            )
        except (OSError, av.FFmpegError) as error:
            raise self._error(error) from error
        self._stream = self._add_stream()
        self._worker.start()
        return self

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
        """
        if pixels.shape != self._shape:
            raise ValueError(f"a frame of shape {self._shape} is expected, not {pixels.shape}")
        self._raise_failure()
        self._queue.put((pixels, repeat))

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._cancelled = exc_type is not None
        try:
            self._end_worker()
            if not self._cancelled:
                self._raise_failure()
                self._part.replace(self.target)
        except OSError as error:
            raise self._error(error) from error
        finally:
            # An interrupt may have cut the wait short while the worker still holds the file.
            self._cancelled = True
            self._end_worker()
            self._part.unlink(missing_ok=True)

    def _end_worker(self) -> None:
        if self._worker.is_alive():
            self._queue.put(None)
        self._worker.join()

    def _encode_queue(self) -> None:
        """Encode until the end mark; after a failure only drain, so that nobody waits."""
        try:
            while (job := self._queue.get()) is not None:
                if not self._cancelled and self._failure is None:
                    self._encode(*job)
        finally:
            self._close()

    def _encode(self, pixels: Pixels, repeat: int) -> None:
        try:
            frame = av.VideoFrame.from_numpy_buffer(to_bt709(pixels), format="yuv420p")
            frame.time_base = self._time_base
            for _ in range(repeat):
                frame.pts = self.frames_written
                self._container.mux(self._stream.encode(frame))
                self.frames_written += 1
        except Exception as error:
            self._failure = error

    def _close(self) -> None:
        complete = not self._cancelled and self._failure is None
        try:
            if complete:
                self._container.mux(self._stream.encode())
            self._container.close()
        except Exception as error:
            if complete:
                self._failure = error

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._error(self._failure) from self._failure

    def _error(self, cause: Exception) -> MovieError:
        reason = getattr(cause, "strerror", None) or str(cause)
        return MovieError(f"cannot write {self.target}: {reason}")
