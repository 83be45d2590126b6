"""Words of a sentence that stand below something, or fall."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from manim import (
    Animation,
    AnimationGroup,
    LaggedStart,
    Mobject,
    VGroup,
    rush_into,
    smooth,
    squish_rate_func,
)

from filmkit.core.animations import AnimateWith, Glide, Vanish
from filmkit.core.geometry import Box
from filmkit.core.text import fit_size, fit_word
from filmkit.core.token_text import printable

__all__ = ["fall", "words_in_columns"]

COLUMN, SIZE = 1.2, 0.05  # width of a column at least where there are several lines, and of words
APART, LINES_APART, OVER = 0.14, 0.3, 0.1  # between columns, and lines; from a word to its room
LAG = 0.3  # from one falling word to the next, as a share of the time of one
# A word falls in the first half of its time, and becomes something in the other.
LANDING, BECOMING = squish_rate_func(rush_into, 0, 0.5), squish_rate_func(smooth, 0.45, 1)


def words_in_columns(words: Sequence[str], room: Box) -> tuple[VGroup, list[Box]]:
    """Return words in columns of equal width, and the room over each that is left for something.

    Parameters
    ----------
    words
        Texts of the tokens.
    room
        What they and the things over them fill, in as many lines as are needed.
    """
    lines = -(-len(words) // max(1, int(room.width / COLUMN)))
    across, texts = -(-len(words) // lines), [printable(word) for word in words]
    places = [
        place
        for strip in room.split_rows(lines, LINES_APART)
        for place in strip.split_columns(across, APART)
    ][: len(words)]
    width = places[0].width
    size = min(fit_size(text, width, size=SIZE).size for text in texts)
    labels = VGroup(*(fit_word(text, width, size=size) for text in texts))
    high = labels[0].line_height
    for label, place in zip(labels, places, strict=True):
        label.on_line(place.x, place.bottom + high / 2)
    foot = high + OVER
    return labels, [Box.of(p.left, p.right, p.bottom + foot, p.top) for p in places]


def fall(
    words: Sequence[Mobject],
    landed: Sequence[Mobject],
    target: Mobject,
    steps: Sequence[Callable[[float], None]],
    *,
    stay: bool = False,
    **kwargs: Any,
) -> Animation:
    """Return the animation in which words fall, one after another, and each becomes something.

    Parameters
    ----------
    words, landed
        The words, and copies of them where they have fallen.
    target
        What they become a part of.
    steps
        For each word what happens to the target then; called with the share that is done.
    stay
        Whether words stay where they have fallen.
    """
    falling = (
        AnimationGroup(
            Glide(word, end, rate_func=LANDING),
            AnimateWith(target, step, rate_func=BECOMING),
            *([] if stay else [Vanish(word, rate_func=BECOMING)]),
        )
        for word, end, step in zip(words, landed, steps, strict=True)
    )
    return LaggedStart(*falling, lag_ratio=LAG, **kwargs)
