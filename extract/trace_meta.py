"""Names of `extract.trace` that earlier documentation gave here."""

from extract.trace import Featured, ModelSource

__all__ = ["Featured", "ModelSource"]
