"""Questions in all that is made of a scene: films, captions, decks, scripts, voices and cue sheets.

``--no-questions`` leaves them out of each.
"""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import av
import pytest
from pptx import Presentation
from pypdf import PdfReader

from tests.filmkit.words.test_captions import read
from tests.support.asking import ASKING, BEATS, QUESTIONS, SAID
from tests.support.calling import Calling, calling
from tests.support.traces import make_trace
from tests.support.voices import A_LETTER, speech_like, tone_program, write_sound

__all__ = ["calling"]

TRACE = ("--trace", "trace.safetensors")
FILM = ("--quality", "draft", "--fps", "5")
PAUSES = 3.0, 4.0
ANSWERS = [said for said in SAID if said not in QUESTIONS]
TITLES = ["Opening", "Question: Sides", "Sides", "Question: Others", "Others"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asking")
    (folder / "asking.py").write_text(ASKING)
    make_trace().save(folder / "trace.safetensors")
    return folder


@pytest.fixture
def listed(calling: Calling, folder: Path) -> list[dict[str, object]]:
    done = calling("asking.py", "--list", "--json", *TRACE, folder=folder)
    (scene,) = json.loads(done.stdout)
    return scene["beats"]


def made(calling: Calling, folder: Path, *arguments: str) -> str:
    """Run a command; return what it prints."""
    done = calling(*arguments, *TRACE, folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def read_cues(film: Path) -> list[tuple[float, float, str]]:
    """Return start, duration and text of the captions beside a film."""
    return read(film.with_suffix(".srt"))


def length(film: Path) -> float:
    with av.open(film) as container:
        stream = container.streams.video[0]
        return stream.frames / float(stream.average_rate or 1)


def test_the_list_says_how_long_each_step_waits(listed: list[dict[str, object]]) -> None:
    assert tuple(beat["name"] for beat in listed) == BEATS
    assert tuple(beat["narration"] for beat in listed) == SAID
    assert [beat["pause"] for beat in listed] == [0, PAUSES[0], 0, PAUSES[1], 0]


def test_a_film_asks_waits_and_answers(calling: Calling, folder: Path) -> None:
    made(calling, folder, "asking.py", *FILM, "--out", "films")
    film = folder / "films" / "asking.mp4"
    said = {text: (start, start + seconds) for start, seconds, text in read_cues(film)}
    assert tuple(said) == SAID
    # The question stays on screen until the answer begins.
    times = list(said.values())
    assert [end for _, end in times[:-1]] == pytest.approx([start for start, _ in times[1:]])
    assert all(
        said[text][1] - said[text][0] > pause + 1
        for text, pause in zip(QUESTIONS, PAUSES, strict=True)
    )
    with av.open(film) as container:
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == TITLES
    made(calling, folder, "asking.py", *FILM, "--no-questions", "--out", "silent")
    silent = folder / "silent" / "asking.mp4"
    assert [text for *_, text in read_cues(silent)] == ANSWERS
    assert length(film) - length(silent) > sum(PAUSES)


def test_captions_that_are_drawn_show_the_question_while_it_waits(
    calling: Calling, folder: Path
) -> None:
    files = []
    for captions in ("burn", "none"):
        out = ("--beat", "ask_sides", "--captions", captions, "--out", captions)
        made(calling, folder, "asking.py", *FILM, "--format", "png-sequence", *out)
        files.append(sorted((folder / captions).rglob("*.png")))
    burnt, plain = (file[-1].read_bytes() for file in files)
    assert burnt != plain


def test_a_deck_has_a_step_for_the_question_and_one_for_the_answer(
    calling: Calling, folder: Path
) -> None:
    for kind in ("powerpoint", "pdf", "web"):
        made(calling, folder, "deck", "asking.py", "--for", kind, *FILM)
    slides = list(Presentation(str(folder / "decks" / "asking.powerpoint.pptx")).slides)
    assert [slide.shapes.title.text for slide in slides] == TITLES
    notes = [slide.notes_slide.notes_text_frame.text for slide in slides]
    assert notes[1].startswith(QUESTIONS[0])
    assert notes[1].endswith("Wait for an answer. Next: Sides.")
    assert "Wait" not in notes[2]
    pages = [page.extract_text() for page in PdfReader(folder / "decks" / "asking.pdf").pages]
    assert len(pages) == len(SAID)
    for page, said in zip(pages, SAID, strict=True):
        assert said in " ".join(page.split())
    page = (folder / "decks" / "asking.html").read_text()
    document = json.loads(re.findall(r"<script[^>]*json[^>]*>(.*?)</script>", page, re.S)[0])
    assert [slide["title"] for slide in document["slides"]] == TITLES
    question = document["slides"][1]
    assert QUESTIONS[0] == question["cues"][-1][2]
    assert question["cues"][-1][1] == question["seconds"]
    assert "How many sides does it have?" in question["alt"]


def test_a_deck_without_questions(calling: Calling, folder: Path) -> None:
    out = ("--for", "pdf", "--no-questions", "--out", "silent.pdf")
    made(calling, folder, "deck", "asking.py", *FILM, *out)
    assert len(PdfReader(folder / "silent.pdf").pages) == len(ANSWERS)


def test_a_script_says_how_long_to_wait(calling: Calling, folder: Path) -> None:
    text = made(calling, folder, "script", "asking.py")
    assert [line.split(" ", 2)[2] for line in text.splitlines() if line[:3] == "## "] == TITLES
    # 9 words in 4 s: the pause is no time to speak.
    assert "*ask_sides, 135 words a minute, 9.0 c/s, then 3 s for an answer*" in text
    table = made(calling, folder, "script", "asking.py", "--table", "csv", "--no-questions")
    assert [row["narration"] for row in csv.DictReader(io.StringIO(table))] == ANSWERS
    (scene,) = json.loads(made(calling, folder, "script", "asking.py", "--json"))
    assert [beat["pause"] for beat in scene["beats"]] == [0, PAUSES[0], 0, PAUSES[1], 0]


def test_a_voice_says_the_question_and_then_is_silent(calling: Calling, folder: Path) -> None:
    voice = ("--voice", tone_program(folder))
    (spoken,) = json.loads(made(calling, folder, "script", "asking.py", "--json", *voice))
    question = spoken["beats"][1]
    said = A_LETTER * len(QUESTIONS[0])
    assert question["end"] - question["start"] == pytest.approx(said + question["pause"], abs=1.0)
    assert question["captions"][-1]["end"] == question["end"]
    log = (folder / "tone.py.log").read_text()
    assert all(text.split("? ")[0] in log for text in SAID)


def test_a_cue_sheet_has_both(calling: Calling, folder: Path) -> None:
    take = speech_like([(A_LETTER * len(text), 0.8) for text in SAID])
    write_sound(folder / "take.wav", take)
    made(calling, folder, "cue", "asking.py", "take.wav", "--propose")
    sheet = json.loads((folder / "take.cues.json").read_text())
    assert tuple(beat["name"] for beat in sheet["beats"]) == BEATS
    # A recording with the questions fits a film without them.
    voice = ("--voice", "take.wav", "--no-questions")
    (spoken,) = json.loads(made(calling, folder, "script", "asking.py", "--json", *voice))
    assert [beat["narration"] for beat in spoken["beats"]] == ANSWERS


@pytest.mark.slow
def test_the_pause_is_not_counted_as_a_still_picture(calling: Calling, folder: Path) -> None:
    done = calling("check", "asking.py", "--json", *TRACE, folder=folder)
    (report,) = json.loads(done.stdout)
    question = report["beats"][1]
    assert question["name"] == "ask_sides"
    assert question["still_seconds"] < PAUSES[0]
    assert question["letters_a_second"] == pytest.approx(len(QUESTIONS[0]) / 4.0, abs=0.01)
    done = calling("check", "asking.py", "--json", "--no-questions", *TRACE, folder=folder)
    (report,) = json.loads(done.stdout)
    assert [beat["name"] for beat in report["beats"]] == ["opening", "sides", "others"]


def test_a_question_has_a_still(calling: Calling, folder: Path) -> None:
    made(calling, folder, "asking.py", "--still", "all", "--quality", "draft", "--out", "stills")
    stills = folder / "stills" / "asking"
    names = [f"{number:02}_{name}.png" for number, name in enumerate(BEATS, 1)]
    assert sorted(path.name for path in stills.glob("*.png")) == names
    silent = ("--no-questions", "--quality", "draft", "--out", "stills")
    made(calling, folder, "asking.py", "--still", "all", *silent)
    # Stills of steps that are not played any more are gone.
    assert [path.stem[3:] for path in sorted(stills.glob("*.png"))] == [
        "opening",
        "sides",
        "others",
    ]
    wrong = calling("asking.py", "--still", "ask_sides", "--no-questions", *TRACE, folder=folder)
    assert wrong.returncode == 2
