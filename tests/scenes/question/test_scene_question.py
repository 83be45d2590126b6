"""The scene that asks the question: figures, the sentence, and the burst."""

from __future__ import annotations

import pytest

from extract.architectures import GPU_BYTES, architecture, kv_cache_bytes
from filmkit.core.records import StageSettings
from scenes.question.scene_question import Question, as_tokens
from tests.support.kinds import trace_of_kind
from tests.support.staging import BeatPicture, play
from tests.support.traces import make_trace

TOKEN = kv_cache_bytes(architecture("DeepSeek-V3/R1"), "mha")
CAPACITY = int(GPU_BYTES // TOKEN)


@pytest.fixture(scope="module")
def pictures() -> dict[str, BeatPicture]:
    return {p.record.name: p for p in play(Question, trace_of_kind("shipped"))}


def texts(picture: BeatPicture) -> list[str]:
    return [item.text for item in picture.texts if item.presence == 1]


def test_the_memory_is_full_after_as_many_tokens_as_it_holds(
    pictures: dict[str, BeatPicture],
) -> None:
    assert CAPACITY * TOKEN <= GPU_BYTES < (CAPACITY + 1) * TOKEN
    assert {"20,011", "memory of one GPU: 80 GB"} <= set(texts(pictures["until_it_bursts"]))


def test_the_sentence_is_that_of_the_trace_and_the_word_that_follows(
    pictures: dict[str, BeatPicture],
) -> None:
    said = ["The", "American", "flag", "is", "red", ",", "white", ",", "and", "blue"]
    assert [text for text in texts(pictures["the_next_word"]) if "Smol" not in text] == said


def test_a_prompt_that_nothing_follows_is_only_read() -> None:
    first = play(Question, make_trace(n_generated=0))[0]
    assert first.record.narration.endswith("adds the next one.")


def test_the_last_picture_is_the_question(pictures: dict[str, BeatPicture]) -> None:
    assert "well?" in texts(pictures["the_question"])


@pytest.mark.parametrize("language", ["en", "fr", "zh"])
def test_the_question_is_asked_as_it_is_said(language: str) -> None:
    last = play(Question, trace_of_kind("shipped"), StageSettings(language=language))[-1]
    asked = "".join(last.record.narration.split())
    assert "".join("".join(texts(last)).split()).startswith(asked)


def test_lines_are_broken_where_a_script_allows_it() -> None:
    assert as_tokens("Can a model?") == ["Can", " a", " model?"]
    assert "".join(as_tokens("记得更少，好？")) == "记得更少，好？"
