"""Notes on where the numbers come from: drawn into films, and no part of what a scene draws."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from manim import DOWN, Square
from PIL import Image

from filmkit.commands.scene_files import find_scene
from filmkit.core.beat_records import BeatRecord
from filmkit.core.stage import Stage, beat, notes_at_top
from filmkit.core.stage_settings import StageSettings
from filmkit.render import overlay as drawn_over
from filmkit.render.jobs import make_films, make_stills, render_session
from filmkit.render.movie import read_master
from filmkit.render.overlay import (
    FADE_SECONDS,
    NOTE_SECONDS,
    NOTHING,
    Note,
    Overlay,
    OverlayPainter,
    film_overlays,
    overlay_digest,
)
from filmkit.render.quality import QUALITIES, Quality
from filmkit.render.runner import manim_config
from tests.support.filming import pictures, render_request, segments
from tests.support.stand_in import entry
from tests.support.traces import make_trace

HERE, THERE, NOWHERE = ("here", ""), ("there", "not all is drawn"), ("", "")
RATE = 10
SMALL = Quality(320, 180, RATE)
TOP = 20  # height of the strip at the top that holds the notes, in pixels


def record(name: str, length: float, notes: tuple[str, str], start: float = 0.0) -> BeatRecord:
    """Return the record of a beat whose own animations take a second."""
    said = "Some words are said."
    return BeatRecord(name, said, start, start + length, tail=start + 1.0, notes=notes)


def story(*beats: tuple[float, tuple[str, str]]) -> list[BeatRecord]:
    """Return records of beats that follow each other, given their lengths and notes."""
    records: list[BeatRecord] = []
    for number, (length, notes) in enumerate(beats):
        start = records[-1].end if records else 0.0
        records.append(record(f"beat_{number}", length, notes, start))
    return records


def shown(records: list[BeatRecord], **options: object) -> list[dict[tuple[str, str], float]]:
    """Return which notes a film shows at each tenth of a second, and how strongly."""
    overlays = film_overlays(records, SMALL, with_captions=False, **options)  # type: ignore[arg-type]
    frames = []
    for beat_record in records:
        for tail in (False, True):
            length = beat_record.end - beat_record.tail if tail else 1.0
            for frame in range(round(length * RATE)):
                time = frame / RATE
                notes = overlays[beat_record.name, tail].notes
                strengths = {note.texts: note.strength(time) for note in notes}
                frames.append({text: value for text, value in strengths.items() if value > 0})
    return frames


def when(frames: list[dict[tuple[str, str], float]], texts: tuple[str, str]) -> tuple[float, float]:
    """Return from when to when some notes are shown, in seconds."""
    times = [frame / RATE for frame, notes in enumerate(frames) if texts in notes]
    assert times == pytest.approx([times[0] + i / RATE for i in range(len(times))]), "in one piece"
    return times[0], times[-1] + 1 / RATE


def test_a_note_is_shown_for_four_seconds_when_it_becomes_true() -> None:
    frames = shown(story((3.0, HERE), (3.0, HERE), (3.0, HERE)))
    start, end = when(frames, HERE)
    assert start <= 0.1 + 1e-9
    assert end == pytest.approx(NOTE_SECONDS, abs=0.11)
    assert NOTE_SECONDS == 4.0
    assert not any(frames[41:])


def test_a_note_that_changes_is_shown_again_and_the_old_one_has_gone_by_then() -> None:
    frames = shown(story((2.0, HERE), (6.0, THERE), (2.0, HERE)))
    assert when(frames[:80], HERE) == pytest.approx((0.1, 2.0), abs=0.11)
    assert when(frames, THERE) == pytest.approx((2.1, 6.0), abs=0.11)
    assert when(frames[80:], HERE) == pytest.approx((0.1, 2.0), abs=0.11)
    assert all(len(notes) <= 1 for notes in frames)


def test_what_is_not_true_any_more_goes_even_if_nothing_takes_its_place() -> None:
    frames = shown(story((2.0, HERE), (3.0, NOWHERE), (3.0, HERE)))
    assert not any(frames[20:50])
    assert when(frames[50:], HERE)[0] == pytest.approx(0.1, abs=0.11)


def test_a_film_that_goes_on_does_not_repeat_the_note_of_the_scene_before() -> None:
    assert not any(shown(story((3.0, HERE)), shown=HERE))
    assert any(shown(story((3.0, HERE)), shown=THERE))


def test_notes_may_stay() -> None:
    frames = shown(story((2.0, HERE), (6.0, THERE)), always=True)
    assert frames[:20] == [{HERE: 1.0}] * 20
    assert frames[20:] == [{THERE: 1.0}] * 60


def test_notes_fade_in_and_out() -> None:
    note = Note(1.0, 5.0, HERE)
    times = np.linspace(0, 6, 601)
    strengths = [note.strength(time) for time in times]
    assert [note.strength(t) for t in (0, 1, 5, 6)] == [0, 0, 0, 0]
    assert [note.strength(1 + FADE_SECONDS), note.strength(3)] == pytest.approx([1, 1])
    assert note.strength(1 + FADE_SECONDS / 2) == pytest.approx(0.5)
    assert max(np.abs(np.diff(strengths))) < 0.03
    assert Note(-math.inf, math.inf, HERE).strength(0.0) == 1


def test_captions_run_on_from_a_beat_into_its_tail() -> None:
    long = replace(record("one", 8.0, NOWHERE), narration="One sentence here. " * 4)
    overlays = film_overlays([long], SMALL, with_captions=True)
    own, tail = overlays["one", False].cues, overlays["one", True].cues
    assert own[0].start == 0
    assert own[-1].lines == tail[0].lines
    # In the tail's own time, which begins when the beat has played for a second.
    assert own[-1].end == pytest.approx(tail[0].end + 1.0)
    assert tail[-1].end == pytest.approx(7.0)
    assert film_overlays([long], SMALL, with_captions=False)["one", True] == NOTHING


def test_what_is_drawn_is_part_of_the_name_of_its_file() -> None:
    overlay = Overlay(notes=(Note(0.0, 4.0, HERE),))
    digests = {
        overlay_digest(overlay, StageSettings()),
        overlay_digest(overlay, StageSettings(theme="light")),
        overlay_digest(Overlay(notes=(Note(0.0, 4.0, THERE),)), StageSettings()),
        overlay_digest(Overlay(notes=(Note(-1.0, 3.0, HERE),)), StageSettings()),
    }
    assert len(digests) == 4
    assert overlay_digest(overlay, StageSettings()) in digests


def test_a_picture_that_is_held_is_drawn_again_only_while_a_note_comes_or_goes() -> None:
    picture = np.zeros((480, 854, 3), np.uint8)
    overlay = Overlay(notes=(Note(0.0, 4.0, HERE),))
    with manim_config(QUALITIES["draft"]):
        runs = list(OverlayPainter(overlay, 15, StageSettings()).pieces(picture, 90))
    assert sum(count for _, count in runs) == 90
    # 5 frames of fading in after one without it, a still one, 5 of fading out, and a still one.
    assert max(count for _, count in runs[2:-2]) > 40
    assert len(runs) < 20
    brightness = [int(drawn.max()) for drawn, _ in runs]
    assert brightness[0] == brightness[-1] == 0
    assert max(brightness) > 100
    assert not picture.any()


# In files


class Noted(Stage):
    """Says where its numbers come from, and in the last of its beats something else."""

    tensors = ("x",)
    elsewhere = False

    def provenance_notes(self) -> tuple[str, str]:
        return ("somewhere else", "") if self.elsewhere else super().provenance_notes()

    @beat
    def first(self) -> None:
        """These are words, some of which are said in a tail of five seconds."""
        self.add(Square())
        self.hold(0.5)

    @beat
    def second(self) -> None:
        """Still here."""
        self.hold(0.5)

    @beat
    def third(self) -> None:
        """Elsewhere."""
        self.elsewhere = True
        self.hold(0.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a film of the scene, its stills, and the cache."""
    folder = tmp_path_factory.mktemp("noted")
    make_trace().save(folder / "trace.safetensors")
    assert make_films(request_in(folder))
    assert make_stills(request_in(folder), "all")
    return folder


