"""Questions: words at the place of a title, and choices that stand before the picture as slabs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from manim import (
    DL,
    RIGHT,
    UP,
    UR,
    Animation,
    Group,
    Line,
    Mobject,
    VGroup,
    color_to_rgb,
    smooth,
    squish_rate_func,
    there_and_back,
)

from filmkit.core.animations import (
    AnimateWith,
    Appear,
    Vanish,
    first_half,
    second_half,
    set_presence,
)
from filmkit.core.body import Body, put
from filmkit.core.camera import Shot, StageCamera, is_fixed, pin_to_frame
from filmkit.core.card import centred
from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame
from filmkit.core.line_breaks import sentences
from filmkit.core.narration import Narration
from filmkit.core.text import TextLine
from filmkit.core.theme import current_theme, mixed
from filmkit.core.title import title_corner

__all__ = ["BEHIND", "Choice", "Question", "written"]

Array = npt.NDArray[np.float64]

WORDS, CHOICE = 0.0733, 0.1  # sizes of letters, at most, as shares of the frame's shorter side
ABOVE, BELOW = 0.36, 0.5  # shares of the free height for the words, and for the slabs
WIDEST, APART = 0.42, 0.055  # width of a slab, and gap between two, as shares of the shorter side
HIGHEST, DEPTH, MARGIN = 0.72, 0.2, 0.1  # share of its width; and of its height, to words and deep
EDGE = 0.06  # share of a slab's height that its lit edge has
BEHIND = 0.0  # share of its presence that is left of the picture behind
DARK = 0.4  # share of the stone's colour that slabs have in the dark
TURN, TILT = 9.0, 6.0  # from how far to the right and above they are seen, in degrees
UNEVEN = 0.8  # what letters count in rows of which the last is not full, as a share of their size
WITHIN, CLEAR = 0.45, 0.15  # shares of the room over the slabs, and of a line to them at its ends
SWAY, LYING = 9.0, 80.0  # how far a slab turns that waits, and leans back that falls, in degrees

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
    role
        Whose colour it has; "" for that of stone.
    """

    kind: ClassVar[str] = "slab"

    def __init__(
        self, text: str, box: Box, size: float, shot: Shot, frame: Frame, role: str = ""
    ) -> None:
        theme = current_theme()
        stone = theme.role(role) if role else theme.stone
        colour = mixed(theme.background, stone, DARK) if theme.lit or role else stone
        left, right, back, foot = -box.width / 2, box.width / 2, -DEPTH * box.height, 1 - EDGE
        face = (left, 0.0, back), (right, foot * box.height, 0.0)
        edge = (left, foot * box.height, back), (right, box.height, 0.0)
        lit = stone if role else theme.lamp
        rgb = [np.asarray(color_to_rgb(each)) * 255 for each in (colour, lit)]
        super().__init__([face, edge], rgb, layers=[0, 1], shadow=False)
        self.told = text
        put(_on_face(text, box, size), self, (0.0, box.height / 2, 0.0), RIGHT, UP)
        self._own = [member.points for member in self.get_family()]
        self._foot = np.array([box.x, box.bottom, 0.0])
        self._shot, self._zoom = shot, shot.height / frame.height
        self.lean()

    def lean(self, turn: float = 0.0, back: float = 0.0) -> None:
        """Let it turn about its foot, and lean back, by shares of how far it does."""
        axes = Shot(theta=TURN + SWAY * turn, phi=TILT - LYING * back).rotation()
        for member, own in zip(self.get_family(), self._own, strict=True):
            seen = self._foot + _along(axes.T, own)
            member.points = self._shot.center + _along(self._zoom * self._shot.rotation(), seen)

    def stand(self, share: float) -> None:
        """Let it stand for 1, and have fallen over and gone for 0."""
        self.lean(back=1 - share)
        set_presence(self, min(1.0, 2 * share))


