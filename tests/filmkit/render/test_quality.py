"""Sizes of pictures: every quality in every shape."""

from __future__ import annotations

import pytest

from filmkit.render.quality import ASPECTS, QUALITIES, Quality, frame_size, quality_of


@pytest.mark.parametrize("name", QUALITIES)
@pytest.mark.parametrize("aspect", ASPECTS)
def test_a_picture_has_the_shape_and_even_sides(name: str, aspect: str) -> None:
    quality = quality_of(name, aspect)
    across, down = ASPECTS[aspect]
    assert quality.width % 2 == quality.height % 2 == 0
    assert quality.width / quality.height == pytest.approx(across / down, rel=0.005)
    width, height = frame_size(quality.width, quality.height)
    assert width / height == pytest.approx(quality.width / quality.height)
    assert min(width, height) >= 8


def test_another_frame_rate_leaves_the_size() -> None:
    assert quality_of("hd", "1:1", 60) == Quality(720, 720, 60)
