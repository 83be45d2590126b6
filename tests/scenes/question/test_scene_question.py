"""The scene that asks the question: candidates, slabs of what is kept, the burst, the title."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from extract.facts.architectures import architecture, kv_cache_bytes
from extract.facts.gpus import GPU_BYTES
from filmkit.core.animations import presence
from filmkit.core.card import FILM_TITLE
from filmkit.core.geometry import Box
from filmkit.core.text import Label
from filmkit.core.theme import use_theme
from filmkit.core.view import LayerView
from filmkit.mobjects.running_text import RunningText
from filmkit.pictures.bodies import Slab
from scenes.question.parts import PITCH, Candidates, Row, kept_of, landing, on_floor
from scenes.question.scene_question import ASKED, Question
from tests.support.kinds import trace_of_kind
from tests.support.staging import BeatPicture, play
from tests.support.traces import make_trace

TOKEN = kv_cache_bytes(architecture("DeepSeek-V3/R1"), "mha")
CAPACITY = int(GPU_BYTES // TOKEN)
TOKENS = ("The", " American", " flag", " is", " red")


@pytest.fixture(scope="module")
def pictures() -> dict[str, BeatPicture]:
    return {p.record.name: p for p in play(Question, trace_of_kind("shipped"))}


def texts(picture: BeatPicture) -> list[str]:
    return [item.text for item in picture.texts if item.presence == 1]


def rows_of(count: int, *, upright: bool = False) -> Row:
    layer = LayerView.of_prompt(make_trace(n_tokens=count), None, show_first_token=True)
    with use_theme("dark"):
        return Row(kept_of(layer), upright=upright)


# Pictures


def test_the_memory_is_full_after_as_many_tokens_as_it_holds(
    pictures: dict[str, BeatPicture],
) -> None:
    assert CAPACITY * TOKEN <= GPU_BYTES < (CAPACITY + 1) * TOKEN
    shown = texts(pictures["until_it_bursts"])
    assert {"20,011", "tokens", "× 4.0 MB", "one GPU: 80 GB"} <= set(shown)


def test_nothing_is_asked_and_the_burst_has_no_title(pictures: dict[str, BeatPicture]) -> None:
    assert not [name for name in pictures if name.startswith("ask_")]
    assert pictures["until_it_bursts"].record.title != "Keys and values"
    assert "Keys and values" not in texts(pictures["until_it_bursts"])


def test_the_sentence_is_that_of_the_trace_and_the_word_that_follows(
    pictures: dict[str, BeatPicture],
) -> None:
    said = ["The", "American", "flag", "is", "red", ",", "white", ",", "and", "blue"]
    assert [text for text in texts(pictures["the_next_word"]) if "Smol" not in text][:10] == said
    for beat in ("every_token_is_kept", "the_question"):
        assert sorted(set(said)) == sorted(set(said) & set(texts(pictures[beat])))


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
    assert {FILM_TITLE, ASKED, "American", "blue"} <= set(texts(pictures["the_question"]))


# Parts


def test_the_likeliest_candidate_comes_last_and_sinks_then() -> None:
    with use_theme("dark"):
        place = Label("blue", size=0.1)
        drum = Candidates(["green", " gold"], place, 4.0)
    drum.turn(1.0)
    assert drum[-1].text == "green"
    assert presence(drum[-1]) == 1.0
    assert drum[-1].get_left() == pytest.approx(place.get_left(), abs=1e-9)
    assert {presence(label) for label in drum[:-4]} == {0.0}
    drum.turn(1.05)
    assert drum[-1].get_y() < place.get_y()


@pytest.mark.parametrize("upright", [False, True])
def test_words_stand_in_their_lines_none_before_another(upright: bool) -> None:
    with use_theme("dark"):
        words = RunningText(TOKENS, Box(0, 0, 4, 6), size=0.1).words
        slabs = on_floor(TOKENS, words, upright=upright)
    lines: dict[float, list[Slab]] = {}
    for slab, word in zip(slabs, words, strict=True):
        assert slab.told == word.text
        lines.setdefault(float(slab.points[0, 2]), []).append(slab)
    assert len(lines) == len({round(float(word.points[-1, 1]), 3) for word in words}) > 1
    assert [*lines] == sorted(lines)
    for line in lines.values():
        ends = [slab.corners[:, 0] for slab in line]
        assert all(a.max() < b.min() for a, b in pairwise(ends))


def test_a_word_lands_where_its_slab_lies_and_stands_up_with_it() -> None:
    with use_theme("dark"):
        slab, word = Slab("red").put((1, 0, 2)), Label("red", size=0.1)
    upright = slab.corners.copy()
    move = landing(word, slab)
    seen = []
    for share in (0.0, 0.5, 1.0):
        move.begin()
        move.interpolate(share)
        seen.append((presence(word), presence(slab)))
    assert seen == [(1, 0), (0, 1), (0, 1)]
    assert slab.corners == pytest.approx(upright)


def test_slabs_show_all_that_is_kept_of_each_token() -> None:
    trace = make_trace(n_tokens=4)
    layer = LayerView.of_prompt(trace, None, show_first_token=True)
    with use_theme("dark"):
        slabs = kept_of(layer)
    assert [slab.told.split(": ")[1] for slab in slabs] == ["key", "value"] * layer.count
    faces = [cells for slab in slabs for cells in slab.submobjects]
    assert len(faces) == 2 * len(slabs)
    meta = trace.meta
    assert {cells.shape[0] for cells in faces} == {meta.n_layers * meta.n_kv_heads}
    assert [cells.source.index[0] for cells in faces[::4]] == [*range(layer.count)]


@pytest.mark.parametrize(("tokens", "upright"), [(2, False), (10, True), (24, False)])
def test_slabs_of_the_sentence_come_first_and_all_of_them_fill_the_length(
    tokens: int, upright: bool
) -> None:
    row = rows_of(tokens, upright=upright)
    starts = [slab.corners.copy() for slab in row.kept]
    row.gather(0.0)
    assert all(
        np.allclose(slab.corners, start) for slab, start in zip(row.kept, starts, strict=True)
    )
    row.gather(1.0)
    row.fill(1.0, 1.0)
    middles = [slab.middle[0] for slab in (*row.kept, *row.others)]
    assert np.diff(middles) == pytest.approx(PITCH)
    assert middles[0] == pytest.approx(PITCH / 2 - row.half)
    assert middles[-1] == pytest.approx(row.half - PITCH / 2)
    row.jam(1.0)
    assert row.last.middle[0] > row.half


def test_the_last_two_slabs_come_one_by_one() -> None:
    row = rows_of(10)
    landed = []
    for slow in (0.0, 0.5, 1.0):
        row.fill(1.0, slow)
        landed.append(sum(abs(slab.points[0, 1]) < 1e-9 for slab in row.others))
    assert landed == [len(row.others) - 2, len(row.others) - 1, len(row.others)]
