"""Layout of the picture of one attention head: pure geometry, no mobjects.

Everything is in scene units; see :mod:`filmkit.core.geometry`. Sizes follow from the shapes of the
matrices, the width of the words and the frame. Scenes take boxes, points and shots from layouts
and contain no coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from filmkit.core.geometry import (
    HEADER,
    NARROW,
    WORD_GAP,
    Box,
    Frame,
    Path,
    Point,
    column_points,
    elbow_path,
    row_points,
)

__all__ = []

X_COLUMNS = (8, 4)  # first and last columns of X that are drawn
X_CELL = 0.075  # width of a cell of X
WEIGHT_BOX = (0.84, 0.5)  # width and height of a weight's box
WEIGHT_ROOM = 1.72  # from X to the queries: trunk, weight and arrow head
MAX_ROW = 0.2  # height of a row of queries, keys, values and z
MAX_ROW_X = 0.36  # height of a row of X
MAX_PATTERN = 2.4  # side of the pattern
MAX_PATTERN_CELL = 0.42
MAX_SCORES = 1.1  # side of the scores
MAX_SCORES_CELL = 0.42
SCORES_NAME = 1.0  # width of the header of the scores
MIN_SHEET = 2.7  # width of queries, keys, values and z, for the sake of their headers
MAX_SHEET_CELL = 0.13  # width of a cell of these
MIX_ROOM = 3.0  # between values and z, for a few words
BORDER = 0.16  # between a head and its border
AWAY = 0.06  # between a panel and the end of a line
TURN_ROOM = 0.1  # between z's header and the line that comes down from the pattern
UNDER = 0.32  # from the pattern down to the line that comes from the scores
LINES = 0.16  # between that line and the one that leaves the pattern
TOP_ROOM = 0.12  # between the notes at the top of a wide frame and the border of a head

# For a frame that is not wide: queries, keys and values in one column; scores, pattern and z in a
# second one to its right.
MAX_X = 2.4  # height of an X above the head, unless its words need more
X_WORD_ROW = 0.172  # smallest height of a row beside which a word can be read
X_NARROW = (4, 2)  # first and last columns of X that are drawn in a narrow frame
X_NAME = 1.42  # width of X's header
X_ABOVE_CELL = 0.09  # width of a cell of an X above the head
BUS = 0.22  # from an X above the head down to the line below it, and from there to the border
COLUMN_TRUNK = 0.19  # from X to the trunk, and from there to the border
COLUMN_ARROW = 0.28  # from a weight to its panel
COLUMN_SHEET = 2.5  # maximum width of queries, keys, values and z
MIN_MIX = 0.56  # smallest distance between values and z
MAX_COLUMN_ROW = 0.24  # height of a row of queries, keys, values and z
MIN_COLUMN_SHEET = 0.8  # height of queries, keys, values and z
WEIGHT_NOTES = 0.8  # from the middle of a weight down to the end of its notes
COLUMN_GAP = 0.28  # horizontal gaps between queries, K transposed and scores
ROW_GAP = 0.25  # smallest distance from queries down to the header of the keys
NOTES_ROOM = 1.4  # between keys and values, for a few words
SOFTMAX_ROOM = 0.32  # from scores down to the pattern's title, with one line of text beside it
SOFTMAX_LINE = 0.24  # height of each line of that text
SOFTMAX_WORDS = 1.62  # width of that text
TITLE_ROOM = 0.42  # height of the pattern's title
TITLE_AWAY = 0.12  # between the line that rises to K transposed and the pattern's title


@dataclass(frozen=True)
class HeadLayout:
    """Where everything of one attention head is, in reading order from the left.

    Attributes
    ----------
    x, q, k, v, k_t, scores, pattern, z
        Boxes of the cells of the panels; ``k_t`` is K transposed.
    w_q, w_k, w_v
        Boxes of the weights.
    x_words
        Right end of each word beside X.
    pattern_rows, pattern_columns
        Right end of each word to the left of the pattern, and lower end of each one above it.
    word_width, pattern_word
        Maximum length of a word beside X and at the pattern.
    border
        Box around the head; X is outside.
    frame
        The frame for which it was made.
    x_columns
        How many of the first and of the last columns of X are drawn.
    softmax_lines
        Number of lines of the text beside the line from scores to pattern.
    """

    x: Box
    q: Box
    k: Box
    v: Box
    k_t: Box
    scores: Box
    pattern: Box
    z: Box
    w_q: Box
    w_k: Box
    w_v: Box
    x_words: tuple[tuple[float, float], ...]
    pattern_rows: tuple[tuple[float, float], ...]
    pattern_columns: tuple[tuple[float, float], ...]
    word_width: float
    pattern_word: float
    border: Box
    frame: Frame
    x_columns: tuple[int, int] = X_COLUMNS
    softmax_lines: int = 2

    @property
    def joint(self) -> Point:
        """Where the line from the pattern meets the line from values to z."""
        return (self.z.left - 0.42, self.v.y)

    @property
    def trunk(self) -> float:
        """x of the vertical line that leads from X to the three weights."""
        return (self.x.right + self.border.left) / 2

    @property
    def x_align(self) -> str:
        """Side of X at which its header is flush, "left" or "right": away from its lines."""
        return "left"

    @property
    def title_room(self) -> float:
        """Maximum width of the pattern's title, so that no line crosses it."""
        return float(np.inf)

    def title_point(self, width: float, line: float) -> Point:
        """Return the center of the pattern's title.

        Parameters
        ----------
        width
            Width of the title.
        line
            y of the headers at the top, which are on one line.
        """
        return (self.pattern.right - width / 2, line)

    def to_weight(self, weight: Box) -> Path:
        """Return the path from X to a weight."""
        return elbow_path((self.x.right + 0.08, self.x.y), (weight.left, weight.y), bend=self.trunk)

    @property
    def k_to_k_t(self) -> Path:
        """Path from the keys to K transposed."""
        k, k_t = self.k, self.k_t
        return ((k.right + AWAY, k.y), (k_t.x, k.y), (k_t.x, k_t.bottom - AWAY))

    @property
    def q_to_k_t(self) -> Path:
        """Path from the queries to K transposed, with which they are multiplied."""
        return ((self.q.right + AWAY, self.q.y), (self.k_t.left - AWAY, self.q.y))

    @property
    def k_t_to_scores(self) -> Path:
        """Path from K transposed to the scores."""
        return ((self.k_t.right + AWAY, self.q.y), (self.scores.left - AWAY, self.q.y))

    @property
    def to_pattern(self) -> Path:
        """Path from the scores to the lower edge of the pattern, round the words beside it."""
        scores, pattern = self.scores, self.pattern
        words = pattern.left - WORD_GAP - self.pattern_word - AWAY
        bend, under = (scores.right + words) / 2, pattern.bottom - UNDER
        x = pattern.left + pattern.width / 4
        return (
            (scores.right + AWAY, scores.y),
            (bend, scores.y),
            (bend, under),
            (x, under),
            (x, pattern.bottom - AWAY),
        )

    def softmax_points(self, widths: Sequence[float]) -> tuple[Point, ...]:
        """Return the centers of lines of text beside the path from scores to pattern.

        Parameters
        ----------
        widths
            Width of each line of text.
        """
        bend = self.to_pattern[1][0]
        top = min(self.pattern.y + 0.14, self.scores.bottom - 0.2)
        return tuple((bend - 0.14 - w / 2, top - SOFTMAX_LINE * i) for i, w in enumerate(widths))

    @property
    def v_to_z(self) -> Path:
        """Path from the values to z."""
        return ((self.v.right + AWAY, self.v.y), (self.z.left - AWAY, self.v.y))

    @property
    def pattern_to_z(self) -> Path:
        """Path from the pattern to the joint; it ends to the left of z's header."""
        (x, y), turn = self.joint, self.z.top + HEADER + TURN_ROOM
        start = (self.pattern.x, self.pattern.bottom - AWAY)
        return (start, (self.pattern.x, turn), (x, turn), (x, y))


