"""Programs that speak: parts between marks, joints, the store, and failures."""

from __future__ import annotations

import shlex
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from filmkit.core.language import use_language
from filmkit.voice.choice import chosen_voice
from filmkit.voice.clips import Clip
from filmkit.voice.errors import VoiceError
from filmkit.voice.recordings import Folder, Recording
from filmkit.voice.sounds import RATE, pauses, read_sound, spoken_span, write_wav
from filmkit.voice.speaking import CHAIN, Piper, Program, joined, parts_of
from tests.support.pages import blocks_of
from tests.support.voices import (
    A_LETTER,
    NoStore,
    record,
    scene_text,
    speech_like,
    tone,
    tone_program,
    write_sound,
)

TEXT = "It waits until red is said, and then it moves."
RED = TEXT.index("red")


class Kept:
    """Keeps sounds in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, key: str) -> Path | None:
        path = self.folder / f"{key}.kept"
        return path if path.exists() else None

    def put(self, key: str, made: Path) -> None:
        (self.folder / f"{key}.kept").write_bytes(made.read_bytes())


def log(folder: Path) -> list[str]:
    """Return what the stand-in has said."""
    path = folder / "tone.py.log"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize(
    ("text", "marked", "parts"),
    [
        ("One part.", {}, [(0, "One part.")]),
        (
            "Two parts. And “this.” Is 2.5!",
            {},
            [(0, "Two parts."), (11, "And “this.”"), (23, "Is 2.5!")],
        ),
        (
            "Zwei Teile. „Und der.“ Das ist 2,5!",
            {},
            [(0, "Zwei Teile."), (12, "„Und der.“"), (23, "Das ist 2,5!")],
        ),
        (TEXT, {"red": RED}, [(0, "It waits until"), (RED, TEXT[RED:])]),
        ("Red is first.", {"red": 0}, [(0, "Red is first.")]),
        ("At the end.", {"the": 3, "end": 7}, [(0, "At"), (3, "the"), (7, "end.")]),
        ("“Red”, he said.", {"red": 1}, [(1, "Red”, he said.")]),
        ("He said red ...", {"red": 8, "dots": 12}, [(0, "He said"), (8, "red ...")]),
    ],
)
def test_parts_begin_at_marks_and_sentences(
    text: str, marked: dict[str, int], parts: list[tuple[int, str]]
) -> None:
    assert parts_of(record(text, **marked)) == parts


def test_parts_are_joined_without_a_gap_and_marks_are_where_they_begin() -> None:
    sounds = [speech_like([(0.0, 0.2), (1.0, 0.3)]), speech_like([(0.0, 0.25), (2.0, 0.5)])]
    clip = joined(record(TEXT, red=RED), sounds)
    assert pauses(clip.samples, 0.05) == []
    assert clip.speech.time_at(RED, len(TEXT)) == pytest.approx(1.0, abs=0.05)
    assert (clip.speech.begins, clip.speech.ends) == pytest.approx((0.0, 3.0), abs=0.08)
    assert clip.speech.seconds == pytest.approx(len(clip.samples) / RATE)
    assert clip.speech.seconds > clip.speech.ends + 0.3, "a breath before the next beat"


def test_a_sentence_that_ends_before_a_mark_has_its_pause() -> None:
    clip = joined(record("It stays. Red moves.", red=10), [tone(1.0), tone(1.0)])
    ((start, end),) = pauses(clip.samples)
    assert start == pytest.approx(1.0, abs=0.05)
    assert clip.speech.time_at(10, 20) == pytest.approx(end, abs=0.02)
    assert clip.speech.time_at(9, 20) == pytest.approx(start, abs=0.02)


def speak(voice: Program, folder: Path, *texts: str) -> dict[str, Clip]:
    beats = [record(text, f"beat_{number}") for number, text in enumerate(texts)]
    return voice.speak(scene_text(*beats), Kept(folder), lambda line: None)


def program(folder: Path) -> Program:
    voice = chosen_voice(tone_program(folder))
    assert isinstance(voice, Program)
    return voice


def test_a_program_speaks_each_text_once(tmp_path: Path) -> None:
    voice = program(tmp_path)
    first = speak(voice, tmp_path, "One.", "Two, and more.")
    assert log(tmp_path) == ["One.", "Two, and more."]
    length = first["beat_1"].speech.ends - first["beat_1"].speech.begins
    assert length == pytest.approx(A_LETTER * len("Two, and more."), abs=0.03)
    again = speak(voice, tmp_path, "One.", "Other words.")
    assert log(tmp_path)[2:] == ["Other words."]
    assert again["beat_0"].speech == first["beat_0"].speech
    assert np.array_equal(again["beat_0"].samples, first["beat_0"].samples)


def test_a_program_gets_words_it_can_say(tmp_path: Path) -> None:
    speak(program(tmp_path), tmp_path, "It’s 4 × “{out}”.", "Das ist „{out}“.")
    assert log(tmp_path) == ['It\'s 4 times "{out}".', 'Das ist "{out}".']


def test_a_program_gets_signs_in_the_words_of_the_language(tmp_path: Path) -> None:
    """Also where it has said the same text in another language before."""
    speak(program(tmp_path), tmp_path, "4 × −3")
    with use_language("de"):
        speak(program(tmp_path), tmp_path, "4 × −3")
    assert log(tmp_path) == ["4 times minus 3", "4 mal minus 3"]


def test_a_program_that_fails_in_the_middle_is_named_and_the_rest_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = program(tmp_path)
    monkeypatch.setenv("FAIL_AT", "Two")
    with pytest.raises(VoiceError) as error:
        speak(voice, tmp_path, "None.", "One. Two.", "Three.")
    message = str(error.value)
    assert "in beat beat_1" in message
    assert "exit code 1: out of breath" in message
    assert log(tmp_path) == ["None.", "One.", "Two."]
    monkeypatch.delenv("FAIL_AT")
    speak(voice, tmp_path, "None.", "One. Two.", "Three.")
    assert log(tmp_path)[3:] == ["Two.", "Three."]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("pass", "wrote no sound for “One.”"),
        ("import sys; open(sys.argv[2], 'w').write('x')", "; try it by itself"),
        ("import sys, shutil; shutil.copy('silent.wav', sys.argv[2])", "is silent"),
    ],
)
def test_a_program_that_writes_no_speech(
    code: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_wav(tmp_path / "silent.wav", np.zeros(RATE, np.float32))
    voice = Program((sys.executable, "-c", code, "{text}", "{out}"))
    with pytest.raises(VoiceError, match=words) as error:
        voice.speak(scene_text(record("One.")), NoStore(), lambda line: None)
    assert "in beat a_beat" in str(error.value)


def test_a_program_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filmkit.voice.speaking.TIME_LIMIT", 0.2)
    voice = Program((sys.executable, "-c", "import time; time.sleep(60)", "{text}", "{out}"))
    with pytest.raises(VoiceError, match="has not finished"):
        voice.speak(scene_text(record("One.")), NoStore(), lambda line: None)


# What a user may name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nowhere", "neither a folder"),
        ("", "neither a folder"),
        ("no-such-program {text} {out}", "no program no-such-program"),
        ("echo {text}", "no {out}"),
        ("{text} {out}", "no {text} after"),
        ("echo '{text} {out}", "is not a command"),
        ("piper:nowhere.onnx", "no voice nowhere.onnx"),
        ("piper:", "names no voice: give piper, or piper:VOICE.onnx"),
        ("notes.txt", "is not a recording"),
    ],
)
def test_what_is_no_voice(
    text: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match=words):
        chosen_voice(text)


def test_what_is_a_voice(tmp_path: Path) -> None:
    take = write_sound(tmp_path / "take.wav", tone(0.2))
    assert chosen_voice(str(tmp_path)) == Folder(tmp_path)
    assert chosen_voice(str(take)) == Recording(take)
    assert chosen_voice("echo -w {out} '{text}'") == Program(("echo", "-w", "{out}", "{text}"))


def test_without_piper_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filmkit.voice.choice.find_spec", lambda name: None)
    with pytest.raises(VoiceError, match=r"pip install -e '\.\[voice\]'"):
        chosen_voice("piper")


def test_no_code_of_piper_is_imported() -> None:
    script = (
        "import sys\nfrom filmkit.voice.choice import chosen_voice\n"
        "try: chosen_voice('piper')\nexcept Exception: pass\n"
        "print({'piper', 'onnxruntime'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "set()\n"


@pytest.mark.slow
@pytest.mark.skipif(find_spec("piper") is None, reason="needs the extra [voice]")
def test_the_page_says_how_to_get_a_voice_of_piper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [each.line for block in blocks_of("docs/voice.md") for each in block.commands()]
    (getting,) = (line for line in lines if "download_voices" in line)
    module, *arguments = shlex.split(getting)[2:]
    downloads, got = import_module(module), []
    monkeypatch.setattr(
        downloads,
        "download_voice",
        lambda voice, folder, **_: got.append(f"piper:{(folder / voice).as_posix()}.onnx"),
    )
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    monkeypatch.chdir(tmp_path)
    downloads.main()
    assert [line.split()[-1] for line in lines if "--voice piper:" in line] == got


@pytest.mark.skipif(find_spec("piper") is None, reason="needs the extra [voice]")
def test_piper_speaks(tmp_path: Path) -> None:
    voice = chosen_voice("piper")
    assert isinstance(voice, Piper)
    lines: list[str] = []
    said = scene_text(record(TEXT, red=RED))
    clip = voice.speak(said, Kept(tmp_path), lines.append)["a_beat"]
    assert lines[0] == CHAIN
    assert 2.0 < clip.speech.ends < 5.0
    red = clip.speech.time_at(RED, len(TEXT))
    assert 0.2 * clip.speech.ends < red < 0.5 * clip.speech.ends
    # At the joint two words follow each other as inside a part.
    assert not any(start < red + 0.05 and end > red - 0.05 for start, end in pauses(clip.samples))
    other = tmp_path / "other"
    other.mkdir()
    again = voice.speak(said, Kept(other), lines.append)["a_beat"]
    assert again.speech.seconds == pytest.approx(clip.speech.seconds, abs=0.1)
    assert len(list(tmp_path.glob("*.kept"))) == 2
    assert spoken_span(read_sound(next(tmp_path.glob("*.kept"))))[1] > 0.3
