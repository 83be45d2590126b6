"""Captions of films: in files beside them, as a track, and drawn into the frames."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av
import numpy as np
import pytest

from filmkit.core.card import FILM_TITLE
from filmkit.core.geometry import CAPTION_STRIP, FRAME_HEIGHT, Frame
from filmkit.core.stage_settings import StageSettings
from filmkit.render.jobs import make_films
from filmkit.render.manim_config import changed_config
from filmkit.render.overlay import Overlay, OverlayPainter, caption_size
from filmkit.render.quality import ASPECTS, Quality, frame_size, quality_of
from filmkit.words.captions import Cue
from tests.filmkit.words.test_captions import read
from tests.support.filming import pictures, render_request
from tests.support.stand_in import LENGTHS, SHAPES, entry
from tests.support.traces import make_trace

NARRATION = ["A square for made-up model.", "It moves.", "It stands still."]
STARTS = [0.0, *accumulate(LENGTHS[:-1])]
LENGTH = sum(LENGTHS)
SETTINGS = StageSettings()


@pytest.fixture(scope="module")
def trace_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trace") / "made-up.safetensors"
    make_trace().save(path)
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def track(path: Path) -> list[tuple[float, str]]:
    """Return the start, in seconds, and the text of each caption in a film's track."""
    with av.open(path) as film:
        assert [stream.language for stream in film.streams.subtitles] == ["eng"]
        texts = [
            (float(packet.pts * packet.time_base), subtitle.dialogue.decode())
            for packet in film.demux(film.streams.subtitles[0])
            for subtitle in packet.decode()
        ]
    return [(start, text.replace("\\N", " ").replace("\n", " ")) for start, text in texts]


