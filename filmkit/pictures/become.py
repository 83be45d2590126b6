"""Animations from one picture to the next."""

from __future__ import annotations

from typing import Any

import numpy as np
from manim import Mobject, VMobject

from filmkit.core.animations import InPlaceAnimation, presence
from filmkit.core.heatmap import Heatmap

__all__ = ["Become", "alike"]


def alike(mobject: Mobject, other: Mobject) -> bool:
    """Return whether two mobjects have parts of equal sizes, so that one can become the other."""
    family, others = mobject.get_family(), other.get_family()
    return len(family) == len(others) and all(
        isinstance(a, Heatmap) is isinstance(b, Heatmap)
        and (
            a.shape == b.shape
            if isinstance(a, Heatmap) and isinstance(b, Heatmap)
            else a.points.shape == b.points.shape
        )
        for a, b in zip(family, others, strict=True)
    )


def same(mobject: Mobject, other: Mobject) -> bool:
    """Return whether two alike mobjects look the same."""
    return all(
        np.allclose(a.points, b.points, atol=1e-6)
        and presence(a) == presence(b)
        and _cells_equal(a, b)
        for a, b in zip(mobject.get_family(), other.get_family(), strict=True)
    )


def _cells_equal(one: Mobject, other: Mobject) -> bool:
    if not (isinstance(one, Heatmap) and isinstance(other, Heatmap)):
        return True
    return one.looks_like(other) and np.array_equal(one.shown, other.shown)


class Become(InPlaceAnimation):
    """Add a mobject in the look of another one, and change it into its own.

    Places, numbers, scales, masks, opacities of cells, colours and presence change; the other one
    must have the same parts (:func:`alike`).  It is taken from the scene.

    Parameters
    ----------
    mobject
        What is added; it ends as it is now.
    origin
        What it looks like at first.
    """

    def __init__(self, mobject: Mobject, origin: Mobject, **kwargs: Any) -> None:
        super().__init__(mobject, introducer=True, **kwargs)
        self.origin = origin

    def begin(self) -> None:
        self.changes = [
            (part, start.copy(), part.copy())
            for part, start in zip(self.mobject.get_family(), self.origin.get_family(), strict=True)
        ]
        super().begin()

    def step(self, alpha: float) -> None:
        for part, start, end in self.changes:
            part.points = (1 - alpha) * start.points + alpha * end.points
            part.presence = (1 - alpha) * presence(start) + alpha * presence(end)
            if isinstance(part, Heatmap | VMobject):
                part.interpolate_color(start, end, alpha)
