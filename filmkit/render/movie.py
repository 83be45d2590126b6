"""Encode frames from memory into a video file, and read those without loss back.

Manim encodes every animation into a file of its own and joins the files afterwards, with colours in
BT.601 that no tag declares and an index at the end of the file. Here colours are converted to
BT.709 and tagged as such, and an mp4 has its index at the start, so that it plays everywhere and
starts at once. An :class:`Encoding` says how pictures become a file. Masters, from which films in
several formats can be made, are lossless.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace

from extract.support.files import OutputError, atomic_write
from filmkit.render.quality import Quality

__all__ = [
    "MASTER",
    "MASTER_ALPHA",
    "MOV",
    "MOV_ALPHA",
    "MP4",
    "MP4_MASTER",
    "WEBM",
    "WEBM_ALPHA",
    "Encoding",
    "Movie",
    "Pixels",
    "lossless",
    "open_container",
    "open_movie",
    "read_master",
    "shown_pixels",
    "to_bt709",
    "to_rgb",
    "to_straight_alpha",
]

Pixels = npt.NDArray[np.uint8]

# Maximum number of frames that wait for the encoder. Enough to keep it busy; at 4K a frame takes
# 33 MB.
QUEUE_LENGTH = 4

# FFmpeg's names of container formats. It cannot guess them: a film is written to a temporary path
# that does not have the film's suffix.
CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".webm": "webm"}

# Number of rows that are converted at a time: few enough to stay in the processor's cache and to
# reuse memory, which together halves the time. Even, because chroma is averaged over pairs of rows.
STRIP_ROWS = 120

# FFmpeg's codes for BT.709 (the same for matrix, primaries and transfer) and for limited range.
BT709 = 1
LIMITED_RANGE = 1


def _bt709_matrix() -> npt.NDArray[np.float32]:
    """Return the matrix (3, 4) from 8-bit RGB to 8-bit limited-range Y, Cb, Cr; offsets last."""
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

    Twice as fast as the encoder's own conversion, and exact to one of 256 levels.

    Parameters
    ----------
    pixels : (height, width, 3 or 4)
        An RGB picture, or an RGBA one whose alpha is ignored. Height and width are even.

    Returns
    -------
    (height * 3 / 2, width)
        The Y, Cb and Cr planes one after another, as in the pixel format yuv420p.
    """
    height, width = pixels.shape[:2]
    planes = np.empty((height * 3 // 2, width), np.uint8)
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    for top in range(0, height, STRIP_ROWS):
        strip = pixels[top : top + STRIP_ROWS]
        rows = len(strip)
        full = cv2.transform(to_rgb(strip), RGB_TO_BT709)
        half = cv2.resize(full, (width // 2, rows // 2), interpolation=cv2.INTER_AREA)
        cv2.extractChannel(full, 0, planes[top : top + rows])
        for channel in (1, 2):
            cv2.extractChannel(half, channel, chroma[channel - 1, top // 2 : (top + rows) // 2])
    return planes


def to_rgb(pixels: Pixels) -> Pixels:
    """Return a picture, (height, width, 3 or 4), without its alpha channel, if it has one."""
    if pixels.shape[2] == 3:
        return pixels
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB), dtype=np.uint8)


def to_straight_alpha(pixels: Pixels) -> Pixels:
    """Convert an RGBA picture, (height, width, 4), from premultiplied to straight alpha."""
    alpha = np.maximum(pixels[..., 3:], 1).astype(np.float32)
    colours = np.minimum(np.rint(pixels[..., :3] * (255 / alpha)), 255).astype(np.uint8)
    return np.concatenate([colours, pixels[..., 3:]], axis=2)


def shown_pixels(pixels: Pixels, *, transparent: bool) -> Pixels:
    """Return a picture of the camera, (height, width, 4), as stills and lossless files hold it.

    Returns
    -------
    (height, width, 3 or 4)
        RGBA with straight alpha if it is to be transparent, else RGB.
    """
    return to_straight_alpha(pixels) if transparent else to_rgb(pixels)


@dataclass(frozen=True)
class Encoding:
    """How pictures are encoded into a video file.

    Attributes
    ----------
    suffix
        Suffix of the file, such as ".mp4".
    codec, pixel_format
        FFmpeg's names.
    to_frame
        Converts an RGB or RGBA picture into a frame of the pixel format.
    options
        Options of the encoder.
    tagged
        Whether the colours are BT.709 in limited range, and the file is tagged accordingly.
    reorder_delay
        Number of frames by which decoding runs ahead of display, because the encoder reorders
        frames.
    merge_repeats
        Whether a picture that is shown for many frames is stored as one long frame (in fact two,
        its first and its last) instead of many equal ones, however it was given.
    codec_tag, stream_metadata
        Set on a film that is joined from segments of this encoding: the codec's name in the
        container, and the metadata of the video stream. None and {} leave the defaults.
    """

    suffix: str
    codec: str
    pixel_format: str
    to_frame: Callable[[Pixels], av.VideoFrame]
    options: dict[str, str] = field(default_factory=dict)
    tagged: bool = True
    reorder_delay: int = 0
    merge_repeats: bool = False
    codec_tag: str | None = None
    stream_metadata: dict[str, str] = field(default_factory=dict)

    @property
    def ending(self) -> str:
        """What names of files in the cache end in: different for each way to encode."""
        options = hashlib.sha256(repr(self.options).encode()).hexdigest()[:8]
        return f"{self.codec}.{self.pixel_format}.{options}{self.suffix}"


def _frame_420(pixels: Pixels) -> av.VideoFrame:
    return _frame_of_planes("yuv420p", pixels, _planes(pixels))


def _planes(pixels: Pixels) -> list[Pixels]:
    """Return the Y, Cb and Cr planes of a picture, as :func:`to_bt709` converts it."""
    height, width = pixels.shape[:2]
    planes = to_bt709(pixels)
    return [planes[:height], *planes[height:].reshape(2, height // 2, width // 2)]


def _frame_of_planes(pixel_format: str, pixels: Pixels, planes: Sequence[Pixels]) -> av.VideoFrame:
    """Return a frame of the size of a picture, with these planes.

    PyAV can make one from a single array, but takes 854 rows for 852, and so for every height that
    is no multiple of 4; the colours of the others are then displaced.
    """
    height, width = pixels.shape[:2]
    frame = av.VideoFrame(width, height, pixel_format)
    for plane, values in zip(frame.planes, planes, strict=True):
        # FFmpeg may pad the rows of a plane beyond the width of the picture.
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        rows[:, : plane.width] = values
    return frame


def _frame_rgb(pixels: Pixels) -> av.VideoFrame:
    return av.VideoFrame.from_numpy_buffer(to_rgb(pixels), format="rgb24")


# One thread: with more, equal pictures do not always give equal files. No adaptive decisions: they
# take time, and there are no cuts in a beat.
X264_OPTIONS = {"profile": "high", "preset": "superfast", "threads": "1"}
X264_PARAMETERS = "b-adapt=0:weightp=0:scenecut=0"

# With AVX-512, x264's "mbtree" does not always make equal files of equal pictures: 27 of 48 films
# differed, and none of 36 without it (x264 core 165).
AVX_512F = 13  # OpenCV's number for it
WITHOUT_AVX_512 = (
    ":asm=MMX2,SSE2Fast,SSSE3,SSE4.2,AVX,FMA3,BMI2,AVX2"
    if cv2.checkHardwareSupport(AVX_512F)
    else ""
)

# To be sent. What helps these pictures most for its time is added to the preset "superfast": small
# blocks, three pictures to refer to, a look ahead, and rounding that counts bits ("trellis"). The
# result is smaller than with "veryfast" and ``crf`` 20, has as small an error, and takes three
# quarters of the time.
MP4 = Encoding(
    suffix=".mp4",
    codec="libx264",
    pixel_format="yuv420p",
    to_frame=_frame_420,
    options=X264_OPTIONS
    | {
        "crf": "21.8",
        "x264-params": f"{X264_PARAMETERS}:mbtree=1:rc-lookahead=15:ref=3:mixed-refs=1:trellis=1:"
        "partitions=p8x8,p4x4,b8x8,i8x8,i4x4:aq-strength=0.7:chroma-qp-offset=2"
        f"{WITHOUT_AVX_512}",
    },
    reorder_delay=2,
)

# To be cut and encoded again. A constant quantiser ("qp"): a constant rate factor ("crf") is
# coarser where things move, and colours stand for numbers there too. Chroma is finer for the same
# reason.
MP4_MASTER = replace(
    MP4,
    options=X264_OPTIONS | {"qp": "18", "x264-params": f"{X264_PARAMETERS}:chroma-qp-offset=-6"},
)

# QuickTime Animation is lossless, like H.264 with qp 0, and also supports transparency. On these
# pictures it takes half the time to write and a third of the time to read.
MASTER = Encoding(
    suffix=".mov",
    codec="qtrle",
    pixel_format="rgb24",
    to_frame=_frame_rgb,
    # Masters are always read from the start: more keyframes would only cost space.
    options={"g": "1000"},
    tagged=False,
    merge_repeats=True,
)


def _frame_argb(pixels: Pixels) -> av.VideoFrame:
    return av.VideoFrame.from_numpy_buffer(
        np.ascontiguousarray(pixels[..., [3, 0, 1, 2]]), format="argb"
    )


MASTER_ALPHA = replace(MASTER, pixel_format="argb", to_frame=_frame_argb)


def lossless(*, transparent: bool) -> Encoding:
    """Return the encoding of masters: RGB, or RGBA with straight alpha."""
    return MASTER_ALPHA if transparent else MASTER


def _frame_420_alpha(pixels: Pixels) -> av.VideoFrame:
    return _frame_of_planes("yuva420p", pixels, [*_planes(pixels), pixels[..., 3]])


def _frame_444(pixels: Pixels) -> av.VideoFrame:
    return _in_ten_bits(av.VideoFrame.from_numpy_buffer(to_rgb(pixels), "rgb24"), "yuv444p10le")


def _frame_444_alpha(pixels: Pixels) -> av.VideoFrame:
    return _in_ten_bits(_frame_argb(pixels), "yuva444p10le")


def _in_ten_bits(frame: av.VideoFrame, pixel_format: str) -> av.VideoFrame:
    # One thread: several convert a third of the picture each, and the last pixels that one writes
    # lie over the first ones of the next.
    return frame.reformat(
        format=pixel_format,
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        threads=1,
    )


WEBM = Encoding(
    suffix=".webm",
    codec="libvpx-vp9",
    pixel_format="yuv420p",
    to_frame=_frame_420,
    options={"crf": "16", "b": "0", "deadline": "good", "cpu-used": "5", "threads": "1"},
)
# VP9's alternate reference frames ("auto-alt-ref") do not support transparency.
WEBM_ALPHA = replace(
    WEBM,
    pixel_format="yuva420p",
    to_frame=_frame_420_alpha,
    options=WEBM.options | {"auto-alt-ref": "0"},
    stream_metadata={"alpha_mode": "1"},
)

# For video editors and Keynote.
MOV = Encoding(
    suffix=".mov",
    codec="prores_ks",
    pixel_format="yuv444p10le",
    to_frame=_frame_444,
    options={"profile": "4444", "threads": "1"},
    codec_tag="ap4h",
)
MOV_ALPHA = replace(
    MOV,
    pixel_format="yuva444p10le",
    to_frame=_frame_444_alpha,
    options=MOV.options | {"alpha_bits": "16"},
)


def read_master(path: Path, frame_rate: int) -> Iterator[tuple[Pixels, int]]:
    """Yield the pictures of a lossless file, each with the number of frames that it is shown for.

    Each differs from the one before.
    """
    with av.open(path) as container:
        shown: Pixels | None = None
        start = end = 0
        for frame in container.decode(video=0):
            index = round((frame.time or 0.0) * frame_rate)
            picture = np.asarray(frame.to_ndarray(), dtype=np.uint8)
            if frame.format.name == "argb":
                picture = picture[..., [1, 2, 3, 0]]
            if shown is None or not np.array_equal(picture, shown):
                if shown is not None:
                    yield shown, index - start
                shown, start = picture, index
            end = index + 1
        if shown is not None:
            yield shown, end - start


def open_container(target: Path, path: Path) -> av.container.OutputContainer:
    """Open a file for writing at ``path``, in the container format of the target's suffix.

    Raises
    ------
    OutputError
        When the file cannot be opened; the error names the target.
    """
    # "bitexact" leaves out the random numbers by which a webm file may be known.
    options = {"fflags": "+bitexact"}
    if target.suffix == ".mp4":
        options["movflags"] = "+faststart"
    try:
        return av.open(path, "w", format=CONTAINERS[target.suffix], options=options)
    except (OSError, av.FFmpegError) as error:
        raise OutputError(target, error) from error


class Movie:
    """A video file that frames are appended to; made by :func:`open_movie`.

    Encoding runs in a thread of its own, so that the next frame can be drawn in the meantime.

    Parameters
    ----------
    target
        The finished file, to be named in errors.
    path
        The file to write to.
    quality, encoding
        As in :func:`open_movie`.
    """

    def __init__(self, target: Path, path: Path, quality: Quality, encoding: Encoding) -> None:
        self._target = target
        self._size = (quality.height, quality.width)
        self._time_base = Fraction(1, quality.frame_rate)
        self._encoding = encoding
        self._frames_encoded = 0
        self._held: tuple[Pixels, int] | None = None
        self._container = open_container(target, path)
        self._stream = self._add_stream()
        self._encoder = ThreadPoolExecutor(1, f"encoder of {target.name}")
        self._steps: deque[Future[None]] = deque()

    def _add_stream(self) -> Any:
        encoding = self._encoding
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
        """Append a picture; the array must not be changed afterwards.

        Parameters
        ----------
        pixels : (height, width, 3 or 4)
            An RGB picture, or an RGBA one.
        repeat
            Number of frames that it is shown for. Repeats are cheap: the picture is converted once,
            and the encoder stores "no change".

        Raises
        ------
        OutputError
            When an earlier frame could not be written.
        ValueError
            When the picture does not have the size of the film.
        """
        if pixels.shape[:2] != self._size:
            raise ValueError(f"a frame of shape {self._size} is expected, not {pixels.shape}")
        self._submit(self._encode, pixels, repeat)

    def finish(self) -> None:
        """Wait until everything is encoded, and complete the file.

        Raises
        ------
        OutputError
            When a frame could not be written.
        """
        for step in (self._flush, self._container.close):
            self._submit(step)
        while self._steps:
            self._wait()

    def stop(self) -> None:
        """Close the file without encoding the waiting frames; does nothing after :meth:`finish`."""
        self._encoder.shutdown(cancel_futures=True)
        with suppress(OSError, av.FFmpegError):
            self._container.close()

    def _submit(self, step: Callable[..., None], *arguments: Any) -> None:
        """Run a step in the encoder's thread, once there is room in the queue."""
        while self._steps and (self._steps[0].done() or len(self._steps) > QUEUE_LENGTH):
            self._wait()
        self._steps.append(self._encoder.submit(step, *arguments))

    def _wait(self) -> None:
        """Wait for the first step that is left, and raise its error."""
        try:
            self._steps.popleft().result()
        except Exception as error:
            raise OutputError(self._target, error) from error

    def _encode(self, pixels: Pixels, repeat: int) -> None:
        if self._held is not None:
            before, count = self._held
            if np.array_equal(before, pixels):
                self._held = before, count + repeat
                return
            self._encode_held(before, count)
        if self._encoding.merge_repeats:
            self._held = pixels, repeat
        else:
            self._encode_held(pixels, repeat)

    def _encode_held(self, pixels: Pixels, repeat: int) -> None:
        frame = self._encoding.to_frame(pixels)
        frame.time_base = self._time_base
        # Of a repeated picture only the first and the last frame are stored: the time of the last
        # one says how long the first is shown.
        for i in sorted({0, repeat - 1}) if self._encoding.merge_repeats else range(repeat):
            frame.pts = self._frames_encoded + i
            self._container.mux(self._stream.encode(frame))
        self._frames_encoded += repeat

    def _flush(self) -> None:
        if self._held is not None:
            self._encode_held(*self._held)
        self._container.mux(self._stream.encode())


@contextmanager
def open_movie(target: Path, quality: Quality, encoding: Encoding) -> Iterator[Movie]:
    """Open a video file for writing.

    The file appears at the end of the ``with`` block. When the block is left by an exception or the
    disk is full, nothing is left behind and an older file is unchanged.

    Parameters
    ----------
    target
        The finished file. Missing folders are created.
    quality
        Size, of which both lengths are even, and frame rate.
    encoding
        How pictures are encoded.

    Raises
    ------
    OutputError
        When the file cannot be written.

    Examples
    --------
    >>> with open_movie(Path("film.mp4"), Quality(1920, 1080, 30), MP4) as movie:
    ...     movie.write(picture, repeat=15)
    """
    with atomic_write(target) as part:
        movie = Movie(target, part, quality, encoding)
        try:
            yield movie
            movie.finish()
        finally:
            movie.stop()
