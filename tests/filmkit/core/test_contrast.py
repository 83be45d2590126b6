"""Contrast of colours, and the ink that can be read on each."""

from __future__ import annotations

import numpy as np
import pytest
from manim import ManimColor

from filmkit.core.contrast import contrast, readable_on


def test_contrast_is_that_of_the_guidelines() -> None:
    white, black = np.ones(3), np.zeros(3)
    assert contrast(white, black) == contrast(black, white) == pytest.approx(21)
    assert contrast(white, white) == 1
    # An example of WCAG: #767676 is the lightest grey that may be written on white.
    assert contrast(white, np.full(3, 0x76 / 255)) == pytest.approx(4.54, abs=0.005)


def test_one_of_black_and_white_can_be_read_on_any_colour() -> None:
    levels = np.linspace(0, 1, 9)
    for rgb in np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 3):
        assert contrast(ManimColor(readable_on(rgb)).to_rgb(), rgb) >= 4.5
    assert readable_on([1, 1, 0]) == "#000000"
    assert readable_on([0, 0, 1]) == "#ffffff"
