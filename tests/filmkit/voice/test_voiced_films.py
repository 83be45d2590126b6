"""Films with a voice: it sets the time, is heard in every format, and captions follow it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import NamedTuple

import av
import click
import numpy as np
import pytest

from filmkit.commands.scene_files import find_scene
from filmkit.core.beat_records import Rehearsal
from filmkit.core.scene_entry import one_after_another
from filmkit.render.jobs import make_films
from filmkit.render.quality import Quality
from filmkit.render.request import RenderRequest
from filmkit.render.runner import rehearse
from filmkit.render.voices import timed
from filmkit.voice.choice import chosen_voice
from filmkit.voice.loudness import LOUDNESS, PEAK, measure
from filmkit.voice.sounds import RATE, Samples, pauses, read_sound, spoken_span
from tests.filmkit.words.test_captions import read
from tests.support.filming import pictures, render_request, segments
from tests.support.stand_in import LENGTHS, SHAPES, entry
from tests.support.traces import make_trace
from tests.support.voices import A_LETTER, STORY, speech_like, tone, tone_program, write_sound

SMALL = Quality(160, 90, 10)
TEXTS = {
    "opening": "A square is here, and this is all of it.",
    "turning": "It waits until red is said, and then it moves.",
    "ending": "It stays.",
}
STARTS = (0.0, 3.0, 6.2)
"""When the beats begin: the tone says 40, 46 and 9 characters, and there are 0.4 s after each."""


class Parts(NamedTuple):
    """The segments of a film: paths and inodes."""

    files: dict[Path, int]

    def new(self, before: Parts) -> int:
        """Count the pieces that were rendered since."""
        return len(self.files.items() - before.files.items())


class Project:
    """A scene in a file of its own, a voice, and a cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scene = folder / "story.py"
        self.scene.write_text(STORY)
        self.trace = folder / "trace.safetensors"
        make_trace().save(self.trace)
        self.voice = tone_program(folder)

    def request(self, **options: object) -> RenderRequest:
        plain = render_request(
            (find_scene(str(self.scene)),),
            self.trace,
            self.folder / "out",
            cache=self.folder / "cache",
            quality=SMALL,
            voice=chosen_voice(self.voice),
        )
        return replace(plain, **options)  # type: ignore[arg-type]

    def render(self, **options: object) -> Parts:
        assert make_films(self.request(**options))
        return Parts(segments(self.folder))

    def rehearsal(self) -> Rehearsal:
        spoken = timed(self.request())
        return rehearse(spoken.scenes[0], make_trace(), spoken)

    def edit(self, old: str, new: str) -> None:
        text = self.scene.read_text()
        assert old in text
        self.scene.write_text(text.replace(old, new))

    @property
    def film(self) -> Path:
        return self.folder / "out" / "story.mp4"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("story"))


@pytest.fixture
def project(shared: Project) -> Project:
    """The scene as it was at first, with a cache that holds what other tests have rendered."""
    shared.scene.write_text(STORY)
    shared.voice = tone_program(shared.folder)
    rmtree(shared.folder / "out", ignore_errors=True)
    return shared


def spoken_parts(samples: Samples) -> list[tuple[float, float]]:
    """Return when somebody speaks."""
    first, last = spoken_span(samples)
    gaps = pauses(samples)
    return list(zip([first, *(b for _, b in gaps)], [*(a for a, _ in gaps), last], strict=True))


# Time


def test_a_beat_lasts_as_long_as_its_speech(project: Project) -> None:
    beats = project.rehearsal().beats
    assert [beat.start for beat in beats] == pytest.approx(STARTS, abs=1e-6)
    for beat in beats:
        assert beat.speech
        said = beat.speech.ends - beat.speech.begins
        assert said == pytest.approx(A_LETTER * len(TEXTS[beat.name]), abs=0.13)
        # Or as its own animations and the breath after them.
        least = max(beat.speech.seconds, beat.tail - beat.start + 0.8)
        assert least - 1e-6 <= beat.end - beat.start < least + 0.2


def test_a_beat_whose_speech_ends_early_plays_to_its_end(project: Project) -> None:
    project.edit(
        "self.hold(0.3)\n\n    @beat\n    def turning", "self.hold(5)\n\n    @beat\n    def turning"
    )
    opening = project.rehearsal().beat("opening")
    assert opening.tail == pytest.approx(5.0)
    assert opening.end > 5.0


def test_a_mark_is_waited_for_until_it_is_said(project: Project) -> None:
    turning = project.rehearsal().beat("turning")
    (mark,) = turning.marks
    assert mark[0] == "red"
    assert mark[1] == pytest.approx(A_LETTER * len("It waits until"), abs=0.05)
    # 0.3 s of motion follow.
    assert turning.tail - turning.start == pytest.approx(mark[1] + 0.3, abs=0.01)


# Sound


