"""A latent for a layer that was trained without one: fitted, stored, and compared."""

from extract.latent.fit import add_latent
from extract.trace.contents.latents import FittedLatent, LatentReport, fitted_latent, latent_report

__all__ = ["FittedLatent", "LatentReport", "add_latent", "fitted_latent", "latent_report"]
