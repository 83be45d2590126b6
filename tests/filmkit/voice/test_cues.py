"""Cue sheets: proposed from pauses, taken by key presses, read back, and refused."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from filmkit.core.beat_records import BeatRecord
from filmkit.core.language import use_language
from filmkit.core.line_breaks import sentences
from filmkit.voice import cueing, microphone
from filmkit.voice.cues import (
    BeatCue,
    CueSheet,
    cut,
    moved_to_words,
    pressed_cues,
    propose,
    read_cues,
    sheet_beside,
    to_json,
)
from filmkit.voice.errors import VoiceError
from filmkit.voice.matching import known_places
from filmkit.voice.sounds import RATE, Samples, read_sound, samples_in
from tests.support.calling import Calling, assert_one_line, calling
from tests.support.traces import make_trace
from tests.support.voices import STORY, record, scene_text, speech_like, tone, write_sound

__all__ = ["calling"]

FIRST = "A first sentence is said. Then there is one more."
LAST = "The last of these beats has many words, and red is one."
SECOND, MORE, LENGTH = FIRST.index("Then"), FIRST.index("more"), len(FIRST)
BEATS = (
    record(FIRST, "opening", more=MORE),
    record("Short.", "middle"),
    record(LAST, "ending", red=LAST.index("red")),
)
# The same with 0.06 s for a character: long pauses between beats, short ones inside.
TAKE = speech_like([(1.5, 0.3), (1.4, 0.6), (0.4, 0.7), (2.3, 0.25), (0.9, 0.5)])
STARTS = (0.0, 3.8, 4.9)


def sheet(*cues: BeatCue) -> CueSheet:
    return CueSheet("story", "take.wav", cues)


# Proposals


def test_proposed_beats_begin_after_the_pauses_between_them() -> None:
    cues = propose(TAKE, BEATS)
    assert [cue.name for cue in cues] == ["opening", "middle", "ending"]
    assert [cue.start for cue in cues] == pytest.approx(STARTS, abs=0.03)
    # Between the beginning and the end of the second sentence.
    share = (MORE - SECOND) / (LENGTH - SECOND)
    assert cues[0].marks["more"] == pytest.approx(1.8 + 1.4 * share, abs=0.03)
    assert 6.5 < cues[2].marks["red"] < 8.5


def test_too_few_pauses() -> None:
    with pytest.raises(VoiceError, match="has 0 pauses, and 3 beats need 2"):
        propose(tone(3.0), BEATS)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One.", ["One."]),
        ("Is it 2.5? “Yes.” It is!", ["Is it 2.5?", "“Yes.”", "It is!"]),
        ("No end", ["No end"]),
        ("", []),
        (
            "«\u00a0Qui\u202f?\u00a0» Elle\u00a0: la clé.",
            ["«\u00a0Qui\u202f?\u00a0»", "Elle\u00a0: la clé."],
        ),
        ("键。值？“查询！”词元 3.5 个", ["键。", "值？", "“查询！”", "词元 3.5 个"]),
    ],
)
def test_sentences(text: str, parts: list[str]) -> None:
    assert [text[start:end] for start, end in sentences(text)] == parts


def test_clauses_and_sentences_are_where_the_pauses_are() -> None:
    text = "Left, one; right, two. It ends."
    sound = speech_like([(0.3, 0.15), (0.3, 0.2), (0.35, 0.15), (0.3, 0.5), (0.6, 0.2)])
    places = known_places(sound, text)
    starts = {text.index(word): places[text.index(word)] for word in ("one", "right", "two", "It")}
    assert list(starts.values()) == pytest.approx([0.45, 0.95, 1.45, 2.25], abs=0.03)
    assert places[text.index("; right") + 1] == pytest.approx(0.75, abs=0.03)
    # Without its comma's pause a sentence has no places inside.
    assert known_places(speech_like([(1.5, 0.5), (0.6, 0.2)]), text).keys() == {22, 23}
    assert known_places(tone(2.0), text) == {}


# Files


def test_a_sheet_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = sheet_beside(tmp_path / "take.wav")
    written = sheet(BeatCue("opening", 0.5, {"more": 1.25}), BeatCue("ending", 3.0, end=4.5))
    path.write_text(to_json(written))
    assert path.name == "take.cues.json"
    assert read_cues(path) == written


def whole(**changes: Any) -> str:
    """Return the content of a cue sheet that is good but for some changes."""
    beats = [{"name": "opening", "start": 0}]
    good = {"version": 1, "scene": "story", "recording": "take.wav", "beats": beats}
    return json.dumps(good | changes)


def first(**changes: Any) -> str:
    """Return the content of a cue sheet that is good but for its only beat."""
    return whole(beats=[{"name": "opening", "start": 0} | changes])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not a cue sheet"),
        ("[]", "is not a cue sheet"),
        ('{"version": 2}', "of version 2"),
        ("5", "it should be an object, not 5"),
        ("[" * 100_000, "is not a cue sheet"),
        (whole(beats=[{}]), "'name'"),
        (whole(beats={}), "beats should be a list, not {}"),
        (whole(beats=[5]), "beat 1 should be an object, not 5"),
        (first(name=5), "beat 1's 'name' should be text, not 5"),
        (whole(scene=None), "scene should be text, not None"),
        (whole(recording=5), "recording should be text, not 5"),
        (first(start="x"), "beat 1's 'start' should be a finite number, not 'x'"),
        (first(start=True), "beat 1's 'start' should be a finite number, not True"),
        (first(start=10**400), "beat 1's 'start' should be a finite number, not 1000"),
        (first(end=math.nan), "beat 1's 'end' should be a finite number, not nan"),
        (first(marks=[1]), "beat 1's 'marks' should be an object, not [1]"),
        (first(marks={"m": None}), "beat 1's 'm' should be a finite number, not None"),
        (whole(recording="../take.wav"), "name it without a folder"),
        (whole(recording="/take.wav"), "name it without a folder"),
        (whole(recording="..\\take.wav"), "name it without a folder"),
        (whole(recording="C:take.wav"), "name it without a folder"),
    ],
)
def test_what_is_no_sheet(content: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "take.cues.json"
    path.write_text(content)
    with pytest.raises(VoiceError) as error:
        read_cues(path)
    assert words in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("cues", "words"),
    [
        ([], "take.cues.json has no beats; make it with render.py cue"),
        ([BeatCue("opning", 0.0)], "beat opning: story has no such beat; correct its name"),
        ([BeatCue("morning", 0.0)], "story has no such beat; story/opening shows it now"),
        ([BeatCue("opening", 0.0), BeatCue("opening", 3.0)], "it is there twice"),
        ([BeatCue("opening", 3.0), BeatCue("middle", 1.0)], "3 s to 1 s is not a part"),
        ([BeatCue("opening", 0.0), BeatCue("middle", 99.0)], "which lasts 8."),
        ([BeatCue("opening", 0.0, end=99.0)], "which lasts 8."),
        ([BeatCue("opening", -1.0)], "-1 s"),
        ([BeatCue("opening", 0.0, {"blue": 1.0})], "no mark [blue]"),
        ([BeatCue("opening", 1.0, {"more": 0.5})], "not in the order of its words"),
    ],
)
def test_cues_that_do_not_fit(cues: list[BeatCue], words: str) -> None:
    with pytest.raises(VoiceError) as error:
        text = replace(scene_text(*BEATS), former_beats={"morning": "story/opening"})
        cut(TAKE, sheet(*cues), text, Path("take.cues.json"))
    assert words in str(error.value)


def test_a_recording_is_cut_at_its_cues() -> None:
    cues = [BeatCue("opening", 0.0, {"more": 2.5}, 3.4), BeatCue("ending", 4.9, end=8.4)]
    clips = cut(TAKE, sheet(*cues), scene_text(*BEATS), Path("take.cues.json"))
    assert list(clips) == ["opening", "ending"]
    opening = clips["opening"].speech
    assert opening.time_at(MORE, LENGTH) == pytest.approx(2.5, abs=0.01)
    # The first sentence ends at the pause.
    assert opening.time_at(SECOND - 1, LENGTH) == pytest.approx(1.5, abs=0.03)
    assert opening.time_at(SECOND, LENGTH) == pytest.approx(1.8, abs=0.03)


def test_a_beat_that_is_not_played_is_skipped() -> None:
    text = scene_text(*BEATS, more=["rotation"])
    cues = sheet(BeatCue("rotation", 0.0), BeatCue("ending", 4.9))
    assert list(cut(TAKE, cues, text, Path("take.cues.json"))) == ["ending"]


# Key presses


def test_presses_become_cues() -> None:
    times = iter([0.2, 2.6, 3.7, 5.1, 7.7])
    asked: list[str] = []

    def press(prompt: str) -> float:
        asked.append(prompt)
        return next(times)

    cues = pressed_cues(BEATS, press, lambda line: None)
    assert asked[1] == "Enter at “more.”"
    assert asked[3] == "Enter at “The last of these …”"
    assert [cue.start for cue in cues] == [0.2, 3.7, 5.1]
    assert cues[0].marks == {"more": 2.6}
    # A finger is never exact; words begin after pauses.
    assert [cue.start for cue in moved_to_words(cues, TAKE)] == pytest.approx(STARTS, abs=0.03)
    far = moved_to_words([BeatCue("ending", 6.5)], TAKE)
    assert far[0].start == 6.5


def test_marks_stay_inside_their_beat_when_its_beginning_is_moved() -> None:
    early_and_late = [
        BeatCue("opening", 0.2, {"more": 4.0}),
        BeatCue("middle", 4.05),
        BeatCue("ending", 4.6, {"red": 4.65}),
    ]
    first, second, third = moved_to_words(early_and_late, TAKE)
    assert first.marks["more"] == second.start == pytest.approx(STARTS[1], abs=0.03)
    assert third.marks["red"] == third.start == pytest.approx(STARTS[2], abs=0.03)
    assert cut(TAKE, sheet(first, second, third), scene_text(*BEATS), Path("take.cues.json"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a scene, a trace and a recording of it."""
    (tmp_path / "story.py").write_text(STORY)
    make_trace().save(tmp_path / "trace.safetensors")
    write_sound(tmp_path / "take.wav", speech_like([(2.0, 0.5), (2.5, 0.6), (0.8, 0.4)]))
    return tmp_path