@pytest.mark.parametrize(
    ("file_format", "codec"),
    [
        ("mp4", "aac"),
        pytest.param("mov", "aac", marks=pytest.mark.slow),
        pytest.param("webm", "opus", marks=pytest.mark.slow),
    ],
)
def test_every_format_has_the_voice(project: Project, file_format: str, codec: str) -> None:
    project.render(file_format=file_format, captions="mux")
    film = project.film.with_suffix(f".{file_format}")
    with av.open(film) as container:
        (stream,) = container.streams.audio
        assert stream.codec_context.name == codec
        assert (stream.rate, stream.channels, stream.language) == (RATE, 2, "eng")
        assert container.streams.video[0].start_time in (0, None)
        assert container.duration / 1e6 == pytest.approx(7.4, abs=0.05)
    sound = read_sound(film)
    loudness = measure(sound)
    assert loudness.integrated == pytest.approx(LOUDNESS, abs=0.3)
    assert loudness.peak < PEAK
    # The tones of the beats; the second beat has two parts, which are joined.
    said = spoken_parts(sound)
    assert [start for start, _ in said] == pytest.approx(STARTS, abs=0.05)
    for (start, end), text in zip(said, TEXTS.values(), strict=True):
        assert end - start == pytest.approx(A_LETTER * len(text), abs=0.13)
    # Faded: it comes and goes, without a click.
    first = np.flatnonzero(sound)[0]
    assert np.abs(sound[first : first + 100]).max() < 0.1
    # Captions follow the voice.
    cues = read(film.with_suffix(".vtt"))
    assert [start for start, *_ in cues] == pytest.approx([a for a, _ in said], abs=0.1)


def test_sound_lies_beside_the_pictures_of_its_time(project: Project) -> None:
    project.render()
    times = {"audio": 0.0, "video": 0.0}
    with av.open(project.film) as container:
        for packet in container.demux():
            if packet.dts is not None and packet.stream.type in times:
                times[packet.stream.type] = float(packet.dts * packet.time_base)
                assert abs(times["audio"] - times["video"]) < 0.5


def test_the_video_is_the_same_with_sound(project: Project) -> None:
    project.render()

    def packets() -> list[bytes]:
        with av.open(project.film) as film:
            return [bytes(packet) for packet in film.demux(film.streams.video[0])]

    voiced = packets()
    spoken = timed(project.request())
    # The same times, and nobody who speaks.
    assert make_films(replace(spoken, voice=None))
    with av.open(project.film) as film:
        assert not film.streams.audio
    assert packets() == voiced


@pytest.mark.slow
def test_the_same_film_again_is_the_same_file(project: Project) -> None:
    project.render()
    before = hashlib.sha256(project.film.read_bytes()).hexdigest()
    project.render()
    assert hashlib.sha256(project.film.read_bytes()).hexdigest() == before


def test_formats_without_sound_follow_the_voice(project: Project) -> None:
    project.render(file_format="png-sequence")
    assert len(list((project.folder / "out" / "story_frames").iterdir())) == 74


