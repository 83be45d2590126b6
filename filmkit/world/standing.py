"""What stands in the room and what is written beside it, from one picture to the next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from manim import Animation, Group, Mobject, VGroup

from filmkit.core.animations import Appear, Vanish, first_half, second_half
from filmkit.core.camera import Shot, keep_upright
from filmkit.core.stage import Stage
from filmkit.core.text import Label, break_lines
from filmkit.pictures.parts import TEXT

__all__ = ["stand", "stand_at_once", "words_at"]

WIDTH = 1.9  # of a line beside a body, at most


def stand(stage: Stage, shot: Shot, *things: Mobject, moves: Sequence[Animation] = ()) -> None:
    """Move the camera to things in the room: new ones appear, and everything else leaves.

    Parameters
    ----------
    stage
        The scene.
    shot
        Where the camera ends.
    *things
        All that is there in the end, in the order in which it is drawn.
    moves
        What else happens meanwhile.
    """
    members = {member for thing in things for member in thing.get_family()} | stage.title_parts
    here = set(stage.get_mobject_family_members())
    gone = [part for part in stage.visible_parts() if part not in members]
    new = [thing for thing in things if not here & set(thing.get_family())]
    stage.play(
        stage.move_camera(shot),
        *moves,
        *([Vanish(Group(*gone), rate_func=first_half)] if gone else []),
        *(Appear(thing, rate_func=second_half) for thing in new),
        run_time=stage.theme.tempo.swing,
    )
    stand_at_once(stage, *things)


def stand_at_once(stage: Stage, *things: Mobject, shot: Shot | None = None) -> None:
    """Leave nothing but things on a stage, in this order, and put the camera somewhere."""
    stage.camera.shot = shot or stage.camera.shot
    title = [mobject for mobject in stage.mobjects if mobject in stage.title_parts]
    stage.remove(*stage.mobjects)
    stage.add(*things, *title)


def words_at(
    text: str,
    anchor: npt.ArrayLike,
    *,
    away: tuple[float, float],
    width: float = WIDTH,
    size: float = TEXT,
    colour: str | None = None,
) -> VGroup:
    """Return words beside a point of the room, which face the camera.

    Parameters
    ----------
    text
        The words; they are broken into lines.
    anchor : (3,)
        The point.
    away
        From it to the middle of the nearest line, or with a distance across to the end that is
        nearer; in scene units of the frame.
    width
        Largest width of a line.
    size, colour
        Of the text; the theme's ink by default.
    """
    broken = break_lines(text, width, size=size)
    lines = VGroup(*(Label(line, size=size, colour=colour) for line in broken))
    step = 1.3 * lines[0].line_height
    x, y = away
    above = (len(lines) - 1) * (0.5 + 0.5 * np.sign(y))
    for number, line in enumerate(lines):
        line.on_line(x + np.sign(x) * line.width / 2, y + (above - number) * step)
    return keep_upright(lines, anchor)
