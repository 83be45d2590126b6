"""Writes frames from memory into one video file.

Manim encodes every animation into a file of its own and joins them afterwards, with colours in
BT.601 that no tag declares and an index at the end of the file. Here colours are converted to
BT.709 and tagged so, and the index of an mp4 comes first, so that it plays everywhere and starts
at once. How pictures become a file is a :class:`Encoding`; masters, from which every film is
derived, have a lossless one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace

from extract.files import OutputError, written_beside

__all__ = [
    "MASTER",
    "MASTER_ALPHA",
    "MOV",
    "MOV_ALPHA",
    "MP4",
    "WEBM",
    "WEBM_ALPHA",
    "Encoding",
    "Movie",
    "Pixels",
    "open_container",
    "open_movie",
    "read_master",
    "straight",
    "to_bt709",
]

Pixels = npt.NDArray[np.uint8]

# Frames waiting for the encoder. Enough to keep it busy; at 4K one frame is 33 MB.
QUEUE_LENGTH = 4

# FFmpeg's names of containers: what is written beside a file does not end as the file does.
CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".webm": "webm"}

# Rows that are converted at a time: few enough for the cache, and for memory that is used again,
# which together halves the time. Even, so that no pair of rows is divided.
STRIP = 120

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
    pixels : (height, width, 3 or 4)
        An RGB picture, or an RGBA one whose alpha is left out; both sides even.

    Returns
    -------
    (height * 3 / 2, width)
        The Y, Cb and Cr planes one after the other, as in the pixel format yuv420p.
    """
    height, width = pixels.shape[:2]
    planes = np.empty((height * 3 // 2, width), np.uint8)
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    for top in range(0, height, STRIP):
        strip = pixels[top : top + STRIP]
        rows = len(strip)
        full = cv2.transform(_rgb(strip), RGB_TO_BT709)
        half = cv2.resize(full, (width // 2, rows // 2), interpolation=cv2.INTER_AREA)
        cv2.extractChannel(full, 0, planes[top : top + rows])
        for channel in (1, 2):
            cv2.extractChannel(half, channel, chroma[channel - 1, top // 2 : (top + rows) // 2])
    return planes


def _rgb(pixels: Pixels) -> Pixels:
    if pixels.shape[2] == 3:
        return pixels
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB), dtype=np.uint8)


def straight(pixels: Pixels) -> Pixels:
    """A premultiplied RGBA picture with its colours as they are where nothing shines through."""
    alpha = np.maximum(pixels[..., 3:], 1).astype(np.float32)
    colours = np.minimum(np.rint(pixels[..., :3] * (255 / alpha)), 255).astype(np.uint8)
    return np.concatenate([colours, pixels[..., 3:]], axis=2)


@dataclass(frozen=True)
class Encoding:
    """How pictures become a file.

    Attributes
    ----------
    suffix
        Of the file's name.
    codec, pixel_format
        FFmpeg's names.
    to_frame
        Makes a frame in the pixel format from an RGB or RGBA picture.
    options
        Of the encoder.
    tagged
        Whether the colours are BT.709 in limited range, which the file then says.
    reorders
        How many frames the encoder looks ahead before it puts out the first.
    holds
        Whether a picture that stands still is one long frame instead of many equal ones.
    tag, notes
        What a file that is joined from such ones has to be told: the codec's name in its
        container, and the stream's metadata.
    """

    suffix: str
    codec: str
    pixel_format: str
    to_frame: Callable[[Pixels], av.VideoFrame]
    options: dict[str, str] = field(default_factory=dict)
    tagged: bool = True
    reorders: int = 0
    holds: bool = False
    tag: str | None = None
    notes: dict[str, str] = field(default_factory=dict)


def _frame_420(pixels: Pixels) -> av.VideoFrame:
    return av.VideoFrame.from_numpy_buffer(to_bt709(pixels), format="yuv420p")


def _frame_rgb(pixels: Pixels) -> av.VideoFrame:
    return av.VideoFrame.from_numpy_buffer(_rgb(pixels), format="rgb24")


MP4 = Encoding(
    suffix=".mp4",
    codec="libx264",
    pixel_format="yuv420p",
    to_frame=_frame_420,
    # A constant quantiser, not a constant rate factor: that is coarser where things move, and the
    # colours carry numbers there too. Chroma is coded finer than usual for the same reason.
    # Nothing is decided by looking ahead, and there is one motion vector to a macroblock: half the
    # time of the preset "veryfast" with ``crf`` 16, for the same deviation of the colours.
    # One thread: with more, the same pictures now and then give another file.
    options={
        "profile": "high",
        "preset": "superfast",
        "qp": "18",
        "threads": "1",
        "x264-params": "b-adapt=0:weightp=0:scenecut=0:chroma-qp-offset=-6",
    },
    reorders=2,
)

# QuickTime Animation is lossless like H.264 with qp 0, holds transparency too, and on these
# pictures is written in half and read in a third of the time.
MASTER = Encoding(
    suffix=".mov",
    codec="qtrle",
    pixel_format="rgb24",
    to_frame=_frame_rgb,
    # Masters are read from the start: a complete picture now and then would only cost space.
    options={"g": "1000"},
    tagged=False,
    holds=True,
)


def _frame_argb(pixels: Pixels) -> av.VideoFrame:
    return av.VideoFrame.from_numpy_buffer(
        np.ascontiguousarray(pixels[..., [3, 0, 1, 2]]), format="argb"
    )


MASTER_ALPHA = replace(MASTER, pixel_format="argb", to_frame=_frame_argb)


def _frame_420_alpha(pixels: Pixels) -> av.VideoFrame:
    height, width = pixels.shape[:2]
    frame = av.VideoFrame(width, height, "yuva420p")
    planes = to_bt709(pixels)
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    for plane, values in zip(frame.planes, (planes[:height], *chroma, pixels[..., 3]), strict=True):
        # FFmpeg's lines may be longer than the picture is wide.
        lines = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        lines[:, : plane.width] = values
    return frame


def _frame_444(pixels: Pixels) -> av.VideoFrame:
    return _in_ten_bits(av.VideoFrame.from_numpy_buffer(_rgb(pixels), "rgb24"), "yuv444p10le")


def _frame_444_alpha(pixels: Pixels) -> av.VideoFrame:
    return _in_ten_bits(_frame_argb(pixels), "yuva444p10le")


def _in_ten_bits(frame: av.VideoFrame, pixel_format: str) -> av.VideoFrame:
    return frame.reformat(
        format=pixel_format, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )


WEBM = Encoding(
    suffix=".webm",
    codec="libvpx-vp9",
    pixel_format="yuv420p",
    to_frame=_frame_420,
    options={"crf": "16", "b": "0", "deadline": "good", "cpu-used": "5", "threads": "1"},
)
# Frames that are only looked at by others cannot hold transparency.
WEBM_ALPHA = replace(
    WEBM,
    pixel_format="yuva420p",
    to_frame=_frame_420_alpha,
    options=WEBM.options | {"auto-alt-ref": "0"},
    notes={"alpha_mode": "1"},
)

# What editors and Keynote take.
MOV = Encoding(
    suffix=".mov",
    codec="prores_ks",
    pixel_format="yuv444p10le",
    to_frame=_frame_444,
    options={"profile": "4444", "threads": "1"},
    tag="ap4h",
)
MOV_ALPHA = replace(
    MOV,
    pixel_format="yuva444p10le",
    to_frame=_frame_444_alpha,
    options=MOV.options | {"alpha_bits": "16"},
)


def read_master(path: Path, frame_rate: int) -> Iterator[tuple[Pixels, int]]:
    """The pictures of a master, and for how many frames each stands still.

    A picture that is held comes twice: for all of its frames but the last, and for the last.
    """
    with av.open(path) as container:
        held: Pixels | None = None
        since = 0
        for frame in container.decode(video=0):
            at = round((frame.time or 0.0) * frame_rate)
            if held is not None:
                yield held, at - since
            held, since = np.asarray(frame.to_ndarray(), dtype=np.uint8), at
            if frame.format.name == "argb":
                held = held[..., [1, 2, 3, 0]]
        if held is not None:
            yield held, 1


def open_container(target: Path, path: Path) -> av.container.OutputContainer:
    """Open a file to be written at ``path``, in the container that the target's suffix says.

    Raises
    ------
    OutputError
        When it cannot be opened; the error names the target.
    """
    options = {"movflags": "+faststart"} if target.suffix == ".mp4" else {}
    try:
        return av.open(path, "w", format=CONTAINERS[target.suffix], options=options)
    except (OSError, av.FFmpegError) as error:
        raise OutputError(target, error) from error


class Movie:
    """A video file that frames are added to; made by :func:`open_movie`.

    Encoding runs in a thread of its own, so that the next frame can be drawn meanwhile.

    Parameters
    ----------
    target
        The file that errors name.
    path
        The file that is written.
    width, height, frame_rate, coding
        As in :func:`open_movie`.
    """

    def __init__(
        self,
        target: Path,
        path: Path,
        width: int,
        height: int,
        frame_rate: int,
        encoding: Encoding,
    ) -> None:
        self._target = target
        self._size = (height, width)
        self._time_base = Fraction(1, frame_rate)
        self._coding = encoding
        self._frames_encoded = 0
        self._container = open_container(target, path)
        self._stream = self._add_stream()
        self._failure: Exception | None = None
        self._stopped = False
        self._queue: Queue[tuple[Pixels, int] | None] = Queue(QUEUE_LENGTH)
        self._worker = Thread(target=self._encode_queue, name=f"encoder of {target.name}")
        self._worker.start()

    def _add_stream(self) -> Any:
        encoding = self._coding
        stream: Any = self._container.add_stream(
            encoding.codec, rate=1 / self._time_base, options=encoding.options
        )
        stream.height, stream.width = self._size
        stream.pix_fmt = encoding.pixel_format
        if encoding.tagged:
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = BT709
            context.color_range = LIMITED_RANGE
        return stream

    def write(self, pixels: Pixels, repeat: int = 1) -> None:
        """Append a picture, shown for ``repeat`` frames; it must not change afterwards.

        Parameters
        ----------
        pixels : (height, width, 3 or 4)
            An RGB picture, or an RGBA one.
        repeat
            A hold costs little: the picture is converted once and coded as "no change".

        Raises
        ------
        OutputError
            When an earlier frame could not be written.
        """
        if pixels.shape[:2] != self._size:
            raise ValueError(f"a frame of shape {self._size} is expected, not {pixels.shape}")
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
        frame = self._coding.to_frame(pixels)
        frame.time_base = self._time_base
        # The last frame of a held picture tells how long it is held.
        for i in sorted({0, repeat - 1}) if self._coding.holds else range(repeat):
            frame.pts = self._frames_encoded + i
            self._container.mux(self._stream.encode(frame))
        self._frames_encoded += repeat

    def _flush(self) -> None:
        self._container.mux(self._stream.encode())

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise OutputError(self._target, self._failure) from self._failure


@contextmanager
def open_movie(
    target: Path, width: int, height: int, frame_rate: int, encoding: Encoding = MP4
) -> Iterator[Movie]:
    """Open a video file for writing.

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
    coding
        How pictures become a file.

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
        movie = Movie(target, part, width, height, frame_rate, encoding)
        try:
            yield movie
            movie.finish()
        finally:
            movie.stop()
