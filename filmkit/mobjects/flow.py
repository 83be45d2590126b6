"""Lines that lead from one panel to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import VGroup, VMobject

from filmkit.core.animations import InPlaceAnimation, set_presence
from filmkit.core.theme import current_theme

__all__ = ["Draw", "Wire"]

Points = npt.NDArray[np.float64]


class Wire(VGroup):
    """A line with small round corners and an arrow head at its end.

    Parameters
    ----------
    path
        Corners (x, y) from start to end.
    colour
        "#RRGGBB"; the theme's ``flow`` by default.
    arrow
        Whether it has an arrow head.
    width
        Line width in points; the theme's ``line`` by default.

    Attributes
    ----------
    line, tip
        Its line, and its arrow head or None.

    Examples
    --------
    ::

        wire = Wire([(keys.right, keys.y), (scores.x, keys.y), (scores.x, scores.bottom)])
        self.play(Draw(wire))
    """

    CORNER = 0.12  # radius of a corner, in scene units
    TIP = 0.14  # length of the arrow head, in scene units

    def __init__(
        self,
        path: Sequence[tuple[float, float]],
        *,
        colour: str | None = None,
        arrow: bool = True,
        width: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        theme = current_theme()
        colour = colour or theme.flow
        corners = np.array([[x, y, 0.0] for x, y in path])
        end = corners[-1].copy()
        ahead = corners[-1] - corners[-2]
        ahead = ahead / np.linalg.norm(ahead)
        if arrow:
            corners[-1] = end - ahead * self.TIP * 0.8
        self.line = VMobject(
            stroke_color=colour, stroke_width=width or theme.line, fill_opacity=0.0
        )
        self._draw(corners)
        self.add(self.line)
        self.tip: VMobject | None = None
        if arrow:
            side = np.array([-ahead[1], ahead[0], 0.0]) * self.TIP * 0.42
            base = end - ahead * self.TIP
            self.tip = VMobject(fill_color=colour, fill_opacity=1.0, stroke_width=0.0)
            self.tip.set_points_as_corners([end, base + side, base - side, end])
            self.add(self.tip)

    def _draw(self, corners: Points) -> None:
        """Set the points of the line from its corners (n, 3)."""
        self.line.start_new_path(corners[0])
        for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
            arriving, leaving = corner - before, after - corner
            lengths = np.linalg.norm(arriving), np.linalg.norm(leaving)
            radius = min(self.CORNER, lengths[0] / 2, lengths[1] / 2)
            start = corner - arriving / lengths[0] * radius
            end = corner + leaving / lengths[1] * radius
            self.line.add_line_to(start)
            self.line.add_quadratic_bezier_curve_to(corner, end)
        self.line.add_line_to(corners[-1])


class Draw(InPlaceAnimation):
    """Add a wire to the scene and draw it from its start to its end, the arrow head last."""

    def __init__(self, wire: Wire, **kwargs: Any) -> None:
        super().__init__(wire, introducer=True, **kwargs)
        self.wire = wire

    def begin(self) -> None:
        self.whole = self.wire.line.copy()
        super().begin()

    def step(self, alpha: float) -> None:
        self.wire.line.pointwise_become_partial(self.whole, 0.0, alpha)
        if self.wire.tip is not None:
            set_presence(self.wire.tip, min(1.0, max(0.0, 5 * alpha - 4)))
