"""The scene that asks the question: candidates, the sentence, figures, and the title."""

from __future__ import annotations

import pytest

from extract.facts.architectures import architecture, kv_cache_bytes
from extract.facts.gpus import GPU_BYTES
from filmkit.core.card import FILM_TITLE
from filmkit.core.geometry import Frame
from filmkit.core.theme import use_theme
from filmkit.core.view import LayerView
from filmkit.world.block import CacheBlock
from scenes.question.parts import Row
from scenes.question.scene_question import ASKED, Question
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
    assert "20,011 tokens fill an empty GPU" in texts(pictures["until_it_bursts"])
    assert "2,000, 20,000 or 200,000?" in pictures["ask_until_it_bursts"].record.narration


def test_the_sentence_is_that_of_the_trace_and_the_word_that_follows(
    pictures: dict[str, BeatPicture],
) -> None:
    said = ["The", "American", "flag", "is", "red", ",", "white", ",", "and", "blue"]
    assert [text for text in texts(pictures["the_next_word"]) if "Smol" not in text][:10] == said


def test_candidates_are_the_models_own_and_the_likeliest_is_the_nearest(
    pictures: dict[str, BeatPicture],
) -> None:
    trace = trace_of_kind("shipped")
    blue, *others = (text.strip() for text in trace.meta.top_tokens[trace.meta.n_prompt - 1])
    seen = {item.text: item for item in pictures["the_next_word"].texts if item.presence > 0}
    assert seen[blue].presence == 1
    below = [seen[text].presence for text in others if text in seen]
    assert len(below) == 3
    assert 1 > below[0] > below[1] > below[2]


def test_a_prompt_that_nothing_follows_is_only_read() -> None:
    first = play(Question, make_trace(n_generated=0), until=0)[0]
    assert first.record.narration.endswith("adds the next one.")


def test_the_last_picture_has_title_question_and_words(pictures: dict[str, BeatPicture]) -> None:
    shown = texts(pictures["the_question"])
    assert shown[:2] == [FILM_TITLE, ASKED]
    assert {"American", "blue"} <= set(shown)


@pytest.mark.parametrize("tokens", [2, 10, 24])
def test_slabs_begin_where_the_real_ones_stand_and_fill_the_length(tokens: int) -> None:
    trace = make_trace(n_tokens=tokens)
    layer = LayerView.of_prompt(trace, None, show_first_token=True)
    with use_theme("dark"):
        block = CacheBlock(layer)
        row = Row(block, Frame(14.2))
        own, length = 2 * layer.count, row.pose.thick
        assert [b.pose for b in row.bodies[:own]] == [slab.pose for slab in block.slabs]
        assert own < len(row.bodies) == len(row.homes)
        row.grow(1.0)
        assert [b.pose for b in row.bodies[own:]] == row.homes[own:]
        ends = (
            row.homes[0].at[0] - row.homes[0].thick / 2,
            row.homes[-1].at[0] + row.homes[-1].thick / 2,
        )
        assert ends == pytest.approx((-length / 2, length / 2), abs=0.02)
