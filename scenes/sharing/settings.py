"""What each stop of the dial means for a layer: who shares which keys and values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from extract.sharing import groups_for
from extract.trace import Trace
from filmkit.core.language import _
from filmkit.core.norm import TensorSource
from filmkit.core.theme import current_theme
from filmkit.core.view import LayerView
from filmkit.mobjects.cache_volume import CachedTensor
from filmkit.mobjects.head_tensors import head_tensor
from filmkit.mobjects.shared_view import SharedView

__all__ = ["Setting", "has_groups", "settings_of"]


@dataclass(frozen=True)
class Setting:
    """A layer with some number of sets of keys and values.

    Attributes
    ----------
    layer
        The layer.
    count
        Number of sets.
    name
        Who has a set, in words.
    """

    layer: LayerView
    count: int
    name: str

    @property
    def outlined(self) -> bool:
        """Whether the model never had so many sets: there are no numbers to show."""
        return self.count > self.layer.trace.meta.n_kv_heads

    @property
    def pooled(self) -> bool:
        """Whether the model has more sets, of which these are the means."""
        return self.count < self.layer.trace.meta.n_kv_heads

    @cached_property
    def view(self) -> SharedView:
        """The layer, computed with these sets."""
        return SharedView.of(self.layer, self.count)

    def set_of(self, head: int) -> int:
        """Return the number of the set that a head reads."""
        return head * self.count // self.layer.trace.meta.n_heads

    def colour(self, role: str, head: int) -> str:
        """Return the colour of a role for a head; sets of several heads are told apart by it."""
        theme, several = current_theme(), 1 < self.count < self.layer.trace.meta.n_heads
        return theme.group_colour(role, self.set_of(head)) if several else theme.role(role)

    def stored(self, name: str, head: int) -> CachedTensor:
        """Return the keys ("k") or values ("v") that a head reads, as they are cached."""
        values, source = self.view.panel(name, self.set_of(head))
        return CachedTensor(values[None], (self.view.norms[name],), (source,), name)

    def pattern(self, head: int) -> tuple[npt.NDArray[np.float64], TensorSource]:
        """Return the pattern of a head, and its source."""
        if self.pooled:
            return self.view.pattern(head)
        tensor = head_tensor(self.layer.head(head), "pattern")
        return tensor.values, tensor.source


def has_groups(trace: Trace) -> bool:
    """Return whether there is a stop of the dial between a set for every head and one for all."""
    return 1 < _groups(trace) < trace.meta.n_heads


def _groups(trace: Trace) -> int:
    """Return the number of groups of heads: the model's own, or else as many as divide them."""
    meta = trace.meta
    return meta.n_kv_heads if meta.n_kv_heads < meta.n_heads else groups_for(meta.n_heads)


def settings_of(layer: LayerView) -> tuple[Setting, ...]:
    """Return the stops of the dial: a set for every head, one for each group, one for all."""
    meta = layer.trace.meta
    heads = meta.n_heads
    between = (
        [Setting(layer, _groups(layer.trace), _("each group"))] if has_groups(layer.trace) else []
    )
    return (
        Setting(layer, heads, _("every head")),
        *between,
        Setting(layer, 1, _("all heads")),
    )
