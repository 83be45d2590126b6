"""How well colours stand out from each other, as WCAG 2.2 defines it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["LUMINANCE", "contrast", "readable_on"]

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # of red, green and blue in linear light
INKS = {"#000000": 0.0, "#ffffff": 1.0}  # one of both has a contrast of 4.5 or more to any colour


def luminance(rgb: npt.ArrayLike) -> float:
    """Return the relative luminance of RGB in [0, 1]."""
    levels = np.asarray(rgb, dtype=float)
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    return float(linear @ LUMINANCE)


def contrast(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """Return the contrast ratio of two colours, RGB in [0, 1]: from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def readable_on(rgb: npt.ArrayLike) -> str:
    """Return black or white, "#RRGGBB": what stands out more from a colour, RGB in [0, 1]."""
    return max(INKS, key=lambda ink: contrast(np.full(3, INKS[ink]), rgb))
