"""The patterns of a whole model as one wall, one of them looked at, and a wall of empty places."""

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
from filmkit.core.text import Label, broken
from filmkit.core.theme import current_theme
from filmkit.core.view import LayerView
from filmkit.mobjects.marks import Highlight, TokenLabels
from scenes.patterns.layout import (
    MAX_WORD,
    EmptyLayout,
    StopLayout,
    WallLayout,
    gap_cells,
    onto,
    stop_layout,
)

__all__ = ["EmptyWall", "HeadStop", "Note", "PatternWall", "prompt_patterns"]

Array = npt.NDArray[np.float64]
M = TypeVar("M", bound=Mobject)


def prompt_patterns(trace: Trace) -> Array:
    """Patterns of the prompt's rows, all of them: (layer, head, query, key)."""
    stop = trace.meta.n_prompt
    layers = range(trace.meta.n_layers)
    return np.stack([trace.get("pattern", i)[:, :stop, :stop] for i in layers]).astype(np.float64)


class Spread(Reveal):
    """Show the cells of a heatmap one after another, from none."""

    def begin(self) -> None:
        self.heatmap.set_shown(0)
        super().begin()


class PatternWall(Group):
    """Every head's pattern in its place, a few images in all; rows are queries, columns keys.

    ``blocks`` are the images, ``marks`` the numbers of layers and heads, ``title`` a line that
    names it.

    Parameters
    ----------
    view
        Which positions are drawn.
    slots
        Where.
    title
        What the line says.
    """

    def __init__(self, view: LayerView, layout: WallLayout, title: str) -> None:
        super().__init__()
        theme = current_theme()
        self.view, self.layout = view, layout
        shown = slice(view.first, view.stop)
        self.patterns = prompt_patterns(view.trace)[:, :, shown, shown]
        self.blocks = [self._block(*layout.span(i)) for i in range(len(layout.corners))]
        for index, block in enumerate(self.blocks):
            block.place(layout.block(index))
        self.marks = VGroup()
        row_name, column_name = layout.names
        rows = layout.shape(0)[0]
        for number, x, y in layout.row_marks():
            text = str(number) if number % rows else f"{row_name} {number}"
            mark = Label(text, size=theme.note_size, colour=theme.muted)
            self.marks.add(mark.on_line(x - mark.width / 2, y))
        # What the columns are is said before the first one of each block.
        for index in range(len(layout.corners)):
            _, x, y = next(layout.column_marks(index))
            name = Label(column_name, size=theme.note_size, colour=theme.muted)
            left = x - layout.side / 2 - WORD_GAP
            self.marks.add(name.on_line(left - name.width / 2, y))
            for number, x, y in layout.column_marks(index):
                mark = Label(str(number), size=theme.note_size, colour=theme.muted)
                self.marks.add(mark.on_line(x, y))
        self.title = Label(title, size=theme.name_size)
        left, line = layout.title
        self.title.on_line(left + self.title.width / 2, line)
        self.add(*self.blocks, self.marks, self.title)

    def _block(self, first: int, stop: int) -> Heatmap:
        """One image of the patterns of the layers [first, stop); cells between them are free."""
        layout = self.layout
        count, gap = layout.count, gap_cells(layout.count)
        step = count + gap
        rows, columns = layout.shape(first // layout.span_most)
        values, masked, shown = np.zeros((3, rows * step - gap, columns * step - gap))
        future = np.triu(np.ones((count, count)), k=1)
        for layer in range(first, stop):
            for head in range(layout.heads):
                top, left = (step * place for place in layout.place(layer, head))
                cells = np.s_[top : top + count, left : left + count]
                values[cells] = self.patterns[layer, head]
                masked[cells], shown[cells] = future, 1.0
        block = Heatmap(
            values,
            Norm.unit(),
            width=1.0,
            height=1.0,
            masked=masked.astype(bool),
            source=TensorSource(
                expression=f"patterns of all heads of layers {first} to {stop - 1}"
            ),
        )
        return block.set_shown(shown)

    def tile(self, layer: int, head: int) -> Heatmap:
        """One head's pattern as an image of its own, lying over its place."""
        future = np.triu(np.ones((self.layout.count, self.layout.count), dtype=bool), k=1)
        span = (self.view.first, self.view.stop)
        return Heatmap(
            self.patterns[layer, head],
            Norm.unit(),
            width=1.0,
            height=1.0,
            masked=future,
            source=TensorSource(self.view.trace.key("pattern", layer), index=(head, span, span)),
        ).place(self.layout.tile(layer, head))

    def spread_from(self, layer: int, head: int) -> list[Spread]:
        """Animations that let the patterns appear in a wave from one head."""
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
            waves.append(Spread(block, when, spread=0.1))
        return waves


class Note(VGroup):
    """Lines about a head: its place, what it does, how much, and how it was found.

    Parameters
    ----------
    name, does
        Two short lines.
    said
        A sentence, broken into lines.
    found
        How it was found, quietly, broken into lines; may be empty.
    spot
        Left end and middle of the first line.
    width
        How wide lines may be.
    """

    LINE = 1.55  # from line to line, in heights of a line

    def __init__(
        self,
        name: str,
        does: str,
        said: str,
        found: str = "",
        *,
        point: tuple[float, float],
        width: float,
    ) -> None:
        super().__init__()
        theme = current_theme()
        x, y = point
        parts = [
            (name, theme.shape_size, theme.muted),
            (does, theme.name_size, theme.ink),
            (said, theme.shape_size, theme.ink),
            (found, theme.note_size, theme.muted),
        ]
        for text, size, colour in parts:
            step = self.LINE * size * FRAME_HEIGHT
            for line in broken(text, width, size=size) if text else []:
                label = Label(line, size=size, colour=colour)
                self.add(label.on_line(x + label.width / 2, y))
                y -= step
            y -= 0.6 * step


def _stop_layout(frame: Frame, view: LayerView) -> StopLayout:
    """Room for a pattern with its words, set smaller where the rows are low."""
    theme = current_theme()
    most, least = (FRAME_HEIGHT * size for size in (theme.shape_size, theme.least_size))

    def longest(words: Sequence[str], size: float) -> float:
        widths = (Label(printable(word), size=size / FRAME_HEIGHT).width for word in words)
        return min(max(widths, default=0.0), MAX_WORD)

    def layout(size: float) -> StopLayout:
        return stop_layout(
            frame,
            count=view.count,
            word=longest(view.words, size),
            hidden_word=longest(view.trace.meta.tokens[: view.first], size),
            sizes=(size, least),
        )

    # Smaller words need less room beside the pattern than the first try gave them.
    return layout(layout(most).word_size)


class HeadStop(Group):
    """One pattern of a wall looked at: its words, and a shot from which they can be read.

    Everything lies in the wall's plane, so it comes nearer and goes with the pattern. ``hidden``
    is the column of a first token that is not drawn elsewhere, with its word; it is there only
    when asked for.

    Parameters
    ----------
    wall
        Of which wall.
    layer, head
        Which pattern.
    frame
        The frame to fill.
    show_hidden
        Whether to give a hidden first token its column.
    """

    def __init__(
        self, wall: PatternWall, layer: int, head: int, frame: Frame, *, show_hidden: bool = False
    ) -> None:
        super().__init__()
        theme, view = current_theme(), wall.view
        self.tile = wall.tile(layer, head)
        self.layout = _stop_layout(frame, view)
        layout, size = self.layout, self.layout.word_size / FRAME_HEIGHT
        self.shot = onto(self.tile.box, layout.pattern, frame)
        apart = show_hidden and view.hides_first
        words = [view.words[i] for i in layout.named]
        ends = layout.rows_apart if apart else layout.rows
        self.rows = TokenLabels(words, [ends[i] for i in layout.named], width=MAX_WORD, size=size)
        self.columns = TokenLabels(
            words,
            [layout.columns[i] for i in layout.named],
            width=MAX_WORD,
            size=size,
            upright=True,
        )
        self.words = VGroup(self.rows, self.columns)
        self.hidden = Group()
        if apart:
            first = view.first
            whole = view.trace.get("pattern", layer)[head, first : view.stop, :first]
            strip = Heatmap(
                whole,
                Norm.unit(),
                width=1.0,
                height=1.0,
                source=TensorSource(
                    view.trace.key("pattern", layer),
                    index=(head, (first, view.stop), (0, first)),
                ),
            ).place(layout.hidden)
            word = TokenLabels(
                view.trace.meta.tokens[:1],
                [layout.hidden_word],
                width=MAX_WORD,
                size=size,
                upright=True,
                colour=theme.muted,
            )
            self.hidden.add(strip, word)
        self.zoom = self.shot.height / frame.height
        self.place_in_shot(self.words)
        self.place_in_shot(self.hidden)
        self.add(self.words, self.hidden)

    def place_in_shot(self, mobject: M) -> M:
        """Take a mobject from its place in the frame to where the shot shows it there."""
        return mobject.scale(self.zoom, about_point=np.zeros(3)).shift(self.shot.center)

    def edge(self) -> Highlight:
        """A frame around the pattern, to be seen from afar and from near."""
        return Highlight(self.tile.box, colour=current_theme().pattern, zoom=self.tile.box.width)

    @property
    def sink(self) -> Box:
        """Box of the column of the first token, drawn apart or not."""
        return self.hidden[0].box if len(self.hidden) else self.tile.column(0)


class EmptyWall(VMobject):
    """Places for patterns that are not known: ruled lines and nothing in them, as one path.

    Parameters
    ----------
    slots
        Where; at first the places of the small model are there.
    """

    def __init__(self, layout: EmptyLayout) -> None:
        theme = current_theme()
        super().__init__(stroke_color=theme.faint, stroke_width=theme.thin, fill_opacity=0.0)
        self.layout = layout
        self.grow(0.0)

    def grow(self, alpha: float) -> EmptyWall:
        """Show the places of the small model at 0, all at 1, and some of them between."""
        (left, top), step = self.layout.corner, self.layout.pitch
        rows, columns = (
            few + round(alpha * (all_of_them - few))
            for few, all_of_them in zip(self.layout.first, self.layout.whole, strict=True)
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
