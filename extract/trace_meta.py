"""The names of `extract.trace` that documentation and programs take from here."""

from extract.trace import Featured, ModelSource

__all__ = ["Featured", "ModelSource"]
