"""The name of `extract.latent.calibration` that the documentation gives to programs."""

from extract.latent.calibration import calibrate

__all__ = ["calibrate"]
