"""The option --voice on the command line: scripts, tables, checks, and wrong calls."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path

import pytest

from tests.support.calling import Calling, assert_one_line, calling
from tests.support.traces import make_trace
from tests.support.voices import A_LETTER, STORY, tone, tone_program, write_sound

__all__ = ["calling"]

TURNING = "It waits until red is said, and then it moves."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "story.py").write_text(STORY)
    make_trace().save(tmp_path / "trace.safetensors")
    return tmp_path


def test_a_script_has_the_times_of_the_voice(calling: Calling, folder: Path) -> None:
    trace = ("--trace", "trace.safetensors", "--quiet")
    done = calling(
        "script", "story.py", "--json", *trace, "--voice", tone_program(folder), folder=folder
    )
    assert done.returncode == 0, done.stderr
    turning = json.loads(done.stdout)[0]["beats"][1]
    assert turning["narration"] == TURNING
    # 10 words in 2.7 s.
    speed = 60 * 10 / (len(TURNING) * A_LETTER)
    assert turning["words_per_minute"] == pytest.approx(speed, rel=0.05)
    (cue,) = turning["captions"]
    assert cue["start"] - turning["start"] == pytest.approx(0.0, abs=0.05)
    assert cue["end"] - turning["start"] == pytest.approx(len(TURNING) * A_LETTER, abs=0.12)


@pytest.mark.parametrize(("kind", "separator"), [("csv", ","), ("tsv", "\t")])
@pytest.mark.parametrize("out", [("--out", "t.txt"), ()], ids=["file", "printed"])
def test_a_table_for_a_translator(
    calling: Calling, folder: Path, kind: str, separator: str, out: tuple[str, ...]
) -> None:
    done = calling(
        *("script", "story.py", "--table", kind, "--trace", "trace.safetensors", *out),
        folder=folder,
    )
    assert done.returncode == 0, done.stderr
    text = (folder / "t.txt").read_text() if out else done.stdout
    rows = list(csv.DictReader(StringIO(text), delimiter=separator))
    assert [row["beat"] for row in rows] == ["opening", "turning", "ending"]
    assert rows[1] == {
        "scene": "story",
        "beat": "turning",
        "start": "4.4",
        "seconds": "4.4",
        "words a minute": "136",
        "narration": TURNING,
        "translation": "",
    }


@pytest.mark.slow
def test_a_check_measures_with_the_voice(calling: Calling, folder: Path) -> None:
    arguments = ("check", "story.py", "--json", "--trace", "trace.safetensors", "--quiet")
    written, spoken = (
        [
            beat["seconds"]
            for beat in json.loads(calling(*arguments, *voice, folder=folder).stdout)[0]["beats"]
        ]
        for voice in ((), ("--voice", tone_program(folder)))
    )
    assert written[:2] == pytest.approx([4.4, 4.4])
    assert spoken[:2] == pytest.approx([3.0, 3.2])


def test_a_list_has_the_length_with_the_voice(calling: Calling, folder: Path) -> None:
    arguments = ("story.py", "--list", "--json", "--trace", "trace.safetensors", "--quiet")
    done = calling(*arguments, "--voice", tone_program(folder), folder=folder)
    assert json.loads(done.stdout)[0]["seconds"] == pytest.approx(7.4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--voice", "nowhere"), ("--voice", "neither a folder")),
        (("--voice", "story.py"), ("is not a recording",)),
        (("--voice", "echo {text}"), ("{out}",)),
        (("--voice", ".", "--still", "all"), ("--voice", "--still")),
        (("--voice", ".", "--preview"), ("--voice", "--preview")),
        (("--voice", ".", "--watch"), ("--voice", "--watch")),
    ],
    ids=lambda value: " ".join(value),
)
def test_wrong_calls(
    calling: Calling, folder: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    assert_one_line(calling("story.py", *arguments, folder=folder), 2, *words)
    assert not (folder / "videos").exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("01_opening.wav", b"no sound", "cannot read"),
        ("notes.txt", b"", "holds no recording of story"),
    ],
)
def test_recordings_that_fail(
    calling: Calling, folder: Path, name: str, content: bytes, words: str
) -> None:
    (folder / "takes").mkdir()
    (folder / "takes" / name).write_bytes(content)
    for command in ((), ("deck",), ("script",)):
        done = calling(
            *command, "story.py", "--trace", "trace.safetensors", "--voice", "takes", folder=folder
        )
        assert_one_line(done, 1, "story: ", words)
    assert not (folder / "videos").exists()
    assert not (folder / "decks").exists()


def test_a_voice_that_says_nothing_in_a_film(calling: Calling, folder: Path) -> None:
    (folder / "takes").mkdir()
    write_sound(folder / "takes" / "01_unknown.wav", tone(0.5))
    (folder / "other.py").write_text(STORY)
    done = calling(
        *("story.py", "other.py", "--trace", "trace.safetensors", "--voice", "takes"),
        folder=folder,
    )
    assert_one_line(done, 1, "the voice says nothing in any of these scenes")


@pytest.mark.parametrize("command", [(), ("deck",), ("gallery",), ("script",), ("check",)])
def test_every_command_that_takes_a_voice_says_so(
    calling: Calling, folder: Path, command: tuple[str, ...]
) -> None:
    done = calling(*command, "--help", folder=folder)
    assert "--voice WHAT" in done.stdout
