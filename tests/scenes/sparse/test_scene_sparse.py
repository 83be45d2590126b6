"""The scene about reading few tokens: what heads give to words, and a floor to scale."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from manim import DR, UL

from extract.trace import Trace
from filmkit.core.animations import presence
from filmkit.core.beat_records import BeatRecord
from filmkit.core.geometry import Box
from filmkit.core.quantities import PanelCheck, axes_of
from filmkit.core.theme import current_theme
from filmkit.render.manim_config import changed_config
from scenes.sparse.parts import Pooling
from scenes.sparse.scene_sparse import Sparse
from tests.support.figures import all_texts
from tests.support.staging import complaints, play
from tests.support.traces import make_trace

CASES = {
    "hidden first token": {"n_heads": 6, "n_layers": 3},
    "no beginning token": {"has_bos": False},
    "one head": {"n_heads": 1, "n_layers": 1},
    "four tokens": {"n_tokens": 4, "has_bos": False},
    "24 tokens": {"n_tokens": 24},
}
READ = {"the_last_ones": "last", "the_first_one": "sink", "each_head_chooses": "best"}


def run(trace: Trace, look: Callable[[BeatRecord, Sparse], None], **frame: float) -> None:
    """Run the scene without drawing, and call ``look`` after each beat."""
    size = {"pixel_width": 1920, "pixel_height": 1080, "frame_width": 8 * 16 / 9, "frame_height": 8}
    quiet = {"dry_run": True, "progress_bar": "none", "verbosity": "ERROR"}

    def note(record: BeatRecord, stage: Sparse) -> None:
        look(record, stage)

    with changed_config(quiet | size | frame):
        Sparse(trace, on_beat_end=note).render()


def kept_of(row: np.ndarray, n: int, way: str) -> np.ndarray:
    """Return a row of a pattern in which only what is read is left."""
    keys = {
        "last": range(len(row) - n, len(row)),
        "sink": [0, *range(len(row) - n + 1, len(row))],
        "best": sorted(range(len(row)), key=lambda key: -row[key])[:n],
    }[way]
    return np.array([weight if key in keys else 0.0 for key, weight in enumerate(row)])


@pytest.mark.parametrize("case", CASES)
def test_cells_are_the_attention_of_heads_and_words_lit_where_it_is_read(case: str) -> None:
    trace = make_trace(**CASES[case])
    query = trace.meta.n_prompt - 1
    rows = np.concatenate(
        [trace.get("pattern", layer)[:, query] for layer in range(trace.meta.n_layers)]
    )[:, : query + 1].astype(np.float64)
    n, seen = min(3, (query + 1) // 2), []

    def look(record: BeatRecord, stage: Sparse) -> None:
        way = READ.get(record.name)
        if way is None:
            return
        panels = stage.heads.panels
        shown = np.array([panel.values.ravel() for panel in panels])
        np.testing.assert_allclose(shown, rows.T, atol=1e-6)
        kept = np.array([kept_of(row, n, way) for row in rows])
        bright = kept.T > 0
        masked = np.array([panel.masked.ravel() for panel in panels])
        np.testing.assert_array_equal(masked, ~bright)
        assert presence(stage.heads.unread) == 1.0
        ink = current_theme().ink.lower()
        lit = [word.get_fill_color().to_hex().lower() == ink for word in stage.heads.words]
        assert lit == bright.any(axis=1).tolist()
        framed = [f.get_stroke_color().to_hex().lower() == ink for f in stage.heads.frames]
        assert framed == bright.all(axis=1).tolist()
        figure = " ".join(line.text for line in stage.headline.figure)
        assert f"{kept.sum(axis=1).mean():.0%}" in figure.split()
        seen.append(record.name)

    run(trace, look)
    assert seen == list(READ)


def test_of_long_texts_what_is_not_drawn_is_one_word() -> None:
    trace = make_trace(n_tokens=14)
    trace = replace(trace, meta=replace(trace.meta, rows=(7, 12)))
    rows = np.concatenate(
        [trace.get("pattern", layer)[:, 11, :12] for layer in range(trace.meta.n_layers)]
    )

    def look(record: BeatRecord, stage: Sparse) -> None:
        if record.name == "all_that_is_kept":
            first, second, *_others = stage.heads.panels
            np.testing.assert_allclose(first.values.ravel(), rows[:, :7].sum(axis=1), atol=1e-6)
            np.testing.assert_allclose(second.values.ravel(), rows[:, 7], atol=1e-6)
            # The pointer over them takes the words from the sources.
            before, *sources = (panel.source for panel in stage.heads.panels)
            assert axes_of(trace, before)[0] == "before"
            assert [source.index[0] for source in sources] == [*range(7, 12)]
            assert {axes_of(trace, source)[0] for source in sources} == {"key_pos"}
            check = PanelCheck(trace)
            assert [check.untrue(panel) for panel in stage.heads.panels] == [""] * 6
            assert stage.heads.words[0].text == "…"
            assert stage.provenance_notes()[1] == "…: 7 tokens before"
            seen.append(record.name)

    seen: list[str] = []
    run(trace, look)
    assert seen


def test_with_very_few_tokens_nothing_is_left_out() -> None:
    trace = make_trace(n_tokens=2, has_bos=False)
    assert Sparse.beat_names(trace) == (
        "all_that_is_kept",
        "an_indexer_chooses",
        "pooled_before",
        "less_to_read",
    )
    assert [line for picture in play(Sparse, trace) for line in complaints(picture)] == []


@pytest.mark.parametrize("frame", [{}, {"frame_width": 4.5, "pixel_width": 1080}])
def test_the_floor_has_as_many_tiles_as_the_numbers_say(frame: dict[str, float]) -> None:
    def look(record: BeatRecord, stage: Sparse) -> None:
        lit = stage.floor.lights.points.reshape(-1, 16, 3).mean(axis=1).round(4)
        assert len(np.unique(lit, axis=0)) == len(lit) == 2048
        tiles = stage.floor.tokens[1].points.reshape(-1, 16, 3).mean(axis=1)
        right, front = tiles[:, 0].max(), tiles[:, 2].max()
        pitch = 2 * right / (len(np.unique(tiles[:, 0].round(4))) - 1)
        back = stage.floor.tokens[0].points[:, 2].min()
        across = len(np.unique(tiles[:, 0].round(4)))
        assert round((front - back) / pitch + 1) * across == 163_840
        assert lit[:, 2].min() >= back

    run(make_trace(), look, **frame)


@pytest.mark.parametrize("words", ["words", "words that take several lines"])
@pytest.mark.parametrize("room", [Box(0, 0, 12, 5), Box(0, 0, 4, 6), Box(1, -1, 6, 4)])
def test_so_many_tokens_become_one_entry(room: Box, words: str) -> None:
    poolings = Pooling.in_room(dict.fromkeys([4, 128], (words, "more")), 16, room)
    for count, pooling in zip([4, 128], poolings, strict=True):
        assert len(pooling.tokens) == count
        assert pooling.tokens[0].width == pytest.approx(pooling.entry.width)
        merging = pooling.merge()
        merging.begin()
        merging.interpolate(1.0)
        ends = [copy.get_center() for copy in merging.mobject]
        np.testing.assert_allclose(ends, [pooling.entry.get_center()] * count, atol=1e-9)
    few, many = poolings
    assert few.get_bottom()[1] > many.get_top()[1]
    corners = np.array([few.get_corner(UL), many.get_corner(UL), many.get_corner(DR)])[:, :2]
    assert (np.abs(corners - [room.x, room.y]) <= np.array([room.width, room.height]) / 2).all()


def test_published_numbers_are_marked_as_not_the_models() -> None:
    pictures = {picture.record.name: picture for picture in play(Sparse, make_trace())}
    for name, numbers in (("an_indexer_chooses", "163,840"), ("pooled_before", "128 tokens")):
        texts = all_texts(pictures[name])
        assert any(numbers in text for text in texts)
        assert any("not the traced model" in text for text in texts)
    assert not any("not the traced" in text for text in all_texts(pictures["less_to_read"]))


def test_what_is_made_up_or_claimed_is_called_so() -> None:
    pictures = {picture.record.name: picture for picture in play(Sparse, make_trace())}
    floor, merged = (
        " ".join(all_texts(pictures[name])) for name in ("an_indexer_chooses", "pooled_before")
    )
    # No source says which tokens the indexer chooses, so the picture is called a sketch.
    assert "a sketch" in floor
    # It stores a key of 128 numbers beside the 576 of a latent and a rotated key.
    assert "stores 1.22 times as much as DeepSeek-R1" in floor
    assert "10% of the cache" in merged
    assert "27% of its arithmetic" in merged
    assert "DeepSeek’s claim for DeepSeek-V4-Pro" in merged
    assert "copies" in pictures["pooled_before"].record.notes[0]
    # Numbers of layers are not shown: we read them only in copies of its configuration.
    assert not {"30", "31"} & set(re.findall(r"\d+", merged))
