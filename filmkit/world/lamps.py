"""A card of lamps that stands in the room: one for each thing that a chip could do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from manim import Polygon, VMobject

from filmkit.core.light import glow
from filmkit.core.theme import current_theme
from filmkit.mobjects.ribbon import outline_points
from filmkit.world.block import SIDES, Pose, Solid

__all__ = ["LampCard", "lamp_places"]

SQUARE = ((-0.31, 0.31), (0.31, 0.31), (0.31, -0.31), (-0.31, -0.31))  # a lamp, in pitches
DARK = 0.3  # opacity of lamps that do not burn

Corners = npt.NDArray[np.float64]


class LampCard(Solid):
    """A card with lamps on its face, of which some burn.

    Parameters
    ----------
    pose
        Where the card stands.
    lamps
        How many lamps there are.
    order
        From a lamp's corners to when its turn is: lower ones are first. From the top left, row by
        row, by default.
    shine
        How much light a lamp gives.

    Attributes
    ----------
    places
        The corners of all lamps, (4, 3) each, in order.
    lit
        The lamps that burn: none at first.
    """

    def __init__(
        self,
        pose: Pose,
        lamps: int,
        *,
        order: Callable[[Corners], float] | None = None,
        shine: float = 1.0,
    ) -> None:
        super().__init__()
        theme, self.pose = current_theme(), pose
        self.places = lamp_places(pose, lamps)
        if order is not None:
            self.places.sort(key=order)
        card = Polygon(*(pose.corner(*corner) for corner in SIDES[1][:4]))
        card.set_fill(theme.card, opacity=1.0).set_stroke(theme.faint, width=theme.line)
        dark = VMobject(stroke_color=theme.muted, stroke_width=theme.line)
        dark.set_fill(theme.muted, opacity=DARK).points = outline_points(self.places)
        lit = VMobject(stroke_width=0.0, fill_color=theme.ink, fill_opacity=1.0)
        self.lit = glow(lit, shine)
        self.add(card, dark, self.lit)

    def burn(self, lamps: int) -> None:
        """Let the first lamps burn."""
        self.lit.points = outline_points(self.places[:lamps])


def lamp_places(pose: Pose, count: int) -> list[Corners]:
    """Return the corners of equal squares, (4, 3) each, in rows on the face of a solid."""
    columns = max(1, round((count * pose.depth / pose.height) ** 0.5))
    rows = -(-count // columns)
    pitch = min(pose.depth / (columns + 1), pose.height / (rows + 1))
    across, up = pitch / pose.depth, pitch / pose.height
    places = []
    for number in range(count):
        row, column = divmod(number, columns)
        x, y = column - (columns - 1) / 2, (rows - 1) / 2 - row
        places.append(
            [pose.corner(1.02, 0.5 + (y + b) * up, 0.5 + (x + a) * across) for a, b in SQUARE]
        )
    return [np.array(place) for place in places]
