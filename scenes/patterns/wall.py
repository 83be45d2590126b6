"""A wall of the patterns of a whole model, a close-up of one of them, and an empty wall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from manim import Group, Mobject, VGroup, VMobject

from extract.trace import Trace
from filmkit.core.animations import Reveal
from filmkit.core.geometry import FRAME_HEIGHT, WORD_GAP, Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.printable import printable
from filmkit.core.text import Label, break_lines
from filmkit.core.theme import current_theme
from filmkit.core.view import LayerView
from filmkit.mobjects.marks import Highlight, TokenLabels
from scenes.patterns.layout import (
    MAX_WORD,
    CloseupLayout,
    EmptyWallLayout,
    WallLayout,
    closeup_layout,
    frontal_shot,
    gap_cells,
)

__all__ = ["EmptyWall", "HeadCloseup", "Note", "PatternWall", "prompt_patterns"]

Array = npt.NDArray[np.float64]
M = TypeVar("M", bound=Mobject)


def prompt_patterns(trace: Trace) -> Array:
    """Return the patterns of all heads on the prompt, [layer, head, query_pos, key_pos]."""
    stop = trace.meta.n_prompt
    layers = range(trace.meta.n_layers)
    return np.stack([trace.get("pattern", i)[:, :stop, :stop] for i in layers]).astype(np.float64)


class RevealFromEmpty(Reveal):
    """Animation that reveals the cells of a heatmap, which are hidden when it begins."""

    def begin(self) -> None:
        self.heatmap.set_shown(0)
        super().begin()


class PatternWall(Group):
    """Every head's pattern in one grid, drawn as a few large images.

    Rows of a pattern are queries, columns are keys.

    Parameters
    ----------
    view
        Tells which positions are drawn.
    layout
        Where everything stands.
    title
        Text of the line that names the wall.

    Attributes
    ----------
    patterns
        [layer, head, query_pos, key_pos], the drawn positions only.
    blocks
        The images, one for each block of layers.
    numbers
        Numbers of layers and heads.
    title
        The line that names the wall.
    """

    def __init__(self, view: LayerView, layout: WallLayout, title: str) -> None:
        super().__init__()
        theme = current_theme()
        self.view, self.layout = view, layout
        shown = slice(view.first, view.stop)
        self.patterns = prompt_patterns(view.trace)[:, :, shown, shown]
        self.blocks = [self._block(*layout.span(i)) for i in range(len(layout.corners))]
        for index, block in enumerate(self.blocks):
            block.place(layout.block_box(index))
        self.numbers = VGroup()
        row_name, column_name = layout.axis_names
        rows = layout.shape(0)[0]
        for number, x, y in layout.row_numbers():
            text = str(number) if number % rows else f"{row_name} {number}"
            label = Label(text, size=theme.note_size, colour=theme.muted)
            self.numbers.add(label.on_line(x - label.width / 2, y))
        # The name of the columns stands before the first one of each block.
        for index in range(len(layout.corners)):
            _, x, y = next(layout.column_numbers(index))
            name = Label(column_name, size=theme.note_size, colour=theme.muted)
            left = x - layout.side / 2 - WORD_GAP
            self.numbers.add(name.on_line(left - name.width / 2, y))
            for number, x, y in layout.column_numbers(index):
                label = Label(str(number), size=theme.note_size, colour=theme.muted)
                self.numbers.add(label.on_line(x, y))
        self.title = Label(title, size=theme.name_size)
        left, line = layout.title
        self.title.on_line(left + self.title.width / 2, line)
        self.add(*self.blocks, self.numbers, self.title)

    def _block(self, first: int, stop: int) -> Heatmap:
        """Build one image of the layers [first, stop), with free cells between the patterns."""
        layout = self.layout
        count, gap = layout.count, gap_cells(layout.count)
        step = count + gap
        rows, columns = layout.shape(first // layout.layers_per_block)
        values, masked, shown = np.zeros((3, rows * step - gap, columns * step - gap))
        future = np.triu(np.ones((count, count)), k=1)
        for layer in range(first, stop):
            for head in range(layout.heads):
                top, left = (step * place for place in layout.grid_position(layer, head))
                cells = np.s_[top : top + count, left : left + count]
                values[cells] = self.patterns[layer, head]
                masked[cells], shown[cells] = future, 1.0
        block = Heatmap(
            values,
            Norm.unit(),
            width=1.0,
            height=1.0,
            masked=masked.astype(bool),
            source=TensorSource(expression=self._source_of(first, stop)),
        )
        return block.set_shown(shown)

    def _source_of(self, first: int, stop: int) -> str:
        """Return what one image shows, in words."""
        what = f"patterns of all heads of layers {first} to {stop - 1}"
        return f"{what} of {self.view.trace.meta.model}" if self.view.compared else what

    def tile(self, layer: int, head: int) -> Heatmap:
        """Build an image of one head's pattern alone, exactly over its place in the wall."""
        future = np.triu(np.ones((self.layout.count, self.layout.count), dtype=bool), k=1)
        span = (self.view.first, self.view.stop)
        return Heatmap(
            self.patterns[layer, head],
            Norm.unit(),
            width=1.0,
            height=1.0,
            masked=future,
            source=TensorSource(
                self.view.trace.tensor_name("pattern", layer), index=(head, span, span)
            ),
        ).place(self.layout.tile(layer, head))

    def wave_from(self, layer: int, head: int) -> list[RevealFromEmpty]:
        """Return animations that let the patterns appear in a wave from one head outwards."""
        center = np.array(self.layout.tile(layer, head).center[:2])
        box = self.layout.box
        farthest = float(np.hypot(box.width, box.height))
        waves = []
        for block in self.blocks:
            rows, columns = block.shape
            x = block.box.left + block.box.width * (np.arange(columns) + 0.5) / columns
            y = block.box.top - block.box.height * (np.arange(rows) + 0.5) / rows
            when = np.hypot(x[None, :] - center[0], y[:, None] - center[1]) / farthest
            when[block.shown == 0] = np.nan
            waves.append(RevealFromEmpty(block, when, spread=0.1))
        return waves


