"""Words of a sentence that stand in the room, or fall into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
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
from filmkit.core.camera import Shot
from filmkit.core.geometry import Box, Frame
from filmkit.mobjects.sentence import Sentence
from filmkit.world.block import shot_of

__all__ = ["RoomWords", "fall"]

SIZE = 0.075  # of words that stand in the room, at most
LAG = 0.3  # from one falling word to the next, as a share of the time of one
# A word falls in the first half of its time, and becomes something in the other.
LANDING, BECOMING = squish_rate_func(rush_into, 0, 0.5), squish_rate_func(smooth, 0.45, 1)


class RoomWords(VGroup):
    """Words in lines one above another in the plane z = 0, with room for something at each.

    Parameters
    ----------
    words
        Texts of the tokens.
    room
        What they and the things at them fill of the frame, from the left of the first word to the
        right of the last.
    share
        Share of the room's height that the words may take.

    Attributes
    ----------
    places : (word, 2)
        The middle of each word, across, and the foot of its line.
    step
        Height of a line, with what stands at its words.
    """

    def __init__(self, words: Sequence[str], room: Box, *, share: float) -> None:
        sentence = Sentence(words, Box(0, 0, room.width, share * room.height), size=SIZE)
        super().__init__(*sentence.words)
        lines = sorted(set(sentence.lines))
        self.room, self.step = room, room.height / len(lines)
        self.places: npt.NDArray[np.float64] = np.array(
            [
                (word.get_center()[0], self.step * lines.index(y))
                for word, y in zip(self, sentence.lines, strict=True)
            ]
        )

    @property
    def nearest(self) -> float:
        """The least distance between the middles of two words of a line; infinite without two."""
        apart = np.diff(self.places, axis=0)
        return float(apart[apart[:, 1] == 0][:, 0].min(initial=np.inf))

    def shot(self, frame: Frame, *, tilt: float, near: float = 0.0) -> Shot:
        """Return the shot in which the words, and what stands at them, fill the room.

        Parameters
        ----------
        frame
            The frame.
        tilt
            From how far above, in degrees.
        near
            How far towards the viewer the words stand.
        """
        sides = float(self.get_left()[0]), float(self.get_right()[0])
        corners = [(x, y, near) for x in sides for y in (0, self.room.height)]
        return shot_of(corners, frame, into=self.room, turn=0.0, tilt=tilt)


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
