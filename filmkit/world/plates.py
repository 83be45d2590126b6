"""What stands in the room: the cards of heads, and plates of keys, values and latents."""

from __future__ import annotations

import numpy as np
from manim import Group, VMobject

from filmkit.core.camera import keep_upright
from filmkit.core.geometry import Box
from filmkit.core.light import glow, mirrored
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.mobjects.marks import Outline
from filmkit.pictures.parts import Matrix
from filmkit.world.plan import Place

__all__ = ["HeadCard", "Plate"]

INSET = 0.07  # of a card's pattern, as a share of the card
RIM = 0.025  # how much larger than its cells a plate's body is, as a share of its height
COPY = 0.4  # opacity of the cells of a copy
NAME_SIZE = 1 / 30
NAME_AT = (0.13, 0.87)  # where a number stands on its pattern, as shares of rows and columns
SHINE = {"pattern": 0.5, "plate": 1.2, "latent": 1.6}  # how much light they give


def _body(place: Place, colour: str | None, *, grown: float = 0.0, radius: float = 0.0) -> VMobject:
    """Return an opaque rectangle with a hairline, which stands at a place."""
    box = Box(0, 0, place.width, place.height).grown(grown)
    body = Outline(box, colour=colour, radius=radius)
    body.set_fill(current_theme().card, opacity=1.0)
    body.points = place.stand(body.points)
    return mirrored(body)


class Plate(Group):
    """Keys, values or a latent of all tokens, upright: a row for each token.

    Attributes
    ----------
    body
        Its opaque back, with a hairline in the colour of its role.
    cells : Heatmap
        The numbers.
    copy_of
        Number of the head whose plate this is a copy of, or None.
    """

    def __init__(self, matrix: Matrix, place: Place, *, copy_of: int | None = None) -> None:
        super().__init__()
        self.copy_of = copy_of
        self.body = _body(place, matrix.colour, grown=RIM * place.height)
        self.cells = mirrored(matrix.heatmap(Box(0, 0, 1, 1)).set_corners(place.corners))
        self.cells.edged = False
        glow(self.cells, SHINE["latent" if matrix.symbol == "C" else "plate"])
        if copy_of is not None:
            self.cells.set_opacity(COPY)
        self.add(self.body, self.cells)


class HeadCard(Group):
    """The card of a head: its pattern, and its number.

    Attributes
    ----------
    head
        Number of the head.
    body
        The card itself, opaque, with a hairline.
    pattern : Heatmap
        Its pattern.
    name : Label or None
        Its number in a corner of the card, which faces the camera; None without room for it.
    """

    def __init__(self, head: int, pattern: Matrix, place: Place, *, named: bool = True) -> None:
        super().__init__()
        theme = current_theme()
        self.head = head
        self.body = _body(place, theme.faint, radius=0.05 * place.width)
        inner = Place(
            place.center,
            place.turn,
            *(side * (1 - 2 * INSET) for side in (place.width, place.height)),
        )
        self.pattern = mirrored(pattern.heatmap(Box(0, 0, 1, 1)).set_corners(inner.corners))
        self.pattern.edged = False
        # What the mask removes is not there: the card itself is seen.
        self.pattern.set_shown(1 - self.pattern.masked)
        glow(self.pattern, SHINE["pattern"])
        self.name = Label(str(head), size=NAME_SIZE, colour=theme.muted) if named else None
        self.add(self.body, self.pattern)
        if self.name is not None:
            self.name.on_line(0.0, 0.0)
            # Where the mask has removed all cells.
            at = np.multiply(NAME_AT, self.pattern.shape).tolist()
            self.add(keep_upright(self.name, lambda shot: self.pattern.at(*at)))
