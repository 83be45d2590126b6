"""Camera movements over something much larger than the frame: a flight and a tour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from filmkit.core.animations import MoveCamera
from filmkit.core.camera import Shot, StageCamera

__all__ = ["Fly", "Tour", "flight"]

# rho of van Wijk and Nuij: the larger it is, the higher a flight rises. Viewers preferred 1.4.
RISE = 1.4


def flight(start: Shot, end: Shot, alpha: float) -> Shot:
    """Return the shot at a fraction of a smooth flight between two shots.

    The flight rises until both ends come into view, crosses, and comes down, so that the picture
    moves through the frame at a constant pace (van Wijk and Nuij, Smooth and efficient zooming
    and panning, 2003; b and r are the paper's names).

    Parameters
    ----------
    start, end
        The first and the last shot.
    alpha
        Fraction of the flight, between 0 and 1.
    """
    if alpha <= 0 or alpha >= 1:
        return end if alpha > 0 else start
    mixed = start.mix(end, alpha)
    here, there = np.array(start.center), np.array(end.center)
    distance = float(np.linalg.norm(there - here))
    if distance < 1e-6 * start.height:
        return mixed
    heights = np.array([start.height, end.height])
    b = np.array([1, -1]) * (RISE**4 * distance**2) + (heights[1] ** 2 - heights[0] ** 2)
    b /= 2 * heights * RISE**2 * distance
    r0, r1 = np.log(np.sqrt(b**2 + 1) - b)
    r = r0 + alpha * (r1 - r0)
    height = start.height * np.cosh(r0) / np.cosh(r)
    travelled = start.height / RISE**2 * (np.cosh(r0) * np.tanh(r) - np.sinh(r0))
    x, y, z = (float(c) for c in here + (there - here) * travelled / distance)
    return Shot(center=(x, y, z), height=float(height), theta=mixed.theta, phi=mixed.phi)


class Fly(MoveCamera):
    """Animation that takes the camera to a shot along a :func:`flight`."""

    def step(self, alpha: float) -> None:
        self.camera.shot = flight(self.origin, self.shot, alpha)


class Tour(MoveCamera):
    """Animation that takes the camera through several shots to the last, without stopping.

    Parameters
    ----------
    camera
        The camera to move.
    shots
        Shots that it passes, in order.
    durations
        Duration of each leg relative to the others; the first leg leads to the first shot.
    """

    def __init__(
        self, camera: StageCamera, shots: Sequence[Shot], durations: Sequence[float], **kwargs: Any
    ) -> None:
        super().__init__(camera, shots[-1], **kwargs)
        self.shots = list(shots)
        self.times = np.concatenate([[0.0], np.cumsum(durations)]) / sum(durations)

    def begin(self) -> None:
        stops = [self.camera.shot, *self.shots]
        self.values = np.array([[*s.center, np.log(s.height), s.theta, s.phi] for s in stops])
        # A smooth curve through all shots: the slope at each is that between its neighbours.
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
        """Return the camera's values on a leg: a cubic with the values and slopes of its ends."""
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