class Note(VGroup):
    """Lines of text about a head.

    Parameters
    ----------
    name
        Which head it is.
    behaviour
        What it does, in a few words.
    measurement
        How much it does so; broken into lines.
    criterion
        How the head was chosen; in small letters, broken into lines, may be empty.
    point
        (x, y) of the left end of the first line.
    width
        Largest width of a line, in scene units.
    """

    LINE = 1.55  # distance from line to line, in heights of a line

    def __init__(
        self,
        name: str,
        behaviour: str,
        measurement: str,
        criterion: str = "",
        *,
        point: tuple[float, float],
        width: float,
    ) -> None:
        super().__init__()
        theme = current_theme()
        x, y = point
        parts = [
            (name, theme.shape_size, theme.muted),
            (behaviour, theme.name_size, theme.ink),
            (measurement, theme.shape_size, theme.ink),
            (criterion, theme.note_size, theme.muted),
        ]
        for text, size, colour in parts:
            step = self.LINE * size * FRAME_HEIGHT
            for line in break_lines(text, width, size=size) if text else []:
                label = Label(line, size=size, colour=colour)
                self.add(label.on_line(x + label.width / 2, y))
                y -= step
            y -= 0.6 * step


def _closeup_layout(frame: Frame, view: LayerView) -> CloseupLayout:
    """Lay out a close-up of a pattern of ``view``; words are smaller where its rows are low."""
    theme = current_theme()
    maximum, minimum = (FRAME_HEIGHT * size for size in (theme.shape_size, theme.min_text_size))

    def longest(words: Sequence[str], size: float) -> float:
        widths = (Label(printable(word), size=size / FRAME_HEIGHT).width for word in words)
        return min(max(widths, default=0.0), MAX_WORD)

    def layout(size: float) -> CloseupLayout:
        return closeup_layout(
            frame,
            count=view.count,
            word_width=longest(view.words, size),
            hidden_word_width=longest(view.trace.meta.tokens[: view.hides_first], size),
            sizes=(size, minimum),
        )

    # Smaller words need less room beside the pattern, so lay it out again with their final size.
    return layout(layout(maximum).word_size)


