"""A wall of the patterns of a whole model, close-ups of single ones, and places of others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from manim import Group, Mobject, VGroup, color_to_rgb

from extract.patterns import StrongestHead
from extract.trace import Trace
from filmkit.core.animations import Reveal
from filmkit.core.geometry import FRAME_HEIGHT, WORD_GAP, Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import N_, _
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.printable import printable
from filmkit.core.quantities import quantity
from filmkit.core.raster import Texture
from filmkit.core.text import Label, Tick, break_lines, fit_word
from filmkit.core.theme import current_theme
from filmkit.core.view import LayerView
from filmkit.mobjects.flow import Wire
from filmkit.mobjects.marks import Highlight, TokenLabels
from scenes.patterns.layout import (
    DISPLAY,
    MAX_WORD,
    CloseupLayout,
    FieldLayout,
    WallLayout,
    closeup_layout,
    frontal_shot,
    gap_cells,
)

__all__ = [
    "HabitPattern",
    "HeadCloseup",
    "Note",
    "PatternPlaces",
    "PatternWall",
    "WallTitle",
    "names_width",
    "prompt_patterns",
]

BLUR = 0.17  # of the places of a large model seen from far, as a share of a place
BESIDE = 0.1  # how far these lines may reach beyond the pattern
LABEL_GAP = 0.14  # between a pattern and the lines below it, in scene units

Array = npt.NDArray[np.float64]
M = TypeVar("M", bound=Mobject)


def prompt_patterns(trace: Trace) -> Array:
    """Return the patterns of all heads on the prompt, [layer, head, query_pos, key_pos]."""
    stop = trace.meta.n_prompt
    layers = range(trace.meta.n_layers)
    return np.stack([trace.get("pattern", i)[:, :stop, :stop] for i in layers]).astype(np.float64)


@quantity(N_("attention patterns"), axes=())
def wall_of_patterns(
    trace: Trace,
    layers: tuple[int, int],
    heads: tuple[int, int],
    drawn: tuple[int, int],
    gap: int,
    downward: bool,
) -> Array:
    """Return the patterns of all layers and heads as one matrix, with free cells between them.

    The drawn positions of each are shown. A layer is a column of patterns, or a row if the wall
    goes downward.
    """
    span = slice(*drawn)
    numbers = range(layers[0], layers[1] + 1)
    patterns = np.stack([trace.get("pattern", layer)[:, span, span] for layer in numbers])
    padded = np.pad(patterns, ((0, 0), (0, 0), (0, gap), (0, gap)))
    grid = padded if downward else padded.swapaxes(0, 1)
    rows, columns, count, _count = grid.shape
    image = grid.transpose(0, 2, 1, 3).reshape(rows * count, columns * count)
    return image[: len(image) - gap, : image.shape[1] - gap]


def _axis_names(downward: bool) -> tuple[str, str]:
    """Return the name of the first row of a wall, and what its columns are."""
    if downward:
        return _("layer {number}", number=0), _("head")
    return _("head {number}", number=0), _("layer")


def names_width(frame: Frame) -> float:
    """Return the largest width of what names the rows and the columns of a wall."""
    size = current_theme().note_size
    return max(Label(name, size=size).width for name in _axis_names(frame.tall))


class RevealFromEmpty(Reveal):
    """Animation that reveals the cells of a heatmap, which are hidden when it begins."""

    def begin(self) -> None:
        self.heatmap.set_shown(0)
        super().begin()


class PatternWall(Group):
    """Every head's pattern in one grid, drawn as one large image.

    Rows of a pattern are queries, columns are keys.

    Parameters
    ----------
    view
        Tells which positions are drawn.
    layout
        Where everything stands.
    title
        The line that names the wall.

    Attributes
    ----------
    patterns
        [layer, head, query_pos, key_pos], the drawn positions only.
    cells
        The image.
    numbers
        Numbers of layers and heads.
    way
        The arrow from the first layer to the last, with its name.
    title
        As above.
    """

    def __init__(self, view: LayerView, layout: WallLayout, title: WallTitle) -> None:
        super().__init__()
        theme = current_theme()
        self.view, self.layout = view, layout
        shown = slice(view.first, view.stop)
        self.patterns = prompt_patterns(view.trace)[:, :, shown, shown]
        self.cells = self._cells()
        self.numbers = VGroup()
        first_row, column_name = _axis_names(layout.downward)
        for number, x, y in layout.row_numbers():
            text = str(number) if number else first_row
            label = Tick(text, size=theme.note_size, colour=theme.muted)
            self.numbers.add(label.on_line(x - label.width / 2, y))
        # The name of the columns stands before the first one.
        _first, x, y = next(layout.column_numbers())
        name = Label(column_name, size=theme.note_size, colour=theme.muted)
        self.numbers.add(name.on_line(x - layout.side / 2 - WORD_GAP - name.width / 2, y))
        for number, x, y in layout.column_numbers():
            label = Tick(str(number), size=theme.note_size, colour=theme.muted)
            self.numbers.add(label.on_line(x, y))
        self.way = self._way()
        self.title = title.at(layout.title)
        self.add(self.cells, self.numbers, self.way, self.title)

    def _cells(self) -> Heatmap:
        """Build the image, with free cells between the patterns."""
        layout = self.layout
        count, gap = layout.count, gap_cells(layout.count)
        step = count + gap
        rows, columns = layout.shape
        values, masked, shown = np.zeros((3, rows * step - gap, columns * step - gap))
        future = np.triu(np.ones((count, count)), k=1)
        for layer in range(layout.layers):
            for head in range(layout.heads):
                top, left = (step * place for place in layout.grid_position(layer, head))
                cells = np.s_[top : top + count, left : left + count]
                values[cells] = self.patterns[layer, head]
                masked[cells], shown[cells] = future, 1.0
        view = self.view
        given = {
            "layers": (0, layout.layers - 1),
            "heads": (0, layout.heads - 1),
            "drawn": (view.first, view.stop),
            "gap": gap,
            "downward": layout.downward,
        }
        source = TensorSource(
            quantity="wall_of_patterns",
            given=tuple(given.items()),
            model=view.trace.meta.model if view.compared else "",
        )
        image = Heatmap(
            values,
            Norm.unit(),
            width=1.0,
            height=1.0,
            masked=masked.astype(bool),
            source=source,
        )
        return image.set_shown(shown).place(layout.box)

    def _way(self) -> VGroup:
        """Build the arrow along the wall; a wall that is too short for its name has none."""
        theme, layout = current_theme(), self.layout
        (x, y), end = layout.way
        if layout.downward or layout.layers < 2:
            return VGroup(*([Wire([(x, y), end])] if layout.layers > 1 else []))
        name = Label(_("through the model"), size=theme.note_size, colour=theme.muted)
        if name.width > 0.6 * (end[0] - x):
            return VGroup(Wire([(x, y), end]))
        name.on_line(x + name.width / 2, y)
        return VGroup(name, Wire([(x + name.width + 2 * WORD_GAP, y), end]))

    def part(self, layer: int, head: int, box: Box, *, first: bool = False) -> Heatmap:
        """Build an image of one head's pattern alone.

        Parameters
        ----------
        layer, head
            The head.
        box
            Where it is.
        first
            Whether it is the column of a first token that is not drawn with the others.
        """
        view = self.view
        span = (view.first, view.stop)
        columns = (0, 1) if first else span
        whole = view.trace.get("pattern", layer)[head].astype(np.float64)
        values = whole[slice(*span), slice(*columns)]
        whole = replace(view, layer=layer).head(head).pattern_source
        source = replace(whole, index=(head, span, columns))
        future = np.triu(np.ones(values.shape, dtype=bool), k=1) & (not first)
        cells = Heatmap(values, Norm.unit(), width=1.0, height=1.0, masked=future, source=source)
        return cells.place(box)

    def tile(self, layer: int, head: int) -> Heatmap:
        """Build an image of one head's pattern alone, exactly over its place in the wall."""
        return self.part(layer, head, self.layout.tile(layer, head))

    def outline(self, layer: int, head: int) -> Highlight:
        """Return a frame around the pattern of a head that can be seen from far and near."""
        box = self.layout.tile(layer, head)
        return Highlight(box, colour=current_theme().highlight, zoom=box.width)

    def name_of(self, layer: int, head: int) -> Label:
        """Return the name of a head, below the wall and in the colour of its frame."""
        theme, box = current_theme(), self.layout.box
        name = _("layer {layer}, head {head}", layer=layer, head=head)
        label = Label(name, size=theme.shape_size, colour=theme.highlight)
        half = label.width / 2
        x = max(box.left + half, min(self.layout.tile(layer, head).x, box.right - half))
        return label.on_line(x, box.bottom - 0.6 * label.line_height - WORD_GAP)

    def wave_from(self, layer: int, head: int) -> RevealFromEmpty:
        """Return an animation that lets the patterns appear in a wave from one head outwards."""
        x, y, _z = self.layout.tile(layer, head).center
        box, (rows, columns) = self.layout.box, self.cells.shape
        across = box.left + box.width * (np.arange(columns) + 0.5) / columns - x
        down = box.top - box.height * (np.arange(rows) + 0.5) / rows - y
        when = np.hypot(across[None, :], down[:, None])
        when /= when.max() + 1e-9
        when[self.cells.shown == 0] = np.nan
        return RevealFromEmpty(self.cells, when, spread=0.1)


