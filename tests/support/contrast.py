"""Contrast of what is really drawn with what is really behind it."""

from filmkit.core.contrast import LUMINANCE, contrast
from filmkit.tools.checks import LINE_CONTRAST, TEXT_CONTRAST, low_contrast

__all__ = ["LINE_CONTRAST", "LUMINANCE", "TEXT_CONTRAST", "contrast", "low_contrast"]
