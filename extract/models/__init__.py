"""A model becomes a trace: loaded, run once, its activations named, or arrays of others read."""

from extract.models.loading import LoadedModel, load_model

__all__ = ["LoadedModel", "load_model"]