def test_a_single_beat_has_its_part_of_the_sound(project: Project) -> None:
    project.render()
    project.render(beat="turning")
    alone = read_sound(project.folder / "out" / "story" / "02_turning.mp4")
    whole = read_sound(project.film)[round(3.0 * RATE) : round(6.2 * RATE)]
    assert len(alone) / RATE == pytest.approx(3.2, abs=0.05)
    steady = slice(RATE // 2, RATE)
    assert np.abs(alone[steady]).max() == pytest.approx(np.abs(whole[steady]).max(), rel=0.03)


def test_of_a_single_beat_no_other_is_spoken(project: Project, tmp_path: Path) -> None:
    voice, said = chosen_voice(tone_program(tmp_path)), tmp_path / "tone.py.log"
    with pytest.raises(click.BadParameter, match="no beat of story 'nope'"):
        timed(project.request(beat="nope", voice=voice))
    assert not said.exists()
    spoken = timed(project.request(beat="end", voice=voice))
    assert spoken.speech["story"].keys() == {"ending"}
    assert said.read_text().splitlines() == [TEXTS["ending"]]


def test_a_single_beat_without_a_recording_keeps_its_timing(
    project: Project, tmp_path: Path
) -> None:
    write_sound(tmp_path / "01_opening.wav", tone(0.5))
    spoken = timed(project.request(beat="ending", voice=chosen_voice(str(tmp_path))))
    assert spoken.speech == {"story": {}}


# What is rendered again


def test_other_words_of_the_same_length_render_nothing(project: Project) -> None:
    before = project.render()
    project.edit("It stays.", "It rests.")
    assert project.render().new(before) == 0
    assert "It rests." in project.film.with_suffix(".srt").read_text()


def test_a_longer_sentence_renders_its_tail_alone(project: Project) -> None:
    before, length = project.render(), len(pictures(project.film))
    project.edit("It stays.", "It stays for some time.")
    after = project.render()
    assert after.new(before) == 1
    beats = project.rehearsal().beats
    # 23 characters and a breath take 1.8 s; before, the hold and its breath took 1.2 s.
    assert beats[-1].end == pytest.approx(8.0)
    assert len(pictures(project.film)) == length + 6


@pytest.mark.slow
def test_words_before_a_mark_render_the_beat_that_waits(project: Project) -> None:
    before = project.render()
    project.edit("It waits until [red]", "It waits here until [red]")
    assert project.render().new(before) == 2


def test_another_voice_with_the_same_times_renders_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = project.render()
    other = project.folder / "other"
    other.mkdir()
    project.voice = tone_program(other)
    monkeypatch.setenv("LEVEL", "3000")
    assert project.render().new(before) == 0
    assert (other / "tone.py.log").exists()
    assert measure(read_sound(project.film)).integrated == pytest.approx(LOUDNESS, abs=0.3)


@pytest.mark.slow
def test_without_the_voice_the_written_timing_is_back(project: Project) -> None:
    project.render()
    project.render(voice=None)
    # 10, 10 and 2 words of 0.43 s.
    assert len(pictures(project.film)) == 44 + 44 + 12


# Recordings


def test_a_folder_of_recordings(project: Project) -> None:
    folder = project.folder / "takes"
    write_sound(folder / "02_turning.flac", tone(4.0), codec="flac")
    write_sound(folder / "03_ending.mp3", speech_like([(0.0, 1.0), (1.0, 3.0)]), codec="libmp3lame")
    project.render(voice=chosen_voice(str(folder)))
    said = spoken_parts(read_sound(project.film))
    # The first beat keeps its written timing; long silences in a recording are cut.
    assert np.ravel(said) == pytest.approx([4.4, 8.4, 8.95, 9.95], abs=0.06)
    assert len(pictures(project.film)) == 44 + 44 + 22


def test_one_recording_with_a_cue_sheet(project: Project) -> None:
    take = write_sound(
        project.folder / "take.wav", speech_like([(2.0, 0.5), (1.0, 0.3), (2.0, 0.6), (1.5, 0.4)])
    )
    take.with_name("take.cues.json").write_text(
        """{"version": 1, "scene": "story", "recording": "take.wav", "beats": [
            {"name": "opening", "start": 0.0},
            {"name": "turning", "start": 2.5, "marks": {"red": 3.8}},
            {"name": "ending", "start": 6.4}]}"""
    )
    project.voice = str(take)
    beats = project.rehearsal().beats
    assert dict(beats[1].marks)["red"] == pytest.approx(1.3, abs=0.01)
    project.render()
    starts = [start for start, _ in spoken_parts(read_sound(project.film))]
    second, third = beats[1].start, beats[2].start
    assert starts == pytest.approx([0, second, second + 1.3, third], abs=0.06)


# Several scenes


@pytest.fixture
def many(tmp_path: Path) -> RenderRequest:
    trace = tmp_path / "trace.safetensors"
    make_trace().save(trace)
    takes = tmp_path / "takes"
    write_sound(takes / "scene_more" / "02_travel.wav", tone(2.0))
    return render_request(
        (SHAPES, entry("scene_more", "Shapes")),
        trace,
        tmp_path / "out",
        cache=tmp_path / "cache",
        quality=SMALL,
        joined=True,
        voice=chosen_voice(str(takes)),
    )


def test_a_film_has_one_track_and_its_chapters(many: RenderRequest) -> None:
    assert make_films(many)
    film = many.out / "film.mp4"
    length = sum(LENGTHS)
    ((start, end),) = spoken_parts(read_sound(film))
    assert (start, end) == pytest.approx((length + LENGTHS[0], length + LENGTHS[0] + 2), abs=0.05)
    with av.open(film) as container:
        assert len(container.chapters()) == 1  # of two scenes: both last eleven seconds
        assert len(container.streams.audio) == 1
        # In the second scene the beat that is spoken is longer.
        assert container.duration / 1e6 == pytest.approx(2 * length + 2.4 - LENGTHS[1], abs=0.05)


def test_of_a_short_film_only_its_beats_are_spoken(many: RenderRequest, tmp_path: Path) -> None:
    film = one_after_another([(SHAPES, ("appear",)), (many.scenes[1], ("travel",))])
    voice = chosen_voice(tone_program(tmp_path))
    assert make_films(replace(many, scenes=tuple(film), selection=film, voice=voice))
    assert (tmp_path / "tone.py.log").read_text().splitlines() == [
        "A square for made-up model.",
        "It moves.",
    ]
    said = spoken_parts(read_sound(many.out / "film.short.mp4"))
    texts = A_LETTER * np.array([27, 9])
    assert [end - start for start, end in said] == pytest.approx(texts, abs=0.13)


# Failures


def test_a_voice_that_fails_leaves_no_film(
    project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    project.edit("It stays.", "It fails.")
    monkeypatch.setenv("FAIL_AT", "fails")
    capfd.readouterr()
    assert not make_films(project.request())
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("Error: story: in beat ending: ")
    assert "exit code 1: out of breath" in line
    assert not project.film.exists()
    assert not list((project.folder / "out").glob("*"))
