"""Video files: exact colours, correct tags, the index at the start, and atomic writing."""

from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from extract.support.files import OutputError
from filmkit.render.movie import MP4, MP4_MASTER, WEBM, Encoding, Movie, open_movie, to_bt709
from filmkit.render.quality import Quality

WIDTH, HEIGHT, FRAME_RATE = 192, 108, 15
PATCHES = [
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 255),
    (255, 211, 90),
    (68, 1, 84),
]
PATCH_WIDTH = WIDTH // len(PATCHES)


def patches() -> np.ndarray:
    """Return an RGBA picture of six vertical stripes in the colours of PATCHES."""
    picture = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    for index, colour in enumerate(PATCHES):
        picture[:, index * PATCH_WIDTH : (index + 1) * PATCH_WIDTH, :3] = colour
    return picture


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)


def movie_at(path: Path) -> AbstractContextManager[Movie]:
    return open_movie(path, Quality(WIDTH, HEIGHT, FRAME_RATE), MP4)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "new folder" / "film.mp4"
    with movie_at(path) as movie:
        movie.write(patches(), repeat=20)
        movie.write(patches())
    return path


def top_level_boxes(path: Path) -> list[str]:
    """Return the types of an mp4's top-level boxes, in order."""
    data = path.read_bytes()
    boxes, position = [], 0
    while position < len(data):
        boxes.append(data[position + 4 : position + 8].decode())
        position += int.from_bytes(data[position : position + 4])
    return boxes


def test_colours_survive_decoding_as_bt709(film: Path) -> None:
    with av.open(film) as container:
        frame = next(container.decode(video=0))
        decoded = frame.to_ndarray(format="rgb24", src_colorspace="ITU709").astype(int)
    colours = decoded[HEIGHT // 2, PATCH_WIDTH // 2 :: PATCH_WIDTH]
    assert np.abs(colours - PATCHES).max() <= 2


@pytest.mark.parametrize("encoding", [MP4, MP4_MASTER, WEBM])
@pytest.mark.parametrize("height", [62, 64, 854])
def test_colours_stay_in_their_rows_at_any_even_height(
    tmp_path: Path, encoding: Encoding, height: int
) -> None:
    """A film of 480 x 854 is a draft for telephones."""
    path = tmp_path / f"film{encoding.suffix}"
    band = height // 2 // len(PATCHES) * 2
    picture = np.full((height, 64, 3), 255, np.uint8)
    for index, colour in enumerate(PATCHES):
        picture[index * band : (index + 1) * band] = colour
    with open_movie(path, Quality(64, height, FRAME_RATE), encoding) as movie:
        movie.write(picture)
    with av.open(path) as container:
        frame = next(container.decode(video=0))
        decoded = frame.to_ndarray(format="rgb24", src_colorspace="ITU709").astype(int)
    for index, colour in enumerate(PATCHES):
        rows = decoded[index * band + 2 : (index + 1) * band - 2, 32]
        assert np.abs(rows - colour).max() <= 12


def test_file_is_tagged_with_codec_and_colours(film: Path) -> None:
    with av.open(film) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.profile, context.pix_fmt) == ("h264", "High", "yuv420p")
        assert (context.width, context.height) == (WIDTH, HEIGHT)
        tags = (context.colorspace, context.color_primaries, context.color_trc)
        assert tags == (1, 1, 1), "BT.709"
        assert context.color_range == 1, "limited range"
        assert stream.average_rate == FRAME_RATE
        assert stream.frames == 21
        assert stream.duration * stream.time_base == Fraction(21, FRAME_RATE)


def test_index_comes_before_the_frames(film: Path) -> None:
    boxes = top_level_boxes(film)
    assert boxes.index("moov") < boxes.index("mdat")


def test_only_the_finished_file_is_left(film: Path) -> None:
    assert list(film.parent.iterdir()) == [film]


def test_conversion_follows_the_standard() -> None:
    planes = to_bt709(patches())
    assert planes.shape == (HEIGHT * 3 // 2, WIDTH)
    luma = planes[HEIGHT // 2, PATCH_WIDTH // 2 :: PATCH_WIDTH].astype(int)
    expected = 16 + 219 / 255 * np.array(PATCHES) @ [0.2126, 0.7152, 0.0722]
    assert np.abs(luma - expected).max() <= 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_interrupted_movie_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"the last good one")
    with pytest.raises(error), movie_at(path) as movie:
        movie.write(noise(0), repeat=10)
        raise error
    assert path.read_bytes() == b"the last good one"
    assert list(tmp_path.iterdir()) == [path]


def test_frame_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frame of shape"), movie_at(tmp_path / "a.mp4") as movie:
        movie.write(np.zeros((2, 2, 4), np.uint8))
    assert not any(tmp_path.iterdir())


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("frames", [12, 200], ids=["at the end", "on the way"])
def test_full_disk_is_one_line_and_no_file(tmp_path: Path, frames: int) -> None:
    path = tmp_path / "film.mp4"
    with pytest.raises(OutputError) as caught, movie_at(path) as movie:
        for seed in range(frames):
            movie.write(noise(seed))
    message = str(caught.value)
    assert message.startswith(f"cannot write {path}: ")
    assert "large; make room" in message
    assert "\n" not in message
    assert not any(tmp_path.iterdir())


def test_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.raises(OutputError, match=r"cannot write .*film\.mp4"):
        movie_at(tmp_path / "taken" / "film.mp4").__enter__()