class Question(Group):
    """The words of a question, pinned to the frame, and its choices as slabs.

    Parameters
    ----------
    said
        The question.
    choices
        Its choices, as they stand alone.
    shot, frame
        The shot in which it is asked, and the frame.
    about
        The word that it is about, and the role whose colour that has; it stands over the choices,
        with a line to each.

    Attributes
    ----------
    words
        The lines.
    slabs : list of Choice
        The choices.
    right : int or None
        Number of the choice that stays for a moment while the others fall, if it is answered when
        it goes.
    """

    def __init__(
        self,
        said: Narration,
        choices: Sequence[str],
        shot: Shot,
        frame: Frame,
        about: tuple[str, str] | None = None,
    ) -> None:
        free, unit = frame.free, frame.shorter_side / FRAME_HEIGHT
        x, y = title_corner(frame)
        room = Box.of(x, free.right, y - ABOVE * free.height, y)
        text = written(said) if choices else said.text
        self.words = centred(text, room, WORDS * unit, weight="semibold")
        for line in self.words:
            line.shift((x - line.get_left()[0]) * RIGHT)
        pin_to_frame(self.words.shift((y - self.words.get_top()[1]) * UP))
        faces = _arranged(choices, frame, x, CHOICE * unit)
        sizes = (_on_face(choice, faces[0], CHOICE * unit)[0].size for choice in choices)
        size = min(sizes, default=0.0)
        each = zip(choices, faces, strict=False)
        self.slabs = [Choice(choice, box, size, shot, frame) for choice, box in each]
        self.right: int | None = None
        self.about = Group()
        if about and faces:
            word, role = about
            box = _over(faces, y - self.words.height)
            size = _on_face(word, box, CHOICE * unit)[0].size
            lines = VGroup(*(_line(box, face, role) for face in faces[: len(choices)]))
            self.about.add(pin_to_frame(lines), Choice(word, box, size, shot, frame, role))
        self._boxes = [Box.between(self.words.get_corner(DL), self.words.get_corner(UR)), *faces]
        super().__init__(self.about, *self.slabs, self.words)

    def hides(self, part: Mobject, camera: StageCamera) -> bool:
        """Return whether a part of the picture is a text that it would cross or cover.

        So is what is pinned to the frame, such as a headline.
        """
        if not (isinstance(part, TextLine) or is_fixed(part)):
            return False
        points = camera.transform_points_pre_display(part, part.points)
        box = Box.between(points.min(axis=0), points.max(axis=0))
        return any(min(own.overlap(box)) > 0 for own in self._boxes)

    def arrive(self) -> list[Animation]:
        """Return animations in which the words come, and one slab after the other stands up."""
        rising = self._in_turn(Choice.stand, smooth, introducer=True)
        return [Appear(Group(self.words, self.about), rate_func=first_half), *rising]

    def wait(self) -> list[Animation]:
        """Return animations in which the slabs turn a little, one after the other."""
        return self._in_turn(Choice.lean, there_and_back)

    def leave(self) -> list[Animation]:
        """Return animations in which it goes; if it is answered, the wrong choices fall first."""
        answered = self.right is not None
        wrong = [slab for i, slab in enumerate(self.slabs) if answered and i != self.right]
        rest = Group(*(part for part in self if part not in wrong))
        falling = {"rate_func": lambda alpha: 1 - first_half(alpha), "remover": True}
        falls = [AnimateWith(slab, slab.stand, **falling) for slab in wrong]
        return [*falls, Vanish(rest, rate_func=second_half if answered else smooth)]

    def _in_turn(
        self, change: Callable[[Choice, float], None], rate: Callable[[float], float], **kwargs: Any
    ) -> list[Animation]:
        """Return an animation of each slab, one after the other."""
        count = len(self.slabs)
        rates = [squish_rate_func(rate, i / count, (i + 1) / count) for i in range(count)]
        each = zip(self.slabs, rates, strict=True)
        return [AnimateWith(s, partial(change, s), rate_func=own, **kwargs) for s, own in each]


def written(said: Narration) -> str:
    """Return what is written of a question: without the choices at its end, which slabs have.

    >>> written(Narration.of("Which one is it: [red] or [blue]?", {}))
    'Which one is it?'
    """
    text, first = said.text, min(said.marks.values())
    start, end = next(span for span in sentences(text) if span[1] > first)
    before, after = text[:start].rstrip(), text[end:]
    lead, close = LEADS.search(text[start:first]), ENDS.search(text[start:end])
    if lead and close:
        return text[: start + lead.start()] + close[0] + after
    return before + after if before.endswith(("?", "？")) else text


def _on_face(text: str, face: Box, size: float) -> VGroup:
    """Return the words of a slab, in lines that fit on its face."""
    return centred(text, face.inset(MARGIN * face.height), size, weight="semibold")


def _arranged(choices: Sequence[str], frame: Frame, left: float, largest: float) -> list[Box]:
    """Return the faces of slabs in rows in the frame, to the end of the last row.

    Their letters are as large as can be, and rows rather full. In upright frames slabs are wide if
    that makes letters larger.

    Parameters
    ----------
    choices, frame
        What stands on them, and the frame.
    left
        x of the left side of all.
    largest
        Size of letters, at most.
    """
    free, side, count = frame.free, frame.shorter_side, len(choices)
    gap, widest = APART * side, WIDEST * side
    width, height, foot = free.right - left, BELOW * free.height, free.bottom + gap
    best: tuple[float, float, int, list[Box]] = 0.0, 0.0, 0, []
    sizes = (widest, 2 * widest) if frame.upright else (widest,)
    for longest, columns in product(sizes, range(1, count + 1)):
        rows = -(-count // columns)
        across = min(width / columns, longest + gap)
        down = min(height / rows, HIGHEST * min(across, widest + gap))
        start = left + (width - columns * across + gap) / 2
        grid = Box.of(start, start + columns * across - gap, foot, foot + rows * down - gap)
        each = (row.split_columns(columns, gap) for row in grid.split_rows(rows, gap))
        faces = [face for row in each for face in row]
        size = min(_on_face(choice, faces[0], largest)[0].size for choice in choices)
        best = max(best, (size * (UNEVEN if count % columns else 1), -longest, columns, faces))
    return best[-1]


def _over(faces: Sequence[Box], top: float) -> Box:
    """Return a face as large as others, or smaller, between these and a line of words above."""
    whole = Box.around(faces)
    room = Box.of(whole.left, whole.right, whole.top, top)
    height = min(faces[0].height, WITHIN * room.height)
    width = faces[0].width * height / faces[0].height
    return Box(room.x, room.y, width, height)


def _line(start: Box, end: Box, role: str) -> Line:
    """Return a line from below one face to above another."""
    theme = current_theme()
    a, b = np.array([start.x, start.bottom, 0]), np.array([end.x, end.top, 0])
    line = Line(a + CLEAR * (b - a), b - CLEAR * (b - a), stroke_width=theme.bold)
    return line.set_stroke(theme.role(role))


def _along(axes: Array, points: Array) -> Array:
    """Return where points (n, 3) in the units of three axes, (3, 3), are."""
    # Each product by itself: a processor may round those of a matrix otherwise.
    return np.asarray(sum(points[:, k, None] * axes[k] for k in range(3)))
