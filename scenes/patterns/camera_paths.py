"""Ways for the camera over something much larger than the frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from filmkit.core.animations import MoveCamera
from filmkit.core.camera import Shot, StageCamera

__all__ = ["Fly", "Tour", "flight"]

# How readily a flight rises to see where it goes; van Wijk and Nuij found viewers to like 1.4.
RISE = 1.4


def flight(start: Shot, end: Shot, alpha: float) -> Shot:
    """The shot ``alpha`` of the way on an even flight from one shot to another.

    The flight rises until both ends come into view, crosses, and comes down, so that what passes
    in the frame passes at one pace (van Wijk and Nuij, Smooth and efficient zooming and panning,
    2003).
    """
    if alpha <= 0 or alpha >= 1:
        return end if alpha > 0 else start
    turned = start.mix(end, alpha)
    here, there = np.array(start.center), np.array(end.center)
    apart = float(np.linalg.norm(there - here))
    if apart < 1e-6 * start.height:
        return turned
    widths = np.array([start.height, end.height])
    lean = np.array([1, -1]) * (RISE**4 * apart**2) + (widths[1] ** 2 - widths[0] ** 2)
    lean /= 2 * widths * RISE**2 * apart
    r0, r1 = np.log(np.sqrt(lean**2 + 1) - lean)
    along = r0 + alpha * (r1 - r0)
    height = start.height * np.cosh(r0) / np.cosh(along)
    gone = start.height / RISE**2 * (np.cosh(r0) * np.tanh(along) - np.sinh(r0))
    x, y, z = (float(c) for c in here + (there - here) * gone / apart)
    return Shot(center=(x, y, z), height=float(height), theta=turned.theta, phi=turned.phi)


class Fly(MoveCamera):
    """Take the camera to a shot by :func:`flight`."""

    def step(self, alpha: float) -> None:
        self.camera.shot = flight(self.origin, self.shot, alpha)


class Tour(MoveCamera):
    """Take the camera past some shots to the last of them, without a stop on the way.

    Parameters
    ----------
    camera
        Which to move.
    shots
        What it passes, in order.
    lengths
        How long each leg takes relative to the others; the first is the one to the first shot.
    """

    def __init__(
        self, camera: StageCamera, shots: Sequence[Shot], lengths: Sequence[float], **kwargs: Any
    ) -> None:
        super().__init__(camera, shots[-1], **kwargs)
        self.shots = list(shots)
        self.times = np.concatenate([[0.0], np.cumsum(lengths)]) / sum(lengths)

    def begin(self) -> None:
        stops = [self.camera.shot, *self.shots]
        self.values = np.array([[*s.center, np.log(s.height), s.theta, s.phi] for s in stops])
        # A smooth curve through all stops: the slope at each is that between its neighbours.
        self.slopes = np.zeros_like(self.values)
        spans = (self.times[2:] - self.times[:-2])[:, None]
        self.slopes[1:-1] = (self.values[2:] - self.values[:-2]) / spans
        super().begin()

    def step(self, alpha: float) -> None:
        if alpha >= 1:
            self.camera.shot = self.shot
            return
        leg = int(np.searchsorted(self.times, alpha, side="right")) - 1
        x, y, z, log_height, theta, phi = (float(v) for v in self._on_leg(leg, alpha))
        self.camera.shot = Shot((x, y, z), float(np.exp(log_height)), theta, phi)

    def _on_leg(self, leg: int, alpha: float) -> npt.NDArray[np.float64]:
        """Cubic between two stops, with their values and slopes."""
        length = self.times[leg + 1] - self.times[leg]
        t = (alpha - self.times[leg]) / length
        start, end = self.values[leg], self.values[leg + 1]
        leaving, arriving = length * self.slopes[leg], length * self.slopes[leg + 1]
        return np.asarray(
            (2 * t**3 - 3 * t**2 + 1) * start
            + (t**3 - 2 * t**2 + t) * leaving
            + (3 * t**2 - 2 * t**3) * end
            + (t**3 - t**2) * arriving
        )
