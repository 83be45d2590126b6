"""Charts of the size of a key/value cache: one token, real models, and a published saving.

All numbers are computed by :mod:`extract.architectures`.
"""

from __future__ import annotations

import numpy as np
from manim import LEFT, Animation, AnimationGroup, LaggedStart, Rectangle, VGroup

from extract.architectures import (
    MOE,
    V2_SAVING,
    V2_THROUGHPUT,
    architecture,
    v2_cache_claim,
)
from filmkit.core.animations import Appear, Arrive
from filmkit.core.geometry import Box
from filmkit.core.numbers import format_count, format_kilobytes, format_percent, format_ratio
from filmkit.core.text import Label, stacked_lines
from filmkit.core.theme import current_theme
from filmkit.mobjects.cached_numbers import BITS, CachedPerToken, thousands, trained_ratio
from filmkit.mobjects.chart import (
    Bracket,
    ChartAxis,
    DotPlot,
    DotSeries,
    Paragraph,
    ScaleBars,
    grow_bar,
)
from filmkit.mobjects.marks import Highlight
from scenes.cache_size.layout import ClaimLayout, ShippedLayout, TokenBarsLayout

__all__ = ["ClaimBars", "ShippedPlot", "TokenBars"]


class TokenBars(VGroup):
    """Bars of the bytes of one token under each scheme, and how often the last fits in the first.

    Parameters
    ----------
    caches
        What each scheme caches, from the top: keys and values of every head first, the latent
        last.
    layout
        Where everything stands.

    Attributes
    ----------
    bars
        The bars, with names, notes and sizes.
    compositions
        What each bar consists of, in words.
    tiles
        The latent's bar, repeated along the first one.
    ratio, trained
        Brackets with the ratio to the first bar, and with the one to a model that was trained.
    remarks
        Words behind the two brackets.
    title, source, trained_source
        Lines above and below.
    """

    def __init__(self, caches: tuple[CachedPerToken, ...], layout: TokenBarsLayout) -> None:
        super().__init__()
        theme, arch = current_theme(), caches[0].arch
        self.caches = caches
        factors = f"{arch.n_layers} layers × {BITS // 8} bytes"
        (self.title,) = Paragraph(
            [f"one token in the cache: numbers in a layer × {factors}"],
            layout.title,
            size=theme.shape_size,
        )
        self.right = layout.bars.right
        self.bars = ScaleBars(
            [cache.row(note=cache.numbers) for cache in caches],
            layout.bars,
            captioned=layout.captioned,
        )
        self.compositions = VGroup(
            *(
                self._composition(index, text)
                for index, text in enumerate(cache.shares for cache in caches)
            )
        )
        (self.source,) = Paragraph([arch.source], layout.source)

        everything, latent = self.bars.bar_box(0), self.bars.bar_box(-1)
        strip = layout.tiles(everything)
        ratio = caches[0].size() / caches[-1].size()
        self.tiles = VGroup()
        for index in range(int(np.ceil(ratio))):
            width = latent.width * min(1.0, ratio - index)
            tile = Rectangle(
                width=0.82 * width,
                height=strip.height,
                stroke_width=0.0,
                fill_color=theme.latent,
                fill_opacity=1.0,
            )
            self.tiles.add(
                tile.move_to([strip.left + index * latent.width + width / 2, strip.y, 0.0])
            )
        self.ratio = Bracket(
            (strip.left, strip.top + layout.outer_rise),
            (strip.right, strip.top + layout.outer_rise),
            format_ratio(ratio),
            towards=(0.0, 1.0),
            size=1.25 * theme.name_size,
        )
        mha, mla, trained = trained_ratio()
        trained_end = everything.left + trained * latent.width
        side, away = (strip.top, 1.0) if layout.captioned else (everything.bottom, -1.0)
        self.trained = Bracket(
            (everything.left, side),
            (trained_end, side),
            format_ratio(trained),
            towards=(0.0, away),
            colour=theme.muted,
        )
        self.remarks = VGroup(
            self._remark(
                self.ratio,
                f"against keys and values for each of {arch.n_heads} heads: nobody trained that",
            ),
            self._remark(self.trained, "against the large MHA model that DeepSeek did train"),
        )
        counts = f"{thousands(mha)} numbers a token against {thousands(mla)}"
        self.trained_source = Paragraph(
            [f"{format_ratio(trained)}:  {counts}, {MOE.source}"],
            layout.source,
            width=layout.bars.width,
        )
        self.add(self.title, self.bars, self.compositions, self.source, self.tiles)
        self.add(self.ratio, self.trained, self.remarks, self.trained_source)

    def _composition(self, index: int, text: str) -> VGroup:
        """Build the words on what a bar consists of: on the first bar, else behind its size."""
        theme = current_theme()
        if index == 0:
            return VGroup(
                *(
                    Label(f"{part} {text}", colour=theme.background).move_to(piece)
                    for part, piece in zip(("keys", "values"), self.bars.bars[0], strict=True)
                )
            )
        size = self.bars.sizes[index]
        label = Label(text, size=theme.note_size, colour=theme.muted)
        x = size.get_right()[0] + 0.3 + label.width / 2
        return VGroup(label.on_line(x, self.bars.bar_box(index).y))

    def _remark(self, bracket: Bracket, text: str) -> VGroup:
        """Build the words behind a bracket's ratio, on as many lines as they need there."""
        theme, ratio = current_theme(), bracket.label
        point = (ratio.get_right()[0] + 0.2, ratio.get_y())
        room = self.right - point[0]
        return VGroup(*stacked_lines(text, point, room, size=theme.note_size, colour=theme.muted))

    def bar_labels(self, index: int) -> VGroup:
        """Return name and arithmetic of a bar."""
        return VGroup(self.bars.names[index], self.bars.notes[index])

    def full_row(self, index: int) -> VGroup:
        """Return a bar with all its labels."""
        bars = self.bars
        return VGroup(
            self.bar_labels(index), bars.bars[index], bars.sizes[index], self.compositions[index]
        )

    def arrive(self, index: int) -> Animation:
        """Return an animation in which a bar comes.

        Shared keys and values come as slices of the bar above, the others grow.
        """
        bar = self.bars.bars[index]
        if self.caches[index].scheme not in ("gqa", "mqa"):
            return grow_bar(bar)
        above = self.bars.bars[index - 1]
        return AnimationGroup(
            *(
                Arrive(piece, piece.copy().match_y(source).align_to(source, LEFT))
                for piece, source in zip(bar, above, strict=True)
            )
        )

    def lay_tiles(self) -> Animation:
        """Return an animation in which the latent's bar is repeated along the first one."""
        latent = self.bars.bars[-1][0]
        return LaggedStart(*(Arrive(tile, latent) for tile in self.tiles), lag_ratio=0.06)


