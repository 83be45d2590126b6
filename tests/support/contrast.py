"""Contrast of what is really drawn with what is really behind it."""

from filmkit.core.contrast import LUMINANCE, contrast
from filmkit.tools.checks import LINES, TEXT, low_contrast

__all__ = ["LINES", "LUMINANCE", "TEXT", "contrast", "low_contrast"]
