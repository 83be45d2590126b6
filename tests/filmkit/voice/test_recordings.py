"""Folders of recordings: which file is of which beat, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from filmkit.voice.clips import Clip, SceneText
from filmkit.voice.errors import VoiceError
from filmkit.voice.recordings import Folder, Recording
from tests.support.voices import NoStore, record, scene_text, speech_like, tone, write_sound

STORY = scene_text(
    record("It begins.", "opening"), record("It ends. All is well.", "ending"), more=["rotation"]
)


def speak(folder: Path, text: SceneText = STORY) -> dict[str, Clip]:
    return Folder(folder).speak(text, NoStore(), lambda line: None)


def test_files_are_of_the_beats_that_they_name(tmp_path: Path) -> None:
    write_sound(tmp_path / "07_ending.wav", speech_like([(0.4, 0.4), (0.8, 0.0)]))
    write_sound(tmp_path / "1_opening.ogg", tone(0.5), codec="libopus")
    write_sound(tmp_path / "03_rotation.wav", tone(0.5))
    for name in ("opening", "09_openin", "10_unknown"):
        write_sound(tmp_path / f"{name}.wav", tone(0.5))
    (tmp_path / "notes.txt").touch()
    (tmp_path / "02_ending.txt").touch()
    told: list[str] = []
    clips = Folder(tmp_path).speak(STORY, NoStore(), told.append)
    # A name without a number is easily a mistake.
    assert told == [
        f"{tmp_path}/09_openin.wav is not used; story has no beat openin: did you mean opening?",
        f"{tmp_path}/10_unknown.wav is not used; story has no beat unknown: --list shows its beats",
        f"{tmp_path}/opening.wav is not used; name it NN_BEAT.wav if it is of a beat",
    ]
    assert list(clips) == ["opening", "ending"]
    ending = clips["ending"].speech
    # The pause is between the sentences.
    assert (ending.time_at(8, 21), ending.time_at(9, 21)) == pytest.approx((0.4, 0.8), abs=0.03)


def test_a_recording_of_a_former_beat_is_not_used(tmp_path: Path) -> None:
    """A beat of another name has other words, so a recording of the old one does not fit."""
    write_sound(tmp_path / "01_opening.wav", tone(0.5))
    write_sound(tmp_path / "02_morning.wav", tone(0.5))
    told: list[str] = []
    text = replace(STORY, former_beats={"morning": "story/opening"})
    assert list(Folder(tmp_path).speak(text, NoStore(), told.append)) == ["opening"]
    assert told == [
        f"{tmp_path}/02_morning.wav is not used; story has no beat morning any more: "
        "story/opening shows it now"
    ]


def test_scenes_have_folders_of_their_own(tmp_path: Path) -> None:
    write_sound(tmp_path / "story" / "01_opening.wav", tone(0.5))
    write_sound(tmp_path / "02_ending.wav", tone(0.5))
    assert list(speak(tmp_path)) == ["opening"]
    both = scene_text(*STORY.beats, alone=False)
    assert list(speak(tmp_path, both)) == ["opening"]
    (tmp_path / "story" / "01_opening.wav").unlink()
    (tmp_path / "story").rmdir()
    assert speak(tmp_path, both) == {}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["01_unknown.wav"], "holds no recording of story; name them NN_BEAT.wav"),
        (["01_opening.wav", "02_opening.flac"], "are for the same beat; remove one"),
        (["01_opening.aiff"], "is not in a format for recordings; save it as .wav"),
        (["notes.txt"], "holds no recording of story; name them NN_BEAT.wav"),
        (["story.wav"], "has no cue sheet story.cues.json"),
    ],
)
def test_what_is_refused(files: list[str], words: str, tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(VoiceError) as error:
        speak(tmp_path)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_bad_recording_is_named(tmp_path: Path) -> None:
    write_sound(tmp_path / "01_opening.wav", np.zeros(48_000, np.float32))
    with pytest.raises(VoiceError, match=r"01_opening\.wav is silent"):
        speak(tmp_path)


def test_long_silences_at_the_ends_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "01_opening.wav"
    write_sound(path, speech_like([(0.0, 2.0), (1.0, 3.0)]))
    speech = speak(tmp_path)["opening"].speech
    assert (speech.begins, speech.ends, speech.seconds) == pytest.approx(
        (0.15, 1.15, 2.15), abs=0.03
    )
    write_sound(path, tone(1.0))
    speech = speak(tmp_path)["opening"].speech
    assert (speech.begins, speech.ends, speech.seconds) == pytest.approx((0.0, 1.0, 1.4), abs=0.03)


def test_a_sheet_of_another_scene(tmp_path: Path) -> None:
    take = write_sound(tmp_path / "take.wav", tone(1.0))
    sheet = '{"version": 1, "scene": "scene_other", "recording": "take.wav", "beats": []}'
    (tmp_path / "take.cues.json").write_text(sheet)
    with pytest.raises(VoiceError, match="is about scene_other, not story"):
        Recording(take).speak(STORY, NoStore(), lambda line: None)
    several = scene_text(*STORY.beats, alone=False)
    assert Recording(take).speak(several, NoStore(), lambda line: None) == {}