class ShippedPlot(VGroup):
    """Dot plot of real models: a token's cache as shipped, and with keys and values of every head.

    Parameters
    ----------
    names
        Models from the top, by their names in :func:`extract.architectures.architecture`.
    layout
        Where everything stands.

    Attributes
    ----------
    plot
        The dots.
    schemes, factors
        Two columns of words: each model's scheme, and how much smaller its cache is.
    rings
        Dots of keys and values of every head.
    headings
        Headings of the dots and of the last column.
    ground
        Names, rules and axis of the plot, and the remark below.
    """

    def __init__(self, names: tuple[str, ...], layout: ShippedLayout) -> None:
        super().__init__()
        theme = current_theme()
        self.caches = [CachedPerToken(arch, arch.scheme) for arch in map(architecture, names)]
        full = [CachedPerToken(cache.arch, "mha").size() for cache in self.caches]
        own = [cache.size() for cache in self.caches]
        axis = ChartAxis(
            0.6 * min(own),
            1.2 * max(full),
            (1e4, 1e5, 1e6),
            "cache of one token in bytes",
            log=True,
            write=format_count,
        )
        self.plot = DotPlot(
            names,
            [
                DotSeries("as shipped", tuple(own), tuple(cache.colour for cache in self.caches)),
                DotSeries(
                    "if every head kept its own", tuple(full), theme.ink, hollow=True, written=False
                ),
            ],
            axis,
            layout.chart,
            write=format_kilobytes,
            right=layout.right,
            captioned=layout.captioned,
        )
        self.schemes, self.factors = VGroup(), VGroup()
        for row, cache in enumerate(self.caches):
            y = self.plot.name_line(row)
            scheme = Label(cache.name, colour=cache.colour)
            factor = Label(format_ratio(full[row] / own[row]), colour=cache.colour)
            self.schemes.add(scheme.on_line(layout.schemes + scheme.width / 2, y))
            self.factors.add(factor.on_line(layout.factors - factor.width / 2, y))
        factor_heading = Label("smaller by", size=theme.note_size, colour=theme.muted)
        factor_heading.on_line(
            layout.factors - factor_heading.width / 2,
            self.plot.series_names[0].get_y() + layout.heading_rise,
        )
        (self.remark,) = Paragraph(
            [f"counted at {BITS} bits from each model’s published configuration"], layout.remark
        )
        plot = self.plot
        self.ground = VGroup(plot.names, plot.rules, plot.ticks, plot.title, self.remark)
        self.rings, self.headings = plot.dots[1], VGroup(plot.series_names, factor_heading)
        self.add(plot, self.schemes, self.factors, factor_heading, self.remark)

    def shrink(self, row: int) -> Animation:
        """Return an animation in which a model's dot moves from its ring to the shipped size."""
        plot, ring = self.plot, self.rings[row]
        dot, tie = plot.dots[0][row], plot.ties[row]
        start = tie.copy().set_points_as_corners([ring.get_center(), ring.get_center()])
        return AnimationGroup(Arrive(tie, start), Arrive(dot, dot.copy().move_to(ring)))

    def labels(self, row: int) -> VGroup:
        """Return the number, the scheme and the factor of a model."""
        return VGroup(self.plot.numbers[0][row], self.schemes[row], self.factors[row])