@dataclass(frozen=True)
class ColumnHeadLayout(HeadLayout):
    """Layout of a head in a frame that is not wide.

    Queries, keys and values are in a column; scores, pattern and z are in another one to its
    right. X is to the left of both, or above them.
    """

    @property
    def x_above(self) -> bool:
        """Whether X is above the head."""
        return self.x.bottom > self.border.top

    @property
    def joint(self) -> Point:
        return (min(self.z.left - 0.36, (self.v.right + self.z.left) / 2), self.v.y)

    @property
    def trunk(self) -> float:
        if self.x_above:
            return self.border.left - BORDER
        return (self.x.right + self.border.left) / 2

    @property
    def x_align(self) -> str:
        return "left" if self.x_above else "right"

    @property
    def title_room(self) -> float:
        return self.border.right - AWAY - self.k_t.x - TITLE_AWAY

    def title_point(self, width: float, line: float) -> Point:
        x = min(self.pattern.x, self.border.right - BORDER - width / 2)
        x = max(x, self.k_t.x + TITLE_AWAY + width / 2)
        return (x, self.title_top - TITLE_ROOM / 2)

    @property
    def title_top(self) -> float:
        """y of the top of the pattern's title, which is above the words of its columns."""
        return self.pattern.top + WORD_GAP + self.pattern_word + TITLE_ROOM

    def to_weight(self, weight: Box) -> Path:
        if not self.x_above:
            return super().to_weight(weight)
        x, trunk, bus = self.x, self.trunk, self.x.bottom - BUS
        start = (x.x, x.bottom - AWAY)
        return (start, (x.x, bus), (trunk, bus), (trunk, weight.y), (weight.left, weight.y))

    @property
    def beside(self) -> bool:
        """Whether the scores are to the left of the pattern's middle, not above it."""
        return self.scores.x < self.pattern.x - 1e-6

    @property
    def to_pattern(self) -> Path:
        """Path from the scores down to the pattern's title."""
        scores, x = self.scores, self.pattern.x
        end = (x, self.title_top)
        if self.beside:
            return ((scores.right + AWAY, scores.y), (x, scores.y), end)
        return ((x, scores.bottom - AWAY), end)

    def softmax_points(self, widths: Sequence[float]) -> tuple[Point, ...]:
        line = SOFTMAX_LINE
        path = self.to_pattern
        if self.beside:
            x = max(path[0][0], self.scores.x + SCORES_NAME / 2)
            top = path[0][1] + 0.2 + line * (len(widths) - 1)
            return tuple((x + 0.06 + w / 2, top - line * i) for i, w in enumerate(widths))
        (x, start), (_, end) = path
        top = (start + end + line * (len(widths) - 1)) / 2
        return tuple((x - 0.16 - w / 2, top - line * i) for i, w in enumerate(widths))


