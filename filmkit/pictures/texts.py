"""What pictures say in words and numbers: the figure that matters, quiet lines, a scaled score."""

from __future__ import annotations

import numpy as np
from manim import Mobject, VGroup

from filmkit.core.facts import fact
from filmkit.core.numbers import format_number
from filmkit.core.text import Label, Symbol
from filmkit.core.theme import current_theme
from filmkit.core.view import HeadView
from filmkit.pictures.parts import TEXT, Free

__all__ = ["below_each_other", "figure", "quiet", "scaling_of"]

DISPLAY = 0.09  # size of the figure that matters
FORMULA = 0.06
LINE_GAP = 0.25  # between lines of text, in scene units


def figure(text: str, *, colour: str | None = None) -> Label:
    """Return the figure that matters in a picture."""
    return Label(text, size=DISPLAY, colour=colour, weight="semibold")


def below_each_other(*lines: Mobject) -> VGroup:
    """Return lines of text, one below the other."""
    return VGroup(*lines).arrange([0, -1, 0], buff=LINE_GAP)


def quiet(*lines: str) -> Free | None:
    """Return a part with what is said by the way, line under line; None for nothing."""
    if not lines:
        return None

    def make() -> VGroup:
        colour = current_theme().muted
        return below_each_other(*(Label(text, size=TEXT, colour=colour) for text in lines))

    return Free(make)


def scaling_of(view: HeadView, query: int, key: int) -> Symbol:
    """Return how the dot product of a pair is scaled, with both numbers.

    There is an equals sign only where the printed numbers give the printed result.
    """
    meta, dot = view.layer.trace.meta, float(view.dot_products[query, key])
    factor = meta.score_scale
    before, after = fact("dot", dot, format_number), fact("scaled", dot * factor, format_number)
    if np.isclose(factor, meta.d_qk**-0.5):
        scale = f"/ sqrt({meta.d_qk})"
        printed = rounded(dot) / meta.d_qk**0.5
    else:
        scale = f"times {in_formula(format_number(factor))}"
        printed = rounded(dot) * rounded(factor)
    sign = "=" if format_number(printed) == after else "approx"
    return Symbol(f"{in_formula(before)} {scale} {sign} {in_formula(after)}", size=FORMULA)


def rounded(number: float) -> float:
    """Return a number as it is printed."""
    return float(f"{number:.3g}")


def in_formula(number: str) -> str:
    """Return a number as Typst mathematics: a comma in it separates nothing."""
    return number.replace(",", '","')
