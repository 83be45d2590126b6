"""The bytes of one token as a product, and as tiles to scale."""

from __future__ import annotations

import numpy as np
from manim import VGroup

from filmkit.core.geometry import FRAME_HEIGHT
from filmkit.core.numbers import readable_bytes, whole
from filmkit.core.text import Label, broken
from filmkit.core.theme import current_theme
from filmkit.mobjects.marks import Outline
from scenes.kv_cache.layout import TokenCostLayout
from scenes.kv_cache.token_cost import TokenCost

__all__ = ["CostFormula", "OneTokenEach"]


class CostFormula(VGroup):
    """The factors as a product, what each counts beneath, and what they make.

    Parameters
    ----------
    cost
        The factors.
    middle
        (x, y) of the middle of the line of numbers.
    width
        Where it would be wider than this, what the factors make stands on a line of its own.

    Attributes
    ----------
    factors
        A group of number and caption for each; ``times[i]`` stands before factor ``i + 1``.
    result
        The product in bytes.
    short
        The same in a larger unit.
    """

    SIGN_GAP = 0.28
    CAPTION_GAP = 0.2
    LINE = 0.9

    def __init__(
        self, cost: TokenCost, middle: tuple[float, float], *, width: float = np.inf
    ) -> None:
        super().__init__()
        theme = current_theme()
        size = 1.25 * theme.name_size

        def number(text: str, colour: str = theme.ink) -> Label:
            return Label(text, size=size, colour=colour)

        self.factors, self.times = VGroup(), VGroup()
        for index, (text, caption) in enumerate(cost.factors):
            said = Label(caption, size=theme.note_size, colour=theme.muted)
            self.factors.add(VGroup(number(text), said))
            if index:
                self.times.add(number("×", theme.muted))
        equals = number("=", theme.muted)
        total = Label(f"{whole(cost.bytes)} bytes", size=size)
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
        x, y = middle[0] - (factors if own_line else factors + result) / 2, middle[1]
        for factor, sign in zip(self.factors, signs, strict=True):
            figure, caption = factor
            center = x + factor.width / 2
            figure.on_line(center, y)
            caption.on_line(center, y - figure.line_height / 2 - self.CAPTION_GAP)
            x += factor.width + gap
            if sign is equals and own_line:
                x = middle[0] - (result - 2 * gap) / 2
                y -= self.LINE
            sign.on_line(x + sign.width / 2, y)
            x += sign.width + gap
        total.on_line(x + total.width / 2, y)
        below = total.get_y() - total.line_height / 2 - self.CAPTION_GAP - 0.08
        self.short.on_line(total.get_x(), below)
        self.add(self.factors, self.times, self.result, self.short)

    def _width(self, signs: VGroup, gap: float) -> float:
        """Of the factors with the signs between them."""
        return float(sum(part.width for part in (*self.factors, *signs)) + 2 * gap * len(signs))


class OneTokenEach(VGroup):
    """One token of two models to the same scale, but for the small model's own cells.

    Attributes
    ----------
    small
        What is said about the small model's tile.
    tiles
        Outlines, one for each layer of the large model.
    large
        What is said about them.
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
                for above, text in enumerate(reversed(broken(remark, layout.width, size=size)))
            ),
        )
        self.add(self.small, self.tiles, self.large)