def head_layout(
    frame: Frame, *, count: int, d_model: int, d_head: int, word_width: float, pattern_word: float
) -> HeadLayout:
    """Return the layout of one head for a frame.

    Parameters
    ----------
    frame
        The frame to fill.
    count
        Number of positions, which are rows.
    d_model
        Number of columns of X; if there are only a few, all are drawn.
    d_head
        Number of columns of queries, keys and values.
    word_width
        Width of the longest word beside X.
    pattern_word
        Length of the longest word at the pattern, where words may be smaller.
    """
    arrange = _in_a_row if frame.wide else _in_columns
    return arrange(frame, count, d_model, d_head, word_width, pattern_word)


def _in_a_row(
    frame: Frame, count: int, d_model: int, d_head: int, word_width: float, pattern_word: float
) -> HeadLayout:
    """Lay out a head for a wide frame: panels side by side, from X at the left to z."""
    stage = frame.stage
    top = stage.top - TOP_ROOM
    inner = Box.of(stage.left, stage.right - BORDER, stage.bottom + BORDER, top - 0.08)

    # Queries, keys and values are in three lines of equal height, each a header above a panel.
    line_height = inner.height / 3
    row = min(MAX_ROW, (line_height - HEADER - 0.12) / count)

    def line(index: int) -> float:
        return inner.top - line_height * (index + 0.5) - HEADER / 2

    # Widths are given away from the left to words, X and weights, and from the right to the
    # pattern with its words. Queries get what is left between them, and keys, values and z too.
    columns = min(d_model, sum(X_COLUMNS))
    x_width = columns * X_CELL + (0.34 if columns < d_model else 0.0)
    x_left = inner.left + word_width + WORD_GAP
    x_row = min(MAX_ROW_X, (inner.height - HEADER) / count)
    x = Box.of(
        x_left, x_left + x_width, line(1) - x_row * count / 2, line(1) + x_row * count / 2
    ).moved(dy=min(0.0, inner.top - HEADER - line(1) - x_row * count / 2))

    scores_side = min(MAX_SCORES, MAX_SCORES_CELL * count)
    k_t_width = min(0.55, 0.16 * count)
    # The pattern ends above the line that leaves it, which runs above z's name.
    pattern_top = inner.top - HEADER - pattern_word - WORD_GAP
    floor = line(2) + row * count / 2 + HEADER + TURN_ROOM + LINES + UNDER
    pattern_side = min(MAX_PATTERN, MAX_PATTERN_CELL * count, pattern_top - floor)
    pattern = Box.of(
        inner.right - pattern_side, inner.right, pattern_top - pattern_side, pattern_top
    )
    scores_right = pattern.left - WORD_GAP - pattern_word - 0.55
    scores = Box.of(
        scores_right - scores_side,
        scores_right,
        line(0) - scores_side / 2,
        line(0) + scores_side / 2,
    )
    k_t_height = 2 * (inner.top - HEADER - line(0))
    k_t = Box(scores.left - 0.36 - k_t_width / 2, line(0), k_t_width, k_t_height)
    left = x.right + WEIGHT_ROOM
    width = min(
        k_t.left - 0.36 - left,
        (inner.right - left - MIX_ROOM) / 2,
        max(MIN_SHEET, MAX_SHEET_CELL * d_head),
    )

    def sheet(index: int) -> Box:
        half = row * count / 2
        return Box.of(left, left + width, line(index) - half, line(index) + half)

    q, k, v = sheet(0), sheet(1), sheet(2)
    z = Box.of(inner.right - q.width, inner.right, v.bottom, v.top)

    def weight(panel: Box) -> Box:
        return Box(left - 0.32 - WEIGHT_BOX[0] / 2, panel.y, *WEIGHT_BOX)

    w_q, w_k, w_v = weight(q), weight(k), weight(v)
    return HeadLayout(
        x=x,
        q=q,
        k=k,
        v=v,
        k_t=k_t,
        scores=scores,
        pattern=pattern,
        z=z,
        w_q=w_q,
        w_k=w_k,
        w_v=w_v,
        x_words=row_points(x.left - WORD_GAP, x, count),
        pattern_rows=row_points(pattern.left - WORD_GAP, pattern, count),
        pattern_columns=column_points(pattern.top + WORD_GAP, pattern, count),
        word_width=word_width,
        pattern_word=pattern_word,
        border=Box.of(w_q.left - BORDER, stage.right, stage.bottom, top),
        frame=frame,
    )


