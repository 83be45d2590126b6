"""Charts of what a key/value cache weighs: one token, long contexts, real models, one claim.

All numbers are counted by :mod:`extract.architectures`.
"""

from __future__ import annotations

import numpy as np
from manim import LEFT, Animation, AnimationGroup, LaggedStart, Mobject, Rectangle, VGroup

from extract.architectures import (
    MOE,
    V2_SAVING,
    V2_THROUGHPUT,
    architecture,
    v2_cache_claim,
)
from filmkit.core.animations import Appear, Arrive
from filmkit.core.geometry import Box
from filmkit.core.numbers import kilobytes, percent, times, whole
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
)
from filmkit.mobjects.marks import Highlight
from scenes.cache_size.layout import ClaimLayout, ShippedLayout, TokenBarsLayout

__all__ = ["ClaimBars", "ShippedPlot", "TokenBars"]


def _grow(bar: Mobject) -> Arrive:
    """A bar grows from its left end."""
    return Arrive(bar, bar.copy().stretch(1e-3, 0, about_edge=LEFT))


class TokenBars(VGroup):
    """Bytes of one token under each scheme, as bars to scale, and how often one fits in another.

    Parameters
    ----------
    kept
        The schemes from the top: every head's keys and values first, the latent last.
    slots
        Where it stands.
    """

    def __init__(self, kept: tuple[CachedPerToken, ...], layout: TokenBarsLayout) -> None:
        super().__init__()
        theme, arch = current_theme(), kept[0].arch
        self.kept = kept
        factors = f"{arch.n_layers} layers × {BITS // 8} bytes"
        (self.title,) = Paragraph(
            [f"one token in the cache: numbers in a layer × {factors}"],
            layout.title,
            size=theme.shape_size,
        )
        self.right = layout.bars.right
        self.bars = ScaleBars(
            [one.row(note=one.numbers) for one in kept], layout.bars, captioned=layout.captioned
        )
        self.asides = VGroup(
            *(self._aside(index, text) for index, text in enumerate(one.shares for one in kept))
        )
        (self.source,) = Paragraph([arch.source], layout.source)

        everything, latent = self.bars.bar_box(0), self.bars.bar_box(-1)
        strip = layout.tiles(everything)
        ratio = kept[0].size() / kept[-1].size()
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
            (strip.left, strip.top + layout.raised),
            (strip.right, strip.top + layout.raised),
            times(ratio),
            towards=(0.0, 1.0),
            size=1.25 * theme.name_size,
        )
        mha, mla, trained = trained_ratio()
        reach = everything.left + trained * latent.width
        side, away = (strip.top, 1.0) if layout.captioned else (everything.bottom, -1.0)
        self.trained = Bracket(
            (everything.left, side),
            (reach, side),
            times(trained),
            towards=(0.0, away),
            colour=theme.muted,
        )
        self.remarks = VGroup(
            self._after(
                self.ratio,
                f"against keys and values for each of {arch.n_heads} heads: nobody trained that",
            ),
            self._after(self.trained, "against the large MHA model that DeepSeek did train"),
        )
        counts = f"{thousands(mha)} numbers a token against {thousands(mla)}"
        self.trained_source = Paragraph(
            [f"{times(trained)}:  {counts}, {MOE.source}"], layout.source, width=layout.bars.width
        )
        self.add(self.title, self.bars, self.asides, self.source, self.tiles)
        self.add(self.ratio, self.trained, self.remarks, self.trained_source)

    def _aside(self, index: int, text: str) -> VGroup:
        """What a bar is made of: on the first one, behind the sizes of the others."""
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

    def _after(self, bracket: Bracket, text: str) -> VGroup:
        """Words behind a bracket's ratio, on as many lines as the room there asks for."""
        theme, ratio = current_theme(), bracket.label
        point = (ratio.get_right()[0] + 0.2, ratio.get_y())
        room = self.right - point[0]
        return VGroup(*stacked_lines(text, point, room, size=theme.note_size, colour=theme.muted))

    def row(self, index: int) -> VGroup:
        """Name and arithmetic of a bar."""
        return VGroup(self.bars.names[index], self.bars.notes[index])

    def whole_row(self, index: int) -> VGroup:
        """A bar with all that is written about it."""
        bars = self.bars
        return VGroup(self.row(index), bars.bars[index], bars.sizes[index], self.asides[index])

    def arrive(self, index: int) -> Animation:
        """A bar comes: shared keys and values as slices of the bar above, the others grow."""
        bar = self.bars.bars[index]
        if self.kept[index].scheme not in ("gqa", "mqa"):
            return _grow(bar)
        above = self.bars.bars[index - 1]
        return AnimationGroup(
            *(
                Arrive(piece, piece.copy().match_y(source).align_to(source, LEFT))
                for piece, source in zip(bar, above, strict=True)
            )
        )

    def lay_tiles(self) -> Animation:
        """The latent's bar is laid along the first one, again and again."""
        latent = self.bars.bars[-1][0]
        return LaggedStart(*(Arrive(tile, latent) for tile in self.tiles), lag_ratio=0.06)