def cue(calling: Calling, folder: Path, *options: str) -> tuple[int, str, str]:
    done = calling(
        "cue", "story.py", "take.wav", "--trace", "trace.safetensors", *options, folder=folder
    )
    return done.returncode, done.stdout, done.stderr


def test_the_command_proposes_and_never_replaces(calling: Calling, folder: Path) -> None:
    code, out, _ = cue(calling, folder, "--propose")
    assert code == 0
    assert "opening" in out
    written = (folder / "take.cues.json").read_text()
    document = json.loads(written)
    assert (document["scene"], document["recording"]) == ("story", "take.wav")
    starts = [beat["start"] for beat in document["beats"]]
    assert starts == pytest.approx([0.0, 2.5, 5.6], abs=0.03)
    (folder / "take.cues.json").write_text("by hand")
    code, _, err = cue(calling, folder, "--propose")
    assert (code, "--force" in err) == (2, True)
    assert (folder / "take.cues.json").read_text() == "by hand"
    assert cue(calling, folder, "--propose", "--force", "--quiet") == (0, "", "")
    assert (folder / "take.cues.json").read_text() == written


def test_the_command_takes_presses(
    calling: Calling, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock: Iterator[float] = iter([100.0, 100.1, 102.6, 103.9, 105.5])
    monkeypatch.setattr(cueing, "monotonic", lambda: next(clock))
    monkeypatch.setattr(cueing, "PLAYERS", ())
    monkeypatch.setattr(cueing, "_wait", lambda prompt: None)
    assert cue(calling, folder, "--out", "my.json")[0] == 0
    beats = json.loads((folder / "my.json").read_text())["beats"]
    assert [beat["start"] for beat in beats] == pytest.approx([0.0, 2.5, 5.6], abs=0.03)
    assert beats[1]["marks"] == {"red": 3.9}


def test_presses_after_the_end_write_nothing(
    calling: Calling, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock: Iterator[float] = iter([0.0, 0.1, 2.6, 3.9, 99.0])
    monkeypatch.setattr(cueing, "monotonic", lambda: next(clock))
    monkeypatch.setattr(cueing, "PLAYERS", ())
    monkeypatch.setattr(cueing, "_wait", lambda prompt: None)
    done = calling("cue", "story.py", "take.wav", "--trace", "trace.safetensors", folder=folder)
    assert_one_line(done, 1, "do not follow the recording")
    assert not (folder / "take.cues.json").exists()


def player(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> Path:
    """Put a program in the place of those that play; return its file."""
    path = folder / "player"
    path.write_text(f"#!{sys.executable}\n{code}")
    path.chmod(0o755)
    monkeypatch.setattr(cueing, "PLAYERS", (("no-such-player",), (str(path), "-q")))
    return path


def test_times_count_from_when_the_player_starts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = player(
        folder,
        monkeypatch,
        "import os, shutil, sys, time\n"
        "shutil.copy(sys.argv[-1], __file__ + '.part')\n"
        "os.rename(__file__ + '.part', __file__ + '.copy')\n"
        "time.sleep(60)",
    )
    sound = speech_like([(2.0, 0.5), (2.5, 0.6), (0.8, 0.4)])
    with cueing._playing(sound) as started:
        assert started is not None
        # It is known only later that it did not end at once.
        assert monotonic() - started >= cueing.STARTS_WITHIN
        copy = program.with_name("player.copy")
        while not copy.exists():
            assert monotonic() - started < 60, "the player was not given a WAV file"
            sleep(0.01)
    # A WAV file, whatever the recording is: aplay plays an mp3 as noise.
    assert np.abs(read_sound(copy) - sound).max() < 1e-4


def test_a_player_that_fails_plays_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    player(folder, monkeypatch, "raise SystemExit(1)")
    monkeypatch.setattr(cueing, "STARTS_WITHIN", 60.0)
    with cueing._playing(tone(1.0)) as started:
        assert started is None


def test_an_interrupt_is_no_end_of_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(prompt: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.input", interrupted)
    monkeypatch.setattr(cueing, "PLAYERS", ())
    with pytest.raises(KeyboardInterrupt):
        cueing.cue_by_ear(BEATS, TAKE)


def test_a_sheet_that_cannot_be_written_is_known_before_anybody_is_asked(
    calling: Calling, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cueing, "_wait", lambda prompt: pytest.fail("asked"))
    (folder / "file").touch()
    arguments = ("story.py", "take.wav", "--trace", "trace.safetensors", "--out", "file/my.json")
    assert_one_line(calling("cue", *arguments, folder=folder), 1, "cannot write", "my.json")


# With a microphone

SPOKEN = speech_like([(2.0, 0.5), (2.5, 0.6), (0.8, 0.4)])


class StandIn(ModuleType):
    """What sounddevice is to the program: a microphone that hears a given sound."""

    class PortAudioError(Exception):
        pass

    def __init__(self, sound: Samples, *, device: bool = True) -> None:
        super().__init__("sounddevice")
        self._sound, self._device = sound, device
        self._heard = 0

    def InputStream(self, *, samplerate: int, channels: int, dtype: str, callback: Any) -> Any:
        assert (samplerate, channels, dtype) == (RATE, 1, "float32")
        if not self._device:
            raise self.PortAudioError("Error querying device -1")
        self._callback = callback
        return SimpleNamespace(start=lambda: None, close=lambda: None)

    def hear_until(self, seconds: float) -> None:
        block = self._sound[self._heard : samples_in(seconds), None].copy()
        self._heard = samples_in(seconds)
        self._callback(block, len(block), None, None)
        block[:] = 9.0  # PortAudio uses it again


def recording(
    calling: Calling, folder: Path, monkeypatch: pytest.MonkeyPatch, microphone: StandIn
) -> tuple[int, str, str]:
    """Record a scene with a stand-in; a beat begins, or a mark is said, at each key."""
    times = iter([None, 0.1, 2.6, 3.9, 5.5, 6.8])

    def wait(prompt: str) -> None:
        if (time := next(times)) is not None:
            microphone.hear_until(time)

    monkeypatch.setitem(sys.modules, "sounddevice", microphone)
    monkeypatch.setattr(cueing, "_wait", wait)
    words = ("story.py", "new.wav", "--record", "--trace", "trace.safetensors")
    done = calling("cue", *words, folder=folder)
    return done.returncode, done.stdout, done.stderr


def test_a_recording_is_made_with_its_cues(
    calling: Calling, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = recording(calling, folder, monkeypatch, StandIn(SPOKEN))
    assert code == 0, err
    assert np.abs(read_sound(folder / "new.wav") - SPOKEN).max() < 1e-4
    beats = json.loads((folder / "new.cues.json").read_text())["beats"]
    assert [beat["start"] for beat in beats] == pytest.approx([0.0, 2.5, 5.6], abs=0.03)
    assert beats[1]["marks"] == {"red": 3.9}
    (folder / "new.cues.json").unlink()
    code, _, err = recording(calling, folder, monkeypatch, StandIn(SPOKEN))
    assert (code, "new.wav already exists; --force replaces it" in err) == (2, True)


def test_what_is_wrong_with_a_new_recording_is_told_and_it_stays(
    calling: Calling, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    too_loud = StandIn(np.clip(5 * SPOKEN, -1, 1))
    code, _, err = recording(calling, folder, monkeypatch, too_loud)
    assert (code, "new.wav is clipped in" in err) == (1, True)
    assert (folder / "new.wav").exists()
    assert not (folder / "new.cues.json").exists()


def test_without_a_microphone_it_is_one_line(
    calling: Calling, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cueing, "_wait", lambda prompt: pytest.fail("asked"))
    words = ("cue", "story.py", "new.wav", "--record", "--trace", "trace.safetensors")
    monkeypatch.setitem(sys.modules, "sounddevice", StandIn(SPOKEN, device=False))
    assert_one_line(calling(*words, folder=folder), 1, "no microphone", "querying device -1")
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert_one_line(calling(*words, folder=folder), 1, "pip install -e '.[voice]'")

    def lacking(name: str) -> None:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr(microphone, "import_module", lacking)
    assert_one_line(calling(*words, folder=folder), 1, "install it (libportaudio2 on Debian")
    assert not list(folder.glob("*new*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing.wav"], "there is no file missing.wav; --record makes one"),
        (["new.mp3", "--record"], "--record writes a WAV file: name one instead of new.mp3"),
        (["new.wav", "--record", "--propose"], "mutually exclusive"),
    ],
)
def test_wrong_calls_are_refused(
    calling: Calling, folder: Path, words: list[str], said: str
) -> None:
    assert_one_line(calling("cue", "story.py", *words, folder=folder), 2, said)


def test_only_what_can_be_a_voice_has_cues(calling: Calling, folder: Path) -> None:
    (folder / "take.wav").rename(folder / "take.aac")
    done = calling("cue", "story.py", "take.aac", folder=folder)
    assert_one_line(done, 2, "take.aac is not a recording: they end in .wav")


@pytest.mark.parametrize("closed", [False, True])
def test_an_input_that_ends_writes_nothing(
    calling: Calling, folder: Path, monkeypatch: pytest.MonkeyPatch, closed: bool
) -> None:
    stream = None if closed else open("/dev/null")  # noqa: PTH123, SIM115
    monkeypatch.setattr("sys.stdin", stream)
    code, _, err = cue(calling, folder)
    assert code == 1
    assert "the input ended before the last beat; nothing is written" in err
    assert not (folder / "take.cues.json").exists()


def test_a_recording_that_cannot_be_read(calling: Calling, folder: Path) -> None:
    (folder / "take.wav").write_text("not a sound")
    done = calling("cue", "story.py", "take.wav", "--propose", folder=folder)
    assert_one_line(done, 1, "cannot read", "take.wav")


@pytest.mark.parametrize(
    ("code", "text", "shown"),
    [
        ("en", "The query of one word meets all keys.", ["The query of one …", "meets all keys."]),
        ("fr", "La requête d’un mot\u00a0: elle voit tout.", ["La requête d’un mot\u00a0: …"]),
        ("zh", "一个词元的查询遇到所有的键。", ["一个词元的查询 …", "遇到所有的键。"]),
    ],
)
def test_few_words_are_shown_to_press_a_key_at(code: str, text: str, shown: list[str]) -> None:
    record = BeatRecord(
        "meet", text, 0.0, 5.0, 5.0, marked=tuple(("at", text.index(s)) for s in shown[1:])
    )
    prompts: list[str] = []

    def press(prompt: str) -> float:
        prompts.append(prompt)
        return float(len(prompts))

    with use_language(code):
        pressed_cues([record], press, lambda line: None)
    assert prompts == [f"Enter at “{words}”" for words in shown]