@pytest.mark.parametrize(
    "file_format",
    ["mp4", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mov", "webm"))],
)
def test_a_track_holds_the_captions(
    file_format: str, trace_file: Path, cache: Path, tmp_path: Path
) -> None:
    assert make_films(
        render_request(
            (SHAPES,), trace_file, tmp_path, cache=cache, file_format=file_format, captions="mux"
        )
    )
    film = tmp_path / f"scene_shapes.{file_format}"
    cues = track(film)
    assert [text for _, text in cues] == NARRATION
    assert [start for start, _ in cues] == pytest.approx(STARTS, abs=0.001)
    for suffix in (".srt", ".vtt"):
        beside = read(film.with_suffix(suffix))
        assert [start for start, *_ in beside] == pytest.approx(STARTS, abs=0.001)
    with av.open(film) as container:
        assert container.metadata["title"] == SHAPES.title
        # The video has the same length as without captions, and starts at 0.
        assert container.streams.video[0].start_time in (0, None)
        assert container.duration / 1e6 == pytest.approx(LENGTH, abs=0.11)
        titles = [mark["metadata"]["title"] for mark in container.chapters()]
        starts = [mark["start"] * Fraction(mark["time_base"]) for mark in container.chapters()]
    assert titles == ["Appear", "Travel", "Rest"]
    assert [float(start) for start in starts] == pytest.approx(STARTS, abs=0.001)


def test_a_film_of_many_scenes_has_the_captions_of_all(
    trace_file: Path, cache: Path, tmp_path: Path
) -> None:
    both = (SHAPES, entry("scene_more", "Shapes"))
    assert make_films(
        render_request(both, trace_file, tmp_path, cache=cache, joined=True, captions="mux")
    )
    starts = [*STARTS, *(LENGTH + start for start in STARTS)]
    beside = read(tmp_path / "film.srt")
    assert [text.replace("\n", " ") for *_, text in beside] == 2 * NARRATION
    assert [start for start, *_ in read(tmp_path / "film.vtt")] == pytest.approx(starts, abs=0.001)
    assert [start for start, _ in track(tmp_path / "film.mp4")] == pytest.approx(starts, abs=0.001)
    with av.open(tmp_path / "film.mp4") as container:
        assert container.metadata["title"] == FILM_TITLE


def test_one_beat_starts_at_zero(trace_file: Path, cache: Path, tmp_path: Path) -> None:
    assert make_films(render_request((SHAPES,), trace_file, tmp_path, cache=cache, beat="rest"))
    ((start, seconds, text),) = read(tmp_path / "scene_shapes" / "03_rest.srt")
    assert (start, text) == (0.0, "It stands still.")
    assert seconds == pytest.approx(LENGTHS[-1], abs=0.001)


def test_captions_are_drawn_into_the_film_and_need_no_strip_of_the_scene(
    trace_file: Path, cache: Path, tmp_path: Path
) -> None:
    size = Quality(320, 180, 10)
    for captions in ("none", "burn"):
        request = render_request(
            (SHAPES,), trace_file, tmp_path / captions, cache=cache, captions=captions, quality=size
        )
        assert make_films(request)
        assert [path.name for path in (tmp_path / captions).iterdir()] == ["scene_shapes.mp4"]
    plain, captioned = (pictures(tmp_path / name / "scene_shapes.mp4") for name in ("none", "burn"))
    strip = slice(int(0.86 * 180), None)
    assert np.abs(plain[:, strip] - captioned[:, strip]).max(axis=(1, 2, 3)).min() > 120
    above = slice(None, int(0.8 * 180))
    assert np.abs(plain[:, above] - captioned[:, above]).mean() < 1


def test_no_caption_is_in_a_master(trace_file: Path, cache: Path, tmp_path: Path) -> None:
    kept = []
    for captions in ("none", "burn"):
        request = render_request(
            (SHAPES,),
            trace_file,
            tmp_path / captions,
            cache=cache,
            captions=captions,
            file_format="png-sequence",
        )
        assert make_films(request)
        kept.append({path: path.stat().st_ino for path in cache.rglob("*.master.mov")})
    assert kept[0] == kept[1]
    assert len(kept[0]) == 6


def test_a_cue_changes_in_the_middle_of_a_still_picture() -> None:
    picture = np.zeros((180, 320, 3), np.uint8)
    cues = (Cue(0.0, 0.5, ("one",)), Cue(0.7, 1.2, ("two",)))
    with changed_config(_sizes(Quality(320, 180, 10))):
        painter = OverlayPainter(Overlay(cues), 10, SETTINGS)
        runs = [*painter.pieces(picture, 9), *painter.pieces(picture, 6)]
    assert [count for _, count in runs] == [5, 2, 2, 3, 3]
    assert [bool(shown.any()) for shown, _ in runs] == [True, False, True, True, False]
    assert not picture.any()


def test_transparent_pictures_keep_straight_alpha() -> None:
    clear = np.zeros((360, 640, 4), np.uint8)
    half = np.full((360, 640, 4), (200, 100, 0, 128), np.uint8)
    cue = (Cue(0.0, 1.0, ("white words",)),)
    settings = replace(SETTINGS, transparent=True)
    with changed_config(_sizes(Quality(640, 360, 10))):
        ((on_clear, _),), ((on_half, _),) = (
            list(OverlayPainter(Overlay(cue), 10, settings).pieces(picture, 10))
            for picture in (clear, half)
        )
    words = on_clear[..., 0] > 200
    assert words.sum() > 20
    assert on_clear[words][:, 3].min() > 230
    plate = (on_clear[..., 3] == 204) & (on_clear[..., 0] == 0)
    # The plate has an opacity of 0.8, so a tenth of a half transparent picture shows through it.
    assert on_half[plate][:, 3].mean() == pytest.approx(255 * (0.8 + 0.2 * 128 / 255), abs=1)
    assert on_half[plate][:, 0].mean() == pytest.approx(200 * 0.1 / 0.9, abs=1)
    np.testing.assert_array_equal(on_half[0, 0], half[0, 0])


def _sizes(quality: Quality) -> dict[str, float]:
    """Return Manim's settings of a quality."""
    width, height = frame_size(quality.width, quality.height)
    pixels = {"pixel_width": quality.width, "pixel_height": quality.height}
    return pixels | {"frame_width": width, "frame_height": height}


@pytest.mark.parametrize("aspect", ASPECTS)
@pytest.mark.parametrize("theme", ["dark", "light", "print"])
def test_captions_fit_into_the_strip_of_every_aspect(aspect: str, theme: str) -> None:
    quality = quality_of("draft", aspect)
    lines = (
        "and 9 more words that tell of all the rows",
        "MMMM wide words, and one number at its end",
    )
    picture = np.full((quality.height, quality.width, 3), 127, np.uint8)
    with changed_config(_sizes(quality)):
        frame = Frame(*frame_size(quality.width, quality.height), captions=CAPTION_STRIP)
        assert caption_size(frame) * FRAME_HEIGHT >= 0.02 * frame.shorter_side
        overlay, settings = Overlay((Cue(0.0, 1.0, lines),)), StageSettings(theme=theme)
        ((shown, _),) = OverlayPainter(overlay, 10, settings).pieces(picture, 1)
    changed = (shown != 127).any(axis=2)
    rows, columns = changed.any(axis=1).nonzero()[0], changed.any(axis=0).nonzero()[0]
    assert rows[0] >= 0.89 * quality.height - 2
    assert rows[-1] < quality.height - 1
    assert columns[0] > 0
    assert columns[-1] < quality.width - 1