def request_in(folder: Path, **options: object):  # type: ignore[no-untyped-def]
    scene = replace(entry("scene_noted", "Noted"), module=__name__)
    plain = {"out": folder, "cache": folder / "cache", "quality": SMALL}
    return render_request((scene,), folder / "trace.safetensors", **plain | options)


def is_noted(frames: npt.NDArray[np.int_]) -> list[bool]:
    """Return for each frame whether there is something at its top."""
    return [int(frame[:TOP].max()) > 60 for frame in frames]


def test_a_film_shows_notes_when_they_change(folder: Path) -> None:
    noted = is_noted(pictures(folder / "scene_noted.mp4"))
    # 14 words of 0.43 s, then 1.4 s and 1.4 s: the note changes with the third beat.
    first, third = 62, 62 + 14
    assert len(noted) == third + 14
    assert all(noted[3:37])
    assert not any(noted[42:third])
    assert all(noted[third + 3 :][:8])
    assert first > 42


def test_how_notes_are_drawn_is_part_of_a_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are drawn by code that no part of a beat depends on."""
    noted = Overlay(notes=(Note(0.0, 4.0, HERE),))
    before = overlay_digest(noted, StageSettings())
    monkeypatch.setattr(drawn_over, "notes_at_top", lambda *of: notes_at_top(*of).shift(0.1 * DOWN))
    drawn_over._note_key.cache_clear()
    try:
        assert overlay_digest(noted, StageSettings()) != before
    finally:
        drawn_over._note_key.cache_clear()


def test_masters_have_no_notes(folder: Path, tmp_path: Path) -> None:
    """Each film that is made of the same masters has its own notes drawn on its frames."""
    request = request_in(folder, file_format="png-sequence", cache=tmp_path, out=tmp_path)
    assert make_films(request)
    masters = [*tmp_path.rglob("*.master.mov")]
    assert len(masters) == 3, "parts that look the same are drawn once"
    for master in masters:
        for picture, _ in read_master(master, RATE):
            assert picture[:TOP].max() == 0, master
    assert any(is_noted(np.asarray(Image.open(p))[None])[0] for p in tmp_path.rglob("0*.png"))


def test_stills_have_notes(folder: Path) -> None:
    stills = sorted((folder / "scene_noted").glob("*.png"))
    assert is_noted(np.stack([np.asarray(Image.open(path)) for path in stills])) == [True] * 3


@pytest.mark.slow
def test_a_film_of_one_picture_has_notes_too(folder: Path, tmp_path: Path) -> None:
    """It is the picture at which the film ends, where a film shows none."""
    request = request_in(folder, file_format="png", beat="second", out=tmp_path)
    assert make_films(request)
    picture = np.asarray(Image.open(tmp_path / "scene_noted" / "02_second.png"))
    still = np.asarray(Image.open(folder / "scene_noted" / "02_second.png"))
    assert is_noted(picture[None]) == [True]
    assert np.abs(picture[..., :3].astype(int) - still[..., :3]).max() <= 2


def test_notes_stay_where_each_beat_is_shown_by_itself(folder: Path) -> None:
    request = request_in(folder, calm=True)
    with render_session(request, single=True) as session:
        (plan,) = session.plans.values()
        files = list(session.part_files(plan, folder / "deck.html"))
        assert len(files) == 6
        assert all(all(is_noted(pictures(file))) for file in files)


def test_other_notes_draw_again_what_they_stand_over(tmp_path: Path) -> None:
    code = """
from manim import Square
from filmkit import Stage, beat

class Mine(Stage):
    tensors = ("x",)

    def provenance_notes(self):
        return "from one place", ""

    @beat
    def only(self):
        '''Words.'''
        self.add(Square())
        self.hold(0.3)

    @beat
    def other(self):
        '''Other words, for so long that the notes have gone.'''
        self.hold(5.0)
"""
    scene, trace_file = tmp_path / "mine.py", tmp_path / "trace.safetensors"
    make_trace().save(trace_file)

    def render() -> dict[Path, int]:
        request = render_request(
            (find_scene(str(scene)),), trace_file, tmp_path, cache=tmp_path / "cache"
        )
        assert make_films(request)
        return segments(tmp_path / "cache")

    scene.write_text(code)
    before, film = render(), (tmp_path / "mine.mp4").read_bytes()
    scene.write_text(code.replace("from one place", "from another one"))
    after = render()
    assert len(before) == 4
    assert len(after.items() - before.items()) == 3, "all but the last part"
    assert (tmp_path / "mine.mp4").read_bytes() != film