class HeadCloseup(Group):
    """Close-up of one pattern of a wall: its words, and a shot from which they can be read.

    Everything lies in the wall's plane, so it grows and shrinks with the pattern as the camera
    moves.

    Parameters
    ----------
    wall
        The wall with the pattern.
    layer, head
        The head whose pattern it is.
    frame
        The frame to fill.
    show_hidden
        Whether to draw the column of a hidden first token.

    Attributes
    ----------
    tile
        Image of the pattern alone, over its place in the wall.
    layout
        Where everything stands in the frame when the camera is at ``shot``.
    shot
        Shot from which the words can be read.
    words
        Words of the rows and of the columns.
    hidden
        Column of the hidden first token and its word; empty unless it is drawn.
    zoom
        Height of the shot relative to the frame's.
    """

    def __init__(
        self, wall: PatternWall, layer: int, head: int, frame: Frame, *, show_hidden: bool = False
    ) -> None:
        super().__init__()
        theme, view = current_theme(), wall.view
        self.tile = wall.tile(layer, head)
        self.layout = _closeup_layout(frame, view)
        layout, size = self.layout, self.layout.word_size / FRAME_HEIGHT
        self.shot = frontal_shot(self.tile.box, layout.pattern, frame)
        shows_hidden = show_hidden and view.hides_first
        words = [view.words[i] for i in layout.labelled]
        ends = layout.row_words_apart if shows_hidden else layout.row_words
        self.rows = TokenLabels(
            words, [ends[i] for i in layout.labelled], width=MAX_WORD, size=size
        )
        self.columns = TokenLabels(
            words,
            [layout.column_words[i] for i in layout.labelled],
            width=MAX_WORD,
            size=size,
            vertical=True,
        )
        self.words = VGroup(self.rows, self.columns)
        self.hidden = Group()
        if shows_hidden:
            first = view.first
            whole = view.trace.get("pattern", layer)[head, first : view.stop, :1]
            strip = Heatmap(
                whole,
                Norm.unit(),
                width=1.0,
                height=1.0,
                source=TensorSource(
                    view.trace.tensor_name("pattern", layer),
                    index=(head, (first, view.stop), (0, 1)),
                ),
            ).place(layout.hidden)
            word = TokenLabels(
                view.trace.meta.tokens[:1],
                [layout.hidden_word],
                width=MAX_WORD,
                size=size,
                vertical=True,
                colour=theme.muted,
            )
            self.hidden.add(strip, word)
        self.zoom = self.shot.height / frame.height
        self.place_in_shot(self.words)
        self.place_in_shot(self.hidden)
        self.add(self.words, self.hidden)

    def place_in_shot(self, mobject: M) -> M:
        """Move and scale a mobject so that the shot shows it where it stands in the frame now."""
        return mobject.scale(self.zoom, about_point=np.zeros(3)).shift(self.shot.center)

    def outline(self) -> Highlight:
        """Return a frame around the pattern that can be seen from far and near."""
        return Highlight(self.tile.box, colour=current_theme().pattern, zoom=self.tile.box.width)

    @property
    def first_token_column(self) -> Box:
        """Box of the first token's column, whether it stands apart or in the pattern."""
        return self.hidden[0].box if len(self.hidden) else self.tile.column(0)


class EmptyWall(VMobject):
    """Empty grid for the patterns of a model without a trace: ruled lines, as one path.

    It begins with the cells of the traced model only.

    Parameters
    ----------
    layout
        Where the grid stands.
    """

    def __init__(self, layout: EmptyWallLayout) -> None:
        theme = current_theme()
        super().__init__(stroke_color=theme.faint, stroke_width=theme.thin, fill_opacity=0.0)
        self.layout = layout
        self.grow(0.0)

    def grow(self, alpha: float) -> EmptyWall:
        """Draw the cells of the traced model at 0, all at 1, and a part of them in between."""
        (left, top), step = self.layout.corner, self.layout.pitch
        rows, columns = (
            small + round(alpha * (large - small))
            for small, large in zip(self.layout.traced_shape, self.layout.shape, strict=True)
        )
        right, bottom = left + columns * step, top - rows * step
        self.clear_points()
        for row in range(rows + 1):
            y = top - row * step
            self._line((left, y), (right, y))
        for column in range(columns + 1):
            x = left + column * step
            self._line((x, top), (x, bottom))
        return self

    def _line(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.start_new_path(np.array([*start, 0.0]))
        self.add_line_to(np.array([*end, 0.0]))
