"""Run a scene without drawing, and check the picture at which each beat ends."""

from filmkit.tools.checks import HEIGHT, MIN_PRESENCE, WIDTH, BeatPicture, complaints, play

__all__ = ["HEIGHT", "MIN_PRESENCE", "WIDTH", "BeatPicture", "complaints", "play"]
