"""Captions, chapter titles and speaker notes."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmkit.core.beat_records import BeatRecord, Rehearsal
from filmkit.core.language import Language, beat_title, use_language
from filmkit.core.narration import Narration
from filmkit.words.captions import MAX_LINES, Cue, captions, max_line_length, shifted, srt, vtt
from filmkit.words.script import speaker_notes

LONG = (
    "Every head has its own keys and values again. But all of them are made from one small latent: "
    "one row of numbers for each word."
)


def beat(narration: str, start: float = 2.0, seconds: float = 8.0) -> BeatRecord:
    return BeatRecord("a_beat", narration, start, start + seconds, tail=start + 1.0)


def read(path: Path) -> list[tuple[float, float, str]]:
    """Read a caption file with FFmpeg: start and duration of each cue in seconds, and its text."""
    with av.open(path) as container:
        stream = container.streams.subtitles[0]
        return [
            (
                float(packet.pts * packet.time_base),
                float(packet.duration * packet.time_base),
                bytes(packet).decode(),
            )
            for packet in container.demux(stream)
            if packet.size
        ]


def test_cues_end_where_sentences_and_clauses_end() -> None:
    assert [cue.lines for cue in captions([beat(LONG)])] == [
        ("Every head has its own keys", "and values again."),
        ("But all of them are made from one small", "latent: one row of numbers for each word."),
    ]


def test_cues_of_a_beat_have_the_same_reading_speed() -> None:
    cues = captions([beat(LONG), beat("That is all.", start=10.0, seconds=3.0)])
    assert (cues[0].start, cues[1].end) == (2.0, 10.0)
    assert (cues[2].start, cues[2].end) == (10.0, 13.0)
    speeds = [len(cue.text) / (cue.end - cue.start) for cue in cues[:2]]
    assert speeds[0] == pytest.approx(speeds[1])


def test_a_cue_is_never_shorter_than_a_second() -> None:
    cues = captions([beat("No. " + LONG, seconds=9.0)])
    assert cues[0].text.startswith("No. Every")
    assert min(cue.end - cue.start for cue in cues) >= 1.0


def test_a_number_keeps_its_unit() -> None:
    cues = captions(
        [beat("This one takes in all of it: the last row gives no word over 19 % then.")]
    )
    assert any("19 %" in line for cue in cues for line in cue.lines)


@given(
    st.lists(st.text("abcdeXY.,:;“”7%", min_size=1, max_size=50), min_size=1, max_size=40),
    st.floats(0.5, 60.0),
)
def test_any_narration_becomes_cues_in_order(words: list[str], seconds: float) -> None:
    narration = " ".join(words)
    cues = captions([beat(narration, 0.0, seconds)])
    assert "".join(cue.text for cue in cues).replace(" ", "") == narration.replace(" ", "")
    for cue in cues:
        assert 1 <= len(cue.lines) <= MAX_LINES
        assert all(0 < len(line) <= max_line_length() for line in cue.lines)
    assert all(first.end <= second.start for first, second in pairwise(cues))
    assert cues[0].start == 0.0
    assert cues[-1].end == pytest.approx(seconds)


def test_empty_narration_has_no_cue() -> None:
    assert captions([beat("")]) == ()


@pytest.mark.parametrize(("suffix", "write"), [(".srt", srt), (".vtt", vtt)])
def test_files_are_read_back(suffix: str, write: object, tmp_path: Path) -> None:
    cues = shifted(captions([beat(LONG), beat("A & B, and that is all.", 10.0)]), 3600.0)
    path = tmp_path / f"film{suffix}"
    path.write_text(write(cues), encoding="utf-8")
    decoded = read(path)
    assert len(decoded) == len(cues)
    for cue, (start, seconds, text) in zip(cues, decoded, strict=True):
        assert start == pytest.approx(cue.start, abs=0.001)
        assert seconds == pytest.approx(cue.end - cue.start, abs=0.002)
        assert text.replace("&amp;", "&").split("\n") == list(cue.lines)


def test_content_of_the_files() -> None:
    cues = (Cue(0.0, 1.5, ("One,",)), Cue(1.5, 3661.25, ("two", "<three>")))
    assert srt(cues) == (
        "1\n00:00:00,000 --> 00:00:01,500\nOne,\n\n2\n00:00:01,500 --> 01:01:01,250\ntwo\n<three>\n"
    )
    assert vtt(cues) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nOne,\n"
        "\n00:00:01.500 --> 01:01:01.250\ntwo\n&lt;three&gt;\n"
    )


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("a_query_meets_a_key", "A query meets a key"),
        ("one_gpu", "One GPU"),
        ("kv_of_mla", "KV of MLA"),
        ("x", "X"),
    ],
)
def test_chapter_titles(name: str, title: str) -> None:
    assert beat_title(name) == title


def test_speaker_notes_name_the_next_beat() -> None:
    first = BeatRecord("one", "First.", 0, 4.6, tail=3.0, title="One")
    last = BeatRecord("two", "Last.", 4.6, 6.0, tail=5.0, title="Two")
    assert speaker_notes(Rehearsal((first, last), 6.0)) == {
        "one": "First.\n\n1 of 2, 5 s. Next: Two.",
        "two": "Last.\n\n2 of 2, 1 s.",
    }


# In other languages

FRENCH = (
    "Le softmax change une ligne en parts\u00a0: «\u00a0drapeau\u00a0» prend 33\u00a0%, le token "
    "de début 12\u202f345\u202f; le reste va à la tête 3. Qu’en dire\u202f? Que les clés et les "
    "valeurs de chaque couche restent en mémoire\u202f!"
)
SPANISH = (
    "La softmax convierte una fila en partes: «flag» se lleva el 33\u00a0%, el token inicial, "
    "12.345; el resto va a la cabeza 3. ¿Y qué decir? ¡Que las claves y los valores de cada capa "
    "se quedan en la memoria!"
)
GERMAN = (
    "Softmax macht aus einer Zeile Anteile: „flag“ bekommt 33\u00a0%, das Start-Token 12.345; der "
    "Rest geht an Kopf 3. Was heißt das? „Es bleibt.“ Und alle Keys und Values jeder Schicht "
    "bleiben im Speicher!"
)
CHINESE = (
    "Softmax 把一行变成总和为一的占比：第 3 个头把 33% 给了“flag”，起始词元得到 4.2%。如果什么都"
    "不共享，DeepSeek-R1 每个词元要占 12,345 个数；而这里所有的头只用同一个潜在向量——"
    "词元越多，差别越大！"
)
LETTERS = {
    "de": "abß \u00a0:;„“‚‘7%,.!",
    "es": "abñ \u00a0:;»«¿?¡!7%,.",
    "fr": "abé \u00a0\u202f:;»«’7%,.",
    "zh": "键值查询的 aB“”（），。：；、！？——…7%·",
}
OPENING = "«“‘（(《「¿¡"


@pytest.mark.parametrize(
    ("code", "text"), [("de", GERMAN), ("es", SPANISH), ("fr", FRENCH), ("zh", CHINESE)]
)
def test_captions_in_other_languages(code: str, text: str) -> None:
    language = Language(code)
    with use_language(code):
        said = Narration.of(text, {})
        cues = captions([beat(said.text, 0.0, said.seconds(0.1))])
        lines = [line for cue in cues for line in cue.lines]
        assert max(map(len, lines)) <= max_line_length() == {"zh": 18}.get(code, 42)
        for cue in cues:
            assert len(cue.lines) <= MAX_LINES
            speed = len(cue.text) / (cue.end - cue.start)
            assert speed <= language.letters_a_second + 1e-6
    assert language.letters_a_second == {"zh": 9}.get(code, 17)
    opening = "„‚(" if code == "de" else OPENING  # in German, “ closes
    for line in lines:
        assert line[0].isalnum() or line[0] in opening, line
        assert line[-1] not in opening
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("code", "text", "whole"),
    [
        ("de", GERMAN, ["„flag“", "33\u00a0%", "12.345;", "„Es ", "bleibt.“"]),
        ("es", SPANISH, ["«flag»", "33\u00a0%", "12.345;", "¿Y ", "¡Que ", "memoria!"]),
        ("fr", FRENCH, ["«\u00a0drapeau\u00a0»", "33\u00a0%", "12\u202f345\u202f;", "dire\u202f?"]),
        (
            "zh",
            CHINESE,
            ["33% ", "4.2%", "第 3 个头", "12,345 个数", "DeepSeek-R1", "词元", "潜在向量——"],
        ),
    ],
)
def test_what_belongs_together_stays_on_a_line(code: str, text: str, whole: list[str]) -> None:
    for start in range(0, len(text), 7):
        with use_language(code):
            cues = captions([beat(text[start:], 0.0, 60.0)])
        lines = [f"{line} " for cue in cues for line in cue.lines]
        for part in whole:
            if part in text[start:]:
                assert any(part.rstrip() in line for line in lines), (part, lines)


def test_german_cues_end_where_a_quoted_sentence_ends() -> None:
    text = (
        "Der Kopf fragt jedes Wort davor: „Wer passt zu mir?“ Die Keys antworten ihm alle zugleich."
    )
    with use_language("de"):
        cues = captions([beat(text)])
    assert [cue.lines for cue in cues] == [
        ("Der Kopf fragt jedes Wort davor:", "„Wer passt zu mir?“"),
        ("Die Keys antworten ihm alle zugleich.",),
    ]


@pytest.mark.parametrize("code", LETTERS)
@given(data=st.data())
def test_any_narration_in_another_language_becomes_cues(code: str, data: st.DataObject) -> None:
    words = data.draw(
        st.lists(st.text(LETTERS[code], max_size=30).map("a".__add__), min_size=1, max_size=20)
    )
    narration = " ".join(" ".join(words).split(" ")).strip()
    with use_language(code):
        cues = captions([beat(narration, 0.0, 20.0)])
        lines = [line for cue in cues for line in cue.lines]
        assert all(0 < len(line) <= max_line_length() for line in lines)
    shown = "".join("".join(lines).split())
    assert shown == "".join(narration.split())
    assert all(first.end <= second.start for first, second in pairwise(cues))


def test_lines_are_joined_with_a_blank_only_where_the_script_has_blanks() -> None:
    assert Cue(0, 1, ("由潜在向量", "得到的键，", "以及值")).text == "由潜在向量得到的键，以及值"
    assert Cue(0, 1, ("提示词 The American", "flag is red", "的注意力图")).text == (
        "提示词 The American flag is red 的注意力图"
    )
    assert Cue(0, 1, ("les clés", "et les valeurs")).text == "les clés et les valeurs"