class ClaimBars(VGroup):
    """Bars that explain a published saving: an older model's cache, a latent, and fewer bits.

    Parameters
    ----------
    layout
        Where everything stands.

    Attributes
    ----------
    reference
        The older model.
    bars
        Bars of the three caches.
    steps, total
        Brackets with the ratios from one bar to the next, and from the first to the last.
    title, consistent, throughput, measured
        Lines of words above and below.
    pointer
        Frame around the last bar.
    """

    def __init__(self, layout: ClaimLayout) -> None:
        super().__init__()
        theme, claim = current_theme(), v2_cache_claim()
        old, new = (architecture(name) for name in ("DeepSeek 67B", "DeepSeek-V2"))
        self.reference = old
        before, after = CachedPerToken(old, old.scheme), CachedPerToken(new, new.scheme)
        self.bars = ScaleBars(
            [
                before.row(
                    name=old.name,
                    note=f"{before.numbers} × {old.n_layers} layers × {claim.reference_bits} bits",
                    bits=claim.reference_bits,
                ),
                after.row(
                    name=new.name,
                    note=f"({after.numbers}) × {new.n_layers} layers × {claim.reference_bits} bits",
                    bits=claim.reference_bits,
                ),
                after.row(
                    name=new.name,
                    note=f"({after.numbers}) × {new.n_layers} layers × {claim.bits} bits",
                    bits=claim.bits,
                ),
            ],
            layout.bars,
            captioned=layout.captioned,
        )
        ys = [self.bars.bar_box(row).y for row in range(3)]
        self.steps = VGroup(
            self._step(layout.steps, ys[0], ys[1], claim.times_fewer_elements, "architecture"),
            self._step(layout.steps, ys[1], ys[2], claim.times_fewer_bits, "precision"),
        )
        self.total = self._step(
            layout.total, ys[0], ys[2], claim.times_smaller, f"{format_percent(claim.saving)} less"
        )
        published = format_percent(V2_SAVING)
        (self.title,) = Paragraph(
            [f"one token in the cache: where “{published}” comes from"],
            layout.title,
            size=theme.shape_size,
        )
        self.consistent = Paragraph(
            [
                f"consistent with the {published} of the DeepSeek-V2 technical report (abstract),",
                f"which gives {claim.bits} bits on average (p. 16) but does not write this out",
            ],
            layout.consistent,
        )
        (self.throughput,) = Paragraph(
            [
                f"{format_ratio(V2_THROUGHPUT)} throughput, in the same report, "
                "includes this quantisation:"
            ],
            layout.throughput,
            size=theme.shape_size,
            colour=theme.ink,
        )
        self.measured = Paragraph(
            [f"measured with the {claim.bits}-bit cache and FP8 weights (p. 16), not MLA alone"],
            layout.measured,
        )
        self.add(self.bars, self.steps, self.total, self.title, self.consistent)
        fewer = VGroup(self.bars.bars[-1], self.bars.sizes[-1])
        low, high = (fewer.get_corner(corner) for corner in ([-1, -1, 0], [1, 1, 0]))
        self.pointer = Highlight(Box.between(low, high).grown(0.08))
        self.add(self.throughput, self.measured, self.pointer)

    def bar_labels(self, row: int) -> VGroup:
        """Return the labels of a bar; the scene itself adds the names of the first two."""
        name = [self.bars.names[row]] if row == 2 else []
        return VGroup(*name, self.bars.notes[row])

    def arrive(self, row: int) -> Animation:
        """Return an animation in which a bar comes: the first grows, others come from the last."""
        bars = self.bars.bars
        if row == 0:
            return grow_bar(bars[0])
        pieces = zip(bars[row], bars[row - 1], strict=True)
        return AnimationGroup(
            *(AnimationGroup(Arrive(piece, above), Appear(piece)) for piece, above in pieces)
        )

    def _step(self, x: float, top: float, bottom: float, ratio: float, what: str) -> VGroup:
        bracket = Bracket((x, top), (x, bottom), format_ratio(ratio), towards=(1.0, 0.0))
        word = Label(what)
        label = bracket.label
        word.on_line(label.get_left()[0] + word.width / 2, label.get_y() - label.line_height)
        return VGroup(bracket, word)
