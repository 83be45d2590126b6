"""Pictures of the size of a key/value cache: bars, tiles, boxes that become lines, and columns.

All numbers are computed by :mod:`extract.architectures` and :mod:`extract.newer_schemes`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np
from manim import (
    Animation,
    AnimationGroup,
    Circle,
    LaggedStart,
    Rectangle,
    VGroup,
    VMobject,
    linear,
)

from extract.architectures import (
    CONTEXT_TOKENS,
    GPU_BYTES,
    H100_SXM,
    V2_SAVING,
    V2_THROUGHPUT,
    DecodingWork,
    architecture,
    v2_cache_claim,
)
from extract.newer_schemes import NewerScheme
from filmkit.core.animations import AnimateWith, Arrive, Glide, set_presence
from filmkit.core.facts import fact
from filmkit.core.geometry import Box, Point
from filmkit.core.language import _, ngettext
from filmkit.core.numbers import (
    counted_heads,
    counted_layers,
    format_count,
    format_decimal,
    format_gigabytes,
    format_kilobytes,
    format_number,
    format_percent,
    format_short,
    ratio_sign,
    readable_bytes,
)
from filmkit.core.text import Label, Number, break_lines, fit_size, stacked_lines
from filmkit.core.theme import current_theme
from filmkit.mobjects.cached_numbers import BITS, CachedPerToken, trained_ratio
from filmkit.mobjects.chart import ChartAxes, ChartAxis, Curve, EndLabels, ReferenceLine, grow_bar
from filmkit.mobjects.flow import Draw, Wire
from filmkit.mobjects.marks import Outline
from scenes.cache_size.layout import (
    COLUMN,
    DISPLAY,
    ChartLayout,
    SavingLayout,
    TokenLayout,
    WorkLayout,
)

__all__ = [
    "MemoryLines",
    "NewerLines",
    "Readers",
    "ReadersOfNumber",
    "SavingColumns",
    "TokenBars",
    "format_context",
    "lean_over",
]

GAP = 0.16  # between a mark and its words
MARK = 0.2  # side of the box that marks a full GPU


def _words(
    text: str,
    point: Point,
    *,
    size: float,
    colour: str,
    right: bool = False,
    room: float = math.inf,
) -> Label:
    """Return a line of words, no wider than a room, whose left or right end is at (x, y)."""
    label = Label(text, size=size, colour=colour).shrink_to(room)
    half = -label.width / 2 if right else label.width / 2
    label.on_line(point[0] + half, point[1])
    return label


def format_context(tokens: float) -> str:
    """Return a length of the context in units of 1024 tokens, such as "128K"."""
    return _("{number}K", number=format_count(tokens / 1024))


def _filled(box: Box, colour: str) -> Rectangle:
    """Return a box filled with a colour."""
    return Rectangle(
        width=box.width, height=box.height, stroke_width=0.0, fill_color=colour, fill_opacity=1.0
    ).move_to(box.center)


def _named_pieces(bar: VGroup, names: Sequence[str]) -> VGroup:
    """Return names in the middle of the pieces of a bar or a column, on end where it is narrow."""
    theme, labels = current_theme(), VGroup()
    for piece, name in zip(bar, names, strict=False):
        label = Label(name, size=theme.shape_size, colour=theme.background)
        if label.width > piece.width - GAP:
            label.rotate(np.pi / 2)
        labels.add(label.move_to(piece))
    return labels


def lean_over(piece: Rectangle, start: Point, end: Point) -> Glide:
    """Return an animation in which a piece of a bar becomes as thin as the line between points."""
    low, high = (np.array([x, y, 0.0]) for x, y in (start, end))
    return Glide(piece, piece.copy().set_points_as_corners([low, high, high, low, low]))


def one_decimal(number: float) -> str:
    """Return a number with one decimal."""
    return format_decimal(number, 1)


class TokenBars(VGroup):
    """Bars of the bytes of one token under each scheme, all on one scale from zero.

    Parameters
    ----------
    caches
        What each scheme caches, from the top: keys and values of every head first, the latent
        last.
    layout
        Where everything stands.

    Attributes
    ----------
    title
        What is counted.
    bars, names, sizes
        For each scheme the pieces of its bar, its name, and its size in bytes.
    tiles
        The latent's bar, repeated along the first one.
    key
        The words "keys" and "values" in the pieces of the first bar.
    ratio, meaning
        How often it fits, below the tiles: a number that counts up and its sign; and what that
        means.
    """

    def __init__(self, caches: Sequence[CachedPerToken], layout: TokenLayout) -> None:
        super().__init__()
        theme = current_theme()
        self.caches, arch = tuple(caches), caches[0].arch
        self.title = _words(
            _("one token in the cache, at DeepSeek-R1’s size"),
            layout.title,
            size=theme.shape_size,
            colour=theme.muted,
        )
        self.unit = layout.rows[0].width / caches[0].size()
        self.bars, self.names, self.sizes = VGroup(), VGroup(), VGroup()
        for cache, row, point in zip(caches, layout.rows, layout.names, strict=True):
            colour = cache.colour if cache.scheme == "mla" else theme.ink
            self.names.add(_words(cache.name, point, size=theme.name_size, colour=colour))
            bar, x = VGroup(), row.left
            for span in cache.spans():
                width = span.value * self.unit
                bar.add(_filled(Box.of(x, x + width, row.bottom, row.top), span.colour))
                x += width
            self.bars.add(bar)
            size = cache.told(beside=cache.name)
            self.sizes.add(_words(size, (x + GAP, row.y), size=theme.name_size, colour=theme.ink))
        self.key = _named_pieces(self.bars[0], (_("keys"), _("values")))
        self._measure(layout, arch.n_heads)
        self.add(self.title, self.bars, self.key, self.names, self.sizes, self.tiles)
        self.add(self.ratio, self.meaning)

    def _measure(self, layout: TokenLayout, heads: int) -> None:
        """Build the tiles and the words on how many there are."""
        theme, ruler = current_theme(), layout.ruler
        ratio = self.caches[0].size() / self.caches[-1].size()
        step = self.caches[-1].size() * self.unit
        self.tiles = VGroup()
        for index in range(int(np.ceil(ratio))):
            left = ruler.left + index * step
            width = step * min(1.0, ratio - index)
            box = Box.of(left, left + 0.84 * width, ruler.bottom, ruler.top)
            self.tiles.add(_filled(box, theme.latent))
        (x, y), below = layout.verdict
        sign = _words(ratio_sign(), (x, y), size=DISPLAY, colour=theme.latent, right=True)
        self.times = Number(ratio, size=DISPLAY, colour=theme.latent)
        fact("times", ratio, one_decimal)
        self.times.on_line(sign.get_left()[0] - GAP - self.times.width / 2, y)
        self.ratio = VGroup(self.times, sign)
        self.full_ratio = ratio
        self.meaning, (x, y) = VGroup(), below
        text = _("the latent, if all {heads} kept their own;", heads=counted_heads(heads))
        trained = _(
            "{number} × in the largest such model that was trained",
            number=fact("trained", trained_ratio()[2], format_number),
        )
        width = 0.55 * layout.rows[0].width
        for line in (
            line
            for words in (text, trained)
            for line in break_lines(words, width, size=theme.shape_size)
        ):
            label = _words(line, (x, y), size=theme.shape_size, colour=theme.muted, right=True)
            self.meaning.add(label)
            y -= 1.4 * label.line_height

    def arrive(self, index: int) -> Animation:
        """Return an animation in which a bar comes.

        Shared keys and values come as slices of the bar above, the others grow.
        """
        bar = self.bars[index]
        if self.caches[index].scheme not in ("gqa", "mqa"):
            return grow_bar(bar)
        above = self.bars[index - 1]
        return AnimationGroup(
            *(
                Arrive(piece, piece.copy().move_to(source).align_to(source, [-1, 0, 0]))
                for piece, source in zip(bar, above, strict=True)
            )
        )

    def lay_tiles(self, **kwargs: float) -> Animation:
        """Return an animation that lays the latent's bar along the first one, and counts."""
        latent = self.bars[-1][0]
        tiles = LaggedStart(*(Arrive(tile, latent) for tile in self.tiles), lag_ratio=0.06)
        count = AnimateWith(
            self.times,
            lambda alpha: self.times.set_value(self.full_ratio * alpha),
            run_time=tiles.run_time,
            rate_func=linear,
        )
        return AnimationGroup(tiles, count, **kwargs)


