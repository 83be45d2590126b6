"""View of a layer whose heads share keys and values, for scenes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from extract.recompute.sharing import SharedLayer, share_heads
from extract.trace import Trace
from filmkit.core.errors import StageError
from filmkit.core.facts import fact
from filmkit.core.norm import Norm
from filmkit.core.numbers import counted_words
from filmkit.core.theme import current_theme
from filmkit.core.view import LayerView
from filmkit.pictures.parts import Matrix
from filmkit.pictures.tensors import head_tensor

__all__ = ["SharedView", "counted_rows", "require_shareable"]

Array = npt.NDArray[np.float64]


def counted_rows(trace: Trace) -> str:
    """Return over how many rows it is averaged how much attention moves, as a fact.

    The rows are those of the prompt but the first; see
    :func:`extract.attention.patterns.moved_attention`.
    """
    return fact("moved rows", trace.meta.n_prompt - 1, counted_words)


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

    def set_of(self, name: str, group: int) -> Matrix:
        """Return the keys ("k") or values ("v") of a group, (position, channel).

        Keys are those used in the scores. The colours are those of the layer's own.
        """
        heads = self.shared.heads(group)
        own = head_tensor(self.layer.head(heads[0]), name)
        if not self.shared.pooled:
            return own
        values = getattr(self.shared, name)[self.span, group]
        quantity = {"k": "shared_keys", "v": "shared_values"}[name]
        source = self.layer.computed(quantity, values.shape[1], heads=(heads[0], heads[-1]))
        return replace(own, values=values, source=source)

    # Heads

    def pattern(self, head: int) -> Matrix:
        """Return the pattern of a head."""
        values = self.shared.pattern[head, self.span, self.span]
        return self._matrix(values, "shared_pattern", head, self.layer.norm("pattern"))

    def difference(self, head: int) -> Matrix:
        """Return how far the pattern of a head is from the model's own."""
        return self._matrix(self._moved(head), "shared_difference", head, self.difference_norm)

    def _moved(self, head: int) -> Array:
        return np.abs(self.pattern(head).values - self.layer.head(head).pattern)

    @cached_property
    def difference_norm(self) -> Norm:
        """Norm of these differences, one for all heads: no difference is the background.

        They have a colour of their own, so that nobody takes them for patterns.
        """
        theme, heads = current_theme(), range(self.layer.trace.meta.n_heads)
        most = max(float(self._moved(head).max()) for head in heads)
        return Norm(0.0, most or 1.0, theme.rising(theme.highlight))

    def _matrix(self, values: Array, quantity: str, head: int, norm: Norm) -> Matrix:
        """Return a matrix that was computed with shared keys and values."""
        source = self.layer.computed(quantity, head=head, sets=self.shared.n_groups)
        return Matrix(values, norm, source)