class WallTitle(VGroup):
    """The line that names a wall: how many patterns, large, and of what, small.

    Parameters
    ----------
    count
        Number of patterns, with what is counted.
    *parts
        How that number comes about: the first that fits, or nothing.
    room
        Largest width of the line, in scene units.
    """

    GAP = 0.3  # between both, in scene units

    def __init__(self, count: str, *parts: str, room: float) -> None:
        super().__init__()
        theme = current_theme()
        self.count = Label(count, size=DISPLAY)
        labels = [Label(text, size=theme.shape_size, colour=theme.muted) for text in (*parts, "")]
        free = room - self.count.width - self.GAP
        self.parts = next(label for label in labels if label.width <= max(free, 0.0))
        self.add(self.count, self.parts)
        self.at((0.0, 0.0))

    def at(self, point: tuple[float, float]) -> WallTitle:
        """Move it to (x, y), the left end of its line, and return it."""
        x, y = point
        self.count.on_line(x + self.count.width / 2, y)
        # Both stand on one baseline.
        drop = 0.3 * (self.count.line_height - self.parts.line_height)
        x += self.count.width + self.GAP
        self.parts.on_line(x + self.parts.width / 2, y - drop)
        return self


class Note(VGroup):
    """What is said of a head beside its pattern: its habit, a figure, and what that counts.

    Parameters
    ----------
    name
        Which head it is.
    habit
        What it does, in a few words.
    figure
        How much it does so, very large; may be empty.
    meaning
        What the figure counts; broken into lines.
    point
        (x, y) of the left end of the top.
    width
        Largest width of a line, in scene units.
    bottom
        Where all this ends if its words, made smaller, can be read there.
    """

    LINE = 1.45  # distance from line to line, in heights of a line
    SMALLER = 0.94  # from one size of its words to the next

    def __init__(
        self,
        name: str,
        habit: str,
        figure: str,
        meaning: str,
        *,
        point: tuple[float, float],
        width: float,
        bottom: float = -math.inf,
    ) -> None:
        super().__init__()
        theme = current_theme()
        texts, scale = (name, habit, figure, meaning), 1.0
        self._write(texts, scale, point, width)
        while self.get_bottom()[1] < bottom and scale * theme.shape_size > theme.min_text_size:
            scale = max(self.SMALLER * scale, theme.min_text_size / theme.shape_size)
            self.remove(*self.submobjects)
            self._write(texts, scale, point, width)

    def _write(
        self,
        texts: tuple[str, str, str, str],
        scale: float,
        point: tuple[float, float],
        width: float,
    ) -> None:
        """Write the texts, with words that are smaller by a scale."""
        theme, (x, y) = current_theme(), point
        name, habit, figure, meaning = texts
        small, large = scale * theme.shape_size, scale * theme.name_size
        parts = [
            (name, small, theme.muted),
            (habit, large, theme.ink),
            (figure, DISPLAY, theme.accent),
            (meaning, small, theme.ink),
        ]
        for text, size, colour in parts:
            step = self.LINE * size * FRAME_HEIGHT
            for line in break_lines(text, width, size=size) if text else []:
                label = Label(line, size=size, colour=colour)
                self.add(label.on_line(x + label.width / 2, y - step / 2))
                y -= step
            y -= 0.3 * step if text else 0.0


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
            strip = wall.part(layer, head, layout.hidden, first=True)
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

    @property
    def first_token_column(self) -> Box:
        """Box of the first token's column, whether it stands apart or in the pattern."""
        return self.hidden[0].box if len(self.hidden) else self.tile.column(0)


