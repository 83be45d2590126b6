"""The bytes of one token as a formula, and as tiles to scale."""

from __future__ import annotations

import numpy as np
from manim import VGroup

from filmkit.core.geometry import FRAME_HEIGHT
from filmkit.core.numbers import format_count, readable_bytes
from filmkit.core.text import Label, break_lines
from filmkit.core.theme import current_theme
from filmkit.mobjects.marks import Outline
from scenes.kv_cache.layout import TokenCostLayout
from scenes.kv_cache.token_cost import TokenCost

__all__ = ["CostFormula", "TokenComparison"]


class CostFormula(VGroup):
    """The product that makes the bytes of one token, with a caption below each factor.

    Parameters
    ----------
    cost
        The factors.
    center
        (x, y) of the center of the line of numbers.
    width
        Largest width of a line, in scene units. Where the whole formula is wider, the result
        stands on a line of its own.

    Attributes
    ----------
    factors
        For each factor a group of its number and its caption.
    times
        Multiplication signs; ``times[i]`` stands before factor ``i + 1``.
    result
        The equals sign and the product in bytes.
    short
        The product in a larger unit.
    """

    SIGN_GAP = 0.28  # between a factor and a sign
    CAPTION_GAP = 0.2  # between a factor and its caption
    LINE = 0.9  # from the factors down to a result on a line of its own

    def __init__(
        self, cost: TokenCost, center: tuple[float, float], *, width: float = np.inf
    ) -> None:
        super().__init__()
        theme = current_theme()
        size = 1.25 * theme.name_size

        def number(text: str, colour: str = theme.ink) -> Label:
            return Label(text, size=size, colour=colour)

        self.factors, self.times = VGroup(), VGroup()
        for index, (text, caption) in enumerate(cost.factors):
            label = Label(caption, size=theme.note_size, colour=theme.muted)
            self.factors.add(VGroup(number(text), label))
            if index:
                self.times.add(number("×", theme.muted))
        equals = number("=", theme.muted)
        total = Label(f"{format_count(cost.bytes)} bytes", size=size)
        self.result = VGroup(equals, total)
        self.short = Label(f"{readable_bytes(cost.bytes)} per token", size=theme.name_size)
        signs = [*self.times, equals]
        gap = self.SIGN_GAP
        factors = self._width(self.times, gap)
        result = equals.width + total.width + 2 * gap
        own_line = factors + result > width
        if own_line:
            gap = min(gap, gap - (factors - width) / (2 * len(self.times)))
            factors = self._width(self.times, gap)
        x, y = center[0] - (factors if own_line else factors + result) / 2, center[1]
        for factor, sign in zip(self.factors, signs, strict=True):
            number_label, caption = factor
            factor_x = x + factor.width / 2
            number_label.on_line(factor_x, y)
            caption.on_line(factor_x, y - number_label.line_height / 2 - self.CAPTION_GAP)
            x += factor.width + gap
            if sign is equals and own_line:
                x = center[0] - (result - 2 * gap) / 2
                y -= self.LINE
            sign.on_line(x + sign.width / 2, y)
            x += sign.width + gap
        total.on_line(x + total.width / 2, y)
        below = total.get_y() - total.line_height / 2 - self.CAPTION_GAP - 0.08
        self.short.on_line(total.get_x(), below)
        self.add(self.factors, self.times, self.result, self.short)

    def _width(self, signs: VGroup, gap: float) -> float:
        """Return the width of the factors with the signs between them."""
        return float(sum(part.width for part in (*self.factors, *signs)) + 2 * gap * len(signs))


class TokenComparison(VGroup):
    """One token of a small and a large model to the same scale, without the small model's cells.

    Parameters
    ----------
    small, large
        What a token takes in each of them.
    name
        Name of the large model.
    layout
        Where everything stands.

    Attributes
    ----------
    small
        Labels of the small model's tile.
    tiles
        Outlines, one for each layer of the large model.
    large
        Labels of the outlines.
    """

    def __init__(
        self, small: TokenCost, large: TokenCost, name: str, layout: TokenCostLayout
    ) -> None:
        super().__init__()
        theme = current_theme()

        def line(text: str, point: tuple[float, float], size: float, colour: str) -> Label:
            label = Label(text, size=size, colour=colour)
            label.on_line(*point)
            return label

        remark = "to the same scale, one outline for each layer; its numbers are not traced"
        size, (x, y) = theme.note_size, layout.remark
        total = f"{name}: {readable_bytes(large.bytes)}"
        self.small = VGroup(
            line("this model", layout.small_name, theme.shape_size, theme.ink),
            line(readable_bytes(small.bytes), layout.small_size, theme.name_size, theme.ink),
        )
        self.tiles = VGroup(*(Outline(box, colour=theme.muted) for box in layout.large))
        self.large = VGroup(
            line(total, layout.large_name, theme.name_size, theme.ink),
            *(
                line(text, (x, y + 1.3 * size * FRAME_HEIGHT * above), size, theme.muted)
                for above, text in enumerate(reversed(break_lines(remark, layout.width, size=size)))
            ),
        )
        self.add(self.small, self.tiles, self.large)
