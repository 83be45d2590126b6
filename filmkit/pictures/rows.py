"""A row of a matrix that stands up: over each of its cells a bar, as high as its number."""

from __future__ import annotations

from typing import Any

import numpy as np
from manim import Animation, Group

from filmkit.core.animations import AnimateWith, set_presence
from filmkit.core.errors import SceneCodeError
from filmkit.core.heatmap import Heatmap
from filmkit.core.theme import current_theme
from filmkit.pictures.bodies import Relief
from filmkit.pictures.picture import PlacedPart

__all__ = ["StandingRow"]

HIGH = 1.2  # length of the bar of the largest number of a scale, in scene units
DEEP = 0.5  # and how deep it is
FLAT = 1e-3  # height of a relief that lies, as a share of the one that stands
SEEN = 0.2  # share of the time in which it appears over its cells


class StandingRow(Group):
    """The row of a part as a relief that stands exactly over its cells.

    Bars stand on a zero line, up for positive numbers and down for negative ones, in the colour of
    the part's title; the scale of heights is linear, and that of the part. The zero line is in the
    middle of the row, or higher, so that in the room no bar goes below the floor. Cells that the
    mask removes have no bar.

    Parameters
    ----------
    part
        A part on screen, such as ``self.parts["Q"]``.
    row
        Number of the row; -1 is the last one.
    high
        Length of the bar of the largest number of the scale, in scene units.

    Attributes
    ----------
    bodies : list of Relief
        A relief for each heatmap of the part: where its middle is left out there are several.

    Raises
    ------
    SceneCodeError
        If the part has no cells or no such row, or the length is not above 0.

    Examples
    --------
    ::

        self.show("Q Kt", stands="floor", light="Q")
        row = StandingRow(self.parts["Q"], -1)
        self.play(row.stand_up())
    """

    def __init__(self, part: PlacedPart, row: int, *, high: float = HIGH) -> None:
        if not high > 0:
            raise SceneCodeError(f"high={high:g} is no length of a bar; give one above 0")
        ink = part.colour or current_theme().ink
        places = part.cells.of_row(row).items()
        self.bodies = [_RisingRow(block, place, ink, high) for block, place in places]
        lowest = min(float(body.foot[1] + body.extent[0, 1]) for body in self.bodies)
        for body in self.bodies:
            body.lift = max(0.0, -lowest) if "pane" in part.pieces else 0.0
        super().__init__(*self.bodies)
        self.rise(1.0)

    def stand_up(self, **kwargs: Any) -> Animation:
        """Return an animation in which the relief rises from its cells."""
        return AnimateWith(self, self.rise, introducer=True, **kwargs)

    def lie_down(self, **kwargs: Any) -> Animation:
        """Return an animation in which the relief sinks into its cells, and is gone."""
        return AnimateWith(self, lambda alpha: self.rise(1 - alpha), remover=True, **kwargs)

    def rise(self, alpha: float) -> None:
        """Show the relief as far as it has risen, 0 to 1."""
        for body in self.bodies:
            body.rise(max(alpha, FLAT))
        set_presence(self, min(1.0, alpha / SEEN))


class _RisingRow(Relief):
    """A row of a heatmap as bars over its cells.

    Parameters
    ----------
    block, row
        The heatmap, and the number of its row.
    colour
        "#RRGGBB".
    high
        Length of the bar of the largest number of the scale, in scene units.

    Attributes
    ----------
    foot : (3,)
        The middle of the row.
    lift
        Height of the zero line over that.
    """

    def __init__(self, block: Heatmap, row: int, colour: str, high: float) -> None:
        count = block.shape[1]
        start = block.at(row, 0)
        along, down = block.at(row, count) - start, block.at(row + 1, 0) - start
        length, deep = (float(np.linalg.norm(way)) for way in (along, down))
        near = DEEP * min(deep, length / count)
        super().__init__(
            np.where(block.masked[row] > 0, 0.0, block.values[row]),
            role=colour,
            width=length,
            depth=near,
            unit=(max(abs(block.norm.vmin), abs(block.norm.vmax)) or 1.0) / high,
            source=block.source.part((row, row + 1), (0, count)),
        )
        # On the floor it stands on the middle of its row, on glass before it.
        lies = bool(abs(down[1]) < deep / 2)
        self.foot = start + (along + down) / 2 + [0.0, 0.0, 0.0 if lies else near / 2]
        self.right, self.lift = along / length, 0.0

    def rise(self, share: float) -> None:
        """Stand as high as a share of the whole height."""
        up, near = share * np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])
        origin = self.foot + self.lift * up
        self.points = np.array([origin, origin + self.right, origin + up, origin + near])