class HabitPattern(Group):
    """One head's pattern with the column of its first token, and two lines below it.

    Parameters
    ----------
    wall
        The wall of its model.
    find
        The head.
    box
        Where both are, in scene units.
    name, place
        The lines: whose pattern it is, and which head.
    """

    def __init__(
        self, wall: PatternWall, find: StrongestHead, box: Box, name: str, place: str
    ) -> None:
        super().__init__()
        theme, count = current_theme(), wall.view.count
        square = Box.of(box.right - box.height, box.right, box.bottom, box.top)
        self.pattern = wall.part(find.layer, find.head, square)
        self.first = Group()
        if wall.view.hides_first:
            left = Box.of(box.left, box.left + box.height / count, box.bottom, box.top)
            self.first.add(wall.part(find.layer, find.head, left, first=True))
        self.words, y = VGroup(), box.bottom - LABEL_GAP
        room = box.width + BESIDE
        for text, size, colour in (
            (name, theme.shape_size, theme.ink),
            (place, theme.note_size, theme.muted),
        ):
            label = fit_word(text, room, size=size, colour=colour)
            y -= 0.7 * label.line_height
            self.words.add(label.on_line(box.left + label.width / 2, y))
            y -= 0.7 * label.line_height
        self.add(self.pattern, self.first, self.words)