class ShippedPlot(VGroup):
    """Real models: what a token takes as shipped, and with keys and values for every head.

    Parameters
    ----------
    names
        Models from the top, as :func:`extract.architectures.architecture` knows them.
    slots
        Where it stands.
    """

    def __init__(self, names: tuple[str, ...], layout: ShippedLayout) -> None:
        super().__init__()
        theme = current_theme()
        self.kept = [CachedPerToken(arch, arch.scheme) for arch in map(architecture, names)]
        full = [CachedPerToken(one.arch, "mha").size() for one in self.kept]
        own = [one.size() for one in self.kept]
        axis = ChartAxis(
            0.6 * min(own),
            1.2 * max(full),
            (1e4, 1e5, 1e6),
            "cache of one token in bytes",
            log=True,
            write=whole,
        )
        self.plot = DotPlot(
            names,
            [
                DotSeries("as shipped", tuple(own), tuple(one.colour for one in self.kept)),
                DotSeries(
                    "if every head kept its own", tuple(full), theme.ink, hollow=True, written=False
                ),
            ],
            axis,
            layout.chart,
            write=kilobytes,
            right=layout.right,
            captioned=layout.captioned,
        )
        self.schemes, self.factors = VGroup(), VGroup()
        for row, one in enumerate(self.kept):
            y = self.plot.name_line(row)
            scheme = Label(one.name, colour=one.colour)
            factor = Label(times(full[row] / own[row]), colour=one.colour)
            self.schemes.add(scheme.on_line(layout.schemes + scheme.width / 2, y))
            self.factors.add(factor.on_line(layout.factors - factor.width / 2, y))
        head = Label("smaller by", size=theme.note_size, colour=theme.muted)
        head.on_line(layout.factors - head.width / 2, self.plot.heads[0].get_y() + layout.head)
        (self.remark,) = Paragraph(
            [f"counted at {BITS} bits from each model’s published configuration"], layout.remark
        )
        plot = self.plot
        self.ground = VGroup(plot.names, plot.rules, plot.ticks, plot.title, self.remark)
        self.rings, self.heads = plot.dots[1], VGroup(plot.heads, head)
        self.add(plot, self.schemes, self.factors, head, self.remark)

    def shrink(self, row: int) -> Animation:
        """A model's dot leaves the ring for what it ships."""
        plot, ring = self.plot, self.rings[row]
        dot, tie = plot.dots[0][row], plot.ties[row]
        start = tie.copy().set_points_as_corners([ring.get_center(), ring.get_center()])
        return AnimationGroup(Arrive(tie, start), Arrive(dot, dot.copy().move_to(ring)))

    def said(self, row: int) -> VGroup:
        """What is written about a model's dot."""
        return VGroup(self.plot.numbers[0][row], self.schemes[row], self.factors[row])


class ClaimBars(VGroup):
    """Where a published saving comes from: an older model's cache, a latent, and fewer bits.

    Parameters
    ----------
    slots
        Where it stands.

    Attributes
    ----------
    reference
        The older model.
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
            layout.total, ys[0], ys[2], claim.times_smaller, f"{percent(claim.saving)} less"
        )
        published = percent(V2_SAVING)
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
            [f"{times(V2_THROUGHPUT)} throughput, in the same report, includes this quantisation:"],
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

    def words(self, row: int) -> VGroup:
        """What stands beside a bar; the names of the first two are brought by the scene."""
        name = [self.bars.names[row]] if row == 2 else []
        return VGroup(*name, self.bars.notes[row])

    def arrive(self, row: int) -> Animation:
        """A bar comes: the first grows, the others are what becomes of the one above."""
        bars = self.bars.bars
        if row == 0:
            return _grow(bars[0])
        pieces = zip(bars[row], bars[row - 1], strict=True)
        return AnimationGroup(
            *(AnimationGroup(Arrive(piece, above), Appear(piece)) for piece, above in pieces)
        )

    def _step(self, x: float, top: float, bottom: float, ratio: float, what: str) -> VGroup:
        bracket = Bracket((x, top), (x, bottom), times(ratio), towards=(1.0, 0.0))
        word = Label(what)
        label = bracket.label
        word.on_line(label.get_left()[0] + word.width / 2, label.get_y() - label.line_height)
        return VGroup(bracket, word)
