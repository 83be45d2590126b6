"""Questions: words at the place of a title, and choices that stand before the picture as slabs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from manim import RIGHT, UP, Animation, Group, linear, smooth, squish_rate_func

from filmkit.core.animations import (
    AnimateWith,
    Appear,
    Vanish,
    first_half,
    second_half,
    set_presence,
)
from filmkit.core.body import Body, put
from filmkit.core.camera import Shot, pin_to_frame
from filmkit.core.card import centred
from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame
from filmkit.core.line_breaks import sentences
from filmkit.core.narration import Narration
from filmkit.core.theme import current_theme, mixed
from filmkit.core.title import title_corner

__all__ = ["Choice", "Question", "written"]

Array = npt.NDArray[np.float64]

WORDS, CHOICE = 0.0733, 0.1  # sizes of letters, at most, as shares of the frame's shorter side
ABOVE, BELOW = 0.36, 0.5  # shares of the free height for the words, and for the slabs
WIDEST, WIDEST_UPRIGHT = 0.42, 0.7  # width of a slab, as a share of the frame's shorter side
HIGHEST, DEPTH = 0.72, 0.2  # height of a slab as a share of its width, and depth of its height
APART = 0.055  # of two slabs, as a share of the frame's shorter side
FACE = 0.84, 0.8  # part of a slab's width and height for its words
DARK = 0.4  # share of the stone's colour that slabs have in the dark
TURN, TILT = 9.0, 6.0  # from how far to the right and above they are seen, in degrees
LYING = 80.0  # how far a slab that has fallen leans back, in degrees
SWAY, BREATH = 9.0, 2.0  # how far one turns that waits, in degrees, and how often, in seconds

# What leads to choices that end a sentence: a colon, and one word at most, such as "about".
LEADS = re.compile(r"\s?(?::\s|：)\s*\S{0,12}\s*$")
ENDS = re.compile(r"\s?\W$")


class Choice(Body):
    """A slab with one of the choices of a question on its face.

    It has the same place and size in the frame in every shot.

    Parameters
    ----------
    text
        The choice.
    box
        The slab's face, in the frame.
    size
        Size of its letters, at most.
    shot, frame
        The shot in which it stands, and the frame.
    """

    kind: ClassVar[str] = "slab"

    def __init__(self, text: str, box: Box, size: float, shot: Shot, frame: Frame) -> None:
        theme = current_theme()
        colour = mixed(theme.background, theme.stone, DARK) if theme.lit else theme.stone
        low = -box.width / 2, 0.0, -DEPTH * box.height
        super().__init__([[low, (box.width / 2, box.height, 0.0)]], colour, shadow=False)
        self.told = text
        words = centred(text, _for_words(box), size, weight="semibold")
        put(words, self, (0.0, box.height / 2, 0.0), RIGHT, UP)
        self._own = [member.points for member in self.get_family()]
        self._foot = np.array([box.x, box.bottom, 0.0])
        self._shot, self._zoom = shot, shot.height / frame.height
        self.lean()

    def lean(self, back: float = 0.0, turn: float = 0.0) -> None:
        """Let it lean back, and turn about its foot, by some degrees."""
        axes = Shot(theta=TURN + turn, phi=TILT - back).rotation()
        for member, own in zip(self.get_family(), self._own, strict=True):
            seen = self._foot + _along(axes.T, own)
            member.points = self._shot.center + _along(self._zoom * self._shot.rotation(), seen)

    def stand(self, share: float) -> None:
        """Let it stand for 1, and have fallen over and gone for 0."""
        self.lean(back=LYING * (1 - share))
        set_presence(self, min(1.0, 2 * share))


class Question(Group):
    """The words of a question, pinned to the frame, and its choices as slabs.

    Parameters
    ----------
    said
        The question.
    choices
        Its choices, as they stand alone.
    answer
        The number of the right one; None if it is not known.
    shot, frame
        The shot in which it is asked, and the frame.

    Attributes
    ----------
    words
        The lines.
    slabs : list of Choice
        The choices.
    boxes : list of Box
        What it covers of the frame: the words, and each slab's face.
    """

    def __init__(
        self,
        said: Narration,
        choices: Sequence[str],
        answer: int | None,
        shot: Shot,
        frame: Frame,
    ) -> None:
        free, size = frame.free, frame.shorter_side / FRAME_HEIGHT
        x, y = title_corner(frame)
        room = Box.of(x, free.right, y - ABOVE * free.height, y)
        text = written(said) if choices else said.text
        self.words = centred(text, room, WORDS * size, weight="semibold")
        for line in self.words:
            line.shift([x - line.get_left()[0], 0.0, 0.0])
        self.words.shift([0.0, y - self.words.get_top()[1], 0.0])
        pin_to_frame(self.words)
        faces, size = _arranged(choices, frame, x, CHOICE * size)
        each = zip(choices, faces, strict=True)
        self.slabs = [Choice(choice, box, size, shot, frame) for choice, box in each]
        self.answer = answer
        corners = self.words.get_corner(-RIGHT - UP), self.words.get_corner(RIGHT + UP)
        self.boxes = [Box.between(*corners), *faces]
        super().__init__(*self.slabs, self.words)

    def covers(self, points: Array) -> bool:
        """Return whether it covers some of the box around points (n, 3) of the frame."""
        seen = Box.between(points.min(axis=0), points.max(axis=0))
        return any(min(box.overlap(seen)) > 0 for box in self.boxes)

    def arrive(self) -> list[Animation]:
        """Return animations in which the words come, and then one slab after the other stands."""
        starts = np.linspace(0.25, 0.6, len(self.slabs)).tolist()
        return [
            Appear(self.words, rate_func=first_half),
            *(
                AnimateWith(
                    slab,
                    slab.stand,
                    introducer=True,
                    rate_func=squish_rate_func(smooth, start, start + 0.4),
                )
                for slab, start in zip(self.slabs, starts, strict=True)
            ),
        ]

    def wait(self, seconds: float) -> Animation:
        """Return an animation in which the slabs turn a little, one after the other."""
        breaths = max(1, round(seconds / BREATH))

        def step(alpha: float) -> None:
            for place, slab in enumerate(self.slabs):
                wave = np.sin(2 * np.pi * breaths * alpha - place * np.pi / len(self.slabs))
                slab.lean(turn=SWAY * max(0.0, float(wave)))

        return AnimateWith(Group(*self.slabs), step, rate_func=linear)

    def leave(self, *, answered: bool) -> list[Animation]:
        """Return animations in which it goes.

        Parameters
        ----------
        answered
            Whether it is answered now: then the wrong choices fall before the right one goes.
        """
        wrong = [slab for i, slab in enumerate(self.slabs) if answered and i != self.answer]
        rest = Group(*(part for part in self if part not in wrong))
        return [
            Vanish(rest, rate_func=second_half if answered else smooth),
            *(
                AnimateWith(slab, slab.stand, remover=True, rate_func=lambda a: 1 - first_half(a))
                for slab in wrong
            ),
        ]


def written(said: Narration) -> str:
    """Return what is written of a question: without the choices at its end, which slabs have.

    >>> written(Narration.of("Which one is it: [red] or [blue]?", {}))
    'Which one is it?'
    """
    text, first = said.text, min(said.marks.values())
    start, end = next(span for span in sentences(text) if span[1] > first)
    before, after = text[:start], text[end:]
    lead, close = LEADS.search(text[start:first]), ENDS.search(text[start:end])
    if lead and close:
        return before + text[start : start + lead.start()] + close[0] + after
    return before.rstrip() + after if before.rstrip().endswith(("?", "？")) else text


def _for_words(box: Box) -> Box:
    """Return the part of a slab's face for its words, about its middle."""
    return Box(0.0, 0.0, FACE[0] * box.width, FACE[1] * box.height)