def _softened(glyph: Array) -> Array:
    """Return a glyph that repeats without hard edges: small ones would shimmer."""
    tiled = cv2.GaussianBlur(np.tile(glyph, (3, 3)), (0, 0), BLUR * len(glyph))
    rows, columns = glyph.shape
    return np.asarray(tiled[rows : 2 * rows, columns : 2 * columns])


class PatternPlaces(Heatmap):
    """The places of a large model's patterns, as small neutral triangles.

    No numbers are behind them, so none of its cells is shown as a number would be; how far each
    triangle is there is told by :meth:`grow`. The places that the traced model's wall covers are
    left free.

    Parameters
    ----------
    layout
        Where the places are.
    wall
        The traced model's wall, in the first of them.
    """

    TEXELS = 12  # sides of a place, in pixels of its image; the last is free
    SOFT = 0.12  # share of the growth in which one triangle comes

    def __init__(self, layout: FieldLayout, wall: WallLayout) -> None:
        rows, columns = layout.shape
        super().__init__(np.zeros((rows, columns)), Norm.unit(), width=1.0, height=1.0, edged=False)
        self.set_shown(0.0)
        self.colour = np.asarray(color_to_rgb(current_theme().faint)) * 255
        side = self.TEXELS - 1
        sharp = np.zeros((self.TEXELS, self.TEXELS))
        sharp[:side, :side] = np.tril(np.ones((side, side)))
        self.glyphs = sharp, _softened(sharp)
        (left, top), pitch = layout.corner, layout.pitch
        self.place(Box.of(left, left + columns * pitch, top - rows * pitch, top))
        row, column = np.mgrid[:rows, :columns]
        high, wide = wall.shape
        # From the wall outwards, as the camera sees them: evenly in the logarithm.
        away = np.maximum((row + 1) / high, (column + 1) / wide)
        self.when = np.log(np.maximum(away, 1.0))
        self.when /= max(float(self.when.max()), 1e-9)
        self.there = np.zeros((rows, columns), dtype=bool)
        self.there[tuple(layout.places.reshape(-1, 2).T)] = True
        self.there &= (row >= high) | (column >= wide)
        self.grow(0.0)

    def grow(self, alpha: float) -> PatternPlaces:
        """Draw no triangle at 0 and all at 1, the nearest to the wall first."""
        grown = np.clip((alpha * (1 + self.SOFT) - self.when) / self.SOFT, 0.0, 1.0)
        self.grown = grown * self.there
        sharp, soft = self.glyphs
        self.glyph = (1 - alpha) * sharp + alpha * soft
        self._texture = None
        return self

    def texture(self) -> Texture:
        if self._texture is None:
            alpha = np.kron(self.grown, self.glyph)[..., None]
            rgba = np.concatenate([self.colour * alpha, alpha * 255], axis=-1)
            self._texture = Texture(np.rint(rgba).astype(np.uint8))
        return self._texture
