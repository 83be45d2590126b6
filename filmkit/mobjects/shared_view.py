"""View of a layer whose heads share keys and values, for scenes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from extract.recompute.sharing import SharedLayer, share_heads
from extract.trace import Trace
from filmkit.core.errors import StageError
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.theme import current_theme
from filmkit.core.view import LayerView

__all__ = ["SharedView", "require_shareable"]

Array = npt.NDArray[np.float64]


def require_shareable(trace: Trace) -> None:
    """Raise a StageError unless a model has keys and values of several heads, to share them."""
    meta = trace.meta
    if meta.attention == "mla":
        raise StageError(
            f"{meta.model} keeps a latent instead of keys and values; render scene_mla"
        )
    if meta.n_heads == 1:
        raise StageError(
            f"{meta.model} has one head, which has nothing to share; give another trace"
        )


@dataclass(frozen=True)
class SharedView:
    """One layer, computed again with keys and values that groups of heads share.

    Attributes
    ----------
    layer
        The layer itself, cut to the positions that are drawn.
    shared
        The layer with shared keys and values, at all positions.
    """

    layer: LayerView
    shared: SharedLayer

    @classmethod
    def of(cls, layer: LayerView, n_groups: int) -> SharedView:
        """Compute a layer with ``n_groups`` groups of heads that share keys and values."""
        return cls(layer, share_heads(layer.trace, layer.layer, n_groups))

    @property
    def span(self) -> slice:
        """The positions that are drawn."""
        return slice(self.layer.first, self.layer.stop)

    @cached_property
    def norms(self) -> dict[str, Norm]:
        """Norms of keys ("k") and values ("v"): the layer's own, to compare colours."""
        return {name: self.layer.norm(name) for name in ("k", "v")}

    # Groups

    def panel(self, name: str, group: int) -> tuple[Array, TensorSource]:
        """Return the keys ("k") or values ("v") of a group and their source.

        They are (position, channel); keys are those used in the scores.
        """
        values = getattr(self.shared, name)[self.span, group]
        width = (0, values.shape[1])
        if not self.shared.pooled:
            tensor = self.layer.head(0).score_tensor("k") if name == "k" else "v"
            return values, self.layer.source(tensor, group, width)
        first, *_between, last = self.shared.heads(group)
        quantity = {"k": "shared_keys", "v": "shared_values"}[name]
        return values, self.layer.computed(quantity, width[1], heads=(first, last))

    # Heads

    def pattern(self, head: int) -> tuple[Array, TensorSource]:
        """Return the pattern of a head and its source."""
        values = self.shared.pattern[head, self.span, self.span]
        return values, self._source("shared_pattern", head)

    def difference(self, head: int) -> tuple[Array, TensorSource]:
        """Return how far the pattern of a head is from the model's own, and the source of that."""
        moved = np.abs(self.pattern(head)[0] - self.layer.head(head).pattern)
        return moved, self._source("shared_difference", head)

    @cached_property
    def difference_norm(self) -> Norm:
        """Norm of these differences, one for all heads: no difference is the background.

        They have a colour of their own, so that nobody takes them for patterns.
        """
        theme, heads = current_theme(), range(self.layer.trace.meta.n_heads)
        most = max(float(self.difference(head)[0].max()) for head in heads)
        return Norm(0.0, most or 1.0, theme.rising(theme.highlight))

    def _source(self, quantity: str, head: int) -> TensorSource:
        """Return the source of a matrix that was computed with shared keys and values."""
        return self.layer.computed(quantity, head=head, sets=self.shared.n_groups)