def _arranged(
    choices: Sequence[str], frame: Frame, left: float, largest: float
) -> tuple[list[Box], float]:
    """Return the faces of slabs in the frame, in rows, so that their letters are largest.

    Parameters
    ----------
    choices, frame
        What stands on them, and the frame.
    left
        x of the first one's left side.
    largest
        Size of letters, at most.

    Returns
    -------
    list of Box, float
        The faces, and the size of the letters.
    """
    free, side = frame.free, frame.shorter_side
    width, height, gap = free.right - left, BELOW * free.height, APART * side
    best: tuple[float, int, list[Box]] = 0.0, 0, []
    for columns in range(1, len(choices) + 1):
        rows = -(-len(choices) // columns)
        across = (width + gap) / columns - gap
        across = min(across, (WIDEST_UPRIGHT if frame.upright else WIDEST) * side)
        down = min((height + gap) / rows - gap, HIGHEST * across)
        faces = [
            Box.of(x, x + across, y, y + down)
            for y in (free.bottom + gap + (down + gap) * row for row in reversed(range(rows)))
            for x in (left + (across + gap) * column for column in range(columns))
        ]
        room = _for_words(faces[0])
        words = (centred(choice, room, largest, weight="semibold") for choice in choices)
        size = min(lines[0].size for lines in words)
        best = max(best, (size, columns, faces[: len(choices)]), key=lambda found: found[:2])
    return best[2], best[0]


def _along(axes: Array, points: Array) -> Array:
    """Return where points (n, 3) in the units of three axes, (3, 3), are."""
    # Each product by itself: a processor may round those of a matrix otherwise.
    return np.asarray(sum(points[:, k, None] * axes[k] for k in range(3)))
