"""Every file format: colours, duration and transparency, read back from the file."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence

from filmkit.render.delivery import deliver, encoding_of, target_of
from filmkit.render.formats import FILMS, names_of
from filmkit.render.jobs import make_films
from filmkit.render.movie import lossless, open_movie, to_straight_alpha
from filmkit.render.quality import Quality
from tests.filmkit.render.test_movie import (
    HEIGHT,
    PATCH_WIDTH,
    PATCHES,
    WIDTH,
    patches,
    top_level_boxes,
)
from tests.support.filming import render_request
from tests.support.stand_in import SHAPES
from tests.support.traces import make_trace

RATE = 15
SIZE = Quality(WIDTH, HEIGHT, RATE)
HOLDS = (7, 1, 12)  # number of frames of each segment
MIDDLE = slice(PATCH_WIDTH // 2, None, PATCH_WIDTH)  # columns in the middle of each patch
ALPHAS = (0, 128, 255)  # alpha of the picture's thirds, from the top
ROWS = (HEIGHT // 6, HEIGHT // 2, HEIGHT - HEIGHT // 6)  # rows in the middle of each third


def make_film(folder: Path, file_format: str, *, transparent: bool) -> Path:
    """Write a film of the six patches, shown for 20 frames, from three segments."""
    picture = patches()
    if transparent:
        for third, alpha in enumerate(ALPHAS):
            picture[third * HEIGHT // 3 : (third + 1) * HEIGHT // 3, :, 3] = alpha
    encoding = encoding_of(file_format, transparent=transparent)
    files = []
    for i, repeat in enumerate(HOLDS):
        files.append(folder / f"{i}{encoding.suffix}")
        with open_movie(files[-1], SIZE, encoding) as movie:
            movie.write(picture, repeat)
    return deliver(
        target_of(folder / "out" / "film", file_format),
        files,
        file_format,
        frame_rate=RATE,
        transparent=transparent,
    )


def decoded(path: Path) -> tuple[list[np.ndarray], float]:
    """Return the RGBA frames of a film, and its duration in seconds."""
    if path.is_dir():
        stills = [np.asarray(Image.open(p).convert("RGBA")) for p in sorted(path.iterdir())]
        return stills, len(stills) / RATE
    if path.suffix in (".gif", ".png"):
        with Image.open(path) as image:
            shown = [
                (np.asarray(frame.convert("RGBA")), frame.info.get("duration", 0))
                for frame in ImageSequence.Iterator(image)
            ]
            return [frame for frame, _ in shown], sum(duration for _, duration in shown) / 1000
    with av.open(path) as container:
        stream = container.streams.video[0]
        # FFmpeg's own VP9 decoder ignores transparency.
        context = (
            av.CodecContext.create("libvpx-vp9", "r")
            if path.suffix == ".webm"
            else stream.codec_context
        )
        frames = [
            frame.reformat(format="rgba", src_colorspace="ITU709").to_ndarray()
            for packet in container.demux(stream)
            for frame in context.decode(packet)
        ]
        return frames, (container.duration or 0) / 1e6


@pytest.mark.parametrize("file_format", FILMS)
def test_colours_and_length(tmp_path: Path, file_format: str) -> None:
    frames, seconds = decoded(make_film(tmp_path, file_format, transparent=False))
    for frame in (frames[0], frames[-1]):
        colours = frame[HEIGHT // 2, MIDDLE].astype(int)
        assert np.abs(colours - [(*colour, 255) for colour in PATCHES]).max() <= 2
    if file_format == "png":
        assert len(frames) == 1
    else:
        assert seconds == pytest.approx(sum(HOLDS) / RATE, abs=0.005)
    if file_format not in ("png", "gif"):
        assert len(frames) == sum(HOLDS)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [
        {"png-sequence": "film_frames"}.get(file_format, f"film.{file_format}")
    ]


@pytest.mark.parametrize("file_format", ["mp4", "webm", "mov", "gif"])
def test_the_same_pictures_make_the_same_file(tmp_path: Path, file_format: str) -> None:
    first, second = (
        make_film(tmp_path / name, file_format, transparent=False).read_bytes()
        for name in ("first", "second")
    )
    assert first == second


@pytest.mark.parametrize("file_format", names_of("transparent"))
def test_transparency(tmp_path: Path, file_format: str) -> None:
    frames, _ = decoded(make_film(tmp_path, file_format, transparent=True))
    no_half = file_format == "gif"  # a pixel of a GIF is transparent or opaque
    for frame in (frames[0], frames[-1]):
        clear, half, opaque = (frame[row, MIDDLE].astype(int) for row in ROWS)
        assert (clear[:, 3] == 0).all()
        assert np.abs(half[:, 3] - (255 if no_half else 128)).max() <= 2
        assert (opaque[:, 3] == 255).all()
        for row in (half, opaque):
            assert np.abs(row[:, :3] - PATCHES).max() <= 2


@pytest.mark.parametrize("transparent", [False, True])
def test_a_gif_that_moves_keeps_what_is_black(tmp_path: Path, transparent: bool) -> None:
    """An image of a GIF may leave out its edges, which viewers fill as the file says."""
    rng = np.random.default_rng(0)
    columns = (40, 60, 80)
    black = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    black[10:, :, 3] = 255
    if not transparent:
        black[..., 3] = 255
    master = tmp_path / "master.mov"
    with open_movie(master, SIZE, lossless(transparent=transparent)) as movie:
        for column in columns:
            picture = black.copy()
            # So many colours that the palette is full.
            picture[20:40, column : column + 40, :3] = rng.integers(50, 255, (20, 40, 3))
            movie.write(picture, 3)
    target = tmp_path / "film.gif"
    deliver(target, [master], "gif", frame_rate=RATE, transparent=transparent)
    frames, _ = decoded(target)
    assert len(frames) == len(columns)
    for frame, column in zip(frames, columns, strict=True):
        assert (frame[..., 3] == black[..., 3]).all()
        shown = frame[..., :3].max(axis=-1) * (frame[..., 3] > 0)
        assert (shown[20:40, column : column + 40] > 40).all()
        shown[20:40, column : column + 40] = 0
        assert shown.max() <= 2


@pytest.mark.parametrize(
    ("file_format", "transparent", "codec", "pixel_format", "tag"),
    [
        ("mp4", False, "h264", "yuv420p", "avc1"),
        ("mov", False, "prores", "yuv444p", "ap4h"),
        ("mov", True, "prores", "yuva444p", "ap4h"),
        ("webm", False, "vp9", "yuv420p", None),
        ("webm", True, "vp9", "yuv420p", None),
    ],
)
def test_film_is_tagged_with_codec_and_colours(
    tmp_path: Path,
    file_format: str,
    transparent: bool,
    codec: str,
    pixel_format: str,
    tag: str | None,
) -> None:
    path = make_film(tmp_path, file_format, transparent=transparent)
    with av.open(path) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert context.name == codec
        # The decoder of ProRes chooses the bit depth.
        assert (context.pix_fmt or "").startswith(pixel_format)
        assert tag in (None, context.codec_tag)
        assert (context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1)
        assert context.color_range == 1
        assert stream.average_rate == RATE
    alpha_mode = b"\x53\xc0\x81\x01"  # the Matroska element that players check
    assert (alpha_mode in path.read_bytes()) == (codec == "vp9" and transparent)
    if file_format == "mp4":
        boxes = top_level_boxes(path)
        assert boxes.index("moov") < boxes.index("mdat")


def test_straight_alpha_undoes_premultiplication() -> None:
    pixel = np.array([[[100, 0, 50, 128], [0, 0, 0, 0], [7, 8, 9, 255]]], np.uint8)
    assert to_straight_alpha(pixel).tolist() == [[[199, 0, 100, 128], [0, 0, 0, 0], [7, 8, 9, 255]]]


def last_picture(tmp_path: Path, **options: object) -> np.ndarray:
    trace = tmp_path / "trace.safetensors"
    make_trace().save(trace)
    assert make_films(render_request((SHAPES,), trace, tmp_path, file_format="png", **options))
    return np.asarray(Image.open(tmp_path / "scene_shapes.png"))


def test_background_is_the_one_that_was_asked_for(tmp_path: Path) -> None:
    assert last_picture(tmp_path, background="#102030")[2, 2].tolist() == [16, 32, 48]


def test_scene_without_its_background(tmp_path: Path) -> None:
    picture = last_picture(tmp_path, transparent=True)
    assert picture[2, 2].tolist() == [0, 0, 0, 0]
    # The blue square ends at (2, 1) in a frame that is 8 scene units high.
    assert picture[67, 205].tolist() == [88, 196, 221, 255]
