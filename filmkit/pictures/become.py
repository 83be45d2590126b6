"""What can become something else, and how it looks before."""

from __future__ import annotations

from itertools import zip_longest

import numpy as np
from manim import Mobject

from filmkit.core.animations import presence, set_presence
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap

__all__ = ["alike", "before_it_grew", "same"]


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


def before_it_grew(mobject: Mobject, other: Mobject) -> Mobject | None:
    """Return cells or words as they look while those that came last are not there yet.

    A matrix of more tokens grows out of one of fewer so, and so do the words beside it.

    Parameters
    ----------
    mobject
        Heatmaps or labels, in the end.
    other
        What there is of them now: the same first rows or labels.

    Returns
    -------
    Mobject or None
        A copy of the first, with its first rows or labels where the other has them, and the others
        hidden; None if it did not grow.
    """
    look = mobject.copy()
    for part, was in zip_longest(look.submobjects, other.submobjects):
        if part is None:
            return None
        if was is None:
            set_presence(part, 0.0)
        elif isinstance(part, Heatmap) and isinstance(was, Heatmap):
            count = was.shape[0]
            if not np.array_equal(part.values[:count], was.values):
                return None
            top, pitch = was.box.top, was.box.height / count
            part.place(Box.of(was.box.left, was.box.right, top - len(part.values) * pitch, top))
            shown = np.zeros(part.shape)
            shown[:count] = was.shown
            part.set_shown(shown)
            set_presence(part, presence(was))
        elif alike(part, was):
            for member, there in zip(part.get_family(), was.get_family(), strict=True):
                member.points = there.points.copy()
                set_presence(member, presence(there))
        else:
            return None
    return look


def _cells_equal(one: Mobject, other: Mobject) -> bool:
    if not (isinstance(one, Heatmap) and isinstance(other, Heatmap)):
        return True
    return one.looks_like(other) and np.array_equal(one.shown, other.shown)