def _in_columns(
    frame: Frame, count: int, d_model: int, d_head: int, word_width: float, pattern_word: float
) -> ColumnHeadLayout:
    """Lay out a head for a frame that is not wide: panels in two columns, X above or left."""
    stage = frame.stage
    inner = Box.of(stage.left, stage.right - BORDER, stage.bottom + BORDER, stage.top - 0.1)
    above = frame.tall
    top = inner.top
    weight_room = BORDER + WEIGHT_BOX[0] + COLUMN_ARROW
    if above:
        left = inner.left + COLUMN_TRUNK + weight_room
        max_height = max(MAX_X, X_WORD_ROW * count)
        x_row = min(MAX_ROW_X, max_height / count)
        x = Box.of(left, inner.right, top - HEADER - x_row * count, top - HEADER)
        columns = int(x.width / X_ABOVE_CELL)
        x_columns = (columns - columns // 3, columns // 3)
        top = x.bottom - 2 * BUS - 0.08
    else:
        x_columns = X_NARROW if frame.width < NARROW else X_COLUMNS
        columns = min(d_model, sum(x_columns))
        width = columns * X_CELL + (0.34 if columns < d_model else 0.0)
        x_right = inner.left + max(word_width + WORD_GAP + width, X_NAME)
        left = x_right + 2 * COLUMN_TRUNK + weight_room

    # Horizontally: queries, keys and values; K transposed and scores; the pattern, centered above
    # z if its words leave room for that.
    sheet_width = min(COLUMN_SHEET, (inner.right - left - MIN_MIX) / 2)
    right, z_x = left + sheet_width, inner.right - sheet_width / 2
    k_t_width = min(0.5, 0.16 * count)
    k_t_x = right + COLUMN_GAP + AWAY + k_t_width / 2
    scores_side = min(MAX_SCORES, MAX_SCORES_CELL * count)
    scores_room = max(scores_side, SCORES_NAME)
    scores_x = k_t_x + k_t_width / 2 + COLUMN_GAP + AWAY + scores_room / 2
    words = pattern_word + WORD_GAP
    side = min(MAX_PATTERN, MAX_PATTERN_CELL * count, inner.right - right - COLUMN_GAP - words)

    def axis(side: float) -> float:
        return min(inner.right - side / 2, max(z_x, right + COLUMN_GAP + words + side / 2))

    # The scores are beside the path down to the pattern if there is room, else above it.
    beside = (
        scores_x + scores_room / 2 + COLUMN_GAP < axis(side)
        and scores_x + scores_room / 2 + SOFTMAX_WORDS - 0.4 < inner.right
    )
    free = axis(side) - k_t_x - k_t_width / 2
    softmax_lines = 2 if beside or free > SOFTMAX_WORDS else 3
    below = 0.08 if beside else SOFTMAX_ROOM + SOFTMAX_LINE * (softmax_lines - 1)
    # The words left of the pattern may be in the way of the line from keys to K transposed.
    in_the_way = axis(side) - side / 2 - words < k_t_x + 0.15

    # Vertically: queries, keys and values get the height that is left by the text between keys
    # and values, and by the pattern in the other column. A few rounds settle it, as the lower
    # edge depends on that height.
    height, bottom = MAX_COLUMN_ROW * count, inner.bottom
    over_pattern = HEADER + scores_side / 2 + below + TITLE_ROOM + words
    under_pattern = HEADER + 2 * TURN_ROOM + AWAY
    for _ in range(3):
        room = top - bottom
        wanted = [(room - over_pattern - side - under_pattern) / 1.5]
        if in_the_way:
            wanted.append((room - 2 * HEADER - ROW_GAP - 0.14 - side - under_pattern) / 2.5)
        free = room - 3 * HEADER
        max_height = min(MAX_COLUMN_ROW * count, (free - ROW_GAP - NOTES_ROOM) / 3)
        height = min(max_height, max(MIN_COLUMN_SHEET, *wanted))
        bottom = max(inner.bottom, stage.bottom + WEIGHT_NOTES - height / 2)
    left_over = top - bottom - 3 * (HEADER + height)
    gap = max(ROW_GAP, min(left_over / 3, left_over - NOTES_ROOM))

    def sheet(x: float, bottom: float) -> Box:
        return Box.of(x, x + sheet_width, bottom, bottom + height)

    q = sheet(left, top - HEADER - height)
    k = sheet(left, q.bottom - gap - HEADER - height)
    v, z = sheet(left, bottom), sheet(inner.right - sheet_width, bottom)
    k_t = Box(k_t_x, q.y, k_t_width, height)
    scores_side = min(scores_side, height)
    floor = z.top + under_pattern
    ceiling = q.y - scores_side / 2 - below - TITLE_ROOM - words
    if in_the_way:
        ceiling = min(ceiling, k.y - 0.14)
    side = min(side, ceiling - floor)
    middle = axis(side)
    pattern_top = (ceiling + floor + side) / 2
    pattern = Box(middle, pattern_top - side / 2, side, side)
    scores = Box(scores_x if beside else max(scores_x, middle), q.y, scores_side, scores_side)

    def weight(panel: Box) -> Box:
        return Box(left - COLUMN_ARROW - WEIGHT_BOX[0] / 2, panel.y, *WEIGHT_BOX)

    w_q, w_k, w_v = weight(q), weight(k), weight(v)
    if not above:
        x_row = min(MAX_ROW_X, (inner.height - HEADER) / count)
        level = min((q.y + v.y) / 2, inner.top - HEADER - x_row * count / 2)
        x = Box(x_right - width / 2, level, width, x_row * count)
    return ColumnHeadLayout(
        x=x,
        q=q,
        k=k,
        v=v,
        k_t=k_t,
        scores=scores,
        pattern=pattern,
        z=z,
        w_q=w_q,
        w_k=w_k,
        w_v=w_v,
        x_words=row_points(x.left - WORD_GAP, x, count),
        pattern_rows=row_points(pattern.left - WORD_GAP, pattern, count),
        pattern_columns=column_points(pattern.top + WORD_GAP, pattern, count),
        word_width=min(word_width, x.left - WORD_GAP - inner.left),
        pattern_word=pattern_word,
        border=Box.of(w_q.left - BORDER, stage.right, stage.bottom, top + 0.08),
        frame=frame,
        x_columns=x_columns,
        softmax_lines=softmax_lines,
    )