class MemoryLines(VGroup):
    """Cache size over the length of the context, with the memory of one GPU.

    Boxes of equal size stack into each line: each is what some tokens add. First the axes reach
    to a context that is common today; :meth:`fill_gpu` changes them so that the last scheme, too,
    fills the GPU.

    Parameters
    ----------
    schemes
        What is cached for each token, a line for each.
    layout
        Where the chart is.

    Attributes
    ----------
    ground
        Axes and ticks of the first scale.
    boxes
        For each scheme its boxes, from the first tokens to the last; each of as many pieces as
        the bar of one token.
    curves, ends
        The lines, and their names with sizes.
    gpu
        The memory of one GPU.
    full
        Where the first and the last scheme fill it: a box, the number of tokens, and a name.
    between
        Names of the other schemes, beside their lines on the second scale.
    """

    BOXES = 16  # boxes of each line
    FIRST = (0.25, 0.5, 1.0), (2.0, 4.0, 6.0)  # ticks: in contexts, and in memories of a GPU
    FAR = (0.5e6, 1.0e6), (0.25, 0.5, 0.75)  # ticks then: in tokens, and in memories of a GPU
    HEADROOM = 1.38  # end of the vertical axis then, as a multiple of the GPU's memory

    def __init__(self, schemes: Sequence[CachedPerToken], layout: ChartLayout) -> None:
        super().__init__()
        theme = current_theme()
        self.schemes = tuple(schemes)
        sizes = [c.told(format_gigabytes, n_tokens=CONTEXT_TOKENS) for c in schemes]
        texts = [f"{c.name}  {size}" for c, size in zip(schemes, sizes, strict=True)]
        x_first = [CONTEXT_TOKENS * share for share in self.FIRST[0]]
        y_first = [GPU_BYTES * share for share in self.FIRST[1]]
        x_far, y_far = list(self.FAR[0]), [GPU_BYTES * share for share in self.FAR[1]]
        self.n_first = len(x_first), len(y_first)
        self.axes = ChartAxes(
            ChartAxis(
                0,
                CONTEXT_TOKENS,
                (*x_first, *x_far),
                _("tokens in the context"),
                write=lambda n: format_context(n) if n <= CONTEXT_TOKENS else format_count(n),
            ),
            ChartAxis(
                0,
                1.1 * schemes[0].size(CONTEXT_TOKENS),
                (*y_first, *y_far),
                _("size of the cache"),
                write=format_gigabytes,
            ),
            layout.chart,
            right=max(Label(text).width for text in texts) + layout.ties,
        )
        self.highs = self.axes.x.high, self.axes.y.high
        self.curves = VGroup(
            *(
                Curve(
                    self.axes,
                    [0, CONTEXT_TOKENS],
                    [0, cached.size(CONTEXT_TOKENS)],
                    colour=cached.colour,
                    width=theme.bold if cached.scheme == "mla" else theme.line,
                )
                for cached in schemes
            )
        )
        self.ends = EndLabels(self.curves, texts)
        gpu = _("one GPU: {size}", size=fact("memory", GPU_BYTES, format_gigabytes))
        self.gpu = ReferenceLine(self.axes, GPU_BYTES, gpu)
        self.boxes = VGroup(*(self._boxes(cached) for cached in schemes))
        self.full = VGroup(*(self._full(cached) for cached in (schemes[0], schemes[-1])))
        self.between = VGroup(*(Label(c.name, colour=c.colour) for c in schemes[1:-1]))
        first, then = self._ticks()
        self.far_ticks = set_presence(then, 0.0)
        self.first_ticks = first
        self.ground = VGroup(first, self.axes.base, self.axes.titles)
        self.add(self.ground, self.boxes, self.curves, self.ends, self.gpu, self.full)
        self.add(self.between, self.far_ticks)

    def _ticks(self) -> tuple[VGroup, VGroup]:
        """Return the ticks of the first scale and those of the second."""
        axes, (n_x, n_y) = self.axes, self.n_first
        first = VGroup(*axes.x_ticks[:n_x], *axes.y_ticks[:n_y], *axes.rules[:n_y])
        then = VGroup(*axes.x_ticks[n_x:], *axes.y_ticks[n_y:], *axes.rules[n_y:])
        return first, then

    def _boxes(self, cached: CachedPerToken) -> VGroup:
        """Return the boxes of a scheme, as steps of a stair."""
        boxes, step = VGroup(), CONTEXT_TOKENS / self.BOXES
        spans = cached.spans()
        for index in range(self.BOXES):
            box, low = VGroup(), index * step * cached.size()
            left, right = (self.axes.at(step * i, 0)[0] for i in (index, index + 1))
            for span in spans:
                high = low + step * span.value
                bottom, top = (self.axes.at(0, size)[1] for size in (low, high))
                box.add(_filled(Box.of(left, right, bottom, top), span.colour))
                low = high
            boxes.add(box)
        return boxes

    def _full(self, cached: CachedPerToken) -> VGroup:
        """Return the mark where a scheme fills the GPU: at the place that the far axes give it."""
        theme = current_theme()
        tokens = int(GPU_BYTES // cached.size())
        self.far = 1.1 * tokens, self.HEADROOM * GPU_BYTES
        colour = cached.colour
        name = Label(
            _("tokens, {scheme}", scheme=cached.name), size=theme.shape_size, colour=colour
        )
        filled = fact("tokens that fill it", tokens, beside=name.text, scheme=cached.scheme)
        figure = Label(filled, size=DISPLAY, colour=colour)
        return VGroup(_filled(Box(0, 0, MARK, MARK), colour), figure, name)

    def stack(self, **kwargs: float) -> Animation:
        """Return an animation in which copies of the first box of each line stack up.

        The first box itself has become of a bar.
        """
        return LaggedStart(
            *(
                AnimationGroup(*(Arrive(boxes[index], boxes[index - 1]) for boxes in self.boxes))
                for index in range(1, self.BOXES)
            ),
            lag_ratio=0.35,
            **kwargs,
        )

    def become_lines(self) -> list[Animation]:
        """Return animations in which all boxes lean over into the lines."""
        moves: list[Animation] = []
        for boxes in self.boxes:
            for box in boxes:
                start, end = (box.get_corner(c)[:2] for c in ([-1, -1, 0], [1, 1, 0]))
                moves += [lean_over(piece, start, end) for piece in box]
        return [*moves, *(Draw(curve) for curve in self.curves)]

    def fill_gpu(self, **kwargs: float) -> Animation:
        """Return an animation that changes both axes until the last scheme fills one GPU.

        Lines end where the GPU is full.
        """
        starts, ends, plot = self.highs, self.far, self.axes.plot
        rise = float(self.gpu.label.get_y() - self.gpu.line.get_y())

        def step(alpha: float) -> None:
            x, y = (
                start ** (1 - alpha) * end**alpha for start, end in zip(starts, ends, strict=True)
            )
            self._set_highs(x, y)
            set_presence(self.first_ticks, max(0.0, 1 - 3 * alpha))
            set_presence(self.far_ticks, max(0.0, 3 * alpha - 2))
            set_presence(self.ends, max(0.0, 1 - 3 * alpha))
            # Its name leaves room for what is counted above the line.
            name, line = self.gpu.label, self.gpu.line.get_y()
            start = plot.right - name.width / 2, line + rise
            end = plot.right + GAP + name.width / 2, line
            name.on_line(*(a + (b - a) * alpha for a, b in zip(start, end, strict=True)))

        # What has left the scene, such as the boxes, must not come back.
        shown = VGroup(self.ground, self.curves, self.ends, self.gpu, self.far_ticks)
        return AnimateWith(shown, step, **kwargs)

    def _set_highs(self, x: float, y: float) -> None:
        """Change the ends of both axes, and draw everything again."""
        axes = self.axes
        axes.x = replace(axes.x, high=x)
        axes.set_y_high(y)
        for tick, label in zip(axes.x.ticks, axes.x_ticks, strict=True):
            label.set_x(axes.at(tick, 0)[0])
        for curve, cached in zip(self.curves, self.schemes, strict=True):
            last = min(x, y / cached.size())
            if y < self.highs[1]:
                last = min(last, max(GPU_BYTES, y / self.HEADROOM) / cached.size())
            curve.xs, curve.ys = np.array([0, last]), np.array([0, last * cached.size()])
            curve.redraw()
        self.gpu.redraw()

    def place_full(self) -> VGroup:
        """Move the marks of full GPUs to where the lines end now, and return them."""
        plot, taken = self.axes.plot, -np.inf
        for mark, cached in zip(self.full, (self.schemes[0], self.schemes[-1]), strict=True):
            box, figure, name = mark
            x, y = self.axes.at(GPU_BYTES / cached.size(), GPU_BYTES)
            box.move_to([x, y, 0.0])
            right = x > plot.x
            for label, rise in ((name, 0.36), (figure, 0.86)):
                half = label.width / 2
                at = x - half + 0.1 if right else x + half - 0.1
                label.on_line(max(plot.left + half, at), y + rise)
            # Where both do not fit side by side, the second stands higher.
            words = VGroup(figure, name)
            if words.get_left()[0] < taken + GAP:
                words.shift([0.0, 1.1, 0.0])
            taken = float(words.get_right()[0])
        for label, curve in zip(self.between, self.curves[1:-1], strict=True):
            x, y = curve.end
            drop = 0.3 if x < plot.right - GAP else 0.0
            label.on_line(x + GAP + label.width / 2, y - drop)
        return self.full


@dataclass(frozen=True)
class Readers:
    """How many heads read a cached number, and what is computed with it.

    Attributes
    ----------
    name
        What is cached, in words.
    heads
        Number of heads that use each number.
    work
        What attention reads and computes for a new token.
    colour
        "#RRGGBB".
    note
        Why it is more work than one multiply-add for each head, in words; may be empty.
    """

    name: str
    heads: int
    work: DecodingWork
    colour: str
    note: str = ""


class ReadersOfNumber(VGroup):
    """For some schemes: one number that is read, the heads that use it, and a bar of the work.

    A line across the bars tells how much work the chip could do in the time of reading.

    Parameters
    ----------
    rows
        The schemes.
    layout
        Where everything stands.

    Attributes
    ----------
    title
        What is counted.
    names, numbers, fans, heads, bars, figures
        For each row its name, the number that is read, lines from it to the heads, the heads, the
        bar, and its figure with a note.
    chip
        The line, and its words.
    """

    def __init__(self, rows: Sequence[Readers], layout: WorkLayout) -> None:
        super().__init__()
        theme = current_theme()
        ridge = H100_SXM.ridge()
        self.title = _words(
            _("multiply-adds for each number that is read, on average"),
            layout.title,
            size=theme.shape_size,
            colour=theme.muted,
            room=layout.bars[0].right - layout.title[0],
        )
        self.names, self.numbers, self.fans = VGroup(), VGroup(), VGroup()
        self.heads, self.bars, self.figures = VGroup(), VGroup(), VGroup()
        unit = layout.bars[0].width / (1.08 * ridge)
        for row, picture, bar, point in zip(
            rows, layout.pictures, layout.bars, layout.names, strict=True
        ):
            self.names.add(_words(row.name, point, size=theme.name_size, colour=row.colour))
            self._readers(row, picture)
            length = row.work.per_number * unit
            box = Box.of(bar.left, bar.left + length, bar.bottom, bar.top)
            self.bars.add(_filled(box, row.colour))
            inside = length > 0.6 * bar.width
            figure = Label(
                fact("work", row.work.per_number, format_decimal, beside=row.name, heads=row.heads),
                size=DISPLAY,
                colour=theme.background if inside else row.colour,
            )
            half = figure.width / 2
            at = box.right - GAP - half if inside else box.right + GAP + half
            figure.on_line(at, bar.y)
            note = stacked_lines(
                row.note,
                (box.left + GAP, box.y),
                float(figure.get_left()[0]) - box.left - 2 * GAP,
                size=theme.shape_size,
                colour=theme.background,
            )
            self.figures.add(VGroup(figure, *note))
        self.chip = self._chip(layout, layout.bars[0].left + ridge * unit)
        self.add(self.title, self.names, self.numbers, self.fans, self.heads, self.bars)
        self.add(self.figures, self.chip)

    def _chip(self, layout: WorkLayout, x: float) -> VGroup:
        """Return a line across the bars, and beside it what it means, flush right."""
        theme, first, last = current_theme(), layout.bars[0], layout.bars[-1]
        line = Wire([(x, last.bottom), (x, first.top)], colour=theme.accent, arrow=False)
        text = _("a chip could do {number} in that time", number=format_number(H100_SXM.ridge()))
        room = x - GAP - self.figures[0].get_right()[0] - 2 * GAP
        words = VGroup(
            *stacked_lines(text, (0, first.y), room, size=theme.name_size, colour=theme.accent)
        )
        for label in words:
            label.set_x(x - GAP - label.width / 2)
        return VGroup(line, words)

    def _readers(self, row: Readers, box: Box) -> None:
        """Build the number that is read, the heads that use it, and lines between them."""
        theme = current_theme()
        deep = min(8, row.heads)
        pitch = min(box.height / 8, 0.62 * box.width / 16)
        side = 2.2 * pitch
        number = _filled(Box(box.left + side / 2, box.y, side, side), row.colour)
        right, heads = box.left + 0.36 * box.width, VGroup()
        fan = VMobject(stroke_color=row.colour, stroke_width=theme.thin, fill_opacity=0.0)
        for index in range(row.heads):
            across, down = divmod(index, deep)
            x = right + pitch * (across + 0.5)
            y = box.y + pitch * ((deep - 1) / 2 - down)
            dot = Circle(
                radius=0.34 * pitch, stroke_width=0.0, fill_color=theme.ink, fill_opacity=1.0
            )
            heads.add(dot.move_to([x, y, 0.0]))
            if across == 0:
                fan.start_new_path(np.array([box.left + side, box.y, 0.0]))
                fan.add_line_to(np.array([x - 0.5 * pitch, y, 0.0]))
        if row.heads > deep:
            # All of them read it, not the first column only.
            end, half = right + pitch * -(-row.heads // deep), pitch * deep / 2
            around = Box.of(right, end, box.y - half, box.y + half)
            heads.add(Outline(around, colour=row.colour))
        self.numbers.add(number)
        self.fans.add(fan)
        self.heads.add(heads)

    def row(self, index: int) -> VGroup:
        """Return the picture of a row without its number and its bar."""
        return VGroup(self.names[index], self.fans[index], self.heads[index])

    def come_from(self, index: int, box: Rectangle) -> Arrive:
        """Return an animation in which the number of a row comes from a box of its colour."""
        number = self.numbers[index]
        return Arrive(number, number.copy().match_width(box).move_to(box))


def bits_not(before: int, bits: int) -> str:
    """Return how many bits a number has, and how many it had before."""
    return ngettext(
        "{number} bit, not {before}",
        "{number} bits, not {before}",
        bits,
        before=format_count(before),
    )


def divided_by(factor: float) -> str:
    """Return a factor by which something has become smaller."""
    return f"÷ {format_number(factor)}"


class SavingColumns(VGroup):
    """Columns of what a token takes, from an older model to a newer one, a change at a time.

    A line slopes from each column to the next, with the factor.

    Parameters
    ----------
    layout
        Where everything stands.

    Attributes
    ----------
    columns, words, sizes
        For each column its shape, the words below it, and the size.
    keys
        For the first two columns the names of their pieces.
    slopes
        Between two columns a line and the factor.
    saving, throughput
        The published figures, each large, with the words below it.
    """

    def __init__(self, layout: SavingLayout) -> None:
        super().__init__()
        theme, claim = current_theme(), v2_cache_claim()
        old, new = (architecture(name) for name in ("DeepSeek 67B", "DeepSeek-V2"))
        before = CachedPerToken(old, old.scheme)
        latent = CachedPerToken(replace(old, latent=new.latent), "mla")
        fewer = CachedPerToken(new, new.scheme)
        sizes = [before.size(), latent.size(), fewer.size(), fewer.size(bits=claim.bits)]
        texts = [
            [old.name, ngettext("{number} group", "{number} groups", old.n_kv_heads)],
            _("a latent\ninstead").split("\n"),
            _(
                "{layers},\nnot {before}",
                layers=fact("layers of", new.n_layers, counted_layers, model=new.name),
                before=fact("layers of", old.n_layers, model=old.name),
            ).split("\n"),
            [
                fact("bits", claim.bits, partial(bits_not, claim.reference_bits)),
                new.name,
            ],
        ]
        spans = [before.spans(), latent.spans(), fewer.spans(), fewer.spans(claim.bits)]
        self.columns, self.words, self.sizes = VGroup(), VGroup(), VGroup()
        self.factors = [a / b for a, b in pairwise(sizes)]
        unit = layout.columns[0].height / max(sizes)
        for place, size, pieces, lines, point in zip(
            layout.columns, sizes, spans, texts, layout.words, strict=True
        ):
            column, low = VGroup(), place.bottom
            for span in pieces:
                high = low + span.value * unit
                column.add(_filled(Box.of(place.left, place.right, low, high), span.colour))
                low = high
            self.columns.add(column)
            words, (x, y) = VGroup(), point
            for line in lines:
                label = Label(line, size=theme.shape_size)
                words.add(label.on_line(x, y))
                y -= 1.35 * label.line_height
            self.words.add(words)
            write = format_kilobytes if size > 1e5 else readable_bytes
            text = fact("column", size, write, place=len(self.sizes), beside=lines[0])
            size_label = fit_size(text, place.width / COLUMN - GAP, size=theme.name_size)
            # The slope ends at the column's left corner: words that are wider go to the right.
            x = max(place.x, place.left + size_label.width / 2)
            self.sizes.add(size_label.on_line(x, low + 0.3))
        self.keys = VGroup(
            _named_pieces(self.columns[0], (_("keys"), _("values"))),
            _named_pieces(self.columns[1], (_("latent"),)),
        )
        self.slopes = VGroup()
        for index, factor in enumerate(self.factors):
            self.slopes.add(self._slope(index, factor))
        self.saving = self._verdict(
            _("{share} less", share=format_percent(V2_SAVING)),
            _("the published figure"),
            layout.verdicts[0],
            layout.columns[0].left,
        )
        self.throughput = self._verdict(
            _("{number} × throughput", number=format_short(V2_THROUGHPUT)),
            _("of the same two models, the new one with weights of 8 bits"),
            layout.verdicts[1],
            layout.columns[0].left,
        )
        self.add(self.columns, self.keys, self.words, self.sizes, self.slopes)
        self.add(self.saving, self.throughput)

    def _slope(self, index: int, factor: float) -> VGroup:
        """Return the line from the top of a column to that of the next, and its factor."""
        theme = current_theme()
        here, there = self.columns[index], self.columns[index + 1]
        start, end = here.get_corner([1, 1, 0]), there.get_corner([-1, 1, 0])
        line = Wire([(start[0], start[1]), (end[0], end[1])], colour=theme.flow)
        label = fit_size(
            fact("factor", factor, divided_by, place=index),
            (end - start)[0],
            size=theme.name_size,
            colour=theme.muted,
        )
        middle = (start + end) / 2
        label.on_line(middle[0] + label.width / 2 + 0.05, middle[1] + 0.42)
        return VGroup(line, label)

    @staticmethod
    def _verdict(figure: str, words: str, point: Point, left: float) -> VGroup:
        """Return a figure with words below it that end at a point and begin no further left."""
        theme, (x, y) = current_theme(), point
        return VGroup(
            _words(figure, (x, y), size=DISPLAY, colour=theme.accent, right=True),
            _words(
                words,
                (x, y - 0.62),
                size=theme.shape_size,
                colour=theme.ink,
                right=True,
                room=x - left,
            ),
        )

    def step(self, index: int) -> Animation:
        """Return an animation in which a column comes: a copy of the one before it shrinks."""
        return Arrive(self.columns[index], self.columns[index - 1])

    def grow_first(self, number: Rectangle) -> Glide:
        """Return an animation in which one cached number grows as large as the first column."""
        first = self.columns[0]
        target = number.copy().stretch_to_fit_width(first.width).stretch_to_fit_height(first.height)
        return Glide(number, target.move_to(first))


class NewerLines(VGroup):
    """Cache size over the length of the context of models with newer schemes.

    Parameters
    ----------
    latent
        What they are compared with.
    schemes
        The newer schemes, and what makes each cheaper, in a few words.
    layout
        Where the chart is.
    explained
        Whether there is room for these words.

    Attributes
    ----------
    ground
        Axes and ticks.
    curves, ends
        The lines, and their names.
    """

    def __init__(
        self,
        latent: CachedPerToken,
        schemes: Mapping[NewerScheme, str],
        layout: ChartLayout,
        *,
        explained: bool,
    ) -> None:
        super().__init__()
        theme = current_theme()
        names = ["DeepSeek-R1"]
        for scheme, idea in schemes.items():
            told = _("{model}: {idea}", model=scheme.model, idea=idea)
            names.append(told if explained else scheme.model)
        lengths = np.linspace(0, CONTEXT_TOKENS, 65)
        held = [[s.held(int(n)) * BITS / 8 for n in lengths] for s in schemes]
        most = max(latent.size(CONTEXT_TOKENS), *(h[-1] for h in held))
        ticks = [s * CONTEXT_TOKENS for s in MemoryLines.FIRST[0]]
        self.axes = ChartAxes(
            ChartAxis(
                0,
                CONTEXT_TOKENS,
                tuple(ticks),
                _("tokens in the context"),
                write=format_context,
            ),
            ChartAxis(
                0,
                1.06 * most,
                (5e9, 10e9),
                _("size of the cache, at {bits} bits per number", bits=BITS),
                write=format_gigabytes,
            ),
            layout.chart,
            right=max(Label(name).width for name in names) + layout.ties,
        )
        first = Curve(
            self.axes,
            [0, CONTEXT_TOKENS],
            [0, latent.size(CONTEXT_TOKENS)],
            colour=theme.latent,
            width=theme.bold,
        )
        others = (
            # The narration is about the models of the same makers.
            Curve(
                self.axes,
                lengths,
                sizes,
                colour=theme.ink if scheme.model.startswith("DeepSeek") else theme.muted,
            )
            for scheme, sizes in zip(schemes, held, strict=True)
        )
        self.curves = VGroup(first, *others)
        self.ends = EndLabels(self.curves, names)
        self.ground = VGroup(
            self.axes.rules, self.axes.base, self.axes.x_ticks, self.axes.y_ticks, self.axes.titles
        )
        self.add(self.ground, self.curves, self.ends)
