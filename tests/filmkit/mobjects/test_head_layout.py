"""Layouts: the panels of one head, shots, sentences."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmkit.core.geometry import HEADER, Box, Frame, row_points, shot_box
from filmkit.mobjects.head_layout import HeadLayout, head_layout
from filmkit.render.quality import ASPECTS, frame_size, quality_of

FRAME = Frame(8 * 16 / 9)
FRAMES = {
    name: Frame(*frame_size(quality.width, quality.height))
    for name in ASPECTS
    for quality in [quality_of("4k", name)]
}
PANELS = ("x", "q", "k", "v", "k_t", "scores", "pattern", "z", "w_q", "w_k", "w_v")


@st.composite
def heads(draw: st.DrawFn) -> tuple[int, HeadLayout]:
    count, frame = draw(st.integers(2, 24)), draw(st.sampled_from(list(FRAMES.values())))
    longest = 0.13 * frame.width
    return count, head_layout(
        frame,
        count=count,
        d_model=draw(st.sampled_from([8, 64, 576, 7168])),
        d_head=draw(st.sampled_from([4, 64, 128, 256])),
        word_width=draw(st.floats(0.1, min(1.45, longest))),
        pattern_word=draw(st.floats(0.1, min(1.45, longest))),
    )


@given(heads())
def test_panels_of_a_head_are_inside_and_apart(head: tuple[int, HeadLayout]) -> None:
    _, layout = head
    boxes = {name: getattr(layout, name) for name in PANELS}
    for name, box in boxes.items():
        assert layout.frame.stage.contains(box), name
        assert box.width > 0, name
        assert box.height > 0, name
    for (first, a), (second, b) in combinations(boxes.items(), 2):
        assert a.overlap(b) == (0.0, 0.0), (first, second)


@given(heads(), st.floats(0.5, 3.0))
def test_no_line_crosses_the_title_of_a_pattern(head: tuple[int, HeadLayout], width: float) -> None:
    _, layout = head
    width = min(width, layout.title_room)
    x, y = layout.title_point(width, layout.frame.stage.top - HEADER / 2)
    title = Box(x, y, width, 0.3)
    assert title.right < layout.border.right
    for start, end in pairwise(layout.k_to_k_t):
        line = Box.between((*start, 0.0), (*end, 0.0)).grown(0.02)
        assert title.overlap(line) == (0.0, 0.0)


@given(heads())
def test_what_has_the_same_shape_has_the_same_size(head: tuple[int, HeadLayout]) -> None:
    _, layout = head
    for box in (layout.k, layout.v, layout.z):
        assert (box.width, box.height) == pytest.approx((layout.q.width, layout.q.height))
    assert layout.z.y == pytest.approx(layout.v.y)
    assert layout.scores.y == pytest.approx(layout.q.y)


@given(heads())
def test_the_border_holds_the_head_and_not_its_input(head: tuple[int, HeadLayout]) -> None:
    _, layout = head
    for name in PANELS[1:]:
        assert layout.border.contains(getattr(layout, name)), name
    assert layout.border.overlap(layout.x) == (0.0, 0.0)
    assert layout.frame.stage.left <= layout.trunk < layout.border.left


@given(heads())
def test_words_stand_beside_their_rows(head: tuple[int, HeadLayout]) -> None:
    count, layout = head
    assert len(layout.x_words) == len(layout.pattern_rows) == len(layout.pattern_columns) == count
    for x, y in layout.pattern_rows:
        assert x < layout.pattern.left
        assert layout.pattern.bottom < y < layout.pattern.top
    heights = [y for _, y in layout.x_words]
    assert heights == sorted(heights, reverse=True)


@given(heads())
def test_lines_run_upright_or_across_and_meet_no_panel(head: tuple[int, HeadLayout]) -> None:
    _, layout = head
    boxes = [getattr(layout, name) for name in PANELS]
    paths = [layout.to_weight(w) for w in (layout.w_q, layout.w_k, layout.w_v)]
    paths += [layout.k_to_k_t, layout.q_to_k_t, layout.k_t_to_scores, layout.to_pattern]
    paths += [layout.v_to_z, layout.pattern_to_z]
    for path in paths:
        for (x1, y1), (x2, y2) in pairwise(path):
            assert min(abs(x1 - x2), abs(y1 - y2)) < 1e-6
            line = Box.between((x1, y1), (x2, y2)).grown(0.01)
            for box in boxes:
                assert line.overlap(box.grown(-0.02)) == (0.0, 0.0), (path, box)
            assert layout.frame.safe.contains(line)


@given(
    st.floats(-5, 5), st.floats(-3, 3), st.floats(0.1, 8), st.floats(0.1, 5), st.floats(1.0, 1.5)
)
def test_a_shot_keeps_captions_and_margins_free(
    x: float, y: float, width: float, height: float, pad: float
) -> None:
    box = Box(x, y, width, height)
    seen, zoom = shot_box(box, FRAME, pad=pad)
    assert seen.width / seen.height == pytest.approx(FRAME.width / FRAME.height)
    stage = FRAME.stage
    inside = Box(
        seen.x + stage.x * zoom, seen.y + stage.y * zoom, stage.width * zoom, stage.height * zoom
    )
    assert inside.contains(box)


def test_row_points_divide_a_box() -> None:
    assert row_points(0.0, Box(0, 0, 1, 3), 3) == ((0.0, 1.0), (0.0, 0.0), (0.0, -1.0))
